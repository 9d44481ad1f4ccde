/* A photomosaic of one picture: the whole use of the engine on one page.

       cc -O2 examples/mosaic_still.c -o mosaic_still
       ./mosaic_still portrait.jpg photos/ mosaic.png --cells 3000 --cell-aspect 3:2

   The photographs are the pictures in one folder. Where the picture is transparent, the mosaic is. For video, subfolders, upright photographs
   from phones, caches and threads see mosaic_video.c. Needs stb (libstb-dev) and nothing else. */
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_NO_HDR /* with these two stb_image needs no mathematics library */
#define STBI_NO_LINEAR
#include "../mosaic_temporal.h"
#include <dirent.h>
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#include <stdio.h>

#include "util/aspect.h"
#include "util/engine_options.h"
#include "util/mask.h"
#include "util/options.h"

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "mosaic_still: %s: %s\n", what, why);
    return 1;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The names in a folder, sorted: the order of a folder is the file system's, and the pool's order decides between equals. */
static int list_folder(const char *folder, char ***names)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0, room = 0;
    *names = NULL;
    while (dir && (entry = readdir(dir)) != NULL) {
        size_t size = strlen(folder) + strlen(entry->d_name) + 2;
        if (entry->d_name[0] == '.') continue;
        if (count == room) *names = (char **)realloc(*names, (size_t)(room = room ? 2 * room : 256) * sizeof **names);
        if (!*names || !((*names)[count] = (char *)malloc(size))) exit(fail(folder, "out of memory"));
        snprintf((*names)[count++], size, "%s/%s", folder, entry->d_name);
    }
    if (dir) closedir(dir);
    if (count > 0) qsort(*names, (size_t)count, sizeof **names, by_name);
    return count;
}

/* A picture as RGB with its transparent parts on white, the way viewers show them. Null: stbi_failure_reason() says why. */
static unsigned char *read_picture(const char *path, int *width, int *height, int *has_alpha)
{
    int channels = 0, c;
    /* Its own channels: when stb_image 2.27 is asked for others, it reads beyond the end of PNM pictures with 16 bits. */
    unsigned char *own = stbi_load(path, width, height, &channels, 0), *p = own;
    unsigned char *rgb = own ? (unsigned char *)malloc((size_t)*width * (size_t)*height * 3) : NULL;
    size_t i;
    *has_alpha = channels == 2 || channels == 4;
    for (i = 0; rgb && i < (size_t)*width * (size_t)*height; i++, p += channels)
        for (c = 0; c < 3; c++) {
            const int level = p[channels < 3 ? 0 : c], alpha = *has_alpha ? p[channels - 1] : 255;
            rgb[3 * i + (size_t)c] = (unsigned char)((level * alpha + 255 * (255 - alpha) + 127) / 255);
        }
    stbi_image_free(own);
    return rgb;
}

/* As PNG or JPEG. With `clear` cells without a photograph are transparent in a PNG, and white in a JPEG, which has no transparency. */
static int write_picture(const char *path, const mosaic_grid *grid, const mosaic_frame *frame, int clear)
{
    const char *dot = strrchr(path, '.');
    const int channels = clear ? 4 : 3, jpeg = dot && (strcmp(dot, ".jpg") == 0 || strcmp(dot, ".jpeg") == 0);
    unsigned char *picture = (unsigned char *)malloc((size_t)grid->width * (size_t)grid->height * (size_t)channels), *p = picture;
    int written, x, y;
    for (y = 0; picture && y < grid->height; y++)
        for (x = 0; x < grid->width; x++, p += channels) {
            const int empty = clear && frame->draw[y / grid->cell_height * grid->cols + x / grid->cell_width].photo < 0;
            memset(p, 255, (size_t)channels);
            if (!empty) memcpy(p, frame->rgb + (size_t)y * frame->stride + (size_t)x * 3, 3);
            if (empty) p[3] = 0;
        }
    written = picture && (jpeg ? stbi_write_jpg(path, grid->width, grid->height, channels, picture, 95)
                               : stbi_write_png(path, grid->width, grid->height, channels, picture, grid->width * channels));
    free(picture);
    return written;
}

/* What the command line says after the three names. Ends the program when it is wrong. */
typedef struct wishes {
    const char *aspect, *mask;
    int cells, height, mask_shows, aspect_width, aspect_height, hues, turns, preset;
    engine_option look[ENGINE_OPTIONS];
} wishes;

static const wishes *read_wishes(int argc, char **argv)
{
    static const char *const shows[] = {"nothing", "source", NULL};
    static wishes w = {NULL, NULL, 2000, 2160, 0, 1, 1, 0, 0, 0, {{"", "", 0, 0}}};
    char err[600] = "";
    int help = 0;
    const option first[] = {
        {"--cells", "N", OPTION_INT, &w.cells, 1, 4000000, NULL, "about so many (default 2000)"},
        {"--height", "PX", OPTION_INT, &w.height, 1, 16384, NULL, "of the mosaic (default 2160)"},
        {"--cell-aspect", "W:H", OPTION_TEXT, &w.aspect, 0, 0, NULL, "shape of the cells, 3:2 say (default 1:1)"},
        {"--mask", "FILE.png", OPTION_TEXT, &w.mask, 0, 0, NULL,
         "photographs only where this picture is opaque, or without transparency where it is\nbright (default: where PICTURE is opaque)"},
        {"--mask-shows", "WHAT", OPTION_CHOICE, &w.mask_shows, 0, 0, shows, "elsewhere: nothing (transparent), or the source (default nothing)"},
        {"--hue-variants", "N", OPTION_INT, &w.hues, 0, 7, NULL,
         "each photograph also with its hues turned by N steps of a circle of N + 1 (default 0)"},
        {"--turns", NULL, OPTION_FLAG, &w.turns, 0, 0, NULL, "each photograph also turned by quarters; where cells are not square, by a half"},
        {"--help", NULL, OPTION_FLAG, &help, 0, 0, NULL, "this text"},
        {"--preset", "NAME", OPTION_CHOICE, &w.preset, 0, 0, engine_presets(), engine_preset_help()},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "How it looks: a preset's values can be changed one by one (0 is none)"},
    };
    enum { ROWS = sizeof first / sizeof *first };
    option table[ROWS + ENGINE_OPTIONS + 1];
    const int names = argc > 3 && argv[1][0] != '-' && argv[2][0] != '-' && argv[3][0] != '-';
    int bad;
    memcpy(table, first, sizeof first);
    memset(table + ROWS + engine_option_rows(w.look, table + ROWS), 0, sizeof *table);
    bad = options_parse(table, names ? argc - 3 : argc, names ? argv + 3 : argv, err, sizeof err);
    if (!bad && w.aspect) bad = aspect_from_text(w.aspect, &w.aspect_width, &w.aspect_height, err, sizeof err);
    if (help || (!bad && !names)) {
        fprintf(help ? stdout : stderr, "usage: mosaic_still PICTURE PHOTO_FOLDER OUT.png|OUT.jpg [OPTIONS]\n");
        if (help) options_help(table, stdout);
        exit(help ? 0 : 2);
    }
    if (!bad) return &w;
    fprintf(stderr, "mosaic_still: %s\n", err);
    exit(2);
}

int main(int argc, char **argv)
{
    const wishes *w = read_wishes(argc, argv);
    mosaic_grid grid;
    mosaic_pool *pool;
    mosaic_engine *engine;
    mosaic_input input = {0};
    const mosaic_frame *frame;
    mosaic_result result;
    unsigned char *picture, *tile, *mask = NULL;
    char **names, err[600] = "";
    int width, height, has_alpha, count, missing, filled, i;

    picture = read_picture(argv[1], &width, &height, &has_alpha);
    if (!picture) return fail(argv[1], stbi_failure_reason());

    /* 1. The grid, and which of its cells are to be filled. */
    mosaic_fit fit = {0};
    fit.cells = w->cells;
    fit.height = w->height;
    fit.aspect_width = w->aspect_width;
    fit.aspect_height = w->aspect_height;
    result = mosaic_grid_fit(width, height, &fit, &grid);
    if (result != MOSAIC_OK) return fail(argv[1], "no grid for these --cells, --height and --cell-aspect; try fewer cells");
    filled = grid.cols * grid.rows;
    if (w->mask || has_alpha) {
        mask = mask_read(w->mask ? w->mask : argv[1], &grid, &filled, err, sizeof err);
        if (!mask) {
            fprintf(stderr, "mosaic_still: %s\n", err);
            return 1;
        }
    }

    /* 2. The pool: each photograph reduced to a tile. */
    if (mosaic_pool_create(grid.cell_width, grid.cell_height, NULL, &pool) != MOSAIC_OK) return fail("pool", "out of memory");
    mosaic_pool_set_looks(pool, w->hues, w->turns);
    tile = (unsigned char *)malloc((size_t)mosaic_pool_looks(pool, NULL, NULL) * (size_t)grid.cell_width * (size_t)grid.cell_height * 3);
    count = list_folder(argv[2], &names);
    for (i = 0; i < count; i++) {
        int across, down, alpha;
        unsigned char *photo = read_picture(names[i], &across, &down, &alpha);
        if (photo && tile &&
            mosaic_tile_reduce(photo, across, down, (size_t)across * 3, grid.cell_width, grid.cell_height, tile, NULL) == MOSAIC_OK &&
            mosaic_tile_looks(tile, grid.cell_width, grid.cell_height, w->hues, w->turns, tile) == MOSAIC_OK)
            mosaic_pool_add(pool, tile, names[i], 0);
        else
            fail(names[i], "not a picture, left out");
        free(photo);
        free(names[i]);
    }
    free(names);
    free(tile);
    if (mosaic_pool_photos(pool) == 0) return fail(argv[2], "no pictures in it");

    /* 3. The engine: with few photographs, each may be used more often. */
    mosaic_options options = {0};
    engine_options_apply(w->preset, w->look, &options);
    options.mask = mask;
    options.mask_source = w->mask_shows;
    missing = mosaic_photos_missing(&grid, mosaic_pool_photos(pool), &options);
    if (missing > 0) {
        fprintf(stderr, "mosaic_still: %s: %d more photographs would keep repeats rare; using them as often as needed\n", argv[2], missing);
        options.max_uses = MOSAIC_OFF;
    }
    result = mosaic_open(&grid, pool, &options, &engine);
    if (result != MOSAIC_OK) return fail(argv[2], mosaic_result_string(result));

    /* 4. One frame in, one frame out. A video would go round here. */
    input.rgb = picture;
    input.stride = (size_t)width * 3;
    result = mosaic_push(engine, &input, &frame);
    if (result != MOSAIC_OK) return fail(argv[1], mosaic_result_string(result));
    if (!write_picture(argv[3], &grid, frame, frame->filled < frame->cells && !w->mask_shows)) return fail(argv[3], "cannot be written");
    printf("%s: %d x %d px, %d x %d cells, %d of them filled, %d photographs\n", argv[3], grid.width, grid.height, grid.cols, grid.rows, filled,
           mosaic_pool_photos(pool));

    mosaic_close(engine);
    mosaic_pool_destroy(pool);
    free(mask);
    free(picture);
    return 0;
}
