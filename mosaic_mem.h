/* mosaic_mem.h - v0.1.0 - a 3-D patch memory that recognises a place seen again - MIT or public domain, see the end of the file

   Cuts pictures into small patches, lifts each to its place in the world by depth and camera pose, keeps them, and gives back those that a
   camera sees when it returns: culled, tested for what hides them, scored, chosen for what they add, and drawn into a canvas. What a patch
   carries (numbers, tags) is the caller's business. The idea is that of MosaicMem (Yu et al., "MosaicMem: Hybrid Spatial Memory for Controllable
   Video World Models", arXiv 2603.17117, 2026). Pictures can be fused into one cloud of points as well. For generators there are rotary and
   projective positions, attention to what is remembered, warped latents, noise schedules, and a rollout in windows whose models are the caller's:
   there is no network here, and no weights. Where no pose is known, mosaic_mem_film knows a place again by its looks alone.

   HOW TO USE
     In one C or C++ file of your program:
       #define MOSAIC_MEM_IMPLEMENTATION
       #include "mosaic_mem.h"
     Every other file includes it without the define. No other file, library or flag is needed.

   A COMPLETE PROGRAM
       #include <stdio.h>
       #define MOSAIC_MEM_IMPLEMENTATION
       #include "mosaic_mem.h"
       int main(void)
       {
           static float depth[64 * 64], values[16 * 16];
           static uint8_t mask[16 * 16];
           static float seen[16 * 16];
           const double eye[3] = {0, 0, -5}, target[3] = {0, 0, 0};
           mosaic_mem_options options = {0};
           mosaic_mem_keyframe key = {0};
           mosaic_mem_canvas canvas = {0};
           mosaic_mem_hit hits[64];
           mosaic_mem *memory;
           size_t found, covered;
           for (int i = 0; i < 64 * 64; i++) depth[i] = 5;
           for (int i = 0; i < 16 * 16; i++) values[i] = (float)i;
           options.channels = 1;
           if (mosaic_mem_open(&options, &memory) != MOSAIC_MEM_OK) return 1;
           key.view.camera = mosaic_mem_camera_default(64, 64);
           mosaic_mem_look_at(eye, target, NULL, &key.view.pose);
           key.cols = key.rows = 16, key.values = values, key.value_count = 16 * 16, key.depth = depth;
           mosaic_mem_insert(memory, &key, NULL);
           mosaic_mem_query(memory, &key.view, NULL, NULL, hits, 64, &found, NULL);
           canvas.width = canvas.height = 16, canvas.mask = mask, canvas.values = seen;
           mosaic_mem_compose(memory, &key.view, hits, found, NULL, &canvas, &covered);
           printf("%zu patches found, %zu of 256 cells covered, the last shows %g\n", found, covered, seen[255]);
           mosaic_mem_close(memory);
           return 0;
       }

   CONVENTIONS
     Cameras look along +z, x to the right, y down (OpenCV); mosaic_mem_pose_from_c2w takes the axes of OpenGL, too. A pose is where the camera
     is and how it is turned, never a bare translation. Pixel (i, j) covers [i, i + 1) x [j, j + 1), its centre at + 0.5; what is at (u, v) is
     fetched at the floor of both. Depth is along the axis. Angles are radians, times seconds. World units are the caller's.
     A picture has cols x rows tokens; a patch is a tile of them. A token is drawn as a small plane through its own depth, with the normal of its
     patch, which is estimated from the depths around the patch.

   COMPILE-TIME SWITCHES, before the include
     MOSAIC_MEM_IMPLEMENTATION   compile the functions here
     MOSAIC_MEM_STATIC           make every function static: private to this file
     MOSAIC_MEM_API              your own linkage for the public functions (dllexport, visibility)
     MOSAIC_MEM_ASSERT(x)        internal checks; default: none
     MOSAIC_MEM_NO_SIMD          compile the scalar kernels only
     MOSAIC_MEM_MALLOC(ctx,size) and MOSAIC_MEM_FREE(ctx,ptr)   your allocator, both or neither; default malloc and free
     MOSAIC_MEM_FILE             what the file includes to read its own kernels once more, "mosaic_mem.h"; set it if you rename the file

   OPTIONS
     Every struct of options is zero-initialised, zeros mean the defaults: see mosaic_mem_options, mosaic_mem_query_options and
     mosaic_mem_key_rule.

   MEMORY
     A patch takes 52 bytes, 4 and its numbers and tags per token, 22 in the index of which entries stay empty (about a quarter), and its share of
     the table of cells. Memory comes in pieces of 256 patches, grows as they come, and is given back when the store is closed. mosaic_mem_insert
     and the edits use a work area that the store keeps; queries use the caller's mosaic_mem_scratch, or allocate for the call. A failed
     allocation is MOSAIC_MEM_ERROR_MEMORY and leaves the store as it was. A point of a cloud takes some 100 bytes, index and tables included.
     mosaic_mem_attend, mosaic_mem_cross_attend and mosaic_mem_roll_out allocate for the call.

   THREADS
     No threads, locks or global state of its own. Queries, compositions and reads of one store may run at once, each with a scratch of its own,
     while nothing changes it; so may those of one cloud. mosaic_mem_attend and mosaic_mem_cross_attend cut their work into 16 jobs for their job
     hook; everything else is serial.

   DETERMINISM
     The same calls give the same bytes on every instruction set, compiler, optimisation level and number of threads: IEEE operations in a fixed
     order, square roots rounded once, own sequences for sine, exponential and logarithm. Results are sorted, ties by id, so that nothing depends
     on where the index keeps a patch; a store that was saved and loaded goes on exactly like the one that was not. The points of a cloud have the
     numbers they came in.
     Functions on single poses and points leave the rounding mode of the host as it is; all others set the IEEE defaults for their duration.

   FILES (mosaic_mem_save): little-endian, version 1
     head        "MOSAICMM", u32 version, u32 0, u64 size of the file, u32 pictures P, u32 edits E
     settings    u32 tile_width, tile_height, channels, tags, type; f32 u8_low, u8_step; u64 max_patches, patches N, next number; u32 tick;
                 f64 time of the newest picture, cell; 20 bytes of 0
     P pictures  f64 R[9], C[3], fx, fy, cx, cy, time; u64 frame; u32 width, height, cols, rows; 8 bytes of 0
     E edits     f64 3 x 4
     N patches   in order of their slots (the low 28 bits of the id): u64 id; f64 time; u32 picture, edit (0: none), tile, tick;
                 f32 confidence, depth; u16 normal[2], hits, pinned; then f32 depths, numbers, u32 tags of all tokens of a full tile
     end         u32 CRC-32 of everything before
   (mosaic_mem_film_save): little-endian, version 1
     head        "MOSAICMF", u32 version, u32 0, u64 size of the file, i32 cols, rows, pictures, tolerance, pictures kept K, the one it is located by (-1:
                 none), its shift in pixels x and y, the caller's col and row, pictures until all are searched, flags (1: now is alike, 2: lost);
                 u64 pictures seen, maps made
     K + 1       pictures, the last one that of now: u64 kept, recognised, map; i64 x, y in the map; the pixels; u32 tags of all cells
     end         u32 CRC-32 of everything before

   ACCURACY AND LIMITS
     Centres and radii are kept as float32, which for worlds of more than some 10^5 units across is the limit of what the index tells apart; what
     is drawn is computed anew in double. Up to 2^28 patches; tiles of up to 16 x 16 tokens, one size per store. Pinhole cameras without
     skew or distortion. Tokens that reach nearer than `nearest` are left out whole. The z-buffer of a query is coarse: a patch whose cells are all
     taken by nearer ones is not found though a sliver of it may be seen. Merging looks at patches whose reach is below one cell of the index. A cloud
     keeps one point for a cube: two sides of what is thinner than a cube become one.

   PERFORMANCE (AMD EPYC (Zen 4) VM, 2 cores, AVX-512; gcc 12 -O2, one thread; patches of 2 x 2 tokens of 16 float32: 330 bytes of raw data)
     patches      insert     bytes of a patch    view, top 64: in the frustum    median      p99
         1,000    1.5 M/s    406                                          110    0.03 ms    0.13 ms
       100,000    1.5 M/s    365                                         1400    0.38 ms    0.77 ms
     1,000,000    1.4 M/s    363                                         1740    0.57 ms    0.97 ms
   A view takes about 0.3 microseconds for each patch in its frustum, nearly whatever the size of the store. Merging costs a sixth of the insertions.
   Clouds take 3 to 4 million samples a second; a point has 98 bytes; the nearest 16 of a million, from 5 units away, take 0.2 ms.
   Attention, 1024 queries and keys, 4 heads, in products of both matrices alone: with AVX-512 38 to 40 GFMA/s for heads of 64 and 128, 36 for heads of
   32 and 32 for heads of 16, where the processor's peak, measured beside it, is 59; with AVX2 20 for all; scalar 3.5.

   LAST CHANGES
     0.1.0  first version
*/
#ifndef MOSAIC_MEM__LANES /* the end of the file is read more than once, see MOSAIC_MEM_FILE */
#ifndef MOSAIC_MEM_H
#define MOSAIC_MEM_H

#include <stddef.h>
#include <stdint.h>

#define MOSAIC_MEM_VERSION "0.1.0"

#ifndef MOSAIC_MEM_API
#if !defined(MOSAIC_MEM_STATIC)
#define MOSAIC_MEM_API extern
#elif defined(__GNUC__) || defined(__clang__)
#define MOSAIC_MEM_API static __attribute__((unused))
#else
#define MOSAIC_MEM_API static
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mosaic_mem_result {
    MOSAIC_MEM_OK = 0,
    MOSAIC_MEM_ERROR_NULL,      /* a pointer that is needed is null */
    MOSAIC_MEM_ERROR_SIZE,      /* a count, size or stride that cannot be, or sizes that overflow */
    MOSAIC_MEM_ERROR_OPTION,    /* an option has a value that is not in its table */
    MOSAIC_MEM_ERROR_SIMD,      /* this processor or this build does not have the forced instruction set */
    MOSAIC_MEM_ERROR_POSE,      /* not a rotation, not finite, a quaternion of length 0, or a view along nothing */
    MOSAIC_MEM_ERROR_CAMERA,    /* focal lengths that are not positive, a principal point that is not finite, a size that is not 1 ... 65535 */
    MOSAIC_MEM_ERROR_NUMBER,    /* a number is not finite, or out of the range that its comment names */
    MOSAIC_MEM_ERROR_PATCH,     /* there is no patch of this id, or point of this number (any more) */
    MOSAIC_MEM_ERROR_MATCH,     /* the two stores differ in what their patches hold */
    MOSAIC_MEM_ERROR_SPACE,     /* the caller's array is too small; the count says what it needs */
    MOSAIC_MEM_ERROR_LIMIT,     /* more than 2^28 patches, 2^32 keyframes or edits */
    MOSAIC_MEM_ERROR_MEMORY,    /* the allocator returned null */
    MOSAIC_MEM_ERROR_TRUNCATED, /* a file ends too early */
    MOSAIC_MEM_ERROR_CORRUPT,   /* not such a file, or damaged */
    MOSAIC_MEM_ERROR_VERSION,   /* a file of a later version */
    MOSAIC_MEM_ERROR_CALLBACK   /* a callback of the caller's reported failure */
} mosaic_mem_result;

/* A short English sentence; never null, also for numbers that are no result. */
MOSAIC_MEM_API const char *mosaic_mem_result_string(mosaic_mem_result result);

/* ---- cameras ---- */

/* Where a camera is and how it is turned: a point X of the world is R (X - C) in the camera, and x of the camera is R' x + C in the world. */
typedef struct mosaic_mem_pose {
    double rotation[9]; /* R, row by row: the camera's right, down and forward in the world */
    double centre[3];   /* C, in world units */
} mosaic_mem_pose;

typedef struct mosaic_mem_camera {
    double fx, fy, cx, cy; /* in pixels; the centre of the first pixel is (0.5, 0.5) */
    int width, height;     /* 1 ... 65535 */
} mosaic_mem_camera;

typedef struct mosaic_mem_view {
    mosaic_mem_pose pose;
    mosaic_mem_camera camera;
    double time; /* seconds */
} mosaic_mem_view;

typedef enum mosaic_mem_axes {
    MOSAIC_MEM_OPENCV = 0, /* x right, y down, z forward: as here */
    MOSAIC_MEM_OPENGL      /* x right, y up, z backward: OpenGL, NeRF, Blender */
} mosaic_mem_axes;

/* fx = fy = width, the principal point in the middle: 53 degrees across. */
MOSAIC_MEM_API mosaic_mem_camera mosaic_mem_camera_default(int width, int height);

/* A camera at `centre`, turned by the unit quaternion x, y, z, w from camera to world. The length is put right; ERROR_POSE below 1e-8. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pose_at(const double centre[3], const double quaternion[4], mosaic_mem_pose *pose);

/* From world to camera: X_camera = R(quaternion) X + translation. The translation is not where the camera is. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pose_from_w2c(const double quaternion[4], const double translation[3], mosaic_mem_pose *pose);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pose_to_w2c(const mosaic_mem_pose *pose, double quaternion[4], double translation[3]);

/* From the three rows of a camera-to-world matrix, 3 x 4, in the axes named. Rotations off by more than 1e-4 are refused. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pose_from_c2w(const double matrix[12], mosaic_mem_axes axes, mosaic_mem_pose *pose);

/* From `eye` towards `target`; `up` (null: 0, 1, 0) is up in the picture. Where it points along the view, the axis of the world least
   along the view takes its place. ERROR_POSE when eye is target. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_look_at(const double eye[3], const double target[3], const double up[3], mosaic_mem_pose *pose);

/* Camera b as seen from camera a: takes points of a's coordinates to b's. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_relative(const mosaic_mem_pose *a, const mosaic_mem_pose *b, mosaic_mem_pose *pose);
/* Between the centres, and the angle between the orientations, 0 ... pi. NaN when a pose is not valid. */
MOSAIC_MEM_API double mosaic_mem_distance(const mosaic_mem_pose *a, const mosaic_mem_pose *b);
MOSAIC_MEM_API double mosaic_mem_angle(const mosaic_mem_pose *a, const mosaic_mem_pose *b);
/* From a (share 0) to b (share 1): centres on a line, orientations the short way round (slerp). Beyond 0 ... 1 it goes on. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_between(const mosaic_mem_pose *a, const mosaic_mem_pose *b, double share, mosaic_mem_pose *pose);

/* uvz = column, row, depth of a point of the world. Returns 1 when it is in front of the camera (z > 0) and 0 <= u < width, 0 <= v < height,
   0 when not (uvz is then written where z > 0 only). */
MOSAIC_MEM_API int mosaic_mem_project(const mosaic_mem_view *view, const double point[3], double uvz[3]);
/* The point of the world at depth z (along the axis, not the ray) behind pixel (u, v). */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_unproject(const mosaic_mem_view *view, double u, double v, double z, double point[3]);

/* ---- trajectories: arrays of moments in rising time ---- */

typedef struct mosaic_mem_moment {
    mosaic_mem_pose pose;
    double time;
} mosaic_mem_moment;

typedef enum mosaic_mem_path {
    MOSAIC_MEM_LINEAR = 0, /* centres on lines */
    MOSAIC_MEM_SMOOTH      /* centres on centripetal Catmull-Rom splines through all moments */
} mosaic_mem_path;

/* The pose at a time; before the first and after the last moment it stands still. Times must not fall (ERROR_NUMBER). */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_at(const mosaic_mem_moment *moments, size_t count, double time, mosaic_mem_path path,
                                               mosaic_mem_pose *pose);
/* Length of the way of the centres. */
MOSAIC_MEM_API double mosaic_mem_path_length(const mosaic_mem_moment *moments, size_t count);
/* `out_count` moments from the first to the last, evenly in time, or (by_length) in length along straight lines between the centres. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_resample(const mosaic_mem_moment *moments, size_t count, mosaic_mem_path path, int by_length,
                                                     mosaic_mem_moment *out, size_t out_count);
/* `count` moments at 1 / fps on a circle around `target`, `height` above it, looking at it, `turns` of the circle in all; the last moment is
   one step before the end, so that whole turns close. +y is up. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_orbit(const double target[3], double radius, double height, double turns, double fps,
                                                  mosaic_mem_moment *out, size_t count);

/* Which moments to remember. All zero: distance 0.5, angle 0.3, a key at least every 4. */
typedef struct mosaic_mem_key_rule {
    double distance; /* a key when the camera moved so far since the last key; 0: 0.5; infinity: never for this */
    double angle;    /* or turned so far; 0: 0.3 rad; infinity: never for this */
    int64_t every;   /* or so many moments passed, also at the end of a path that stands still; 0: 4; negative: never for this */
} mosaic_mem_key_rule;

/* Writes the indices of the keys, the first of them 0. *keys is how many there are, also on ERROR_SPACE. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_keyframes(const mosaic_mem_moment *moments, size_t count, const mosaic_mem_key_rule *rule,
                                                      size_t *indices, size_t capacity, size_t *keys);

/* ---- the store ---- */

typedef enum mosaic_mem_type {
    MOSAIC_MEM_F32 = 0,
    MOSAIC_MEM_F16, /* rounded to nearest even */
    MOSAIC_MEM_U8   /* value = u8_low + u8_step * byte, rounded to the nearest and cut off at the ends */
} mosaic_mem_type;

typedef enum mosaic_mem_policy { MOSAIC_MEM_UTILITY = 0, MOSAIC_MEM_FIFO, MOSAIC_MEM_LRU, MOSAIC_MEM_CALLBACK } mosaic_mem_policy;

/* What is known about a patch. */
typedef struct mosaic_mem_info {
    uint64_t id;          /* rises with every patch, is never used again */
    uint64_t frame;       /* as given with its keyframe */
    double time;          /* of its keyframe, or of the last one merged into it */
    double centre[3];     /* in the world, edits included */
    double radius;        /* of a ball around the centre that holds the patch */
    double normal[3];     /* in the world, towards the side it was seen from */
    double depth;         /* of the centre in the picture it comes from */
    double rect[4];       /* left, top, width, height in that picture, in pixels */
    double confidence;    /* 1 at first; each merge adds 1, each contradiction halves it */
    mosaic_mem_view view; /* of the picture it comes from; its time is that of the keyframe */
    double transform[12]; /* all edits so far, 3 x 4 */
    uint32_t hits, tick;  /* how often touched or merged; the last insert or touch, which count up from 1 */
    int level;            /* log2 of its size in the world, rounded */
    int cols, rows;       /* tokens */
    int pinned;
    int neighbours; /* patches in its cell of the index, itself included */
} mosaic_mem_info;

typedef struct mosaic_mem_options {
    int tile_width, tile_height; /* tokens of a patch, 1 ... 16; 0: 2 */
    int channels;                /* numbers per token, 0 ... 4096 */
    int tags;                    /* uint32_t per token, 0 ... 16, kept as they are */
    mosaic_mem_type type;        /* how the numbers are kept */
    float u8_low, u8_step;       /* for MOSAIC_MEM_U8; a step of 0: 0 and 1/255 */
    size_t max_patches;          /* the budget, never exceeded; 0: 2^28 */
    double cell;                 /* side of the cells of the index, in world units; 0: eight times the radius of the first patch, a power of 2 */

    /* A new patch that lies within merge_distance * radius of one of the same level and from another keyframe, and is turned no further
       than merge_cosine from it, is merged into it. */
    double merge_distance; /* 0: 0.5; negative: nothing is merged */
    double merge_cosine;   /* 0: 0.8 */
    double contradiction;  /* root mean square difference of the numbers above which the old patch loses confidence instead; 0: never */

    /* When a patch finds no room, an eighth of the budget (at least what is needed) is freed: the patches of the smallest worth, ties by
       id, never pinned ones.
       UTILITY: weight_confidence * c / (c + 1) + weight_hits * h / (h + 4) + weight_recent / (1 + age / recent) +
       weight_rare * 16 / (16 + neighbours), age in seconds before the newest keyframe; all weights 0: 1, 1, 0.5, 2. FIFO: by id. LRU: by tick. CALLBACK: by `worth`. */
    mosaic_mem_policy policy;
    double weight_confidence, weight_hits, weight_recent, weight_rare, recent; /* recent 0: 60 seconds */
    double (*worth)(void *ctx, const mosaic_mem_info *patch);
    void *worth_ctx;

    int simd;         /* 0 best, 1 scalar, 2 AVX2, 3 AVX-512 (F, BW, DQ, VL), 4 with VNNI (here as 3) */
    void *malloc_ctx; /* handed to the allocator macros */
} mosaic_mem_options;

typedef struct mosaic_mem mosaic_mem;

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_open(const mosaic_mem_options *options, mosaic_mem **memory);
MOSAIC_MEM_API void mosaic_mem_close(mosaic_mem *memory);
MOSAIC_MEM_API size_t mosaic_mem_count(const mosaic_mem *memory);
/* Bytes allocated at present. */
MOSAIC_MEM_API size_t mosaic_mem_bytes(const mosaic_mem *memory);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_describe(const mosaic_mem *memory, uint64_t id, mosaic_mem_info *info);
/* The numbers (rows x cols x channels), depths (rows x cols, 0 where there was none) and tags of a patch; each may be null. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_read(const mosaic_mem *memory, uint64_t id, float *values, float *depths, uint32_t *tags);
/* The patch with the smallest id above `after` (0: the first); 0 when there is none. Takes a walk over the whole store. */
MOSAIC_MEM_API uint64_t mosaic_mem_next(const mosaic_mem *memory, uint64_t after);

/* A picture to remember. Zero-initialise it. */
typedef struct mosaic_mem_keyframe {
    mosaic_mem_view view;
    uint64_t frame;                /* of the whole film, not of a window: what erase by frame goes by */
    int cols, rows;                /* tokens that the picture has; they are cut into tiles from the left and top, the last ones may be smaller */
    const float *values;           /* rows x cols x channels, all finite */
    size_t value_count;            /* floats at values: rows * cols * channels or more */
    const uint32_t *tags;          /* rows x cols x tags; null when there are none */
    const float *depth;            /* depth along the axis; what is not above 0 and finite is not known */
    int depth_width, depth_height; /* of the depth map, which covers the whole picture; 0: as the picture */
    size_t depth_stride;           /* floats from row to row; 0: depth_width */
    const uint8_t *skip;           /* rows x cols, may be null: tokens not 0 are not remembered (what moves) */
    int pin;                       /* not 0: never evicted */
    uint64_t *ids;                 /* may be null: one for each tile, row by row: its id, that of the patch it was merged into, or 0 */
} mosaic_mem_keyframe;

typedef struct mosaic_mem_insert_stats {
    size_t inserted, merged, contradicted, evicted;
    size_t unknown; /* tiles without depth at their centre, or skipped: not remembered */
    size_t refused; /* tiles for which there was no room, all others being pinned */
} mosaic_mem_insert_stats;

/* Cuts a picture into patches and remembers them. On an error the store is as it was. `stats` may be null. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_insert(mosaic_mem *memory, const mosaic_mem_keyframe *keyframe, mosaic_mem_insert_stats *stats);

/* Tells the store that these were used: hits + 1, and the next tick. Unknown ids are passed over. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_touch(mosaic_mem *memory, const uint64_t *ids, size_t count);

/* Work area of the calls below, kept between calls so that nothing is allocated. Zero-initialise it; free it at the end. One for each thread. */
typedef struct mosaic_mem_scratch {
    void *area[2];
    size_t size[2];
    void *malloc_ctx;
} mosaic_mem_scratch;
MOSAIC_MEM_API void mosaic_mem_scratch_free(mosaic_mem_scratch *scratch);

typedef struct mosaic_mem_near {
    uint64_t id;
    double distance;
} mosaic_mem_near;

/* All patches whose centres (as float32) are within `radius` (inclusive), nearest first, ties by id. *found is how many there are, of which the
   first `capacity` are written. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_radius(const mosaic_mem *memory, const double point[3], double radius, mosaic_mem_scratch *scratch,
                                                   mosaic_mem_near *out, size_t capacity, size_t *found);
/* The nearest `capacity` patches, nearest first, ties by id. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_nearest(const mosaic_mem *memory, const double point[3], mosaic_mem_scratch *scratch,
                                                    mosaic_mem_near *out, size_t capacity, size_t *found);
/* All patches whose balls touch the part of the view between the two depths, ids rising. *found as above. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_frustum(const mosaic_mem *memory, const mosaic_mem_view *view, double nearest, double farthest,
                                                    mosaic_mem_scratch *scratch, uint64_t *ids, size_t capacity, size_t *found);

/* ---- retrieval ---- */

/* All zero means the defaults. */
typedef struct mosaic_mem_query_options {
    double nearest, farthest;    /* depths; 0: 0.1 and 1000 */
    int grid_width, grid_height; /* cells of the z-buffer, up to 1024 each; 0: 32 along the longer side, the other to match */
    double tolerance;            /* a token is hidden when another patch is nearer by more than this share of its depth; 0: 0.03 */
    double sigma;                /* octaves of scale after which the score has fallen to 1/e; 0: 1; infinity: scale does not count */
    double angle_power;          /* the cosine of the angle of view counts to this power; 0: 1; negative: it does not count */
    double half_life;            /* seconds; 0: time does not count */
    double floor;                /* what is left of the weight of time at the end; 0: 0.1 */
    double least;                /* scores below are left out; 0: 0.01; negative: none are */
    double diversity;            /* 0 ... 1: how much a patch loses where others, chosen before, cover its cells; 0: 1; negative: nothing */
    int front_to_back;           /* not 0: sorted by depth instead of in the order of choice */
} mosaic_mem_query_options;

typedef struct mosaic_mem_hit {
    uint64_t id;
    double score;   /* visible share * scale * angle * confidence * time */
    double u, v, z; /* of the centre in the view; u and v only where z is positive */
    double scale;   /* pixels of the view per pixel of its own picture */
    int tokens, visible;
} mosaic_mem_hit;

/* The patches that serve a view best: those in its frustum, with tokens that no nearer patch hides, chosen one after the other by score
   and by what they add to the cells already covered. At most `capacity`; *found is how many were written. *candidates (may be null): how many
   were in the frustum. Ties by id. `options` and `scratch` may be null. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_query(const mosaic_mem *memory, const mosaic_mem_view *view, const mosaic_mem_query_options *options,
                                                  mosaic_mem_scratch *scratch, mosaic_mem_hit *hits, size_t capacity, size_t *found,
                                                  size_t *candidates);

/* Where the tokens of a patch are in a view: uvz[3 * t ...] of token t, row by row, and valid[t] 1 where its depth is known and it is in
   front of the camera (else its uvz are 0). Nothing is left out: token t is always at t. *count: how many tokens. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_warp_tokens(const mosaic_mem *memory, uint64_t id, const mosaic_mem_view *view, float *uvz,
                                                        uint8_t *valid, int *count);

/* ---- composition ---- */

typedef enum mosaic_mem_filter { MOSAIC_MEM_NEAREST = 0, MOSAIC_MEM_BILINEAR } mosaic_mem_filter;

enum { MOSAIC_MEM_UNSEEN = 0, MOSAIC_MEM_SEEN = 1, MOSAIC_MEM_CONTESTED = 2 };

/* A picture put together from patches, cell by cell over the whole view. The arrays are the caller's; all but mask may be null. */
typedef struct mosaic_mem_canvas {
    int width, height;        /* cells, 1 ... 8192 */
    uint8_t *mask;            /* UNSEEN, SEEN, or CONTESTED: another patch of the same depth differs by more than `contested` in some number */
    float *values;            /* height x width x channels; cells that are UNSEEN are left as they are */
    float *z;                 /* depth; infinity where UNSEEN */
    uint64_t *ids;            /* the patch shown; 0 where UNSEEN */
    uint32_t *tags;           /* height x width x tags, of the token shown; UNSEEN cells are left as they are */
    double nearest;           /* tokens nearer than this are not drawn; 0: 0.1 */
    double tolerance;         /* depths within this share of the nearest count as one surface; 0: 0.03 */
    double contested;         /* 0: 0.25 */
    mosaic_mem_filter filter; /* BILINEAR: between the tokens of one patch; NEAREST: the token itself */
} mosaic_mem_canvas;

/* Draws the hits of a query into a canvas. Each token is a small plane through its point, with the normal of its patch; in each cell the nearest
   surface is found first, and of the patches on it the one of the highest score is shown, ties by id. The view a patch was made from gives its
   very numbers back. *covered (may be null): cells that are not UNSEEN. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_compose(const mosaic_mem *memory, const mosaic_mem_view *view, const mosaic_mem_hit *hits, size_t count,
                                                    mosaic_mem_scratch *scratch, const mosaic_mem_canvas *canvas, size_t *covered);

/* ---- clouds of points ---- */

typedef struct mosaic_mem_point {
    float position[3], normal[3]; /* of length 1, towards the side it was seen from; 0, 0, 0 where it is not known */
    uint8_t rgb[3], reserved;     /* 0 */
    uint32_t weight;              /* samples joined in it */
    double time;                  /* of the latest of them */
} mosaic_mem_point;

/* A picture with its depths. Zero-initialise it. */
typedef struct mosaic_mem_picture {
    mosaic_mem_view view;
    const float *depth;            /* as in mosaic_mem_keyframe */
    int depth_width, depth_height; /* 0: as the picture */
    size_t depth_stride;           /* floats from row to row; 0: depth_width */
    const uint8_t *rgb;            /* three bytes for each depth, row by row; null: 128 */
    size_t rgb_stride;             /* bytes from row to row; 0: three times depth_width */
    const uint8_t *skip;           /* one for each depth, may be null: those not 0 make no point (what moves) */
    int step;                      /* every so many columns and rows; 0: 1 */
    double edge;                   /* depths that differ from one beside them by more than this share make no point; 0: all do */
} mosaic_mem_picture;

/* The depths of a picture as points, row by row. *count is how many there are, of which the first `capacity` are written. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_unproject_picture(const mosaic_mem_picture *picture, mosaic_mem_point *points, size_t capacity,
                                                              size_t *count);

/* All zero means the defaults. */
typedef struct mosaic_mem_cloud_options {
    double voxel;      /* side of the cubes whose samples, of all pictures, are one point; 0: 0.05 */
    uint32_t most;     /* a point moves with new samples as if it had no more than so many; 0: 32 */
    uint32_t carve;    /* a point is removed when so many pictures in a row see through it; 0: never */
    double through;    /* nearer than the depth there by more than this share is seen through; 0: 0.05 */
    size_t max_points; /* further points are refused; 0: 2^28 */
    int simd;          /* as in mosaic_mem_options */
    void *malloc_ctx;
} mosaic_mem_cloud_options;

typedef struct mosaic_mem_cloud mosaic_mem_cloud;

typedef struct mosaic_mem_fuse_stats {
    size_t samples, points; /* samples taken, new points made of them */
    size_t carved, refused;
} mosaic_mem_fuse_stats;

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_open(const mosaic_mem_cloud_options *options, mosaic_mem_cloud **cloud);
MOSAIC_MEM_API void mosaic_mem_cloud_close(mosaic_mem_cloud *cloud);
MOSAIC_MEM_API size_t mosaic_mem_cloud_count(const mosaic_mem_cloud *cloud);
MOSAIC_MEM_API size_t mosaic_mem_cloud_bytes(const mosaic_mem_cloud *cloud);
/* Joins points, or what a picture shows, to a cloud. Samples in one cube are one point: the mean of them all (the latest count more once there are
   `most`). Points that are not finite, or 2^30 cubes away from 0, are refused. What was joined before memory ran out stays. `stats` may be null. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_add(mosaic_mem_cloud *cloud, const mosaic_mem_point *points, size_t count,
                                                      mosaic_mem_fuse_stats *stats);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_fuse(mosaic_mem_cloud *cloud, const mosaic_mem_picture *picture, mosaic_mem_fuse_stats *stats);
/* Points have numbers from 1 on, in the order they came; those of removed points are given again. The next above `after`, 0 when there is none. */
MOSAIC_MEM_API uint64_t mosaic_mem_cloud_next(const mosaic_mem_cloud *cloud, uint64_t after);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_read(const mosaic_mem_cloud *cloud, uint64_t number, mosaic_mem_point *point);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_remove(mosaic_mem_cloud *cloud, uint64_t number);
/* The box around all points, and their mean. ERROR_SIZE when there are none. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_bounds(const mosaic_mem_cloud *cloud, double low[3], double high[3], double mean[3]);
/* As the searches of a store, for the numbers of points. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_radius(const mosaic_mem_cloud *cloud, const double point[3], double radius,
                                                         mosaic_mem_scratch *scratch, mosaic_mem_near *out, size_t capacity, size_t *found);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_nearest(const mosaic_mem_cloud *cloud, const double point[3], mosaic_mem_scratch *scratch,
                                                          mosaic_mem_near *out, size_t capacity, size_t *found);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_frustum(const mosaic_mem_cloud *cloud, const mosaic_mem_view *view, double nearest, double farthest,
                                                          mosaic_mem_scratch *scratch, uint64_t *numbers, size_t capacity, size_t *found);

/* ---- edits ---- */

typedef enum mosaic_mem_shape {
    MOSAIC_MEM_ALL = 0,
    MOSAIC_MEM_BALL,  /* centres within `radius` of `centre`, inclusive */
    MOSAIC_MEM_BOX,   /* centres between `low` and `high`, inclusive */
    MOSAIC_MEM_FRAME, /* patches whose keyframe has this `frame` */
    MOSAIC_MEM_ONE,   /* the patch `id` */
    MOSAIC_MEM_CHOSEN /* those for which `choose` is not 0 */
} mosaic_mem_shape;

typedef struct mosaic_mem_region {
    mosaic_mem_shape shape;
    double centre[3], radius, low[3], high[3];
    uint64_t frame, id;
    int (*choose)(void *ctx, const mosaic_mem_info *patch);
    void *ctx;
} mosaic_mem_region;

/* Each works on whole patches, those in the region (null: all); *affected (may be null) is how many. An affine transform takes X to A X + b,
   its rows 3 x 4; it moves, turns, scales or mirrors what is drawn, and all queries follow. It must be finite and of a determinant not 0. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_erase(mosaic_mem *memory, const mosaic_mem_region *region, size_t *affected);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_transform(mosaic_mem *memory, const mosaic_mem_region *region, const double affine[12], size_t *affected);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pin(mosaic_mem *memory, const mosaic_mem_region *region, int pinned, size_t *affected);
/* Copies patches of `from`, transformed by `affine` (null: as they are), into `memory` (which may be `from` itself: a second copy), with new
   ids, in the order of the old. Both must have the same tiles, channels, tags and type. ERROR_LIMIT when the budget has no room for all. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_splice(mosaic_mem *memory, const mosaic_mem *from, const mosaic_mem_region *region,
                                                   const double affine[12], size_t *affected);

/* Affine transforms: a shift, and the mirror image in the plane through `point` with this normal. */
MOSAIC_MEM_API void mosaic_mem_affine_shift(double x, double y, double z, double affine[12]);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_affine_mirror(const double point[3], const double normal[3], double affine[12]);

/* ---- files ---- */

/* Takes the next bytes of a file; not 0 stops the writing, which is then ERROR_CALLBACK. */
typedef int (*mosaic_mem_write)(void *ctx, const void *bytes, size_t size);

/* Everything, as a stream of bytes that is the same on every machine: see FILES above. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_save(const mosaic_mem *memory, mosaic_mem_write write, void *ctx);
/* Opens a store from the bytes of a file. Of `options` (may be null) the policy, the merge rule, simd, cell (where not 0), max_patches (where not 0;
   ERROR_LIMIT when too small for the ids in the file) and the contexts are used, the rest is the file's. Any bytes at all are safe. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_load(const void *bytes, size_t size, const mosaic_mem_options *options, mosaic_mem **memory);

/* ---- films without poses: what was shown where something is seen again ---- */

#define MOSAIC_MEM_NO_TAG 0xffffffffu

/* Zero means the default. */
typedef struct mosaic_mem_film_options {
    int cols, rows; /* cells of each picture, 1 ... 4096 each and at most 2^20 in all; needed */
    int pictures;   /* kept, at most, 1 ... 4096; 0: 128. The one that was recognised longest ago makes room for the next */
    int tolerance;  /* cells agree when their bytes differ by no more than this on average, 1 ... 64; 0: 6 */
    void *malloc_ctx;
} mosaic_mem_film_options;

/* Remembers a film by some of its pictures, a tag for each cell of them, and where they lie beside each other: a planar map, made by shifting pictures over
   each other in thirds of a cell. It knows a place again after a cut, or when the camera comes back to it, as long as it is as large and as light
   as it was; what turns, grows or is lit anew is a new place. All integers. */
typedef struct mosaic_mem_film mosaic_mem_film;

/* All memory is taken here: 34 bytes for each cell of each picture. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_open(const mosaic_mem_film_options *options, mosaic_mem_film **film);
MOSAIC_MEM_API void mosaic_mem_film_close(mosaic_mem_film *film);
/* Pictures kept at present. */
MOSAIC_MEM_API int mosaic_mem_film_count(const mosaic_mem_film *film);

/* The next picture: cols x rows cells of 3 x 3 pixels of three bytes, packed row by row of pixels; any colours whose differences mean the same
   everywhere (Oklab, say). begins: not 0 where it has nothing to do with the picture before (a cut). col, row: where the caller knows its
   first cell to be in the shot, in cells (else 0). tags receives, for each cell that is wanted (null: all), the tag that was kept with the latest picture whose cells agree there,
   else MOSAIC_MEM_NO_TAG. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_recall(mosaic_mem_film *film, const uint8_t *pixels, int begins, int col, int row,
                                                        const uint8_t *wanted, uint32_t *tags);
/* What the cells of that picture show: cols x rows tags, MOSAIC_MEM_NO_TAG where there is nothing to remember. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_keep(mosaic_mem_film *film, const uint32_t *tags);

/* As for stores: one that was saved and loaded goes on like the one that was not. Of the options of a load malloc_ctx alone is used; they may be null. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_save(const mosaic_mem_film *film, mosaic_mem_write write, void *ctx);
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_load(const void *bytes, size_t size, const mosaic_mem_film_options *options, mosaic_mem_film **film);

/* ---- positions and attention, for generators: pure functions on the caller's arrays ---- */

/* Rotary positions: each axis turns `pairs` pairs of channels, axis after axis, pair i by position * base^(-i / pairs). Fractions count. */
typedef struct mosaic_mem_rope {
    int axes;       /* 1 ... 3 */
    int pairs[3];   /* d / 2 for one axis; 22, 21, 21 for time, row, column as in Wan with 128 channels */
    double base;    /* 0: 10000 */
    int half_split; /* 0: a pair is two neighbours; else channel i of the first and of the second half of its axis */
} mosaic_mem_rope;

/* Turns `tokens` vectors in place, `stride` floats apart (at least twice all pairs; what is beyond stays). positions: tokens x axes, within +-2^20.
   turn: 1, or -1 for back. For attention queries and keys are turned alike: queries by the places of their own grid, keys by warped ones. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_rope_apply(const mosaic_mem_rope *rope, const double *positions, size_t tokens, int turn, float *x,
                                                       size_t stride);

/* From mosaic_mem_warp_tokens to places in a grid of tokens: out[3 * t ...] = time, row, column, the fractions kept; centres are whole numbers.
   Of tokens that are not valid they are 0: leave these out by the mask. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_token_places(const mosaic_mem_camera *camera, int cols, int rows, double time, const float *uvz,
                                                         const uint8_t *valid, size_t tokens, double *out);

/* The camera as a 4 x 4 matrix: intrinsics in units of the picture's size about its middle, times world to camera; and its inverse behind it.
   (Li et al., "Cameras as Relative Positional Encoding", arXiv 2507.10496.) */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_prope_matrix(const mosaic_mem_view *view, double matrices[32]);

typedef enum mosaic_mem_prope_role { MOSAIC_MEM_PROPE_QUERY = 0, MOSAIC_MEM_PROPE_KEY_VALUE, MOSAIC_MEM_PROPE_OUTPUT } mosaic_mem_prope_role;

/* PRoPE in place: the first half of the channels, four by four, through the matrix of the token's camera (transposed for queries, inverse for
   keys and values, itself for the output); the other half turned by column and row, base 100. dim: a multiple of 8. camera: for each token which of
   the `cameras` pairs of matrices; place: column, row. What attention makes of them depends on relative cameras alone. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_prope_apply(mosaic_mem_prope_role role, const double *matrices, int cameras, const int32_t *camera,
                                                        const double *places, size_t tokens, int dim, float *x, size_t stride);

typedef struct mosaic_mem_attention {
    int queries, keys; /* 1 ... 2^20 */
    int heads, dim;    /* of a head, 1 ... 1024; heads * dim floats from token to token */
    const float *q, *k, *v;
    const uint8_t *mask; /* queries x keys: 0 is left out; null: all count. A query without any key gets zeros */
    const float *gate;   /* one for each head, cut to 0 ... 1; null: 1 */
    float *out;          /* queries x heads x dim */
    int simd;            /* as in mosaic_mem_options */
    void *malloc_ctx;
    /* Calls job(arg, 0) ... job(arg, count - 1), each exactly once, in any order, on any threads, and returns when all are done; null: serial */
    void (*run)(void *ctx, void (*job)(void *arg, int index), void *arg, int count);
    void *run_ctx;
} mosaic_mem_attention;

/* out = gate * softmax(q k' / sqrt(dim)) v for each head. All numbers must be finite. Products are chains of fused multiply-adds in a fixed order. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_attend(const mosaic_mem_attention *attention);

/* The tokens of hits, one after the other, as keys and values for attention: numbers (tokens x channels), places in a grid of cols x rows tokens
   over the view (tokens x 3, as by mosaic_mem_token_places), and which are valid. *tokens is how many there are, also on ERROR_SPACE. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_hit_tokens(const mosaic_mem *memory, const mosaic_mem_view *view, const mosaic_mem_hit *hits,
                                                       size_t count, int cols, int rows, double time, float *values, double *places, uint8_t *valid,
                                                       size_t capacity, size_t *tokens);

/* Cross-attention of the tokens of a picture to remembered ones: out = (gate * attention(x Wq', memory Wk', memory Wv')) Wo'. Zero-initialise it.
   Inner vectors have heads * dim numbers. A matrix has a row for each number that it makes; null: the identity, where widths agree. */
typedef struct mosaic_mem_cross {
    int queries, keys, heads, dim; /* as in mosaic_mem_attention */
    int width, memory_width;       /* numbers of a token of x and out, and of a remembered one; 1 ... 16384 */
    const float *x, *memory;       /* queries x width, keys x memory_width */
    const float *w_q, *w_k, *w_v;  /* heads * dim rows of width, memory_width, memory_width */
    const float *w_o;              /* width rows of heads * dim */
    const mosaic_mem_rope *rope;   /* turns queries and keys of each head alike; null: not */
    const double *query_places, *key_places;
    const double *matrices; /* PRoPE of queries, keys, values and output, as in mosaic_mem_prope_apply; null: not */
    int cameras;
    const int32_t *query_camera, *key_camera;
    const double *query_cells, *key_cells;
    const uint8_t *mask; /* as in mosaic_mem_attention, as all that follows */
    const float *gate;
    float *out; /* queries x width */
    int simd;
    void *malloc_ctx;
    void (*run)(void *ctx, void (*job)(void *arg, int index), void *arg, int count);
    void *run_ctx;
} mosaic_mem_cross;

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cross_attend(const mosaic_mem_cross *cross);

/* ---- warped latents: tokens that move with the view ---- */

/* Tokens over a whole picture, row by row. */
typedef struct mosaic_mem_latent {
    int cols, rows, channels; /* 1 ... 65535 each */
    float *values;            /* rows x cols x channels */
    uint8_t *mask;            /* rows x cols: 1 where there are numbers, 0 where there are none. Of a source: null: everywhere */
    float *z, *weight;        /* rows x cols, needed for the target of mosaic_mem_warp_forward alone: depth, and tokens that came there */
} mosaic_mem_latent;

/* What a plane, normal X = distance in the camera of `from`, does to pixels (u, v, 1) of `from`: those of `to`, up to a positive factor. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_homography(const mosaic_mem_view *from, const mosaic_mem_view *to, const double normal[3],
                                                       double distance, double h[9]);
/* Where tokens with these depths (rows x cols) are in another view: as mosaic_mem_warp_tokens, for a whole picture. *count: how many are valid. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_warp_grid(const mosaic_mem_view *from, int cols, int rows, const float *depths, const mosaic_mem_view *to,
                                                      float *uvz, uint8_t *valid, size_t *count);
/* Tokens to where a grid says they are, spread over the four cells about them; of those in one cell the nearest count, and all within `tolerance`
   (0: 0.03) of it. A cell has numbers when a quarter of a token or more came there; the values of other cells are left as they are. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_warp_forward(const mosaic_mem_latent *from, const float *uvz, const uint8_t *valid,
                                                         const mosaic_mem_camera *camera, double tolerance, const mosaic_mem_latent *to);
/* Each cell of `to` takes what is between the tokens of `from` where the plane comes from. Cells that come from outside, or from behind, get none. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_warp_plane(const mosaic_mem_latent *from, const mosaic_mem_camera *from_camera, const double h[9],
                                                       const mosaic_mem_camera *to_camera, const mosaic_mem_latent *to);

/* ---- noise and its removal ---- */

typedef enum mosaic_mem_schedule { MOSAIC_MEM_SCHEDULE_LINEAR = 0, MOSAIC_MEM_SCHEDULE_COSINE } mosaic_mem_schedule;

/* kept[t] is the share of the variance that is left after t of `count` steps: LINEAR: of noise from `first` to `last` (0: 0.0001 and 0.02; Ho et al.,
   2020), COSINE: of Nichol and Dhariwal, 2021. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_schedule_make(mosaic_mem_schedule schedule, int count, double first, double last, double *kept);
/* `count` of `total` steps, falling evenly from total - 1 to 0. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_schedule_steps(int total, int count, int *steps);
/* Numbers first ... first + count - 1 of an endless row of independent ones, of mean 0 and variance 1. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_noise(uint64_t seed, uint64_t first, float *out, size_t count);
/* out = sqrt(kept) * clean + sqrt(1 - kept) * noise; out may be either. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_add_noise(double kept, const float *clean, const float *noise, float *out, size_t count);
/* One step back, in place: x holds as much as `kept` says, afterwards as much as `next` (1: clean). predicted: the noise in it. eta 1 is the ancestral
   step of DDPM, 0 that of DDIM (Song et al., 2021); noise may be null where eta is 0 or next is 1. clip > 0 cuts the clean picture off there. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_denoise(double kept, double next, double eta, double clip, const float *predicted, const float *noise,
                                                    float *x, size_t count);
/* Flow matching, one step of Euler's: x + step * velocity. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_flow_step(double step, const float *velocity, float *x, size_t count);

/* ---- rollout: a film, window after window, with what was made before in memory ---- */

typedef struct mosaic_mem_window {
    size_t first, count, fresh; /* frames first ... first + count - 1, of which `fresh` and later are new */
} mosaic_mem_window;

/* Cuts `total` frames into windows that overlap by `overlap` or (the last one, so that all are of one length) more. Every frame is new once.
   *count is how many there are, also on ERROR_SPACE. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_windows(size_t total, size_t window, size_t overlap, mosaic_mem_window *out, size_t capacity,
                                                    size_t *count);

/* What a backbone is told in one call. */
typedef struct mosaic_mem_conditions {
    mosaic_mem_window window;
    int slices, cols, rows, channels; /* of x: slices x rows x cols x channels */
    int step, time;                   /* which step back, and its time in the schedule */
    const mosaic_mem_view *views;     /* of the frames of the window */
    const mosaic_mem_view *middle;    /* of the middle frame of each slice */
    const float *text;                /* null: without a prompt */
    const mosaic_mem *memory;         /* may be null, as what it showed: */
    const float *canvas;              /* slices x rows x cols x channels; 0 where the mask is */
    const uint8_t *mask;              /* slices x rows x cols, as in mosaic_mem_canvas */
    const mosaic_mem_hit *hits;       /* of all slices; those of slice s from hit_start[s] to hit_start[s + 1] - 1 */
    const size_t *hit_start;
    int held; /* slices that are shown already: what they become is no longer asked */
} mosaic_mem_conditions;

/* The parts that are learned, the caller's. What is not 0 stops the rollout with ERROR_CALLBACK. Frames: height x width x 3, 0 ... 1. */
typedef struct mosaic_mem_models {
    void *ctx;
    int (*text)(void *ctx, const char *prompt, float *embedding);
    int (*encode)(void *ctx, const float *frames, int count, float *latents); /* to one slice for each `ratio` frames, or one in all */
    int (*decode)(void *ctx, const float *latents, int slices, float *frames, int count);
    int (*depth)(void *ctx, const float *frame, const mosaic_mem_view *view, float *depth); /* height x width */
    int (*backbone)(void *ctx, const mosaic_mem_conditions *conditions, const float *x, float *predicted);
} mosaic_mem_models;

/* Zero-initialise it. */
typedef struct mosaic_mem_rollout {
    const mosaic_mem_view *views; /* one for each frame; all cameras of one size; times must not fall */
    size_t frames;
    size_t window, overlap;   /* 0: 16 and 4; both multiples of ratio */
    int ratio;                /* frames of a slice; 0: 4 */
    int cols, rows, channels; /* of a slice, in tokens; channels as in the store */
    int steps, schedule_steps;
    mosaic_mem_schedule schedule; /* steps 0: 50 of schedule_steps 0: 1000 */
    double eta, clip;             /* as in mosaic_mem_denoise */
    double guidance;              /* predicted = without the prompt + guidance * (with - without); 0 or 1: with it alone */
    uint64_t seed;
    const char *prompt;             /* null: none */
    size_t text_size;               /* floats of an embedding */
    mosaic_mem *memory;             /* null: none; keyframes go there */
    mosaic_mem_cloud *cloud;        /* null: none; their depths go there */
    const mosaic_mem_key_rule *key; /* which frames are keyframes; null: the defaults */
    const mosaic_mem_query_options *query;
    size_t top; /* hits of a slice; 0: 64 */
    mosaic_mem_models models;
    int (*frame)(void *ctx, size_t index, const mosaic_mem_view *view, const float *rgb); /* gets each frame once, in order */
    void *frame_ctx;
    void *malloc_ctx;
} mosaic_mem_rollout;

typedef struct mosaic_mem_rollout_stats {
    size_t windows, frames, keyframes, hits;
    size_t cells, seen; /* of all new slices; those that memory showed */
} mosaic_mem_rollout_stats;

/* Makes a film. Windows after the first hold the slices that were shown before, noised as the schedule has it (nothing is faded); what is new is
   shown, and its keyframes are remembered, by their numbers in the film and with their own cameras. `stats` may be null; it is true up to where an error
   stopped. */
MOSAIC_MEM_API mosaic_mem_result mosaic_mem_roll_out(const mosaic_mem_rollout *rollout, mosaic_mem_rollout_stats *stats);

#ifdef __cplusplus
}
#endif

#endif /* MOSAIC_MEM_H */

#ifdef MOSAIC_MEM_IMPLEMENTATION
#ifndef MOSAIC_MEM_IMPLEMENTATION_DONE
#define MOSAIC_MEM_IMPLEMENTATION_DONE

#if defined(MOSAIC_MEM_MALLOC) != defined(MOSAIC_MEM_FREE)
#error "mosaic_mem: define both MOSAIC_MEM_MALLOC and MOSAIC_MEM_FREE, or neither"
#endif
#ifndef MOSAIC_MEM_MALLOC
#include <stdlib.h>
#define MOSAIC_MEM_MALLOC(ctx, size) ((void)(ctx), malloc(size))
#define MOSAIC_MEM_FREE(ctx, ptr) ((void)(ctx), free(ptr))
#endif
#ifndef MOSAIC_MEM_ASSERT
#define MOSAIC_MEM_ASSERT(x) ((void)0)
#endif
#include <string.h>
#ifndef MOSAIC_MEM_FILE
#define MOSAIC_MEM_FILE "mosaic_mem.h"
#endif

/* clang-format off */
/* === mosaic shared block, version 1: compiler, processor, floating point. Word for word the same in every header that has it. === */
#ifndef MOSAIC__SHARED_BLOCK_1
#define MOSAIC__SHARED_BLOCK_1
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "mosaic: -ffast-math and its parts change results; compile this file without them"
#endif
#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "mosaic: x87 arithmetic rounds twice; compile with -mfpmath=sse -msse2"
#endif
#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC__UNUSED __attribute__((unused))
#define MOSAIC__TARGET(isa) __attribute__((target(isa)))
#else
#define MOSAIC__UNUSED
#define MOSAIC__TARGET(isa)
#endif
#if defined(_MSC_VER)
#define MOSAIC__RESTRICT __restrict
#else
#define MOSAIC__RESTRICT __restrict__
#endif
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define MOSAIC__X86 1
#include <immintrin.h>
#else
#define MOSAIC__X86 0
#endif
/* What this processor and its operating system can run: 0 scalar, 1 AVX2, 2 AVX-512 F, BW, DQ and VL, 3 the same with VNNI. */
MOSAIC__UNUSED static int mosaic__cpu_level(void)
{
#if MOSAIC__X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512vnni") ? 3 : 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}
/* A host may have changed the rounding mode or flushed denormals to zero: every entry that computes in floating point sets the
   IEEE defaults and gives the old state back. */
MOSAIC__UNUSED static unsigned long long mosaic__fp_enter(void)
{
#if defined(__SSE2__) || MOSAIC__X86
    unsigned long long old = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return old;
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    unsigned long long old, ieee = 0;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(old));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(ieee));
    return old;
#else
    return 0;
#endif
}
MOSAIC__UNUSED static void mosaic__fp_leave(unsigned long long old)
{
#if defined(__SSE2__) || MOSAIC__X86
    _mm_setcsr((unsigned int)old);
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    __asm__ __volatile__("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}
#endif
/* No multiply and add may be fused behind our back. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif
/* === end of the mosaic shared block === */

#ifdef __cplusplus
extern "C" {
#endif
/* clang-format on */

#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC_MEM__INLINE static inline __attribute__((always_inline))
#define MOSAIC_MEM__SOON(p) __builtin_prefetch(p)
#else
#define MOSAIC_MEM__INLINE static
#define MOSAIC_MEM__SOON(p) ((void)(p))
#endif
#define MOSAIC_MEM__PI 3.14159265358979323846
#define MOSAIC_MEM__NONE 0xffffffffu

/* ==== arithmetic: fixed sequences of IEEE operations ==== */

static int mosaic_mem__finite(double x) { return x - x == 0; } /* NaN and infinities give NaN */

static int mosaic_mem__finite_all(const double *x, int count)
{
    int i;
    for (i = 0; i < count; i++)
        if (!mosaic_mem__finite(x[i])) return 0;
    return 1;
}

/* The root of x > 0, rounded once, where the processor's is out of reach: x = mantissa * 4^e, 54 binary digits of the mantissa's root one by one, the
   last of which rounds (a root is never half way). */
MOSAIC__UNUSED static double mosaic_mem__root_by_digits(double x)
{
    uint64_t bits, rest = 0, root = 0, mantissa;
    int e, i;
    if (!mosaic_mem__finite(x)) return x;
    if (x < 2.2250738585072014e-308) return mosaic_mem__root_by_digits(x * 18014398509481984.0) * 7.450580596923828125e-9; /* 2^54, 2^-27 */
    memcpy(&bits, &x, sizeof bits);
    e = (int)(bits >> 52) - 1075;
    mantissa = (bits & 0xfffffffffffffu) | 0x10000000000000u;
    if (e & 1) mantissa <<= 1, e--;
    mantissa <<= 10; /* 54 bits to the top: pairs of digits leave there */
    for (i = 0; i < 54; i++) {
        const uint64_t next = root << 2 | 1;
        rest = rest << 2 | mantissa >> 62;
        mantissa <<= 2;
        root <<= 1;
        if (rest >= next) rest -= next, root |= 1;
    }
    root = (root >> 1) + (root & 1);
    bits = (uint64_t)(1023 - 26 + e / 2) << 52; /* 26 of the digits are behind the point */
    memcpy(&x, &bits, sizeof x);
    return (double)root * x;
}

/* The root, rounded once; 0 for what is not positive. */
static double mosaic_mem__root(double x)
{
    if (!(x > 0)) return 0;
#if defined(__SSE2__)
    return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(x), _mm_set_sd(x)));
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    {
        double y;
        __asm__("fsqrt %d0, %d1" : "=w"(y) : "w"(x));
        return y;
    }
#else
    return mosaic_mem__root_by_digits(x);
#endif
}

static double mosaic_mem__power_of_2(int n) /* -1022 ... 1023 */
{
    const uint64_t bits = (uint64_t)(n + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double mosaic_mem__floor(double x) /* |x| < 2^62 */
{
    const int64_t whole = (int64_t)x;
    return (double)(whole - ((double)whole > x));
}

/* 1 / n for the series below, so that they multiply where they would divide. */
static const double mosaic_mem__inverse[24] = {0,        1,        1 / 2.0,  1 / 3.0,  1 / 4.0,  1 / 5.0,  1 / 6.0,  1 / 7.0,
                                               1 / 8.0,  1 / 9.0,  1 / 10.0, 1 / 11.0, 1 / 12.0, 1 / 13.0, 1 / 14.0, 1 / 15.0,
                                               1 / 16.0, 1 / 17.0, 1 / 18.0, 1 / 19.0, 1 / 20.0, 1 / 21.0, 1 / 22.0, 1 / 23.0};

/* Series to where they add nothing, about the nearest multiple of half pi; |x| up to 2^20. */
static void mosaic_mem__turn(double x, double *sine, double *cosine)
{
    const double n = mosaic_mem__floor(x * (2 / MOSAIC_MEM__PI) + 0.5);
    const double r = ((x - n * 1.57079632673412561417) - n * 6.07710050630396597660e-11) - n * 2.02226624879595063154e-21, q = r * r;
    double s = 0, c = 0;
    int i;
    for (i = 17; i > 1; i -= 2) s = (1 + s) * (-q * (mosaic_mem__inverse[i] * mosaic_mem__inverse[i - 1]));
    for (i = 18; i > 1; i -= 2) c = (1 + c) * (-q * (mosaic_mem__inverse[i] * mosaic_mem__inverse[i - 1]));
    s = r + r * s;
    c = 1 + c;
    switch ((int)((int64_t)n & 3)) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s; break;
    }
}

static double mosaic_mem__exp(double x)
{
    double n, r, y = 0;
    int i;
    if (!(x > -708)) return 0;
    if (x > 709) x = 709;
    n = mosaic_mem__floor(x * 1.44269504088896340736 + 0.5);
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    for (i = 14; i > 0; i--) y = (1 + y) * (r * mosaic_mem__inverse[i]);
    return (1 + y) * mosaic_mem__power_of_2((int)n);
}

/* The natural logarithm of a positive, normal number: 2 artanh((m - 1) / (m + 1)) of its mantissa. */
static double mosaic_mem__log(double x)
{
    uint64_t bits;
    double m, t, q, y = 0;
    int e, i;
    memcpy(&bits, &x, sizeof bits);
    e = (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) m *= 0.5, e++;
    t = (m - 1) / (m + 1);
    q = t * t;
    for (i = 21; i > 1; i -= 2) y = q * (mosaic_mem__inverse[i] + y);
    return (double)e * 0.693147180559945309417 + 2 * t * (1 + y);
}

/* The angle of (x, y) for y >= 0: 0 ... pi. */
static double mosaic_mem__angle_of(double y, double x)
{
    const double a = x < 0 ? -x : x;
    double t, q, shift = 0, s = 0;
    int i;
    if (y == 0 && a == 0) return 0;
    t = y < a ? y / a : a / y;
    if (t > 0.4142135623730951) shift = MOSAIC_MEM__PI / 4, t = (t - 1) / (t + 1);
    q = t * t;
    for (i = 43; i > 1; i -= 2) s = -q * (1 / (double)i + s);
    t = shift + t * (1 + s);
    if (y >= a) t = MOSAIC_MEM__PI / 2 - t;
    return x < 0 ? MOSAIC_MEM__PI - t : t;
}

static double mosaic_mem__dot(const double a[3], const double b[3]) { return (a[0] * b[0] + a[1] * b[1]) + a[2] * b[2]; }
static double mosaic_mem__length(const double a[3]) { return mosaic_mem__root(mosaic_mem__dot(a, a)); }

static void mosaic_mem__cross(const double a[3], const double b[3], double out[3])
{
    const double x = a[1] * b[2] - a[2] * b[1], y = a[2] * b[0] - a[0] * b[2], z = a[0] * b[1] - a[1] * b[0];
    out[0] = x, out[1] = y, out[2] = z;
}

/* Divides by the length, which it returns; not when it is below `least`. */
static double mosaic_mem__unit(double a[3], double least)
{
    const double length = mosaic_mem__length(a);
    if (!(length >= least)) return 0;
    a[0] /= length, a[1] /= length, a[2] /= length;
    return length;
}

/* out = R x + t, of 3 x 4 */
static void mosaic_mem__apply(const double m[12], const double x[3], double out[3])
{
    double y[3];
    int i;
    for (i = 0; i < 3; i++) y[i] = mosaic_mem__dot(m + 4 * i, x) + m[4 * i + 3];
    memcpy(out, y, sizeof y);
}

static void mosaic_mem__times(const double a[12], const double b[12], double out[12])
{
    double y[12];
    int i, j;
    for (i = 0; i < 3; i++)
        for (j = 0; j < 4; j++) y[4 * i + j] = ((a[4 * i] * b[j] + a[4 * i + 1] * b[4 + j]) + a[4 * i + 2] * b[8 + j]) + (j == 3 ? a[4 * i + 3] : 0);
    memcpy(out, y, sizeof y);
}

/* The matrix of cofactors of the 3 x 3 part, row by row: the determinant times the transposed inverse. Returns the determinant. */
static double mosaic_mem__cofactors(const double m[12], double c[9])
{
    int i;
    for (i = 0; i < 3; i++) mosaic_mem__cross(m + 4 * ((i + 1) % 3), m + 4 * ((i + 2) % 3), c + 3 * i);
    return mosaic_mem__dot(m, c);
}

static int mosaic_mem__invert(const double m[12], double out[12])
{
    double c[9], y[12];
    const double det = mosaic_mem__cofactors(m, c);
    int i, j;
    if (!(det > 1e-300) && !(det < -1e-300)) return 0;
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 3; j++) y[4 * i + j] = c[3 * j + i] / det;
        y[4 * i + 3] = -((y[4 * i] * m[3] + y[4 * i + 1] * m[7]) + y[4 * i + 2] * m[11]);
    }
    memcpy(out, y, sizeof y);
    return mosaic_mem__finite_all(out, 12);
}

static int mosaic_mem__floats_finite(const float *x, size_t count) /* there may be none */
{
    size_t i;
    for (i = 0; x && i < count; i++)
        if (!mosaic_mem__finite((double)x[i])) return 0;
    return 1;
}

static const double mosaic_mem__identity[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};

/* ==== cameras ==== */

static int mosaic_mem__pose_valid(const mosaic_mem_pose *p)
{
    const double *r = p->rotation;
    double turned[3];
    int i, j;
    if (!mosaic_mem__finite_all(r, 9) || !mosaic_mem__finite_all(p->centre, 3)) return 0;
    for (i = 0; i < 3; i++)
        for (j = 0; j <= i; j++) {
            const double d = mosaic_mem__dot(r + 3 * i, r + 3 * j) - (i == j);
            if (!(d < 1e-4 && d > -1e-4)) return 0;
        }
    mosaic_mem__cross(r, r + 3, turned);
    return mosaic_mem__dot(turned, r + 6) > 0;
}

static int mosaic_mem__camera_valid(const mosaic_mem_camera *c)
{
    return c->fx > 1e-9 && c->fy > 1e-9 && c->fx < 1e12 && c->fy < 1e12 && mosaic_mem__finite(c->cx) && mosaic_mem__finite(c->cy) && c->width > 0 &&
           c->height > 0 && c->width < 65536 && c->height < 65536;
}

static mosaic_mem_result mosaic_mem__view_valid(const mosaic_mem_view *v)
{
    if (!mosaic_mem__pose_valid(&v->pose)) return MOSAIC_MEM_ERROR_POSE;
    if (!mosaic_mem__camera_valid(&v->camera)) return MOSAIC_MEM_ERROR_CAMERA;
    return mosaic_mem__finite(v->time) ? MOSAIC_MEM_OK : MOSAIC_MEM_ERROR_NUMBER;
}

static void mosaic_mem__to_camera(const mosaic_mem_pose *p, const double x[3], double out[3])
{
    const double d[3] = {x[0] - p->centre[0], x[1] - p->centre[1], x[2] - p->centre[2]};
    int i;
    for (i = 0; i < 3; i++) out[i] = mosaic_mem__dot(p->rotation + 3 * i, d);
}

static void mosaic_mem__turn_back(const mosaic_mem_pose *p, const double x[3], double out[3])
{
    const double *r = p->rotation;
    double y[3];
    int i;
    for (i = 0; i < 3; i++) y[i] = (r[i] * x[0] + r[3 + i] * x[1]) + r[6 + i] * x[2];
    memcpy(out, y, sizeof y);
}

static void mosaic_mem__to_world(const mosaic_mem_pose *p, const double x[3], double out[3])
{
    int i;
    mosaic_mem__turn_back(p, x, out);
    for (i = 0; i < 3; i++) out[i] += p->centre[i];
}

static void mosaic_mem__c2w(const mosaic_mem_pose *p, double m[12])
{
    int i, j;
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 3; j++) m[4 * i + j] = p->rotation[3 * j + i];
        m[4 * i + 3] = p->centre[i];
    }
}

MOSAIC_MEM_API mosaic_mem_camera mosaic_mem_camera_default(int width, int height)
{
    mosaic_mem_camera c;
    c.fx = c.fy = width;
    c.cx = width * 0.5;
    c.cy = height * 0.5;
    c.width = width;
    c.height = height;
    return c;
}

/* The rotation of a quaternion x, y, z, w, row by row. */
static int mosaic_mem__rotation(const double q[4], double r[9])
{
    double x, y, z, w, length;
    if (!mosaic_mem__finite_all(q, 4)) return 0;
    length = mosaic_mem__root((q[0] * q[0] + q[1] * q[1]) + (q[2] * q[2] + q[3] * q[3]));
    if (!(length >= 1e-8) || !mosaic_mem__finite(length)) return 0;
    x = q[0] / length, y = q[1] / length, z = q[2] / length, w = q[3] / length;
    r[0] = 1 - 2 * (y * y + z * z), r[1] = 2 * (x * y - z * w), r[2] = 2 * (x * z + y * w);
    r[3] = 2 * (x * y + z * w), r[4] = 1 - 2 * (x * x + z * z), r[5] = 2 * (y * z - x * w);
    r[6] = 2 * (x * z - y * w), r[7] = 2 * (y * z + x * w), r[8] = 1 - 2 * (x * x + y * y);
    return 1;
}

/* From the largest of the four: the others are its products' quotients. w is not negative. */
static void mosaic_mem__quaternion(const double r[9], double q[4])
{
    const double t = (r[0] + r[4]) + r[8];
    int i, k;
    if (t > 0) {
        const double s = 2 * mosaic_mem__root(1 + t);
        q[0] = (r[7] - r[5]) / s, q[1] = (r[2] - r[6]) / s, q[2] = (r[3] - r[1]) / s, q[3] = 0.25 * s;
    } else {
        const int a = r[0] >= r[4] && r[0] >= r[8] ? 0 : r[4] >= r[8] ? 1 : 2, b = (a + 1) % 3, c = (a + 2) % 3;
        const double s = 2 * mosaic_mem__root(((1 + r[4 * a]) - r[4 * b]) - r[4 * c]);
        q[a] = 0.25 * s, q[b] = (r[3 * a + b] + r[3 * b + a]) / s, q[c] = (r[3 * a + c] + r[3 * c + a]) / s, q[3] = (r[3 * c + b] - r[3 * b + c]) / s;
    }
    if (q[3] < 0)
        for (i = 0, k = 4; i < k; i++) q[i] = -q[i];
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pose_at(const double centre[3], const double quaternion[4], mosaic_mem_pose *pose)
{
    double r[9];
    int i, j;
    if (!centre || !quaternion || !pose) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__finite_all(centre, 3) || !mosaic_mem__rotation(quaternion, r)) return MOSAIC_MEM_ERROR_POSE;
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 3; j++) pose->rotation[3 * i + j] = r[3 * j + i];
        pose->centre[i] = centre[i];
    }
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pose_from_w2c(const double quaternion[4], const double translation[3], mosaic_mem_pose *pose)
{
    double r[9], t[3];
    int i;
    if (!quaternion || !translation || !pose) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__finite_all(translation, 3) || !mosaic_mem__rotation(quaternion, r)) return MOSAIC_MEM_ERROR_POSE;
    for (i = 0; i < 3; i++) t[i] = -translation[i];
    memcpy(pose->rotation, r, sizeof r);
    mosaic_mem__turn_back(pose, t, pose->centre);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pose_to_w2c(const mosaic_mem_pose *pose, double quaternion[4], double translation[3])
{
    int i;
    if (!pose || !quaternion || !translation) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__pose_valid(pose)) return MOSAIC_MEM_ERROR_POSE;
    mosaic_mem__quaternion(pose->rotation, quaternion);
    for (i = 0; i < 3; i++) translation[i] = -mosaic_mem__dot(pose->rotation + 3 * i, pose->centre);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pose_from_c2w(const double matrix[12], mosaic_mem_axes axes, mosaic_mem_pose *pose)
{
    const double turned = axes == MOSAIC_MEM_OPENGL ? -1 : 1;
    mosaic_mem_pose p;
    double q[4];
    int i;
    if (!matrix || !pose) return MOSAIC_MEM_ERROR_NULL;
    if (axes != MOSAIC_MEM_OPENCV && axes != MOSAIC_MEM_OPENGL) return MOSAIC_MEM_ERROR_OPTION;
    for (i = 0; i < 3; i++) {
        p.rotation[i] = matrix[4 * i];
        p.rotation[3 + i] = turned * matrix[4 * i + 1];
        p.rotation[6 + i] = turned * matrix[4 * i + 2];
        p.centre[i] = matrix[4 * i + 3];
    }
    if (!mosaic_mem__pose_valid(&p)) return MOSAIC_MEM_ERROR_POSE;
    mosaic_mem__quaternion(p.rotation, q); /* a rotation to the last digits */
    if (!mosaic_mem__rotation(q, p.rotation)) return MOSAIC_MEM_ERROR_POSE;
    *pose = p;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_look_at(const double eye[3], const double target[3], const double up[3], mosaic_mem_pose *pose)
{
    static const double y_up[3] = {0, 1, 0};
    double x[3], y[3], z[3], u[3];
    int i, least = 0;
    if (!eye || !target || !pose) return MOSAIC_MEM_ERROR_NULL;
    if (!up) up = y_up;
    for (i = 0; i < 3; i++) z[i] = target[i] - eye[i], u[i] = up[i];
    if (!mosaic_mem__finite_all(eye, 3) || !mosaic_mem__finite_all(z, 3) || !mosaic_mem__finite_all(u, 3) || mosaic_mem__unit(z, 1e-12) == 0)
        return MOSAIC_MEM_ERROR_POSE;
    if (mosaic_mem__unit(u, 1e-12) == 0) return MOSAIC_MEM_ERROR_POSE;
    mosaic_mem__cross(z, u, x);
    if (mosaic_mem__unit(x, 1e-6) == 0) {
        for (i = 1; i < 3; i++)
            if (z[i] * z[i] < z[least] * z[least]) least = i;
        u[0] = u[1] = u[2] = 0;
        u[least] = 1;
        mosaic_mem__cross(z, u, x);
        mosaic_mem__unit(x, 0);
    }
    mosaic_mem__cross(z, x, y);
    mosaic_mem__unit(y, 0);
    for (i = 0; i < 3; i++) {
        pose->rotation[i] = x[i], pose->rotation[3 + i] = y[i], pose->rotation[6 + i] = z[i];
        pose->centre[i] = eye[i];
    }
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_relative(const mosaic_mem_pose *a, const mosaic_mem_pose *b, mosaic_mem_pose *pose)
{
    mosaic_mem_pose p;
    int i, j;
    if (!a || !b || !pose) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__pose_valid(a) || !mosaic_mem__pose_valid(b)) return MOSAIC_MEM_ERROR_POSE;
    for (i = 0; i < 3; i++)
        for (j = 0; j < 3; j++) p.rotation[3 * i + j] = mosaic_mem__dot(b->rotation + 3 * i, a->rotation + 3 * j);
    mosaic_mem__to_camera(a, b->centre, p.centre);
    *pose = p;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API double mosaic_mem_distance(const mosaic_mem_pose *a, const mosaic_mem_pose *b)
{
    mosaic_mem_pose p;
    if (mosaic_mem_relative(a, b, &p) != MOSAIC_MEM_OK) return (double)(mosaic_mem__identity[1] / mosaic_mem__identity[1]);
    return mosaic_mem__length(p.centre);
}

MOSAIC_MEM_API double mosaic_mem_angle(const mosaic_mem_pose *a, const mosaic_mem_pose *b)
{
    mosaic_mem_pose p;
    double q[4];
    if (mosaic_mem_relative(a, b, &p) != MOSAIC_MEM_OK) return (double)(mosaic_mem__identity[1] / mosaic_mem__identity[1]);
    mosaic_mem__quaternion(p.rotation, q);
    return 2 * mosaic_mem__angle_of(mosaic_mem__length(q), q[3]);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_between(const mosaic_mem_pose *a, const mosaic_mem_pose *b, double share, mosaic_mem_pose *pose)
{
    mosaic_mem_pose turn, part;
    double q[4], centre[3], length, half, s, c, r[9];
    int i, j;
    const mosaic_mem_result result = mosaic_mem_relative(a, b, &turn);
    if (result != MOSAIC_MEM_OK) return result;
    if (!pose) return MOSAIC_MEM_ERROR_NULL;
    if (!(share >= -1000 && share <= 1000)) return MOSAIC_MEM_ERROR_NUMBER;
    /* The turn from a to b has half the angle `half` about the axis of q: this share of it, after a. */
    mosaic_mem__quaternion(turn.rotation, q);
    length = mosaic_mem__length(q);
    half = mosaic_mem__angle_of(length, q[3]);
    mosaic_mem__turn(half * share, &s, &c);
    for (i = 0; i < 3; i++) q[i] = length > 1e-12 ? q[i] / length * s : q[i] * share;
    q[3] = c;
    if (!mosaic_mem__rotation(q, r)) return MOSAIC_MEM_ERROR_POSE;
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 3; j++)
            part.rotation[3 * i + j] = (r[3 * i] * a->rotation[j] + r[3 * i + 1] * a->rotation[3 + j]) + r[3 * i + 2] * a->rotation[6 + j];
        centre[i] = a->centre[i] + share * (b->centre[i] - a->centre[i]);
    }
    memcpy(part.centre, centre, sizeof centre);
    *pose = part;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API int mosaic_mem_project(const mosaic_mem_view *view, const double point[3], double uvz[3])
{
    double x[3], u, v;
    if (!view || !point) return 0;
    mosaic_mem__to_camera(&view->pose, point, x);
    if (!(x[2] > 0) || !mosaic_mem__finite_all(x, 3)) return 0;
    u = view->camera.fx * x[0] / x[2] + view->camera.cx;
    v = view->camera.fy * x[1] / x[2] + view->camera.cy;
    if (uvz) uvz[0] = u, uvz[1] = v, uvz[2] = x[2];
    return u >= 0 && v >= 0 && u < view->camera.width && v < view->camera.height;
}

/* The point at depth z behind pixel (u, v), in the camera. */
static void mosaic_mem__lift(const mosaic_mem_camera *c, double u, double v, double z, double out[3])
{
    out[0] = (u - c->cx) / c->fx * z;
    out[1] = (v - c->cy) / c->fy * z;
    out[2] = z;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_unproject(const mosaic_mem_view *view, double u, double v, double z, double point[3])
{
    mosaic_mem_result result;
    double x[3];
    if (!view || !point) return MOSAIC_MEM_ERROR_NULL;
    result = mosaic_mem__view_valid(view);
    if (result != MOSAIC_MEM_OK) return result;
    if (!mosaic_mem__finite(u) || !mosaic_mem__finite(v) || !mosaic_mem__finite(z) || !(z > 0)) return MOSAIC_MEM_ERROR_NUMBER;
    mosaic_mem__lift(&view->camera, u, v, z, x);
    mosaic_mem__to_world(&view->pose, x, point);
    return MOSAIC_MEM_OK;
}

/* ==== trajectories ==== */

static mosaic_mem_result mosaic_mem__moments_valid(const mosaic_mem_moment *m, size_t count)
{
    size_t i;
    if (!m) return MOSAIC_MEM_ERROR_NULL;
    if (count == 0) return MOSAIC_MEM_ERROR_SIZE;
    for (i = 0; i < count; i++) {
        if (!mosaic_mem__pose_valid(&m[i].pose)) return MOSAIC_MEM_ERROR_POSE;
        if (!mosaic_mem__finite(m[i].time) || (i && m[i].time < m[i - 1].time)) return MOSAIC_MEM_ERROR_NUMBER;
    }
    return MOSAIC_MEM_OK;
}

/* Between moments i and i + 1: a centripetal Catmull-Rom spline by Barry and Goldman's pyramid, its outermost points continued on a line. */
static void mosaic_mem__spline(const mosaic_mem_moment *m, size_t count, size_t i, double share, double out[3])
{
    double p[4][3], t[4], x, d[3];
    int k, c, step;
    for (k = 0; k < 4; k++)
        for (c = 0; c < 3; c++) {
            const double *from = m[i].pose.centre, *to = m[i + 1].pose.centre;
            if (k == 0)
                p[k][c] = i > 0 ? m[i - 1].pose.centre[c] : from[c] - (to[c] - from[c]);
            else if (k == 3)
                p[k][c] = i + 2 < count ? m[i + 2].pose.centre[c] : to[c] + (to[c] - from[c]);
            else
                p[k][c] = k == 1 ? from[c] : to[c];
        }
    for (k = 0; k < 4; k++) {
        t[k] = 0;
        if (k == 0) continue;
        for (c = 0; c < 3; c++) d[c] = p[k][c] - p[k - 1][c];
        x = mosaic_mem__root(mosaic_mem__length(d));
        t[k] = t[k - 1] + (x > 1e-9 ? x : 1e-9);
    }
    x = t[1] + share * (t[2] - t[1]);
    for (step = 1; step < 4; step++)
        for (k = 0; k + step < 4; k++) {
            /* The middle level takes its weights from the knots of the inner interval. */
            const double low = step == 3 ? t[1] : t[k], high = step == 3 ? t[2] : t[k + step], w = (x - low) / (high - low);
            for (c = 0; c < 3; c++) p[k][c] = p[k][c] + w * (p[k + 1][c] - p[k][c]);
        }
    for (c = 0; c < 3; c++) out[c] = p[0][c];
}

static mosaic_mem_result mosaic_mem__at(const mosaic_mem_moment *m, size_t count, double time, mosaic_mem_path path, mosaic_mem_pose *pose)
{
    size_t low = 0, high = count - 1;
    double share, centre[3];
    mosaic_mem_result result;
    if (time <= m[0].time || time >= m[count - 1].time) {
        *pose = time <= m[0].time ? m[0].pose : m[count - 1].pose;
        return MOSAIC_MEM_OK;
    }
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (m[middle].time <= time)
            low = middle;
        else
            high = middle;
    }
    share = (time - m[low].time) / (m[high].time - m[low].time);
    if (path == MOSAIC_MEM_SMOOTH) mosaic_mem__spline(m, count, low, share, centre);
    result = mosaic_mem_between(&m[low].pose, &m[high].pose, share, pose);
    if (result == MOSAIC_MEM_OK && path == MOSAIC_MEM_SMOOTH) memcpy(pose->centre, centre, sizeof centre);
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_at(const mosaic_mem_moment *moments, size_t count, double time, mosaic_mem_path path,
                                               mosaic_mem_pose *pose)
{
    const mosaic_mem_result result = mosaic_mem__moments_valid(moments, count);
    if (result != MOSAIC_MEM_OK) return result;
    if (!pose) return MOSAIC_MEM_ERROR_NULL;
    if (path != MOSAIC_MEM_LINEAR && path != MOSAIC_MEM_SMOOTH) return MOSAIC_MEM_ERROR_OPTION;
    if (!mosaic_mem__finite(time)) return MOSAIC_MEM_ERROR_NUMBER;
    return mosaic_mem__at(moments, count, time, path, pose);
}

static double mosaic_mem__apart(const mosaic_mem_pose *a, const mosaic_mem_pose *b)
{
    const double d[3] = {a->centre[0] - b->centre[0], a->centre[1] - b->centre[1], a->centre[2] - b->centre[2]};
    return mosaic_mem__length(d);
}

MOSAIC_MEM_API double mosaic_mem_path_length(const mosaic_mem_moment *moments, size_t count)
{
    double sum = 0;
    size_t i;
    for (i = 1; moments && i < count; i++) sum += mosaic_mem__apart(&moments[i].pose, &moments[i - 1].pose);
    return sum;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_resample(const mosaic_mem_moment *moments, size_t count, mosaic_mem_path path, int by_length,
                                                     mosaic_mem_moment *out, size_t out_count)
{
    mosaic_mem_result result = mosaic_mem__moments_valid(moments, count);
    double length, done = 0;
    size_t i, at = 0;
    if (result != MOSAIC_MEM_OK) return result;
    if (!out) return MOSAIC_MEM_ERROR_NULL;
    if (path != MOSAIC_MEM_LINEAR && path != MOSAIC_MEM_SMOOTH) return MOSAIC_MEM_ERROR_OPTION;
    length = mosaic_mem_path_length(moments, count);
    for (i = 0; i < out_count && result == MOSAIC_MEM_OK; i++) {
        const double share = out_count > 1 ? (double)i / (double)(out_count - 1) : 0;
        double time = moments[0].time + share * (moments[count - 1].time - moments[0].time);
        if (by_length && length > 0) {
            double step = 0;
            while (at + 1 < count && done + (step = mosaic_mem__apart(&moments[at].pose, &moments[at + 1].pose)) < share * length) done += step, at++;
            time = moments[at].time;
            if (at + 1 < count && step > 0) time += (share * length - done) / step * (moments[at + 1].time - time);
        }
        out[i].time = time;
        result = mosaic_mem__at(moments, count, time, path, &out[i].pose);
    }
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_orbit(const double target[3], double radius, double height, double turns, double fps,
                                                  mosaic_mem_moment *out, size_t count)
{
    size_t i;
    if (!target || !out) return MOSAIC_MEM_ERROR_NULL;
    if (!(radius > 0) || !mosaic_mem__finite(radius) || !mosaic_mem__finite(height) || !(turns > -1e4 && turns < 1e4) || !(fps > 0))
        return MOSAIC_MEM_ERROR_NUMBER;
    for (i = 0; i < count; i++) {
        double eye[3], s, c;
        mosaic_mem_result result;
        mosaic_mem__turn(2 * MOSAIC_MEM__PI * turns * (double)i / (double)count, &s, &c);
        eye[0] = target[0] + radius * c, eye[1] = target[1] + height, eye[2] = target[2] + radius * s;
        result = mosaic_mem_look_at(eye, target, NULL, &out[i].pose);
        if (result != MOSAIC_MEM_OK) return result;
        out[i].time = (double)i / fps;
    }
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_keyframes(const mosaic_mem_moment *moments, size_t count, const mosaic_mem_key_rule *rule,
                                                      size_t *indices, size_t capacity, size_t *keys)
{
    const double distance = rule && rule->distance != 0 ? rule->distance : 0.5, angle = rule && rule->angle != 0 ? rule->angle : 0.3;
    const int64_t every = rule && rule->every ? rule->every : 4;
    size_t i, last = 0, n = 0;
    mosaic_mem_result result;
    if (!keys || (!indices && capacity)) return MOSAIC_MEM_ERROR_NULL;
    *keys = 0;
    if (count == 0) return MOSAIC_MEM_OK;
    if (!(distance > 0) || !(angle > 0)) return MOSAIC_MEM_ERROR_OPTION;
    result = mosaic_mem__moments_valid(moments, count);
    if (result != MOSAIC_MEM_OK) return result;
    for (i = 0; i < count; i++) {
        const mosaic_mem_pose *a = &moments[last].pose, *b = &moments[i].pose;
        if (i && !(every > 0 && i - last >= (uint64_t)every) && !(mosaic_mem_distance(a, b) >= distance) && !(mosaic_mem_angle(a, b) >= angle))
            continue;
        if (n < capacity) indices[n] = i;
        n++;
        last = i;
    }
    *keys = n;
    return n > capacity ? MOSAIC_MEM_ERROR_SPACE : MOSAIC_MEM_OK;
}

/* ==== the store: memory ==== */

enum { MOSAIC_MEM__CHUNK = 256, MOSAIC_MEM__PIECE = 32, MOSAIC_MEM__BUCKET = 8, MOSAIC_MEM__LEVELS = 3, MOSAIC_MEM__CELLS = 512 };
enum { MOSAIC_MEM__PINNED = 1 };
#define MOSAIC_MEM__SLOT_BITS 28

/* A picture that patches come from, and what has been done to patches since; both live as long as a patch names them. */
typedef struct mosaic_mem__frame {
    mosaic_mem_view view;
    uint64_t frame;
    uint32_t refs;
    int cols, rows, across;     /* tokens, tiles in a row */
    double step[2], inverse[2]; /* pixels of a token; 1 / focal length */
} mosaic_mem__frame;

typedef struct mosaic_mem__edit {
    double affine[12];
    uint32_t refs;
} mosaic_mem__edit;

/* 256 patches; behind the struct their depths, numbers and tags. An id of 0 is an empty slot. */
typedef struct mosaic_mem__chunk {
    uint64_t id[MOSAIC_MEM__CHUNK];
    double time[MOSAIC_MEM__CHUNK];
    uint32_t place[MOSAIC_MEM__CHUNK]; /* in the index: bucket * 8 + entry */
    uint32_t frame[MOSAIC_MEM__CHUNK], edit[MOSAIC_MEM__CHUNK], tile[MOSAIC_MEM__CHUNK], tick[MOSAIC_MEM__CHUNK];
    float confidence[MOSAIC_MEM__CHUNK], depth[MOSAIC_MEM__CHUNK];
    uint16_t normal[MOSAIC_MEM__CHUNK][2], hits[MOSAIC_MEM__CHUNK];
    int8_t level[MOSAIC_MEM__CHUNK];
    uint8_t flags[MOSAIC_MEM__CHUNK];
} mosaic_mem__chunk;

/* Items in pieces that never move. Free ones are chained through their first four bytes. */
typedef struct mosaic_mem__pool {
    unsigned char **piece;
    size_t item, pieces, room;
    uint32_t used, first_free, spare;
} mosaic_mem__pool;

/* Items that are found by their key, with which each begins: four int32_t. */
typedef struct mosaic_mem__table {
    mosaic_mem__pool items;
    uint32_t *at; /* item + 1, 0 is empty */
    size_t size;
} mosaic_mem__table;

/* The index, of patches or of points: cells of equal size that hold them in buckets, blocks of 8 x 8 x 8 cells, regions of 8 x 8 x 8 blocks, found
   by their whole coordinates. Each knows a box around the centres it holds and the largest radius; both only grow until it is empty, which costs
   time and never an answer. Queries walk from the regions down; nothing depends on the order they meet things in. */
typedef struct mosaic_mem__bucket {
    float x[MOSAIC_MEM__BUCKET], y[MOSAIC_MEM__BUCKET], z[MOSAIC_MEM__BUCKET], r[MOSAIC_MEM__BUCKET];
    uint32_t slot[MOSAIC_MEM__BUCKET];
    uint32_t next, used, node; /* all buckets of a cell but the first are full */
} mosaic_mem__bucket;

typedef struct mosaic_mem__node {
    int32_t key[4]; /* the last one is its level; 0: cell */
    float low[3], high[3], radius;
    uint32_t parent, child, next, previous, count; /* a cell's child is a bucket */
} mosaic_mem__node;

struct mosaic_mem__kernels;

typedef struct mosaic_mem__index {
    const struct mosaic_mem__kernels *kernels;
    void *malloc_ctx;
    size_t bytes; /* all that its owner has allocated */
    mosaic_mem__pool buckets;
    mosaic_mem__table nodes;
    uint32_t regions; /* the first of them */
    double cell;
} mosaic_mem__index;

struct mosaic_mem {
    mosaic_mem_options o;
    mosaic_mem__index x;
    size_t count;
    size_t tokens, value_size, chunk_size;
    mosaic_mem__chunk **chunk;
    size_t chunks;
    uint32_t lowest; /* no slot below is free */
    uint64_t sequence;
    uint32_t tick;
    double newest; /* time of the newest keyframe */
    mosaic_mem__pool frames, edits;
    mosaic_mem_scratch scratch; /* for insert and evict */
};

static void *mosaic_mem__take(mosaic_mem__index *x, size_t size)
{
    void *p = MOSAIC_MEM_MALLOC(x->malloc_ctx, size);
    if (p) x->bytes += size;
    return p;
}

static void mosaic_mem__give(mosaic_mem__index *x, void *p, size_t size)
{
    if (!p) return;
    x->bytes -= size;
    MOSAIC_MEM_FREE(x->malloc_ctx, p);
}

static void *mosaic_mem__item(const mosaic_mem__pool *pool, uint32_t i)
{
    return pool->piece[i / MOSAIC_MEM__PIECE] + (size_t)(i % MOSAIC_MEM__PIECE) * pool->item;
}

/* Room for `more` items; nothing has changed when it fails. */
static int mosaic_mem__reserve(mosaic_mem__index *x, mosaic_mem__pool *pool, size_t more)
{
    while (pool->spare + (pool->pieces * MOSAIC_MEM__PIECE - pool->used) < more) {
        const size_t size = pool->item * MOSAIC_MEM__PIECE;
        if (pool->pieces >= ((uint64_t)1 << 32) / MOSAIC_MEM__PIECE - 1) return 0;
        if (pool->pieces == pool->room) {
            const size_t room = pool->room ? 2 * pool->room : 8;
            unsigned char **piece = (unsigned char **)mosaic_mem__take(x, room * sizeof *piece);
            if (!piece) return 0;
            if (pool->pieces) memcpy(piece, pool->piece, pool->pieces * sizeof *piece);
            mosaic_mem__give(x, pool->piece, pool->room * sizeof *piece);
            pool->piece = piece;
            pool->room = room;
        }
        pool->piece[pool->pieces] = (unsigned char *)mosaic_mem__take(x, size);
        if (!pool->piece[pool->pieces]) return 0;
        pool->pieces++;
    }
    return 1;
}

static uint32_t mosaic_mem__new(mosaic_mem__pool *pool)
{
    uint32_t i = pool->used;
    MOSAIC_MEM_ASSERT(pool->spare || pool->used < pool->pieces * MOSAIC_MEM__PIECE);
    if (pool->spare) {
        i = pool->first_free;
        memcpy(&pool->first_free, mosaic_mem__item(pool, i), sizeof i);
        pool->spare--;
    } else {
        pool->used++;
    }
    memset(mosaic_mem__item(pool, i), 0, pool->item);
    return i;
}

static void mosaic_mem__recycle(mosaic_mem__pool *pool, uint32_t i)
{
    void *item = mosaic_mem__item(pool, i);
    memset(item, 0, pool->item); /* no references, as a walk over all of them expects */
    memcpy(item, &pool->first_free, sizeof i);
    pool->first_free = i;
    pool->spare++;
}

static void mosaic_mem__empty(mosaic_mem__index *x, mosaic_mem__pool *pool)
{
    size_t i;
    for (i = 0; i < pool->pieces; i++) mosaic_mem__give(x, pool->piece[i], pool->item * MOSAIC_MEM__PIECE);
    mosaic_mem__give(x, pool->piece, pool->room * sizeof *pool->piece);
    pool->piece = NULL;
}

static mosaic_mem__bucket *mosaic_mem__bucket_of(const mosaic_mem__index *x, uint32_t i)
{
    return (mosaic_mem__bucket *)mosaic_mem__item(&x->buckets, i);
}
static mosaic_mem__node *mosaic_mem__node_of(const mosaic_mem__index *x, uint32_t i)
{
    return (mosaic_mem__node *)mosaic_mem__item(&x->nodes.items, i);
}
static mosaic_mem__frame *mosaic_mem__frame_of(const mosaic_mem *m, uint32_t i) { return (mosaic_mem__frame *)mosaic_mem__item(&m->frames, i); }
static mosaic_mem__edit *mosaic_mem__edit_of(const mosaic_mem *m, uint32_t i) { return (mosaic_mem__edit *)mosaic_mem__item(&m->edits, i); }
static mosaic_mem__chunk *mosaic_mem__chunk_of(const mosaic_mem *m, uint32_t slot) { return m->chunk[slot / MOSAIC_MEM__CHUNK]; }

static float *mosaic_mem__depths(const mosaic_mem *m, uint32_t slot)
{
    return (float *)(void *)(mosaic_mem__chunk_of(m, slot) + 1) + (slot % MOSAIC_MEM__CHUNK) * m->tokens;
}

static unsigned char *mosaic_mem__values(const mosaic_mem *m, uint32_t slot)
{
    unsigned char *first = (unsigned char *)(mosaic_mem__chunk_of(m, slot) + 1) + MOSAIC_MEM__CHUNK * m->tokens * sizeof(float);
    return first + (slot % MOSAIC_MEM__CHUNK) * (m->tokens * (size_t)m->o.channels * m->value_size);
}

static uint32_t *mosaic_mem__tags(const mosaic_mem *m, uint32_t slot)
{
    unsigned char *first =
        (unsigned char *)mosaic_mem__chunk_of(m, slot) + m->chunk_size - MOSAIC_MEM__CHUNK * m->tokens * (size_t)m->o.tags * sizeof(uint32_t);
    return (uint32_t *)(void *)first + (slot % MOSAIC_MEM__CHUNK) * (m->tokens * (size_t)m->o.tags);
}

/* The chunk that a slot is in, made when it is not there. */
static int mosaic_mem__need_chunk(mosaic_mem *m, size_t slot)
{
    const size_t at = slot / MOSAIC_MEM__CHUNK;
    if (at >= m->chunks) {
        const size_t room = at + 1 > 2 * m->chunks ? at + 1 : 2 * m->chunks;
        mosaic_mem__chunk **chunk = (mosaic_mem__chunk **)mosaic_mem__take(&m->x, room * sizeof *chunk);
        if (!chunk) return 0;
        memset(chunk, 0, room * sizeof *chunk);
        if (m->chunks) memcpy(chunk, m->chunk, m->chunks * sizeof *chunk);
        mosaic_mem__give(&m->x, m->chunk, m->chunks * sizeof *chunk);
        m->chunk = chunk;
        m->chunks = room;
    }
    if (!m->chunk[at]) {
        m->chunk[at] = (mosaic_mem__chunk *)mosaic_mem__take(&m->x, m->chunk_size);
        if (!m->chunk[at]) return 0;
        memset(m->chunk[at], 0, m->chunk_size);
    }
    return 1;
}

static int mosaic_mem__live(const mosaic_mem *m, size_t slot)
{
    return slot / MOSAIC_MEM__CHUNK < m->chunks && m->chunk[slot / MOSAIC_MEM__CHUNK] &&
           m->chunk[slot / MOSAIC_MEM__CHUNK]->id[slot % MOSAIC_MEM__CHUNK];
}

/* The slot of an id, or NONE. */
static uint32_t mosaic_mem__find(const mosaic_mem *m, uint64_t id)
{
    const uint32_t slot = (uint32_t)(id & ((1u << MOSAIC_MEM__SLOT_BITS) - 1));
    if (id == 0 || !mosaic_mem__live(m, slot) || mosaic_mem__chunk_of(m, slot)->id[slot % MOSAIC_MEM__CHUNK] != id) return MOSAIC_MEM__NONE;
    return slot;
}

/* ==== numbers of half precision ==== */

static uint16_t mosaic_mem__to_half(float f)
{
    uint32_t bits, sign, rest, half;
    int e;
    memcpy(&bits, &f, sizeof bits);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits >= 0x477ff000) return (uint16_t)(sign | 0x7bff); /* 65520 and more: the largest there is */
    e = (int)(bits >> 23) - 112;
    if (e > 0) {
        half = (uint32_t)e << 10 | (bits >> 13 & 0x3ff);
        rest = bits & 0x1fff;
        half += rest > 0x1000 || (rest == 0x1000 && (half & 1));
    } else if (e < -10) {
        half = 0;
    } else {
        const int shift = 14 - e;
        const uint32_t mantissa = (bits & 0x7fffff) | 0x800000, middle = 1u << (shift - 1);
        half = mantissa >> shift;
        rest = mantissa & ((1u << shift) - 1);
        half += rest > middle || (rest == middle && (half & 1));
    }
    return (uint16_t)(sign | half);
}

static float mosaic_mem__from_half(uint16_t h)
{
    uint32_t bits = (uint32_t)(h & 0x8000) << 16, mantissa = h & 0x3ff;
    int e = h >> 10 & 31;
    float f;
    if (e == 0) {
        f = (float)mantissa * 5.9604644775390625e-8f; /* 2^-24 */
        return bits ? -f : f;
    }
    bits |= (uint32_t)(e + 112) << 23 | mantissa << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Number i of a patch. */
static float mosaic_mem__get(const mosaic_mem *m, const unsigned char *values, size_t i)
{
    float f;
    uint16_t h;
    switch (m->o.type) {
    case MOSAIC_MEM_F16: memcpy(&h, values + 2 * i, sizeof h); return mosaic_mem__from_half(h);
    case MOSAIC_MEM_U8: return m->o.u8_low + m->o.u8_step * (float)values[i];
    default: memcpy(&f, values + 4 * i, sizeof f); return f;
    }
}

static void mosaic_mem__put(const mosaic_mem *m, unsigned char *values, size_t i, float f)
{
    uint16_t h;
    switch (m->o.type) {
    case MOSAIC_MEM_F16:
        h = mosaic_mem__to_half(f);
        memcpy(values + 2 * i, &h, sizeof h);
        break;
    case MOSAIC_MEM_U8:
        f = (f - m->o.u8_low) / m->o.u8_step + 0.5f;
        values[i] = (uint8_t)(f > 255 ? 255 : f > 0 ? (int)f : 0);
        break;
    default: memcpy(values + 4 * i, &f, sizeof f);
    }
}

/* ==== the index ==== */

static size_t mosaic_mem__hash(const int32_t key[4])
{
    uint64_t h = (uint64_t)(uint32_t)key[0] * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29 ^ (uint32_t)key[1]) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 32 ^ (uint32_t)key[2]) * 0x94d049bb133111ebu;
    h = (h ^ h >> 31 ^ (uint32_t)key[3]) * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 24);
}

/* Where an item stands in a table, or the empty place where it would. */
static size_t mosaic_mem__look(const mosaic_mem__table *t, const int32_t key[4])
{
    size_t at = mosaic_mem__hash(key) & (t->size - 1);
    while (t->at[at] && memcmp(mosaic_mem__item(&t->items, t->at[at] - 1), key, 4 * sizeof *key) != 0) at = (at + 1) & (t->size - 1);
    return at;
}

/* Room for `more` items and their places. */
static int mosaic_mem__reserve_table(mosaic_mem__index *x, mosaic_mem__table *t, size_t more)
{
    const size_t wanted = 2 * (t->items.used - t->items.spare + more), old_size = t->size;
    size_t size = t->size ? t->size : 64, i;
    uint32_t *old = t->at, *at;
    if (!mosaic_mem__reserve(x, &t->items, more)) return 0;
    while (size < wanted) size *= 2;
    if (size == t->size) return 1;
    at = (uint32_t *)mosaic_mem__take(x, size * sizeof *at);
    if (!at) return 0;
    memset(at, 0, size * sizeof *at);
    t->at = at;
    t->size = size;
    for (i = 0; i < old_size; i++)
        if (old[i]) at[mosaic_mem__look(t, (const int32_t *)mosaic_mem__item(&t->items, old[i] - 1))] = old[i];
    mosaic_mem__give(x, old, old_size * sizeof *old);
    return 1;
}

/* An item leaves its table (what stands behind it moves up) and its pool. */
static void mosaic_mem__drop(mosaic_mem__table *t, uint32_t item)
{
    const size_t mask = t->size - 1;
    size_t hole = mosaic_mem__look(t, (const int32_t *)mosaic_mem__item(&t->items, item)), at = hole;
    while (t->at[at = (at + 1) & mask]) {
        const size_t home = mosaic_mem__hash((const int32_t *)mosaic_mem__item(&t->items, t->at[at] - 1)) & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue; /* its home lies behind the hole */
        t->at[hole] = t->at[at];
        hole = at;
    }
    t->at[hole] = 0;
    mosaic_mem__recycle(&t->items, item);
}

static void mosaic_mem__empty_table(mosaic_mem__index *x, mosaic_mem__table *t)
{
    mosaic_mem__empty(x, &t->items);
    mosaic_mem__give(x, t->at, t->size * sizeof *t->at);
}

static void mosaic_mem__index_open(mosaic_mem__index *x, const struct mosaic_mem__kernels *kernels, void *malloc_ctx)
{
    x->kernels = kernels;
    x->malloc_ctx = malloc_ctx;
    x->buckets.item = sizeof(mosaic_mem__bucket);
    x->nodes.items.item = sizeof(mosaic_mem__node);
    x->regions = MOSAIC_MEM__NONE;
}

static void mosaic_mem__index_close(mosaic_mem__index *x)
{
    mosaic_mem__empty(x, &x->buckets);
    mosaic_mem__empty_table(x, &x->nodes);
}

static void mosaic_mem__key(double cell, const float centre[3], int32_t key[4])
{
    int i;
    for (i = 0; i < 3; i++) {
        const double k = (double)centre[i] / cell;
        key[i] = (int32_t)(k < -1048575 ? -1048576 : k >= 1048575 ? 1048575 : mosaic_mem__floor(k));
    }
    key[3] = 0;
}

/* The key of what holds it. */
static void mosaic_mem__above(const int32_t key[4], int32_t up[4])
{
    int i;
    for (i = 0; i < 3; i++) up[i] = (key[i] >= 0 ? key[i] : key[i] - 7) / 8; /* towards minus infinity */
    up[3] = key[3] + 1;
}

/* The node of a key, made where there is none. */
static uint32_t mosaic_mem__node_at(mosaic_mem__index *x, const int32_t key[4])
{
    const size_t at = mosaic_mem__look(&x->nodes, key);
    uint32_t *list;
    mosaic_mem__node *n;
    uint32_t i;
    int k;
    if (x->nodes.at[at]) return x->nodes.at[at] - 1;
    i = mosaic_mem__new(&x->nodes.items);
    n = mosaic_mem__node_of(x, i);
    memcpy(n->key, key, sizeof n->key);
    n->child = n->next = n->previous = n->parent = MOSAIC_MEM__NONE;
    for (k = 0; k < 3; k++) n->low[k] = FLT_MAX, n->high[k] = -FLT_MAX;
    x->nodes.at[at] = i + 1;
    list = &x->regions;
    if (key[3] + 1 < MOSAIC_MEM__LEVELS) {
        int32_t up[4];
        mosaic_mem__above(key, up);
        n->parent = mosaic_mem__node_at(x, up);
        list = &mosaic_mem__node_of(x, n->parent)->child;
    }
    n->next = *list;
    if (n->next != MOSAIC_MEM__NONE) mosaic_mem__node_of(x, n->next)->previous = i;
    *list = i;
    return i;
}

/* An empty node leaves its siblings and the table. */
static void mosaic_mem__drop_node(mosaic_mem__index *x, uint32_t i)
{
    const mosaic_mem__node *n = mosaic_mem__node_of(x, i);
    if (n->previous != MOSAIC_MEM__NONE)
        mosaic_mem__node_of(x, n->previous)->next = n->next;
    else if (n->parent != MOSAIC_MEM__NONE)
        mosaic_mem__node_of(x, n->parent)->child = n->next;
    else
        x->regions = n->next;
    if (n->next != MOSAIC_MEM__NONE) mosaic_mem__node_of(x, n->next)->previous = n->previous;
    mosaic_mem__drop(&x->nodes, i);
}

/* Something at a place counts in its cell and all above. */
static void mosaic_mem__widen(mosaic_mem__index *x, uint32_t node, const float centre[3], float radius, uint32_t more)
{
    int k;
    while (node != MOSAIC_MEM__NONE) {
        mosaic_mem__node *n = mosaic_mem__node_of(x, node);
        for (k = 0; k < 3; k++) {
            if (centre[k] < n->low[k]) n->low[k] = centre[k];
            if (centre[k] > n->high[k]) n->high[k] = centre[k];
        }
        if (radius > n->radius) n->radius = radius;
        n->count += more;
        node = n->parent;
    }
}

/* Enters a slot in the cell of `key`; returns where: bucket * 8 + entry. Memory has been reserved. */
static uint32_t mosaic_mem__enter(mosaic_mem__index *x, uint32_t slot, const int32_t key[4], const float centre[3], float radius)
{
    const uint32_t cell = mosaic_mem__node_at(x, key);
    mosaic_mem__node *n = mosaic_mem__node_of(x, cell);
    mosaic_mem__bucket *b;
    if (n->child == MOSAIC_MEM__NONE || mosaic_mem__bucket_of(x, n->child)->used == MOSAIC_MEM__BUCKET) {
        const uint32_t fresh = mosaic_mem__new(&x->buckets);
        b = mosaic_mem__bucket_of(x, fresh);
        b->next = n->child;
        b->node = cell;
        n->child = fresh;
    }
    b = mosaic_mem__bucket_of(x, n->child);
    b->x[b->used] = centre[0], b->y[b->used] = centre[1], b->z[b->used] = centre[2], b->r[b->used] = radius;
    b->slot[b->used] = slot;
    mosaic_mem__widen(x, cell, centre, radius, 1);
    return n->child * MOSAIC_MEM__BUCKET + b->used++;
}

/* Its place is taken by the last entry of the cell's first bucket, whose slot is returned: that one is at `place` now. */
static uint32_t mosaic_mem__leave(mosaic_mem__index *x, uint32_t place)
{
    const uint32_t at = place % MOSAIC_MEM__BUCKET;
    mosaic_mem__bucket *b = mosaic_mem__bucket_of(x, place / MOSAIC_MEM__BUCKET), *first;
    uint32_t i = b->node, up, moved;
    mosaic_mem__node *n = mosaic_mem__node_of(x, i);
    const uint32_t head = n->child;
    first = mosaic_mem__bucket_of(x, head);
    MOSAIC_MEM_ASSERT(first->used > 0);
    first->used--;
    b->x[at] = first->x[first->used], b->y[at] = first->y[first->used], b->z[at] = first->z[first->used], b->r[at] = first->r[first->used];
    b->slot[at] = moved = first->slot[first->used];
    if (first->used == 0) {
        n->child = first->next;
        mosaic_mem__recycle(&x->buckets, head);
    }
    for (; i != MOSAIC_MEM__NONE; i = up) {
        n = mosaic_mem__node_of(x, i);
        up = n->parent;
        if (--n->count == 0) mosaic_mem__drop_node(x, i);
    }
    return moved;
}

static uint32_t *mosaic_mem__place_of(const mosaic_mem *m, uint32_t slot) { return &mosaic_mem__chunk_of(m, slot)->place[slot % MOSAIC_MEM__CHUNK]; }

/* A patch into the index of its store, and out of it. */
static void mosaic_mem__index_patch(mosaic_mem *m, uint32_t slot, const float centre[3], float radius)
{
    int32_t key[4];
    mosaic_mem__key(m->x.cell, centre, key);
    *mosaic_mem__place_of(m, slot) = mosaic_mem__enter(&m->x, slot, key, centre, radius);
}

static void mosaic_mem__unindex_patch(mosaic_mem *m, uint32_t slot)
{
    const uint32_t place = *mosaic_mem__place_of(m, slot);
    *mosaic_mem__place_of(m, mosaic_mem__leave(&m->x, place)) = place;
}

/* Where patches are looked for: within planes (n x + d >= -r, n pointing inwards), or in a ball of centres when there are none. */
typedef struct mosaic_mem__volume {
    int planes;
    double plane[6][4];
    double centre[3], radius2;
} mosaic_mem__volume;

typedef struct mosaic_mem__gemm {
    const float *a, *b;
    float *c;
    size_t lda, ldb, ldc;
    int m, n, k;
} mosaic_mem__gemm;

struct mosaic_mem__search;

typedef struct mosaic_mem__kernels {
    int lanes;
    /* The geometry of one candidate of a query: its tokens' cells, and its plane into the z-buffer. */
    void (*place)(struct mosaic_mem__search *q, size_t index);
    /* Which entries of a bucket are in the volume, as bits. */
    unsigned (*cull)(const mosaic_mem__bucket *b, const mosaic_mem__volume *v);
    /* C = A B: each element is one chain of fused multiply-adds from 0, in the order of k. n is a multiple of 16. */
    void (*gemm)(const mosaic_mem__gemm *g);
    /* x[i] = e^(x[i] - the largest), and their sum in 16 interleaved chains; n is a multiple of 16. x may be -infinity, not all of them. */
    float (*softmax)(float *x, int n);
} mosaic_mem__kernels;

static const mosaic_mem__kernels *mosaic_mem__kernels_for(int simd);

/* Whether a node may hold something of the volume. */
static int mosaic_mem__touches(const mosaic_mem__node *n, const mosaic_mem__volume *v)
{
    int k, c;
    if (v->planes == 0) {
        double d2 = 0;
        for (c = 0; c < 3; c++) {
            const double d = v->centre[c] < (double)n->low[c]    ? (double)n->low[c] - v->centre[c]
                             : v->centre[c] > (double)n->high[c] ? v->centre[c] - (double)n->high[c]
                                                                 : 0;
            d2 += d * d;
        }
        return d2 <= v->radius2;
    }
    for (k = 0; k < v->planes; k++) {
        const double *p = v->plane[k];
        double d = p[3];
        for (c = 0; c < 3; c++) d += p[c] * (double)(p[c] > 0 ? n->high[c] : n->low[c]);
        /* A hair wider than the test of the patches, which adds up in another order. */
        if (d < -(double)n->radius * 1.000001 - 1e-9) return 0;
    }
    return 1;
}

/* Room for `size` bytes in one of a scratch's two areas; what is in it stays when `keep`. */
static int mosaic_mem__room(const mosaic_mem__index *x, mosaic_mem_scratch *s, int area, size_t size, int keep)
{
    void *p;
    size_t room = size;
    if (s->size[area] >= size) return 1;
    if (room < 2 * s->size[area]) room = 2 * s->size[area];
    p = MOSAIC_MEM_MALLOC(x->malloc_ctx, room);
    if (!p) return 0;
    if (keep && s->size[area]) memcpy(p, s->area[area], s->size[area]);
    if (s->area[area]) MOSAIC_MEM_FREE(s->malloc_ctx, s->area[area]);
    s->malloc_ctx = x->malloc_ctx;
    s->area[area] = p;
    s->size[area] = room;
    return 1;
}

MOSAIC_MEM_API void mosaic_mem_scratch_free(mosaic_mem_scratch *scratch)
{
    int i;
    if (!scratch) return;
    for (i = 0; i < 2; i++) {
        if (scratch->area[i]) MOSAIC_MEM_FREE(scratch->malloc_ctx, scratch->area[i]);
        scratch->area[i] = NULL;
        scratch->size[i] = 0;
    }
}

/* The places in the index of all that is in a volume, to area 0, in no order that counts. */
static mosaic_mem_result mosaic_mem__gather(const mosaic_mem__index *x, const mosaic_mem__volume *v, mosaic_mem_scratch *s, size_t *found)
{
    uint32_t *out = (uint32_t *)s->area[0];
    size_t n = 0, room = s->size[0] / sizeof *out;
    uint32_t region, block, cell, i;
    for (region = x->regions; region != MOSAIC_MEM__NONE; region = mosaic_mem__node_of(x, region)->next) {
        if (!mosaic_mem__touches(mosaic_mem__node_of(x, region), v)) continue;
        for (block = mosaic_mem__node_of(x, region)->child; block != MOSAIC_MEM__NONE; block = mosaic_mem__node_of(x, block)->next) {
            uint32_t waiting[MOSAIC_MEM__CELLS]; /* the first buckets of its cells, on their way to the processor while others are looked at */
            size_t most = 0;
            int count = 0, at;
            if (!mosaic_mem__touches(mosaic_mem__node_of(x, block), v)) continue;
            for (cell = mosaic_mem__node_of(x, block)->child; cell != MOSAIC_MEM__NONE; cell = mosaic_mem__node_of(x, cell)->next) {
                const mosaic_mem__node *node = mosaic_mem__node_of(x, cell);
                const char *bucket = (const char *)mosaic_mem__bucket_of(x, node->child);
                if (node->next != MOSAIC_MEM__NONE) MOSAIC_MEM__SOON(mosaic_mem__node_of(x, node->next));
                if (!mosaic_mem__touches(node, v)) continue;
                MOSAIC_MEM__SOON(bucket);
                MOSAIC_MEM__SOON(bucket + 64);
                MOSAIC_MEM__SOON(bucket + 128);
                waiting[count++] = node->child;
                most += node->count;
            }
            if (n + most > room) {
                if (!mosaic_mem__room(x, s, 0, (n + most) * sizeof *out, 1)) return MOSAIC_MEM_ERROR_MEMORY;
                out = (uint32_t *)s->area[0];
                room = s->size[0] / sizeof *out;
            }
            for (at = 0; at < count; at++)
                for (i = waiting[at]; i != MOSAIC_MEM__NONE; i = mosaic_mem__bucket_of(x, i)->next) {
                    const mosaic_mem__bucket *b = mosaic_mem__bucket_of(x, i);
                    const unsigned in = x->kernels->cull(b, v);
                    uint32_t k;
                    for (k = 0; k < b->used; k++)
                        if (in >> k & 1) out[n++] = i * MOSAIC_MEM__BUCKET + k;
                }
        }
    }
    *found = n;
    return MOSAIC_MEM_OK;
}

static const mosaic_mem__bucket *mosaic_mem__entry(const mosaic_mem *m, uint32_t slot, uint32_t *at)
{
    const uint32_t place = *mosaic_mem__place_of(m, slot);
    *at = place % MOSAIC_MEM__BUCKET;
    return mosaic_mem__bucket_of(&m->x, place / MOSAIC_MEM__BUCKET);
}

/* ==== the geometry of a patch ==== */

/* Where a tile lies in its picture: tokens x0 ... x0 + cols - 1, and pixels. */
typedef struct mosaic_mem__tile {
    int x0, y0, cols, rows;
    double rect[4];
} mosaic_mem__tile;

static mosaic_mem__tile mosaic_mem__tile_of(const mosaic_mem *m, const mosaic_mem__frame *f, uint32_t tile)
{
    const uint32_t across = (uint32_t)f->across;
    mosaic_mem__tile t;
    t.x0 = (int)(tile % across) * m->o.tile_width;
    t.y0 = (int)(tile / across) * m->o.tile_height;
    t.cols = f->cols - t.x0 < m->o.tile_width ? f->cols - t.x0 : m->o.tile_width;
    t.rows = f->rows - t.y0 < m->o.tile_height ? f->rows - t.y0 : m->o.tile_height;
    t.rect[0] = t.x0 * f->step[0];
    t.rect[1] = t.y0 * f->step[1];
    t.rect[2] = t.cols * f->step[0];
    t.rect[3] = t.rows * f->step[1];
    return t;
}

/* What follows from the rest of a picture. */
static void mosaic_mem__prepare(const mosaic_mem *m, mosaic_mem__frame *f)
{
    f->across = (f->cols + m->o.tile_width - 1) / m->o.tile_width;
    f->step[0] = (double)f->view.camera.width / f->cols, f->step[1] = (double)f->view.camera.height / f->rows;
    f->inverse[0] = 1 / f->view.camera.fx, f->inverse[1] = 1 / f->view.camera.fy;
}

/* Unit vectors in two times 16 bits: an octahedron, unfolded; (0, 0, 1) is exact. */
static void mosaic_mem__pack_normal(const double n[3], uint16_t out[2])
{
    const double sum = ((n[0] < 0 ? -n[0] : n[0]) + (n[1] < 0 ? -n[1] : n[1])) + (n[2] < 0 ? -n[2] : n[2]);
    double x = n[0] / sum, y = n[1] / sum;
    if (n[2] < 0) {
        const double a = (1 - (y < 0 ? -y : y)) * (x < 0 ? -1 : 1), b = (1 - (x < 0 ? -x : x)) * (y < 0 ? -1 : 1);
        x = a, y = b;
    }
    out[0] = (uint16_t)(int)(x * 32767 + 32767.5);
    out[1] = (uint16_t)(int)(y * 32767 + 32767.5);
}

static void mosaic_mem__unpack_normal(const uint16_t in[2], double n[3])
{
    double x = ((double)in[0] - 32767) / 32767, y = ((double)in[1] - 32767) / 32767;
    n[2] = (1 - (x < 0 ? -x : x)) - (y < 0 ? -y : y);
    if (n[2] < 0) {
        const double a = (1 - (y < 0 ? -y : y)) * (x < 0 ? -1 : 1), b = (1 - (x < 0 ? -x : x)) * (y < 0 ? -1 : 1);
        x = a, y = b;
    }
    n[0] = x, n[1] = y;
    mosaic_mem__unit(n, 0);
}

/* The corners of a rectangle of the picture, round about, on the plane of a token or patch through `point` with normal n, all in the camera. Rays that
   run along the plane stop at the depth of the point. Coordinates in rows of four, as in all that follows: these loops become vectors. */
MOSAIC_MEM__INLINE void mosaic_mem__corners(const mosaic_mem_camera *c, const double rect[4], const double point[3], const double n[3],
                                            double out[3][4])
{
    const double right = rect[0] + rect[2], bottom = rect[1] + rect[3], k = mosaic_mem__dot(n, point);
    const double u[4] = {rect[0], right, right, rect[0]}, v[4] = {rect[1], rect[1], bottom, bottom};
    int i;
    for (i = 0; i < 4; i++) {
        const double x = (u[i] - c->cx) / c->fx, y = (v[i] - c->cy) / c->fy, along = (n[0] * x + n[1] * y) + n[2], there = k / along;
        const double z = along * point[2] > 0.25 * k ? there : point[2]; /* less than four times as far */
        out[0][i] = x * z, out[1][i] = y * z, out[2][i] = z;
    }
}

/* Four points to where a transform takes them. */
MOSAIC_MEM__INLINE void mosaic_mem__apply_four(const double m[12], double p[3][4])
{
    int i;
    for (i = 0; i < 4; i++) {
        const double x = p[0][i], y = p[1][i], z = p[2][i];
        p[0][i] = ((m[0] * x + m[1] * y) + m[2] * z) + m[3];
        p[1][i] = ((m[4] * x + m[5] * y) + m[6] * z) + m[7];
        p[2][i] = ((m[8] * x + m[9] * y) + m[10] * z) + m[11];
    }
}

static void mosaic_mem__token_rect(const mosaic_mem__tile *t, int x, int y, double rect[4])
{
    rect[2] = t->rect[2] / t->cols, rect[3] = t->rect[3] / t->rows;
    rect[0] = t->rect[0] + x * rect[2], rect[1] = t->rect[1] + y * rect[3];
}

static void mosaic_mem__token_point(const mosaic_mem_camera *c, const mosaic_mem__tile *t, int x, int y, double z, double out[3])
{
    double rect[4];
    mosaic_mem__token_rect(t, x, y, rect);
    mosaic_mem__lift(c, rect[0] + 0.5 * rect[2], rect[1] + 0.5 * rect[3], z, out);
}

/* What follows from picture, tile, depths, normal and edit: the ball that is indexed, and the level. 0 when it is not finite. */
static int mosaic_mem__derive(const mosaic_mem *m, const mosaic_mem__frame *f, uint32_t tile, double depth, const uint16_t normal[2],
                              const float *depths, const double edit[12], float centre[3], float *radius, int8_t *level)
{
    const mosaic_mem__tile t = mosaic_mem__tile_of(m, f, tile);
    const mosaic_mem_camera *c = &f->view.camera;
    double n[3], point[3], corner[3][4], world[3], r2 = 0, across, grow = 0, row, r;
    uint64_t bits;
    int i, j, x, y;
    mosaic_mem__unpack_normal(normal, n);
    mosaic_mem__lift(c, t.rect[0] + 0.5 * t.rect[2], t.rect[1] + 0.5 * t.rect[3], depth, point);
    mosaic_mem__corners(c, t.rect, point, n, corner);
    for (i = 0; i < 4; i++) {
        double d[3];
        for (j = 0; j < 3; j++) d[j] = corner[j][i] - point[j];
        if (mosaic_mem__dot(d, d) > r2) r2 = mosaic_mem__dot(d, d);
    }
    for (y = 0; y < t.rows; y++)
        for (x = 0; x < t.cols; x++) {
            const double z = (double)depths[y * t.cols + x];
            double d[3];
            if (!(z > 0)) continue;
            mosaic_mem__token_point(c, &t, x, y, z, d);
            for (j = 0; j < 3; j++) d[j] -= point[j];
            if (mosaic_mem__dot(d, d) > r2) r2 = mosaic_mem__dot(d, d);
        }
    /* No vector grows by more than the root of the largest sum of a row of A' A. */
    for (i = 0; i < 3; i++) {
        row = 0;
        for (j = 0; j < 3; j++) {
            const double d = (edit[i] * edit[j] + edit[4 + i] * edit[4 + j]) + edit[8 + i] * edit[8 + j];
            row += d < 0 ? -d : d;
        }
        if (row > grow) grow = row;
    }
    grow = mosaic_mem__root(grow);
    mosaic_mem__to_world(&f->view.pose, point, world);
    mosaic_mem__apply(edit, world, world);
    r = mosaic_mem__root(r2) * grow * 1.0000005; /* so that the float32 is not too small */
    for (i = 0; i < 3; i++)
        if (!(world[i] > -1e30 && world[i] < 1e30)) return 0;
    if (!(r < 1e30)) return 0;
    for (i = 0; i < 3; i++) centre[i] = (float)world[i];
    *radius = (float)r;
    across = t.rect[2] / c->fx > t.rect[3] / c->fy ? t.rect[2] / c->fx : t.rect[3] / c->fy;
    across *= 0.5 * depth * grow;
    if (!(across > 1e-30)) across = 1e-30;
    memcpy(&bits, &across, sizeof bits);
    *level = (int8_t)((int)(bits >> 52) - 1023 + ((bits & 0xfffffffffffffu) > 0x6a09e667f3bcdu)); /* the mantissa of the root of 2 */
    return 1;
}

/* The normal in the world, towards the side the patch was seen from. */
static void mosaic_mem__world_normal(const mosaic_mem__frame *f, const uint16_t packed[2], const double edit[12], double out[3])
{
    double n[3], w[3], c[9];
    const double det = mosaic_mem__cofactors(edit, c);
    int i;
    mosaic_mem__unpack_normal(packed, n);
    mosaic_mem__turn_back(&f->view.pose, n, w);
    for (i = 0; i < 3; i++) out[i] = -mosaic_mem__dot(c + 3 * i, w) * (det < 0 ? -1 : 1);
    mosaic_mem__unit(out, 0);
}

/* ==== open, close, look ==== */

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_open(const mosaic_mem_options *options, mosaic_mem **memory)
{
    mosaic_mem_options o;
    mosaic_mem *m;
    const mosaic_mem__kernels *kernels;
    if (!memory) return MOSAIC_MEM_ERROR_NULL;
    *memory = NULL;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    if (o.tile_width == 0) o.tile_width = 2;
    if (o.tile_height == 0) o.tile_height = 2;
    if (o.max_patches == 0) o.max_patches = (size_t)1 << MOSAIC_MEM__SLOT_BITS;
    if (!(o.u8_step < 0 || o.u8_step > 0)) o.u8_step = 1 / 255.0f;
    if (o.merge_distance == 0) o.merge_distance = 0.5;
    if (o.merge_cosine == 0) o.merge_cosine = 0.8;
    if (o.recent == 0) o.recent = 60;
    if (o.weight_confidence == 0 && o.weight_hits == 0 && o.weight_recent == 0 && o.weight_rare == 0)
        o.weight_confidence = o.weight_hits = 1, o.weight_recent = 0.5, o.weight_rare = 2;
    if (o.tile_width < 1 || o.tile_width > 16 || o.tile_height < 1 || o.tile_height > 16 || o.channels < 0 || o.channels > 4096 || o.tags < 0 ||
        o.tags > 16)
        return MOSAIC_MEM_ERROR_OPTION;
    if ((unsigned)o.type > MOSAIC_MEM_U8 || (unsigned)o.policy > MOSAIC_MEM_CALLBACK || (o.policy == MOSAIC_MEM_CALLBACK && !o.worth) ||
        o.max_patches > (size_t)1 << MOSAIC_MEM__SLOT_BITS || !(o.merge_distance <= 4) || !(o.merge_cosine <= 1) || !(o.contradiction >= 0) ||
        !(o.recent > 0))
        return MOSAIC_MEM_ERROR_OPTION;
    if (!(o.cell >= 0 && o.cell < 1e30) || !mosaic_mem__finite((double)o.u8_low) || !mosaic_mem__finite((double)o.u8_step) ||
        !mosaic_mem__finite(((o.weight_confidence + o.weight_hits) + o.weight_recent) + o.weight_rare))
        return MOSAIC_MEM_ERROR_NUMBER;
    kernels = mosaic_mem__kernels_for(o.simd);
    if (!kernels) return o.simd < 0 || o.simd > 4 ? MOSAIC_MEM_ERROR_OPTION : MOSAIC_MEM_ERROR_SIMD;
    m = (mosaic_mem *)MOSAIC_MEM_MALLOC(o.malloc_ctx, sizeof *m);
    if (!m) return MOSAIC_MEM_ERROR_MEMORY;
    memset(m, 0, sizeof *m);
    m->o = o;
    mosaic_mem__index_open(&m->x, kernels, o.malloc_ctx);
    m->x.bytes = sizeof *m;
    m->x.cell = o.cell;
    m->tokens = (size_t)(o.tile_width * o.tile_height);
    m->value_size = o.type == MOSAIC_MEM_U8 ? 1 : o.type == MOSAIC_MEM_F16 ? 2 : 4;
    m->chunk_size = MOSAIC_MEM__CHUNK * m->tokens * (sizeof(float) + (size_t)o.channels * m->value_size + (size_t)o.tags * sizeof(uint32_t)) +
                    sizeof(mosaic_mem__chunk);
    m->frames.item = sizeof(mosaic_mem__frame);
    m->edits.item = sizeof(mosaic_mem__edit);
    if (!mosaic_mem__reserve(&m->x, &m->edits, 1)) {
        mosaic_mem_close(m);
        return MOSAIC_MEM_ERROR_MEMORY;
    }
    memcpy(mosaic_mem__edit_of(m, mosaic_mem__new(&m->edits))->affine, mosaic_mem__identity, sizeof mosaic_mem__identity);
    mosaic_mem__edit_of(m, 0)->refs = 1;
    *memory = m;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API void mosaic_mem_close(mosaic_mem *memory)
{
    mosaic_mem *m = memory;
    size_t i;
    void *ctx;
    if (!m) return;
    ctx = m->o.malloc_ctx;
    for (i = 0; i < m->chunks; i++) mosaic_mem__give(&m->x, m->chunk[i], m->chunk_size);
    mosaic_mem__give(&m->x, m->chunk, m->chunks * sizeof *m->chunk);
    mosaic_mem__empty(&m->x, &m->frames);
    mosaic_mem__empty(&m->x, &m->edits);
    mosaic_mem__index_close(&m->x);
    mosaic_mem_scratch_free(&m->scratch);
    MOSAIC_MEM_FREE(ctx, m);
    (void)ctx;
}

MOSAIC_MEM_API size_t mosaic_mem_count(const mosaic_mem *memory) { return memory ? memory->count : 0; }
MOSAIC_MEM_API size_t mosaic_mem_bytes(const mosaic_mem *memory)
{
    return memory ? memory->x.bytes + memory->scratch.size[0] + memory->scratch.size[1] : 0;
}

static void mosaic_mem__describe(const mosaic_mem *m, uint32_t slot, mosaic_mem_info *info)
{
    const mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, slot);
    const uint32_t i = slot % MOSAIC_MEM__CHUNK;
    const mosaic_mem__frame *f = mosaic_mem__frame_of(m, c->frame[i]);
    const double *edit = mosaic_mem__edit_of(m, c->edit[i])->affine;
    const mosaic_mem__tile t = mosaic_mem__tile_of(m, f, c->tile[i]);
    uint32_t at;
    const mosaic_mem__bucket *b = mosaic_mem__entry(m, slot, &at);
    double point[3];
    memset(info, 0, sizeof *info);
    info->id = c->id[i];
    info->frame = f->frame;
    info->time = c->time[i];
    mosaic_mem__lift(&f->view.camera, t.rect[0] + 0.5 * t.rect[2], t.rect[1] + 0.5 * t.rect[3], (double)c->depth[i], point);
    mosaic_mem__to_world(&f->view.pose, point, point);
    mosaic_mem__apply(edit, point, info->centre);
    info->radius = (double)b->r[at];
    mosaic_mem__world_normal(f, c->normal[i], edit, info->normal);
    info->depth = (double)c->depth[i];
    memcpy(info->rect, t.rect, sizeof t.rect);
    info->confidence = (double)c->confidence[i];
    info->view = f->view;
    memcpy(info->transform, edit, sizeof info->transform);
    info->hits = c->hits[i];
    info->tick = c->tick[i];
    info->level = c->level[i];
    info->cols = t.cols;
    info->rows = t.rows;
    info->pinned = c->flags[i] & MOSAIC_MEM__PINNED;
    info->neighbours = (int)mosaic_mem__node_of(&m->x, b->node)->count;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_describe(const mosaic_mem *memory, uint64_t id, mosaic_mem_info *info)
{
    uint32_t slot;
    if (!memory || !info) return MOSAIC_MEM_ERROR_NULL;
    slot = mosaic_mem__find(memory, id);
    if (slot == MOSAIC_MEM__NONE) return MOSAIC_MEM_ERROR_PATCH;
    mosaic_mem__describe(memory, slot, info);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_read(const mosaic_mem *memory, uint64_t id, float *values, float *depths, uint32_t *tags)
{
    const mosaic_mem *m = memory;
    mosaic_mem_info info;
    const mosaic_mem_result result = mosaic_mem_describe(memory, id, &info);
    size_t tokens, i;
    uint32_t slot;
    if (result != MOSAIC_MEM_OK) return result;
    slot = mosaic_mem__find(m, id);
    tokens = (size_t)(info.cols * info.rows);
    for (i = 0; values && i < tokens * (size_t)m->o.channels; i++) values[i] = mosaic_mem__get(m, mosaic_mem__values(m, slot), i);
    if (depths) memcpy(depths, mosaic_mem__depths(m, slot), tokens * sizeof *depths);
    if (tags && m->o.tags) memcpy(tags, mosaic_mem__tags(m, slot), tokens * (size_t)m->o.tags * sizeof *tags);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API uint64_t mosaic_mem_next(const mosaic_mem *memory, uint64_t after)
{
    uint64_t best = 0;
    size_t c;
    int i;
    for (c = 0; memory && c < memory->chunks; c++)
        for (i = 0; memory->chunk[c] && i < MOSAIC_MEM__CHUNK; i++) {
            const uint64_t id = memory->chunk[c]->id[i];
            if (id > after && (best == 0 || id < best)) best = id;
        }
    return best;
}

/* ==== remove and evict ==== */

static void mosaic_mem__release(mosaic_mem *m, uint32_t frame, uint32_t edit)
{
    if (--mosaic_mem__frame_of(m, frame)->refs == 0) mosaic_mem__recycle(&m->frames, frame);
    if (edit && --mosaic_mem__edit_of(m, edit)->refs == 0) mosaic_mem__recycle(&m->edits, edit);
}

static void mosaic_mem__remove(mosaic_mem *m, uint32_t slot)
{
    mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, slot);
    const uint32_t i = slot % MOSAIC_MEM__CHUNK;
    mosaic_mem__unindex_patch(m, slot);
    mosaic_mem__release(m, c->frame[i], c->edit[i]);
    c->id[i] = 0;
    m->count--;
    if (slot < m->lowest) m->lowest = slot;
}

static int mosaic_mem__near_below(const mosaic_mem_near *a, const mosaic_mem_near *b)
{
    return a->distance < b->distance || (a->distance == b->distance && a->id < b->id);
}

/* The k least to the front, in no order: Hoare's FIND, about the middle one of three. All differ. */
static void mosaic_mem__least(mosaic_mem_near *a, size_t count, size_t k)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)count - 1;
    const ptrdiff_t border = (ptrdiff_t)k - 1;
    while (border >= 0 && low < high) {
        const mosaic_mem_near *x = a + low, *y = a + low + (high - low) / 2, *z = a + high, *t;
        mosaic_mem_near p, swap;
        ptrdiff_t i = low, j = high;
        if (mosaic_mem__near_below(y, x)) t = x, x = y, y = t;
        if (mosaic_mem__near_below(z, y)) y = mosaic_mem__near_below(z, x) ? x : z;
        p = *y;
        while (i <= j) {
            while (mosaic_mem__near_below(&a[i], &p)) i++;
            while (mosaic_mem__near_below(&p, &a[j])) j--;
            if (i <= j) swap = a[i], a[i++] = a[j], a[j--] = swap;
        }
        if (border <= j)
            high = j;
        else if (border >= i)
            low = i;
        else
            break;
    }
}

static double mosaic_mem__worth(const mosaic_mem *m, const mosaic_mem__chunk *c, uint32_t i)
{
    const mosaic_mem_options *o = &m->o;
    const double confidence = (double)c->confidence[i], hits = c->hits[i], age = m->newest - c->time[i];
    uint32_t at;
    switch (o->policy) {
    case MOSAIC_MEM_FIFO: return 0;
    case MOSAIC_MEM_LRU: return c->tick[i];
    case MOSAIC_MEM_CALLBACK: {
        mosaic_mem_info info;
        double worth;
        mosaic_mem__describe(m, (uint32_t)(c->id[i] & ((1u << MOSAIC_MEM__SLOT_BITS) - 1)), &info);
        worth = o->worth(o->worth_ctx, &info);
        return worth == worth ? worth : 0;
    }
    default: break;
    }
    {
        const mosaic_mem__bucket *b = mosaic_mem__entry(m, (uint32_t)(c->id[i] & ((1u << MOSAIC_MEM__SLOT_BITS) - 1)), &at);
        const double rare = 16 / (16 + (double)mosaic_mem__node_of(&m->x, b->node)->count); /* a surface seen once has some 16 in a cell */
        return ((o->weight_confidence * (confidence / (confidence + 1)) + o->weight_hits * (hits / (hits + 4))) +
                o->weight_recent / (1 + (age > 0 ? age : 0) / o->recent)) +
               o->weight_rare * rare;
    }
}

/* Frees at least `wanted` places, or as many as can be, an eighth of the budget at best. Area 1 of the scratch has room for all ranks. */
static size_t mosaic_mem__evict(mosaic_mem *m, size_t wanted)
{
    mosaic_mem_near *rank = (mosaic_mem_near *)m->scratch.area[1];
    size_t n = 0, c, k = m->o.max_patches / 8;
    uint32_t i;
    for (c = 0; c < m->chunks; c++)
        for (i = 0; m->chunk[c] && i < MOSAIC_MEM__CHUNK; i++)
            if (m->chunk[c]->id[i] && !(m->chunk[c]->flags[i] & MOSAIC_MEM__PINNED)) {
                rank[n].distance = mosaic_mem__worth(m, m->chunk[c], i);
                rank[n++].id = m->chunk[c]->id[i];
            }
    if (k < wanted) k = wanted;
    if (k > n) k = n;
    mosaic_mem__least(rank, n, k);
    for (c = 0; c < k; c++) mosaic_mem__remove(m, mosaic_mem__find(m, rank[c].id));
    return k;
}

/* The lowest free slot; its chunk is there. */
static uint32_t mosaic_mem__free_slot(mosaic_mem *m)
{
    while (mosaic_mem__live(m, m->lowest)) m->lowest++;
    return m->lowest;
}

/* ==== insert ==== */

/* A tile that is to become a patch. */
typedef struct mosaic_mem__fresh {
    float centre[3], radius, depth;
    uint16_t normal[2];
    int8_t level;
    uint32_t tile, into; /* the slot it is merged into, or NONE */
} mosaic_mem__fresh;

/* What the index needs at most when these come, one after the other. `across` of them lie side by side in a picture, so that most have the cell of
   the one before or above. */
static int mosaic_mem__reserve_index(mosaic_mem__index *x, const mosaic_mem__fresh *fresh, size_t count, size_t across, double cell)
{
    size_t nodes = 0, cells = 0, i;
    for (i = 0; i < count; i++) {
        int32_t key[4], left[4], top[4];
        mosaic_mem__key(cell, fresh[i].centre, key);
        mosaic_mem__key(cell, fresh[i ? i - 1 : 0].centre, left);
        mosaic_mem__key(cell, fresh[i >= across ? i - across : 0].centre, top);
        while (key[3] < MOSAIC_MEM__LEVELS) {
            if (i && (memcmp(key, left, sizeof key) == 0 || memcmp(key, top, sizeof key) == 0)) break; /* and all above */
            cells += key[3] == 0;
            nodes += x->nodes.size == 0 || x->nodes.at[mosaic_mem__look(&x->nodes, key)] == 0;
            mosaic_mem__above(key, key), mosaic_mem__above(left, left), mosaic_mem__above(top, top);
        }
    }
    return mosaic_mem__reserve(x, &x->buckets, count / MOSAIC_MEM__BUCKET + cells) && mosaic_mem__reserve_table(x, &x->nodes, nodes);
}

/* All that may fail when patches come. */
static int mosaic_mem__reserve_patches(mosaic_mem *m, const mosaic_mem__fresh *fresh, size_t count, size_t across, double cell)
{
    size_t slot = m->lowest, found = 0;
    if (!mosaic_mem__reserve_index(&m->x, fresh, count, across, cell)) return 0;
    if (count > m->o.max_patches) count = m->o.max_patches;
    for (; found < count; slot++) {
        if (mosaic_mem__live(m, slot)) continue;
        if (!mosaic_mem__need_chunk(m, slot)) return 0;
        found++;
    }
    return 1;
}

/* The depth under a point of the picture; 0 when it is not known. */
static float mosaic_mem__depth_at(const mosaic_mem_keyframe *k, double u, double v)
{
    const int w = k->depth_width ? k->depth_width : k->view.camera.width, h = k->depth_height ? k->depth_height : k->view.camera.height;
    int x = (int)(u * w / k->view.camera.width), y = (int)(v * h / k->view.camera.height);
    float z;
    if (x > w - 1) x = w - 1;
    if (y > h - 1) y = h - 1;
    z = k->depth[(size_t)y * (k->depth_stride ? k->depth_stride : (size_t)w) + (size_t)x];
    return z > 1e-6f && z < 1e9f ? z : 0;
}

/* The normal of the surface in the camera, pointing away from it. 1 / z is linear in u and v on a plane: from depths at the borders of the
   tile. Towards the camera where these say nothing: unknown, too different, or a surface seen from its edge. */
static void mosaic_mem__surface(const mosaic_mem_keyframe *k, const mosaic_mem__tile *t, double z, double n[3])
{
    const mosaic_mem_camera *c = &k->view.camera;
    const double u = t->rect[0] + 0.5 * t->rect[2], v = t->rect[1] + 0.5 * t->rect[3], x = (u - c->cx) / c->fx, y = (v - c->cy) / c->fy;
    double slope[2], d[3];
    int i;
    n[0] = n[1] = 0, n[2] = 1;
    for (i = 0; i < 2; i++) {
        const double half = 0.5 * t->rect[2 + i], size = i ? c->height : c->width, at = i ? v : u;
        /* Samples lie at the centres of the depths they come from. */
        const double scale = i ? (k->depth_height ? k->depth_height : c->height) / size : (k->depth_width ? k->depth_width : c->width) / size;
        double low = at - half < 0 ? 0 : at - half, high = at + half > size - 0.5 / scale ? size - 0.5 / scale : at + half, z0, z1;
        low = (mosaic_mem__floor(low * scale) + 0.5) / scale;
        high = (mosaic_mem__floor(high * scale) + 0.5) / scale;
        z0 = (double)(i ? mosaic_mem__depth_at(k, u, low) : mosaic_mem__depth_at(k, low, v));
        z1 = (double)(i ? mosaic_mem__depth_at(k, u, high) : mosaic_mem__depth_at(k, high, v));
        if (!(z0 > 0.75 * z && z0 < 1.33 * z && z1 > 0.75 * z && z1 < 1.33 * z) || !(high > low)) return;
        slope[i] = (1 / z1 - 1 / z0) / (high - low) * (i ? c->fy : c->fx);
    }
    d[0] = slope[0], d[1] = slope[1], d[2] = (1 / z - slope[0] * x) - slope[1] * y;
    if (mosaic_mem__unit(d, 1e-30) == 0) return;
    if ((d[0] * x + d[1] * y) + d[2] < 0.1 * mosaic_mem__root((x * x + y * y) + 1)) return;
    memcpy(n, d, sizeof d);
}

/* The patch that the new one can be merged into: of all that qualify the nearest, ties by id. */
static uint32_t mosaic_mem__merge_target(const mosaic_mem *m, const mosaic_mem__frame *f, const mosaic_mem__fresh *p)
{
    const double reach = m->o.merge_distance * (double)p->radius;
    const mosaic_mem__tile t = mosaic_mem__tile_of(m, f, p->tile);
    uint32_t best = MOSAIC_MEM__NONE;
    double best_d2 = reach * reach, normal[3];
    float corner[3];
    int32_t low[4], high[4], key[4];
    int i;
    if (!(reach > 0) || m->count == 0 || !(reach < m->x.cell)) return best;
    mosaic_mem__world_normal(f, p->normal, mosaic_mem__identity, normal);
    for (i = 0; i < 3; i++) corner[i] = (float)((double)p->centre[i] - reach);
    mosaic_mem__key(m->x.cell, corner, low);
    for (i = 0; i < 3; i++) corner[i] = (float)((double)p->centre[i] + reach);
    mosaic_mem__key(m->x.cell, corner, high);
    key[3] = 0;
    for (key[0] = low[0]; key[0] <= high[0]; key[0]++)
        for (key[1] = low[1]; key[1] <= high[1]; key[1]++)
            for (key[2] = low[2]; key[2] <= high[2]; key[2]++) {
                const uint32_t node = m->x.nodes.at[mosaic_mem__look(&m->x.nodes, key)];
                uint32_t b = node ? mosaic_mem__node_of(&m->x, node - 1)->child : MOSAIC_MEM__NONE, k;
                while (b != MOSAIC_MEM__NONE) {
                    const mosaic_mem__bucket *bucket = mosaic_mem__bucket_of(&m->x, b);
                    for (k = 0; k < bucket->used; k++) {
                        const double d[3] = {(double)bucket->x[k] - (double)p->centre[0], (double)bucket->y[k] - (double)p->centre[1],
                                             (double)bucket->z[k] - (double)p->centre[2]};
                        const double d2 = mosaic_mem__dot(d, d);
                        const mosaic_mem__chunk *c;
                        const mosaic_mem__frame *of;
                        mosaic_mem__tile other;
                        double n[3];
                        uint32_t at;
                        if (d2 > best_d2) continue;
                        c = mosaic_mem__chunk_of(m, bucket->slot[k]);
                        at = bucket->slot[k] % MOSAIC_MEM__CHUNK;
                        if (best != MOSAIC_MEM__NONE && d2 == best_d2 && c->id[at] > mosaic_mem__chunk_of(m, best)->id[best % MOSAIC_MEM__CHUNK])
                            continue;
                        if (c->level[at] != p->level || c->edit[at]) continue;
                        of = mosaic_mem__frame_of(m, c->frame[at]);
                        other = mosaic_mem__tile_of(m, of, c->tile[at]);
                        if (other.cols != t.cols || other.rows != t.rows) continue;
                        mosaic_mem__world_normal(of, c->normal[at], mosaic_mem__identity, n);
                        if (mosaic_mem__dot(n, normal) < m->o.merge_cosine) continue;
                        best = bucket->slot[k];
                        best_d2 = d2;
                    }
                    b = bucket->next;
                }
            }
    return best;
}

static const float *mosaic_mem__given(const mosaic_mem *m, const mosaic_mem_keyframe *k, const mosaic_mem__tile *t, int x, int y)
{
    return k->values + ((size_t)(t->y0 + y) * (size_t)k->cols + (size_t)(t->x0 + x)) * (size_t)m->o.channels;
}

/* Numbers move towards the new ones, by less the more often they were confirmed. Returns 0 when the new ones contradict. */
static int mosaic_mem__merge(mosaic_mem *m, const mosaic_mem_keyframe *k, const mosaic_mem__tile *t, uint32_t slot)
{
    mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, slot);
    const uint32_t i = slot % MOSAIC_MEM__CHUNK;
    unsigned char *values = mosaic_mem__values(m, slot);
    const int channels = m->o.channels;
    const double share = 1 / ((double)(c->hits[i] < 14 ? c->hits[i] : 14) + 2);
    double sum = 0;
    int x, y, n;
    for (y = 0; m->o.contradiction > 0 && y < t->rows; y++)
        for (x = 0; x < t->cols; x++)
            for (n = 0; n < channels; n++) {
                const double d =
                    (double)mosaic_mem__given(m, k, t, x, y)[n] - (double)mosaic_mem__get(m, values, (size_t)((y * t->cols + x) * channels + n));
                sum += d * d;
            }
    if (sum > m->o.contradiction * m->o.contradiction * (double)(t->cols * t->rows * channels)) {
        c->confidence[i] *= 0.5f;
        return 0;
    }
    for (y = 0; y < t->rows && !(c->flags[i] & MOSAIC_MEM__PINNED); y++)
        for (x = 0; x < t->cols; x++)
            for (n = 0; n < channels; n++) {
                const size_t at = (size_t)((y * t->cols + x) * channels + n);
                const double old = (double)mosaic_mem__get(m, values, at);
                mosaic_mem__put(m, values, at, (float)(old + share * ((double)mosaic_mem__given(m, k, t, x, y)[n] - old)));
            }
    c->confidence[i] += 1;
    if (c->hits[i] < 65535) c->hits[i]++;
    c->tick[i] = m->tick;
    if (k->view.time > c->time[i]) c->time[i] = k->view.time;
    return 1;
}

/* A new patch in a free slot; its depths are there, the rest of what it holds the caller's business. */
static uint32_t mosaic_mem__settle(mosaic_mem *m, uint32_t slot, uint32_t frame, uint32_t edit, const mosaic_mem__fresh *p, double time)
{
    mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, slot);
    const uint32_t i = slot % MOSAIC_MEM__CHUNK;
    c->id[i] = m->sequence++ << MOSAIC_MEM__SLOT_BITS | slot;
    c->time[i] = time;
    c->frame[i] = frame;
    c->edit[i] = edit;
    c->tile[i] = p->tile;
    c->tick[i] = m->tick;
    c->confidence[i] = 1;
    c->depth[i] = p->depth;
    memcpy(c->normal[i], p->normal, sizeof p->normal);
    c->hits[i] = 0;
    c->level[i] = p->level;
    c->flags[i] = 0;
    mosaic_mem__frame_of(m, frame)->refs++;
    if (edit) mosaic_mem__edit_of(m, edit)->refs++;
    mosaic_mem__index_patch(m, slot, p->centre, p->radius);
    m->count++;
    return slot;
}

static mosaic_mem_result mosaic_mem__keyframe_valid(const mosaic_mem *m, const mosaic_mem_keyframe *k)
{
    const mosaic_mem_result result = mosaic_mem__view_valid(&k->view);
    size_t n;
    if (result != MOSAIC_MEM_OK) return result;
    if (k->cols < 1 || k->rows < 1 || k->cols > 65535 || k->rows > 65535) return MOSAIC_MEM_ERROR_SIZE;
    if (!k->depth || (!k->values && m->o.channels) || (!k->tags && m->o.tags)) return MOSAIC_MEM_ERROR_NULL;
    n = (size_t)k->cols * (size_t)k->rows;
    if (m->o.channels && n > SIZE_MAX / 64 / (size_t)m->o.channels) return MOSAIC_MEM_ERROR_SIZE;
    n *= (size_t)m->o.channels;
    if (k->value_count < n || k->depth_width < 0 || k->depth_height < 0 || k->depth_width > 65535 || k->depth_height > 65535 ||
        (k->depth_stride && k->depth_stride < (size_t)(k->depth_width ? k->depth_width : k->view.camera.width)))
        return MOSAIC_MEM_ERROR_SIZE;
    return mosaic_mem__floats_finite(k->values, n) ? MOSAIC_MEM_OK : MOSAIC_MEM_ERROR_NUMBER;
}

static mosaic_mem_result mosaic_mem__insert(mosaic_mem *m, const mosaic_mem_keyframe *k, mosaic_mem_insert_stats *stats)
{
    const int across = (k->cols + m->o.tile_width - 1) / m->o.tile_width, down = (k->rows + m->o.tile_height - 1) / m->o.tile_height;
    const size_t tiles = (size_t)across * (size_t)down;
    mosaic_mem__fresh *fresh;
    mosaic_mem__frame *f;
    uint32_t frame;
    size_t n = 0, i, room, merged = 0;
    double cell = m->x.cell;
    if (!mosaic_mem__room(&m->x, &m->scratch, 0, tiles * (sizeof *fresh + m->tokens * sizeof(float)), 0) ||
        !mosaic_mem__reserve(&m->x, &m->frames, 1))
        return MOSAIC_MEM_ERROR_MEMORY;
    fresh = (mosaic_mem__fresh *)m->scratch.area[0];
    frame = mosaic_mem__new(&m->frames);
    f = mosaic_mem__frame_of(m, frame);
    f->view = k->view;
    f->frame = k->frame;
    f->cols = k->cols;
    f->rows = k->rows;
    mosaic_mem__prepare(m, f);
    for (i = 0; i < tiles; i++) {
        const mosaic_mem__tile t = mosaic_mem__tile_of(m, f, (uint32_t)i);
        mosaic_mem__fresh *p = &fresh[n];
        float *depths = (float *)(void *)(fresh + tiles) + n * m->tokens;
        double normal[3], rect[4];
        int x, y, seen = 0;
        if (k->ids) k->ids[i] = 0;
        p->tile = (uint32_t)i;
        p->into = MOSAIC_MEM__NONE;
        p->depth = mosaic_mem__depth_at(k, t.rect[0] + 0.5 * t.rect[2], t.rect[1] + 0.5 * t.rect[3]);
        for (y = 0; y < t.rows && p->depth > 0; y++)
            for (x = 0; x < t.cols; x++) {
                const size_t token = (size_t)(t.y0 + y) * (size_t)k->cols + (size_t)(t.x0 + x);
                mosaic_mem__token_rect(&t, x, y, rect);
                depths[y * t.cols + x] = k->skip && k->skip[token] ? 0 : mosaic_mem__depth_at(k, rect[0] + 0.5 * rect[2], rect[1] + 0.5 * rect[3]);
                seen += depths[y * t.cols + x] > 0;
            }
        if (!seen) continue;
        mosaic_mem__surface(k, &t, (double)p->depth, normal);
        mosaic_mem__pack_normal(normal, p->normal);
        if (!mosaic_mem__derive(m, f, p->tile, (double)p->depth, p->normal, depths, mosaic_mem__identity, p->centre, &p->radius, &p->level)) continue;
        if (!(cell > 0)) {
            /* Eight times the radius, or the power of 2 below. */
            uint64_t bits;
            cell = p->radius > 1e-20f ? 8 * (double)p->radius : 1;
            memcpy(&bits, &cell, sizeof bits);
            bits &= 0x7ff0000000000000u;
            memcpy(&cell, &bits, sizeof cell);
        }
        n++;
    }
    stats->unknown = tiles - n;
    if (!mosaic_mem__reserve_patches(m, fresh, n, (size_t)across, cell) ||
        (m->count + n > m->o.max_patches && !mosaic_mem__room(&m->x, &m->scratch, 1, m->count * sizeof(mosaic_mem_near) + 1, 0))) {
        mosaic_mem__recycle(&m->frames, frame);
        return MOSAIC_MEM_ERROR_MEMORY;
    }
    m->x.cell = cell;
    m->tick++;
    if (m->sequence == 0 || k->view.time > m->newest) m->newest = k->view.time;
    if (m->sequence == 0) m->sequence = 1;
    /* All merges come before the first insertion: patches of one picture are not merged with each other. */
    for (i = 0; i < n; i++) fresh[i].into = mosaic_mem__merge_target(m, f, &fresh[i]);
    for (i = 0; i < n; i++)
        if (fresh[i].into != MOSAIC_MEM__NONE) {
            const mosaic_mem__tile t = mosaic_mem__tile_of(m, f, fresh[i].tile);
            mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, fresh[i].into);
            const uint32_t at = fresh[i].into % MOSAIC_MEM__CHUNK;
            if (mosaic_mem__merge(m, k, &t, fresh[i].into)) {
                if (k->tags) {
                    int x, y;
                    for (y = 0; y < t.rows; y++)
                        for (x = 0; x < t.cols && !(c->flags[at] & MOSAIC_MEM__PINNED); x++)
                            memcpy(mosaic_mem__tags(m, fresh[i].into) + (size_t)(y * t.cols + x) * (size_t)m->o.tags,
                                   k->tags + ((size_t)(t.y0 + y) * (size_t)k->cols + (size_t)(t.x0 + x)) * (size_t)m->o.tags,
                                   (size_t)m->o.tags * sizeof *k->tags);
                }
                merged++;
            } else {
                stats->contradicted++;
                if (c->confidence[at] < 0.2f && !(c->flags[at] & MOSAIC_MEM__PINNED)) {
                    /* Contradicted often enough: the new one takes its place. No other one was to be merged into it, or it is merged no more. */
                    size_t j;
                    for (j = i + 1; j < n; j++)
                        if (fresh[j].into == fresh[i].into) fresh[j].into = MOSAIC_MEM__NONE;
                    mosaic_mem__remove(m, fresh[i].into);
                    stats->evicted++;
                    fresh[i].into = MOSAIC_MEM__NONE;
                    continue;
                }
            }
            if (k->ids) k->ids[fresh[i].tile] = c->id[at];
        }
    stats->merged = merged;
    for (i = 0, room = 0; i < n; i++) room += fresh[i].into == MOSAIC_MEM__NONE;
    if (m->count + room > m->o.max_patches) {
        const size_t wanted = m->count + room - m->o.max_patches;
        stats->evicted += mosaic_mem__evict(m, wanted);
    }
    for (i = 0; k->ids && stats->evicted && i < tiles; i++) /* what was merged may be gone again */
        if (k->ids[i] && mosaic_mem__find(m, k->ids[i]) == MOSAIC_MEM__NONE) k->ids[i] = 0;
    for (i = 0; i < n; i++) {
        const mosaic_mem__tile t = mosaic_mem__tile_of(m, f, fresh[i].tile);
        uint32_t slot;
        unsigned char *values;
        int x, y, c;
        if (fresh[i].into != MOSAIC_MEM__NONE) continue;
        if (m->count >= m->o.max_patches) {
            stats->refused++;
            continue;
        }
        slot = mosaic_mem__settle(m, mosaic_mem__free_slot(m), frame, 0, &fresh[i], k->view.time);
        memcpy(mosaic_mem__depths(m, slot), (float *)(void *)(fresh + tiles) + i * m->tokens, m->tokens * sizeof(float));
        values = mosaic_mem__values(m, slot);
        for (y = 0; y < t.rows; y++) {
            const size_t row = (size_t)(t.cols * m->o.channels);
            if (m->o.type == MOSAIC_MEM_F32 && row)
                memcpy(values + (size_t)y * row * sizeof(float), mosaic_mem__given(m, k, &t, 0, y), row * sizeof(float));
            else
                for (c = 0; c < (int)row; c++) mosaic_mem__put(m, values, (size_t)y * row + (size_t)c, mosaic_mem__given(m, k, &t, 0, y)[c]);
            for (x = 0; m->o.tags && x < t.cols; x++)
                memcpy(mosaic_mem__tags(m, slot) + (size_t)(y * t.cols + x) * (size_t)m->o.tags,
                       k->tags + ((size_t)(t.y0 + y) * (size_t)k->cols + (size_t)(t.x0 + x)) * (size_t)m->o.tags,
                       (size_t)m->o.tags * sizeof *k->tags);
        }
        if (k->pin) mosaic_mem__chunk_of(m, slot)->flags[slot % MOSAIC_MEM__CHUNK] = MOSAIC_MEM__PINNED;
        if (k->ids) k->ids[fresh[i].tile] = mosaic_mem__chunk_of(m, slot)->id[slot % MOSAIC_MEM__CHUNK];
        stats->inserted++;
    }
    if (f->refs == 0) mosaic_mem__recycle(&m->frames, frame);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_insert(mosaic_mem *memory, const mosaic_mem_keyframe *keyframe, mosaic_mem_insert_stats *stats)
{
    mosaic_mem_insert_stats unused;
    mosaic_mem_result result;
    unsigned long long fp;
    if (!stats) stats = &unused;
    memset(stats, 0, sizeof *stats);
    if (!memory || !keyframe) return MOSAIC_MEM_ERROR_NULL;
    fp = mosaic__fp_enter();
    result = mosaic_mem__keyframe_valid(memory, keyframe);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem__insert(memory, keyframe, stats);
    mosaic__fp_leave(fp);
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_touch(mosaic_mem *memory, const uint64_t *ids, size_t count)
{
    size_t i;
    if (!memory || (!ids && count)) return MOSAIC_MEM_ERROR_NULL;
    memory->tick++;
    for (i = 0; i < count; i++) {
        const uint32_t slot = mosaic_mem__find(memory, ids[i]);
        mosaic_mem__chunk *c;
        if (slot == MOSAIC_MEM__NONE) continue;
        c = mosaic_mem__chunk_of(memory, slot);
        if (c->hits[slot % MOSAIC_MEM__CHUNK] < 65535) c->hits[slot % MOSAIC_MEM__CHUNK]++;
        c->tick[slot % MOSAIC_MEM__CHUNK] = memory->tick;
    }
    return MOSAIC_MEM_OK;
}

/* ==== searches ==== */

/* Sorting in place by a heap, by distance, then id: no memory, no bad case. */
static void mosaic_mem__sort(mosaic_mem_near *a, size_t n)
{
    size_t start = n / 2, end = n;
    while (end > 1) {
        mosaic_mem_near x;
        size_t i, child;
        if (start > 0) {
            x = a[i = --start];
        } else {
            x = a[--end];
            a[end] = a[0];
            i = 0;
        }
        while ((child = 2 * i + 1) < end) {
            if (child + 1 < end && mosaic_mem__near_below(&a[child], &a[child + 1])) child++;
            if (!mosaic_mem__near_below(&x, &a[child])) break;
            a[i] = a[child];
            i = child;
        }
        a[i] = x;
    }
}

/* What a slot is called outside: m is null where it is a point of a cloud. */
static uint64_t mosaic_mem__name(const mosaic_mem *m, uint32_t slot)
{
    return m ? mosaic_mem__chunk_of(m, slot)->id[slot % MOSAIC_MEM__CHUNK] : (uint64_t)slot + 1;
}

/* All that is in a volume, in no order, to area 1; the distances are 0 when it is no ball. */
static mosaic_mem_result mosaic_mem__list(const mosaic_mem__index *x, const mosaic_mem *m, const mosaic_mem__volume *v, mosaic_mem_scratch *s,
                                          size_t *found)
{
    mosaic_mem_near *out;
    const uint32_t *places;
    size_t i;
    const mosaic_mem_result result = mosaic_mem__gather(x, v, s, found);
    if (result != MOSAIC_MEM_OK) return result;
    if (!mosaic_mem__room(x, s, 1, *found * sizeof *out, 0)) return MOSAIC_MEM_ERROR_MEMORY;
    places = (const uint32_t *)s->area[0];
    out = (mosaic_mem_near *)s->area[1];
    for (i = 0; i < *found; i++) {
        const mosaic_mem__bucket *b = mosaic_mem__bucket_of(x, places[i] / MOSAIC_MEM__BUCKET);
        const uint32_t at = places[i] % MOSAIC_MEM__BUCKET;
        const double d[3] = {(double)b->x[at] - v->centre[0], (double)b->y[at] - v->centre[1], (double)b->z[at] - v->centre[2]};
        out[i].id = mosaic_mem__name(m, b->slot[at]);
        out[i].distance = v->planes ? 0 : mosaic_mem__root(mosaic_mem__dot(d, d));
    }
    return MOSAIC_MEM_OK;
}

/* The searches below, of a store or (m is null) of a cloud. */
static mosaic_mem_result mosaic_mem__radius(const mosaic_mem__index *x, const mosaic_mem *m, const double point[3], double radius,
                                            mosaic_mem_scratch *scratch, mosaic_mem_near *out, size_t capacity, size_t *found)
{
    mosaic_mem_scratch own, *s = scratch ? scratch : &own;
    mosaic_mem__volume v;
    mosaic_mem_result result;
    unsigned long long fp;
    if (!point || !found || (!out && capacity)) return MOSAIC_MEM_ERROR_NULL;
    *found = 0;
    if (!mosaic_mem__finite_all(point, 3) || !(radius >= 0)) return MOSAIC_MEM_ERROR_NUMBER;
    memset(&own, 0, sizeof own);
    memset(&v, 0, sizeof v);
    memcpy(v.centre, point, sizeof v.centre);
    v.radius2 = radius * radius;
    fp = mosaic__fp_enter();
    result = mosaic_mem__list(x, m, &v, s, found);
    if (result == MOSAIC_MEM_OK) mosaic_mem__sort((mosaic_mem_near *)s->area[1], *found);
    if (result == MOSAIC_MEM_OK && *found && capacity) memcpy(out, s->area[1], (*found < capacity ? *found : capacity) * sizeof *out);
    mosaic__fp_leave(fp);
    mosaic_mem_scratch_free(&own);
    return result;
}

static mosaic_mem_result mosaic_mem__nearest(const mosaic_mem__index *x, const mosaic_mem *m, size_t count, const double point[3],
                                             mosaic_mem_scratch *scratch, mosaic_mem_near *out, size_t capacity, size_t *found)
{
    mosaic_mem_scratch own, *s = scratch ? scratch : &own;
    mosaic_mem__volume v;
    mosaic_mem_result result = MOSAIC_MEM_OK;
    unsigned long long fp;
    size_t wanted = capacity < count ? capacity : count, got = 0;
    double radius;
    if (!point || !found || (!out && capacity)) return MOSAIC_MEM_ERROR_NULL;
    *found = 0;
    if (!mosaic_mem__finite_all(point, 3)) return MOSAIC_MEM_ERROR_NUMBER;
    if (wanted == 0) return MOSAIC_MEM_OK;
    memset(&own, 0, sizeof own);
    memset(&v, 0, sizeof v);
    memcpy(v.centre, point, sizeof v.centre);
    fp = mosaic__fp_enter();
    /* A ball that grows until it holds enough: what is in it is nearer than all outside. */
    for (radius = 0.5 * x->cell; result == MOSAIC_MEM_OK && got < wanted; radius *= 2) {
        v.radius2 = radius * radius;
        result = mosaic_mem__list(x, m, &v, s, &got);
    }
    if (result == MOSAIC_MEM_OK) {
        mosaic_mem__least((mosaic_mem_near *)s->area[1], got, wanted);
        memcpy(out, s->area[1], wanted * sizeof *out);
        mosaic_mem__sort(out, wanted);
        *found = wanted;
    }
    mosaic__fp_leave(fp);
    mosaic_mem_scratch_free(&own);
    return result;
}

/* The planes of what a view sees between two depths. */
static void mosaic_mem__frustum_of(const mosaic_mem_view *view, double nearest, double farthest, mosaic_mem__volume *v)
{
    const mosaic_mem_camera *c = &view->camera;
    const double left = -c->cx / c->fx, right = (c->width - c->cx) / c->fx, top = -c->cy / c->fy, bottom = (c->height - c->cy) / c->fy;
    double n[6][3] = {{1, 0, 0}, {-1, 0, 0}, {0, 1, 0}, {0, -1, 0}, {0, 0, 1}, {0, 0, -1}};
    int i, k;
    memset(v, 0, sizeof *v);
    v->planes = 6;
    n[0][2] = -left, n[1][2] = right, n[2][2] = -top, n[3][2] = bottom;
    for (i = 0; i < 6; i++) {
        mosaic_mem__unit(n[i], 0);
        mosaic_mem__turn_back(&view->pose, n[i], v->plane[i]);
        v->plane[i][3] = 0;
        for (k = 0; k < 3; k++) v->plane[i][3] -= v->plane[i][k] * view->pose.centre[k];
    }
    v->plane[4][3] -= nearest;
    v->plane[5][3] += farthest;
}

static mosaic_mem_result mosaic_mem__frustum(const mosaic_mem__index *x, const mosaic_mem *m, const mosaic_mem_view *view, double nearest,
                                             double farthest, mosaic_mem_scratch *scratch, uint64_t *ids, size_t capacity, size_t *found)
{
    mosaic_mem_scratch own, *s = scratch ? scratch : &own;
    mosaic_mem__volume v;
    mosaic_mem_result result;
    unsigned long long fp;
    size_t i;
    if (!view || !found || (!ids && capacity)) return MOSAIC_MEM_ERROR_NULL;
    *found = 0;
    result = mosaic_mem__view_valid(view);
    if (result != MOSAIC_MEM_OK) return result;
    if (!(nearest > 0) || !(farthest >= nearest) || !mosaic_mem__finite(farthest)) return MOSAIC_MEM_ERROR_NUMBER;
    memset(&own, 0, sizeof own);
    fp = mosaic__fp_enter();
    mosaic_mem__frustum_of(view, nearest, farthest, &v);
    result = mosaic_mem__list(x, m, &v, s, found);
    if (result == MOSAIC_MEM_OK) mosaic_mem__sort((mosaic_mem_near *)s->area[1], *found);
    for (i = 0; result == MOSAIC_MEM_OK && i < *found && i < capacity; i++) ids[i] = ((const mosaic_mem_near *)s->area[1])[i].id;
    mosaic__fp_leave(fp);
    mosaic_mem_scratch_free(&own);
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_radius(const mosaic_mem *memory, const double point[3], double radius, mosaic_mem_scratch *scratch,
                                                   mosaic_mem_near *out, size_t capacity, size_t *found)
{
    if (!memory) return MOSAIC_MEM_ERROR_NULL;
    return mosaic_mem__radius(&memory->x, memory, point, radius, scratch, out, capacity, found);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_nearest(const mosaic_mem *memory, const double point[3], mosaic_mem_scratch *scratch,
                                                    mosaic_mem_near *out, size_t capacity, size_t *found)
{
    if (!memory) return MOSAIC_MEM_ERROR_NULL;
    return mosaic_mem__nearest(&memory->x, memory, memory->count, point, scratch, out, capacity, found);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_frustum(const mosaic_mem *memory, const mosaic_mem_view *view, double nearest, double farthest,
                                                    mosaic_mem_scratch *scratch, uint64_t *ids, size_t capacity, size_t *found)
{
    if (!memory) return MOSAIC_MEM_ERROR_NULL;
    return mosaic_mem__frustum(&memory->x, memory, view, nearest, farthest, scratch, ids, capacity, found);
}

/* ==== drawing quadrangles into a grid ==== */

/* A plane quadrangle in the camera, over a grid of cells that covers the picture. */
typedef struct mosaic_mem__quad {
    int x0, y0, x1, y1;        /* cells it may cover; none when x1 < x0 */
    double x[4], y[4];         /* its corners, in cells whose centres are at whole numbers */
    double edge[4][3];         /* inside where all are >= 0 at the centre of a cell, or all <= 0 */
    double normal[3], offset;  /* the plane: normal X = offset */
    double ray_x[2], ray_y[2]; /* the ray through cell x: ray_x[0] + x * ray_x[1] */
} mosaic_mem__quad;

/* 0 when a corner is nearer than `nearest`. */
MOSAIC_MEM__INLINE int mosaic_mem__quad_of(double corner[3][4], const mosaic_mem_camera *c, int width, int height, double nearest,
                                           mosaic_mem__quad *q)
{
    const double sx = width / (double)c->width, sy = height / (double)c->height;
    double *const u = q->x, *const v = q->y;
    double low[2], high[2], a[3], b[3];
    int i;
    for (i = 0; i < 4; i++)
        if (!(corner[2][i] >= nearest)) return 0;
    for (i = 0; i < 4; i++) {
        u[i] = (c->fx * corner[0][i] / corner[2][i] + c->cx) * sx - 0.5; /* centres of cells at whole numbers */
        v[i] = (c->fy * corner[1][i] / corner[2][i] + c->cy) * sy - 0.5;
    }
    for (i = 0; i < 3; i++) a[i] = corner[i][1] - corner[i][0], b[i] = corner[i][3] - corner[i][0];
    mosaic_mem__cross(a, b, q->normal);
    q->offset = (q->normal[0] * corner[0][0] + q->normal[1] * corner[1][0]) + q->normal[2] * corner[2][0];
    q->ray_x[1] = 1 / (sx * c->fx), q->ray_x[0] = (0.5 / sx - c->cx) / c->fx;
    q->ray_y[1] = 1 / (sy * c->fy), q->ray_y[0] = (0.5 / sy - c->cy) / c->fy;
    low[0] = high[0] = u[0], low[1] = high[1] = v[0];
    for (i = 1; i < 4; i++) {
        low[0] = u[i] < low[0] ? u[i] : low[0], high[0] = u[i] > high[0] ? u[i] : high[0];
        low[1] = v[i] < low[1] ? v[i] : low[1], high[1] = v[i] > high[1] ? v[i] : high[1];
    }
    q->x0 = q->y0 = 0, q->x1 = q->y1 = -1;
    if (!(low[0] < width) || !(low[1] < height) || !(high[0] > -1) || !(high[1] > -1)) return 1;
    q->x0 = low[0] > 0 ? (int)low[0] : 0, q->y0 = low[1] > 0 ? (int)low[1] : 0;
    q->x1 = high[0] < width - 1 ? (int)high[0] + (high[0] > (int)high[0]) : width - 1;
    q->y1 = high[1] < height - 1 ? (int)high[1] + (high[1] > (int)high[1]) : height - 1;
    if (high[0] < 0) q->x1 = -1;
    if (high[1] < 0) q->y1 = -1;
    for (i = 0; i < 4; i++) {
        const int j = (i + 1) & 3;
        q->edge[i][0] = v[i] - v[j];
        q->edge[i][1] = u[j] - u[i];
        q->edge[i][2] = -(q->edge[i][0] * u[i] + q->edge[i][1] * v[i]);
    }
    return 1;
}

/* The depth of the plane in a cell; 0 where the quadrangle is not. A hair beyond the edges counts, so that neighbours leave no cracks. */
static double mosaic_mem__quad_at(const mosaic_mem__quad *q, int x, int y)
{
    int i, plus = 0, minus = 0;
    double along, z;
    for (i = 0; i < 4; i++) {
        const double e = (q->edge[i][0] * x + q->edge[i][1] * y) + q->edge[i][2];
        plus += e >= -1e-9;
        minus += e <= 1e-9;
    }
    if (plus < 4 && minus < 4) return 0;
    along = (q->normal[0] * (q->ray_x[0] + x * q->ray_x[1]) + q->normal[1] * (q->ray_y[0] + y * q->ray_y[1])) + q->normal[2];
    z = q->offset / along;
    return z > 0 && z < 1e30 ? z : 0;
}

/* From the camera of a patch's own picture to that of a view, edits between them. */
static void mosaic_mem__chain(const mosaic_mem__frame *f, const double edit[12], const mosaic_mem_pose *to, double out[12])
{
    double m[12], b[3];
    int i, j;
    mosaic_mem__c2w(&f->view.pose, m);
    mosaic_mem__times(edit, m, m);
    for (i = 0; i < 3; i++) b[i] = m[4 * i + 3] - to->centre[i];
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 3; j++)
            out[4 * i + j] = (to->rotation[3 * i] * m[j] + to->rotation[3 * i + 1] * m[4 + j]) + to->rotation[3 * i + 2] * m[8 + j];
        out[4 * i + 3] = mosaic_mem__dot(to->rotation + 3 * i, b);
    }
}

/* ==== retrieval ==== */

typedef struct mosaic_mem__candidate {
    mosaic_mem_hit hit;
    double gain, bias;
    uint32_t slot;
} mosaic_mem__candidate;

typedef struct mosaic_mem__chain_of {
    uint32_t frame, edit;
    double chain[12];
} mosaic_mem__chain_of;

typedef struct mosaic_mem__search {
    const mosaic_mem *m;
    const mosaic_mem_view *view;
    mosaic_mem_query_options o;
    mosaic_mem__candidate *candidate;
    uint32_t *cell;            /* of each token of each candidate; NONE where it is not in the picture */
    float *token_z, *nearness; /* of each cell: 1 / z of what is nearest */
    uint8_t *covered;
    uint32_t *heap;
    mosaic_mem__chain_of known[64]; /* used before */
} mosaic_mem__search;

/* The score of a candidate whose tokens are partly visible; `gain` still holds the cosine of the angle it is seen at. */
static void mosaic_mem__score(const mosaic_mem__search *q, mosaic_mem__candidate *k)
{
    const mosaic_mem__chunk *c = mosaic_mem__chunk_of(q->m, k->slot);
    const uint32_t i = k->slot % MOSAIC_MEM__CHUNK;
    const double confidence = (double)c->confidence[i], cosine = k->gain;
    k->hit.score = confidence / (confidence + 1);
    if (q->o.sigma < 1e300) { /* e^(-|log2 scale| / sigma) */
        const double scale = k->hit.scale > 1e-30 ? mosaic_mem__log(k->hit.scale) * (1.44269504088896340736 / q->o.sigma) : -700;
        k->hit.score *= mosaic_mem__exp(scale < 0 ? scale : -scale);
    }
    if (q->o.angle_power == 1)
        k->hit.score *= cosine > 0 ? cosine : 0;
    else if (q->o.angle_power > 0)
        k->hit.score *= cosine > 1e-30 ? mosaic_mem__exp(q->o.angle_power * mosaic_mem__log(cosine)) : 0;
    if (q->o.half_life > 0) {
        const double age = q->view->time - c->time[i];
        k->hit.score *= q->o.floor + (1 - q->o.floor) * (age > 0 ? mosaic_mem__exp(-0.693147180559945309417 * age / q->o.half_life) : 1);
    }
    k->hit.score *= (double)k->hit.visible / k->hit.tokens;
}

/* What a candidate adds: its score, of which `diversity` counts by the share of its cells not covered yet. */
static double mosaic_mem__gain(const mosaic_mem__search *q, size_t index)
{
    const mosaic_mem__candidate *k = &q->candidate[index];
    const uint32_t *cell = q->cell + index * q->m->tokens;
    int t, fresh = 0;
    for (t = 0; t < k->hit.tokens; t++) fresh += cell[t] != MOSAIC_MEM__NONE && !q->covered[cell[t]];
    return k->hit.score * ((1 - q->o.diversity) + q->o.diversity * fresh / k->hit.visible);
}

static int mosaic_mem__before(const mosaic_mem__candidate *a, const mosaic_mem__candidate *b)
{
    return a->gain > b->gain || (a->gain == b->gain && a->hit.id < b->hit.id);
}

static void mosaic_mem__sink(const mosaic_mem__search *q, size_t i, size_t n)
{
    const uint32_t x = q->heap[i];
    size_t child;
    while ((child = 2 * i + 1) < n) {
        if (child + 1 < n && mosaic_mem__before(&q->candidate[q->heap[child + 1]], &q->candidate[q->heap[child]])) child++;
        if (!mosaic_mem__before(&q->candidate[q->heap[child]], &q->candidate[x])) break;
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = x;
}

static mosaic_mem_result mosaic_mem__query_options_of(const mosaic_mem_view *view, const mosaic_mem_query_options *given, mosaic_mem_query_options *o)
{
    memset(o, 0, sizeof *o);
    if (given) *o = *given;
    if (o->nearest == 0) o->nearest = 0.1;
    if (o->farthest == 0) o->farthest = 1000;
    if (o->grid_width == 0 && o->grid_height == 0) {
        const int w = view->camera.width, h = view->camera.height;
        o->grid_width = w >= h ? 32 : (32 * w + h - 1) / h;
        o->grid_height = w >= h ? (32 * h + w - 1) / w : 32;
    }
    if (o->tolerance == 0) o->tolerance = 0.03;
    if (o->sigma == 0) o->sigma = 1;
    if (o->angle_power == 0) o->angle_power = 1;
    if (o->floor == 0) o->floor = 0.1;
    if (o->least == 0) o->least = 0.01;
    o->diversity = o->diversity == 0 ? 1 : o->diversity < 0 ? 0 : o->diversity;
    if (!(o->nearest > 0) || !(o->farthest >= o->nearest) || !(o->tolerance > 0) || !(o->sigma > 0) || !(o->half_life >= 0) || !(o->floor >= 0) ||
        !(o->floor <= 1) || !(o->diversity <= 1) || !(o->angle_power <= 100) || o->least != o->least || !mosaic_mem__finite(o->farthest) ||
        !mosaic_mem__finite(o->half_life))
        return MOSAIC_MEM_ERROR_NUMBER;
    if (o->grid_width < 1 || o->grid_height < 1 || o->grid_width > 1024 || o->grid_height > 1024) return MOSAIC_MEM_ERROR_OPTION;
    return MOSAIC_MEM_OK;
}

static mosaic_mem_result mosaic_mem__query(mosaic_mem__search *q, mosaic_mem_scratch *s, mosaic_mem_hit *hits, size_t capacity, size_t *found,
                                           size_t *candidates)
{
    const mosaic_mem *m = q->m;
    const size_t cells = (size_t)q->o.grid_width * (size_t)q->o.grid_height;
    mosaic_mem__volume v;
    mosaic_mem_result result;
    size_t n, i, live = 0, each = sizeof(mosaic_mem__candidate) + sizeof(uint32_t) + m->tokens * (sizeof(uint32_t) + sizeof(float));
    mosaic_mem__frustum_of(q->view, q->o.nearest, q->o.farthest, &v);
    result = mosaic_mem__gather(&m->x, &v, s, &n);
    if (result != MOSAIC_MEM_OK) return result;
    *candidates = n;
    if (n == 0) return MOSAIC_MEM_OK;
    if (!mosaic_mem__room(&m->x, s, 1, n * each + cells * (sizeof(float) + 1), 0)) return MOSAIC_MEM_ERROR_MEMORY;
    q->candidate = (mosaic_mem__candidate *)s->area[1];
    q->heap = (uint32_t *)(void *)(q->candidate + n);
    q->cell = q->heap + n;
    q->token_z = (float *)(void *)(q->cell + n * m->tokens);
    q->nearness = q->token_z + n * m->tokens;
    q->covered = (uint8_t *)(void *)(q->nearness + cells);
    for (i = 0; i < cells; i++) q->nearness[i] = 0;
    memset(q->covered, 0, cells);
    for (i = 0; i < 64; i++) q->known[i].frame = MOSAIC_MEM__NONE;
    for (i = 0; i < n; i++) {
        const uint32_t place = ((const uint32_t *)s->area[0])[i];
        q->candidate[i].slot = mosaic_mem__bucket_of(&m->x, place / MOSAIC_MEM__BUCKET)->slot[place % MOSAIC_MEM__BUCKET];
    }
    for (i = 0; i < n; i++) {
        if (i + 8 < n) { /* what is asked of a patch lies in places far apart */
            const uint32_t slot = q->candidate[i + 8].slot, at = slot % MOSAIC_MEM__CHUNK;
            const mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, slot);
            MOSAIC_MEM__SOON(&c->id[at]);
            MOSAIC_MEM__SOON(&c->frame[at]);
            MOSAIC_MEM__SOON(&c->edit[at]);
            MOSAIC_MEM__SOON(&c->tile[at]);
            MOSAIC_MEM__SOON(&c->depth[at]);
            MOSAIC_MEM__SOON(&c->normal[at]);
            MOSAIC_MEM__SOON(mosaic_mem__depths(m, slot));
        }
        m->x.kernels->place(q, i);
    }
    for (i = 0; i < n; i++) {
        mosaic_mem__candidate *k = &q->candidate[i];
        uint32_t *cell = q->cell + i * m->tokens;
        int t;
        for (t = 0; t < k->hit.tokens; t++) {
            if (cell[t] == MOSAIC_MEM__NONE) continue;
            if ((double)q->token_z[i * m->tokens + (size_t)t] * (double)q->nearness[cell[t]] <= 1 + k->bias)
                k->hit.visible++;
            else
                cell[t] = MOSAIC_MEM__NONE;
        }
        if (k->hit.visible == 0) continue;
        mosaic_mem__score(q, k);
        if (!(k->hit.score >= q->o.least)) continue;
        k->gain = k->hit.score;
        q->heap[live++] = (uint32_t)i;
    }
    /* Gains only shrink: when the one on top, computed anew, is still on top, it is the largest. */
    for (i = live / 2; i-- > 0;) mosaic_mem__sink(q, i, live);
    while (live > 0 && *found < capacity) {
        const uint32_t top = q->heap[0];
        mosaic_mem__candidate *k = &q->candidate[top];
        const double gain = mosaic_mem__gain(q, top);
        if (gain < k->gain) {
            k->gain = gain;
            if (!(gain > 0)) { /* all its cells are covered */
                q->heap[0] = q->heap[--live];
            }
            if (live) mosaic_mem__sink(q, 0, live);
            continue;
        }
        {
            const uint32_t *cell = q->cell + top * m->tokens;
            int t;
            for (t = 0; t < k->hit.tokens; t++)
                if (cell[t] != MOSAIC_MEM__NONE) q->covered[cell[t]] = 1;
        }
        hits[(*found)++] = k->hit;
        q->heap[0] = q->heap[--live];
        if (live) mosaic_mem__sink(q, 0, live);
    }
    if (q->o.front_to_back)
        for (i = 1; i < *found; i++) {
            const mosaic_mem_hit h = hits[i];
            size_t j = i;
            for (; j > 0 && (hits[j - 1].z > h.z || (hits[j - 1].z == h.z && hits[j - 1].id > h.id)); j--) hits[j] = hits[j - 1];
            hits[j] = h;
        }
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_query(const mosaic_mem *memory, const mosaic_mem_view *view, const mosaic_mem_query_options *options,
                                                  mosaic_mem_scratch *scratch, mosaic_mem_hit *hits, size_t capacity, size_t *found,
                                                  size_t *candidates)
{
    mosaic_mem_scratch own;
    mosaic_mem__search q;
    mosaic_mem_result result;
    size_t unused;
    unsigned long long fp;
    if (!candidates) candidates = &unused;
    *candidates = 0;
    if (!found) return MOSAIC_MEM_ERROR_NULL;
    *found = 0;
    if (!memory || !view || (!hits && capacity)) return MOSAIC_MEM_ERROR_NULL;
    q.m = memory;
    q.view = view;
    result = mosaic_mem__view_valid(view);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem__query_options_of(view, options, &q.o);
    if (result != MOSAIC_MEM_OK) return result;
    memset(&own, 0, sizeof own);
    fp = mosaic__fp_enter();
    result = mosaic_mem__query(&q, scratch ? scratch : &own, hits, capacity, found, candidates);
    mosaic__fp_leave(fp);
    mosaic_mem_scratch_free(&own);
    return result;
}

/* Where a point of one camera is in another; 0, and 0 in all, when its depth is not known or it is behind. */
static uint8_t mosaic_mem__warp_point(const double chain[12], const mosaic_mem_camera *to, const double point[3], float uvz[3])
{
    double p[3];
    uvz[0] = uvz[1] = uvz[2] = 0;
    if (!(point[2] > 0)) return 0;
    mosaic_mem__apply(chain, point, p);
    if (!(p[2] > 1e-6)) return 0;
    uvz[0] = (float)(to->fx * p[0] / p[2] + to->cx);
    uvz[1] = (float)(to->fy * p[1] / p[2] + to->cy);
    uvz[2] = (float)p[2];
    return 1;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_warp_tokens(const mosaic_mem *memory, uint64_t id, const mosaic_mem_view *view, float *uvz,
                                                        uint8_t *valid, int *count)
{
    const mosaic_mem *m = memory;
    const mosaic_mem__chunk *c;
    const mosaic_mem__frame *f;
    const float *depths;
    mosaic_mem__tile t;
    mosaic_mem_result result;
    double chain[12];
    unsigned long long fp;
    uint32_t slot, i;
    int x, y;
    if (!memory || !view || !uvz || !valid || !count) return MOSAIC_MEM_ERROR_NULL;
    result = mosaic_mem__view_valid(view);
    if (result != MOSAIC_MEM_OK) return result;
    slot = mosaic_mem__find(m, id);
    if (slot == MOSAIC_MEM__NONE) return MOSAIC_MEM_ERROR_PATCH;
    fp = mosaic__fp_enter();
    i = slot % MOSAIC_MEM__CHUNK;
    c = mosaic_mem__chunk_of(m, slot);
    f = mosaic_mem__frame_of(m, c->frame[i]);
    t = mosaic_mem__tile_of(m, f, c->tile[i]);
    depths = mosaic_mem__depths(m, slot);
    mosaic_mem__chain(f, mosaic_mem__edit_of(m, c->edit[i])->affine, &view->pose, chain);
    for (y = 0; y < t.rows; y++)
        for (x = 0; x < t.cols; x++) {
            const int token = y * t.cols + x;
            double p[3];
            mosaic_mem__token_point(&f->view.camera, &t, x, y, (double)depths[token], p);
            valid[token] = mosaic_mem__warp_point(chain, &view->camera, p, uvz + 3 * token);
        }
    *count = t.cols * t.rows;
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

/* ==== composition ==== */

typedef struct mosaic_mem__painter {
    const mosaic_mem *m;
    const mosaic_mem_view *view;
    const mosaic_mem_canvas *canvas;
    const mosaic_mem_hit *hits;
    size_t count;
    float *z;        /* the nearest surface of each cell */
    uint32_t *owner; /* hit * 256 + token, or NONE */
} mosaic_mem__painter;

/* Number n of a patch at a place of its tile, in tokens. */
static float mosaic_mem__sample(const mosaic_mem *m, uint32_t slot, const mosaic_mem__tile *t, int token, const double at[2], int bilinear, int n)
{
    const unsigned char *values = mosaic_mem__values(m, slot);
    const float *depths = mosaic_mem__depths(m, slot);
    const float own = mosaic_mem__get(m, values, (size_t)(token * m->o.channels + n));
    double share[2], sum = 0;
    int low[2], k;
    if (!bilinear) return own;
    for (k = 0; k < 2; k++) {
        /* Steps of 1/4096: what should be the centre of a token is. */
        const int last = (k ? t->rows : t->cols) - 1;
        double x = mosaic_mem__floor(at[k] * 4096 + 0.5) / 4096;
        x = x < 0 ? 0 : x > last ? last : x;
        low[k] = (int)x;
        if (low[k] == last && last > 0) low[k]--;
        share[k] = x - low[k];
    }
    for (k = 0; k < 4; k++) {
        const double weight = (k & 1 ? share[0] : 1 - share[0]) * (k & 2 ? share[1] : 1 - share[1]);
        const int other = (low[1] + (k >> 1)) * t->cols + low[0] + (k & 1);
        if (weight > 0) sum += weight * (double)(depths[other] > 0 ? mosaic_mem__get(m, values, (size_t)(other * m->o.channels + n)) : own);
    }
    return (float)sum;
}

/* One walk over all tokens: 0 finds the nearest depths, 1 the owners, 2 writes what they show, 3 who differs. */
static void mosaic_mem__paint(mosaic_mem__painter *p, int pass)
{
    const mosaic_mem *m = p->m;
    const mosaic_mem_canvas *canvas = p->canvas;
    const int channels = m->o.channels;
    size_t h;
    for (h = 0; h < p->count; h++) {
        const uint32_t slot = mosaic_mem__find(m, p->hits[h].id), i = slot % MOSAIC_MEM__CHUNK;
        const mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, slot);
        const mosaic_mem__frame *f = mosaic_mem__frame_of(m, c->frame[i]);
        const mosaic_mem_camera *from = &f->view.camera;
        const mosaic_mem__tile t = mosaic_mem__tile_of(m, f, c->tile[i]);
        const float *depths = mosaic_mem__depths(m, slot);
        double chain[12], back[12], n[3];
        int token, x, y, k;
        mosaic_mem__chain(f, mosaic_mem__edit_of(m, c->edit[i])->affine, &p->view->pose, chain);
        if (!mosaic_mem__invert(chain, back)) continue;
        mosaic_mem__unpack_normal(c->normal[i], n);
        for (token = 0; token < t.cols * t.rows; token++) {
            double point[3], rect[4], corner[3][4];
            mosaic_mem__quad q;
            if (!(depths[token] > 0)) continue;
            mosaic_mem__token_rect(&t, token % t.cols, token / t.cols, rect);
            mosaic_mem__token_point(from, &t, token % t.cols, token / t.cols, (double)depths[token], point);
            mosaic_mem__corners(from, rect, point, n, corner);
            mosaic_mem__apply_four(chain, corner);
            if (!mosaic_mem__quad_of(corner, &p->view->camera, canvas->width, canvas->height, canvas->nearest, &q)) continue;
            for (y = q.y0; y <= q.y1; y++)
                for (x = q.x0; x <= q.x1; x++) {
                    const size_t cell = (size_t)y * (size_t)canvas->width + (size_t)x;
                    const double z = mosaic_mem__quad_at(&q, x, y);
                    const uint32_t me = (uint32_t)h * 256 + (uint32_t)token, owner = p->owner[cell];
                    double at[2], s[3];
                    int differs = 0;
                    if (!(z > 0)) continue;
                    if (pass == 0) {
                        if (z < (double)p->z[cell]) p->z[cell] = (float)z;
                        continue;
                    }
                    if (z > (double)p->z[cell] * (1 + canvas->tolerance)) continue;
                    if (pass == 1) {
                        const mosaic_mem_hit *a = &p->hits[h], *b = owner == MOSAIC_MEM__NONE ? NULL : &p->hits[owner / 256];
                        if (!b || a->score > b->score || (a->score == b->score && a->id < b->id)) p->owner[cell] = me;
                        continue;
                    }
                    if (pass == 2 ? owner != me : owner / 256 == (uint32_t)h) continue;
                    s[0] = (q.ray_x[0] + x * q.ray_x[1]) * z, s[1] = (q.ray_y[0] + y * q.ray_y[1]) * z, s[2] = z;
                    mosaic_mem__apply(back, s, s);
                    at[0] = (from->fx * s[0] / s[2] + from->cx) * f->cols / from->width - t.x0 - 0.5;
                    at[1] = (from->fy * s[1] / s[2] + from->cy) * f->rows / from->height - t.y0 - 0.5;
                    if (!mosaic_mem__finite(at[0]) || !mosaic_mem__finite(at[1])) at[0] = at[1] = 0;
                    at[0] = at[0] < -1 ? -1 : at[0] > 16 ? 16 : at[0], at[1] = at[1] < -1 ? -1 : at[1] > 16 ? 16 : at[1];
                    for (k = 0; k < channels && canvas->values; k++) {
                        float *value = canvas->values + cell * (size_t)channels + k;
                        const float mine = mosaic_mem__sample(m, slot, &t, token, at, canvas->filter == MOSAIC_MEM_BILINEAR, k);
                        if (pass == 2)
                            *value = mine;
                        else
                            differs |= (double)mine - (double)*value > canvas->contested || (double)*value - (double)mine > canvas->contested;
                    }
                    if (pass == 3) {
                        if (differs) canvas->mask[cell] = MOSAIC_MEM_CONTESTED;
                        continue;
                    }
                    canvas->mask[cell] = MOSAIC_MEM_SEEN;
                    if (canvas->ids) canvas->ids[cell] = p->hits[h].id;
                    if (canvas->z) canvas->z[cell] = (float)z;
                    if (canvas->tags && m->o.tags)
                        memcpy(canvas->tags + cell * (size_t)m->o.tags, mosaic_mem__tags(m, slot) + (size_t)(token * m->o.tags),
                               (size_t)m->o.tags * sizeof(uint32_t));
                }
        }
    }
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_compose(const mosaic_mem *memory, const mosaic_mem_view *view, const mosaic_mem_hit *hits, size_t count,
                                                    mosaic_mem_scratch *scratch, const mosaic_mem_canvas *canvas, size_t *covered)
{
    mosaic_mem_scratch own;
    mosaic_mem_scratch *s = scratch ? scratch : &own;
    mosaic_mem__painter p;
    mosaic_mem_canvas c;
    mosaic_mem_result result;
    size_t cells, i, seen = 0;
    unsigned long long fp;
    const uint32_t bits = 0x7f800000;
    float infinite;
    if (!memory || !view || (!hits && count) || !canvas || !canvas->mask) return MOSAIC_MEM_ERROR_NULL;
    result = mosaic_mem__view_valid(view);
    if (result != MOSAIC_MEM_OK) return result;
    c = *canvas;
    if (c.nearest == 0) c.nearest = 0.1;
    if (c.tolerance == 0) c.tolerance = 0.03;
    if (c.contested == 0) c.contested = 0.25;
    if (c.width < 1 || c.height < 1 || c.width > 8192 || c.height > 8192 || count >= 1u << 24) return MOSAIC_MEM_ERROR_SIZE;
    if (!(c.nearest > 0) || !(c.tolerance > 0) || !(c.contested > 0)) return MOSAIC_MEM_ERROR_NUMBER;
    if (c.filter != MOSAIC_MEM_NEAREST && c.filter != MOSAIC_MEM_BILINEAR) return MOSAIC_MEM_ERROR_OPTION;
    for (i = 0; i < count; i++) {
        if (mosaic_mem__find(memory, hits[i].id) == MOSAIC_MEM__NONE) return MOSAIC_MEM_ERROR_PATCH;
        if (!mosaic_mem__finite(hits[i].score)) return MOSAIC_MEM_ERROR_NUMBER;
    }
    memset(&own, 0, sizeof own);
    cells = (size_t)c.width * (size_t)c.height;
    if (!mosaic_mem__room(&memory->x, s, 1, cells * 8, 0)) return MOSAIC_MEM_ERROR_MEMORY;
    fp = mosaic__fp_enter();
    memcpy(&infinite, &bits, sizeof infinite);
    p.m = memory;
    p.view = view;
    p.canvas = &c;
    p.hits = hits;
    p.count = count;
    p.z = (float *)s->area[1];
    p.owner = (uint32_t *)(void *)(p.z + cells);
    for (i = 0; i < cells; i++) {
        p.z[i] = infinite;
        p.owner[i] = MOSAIC_MEM__NONE;
        c.mask[i] = MOSAIC_MEM_UNSEEN;
        if (c.z) c.z[i] = infinite;
        if (c.ids) c.ids[i] = 0;
    }
    mosaic_mem__paint(&p, 0);
    mosaic_mem__paint(&p, 1);
    mosaic_mem__paint(&p, 2);
    if (c.values) mosaic_mem__paint(&p, 3);
    for (i = 0; i < cells; i++) seen += c.mask[i] != MOSAIC_MEM_UNSEEN;
    if (covered) *covered = seen;
    mosaic__fp_leave(fp);
    mosaic_mem_scratch_free(&own);
    return MOSAIC_MEM_OK;
}

/* ==== clouds ==== */

enum { MOSAIC_MEM__CUBES = 4 }; /* of a cell of the index, along a side */

/* A cube that holds samples; their mean stands in the index. */
typedef struct mosaic_mem__cube {
    int32_t key[4]; /* the last one is 0 */
    uint32_t place, weight, through;
    uint16_t normal[2]; /* 65535 where it is not known */
    float rgb[3];
    double time;
} mosaic_mem__cube;

struct mosaic_mem_cloud {
    mosaic_mem_cloud_options o;
    mosaic_mem__index x;
    mosaic_mem__table cubes;
    mosaic_mem_scratch scratch;
};

static mosaic_mem__cube *mosaic_mem__cube_of(const mosaic_mem_cloud *c, uint32_t i)
{
    return (mosaic_mem__cube *)mosaic_mem__item(&c->cubes.items, i);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_open(const mosaic_mem_cloud_options *options, mosaic_mem_cloud **cloud)
{
    mosaic_mem_cloud_options o;
    const mosaic_mem__kernels *kernels;
    if (!cloud) return MOSAIC_MEM_ERROR_NULL;
    *cloud = NULL;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    if (o.voxel == 0) o.voxel = 0.05;
    if (o.most == 0) o.most = 32;
    if (o.through == 0) o.through = 0.05;
    if (o.max_points == 0) o.max_points = (size_t)1 << MOSAIC_MEM__SLOT_BITS;
    if (!(o.voxel > 1e-20 && o.voxel < 1e20) || !(o.through > 0) || !mosaic_mem__finite(o.through)) return MOSAIC_MEM_ERROR_NUMBER;
    if (o.max_points > (size_t)1 << MOSAIC_MEM__SLOT_BITS) return MOSAIC_MEM_ERROR_OPTION;
    kernels = mosaic_mem__kernels_for(o.simd);
    if (!kernels) return o.simd < 0 || o.simd > 4 ? MOSAIC_MEM_ERROR_OPTION : MOSAIC_MEM_ERROR_SIMD;
    *cloud = (mosaic_mem_cloud *)MOSAIC_MEM_MALLOC(o.malloc_ctx, sizeof **cloud);
    if (!*cloud) return MOSAIC_MEM_ERROR_MEMORY;
    memset(*cloud, 0, sizeof **cloud);
    (*cloud)->o = o;
    mosaic_mem__index_open(&(*cloud)->x, kernels, o.malloc_ctx);
    (*cloud)->x.bytes = sizeof **cloud;
    (*cloud)->x.cell = (int)MOSAIC_MEM__CUBES * o.voxel;
    (*cloud)->cubes.items.item = sizeof(mosaic_mem__cube);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API void mosaic_mem_cloud_close(mosaic_mem_cloud *cloud)
{
    void *ctx;
    if (!cloud) return;
    ctx = cloud->o.malloc_ctx;
    mosaic_mem__index_close(&cloud->x);
    mosaic_mem__empty_table(&cloud->x, &cloud->cubes);
    mosaic_mem_scratch_free(&cloud->scratch);
    MOSAIC_MEM_FREE(ctx, cloud);
    (void)ctx;
}

MOSAIC_MEM_API size_t mosaic_mem_cloud_count(const mosaic_mem_cloud *cloud)
{
    return cloud ? (size_t)(cloud->cubes.items.used - cloud->cubes.items.spare) : 0;
}

MOSAIC_MEM_API size_t mosaic_mem_cloud_bytes(const mosaic_mem_cloud *cloud)
{
    return cloud ? cloud->x.bytes + cloud->scratch.size[0] + cloud->scratch.size[1] : 0;
}

MOSAIC_MEM_API uint64_t mosaic_mem_cloud_next(const mosaic_mem_cloud *cloud, uint64_t after)
{
    uint64_t i;
    for (i = after; cloud && i < cloud->cubes.items.used; i++)
        if (mosaic_mem__cube_of(cloud, (uint32_t)i)->weight) return i + 1;
    return 0;
}

static mosaic_mem__cube *mosaic_mem__cube_numbered(const mosaic_mem_cloud *c, uint64_t number)
{
    mosaic_mem__cube *cube;
    if (number == 0 || number > c->cubes.items.used) return NULL;
    cube = mosaic_mem__cube_of(c, (uint32_t)(number - 1));
    return cube->weight ? cube : NULL;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_read(const mosaic_mem_cloud *cloud, uint64_t number, mosaic_mem_point *point)
{
    const mosaic_mem__cube *cube;
    const mosaic_mem__bucket *b;
    double normal[3] = {0, 0, 0};
    uint32_t at;
    int i;
    if (!cloud || !point) return MOSAIC_MEM_ERROR_NULL;
    cube = mosaic_mem__cube_numbered(cloud, number);
    if (!cube) return MOSAIC_MEM_ERROR_PATCH;
    b = mosaic_mem__bucket_of(&cloud->x, cube->place / MOSAIC_MEM__BUCKET);
    at = cube->place % MOSAIC_MEM__BUCKET;
    if (cube->normal[0] != 65535) mosaic_mem__unpack_normal(cube->normal, normal);
    memset(point, 0, sizeof *point);
    point->position[0] = b->x[at], point->position[1] = b->y[at], point->position[2] = b->z[at];
    for (i = 0; i < 3; i++) {
        point->normal[i] = (float)normal[i];
        point->rgb[i] = (uint8_t)(cube->rgb[i] + 0.5f);
    }
    point->weight = cube->weight;
    point->time = cube->time;
    return MOSAIC_MEM_OK;
}

static void mosaic_mem__remove_cube(mosaic_mem_cloud *c, uint32_t i)
{
    const uint32_t place = mosaic_mem__cube_of(c, i)->place;
    mosaic_mem__cube_of(c, mosaic_mem__leave(&c->x, place))->place = place;
    mosaic_mem__drop(&c->cubes, i);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_remove(mosaic_mem_cloud *cloud, uint64_t number)
{
    if (!cloud) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__cube_numbered(cloud, number)) return MOSAIC_MEM_ERROR_PATCH;
    mosaic_mem__remove_cube(cloud, (uint32_t)(number - 1));
    return MOSAIC_MEM_OK;
}

/* One sample into its cube. */
static mosaic_mem_result mosaic_mem__join(mosaic_mem_cloud *c, const mosaic_mem_point *p, mosaic_mem_fuse_stats *stats)
{
    mosaic_mem__index *x = &c->x;
    const double n[3] = {(double)p->normal[0], (double)p->normal[1], (double)p->normal[2]}, length = mosaic_mem__length(n);
    const int turned = length > 0.5 && length < 2;
    const uint32_t weight = p->weight ? p->weight : 1;
    int32_t key[4], cell[4];
    mosaic_mem__cube *cube;
    mosaic_mem__bucket *b;
    float mean[3];
    double share, blend[3];
    size_t at;
    uint32_t i, old;
    int k;
    for (k = 0; k < 3; k++) {
        const double q = (double)p->position[k] / c->o.voxel;
        if (!(q > -1073741824.0 && q < 1073741823.0)) break;
        key[k] = (int32_t)mosaic_mem__floor(q);
        cell[k] = (key[k] >= 0 ? key[k] : key[k] - (MOSAIC_MEM__CUBES - 1)) / MOSAIC_MEM__CUBES;
    }
    if (k < 3 || !mosaic_mem__finite(p->time)) {
        stats->refused++;
        return MOSAIC_MEM_OK;
    }
    key[3] = cell[3] = 0;
    if (c->cubes.size == 0 || !c->cubes.at[mosaic_mem__look(&c->cubes, key)]) {
        if (mosaic_mem_cloud_count(c) >= c->o.max_points) {
            stats->refused++;
            return MOSAIC_MEM_OK;
        }
        if (!mosaic_mem__reserve_table(x, &c->cubes, 1) || !mosaic_mem__reserve(x, &x->buckets, 1) ||
            !mosaic_mem__reserve_table(x, &x->nodes, MOSAIC_MEM__LEVELS))
            return MOSAIC_MEM_ERROR_MEMORY;
        at = mosaic_mem__look(&c->cubes, key);
        i = mosaic_mem__new(&c->cubes.items);
        c->cubes.at[at] = i + 1;
        cube = mosaic_mem__cube_of(c, i);
        memcpy(cube->key, key, sizeof key);
        cube->normal[0] = cube->normal[1] = 65535;
        cube->place = mosaic_mem__enter(x, i, cell, p->position, 0);
        cube->time = p->time;
        stats->points++;
    }
    cube = mosaic_mem__cube_of(c, c->cubes.at[mosaic_mem__look(&c->cubes, key)] - 1);
    old = cube->weight < c->o.most ? cube->weight : c->o.most;
    share = (double)weight / ((double)old + (double)weight); /* 1 for the first */
    b = mosaic_mem__bucket_of(x, cube->place / MOSAIC_MEM__BUCKET);
    i = cube->place % MOSAIC_MEM__BUCKET;
    mean[0] = b->x[i], mean[1] = b->y[i], mean[2] = b->z[i];
    for (k = 0; k < 3; k++) {
        mean[k] = (float)((double)mean[k] + share * ((double)p->position[k] - (double)mean[k]));
        cube->rgb[k] = (float)((double)cube->rgb[k] + share * ((double)p->rgb[k] - (double)cube->rgb[k]));
    }
    b->x[i] = mean[0], b->y[i] = mean[1], b->z[i] = mean[2];
    mosaic_mem__widen(x, b->node, mean, 0, 0);
    if (turned) {
        memcpy(blend, n, sizeof blend);
        if (cube->normal[0] != 65535) {
            mosaic_mem__unpack_normal(cube->normal, blend);
            for (k = 0; k < 3; k++) blend[k] += share * (n[k] - blend[k]);
        }
        if (mosaic_mem__unit(blend, 1e-6) > 0) mosaic_mem__pack_normal(blend, cube->normal);
    }
    cube->weight = cube->weight > 0xffffffffu - weight ? 0xffffffffu : cube->weight + weight;
    cube->through = 0;
    if (p->time > cube->time) cube->time = p->time;
    stats->samples++;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_add(mosaic_mem_cloud *cloud, const mosaic_mem_point *points, size_t count,
                                                      mosaic_mem_fuse_stats *stats)
{
    mosaic_mem_fuse_stats unused;
    mosaic_mem_result result = MOSAIC_MEM_OK;
    unsigned long long fp;
    size_t i;
    if (!stats) stats = &unused;
    memset(stats, 0, sizeof *stats);
    if (!cloud || (!points && count)) return MOSAIC_MEM_ERROR_NULL;
    fp = mosaic__fp_enter();
    for (i = 0; i < count && result == MOSAIC_MEM_OK; i++) result = mosaic_mem__join(cloud, &points[i], stats);
    mosaic__fp_leave(fp);
    return result;
}

/* A picture whose sizes are filled in. */
static mosaic_mem_result mosaic_mem__picture_of(const mosaic_mem_picture *given, mosaic_mem_picture *p)
{
    mosaic_mem_result result;
    *p = *given;
    result = mosaic_mem__view_valid(&p->view);
    if (result != MOSAIC_MEM_OK) return result;
    if (!p->depth) return MOSAIC_MEM_ERROR_NULL;
    if (p->depth_width == 0) p->depth_width = p->view.camera.width;
    if (p->depth_height == 0) p->depth_height = p->view.camera.height;
    if (p->depth_stride == 0) p->depth_stride = (size_t)p->depth_width;
    if (p->rgb_stride == 0) p->rgb_stride = 3 * (size_t)p->depth_width;
    if (p->step == 0) p->step = 1;
    if (p->depth_width < 1 || p->depth_height < 1 || p->depth_width > 65535 || p->depth_height > 65535 || p->step < 1 ||
        p->depth_stride < (size_t)p->depth_width || p->rgb_stride < 3 * (size_t)p->depth_width)
        return MOSAIC_MEM_ERROR_SIZE;
    return p->edge >= 0 && mosaic_mem__finite(p->edge) ? MOSAIC_MEM_OK : MOSAIC_MEM_ERROR_NUMBER;
}

/* The depth in column x of row y, 0 where it is not known. */
static double mosaic_mem__picture_depth(const mosaic_mem_picture *p, int x, int y)
{
    float z;
    if (x < 0 || y < 0 || x >= p->depth_width || y >= p->depth_height) return 0;
    z = p->depth[(size_t)y * p->depth_stride + (size_t)x];
    return z > 1e-6f && z < 1e9f ? (double)z : 0;
}

static void mosaic_mem__picture_point(const mosaic_mem_picture *p, int x, int y, double z, double out[3])
{
    const mosaic_mem_camera *c = &p->view.camera;
    mosaic_mem__lift(c, (x + 0.5) * c->width / p->depth_width, (y + 0.5) * c->height / p->depth_height, z, out);
}

/* What the depth in column x of row y is as a point; 0: none. */
static int mosaic_mem__sample_point(const mosaic_mem_picture *p, int x, int y, mosaic_mem_point *out)
{
    static const int beside[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
    const double z = mosaic_mem__picture_depth(p, x, y);
    double at[3], side[4][3], normal[3], a[3], b[3];
    int known[4], i, k;
    if (!(z > 0) || (p->skip && p->skip[(size_t)y * (size_t)p->depth_width + (size_t)x])) return 0;
    for (i = 0; i < 4; i++) {
        const double other = mosaic_mem__picture_depth(p, x + beside[i][0], y + beside[i][1]);
        if (other > 0 && p->edge > 0 && (other > z * (1 + p->edge) || z > other * (1 + p->edge))) return 0;
        known[i] = other > 0.75 * z && other < 1.33 * z;
        if (known[i]) mosaic_mem__picture_point(p, x + beside[i][0], y + beside[i][1], other, side[i]);
    }
    memset(out, 0, sizeof *out);
    mosaic_mem__picture_point(p, x, y, z, at);
    /* From what is left to what is right of it, and from above to below, as far as both are known. */
    if ((known[0] || known[2]) && (known[1] || known[3])) {
        for (k = 0; k < 3; k++) {
            a[k] = (known[0] ? side[0][k] : at[k]) - (known[2] ? side[2][k] : at[k]);
            b[k] = (known[1] ? side[1][k] : at[k]) - (known[3] ? side[3][k] : at[k]);
        }
        mosaic_mem__cross(b, a, normal); /* towards the camera: x is right, y is down */
        if (mosaic_mem__unit(normal, 1e-30) > 0) {
            mosaic_mem__turn_back(&p->view.pose, normal, normal);
            for (k = 0; k < 3; k++) out->normal[k] = (float)normal[k];
        }
    }
    mosaic_mem__to_world(&p->view.pose, at, at);
    for (k = 0; k < 3; k++) {
        out->position[k] = (float)at[k];
        out->rgb[k] = p->rgb ? p->rgb[(size_t)y * p->rgb_stride + 3 * (size_t)x + (size_t)k] : 128;
    }
    out->weight = 1;
    out->time = p->view.time;
    return 1;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_unproject_picture(const mosaic_mem_picture *picture, mosaic_mem_point *points, size_t capacity,
                                                              size_t *count)
{
    mosaic_mem_picture p;
    mosaic_mem_point point;
    mosaic_mem_result result;
    unsigned long long fp;
    int x, y;
    if (!picture || !count || (!points && capacity)) return MOSAIC_MEM_ERROR_NULL;
    *count = 0;
    result = mosaic_mem__picture_of(picture, &p);
    if (result != MOSAIC_MEM_OK) return result;
    fp = mosaic__fp_enter();
    for (y = 0; y < p.depth_height; y += p.step)
        for (x = 0; x < p.depth_width; x += p.step)
            if (mosaic_mem__sample_point(&p, x, y, &point)) {
                if (*count < capacity) points[*count] = point;
                ++*count;
            }
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

/* Points that the picture sees through are counted, and go when it was often enough; what it hides says nothing. */
static mosaic_mem_result mosaic_mem__carve(mosaic_mem_cloud *c, const mosaic_mem_picture *p, mosaic_mem_fuse_stats *stats)
{
    const mosaic_mem_camera *camera = &p->view.camera;
    mosaic_mem__volume v;
    mosaic_mem_result result;
    size_t n, i;
    mosaic_mem__frustum_of(&p->view, 1e-6, 1e9, &v);
    result = mosaic_mem__list(&c->x, NULL, &v, &c->scratch, &n);
    if (result == MOSAIC_MEM_OK) mosaic_mem__sort((mosaic_mem_near *)c->scratch.area[1], n); /* numbers are given again in the order they went */
    for (i = 0; result == MOSAIC_MEM_OK && i < n; i++) {
        const uint32_t number = (uint32_t)(((const mosaic_mem_near *)c->scratch.area[1])[i].id - 1);
        mosaic_mem__cube *cube = mosaic_mem__cube_of(c, number);
        const mosaic_mem__bucket *b = mosaic_mem__bucket_of(&c->x, cube->place / MOSAIC_MEM__BUCKET);
        const uint32_t at = cube->place % MOSAIC_MEM__BUCKET;
        const double world[3] = {(double)b->x[at], (double)b->y[at], (double)b->z[at]};
        double uvz[3], z;
        if (!mosaic_mem_project(&p->view, world, uvz)) continue;
        z = mosaic_mem__picture_depth(p, (int)(uvz[0] * p->depth_width / camera->width), (int)(uvz[1] * p->depth_height / camera->height));
        if (!(z > 0) || uvz[2] > z * (1 + c->o.through)) continue;
        if (uvz[2] * (1 + c->o.through) < z) {
            if (++cube->through < c->o.carve) continue;
            mosaic_mem__remove_cube(c, number);
            stats->carved++;
        } else {
            cube->through = 0;
        }
    }
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_fuse(mosaic_mem_cloud *cloud, const mosaic_mem_picture *picture, mosaic_mem_fuse_stats *stats)
{
    mosaic_mem_fuse_stats unused;
    mosaic_mem_picture p;
    mosaic_mem_point point;
    mosaic_mem_result result;
    unsigned long long fp;
    int x, y;
    if (!stats) stats = &unused;
    memset(stats, 0, sizeof *stats);
    if (!cloud || !picture) return MOSAIC_MEM_ERROR_NULL;
    result = mosaic_mem__picture_of(picture, &p);
    if (result != MOSAIC_MEM_OK) return result;
    fp = mosaic__fp_enter();
    if (cloud->o.carve) result = mosaic_mem__carve(cloud, &p, stats);
    for (y = 0; y < p.depth_height; y += p.step)
        for (x = 0; x < p.depth_width && result == MOSAIC_MEM_OK; x += p.step)
            if (mosaic_mem__sample_point(&p, x, y, &point)) result = mosaic_mem__join(cloud, &point, stats);
    mosaic__fp_leave(fp);
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_bounds(const mosaic_mem_cloud *cloud, double low[3], double high[3], double mean[3])
{
    mosaic_mem_point p;
    unsigned long long fp;
    uint64_t i = 0;
    int k, first = 1;
    if (!cloud || !low || !high || !mean) return MOSAIC_MEM_ERROR_NULL;
    if (mosaic_mem_cloud_count(cloud) == 0) return MOSAIC_MEM_ERROR_SIZE;
    fp = mosaic__fp_enter();
    mean[0] = mean[1] = mean[2] = 0;
    while ((i = mosaic_mem_cloud_next(cloud, i)) != 0) {
        mosaic_mem_cloud_read(cloud, i, &p);
        for (k = 0; k < 3; k++) {
            const double q = (double)p.position[k];
            low[k] = first || q < low[k] ? q : low[k];
            high[k] = first || q > high[k] ? q : high[k];
            mean[k] += q;
        }
        first = 0;
    }
    for (k = 0; k < 3; k++) mean[k] /= (double)mosaic_mem_cloud_count(cloud);
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_radius(const mosaic_mem_cloud *cloud, const double point[3], double radius,
                                                         mosaic_mem_scratch *scratch, mosaic_mem_near *out, size_t capacity, size_t *found)
{
    if (!cloud) return MOSAIC_MEM_ERROR_NULL;
    return mosaic_mem__radius(&cloud->x, NULL, point, radius, scratch, out, capacity, found);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_nearest(const mosaic_mem_cloud *cloud, const double point[3], mosaic_mem_scratch *scratch,
                                                          mosaic_mem_near *out, size_t capacity, size_t *found)
{
    if (!cloud) return MOSAIC_MEM_ERROR_NULL;
    return mosaic_mem__nearest(&cloud->x, NULL, mosaic_mem_cloud_count(cloud), point, scratch, out, capacity, found);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cloud_frustum(const mosaic_mem_cloud *cloud, const mosaic_mem_view *view, double nearest, double farthest,
                                                          mosaic_mem_scratch *scratch, uint64_t *numbers, size_t capacity, size_t *found)
{
    if (!cloud) return MOSAIC_MEM_ERROR_NULL;
    return mosaic_mem__frustum(&cloud->x, NULL, view, nearest, farthest, scratch, numbers, capacity, found);
}

/* ==== edits ==== */

static int mosaic_mem__in_region(const mosaic_mem *m, uint32_t slot, const mosaic_mem_region *r)
{
    uint32_t at;
    const mosaic_mem__bucket *b = mosaic_mem__entry(m, slot, &at);
    const mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, slot);
    const uint32_t i = slot % MOSAIC_MEM__CHUNK;
    const double x[3] = {(double)b->x[at], (double)b->y[at], (double)b->z[at]};
    mosaic_mem_info info;
    double d[3];
    int k;
    if (!r) return 1;
    switch (r->shape) {
    case MOSAIC_MEM_BALL:
        for (k = 0; k < 3; k++) d[k] = x[k] - r->centre[k];
        return mosaic_mem__dot(d, d) <= r->radius * r->radius;
    case MOSAIC_MEM_BOX:
        for (k = 0; k < 3; k++)
            if (!(x[k] >= r->low[k] && x[k] <= r->high[k])) return 0;
        return 1;
    case MOSAIC_MEM_FRAME: return mosaic_mem__frame_of(m, c->frame[i])->frame == r->frame;
    case MOSAIC_MEM_ONE: return c->id[i] == r->id;
    case MOSAIC_MEM_CHOSEN: mosaic_mem__describe(m, slot, &info); return r->choose(r->ctx, &info) != 0;
    default: return 1;
    }
}

/* The slots in a region, to area 0 of the store's own scratch, rising. */
static mosaic_mem_result mosaic_mem__choose(const mosaic_mem *m, const mosaic_mem_region *r, mosaic_mem_scratch *s, size_t *found)
{
    size_t c;
    uint32_t i, *out;
    *found = 0;
    if (r) {
        if ((unsigned)r->shape > MOSAIC_MEM_CHOSEN) return MOSAIC_MEM_ERROR_OPTION;
        if (r->shape == MOSAIC_MEM_CHOSEN && !r->choose) return MOSAIC_MEM_ERROR_NULL;
        if (r->shape == MOSAIC_MEM_BALL && (!mosaic_mem__finite_all(r->centre, 3) || !(r->radius >= 0))) return MOSAIC_MEM_ERROR_NUMBER;
        if (r->shape == MOSAIC_MEM_ONE && mosaic_mem__find(m, r->id) == MOSAIC_MEM__NONE) return MOSAIC_MEM_ERROR_PATCH;
    }
    if (!mosaic_mem__room(&m->x, s, 0, m->count * sizeof *out, 0)) return MOSAIC_MEM_ERROR_MEMORY;
    out = (uint32_t *)s->area[0];
    for (c = 0; c < m->chunks; c++)
        for (i = 0; m->chunk[c] && i < MOSAIC_MEM__CHUNK; i++)
            if (m->chunk[c]->id[i] && mosaic_mem__in_region(m, (uint32_t)c * MOSAIC_MEM__CHUNK + i, r))
                out[(*found)++] = (uint32_t)c * MOSAIC_MEM__CHUNK + i;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_erase(mosaic_mem *memory, const mosaic_mem_region *region, size_t *affected)
{
    mosaic_mem_result result;
    size_t n, i;
    if (affected) *affected = 0;
    if (!memory) return MOSAIC_MEM_ERROR_NULL;
    result = mosaic_mem__choose(memory, region, &memory->scratch, &n);
    if (result != MOSAIC_MEM_OK) return result;
    for (i = 0; i < n; i++) mosaic_mem__remove(memory, ((const uint32_t *)memory->scratch.area[0])[i]);
    if (affected) *affected = n;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_pin(mosaic_mem *memory, const mosaic_mem_region *region, int pinned, size_t *affected)
{
    mosaic_mem_result result;
    size_t n, i;
    if (affected) *affected = 0;
    if (!memory) return MOSAIC_MEM_ERROR_NULL;
    result = mosaic_mem__choose(memory, region, &memory->scratch, &n);
    if (result != MOSAIC_MEM_OK) return result;
    for (i = 0; i < n; i++) {
        const uint32_t slot = ((const uint32_t *)memory->scratch.area[0])[i];
        mosaic_mem__chunk_of(memory, slot)->flags[slot % MOSAIC_MEM__CHUNK] = pinned ? MOSAIC_MEM__PINNED : 0;
    }
    if (affected) *affected = n;
    return MOSAIC_MEM_OK;
}

static int mosaic_mem__affine_valid(const double a[12])
{
    double back[12];
    return mosaic_mem__finite_all(a, 12) && mosaic_mem__invert(a, back);
}

static void mosaic_mem__let_go(mosaic_mem *m, uint32_t edit)
{
    if (edit && edit != MOSAIC_MEM__NONE && --mosaic_mem__edit_of(m, edit)->refs == 0) mosaic_mem__recycle(&m->edits, edit);
}

/* For each edit of `from` that the patches have: what it becomes under another transform, as an edit of m that is held once by the map. */
static mosaic_mem_result mosaic_mem__join_edits(mosaic_mem *m, const mosaic_mem *from, const uint32_t *slots, size_t n, const double affine[12],
                                                uint32_t *map)
{
    size_t i, used = from->edits.used;
    for (i = 0; i < used; i++) map[i] = MOSAIC_MEM__NONE;
    for (i = 0; i < n; i++) {
        const uint32_t old = mosaic_mem__chunk_of(from, slots[i])->edit[slots[i] % MOSAIC_MEM__CHUNK];
        double joined[12];
        if (map[old] != MOSAIC_MEM__NONE) continue;
        mosaic_mem__times(affine, mosaic_mem__edit_of(from, old)->affine, joined);
        map[old] = 0;
        if (memcmp(joined, mosaic_mem__identity, sizeof joined) == 0) continue;
        if (!mosaic_mem__affine_valid(joined) || !mosaic_mem__reserve(&m->x, &m->edits, 1)) {
            for (i = 0; i < used; i++) mosaic_mem__let_go(m, map[i]);
            return mosaic_mem__affine_valid(joined) ? MOSAIC_MEM_ERROR_MEMORY : MOSAIC_MEM_ERROR_NUMBER;
        }
        map[old] = mosaic_mem__new(&m->edits);
        memcpy(mosaic_mem__edit_of(m, map[old])->affine, joined, sizeof joined);
        mosaic_mem__edit_of(m, map[old])->refs = 1;
    }
    return MOSAIC_MEM_OK;
}

/* Patches of `from`, their slots in area 0, to where the affine transform takes them: all are computed before any is moved or copied. */
static mosaic_mem_result mosaic_mem__move(mosaic_mem *m, const mosaic_mem *from, size_t n, const double affine[12], int copy)
{
    const uint32_t *slots = (const uint32_t *)m->scratch.area[0];
    const size_t edits = from->edits.used, frames = from->frames.used;
    mosaic_mem__fresh *fresh;
    uint32_t *edit_map, *frame_map;
    mosaic_mem_result result;
    size_t i;
    if (!mosaic_mem__room(&m->x, &m->scratch, 1, n * sizeof *fresh + (edits + frames) * sizeof(uint32_t), 0)) return MOSAIC_MEM_ERROR_MEMORY;
    fresh = (mosaic_mem__fresh *)m->scratch.area[1];
    edit_map = (uint32_t *)(void *)(fresh + n);
    frame_map = edit_map + edits;
    if (copy && !mosaic_mem__reserve(&m->x, &m->frames, from == m ? 0 : from->frames.used - from->frames.spare)) return MOSAIC_MEM_ERROR_MEMORY;
    result = mosaic_mem__join_edits(m, from, slots, n, affine, edit_map);
    if (result != MOSAIC_MEM_OK) return result;
    for (i = 0; i < n && result == MOSAIC_MEM_OK; i++) {
        const mosaic_mem__chunk *c = mosaic_mem__chunk_of(from, slots[i]);
        const uint32_t at = slots[i] % MOSAIC_MEM__CHUNK;
        mosaic_mem__fresh *p = &fresh[i];
        p->depth = c->depth[at];
        p->tile = c->tile[at];
        memcpy(p->normal, c->normal[at], sizeof p->normal);
        if (!mosaic_mem__derive(from, mosaic_mem__frame_of(from, c->frame[at]), p->tile, (double)p->depth, p->normal,
                                mosaic_mem__depths(from, slots[i]), mosaic_mem__edit_of(m, edit_map[c->edit[at]])->affine, p->centre, &p->radius,
                                &p->level))
            result = MOSAIC_MEM_ERROR_NUMBER;
    }
    if (result == MOSAIC_MEM_OK &&
        !(copy ? mosaic_mem__reserve_patches(m, fresh, n, 1, m->x.cell) : mosaic_mem__reserve_index(&m->x, fresh, n, 1, m->x.cell)))
        result = MOSAIC_MEM_ERROR_MEMORY;
    for (i = 0; i < frames; i++) frame_map[i] = from == m ? (uint32_t)i : MOSAIC_MEM__NONE;
    for (i = 0; i < n && result == MOSAIC_MEM_OK; i++) {
        mosaic_mem__chunk *c = mosaic_mem__chunk_of(from, slots[i]);
        const uint32_t at = slots[i] % MOSAIC_MEM__CHUNK, old = c->edit[at], edit = edit_map[old];
        if (copy) {
            uint32_t slot, frame = frame_map[c->frame[at]], to;
            if (frame == MOSAIC_MEM__NONE) {
                frame = frame_map[c->frame[at]] = mosaic_mem__new(&m->frames);
                *mosaic_mem__frame_of(m, frame) = *mosaic_mem__frame_of(from, c->frame[at]);
                mosaic_mem__frame_of(m, frame)->refs = 0;
            }
            slot = mosaic_mem__settle(m, mosaic_mem__free_slot(m), frame, edit, &fresh[i], c->time[at]);
            to = slot % MOSAIC_MEM__CHUNK;
            mosaic_mem__chunk_of(m, slot)->confidence[to] = c->confidence[at];
            mosaic_mem__chunk_of(m, slot)->hits[to] = c->hits[at];
            mosaic_mem__chunk_of(m, slot)->flags[to] = c->flags[at];
            memcpy(mosaic_mem__depths(m, slot), mosaic_mem__depths(from, slots[i]), m->tokens * sizeof(float));
            memcpy(mosaic_mem__values(m, slot), mosaic_mem__values(from, slots[i]), m->tokens * (size_t)m->o.channels * m->value_size);
            memcpy(mosaic_mem__tags(m, slot), mosaic_mem__tags(from, slots[i]), m->tokens * (size_t)m->o.tags * sizeof(uint32_t));
        } else {
            mosaic_mem__unindex_patch(m, slots[i]);
            mosaic_mem__index_patch(m, slots[i], fresh[i].centre, fresh[i].radius);
            c->level[at] = fresh[i].level;
            c->edit[at] = edit;
            if (edit) mosaic_mem__edit_of(m, edit)->refs++;
            mosaic_mem__let_go(m, old);
        }
    }
    for (i = 0; i < edits; i++) mosaic_mem__let_go(m, edit_map[i]);
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_transform(mosaic_mem *memory, const mosaic_mem_region *region, const double affine[12], size_t *affected)
{
    mosaic_mem_result result;
    size_t n;
    unsigned long long fp;
    if (affected) *affected = 0;
    if (!memory || !affine) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__affine_valid(affine)) return MOSAIC_MEM_ERROR_NUMBER;
    fp = mosaic__fp_enter();
    result = mosaic_mem__choose(memory, region, &memory->scratch, &n);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem__move(memory, memory, n, affine, 0);
    mosaic__fp_leave(fp);
    if (result == MOSAIC_MEM_OK && affected) *affected = n;
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_splice(mosaic_mem *memory, const mosaic_mem *from, const mosaic_mem_region *region,
                                                   const double affine[12], size_t *affected)
{
    mosaic_mem *m = memory;
    mosaic_mem_result result;
    size_t n, i;
    unsigned long long fp;
    if (affected) *affected = 0;
    if (!memory || !from) return MOSAIC_MEM_ERROR_NULL;
    if (!affine) affine = mosaic_mem__identity;
    if (!mosaic_mem__affine_valid(affine)) return MOSAIC_MEM_ERROR_NUMBER;
    if (m->o.tile_width != from->o.tile_width || m->o.tile_height != from->o.tile_height || m->o.channels != from->o.channels ||
        m->o.tags != from->o.tags || m->o.type != from->o.type ||
        (m->o.type == MOSAIC_MEM_U8 && !(m->o.u8_low == from->o.u8_low && m->o.u8_step == from->o.u8_step)))
        return MOSAIC_MEM_ERROR_MATCH;
    fp = mosaic__fp_enter();
    result = mosaic_mem__choose(from, region, &m->scratch, &n);
    if (result == MOSAIC_MEM_OK && m->count + n > m->o.max_patches) result = MOSAIC_MEM_ERROR_LIMIT;
    if (result == MOSAIC_MEM_OK && !mosaic_mem__room(&m->x, &m->scratch, 1, n * sizeof(mosaic_mem_near), 0)) result = MOSAIC_MEM_ERROR_MEMORY;
    if (result == MOSAIC_MEM_OK && n) {
        uint32_t *slots = (uint32_t *)m->scratch.area[0];
        mosaic_mem_near *order = (mosaic_mem_near *)m->scratch.area[1];
        for (i = 0; i < n; i++) order[i].distance = 0, order[i].id = mosaic_mem__name(from, slots[i]);
        mosaic_mem__sort(order, n);
        for (i = 0; i < n; i++) slots[i] = mosaic_mem__find(from, order[i].id);
        if (!(m->x.cell > 0)) m->x.cell = from->x.cell;
        if (m->sequence == 0) m->sequence = 1, m->newest = from->newest;
        result = mosaic_mem__move(m, from, n, affine, 1);
        if (result == MOSAIC_MEM_OK) {
            m->tick++;
            if (from->newest > m->newest) m->newest = from->newest;
        }
    }
    mosaic__fp_leave(fp);
    if (result == MOSAIC_MEM_OK && affected) *affected = n;
    return result;
}

MOSAIC_MEM_API void mosaic_mem_affine_shift(double x, double y, double z, double affine[12])
{
    memcpy(affine, mosaic_mem__identity, sizeof mosaic_mem__identity);
    affine[3] = x, affine[7] = y, affine[11] = z;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_affine_mirror(const double point[3], const double normal[3], double affine[12])
{
    double n[3], d;
    int i, j;
    if (!point || !normal || !affine) return MOSAIC_MEM_ERROR_NULL;
    memcpy(n, normal, sizeof n);
    if (!mosaic_mem__finite_all(point, 3) || !mosaic_mem__finite_all(n, 3) || mosaic_mem__unit(n, 1e-12) == 0) return MOSAIC_MEM_ERROR_NUMBER;
    d = mosaic_mem__dot(point, n);
    for (i = 0; i < 3; i++) {
        for (j = 0; j < 3; j++) affine[4 * i + j] = (i == j) - 2 * n[i] * n[j];
        affine[4 * i + 3] = 2 * d * n[i];
    }
    return MOSAIC_MEM_OK;
}

/* ==== files ==== */

enum { MOSAIC_MEM__HEAD = 32, MOSAIC_MEM__CONFIG = 92, MOSAIC_MEM__FRAME = 168, MOSAIC_MEM__EDIT = 96, MOSAIC_MEM__PATCH = 48 };

/* CRC-32 (IEEE 802.3), four bits at a time. */
static uint32_t mosaic_mem__crc(uint32_t crc, const void *bytes, size_t size)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const uint8_t *p = (const uint8_t *)bytes;
    crc = ~crc;
    while (size--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

typedef struct mosaic_mem__out {
    mosaic_mem_write write;
    void *ctx;
    uint32_t crc;
    size_t used;
    int failed;
    uint8_t buffer[4096];
} mosaic_mem__out;

static void mosaic_mem__flush(mosaic_mem__out *o)
{
    o->crc = mosaic_mem__crc(o->crc, o->buffer, o->used);
    if (!o->failed && o->used && o->write(o->ctx, o->buffer, o->used)) o->failed = 1;
    o->used = 0;
}

static void mosaic_mem__put_number(mosaic_mem__out *o, uint64_t x, int bytes)
{
    if (o->used + 8 > sizeof o->buffer) mosaic_mem__flush(o);
    while (bytes-- > 0) o->buffer[o->used++] = (uint8_t)x, x >>= 8;
}

static void mosaic_mem__put_double(mosaic_mem__out *o, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    mosaic_mem__put_number(o, bits, 8);
}

static void mosaic_mem__put_float(mosaic_mem__out *o, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    mosaic_mem__put_number(o, bits, 4);
}

/* Bytes that a file has from its patches on, per patch of so many tokens. */
static uint64_t mosaic_mem__patch_bytes(const mosaic_mem_options *o)
{
    const uint64_t values = o->type == MOSAIC_MEM_U8 ? 1 : o->type == MOSAIC_MEM_F16 ? 2 : 4;
    return MOSAIC_MEM__PATCH + (uint64_t)(o->tile_width * o->tile_height) * (4 + (uint64_t)o->channels * values + 4 * (uint64_t)o->tags);
}

static void mosaic_mem__put_values(mosaic_mem__out *o, const mosaic_mem *m, uint32_t slot)
{
    const unsigned char *values = mosaic_mem__values(m, slot);
    size_t i;
    for (i = 0; i < m->tokens * (size_t)m->o.channels; i++) {
        uint32_t word;
        uint16_t half;
        if (m->o.type == MOSAIC_MEM_F32)
            memcpy(&word, values + 4 * i, sizeof word);
        else if (m->o.type == MOSAIC_MEM_F16)
            memcpy(&half, values + 2 * i, sizeof half), word = half;
        else
            word = values[i];
        mosaic_mem__put_number(o, word, (int)m->value_size);
    }
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_save(const mosaic_mem *memory, mosaic_mem_write write, void *ctx)
{
    const mosaic_mem *m = memory;
    mosaic_mem__out o;
    uint32_t *frame_map, *edit_map, frames = 0, edits = 0, i, e;
    size_t c, maps;
    int k, pass;
    if (!memory || !write) return MOSAIC_MEM_ERROR_NULL;
    maps = ((size_t)m->frames.used + m->edits.used + 1) * sizeof *frame_map;
    frame_map = (uint32_t *)MOSAIC_MEM_MALLOC(m->o.malloc_ctx, maps);
    if (!frame_map) return MOSAIC_MEM_ERROR_MEMORY;
    memset(frame_map, 0xff, maps);
    edit_map = frame_map + m->frames.used;
    memset(&o, 0, sizeof o);
    o.write = write;
    o.ctx = ctx;
    /* Pictures and edits in the order patches name them, so that equal stores are equal files: counted first, then written. */
    for (pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            for (k = 0; k < 8; k++) mosaic_mem__put_number(&o, (uint8_t) "MOSAICMM"[k], 1);
            mosaic_mem__put_number(&o, 1, 4);
            mosaic_mem__put_number(&o, 0, 4);
            mosaic_mem__put_number(&o,
                                   MOSAIC_MEM__HEAD + MOSAIC_MEM__CONFIG + (uint64_t)frames * MOSAIC_MEM__FRAME + (uint64_t)edits * MOSAIC_MEM__EDIT +
                                       m->count * mosaic_mem__patch_bytes(&m->o) + 4,
                                   8);
            mosaic_mem__put_number(&o, frames, 4);
            mosaic_mem__put_number(&o, edits, 4);
            mosaic_mem__put_number(&o, (uint64_t)m->o.tile_width, 4);
            mosaic_mem__put_number(&o, (uint64_t)m->o.tile_height, 4);
            mosaic_mem__put_number(&o, (uint64_t)m->o.channels, 4);
            mosaic_mem__put_number(&o, (uint64_t)m->o.tags, 4);
            mosaic_mem__put_number(&o, (uint64_t)m->o.type, 4);
            mosaic_mem__put_float(&o, m->o.u8_low);
            mosaic_mem__put_float(&o, m->o.u8_step);
            mosaic_mem__put_number(&o, m->o.max_patches, 8);
            mosaic_mem__put_number(&o, m->count, 8);
            mosaic_mem__put_number(&o, m->sequence, 8);
            mosaic_mem__put_number(&o, m->tick, 4);
            mosaic_mem__put_double(&o, m->newest);
            mosaic_mem__put_double(&o, m->x.cell);
            for (k = 0; k < 5; k++) mosaic_mem__put_number(&o, 0, 4);
        }
        frames = edits = 0;
        if (pass == 1) memset(frame_map, 0xff, maps);
        for (c = 0; c < m->chunks; c++)
            for (i = 0; m->chunk[c] && i < MOSAIC_MEM__CHUNK; i++) {
                const mosaic_mem__frame *f;
                if (!m->chunk[c]->id[i] || frame_map[m->chunk[c]->frame[i]] != MOSAIC_MEM__NONE) continue;
                frame_map[m->chunk[c]->frame[i]] = frames++;
                if (pass == 0) continue;
                f = mosaic_mem__frame_of(m, m->chunk[c]->frame[i]);
                for (k = 0; k < 9; k++) mosaic_mem__put_double(&o, f->view.pose.rotation[k]);
                for (k = 0; k < 3; k++) mosaic_mem__put_double(&o, f->view.pose.centre[k]);
                mosaic_mem__put_double(&o, f->view.camera.fx);
                mosaic_mem__put_double(&o, f->view.camera.fy);
                mosaic_mem__put_double(&o, f->view.camera.cx);
                mosaic_mem__put_double(&o, f->view.camera.cy);
                mosaic_mem__put_double(&o, f->view.time);
                mosaic_mem__put_number(&o, f->frame, 8);
                mosaic_mem__put_number(&o, (uint64_t)f->view.camera.width, 4);
                mosaic_mem__put_number(&o, (uint64_t)f->view.camera.height, 4);
                mosaic_mem__put_number(&o, (uint64_t)f->cols, 4);
                mosaic_mem__put_number(&o, (uint64_t)f->rows, 4);
                mosaic_mem__put_number(&o, 0, 8);
            }
        for (c = 0; c < m->chunks; c++)
            for (i = 0; m->chunk[c] && i < MOSAIC_MEM__CHUNK; i++) {
                e = m->chunk[c]->edit[i];
                if (!m->chunk[c]->id[i] || e == 0 || edit_map[e] != MOSAIC_MEM__NONE) continue;
                edit_map[e] = ++edits; /* 0 is the identity */
                for (k = 0; k < 12 && pass == 1; k++) mosaic_mem__put_double(&o, mosaic_mem__edit_of(m, e)->affine[k]);
            }
    }
    edit_map[0] = 0;
    for (c = 0; c < m->chunks; c++)
        for (i = 0; m->chunk[c] && i < MOSAIC_MEM__CHUNK; i++) {
            const mosaic_mem__chunk *from = m->chunk[c];
            const uint32_t slot = (uint32_t)c * MOSAIC_MEM__CHUNK + i;
            size_t t;
            if (!from->id[i]) continue;
            mosaic_mem__put_number(&o, from->id[i], 8);
            mosaic_mem__put_double(&o, from->time[i]);
            mosaic_mem__put_number(&o, frame_map[from->frame[i]], 4);
            mosaic_mem__put_number(&o, edit_map[from->edit[i]], 4);
            mosaic_mem__put_number(&o, from->tile[i], 4);
            mosaic_mem__put_number(&o, from->tick[i], 4);
            mosaic_mem__put_float(&o, from->confidence[i]);
            mosaic_mem__put_float(&o, from->depth[i]);
            mosaic_mem__put_number(&o, from->normal[i][0], 2);
            mosaic_mem__put_number(&o, from->normal[i][1], 2);
            mosaic_mem__put_number(&o, from->hits[i], 2);
            mosaic_mem__put_number(&o, from->flags[i], 2);
            for (t = 0; t < m->tokens; t++) mosaic_mem__put_float(&o, mosaic_mem__depths(m, slot)[t]);
            mosaic_mem__put_values(&o, m, slot);
            for (t = 0; t < m->tokens * (size_t)m->o.tags; t++) mosaic_mem__put_number(&o, mosaic_mem__tags(m, slot)[t], 4);
        }
    mosaic_mem__flush(&o);
    mosaic_mem__put_number(&o, o.crc, 4);
    mosaic_mem__flush(&o);
    MOSAIC_MEM_FREE(m->o.malloc_ctx, frame_map);
    return o.failed ? MOSAIC_MEM_ERROR_CALLBACK : MOSAIC_MEM_OK;
}

static uint64_t mosaic_mem__get_number(const uint8_t **p, int bytes)
{
    uint64_t x = 0;
    int i;
    for (i = 0; i < bytes; i++) x |= (uint64_t)(*p)[i] << 8 * i;
    *p += bytes;
    return x;
}

static double mosaic_mem__get_double(const uint8_t **p)
{
    const uint64_t bits = mosaic_mem__get_number(p, 8);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float mosaic_mem__get_float(const uint8_t **p)
{
    const uint32_t bits = (uint32_t)mosaic_mem__get_number(p, 4);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* One patch of a file into the slot it had. */
static mosaic_mem_result mosaic_mem__load_patch(mosaic_mem *m, const uint8_t **p, uint32_t frames, uint32_t edits, uint64_t *last)
{
    mosaic_mem__fresh fresh;
    mosaic_mem__chunk *c;
    mosaic_mem__frame *f;
    mosaic_mem__tile t;
    const uint64_t id = mosaic_mem__get_number(p, 8), slot64 = id & ((1u << MOSAIC_MEM__SLOT_BITS) - 1), sequence = m->sequence;
    const double time = mosaic_mem__get_double(p);
    const uint32_t slot = (uint32_t)slot64, i = slot % MOSAIC_MEM__CHUNK, frame = (uint32_t)mosaic_mem__get_number(p, 4);
    const uint32_t edit = (uint32_t)mosaic_mem__get_number(p, 4);
    const uint64_t more = *last;
    uint32_t tick, flags;
    uint16_t hits;
    float confidence;
    size_t k;
    fresh.tile = (uint32_t)mosaic_mem__get_number(p, 4);
    tick = (uint32_t)mosaic_mem__get_number(p, 4);
    confidence = mosaic_mem__get_float(p);
    fresh.depth = mosaic_mem__get_float(p);
    fresh.normal[0] = (uint16_t)mosaic_mem__get_number(p, 2);
    fresh.normal[1] = (uint16_t)mosaic_mem__get_number(p, 2);
    hits = (uint16_t)mosaic_mem__get_number(p, 2);
    flags = (uint32_t)mosaic_mem__get_number(p, 2);
    /* Slots rise, and ids are not yet to be given. */
    if (slot64 + 1 <= more || id >> MOSAIC_MEM__SLOT_BITS == 0 || id >> MOSAIC_MEM__SLOT_BITS >= sequence || frame >= frames || edit > edits ||
        flags > MOSAIC_MEM__PINNED || tick > m->tick || !mosaic_mem__finite(time) || !(confidence >= 0 && confidence < 1e30f) ||
        !(fresh.depth > 1e-6f && fresh.depth < 1e9f) || fresh.normal[0] > 65534 || fresh.normal[1] > 65534)
        return MOSAIC_MEM_ERROR_CORRUPT;
    if (slot64 >= m->o.max_patches) return MOSAIC_MEM_ERROR_LIMIT;
    *last = slot64 + 1;
    f = mosaic_mem__frame_of(m, frame);
    if (fresh.tile >= (uint64_t)f->across * (uint64_t)((f->rows + m->o.tile_height - 1) / m->o.tile_height)) return MOSAIC_MEM_ERROR_CORRUPT;
    if (!mosaic_mem__need_chunk(m, slot)) return MOSAIC_MEM_ERROR_MEMORY;
    c = mosaic_mem__chunk_of(m, slot);
    t = mosaic_mem__tile_of(m, f, fresh.tile);
    for (k = 0; k < m->tokens; k++) {
        const float z = mosaic_mem__get_float(p);
        if (!(z == 0 || (z > 1e-6f && z < 1e9f))) return MOSAIC_MEM_ERROR_CORRUPT;
        mosaic_mem__depths(m, slot)[k] = k < (size_t)(t.cols * t.rows) ? z : 0;
    }
    for (k = 0; k < m->tokens * (size_t)m->o.channels; k++) {
        unsigned char *value = mosaic_mem__values(m, slot) + k * m->value_size;
        const uint32_t word = (uint32_t)mosaic_mem__get_number(p, (int)m->value_size);
        const uint16_t half = (uint16_t)word;
        if ((m->o.type == MOSAIC_MEM_F32 && (word & 0x7f800000) == 0x7f800000) || (m->o.type == MOSAIC_MEM_F16 && (word & 0x7c00) == 0x7c00))
            return MOSAIC_MEM_ERROR_CORRUPT;
        if (m->o.type == MOSAIC_MEM_F32)
            memcpy(value, &word, 4);
        else if (m->o.type == MOSAIC_MEM_F16)
            memcpy(value, &half, 2);
        else
            *value = (unsigned char)word;
    }
    for (k = 0; k < m->tokens * (size_t)m->o.tags; k++) mosaic_mem__tags(m, slot)[k] = (uint32_t)mosaic_mem__get_number(p, 4);
    if (!mosaic_mem__derive(m, f, fresh.tile, (double)fresh.depth, fresh.normal, mosaic_mem__depths(m, slot), mosaic_mem__edit_of(m, edit)->affine,
                            fresh.centre, &fresh.radius, &fresh.level))
        return MOSAIC_MEM_ERROR_CORRUPT;
    if (!mosaic_mem__reserve_index(&m->x, &fresh, 1, 1, m->x.cell)) return MOSAIC_MEM_ERROR_MEMORY;
    mosaic_mem__settle(m, slot, frame, edit, &fresh, time);
    m->sequence = sequence;
    c->id[i] = id;
    c->tick[i] = tick;
    c->confidence[i] = confidence;
    c->hits[i] = hits;
    c->flags[i] = (uint8_t)flags;
    return MOSAIC_MEM_OK;
}

static mosaic_mem_result mosaic_mem__load(const uint8_t *p, size_t size, const mosaic_mem_options *options, mosaic_mem **memory)
{
    const uint8_t *const start = p;
    mosaic_mem_options o;
    mosaic_mem_result result;
    mosaic_mem *m;
    uint32_t frames, edits, i, tick;
    uint64_t total, count, sequence, each, last = 0, most;
    double newest, cell;
    int k;
    if (size < 8 || memcmp(p, "MOSAICMM", 8) != 0) return MOSAIC_MEM_ERROR_CORRUPT;
    if (size < MOSAIC_MEM__HEAD + MOSAIC_MEM__CONFIG + 4) return MOSAIC_MEM_ERROR_TRUNCATED;
    p += 8;
    if (mosaic_mem__get_number(&p, 4) != 1) return MOSAIC_MEM_ERROR_VERSION;
    p += 4;
    total = mosaic_mem__get_number(&p, 8);
    if (total > size) return MOSAIC_MEM_ERROR_TRUNCATED;
    if (total != size) return MOSAIC_MEM_ERROR_CORRUPT;
    p = start + size - 4;
    if (mosaic_mem__get_number(&p, 4) != mosaic_mem__crc(0, start, size - 4)) return MOSAIC_MEM_ERROR_CORRUPT;
    p = start + 24;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    frames = (uint32_t)mosaic_mem__get_number(&p, 4);
    edits = (uint32_t)mosaic_mem__get_number(&p, 4);
    {
        uint32_t field[5];
        for (k = 0; k < 5; k++) field[k] = (uint32_t)mosaic_mem__get_number(&p, 4);
        if (field[0] < 1 || field[0] > 16 || field[1] < 1 || field[1] > 16 || field[2] > 4096 || field[3] > 16 || field[4] > MOSAIC_MEM_U8)
            return MOSAIC_MEM_ERROR_CORRUPT;
        o.tile_width = (int)field[0], o.tile_height = (int)field[1], o.channels = (int)field[2], o.tags = (int)field[3],
        o.type = (mosaic_mem_type)field[4];
    }
    o.u8_low = mosaic_mem__get_float(&p);
    o.u8_step = mosaic_mem__get_float(&p);
    most = mosaic_mem__get_number(&p, 8);
    if (most < 1 || most > (uint64_t)1 << MOSAIC_MEM__SLOT_BITS || !mosaic_mem__finite((double)o.u8_low) || !(o.u8_step < 0 || o.u8_step > 0) ||
        !mosaic_mem__finite((double)o.u8_step))
        return MOSAIC_MEM_ERROR_CORRUPT;
    if (o.max_patches == 0) o.max_patches = (size_t)most;
    count = mosaic_mem__get_number(&p, 8);
    sequence = mosaic_mem__get_number(&p, 8);
    tick = (uint32_t)mosaic_mem__get_number(&p, 4);
    newest = mosaic_mem__get_double(&p);
    cell = mosaic_mem__get_double(&p);
    p += 20;
    each = mosaic_mem__patch_bytes(&o);
    if (frames > size / MOSAIC_MEM__FRAME || edits > size / MOSAIC_MEM__EDIT || count > size / each || sequence >> 36 ||
        !mosaic_mem__finite(newest) || !(cell >= 0 && cell < 1e30) || (count && !(cell > 1e-30)) ||
        MOSAIC_MEM__HEAD + MOSAIC_MEM__CONFIG + (uint64_t)frames * MOSAIC_MEM__FRAME + (uint64_t)edits * MOSAIC_MEM__EDIT + count * each + 4 != size)
        return MOSAIC_MEM_ERROR_CORRUPT;
    if (!(o.cell > 0)) o.cell = cell;
    result = mosaic_mem_open(&o, &m);
    if (result != MOSAIC_MEM_OK) return result;
    m->sequence = sequence;
    m->tick = tick;
    m->newest = newest;
    if (!mosaic_mem__reserve(&m->x, &m->frames, frames) || !mosaic_mem__reserve(&m->x, &m->edits, edits)) result = MOSAIC_MEM_ERROR_MEMORY;
    for (i = 0; result == MOSAIC_MEM_OK && i < frames; i++) {
        mosaic_mem__frame *f = mosaic_mem__frame_of(m, mosaic_mem__new(&m->frames));
        uint32_t field[4];
        for (k = 0; k < 9; k++) f->view.pose.rotation[k] = mosaic_mem__get_double(&p);
        for (k = 0; k < 3; k++) f->view.pose.centre[k] = mosaic_mem__get_double(&p);
        f->view.camera.fx = mosaic_mem__get_double(&p);
        f->view.camera.fy = mosaic_mem__get_double(&p);
        f->view.camera.cx = mosaic_mem__get_double(&p);
        f->view.camera.cy = mosaic_mem__get_double(&p);
        f->view.time = mosaic_mem__get_double(&p);
        f->frame = mosaic_mem__get_number(&p, 8);
        for (k = 0; k < 4; k++) field[k] = (uint32_t)mosaic_mem__get_number(&p, 4);
        p += 8;
        for (k = 0; k < 4; k++)
            if (field[k] < 1 || field[k] > 65535) result = MOSAIC_MEM_ERROR_CORRUPT;
        if (result != MOSAIC_MEM_OK) break;
        f->view.camera.width = (int)field[0], f->view.camera.height = (int)field[1], f->cols = (int)field[2], f->rows = (int)field[3];
        if (mosaic_mem__view_valid(&f->view) != MOSAIC_MEM_OK) result = MOSAIC_MEM_ERROR_CORRUPT;
        mosaic_mem__prepare(m, f);
    }
    for (i = 0; result == MOSAIC_MEM_OK && i < edits; i++) {
        mosaic_mem__edit *e = mosaic_mem__edit_of(m, mosaic_mem__new(&m->edits));
        for (k = 0; k < 12; k++) e->affine[k] = mosaic_mem__get_double(&p);
        if (!mosaic_mem__affine_valid(e->affine)) result = MOSAIC_MEM_ERROR_CORRUPT;
    }
    for (; result == MOSAIC_MEM_OK && count > 0; count--) result = mosaic_mem__load_patch(m, &p, frames, edits, &last);
    for (i = 0; result == MOSAIC_MEM_OK && i < frames; i++) /* all are named by patches */
        if (mosaic_mem__frame_of(m, i)->refs == 0) result = MOSAIC_MEM_ERROR_CORRUPT;
    for (i = 1; result == MOSAIC_MEM_OK && i <= edits; i++)
        if (mosaic_mem__edit_of(m, i)->refs == 0) result = MOSAIC_MEM_ERROR_CORRUPT;
    if (result != MOSAIC_MEM_OK) {
        mosaic_mem_close(m);
        return result;
    }
    *memory = m;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_load(const void *bytes, size_t size, const mosaic_mem_options *options, mosaic_mem **memory)
{
    mosaic_mem_result result;
    unsigned long long fp;
    if (memory) *memory = NULL;
    if (!bytes || !memory) return MOSAIC_MEM_ERROR_NULL;
    fp = mosaic__fp_enter();
    result = mosaic_mem__load((const uint8_t *)bytes, size, options, memory);
    mosaic__fp_leave(fp);
    return result;
}

/* ==== films without poses ==== */

/* A place is known again where half of the cells that both pictures have agree; a share of the picture that is followed may be lost for so many
   pictures before all that are kept are searched; a picture takes the place of one that it agrees with in nine of ten cells; tags come from so many
   pictures about a place. */
#define MOSAIC_MEM__FILM_WAIT 24
#define MOSAIC_MEM__FILM_ABOUT 8
/* Steps of a climb, at most. */
#define MOSAIC_MEM__FILM_CLIMB 24
enum { MOSAIC_MEM__FILM_HEAD = 88, MOSAIC_MEM__SCENE = 40 };

typedef struct mosaic_mem__scene {
    uint64_t born, used; /* when it was kept, and last recognised; born 0: holds nothing */
    uint64_t map;
    int64_t at[2]; /* of its first pixel in the map, in pixels */
} mosaic_mem__scene;

/* The pictures kept are scenes 0 ... count - 1; the last two of all are the picture of now and the one before, by turns. */
struct mosaic_mem_film {
    mosaic_mem_film_options o;
    size_t cells;
    int count, now;
    int by;            /* the scene by which the film is located, or -1 */
    int lost;          /* it was, until some pictures ago */
    int32_t shift[2];  /* pixel (x, y) of now is pixel (x, y) + shift of that scene */
    int32_t corner[2]; /* the caller's cell */
    int wait;          /* pictures until all scenes may be searched again */
    int alike;         /* now and that scene lie on each other and agree in nine of ten cells */
    uint64_t clock, maps;
    mosaic_mem__scene *scene;
    uint8_t *pixels, *means; /* of all scenes: of each cell 3 x 3 pixels, in rows over the whole picture, and its mean */
    uint32_t *tags;
};

typedef struct mosaic_mem__match {
    int64_t sum;      /* of differences, cut off */
    int cells, agree; /* compared */
} mosaic_mem__match;

static uint8_t *mosaic_mem__film_pixels(const mosaic_mem_film *f, int scene) { return f->pixels + (size_t)scene * 27 * f->cells; }
static uint8_t *mosaic_mem__film_means(const mosaic_mem_film *f, int scene) { return f->means + (size_t)scene * 3 * f->cells; }
static uint32_t *mosaic_mem__film_tags(const mosaic_mem_film *f, int scene) { return f->tags + (size_t)scene * f->cells; }

/* The sum of the 27 differences of a cell of picture a and what picture b has there, or -1 where it has nothing. */
static int mosaic_mem__film_gap(const mosaic_mem_film *f, int a, int b, int col, int row, const int32_t shift[2])
{
    const int x = 3 * col + shift[0], y = 3 * row + shift[1];
    const size_t line = 9 * (size_t)f->o.cols;
    const uint8_t *p, *q;
    int i, k, sum = 0;
    if (x < 0 || y < 0 || x + 3 > 3 * f->o.cols || y + 3 > 3 * f->o.rows) return -1;
    p = mosaic_mem__film_pixels(f, a) + 3 * (size_t)row * line + 9 * (size_t)col;
    q = mosaic_mem__film_pixels(f, b) + (size_t)y * line + 3 * (size_t)x;
    for (k = 0; k < 3; k++, p += line, q += line)
        for (i = 0; i < 9; i++) sum += p[i] < q[i] ? q[i] - p[i] : p[i] - q[i];
    return sum;
}

/* Every `step`-th cell of every `step`-th row. */
static mosaic_mem__match mosaic_mem__film_match(const mosaic_mem_film *f, int a, int b, const int32_t shift[2], int step)
{
    const int limit = 27 * f->o.tolerance;
    mosaic_mem__match m = {0, 0, 0};
    int col, row;
    for (row = 0; row < f->o.rows; row += step)
        for (col = 0; col < f->o.cols; col += step) {
            const int gap = mosaic_mem__film_gap(f, a, b, col, row, shift);
            if (gap < 0) continue;
            m.cells++;
            m.agree += gap <= limit;
            m.sum += gap < 4 * limit ? gap : 4 * limit;
        }
    return m;
}

/* Improves a shift, third by third of a cell, for as long as the mean difference falls and a quarter of the picture is there. */
static void mosaic_mem__film_climb(const mosaic_mem_film *f, int a, int b, int32_t shift[2])
{
    const int step = f->cells >= 256 ? 2 : 1, all = ((f->o.cols + step - 1) / step) * ((f->o.rows + step - 1) / step);
    mosaic_mem__match best = mosaic_mem__film_match(f, a, b, shift, step);
    int steps, x, y;
    for (steps = 0; steps < MOSAIC_MEM__FILM_CLIMB; steps++) {
        const int32_t from[2] = {shift[0], shift[1]};
        int moved = 0;
        for (y = -1; y <= 1; y++)
            for (x = -1; x <= 1; x++) {
                const int32_t to[2] = {from[0] + x, from[1] + y};
                mosaic_mem__match m;
                if (!x && !y) continue;
                m = mosaic_mem__film_match(f, a, b, to, step);
                if (4 * m.cells < all || (best.cells && m.sum * best.cells >= best.sum * m.cells)) continue;
                best = m;
                shift[0] = to[0], shift[1] = to[1];
                moved = 1;
            }
        if (!moved) return;
    }
}

/* Whether half of the picture is there, and half of that agrees. */
static int mosaic_mem__film_known(const mosaic_mem_film *f, const mosaic_mem__match *m)
{
    return 2 * (size_t)m->cells >= f->cells && 2 * m->agree >= m->cells;
}

/* The shift by whole cells, up to half a picture, at which the means differ least; none is better than lying on each other where it is not clearly so. */
static void mosaic_mem__film_coarse(const mosaic_mem_film *f, int a, int b, int32_t shift[2])
{
    const int cols = f->o.cols, rows = f->o.rows, cut = 12 * f->o.tolerance;
    const uint8_t *p = mosaic_mem__film_means(f, a), *q = mosaic_mem__film_means(f, b);
    int64_t best = 0, best_cells = 0; /* 0: none */
    int x, y, turn, row, i;
    shift[0] = shift[1] = 0;
    for (turn = 0; turn < 2; turn++) /* no shift first */
        for (y = turn ? -(rows / 2) : 0; y <= (turn ? rows / 2 : 0); y++)
            for (x = turn ? -(cols / 2) : 0; x <= (turn ? cols / 2 : 0); x++) {
                const int first = x < 0 ? -x : 0, end = x > 0 ? cols - x : cols;
                const int top = y < 0 ? -y : 0, bottom = y > 0 ? rows - y : rows;
                const int64_t cells = (int64_t)(end - first) * (bottom - top);
                int64_t sum = 0;
                for (row = top; row < bottom && (!best_cells || sum * best_cells < best * cells); row++) {
                    const uint8_t *s = p + 3 * ((size_t)row * (size_t)cols + (size_t)first);
                    const uint8_t *t = q + 3 * ((size_t)(row + y) * (size_t)cols + (size_t)(first + x));
                    for (i = first; i < end; i++, s += 3, t += 3) {
                        const int d = (s[0] < t[0] ? t[0] - s[0] : s[0] - t[0]) + (s[1] < t[1] ? t[1] - s[1] : s[1] - t[1]) +
                                      (s[2] < t[2] ? t[2] - s[2] : s[2] - t[2]);
                        sum += d < cut ? d : cut;
                    }
                }
                if (best_cells && sum * best_cells >= best * cells) continue;
                best = sum, best_cells = cells;
                shift[0] = 3 * x, shift[1] = 3 * y;
            }
}

/* Takes the film to be where a scene is, shifted. */
static void mosaic_mem__film_locate(mosaic_mem_film *f, int scene, const int32_t shift[2], const mosaic_mem__match *m)
{
    mosaic_mem__scene *now = f->scene + f->now, *s = f->scene + scene;
    int k;
    f->by = scene;
    f->lost = 0;
    f->alike = !shift[0] && !shift[1] && 10 * m->agree >= 9 * m->cells;
    now->map = s->map;
    s->used = f->clock;
    for (k = 0; k < 2; k++) {
        f->shift[k] = shift[k];
        now->at[k] = s->at[k] + shift[k];
    }
}

/* Looks for the picture of now in all that are kept: the one of which most cells are seen again, the latest of equals. */
static int mosaic_mem__film_search(mosaic_mem_film *f)
{
    int32_t found[2] = {0, 0};
    mosaic_mem__match best = {0, 0, 0};
    int i, winner = -1;
    for (i = 0; i < f->count; i++) {
        mosaic_mem__match m;
        int32_t shift[2];
        mosaic_mem__film_coarse(f, f->now, i, shift);
        mosaic_mem__film_climb(f, f->now, i, shift);
        m = mosaic_mem__film_match(f, f->now, i, shift, 1);
        if (!mosaic_mem__film_known(f, &m) || m.agree < best.agree ||
            (winner >= 0 && m.agree == best.agree && f->scene[i].born < f->scene[winner].born))
            continue;
        best = m;
        winner = i;
        found[0] = shift[0], found[1] = shift[1];
    }
    if (winner < 0) return 0;
    mosaic_mem__film_locate(f, winner, found, &best);
    return 1;
}

/* Keeps a picture: in place of the one it lies on and agrees with, or as one more. The film is where that is. */
static void mosaic_mem__film_store(mosaic_mem_film *f, int from)
{
    int to = f->by, i;
    if ((to < 0 || !f->alike) && f->count < f->o.pictures) {
        to = f->count++;
    } else if (to < 0 || !f->alike) {
        for (to = 0, i = 1; i < f->count; i++)
            if (f->scene[i].used < f->scene[to].used) to = i;
    }
    f->scene[to] = f->scene[from];
    f->scene[to].born = f->scene[to].used = f->clock;
    memcpy(mosaic_mem__film_pixels(f, to), mosaic_mem__film_pixels(f, from), 27 * f->cells);
    memcpy(mosaic_mem__film_means(f, to), mosaic_mem__film_means(f, from), 3 * f->cells);
    memcpy(mosaic_mem__film_tags(f, to), mosaic_mem__film_tags(f, from), f->cells * sizeof *f->tags);
    f->by = to;
    f->shift[0] = f->shift[1] = 0;
    f->alike = 1;
}

static void mosaic_mem__film_mean(const mosaic_mem_film *f, int scene)
{
    const uint8_t *p = mosaic_mem__film_pixels(f, scene);
    uint8_t *mean = mosaic_mem__film_means(f, scene);
    const size_t cols = (size_t)f->o.cols;
    size_t cell, c, k;
    for (cell = 0; cell < f->cells; cell++)
        for (c = 0; c < 3; c++) {
            const uint8_t *q = p + cell / cols * 27 * cols + cell % cols * 9 + c;
            unsigned sum = 0;
            for (k = 0; k < 3; k++, q += 9 * cols) sum += (unsigned)q[0] + q[3] + q[6];
            *mean++ = (uint8_t)((sum + 4) / 9);
        }
}

/* Where the picture of now is by another one, from a first guess on. */
static mosaic_mem__match mosaic_mem__film_fit(const mosaic_mem_film *f, int scene, const int32_t guess[2], const int32_t moved[2], int32_t shift[2])
{
    int k;
    for (k = 0; k < 2; k++) shift[k] = guess[k] + moved[k];
    mosaic_mem__film_climb(f, f->now, scene, shift);
    return mosaic_mem__film_match(f, f->now, scene, shift, 1);
}

/* Another picture of the map that should show most of what is seen, if it does. */
static int mosaic_mem__film_beside(mosaic_mem_film *f, int before, const int32_t moved[2])
{
    const int64_t width = 3 * (int64_t)f->o.cols, height = 3 * (int64_t)f->o.rows;
    mosaic_mem__match m;
    int64_t most = 0;
    int32_t guess[2] = {0, 0}, shift[2];
    int i, k, scene = -1;
    for (i = 0; i < f->count; i++) {
        const mosaic_mem__scene *s = f->scene + i;
        int64_t apart[2], shared;
        if (s->map != f->scene[before].map) continue;
        for (k = 0; k < 2; k++) apart[k] = f->scene[before].at[k] + moved[k] - s->at[k];
        if (apart[0] <= -width || apart[0] >= width || apart[1] <= -height || apart[1] >= height) continue;
        shared = (width - (apart[0] < 0 ? -apart[0] : apart[0])) * (height - (apart[1] < 0 ? -apart[1] : apart[1]));
        if (2 * shared < width * height || shared < most) continue;
        most = shared;
        scene = i;
        for (k = 0; k < 2; k++) guess[k] = (int32_t)apart[k] - moved[k];
    }
    if (scene < 0) return 0;
    m = mosaic_mem__film_fit(f, scene, guess, moved, shift);
    if (!mosaic_mem__film_known(f, &m)) return 0;
    mosaic_mem__film_locate(f, scene, shift, &m);
    return 1;
}

/* Finds out where the picture of now is. `moved`: the caller's shift since the one before. */
static void mosaic_mem__film_follow(mosaic_mem_film *f, int before, int begins, const int32_t moved[2])
{
    static const int32_t still[2] = {0, 0};
    mosaic_mem__scene *now = f->scene + f->now;
    const int located = f->by >= 0 && !f->lost && f->scene[before].born;
    mosaic_mem__match m;
    int32_t shift[2];
    int left = 0; /* it is known, but half of it is no longer seen */
    if (!begins && f->by >= 0) {
        m = mosaic_mem__film_fit(f, f->by, f->shift, moved, shift);
        if (mosaic_mem__film_known(f, &m)) {
            mosaic_mem__film_locate(f, f->by, shift, &m);
            return;
        }
        left = located && 2 * (size_t)m.cells < f->cells;
        if (left && mosaic_mem__film_beside(f, before, moved)) return;
    }
    if (!begins && !left && f->wait > 0) { /* the next picture may be in its place again, as after a flash */
        f->lost = 1;
        return;
    }
    if (located) mosaic_mem__film_store(f, before); /* what was seen until now */
    if (f->wait == 0 || begins) {
        f->wait = MOSAIC_MEM__FILM_WAIT;
        if (mosaic_mem__film_search(f)) return;
    }
    if (!begins && located) {
        m = mosaic_mem__film_fit(f, f->by, still, moved, shift);
        if (mosaic_mem__film_known(f, &m)) {
            mosaic_mem__film_locate(f, f->by, shift, &m);
            return;
        }
    }
    f->by = -1;
    f->lost = 0;
    now->map = ++f->maps;
    now->at[0] = now->at[1] = 0;
    now->born = f->clock; /* a new place: kept with its tags */
}

/* The tags of what is wanted, from the latest pictures about the place. */
static void mosaic_mem__film_tell(const mosaic_mem_film *f, const uint8_t *wanted, uint32_t *tags)
{
    const mosaic_mem__scene *now = f->scene + f->now;
    int scene[MOSAIC_MEM__FILM_ABOUT], count = 0, limit = 27 * f->o.tolerance, col, row, i, k;
    int32_t shift[MOSAIC_MEM__FILM_ABOUT][2];
    size_t cell;
    for (i = 0; i < f->count; i++) {
        const int64_t x = now->at[0] - f->scene[i].at[0], y = now->at[1] - f->scene[i].at[1];
        if (f->scene[i].map != now->map || x <= -3 * f->o.cols || x >= 3 * f->o.cols || y <= -3 * f->o.rows || y >= 3 * f->o.rows) continue;
        if (count == MOSAIC_MEM__FILM_ABOUT && f->scene[i].born < f->scene[scene[count - 1]].born) continue;
        if (count < MOSAIC_MEM__FILM_ABOUT) count++;
        for (k = count - 1; k > 0 && f->scene[scene[k - 1]].born < f->scene[i].born; k--) scene[k] = scene[k - 1];
        scene[k] = i;
    }
    for (i = 0; i < count; i++) {
        for (k = 0; k < 2; k++) shift[i][k] = (int32_t)(now->at[k] - f->scene[scene[i]].at[k]);
        if (scene[i] != f->by) mosaic_mem__film_climb(f, f->now, scene[i], shift[i]);
    }
    for (cell = 0, row = 0; row < f->o.rows; row++)
        for (col = 0; col < f->o.cols; col++, cell++)
            for (i = 0; i < count && (!wanted || wanted[cell]) && tags[cell] == MOSAIC_MEM_NO_TAG; i++) {
                const int gap = mosaic_mem__film_gap(f, f->now, scene[i], col, row, shift[i]);
                const int x = 3 * col + 1 + shift[i][0], y = 3 * row + 1 + shift[i][1]; /* the cell its middle lies in */
                if (gap >= 0 && gap <= limit) tags[cell] = mosaic_mem__film_tags(f, scene[i])[(size_t)(y / 3) * (size_t)f->o.cols + (size_t)(x / 3)];
            }
}

/* Where the picture of now lies on the one that the film is located by, that gets the tags of now. Elsewhere not: what is shown lags behind what moves, and the
   tag of one place would come to stand at two. */
static void mosaic_mem__film_renew(mosaic_mem_film *f)
{
    const uint32_t *from = mosaic_mem__film_tags(f, f->now);
    uint32_t *to = mosaic_mem__film_tags(f, f->by);
    int col, row;
    for (row = 0; row < f->o.rows; row++)
        for (col = 0; col < f->o.cols; col++, from++, to++)
            if (*from != MOSAIC_MEM_NO_TAG && mosaic_mem__film_gap(f, f->now, f->by, col, row, f->shift) <= 27 * f->o.tolerance) *to = *from;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_open(const mosaic_mem_film_options *options, mosaic_mem_film **film)
{
    mosaic_mem_film_options o;
    mosaic_mem_film *f;
    size_t all;
    if (film) *film = NULL;
    if (!options || !film) return MOSAIC_MEM_ERROR_NULL;
    o = *options;
    if (o.pictures == 0) o.pictures = 128;
    if (o.tolerance == 0) o.tolerance = 6;
    if (o.cols < 1 || o.cols > 4096 || o.rows < 1 || o.rows > 4096 || o.cols * o.rows > 1 << 20) return MOSAIC_MEM_ERROR_SIZE;
    if (o.pictures < 1 || o.pictures > 4096 || o.tolerance < 1 || o.tolerance > 64) return MOSAIC_MEM_ERROR_OPTION;
    if ((size_t)-1 / 34 / ((size_t)o.cols * (size_t)o.rows) < (size_t)o.pictures + 2) return MOSAIC_MEM_ERROR_SIZE;
    f = (mosaic_mem_film *)MOSAIC_MEM_MALLOC(o.malloc_ctx, sizeof *f);
    if (!f) return MOSAIC_MEM_ERROR_MEMORY;
    memset(f, 0, sizeof *f);
    f->o = o;
    f->cells = (size_t)o.cols * (size_t)o.rows;
    f->now = o.pictures;
    f->by = -1;
    all = (size_t)o.pictures + 2;
    f->scene = (mosaic_mem__scene *)MOSAIC_MEM_MALLOC(o.malloc_ctx, all * sizeof *f->scene);
    f->pixels = (uint8_t *)MOSAIC_MEM_MALLOC(o.malloc_ctx, all * 27 * f->cells);
    f->means = (uint8_t *)MOSAIC_MEM_MALLOC(o.malloc_ctx, all * 3 * f->cells);
    f->tags = (uint32_t *)MOSAIC_MEM_MALLOC(o.malloc_ctx, all * f->cells * sizeof *f->tags);
    if (!f->scene || !f->pixels || !f->means || !f->tags) {
        mosaic_mem_film_close(f);
        return MOSAIC_MEM_ERROR_MEMORY;
    }
    memset(f->scene, 0, all * sizeof *f->scene);
    *film = f;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API void mosaic_mem_film_close(mosaic_mem_film *film)
{
    void *ctx;
    if (!film) return;
    ctx = film->o.malloc_ctx;
    if (film->scene) MOSAIC_MEM_FREE(ctx, film->scene);
    if (film->pixels) MOSAIC_MEM_FREE(ctx, film->pixels);
    if (film->means) MOSAIC_MEM_FREE(ctx, film->means);
    if (film->tags) MOSAIC_MEM_FREE(ctx, film->tags);
    MOSAIC_MEM_FREE(ctx, film);
}

MOSAIC_MEM_API int mosaic_mem_film_count(const mosaic_mem_film *film) { return film ? film->count : 0; }

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_recall(mosaic_mem_film *film, const uint8_t *pixels, int begins, int col, int row,
                                                        const uint8_t *wanted, uint32_t *tags)
{
    mosaic_mem_film *f = film;
    int32_t moved[2];
    size_t i, some = wanted == NULL;
    int before;
    if (!film || !pixels || !tags) return MOSAIC_MEM_ERROR_NULL;
    if (col < -(1 << 24) || col > 1 << 24 || row < -(1 << 24) || row > 1 << 24) return MOSAIC_MEM_ERROR_SIZE;
    before = f->now;
    f->now = 2 * f->o.pictures + 1 - before;
    f->clock++;
    if (f->wait > 0) f->wait--;
    moved[0] = begins ? 0 : 3 * (col - f->corner[0]);
    moved[1] = begins ? 0 : 3 * (row - f->corner[1]);
    f->corner[0] = col;
    f->corner[1] = row;
    memset(f->scene + f->now, 0, sizeof *f->scene);
    memcpy(mosaic_mem__film_pixels(f, f->now), pixels, 27 * f->cells);
    memset(mosaic_mem__film_tags(f, f->now), 0xff, f->cells * sizeof *tags);
    mosaic_mem__film_mean(f, f->now);
    mosaic_mem__film_follow(f, before, begins, moved);
    memset(tags, 0xff, f->cells * sizeof *tags);
    for (i = 0; i < f->cells && !some; i++) some = wanted[i];
    if (some && f->by >= 0 && !f->lost) mosaic_mem__film_tell(f, wanted, tags);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_keep(mosaic_mem_film *film, const uint32_t *tags)
{
    mosaic_mem_film *f = film;
    mosaic_mem__scene *now;
    if (!film || !tags) return MOSAIC_MEM_ERROR_NULL;
    now = f->scene + f->now;
    if (f->clock == 0) return MOSAIC_MEM_ERROR_SIZE;
    memcpy(mosaic_mem__film_tags(f, f->now), tags, f->cells * sizeof *tags);
    if (f->by < 0 && now->born) mosaic_mem__film_store(f, f->now);
    if (f->by >= 0 && !f->lost && !f->shift[0] && !f->shift[1]) mosaic_mem__film_renew(f);
    now->born = f->clock;
    return MOSAIC_MEM_OK;
}

static uint64_t mosaic_mem__film_size(int count, int cols, int rows)
{
    return MOSAIC_MEM__FILM_HEAD + ((uint64_t)count + 1) * (MOSAIC_MEM__SCENE + 31 * (uint64_t)cols * (uint64_t)rows) + 4;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_save(const mosaic_mem_film *film, mosaic_mem_write write, void *ctx)
{
    const mosaic_mem_film *f = film;
    mosaic_mem__out o;
    size_t i;
    int k, s;
    if (!film || !write) return MOSAIC_MEM_ERROR_NULL;
    memset(&o, 0, sizeof o);
    o.write = write;
    o.ctx = ctx;
    for (k = 0; k < 8; k++) mosaic_mem__put_number(&o, (uint8_t) "MOSAICMF"[k], 1);
    mosaic_mem__put_number(&o, 1, 4);
    mosaic_mem__put_number(&o, 0, 4);
    mosaic_mem__put_number(&o, mosaic_mem__film_size(f->count, f->o.cols, f->o.rows), 8);
    {
        const int number[] = {f->o.cols,   f->o.rows,   f->o.pictures, f->o.tolerance, f->count, f->by,
                              f->shift[0], f->shift[1], f->corner[0],  f->corner[1],   f->wait,  f->alike | f->lost << 1};
        for (k = 0; k < 12; k++) mosaic_mem__put_number(&o, (uint32_t)number[k], 4);
    }
    mosaic_mem__put_number(&o, f->clock, 8);
    mosaic_mem__put_number(&o, f->maps, 8);
    for (s = 0; s <= f->count; s++) { /* and the picture of now */
        const int at = s < f->count ? s : f->now;
        const mosaic_mem__scene *scene = f->scene + at;
        mosaic_mem__put_number(&o, scene->born, 8);
        mosaic_mem__put_number(&o, scene->used, 8);
        mosaic_mem__put_number(&o, scene->map, 8);
        for (k = 0; k < 2; k++) mosaic_mem__put_number(&o, (uint64_t)scene->at[k], 8);
        for (i = 0; i < 27 * f->cells; i++) mosaic_mem__put_number(&o, f->clock ? mosaic_mem__film_pixels(f, at)[i] : 0, 1);
        for (i = 0; i < f->cells; i++) mosaic_mem__put_number(&o, f->clock ? mosaic_mem__film_tags(f, at)[i] : MOSAIC_MEM_NO_TAG, 4);
    }
    mosaic_mem__flush(&o);
    mosaic_mem__put_number(&o, o.crc, 4);
    mosaic_mem__flush(&o);
    return o.failed ? MOSAIC_MEM_ERROR_CALLBACK : MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_film_load(const void *bytes, size_t size, const mosaic_mem_film_options *options, mosaic_mem_film **film)
{
    const uint8_t *p = (const uint8_t *)bytes, *end;
    const int64_t far_off = (int64_t)1 << 60;
    mosaic_mem_film_options o;
    mosaic_mem_film *f;
    mosaic_mem_result result;
    int32_t number[12];
    uint64_t total;
    size_t i;
    int k, s;
    if (film) *film = NULL;
    if (!bytes || !film) return MOSAIC_MEM_ERROR_NULL;
    if (size < 8 || memcmp(p, "MOSAICMF", 8) != 0) return MOSAIC_MEM_ERROR_CORRUPT;
    if (size < MOSAIC_MEM__FILM_HEAD + 4) return MOSAIC_MEM_ERROR_TRUNCATED;
    p += 8;
    if (mosaic_mem__get_number(&p, 4) != 1) return MOSAIC_MEM_ERROR_VERSION;
    p += 4;
    total = mosaic_mem__get_number(&p, 8);
    if (total > size) return MOSAIC_MEM_ERROR_TRUNCATED;
    end = (const uint8_t *)bytes + size - 4;
    if (total != size || mosaic_mem__get_number(&end, 4) != mosaic_mem__crc(0, bytes, size - 4)) return MOSAIC_MEM_ERROR_CORRUPT;
    for (k = 0; k < 12; k++) number[k] = (int32_t)(uint32_t)mosaic_mem__get_number(&p, 4);
    memset(&o, 0, sizeof o);
    if (options) o.malloc_ctx = options->malloc_ctx;
    o.cols = number[0], o.rows = number[1], o.pictures = number[2], o.tolerance = number[3];
    if (o.pictures < 1 || o.tolerance < 1 || o.cols < 1 || o.rows < 1 || o.cols > 4096 || o.rows > 4096 || number[4] < 0 || number[4] > o.pictures ||
        number[5] < -1 || number[5] >= number[4] || mosaic_mem__film_size(number[4], o.cols, o.rows) != size)
        return MOSAIC_MEM_ERROR_CORRUPT;
    for (k = 0; k < 2; k++)
        if (number[6 + k] <= -3 * 4096 || number[6 + k] >= 3 * 4096 || number[8 + k] < -(1 << 24) || number[8 + k] > 1 << 24)
            return MOSAIC_MEM_ERROR_CORRUPT;
    if (number[10] < 0 || number[10] > MOSAIC_MEM__FILM_WAIT || number[11] < 0 || number[11] > 3) return MOSAIC_MEM_ERROR_CORRUPT;
    result = mosaic_mem_film_open(&o, &f);
    if (result != MOSAIC_MEM_OK) return result == MOSAIC_MEM_ERROR_MEMORY ? result : MOSAIC_MEM_ERROR_CORRUPT;
    f->count = number[4];
    f->by = number[5];
    for (k = 0; k < 2; k++) f->shift[k] = number[6 + k], f->corner[k] = number[8 + k];
    f->wait = number[10];
    f->alike = number[11] & 1;
    f->lost = number[11] >> 1;
    f->clock = mosaic_mem__get_number(&p, 8);
    f->maps = mosaic_mem__get_number(&p, 8);
    if (f->clock >> 62 || f->maps >> 62) result = MOSAIC_MEM_ERROR_CORRUPT; /* they count on */
    for (s = 0; result == MOSAIC_MEM_OK && s <= f->count; s++) {
        const int at = s < f->count ? s : f->now;
        mosaic_mem__scene *scene = f->scene + at;
        scene->born = mosaic_mem__get_number(&p, 8);
        scene->used = mosaic_mem__get_number(&p, 8);
        scene->map = mosaic_mem__get_number(&p, 8);
        for (k = 0; k < 2; k++) {
            scene->at[k] = (int64_t)mosaic_mem__get_number(&p, 8);
            if (scene->at[k] < -far_off || scene->at[k] > far_off) result = MOSAIC_MEM_ERROR_CORRUPT;
        }
        if (scene->born > f->clock || scene->used > f->clock || (s < f->count && scene->born == 0)) result = MOSAIC_MEM_ERROR_CORRUPT;
        memcpy(mosaic_mem__film_pixels(f, at), p, 27 * f->cells);
        p += 27 * f->cells;
        for (i = 0; i < f->cells; i++) mosaic_mem__film_tags(f, at)[i] = (uint32_t)mosaic_mem__get_number(&p, 4);
        mosaic_mem__film_mean(f, at);
    }
    if (result != MOSAIC_MEM_OK) {
        mosaic_mem_film_close(f);
        return result;
    }
    *film = f;
    return MOSAIC_MEM_OK;
}

/* ==== positions ==== */

static void mosaic_mem__rotate(float *a, float *b, double s, double c)
{
    const double x = (double)*a, y = (double)*b;
    *a = (float)(x * c - y * s);
    *b = (float)(x * s + y * c);
}

/* The same turns in each of `heads` heads, `dim` floats apart. */
static mosaic_mem_result mosaic_mem__rope(const mosaic_mem_rope *rope, const double *positions, size_t tokens, int turn, float *x, size_t stride,
                                          int heads, size_t dim)
{
    unsigned long long fp;
    double base, ln;
    size_t t, channels = 0;
    int a, i, head;
    if (!rope || !positions || !x) return MOSAIC_MEM_ERROR_NULL;
    base = rope->base == 0 ? 10000 : rope->base;
    if (rope->axes < 1 || rope->axes > 3 || (turn != 1 && turn != -1) || !(base >= 1 && base < 1e12)) return MOSAIC_MEM_ERROR_OPTION;
    for (a = 0; a < rope->axes; a++) {
        if (rope->pairs[a] < 0 || rope->pairs[a] > 4096) return MOSAIC_MEM_ERROR_SIZE;
        channels += 2 * (size_t)rope->pairs[a];
    }
    if (dim < channels) return MOSAIC_MEM_ERROR_SIZE;
    for (t = 0; t < tokens * (size_t)rope->axes; t++)
        if (!(positions[t] >= -1048576 && positions[t] <= 1048576)) return MOSAIC_MEM_ERROR_NUMBER;
    fp = mosaic__fp_enter();
    ln = mosaic_mem__log(base);
    for (a = 0, channels = 0; a < rope->axes; a++) {
        const int n = rope->pairs[a];
        for (i = 0; i < n; i++) {
            const double omega = mosaic_mem__exp(-ln * i / n);
            float *first = x + channels + (rope->half_split ? (size_t)i : 2 * (size_t)i), *second = first + (rope->half_split ? n : 1);
            for (t = 0; t < tokens; t++) {
                double s, c;
                mosaic_mem__turn(positions[t * (size_t)rope->axes + (size_t)a] * omega, &s, &c);
                for (head = 0; head < heads; head++)
                    mosaic_mem__rotate(first + t * stride + (size_t)head * dim, second + t * stride + (size_t)head * dim, turn * s, c);
            }
        }
        channels += 2 * (size_t)n;
    }
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_rope_apply(const mosaic_mem_rope *rope, const double *positions, size_t tokens, int turn, float *x,
                                                       size_t stride)
{
    return mosaic_mem__rope(rope, positions, tokens, turn, x, stride, 1, stride);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_token_places(const mosaic_mem_camera *camera, int cols, int rows, double time, const float *uvz,
                                                         const uint8_t *valid, size_t tokens, double *out)
{
    size_t t;
    if (!camera || !uvz || !valid || !out) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__camera_valid(camera)) return MOSAIC_MEM_ERROR_CAMERA;
    if (cols < 1 || rows < 1) return MOSAIC_MEM_ERROR_SIZE;
    if (!mosaic_mem__finite(time)) return MOSAIC_MEM_ERROR_NUMBER;
    for (t = 0; t < tokens; t++) {
        out[3 * t] = valid[t] ? time : 0;
        out[3 * t + 1] = valid[t] ? (double)uvz[3 * t + 1] * rows / camera->height - 0.5 : 0;
        out[3 * t + 2] = valid[t] ? (double)uvz[3 * t] * cols / camera->width - 0.5 : 0;
    }
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_prope_matrix(const mosaic_mem_view *view, double matrices[32])
{
    const mosaic_mem_camera *c;
    double k[12], w2c[12], p[12], back[12];
    mosaic_mem_result result;
    int i;
    if (!view || !matrices) return MOSAIC_MEM_ERROR_NULL;
    result = mosaic_mem__view_valid(view);
    if (result != MOSAIC_MEM_OK) return result;
    c = &view->camera;
    memcpy(k, mosaic_mem__identity, sizeof k);
    k[0] = c->fx / c->width, k[2] = c->cx / c->width - 0.5;
    k[5] = c->fy / c->height, k[6] = c->cy / c->height - 0.5;
    for (i = 0; i < 3; i++) {
        memcpy(w2c + 4 * i, view->pose.rotation + 3 * i, 3 * sizeof *w2c);
        w2c[4 * i + 3] = -mosaic_mem__dot(view->pose.rotation + 3 * i, view->pose.centre);
    }
    mosaic_mem__times(k, w2c, p);
    if (!mosaic_mem__invert(p, back)) return MOSAIC_MEM_ERROR_CAMERA;
    memset(matrices, 0, 32 * sizeof *matrices);
    memcpy(matrices, p, sizeof p);
    memcpy(matrices + 16, back, sizeof back);
    matrices[15] = matrices[31] = 1;
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_prope_apply(mosaic_mem_prope_role role, const double *matrices, int cameras, const int32_t *camera,
                                                        const double *places, size_t tokens, int dim, float *x, size_t stride)
{
    mosaic_mem_rope rope;
    unsigned long long fp;
    size_t t;
    int g, i, j;
    if (!matrices || !camera || !places || !x) return MOSAIC_MEM_ERROR_NULL;
    if ((unsigned)role > MOSAIC_MEM_PROPE_OUTPUT) return MOSAIC_MEM_ERROR_OPTION;
    if (dim < 8 || dim % 8 || dim > 8192 || stride < (size_t)dim) return MOSAIC_MEM_ERROR_SIZE;
    for (t = 0; t < tokens; t++) {
        if (camera[t] < 0 || camera[t] >= cameras) return MOSAIC_MEM_ERROR_SIZE;
        if (!(places[2 * t] >= -1048576 && places[2 * t] <= 1048576) || !(places[2 * t + 1] >= -1048576 && places[2 * t + 1] <= 1048576))
            return MOSAIC_MEM_ERROR_NUMBER;
    }
    fp = mosaic__fp_enter();
    for (t = 0; t < tokens; t++) {
        const double *m = matrices + 32 * (size_t)camera[t] + (role == MOSAIC_MEM_PROPE_KEY_VALUE ? 16 : 0);
        float *row = x + t * stride;
        for (g = 0; g < dim / 8; g++, row += 4) {
            double sum[4];
            for (i = 0; i < 4; i++) {
                sum[i] = 0;
                for (j = 0; j < 4; j++) sum[i] += (role == MOSAIC_MEM_PROPE_QUERY ? m[4 * j + i] : m[4 * i + j]) * (double)row[j];
            }
            for (i = 0; i < 4; i++) row[i] = (float)sum[i];
        }
    }
    mosaic__fp_leave(fp);
    memset(&rope, 0, sizeof rope);
    rope.axes = 2;
    rope.pairs[0] = rope.pairs[1] = dim / 8;
    rope.base = 100;
    rope.half_split = 1;
    return mosaic_mem_rope_apply(&rope, places, tokens, role == MOSAIC_MEM_PROPE_OUTPUT ? 1 : -1, x + dim / 2, stride);
}

/* ==== attention ==== */

enum { MOSAIC_MEM__BLOCK = 16, MOSAIC_MEM__JOBS = 16 };

typedef struct mosaic_mem__attending {
    const mosaic_mem_attention *a;
    const mosaic_mem__kernels *kernels;
    int keys, dim;        /* rounded up to multiples of 16 */
    float *packed, *room; /* of each head keys as columns and values as rows; for each job queries, scores, sums */
    size_t per_head, per_job;
} mosaic_mem__attending;

/* Blocks of 16 queries of one head: every 16th block is this job's. */
static void mosaic_mem__attend_job(void *arg, int job)
{
    const mosaic_mem__attending *w = (const mosaic_mem__attending *)arg;
    const mosaic_mem_attention *a = w->a;
    const int blocks = (a->queries + MOSAIC_MEM__BLOCK - 1) / MOSAIC_MEM__BLOCK;
    const size_t stride = (size_t)a->heads * (size_t)a->dim;
    const double scale = 1 / mosaic_mem__root((double)a->dim);
    const unsigned long long fp = mosaic__fp_enter();
    float *q = w->room + (size_t)job * w->per_job, *scores = q + MOSAIC_MEM__BLOCK * a->dim,
          *sums = scores + (size_t)MOSAIC_MEM__BLOCK * (size_t)w->keys;
    const uint32_t lowest = 0xff800000; /* -infinity */
    float out_of_it;
    int64_t item;
    memcpy(&out_of_it, &lowest, sizeof out_of_it);
    for (item = job; item < (int64_t)blocks * a->heads; item += MOSAIC_MEM__JOBS) {
        const int head = (int)(item / blocks), first = (int)(item % blocks) * MOSAIC_MEM__BLOCK;
        const int rows = a->queries - first < MOSAIC_MEM__BLOCK ? a->queries - first : MOSAIC_MEM__BLOCK;
        const double given = a->gate ? (double)a->gate[head] : 1, gate = given < 0 ? 0 : given > 1 ? 1 : given;
        float total[MOSAIC_MEM__BLOCK];
        mosaic_mem__gemm g;
        int r, i;
        for (r = 0; r < rows; r++)
            for (i = 0; i < a->dim; i++)
                q[r * a->dim + i] = (float)((double)a->q[(size_t)(first + r) * stride + (size_t)head * (size_t)a->dim + (size_t)i] * scale);
        g.a = q, g.lda = (size_t)a->dim;
        g.b = w->packed + (size_t)head * w->per_head, g.ldb = (size_t)w->keys;
        g.c = scores, g.ldc = (size_t)w->keys;
        g.m = rows, g.n = w->keys, g.k = a->dim;
        w->kernels->gemm(&g);
        for (r = 0; r < rows; r++) {
            float *s = scores + (size_t)r * (size_t)w->keys;
            const uint8_t *mask = a->mask ? a->mask + (size_t)(first + r) * (size_t)a->keys : NULL;
            int any = !mask;
            for (i = 0; mask && i < a->keys; i++)
                if (mask[i])
                    any = 1;
                else
                    s[i] = out_of_it;
            for (i = a->keys; i < w->keys; i++) s[i] = out_of_it;
            if (any)
                total[r] = w->kernels->softmax(s, w->keys);
            else
                memset(s, 0, (size_t)w->keys * sizeof *s), total[r] = 1;
        }
        g.a = scores, g.lda = (size_t)w->keys;
        g.b += (size_t)a->dim * (size_t)w->keys, g.ldb = (size_t)w->dim;
        g.c = sums, g.ldc = (size_t)w->dim;
        g.n = w->dim, g.k = a->keys;
        w->kernels->gemm(&g);
        for (r = 0; r < rows; r++)
            for (i = 0; i < a->dim; i++)
                a->out[(size_t)(first + r) * stride + (size_t)head * (size_t)a->dim + (size_t)i] =
                    (float)(gate * ((double)sums[r * w->dim + i] / (double)total[r]));
    }
    mosaic__fp_leave(fp);
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_attend(const mosaic_mem_attention *attention)
{
    const mosaic_mem_attention *a = attention;
    mosaic_mem__attending w;
    size_t stride, size;
    int head, key, c;
    if (!a || !a->q || !a->k || !a->v || !a->out) return MOSAIC_MEM_ERROR_NULL;
    if (a->queries < 1 || a->keys < 1 || a->queries > 1 << 20 || a->keys > 1 << 20 || a->heads < 1 || a->heads > 1024 || a->dim < 1 || a->dim > 1024)
        return MOSAIC_MEM_ERROR_SIZE;
    w.a = a;
    w.kernels = mosaic_mem__kernels_for(a->simd);
    if (!w.kernels) return a->simd < 0 || a->simd > 4 ? MOSAIC_MEM_ERROR_OPTION : MOSAIC_MEM_ERROR_SIMD;
    stride = (size_t)a->heads * (size_t)a->dim;
    if (!mosaic_mem__floats_finite(a->q, (size_t)a->queries * stride) || !mosaic_mem__floats_finite(a->k, (size_t)a->keys * stride) ||
        !mosaic_mem__floats_finite(a->v, (size_t)a->keys * stride) || !mosaic_mem__floats_finite(a->gate, (size_t)a->heads))
        return MOSAIC_MEM_ERROR_NUMBER;
    w.keys = (a->keys + 15) / 16 * 16;
    w.dim = (a->dim + 15) / 16 * 16;
    w.per_head = (size_t)w.keys * ((size_t)a->dim + (size_t)w.dim);
    w.per_job = MOSAIC_MEM__BLOCK * ((size_t)a->dim + (size_t)w.keys + (size_t)w.dim);
    size = ((size_t)a->heads * w.per_head + MOSAIC_MEM__JOBS * w.per_job) * sizeof(float);
    w.packed = (float *)MOSAIC_MEM_MALLOC(a->malloc_ctx, size);
    if (!w.packed) return MOSAIC_MEM_ERROR_MEMORY;
    w.room = w.packed + (size_t)a->heads * w.per_head;
    memset(w.packed, 0, (size_t)a->heads * w.per_head * sizeof(float));
    for (head = 0; head < a->heads; head++) {
        float *k = w.packed + (size_t)head * w.per_head, *v = k + (size_t)a->dim * (size_t)w.keys;
        for (key = 0; key < a->keys; key++) {
            const size_t from = (size_t)key * stride + (size_t)head * (size_t)a->dim;
            for (c = 0; c < a->dim; c++) k[(size_t)c * (size_t)w.keys + (size_t)key] = a->k[from + (size_t)c];
            memcpy(v + (size_t)key * (size_t)w.dim, a->v + from, (size_t)a->dim * sizeof *v);
        }
    }
    if (a->run)
        a->run(a->run_ctx, mosaic_mem__attend_job, &w, MOSAIC_MEM__JOBS);
    else
        for (c = 0; c < MOSAIC_MEM__JOBS; c++) mosaic_mem__attend_job(&w, c);
    MOSAIC_MEM_FREE(a->malloc_ctx, w.packed);
    return MOSAIC_MEM_OK;
}

/* ==== cross-attention ==== */

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_hit_tokens(const mosaic_mem *memory, const mosaic_mem_view *view, const mosaic_mem_hit *hits,
                                                       size_t count, int cols, int rows, double time, float *values, double *places, uint8_t *valid,
                                                       size_t capacity, size_t *tokens)
{
    size_t i, n = 0;
    if (!memory || !view || (!hits && count) || !tokens || ((!values || !places || !valid) && capacity)) return MOSAIC_MEM_ERROR_NULL;
    *tokens = 0;
    for (i = 0; i < count; i++) {
        const uint32_t slot = mosaic_mem__find(memory, hits[i].id);
        float uvz[3 * 256];
        uint8_t own[256];
        mosaic_mem_result result;
        int here;
        if (slot == MOSAIC_MEM__NONE) return MOSAIC_MEM_ERROR_PATCH;
        result = mosaic_mem_warp_tokens(memory, hits[i].id, view, uvz, own, &here);
        if (result != MOSAIC_MEM_OK) return result;
        if (n + (size_t)here <= capacity) {
            memcpy(valid + n, own, (size_t)here);
            result = mosaic_mem_read(memory, hits[i].id, values + n * (size_t)memory->o.channels, NULL, NULL);
            if (result == MOSAIC_MEM_OK) result = mosaic_mem_token_places(&view->camera, cols, rows, time, uvz, own, (size_t)here, places + 3 * n);
            if (result != MOSAIC_MEM_OK) return result;
        }
        n += (size_t)here;
    }
    *tokens = n;
    return n > capacity ? MOSAIC_MEM_ERROR_SPACE : MOSAIC_MEM_OK;
}

/* out = in W': `rows` vectors, of width `k` and `n`. */
typedef struct mosaic_mem__projection {
    const mosaic_mem__kernels *kernels;
    const float *in, *packed; /* W as columns, `ldb` apart */
    float *out, *room;        /* for each job 16 rows of ldb */
    int rows, k, n, ldb;
} mosaic_mem__projection;

static void mosaic_mem__project_job(void *arg, int job)
{
    const mosaic_mem__projection *p = (const mosaic_mem__projection *)arg;
    float *sums = p->room + (size_t)job * MOSAIC_MEM__BLOCK * (size_t)p->ldb;
    const unsigned long long fp = mosaic__fp_enter();
    int first, r;
    for (first = job * MOSAIC_MEM__BLOCK; first < p->rows; first += MOSAIC_MEM__JOBS * MOSAIC_MEM__BLOCK) {
        mosaic_mem__gemm g;
        g.m = p->rows - first < MOSAIC_MEM__BLOCK ? p->rows - first : MOSAIC_MEM__BLOCK;
        g.n = p->ldb, g.k = p->k;
        g.a = p->in + (size_t)first * (size_t)p->k, g.lda = (size_t)p->k;
        g.b = p->packed, g.ldb = (size_t)p->ldb;
        g.c = sums, g.ldc = (size_t)p->ldb;
        p->kernels->gemm(&g);
        for (r = 0; r < g.m; r++) memcpy(p->out + (size_t)(first + r) * (size_t)p->n, sums + (size_t)r * (size_t)p->ldb, (size_t)p->n * sizeof *sums);
    }
    mosaic__fp_leave(fp);
}

/* `room` has space for the packed matrix and the rows of all jobs. */
static void mosaic_mem__project(const mosaic_mem_cross *c, const mosaic_mem__kernels *kernels, const float *in, int rows, int k, const float *w,
                                int n, float *room, float *out)
{
    mosaic_mem__projection p;
    int i, j;
    if (!w) {
        memcpy(out, in, (size_t)rows * (size_t)n * sizeof *out);
        return;
    }
    p.kernels = kernels, p.in = in, p.out = out, p.rows = rows, p.k = k, p.n = n;
    p.ldb = (n + 15) / 16 * 16;
    p.packed = room;
    p.room = room + (size_t)k * (size_t)p.ldb;
    for (i = 0; i < k; i++)
        for (j = 0; j < p.ldb; j++) room[(size_t)i * (size_t)p.ldb + (size_t)j] = j < n ? w[(size_t)j * (size_t)k + (size_t)i] : 0;
    if (c->run)
        c->run(c->run_ctx, mosaic_mem__project_job, &p, MOSAIC_MEM__JOBS);
    else
        for (i = 0; i < MOSAIC_MEM__JOBS; i++) mosaic_mem__project_job(&p, i);
}

static mosaic_mem_result mosaic_mem__prope_heads(const mosaic_mem_cross *c, mosaic_mem_prope_role role, float *x, int tokens)
{
    const size_t stride = (size_t)c->heads * (size_t)c->dim;
    const int key = role == MOSAIC_MEM_PROPE_KEY_VALUE;
    mosaic_mem_result result = MOSAIC_MEM_OK;
    int head;
    for (head = 0; head < c->heads && result == MOSAIC_MEM_OK; head++)
        result = mosaic_mem_prope_apply(role, c->matrices, c->cameras, key ? c->key_camera : c->query_camera, key ? c->key_cells : c->query_cells,
                                        (size_t)tokens, c->dim, x + (size_t)head * (size_t)c->dim, stride);
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_cross_attend(const mosaic_mem_cross *cross)
{
    const mosaic_mem_cross *c = cross;
    const mosaic_mem__kernels *kernels;
    mosaic_mem_attention a;
    mosaic_mem_result result = MOSAIC_MEM_OK;
    float *q, *k, *v, *out, *room;
    size_t inner, widest, queries, keys;
    uint64_t size;
    int n;
    if (!c || !c->x || !c->memory || !c->out || (c->rope && (!c->query_places || !c->key_places))) return MOSAIC_MEM_ERROR_NULL;
    if (c->queries < 1 || c->keys < 1 || c->queries > 1 << 20 || c->keys > 1 << 20 || c->heads < 1 || c->heads > 1024 || c->dim < 1 ||
        c->dim > 1024 || c->width < 1 || c->memory_width < 1 || c->width > 16384 || c->memory_width > 16384)
        return MOSAIC_MEM_ERROR_SIZE;
    n = c->heads * c->dim;
    if (((!c->w_q || !c->w_o) && c->width != n) || ((!c->w_k || !c->w_v) && c->memory_width != n)) return MOSAIC_MEM_ERROR_SIZE;
    kernels = mosaic_mem__kernels_for(c->simd);
    if (!kernels) return c->simd < 0 || c->simd > 4 ? MOSAIC_MEM_ERROR_OPTION : MOSAIC_MEM_ERROR_SIMD;
    inner = (size_t)n, queries = (size_t)c->queries, keys = (size_t)c->keys;
    widest = inner > (size_t)c->width ? inner : (size_t)c->width;
    if (widest < (size_t)c->memory_width) widest = (size_t)c->memory_width;
    widest += 15;
    size = ((uint64_t)inner * (2 * (uint64_t)queries + 2 * (uint64_t)keys) + (uint64_t)widest * (widest + MOSAIC_MEM__JOBS * MOSAIC_MEM__BLOCK)) *
           sizeof(float);
    if (size > SIZE_MAX) return MOSAIC_MEM_ERROR_SIZE;
    if (!mosaic_mem__floats_finite(c->x, queries * (size_t)c->width) || !mosaic_mem__floats_finite(c->memory, keys * (size_t)c->memory_width) ||
        !mosaic_mem__floats_finite(c->w_q, inner * (size_t)c->width) || !mosaic_mem__floats_finite(c->w_k, inner * (size_t)c->memory_width) ||
        !mosaic_mem__floats_finite(c->w_v, inner * (size_t)c->memory_width) || !mosaic_mem__floats_finite(c->w_o, inner * (size_t)c->width))
        return MOSAIC_MEM_ERROR_NUMBER;
    q = (float *)MOSAIC_MEM_MALLOC(c->malloc_ctx, (size_t)size);
    if (!q) return MOSAIC_MEM_ERROR_MEMORY;
    out = q + queries * inner, k = out + queries * inner, v = k + keys * inner, room = v + keys * inner;
    mosaic_mem__project(c, kernels, c->x, c->queries, c->width, c->w_q, n, room, q);
    mosaic_mem__project(c, kernels, c->memory, c->keys, c->memory_width, c->w_k, n, room, k);
    mosaic_mem__project(c, kernels, c->memory, c->keys, c->memory_width, c->w_v, n, room, v);
    if (c->rope) {
        result = mosaic_mem__rope(c->rope, c->query_places, queries, 1, q, inner, c->heads, (size_t)c->dim);
        if (result == MOSAIC_MEM_OK) result = mosaic_mem__rope(c->rope, c->key_places, keys, 1, k, inner, c->heads, (size_t)c->dim);
    }
    if (c->matrices) {
        if (result == MOSAIC_MEM_OK) result = mosaic_mem__prope_heads(c, MOSAIC_MEM_PROPE_QUERY, q, c->queries);
        if (result == MOSAIC_MEM_OK) result = mosaic_mem__prope_heads(c, MOSAIC_MEM_PROPE_KEY_VALUE, k, c->keys);
        if (result == MOSAIC_MEM_OK) result = mosaic_mem__prope_heads(c, MOSAIC_MEM_PROPE_KEY_VALUE, v, c->keys);
    }
    memset(&a, 0, sizeof a);
    a.queries = c->queries, a.keys = c->keys, a.heads = c->heads, a.dim = c->dim;
    a.q = q, a.k = k, a.v = v, a.mask = c->mask, a.gate = c->gate, a.out = out;
    a.simd = c->simd, a.malloc_ctx = c->malloc_ctx, a.run = c->run, a.run_ctx = c->run_ctx;
    if (result == MOSAIC_MEM_OK) result = mosaic_mem_attend(&a);
    if (result == MOSAIC_MEM_OK && c->matrices) result = mosaic_mem__prope_heads(c, MOSAIC_MEM_PROPE_OUTPUT, out, c->queries);
    if (result == MOSAIC_MEM_OK) mosaic_mem__project(c, kernels, out, c->queries, n, c->w_o, c->width, room, c->out);
    MOSAIC_MEM_FREE(c->malloc_ctx, q);
    return result;
}

/* ==== warped latents ==== */

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_homography(const mosaic_mem_view *from, const mosaic_mem_view *to, const double normal[3],
                                                       double distance, double h[9])
{
    mosaic_mem_pose relative;
    mosaic_mem_result result;
    double m[9], t[3];
    int i, j;
    if (!from || !to || !normal || !h) return MOSAIC_MEM_ERROR_NULL;
    result = mosaic_mem__view_valid(from);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem__view_valid(to);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem_relative(&from->pose, &to->pose, &relative);
    if (result != MOSAIC_MEM_OK) return result;
    if (!mosaic_mem__finite_all(normal, 3) || !(distance > 1e-6) || !mosaic_mem__finite(distance)) return MOSAIC_MEM_ERROR_NUMBER;
    for (i = 0; i < 3; i++) t[i] = -mosaic_mem__dot(relative.rotation + 3 * i, relative.centre);
    for (i = 0; i < 3; i++)
        for (j = 0; j < 3; j++) m[3 * i + j] = relative.rotation[3 * i + j] + t[i] * normal[j] / distance;
    for (j = 0; j < 3; j++) { /* K of `to` on the left */
        m[j] = to->camera.fx * m[j] + to->camera.cx * m[6 + j];
        m[3 + j] = to->camera.fy * m[3 + j] + to->camera.cy * m[6 + j];
    }
    for (i = 0; i < 3; i++) { /* the inverse of that of `from` on the right */
        m[3 * i + 2] = (m[3 * i + 2] - m[3 * i] * from->camera.cx / from->camera.fx) - m[3 * i + 1] * from->camera.cy / from->camera.fy;
        m[3 * i] /= from->camera.fx;
        m[3 * i + 1] /= from->camera.fy;
    }
    memcpy(h, m, sizeof m);
    return mosaic_mem__finite_all(m, 9) ? MOSAIC_MEM_OK : MOSAIC_MEM_ERROR_NUMBER;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_warp_grid(const mosaic_mem_view *from, int cols, int rows, const float *depths, const mosaic_mem_view *to,
                                                      float *uvz, uint8_t *valid, size_t *count)
{
    mosaic_mem_result result;
    double chain[12];
    mosaic_mem__frame f;
    unsigned long long fp;
    int x, y;
    if (!from || !to || !depths || !uvz || !valid || !count) return MOSAIC_MEM_ERROR_NULL;
    *count = 0;
    result = mosaic_mem__view_valid(from);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem__view_valid(to);
    if (result != MOSAIC_MEM_OK) return result;
    if (cols < 1 || rows < 1 || cols > 65535 || rows > 65535) return MOSAIC_MEM_ERROR_SIZE;
    fp = mosaic__fp_enter();
    f.view = *from;
    mosaic_mem__chain(&f, mosaic_mem__identity, &to->pose, chain);
    for (y = 0; y < rows; y++)
        for (x = 0; x < cols; x++) {
            const size_t token = (size_t)y * (size_t)cols + (size_t)x;
            const double z = depths[token] > 1e-6f && depths[token] < 1e9f ? (double)depths[token] : 0;
            double p[3];
            mosaic_mem__lift(&from->camera, (x + 0.5) * from->camera.width / cols, (y + 0.5) * from->camera.height / rows, z, p);
            valid[token] = mosaic_mem__warp_point(chain, &to->camera, p, uvz + 3 * token);
            *count += valid[token];
        }
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

static mosaic_mem_result mosaic_mem__latent_valid(const mosaic_mem_latent *l, int target)
{
    if (!l || !l->values || (target && !l->mask)) return MOSAIC_MEM_ERROR_NULL;
    if (l->cols < 1 || l->rows < 1 || l->channels < 1 || l->cols > 65535 || l->rows > 65535 || l->channels > 65535) return MOSAIC_MEM_ERROR_SIZE;
    return MOSAIC_MEM_OK;
}

/* The cells about a place, in cells whose centres are at whole numbers, and their shares; steps of 1/4096, so that what should be a centre is. */
static void mosaic_mem__shares(double x, int *low, double share[2])
{
    x = mosaic_mem__floor(x * 4096 + 0.5) / 4096;
    *low = (int)mosaic_mem__floor(x);
    share[1] = x - *low;
    share[0] = 1 - share[1];
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_warp_forward(const mosaic_mem_latent *from, const float *uvz, const uint8_t *valid,
                                                         const mosaic_mem_camera *camera, double tolerance, const mosaic_mem_latent *to)
{
    mosaic_mem_result result = mosaic_mem__latent_valid(from, 0);
    const uint32_t bits = 0x7f800000;
    unsigned long long fp;
    size_t cells, tokens, i;
    float infinite;
    int pass, k, c;
    if (result == MOSAIC_MEM_OK) result = mosaic_mem__latent_valid(to, 1);
    if (result != MOSAIC_MEM_OK) return result;
    if (!uvz || !valid || !camera || !to->z || !to->weight) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__camera_valid(camera)) return MOSAIC_MEM_ERROR_CAMERA;
    if (from->channels != to->channels) return MOSAIC_MEM_ERROR_SIZE;
    if (tolerance == 0) tolerance = 0.03;
    if (!(tolerance > 0)) return MOSAIC_MEM_ERROR_NUMBER;
    fp = mosaic__fp_enter();
    memcpy(&infinite, &bits, sizeof infinite);
    cells = (size_t)to->cols * (size_t)to->rows;
    tokens = (size_t)from->cols * (size_t)from->rows;
    for (i = 0; i < cells; i++) to->z[i] = infinite, to->weight[i] = 0, to->mask[i] = 0;
    for (pass = 0; pass < 2; pass++)
        for (i = 0; i < tokens; i++) {
            const double x = (double)uvz[3 * i] * to->cols / camera->width - 0.5, y = (double)uvz[3 * i + 1] * to->rows / camera->height - 0.5;
            const float z = uvz[3 * i + 2];
            double across[2], down[2];
            int left, top;
            if (!valid[i] || (from->mask && !from->mask[i]) || !(z > 0) || !(x > -1 && y > -1 && x < to->cols && y < to->rows)) continue;
            mosaic_mem__shares(x, &left, across);
            mosaic_mem__shares(y, &top, down);
            for (k = 0; k < 4; k++) {
                const int cx = left + (k & 1), cy = top + (k >> 1);
                const double share = across[k & 1] * down[k >> 1];
                const size_t cell = (size_t)(cy < 0 ? 0 : cy) * (size_t)to->cols + (size_t)(cx < 0 ? 0 : cx);
                if (cx < 0 || cy < 0 || cx >= to->cols || cy >= to->rows || !(share > 0)) continue;
                if (pass == 0) {
                    if (share >= 0.25 && z < to->z[cell]) to->z[cell] = z;
                    continue;
                }
                if (!(to->z[cell] < infinite) || (double)z > (double)to->z[cell] * (1 + tolerance)) continue;
                for (c = 0; c < to->channels; c++) {
                    float *value = to->values + cell * (size_t)to->channels + c;
                    *value =
                        (float)((to->weight[cell] > 0 ? (double)*value : 0) + share * (double)from->values[i * (size_t)from->channels + (size_t)c]);
                }
                to->weight[cell] = (float)((double)to->weight[cell] + share);
                to->mask[cell] = 1;
            }
        }
    for (i = 0; i < cells; i++)
        for (c = 0; to->mask[i] && c < to->channels; c++) {
            float *value = to->values + i * (size_t)to->channels + c;
            *value = (float)((double)*value / (double)to->weight[i]);
        }
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_warp_plane(const mosaic_mem_latent *from, const mosaic_mem_camera *from_camera, const double h[9],
                                                       const mosaic_mem_camera *to_camera, const mosaic_mem_latent *to)
{
    mosaic_mem_result result = mosaic_mem__latent_valid(from, 0);
    double m[12], back[12];
    unsigned long long fp;
    int x, y, i, c;
    if (result == MOSAIC_MEM_OK) result = mosaic_mem__latent_valid(to, 1);
    if (result != MOSAIC_MEM_OK) return result;
    if (!from_camera || !to_camera || !h) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__camera_valid(from_camera) || !mosaic_mem__camera_valid(to_camera)) return MOSAIC_MEM_ERROR_CAMERA;
    if (from->channels != to->channels) return MOSAIC_MEM_ERROR_SIZE;
    fp = mosaic__fp_enter();
    for (i = 0; i < 12; i++) m[i] = i % 4 == 3 ? 0 : h[i / 4 * 3 + i % 4];
    if (!mosaic_mem__finite_all(h, 9) || !mosaic_mem__invert(m, back)) {
        mosaic__fp_leave(fp);
        return MOSAIC_MEM_ERROR_NUMBER;
    }
    for (y = 0; y < to->rows; y++)
        for (x = 0; x < to->cols; x++) {
            const size_t cell = (size_t)y * (size_t)to->cols + (size_t)x;
            double at[3] = {0, 0, 1}, share[2][2], u, v;
            int low[2], known = 1;
            to->mask[cell] = 0;
            at[0] = (x + 0.5) * to_camera->width / to->cols, at[1] = (y + 0.5) * to_camera->height / to->rows;
            mosaic_mem__apply(back, at, at);
            if (!(at[2] > 0)) continue;
            u = at[0] / at[2], v = at[1] / at[2];
            if (!(u >= 0 && v >= 0 && u < from_camera->width && v < from_camera->height)) continue;
            for (i = 0; i < 2; i++) { /* at most half a token beyond the outermost centres, which stand for what is there */
                const int last = (i ? from->rows : from->cols) - 1;
                const double place = (i ? v * from->rows / from_camera->height : u * from->cols / from_camera->width) - 0.5;
                mosaic_mem__shares(place < 0 ? 0 : place > last ? last : place, &low[i], share[i]);
            }
            for (c = -1; c < to->channels && known; c++) { /* first whether all are there */
                double sum = 0;
                for (i = 0; i < 4; i++) {
                    const double part = share[0][i & 1] * share[1][i >> 1];
                    const size_t token = (size_t)(low[1] + (i >> 1)) * (size_t)from->cols + (size_t)(low[0] + (i & 1));
                    if (!(part > 0)) continue;
                    if (c < 0)
                        known &= !from->mask || from->mask[token];
                    else
                        sum += part * (double)from->values[token * (size_t)from->channels + (size_t)c];
                }
                if (c >= 0) to->values[cell * (size_t)to->channels + (size_t)c] = (float)sum;
            }
            to->mask[cell] = (uint8_t)known;
        }
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

/* ==== noise and its removal ==== */

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_schedule_make(mosaic_mem_schedule schedule, int count, double first, double last, double *kept)
{
    double product = 1, before = 0, start = 1;
    unsigned long long fp;
    int t;
    if (!kept) return MOSAIC_MEM_ERROR_NULL;
    if (count < 1 || count > 1 << 20) return MOSAIC_MEM_ERROR_SIZE;
    if (schedule != MOSAIC_MEM_SCHEDULE_LINEAR && schedule != MOSAIC_MEM_SCHEDULE_COSINE) return MOSAIC_MEM_ERROR_OPTION;
    if (first == 0) first = 1e-4;
    if (last == 0) last = 0.02;
    if (!(first > 0 && first < 1) || !(last > 0 && last < 1)) return MOSAIC_MEM_ERROR_NUMBER;
    fp = mosaic__fp_enter();
    for (t = 0; t < count; t++) {
        double beta, s, c;
        if (schedule == MOSAIC_MEM_SCHEDULE_LINEAR) {
            beta = first + (last - first) * t / (count > 1 ? count - 1 : 1);
        } else {
            mosaic_mem__turn(((double)t / count + 0.008) / 1.008 * (MOSAIC_MEM__PI / 2), &s, &c);
            if (t == 0) start = before = c * c;
            beta = 1 - (c * c / start) / (before / start);
            before = c * c;
            beta = beta > 0.999 ? 0.999 : beta;
        }
        product *= 1 - beta;
        kept[t] = product;
    }
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_schedule_steps(int total, int count, int *steps)
{
    int i;
    if (!steps) return MOSAIC_MEM_ERROR_NULL;
    if (total < 1 || total > 1 << 20 || count < 1 || count > total) return MOSAIC_MEM_ERROR_SIZE;
    for (i = 0; i < count; i++)
        steps[i] = count == 1 ? total - 1 : (int)(((int64_t)(total - 1) * (count - 1 - i) * 2 + (count - 1)) / (2 * ((int64_t)count - 1)));
    return MOSAIC_MEM_OK;
}

/* 53 random bits of a number of a row (splitmix64, Steele et al., 2014): 0 < x <= 1. */
static double mosaic_mem__random(uint64_t seed, uint64_t i)
{
    uint64_t h = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return (double)(((h ^ h >> 31) >> 11) + 1) / 9007199254740992.0;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_noise(uint64_t seed, uint64_t first, float *out, size_t count)
{
    unsigned long long fp;
    size_t i;
    if (!out && count) return MOSAIC_MEM_ERROR_NULL;
    fp = mosaic__fp_enter();
    for (i = 0; i < count; i++) { /* Box and Muller, 1958: two at a time, one of which may be outside */
        const uint64_t at = first + i, pair = at / 2;
        double s, c, radius;
        if (i && (at & 1)) continue;
        mosaic_mem__turn(2 * MOSAIC_MEM__PI * mosaic_mem__random(seed, 2 * pair + 1), &s, &c);
        radius = mosaic_mem__root(-2 * mosaic_mem__log(mosaic_mem__random(seed, 2 * pair)));
        out[i] = (float)(radius * (at & 1 ? s : c));
        if (!(at & 1) && i + 1 < count) out[i + 1] = (float)(radius * s);
    }
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_add_noise(double kept, const float *clean, const float *noise, float *out, size_t count)
{
    unsigned long long fp;
    double a, b;
    size_t i;
    if ((!clean || !noise || !out) && count) return MOSAIC_MEM_ERROR_NULL;
    if (!(kept >= 0 && kept <= 1)) return MOSAIC_MEM_ERROR_NUMBER;
    fp = mosaic__fp_enter();
    a = mosaic_mem__root(kept), b = mosaic_mem__root(1 - kept);
    for (i = 0; i < count; i++) out[i] = (float)(a * (double)clean[i] + b * (double)noise[i]);
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_denoise(double kept, double next, double eta, double clip, const float *predicted, const float *noise,
                                                    float *x, size_t count)
{
    unsigned long long fp;
    double a, b, spread, left, scale;
    size_t i;
    if ((!predicted || !x) && count) return MOSAIC_MEM_ERROR_NULL;
    if (!(kept > 0 && kept <= next && next <= 1) || !(eta >= 0 && eta <= 1) || !(clip >= 0)) return MOSAIC_MEM_ERROR_NUMBER;
    if (!(kept < 1)) return MOSAIC_MEM_OK; /* it is clean */
    fp = mosaic__fp_enter();
    a = mosaic_mem__root(kept), b = mosaic_mem__root(1 - kept);
    spread = eta * mosaic_mem__root((1 - next) / (1 - kept) * (1 - kept / next));
    left = mosaic_mem__root((1 - next) - spread * spread);
    scale = mosaic_mem__root(next);
    if (spread > 0 && !noise && count) {
        mosaic__fp_leave(fp);
        return MOSAIC_MEM_ERROR_NULL;
    }
    for (i = 0; i < count; i++) {
        double clean = ((double)x[i] - b * (double)predicted[i]) / a, e = (double)predicted[i];
        if (clip > 0 && (clean > clip || clean < -clip)) {
            clean = clean > clip ? clip : -clip;
            e = ((double)x[i] - a * clean) / b; /* what the noise is then */
        }
        x[i] = (float)((scale * clean + left * e) + (spread > 0 ? spread * (double)noise[i] : 0));
    }
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_flow_step(double step, const float *velocity, float *x, size_t count)
{
    unsigned long long fp;
    size_t i;
    if ((!velocity || !x) && count) return MOSAIC_MEM_ERROR_NULL;
    if (!mosaic_mem__finite(step)) return MOSAIC_MEM_ERROR_NUMBER;
    fp = mosaic__fp_enter();
    for (i = 0; i < count; i++) x[i] = (float)((double)x[i] + step * (double)velocity[i]);
    mosaic__fp_leave(fp);
    return MOSAIC_MEM_OK;
}

/* ==== rollout ==== */

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_windows(size_t total, size_t window, size_t overlap, mosaic_mem_window *out, size_t capacity,
                                                    size_t *count)
{
    size_t fresh = 0, n = 0;
    if (!count || (!out && capacity)) return MOSAIC_MEM_ERROR_NULL;
    *count = 0;
    if (window == 0 || overlap >= window) return MOSAIC_MEM_ERROR_SIZE;
    while (fresh < total) {
        mosaic_mem_window w;
        w.count = window < total ? window : total;
        w.first = n ? fresh - overlap : 0;
        if (w.first > total - w.count) w.first = total - w.count;
        w.fresh = fresh;
        if (n < capacity) out[n] = w;
        fresh = w.first + w.count;
        n++;
    }
    *count = n;
    return n > capacity ? MOSAIC_MEM_ERROR_SPACE : MOSAIC_MEM_OK;
}

typedef struct mosaic_mem__roller {
    mosaic_mem_rollout o;
    mosaic_mem_rollout_stats *stats;
    size_t cells, pixels, latent; /* of a slice, of a frame, numbers of a slice */
    int most;                     /* slices of a window */
    double *kept;
    int *times;
    mosaic_mem_moment *moments;
    size_t *keys, key_count;
    mosaic_mem_window *windows;
    mosaic_mem_view *middle;
    mosaic_mem_hit *hits;
    size_t *hit_start;
    float *x, *predicted, *plain, *noise, *held, *canvas, *frames, *fresh, *depth, *text, *tokens;
    uint8_t *mask, *rgb;
    mosaic_mem_scratch scratch;
} mosaic_mem__roller;

/* Space for `count` items in the work area, or only counted while there is none. */
static void *mosaic_mem__portion(unsigned char *area, uint64_t *used, uint64_t count, size_t size)
{
    void *p = area ? area + (size_t)*used : NULL;
    *used += (count * size + 15) / 16 * 16;
    return p;
}

static uint64_t mosaic_mem__roller_area(mosaic_mem__roller *r, unsigned char *area, size_t windows)
{
    const mosaic_mem_rollout *o = &r->o;
    const uint64_t slices = (uint64_t)r->most, numbers = slices * r->latent, film = (uint64_t)o->window * r->pixels * 3;
    uint64_t n = 0;
    r->kept = (double *)mosaic_mem__portion(area, &n, (uint64_t)o->schedule_steps, sizeof *r->kept);
    r->times = (int *)mosaic_mem__portion(area, &n, (uint64_t)o->steps, sizeof *r->times);
    r->moments = (mosaic_mem_moment *)mosaic_mem__portion(area, &n, o->frames, sizeof *r->moments);
    r->keys = (size_t *)mosaic_mem__portion(area, &n, o->frames, sizeof *r->keys);
    r->windows = (mosaic_mem_window *)mosaic_mem__portion(area, &n, windows, sizeof *r->windows);
    r->middle = (mosaic_mem_view *)mosaic_mem__portion(area, &n, slices, sizeof *r->middle);
    r->hits = (mosaic_mem_hit *)mosaic_mem__portion(area, &n, slices * o->top, sizeof *r->hits);
    r->hit_start = (size_t *)mosaic_mem__portion(area, &n, slices + 1, sizeof *r->hit_start);
    r->x = (float *)mosaic_mem__portion(area, &n, numbers, sizeof(float));
    r->predicted = (float *)mosaic_mem__portion(area, &n, numbers, sizeof(float));
    r->plain = (float *)mosaic_mem__portion(area, &n, numbers, sizeof(float));
    r->noise = (float *)mosaic_mem__portion(area, &n, numbers, sizeof(float));
    r->held = (float *)mosaic_mem__portion(area, &n, numbers, sizeof(float));
    r->canvas = (float *)mosaic_mem__portion(area, &n, numbers, sizeof(float));
    r->frames = (float *)mosaic_mem__portion(area, &n, film, sizeof(float));
    r->fresh = (float *)mosaic_mem__portion(area, &n, film, sizeof(float));
    r->depth = (float *)mosaic_mem__portion(area, &n, r->pixels, sizeof(float));
    r->text = (float *)mosaic_mem__portion(area, &n, o->text_size, sizeof(float));
    r->tokens = (float *)mosaic_mem__portion(area, &n, r->latent, sizeof(float));
    r->mask = (uint8_t *)mosaic_mem__portion(area, &n, slices * r->cells, 1);
    r->rgb = (uint8_t *)mosaic_mem__portion(area, &n, r->pixels * 3, 1);
    return n;
}

/* A frame that was shown, into memory. */
static mosaic_mem_result mosaic_mem__remember(mosaic_mem__roller *r, size_t index, const float *frame)
{
    const mosaic_mem_rollout *o = &r->o;
    const mosaic_mem_view *view = &o->views[index];
    mosaic_mem_result result = MOSAIC_MEM_OK;
    size_t i;
    if (o->models.depth(o->models.ctx, frame, view, r->depth)) return MOSAIC_MEM_ERROR_CALLBACK;
    if (o->memory) {
        mosaic_mem_keyframe key;
        memset(&key, 0, sizeof key);
        if (o->models.encode(o->models.ctx, frame, 1, r->tokens)) return MOSAIC_MEM_ERROR_CALLBACK;
        key.view = *view;
        key.frame = index;
        key.cols = o->cols, key.rows = o->rows;
        key.values = r->tokens, key.value_count = r->latent;
        key.depth = r->depth;
        result = mosaic_mem_insert(o->memory, &key, NULL);
    }
    if (o->cloud && result == MOSAIC_MEM_OK) {
        mosaic_mem_picture picture;
        memset(&picture, 0, sizeof picture);
        for (i = 0; i < 3 * r->pixels; i++) r->rgb[i] = (uint8_t)(frame[i] > 0 ? frame[i] < 1 ? frame[i] * 255 + 0.5f : 255 : 0);
        picture.view = *view, picture.depth = r->depth, picture.rgb = r->rgb;
        result = mosaic_mem_fuse(o->cloud, &picture, NULL);
    }
    if (result == MOSAIC_MEM_OK) r->stats->keyframes++;
    return result;
}

/* What memory shows in the slices of a window. */
static mosaic_mem_result mosaic_mem__recall(mosaic_mem__roller *r, const mosaic_mem_window *w, int slices, int held)
{
    const mosaic_mem_rollout *o = &r->o;
    mosaic_mem_canvas canvas;
    mosaic_mem_result result = MOSAIC_MEM_OK;
    int s;
    memset(r->canvas, 0, (size_t)slices * r->latent * sizeof *r->canvas);
    memset(r->mask, 0, (size_t)slices * r->cells);
    memset(r->hit_start, 0, ((size_t)slices + 1) * sizeof *r->hit_start);
    memset(&canvas, 0, sizeof canvas);
    canvas.width = o->cols, canvas.height = o->rows;
    for (s = 0; s < slices && result == MOSAIC_MEM_OK; s++) {
        const size_t from = (size_t)s * (size_t)o->ratio, rest = w->count - from, length = rest < (size_t)o->ratio ? rest : (size_t)o->ratio;
        size_t found = 0, seen = 0;
        r->middle[s] = o->views[w->first + from + (length - 1) / 2];
        r->hit_start[s + 1] = r->hit_start[s];
        if (s >= held) r->stats->cells += r->cells;
        if (!o->memory) continue;
        canvas.mask = r->mask + (size_t)s * r->cells, canvas.values = r->canvas + (size_t)s * r->latent;
        result = mosaic_mem_query(o->memory, &r->middle[s], o->query, &r->scratch, r->hits + r->hit_start[s], o->top, &found, NULL);
        if (result == MOSAIC_MEM_OK)
            result = mosaic_mem_compose(o->memory, &r->middle[s], r->hits + r->hit_start[s], found, &r->scratch, &canvas, &seen);
        r->hit_start[s + 1] += found;
        if (s < held || result != MOSAIC_MEM_OK) continue;
        r->stats->hits += found;
        r->stats->seen += seen;
    }
    return result;
}

static mosaic_mem_result mosaic_mem__roll_window(mosaic_mem__roller *r, const mosaic_mem_window *w, size_t *key)
{
    const mosaic_mem_rollout *o = &r->o;
    const size_t old = w->fresh - w->first, ratio = (size_t)o->ratio, frame = 3 * r->pixels;
    const int slices = (int)((w->count + ratio - 1) / ratio), held = (int)(old / ratio);
    const size_t numbers = (size_t)slices * r->latent, fixed = (size_t)held * r->latent;
    const uint64_t seed = o->seed ^ ((uint64_t)w->first + 1) * 0xd1342543de82ef95u; /* each window has noise of its own */
    mosaic_mem_conditions c;
    mosaic_mem_result result;
    size_t i;
    int s;
    if (held && o->models.encode(o->models.ctx, r->frames, held * o->ratio, r->held)) return MOSAIC_MEM_ERROR_CALLBACK;
    result = mosaic_mem__recall(r, w, slices, held);
    if (result != MOSAIC_MEM_OK) return result;
    memset(&c, 0, sizeof c);
    c.window = *w;
    c.slices = slices, c.cols = o->cols, c.rows = o->rows, c.channels = o->channels;
    c.views = o->views + w->first, c.middle = r->middle;
    c.memory = o->memory, c.canvas = r->canvas, c.mask = r->mask, c.hits = r->hits, c.hit_start = r->hit_start, c.held = held;
    mosaic_mem_noise(seed, 0, r->x, numbers);
    for (s = 0; s < o->steps && result == MOSAIC_MEM_OK; s++) {
        const double kept = r->kept[r->times[s]], next = s + 1 < o->steps ? r->kept[r->times[s + 1]] : 1;
        mosaic_mem_noise(seed, ((uint64_t)s + 1) * numbers, r->noise, numbers);
        mosaic_mem_add_noise(kept, r->held, r->noise, r->x, fixed);
        c.step = s, c.time = r->times[s], c.text = o->prompt ? r->text : NULL;
        if (o->models.backbone(o->models.ctx, &c, r->x, r->predicted)) return MOSAIC_MEM_ERROR_CALLBACK;
        if (o->prompt && (o->guidance > 1 || o->guidance < 1)) {
            c.text = NULL;
            if (o->models.backbone(o->models.ctx, &c, r->x, r->plain)) return MOSAIC_MEM_ERROR_CALLBACK;
            for (i = 0; i < numbers; i++)
                r->predicted[i] = (float)((double)r->plain[i] + o->guidance * ((double)r->predicted[i] - (double)r->plain[i]));
        }
        result = mosaic_mem_denoise(kept, next, o->eta, o->clip, r->predicted, r->noise, r->x, numbers);
    }
    if (result != MOSAIC_MEM_OK) return result;
    memcpy(r->x, r->held, fixed * sizeof *r->x);
    if (o->models.decode(o->models.ctx, r->x, slices, r->fresh, (int)w->count)) return MOSAIC_MEM_ERROR_CALLBACK;
    memcpy(r->frames + old * frame, r->fresh + old * frame, (w->count - old) * frame * sizeof *r->frames);
    for (i = old; i < w->count && result == MOSAIC_MEM_OK; i++) {
        const size_t index = w->first + i;
        if (o->frame && o->frame(o->frame_ctx, index, &o->views[index], r->frames + i * frame)) return MOSAIC_MEM_ERROR_CALLBACK;
        r->stats->frames++;
        if (*key < r->key_count && r->keys[*key] == index) {
            ++*key;
            if (o->memory || o->cloud) result = mosaic_mem__remember(r, index, r->frames + i * frame);
        }
    }
    r->stats->windows++;
    return result;
}

MOSAIC_MEM_API mosaic_mem_result mosaic_mem_roll_out(const mosaic_mem_rollout *rollout, mosaic_mem_rollout_stats *stats)
{
    mosaic_mem_rollout_stats unused;
    mosaic_mem__roller r;
    mosaic_mem_rollout *o = &r.o;
    mosaic_mem_result result;
    unsigned char *area;
    unsigned long long fp;
    uint64_t size;
    size_t windows = 0, i, key = 0;
    if (!stats) stats = &unused;
    memset(stats, 0, sizeof *stats);
    if (!rollout || (!rollout->views && rollout->frames) || !rollout->models.backbone || !rollout->models.decode || !rollout->models.encode ||
        (rollout->prompt && !rollout->models.text) || ((rollout->memory || rollout->cloud) && !rollout->models.depth))
        return MOSAIC_MEM_ERROR_NULL;
    memset(&r, 0, sizeof r);
    *o = *rollout;
    r.stats = stats;
    if (o->window == 0) o->window = 16, o->overlap = o->overlap ? o->overlap : 4;
    if (o->ratio == 0) o->ratio = 4;
    if (o->steps == 0) o->steps = 50;
    if (o->schedule_steps == 0) o->schedule_steps = 1000;
    if (o->guidance == 0) o->guidance = 1;
    if (o->top == 0) o->top = 64;
    if (o->ratio < 1 || o->window > 65535 || o->overlap >= o->window || o->window % (size_t)o->ratio || o->overlap % (size_t)o->ratio ||
        o->cols < 1 || o->rows < 1 || o->cols > 8192 || o->rows > 8192 || o->channels < 1 || o->channels > 4096 || o->steps < 1 ||
        o->steps > o->schedule_steps || o->schedule_steps > 1 << 20 || o->top > 1 << 20 || o->frames > (size_t)1 << 30 ||
        o->text_size > (size_t)1 << 30)
        return MOSAIC_MEM_ERROR_SIZE;
    if (!mosaic_mem__finite(o->guidance) || !(o->eta >= 0 && o->eta <= 1) || !(o->clip >= 0)) return MOSAIC_MEM_ERROR_NUMBER;
    if (o->memory && o->memory->o.channels != o->channels) return MOSAIC_MEM_ERROR_MATCH;
    if (o->memory && o->memory->o.tags) return MOSAIC_MEM_ERROR_MATCH; /* there is no one who knows them */
    if (o->frames == 0) return MOSAIC_MEM_OK;
    for (i = 0; i < o->frames; i++) {
        result = mosaic_mem__view_valid(&o->views[i]);
        if (result != MOSAIC_MEM_OK) return result;
        if (o->views[i].camera.width != o->views[0].camera.width || o->views[i].camera.height != o->views[0].camera.height)
            return MOSAIC_MEM_ERROR_SIZE;
    }
    if (o->window > o->frames) { /* one window, of whole slices but for the last */
        o->window = o->frames;
        if (o->overlap >= o->window) o->overlap = 0;
    }
    mosaic_mem_windows(o->frames, o->window, o->overlap, NULL, 0, &windows);
    r.pixels = (size_t)o->views[0].camera.width * (size_t)o->views[0].camera.height;
    r.cells = (size_t)o->cols * (size_t)o->rows;
    if ((uint64_t)r.cells * (uint64_t)o->channels > SIZE_MAX / 64) return MOSAIC_MEM_ERROR_SIZE;
    r.latent = r.cells * (size_t)o->channels;
    r.most = (int)((o->window + (size_t)o->ratio - 1) / (size_t)o->ratio);
    size = mosaic_mem__roller_area(&r, NULL, windows);
    if (size > SIZE_MAX / 2) return MOSAIC_MEM_ERROR_SIZE;
    area = (unsigned char *)MOSAIC_MEM_MALLOC(o->malloc_ctx, (size_t)size);
    if (!area) return MOSAIC_MEM_ERROR_MEMORY;
    mosaic_mem__roller_area(&r, area, windows);
    fp = mosaic__fp_enter();
    for (i = 0; i < o->frames; i++) r.moments[i].pose = o->views[i].pose, r.moments[i].time = o->views[i].time;
    result = mosaic_mem_keyframes(r.moments, o->frames, o->key, r.keys, o->frames, &r.key_count);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem_schedule_make(o->schedule, o->schedule_steps, 0, 0, r.kept);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem_schedule_steps(o->schedule_steps, o->steps, r.times);
    if (result == MOSAIC_MEM_OK) result = mosaic_mem_windows(o->frames, o->window, o->overlap, r.windows, windows, &windows);
    if (result == MOSAIC_MEM_OK && o->prompt && o->models.text(o->models.ctx, o->prompt, r.text)) result = MOSAIC_MEM_ERROR_CALLBACK;
    for (i = 0; i < windows && result == MOSAIC_MEM_OK; i++) {
        if (i) { /* frames shown before go to the front */
            const size_t shift = r.windows[i].first - r.windows[i - 1].first, frame = 3 * r.pixels;
            memmove(r.frames, r.frames + shift * frame, (o->window - shift) * frame * sizeof *r.frames);
        }
        result = mosaic_mem__roll_window(&r, &r.windows[i], &key);
    }
    mosaic__fp_leave(fp);
    mosaic_mem_scratch_free(&r.scratch);
    MOSAIC_MEM_FREE(o->malloc_ctx, area);
    return result;
}

/* ==== the kernels ==== */

/* a * b + c rounded once. The product is exact in double; the sum is rounded to odd (if it is not exact, its last bit is made 1), which keeps what
   the second rounding needs to know (Boldo and Melquiond, 2008). */
MOSAIC__UNUSED static float mosaic_mem__fma(float a, float b, float c)
{
    const double product = (double)a * (double)b, sum = product + (double)c, other = sum - product;
    const double error = (product - (sum - other)) + ((double)c - other);
    double odd = sum;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if ((error < 0 || error > 0) && !(bits & 1)) {
        bits += (error > 0) == (sum > 0) ? 1u : (uint64_t)-1;
        memcpy(&odd, &bits, sizeof odd);
    }
    return (float)odd;
}

#define MOSAIC_MEM__LANES 1
#define MOSAIC_MEM__SUFFIX plain
#define MOSAIC_MEM__ISA
#if defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define MOSAIC_MEM__FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MOSAIC_MEM__FMA(a, b, c) mosaic_mem__fma(a, b, c)
#endif
#include MOSAIC_MEM_FILE
#if MOSAIC__X86 && !defined(MOSAIC_MEM_NO_SIMD)
#define MOSAIC_MEM__LANES 1
#define MOSAIC_MEM__SUFFIX fused
#define MOSAIC_MEM__ISA MOSAIC__TARGET("fma")
#define MOSAIC_MEM__FMA(a, b, c) __builtin_fmaf(a, b, c)
#include MOSAIC_MEM_FILE
#define MOSAIC_MEM__LANES 8
#define MOSAIC_MEM__SUFFIX avx2
#define MOSAIC_MEM__ISA MOSAIC__TARGET("avx2,fma")
#define MOSAIC_MEM__FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MOSAIC_MEM__SET(x) _mm256_set1_ps(x)
#include MOSAIC_MEM_FILE
#if defined(__GNUC__) && !defined(__clang__) /* gcc 12 takes the undefined inputs of its own intrinsics for mistakes of ours */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define MOSAIC_MEM__LANES 16
#define MOSAIC_MEM__SUFFIX avx512
#define MOSAIC_MEM__ISA MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#define MOSAIC_MEM__FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MOSAIC_MEM__SET(x) _mm512_set1_ps(x)
#include MOSAIC_MEM_FILE
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

/* The one list of kernels; null for what is no level, or missing here. */
static const mosaic_mem__kernels *mosaic_mem__kernels_for(int simd)
{
    int level = mosaic__cpu_level();
    if (simd < 0 || simd > 4) return NULL;
#if MOSAIC__X86 && !defined(MOSAIC_MEM_NO_SIMD)
    if (!__builtin_cpu_supports("fma")) level = 0;
    if (simd > level + 1) return NULL;
    if (simd) level = simd - 1;
    if (level >= 2) return &mosaic_mem__kernels_avx512;
    if (level == 1) return &mosaic_mem__kernels_avx2;
    return __builtin_cpu_supports("fma") ? &mosaic_mem__kernels_fused : &mosaic_mem__kernels_plain;
#else
    (void)level;
    return simd > 1 ? NULL : &mosaic_mem__kernels_plain;
#endif
}

MOSAIC_MEM_API const char *mosaic_mem_result_string(mosaic_mem_result result)
{
    switch (result) {
    case MOSAIC_MEM_OK: return "no error";
    case MOSAIC_MEM_ERROR_NULL: return "a pointer that is needed is null";
    case MOSAIC_MEM_ERROR_SIZE: return "a count, size or stride cannot be";
    case MOSAIC_MEM_ERROR_OPTION: return "an option has a value that does not exist";
    case MOSAIC_MEM_ERROR_SIMD: return "this processor or this build does not have the instruction set";
    case MOSAIC_MEM_ERROR_POSE: return "a pose is not a rotation and a place";
    case MOSAIC_MEM_ERROR_CAMERA: return "a camera has no valid focal length, principal point or size";
    case MOSAIC_MEM_ERROR_NUMBER: return "a number is not finite or out of range";
    case MOSAIC_MEM_ERROR_PATCH: return "there is no such patch";
    case MOSAIC_MEM_ERROR_MATCH: return "the stores differ in what their patches hold";
    case MOSAIC_MEM_ERROR_SPACE: return "an array is too small";
    case MOSAIC_MEM_ERROR_LIMIT: return "there is no room for so many patches";
    case MOSAIC_MEM_ERROR_MEMORY: return "out of memory";
    case MOSAIC_MEM_ERROR_TRUNCATED: return "the file ends too early";
    case MOSAIC_MEM_ERROR_CORRUPT: return "the file is damaged or of another kind";
    case MOSAIC_MEM_ERROR_VERSION: return "the file is of another version";
    case MOSAIC_MEM_ERROR_CALLBACK: return "a callback reported failure";
    }
    return "unknown result";
}

#ifdef __cplusplus
}
#endif

/* === mosaic shared block, closing part === */
#if defined(__clang__)
#pragma STDC FP_CONTRACT DEFAULT
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
/* === end of the closing part === */
#endif /* MOSAIC_MEM_IMPLEMENTATION_DONE */
#endif /* MOSAIC_MEM_IMPLEMENTATION */

#else /* MOSAIC_MEM__LANES */

/* ==== Kernels, once for each instruction set ====
   This part of the file is read by the implementation above through MOSAIC_MEM_FILE, once for each number of lanes. The operations of a lane are
   those that the text shows, whatever the number of lanes, so all of them give the same bits; one lane is the reference. */

#define MOSAIC_MEM__PASTE2(a, b) a##b
#define MOSAIC_MEM__PASTE(a, b) MOSAIC_MEM__PASTE2(a, b)
#define MOSAIC_MEM__NAME(name) MOSAIC_MEM__PASTE(mosaic_mem__##name##_, MOSAIC_MEM__SUFFIX)
#define MOSAIC_MEM__V MOSAIC_MEM__NAME(v)
#define MOSAIC_MEM__I MOSAIC_MEM__NAME(i)
#if defined(__clang__)
#define MOSAIC_MEM__UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define MOSAIC_MEM__UNROLL _Pragma("GCC unroll 16")
#else
#define MOSAIC_MEM__UNROLL
#endif

#if MOSAIC_MEM__LANES == 1
typedef float MOSAIC_MEM__V;
typedef int32_t MOSAIC_MEM__I;
#define MOSAIC_MEM__SET(x) (x)
#define MOSAIC_MEM__ROWS 4
#else
/* Loads and stores through these types may be anywhere. */
typedef float MOSAIC_MEM__V __attribute__((vector_size(4 * MOSAIC_MEM__LANES), aligned(4), may_alias));
typedef int32_t MOSAIC_MEM__I __attribute__((vector_size(4 * MOSAIC_MEM__LANES), aligned(4), may_alias));
#define MOSAIC_MEM__ROWS (MOSAIC_MEM__LANES == 16 ? 8 : 4)
#endif

/* The compiler turns these loops of eight into vectors. */
MOSAIC_MEM__ISA static unsigned MOSAIC_MEM__NAME(cull)(const mosaic_mem__bucket *b, const mosaic_mem__volume *v)
{
    double worst[MOSAIC_MEM__BUCKET];
    unsigned bits = 0;
    int i, k;
    if (v->planes == 0) {
        for (i = 0; i < MOSAIC_MEM__BUCKET; i++) {
            const double dx = (double)b->x[i] - v->centre[0], dy = (double)b->y[i] - v->centre[1], dz = (double)b->z[i] - v->centre[2];
            worst[i] = v->radius2 - ((dx * dx + dy * dy) + dz * dz);
        }
    } else {
        for (i = 0; i < MOSAIC_MEM__BUCKET; i++) worst[i] = 1e300;
        for (k = 0; k < v->planes; k++) {
            const double nx = v->plane[k][0], ny = v->plane[k][1], nz = v->plane[k][2], d = v->plane[k][3];
            for (i = 0; i < MOSAIC_MEM__BUCKET; i++) {
                const double s = (((nx * (double)b->x[i] + ny * (double)b->y[i]) + nz * (double)b->z[i]) + d) + (double)b->r[i];
                worst[i] = s < worst[i] ? s : worst[i];
            }
        }
    }
    for (i = 0; i < (int)b->used; i++) bits |= (unsigned)(worst[i] >= 0) << i;
    return bits;
}

/* Writes the nearness (1 / z) of a quadrangle into the z-buffer where it is nearer than what is there; `share` of it. */
MOSAIC_MEM__ISA static inline __attribute__((always_inline)) void MOSAIC_MEM__NAME(cover)(const mosaic_mem__quad *q, float *nearness, int width,
                                                                                          double share)
{
    /* 1 / z is linear in the cells, as the edges are; these all are >= 0 inside once they are turned to one side. */
    const double scale = share / q->offset, step = q->normal[0] * q->ray_x[1] * scale;
    const double side = (q->edge[0][0] * q->x[2] + q->edge[0][1] * q->y[2]) + q->edge[0][2] < 0 ? -1 : 1, lane[4] = {0, 1, 2, 3};
    int x, y, i;
    for (y = q->y0; y <= q->y1; y++) {
        const double row = ((q->normal[0] * q->ray_x[0] + q->normal[1] * (q->ray_y[0] + y * q->ray_y[1])) + q->normal[2]) * scale;
        double e[4], d[4];
        float *out = nearness + (size_t)y * (size_t)width;
        for (i = 0; i < 4; i++) {
            d[i] = side * q->edge[i][0];
            e[i] = side * (q->edge[i][1] * y + q->edge[i][2]) + 1e-9;
        }
        for (x = q->x0; x <= q->x1; x += 4) {
            double near_by[4];
            int64_t in[4];
            for (i = 0; i < 4; i++) {
                const double at = (double)x + lane[i];
                near_by[i] = row + at * step;
                in[i] = (int64_t)(e[0] + at * d[0] >= 0) & (int64_t)(e[1] + at * d[1] >= 0) & (int64_t)(e[2] + at * d[2] >= 0) &
                        (int64_t)(e[3] + at * d[3] >= 0);
            }
            for (i = 0; i < 4 && x + i <= q->x1; i++) {
                const float n = (float)near_by[i];
                if (in[i] && n > out[x + i] && n < 1e30f) out[x + i] = n;
            }
        }
    }
}

MOSAIC_MEM__ISA static void MOSAIC_MEM__NAME(place)(mosaic_mem__search *q, size_t index)
{
    const mosaic_mem *m = q->m;
    mosaic_mem__candidate *k = &q->candidate[index];
    const mosaic_mem__chunk *c = mosaic_mem__chunk_of(m, k->slot);
    const uint32_t at = k->slot % MOSAIC_MEM__CHUNK;
    const mosaic_mem__frame *f = mosaic_mem__frame_of(m, c->frame[at]);
    const mosaic_mem_camera *from = &f->view.camera, *to = &q->view->camera;
    const mosaic_mem__tile t = mosaic_mem__tile_of(m, f, c->tile[at]);
    const float *depths = mosaic_mem__depths(m, k->slot);
    const double *edit = mosaic_mem__edit_of(m, c->edit[at])->affine;
    const double depth = (double)c->depth[at];
    const int gw = q->o.grid_width, gh = q->o.grid_height, tokens = t.cols * t.rows;
    const double su = gw / (double)to->width, sv = gh / (double)to->height;
    mosaic_mem__chain_of *known = &q->known[(c->frame[at] ^ c->edit[at] * 7) % 64];
    double n[3], point[3], corner[3][4], cosine = 1, offset, behind = 1;
    uint32_t *cell = q->cell + index * m->tokens;
    float *token_z = q->token_z + index * m->tokens;
    mosaic_mem__quad quad;
    int first, i, x = 0, y = 0;
    if (known->frame != c->frame[at] || known->edit != c->edit[at]) {
        mosaic_mem__chain(f, edit, &q->view->pose, known->chain);
        known->frame = c->frame[at];
        known->edit = c->edit[at];
    }
    mosaic_mem__unpack_normal(c->normal[at], n);
    point[0] = (t.rect[0] + 0.5 * t.rect[2] - from->cx) * f->inverse[0] * depth;
    point[1] = (t.rect[1] + 0.5 * t.rect[3] - from->cy) * f->inverse[1] * depth;
    point[2] = depth;
    offset = mosaic_mem__dot(n, point);
    mosaic_mem__corners(from, t.rect, point, n, corner);
    mosaic_mem__apply_four(known->chain, corner);
    mosaic_mem__apply(known->chain, point, point);
    memset(&k->hit, 0, sizeof k->hit);
    k->hit.id = c->id[at];
    k->hit.z = point[2];
    k->hit.tokens = tokens;
    if (point[2] > 0) {
        k->hit.u = to->fx * point[0] / point[2] + to->cx;
        k->hit.v = to->fy * point[1] / point[2] + to->cy;
        k->hit.scale = to->fx * f->inverse[0] * depth / point[2];
    }
    for (first = 0; first < tokens; first += 4) {
        const int count = tokens - first < 4 ? tokens - first : 4;
        double p[3][4], along[4], u[4], v[4], z[4];
        for (i = 0; i < 4; i++) {
            p[0][i] = t.x0 + x + 0.5, p[1][i] = t.y0 + y + 0.5;
            z[i] = i < count ? (double)depths[first + i] : 0;
            if (++x == t.cols) x = 0, y++;
        }
        for (i = 0; i < 4; i++) {
            p[0][i] = (p[0][i] * f->step[0] - from->cx) * f->inverse[0] * z[i];
            p[1][i] = (p[1][i] * f->step[1] - from->cy) * f->inverse[1] * z[i];
            p[2][i] = z[i];
            along[i] = (n[0] * p[0][i] + n[1] * p[1][i]) + n[2] * p[2][i];
        }
        mosaic_mem__apply_four(known->chain, p);
        for (i = 0; i < 4; i++) {
            u[i] = (to->fx * p[0][i] / p[2][i] + to->cx) * su;
            v[i] = (to->fy * p[1][i] / p[2][i] + to->cy) * sv;
        }
        for (i = 0; i < count; i++) {
            float *nearness;
            cell[first + i] = MOSAIC_MEM__NONE;
            if (!(z[i] > 0)) continue;
            if (along[i] > behind * offset) behind = along[i] / offset;
            if (!(p[2][i] >= q->o.nearest) || p[2][i] > q->o.farthest || !(u[i] >= 0 && v[i] >= 0 && u[i] < gw && v[i] < gh)) continue;
            cell[first + i] = (uint32_t)((int)v[i] * gw + (int)u[i]);
            token_z[first + i] = (float)p[2][i];
            nearness = &q->nearness[cell[first + i]];
            if (1 / token_z[first + i] > *nearness) *nearness = 1 / token_z[first + i];
        }
    }
    k->bias = q->o.tolerance;
    if (mosaic_mem__quad_of(corner, to, gw, gh, q->o.nearest, &quad)) {
        const double length = mosaic_mem__length(quad.normal), distance = mosaic_mem__length(point);
        const double lean = quad.offset > 0 ? quad.offset : -quad.offset;
        if (length > 0 && distance > 0) cosine = mosaic_mem__dot(quad.normal, point) / (length * distance);
        if (c->edit[at]) { /* a mirror image is seen from its front where its corners go round the other way */
            double unused[9];
            if (mosaic_mem__cofactors(edit, unused) < 0) cosine = -cosine;
        }
        /* Where its tokens are behind its plane, it hides only what is behind them. */
        if (lean > 0) MOSAIC_MEM__NAME(cover)(&quad, q->nearness, gw, 1 / behind);
        /* A plane that is seen from its edge is at many depths within one cell: half a cell's worth of its slope is no other surface. */
        if (lean > 0 && point[2] > 0) {
            const double a = quad.normal[0] * quad.ray_x[1], b = quad.normal[1] * quad.ray_y[1];
            const double more = 0.5 * point[2] * ((a < 0 ? -a : a) + (b < 0 ? -b : b)) / lean;
            k->bias += more < 0.25 ? more : 0.25;
        }
    }
    k->gain = cosine; /* for the score, when it is visible */
}

/* `rows` rows by one or two vectors of columns, all in registers. */
MOSAIC_MEM__ISA static inline __attribute__((always_inline)) void MOSAIC_MEM__NAME(tile)(const mosaic_mem__gemm *g, int row, int column,
                                                                                         const int rows, const int vectors)
{
    MOSAIC_MEM__V sum[MOSAIC_MEM__ROWS][2];
    const float *a = g->a + (size_t)row * g->lda, *b = g->b + column;
    int i, j, k;
    MOSAIC_MEM__UNROLL
    for (i = 0; i < rows; i++) sum[i][0] = sum[i][1] = MOSAIC_MEM__SET(0.0f);
    for (k = 0; k < g->k; k++, b += g->ldb) {
        const MOSAIC_MEM__V b0 = *(const MOSAIC_MEM__V *)(const void *)b;
        const MOSAIC_MEM__V b1 = vectors > 1 ? *(const MOSAIC_MEM__V *)(const void *)(b + MOSAIC_MEM__LANES) : b0;
        MOSAIC_MEM__UNROLL
        for (i = 0; i < rows; i++) {
            const MOSAIC_MEM__V x = MOSAIC_MEM__SET(a[(size_t)i * g->lda + (size_t)k]);
            sum[i][0] = MOSAIC_MEM__FMA(x, b0, sum[i][0]);
            if (vectors > 1) sum[i][1] = MOSAIC_MEM__FMA(x, b1, sum[i][1]);
        }
    }
    MOSAIC_MEM__UNROLL
    for (i = 0; i < rows; i++)
        for (j = 0; j < vectors; j++) *(MOSAIC_MEM__V *)(void *)(g->c + (size_t)(row + i) * g->ldc + column + j * MOSAIC_MEM__LANES) = sum[i][j];
}

MOSAIC_MEM__ISA static void MOSAIC_MEM__NAME(gemm)(const mosaic_mem__gemm *g)
{
    int row, column = 0;
    for (; column + 2 * MOSAIC_MEM__LANES <= g->n; column += 2 * MOSAIC_MEM__LANES) {
        for (row = 0; row + MOSAIC_MEM__ROWS <= g->m; row += MOSAIC_MEM__ROWS) MOSAIC_MEM__NAME(tile)(g, row, column, MOSAIC_MEM__ROWS, 2);
        for (; row < g->m; row++) MOSAIC_MEM__NAME(tile)(g, row, column, 1, 2);
    }
    if (column < g->n) { /* 16 columns, and vectors of 16 */
        for (row = 0; row + MOSAIC_MEM__ROWS <= g->m; row += MOSAIC_MEM__ROWS) MOSAIC_MEM__NAME(tile)(g, row, column, MOSAIC_MEM__ROWS, 1);
        for (; row < g->m; row++) MOSAIC_MEM__NAME(tile)(g, row, column, 1, 1);
    }
}

/* e to the power of x <= 0, 0 below -87: 2^n * e^r, n a whole number and |r| <= log(2) / 2; the series up to r^7. */
MOSAIC_MEM__ISA static inline MOSAIC_MEM__V MOSAIC_MEM__NAME(power)(MOSAIC_MEM__V x)
{
    /* Added to 3 * 2^22, a number is rounded to a whole one, which then stands in the lowest bits. log(2) in two parts: products of the
       first with n are exact. */
    const MOSAIC_MEM__V shifter = MOSAIC_MEM__SET(12582912.0f), one = MOSAIC_MEM__SET(1.0f), low = MOSAIC_MEM__SET(-87.0f);
    MOSAIC_MEM__V shifted, n, r, y;
    MOSAIC_MEM__I bits, keep;
#if MOSAIC_MEM__LANES == 1
    keep = -(x > low);
    x = keep ? x : low;
#else
    keep = (MOSAIC_MEM__I)(x > low);
    memcpy(&bits, &x, sizeof bits);
    memcpy(&y, &low, sizeof y);
    memcpy(&n, &y, sizeof n);
    {
        MOSAIC_MEM__I floor_bits;
        memcpy(&floor_bits, &low, sizeof floor_bits);
        bits = (bits & keep) | (floor_bits & ~keep);
    }
    memcpy(&x, &bits, sizeof x);
#endif
    shifted = MOSAIC_MEM__FMA(x, MOSAIC_MEM__SET(1.44269504f), shifter);
    n = shifted - shifter;
    r = MOSAIC_MEM__FMA(n, MOSAIC_MEM__SET(-0.693145752f), x);
    r = MOSAIC_MEM__FMA(n, MOSAIC_MEM__SET(-1.42860677e-6f), r);
    y = MOSAIC_MEM__FMA(r, MOSAIC_MEM__SET(1.98412698e-4f), MOSAIC_MEM__SET(1.38888889e-3f));
    y = MOSAIC_MEM__FMA(r, y, MOSAIC_MEM__SET(8.33333333e-3f));
    y = MOSAIC_MEM__FMA(r, y, MOSAIC_MEM__SET(4.16666667e-2f));
    y = MOSAIC_MEM__FMA(r, y, MOSAIC_MEM__SET(1.66666667e-1f));
    y = MOSAIC_MEM__FMA(r, y, MOSAIC_MEM__SET(0.5f));
    y = MOSAIC_MEM__FMA(r, y, one);
    y = MOSAIC_MEM__FMA(r, y, one);
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4b400000) * (1 << 23) + 0x3f800000;
    memcpy(&n, &bits, sizeof n);
    y = y * n;
    memcpy(&bits, &y, sizeof bits);
    bits &= keep;
    memcpy(&y, &bits, sizeof y);
    return y;
}

MOSAIC_MEM__ISA static float MOSAIC_MEM__NAME(softmax)(float *x, int count)
{
    float part[16], top;
    int i, k;
    for (k = 0; k < 16; k++) part[k] = x[k];
    for (i = 16; i < count; i += 16)
        for (k = 0; k < 16; k++) part[k] = x[i + k] > part[k] ? x[i + k] : part[k];
    top = part[0];
    for (k = 1; k < 16; k++) top = part[k] > top ? part[k] : top;
    for (k = 0; k < 16; k++) part[k] = 0;
    for (i = 0; i < count; i += 16)
        for (k = 0; k < 16; k += MOSAIC_MEM__LANES) {
            MOSAIC_MEM__V *v = (MOSAIC_MEM__V *)(void *)(x + i + k), *sum = (MOSAIC_MEM__V *)(void *)(part + k);
            *v = MOSAIC_MEM__NAME(power)(*v - MOSAIC_MEM__SET(top));
            *sum = *sum + *v;
        }
    for (i = 8; i > 0; i /= 2)
        for (k = 0; k < i; k++) part[k] += part[k + i];
    return part[0];
}

static const mosaic_mem__kernels MOSAIC_MEM__NAME(kernels) = {MOSAIC_MEM__LANES, MOSAIC_MEM__NAME(place), MOSAIC_MEM__NAME(cull),
                                                              MOSAIC_MEM__NAME(gemm), MOSAIC_MEM__NAME(softmax)};

#undef MOSAIC_MEM__PASTE2
#undef MOSAIC_MEM__PASTE
#undef MOSAIC_MEM__NAME
#undef MOSAIC_MEM__V
#undef MOSAIC_MEM__I
#undef MOSAIC_MEM__UNROLL
#undef MOSAIC_MEM__ROWS
#undef MOSAIC_MEM__FMA
#undef MOSAIC_MEM__SET
#undef MOSAIC_MEM__ISA
#undef MOSAIC_MEM__SUFFIX
#undef MOSAIC_MEM__LANES

#endif /* MOSAIC_MEM__LANES */

/*
   This software is available under two licences; choose the one you prefer.

   ALTERNATIVE A - MIT License

   Copyright (c) 2026 the mosaic authors

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
   "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
   distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
   the following conditions:

   The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
   MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
   ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
   SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

   ALTERNATIVE B - Public Domain (www.unlicense.org)

   This is free and unencumbered software released into the public domain. Anyone is free to copy, modify, publish, use, compile, sell, or
   distribute this software, either in source code form or as a compiled binary, for any purpose, commercial or non-commercial, and by any
   means. In jurisdictions that recognize copyright laws, the author or authors of this software dedicate any and all copyright interest in
   the software to the public domain. We make this dedication for the benefit of the public at large and to the detriment of our heirs and
   successors. We intend this dedication to be an overt act of relinquishment in perpetuity of all present and future rights to this software
   under copyright law.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
   MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR
   OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR
   OTHER DEALINGS IN THE SOFTWARE.
*/
