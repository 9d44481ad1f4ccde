/* pool_files.h - folders of photographs to a mosaic_pool, with the finished pool kept in a file.

   Include mosaic_temporal.h first. Photographs are read by OpenMP threads and added in the order of the list, so the pool does not depend on
   their number. From a saved pool every photograph that still has its name, size and time is taken as it is; only the others are read. */
#ifndef MOSAIC_UTIL_POOL_FILES_H
#define MOSAIC_UTIL_POOL_FILES_H

#include "pictures.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

enum { POOL_FILES_BATCH = 256 }; /* photographs held at a time while the pool is made */

typedef struct pool_files {
    mosaic_pool *pool;
    picture_list photos;  /* everything found */
    const char **skipped; /* for each of them: null, or why it is not in the pool */
    int skips;
    int from_file;    /* the saved pool was used as it is */
    char notice[512]; /* a line for the user about the saved pool, or empty */
    void *map;        /* the saved pool's bytes: `pool` may live in them */
    size_t map_size;
} pool_files;

typedef struct pool_files_options {
    const char *const *folder;
    int folders;
    const char *file; /* of the saved pool, or null */
    int cell_width, cell_height, threads;
    int hues, turns;                                   /* further looks of each photograph, as mosaic_pool_set_looks has them */
    const volatile sig_atomic_t *stop;                 /* set: give up */
    void (*told)(void *told_ctx, int done, int count); /* after every batch of photographs; may be null */
    void *told_ctx;
} pool_files_options;

static inline void pool_files_free(pool_files *p)
{
    mosaic_pool_destroy(p->pool);
    if (p->map) munmap(p->map, p->map_size);
    picture_list_free(&p->photos);
    free((void *)p->skipped);
    memset(p, 0, sizeof *p);
}

/* Maps the saved pool: *out is null when there is none, or when it was made for other cells (p->notice says so). -1 with a line in err for a file
   that is no whole pool: it may be something else of the user's, and is left alone. */
static inline int pool_files__load(pool_files *p, const pool_files_options *o, mosaic_pool **out, char *err, size_t err_size)
{
    mosaic_pool *saved = NULL;
    mosaic_result result = MOSAIC_ERROR_CORRUPT;
    struct stat st;
    int width = 0, height = 0, hues, turns, fd = open(o->file, O_RDONLY);
    *out = NULL;
    if (fd < 0) return 0;
    if (!fstat(fd, &st) && st.st_size > 0) {
        p->map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p->map == MAP_FAILED)
            p->map = NULL;
        else
            p->map_size = (size_t)st.st_size;
    }
    close(fd);
    if (p->map) result = mosaic_pool_load(p->map, p->map_size, NULL, &saved);
    if (result) {
        const int ours = p->map_size >= 8 && !memcmp(p->map, "MOSAICPL", 8);
        snprintf(err, err_size,
                 ours ? "%s: not a whole pool file: %s; delete it, or give --pool another name" : "%s: not a pool file; give --pool another name",
                 o->file, mosaic_result_string(result));
        return -1;
    }
    mosaic_pool_cell(saved, &width, &height);
    mosaic_pool_looks(saved, &hues, &turns);
    if (width == o->cell_width && height == o->cell_height && hues == o->hues && turns == o->turns) {
        *out = saved;
        return 0;
    }
    if (width != o->cell_width || height != o->cell_height)
        snprintf(p->notice, sizeof p->notice, "%s: was made for cells of %dx%d px, these are %dx%d; making the pool anew", o->file, width, height,
                 o->cell_width, o->cell_height);
    else
        snprintf(p->notice, sizeof p->notice, "%s: was made with --hue-variants %d%s; making the pool anew", o->file, hues, turns ? " --turns" : "");
    mosaic_pool_destroy(saved);
    return 0;
}

/* For each photograph its index in the saved pool, or -1. Both are in the same order but for what came and went, so the search goes on
   where the last one ended. Returns how many were found. */
static inline int pool_files__match(const pool_files *p, const mosaic_pool *saved, int *old)
{
    int i, k, expected = 0, found = 0, count = saved ? mosaic_pool_photos(saved) : 0;
    for (i = 0; i < p->photos.count; i++) {
        old[i] = -1;
        for (k = expected; k < count && old[i] < 0; k++)
            if (mosaic_pool_stamp(saved, k) == p->photos.file[i].stamp && !strcmp(mosaic_pool_name(saved, k), p->photos.file[i].name)) old[i] = k;
        if (old[i] < 0) continue;
        expected = old[i] + 1;
        found++;
    }
    return found;
}

/* An empty pool for these options. */
static inline mosaic_result pool_files__create(pool_files *p, const pool_files_options *o)
{
    const mosaic_result result = mosaic_pool_create(o->cell_width, o->cell_height, NULL, &p->pool);
    return result ? result : mosaic_pool_set_looks(p->pool, o->hues, o->turns);
}

/* Reads photograph i and makes its tile, in all looks. Any thread. */
static inline const char *pool_files__read(const pool_files *p, int i, const pool_files_options *o, uint8_t *tile)
{
    const char *why = NULL;
    int width, height;
    mosaic_result result;
    unsigned char *rgb = picture_read(p->photos.file[i].path, &width, &height, &why);
    if (!rgb) return why;
    result = mosaic_tile_reduce(rgb, width, height, (size_t)width * 3, o->cell_width, o->cell_height, tile, NULL);
    free(rgb);
    if (!result) result = mosaic_tile_looks(tile, o->cell_width, o->cell_height, o->hues, o->turns, tile);
    return result ? mosaic_result_string(result) : NULL;
}

/* Adds photographs begin ... end - 1, those known from the saved pool and those whose tiles were just read. */
static inline mosaic_result pool_files__add(pool_files *p, mosaic_pool *pool, const mosaic_pool *saved, const int *old, int begin, int end,
                                            const uint8_t *tiles, size_t tile_size)
{
    mosaic_result result = MOSAIC_OK;
    int i;
    for (i = begin; i < end && !result; i++) {
        const picture_file *f = &p->photos.file[i];
        if (old[i] >= 0)
            result = mosaic_pool_add(pool, mosaic_pool_pixels(saved, old[i]), f->name, f->stamp);
        else if (tiles && !p->skipped[i])
            result = mosaic_pool_add(pool, tiles + (size_t)(i - begin) * tile_size, f->name, f->stamp);
    }
    return result;
}

/* Makes p->pool from what is known and what must be read; leaves the saved pool in its place when nothing has changed. */
static inline mosaic_result pool_files__build(pool_files *p, const pool_files_options *o, mosaic_pool *saved, int *old, uint8_t *tiles,
                                              size_t tile_size)
{
    const int count = p->photos.count, found = pool_files__match(p, saved, old);
    const int complete = saved && found == mosaic_pool_photos(saved);
    mosaic_result result = MOSAIC_OK;
    int begin, end, i, fresh;
    if (!complete) result = pool_files__create(p, o);
    for (begin = 0; begin < count && !result && !*o->stop; begin = end) {
        end = begin + POOL_FILES_BATCH < count ? begin + POOL_FILES_BATCH : count;
        fresh = 0;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(o->threads) reduction(+ : fresh)
#endif
        for (i = begin; i < end; i++) {
            if (old[i] >= 0 || *o->stop) continue;
            p->skipped[i] = pool_files__read(p, i, o, tiles + (size_t)(i - begin) * tile_size);
            fresh += !p->skipped[i];
        }
        if (!p->pool && fresh) { /* a new photograph after all: begin with the known ones before it */
            result = pool_files__create(p, o);
            if (!result) result = pool_files__add(p, p->pool, saved, old, 0, begin, NULL, 0);
        }
        if (p->pool && !result) result = pool_files__add(p, p->pool, saved, old, begin, end, tiles, tile_size);
        if (o->told) o->told(o->told_ctx, end, count);
    }
    for (i = 0; i < count; i++) p->skips += p->skipped[i] != NULL;
    if (!p->pool && !result)
        p->pool = saved, p->from_file = 1;
    else
        mosaic_pool_destroy(saved);
    return result;
}

static inline int pool_files__save(const pool_files *p, const char *file, char *err, size_t err_size)
{
    const size_t size = mosaic_pool_save_size(p->pool);
    void *data = malloc(size ? size : 1);
    whole_file w;
    FILE *f;
    if (!data || mosaic_pool_save(p->pool, data, size)) {
        snprintf(err, err_size, "%s: out of memory", file);
        free(data);
        return -1;
    }
    f = whole_file_open(&w, file, err, err_size);
    if (f) fwrite(data, 1, size, f);
    free(data);
    return f ? whole_file_close(&w, f, 1, err, err_size) : -1;
}

/* 0, or -1 with a line in err. An interrupted pool (*stop set) is an error too, with nothing saved. Freed with pool_files_free. */
static inline int pool_files_make(pool_files *p, const pool_files_options *o, char *err, size_t err_size)
{
    const size_t tile_size = (size_t)o->cell_width * (size_t)o->cell_height * 3 * (size_t)(o->hues + 1) * (o->turns ? 4 : 1);
    mosaic_result result = MOSAIC_ERROR_MEMORY;
    mosaic_pool *saved = NULL;
    uint8_t *tiles;
    int *old;
    memset(p, 0, sizeof *p);
    if (pictures_find(&p->photos, o->folder, o->folders, err, err_size)) return -1;
    if (!p->photos.count) {
        snprintf(err, err_size, "%s%s: no photographs found; --tiles wants folders with JPEG, PNG, BMP, GIF, TGA, PSD, HDR, PIC or PNM pictures",
                 o->folder[0], o->folders > 1 ? " and the others" : "");
        return -1;
    }
    if (o->file && pool_files__load(p, o, &saved, err, err_size)) {
        pool_files_free(p);
        return -1;
    }
    tiles = (uint8_t *)malloc(tile_size * POOL_FILES_BATCH);
    old = (int *)malloc((size_t)p->photos.count * sizeof *old);
    p->skipped = (const char **)calloc((size_t)p->photos.count, sizeof *p->skipped);
    if (tiles && old && p->skipped) result = pool_files__build(p, o, saved, old, tiles, tile_size);
    free(tiles);
    free(old);
    if (result)
        snprintf(err, err_size, "the pool of photographs: %s", mosaic_result_string(result));
    else if (*o->stop)
        snprintf(err, err_size, "stopped while the pool of photographs was made");
    else if (!o->file || p->from_file || !pool_files__save(p, o->file, err, err_size))
        return 0;
    pool_files_free(p);
    return -1;
}

#endif
