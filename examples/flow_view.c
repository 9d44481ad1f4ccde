/* flow_view.c - the motion between two pictures: as a field, as a picture in colours, and its error when the truth is known.

   cc -O2 examples/flow_view.c -lm -o flow_view

   ./flow_view a.png b.png --method dis --out motion.flo --picture motion.png
   ./flow_view a.png b.png --method raft --weights raft-small.pth --truth truth.flo */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../mosaic_flow.h"

#include "util/options.h"
#include "util/pictures.h"
#include "util/read_file.h"
#include "util/flow_file.h"
#include <stdarg.h>

enum { DONE = 0, FAILED = 1, MISUSED = 2 };
enum { LINE = PATH_MAX + 512 };

typedef struct job {
    const char *file[2], *weights_file, *out, *picture, *truth_file;
    int method, preset, arithmetic, iterations;
    int width, height;
    unsigned char *rgb[2], *colours;
    float *field, *truth;
    mosaic_flow_weights *weights;
    mosaic_flow *flow;
} job;

/* One line on stderr. Returns code, to end with. */
static int say(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("flow_view: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return code;
}

static int read_pictures(job *j)
{
    int i, width, height;
    const char *why = NULL;
    for (i = 0; i < 2; i++) {
        j->rgb[i] = picture_read(j->file[i], &width, &height, &why);
        if (!j->rgb[i]) return say(FAILED, "%s: %s", j->file[i], why);
        if (i && (width != j->width || height != j->height))
            return say(FAILED, "%s has %dx%d px, %s %dx%d; motion is found between pictures of one size", j->file[0], j->width, j->height, j->file[1],
                       width, height);
        j->width = width;
        j->height = height;
    }
    return DONE;
}

static int read_truth(job *j)
{
    char err[LINE] = "";
    int width, height;
    if (!j->truth_file) return DONE;
    j->truth = flow_file_read(j->truth_file, &width, &height, err, sizeof err);
    if (!j->truth) return say(FAILED, "%s", err);
    if (width == j->width && height == j->height) return DONE;
    return say(FAILED, "%s has %dx%d vectors, the pictures %dx%d px", j->truth_file, width, height, j->width, j->height);
}

static int open_flow(job *j)
{
    mosaic_flow_options o;
    mosaic_flow_result result;
    memset(&o, 0, sizeof o);
    if (j->method == MOSAIC_FLOW_RAFT) {
        char err[LINE] = "";
        size_t size;
        unsigned char *bytes = read_file(j->weights_file, (size_t)1 << 30, &size, err, sizeof err);
        if (!bytes) return say(FAILED, "%s", err);
        result = mosaic_flow_weights_load(bytes, size, NULL, &j->weights);
        free(bytes);
        if (result) return say(FAILED, "%s: %s", j->weights_file, mosaic_flow_result_string(result));
    }
    o.method = (mosaic_flow_method)j->method;
    o.preset = (mosaic_flow_preset)j->preset;
    o.forward_only = 1;
    o.weights = j->weights;
    o.arithmetic = j->arithmetic;
    o.iterations = j->iterations;
    result = mosaic_flow_open(j->width, j->height, &o, &j->flow);
    return result ? say(FAILED, "%s: %s", mosaic_flow_method_name(j->method), mosaic_flow_result_string(result)) : DONE;
}

static int run(job *j)
{
    const size_t row = (size_t)3 * (size_t)j->width, pixels = (size_t)j->width * (size_t)j->height;
    char err[LINE] = "";
    mosaic_flow_result result;
    j->field = (float *)malloc(pixels * 2 * sizeof *j->field);
    j->colours = (unsigned char *)malloc(pixels * 3);
    if (!j->field || !j->colours) return say(FAILED, "out of memory");
    result = mosaic_flow_pair(j->flow, j->rgb[0], row, j->rgb[1], row, NULL, j->field);
    if (result) return say(FAILED, "%s", mosaic_flow_result_string(result));
    if (j->out && flow_file_write(j->out, j->field, j->width, j->height, err, sizeof err)) return say(FAILED, "%s", err);
    flow_picture(j->field, pixels, 0, j->colours);
    if (j->picture && picture_write(j->picture, j->colours, j->width, j->height, err, sizeof err)) return say(FAILED, "%s", err);
    if (j->truth) {
        const double error = flow_error(j->field, j->truth, pixels);
        if (error != error) return say(FAILED, "%s: not one vector in it is known", j->truth_file);
        printf("EPE %.4f\n", error);
    }
    return DONE;
}

/* What belongs together, and what must be there. */
static int check(const job *j)
{
    if (!j->file[0] || !j->file[1]) return say(MISUSED, "wants two pictures first: flow_view a.png b.png --out motion.flo");
    if (!j->out && !j->picture && !j->truth_file) return say(MISUSED, "nothing is wanted of the motion; give --out, --picture or --truth");
    if (j->method == MOSAIC_FLOW_RAFT && !j->weights_file) return say(MISUSED, "--method raft needs --weights FILE");
    return DONE;
}

int main(int argc, char **argv)
{
    static const char *const arithmetics[] = {"integer", "float", NULL};
    const char *methods[MOSAIC_FLOW_METHODS + 1] = {NULL}, *presets[MOSAIC_FLOW_PRESETS + 1] = {NULL};
    char err[LINE] = "";
    int help = 0, i, given, code;
    job j;
    const option table[] = {
        {NULL, NULL, 0, NULL, 0, 0, NULL, "How"},
        {"--method", "NAME", OPTION_CHOICE, &j.method, 0, 0, methods, "dis: dense inverse search; raft: a neural network; none (default dis)"},
        {"--preset", "NAME", OPTION_CHOICE, &j.preset, 0, 0, presets, "of dis: ultrafast, fast or medium (default medium)"},
        {"--weights", "FILE", OPTION_TEXT, &j.weights_file, 0, 0, NULL, "of raft: .pth or .safetensors of RAFT-small or RAFT-large"},
        {"--iterations", "N", OPTION_INT, &j.iterations, 1, 1000, NULL, "of raft (default 12)"},
        {"--arithmetic", "NAME", OPTION_CHOICE, &j.arithmetic, 0, 0, arithmetics, "of raft: integer or float (default integer)"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, "What is wanted"},
        {"--out", "FILE", OPTION_TEXT, &j.out, 0, 0, NULL, "the field: .flo, or KITTI's PNG of 16 bits when the name ends in .png"},
        {"--picture", "PNG", OPTION_TEXT, &j.picture, 0, 0, NULL, "the field in colours"},
        {"--truth", "FILE", OPTION_TEXT, &j.truth_file, 0, 0, NULL, "the true field, .flo or KITTI's PNG: prints the mean end-point error in px"},
        {"--help", NULL, OPTION_FLAG, &help, 0, 0, NULL, "this text"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, NULL},
    };
    memset(&j, 0, sizeof j);
    j.method = MOSAIC_FLOW_DIS;
    j.preset = MOSAIC_FLOW_MEDIUM;
    for (i = 0; i < MOSAIC_FLOW_METHODS; i++) methods[i] = mosaic_flow_method_name(i);
    for (i = 0; i < MOSAIC_FLOW_PRESETS; i++) presets[i] = mosaic_flow_preset_name(i);
    for (given = 0; given < 2 && given + 1 < argc && options_is_value(argv[given + 1]); given++) j.file[given] = argv[given + 1];
    code = options_parse(table, argc - given, argv + given, err, sizeof err) ? say(MISUSED, "%s", err) : DONE;
    if (!code && help) {
        printf("flow_view: the motion between two pictures\n\n  flow_view a.png b.png --method dis --out motion.flo --picture motion.png\n");
        options_help(table, stdout);
        return DONE;
    }
    if (!code) code = check(&j);
    if (!code) code = read_pictures(&j);
    if (!code) code = read_truth(&j);
    if (!code) code = open_flow(&j);
    if (!code) code = run(&j);
    mosaic_flow_close(j.flow);
    mosaic_flow_weights_free(j.weights);
    free(j.rgb[0]);
    free(j.rgb[1]);
    free(j.colours);
    free(j.field);
    free(j.truth);
    return code;
}
