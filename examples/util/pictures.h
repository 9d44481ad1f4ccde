/* pictures.h - folders of pictures, reading a picture upright, writing one whole. stb_image and POSIX, nothing else. */
#ifndef MOSAIC_UTIL_PICTURES_H
#define MOSAIC_UTIL_PICTURES_H

#include "exif.h"
#include "whole_file.h"
#include <dirent.h>
#include <stdint.h>
#include <strings.h>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

/* ---- folders ---- */

typedef struct picture_file {
    char *path;       /* to open it */
    const char *name; /* the end of path: relative to the folder it was found in */
    uint64_t size;
    uint64_t stamp; /* of size and modification time: changes with the file */
    dev_t device;
    ino_t node;
    int order; /* its place in the list */
} picture_file;

typedef struct picture_list {
    picture_file *file;
    int count, room;
} picture_list;

static inline void picture_list_free(picture_list *list)
{
    int i;
    for (i = 0; i < list->count; i++) free(list->file[i].path);
    free(list->file);
    memset(list, 0, sizeof *list);
}

/* By the endings of what stb_image reads. */
static inline int picture_has_ending(const char *name)
{
    static const char *const endings[] = {"jpg", "jpeg", "png", "bmp", "gif", "tga", "psd", "hdr", "pic", "pgm", "ppm", "pnm", NULL};
    const char *dot = strrchr(name, '.');
    int i;
    for (i = 0; dot && endings[i]; i++)
        if (!strcasecmp(dot + 1, endings[i])) return 1;
    return 0;
}

static inline uint64_t picture_stamp(const struct stat *st)
{
#if defined(__APPLE__)
    const uint64_t words[3] = {(uint64_t)st->st_size, (uint64_t)st->st_mtimespec.tv_sec, (uint64_t)st->st_mtimespec.tv_nsec};
#else
    const uint64_t words[3] = {(uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec};
#endif
    uint64_t hash = 0x9e3779b97f4a7c15u;
    int i;
    for (i = 0; i < 3; i++) {
        hash = (hash ^ words[i]) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    return hash;
}

static inline int picture_list_add(picture_list *list, char *path, size_t root, const struct stat *st)
{
    picture_file *f;
    if (list->count == list->room) {
        int room = list->room ? 2 * list->room : 256;
        f = (picture_file *)realloc(list->file, (size_t)room * sizeof *f);
        if (!f) return -1;
        list->file = f;
        list->room = room;
    }
    f = &list->file[list->count++];
    f->path = path;
    f->name = path + root;
    f->size = (uint64_t)st->st_size;
    f->stamp = picture_stamp(st);
    f->device = st->st_dev;
    f->node = st->st_ino;
    return 0;
}

typedef struct picture__folder { /* one on the way down: links may lead back to it */
    const struct picture__folder *above;
    dev_t device;
    ino_t node;
} picture__folder;

static inline int picture__is_above(const picture__folder *f, const struct stat *st)
{
    while (f && (f->device != st->st_dev || f->node != st->st_ino)) f = f->above;
    return f != NULL;
}

/* -1: out of memory, or the outermost folder cannot be read (errno). */
static inline int picture__walk(picture_list *list, const char *path, size_t root, const picture__folder *above)
{
    DIR *d = opendir(path);
    picture__folder here;
    struct dirent *e;
    struct stat st;
    int result = 0;
    if (!d) return above ? 0 : -1;
    memset(&here, 0, sizeof here);
    here.above = above;
    if (!fstat(dirfd(d), &st)) here.device = st.st_dev, here.node = st.st_ino;
    while (!result && (e = readdir(d)) != NULL) {
        const size_t length = strlen(path), room = length + strlen(e->d_name) + 2;
        char *below;
        if (e->d_name[0] == '.') continue;
        below = (char *)malloc(room);
        if (!below) {
            result = -1;
            break;
        }
        snprintf(below, room, "%s%s%s", path, length && path[length - 1] == '/' ? "" : "/", e->d_name);
        if (stat(below, &st)) st.st_mode = 0;
        if (S_ISREG(st.st_mode) && picture_has_ending(e->d_name)) {
            result = picture_list_add(list, below, root, &st);
            if (!result) below = NULL;
        } else if (S_ISDIR(st.st_mode) && access(below, R_OK | X_OK)) { /* listed, so that it is named among what could not be read */
            result = picture_list_add(list, below, root, &st);
            if (!result) below = NULL;
        } else if (S_ISDIR(st.st_mode) && !picture__is_above(&here, &st)) {
            result = picture__walk(list, below, root, &here);
        }
        free(below);
    }
    closedir(d);
    return result;
}

static inline int picture__by_name(const void *a, const void *b) { return strcmp(((const picture_file *)a)->name, ((const picture_file *)b)->name); }
static inline int picture__by_order(const void *a, const void *b) { return ((const picture_file *)a)->order - ((const picture_file *)b)->order; }
static inline int picture__by_file(const void *a, const void *b)
{
    const picture_file *p = (const picture_file *)a, *q = (const picture_file *)b;
    if (p->device != q->device) return p->device < q->device ? -1 : 1;
    if (p->node != q->node) return p->node < q->node ? -1 : 1;
    return p->order - q->order;
}

/* One file reached by several ways (links, a folder named twice) counts once, where it came first. */
static inline void picture__once(picture_list *list)
{
    int i, kept = 0;
    if (!list->count) return;
    for (i = 0; i < list->count; i++) list->file[i].order = i;
    qsort(list->file, (size_t)list->count, sizeof *list->file, picture__by_file);
    for (i = 0; i < list->count; i++) {
        if (kept && list->file[i].device == list->file[kept - 1].device && list->file[i].node == list->file[kept - 1].node)
            free(list->file[i].path);
        else
            list->file[kept++] = list->file[i];
    }
    list->count = kept;
    qsort(list->file, (size_t)list->count, sizeof *list->file, picture__by_order);
}

/* Every picture below these folders: folder by folder as given, inside each sorted by path, byte by byte. 0, or -1 with a line in err. */
static inline int pictures_find(picture_list *list, const char *const *folder, int folders, char *err, size_t err_size)
{
    int i;
    memset(list, 0, sizeof *list);
    for (i = 0; i < folders; i++) {
        size_t length = strlen(folder[i]);
        int begin = list->count;
        if (picture__walk(list, folder[i], length + (length && folder[i][length - 1] == '/' ? 0 : 1), NULL)) {
            snprintf(err, err_size, "%s: %s; --tiles wants folders of photographs", folder[i], strerror(errno));
            picture_list_free(list);
            return -1;
        }
        if (list->count > begin) qsort(list->file + begin, (size_t)(list->count - begin), sizeof *list->file, picture__by_name);
    }
    picture__once(list);
    return 0;
}

/* ---- reading ---- */

/* The picture as it is to be shown; frees the stored one. Null: out of memory. */
static inline unsigned char *picture__turn(unsigned char *rgb, int *width, int *height, exif_turn turn)
{
    const int stored = *width, w = turn.transpose ? *height : *width, h = turn.transpose ? *width : *height;
    unsigned char *out = (unsigned char *)malloc((size_t)w * (size_t)h * 3), *o = out;
    int x, y;
    for (y = 0; out && y < h; y++)
        for (x = 0; x < w; x++, o += 3) {
            const int sx = turn.reverse_x ? w - 1 - x : x, sy = turn.reverse_y ? h - 1 - y : y;
            const int column = turn.transpose ? sy : sx, row = turn.transpose ? sx : sy;
            memcpy(o, rgb + 3 * ((size_t)row * (size_t)stored + (size_t)column), 3);
        }
    *width = w;
    *height = h;
    free(rgb);
    return out;
}

/* Transparent parts are shown on white, as a viewer would. */
static inline void picture__flatten(unsigned char *rgba, size_t pixels)
{
    size_t i;
    int c;
    for (i = 0; i < pixels; i++)
        for (c = 0; c < 3; c++) {
            int a = rgba[4 * i + 3];
            rgba[3 * i + (size_t)c] = (unsigned char)((rgba[4 * i + (size_t)c] * a + 255 * (255 - a) + 127) / 255);
        }
}

/* Grey levels (and alpha) as three (or four) channels, from the last pixel on in the same memory, or null. */
static inline unsigned char *picture__colour(unsigned char *grey, int *channels, size_t pixels)
{
    const size_t from = (size_t)*channels, to = from + 2;
    unsigned char *rgb = (unsigned char *)realloc(grey, pixels * to);
    size_t k;
    if (!rgb) free(grey);
    for (k = rgb ? pixels : 0; k-- > 0;) {
        const unsigned char level = rgb[k * from], alpha = rgb[k * from + from - 1];
        memset(rgb + k * to, level, 3);
        if (to == 4) rgb[k * to + 3] = alpha;
    }
    *channels = (int)to;
    return rgb;
}

/* A picture file, upright, as packed 8-bit RGB; freed with free(). Null: *why is a phrase. Any thread. */
static inline unsigned char *picture_read(const char *path, int *width, int *height, const char **why)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data = NULL, *rgb = NULL;
    int channels = 3, orientation;
    long size;
    *why = "cannot be opened";
    if (!f) return NULL;
    size = fseek(f, 0, SEEK_END) ? -1 : ftell(f);
    rewind(f);
    *why = size ? "cannot be read" : "is empty";
    if (size > 0 && size <= INT_MAX) data = (unsigned char *)malloc((size_t)size);
    if (data && fread(data, 1, (size_t)size, f) == (size_t)size) {
        /* Its own channels: when stb_image 2.27 is asked for others, it reads beyond the end of PNM pictures with 16 bits. */
        rgb = stbi_load_from_memory(data, (int)size, width, height, &channels, 0);
        if (!rgb) *why = stbi_failure_reason() ? stbi_failure_reason() : "is no picture";
        if (rgb && channels < 3) {
            *why = "out of memory";
            rgb = picture__colour(rgb, &channels, (size_t)*width * (size_t)*height);
        }
    }
    if (rgb && channels == 4) picture__flatten(rgb, (size_t)*width * (size_t)*height);
    orientation = rgb ? exif_orientation(data, (size_t)size) : 1;
    free(data);
    fclose(f);
    if (orientation > 1) {
        *why = "out of memory";
        rgb = picture__turn(rgb, width, height, exif_turn_of(orientation));
    }
    return rgb;
}

/* ---- writing ---- */

static inline void picture__to_file(void *file, void *data, int size) { fwrite(data, 1, (size_t)size, (FILE *)file); }

/* Packed RGB to a PNG, or a JPEG (quality 95, 4:4:4) when the name says so. 0, or -1 with a line in err and nothing left behind. */
static inline int picture_write(const char *path, const unsigned char *rgb, int width, int height, char *err, size_t err_size)
{
    const char *dot = strrchr(path, '.');
    int jpeg = dot && (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg")), done;
    whole_file w;
    FILE *f = whole_file_open(&w, path, err, err_size);
    if (!f) return -1;
    done = jpeg ? stbi_write_jpg_to_func(picture__to_file, f, width, height, 3, rgb, 95)
                : stbi_write_png_to_func(picture__to_file, f, width, height, 3, rgb, 3 * width);
    if (!done) snprintf(err, err_size, "%s: out of memory", path);
    return whole_file_close(&w, f, done, err, err_size) || !done ? -1 : 0;
}

#endif
