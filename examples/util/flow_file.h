/* flow_file.h - motion fields in files (.flo, and PNG of 16 bits as KITTI has it), as a picture in colours, and how far one is from another.

   Include pictures.h and read_file.h first. A field is width x height pairs of floats, dx and dy in pixels; a component above 1e9 (or no number)
   means that the vector is not known. */
#ifndef MOSAIC_UTIL_FLOW_FILE_H
#define MOSAIC_UTIL_FLOW_FILE_H

#include <math.h>

#define FLOW_FILE_UNKNOWN 1.666666752e9f /* what Middlebury's tools write */

static inline int flow_known(const float v[2]) { return fabsf(v[0]) <= 1e9f && fabsf(v[1]) <= 1e9f; }

static inline int flow_is_png(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && !strcasecmp(dot, ".png");
}

/* ---- .flo: "PIEH", width and height as int32, then the vectors, row by row; all little-endian ---- */

static inline uint32_t flow__get(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void flow__put(unsigned char *p, uint32_t v)
{
    int i;
    for (i = 0; i < 4; i++) p[i] = (unsigned char)(v >> 8 * i);
}

static inline float *flow__read_flo(const char *path, const unsigned char *bytes, size_t size, int *width, int *height, char *err, size_t err_size)
{
    size_t count, i;
    float *field;
    if (size < 12 || memcmp(bytes, "PIEH", 4)) {
        snprintf(err, err_size, "%s: is no .flo file", path);
        return NULL;
    }
    if (flow__get(bytes + 4) - 1 >= 32767 || flow__get(bytes + 8) - 1 >= 32767) {
        snprintf(err, err_size, "%s: says it has %lu x %lu vectors; 1 to 32767 each are read", path, (unsigned long)flow__get(bytes + 4),
                 (unsigned long)flow__get(bytes + 8));
        return NULL;
    }
    *width = (int)flow__get(bytes + 4);
    *height = (int)flow__get(bytes + 8);
    count = (size_t)*width * (size_t)*height * 2;
    if (size != 12 + count * 4) {
        snprintf(err, err_size, "%s: has %lu bytes, but %d x %d vectors take %lu: it is %s", path, (unsigned long)size, *width, *height,
                 (unsigned long)(12 + count * 4), size < 12 + count * 4 ? "truncated" : "damaged");
        return NULL;
    }
    field = (float *)malloc(count * sizeof *field);
    for (i = 0; field && i < count; i++) {
        const uint32_t bits = flow__get(bytes + 12 + 4 * i);
        memcpy(field + i, &bits, sizeof bits);
    }
    if (!field) snprintf(err, err_size, "%s: out of memory", path);
    return field;
}

static inline int flow__write_flo(const float *field, int width, int height, FILE *f)
{
    const size_t count = (size_t)width * (size_t)height * 2;
    unsigned char head[12] = "PIEH", value[4];
    size_t i;
    flow__put(head + 4, (uint32_t)width);
    flow__put(head + 8, (uint32_t)height);
    fwrite(head, 1, 12, f);
    for (i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, field + i, sizeof bits);
        flow__put(value, bits);
        fwrite(value, 1, 4, f);
    }
    return 1;
}

/* ---- KITTI: a PNG of 16 bits, dx * 64 + 32768 in red, dy * 64 + 32768 in green, blue 1 where the vector is known ---- */

static inline float *flow__read_kitti(const char *path, const unsigned char *bytes, size_t size, int *width, int *height, char *err, size_t err_size)
{
    int channels = 0;
    unsigned short *v = NULL;
    float *field = NULL;
    size_t count, i;
    if (size <= INT_MAX && stbi_is_16_bit_from_memory(bytes, (int)size) && stbi_info_from_memory(bytes, (int)size, width, height, &channels) &&
        channels == 3)
        v = stbi_load_16_from_memory(bytes, (int)size, width, height, &channels, 3);
    if (!v) {
        snprintf(err, err_size, "%s: is no PNG of three channels of 16 bits, which a KITTI field is", path);
        return NULL;
    }
    count = (size_t)*width * (size_t)*height;
    field = (float *)malloc(count * 2 * sizeof *field);
    for (i = 0; field && i < count; i++) {
        field[2 * i] = v[3 * i + 2] ? ((float)v[3 * i] - 32768) / 64 : FLOW_FILE_UNKNOWN;
        field[2 * i + 1] = v[3 * i + 2] ? ((float)v[3 * i + 1] - 32768) / 64 : FLOW_FILE_UNKNOWN;
    }
    stbi_image_free(v);
    if (!field) snprintf(err, err_size, "%s: out of memory", path);
    return field;
}

static inline void flow__chunk(FILE *f, const char *name, const unsigned char *data, size_t size)
{
    uint32_t crc = 0xffffffff;
    unsigned char word[4];
    size_t i;
    int k;
    for (k = 0; k < 4; k++) fputc((int)(size >> (24 - 8 * k)) & 255, f);
    memcpy(word, name, 4);
    fwrite(word, 1, 4, f);
    fwrite(data, 1, size, f);
    for (i = 0; i < size + 4; i++) {
        crc ^= i < 4 ? word[i] : data[i - 4];
        for (k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    for (k = 0; k < 4; k++) fputc((int)(~crc >> (24 - 8 * k)) & 255, f);
}

/* 0 when the memory is not there. */
static inline int flow__write_kitti(const float *field, int width, int height, FILE *f)
{
    static const unsigned char signature[8] = {137, 'P', 'N', 'G', 13, 10, 26, 10};
    const size_t row = (size_t)width * 6 + 1;
    unsigned char *raw = (unsigned char *)malloc(row * (size_t)height), *packed, *p = raw, head[13] = {0};
    int x, y, k, size = 0;
    if (!raw) return 0;
    for (y = 0; y < height; y++) {
        *p++ = 0; /* no filter */
        for (x = 0; x < width; x++, field += 2) {
            const int known = flow_known(field);
            for (k = 0; k < 2; k++) {
                const double v = known ? floor((double)field[k] * 64 + 32768.5) : 0;
                const int value = v < 0 ? 0 : v > 65535 ? 65535 : (int)v;
                *p++ = (unsigned char)(value >> 8);
                *p++ = (unsigned char)value;
            }
            *p++ = 0;
            *p++ = (unsigned char)known;
        }
    }
    packed = stbi_zlib_compress(raw, (int)(row * (size_t)height), &size, 8);
    free(raw);
    if (!packed) return 0;
    for (k = 0; k < 4; k++) {
        head[k] = (unsigned char)(width >> (24 - 8 * k));
        head[4 + k] = (unsigned char)(height >> (24 - 8 * k));
    }
    head[8] = 16; /* bits */
    head[9] = 2;  /* RGB */
    fwrite(signature, 1, 8, f);
    flow__chunk(f, "IHDR", head, 13);
    flow__chunk(f, "IDAT", packed, (size_t)size);
    flow__chunk(f, "IEND", head, 0);
    free(packed);
    return 1;
}

/* ---- either ---- */

/* The caller frees the field. Null with a line in err. */
static inline float *flow_file_read(const char *path, int *width, int *height, char *err, size_t err_size)
{
    size_t size;
    unsigned char *bytes = read_file(path, (size_t)1 << 31, &size, err, err_size);
    float *field;
    if (!bytes) return NULL;
    field = (flow_is_png(path) ? flow__read_kitti : flow__read_flo)(path, bytes, size, width, height, err, err_size);
    free(bytes);
    return field;
}

/* KITTI's when the name ends in .png, else .flo. 0, or -1 with a line in err and nothing left behind. */
static inline int flow_file_write(const char *path, const float *field, int width, int height, char *err, size_t err_size)
{
    whole_file w;
    FILE *f = whole_file_open(&w, path, err, err_size);
    int done;
    if (!f) return -1;
    done = (flow_is_png(path) ? flow__write_kitti : flow__write_flo)(field, width, height, f);
    if (!done) snprintf(err, err_size, "%s: out of memory", path);
    return whole_file_close(&w, f, done, err, err_size) || !done ? -1 : 0;
}

/* Mean end-point error over the pixels that truth knows; NaN when it knows none. */
static inline double flow_error(const float *field, const float *truth, size_t pixels)
{
    double sum = 0, n = 0;
    size_t i;
    for (i = 0; i < pixels; i++)
        if (flow_known(truth + 2 * i)) {
            sum += hypot((double)field[2 * i] - (double)truth[2 * i], (double)field[2 * i + 1] - (double)truth[2 * i + 1]);
            n++;
        }
    return n > 0 ? sum / n : NAN;
}

/* The colour of a vector: its direction on Middlebury's wheel of 55 hues (Baker et al., 2011), white at rest, full colour at length 1. */
static inline void flow_colour(double dx, double dy, unsigned char rgb[3])
{
    /* Along each stretch of the wheel one channel rises or falls. */
    static const struct {
        int hues;
        signed char from[3], step[3];
    } stretch[6] = {{15, {1, 0, 0}, {0, 1, 0}},  {6, {1, 1, 0}, {-1, 0, 0}}, {4, {0, 1, 0}, {0, 0, 1}},
                    {11, {0, 1, 1}, {0, -1, 0}}, {13, {0, 0, 1}, {1, 0, 0}}, {6, {1, 0, 1}, {0, 0, -1}}};
    const double length = hypot(dx, dy);
    double hue = (atan2(-dy, -dx) / 3.14159265358979324 + 1) / 2 * 55;
    int i, c;
    for (i = 0; i < 5 && hue >= stretch[i].hues; i++) hue -= stretch[i].hues;
    for (c = 0; c < 3; c++) {
        double v = stretch[i].from[c] + stretch[i].step[c] * (hue / stretch[i].hues < 1 ? hue / stretch[i].hues : 1);
        v = length <= 1 ? 1 - length * (1 - v) : v * 0.75;
        rgb[c] = (unsigned char)(255 * v + 0.5);
    }
}

/* A field in colours, packed RGB; longest is the length that gets full colour, 0 = that of the field's longest vector. Unknown vectors are black. */
static inline void flow_picture(const float *field, size_t pixels, double longest, unsigned char *rgb)
{
    const int given = longest > 0;
    size_t i;
    for (i = 0; i < pixels && !given; i++)
        if (flow_known(field + 2 * i) && hypot(field[2 * i], field[2 * i + 1]) > longest) longest = hypot(field[2 * i], field[2 * i + 1]);
    if (!(longest > 0)) longest = 1;
    for (i = 0; i < pixels; i++) {
        memset(rgb + 3 * i, 0, 3);
        if (flow_known(field + 2 * i)) flow_colour(field[2 * i] / longest, field[2 * i + 1] / longest, rgb + 3 * i);
    }
}

#endif
