/* aspect.h - the shape of a cell as it is written on a command line: "3:2". */
#ifndef MOSAIC_UTIL_ASPECT_H
#define MOSAIC_UTIL_ASPECT_H

#include <stdio.h>

/* 0, or -1 with a line in err. */
static inline int aspect_from_text(const char *text, int *width, int *height, char *err, size_t err_size)
{
    char rest;
    if (sscanf(text, "%4d:%4d%c", width, height, &rest) == 2 && *width >= 1 && *height >= 1 && *width <= 4096 && *height <= 4096 &&
        *width <= 16 * *height && *height <= 16 * *width)
        return 0;
    snprintf(err, err_size, "--cell-aspect: \"%s\" is no shape; write 3:2 or 2:3, neither side more than 16 times the other", text);
    return -1;
}

#endif
