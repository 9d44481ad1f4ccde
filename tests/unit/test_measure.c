/* The figures of util/measure.h: CIEDE2000 on the published test pairs, the reductions against sums by hand, and every figure on tiny clips
   whose answer can be worked out on paper. */
#include "../test.h"
#define MOSAIC_SSIM_STATIC
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../../mosaic_ssim.h"
#include "../../examples/util/measure.h"

/* ---- colour ---- */

/* G. Sharma, W. Wu, E. N. Dalal: The CIEDE2000 color-difference formula, Color Research and Application 30 (2005), table 1. */
static const double pairs[34][7] = {
    {50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425},
    {50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615},
    {50, 2.8361, -74.0200, 50, 0, -82.7485, 3.4412},
    {50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0000},
    {50, -1.1848, -84.8006, 50, 0, -82.7485, 1.0000},
    {50, -0.9009, -85.5211, 50, 0, -82.7485, 1.0000},
    {50, 0, 0, 50, -1, 2, 2.3669},
    {50, -1, 2, 50, 0, 0, 2.3669},
    {50, 2.4900, -0.0010, 50, -2.4900, 0.0009, 7.1792},
    {50, 2.4900, -0.0010, 50, -2.4900, 0.0010, 7.1792},
    {50, 2.4900, -0.0010, 50, -2.4900, 0.0011, 7.2195},
    {50, 2.4900, -0.0010, 50, -2.4900, 0.0012, 7.2195},
    {50, -0.0010, 2.4900, 50, 0.0009, -2.4900, 4.8045},
    {50, -0.0010, 2.4900, 50, 0.0010, -2.4900, 4.8045},
    {50, -0.0010, 2.4900, 50, 0.0011, -2.4900, 4.7461},
    {50, 2.5, 0, 50, 0, -2.5, 4.3065},
    {50, 2.5, 0, 73, 25, -18, 27.1492},
    {50, 2.5, 0, 61, -5, 29, 22.8977},
    {50, 2.5, 0, 56, -27, -3, 31.9030},
    {50, 2.5, 0, 58, 24, 15, 19.4535},
    {50, 2.5, 0, 50, 3.1736, 0.5854, 1.0000},
    {50, 2.5, 0, 50, 3.2972, 0, 1.0000},
    {50, 2.5, 0, 50, 1.8634, 0.5757, 1.0000},
    {50, 2.5, 0, 50, 3.2592, 0.3350, 1.0000},
    {60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644},
    {63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630},
    {61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731},
    {35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645},
    {22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373},
    {36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146},
    {90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441},
    {90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381},
    {6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377},
    {2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082},
};

static int close_to(double a, double b, double tolerance) { return fabs(a - b) <= tolerance; }

static void test_colour(void)
{
    static const unsigned char white[3] = {255, 255, 255}, black[3] = {0, 0, 0}, red[3] = {255, 0, 0}, pixels[9] = {255, 0, 0, 10, 20, 30, 0, 0, 250};
    unsigned char luma[3];
    double lab[3];
    int i;
    for (i = 0; i < 34; i++) {
        const double d = measure_ciede2000(pairs[i], pairs[i] + 3), e = measure_ciede2000(pairs[i] + 3, pairs[i]);
        CHECK_MSG(close_to(d, pairs[i][6], .00006), "pair %d: %f instead of %f", i + 1, d, pairs[i][6]);
        CHECK_MSG(close_to(d, e, 1e-9), "pair %d: not symmetric", i + 1);
        CHECK(measure_ciede2000(pairs[i], pairs[i]) == 0);
    }
    measure_lab(white, lab);
    CHECK_MSG(close_to(lab[0], 100, 1e-3) && close_to(lab[1], 0, .01) && close_to(lab[2], 0, .01), "white: %f %f %f", lab[0], lab[1], lab[2]);
    measure_lab(black, lab);
    CHECK_MSG(close_to(lab[0], 0, 1e-9) && close_to(lab[1], 0, 1e-9), "black: %f %f %f", lab[0], lab[1], lab[2]);
    measure_lab(red, lab);
    CHECK_MSG(close_to(lab[0], 53.24, .01) && close_to(lab[1], 80.09, .02) && close_to(lab[2], 67.20, .02), "red: %f %f %f", lab[0], lab[1], lab[2]);
    measure_luma(pixels, 3, luma);
    CHECK_MSG(luma[0] == 76 && luma[1] == 18 && luma[2] == 29, "luma %d %d %d", luma[0], luma[1], luma[2]); /* 76.245, 2.99 + 11.74 + 3.42, 28.5 */
}

/* ---- reductions ---- */

static void test_scale(void)
{
    static const unsigned char ramp[6] = {0, 10, 20, 30, 40, 50}, square[4] = {0, 100, 40, 60};
    unsigned char in[37 * 23 * 3], out[64];
    measure_scaler s;
    double box[4];
    int i, x, y, c, ok = 1;

    CHECK(measure_scaler_open(&s, 6, 1, 0, 0, 6, 1, 3, 1, 1)); /* whole pixels: 5, 25, 45 */
    measure_scale(&s, ramp, out);
    CHECK_MSG(out[0] == 5 && out[1] == 25 && out[2] == 45, "%d %d %d", out[0], out[1], out[2]);
    measure_scaler_close(&s);
    CHECK(measure_scaler_open(&s, 6, 1, 0, 0, 6, 1, 4, 1, 1)); /* 1.5 pixels each: (0 + 5) / 1.5 = 3.3, (5 + 20) / 1.5 = 16.7, 33.3, 46.7 */
    measure_scale(&s, ramp, out);
    CHECK_MSG(out[0] == 3 && out[1] == 17 && out[2] == 33 && out[3] == 47, "%d %d %d %d", out[0], out[1], out[2], out[3]);
    measure_scaler_close(&s);
    CHECK(measure_scaler_open(&s, 6, 1, .5, 0, 5.5, 1, 2, 1, 1)); /* 2.5 pixels each: (0 + 10 + 20) / 2.5 = 12, (30 + 40 + 25) / 2.5 = 38 */
    measure_scale(&s, ramp, out);
    CHECK_MSG(out[0] == 12 && out[1] == 38, "%d %d", out[0], out[1]);
    measure_scaler_close(&s);
    CHECK(measure_scaler_open(&s, 2, 2, 0, 0, 2, 2, 3, 2, 1)); /* enlarged across: 0, 50, 100 and 40, 50, 60 */
    measure_scale(&s, square, out);
    CHECK_MSG(out[0] == 0 && out[1] == 50 && out[2] == 100 && out[3] == 40 && out[4] == 50 && out[5] == 60, "%d %d %d %d", out[0], out[1], out[2],
              out[3]);
    measure_scaler_close(&s);
    CHECK(measure_scaler_open(&s, 6, 1, 2, 0, 3, 1, 1, 1, 1)); /* one pixel is itself */
    measure_scale(&s, ramp, out);
    CHECK(out[0] == 20);
    measure_scaler_close(&s);

    for (i = 0; i < (int)sizeof in; i++) in[i] = (unsigned char)test_random();
    CHECK(measure_scaler_open(&s, 37, 23, 1.25, 2.5, 35.75, 20.1, 5, 4, 3));
    measure_scale(&s, in, out);
    for (y = 0; y < 4; y++)
        for (x = 0; x < 5; x++)
            for (c = 0; c < 3; c++) { /* the integral, pixel by pixel */
                const double x0 = 1.25 + x * 6.9, x1 = x0 + 6.9, y0 = 2.5 + y * 4.4, y1 = y0 + 4.4;
                double sum = 0;
                int px, py;
                for (py = 0; py < 23; py++)
                    for (px = 0; px < 37; px++)
                        sum += fmax(0, fmin(x1, px + 1) - fmax(x0, px)) * fmax(0, fmin(y1, py + 1) - fmax(y0, py)) * in[3 * (py * 37 + px) + c];
                ok &= fabs(sum / (6.9 * 4.4) - out[3 * (y * 5 + x) + c]) <= .501;
            }
    CHECK(ok);
    measure_scaler_close(&s);

    measure_crop(1280, 720, 1890, 1080, 0, box); /* 720 * 1.75 = 1260 wide */
    CHECK(close_to(box[0], 10, 1e-9) && close_to(box[2], 1270, 1e-9) && box[1] == 0 && box[3] == 720);
    measure_crop(100, 100, 200, 100, 0, box);
    CHECK(box[0] == 0 && box[1] == 25 && box[2] == 100 && box[3] == 75);
    measure_crop(100, 80, 200, 100, 1, box);
    CHECK(box[0] == 0 && box[1] == 0 && box[2] == 100 && box[3] == 80);
}

/* ---- cell pictures ---- */

static void test_cells(void)
{
    unsigned char block[24 * 30], rgb[48 * 40 * 3];
    measure_cell a, b, flat;
    double sum = 0, squares = 0;
    int i, x, y;
    for (i = 0; i < 24 * 30; i++) block[i] = 0;
    for (y = 3; y < 21; y++)
        for (x = 3; x < 21; x++) block[y * 30 + x] = x < 12 ? 80 : 120; /* half and half; the edge must not count */
    measure_cell_of(block, 30, &a);
    for (i = 0; i < MEASURE_SIZE; i++) sum += (double)a.v[i], squares += (double)a.v[i] * (double)a.v[i];
    CHECK(close_to(sum, 0, 1e-5) && close_to(squares, 1, 1e-5) && close_to(a.spread, 20, 1e-9) && a.whole);
    CHECK(close_to((double)a.v[0], -1 / 18., 1e-6) && close_to((double)a.v[17], 1 / 18., 1e-6));
    CHECK(close_to(measure_similarity(&a, &a, 0), 1, 1e-5) && close_to(measure_similarity(&a, &a, 1), -1, 1e-5));
    for (y = 3; y < 21; y++)
        for (x = 3; x < 21; x++) block[y * 30 + x] = y < 12 ? 10 : 11; /* crossed: nothing in common */
    measure_cell_of(block, 30, &b);
    CHECK(close_to(measure_similarity(&a, &b, 0), 0, 1e-5) && close_to(b.spread, .5, 1e-9) && !measure_same(&a, &b) && measure_same(&b, &b));
    memset(block, 90, sizeof block);
    measure_cell_of(block, 30, &flat);
    CHECK(flat.spread <= 0 && measure_same(&flat, &flat) && !measure_same(&flat, &a));
    /* a photograph 48 x 40 for cells twice as wide as high: its middle 48 x 24, left half dark */
    for (y = 0; y < 40; y++)
        for (x = 0; x < 48; x++) memset(rgb + 3 * (y * 48 + x), y < 8 || y >= 32 ? 255 : x < 24 ? 50 : 110, 3);
    CHECK(measure_photo(rgb, 48, 40, 60, 30, &b));
    CHECK(close_to(measure_similarity(&a, &b, 0), 1, 1e-5) && close_to(b.spread, 30, 1e-9));
}

/* ---- flow ---- */

static void fill_flow(short *flow, int pixels, int x, int y)
{
    int i;
    for (i = 0; i < pixels; i++) flow[2 * i] = (short)x, flow[2 * i + 1] = (short)y;
}

static void test_flow(void)
{
    short to[10 * 6 * 2], back[10 * 6 * 2];
    unsigned char ok[60], now[180], before[180];
    int i, x, y, c;
    double v[2];
    fill_flow(to, 60, 128, 0); /* two pixels to the right: the last two columns lead outside */
    fill_flow(back, 60, -128, 0);
    CHECK(close_to(measure_consistent(to, back, 10, 6, ok), .8, 1e-9) && ok[7] && !ok[8]);
    fill_flow(back, 60, -128 + 63, 0); /* misses by just under a pixel, by a pixel */
    CHECK(close_to(measure_consistent(to, back, 10, 6, ok), .8, 1e-9));
    fill_flow(back, 60, -64, 0);
    CHECK(measure_consistent(to, back, 10, 6, ok) <= 0);
    for (i = 0; i < 60; i++) to[2 * i] = (short)(64 * (i % 10)), to[2 * i + 1] = (short)(-64 * (i / 10));
    measure__vector(to, 10, 6, 2.25, 1.5, v);
    CHECK(close_to(v[0], 2.25, 1e-9) && close_to(v[1], -1.5, 1e-9));
    for (y = 0; y < 6; y++)
        for (x = 0; x < 10; x++)
            for (c = 0; c < 3; c++) {
                before[3 * (y * 10 + x) + c] = (unsigned char)(10 * x + y);
                now[3 * (y * 10 + x) + c] = (unsigned char)(10 * x + y + 20 + 3); /* came from two columns further, 3 brighter */
            }
    fill_flow(to, 60, 128, 0);
    fill_flow(back, 60, -128, 0);
    measure_consistent(to, back, 10, 6, ok);
    CHECK(close_to(measure_warp_error(now, before, to, ok, 10, 6), 3, 1e-9));
    fill_flow(to, 60, 32, 0); /* half a column: 15 off, and 3 */
    measure_consistent(to, to, 10, 6, ok);
    memset(ok, 1, sizeof ok);
    for (i = 0; i < 60; i++) ok[i] = i % 10 < 9;
    CHECK(close_to(measure_warp_error(now, before, to, ok, 10, 6), 18, 1e-9));
}

/* Content runs away from the left upper corner, faster further out: at x it comes from 3/4 x. */
static void test_trace(void)
{
    enum { FLOW_W = 40, FLOW_H = 20 };
    static const unsigned char gray[160 * 80 * 3];
    short forward[FLOW_W * FLOW_H * 2], backward[FLOW_W * FLOW_H * 2];
    measure_setup s;
    measure *m;
    double x = 27, y = 43;
    int i;
    for (i = 0; i < FLOW_W * FLOW_H; i++) {
        backward[2 * i] = (short)(-16 * (i % FLOW_W)), backward[2 * i + 1] = (short)(-16 * (i / FLOW_W));
        forward[2 * i] = (short)(21 * (i % FLOW_W)), forward[2 * i + 1] = (short)(21 * (i / FLOW_W));
    }
    memset(&s, 0, sizeof s);
    s.source_width = s.width = 160;
    s.source_height = s.height = 80;
    s.cols = 16;
    s.rows = 8;
    s.cell_width = s.cell_height = 10;
    s.flow_width = FLOW_W;
    s.flow_height = FLOW_H;
    m = measure_open(&s);
    CHECK(m != NULL);
    if (!m) return;
    CHECK(measure_frame(m, gray, gray, NULL, NULL, NULL) && measure_frame(m, gray, gray, forward, backward, NULL));
    /* pixel centres: 27 is 6.25 in the flow, comes from 4.6875, which is 20.75; 43 is 10.25, comes from 7.6875, which is 32.75 */
    CHECK(measure__trace(m, 1, 1, &x, &y));
    CHECK_MSG(close_to(x, 20.75, 1e-9) && close_to(y, 32.75, 1e-9), "traced to %f %f", x, y);
    m->past[1].ok[10 * FLOW_W + 7] = 0; /* the nearest pixel counts */
    x = 27, y = 43;
    CHECK(measure__trace(m, 1, 1, &x, &y));
    x = 30.2, y = 43; /* 7.05 */
    CHECK(!measure__trace(m, 1, 1, &x, &y));
    x = 29, y = 43; /* 6.75 */
    CHECK(!measure__trace(m, 1, 1, &x, &y));
    measure_close(m);
}

/* ---- whole clips: photographs are 16 patterns of blocks that do not look alike, painted into cells of 24 x 24 ---- */

enum { COLS = 10, ROWS = 8, CELL = 24, W = COLS * CELL, H = ROWS * CELL, CELLS = COLS * ROWS };

static unsigned char source[W * H * 3], mosaic[W * H * 3];
static measure_cell pool[16];

static int pattern(int photo, int x, int y) /* 6 x 6 blocks by a coin of its own for each photograph */
{
    const int u = (x < 3 ? 3 : x > 20 ? 20 : x) / 3 - 1, v = (y < 3 ? 3 : y > 20 ? 20 : y) / 3 - 1;
    const unsigned hash = (unsigned)(u * 7 + v * 13 + 1) * (unsigned)(2654435761u + 40503u * (unsigned)photo) ^ (unsigned)(photo * 977);
    return (hash >> 13 & 1) ? 170 : 90;
}

static void paint(const int *photo, int off_x, int off_y) /* cell (0, 0) begins at (off_x, off_y); beyond the cells it is gray */
{
    int x, y;
    memset(mosaic, 128, sizeof mosaic);
    for (y = 0; y < H; y++)
        for (x = 0; x < W; x++) {
            const int gx = x - off_x, gy = y - off_y;
            if (gx >= 0 && gy >= 0 && gx < W && gy < H)
                memset(mosaic + 3 * (y * W + x), pattern(photo[gy / CELL * COLS + gx / CELL], gx % CELL, gy % CELL), 3);
        }
}

static measure_setup setup_of(int flow)
{
    measure_setup s;
    memset(&s, 0, sizeof s);
    s.source_width = s.width = W;
    s.source_height = s.height = H;
    s.cols = COLS;
    s.rows = ROWS;
    s.cell_width = s.cell_height = CELL;
    s.flow_width = flow ? W / 2 : 0;
    s.flow_height = flow ? H / 2 : 0;
    return s;
}

static int different(int a, int b) { return measure_similarity(&pool[a], &pool[b], 0) < .75 && measure_similarity(&pool[a], &pool[b], 1) < .75; }

static void make_pool(void)
{
    unsigned char rgb[CELL * CELL * 3];
    int i, k, x, y, good = 1;
    for (i = 0; i < 16; i++) {
        for (y = 0; y < CELL; y++)
            for (x = 0; x < CELL; x++) memset(rgb + 3 * (y * CELL + x), pattern(i, x, y), 3);
        CHECK(measure_photo(rgb, CELL, CELL, CELL, CELL, &pool[i]));
    }
    for (i = 0; i < 16; i++)
        for (k = 0; k < i; k++) good &= different(i, k);
    CHECK_MSG(good, "two of the test's photographs look alike");
}

/* Copies are 3 rows and a column apart, or more. */
static void spread_photos(int *photo)
{
    int i;
    for (i = 0; i < CELLS; i++) photo[i] = (i % COLS + 5 * (i / COLS)) % 16;
}

static void test_still(void)
{
    measure_setup s = setup_of(0);
    int photo[CELLS], variant[CELLS], uses[16] = {0}, most = 0, t, i, close_copies = 0;
    static const unsigned char mirrored[2] = {0, 1};
    measure_placement p;
    measure_figures f;
    measure *m;
    make_pool();
    spread_photos(photo);
    memset(variant, 0, sizeof variant);
    memset(&p, 0, sizeof p);
    p.photo = photo;
    p.variant = variant;
    p.shown = mirrored;
    s.photo = pool;
    s.photos = 16;
    paint(photo, 0, 0);
    memcpy(source, mosaic, sizeof source);
    m = measure_open(&s);
    CHECK(m != NULL);
    if (!m) return;
    for (t = 0; t < 14; t++) CHECK(measure_frame(m, source, mosaic, NULL, NULL, &p));
    f = measure_result(m);
    for (i = 0; i < CELLS; i++) { /* by hand: is there a copy within 4 rows and columns */
        int k, found = 0;
        for (k = 0; k < CELLS; k++) found |= k != i && photo[k] == photo[i] && abs(k % COLS - i % COLS) <= 4 && abs(k / COLS - i / COLS) <= 4;
        close_copies += found;
        if (++uses[photo[i]] > most) most = uses[photo[i]];
    }
    CHECK(f.frames == 14);
    CHECK_MSG(close_to(f.ssim3, 1, 1e-12) && f.de3 <= 0, "a copy: ssim %f, de %f", f.ssim3, f.de3);
    CHECK(f.churn <= 0 && f.photo_churn <= 0 && f.repaint_rate <= 0);
    CHECK(f.flow_churn != f.flow_churn && f.far_churn != f.far_churn && f.far_follow != f.far_follow && f.ewarp != f.ewarp);
    CHECK_MSG(close_to(f.repeat4, close_copies / (double)CELLS, 1e-12), "repeat4 %f, by hand %d of %d", f.repeat4, close_copies, CELLS);
    CHECK_MSG(close_to(f.photo_ncc, 1, 1e-5) && close_to(f.contrast, 1, 1e-9), "ncc %f contrast %f", f.photo_ncc, f.contrast);
    CHECK(close_to(f.distinct_photos, 16, 1e-12) && close_to(f.most_uses, most, 1e-12));
    CHECK_MSG(close_to(f.nearest_copy, 3, 1e-12), "nearest copy %f", f.nearest_copy); /* 3 rows down, one to the right: 1 + 15 = 16 */
    CHECK(f.cuts <= 0);
    measure_close(m);

    /* without placements the pool's best match says the same; a mosaic at half contrast, brighter: contrast one half, correlation as before */
    s.photos = 16;
    m = measure_open(&s);
    CHECK(m != NULL);
    if (!m) return;
    for (i = 0; i < W * H * 3; i++) mosaic[i] = (unsigned char)(mosaic[i] / 2 + 60);
    CHECK(measure_frame(m, source, mosaic, NULL, NULL, NULL));
    f = measure_result(m);
    CHECK_MSG(close_to(f.photo_ncc, 1, 1e-4) && close_to(f.contrast, .5, 1e-9), "ncc %f contrast %f", f.photo_ncc, f.contrast);
    CHECK(f.ssim3 < .99 && f.de3 > 1 && f.churn != f.churn && f.cuts != f.cuts && f.photo_churn != f.photo_churn);
    measure_close(m);

    /* mirrored cells, told by the placements and found without */
    for (t = 0; t < 2; t++) {
        m = measure_open(&s);
        CHECK(m != NULL);
        if (!m) return;
        for (i = 0; i < CELLS; i++) variant[i] = 1;
        memcpy(mosaic, source, sizeof mosaic);
        for (i = 0; i < W * H; i++) memcpy(mosaic + 3 * i, source + 3 * (i / CELL * CELL + CELL - 1 - i % CELL), 3);
        CHECK(measure_frame(m, source, mosaic, NULL, NULL, t ? NULL : &p));
        f = measure_result(m);
        CHECK_MSG(close_to(f.photo_ncc, 1, 1e-4), "mirrored, told %d: ncc %f", !t, f.photo_ncc);
        measure_close(m);
    }

    /* turned clockwise, some mirrored after that */
    for (t = 2; t < 8; t++) {
        const unsigned char shown[2] = {0, (unsigned char)t};
        p.shown = shown;
        for (i = 0; i < W * H; i++) {
            const int cell_x = i % W / CELL * CELL, cell_y = i / W / CELL * CELL;
            int x = i % W - cell_x, y = i / W - cell_y, q, old;
            if (t & 1) x = CELL - 1 - x;
            for (q = 0; q < t / 2; q++) old = x, x = y, y = CELL - 1 - old; /* a quarter back */
            memcpy(mosaic + 3 * i, source + 3 * ((cell_y + y) * W + cell_x + x), 3);
        }
        m = measure_open(&s);
        CHECK(m != NULL);
        if (!m) return;
        CHECK(measure_frame(m, source, mosaic, NULL, NULL, &p));
        f = measure_result(m);
        CHECK_MSG(close_to(f.photo_ncc, 1, 1e-4), "shown %d: ncc %f", t, f.photo_ncc);
        measure_close(m);
    }
}

/* Two cells side by side that share all but 2 n of 324 pixels: the dot product is 1 - 4 n / 324. */
static void test_thresholds(void)
{
    static const struct {
        int n, same, repeat;
    } cases[4] = {{8, 1, 1}, {9, 1, 0}, {16, 1, 0}, {17, 0, 0}}; /* .901, .889, .802, .790 */
    static unsigned char pair[24 * 48 * 3];
    int k, t, i, x, y;
    for (k = 0; k < 4; k++) {
        measure_setup s;
        measure *m;
        measure_figures f;
        memset(&s, 0, sizeof s);
        s.source_width = s.width = 48;
        s.source_height = s.height = 24;
        s.cols = 2;
        s.rows = 1;
        s.cell_width = s.cell_height = 24;
        m = measure_open(&s);
        CHECK(m != NULL);
        if (!m) return;
        for (t = 0; t < 13; t++) { /* frame 0: the two cells; then the second one is like the first, but not in frame 12 */
            for (y = 0; y < 24; y++)
                for (x = 0; x < 48; x++) memset(pair + 3 * (y * 48 + x), x % 24 < 12 ? 80 : 120, 3);
            for (i = 0; i < cases[k].n && (t == 0 || t == 12); i++) {
                memset(pair + 3 * ((i + 3) * 48 + 24 + 5), 120, 3);
                memset(pair + 3 * ((i + 3) * 48 + 24 + 15), 80, 3);
            }
            CHECK(measure_frame(m, pair, pair, NULL, NULL, NULL));
        }
        f = measure_result(m);
        CHECK_MSG(close_to(f.churn, cases[k].same ? 0 : 2 / 24., 1e-12), "%d pixels: churn %f", cases[k].n, f.churn);
        CHECK_MSG(close_to(f.repeat4, cases[k].repeat, 1e-12), "%d pixels: repeat4 %f", cases[k].n, f.repeat4);
        CHECK(f.ssim3 != f.ssim3 && f.de3 <= 0); /* too small for a window of 7 */
        measure_close(m);
    }
}

/* Frame t swaps one more pair of cells for other photographs; one frame is a cut. */
static void test_churn(void)
{
    measure_setup s = setup_of(0);
    int photo[CELLS], variant[CELLS], t;
    measure_placement p;
    measure_figures f;
    measure *m = measure_open(&s);
    CHECK(m != NULL);
    if (!m) return;
    make_pool();
    spread_photos(photo);
    memset(variant, 0, sizeof variant);
    memset(source, 128, sizeof source);
    for (t = 0; t < 5; t++) {
        int i;
        memset(&p, 0, sizeof p);
        p.photo = photo;
        p.variant = variant;
        if (t == 2) variant[0] = 1; /* another variant of the same photo: seen in the placements only */
        if (t == 1 || t == 3) photo[t] = (photo[t] + 1) % 16, photo[t + 20] = (photo[t + 20] + 1) % 16;
        if (t == 4) {
            p.cut = 1; /* all change, and it does not count */
            for (i = 0; i < CELLS; i++) photo[i] = (photo[i] + 3) % 16;
        }
        paint(photo, 0, 0);
        CHECK(measure_frame(m, source, mosaic, NULL, NULL, &p));
    }
    f = measure_result(m);
    CHECK_MSG(close_to(f.churn, 4 / (3. * CELLS), 1e-12), "churn %f", f.churn);
    CHECK_MSG(close_to(f.photo_churn, 4 / (3. * CELLS), 1e-12), "photo churn %f", f.photo_churn);
    CHECK_MSG(close_to(f.repaint_rate, 5 / (3. * CELLS), 1e-12), "repaint %f", f.repaint_rate);
    CHECK(close_to(f.cuts, 1, 1e-12));
    measure_close(m);
}

/* Content moves half a cell a frame to the right; photographs go along every second frame, or stay. */
static void test_travel(int follows, double churn, double flow_churn, double far_churn, double far_follow)
{
    measure_setup s = setup_of(1);
    static short forward[W * H / 2], backward[W * H / 2];
    int photo[CELLS], t, i;
    measure_figures f;
    measure *m = measure_open(&s);
    CHECK(m != NULL);
    if (!m) return;
    make_pool();
    fill_flow(forward, W * H / 4, 6 * 64, 0); /* 12 pixels of the mosaic are 6 of the flow */
    fill_flow(backward, W * H / 4, -6 * 64, 0);
    for (t = 0; t < 13; t++) {
        const int steps = follows ? (t + 1) / 2 : 0;
        for (i = 0; i < CELLS; i++) photo[i] = (i % COLS - steps + 160 + 5 * (i / COLS)) % 16;
        paint(photo, 0, 0);
        CHECK(measure_frame(m, source, mosaic, t ? forward : NULL, t ? backward : NULL, NULL));
    }
    f = measure_result(m);
    CHECK_MSG(close_to(f.churn, churn, 1e-12), "follows %d: churn %f", follows, f.churn);
    CHECK_MSG(close_to(f.flow_churn, flow_churn, 1e-12), "follows %d: flow_churn %f", follows, f.flow_churn);
    CHECK_MSG(close_to(f.far_churn, far_churn, 1e-12), "follows %d: far_churn %f", follows, f.far_churn);
    CHECK_MSG(close_to(f.far_follow, far_follow, 1e-12), "follows %d: far_follow %f", follows, f.far_follow);
    CHECK(f.cuts <= 0);
    measure_close(m);
}

/* A cut in the flow: no churn is counted over it and no trace leads across it. */
static void test_cut(void)
{
    measure_setup s = setup_of(1);
    static short still[W * H / 2], torn[W * H / 2], half[W * H / 2];
    const short *flow;
    int photo[CELLS], t, i;
    measure_figures f;
    measure *m = measure_open(&s);
    CHECK(m != NULL);
    if (!m) return;
    fill_flow(still, W * H / 4, 0, 0);
    /* both ways to the right is never consistent: four fifths of the picture, three fifths */
    for (i = 0; i < W * H / 4; i++) torn[2 * i] = i < W * H / 5 ? 200 : 0, half[2 * i] = i < W * H / 20 * 3 ? 200 : 0;
    spread_photos(photo);
    for (t = 0; t < 16; t++) {
        for (i = 0; i < CELLS && t == 5; i++) photo[i] = (photo[i] + 1) % 16;
        paint(photo, 0, 0);
        for (i = 0; i < W * H * 3; i++) source[i] = (unsigned char)(100 + (i * 7 + t) % 50);
        flow = t == 0 ? NULL : t == 5 ? torn : t == 7 ? half : still;
        CHECK(measure_frame(m, source, mosaic, flow, flow, NULL));
    }
    f = measure_result(m);
    CHECK(close_to(f.cuts, 1, 1e-12) && f.churn <= 0 && f.flow_churn <= 0);
    CHECK_MSG(f.far_churn != f.far_churn, "far churn across a cut: %f", f.far_churn);
    CHECK_MSG(f.ewarp <= 0, "ewarp of a still mosaic %f", f.ewarp);
    measure_close(m);
}

/* A grid that scrolls 5 pixels a frame and starts again from the other side of the cell: nothing churns, and without the offsets everything does. */
static void test_scroll(void)
{
    int told;
    for (told = 0; told < 2; told++) {
        measure_setup s = setup_of(0);
        int photo[CELLS], t, i;
        measure_placement p;
        measure_figures f;
        measure *m = measure_open(&s);
        CHECK(m != NULL);
        if (!m) return;
        make_pool();
        memset(source, 128, sizeof source);
        for (t = 0; t < 12; t++) {
            const int all = 5 * t, wraps = all / CELL;
            for (i = 0; i < CELLS; i++) photo[i] = (i % COLS - wraps + 160 + 5 * (i / COLS)) % 16;
            memset(&p, 0, sizeof p);
            p.origin_x = told ? all % CELL : 0;
            p.photo = photo;
            paint(photo, all % CELL, 0);
            CHECK(measure_frame(m, source, mosaic, NULL, NULL, &p));
        }
        f = measure_result(m);
        if (told)
            CHECK_MSG(f.churn <= 0 && f.photo_churn <= 0, "told: churn %f, photo churn %f", f.churn, f.photo_churn);
        else
            CHECK_MSG(f.churn > .5, "not told: churn %f", f.churn);
        measure_close(m);
    }
}

int main(void)
{
    test_colour();
    test_scale();
    test_cells();
    test_flow();
    test_trace();
    test_still();
    test_thresholds();
    test_churn();
    /* Worked out: with half a cell a frame the content of a cell's centre comes from the border to its left neighbour, which counts as the cell that begins
       there: its own one. Photographs that jump in every second frame thus churn in half of the steps, in all cells, and so do the followed ones. Over
       12 frames content moves 6 cells; of 10 columns 4 can be traced, and show the photograph they had. Photographs that stay never churn; over
       12 frames photo x in column c is compared with column c - 6, another one. */
    test_travel(1, .5, .5, 0, 1);
    test_travel(0, 0, 0, 1, 0);
    test_cut();
    test_scroll();
    return test_end("measure");
}
