/* Any bytes as a pool's file: each comes back as a pool that an engine can use, or as a named error.
   clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_pool.c -o fuzz_pool
   fuzz_pool --seeds FOLDER writes small files to begin with. */
#include "../test.h"
#define MOSAIC_TEMPORAL_STATIC
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#define MOSAIC_TEMPORAL_NO_SIMD /* the readers have none, and clang takes minutes to build the kernels so */
#include "../../mosaic_temporal.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every look of the first photographs, painted: the last byte of each is read. (An engine reads no more of a pool, and takes minutes to build so.) */
static void use(const mosaic_pool *pool)
{
    static const uint8_t source[3] = {1, 2, 3};
    const int looks = mosaic_pool_looks(pool, NULL, NULL);
    mosaic_grid grid;
    mosaic_draw draw;
    uint8_t *rgb;
    int i;
    memset(&grid, 0, sizeof grid);
    memset(&draw, 0, sizeof draw);
    mosaic_pool_cell(pool, &grid.cell_width, &grid.cell_height);
    grid.cols = grid.rows = grid.source_width = grid.source_height = 1;
    grid.width = grid.cell_width;
    grid.height = grid.cell_height;
    grid.crop_width = grid.crop_height = 64;
    draw.colour[0][0] = draw.colour[1][1] = draw.colour[2][2] = 4096;
    rgb = (uint8_t *)malloc((size_t)grid.width * (size_t)grid.height * 3);
    if (!rgb) abort();
    for (i = 0; i < mosaic_pool_photos(pool) * looks && i < 64; i++) {
        draw.photo = i / looks;
        draw.look = (uint8_t)(i % looks);
        if (mosaic_paint(&grid, pool, &draw, NULL, 1, 0, source, 3, rgb, (size_t)grid.width * 3, 0, NULL, NULL, NULL) != MOSAIC_OK) abort();
        if (memcmp(rgb, mosaic_pool_pixels(pool, i / looks) + (size_t)(i % looks) * (size_t)grid.width * (size_t)grid.height * 3,
                   (size_t)grid.width * (size_t)grid.height * 3) != 0)
            abort();
    }
    free(rgb);
}

/* The sum over the bytes is put right, so that changes get behind it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = (uint8_t *)malloc(size + 1), *again;
    mosaic_pool *pool = NULL;
    mosaic_result result;
    int i;
    if (!copy) abort();
    memcpy(copy, data, size);
    if (size >= MOSAIC__POOL_HEADER) mosaic__put64(copy + 32, mosaic__pool_checksum(copy, size));
    result = mosaic_pool_load(copy, size, NULL, &pool);
    if ((result == MOSAIC_OK) != (pool != NULL)) abort();
    if (pool) {
        const size_t saved = mosaic_pool_save_size(pool);
        for (i = 0; i < mosaic_pool_photos(pool); i++)
            if (strlen(mosaic_pool_name(pool, i)) > size || !mosaic_pool_pixels(pool, i)) abort();
        again = (uint8_t *)malloc(saved);
        if (!again || mosaic_pool_save(pool, again, saved) != MOSAIC_OK) abort();
        free(again);
        use(pool);
        mosaic_pool_destroy(pool);
    }
    free(copy);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const int kind[5][5] = {
        {4, 4, 0, 0, 0}, {4, 4, 3, 0, 0}, {8, 4, 6, 1, 1}, {5, 5, 2, 2, 1}, {1, 1, 9, 7, 0}}; /* cell, photographs, looks */
    uint8_t tile[8 * 4 * 3], looks[MOSAIC_LOOKS_MOST * sizeof tile];
    char path[4096];
    int i, k;
    if (*argc != 3 || strcmp((*argv)[1], "--seeds") != 0) return 0;
    for (i = 0; i < 5; i++) {
        mosaic_pool *pool = NULL;
        uint8_t *data;
        size_t size;
        FILE *out;
        if (mosaic_pool_create(kind[i][0], kind[i][1], NULL, &pool) != MOSAIC_OK || mosaic_pool_set_looks(pool, kind[i][3], kind[i][4]) != MOSAIC_OK)
            exit(1);
        for (k = 0; k < kind[i][2]; k++) {
            memset(tile, 40 * k, sizeof tile);
            tile[k] = 200;
            mosaic_tile_looks(tile, kind[i][0], kind[i][1], kind[i][3], kind[i][4], looks);
            mosaic_pool_add(pool, looks, k % 2 ? "a photograph" : "", (uint64_t)k);
        }
        size = mosaic_pool_save_size(pool);
        data = (uint8_t *)malloc(size);
        snprintf(path, sizeof path, "%s/seed%d", (*argv)[2], i);
        out = fopen(path, "wb");
        if (!data || mosaic_pool_save(pool, data, size) != MOSAIC_OK || !out || fwrite(data, 1, size, out) != size || fclose(out)) exit(1);
        free(data);
        mosaic_pool_destroy(pool);
    }
    exit(0);
}
