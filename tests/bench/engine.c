/* The engine alone: engine POOL RGB WIDTH HEIGHT SIMD THREADS reads a saved pool and raw frames, makes the mosaics with nothing running beside it, and prints
   mean milliseconds a frame, the whole and by stage, as one line of JSON. The first frame is left out: it is a cut. "still" is a frame in which nothing
   differs from the one before. */
#define _XOPEN_SOURCE 700
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../../mosaic_temporal.h"
#include "../threads.h"
#include <stdio.h>
#include <time.h>

static double seconds[MOSAIC_STAGES], since;
static int stage_now;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_stage(void *ctx, int stage)
{
    const double t = now();
    (void)ctx;
    seconds[stage_now] += t - since;
    stage_now = stage;
    since = t;
}

static void *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    void *data = NULL;
    if (f && !fseek(f, 0, SEEK_END) && (*size = (size_t)ftell(f)) > 0 && (data = malloc(*size)) != NULL) {
        rewind(f);
        if (fread(data, 1, *size, f) != *size) *size = 0;
    }
    if (f) fclose(f);
    return data;
}

int main(int argc, char **argv)
{
    static const char *const name[MOSAIC_STAGES] = {"idle", "describe", "flow", "predict", "assign", "rerank", "render"};
    mosaic_pool *pool = NULL;
    mosaic_engine *engine = NULL;
    mosaic_grid grid;
    mosaic_fit fit;
    mosaic_options options;
    mosaic_input input;
    const mosaic_frame *frame;
    enum { STILL = 20 };
    size_t pool_size = 0, size = 0, i, frames, frame_size;
    int width, height, threads;
    double total = 0, still = 0;
    void *data, *rgb;

    if (argc != 7) return 2;
    width = atoi(argv[3]);
    height = atoi(argv[4]);
    threads = atoi(argv[6]);
    data = read_file(argv[1], &pool_size);
    rgb = read_file(argv[2], &size);
    memset(&fit, 0, sizeof fit);
    memset(&options, 0, sizeof options);
    memset(&input, 0, sizeof input);
    options.simd = atoi(argv[5]);
    if (threads > 1) {
        options.run = test_run;
        options.run_ctx = &threads;
    }
    options.stage = on_stage;
    if (!data || !rgb || mosaic_pool_load(data, pool_size, NULL, &pool) || mosaic_grid_fit(width, height, &fit, &grid) ||
        mosaic_open(&grid, pool, &options, &engine)) {
        fprintf(stderr, "engine: bad input\n");
        return 1;
    }
    frame_size = (size_t)width * (size_t)height * 3;
    frames = size / frame_size;
    input.stride = (size_t)width * 3;
    for (i = 0; i < frames; i++) {
        if (i == 1) {
            memset(seconds, 0, sizeof seconds);
            total = -now();
        }
        since = now();
        input.rgb = (const uint8_t *)rgb + i * frame_size;
        if (mosaic_push(engine, &input, &frame)) return 1;
    }
    total += now();
    printf("{\"total\":%.3f", total * 1e3 / (double)(frames - 1));
    for (i = 1; i < MOSAIC_STAGES; i++) printf(",\"%s\":%.3f", name[i], seconds[i] * 1e3 / (double)(frames - 1));
    /* The last frame once more, so that what was on its way has arrived, and then again and again. */
    for (i = 0; i <= STILL; i++) {
        if (i == 1) still = -now();
        if (mosaic_push(engine, &input, &frame)) return 1;
    }
    still += now();
    printf(",\"still\":%.3f}\n", still * 1e3 / STILL);
    mosaic_close(engine);
    mosaic_pool_destroy(pool);
    free(data);
    free(rgb);
    return 0;
}
