/* Prints one line per stage of every header: a hash of everything it computes on generated input. The lines must be the same for every compiler,
   optimisation level, processor, instruction set and number of threads, and the same as in tests/bits.golden. Arguments: SIMD level, threads. */
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

/* Takes in `size` bytes that hold numbers of `each` bytes, in the order of a little-endian processor on any. */
static uint64_t fnv(uint64_t hash, const void *data, size_t size, size_t each)
{
    const uint8_t *p = (const uint8_t *)data;
    const uint16_t one = 1;
    const size_t flip = *(const uint8_t *)&one ? 0 : each - 1;
    size_t i;
    for (i = 0; i < size; i++) hash = (hash ^ p[i ^ flip]) * 0x100000001b3u;
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
        hash = fnv(fnv(hash, chosen, sizeof chosen, 4), &solution.primal, sizeof solution.primal, 8);
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
        hash = fnv(hash, chosen, sizeof chosen, 4);
        hash = fnv(fnv(hash, &solution.gap, sizeof solution.gap, 8), &solution.total, sizeof solution.total, 8);
    }
    print("lap types", hash);
}

static int mem_bytes(void *hash, const void *bytes, size_t size)
{
    *(uint64_t *)hash = fnv(*(uint64_t *)hash, bytes, size, 1);
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
    size_t found, k;
    int i, j;
    memset(&options, 0, sizeof options);
    memset(&key, 0, sizeof key);
    memset(&canvas, 0, sizeof canvas);
    options.channels = 4;
    options.max_patches = 700;
    options.simd = simd;
    if (mosaic_mem_open(&options, &memory) != MOSAIC_MEM_OK || mosaic_mem_orbit(origin, 5, 1, 1.5, 30, path, 24) != MOSAIC_MEM_OK)
        printf("mem failed\n");
    canvas.width = 40, canvas.height = 30, canvas.mask = mask, canvas.values = shown, canvas.z = z, canvas.filter = MOSAIC_MEM_BILINEAR;
    for (i = 0; i < 24; i++) {
        for (j = 0; j < W * H; j++) depth[j] = 5 + (float)((j % W) * (i + 1) % 50) / 64 + (float)(j / W) / 32;
        for (j = 0; j < C * R * 4; j++) values[j] = (float)(j * (i + 7) % 101) / 100;
        key.view.pose = path[i].pose, key.view.time = path[i].time;
        key.view.camera = mosaic_mem_camera_default(W, H);
        key.frame = (uint64_t)i;
        key.cols = C, key.rows = R, key.values = values, key.value_count = C * R * 4, key.depth = depth;
        if (mosaic_mem_insert(memory, &key, NULL) != MOSAIC_MEM_OK ||
            mosaic_mem_query(memory, &key.view, NULL, NULL, hits, HITS, &found, NULL) != MOSAIC_MEM_OK ||
            mosaic_mem_compose(memory, &key.view, hits, found, NULL, &canvas, NULL) != MOSAIC_MEM_OK)
            printf("mem failed\n");
        for (k = 0; k < found; k++) hash = fnv(fnv(hash, &hits[k], 48, 8), &hits[k].tokens, 8, 4);
        hash = fnv(fnv(hash, mask, sizeof mask, 1), z, sizeof z, 4);
        for (j = 0; j < 40 * 30; j++)
            if (mask[j]) hash = fnv(hash, shown + 4 * j, 4 * sizeof *shown, 4);
    }
    if (mosaic_mem_save(memory, mem_bytes, &file) != MOSAIC_MEM_OK) printf("mem failed\n");
    mosaic_mem_close(memory);
    print("mem", hash);
    print("mem file", file);
}

/* A cloud fused on an orbit and carved, and what is found in it. */
static void mem_cloud(void)
{
    enum { W = 64, H = 48, MOST = 200 };
    static const double origin[3] = {0, 0, 0};
    static float depth[W * H];
    static uint8_t rgb[3 * W * H];
    mosaic_mem_cloud_options options;
    mosaic_mem_moment path[12];
    mosaic_mem_picture picture;
    mosaic_mem_near found[MOST];
    mosaic_mem_point point;
    mosaic_mem_cloud *cloud = NULL;
    uint64_t hash = START, number = 0;
    size_t n;
    int i, j;
    memset(&options, 0, sizeof options);
    memset(&picture, 0, sizeof picture);
    options.voxel = 0.2, options.carve = 2, options.simd = simd;
    if (mosaic_mem_cloud_open(&options, &cloud) != MOSAIC_MEM_OK || mosaic_mem_orbit(origin, 5, 1, 1, 30, path, 12) != MOSAIC_MEM_OK)
        printf("mem failed\n");
    for (i = 0; i < 12; i++) {
        for (j = 0; j < W * H; j++) depth[j] = 4 + (float)((j % W) * (i + 1) % 50) / 64 + (float)(j / W) / 32;
        for (j = 0; j < 3 * W * H; j++) rgb[j] = (uint8_t)(j * (i + 7) % 251);
        picture.view.pose = path[i].pose, picture.view.time = path[i].time, picture.view.camera = mosaic_mem_camera_default(W, H);
        picture.depth = depth, picture.rgb = rgb;
        if (mosaic_mem_fuse(cloud, &picture, NULL) != MOSAIC_MEM_OK ||
            mosaic_mem_cloud_nearest(cloud, path[i].pose.centre, NULL, found, MOST, &n) != MOSAIC_MEM_OK)
            printf("mem failed\n");
        hash = fnv(hash, found, n * sizeof *found, 8);
    }
    while ((number = mosaic_mem_cloud_next(cloud, number)) != 0)
        if (mosaic_mem_cloud_read(cloud, number, &point) == MOSAIC_MEM_OK)
            hash = fnv(fnv(fnv(hash, point.position, 24, 4), point.rgb, 4, 1), &point.weight, 4, 4);
    mosaic_mem_cloud_close(cloud);
    print("mem cloud", hash);
}

/* Noise, steps back, both warps, and attention to memory with turned places. */
static void mem_generators(void)
{
    enum { N = 1200, C = 20, R = 15, WIDE = 24 };
    static float noise[N], x[N], other[N], uvz[3 * C * R], z[C * R], weight[C * R], matrix[32 * WIDE];
    static uint8_t valid[C * R], mask[C * R];
    static double kept[1000], places[3 * 50], h[9];
    static const double front[3] = {0, 0.1, 1}, eye[3] = {1, 2, -5}, target[3] = {0, 0, 0};
    mosaic_mem_latent from, to;
    mosaic_mem_view a, b;
    mosaic_mem_cross cross;
    mosaic_mem_rope rope;
    uint64_t hash = START;
    size_t n;
    int times[7], i, bad;
    memset(&a, 0, sizeof a);
    memset(&from, 0, sizeof from);
    memset(&cross, 0, sizeof cross);
    memset(&rope, 0, sizeof rope);
    bad = mosaic_mem_schedule_make(MOSAIC_MEM_SCHEDULE_COSINE, 1000, 0, 0, kept) != MOSAIC_MEM_OK ||
          mosaic_mem_schedule_steps(1000, 7, times) != MOSAIC_MEM_OK;
    bad |= mosaic_mem_noise(3, 0, x, N) != MOSAIC_MEM_OK;
    for (i = 0; i < 6; i++) {
        bad |= mosaic_mem_noise(4, (uint64_t)i * N, noise, N) != MOSAIC_MEM_OK;
        bad |= mosaic_mem_denoise(kept[times[i]], kept[times[i + 1]], 0.7, 2, noise, noise, x, N) != MOSAIC_MEM_OK;
    }
    hash = fnv(fnv(hash, kept, sizeof kept, 8), x, sizeof x, 4);
    bad |= mosaic_mem_look_at(eye, target, NULL, &a.pose) != MOSAIC_MEM_OK;
    a.camera = mosaic_mem_camera_default(64, 48);
    b = a;
    b.pose.centre[0] += 0.37, b.pose.centre[2] += 0.81;
    from.cols = C, from.rows = R, from.channels = 4, from.values = x;
    to = from;
    to.values = other, to.mask = mask, to.z = z, to.weight = weight;
    memset(other, 0, sizeof other);
    for (i = 0; i < C * R; i++) z[i] = 4 + (float)(i % 7) / 4;
    bad |= mosaic_mem_warp_grid(&a, C, R, z, &b, uvz, valid, &n) != MOSAIC_MEM_OK;
    bad |= mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to) != MOSAIC_MEM_OK;
    hash = fnv(fnv(fnv(hash, other, sizeof other, 4), weight, sizeof weight, 4), mask, sizeof mask, 1);
    bad |= mosaic_mem_homography(&a, &b, front, 4.5, h) != MOSAIC_MEM_OK;
    bad |= mosaic_mem_warp_plane(&from, &a.camera, h, &b.camera, &to) != MOSAIC_MEM_OK;
    hash = fnv(fnv(fnv(hash, h, sizeof h, 8), other, sizeof other, 4), mask, sizeof mask, 1);
    for (i = 0; i < 3 * 50; i++) places[i] = i % 11 * 0.37;
    for (i = 0; i < 32 * WIDE; i++) matrix[i] = (float)(i * 37 % 101) / 50 - 1;
    rope.axes = 3, rope.pairs[0] = 4, rope.pairs[1] = rope.pairs[2] = 2;
    cross.queries = 50, cross.keys = 40, cross.heads = 2, cross.dim = 16, cross.width = cross.memory_width = WIDE;
    cross.x = x, cross.memory = x + N - 40 * WIDE, cross.w_q = cross.w_k = cross.w_v = cross.w_o = matrix;
    cross.rope = &rope, cross.query_places = places, cross.key_places = places, cross.out = other, cross.simd = simd, cross.run = test_run,
    cross.run_ctx = &threads;
    bad |= mosaic_mem_cross_attend(&cross) != MOSAIC_MEM_OK;
    hash = fnv(hash, other, 50 * WIDE * sizeof *other, 4);
    if (bad) printf("mem failed\n");
    print("mem generators", hash);
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
        hash =
            fnv(fnv(hash, &output.mean, sizeof output.mean, 8), map, (size_t)((W - options.window + 1) * (H - options.window + 1)) * sizeof *map, 8);
    }
    print("ssim", hash);
}

/* What the kernels of mosaic_ssim.h see that ssim() does not show them: windows of all classes at odd widths, prepared pictures, the best of many. */
static uint64_t ssim_bytes(uint64_t hash, const uint8_t *a, const uint8_t *b, double *map)
{
    enum { TILES = 5, STRIDE = 200 };
    static const int windows[] = {3, 5, 7, 9, 31, 63, 179, 181};
    size_t k, i;
    for (k = 0; k < 5 * sizeof windows / sizeof windows[0]; k++) {
        mosaic_ssim_image image, other;
        mosaic_ssim_options options;
        mosaic_ssim_output output;
        mosaic_ssim_prepared *cell = NULL, *tile = NULL;
        const mosaic_ssim_prepared *tiles[TILES];
        uint8_t *memory;
        double means[TILES + 1];
        size_t size = 0, winner = 99;
        const size_t window = (size_t)windows[k / 5], width = STRIDE - 3 - k % 5 < window ? window : STRIDE - 3 - k % 5, height = window + k % 3;
        const size_t values = (width - window + 1) * (height - window + 1);
        int failures = 0;
        memset(&image, 0, sizeof image);
        memset(&options, 0, sizeof options);
        memset(&output, 0, sizeof output);
        options.window = (int)window;
        options.simd = simd;
        output.map = map;
        image.data = a + k;
        image.width = width;
        image.height = height;
        image.row_stride = STRIDE;
        failures += mosaic_ssim_prepared_size(&image, &options, &size) != MOSAIC_SSIM_OK;
        size = (size + 63) / 64 * 64;
        memory = (uint8_t *)malloc((TILES + 1) * size);
        failures += mosaic_ssim_prepare(&image, &options, memory, size, &cell, NULL, 0) != MOSAIC_SSIM_OK;
        for (i = 0; i < TILES; i++) {
            image.data = b + 211 * i;
            failures += mosaic_ssim_prepare(&image, &options, memory + (i + 1) * size, size, &tile, NULL, 0) != MOSAIC_SSIM_OK;
            tiles[i] = tile;
        }
        failures += mosaic_ssim_score(cell, tiles[k % TILES], &options, &output, NULL, 0) != MOSAIC_SSIM_OK;
        hash = fnv(fnv(hash, &output.mean, 8, 8), map, values * 8, 8);
        failures += mosaic_ssim_score_many(cell, tiles, TILES, &options, means, NULL, 0) != MOSAIC_SSIM_OK;
        failures += mosaic_ssim_best(cell, tiles, TILES, &options, &winner, &means[TILES], NULL, 0) != MOSAIC_SSIM_OK;
        hash = fnv(hash, means, sizeof means, 8) + (uint64_t)winner;
        image.data = a + 3 * k;
        other = image;
        other.data = b + 1;
        failures += mosaic_ssim_compare(&image, &other, &options, &output, NULL, 0) != MOSAIC_SSIM_OK;
        hash = fnv(fnv(hash, &output.mean, 8, 8), map, values * 8, 8);
        if (failures) printf("ssim types failed\n");
        free(memory);
    }
    return hash;
}

/* Every type of pixel, both arithmetics, each kind of window, with maps, gradients, contrast terms and scales. */
static void ssim_types(void)
{
    enum { W = 197, H = 182 };
    static double a[W * H * 3], b[W * H * 3], map[W * H * 3], gradient[W * H * 3], rows[H * 3];
    uint64_t hash = START;
    int type, arithmetic, weights, i;
    for (type = 0; type < 4; type++) {
        mosaic_ssim_image x, y;
        uint32_t state = 1;
        memset(&x, 0, sizeof x);
        for (i = 0; i < 2 * W * H * 3; i++) {
            const int at = i / 2;
            double v = (double)((state = state * 1664525u + 1013904223u) >> 8) / 16777216.0;
            void *to = i % 2 ? (void *)b : (void *)a;
            if (i % 2) v = v * 0.25 + (double)(at % W) / W * 0.75;
            if (type == MOSAIC_SSIM_U8) ((uint8_t *)to)[at] = (uint8_t)(v * 255);
            if (type == MOSAIC_SSIM_U16) ((uint16_t *)to)[at] = (uint16_t)(v * 65535);
            if (type == MOSAIC_SSIM_F32) ((float *)to)[at] = (float)v;
            if (type == MOSAIC_SSIM_F64) ((double *)to)[at] = v;
        }
        x.data = a;
        x.width = W;
        x.height = H;
        x.type = (mosaic_ssim_type)type;
        x.channels = 3;
        y = x;
        y.data = b;
        if (type == MOSAIC_SSIM_U8) hash = ssim_bytes(hash, (const uint8_t *)a, (const uint8_t *)b, map);
        for (arithmetic = 0; arithmetic < 2; arithmetic++)
            for (weights = 0; weights < 4; weights++) {
                mosaic_ssim_options options;
                mosaic_ssim_output output;
                double contrast = 0, scales = 0;
                memset(&options, 0, sizeof options);
                memset(&output, 0, sizeof output);
                options.simd = simd;
                options.run = test_run;
                options.run_ctx = &threads;
                options.jobs = threads;
                options.arithmetic = (mosaic_ssim_arithmetic)arithmetic;
                options.weights = weights & 1 ? MOSAIC_SSIM_GAUSSIAN : MOSAIC_SSIM_UNIFORM;
                if (weights & 2) {
                    options.covariance = MOSAIC_SSIM_POPULATION;
                    options.mean_rule = MOSAIC_SSIM_MEAN_NUMPY_1;
                    options.sigma = 1.1;
                }
                options.window = weights == 2 ? 11 : 0;
                if (type >= MOSAIC_SSIM_F32) options.data_range = 1;
                x.height = y.height = 41;
                output.map = map;
                output.row_sums = rows;
                memset(map, 0, sizeof map);
                memset(gradient, 0, sizeof gradient);
                hash += (uint64_t)mosaic_ssim_compare(&x, &y, &options, &output, NULL, 0);
                hash = fnv(fnv(fnv(hash, &output.mean, 8, 8), map, 41 * W * 3 * 8, 8), rows, 41 * 3 * 8, 8);
                output.contrast = &contrast;
                if (arithmetic && weights & 2) {
                    output.gradient = gradient;
                    output.full = 1;
                }
                hash += (uint64_t)mosaic_ssim_compare(&x, &y, &options, &output, NULL, 0);
                hash = fnv(fnv(fnv(hash, &contrast, 8, 8), map, 41 * W * 3 * 8, 8), gradient, 41 * W * 3 * 8, 8);
                x.height = y.height = H;
                if (!arithmetic && weights % 3 == 0) hash += (uint64_t)mosaic_ssim_multiscale(&x, &y, &options, &scales, NULL, 0);
                hash = fnv(hash, &scales, 8, 8);
            }
    }
    print("ssim types", hash);
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
            if (field) hash = fnv(fnv(hash, field->forward, 160 * 90 * 4, 2), field->backward, 160 * 90 * 4, 2);
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
                if (field) hash = fnv(fnv(hash, field->forward, (size_t)(w * h * 4), 2), field->backward, (size_t)(w * h * 4), 2);
            }
            mosaic_flow_close(flow);
            printf("raft %s %s %016llx\n", model ? "large" : "small", arithmetic ? "float" : "integer", (unsigned long long)hash);
        }
        mosaic_flow_weights_free(weights);
    }
}

/* looks: hues turned in so many steps, and all by quarters. */
static void engine(const char *name, mosaic_preset preset, int looks)
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
    size_t tile_size;
    int i, k;
    memset(&fit, 0, sizeof fit);
    fit.cells = 230;
    fit.height = 270;
    if (mosaic_grid_fit(W, H, &fit, &grid) != MOSAIC_OK) printf("no grid\n");
    mosaic_pool_create(grid.cell_width, grid.cell_height, NULL, &pool);
    mosaic_pool_set_looks(pool, looks, looks > 0);
    tile_size = (size_t)mosaic_pool_looks(pool, NULL, NULL) * (size_t)(grid.cell_width * grid.cell_height * 3);
    tile = (uint8_t *)malloc(tile_size);
    for (i = 0; i < 90; i++) {
        procedural_photo(i * 11, 48, 48, photo);
        mosaic_tile_reduce(photo, 48, 48, 48 * 3, grid.cell_width, grid.cell_height, tile, NULL);
        mosaic_tile_looks(tile, grid.cell_width, grid.cell_height, looks, looks > 0, tile);
        tiles = fnv(tiles, tile, tile_size, 1);
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
        for (k = 0; k < frame->cells; k++) {
            const mosaic_draw *draw = &frame->draw[k];
            draws = fnv(fnv(draws, &draw->x, 12, 4), &draw->variant, 4, 1);
            draws = fnv(draws, (const uint8_t *)draw + 16, sizeof *draw - 16, 2); /* and the two bytes of padding behind the colours */
        }
        hash = fnv(hash, frame->rgb, frame->stride * (size_t)grid.height, 1);
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
    mem_cloud();
    mem_generators();
    ssim();
    ssim_types();
    dis();
    raft();
    for (preset = 0; preset < MOSAIC_PRESETS; preset++) engine(mosaic_preset_name(preset), (mosaic_preset)preset, 0);
    engine("looks", MOSAIC_PRESET_VIVID, 3);
    return 0;
}
