/* How a mosaic looks: the ways of recolouring and their curves, against plain references. */
#include "../test.h"
#include "../threads.h"
#include <math.h>
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../../mosaic_temporal.h"

/* ---- Material ---- */

/* The describing pixels of a picture made of waves: its mean, how far it swings, and how much of that the channels share. */
static void picture(mosaic__codes *codes, mosaic__colours *colours)
{
    int mean[3], swing[3], shared = test_range(0, 900), i, r, c, k;
    memset(colours, 0, sizeof *colours);
    for (c = 0; c < 3; c++) mean[c] = test_range(1300, 2700), swing[c] = test_range(60, 350);
    for (i = 0; i < MOSAIC__PIXELS; i++) {
        int32_t v[3];
        const int all = test_range(-shared, shared);
        for (c = 0; c < 3; c++) {
            v[c] = mosaic__clamp(mean[c] + all + test_range(-swing[c], swing[c]), 0, 4080);
            codes->of[c][i] = (uint16_t)v[c];
            colours->sum[c] += v[c];
        }
        for (r = 0, k = 0; r < 3; r++)
            for (c = r; c < 3; c++, k++) colours->product[k] += v[r] * v[c];
    }
}

static double mean_of(const double *v)
{
    double sum = 0;
    int i;
    for (i = 0; i < MOSAIC__PIXELS; i++) sum += v[i];
    return sum / MOSAIC__PIXELS;
}

static double spread_of(const double *v)
{
    double mean = mean_of(v), sum = 0;
    int i;
    for (i = 0; i < MOSAIC__PIXELS; i++) sum += (v[i] - mean) * (v[i] - mean);
    return sqrt(sum / MOSAIC__PIXELS);
}

static int by_size(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

/* Mean distance between two distributions of levels. */
static double apart(const double *a, const double *b)
{
    double x[MOSAIC__PIXELS], y[MOSAIC__PIXELS], sum = 0;
    int i;
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    qsort(x, MOSAIC__PIXELS, sizeof *x, by_size);
    qsort(y, MOSAIC__PIXELS, sizeof *y, by_size);
    for (i = 0; i < MOSAIC__PIXELS; i++) sum += fabs(x[i] - y[i]);
    return sum / MOSAIC__PIXELS;
}

/* ---- Recolouring ---- */

/* Each way does what its name says, at full strength and without a bound on the spread, for every variant. */
static void test_ways(void)
{
    int round, way, i, c, k;
    for (round = 0; round < 120; round++)
        for (way = MOSAIC_RECOLOUR_NONE; way <= MOSAIC_RECOLOUR_MKL; way++) {
            static const double axis[3][3] = {{1, 1, 1}, {1, 0, -1}, {1, -2, 1}};
            const int variant = round % MOSAIC_VARIANTS;
            const double f = variant == MOSAIC_BRIGHT ? 1.1 : variant == MOSAIC_DARK ? .9 : 1;
            mosaic__codes tile, cell;
            mosaic__colours of_tile, of_cell;
            mosaic__palette palette;
            mosaic__settings s;
            mosaic_options o;
            int16_t m[3][5];
            double out[3][MOSAIC__PIXELS], in[3][MOSAIC__PIXELS], want[3][MOSAIC__PIXELS];
            memset(&o, 0, sizeof o);
            o.recolour = way;
            o.mean_strength = o.spread_strength = 1;
            o.spread_low = .001f;
            o.bleed = MOSAIC_OFF;
            CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK);
            picture(&tile, &of_tile);
            picture(&cell, &of_cell);
            mosaic__palette_of(&of_tile, &palette);
            mosaic__recolour(&s, &palette, variant, &of_cell, m);
            for (c = 0; c < 3; c++)
                for (i = 0; i < MOSAIC__PIXELS; i++) {
                    out[c][i] = m[c][4] / 16.;
                    for (k = 0; k < 3; k++) out[c][i] += m[c][k] / 4096. * tile.of[k][i] / 16;
                    in[c][i] = f * tile.of[c][i] / 16;
                    want[c][i] = cell.of[c][i] / 16.;
                }
            for (c = 0; c < 3; c++) {
                const double *mean = way == MOSAIC_RECOLOUR_NONE ? in[c] : want[c];
                CHECK_MSG(fabs(mean_of(out[c]) - mean_of(mean)) < .3, "way %d: mean %g, not %g", way, mean_of(out[c]), mean_of(mean));
                if (way <= MOSAIC_RECOLOUR_MEAN)
                    for (i = 0; i < MOSAIC__PIXELS; i++) CHECK(fabs(out[c][i] - mean_of(out[c]) - in[c][i] + mean_of(in[c])) < .1);
            }
            for (k = 0; k < 3 && way == MOSAIC_RECOLOUR_REINHARD; k++) {
                double a[MOSAIC__PIXELS], b[MOSAIC__PIXELS], t[MOSAIC__PIXELS];
                for (i = 0; i < MOSAIC__PIXELS; i++) {
                    a[i] = b[i] = t[i] = 0;
                    for (c = 0; c < 3; c++) {
                        a[i] += axis[k][c] * out[c][i];
                        b[i] += axis[k][c] * want[c][i];
                        t[i] += axis[k][c] * in[c][i];
                    }
                }
                /* Spreads grow at most twofold. */
                if (spread_of(b) < 1.9 * spread_of(t))
                    CHECK_MSG(fabs(spread_of(a) / spread_of(b) - 1) < .03, "axis %d: spread %g, not %g", k, spread_of(a), spread_of(b));
                else if (spread_of(b) > 2.1 * spread_of(t))
                    CHECK_MSG(fabs(spread_of(a) / spread_of(t) - 2) < .05, "axis %d: %g times", k, spread_of(a) / spread_of(t));
            }
            for (k = 0; k < 3 && way == MOSAIC_RECOLOUR_MKL; k++) {
                for (i = 0; i < 3; i++) CHECK(abs(m[k][i] - m[i][k]) <= 1);
            }
        }
}

/* What the settings tell the costs: nothing of a difference is left where everything is followed, all of it where nothing is. */
static void test_cost_strengths(void)
{
    mosaic_options o;
    mosaic__settings s;
    memset(&o, 0, sizeof o);
    o.recolour = MOSAIC_RECOLOUR_NONE;
    o.bleed = MOSAIC_OFF;
    CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK && s.mean_factor == 4096 && s.spread_strength == 0);
    o.histogram = .5f;
    CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK && s.mean_factor == 1024 && s.spread_strength == 128);
    o.recolour = MOSAIC_RECOLOUR_MEAN;
    o.mean_strength = .5f;
    CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK && s.mean_factor == 256 && s.spread_strength == 128);
    o.histogram = 1;
    CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK && s.mean_factor == 0 && s.spread_strength == 256);
}

static double bent(const int16_t level[17], double v)
{
    return (level[(int)v / 16] * (1 - fmod(v, 16) / 16) + level[(int)v / 16 + 1] * fmod(v, 16) / 16) / 16;
}

/* Curves bring the levels to the cell's: mean and distribution, more so the greater their share, never downwards, never steeper than twice. */
static void test_curves(void)
{
    int round, i, c, j;
    double total[3] = {0, 0, 0};
    for (round = 0; round < 150; round++) {
        static const float share[3] = {MOSAIC_OFF, .5f, 1};
        mosaic__codes tile, cell;
        mosaic__colours of_tile, of_cell;
        mosaic__palette palette;
        const double bleed = round % 3 * .1;
        int part;
        picture(&tile, &of_tile);
        picture(&cell, &of_cell);
        if (round % 10 == 9)
            for (c = 0; c < 3; c++)
                for (i = 0; i < MOSAIC__PIXELS; i++) tile.of[c][i] = (uint16_t)(1000 + 100 * c); /* flat */
        mosaic__palette_of(&of_tile, &palette);
        for (part = 0; part < 3; part++) {
            mosaic__settings s;
            mosaic_options o;
            mosaic_curve curve;
            int16_t m[3][5];
            memset(&o, 0, sizeof o);
            o.recolour = round % 2 ? MOSAIC_RECOLOUR_NONE : MOSAIC_RECOLOUR_MEAN;
            o.histogram = share[part];
            o.bleed = bleed > 0 ? (float)bleed : MOSAIC_OFF;
            CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK);
            mosaic__recolour(&s, &palette, MOSAIC_PLAIN, &of_cell, m);
            mosaic__bend(&s, &tile, &cell, m, &curve);
            for (c = 0; c < 3; c++) {
                double out[MOSAIC__PIXELS], want[MOSAIC__PIXELS];
                for (i = 0; i < MOSAIC__PIXELS; i++) {
                    double v = m[c][4] / 16. + (m[c][0] * tile.of[0][i] + m[c][1] * tile.of[1][i] + m[c][2] * tile.of[2][i]) / 65536.;
                    out[i] = bent(curve.level[c], v < 0 ? 0 : v > 255 ? 255 : v);
                    want[i] = cell.of[c][i] / 16. * (1 - bleed);
                }
                if (round % 10 < 9) total[part] += apart(out, want);
                if (part == 0)
                    for (j = 0; j < 17; j++) CHECK_MSG(curve.level[c][j] == 256 * j, "no share: knot %d is %d", j, curve.level[c][j]);
                if (part == 2) CHECK_MSG(fabs(mean_of(out) - mean_of(want)) < .5, "round %d: mean %g, not %g", round, mean_of(out), mean_of(want));
                for (j = 0; j < 16; j++) CHECK(curve.level[c][j + 1] - curve.level[c][j] >= 0 && curve.level[c][j + 1] - curve.level[c][j] <= 513);
            }
        }
    }
    CHECK_MSG(total[1] < .7 * total[0] && total[2] < .25 * total[0], "apart by %g, %g, %g", total[0], total[1], total[2]);
}

/* ---- Streams ---- */

enum { CELL = 24, COLS = 12, ROWS = 7, WIDTH = CELL * COLS, HEIGHT = CELL * ROWS, PHOTOS = 150 };

static unsigned lattice(int x, int y, unsigned seed)
{
    unsigned h = (unsigned)x * 0x9e3779b1u ^ (unsigned)y * 0x85ebca77u ^ seed * 0xc2b2ae3du;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 12;
    h *= 0x297a2d39u;
    return (h ^ h >> 15) & 255;
}

static void scene(uint8_t *rgb, int width, int height, int shift, unsigned seed)
{
    int x, y, c;
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++)
            for (c = 0; c < 3; c++, rgb++) {
                const int s = 16, u = x + shift, a = (int)lattice(u / s, y / s, seed + (unsigned)c),
                          b = (int)lattice(u / s + 1, y / s, seed + (unsigned)c);
                const int d = (int)lattice(u / s, y / s + 1, seed + (unsigned)c), e = (int)lattice(u / s + 1, y / s + 1, seed + (unsigned)c);
                *rgb = (uint8_t)(((a * (s - u % s) + b * (u % s)) * (s - y % s) + (d * (s - u % s) + e * (u % s)) * (y % s)) / (s * s));
            }
}

static mosaic_pool *make_pool(void)
{
    mosaic_pool *pool = NULL;
    uint8_t tile[CELL * CELL * 3];
    int i;
    CHECK(mosaic_pool_create(CELL, CELL, NULL, &pool) == MOSAIC_OK);
    for (i = 0; i < PHOTOS; i++) {
        scene(tile, CELL, CELL, i * 7, 100 + (unsigned)i);
        CHECK(mosaic_pool_add(pool, tile, NULL, 0) == MOSAIC_OK);
    }
    return pool;
}

static mosaic_grid make_grid(void)
{
    mosaic_grid g;
    memset(&g, 0, sizeof g);
    g.cols = COLS;
    g.rows = ROWS;
    g.cell_width = g.cell_height = CELL;
    g.width = g.source_width = WIDTH;
    g.height = g.source_height = HEIGHT;
    g.crop_width = WIDTH * 64;
    g.crop_height = HEIGHT * 64;
    return g;
}

/* A frame is its draw list and curves painted by the formulas of the header, pixel by pixel. */
static void test_formula(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool();
    const mosaic_grid grid = make_grid();
    mosaic_options o;
    mosaic_engine *e = NULL;
    mosaic_input input;
    const mosaic_frame *f;
    int x, y, c;
    memset(&o, 0, sizeof o);
    o.histogram = .6f;
    CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_OK);
    scene(rgb, WIDTH, HEIGHT, 0, 1);
    memset(&input, 0, sizeof input);
    input.rgb = rgb;
    input.stride = WIDTH * 3;
    CHECK(mosaic_push(e, &input, &f) == MOSAIC_OK && f->curve);
    for (y = 0; y < HEIGHT; y++)
        for (x = 0; x < WIDTH; x++)
            for (c = 0; c < 3; c++) {
                const mosaic_draw *d = f->draw + y / CELL * COLS + x / CELL;
                const int16_t *m = d->colour[c], *k = f->curve[d - f->draw].level[c];
                const uint8_t *p =
                    mosaic_pool_pixels(pool, d->photo) + (y % CELL * CELL + (d->variant == MOSAIC_MIRROR ? CELL - 1 - x % CELL : x % CELL)) * 3;
                int v = (m[0] * p[0] + m[1] * p[1] + m[2] * p[2] + 256 * m[4] + 2048) >> 12;
                v = mosaic__clamp(v, 0, 255);
                v = (16 * (k[v / 16] * (16 - v % 16) + k[v / 16 + 1] * (v % 16)) + m[3] * rgb[(y * WIDTH + x) * 3 + c] + 2048) >> 12;
                CHECK(f->rgb[(y * WIDTH + x) * 3 + c] == mosaic__clamp(v, 0, 255));
            }
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

int main(void)
{
    test_ways();
    test_cost_strengths();
    test_curves();
    test_formula();
    return test_end("looks");
}
