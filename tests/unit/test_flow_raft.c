/* RAFT in float32: every layer against a plain implementation in double precision, all kernels against each other, and the files that weights
   come in. */
#include "../test.h"
#include "../threads.h"
#include <math.h>
/* What reads weight files takes and gives back the same few megabytes each time; thousands of files are read here. */
static void *kept;
static size_t kept_size;
static int kept_used;

static void *test_malloc(size_t size)
{
    if (!kept || kept_used || size != kept_size) {
        if (kept || size < 3500000 || size > 3900000) return malloc(size);
        kept = malloc(size);
        kept_size = size;
    }
    kept_used = 1;
    return kept;
}

static void test_free(void *p)
{
    if (p && p == kept)
        kept_used = 0;
    else
        free(p);
}

#define MOSAIC_FLOW_MALLOC(ctx, size) ((void)(ctx), test_malloc(size))
#define MOSAIC_FLOW_FREE(ctx, p) ((void)(ctx), test_free(p))
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../../mosaic_flow.h"
#include "../raft_files.h"

static int best_level(void)
{
#if MOSAIC_FLOW__SIMD
    return mosaic__cpu_level();
#else
    return 0;
#endif
}

/* A file of the tensors in one of the formats, as weights. */
static mosaic_flow_weights *load(const raft_tensors *t, int format, int type)
{
    raft_file f;
    mosaic_flow_weights *w = NULL;
    mosaic_flow_result result;
    memset(&f, 0, sizeof f);
    if (format == 0) raft_write_legacy(&f, t);
    if (format == 1) raft_write_zip(&f, t, type);
    if (format == 2) raft_write_safetensors(&f, t, type);
    result = mosaic_flow_weights_load(f.bytes, f.size, NULL, &w);
    CHECK_MSG(result == MOSAIC_FLOW_OK, "format %d: %s", format, mosaic_flow_result_string(result));
    free(f.bytes);
    if (!w) abort();
    return w;
}

/* ---- arithmetic ---- */

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static void fused(void)
{
    int i, wrong = 0;
    for (i = 0; i < 1000000; i++) {
        uint32_t a = test_random(), b = test_random(), c = test_random();
        float x, y, z, got, want;
        if (i & 1) a &= 0xff800fffu, b &= 0xfffff000u; /* short numbers: products that cancel and tie */
        if (i & 2) b = (b & 0x807fffffu) | ((254u - (a >> 23 & 255u)) & 255u) << 23;
        if (i & 4) c = (c & 0x807fffffu) | (120u + test_random() % 16u) << 23;
        if (i & 8) a &= 0x9fffffffu, b &= 0x9fffffffu; /* tiny results */
        x = from_bits(a), y = from_bits(b), z = from_bits(c);
        got = mosaic_flow__fma(x, y, z);
        want = fmaf(x, y, z);
        if (memcmp(&got, &want, sizeof got) != 0 && (got == got || want == want)) wrong++;
    }
    CHECK_MSG(wrong == 0, "%d of 1000000 emulated multiply-adds", wrong);
}

/* The functions against libm in double, and every kernel against the scalar one, over all magnitudes. */
static void functions(void)
{
    enum { N = 1 << 16 };
    static float x[N], h[N], zr[2][2 * N], out[2][N], t[2][N];
    const mosaic_flow__kernels *plain = &mosaic_flow__kernels_plain;
    double worst_sigmoid = 0, worst_tanh = 0;
    int i, level;
    for (i = 0; i < N; i++) {
        const uint32_t bits = (uint32_t)i * 65536u + test_random() % 65536u;
        x[i] = from_bits(bits);
        if (!(x[i] - x[i] == 0)) x[i] = 1;
        h[i] = raft_uniform();
    }
    for (i = 0; i < N; i++) zr[0][i % 16 + i / 16 * 32] = x[i], zr[0][i % 16 + i / 16 * 32 + 16] = x[N - 1 - i];
    memcpy(zr[1], zr[0], sizeof zr[0]);
    plain->tanh(x, 16, t[0], 16, N / 16, 16);
    plain->gates(zr[0], 32, h, out[0], 16, N / 16, 16);
    for (i = 0; i < N; i++) {
        const double want = tanh((double)x[i]), gate = 1 / (1 + exp(-(double)x[i]));
        const double e = fabs((double)t[0][i] - want) / (fabs(want) > 1e-37 ? fabs(want) : 1e-37),
                     g = fabs((double)zr[0][i % 16 + i / 16 * 32] - gate) / (gate > 1e-30 ? gate : 1e-30);
        if (e > worst_tanh) worst_tanh = e;
        if (g > worst_sigmoid && x[i] > -80) worst_sigmoid = g;
    }
    CHECK_MSG(worst_tanh < 5e-7, "tanh is off by %g", worst_tanh);
    CHECK_MSG(worst_sigmoid < 5e-7, "sigmoid is off by %g", worst_sigmoid);
    for (level = 0; level <= best_level(); level++) {
        const mosaic_flow__kernels *k = mosaic_flow__float_kernels(level);
        static float z[2 * N];
        memcpy(z, zr[1], sizeof z);
        k->tanh(x, 16, t[1], 16, N / 16, 16);
        k->gates(z, 32, h, out[1], 16, N / 16, 16);
        CHECK(memcmp(t[0], t[1], sizeof t[0]) == 0);
        CHECK(memcmp(z, zr[0], sizeof z) == 0);
        CHECK(memcmp(out[0], out[1], sizeof out[0]) == 0);
    }
}

/* ---- the network in double precision, channels first, as in the publication ---- */

typedef struct tensor {
    int channels, height, width;
    double *at;
} tensor;

static tensor make(int channels, int height, int width)
{
    tensor t;
    t.channels = channels, t.height = height, t.width = width;
    t.at = (double *)calloc((size_t)channels * (size_t)height * (size_t)width + 1, sizeof(double));
    return t;
}

static double *at(const tensor *t, int c, int y, int x) { return t->at + ((size_t)c * (size_t)t->height + (size_t)y) * (size_t)t->width + (size_t)x; }

static const raft_tensors *model_tensors;
static int model_index;

static tensor convolve(const tensor *in, int layer, int relu)
{
    const mosaic_flow__layer *l = &mosaic_flow__models[model_index].layers[layer];
    char name[112];
    const raft_tensor *w, *b;
    tensor out = make(l->out, (in->height + l->stride - 1) / l->stride, (in->width + l->stride - 1) / l->stride);
    int o, i, y, x, ky, kx;
    snprintf(name, sizeof name, "module.%s.weight", l->name);
    w = raft_find(model_tensors, name);
    snprintf(name, sizeof name, "module.%s.bias", l->name);
    b = raft_find(model_tensors, name);
    for (o = 0; o < out.channels; o++)
        for (y = 0; y < out.height; y++)
            for (x = 0; x < out.width; x++) {
                double sum = (double)b->data[o];
                for (i = 0; i < in->channels; i++)
                    for (ky = 0; ky < l->height; ky++)
                        for (kx = 0; kx < l->width; kx++) {
                            const int sy = y * l->stride + ky - l->height / 2, sx = x * l->stride + kx - l->width / 2;
                            if (sy < 0 || sx < 0 || sy >= in->height || sx >= in->width) continue;
                            sum += (double)w->data[((o * l->in + i) * l->height + ky) * l->width + kx] * *at(in, i, sy, sx);
                        }
                *at(&out, o, y, x) = sum;
            }
    if (l->norm == 2) {
        const raft_tensor *n[4];
        static const char *const suffix[4] = {"weight", "bias", "running_mean", "running_var"};
        for (i = 0; i < 4; i++) {
            char *dot;
            snprintf(name, sizeof name, "module.%s", l->name);
            if (strcmp(name + strlen(name) - 2, ".0") == 0)
                name[strlen(name) - 1] = '1';
            else
                memcpy(name + strlen(name) - 5, "norm", 4);
            dot = name + strlen(name);
            snprintf(dot, sizeof name - (size_t)(dot - name), ".%s", suffix[i]);
            n[i] = raft_find(model_tensors, name);
        }
        for (o = 0; o < out.channels; o++)
            for (i = 0; i < out.height * out.width; i++)
                at(&out, o, 0, 0)[i] = (at(&out, o, 0, 0)[i] - (double)n[2]->data[o]) / sqrt((double)n[3]->data[o] + 1e-5) * (double)n[0]->data[o] +
                                       (double)n[1]->data[o];
    }
    for (o = 0; o < out.channels; o++) {
        const int count = out.height * out.width;
        double *p = at(&out, o, 0, 0), mean = 0, variance = 0;
        if (l->norm == 1) {
            for (i = 0; i < count; i++) mean += p[i] / count;
            for (i = 0; i < count; i++) variance += (p[i] - mean) * (p[i] - mean) / count;
            for (i = 0; i < count; i++) p[i] = (p[i] - mean) / sqrt(variance + 1e-5);
        }
        for (i = 0; i < count && relu; i++) p[i] = p[i] > 0 ? p[i] : 0;
    }
    return out;
}

static void replace(tensor *t, tensor by)
{
    free(t->at);
    *t = by;
}

static tensor encode(const tensor *picture, int layer)
{
    const int convolutions = mosaic_flow__models[model_index].bottleneck;
    tensor x = convolve(picture, layer++, 1);
    int stage, block, i;
    for (stage = 0; stage < 3; stage++)
        for (block = 0; block < 2; block++) {
            tensor y = convolve(&x, layer++, 1);
            for (i = 1; i < convolutions; i++) replace(&y, convolve(&y, layer++, 1));
            if (stage > 0 && block == 0) replace(&x, convolve(&x, layer++, 0));
            for (i = 0; i < y.channels * y.height * y.width; i++) y.at[i] = y.at[i] + x.at[i] > 0 ? y.at[i] + x.at[i] : 0;
            replace(&x, y);
        }
    replace(&x, convolve(&x, layer, 0));
    return x;
}

static tensor joined(const tensor *a, const tensor *b)
{
    tensor t = make(a->channels + b->channels, a->height, a->width);
    memcpy(t.at, a->at, sizeof(double) * (size_t)(a->channels * a->height * a->width));
    memcpy(at(&t, a->channels, 0, 0), b->at, sizeof(double) * (size_t)(b->channels * b->height * b->width));
    return t;
}

/* What a map of the header holds, in channels from `first` on, against the truth: the largest difference by the largest value. */
static void compare(const char *what, const mosaic_flow__map *map, int first, const tensor *want, double bound)
{
    double worst = 0, largest = 1e-30;
    int c, y, x;
    CHECK_MSG(map->width == want->width && map->height == want->height, "%s: %d x %d, not %d x %d", what, map->width, map->height, want->width,
              want->height);
    for (c = 0; c < want->channels; c++)
        for (y = 0; y < want->height; y++)
            for (x = 0; x < want->width; x++) {
                const double d = fabs((double)map->at[(size_t)y * map->row + (size_t)x * map->pixel + (size_t)(first + c)] - *at(want, c, y, x));
                if (!(d <= worst)) worst = d;
                if (fabs(*at(want, c, y, x)) > largest) largest = fabs(*at(want, c, y, x));
            }
    CHECK_MSG(worst <= bound * largest, "%s: off by %g of %g", what, worst, largest);
}

static double level_at(const tensor *features, int level, int c, int y, int x)
{
    double sum = 0;
    int i, k;
    for (i = 0; i < 1 << level; i++)
        for (k = 0; k < 1 << level; k++) sum += *at(features, c, (y << level) + i, (x << level) + k);
    return sum / (1 << 2 * level);
}

/* Correlations around where each pixel went; the authors' order of channels is dx, dy, the header's dy, dx. */
static tensor look_up(const tensor *a, const tensor *b, const tensor *flow, int header_order)
{
    const int r = mosaic_flow__models[model_index].radius, side = 2 * r + 1;
    tensor out = make(4 * side * side, a->height, a->width);
    int level, y, x, dy, dx, i, k, c;
    for (level = 0; level < 4; level++)
        for (y = 0; y < a->height; y++)
            for (x = 0; x < a->width; x++) {
                const double cx = (x + *at(flow, 0, y, x)) / (1 << level), cy = (y + *at(flow, 1, y, x)) / (1 << level);
                for (dy = 0; dy < side; dy++)
                    for (dx = 0; dx < side; dx++) {
                        double sum = 0;
                        for (i = 0; i < 2; i++)
                            for (k = 0; k < 2; k++) {
                                const int px = (int)floor(cx) + dx - r + k, py = (int)floor(cy) + dy - r + i;
                                const double fx = cx - floor(cx), fy = cy - floor(cy);
                                double dot = 0;
                                if (px < 0 || py < 0 || px >= a->width >> level || py >= a->height >> level) continue;
                                for (c = 0; c < a->channels; c++) dot += *at(a, c, y, x) * level_at(b, level, c, py, px);
                                sum += (k ? fx : 1 - fx) * (i ? fy : 1 - fy) * dot / sqrt((double)a->channels);
                            }
                        *at(&out, level * side * side + (header_order ? dy * side + dx : dx * side + dy), y, x) = sum;
                    }
            }
    return out;
}

static void squash(tensor *t, int hyperbolic)
{
    int i;
    for (i = 0; i < t->channels * t->height * t->width; i++) t->at[i] = hyperbolic ? tanh(t->at[i]) : 1 / (1 + exp(-t->at[i]));
}

static tensor picture_tensor(const uint8_t *rgb, int width, int height, int padding)
{
    const int w = (width + 7) / 8 * 8, h = (height + 7) / 8 * 8, left = (w - width) / 2, top = padding ? 0 : (h - height) / 2;
    tensor t = make(3, h, w);
    int c, y, x;
    for (c = 0; c < 3; c++)
        for (y = 0; y < h; y++)
            for (x = 0; x < w; x++) {
                const int sx = x - left < 0        ? 0
                               : x - left >= width ? width - 1
                                                   : x - left,
                          sy = y - top < 0         ? 0
                               : y - top >= height ? height - 1
                                                   : y - top;
                *at(&t, c, y, x) = 2 * (rgb[(sy * width + sx) * 3 + c] / 255.0) - 1;
            }
    return t;
}

/* Runs the header and the plain network side by side. */
static void layers(int model, int width, int height, int iterations, int padding, const mosaic_flow_weights *weights)
{
    const mosaic_flow__model *m = &mosaic_flow__models[model];
    const int u = m->update, pixels = width * height;
    uint8_t *rgb[2];
    float *out = (float *)malloc((size_t)pixels * 2 * sizeof(float)), *init;
    tensor picture[2], features[2], context, hidden, input, flow, corr, mask;
    mosaic_flow_options o;
    mosaic_flow *stream = NULL;
    const mosaic_flow__float *f;
    int i, k, y, x, w8, h8, n;
    double worst = 0, largest = 1e-30;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_RAFT;
    o.weights = weights;
    o.arithmetic = 1;
    o.iterations = iterations;
    o.padding = padding;
    for (k = 0; k < 2; k++) {
        rgb[k] = (uint8_t *)malloc((size_t)pixels * 3);
        for (i = 0; i < pixels * 3; i++)
            rgb[k][i] = (uint8_t)(128 + 60 * sin(i / 3 % width * .4 + i % 3) + 60 * cos(i / 3 / width * .5 + k) + test_range(-7, 7));
    }
    CHECK(mosaic_flow_open(width, height, &o, &stream) == MOSAIC_FLOW_OK);
    if (!stream) return;
    mosaic_flow_init_size(stream, &w8, &h8);
    n = w8 * h8;
    init = (float *)malloc((size_t)n * 2 * sizeof(float));
    for (i = 0; i < 2 * n; i++) init[i] = 1.5f * raft_uniform();
    CHECK(mosaic_flow_pair(stream, rgb[0], (size_t)width * 3, rgb[1], (size_t)width * 3, init, out) == MOSAIC_FLOW_OK);
    f = (const mosaic_flow__float *)stream->method;

    for (k = 0; k < 2; k++) {
        picture[k] = picture_tensor(rgb[k], width, height, padding);
        features[k] = encode(&picture[k], 0);
        compare("features", &f->features[k], 0, &features[k], 2e-5);
    }
    context = encode(&picture[0], m->cnet);
    compare("context", &f->context[0], 0, &context, 2e-5);
    hidden = make(m->hidden, h8, w8);
    input = make(m->context, h8, w8);
    flow = make(2, h8, w8);
    for (i = 0; i < m->hidden * n; i++) hidden.at[i] = tanh(context.at[i]);
    for (i = 0; i < m->context * n; i++) input.at[i] = context.at[m->hidden * n + i] > 0 ? context.at[m->hidden * n + i] : 0;
    for (i = 0; i < n; i++) flow.at[i] = (double)init[2 * i], flow.at[n + i] = (double)init[2 * i + 1];
    for (k = 0; k < iterations; k++) {
        const int last = k == iterations - 1, recurrent = model + 1;
        tensor own, c, g, both, motion, x_in, z, r, q, reset, state, d;
        own = look_up(&features[0], &features[1], &flow, 1);
        corr = look_up(&features[0], &features[1], &flow, 0);
        if (last) compare("lookup", &f->corr, 0, &own, 1e-4);
        free(own.at);
        c = convolve(&corr, u + MOSAIC_FLOW__CORR1, 1);
        if (model) replace(&c, convolve(&c, u + MOSAIC_FLOW__CORR2, 1));
        if (last) compare("correlation branch", &f->merged, 0, &c, 1e-4);
        g = convolve(&flow, u + MOSAIC_FLOW__FLOW1, 1);
        replace(&g, convolve(&g, u + MOSAIC_FLOW__FLOW2, 1));
        if (last) compare("flow branch", &f->merged, c.channels, &g, 1e-4);
        both = joined(&c, &g);
        motion = convolve(&both, u + MOSAIC_FLOW__MERGE, 1);
        if (last) compare("motion", &f->state, m->hidden, &motion, 1e-4);
        replace(&motion, joined(&motion, &flow));
        x_in = joined(&input, &motion);
        for (i = 0; i < recurrent; i++) {
            const int first = u + (i ? MOSAIC_FLOW__Z2 : MOSAIC_FLOW__Z1);
            int j;
            state = joined(&hidden, &x_in);
            z = convolve(&state, first, 0);
            r = convolve(&state, first + 1, 0);
            squash(&z, 0);
            squash(&r, 0);
            reset = make(m->hidden, h8, w8);
            for (j = 0; j < m->hidden * n; j++) reset.at[j] = r.at[j] * hidden.at[j];
            replace(&state, joined(&reset, &x_in));
            q = convolve(&state, first + 2, 0);
            if (last && i == recurrent - 1) compare("update gate", &f->zr, 0, &z, 1e-4);
            if (last && i == recurrent - 1) compare("candidate", &f->q, 0, &q, 1e-4);
            squash(&q, 1);
            for (j = 0; j < m->hidden * n; j++) hidden.at[j] = (1 - z.at[j]) * hidden.at[j] + z.at[j] * q.at[j];
            free(z.at), free(r.at), free(q.at), free(reset.at), free(state.at);
        }
        if (last) compare("hidden state", &f->hidden, 0, &hidden, 1e-4);
        d = convolve(&hidden, u + MOSAIC_FLOW__HEAD1, 1);
        replace(&d, convolve(&d, u + MOSAIC_FLOW__HEAD2, 0));
        for (i = 0; i < 2 * n; i++) flow.at[i] += d.at[i];
        if (last) compare("flow", &f->flow, 0, &flow, 1e-4);
        free(corr.at), free(c.at), free(g.at), free(both.at), free(motion.at), free(x_in.at), free(d.at);
    }
    mask = make(1, 1, 1);
    if (model) {
        replace(&mask, convolve(&hidden, u + MOSAIC_FLOW__MASK1, 1));
        replace(&mask, convolve(&mask, u + MOSAIC_FLOW__MASK2, 0));
    }
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++) {
            const int py = y + f->raft.top, px = x + f->raft.left;
            for (k = 0; k < 2; k++) {
                double v = 0, sum = 0;
                if (model) {
                    for (i = 0; i < 9; i++) {
                        const int fy = py / 8 + i / 3 - 1, fx = px / 8 + i % 3 - 1;
                        const double weight = exp(.25 * *at(&mask, i * 64 + py % 8 * 8 + px % 8, py / 8, px / 8));
                        sum += weight;
                        if (fy >= 0 && fx >= 0 && fy < h8 && fx < w8) v += weight * 8 * *at(&flow, k, fy, fx);
                    }
                    v /= sum;
                } else {
                    const double sy = h8 > 1 ? py * (double)(h8 - 1) / (8 * h8 - 1) : 0, sx = w8 > 1 ? px * (double)(w8 - 1) / (8 * w8 - 1) : 0;
                    const int iy = (int)sy, ix = (int)sx, jy = iy + 1 < h8 ? iy + 1 : iy, jx = ix + 1 < w8 ? ix + 1 : ix;
                    v = 8 * ((*at(&flow, k, iy, ix) * (1 - sx + ix) + *at(&flow, k, iy, jx) * (sx - ix)) * (1 - sy + iy) +
                             (*at(&flow, k, jy, ix) * (1 - sx + ix) + *at(&flow, k, jy, jx) * (sx - ix)) * (sy - iy));
                }
                if (!(fabs(v - (double)out[(y * width + x) * 2 + k]) <= worst)) worst = fabs(v - (double)out[(y * width + x) * 2 + k]);
                if (fabs(v) > largest) largest = fabs(v);
            }
        }
    CHECK_MSG(worst <= 1e-4 * largest, "%s %d x %d: result off by %g of %g", m->name, width, height, worst, largest);
    CHECK_MSG(largest > 1, "vectors are too short to tell: %g", largest);
    mosaic_flow_close(stream);
    for (k = 0; k < 2; k++) free(rgb[k]), free(picture[k].at), free(features[k].at);
    free(context.at), free(hidden.at), free(input.at), free(flow.at), free(mask.at), free(init), free(out);
}

/* ---- one answer ---- */

/* Three frames of a stream and one pair; all that comes out goes to `hash`. */
static uint64_t answer(const mosaic_flow_weights *weights, int width, int height, int level, int threads, size_t max_memory, int warm)
{
    mosaic_flow_options o;
    mosaic_flow *stream = NULL;
    const mosaic_flow_field *field;
    uint8_t *rgb = (uint8_t *)malloc((size_t)(width * height * 3));
    float *out = (float *)malloc((size_t)(width * height * 2) * sizeof(float));
    uint64_t hash = 1;
    int frame, i;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_RAFT;
    o.weights = weights;
    o.arithmetic = 1;
    o.iterations = 2;
    o.simd = level;
    o.max_memory = max_memory;
    o.warm_start = warm;
    if (threads) o.run = test_run, o.run_ctx = &threads;
    if (mosaic_flow_open(width, height, &o, &stream) != MOSAIC_FLOW_OK) abort();
    for (frame = 0; frame < 3; frame++) {
        for (i = 0; i < width * height * 3; i++) rgb[i] = (uint8_t)((i * 7 + frame * 31 + (i / 3 % width + frame) * (i / 3 / width) * 5) & 255);
        if (mosaic_flow_push(stream, rgb, (size_t)width * 3, &field) != MOSAIC_FLOW_OK) abort();
        CHECK((field == NULL) == (frame == 0));
        if (!field) continue;
        hash = hash * 31 + mosaic_flow__checksum((const uint8_t *)field->forward, (size_t)(width * height) * 4);
        hash = hash * 31 + mosaic_flow__checksum((const uint8_t *)field->backward, (size_t)(width * height) * 4);
    }
    if (mosaic_flow_pair(stream, rgb, (size_t)width * 3, rgb, (size_t)width * 3, NULL, out) != MOSAIC_FLOW_OK) abort();
    hash = hash * 31 + mosaic_flow__checksum((const uint8_t *)out, (size_t)(width * height * 2) * sizeof(float));
    mosaic_flow_close(stream);
    free(rgb), free(out);
    return hash;
}

static void one_answer(const mosaic_flow_weights *weights, int model)
{
    static const int sizes[][2] = {{1, 1}, {1, 90}, {170, 1}, {8, 8}, {9, 15}, {33, 17}, {104, 10}};
    int i, level, threads;
    for (i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++) {
        const int w = sizes[i][0], h = sizes[i][1];
        uint64_t want;
        if (model && w * h > 200) continue; /* seconds in scalar code */
        want = answer(weights, w, h, 1, 0, 0, 0);
        for (level = 0; level <= best_level() + 1; level++) {
            if (level != 1) CHECK_MSG(answer(weights, w, h, level, 0, 0, 0) == want, "model %d, %d x %d, level %d", model, w, h, level);
            if (level != 1 || w == 33)
                CHECK_MSG(answer(weights, w, h, level, 0, 1, 0) == want, "model %d, %d x %d, level %d, on demand", model, w, h, level);
        }
        if (i < 4) continue;
        for (threads = 1; threads <= 5; threads++)
            CHECK_MSG(answer(weights, w, h, 0, threads, threads & 1, 0) == want, "%d x %d, %d threads", w, h, threads);
        CHECK(answer(weights, w, h, 0, 0, 0, 1) == answer(weights, w, h, best_level() ? 2 : 1, 3, 1, 1));
    }
    CHECK(answer(weights, 64, 40, 0, 0, 0, 1) != answer(weights, 64, 40, 0, 0, 0, 0));
}

/* ---- warm start ---- */

static void carried(void)
{
    enum { W = 10, H = 6, N = W * H };
    float last[N * 2], distance[N];
    int32_t source[2 * N];
    mosaic_flow__raft raft;
    int i, direction;
    memset(&raft, 0, sizeof raft);
    raft.w8 = W;
    raft.h8 = H;
    for (direction = 0; direction < 2; direction++) {
        /* Everything stands still but one pixel, which goes two to the right (backward motion points to where it came from). */
        const float sign = direction ? -1.0f : 1.0f;
        memset(last, 0, sizeof last);
        last[2 * (3 * W + 4)] = 2.25f * sign;
        last[2 * (3 * W + 4) + 1] = 0.25f * sign;
        mosaic_flow__carry(&raft, direction, last, source, distance);
        /* Where it arrives, what stands still is nearer; the place it left is filled from above. */
        for (i = 0; i < N; i++) CHECK_MSG(source[i] != N && source[i] != 3 * W + 4, "pixel %d", i);
        CHECK(source[3 * W + 4] == 2 * W + 4 && source[3 * W + 6] == 3 * W + 6 && source[0] == W + 1);
        last[2 * (3 * W + 4)] = 2 * sign;
        last[2 * (3 * W + 4) + 1] = 0;
        last[2 * (3 * W + 6)] = 50; /* leaves the picture */
        mosaic_flow__carry(&raft, direction, last, source, distance);
        for (i = 0; i < N; i++) CHECK_MSG((source[i] == 3 * W + 4) == (i == 3 * W + 6), "pixel %d", i);
    }
    for (i = 0; i < N * 2; i++) last[i] = i % 4 ? 1e30f : -1e30f;
    last[0] = (float)NAN;
    mosaic_flow__carry(&raft, 0, last, source, distance);
    for (i = 0; i < N; i++) CHECK(source[i] == N);
}

/* ---- weight files ---- */

static void same_weights(const mosaic_flow_weights *a, const mosaic_flow_weights *b)
{
    CHECK(a->parameters == b->parameters && a->model == b->model);
    CHECK(memcmp(a->values, b->values, a->parameters * sizeof(float)) == 0);
}

static mosaic_flow_result try_load(const uint8_t *bytes, size_t size)
{
    static uint8_t room[4200000];
    mosaic_flow_weights *w = NULL;
    /* At the very end of an array: reading a byte beyond is seen by the sanitizers. */
    uint8_t *copy = room + sizeof room - size;
    mosaic_flow_result result;
    memcpy(copy, bytes, size);
    result = mosaic_flow_weights_load(copy, size, NULL, &w);
    CHECK((result == MOSAIC_FLOW_OK) == (w != NULL));
    mosaic_flow_weights_free(w);
    return result;
}

static int is_file_error(mosaic_flow_result r) { return r >= MOSAIC_FLOW_ERROR_NAN && r <= MOSAIC_FLOW_ERROR_TENSOR; }

static void write_file(raft_file *f, const raft_tensors *t, int format)
{
    memset(f, 0, sizeof *f);
    if (format == 0) raft_write_legacy(f, t);
    if (format == 1) raft_write_zip(f, t, 0);
    if (format == 2) raft_write_safetensors(f, t, 0);
}

static void files(const raft_tensors *princeton, const mosaic_flow_weights *want)
{
    static const char *const formats[3] = {"legacy .pth", "zip .pth", "safetensors"};
    raft_tensors torchvision, few;
    mosaic_flow_weights *w = NULL;
    mosaic_flow_weights_info info;
    raft_file f;
    size_t i, k, size;
    uint8_t *flat;
    int format, type, j;

    /* Every format gives the same numbers, under either set of names. */
    raft_generate(&torchvision, 0, 1, 1000);
    for (j = 0; j < torchvision.count; j++) memcpy(torchvision.tensor[j].data, princeton->tensor[j].data, princeton->tensor[j].count * sizeof(float));
    for (format = 0; format < 3; format++) {
        w = load(princeton, format, 0);
        same_weights(w, want);
        CHECK(mosaic_flow_weights_describe(w, &info) == MOSAIC_FLOW_OK);
        CHECK(strcmp(info.format, formats[format]) == 0 && strcmp(info.names, "princeton") == 0 && strcmp(info.model, "RAFT-small") == 0);
        CHECK(info.parameters == 990162 && info.tensors == 106);
        mosaic_flow_weights_free(w);
        w = load(&torchvision, format, 0);
        same_weights(w, want);
        CHECK(mosaic_flow_weights_describe(w, &info) == MOSAIC_FLOW_OK && strcmp(info.names, "torchvision") == 0);
        mosaic_flow_weights_free(w);
    }
    raft_release(&torchvision);

    /* Short numbers: what was cut off is at most a part in 2^10, or 2^7. */
    for (format = 1; format < 3; format++)
        for (type = 1; type < 4; type++) {
            double worst = 0;
            w = load(princeton, format, type);
            for (i = 0; i < w->parameters; i++) {
                const double d = fabs((double)w->values[i] - (double)want->values[i]), v = fabs((double)want->values[i]);
                if (d - (type == 1 ? 6e-8 : 0) > worst * v) worst = (d - (type == 1 ? 6e-8 : 0)) / v;
            }
            CHECK_MSG(type == 3 ? worst == 0 : worst > 1e-5 && worst < (type == 1 ? 1.0 / 1024 : 1.0 / 128), "type %d: %g", type, worst);
            mosaic_flow_weights_free(w);
        }

    /* The flat file: round trip, a checksum over every byte, calibration. */
    size = mosaic_flow_weights_size(want);
    flat = (uint8_t *)malloc(size + 40);
    CHECK(size == 40 + 4 * 990162u);
    CHECK(mosaic_flow_weights_save(want, flat, size - 1) == MOSAIC_FLOW_ERROR_SIZE);
    CHECK(mosaic_flow_weights_save(want, flat, size) == MOSAIC_FLOW_OK);
    CHECK(mosaic_flow_weights_load(flat, size, NULL, &w) == MOSAIC_FLOW_OK);
    if (w) same_weights(w, want);
    CHECK(mosaic_flow_weights_describe(w, &info) == MOSAIC_FLOW_OK && strcmp(info.format, "mosaic") == 0 && !info.calibrated);
    mosaic_flow_weights_free(w);
    mosaic_flow__little_put(flat + 24, 10, 8);
    for (j = 0; j < 10; j++) mosaic_flow__little_put(flat + size + 4 * (size_t)j, (uint64_t)j, 4);
    mosaic_flow__little_put(flat + 32, mosaic_flow__checksum(flat + 40, size + 40 - 40), 8);
    CHECK(mosaic_flow_weights_load(flat, size + 40, NULL, &w) == MOSAIC_FLOW_OK);
    if (w) {
        uint8_t *again = (uint8_t *)malloc(size + 40);
        CHECK(w->calibration_count == 10);
        for (j = 0; j < 10; j++) CHECK(w->calibration[j] == j);
        CHECK(mosaic_flow_weights_size(w) == size + 40 && mosaic_flow_weights_save(w, again, size + 40) == MOSAIC_FLOW_OK);
        CHECK(memcmp(flat, again, size + 40) == 0);
        free(again);
        mosaic_flow_weights_free(w);
    }
    for (i = 40; i < size + 40; i += 409609) {
        flat[i] ^= 1;
        CHECK(try_load(flat, size + 40) == MOSAIC_FLOW_ERROR_CORRUPT);
        flat[i] ^= 1;
    }
    for (i = 8; i < 40; i++) {
        static const uint8_t extremes[4] = {0, 1, 0x80, 0xff};
        const uint8_t old = flat[i];
        for (k = 0; k < 4; k++) {
            flat[i] = extremes[k];
            if (extremes[k] != old) CHECK_MSG(is_file_error(try_load(flat, size + 40)), "header byte %d", (int)i);
        }
        flat[i] = old;
    }
    mosaic_flow__little_put(flat + 8, 2, 4);
    CHECK(try_load(flat, size) == MOSAIC_FLOW_ERROR_VERSION);
    mosaic_flow__little_put(flat + 8, 1, 4);
    /* A number that is none, with a checksum that fits. */
    mosaic_flow__little_put(flat + 24, 0, 8);
    for (j = 0; j < 2; j++) {
        mosaic_flow__little_put(flat + 40 + 4 * 5000, j ? 0x7fc00000u : 0xff800000u, 4);
        mosaic_flow__little_put(flat + 32, mosaic_flow__checksum(flat + 40, size - 40), 8);
        CHECK(try_load(flat, size) == MOSAIC_FLOW_ERROR_NAN);
    }
    for (i = 0; i < size; i += 4096) CHECK(try_load(flat, i) == (i < 8 ? MOSAIC_FLOW_ERROR_FORMAT : MOSAIC_FLOW_ERROR_TRUNCATED));
    free(flat);

    /* Cut short anywhere, the other formats say so. */
    for (format = 0; format < 3; format++) {
        write_file(&f, princeton, format);
        for (i = 0; i < f.size; i += 4096) {
            const mosaic_flow_result r = try_load(f.bytes, i);
            CHECK_MSG(is_file_error(r), "%s cut at %u: %s", formats[format], (unsigned)i, mosaic_flow_result_string(r));
        }
        /* Numbers that are none. */
        for (i = 0; i < 4; i++) f.bytes[f.size - (format == 1 ? 20000 : 2000) + i] = 0xff;
        for (i = 0; i < 64; i++) f.bytes[f.size / 2 + i] = 0xff;
        CHECK(try_load(f.bytes, f.size) == MOSAIC_FLOW_ERROR_NAN);
        free(f.bytes);
    }

    /* A few tensors alone: read, and found to be no network. Then every byte but the numbers takes extreme values; whatever comes of it, it
       comes back. */
    raft_generate(&few, 0, 0, 3);
    for (format = 0; format < 3; format++) {
        long results[32] = {0};
        size_t begin = 0, end;
        write_file(&f, &few, format);
        CHECK(try_load(f.bytes, f.size) == MOSAIC_FLOW_ERROR_TENSOR);
        for (i = 0; i < f.size; i++) CHECK(is_file_error(try_load(f.bytes, i)) || i + 8 > f.size || format == 0);
        end = f.size;
        for (begin = 0; begin < end; begin++) {
            static const uint8_t extremes[3] = {0, 0x7f, 0xff};
            const uint8_t old = f.bytes[begin];
            if (begin > 2500 && begin + 900 < end && begin % 61) continue; /* numbers, mostly */
            for (k = 0; k < 3; k++) {
                f.bytes[begin] = extremes[k];
                results[try_load(f.bytes, f.size)]++;
            }
            f.bytes[begin] = old;
        }
        CHECK(results[MOSAIC_FLOW_OK] == 0 && results[MOSAIC_FLOW_ERROR_TENSOR] > 0 && results[MOSAIC_FLOW_ERROR_CORRUPT] > 0);
        /* Four and eight bytes at once: lengths. */
        for (begin = 0; begin + 8 < end; begin++) {
            uint8_t old[8];
            if (begin > 2500 && begin + 900 < end && begin % 61) continue;
            memcpy(old, f.bytes + begin, 8);
            for (k = 0; k < 4; k += 1 + (begin & 1)) {
                mosaic_flow__little_put(f.bytes + begin, k & 1 ? UINT64_MAX : UINT64_MAX >> 1, k & 2 ? 8 : 4);
                results[try_load(f.bytes, f.size)]++;
                memcpy(f.bytes + begin, old, 8);
            }
        }
        CHECK(results[MOSAIC_FLOW_OK] == 0 && results[MOSAIC_FLOW_ERROR_MEMORY] == 0);
        free(f.bytes);
    }
    raft_release(&few);
    CHECK(try_load((const uint8_t *)"nothing of the kind", 19) == MOSAIC_FLOW_ERROR_FORMAT);
    CHECK(try_load((const uint8_t *)"", 0) == MOSAIC_FLOW_ERROR_FORMAT);
    CHECK(mosaic_flow_weights_load(NULL, 5, NULL, &w) == MOSAIC_FLOW_ERROR_NULL && !w);
    CHECK(mosaic_flow_weights_load("x", 1, NULL, NULL) == MOSAIC_FLOW_ERROR_NULL);
    CHECK(mosaic_flow_weights_size(NULL) == 0);
    mosaic_flow_weights_free(NULL);
}

/* A pickle that asks for anything but tensors is refused, not obeyed. */
static void pickles(void)
{
    static const char *const bad[] = {"cos\nsystem\n(X\x04\0\0\0true",
                                      "c__builtin__\neval\n",
                                      "}.",
                                      "(.",
                                      "Q",
                                      "R",
                                      "s",
                                      "u",
                                      "e",
                                      "t",
                                      "N0",
                                      "\x86.",
                                      "b",
                                      "h\x05.",
                                      "Kq.",
                                      "]q",
                                      ""};
    size_t i;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        raft_file f;
        memset(&f, 0, sizeof f);
        raft_put(&f, mosaic_flow__legacy_magic, sizeof mosaic_flow__legacy_magic);
        raft_put(&f, "M\xe9\x03.}.", 6);
        raft_text(&f, bad[i]);
        raft_text(&f, "tR.");
        CHECK_MSG(is_file_error(try_load(f.bytes, f.size)), "pickle %d", (int)i);
        free(f.bytes);
    }
}

static void options(const mosaic_flow_weights *weights)
{
    mosaic_flow_options o;
    mosaic_flow *flow = NULL;
    uint8_t rgb[16 * 16 * 3] = {0};
    float out[16 * 16 * 2], init[2 * 2 * 2] = {0};
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_RAFT;
    o.arithmetic = 1;
    CHECK(mosaic_flow_open(16, 16, &o, &flow) == MOSAIC_FLOW_ERROR_WEIGHTS && !flow);
    o.weights = weights;
    o.iterations = -1;
    CHECK(mosaic_flow_open(16, 16, &o, &flow) == MOSAIC_FLOW_ERROR_OPTION);
    o.iterations = 1001;
    CHECK(mosaic_flow_open(16, 16, &o, &flow) == MOSAIC_FLOW_ERROR_OPTION);
    o.iterations = 1;
    o.arithmetic = 2;
    CHECK(mosaic_flow_open(16, 16, &o, &flow) == MOSAIC_FLOW_ERROR_OPTION);
    o.arithmetic = 1;
    o.simd = 5;
    CHECK(mosaic_flow_open(16, 16, &o, &flow) == MOSAIC_FLOW_ERROR_SIMD);
    o.simd = 0;
    CHECK(mosaic_flow_open(16, 16, &o, &flow) == MOSAIC_FLOW_OK);
    if (!flow) return;
    init[3] = (float)NAN;
    CHECK(mosaic_flow_pair(flow, rgb, 48, rgb, 48, init, out) == MOSAIC_FLOW_ERROR_NAN);
    init[3] = (float)INFINITY;
    CHECK(mosaic_flow_pair(flow, rgb, 48, rgb, 48, init, out) == MOSAIC_FLOW_ERROR_NAN);
    init[3] = 60000; /* far outside: nothing correlates, and nothing breaks */
    CHECK(mosaic_flow_pair(flow, rgb, 48, rgb, 48, init, out) == MOSAIC_FLOW_OK);
    CHECK(mosaic_flow_pair(flow, rgb, 47, rgb, 48, NULL, out) == MOSAIC_FLOW_ERROR_STRIDE);
    CHECK(mosaic_flow_pair(flow, rgb, 48, NULL, 48, NULL, out) == MOSAIC_FLOW_ERROR_NULL);
    mosaic_flow_close(flow);
}

int main(void)
{
    raft_tensors tensors;
    mosaic_flow_weights *weights;
    int model;
    fused();
    functions();
    for (model = 0; model < 2; model++) {
        raft_generate(&tensors, model, 0, 1000);
        weights = load(&tensors, 0, 0);
        model_tensors = &tensors;
        model_index = model;
        if (model) {
            layers(1, 30, 21, 2, 1, weights);
        } else {
            layers(0, 69, 42, 3, 0, weights);
            layers(0, 17, 38, 1, 1, weights);
            carried();
            options(weights);
            files(&tensors, weights);
            pickles();
        }
        one_answer(weights, model);
        mosaic_flow_weights_free(weights);
        raft_release(&tensors);
    }
    free(kept);
    return test_end("flow_raft");
}
