/* yuv.h - exact integer conversion between YUV video frames and packed 8-bit RGB.

   YUV to RGB reads any frame whose three components can be described by pointer, stride, step and shift: planar, semi-planar (nv12, p010)
   and packed (yuyv), 8 to 16 bits, 4:4:4 down to 4:1:0, gray. RGB to YUV writes 8-bit planes. No floating point, no tables, no memory of
   its own; a row of the result depends on nothing but the arguments, so rows may be shared out among threads.

   Arithmetic. Chroma is brought to full size by linear interpolation between the two nearest samples in each direction, weights in eighths,
   the outermost samples continued; the result is exact up to 12 bits and rounded to 1/128 of an 8-bit level above that. Luma and chroma
   then are 16-bit numbers (sample * 2^(15 - depth) - 2^14), one multiplication by a 3x3 matrix with 2^-20 as its unit and one rounding give
   R, G and B. Together that stays within 0.52 of a level of the real-number result (tests/unit/test_yuv.c).
   The other way the matrix has 2^-15 as its unit, its rows are adjusted so that grays give exactly 128 and white exactly the
   highest luma, and chroma is the mean of the RGB pixels under the filter 1-2-1 (a sample that sits on a pixel) or 1-1 (between two). */
#ifndef MOSAIC_UTIL_YUV_H
#define MOSAIC_UTIL_YUV_H

#include <stddef.h>
#include <string.h>

/* gcc leaves these loops alone at -O2. */
#if defined(__clang__)
#define YUV__FN __attribute__((unused)) static
#define YUV__INLINE static inline __attribute__((always_inline))
#elif defined(__GNUC__)
#define YUV__FN __attribute__((unused, optimize("O3"))) static
#define YUV__INLINE static inline __attribute__((always_inline, optimize("O3")))
#else
#define YUV__FN static
#define YUV__INLINE static inline
#endif
/* The two conversions of every frame are compiled twice, and the processor decides which is called: gcc does the same integer arithmetic
   two to four times as fast where it may use AVX2. */
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define YUV__TWICE 1
#else
#define YUV__TWICE 0
#endif

enum { YUV_BT601 = 0, YUV_BT709 = 1, YUV_BT2020 = 2, YUV_SMPTE240 = 3 };

typedef struct yuv_format {
    int matrix;         /* YUV_BT601 ... (constant luminance and ICtCp are not YUV in this sense) */
    int full_range;     /* 0: black and white at 16 and 235 (times 2^(depth-8)); 1: at 0 and 2^depth - 1 */
    int depth;          /* 8 to 16 bits a sample */
    int big_endian;     /* byte order of samples above 8 bits */
    int log2_x, log2_y; /* chroma subsampling: 0, 1 or 2 each (4:2:0 is 1, 1) */
    int centre_x;       /* 0: a chroma sample sits on the left one of its luma samples (MPEG-2 and later); 1: in their middle (JPEG) */
    int centre_y;       /* 0: on the upper one; 1: in the middle (usual) */
} yuv_format;

/* One component. data == NULL in planes 1 and 2 means gray. */
typedef struct yuv_plane {
    const unsigned char *data; /* first sample */
    ptrdiff_t stride;          /* bytes from row to row, may be negative */
    int step;                  /* bytes from sample to sample; 0 means tight (1 byte, or 2 above 8 bits) */
    int shift;                 /* unused low bits of a sample (p010: 6) */
} yuv_plane;

/* Rows first_row ... end_row - 1 of a frame of width x height pixels into rgb, which points at row 0. */
YUV__FN void yuv_to_rgb(const yuv_format *f, const yuv_plane plane[3], int width, int height, unsigned char *rgb, ptrdiff_t rgb_stride, int first_row,
                        int end_row);

/* Samples that are R, G and B already, only packed or deeper: of f depth and big_endian count. */
YUV__FN void yuv_pack_rgb(const yuv_format *f, const yuv_plane plane[3], int width, unsigned char *rgb, ptrdiff_t rgb_stride, int first_row,
                          int end_row);

/* Lays rgb over white with the opacity in `alpha` (of f depth and big_endian count). */
YUV__FN void yuv_on_white(const yuv_format *f, const yuv_plane *alpha, int width, unsigned char *rgb, ptrdiff_t rgb_stride, int first_row,
                          int end_row);

/* The other way, into three 8-bit planes (depth, big_endian are ignored; log2_x, log2_y at most 1; plane[1] == NULL: gray).
   first_row and end_row are even or the frame's ends. A chroma plane has (width + 1) / 2 columns and so on. */
YUV__FN void yuv_from_rgb(const yuv_format *f, const unsigned char *rgb, ptrdiff_t rgb_stride, int width, int height, unsigned char *const plane[3],
                          const ptrdiff_t stride[3], int first_row, int end_row);

/* ---------------------------------------------------------------------------------------------------------------------------------- */

enum { YUV__CHUNK = 512 }; /* pixels of a row worked on at a time, a multiple of every subsampling: all scratch fits the first cache */

static inline long long yuv__divide(long long a, long long b) /* a / b rounded to nearest, b > 0 */
{
    return a >= 0 ? (a + b / 2) / b : -((-a + b / 2) / b);
}

/* Weights of red and blue in luma, in 1/10000. */
static inline void yuv__weights(int matrix, int *kr, int *kb)
{
    static const short table[4][2] = {{2990, 1140}, {2126, 722}, {2627, 593}, {2120, 870}};
    *kr = table[matrix & 3][0];
    *kb = table[matrix & 3][1];
}

/* Linear interpolation at full-size position i (0 ... size - 1 within a sample's cell, or any row): index of the lower neighbour and
   the weight of the upper one in eighths. */
static inline int yuv__site(int i, int log2_size, int centre, int *weight)
{
    int twice = 2 << log2_size, n = 2 * i - (centre ? (1 << log2_size) - 1 : 0), lower = n < 0 ? -1 : n / twice;
    *weight = (n - lower * twice) * 8 / twice;
    return lower;
}

/* Samples first ... first + count - 1 of a row, those outside 0 ... limit - 1 continued from its ends. */
YUV__INLINE void yuv__load(const yuv_format *f, const yuv_plane *p, int row, int first, int count, int limit, unsigned short *out)
{
    const int mask = (1 << f->depth) - 1, shift = p->shift, low = first < 0 ? 0 : first, high = first + count < limit ? first + count : limit;
    const int bytes = f->depth + shift > 8 ? 2 : 1, step = p->step ? p->step : bytes;
    const unsigned char *s = p->data + row * p->stride + (ptrdiff_t)low * step;
    unsigned short *o = out + (low - first);
    int n = high - low, i;
    if (bytes == 1 && step == 1 && shift == 0)
        for (i = 0; i < n; i++) o[i] = s[i];
    else if (bytes == 1 && step == 2 && shift == 0)
        for (i = 0; i < n; i++) o[i] = s[2 * i];
    else if (bytes == 1)
        for (i = 0; i < n; i++) o[i] = (unsigned short)(s[i * step] >> shift & mask);
    else {
        int lo = f->big_endian ? 1 : 0, hi = 1 - lo;
        for (i = 0; i < n; i++) o[i] = (unsigned short)((s[i * step + lo] | s[i * step + hi] << 8) >> shift & mask);
    }
    for (i = first; i < low; i++) out[i - first] = o[0];
    for (i = high; i < first + count; i++) out[i - first] = o[n - 1];
}

/* One chroma plane's part of output row `row`, columns x0 ... x0 + n - 1: two rows mixed, then stretched to full width. The same lines serve
   8-bit samples in 16-bit lanes (nothing is rounded, all fits) and deeper ones in 32-bit lanes. */
#define YUV__DEFINE_CHROMA(name, lane, drop)                                                                                                         \
    YUV__INLINE void name(const yuv_format *f, const yuv_plane *p, int row, int x0, int n, int width, int height, short *out)                        \
    {                                                                                                                                                \
        unsigned short above[YUV__CHUNK + 2], below[YUV__CHUNK + 2];                                                                                 \
        lane mixed[YUV__CHUNK + 2];                                                                                                                  \
        const int size = 1 << f->log2_x, first = (x0 >> f->log2_x) - 1, count = ((n + size - 1) >> f->log2_x) + 2;                                   \
        const int columns = (width + size - 1) >> f->log2_x, rows = (height + (1 << f->log2_y) - 1) >> f->log2_y;                                    \
        const int unit = f->depth == 8 ? 2 : 1, shift = drop, half = (1 << shift) >> 1;                                                              \
        int wy, wx, phase, i, r = yuv__site(row, f->log2_y, f->centre_y, &wy);                                                                       \
        yuv__load(f, p, r < 0 ? 0 : r, first, count, columns, above);                                                                                \
        if (wy) {                                                                                                                                    \
            const lane wa = (lane)(unit * (8 - wy)), wb = (lane)(unit * wy);                                                                         \
            yuv__load(f, p, r + 1 < rows ? r + 1 : rows - 1, first, count, columns, below);                                                          \
            for (i = 0; i < count; i++) mixed[i] = (lane)(wa * above[i] + wb * below[i]);                                                            \
        } else {                                                                                                                                     \
            for (i = 0; i < count; i++) mixed[i] = (lane)(unit * 8 * above[i]);                                                                      \
        }                                                                                                                                            \
        if (size == 2) {                                                                                                                             \
            const int d0 = yuv__site(0, 1, f->centre_x, &wx) + 1;                                                                                    \
            const lane b0 = (lane)wx, a0 = (lane)(8 - wx);                                                                                           \
            const int d1 = yuv__site(1, 1, f->centre_x, &wx) + 1;                                                                                    \
            const lane b1 = (lane)wx, a1 = (lane)(8 - wx);                                                                                           \
            const lane *m0 = mixed + d0, *m1 = mixed + d1;                                                                                           \
            for (i = 0; i < (n + 1) / 2; i++) {                                                                                                      \
                out[2 * i] = (short)(((lane)(a0 * m0[i] + b0 * m0[i + 1] + half) >> shift) - 16384);                                                 \
                out[2 * i + 1] = (short)(((lane)(a1 * m1[i] + b1 * m1[i + 1] + half) >> shift) - 16384);                                             \
            }                                                                                                                                        \
        } else {                                                                                                                                     \
            for (phase = 0; phase < size; phase++) {                                                                                                 \
                const lane *m = mixed + yuv__site(phase, f->log2_x, f->centre_x, &wx) + 1;                                                           \
                const lane a = (lane)(8 - wx), b = (lane)wx;                                                                                         \
                for (i = 0; i < count - 2; i++) out[i * size + phase] = (short)(((lane)(a * m[i] + b * m[i + 1] + half) >> shift) - 16384);          \
            }                                                                                                                                        \
        }                                                                                                                                            \
    }
YUV__DEFINE_CHROMA(yuv__chroma16, short, 0)
YUV__DEFINE_CHROMA(yuv__chroma32, int, f->depth > 9 ? f->depth - 9 : 0)
#undef YUV__DEFINE_CHROMA

typedef struct yuv__decoder {
    short y, rv, gu, gv, bu; /* 2^-20 of an output level per 2^-15 of the sample range */
    int bias;                /* black level and the rounding half */
} yuv__decoder;

static inline yuv__decoder yuv__make_decoder(const yuv_format *f)
{
    yuv__decoder m;
    int kr, kb;
    /* output levels per step of the 15-bit number: gain / over for luma, gain / chroma for chroma, in 2^-20 */
    const long long top = 1ll << f->depth, gain = f->full_range ? 32 * 255 * top : 8192 * 255;
    const long long over = f->full_range ? top - 1 : 219, chroma = f->full_range ? top - 1 : 224;
    long long kg;
    yuv__weights(f->matrix, &kr, &kb);
    kg = 10000 - kr - kb;
    m.y = (short)yuv__divide(gain, over);
    m.rv = (short)yuv__divide(gain * (10000 - kr), chroma * 5000);
    m.bu = (short)yuv__divide(gain * (10000 - kb), chroma * 5000);
    m.gu = (short)yuv__divide(-gain * kb * (10000 - kb), chroma * kg * 5000);
    m.gv = (short)yuv__divide(-gain * kr * (10000 - kr), chroma * kg * 5000);
    m.bias = (int)(yuv__divide(gain * (f->full_range ? 16384 : 16384 - 2048), over) + (1 << 19));
    return m;
}

YUV__INLINE void yuv__decode_row(const yuv__decoder *m, const short *y, const short *u, const short *v, int n, unsigned char *rgb)
{
    unsigned char r[YUV__CHUNK], g[YUV__CHUNK], b[YUV__CHUNK];
    const short cy = m->y, rv = m->rv, gu = m->gu, gv = m->gv, bu = m->bu;
    const int bias = m->bias;
    int i;
    for (i = 0; i < n; i++) {
        int luma = cy * y[i] + bias;
        short cr = (short)((luma + rv * v[i]) >> 20), cg = (short)((luma + gu * u[i] + gv * v[i]) >> 20), cb = (short)((luma + bu * u[i]) >> 20);
        cr = (short)(cr < 0 ? 0 : cr), cg = (short)(cg < 0 ? 0 : cg), cb = (short)(cb < 0 ? 0 : cb);
        r[i] = (unsigned char)(cr > 255 ? 255 : cr);
        g[i] = (unsigned char)(cg > 255 ? 255 : cg);
        b[i] = (unsigned char)(cb > 255 ? 255 : cb);
    }
    for (i = 0; i < n; i++) rgb[3 * i] = r[i], rgb[3 * i + 1] = g[i], rgb[3 * i + 2] = b[i];
}

YUV__INLINE void yuv__to_rgb(const yuv_format *f, const yuv_plane plane[3], int width, int height, unsigned char *rgb, ptrdiff_t rgb_stride,
                             int first_row, int end_row)
{
    const yuv__decoder m = yuv__make_decoder(f);
    unsigned short samples[YUV__CHUNK];
    short y[YUV__CHUNK], u[YUV__CHUNK + 4], v[YUV__CHUNK + 4];
    int row, x, i;
    memset(u, 0, sizeof u);
    memset(v, 0, sizeof v);
    for (row = first_row; row < end_row; row++) {
        for (x = 0; x < width; x += YUV__CHUNK) {
            const int n = width - x < YUV__CHUNK ? width - x : YUV__CHUNK, up = 16 - f->depth;
            yuv__load(f, &plane[0], row, x, n, width, samples);
            for (i = 0; i < n; i++) y[i] = (short)((samples[i] << up >> 1) - 16384);
            if (plane[1].data && plane[2].data) {
                if (f->depth == 8) {
                    yuv__chroma16(f, &plane[1], row, x, n, width, height, u);
                    yuv__chroma16(f, &plane[2], row, x, n, width, height, v);
                } else {
                    yuv__chroma32(f, &plane[1], row, x, n, width, height, u);
                    yuv__chroma32(f, &plane[2], row, x, n, width, height, v);
                }
            }
            yuv__decode_row(&m, y, u, v, n, rgb + row * rgb_stride + (ptrdiff_t)x * 3);
        }
    }
}

#define YUV__DEFINE_TO_RGB(name, attributes)                                                                                                         \
    attributes YUV__FN void name(const yuv_format *f, const yuv_plane plane[3], int width, int height, unsigned char *rgb, ptrdiff_t rgb_stride,     \
                                 int first_row, int end_row)                                                                                         \
    {                                                                                                                                                \
        yuv__to_rgb(f, plane, width, height, rgb, rgb_stride, first_row, end_row);                                                                   \
    }
YUV__DEFINE_TO_RGB(yuv__to_rgb_plain, )
#if YUV__TWICE
YUV__DEFINE_TO_RGB(yuv__to_rgb_avx2, __attribute__((target("avx2"))))
#endif
#undef YUV__DEFINE_TO_RGB

YUV__FN void yuv_to_rgb(const yuv_format *f, const yuv_plane plane[3], int width, int height, unsigned char *rgb, ptrdiff_t rgb_stride, int first_row,
                        int end_row)
{
#if YUV__TWICE
    if (__builtin_cpu_supports("avx2")) {
        yuv__to_rgb_avx2(f, plane, width, height, rgb, rgb_stride, first_row, end_row);
        return;
    }
#endif
    yuv__to_rgb_plain(f, plane, width, height, rgb, rgb_stride, first_row, end_row);
}

YUV__FN void yuv_pack_rgb(const yuv_format *f, const yuv_plane plane[3], int width, unsigned char *rgb, ptrdiff_t rgb_stride, int first_row,
                          int end_row)
{
    const unsigned top = (1u << f->depth) - 1;
    unsigned short samples[YUV__CHUNK];
    int row, x, c, i;
    for (row = first_row; row < end_row; row++) {
        for (x = 0; x < width; x += YUV__CHUNK) {
            const int n = width - x < YUV__CHUNK ? width - x : YUV__CHUNK;
            unsigned char *out = rgb + row * rgb_stride + (ptrdiff_t)x * 3;
            for (c = 0; c < 3; c++) {
                yuv__load(f, &plane[c], row, x, n, width, samples);
                if (f->depth == 8)
                    for (i = 0; i < n; i++) out[3 * i + c] = (unsigned char)samples[i];
                else
                    for (i = 0; i < n; i++) out[3 * i + c] = (unsigned char)((samples[i] * 255u + top / 2) / top);
            }
        }
    }
}

YUV__FN void yuv_on_white(const yuv_format *f, const yuv_plane *alpha, int width, unsigned char *rgb, ptrdiff_t rgb_stride, int first_row,
                          int end_row)
{
    const unsigned top = (1u << f->depth) - 1;
    unsigned short samples[YUV__CHUNK];
    int row, x, i;
    for (row = first_row; row < end_row; row++) {
        for (x = 0; x < width; x += YUV__CHUNK) {
            const int n = width - x < YUV__CHUNK ? width - x : YUV__CHUNK;
            unsigned char *out = rgb + row * rgb_stride + (ptrdiff_t)x * 3;
            yuv__load(f, alpha, row, x, n, width, samples);
            for (i = 0; i < 3 * n; i++) out[i] = (unsigned char)((out[i] * samples[i / 3] + 255 * (top - samples[i / 3]) + top / 2) / top);
        }
    }
}

/* Rows of the matrix from RGB in 2^-15: luma's sum to the luma range over 255, the chroma ones to nothing. */
typedef struct yuv__encoder {
    short y[3], u[3], v[3];
    int black;
} yuv__encoder;

static inline yuv__encoder yuv__make_encoder(const yuv_format *f)
{
    yuv__encoder m;
    int kr, kb;
    long long one = 32768, luma = f->full_range ? 255 : 219, chroma = f->full_range ? 255 : 224;
    yuv__weights(f->matrix, &kr, &kb);
    m.black = f->full_range ? 0 : 16;
    m.y[0] = (short)yuv__divide(one * luma * kr, 255 * 10000);
    m.y[2] = (short)yuv__divide(one * luma * kb, 255 * 10000);
    m.y[1] = (short)(f->full_range ? one - m.y[0] - m.y[2] : yuv__divide(one * luma, 255) - m.y[0] - m.y[2]);
    m.u[2] = (short)yuv__divide(one * chroma, 255 * 2);
    m.u[0] = (short)yuv__divide(-one * chroma * kr, 255 * 2 * (10000 - kb));
    m.u[1] = (short)(-m.u[2] - m.u[0]);
    m.v[0] = (short)yuv__divide(one * chroma, 255 * 2);
    m.v[2] = (short)yuv__divide(-one * chroma * kb, 255 * 2 * (10000 - kr));
    m.v[1] = (short)(-m.v[0] - m.v[2]);
    return m;
}

/* n pixels from column x on (outside columns continue the row's ends) as three arrays. */
YUV__INLINE void yuv__split(const unsigned char *row, int x, int n, int width, short *r, short *g, short *b)
{
    const int low = x < 0 ? -x : 0, high = x + n < width ? n : width - x;
    const unsigned char *s = row + 3 * (ptrdiff_t)(x + low);
    int i;
    for (i = low; i < high; i++, s += 3) r[i] = s[0], g[i] = s[1], b[i] = s[2];
    for (i = 0; i < low; i++) r[i] = r[low], g[i] = g[low], b[i] = b[low];
    for (i = high; i < n; i++) r[i] = r[high - 1], g[i] = g[high - 1], b[i] = b[high - 1];
}

/* One chroma row from vertically summed pixels, whose column 0 is one left of the chunk; the weights of both directions sum to 16. */
YUV__INLINE void yuv__encode_chroma(const short c[3], const short *r, const short *g, const short *b, const short w[3], int step, int n,
                                    unsigned char *out)
{
    const short c0 = c[0], c1 = c[1], c2 = c[2], w0 = w[0], w1 = w[1], w2 = w[2];
    int i, k;
    for (i = 0, k = 0; i < n; i++, k += step) {
        short sr = (short)(w0 * r[k] + w1 * r[k + 1] + w2 * r[k + 2]);
        short sg = (short)(w0 * g[k] + w1 * g[k + 1] + w2 * g[k + 2]);
        short sb = (short)(w0 * b[k] + w1 * b[k + 1] + w2 * b[k + 2]);
        int sum = (c0 * sr + c1 * sg + c2 * sb + (1 << 18)) >> 19; /* 15 bits of the matrix and 4 of the weights */
        sum += 128;
        out[i] = (unsigned char)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}

YUV__INLINE void yuv__from_rgb(const yuv_format *f, const unsigned char *rgb, ptrdiff_t rgb_stride, int width, int height,
                               unsigned char *const plane[3], const ptrdiff_t stride[3], int first_row, int end_row)
{
    static const short filter[3][3] = {{0, 4, 0}, {1, 2, 1}, {0, 2, 2}}; /* no subsampling, on a pixel, between two */
    const yuv__encoder m = yuv__make_encoder(f);
    const short *wx = filter[f->log2_x ? 1 + (f->centre_x != 0) : 0], *wy = filter[f->log2_y ? 1 + (f->centre_y != 0) : 0];
    const int size_x = 1 << f->log2_x, size_y = 1 << f->log2_y;
    short pixel[3][YUV__CHUNK + 2], sum[3][YUV__CHUNK + 2];
    int top, x, k, i, c;
    for (top = first_row; top < end_row; top += size_y) {
        for (x = 0; x < width; x += YUV__CHUNK) {
            const int n = width - x < YUV__CHUNK ? width - x : YUV__CHUNK;
            memset(sum, 0, sizeof sum);
            for (k = -1; k < 2; k++) {
                int row = top + k, luma = k >= 0 && k < size_y && row < end_row;
                if (!luma && !wy[k + 1]) continue;
                row = row < 0 ? 0 : row < height ? row : height - 1;
                yuv__split(rgb + row * rgb_stride, x - 1, n + 2, width, pixel[0], pixel[1], pixel[2]);
                if (luma) {
                    unsigned char *out = plane[0] + row * stride[0] + x;
                    const short cr = m.y[0], cg = m.y[1], cb = m.y[2];
                    const int bias = m.black * 32768 + 16384;
                    for (i = 0; i < n; i++)
                        out[i] = (unsigned char)((cr * pixel[0][i + 1] + cg * pixel[1][i + 1] + cb * pixel[2][i + 1] + bias) >> 15);
                }
                for (c = 0; c < 3; c++) {
                    const short w = wy[k + 1];
                    for (i = 0; i < n + 2; i++) sum[c][i] = (short)(sum[c][i] + w * pixel[c][i]);
                }
            }
            if (plane[1] && plane[2]) {
                const int columns = (n + size_x - 1) >> f->log2_x;
                const ptrdiff_t row = top >> f->log2_y, at = x >> f->log2_x;
                yuv__encode_chroma(m.u, sum[0], sum[1], sum[2], wx, size_x, columns, plane[1] + row * stride[1] + at);
                yuv__encode_chroma(m.v, sum[0], sum[1], sum[2], wx, size_x, columns, plane[2] + row * stride[2] + at);
            }
        }
    }
}

#define YUV__DEFINE_FROM_RGB(name, attributes)                                                                                                       \
    attributes YUV__FN void name(const yuv_format *f, const unsigned char *rgb, ptrdiff_t rgb_stride, int width, int height,                         \
                                 unsigned char *const plane[3], const ptrdiff_t stride[3], int first_row, int end_row)                               \
    {                                                                                                                                                \
        yuv__from_rgb(f, rgb, rgb_stride, width, height, plane, stride, first_row, end_row);                                                         \
    }
YUV__DEFINE_FROM_RGB(yuv__from_rgb_plain, )
#if YUV__TWICE
YUV__DEFINE_FROM_RGB(yuv__from_rgb_avx2, __attribute__((target("avx2"))))
#endif
#undef YUV__DEFINE_FROM_RGB

YUV__FN void yuv_from_rgb(const yuv_format *f, const unsigned char *rgb, ptrdiff_t rgb_stride, int width, int height, unsigned char *const plane[3],
                          const ptrdiff_t stride[3], int first_row, int end_row)
{
#if YUV__TWICE
    if (__builtin_cpu_supports("avx2")) {
        yuv__from_rgb_avx2(f, rgb, rgb_stride, width, height, plane, stride, first_row, end_row);
        return;
    }
#endif
    yuv__from_rgb_plain(f, rgb, rgb_stride, width, height, plane, stride, first_row, end_row);
}

#endif
