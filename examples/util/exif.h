/* exif.h - the orientation a camera noted in a JPEG file. */
#ifndef MOSAIC_UTIL_EXIF_H
#define MOSAIC_UTIL_EXIF_H

#include <stddef.h>
#include <string.h>

/* How a stored picture becomes the one to show: with X = reverse_x ? width - 1 - x : x and Y = reverse_y ? height - 1 - y : y (width,
   height, x, y of the shown picture), pixel (x, y) is the stored (X, Y), or (Y, X) when transposed, which swaps width and height. */
typedef struct exif_turn {
    int transpose, reverse_x, reverse_y;
} exif_turn;

static inline exif_turn exif_turn_of(int orientation) /* 1 ... 8 as in the EXIF standard, anything else is 1 */
{
    static const exif_turn turns[9] = {{0, 0, 0}, {0, 0, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {1, 0, 0}, {1, 1, 0}, {1, 1, 1}, {1, 0, 1}};
    return turns[orientation >= 1 && orientation <= 8 ? orientation : 1];
}

static inline unsigned exif__number(const unsigned char *p, int bytes, int little)
{
    unsigned value = 0;
    int i;
    for (i = 0; i < bytes; i++) value = value << 8 | p[little ? bytes - 1 - i : i];
    return value;
}

/* The orientation 1 ... 8 from the first bytes of a JPEG file (64 KiB hold it in practice), 1 when there is none or it makes no sense. */
static inline int exif_orientation(const unsigned char *data, size_t size)
{
    size_t at = 2;
    if (size < 4 || data[0] != 0xff || data[1] != 0xd8) return 1;
    while (at + 4 <= size && data[at] == 0xff && data[at + 1] != 0xda) {
        const size_t length = exif__number(data + at + 2, 2, 0);
        if (data[at + 1] == 0xff) { /* padding */
            at++;
            continue;
        }
        if (length < 2 || at + 2 + length > size) return 1;
        if (data[at + 1] == 0xe1 && length >= 16 && memcmp(data + at + 4, "Exif\0\0", 6) == 0) {
            const unsigned char *tiff = data + at + 10;
            const size_t room = length - 8;
            const int little = tiff[0] == 'I';
            const size_t directory = exif__number(tiff + 4, 4, little);
            size_t i, entries;
            if (room < 2 || directory > room - 2) return 1;
            entries = exif__number(tiff + directory, 2, little);
            for (i = 0; i < entries && directory + 14 + 12 * i <= room; i++) {
                const unsigned char *entry = tiff + directory + 2 + 12 * i;
                if (exif__number(entry, 2, little) == 0x112) {
                    const int value = (int)exif__number(entry + 8, 2, little);
                    return value >= 1 && value <= 8 ? value : 1;
                }
            }
            return 1;
        }
        at += 2 + length;
    }
    return 1;
}

#endif
