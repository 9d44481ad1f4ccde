/* mosaic_video.c - a video (or picture, or folder of frames) as a mosaic of photographs.

   cc -O2 -fopenmp examples/mosaic_video.c $(pkg-config --cflags --libs libavformat libavcodec libavutil libswscale libswresample libcjson libcrypto) -lm -o mosaic_video

   ./mosaic_video --input film.mp4 --tiles photographs --output mosaic.mp4

   Three threads form a line with short queues between them: one decodes, this one runs the engine (over OpenMP), one encodes.
   What is written does not depend on how many threads there are or how fast they run. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../mosaic_temporal.h"
#define MOSAIC_MEM_IMPLEMENTATION
#include "../mosaic_mem.h"

#include "util/atlas.h"
#include "util/contact_sheet.h"
#include "util/diagnose.h"
#include "util/film_memory.h"
#include "util/mask.h"
#include "util/pool_files.h"
#include "util/progress.h"
#include "util/queue.h"
#include "util/read_file.h"
#include "util/run_report.h"
#include "util/settings.h"
#include "util/video_in.h"
#include "util/video_out.h"
#include <stdarg.h>

enum { DONE = 0, FAILED = 1, MISUSED = 2, INCOMPLETE = 3, STOPPED = 130 };
enum { AHEAD = 4 };             /* frames decoded ahead, and waiting for the encoder */
enum { LINE = PATH_MAX + 512 }; /* of an error message */

static volatile sig_atomic_t stop; /* Ctrl-C */

/* One line on stderr. Returns code, to end with. */
static int say(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("mosaic_video: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return code;
}

static void run_jobs(void *ctx, void (*job)(void *arg, int index), void *arg, int count)
{
    const settings *s = (const settings *)ctx;
    int i;
    (void)s;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads(s->threads)
#endif
    for (i = 0; i < count; i++) job(arg, i);
}

/* ---- the line ---- */

typedef struct pipeline {
    settings *s;
    video_in *in;
    video_in_info source;
    mosaic_grid grid;
    mosaic_options options;
    mosaic_flow_options flow;
    mosaic_flow_weights *weights;
    pool_files photos;
    unsigned char *mask;
    int filled; /* cells */
    gpu gpu;
    mosaic_recall recall;
    mosaic_mem_film *memory;
    mosaic_engine *engine;
    video_out *out;
    queue sources, mosaics; /* frames as packed RGB */
    int decoded;            /* as video_in_read ended: 0 or -1 */
    int encode_failed;
    char decode_error[LINE], encode_error[LINE];
    run_report report;
    atlas atlas;
    contact_sheet sheet;
    diagnose diagnosis;
    progress progress;
    FILE *placements;
    whole_file placements_file;
} pipeline;

static void *decode(void *arg)
{
    pipeline *p = (pipeline *)arg;
    unsigned char *rgb;
    while ((rgb = queue_room(&p->sources)) != NULL) {
        const double begun = run_clock();
        p->decoded = video_in_read(p->in, rgb, p->decode_error, sizeof p->decode_error);
        p->report.decode_seconds += run_clock() - begun;
        if (p->decoded <= 0) break;
        queue_put(&p->sources);
    }
    queue_finish(&p->sources);
    return NULL;
}

static void *encode(void *arg)
{
    pipeline *p = (pipeline *)arg;
    const size_t size = 3 * (size_t)p->grid.width * (size_t)p->grid.height;
    const unsigned char *rgb;
    while ((rgb = queue_front(&p->mosaics)) != NULL) {
        const double begun = run_clock();
        run_report_hash(&p->report, rgb, size);
        p->encode_failed = video_out_write(p->out, rgb, p->encode_error, sizeof p->encode_error);
        p->report.encode_seconds += run_clock() - begun;
        if (p->encode_failed) break;
        queue_drop(&p->mosaics);
    }
    queue_stop(&p->mosaics);
    return NULL;
}

/* ---- before the first frame ---- */

static int open_source(pipeline *p)
{
    video_in_options o;
    char err[LINE] = "";
    memset(&o, 0, sizeof o);
    o.threads = p->s->threads;
    o.fps_num = p->s->fps.num;
    o.fps_den = p->s->fps.den;
    o.start = p->s->start;
    o.count = video_out_kind(p->s->output, err, sizeof err) == VIDEO_OUT_PICTURE ? 1 : p->s->count;
    p->in = video_in_open(p->s->input, &o, &p->source, err, sizeof err);
    return p->in ? DONE : say(FAILED, "%s", err);
}

static int read_mask(pipeline *p)
{
    char err[LINE] = "";
    p->filled = p->grid.cols * p->grid.rows;
    if (!p->s->mask) return DONE;
    p->mask = mask_read(p->s->mask, &p->grid, &p->filled, err, sizeof err);
    p->options.mask = p->mask;
    p->options.mask_source = p->s->mask_shows;
    return p->mask ? DONE : say(FAILED, "%s", err);
}

static int fit_grid(pipeline *p)
{
    mosaic_fit fit;
    mosaic_result result;
    memset(&fit, 0, sizeof fit);
    fit.cells = p->s->cells;
    fit.height = p->s->height;
    fit.cell_width = p->s->cell_width;
    fit.cell_height = p->s->cell_height;
    fit.aspect_width = p->s->aspect_width;
    fit.aspect_height = p->s->aspect_height;
    result = mosaic_grid_fit(p->source.width, p->source.height, &fit, &p->grid);
    if (!result) return read_mask(p);
    return say(FAILED, "%s: no grid for %dx%d px with these --cells, --cell-aspect, --tile-size and --height: %s; try fewer or smaller cells",
               p->s->input, p->source.width, p->source.height, mosaic_result_string(result));
}

static int same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* No file may have two parts in a run: whatever is written last would destroy the other, the film itself perhaps. */
static int separate_files(const pipeline *p)
{
    const settings *s = p->s;
    const char *const option[] = {"--input", "--mask", "--output", "--placements", "--report", "--contact-sheet", "--pool", "--diagnose-picture"};
    const char *const path[] = {s->input, s->mask, s->output, s->placements, s->report, s->contact_sheet, s->pool, s->diagnose_picture};
    struct stat st;
    int i, k;
    for (i = 2; i < 8; i++) { /* the first two are only read, and may be one: a picture that is its own mask */
        if (!path[i] || !strcmp(path[i], "-")) continue;
        if (i >= 3 && !stat(path[i], &st) && S_ISDIR(st.st_mode))
            return say(FAILED, "%s: is a folder; %s wants the name of a file", path[i], option[i]);
        for (k = 0; k < i; k++)
            if (path[k] && (!strcmp(path[i], path[k]) || same_file(path[i], path[k])))
                return say(FAILED, "%s: is given to %s and to %s; give one of them another name", path[i], option[k], option[i]);
    }
    return DONE;
}

static int open_output(pipeline *p)
{
    video_out_options o;
    struct stat st;
    char err[LINE] = "";
    memset(&o, 0, sizeof o);
    o.width = p->grid.width;
    o.height = p->grid.height;
    o.threads = p->s->threads;
    o.rate = av_make_q(p->source.fps_num, p->source.fps_den);
    o.crf = p->s->crf;
    o.preset = x264_presets[p->s->encoder_preset];
    o.matrix = p->source.colour_matrix;
    o.primaries = p->source.colour_primaries;
    o.transfer = p->source.colour_transfer;
    o.sound_from = p->source.is_still || (!stat(p->s->input, &st) && S_ISDIR(st.st_mode)) ? NULL : p->s->input;
    o.start = p->source.start_time;
    p->out = video_out_open(p->s->output, &o, err, sizeof err);
    return p->out ? DONE : say(FAILED, "%s", err);
}

static void tell_photos(void *pipe, int done, int count) { progress_photos(&((pipeline *)pipe)->progress, done, count, run_clock()); }

/* Enough photographs, or a line that says how many are missing. */
static int make_pool(pipeline *p)
{
    const double begun = run_clock();
    pool_files_options o;
    char err[LINE] = "";
    int missing, photos, i, failed, told = 0;
    memset(&o, 0, sizeof o);
    o.folder = p->s->tiles.items;
    o.folders = p->s->tiles.count;
    o.file = p->s->pool;
    o.cell_width = p->grid.cell_width;
    o.cell_height = p->grid.cell_height;
    o.threads = p->s->threads;
    o.hues = p->s->hues;
    o.turns = p->s->turns;
    o.stop = &stop;
    o.told = tell_photos;
    o.told_ctx = p;
    progress_begin(&p->progress, p->s->quiet, 0, begun);
    failed = pool_files_make(&p->photos, &o, err, sizeof err);
    progress_clear(&p->progress);
    if (failed) return say(stop ? STOPPED : FAILED, "%s", err);
    p->report.pool_seconds = run_clock() - begun;
    photos = mosaic_pool_photos(p->photos.pool);
    if (p->photos.notice[0] && !p->s->quiet) say(0, "%s", p->photos.notice);
    for (i = 0; i < p->photos.photos.count && told < 3 && !p->s->quiet && !p->s->diagnose; i++)
        if (p->photos.skipped[i]) told++, say(0, "skipped %s: %s", p->photos.photos.file[i].path, p->photos.skipped[i]);
    if (told < p->photos.skips && told) say(0, "skipped %d more photographs; --diagnose names them", p->photos.skips - told);
    missing = mosaic_photos_missing(&p->grid, photos, &p->options);
    if (!missing) return DONE;
    return say(FAILED,
               "%s%s: %d photographs are missing for %d cells (%d are there, %d unreadable); add some, or lower --cells or --min-distance, or "
               "raise --max-uses",
               o.folder[0], o.folders > 1 ? " and the others" : "", missing, p->filled, photos, p->photos.skips);
}

static void choose_options(pipeline *p)
{
    mosaic_options *o = &p->options;
    engine_options_apply(p->s->preset, p->s->look, o);
    o->max_uses = p->s->max_uses < 0 ? 0 : p->s->max_uses ? p->s->max_uses : MOSAIC_OFF;
    o->variants = p->s->variants;
    o->simd = p->s->simd;
    o->grid = p->s->grid == MOSAIC_GRID_AUTO && p->s->flow == MOSAIC_FLOW_NONE ? MOSAIC_GRID_FIXED : p->s->grid; /* no motion to follow */
    o->run = run_jobs;
    o->run_ctx = p->s;
    o->stage = run_stage;
    o->stage_ctx = &p->report;
}

/* How motion is estimated; for RAFT, its weights. */
static int choose_flow(pipeline *p)
{
    mosaic_flow_result result;
    unsigned char *bytes;
    char err[LINE] = "";
    size_t size;
    p->flow.method = (mosaic_flow_method)p->s->flow;
    p->flow.width = p->s->flow_width;
    p->flow.height = p->s->flow_height;
    p->flow.iterations = p->s->flow_iterations;
    p->flow.simd = p->s->simd;
    p->flow.run = run_jobs;
    p->flow.run_ctx = p->s;
    if (p->flow.method != MOSAIC_FLOW_NONE) p->options.flow = &p->flow;
    if (p->flow.method != MOSAIC_FLOW_RAFT) return DONE;
    bytes = read_file(p->s->raft_weights, (size_t)1 << 30, &size, err, sizeof err);
    if (!bytes) return say(FAILED, "%s", err);
    result = mosaic_flow_weights_load(bytes, size, NULL, &p->weights);
    free(bytes);
    if (result) return say(FAILED, "%s: %s", p->s->raft_weights, mosaic_flow_result_string(result));
    p->flow.weights = p->weights;
    return DONE;
}

/* A GPU that fails is left behind, unless it was asked for. */
static int check_gpu(pipeline *p)
{
    char why[LINE];
    if (!gpu_lost(&p->gpu, why, sizeof why)) return DONE;
    progress_clear(&p->progress);
    if (p->s->gpu == GPU_ON) return say(FAILED, "--gpu on: %s", why);
    if (!p->s->quiet) say(0, "the processor goes on without the GPU: %s", why);
    return DONE;
}

static int open_gpu(pipeline *p)
{
    char why[LINE];
    if (gpu_open(&p->gpu, p->s->gpu, why, sizeof why)) return say(FAILED, "--gpu on: %s", why);
    if (why[0] && !p->s->quiet) say(0, "without a GPU: %s", why);
    p->options.device = gpu_device(&p->gpu);
    p->flow.device = gpu_flow(&p->gpu);
    return DONE;
}

static int open_engine(pipeline *p)
{
    mosaic_result result;
    if (p->s->memory) film_memory_tie(&p->options, &p->recall, &p->memory);
    result = mosaic_open(&p->grid, p->photos.pool, &p->options, &p->engine);
    if (!result && p->s->memory && film_memory_open(p->engine, &p->memory)) return say(FAILED, "out of memory");
    if (!result) return check_gpu(p);
    if (result == MOSAIC_ERROR_SIMD)
        return say(FAILED, "--simd %s: this processor has none; --simd auto takes the best it has", simd_levels[p->s->simd]);
    return say(FAILED, "the mosaic cannot be started: %s", mosaic_result_string(result));
}

static int begin_diagnosis(pipeline *p)
{
    const mosaic_grid *g = mosaic_engine_grid(p->engine);
    int uses = p->options.max_uses == MOSAIC_OFF ? 0 : p->options.max_uses, v;
    for (v = 0; v < MOSAIC_VARIANTS && !p->options.max_uses; v++) uses += !p->options.variants || (p->options.variants >> v & 1);
    return diagnose_begin(&p->diagnosis, p->photos.pool, g, g->cols > p->grid.cols ? g->cols * g->rows : p->filled, uses);
}

/* Everything that is written beside the mosaic: refused now rather than after the last frame. */
static int open_extras(pipeline *p)
{
    const char *const later[] = {p->s->report, p->s->contact_sheet, p->s->diagnose_picture};
    run_report *r = &p->report;
    char err[LINE] = "";
    whole_file w;
    int i;
    for (i = 0; i < 3; i++) {
        FILE *f = later[i] ? whole_file_open(&w, later[i], err, sizeof err) : NULL;
        if (f)
            whole_file_close(&w, f, 0, err, sizeof err);
        else if (later[i])
            return say(FAILED, "%s", err);
    }
    r->input = p->s->input;
    r->output = p->s->output;
    r->active_codec = p->source.decoder;
    r->encoder = video_out_encoder(p->out);
    r->preset = mosaic_preset_name(p->s->preset);
    r->simd = simd_levels[p->s->simd];
    r->gpu = p->gpu.name;
    r->flow = mosaic_flow_method_name(p->s->flow);
    if (p->s->flow != MOSAIC_FLOW_NONE) {
        r->flow_width = p->flow.width;
        r->flow_height = p->flow.height;
    }
    r->rate_num = p->source.fps_num;
    r->rate_den = p->source.fps_den;
    r->threads = p->s->threads;
    r->grid = *mosaic_engine_grid(p->engine); /* where the grid may move, with cells out of sight */
    r->cols = p->grid.cols;
    r->rows = p->grid.rows;
    r->pool = p->photos.pool;
    r->skipped = p->photos.skips;
    if (run_report_begin(r, p->s->report != NULL) || (p->s->diagnose && begin_diagnosis(p))) return say(FAILED, "out of memory");
    if (p->s->contact_sheet) contact_sheet_begin(&p->sheet, &p->grid);
    if (p->s->atlas && atlas_begin(&p->atlas, p->s->atlas, r, err, sizeof err)) return say(FAILED, "%s", err);
    if (!p->s->placements) return DONE;
    p->placements = whole_file_open(&p->placements_file, p->s->placements, err, sizeof err);
    if (!p->placements) return say(FAILED, "%s", err);
    return placements_begin(p->placements, r) ? say(FAILED, "out of memory") : DONE;
}

static void introduce(const pipeline *p)
{
    const mosaic_grid *g = &p->grid;
    const int gpu = strcmp(p->gpu.name, "off") != 0;
    char masked[40] = "";
    if (p->s->mask) snprintf(masked, sizeof masked, ", %d filled", p->filled);
    fprintf(stderr, "%s: %dx%d, %.5g fps -> %dx%d, %dx%d cells of %dx%d px%s, %d photographs%s, on %s\n", p->s->input, g->source_width,
            g->source_height, (double)p->source.fps_num / p->source.fps_den, g->width, g->height, g->cols, g->rows, g->cell_width, g->cell_height,
            masked, mosaic_pool_photos(p->photos.pool), p->photos.from_file ? " from the pool file" : "", gpu ? p->gpu.name : "the processor");
}

static int prepare(pipeline *p)
{
    int code;
    choose_options(p);
    code = choose_flow(p);
    if (!code) code = separate_files(p);
    if (!code) code = open_source(p);
    if (!code) code = fit_grid(p);
    if (!code) code = open_output(p);
    if (!code) code = make_pool(p);
    if (!code) code = open_gpu(p);
    if (!code) code = open_engine(p);
    if (!code) code = open_extras(p);
    if (!code && !p->s->quiet) introduce(p);
    return code;
}

/* ---- the frames ---- */

/* A finished mosaic goes to the encoder and into the books. 0, or -1 when the encoder has given up. */
static int take_mosaic(pipeline *p, const mosaic_frame *f)
{
    const size_t row = 3 * (size_t)p->grid.width;
    unsigned char *rgb = queue_room(&p->mosaics);
    int y;
    if (!rgb) return -1;
    for (y = 0; y < p->grid.height; y++) memcpy(rgb + (size_t)y * row, f->rgb + (size_t)y * f->stride, row);
    queue_put(&p->mosaics);
    run_report_frame(&p->report, f);
    if (p->placements) placements_frame(p->placements, f);
    if (p->s->atlas) atlas_frame(&p->atlas, f);
    if (p->s->contact_sheet) contact_sheet_mosaic(&p->sheet, f);
    progress_show(&p->progress, p->report.frames, run_churn(&p->report), run_clock());
    return 0;
}

/* Pushes one source frame (null: the end) and takes what is finished. */
static int push_source(pipeline *p, const unsigned char *rgb)
{
    const mosaic_frame *f = NULL;
    mosaic_input input;
    mosaic_result result;
    memset(&input, 0, sizeof input);
    input.rgb = rgb;
    input.stride = 3 * (size_t)p->source.width;
    if (rgb && p->s->contact_sheet) contact_sheet_source(&p->sheet, rgb);
    do {
        result = mosaic_push(p->engine, rgb ? &input : NULL, &f);
        if (result) {
            progress_clear(&p->progress);
            say(FAILED, "frame %lld: %s", (long long)p->report.frames, mosaic_result_string(result));
            return -1;
        }
        if (check_gpu(p)) return -1;
        if (f && rgb && p->s->diagnose) diagnose_frame(&p->diagnosis, p->engine, f, rgb);
        if (f && take_mosaic(p, f)) return -1;
    } while (!rgb && f); /* at the end until the engine has nothing more */
    return 0;
}

static int push_all(pipeline *p)
{
    const unsigned char *rgb;
    while (!stop && (rgb = queue_front(&p->sources)) != NULL) {
        const int failed = push_source(p, rgb);
        queue_drop(&p->sources);
        if (failed) return -1;
    }
    return push_source(p, NULL);
}

/* Runs the three threads to the end. DONE, or another code after a line that says why. */
static int make_frames(pipeline *p)
{
    const size_t source_size = 3 * (size_t)p->source.width * (size_t)p->source.height, size = 3 * (size_t)p->grid.width * (size_t)p->grid.height;
    pthread_t decoder, encoder;
    int failed;
    if (queue_init(&p->sources, AHEAD, source_size) || queue_init(&p->mosaics, AHEAD, size)) return say(FAILED, "out of memory");
    if (pthread_create(&decoder, NULL, decode, p) || pthread_create(&encoder, NULL, encode, p)) return say(FAILED, "no more threads can be started");
    progress_begin(&p->progress, p->s->quiet, p->source.frames, run_clock());
    failed = push_all(p);
    queue_stop(&p->sources);
    queue_finish(&p->mosaics);
    pthread_join(decoder, NULL);
    pthread_join(encoder, NULL);
    progress_clear(&p->progress);
    if (p->encode_failed) return say(FAILED, "%s", p->encode_error);
    if (failed) return FAILED;
    if (stop)
        return p->report.frames ? say(STOPPED, "stopped; finishing the %lld frames so far", (long long)p->report.frames)
                                : say(STOPPED, "stopped before the first frame; nothing is written");
    if (!p->report.frames) return say(FAILED, "%s", p->decoded ? p->decode_error : "the source has no frames");
    return p->decoded ? say(INCOMPLETE, "%s", p->decode_error) : DONE;
}

/* ---- after the last frame ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static int write_sheet(pipeline *p, char *err, size_t err_size)
{
    char facts[200];
    snprintf(facts, sizeof facts, "%dx%d cells of %dx%d px, %d photographs, %lld frame%s, churn %.1f %%, %d cut%s", p->grid.cols, p->grid.rows,
             p->grid.cell_width, p->grid.cell_height, mosaic_pool_photos(p->photos.pool), (long long)p->report.frames,
             p->report.frames == 1 ? "" : "s", 100 * run_churn(&p->report), p->report.cuts, p->report.cuts == 1 ? "" : "s");
    return contact_sheet_write(&p->sheet, p->s->contact_sheet, base_name(p->s->input), facts, err, err_size);
}

/* Everything gets its name, or nothing is left behind. */
static int finish(pipeline *p, int code)
{
    const int keep = (code == DONE || code == INCOMPLETE || code == STOPPED) && p->report.frames > 0;
    const double begun = run_clock();
    char err[LINE] = "";
    if (video_out_close(p->out, keep, err, sizeof err) && keep) code = say(FAILED, "%s", err);
    p->out = NULL;
    p->report.encode_seconds += run_clock() - begun;
    if (p->placements && whole_file_close(&p->placements_file, p->placements, keep && code != FAILED, err, sizeof err) && keep)
        code = say(FAILED, "%s", err);
    if (p->s->atlas && atlas_end(&p->atlas, keep && code != FAILED, err, sizeof err) && keep) code = say(FAILED, "%s", err);
    if (!keep || code == FAILED) return code;
    run_report_end(&p->report);
    if (p->s->contact_sheet && write_sheet(p, err, sizeof err)) code = say(FAILED, "%s", err);
    if (p->s->diagnose_picture && diagnose_picture(&p->diagnosis, p->s->diagnose_picture, err, sizeof err)) code = say(FAILED, "%s", err);
    if (p->s->report && p->s->diagnose) p->report.diagnosis = diagnose_json(&p->diagnosis, &p->report);
    if (p->s->report && run_report_write(&p->report, p->s->report, err, sizeof err)) code = say(FAILED, "%s", err);
    if (!p->s->quiet) run_report_print(&p->report, stderr);
    if (p->s->diagnose) diagnose_print(&p->diagnosis, &p->photos, &p->report, stderr);
    return code;
}

static void release(pipeline *p)
{
    mosaic_close(p->engine);
    mosaic_mem_film_close(p->memory);
    gpu_close(&p->gpu);
    mosaic_flow_weights_free(p->weights);
    video_in_close(p->in);
    queue_free(&p->sources);
    queue_free(&p->mosaics);
    if (p->s->contact_sheet) contact_sheet_free(&p->sheet);
    run_report_free(&p->report);
    diagnose_free(&p->diagnosis);
    free(p->mask);
    pool_files_free(&p->photos);
}

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* Ctrl-C, or the terminal going away, finishes the file; asking again changes nothing, so that none is ever left half written. A reader that goes
   away is an error of the write, not of the program. */
static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    settings s;
    pipeline p;
    char err[LINE] = "";
    int told, code = DONE;
    memset(&p, 0, sizeof p);
    p.s = &s;
    p.report.begun = run_clock();
    told = settings_read(&s, argc, argv, err, sizeof err);
    if (told == SETTINGS_BAD) code = say(MISUSED, "%s", err);
    if (told == SETTINGS_GOOD) {
        if (s.ignored[0] && !s.quiet) say(0, "%s: these fields mean nothing here: %s", s.config, s.ignored);
        catch_signals();
        code = prepare(&p);
        if (!code) code = make_frames(&p);
        code = finish(&p, code);
        release(&p);
    }
    settings_free(&s);
    return code;
}
