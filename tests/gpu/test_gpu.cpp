/* mosaic_cuda.cu: each kernel and the whole engine against the processor's code, byte for byte. Without a GPU, over the stand-in of emulate.h; and there,
   what happens when the device fails, at every single call. By nvcc (make gpu-check) the same on a device. */
#if !defined(__CUDACC__)
#include "emulate.h"
#endif

#include "../../mosaic_cuda.cu"

#include "../test.h"
#include "../raft.h"

static uint8_t *noise(size_t size, int smooth)
{
    uint8_t *p = (uint8_t *)malloc(size);
    size_t i;
    for (i = 0; i < size; i++) p[i] = (uint8_t)(smooth && i ? p[i - 1] + test_range(-3, 3) : test_range(0, 255));
    return p;
}

/* No memory of the device is held. */
static int none_left(void)
{
#ifdef MOSAIC_EMULATE_H
    return emulate_allocated == 0;
#else
    return 1;
#endif
}

static mosaic_cuda *open_device(void)
{
    mosaic_cuda *c = NULL;
    CHECK(mosaic_cuda_open(NULL, &c, NULL) == MOSAIC_CUDA_OK);
    return c;
}

/* A copy in device memory, made and taken back by the runtime's own calls, as a caller would. */
static uint8_t *send(const void *from, size_t size)
{
    uint8_t *p = NULL;
    CHECK(cudaMalloc(&p, size) == cudaSuccess && cudaMemcpyAsync(p, from, size, cudaMemcpyHostToDevice, NULL) == cudaSuccess);
    CHECK(cudaStreamSynchronize(NULL) == cudaSuccess);
    return p;
}

static void fetch(void *to, const void *from, size_t size)
{
    CHECK(cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToHost, NULL) == cudaSuccess && cudaStreamSynchronize(NULL) == cudaSuccess);
}

/* ---- SSIM ---- */

static void test_ssim(void)
{
    mosaic_cuda *c = open_device();
    int round;
    for (round = 0; round < 60; round++) {
        const int window = round < 8 ? 3 + 2 * round : round < 12 ? 255 : 3 + 2 * test_range(0, 8), most = round % 6 == 0 ? 600 : 90;
        const int width = window + (round % 3 ? test_range(0, most) : 0), height = window + test_range(0, round % 5 ? 70 : 3);
        const size_t sa = (size_t)(width + test_range(0, 9)), sb = (size_t)(width + test_range(0, 9)), wide = (size_t)(width - window + 1);
        const size_t map_stride = wide + (size_t)test_range(0, 5), rows = (size_t)(height - window + 1), doubles = map_stride * (rows - 1) + wide;
        uint8_t *a = noise(sa * (size_t)(height - 1) + (size_t)width, round % 2), *b = noise(sb * (size_t)(height - 1) + (size_t)width, round % 2),
                *da, *db;
        double *want = (double *)malloc(doubles * 8), *got = (double *)malloc(doubles * 8), *map, mean = -2;
        mosaic_ssim_options o;
        mosaic_ssim_image x, y;
        mosaic_ssim_output out;
        size_t i;
        memset(&o, 0, sizeof o);
        memset(&x, 0, sizeof x);
        memset(&out, 0, sizeof out);
        o.window = window;
        o.covariance = round % 2 ? MOSAIC_SSIM_POPULATION : MOSAIC_SSIM_SAMPLE;
        if (round % 7 == 3) o.k1 = .02, o.data_range = 200;
        if (round % 9 == 4) memset(a, 255, sa), memset(b, 255, sb);
        x.type = MOSAIC_SSIM_U8;
        x.width = (size_t)width;
        x.height = (size_t)height;
        y = x;
        x.data = a;
        x.row_stride = (ptrdiff_t)sa;
        y.data = b;
        y.row_stride = (ptrdiff_t)sb;
        for (i = 0; i < doubles; i++) want[i] = got[i] = -7;
        out.map = want;
        out.map_stride = map_stride;
        CHECK(mosaic_ssim_compare(&x, &y, &o, &out, NULL, 0) == MOSAIC_SSIM_OK);
        da = send(a, sa * (size_t)(height - 1) + (size_t)width);
        db = send(b, sb * (size_t)(height - 1) + (size_t)width);
        map = (double *)(void *)send(got, doubles * 8);
        CHECK(mosaic_cuda_ssim(c, NULL, da, sa, db, sb, width, height, &o, map, map_stride, &mean) == MOSAIC_CUDA_OK);
        fetch(got, map, doubles * 8);
        CHECK_MSG(memcmp(want, got, doubles * 8) == 0, "round %d: map of %d x %d, window %d", round, width, height, window);
        CHECK_MSG(memcmp(&mean, &out.mean, 8) == 0, "round %d: mean %.17g, not %.17g", round, mean, out.mean);
        mean = -2;
        CHECK(mosaic_cuda_ssim(c, NULL, da, sa, db, sb, width, height, &o, NULL, 0, &mean) == MOSAIC_CUDA_OK && mean == out.mean);
        if (round == 0) {
            CHECK(mosaic_cuda_ssim(NULL, NULL, da, sa, db, sb, width, height, &o, NULL, 0, &mean) == MOSAIC_CUDA_ERROR_NULL);
            CHECK(mosaic_cuda_ssim(c, NULL, NULL, sa, db, sb, width, height, &o, NULL, 0, &mean) == MOSAIC_CUDA_ERROR_NULL);
            CHECK(mosaic_cuda_ssim(c, NULL, da, sa, db, (size_t)width - 1, width, height, &o, NULL, 0, &mean) == MOSAIC_CUDA_ERROR_SIZE);
            CHECK(mosaic_cuda_ssim(c, NULL, da, sa, db, sb, width, window - 1, &o, NULL, 0, &mean) == MOSAIC_CUDA_ERROR_SIZE);
            CHECK(mosaic_cuda_ssim(c, NULL, da, sa, db, sb, width, height, &o, map, wide - 1, &mean) == MOSAIC_CUDA_ERROR_SIZE);
            o.weights = MOSAIC_SSIM_GAUSSIAN;
            CHECK(mosaic_cuda_ssim(c, NULL, da, sa, db, sb, width, height, &o, NULL, 0, &mean) == MOSAIC_CUDA_ERROR_OPTION);
            CHECK(mosaic_cuda_status(c, NULL) == MOSAIC_CUDA_OK);
        }
        cudaFree(da);
        cudaFree(db);
        cudaFree(map);
        free(a);
        free(b);
        free(want);
        free(got);
    }
    mosaic_cuda_close(c);
}

/* ---- The engine ---- */

typedef struct stream {
    mosaic_grid grid;
    mosaic_pool *pool;
    mosaic_options options;
    uint8_t *mask, *picture;
    size_t stride;
    int frame, still; /* still: nothing moves until the cut, so that there more cells change than could be expected */
} stream;

static void begin_stream(stream *s, int round)
{
    const int photos = 75 + test_range(0, 20);
    mosaic_fit fit;
    int i;
    memset(s, 0, sizeof *s);
    s->still = round % 5 == 1;
    do {
        memset(&fit, 0, sizeof fit);
        fit.cells = round % 5 == 1 ? 60 : test_range(6, 30);
        fit.height = test_range(40, 110);
    } while (mosaic_grid_fit(test_range(40, 200), test_range(40, 140), &fit, &s->grid) != MOSAIC_OK);
    if (round % 3 == 1) {                          /* not on whole pixels, and beyond the border */
        s->grid.origin_x = 64 * test_range(-9, 9); /* between whole pixels a device is not asked */
        s->grid.origin_y = 64 * test_range(-9, 9);
    }
    CHECK(mosaic_pool_create(s->grid.cell_width, s->grid.cell_height, NULL, &s->pool) == MOSAIC_OK);
    CHECK(mosaic_pool_set_looks(s->pool, round % 2, round % 3 == 2) == MOSAIC_OK);
    for (i = 0; i < photos; i++) {
        uint8_t *tile = noise((size_t)(mosaic_pool_looks(s->pool, NULL, NULL) * s->grid.cell_width * s->grid.cell_height * 3), 1);
        CHECK(mosaic_pool_add(s->pool, tile, NULL, 0) == MOSAIC_OK);
        free(tile);
    }
    s->options.preset = (mosaic_preset)(round % MOSAIC_PRESETS);
    s->options.variants = round % 4 == 2 ? 1u + 2u * (unsigned)test_range(0, 7) : 0;
    if (round % 5 == 3) s->options.histogram = .5f;
    if (round > 3) s->options.border = 1 + round % 3;
    if (round % 6 == 5) s->options.border_width = (float)test_range(1, 12);
    if (round % 7 == 6) s->options.local_contrast = 1.5f;
    if (round % 4 == 3) {
        s->mask = (uint8_t *)malloc((size_t)(s->grid.cols * s->grid.rows));
        for (i = 0; i < s->grid.cols * s->grid.rows; i++) s->mask[i] = (uint8_t)(i % 3 != 1);
        s->options.mask = s->mask;
        s->options.mask_source = round % 8 == 3;
    }
    s->stride = (size_t)s->grid.source_width * 3 + (size_t)test_range(0, 7);
    s->picture = (uint8_t *)malloc(s->stride * (size_t)(s->grid.source_height - 1) + (size_t)s->grid.source_width * 3);
}

/* Above something that moves, all over what is the same again after three frames, and a cut in frame 4. */
static mosaic_input next_picture(stream *s)
{
    const int now = s->still && s->frame < 4 ? 0 : s->frame;
    mosaic_input in;
    int x, y, c;
    for (y = 0; y < s->grid.source_height; y++)
        for (x = 0; x < s->grid.source_width; x++)
            for (c = 0; c < 3; c++) {
                const int above = 2 * y < s->grid.source_height, moved = above ? now : 0, u = x + 2 * moved, v = y - moved, cut = now >= 4 ? 90 : 0;
                s->picture[(size_t)y * s->stride + (size_t)(3 * x + c)] =
                    (uint8_t)((u * u / 37 + v * (c + 2) + cut * (c + 1) + ((x / 20 + y / 15) % 3 == now % 3 ? 60 : 0)) & 255);
            }
    s->frame++;
    memset(&in, 0, sizeof in);
    in.rgb = s->picture;
    in.stride = s->stride;
    return in;
}

static void end_stream(stream *s)
{
    mosaic_pool_destroy(s->pool);
    free(s->mask);
    free(s->picture);
}

static void same_frame(const stream *s, const mosaic_engine *a, const mosaic_frame *want, const mosaic_engine *b, const mosaic_frame *got,
                       const char *when)
{
    CHECK_MSG(want->cost == got->cost && want->bound == got->bound && want->changed == got->changed && want->repainted == got->repainted,
              "%s: frame %lld", when, (long long)want->index);
    CHECK_MSG(!a->canvas || memcmp(a->canvas, b->canvas, want->stride * (size_t)s->grid.height) == 0, "%s: canvas of frame %lld", when,
              (long long)want->index);
    CHECK_MSG(memcmp(want->draw, got->draw, (size_t)want->cells * sizeof *want->draw) == 0, "%s: draw list of frame %lld", when,
              (long long)want->index);
    CHECK_MSG(!want->rgb == !got->rgb && (!want->rgb || memcmp(want->rgb, got->rgb, want->stride * (size_t)s->grid.height) == 0),
              "%s: frame %lld of %d x %d", when, (long long)want->index, s->grid.width, s->grid.height);
    CHECK_MSG(memcmp(a->look, b->look, (size_t)a->cells * sizeof *a->look) == 0 &&
                  memcmp(a->codes, b->codes, (size_t)a->cells * sizeof *a->codes) == 0 &&
                  memcmp(a->colours, b->colours, (size_t)a->cells * sizeof *a->colours) == 0,
              "%s: descriptions of frame %lld", when, (long long)want->index);
    CHECK_MSG(!a->table || memcmp(a->table, b->table, (size_t)a->filled * a->width * sizeof *a->table) == 0, "%s: costs of frame %lld", when,
              (long long)want->index);
}

static void test_engine(void)
{
    int round;
    for (round = 0; round < 16; round++) {
        mosaic_cuda *c = open_device();
        mosaic_engine *want = NULL, *got = NULL;
        const mosaic_frame *f, *g;
#ifdef MOSAIC_EMULATE_H
        long launches, waits;
#endif
        mosaic_flow_options flow;
        uint8_t *state = NULL; /* of the first frame: two are taken back */
        size_t size = 0;
        stream s;
        int i;
        begin_stream(&s, round);
        if (round == 9) s.options.draw_list_only = 1;
        memset(&flow, 0, sizeof flow);
        flow.method = MOSAIC_FLOW_DIS;
        flow.preset = (mosaic_flow_preset)(round / 2 % 3);
        flow.forward_only = round % 4 == 2;
        if (round % 2 == 0) s.options.flow = &flow;
        CHECK(mosaic_open(&s.grid, s.pool, &s.options, &want) == MOSAIC_OK);
        s.options.device = mosaic_cuda_engine(c);
        flow.device = mosaic_cuda_flow(c);
        CHECK(mosaic_open(&s.grid, s.pool, &s.options, &got) == MOSAIC_OK);
        CHECK(got && got->device && (!got->flow || got->flow->device));
        for (i = 0; i < 6 && want && got; i++) {
            const mosaic_input in = next_picture(&s);
#ifdef MOSAIC_EMULATE_H
            launches = emulate_launches;
            waits = emulate_waits;
#endif
            CHECK(mosaic_push(want, &in, &f) == MOSAIC_OK && mosaic_push(got, &in, &g) == MOSAIC_OK);
#ifdef MOSAIC_EMULATE_H /* costs; colours, painting and finishing */
            CHECK(emulate_launches >= launches + 5 + 2 * !s.options.draw_list_only || i > 0);
            CHECK_MSG(emulate_waits - waits <= 2 + (f->cut && i > 0), "%ld waits in frame %d", emulate_waits - waits, i);
#endif
            same_frame(&s, want, f, got, g, "on the device");
            if (i == 0) {
                size = mosaic_state_size(want);
                state = (uint8_t *)malloc(size);
                CHECK(mosaic_state_save(want, state, size) == MOSAIC_OK);
            }
            if (i == 2) CHECK(mosaic_state_load(want, state, size) == MOSAIC_OK && mosaic_state_load(got, state, size) == MOSAIC_OK);
        }
        free(state);
        CHECK(mosaic_cuda_status(c, NULL) == MOSAIC_CUDA_OK);
        mosaic_close(want);
        mosaic_close(got);
        CHECK(c->used == 0);
        mosaic_cuda_close(c);
        CHECK(none_left());
        end_stream(&s);
    }
}

/* ---- RAFT in integers ---- */

typedef struct film {
    mosaic_flow_weights *weights;
    mosaic_flow_options options;
    int width, height;
    uint8_t *picture[4];
} film;

static void begin_film(film *f, int large, int width, int height)
{
    int i;
    memset(f, 0, sizeof *f);
    f->weights = random_weights(large, 7u + (unsigned)large, 1.7);
    f->width = width;
    f->height = height;
    f->options.method = MOSAIC_FLOW_RAFT;
    f->options.weights = f->weights;
    for (i = 0; i < 4; i++) {
        f->picture[i] = (uint8_t *)malloc((size_t)(3 * width * height));
        random_picture(f->picture[i], width, height, 3 * i, i);
    }
}

static void end_film(film *f)
{
    int i;
    for (i = 0; i < 4; i++) free(f->picture[i]);
    mosaic_flow_weights_free(f->weights);
}

static void same_field(const film *f, const mosaic_flow_field *want, const mosaic_flow_field *got, const char *when, int frame)
{
    const size_t bytes = want ? want->stride * (size_t)want->height : 0;
    CHECK_MSG(!want == !got, "%s: frame %d", when, frame);
    if (!want || !got) return;
    CHECK_MSG(memcmp(want->forward, got->forward, bytes) == 0, "%s: frame %d of %d x %d, forward", when, frame, f->width, f->height);
    CHECK_MSG(!want->backward == !got->backward && (!want->backward || memcmp(want->backward, got->backward, bytes) == 0), "%s: frame %d, backward",
              when, frame);
}

static void test_flow(void)
{
    static const struct {
        int large, width, height, field_width, warm, forward_only, padding, on_demand, iterations, frames;
    } cases[] = {{0, 51, 45, 0, 1, 0, 0, 0, 2, 4},
                 {0, 90, 54, 49, 0, 1, 1, 0, 2, 2},
                 {0, 43, 34, 0, 1, 0, 1, 1, 2, 3},
                 {1, 42, 25, 0, 0, 1, 0, 0, 1, 2},
                 {1, 26, 33, 0, 1, 1, 0, 1, 1, 2}};
    size_t k;
    for (k = 0; k < sizeof cases / sizeof *cases; k++) {
        mosaic_cuda *c = open_device();
        mosaic_flow *want = NULL, *got = NULL;
        const mosaic_flow_field *a, *b;
        float *init, *x, *y;
        int w, h, i;
        size_t pixels, n;
        film f;
        begin_film(&f, cases[k].large, cases[k].width, cases[k].height);
        f.options.width = cases[k].field_width;
        f.options.warm_start = cases[k].warm;
        f.options.forward_only = cases[k].forward_only;
        f.options.padding = cases[k].padding;
        f.options.max_memory = cases[k].on_demand ? 1 : 0;
        f.options.iterations = cases[k].iterations;
        CHECK(mosaic_flow_open(f.width, f.height, &f.options, &want) == MOSAIC_FLOW_OK);
        f.options.device = mosaic_cuda_flow(c);
        CHECK(mosaic_flow_open(f.width, f.height, &f.options, &got) == MOSAIC_FLOW_OK && got->device);
        for (i = 0; i < cases[k].frames; i++) {
#ifdef MOSAIC_EMULATE_H
            const long waits = emulate_waits;
#endif
            if (i == 3 && k == 0) {
                mosaic_flow_reset(want);
                mosaic_flow_reset(got);
            }
            CHECK(mosaic_flow_push(want, f.picture[i], (size_t)f.width * 3, &a) == MOSAIC_FLOW_OK);
            CHECK(mosaic_flow_push(got, f.picture[i], (size_t)f.width * 3, &b) == MOSAIC_FLOW_OK);
            same_field(&f, a, b, "on the device", i);
#ifdef MOSAIC_EMULATE_H
            CHECK(emulate_waits - waits <= 1);
#endif
        }
        mosaic_flow_init_size(want, &w, &h);
        pixels = (size_t)want->field.width * (size_t)want->field.height;
        init = (float *)malloc((size_t)(w * h * 2) * sizeof *init);
        x = (float *)malloc(pixels * 2 * sizeof *x);
        y = (float *)malloc(pixels * 2 * sizeof *y);
        for (n = 0; n < (size_t)(w * h * 2); n++) init[n] = (float)test_range(-3000, 3000) / (n % 9 ? 1000.0f : 10.0f);
        CHECK(mosaic_flow_pair(want, f.picture[3], (size_t)f.width * 3, f.picture[1], (size_t)f.width * 3, init, x) == MOSAIC_FLOW_OK);
        CHECK(mosaic_flow_pair(got, f.picture[3], (size_t)f.width * 3, f.picture[1], (size_t)f.width * 3, init, y) == MOSAIC_FLOW_OK);
        CHECK_MSG(memcmp(x, y, pixels * 2 * sizeof *x) == 0, "pair %d", (int)k);
        CHECK(mosaic_cuda_status(c, NULL) == MOSAIC_CUDA_OK && got->device);
        free(init);
        free(x);
        free(y);
        mosaic_flow_close(want);
        mosaic_flow_close(got);
        CHECK(c->used == 0);
        mosaic_cuda_close(c);
        CHECK(none_left());
        end_film(&f);
    }
}

/* ---- DIS ---- */

static void test_dis(void)
{
    static const struct {
        int width, height, field_width;
        mosaic_flow_preset preset;
        int forward_only;
    } cases[] = {{97, 61, 0, MOSAIC_FLOW_FAST, 0},   {64, 90, 47, MOSAIC_FLOW_MEDIUM, 0}, {81, 46, 0, MOSAIC_FLOW_ULTRAFAST, 0},
                 {9, 33, 0, MOSAIC_FLOW_FAST, 1},    {5, 3, 0, MOSAIC_FLOW_MEDIUM, 0},    {1, 40, 0, MOSAIC_FLOW_ULTRAFAST, 1},
                 {130, 23, 0, MOSAIC_FLOW_MEDIUM, 1}};
    size_t k;
    for (k = 0; k < sizeof cases / sizeof *cases; k++) {
        const int w = cases[k].width, h = cases[k].height;
        const size_t stride = (size_t)w * 3;
        mosaic_cuda *c = open_device();
        mosaic_flow *want = NULL, *got = NULL;
        const mosaic_flow_field *a, *b;
        mosaic_flow_options o;
        uint8_t *picture[3];
        float *x, *y;
        size_t numbers;
        film f;
        int i;
        memset(&o, 0, sizeof o);
        memset(&f, 0, sizeof f);
        f.width = w;
        f.height = h;
        o.method = MOSAIC_FLOW_DIS;
        o.preset = cases[k].preset;
        o.width = cases[k].field_width;
        o.forward_only = cases[k].forward_only;
        for (i = 0; i < 3; i++) {
            picture[i] = (uint8_t *)malloc(stride * (size_t)h);
            random_picture(picture[i], w, h, 2 * i, i);
        }
        CHECK(mosaic_flow_open(w, h, &o, &want) == MOSAIC_FLOW_OK);
        o.device = mosaic_cuda_flow(c);
        CHECK(mosaic_flow_open(w, h, &o, &got) == MOSAIC_FLOW_OK && got->device);
        for (i = 0; i < 3; i++) {
#ifdef MOSAIC_EMULATE_H
            const long waits = emulate_waits;
#endif
            CHECK(mosaic_flow_push(want, picture[i], stride, &a) == MOSAIC_FLOW_OK &&
                  mosaic_flow_push(got, picture[i], stride, &b) == MOSAIC_FLOW_OK);
            same_field(&f, a, b, "DIS", i);
#ifdef MOSAIC_EMULATE_H
            CHECK(emulate_waits - waits == (i > 0));
#endif
        }
        numbers = 2 * (size_t)want->field.width * (size_t)want->field.height;
        x = (float *)malloc(numbers * sizeof *x);
        y = (float *)malloc(numbers * sizeof *y);
        CHECK(mosaic_flow_pair(want, picture[2], stride, picture[0], stride, NULL, x) == MOSAIC_FLOW_OK);
        CHECK(mosaic_flow_pair(got, picture[2], stride, picture[0], stride, NULL, y) == MOSAIC_FLOW_OK);
        CHECK_MSG(memcmp(x, y, numbers * sizeof *x) == 0, "DIS of a pair of %d x %d", w, h);
        CHECK(mosaic_cuda_status(c, NULL) == MOSAIC_CUDA_OK && got->device);
        free(x);
        free(y);
        for (i = 0; i < 3; i++) free(picture[i]);
        mosaic_flow_close(want);
        mosaic_flow_close(got);
        CHECK(c->used == 0);
        mosaic_cuda_close(c);
        CHECK(none_left());
    }
}

#ifdef MOSAIC_EMULATE_H
/* ---- When the device fails ---- */

static long calls_to[2]; /* of the runtime, until the engine is open, and until the first frame is there */

/* Frames of a stream on a device of which call number `at` fails (0: none), against those of three engines without a device, each of which stays at its
   frame. 1 when it failed. */
static int fail_at(long at, cudaError_t with, int on, const stream *model, mosaic_engine *const want[3])
{
    mosaic_engine *got = NULL;
    mosaic_cuda *c = NULL;
    const mosaic_frame *g;
    const char *name = NULL;
    stream s = *model;
    mosaic_cuda_result opened;
    int i, failed;
    emulate_calls = 0;
    emulate_fail_at = at;
    emulate_fail_with = with;
    emulate_fail_on = on;
    opened = mosaic_cuda_open(NULL, &c, &name);
    CHECK((opened == MOSAIC_CUDA_OK) == (c != NULL));
    if (!c) CHECK_MSG(strcmp(name, cudaGetErrorName(with)) == 0, "call %ld: %s", at, name);
    s.options.device = mosaic_cuda_engine(c);
    CHECK(mosaic_open(&s.grid, s.pool, &s.options, &got) == MOSAIC_OK);
    for (i = 0; i < 3; i++) {
        const mosaic_input in = next_picture(&s);
        if (at == 0 && i < 2) calls_to[i] = emulate_calls;
        CHECK(mosaic_push(got, &in, &g) == MOSAIC_OK);
        same_frame(&s, want[i], &want[i]->frame, got, g, "while it fails");
    }
    failed = at > 0 && emulate_calls >= at && !(c && mosaic_cuda_status(c, NULL) == MOSAIC_CUDA_OK);
    if (c && failed) {
        CHECK(mosaic_cuda_status(c, &name) == mosaic_cuda__result(with));
        CHECK(strcmp(name, cudaGetErrorName(with)) == 0);
    }
    mosaic_close(got);
    CHECK(!c || c->used == 0);
    mosaic_cuda_close(c);
    CHECK_MSG(emulate_allocated == 0, "call %ld: memory of the device is not given back", at);
    emulate_fail_at = 0;
    emulate_last = cudaSuccess;
    return failed;
}

static void test_failures(void)
{
    static const cudaError_t with[3] = {cudaErrorLaunchFailure, cudaErrorMemoryAllocation, cudaErrorDevicesUnavailable};
    mosaic_cuda_options o;
    mosaic_cuda *c = NULL;
    const char *name;
    mosaic_engine *want[3] = {NULL, NULL, NULL};
    stream s;
    long at, step, count = 0;
    int i, k;
    do begin_stream(&s, 0);
    while ((s.grid.width * s.grid.height > 5000 || s.grid.cols < 3) && (end_stream(&s), 1));
    s.options.preset = MOSAIC_PRESET_VIVID;
    s.options.border = MOSAIC_BORDER_LAPLACIAN;
    for (k = 0; k < 3; k++) {
        stream t = s;
        const mosaic_frame *f;
        CHECK(mosaic_open(&t.grid, t.pool, &t.options, &want[k]) == MOSAIC_OK);
        for (i = 0; i <= k; i++) {
            const mosaic_input in = next_picture(&t);
            CHECK(mosaic_push(want[k], &in, &f) == MOSAIC_OK);
        }
    }
    CHECK(fail_at(0, cudaSuccess, 0, &s, want) == 0);
    /* Every other call of the first frame, and some of those before and after, most of which are alike. */
    for (at = 1; at < 1000; at += step) {
        const int failed = fail_at(at, with[at % 3], (int)(at / 3 % 2), &s, want);
        step = at > 12 && at + 3 < calls_to[0] ? 7 : at <= calls_to[1] ? 2 : 5;
        count += failed;
        if (!failed && emulate_calls < at) break;
    }
    CHECK_MSG(count > 25 && at < 1000, "%ld of %ld calls failed", count, at);
    for (k = 0; k < 3; k++) mosaic_close(want[k]);

    emulate_devices = 0;
    CHECK(mosaic_cuda_open(NULL, &c, &name) == MOSAIC_CUDA_ERROR_NO_DEVICE && !c && strcmp(name, "cudaErrorNoDevice") == 0);
    emulate_devices = 1;
    emulate_fail_at = emulate_calls + 1;
    emulate_fail_with = cudaErrorInsufficientDriver;
    CHECK(mosaic_cuda_open(NULL, &c, &name) == MOSAIC_CUDA_ERROR_DRIVER && !c && strcmp(name, "cudaErrorInsufficientDriver") == 0);
    emulate_fail_at = 0;
    cudaGetLastError();
    memset(&o, 0, sizeof o);
    o.device = 1;
    CHECK(mosaic_cuda_open(&o, &c, &name) == MOSAIC_CUDA_ERROR_NO_DEVICE && !c);
    o.device = -1;
    CHECK(mosaic_cuda_open(&o, &c, &name) == MOSAIC_CUDA_ERROR_OPTION && !c);
    CHECK(mosaic_cuda_open(&o, NULL, &name) == MOSAIC_CUDA_ERROR_NULL);
    emulate_major = 6;
    CHECK(mosaic_cuda_open(NULL, &c, &name) == MOSAIC_CUDA_ERROR_CAPABILITY && !c && name[0] == 0);
    emulate_major = 9;
    for (emulate_wrong = 1; emulate_wrong <= 8; emulate_wrong++)
        CHECK_MSG(mosaic_cuda_open(NULL, &c, &name) == MOSAIC_CUDA_ERROR_SELF_TEST && !c && name[0] == 0, "operation %d", emulate_wrong);
    emulate_wrong = 0;

    /* Too little memory for the engine: it does without. */
    o.device = 0;
    o.max_memory = 100000;
    CHECK(mosaic_cuda_open(&o, &c, &name) == MOSAIC_CUDA_OK);
    {
        mosaic_engine *e = NULL;
        s.options.device = mosaic_cuda_engine(c);
        CHECK(mosaic_open(&s.grid, s.pool, &s.options, &e) == MOSAIC_OK && !e->device);
        CHECK(mosaic_cuda_status(c, &name) == MOSAIC_CUDA_ERROR_MEMORY && strcmp(name, "cudaErrorMemoryAllocation") == 0);
        mosaic_close(e);
    }
    mosaic_cuda_close(c);

    /* Compiled with another engine. */
    c = open_device();
    {
        mosaic_device other = *mosaic_cuda_engine(c);
        mosaic_engine *e = NULL;
        other.layout++;
        s.options.device = &other;
        CHECK(mosaic_open(&s.grid, s.pool, &s.options, &e) == MOSAIC_ERROR_MISMATCH && !e);
    }
    mosaic_cuda_close(c);
    mosaic_cuda_close(NULL);
    for (i = 0; i <= MOSAIC_CUDA_ERROR_LOST + 1; i++) CHECK(strlen(mosaic_cuda_result_string((mosaic_cuda_result)i)) > 1);
    end_stream(&s);
}

/* A stream of RAFT whose device fails at some call: the same fields to the end. */
static void test_flow_failures(void)
{
    mosaic_flow *want[4] = {NULL, NULL, NULL, NULL};
    const mosaic_flow_field *field[4];
    long at, calls = 0;
    int i, k, failed, rounds = 0;
    film f;
    begin_film(&f, 0, 35, 42);
    f.options.iterations = 1;
    f.options.warm_start = 1;
    for (k = 0; k < 4; k++) /* each stays at its frame */
        for (i = 0; i <= k; i++) {
            if (i == 0) CHECK(mosaic_flow_open(f.width, f.height, &f.options, &want[k]) == MOSAIC_FLOW_OK);
            CHECK(mosaic_flow_push(want[k], f.picture[i], (size_t)f.width * 3, &field[k]) == MOSAIC_FLOW_OK);
        }
    for (at = 9;; at += at / 2) {
        mosaic_flow *got = NULL;
        const mosaic_flow_field *g;
        mosaic_cuda *c = NULL;
        emulate_calls = 0;
        CHECK(mosaic_cuda_open(NULL, &c, NULL) == MOSAIC_CUDA_OK);
        emulate_fail_at = at > emulate_calls ? at : emulate_calls + 1;
        emulate_fail_with = rounds % 2 ? cudaErrorIllegalAddress : cudaErrorMemoryAllocation;
        emulate_fail_on = rounds % 2;
        f.options.device = mosaic_cuda_flow(c);
        CHECK(mosaic_flow_open(f.width, f.height, &f.options, &got) == MOSAIC_FLOW_OK);
        for (i = 0; i < 4; i++) {
            CHECK(mosaic_flow_push(got, f.picture[i], (size_t)f.width * 3, &g) == MOSAIC_FLOW_OK);
            same_field(&f, field[i], g, "while it fails", i);
        }
        failed = mosaic_cuda_status(c, NULL) != MOSAIC_CUDA_OK;
        CHECK((got->device == NULL) == failed);
        calls = emulate_calls;
        mosaic_flow_close(got);
        CHECK(c->used == 0);
        mosaic_cuda_close(c);
        CHECK(none_left());
        emulate_fail_at = 0;
        emulate_last = cudaSuccess;
        if (!failed) break;
        rounds++;
    }
    CHECK_MSG(rounds > 9 && calls < at, "%d rounds, %ld calls", rounds, calls);
    {
        mosaic_cuda *c = open_device();
        mosaic_flow_device other = *mosaic_cuda_flow(c);
        mosaic_flow *got = NULL;
        other.layout++;
        f.options.device = &other;
        CHECK(mosaic_flow_open(f.width, f.height, &f.options, &got) == MOSAIC_FLOW_ERROR_OPTION && !got);
        f.options.device = mosaic_cuda_flow(c); /* methods that are not there are done on the processor */
        f.options.arithmetic = 1;
        CHECK(mosaic_flow_open(f.width, f.height, &f.options, &got) == MOSAIC_FLOW_OK && !got->device);
        mosaic_flow_close(got);
        CHECK(mosaic_cuda_status(c, NULL) == MOSAIC_CUDA_OK);
        mosaic_cuda_close(c);
    }
    for (k = 0; k < 4; k++) mosaic_flow_close(want[k]);
    end_film(&f);
}

#endif

/* Without arguments all of it, else the parts named. */
static int wanted(int argc, char **argv, const char *part)
{
    int i;
    for (i = 1; i < argc && strcmp(argv[i], part) != 0; i++) continue;
    return argc == 1 || i < argc;
}

int main(int argc, char **argv)
{
    mosaic_cuda *c = NULL;
    const char *error;
    const mosaic_cuda_result result = mosaic_cuda_open(NULL, &c, &error);
    if (!c) {
        printf("no GPU: %s %s\n", mosaic_cuda_result_string(result), error);
        return 3;
    }
    printf("on %s\n", mosaic_cuda_name(c));
    mosaic_cuda_close(c);
    if (wanted(argc, argv, "ssim")) test_ssim();
    if (wanted(argc, argv, "engine")) test_engine();
    if (wanted(argc, argv, "raft")) test_flow();
    if (wanted(argc, argv, "dis")) test_dis();
#ifdef MOSAIC_EMULATE_H
    if (wanted(argc, argv, "failures")) test_failures();
    if (wanted(argc, argv, "flow-failures")) test_flow_failures();
#endif
    return test_end("gpu");
}
