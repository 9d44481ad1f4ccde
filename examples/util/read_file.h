/* read_file.h - a file as one block of bytes. */
#ifndef MOSAIC_UTIL_READ_FILE_H
#define MOSAIC_UTIL_READ_FILE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The caller frees the block. Null with a line in err when the file cannot be read, or is longer than `most` bytes. */
static inline unsigned char *read_file(const char *path, size_t most, size_t *size, char *err, size_t err_size)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes = NULL;
    size_t room = 0, n = 0;
    struct stat st;
    int failed = f == NULL ? errno : fstat(fileno(f), &st) ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;
    while (!failed) {
        if (n == room) {
            unsigned char *more = n > most ? NULL : (unsigned char *)realloc(bytes, room = room ? 2 * room : 1 << 16);
            if (!more) {
                failed = n > most ? EFBIG : ENOMEM;
                break;
            }
            bytes = more;
        }
        n += fread(bytes + n, 1, room - n, f);
        if (n < room) {
            failed = ferror(f) ? (errno ? errno : EIO) : 0;
            break;
        }
    }
    if (f) fclose(f);
    if (!failed && n > most) failed = EFBIG;
    *size = n;
    if (!failed) return bytes;
    free(bytes);
    snprintf(err, err_size, "%s: %s", path, strerror(failed));
    return NULL;
}

#endif
