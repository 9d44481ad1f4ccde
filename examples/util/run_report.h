/* run_report.h - what a run did: clocks, counts, the placements file, the report file, and the lines for people.

   Include mosaic_temporal.h first. Needs cJSON, and OpenSSL for the hash of the frames. */
#ifndef MOSAIC_UTIL_RUN_REPORT_H
#define MOSAIC_UTIL_RUN_REPORT_H

#include "whole_file.h"
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <time.h>

typedef struct run_report {
    const char *input, *output, *active_codec, *encoder, *preset, *simd, *flow, *gpu; /* gpu: the device's name, or "off" */
    int rate_num, rate_den, threads, flow_width, flow_height;                         /* of the flow: 0 when there is none */
    mosaic_grid grid;
    const mosaic_pool *pool;
    int cols, rows;      /* of the mosaic; the grid has one of each more where it may move */
    int skipped, filled; /* cells of a frame that the mask does not leave out */
    double begun, pool_seconds, decode_seconds, encode_seconds, stage_seconds[MOSAIC_STAGES], total_seconds;
    int stage;
    double stage_begun;
    int64_t frames, compared, changed, repainted, too_close, cost, bound; /* compared: cells of frames that are neither first nor cuts */
    int64_t *cut;
    int cuts, cut_room;
    double *assign_ms, assigned; /* of each frame, costs included; seconds of all frames so far */
    int64_t assign_room;
    int64_t *uses;    /* of each photograph, cells over all frames */
    int most_uses;    /* of one photograph in one frame */
    int *seen;        /* uses in the frame at hand */
    EVP_MD_CTX *hash; /* SHA-256 of the frames; null when nobody asked */
    char frames_sha256[65];
    cJSON *diagnosis; /* taken over when it is written; null when nobody asked */
} run_report;

static inline double run_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Linux hands down the peak of the process that started this one in getrusage: its own is in /proc. */
static inline double run_peak_memory_mb(void)
{
    struct rusage use;
    FILE *f = fopen("/proc/self/status", "r");
    char line[200];
    double kb = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1) break;
    if (f) fclose(f);
    if (kb > 0) return kb / 1024;
    getrusage(RUSAGE_SELF, &use);
#if defined(__APPLE__)
    return (double)use.ru_maxrss / (1024 * 1024);
#else
    return (double)use.ru_maxrss / 1024;
#endif
}

/* For mosaic_options.stage: the engine says what it begins, the clock is ours. */
static inline void run_stage(void *report, int stage)
{
    run_report *r = (run_report *)report;
    const double now = run_clock();
    r->stage_seconds[r->stage] += now - r->stage_begun;
    r->stage = stage;
    r->stage_begun = now;
}

/* grid and pool are set. 0, or -1 when memory is short. */
static inline int run_report_begin(run_report *r, int want_hash)
{
    const size_t photos = (size_t)mosaic_pool_photos(r->pool);
    r->uses = (int64_t *)calloc(photos + 1, sizeof *r->uses);
    r->seen = (int *)calloc(photos + 1, sizeof *r->seen);
    r->stage_begun = run_clock();
    if (want_hash) {
        r->hash = EVP_MD_CTX_new();
        if (!r->hash || !EVP_DigestInit_ex(r->hash, EVP_sha256(), NULL)) return -1;
    }
    return r->uses && r->seen ? 0 : -1;
}

static inline void run_report_free(run_report *r)
{
    EVP_MD_CTX_free(r->hash);
    free(r->cut);
    free(r->assign_ms);
    free(r->uses);
    free(r->seen);
}

static inline double run_assign_seconds(const run_report *r)
{
    return r->stage_seconds[MOSAIC_STAGE_PREDICT] + r->stage_seconds[MOSAIC_STAGE_ASSIGN];
}

static inline int report__ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Counts a finished frame. */
static inline void run_report_frame(run_report *r, const mosaic_frame *f)
{
    int i;
    if (r->frames == r->assign_room) {
        const int64_t room = r->assign_room ? 2 * r->assign_room : 256;
        double *ms = (double *)realloc(r->assign_ms, (size_t)room * sizeof *ms);
        if (ms) r->assign_ms = ms, r->assign_room = room;
    }
    if (r->frames < r->assign_room) r->assign_ms[r->frames] = 1e3 * (run_assign_seconds(r) - r->assigned);
    r->assigned = run_assign_seconds(r);
    r->frames++;
    r->repainted += f->repainted;
    r->too_close += f->too_close;
    r->cost += f->cost;
    r->bound += f->bound;
    if (f->index > 0 && !f->cut) {
        r->compared += f->filled;
        r->changed += f->changed;
    }
    r->filled = f->filled;
    for (i = 0; i < f->cells; i++) {
        const int photo = f->draw[i].photo;
        if (photo < 0) continue; /* left out by the mask */
        r->uses[photo]++;
        if (++r->seen[photo] > r->most_uses) r->most_uses = r->seen[photo];
    }
    for (i = 0; i < f->cells; i++)
        if (f->draw[i].photo >= 0) r->seen[f->draw[i].photo] = 0;
    if (!f->cut || f->index == 0) return;
    if (r->cuts == r->cut_room) {
        const int room = r->cut_room ? 2 * r->cut_room : 64;
        int64_t *cut = (int64_t *)realloc(r->cut, (size_t)room * sizeof *cut);
        if (!cut) return;
        r->cut = cut;
        r->cut_room = room;
    }
    r->cut[r->cuts++] = f->index;
}

static inline double run_churn(const run_report *r) { return r->compared ? (double)r->changed / (double)r->compared : 0; }

/* The frames as they are before encoding, one after the other. */
static inline void run_report_hash(run_report *r, const unsigned char *rgb, size_t size)
{
    if (r->hash) EVP_DigestUpdate(r->hash, rgb, size);
}

static inline int64_t run_assign_count(const run_report *r) { return r->frames < r->assign_room ? r->frames : r->assign_room; }

static inline void run_report_end(run_report *r)
{
    if (r->assign_ms) qsort(r->assign_ms, (size_t)run_assign_count(r), sizeof *r->assign_ms, report__ascending);
    r->total_seconds = run_clock() - r->begun;
    if (r->hash) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned int size = 0, i;
        EVP_DigestFinal_ex(r->hash, digest, &size);
        for (i = 0; i < size && i < 32; i++) snprintf(r->frames_sha256 + 2 * i, 3, "%02x", digest[i]);
    }
}

/* ---- placements: one JSON object a line ---- */

/* A file's name as JSON can hold it: bytes that are no UTF-8 become U+FFFD. Null: out of memory. */
static inline cJSON *placements__name(const char *name)
{
    const unsigned char *p = (const unsigned char *)name;
    char *text = (char *)malloc(3 * strlen(name) + 1), *out = text;
    cJSON *item;
    if (!text) return NULL;
    while (*p) {
        const int size = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
        int k = 1;
        while (k < size && (p[k] & 0xc0) == 0x80) k++;
        if (size == 0 || k < size || (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
            (*p == 0xf4 && p[1] > 0x8f)) {
            memcpy(out, "\xef\xbf\xbd", 3);
            out += 3;
            p++;
            continue;
        }
        memcpy(out, p, (size_t)size);
        out += size;
        p += size;
    }
    *out = 0;
    item = cJSON_CreateString(text);
    free(text);
    return item;
}

/* What photographs are shown as: variant v of look l is number l * MOSAIC_VARIANTS + v. "mirror, hue 120, turned 90": the hue by so many degrees, then the
   picture, clockwise, then the variant. */
static inline cJSON *placements__variants(const mosaic_pool *pool)
{
    cJSON *list = cJSON_CreateArray();
    int hues, turns, look, v;
    const int looks = mosaic_pool_looks(pool, &hues, &turns), count = looks / (hues + 1);
    for (look = 0; look < looks; look++)
        for (v = 0; v < MOSAIC_VARIANTS; v++) {
            char text[64];
            int length = snprintf(text, sizeof text, "%s", mosaic_variant_name(v));
            if (look / count) length += snprintf(text + length, sizeof text - (size_t)length, ", hue %.4g", 360. * (look / count) / (hues + 1));
            if (look % count) snprintf(text + length, sizeof text - (size_t)length, ", turned %d", 360 / count * (look % count));
            cJSON_AddItemToArray(list, cJSON_CreateString(text));
        }
    return list;
}

static inline int placements_begin(FILE *f, const run_report *r)
{
    cJSON *head = cJSON_CreateObject(), *list;
    char rate[48];
    char *text;
    int i;
    snprintf(rate, sizeof rate, "%d/%d", r->rate_num, r->rate_den);
    cJSON_AddStringToObject(head, "format", "mosaic-placements");
    cJSON_AddNumberToObject(head, "version", 1);
    cJSON_AddNumberToObject(head, "cols", r->grid.cols);
    cJSON_AddNumberToObject(head, "rows", r->grid.rows);
    if (r->grid.cell_width == r->grid.cell_height) {
        cJSON_AddNumberToObject(head, "cell", r->grid.cell_width);
    } else {
        const int cell[2] = {r->grid.cell_width, r->grid.cell_height};
        cJSON_AddItemToObject(head, "cell", cJSON_CreateIntArray(cell, 2));
    }
    cJSON_AddNumberToObject(head, "width", r->grid.width);
    cJSON_AddNumberToObject(head, "height", r->grid.height);
    cJSON_AddStringToObject(head, "fps", rate);
    list = cJSON_AddArrayToObject(head, "photos");
    for (i = 0; i < mosaic_pool_photos(r->pool); i++) cJSON_AddItemToArray(list, placements__name(mosaic_pool_name(r->pool, i)));
    cJSON_AddItemToObject(head, "variants", placements__variants(r->pool));
    text = cJSON_PrintUnformatted(head);
    cJSON_Delete(head);
    if (!text) return -1;
    fprintf(f, "%s\n", text);
    cJSON_free(text);
    return 0;
}

static inline void placements_frame(FILE *f, const mosaic_frame *frame)
{
    int i;
    fprintf(f, "{\"frame\":%" PRId64 ",\"cut\":%s,\"origin\":[%d,%d],\"photo\":[", frame->index, frame->cut ? "true" : "false", frame->origin_x,
            frame->origin_y);
    for (i = 0; i < frame->cells; i++) fprintf(f, i ? ",%d" : "%d", (int)frame->draw[i].photo);
    fputs("],\"variant\":[", f);
    for (i = 0; i < frame->cells; i++) fprintf(f, i ? ",%d" : "%d", frame->draw[i].look * MOSAIC_VARIANTS + frame->draw[i].variant);
    fputs("]}\n", f);
}

/* ---- report ---- */

/* With as many digits as are worth reading. */
static inline void report__number(cJSON *o, const char *name, double value, int digits)
{
    char text[40];
    snprintf(text, sizeof text, "%.*f", digits, value);
    cJSON_AddRawToObject(o, name, text);
}

static inline cJSON *report__json(const run_report *r)
{
    cJSON *o = cJSON_CreateObject(), *s, *cuts;
    char rate[48];
    const int64_t assigned = run_assign_count(r);
    int i;
    snprintf(rate, sizeof rate, "%d/%d", r->rate_num, r->rate_den);
    cJSON_AddStringToObject(o, "version", MOSAIC_VERSION);
    cJSON_AddStringToObject(o, "input", r->input);
    cJSON_AddStringToObject(o, "output", r->output);
    cJSON_AddNumberToObject(o, "frames", (double)r->frames);
    cJSON_AddNumberToObject(o, "width", r->grid.width);
    cJSON_AddNumberToObject(o, "height", r->grid.height);
    cJSON_AddNumberToObject(o, "cols", r->cols);
    cJSON_AddNumberToObject(o, "rows", r->rows);
    cJSON_AddNumberToObject(o, "filled", r->filled);
    cJSON_AddNumberToObject(o, "photos", mosaic_pool_photos(r->pool));
    cJSON_AddNumberToObject(o, "skipped", r->skipped);
    cJSON_AddNumberToObject(o, "tiles", MOSAIC_VARIANTS * mosaic_pool_photos(r->pool) * mosaic_pool_looks(r->pool, NULL, NULL));
    report__number(o, "fps", r->total_seconds > 0 ? (double)r->frames / r->total_seconds : 0, 3);
    cJSON_AddStringToObject(o, "frame_rate", rate);
    cJSON_AddStringToObject(o, "active_codec", r->active_codec);
    cJSON_AddStringToObject(o, "encoder", r->encoder);
    cJSON_AddStringToObject(o, "preset", r->preset);
    cJSON_AddStringToObject(o, "flow", r->flow);
    if (r->flow_width) {
        char size[48];
        snprintf(size, sizeof size, "%dx%d", r->flow_width, r->flow_height);
        cJSON_AddStringToObject(o, "flow_size", size);
    }
    cJSON_AddStringToObject(o, "gpu", r->gpu);
    cJSON_AddNumberToObject(o, "threads", r->threads);
    cJSON_AddStringToObject(o, "simd", r->simd);
    s = cJSON_AddObjectToObject(o, "seconds");
    report__number(s, "total", r->total_seconds, 3);
    report__number(s, "pool", r->pool_seconds, 3);
    report__number(s, "decode", r->decode_seconds, 3);
    report__number(s, "flow", r->stage_seconds[MOSAIC_STAGE_FLOW], 3);
    report__number(s, "describe", r->stage_seconds[MOSAIC_STAGE_DESCRIBE], 3);
    report__number(s, "assign", run_assign_seconds(r), 3);
    report__number(s, "rerank", r->stage_seconds[MOSAIC_STAGE_RERANK], 3);
    report__number(s, "render", r->stage_seconds[MOSAIC_STAGE_RENDER], 3);
    report__number(s, "encode", r->encode_seconds, 3);
    s = cJSON_AddObjectToObject(o, "assign_ms");
    report__number(s, "p50", assigned ? r->assign_ms[(assigned - 1) / 2] : 0, 3);
    report__number(s, "p95", assigned ? r->assign_ms[(assigned - 1) * 19 / 20] : 0, 3);
    report__number(o, "peak_memory_mb", run_peak_memory_mb(), 1);
    report__number(o, "churn", run_churn(r), 6);
    cuts = cJSON_AddArrayToObject(o, "cuts");
    for (i = 0; i < r->cuts; i++) cJSON_AddItemToArray(cuts, cJSON_CreateNumber((double)r->cut[i]));
    cJSON_AddStringToObject(o, "frames_sha256", r->frames_sha256);
    if (r->diagnosis) cJSON_AddItemToObject(o, "diagnosis", r->diagnosis);
    return o;
}

/* 0, or -1 with a line in err. */
static inline int run_report_write(const run_report *r, const char *path, char *err, size_t err_size)
{
    cJSON *o = report__json(r);
    char *text = cJSON_Print(o);
    whole_file w;
    FILE *f = text ? whole_file_open(&w, path, err, err_size) : NULL;
    int result = -1;
    cJSON_Delete(o);
    if (!text) snprintf(err, err_size, "%s: out of memory", path);
    if (f) {
        fprintf(f, "%s\n", text);
        result = whole_file_close(&w, f, 1, err, err_size);
    }
    cJSON_free(text);
    return result;
}

/* For people: two lines at the end. */
static inline void run_report_print(const run_report *r, FILE *out)
{
    fprintf(out, "%s: %" PRId64 " frame%s of %dx%d in %.1f s (%.1f fps), %.0f MB at most\n", strcmp(r->output, "-") ? r->output : "standard output",
            r->frames, r->frames == 1 ? "" : "s", r->grid.width, r->grid.height, r->total_seconds, (double)r->frames / r->total_seconds,
            run_peak_memory_mb());
    if (r->frames > 1)
        fprintf(out, "churn %.2f %% of the cells a frame, %.2f %% repainted, %d cut%s\n", 100 * run_churn(r),
                100 * (double)r->repainted / ((double)r->frames * r->cols * r->rows), r->cuts, r->cuts == 1 ? "" : "s");
}

#endif
