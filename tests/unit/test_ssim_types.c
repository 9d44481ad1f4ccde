/* mosaic_ssim.h over every type of pixels, both arithmetics, both kinds of weights, every layout and every kind of result: kernel against
   kernel, threads against none, layouts against each other, and the properties that the formula promises.
   cc -O2 tests/unit/test_ssim_types.c -o test_ssim_types -lpthread */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int allocations;
static void *counted_malloc(size_t size)
{
    allocations++;
    return malloc(size);
}
#define MOSAIC_SSIM_MALLOC(ctx, size) ((void)(ctx), counted_malloc(size))
#define MOSAIC_SSIM_FREE(ctx, ptr) ((void)(ctx), free(ptr))
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../../mosaic_ssim.h"

#include "../ssim.h"
#include "../test.h"
#include "../threads.h"

/* ---- modes: what kernels and rooms of the file there are ---- */

enum { MODES = 16 };

static mosaic_ssim_type mode_type(int mode) { return (mosaic_ssim_type)(mode & 3); }
static int mode_floats(int mode) { return mode_type(mode) >= MOSAIC_SSIM_F32; }

static mosaic_ssim_options mode_options(int mode)
{
    mosaic_ssim_options o;
    memset(&o, 0, sizeof o);
    o.arithmetic = mode & 4 ? MOSAIC_SSIM_SKIMAGE : MOSAIC_SSIM_EXACT;
    o.weights = mode & 8 ? MOSAIC_SSIM_GAUSSIAN : MOSAIC_SSIM_UNIFORM;
    if (mode_floats(mode)) o.data_range = 1;
    return o;
}

/* The side of the window. */
static size_t side(const mosaic_ssim_options *o)
{
    if (o->window) return (size_t)o->window;
    return o->weights == MOSAIC_SSIM_UNIFORM ? 7 : 2 * (size_t)(3.5 * (o->sigma > 0 ? o->sigma : 1.5) + 0.5) + 1;
}

/* ---- pictures: the same samples in any layout, in a block that ends where they do ---- */

typedef struct picture {
    mosaic_ssim_image image;
    unsigned char *block, *first; /* first: sample (0, 0, 0), whose strides are: */
    ptrdiff_t row, pixel, channel;
} picture;

enum { PACKED, PLANES, COLUMNS, UPSIDE_DOWN, MIRRORED, INSIDE, SPREAD, LAST_PLANE_FIRST, LAYOUTS };

static void put(const picture *p, size_t x, size_t y, size_t c, double v)
{
    unsigned char *at = p->first + (ptrdiff_t)y * p->row + (ptrdiff_t)x * p->pixel + (ptrdiff_t)c * p->channel;
    uint8_t u8 = (uint8_t)(v * 255 + 0.5);
    uint16_t u16 = (uint16_t)(v * 65535 + 0.5);
    float f32 = (float)v;
    switch (p->image.type) {
    case MOSAIC_SSIM_U8: memcpy(at, &u8, 1); break;
    case MOSAIC_SSIM_U16: memcpy(at, &u16, 2); break;
    case MOSAIC_SSIM_F32: memcpy(at, &f32, 4); break;
    default: memcpy(at, &v, 8); break;
    }
}

/* 0 to 1 for each place of each picture. */
static double noise(size_t x, size_t y, size_t c, unsigned which)
{
    uint32_t h = (uint32_t)(x * 2654435761u + y * 2246822519u + c * 3266489917u + which * 668265263u);
    h = (h ^ h >> 15) * 2246822519u, h = (h ^ h >> 13) * 3266489917u;
    return (double)(h >> 8) / 16777215.0;
}

/* The largest integer, or for floats a power of two: multiples of 1 / steps are exact. */
static double steps(int mode) { return mode_type(mode) == MOSAIC_SSIM_U8 ? 255 : mode_type(mode) == MOSAIC_SSIM_U16 ? 65535 : 1024; }

/* Number 0, or a number above, which resembles it; channels 0 is one without an axis. If lift is not negative, all samples are multiples of
   1 / steps from lift on. */
static picture make_lifted(int mode, size_t width, size_t height, int channels, unsigned number, int layout, size_t offset, double lift)
{
    static const size_t sizes[4] = {1, 2, 4, 8};
    size_t s = sizes[mode & 3], n = channels ? (size_t)channels : 1, bytes = width * height * n * s, x, y, c, at = 0;
    picture p;
    memset(&p, 0, sizeof p);
    p.row = (ptrdiff_t)(width * n * s), p.pixel = (ptrdiff_t)(n * s), p.channel = (ptrdiff_t)s;
    switch (layout) {
    case PLANES: p.channel = (ptrdiff_t)(width * height * s), p.row = (ptrdiff_t)(width * s), p.pixel = (ptrdiff_t)s; break;
    case COLUMNS: p.pixel = (ptrdiff_t)(height * n * s), p.row = (ptrdiff_t)(n * s); break;
    case UPSIDE_DOWN: at = (size_t)p.row * (height - 1), p.row = -p.row; break;
    case MIRRORED: at = (size_t)p.pixel * (width - 1), p.pixel = -p.pixel; break;
    case INSIDE: p.row += 11, at = 5, bytes = (height - 1) * (size_t)p.row + width * n * s + at; break; /* rows at odd addresses */
    case SPREAD: p.pixel += 3, p.row = (ptrdiff_t)width * p.pixel, bytes = width * height * (size_t)p.pixel - 3; break;
    case LAST_PLANE_FIRST:
        at = width * height * s * (n - 1), p.channel = -(ptrdiff_t)(width * height * s), p.row = (ptrdiff_t)(width * s), p.pixel = (ptrdiff_t)s;
        break;
    default: break;
    }
    p.block = (unsigned char *)malloc(offset + bytes);
    memset(p.block, 0xee, offset + bytes);
    p.first = p.block + offset + at;
    p.image.data = p.first, p.image.width = width, p.image.height = height, p.image.type = mode_type(mode), p.image.channels = channels;
    if (layout != PACKED) p.image.row_stride = p.row, p.image.pixel_stride = p.pixel, p.image.channel_stride = p.channel;
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++)
            for (c = 0; c < n; c++) {
                double v = noise(x, y, c, 0);
                if (number) v = v * 0.75 + noise(x, y, c, number) * 0.25;
                put(&p, x, y, c, lift < 0 ? v : (double)(int)(v * 0.7 * steps(mode)) / steps(mode) + lift);
            }
    return p;
}

static picture make_picture(int mode, size_t width, size_t height, int channels, unsigned number, int layout, size_t offset)
{
    return make_lifted(mode, width, height, channels, number, layout, offset, -1);
}

/* ---- answers: everything that a comparison gives, whole ---- */

enum { ROWS = 1, CONTRAST = 2, FULL = 4, GRADIENT = 8, LARGEST = 110000 };

typedef struct answer {
    mosaic_ssim_result code;
    mosaic_ssim_output out;
    double contrast;
    size_t used;
    double map[LARGEST], contrast_map[LARGEST], gradient[LARGEST], rows[2048];
} answer;
static answer first, second;

static double *prepare_answer(answer *to, size_t used, int wants, size_t shift)
{
    size_t i;
    CHECK(used + shift <= LARGEST);
    memset(&to->out, 0, sizeof to->out);
    to->used = used + shift;
    for (i = 0; i < to->used; i++) to->map[i] = to->contrast_map[i] = to->gradient[i] = 7;
    for (i = 0; i < 2048; i++) to->rows[i] = 7;
    to->contrast = to->out.mean = 7;
    for (i = 0; i < 4; i++) to->out.channel_means[i] = 7;
    to->out.map = to->map + shift;
    if (wants & ROWS) to->out.row_sums = to->rows;
    if (wants & CONTRAST) to->out.contrast = &to->contrast, to->out.contrast_map = to->contrast_map + shift;
    if (wants & FULL) to->out.full = 1;
    if (wants & GRADIENT) to->out.gradient = to->gradient;
    return to->map + shift;
}

/* Compares two pictures; maps begin `shift` doubles into their buffers, which is where all of both answers must agree. */
static void ask(answer *to, const picture *a, const picture *b, const mosaic_ssim_options *o, int wants, size_t shift)
{
    prepare_answer(to, a->image.width * a->image.height * (size_t)(a->image.channels ? a->image.channels : 1), wants, shift);
    to->code = mosaic_ssim_compare(&a->image, &b->image, o, &to->out, NULL, 0);
}

static int same_bits(const void *a, const void *b, size_t doubles) { return memcmp(a, b, doubles * sizeof(double)) == 0; }

static int same(const answer *a, const answer *b)
{
    return a->code == b->code && same_bits(&a->out.mean, &b->out.mean, 1) && same_bits(a->out.channel_means, b->out.channel_means, 4) &&
           same_bits(&a->contrast, &b->contrast, 1) && same_bits(a->rows, b->rows, 2048) && a->used == b->used &&
           same_bits(a->map, b->map, a->used) && same_bits(a->contrast_map, b->contrast_map, a->used) && same_bits(a->gradient, b->gradient, a->used);
}

/* Nothing at all was written. */
static int untouched(const answer *a)
{
    size_t i;
    int clean = a->out.mean > 6 && a->contrast > 6;
    for (i = 0; i < a->used; i++) clean &= a->map[i] > 6 && a->contrast_map[i] > 6 && a->gradient[i] > 6;
    for (i = 0; i < 2048; i++) clean &= a->rows[i] > 6;
    for (i = 0; i < 4; i++) clean &= a->out.channel_means[i] > 6;
    return clean;
}

/* The kinds of result that a mode has. */
static int wants_of(int mode, int k)
{
    static const int wants[] = {0, ROWS, ROWS | CONTRAST, FULL, ROWS | CONTRAST | FULL | GRADIENT};
    return k < (mode & 4 ? 5 : 3) ? wants[k] : -1;
}

/* Whether numbers and row sums are those of the maps beside them, to a few bits (of floats, where a mean over channels is one). */
static int sums_agree(const answer *a, const picture *p, size_t w)
{
    size_t mw = p->image.width - w + 1, mh = p->image.height - w + 1, channels = p->image.channels ? (size_t)p->image.channels : 1, c, x, y;
    size_t row = a->out.full ? p->image.width : mw, plane = row * (a->out.full ? p->image.height : mh),
           corner = a->out.full ? (row + 1) * (w / 2) : 0;
    double sums[2] = {0, 0}, e, bound = p->image.type == MOSAIC_SSIM_F32 ? 1e-6 : 1e-12;
    int good = 1;
    for (c = 0; c < channels; c++)
        for (y = 0; y < mh; y++) {
            double sum = 0;
            for (x = 0; x < mw; x++) {
                sum += a->map[c * plane + corner + y * row + x];
                sums[1] += a->contrast_map[c * plane + corner + y * row + x];
            }
            e = sum - a->rows[c * mh + y];
            if (a->out.row_sums) good &= e < bound * (double)mw && e > -bound * (double)mw;
            sums[0] += sum;
        }
    e = sums[0] / (double)(mw * mh * channels) - a->out.mean;
    good &= e < bound && e > -bound;
    e = sums[1] / (double)(mw * mh * channels) - a->contrast;
    return good && (!a->out.contrast || (e < bound && e > -bound));
}

static void test_kernels(void)
{
    static const int windows[] = {3, 5, 9, 11, 13, 21, 31, 33};
    int mode;
    for (mode = 0; mode < MODES; mode++) {
        size_t width, turn, offset;
        for (width = 7; width <= 300; width++)
            for (turn = 0; turn < 2; turn++) {
                mosaic_ssim_options o = mode_options(mode);
                int wants = mode & 4 ? ROWS : width % 3 ? ROWS : ROWS | CONTRAST;
                picture a, b;
                if (o.weights == MOSAIC_SSIM_GAUSSIAN) {
                    o.sigma = turn || width < 11 ? 0.8 : 1.5; /* 7 and 11 taps */
                } else if (turn) {
                    o.window = windows[width % 8];
                    if ((size_t)o.window > width) o.window = 3;
                }
                a = make_picture(mode, width, side(&o) + width % 19, 0, 0, PACKED, width * 11 % 64);
                b = make_picture(mode, width, side(&o) + width % 19, 0, 1, PACKED, width * 7 % 64);
                o.simd = 1;
                ask(&first, &a, &b, &o, wants, width % 8);
                CHECK_MSG(first.code == MOSAIC_SSIM_OK, "mode %d width %d", mode, (int)width);
                while ((o.simd = next_simd(o.simd)) != 0) {
                    ask(&second, &a, &b, &o, wants, width % 8);
                    CHECK_MSG(same(&first, &second), "mode %d width %d window %d simd %d", mode, (int)width, (int)side(&o), o.simd);
                }
                free(a.block), free(b.block);
            }
        for (offset = 0; offset < 64; offset++) /* every alignment; 41 ends inside a vector, 70 leaves 64 values */
            for (width = 41; width <= 70; width += 29) {
                mosaic_ssim_options o = mode_options(mode);
                picture a = make_picture(mode, width, 13, 0, 0, PACKED, offset),
                        b = make_picture(mode, width, 13, 0, 1, PACKED, (offset * 5 + 1) % 64);
                o.simd = 1;
                ask(&first, &a, &b, &o, ROWS, 0);
                while ((o.simd = next_simd(o.simd)) != 0) {
                    ask(&second, &a, &b, &o, ROWS, 0);
                    CHECK_MSG(same(&first, &second), "mode %d offset %d simd %d", mode, (int)offset, o.simd);
                }
                free(a.block), free(b.block);
            }
    }
}

/* Both arithmetics define nearly the same values, also where windows are large and many rows of pixels are kept. */
static void test_large_windows(void)
{
    static const int windows[] = {63, 65, 101, 127, 129, 255};
    int mode;
    size_t k, i;
    for (mode = 0; mode < MODES; mode++)
        for (k = 0; k < 6 && !(mode & 4); k++) {
            mosaic_ssim_options o = mode_options(mode);
            size_t w = (size_t)windows[k], width = w + 9 + 5 * k, height = w + 4;
            picture a = make_picture(mode, width, height, 0, 0, PACKED, 0), b = make_picture(mode, width, height, 0, 1, PACKED, 0);
            const double bound = mode_type(mode) == MOSAIC_SSIM_F32 ? 3e-5 : 1e-10;
            size_t good = 0, values = (width - w + 1) * (height - w + 1);
            if (o.weights == MOSAIC_SSIM_UNIFORM)
                o.window = (int)w;
            else
                o.sigma = ((double)w / 2 - 0.5) / 3.5;
            for (o.simd = 1; o.simd; o.simd = next_simd(o.simd), good = 0) {
                o.arithmetic = MOSAIC_SSIM_EXACT;
                ask(&first, &a, &b, &o, ROWS, 0);
                o.arithmetic = MOSAIC_SSIM_SKIMAGE;
                ask(&second, &a, &b, &o, ROWS, 0);
                for (i = 0; i < values; i++) good += first.map[i] - second.map[i] < bound && second.map[i] - first.map[i] < bound;
                CHECK_MSG(first.code == MOSAIC_SSIM_OK && second.code == MOSAIC_SSIM_OK && good == values,
                          "mode %d window %d simd %d: %d %d, %d of %d", mode, (int)w, o.simd, (int)first.code, (int)second.code, (int)good,
                          (int)values);
            }
            free(a.block), free(b.block);
        }
}

/* Pictures right before and right behind memory that may not be touched. */
static void test_edges(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (60000 / page + 1) * page;
    unsigned char *memory = (unsigned char *)mmap(NULL, room + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int mode;
    CHECK(memory != MAP_FAILED && !mprotect(memory, page, PROT_NONE) && !mprotect(memory + page + room, page, PROT_NONE));
    for (mode = 0; mode < MODES; mode++) {
        size_t width, turn;
        for (width = 7; width <= 74; width++)
            for (turn = 0; turn < 4; turn++) {
                mosaic_ssim_options o = mode_options(mode);
                picture a, b, x;
                size_t bytes;
                if (o.weights == MOSAIC_SSIM_GAUSSIAN) o.sigma = 0.8;
                if (o.weights == MOSAIC_SSIM_UNIFORM && width % 2) o.window = 5;
                a = make_picture(mode, width, 7 + width % 9, 0, 0, PACKED, 0), b = make_picture(mode, width, 7 + width % 9, 0, 1, PACKED, 0);
                x = turn & 1 ? b : a;
                bytes = width * a.image.height * (size_t)a.pixel;
                x.image.data = memory + page + (turn & 2 ? 0 : room - bytes);
                memcpy(memory + page + (turn & 2 ? 0 : room - bytes), x.block, bytes);
                for (o.simd = 1; o.simd; o.simd = next_simd(o.simd)) {
                    ask(&first, &a, &b, &o, ROWS, 0);
                    ask(&second, turn & 1 ? &a : &x, turn & 1 ? &x : &b, &o, ROWS, 0);
                    CHECK_MSG(same(&first, &second), "mode %d width %d simd %d", mode, (int)width, o.simd);
                }
                free(a.block), free(b.block);
            }
    }
    munmap(memory, room + 2 * page);
}

static void test_threads(void)
{
    /* In scikit-image's arithmetic rows go together in groups of 8192 values, or alone, or are cut themselves. */
    static const size_t shapes[][2] = {{75, 47}, {131, 97}, {4200, 13}, {8300, 12}};
    int mode, shape, k, channels, threads, jobs;
    for (mode = 0; mode < MODES; mode++)
        for (shape = 0; shape < 4; shape++)
            for (channels = 0; channels <= (shape < 2 ? 3 : 0); channels += 3) {
                picture a = make_picture(mode, shapes[shape][0], shapes[shape][1], channels, 0, PACKED, 0);
                picture b = make_picture(mode, shapes[shape][0], shapes[shape][1], channels, 1, PACKED, 0);
                mosaic_ssim_options o = mode_options(mode);
                for (k = 0; wants_of(mode, k) >= 0; k++) {
                    o.mean_rule = k % 2 ? MOSAIC_SSIM_MEAN_NUMPY_1 : MOSAIC_SSIM_MEAN_NUMPY_2_3;
                    o.run = NULL;
                    ask(&first, &a, &b, &o, wants_of(mode, k), 0);
                    CHECK_MSG(first.code == MOSAIC_SSIM_OK && sums_agree(&first, &a, side(&o)), "mode %d shape %d channels %d result %d", mode, shape,
                              channels, k);
                    o.run = test_run, o.run_ctx = &threads;
                    for (threads = 2; threads <= 3; threads++)
                        for (jobs = 0; jobs < 4; jobs++) {
                            static const int counts[] = {0, 1, 2, 7};
                            if (shape > 1 && jobs != threads - 2) continue; /* these take long */
                            o.jobs = counts[jobs];
                            ask(&second, &a, &b, &o, wants_of(mode, k), 0);
                            CHECK_MSG(same(&first, &second), "mode %d shape %d channels %d result %d, %d threads, %d jobs", mode, shape, channels, k,
                                      threads, o.jobs);
                        }
                }
                free(a.block), free(b.block);
            }
}

static void test_layouts(void)
{
    int mode, channels, layout, k;
    for (mode = 0; mode < MODES; mode++)
        for (channels = 0; channels <= 4; channels++)
            for (k = 0; wants_of(mode, k) >= 0; k++) {
                const size_t width = 37 + (size_t)channels, height = 23;
                picture a = make_picture(mode, width, height, channels, 0, PACKED, 0), b = make_picture(mode, width, height, channels, 1, PACKED, 0);
                mosaic_ssim_options o = mode_options(mode);
                size_t c;
                ask(&first, &a, &b, &o, wants_of(mode, k), 0);
                CHECK(first.code == MOSAIC_SSIM_OK);
                for (layout = 1; layout < LAYOUTS; layout++) {
                    picture x = make_picture(mode, width, height, channels, 0, layout, 0);
                    picture y = make_picture(mode, width, height, channels, 1, layout * 3 % LAYOUTS, 1);
                    o.simd = layout % 2;
                    ask(&second, &x, &y, &o, wants_of(mode, k), 0);
                    CHECK_MSG(same(&first, &second), "mode %d channels %d layout %d result %d", mode, channels, layout, k);
                    free(x.block), free(y.block);
                }
                /* Each channel alone is what it is among the others. */
                for (c = 0; c < (size_t)channels; c++) {
                    size_t values = first.out.full ? width * height : (width - side(&o) + 1) * (height - side(&o) + 1);
                    picture x = a, y = b;
                    x.image.data = a.first + (ptrdiff_t)c * a.channel, y.image.data = b.first + (ptrdiff_t)c * b.channel;
                    x.image.channels = y.image.channels = 0;
                    x.image.pixel_stride = a.pixel, y.image.pixel_stride = b.pixel, x.image.row_stride = a.row, y.image.row_stride = b.row;
                    ask(&second, &x, &y, &o, wants_of(mode, k), 0);
                    CHECK_MSG(same_bits(&second.out.mean, &first.out.channel_means[c], 1) && same_bits(second.map, first.map + c * values, values),
                              "mode %d channel %d of %d result %d", mode, (int)c, channels, k);
                }
                free(a.block), free(b.block);
            }
}

static void test_properties(void)
{
    int mode, k, simd;
    for (mode = 0; mode < MODES; mode++)
        for (k = 0; wants_of(mode, k) >= 0; k++)
            for (simd = 1; simd; simd = next_simd(simd)) {
                picture a = make_picture(mode, 83, 29, 3, 0, PACKED, 0), b = make_picture(mode, 83, 29, 3, 1, PACKED, 0);
                mosaic_ssim_options o = mode_options(mode);
                size_t i;
                int ones;
                o.simd = simd;
                ask(&first, &a, &b, &o, wants_of(mode, k) & ~GRADIENT, 0), ask(&second, &b, &a, &o, wants_of(mode, k) & ~GRADIENT, 0);
                CHECK_MSG(first.code == MOSAIC_SSIM_OK && first.out.mean < 0.99 && same(&first, &second), "symmetry, mode %d result %d", mode, k);
                ask(&first, &a, &a, &o, wants_of(mode, k), 0);
                ones = first.code == MOSAIC_SSIM_OK && first.out.mean >= 1 && first.out.mean <= 1;
                for (i = 0; i < (83 - side(&o) + 1) * (29 - side(&o) + 1) * 3; i++) {
                    ones &= first.map[i] >= 1 && first.map[i] <= 1;
                    if (first.out.contrast) ones &= first.contrast_map[i] >= 1 && first.contrast_map[i] <= 1;
                }
                CHECK_MSG(ones, "identical pictures, mode %d result %d", mode, k);
                free(a.block), free(b.block);
            }
}

/* Integers under uniform windows with the contrast term against the formula in 128 bits, where every sum is exact and rounded once. */
__extension__ typedef __int128 wide_int;

static void test_integers(void)
{
    static const size_t windows[] = {3, 7, 11, 29, 31, 33, 101, 181, 183, 201, 255};
    size_t turn, x, y, i, j;
    for (turn = 0; turn < 4 * sizeof windows / sizeof windows[0]; turn++) {
        size_t w = windows[turn / 4], width = w + (turn * 5 + 3) % 23, height = w + 2, values = (width - w + 1) * (height - w + 1), good = 0;
        int mode = turn % 4 == 3 ? 0 : 1;
        picture a = make_picture(mode, width, height, 0, 0, PACKED, turn), b = make_picture(mode, width, height, 0, 1, PACKED, turn * 3);
        mosaic_ssim_options o = mode_options(mode);
        int64_t n = (int64_t)(w * w);
        double full = mode ? 65535 : 255, t1 = 0.01 * full, t2 = 0.03 * full, c1 = t1 * t1 * (double)(n * n), c2;
        o.window = (int)w, o.covariance = turn % 8 < 4 ? MOSAIC_SSIM_SAMPLE : MOSAIC_SSIM_POPULATION;
        c2 = t2 * t2 * (double)(turn % 8 < 4 ? n * (n - 1) : n * n);
        for (y = 0; y < height && turn % 4; y++) /* the largest sums there are, and the largest variances */
            for (x = 0; x < width; x++) put(&a, x, y, 0, noise(x, y, 0, 5) < 0.5 && turn % 4 == 2 ? 0 : 1), put(&b, x, y, 0, noise(x, y, 0, 6) < 0.9);
        o.simd = 1;
        ask(&first, &a, &b, &o, CONTRAST, 0);
        CHECK(first.code == MOSAIC_SSIM_OK);
        for (y = 0; y + w <= height; y++)
            for (x = 0; x + w <= width; x++) {
                wide_int sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
                double value[2], up, below;
                for (j = 0; j < w; j++)
                    for (i = 0; i < w; i++) {
                        size_t at = (y + j) * width + x + i;
                        int64_t p = (int64_t)mosaic_ssim__pixel(a.first + at * (size_t)a.pixel, a.image.type);
                        int64_t q = (int64_t)mosaic_ssim__pixel(b.first + at * (size_t)b.pixel, b.image.type);
                        sx += p, sy += q, sxx += p * p, syy += q * q, sxy += p * q;
                    }
                up = (double)(2 * (n * sxy - sx * sy)) + c2, below = (double)(n * (sxx + syy) - sx * sx - sy * sy) + c2;
                value[0] = ((double)(2 * sx * sy) + c1) * up / (((double)(sx * sx + sy * sy) + c1) * below), value[1] = up / below;
                good += same_bits(&value[0], &first.map[y * (width - w + 1) + x], 1) &&
                        same_bits(&value[1], &first.contrast_map[y * (width - w + 1) + x], 1);
            }
        CHECK_MSG(good == values, "window %d turn %d: %d of %d", (int)w, (int)turn, (int)good, (int)values);
        while ((o.simd = next_simd(o.simd)) != 0) {
            ask(&second, &a, &b, &o, CONTRAST, 0);
            CHECK_MSG(same(&first, &second), "window %d turn %d simd %d", (int)w, (int)turn, o.simd);
        }
        free(a.block), free(b.block);
    }
}

/* Sums of squares above 2^64 that lie just above the middle between two doubles: the lowest bit decides. Flat pictures, so that the formula is
   2 X Y + c1 over X X + Y Y + c1. */
static void test_halfway(void)
{
    const size_t w = 255;
    const wide_int n = (wide_int)(w * w);
    unsigned p, q;
    int found = 0;
    for (p = 65535; p > 65000 && found < 12; p--)
        for (q = p; q > p - 60 && found < 12; q--) {
            wide_int s = n * n * ((wide_int)p * p + (wide_int)q * q);
            double c1 = 0.01 * 65535 * (0.01 * 65535) * (double)(n * n), value;
            picture a, b;
            mosaic_ssim_options o = mode_options(MOSAIC_SSIM_U16);
            size_t i;
            if ((s & 4095) != 2049) continue;
            a = make_picture(MOSAIC_SSIM_U16, w, w, 0, 0, PACKED, 0), b = make_picture(MOSAIC_SSIM_U16, w, w, 0, 1, PACKED, 0);
            for (i = 0; i < w * w; i++) put(&a, i % w, i / w, 0, p / 65535.0), put(&b, i % w, i / w, 0, q / 65535.0);
            o.window = (int)w, found++;
            value = (double)(2 * n * n * p * q) + c1;
            ask(&first, &a, &b, &o, CONTRAST, 0);
            value = value * (0.03 * 65535 * (0.03 * 65535) * (double)(n * (n - 1))) /
                    (((double)s + c1) * (0.03 * 65535 * (0.03 * 65535) * (double)(n * (n - 1))));
            CHECK_MSG(same_bits(&value, &first.map[0], 1), "%u %u: %.17g for %.17g", p, q, first.map[0], value);
            free(a.block), free(b.block);
        }
    CHECK(found > 0);
}

/* One weighted sum of 2 * radius + 1 values a step apart, as the header defines it. */
static double weigh(const double *centre, ptrdiff_t step, const double *taps, ptrdiff_t radius)
{
    double sum = centre[0] * taps[0];
    for (; radius > 0; radius--) sum += (centre[-radius * step] + centre[radius * step]) * taps[radius];
    return sum;
}

/* Floats and Gaussian windows in the exact arithmetic, operation by operation as the header says, flat pictures among them. */
static void test_weighted(void)
{
    enum { W = 53, H = 31 };
    static const double own[4] = {0.4, 0.2, 0.075, 0.025};
    int mode, turn;
    for (mode = 0; mode < MODES; mode++)
        for (turn = 0; turn < 6; turn++) {
            static double moments[4][W * H], down[4][W * H];
            mosaic_ssim_options o = mode_options(mode);
            picture a = make_picture(mode, W, H, 0, 0, PACKED, 0), b = make_picture(mode, W, H, 0, 1, PACKED, 0);
            double full = mode_type(mode) == MOSAIC_SSIM_U8 ? 255 : mode_type(mode) == MOSAIC_SSIM_U16 ? 65535 : 1, t, c1, c2, n, norm, taps[16];
            size_t i, m, x, y, mw, mh, good = 0;
            ptrdiff_t r;
            if (mode & 4 || (o.weights == MOSAIC_SSIM_UNIFORM && !mode_floats(mode))) {
                free(a.block), free(b.block);
                continue;
            }
            if (o.weights == MOSAIC_SSIM_UNIFORM)
                o.window = 5 + 2 * turn, r = o.window / 2;
            else
                o.taps = own, o.tap_count = 4, r = 3;
            if (turn % 2) o.covariance = MOSAIC_SSIM_POPULATION;
            for (m = 0; m <= (size_t)r; m++) taps[m] = o.weights == MOSAIC_SSIM_UNIFORM ? 1.0 / o.window : own[m];
            for (i = 0; i < W * H && turn > 2; i++)
                put(&a, i % W, i / W, 0, turn / 9.0), put(&b, i % W, i / W, 0, turn == 3 ? 0.1 : turn / 9.0 + 1e-6);
            t = 0.01 * full, c1 = t * t, t = 0.03 * full, c2 = t * t;
            n = (double)((2 * r + 1) * (2 * r + 1)), norm = turn % 2 ? 1 : n / (n - 1);
            for (i = 0; i < W * H; i++) {
                double p = mosaic_ssim__pixel(a.first + i * (size_t)a.pixel, a.image.type),
                       q = mosaic_ssim__pixel(b.first + i * (size_t)b.pixel, b.image.type);
                moments[0][i] = p, moments[1][i] = q, moments[2][i] = p * p + q * q, moments[3][i] = p * q;
            }
            mw = W - 2 * (size_t)r, mh = H - 2 * (size_t)r;
            for (m = 0; m < 4; m++)
                for (i = 0; i < mh * W; i++) down[m][i] = weigh(&moments[m][i + (size_t)r * W], W, taps, r);
            for (o.simd = 1; o.simd; o.simd = next_simd(o.simd)) {
                ask(&first, &a, &b, &o, CONTRAST, 0);
                for (y = 0, good = 0; y < mh; y++)
                    for (x = 0; x < mw; x++) {
                        double mean[4], v, c, value[2];
                        for (m = 0; m < 4; m++) mean[m] = weigh(&down[m][y * W + x + (size_t)r], 1, taps, r);
                        v = norm * (mean[2] - (mean[0] * mean[0] + mean[1] * mean[1]));
                        c = 2 * norm * (mean[3] - mean[0] * mean[1]);
                        v = v > 0 ? v : 0, c = c < -v ? -v : c > v ? v : c;
                        value[1] = (c + c2) / (v + c2);
                        value[0] = ((2 * (mean[0] * mean[1]) + c1) * (c + c2)) / ((mean[0] * mean[0] + mean[1] * mean[1] + c1) * (v + c2));
                        good += same_bits(&first.map[y * mw + x], &value[0], 1) && same_bits(&first.contrast_map[y * mw + x], &value[1], 1);
                    }
                CHECK_MSG(first.code == MOSAIC_SSIM_OK && good == mw * mh, "mode %d turn %d simd %d: %d of %d", mode, turn, o.simd, (int)good,
                          (int)(mw * mh));
            }
            free(a.block), free(b.block);
        }
}

/* Adding a constant to both pictures leaves the contrast-structure term and changes the other factor as the formula says. */
static void test_shift(void)
{
    const size_t width = 45, height = 33;
    int mode;
    for (mode = 0; mode < MODES; mode++) {
        const double d = (double)(int)(0.2 * steps(mode)) / steps(mode), full = mode_type(mode) == MOSAIC_SSIM_U8    ? 255
                                                                                : mode_type(mode) == MOSAIC_SSIM_U16 ? 65535
                                                                                                                     : 1;
        const double bound = mode & 4 ? (mode_type(mode) == MOSAIC_SSIM_F32 ? 3e-4 : 1e-10) : 1e-12, c1 = 0.01 * full * (0.01 * full);
        picture a = make_lifted(mode, width, height, 0, 0, PACKED, 0, 0), b = make_lifted(mode, width, height, 0, 1, PACKED, 0, 0);
        picture x = make_lifted(mode, width, height, 0, 0, PACKED, 0, d), y = make_lifted(mode, width, height, 0, 1, PACKED, 0, d);
        mosaic_ssim_options o = mode_options(mode);
        size_t w = side(&o), i, j, at, exact = 0;
        double worst = 0, worst_contrast = 0;
        ask(&first, &a, &b, &o, CONTRAST, 0), ask(&second, &x, &y, &o, CONTRAST, 0);
        CHECK(first.code == MOSAIC_SSIM_OK && second.code == MOSAIC_SSIM_OK);
        for (at = 0; at < (width - w + 1) * (height - w + 1); at++) {
            double ux = 0, uy = 0, n = (double)(w * w), before, after, e = second.contrast_map[at] - first.contrast_map[at];
            exact += memcmp(&first.contrast_map[at], &second.contrast_map[at], 8) == 0;
            if (e < 0) e = -e;
            if (e > worst_contrast) worst_contrast = e;
            if (o.weights == MOSAIC_SSIM_GAUSSIAN) continue;
            for (j = 0; j < w; j++)
                for (i = 0; i < w; i++) {
                    size_t from = (at / (width - w + 1) + j) * width + at % (width - w + 1) + i;
                    ux += mosaic_ssim__pixel(a.first + from * (size_t)a.pixel, a.image.type) / n;
                    uy += mosaic_ssim__pixel(b.first + from * (size_t)b.pixel, b.image.type) / n;
                }
            before = (2 * ux * uy + c1) / (ux * ux + uy * uy + c1);
            ux += d * full, uy += d * full;
            after = (2 * ux * uy + c1) / (ux * ux + uy * uy + c1);
            e = first.map[at] / before * after - second.map[at];
            if (e < 0) e = -e;
            if (e > worst) worst = e;
        }
        CHECK_MSG(worst < bound && worst_contrast < bound, "mode %d: %g %g", mode, worst, worst_contrast);
        if (!mode_floats(mode) && o.arithmetic == MOSAIC_SSIM_EXACT && o.weights == MOSAIC_SSIM_UNIFORM)
            CHECK_MSG(exact == (width - w + 1) * (height - w + 1), "mode %d: the contrast's bits change", mode);
        free(a.block), free(b.block), free(x.block), free(y.block);
    }
}

/* A work area of the size asked for is enough at any address, no byte around it is touched, nothing is allocated; a byte less is refused. */
static void test_work_areas(void)
{
    int mode, k, jobs, threads = 2, before;
    for (mode = 0; mode < MODES; mode++)
        for (k = 0; wants_of(mode, k) >= 0; k++)
            for (jobs = 0; jobs <= 3; jobs++) {
                picture a = make_picture(mode, 61, 31, 2, 0, PACKED, 0), b = make_picture(mode, 61, 31, 2, 1, PACKED, 0);
                mosaic_ssim_options o = mode_options(mode);
                size_t size = 0, offset = (size_t)(jobs * 21 + 1);
                unsigned char *work;
                if (jobs) o.run = test_run, o.run_ctx = &threads, o.jobs = jobs;
                ask(&first, &a, &b, &o, wants_of(mode, k), 0);
                prepare_answer(&second, first.used, wants_of(mode, k), 0);
                CHECK(mosaic_ssim_work_size_for(&a.image, &o, &second.out, &size) == MOSAIC_SSIM_OK);
                work = (unsigned char *)malloc(offset + size); /* a sanitizer sees what lies beyond */
                memset(work, 0xa5, offset + size);
                before = allocations;
                second.code = mosaic_ssim_compare(&a.image, &b.image, &o, &second.out, work + offset, size - 1);
                CHECK_MSG(second.code == MOSAIC_SSIM_ERROR_WORK_SIZE && untouched(&second), "mode %d result %d", mode, k);
                second.code = mosaic_ssim_compare(&a.image, &b.image, &o, &second.out, work + offset, size);
                CHECK_MSG(same(&first, &second), "mode %d result %d", mode, k);
                while (offset > 0 && work[offset - 1] == 0xa5) offset--;
                CHECK(offset == 0 && allocations == before);
                free(work), free(a.block), free(b.block);
            }
}

/* The same for prepared pictures and for several scales. */
static void test_prepared_work_areas(void)
{
    picture a = make_picture(0, 123, 118, 0, 0, SPREAD, 0), b = make_picture(0, 123, 118, 0, 1, UPSIDE_DOWN, 0);
    mosaic_ssim_options o = make_options(0, 0);
    size_t size = 0, work_size = 0, winner = 9;
    mosaic_ssim_prepared *x = NULL, *y = NULL;
    const mosaic_ssim_prepared *list[1];
    double mean = 7, direct;
    unsigned char *memory_a, *memory_b, *work;
    int before;
    CHECK(mosaic_ssim_prepared_size(&a.image, &o, &size) == MOSAIC_SSIM_OK && mosaic_ssim_work_size(&a.image, &o, &work_size) == MOSAIC_SSIM_OK);
    memory_a = (unsigned char *)malloc(size + 1), memory_b = (unsigned char *)malloc(size + 1), work = (unsigned char *)malloc(work_size + 1);
    ask(&first, &a, &b, &o, 0, 0);
    direct = first.out.mean;
    before = allocations;
    CHECK(mosaic_ssim_prepare(&a.image, &o, memory_a + 1, size - 1, &x, work + 1, work_size) == MOSAIC_SSIM_ERROR_WORK_SIZE);
    CHECK(mosaic_ssim_prepare(&a.image, &o, memory_a + 1, size, &x, work + 1, work_size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE && !x);
    CHECK(mosaic_ssim_prepare(&a.image, &o, memory_a + 1, size, &x, work + 1, work_size) == MOSAIC_SSIM_OK);
    CHECK(mosaic_ssim_prepare(&b.image, &o, memory_b + 1, size, &y, work + 1, work_size) == MOSAIC_SSIM_OK);
    list[0] = y;
    prepare_answer(&second, first.used, 0, 0);
    CHECK(mosaic_ssim_score(x, y, &o, &second.out, work + 1, work_size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE && untouched(&second));
    CHECK(mosaic_ssim_score(x, y, &o, &second.out, work + 1, work_size) == MOSAIC_SSIM_OK && same(&first, &second));
    CHECK(mosaic_ssim_score_many(x, list, 1, &o, &mean, work + 1, work_size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE && mean > 6);
    CHECK(mosaic_ssim_score_many(x, list, 1, &o, &mean, work + 1, work_size) == MOSAIC_SSIM_OK && same_bits(&mean, &direct, 1));
    mean = 7;
    CHECK(mosaic_ssim_best(x, list, 1, &o, &winner, &mean, work + 1, work_size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE && mean > 6 && winner == 9);
    CHECK(mosaic_ssim_best(x, list, 1, &o, &winner, &mean, work + 1, work_size) == MOSAIC_SSIM_OK && same_bits(&mean, &direct, 1) && winner == 0);
    CHECK(allocations == before);
    free(work);
    CHECK(mosaic_ssim_multiscale(&a.image, &b.image, &o, &direct, NULL, 0) == MOSAIC_SSIM_OK && direct > 0 && direct < 1);
    CHECK(mosaic_ssim_multiscale_work_size(&a.image, &o, &work_size) == MOSAIC_SSIM_OK);
    work = (unsigned char *)malloc(work_size + 1);
    before = allocations, mean = 7;
    CHECK(mosaic_ssim_multiscale(&a.image, &b.image, &o, &mean, work + 1, work_size - 1) == MOSAIC_SSIM_ERROR_WORK_SIZE && mean > 6);
    CHECK(mosaic_ssim_multiscale(&a.image, &b.image, &o, &mean, work + 1, work_size) == MOSAIC_SSIM_OK && same_bits(&mean, &direct, 1));
    CHECK(allocations == before);
    free(work), free(memory_a), free(memory_b), free(a.block), free(b.block);
}

static void test_not_finite(void)
{
    const double zero = 0, infinity = 1e308 * 10, odd[3] = {infinity, -infinity, infinity * zero};
    int mode, i;
    for (mode = 0; mode < MODES; mode++) {
        if (!mode_floats(mode)) continue;
        for (i = 0; i < 24; i++) {
            picture a = make_picture(mode, 71, 19, 3, 0, i % LAYOUTS, 0), b = make_picture(mode, 71, 19, 3, 1, PACKED, 0);
            mosaic_ssim_options o = mode_options(mode);
            size_t at = i % 4 == 0 ? 0 : i % 4 == 1 ? 71 * 19 - 1 : test_random() % (71 * 19); /* the first, the last, any pixel */
            put(i % 2 ? &a : &b, at % 71, at / 71, (size_t)i % 3, odd[i / 3 % 3]);
            ask(&first, &a, &b, &o, wants_of(mode, i % 3), 0);
            CHECK_MSG(first.code == MOSAIC_SSIM_ERROR_NOT_FINITE && untouched(&first), "mode %d case %d", mode, i);
            free(a.block), free(b.block);
        }
    }
}

/* A size of any magnitude. */
static size_t any_size(void)
{
    size_t size = (size_t)((uint64_t)test_random() << 32);
    size |= test_random();
    return size >> test_range(0, 58);
}

/* Sizes up to SIZE_MAX: each is refused, or what comes back did not wrap round. */
static void test_huge(void)
{
    static const size_t edges[] = {(size_t)-1, (size_t)-7, (size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX / 8, (size_t)1 << (sizeof(size_t) * 4), 7, 64};
    int mode, accepted = 0;
    size_t i;
    for (mode = 0; mode < MODES; mode++)
        for (i = 0; i < 600; i++) {
            mosaic_ssim_options o = mode_options(mode);
            mosaic_ssim_image image = make_image(NULL, 0, 0);
            double pixels, unused;
            size_t size = 0;
            int k;
            image.type = mode_type(mode), image.channels = (int)(i % 5);
            image.width = i < 49 ? edges[i / 7] : any_size();
            image.height = i < 49 ? edges[i % 7] : any_size();
            pixels = (double)image.width * (double)image.height;
            for (k = 0; wants_of(mode, k) >= 0; k++) {
                mosaic_ssim_output out;
                mosaic_ssim_result result;
                int planes = mode & 4 && wants_of(mode, k) & (CONTRAST | FULL | GRADIENT);
                memset(&out, 0, sizeof out);
                out.full = wants_of(mode, k) & FULL, out.gradient = wants_of(mode, k) & GRADIENT ? &unused : NULL;
                out.contrast = wants_of(mode, k) & CONTRAST ? &unused : NULL;
                result = mosaic_ssim_work_size_for(&image, &o, &out, &size);
                accepted += result == MOSAIC_SSIM_OK;
                CHECK(result == MOSAIC_SSIM_OK ? (double)size >= (planes ? 64 * pixels : 17 * (double)image.width) && size <= (size_t)PTRDIFF_MAX
                                               : result == (pixels > 0 ? MOSAIC_SSIM_ERROR_OVERFLOW : MOSAIC_SSIM_ERROR_SIZE) ||
                                                     (pixels > 0 && result == MOSAIC_SSIM_ERROR_TOO_SMALL));
                if (image.width > (size_t)PTRDIFF_MAX / 8 && image.height >= 11) CHECK(result == MOSAIC_SSIM_ERROR_OVERFLOW);
            }
            if (mosaic_ssim_prepared_size(&image, &o, &size) == MOSAIC_SSIM_OK) CHECK((double)size >= 2 * pixels && size <= (size_t)PTRDIFF_MAX);
            if (mosaic_ssim_multiscale_work_size(&image, &o, &size) == MOSAIC_SSIM_OK)
                CHECK((double)size >= 4 * pixels && size <= (size_t)PTRDIFF_MAX);
        }
    CHECK_MSG(accepted > 1000, "%d", accepted);
}

/* What scikit-image itself gave for these pictures: with the first mean rule 0.26.0, SciPy 1.17.1, NumPy 2.4.6; with the second 0.22.0, SciPy
   1.11.4, NumPy 1.26.4, whose exp() made other weights: taps. The sizes are those at which NumPy cuts the mean in different ways. */
static void test_golden(void)
{
    static const double taps[6] = {0x1.106560aa892c0p-2, 0x1.b43c3f52b19f2p-3, 0x1.bff0fe8e98418p-4,
                                   0x1.26eb175d83f65p-5, 0x1.f1fe01ae5a5b9p-8, 0x1.0d956b52a1d70p-10};
    static const struct {
        size_t width, height;
        int type, gaussian;
        double mean[2];
        uint64_t map[2];
    } golden[] = {
        {131, 97, 0, 0, {0x1.d81ec2a56ff0dp-1, 0x1.d81ec2a56ff0bp-1}, {0x4456404bd8f7b57eu, 0x4456404bd8f7b57eu}},
        {131, 97, 0, 1, {0x1.d784de0984ccfp-1, 0x1.d784de0984ccfp-1}, {0xaff9ad4c21c93bb3u, 0x6dd30809926b3225u}},
        {131, 97, 1, 0, {0x1.d826504a545eap-1, 0x1.d826504a545eap-1}, {0x3c334ca190535798u, 0x3c334ca190535798u}},
        {131, 97, 1, 1, {0x1.d78d2995e167bp-1, 0x1.d78d2995e167bp-1}, {0x2a22639db18a5d34u, 0xe65d6afff2286985u}},
        {131, 97, 2, 0, {0x1.d826534b0e4a8p-1, 0x1.d826534b0e4a8p-1}, {0x360ac4c53cd3b291u, 0x360ac4c53cd3b291u}},
        {131, 97, 2, 1, {0x1.d78d2c8ae824cp-1, 0x1.d78d2c8ae824cp-1}, {0x2b0a3f411623e850u, 0x2b0a3f411623e850u}},
        {131, 97, 3, 0, {0x1.d826535eeb2c9p-1, 0x1.d826535eeb2c9p-1}, {0x27986f0f71f76eefu, 0x27986f0f71f76eefu}},
        {131, 97, 3, 1, {0x1.d78d2c96e992dp-1, 0x1.d78d2c96e992dp-1}, {0x817fd314aec8b04du, 0x7b7db739fdee89c2u}},
        {4200, 13, 0, 0, {0x1.d893e8fc0e6e4p-1, 0x1.d893e8fc0e6e4p-1}, {0xb1d5ba5c0fd0f10au, 0xb1d5ba5c0fd0f10au}},
        {4200, 13, 0, 1, {0x1.d834720cee2ebp-1, 0x1.d834720cee2ebp-1}, {0xb16e6ab3d684dfd3u, 0xc9f12d154fa43a86u}},
        {4200, 13, 1, 0, {0x1.d897cb073d445p-1, 0x1.d897cb073d445p-1}, {0x66c57e5d4a78926u, 0x66c57e5d4a78926u}},
        {4200, 13, 1, 1, {0x1.d838e940293c4p-1, 0x1.d838e940293c4p-1}, {0xb378b9b449eb6c65u, 0x5727125f99408a40u}},
        {4200, 13, 2, 0, {0x1.d897cea7ff94ep-1, 0x1.d897cea7ff94ep-1}, {0xe938924a91926355u, 0xe938924a91926355u}},
        {4200, 13, 2, 1, {0x1.d838ed0fe2ac5p-1, 0x1.d838ed0fe2ac5p-1}, {0x771e568f13e78709u, 0x771e568f13e78709u}},
        {4200, 13, 3, 0, {0x1.d897cedaab4a0p-1, 0x1.d897cedaab4a0p-1}, {0x631828f31d48544u, 0x631828f31d48544u}},
        {4200, 13, 3, 1, {0x1.d838ed5dab329p-1, 0x1.d838ed5dab329p-1}, {0xca5cf46c5f316602u, 0xd5a59b2da05da8cau}},
        {8300, 12, 0, 0, {0x1.d89dd86ab1f3ap-1, 0x1.d89dd86ab1f38p-1}, {0xed91fd2505cd47b0u, 0xed91fd2505cd47b0u}},
        {8300, 12, 0, 1, {0x1.d846531a0e470p-1, 0x1.d846531a0e470p-1}, {0xc97b0bca33369097u, 0xdd1a4190a63e2510u}},
        {8300, 12, 1, 0, {0x1.d89f9de8c771cp-1, 0x1.d89f9de8c771bp-1}, {0xc3d919979de0d49du, 0xc3d919979de0d49du}},
        {8300, 12, 1, 1, {0x1.d84803294af94p-1, 0x1.d84803294af94p-1}, {0xbe6c7b72271b575au, 0x357404035a6c578du}},
        {8300, 12, 2, 0, {0x1.d89f9ffe38571p-1, 0x1.d89f9ffe38571p-1}, {0xf4e2d98eac28367du, 0xf4e2d98eac28367du}},
        {8300, 12, 2, 1, {0x1.d848059dbced7p-1, 0x1.d848059dbced7p-1}, {0xde2245de5cca12fu, 0xde2245de5cca12fu}},
        {8300, 12, 3, 0, {0x1.d89fa02b89d49p-1, 0x1.d89fa02b89d48p-1}, {0xa7a9bd366ec9cd44u, 0xa7a9bd366ec9cd44u}},
        {8300, 12, 3, 1, {0x1.d84805d750227p-1, 0x1.d84805d750227p-1}, {0x9191d7fe7cddce59u, 0xc3a1ca9da4ca8b84u}},
    };
    size_t i, k;
    int rule;
    for (i = 0; i < sizeof golden / sizeof golden[0]; i++)
        for (rule = 0; rule < 2; rule++) {
            int mode = golden[i].type + 4 + 8 * golden[i].gaussian;
            picture a = make_picture(mode, golden[i].width, golden[i].height, 0, 0, PACKED, 0);
            picture b = make_picture(mode, golden[i].width, golden[i].height, 0, 1, PACKED, 0);
            mosaic_ssim_options o = mode_options(mode);
            uint64_t hash = 7;
            o.mean_rule = (mosaic_ssim_mean_rule)rule;
            if (rule && golden[i].gaussian) o.taps = taps, o.tap_count = 6;
            ask(&first, &a, &b, &o, 0, 0);
            for (k = 0; k < (golden[i].width - side(&o) + 1) * (golden[i].height - side(&o) + 1); k++) {
                uint64_t bits;
                memcpy(&bits, &first.map[k], sizeof bits);
                hash = (hash ^ (bits & 0xffffffffu)) * 1099511628211u;
                hash = (hash ^ (bits >> 32)) * 1099511628211u;
            }
            CHECK_MSG(first.code == MOSAIC_SSIM_OK && same_bits(&first.out.mean, &golden[i].mean[rule], 1), "case %d rule %d: %.17g for %.17g",
                      (int)i, rule, first.out.mean, golden[i].mean[rule]);
            CHECK_MSG(hash == golden[i].map[rule], "case %d rule %d: map", (int)i, rule);
            free(a.block), free(b.block);
        }
}

int main(void)
{
    test_kernels();
    test_edges();
    test_large_windows();
    test_threads();
    test_layouts();
    test_properties();
    test_integers();
    test_halfway();
    test_weighted();
    test_shift();
    test_work_areas();
    test_prepared_work_areas();
    test_not_finite();
    test_huge();
    test_golden();
    return test_end("ssim types");
}
