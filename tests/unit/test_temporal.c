/* The engine: every stage against a plain reference, streams of synthetic clips, saved pools and states, bad input, failing memory. */
#include "../test.h"
#include "../threads.h"
#include "../engine.h"
#include <math.h>

static size_t test_table_most = (size_t)1 << 24;
#define MOSAIC__TABLE_MOST test_table_most
static int test_list_most = 512;
#define MOSAIC__LIST_MOST test_list_most
static int test_list_rounds = 3;
#define MOSAIC__LIST_ROUNDS test_list_rounds
static size_t test_ban_most = (size_t)1 << 26;
#define MOSAIC__BAN_MOST test_ban_most
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../../mosaic_temporal.h"

enum { CELL = 16, COLS = 20, ROWS = 12, WIDTH = CELL * COLS, HEIGHT = CELL * ROWS };

/* ---- Material ---- */

/* A world to look at through a window at (x, y). */
static void world(uint8_t *rgb, int width, int height, int x0, int y0, unsigned seed)
{
    int x, y, c;
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++)
            for (c = 0; c < 3; c++)
                rgb[(y * width + x) * 3 + c] =
                    (uint8_t)((3 * noise(x + x0, y + y0, 47, seed + (unsigned)c) + noise(x + x0, y + y0, 11, seed + 9)) / 4);
}

static mosaic_pool *make_pool(int photos, int cell_width, int cell_height)
{
    mosaic_pool *pool = NULL;
    uint8_t *tile = (uint8_t *)malloc((size_t)cell_width * (size_t)cell_height * 3);
    char name[32];
    int i, p, c;
    CHECK(mosaic_pool_create(cell_width, cell_height, NULL, &pool) == MOSAIC_OK);
    for (i = 0; i < photos; i++) {
        int tint[3];
        for (c = 0; c < 3; c++) tint[c] = (int)lattice((unsigned)i, (unsigned)c, 77);
        for (p = 0; p < cell_width * cell_height; p++)
            for (c = 0; c < 3; c++) tile[p * 3 + c] = (uint8_t)((2 * tint[c] + noise(p % cell_width, p / cell_width, 5, (unsigned)i)) / 3);
        sprintf(name, "photo-%d.jpg", i);
        CHECK(mosaic_pool_add(pool, tile, name, (uint64_t)i * 3) == MOSAIC_OK);
    }
    free(tile);
    return pool;
}

static mosaic_grid make_grid(void)
{
    mosaic_grid grid;
    mosaic_fit fit;
    memset(&fit, 0, sizeof fit);
    fit.cell_width = CELL;
    fit.height = HEIGHT;
    CHECK(mosaic_grid_fit(WIDTH, HEIGHT, &fit, &grid) == MOSAIC_OK);
    CHECK(grid.cols == COLS && grid.rows == ROWS && grid.width == WIDTH && grid.height == HEIGHT);
    return grid;
}

static mosaic_engine *make_engine(const mosaic_pool *pool, const mosaic_options *options)
{
    mosaic_grid grid = make_grid();
    mosaic_engine *engine = NULL;
    mosaic_result result = mosaic_open(&grid, pool, options, &engine);
    CHECK_MSG(result == MOSAIC_OK, "%s", mosaic_result_string(result));
    return engine;
}

static const mosaic_frame *push(mosaic_engine *engine, const uint8_t *rgb, const mosaic_flow_field *motion)
{
    mosaic_input input;
    const mosaic_frame *frame = NULL;
    input.rgb = rgb;
    input.stride = WIDTH * 3;
    input.motion = motion;
    CHECK(mosaic_push(engine, &input, &frame) == MOSAIC_OK);
    CHECK(frame != NULL);
    return frame;
}

static uint64_t fnv(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    while (size--) hash = (hash ^ *p++) * 0x100000001b3u;
    return hash;
}

/* ---- Colour ---- */

static double to_linear(double c) { return c <= .04045 ? c / 12.92 : pow((c + .055) / 1.055, 2.4); }

static void oklab_reference(const double rgb[3], double lab[3])
{
    double v[3], l, m, s;
    int c;
    for (c = 0; c < 3; c++) v[c] = to_linear(rgb[c]);
    l = cbrt(.4122214708 * v[0] + .5363325363 * v[1] + .0514459929 * v[2]);
    m = cbrt(.2119034982 * v[0] + .6806995451 * v[1] + .1073969566 * v[2]);
    s = cbrt(.0883024619 * v[0] + .2817188376 * v[1] + .6299787005 * v[2]);
    lab[0] = .2104542553 * l + .7936177850 * m - .0040720468 * s;
    lab[1] = 1.9779984951 * l - 2.4285922050 * m + .4505937099 * s;
    lab[2] = .0259040371 * l + .7827717662 * m - .8086757660 * s;
}

static void test_colour(void)
{
    mosaic__tables tables;
    uint8_t nearest[(1 << 12) + 1];
    double worst = 0;
    int i, c, byte = 0;
    mosaic__nearest_fill(nearest);
    for (i = 0; i < 256; i++) {
        CHECK_MSG(fabs(mosaic__linear[i] - 262144 * to_linear(i / 255.)) <= .5001, "byte %d", i);
        CHECK(mosaic__srgb(nearest, mosaic__linear[i]) == i);
    }
    for (i = 0; i <= 1 << 18; i++) {
        while (byte < 255 && 2 * i > (int)(mosaic__linear[byte] + mosaic__linear[byte + 1])) byte++;
        CHECK_MSG(mosaic__srgb(nearest, (uint32_t)i) == byte, "light %d", i);
    }
    mosaic__tables_fill(&tables);
    for (i = 0; i < 200000; i++) {
        uint16_t code[3];
        int32_t lab[3];
        double rgb[3], want[3];
        for (c = 0; c < 3; c++) {
            code[c] = (uint16_t)(i < 256 ? i * 16 : test_range(0, 4080));
            rgb[c] = code[c] / 4080.;
        }
        mosaic__oklab(&tables, code, lab);
        oklab_reference(rgb, want);
        for (c = 0; c < 3; c++)
            if (fabs(lab[c] / 16384. - want[c]) > worst) worst = fabs(lab[c] / 16384. - want[c]);
        if (i < 256) CHECK_MSG(abs(lab[1]) <= 1 && abs(lab[2]) <= 1, "grey %d has a colour", i);
    }
    CHECK_MSG(worst < .0025, "worst error %g", worst);
    for (i = 0; i < 100000; i++) {
        uint64_t v = ((uint64_t)test_random() << 32 | test_random()) >> test_range(0, 63), r = mosaic__isqrt(v);
        CHECK(r * r <= v && (r == 0xffffffffu || (r + 1) * (r + 1) > v));
    }
}

/* ---- Tiles and descriptions ---- */

static void test_tile_reduce(void)
{
    static const int size[][4] = {{64, 64, 16, 16}, {100, 37, 12, 9},   {31, 90, 10, 10}, {5, 7, 16, 16},
                                  {1, 1, 8, 8},     {240, 180, 54, 54}, {33, 33, 33, 33}};
    size_t k;
    for (k = 0; k < sizeof size / sizeof *size; k++) {
        int w = size[k][0], h = size[k][1], cw = size[k][2], ch = size[k][3], x, y, c, i, j, worst = 0;
        size_t stride = (size_t)w * 3 + 5;
        uint8_t *rgb = (uint8_t *)malloc(stride * (size_t)h), *tile = (uint8_t *)malloc((size_t)(cw * ch * 3));
        double sx = w, sy = h;
        for (i = 0; i < (int)stride * h; i++) rgb[i] = (uint8_t)test_random();
        if (w * ch > h * cw)
            sx = (double)h * cw / ch;
        else
            sy = (double)w * ch / cw;
        CHECK(mosaic_tile_reduce(rgb, w, h, stride, cw, ch, tile, NULL) == MOSAIC_OK);
        for (y = 0; y < ch; y++)
            for (x = 0; x < cw; x++)
                for (c = 0; c < 3; c++) {
                    double x0 = (w - sx) / 2 + sx * x / cw, x1 = (w - sx) / 2 + sx * (x + 1) / cw, y0 = (h - sy) / 2 + sy * y / ch,
                           y1 = (h - sy) / 2 + sy * (y + 1) / ch, sum = 0, area = 0, linear, want;
                    for (j = (int)y0; j < h && j < y1; j++)
                        for (i = (int)x0; i < w && i < x1; i++) {
                            double a = (fmin(x1, i + 1) - fmax(x0, i)) * (fmin(y1, j + 1) - fmax(y0, j));
                            if (a <= 0) continue;
                            sum += a * to_linear(rgb[(size_t)j * stride + (size_t)(i * 3 + c)] / 255.);
                            area += a;
                        }
                    linear = sum / area;
                    want = 255 * (linear <= .0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - .055);
                    i = (int)fabs(tile[(y * cw + x) * 3 + c] - want + (tile[(y * cw + x) * 3 + c] > want ? -.5 : .5));
                    if (i > worst) worst = i;
                }
        CHECK_MSG(worst < 1, "%dx%d to %dx%d: off by %d", w, h, cw, ch, worst);
        free(rgb);
        free(tile);
    }
}

/* The documented cost in doubles, from the integer descriptions. */
static double cost_reference(const mosaic__settings *s, const mosaic__look *cell, const mosaic__look *tile)
{
    double keep = (1 - s->paint_bleed) * (1 - s->paint_bleed), sum = 0;
    int c, b;
    for (c = 0; c < 3; c++) {
        double g = (double)cell->spread[c] / tile->spread[c], k, mean = (cell->mean[c] - tile->mean[c]) / 1024.;
        g = g < s->paint_low ? s->paint_low : g > s->paint_high ? s->paint_high : g;
        k = 1 + s->paint_spread * (g - 1);
        sum += (1 - s->paint_mean) * (1 - s->paint_mean) * mean * mean;
        for (b = 0; b < 9; b++) {
            double d = (cell->block[c][b] - k * tile->block[c][b]) / 1024.;
            sum += d * d / 9;
        }
    }
    return 262144 * keep * sum;
}

static void random_look(mosaic__look *look, int amplitude)
{
    int c, b;
    memset(look, 0, sizeof *look);
    for (c = 0; c < 3; c++) {
        look->mean[c] = (int16_t)(c ? test_range(-300, 300) : test_range(0, 1024));
        for (b = 0; b < 9; b++) {
            look->block[c][b] = (int16_t)test_range(-amplitude, amplitude);
            look->energy[c] += look->block[c][b] * look->block[c][b];
        }
        look->spread[c] = test_range(MOSAIC__SPREAD_FLOOR, amplitude * 16 + MOSAIC__SPREAD_FLOOR);
    }
}

static void test_costs(void)
{
    mosaic__settings s;
    mosaic_options o;
    int round, level, lane, v;
    memset(&o, 0, sizeof o);
    for (round = 0; round < 400; round++) {
        mosaic__look cell, tile[4][MOSAIC__LANES];
        mosaic__pack pack[4];
        int amplitude = round % 4 == 3 ? 500 : 10 + round % 100, variants = 1 + round % 4;
        int32_t scalar[MOSAIC__LANES], simd[MOSAIC__LANES];
        o.preset = round % 2 ? MOSAIC_PRESET_LEGACY : MOSAIC_PRESET_DEFAULT;
        if (round % 7 == 0)
            o.spread_strength = 1, o.mean_strength = MOSAIC_OFF, o.bleed = MOSAIC_OFF;
        else
            o.spread_strength = o.mean_strength = o.bleed = 0;
        CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK);
        random_look(&cell, amplitude);
        for (v = 0; v < variants; v++)
            for (lane = 0; lane < MOSAIC__LANES; lane++) {
                double want;
                int32_t got;
                random_look(&tile[v][lane], amplitude);
                mosaic__pack_put(pack + v, lane, &tile[v][lane]);
                want = cost_reference(&s, &cell, &tile[v][lane]);
                got = mosaic__pair_cost(&s, &cell, pack + v, lane);
                if (want > MOSAIC__COST_LIMIT) want = MOSAIC__COST_LIMIT;
                CHECK_MSG(fabs(got - want) <= 6 + .02 * want, "amplitude %d: %d, not %g", amplitude, got, want);
            }
        mosaic__costs_scalar(&s, &cell, pack, variants, scalar);
        for (lane = 0; lane < MOSAIC__LANES; lane++) {
            int32_t best = INT32_MAX;
            for (v = 0; v < variants; v++) {
                int32_t c = mosaic__pair_cost(&s, &cell, pack + v, lane);
                if (c < best) best = c;
            }
            CHECK(scalar[lane] == best);
        }
        for (level = 1; level <= mosaic__cpu_level() && level <= 2; level++) {
            mosaic__costs_kernel(level)(&s, &cell, pack, variants, simd);
            CHECK_MSG(memcmp(scalar, simd, sizeof simd) == 0, "level %d", level);
        }
    }
}

/* ---- Recolouring ---- */

static void test_recolour(void)
{
    mosaic__settings s;
    mosaic_options o;
    int round, r, c, k, i;
    memset(&o, 0, sizeof o);
    o.mean_strength = 1;
    o.spread_strength = 1;
    o.bleed = MOSAIC_OFF;
    o.spread_low = .01f;
    CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK);
    for (round = 0; round < 200; round++) {
        mosaic__colours tile, cell;
        mosaic__palette palette;
        mosaic__sym ct, cc;
        double mt[3], mc[3], a[3][3];
        int16_t colour[3][5];
        int variant = round % 4;
        double f = variant == MOSAIC_BRIGHT ? 1.1 : variant == MOSAIC_DARK ? .9 : 1;
        memset(&tile, 0, sizeof tile);
        memset(&cell, 0, sizeof cell);
        for (i = 0; i < MOSAIC__PIXELS; i++) {
            int base = test_range(1000, 3000), v[3], w[3];
            for (c = 0; c < 3; c++) v[c] = base + test_range(-500, 500), w[c] = 1500 + (base - 2000) / (c + 2) + test_range(-300, 300);
            for (c = 0; c < 3; c++) tile.sum[c] += v[c], cell.sum[c] += w[c];
            for (r = 0, k = 0; r < 3; r++)
                for (c = r; c < 3; c++, k++) tile.product[k] += v[r] * v[c], cell.product[k] += w[r] * w[c];
        }
        mosaic__palette_of(&tile, &palette);
        mosaic__recolour(&s, &palette, variant, &cell, colour);
        ct = mosaic__covariance(&tile, mt);
        cc = mosaic__covariance(&cell, mc);
        for (r = 0; r < 3; r++) {
            double mean = colour[r][4] / 16.;
            for (c = 0; c < 3; c++) {
                a[r][c] = colour[r][c] / 4096.;
                mean += a[r][c] * mt[c];
            }
            CHECK_MSG(fabs(mean - mc[r]) < .2, "mean %g, not %g", mean, mc[r]);
            CHECK(colour[r][3] == 0);
        }
        /* With full strength the map carries the tile's covariance to the cell's, and is symmetric. */
        for (r = 0; r < 3; r++)
            for (c = 0; c < 3; c++) {
                double got = 0;
                for (k = 0; k < 3; k++)
                    for (i = 0; i < 3; i++) got += a[r][k] * mosaic__sym_at(&ct, k, i) * a[c][i];
                CHECK_MSG(fabs(got - mosaic__sym_at(&cc, r, c)) < .01 * (mosaic__sym_at(&cc, r, r) + mosaic__sym_at(&cc, c, c)), "f %g", f);
                CHECK(fabs(a[r][c] - a[c][r]) < .001);
            }
    }
    for (i = 0; i < 1000; i++) {
        double x = exp((double)test_range(-4000, 4000) / 20.);
        CHECK_MSG(fabs(mosaic__sqrt(x) / sqrt(x) - 1) < 1e-15, "sqrt(%g)", x);
    }
    CHECK(mosaic__sqrt(0) == 0);
}

/* ---- Painting ---- */

/* Triangle-filtered source at a continuous position along one axis, in doubles. */
static double scaled(const uint8_t *line, size_t step, int size, double centre, double radius)
{
    double sum = 0, weight = 0;
    int i;
    if (radius < 1) radius = 1;
    for (i = 0; i < size; i++) {
        double w = radius - fabs(i - centre);
        if (w <= 0) continue;
        sum += w * line[(size_t)i * step];
        weight += w;
    }
    return weight > 0 ? sum / weight : line[(size_t)(centre > 0 ? size - 1 : 0) * step];
}

static void test_paint(void)
{
    static const int source[][2] = {{WIDTH, HEIGHT}, {97, 61}, {641, 389}, {3, 2}};
    mosaic_pool *pool = make_pool(5, CELL, CELL);
    size_t k;
    for (k = 0; k < sizeof source / sizeof *source; k++) {
        int sw = source[k][0], sh = source[k][1], x, y, c, i, threads;
        mosaic_grid grid = make_grid();
        mosaic_draw *draw = (mosaic_draw *)calloc(COLS * ROWS, sizeof *draw);
        uint8_t *rgb = (uint8_t *)malloc((size_t)(sw * sh * 3)), *out = (uint8_t *)malloc(WIDTH * HEIGHT * 3),
                *again = (uint8_t *)malloc(WIDTH * HEIGHT * 3), *line = (uint8_t *)malloc((size_t)sh);
        int worst = 0;
        grid.source_width = sw;
        grid.source_height = sh;
        grid.crop_x = sw > 10 ? 77 : 0;
        grid.crop_y = sh > 10 ? 130 : 0;
        grid.crop_width = sw * 64 - 2 * grid.crop_x;
        grid.crop_height = sh * 64 - 2 * grid.crop_y;
        grid.origin_x = -5 * 64;
        grid.origin_y = 3 * 64;
        world(rgb, sw, sh, 0, 0, 3);
        for (i = 0; i < COLS * ROWS; i++) {
            draw[i].photo = i % 5;
            draw[i].variant = (uint8_t)(i % 4);
            draw[i].repaint = 1;
            for (c = 0; c < 3; c++) {
                for (x = 0; x < 3; x++) draw[i].colour[c][x] = (int16_t)test_range(-2000, 4000);
                draw[i].colour[c][3] = (int16_t)(i % 3 ? 4096 : 0); /* all source, to see the scaling, or none */
                draw[i].colour[c][4] = (int16_t)test_range(-500, 1000);
                if (i % 3) memset(draw[i].colour[c], 0, 3 * sizeof(int16_t)), draw[i].colour[c][4] = 0;
            }
        }
        memset(out, 7, WIDTH * HEIGHT * 3);
        CHECK(mosaic_paint(&grid, pool, draw, NULL, COLS * ROWS, 1, rgb, (size_t)sw * 3, out, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_OK);
        for (y = 0; y < HEIGHT; y++)
            for (x = 0; x < WIDTH; x++)
                for (c = 0; c < 3; c++) {
                    int cx = (x + 5) / CELL, cy = (y - 3 + CELL) / CELL - 1, got = out[(y * WIDTH + x) * 3 + c];
                    if (cx >= COLS || cy < 0 || cy >= ROWS) {
                        CHECK(got == 7);
                        continue;
                    }
                    i = cy * COLS + cx;
                    if (i % 3) {
                        double rx = grid.crop_width / 64. / WIDTH, ry = grid.crop_height / 64. / HEIGHT;
                        double u = grid.crop_x / 64. + (x + .5) * rx - .5, v = grid.crop_y / 64. + (y + .5) * ry - .5;
                        int j, off;
                        for (j = 0; j < sh; j++) line[j] = 0;
                        /* across first, kept in doubles only where needed: a column of row results, rounded to levels * 1 */
                        {
                            double sum = 0, weight = 0, radius = ry < 1 ? 1 : ry;
                            for (j = 0; j < sh; j++) {
                                double w = radius - fabs(j - v);
                                if (w <= 0) continue;
                                sum += w * scaled(rgb + (size_t)(j * sw * 3 + c), 3, sw, u, rx);
                                weight += w;
                            }
                            if (weight == 0) {
                                sum = scaled(rgb + (size_t)((v > 0 ? sh - 1 : 0) * sw * 3 + c), 3, sw, u, rx);
                                weight = 1;
                            }
                            off = (int)floor(fabs(got - sum / weight) + .4);
                        }
                        if (off > worst) worst = off;
                    } else {
                        int px = (x + 5) % CELL, py = (y - 3) % CELL;
                        const uint8_t *t = mosaic_pool_pixels(pool, i % 5) + (py * CELL + (i % 4 == MOSAIC_MIRROR ? CELL - 1 - px : px)) * 3;
                        const int16_t *m = draw[i].colour[c];
                        int want = (m[0] * t[0] + m[1] * t[1] + m[2] * t[2] + 256 * m[4] + 2048) >> 12;
                        CHECK(got == (want < 0 ? 0 : want > 255 ? 255 : want));
                    }
                }
        CHECK_MSG(worst < 1, "%dx%d source: scaled picture off by %d", sw, sh, worst);
        for (threads = 1; threads <= 5; threads++) {
            memset(again, 7, WIDTH * HEIGHT * 3);
            CHECK(mosaic_paint(&grid, pool, draw, NULL, COLS * ROWS, 0, rgb, (size_t)sw * 3, again, WIDTH * 3, 1, test_run, &threads, NULL) ==
                  MOSAIC_OK);
            CHECK(memcmp(out, again, WIDTH * HEIGHT * 3) == 0);
        }
        free(draw);
        free(rgb);
        free(out);
        free(again);
        free(line);
    }
    mosaic_pool_destroy(pool);
}

/* ---- Grids ---- */

static void test_grids(void)
{
    static const int known[][7] = {
        /* source, cells, height: cols, rows, cell */
        {1280, 720, 700, 1080, 35, 20, 54},
        {768, 432, 700, 1080, 35, 20, 54},
    };
    static const int shape[][2] = {{3, 2}, {2, 3}, {16, 9}, {1, 2}, {7, 5}, {1, 16}, {4, 4}};
    mosaic_grid g;
    mosaic_fit fit;
    int i;
    memset(&fit, 0, sizeof fit);
    for (i = 0; i < 2; i++) {
        fit.cells = known[i][2];
        fit.height = known[i][3];
        CHECK(mosaic_grid_fit(known[i][0], known[i][1], &fit, &g) == MOSAIC_OK);
        CHECK(g.cols == known[i][4] && g.rows == known[i][5] && g.cell_width == known[i][6] && g.width == 1890 && g.height == 1080);
    }
    for (i = 0; i < 3000; i++) {
        int w = test_range(1, i % 3 ? 4000 : 200), h = test_range(1, i % 3 ? 3000 : 200);
        mosaic_result result;
        memset(&fit, 0, sizeof fit);
        fit.cells = test_range(0, 3) ? test_range(4, 5000) : 0;
        fit.height = test_range(0, 3) ? test_range(60, 2200) : 0;
        if (i % 5 == 0) fit.cell_width = test_range(4, 80);
        if (i % 10 == 0) fit.cell_height = test_range(4, 80);
        if (i % 7 == 1) fit.aspect_width = shape[i / 7 % 7][0], fit.aspect_height = shape[i / 7 % 7][1];
        result = mosaic_grid_fit(w, h, &fit, &g);
        if (result != MOSAIC_OK) {
            CHECK(result == MOSAIC_ERROR_SIZE);
            CHECK_MSG(g.cols == 0, "a failed fit leaves no grid");
            continue;
        }
        CHECK(g.width == g.cols * g.cell_width && g.height == g.rows * g.cell_height);
        CHECK(mosaic__grid_check(&g) == MOSAIC_OK);
        if (!fit.cell_width) CHECK(g.width % 2 == 0 && g.height % 2 == 0);
        if (!fit.cell_height) { /* of the shape, but for the rounding of the longer side */
            const int a = fit.aspect_width ? fit.aspect_width : 1, b = fit.aspect_height ? fit.aspect_height : 1;
            CHECK_MSG(a >= b || fit.cell_width ? abs(g.cell_width * b - g.cell_height * a) * 2 <= (fit.cell_width ? a : b)
                                               : abs(g.cell_width * b - g.cell_height * a) * 2 <= a,
                      "cell %dx%d of shape %d:%d", g.cell_width, g.cell_height, a, b);
        }
        /* centred, at most half a cell at each side, and scaled evenly */
        CHECK(abs(w * 64 - g.crop_width - 2 * g.crop_x) <= 1 && abs(h * 64 - g.crop_height - 2 * g.crop_y) <= 1);
        CHECK_MSG((double)g.crop_x / g.crop_width * g.cols <= .5 + .6 * g.cols / g.crop_width + 40. / g.crop_width,
                  "%dx%d cells %d height %d cell %d", w, h, fit.cells, fit.height, fit.cell_width);
        CHECK((double)g.crop_y / g.crop_height * g.rows <= .5 + .6 * g.rows / g.crop_height + 40. / g.crop_height);
        CHECK(fabs((double)g.crop_width * g.height - (double)g.crop_height * g.width) <= 1.01 * (g.width > g.height ? g.width : g.height));
        if (!fit.cell_width) {
            int cells = fit.cells ? fit.cells : 700;
            CHECK(g.cols * g.rows <= 2 * cells && 2 * g.cols * g.rows >= cells);
        }
    }
    memset(&fit, 0, sizeof fit);
    CHECK(mosaic_grid_fit(0, 5, NULL, &g) == MOSAIC_ERROR_SIZE);
    CHECK(mosaic_grid_fit(5, -1, NULL, &g) == MOSAIC_ERROR_SIZE);
    CHECK(mosaic_grid_fit(100000, 5, NULL, &g) == MOSAIC_ERROR_SIZE);
    CHECK(mosaic_grid_fit(100, 100, NULL, NULL) == MOSAIC_ERROR_NULL);
    fit.cells = 1 << 23;
    CHECK(mosaic_grid_fit(100, 100, &fit, &g) == MOSAIC_ERROR_SIZE);
    CHECK(mosaic_grid_fit(1, 1, NULL, &g) == MOSAIC_OK);
    CHECK(mosaic_grid_fit(23528, 220, NULL, &g) == MOSAIC_OK && g.width <= 16384);
    memset(&fit, 0, sizeof fit);
    fit.aspect_width = 3;
    CHECK(mosaic_grid_fit(100, 100, &fit, &g) == MOSAIC_ERROR_SIZE);
    fit.aspect_height = 2;
    CHECK(mosaic_grid_fit(1280, 720, &fit, &g) == MOSAIC_OK && g.cell_width == 68 && g.cell_height == 45 && g.cols == 28 && g.rows == 24);
    fit.cell_height = 40;
    CHECK(mosaic_grid_fit(1280, 720, &fit, &g) == MOSAIC_OK && g.cell_width == 60 && g.cell_height == 40);
    fit.aspect_width = 33;
    CHECK(mosaic_grid_fit(1280, 720, &fit, &g) == MOSAIC_ERROR_SIZE);
    fit.aspect_width = -3;
    CHECK(mosaic_grid_fit(1280, 720, &fit, &g) == MOSAIC_ERROR_SIZE);
}

/* The cells of a grid that begins one cell further left and up, and by some pixels more, see what they would see from there. */
static void test_origin(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(100, CELL, CELL);
    mosaic_engine *plain = make_engine(pool, NULL), *moved = NULL, *beside = NULL;
    mosaic_grid grid = make_grid();
    mosaic_input input;
    const mosaic_frame *frame;
    int i, x, y;
    world(rgb, WIDTH, HEIGHT, 0, 0, 14);
    push(plain, rgb, NULL);
    memset(&input, 0, sizeof input);
    input.rgb = rgb;
    input.stride = WIDTH * 3;
    grid.cols++;
    grid.rows++;
    grid.origin_x = grid.origin_y = -CELL * 64;
    CHECK(mosaic_open(&grid, pool, NULL, &moved) == MOSAIC_OK);
    CHECK(mosaic_push(moved, &input, &frame) == MOSAIC_OK && frame->origin_x == -CELL * 64);
    for (i = 0; i < COLS * ROWS; i++)
        CHECK(memcmp(plain->look + i, moved->look + (i / COLS + 1) * grid.cols + i % COLS + 1, sizeof *plain->look) == 0);
    CHECK(frame->draw[0].x == -CELL * 64 && frame->draw[grid.cols + 1].x == 0 && frame->draw[grid.cols + 1].y == 0);
    /* A quarter of a cell further right: the picture moved the other way, away from the borders. */
    grid = make_grid();
    grid.origin_x = CELL * 64 / 4;
    CHECK(mosaic_open(&grid, pool, NULL, &beside) == MOSAIC_OK);
    CHECK(mosaic_push(beside, &input, &frame) == MOSAIC_OK);
    for (y = 0; y < HEIGHT; y++)
        for (x = 0; x < CELL / 4 * 3; x++) CHECK(frame->rgb[(size_t)y * frame->stride + (size_t)x] == 0);
    world(rgb, WIDTH, HEIGHT, CELL / 4, 0, 14);
    push(plain, rgb, NULL);
    for (i = 0; i < COLS * ROWS; i++)
        if (i % COLS < COLS - 1) CHECK(memcmp(plain->look + i, beside->look + i, sizeof *plain->look) == 0);
    mosaic_close(plain);
    mosaic_close(moved);
    mosaic_close(beside);
    mosaic_pool_destroy(pool);
}

/* A cell is filled where the mask's pixels under it are bright on average. */
static void test_mask_cells(void)
{
    uint8_t level[90 * 70], mask[COLS * ROWS];
    mosaic_grid grid = make_grid();
    int round, i, x, y;
    for (round = 0; round < 40; round++) {
        /* A mask of its own size, in part smaller than the grid, padded to a stride; grids of the middle of the source, and shifted ones. */
        const int width = round % 4 == 3 ? test_range(1, 15) : test_range(20, 88), height = round % 4 == 3 ? test_range(1, 9) : test_range(12, 70);
        grid = make_grid();
        if (round % 3 == 1) {
            grid.crop_x = grid.crop_y = 640;
            grid.crop_width -= 1280;
            grid.crop_height -= 1280;
        }
        if (round % 3 == 2) grid.origin_x = grid.origin_y = -CELL * 40;
        for (i = 0; i < 90 * 70; i++) level[i] = (uint8_t)test_range(0, 255);
        CHECK(mosaic_mask_cells(&grid, level, width, height, 90, mask) == MOSAIC_OK);
        for (i = 0; i < COLS * ROWS; i++) {
            /* Edges of the cell as parts of the source. */
            double edge[4], sum = 0, n = 0;
            for (x = 0; x < 2; x++) {
                edge[x] = (grid.crop_x + (grid.origin_x + (double)(i % COLS + x) * CELL * 64) * grid.crop_width / (WIDTH * 64.)) / (WIDTH * 64.);
                edge[2 + x] =
                    (grid.crop_y + (grid.origin_y + (double)(i / COLS + x) * CELL * 64) * grid.crop_height / (HEIGHT * 64.)) / (HEIGHT * 64.);
            }
            for (y = 0; y < height; y++)
                for (x = 0; x < width; x++) {
                    /* The first and last pixel of the mask stand for what is beyond. */
                    const double left = x ? (double)x / width : -9, right = x + 1 < width ? (x + 1.) / width : 9;
                    const double top = y ? (double)y / height : -9, bottom = y + 1 < height ? (y + 1.) / height : 9;
                    if (right <= edge[0] + 1e-4 || left >= edge[1] - 1e-4 || bottom <= edge[2] + 1e-4 || top >= edge[3] - 1e-4) continue;
                    sum += level[y * 90 + x];
                    n++;
                }
            if (fabs(sum / n - 127.99) > 12) CHECK_MSG(mask[i] == (sum / n >= 128), "round %d cell %d: mean %.1f", round, i, sum / n);
        }
    }
    CHECK(mosaic_mask_cells(NULL, level, 5, 5, 5, mask) == MOSAIC_ERROR_NULL && mosaic_mask_cells(&grid, NULL, 5, 5, 5, mask) == MOSAIC_ERROR_NULL);
    CHECK(mosaic_mask_cells(&grid, level, 5, 5, 5, NULL) == MOSAIC_ERROR_NULL && mosaic_mask_cells(&grid, level, 0, 5, 5, mask) == MOSAIC_ERROR_SIZE);
    CHECK(mosaic_mask_cells(&grid, level, 5, 5, 4, mask) == MOSAIC_ERROR_STRIDE);
    grid.cols = 0;
    CHECK(mosaic_mask_cells(&grid, level, 5, 5, 5, mask) == MOSAIC_ERROR_SIZE);
}

/* ---- Streams ---- */

/* No photograph twice within `distance`, none more than `uses` times. */
static void check_rules(const mosaic_frame *frame, int distance, int uses, int photos)
{
    int *count = (int *)calloc((size_t)photos, sizeof *count), i, x, y;
    for (i = 0; i < frame->cells; i++) {
        CHECK(frame->draw[i].photo >= 0 && frame->draw[i].photo < photos);
        CHECK(++count[frame->draw[i].photo] <= uses);
        for (y = i / COLS; y <= i / COLS + distance && y < ROWS; y++)
            for (x = i % COLS - distance; x <= i % COLS + distance; x++)
                if (x >= 0 && x < COLS && y * COLS + x > i) CHECK(frame->draw[y * COLS + x].photo != frame->draw[i].photo);
    }
    CHECK(frame->too_close == 0);
    CHECK(frame->cost >= frame->bound);
    free(count);
}

static void test_still(int with_flow)
{
    static uint8_t first[WIDTH * HEIGHT * 3], noisy[WIDTH * HEIGHT * 3], canvas[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(150, CELL, CELL);
    mosaic_flow_options flow;
    mosaic_options o;
    mosaic_engine *e;
    const mosaic_frame *f;
    int i, k, round, different;
    memset(&flow, 0, sizeof flow);
    flow.method = MOSAIC_FLOW_DIS;
    memset(&o, 0, sizeof o);
    if (with_flow) o.flow = &flow;
    e = make_engine(pool, &o);
    world(first, WIDTH, HEIGHT, 0, 0, 1);
    f = push(e, first, NULL);
    CHECK(f->index == 0 && f->cut && f->changed == COLS * ROWS && f->repainted == COLS * ROWS);
    check_rules(f, 2, 4, 150);
    memcpy(canvas, f->rgb, sizeof canvas);
    for (round = 1; round < 4; round++) {
        f = push(e, first, NULL);
        CHECK(f->index == round && !f->cut && f->changed == 0 && f->repainted == 0);
        CHECK_MSG(memcmp(canvas, f->rgb, sizeof canvas) == 0, "a still clip changes no byte");
    }
    /* Noise of standard deviation 2: a sum of four uniform numbers. */
    for (round = 0; round < 12; round++) {
        for (i = 0; i < WIDTH * HEIGHT * 3; i++) {
            int n = 0;
            for (k = 0; k < 4; k++) n += test_range(-173, 173);
            noisy[i] = (uint8_t)mosaic__clamp(first[i] + (int)lround(n / 100.), 0, 255);
        }
        f = push(e, noisy, NULL);
        CHECK_MSG(!f->cut && f->changed == 0, "round %d: %d cells changed", round, f->changed);
        for (i = 0, different = 0; i < f->cells; i++) {
            int x, y;
            if (f->draw[i].repaint) continue;
            for (y = 0; y < CELL; y++)
                for (x = 0; x < CELL * 3; x++) {
                    size_t at = (size_t)((i / COLS * CELL + y) * WIDTH + i % COLS * CELL) * 3 + (size_t)x;
                    different += f->rgb[at] != canvas[at];
                }
        }
        CHECK_MSG(different == 0, "%d bytes outside repainted cells differ", different);
        memcpy(canvas, f->rgb, sizeof canvas);
    }
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* Where the first frame is too large to be solved again, repair alone keeps the rules. */
static void test_still_large(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(150, CELL, CELL);
    int64_t cost[2];
    int round;
    world(rgb, WIDTH, HEIGHT, 0, 0, 1);
    for (round = 0; round < 2; round++) {
        mosaic_engine *e = make_engine(pool, NULL);
        const mosaic_frame *f;
        test_ban_most = round ? 1 : (size_t)1 << 26;
        f = push(e, rgb, NULL);
        check_rules(f, 2, 4, 150);
        CHECK(f->too_close == 0 && f->cost >= f->bound);
        cost[round] = f->cost;
        CHECK(push(e, rgb, NULL)->changed == 0);
        mosaic_close(e);
    }
    CHECK_MSG(cost[0] != cost[1], "both ways give %.0f: nothing was tested", (double)cost[0]);
    test_ban_most = (size_t)1 << 26;
    mosaic_pool_destroy(pool);
}

/* Full pools and low dials, where the first frame's repairs leave much to wish for: a still picture stays as it is all the same. */
static void test_still_pinched(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static const struct {
        int photos, uses, distance;
        float dial;
    } rule[] = {{60, 0, 0, 0},          {62, 0, 4, 0},          {70, 0, 0, .1f},         {150, 0, 0, .05f},
                {17, MOSAIC_OFF, 4, 0}, {1, MOSAIC_OFF, 16, 1}, {3, MOSAIC_OFF, 16, .9f}};
    size_t k;
    int n;
    world(rgb, WIDTH, HEIGHT, 50, 20, 6);
    for (k = 0; k < sizeof rule / sizeof *rule; k++) {
        mosaic_pool *pool = make_pool(rule[k].photos, CELL, CELL);
        mosaic_options o;
        mosaic_engine *e;
        int later = 0;
        memset(&o, 0, sizeof o);
        o.max_uses = rule[k].uses;
        o.min_distance = rule[k].distance;
        o.coherence = rule[k].dial;
        e = make_engine(pool, &o);
        for (n = 0; n < 5; n++) {
            const mosaic_frame *f = push(e, rgb, NULL);
            if (n > 0) later += f->changed + f->repainted;
        }
        CHECK_MSG(later == 0, "%d photographs, dial %g: %d changes in a still film", rule[k].photos, (double)rule[k].dial, later);
        /* One cell changes its look: the others stay, but for what has to make room. */
        for (n = 0; n < 2; n++) {
            const mosaic_frame *f;
            int y;
            for (y = 0; y < CELL; y++) memset(rgb + ((size_t)(5 * CELL + y) * WIDTH + 7 * CELL) * 3, n ? 255 : 0, CELL * 3);
            f = push(e, rgb, NULL);
            if (rule[k].dial == 0) CHECK_MSG(f->changed <= 60, "%d photographs: %d cells changed for one", rule[k].photos, f->changed);
        }
        mosaic_close(e);
        mosaic_pool_destroy(pool);
    }
}

/* Grids at their limits: no result may depend on what memory held before. */
static void test_extreme_grids(void)
{
    static const int g[][14] = {{1000, 1, 1, 1, 1000, 1, 8, 0, 4, 1, 64, 0, 64, 64},
                                {3, 2, 1, 1, 3, 2, 0, 0, 1, 1, 0, 0, 64, 64},
                                {2, 2, 40, 40, 30, 30, -1000, 700, 5, 9, 1, 1, 99, 77},
                                {4, 3, 5, 7, 20, 21, 64 * 100, 0, 64, 48, 0, 0, 64 * 64, 48 * 64},
                                {2, 1, 1, 1, 2, 1, 0, 0, 900, 700, 0, 0, 57600, 44800}};
    size_t k;
    for (k = 0; k < sizeof g / sizeof *g; k++) {
        mosaic_grid grid;
        mosaic_pool *pool;
        mosaic_options o;
        uint64_t hash[2];
        int round, *field = &grid.cols;
        uint8_t *rgb;
        memset(&o, 0, sizeof o);
        o.max_uses = MOSAIC_OFF;
        memcpy(field, g[k], sizeof g[k]);
        pool = make_pool(20, grid.cell_width, grid.cell_height);
        rgb = (uint8_t *)malloc((size_t)(grid.source_width * grid.source_height * 3));
        world(rgb, grid.source_width, grid.source_height, 3, 3, 2);
        for (round = 0; round < 2; round++) {
            mosaic_engine *e = NULL;
            mosaic_input input;
            const mosaic_frame *frame = NULL;
            test_fill = round ? 0x11 : 0xee;
            memset(&input, 0, sizeof input);
            input.rgb = rgb;
            input.stride = (size_t)grid.source_width * 3;
            CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_OK);
            CHECK(mosaic_push(e, &input, &frame) == MOSAIC_OK);
            hash[round] = fnv(fnv(1, frame->rgb, (size_t)(grid.width * grid.height * 3)), e->look, (size_t)e->cells * sizeof *e->look);
            mosaic_close(e);
        }
        CHECK_MSG(hash[0] == hash[1], "grid %d", (int)k);
        free(rgb);
        mosaic_pool_destroy(pool);
    }
    test_fill = 0xa5;
}

static void uniform_motion(int16_t *field, int dx, int dy)
{
    int i;
    for (i = 0; i < 80 * 48; i++) {
        field[2 * i] = (int16_t)dx;
        field[2 * i + 1] = (int16_t)dy;
    }
}

static mosaic_flow_field film_field(const int16_t *forward, const int16_t *backward)
{
    mosaic_flow_field motion;
    memset(&motion, 0, sizeof motion);
    motion.width = 80;
    motion.height = 48;
    motion.stride = 80 * 4;
    motion.forward = forward;
    motion.backward = backward;
    return motion;
}

/* A pan of 1.3 cells a frame whose true motion is given: the photographs travel with it. */
static void test_pan(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static int16_t forward[80 * 48 * 2], backward[80 * 48 * 2];
    mosaic_pool *pool = make_pool(200, CELL, CELL);
    mosaic_flow_field motion = film_field(forward, backward);
    int variant;
    /* 1.3 cells = 20.8 px to the left; the field has a quarter of the pixels: 5.2 px of its own */
    uniform_motion(forward, -333, 0);
    uniform_motion(backward, 333, 0);
    for (variant = 0; variant < 3; variant++) {
        int history[9][COLS * ROWS], n, i, followed = 0, stayed = 0, seen = 0;
        mosaic_options o;
        mosaic_engine *e;
        memset(&o, 0, sizeof o);
        if (variant == 2) o.coherence = MOSAIC_OFF;
        e = make_engine(pool, &o);
        for (n = 0; n < 9; n++) {
            const mosaic_frame *f;
            world(rgb, WIDTH, HEIGHT, (n * 208 + 5) / 10, 0, 5);
            f = push(e, rgb, n > 0 && variant != 1 ? &motion : NULL);
            CHECK(f->cut == (n == 0));
            check_rules(f, 2, 4, 200);
            for (i = 0; i < f->cells; i++) history[n][i] = f->draw[i].photo;
        }
        /* over five frames content moves by 6.5 cells: it is now 6 or 7 cells further left */
        for (i = 0; i < COLS * ROWS; i++) {
            if (i % COLS < 8) continue;
            seen++;
            followed += history[3][i] == history[8][i - 6] || history[3][i] == history[8][i - 7];
            stayed += history[3][i] == history[8][i];
        }
        if (variant == 0)
            CHECK_MSG(followed >= seen * 98 / 100 && stayed < seen / 10, "with motion %d of %d followed, %d stayed", followed, seen, stayed);
        if (variant == 1) CHECK_MSG(followed < seen / 3, "without motion %d of %d followed", followed, seen);
        if (variant == 2) CHECK_MSG(followed < seen * 6 / 10, "with the dial at 0 %d of %d followed", followed, seen);
        mosaic_close(e);
    }
    mosaic_pool_destroy(pool);
}

/* A pan, seen through a mask. Returns a hash of the frames; history is 8 frames of photographs. */
static uint64_t masked_pan(const mosaic_grid *grid, const mosaic_pool *pool, const mosaic_options *options, int *history, int resume)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3], painted[WIDTH * HEIGHT * 3];
    static int16_t forward[80 * 48 * 2], backward[80 * 48 * 2];
    const int cells = grid->cols * grid->rows;
    mosaic_flow_field motion;
    mosaic_engine *e = NULL;
    mosaic_input input;
    uint64_t hash = 1;
    int n, i, x, y;
    memset(&motion, 0, sizeof motion);
    motion.width = 80;
    motion.height = 48;
    motion.stride = 80 * 4;
    motion.forward = forward;
    motion.backward = backward;
    uniform_motion(forward, -200, 130);
    uniform_motion(backward, 200, -130);
    CHECK(mosaic_open(grid, pool, options, &e) == MOSAIC_OK);
    memset(&input, 0, sizeof input);
    input.rgb = rgb;
    input.stride = WIDTH * 3;
    memset(painted, 77, sizeof painted);
    for (n = 0; n < 8; n++) {
        const mosaic_frame *f;
        int left_out = 0, wrong = 0;
        world(rgb, WIDTH, HEIGHT, n * 25 / 2, 400 - n * 8, 5);
        input.motion = n ? &motion : NULL;
        CHECK(mosaic_push(e, &input, &f) == MOSAIC_OK && f->cut == (n == 0) && f->cells == cells);
        for (i = 0; i < cells; i++) {
            const mosaic_draw *d = f->draw + i;
            const int filled = !options->mask || options->mask[i];
            history[n * cells + i] = d->photo;
            CHECK(filled ? d->photo >= 0 : d->photo == -1 && !d->changed);
            left_out += !filled;
            if (filled || d->y >= grid->height * 64) continue;
            for (y = 0; y < CELL; y++)
                for (x = 0; x < CELL * 3; x++) {
                    const size_t at = (size_t)(d->y / 64 + y) * f->stride + (size_t)(d->x / 64) * 3 + (size_t)x;
                    wrong += f->rgb[at] != (options->mask_source ? rgb[at] : 0);
                }
        }
        CHECK_MSG(wrong == 0, "%d bytes of cells that are left out", wrong);
        CHECK(f->filled == cells - left_out);
        if (n == 0) CHECK(f->changed == f->filled && f->repainted == cells);
        for (i = 0; i < cells; i += 7) {
            int32_t cost[200];
            const int filled = !options->mask || options->mask[i], photos = mosaic_pool_photos(pool);
            CHECK(mosaic_cell_costs(e, i, cost) == (filled ? MOSAIC_OK : MOSAIC_ERROR_SIZE));
            for (x = 0; x < photos && filled; x++) {
                int32_t least = INT32_MAX;
                for (y = 0; y < e->settings.variant_count; y++) least = mosaic__tile_cost(e, i, x, y) < least ? mosaic__tile_cost(e, i, x, y) : least;
                wrong += cost[x] != least;
            }
        }
        CHECK_MSG(wrong == 0, "%d costs differ", wrong);
        /* The list alone paints the same, cells that are left out included. */
        CHECK(mosaic_paint(grid, pool, f->draw, NULL, cells, 1, rgb, WIDTH * 3, painted, WIDTH * 3, options->simd, NULL, NULL, NULL) == MOSAIC_OK);
        for (y = 0; y < grid->height; y++) CHECK(memcmp(painted + y * WIDTH * 3, f->rgb + (size_t)y * f->stride, (size_t)grid->width * 3) == 0);
        hash = fnv(fnv(hash, f->draw, sizeof *f->draw * (size_t)cells), f->rgb, f->stride * (size_t)grid->height);
        if (resume && n == 4) { /* another engine goes on */
            const size_t size = mosaic_state_size(e);
            void *state = malloc(size);
            CHECK(mosaic_state_save(e, state, size) == MOSAIC_OK);
            mosaic_close(e);
            CHECK(mosaic_open(grid, pool, options, &e) == MOSAIC_OK);
            CHECK(mosaic_state_load(e, state, size) == MOSAIC_OK);
            free(state);
        }
    }
    mosaic_close(e);
    return hash;
}

static void test_mask(void)
{
    static int history[8 * COLS * ROWS], other[8 * COLS * ROWS / 2];
    const mosaic_grid grid = make_grid();
    mosaic_grid half = grid;
    mosaic_pool *pool = make_pool(35, CELL, CELL), *large = make_pool(150, CELL, CELL);
    mosaic_engine *e = NULL;
    uint8_t mask[COLS * ROWS];
    mosaic_options o;
    uint64_t hash;
    int i, n, threads = 3;
    memset(&o, 0, sizeof o);
    o.mask = mask;
    o.rerank = 4;
    o.min_distance = 2;
    memset(mask, 0, sizeof mask);
    CHECK(mosaic_open(&grid, large, &o, &e) == MOSAIC_ERROR_OPTION && !e);
    /* The upper half: what a grid of only that half makes of the film. Photographs that suffice for that, but not for all cells, are enough. */
    for (i = 0; i < COLS * ROWS / 2; i++) mask[i] = (uint8_t)(1 + i % 255);
    half.rows = ROWS / 2;
    half.height = HEIGHT / 2;
    half.crop_height = HEIGHT / 2 * 64;
    for (n = 0; n < 2; n++) {
        mosaic_pool *p = n ? large : pool;
        mosaic_options plain = o;
        plain.mask = NULL;
        CHECK(mosaic_photos_missing(&grid, 35, &o) == 0 && mosaic_photos_missing(&grid, 35, &plain) == 25);
        CHECK(mosaic_photos_missing(&grid, 20, &o) == 10);
        hash = masked_pan(&grid, p, &o, history, 0);
        masked_pan(&half, p, &plain, other, 0);
        for (i = 0; i < 8 * COLS * ROWS / 2; i++)
            CHECK_MSG(history[i / (COLS * ROWS / 2) * COLS * ROWS + i % (COLS * ROWS / 2)] == other[i], "frame %d", i / (COLS * ROWS / 2));
    }
    /* A ring that shows the source elsewhere: the same bytes with threads, scalar code, without a table of costs, and by another engine from the
       middle on. */
    for (i = 0; i < COLS * ROWS; i++) {
        const int x = 2 * (i % COLS) - COLS + 1, y = 2 * (i / COLS) - ROWS + 1, d = x * x + 3 * y * y;
        mask[i] = d < 380 && d > 40;
    }
    o.mask_source = 1;
    hash = masked_pan(&grid, large, &o, history, 0);
    for (n = 0; n < 8; n++) {
        mosaic_frame f;
        mosaic_draw draw[COLS * ROWS];
        memset(&f, 0, sizeof f);
        memset(draw, 0, sizeof draw);
        f.cells = COLS * ROWS;
        f.draw = draw;
        for (i = 0; i < COLS * ROWS; i++) draw[i].photo = history[n * COLS * ROWS + i] < 0 ? 100000 + i : history[n * COLS * ROWS + i];
        check_rules(&f, 2, 4, 100000 + COLS * ROWS);
    }
    o.run = test_run;
    o.run_ctx = &threads;
    CHECK(masked_pan(&grid, large, &o, history, 1) == hash);
    o.run = NULL;
    o.simd = MOSAIC_SIMD_SCALAR;
    test_table_most = 1;
    CHECK(masked_pan(&grid, large, &o, history, 0) == hash);
    test_table_most = (size_t)1 << 24;
    o.mask_source = 0;
    CHECK(masked_pan(&grid, large, &o, history, 1) != hash);
    /* A state belongs to its mask. */
    CHECK(mosaic_open(&grid, large, &o, &e) == MOSAIC_OK);
    {
        const size_t size = mosaic_state_size(e);
        uint8_t *saved = (uint8_t *)malloc(size);
        CHECK(mosaic_state_save(e, saved, size) == MOSAIC_OK && mosaic_state_load(e, saved, size) == MOSAIC_OK);
        /* A forged state that gives a cell outside a photograph. */
        mosaic__put32(saved + MOSAIC__STATE_HEADER, 70000);
        mosaic__put64(saved + 24, mosaic__state_checksum(saved, size));
        if (mosaic_state_load(e, saved, size) == MOSAIC_OK) {
            static uint8_t rgb[WIDTH * HEIGHT * 3];
            CHECK(mask[0] == 0 && push(e, rgb, NULL)->draw[0].photo == -1);
        }
        CHECK(mosaic_state_save(e, saved, size) == MOSAIC_OK);
        mosaic_close(e);
        mask[0] = 1;
        CHECK(mosaic_open(&grid, large, &o, &e) == MOSAIC_OK && mosaic_state_load(e, saved, size) == MOSAIC_ERROR_MISMATCH);
        free(saved);
    }
    mosaic_close(e);
    mosaic_pool_destroy(pool);
    mosaic_pool_destroy(large);
}

/* A pan of a quarter of a cell a frame that stops: photographs travel while it lasts, and none changes afterwards. */
static void test_pan_stops(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static int16_t forward[80 * 48 * 2], backward[80 * 48 * 2];
    mosaic_pool *pool = make_pool(200, CELL, CELL);
    mosaic_engine *e = make_engine(pool, NULL);
    mosaic_flow_field motion = film_field(forward, backward);
    int history[24][COLS * ROWS], n, i, followed = 0, seen = 0, late = 0;
    for (n = 0; n < 24; n++) {
        const mosaic_frame *f;
        const int moves = n > 0 && n <= 13;
        uniform_motion(forward, moves ? -64 : 0, 0);
        uniform_motion(backward, moves ? 64 : 0, 0);
        world(rgb, WIDTH, HEIGHT, (n < 13 ? n : 13) * 4, 0, 5);
        f = push(e, rgb, n > 0 ? &motion : NULL);
        for (i = 0; i < f->cells; i++) history[n][i] = f->draw[i].photo;
        if (n > 15) late += f->changed;
    }
    /* in frames 4 to 12 content moves by two cells */
    for (i = 0; i < COLS * ROWS; i++)
        if (i % COLS >= 4) seen++, followed += history[4][i] == history[12][i - 2];
    CHECK_MSG(followed >= seen * 95 / 100, "%d of %d followed", followed, seen);
    CHECK_MSG(late == 0, "%d changes after the pan", late);
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* A square of 5 x 5 cells moves over a still background: its photographs travel with it; those of the background, but where it passes, stay. */
static void test_moving_subject(void)
{
    enum { SIDE = 5 * CELL, TOP = 3 * CELL, LEFT = 2 * CELL, SPEED = 4 };
    static uint8_t rgb[WIDTH * HEIGHT * 3], subject[SIDE * SIDE * 3];
    static int16_t forward[80 * 48 * 2], backward[80 * 48 * 2];
    mosaic_pool *pool = make_pool(500, CELL, CELL);
    mosaic_flow_field motion = film_field(forward, backward);
    mosaic_options o;
    mosaic_engine *e;
    int history[20][COLS * ROWS], n, x, y, i, strayed = 0, followed = 0;
    memset(&o, 0, sizeof o);
    o.max_uses = 1; /* no copy in the background that would have to make room */
    e = make_engine(pool, &o);
    world(subject, SIDE, SIDE, 900, 900, 77);
    for (n = 0; n < 20; n++) {
        const mosaic_frame *f;
        const int left = LEFT + n * SPEED;
        world(rgb, WIDTH, HEIGHT, 0, 0, 5);
        for (y = 0; y < SIDE; y++) memcpy(rgb + ((size_t)(TOP + y) * WIDTH + (size_t)left) * 3, subject + (size_t)y * SIDE * 3, SIDE * 3);
        for (i = 0; i < 80 * 48; i++) { /* the truth, in pixels four times as large */
            const int px = i % 80 * 4, inside = i / 80 * 4 >= TOP && i / 80 * 4 < TOP + SIDE;
            forward[2 * i] = (int16_t)(inside && px >= left - SPEED && px < left - SPEED + SIDE ? 64 * SPEED / 4 : 0);
            backward[2 * i] = (int16_t)(inside && px >= left && px < left + SIDE ? -64 * SPEED / 4 : 0);
            forward[2 * i + 1] = backward[2 * i + 1] = 0;
        }
        f = push(e, rgb, n > 0 ? &motion : NULL);
        CHECK(f->cut == (n == 0));
        for (i = 0; i < f->cells; i++) history[n][i] = f->draw[i].photo;
    }
    for (n = 1; n < 20; n++)
        for (i = 0; i < COLS * ROWS; i++) {
            const int col = i % COLS, row = i / COLS;
            if (col < 1 || col > 2 + 5 + 20 * SPEED / CELL || row < 2 || row > 8) strayed += history[n][i] != history[0][i];
        }
    CHECK_MSG(strayed == 0, "%d photographs of the background changed", strayed);
    /* from frame 4 to 16 it moves by three cells; its inner cells */
    for (y = 4; y < 7; y++)
        for (x = 4; x < 7; x++) followed += history[4][y * COLS + x] == history[16][y * COLS + x + 3];
    CHECK_MSG(followed >= 8, "%d of 9 photographs of the subject followed it", followed);
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* A flash of one frame changes no photograph; a fade to black and a dissolve are no storms, and when they are over nothing changes. */
static void test_flash_fade_dissolve(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3], other[WIDTH * HEIGHT * 3], frame[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(200, CELL, CELL);
    mosaic_engine *e = make_engine(pool, NULL);
    int n, i, late = 0;
    world(rgb, WIDTH, HEIGHT, 0, 0, 5);
    world(other, WIDTH, HEIGHT, 500, 70, 91);
    for (n = 0; n < 12; n++) {
        const int light = n == 4 ? 60 : n == 8 ? -70 : 0;
        const mosaic_frame *f;
        for (i = 0; i < WIDTH * HEIGHT * 3; i++) frame[i] = (uint8_t)mosaic__clamp(rgb[i] + light, 0, 255);
        f = push(e, frame, NULL);
        CHECK_MSG(f->cut == (n == 0) && (n == 0 || f->changed == 0), "flash, frame %d: %d cells changed", n, f->changed);
    }
    for (n = 0; n < 36; n++) {
        const int part = n < 24 ? 256 - n * 10 : 26;
        const mosaic_frame *f;
        for (i = 0; i < WIDTH * HEIGHT * 3; i++) frame[i] = (uint8_t)(rgb[i] * part >> 8);
        f = push(e, frame, NULL);
        CHECK(!f->cut);
        CHECK_MSG(f->changed <= COLS * ROWS / 6, "fade, frame %d: %d cells changed", n, f->changed);
        if (n > 26) late += f->changed;
    }
    CHECK_MSG(late == 0, "%d cells changed after the fade", late);
    mosaic_close(e);
    e = make_engine(pool, NULL);
    for (n = 0, late = 0; n < 30; n++) {
        const int part = n < 20 ? n * 256 / 20 : 256;
        const mosaic_frame *f;
        for (i = 0; i < WIDTH * HEIGHT * 3; i++) frame[i] = (uint8_t)((rgb[i] * (256 - part) + other[i] * part) >> 8);
        f = push(e, frame, NULL);
        CHECK_MSG(n == 0 || f->changed <= COLS * ROWS / 3, "dissolve, frame %d: %d cells changed", n, f->changed);
        if (n > 22) late += f->changed;
    }
    CHECK_MSG(late == 0, "%d cells changed after the dissolve", late);
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* Flashes white or dark enough to look like cuts, and other pictures, of one or two frames in a moving film: the photographs of before come back, and the colours'
   table with them; after three frames they need not. Each stream is also handed over to another engine in the middle of the flash. */
static void test_hold(void)
{
    enum { WHITE, BLACK, BRIGHT, OTHER, BLINK, KINDS }; /* BRIGHT: lighter by much, but no cut */
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static int16_t table[33 * 33 * 33 * 4];
    mosaic_pool *pool = make_pool(200, CELL, CELL);
    const mosaic_grid grid = make_grid();
    int kind, length, n, i, k, reshuffled = 0;
    for (kind = 0; kind < KINDS; kind++)
        for (length = 1; length <= 3; length++) {
            mosaic_draw before[COLS * ROWS];
            mosaic_options o;
            mosaic_engine *e[2];
            int changed = 0;
            memset(&o, 0, sizeof o);
            o.preset = MOSAIC_PRESET_NATURAL;
            o.draw_list_only = 1;
            for (k = 0; k < 2; k++) e[k] = make_engine(pool, &o);
            for (n = 0; n < 9 + length; n++) {
                const int flash = n >= 5 && n < 5 + length, back = n == 5 + length;
                const mosaic_frame *f[2];
                world(rgb, WIDTH, HEIGHT, flash && kind == OTHER ? 700 : 2 * (n < 3 ? n : 3), 0, flash && kind == OTHER ? 77 : 5);
                for (i = 0; i < WIDTH * HEIGHT * 3 && flash; i++)
                    rgb[i] = kind == WHITE    ? 255
                             : kind == BLACK  ? 0
                             : kind == BRIGHT ? (uint8_t)mosaic__clamp(rgb[i] + 90, 0, 255)
                             : kind == BLINK  ? (uint8_t)(i / 3 % WIDTH * 255 / WIDTH * (n % 2))
                                              : rgb[i];
                for (k = 0; k < 2; k++) f[k] = push(e[k], rgb, NULL);
                CHECK_MSG(memcmp(f[0]->draw, f[1]->draw, sizeof before) == 0, "kind %d, %d frames, frame %d: another engine went on otherwise", kind,
                          length, n);
                CHECK_MSG(memcmp(f[0]->tone, f[1]->tone, sizeof table) == 0, "kind %d, %d frames, frame %d: another table", kind, length, n);
                if (n == 4) {
                    memcpy(before, f[0]->draw, sizeof before);
                    memcpy(table, f[0]->tone, sizeof table);
                }
                if (n == 5) CHECK_MSG(f[0]->cut == (kind == OTHER || kind == BLINK), "kind %d: %d", kind, f[0]->cut);
                if (n == 5 && f[0]->cut) reshuffled += f[0]->changed == COLS * ROWS;
                if (n >= 5 + length) {
                    for (changed = 0, i = 0; i < COLS * ROWS; i++)
                        changed += f[0]->draw[i].photo != before[i].photo || f[0]->draw[i].variant != before[i].variant;
                    if (length <= 2) {
                        CHECK_MSG(!f[0]->cut && changed == 0, "kind %d, %d frames, frame %d: %d photographs of %d changed", kind, length, n, changed,
                                  COLS * ROWS);
                        CHECK_MSG(memcmp(f[0]->tone, table, sizeof table) == 0, "kind %d, %d frames, frame %d: another table", kind, length, n);
                    }
                    for (changed = 0, i = 0; i < COLS * ROWS; i++) changed += f[0]->draw[i].changed;
                    CHECK(changed == f[0]->changed && (back || changed == 0 || length > 2));
                }
                if (length == 3 && back && kind == OTHER) CHECK(f[0]->cut && f[0]->changed == COLS * ROWS); /* held no longer */
                if (n == 4 + (length + 1) / 2) {
                    const size_t size = mosaic_state_size(e[1]);
                    void *state = malloc(size);
                    CHECK(mosaic_state_save(e[1], state, size) == MOSAIC_OK);
                    mosaic_close(e[1]);
                    CHECK(mosaic_open(&grid, pool, &o, &e[1]) == MOSAIC_OK);
                    CHECK(mosaic_state_load(e[1], state, size) == MOSAIC_OK);
                    free(state);
                }
            }
            for (k = 0; k < 2; k++) mosaic_close(e[k]);
        }
    CHECK_MSG(reshuffled == 6, "a real cut cuts at once: %d", reshuffled);
    mosaic_pool_destroy(pool);
}

static void test_cut(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(150, CELL, CELL);
    mosaic_engine *e = make_engine(pool, NULL);
    int n;
    for (n = 0; n < 12; n++) {
        const mosaic_frame *f;
        int i, flash = n == 3 || n == 9;
        world(rgb, WIDTH, HEIGHT, n * 3, 0, n < 6 ? 1 : 400);
        for (i = 0; i < WIDTH * HEIGHT * 3 && flash; i++) rgb[i] = (uint8_t)mosaic__clamp(rgb[i] + 50, 0, 255);
        f = push(e, rgb, NULL);
        CHECK_MSG(f->cut == (n == 0 || n == 6), "frame %d", n);
        if (n == 6) CHECK_MSG(f->changed == COLS * ROWS && f->repainted == COLS * ROWS, "a cut is a new assignment");
        if (n % 6 && !flash) CHECK_MSG(f->changed < COLS * ROWS / 3, "frame %d: %d cells changed", n, f->changed);
        check_rules(f, 2, 4, 150);
    }
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* The dial: more coherence, fewer changes. And each constraint where it binds. */
static void test_options(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static const float dial[5] = {MOSAIC_OFF, .2f, .5f, .8f, 1.f};
    mosaic_pool *pool = make_pool(130, CELL, CELL), *small = make_pool(30, CELL, CELL);
    mosaic_options o;
    mosaic_engine *e;
    mosaic_grid grid = make_grid();
    int changes[5], k, n;
    for (k = 0; k < 5; k++) {
        memset(&o, 0, sizeof o);
        o.coherence = dial[k];
        e = make_engine(pool, &o);
        for (n = 0, changes[k] = 0; n < 8; n++) {
            const mosaic_frame *f;
            world(rgb, WIDTH, HEIGHT, n * 4, n * 2, 21);
            f = push(e, rgb, NULL);
            if (n) changes[k] += f->changed;
            check_rules(f, 2, 4, 130);
        }
        if (k) CHECK_MSG(changes[k] <= changes[k - 1], "dial %g: %d changes, %d before", (double)dial[k], changes[k], changes[k - 1]);
        mosaic_close(e);
    }
    CHECK_MSG(changes[0] > 4 * changes[2] && changes[4] == 0, "%d %d %d %d %d", changes[0], changes[1], changes[2], changes[3], changes[4]);

    world(rgb, WIDTH, HEIGHT, 0, 0, 33);
    for (k = 0; k < 6; k++) {
        static const struct {
            int uses, distance;
        } rule[6] = {{2, 2}, {3, 4}, {2, 0}, {240, 3}, {4, 0}, {8, 2}};
        memset(&o, 0, sizeof o);
        o.max_uses = rule[k].uses == 240 ? MOSAIC_OFF : rule[k].uses;
        o.min_distance = rule[k].distance ? rule[k].distance : MOSAIC_OFF;
        e = make_engine(pool, &o);
        check_rules(push(e, rgb, NULL), rule[k].distance, rule[k].uses, 130);
        mosaic_close(e);
    }
    /* Only what is allowed is shown. */
    memset(&o, 0, sizeof o);
    o.variants = 1u << MOSAIC_PLAIN | 1u << MOSAIC_DARK;
    o.max_uses = 4;
    e = make_engine(pool, &o);
    {
        const mosaic_frame *f = push(e, rgb, NULL);
        int i, dark = 0;
        for (i = 0; i < f->cells; i++) {
            CHECK(f->draw[i].variant == MOSAIC_PLAIN || f->draw[i].variant == MOSAIC_DARK);
            dark += f->draw[i].variant == MOSAIC_DARK;
        }
        CHECK(dark > 0 && dark < f->cells);
    }
    mosaic_close(e);
    /* Too few photographs: how many are missing, or reuse. */
    memset(&o, 0, sizeof o);
    CHECK(mosaic_photos_missing(&grid, 30, NULL) == 30);
    CHECK(mosaic_photos_missing(&grid, 60, NULL) == 0);
    CHECK(mosaic_open(&grid, small, NULL, &e) == MOSAIC_ERROR_PHOTOS && e == NULL);
    o.max_uses = MOSAIC_OFF;
    CHECK(mosaic_photos_missing(&grid, 1, &o) == 0);
    o.min_distance = 2;
    e = make_engine(small, &o);
    check_rules(push(e, rgb, NULL), 2, 240, 30);
    mosaic_close(e);
    /* Fewer photographs than the distance rule can place: no hole, and a count of what could not be kept. */
    mosaic_pool_destroy(small);
    small = make_pool(4, CELL, CELL);
    e = make_engine(small, &o);
    CHECK(push(e, rgb, NULL)->too_close > 0);
    mosaic_close(e);
    mosaic_pool_destroy(small);
    mosaic_pool_destroy(pool);
}

/* Re-ranking, seen from outside: with cells of 12 x 12 px the painted cell is the picture that is compared. Cell by cell, in order, the photograph shown
   must be the most similar one among the assigned one and the cheapest that cost nearly the same, are free and keep the distance. */
static void test_rerank(void)
{
    enum { SIDE = 12, OTHERS = 6, PHOTOS = 130, CELLS = COLS * ROWS };
    static uint8_t rgb[SIDE * COLS * SIDE * ROWS * 3];
    mosaic_pool *pool = make_pool(PHOTOS, SIDE, SIDE);
    mosaic_grid grid = make_grid();
    mosaic_options o;
    mosaic_engine *plain = NULL, *ranked = NULL;
    mosaic_input input;
    const mosaic_frame *before = NULL, *after = NULL;
    int chosen[CELLS], used[PHOTOS] = {0}, i, p, k, c, at, exchanged = 0;
    memset(&o, 0, sizeof o);
    grid.cell_width = grid.cell_height = SIDE;
    grid.width = grid.source_width = SIDE * COLS;
    grid.height = grid.source_height = SIDE * ROWS;
    grid.crop_width = grid.width * 64;
    grid.crop_height = grid.height * 64;
    o.max_uses = 2;
    o.min_distance = 2;
    o.rerank = MOSAIC_OFF;
    CHECK(mosaic_open(&grid, pool, &o, &plain) == MOSAIC_OK);
    o.rerank = OTHERS;
    CHECK(mosaic_open(&grid, pool, &o, &ranked) == MOSAIC_OK);
    world(rgb, grid.width, grid.height, 3, 5, 14);
    input.rgb = rgb;
    input.stride = SIDE * COLS * 3;
    input.motion = NULL;
    CHECK(mosaic_push(plain, &input, &before) == MOSAIC_OK && mosaic_push(ranked, &input, &after) == MOSAIC_OK);
    CHECK(after->bound == before->bound && after->cost >= before->cost);
    check_rules(after, 2, 2, PHOTOS);
    for (i = 0; i < CELLS; i++) used[chosen[i] = before->draw[i].photo]++;
    for (i = 0; i < CELLS; i++) {
        const int32_t *cost = plain->table + (size_t)i * plain->width;
        int list[OTHERS + 1], n = 1, shown = -1;
        double score[OTHERS + 1], best = -1;
        list[0] = chosen[i];
        while (n <= OTHERS) {
            int next = -1;
            for (p = 0; p < PHOTOS; p++) {
                int fits = used[p] < 2 && cost[p] <= cost[chosen[i]] + 262;
                for (at = 0; at < CELLS; at++)
                    if (chosen[at] == p && abs(at / COLS - i / COLS) <= 2 && abs(at % COLS - i % COLS) <= 2) fits = 0;
                for (k = 0; k < n; k++) fits = fits && list[k] != p;
                if (fits && (next < 0 || cost[p] < cost[next])) next = p;
            }
            if (next < 0) break;
            list[n++] = next;
        }
        for (k = 0; k < n; k++) {
            mosaic_draw draw[CELLS];
            uint8_t painted[SIDE * COLS * SIDE * ROWS * 3], luma[2][SIDE * SIDE];
            memset(draw, 0, sizeof draw);
            draw[i] = before->draw[i];
            draw[i].photo = list[k];
            draw[i].variant = (uint8_t)mosaic__best_variant(plain, i, list[k]);
            draw[i].repaint = 1;
            mosaic__recolour(&plain->settings, plain->palette + list[k], draw[i].variant, plain->colours + i, draw[i].colour);
            CHECK(mosaic_paint(&grid, pool, draw, NULL, CELLS, 1, rgb, input.stride, painted, input.stride, 0, NULL, NULL, NULL) == MOSAIC_OK);
            for (c = 0; c < 2; c++)
                for (p = 0; p < SIDE * SIDE; p++) {
                    const uint8_t *pixel = (c ? painted : rgb) + ((i / COLS * SIDE + p / SIDE) * SIDE * COLS + i % COLS * SIDE + p % SIDE) * 3;
                    luma[c][p] = (uint8_t)(.299 * pixel[0] + .587 * pixel[1] + .114 * pixel[2] + .5);
                }
            CHECK(mosaic_ssim_gray8(luma[0], SIDE, luma[1], SIDE, SIDE, SIDE, score + k) == MOSAIC_SSIM_OK);
            if (score[k] > best) best = score[k];
            if (list[k] == after->draw[i].photo) shown = k;
        }
        /* Painting rounds to whole levels, the engine compares finer ones: what is painted may be a little less similar. */
        CHECK_MSG(shown >= 0 && score[shown] > best - .01, "cell %d: photograph %d (%g) where %g is possible", i, after->draw[i].photo,
                  shown < 0 ? -2 : score[shown], best);
        exchanged += shown > 0;
        used[chosen[i]]--;
        used[chosen[i] = after->draw[i].photo]++;
    }
    CHECK_MSG(exchanged > CELLS / 10, "%d of %d cells exchanged", exchanged, CELLS);
    CHECK(mosaic_push(ranked, &input, &after) == MOSAIC_OK && after->changed == 0);
    mosaic_close(plain);
    mosaic_close(ranked);
    mosaic_pool_destroy(pool);
}

/* A short film with a pan, given motion, noise and a cut: frame n of 8, and the motion in it. */
static void film_frame(uint8_t *rgb, int n) { world(rgb, WIDTH, HEIGHT, n * 4, 100 - n * 2, n < 6 ? 8 : 90); }
static mosaic_flow_field film_motion(int16_t *forward)
{
    mosaic_flow_field motion;
    int n;
    memset(&motion, 0, sizeof motion);
    motion.width = 80;
    motion.height = 48;
    motion.stride = 80 * 4;
    motion.forward = forward;
    uniform_motion(forward, -64, 32);
    /* The lower half grows: charts are given. */
    for (n = 80 * 24; n < 80 * 48; n++) forward[2 * n] = (int16_t)((n % 80 - 40) * 12);
    return motion;
}

/* Returns a hash of all frames and draw lists. */
static uint64_t film(const mosaic_pool *pool, const mosaic_options *options, int save_at)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static int16_t forward[80 * 48 * 2];
    const mosaic_flow_field motion = film_motion(forward);
    mosaic_engine *e = make_engine(pool, options);
    uint64_t hash = 0xcbf29ce484222325u;
    int n;
    for (n = 0; n < 8; n++) {
        const mosaic_frame *f;
        film_frame(rgb, n);
        f = push(e, rgb, n == 0 || n == 6 ? NULL : &motion);
        hash = fnv(hash, f->draw, (size_t)f->cells * sizeof *f->draw);
        if (f->rgb) hash = fnv(hash, f->rgb, WIDTH * HEIGHT * 3);
        hash = fnv(hash, &f->cost, sizeof f->cost);
        if (n == save_at) {
            size_t size = mosaic_state_size(e);
            uint8_t *state = (uint8_t *)malloc(size);
            CHECK(mosaic_state_save(e, state, size) == MOSAIC_OK);
            CHECK(mosaic_state_save(e, state, size - 1) == MOSAIC_ERROR_BUFFER);
            mosaic_close(e);
            e = make_engine(pool, options);
            CHECK(mosaic_state_load(e, state, size) == MOSAIC_OK);
            free(state);
        }
    }
    mosaic_close(e);
    return hash;
}

static void test_one_answer(void)
{
    mosaic_pool *pool = make_pool(100, CELL, CELL);
    mosaic_options o;
    uint64_t want;
    int simd, threads, at, rerank;
    for (rerank = MOSAIC_OFF; rerank <= 8; rerank += 9) {
        memset(&o, 0, sizeof o);
        o.rerank = rerank;
        o.preset = rerank ? MOSAIC_PRESET_ULTRA : MOSAIC_PRESET_DEFAULT;
        want = film(pool, &o, -1);
        for (simd = MOSAIC_SIMD_SCALAR; simd <= mosaic__cpu_level() + 1; simd++)
            for (threads = 1; threads <= 5; threads++) {
                o.simd = simd;
                o.run = test_run;
                o.run_ctx = &threads;
                CHECK_MSG(film(pool, &o, -1) == want, "re-rank %d, simd %d, %d threads", rerank, simd, threads);
            }
        o.simd = 0;
        o.run = NULL;
        for (at = 0; at < 8; at++) CHECK_MSG(film(pool, &o, at) == want, "re-rank %d, saved and loaded after frame %d", rerank, at);
        /* Costs that are computed wherever they are looked at. */
        test_table_most = 0;
        for (simd = MOSAIC_SIMD_SCALAR; simd <= mosaic__cpu_level() + 1; simd++) {
            threads = 3;
            o.simd = simd;
            o.run = simd % 2 ? test_run : NULL;
            o.run_ctx = &threads;
            CHECK_MSG(film(pool, &o, simd) == want, "re-rank %d, no table, simd %d", rerank, simd);
        }
        test_table_most = (size_t)1 << 24;
    }
    memset(&o, 0, sizeof o);
    o.draw_list_only = 1;
    want = film(pool, &o, -1);
    CHECK_MSG(film(pool, &o, 3) == want, "draw list only, saved and loaded");
    mosaic_pool_destroy(pool);
}

/* What lists held while a frame was made, bonuses and repulsion included. */
typedef struct list_tally {
    mosaic_engine *engine;
    int guests, whole, repelled;
} list_tally;

static void tally_lists(void *ctx, int stage)
{
    list_tally *t = (list_tally *)ctx;
    int r;
    for (r = 0; r < t->engine->filled && stage == MOSAIC_STAGE_RERANK; r++) {
        const mosaic__list *list = t->engine->list + r;
        int k;
        t->guests += list->guests;
        t->whole += list->whole;
        for (k = 0; k < list->count; k++) t->repelled += list->cost[k] >= list->rest;
    }
}

/* Between frames a list has the true costs of all photographs below its limit, and of no others. */
static int check_lists(mosaic_engine *e)
{
    static int32_t cost[300];
    int r, k, p, cut = 0;
    for (r = 0; r < e->filled; r++) {
        const mosaic__list *list = e->list + r;
        int wrong = list->guests != 0, at = 0;
        CHECK(mosaic_cell_costs(e, e->cell_of_row[r], cost) == MOSAIC_OK);
        for (p = 0; p < e->photos; p++) {
            if (cost[p] >= list->rest) continue;
            wrong += at >= list->count || list->photo[at] != p || list->cost[at] != cost[p];
            at++;
        }
        CHECK_MSG(wrong == 0 && at == list->count && at <= test_list_most, "row %d: %d wrong of %d, %d listed", r, wrong, at, list->count);
        for (k = 0; k < e->photos; k++) cut += cost[k] >= list->rest;
    }
    return cut;
}

/* Lists of the cheapest photographs, however short, give what a table of all costs gives. */
static void test_lists(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    static int16_t forward[80 * 48 * 2];
    static const int most[] = {512, 96, 24, 5, 1};
    const mosaic_flow_field motion = film_motion(forward);
    int n, m, way, threads = 3;
    for (way = 0; way < 4; way++) {
        mosaic_pool *pool = make_pool(way == 2 ? 84 : way ? 300 : 250, CELL, CELL);
        mosaic_options o;
        for (n = 0; way == 2 && n < 2 * 84; n++) CHECK(mosaic_pool_add(pool, mosaic_pool_pixels(pool, n), "again", 0) == MOSAIC_OK); /* ties */
        memset(&o, 0, sizeof o);
        o.rerank = 8;
        o.max_uses = way % 2 ? 4 : 1; /* hardly one to spare */
        o.min_distance = way % 2 ? 4 : 2;
        o.coherence = way == 3 ? (float)MOSAIC_OFF : way == 2 ? .9f : 0;
        for (m = 0; m < 5; m++) {
            mosaic_engine *table = make_engine(pool, &o), *lists;
            mosaic_options with = o;
            list_tally tally = {NULL, 0, 0, 0};
            int cut = 0;
            test_list_most = most[m];
            test_list_rounds = m == 3 ? 1 : 3;
            test_table_most = 0;
            with.run = test_run;
            with.run_ctx = &threads;
            with.stage = tally_lists;
            with.stage_ctx = &tally;
            tally.engine = lists = make_engine(pool, &with);
            test_table_most = (size_t)1 << 24;
            CHECK(table->table && !table->list && !lists->table && lists->list);
            for (n = 0; n < 8; n++) {
                const mosaic_flow_field *moved = n == 0 || n == 6 ? NULL : &motion;
                const mosaic_frame *a, *b;
                film_frame(rgb, n);
                a = push(table, rgb, moved);
                b = push(lists, rgb, moved);
                CHECK_MSG(!memcmp(a->draw, b->draw, (size_t)a->cells * sizeof *a->draw) && !memcmp(a->rgb, b->rgb, sizeof rgb) &&
                              a->cost == b->cost && a->bound == b->bound && a->too_close == b->too_close && a->changed == b->changed,
                          "way %d, lists of %d, frame %d", way, most[m], n);
                cut += check_lists(lists);
            }
            CHECK_MSG((cut == 0) == (m == 0) && (tally.whole > 0) == (m > (way % 2 ? 2 : 0)) &&
                          (m == 0 || way == 3 || (tally.guests > 0 && tally.repelled > 0)),
                      "way %d, lists of %d: %d left out, %d guests, %d whole, %d repelled", way, most[m], cut, tally.guests, tally.whole,
                      tally.repelled);
            CHECK_MSG(m != 3 || tally.whole % (COLS * ROWS) == 0, "way %d: %d lists given up in vain", way, tally.whole);
            mosaic_close(table);
            mosaic_close(lists);
        }
        mosaic_pool_destroy(pool);
    }
    test_list_rounds = 3;
    test_list_most = 512;
}

/* Where all that a list has was made dearer, to its limit or beyond, repair and re-ranking look at what it has not. */
static void test_lists_repelled(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(300, CELL, CELL);
    mosaic_engine *e[2];
    mosaic_options o;
    int32_t chosen[COLS * ROWS];
    int n, k, i, beyond = 0;
    memset(&o, 0, sizeof o);
    o.rerank = 4;
    test_list_most = 24;
    world(rgb, WIDTH, HEIGHT, 0, 0, 1);
    for (n = 0; n < 2; n++) {
        test_table_most = n ? 0 : (size_t)1 << 24;
        e[n] = make_engine(pool, &o);
        push(e[n], rgb, NULL);
    }
    test_table_most = (size_t)1 << 24;
    memcpy(chosen, e[0]->chosen, sizeof chosen);
    for (i = 0; i < COLS * ROWS - 1; i++) {
        const mosaic__list list = e[1]->list[i + 1];
        int32_t repaired[COLS * ROWS];
        for (n = 0; n < 2; n++) {
            for (k = 0; k < list.count; k++) mosaic__bias_add(e[n], i + 1, list.photo[k], list.rest + (i % 2 ? 100 : 0) - list.cost[k]);
            e[n]->chosen[i + 1] = e[n]->chosen[i];
            CHECK(mosaic__repair(e[n]) == 0);
            if (n == 0) memcpy(repaired, e[0]->chosen, sizeof repaired);
        }
        CHECK_MSG(!memcmp(repaired, e[1]->chosen, sizeof repaired), "cell %d repaired", i);
        for (k = 0; k < list.count && list.photo[k] != repaired[i + 1]; k++) continue;
        beyond += k == list.count;
        for (n = 0; n < 2; n++) mosaic__rerank(e[n], 1);
        CHECK_MSG(!memcmp(e[0]->chosen, e[1]->chosen, sizeof chosen), "cell %d re-ranked", i);
        for (n = 0; n < 2; n++) {
            mosaic__bias_clear(e[n]);
            memcpy(e[n]->chosen, chosen, sizeof chosen);
        }
    }
    CHECK_MSG(beyond > COLS * ROWS / 2, "%d photographs from beyond the list", beyond);
    check_lists(e[1]);
    for (n = 0; n < 2; n++) mosaic_close(e[n]);
    mosaic_pool_destroy(pool);
    test_list_most = 512;
}

static void test_legacy(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(100, CELL, CELL);
    mosaic_options o;
    mosaic_engine *stream, *alone;
    int n;
    memset(&o, 0, sizeof o);
    o.preset = MOSAIC_PRESET_LEGACY;
    stream = make_engine(pool, &o);
    for (n = 0; n < 4; n++) {
        const mosaic_frame *a, *b;
        world(rgb, WIDTH, HEIGHT, n / 2, n * (n > 2), 5);
        a = push(stream, rgb, NULL);
        alone = make_engine(pool, &o);
        b = push(alone, rgb, NULL);
        CHECK_MSG(memcmp(a->rgb, b->rgb, WIDTH * HEIGHT * 3) == 0, "frame %d: each frame for itself", n);
        mosaic_close(alone);
    }
    mosaic_close(stream);
    mosaic_pool_destroy(pool);
}

/* ---- Saved pools and states, bad input, failing memory ---- */

static void test_pool_file(void)
{
    mosaic_pool *pool = make_pool(7, 9, 6), *loaded = NULL;
    size_t size = mosaic_pool_save_size(pool), at;
    uint8_t *data = (uint8_t *)malloc(size), *copy = (uint8_t *)malloc(size);
    int i, w, h;
    CHECK(mosaic_pool_save(pool, data, size - 1) == MOSAIC_ERROR_BUFFER);
    CHECK(mosaic_pool_save(pool, data, size) == MOSAIC_OK);
    CHECK(mosaic_pool_load(data, size, NULL, &loaded) == MOSAIC_OK);
    mosaic_pool_cell(loaded, &w, &h);
    CHECK(w == 9 && h == 6 && mosaic_pool_photos(loaded) == 7);
    for (i = 0; i < 7; i++) {
        CHECK(memcmp(mosaic_pool_pixels(pool, i), mosaic_pool_pixels(loaded, i), 9 * 6 * 3) == 0);
        CHECK(strcmp(mosaic_pool_name(pool, i), mosaic_pool_name(loaded, i)) == 0);
        CHECK(mosaic_pool_stamp(loaded, i) == (uint64_t)i * 3);
    }
    CHECK(mosaic_pool_add(loaded, mosaic_pool_pixels(pool, 0), NULL, 1) == MOSAIC_OK && strcmp(mosaic_pool_name(loaded, 7), "") == 0);
    CHECK(mosaic_pool_pixels(loaded, 8) == NULL && mosaic_pool_name(loaded, -1) == NULL && mosaic_pool_stamp(loaded, 99) == 0);
    mosaic_pool_destroy(loaded);
    for (at = 0; at < size; at++) {
        memcpy(copy, data, size);
        copy[at] ^= (uint8_t)(1 << at % 8);
        CHECK_MSG(mosaic_pool_load(copy, size, NULL, &loaded) != MOSAIC_OK && !loaded, "byte %d damaged", (int)at);
        CHECK_MSG(mosaic_pool_load(data, at, NULL, &loaded) == MOSAIC_ERROR_CORRUPT && !loaded, "cut off at %d", (int)at);
    }
    memcpy(copy, data, size);
    copy[8] = 2;
    CHECK(mosaic_pool_load(copy, size, NULL, &loaded) == MOSAIC_ERROR_VERSION);
    /* Forged lengths with a right checksum must not be believed either. */
    for (i = 12; i < 32; i += 4) {
        static const uint32_t extreme[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8};
        int k;
        for (k = 0; k < 6; k++) {
            memcpy(copy, data, size);
            if (mosaic__get32(copy + i) == extreme[k]) continue;
            mosaic__put32(copy + i, extreme[k]);
            mosaic__put64(copy + 32, mosaic__pool_checksum(copy, size));
            CHECK(mosaic_pool_load(copy, size, NULL, &loaded) == MOSAIC_ERROR_CORRUPT);
        }
    }
    /* names without an end */
    memcpy(copy, data, size);
    memset(copy + 40 + 7 * 8, 'x', mosaic__pool_names_size(pool));
    mosaic__put64(copy + 32, mosaic__pool_checksum(copy, size));
    CHECK(mosaic_pool_load(copy, size, NULL, &loaded) == MOSAIC_ERROR_CORRUPT);
    free(data);
    free(copy);
    mosaic_pool_destroy(pool);
}

static void test_state_file(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(70, CELL, CELL), *other = make_pool(71, CELL, CELL);
    mosaic_options o;
    mosaic_engine *e, *strange;
    size_t size, at;
    uint8_t *state, *copy;
    memset(&o, 0, sizeof o);
    o.draw_list_only = 1;
    e = make_engine(pool, &o);
    world(rgb, WIDTH, HEIGHT, 0, 0, 4);
    push(e, rgb, NULL);
    size = mosaic_state_size(e);
    state = (uint8_t *)malloc(size);
    copy = (uint8_t *)malloc(size);
    CHECK(mosaic_state_save(e, state, size) == MOSAIC_OK);
    for (at = 0; at < size; at += 97) {
        memcpy(copy, state, size);
        copy[at] ^= 4;
        CHECK(mosaic_state_load(e, copy, size) != MOSAIC_OK);
        CHECK(mosaic_state_load(e, state, at) != MOSAIC_OK);
    }
    /* Forged numbers with a right checksum: refused, or harmless. */
    for (at = 32; at < size; at += 4 * 17) {
        memcpy(copy, state, size);
        mosaic__put32(copy + at, at % 8 ? 0x7fffffffu : 0x80000000u);
        mosaic__put64(copy + 24, mosaic__state_checksum(copy, size));
        if (mosaic_state_load(e, copy, size) == MOSAIC_OK) push(e, rgb, NULL);
        CHECK(mosaic_state_load(e, state, size) == MOSAIC_OK);
    }
    strange = make_engine(other, &o);
    CHECK(mosaic_state_load(strange, state, size) == MOSAIC_ERROR_MISMATCH);
    mosaic_close(strange);
    o.coherence = .6f;
    strange = make_engine(pool, &o);
    CHECK(mosaic_state_load(strange, state, size) == MOSAIC_ERROR_MISMATCH);
    mosaic_close(strange);
    CHECK(mosaic_state_load(NULL, state, size) == MOSAIC_ERROR_NULL && mosaic_state_load(e, NULL, size) == MOSAIC_ERROR_NULL);
    mosaic_close(e);
    free(state);
    free(copy);
    mosaic_pool_destroy(pool);
    mosaic_pool_destroy(other);
}

static void test_bad_input(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3], tile[CELL * CELL * 3];
    static int16_t vectors[80 * 48 * 2];
    mosaic_pool *pool = make_pool(70, CELL, CELL), *none = NULL;
    mosaic_grid good = make_grid(), g;
    mosaic_options o;
    mosaic_engine *e = NULL;
    mosaic_input input;
    mosaic_flow_field motion;
    const mosaic_frame *frame = NULL;
    const float nan_value = (float)nan("");
    int i;

    CHECK(mosaic_tile_reduce(NULL, 5, 5, 15, CELL, CELL, tile, NULL) == MOSAIC_ERROR_NULL);
    CHECK(mosaic_tile_reduce(rgb, 5, 5, 15, CELL, CELL, NULL, NULL) == MOSAIC_ERROR_NULL);
    CHECK(mosaic_tile_reduce(rgb, 0, 5, 15, CELL, CELL, tile, NULL) == MOSAIC_ERROR_SIZE);
    CHECK(mosaic_tile_reduce(rgb, 5, 5, 15, 0, CELL, tile, NULL) == MOSAIC_ERROR_SIZE);
    CHECK(mosaic_tile_reduce(rgb, 5, 5, 15, 1025, CELL, tile, NULL) == MOSAIC_ERROR_SIZE);
    CHECK(mosaic_tile_reduce(rgb, 5, 5, 14, CELL, CELL, tile, NULL) == MOSAIC_ERROR_STRIDE);
    CHECK(mosaic_pool_create(0, 5, NULL, &none) == MOSAIC_ERROR_SIZE && !none);
    CHECK(mosaic_pool_create(5, 5, NULL, NULL) == MOSAIC_ERROR_NULL);
    CHECK(mosaic_pool_add(NULL, tile, "", 0) == MOSAIC_ERROR_NULL && mosaic_pool_add(pool, NULL, "", 0) == MOSAIC_ERROR_NULL);
    CHECK(mosaic_pool_load(NULL, 0, NULL, &none) == MOSAIC_ERROR_NULL && mosaic_pool_load(rgb, 10, NULL, NULL) == MOSAIC_ERROR_NULL);
    mosaic_pool_destroy(NULL);
    mosaic_close(NULL);
    CHECK(mosaic_pool_photos(NULL) == 0 && mosaic_state_size(NULL) == 0 && mosaic_pool_save_size(NULL) == 0);

    memset(&o, 0, sizeof o);
    CHECK(mosaic_open(NULL, pool, &o, &e) == MOSAIC_ERROR_NULL && mosaic_open(&good, NULL, &o, &e) == MOSAIC_ERROR_NULL &&
          mosaic_open(&good, pool, &o, NULL) == MOSAIC_ERROR_NULL);
#define BAD_GRID(change)                                                                                                                             \
    do {                                                                                                                                             \
        g = good;                                                                                                                                    \
        change;                                                                                                                                      \
        CHECK(mosaic_open(&g, pool, &o, &e) == MOSAIC_ERROR_SIZE && !e);                                                                             \
    } while (0)
    BAD_GRID(g.cols = 0);
    BAD_GRID(g.rows = 4097);
    BAD_GRID(g.cell_width = -3);
    BAD_GRID(g.width = 40000);
    BAD_GRID(g.source_height = 0);
    BAD_GRID(g.crop_width = 0);
    BAD_GRID(g.crop_x = 1);
    BAD_GRID(g.crop_y = INT32_MAX);
    BAD_GRID(g.origin_x = INT32_MIN + 64);
    g = good;
    g.cell_width = 8;
    CHECK(mosaic_open(&g, pool, &o, &e) == MOSAIC_ERROR_MISMATCH && !e);
#define BAD_OPTION(change, code)                                                                                                                     \
    do {                                                                                                                                             \
        memset(&o, 0, sizeof o);                                                                                                                     \
        change;                                                                                                                                      \
        CHECK(mosaic_open(&good, pool, &o, &e) == (code) && !e);                                                                                     \
    } while (0)
    BAD_OPTION(o.preset = (mosaic_preset)99, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.coherence = 1.5f, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.coherence = nan_value, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.coherence = -.5f, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.bleed = .9f, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.spread_high = MOSAIC_OFF, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.spread_low = 1.5f, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.max_uses = -2, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.min_distance = 17, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.rerank = -2, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.rerank = 65, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.variants = 16, MOSAIC_ERROR_OPTION);
    BAD_OPTION(o.simd = 9, MOSAIC_ERROR_SIMD);
    BAD_OPTION(o.simd = -1, MOSAIC_ERROR_SIMD);
    BAD_OPTION(o.max_uses = 1, MOSAIC_ERROR_PHOTOS);

    e = make_engine(pool, NULL);
    memset(&input, 0, sizeof input);
    input.stride = WIDTH * 3;
    CHECK(mosaic_push(NULL, &input, &frame) == MOSAIC_ERROR_NULL && mosaic_push(e, &input, NULL) == MOSAIC_ERROR_NULL);
    CHECK(mosaic_push(e, &input, &frame) == MOSAIC_ERROR_NULL && !frame);
    input.rgb = rgb;
    input.stride = WIDTH * 3 - 1;
    CHECK(mosaic_push(e, &input, &frame) == MOSAIC_ERROR_STRIDE && !frame);
    input.stride = WIDTH * 3;
    memset(&motion, 0, sizeof motion);
    input.motion = &motion;
    CHECK(mosaic_push(e, &input, &frame) == MOSAIC_ERROR_MOTION && !frame);
    motion.width = 80;
    motion.height = 48;
    motion.stride = 80 * 4 - 2;
    CHECK(mosaic_push(e, &input, &frame) == MOSAIC_ERROR_MOTION && !frame);
    /* Vectors are any numbers: the largest must do no harm. */
    motion.stride = 80 * 4;
    motion.forward = vectors;
    for (i = 0; i < 80 * 48 * 2; i++) vectors[i] = (int16_t)(i % 3 ? 32767 : -32768);
    for (i = 0; i < 4; i++) {
        motion.backward = i % 2 ? vectors : NULL;
        motion.forward = i == 2 ? NULL : vectors;
        motion.width = i == 3 ? 1 : 80;
        CHECK(mosaic_push(e, &input, &frame) == MOSAIC_OK && frame && frame->index == i);
    }
    {
        int32_t cost[200];
        CHECK(mosaic_cell_costs(NULL, 0, cost) == MOSAIC_ERROR_NULL && mosaic_cell_costs(e, 0, NULL) == MOSAIC_ERROR_NULL);
        CHECK(mosaic_cell_costs(e, -1, cost) == MOSAIC_ERROR_SIZE && mosaic_cell_costs(e, COLS * ROWS, cost) == MOSAIC_ERROR_SIZE);
    }
    CHECK(mosaic_push(e, NULL, &frame) == MOSAIC_OK && !frame);
    CHECK(mosaic_push(e, &input, &frame) == MOSAIC_ERROR_ENDED && !frame);
    mosaic_close(e);

    {
        mosaic_draw draw[COLS * ROWS];
        memset(draw, 0, sizeof draw);
        CHECK(mosaic_paint(&good, pool, draw, NULL, 3, 0, rgb, WIDTH * 3, rgb, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_ERROR_MISMATCH);
        CHECK(mosaic_paint(&good, pool, draw, NULL, COLS * ROWS, 0, rgb, 5, rgb, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_ERROR_STRIDE);
        draw[8].photo = -1;
        CHECK(mosaic_paint(&good, pool, draw, NULL, COLS * ROWS, 0, rgb, WIDTH * 3, rgb, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_OK);
        draw[8].colour[2][1] = 1;
        CHECK(mosaic_paint(&good, pool, draw, NULL, COLS * ROWS, 0, rgb, WIDTH * 3, rgb, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_ERROR_OPTION);
        draw[8].photo = -2;
        draw[8].colour[2][1] = 0;
        CHECK(mosaic_paint(&good, pool, draw, NULL, COLS * ROWS, 0, rgb, WIDTH * 3, rgb, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_ERROR_OPTION);
        draw[8].photo = 0;
        draw[7].photo = 70;
        CHECK(mosaic_paint(&good, pool, draw, NULL, COLS * ROWS, 0, rgb, WIDTH * 3, rgb, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_ERROR_OPTION);
        CHECK(mosaic_paint(&good, pool, NULL, NULL, COLS * ROWS, 0, rgb, WIDTH * 3, rgb, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_ERROR_NULL);
    }
    for (i = 0; i <= MOSAIC_ERROR_ENDED + 1; i++) CHECK(mosaic_result_string((mosaic_result)i) != NULL);
    CHECK(strcmp(mosaic_preset_name(0), "default") == 0 && strcmp(mosaic_preset_name(1), "legacy") == 0 && !mosaic_preset_name(MOSAIC_PRESETS));
    CHECK(strcmp(mosaic_variant_name(1), "mirror") == 0 && !mosaic_variant_name(-1) && mosaic_preset_summary(0) &&
          !mosaic_preset_summary(MOSAIC_PRESETS));
    mosaic_pool_destroy(pool);
}

/* The table of options: a preset's values given one by one are that preset, zeros are the preset's, and none is not. */
static void test_presets(void)
{
    int count, preset, other, i;
    const mosaic_option_info *info = mosaic_option_table(&count);
    mosaic_options plain, named, one;
    mosaic__settings a, b;
    CHECK(info && count > 8);
    CHECK(mosaic_preset_options(-1, &plain) == MOSAIC_ERROR_OPTION && mosaic_preset_options(MOSAIC_PRESETS, &plain) == MOSAIC_ERROR_OPTION);
    CHECK(mosaic_preset_options(0, NULL) == MOSAIC_ERROR_NULL);
    for (i = 0; i < count; i++) {
        CHECK_MSG(info[i].low < info[i].high && strlen(info[i].name) < 24 && strlen(info[i].summary) > 8, "%s", info[i].name);
        for (other = 0; other < i; other++) CHECK(strcmp(info[i].name, info[other].name) != 0 && info[i].offset != info[other].offset);
        for (preset = 0; preset < MOSAIC_PRESETS; preset++)
            CHECK_MSG(info[i].preset[preset] != 0 && ((info[i].preset[preset] >= info[i].low && info[i].preset[preset] <= info[i].high) ||
                                                      (info[i].preset[preset] == MOSAIC_OFF && info[i].low == 0)),
                      "%s of %s", info[i].name, mosaic_preset_name(preset));
    }
    for (preset = 0; preset < MOSAIC_PRESETS; preset++) {
        memset(&named, 0, sizeof named);
        named.preset = (mosaic_preset)preset;
        CHECK(mosaic_preset_options(preset, &plain) == MOSAIC_OK && mosaic__settings_of(&named, &a) == MOSAIC_OK);
        /* Every value stands in the options themselves: those of another preset are looked for in vain. */
        plain.preset = (mosaic_preset)((preset + 1) % MOSAIC_PRESETS);
        CHECK(mosaic__settings_of(&plain, &b) == MOSAIC_OK && memcmp(&a, &b, sizeof a) == 0);
        for (other = 0; other < preset; other++) {
            named.preset = (mosaic_preset)other;
            CHECK(mosaic__settings_of(&named, &b) == MOSAIC_OK);
            CHECK_MSG(memcmp(&a, &b, sizeof a) != 0, "%s is %s", mosaic_preset_name(preset), mosaic_preset_name(other));
        }
    }
    for (i = 0; i < count; i++) {
        const double low = (double)info[i].low, high = (double)info[i].high;
        double middle = info[i].whole ? (double)(int)((low + high) / 2) : (low + high) / 2;
        memset(&one, 0, sizeof one);
        CHECK(mosaic_option_get(&one, info + i) == 0 && mosaic_option_set(&one, info + i, middle) == MOSAIC_OK);
        CHECK(mosaic_option_get(&one, info + i) == (double)(float)middle && mosaic__settings_of(&one, &a) == MOSAIC_OK);
        CHECK(mosaic_option_set(&one, info + i, low) == MOSAIC_OK && mosaic_option_get(&one, info + i) == low);
        CHECK(mosaic__settings_of(&one, &a) == MOSAIC_OK);
        CHECK(mosaic_option_set(&one, info + i, high * 1.01) == MOSAIC_ERROR_OPTION && mosaic_option_get(&one, info + i) == low);
        CHECK(mosaic_option_set(&one, info + i, -.001) == MOSAIC_ERROR_OPTION &&
              mosaic_option_set(&one, info + i, MOSAIC_OFF) == MOSAIC_ERROR_OPTION);
        if (info[i].whole) CHECK(mosaic_option_set(&one, info + i, low + .5) == MOSAIC_ERROR_OPTION);
        CHECK(mosaic_option_set(NULL, info + i, middle) == MOSAIC_ERROR_NULL && mosaic_option_set(&one, NULL, middle) == MOSAIC_ERROR_NULL);
    }
}

static void test_memory(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    long before = test_live, k;
    int complete = 0;
    mosaic_options options;
    memset(&options, 0, sizeof options);
    options.rerank = 4;
    options.histogram = .5f;
    options.border = MOSAIC_BORDER_LAPLACIAN;
    options.saturation = 1.3f;
    options.sharpness = .3f;
    world(rgb, WIDTH, HEIGHT, 0, 0, 2);
    for (k = 0; !complete && k < 400; k++) {
        mosaic_pool *pool = NULL;
        mosaic_engine *e = NULL;
        mosaic_grid grid = make_grid();
        uint8_t tile[CELL * CELL * 3];
        mosaic_result result;
        int i;
        test_allocations = 0;
        test_fail_at = k;
        result = mosaic_tile_reduce(rgb, 40, 30, WIDTH * 3, CELL, CELL, tile, NULL);
        if (result == MOSAIC_OK) result = mosaic_pool_create(CELL, CELL, NULL, &pool);
        for (i = 0; i < 61 && result == MOSAIC_OK; i++) result = mosaic_pool_add(pool, tile, "x", 0);
        if (result == MOSAIC_OK) result = mosaic_open(&grid, pool, &options, &e);
        if (result == MOSAIC_OK) {
            mosaic_input input;
            const mosaic_frame *frame;
            long taken = test_allocations;
            memset(&input, 0, sizeof input);
            input.rgb = rgb;
            input.stride = WIDTH * 3;
            CHECK(mosaic_push(e, &input, &frame) == MOSAIC_OK);
            CHECK_MSG(test_allocations == taken, "a push allocates");
            complete = 1;
        } else {
            CHECK_MSG(result == MOSAIC_ERROR_MEMORY, "allocation %ld: %s", k, mosaic_result_string(result));
        }
        mosaic_close(e);
        mosaic_pool_destroy(pool);
        CHECK_MSG(test_live == before, "allocation %ld: %ld blocks leak", k, test_live - before);
    }
    CHECK(complete && k > 60);
    test_fail_at = -1;
}

int main(void)
{
    test_colour();
    test_tile_reduce();
    test_costs();
    test_recolour();
    test_paint();
    test_grids();
    test_origin();
    test_mask_cells();
    test_still(0);
    test_still(1);
    test_still_large();
    test_still_pinched();
    test_extreme_grids();
    test_pan();
    test_pan_stops();
    test_moving_subject();
    test_flash_fade_dissolve();
    test_hold();
    test_mask();
    test_cut();
    test_options();
    test_rerank();
    test_one_answer();
    test_lists();
    test_lists_repelled();
    test_legacy();
    test_pool_file();
    test_state_file();
    test_bad_input();
    test_presets();
    test_memory();
    CHECK_MSG(test_live == 0, "%ld blocks leak", test_live);
    return test_end("temporal");
}
