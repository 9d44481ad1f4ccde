/* engine.h: what tests of the engine share: its memory, counted and made to run out, and material. Include before mosaic_temporal.h. */
#ifndef TESTS_ENGINE_H
#define TESTS_ENGINE_H
#include <stdlib.h>
#include <string.h>

/* An allocator that counts and can be told to fail. */
static long test_live, test_allocations, test_fail_at = -1;
static int test_fill = 0xa5; /* what new memory holds: nothing may depend on it */
static void *test_malloc(size_t size)
{
    void *p;
    if (test_allocations++ == test_fail_at) return NULL;
    p = malloc(size);
    if (p) test_live++;
    if (p) memset(p, test_fill, size);
    return p;
}
static void test_free(void *p)
{
    if (p) test_live--;
    free(p);
}
#define MOSAIC_TEMPORAL_MALLOC(ctx, size) ((void)(ctx), test_malloc(size))
#define MOSAIC_TEMPORAL_FREE(ctx, ptr) ((void)(ctx), test_free(ptr))

/* Smooth noise of period `scale`, 0 … 255. */
static unsigned lattice(unsigned x, unsigned y, unsigned seed)
{
    unsigned h = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ seed * 0xc2b2ae3du;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 12;
    h *= 0x297a2d39u;
    return (h ^ h >> 15) & 255;
}
static int noise(int x, int y, int scale, unsigned seed)
{
    int gx = x / scale, gy = y / scale, fx = x % scale, fy = y % scale;
    int a = (int)lattice((unsigned)gx, (unsigned)gy, seed) * (scale - fx) + (int)lattice((unsigned)gx + 1, (unsigned)gy, seed) * fx;
    int b = (int)lattice((unsigned)gx, (unsigned)gy + 1, seed) * (scale - fx) + (int)lattice((unsigned)gx + 1, (unsigned)gy + 1, seed) * fx;
    return (a * (scale - fy) + b * fy) / (scale * scale);
}

#endif
