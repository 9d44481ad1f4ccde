/* raft_convert.c - weights of RAFT from any file that mosaic_flow.h reads to its own flat file.

   cc -O2 examples/raft_convert.c -lm -o raft_convert

   ./raft_convert raft-small.pth raft-small.raft
   ./raft_convert raft-large.pth raft-large.raft a1.png a2.png b1.png b2.png

   The second also measures the scales of the integer arithmetic on pairs of pictures, which must all have one size: pictures like those that motion
   will be estimated on, with motion as large. Prints what it found. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../mosaic_flow.h"

#include "util/pictures.h"
#include "util/read_file.h"
#include "util/whole_file.h"

enum { DONE = 0, FAILED = 1, MISUSED = 2 };

static int fail(const char *file, const char *why)
{
    fprintf(stderr, "raft_convert: %s%s%s\n", file, *file ? ": " : "", why);
    return FAILED;
}

static int calibrate(mosaic_flow_weights *weights, char **files, int count)
{
    uint8_t **pictures = (uint8_t **)calloc((size_t)count, sizeof *pictures);
    int width = 0, height = 0, code = pictures ? DONE : fail("", "out of memory"), i;
    for (i = 0; i < count && code == DONE; i++) {
        const char *why = NULL;
        int w, h;
        pictures[i] = picture_read(files[i], &w, &h, &why);
        if (!pictures[i])
            code = fail(files[i], why);
        else if (i && (w != width || h != height))
            code = fail(files[i], "not of the size of the first picture");
        width = w;
        height = h;
    }
    if (code == DONE) {
        const mosaic_flow_result result = mosaic_flow_weights_calibrate(weights, width, height, (const uint8_t *const *)pictures, count / 2);
        if (result != MOSAIC_FLOW_OK) code = fail("calibration", mosaic_flow_result_string(result));
    }
    for (i = 0; i < count && pictures; i++) free(pictures[i]);
    free(pictures);
    return code;
}

static int save(const mosaic_flow_weights *weights, const char *path)
{
    const size_t size = mosaic_flow_weights_size(weights);
    uint8_t *bytes = (uint8_t *)malloc(size);
    char err[PATH_MAX + 256];
    whole_file w;
    FILE *f;
    int kept = 0;
    if (!bytes || mosaic_flow_weights_save(weights, bytes, size) != MOSAIC_FLOW_OK) {
        free(bytes);
        return fail(path, "out of memory");
    }
    f = whole_file_open(&w, path, err, sizeof err);
    if (f) kept = whole_file_close(&w, f, fwrite(bytes, 1, size, f) == size, err, sizeof err) == 0;
    free(bytes);
    if (!kept) return fail("", err);
    printf("%s: %lu bytes\n", path, (unsigned long)size);
    return DONE;
}

int main(int argc, char **argv)
{
    mosaic_flow_weights *weights;
    mosaic_flow_weights_info info;
    mosaic_flow_result result;
    unsigned char *bytes;
    char err[PATH_MAX + 256];
    size_t size;
    int code;
    if (argc < 3 || argc % 2 == 0) {
        fprintf(stderr, "usage: raft_convert WEIGHTS OUT.raft [A1.png A2.png ...]\n");
        return MISUSED;
    }
    bytes = read_file(argv[1], (size_t)1 << 28, &size, err, sizeof err);
    if (!bytes) return fail("", err);
    result = mosaic_flow_weights_load(bytes, size, NULL, &weights);
    free(bytes);
    if (result != MOSAIC_FLOW_OK) return fail(argv[1], mosaic_flow_result_string(result));
    code = argc > 3 ? calibrate(weights, argv + 3, argc - 3) : DONE;
    mosaic_flow_weights_describe(weights, &info);
    printf("%s: %s, %lu parameters; format %s, names %s, %d tensors; scales %s\n", argv[1], info.model, (unsigned long)info.parameters, info.format,
           info.names, info.tensors, info.calibrated ? (argc > 3 ? "measured here" : "from the file") : "the header's own");
    if (code == DONE) code = save(weights, argv[2]);
    mosaic_flow_weights_free(weights);
    return code;
}
