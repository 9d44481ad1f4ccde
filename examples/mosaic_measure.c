/* mosaic_measure.c - measures a finished mosaic video against its source and prints one line of JSON; util/measure.h defines the figures.

   cc -O2 examples/mosaic_measure.c $(pkg-config --cflags --libs libavformat libavcodec libavutil libswscale libcjson) -lm -o mosaic_measure

   ./mosaic_measure --source film.mp4 --mosaic mosaic.mp4 --placements mosaic.jsonl --tiles photographs
   ./mosaic_measure --source film.mp4 --mosaic other.mp4 --cols 35 --rows 20

   It knows nothing of the tool that made the video, so that every tool is judged alike. What a missing input would be needed for is null.

   The flow of the source (--flow FILE; tests/bench/flow_dis.py writes it from the pictures that --flow-frames gives out) is binary, all numbers
   little-endian: "MFLO", then four unsigned 32-bit numbers, version (1), width, height and pairs, then for each pair of consecutive frames t, t + 1 the
   flow from t to t + 1 and the flow from t + 1 to t, each as height * width vectors (x, y) of signed 16-bit numbers in 1/64 pixel. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#define MOSAIC_SSIM_STATIC
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../mosaic_ssim.h"

#include "util/measure.h"
#include "util/options.h"
#include "util/pictures.h"
#include "util/video_in.h"
#include <cjson/cJSON.h>

enum { DONE = 0, FAILED = 1, MISUSED = 2 };
enum { FLOW_WIDTH = 480 };

typedef struct job {
    const char *source, *mosaic, *placements, *flow, *flow_frames;
    option_list tiles;
    int cols, rows, crop, stretch, stored_aspect, count;
    double start;

    video_in *in[2]; /* source, mosaic */
    video_in_info info[2];
    unsigned char *rgb[2];
    FILE *flow_file, *placements_file;
    int flow_height;
    long pairs;
    unsigned char *flow_bytes;
    short *flow_values; /* forward, then backward */
    char *line;         /* of the placements */
    size_t line_size;
    cJSON *head;
    double cell_width, cell_height;
    int *photo, *variant;
    unsigned char *shown;
    int variants;
    measure_cell *pool;
    int photos;
} job;

static int fail(const char *format, ...) VIDEO_IN__PRINTF(1, 2);
static int fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("mosaic_measure: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return FAILED;
}

static int no_memory(void) { return fail("not enough memory; measure fewer frames with --count"); }

/* ---- placements ---- */

/* The next line as JSON; NULL at the end or when it is none. */
static cJSON *read_line(job *j)
{
    if (getline(&j->line, &j->line_size, j->placements_file) <= 0) return NULL;
    return cJSON_Parse(j->line);
}

static double number(const cJSON *object, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

static int open_placements(job *j)
{
    const cJSON *format, *cell, *list, *item;
    int i = 0;
    j->placements_file = fopen(j->placements, "rb");
    if (!j->placements_file) return fail("%s: %s; check the path", j->placements, strerror(errno));
    j->head = read_line(j);
    format = cJSON_GetObjectItemCaseSensitive(j->head, "format");
    if (!cJSON_IsString(format) || strcmp(format->valuestring, "mosaic-placements") != 0 || (int)number(j->head, "version", 0) != 1)
        return fail("%s: no placements file of version 1; write it with mosaic_video --placements", j->placements);
    j->cols = (int)number(j->head, "cols", 0);
    j->rows = (int)number(j->head, "rows", 0);
    cell = cJSON_GetObjectItemCaseSensitive(j->head, "cell"); /* one number, or width and height */
    j->cell_width = cJSON_IsNumber(cell)                          ? cell->valuedouble
                    : cJSON_IsNumber(cJSON_GetArrayItem(cell, 0)) ? cJSON_GetArrayItem(cell, 0)->valuedouble
                                                                  : 0;
    j->cell_height = cJSON_IsNumber(cell)                          ? cell->valuedouble
                     : cJSON_IsNumber(cJSON_GetArrayItem(cell, 1)) ? cJSON_GetArrayItem(cell, 1)->valuedouble
                                                                   : 0;
    if (j->cols < 1 || j->rows < 1 || j->cols > 10000 || j->rows > 10000 || !(j->cell_width >= 1) || !(j->cell_height >= 1))
        return fail("%s: its first line has no sensible cols, rows and cell; write it again with mosaic_video --placements", j->placements);
    list = cJSON_GetObjectItemCaseSensitive(j->head, "variants");
    j->variants = cJSON_GetArraySize(list);
    j->shown = (unsigned char *)calloc((size_t)j->variants + 1, 1);
    j->photo = (int *)malloc(sizeof(int) * (size_t)j->cols * (size_t)j->rows);
    j->variant = (int *)malloc(sizeof(int) * (size_t)j->cols * (size_t)j->rows);
    if (!j->shown || !j->photo || !j->variant) return no_memory();
    cJSON_ArrayForEach(item, list)
    {
        const char *name = cJSON_IsString(item) ? item->valuestring : "", *turned = strstr(name, "turned ");
        j->shown[i++] = (unsigned char)((strstr(name, "mirror") != NULL) + 2 * (turned ? atoi(turned + 7) / 90 % 4 : 0));
    }
    return DONE;
}

static int read_indices(const cJSON *list, int count, int limit, int *out)
{
    const cJSON *item;
    int i = 0;
    if (cJSON_GetArraySize(list) != count) return 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item) || item->valueint >= limit || item->valueint < -1) return 0;
        out[i++] = item->valueint;
    }
    return 1;
}

/* The placement of frame number `frame`. */
static int read_placement(job *j, long frame, measure_placement *p)
{
    cJSON *line = read_line(j);
    const cJSON *origin = cJSON_GetObjectItemCaseSensitive(line, "origin");
    const cJSON *x = cJSON_GetArrayItem(origin, 0), *y = cJSON_GetArrayItem(origin, 1);
    const int cells = j->cols * j->rows, photos = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(j->head, "photos"));
    const int good = line && number(line, "frame", -1) == (double)frame &&
                     read_indices(cJSON_GetObjectItemCaseSensitive(line, "photo"), cells, photos, j->photo) &&
                     read_indices(cJSON_GetObjectItemCaseSensitive(line, "variant"), cells, j->variants, j->variant);
    memset(p, 0, sizeof *p);
    p->origin_x = cJSON_IsNumber(x) ? x->valuedouble / 64 : 0;
    p->origin_y = cJSON_IsNumber(y) ? y->valuedouble / 64 : 0;
    p->photo = j->photo;
    p->variant = j->variant;
    p->shown = j->shown;
    p->cut = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "cut"));
    cJSON_Delete(line);
    return good ? DONE : fail("%s: no placements of frame %ld; they belong to another video, write them again", j->placements, frame);
}

/* ---- photographs ---- */

static int read_photo(const char *path, const job *j, measure_cell *cell)
{
    const char *why;
    int width, height, ok;
    unsigned char *rgb = picture_read(path, &width, &height, &why);
    if (!rgb) return 0;
    ok = measure_photo(rgb, width, height, j->cell_width, j->cell_height, cell);
    free(rgb);
    return ok;
}

/* The photographs that the placements name, or without placements all that the folders hold. */
static int open_pool(job *j)
{
    char err[1200];
    int i, k, found = 0;
    if (j->head) {
        const cJSON *names = cJSON_GetObjectItemCaseSensitive(j->head, "photos"), *name;
        j->photos = cJSON_GetArraySize(names);
        j->pool = (measure_cell *)calloc((size_t)j->photos + 1, sizeof *j->pool);
        if (!j->pool) return no_memory();
        i = 0;
        cJSON_ArrayForEach(name, names)
        {
            for (k = 0; k < j->tiles.count && cJSON_IsString(name) && !j->pool[i].whole; k++) {
                char *path = video_in__copy(j->tiles.items[k], "/", name->valuestring);
                if (!path) return no_memory();
                found += read_photo(path, j, &j->pool[i]);
                free(path);
            }
            i++;
        }
        if (!found)
            return fail("%s: none of the %d photographs of the placements is there; give the folders they were found in", j->tiles.items[0],
                        j->photos);
    } else {
        picture_list list;
        memset(&list, 0, sizeof list);
        if (pictures_find(&list, j->tiles.items, j->tiles.count, err, sizeof err)) return fail("%s", err);
        j->pool = (measure_cell *)calloc((size_t)list.count + 1, sizeof *j->pool);
        for (i = 0; i < list.count && j->pool; i++) j->photos += read_photo(list.file[i].path, j, &j->pool[j->photos]);
        picture_list_free(&list);
        if (!j->pool) return no_memory();
        if (!j->photos) return fail("%s: no photograph can be read there; give a folder with pictures", j->tiles.items[0]);
    }
    return DONE;
}

/* ---- flow ---- */

static unsigned long little_endian(const unsigned char *p)
{
    return p[0] | (unsigned long)p[1] << 8 | (unsigned long)p[2] << 16 | (unsigned long)p[3] << 24;
}

static int open_flow(job *j)
{
    unsigned char head[20];
    size_t values;
    j->flow_file = fopen(j->flow, "rb");
    if (!j->flow_file) return fail("%s: %s; check the path", j->flow, strerror(errno));
    if (fread(head, 1, sizeof head, j->flow_file) != sizeof head || memcmp(head, "MFLO", 4) != 0 || little_endian(head + 4) != 1)
        return fail("%s: no flow file of version 1; write it with tests/bench/flow_dis.py", j->flow);
    if (little_endian(head + 8) != FLOW_WIDTH || little_endian(head + 12) != (unsigned long)j->flow_height)
        return fail("%s: flow of %lu x %lu pixels, %d x %d are wanted; write it for a mosaic of this shape", j->flow, little_endian(head + 8),
                    little_endian(head + 12), FLOW_WIDTH, j->flow_height);
    j->pairs = (long)little_endian(head + 16);
    values = (size_t)FLOW_WIDTH * (size_t)j->flow_height * 4;
    j->flow_bytes = (unsigned char *)malloc(values * 2);
    j->flow_values = (short *)malloc(values * sizeof(short));
    return j->flow_bytes && j->flow_values ? DONE : no_memory();
}

static int read_flow(job *j)
{
    const size_t values = (size_t)FLOW_WIDTH * (size_t)j->flow_height * 4;
    size_t i;
    if (fread(j->flow_bytes, 2, values, j->flow_file) != values)
        return fail("%s: ends after %ld pairs of frames, the video goes on; write it again", j->flow, j->pairs);
    for (i = 0; i < values; i++) {
        const int v = j->flow_bytes[2 * i] | j->flow_bytes[2 * i + 1] << 8;
        j->flow_values[i] = (short)(v < 32768 ? v : v - 65536);
    }
    return DONE;
}

/* ---- the two videos ---- */

static int open_videos(job *j)
{
    video_in_options options;
    char err[1200];
    int i;
    for (i = 1; i >= 0; i--) { /* the mosaic first: its rate is the one that counts */
        memset(&options, 0, sizeof options);
        options.count = j->count;
        if (i == 0) {
            const video_in_info *m = &j->info[1];
            options.start = j->start;
            options.keep_aspect = j->stored_aspect;
            j->in[0] = video_in_open(j->source, &options, &j->info[0], err, sizeof err);
            if (j->in[0]) {
                const double ratio = (double)m->fps_num / m->fps_den * j->info[0].fps_den / j->info[0].fps_num;
                if (ratio < .99 || ratio > 1.01) { /* made at another rate: the same frames again */
                    video_in_close(j->in[0]);
                    options.fps_num = m->fps_num;
                    options.fps_den = m->fps_den;
                    j->in[0] = video_in_open(j->source, &options, &j->info[0], err, sizeof err);
                }
            }
        } else {
            /* a file that does not name its colour matrix most likely has the one of its source, whatever its size */
            video_in_info source;
            video_in *in = video_in_open(j->source, NULL, &source, err, sizeof err);
            if (in && source.colour_matrix != AVCOL_SPC_RGB) options.default_matrix = source.colour_matrix;
            video_in_close(in);
            j->in[1] = video_in_open(j->mosaic, &options, &j->info[1], err, sizeof err);
        }
        if (!j->in[i]) return fail("%s", err);
        j->rgb[i] = (unsigned char *)malloc((size_t)j->info[i].width * (size_t)j->info[i].height * 3);
        if (!j->rgb[i]) return no_memory();
    }
    return DONE;
}

/* 1, 0 at the end of either video, which is told when they differ in length. */
static int read_frames(job *j, long frame, int *code)
{
    int got[2], i;
    char err[1200];
    for (i = 0; i < 2; i++) {
        got[i] = video_in_read(j->in[i], j->rgb[i], err, sizeof err);
        if (got[i] < 0) fail("%s", err);
    }
    if (got[0] != got[1] && got[0] >= 0 && got[1] >= 0)
        fail("only the first %ld frames are measured, the %s has more", frame, got[0] ? "source" : "mosaic");
    if (frame == 0 && (got[0] < 1 || got[1] < 1)) *code = fail("%s, %s: no frame to measure; check both", j->source, j->mosaic);
    return got[0] == 1 && got[1] == 1;
}

/* Gives out the source as the flow is wanted of it: luma, cropped, 480 pixels wide, as PGM pictures one after the other. */
static int write_flow_frames(job *j)
{
    FILE *out = strcmp(j->flow_frames, "-") == 0 ? stdout : fopen(j->flow_frames, "wb");
    const video_in_info *s = &j->info[0], *m = &j->info[1];
    const size_t pixels = (size_t)FLOW_WIDTH * (size_t)j->flow_height;
    unsigned char *rgb = (unsigned char *)malloc(pixels * 4);
    measure_scaler scaler;
    double box[4];
    long frame;
    int code = DONE, ok;
    if (!out) {
        free(rgb);
        return fail("%s: %s; choose another place", j->flow_frames, strerror(errno));
    }
    measure_crop(s->width, s->height, m->width, m->height, j->stretch, box);
    ok = measure_scaler_open(&scaler, s->width, s->height, box[0], box[1], box[2], box[3], FLOW_WIDTH, j->flow_height, 3);
    if (!ok || !rgb) code = no_memory();
    for (frame = 0; code == DONE && read_frames(j, frame, &code); frame++) {
        measure_scale(&scaler, j->rgb[0], rgb);
        measure_luma(rgb, pixels, rgb + 3 * pixels);
        fprintf(out, "P5\n%d %d\n255\n", FLOW_WIDTH, j->flow_height);
        if (fwrite(rgb + 3 * pixels, 1, pixels, out) != pixels) code = fail("%s: cannot be written: %s", j->flow_frames, strerror(errno));
    }
    if (ok) measure_scaler_close(&scaler);
    free(rgb);
    if (fflush(out) != 0 && code == DONE) code = fail("%s: cannot be written: %s", j->flow_frames, strerror(errno));
    if (out != stdout) fclose(out);
    return code;
}

static void print_figure(const char *name, double value)
{
    if (value == value)
        printf(",\"%s\":%.6g", name, value);
    else
        printf(",\"%s\":null", name);
}

static int measure_videos(job *j)
{
    measure_setup setup;
    measure_figures f;
    measure *m;
    long frame;
    int code = DONE;
    memset(&setup, 0, sizeof setup);
    setup.source_width = j->info[0].width;
    setup.source_height = j->info[0].height;
    setup.width = j->info[1].width;
    setup.height = j->info[1].height;
    setup.cols = j->cols;
    setup.rows = j->rows;
    setup.cell_width = j->cell_width;
    setup.cell_height = j->cell_height;
    setup.stretch = j->stretch;
    setup.flow_width = j->flow ? FLOW_WIDTH : 0;
    setup.flow_height = j->flow ? j->flow_height : 0;
    setup.photo = j->pool;
    setup.photos = j->photos;
    m = measure_open(&setup);
    if (!m) return no_memory();
    for (frame = 0; code == DONE && read_frames(j, frame, &code); frame++) {
        const short *forward = NULL, *backward = NULL;
        measure_placement placement;
        if (j->flow && frame > 0) {
            code = read_flow(j);
            forward = j->flow_values;
            backward = j->flow_values + (size_t)FLOW_WIDTH * (size_t)j->flow_height * 2;
        }
        if (code == DONE && j->placements) code = read_placement(j, frame, &placement);
        if (code == DONE && !measure_frame(m, j->rgb[0], j->rgb[1], forward, backward, j->placements ? &placement : NULL)) code = no_memory();
    }
    f = measure_result(m);
    measure_close(m);
    if (code != DONE) return code;
    printf("{\"frames\":%ld,\"cols\":%d,\"rows\":%d", f.frames, j->cols, j->rows);
    print_figure("ssim3", f.ssim3);
    print_figure("de3", f.de3);
    print_figure("churn", f.churn);
    print_figure("flow_churn", f.flow_churn);
    print_figure("far_churn", f.far_churn);
    print_figure("far_follow", f.far_follow);
    print_figure("repeat4", f.repeat4);
    print_figure("ewarp", f.ewarp);
    print_figure("photo_ncc", f.photo_ncc);
    print_figure("contrast", f.contrast);
    print_figure("cuts", f.cuts);
    print_figure("photo_churn", f.photo_churn);
    print_figure("distinct_photos", f.distinct_photos);
    print_figure("most_uses", f.most_uses);
    print_figure("nearest_copy", f.nearest_copy);
    print_figure("repaint_rate", f.repaint_rate);
    puts("}");
    return DONE;
}

static int run(job *j)
{
    int code = open_videos(j);
    if (code == DONE) {
        j->flow_height = (int)(FLOW_WIDTH * (double)j->info[1].height / j->info[1].width + .5);
        if (j->flow_height < 1) j->flow_height = 1;
    }
    if (code == DONE && j->flow_frames) return write_flow_frames(j);
    if (code == DONE && j->placements) {
        code = open_placements(j);
        if (code == DONE && ((int)number(j->head, "width", 0) != j->info[1].width || (int)number(j->head, "height", 0) != j->info[1].height))
            code = fail("%s: placements of a video of another size than %s; write them again", j->placements, j->mosaic);
    } else if (code == DONE) {
        j->cell_width = (double)j->info[1].width / j->cols;
        j->cell_height = (double)j->info[1].height / j->rows;
    }
    if (code == DONE && j->tiles.count) code = open_pool(j);
    if (code == DONE && j->flow) code = open_flow(j);
    return code == DONE ? measure_videos(j) : code;
}

int main(int argc, char **argv)
{
    job j;
    int help = 0, i, code;
    char err[400];
    const option table[] = {
        {NULL, NULL, 0, NULL, 0, 0, NULL, "what is measured"},
        {"--source", "FILE", OPTION_TEXT, &j.source, 0, 0, NULL, "the video the mosaic was made from"},
        {"--mosaic", "FILE", OPTION_TEXT, &j.mosaic, 0, 0, NULL, "the mosaic"},
        {"--cols", "N", OPTION_INT, &j.cols, 1, 10000, NULL, "cells across ..."},
        {"--rows", "N", OPTION_INT, &j.rows, 1, 10000, NULL, "... and down, or"},
        {"--placements", "FILE", OPTION_TEXT, &j.placements, 0, 0, NULL, "the grid and the photographs, as mosaic_video --placements writes them"},
        {"--tiles", "DIR ...", OPTION_LIST, &j.tiles, 0, 0, NULL, "the photographs, for photo_ncc and contrast"},
        {"--flow", "FILE", OPTION_TEXT, &j.flow, 0, 0, NULL, "motion of the source, for the figures that follow it"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "how the mosaic was made"},
        {"--crop", NULL, OPTION_FLAG, &j.crop, 0, 0, NULL, "the source was cropped, centred, to the mosaic's shape (the default)"},
        {"--stretch", NULL, OPTION_FLAG, &j.stretch, 0, 0, NULL, "it was stretched"},
        {"--stored-aspect", NULL, OPTION_FLAG, &j.stored_aspect, 0, 0, NULL, "it was taken as stored although its pixels are not square"},
        {"--start", "SECONDS", OPTION_NUMBER, &j.start, 0, 1e9, NULL, "where in the source the mosaic begins"},
        {"--count", "N", OPTION_INT, &j.count, 0, 1e9, NULL, "most frames to measure"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "instead of measuring"},
        {"--flow-frames", "FILE", OPTION_TEXT, &j.flow_frames, 0, 0, NULL, "write the pictures that the motion is found in (- is standard output)"},
        {"--help", NULL, OPTION_FLAG, &help, 0, 0, NULL, "this text"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, NULL},
    };
    memset(&j, 0, sizeof j);
    code = options_parse(table, argc, argv, err, sizeof err) ? fail("%s", err), MISUSED : DONE;
    if (code == DONE && help) {
        puts("mosaic_measure --source FILE --mosaic FILE (--cols N --rows N | --placements FILE) [option ...]");
        options_help(table, stdout);
    } else if (code == DONE && (!j.source || !j.mosaic || (!j.flow_frames && !j.placements && (!j.cols || !j.rows)) || (j.crop && j.stretch))) {
        fail("wants --source, --mosaic and the grid (--cols and --rows, or --placements), cropped or stretched; see --help");
        code = MISUSED;
    } else if (code == DONE)
        code = run(&j);
    for (i = 0; i < 2; i++) {
        video_in_close(j.in[i]);
        free(j.rgb[i]);
    }
    if (j.flow_file) fclose(j.flow_file);
    if (j.placements_file) fclose(j.placements_file);
    cJSON_Delete(j.head);
    free(j.flow_bytes);
    free(j.flow_values);
    free(j.line);
    free(j.photo);
    free(j.variant);
    free(j.shown);
    free(j.pool);
    free(j.tiles.items);
    return code;
}
