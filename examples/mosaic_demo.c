/* mosaic_demo.c - material to try the mosaic programs on, without a download.

   cc -O2 -fopenmp examples/mosaic_demo.c -o mosaic_demo

   ./mosaic_demo demo          writes demo/tiles/0000.jpg ... 0999.jpg and demo/clip/frame_0001.png ... frame_0024.png

   A thousand small procedural photographs and a clip of 24 frames (640 x 360, one cut), the same on every machine.
   Needs stb (libstb-dev) and nothing else; -fopenmp only makes it faster. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "util/options.h"
#include "util/procedural.h"
#include "util/whole_file.h"
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#if defined(__GNUC__) || defined(__clang__)
#define STBIWDEF __attribute__((unused)) static
#endif
#include <stb/stb_image_write.h>

enum { CLIP_WIDTH = 640, CLIP_HEIGHT = 360, QUALITY = 92, LINE = PATH_MAX + 512 };

static void to_file(void *file, void *data, int size) { fwrite(data, 1, (size_t)size, (FILE *)file); }

/* 0, or -1 with a line in err. An existing folder is used as it is. */
static int make_folder(const char *path, char *err, size_t err_size)
{
    struct stat st;
    if (!mkdir(path, 0777) || (errno == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode))) return 0;
    if (errno == EEXIST)
        snprintf(err, err_size, "%s: is no folder; choose another place", path);
    else
        whole_file_refused(path, err, err_size);
    return -1;
}

/* Paints and writes one photograph (index < photos) or one frame of the clip. 0, or -1 with a line in err. */
static int write_one(const char *folder, int index, int photos, int size, char *err, size_t err_size)
{
    const int frame = index - photos, width = frame < 0 ? size : CLIP_WIDTH, height = frame < 0 ? size : CLIP_HEIGHT;
    unsigned char *rgb = (unsigned char *)malloc((size_t)width * (size_t)height * 3);
    char path[PATH_MAX];
    whole_file w;
    FILE *f;
    int done, length = frame < 0 ? snprintf(path, sizeof path, "%s/tiles/%04d.jpg", folder, index)
                                 : snprintf(path, sizeof path, "%s/clip/frame_%04d.png", folder, frame + 1);
    done = rgb && (frame < 0 ? procedural_photo(index, width, height, rgb) : procedural_frame(frame, width, height, rgb));
    if (!done || length >= (int)sizeof path) {
        snprintf(err, err_size, done ? "%.200s...: the name is too long" : "%.200s: out of memory", folder);
        free(rgb);
        return -1;
    }
    f = whole_file_open(&w, path, err, err_size);
    if (f) {
        done = frame < 0 ? stbi_write_jpg_to_func(to_file, f, width, height, 3, rgb, QUALITY)
                         : stbi_write_png_to_func(to_file, f, width, height, 3, rgb, 3 * width);
        if (!done) snprintf(err, err_size, "%s: out of memory", path);
        if (whole_file_close(&w, f, done, err, err_size)) done = 0;
    }
    free(rgb);
    return f && done ? 0 : -1;
}

static int say(int status, const char *line)
{
    fprintf(stderr, "mosaic_demo: %s\n", line);
    return status;
}

int main(int argc, char **argv)
{
    static const char usage[] = "mosaic_demo OUT_DIR [--photos N] [--size PX]";
    const char *const folder = argc > 1 && options_is_value(argv[1]) ? argv[1] : NULL;
    int photos = PROCEDURAL_PHOTOS, size = 96, help = 0, failed = 0, i;
    char err[LINE], path[PATH_MAX];
    const option table[] = {
        {"--photos", "N", OPTION_INT, &photos, 1, PROCEDURAL_PHOTOS, NULL, "how many photographs (1000)"},
        {"--size", "PX", OPTION_INT, &size, 1, 4096, NULL, "width and height of a photograph (96)"},
        {"--help", NULL, OPTION_FLAG, &help, 0, 0, NULL, "this text"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, NULL},
    };
    if (options_parse(table, folder ? argc - 1 : argc, folder ? argv + 1 : argv, err, sizeof err)) return say(2, err);
    if (help) {
        printf("%s\n\nWrites OUT_DIR/tiles/0000.jpg ... and OUT_DIR/clip/frame_0001.png ..., painted by code.\n\n", usage);
        options_help(table, stdout);
        return 0;
    }
    if (!folder || !*folder) {
        snprintf(err, sizeof err, "no folder to write to; use: %s", usage);
        return say(2, err);
    }
    if (strlen(folder) > sizeof path - 32) return say(1, "the name of the folder is too long; choose another place");
    if (make_folder(folder, err, sizeof err)) return say(1, err);
    for (i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, i ? "clip" : "tiles");
        if (make_folder(path, err, sizeof err)) return say(1, err);
    }
    /* The frames take longest: they come first, so that no thread is left alone with them at the end. */
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
    for (i = photos + PROCEDURAL_FRAMES - 1; i >= 0; i--) {
        char line[LINE];
        if (!write_one(folder, i, photos, size, line, sizeof line)) continue;
#ifdef _OPENMP
#pragma omp critical
#endif
        if (!failed++) snprintf(err, sizeof err, "%s", line);
    }
    return failed ? say(1, err) : 0;
}
