/* mosaic_mem_demo.c - a camera goes round a small scene and back; what it remembers of it.

   cc -O2 examples/mosaic_mem_demo.c $(pkg-config --cflags --libs libcjson) -lm -o mosaic_mem_demo

   ./mosaic_mem_demo demo --output DIR [--num-frames 16] [--width 64] [--height 64] [--steps 5] [--window 4] [--overlap 1] [--seed 42]
                          [--trajectory FILE]                         frames, what memory shows of each, coverage, trajectory, points, store
   ./mosaic_mem_demo inspect FILE                                     what a store, a PLY file or a trajectory holds
   ./mosaic_mem_demo export DIR/memory.mosaicmem points.ply           the centres of its patches as a cloud; or a PLY file, in binary
   ./mosaic_mem_demo export DIR/memory.mosaicmem store.json           all of it (examples/util/store_json.h); to .mosaicmem, the way back
   ./mosaic_mem_demo edit DIR/memory.mosaicmem OUT erase X Y Z RADIUS or: translate X Y Z | flip | splice OTHER X Y Z
   ./mosaic_mem_demo bench [PATCHES]                                  insertions and queries a second, bytes a patch; the same for points

   The scene, a ground and a ball with painted squares, is drawn here. What stands for the learned models of a generator is synthetic and named so: its
   depth is the true one, and its backbone draws what memory shows, elsewhere the scene in a tint that each window makes up for itself. A trajectory
   is JSON or TUM (examples/util/trajectory.h); its camera, where it has one, is scaled to the size asked for. */
#define _POSIX_C_SOURCE 200809L
#define MOSAIC_MEM_IMPLEMENTATION
#include "../mosaic_mem.h"

#include "util/ply.h"
#include "util/read_file.h"
#include "util/store_json.h"
#include "util/trajectory.h"

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
            "usage: mosaic_mem_demo demo --output DIR [--num-frames N] [--width W] [--height H] [--steps N] [--window N] [--overlap N] [--seed N] "
            "[--trajectory FILE] | inspect FILE | export STORE|PLY PLY|JSON|MOSAICMEM | edit STORE OUT erase X Y Z RADIUS | translate X Y Z | flip | "
            "splice "
            "OTHER X Y Z | bench [PATCHES]\n");
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

/* The scene at a place of the picture: its colour, and its depth, 0 for the sky. */
static float scene(const mosaic_mem_view *view, double x, double y, float rgb[3])
{
    const double ray[3] = {(x - view->camera.cx) / view->camera.fx, (y - view->camera.cy) / view->camera.fy, 1};
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

/* The bytes of a file, up to 4 GB; null when there are none, and it was said why. */
static unsigned char *bytes_of(const char *path, size_t *size)
{
    char err[PATH_MAX + 256];
    unsigned char *bytes = read_file(path, (size_t)-1 >> 1 < 4294967295u ? (size_t)-1 >> 1 : 4294967295u, size, err, sizeof err);
    if (!bytes) fprintf(stderr, "mosaic_mem_demo: %s\n", err);
    return bytes;
}

/* The store in the bytes of a file, which may be JSON; null when there is none, with the reason in err. *other: it does not say to be one. */
static mosaic_mem *store_of(const unsigned char *bytes, size_t size, int *other, char *err, size_t err_size)
{
    mosaic_mem *m = NULL;
    mosaic_mem_result result = mosaic_mem_load(bytes, size, NULL, &m);
    *other = result == MOSAIC_MEM_ERROR_CORRUPT && (size < 8 || memcmp(bytes, "MOSAICMM", 8));
    if (*other && size && bytes[0] == '{') {
        size_t made;
        int is_store;
        uint8_t *binary = store_read_json(bytes, size, &made, &is_store, err, err_size);
        *other = !is_store;
        if (!binary) return NULL;
        result = mosaic_mem_load(binary, made, NULL, &m);
        free(binary);
    }
    if (result != MOSAIC_MEM_OK) snprintf(err, err_size, "%s", mosaic_mem_result_string(result));
    return m;
}

static mosaic_mem *load(const char *path)
{
    size_t size;
    int other;
    char err[256];
    unsigned char *bytes = bytes_of(path, &size);
    mosaic_mem *m;
    if (!bytes) return NULL;
    m = store_of(bytes, size, &other, err, sizeof err);
    if (!m) failed(path, err);
    free(bytes);
    return m;
}

static mosaic_mem_cloud *need_cloud(double voxel)
{
    mosaic_mem_cloud_options options;
    mosaic_mem_cloud *cloud = NULL;
    memset(&options, 0, sizeof options);
    options.voxel = voxel;
    mosaic_mem_cloud_open(&options, &cloud);
    return (mosaic_mem_cloud *)need(cloud);
}

static int write_ply(const mosaic_mem_cloud *cloud, const char *folder, const char *name, int binary)
{
    FILE *file;
    int bad;
    if (open_file(&file, folder, name)) return FAILED;
    bad = ply_write(file, cloud, binary);
    return fclose(file) || bad ? failed(name, strerror(errno)) : DONE;
}

/* The centres of a store's patches, with normals and, where there are three numbers to a token, the colour of the first. */
static mosaic_mem_cloud *centres_of(const mosaic_mem *m)
{
    mosaic_mem_cloud *cloud = need_cloud(1e-6); /* none are joined */
    float *values = (float *)need(malloc(256 * 4096 * sizeof *values));
    mosaic_mem_info info;
    uint64_t id = 0;
    while ((id = mosaic_mem_next(m, id)) != 0) {
        mosaic_mem_point p;
        int i;
        memset(&p, 0, sizeof p);
        values[0] = values[1] = values[2] = 0.5f;
        if (mosaic_mem_describe(m, id, &info) != MOSAIC_MEM_OK || mosaic_mem_read(m, id, values, NULL, NULL) != MOSAIC_MEM_OK) break;
        for (i = 0; i < 3; i++) {
            p.position[i] = (float)info.centre[i], p.normal[i] = (float)info.normal[i];
            p.rgb[i] = (uint8_t)(values[i] <= 0 ? 0 : values[i] >= 1 ? 255 : (int)(values[i] * 255 + 0.5f));
        }
        p.weight = info.hits + 1;
        p.time = info.time;
        if (mosaic_mem_cloud_add(cloud, &p, 1, NULL) != MOSAIC_MEM_OK) need(NULL);
    }
    free(values);
    return cloud;
}

static mosaic_mem_cloud *cloud_of(const unsigned char *bytes, size_t size, const char *path)
{
    mosaic_mem_cloud *cloud;
    mosaic_mem_point *points;
    char err[256];
    size_t count;
    if (ply_read(bytes, size, &points, &count, err, sizeof err)) {
        failed(path, err);
        return NULL;
    }
    cloud = need_cloud(1e-6);
    if (mosaic_mem_cloud_add(cloud, points, count, NULL) != MOSAIC_MEM_OK) need(NULL);
    free(points);
    return cloud;
}

static int is_ply(const unsigned char *bytes, size_t size) { return size >= 4 && !memcmp(bytes, "ply", 3) && bytes[3] <= '\r'; }

typedef struct growing {
    uint8_t *bytes;
    size_t size;
} growing;

static int append(void *ctx, const void *bytes, size_t size)
{
    growing *g = (growing *)ctx;
    uint8_t *more = (uint8_t *)realloc(g->bytes, g->size + size);
    if (!more) return 1;
    memcpy(more + g->size, bytes, size);
    g->bytes = more;
    g->size += size;
    return 0;
}

static int write_json(const mosaic_mem *m, const char *name)
{
    growing g = {NULL, 0};
    FILE *file;
    int bad;
    if (mosaic_mem_save(m, append, &g) != MOSAIC_MEM_OK) need(NULL);
    if (open_file(&file, "", name)) {
        free(g.bytes);
        return FAILED;
    }
    bad = store_write_json(file, g.bytes);
    free(g.bytes);
    return fclose(file) || bad ? failed(name, strerror(errno)) : DONE;
}

static int ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), e = strlen(end);
    return n >= e && !strcmp(name + n - e, end);
}

static int export(const char *from, const char *to)
{
    size_t size;
    unsigned char *bytes = bytes_of(from, &size);
    mosaic_mem *m = NULL;
    mosaic_mem_cloud *cloud = NULL;
    char err[256];
    int status = FAILED, binary, other;
    if (!bytes) return FAILED;
    binary = is_ply(bytes, size);
    if (binary)
        cloud = cloud_of(bytes, size, from);
    else if ((m = store_of(bytes, size, &other, err, sizeof err)) == NULL)
        failed(from, err);
    else if (ends_with(to, ".json"))
        status = write_json(m, to);
    else if (ends_with(to, ".mosaicmem"))
        status = save(m, "", to);
    else
        cloud = centres_of(m);
    if (cloud) status = write_ply(cloud, "", to, binary);
    mosaic_mem_cloud_close(cloud);
    mosaic_mem_close(m);
    free(bytes);
    return status;
}

/* ---- the synthetic backend: what stands for learned models ---- */

typedef struct synthetic {
    const char *folder;
    mosaic_mem *memory;
    int width, height, cols, rows;
    double *kept;
    float *seen; /* what memory shows of a frame */
    uint8_t *mask;
    mosaic_mem_hit *hits;
} synthetic;

static int synthetic_encode(void *ctx, const float *frames, int count, float *latents)
{
    const synthetic *s = (const synthetic *)ctx;
    int f, i, c;
    for (f = 0; f < count; f++)
        for (i = 0; i < s->cols * s->rows; i++)
            for (c = 0; c < 3; c++) {
                const int x0 = i % s->cols * CELL, y0 = i / s->cols * CELL;
                const int x1 = x0 + CELL < s->width ? x0 + CELL : s->width, y1 = y0 + CELL < s->height ? y0 + CELL : s->height;
                double sum = 0;
                int x, y;
                for (y = y0; y < y1; y++)
                    for (x = x0; x < x1; x++)
                        sum += (double)frames[(((size_t)f * (size_t)s->height + (size_t)y) * (size_t)s->width + (size_t)x) * 3 + (size_t)c];
                *latents++ = (float)(sum / ((x1 - x0) * (y1 - y0)));
            }
    return 0;
}

static int synthetic_decode(void *ctx, const float *latents, int slices, float *frames, int count)
{
    const synthetic *s = (const synthetic *)ctx;
    int f, x, y, c;
    (void)slices;
    for (f = 0; f < count; f++)
        for (y = 0; y < s->height; y++)
            for (x = 0; x < s->width; x++)
                for (c = 0; c < 3; c++)
                    *frames++ = latents[(((size_t)f * (size_t)s->rows + (size_t)(y / CELL)) * (size_t)s->cols + (size_t)(x / CELL)) * 3 + (size_t)c];
    return 0;
}

static int synthetic_depth(void *ctx, const float *frame, const mosaic_mem_view *view, float *depth)
{
    const synthetic *s = (const synthetic *)ctx;
    float rgb[3];
    int i;
    (void)frame;
    for (i = 0; i < s->width * s->height; i++) depth[i] = scene(view, i % s->width + 0.5, i / s->width + 0.5, rgb);
    return 0;
}

/* The noise that leads to what memory shows, and to the tinted scene where it shows nothing. */
static int synthetic_backbone(void *ctx, const mosaic_mem_conditions *c, const float *x, float *predicted)
{
    const synthetic *s = (const synthetic *)ctx;
    const double kept = s->kept[c->time], tint = 0.15 * sin(2.4 * (double)c->window.first);
    int slice, i, k;
    for (slice = 0; slice < c->slices; slice++)
        for (i = 0; i < c->cols * c->rows; i++) {
            const size_t cell = (size_t)slice * (size_t)(c->cols * c->rows) + (size_t)i;
            float rgb[3];
            if (!c->mask[cell]) scene(&c->middle[slice], (i % c->cols + 0.5) * CELL, (i / c->cols + 0.5) * CELL, rgb);
            for (k = 0; k < 3; k++) {
                const double goal = c->mask[cell] ? (double)c->canvas[3 * cell + (size_t)k] : (double)rgb[k] + tint * (k - 1);
                predicted[3 * cell + (size_t)k] = (float)(((double)x[3 * cell + (size_t)k] - sqrt(kept) * goal) / sqrt(1 - kept));
            }
        }
    return 0;
}

/* A frame that is finished: its picture, what memory shows of it so far, and where. */
static int show(void *ctx, size_t index, const mosaic_mem_view *view, const float *rgb)
{
    synthetic *s = (synthetic *)ctx;
    const int cells = s->cols * s->rows;
    mosaic_mem_canvas canvas;
    size_t found, covered;
    char name[64];
    int j, c;
    memset(&canvas, 0, sizeof canvas);
    canvas.width = s->cols, canvas.height = s->rows, canvas.mask = s->mask, canvas.values = s->seen;
    memset(s->seen, 0, (size_t)cells * 3 * sizeof *s->seen);
    if (mosaic_mem_query(s->memory, view, NULL, NULL, s->hits, (size_t)cells, &found, NULL) != MOSAIC_MEM_OK ||
        mosaic_mem_compose(s->memory, view, s->hits, found, NULL, &canvas, &covered) != MOSAIC_MEM_OK)
        return failed("demo", "the store cannot be asked");
    snprintf(name, sizeof name, "frame_%04d.ppm", (int)index);
    if (write_ppm(s->folder, name, s->width, s->height, rgb)) return FAILED;
    snprintf(name, sizeof name, "memory_%04d.ppm", (int)index);
    if (write_ppm(s->folder, name, s->cols, s->rows, s->seen)) return FAILED;
    for (j = 0; j < cells; j++)
        for (c = 0; c < 3; c++) s->seen[3 * j + c] = s->mask[j] == MOSAIC_MEM_SEEN || (s->mask[j] == MOSAIC_MEM_CONTESTED && c == 0) ? 1.0f : 0.0f;
    snprintf(name, sizeof name, "coverage_%04d.ppm", (int)index);
    if (write_ppm(s->folder, name, s->cols, s->rows, s->seen)) return FAILED;
    printf("frame %d: %zu patches, %zu of %d cells remembered, %zu patches in the store\n", (int)index, found, covered, cells,
           mosaic_mem_count(s->memory));
    return DONE;
}

typedef struct demo_options {
    const char *folder, *trajectory;
    int frames, width, height, steps, window, overlap, seed;
} demo_options;

/* The views of the film: a file's, or out on an orbit and back on it. */
static int views_of(const demo_options *d, mosaic_mem_view **views, trajectory *t)
{
    static const double origin[3] = {0, 0, 0};
    mosaic_mem_camera camera = mosaic_mem_camera_default(d->width, d->height);
    size_t i;
    memset(t, 0, sizeof *t);
    if (d->trajectory) {
        char err[256];
        size_t size;
        unsigned char *bytes = bytes_of(d->trajectory, &size);
        if (!bytes) return FAILED;
        if (trajectory_read(bytes, size, t, err, sizeof err)) {
            free(bytes);
            return failed(d->trajectory, err);
        }
        free(bytes);
        if (t->camera.width) {
            const double x = d->width / (double)t->camera.width, y = d->height / (double)t->camera.height;
            camera.fx = t->camera.fx * x, camera.fy = t->camera.fy * y, camera.cx = t->camera.cx * x, camera.cy = t->camera.cy * y;
        }
    } else {
        t->count = (size_t)d->frames;
        t->moment = (mosaic_mem_moment *)need(calloc(t->count, sizeof *t->moment));
        if (mosaic_mem_orbit(origin, 5, 1, 0.5, 30, t->moment, (t->count + 1) / 2) != MOSAIC_MEM_OK) return failed("demo", "no orbit");
        for (i = (t->count + 1) / 2; i < t->count; i++) t->moment[i].pose = t->moment[t->count - 1 - i].pose, t->moment[i].time = (double)i / 30;
    }
    t->camera = camera;
    *views = (mosaic_mem_view *)need(calloc(t->count, sizeof **views));
    for (i = 0; i < t->count; i++) (*views)[i].pose = t->moment[i].pose, (*views)[i].time = t->moment[i].time, (*views)[i].camera = camera;
    return DONE;
}

static int demo(const demo_options *d)
{
    const int cols = (d->width + CELL - 1) / CELL, rows = (d->height + CELL - 1) / CELL;
    const size_t cells = (size_t)cols * (size_t)rows;
    mosaic_mem_options options;
    mosaic_mem_rollout r;
    mosaic_mem_rollout_stats stats;
    mosaic_mem_view *views = NULL;
    mosaic_mem_cloud *cloud;
    mosaic_mem_result result;
    trajectory path;
    synthetic s;
    FILE *file;
    int status = DONE;
    if (mkdir(d->folder, 0777) && errno != EEXIST) return failed(d->folder, strerror(errno));
    if (views_of(d, &views, &path)) return FAILED;
    memset(&options, 0, sizeof options);
    memset(&r, 0, sizeof r);
    memset(&s, 0, sizeof s);
    options.channels = 3;
    s.folder = d->folder, s.width = d->width, s.height = d->height, s.cols = cols, s.rows = rows;
    s.kept = (double *)need(malloc(1000 * sizeof *s.kept));
    s.seen = (float *)need(malloc(cells * 3 * sizeof *s.seen));
    s.mask = (uint8_t *)need(malloc(cells));
    s.hits = (mosaic_mem_hit *)need(malloc(cells * sizeof *s.hits));
    cloud = need_cloud(0.05);
    mosaic_mem_schedule_make(MOSAIC_MEM_SCHEDULE_LINEAR, 1000, 0, 0, s.kept);
    result = mosaic_mem_open(&options, &s.memory);
    r.views = views, r.frames = path.count, r.window = (size_t)d->window, r.overlap = (size_t)d->overlap, r.ratio = 1;
    r.cols = cols, r.rows = rows, r.channels = 3, r.steps = d->steps, r.eta = 1, r.seed = (uint64_t)d->seed, r.top = cells;
    r.memory = s.memory, r.cloud = cloud;
    r.models.ctx = &s, r.models.encode = synthetic_encode, r.models.decode = synthetic_decode, r.models.depth = synthetic_depth;
    r.models.backbone = synthetic_backbone;
    r.frame = show, r.frame_ctx = &s;
    if (result == MOSAIC_MEM_OK) result = mosaic_mem_roll_out(&r, &stats);
    if (result != MOSAIC_MEM_OK) status = result == MOSAIC_MEM_ERROR_CALLBACK ? FAILED : failed("demo", mosaic_mem_result_string(result));
    if (status == DONE)
        printf("%zu frames in %zu windows (synthetic models), %zu keyframes: %zu patches, %zu points; memory showed %.1f %% of what was made\n",
               stats.frames, stats.windows, stats.keyframes, mosaic_mem_count(s.memory), mosaic_mem_cloud_count(cloud),
               100.0 * (double)stats.seen / (double)stats.cells);
    if (status == DONE && (status = open_file(&file, d->folder, "trajectory.json")) == DONE) {
        const int bad = trajectory_write_json(file, &path);
        if (fclose(file) || bad) status = failed("trajectory.json", strerror(errno));
    }
    if (status == DONE) status = write_ply(cloud, d->folder, "points.ply", 0);
    if (status == DONE) status = save(s.memory, d->folder, "memory.mosaicmem");
    mosaic_mem_close(s.memory);
    mosaic_mem_cloud_close(cloud);
    free(views), free(path.moment), free(s.kept), free(s.seen), free(s.mask), free(s.hits);
    return status;
}

static int inspect(const char *path)
{
    size_t size;
    unsigned char *bytes = bytes_of(path, &size);
    mosaic_mem_cloud *cloud = NULL;
    mosaic_mem *m = NULL;
    trajectory t;
    double low[3] = {0, 0, 0}, high[3] = {0, 0, 0}, mean[3], merged = 0;
    uint64_t id = 0;
    char err[256], why[256];
    int status = FAILED, other;
    if (!bytes) return FAILED;
    if (is_ply(bytes, size)) {
        cloud = cloud_of(bytes, size, path);
        if (cloud) {
            mosaic_mem_cloud_bounds(cloud, low, high, mean);
            printf("%zu points", mosaic_mem_cloud_count(cloud));
            status = DONE;
        }
    } else if ((m = store_of(bytes, size, &other, err, sizeof err)) != NULL) {
        mosaic_mem_info info;
        while ((id = mosaic_mem_next(m, id)) != 0 && mosaic_mem_describe(m, id, &info) == MOSAIC_MEM_OK) merged += info.hits;
        cloud = centres_of(m);
        mosaic_mem_cloud_bounds(cloud, low, high, mean);
        printf("%zu patches in %zu bytes, %.0f hits", mosaic_mem_count(m), mosaic_mem_bytes(m), merged);
        status = DONE;
    } else if (other && trajectory_read(bytes, size, &t, why, sizeof why) == 0) {
        size_t *keys = (size_t *)need(malloc(t.count * sizeof *keys)), n = 0;
        mosaic_mem_keyframes(t.moment, t.count, NULL, keys, t.count, &n);
        printf("%zu poses, %zu keyframes, %.3f seconds, a way of %.6f\n", t.count, n, t.moment[t.count - 1].time - t.moment[0].time,
               mosaic_mem_path_length(t.moment, t.count));
        free(keys), free(t.moment), free(bytes);
        return DONE;
    } else {
        failed(path, err);
    }
    if (status == DONE) printf(", x %.3f ... %.3f, y %.3f ... %.3f, z %.3f ... %.3f\n", low[0], high[0], low[1], high[1], low[2], high[2]);
    mosaic_mem_close(m);
    mosaic_mem_cloud_close(cloud);
    free(bytes);
    return status;
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
    mosaic_mem_picture picture;
    mosaic_mem_cloud *cloud;
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
           "ms\":%.3f",
           mosaic_mem_count(m), (double)mosaic_mem_count(m) / seconds, (double)mosaic_mem_bytes(m) / (double)mosaic_mem_count(m),
           (double)mosaic_mem_bytes(m) / (double)mosaic_mem_count(m) / raw, all / ROUNDS, taken[ROUNDS / 2] * 1e3, taken[ROUNDS * 99 / 100] * 1e3);
    mosaic_mem_close(m);
    /* As many points, of the same pictures. */
    cloud = need_cloud(0.05);
    memset(&picture, 0, sizeof picture);
    picture.view.camera = key.view.camera, picture.depth = depth;
    for (r = 1, seconds = 0, all = 0; mosaic_mem_cloud_count(cloud) < patches;) {
        mosaic_mem_fuse_stats stats;
        somewhere(&picture.view.pose, side, &r);
        start = now();
        if (mosaic_mem_fuse(cloud, &picture, &stats) != MOSAIC_MEM_OK) return failed("bench", "out of memory");
        seconds += now() - start;
        all += stats.samples;
    }
    for (i = 0; i < ROUNDS; i++) {
        mosaic_mem_near near_by[16];
        somewhere(&picture.view.pose, side, &r);
        start = now();
        mosaic_mem_cloud_nearest(cloud, picture.view.pose.centre, &scratch, near_by, 16, &found);
        taken[i] = now() - start;
    }
    qsort(taken, ROUNDS, sizeof *taken, ascending);
    printf(",\"points\":%zu,\"fuse_per_s\":%.0f,\"bytes_per_point\":%.1f,\"nearest_p50_us\":%.1f}\n", mosaic_mem_cloud_count(cloud),
           (double)all / seconds, (double)mosaic_mem_cloud_bytes(cloud) / (double)mosaic_mem_cloud_count(cloud), taken[ROUNDS / 2] * 1e6);
    mosaic_mem_cloud_close(cloud);
    mosaic_mem_scratch_free(&scratch);
    return DONE;
}

int main(int argc, char **argv)
{
    demo_options d = {NULL, NULL, 16, 64, 64, 5, 4, 1, 42};
    const struct {
        const char *name;
        int *value;
    } numbers[7] = {{"--num-frames", &d.frames}, {"--width", &d.width},     {"--height", &d.height}, {"--steps", &d.steps},
                    {"--window", &d.window},     {"--overlap", &d.overlap}, {"--seed", &d.seed}};
    int i, j;
    if (argc >= 2 && !strcmp(argv[1], "inspect") && argc == 3) return inspect(argv[2]);
    if (argc >= 2 && !strcmp(argv[1], "bench") && argc <= 3) return bench(argc == 3 ? (size_t)atof(argv[2]) : 100000);
    if (argc >= 5 && !strcmp(argv[1], "edit")) return edit(argc - 2, argv + 2);
    if (argc == 4 && !strcmp(argv[1], "export")) return export(argv[2], argv[3]);
    if (argc < 2 || strcmp(argv[1], "demo")) return usage();
    for (i = 2; i + 1 < argc; i += 2) {
        char *rest;
        long value;
        if (!strcmp(argv[i], "--output")) {
            d.folder = argv[i + 1];
            continue;
        }
        if (!strcmp(argv[i], "--trajectory")) {
            d.trajectory = argv[i + 1];
            continue;
        }
        for (j = 0; j < 7 && strcmp(argv[i], numbers[j].name);) j++;
        value = strtol(argv[i + 1], &rest, 10);
        if (j == 7 || rest == argv[i + 1] || *rest || value < 0 || value > 1000000) return usage();
        *numbers[j].value = (int)value;
    }
    if (i != argc || !d.folder || d.frames < 2 || d.frames > 9999 || d.width < 8 || d.height < 8 || d.width > 4096 || d.height > 4096 ||
        d.steps < 1 || d.steps > 1000 || d.window < 1 || d.window > 64 || d.overlap >= d.window)
        return usage();
    return demo(&d);
}
