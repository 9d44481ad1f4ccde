/* mosaic_ssim.h against a plain reference, kernel against kernel, and everything a caller can get wrong.
   cc -O2 tests/unit/test_ssim.c -o test_ssim -lpthread */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Allocations are counted, can be made to fail, and must come with the caller's context. */
static int allocations, live, fail_allocation;
static void *seen_ctx;
static void *counted_malloc(void *ctx, size_t size)
{
    seen_ctx = ctx;
    if (fail_allocation) return NULL;
    allocations++, live++;
    return malloc(size);
}
static void counted_free(void *ctx, void *ptr)
{
    (void)ctx;
    live--;
    free(ptr);
}

#define MOSAIC_SSIM_MALLOC(ctx, size) counted_malloc(ctx, size)
#define MOSAIC_SSIM_FREE(ctx, ptr) counted_free(ctx, ptr)
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../../mosaic_ssim.h"

#include <pthread.h>

#include "../ssim.h"
#include "../test.h"

/* ---- the reference: the formula of the header, window by window ---- */

typedef struct reference {
    size_t width, height; /* of the map */
    double *map;
    double mean;
} reference;

static int pixel(const mosaic_ssim_image *image, size_t x, size_t y)
{
    ptrdiff_t step = image->pixel_stride ? image->pixel_stride : 1;
    ptrdiff_t row = image->row_stride ? image->row_stride : (ptrdiff_t)image->width * (step < 0 ? -step : step);
    return ((const unsigned char *)image->data)[(ptrdiff_t)y * row + (ptrdiff_t)x * step];
}

static reference make_reference(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *o)
{
    size_t w = o->window ? (size_t)o->window : 7, x, y, i, j;
    int64_t n = (int64_t)(w * w), high = 0, low = 0, count;
    double range = o->data_range == 0 ? 255 : o->data_range;
    double t1 = (o->k1 == 0 ? 0.01 : o->k1) * range, t2 = (o->k2 == 0 ? 0.03 : o->k2) * range;
    double c1 = t1 * t1 * (double)(n * n), c2 = t2 * t2 * (double)(o->covariance == MOSAIC_SSIM_SAMPLE ? n * (n - 1) : n * n);
    reference ref;
    ref.width = a->width - w + 1, ref.height = a->height - w + 1;
    ref.map = (double *)malloc(ref.width * ref.height * sizeof(double));
    count = (int64_t)(ref.width * ref.height);
    for (y = 0; y < ref.height; y++)
        for (x = 0; x < ref.width; x++) {
            int64_t sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0, fixed;
            double value, rounded;
            for (j = 0; j < w; j++)
                for (i = 0; i < w; i++) {
                    int p = pixel(a, x + i, y + j), q = pixel(b, x + i, y + j);
                    sx += p, sy += q, sxx += p * p, syy += q * q, sxy += p * q;
                }
            value = ((double)(2 * sx * sy) + c1) * ((double)(2 * (n * sxy - sx * sy)) + c2) /
                    (((double)(sx * sx + sy * sy) + c1) * ((double)(n * (sxx + syy) - sx * sx - sy * sy) + c2));
            ref.map[y * ref.width + x] = value;
            rounded = (value * 2251799813685248.0 + 6755399441055744.0) - 6755399441055744.0; /* to an integer, ties to even */
            fixed = (int64_t)rounded;
            low += fixed & 0xffffffff;
            high += (fixed - (fixed & 0xffffffff)) / 4294967296;
        }
    high += low / 4294967296, low %= 4294967296;
    ref.mean = ((double)high * 4294967296.0 + (double)low) / ((double)count * 2251799813685248.0);
    return ref;
}

/* ---- pictures in blocks of exactly their size, so that a sanitizer sees every byte read too far ---- */

enum { RANDOM, NOISY, INVERTED, FLAT, EXTREME, WHITE, KINDS };

static unsigned char *make_pixels(size_t count) { return (unsigned char *)calloc(count, 1); }

static void fill_pair(unsigned char *a, unsigned char *b, size_t count, int kind)
{
    size_t i;
    for (i = 0; i < count; i++) {
        unsigned r = test_random(), x = r & 255, y = r >> 8 & 255;
        switch (kind) {
        case NOISY: x = (unsigned)(i * 3 % 251), y = x ^ (r >> 16 & 7); break;
        case INVERTED: y = 255 - x; break;
        case FLAT: x = 77, y = 80; break;
        case EXTREME: x = r & 1 ? 255 : 0, y = r & 2 ? 255 : 0; break;
        case WHITE: x = y = 255; break;
        default: break;
        }
        a[i] = (unsigned char)x, b[i] = (unsigned char)y;
    }
}

/* Compares with a map; the map must be freed. */
static mosaic_ssim_output compare(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *o)
{
    mosaic_ssim_output output;
    size_t w = o->window ? (size_t)o->window : 7;
    memset(&output, 0, sizeof output);
    output.map = (double *)malloc((a->width - w + 1) * (a->height - w + 1) * sizeof(double));
    output.mean = 99;
    CHECK(mosaic_ssim_compare(a, b, o, &output, NULL, 0) == MOSAIC_SSIM_OK);
    return output;
}

/* Every level, and prepared pictures at every level, against the reference. */
static void check_pair(const mosaic_ssim_image *a, const mosaic_ssim_image *b, mosaic_ssim_options o)
{
    reference ref = make_reference(a, b, &o);
    size_t bytes = ref.width * ref.height * sizeof(double), size_a = 0;
    for (o.simd = 1; o.simd; o.simd = next_simd(o.simd)) {
        void *memory_a, *memory_b;
        mosaic_ssim_prepared *prepared_a, *prepared_b;
        mosaic_ssim_output output = compare(a, b, &o);
        CHECK_MSG(memcmp(output.map, ref.map, bytes) == 0, "map, simd %d window %d %dx%d", o.simd, o.window, (int)a->width, (int)a->height);
        CHECK_MSG(memcmp(&output.mean, &ref.mean, sizeof(double)) == 0, "mean %.17g %.17g, simd %d window %d %dx%d", output.mean, ref.mean, o.simd,
                  o.window, (int)a->width, (int)a->height);
        CHECK(mosaic_ssim_prepared_size(a, &o, &size_a) == MOSAIC_SSIM_OK);
        memory_a = malloc(size_a), memory_b = malloc(size_a);
        CHECK(mosaic_ssim_prepare(a, &o, memory_a, size_a, &prepared_a, NULL, 0) == MOSAIC_SSIM_OK);
        CHECK(mosaic_ssim_prepare(b, &o, memory_b, size_a, &prepared_b, NULL, 0) == MOSAIC_SSIM_OK);
        memset(output.map, 0x55, bytes);
        output.mean = 99;
        CHECK(mosaic_ssim_score(prepared_a, prepared_b, &o, &output, NULL, 0) == MOSAIC_SSIM_OK);
        CHECK_MSG(memcmp(output.map, ref.map, bytes) == 0, "scored map, simd %d window %d %dx%d", o.simd, o.window, (int)a->width, (int)a->height);
        CHECK(memcmp(&output.mean, &ref.mean, sizeof(double)) == 0);
        free(memory_a), free(memory_b), free(output.map);
    }
    free(ref.map);
}

static void test_kernels(void)
{
    static const int windows[] = {3, 5, 9, 11, 13, 31, 63, 127, 179, 181, 183, 201, 255};
    size_t width, i;
    for (width = 7; width <= 300; width++) { /* each width at some alignment of both pictures */
        size_t height = (size_t)test_range(7, 10), offset = width % 64, other = (size_t)test_range(0, 63);
        unsigned char *a = make_pixels(offset + width * height), *b = make_pixels(other + width * height);
        mosaic_ssim_image image_a = make_image(a + offset, width, height), image_b = make_image(b + other, width, height);
        fill_pair(a + offset, b + other, width * height, (int)width % KINDS);
        check_pair(&image_a, &image_b, make_options(width % 2 ? 7 : 0, 0));
        free(a), free(b);
    }
    for (width = 9; width <= 90; width++) { /* and for the kernels of other windows */
        size_t height = (size_t)test_range(9, 12);
        unsigned char *a = make_pixels(width * height), *b = make_pixels(width * height);
        mosaic_ssim_image image_a = make_image(a, width, height), image_b = make_image(b, width, height);
        fill_pair(a, b, width * height, (int)width % KINDS);
        check_pair(&image_a, &image_b, make_options(width % 3 == 0 ? 3 : width % 3 == 1 ? 5 : 9, 0));
        free(a), free(b);
    }
    for (i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        int kind;
        for (kind = 0; kind < KINDS; kind++) {
            size_t w = (size_t)windows[i], height = w + 1, offset;
            unsigned char *a, *b;
            mosaic_ssim_image image_a, image_b;
            width = w + (w > 100 ? 17 : (size_t)test_range(0, 40));
            offset = (size_t)test_range(0, 63);
            a = make_pixels(offset + width * height), b = make_pixels(width * height);
            fill_pair(a + offset, b, width * height, kind);
            image_a = make_image(a + offset, width, height), image_b = make_image(b, width, height);
            if (w < 100 || kind == RANDOM || kind == EXTREME || kind == WHITE) check_pair(&image_a, &image_b, make_options(windows[i], 0));
            free(a), free(b);
        }
    }
    for (i = 3; i <= 9; i += 2) { /* rows longer than what a kernel sums at once */
        size_t height = i + 1;
        unsigned char *a, *b;
        mosaic_ssim_image image_a, image_b;
        width = 4096 + i * 3;
        a = make_pixels(width * height), b = make_pixels(width * height);
        fill_pair(a, b, width * height, i == 5 ? WHITE : RANDOM);
        image_a = make_image(a, width, height), image_b = make_image(b, width, height);
        check_pair(&image_a, &image_b, make_options((int)i, 0));
        free(a), free(b);
    }
}

static void test_settings(void)
{
    int i;
    for (i = 0; i < 40; i++) {
        size_t width = (size_t)test_range(15, 60), height = (size_t)test_range(15, 25);
        unsigned char *a = make_pixels(width * height), *b = make_pixels(width * height);
        mosaic_ssim_image image_a = make_image(a, width, height), image_b = make_image(b, width, height);
        mosaic_ssim_options o = make_options(3 + 2 * test_range(0, 6), 0);
        fill_pair(a, b, width * height, i % KINDS);
        o.covariance = i % 2 ? MOSAIC_SSIM_POPULATION : MOSAIC_SSIM_SAMPLE;
        o.k1 = test_range(1, 1000) / 3000.0, o.k2 = test_range(1, 1000) / 700.0;
        o.data_range = i % 3 ? test_range(1, 100000) / 7.0 : 0;
        check_pair(&image_a, &image_b, o);
        free(a), free(b);
    }
}

static void test_properties(void)
{
    int i;
    for (i = 0; i < 60; i++) {
        size_t width = (size_t)test_range(13, 120), height = (size_t)test_range(13, 40), k;
        unsigned char *a = make_pixels(width * height), *b = make_pixels(width * height);
        mosaic_ssim_image image_a = make_image(a, width, height), image_b = make_image(b, width, height);
        mosaic_ssim_options o = make_options(3 + 2 * (i % 6), 0);
        mosaic_ssim_output same, forward, backward;
        size_t w = (size_t)o.window, values = (width - w + 1) * (height - w + 1);
        int ones = 1, bounded = 1;
        fill_pair(a, b, width * height, i % KINDS);
        same = compare(&image_a, &image_a, &o);
        forward = compare(&image_a, &image_b, &o), backward = compare(&image_b, &image_a, &o);
        for (k = 0; k < values; k++) {
            ones &= same.map[k] >= 1 && same.map[k] <= 1;
            bounded &= forward.map[k] >= -1 && forward.map[k] <= 1;
        }
        CHECK(ones && same.mean >= 1 && same.mean <= 1);
        CHECK(bounded);
        CHECK(memcmp(forward.map, backward.map, values * sizeof(double)) == 0);
        CHECK(memcmp(&forward.mean, &backward.mean, sizeof(double)) == 0);
        if (values == 1) CHECK(forward.mean - forward.map[0] < 1e-15 && forward.map[0] - forward.mean < 1e-15);
        free(same.map), free(forward.map), free(backward.map), free(a), free(b);
    }
    { /* the simple call, and a flat pair, where the formula is (2xy + C1) / (xx + yy + C1) */
        unsigned char a[20 * 30], b[20 * 30];
        double mean = 0, c1 = 2.55 * 2.55, expected = (2 * 77 * 80 + c1) / (77 * 77 + 80 * 80 + c1);
        fill_pair(a, b, sizeof a, FLAT);
        CHECK(mosaic_ssim_gray8(a, 20, b, 20, 20, 30, &mean) == MOSAIC_SSIM_OK);
        CHECK_MSG(mean - expected < 1e-15 && expected - mean < 1e-15, "%.17g %.17g", mean, expected);
        CHECK(mosaic_ssim_gray8(a, 30, b, 20, 20, 20, &mean) == MOSAIC_SSIM_OK);
    }
}

/* ---- results that all machines must share ---- */

static uint64_t hash(uint64_t h, const double *values, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        h = (h ^ (bits & 0xffffffffu)) * 1099511628211u;
        h = (h ^ (bits >> 32)) * 1099511628211u;
    }
    return h;
}

#define GOLDEN_7 0xa3cb35799f9f10c8u
#define GOLDEN_11 0x17516cbe0ed3a01cu
static void test_golden(void)
{
    unsigned char *a = make_pixels(97 * 61), *b = make_pixels(97 * 61);
    mosaic_ssim_image image_a = make_image(a, 97, 61), image_b = make_image(b, 97, 61);
    mosaic_ssim_options o = make_options(7, 0);
    mosaic_ssim_output seven, eleven;
    uint64_t hash_7, hash_11;
    unsigned state = 1;
    int i;
    for (i = 0; i < 97 * 61; i++) {
        state = state * 1664525u + 1013904223u;
        a[i] = (unsigned char)(i % 97 * 2 + (int)(state >> 27)), b[i] = (unsigned char)(a[i] / 2 + (int)(state >> 24) / 4);
    }
    seven = compare(&image_a, &image_b, &o);
    o.window = 11, o.covariance = MOSAIC_SSIM_POPULATION;
    eleven = compare(&image_a, &image_b, &o);
    hash_7 = hash(hash(7, seven.map, 91 * 55), &seven.mean, 1), hash_11 = hash(hash(7, eleven.map, 87 * 51), &eleven.mean, 1);
    CHECK_MSG(hash_7 == GOLDEN_7, "%016llx %.17g", (unsigned long long)hash_7, seven.mean);
    CHECK_MSG(hash_11 == GOLDEN_11, "%016llx %.17g", (unsigned long long)hash_11, eleven.mean);
    free(seven.map), free(eleven.map), free(a), free(b);
}

/* ---- rectangles and strides ---- */

static void test_strides(void)
{
    size_t width = 41, height = 23, x, y;
    unsigned char *a = make_pixels(width * height), *b = make_pixels(width * height);
    mosaic_ssim_image image_a = make_image(a, width, height), image_b = make_image(b, width, height);
    int i, simd;
    fill_pair(a, b, width * height, NOISY);
    for (i = 0; i < 6; i++) {
        size_t size = i == 0 ? 100 * 60 : width * height * 3;
        unsigned char *big = make_pixels(size);
        mosaic_ssim_image view = make_image(big, width, height);
        for (x = 0; x < size; x++) big[x] = (unsigned char)test_random();
        switch (i) {
        case 0: view.data = big + 7 * 100 + 13, view.row_stride = 100; break;                       /* inside a larger picture */
        case 1: view.data = big + 1, view.pixel_stride = 3; break;                                  /* green of RGB */
        case 2: view.pixel_stride = (ptrdiff_t)height, view.row_stride = 1; break;                  /* column-major */
        case 3: view.data = big + (height - 1) * width, view.row_stride = -(ptrdiff_t)width; break; /* bottom row first */
        case 4: view.data = big + 2 * (width - 1), view.pixel_stride = -2; break;                   /* mirrored */
        default: view.data = big + 3 * width * height - 1, view.pixel_stride = -3 * (ptrdiff_t)height, view.row_stride = -3; break;
        }
        for (y = 0; y < height; y++)
            for (x = 0; x < width; x++) {
                ptrdiff_t step = view.pixel_stride ? view.pixel_stride : 1;
                ptrdiff_t row = view.row_stride ? view.row_stride : (ptrdiff_t)width * (step < 0 ? -step : step);
                big[((const unsigned char *)view.data - big) + (ptrdiff_t)y * row + (ptrdiff_t)x * step] = a[y * width + x];
            }
        for (simd = 1; simd; simd = next_simd(simd)) {
            mosaic_ssim_options o = make_options(i % 2 ? 7 : 5, simd);
            mosaic_ssim_output copy = compare(&image_a, &image_b, &o), place = compare(&view, &image_b, &o);
            size_t w = (size_t)o.window, values = (width - w + 1) * (height - w + 1);
            CHECK_MSG(memcmp(copy.map, place.map, values * sizeof(double)) == 0 && memcmp(&copy.mean, &place.mean, 8) == 0, "strides %d simd %d", i,
                      simd);
            free(copy.map), free(place.map);
        }
        free(big);
    }
    free(a), free(b);
}

/* ---- outputs, work areas, allocation ---- */

static void test_prepared_alignment(void)
{
    unsigned char a[7 * 7], b[7 * 7];
    mosaic_ssim_image image_a = make_image(memset(a, 1, sizeof a), 7, 7), image_b = make_image(memset(b, 2, sizeof b), 7, 7);
    mosaic_ssim_options o = make_options(0, 0);
    size_t size = 0, i;
    mosaic_ssim_output usual;
    fill_pair(a, b, sizeof a, NOISY);
    usual = compare(&image_a, &image_b, &o);
    CHECK(mosaic_ssim_prepared_size(&image_a, &o, &size) == MOSAIC_SSIM_OK);
    for (i = 0; i < 64; i++) {
        unsigned char *at_a = make_pixels(i + size), *at_b = make_pixels(i + size);
        mosaic_ssim_prepared *prepared_a, *prepared_b;
        mosaic_ssim_output output = {0};
        CHECK(mosaic_ssim_prepare(&image_a, &o, at_a + i, size, &prepared_a, NULL, 0) == MOSAIC_SSIM_OK);
        CHECK(mosaic_ssim_prepare(&image_b, &o, at_b + i, size, &prepared_b, NULL, 0) == MOSAIC_SSIM_OK);
        CHECK(mosaic_ssim_score(prepared_a, prepared_b, &o, &output, NULL, 0) == MOSAIC_SSIM_OK);
        CHECK(memcmp(&output.mean, &usual.mean, 8) == 0);
        free(at_a), free(at_b);
    }
    free(usual.map);
}

static void test_outputs(void)
{
    size_t width = 50, height = 30, mw = width - 6, mh = height - 6, stride = mw + 5, size = 0, i, y;
    unsigned char *a = make_pixels(width * height), *b = make_pixels(width * height), *work;
    double *map = (double *)malloc(stride * mh * sizeof(double)), rows[24], total = 0, mean;
    mosaic_ssim_image image_a = make_image(a, width, height), image_b = make_image(b, width, height), shape;
    mosaic_ssim_options o = make_options(0, 0);
    mosaic_ssim_output out, plain;
    int clean = 1, before;
    fill_pair(a, b, width * height, NOISY);
    memset(&out, 0, sizeof out);
    for (i = 0; i < stride * mh; i++) map[i] = 5;
    out.map = map, out.map_stride = stride, out.row_sums = rows;
    o.malloc_ctx = &clean;
    before = allocations;
    CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_OK);
    CHECK(allocations == before + 1 && live == 0 && seen_ctx == &clean);
    plain = compare(&image_a, &image_b, &o);
    for (y = 0; y < mh; y++) {
        double sum = 0;
        clean &= memcmp(map + y * stride, plain.map + y * mw, mw * sizeof(double)) == 0;
        for (i = mw; i < stride; i++) clean &= map[y * stride + i] > 4 && map[y * stride + i] < 6;
        for (i = 0; i < mw; i++) sum += map[y * stride + i];
        CHECK(sum - rows[y] < 1e-13 && rows[y] - sum < 1e-13);
        total += rows[y];
    }
    CHECK(clean);
    mean = total / (double)(mw * mh);
    CHECK(mean - out.mean < 1e-14 && out.mean - mean < 1e-14 && memcmp(&out.mean, &plain.mean, 8) == 0);

    /* A work area of the size asked for is enough at any alignment, no byte around it is touched, and nothing is allocated. */
    shape = make_image(NULL, width, height);
    CHECK(mosaic_ssim_work_size(&shape, &o, &size) == MOSAIC_SSIM_OK);
    CHECK(size == 64 + 17 * 128 + 64); /* as documented: round(50 + 64) = 128 */
    work = (unsigned char *)malloc(size + 128);
    before = allocations;
    for (i = 0; i < 64; i += 7) {
        size_t k;
        memset(work, 0xa5, size + 128);
        out.mean = 0;
        CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, work + i, size) == MOSAIC_SSIM_OK);
        CHECK(memcmp(&out.mean, &plain.mean, 8) == 0);
        for (k = 0; k < i; k++) clean &= work[k] == 0xa5;
        for (k = i + size; k < size + 128; k++) clean &= work[k] == 0xa5;
    }
    CHECK(clean && allocations == before);
    out.mean = 9;
    CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, work, size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE && out.mean > 8);
    fail_allocation = 1;
    CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_ERROR_MEMORY && out.mean > 8);
    CHECK(mosaic_ssim_gray8(a, width, b, width, width, height, &mean) == MOSAIC_SSIM_ERROR_MEMORY);
    fail_allocation = 0;
    free(work), free(map), free(plain.map), free(a), free(b);
}

/* ---- threads ---- */

typedef struct hook {
    int threads;
    int count;
    void (*job)(void *arg, int index);
    void *arg;
} hook;
typedef struct worker {
    const hook *h;
    int first;
} worker;

static void *work_through(void *arg)
{
    const worker *self = (const worker *)arg;
    int i;
#if MOSAIC_SSIM__SIMD
    _mm_setcsr(0x7fc0); /* as a host may leave its threads: rounding to zero, denormals flushed */
#endif
    for (i = self->h->count - 1 - self->first; i >= 0; i -= self->h->threads) self->h->job(self->h->arg, i);
    return NULL;
}

static void run_threads(void *ctx, void (*job)(void *arg, int index), void *arg, int count)
{
    hook *h = (hook *)ctx;
    pthread_t threads[8];
    worker workers[8];
    int i;
    h->job = job, h->arg = arg, h->count = count;
    for (i = 0; i < h->threads; i++) {
        workers[i].h = h, workers[i].first = i;
        if (pthread_create(&threads[i], NULL, work_through, &workers[i])) abort();
    }
    for (i = 0; i < h->threads; i++) pthread_join(threads[i], NULL);
}

static void test_threads(void)
{
    size_t width = 75, height = 47, values, i;
    unsigned char *a = make_pixels(width * height), *b = make_pixels(width * height);
    mosaic_ssim_image image_a = make_image(a, width, height), image_b = make_image(b, width, height);
    int window, threads, jobs;
    fill_pair(a, b, width * height, NOISY);
    for (window = 3; window <= 47; window += 4) {
        mosaic_ssim_options o = make_options(window, 0);
        mosaic_ssim_output serial = compare(&image_a, &image_b, &o);
        values = (width - (size_t)window + 1) * (height - (size_t)window + 1);
        for (threads = 1; threads <= 5; threads++)
            for (jobs = 0; jobs <= 9; jobs += 3) {
                hook h;
                mosaic_ssim_output parallel;
                memset(&h, 0, sizeof h);
                h.threads = threads;
                o.run = run_threads, o.run_ctx = &h, o.jobs = jobs;
                parallel = compare(&image_a, &image_b, &o);
                CHECK_MSG(memcmp(serial.map, parallel.map, values * sizeof(double)) == 0 && memcmp(&serial.mean, &parallel.mean, 8) == 0,
                          "window %d, %d threads, %d jobs", window, threads, jobs);
                free(parallel.map);
            }
        free(serial.map);
    }
#if MOSAIC_SSIM__SIMD
    { /* the caller's own state is not used either, and comes back */
        mosaic_ssim_options o = make_options(0, 1);
        mosaic_ssim_output usual = compare(&image_a, &image_b, &o), odd;
        unsigned old = _mm_getcsr();
        _mm_setcsr(0x5fc0);
        odd = compare(&image_a, &image_b, &o);
        CHECK(_mm_getcsr() == 0x5fc0 || (_mm_getcsr() & ~0x3fu) == 0x5fc0);
        _mm_setcsr(old);
        CHECK(memcmp(usual.map, odd.map, (width - 6) * (height - 6) * sizeof(double)) == 0 && memcmp(&usual.mean, &odd.mean, 8) == 0);
        free(usual.map), free(odd.map);
    }
#endif
    /* a batch: equal to single calls, for every number of threads */
    for (window = 5; window <= 9; window += 2) {
        enum { TILES = 23 };
        mosaic_ssim_options o = make_options(window, 0);
        mosaic_ssim_prepared *cell, *tiles[TILES];
        const mosaic_ssim_prepared *list[TILES];
        unsigned char *memory[TILES + 1];
        double single[TILES], means[TILES];
        size_t size = 0, work_size = 0;
        void *work;
        CHECK(mosaic_ssim_prepared_size(&image_a, &o, &size) == MOSAIC_SSIM_OK);
        memory[TILES] = make_pixels(size + 1);
        CHECK(mosaic_ssim_prepare(&image_a, &o, memory[TILES] + 1, size, &cell, NULL, 0) == MOSAIC_SSIM_OK);
        for (i = 0; i < TILES; i++) {
            mosaic_ssim_output output = {0};
            fill_pair(a, b, width * height, NOISY); /* changes a as well, which the prepared cell does not notice */
            memory[i] = make_pixels(size);
            CHECK(mosaic_ssim_prepare(&image_b, &o, memory[i], size, &tiles[i], NULL, 0) == MOSAIC_SSIM_OK);
            list[i] = tiles[i];
            CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &output, NULL, 0) == MOSAIC_SSIM_OK);
            single[i] = output.mean;
        }
        for (threads = 0; threads <= 5; threads++) {
            hook h;
            memset(&h, 0, sizeof h);
            h.threads = threads;
            o.run = threads ? run_threads : NULL, o.run_ctx = &h;
            memset(means, 0, sizeof means);
            CHECK(mosaic_ssim_work_size(&image_a, &o, &work_size) == MOSAIC_SSIM_OK);
            work = malloc(work_size);
            CHECK(mosaic_ssim_score_many(cell, list, TILES, &o, means, work, work_size) == MOSAIC_SSIM_OK);
            CHECK_MSG(memcmp(single, means, sizeof means) == 0, "batch, window %d, %d threads", window, threads);
            CHECK(mosaic_ssim_score_many(cell, list, TILES, &o, means, work, work_size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE);
            free(work);
        }
        o.run = NULL;
        CHECK(mosaic_ssim_score_many(cell, list, 0, &o, means, NULL, 0) == MOSAIC_SSIM_OK);
        CHECK(mosaic_ssim_score_many(cell, NULL, 1, &o, means, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
        CHECK(mosaic_ssim_score_many(NULL, list, 1, &o, means, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
        CHECK(mosaic_ssim_score_many(cell, list, 1, &o, NULL, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
        list[TILES - 1] = NULL;
        memcpy(means, single, sizeof means);
        means[0] = 7;
        CHECK(mosaic_ssim_score_many(cell, list, TILES, &o, means, NULL, 0) == MOSAIC_SSIM_ERROR_NULL && means[0] > 6);
        o.window = window + 2;
        CHECK(mosaic_ssim_score_many(cell, list, 1, &o, means, NULL, 0) == MOSAIC_SSIM_ERROR_PREPARED);
        o.window = 99;
        CHECK(mosaic_ssim_score_many(cell, list, 1, &o, means, NULL, 0) == MOSAIC_SSIM_ERROR_PREPARED);
        o.window = window;
        {
            mosaic_ssim_image other = make_image(a, width - 1, height);
            mosaic_ssim_prepared *narrow;
            unsigned char *at = make_pixels(size), zero[64] = {0};
            mosaic_ssim_output output = {0};
            CHECK(mosaic_ssim_prepare(&other, &o, at, size, &narrow, NULL, 0) == MOSAIC_SSIM_OK);
            CHECK(mosaic_ssim_score(cell, narrow, &o, &output, NULL, 0) == MOSAIC_SSIM_ERROR_MISMATCH);
            CHECK(mosaic_ssim_score(cell, cell, &o, NULL, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
            CHECK(mosaic_ssim_score(cell, NULL, &o, &output, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
            memset(narrow, 0, 4);
            CHECK(mosaic_ssim_score(cell, narrow, &o, &output, NULL, 0) == MOSAIC_SSIM_ERROR_PREPARED);
            CHECK(mosaic_ssim_score(narrow, cell, &o, &output, NULL, 0) == MOSAIC_SSIM_ERROR_PREPARED);
            CHECK(mosaic_ssim_prepare(&image_a, &o, at, size - 1, &narrow, NULL, 0) == MOSAIC_SSIM_ERROR_WORK_SIZE);
            CHECK(mosaic_ssim_prepare(&image_a, &o, at, size, &narrow, zero, sizeof zero) == MOSAIC_SSIM_ERROR_WORK_SIZE);
            CHECK(mosaic_ssim_prepare(&image_a, &o, NULL, size, &narrow, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
            CHECK(mosaic_ssim_prepare(&image_a, &o, at, size, NULL, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
            CHECK(mosaic_ssim_prepare(NULL, &o, at, size, &narrow, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
            fail_allocation = 1;
            CHECK(mosaic_ssim_prepare(&image_a, &o, at, size, &narrow, NULL, 0) == MOSAIC_SSIM_ERROR_MEMORY);
            CHECK(mosaic_ssim_score(cell, cell, &o, &output, NULL, 0) == MOSAIC_SSIM_ERROR_MEMORY);
            fail_allocation = 0;
            free(at);
        }
        for (i = 0; i <= TILES; i++) free(memory[i]);
    }
    free(a), free(b);
}

/* ---- bad input ---- */

static mosaic_ssim_result try_it(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *o)
{
    mosaic_ssim_output output;
    mosaic_ssim_result result, sized;
    size_t size = 0;
    memset(&output, 0, sizeof output);
    output.mean = 9;
    result = mosaic_ssim_compare(a, b, o, &output, NULL, 0);
    CHECK((result == MOSAIC_SSIM_OK) == (output.mean < 8));
    sized = a ? mosaic_ssim_work_size(a, o, &size) : MOSAIC_SSIM_OK; /* never fails where the comparison does not */
    CHECK(result != MOSAIC_SSIM_OK || sized == MOSAIC_SSIM_OK);
    return result;
}

static void test_bad_input(void)
{
    unsigned char a[64 * 64] = {0}, b[64 * 64] = {0};
    const double zero = 0, infinity = 1e308 * 10, not_a_number = infinity * zero;
    const size_t huge = (size_t)PTRDIFF_MAX;
    mosaic_ssim_image good = make_image(a, 64, 64), other = make_image(b, 64, 64), bad, bad2;
    mosaic_ssim_options o = make_options(0, 0);
    mosaic_ssim_output output;
    double mean = 9, map[4];
    size_t size = 0;
    int i;
    fill_pair(a, b, sizeof a, RANDOM);
    memset(&output, 0, sizeof output);
    CHECK(try_it(&good, &other, NULL) == MOSAIC_SSIM_OK);
    CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_OK);

    CHECK(try_it(NULL, &other, &o) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(try_it(&good, NULL, &o) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_compare(&good, &other, &o, NULL, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
    bad = good, bad.data = NULL;
    CHECK(try_it(&bad, &other, &o) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(try_it(&other, &bad, &o) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_work_size(NULL, &o, &size) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_work_size(&good, &o, NULL) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_prepared_size(NULL, &o, &size) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_prepared_size(&good, &o, NULL) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_gray8(NULL, 64, b, 64, 64, 64, &mean) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_gray8(a, 64, NULL, 64, 64, 64, &mean) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_gray8(a, 64, b, 64, 64, 64, NULL) == MOSAIC_SSIM_ERROR_NULL);

    bad = good, bad.width = 0, bad2 = bad;
    CHECK(try_it(&bad, &bad2, &o) == MOSAIC_SSIM_ERROR_SIZE);
    bad = good, bad.height = 0, bad2 = bad;
    CHECK(try_it(&bad, &bad2, &o) == MOSAIC_SSIM_ERROR_SIZE);
    bad = good, bad.height = 63;
    CHECK(try_it(&bad, &other, &o) == MOSAIC_SSIM_ERROR_MISMATCH);
    CHECK(try_it(&other, &bad, &o) == MOSAIC_SSIM_ERROR_MISMATCH);
    bad = good, bad.width = 6, bad2 = bad;
    CHECK(try_it(&bad, &bad2, &o) == MOSAIC_SSIM_ERROR_TOO_SMALL);
    bad.width = bad2.width = 7;
    CHECK(try_it(&bad, &bad2, &o) == MOSAIC_SSIM_OK);
    o.window = 65;
    CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_TOO_SMALL);
    o.window = 0;

    for (i = -4; i <= 300; i++) {
        mosaic_ssim_result expected = i == 0 ? MOSAIC_SSIM_OK : i < 3 || i > 255 || i % 2 == 0 ? MOSAIC_SSIM_ERROR_WINDOW : MOSAIC_SSIM_OK;
        if (expected == MOSAIC_SSIM_OK && i > 64) expected = MOSAIC_SSIM_ERROR_TOO_SMALL;
        o.window = i;
        CHECK_MSG(try_it(&good, &other, &o) == expected, "window %d", i);
    }
    o.window = 0;

    bad = good, bad.row_stride = 63;
    CHECK(try_it(&bad, &other, &o) == MOSAIC_SSIM_ERROR_STRIDE);
    CHECK(try_it(&other, &bad, &o) == MOSAIC_SSIM_ERROR_STRIDE);
    bad.row_stride = -63;
    CHECK(try_it(&bad, &other, &o) == MOSAIC_SSIM_ERROR_STRIDE);
    bad.row_stride = 1;
    CHECK(try_it(&bad, &other, &o) == MOSAIC_SSIM_ERROR_STRIDE);
    bad.pixel_stride = 63;
    CHECK(try_it(&bad, &other, &o) == MOSAIC_SSIM_ERROR_STRIDE);
    bad.pixel_stride = 64;
    CHECK(try_it(&bad, &other, &o) == MOSAIC_SSIM_OK);
    CHECK(mosaic_ssim_gray8(a, 63, b, 64, 64, 64, &mean) == MOSAIC_SSIM_ERROR_STRIDE);
    CHECK(mosaic_ssim_gray8(a, 64, b, 63, 64, 64, &mean) == MOSAIC_SSIM_ERROR_STRIDE);
    CHECK(mosaic_ssim_gray8(a, 0, b, 0, 64, 64, &mean) == MOSAIC_SSIM_ERROR_STRIDE);
    output.map = map, output.map_stride = 57, output.mean = 9;
    CHECK(mosaic_ssim_compare(&good, &other, &o, &output, NULL, 0) == MOSAIC_SSIM_ERROR_STRIDE && output.mean > 8);

    output.map_stride = huge / 8;
    CHECK(mosaic_ssim_compare(&good, &other, &o, &output, NULL, 0) == MOSAIC_SSIM_ERROR_OVERFLOW && output.mean > 8);
    for (i = 0; i < 13; i++) {
        bad = good;
        switch (i) {
        case 0: bad.width = huge; break;
        case 1: bad.width = (size_t)-1; break;
        case 2: bad.height = (size_t)-1; break;
        case 3: bad.width = bad.height = (size_t)-1; break;
        case 4: bad.width = bad.height = (size_t)1 << (sizeof(size_t) * 4); break;
        case 5: bad.row_stride = PTRDIFF_MAX; break;
        case 6: bad.row_stride = PTRDIFF_MIN; break;
        case 7: bad.row_stride = PTRDIFF_MAX / 63; break;
        case 8: bad.pixel_stride = PTRDIFF_MAX; break;
        case 9: bad.pixel_stride = PTRDIFF_MIN; break;
        case 11: bad.row_stride = (ptrdiff_t)((size_t)-1 / 63 + 2); break; /* times 63 it wraps round to a few bytes */
        case 10: bad.pixel_stride = PTRDIFF_MAX / 64, bad.row_stride = PTRDIFF_MAX / 64; break;
        default: bad.width = huge / 32, bad.height = 7; break;
        }
        bad2 = bad;
        CHECK_MSG(try_it(&bad, &bad2, &o) == MOSAIC_SSIM_ERROR_OVERFLOW, "overflow %d", i);
        if (i < 5) {
            CHECK(mosaic_ssim_work_size(&bad, &o, &size) == MOSAIC_SSIM_ERROR_OVERFLOW);
            CHECK(mosaic_ssim_prepared_size(&bad, &o, &size) == MOSAIC_SSIM_ERROR_OVERFLOW);
        }
    }
    CHECK(mosaic_ssim_gray8(a, (size_t)-1, b, 64, 64, 64, &mean) == MOSAIC_SSIM_ERROR_OVERFLOW);
    bad = make_image(a, 1000, (size_t)PTRDIFF_MAX / 16 / 1000);
    CHECK(mosaic_ssim_prepared_size(&bad, &o, &size) == MOSAIC_SSIM_ERROR_OVERFLOW);

    o.covariance = (mosaic_ssim_covariance)2;
    CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_COVARIANCE);
    o.covariance = MOSAIC_SSIM_SAMPLE;
    for (i = 0; i < 4; i++) {
        double v = i == 0 ? -1.0 : i == 1 ? infinity : i == 2 ? -infinity : not_a_number;
        o.data_range = v;
        CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_DATA_RANGE);
        o.data_range = 0, o.k1 = v;
        CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_CONSTANT);
        o.k1 = 0, o.k2 = v;
        CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_CONSTANT);
        o.k2 = 0;
    }
    o.k1 = 1e-60;
    CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_CONSTANT);
    o.k1 = 0, o.data_range = 1e60;
    CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_CONSTANT);
    o.data_range = 1e-40;
    CHECK(try_it(&good, &good, &o) == MOSAIC_SSIM_OK);
    o.data_range = 0;
    o.simd = -1;
    CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_SIMD);
    for (i = 1; i <= 7; i++) {
#if MOSAIC_SSIM__SIMD
        int there = i <= mosaic__cpu_level() + 1;
#else
        int there = i == 1 || (i == 5 && MOSAIC_SSIM__PAIRS);
#endif
        o.simd = i;
        CHECK(try_it(&good, &other, &o) == (there ? MOSAIC_SSIM_OK : MOSAIC_SSIM_ERROR_SIMD));
    }
    o.simd = 0, o.jobs = -1;
    CHECK(try_it(&good, &other, &o) == MOSAIC_SSIM_ERROR_JOBS);
    CHECK(mean > 8 && live == 0);

    for (i = MOSAIC_SSIM_OK; i <= MOSAIC_SSIM_ERROR_UNSUPPORTED; i++) {
        int k;
        const char *text = mosaic_ssim_result_string((mosaic_ssim_result)i);
        CHECK(text && text[0]);
        for (k = 0; k < i; k++) CHECK(strcmp(text, mosaic_ssim_result_string((mosaic_ssim_result)k)) != 0);
    }
    CHECK(strcmp(mosaic_ssim_result_string((mosaic_ssim_result)i), "unknown result") == 0);
}

/* ---- scikit-image's bits: scikit-image 0.26.0, SciPy 1.17.1, NumPy 2.4.6 gave these means, full maps and gradients ---- */

typedef struct golden {
    int type, gaussian, window, population, channels;
    double mean;
    uint64_t map, gradient;
} golden;

static const golden goldens[] = {
    {0, 0, 7, 0, 0, 0x1.d8dbfd537b7c9p-1, 0xad7b3d76c0841f24u, 0x82737eb38741e047u},
    {0, 0, 11, 1, 3, 0x1.d92bf839a258dp-1, 0xbbbdaff970120cd8u, 0x89dfdb2d5c856ab1u},
    {0, 1, 0, 0, 0, 0x1.d89b9e325eb1fp-1, 0x393370979ef0e194u, 0xeecba58fbe042a62u},
    {0, 1, 0, 1, 3, 0x1.d855a7b081cd0p-1, 0x1acfddad7d8c995fu, 0xd60bb0c157a01ea3u},
    {1, 0, 7, 0, 0, 0x1.d8da9fe58dd31p-1, 0xa74503a30d8f0d5au, 0x91b26d311248ae53u},
    {1, 0, 11, 1, 3, 0x1.d92c3c7181088p-1, 0x4b0d6bc890e407fcu, 0x18e1c2da35132b5fu},
    {1, 1, 0, 0, 0, 0x1.d8997defdef5ep-1, 0xab53bd3a521557fbu, 0x621cf71118578027u},
    {1, 1, 0, 1, 3, 0x1.d85632626b3c7p-1, 0xe8a0c3344af409b2u, 0xe8eea6bba7e08ae2u},
    {2, 0, 7, 0, 0, 0x1.d8da9e1ad398cp-1, 0x7a6211c38cffdc9cu, 0x2750016088ab61b8u},
    {2, 0, 11, 1, 3, 0x1.d92c3a0000000p-1, 0xc092288b2b11a8ddu, 0x408071363cbd781cu},
    {2, 1, 0, 0, 0, 0x1.d8997ceba53e6p-1, 0xf0e7b2d642b20749u, 0xcf655bb117544c97u},
    {2, 1, 0, 1, 3, 0x1.d856300000000p-1, 0x889055a7ae0e83e2u, 0x91005cbadea35654u},
    {3, 0, 7, 0, 0, 0x1.d8da9e39e4961p-1, 0xf8da1ebb03add8b0u, 0x88a7bee2a7967b22u},
    {3, 0, 11, 1, 3, 0x1.d92c3a08e37c3p-1, 0xd5ff6142537b4048u, 0x92a69e4659c3a99cu},
    {3, 1, 0, 0, 0, 0x1.d8997d019d845p-1, 0x5809a0fdc26ccd7bu, 0x049753d0ce518024u},
    {3, 1, 0, 1, 3, 0x1.d8562ff6e377fp-1, 0x214f7041dc86b7ddu, 0x0a54b659cd774b37u},
};

enum { GW = 131, GH = 97 };

/* The pair behind the golden values: two interleaved pictures of three channels. */
static void golden_pair(int type, void *a, void *b)
{
    static double r[2][GW * GH * 3];
    unsigned state = 1;
    int i;
    for (i = 0; i < 2 * GW * GH * 3; i++)
        state = state * 1664525u + 1013904223u, r[i / (GW * GH * 3)][i % (GW * GH * 3)] = (double)(state >> 8) / 16777216.0;
    for (i = 0; i < GW * GH * 3; i++) {
        double x = r[0][i], y = x * 0.75 + r[1][i] * 0.25;
        switch (type) {
        case MOSAIC_SSIM_U8: ((uint8_t *)a)[i] = (uint8_t)(x * 255 + 0.5), ((uint8_t *)b)[i] = (uint8_t)(y * 255 + 0.5); break;
        case MOSAIC_SSIM_U16: ((uint16_t *)a)[i] = (uint16_t)(x * 65535 + 0.5), ((uint16_t *)b)[i] = (uint16_t)(y * 65535 + 0.5); break;
        case MOSAIC_SSIM_F32: ((float *)a)[i] = (float)x, ((float *)b)[i] = (float)y; break;
        default: ((double *)a)[i] = x, ((double *)b)[i] = y; break;
        }
    }
}

static mosaic_ssim_image golden_image(const golden *g, const void *data)
{
    static const int sizes[] = {1, 2, 4, 8};
    mosaic_ssim_image image = make_image(data, GW, GH);
    image.type = (mosaic_ssim_type)g->type, image.channels = g->channels;
    if (!g->channels) image.pixel_stride = 3 * sizes[g->type];
    return image;
}

static void test_skimage(void)
{
    static double a[GW * GH * 3], b[GW * GH * 3], map[GW * GH * 3], gradient[GW * GH * 3], crop[GW * GH * 3], first[GW * GH * 3];
    size_t i, k;
    for (i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
        const golden *g = &goldens[i];
        mosaic_ssim_image image_a = golden_image(g, a), image_b = golden_image(g, b);
        mosaic_ssim_options o = make_options(g->window, 0);
        mosaic_ssim_output out;
        hook h;
        size_t values = (size_t)(GW * GH * (g->channels ? 3 : 1)), side = g->window ? (size_t)g->window : 11, mw = GW - side + 1, mh = GH - side + 1;
        memset(&h, 0, sizeof h);
        golden_pair(g->type, a, b);
        o.arithmetic = MOSAIC_SSIM_SKIMAGE;
        o.weights = g->gaussian ? MOSAIC_SSIM_GAUSSIAN : MOSAIC_SSIM_UNIFORM;
        o.covariance = g->population ? MOSAIC_SSIM_POPULATION : MOSAIC_SSIM_SAMPLE;
        if (g->type >= MOSAIC_SSIM_F32) o.data_range = 1;
        memset(&out, 0, sizeof out);
        out.map = map, out.gradient = gradient, out.full = 1;
        CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_OK);
        CHECK_MSG(memcmp(&out.mean, &g->mean, 8) == 0, "%d: %.17g for %.17g", (int)i, out.mean, g->mean);
        CHECK_MSG(hash(7, map, values) == g->map, "map %d", (int)i);
        CHECK_MSG(hash(7, gradient, values) == g->gradient, "gradient %d", (int)i);
        for (o.simd = 1; o.simd; o.simd = next_simd(o.simd)) { /* the fast rooms, cut into jobs */
            memset(&out, 0, sizeof out);
            h.threads = 2, o.run = run_threads, o.run_ctx = &h, o.jobs = 1 + (int)i % 5;
            out.map = crop;
            CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_OK);
            CHECK_MSG(memcmp(&out.mean, &g->mean, 8) == 0, "%d simd %d: %.17g for %.17g", (int)i, o.simd, out.mean, g->mean);
            for (k = 0; k < mw * mh; k++) crop[k] -= map[(k / mw + side / 2) * GW + k % mw + side / 2];
            for (k = 0; k < mw * mh && crop[k] <= 0 && crop[k] >= 0; k++) {
            }
            CHECK_MSG(k == mw * mh, "%d simd %d: map", (int)i, o.simd);
        }
        { /* the whole planes, cut into jobs as well */
            static double whole[GW * GH * 3];
            double contrast;
            memset(&out, 0, sizeof out), memset(gradient, 0, sizeof gradient), memset(whole, 0, sizeof whole);
            o.jobs = 2 + (int)i % 5, h.count = 0;
            out.map = whole, out.gradient = gradient, out.contrast = &contrast, out.full = 1;
            CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_OK && h.count == o.jobs);
            CHECK(memcmp(&out.mean, &g->mean, 8) == 0 && hash(7, whole, values) == g->map && hash(7, gradient, values) == g->gradient);
        }
        { /* the exact arithmetic: near, the same for every kernel and cut, contrast included */
            double contrast, other, mean = 0;
            o.arithmetic = MOSAIC_SSIM_EXACT;
            for (o.simd = 1; o.simd; o.simd = next_simd(o.simd)) {
                memset(&out, 0, sizeof out);
                out.map = o.simd == 1 ? first : crop, out.contrast = o.simd == 1 ? &contrast : &other;
                o.jobs = o.simd;
                CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_OK);
                CHECK(out.mean - g->mean < 1e-7 && g->mean - out.mean < 1e-7);
                if (o.simd == 1) mean = out.mean;
                CHECK(memcmp(&out.mean, &mean, 8) == 0);
                CHECK(o.simd == 1 || (memcmp(first, crop, mw * mh * (g->channels ? 3 : 1) * 8) == 0 && memcmp(&contrast, &other, 8) == 0));
            }
            o.simd = 0;
            CHECK(mosaic_ssim_compare(&image_a, &image_a, &o, &out, NULL, 0) == MOSAIC_SSIM_OK && out.mean >= 1 && out.mean <= 1);
            memset(&out, 0, sizeof out);
            CHECK(mosaic_ssim_compare(&image_b, &image_a, &o, &out, NULL, 0) == MOSAIC_SSIM_OK && memcmp(&out.mean, &mean, 8) == 0);
        }
    }
}

/* ---- the best of many: as a comparison of all would find it ---- */

static void test_best(void)
{
    enum { TILES = 40 };
    int round, i;
    for (round = 0; round < 60; round++) {
        size_t width = (size_t)test_range(7, round % 10 ? 80 : 300), height = (size_t)test_range(7, 40), size = 0, winner = 99, expected = 0, k,
               work_size = 0;
        unsigned char *pixels = make_pixels(width * height), *cell = make_pixels(width * height);
        mosaic_ssim_image image = make_image(pixels, width, height);
        mosaic_ssim_options o = make_options(round % 7 == 6 ? 5 : 7, 0);
        mosaic_ssim_prepared *prepared, *tiles[TILES];
        const mosaic_ssim_prepared *list[TILES];
        void *memory[TILES + 1], *work;
        double means[TILES], mean;
        fill_pair(cell, pixels, width * height, round % KINDS);
        if (round % 4 == 1) o.k2 = 0.5, o.covariance = MOSAIC_SSIM_POPULATION;
        if (round % 4 == 2) o.k1 = 1e-9; /* beyond what single precision is used for */
        image.data = cell;
        CHECK(mosaic_ssim_prepared_size(&image, &o, &size) == MOSAIC_SSIM_OK && mosaic_ssim_work_size(&image, &o, &work_size) == MOSAIC_SSIM_OK);
        work = malloc(work_size);
        memory[TILES] = malloc(size);
        CHECK(mosaic_ssim_prepare(&image, &o, memory[TILES], size, &prepared, NULL, 0) == MOSAIC_SSIM_OK);
        image.data = pixels;
        for (i = 0; i < TILES; i++) { /* many are nearly or quite as good as each other */
            if (i % 8 == 0) memcpy(pixels, cell, width * height);
            for (k = 0; k < (i % 8 == 0 ? width * height / 3 : 1); k++)
                pixels[test_random() % (width * height)] ^= (unsigned char)(i % 3 ? 1 : test_random());
            memory[i] = malloc(size);
            CHECK(mosaic_ssim_prepare(&image, &o, memory[i], size, &tiles[i], NULL, 0) == MOSAIC_SSIM_OK);
            list[i] = tiles[i];
        }
        list[TILES - 1] = list[test_range(0, TILES - 2)];
        for (o.simd = 1; o.simd; o.simd = next_simd(o.simd)) {
            CHECK(mosaic_ssim_score_many(prepared, list, TILES, &o, means, work, work_size) == MOSAIC_SSIM_OK);
            for (i = 1, expected = 0; i < TILES; i++)
                if (means[i] > means[expected]) expected = (size_t)i;
            CHECK(mosaic_ssim_best(prepared, list, TILES, &o, &winner, &mean, work, work_size) == MOSAIC_SSIM_OK);
            CHECK_MSG(winner == expected && memcmp(&mean, &means[expected], 8) == 0, "round %d simd %d: %d for %d", round, o.simd, (int)winner,
                      (int)expected);
            for (k = 0; k < 3; k++) { /* of equals the first wins, wherever the others are */
                const mosaic_ssim_prepared *ties[TILES];
                size_t other = (expected + 1 + 13 * k) % TILES;
                memcpy(ties, list, sizeof ties);
                ties[other] = list[expected];
                CHECK(mosaic_ssim_best(prepared, ties, TILES, &o, &winner, NULL, work, work_size) == MOSAIC_SSIM_OK);
                CHECK_MSG(winner == (other < expected ? other : expected), "round %d simd %d: %d", round, o.simd, (int)winner);
            }
            if (o.window == 7 && o.simd > 1 && round % 4 != 2) { /* the bound that the choice rests on */
                mosaic_ssim__plan plan;
                CHECK(mosaic_ssim__make_plan(&image, &o, NULL, &plan) == MOSAIC_SSIM_OK && plan.kernels->screen);
                for (i = 0; i < TILES; i++) {
                    double near_mean = mosaic_ssim__screened(&plan, prepared, list[i], -2, mosaic_ssim__align(work));
                    CHECK_MSG(near_mean - means[i] < MOSAIC_SSIM__DOUBT && means[i] - near_mean < MOSAIC_SSIM__DOUBT, "%.17g %.17g", near_mean,
                              means[i]);
                }
            }
        }
        o.simd = 0;
        CHECK(mosaic_ssim_best(prepared, list, 0, &o, &winner, &mean, work, work_size) == MOSAIC_SSIM_ERROR_SIZE);
        CHECK(mosaic_ssim_best(prepared, NULL, 1, &o, &winner, &mean, work, work_size) == MOSAIC_SSIM_ERROR_NULL);
        CHECK(mosaic_ssim_best(prepared, list, TILES, &o, &winner, &mean, work, work_size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE);
        o.window = 3;
        CHECK(mosaic_ssim_best(prepared, list, TILES, &o, &winner, &mean, work, work_size) == MOSAIC_SSIM_ERROR_PREPARED);
        for (i = 0; i <= TILES; i++) free(memory[i]);
        free(work), free(pixels), free(cell);
    }
}

/* ---- several scales ---- */

static void test_multiscale(void)
{
    const size_t width = 181, height = 178;
    unsigned char *a = make_pixels(3 * width * height), *b = make_pixels(3 * width * height);
    mosaic_ssim_image image_a = make_image(a, width, height), image_b = make_image(b, width, height);
    mosaic_ssim_options o = make_options(0, 0);
    double value = 0, one = 0, channels[3], mean, all[2];
    size_t size = 0, i;
    void *work;
    int simd, k;
    for (i = 0; i < 3 * width * height; i++)
        a[i] = (unsigned char)(i % 541 / 3 + i / 4000 + (test_random() & 7)), b[i] = (unsigned char)(a[i] + (test_random() & 31));
    o.weights = MOSAIC_SSIM_GAUSSIAN, o.covariance = MOSAIC_SSIM_POPULATION;
    CHECK(mosaic_ssim_multiscale_work_size(&image_a, &o, &size) == MOSAIC_SSIM_OK);
    work = malloc(size + 1);
    CHECK(mosaic_ssim_multiscale(&image_a, &image_b, &o, &value, (char *)work + 1, size) == MOSAIC_SSIM_OK);
    CHECK(mosaic_ssim_multiscale(&image_a, &image_b, &o, &one, (char *)work + 1, size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE);
    CHECK(value > 0.5 && value < 1);
    for (simd = 1; simd; simd = next_simd(simd)) {
        o.simd = simd;
        CHECK(mosaic_ssim_multiscale(&image_a, &image_b, &o, &one, NULL, 0) == MOSAIC_SSIM_OK && memcmp(&one, &value, 8) == 0);
    }
    o.simd = 0;
    CHECK(mosaic_ssim_multiscale(&image_a, &image_a, &o, &one, NULL, 0) == MOSAIC_SSIM_OK && one >= 1 && one <= 1);
    { /* by hand: halve, compare, multiply */
        static const double weights[5] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
        double *half[2], product = 1;
        size_t w = width, h = height, x, y;
        half[0] = (double *)malloc(width * height * 8), half[1] = (double *)malloc(width * height * 8);
        for (i = 0; i < width * height; i++) half[0][i] = a[i], half[1][i] = b[i];
        o.data_range = 255;
        for (k = 0; k < 5; k++) {
            mosaic_ssim_image p = make_image(half[0], w, h), q = make_image(half[1], w, h);
            mosaic_ssim_output out;
            double contrast = 0, factor, root = 1, step;
            int n;
            memset(&out, 0, sizeof out);
            p.type = q.type = MOSAIC_SSIM_F64, out.contrast = &contrast;
            CHECK(mosaic_ssim_compare(&p, &q, &o, &out, NULL, 0) == MOSAIC_SSIM_OK);
            factor = k < 4 ? contrast : out.mean;
            for (n = 0, step = (factor - 1) / 1; n < 4000; n++) { /* (1 + u)^weight by its series */
                if (n) step *= (weights[k] - n) / (n + 1) * (factor - 1);
                root += n ? step : step * weights[k], step = n ? step : step * weights[k];
            }
            product *= root;
            for (i = 0; i < 2; i++)
                for (y = 0; y < (h + 1) / 2; y++)
                    for (x = 0; x < (w + 1) / 2; x++) {
                        size_t x1 = 2 * x + 1 < w ? 2 * x + 1 : w - 1, y1 = 2 * y + 1 < h ? 2 * y + 1 : h - 1;
                        half[i][y * ((w + 1) / 2) + x] =
                            (half[i][2 * y * w + 2 * x] + half[i][2 * y * w + x1] + half[i][y1 * w + 2 * x] + half[i][y1 * w + x1]) / 4;
                    }
            w = (w + 1) / 2, h = (h + 1) / 2;
        }
        CHECK_MSG(product - value < 1e-12 && value - product < 1e-12, "%.17g %.17g", product, value);
        o.data_range = 0;
        free(half[0]), free(half[1]);
    }
    image_a.channels = image_b.channels = 3;
    CHECK(mosaic_ssim_multiscale(&image_a, &image_b, &o, &mean, NULL, 0) == MOSAIC_SSIM_OK);
    for (k = 0; k < 3; k++) {
        mosaic_ssim_image p = make_image(a + k, width, height), q = make_image(b + k, width, height);
        p.pixel_stride = q.pixel_stride = 3;
        CHECK(mosaic_ssim_multiscale(&p, &q, &o, &channels[k], NULL, 0) == MOSAIC_SSIM_OK);
    }
    all[0] = (channels[0] + channels[1] + channels[2]) / 3, all[1] = mean;
    CHECK(memcmp(&all[0], &all[1], 8) == 0);
    image_a.width = image_b.width = 175;
    CHECK(mosaic_ssim_multiscale(&image_a, &image_b, &o, &mean, NULL, 0) == MOSAIC_SSIM_ERROR_TOO_SMALL);
    CHECK(mosaic_ssim_multiscale(&image_a, NULL, &o, &mean, NULL, 0) == MOSAIC_SSIM_ERROR_NULL);
    CHECK(mosaic_ssim_dssim(1) <= 0 && mosaic_ssim_dssim(0.5) >= 0.25 && mosaic_ssim_dssim(-1) >= 1);
    CHECK(live == 0);
    free(work), free(a), free(b);
}

/* NumPy's sum of doubles side by side, and its older rule for a map: runs of 8192 values whatever the rows. */
static double numpy_sum(const double *v, size_t n)
{
    size_t i, half = n / 2 / 8 * 8;
    double r[8], sum = -0.0;
    if (n > 128) return numpy_sum(v, half) + numpy_sum(v + half, n - half);
    if (n >= 8) {
        for (i = 8, half = n / 8 * 8, memcpy(r, v, sizeof r); i < half; i++) r[i % 8] += v[i];
        sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    } else {
        i = 0;
    }
    for (; i < n; i++) sum += v[i];
    return sum;
}

static void test_mean_rules(void)
{
    static double a[GW * GH * 3], b[GW * GH * 3], map[GW * GH];
    int type;
    for (type = 0; type < 4; type++) {
        golden g = {0, 0, 7, 0, 0, 0, 0, 0};
        mosaic_ssim_image image_a, image_b;
        mosaic_ssim_options o = make_options(0, 0);
        mosaic_ssim_output out;
        double old_sum = 0, new_sum = 0, work[4];
        size_t mw = GW - 6, mh = GH - 6, i, rows = 8192 / mw, size = 0;
        g.type = type;
        image_a = golden_image(&g, a), image_b = golden_image(&g, b);
        golden_pair(type, a, b);
        o.arithmetic = MOSAIC_SSIM_SKIMAGE, o.data_range = type == 0 ? 255 : type == 1 ? 65535 : 1;
        memset(&out, 0, sizeof out);
        out.map = map;
        CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_OK);
        for (i = 0; i < mw * mh; i += 8192) old_sum += numpy_sum(map + i, mw * mh - i < 8192 ? mw * mh - i : 8192);
        for (i = 0; i < mh; i += rows) new_sum += numpy_sum(map + i * mw, (mh - i < rows ? mh - i : rows) * mw);
        old_sum /= (double)(mw * mh), new_sum /= (double)(mw * mh);
        CHECK_MSG(memcmp(&out.mean, &new_sum, 8) == 0, "type %d: %.17g %.17g", type, out.mean, new_sum);
        o.mean_rule = MOSAIC_SSIM_MEAN_NUMPY_1;
        CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_OK);
        CHECK_MSG(memcmp(&out.mean, &old_sum, 8) == 0, "type %d: %.17g %.17g", type, out.mean, old_sum);
        out.contrast = &work[0];
        for (i = 0; i < 2; i++) { /* the work area for this very output is enough, and a byte less is not */
            void *memory;
            o.arithmetic = i ? MOSAIC_SSIM_EXACT : MOSAIC_SSIM_SKIMAGE;
            CHECK(mosaic_ssim_work_size_for(&image_a, &o, &out, &size) == MOSAIC_SSIM_OK);
            memory = malloc(size);
            CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, memory, size) == MOSAIC_SSIM_OK);
            CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, memory, size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE);
            free(memory);
        }
    }
}

static void test_new_errors(void)
{
    static double a[GW * GH * 3], b[GW * GH * 3];
    const double zero = 0, infinity = 1e308 * 10, odd[] = {infinity, -infinity, infinity * zero};
    golden g = {MOSAIC_SSIM_F64, 0, 7, 0, 3, 0, 0, 0};
    mosaic_ssim_image image_a = golden_image(&g, a), image_b = golden_image(&g, b), bad;
    mosaic_ssim_options o = make_options(0, 0);
    mosaic_ssim_output out;
    size_t size = 0;
    int i;
    void *work;
    golden_pair(g.type, a, b);
    CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_ERROR_NO_RANGE);
    o.data_range = 1;
    CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_OK);
    bad = image_b, bad.channels = 2;
    CHECK(try_it(&image_a, &bad, &o) == MOSAIC_SSIM_ERROR_CHANNEL_MISMATCH);
    bad.channels = 5;
    CHECK(try_it(&bad, &bad, &o) == MOSAIC_SSIM_ERROR_CHANNELS);
    bad.channels = -1;
    CHECK(try_it(&bad, &bad, &o) == MOSAIC_SSIM_ERROR_CHANNELS);
    bad = image_b, bad.type = MOSAIC_SSIM_F32;
    CHECK(try_it(&image_a, &bad, &o) == MOSAIC_SSIM_ERROR_TYPE);
    bad.type = (mosaic_ssim_type)4;
    CHECK(try_it(&bad, &bad, &o) == MOSAIC_SSIM_ERROR_TYPE);
    bad = image_b, bad.pixel_stride = 7;
    CHECK(try_it(&image_a, &bad, &o) == MOSAIC_SSIM_ERROR_STRIDE);
    bad = image_b, bad.channel_stride = PTRDIFF_MAX;
    CHECK(try_it(&image_a, &bad, &o) == MOSAIC_SSIM_ERROR_OVERFLOW);
    bad.channel_stride = PTRDIFF_MIN;
    CHECK(try_it(&image_a, &bad, &o) == MOSAIC_SSIM_ERROR_OVERFLOW);
    for (i = 0; i < 6; i++) {
        double old = b[i * 1000 + 2], huge = 1e71;
        b[i * 1000 + 2] = i < 3 ? odd[i] : huge;
        o.arithmetic = i % 2 && i < 3 ? MOSAIC_SSIM_SKIMAGE : MOSAIC_SSIM_EXACT;
        CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_ERROR_NOT_FINITE);
        CHECK(try_it(&image_b, &image_a, &o) == MOSAIC_SSIM_ERROR_NOT_FINITE);
        b[i * 1000 + 2] = old;
    }
    o.arithmetic = (mosaic_ssim_arithmetic)2;
    CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_ERROR_OPTION);
    o.arithmetic = MOSAIC_SSIM_EXACT, o.weights = (mosaic_ssim_weights)2;
    CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_ERROR_OPTION);
    o.weights = MOSAIC_SSIM_GAUSSIAN, o.mean_rule = (mosaic_ssim_mean_rule)-1;
    CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_ERROR_OPTION);
    o.mean_rule = MOSAIC_SSIM_MEAN_NUMPY_2_3;
    for (i = 0; i < 5; i++) {
        o.sigma = i == 0 ? -1.5 : i == 1 ? 40 : i == 2 ? 0.1 : odd[i - 3 ? 0 : 2];
        CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_ERROR_SIGMA);
    }
    o.sigma = 0, o.window = 9;
    CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_OK);
    o.taps = a, o.tap_count = 200;
    CHECK(try_it(&image_a, &image_b, &o) == MOSAIC_SSIM_ERROR_SIGMA);
    o.taps = NULL, o.window = 0, o.weights = MOSAIC_SSIM_UNIFORM;
    memset(&out, 0, sizeof out);
    out.full = 1;
    CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, NULL, 0) == MOSAIC_SSIM_ERROR_UNSUPPORTED);
    CHECK(mosaic_ssim_prepared_size(&image_a, &o, &size) == MOSAIC_SSIM_ERROR_UNSUPPORTED);
    for (i = 0; i < 4; i++) { /* work areas of just the size, at odd addresses, and one byte less */
        out.full = 0;
        o.arithmetic = i & 1 ? MOSAIC_SSIM_SKIMAGE : MOSAIC_SSIM_EXACT, o.weights = i & 2 ? MOSAIC_SSIM_GAUSSIAN : MOSAIC_SSIM_UNIFORM;
        CHECK(mosaic_ssim_work_size(&image_a, &o, &size) == MOSAIC_SSIM_OK);
        work = malloc(size + 1);
        CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, (char *)work + 1, size) == MOSAIC_SSIM_OK);
        CHECK(mosaic_ssim_compare(&image_a, &image_b, &o, &out, (char *)work + 1, size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE);
        free(work);
    }
}

int main(void)
{
    test_kernels();
    test_settings();
    test_properties();
    test_golden();
    test_strides();
    test_prepared_alignment();
    test_outputs();
    test_threads();
    test_bad_input();
    test_skimage();
    test_mean_rules();
    test_new_errors();
    test_best();
    test_multiscale();
    CHECK(live == 0);
    return test_end("ssim");
}
