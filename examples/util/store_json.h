/* store_json.h - a patch store as JSON, for eyes and scripts: what the binary file holds (FILES in mosaic_mem.h), number by number, so that the way
   back gives the same bytes. cJSON, and mosaic_mem.h, which is to be included before.

   {"format": "mosaic-mem", "version": 1, "settings": {...}, "pictures": [{...}], "edits": [{"affine": [12]}], "patches": [{...}]}, the fields those
   of the tables below. Depths, values and tags are those of all tokens of a full tile; values of type 1 (float16) are their 16 bits, of type 2 (uint8)
   the levels that are kept. Whole numbers beyond 2^53 are strings of digits. Some four times the size of the binary file. */
#ifndef MOSAIC_UTIL_STORE_JSON_H
#define MOSAIC_UTIL_STORE_JSON_H

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* kind: bytes of a whole number, or 'f', 'd' for a float32, a float64. */
typedef struct store_field {
    const char *name;
    int kind, count;
} store_field;

static const store_field store_settings[] = {
    {"tile_width", 4, 1}, {"tile_height", 4, 1}, {"channels", 4, 1},    {"tags", 4, 1}, {"type", 4, 1},
    {"u8_low", 'f', 1},   {"u8_step", 'f', 1},   {"max_patches", 8, 1}, {0, 8, 1},      {"next", 8, 1},
    {"tick", 4, 1},       {"newest", 'd', 1},    {"cell", 'd', 1},      {0, 4, 5}}; /* without a name: the number of patches, and zeros */
static const store_field store_picture[] = {{"rotation", 'd', 9}, {"centre", 'd', 3}, {"fx", 'd', 1},  {"fy", 'd', 1},  {"cx", 'd', 1},
                                            {"cy", 'd', 1},       {"time", 'd', 1},   {"frame", 8, 1}, {"width", 4, 1}, {"height", 4, 1},
                                            {"cols", 4, 1},       {"rows", 4, 1},     {0, 8, 1}};
static const store_field store_edit[] = {{"affine", 'd', 12}};
enum { STORE_DEPTHS = 11, STORE_VALUES, STORE_TAGS, STORE_PATCH }; /* the fields whose length the settings tell */
static const store_field store_patch[STORE_PATCH] = {{"id", 8, 1},     {"time", 'd', 1},       {"picture", 4, 1}, {"edit", 4, 1},   {"tile", 4, 1},
                                                     {"tick", 4, 1},   {"confidence", 'f', 1}, {"depth", 'f', 1}, {"normal", 2, 2}, {"hits", 2, 1},
                                                     {"pinned", 2, 1}, {"depths", 'f', 0},     {"values", 0, 0},  {"tags", 4, 0}};

#define STORE_COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

/* The fields of a patch under these settings; 0, or -1 when they are out of range. */
static inline int store_patch_fields(const uint32_t settings[5], store_field patch[STORE_PATCH])
{
    const int tokens = (int)(settings[0] * settings[1]);
    if (settings[0] - 1 > 15 || settings[1] - 1 > 15 || settings[2] > 4096 || settings[3] > 16 || settings[4] > 2) return -1;
    memcpy(patch, store_patch, sizeof store_patch);
    patch[STORE_DEPTHS].count = tokens;
    patch[STORE_VALUES].kind = settings[4] == 0 ? 'f' : settings[4] == 1 ? 2 : 1;
    patch[STORE_VALUES].count = tokens * (int)settings[2];
    patch[STORE_TAGS].count = tokens * (int)settings[3];
    return 0;
}

static inline uint64_t store_take(const uint8_t **p, int bytes)
{
    uint64_t x = 0;
    int i;
    for (i = 0; i < bytes; i++) x |= (uint64_t) * (*p)++ << 8 * i;
    return x;
}

static inline void store_print_number(FILE *file, int kind, const uint8_t **p)
{
    const uint64_t bits = store_take(p, kind == 'd' ? 8 : kind == 'f' ? 4 : kind);
    const uint32_t half = (uint32_t)bits;
    double d;
    float f;
    if (kind == 'd') {
        memcpy(&d, &bits, sizeof d);
        fprintf(file, "%.17g", d);
    } else if (kind == 'f') {
        memcpy(&f, &half, sizeof f);
        fprintf(file, "%.9g", (double)f);
    } else {
        fprintf(file, bits >> 53 ? "\"%llu\"" : "%llu", (unsigned long long)bits);
    }
}

static inline void store_print(FILE *file, const store_field *fields, int count, const uint8_t **p)
{
    int i, k, first = 1;
    fprintf(file, "{");
    for (i = 0; i < count; i++) {
        const store_field *f = &fields[i];
        if (!f->name) {
            *p += f->kind * f->count;
            continue;
        }
        fprintf(file, "%s\"%s\": %s", first ? "" : ", ", f->name, f->count == 1 ? "" : "[");
        for (k = 0; k < f->count; k++) {
            if (k) fprintf(file, ", ");
            store_print_number(file, f->kind, p);
        }
        if (f->count != 1) fprintf(file, "]");
        first = 0;
    }
    fprintf(file, "}");
}

static inline void store_print_array(FILE *file, const char *name, const store_field *fields, int count, uint64_t n, const uint8_t **p)
{
    uint64_t i;
    fprintf(file, ",\n  \"%s\": [", name);
    for (i = 0; i < n; i++) {
        fprintf(file, i ? ",\n    " : "\n    ");
        store_print(file, fields, count, p);
    }
    fprintf(file, "]");
}

/* Of the bytes of a file that mosaic_mem_load has taken. 0, or -1 when writing fails. */
static inline int store_write_json(FILE *file, const uint8_t *bytes)
{
    const uint8_t *p = bytes + 24, *at;
    store_field patch[STORE_PATCH];
    const uint64_t pictures = store_take(&p, 4), edits = store_take(&p, 4);
    uint64_t patches;
    uint32_t settings[5];
    int i;
    at = p;
    for (i = 0; i < 5; i++) settings[i] = (uint32_t)store_take(&at, 4);
    at += 16;
    patches = store_take(&at, 8);
    if (store_patch_fields(settings, patch)) return -1;
    fprintf(file, "{\n  \"format\": \"mosaic-mem\",\n  \"version\": 1,\n  \"settings\": ");
    store_print(file, store_settings, STORE_COUNT(store_settings), &p);
    store_print_array(file, "pictures", store_picture, STORE_COUNT(store_picture), pictures, &p);
    store_print_array(file, "edits", store_edit, STORE_COUNT(store_edit), edits, &p);
    store_print_array(file, "patches", patch, STORE_PATCH, patches, &p);
    fprintf(file, "\n}\n");
    return ferror(file) ? -1 : 0;
}

/* ---- back ---- */

typedef struct store_bytes {
    uint8_t *bytes; /* the caller frees them */
    size_t used, room;
    const char *why; /* the field that is wrong, "" for want of memory, or null */
} store_bytes;

static inline void store_put(store_bytes *b, uint64_t x, int bytes)
{
    if (b->used + 8 > b->room) {
        const size_t room = b->room ? 2 * b->room : 4096;
        uint8_t *more = (uint8_t *)realloc(b->bytes, room);
        if (!more) {
            b->why = "";
            return;
        }
        b->bytes = more;
        b->room = room;
    }
    for (; bytes > 0; bytes--, x >>= 8) b->bytes[b->used++] = (uint8_t)x;
}

static inline int store_whole(const cJSON *item, uint64_t most, uint64_t *x)
{
    const char *digits = cJSON_GetStringValue(item);
    if (digits) { /* 2^64 has 20 of them */
        uint64_t sum = 0;
        size_t i, n = strlen(digits);
        if (n < 1 || n > 20) return -1;
        for (i = 0; i < n; i++) {
            const unsigned digit = (unsigned)digits[i] - '0';
            if (digit > 9 || sum > (UINT64_MAX - digit) / 10) return -1;
            sum = 10 * sum + digit;
        }
        *x = sum;
        return sum > most ? -1 : 0;
    }
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 9007199254740992.0)) return -1;
    *x = (uint64_t)item->valuedouble;
    return (double)*x < item->valuedouble || *x > most ? -1 : 0;
}

static inline void store_put_number(store_bytes *b, const store_field *f, const cJSON *item)
{
    uint64_t x = 0;
    if (f->kind == 'd' || f->kind == 'f') {
        const double d = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
        if (!(d >= -DBL_MAX && d <= DBL_MAX) || (f->kind == 'f' && !(d >= -(double)FLT_MAX && d <= (double)FLT_MAX))) {
            b->why = f->name;
        } else if (f->kind == 'd') {
            memcpy(&x, &d, sizeof d);
            store_put(b, x, 8);
        } else {
            const float number = (float)d;
            uint32_t bits;
            memcpy(&bits, &number, sizeof bits);
            store_put(b, bits, 4);
        }
    } else if (store_whole(item, UINT64_MAX >> (64 - 8 * f->kind), &x)) {
        b->why = f->name;
    } else {
        store_put(b, x, f->kind);
    }
}

static inline void store_put_object(store_bytes *b, const store_field *fields, int count, const cJSON *object)
{
    int i, k;
    for (i = 0; i < count && !b->why; i++) {
        const store_field *f = &fields[i];
        const cJSON *item = f->name ? cJSON_GetObjectItemCaseSensitive(object, f->name) : NULL;
        if (!f->name) {
            for (k = 0; k < f->count; k++) store_put(b, 0, f->kind);
        } else if (f->count == 1 && !cJSON_IsArray(item)) {
            store_put_number(b, f, item);
        } else if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != f->count) {
            b->why = f->name;
        } else {
            for (item = item->child; item && !b->why; item = item->next) store_put_number(b, f, item);
        }
    }
}

static inline uint64_t store_put_array(store_bytes *b, const char *name, const store_field *fields, int count, const cJSON *root)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, name), *each;
    uint64_t n = 0;
    if (!cJSON_IsArray(array) && !b->why) b->why = name;
    cJSON_ArrayForEach(each, array)
    {
        if (b->why) break;
        store_put_object(b, fields, count, each);
        n++;
    }
    return n;
}

/* Puts a whole number where there is one already. */
static inline void store_set(store_bytes *b, size_t at, uint64_t x, int bytes)
{
    for (; bytes > 0; bytes--, x >>= 8) b->bytes[at++] = (uint8_t)x;
}

/* The bytes of the binary file that a JSON file stands for, for mosaic_mem_load to judge: to be freed by the caller. Null when the text is none, with
   a line in err; *is_store tells whether it says to be one. Any bytes at all are safe. */
static inline uint8_t *store_read_json(const unsigned char *text, size_t text_size, size_t *size, int *is_store, char *err, size_t err_size)
{
    cJSON *root = cJSON_ParseWithLength((const char *)text, text_size);
    const char *format = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "format"));
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(root, "version");
    store_bytes b = {0};
    store_field patch[STORE_PATCH];
    uint64_t pictures = 0, edits = 0, patches = 0;
    uint32_t settings[5], crc = 0xffffffff;
    const uint8_t *p;
    size_t i;
    int k;
    *is_store = format && !strcmp(format, "mosaic-mem");
    if (!*is_store) {
        snprintf(err, err_size, root ? "\"format\" is not \"mosaic-mem\"" : "is not JSON, or ends too early");
        cJSON_Delete(root);
        return NULL;
    }
    for (k = 0; k < 8; k++) store_put(&b, (uint8_t) "MOSAICMM"[k], 1);
    for (k = 0; k < 6; k++) store_put(&b, k == 0, 4); /* version, and room for what is not known yet */
    if (!cJSON_IsNumber(version) || version->valueint != 1) b.why = "version";
    if (!b.why) store_put_object(&b, store_settings, STORE_COUNT(store_settings), cJSON_GetObjectItemCaseSensitive(root, "settings"));
    if (!b.why) {
        p = b.bytes + 32;
        for (k = 0; k < 5; k++) settings[k] = (uint32_t)store_take(&p, 4);
        if (store_patch_fields(settings, patch)) b.why = "settings";
    }
    if (!b.why) pictures = store_put_array(&b, "pictures", store_picture, STORE_COUNT(store_picture), root);
    if (!b.why) edits = store_put_array(&b, "edits", store_edit, STORE_COUNT(store_edit), root);
    if (!b.why) patches = store_put_array(&b, "patches", patch, STORE_PATCH, root);
    cJSON_Delete(root);
    if (!b.why) store_put(&b, 0, 4);
    if (b.why) {
        snprintf(err, err_size, *b.why ? "\"%s\" is missing, or of a wrong kind, range or length" : "out of memory%s", b.why);
        free(b.bytes);
        return NULL;
    }
    store_set(&b, 16, b.used, 8);
    store_set(&b, 24, pictures, 4);
    store_set(&b, 28, edits, 4);
    store_set(&b, 68, patches, 8);
    for (i = 0; i < b.used - 4; i++) { /* CRC-32 (IEEE 802.3) */
        crc ^= b.bytes[i];
        for (k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    store_set(&b, b.used - 4, ~crc, 4);
    *size = b.used;
    return b.bytes;
}

#endif
