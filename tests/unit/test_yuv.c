/* YUV and RGB against the textbook formulas in double precision, for every range, matrix, depth, subsampling and siting. */
#include "../test.h"
#include "../../examples/util/yuv.h"
#include <math.h>

enum { MAX_W = 1100, MAX_H = 24 };

static const double red_blue[4][2] = {{.299, .114}, {.2126, .0722}, {.2627, .0593}, {.212, .087}};

static unsigned sample_at(const yuv_format *f, const yuv_plane *p, int x, int y)
{
    const int wide = f->depth + p->shift > 8, step = p->step ? p->step : wide ? 2 : 1;
    const unsigned char *s = p->data + y * p->stride + x * step;
    unsigned v = s[0];
    if (wide) v = f->big_endian ? (unsigned)(s[0] << 8 | s[1]) : (unsigned)(s[1] << 8 | s[0]);
    return v >> p->shift & ((1u << f->depth) - 1);
}

static int clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

/* Chroma at a luma position, by linear interpolation between sample centres. */
static double chroma_at(const yuv_format *f, const yuv_plane *p, int x, int y, int width, int height)
{
    const int sx = 1 << f->log2_x, sy = 1 << f->log2_y, w = (width + sx - 1) / sx, h = (height + sy - 1) / sy;
    const double cx = (x - (f->centre_x ? (sx - 1) / 2. : 0)) / sx, cy = (y - (f->centre_y ? (sy - 1) / 2. : 0)) / sy;
    const int x0 = (int)floor(cx), y0 = (int)floor(cy);
    const double tx = cx - x0, ty = cy - y0;
    double v[2][2];
    int i, j;
    for (j = 0; j < 2; j++)
        for (i = 0; i < 2; i++) v[j][i] = sample_at(f, p, clamp(x0 + i, 0, w - 1), clamp(y0 + j, 0, h - 1));
    return (v[0][0] * (1 - tx) + v[0][1] * tx) * (1 - ty) + (v[1][0] * (1 - tx) + v[1][1] * tx) * ty;
}

static void reference_rgb(const yuv_format *f, const yuv_plane *p, int x, int y, int width, int height, double out[3])
{
    const double unit = 1 << (f->depth - 8), top = (1 << f->depth) - 1, kr = red_blue[f->matrix][0], kb = red_blue[f->matrix][1], kg = 1 - kr - kb;
    const double luma = sample_at(f, &p[0], x, y);
    const double yy = f->full_range ? luma / top : (luma - 16 * unit) / (219 * unit);
    double u = 0, v = 0;
    if (p[1].data) {
        u = (chroma_at(f, &p[1], x, y, width, height) - 128 * unit) / (f->full_range ? top : 224 * unit);
        v = (chroma_at(f, &p[2], x, y, width, height) - 128 * unit) / (f->full_range ? top : 224 * unit);
    }
    out[0] = 255 * (yy + 2 * (1 - kr) * v);
    out[1] = 255 * (yy - 2 * kb * (1 - kb) / kg * u - 2 * kr * (1 - kr) / kg * v);
    out[2] = 255 * (yy + 2 * (1 - kb) * u);
}

static double worst_to, worst_from;

static void check_to_rgb(const yuv_format *f, const yuv_plane *p, int width, int height, const char *what)
{
    static unsigned char rgb[MAX_W * MAX_H * 3 + 1], twice[MAX_W * MAX_H * 3 + 1];
    const ptrdiff_t stride = width * 3;
    double worst = 0;
    int x, y, c;
    memset(rgb, 77, sizeof rgb);
    yuv_to_rgb(f, p, width, height, rgb, stride, 0, height);
    CHECK_MSG(rgb[stride * height] == 77, "%s: wrote past the end", what);
    yuv_to_rgb(f, p, width, height, twice, stride, height / 2, height);
    yuv_to_rgb(f, p, width, height, twice, stride, 0, height / 2);
    CHECK_MSG(memcmp(rgb, twice, (size_t)(stride * height)) == 0, "%s: rows depend on where the work is split", what);
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++) {
            double want[3];
            reference_rgb(f, p, x, y, width, height, want);
            for (c = 0; c < 3; c++) {
                const double w = want[c] < 0 ? 0 : want[c] > 255 ? 255 : want[c], d = fabs(rgb[y * stride + x * 3 + c] - w);
                if (d > worst) worst = d;
            }
        }
    if (worst > worst_to) worst_to = worst;
    CHECK_MSG(worst <= .52, "%s: matrix %d full %d depth %d chroma %d,%d centre %d,%d size %dx%d: off by %f", what, f->matrix, f->full_range,
              f->depth, f->log2_x, f->log2_y, f->centre_x, f->centre_y, width, height, worst);
}

static unsigned char memory[3][MAX_W * MAX_H * 8];

static void fill(void)
{
    size_t i;
    int c, kind = test_range(0, 3);
    for (c = 0; c < 3; c++)
        for (i = 0; i < sizeof memory[0]; i++) /* noise, or the corners of the colour cube */
            memory[c][i] = (unsigned char)(kind ? test_random() : (test_random() & 1) * 255);
}

static void test_to_rgb(void)
{
    int matrix, full, depth, sub, round;
    for (matrix = 0; matrix < 4; matrix++)
        for (full = 0; full < 2; full++)
            for (depth = 8; depth <= 16; depth++)
                for (sub = 0; sub < 9; sub++) {
                    yuv_format f;
                    yuv_plane p[3];
                    const int width = test_range(1, 40), height = test_range(1, 9), bytes = depth > 8 ? 2 : 1;
                    int c;
                    memset(&f, 0, sizeof f);
                    memset(p, 0, sizeof p);
                    fill();
                    f.matrix = matrix;
                    f.full_range = full;
                    f.depth = depth;
                    f.log2_x = sub % 3;
                    f.log2_y = sub / 3;
                    f.centre_x = test_range(0, 1);
                    f.centre_y = test_range(0, 1);
                    f.big_endian = test_range(0, 1);
                    for (c = 0; c < 3; c++) {
                        p[c].data = memory[c];
                        p[c].stride = 48 * bytes;
                    }
                    check_to_rgb(&f, p, width, height, "planar");
                    p[1].data = p[2].data = NULL;
                    check_to_rgb(&f, p, width, height, "gray");
                    /* semi-planar, samples in the upper bits */
                    p[1].data = memory[1];
                    p[2].data = memory[1] + bytes;
                    for (c = 0; c < 3; c++) {
                        p[c].step = c ? 2 * bytes : bytes;
                        p[c].stride = 100 * bytes;
                        p[c].shift = depth > 8 ? 16 - depth : 0;
                    }
                    check_to_rgb(&f, p, width, height, "semi-planar");
                    /* upside down, and packed as in yuyv */
                    p[0].data = memory[0] + 12 * 400;
                    p[1].data = memory[0] + 12 * 400 + bytes;
                    p[2].data = memory[0] + 12 * 400 + 3 * bytes;
                    for (c = 0; c < 3; c++) {
                        p[c].step = c ? 4 * bytes : 2 * bytes;
                        p[c].stride = -400;
                        p[c].shift = 0;
                    }
                    f.log2_x = 1;
                    f.log2_y = 0;
                    check_to_rgb(&f, p, width, height, "packed, upside down");
                }
    for (round = 0; round < 12; round++) { /* wider than one chunk */
        yuv_format f;
        yuv_plane p[3];
        int c;
        memset(&f, 0, sizeof f);
        memset(p, 0, sizeof p);
        fill();
        f.depth = 8 + round % 3;
        f.log2_x = round % 3;
        f.log2_y = 1;
        f.centre_x = round & 1;
        f.centre_y = 1;
        f.matrix = YUV_BT709;
        for (c = 0; c < 3; c++) {
            p[c].data = memory[c];
            p[c].stride = MAX_W * 2;
        }
        check_to_rgb(&f, p, 505 + 8 * round, 5, "wide");
        check_to_rgb(&f, p, 1019 + round, 3, "wide");
    }
}

/* Every sample triple of a coarse grid with the extremes, 4:4:4, so that the matrix itself is seen everywhere. */
static void test_matrix(void)
{
    static unsigned char plane[3][19 * 19];
    int matrix, full, y, i;
    for (matrix = 0; matrix < 4; matrix++)
        for (full = 0; full < 2; full++)
            for (y = 0; y < 256; y += 15) {
                yuv_format f;
                yuv_plane p[3];
                memset(&f, 0, sizeof f);
                memset(p, 0, sizeof p);
                f.matrix = matrix;
                f.full_range = full;
                f.depth = 8;
                for (i = 0; i < 18 * 18; i++) {
                    plane[0][i] = (unsigned char)y;
                    plane[1][i] = (unsigned char)(i % 18 * 15);
                    plane[2][i] = (unsigned char)(i / 18 * 15);
                }
                for (i = 0; i < 3; i++) {
                    p[i].data = plane[i];
                    p[i].stride = 18;
                }
                check_to_rgb(&f, p, 18, 18, "grid");
            }
}

static void test_from_rgb(void)
{
    static unsigned char rgb[MAX_W * 8 * 3], out[3][MAX_W * 8 + 1], again[3][MAX_W * 8 + 1];
    int matrix, full, sub, round;
    for (matrix = 0; matrix < 4; matrix++)
        for (full = 0; full < 2; full++)
            for (sub = 0; sub < 4; sub++)
                for (round = 0; round < 6; round++) {
                    yuv_format f;
                    const int width = round == 5 ? test_range(500, MAX_W) : test_range(1, 40), height = test_range(1, 8);
                    const double kr = red_blue[matrix][0], kb = red_blue[matrix][1];
                    const double luma = full ? 255 : 219, chroma = full ? 255 : 224, black = full ? 0 : 16;
                    int sx, sy, w, h, x, y, c;
                    double worst = 0;
                    unsigned char *plane[3];
                    ptrdiff_t stride[3];
                    size_t i;
                    memset(&f, 0, sizeof f);
                    f.matrix = matrix;
                    f.full_range = full;
                    f.log2_x = sub & 1;
                    f.log2_y = sub >> 1;
                    f.centre_x = test_range(0, 1);
                    f.centre_y = test_range(0, 1);
                    sx = 1 << f.log2_x;
                    sy = 1 << f.log2_y;
                    w = (width + sx - 1) / sx;
                    h = (height + sy - 1) / sy;
                    for (i = 0; i < sizeof rgb; i++) rgb[i] = (unsigned char)(round & 1 ? test_random() : (test_random() & 1) * 255);
                    memset(out, 77, sizeof out);
                    memset(again, 77, sizeof again);
                    for (c = 0; c < 3; c++) {
                        plane[c] = out[c];
                        stride[c] = c ? w : width;
                    }
                    yuv_from_rgb(&f, rgb, width * 3, width, height, plane, stride, 0, height);
                    for (c = 0; c < 3; c++) {
                        CHECK(out[c][stride[c] * (c ? h : height)] == 77);
                        plane[c] = again[c];
                    }
                    y = height / 2 & ~1;
                    yuv_from_rgb(&f, rgb, width * 3, width, height, plane, stride, y, height);
                    yuv_from_rgb(&f, rgb, width * 3, width, height, plane, stride, 0, y);
                    CHECK(memcmp(out, again, sizeof out) == 0);
                    for (y = 0; y < height; y++)
                        for (x = 0; x < width; x++) {
                            const unsigned char *s = rgb + (y * width + x) * 3;
                            const double want = black + luma * (kr * s[0] + (1 - kr - kb) * s[1] + kb * s[2]) / 255,
                                         d = fabs(out[0][y * width + x] - want);
                            if (d > worst) worst = d;
                        }
                    for (y = 0; y < h; y++)
                        for (x = 0; x < w; x++) {
                            static const double filter[3][3] = {{0, 1, 0}, {.25, .5, .25}, {0, .5, .5}};
                            const double *fx = filter[f.log2_x ? 1 + f.centre_x : 0], *fy = filter[f.log2_y ? 1 + f.centre_y : 0];
                            double m[3] = {0, 0, 0}, l, want[2];
                            int dx, dy;
                            for (dy = -1; dy < 2; dy++)
                                for (dx = -1; dx < 2; dx++)
                                    for (c = 0; c < 3; c++)
                                        m[c] += fx[dx + 1] * fy[dy + 1] *
                                                rgb[(clamp(y * sy + dy, 0, height - 1) * width + clamp(x * sx + dx, 0, width - 1)) * 3 + c];
                            l = kr * m[0] + (1 - kr - kb) * m[1] + kb * m[2];
                            want[0] = 128 + chroma * (m[2] - l) / (2 * (1 - kb)) / 255;
                            want[1] = 128 + chroma * (m[0] - l) / (2 * (1 - kr)) / 255;
                            for (c = 0; c < 2; c++) {
                                const double d = fabs(out[c + 1][y * w + x] - (want[c] > 255 ? 255 : want[c]));
                                if (d > worst) worst = d;
                            }
                        }
                    if (worst > worst_from) worst_from = worst;
                    CHECK_MSG(worst <= .51, "to yuv: matrix %d full %d chroma %d,%d centre %d,%d size %dx%d: off by %f", matrix, full, f.log2_x,
                              f.log2_y, f.centre_x, f.centre_y, width, height, worst);
                }
}

/* Grays keep neutral chroma and come back as they were; colours come back within what 8 bits of YUV can hold. */
static void test_round_trip(void)
{
    static unsigned char rgb[64 * 64 * 3], back[64 * 64 * 3], out[3][64 * 64];
    unsigned char *plane[3];
    ptrdiff_t stride[3] = {64, 64, 64};
    int matrix, full, i, c;
    for (c = 0; c < 3; c++) plane[c] = out[c];
    for (matrix = 0; matrix < 4; matrix++)
        for (full = 0; full < 2; full++) {
            yuv_format f;
            yuv_plane p[3];
            int worst = 0, gray = 0, neutral = 0;
            memset(&f, 0, sizeof f);
            memset(p, 0, sizeof p);
            f.matrix = matrix;
            f.full_range = full;
            f.depth = 8;
            for (c = 0; c < 3; c++) {
                p[c].data = out[c];
                p[c].stride = 64;
            }
            for (i = 0; i < 64 * 64 * 3; i++) rgb[i] = (unsigned char)test_random();
            for (i = 0; i < 256; i++) memset(rgb + 3 * i, i, 3);
            yuv_from_rgb(&f, rgb, 64 * 3, 64, 64, plane, stride, 0, 64);
            yuv_to_rgb(&f, p, 64, 64, back, 64 * 3, 0, 64);
            for (i = 0; i < 64 * 64 * 3; i++) {
                const int d = abs(rgb[i] - back[i]);
                if (i < 256 * 3 && d > gray) gray = d;
                if (d > worst) worst = d;
            }
            for (i = 0; i < 256; i++) neutral += out[1][i] == 128 && out[2][i] == 128;
            CHECK_MSG(neutral == 256, "matrix %d full %d: %d of 256 grays are neutral", matrix, full, neutral);
            CHECK_MSG(out[0][0] == (full ? 0 : 16) && out[0][255] == (full ? 255 : 235), "matrix %d full %d: black %d, white %d", matrix, full,
                      out[0][0], out[0][255]);
            CHECK_MSG(gray <= (full ? 0 : 1), "matrix %d full %d: grays come back off by %d", matrix, full, gray);
            CHECK_MSG(worst <= 3, "matrix %d full %d: colours come back off by %d", matrix, full, worst);
        }
}

static void test_rgb_samples(void)
{
    static const unsigned char deep[2][12] = {{0, 0, 255, 255, 0, 128, 128, 0, 1, 1, 127, 0}, {0, 0, 255, 255, 128, 0, 0, 128, 1, 1, 0, 127}};
    static const unsigned char want[6] = {0, 255, 128, 0, 1, 0}; /* round(v * 255 / 65535) of 0, 65535, 32768, 128, 257, 127 */
    static const unsigned char bgra[8] = {10, 20, 30, 0, 40, 50, 60, 128};
    unsigned char rgb[6];
    yuv_format f;
    yuv_plane p[3], a;
    int e, c;
    memset(&f, 0, sizeof f);
    memset(p, 0, sizeof p);
    for (e = 0; e < 2; e++) {
        f.depth = 16;
        f.big_endian = e;
        for (c = 0; c < 3; c++) {
            p[c].data = deep[e] + 2 * c;
            p[c].step = 6;
        }
        yuv_pack_rgb(&f, p, 2, rgb, 6, 0, 1);
        CHECK_MSG(memcmp(rgb, want, 6) == 0, "16-bit, order %d: %d %d %d %d %d %d", e, rgb[0], rgb[1], rgb[2], rgb[3], rgb[4], rgb[5]);
    }
    f.depth = 8;
    for (c = 0; c < 3; c++) {
        p[c].data = bgra + 2 - c;
        p[c].step = 4;
    }
    yuv_pack_rgb(&f, p, 2, rgb, 6, 0, 1);
    CHECK(rgb[0] == 30 && rgb[1] == 20 && rgb[2] == 10 && rgb[3] == 60 && rgb[5] == 40);
    a = p[0];
    a.data = bgra + 3;
    yuv_on_white(&f, &a, 2, rgb, 6, 0, 1);
    CHECK(rgb[0] == 255 && rgb[1] == 255 && rgb[2] == 255);
    CHECK(rgb[3] == 157 && rgb[4] == 152 && rgb[5] == 147); /* 60 * 128/255 + 127 and so on */
}

/* Whatever the processor chooses gives the bytes of the plain code. */
static void test_kernels(void)
{
    enum { BYTES = MAX_W * MAX_H * 3 };
    static unsigned char in[BYTES * 2], want[BYTES], got[BYTES];
    int round, i;
    for (round = 0; round < 150; round++) {
        const int width = test_range(1, round % 2 ? MAX_W : 40), height = test_range(1, MAX_H);
        unsigned char *to[2][3];
        ptrdiff_t stride[3];
        yuv_plane p[3];
        yuv_format f;
        memset(&f, 0, sizeof f);
        memset(p, 0, sizeof p);
        f.matrix = test_range(0, 3);
        f.full_range = test_range(0, 1);
        f.depth = round % 3 ? 8 : test_range(8, 16);
        f.log2_x = test_range(0, 1);
        f.log2_y = test_range(0, 1);
        f.centre_x = test_range(0, 1);
        f.centre_y = test_range(0, 1);
        for (i = 0; i < BYTES * 2; i++) in[i] = (unsigned char)test_range(0, 255);
        if (f.depth > 8)
            for (i = 1; i < BYTES * 2; i += 2) in[i] = (unsigned char)(in[i] & ((1 << (f.depth - 8)) - 1));
        for (i = 0; i < 3; i++) {
            stride[i] = width;
            p[i].data = in + i * (BYTES * 2 / 3);
            p[i].stride = width * (f.depth > 8 ? 2 : 1);
            to[0][i] = want + i * (BYTES / 3);
            to[1][i] = got + i * (BYTES / 3);
        }
        memset(want, 9, BYTES);
        memset(got, 9, BYTES);
        yuv__to_rgb_plain(&f, p, width, height, want, width * 3, 0, height);
        yuv_to_rgb(&f, p, width, height, got, width * 3, 0, height);
        CHECK_MSG(memcmp(want, got, BYTES) == 0, "to RGB: %d x %d, depth %d", width, height, f.depth);
        memset(want, 9, BYTES);
        memset(got, 9, BYTES);
        yuv__from_rgb_plain(&f, in, width * 3, width, height, to[0], stride, 0, height);
        yuv_from_rgb(&f, in, width * 3, width, height, to[1], stride, 0, height);
        CHECK_MSG(memcmp(want, got, BYTES) == 0, "from RGB: %d x %d", width, height);
    }
}

int main(void)
{
    test_kernels();
    test_to_rgb();
    test_matrix();
    test_from_rgb();
    test_round_trip();
    test_rgb_samples();
    printf("yuv: worst distance from the formulas %.4f to RGB, %.4f to YUV\n", worst_to, worst_from);
    return test_end("yuv");
}
