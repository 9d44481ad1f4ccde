/* times.cu: what the stages take on a device, as lines of a table: the best of several, with what goes to and from the device, and where it is known, how
   near that is to what the memory could do. Ends with 3 when there is no device. */
#include "../../mosaic_cuda.cu"

#include "../test.h"
#include "../raft.h"
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Peak of the device's memory, bytes a second; 0 when it does not tell. */
static double bandwidth(void)
{
    int clock = 0, bits = 0;
    if (cudaDeviceGetAttribute(&clock, cudaDevAttrMemoryClockRate, 0) != cudaSuccess ||
        cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, 0) != cudaSuccess)
        return 0;
    return 2e3 * clock * bits / 8;
}

/* Most products of 16 by 16 bits a second: two instructions for two of them, 64 a cycle on each multiprocessor. */
static double products(void)
{
    int clock = 0, count = 0;
    if (cudaDeviceGetAttribute(&clock, cudaDevAttrClockRate, 0) != cudaSuccess ||
        cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, 0) != cudaSuccess)
        return 0;
    return 64e3 * clock * count;
}

static void line(const char *what, double seconds, double bytes, double macs)
{
    printf("| %s | %.3f |", what, seconds * 1e3);
    if (bytes > 0 && bandwidth() > 0)
        printf(" %.2f MB, %.1f %% of the memory's peak |\n", bytes / 1e6, 100 * bytes / seconds / bandwidth());
    else if (macs > 0 && products() > 0)
        printf(" %.2f G products, %.1f %% of the peak of dp2a |\n", macs / 1e9, 100 * macs / seconds / products());
    else
        printf(" |\n");
}

static void time_ssim(mosaic_cuda *c)
{
    enum { W = 1920, H = 1080 };
    uint8_t *picture = (uint8_t *)malloc(W * H), *a = NULL, *b = NULL;
    double mean, best = 1e9, again;
    int i;
    for (i = 0; i < W * H; i++) picture[i] = (uint8_t)test_random();
    if (cudaMalloc(&a, W * H) || cudaMalloc(&b, W * H) || cudaMemcpy(a, picture, W * H, cudaMemcpyHostToDevice) ||
        cudaMemcpy(b, picture, W * H, cudaMemcpyHostToDevice))
        return;
    for (i = 0; i < 50; i++) {
        again = now();
        if (mosaic_cuda_ssim(c, NULL, a, W, b, W, W, H, NULL, NULL, 0, &mean) != MOSAIC_CUDA_OK) return;
        again = now() - again;
        best = again < best ? again : best;
    }
    line("SSIM, 1920 x 1080 on the device, the mean", best, 2.0 * W * H, 0);
    cudaFree(a);
    cudaFree(b);
    free(picture);
}

static void time_raft(mosaic_cuda *c, int large, int width, int height)
{
    const mosaic_flow_field *field;
    mosaic_flow_options o;
    mosaic_flow *flow = NULL;
    uint8_t *picture[2];
    double best = 1e9, again;
    char what[80];
    int i;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_RAFT;
    o.weights = random_weights(large, 1, 1.7);
    o.forward_only = 1;
    o.device = mosaic_cuda_flow(c);
    for (i = 0; i < 2; i++) {
        picture[i] = (uint8_t *)malloc((size_t)(width * height * 3));
        random_picture(picture[i], width, height, 2 * i, i);
    }
    if (mosaic_flow_open(width, height, &o, &flow) != MOSAIC_FLOW_OK || !flow->device) return;
    for (i = 0; i < 20; i++) {
        again = now();
        mosaic_flow_push(flow, picture[i % 2], (size_t)width * 3, &field);
        again = now() - again;
        if (i > 1 && again < best) best = again;
    }
    snprintf(what, sizeof what, "RAFT-%s, %d x %d, 12 iterations, one frame of a stream", large ? "large" : "small", width, height);
    /* .875 million products for an eighth's pixel and iteration in RAFT-small, the encoders about 5 % of twelve; its tiles take fewer. */
    line(what, best, 0, large ? 0 : .875e6 * 12 * 1.05 * (width / 8) * (height / 8));
    mosaic_flow_close(flow);
    free(picture[0]);
    free(picture[1]);
}

static double seconds[MOSAIC_STAGES], since;
static int stage_now;
static void on_stage(void *, int stage)
{
    const double t = now();
    seconds[stage_now] += t - since;
    stage_now = stage;
    since = t;
}

static void time_engine(mosaic_cuda *c)
{
    enum { W = 1280, H = 720, PHOTOS = 919, FRAMES = 20 };
    mosaic_options o;
    mosaic_engine *e = NULL;
    mosaic_pool *pool = NULL;
    mosaic_grid grid;
    mosaic_input input;
    const mosaic_frame *f;
    uint8_t *picture = (uint8_t *)malloc(W * H * 3), *tile;
    int i, k;
    memset(&o, 0, sizeof o);
    memset(&input, 0, sizeof input);
    if (mosaic_grid_fit(W, H, NULL, &grid) || mosaic_pool_create(grid.cell_width, grid.cell_height, NULL, &pool)) return;
    tile = (uint8_t *)malloc((size_t)(grid.cell_width * grid.cell_height * 3));
    for (i = 0; i < PHOTOS; i++) {
        for (k = 0; k < grid.cell_width * grid.cell_height * 3; k++) tile[k] = (uint8_t)(i * 7 % 200 + test_range(0, 50));
        if (mosaic_pool_add(pool, tile, NULL, 0)) return;
    }
    o.device = mosaic_cuda_engine(c);
    o.stage = on_stage;
    if (mosaic_open(&grid, pool, &o, &e) || !e->device) return;
    input.rgb = picture;
    input.stride = W * 3;
    since = now();
    for (i = 0; i <= FRAMES; i++) {
        random_picture(picture, W, H, 40 * i, 0);
        if (i == 1) memset(seconds, 0, sizeof seconds);
        since = now();
        if (mosaic_push(e, &input, &f)) return;
    }
    line("engine, 1280 x 720 to 1890 x 1080, 700 cells, 919 photographs: costs and assignment", seconds[MOSAIC_STAGE_ASSIGN] / FRAMES, 0, 0);
    line("the same: colour maps and painting", seconds[MOSAIC_STAGE_RENDER] / FRAMES, 0, 0);
    mosaic_close(e);
    mosaic_pool_destroy(pool);
    free(picture);
    free(tile);
}

int main(void)
{
    mosaic_cuda *c = NULL;
    const char *error;
    const mosaic_cuda_result result = mosaic_cuda_open(NULL, &c, &error);
    if (!c) {
        fprintf(stderr, "no GPU: %s %s\n", mosaic_cuda_result_string(result), error);
        return 3;
    }
#ifdef MOSAIC_GPU_PROBE
    mosaic_cuda_close(c);
    return 0;
#endif
    printf("%s; times on the host's clock, copies and waiting included, the best of several (of the engine: means).\n\n| stage | ms | of the peak "
           "|\n|---|---|---|\n",
           mosaic_cuda_name(c));
    time_ssim(c);
    time_raft(c, 0, 480, 272);
    time_raft(c, 1, 960, 544);
    time_engine(c);
    if (mosaic_cuda_status(c, &error) != MOSAIC_CUDA_OK) {
        fprintf(stderr, "the GPU failed: %s\n", error);
        return 1;
    }
    mosaic_cuda_close(c);
    return 0;
}
