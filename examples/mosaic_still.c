/* A photomosaic of one picture: the whole use of the engine on one page.

       cc -O2 examples/mosaic_still.c -o mosaic_still
       ./mosaic_still portrait.jpg photos/ mosaic.png

   The photographs are the pictures in one folder. For video, subfolders, upright photographs from phones, caches and threads see
   mosaic_video.c. Needs stb (libstb-dev) and nothing else. */
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

int main(int argc, char **argv)
{
    mosaic_grid grid;
    mosaic_pool *pool;
    mosaic_engine *engine;
    mosaic_input input = {0};
    const mosaic_frame *frame;
    mosaic_result result;
    unsigned char *picture, *tile;
    char **names;
    const char *end;
    int width, height, count, missing, written, i;

    if (argc != 4) {
        fprintf(stderr, "usage: mosaic_still PICTURE PHOTO_FOLDER OUT.png|OUT.jpg\n");
        return 2;
    }
    picture = stbi_load(argv[1], &width, &height, NULL, 3);
    if (!picture) return fail(argv[1], stbi_failure_reason());

    /* 1. The grid: about 2000 cells, 2160 pixels high. */
    mosaic_fit fit = {0};
    fit.cells = 2000;
    fit.height = 2160;
    result = mosaic_grid_fit(width, height, &fit, &grid);
    if (result != MOSAIC_OK) return fail(argv[1], mosaic_result_string(result));

    /* 2. The pool: each photograph reduced to a tile. */
    if (mosaic_pool_create(grid.cell_width, grid.cell_height, NULL, &pool) != MOSAIC_OK) return fail("pool", "out of memory");
    tile = (unsigned char *)malloc((size_t)grid.cell_width * (size_t)grid.cell_height * 3);
    count = list_folder(argv[2], &names);
    for (i = 0; i < count; i++) {
        int w, h;
        unsigned char *photo = stbi_load(names[i], &w, &h, NULL, 3);
        if (photo && tile && mosaic_tile_reduce(photo, w, h, (size_t)w * 3, grid.cell_width, grid.cell_height, tile, NULL) == MOSAIC_OK)
            mosaic_pool_add(pool, tile, names[i], 0);
        else
            fail(names[i], "not a picture, left out");
        stbi_image_free(photo);
        free(names[i]);
    }
    free(names);
    free(tile);
    if (mosaic_pool_photos(pool) == 0) return fail(argv[2], "no pictures in it");

    /* 3. The engine: with few photographs, each may be used more often. */
    mosaic_options options = {0};
    missing = mosaic_photos_missing(&grid, mosaic_pool_photos(pool), NULL);
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
    end = strrchr(argv[3], '.');
    if (end && (strcmp(end, ".jpg") == 0 || strcmp(end, ".jpeg") == 0))
        written = stbi_write_jpg(argv[3], grid.width, grid.height, 3, frame->rgb, 95);
    else
        written = stbi_write_png(argv[3], grid.width, grid.height, 3, frame->rgb, (int)frame->stride);
    if (!written) return fail(argv[3], "cannot be written");
    printf("%s: %d x %d px, %d x %d cells, %d photographs\n", argv[3], grid.width, grid.height, grid.cols, grid.rows, mosaic_pool_photos(pool));

    mosaic_close(engine);
    mosaic_pool_destroy(pool);
    stbi_image_free(picture);
    return 0;
}
