/* mosaic_mem_demo.c - a camera goes round a small scene and back; what it remembers of it.

   cc -O2 examples/mosaic_mem_demo.c $(pkg-config --cflags --libs libcjson) -lm -o mosaic_mem_demo

   ./mosaic_mem_demo demo --output DIR [--num-frames 16] [--width 64] [--height 64]   frames, coverage pictures, trajectory, points, store
   ./mosaic_mem_demo inspect DIR/memory.mosaicmem                                     what a store holds
   ./mosaic_mem_demo export DIR/memory.mosaicmem points.ply                           the centres of its patches as a point cloud
   ./mosaic_mem_demo edit DIR/memory.mosaicmem OUT erase X Y Z RADIUS                 or: translate X Y Z | flip | splice OTHER X Y Z
   ./mosaic_mem_demo bench [PATCHES]                                                  insertions and queries a second, bytes a patch

   The scene, a ground and a ball with painted squares, is drawn here with its true depth: nothing is estimated or generated. */
#define _POSIX_C_SOURCE 200809L
#define MOSAIC_MEM_IMPLEMENTATION
#include "../mosaic_mem.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { DONE = 0, FAILED = 1, MISUSED = 2 };
enum { CELL = 4 }; /* pixels of a token */

static int usage(void)
{
    fprintf(stderr,
            "usage: mosaic_mem_demo demo --output DIR [--num-frames N] [--width W] [--height H] | inspect STORE | export STORE PLY | edit STORE OUT "
            "erase X Y Z RADIUS | translate X Y Z | flip | splice OTHER X Y Z | bench [PATCHES]\n");
    return MISUSED;
}

static int failed(const char *what, const char *why)
{
    fprintf(stderr, "mosaic_mem_demo: %s: %s\n", what, why);
    return FAILED;
}

static void *need(void *memory)
{
    if (memory) return memory;
    fprintf(stderr, "mosaic_mem_demo: out of memory\n");
    exit(FAILED);
}

/* One pixel of the scene: its colour, and its depth, 0 for the sky. */
static float scene(const mosaic_mem_view *view, int x, int y, float rgb[3])
{
    const double ray[3] = {(x + 0.5 - view->camera.cx) / view->camera.fx, (y + 0.5 - view->camera.cy) / view->camera.fy, 1};
    const double *c = view->pose.centre, *r = view->pose.rotation;
    double d[3], dd, b, q, depth = 0, p[3];
    int i, squares;
    for (i = 0; i < 3; i++) d[i] = r[i] * ray[0] + r[3 + i] * ray[1] + r[6 + i] * ray[2];
    rgb[0] = 0.5f, rgb[1] = 0.7f, rgb[2] = 0.9f;
    dd = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
    b = c[0] * d[0] + c[1] * d[1] + c[2] * d[2];
    q = b * b - dd * (c[0] * c[0] + c[1] * c[1] + c[2] * c[2] - 1);
    if (q > 0 && -b - sqrt(q) > 0) depth = (-b - sqrt(q)) / dd; /* the ball, of radius 1 about the origin */
    if (d[1] < 0 && (c[1] + 1) / -d[1] < 30 && (depth == 0 || (c[1] + 1) / -d[1] < depth)) depth = (c[1] + 1) / -d[1]; /* the ground, at y = -1 */
    if (depth == 0) return 0;
    for (i = 0; i < 3; i++) p[i] = c[i] + depth * d[i];
    squares = (int)floor(p[0] * 2) + (int)floor(p[2] * 2) + (int)floor(p[1] * 2 + 0.5);
    for (i = 0; i < 3; i++) rgb[i] = (float)(0.5 + 0.4 * sin(p[i] * (1 + i)) * (squares & 1 ? 1 : -1));
    return (float)depth;
}

static int open_file(FILE **file, const char *folder, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
    *file = fopen(path, "wb");
    return *file ? DONE : failed(path, strerror(errno));
}

static int write_ppm(const char *folder, const char *name, int width, int height, const float *rgb)
{
    FILE *file;
    int i;
    if (open_file(&file, folder, name)) return FAILED;
    fprintf(file, "P6\n%d %d\n255\n", width, height);
    for (i = 0; i < width * height * 3; i++) fputc(rgb[i] <= 0 ? 0 : rgb[i] >= 1 ? 255 : (int)(rgb[i] * 255 + 0.5f), file);
    return fclose(file) ? failed(name, strerror(errno)) : DONE;
}

static int write_bytes(void *ctx, const void *bytes, size_t size) { return fwrite(bytes, 1, size, (FILE *)ctx) != size; }

static int save(const mosaic_mem *m, const char *folder, const char *name)
{
    FILE *file;
    mosaic_mem_result result;
    if (open_file(&file, folder, name)) return FAILED;
    result = mosaic_mem_save(m, write_bytes, file);
    if (fclose(file)) return failed(name, strerror(errno));
    return result == MOSAIC_MEM_OK ? DONE : failed(name, mosaic_mem_result_string(result));
}

static mosaic_mem *load(const char *path)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    size_t size = 0, room = 0, got;
    mosaic_mem *m = NULL;
    mosaic_mem_result result;
    if (!file) {
        failed(path, strerror(errno));
        return NULL;
    }
    do {
        if (size == room) bytes = (unsigned char *)need(realloc(bytes, room = room ? 2 * room : 1 << 16));
        size += got = fread(bytes + size, 1, room - size, file);
    } while (got);
    if (ferror(file)) {
        failed(path, strerror(errno));
    } else {
        result = mosaic_mem_load(bytes, size, NULL, &m);
        if (result != MOSAIC_MEM_OK) failed(path, mosaic_mem_result_string(result));
    }
    fclose(file);
    free(bytes);
    return m;
}

/* The centres, with normals and, where there are three numbers to a token, the colour of the first. */
static int write_ply(const mosaic_mem *m, const char *folder, const char *name)
{
    FILE *file;
    float *values = (float *)need(malloc(256 * 4096 * sizeof *values));
    mosaic_mem_info info;
    uint64_t id = 0;
    if (open_file(&file, folder, name)) return FAILED;
    fprintf(file, "ply\nformat ascii 1.0\nelement vertex %zu\nproperty float x\nproperty float y\nproperty float z\n", mosaic_mem_count(m));
    fprintf(file,
            "property uchar red\nproperty uchar green\nproperty uchar blue\nproperty float nx\nproperty float ny\nproperty float nz\nend_header\n");
    while ((id = mosaic_mem_next(m, id)) != 0) {
        int i, rgb[3];
        values[0] = values[1] = values[2] = 0.5f;
        if (mosaic_mem_describe(m, id, &info) != MOSAIC_MEM_OK || mosaic_mem_read(m, id, values, NULL, NULL) != MOSAIC_MEM_OK) break;
        for (i = 0; i < 3; i++) rgb[i] = values[i] <= 0 ? 0 : values[i] >= 1 ? 255 : (int)(values[i] * 255 + 0.5f);
        fprintf(file, "%.9g %.9g %.9g %d %d %d %.9g %.9g %.9g\n", info.centre[0], info.centre[1], info.centre[2], rgb[0], rgb[1], rgb[2],
                info.normal[0], info.normal[1], info.normal[2]);
    }
    free(values);
    return fclose(file) ? failed(name, strerror(errno)) : DONE;
}

static int write_trajectory(const mosaic_mem_moment *path, int count, const mosaic_mem_camera *camera, const char *folder)
{
    static const char *const names[7] = {"tx", "ty", "tz", "qx", "qy", "qz", "qw"};
    cJSON *root = cJSON_CreateObject(), *poses = cJSON_AddArrayToObject(root, "poses"), *k = cJSON_AddObjectToObject(root, "intrinsics");
    FILE *file;
    char *text;
    int i, j;
    cJSON_AddNumberToObject(root, "version", 1);
    cJSON_AddStringToObject(root, "convention", "opencv");
    cJSON_AddNumberToObject(k, "fx", camera->fx);
    cJSON_AddNumberToObject(k, "fy", camera->fy);
    cJSON_AddNumberToObject(k, "cx", camera->cx);
    cJSON_AddNumberToObject(k, "cy", camera->cy);
    cJSON_AddNumberToObject(k, "width", camera->width);
    cJSON_AddNumberToObject(k, "height", camera->height);
    for (i = 0; i < count; i++) {
        cJSON *pose = cJSON_CreateObject(), *w2c;
        double v[7];
        cJSON_AddItemToArray(poses, pose);
        cJSON_AddNumberToObject(pose, "timestamp", path[i].time);
        w2c = cJSON_AddObjectToObject(pose, "world_to_camera");
        mosaic_mem_pose_to_w2c(&path[i].pose, v + 3, v);
        for (j = 0; j < 7; j++) cJSON_AddNumberToObject(w2c, names[j], v[j]);
    }
    text = (char *)need(cJSON_Print(root));
    cJSON_Delete(root);
    if (open_file(&file, folder, "trajectory.json")) return FAILED;
    fprintf(file, "%s\n", text);
    free(text);
    return fclose(file) ? failed("trajectory.json", strerror(errno)) : DONE;
}

/* Out on an orbit and back on it: keyframes are remembered; each frame is first composed from what was there before it. */
static int demo(const char *folder, int frames, int width, int height)
{
    static const double origin[3] = {0, 0, 0};
    const int cols = (width + CELL - 1) / CELL, rows = (height + CELL - 1) / CELL, cells = cols * rows;
    mosaic_mem_moment *path = (mosaic_mem_moment *)need(malloc((size_t)frames * sizeof *path));
    float *rgb = (float *)need(malloc((size_t)(width * height) * 3 * sizeof *rgb)),
          *depth = (float *)need(malloc((size_t)(width * height) * sizeof *depth));
    float *tokens = (float *)need(malloc((size_t)cells * 3 * sizeof *tokens)), *seen = (float *)need(malloc((size_t)cells * 3 * sizeof *seen));
    uint8_t *mask = (uint8_t *)need(malloc((size_t)cells));
    mosaic_mem_hit *hits = (mosaic_mem_hit *)need(malloc((size_t)cells * sizeof *hits));
    size_t *keys = (size_t *)need(malloc((size_t)frames * sizeof *keys)), key_count, next = 0, found, covered;
    mosaic_mem_options options;
    mosaic_mem_keyframe key;
    mosaic_mem_canvas canvas;
    mosaic_mem *m;
    mosaic_mem_result result;
    int i, j, c, status = DONE;
    if (mkdir(folder, 0777) && errno != EEXIST) return failed(folder, strerror(errno));
    memset(&options, 0, sizeof options);
    memset(&key, 0, sizeof key);
    memset(&canvas, 0, sizeof canvas);
    options.channels = 3;
    result = mosaic_mem_open(&options, &m);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem_orbit(origin, 5, 1, 0.5, 30, path, (size_t)((frames + 1) / 2));
    for (i = (frames + 1) / 2; i < frames; i++) path[i].pose = path[frames - 1 - i].pose, path[i].time = i / 30.0;
    if (result == MOSAIC_MEM_OK) result = mosaic_mem_keyframes(path, (size_t)frames, NULL, keys, (size_t)frames, &key_count);
    key.view.camera = mosaic_mem_camera_default(width, height);
    key.cols = cols, key.rows = rows, key.values = tokens, key.value_count = (size_t)cells * 3, key.depth = depth;
    canvas.width = cols, canvas.height = rows, canvas.mask = mask, canvas.values = seen;
    for (i = 0; i < frames && result == MOSAIC_MEM_OK && status == DONE; i++) {
        char name[64];
        key.view.pose = path[i].pose, key.view.time = path[i].time, key.frame = (uint64_t)i;
        for (j = 0; j < width * height; j++) depth[j] = scene(&key.view, j % width, j / width, rgb + 3 * j);
        for (j = 0; j < cells; j++) {
            const int x = j % cols * CELL + CELL / 2, y = j / cols * CELL + CELL / 2;
            memcpy(tokens + 3 * j, rgb + 3 * ((y < height ? y : height - 1) * width + (x < width ? x : width - 1)), 3 * sizeof *rgb);
        }
        result = mosaic_mem_query(m, &key.view, NULL, NULL, hits, (size_t)cells, &found, NULL);
        memset(seen, 0, (size_t)cells * 3 * sizeof *seen);
        if (result == MOSAIC_MEM_OK) result = mosaic_mem_compose(m, &key.view, hits, found, NULL, &canvas, &covered);
        if (result == MOSAIC_MEM_OK && next < key_count && keys[next] == (size_t)i) result = mosaic_mem_insert(m, &key, NULL), next++;
        snprintf(name, sizeof name, "frame_%04d.ppm", i);
        status = write_ppm(folder, name, width, height, rgb);
        snprintf(name, sizeof name, "memory_%04d.ppm", i);
        if (status == DONE) status = write_ppm(folder, name, cols, rows, seen);
        for (j = 0; j < cells; j++)
            for (c = 0; c < 3; c++) seen[3 * j + c] = mask[j] == MOSAIC_MEM_SEEN || (mask[j] == MOSAIC_MEM_CONTESTED && c == 0) ? 1.0f : 0.0f;
        snprintf(name, sizeof name, "coverage_%04d.ppm", i);
        if (status == DONE) status = write_ppm(folder, name, cols, rows, seen);
        if (result == MOSAIC_MEM_OK)
            printf("frame %d: %zu patches, %zu of %d cells remembered, %zu patches in the store\n", i, found, covered, cells, mosaic_mem_count(m));
    }
    if (result != MOSAIC_MEM_OK) status = failed("demo", mosaic_mem_result_string(result));
    if (status == DONE) status = write_trajectory(path, frames, &key.view.camera, folder);
    if (status == DONE) status = write_ply(m, folder, "points.ply");
    if (status == DONE) status = save(m, folder, "memory.mosaicmem");
    mosaic_mem_close(m);
    free(path), free(rgb), free(depth), free(tokens), free(seen), free(mask), free(hits), free(keys);
    return status;
}

static int inspect(const char *path)
{
    mosaic_mem *m = load(path);
    mosaic_mem_info info;
    double low[3] = {0, 0, 0}, high[3] = {0, 0, 0}, merged = 0;
    uint64_t id = 0;
    int i, first = 1;
    if (!m) return FAILED;
    while ((id = mosaic_mem_next(m, id)) != 0 && mosaic_mem_describe(m, id, &info) == MOSAIC_MEM_OK) {
        for (i = 0; i < 3; i++) {
            if (first || info.centre[i] < low[i]) low[i] = info.centre[i];
            if (first || info.centre[i] > high[i]) high[i] = info.centre[i];
        }
        merged += info.hits;
        first = 0;
    }
    printf("%zu patches in %zu bytes, %.0f hits, x %.3f ... %.3f, y %.3f ... %.3f, z %.3f ... %.3f\n", mosaic_mem_count(m), mosaic_mem_bytes(m),
           merged, low[0], high[0], low[1], high[1], low[2], high[2]);
    mosaic_mem_close(m);
    return DONE;
}

static int edit(int argc, char **argv)
{
    const char *what = argv[2];
    mosaic_mem *m = load(argv[0]), *other = NULL;
    mosaic_mem_region ball;
    mosaic_mem_result result = MOSAIC_MEM_OK;
    double affine[12];
    size_t affected = 0;
    int i, status;
    if (!m) return FAILED;
    memset(&ball, 0, sizeof ball);
    if (!strcmp(what, "erase") && argc == 7) {
        ball.shape = MOSAIC_MEM_BALL;
        for (i = 0; i < 3; i++) ball.centre[i] = atof(argv[3 + i]);
        ball.radius = atof(argv[6]);
        result = mosaic_mem_erase(m, &ball, &affected);
    } else if (!strcmp(what, "translate") && argc == 6) {
        mosaic_mem_affine_shift(atof(argv[3]), atof(argv[4]), atof(argv[5]), affine);
        result = mosaic_mem_transform(m, NULL, affine, &affected);
    } else if (!strcmp(what, "flip") && argc == 3) {
        static const double point[3] = {0, 0, 0}, up[3] = {0, 1, 0};
        mosaic_mem_affine_mirror(point, up, affine);
        result = mosaic_mem_transform(m, NULL, affine, &affected);
    } else if (!strcmp(what, "splice") && argc == 7) {
        other = load(argv[3]);
        mosaic_mem_affine_shift(atof(argv[4]), atof(argv[5]), atof(argv[6]), affine);
        if (other) result = mosaic_mem_splice(m, other, NULL, affine, &affected);
        mosaic_mem_close(other);
        if (!other) {
            mosaic_mem_close(m);
            return FAILED;
        }
    } else {
        mosaic_mem_close(m);
        return usage();
    }
    status = result == MOSAIC_MEM_OK ? save(m, "", argv[1]) : failed(what, mosaic_mem_result_string(result));
    if (status == DONE) printf("%s: %zu patches; %zu in the store\n", what, affected, mosaic_mem_count(m));
    mosaic_mem_close(m);
    return status;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void somewhere(mosaic_mem_pose *pose, double side, uint32_t *r)
{
    double eye[3] = {0, 0, 0}, target[3];
    int k;
    for (k = 0; k < 3; k += 2) eye[k] = side * ((*r = *r * 1664525u + 1013904223u) / 4294967296.0);
    for (k = 0; k < 3; k++) target[k] = eye[k] + (k == 1 ? 0.2 : 1) * ((*r = *r * 1664525u + 1013904223u) / 4294967296.0 - 0.5);
    mosaic_mem_look_at(eye, target, NULL, pose);
}

/* Walls some 5 units off, seen from random places of a plain that grows with their number: what one view sees stays alike. */
static int bench(size_t patches)
{
    enum { SIDE = 256, TOKENS = 32, CHANNELS = 16, ROUNDS = 400 };
    static float depth[SIDE * SIDE], values[TOKENS * TOKENS * CHANNELS];
    static double taken[ROUNDS];
    mosaic_mem_hit hits[64];
    mosaic_mem_options options;
    mosaic_mem_query_options query;
    mosaic_mem_keyframe key;
    mosaic_mem_scratch scratch;
    mosaic_mem *m;
    const double side = sqrt((double)patches / 64);
    const double raw = 58 + 4 * (4 + 4.0 * CHANNELS); /* a record, depths and numbers */
    double seconds = 0, start;
    size_t found, candidates, all = 0;
    uint32_t r = 1;
    int i;
    memset(&options, 0, sizeof options);
    memset(&query, 0, sizeof query);
    memset(&key, 0, sizeof key);
    memset(&scratch, 0, sizeof scratch);
    options.channels = CHANNELS;
    options.merge_distance = -1;
    query.farthest = 8;
    for (i = 0; i < SIDE * SIDE; i++) depth[i] = 5 + (float)(i % SIDE) / SIDE;
    for (i = 0; i < TOKENS * TOKENS * CHANNELS; i++) values[i] = (float)(i % 97);
    if (mosaic_mem_open(&options, &m) != MOSAIC_MEM_OK) return failed("bench", "out of memory");
    key.view.camera = mosaic_mem_camera_default(SIDE, SIDE);
    key.cols = key.rows = TOKENS, key.values = values, key.value_count = TOKENS * TOKENS * CHANNELS, key.depth = depth;
    while (mosaic_mem_count(m) < patches) {
        somewhere(&key.view.pose, side, &r);
        start = now();
        if (mosaic_mem_insert(m, &key, NULL) != MOSAIC_MEM_OK) return failed("bench", "out of memory");
        seconds += now() - start;
    }
    for (i = 0; i < ROUNDS; i++) {
        somewhere(&key.view.pose, side, &r);
        start = now();
        mosaic_mem_query(m, &key.view, &query, &scratch, hits, 64, &found, &candidates);
        taken[i] = now() - start;
        all += candidates;
    }
    qsort(taken, ROUNDS, sizeof *taken, ascending);
    printf("{\"patches\":%zu,\"insert_per_s\":%.0f,\"bytes_per_patch\":%.1f,\"times_raw\":%.3f,\"candidates\":%zu,\"query_p50_ms\":%.3f,\"query_p99_"
           "ms\":%.3f}\n",
           mosaic_mem_count(m), (double)mosaic_mem_count(m) / seconds, (double)mosaic_mem_bytes(m) / (double)mosaic_mem_count(m),
           (double)mosaic_mem_bytes(m) / (double)mosaic_mem_count(m) / raw, all / ROUNDS, taken[ROUNDS / 2] * 1e3, taken[ROUNDS * 99 / 100] * 1e3);
    mosaic_mem_scratch_free(&scratch);
    mosaic_mem_close(m);
    return DONE;
}

int main(int argc, char **argv)
{
    const char *folder = NULL;
    int frames = 16, width = 64, height = 64, i;
    if (argc >= 2 && !strcmp(argv[1], "inspect") && argc == 3) return inspect(argv[2]);
    if (argc >= 2 && !strcmp(argv[1], "bench") && argc <= 3) return bench(argc == 3 ? (size_t)atof(argv[2]) : 100000);
    if (argc >= 5 && !strcmp(argv[1], "edit")) return edit(argc - 2, argv + 2);
    if (argc == 4 && !strcmp(argv[1], "export")) {
        mosaic_mem *m = load(argv[2]);
        const int status = m ? write_ply(m, "", argv[3]) : FAILED;
        mosaic_mem_close(m);
        return status;
    }
    if (argc < 2 || strcmp(argv[1], "demo")) return usage();
    for (i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--output"))
            folder = argv[i + 1];
        else if (!strcmp(argv[i], "--num-frames"))
            frames = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--width"))
            width = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--height"))
            height = atoi(argv[i + 1]);
        else
            return usage();
    }
    if (i != argc || !folder || frames < 2 || frames > 9999 || width < 8 || height < 8 || width > 4096 || height > 4096) return usage();
    return demo(folder, frames, width, height);
}
