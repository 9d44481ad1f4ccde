/* RAFT in integers: the proof that no sum overflows, against the worst inputs there are; every stage's bits, of the scalar code, equal on every kernel,
   number of threads and way of correlating; what the integers mean, against doubles and against the float arithmetic. */
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../../mosaic_flow.h"

#include "../test.h"
#include "../threads.h"
#include "../raft.h"

#include <math.h>

static uint64_t hash_bytes(const void *p, size_t n)
{
    const uint8_t *b = (const uint8_t *)p;
    uint64_t h = 14695981039346656037u;
    while (n--) h = (h ^ *b++) * 1099511628211u;
    return h;
}

static uint64_t hash_map(const mosaic_flow__qmap *m)
{
    uint64_t h = 0;
    int y;
    for (y = 0; y < m->height; y++) h = h * 31 + hash_bytes(m->at + y * m->pitch, (size_t)m->width * (size_t)m->channels * sizeof(int16_t));
    return h;
}

/* The stages of one pair: the hash of each, and the vectors. */
enum { STAGES = 12 };
static const char *const stage_names[STAGES] = {
    "feature bits",         "features",      "hidden state at the start", "context sums", "correlation", "lookup",
    "correlation features", "flow features", "motion features",           "hidden state", "flow",        "vectors"};

static int stages(const mosaic_flow_options *options, int w, int h, const uint8_t *a, const uint8_t *b, int kernel128, uint64_t *hash, float *out)
{
    mosaic_flow *f = NULL;
    mosaic_flow__qraft *q;
    size_t n;
    int l;
    memset(hash, 0, STAGES * sizeof *hash);
    if (mosaic_flow_open(w, h, options, &f) != MOSAIC_FLOW_OK) return 0;
    q = (mosaic_flow__qraft *)f->method;
    (void)kernel128;
#if MOSAIC_FLOW__Q128
    if (kernel128) q->mac = mosaic_flow__qmac_128;
#endif
    if (mosaic_flow_pair(f, a, (size_t)w * 3, b, (size_t)w * 3, NULL, out) != MOSAIC_FLOW_OK) return 0;
    n = (size_t)q->shape.w8 * (size_t)q->shape.h8;
    hash[0] = hash_bytes(q->feature_bits, sizeof q->feature_bits);
    for (l = 0; l < 2; l++) hash[1] = hash[1] * 31 + hash_bytes(q->feature[l], n * (size_t)q->shape.model->features * sizeof(int16_t));
    hash[2] = hash_bytes(q->hidden_start[0], n * (size_t)q->shape.model->hidden * sizeof(int16_t));
    hash[3] = hash_bytes(q->context_sums[0], n * (size_t)q->shape.model->hidden * (q->context[1].weights ? 6 : 3) * sizeof(int32_t));
    for (l = 0; l < 4 && q->volume[l]; l++) hash[4] = hash[4] * 31 + hash_map(&q->volume_map[l]);
    hash[5] = hash_map(&q->taps);
    hash[6] = hash_map(&q->merge);
    hash[7] = hash_map(&q->flow1);
    hash[8] = hash_map(&q->state);
    hash[9] = hash_bytes(q->hidden, n * (size_t)q->shape.model->hidden * sizeof(int16_t));
    hash[10] = hash_bytes(q->vectors, n * 2 * sizeof(int32_t));
    hash[11] = hash_bytes(out, (size_t)w * (size_t)h * 2 * sizeof *out);
    mosaic_flow_close(f);
    return 1;
}

static void test_same_bits(void)
{
    static const struct {
        int w, h, iterations;
    } sizes[] = {{64, 48, 2}, {1, 1, 2}, {130, 9, 1}, {9, 130, 1}, {113, 65, 1}};
    /* of the scalar code; to see new ones: build with -DWRITE_GOLDEN */
    static const uint64_t golden[2][STAGES] = {
        {0x9ec906393759c165u, 0xf22016da44c8761du, 0x8653d0c36f8c0f0bu, 0x5857cc7479da6b4bu, 0xfbb09dcbbf400ba2u, 0x0f6b5d4bf1b6a8a3u,
         0x66b06781fc8b83aeu, 0x7b84dedadcbb386fu, 0x908b457bd20bbdd6u, 0xbec48d3979511f40u, 0x240a95976b00420au, 0x1866e0925b15dd05u},
        {0x9ec906393759c165u, 0xed393668b9bce342u, 0x382f1faede37f21au, 0x903be871c9f1424cu, 0x8a8fc020df0b70dbu, 0xf62297c203039263u,
         0x4be9408a9d57da15u, 0x2f940da27472c2ccu, 0xa07e16f5d0d92ca4u, 0x6803c3ea4bc9baabu, 0xdf27fdf7c29f7257u, 0xf2ea4dd75b87038cu}};
    int large, s, k, threads;
    const int best = 1 + mosaic__cpu_level();
    for (large = 0; large < 2; large++) {
        mosaic_flow_weights *w = random_weights(large, 7, 1.7);
        for (s = 0; s < (int)(sizeof sizes / sizeof *sizes) - 3 * large; s++) {
            const int width = sizes[s].w, height = sizes[s].h;
            const size_t n = (size_t)width * (size_t)height;
            uint8_t *a = (uint8_t *)malloc(n * 3), *b = (uint8_t *)malloc(n * 3);
            float *out = (float *)malloc(n * 8), *other = (float *)malloc(n * 8);
            uint64_t expected[STAGES], hash[STAGES];
            mosaic_flow_options o;
            random_picture(a, width, height, 0, 0);
            random_picture(b, width, height, 3, 1);
            memset(&o, 0, sizeof o);
            o.method = MOSAIC_FLOW_RAFT;
            o.weights = w;
            o.iterations = sizes[s].iterations;
            o.simd = 1;
            CHECK(stages(&o, width, height, a, b, 0, expected, out));
            if (s == 0) {
                for (k = 0; k < STAGES; k++) {
#ifdef WRITE_GOLDEN
                    printf("%s0x%016llxu,%s", k ? " " : "{", (unsigned long long)expected[k], k == STAGES - 1 ? "},\n" : "");
#endif
                    CHECK_MSG(expected[k] == golden[large][k], "RAFT-%s, %s: 0x%016llx", large ? "large" : "small", stage_names[k],
                              (unsigned long long)expected[k]);
                }
            }
            for (k = 0; k <= best + 6; k++) { /* every level, 128-bit vectors, every number of threads, correlation when needed */
                int i;
                if ((large || s) && k > best + 1 && k < best + 5) continue;
                o.simd = k <= best && k != 1 ? k : 0;
                threads = k > best && k <= best + 5 ? k - best : 1;
                o.run = threads > 1 ? test_run : NULL;
                o.run_ctx = &threads;
                o.max_memory = k == best + 6 ? 1 : 0;
                CHECK(stages(&o, width, height, a, b, k == 1, hash, other));
                if (o.max_memory) hash[4] = expected[4]; /* no volume */
                for (i = 0; i < STAGES; i++)
                    CHECK_MSG(hash[i] == expected[i], "RAFT-%s, %d x %d, way %d: %s differs", large ? "large" : "small", width, height, k,
                              stage_names[i]);
            }
            free(a);
            free(b);
            free(out);
            free(other);
        }
        mosaic_flow_weights_free(w);
    }
}

/* A stream forward and backward, begun with the motion before; its first pair is that of mosaic_flow_pair, its bits those of the scalar code. */
static void test_stream(void)
{
    enum { W = 72, H = 40, FRAMES = 4 };
    mosaic_flow_weights *w = random_weights(0, 11, 1.5);
    static uint8_t frame[FRAMES][W * H * 3];
    static int16_t expected[FRAMES][2][W * H * 2];
    static float pair[W * H * 2];
    int way, i, threads = 3, k;
    for (i = 0; i < FRAMES; i++) random_picture(frame[i], W, H, 2 * i, i);
    for (way = 0; way < 5; way++) { /* scalar; best; threads; forward alone; without warm start */
        mosaic_flow_options o;
        mosaic_flow *f = NULL;
        const mosaic_flow_field *field;
        memset(&o, 0, sizeof o);
        o.method = MOSAIC_FLOW_RAFT;
        o.weights = w;
        o.iterations = 2;
        o.simd = way == 0;
        o.warm_start = way < 4;
        o.forward_only = way == 3;
        if (way == 2) o.run = test_run, o.run_ctx = &threads;
        CHECK(mosaic_flow_open(W, H, &o, &f) == MOSAIC_FLOW_OK);
        if (!f) return;
        for (i = 0; i < FRAMES; i++) {
            CHECK(mosaic_flow_push(f, frame[i], W * 3, &field) == MOSAIC_FLOW_OK);
            CHECK((field != NULL) == (i > 0));
            if (!field) continue;
            if (way == 0) {
                memcpy(expected[i][0], field->forward, sizeof expected[i][0]);
                memcpy(expected[i][1], field->backward, sizeof expected[i][1]);
            } else {
                const int same = !memcmp(expected[i][0], field->forward, sizeof expected[i][0]) &&
                                 (way == 3 ? !field->backward : !memcmp(expected[i][1], field->backward, sizeof expected[i][1]));
                CHECK_MSG(same == (way < 4 || i == 1), "frame %d, way %d", i, way);
            }
        }
        if (way == 0)
            for (k = 0; k < 2; k++) {
                long wrong = 0;
                CHECK(mosaic_flow_pair(f, frame[k], W * 3, frame[1 - k], W * 3, NULL, pair) == MOSAIC_FLOW_OK);
                for (i = 0; i < W * H * 2; i++) wrong += (int)floor((double)pair[i] * 64 + 0.5) != expected[1][k][i];
                CHECK(wrong == 0);
            }
        { /* an initial flow moves the result, and its extremes do no harm */
            static float init[(W / 8) * (H / 8) * 2], other[W * H * 2];
            for (i = 0; i < (W / 8) * (H / 8) * 2; i++) init[i] = i % 5 ? 2.5f : 60000.0f * (float)(1 - i % 2 * 2);
            CHECK(mosaic_flow_pair(f, frame[0], W * 3, frame[1], W * 3, init, other) == MOSAIC_FLOW_OK);
            CHECK(memcmp(pair, other, sizeof other) != 0);
        }
        mosaic_flow_close(f);
    }
    mosaic_flow_weights_free(w);
}

/* Scales: found by calibration, kept by the flat file, bad ones refused; with them the integers stay with the floats where the header's do not fit. */
static void test_calibration(void)
{
    enum { W = 64, H = 40 };
    mosaic_flow_weights *w = random_weights(1, 21, 2.5), *again = NULL;
    static uint8_t a[W * H * 3], b[W * H * 3];
    static float out[3][W * H * 2];
    const uint8_t *pictures[2] = {a, b}, *none[2] = {a, NULL};
    double error[2] = {0, 0};
    uint8_t *file;
    size_t size, i;
    int k;
    random_picture(a, W, H, 0, 0);
    random_picture(b, W, H, 2, 1);
    CHECK(mosaic_flow_weights_calibrate(NULL, W, H, pictures, 1) == MOSAIC_FLOW_ERROR_NULL);
    CHECK(mosaic_flow_weights_calibrate(w, W, H, none, 1) == MOSAIC_FLOW_ERROR_NULL);
    CHECK(mosaic_flow_weights_calibrate(w, W, H, pictures, 0) == MOSAIC_FLOW_ERROR_OPTION);
    CHECK(mosaic_flow_weights_calibrate(w, 0, H, pictures, 1) == MOSAIC_FLOW_ERROR_SIZE);
    CHECK(w->calibration == NULL);
    for (k = 0; k < 3; k++) { /* float; integers with the header's scales; with their own */
        mosaic_flow_options o;
        mosaic_flow *f = NULL;
        memset(&o, 0, sizeof o);
        o.method = MOSAIC_FLOW_RAFT;
        o.weights = w;
        o.arithmetic = k == 0;
        o.iterations = 1;
        if (k == 2) CHECK(mosaic_flow_weights_calibrate(w, W, H, pictures, 1) == MOSAIC_FLOW_OK);
        CHECK(mosaic_flow_open(W, H, &o, &f) == MOSAIC_FLOW_OK);
        if (!f) return;
        CHECK(mosaic_flow_pair(f, a, W * 3, b, W * 3, NULL, out[k]) == MOSAIC_FLOW_OK);
        for (i = 0; k && i < W * H * 2; i++) error[k - 1] += fabs((double)out[k][i] - (double)out[0][i]) / (W * H * 2);
        mosaic_flow_close(f);
    }
    printf("mean difference with the header's scales %.5f, with its own %.5f px\n", error[0], error[1]);
    CHECK(error[1] < 0.01);
    size = mosaic_flow_weights_size(w);
    file = (uint8_t *)malloc(size);
    CHECK(mosaic_flow_weights_save(w, file, size) == MOSAIC_FLOW_OK);
    CHECK(mosaic_flow_weights_load(file, size, NULL, &again) == MOSAIC_FLOW_OK);
    CHECK(again && again->calibration && !memcmp(again->calibration, w->calibration, sizeof w->scales));
    mosaic_flow_weights_free(again);
    file[size - 4 * MOSAIC_FLOW__SCALES + 4 * MOSAIC_FLOW__SCALE_FLOW] = MOSAIC_FLOW__QFLOW + 1;
    mosaic_flow__little_put(file + 32, mosaic_flow__checksum(file + 40, size - 40), 8);
    CHECK(mosaic_flow_weights_load(file, size, NULL, &again) == MOSAIC_FLOW_ERROR_CORRUPT);
    file[24] = 9; /* one scale too few */
    CHECK(mosaic_flow_weights_load(file, size, NULL, &again) == MOSAIC_FLOW_ERROR_CORRUPT);
    free(file);
    mosaic_flow_weights_free(w);
}

/* The worst inputs that the packed weights of a network allow: each at its bound, with the sign of its weight. No sum may leave 32 bits on its way,
   and every kernel must give what 64-bit arithmetic gives. kind: 0 random weights, 1 of one sign, 2 all equal, 3 a few large ones among tiny ones. */
static void test_worst_inputs(int large, double gain, int kind)
{
    mosaic_flow_weights *w = random_weights(large, 99, gain);
    mosaic_flow__qmac kernels[5];
    mosaic_flow_options o;
    mosaic_flow *f = NULL;
    mosaic_flow__qraft *q;
    int layer, out, k, p, i, count = 0, level, sums = 0;
    long wrong = 0, over = 0;
    size_t n;
    for (layer = 0; layer < w->model->count; layer++) {
        const mosaic_flow__layer *l = &w->model->layers[layer];
        const size_t all = (size_t)l->in * l->height * l->width * l->out;
        float *v = (float *)(uintptr_t)w->weight[layer];
        for (n = 0; kind && l->name && n < all; n++)
            v[n] = kind == 1 ? (float)fabs((double)v[n]) : kind == 2 ? (layer % 2 ? 0.25f : -0.25f) : n % 97 ? v[n] / 256 : v[n] * 8;
    }
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_RAFT;
    o.weights = w;
    for (level = 1; level <= 1 + mosaic__cpu_level(); level++) {
        o.simd = level;
        CHECK(mosaic_flow_open(16, 16, &o, &f) == MOSAIC_FLOW_OK);
        if (!f) return;
        kernels[count++] = ((mosaic_flow__qraft *)f->method)->mac;
        if (level < 1 + mosaic__cpu_level()) mosaic_flow_close(f);
    }
#if MOSAIC_FLOW__Q128
    kernels[count++] = mosaic_flow__qmac_128;
#endif
    q = (mosaic_flow__qraft *)f->method;
    for (layer = 0; layer < w->model->count + 6; layer++) {
        const int extra = layer - w->model->count;
        const mosaic_flow__qconv *c = extra < 0   ? &q->conv[layer]
                                      : extra < 2 ? &q->gates[extra]
                                      : extra < 4 ? &q->news[extra - 2]
                                                  : &q->context[extra - 4];
        ptrdiff_t offset[64];
        int16_t *x;
        if (!c->weights) continue;
        x = (int16_t *)calloc((size_t)(c->segments * c->pairs * 2), sizeof *x);
        for (k = 0; k < c->segments; k++) offset[k] = (ptrdiff_t)k * c->pairs * 2;
        for (out = 0; out < c->out; out++) {
            const int16_t *weights = c->weights + (ptrdiff_t)(out / 16) * c->segments * c->pairs * 32 + out % 16 * 2;
            int sign;
            for (sign = -1; sign <= 1; sign += 2) {
                const int64_t half = c->part ? 1 << (c->part - 1) : 0;
                const int pieces = c->tiled ? c->segments / 16 : c->segments;
                int64_t total[4], segment[64] = {0}, part = half;
                int32_t acc[16][12 * 32], bias[16] = {0};
                mosaic_flow__qwork work;
                for (i = 0; i < 4; i++) total[i] = c->bias[out];
                for (k = 0; k < c->segments; k++) {
                    for (p = 0; p < c->pairs; p++)
                        for (i = 0; i < 2; i++) {
                            const int at = 2 * (k * c->pairs + p) + i, weight = weights[(k * c->pairs + p) * 32 + i];
                            /* of a tile a number is the sum of four inputs, or of two less two others */
                            const int low = c->low[at % c->in], high = c->high[at % c->in], all = c->tiled && k / pieces == 5,
                                      some = c->tiled && k / pieces != 5;
                            const int most = all    ? 4 * high
                                             : some ? 2 * high - 2 * low
                                                    : high,
                                      least = all    ? 4 * low
                                              : some ? 2 * low - 2 * high
                                                     : low;
                            x[at] = (int16_t)(weight * sign > 0 ? most : least);
                            over += x[at] != (weight * sign > 0 ? most : least);
                            part += (int64_t)weight * x[at];
                            over += part > INT32_MAX || part < -INT32_MAX;
                        }
                    if (!c->part && k + 1 < c->segments) continue;
                    segment[k / pieces] += part >> c->part;
                    part = half;
                    for (i = 0; i < 4; i++) {
                        /* in the outputs of a tile: from the first, the second or the third column and row on, and with which sign */
                        static const int row[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
                        const int place = k / pieces, a = row[i / 2][place / 4] * row[i % 2][place % 4];
                        if (!c->tiled) total[i] = c->bias[out] + segment[0];
                        if (c->tiled && k % pieces == pieces - 1) total[i] += llabs(segment[place] * a) * sign; /* at worst */
                        over += total[i] > INT32_MAX || total[i] < -INT32_MAX;
                    }
                }
                memset(&work, 0, sizeof work);
                work.x = x;
                work.offset = offset;
                work.segments = c->segments;
                work.pairs = c->pairs;
                work.part = c->part;
                work.blocks = 1;
                work.block = (ptrdiff_t)c->segments * c->pairs * 32;
                work.weights = c->weights + out / 16 * work.block;
                work.acc = acc[0];
                work.pieces = pieces;
                work.start = bias;
                if (!c->tiled) bias[out % 16] = c->bias[out];
                for (k = 0; k < count && out % 16 == layer % 16; k++) { /* of each block one output */
                    kernels[k](&work);
                    for (i = 0; i < 12; i++)
                        for (p = 0; p < (c->tiled ? 16 : 1); p++) wrong += acc[p][32 * i + out % 16] != bias[out % 16] + segment[p];
                }
                sums++;
            }
        }
        free(x);
    }
    CHECK_MSG(over == 0, "RAFT-%s, weights %d: %ld sums leave 32 bits", large ? "large" : "small", kind, over);
    CHECK_MSG(wrong == 0, "RAFT-%s, weights %d: %ld sums differ from 64-bit arithmetic", large ? "large" : "small", kind, wrong);
    CHECK(sums > 4000);
    mosaic_flow_close(f);
    mosaic_flow_weights_free(w);
}

/* A convolution in tiles: on every kernel what its definition says, number by number, and close to the convolution that its weights came from. */
static void test_tiles(void)
{
    static const int b[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}, a[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
    static const int sizes[][2] = {{8, 8}, {56, 24}, {113, 65}};
    mosaic_flow_weights *w = random_weights(0, 31, 1.5);
    int size, level;
    for (size = 0; size < 6; size++) /* of the flow's head, where the weights are easily found; then of the candidate, which takes two pieces */
        for (level = 0; level <= 1 + mosaic__cpu_level(); level++) { /* the 128-bit one, then all levels */
            mosaic_flow_options o;
            mosaic_flow *f = NULL;
            mosaic_flow__qraft *q;
            const mosaic_flow__qconv *c;
            const float *g;
            const mosaic_flow__qmap *map;
            int out_step, from;
            mosaic_flow__qop op;
            int x, y, i, j, k, n, out, layer, threads = 1 + level;
            int32_t *sums;
            long wrong = 0;
            double worst = 0, largest = 0;
            memset(&o, 0, sizeof o);
            o.method = MOSAIC_FLOW_RAFT;
            o.weights = w;
            o.simd = level;
            o.run = level > 2 ? test_run : NULL;
            o.run_ctx = &threads;
            CHECK(mosaic_flow_open(sizes[size % 3][0], sizes[size % 3][1], &o, &f) == MOSAIC_FLOW_OK);
            if (!f) return;
            q = (mosaic_flow__qraft *)f->method;
#if MOSAIC_FLOW__Q128
            if (level == 0) q->mac = mosaic_flow__qmac_128;
#endif
            layer = q->shape.model->update + MOSAIC_FLOW__HEAD1;
            c = size < 3 ? &q->conv[layer] : &q->news[0];
            map = &q->state;
            from = size < 3 ? q->hidden_channel : 0;
            out_step = c->blocks * 16;
            g = w->weight[layer];
            CHECK(c->tiled && c->in == (size < 3 ? 96 : 180) && c->segments == (size < 3 ? 16 : 32));
            for (y = 0; y < q->shape.h8; y++)
                for (x = 0; x < q->shape.w8; x++)
                    for (n = 0; n < c->in; n++)
                        map->at[y * map->pitch + x * map->channels + from + n] = (int16_t)(n % 3              ? test_range(c->low[n], c->high[n])
                                                                                           : test_range(0, 1) ? c->low[n]
                                                                                                              : c->high[n]);
            mosaic_flow__qop_start(q, &op, c, map, 0, MOSAIC_FLOW__QSUMS);
            sums = (int32_t *)malloc((size_t)op.width * (size_t)op.height * (size_t)out_step * sizeof *sums);
            op.sums = sums;
            op.sums_step = out_step;
            op.sums_block = 32;
            op.from_channel = from;
            mosaic_flow__qpass(q, &op, 0);
            for (y = 0; y < op.height; y++)
                for (x = 0; x < op.width; x++)
                    for (out = (x + y) % 5; out < c->out; out += 5) {
                        const int16_t *u = c->weights + (ptrdiff_t)(out / 16) * c->segments * c->pairs * 32 + out % 16 * 2;
                        int64_t sum = c->bias[out];
                        double exact = 0;
                        for (k = 0; k < 16; k++) {
                            int64_t m = 1 << (c->part - 1);
                            if (!a[y % 2][k / 4] || !a[x % 2][k % 4]) continue;
                            for (n = 0; n < c->in; n++) {
                                int v = 0;
                                for (i = 0; i < 4; i++)
                                    for (j = 0; j < 4; j++) {
                                        const int py = y / 2 * 2 - 1 + i, px = x / 2 * 2 - 1 + j;
                                        if (b[k / 4][i] && b[k % 4][j] && py >= 0 && px >= 0 && py < op.height && px < op.width)
                                            v += b[k / 4][i] * b[k % 4][j] * map->at[py * map->pitch + px * map->channels + from + n];
                                    }
                                m += (int64_t)v * u[(k * c->in / 2 + n / 2) * 32 + n % 2];
                                if ((n + 1) % (2 * c->pairs)) continue;
                                sum += a[y % 2][k / 4] * a[x % 2][k % 4] * (m >> c->part); /* a piece */
                                m = 1 << (c->part - 1);
                            }
                        }
                        wrong += sum != sums[((ptrdiff_t)y * op.width + x) * out_step + out];
                        if (size) continue;
                        for (n = 0; n < c->in; n++)
                            for (k = 0; k < 9; k++) {
                                const int py = y - 1 + k / 3, px = x - 1 + k % 3;
                                if (py >= 0 && px >= 0 && py < op.height && px < op.width)
                                    exact += (double)g[(out * c->in + n) * 9 + k] * map->at[py * map->pitch + px * map->channels + from + n];
                            }
                        exact = ldexp(exact, -MOSAIC_FLOW__QHIDDEN) + (double)w->bias[layer][out];
                        largest = fabs(exact) > largest ? fabs(exact) : largest;
                        exact -= ldexp((double)(sum - (1 << c->shift[out] >> 1)), -c->shift[out] - q->scale[MOSAIC_FLOW__SCALE_HEAD]);
                        worst = fabs(exact) > worst ? fabs(exact) : worst;
                    }
            CHECK_MSG(wrong == 0, "%d x %d, level %d: %ld numbers differ", op.width, op.height, level, wrong);
            CHECK_MSG(worst <= 0.001 * largest, "level %d: off by %g of %g", level, worst, largest);
            free(sums);
            mosaic_flow_close(f);
        }
    mosaic_flow_weights_free(w);
}

/* The proof is exact to the unit where the whole is one sum, and never lets a larger one pass. */
static void test_proof(void)
{
    int16_t weights[2 * 32];
    int32_t bias[16], shift[16], low[4] = {-4095, 0, -32767, -255}, high[4] = {4095, 32767, 32767, 255};
    mosaic_flow__qconv c;
    int round, i;
    memset(&c, 0, sizeof c);
    memset(bias, 0, sizeof bias);
    memset(weights, 0, sizeof weights);
    c.weights = weights;
    c.bias = bias;
    c.shift = shift;
    c.low = low;
    c.high = high;
    c.in = 4;
    c.out = 16;
    c.blocks = c.height = c.width = c.stride = c.segments = 1;
    c.pairs = 2;
    for (round = 0; round < 2000; round++) {
        int64_t most = 0, least = 0, bound;
        const int o = test_range(0, 15);
        for (i = 0; i < 4; i++) {
            const int v = round < 16 ? (round >> i & 1 ? 32767 : -32767) / 2 : test_range(-16000, 16000);
            weights[i / 2 * 32 + o * 2 + i % 2] = (int16_t)v;
            most += (int64_t)v * (v > 0 ? high[i] : low[i]);
            least += (int64_t)v * (v > 0 ? low[i] : high[i]);
        }
        bias[o] = test_range(-1000000, 1000000);
        most += bias[o] > 0 ? bias[o] : 0;
        least += bias[o] < 0 ? bias[o] : 0;
        bound = most > -least ? most : -least;
        CHECK(mosaic_flow__qproof(&c, o, 0, bound + 1) == 1); /* one unit more for the rounding of parts */
        CHECK(mosaic_flow__qproof(&c, o, 0, bound) == 0);
    }
    /* a part beyond 32 bits is refused, even if the limit would let it pass */
    for (i = 0; i < 4; i++) low[i] = -32767, high[i] = 32767, weights[i / 2 * 32 + i % 2] = 32767;
    CHECK(mosaic_flow__qproof(&c, 0, 0, INT64_MAX) == 0);
    c.part = 4;
    CHECK(mosaic_flow__qproof(&c, 0, 0, INT64_MAX) == 0);
    c.segments = 2; /* as two parts it is well */
    c.pairs = 1;
    CHECK(mosaic_flow__qproof(&c, 0, 0, INT32_MAX) == 1);
    CHECK(mosaic_flow__qproof(&c, 0, 0, INT32_MAX / 8) == 0);
    { /* a tile: sums of four inputs must fit 16 bits, the outputs are those of the worst of the four */
        int16_t one[16 * 32];
        memset(one, 0, sizeof one);
        for (i = 0; i < 16; i++) one[32 * i] = 100;
        c.weights = one;
        c.tiled = 1;
        c.in = 2;
        c.segments = 16;
        c.pairs = 1;
        bias[0] = 5;
        for (i = 0; i < 2; i++) low[i] = 0, high[i] = 8191;
        /* +-(2 * 8191 * 100 + 8) >> 4, each rounded outward, but four times 8191 at one of the nine places */
        CHECK(mosaic_flow__qproof(&c, 0, 0, 8 * (102387 + 1) + (204775 + 1) + 5 + 8) == 1);
        CHECK(mosaic_flow__qproof(&c, 0, 0, 8 * (102387 + 1) + (204775 + 1) - 9) == 0);
        high[1] = 8192;
        CHECK(mosaic_flow__qproof(&c, 0, 0, INT32_MAX) == 0);
        low[1] = -4000, high[1] = 8191;
        CHECK(mosaic_flow__qproof(&c, 0, 0, INT32_MAX) == 1);
        low[1] = -8192;
        CHECK(mosaic_flow__qproof(&c, 0, 0, INT32_MAX) == 0);
    }
}

/* Tables, instance norm and the square root against doubles. */
static void test_functions(const mosaic_flow_weights *w)
{
    mosaic_flow_options o;
    mosaic_flow *f = NULL;
    mosaic_flow__qraft *q;
    double worst = 0;
    int i;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_RAFT;
    o.weights = w;
    CHECK(mosaic_flow_open(40, 24, &o, &f) == MOSAIC_FLOW_OK);
    if (!f) return;
    q = (mosaic_flow__qraft *)f->method;
    for (i = -40000; i <= 40000; i++) {
        int32_t t[16], plain[16], k;
        const double d = fabs((double)mosaic_flow__qtanh(q->tanh_table, i) / 32767 - tanh(i / 4096.0));
        worst = d > worst ? d : worst;
        for (k = 0; k < 16; k++) t[k] = plain[k] = i * 16 + k * 4099;
        q->tanh16(q->tanh_table, t);
        mosaic_flow__qtanh16_plain(q->tanh_table, plain);
        CHECK(memcmp(t, plain, sizeof t) == 0);
    }
    CHECK_MSG(worst < 6e-5, "tanh is off by %g", worst);
    for (i = 0; i <= 1024; i++) {
        CHECK(fabs((q->exp_table[i] >> 16) / 32767.0 - exp(-i / 64.0)) < 2e-5);
        if (i < 1024) CHECK((q->exp_table[i] >> 16) - (q->exp_table[i] & 0xffff) == q->exp_table[i + 1] >> 16);
    }
    for (i = 0; i < 20000; i++) {
        const uint64_t v = ((uint64_t)test_random() << 32 | test_random()) >> test_range(0, 63), r = mosaic_flow__qroot(v);
        CHECK(r * r <= v && (r + 1 > 0xffffffffu || (r + 1) * (r + 1) > v));
    }
    for (i = 0; i < 68; i++) {
        const double e = 1e-5 * ldexp(1, i);
        CHECK_MSG(fabs((double)mosaic_flow__qepsilon(i) - e) <= 0.5 + e * 1e-9, "epsilon at 2^%d", i);
    }
    { /* instance norm: random sums of very different spreads and means, one channel constant, one huge */
        const mosaic_flow__qmap *to = &q->whole[0][0];
        const int width = to->width, height = to->height, channels = q->conv[0].out, n = width * height;
        mosaic_flow__qop op;
        int32_t *bits = q->conv[0].shift;
        int c, b;
        worst = 0;
        mosaic_flow__qop_start(q, &op, &q->conv[0], &q->image, to, MOSAIC_FLOW__QNORM);
        op.sums = q->sums;
        op.sums_step = q->conv[0].blocks * 16;
        op.relu = 0;
        for (b = 0; b < q->bands; b++) {
            memset(&q->stats[b], 0, sizeof q->stats[b]);
            for (c = 0; c < channels; c++) q->stats[b].low[c] = INT32_MAX, q->stats[b].high[c] = -INT32_MAX;
        }
        for (i = 0; i < n; i++)
            for (c = 0; c < channels; c++) {
                const int spread = c == 5 ? 0 : 1 << (4 + c % 26);
                const int32_t v = (c % 3 - 1) * (1 << 28) / (c + 1) + (c == 6 ? (i % 2 ? 0x3fffffff : -0x3fffffff) : test_range(-spread, spread));
                mosaic_flow__qstat *s = &q->stats[i % q->bands];
                q->sums[i * op.sums_step + c] = v;
                s->sum[c] += v;
                s->low[c] = v < s->low[c] ? v : s->low[c];
                s->high[c] = v > s->high[c] ? v : s->high[c];
            }
        mosaic_flow__qnormalise(q, &op);
        for (c = 0; c < channels; c++) {
            double mean = 0, variance = 0;
            for (i = 0; i < n; i++) mean += q->sums[i * op.sums_step + c];
            mean /= n;
            for (i = 0; i < n; i++) variance += (q->sums[i * op.sums_step + c] - mean) * (q->sums[i * op.sums_step + c] - mean);
            variance = variance / n + 1e-5 * ldexp(1, 2 * bits[c]);
            for (i = 0; i < n; i++) {
                const int16_t *v = to->at + i / width * to->pitch + (ptrdiff_t)(i % width) * to->channels + c;
                const double expected = (q->sums[i * op.sums_step + c] - mean) / sqrt(variance), got = (v[0] * 256 + v[to->low]) / 8192.0;
                const double d = fabs(got - expected);
                worst = d > worst ? d : worst;
            }
        }
        CHECK_MSG(worst < 4e-4, "instance norm is off by %g", worst);
    }
    mosaic_flow_close(f);
}

/* The integers are the float network: with random weights after a few iterations the vectors are close. */
static void test_close_to_float(int large)
{
    mosaic_flow_weights *w = random_weights(large, 5, 1.2);
    enum { W = 96, H = 64 };
    static uint8_t a[W * H * 3], b[W * H * 3];
    static float out[2][W * H * 2];
    double sum = 0, size = 0;
    int i;
    random_picture(a, W, H, 0, 0);
    random_picture(b, W, H, 2, 1);
    for (i = 0; i < 2; i++) {
        mosaic_flow_options o;
        mosaic_flow *f = NULL;
        memset(&o, 0, sizeof o);
        o.method = MOSAIC_FLOW_RAFT;
        o.weights = w;
        o.arithmetic = i;
        o.iterations = 2;
        CHECK(mosaic_flow_open(W, H, &o, &f) == MOSAIC_FLOW_OK);
        if (!f) return;
        CHECK(mosaic_flow_pair(f, a, W * 3, b, W * 3, NULL, out[i]) == MOSAIC_FLOW_OK);
        mosaic_flow_close(f);
    }
    for (i = 0; i < W * H * 2; i++) {
        sum += fabs((double)out[0][i] - (double)out[1][i]);
        size += fabs((double)out[1][i]);
    }
    mosaic_flow_weights_free(w);
    printf("RAFT-%s: mean |v| %.4f, mean difference %.5f\n", large ? "large" : "small", size / (W * H * 2), sum / (W * H * 2));
    CHECK_MSG(sum < 0.004 * W * H * 2, "mean difference %g px of %g", sum / (W * H * 2), size / (W * H * 2));
}

int main(void)
{
    int large, kind;
    mosaic_flow_weights *w = random_weights(0, 3, 1.7);
    test_proof();
    test_tiles();
    test_functions(w);
    mosaic_flow_weights_free(w);
    for (large = 0; large < 2; large++) {
        test_close_to_float(large);
        for (kind = large; kind < 4 - 2 * large; kind++) test_worst_inputs(large, 1.7, kind);
    }
    test_calibration();
    test_stream();
    test_same_bits();
    return test_end("flow integer");
}
