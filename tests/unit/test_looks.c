/* How a mosaic looks: recolouring and its curves, finishing and borders, against plain references. */
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

/* ---- Finishing: colours ---- */

static void tone_of(const mosaic__settings *s, const mosaic__shot *shot, const double in[3], double out[3])
{
    double level[3];
    int c;
    for (c = 0; c < 3; c++) level[c] = mosaic__tone_level(s, in[c]);
    mosaic__tone(s, shot, in, level, out);
}

static void neutral(mosaic__settings *s)
{
    mosaic_options o;
    memset(&o, 0, sizeof o);
    CHECK(mosaic__settings_of(&o, s) == MOSAIC_OK && !s->toned && !mosaic__finishes(s));
}

static void test_roots(void)
{
    int i, power;
    for (i = 0; i <= 1000; i++) {
        const double x = i / 1000.;
        CHECK(fabs(mosaic__cube_root(x) - cbrt(x)) < 1e-14);
        for (power = 1024; power <= 16384; power += 911)
            CHECK_MSG(fabs(mosaic__power(x, power) - pow(x, power / 4096.)) < 1e-13, "%g to %d", x, power);
    }
    for (i = 0; i <= 2550; i++) CHECK(fabs(mosaic__level(mosaic__light(i / 10.)) - i / 10.) < 1e-9);
    for (i = 0; i <= 255; i++) {
        const double v = i / 255., light = v <= .04045 ? v / 12.92 : pow((v + .055) / 1.055, 2.4);
        CHECK(fabs(mosaic__light(i) - light) < 4e-6);
    }
}

static void hue_of(const double rgb[3], double *lightness, double *chroma, double *hue)
{
    double lab[3];
    mosaic__levels_to_lab(rgb, lab);
    *lightness = lab[0];
    *chroma = sqrt(lab[1] * lab[1] + lab[2] * lab[2]);
    *hue = atan2(lab[2], lab[1]);
}

/* More colour changes neither lightness nor hue, and cuts nothing off: what differs before differs after. */
static void test_saturation(void)
{
    mosaic__settings s;
    mosaic__shot shot = {{0, 0}, 150};
    int round, c;
    neutral(&s);
    s.saturation = 2.1;
    s.saturation_warm = 1.7;
    s.vibrance = .4;
    for (round = 0; round < 3000; round++) {
        double in[3], out[3], l[2], k[2], h[2], turned;
        for (c = 0; c < 3; c++) in[c] = test_range(0, 255);
        tone_of(&s, &shot, in, out);
        hue_of(in, l, k, h);
        hue_of(out, l + 1, k + 1, h + 1);
        turned = fabs(h[0] - h[1]);
        if (turned > 3.1416) turned = 6.2832 - turned;
        CHECK_MSG(k[1] > k[0] - .001 && fabs(l[1] - l[0]) < .004, "%g %g %g: chroma %g to %g, lightness %g to %g", in[0], in[1], in[2], k[0], k[1],
                  l[0], l[1]);
        if (k[0] > .02) CHECK_MSG(turned < .03, "%g %g %g: hue turned by %g", in[0], in[1], in[2], turned);
    }
    /* A ramp up to the edge of sRGB keeps rising. */
    for (round = 1; round < 256; round++) {
        double in[3] = {0, 0, 0}, out[3], low[3] = {0, 0, 0}, before[3];
        in[2] = round;
        low[2] = round - 1;
        in[0] = low[0] = in[1] = low[1] = 20;
        tone_of(&s, &shot, in, out);
        tone_of(&s, &shot, low, before);
        CHECK_MSG(out[2] >= before[2] - .05, "blue %d: %g after %g", round, out[2], before[2]);
    }
}

static void test_other_tones(void)
{
    mosaic__settings s;
    mosaic__shot shot = {{40, -60}, 200};
    const double black[3] = {0, 0, 0}, grey[3] = {128, 128, 128}, face[3] = {205, 150, 120}, sky[3] = {90, 140, 210};
    double out[3], a[3], b[3], lab[3];
    int c, k;
    neutral(&s);
    s.gamma = .5;
    tone_of(&s, &shot, grey, out);
    CHECK(fabs(out[0] - 255 * sqrt(128 / 255.)) < 1e-9);
    neutral(&s);
    s.lift = 9;
    tone_of(&s, &shot, black, out);
    CHECK(out[0] == 9 && out[1] == 9 && out[2] == 9);
    neutral(&s);
    s.contrast = 1.5;
    tone_of(&s, &shot, face, out);
    CHECK(out[0] == 128 + 1.5 * (205 - 128) && out[2] == 128 - 1.5 * 8);
    neutral(&s);
    s.harmony = 1;
    tone_of(&s, &shot, grey, out);
    mosaic__levels_to_lab(out, lab);
    CHECK(fabs(lab[1] - 40 / 1024.) < 1e-5 && fabs(lab[2] + 60 / 1024.) < 1e-5);
    /* Skin moves less than the same change moves a sky. */
    for (k = 0; k < 2; k++) {
        const double *in = k ? sky : face;
        double moved = 0, less = 0;
        neutral(&s);
        s.saturation = s.saturation_warm = 1.6;
        tone_of(&s, &shot, in, a);
        s.skin = 1;
        tone_of(&s, &shot, in, b);
        for (c = 0; c < 3; c++) moved += fabs(a[c] - in[c]), less += fabs(b[c] - in[c]);
        CHECK_MSG(k ? fabs(less - moved) < 1e-6 : less < .1 * moved && moved > 20, "%g of %g", less, moved);
    }
}

static void fill(const mosaic__settings *s, const mosaic__shot *shot, int16_t *tone)
{
    int red;
    for (red = 0; red < MOSAIC__TONE_NODES; red++) mosaic__tone_slice(s, shot, tone, red);
    mosaic__tone_end(tone);
}

/* The table: exact where nothing changes, close to the functions themselves where something does, tetrahedra as defined. */
static void test_table(void)
{
    static int16_t tone[MOSAIC__TONE_VALUES];
    mosaic__settings s;
    mosaic__shot shot = {{10, 20}, 180};
    double sum = 0;
    int round, c, k, j, mode, far_off = 0;
    for (mode = 0; mode < 2; mode++) { /* 1: through Oklab and back */
        neutral(&s);
        if (mode) s.skin = 1e-12;
        fill(&s, &shot, tone);
        for (round = 0; round < 30000; round++) {
            uint8_t in[3], out[3];
            for (c = 0; c < 3; c++) in[c] = (uint8_t)(round < 256 ? round : test_range(0, 255));
            mosaic__tone_pixel(tone, in, out);
            CHECK_MSG(memcmp(in, out, 3) == 0, "%d %d %d became %d %d %d", in[0], in[1], in[2], out[0], out[1], out[2]);
        }
    }
    s.saturation = 1.75;
    s.saturation_warm = 1.45;
    s.vibrance = .48;
    s.gamma = .94;
    s.lift = 9;
    s.contrast = 1.06;
    fill(&s, &shot, tone);
    for (round = 0; round < 20000; round++) {
        uint8_t in[3], out[3];
        double exact[3], want[3];
        for (c = 0; c < 3; c++) in[c] = (uint8_t)test_range(0, 255), exact[c] = in[c];
        mosaic__tone_pixel(tone, in, out);
        tone_of(&s, &shot, exact, want);
        for (c = 0; c < 3; c++) {
            const double d = fabs(want[c] - out[c]);
            far_off += d > 8;
            sum += d;
        }
    }
    /* Only at the very edge of sRGB the functions bend within a cube. */
    CHECK_MSG(sum / 60000 < .5 && far_off < 600, "off by %g, %d times by more than 8", sum / 60000, far_off);
    for (k = 0; k < MOSAIC__TONE_VALUES; k++) tone[k] = (int16_t)test_range(-300, 16500);
    for (round = 0; round < 30000; round++) {
        uint8_t in[3], out[3];
        int order[3] = {0, 1, 2}, at[3];
        for (c = 0; c < 3; c++) in[c] = (uint8_t)test_range(0, 255), at[c] = in[c] / 8;
        for (k = 0; k < 3; k++)
            for (j = 0; j < 2; j++)
                if (in[order[j]] % 8 < in[order[j + 1]] % 8) c = order[j], order[j] = order[j + 1], order[j + 1] = c;
        mosaic__tone_pixel(tone, in, out);
        for (c = 0; c < 3; c++) {
            int node[3] = {at[0], at[1], at[2]}, rest = 8;
            double v = 0;
            for (k = 0; k < 4; k++) {
                const int weight = k < 3 ? rest - in[order[k]] % 8 : rest;
                v += weight / 8. * tone[((node[0] * 33 + node[1]) * 33 + node[2]) * 4 + c] / 64;
                rest -= weight;
                if (k < 3) node[order[k]]++;
            }
            v = v < 0 ? 0 : v > 255 ? 255 : v;
            CHECK_MSG(fabs(v - out[c]) <= .51, "%d %d %d: %d, not %g", in[0], in[1], in[2], out[c], v);
        }
    }
}

/* ---- Finishing: borders and luma ---- */

/* Grids of all kinds, cells cut off at the output's edge or smaller than the blurs among them. */
static mosaic_grid any_grid(int round)
{
    mosaic_grid g;
    memset(&g, 0, sizeof g);
    g.cols = test_range(1, 5);
    g.rows = test_range(1, 4);
    g.cell_width = round % 5 == 0 ? test_range(1, 4) : test_range(5, 40);
    g.cell_height = round % 7 == 0 ? test_range(1, 4) : test_range(5, 30);
    g.origin_x = round % 2 ? 0 : test_range(-30 * 64, 20 * 64);
    g.origin_y = round % 3 ? 0 : test_range(-20 * 64, 20 * 64);
    g.width = round % 4 ? g.cols * g.cell_width : test_range(1, 150);
    g.height = round % 4 ? g.rows * g.cell_height : test_range(1, 90);
    g.source_width = g.source_height = 1;
    return g;
}

static void soft(mosaic__settings *s, int round)
{
    mosaic_options o;
    memset(&o, 0, sizeof o);
    o.border = 1 + round % 3;
    o.border_width = (float)test_range(1, 12);
    o.local_contrast = round % 4 == 1 ? MOSAIC_OFF : (float)test_range(1, 20) / 10;
    o.sharpness = round % 4 >= 2 ? MOSAIC_OFF : (float)test_range(1, 20) / 10;
    if (round % 2) o.contrast = 1.3f;
    CHECK(mosaic__settings_of(&o, s) == MOSAIC_OK);
}

static void finish_at(int level, mosaic__finisher *f, const mosaic_grid *g, const mosaic__settings *s, uint8_t *canvas, const mosaic_draw *draw)
{
    static const int one[2] = {1, 1};
    int threads = 1 + test_range(0, 3);
    mosaic__look look;
    memset(&look, 0, sizeof look);
    CHECK(mosaic__finisher_open(f, g, s, canvas, level, NULL));
    mosaic__finish_table(f, &look, one, 1, test_run, &threads);
    mosaic__finish(f, draw, test_run, &threads);
}

static void finish(mosaic__finisher *f, const mosaic_grid *g, const mosaic__settings *s, uint8_t *canvas, const mosaic_draw *draw)
{
    finish_at(test_range(0, mosaic__cpu_level()), f, g, s, canvas, draw);
}

/* Division as a product, as far as the kernel of means goes: just below and at each multiple. */
static void test_division(void)
{
    int r, k, wrong = 0;
    for (r = 1; r <= MOSAIC__SMOOTH_RADIUS; r++) {
        const uint64_t n = (uint64_t)(2 * r + 1) * (uint64_t)(2 * r + 1), inverse = ((uint64_t)1 << 32) / n + 1;
        for (k = 1; k <= 255; k++)
            wrong += (((uint64_t)k * n - 1) * inverse >> 32) != (uint64_t)k - 1 || ((uint64_t)k * n * inverse >> 32) != (uint64_t)k;
    }
    CHECK_MSG(wrong == 0, "%d quotients are wrong", wrong);
}

/* Each level of kernels makes the same of a canvas, with cells left out and cells too large for some of the kernels among them. */
static void test_levels(void)
{
    mosaic_draw draw[20];
    int round, i;
    memset(draw, 0, sizeof draw);
    for (round = 0; round < 200; round++) {
        mosaic_grid g = any_grid(round);
        mosaic__settings s;
        mosaic__finisher want, got;
        uint8_t *canvas;
        size_t bytes, k;
        const int extreme = test_range(0, 1);
        if (round % 3 == 0) g.cell_width = test_range(16, 70);
        if (round % 41 == 0) g.cell_width = g.cell_height = 130 + round / 41;
        if (round % 4) g.width = g.cols * g.cell_width, g.height = g.rows * g.cell_height;
        bytes = (size_t)g.width * 3 * (size_t)g.height;
        canvas = (uint8_t *)malloc(bytes);
        soft(&s, round);
        if (round % 41 == 0) s.border_width = 64;
        for (k = 0; k < bytes; k++) canvas[k] = (uint8_t)(extreme ? 255 * test_range(0, 1) : test_range(0, 255));
        for (i = 0; i < 20; i++) draw[i].photo = round % 3 == 1 && !test_range(0, 3) ? -1 : 0;
        finish_at(0, &want, &g, &s, canvas, draw);
        for (i = 1; i <= mosaic__cpu_level(); i++) {
            finish_at(i, &got, &g, &s, canvas, draw);
            CHECK_MSG((want.shown == NULL) == (got.shown == NULL) && (!want.shown || memcmp(want.shown, got.shown, bytes) == 0),
                      "round %d, level %d: %d x %d cells of %d x %d", round, i, g.cols, g.rows, g.cell_width, g.cell_height);
            mosaic__finisher_close(&got, NULL);
        }
        mosaic__finisher_close(&want, NULL);
        free(canvas);
    }
}

/* Flat stays flat, to the last pixel, whatever is done at borders. */
static void test_flat(void)
{
    mosaic_draw draw[20];
    int round;
    memset(draw, 0, sizeof draw);
    for (round = 0; round < 300; round++) {
        const mosaic_grid g = any_grid(round);
        const size_t bytes = (size_t)g.width * 3 * (size_t)g.height;
        uint8_t *canvas = (uint8_t *)calloc(bytes, 1);
        mosaic__settings s;
        mosaic__finisher f;
        const int grey = test_range(0, 255);
        size_t i;
        int x, y;
        soft(&s, round);
        s.toned = 0;
        for (y = 0; y < g.height; y++)
            for (x = 0; x < g.width; x++) {
                const int in = x >= (g.origin_x + 32) >> 6 && x < ((g.origin_x + 32) >> 6) + g.cols * g.cell_width && y >= (g.origin_y + 32) >> 6 &&
                               y < ((g.origin_y + 32) >> 6) + g.rows * g.cell_height;
                if (in) memset(canvas + ((size_t)y * (size_t)g.width + (size_t)x) * 3, grey, 3);
            }
        finish(&f, &g, &s, canvas, draw);
        for (i = 0; f.shown && i < bytes; i++)
            CHECK_MSG(f.shown[i] == canvas[i], "round %d: %d, not %d, at %d of %d px a row", round, f.shown[i], canvas[i], (int)i / 3, g.width);
        mosaic__finisher_close(&f, NULL);
        free(canvas);
    }
}

static double share(int distance, int width) { return distance < width ? (width - distance - .5) / (2 * width) : 0; }

/* A band of the canvas blended across borders: along rows, then along columns, in doubles. */
static double across(const mosaic_grid *g, const double *band, int x, int y, int c, int width, int axis)
{
    const int size = axis ? g->cell_height : g->cell_width, at = axis ? y : x, begin = at / size * size, from = at - begin,
              to = begin + size - 1 - at;
    const int other = from <= to ? begin - 1 - from : begin + size + to, limit = axis ? g->height : g->width, distance = from <= to ? from : to;
    const double own = axis ? across(g, band, x, y, c, width, 0) : band[(y * g->width + x) * 3 + c];
    double side;
    if (other < 0 || other >= limit) return own;
    side = axis ? across(g, band, x, other, c, width, 0) : band[(y * g->width + other) * 3 + c];
    return own + share(distance, width) * (side - own);
}

static void test_borders(void)
{
    mosaic_draw draw[20];
    int round, i, k, x, y, c, dx, dy;
    memset(draw, 0, sizeof draw);
    for (round = 0; round < 60; round++) {
        mosaic_grid g = any_grid(1);
        const int count = (g.width = g.cols * g.cell_width) * (g.height = g.rows * g.cell_height) * 3;
        double *band[3];
        uint8_t *canvas = (uint8_t *)malloc((size_t)count);
        mosaic__settings s;
        mosaic__finisher f;
        mosaic_options o;
        g.origin_x = g.origin_y = 0;
        memset(&o, 0, sizeof o);
        o.border = round % 2 ? MOSAIC_BORDER_FEATHER : MOSAIC_BORDER_LAPLACIAN;
        o.border_width = round % 3 ? (float)test_range(1, 9) : .3f;
        CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK);
        for (i = 0; i < count; i++) canvas[i] = (uint8_t)test_range(0, 255);
        finish(&f, &g, &s, canvas, draw);
        for (k = 0; k < 3; k++) { /* the canvas as it is, smoothed a little, and more; then what each has more than the next */
            const int r = k ? f.width[k - 1] : 0, n = (2 * r + 1) * (2 * r + 1);
            band[k] = (double *)malloc((size_t)count * sizeof **band);
            for (i = 0; i < count; i++) {
                const int cx = i / 3 % g.width / g.cell_width * g.cell_width, cy = i / 3 / g.width / g.cell_height * g.cell_height;
                double sum = 0;
                for (dy = -r; dy <= r; dy++)
                    for (dx = -r; dx <= r; dx++) {
                        x = cx + mosaic__mirrored(i / 3 % g.width + dx - cx, g.cell_width);
                        y = cy + mosaic__mirrored(i / 3 / g.width + dy - cy, g.cell_height);
                        sum += canvas[(y * g.width + x) * 3 + i % 3];
                    }
                band[k][i] = floor(sum / n + .5);
            }
        }
        for (i = 0; i < count && round % 2 == 0; i++) band[0][i] -= band[1][i], band[1][i] -= band[2][i];
        for (i = 0; i < count; i++) {
            double want = 0;
            c = i % 3, x = i / 3 % g.width, y = i / 3 / g.width;
            for (k = 0; k < (round % 2 ? 1 : 3); k++) want += across(&g, band[k], x, y, c, f.width[round % 2 ? 2 : k], 1);
            want = want < 0 ? 0 : want > 255 ? 255 : want;
            CHECK_MSG(fabs(want - f.shown[i]) < 3, "round %d, %d x %d cells of %d x %d, width %d: %d, not %g", round, g.cols, g.rows, g.cell_width,
                      g.cell_height, f.width[2], f.shown[i], want);
        }
        for (k = 0; k < 3; k++) free(band[k]);
        mosaic__finisher_close(&f, NULL);
        free(canvas);
    }
}

/* Local contrast and sharpness against sums over each pixel's surroundings. */
static void test_raise(void)
{
    mosaic_draw draw[20];
    int round, i, dx, dy;
    memset(draw, 0, sizeof draw);
    for (round = 0; round < 40; round++) {
        mosaic_grid g = any_grid(round);
        const int count = (g.width = g.cols * g.cell_width) * (g.height = g.rows * g.cell_height) * 3;
        uint8_t *canvas = (uint8_t *)malloc((size_t)count);
        mosaic__settings s;
        mosaic__finisher f;
        mosaic_options o;
        g.origin_x = g.origin_y = 0;
        memset(&o, 0, sizeof o);
        o.local_contrast = round % 3 == 0 ? MOSAIC_OFF : .7f;
        o.sharpness = round % 3 == 1 ? MOSAIC_OFF : .4f;
        CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK);
        for (i = 0; i < count; i++) canvas[i] = (uint8_t)test_range(40, 200);
        finish(&f, &g, &s, canvas, draw);
        for (i = 0; i < count; i++) {
            const int shorter = g.cell_width < g.cell_height ? g.cell_width : g.cell_height, r = shorter / 8 > 2 ? shorter / 8 : 2;
            const int x = i / 3 % g.width, y = i / 3 / g.width;
            double mean = 0, five = 0, own = 0, want;
            for (dy = -r; dy <= r; dy++)
                for (dx = -r; dx <= r; dx++) {
                    const uint8_t *p = canvas + (mosaic__clamp(y + dy, 0, g.height - 1) * g.width + mosaic__clamp(x + dx, 0, g.width - 1)) * 3;
                    const double luma = .299 * p[0] + .587 * p[1] + .114 * p[2];
                    if (!dx && !dy) own = luma;
                    mean += luma / ((2 * r + 1) * (2 * r + 1));
                    if (abs(dx) < 3 && abs(dy) < 3) five += luma * (3 - abs(dx)) * (3 - abs(dy)) / 81;
                }
            want = canvas[i] + (round % 3 == 0 ? 0 : .7) * (own - mean) + (round % 3 == 1 ? 0 : .4) * (own - five);
            want = want < 0 ? 0 : want > 255 ? 255 : want;
            CHECK_MSG(fabs(want - f.shown[i]) < 1.5, "round %d: %d, not %g", round, f.shown[i], want);
        }
        mosaic__finisher_close(&f, NULL);
        free(canvas);
    }
}

/* In a film only what changed, and what looks across to it, is made again: the same as making all of it. The table stays as long as the shot does. */
static void test_stream(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3], alone[WIDTH * HEIGHT * 3];
    static int16_t table[MOSAIC__TONE_VALUES];
    mosaic_pool *pool = make_pool();
    const mosaic_grid grid = make_grid();
    int preset, n, i, quiet = 0, tables = 0;
    for (preset = MOSAIC_PRESET_ULTRA; preset < MOSAIC_PRESET_FAST; preset++) { /* those that finish */
        mosaic_options o;
        mosaic_engine *e = NULL;
        memset(&o, 0, sizeof o);
        o.preset = (mosaic_preset)preset;
        CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_OK);
        for (n = 0; n < 6; n++) {
            mosaic_input input;
            const mosaic_frame *f;
            memset(&input, 0, sizeof input);
            input.rgb = rgb;
            input.stride = WIDTH * 3;
            if (n % 3 == 0) scene(rgb, WIDTH, HEIGHT, 0, (unsigned)n);
            if (n % 3 == 1) /* a corner changes */
                for (i = 0; i < WIDTH * HEIGHT * 3; i++)
                    if (i / 3 % WIDTH > WIDTH * 3 / 4 && i / 3 / WIDTH > HEIGHT / 2) rgb[i] = (uint8_t)(255 - rgb[i]);
            CHECK(mosaic_push(e, &input, &f) == MOSAIC_OK && f->tone == e->finisher.tone && f->rgb == e->finisher.shown);
            CHECK(f->cut == (n % 3 == 0));
            quiet += f->repainted > 0 && f->repainted < f->cells;
            if (!f->cut) CHECK_MSG(memcmp(table, f->tone, sizeof table) == 0, "frame %d of %s: the table changed", n, mosaic_preset_name(preset));
            if (f->cut && n) tables += memcmp(table, f->tone, sizeof table) != 0;
            memcpy(table, f->tone, sizeof table);
            memcpy(alone, f->rgb, sizeof alone);
            e->finisher.ready = 0;
            mosaic__finish(&e->finisher, e->draw, NULL, NULL);
            CHECK_MSG(memcmp(alone, f->rgb, sizeof alone) == 0, "frame %d of %s", n, mosaic_preset_name(preset));
        }
        mosaic_close(e);
        /* Without a canvas there is the table, and no picture. */
        o.draw_list_only = 1;
        CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_OK);
        for (n = 0; n < 2; n++) {
            mosaic_input input;
            const mosaic_frame *f;
            memset(&input, 0, sizeof input);
            input.rgb = rgb;
            input.stride = WIDTH * 3;
            CHECK(mosaic_push(e, &input, &f) == MOSAIC_OK && f->tone && !f->rgb);
        }
        mosaic_close(e);
    }
    CHECK_MSG(quiet >= 6 && tables > 0, "%d frames in which a part changed, %d new tables", quiet, tables);
    mosaic_pool_destroy(pool);
}

/* Cells that a mask leaves out stay black, or the source's, whatever is done around them; the others do not see them at their borders. */
static void test_mask(void)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    uint8_t mask[COLS * ROWS];
    mosaic_pool *pool = make_pool();
    const mosaic_grid grid = make_grid();
    int round, i;
    scene(rgb, WIDTH, HEIGHT, 0, 3);
    for (i = 0; i < COLS * ROWS; i++) mask[i] = (uint8_t)(i % 5 != 0 && i / COLS != 3);
    for (round = 0; round < 2; round++) {
        mosaic_options o;
        mosaic_engine *e = NULL;
        mosaic_input input;
        const mosaic_frame *f;
        memset(&o, 0, sizeof o);
        o.preset = MOSAIC_PRESET_ULTRA;
        o.mask = mask;
        o.mask_source = round;
        CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_OK);
        memset(&input, 0, sizeof input);
        input.rgb = rgb;
        input.stride = WIDTH * 3;
        CHECK(mosaic_push(e, &input, &f) == MOSAIC_OK);
        for (i = 0; i < WIDTH * HEIGHT * 3; i++)
            if (!mask[i / 3 / WIDTH / CELL * COLS + i / 3 % WIDTH / CELL]) CHECK(f->rgb[i] == (round ? rgb[i] : 0));
        mosaic_close(e);
    }
    /* Light cells around dark ones that are left out: no darker for it. */
    {
        static uint8_t canvas[WIDTH * HEIGHT * 3];
        mosaic_draw draw[COLS * ROWS];
        mosaic__settings s;
        mosaic__finisher f;
        mosaic_options o;
        memset(&o, 0, sizeof o);
        memset(draw, 0, sizeof draw);
        o.border = MOSAIC_BORDER_FEATHER;
        o.border_width = 6;
        CHECK(mosaic__settings_of(&o, &s) == MOSAIC_OK);
        for (i = 0; i < COLS * ROWS; i++) draw[i].photo = mask[i] ? 0 : -1;
        for (i = 0; i < WIDTH * HEIGHT * 3; i++) canvas[i] = mask[i / 3 / WIDTH / CELL * COLS + i / 3 % WIDTH / CELL] ? 200 : 0;
        finish(&f, &grid, &s, canvas, draw);
        CHECK(memcmp(f.shown, canvas, sizeof canvas) == 0);
        mosaic__finisher_close(&f, NULL);
    }
    mosaic_pool_destroy(pool);
}

int main(void)
{
    test_ways();
    test_cost_strengths();
    test_curves();
    test_formula();
    test_roots();
    test_saturation();
    test_other_tones();
    test_table();
    test_division();
    test_levels();
    test_flat();
    test_borders();
    test_raise();
    test_stream();
    test_mask();
    return test_end("looks");
}
