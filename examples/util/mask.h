/* mask.h - a picture that says which parts of another are to be filled: its alpha channel, or its brightness where it has none.

   Include stb_image.h (with its implementation, once in the program) and mosaic_temporal.h first. */
#ifndef MOSAIC_UTIL_MASK_H
#define MOSAIC_UTIL_MASK_H

#include <stdio.h>
#include <stdlib.h>

/* The mask of the cells of a grid, cols * rows bytes, to be freed; *filled is how many cells it fills. Null with a line in err. */
static inline unsigned char *mask_read(const char *path, const mosaic_grid *grid, int *filled, char *err, size_t err_size)
{
    const int cells = grid->cols * grid->rows;
    int width, height, channels, i;
    size_t k;
    /* Its own channels: when stb_image 2.27 is asked for others, it reads beyond the end of PNM pictures with 16 bits. */
    unsigned char *level = stbi_load(path, &width, &height, &channels, 0), *mask = (unsigned char *)malloc((size_t)cells);
    mosaic_result result = MOSAIC_ERROR_MEMORY;
    if (!level) {
        snprintf(err, err_size, "%s: %s; a mask is a picture, white (or opaque) where there are to be photographs", path, stbi_failure_reason());
        free(mask);
        return NULL;
    }
    for (k = 0; k < (size_t)width * (size_t)height; k++) {
        const unsigned char *p = level + k * (size_t)channels;
        level[k] = channels == 3 ? (unsigned char)((p[0] * 77 + p[1] * 150 + p[2] * 29) >> 8) : p[channels - 1];
    }
    if (mask) result = mosaic_mask_cells(grid, level, width, height, (size_t)width, mask);
    stbi_image_free(level);
    *filled = 0;
    for (i = 0; i < cells && !result; i++) *filled += mask[i];
    if (!result && *filled) return mask;
    snprintf(err, err_size, result ? "%s: %s" : "%s: leaves out every cell; it must be white (or opaque) where there are to be photographs", path,
             mosaic_result_string(result));
    free(mask);
    return NULL;
}

#endif
