/* ply.h - clouds of points as PLY files. Include mosaic_mem.h before.

   Written as ASCII or little-endian binary: position, colour, normal, and how many samples a point stands for. Read in ASCII and in binary of either
   order, with the properties in any order and of any type, other elements and properties passed over. Any bytes at all are safe to read. */
#ifndef MOSAIC_UTIL_PLY_H
#define MOSAIC_UTIL_PLY_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All points of a cloud in the order of their numbers. 0, or -1 when the file could not be written. */
static inline int ply_write(FILE *file, const mosaic_mem_cloud *cloud, int binary)
{
    static const char *const names[10] = {"float x",    "float y",  "float z",  "uchar red", "uchar green",
                                          "uchar blue", "float nx", "float ny", "float nz",  "uint weight"};
    mosaic_mem_point p;
    uint64_t number = 0;
    int i;
    fprintf(file, "ply\nformat %s 1.0\nelement vertex %zu\n", binary ? "binary_little_endian" : "ascii", mosaic_mem_cloud_count(cloud));
    for (i = 0; i < 10; i++) fprintf(file, "property %s\n", names[i]);
    fprintf(file, "end_header\n");
    while ((number = mosaic_mem_cloud_next(cloud, number)) != 0 && mosaic_mem_cloud_read(cloud, number, &p) == MOSAIC_MEM_OK) {
        unsigned char bytes[31], *at = bytes;
        uint32_t word;
        int shift;
        if (!binary) {
            fprintf(file, "%.9g %.9g %.9g %d %d %d %.9g %.9g %.9g %lu\n", (double)p.position[0], (double)p.position[1], (double)p.position[2],
                    p.rgb[0], p.rgb[1], p.rgb[2], (double)p.normal[0], (double)p.normal[1], (double)p.normal[2], (unsigned long)p.weight);
            continue;
        }
        for (i = 0; i < 10; i++) {
            if (i >= 3 && i < 6) {
                *at++ = p.rgb[i - 3];
                continue;
            }
            if (i < 9)
                memcpy(&word, i < 3 ? &p.position[i] : &p.normal[i - 6], sizeof word);
            else
                word = p.weight;
            for (shift = 0; shift < 32; shift += 8) *at++ = (unsigned char)(word >> shift);
        }
        fwrite(bytes, 1, sizeof bytes, file);
    }
    return ferror(file) ? -1 : 0;
}

enum { PLY_PROPERTIES = 64, PLY_SAID = 11 };

/* Where reading is, and how the numbers are written. */
typedef struct ply_input {
    const unsigned char *at, *end;
    int ascii, big;
} ply_input;

typedef struct ply_property {
    int list;    /* the type of its length, or -1 */
    int type;    /* into ply_types */
    int meaning; /* into the point, or -1 */
} ply_property;

static const struct {
    const char *name;
    int bytes, kind; /* 0 unsigned, 1 signed, 2 floating */
} ply_types[16] = {{"char", 1, 1},   {"int8", 1, 1},    {"uchar", 1, 0},  {"uint8", 1, 0},  {"short", 2, 1}, {"int16", 2, 1},
                   {"ushort", 2, 0}, {"uint16", 2, 0},  {"int", 4, 1},    {"int32", 4, 1},  {"uint", 4, 0},  {"uint32", 4, 0},
                   {"float", 4, 2},  {"float32", 4, 2}, {"double", 8, 2}, {"float64", 8, 2}};

static inline int ply_type(const char *name)
{
    int i;
    for (i = 0; i < 16; i++)
        if (!strcmp(name, ply_types[i].name)) return i;
    return -1;
}

/* The next line of the header, cut into words. How many; -1 at the end of the file or for a line that cannot be. */
static inline int ply_line(ply_input *in, char *line, size_t size, char *words[5])
{
    size_t n = 0;
    int count = 0;
    char *c;
    while (in->at < in->end && *in->at != '\n') {
        if (n + 1 >= size || *in->at == 0) return -1;
        line[n++] = (char)*in->at++;
    }
    if (in->at == in->end) return -1;
    in->at++;
    line[n] = 0;
    for (c = line; *c; c++)
        if (*c == '\r' || *c == '\t') *c = ' ';
    for (c = strtok(line, " "); c && count < 5; c = strtok(NULL, " ")) words[count++] = c;
    return count;
}

/* One number. 0, or -1 when there is none. */
static inline int ply_number(ply_input *in, int type, double *out)
{
    const int bytes = ply_types[type].bytes;
    uint64_t bits = 0;
    int i;
    if (in->ascii) {
        char word[64], *rest;
        size_t n = 0;
        while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t')) in->at++;
        while (in->at<in->end && * in->at> ' ' && n + 1 < sizeof word) word[n++] = (char)*in->at++;
        word[n] = 0;
        *out = strtod(word, &rest);
        return n && !*rest ? 0 : -1;
    }
    if (in->end - in->at < bytes) return -1;
    for (i = 0; i < bytes; i++) bits |= (uint64_t)in->at[i] << 8 * (in->big ? bytes - 1 - i : i);
    in->at += bytes;
    if (ply_types[type].kind == 2 && bytes == 4) {
        const uint32_t word = (uint32_t)bits;
        float f;
        memcpy(&f, &word, sizeof f);
        *out = (double)f;
    } else if (ply_types[type].kind == 2) {
        memcpy(out, &bits, sizeof *out);
    } else {
        *out = (double)bits;
        if (ply_types[type].kind == 1 && bits >> (8 * bytes - 1)) *out -= ldexp(1, 8 * bytes);
    }
    return 0;
}

/* All numbers of one element of a file; those with a meaning to `said`. 0, or -1 when the file ends or a number is none. */
static inline int ply_element(ply_input *in, const ply_property *property, int properties, double said[PLY_SAID])
{
    int i;
    for (i = 0; i < properties; i++) {
        double length = 1, x;
        if (property[i].list >= 0 && (ply_number(in, property[i].list, &length) || !(length >= 0 && length <= (double)(in->end - in->at)))) return -1;
        for (; length >= 1; length--) {
            if (ply_number(in, property[i].type, &x)) return -1;
            if (property[i].list < 0 && property[i].meaning >= 0) said[property[i].meaning] = x;
        }
    }
    return 0;
}

/* The caller frees the points. -1 with a line in err when the file is no PLY, has no vertices with places, or ends too early. */
static inline int ply_read(const unsigned char *bytes, size_t size, mosaic_mem_point **points, size_t *count, char *err, size_t err_size)
{
    static const char *const meanings[PLY_SAID] = {"x", "y", "z", "red", "green", "blue", "nx", "ny", "nz", "weight", "time"};
    ply_property property[PLY_PROPERTIES];
    ply_input in;
    char line[512], *word[5];
    const char *why = "not a PLY file";
    size_t wanted[8], i;
    int first[9], elements = 0, vertex = -1, properties = 0, words, e, formats = 0, k;
    *points = NULL;
    *count = 0;
    memset(&in, 0, sizeof in);
    in.at = bytes;
    in.end = bytes + size;
    words = ply_line(&in, line, sizeof line, word);
    if (words != 1 || strcmp(word[0], "ply")) goto failed;
    for (;;) {
        why = "the header of the PLY file ends too early or cannot be read";
        words = ply_line(&in, line, sizeof line, word);
        if (words < 0) goto failed;
        if (words == 0 || !strcmp(word[0], "comment") || !strcmp(word[0], "obj_info")) continue;
        if (!strcmp(word[0], "end_header")) break;
        if (!strcmp(word[0], "format") && words == 3 && !strcmp(word[2], "1.0")) {
            in.ascii = !strcmp(word[1], "ascii");
            in.big = !strcmp(word[1], "binary_big_endian");
            if (!in.ascii && !in.big && strcmp(word[1], "binary_little_endian")) goto failed;
            formats++;
        } else if (!strcmp(word[0], "element") && words == 3 && elements < 8) {
            char *rest;
            if (word[2][0] < '0' || word[2][0] > '9' || strlen(word[2]) > 10) goto failed;
            wanted[elements] = (size_t)strtoull(word[2], &rest, 10);
            if (*rest) goto failed;
            if (!strcmp(word[1], "vertex")) {
                if (vertex >= 0) goto failed;
                vertex = elements;
            }
            first[elements++] = properties;
        } else if (!strcmp(word[0], "property") && elements && properties < PLY_PROPERTIES &&
                   (words == 3 || (words == 5 && !strcmp(word[1], "list")))) {
            ply_property *p = &property[properties++];
            p->list = words == 5 ? ply_type(word[2]) : -1;
            p->type = ply_type(word[words - 2]);
            p->meaning = -1;
            if (p->type < 0 || (words == 5 && (p->list < 0 || ply_types[p->list].kind == 2))) goto failed;
            for (k = 0; k < PLY_SAID; k++)
                if (!strcmp(word[words - 1], meanings[k])) p->meaning = k;
        } else {
            goto failed;
        }
    }
    if (formats != 1 || vertex < 0) goto failed;
    first[elements] = properties;
    {
        int seen[3] = {0, 0, 0};
        why = "the PLY file has no x, y and z";
        for (k = first[vertex]; k < first[vertex + 1]; k++)
            if (property[k].list < 0 && property[k].meaning >= 0 && property[k].meaning < 3) seen[property[k].meaning]++;
        if (seen[0] != 1 || seen[1] != 1 || seen[2] != 1) goto failed;
    }
    why = "the PLY file ends too early, or has what is no number";
    for (e = 0; e <= vertex; e++) {
        const ply_property *p = property + first[e];
        const int n = first[e + 1] - first[e];
        if (n == 0) continue;
        if (wanted[e] > (size_t)(in.end - in.at)) goto failed; /* each takes a byte at least */
        if (e == vertex && wanted[e]) {
            *points = (mosaic_mem_point *)calloc(wanted[e], sizeof **points);
            if (!*points) {
                why = "out of memory";
                goto failed;
            }
        }
        for (i = 0; i < wanted[e]; i++) {
            double said[PLY_SAID] = {0, 0, 0, 128, 128, 128, 0, 0, 0, 1, 0};
            mosaic_mem_point *to;
            if (ply_element(&in, p, n, said)) goto failed;
            if (e < vertex) continue;
            to = &(*points)[(*count)++];
            for (k = 0; k < 9; k++) {
                if (!(said[k] > -1e30 && said[k] < 1e30)) goto failed;
                if (k < 3) to->position[k] = (float)said[k];
                if (k >= 3 && k < 6) to->rgb[k - 3] = (uint8_t)(said[k] < 0 ? 0 : said[k] > 255 ? 255 : said[k]);
                if (k >= 6) to->normal[k - 6] = (float)said[k];
            }
            if (!(said[9] >= 0 && said[9] < 4294967296.0) || !(said[10] > -1e30 && said[10] < 1e30)) goto failed;
            to->weight = (uint32_t)said[9];
            to->time = said[10];
        }
    }
    return 0;
failed:
    free(*points);
    *points = NULL;
    *count = 0;
    snprintf(err, err_size, "%s", why);
    return -1;
}

#endif
