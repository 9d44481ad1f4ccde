/* times.cu: what the stages take on a device, as lines of a table: the best of several, with what goes to and from the device, and where it is known, how
   near that is to what the memory could do. Ends with 3 when there is no device. */
static struct {
    long launches, waits;
} counted;
#define MOSAIC_CUDA__COUNT(what) ((void)counted.what++)
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

/* 0: DIS, 1: RAFT-small, 2: RAFT-large. */
static void time_flow(mosaic_cuda *c, int method, int width, int height)
{
    static const char *const name[3] = {"DIS, the preset fast", "RAFT-small, 12 iterations", "RAFT-large, 12 iterations"};
    const mosaic_flow_field *field;
    mosaic_flow_options o;
    mosaic_flow *flow = NULL;
    uint8_t *picture[2];
    double best = 1e9, again;
    char what[120];
    int i;
    memset(&o, 0, sizeof o);
    o.method = method ? MOSAIC_FLOW_RAFT : MOSAIC_FLOW_DIS;
    if (method) o.weights = random_weights(method == 2, 1, 1.7);
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
        if (i == 1) memset(&counted, 0, sizeof counted);
    }
    snprintf(what, sizeof what, "%s, %d x %d, one frame of a stream: %ld launches, %.2f waits", name[method], width, height, counted.launches / 18,
             (double)counted.waits / 18);
    /* .875 million products for an eighth's pixel and iteration in RAFT-small, the encoders about 5 % of twelve; its tiles take fewer. */
    line(what, best, 0, method != 1 ? 0 : .875e6 * 12 * 1.05 * (width / 8) * (height / 8));
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

/* The whole engine with the motion of DIS or of RAFT-small, at a third of the frame's size. */
static void time_engine(mosaic_cuda *c, int method, mosaic_preset preset)
{
    enum { W = 1920, H = 1080, PHOTOS = 919, FRAMES = 20 };
    mosaic_flow_options flow;
    mosaic_options o;
    mosaic_engine *e = NULL;
    mosaic_pool *pool = NULL;
    mosaic_grid grid;
    mosaic_input input;
    const mosaic_frame *f;
    uint8_t *picture = (uint8_t *)malloc(W * H * 3), *tile;
    double all = 0;
    char what[160];
    int i, k;
    memset(&o, 0, sizeof o);
    memset(&flow, 0, sizeof flow);
    memset(&input, 0, sizeof input);
    flow.method = method ? MOSAIC_FLOW_RAFT : MOSAIC_FLOW_DIS;
    if (method) flow.weights = random_weights(0, 1, 1.7);
    flow.width = method ? 480 : W / 3;
    flow.height = method ? 272 : H / 3;
    flow.device = mosaic_cuda_flow(c);
    o.flow = &flow;
    o.preset = preset;
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
        if (i == 1) {
            memset(seconds, 0, sizeof seconds);
            memset(&counted, 0, sizeof counted);
        }
        since = now();
        if (mosaic_push(e, &input, &f)) return;
    }
    for (i = MOSAIC_STAGE_DESCRIBE; i < MOSAIC_STAGES; i++) all += seconds[i] / FRAMES;
    snprintf(what, sizeof what,
             "engine, %s, %s, 1920 x 1080, 700 cells, 919 photographs, on one thread: %.1f frames a second, %.1f launches, %.2f waits",
             mosaic_preset_name((int)preset), method ? "RAFT-small of 480 x 272" : "DIS of 640 x 360", 1 / all, (double)counted.launches / FRAMES,
             (double)counted.waits / FRAMES);
    line(what, all, 0, 0);
    line("of that: describing cells", seconds[MOSAIC_STAGE_DESCRIBE] / FRAMES, 0, 0);
    line("of that: motion", seconds[MOSAIC_STAGE_FLOW] / FRAMES, 0, 0);
    line("of that: the assignment", seconds[MOSAIC_STAGE_ASSIGN] / FRAMES, 0, 0);
    line("of that: re-ranking", seconds[MOSAIC_STAGE_RERANK] / FRAMES, 0, 0);
    line("of that: colour maps, painting, finishing", seconds[MOSAIC_STAGE_RENDER] / FRAMES, 0, 0);
    mosaic_close(e);
    mosaic_pool_destroy(pool);
    free(picture);
    free(tile);
}

/* How much of a multiprocessor each of the larger kernels can fill. */
template <class K> static void occupied(const char *name, K kernel, int threads, size_t shared)
{
    int blocks = 0, most = 0;
    if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared) == cudaSuccess &&
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxThreadsPerMultiProcessor, 0) == cudaSuccess && most > 0)
        printf("| %s | %d | %d | %.0f %% |\n", name, threads, blocks, 100.0 * blocks * threads / most);
}

static void occupancy(void)
{
    printf("\n| kernel | threads of a block | blocks of a multiprocessor | occupancy |\n|---|---|---|---|\n");
    occupied("SSIM", mosaic_cuda__ssim_strip, MOSAIC_CUDA__SPAN, (MOSAIC_CUDA__SPAN + 6) * sizeof(mosaic_cuda__column));
    occupied("costs", mosaic_cuda__costs, MOSAIC_CUDA__PHOTOS, MOSAIC_CUDA__CELLS * sizeof(mosaic__look));
    occupied("colour maps", mosaic_cuda__recolour, MOSAIC_CUDA__RECOLOURED, 0);
    occupied("painting", mosaic_cuda__paint, 256, 0);
    occupied("borders and colours", mosaic_cuda__blend, 256, 0);
    occupied("contrast and sharpness", mosaic_cuda__raise, 256, 0);
    occupied("RAFT, convolutions", mosaic_cuda__rows, MOSAIC_CUDA__THREADS, 0);
    occupied("RAFT, tiles", mosaic_cuda__tiles, MOSAIC_CUDA__TILES * 16, 256 * MOSAIC_CUDA__TILES * sizeof(int32_t));
    occupied("DIS, search", mosaic_cuda__dis_search, MOSAIC_CUDA__THREADS, 0);
    occupied("DIS, system", mosaic_cuda__dis_system, MOSAIC_CUDA__THREADS, 0);
    occupied("DIS, relaxation", mosaic_cuda__dis_relax, MOSAIC_CUDA__THREADS, 0);
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
    time_flow(c, 0, 640, 360);
    time_flow(c, 1, 480, 272);
    time_flow(c, 2, 960, 544);
    time_engine(c, 0, MOSAIC_PRESET_DEFAULT);
    time_engine(c, 1, MOSAIC_PRESET_DEFAULT);
    time_engine(c, 0, MOSAIC_PRESET_VIVID);
    occupancy();
    if (mosaic_cuda_status(c, &error) != MOSAIC_CUDA_OK) {
        fprintf(stderr, "the GPU failed: %s\n", error);
        return 1;
    }
    mosaic_cuda_close(c);
    return 0;
}
