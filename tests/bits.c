/* Prints one line per stage of every header: a hash of everything it computes on generated input. The lines must be the same for every compiler,
   optimisation level, instruction set and number of threads, and the same as in tests/bits.golden. Arguments: SIMD level, threads. */
#include "test.h"
#include "threads.h"
#define MOSAIC_MEM_IMPLEMENTATION
#include "../mosaic_mem.h"
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../mosaic_ssim.h"
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../mosaic_temporal.h"
#include "../examples/util/procedural.h"
#include "raft_files.h"

static int simd, threads;

static uint64_t fnv(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    while (size--) hash = (hash ^ *p++) * 0x100000001b3u;
    return hash;
}
#define START 0xcbf29ce484222325u

static void print(const char *name, uint64_t hash) { printf("%s %016llx\n", name, (unsigned long long)hash); }

static void lap(void)
{
    enum { ROWS = 180, COLS = 230 };
    static int32_t cost[ROWS * COLS], chosen[ROWS], capacity[COLS];
    mosaic_lap_problem problem;
    mosaic_lap_options options;
    mosaic_lap_solution solution;
    uint32_t r = 1;
    uint64_t hash = START;
    int64_t range;
    int i;
    memset(&problem, 0, sizeof problem);
    memset(&options, 0, sizeof options);
    problem.rows = ROWS;
    problem.cols = COLS;
    problem.cost = cost;
    problem.capacity = capacity;
    options.simd = simd;
    options.run = test_run;
    options.run_ctx = &threads;
    for (range = 3; range < 2000000000; range *= 29) {
        for (i = 0; i < ROWS * COLS; i++) cost[i] = (int32_t)((int64_t)((r = r * 1664525u + 1013904223u) >> 1) % range);
        for (i = 0; i < COLS; i++) capacity[i] = 1 + i % 3;
        memset(&solution, 0, sizeof solution);
        solution.col_of_row = chosen;
        if (mosaic_lap_solve(&problem, &options, &solution) != MOSAIC_LAP_OK) printf("lap failed\n");
        hash = fnv(fnv(hash, chosen, sizeof chosen), &solution.primal, sizeof solution.primal);
    }
    print("lap", hash);
}

/* int64 and double, sparse and in SciPy's order. */
static void lap_types(void)
{
    enum { ROWS = 70, COLS = 90 };
    static double real[ROWS * COLS];
    static int64_t whole[ROWS * COLS], row_start[ROWS + 1];
    static int32_t chosen[ROWS], col_index[ROWS * COLS];
    mosaic_lap_problem problem;
    mosaic_lap_options options;
    mosaic_lap_solution solution;
    uint32_t r = 7;
    uint64_t hash = START;
    int i, form;
    memset(&options, 0, sizeof options);
    options.simd = simd;
    options.run = test_run;
    options.run_ctx = &threads;
    for (form = 0; form < 12; form++) {
        for (i = 0; i < ROWS * COLS; i++) {
            uint64_t x = (uint64_t)(r = r * 1664525u + 1013904223u) << 31;
            x ^= (r = r * 1664525u + 1013904223u);
            if (form % 3 == 1) x %= 5;
            whole[i] = (int64_t)x - ((int64_t)1 << 61);
            real[i] = (double)x / (form % 3 == 2 && r % 16 == 0 ? 18014398509481984.0 : 3.0); /* rounded, but as IEEE says */
            col_index[i] = i % COLS;
        }
        for (i = 0; i <= ROWS; i++) row_start[i] = (int64_t)i * COLS;
        memset(&problem, 0, sizeof problem);
        memset(&solution, 0, sizeof solution);
        problem.rows = ROWS;
        problem.cols = COLS;
        problem.kind = form / 3 % 2 ? MOSAIC_LAP_INT64 : MOSAIC_LAP_DOUBLE;
        problem.cost = form / 3 % 2 ? (const void *)whole : (const void *)real;
        problem.maximise = form % 2;
        if (form < 6) problem.order = MOSAIC_LAP_ORDER_SCIPY;
        if (form >= 9) {
            problem.row_start = row_start;
            problem.col_index = col_index;
        }
        solution.col_of_row = chosen;
        if (mosaic_lap_solve(&problem, &options, &solution) != MOSAIC_LAP_OK) printf("lap types failed\n");
        hash = fnv(hash, chosen, sizeof chosen);
        hash = fnv(fnv(hash, &solution.gap, sizeof solution.gap), &solution.total, sizeof solution.total);
    }
    print("lap types", hash);
}

static int mem_bytes(void *hash, const void *bytes, size_t size)
{
    *(uint64_t *)hash = fnv(*(uint64_t *)hash, bytes, size);
    return 0;
}

/* A store that fills up on an orbit, its file, what views find in it and what they show. */
static void mem(void)
{
    enum { W = 64, H = 48, C = 16, R = 12, HITS = 64 };
    static const double origin[3] = {0, 0, 0};
    static float depth[W * H], values[C * R * 4], shown[40 * 30 * 4], z[40 * 30];
    static uint8_t mask[40 * 30];
    mosaic_mem_options options;
    mosaic_mem_moment path[24];
    mosaic_mem_keyframe key;
    mosaic_mem_canvas canvas;
    mosaic_mem_hit hits[HITS];
    mosaic_mem *memory = NULL;
    uint64_t hash = START, file = START;
    size_t found;
    int i, j;
    memset(&options, 0, sizeof options);
    memset(&key, 0, sizeof key);
    memset(&canvas, 0, sizeof canvas);
    options.channels = 4;
    options.max_patches = 700;
    options.simd = simd;
    if (mosaic_mem_open(&options, &memory) != MOSAIC_MEM_OK || mosaic_mem_orbit(origin, 5, 1, 1.5, 30, path, 24) != MOSAIC_MEM_OK) printf("mem failed\n");
    canvas.width = 40, canvas.height = 30, canvas.mask = mask, canvas.values = shown, canvas.z = z, canvas.filter = MOSAIC_MEM_BILINEAR;
    for (i = 0; i < 24; i++) {
        for (j = 0; j < W * H; j++) depth[j] = 5 + (float)((j % W) * (i + 1) % 50) / 64 + (float)(j / W) / 32;
        for (j = 0; j < C * R * 4; j++) values[j] = (float)(j * (i + 7) % 101) / 100;
        key.view.pose = path[i].pose, key.view.time = path[i].time;
        key.view.camera = mosaic_mem_camera_default(W, H);
        key.frame = (uint64_t)i;
        key.cols = C, key.rows = R, key.values = values, key.value_count = C * R * 4, key.depth = depth;
        if (mosaic_mem_insert(memory, &key, NULL) != MOSAIC_MEM_OK || mosaic_mem_query(memory, &key.view, NULL, NULL, hits, HITS, &found, NULL) != MOSAIC_MEM_OK ||
            mosaic_mem_compose(memory, &key.view, hits, found, NULL, &canvas, NULL) != MOSAIC_MEM_OK)
            printf("mem failed\n");
        hash = fnv(fnv(fnv(hash, hits, found * sizeof *hits), mask, sizeof mask), z, sizeof z);
        for (j = 0; j < 40 * 30; j++)
            if (mask[j]) hash = fnv(hash, shown + 4 * j, 4 * sizeof *shown);
    }
    if (mosaic_mem_save(memory, mem_bytes, &file) != MOSAIC_MEM_OK) printf("mem failed\n");
    mosaic_mem_close(memory);
    print("mem", hash);
    print("mem file", file);
}

static void ssim(void)
{
    enum { W = 301, H = 97 };
    static uint8_t a[W * H * 3], b[W * H * 3];
    static double map[W * H];
    mosaic_ssim_options options;
    mosaic_ssim_image first, second;
    mosaic_ssim_output output;
    uint64_t hash = START;
    memset(&options, 0, sizeof options);
    memset(&first, 0, sizeof first);
    memset(&output, 0, sizeof output);
    procedural_frame(3, W, H, a);
    procedural_frame(4, W, H, b);
    first.data = a;
    first.width = W;
    first.height = H;
    first.row_stride = W * 3;
    first.pixel_stride = 3;
    second = first;
    second.data = b;
    options.simd = simd;
    options.run = test_run;
    options.run_ctx = &threads;
    options.jobs = threads;
    output.map = map;
    for (options.window = 3; options.window < 40; options.window += 4) {
        if (mosaic_ssim_compare(&first, &second, &options, &output, NULL, 0) != MOSAIC_SSIM_OK) printf("ssim failed\n");
        hash = fnv(fnv(hash, &output.mean, sizeof output.mean), map, (size_t)((W - options.window + 1) * (H - options.window + 1)) * sizeof *map);
    }
    print("ssim", hash);
}

static void dis(void)
{
    enum { W = 203, H = 121 };
    static uint8_t rgb[W * H * 3];
    int preset, i;
    for (preset = 0; preset < MOSAIC_FLOW_PRESETS; preset++) {
        mosaic_flow_options options;
        const mosaic_flow_field *field;
        mosaic_flow *flow = NULL;
        uint64_t hash = START;
        char name[32];
        memset(&options, 0, sizeof options);
        options.method = MOSAIC_FLOW_DIS;
        options.preset = (mosaic_flow_preset)preset;
        options.width = 160;
        options.height = 90;
        options.simd = simd;
        options.run = test_run;
        options.run_ctx = &threads;
        if (mosaic_flow_open(W, H, &options, &flow) != MOSAIC_FLOW_OK) printf("no flow\n");
        for (i = 10; i < 14 && flow; i++) {
            procedural_frame(i, W, H, rgb);
            if (mosaic_flow_push(flow, rgb, W * 3, &field) != MOSAIC_FLOW_OK) printf("flow failed\n");
            if (field) hash = fnv(fnv(hash, field->forward, 160 * 90 * 4), field->backward, 160 * 90 * 4);
        }
        mosaic_flow_close(flow);
        snprintf(name, sizeof name, "dis %s", mosaic_flow_preset_name(preset));
        print(name, hash);
    }
}

/* Both arithmetics of RAFT with random weights, the correlation of all pairs and on demand, with a warm start. */
static void raft(void)
{
    enum { W = 67, H = 34 };
    static uint8_t rgb[W * H * 3];
    int model, arithmetic, i;
    for (model = 0; model < 2; model++) {
        raft_tensors tensors;
        raft_file file;
        mosaic_flow_weights *weights = NULL;
        test_seed = 88172645463325252ull;
        raft_generate(&tensors, model, 0, 1000);
        memset(&file, 0, sizeof file);
        raft_write_safetensors(&file, &tensors, 0);
        if (mosaic_flow_weights_load(file.bytes, file.size, NULL, &weights) != MOSAIC_FLOW_OK) printf("no weights\n");
        raft_release(&tensors);
        free(file.bytes);
        for (arithmetic = 0; arithmetic < 2; arithmetic++) {
            mosaic_flow_options options;
            const mosaic_flow_field *field;
            mosaic_flow *flow = NULL;
            uint64_t hash = START;
            const int w = model ? 16 : 48, h = model ? 8 : 24;
            memset(&options, 0, sizeof options);
            options.method = MOSAIC_FLOW_RAFT;
            options.weights = weights;
            options.arithmetic = arithmetic;
            options.iterations = 2;
            options.warm_start = 1;
            options.max_memory = (size_t)(threads & 1);
            options.width = w;
            options.height = h;
            options.simd = simd;
            options.run = test_run;
            options.run_ctx = &threads;
            if (mosaic_flow_open(W, H, &options, &flow) != MOSAIC_FLOW_OK) printf("no flow\n");
            for (i = 10; i < 13 && flow; i++) {
                procedural_frame(i, W, H, rgb);
                if (mosaic_flow_push(flow, rgb, W * 3, &field) != MOSAIC_FLOW_OK) printf("flow failed\n");
                if (field) hash = fnv(fnv(hash, field->forward, (size_t)(w * h * 4)), field->backward, (size_t)(w * h * 4));
            }
            mosaic_flow_close(flow);
            printf("raft %s %s %016llx\n", model ? "large" : "small", arithmetic ? "float" : "integer", (unsigned long long)hash);
        }
        mosaic_flow_weights_free(weights);
    }
}

static void engine(const char *name, mosaic_preset preset)
{
    enum { W = 320, H = 180 };
    static uint8_t rgb[W * H * 3];
    uint8_t *photo = (uint8_t *)malloc(48 * 48 * 3), *tile;
    mosaic_fit fit;
    mosaic_grid grid;
    mosaic_pool *pool = NULL;
    mosaic_engine *e = NULL;
    mosaic_options options;
    mosaic_input input;
    const mosaic_frame *frame;
    uint64_t hash = START, draws = START, tiles = START;
    int i;
    memset(&fit, 0, sizeof fit);
    fit.cells = 230;
    fit.height = 270;
    if (mosaic_grid_fit(W, H, &fit, &grid) != MOSAIC_OK) printf("no grid\n");
    tile = (uint8_t *)malloc((size_t)(grid.cell_width * grid.cell_height * 3));
    mosaic_pool_create(grid.cell_width, grid.cell_height, NULL, &pool);
    for (i = 0; i < 90; i++) {
        procedural_photo(i * 11, 48, 48, photo);
        mosaic_tile_reduce(photo, 48, 48, 48 * 3, grid.cell_width, grid.cell_height, tile, NULL);
        tiles = fnv(tiles, tile, (size_t)(grid.cell_width * grid.cell_height * 3));
        mosaic_pool_add(pool, tile, "", 0);
    }
    memset(&options, 0, sizeof options);
    memset(&input, 0, sizeof input);
    options.preset = preset;
    options.simd = simd;
    options.run = test_run;
    options.run_ctx = &threads;
    if (mosaic_open(&grid, pool, &options, &e) != MOSAIC_OK) printf("no engine\n");
    input.rgb = rgb;
    input.stride = W * 3;
    for (i = 10; i < 20 && e; i++) {
        procedural_frame(i, W, H, rgb);
        if (mosaic_push(e, &input, &frame) != MOSAIC_OK) break;
        draws = fnv(draws, frame->draw, (size_t)frame->cells * sizeof *frame->draw);
        hash = fnv(hash, frame->rgb, frame->stride * (size_t)grid.height);
    }
    printf("%s tiles %016llx draws %016llx frames %016llx\n", name, (unsigned long long)tiles, (unsigned long long)draws, (unsigned long long)hash);
    mosaic_close(e);
    mosaic_pool_destroy(pool);
    free(photo);
    free(tile);
}

int main(int argc, char **argv)
{
    int preset;
    simd = argc > 1 ? atoi(argv[1]) : 0;
    threads = argc > 2 ? atoi(argv[2]) : 1;
    lap();
    lap_types();
    mem();
    ssim();
    dis();
    raft();
    for (preset = 0; preset < MOSAIC_PRESETS; preset++) engine(mosaic_preset_name(preset), (mosaic_preset)preset);
    return 0;
}
