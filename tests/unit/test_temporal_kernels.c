/* The engine's kernels for each instruction set against the scalar code: the same bytes, and not one outside. */
#include "../test.h"
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../../mosaic_temporal.h"

/* Memory of exactly that size, so that the sanitizers see a read past its end. */
static uint8_t *noise(size_t size, int smooth)
{
    uint8_t *p = (uint8_t *)malloc(size);
    size_t i;
    for (i = 0; i < size; i++) p[i] = (uint8_t)(smooth && i ? p[i - 1] + test_range(-3, 3) : test_range(0, 255));
    return p;
}

static int levels(void) { return mosaic__cpu_level() + 1; } /* the highest MOSAIC_SIMD_… there is */

static int edge_or(int low, int high)
{
    static const int edge[] = {1, 2, 3, 5, 6, 7, 15, 16, 17, 31, 32, 33, 48, 64};
    return mosaic__clamp(test_random() % 3 ? test_range(low, high) : edge[test_random() % (sizeof edge / sizeof *edge)], low, high);
}

/* ---- Painting ---- */

static void test_paint(void)
{
    int round, kernels = 0;
    for (round = 0; round < 600; round++) {
        const int photos = 3, cells_at_most = 40;
        mosaic_grid g;
        mosaic_pool *pool = NULL;
        mosaic_draw draw[40];
        mosaic_curve bends[40], *curve = round % 3 ? NULL : bends;
        uint8_t *source, *before, *want, *got;
        size_t source_stride, stride, bytes;
        int i, c, k, simd;
        memset(&g, 0, sizeof g);
        memset(draw, 0, sizeof draw);
        g.cols = test_range(1, 6);
        g.rows = test_range(1, 4);
        g.cell_width = edge_or(1, 70);
        g.cell_height = edge_or(1, 40);
        g.origin_x = test_range(0, 2) ? 0 : test_range(-40 * 64, 40 * 64);
        g.origin_y = test_range(0, 2) ? 0 : test_range(-20 * 64, 20 * 64);
        g.width = test_range(0, 2) ? g.cols * g.cell_width : test_range(1, 400);
        g.height = test_range(0, 2) ? g.rows * g.cell_height : test_range(1, 150);
        /* Enlarged, about as large, and reduced, up to more than the kernels take. */
        g.source_width = mosaic__clamp(round % 4 == 0 ? edge_or(1, 100) : (int)((long long)g.width * test_range(20, 450) / 100), 1, 2000);
        g.source_height = mosaic__clamp(round % 4 == 1 ? edge_or(1, 100) : (int)((long long)g.height * test_range(20, 450) / 100), 1, 1000);
        g.crop_width = test_range(0, 1) ? g.source_width * 64 : test_range(1, g.source_width * 64);
        g.crop_height = test_range(0, 1) ? g.source_height * 64 : test_range(1, g.source_height * 64);
        g.crop_x = test_range(0, g.source_width * 64 - g.crop_width);
        g.crop_y = test_range(0, g.source_height * 64 - g.crop_height);
        CHECK(mosaic_pool_create(g.cell_width, g.cell_height, NULL, &pool) == MOSAIC_OK);
        for (i = 0; i < photos; i++) {
            uint8_t *tile = noise((size_t)(g.cell_width * g.cell_height * 3), 0);
            CHECK(mosaic_pool_add(pool, tile, NULL, 0) == MOSAIC_OK);
            free(tile);
        }
        for (i = 0; i < cells_at_most; i++) {
            const int wild = test_range(0, 3) == 0;
            draw[i].photo = test_range(0, photos - 1);
            draw[i].variant = (uint8_t)test_range(0, MOSAIC_VARIANTS - 1);
            draw[i].repaint = (uint8_t)(test_range(0, 3) != 0);
            for (c = 0; c < 3; c++)
                for (k = 0; k < 17; k++) bends[i].level[c][k] = (int16_t)(wild ? test_range(-32767, 32767) : test_range(0, 4096));
            for (c = 0; c < 3; c++) {
                for (k = 0; k < 5; k++) draw[i].colour[c][k] = (int16_t)(wild ? test_range(-32767, 32767) : test_range(-1500, 3000));
                if (i % 4 == 1) draw[i].colour[c][3] = 0;
            }
            if (i % 8 == 2) draw[i].colour[1][3] = 0;
        }
        source_stride = (size_t)g.source_width * 3 + (size_t)test_range(0, 9);
        stride = (size_t)g.width * 3 + (size_t)test_range(0, 9);
        source = noise(source_stride * (size_t)(g.source_height - 1) + (size_t)g.source_width * 3, round % 2);
        bytes = stride * (size_t)(g.height - 1) + (size_t)g.width * 3;
        before = noise(bytes, 0);
        want = (uint8_t *)malloc(bytes);
        got = (uint8_t *)malloc(bytes);
        memcpy(want, before, bytes);
        CHECK(mosaic_paint(&g, pool, draw, curve, g.cols * g.rows, 1, source, source_stride, want, stride, MOSAIC_SIMD_SCALAR, NULL, NULL, NULL) ==
              MOSAIC_OK);
        for (simd = MOSAIC_SIMD_AVX2; simd <= levels(); simd++) {
            mosaic__painter p;
            memcpy(got, before, bytes);
            CHECK(mosaic_paint(&g, pool, draw, curve, g.cols * g.rows, 1, source, source_stride, got, stride, simd, NULL, NULL, NULL) == MOSAIC_OK);
            CHECK_MSG(memcmp(want, got, bytes) == 0, "round %d, simd %d: cells of %d x %d, %d px from %d, %d from %d", round, simd, g.cell_width,
                      g.cell_height, g.width, g.source_width, g.height, g.source_height);
            CHECK(mosaic__painter_open(&p, &g, pool, simd - 1, 0, NULL) == MOSAIC_OK);
            if (simd == MOSAIC_SIMD_AVX2) kernels += p.level > 0 && g.cell_width >= 16;
            mosaic__painter_close(&p, NULL);
        }
        free(source);
        free(before);
        free(want);
        free(got);
        mosaic_pool_destroy(pool);
    }
    if (levels() > 1) CHECK_MSG(kernels > 200, "the kernels were used in %d of 600 rounds only", kernels);
}

/* ---- Describing ---- */

#if MOSAIC__KERNELS_X86
MOSAIC__TARGET("avx2") static void cube_roots(const mosaic__tables *tables, int32_t x[8])
{
    _mm256_storeu_si256((__m256i *)(void *)x, mosaic__cbrt_avx2(tables, mosaic__load32(x)));
}
#endif

/* Rows of cells reduced to codes: odd widths, spans from slivers to whole pictures, and totals on both sides of what the kernel takes. */
static void test_reduce(void)
{
    mosaic__tables tables;
    int round, kernels = 0;
    mosaic__tables_fill(&tables);
    for (round = 0; round < 600; round++) {
        const int cells = test_range(1, 5), pixels = cells * MOSAIC__SIDE, size = edge_or(1, round % 5 ? 300 : 3000), height = edge_or(1, 60);
        const int tall = round % 50 == 7 ? 4000 : height, flat = round % 4 == 0, wide = size << 12;
        const size_t stride = (size_t)size * 3 + (size_t)test_range(0, 5);
        uint8_t *rgb = noise(stride * (size_t)(tall - 1) + (size_t)size * 3, round % 2);
        int32_t *edge = (int32_t *)malloc((size_t)(pixels + 1) * sizeof *edge);
        mosaic__codes want[5], got[5];
        mosaic__reducer r;
        mosaic__span rows;
        uint32_t *column;
        int i, y, from = test_range(0, wide - 1), to = test_range(from, wide);
        if (flat) memset(rgb, test_range(0, 255), stride * (size_t)(tall - 1) + (size_t)size * 3);
        for (i = 0; i <= pixels; i++) edge[i] = from + (int32_t)((int64_t)(to - from) * i / pixels);
        i = test_range(0, (tall << 12) - 1);
        rows = round % 3 && tall < 4000 ? mosaic__span_of(i, mosaic__clamp(i + test_range(0, 20000), 0, tall << 12), tall)
                                        : mosaic__span_of(tall < 4000 ? i : 0, tall << 12, tall);
        memset(want, 0, sizeof want);
        memset(got, 0, sizeof got);
        CHECK(mosaic__reducer_open(&r, mosaic__cpu_level(), edge, pixels, size, rows.total, 0, NULL));
        column = (uint32_t *)calloc(r.room, sizeof *column);
        kernels += r.level > 0;
        for (y = 0; y < MOSAIC__SIDE; y++) mosaic__reduce(&r, &rows, rgb, stride, y, column, got);
        r.level = 0;
        for (y = 0; y < MOSAIC__SIDE; y++) mosaic__reduce(&r, &rows, rgb, stride, y, column, want);
        CHECK_MSG(memcmp(want, got, sizeof *want * (size_t)cells) == 0, "round %d: %d cells from %d px, rows %d", round, cells, size,
                  rows.end - rows.first);
        if (flat)
            for (i = 0; i < MOSAIC__PIXELS; i++) CHECK(want[0].of[0][i] == 16 * rgb[0] && want[cells - 1].of[2][i] == 16 * rgb[0]);
        free(column);
        free(edge);
        free(rgb);
        mosaic__reducer_close(&r, NULL);
    }
    if (levels() > 1) CHECK_MSG(kernels > 400 && kernels < 600, "the kernels were used in %d of 600 rounds", kernels);
}

/* The sums against doubles, where the width of a pixel makes the quotient hit its rounding border often. */
static void test_reduce_rounding(void)
{
    int round;
    for (round = 0; round < 300; round++) {
        uint8_t rgb[64 * 3];
        int32_t edge[MOSAIC__SIDE + 1];
        mosaic__codes codes[2];
        mosaic__reducer r;
        mosaic__span rows = mosaic__span_of(0, test_range(1, 12), 1);
        uint32_t *column;
        int i, c, x, level;
        for (i = 0; i < (int)sizeof rgb; i++) rgb[i] = (uint8_t)test_range(0, 255);
        edge[0] = test_range(0, 4000);
        for (i = 1; i <= MOSAIC__SIDE; i++) edge[i] = edge[i - 1] + (test_range(0, 2) ? test_range(1, 40) : test_range(1, 20000));
        for (level = 0; level < 2; level++) {
            CHECK(mosaic__reducer_open(&r, level && mosaic__cpu_level(), edge, MOSAIC__SIDE, 64, rows.total, 0, NULL));
            column = (uint32_t *)calloc(r.room, sizeof *column);
            mosaic__reduce(&r, &rows, rgb, sizeof rgb, 0, column, codes + level);
            for (x = 0; x < MOSAIC__SIDE; x++)
                for (c = 0; c < 3; c++) {
                    long double sum = 0, width = edge[x + 1] - edge[x];
                    for (i = 0; i < 64; i++) {
                        int low = edge[x] > i << 12 ? edge[x] : i << 12, high = edge[x + 1] < (i + 1) << 12 ? edge[x + 1] : (i + 1) << 12;
                        if (high > low) sum += (long double)(high - low) * rgb[3 * i + c];
                    }
                    /* Half a step is rounded down of the total first, which can lift a quotient by that much. */
                    sum = 16 * sum / width + .5L - codes[level].of[c][mosaic__code_index(x, 0)];
                    CHECK_MSG(sum >= 0 && sum < 1 + .5L / (width * rows.total), "level %d: %Lg", level, sum);
                }
            free(column);
            mosaic__reducer_close(&r, NULL);
        }
        for (c = 0; c < 3; c++) CHECK(memcmp(codes[0].of[c], codes[1].of[c], 4 * sizeof(uint16_t)) == 0);
    }
}

static void test_describe(void)
{
    mosaic__tables tables;
    int round, i, c, level;
    mosaic__tables_fill(&tables);
    for (round = 0; round < 3000; round++) {
        mosaic__codes codes;
        mosaic__look want, got;
        mosaic__colours want_colours, got_colours;
        int low = round % 3 == 0 ? 0 : test_range(0, 4080), high = round % 3 == 1 ? mosaic__clamp(low + 60, 0, 4080) : round % 3 ? 4080 : 0;
        if (round % 10 == 0) high = test_range(0, 40);
        if (high < low) low = high;
        for (c = 0; c < 3; c++)
            for (i = 0; i < MOSAIC__PIXELS; i++)
                codes.of[c][i] = (uint16_t)(round == 1 ? 4080 : round < 30 ? test_range(0, 1) * 4080 : test_range(low, high));
        memset(&want, 1, sizeof want);
        memset(&want_colours, 1, sizeof want_colours);
        mosaic__describe(0, &tables, &codes, &want, &want_colours);
        for (level = 1; level <= mosaic__cpu_level(); level++) {
            memset(&got, 2, sizeof got);
            memset(&got_colours, 2, sizeof got_colours);
            mosaic__describe(level, &tables, &codes, &got, &got_colours);
            CHECK_MSG(memcmp(&want, &got, sizeof got) == 0, "round %d, level %d", round, level);
            CHECK_MSG(memcmp(&want_colours, &got_colours, sizeof got_colours) == 0, "round %d, level %d", round, level);
            memset(&got, 3, sizeof got);
            mosaic__describe(level, &tables, &codes, &got, NULL);
            CHECK(memcmp(&want, &got, sizeof got) == 0);
        }
        if (round > 100) continue;
        /* The mirrored picture: mirrored blocks, the rest the same; twice mirrored is plain. */
        {
            mosaic__codes mirrored, twice;
            mosaic__variant_codes(MOSAIC_MIRROR, &codes, &mirrored);
            mosaic__variant_codes(MOSAIC_MIRROR, &mirrored, &twice);
            CHECK(memcmp(&codes, &twice, sizeof codes) == 0);
            mosaic__describe(0, &tables, &mirrored, &got, NULL);
            for (c = 0; c < 3; c++) {
                CHECK(got.mean[c] == want.mean[c] && got.spread[c] == want.spread[c] && got.energy[c] == want.energy[c]);
                for (i = 0; i < MOSAIC__BLOCKS; i++) CHECK(got.block[c][i] == want.block[c][i / 3 * 3 + 2 - i % 3]);
            }
        }
    }
#if MOSAIC__KERNELS_X86
    /* Every number that can come before a cube root. */
    if (mosaic__cpu_level() >= 1)
        for (i = 0; i <= 1 << 18; i += 8) {
            int32_t root[8];
            for (c = 0; c < 8; c++) root[c] = mosaic__clamp(i + c, 0, 1 << 18);
            cube_roots(&tables, root);
            for (c = 0; c < 8; c++) CHECK_MSG(root[c] == mosaic__cbrt(&tables, (uint32_t)mosaic__clamp(i + c, 0, 1 << 18)), "cube root of %d", i + c);
        }
#endif
}

/* What is known of a frame does not depend on the frames before it, although cells that did not change are not described again. */
static void test_unchanged(void)
{
    enum { W = 230, H = 131 };
    uint8_t *rgb = noise(W * H * 3, 1);
    mosaic_pool *pool = NULL;
    mosaic_engine *engine = NULL, *alone = NULL;
    mosaic_options options;
    mosaic_input input;
    mosaic_fit fit;
    mosaic_grid grid;
    const mosaic_frame *frame;
    size_t cells;
    int i, k, simd;
    memset(&fit, 0, sizeof fit);
    memset(&input, 0, sizeof input);
    memset(&options, 0, sizeof options);
    fit.cells = 60;
    fit.height = 180;
    CHECK(mosaic_grid_fit(W, H, &fit, &grid) == MOSAIC_OK);
    cells = (size_t)(grid.cols * grid.rows);
    CHECK(mosaic_pool_create(grid.cell_width, grid.cell_height, NULL, &pool) == MOSAIC_OK);
    for (i = 0; i < 40; i++) {
        uint8_t *tile = noise((size_t)(grid.cell_width * grid.cell_height * 3), 1);
        CHECK(mosaic_pool_add(pool, tile, NULL, 0) == MOSAIC_OK);
        free(tile);
    }
    input.rgb = rgb;
    input.stride = W * 3;
    for (simd = 1; simd <= levels(); simd++) {
        options.simd = simd;
        CHECK(mosaic_open(&grid, pool, &options, &engine) == MOSAIC_OK);
        for (i = 0; i < 30; i++) {
            for (k = 0; k < i % 4 * i; k++) rgb[test_range(0, W * H * 3 - 1)] = (uint8_t)test_range(0, 255);
            CHECK(mosaic_push(engine, &input, &frame) == MOSAIC_OK && frame);
            CHECK(mosaic_open(&grid, pool, &options, &alone) == MOSAIC_OK && mosaic_push(alone, &input, &frame) == MOSAIC_OK);
            CHECK(memcmp(engine->look, alone->look, cells * sizeof *alone->look) == 0);
            CHECK(memcmp(engine->colours, alone->colours, cells * sizeof *alone->colours) == 0);
            mosaic_close(alone);
        }
        mosaic_close(engine);
    }
    mosaic_pool_destroy(pool);
    free(rgb);
}

/* ---- Costs ---- */

/* One to nine variants, and looks up to the largest that describing can give. */
static void test_costs(void)
{
    static const int kernel[] = {0, 1, 2, 3};
    mosaic__settings s;
    int round, lane, v, c, b;
    size_t k;
    for (round = 0; round < 4000; round++) {
        mosaic__pack pack[9];
        mosaic__look cell, look[9][MOSAIC__LANES];
        mosaic_options o;
        const int variants = test_range(1, 9), amplitude = round % 3 ? test_range(1, 40) : 512;
        int32_t want[MOSAIC__LANES], got[MOSAIC__LANES + 2];
        memset(&o, 0, sizeof o);
        o.mean_strength = (float)test_range(0, 100) / 100;
        o.spread_strength = (float)test_range(0, 100) / 100;
        o.bleed = (float)test_range(0, 50) / 100;
        CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK);
        for (v = -1; v < variants * MOSAIC__LANES; v++) {
            mosaic__look *l = v < 0 ? &cell : &look[v / MOSAIC__LANES][v % MOSAIC__LANES];
            memset(l, 0, sizeof *l);
            for (c = 0; c < 3; c++) {
                l->mean[c] = (int16_t)(c ? test_range(-400, 400) : test_range(0, 1024));
                for (b = 0; b < MOSAIC__BLOCKS; b++) {
                    l->block[c][b] = (int16_t)test_range(-amplitude, amplitude);
                    l->energy[c] += l->block[c][b] * l->block[c][b];
                }
                l->spread[c] = test_range(0, 3) ? test_range(MOSAIC__SPREAD_FLOOR, 8192) : MOSAIC__SPREAD_FLOOR;
            }
            if (v >= 0) mosaic__pack_put(pack + v / MOSAIC__LANES, v % MOSAIC__LANES, l);
        }
        for (lane = 0; lane < MOSAIC__LANES; lane++) {
            int32_t best = mosaic__pair_cost(&s, &cell, pack, lane);
            for (v = 1; v < variants; v++) {
                int32_t cost = mosaic__pair_cost(&s, &cell, pack + v, lane);
                if (cost < best) best = cost;
            }
            want[lane] = best;
        }
        for (k = 0; k < sizeof kernel / sizeof *kernel; k++) {
            if (kernel[k] > mosaic__cpu_level() && kernel[k] > mosaic__simd_level(MOSAIC_SIMD_BEST)) continue;
            got[0] = got[MOSAIC__LANES + 1] = 77;
            mosaic__costs_kernel(kernel[k])(&s, &cell, pack, variants, got + 1);
            CHECK_MSG(memcmp(want, got + 1, sizeof want) == 0, "level %d, %d variants", kernel[k], variants);
            CHECK(got[0] == 77 && got[MOSAIC__LANES + 1] == 77);
        }
    }
}

int main(void)
{
    test_costs();
    test_paint();
    test_reduce();
    test_reduce_rounding();
    test_describe();
    test_unchanged();
    return test_end("temporal kernels");
}
