/* One number made of every bit that mosaic_ssim.h gives for all its types, windows and arithmetics: the same on every processor.
   Needs no library, so that it also runs as bare WebAssembly. Build it and run it by tests/matrix_ssim.sh. */
#include <stddef.h>
#include <stdint.h>

static unsigned char heap[1 << 24];
static size_t heap_used;
static void *heap_take(size_t size)
{
    void *at = heap + heap_used;
    heap_used += (size + 63) & ~(size_t)63;
    return heap_used <= sizeof heap ? at : NULL;
}

#define MOSAIC_SSIM_MALLOC(ctx, size) ((void)(ctx), heap_take(size))
#define MOSAIC_SSIM_FREE(ctx, ptr) ((void)(ctx), (void)(ptr))
#define MOSAIC_SSIM_ASSERT(x) ((void)0)
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../mosaic_ssim.h"

enum { W = 197, H = 182 };
static double a[W * H * 3], b[W * H * 3], map[W * H * 3], gradient[W * H * 3], rows[H * 3];

static uint64_t mix(uint64_t h, const double *values, size_t count)
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

/* 8-bit pictures of one channel under many windows at odd widths; prepared ones; the best of many. */
static uint64_t bytes_hash(uint64_t h, int simd)
{
    static const int windows[] = {3, 5, 7, 9, 31, 63, 179, 181};
    const uint8_t *pixels = (const uint8_t *)a;
    size_t k, i;
    for (k = 0; k < 5 * sizeof windows / sizeof windows[0]; k++) {
        enum { TILES = 5 };
        mosaic_ssim_image image;
        mosaic_ssim_options o;
        mosaic_ssim_output out;
        mosaic_ssim_prepared *cell, *tile;
        const mosaic_ssim_prepared *tiles[TILES];
        double means[TILES + 1] = {0};
        size_t size = 0, winner = 99, w = (size_t)windows[k / 5];
        memset(&image, 0, sizeof image), memset(&o, 0, sizeof o), memset(&out, 0, sizeof out);
        heap_used = 0;
        o.window = windows[k / 5], o.simd = simd, out.map = map;
        image.data = pixels + k, image.width = W - k % 5 < w ? w : W - k % 5, image.height = w + k % 3, image.row_stride = W + 3;
        h += (uint64_t)mosaic_ssim_prepared_size(&image, &o, &size);
        h += (uint64_t)mosaic_ssim_prepare(&image, &o, heap_take(size), size, &cell, NULL, 0);
        for (i = 0; i < TILES; i++) {
            image.data = (const uint8_t *)b + 211 * i;
            h += (uint64_t)mosaic_ssim_prepare(&image, &o, heap_take(size), size, &tile, NULL, 0);
            tiles[i] = tile;
        }
        h += (uint64_t)mosaic_ssim_score(cell, tiles[k % TILES], &o, &out, NULL, 0);
        h = mix(mix(h, &out.mean, 1), map, (image.width - w + 1) * (image.height - w + 1));
        h += (uint64_t)mosaic_ssim_score_many(cell, tiles, TILES, &o, means, NULL, 0);
        h += (uint64_t)mosaic_ssim_best(cell, tiles, TILES, &o, &winner, &means[TILES], NULL, 0);
        h = mix(h, means, TILES + 1) + (uint64_t)winner;
        image.data = pixels + 3 * k;
        out.mean = 9;
        {
            mosaic_ssim_image other = image;
            other.data = (const uint8_t *)b + 1;
            h += (uint64_t)mosaic_ssim_compare(&image, &other, &o, &out, NULL, 0);
        }
        h = mix(mix(h, &out.mean, 1), map, (image.width - w + 1) * (image.height - w + 1));
    }
    return h;
}

uint64_t ssim_hash(int simd);
uint64_t ssim_hash(int simd)
{
    uint64_t h = 7;
    int type, arithmetic, weights, i;
    for (type = 0; type < 4; type++) {
        mosaic_ssim_image x, y;
        unsigned state = 1;
        memset(&x, 0, sizeof x);
        for (i = 0; i < 2 * W * H * 3; i++) {
            int at = i / 2;
            double v = (state = state * 1664525u + 1013904223u, (double)(state >> 8) / 16777216.0);
            void *to = i % 2 ? (void *)b : (void *)a;
            if (i % 2) v = v * 0.25 + (double)(at % W) / W * 0.75;
            if (type == MOSAIC_SSIM_U8) ((uint8_t *)to)[at] = (uint8_t)(v * 255);
            if (type == MOSAIC_SSIM_U16) ((uint16_t *)to)[at] = (uint16_t)(v * 65535);
            if (type == MOSAIC_SSIM_F32) ((float *)to)[at] = (float)v;
            if (type == MOSAIC_SSIM_F64) ((double *)to)[at] = v;
        }
        x.data = a, x.width = W, x.height = H, x.type = (mosaic_ssim_type)type, x.channels = 3;
        y = x, y.data = b;
        if (type == MOSAIC_SSIM_U8) h = bytes_hash(h, simd);
        for (arithmetic = 0; arithmetic < 2; arithmetic++)
            for (weights = 0; weights < 4; weights++) {
                mosaic_ssim_options o;
                mosaic_ssim_output out;
                double contrast = 0, scales = 0;
                mosaic_ssim_result result;
                memset(&o, 0, sizeof o), memset(&out, 0, sizeof out), memset(map, 0, sizeof map), memset(gradient, 0, sizeof gradient);
                heap_used = 0;
                o.simd = simd, o.arithmetic = (mosaic_ssim_arithmetic)arithmetic;
                o.weights = weights & 1 ? MOSAIC_SSIM_GAUSSIAN : MOSAIC_SSIM_UNIFORM;
                if (weights & 2) o.covariance = MOSAIC_SSIM_POPULATION, o.mean_rule = MOSAIC_SSIM_MEAN_NUMPY_1, o.sigma = 1.1;
                o.window = weights == 2 ? 11 : 0;
                if (type >= MOSAIC_SSIM_F32) o.data_range = 1;
                out.map = map, out.row_sums = rows;
                result = mosaic_ssim_compare(&x, &y, &o, &out, NULL, 0);
                h = mix(mix(mix(h, &out.mean, 1), map, W * H * 3), rows, H * 3) + (uint64_t)result;
                out.contrast = &contrast;
                if (arithmetic && weights & 2) out.gradient = gradient, out.full = 1;
                result = mosaic_ssim_compare(&x, &y, &o, &out, NULL, 0);
                h = mix(mix(mix(h, &contrast, 1), map, W * H * 3), gradient, W * H * 3) + (uint64_t)result;
                if (!arithmetic) result = mosaic_ssim_multiscale(&x, &y, &o, &scales, NULL, 0);
                h = mix(h, &scales, 1) + (uint64_t)result;
            }
    }
    return h;
}

#if defined(__wasm__)
void *memcpy(void *to, const void *from, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) ((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}
void *memset(void *to, int v, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) ((volatile unsigned char *)to)[i] = (unsigned char)v;
    return to;
}
#else
#include <stdio.h>
int main(void)
{
    printf("%016llx %016llx\n", (unsigned long long)ssim_hash(1), (unsigned long long)ssim_hash(0));
    return 0;
}
#endif
