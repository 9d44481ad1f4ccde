/* settings.h - what mosaic_video is told on its command line.

   Include mosaic_temporal.h first. Needs libavutil. */
#ifndef MOSAIC_UTIL_SETTINGS_H
#define MOSAIC_UTIL_SETTINGS_H

#include "aspect.h"
#include "config.h"
#include "engine_options.h"
#include "gpu.h"
#include "options.h"
#include "video_out.h"
#include <libavutil/parseutils.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { SETTINGS_GOOD, SETTINGS_BAD, SETTINGS_TOLD };
enum { SETTINGS_ROWS = 96 };

typedef struct settings {
    const char *input, *frames, *output, *pool, *placements, *report, *contact_sheet; /* as on the command line */
    const char *mask, *diagnose_picture, *atlas;
    const char *tile_size_text, *aspect_text, *variants_text, *fps_text, *start_text;
    option_list tiles;
    int preset, cells, height, max_uses, hues, turns, crf, encoder_preset, count, threads, simd, gpu;
    const char *flow_size_text, *raft_weights;
    int flow, flow_iterations, flow_width, flow_height, grid, memory;
    engine_option look[ENGINE_OPTIONS];
    int diagnose, quiet, help, version, dump;
    const char *config;
    cJSON *json;       /* of the file; holds its texts. Freed by settings_free. */
    char ignored[256]; /* its fields that mean nothing here */
    int mask_shows;
    int cell_width, cell_height, aspect_width, aspect_height; /* made from the texts */
    unsigned variants;
    AVRational fps;
    double start;
} settings;

static const char *const x264_presets[] = {"ultrafast", "superfast", "veryfast", "faster",  "fast", "medium",
                                           "slow",      "slower",    "veryslow", "placebo", NULL};
static const char *const simd_levels[] = {"auto", "scalar", "avx2", "avx512", "avx512vnni", NULL};
static const char *const grids[] = {"fixed", "auto", "follow", NULL}; /* MOSAIC_GRID_… */
static const char *const mask_shows[] = {"nothing", "source", NULL};
static const char *variant_names[MOSAIC_VARIANTS + 1];
static const char *flow_names[MOSAIC_FLOW_METHODS + 1];

/* Fields of mosaic-temporal's configuration. Its way of computing is not ours: what only chooses between ways means nothing here. */
static const config_alias config_names[] = {
    {"profile_name", "--preset"}, {"size", "--cells"},       {"beta", "--coherence"}, {"silent", "--quiet"},      {"ema_alpha", NULL},
    {"keep_intermediate", NULL},  {"png_compression", NULL}, {"device", NULL},        {"solver", NULL},           {"pipeline", NULL},
    {"ssim_impl", NULL},          {"swap_impl", NULL},       {"assemble_impl", NULL}, {"postprocess_impl", NULL}, {NULL, NULL}};

static int size_from_text(settings *s, char *err, size_t err_size)
{
    char rest;
    const int fields = sscanf(s->tile_size_text, "%dx%d%c", &s->cell_width, &s->cell_height, &rest);
    if (fields == 1 && strspn(s->tile_size_text, "0123456789") == strlen(s->tile_size_text))
        s->cell_height = s->cell_width;
    else if (fields != 2)
        s->cell_width = 0;
    if (s->cell_width > 0 && s->cell_height > 0 && s->cell_width <= 4096 && s->cell_height <= 4096) return 0;
    snprintf(err, err_size, "--tile-size: \"%s\" is no size in pixels; write 54, or 60x40 for cells that are not square", s->tile_size_text);
    return -1;
}

static int flow_from_text(settings *s, char *err, size_t err_size)
{
    char rest;
    if (sscanf(s->flow_size_text, "%dx%d%c", &s->flow_width, &s->flow_height, &rest) != 2 || s->flow_width < 1 || s->flow_height < 1 ||
        s->flow_width > 8192 || s->flow_height > 8192) {
        snprintf(err, err_size, "--flow-size: \"%s\" is no size in pixels; write 480x272", s->flow_size_text);
        return -1;
    }
    if (s->flow == MOSAIC_FLOW_RAFT && !s->raft_weights) {
        snprintf(err, err_size, "--flow raft needs --raft-weights FILE: a .pth or .safetensors file of RAFT-small or RAFT-large");
        return -1;
    }
    return 0;
}

static int variants_from_text(settings *s, char *err, size_t err_size)
{
    const char *word = s->variants_text;
    char name[32];
    while (word) {
        const char *comma = strchr(word, ',');
        int index;
        snprintf(name, sizeof name, "%.*s", comma ? (int)(comma - word) : 31, word);
        index = options_choice("--variants", name, variant_names, err, err_size);
        if (index < 0) return -1;
        s->variants |= 1u << index;
        word = comma ? comma + 1 : NULL;
    }
    return 0;
}

static int times_from_text(settings *s, char *err, size_t err_size)
{
    int64_t start = 0;
    if (s->fps_text && (av_parse_video_rate(&s->fps, s->fps_text) < 0 || s->fps.num / s->fps.den > 1000)) {
        snprintf(err, err_size, "--fps: \"%s\" is no frame rate; write 25, 23.976 or 30000/1001", s->fps_text);
        return -1;
    }
    if (s->start_text && (av_parse_time(&start, s->start_text, 1) < 0 || start < 0)) {
        snprintf(err, err_size, "--start: \"%s\" is no time; write seconds (12.5) or h:mm:ss (0:01:30)", s->start_text);
        return -1;
    }
    s->start = (double)start / AV_TIME_BASE;
    return 0;
}

/* The shortest decimal number that is this one as a float. */
static double settings_shortest(double value)
{
    char text[32];
    int digits;
    for (digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtof(text, NULL) == (float)value) break;
    }
    return strtod(text, NULL);
}

/* Every value that is the preset's or the program's, as if it had been given. */
static void settings_resolve(settings *s)
{
    static char variants[128];
    mosaic_options options;
    int count, i;
    const mosaic_option_info *info = mosaic_option_table(&count);
    engine_options_apply(s->preset, s->look, &options);
    for (i = 0; i < count && i < ENGINE_OPTIONS; i++) {
        const double value = mosaic_option_get(&options, info + i);
        s->look[i].number = settings_shortest(value);
        s->look[i].whole = (int)value - (info[i].choices != NULL);
    }
    if (!s->cells && !s->tile_size_text) s->cells = 700;
    if (!s->height) s->height = 1080;
    if (!s->variants_text) {
        for (variants[0] = 0, i = 0; i < MOSAIC_VARIANTS; i++)
            snprintf(variants + strlen(variants), sizeof variants - strlen(variants), "%s%s", i ? "," : "", mosaic_variant_name(i));
        s->variants_text = variants;
    }
    if (s->max_uses < 0)
        for (s->max_uses = 1, i = 0; s->variants_text[i]; i++) s->max_uses += s->variants_text[i] == ',';
}

/* What belongs together, and what must be there. */
static int settings_check(settings *s, char *err, size_t err_size)
{
    const char *missing = !s->input && !s->frames ? "--input FILE" : !s->tiles.count ? "--tiles DIR" : !s->output ? "--output FILE" : NULL;
    if (missing) {
        snprintf(err, err_size, "%s is missing; a mosaic needs --input, --tiles and --output (--help lists all options)", missing);
        return -1;
    }
    if (s->input && s->frames) {
        snprintf(err, err_size, "--frames is another name for --input; give one of them");
        return -1;
    }
    if (s->frames) s->input = s->frames;
    if (s->diagnose_picture) s->diagnose = 1;
    if (s->tile_size_text && s->aspect_text) {
        snprintf(err, err_size, "--cell-aspect goes with --cells; --tile-size 60x40 gives the shape itself");
        return -1;
    }
    if (s->tile_size_text && size_from_text(s, err, err_size)) return -1;
    if (s->aspect_text && aspect_from_text(s->aspect_text, &s->aspect_width, &s->aspect_height, err, err_size)) return -1;
    if (s->variants_text && variants_from_text(s, err, err_size)) return -1;
    if (times_from_text(s, err, err_size)) return -1;
    if (flow_from_text(s, err, err_size)) return -1;
    if (s->mask && s->grid == MOSAIC_GRID_FOLLOW) {
        snprintf(err, err_size, "--grid follow and --mask do not go together: a mask belongs to cells that stay");
        return -1;
    }
    return video_out_kind(s->output, err, err_size) < 0 ? -1 : 0;
}

/* SETTINGS_GOOD, SETTINGS_BAD with a line in err, or SETTINGS_TOLD when help or version were asked for and printed. */
static int settings_read(settings *s, int argc, char **argv, char *err, size_t err_size)
{
    const option first[] = {
        {NULL, NULL, 0, NULL, 0, 0, NULL, "What goes in and out"},
        {"--input", "FILE", OPTION_TEXT, &s->input, 0, 0, NULL, "a video, one picture, or a folder of frames"},
        {"--frames", "DIR", OPTION_TEXT, &s->frames, 0, 0, NULL, "another name for --input"},
        {"--tiles", "DIR...", OPTION_LIST, &s->tiles, 0, 0, NULL, "folders with photographs, searched with all folders below"},
        {"--output", "FILE", OPTION_TEXT, &s->output, 0, 0, NULL,
         "film.mp4, .mov or .mkv (H.264, with the source's sound); picture.png or .jpg;\nfolder/ for a PNG of every frame; - for y4m (4:4:4) on "
         "standard output"},
        {"--start", "TIME", OPTION_TEXT, &s->start_text, 0, 0, NULL, "begin here, in seconds or h:mm:ss (default 0)"},
        {"--count", "N", OPTION_INT, &s->count, 1, INT_MAX, NULL, "most frames to make (default all)"},
        {"--fps", "RATE", OPTION_TEXT, &s->fps_text, 0, 0, NULL, "frame rate; frames are repeated or dropped (default: the source's)"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "The mosaic"},
        {"--preset", "NAME", OPTION_CHOICE, &s->preset, 0, 0, engine_presets(), engine_preset_help()},
        {"--cells", "N", OPTION_INT, &s->cells, 1, 4000000, NULL, "about so many (default 700)"},
        {"--tile-size", "PX", OPTION_TEXT, &s->tile_size_text, 0, 0, NULL, "size of a cell, 54 or 60x40, instead of --cells (default: from --cells)"},
        {"--cell-aspect", "W:H", OPTION_TEXT, &s->aspect_text, 0, 0, NULL, "shape of the cells, 3:2 say (default 1:1)"},
        {"--height", "PX", OPTION_INT, &s->height, 1, 32768, NULL, "of the output (default 1080)"},
        {"--mask", "FILE.png", OPTION_TEXT, &s->mask, 0, 0, NULL,
         "cells take photographs where this picture, stretched over the source, is opaque,\nor without transparency where it is bright (default: "
         "all)"},
        {"--mask-shows", "WHAT", OPTION_CHOICE, &s->mask_shows, 0, 0, mask_shows,
         "in the other cells: nothing (black), or the source (default nothing)"},
        {"--max-uses", "N", OPTION_INT, &s->max_uses, 0, 1000000, NULL,
         "of one photograph in a frame; 0 is no limit (default: as many as it has variants)"},
        {"--variants", "LIST", OPTION_TEXT, &s->variants_text, 0, 0, NULL,
         "ways a photograph may be shown, of plain,mirror,bright,dark (default all)"},
        {"--hue-variants", "N", OPTION_INT, &s->hues, 0, 7, NULL,
         "each photograph also with its hues turned by N steps of a circle of N + 1 (default 0)"},
        {"--turns", NULL, OPTION_FLAG, &s->turns, 0, 0, NULL, "each photograph also turned by quarters; where cells are not square, by a half"},
        {"--pool", "FILE", OPTION_TEXT, &s->pool, 0, 0, NULL, "keep the finished photographs here; made anew when they change (default: none)"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "How it looks: a preset's values can be changed one by one (0 is none)"},
    };
    const option last[] = {
        {NULL, NULL, 0, NULL, 0, 0, NULL, "Motion, which photographs travel with"},
        {"--flow", "METHOD", OPTION_CHOICE, &s->flow, 0, 0, flow_names,
         "none: not estimated; dis: dense inverse search; raft: a neural network, slower (default dis)"},
        {"--grid", "HOW", OPTION_CHOICE, &s->grid, 0, 0, grids,
         "fixed: the cells stay on the screen; follow: they go with the camera; auto: they do when it has plainly moved for eight\nframes, if there "
         "are "
         "photographs for a column and a row more and no mask (default auto)"},
        {"--memory", NULL, OPTION_FLAG, &s->memory, 0, 0, NULL,
         "what is seen again after a cut, or when the camera comes back, gets the photographs that it had: as close to the\nsource as "
         "when it was left, not as close as photographs chosen anew"},
        {"--raft-weights", "FILE", OPTION_TEXT, &s->raft_weights, 0, 0, NULL,
         "the network's numbers: .pth or .safetensors of RAFT-small or RAFT-large"},
        {"--flow-size", "WxH", OPTION_TEXT, &s->flow_size_text, 0, 0, NULL, "the size frames are brought to for it (default 480x272)"},
        {"--flow-iterations", "N", OPTION_INT, &s->flow_iterations, 1, 1000, NULL, "of raft (default 12)"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "Encoding"},
        {"--crf", "0...51", OPTION_INT, &s->crf, 0, 51, NULL, "quality: less is better and larger (default 18)"},
        {"--encoder-preset", "NAME", OPTION_CHOICE, &s->encoder_preset, 0, 0, x264_presets, "of x264, from ultrafast to placebo (default veryfast)"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "What is told"},
        {"--placements", "FILE", OPTION_TEXT, &s->placements, 0, 0, NULL, "which photograph is where in every frame, as JSON lines"},
        {"--atlas", "DIR", OPTION_TEXT, &s->atlas, 0, 0, NULL,
         "a folder for painting elsewhere, in a game or a page: the photographs as PNG atlas, and draw.jsonl,\nthe draw list of every frame (format: "
         "examples/util/atlas.h; with --bleed 0 that is all it takes)"},
        {"--report", "FILE", OPTION_TEXT, &s->report, 0, 0, NULL, "figures of the run, and the hash of its frames, as JSON"},
        {"--contact-sheet", "PNG", OPTION_TEXT, &s->contact_sheet, 0, 0, NULL, "source, mosaic, placements and a close-up in one picture"},
        {"--diagnose", NULL, OPTION_FLAG, &s->diagnose, 0, 0, NULL,
         "which photographs are used, skipped, missing, and how much of the error is theirs;\nalso in the report"},
        {"--diagnose-picture", "PNG", OPTION_TEXT, &s->diagnose_picture, 0, 0, NULL,
         "the same as a picture: where it is seen, and which colours lack"},
        {"--quiet", NULL, OPTION_FLAG, &s->quiet, 0, 0, NULL, "errors only"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "How it runs"},
        {"--threads", "N", OPTION_INT, &s->threads, 0, 256, NULL,
         "of engine and decoder; 0 is one for each core (default 0). The result does not depend\non it; the encoder always has 4, because its result "
         "does"},
        {"--simd", "LEVEL", OPTION_CHOICE, &s->simd, 0, 0, simd_levels,
         "auto, scalar, avx2, avx512 or avx512vnni; the result is the same (default auto)"},
        {"--gpu", "MODE", OPTION_CHOICE, &s->gpu, 0, 0, gpu_modes,
         "auto: an NVIDIA GPU where there is one, for programs built with mosaic_cuda.cu; on: or fail;\noff. The result is the same (default auto)"},
        {"--config", "FILE.json", OPTION_TEXT, &s->config, 0, 0, NULL,
         "options from a file: {\"preset\": \"vivid\", \"bleed\": 0.1}; those given here count more"},
        {"--dump-config", NULL, OPTION_FLAG, &s->dump, 0, 0, NULL, "print all options as such a file, with the values that they have, and end"},
        {"--help", NULL, OPTION_FLAG, &s->help, 0, 0, NULL, "this text"},
        {"--version", NULL, OPTION_FLAG, &s->version, 0, 0, NULL, "the version"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, NULL},
    };
    option table[SETTINGS_ROWS];
    const char *config = NULL;
    int i, pass;
    for (i = 0; i < MOSAIC_VARIANTS; i++) variant_names[i] = mosaic_variant_name(i);
    for (i = 0; i < MOSAIC_FLOW_METHODS; i++) flow_names[i] = mosaic_flow_method_name(i);
    memset(s, 0, sizeof *s);
    /* Twice when there is a file: once to find its name, and again over what stands in it. */
    for (pass = 0; pass < 2; pass++) {
        size_t rows = sizeof first / sizeof *first;
        int before;
        free((void *)s->tiles.items);
        memset(s, 0, sizeof *s);
        s->flow = MOSAIC_FLOW_DIS;
        s->flow_size_text = "480x272";
        s->grid = MOSAIC_GRID_AUTO;
        s->max_uses = -1;
        s->crf = 18;
        s->encoder_preset = 2;
        memcpy(table, first, sizeof first);
        rows += (size_t)engine_option_rows(s->look, table + rows);
        memcpy(table + rows, last, sizeof last);
        if (config) {
            s->json = config_read(config, table, config_names, s->ignored, sizeof s->ignored, err, err_size);
            if (!s->json) return SETTINGS_BAD;
        }
        before = s->tiles.count;
        if (options_parse(table, argc, argv, err, err_size)) return SETTINGS_BAD;
        if (before && s->tiles.count > before) { /* folders are not added to the file's, they take their place */
            s->tiles.count -= before;
            memmove((void *)s->tiles.items, (const void *)(s->tiles.items + before), (size_t)s->tiles.count * sizeof *s->tiles.items);
        }
        config = s->config;
        if (!config || s->help || s->version) break;
    }
    if (s->help) {
        printf("mosaic_video: a video as a mosaic of photographs\n\n  mosaic_video --input film.mp4 --tiles photographs --output mosaic.mp4\n");
        options_help(table, stdout);
        printf("\nEnds with 0, 1 after an error, 2 when misused, 3 when the source was damaged (what could be\nread is there, whole), 130 after "
               "Ctrl-C (the frames so far are there, whole).\n");
        return SETTINGS_TOLD;
    }
    if (s->version) {
        printf("mosaic_video %s\n", MOSAIC_VERSION);
        return SETTINGS_TOLD;
    }
    if (s->dump) {
        settings_resolve(s);
        if (!config_write(table, stdout) && !fflush(stdout)) return SETTINGS_TOLD;
        snprintf(err, err_size, "standard output: %s", strerror(errno));
        return SETTINGS_BAD;
    }
    if (settings_check(s, err, err_size)) return SETTINGS_BAD;
#ifdef _OPENMP
    if (!s->threads) s->threads = omp_get_num_procs();
#endif
    if (!s->threads) s->threads = 1;
    return SETTINGS_GOOD;
}

static void settings_free(settings *s)
{
    free((void *)s->tiles.items);
    cJSON_Delete(s->json);
}

#endif
