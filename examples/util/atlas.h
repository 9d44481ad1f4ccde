/* atlas.h - the photographs of a mosaic and its draw lists as files, for a game or a page that paints on its own.

   Include mosaic_temporal.h first. A folder with

     atlas-1.png, atlas-2.png ...  the photographs that are used, as tiles, side by side from the top left: slot s is tile s % (cols * rows) of page
                                   s / (cols * rows) + 1, row by row; slots are given in the order of first use, to each look of a photograph (hue, turn) by itself. Pages are at most 4096 px a side
     draw.jsonl                    one JSON object a line. The first:
       {"format":"mosaic-draw","version":1,"cols":35,"rows":20,"cell":[54,54],"width":1890,"height":1080,"fps":"25/1","source":[1280,720],
        "crop":[x,y,width,height],"atlas":{"cols":75,"rows":75},"variants":["plain","mirror","bright","dark"]}
                                   crop: the part of the source that fills the picture, 1/64 px. Then for each frame:
       {"frame":0,"cut":true,"origin":[0,0],"new":["a.jpg","b.jpg"],"cells":[[cell,slot,variant,15 numbers],...]}
                                   origin: of the grid, 1/64 px. new: the photographs that take the next slots. cells: those that differ from the frame
                                   before; all others stay as they are. Cell 0 is the top left one, cols to a row. slot -1: no photograph.

   To paint a cell, let p be the tile's pixel (mirrored left to right where the variant's name has "mirror" in it), s the source's at that place (see
   mosaic_paint) and m the row of five of the 15 numbers that belongs to the channel:
     out = clamp((m[0] p.r + m[1] p.g + m[2] p.b + m[3] s + 256 m[4] + 2048) >> 12, 0, 255)
   With --bleed 0 all m[3] are 0 and the source is not needed.

   Where the grid may move (--grid auto, follow) cols and rows are those of the cells that can be in sight, and cell (c, r) begins at origin + (c, r) cells: cut off
   by the frame, and out of sight beyond it (slot -1). A list with another origin than the one before has all cells that are in sight. The engine's own
   bytes between whole pixels are those of mosaic_paint, which reads tiles by a cubic filter; a game's linear one shows nearly the same. */
#ifndef MOSAIC_UTIL_ATLAS_H
#define MOSAIC_UTIL_ATLAS_H

#include "pictures.h"
#include "run_report.h"

enum { ATLAS_SIDE = 4096 };

typedef struct atlas {
    const char *folder;
    const mosaic_pool *pool;
    int cols, rows;     /* tiles of a page */
    int looks;          /* of each photograph: a picture is look l of photograph p, p * looks + l */
    int *slot;          /* of each picture, -1: not used so far */
    int *photo, photos; /* of each slot: its picture */
    FILE *list;
    whole_file list_file;
} atlas;

static inline int atlas__path(const atlas *a, const char *name, char *path, size_t size, char *err, size_t err_size)
{
    if (snprintf(path, size, "%s/%s", a->folder, name) < (int)size) return 0;
    snprintf(err, err_size, "%.200s...: the name is too long", a->folder);
    return -1;
}

/* Makes the folder and begins the list. 0, or -1 with a line in err; to be ended in either case. */
static inline int atlas_begin(atlas *a, const char *folder, const run_report *r, char *err, size_t err_size)
{
    const mosaic_grid *g = &r->grid;
    char path[PATH_MAX];
    cJSON *variants = cJSON_CreateArray();
    char *text;
    int i;
    memset(a, 0, sizeof *a);
    a->folder = folder;
    a->pool = r->pool;
    a->cols = ATLAS_SIDE / g->cell_width;
    a->rows = ATLAS_SIDE / g->cell_height;
    a->looks = mosaic_pool_looks(r->pool, NULL, NULL);
    a->slot = (int *)malloc(sizeof *a->slot * (size_t)mosaic_pool_photos(r->pool) * (size_t)a->looks);
    a->photo = (int *)malloc(sizeof *a->photo * (size_t)mosaic_pool_photos(r->pool) * (size_t)a->looks);
    for (i = 0; i < MOSAIC_VARIANTS; i++) cJSON_AddItemToArray(variants, cJSON_CreateString(mosaic_variant_name(i)));
    text = cJSON_PrintUnformatted(variants);
    cJSON_Delete(variants);
    if (!a->slot || !a->photo || !text) {
        snprintf(err, err_size, "out of memory");
    } else if (mkdir(folder, 0777) && errno != EEXIST) {
        whole_file_refused(folder, err, err_size);
    } else if (!atlas__path(a, "draw.jsonl", path, sizeof path, err, err_size)) {
        for (i = 0; i < mosaic_pool_photos(r->pool) * a->looks; i++) a->slot[i] = -1;
        a->list = whole_file_open(&a->list_file, path, err, err_size);
    }
    if (a->list)
        fprintf(a->list,
                "{\"format\":\"mosaic-draw\",\"version\":1,\"cols\":%d,\"rows\":%d,\"cell\":[%d,%d],\"width\":%d,\"height\":%d,\"fps\":\"%d/%d\","
                "\"source\":[%d,%d],\"crop\":[%d,%d,%d,%d],\"atlas\":{\"cols\":%d,\"rows\":%d},\"variants\":%s}\n",
                g->cols, g->rows, g->cell_width, g->cell_height, g->width, g->height, r->rate_num, r->rate_den, g->source_width, g->source_height,
                g->crop_x, g->crop_y, g->crop_width, g->crop_height, a->cols, a->rows, text);
    cJSON_free(text);
    return a->list ? 0 : -1;
}

static inline int atlas__picture(const atlas *a, const mosaic_draw *d) { return d->photo * a->looks + d->look; }

/* The draw list of a finished frame. */
static inline void atlas_frame(atlas *a, const mosaic_frame *f)
{
    int i, c, k, first = 1;
    fprintf(a->list, "{\"frame\":%" PRId64 ",\"cut\":%s,\"origin\":[%d,%d],\"new\":[", f->index, f->cut ? "true" : "false", f->origin_x, f->origin_y);
    for (i = 0; i < f->cells; i++) {
        const int photo = f->draw[i].photo, picture = atlas__picture(a, f->draw + i);
        cJSON *name;
        char *text;
        if (photo < 0 || a->slot[picture] >= 0) continue;
        a->slot[picture] = a->photos;
        a->photo[a->photos++] = picture;
        name = placements__name(mosaic_pool_name(a->pool, photo));
        text = name ? cJSON_PrintUnformatted(name) : NULL;
        fprintf(a->list, first ? "%s" : ",%s", text ? text : "\"\"");
        cJSON_free(text);
        cJSON_Delete(name);
        first = 0;
    }
    fputs("],\"cells\":[", a->list);
    for (i = 0, first = 1; i < f->cells; i++) {
        const mosaic_draw *d = &f->draw[i];
        if (!d->repaint) continue;
        fprintf(a->list, first ? "[%d,%d,%d" : ",[%d,%d,%d", i, d->photo < 0 ? -1 : a->slot[atlas__picture(a, d)], (int)d->variant);
        for (c = 0; c < 3; c++)
            for (k = 0; k < 5; k++) fprintf(a->list, ",%d", (int)d->colour[c][k]);
        fputc(']', a->list);
        first = 0;
    }
    fputs("]}\n", a->list);
}

static inline int atlas__page(const atlas *a, int page, char *err, size_t err_size)
{
    const int begin = page * a->cols * a->rows, left = a->photos - begin;
    const int tiles = left < a->cols * a->rows ? left : a->cols * a->rows, rows = (tiles + a->cols - 1) / a->cols;
    int width, height, i, y, result;
    char name[40], path[PATH_MAX];
    unsigned char *rgb;
    mosaic_pool_cell(a->pool, &width, &height);
    snprintf(name, sizeof name, "atlas-%d.png", page + 1);
    if (atlas__path(a, name, path, sizeof path, err, err_size)) return -1;
    rgb = (unsigned char *)calloc((size_t)a->cols * (size_t)width * 3, (size_t)rows * (size_t)height);
    if (!rgb) {
        snprintf(err, err_size, "%s: out of memory", path);
        return -1;
    }
    for (i = 0; i < tiles; i++) {
        const int picture = a->photo[begin + i];
        const size_t row = (size_t)width * 3;
        const uint8_t *tile = mosaic_pool_pixels(a->pool, picture / a->looks) + (size_t)(picture % a->looks) * row * (size_t)height;
        for (y = 0; y < height; y++)
            memcpy(rgb + (((size_t)(i / a->cols) * (size_t)height + (size_t)y) * (size_t)a->cols + (size_t)(i % a->cols)) * row,
                   tile + (size_t)y * row, row);
    }
    result = picture_write(path, rgb, a->cols * width, rows * height, err, err_size);
    free(rgb);
    return result;
}

/* Writes the pages and gives the list its name, the list last; keep 0 throws it away. 0, or -1 with a line in err. */
static inline int atlas_end(atlas *a, int keep, char *err, size_t err_size)
{
    int page, result = 0;
    for (page = 0; keep && !result && page * a->cols * a->rows < a->photos; page++) result = atlas__page(a, page, err, err_size);
    if (a->list && whole_file_close(&a->list_file, a->list, keep && !result, err, err_size) && keep) result = -1;
    a->list = NULL;
    free(a->slot);
    free(a->photo);
    return result;
}

#endif
