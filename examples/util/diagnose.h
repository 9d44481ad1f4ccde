/* diagnose.h - what the photographs of a mosaic lack: how much of the error that is left is theirs, in which colours, and who is never used.

   Include mosaic_temporal.h and contact_sheet.h first. Every 25th frame the error of each cell (mosaic_cell_costs: what is seen of a photograph after it
   has been recoloured) is split into three:
     colour  what even the best photograph of the pool would leave: photographs of other colours and shapes would help
     stock   what is lost because that one is used up: more photographs like those that are there would help (or more uses of each)
     rules   what calm, the distance between copies and re-ranking cost on top of the best assignment: the dials would help
   Cells and photographs are sorted by the Oklab of their means into four bands of lightness and seven of hue. */
#ifndef MOSAIC_UTIL_DIAGNOSE_H
#define MOSAIC_UTIL_DIAGNOSE_H

#include "pool_files.h"
#include "run_report.h"
#include <math.h>

enum { DIAGNOSE_BANDS = 4, DIAGNOSE_HUES = 7, DIAGNOSE_CLASSES = DIAGNOSE_BANDS * DIAGNOSE_HUES, DIAGNOSE_EVERY = 25, DIAGNOSE_LINES = 12 };
enum { DIAGNOSE_COLOUR, DIAGNOSE_STOCK, DIAGNOSE_RULES, DIAGNOSE_GAPS };

static const char *const diagnose_gap_name[DIAGNOSE_GAPS] = {"colour", "stock", "rules"};
static const char *const diagnose_band_name[DIAGNOSE_BANDS] = {"very dark", "dark", "light", "very light"};
static const char *const diagnose_hue_name[DIAGNOSE_HUES] = {"gray", "red", "yellow", "green", "cyan", "blue", "magenta"};

typedef struct diagnose_class {
    int photos;                /* of the pool */
    int64_t cells;             /* of the frames that were looked at */
    double sum[3];             /* of their means */
    double gap[DIAGNOSE_GAPS]; /* sums of costs */
} diagnose_class;

typedef struct diagnose {
    const mosaic_pool *pool;
    mosaic_grid grid;
    int photos, max_uses; /* max_uses 0: no limit */
    int whole;            /* stock and rules are told apart: costs of a frame fit into memory */
    int32_t *cost;        /* of each filled cell and photograph, or of one cell */
    int32_t *capacity, *best;
    int64_t frames, looked, cells;
    diagnose_class of[DIAGNOSE_CLASSES];
    float *map[DIAGNOSE_GAPS]; /* of the last frame that was looked at, cell by cell */
} diagnose;

static inline int diagnose__class(const double *mean)
{
    static const double edge[6] = {70, 126, 168, 230, 296, 358}; /* between the hues of the six pure colours, degrees */
    double v[3], root[3], l, a, b, hue;
    int i, band;
    for (i = 0; i < 3; i++) v[i] = mean[i] <= .04045 * 255 ? mean[i] / 255 / 12.92 : pow((mean[i] / 255 + .055) / 1.055, 2.4);
    root[0] = cbrt(.4122214708 * v[0] + .5363325363 * v[1] + .0514459929 * v[2]);
    root[1] = cbrt(.2119034982 * v[0] + .6806995451 * v[1] + .1073969566 * v[2]);
    root[2] = cbrt(.0883024619 * v[0] + .2817188376 * v[1] + .6299787005 * v[2]);
    l = .2104542553 * root[0] + .7936177850 * root[1] - .0040720468 * root[2];
    a = 1.9779984951 * root[0] - 2.4285922050 * root[1] + .4505937099 * root[2];
    b = .0259040371 * root[0] + .7827717662 * root[1] - .8086757660 * root[2];
    band = (l >= .35) + (l >= .55) + (l >= .75);
    if (a * a + b * b < .03 * .03) return band * DIAGNOSE_HUES;
    hue = atan2(b, a) * 180 / 3.14159265358979;
    if (hue < -2) hue += 360; /* red goes from 358 to 70 */
    for (i = 0; i < 6 && hue >= edge[i]; i++) {
    }
    return band * DIAGNOSE_HUES + 1 + i % 6;
}

static inline void diagnose__mean(const uint8_t *rgb, size_t stride, int x, int y, int width, int height, double *mean)
{
    int64_t sum[3] = {0, 0, 0};
    int i, k, c;
    for (i = y; i < y + height; i++)
        for (k = x; k < x + width; k++)
            for (c = 0; c < 3; c++) sum[c] += rgb[(size_t)i * stride + 3 * (size_t)k + (size_t)c];
    for (c = 0; c < 3; c++) mean[c] = (double)sum[c] / ((double)width * height);
}

/* max_uses: of a photograph in a frame, 0 for no limit. 0, or -1 when memory is short. */
static inline int diagnose_begin(diagnose *d, const mosaic_pool *pool, const mosaic_grid *grid, int filled, int max_uses)
{
    const size_t cells = (size_t)grid->cols * (size_t)grid->rows;
    int i, width, height, ok;
    double mean[3];
    memset(d, 0, sizeof *d);
    d->pool = pool;
    d->grid = *grid;
    d->photos = mosaic_pool_photos(pool);
    d->max_uses = max_uses;
    d->whole = (size_t)filled * (size_t)d->photos <= (size_t)1 << 25;
    d->cost = (int32_t *)malloc(sizeof *d->cost * (size_t)d->photos * (d->whole ? (size_t)filled : 1));
    d->capacity = (int32_t *)malloc(sizeof *d->capacity * (size_t)d->photos);
    d->best = (int32_t *)malloc(sizeof *d->best * cells);
    ok = d->cost && d->capacity && d->best;
    for (i = 0; i < DIAGNOSE_GAPS; i++) ok = (d->map[i] = (float *)calloc(cells, sizeof *d->map[i])) != NULL && ok;
    if (!ok) return -1;
    mosaic_pool_cell(pool, &width, &height);
    for (i = 0; i < d->photos; i++) {
        diagnose__mean(mosaic_pool_pixels(pool, i), 3 * (size_t)width, 0, 0, width, height, mean);
        d->of[diagnose__class(mean)].photos++;
        d->capacity[i] = max_uses ? max_uses : filled;
    }
    return 0;
}

/* The mean of the source under a cell. */
static inline void diagnose__cell(const mosaic_grid *g, int cell, const unsigned char *rgb, double *mean)
{
    const int64_t left = (int64_t)(cell % g->cols) * g->cell_width + g->origin_x / 64,
                  top = (int64_t)(cell / g->cols) * g->cell_height + g->origin_y / 64;
    const int x0 = (int)((g->crop_x + g->crop_width * (left < 0 ? 0 : left) / g->width) / 64);
    const int y0 = (int)((g->crop_y + g->crop_height * (top < 0 ? 0 : top) / g->height) / 64);
    const int end_x = (int)((g->crop_x + g->crop_width * (left + g->cell_width) / g->width) / 64);
    const int end_y = (int)((g->crop_y + g->crop_height * (top + g->cell_height) / g->height) / 64);
    const int x1 = end_x < g->source_width ? end_x : g->source_width, y1 = end_y < g->source_height ? end_y : g->source_height;
    const int x = x0 < g->source_width ? x0 : g->source_width - 1, y = y0 < g->source_height ? y0 : g->source_height - 1;
    diagnose__mean(rgb, 3 * (size_t)g->source_width, x, y, x1 > x ? x1 - x : 1, y1 > y ? y1 - y : 1, mean);
}

/* For each filled cell the photograph of the best assignment: d->best. */
static inline void diagnose__solve(diagnose *d, int filled)
{
    mosaic_lap_problem problem;
    mosaic_lap_solution solution;
    memset(&problem, 0, sizeof problem);
    memset(&solution, 0, sizeof solution);
    problem.rows = filled;
    problem.cols = d->photos;
    problem.cost = d->cost;
    problem.capacity = d->capacity;
    solution.col_of_row = d->best;
    if (mosaic_lap_solve(&problem, NULL, &solution)) d->whole = 0; /* no memory: the two are told together */
}

/* Looks at every 25th frame: right after it was pushed, with its source. */
static inline void diagnose_frame(diagnose *d, const mosaic_engine *engine, const mosaic_frame *f, const unsigned char *source)
{
    int32_t *cost = d->cost;
    int cell, i, filled = 0, gap;
    if (d->frames++ % DIAGNOSE_EVERY) return;
    d->looked++;
    d->grid = *mosaic_engine_grid(engine); /* it may have moved */
    for (cell = 0; cell < f->cells && d->whole; cell++)
        if (mosaic_cell_costs(engine, cell, d->cost + (size_t)filled * (size_t)d->photos) == MOSAIC_OK) filled++;
    if (d->whole) diagnose__solve(d, filled);
    for (cell = 0, filled = 0; cell < f->cells; cell++) {
        diagnose_class *c;
        double mean[3], part[DIAGNOSE_GAPS] = {0, 0, 0};
        int32_t least = INT32_MAX, shown, best;
        if (f->draw[cell].photo < 0) continue;
        if (!d->whole && mosaic_cell_costs(engine, cell, cost) != MOSAIC_OK) continue;
        for (i = 0; i < d->photos; i++) least = cost[i] < least ? cost[i] : least;
        shown = cost[f->draw[cell].photo];
        best = d->whole ? cost[d->best[filled++]] : shown;
        part[DIAGNOSE_COLOUR] = least;
        part[DIAGNOSE_STOCK] = best - least;
        part[DIAGNOSE_RULES] = shown - best;
        diagnose__cell(&d->grid, cell, source, mean);
        c = &d->of[diagnose__class(mean)];
        c->cells++;
        d->cells++;
        for (i = 0; i < 3; i++) c->sum[i] += mean[i];
        for (gap = 0; gap < DIAGNOSE_GAPS; gap++) {
            c->gap[gap] += part[gap];
            d->map[gap][cell] = (float)part[gap];
        }
        if (d->whole) cost += d->photos;
    }
}

static inline double diagnose__sum(const diagnose *d, int gap)
{
    double sum = 0;
    int i;
    for (i = 0; i < DIAGNOSE_CLASSES; i++) sum += d->of[i].gap[gap];
    return sum;
}

/* As root of the mean square, 100 = white to black. */
static inline double diagnose__error(const diagnose *d)
{
    const double sum = diagnose__sum(d, 0) + diagnose__sum(d, 1) + diagnose__sum(d, 2);
    return d->cells ? 100 * sqrt(sum / (double)d->cells / 262144) : 0;
}

static inline double diagnose__share(const diagnose *d, double gap)
{
    const double sum = diagnose__sum(d, 0) + diagnose__sum(d, 1) + diagnose__sum(d, 2);
    return sum > 0 ? gap / sum : 0;
}

/* Photographs that would give the cells of a class as many of their own colour as they ask for. */
static inline int diagnose__add(const diagnose *d, const diagnose_class *c)
{
    const double a_frame = d->looked ? (double)c->cells / (double)d->looked : 0;
    const int wanted = (int)ceil(a_frame / (d->max_uses ? d->max_uses : 4));
    return wanted > c->photos ? wanted - c->photos : 0;
}

/* Classes with cells in them, those whose photographs leave most first. Returns how many. */
static inline int diagnose__order(const diagnose *d, int order[DIAGNOSE_CLASSES])
{
    int i, k, n = 0;
    for (i = 0; i < DIAGNOSE_CLASSES; i++) {
        if (!d->of[i].cells) continue;
        for (k = n++; k > 0; k--) {
            const diagnose_class *before = &d->of[order[k - 1]];
            if (before->gap[DIAGNOSE_COLOUR] + before->gap[DIAGNOSE_STOCK] >= d->of[i].gap[DIAGNOSE_COLOUR] + d->of[i].gap[DIAGNOSE_STOCK]) break;
            order[k] = order[k - 1];
        }
        order[k] = i;
    }
    return n;
}

static inline unsigned diagnose__colour(const diagnose_class *c)
{
    unsigned colour = 0;
    int i;
    for (i = 0; i < 3; i++) colour = colour << 8 | (unsigned)(c->sum[i] / (double)c->cells + .5);
    return colour;
}

/* ---- for people ---- */

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

/* What is left, and whose it is, in one line. */
static inline void diagnose__summary(const diagnose *d, char *text, size_t size)
{
    const double colour = 100 * diagnose__share(d, diagnose__sum(d, DIAGNOSE_COLOUR)),
                 stock = 100 * diagnose__share(d, diagnose__sum(d, DIAGNOSE_STOCK));
    if (d->whole)
        snprintf(text, size, "error left: %.2f %% of white to black; of its square %.0f %% colour, %.0f %% stock, %.0f %% rules", diagnose__error(d),
                 colour, stock, 100 - colour - stock);
    else
        snprintf(text, size, "error left: %.2f %% of white to black; of its square %.0f %% colour, %.0f %% stock and rules", diagnose__error(d),
                 colour, stock);
}

static inline void diagnose__line(const diagnose *d, int i, char *text, size_t size)
{
    const diagnose_class *c = &d->of[i];
    const int add = diagnose__add(d, c);
    char wish[40] = "";
    if (add) snprintf(wish, sizeof wish, "; add %d like #%06x", add, diagnose__colour(c));
    snprintf(text, size, "%-10s %-8s %5.1f %% of the cells, %5.1f %% of the photographs, %5.1f %% of the error%s",
             diagnose_band_name[i / DIAGNOSE_HUES], diagnose_hue_name[i % DIAGNOSE_HUES], 100 * (double)c->cells / (double)d->cells,
             100.0 * c->photos / d->photos, 100 * diagnose__share(d, c->gap[0] + c->gap[1] + c->gap[2]), wish);
}

static inline void diagnose_print(const diagnose *d, const pool_files *files, const run_report *r, FILE *out)
{
    int order[DIAGNOSE_CLASSES], i, n = diagnose__order(d, order);
    char text[256];
    for (i = 0; i < files->photos.count; i++)
        if (files->skipped[i]) fprintf(out, "skipped %s: %s\n", files->photos.file[i].path, files->skipped[i]);
    diagnose__uses(r, out);
    diagnose__summary(d, text, sizeof text);
    fprintf(out, "%s\n", text);
    for (i = 0; i < n && i < DIAGNOSE_LINES; i++) {
        diagnose__line(d, order[i], text, sizeof text);
        fprintf(out, "  %s\n", text);
    }
}

/* ---- for programs ---- */

/* Null when memory is short. */
static inline cJSON *diagnose_json(const diagnose *d, const run_report *r)
{
    cJSON *o = cJSON_CreateObject(), *s, *list;
    int order[DIAGNOSE_CLASSES], n = diagnose__order(d, order), i, gap;
    cJSON_AddNumberToObject(o, "frames", (double)d->looked);
    report__number(o, "error", diagnose__error(d), 4);
    s = cJSON_AddObjectToObject(o, "share");
    for (gap = 0; gap < DIAGNOSE_GAPS; gap++)
        if (d->whole || gap != DIAGNOSE_RULES)
            report__number(s, gap == DIAGNOSE_STOCK && !d->whole ? "stock_and_rules" : diagnose_gap_name[gap],
                           diagnose__share(d, diagnose__sum(d, gap)), 4);
    list = cJSON_AddArrayToObject(o, "bands");
    for (i = 0; i < n; i++) {
        const diagnose_class *c = &d->of[order[i]];
        char colour[8];
        cJSON *band = cJSON_CreateObject();
        cJSON_AddItemToArray(list, band);
        cJSON_AddStringToObject(band, "lightness", diagnose_band_name[order[i] / DIAGNOSE_HUES]);
        cJSON_AddStringToObject(band, "hue", diagnose_hue_name[order[i] % DIAGNOSE_HUES]);
        report__number(band, "cells", (double)c->cells / (double)d->cells, 4);
        report__number(band, "photos", (double)c->photos / d->photos, 4);
        for (gap = 0; gap < DIAGNOSE_GAPS; gap++) report__number(band, diagnose_gap_name[gap], diagnose__share(d, c->gap[gap]), 4);
        snprintf(colour, sizeof colour, "#%06x", diagnose__colour(c) & 0xffffff);
        cJSON_AddStringToObject(band, "mean", colour);
        cJSON_AddNumberToObject(band, "add", diagnose__add(d, c));
    }
    list = cJSON_AddArrayToObject(o, "never_used");
    for (i = 0; i < d->photos; i++)
        if (!r->uses[i]) cJSON_AddItemToArray(list, placements__name(mosaic_pool_name(d->pool, i)));
    return o;
}

/* ---- as a picture ---- */

/* Black, red, yellow, white for an error from nothing to a tenth of white to black. */
static inline unsigned diagnose__heat(double cost)
{
    const double t = cost > 0 ? 30 * sqrt(cost / 262144) : 0;
    const unsigned r = t < 1 ? (unsigned)(255 * t) : 255, g = t < 1 ? 0 : t < 2 ? (unsigned)(255 * (t - 1)) : 255;
    const unsigned b = t < 2 ? 0 : t < 3 ? (unsigned)(255 * (t - 2)) : 255;
    return r << 16 | g << 8 | b;
}

/* Maps of the three parts in the last frame looked at, above the colours that lack most: each as a swatch with its share of cells and of photographs.
   0, or -1 with a line in err. */
static inline int diagnose_picture(const diagnose *d, const char *path, char *err, size_t err_size)
{
    enum { WIDTH = 1760, MARGIN = 20, LINE_HEIGHT = 40, HEAD = 70 };
    static const char *const title[DIAGNOSE_GAPS] = {"colour: even the best leaves", "stock: the best is used up", "rules: calm and distance"};
    const mosaic_grid *g = &d->grid;
    const int wide = (WIDTH - 4 * MARGIN) / DIAGNOSE_GAPS, high = (int)((int64_t)wide * g->height / g->width), table = HEAD + high + 3 * MARGIN;
    int order[DIAGNOSE_CLASSES], n = diagnose__order(d, order), i, gap, x, y, result;
    double most = 1e-9;
    sheet_picture p;
    char text[256];
    if (n > DIAGNOSE_LINES) n = DIAGNOSE_LINES;
    if (sheet__new(&p, WIDTH, table + n * LINE_HEIGHT + MARGIN)) {
        snprintf(err, err_size, "%s: out of memory", path);
        return -1;
    }
    sheet__box(&p, 0, 0, p.width, p.height, 0x202020);
    diagnose__summary(d, text, sizeof text);
    sheet__text(&p, MARGIN, MARGIN, 2, 0xffffff, text);
    for (gap = 0; gap < DIAGNOSE_GAPS; gap++) {
        const int left = MARGIN + gap * (wide + MARGIN);
        if (gap == DIAGNOSE_RULES && !d->whole) continue;
        sheet__text(&p, left, HEAD - 20, 2, 0xc0c0c0, gap == DIAGNOSE_STOCK && !d->whole ? "stock and rules" : title[gap]);
        for (y = 0; y < high; y++)
            for (x = 0; x < wide; x++)
                sheet__box(&p, left + x, HEAD + y, 1, 1,
                           diagnose__heat((double)d->map[gap][(int64_t)y * g->rows / high * g->cols + (int64_t)x * g->cols / wide]));
    }
    for (i = 0; i < n; i++) {
        const diagnose_class *c = &d->of[order[i]];
        const double cells = (double)c->cells / (double)d->cells, photos = (double)c->photos / d->photos;
        most = cells > most ? cells : photos > most ? photos : most;
    }
    sheet__text(&p, MARGIN, table - 30, 2, 0xc0c0c0,
                "white: share of the cells, blue: share of the photographs; first the colours in which most is missing");
    for (i = 0; i < n; i++) { /* a swatch, two bars, the line */
        const diagnose_class *c = &d->of[order[i]];
        const int top = table + i * LINE_HEIGHT;
        sheet__box(&p, MARGIN, top, 60, LINE_HEIGHT - 6, diagnose__colour(c));
        sheet__box(&p, MARGIN + 70, top + 2, 1 + (int)(200 * ((double)c->cells / (double)d->cells) / most), 13, 0xe0e0e0);
        sheet__box(&p, MARGIN + 70, top + 18, 1 + (int)(200 * ((double)c->photos / d->photos) / most), 13, 0x60a0ff);
        diagnose__line(d, order[i], text, sizeof text);
        sheet__text(&p, MARGIN + 290, top + 10, 2, 0xffffff, text);
    }
    result = picture_write(path, p.rgb, p.width, p.height, err, err_size);
    free(p.rgb);
    return result;
}

static inline void diagnose_free(diagnose *d)
{
    int i;
    free(d->cost);
    free(d->capacity);
    free(d->best);
    for (i = 0; i < DIAGNOSE_GAPS; i++) free(d->map[i]);
    memset(d, 0, sizeof *d);
}

#endif
