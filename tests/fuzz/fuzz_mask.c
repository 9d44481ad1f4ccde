/* Any bytes as a mask's picture: a mask with at least one cell filled, or one line that says what is wrong.
   clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_mask.c -o fuzz_mask
   fuzz_mask --seeds FOLDER writes small files to begin with. */
#define _GNU_SOURCE
#define MOSAIC_TEMPORAL_STATIC
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#define MOSAIC_TEMPORAL_NO_SIMD /* the readers have none, and clang takes minutes to build the kernels so */
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 2048 /* larger ones are only slow here */
#include "../../mosaic_temporal.h"
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_image.h>

#include "../../examples/util/mask.h"
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int file = memfd_create("mask", 0);
    char path[64], err[600] = "";
    int filled = -1, i, sum = 0;
    mosaic_fit fit;
    mosaic_grid grid;
    unsigned char *mask;
    memset(&fit, 0, sizeof fit);
    fit.cells = 40;
    fit.height = 90;
    if (file < 0 || write(file, data, size) != (ssize_t)size || mosaic_grid_fit(160, 90, &fit, &grid) != MOSAIC_OK) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    mask = mask_read(path, &grid, &filled, err, sizeof err);
    close(file);
    if (!mask != (err[0] != 0) || strchr(err, '\n')) abort();
    for (i = 0; mask && i < grid.cols * grid.rows; i++) {
        if (mask[i] > 1) abort();
        sum += mask[i];
    }
    if (mask && (sum != filled || sum < 1)) abort();
    free(mask);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    /* A PGM, and a TGA with an alpha channel. */
    static const unsigned char pgm[] = "P5 4 1 255\n\377\377\177", tga[] = "\0\0\2\0\0\0\0\0\0\0\0\0\2\0\1\0\40\50\377\0\0\377\0\377\0";
    char path[4096];
    int i;
    if (*argc != 3 || strcmp((*argv)[1], "--seeds") != 0) return 0;
    for (i = 0; i < 2; i++) {
        FILE *out;
        snprintf(path, sizeof path, "%s/seed%d", (*argv)[2], i);
        out = fopen(path, "wb");
        if (!out || fwrite(i ? tga : pgm, 1, i ? sizeof tga : sizeof pgm, out) < 1 || fclose(out)) exit(1);
    }
    exit(0);
}
