/* measure.h - how good a mosaic video is: black-box figures from the source, the finished video and the grid. No files, no video: frames come
   in as packed RGB, one after another, and figures come out. Include mosaic_ssim.h before (with its implementation, or link it).

   The source is cropped (centred) to the mosaic's shape, or stretched to it. A cell picture is the luma of a cell averaged down to 24x24 without its outer
   3 pixels, less its mean, with length 1; two cells show the same photograph when the dot product is at least 0.8. Optical flow of the source, cropped
   alike, is given from outside; a pixel of it is consistent when the way back and forth again misses by less than a pixel.

     ssim3         source and mosaic at 3x3 pixels a cell: SSIM of the luma, mean over frames
     de3           the same two pictures: mean CIEDE2000, every 4th frame
     churn         share of cells whose photograph is another than one frame before, mean over frames; cuts left out
     flow_churn    the same, compared with the cell that the content came from
     far_churn     the same over 12 frames, following the flow, over all cells of every 3rd frame
     far_follow    of the cells of far_churn whose content moved a whole cell or more: share that show the photograph the content had
     repeat4       share of cells with the same photograph (0.9) at another cell within 4 rows and columns; every 12th frame
     ewarp         mean change of the mosaic along the source's motion, over the same for the source; consistent pixels, at the flow's size
     cuts          pairs of frames with less than 30 % consistent pixels; without flow those that the placements name
     photo_ncc     mean correlation of a cell's luma with its own photograph's; without placements with the most similar one of the pool, in the first frame
     contrast      mean ratio of the luma spread of a cell to its photograph's, likewise
   and from placements
     photo_churn   share of cells with another photo than one frame before, variants not told apart; cuts left out
     repaint_rate  share of cells with another photo or variant than one frame before; cuts left out
     distinct_photos  different photos in a frame, mean
     most_uses     most cells with the same photo in one frame
     nearest_copy  smallest distance between two cells with the same photo in one frame, max(rows, columns) apart

   A grid that moves is followed: cells are counted where they are in that frame, only whole ones, and one frame's cell (c, r) is compared with the cell of the
   frame before that has moved to its place: which one that is, the jump of the origin tells, so a grid may go half a cell a frame at most. cols and rows
   stay the same; cells out of sight have photo -1. Figures that nothing could be measured for are NAN. */
#ifndef MOSAIC_UTIL_MEASURE_H
#define MOSAIC_UTIL_MEASURE_H

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEASURE_SIDE = 24,
    MEASURE_EDGE = 3,
    MEASURE_INNER = MEASURE_SIDE - 2 * MEASURE_EDGE,
    MEASURE_SIZE = MEASURE_INNER * MEASURE_INNER,
    MEASURE_FAR = 12
};

typedef struct measure_cell {
    float v[MEASURE_SIZE]; /* mean 0, length 1; all 0 when the cell is flat */
    double spread;         /* standard deviation before that */
    int whole;             /* 0: sticks out of the picture, not to be used */
} measure_cell;

typedef struct measure_setup {
    int source_width, source_height; /* of the source's frames */
    int width, height;               /* of the mosaic's */
    int cols, rows;
    double cell_width, cell_height; /* in pixels of the mosaic */
    int stretch;                    /* 1: the source was stretched to the mosaic's shape, 0: cropped */
    int flow_width, flow_height;    /* 0: no flow will be given */
    const measure_cell *photo;      /* the pool, for photo_ncc and contrast, or NULL */
    int photos;
} measure_setup;

typedef struct measure_placement { /* of one frame */
    double origin_x, origin_y;     /* where cell (0, 0) begins, in pixels */
    const int *photo;              /* cols * rows indices, row by row */
    const int *variant;            /* likewise, or NULL */
    const unsigned char *shown; /* indexed by variant: 1 if mirrored, and 2 for each quarter that it was turned by, clockwise, before; NULL: all 0 */
    int cut;
} measure_placement;

typedef struct measure_figures {
    long frames;
    double ssim3, de3, churn, flow_churn, far_churn, far_follow, repeat4, ewarp, photo_ncc, contrast, cuts;
    double photo_churn, repaint_rate, distinct_photos, most_uses, nearest_copy;
} measure_figures;

typedef struct measure measure;

/* NULL when the memory is not there. */
static measure *measure_open(const measure_setup *setup);
/* The next frame. flow points to four arrays of flow_width * flow_height vectors in 1/64 pixel: forward[x, y] from the frame before to this one,
   backward from this one to the frame before; NULL in the first frame or without flow. placement may be NULL. 0 when the memory is not there. */
static int measure_frame(measure *m, const unsigned char *source, const unsigned char *mosaic, const short *forward, const short *backward,
                         const measure_placement *placement);
static measure_figures measure_result(const measure *m);
static void measure_close(measure *m);

/* ---- colour ---- */

/* CIE L*a*b* (D65, 2 degrees) of an 8-bit sRGB colour. */
static inline void measure_lab(const unsigned char rgb[3], double lab[3])
{
    static const double matrix[3][3] = {{.412453, .357580, .180423}, {.212671, .715160, .072169}, {.019334, .119193, .950227}};
    static const double white[3] = {.95047, 1, 1.08883};
    double linear[3], f[3];
    int i;
    for (i = 0; i < 3; i++) {
        const double v = rgb[i] / 255.;
        linear[i] = v > .04045 ? pow((v + .055) / 1.055, 2.4) : v / 12.92;
    }
    for (i = 0; i < 3; i++) {
        const double t = (matrix[i][0] * linear[0] + matrix[i][1] * linear[1] + matrix[i][2] * linear[2]) / white[i];
        f[i] = t > 216. / 24389 ? cbrt(t) : (24389. / 27 * t + 16) / 116;
    }
    lab[0] = 116 * f[1] - 16;
    lab[1] = 500 * (f[0] - f[1]);
    lab[2] = 200 * (f[1] - f[2]);
}

static inline double measure__hue(double a, double b) /* degrees, 0 ... 360 */
{
    const double h = a == 0 && b == 0 ? 0 : atan2(b, a) * (180 / 3.14159265358979323846);
    return h < 0 ? h + 360 : h;
}

/* The CIEDE2000 colour difference (CIE 142-2001, all weights 1). */
static inline double measure_ciede2000(const double one[3], const double two[3])
{
    const double degree = 3.14159265358979323846 / 180, high = 6103515625.; /* 25^7 */
    const double mean_c = (sqrt(one[1] * one[1] + one[2] * one[2]) + sqrt(two[1] * two[1] + two[2] * two[2])) / 2, c7 = pow(mean_c, 7);
    const double stretch = 1 + .5 * (1 - sqrt(c7 / (c7 + high)));
    const double a1 = one[1] * stretch, a2 = two[1] * stretch;
    const double c1 = sqrt(a1 * a1 + one[2] * one[2]), c2 = sqrt(a2 * a2 + two[2] * two[2]);
    const double h1 = measure__hue(a1, one[2]), h2 = measure__hue(a2, two[2]);
    double turn = 0, hue = h1 + h2, l, c, t, dl, dc, dh, sl, sc, sh, rt, l50, top7;
    if (c1 * c2 != 0) { /* the hue of a gray says nothing */
        turn = h2 - h1;
        if (turn > 180) turn -= 360;
        if (turn < -180) turn += 360;
        hue = fabs(h1 - h2) <= 180 ? (h1 + h2) / 2 : h1 + h2 < 360 ? (h1 + h2 + 360) / 2 : (h1 + h2 - 360) / 2;
    }
    dl = two[0] - one[0];
    dc = c2 - c1;
    dh = 2 * sqrt(c1 * c2) * sin(turn / 2 * degree);
    l = (one[0] + two[0]) / 2;
    c = (c1 + c2) / 2;
    t = 1 - .17 * cos((hue - 30) * degree) + .24 * cos(2 * hue * degree) + .32 * cos((3 * hue + 6) * degree) - .2 * cos((4 * hue - 63) * degree);
    l50 = (l - 50) * (l - 50);
    sl = 1 + .015 * l50 / sqrt(20 + l50);
    sc = 1 + .045 * c;
    sh = 1 + .015 * c * t;
    top7 = pow(c, 7);
    rt = -2 * sqrt(top7 / (top7 + high)) * sin(60 * exp(-((hue - 275) / 25) * ((hue - 275) / 25)) * degree);
    return sqrt(dl / sl * (dl / sl) + dc / sc * (dc / sc) + dh / sh * (dh / sh) + rt * (dc / sc) * (dh / sh));
}

/* Luma of packed RGB, BT.601 weights. */
static inline void measure_luma(const unsigned char *rgb, size_t pixels, unsigned char *luma)
{
    size_t i;
    for (i = 0; i < pixels; i++) luma[i] = (unsigned char)((299u * rgb[3 * i] + 587u * rgb[3 * i + 1] + 114u * rgb[3 * i + 2] + 500) / 1000);
}

/* ---- area reduction ---- */

typedef struct measure__axis {
    int size, taps;
    int *first;    /* per output sample the first input sample */
    float *weight; /* taps per output sample */
} measure__axis;

typedef struct measure_scaler {
    measure__axis x, y;
    int in_width, channels;
    float *row;
} measure_scaler;

/* `size` samples over the input's stretch from ... to (of 0 ... in): each the mean of the input under it. */
static inline int measure__axis_open(measure__axis *a, int in, double from, double to, int size)
{
    const double scale = (to - from) / size;
    int i, k;
    a->size = size;
    a->taps = (int)ceil(scale) + 1;
    if (a->taps > in) a->taps = in;
    a->first = (int *)malloc(sizeof *a->first * (size_t)size);
    a->weight = (float *)malloc(sizeof *a->weight * (size_t)size * (size_t)a->taps);
    if (!a->first || !a->weight) return 0;
    for (i = 0; i < size; i++) {
        const double low = from + i * scale, high = from + (i + 1) * scale;
        int first = (int)floor(low + 1e-9);
        double sum = 0;
        if (first > in - a->taps) first = in - a->taps;
        if (first < 0) first = 0;
        for (k = 0; k < a->taps; k++) {
            const double w = fmax(0, fmin(high, first + k + 1) - fmax(low, first + k));
            a->weight[i * a->taps + k] = (float)w;
            sum += w;
        }
        for (k = 0; k < a->taps; k++) a->weight[i * a->taps + k] = (float)((double)a->weight[i * a->taps + k] / sum);
        a->first[i] = first;
    }
    return 1;
}

static inline void measure_scaler_close(measure_scaler *s)
{
    free(s->x.first);
    free(s->x.weight);
    free(s->y.first);
    free(s->y.weight);
    free(s->row);
    memset(s, 0, sizeof *s);
}

/* For the rectangle x0 ... x1, y0 ... y1 of pictures of in_width x in_height. 0 when the memory is not there. */
static inline int measure_scaler_open(measure_scaler *s, int in_width, int in_height, double x0, double y0, double x1, double y1, int width,
                                      int height, int channels)
{
    memset(s, 0, sizeof *s);
    s->in_width = in_width;
    s->channels = channels;
    s->row = (float *)malloc(sizeof *s->row * (size_t)in_width * (size_t)channels);
    if (s->row && measure__axis_open(&s->x, in_width, x0, x1, width) && measure__axis_open(&s->y, in_height, y0, y1, height)) return 1;
    measure_scaler_close(s);
    return 0;
}

static inline void measure_scale(const measure_scaler *s, const unsigned char *in, unsigned char *out)
{
    const size_t row_size = (size_t)s->in_width * (size_t)s->channels;
    float *const row = s->row;
    size_t i;
    int x, y, k, c;
    for (y = 0; y < s->y.size; y++) {
        for (i = 0; i < row_size; i++) row[i] = 0;
        for (k = 0; k < s->y.taps; k++) {
            const float w = s->y.weight[y * s->y.taps + k];
            const unsigned char *p = in + (size_t)(s->y.first[y] + k) * row_size;
            if (w > 0)
                for (i = 0; i < row_size; i++) row[i] += w * (float)p[i];
        }
        for (x = 0; x < s->x.size; x++) {
            const float *w = s->x.weight + x * s->x.taps, *p = row + s->x.first[x] * s->channels;
            for (c = 0; c < s->channels; c++) {
                float sum = .5f;
                for (k = 0; k < s->x.taps; k++) sum += w[k] * p[k * s->channels + c];
                *out++ = (unsigned char)sum;
            }
        }
    }
}

/* The centred part of a picture that has the shape width : height. */
static inline void measure_crop(int in_width, int in_height, double width, double height, int stretch, double box[4])
{
    double w = in_width, h = in_height;
    if (!stretch && w * height > h * width)
        w = h * width / height;
    else if (!stretch)
        h = w * height / width;
    box[0] = (in_width - w) / 2;
    box[1] = (in_height - h) / 2;
    box[2] = box[0] + w;
    box[3] = box[1] + h;
}

/* ---- cell pictures ---- */

/* The cell picture of a block of 24x24 luma values. */
static inline void measure_cell_of(const unsigned char *luma, ptrdiff_t stride, measure_cell *cell)
{
    double sum = 0, squares = 0, mean, length;
    int x, y, i = 0;
    for (y = MEASURE_EDGE; y < MEASURE_SIDE - MEASURE_EDGE; y++)
        for (x = MEASURE_EDGE; x < MEASURE_SIDE - MEASURE_EDGE; x++) {
            const double v = luma[y * stride + x];
            sum += v;
            squares += v * v;
        }
    mean = sum / MEASURE_SIZE;
    length = sqrt(fmax(0, squares - sum * mean));
    for (y = MEASURE_EDGE; y < MEASURE_SIDE - MEASURE_EDGE; y++)
        for (x = MEASURE_EDGE; x < MEASURE_SIDE - MEASURE_EDGE; x++) cell->v[i++] = length > 0 ? (float)((luma[y * stride + x] - mean) / length) : 0;
    cell->spread = length / sqrt(MEASURE_SIZE);
    cell->whole = 1;
}

/* The same of a photograph, cropped to the shape of a cell. 0 when the memory is not there. */
static inline int measure_photo(const unsigned char *rgb, int width, int height, double cell_width, double cell_height, measure_cell *cell)
{
    unsigned char *luma = (unsigned char *)malloc((size_t)width * (size_t)height), small_one[MEASURE_SIDE * MEASURE_SIDE];
    measure_scaler s;
    double box[4];
    int ok;
    measure_crop(width, height, cell_width, cell_height, 0, box);
    ok = measure_scaler_open(&s, width, height, box[0], box[1], box[2], box[3], MEASURE_SIDE, MEASURE_SIDE, 1);
    if (luma && ok) {
        measure_luma(rgb, (size_t)width * (size_t)height, luma);
        measure_scale(&s, luma, small_one);
        measure_cell_of(small_one, MEASURE_SIDE, cell);
    }
    if (ok) measure_scaler_close(&s);
    ok = ok && luma;
    free(luma);
    return ok;
}

/* shown: how b stands in a, as in measure_placement. */
static inline double measure_similarity(const measure_cell *a, const measure_cell *b, int shown)
{
    const int mirrored = shown & 1, last = MEASURE_INNER - 1;
    float sum[MEASURE_INNER];
    double total = 0;
    int x, y;
    if (shown > 1) {
        for (y = 0; y <= last; y++)
            for (x = 0; x <= last; x++) {
                const int in = mirrored ? last - x : x, at_x = shown / 2 == 1 ? y : shown / 2 == 2 ? last - in : last - y;
                const int at_y = shown / 2 == 1 ? last - in : shown / 2 == 2 ? last - y : in;
                total += (double)(a->v[y * MEASURE_INNER + x] * b->v[at_y * MEASURE_INNER + at_x]);
            }
        return total;
    }
    memset(sum, 0, sizeof sum);
    for (y = 0; y < MEASURE_INNER; y++) {
        const float *p = a->v + y * MEASURE_INNER, *q = b->v + y * MEASURE_INNER;
        if (mirrored)
            for (x = 0; x < MEASURE_INNER; x++) sum[x] += p[x] * q[MEASURE_INNER - 1 - x];
        else
            for (x = 0; x < MEASURE_INNER; x++) sum[x] += p[x] * q[x];
    }
    for (x = 0; x < MEASURE_INNER; x++) total += (double)sum[x];
    return total;
}

/* Flat cells have nothing to tell them apart. */
static inline int measure_same(const measure_cell *a, const measure_cell *b)
{
    return measure_similarity(a, b, 0) >= .8 || (a->spread <= 0 && b->spread <= 0);
}

/* ---- flow ---- */

static inline void measure__vector(const short *flow, int width, int height, double x, double y, double out[2])
{
    const double fx = fmin(fmax(x, 0), width - 1), fy = fmin(fmax(y, 0), height - 1);
    const int x0 = (int)fx, y0 = (int)fy, x1 = x0 + 1 < width ? x0 + 1 : x0, y1 = y0 + 1 < height ? y0 + 1 : y0;
    const double tx = fx - x0, ty = fy - y0;
    int c;
    for (c = 0; c < 2; c++) {
        const double top = flow[2 * (y0 * width + x0) + c] * (1 - tx) + flow[2 * (y0 * width + x1) + c] * tx;
        const double bottom = flow[2 * (y1 * width + x0) + c] * (1 - tx) + flow[2 * (y1 * width + x1) + c] * tx;
        out[c] = (top * (1 - ty) + bottom * ty) / 64;
    }
}

/* Marks the consistent pixels of `to`; returns their share. */
static inline double measure_consistent(const short *to, const short *back, int width, int height, unsigned char *ok)
{
    size_t good = 0;
    int x, y;
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++) {
            const short *v = to + 2 * (y * width + x);
            const double qx = x + v[0] / 64., qy = y + v[1] / 64.;
            double b[2];
            unsigned char fine = 0;
            if (qx >= 0 && qy >= 0 && qx <= width - 1 && qy <= height - 1) {
                measure__vector(back, width, height, qx, qy, b);
                b[0] += v[0] / 64.;
                b[1] += v[1] / 64.;
                fine = b[0] * b[0] + b[1] * b[1] < 1;
            }
            ok[y * width + x] = fine;
            good += fine;
        }
    return (double)good / ((double)width * height);
}

/* Mean absolute difference between a picture and the one before, fetched along `to`, over the marked pixels. */
static inline double measure_warp_error(const unsigned char *now, const unsigned char *before, const short *to, const unsigned char *ok, int width,
                                        int height)
{
    double sum = 0;
    size_t n = 0;
    int x, y, c;
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++) {
            const int i = y * width + x;
            if (ok[i]) {
                const double fx = x + to[2 * i] / 64., fy = y + to[2 * i + 1] / 64.;
                const int x0 = (int)fx, y0 = (int)fy, dx = x0 + 1 < width ? 3 : 0, dy = y0 + 1 < height ? 3 * width : 0;
                const double tx = fx - x0, ty = fy - y0;
                const unsigned char *p = before + 3 * (y0 * width + x0);
                for (c = 0; c < 3; c++) {
                    const double v = (p[c] * (1 - tx) + p[c + dx] * tx) * (1 - ty) + (p[c + dy] * (1 - tx) + p[c + dx + dy] * tx) * ty;
                    sum += fabs(now[3 * i + c] - v);
                }
                n += 3;
            }
        }
    return n ? sum / (double)n : 0;
}

/* ---- the whole ---- */

typedef struct measure__mean {
    double sum, count;
} measure__mean;

typedef struct measure__moment { /* what is kept of a frame */
    measure_cell *cell;
    double origin_x, origin_y;
    short *backward; /* to the frame before */
    unsigned char *ok;
    int has_flow, cut;
} measure__moment;

struct measure {
    measure_setup set;
    double box[4]; /* of the source */
    long frames;
    measure__moment past[MEASURE_FAR + 1]; /* frame t in past[t % 13] */
    measure_scaler source_flow, mosaic_flow;
    unsigned char *luma, *cells, *reduced[2], *gray[2], *flow_source[2], *flow_mosaic[2]; /* [0] of this frame, [1] of the one before */
    int *photo, *variant, *uses;                                                          /* of the frame before; counts */
    int has_placement, knows_cuts, max_photo;
    measure__mean ssim3, de3, churn, flow_churn, far_churn, far_follow, repeat4, warp_mosaic, warp_source, ncc, contrast, photo_churn, repaint,
        distinct;
    long cuts, most_uses, nearest_copy;
};

static inline void measure__add(measure__mean *m, double value)
{
    m->sum += value;
    m->count++;
}

static inline measure *measure_open(const measure_setup *setup)
{
    measure *m = (measure *)calloc(1, sizeof *m);
    const size_t cells = (size_t)setup->cols * (size_t)setup->rows, flow = (size_t)setup->flow_width * (size_t)setup->flow_height;
    int i, ok = m != NULL;
    if (!m) return NULL;
    m->set = *setup;
    measure_crop(setup->source_width, setup->source_height, setup->width, setup->height, setup->stretch, m->box);
    ok = ok && (m->luma = (unsigned char *)malloc((size_t)setup->width * (size_t)setup->height)) != NULL;
    ok = ok && (m->cells = (unsigned char *)malloc(cells * MEASURE_SIDE * MEASURE_SIDE)) != NULL;
    ok = ok && (m->photo = (int *)malloc(cells * sizeof(int))) != NULL && (m->variant = (int *)calloc(cells, sizeof(int))) != NULL;
    for (i = 0; i < 2; i++) {
        ok = ok && (m->reduced[i] = (unsigned char *)malloc(cells * 27)) != NULL && (m->gray[i] = (unsigned char *)malloc(cells * 9)) != NULL;
        ok = ok && (m->flow_source[i] = (unsigned char *)malloc(flow * 3 + 1)) != NULL &&
             (m->flow_mosaic[i] = (unsigned char *)malloc(flow * 3 + 1)) != NULL;
    }
    for (i = 0; i <= MEASURE_FAR; i++) {
        ok = ok && (m->past[i].cell = (measure_cell *)malloc(cells * sizeof(measure_cell))) != NULL;
        ok = ok && (m->past[i].backward = (short *)malloc(flow * 2 * sizeof(short) + 1)) != NULL;
        ok = ok && (m->past[i].ok = (unsigned char *)malloc(flow + 1)) != NULL;
    }
    if (flow) {
        ok = ok && measure_scaler_open(&m->source_flow, setup->source_width, setup->source_height, m->box[0], m->box[1], m->box[2], m->box[3],
                                       setup->flow_width, setup->flow_height, 3);
        ok = ok && measure_scaler_open(&m->mosaic_flow, setup->width, setup->height, 0, 0, setup->width, setup->height, setup->flow_width,
                                       setup->flow_height, 3);
    }
    if (ok) return m;
    measure_close(m);
    return NULL;
}

static inline void measure_close(measure *m)
{
    int i;
    if (!m) return;
    for (i = 0; i <= MEASURE_FAR; i++) {
        free(m->past[i].cell);
        free(m->past[i].backward);
        free(m->past[i].ok);
    }
    for (i = 0; i < 2; i++) {
        free(m->reduced[i]);
        free(m->gray[i]);
        free(m->flow_source[i]);
        free(m->flow_mosaic[i]);
    }
    measure_scaler_close(&m->source_flow);
    measure_scaler_close(&m->mosaic_flow);
    free(m->luma);
    free(m->cells);
    free(m->photo);
    free(m->variant);
    free(m->uses);
    free(m);
}

/* Of a grid of `count` steps from `origin` on over 0 ... size: the steps that lie wholly inside, first and how many. */
static inline int measure__inside(double origin, double step, int count, int size, int *first)
{
    int last;
    *first = (int)fmax(0, ceil(-origin / step - 1e-6));
    last = (int)fmin(count, floor((size - origin) / step + 1e-6));
    return last > *first ? last - *first : 0;
}

/* Both pictures at 3 pixels a cell. */
static inline int measure__reduce(measure *m, const unsigned char *source, const unsigned char *mosaic, const measure__moment *now)
{
    const measure_setup *s = &m->set;
    const double step_x = s->cell_width / 3, step_y = s->cell_height / 3;
    const double scale_x = (m->box[2] - m->box[0]) / s->width, scale_y = (m->box[3] - m->box[1]) / s->height;
    int first_x, first_y, i, ok = 1;
    const int w = measure__inside(now->origin_x, step_x, 3 * s->cols, s->width, &first_x),
              h = measure__inside(now->origin_y, step_y, 3 * s->rows, s->height, &first_y);
    const double x0 = now->origin_x + first_x * step_x, y0 = now->origin_y + first_y * step_y, x1 = x0 + w * step_x, y1 = y0 + h * step_y;
    double mean;
    if (w < 1 || h < 1) return 1;
    for (i = 0; i < 2; i++) {
        measure_scaler scaler;
        ok = i ? measure_scaler_open(&scaler, s->width, s->height, x0, y0, x1, y1, w, h, 3)
               : measure_scaler_open(&scaler, s->source_width, s->source_height, m->box[0] + x0 * scale_x, m->box[1] + y0 * scale_y,
                                     m->box[0] + x1 * scale_x, m->box[1] + y1 * scale_y, w, h, 3);
        if (!ok) return 0;
        measure_scale(&scaler, i ? mosaic : source, m->reduced[i]);
        measure_scaler_close(&scaler);
        measure_luma(m->reduced[i], (size_t)w * (size_t)h, m->gray[i]);
    }
    if (w >= 7 && h >= 7 && mosaic_ssim_gray8(m->gray[0], (size_t)w, m->gray[1], (size_t)w, (size_t)w, (size_t)h, &mean) == MOSAIC_SSIM_OK)
        measure__add(&m->ssim3, mean);
    if (m->frames % 4 == 0) {
        double sum = 0;
        for (i = 0; i < w * h; i++) {
            double one[3], two[3];
            measure_lab(m->reduced[0] + 3 * i, one);
            measure_lab(m->reduced[1] + 3 * i, two);
            sum += measure_ciede2000(one, two);
        }
        measure__add(&m->de3, sum / (w * h));
    }
    return 1;
}

static inline int measure__cells(measure *m, const unsigned char *mosaic, measure__moment *now)
{
    const measure_setup *s = &m->set;
    measure_scaler scaler;
    int first_x, first_y, c, r;
    const int w = measure__inside(now->origin_x, s->cell_width, s->cols, s->width, &first_x);
    const int h = measure__inside(now->origin_y, s->cell_height, s->rows, s->height, &first_y);
    const double x0 = now->origin_x + first_x * s->cell_width, y0 = now->origin_y + first_y * s->cell_height;
    for (c = 0; c < s->cols * s->rows; c++) now->cell[c].whole = 0;
    if (w < 1 || h < 1) return 1;
    if (!measure_scaler_open(&scaler, s->width, s->height, x0, y0, x0 + w * s->cell_width, y0 + h * s->cell_height, w * MEASURE_SIDE,
                             h * MEASURE_SIDE, 1))
        return 0;
    measure_luma(mosaic, (size_t)s->width * (size_t)s->height, m->luma);
    measure_scale(&scaler, m->luma, m->cells);
    measure_scaler_close(&scaler);
    for (r = 0; r < h; r++)
        for (c = 0; c < w; c++)
            measure_cell_of(m->cells + ((size_t)r * MEASURE_SIDE * (size_t)w + (size_t)c) * MEASURE_SIDE, (ptrdiff_t)w * MEASURE_SIDE,
                            &now->cell[(r + first_y) * s->cols + c + first_x]);
    return 1;
}

/* The cell of a frame at a point of the mosaic; NULL when there is no whole one. */
static inline const measure_cell *measure__cell_at(const measure *m, const measure__moment *at, double x, double y)
{
    const double c = floor((x - at->origin_x) / m->set.cell_width), r = floor((y - at->origin_y) / m->set.cell_height);
    const measure_cell *cell;
    if (c < 0 || r < 0 || c >= m->set.cols || r >= m->set.rows) return NULL;
    cell = &at->cell[(int)r * m->set.cols + (int)c];
    return cell->whole ? cell : NULL;
}

/* Follows the content at (x, y) of frame t `steps` frames back; 0 when the flow cannot be trusted on the way. */
static inline int measure__trace(const measure *m, long t, int steps, double *x, double *y)
{
    const int w = m->set.flow_width, h = m->set.flow_height;
    const double sx = (double)w / m->set.width, sy = (double)h / m->set.height;
    double px = *x * sx - .5, py = *y * sy - .5;
    for (; steps > 0; steps--, t--) {
        const measure__moment *p = &m->past[t % (MEASURE_FAR + 1)];
        const int ix = (int)floor(px + .5), iy = (int)floor(py + .5);
        double v[2];
        if (!p->has_flow || p->cut || ix < 0 || iy < 0 || ix >= w || iy >= h || !p->ok[iy * w + ix]) return 0;
        measure__vector(p->backward, w, h, px, py, v);
        px += v[0];
        py += v[1];
    }
    *x = (px + .5) / sx;
    *y = (py + .5) / sy;
    return 1;
}

/* Churn in its three forms. */
static inline void measure__follow(measure *m, const measure__moment *now, int shift_c, int shift_r)
{
    const measure_setup *s = &m->set;
    const long t = m->frames;
    const measure__moment *before = &m->past[(t + MEASURE_FAR) % (MEASURE_FAR + 1)], *long_ago = &m->past[(t + 1) % (MEASURE_FAR + 1)];
    const int is_far = t >= MEASURE_FAR && t % 3 == 0;
    measure__mean churn = {0, 0}, flow_churn = {0, 0};
    int c, r;
    for (r = 0; r < s->rows; r++)
        for (c = 0; c < s->cols; c++) {
            const measure_cell *cell = &now->cell[r * s->cols + c], *other;
            const double x = now->origin_x + (c + .5) * s->cell_width, y = now->origin_y + (r + .5) * s->cell_height;
            double px = x, py = y;
            if (!cell->whole) continue;
            if (!now->cut && c + shift_c >= 0 && c + shift_c < s->cols && r + shift_r >= 0 && r + shift_r < s->rows) {
                other = &before->cell[(r + shift_r) * s->cols + c + shift_c];
                if (other->whole) measure__add(&churn, !measure_same(cell, other));
            }
            if (!now->has_flow) continue;
            if (measure__trace(m, t, 1, &px, &py) && (other = measure__cell_at(m, before, px, py)) != NULL)
                measure__add(&flow_churn, !measure_same(cell, other));
            px = x;
            py = y;
            if (is_far && measure__trace(m, t, MEASURE_FAR, &px, &py) && (other = measure__cell_at(m, long_ago, px, py)) != NULL) {
                const int moved = fabs(px - x) >= .5 * s->cell_width || fabs(py - y) >= .5 * s->cell_height, same = measure_same(cell, other);
                measure__add(&m->far_churn, !same);
                if (moved) measure__add(&m->far_follow, same);
            }
        }
    if (churn.count > 0) measure__add(&m->churn, churn.sum / churn.count);
    if (flow_churn.count > 0) measure__add(&m->flow_churn, flow_churn.sum / flow_churn.count);
}

static inline void measure__repeats(measure *m, const measure__moment *now)
{
    const int cols = m->set.cols, rows = m->set.rows;
    int c, r, dc, dr;
    for (r = 0; r < rows; r++)
        for (c = 0; c < cols; c++) {
            const measure_cell *cell = &now->cell[r * cols + c];
            int found = 0;
            if (!cell->whole) continue;
            for (dr = -4; dr <= 4 && !found; dr++)
                for (dc = -4; dc <= 4 && !found; dc++) {
                    const measure_cell *other = &now->cell[(r + dr) * cols + c + dc];
                    if ((dc || dr) && c + dc >= 0 && c + dc < cols && r + dr >= 0 && r + dr < rows && other->whole)
                        found = measure_similarity(cell, other, 0) > .9;
                }
            measure__add(&m->repeat4, found);
        }
}

/* Are the pasted cells still their photographs? */
static inline void measure__photos(measure *m, const measure__moment *now, const measure_placement *placement)
{
    const int cells = m->set.cols * m->set.rows;
    int i, k;
    if (!m->set.photo || (!placement && m->frames > 0)) return;
    for (i = 0; i < cells; i++) {
        const measure_cell *cell = &now->cell[i], *photo = NULL;
        double best = -2;
        if (!cell->whole) continue;
        if (placement) {
            if (placement->photo[i] < 0 || placement->photo[i] >= m->set.photos) continue;
            photo = &m->set.photo[placement->photo[i]];
            if (!photo->whole) continue;
            best = measure_similarity(cell, photo, placement->shown && placement->variant ? placement->shown[placement->variant[i]] : 0);
        } else {
            for (k = 0; k < 2 * m->set.photos; k++) {
                const double d = m->set.photo[k / 2].whole ? measure_similarity(cell, &m->set.photo[k / 2], k & 1) : -2;
                if (d > best) {
                    best = d;
                    photo = &m->set.photo[k / 2];
                }
            }
        }
        if (!photo || photo->spread <= 0) continue;
        measure__add(&m->ncc, best);
        measure__add(&m->contrast, cell->spread / photo->spread);
    }
}

/* What the placements tell by themselves. */
static inline int measure__placement(measure *m, const measure_placement *p, int cut, int shift_c, int shift_r)
{
    const int cols = m->set.cols, rows = m->set.rows;
    int c, r, k, most = 0, distinct = 0;
    for (k = 0; k < cols * rows; k++)
        if (p->photo[k] >= m->max_photo || !m->uses) {
            const int wanted = (p->photo[k] > 0 ? p->photo[k] : 0) + 1024;
            int *more = (int *)realloc(m->uses, sizeof *more * (size_t)wanted);
            if (!more) return 0;
            m->uses = more;
            m->max_photo = wanted;
        }
    memset(m->uses, 0, sizeof *m->uses * (size_t)m->max_photo);
    for (k = 0; k < cols * rows; k++)
        if (p->photo[k] >= 0) {
            const int n = ++m->uses[p->photo[k]];
            distinct += n == 1;
            if (n > most) most = n;
        }
    measure__add(&m->distinct, distinct);
    if (most > m->most_uses) m->most_uses = most;
    for (k = 0; k < cols * rows && most > 1; k++) {
        int other;
        for (other = k + 1; other < cols * rows; other++) {
            const int dr = other / cols - k / cols, dc = abs(other % cols - k % cols), d = dr > dc ? dr : dc;
            if (m->nearest_copy && dr >= m->nearest_copy) break;
            if (p->photo[k] >= 0 && p->photo[other] == p->photo[k] && (!m->nearest_copy || d < m->nearest_copy)) m->nearest_copy = d;
        }
    }
    if (m->has_placement && !cut)
        for (r = 0; r < rows; r++)
            for (c = 0; c < cols; c++) {
                const int i = r * cols + c, before = (r + shift_r) * cols + c + shift_c;
                if (c + shift_c < 0 || c + shift_c >= cols || r + shift_r < 0 || r + shift_r >= rows) continue;
                measure__add(&m->photo_churn, p->photo[i] != m->photo[before]);
                measure__add(&m->repaint, p->photo[i] != m->photo[before] || (p->variant && p->variant[i] != m->variant[before]));
            }
    memcpy(m->photo, p->photo, sizeof(int) * (size_t)(cols * rows));
    if (p->variant) memcpy(m->variant, p->variant, sizeof(int) * (size_t)(cols * rows));
    m->has_placement = 1;
    return 1;
}

static inline int measure_frame(measure *m, const unsigned char *source, const unsigned char *mosaic, const short *forward, const short *backward,
                                const measure_placement *placement)
{
    const measure_setup *s = &m->set;
    const size_t flow = (size_t)s->flow_width * (size_t)s->flow_height;
    measure__moment *now = &m->past[m->frames % (MEASURE_FAR + 1)];
    const measure__moment *before = &m->past[(m->frames + MEASURE_FAR) % (MEASURE_FAR + 1)];
    int shift_c = 0, shift_r = 0;
    now->origin_x = placement ? placement->origin_x : 0;
    now->origin_y = placement ? placement->origin_y : 0;
    now->has_flow = flow && forward && backward && m->frames > 0;
    now->cut = placement && placement->cut;
    if (now->has_flow) {
        memcpy(now->backward, backward, flow * 2 * sizeof(short));
        now->cut = measure_consistent(backward, forward, s->flow_width, s->flow_height, now->ok) < .3;
    }
    m->knows_cuts |= now->has_flow || placement;
    m->cuts += now->cut && m->frames > 0;
    if (!measure__reduce(m, source, mosaic, now) || !measure__cells(m, mosaic, now)) return 0;
    if (m->frames > 0) {
        /* a grid that scrolls starts again from the other side of a cell now and then: its cells then change numbers */
        shift_c = (int)floor((now->origin_x - before->origin_x) / s->cell_width + .5);
        shift_r = (int)floor((now->origin_y - before->origin_y) / s->cell_height + .5);
        measure__follow(m, now, shift_c, shift_r);
    }
    if (m->frames % 12 == 0) measure__repeats(m, now);
    measure__photos(m, now, placement);
    if (placement && !measure__placement(m, placement, now->cut, shift_c, shift_r)) return 0;
    if (flow) {
        unsigned char *spare;
        spare = m->flow_source[0], m->flow_source[0] = m->flow_source[1], m->flow_source[1] = spare;
        spare = m->flow_mosaic[0], m->flow_mosaic[0] = m->flow_mosaic[1], m->flow_mosaic[1] = spare;
        measure_scale(&m->source_flow, source, m->flow_source[0]);
        measure_scale(&m->mosaic_flow, mosaic, m->flow_mosaic[0]);
        if (now->has_flow && !now->cut) {
            measure__add(&m->warp_mosaic,
                         measure_warp_error(m->flow_mosaic[0], m->flow_mosaic[1], now->backward, now->ok, s->flow_width, s->flow_height));
            measure__add(&m->warp_source,
                         measure_warp_error(m->flow_source[0], m->flow_source[1], now->backward, now->ok, s->flow_width, s->flow_height));
        }
    }
    m->frames++;
    return 1;
}

static inline double measure__of(const measure__mean *m) { return m->count > 0 ? m->sum / m->count : (double)NAN; }

static inline measure_figures measure_result(const measure *m)
{
    measure_figures f;
    f.frames = m->frames;
    f.ssim3 = measure__of(&m->ssim3);
    f.de3 = measure__of(&m->de3);
    f.churn = measure__of(&m->churn);
    f.flow_churn = measure__of(&m->flow_churn);
    f.far_churn = measure__of(&m->far_churn);
    f.far_follow = measure__of(&m->far_follow);
    f.repeat4 = measure__of(&m->repeat4);
    f.ewarp = m->warp_source.sum > 0 ? m->warp_mosaic.sum / m->warp_source.sum : (double)NAN;
    f.photo_ncc = measure__of(&m->ncc);
    f.contrast = measure__of(&m->contrast);
    f.cuts = m->knows_cuts ? (double)m->cuts : (double)NAN;
    f.photo_churn = measure__of(&m->photo_churn);
    f.repaint_rate = measure__of(&m->repaint);
    f.distinct_photos = measure__of(&m->distinct);
    f.most_uses = m->most_uses ? (double)m->most_uses : (double)NAN;
    f.nearest_copy = m->nearest_copy ? (double)m->nearest_copy : (double)NAN;
    return f;
}

#endif
