/* contact_sheet.h - one picture that shows what a run did: source, mosaic and placements of a few frames, and a close-up of both at 100 %.

   Include mosaic_temporal.h first. Feed it every frame; it keeps a few, spread evenly over a clip of unknown length, and the first after a cut. */
#ifndef MOSAIC_UTIL_CONTACT_SHEET_H
#define MOSAIC_UTIL_CONTACT_SHEET_H

#include "pictures.h"
#include <ctype.h>

enum { SHEET_WIDTH = 1600, SHEET_MARGIN = 20, SHEET_GAP = 12, SHEET_PANELS = 3, SHEET_KEPT = 8, SHEET_ROWS = 4, SHEET_TALLEST = 420 };

typedef struct sheet_picture {
    unsigned char *rgb;
    int width, height;
} sheet_picture;

typedef struct sheet_sample {
    int64_t index;
    int cut, changed;
    sheet_picture panel[SHEET_PANELS]; /* source, mosaic, placements */
    sheet_picture close_up[2];         /* source, mosaic */
} sheet_sample;

typedef struct sheet_waiting { /* a source frame whose mosaic is not finished */
    unsigned char *rgb;
    struct sheet_waiting *next;
} sheet_waiting;

typedef struct contact_sheet {
    mosaic_grid grid;
    int panel_width, panel_height, close_width, close_height;
    sheet_sample spread[SHEET_KEPT], cut;
    int kept, has_cut, failed; /* failed: memory ran out */
    int64_t stride;
    sheet_waiting *first, **last;
} contact_sheet;

/* ---- drawing ---- */

/* 5 x 7 letters for ' ' to '_' (no lower case), a row a byte, the leftmost pixel in bit 4. */
static const unsigned char sheet__font[64][7] = {
    {0},
    {4, 4, 4, 4, 4, 0, 4},
    {10, 10, 10},
    {10, 10, 31, 10, 31, 10, 10},
    {4, 15, 20, 14, 5, 30, 4},
    {25, 25, 2, 4, 8, 19, 19},
    {12, 18, 12, 13, 18, 18, 13},
    {4, 4, 8},
    {2, 4, 8, 8, 8, 4, 2},
    {8, 4, 2, 2, 2, 4, 8},
    {0, 21, 14, 31, 14, 21},
    {0, 4, 4, 31, 4, 4},
    {0, 0, 0, 0, 12, 4, 8},
    {0, 0, 0, 31},
    {0, 0, 0, 0, 0, 12, 12},
    {1, 1, 2, 4, 8, 16, 16},
    {14, 17, 17, 21, 17, 17, 14},
    {4, 12, 20, 4, 4, 4, 31},
    {14, 17, 1, 6, 8, 16, 31},
    {30, 1, 1, 14, 1, 1, 30},
    {3, 5, 9, 17, 31, 1, 1},
    {31, 16, 30, 1, 1, 17, 14},
    {14, 16, 16, 30, 17, 17, 14},
    {31, 1, 2, 2, 4, 4, 4},
    {14, 17, 17, 14, 17, 17, 14},
    {14, 17, 17, 15, 1, 1, 14},
    {0, 12, 12, 0, 12, 12},
    {0, 12, 12, 0, 12, 4, 8},
    {1, 2, 4, 8, 4, 2, 1},
    {0, 0, 31, 0, 31},
    {16, 8, 4, 2, 4, 8, 16},
    {14, 17, 1, 6, 4, 0, 4},
    {14, 17, 23, 21, 23, 16, 15},
    {4, 10, 17, 17, 31, 17, 17},
    {30, 17, 17, 30, 17, 17, 30},
    {15, 16, 16, 16, 16, 16, 15},
    {28, 18, 17, 17, 17, 18, 28},
    {31, 16, 16, 30, 16, 16, 31},
    {31, 16, 16, 30, 16, 16, 16},
    {15, 16, 16, 19, 17, 17, 15},
    {17, 17, 17, 31, 17, 17, 17},
    {14, 4, 4, 4, 4, 4, 14},
    {3, 1, 1, 1, 1, 17, 14},
    {17, 18, 20, 24, 20, 18, 17},
    {16, 16, 16, 16, 16, 16, 31},
    {17, 27, 31, 21, 17, 17, 17},
    {17, 25, 25, 21, 19, 19, 17},
    {14, 17, 17, 17, 17, 17, 14},
    {30, 17, 17, 30, 16, 16, 16},
    {14, 17, 17, 17, 21, 18, 13},
    {30, 17, 17, 30, 20, 18, 17},
    {15, 16, 16, 14, 1, 1, 30},
    {31, 4, 4, 4, 4, 4, 4},
    {17, 17, 17, 17, 17, 17, 14},
    {17, 17, 17, 10, 10, 4, 4},
    {17, 17, 17, 21, 31, 27, 17},
    {17, 10, 10, 4, 10, 10, 17},
    {17, 17, 10, 10, 4, 4, 4},
    {31, 1, 2, 4, 8, 16, 31},
    {14, 8, 8, 8, 8, 8, 14},
    {16, 16, 8, 4, 2, 1, 1},
    {14, 2, 2, 2, 2, 2, 14},
    {4, 10, 17},
    {0, 0, 0, 0, 0, 0, 31},
};

static inline void sheet__box(sheet_picture *p, int x, int y, int width, int height, unsigned colour)
{
    int i, k;
    for (i = y < 0 ? 0 : y; i < y + height && i < p->height; i++)
        for (k = x < 0 ? 0 : x; k < x + width && k < p->width; k++) {
            unsigned char *o = p->rgb + 3 * ((size_t)i * (size_t)p->width + (size_t)k);
            o[0] = (unsigned char)(colour >> 16);
            o[1] = (unsigned char)(colour >> 8);
            o[2] = (unsigned char)colour;
        }
}

static inline void sheet__text(sheet_picture *p, int x, int y, int scale, unsigned colour, const char *text)
{
    int row, bit;
    for (; *text; text++, x += 6 * scale) {
        const int letter = toupper((unsigned char)*text);
        const unsigned char *glyph = sheet__font[letter < ' ' || letter > '_' ? '?' - ' ' : letter - ' '];
        for (row = 0; row < 7; row++)
            for (bit = 0; bit < 5; bit++)
                if (glyph[row] >> (4 - bit) & 1) sheet__box(p, x + bit * scale, y + row * scale, scale, scale, colour);
    }
}

static inline void sheet__paste(sheet_picture *p, const sheet_picture *from, int x, int y)
{
    int i;
    for (i = 0; i < from->height && y + i < p->height; i++)
        memcpy(p->rgb + 3 * ((size_t)(y + i) * (size_t)p->width + (size_t)x), from->rgb + 3 * (size_t)i * (size_t)from->width,
               3 * (size_t)from->width);
}

static inline int sheet__new(sheet_picture *p, int width, int height)
{
    p->width = width;
    p->height = height;
    p->rgb = (unsigned char *)malloc(3 * (size_t)width * (size_t)height);
    return p->rgb ? 0 : -1;
}

/* The span of source pixels that output pixel i covers, in 1/64 pixels; at least one pixel wide, so that enlarging interpolates. */
static inline void sheet__span(int i, int count, int from, int size, int limit, int *low, int *high)
{
    int64_t a = from + (int64_t)i * size / count, b = from + (int64_t)(i + 1) * size / count;
    if (b - a < 64) {
        a = (a + b) / 2 - 32;
        b = a + 64;
    }
    *low = a < 0 ? 0 : a > 64 * (int64_t)limit - 1 ? 64 * limit - 1 : (int)a;
    *high = b > 64 * (int64_t)limit ? 64 * limit : b <= *low ? *low + 1 : (int)b;
}

/* Part of a picture (1/64 px) scaled by area averaging. */
static inline void sheet__scale(const unsigned char *rgb, int width, int height, size_t stride, int x, int y, int w, int h, sheet_picture *out)
{
    int i, k, r, c;
    unsigned char *o = out->rgb;
    for (i = 0; i < out->height; i++) {
        int top, bottom;
        sheet__span(i, out->height, y, h, height, &top, &bottom);
        for (k = 0; k < out->width; k++, o += 3) {
            int left, right;
            uint64_t sum[3] = {0, 0, 0}, total = 0;
            sheet__span(k, out->width, x, w, width, &left, &right);
            for (r = top / 64; r * 64 < bottom; r++) {
                const int a = r * 64 > top ? r * 64 : top, b = r * 64 + 64 < bottom ? r * 64 + 64 : bottom;
                for (c = left / 64; c * 64 < right; c++) {
                    const int d = c * 64 > left ? c * 64 : left, e = c * 64 + 64 < right ? c * 64 + 64 : right;
                    const uint64_t weight = (uint64_t)((b - a) * (e - d));
                    const unsigned char *s = rgb + (size_t)r * stride + 3 * (size_t)c;
                    sum[0] += weight * s[0];
                    sum[1] += weight * s[1];
                    sum[2] += weight * s[2];
                    total += weight;
                }
            }
            o[0] = (unsigned char)((sum[0] + total / 2) / total);
            o[1] = (unsigned char)((sum[1] + total / 2) / total);
            o[2] = (unsigned char)((sum[2] + total / 2) / total);
        }
    }
}

/* A photograph's own colour: a hue of its number, bright or dim. */
static inline unsigned sheet__colour(int photo, int bright)
{
    const unsigned mixed = (unsigned)photo * 2654435761u, hue = (mixed >> 16) % 1536, ramp = hue & 255;
    const unsigned high = bright ? 255 : 120, low = bright ? 90 : 50, span = high - low;
    const unsigned up = low + span * ramp / 255, down = high - span * ramp / 255;
    switch (hue >> 8) {
    case 0: return high << 16 | up << 8 | low;
    case 1: return down << 16 | high << 8 | low;
    case 2: return low << 16 | high << 8 | up;
    case 3: return low << 16 | down << 8 | high;
    case 4: return up << 16 | low << 8 | high;
    default: return high << 16 | low << 8 | down;
    }
}

static inline void sheet__placements(const contact_sheet *s, const mosaic_frame *f, sheet_picture *out)
{
    const int64_t scale_x = 64 * (int64_t)s->grid.width, scale_y = 64 * (int64_t)s->grid.height;
    int i;
    sheet__box(out, 0, 0, out->width, out->height, 0x101010);
    for (i = 0; i < f->cells; i++) {
        const mosaic_draw *d = &f->draw[i];
        const int x0 = (int)(d->x * (int64_t)out->width / scale_x), y0 = (int)(d->y * (int64_t)out->height / scale_y);
        const int x1 = (int)((d->x + 64 * (int64_t)s->grid.cell_width) * out->width / scale_x),
                  y1 = (int)((d->y + 64 * (int64_t)s->grid.cell_height) * out->height / scale_y);
        if (d->photo < 0) continue;
        if (d->changed) sheet__box(out, x0, y0, x1 - x0, y1 - y0, 0xffffff);
        sheet__box(out, x0 + 1, y0 + 1, x1 - x0 - 2 + !d->changed, y1 - y0 - 2 + !d->changed, sheet__colour(d->photo, d->changed));
    }
}

/* ---- collecting ---- */

static inline void contact_sheet_begin(contact_sheet *s, const mosaic_grid *grid)
{
    const int wide = (SHEET_WIDTH - 2 * SHEET_MARGIN - 2 * SHEET_GAP) / 3, half = (SHEET_WIDTH - 2 * SHEET_MARGIN - SHEET_GAP) / 2;
    memset(s, 0, sizeof *s);
    s->grid = *grid;
    s->stride = 1;
    s->last = &s->first;
    s->panel_width = wide;
    s->panel_height = (int)((int64_t)wide * grid->height / grid->width);
    if (s->panel_height > SHEET_TALLEST) {
        s->panel_width = (int)((int64_t)SHEET_TALLEST * grid->width / grid->height);
        s->panel_height = SHEET_TALLEST;
    }
    if (s->panel_width < 1) s->panel_width = 1;
    if (s->panel_height < 1) s->panel_height = 1;
    s->close_width = grid->width < half ? grid->width : half;
    s->close_height = grid->height < half * 9 / 16 ? grid->height : half * 9 / 16;
}

static inline void sheet__drop(sheet_sample *sample)
{
    int i;
    for (i = 0; i < SHEET_PANELS; i++) free(sample->panel[i].rgb);
    for (i = 0; i < 2; i++) free(sample->close_up[i].rgb);
    memset(sample, 0, sizeof *sample);
}

static inline void contact_sheet_free(contact_sheet *s)
{
    int i;
    for (i = 0; i < s->kept; i++) sheet__drop(&s->spread[i]);
    if (s->has_cut) sheet__drop(&s->cut);
    while (s->first) {
        sheet_waiting *w = s->first;
        s->first = w->next;
        free(w->rgb);
        free(w);
    }
}

/* A source frame as it enters the engine. */
static inline void contact_sheet_source(contact_sheet *s, const unsigned char *rgb)
{
    const size_t size = 3 * (size_t)s->grid.source_width * (size_t)s->grid.source_height;
    sheet_waiting *w = (sheet_waiting *)calloc(1, sizeof *w);
    if (w && (w->rgb = (unsigned char *)malloc(size)) != NULL)
        memcpy(w->rgb, rgb, size);
    else
        s->failed = 1;
    if (!w) return;
    *s->last = w;
    s->last = &w->next;
}

static inline int sheet__take(const contact_sheet *s, const unsigned char *source, const mosaic_frame *f, sheet_sample *sample)
{
    const mosaic_grid *g = &s->grid;
    const int x = (g->width - s->close_width) / 2, y = (g->height - s->close_height) / 2;
    int i;
    memset(sample, 0, sizeof *sample);
    for (i = 0; i < SHEET_PANELS; i++)
        if (sheet__new(&sample->panel[i], s->panel_width, s->panel_height)) return -1;
    for (i = 0; i < 2; i++)
        if (sheet__new(&sample->close_up[i], s->close_width, s->close_height)) return -1;
    sample->index = f->index;
    sample->cut = f->cut;
    sample->changed = f->changed;
    sheet__scale(source, g->source_width, g->source_height, 3 * (size_t)g->source_width, g->crop_x, g->crop_y, g->crop_width, g->crop_height,
                 &sample->panel[0]);
    sheet__scale(f->rgb, g->width, g->height, f->stride, 0, 0, 64 * g->width, 64 * g->height, &sample->panel[1]);
    sheet__placements(s, f, &sample->panel[2]);
    sheet__scale(source, g->source_width, g->source_height, 3 * (size_t)g->source_width, g->crop_x + (int)((int64_t)g->crop_width * x / g->width),
                 g->crop_y + (int)((int64_t)g->crop_height * y / g->height), (int)((int64_t)g->crop_width * s->close_width / g->width),
                 (int)((int64_t)g->crop_height * s->close_height / g->height), &sample->close_up[0]);
    sheet__scale(f->rgb, g->width, g->height, f->stride, 64 * x, 64 * y, 64 * s->close_width, 64 * s->close_height, &sample->close_up[1]);
    return 0;
}

/* Keeps every stride-th frame; when there is no room left, every other one goes and the stride doubles. */
static inline void sheet__keep(contact_sheet *s, const unsigned char *source, const mosaic_frame *f)
{
    int i, kept = 0;
    if (f->index % s->stride) return;
    if (s->kept == SHEET_KEPT) {
        for (i = 0; i < s->kept; i++) {
            if (i % 2)
                sheet__drop(&s->spread[i]);
            else
                s->spread[kept++] = s->spread[i];
        }
        s->kept = kept;
        s->stride *= 2;
        if (f->index % s->stride) return;
    }
    if (sheet__take(s, source, f, &s->spread[s->kept++])) s->failed = 1;
}

/* The mosaic of the oldest source frame not yet answered. */
static inline void contact_sheet_mosaic(contact_sheet *s, const mosaic_frame *f)
{
    sheet_waiting *w = s->first;
    if (!w) return;
    s->first = w->next;
    if (!s->first) s->last = &s->first;
    if (w->rgb && !s->failed) {
        if (f->cut && f->index > 0 && !s->has_cut) {
            s->has_cut = 1;
            if (sheet__take(s, w->rgb, f, &s->cut)) s->failed = 1;
        }
        sheet__keep(s, w->rgb, f);
    }
    free(w->rgb);
    free(w);
}

/* ---- the sheet ---- */

/* A few of the kept frames, evenly spread, and the one after the cut, in order. Returns how many. */
static inline int sheet__choose(const contact_sheet *s, const sheet_sample **row)
{
    const int room = SHEET_ROWS - s->has_cut, count = s->kept < room ? s->kept : room;
    int i, k, rows = 0, placed = !s->has_cut;
    for (i = 0; i < count; i++) {
        k = count > 1 ? i * (s->kept - 1) / (count - 1) : 0;
        if (!placed && s->cut.index <= s->spread[k].index) {
            row[rows++] = &s->cut;
            placed = 1;
            if (s->cut.index == s->spread[k].index) continue;
        }
        row[rows++] = &s->spread[k];
    }
    if (!placed) row[rows++] = &s->cut;
    return rows;
}

/* Writes the sheet. title and facts are its two first lines. 0, or -1 with a line in err. */
static inline int contact_sheet_write(const contact_sheet *s, const char *path, const char *title, const char *facts, char *err, size_t err_size)
{
    static const char *const heading[SHEET_PANELS] = {"source", "mosaic", "placements: photo = colour"};
    const sheet_sample *row[SHEET_ROWS + 1] = {NULL};
    const int rows = s->failed ? 0 : sheet__choose(s, row), step = s->panel_width + SHEET_GAP;
    const int left = (SHEET_WIDTH - 3 * s->panel_width - 2 * SHEET_GAP) / 2;
    const int top = SHEET_MARGIN + 21 + 14 + 14 + 24 + 14 + 8, row_height = s->panel_height + 8 + 14 + 16;
    sheet_picture p;
    char line[160];
    int i, k, y, result;
    if (!rows || sheet__new(&p, SHEET_WIDTH, top + rows * row_height + 30 + s->close_height + SHEET_MARGIN)) {
        snprintf(err, err_size, "%s: %s", path, s->failed ? "out of memory" : "there is no frame to show");
        return -1;
    }
    sheet__box(&p, 0, 0, p.width, p.height, 0x1c1c1c);
    sheet__text(&p, SHEET_MARGIN, SHEET_MARGIN, 3, 0xffffff, title);
    sheet__text(&p, SHEET_MARGIN, SHEET_MARGIN + 35, 2, 0xa8a8a8, facts);
    for (k = 0; k < SHEET_PANELS; k++) sheet__text(&p, left + k * step, top - 22, 2, 0xe0e0e0, heading[k]);
    for (i = 0, y = top; i < rows; i++, y += row_height) {
        for (k = 0; k < SHEET_PANELS; k++) sheet__paste(&p, &row[i]->panel[k], left + k * step, y);
        snprintf(line, sizeof line, "frame %lld", (long long)row[i]->index);
        sheet__text(&p, left, y + s->panel_height + 8, 2, 0xa8a8a8, line);
        if (row[i]->index == 0)
            snprintf(line, sizeof line, "the first frame");
        else
            snprintf(line, sizeof line, "%s%d cell%s changed (white)", row[i]->cut ? "a cut: " : "", row[i]->changed,
                     row[i]->changed == 1 ? "" : "s");
        sheet__text(&p, left + 2 * step, y + s->panel_height + 8, 2, 0xa8a8a8, line);
    }
    snprintf(line, sizeof line, "close-up at 100 %%, frame %lld: before and after", (long long)row[rows / 2]->index);
    sheet__text(&p, SHEET_MARGIN, y + 6, 2, 0xe0e0e0, line);
    sheet__paste(&p, &row[rows / 2]->close_up[0], SHEET_MARGIN, y + 30);
    sheet__paste(&p, &row[rows / 2]->close_up[1], SHEET_MARGIN + s->close_width + SHEET_GAP, y + 30);
    result = picture_write(path, p.rgb, p.width, p.height, err, err_size);
    free(p.rgb);
    return result;
}

#endif
