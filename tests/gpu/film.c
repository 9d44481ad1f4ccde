/* film.c GPU MOTION: 240 frames made from the procedural clip, as mosaics, written to standard output as raw RGB; GPU is 1 for a device, 0 for none, MOTION
   "raft" (of random weights) in the default preset, or "dis" in the preset vivid, which finishes. The time goes to standard error. Ends with 3, and writes nothing, when there is no device. */
#define _XOPEN_SOURCE 700
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../../examples/util/procedural.h"
#include "../../mosaic_cuda.cu"
#include "../test.h"
#include "../raft.h"
#include <time.h>

enum { WIDTH = 640, HEIGHT = 360, PHOTOS = 400, FRAMES = 240 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    static unsigned char clip[PROCEDURAL_FRAMES][HEIGHT * WIDTH * 3];
    mosaic_flow_options flow;
    mosaic_options options;
    mosaic_engine *engine;
    mosaic_pool *pool;
    mosaic_grid grid;
    mosaic_cuda *gpu = NULL;
    mosaic_input input;
    const mosaic_frame *frame;
    const char *error = "";
    const int dis = argc > 2 && strcmp(argv[2], "dis") == 0;
    unsigned char *photo, *tile;
    double begun;
    int i;
    memset(&flow, 0, sizeof flow);
    memset(&options, 0, sizeof options);
    memset(&input, 0, sizeof input);
    if (argc > 1 && argv[1][0] == '1') {
        const mosaic_cuda_result result = mosaic_cuda_open(NULL, &gpu, &error);
        if (result != MOSAIC_CUDA_OK) {
            fprintf(stderr, "no GPU: %s %s\n", mosaic_cuda_result_string(result), error);
            return 3;
        }
        options.device = mosaic_cuda_engine(gpu);
        flow.device = mosaic_cuda_flow(gpu);
    }
    if (mosaic_grid_fit(WIDTH, HEIGHT, NULL, &grid) || mosaic_pool_create(grid.cell_width, grid.cell_height, NULL, &pool)) return 1;
    photo = (unsigned char *)malloc(64 * 64 * 3);
    tile = (unsigned char *)malloc((size_t)(grid.cell_width * grid.cell_height * 3));
    for (i = 0; i < PHOTOS; i++)
        if (!procedural_photo(i, 64, 64, photo) ||
            mosaic_tile_reduce(photo, 64, 64, (size_t)(64 * 3), grid.cell_width, grid.cell_height, tile, NULL) ||
            mosaic_pool_add(pool, tile, NULL, 0))
            return 1;
    for (i = 0; i < PROCEDURAL_FRAMES; i++)
        if (!procedural_frame(i, WIDTH, HEIGHT, clip[i])) return 1;
    if (dis) {
        flow.method = MOSAIC_FLOW_DIS;
        options.preset = MOSAIC_PRESET_VIVID;
    } else {
        flow.method = MOSAIC_FLOW_RAFT;
        flow.weights = random_weights(0, 1, 1.7);
    }
    flow.width = 320;
    flow.height = 184;
    options.flow = &flow;
    if (mosaic_open(&grid, pool, &options, &engine)) return 1;
    input.stride = WIDTH * 3;
    begun = now();
    for (i = 0; i < FRAMES; i++) { /* to the end of the clip and back */
        const int k = i % (2 * PROCEDURAL_FRAMES), y = k < PROCEDURAL_FRAMES ? k : 2 * PROCEDURAL_FRAMES - 1 - k;
        int row;
        input.rgb = clip[y];
        if (mosaic_push(engine, &input, &frame)) return 1;
        for (row = 0; row < grid.height; row++) fwrite(frame->rgb + (size_t)row * frame->stride, 3, (size_t)grid.width, stdout);
    }
    fprintf(stderr, "%d frames of %d x %d, %d cells, %s of %d x %d: %.2f s\n", FRAMES, grid.width, grid.height, grid.cols * grid.rows,
            dis ? "DIS" : "RAFT-small", flow.width, flow.height, now() - begun);
    if (gpu && mosaic_cuda_status(gpu, &error) != MOSAIC_CUDA_OK) {
        fprintf(stderr, "the GPU failed: %s\n", error);
        return 1;
    }
    mosaic_close(engine);
    mosaic_cuda_close(gpu);
    mosaic_pool_destroy(pool);
    return fflush(stdout) != 0;
}
