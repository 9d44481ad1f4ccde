/* diagnose.h - what the photographs of a mosaic lack: who is used, who never, and which colours of the source have few photographs.

   Include mosaic_temporal.h first. Colours are compared by the means of cells and photographs, sorted into four lightness bands and seven hues: a hint
   for choosing more photographs, not a measure of the finished picture (recolouring hides part of every gap). */
#ifndef MOSAIC_UTIL_DIAGNOSE_H
#define MOSAIC_UTIL_DIAGNOSE_H

#include "pool_files.h"
#include "run_report.h"

enum { DIAGNOSE_BANDS = 4, DIAGNOSE_HUES = 7, DIAGNOSE_CLASSES = DIAGNOSE_BANDS * DIAGNOSE_HUES, DIAGNOSE_EVERY = 25, DIAGNOSE_LINES = 5 };

typedef struct diagnose {
    int photos;
    int (*mean)[3]; /* of each photograph */
    int photos_in[DIAGNOSE_CLASSES];
    int64_t cells, cells_in[DIAGNOSE_CLASSES];
    double gap_in[DIAGNOSE_CLASSES]; /* sums of the distance to the nearest photograph's mean */
    int64_t frames;
} diagnose;

static inline int diagnose__class(const int *c)
{
    const int high = c[0] > c[1] ? (c[0] > c[2] ? c[0] : c[2]) : (c[1] > c[2] ? c[1] : c[2]);
    const int low = c[0] < c[1] ? (c[0] < c[2] ? c[0] : c[2]) : (c[1] < c[2] ? c[1] : c[2]);
    const int luma = (54 * c[0] + 183 * c[1] + 19 * c[2]) >> 8, span = high - low;
    int degrees, hue = 0;
    if (span >= 24) {
        if (high == c[0])
            degrees = 60 * (c[1] - c[2]) / span;
        else if (high == c[1])
            degrees = 120 + 60 * (c[2] - c[0]) / span;
        else
            degrees = 240 + 60 * (c[0] - c[1]) / span;
        hue = 1 + (degrees + 360 + 30) / 60 % 6;
    }
    return (luma >> 6) * DIAGNOSE_HUES + hue;
}

static inline void diagnose__mean(const uint8_t *rgb, size_t stride, int x, int y, int width, int height, int *mean)
{
    int64_t sum[3] = {0, 0, 0};
    int i, k, c;
    for (i = y; i < y + height; i++)
        for (k = x; k < x + width; k++)
            for (c = 0; c < 3; c++) sum[c] += rgb[(size_t)i * stride + 3 * (size_t)k + (size_t)c];
    for (c = 0; c < 3; c++) mean[c] = (int)(sum[c] / ((int64_t)width * height));
}

/* 0, or -1 when memory is short. */
static inline int diagnose_begin(diagnose *d, const mosaic_pool *pool)
{
    int i, width, height;
    memset(d, 0, sizeof *d);
    d->photos = mosaic_pool_photos(pool);
    d->mean = (int(*)[3])malloc(((size_t)d->photos + 1) * sizeof *d->mean);
    if (!d->mean) return -1;
    mosaic_pool_cell(pool, &width, &height);
    for (i = 0; i < d->photos; i++) {
        diagnose__mean(mosaic_pool_pixels(pool, i), 3 * (size_t)width, 0, 0, width, height, d->mean[i]);
        d->photos_in[diagnose__class(d->mean[i])]++;
    }
    return 0;
}

/* Looks at every 25th source frame. */
static inline void diagnose_source(diagnose *d, const mosaic_grid *g, const unsigned char *rgb)
{
    int row, col, i, k;
    if (d->frames++ % DIAGNOSE_EVERY) return;
    for (row = 0; row < g->rows; row++)
        for (col = 0; col < g->cols; col++) {
            const int x0 = (int)((g->crop_x + (int64_t)g->crop_width * col / g->cols) / 64),
                      x1 = (int)((g->crop_x + (int64_t)g->crop_width * (col + 1) / g->cols) / 64);
            const int y0 = (int)((g->crop_y + (int64_t)g->crop_height * row / g->rows) / 64),
                      y1 = (int)((g->crop_y + (int64_t)g->crop_height * (row + 1) / g->rows) / 64);
            const int x = x0 < g->source_width ? x0 : g->source_width - 1, y = y0 < g->source_height ? y0 : g->source_height - 1;
            int mean[3], class_of, best = INT_MAX;
            diagnose__mean(rgb, 3 * (size_t)g->source_width, x, y, x1 > x ? x1 - x : 1, y1 > y ? y1 - y : 1, mean);
            class_of = diagnose__class(mean);
            for (i = 0; i < d->photos; i++) {
                int distance = 0;
                for (k = 0; k < 3; k++) distance += (mean[k] - d->mean[i][k]) * (mean[k] - d->mean[i][k]);
                if (distance < best) best = distance;
            }
            d->cells++;
            d->cells_in[class_of]++;
            for (k = 0; k * k < best; k++) {
            }
            d->gap_in[class_of] += k;
        }
}

static inline void diagnose__uses(const run_report *r, FILE *out)
{
    const int photos = mosaic_pool_photos(r->pool);
    const double frames = r->frames ? (double)r->frames : 1;
    int never = 0, bin[5] = {0}, i;
    for (i = 0; i < photos; i++) {
        const double a_frame = (double)r->uses[i] / frames;
        never += !r->uses[i];
        if (r->uses[i]) bin[a_frame < .25 ? 0 : a_frame < .75 ? 1 : a_frame < 1.5 ? 2 : a_frame < 3 ? 3 : 4]++;
    }
    fprintf(out, "photographs: %d in the pool, %d used, %d never; at most %d times one photograph in a frame\n", photos, photos - never, never,
            r->most_uses);
    fprintf(out, "uses a frame: under 1/4: %d, to 3/4: %d, to 1.5: %d, to 3: %d, more: %d photographs\n", bin[0], bin[1], bin[2], bin[3], bin[4]);
    fprintf(out, "copies nearer than the minimum distance: %" PRId64 " cells in %" PRId64 " frames\n", r->too_close, r->frames);
    if (r->bound > 0)
        fprintf(out, "cost of the assignment: %.2f %% above the exact optimum without the distance rule\n",
                100 * ((double)r->cost / (double)r->bound - 1));
}

static inline void diagnose__gaps(const diagnose *d, FILE *out)
{
    static const char *const band[DIAGNOSE_BANDS] = {"very dark", "dark", "light", "very light"};
    static const char *const hue[DIAGNOSE_HUES] = {"gray", "red", "yellow", "green", "cyan", "blue", "magenta"};
    int told[DIAGNOSE_CLASSES] = {0}, i, line;
    double all = 0;
    if (!d->cells) return;
    for (i = 0; i < DIAGNOSE_CLASSES; i++) all += d->gap_in[i];
    fprintf(out, "colour: the nearest photograph's mean is %.1f levels from a cell's mean on average; most is missing in\n", all / (double)d->cells);
    for (line = 0; line < DIAGNOSE_LINES; line++) {
        int worst = -1;
        for (i = 0; i < DIAGNOSE_CLASSES; i++)
            if (!told[i] && d->cells_in[i] && (worst < 0 || d->gap_in[i] > d->gap_in[worst])) worst = i;
        if (worst < 0) return;
        told[worst] = 1;
        fprintf(out, "  %-10s %-8s %5.1f %% of the cells, %5.1f %% of the photographs, %5.1f levels apart\n", band[worst / DIAGNOSE_HUES],
                hue[worst % DIAGNOSE_HUES], 100 * (double)d->cells_in[worst] / (double)d->cells, 100.0 * d->photos_in[worst] / d->photos,
                d->gap_in[worst] / (double)d->cells_in[worst]);
    }
}

static inline void diagnose_print(const diagnose *d, const pool_files *files, const run_report *r, FILE *out)
{
    int i;
    for (i = 0; i < files->photos.count; i++)
        if (files->skipped[i]) fprintf(out, "skipped %s: %s\n", files->photos.file[i].path, files->skipped[i]);
    diagnose__uses(r, out);
    diagnose__gaps(d, out);
}

static inline void diagnose_free(diagnose *d)
{
    free(d->mean);
    d->mean = NULL;
}

#endif
