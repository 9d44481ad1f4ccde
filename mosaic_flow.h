/* mosaic_flow.h - v0.2.0 - dense optical flow between the frames of a stream - MIT or public domain

   DO THIS in one C or C++ file, and include the header without the define everywhere else:

       #define MOSAIC_FLOW_IMPLEMENTATION
       #include "mosaic_flow.h"

   A COMPLETE PROGRAM

       #define MOSAIC_FLOW_IMPLEMENTATION
       #include "mosaic_flow.h"
       #include <stdio.h>

       int main(void)
       {
           static unsigned char frame[48][64][3];
           mosaic_flow_options options = {0};
           mosaic_flow *flow = 0;
           const mosaic_flow_field *field = 0;
           if (mosaic_flow_open(64, 48, &options, &flow) != MOSAIC_FLOW_OK) return 1;
           mosaic_flow_push(flow, &frame[0][0][0], sizeof frame[0], &field);
           mosaic_flow_push(flow, &frame[0][0][0], sizeof frame[0], &field);
           printf("the middle moved by %d/64 px\n", field->forward[(24 * 64 + 32) * 2]);
           mosaic_flow_close(flow);
           return 0;
       }

   OPTIONS (macros, defined before the implementation)

       MOSAIC_FLOW_STATIC            every function static: for a library that must export nothing
       MOSAIC_FLOW_API               what stands before each declaration, dllexport say
       MOSAIC_FLOW_ASSERT(x)         assert() by default
       MOSAIC_FLOW_NO_SIMD           scalar code only
       MOSAIC_FLOW_FILE              what the file includes to read its own kernels once more, "mosaic_flow.h"; set it if you rename the file
       MOSAIC_FLOW_MALLOC(ctx,size)  with MOSAIC_FLOW_FREE(ctx,ptr): both or neither; malloc and free by default;
                                     ctx is mosaic_flow_options.alloc_ctx, or what mosaic_flow_weights_load was given

   MEMORY         Everything is taken at open, nothing later. dis with a field of 480 x 272, frames of 1280 x 720: ultrafast 5 MB, fast 9, medium 26.
   THREADS        A mosaic_flow is used by one thread at a time; different ones are independent, and may share weights. It starts no threads:
                  options.run hands its jobs to yours.
   DETERMINISM    The same frames, options and weights give the same bytes on every machine, with every compiler, instruction set and number of
                  threads.
   ACCURACY AND LIMITS
                  Vectors of a field reach 511 px.
                  dis: mean end-point error in px at full size, beside OpenCV 4.14's DISOpticalFlow of the same preset:
                                     ultrafast      fast           medium
                      RubberWhale    0.28 / 0.54    0.24 / 0.44    0.11 / 0.23
                      alley_1        0.42 / 0.66    0.38 / 0.54    0.25 / 0.34
                      cave_2         1.77 / 2.35    1.65 / 2.12    1.40 / 1.60
                  Found on two films at 480 x 272: pans by 160 px, a third of the width (OpenCV's: 60 to 120). What is small and moves far is lost.
                  raft in float32 differs from torchvision's RAFT-small by 1e-5 px in the mean, 5e-4 px at most (12 iterations, pairs as above). Pictures
                  of any size are taken; below 128 pixels a side the coarse levels of the correlation have little to say. Without a fused
                  multiply-add in hardware (x86 before 2013, WebAssembly) it is emulated exactly, and float32 is for tests only.
                  raft in integers, RAFT-small, 12 iterations: EPE 0.3201 RubberWhale, 0.2715 alley_1, 1.1704 cave_2 (float32 and PyTorch 0.3199, 0.2714,
                  1.1702), 0.004 to 0.006 px from float32 on average. 56 pairs of 480 x 272, pictures shifted by 20 to 80 px, enlarged by 1.2 and 1.4 or
                  turned by 10 and 20 degrees: the sum of their errors is 0.1 % above float32's, and on most of them half the pixels are within 0.005 px
                  of it; 32 iterations go 0.005 to 0.011 px from it on the pairs above. Where the network does not settle (what leaves the
                  picture, shifts of a sixth of its width), noise of any kind finds another answer: on one pair of 960 x 544 shifted by 150 px the
                  error is 1.04 for 0.93. Weights other than the authors' RAFT-small need mosaic_flow_weights_calibrate.
                  options.warm_start: to come as near to what 32 iterations give as 12 of a pair alone, a stream takes 12 or 13 on the three films
                  tried: it saves no iteration. Carrying the hidden state on as well made results worse.
   PERFORMANCE    dis, AMD EPYC (Zen 4) VM, AVX-512, gcc 12 -O2, one thread, one direction of a pair at 480 x 272 from RGB, medians beside OpenCV 4.14's from
                  grey in the same run ("make bench"): ultrafast 1.2 ... 1.4 ms / 1.4 ... 1.5, fast 2.3 ... 2.7 / 2.8 ... 2.9, medium 9.6 ... 10.8 /
                  13 ... 14. AVX2 takes a tenth more at most, scalar code six times as long.
                  raft in float32, RAFT-small, one pair of 480 x 272, 12 iterations, processor time on a shared machine: 0.42 s with AVX-512 or AVX2, 80 %
                  of the processor's 58 billion multiply-adds a second for the 19.7 billion done (23.2 as the network is written: what does
                  not change from iteration to iteration is done once); correlation on demand 0.45 s. PyTorch 2.15, torchvision 0.29: 0.64 s.
                  raft in integers, the same pair and machine: 0.19 s with VNNI, 0.21 s with AVX-512, 0.23 s with AVX2; PyTorch 2.15 in the same run
                  0.65 to 0.68 s. 10.7 billion multiply-adds are done in place of 19.7; the processor's best is 117 billion a second with VNNI, 95 with AVX2.
                  Of the time features of a picture take 0.019 s, context 0.017 s, each iteration 0.010 s. In a stream the features of a frame
                  serve two pairs: forward alone a frame takes 0.91 of a pair, both directions 0.79 of two. SSE2, NEON and WebAssembly have kernels for
                  the products; what goes before and after them, the tiles' sums too, are plain loops there.
                  Memory of the process at 1920 x 1088, correlation on demand: 450 MB in float32, 655 MB in integers, of which
                  the flow takes 623 (both directions: 675).
   LAST CHANGES   0.2.0  RAFT and its weights; dis; cells
                  0.1.0  the interface, with `none`
*/
#ifndef MOSAIC_FLOW__LANES /* the end of the file is read more than once, see MOSAIC_FLOW_FILE */
#ifndef MOSAIC_FLOW_H
#define MOSAIC_FLOW_H

#include <stddef.h>
#include <stdint.h>

#define MOSAIC_FLOW_VERSION "0.2.0"

#ifndef MOSAIC_FLOW_API
#ifdef MOSAIC_FLOW_STATIC
#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC_FLOW_API static __attribute__((unused))
#else
#define MOSAIC_FLOW_API static
#endif
#else
#define MOSAIC_FLOW_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mosaic_flow_result {
    MOSAIC_FLOW_OK = 0,
    MOSAIC_FLOW_ERROR_NULL,      /* a required pointer is null */
    MOSAIC_FLOW_ERROR_SIZE,      /* a size is zero, negative, above 32767, or overflows */
    MOSAIC_FLOW_ERROR_STRIDE,    /* a row stride is smaller than a row */
    MOSAIC_FLOW_ERROR_OPTION,    /* an option is out of its range */
    MOSAIC_FLOW_ERROR_MEMORY,    /* an allocation failed */
    MOSAIC_FLOW_ERROR_SIMD,      /* options.simd is no level, or one that this processor or build lacks */
    MOSAIC_FLOW_ERROR_WEIGHTS,   /* RAFT without weights */
    MOSAIC_FLOW_ERROR_NAN,       /* a weight or a number of an initial flow is infinite or not a number */
    MOSAIC_FLOW_ERROR_FORMAT,    /* no weight file of a known format */
    MOSAIC_FLOW_ERROR_TRUNCATED, /* a weight file ends too early */
    MOSAIC_FLOW_ERROR_CORRUPT,   /* a weight file contradicts itself */
    MOSAIC_FLOW_ERROR_VERSION,   /* a weight file of a newer version */
    MOSAIC_FLOW_ERROR_PICKLE,    /* a .pth file holds more than tensors by their names, or too much */
    MOSAIC_FLOW_ERROR_STORAGE,   /* a weight file stores a tensor in a way not read here: compressed, strided, or of another number type */
    MOSAIC_FLOW_ERROR_TENSOR     /* a weight file lacks a tensor of RAFT, or one has another shape */
} mosaic_flow_result;

/* A static English phrase for a result, never null. */
MOSAIC_FLOW_API const char *mosaic_flow_result_string(mosaic_flow_result result);

typedef enum mosaic_flow_method {
    MOSAIC_FLOW_NONE = 0, /* nothing moves: all vectors are zero */
    MOSAIC_FLOW_DIS,      /* dense inverse search: fast, needs no weights */
    MOSAIC_FLOW_RAFT,     /* recurrent all-pairs field transforms: a neural network, needs weights */
    MOSAIC_FLOW_METHODS   /* how many there are */
} mosaic_flow_method;

/* "none", "dis", "raft"; null outside the list. */
MOSAIC_FLOW_API const char *mosaic_flow_method_name(int method);

/* How DIS trades time for accuracy. The names are those of OpenCV's DISOpticalFlow; each takes less time than its namesake and is more accurate. */
typedef enum mosaic_flow_preset {
    MOSAIC_FLOW_FAST = 0,  /* at half the field's size, refined */
    MOSAIC_FLOW_ULTRAFAST, /* at half the field's size, not refined */
    MOSAIC_FLOW_MEDIUM,    /* at the field's size, refined */
    MOSAIC_FLOW_PRESETS    /* how many there are */
} mosaic_flow_preset;

/* "fast", "ultrafast", "medium"; null outside the list. */
MOSAIC_FLOW_API const char *mosaic_flow_preset_name(int preset);

/* The motion between two consecutive frames, the older one `previous` and the newer one `current`. A field covers the whole frame;
   it may have fewer pixels than the frame has. Vectors are pairs dx, dy in 1/64 of the field's own pixels, x to the right, y down. */
typedef struct mosaic_flow_field {
    int width, height;       /* pixels of the field */
    size_t stride;           /* bytes from one row of vectors to the next, at least 4 * width, a multiple of 2 */
    const int16_t *forward;  /* at the pixels of `previous`: where the content went; null when not known */
    const int16_t *backward; /* at the pixels of `current`: where the content came from; null when not known */
} mosaic_flow_field;

/* A part of a frame, in 1/64 of the field's pixels; it may reach beyond the frame. */
typedef struct mosaic_flow_box {
    int32_t x, y, width, height;
} mosaic_flow_box;

/* Where the content of a box went, 1/64 px, and how much of it agrees on that: 0 nothing ... 256 all of it. */
typedef struct mosaic_flow_motion {
    int32_t dx, dy;
    int32_t confidence;
} mosaic_flow_motion;

/* One vector for each of `count` boxes, from the frame before to this one: each component is the median over 5 x 5 points of the box that are
   consistent, or over all of them when none is. A point is consistent when the backward vector where it arrives leads back to within a pixel (a point
   that leaves the frame is, and every point is when one direction is not known); it agrees when it also lies within a pixel and a half of the
   result. Without forward vectors the backward ones are taken, turned round. Boxes without width or height are points. Threads may share the work:
   boxes are independent. */
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_cells(const mosaic_flow_field *field, const mosaic_flow_box *box, int count,
                                                     mosaic_flow_motion *motion);

/* ---- the weights of RAFT ---- */

/* A network's numbers, read from a file in memory. They do not change after loading and may be shared by any number of flows and threads. */
typedef struct mosaic_flow_weights mosaic_flow_weights;

typedef struct mosaic_flow_weights_info {
    const char *model;  /* "RAFT-small" or "RAFT-large" */
    const char *format; /* what was read: "legacy .pth", "zip .pth", "safetensors", "mosaic" */
    const char *names;  /* whose tensor names: "princeton", "torchvision"; "none" in a file of this header */
    size_t parameters;  /* numbers of the network, running statistics not counted */
    int tensors;        /* found in the file */
    int calibrated;     /* 1: with the scales of the integer arithmetic */
} mosaic_flow_weights_info;

/* Reads the file of `size` bytes at `bytes`. Accepted are files of RAFT-small and RAFT-large with the tensor names of the authors
   (princeton-vl/RAFT) or of torchvision: the authors' .pth (the format of PyTorch before 1.6), the zip .pth of PyTorch since, .safetensors,
   and what mosaic_flow_weights_save wrote. Nothing of a .pth is executed: its pickle may hold tensors by their names, numbers and strings, and
   anything else is MOSAIC_FLOW_ERROR_PICKLE. The bytes are not needed afterwards. Memory: the numbers, 4 to 21 MB, and while reading 4 MB more, whatever
   the file says. On success *weights is the caller's to free; on failure it is null. */
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_load(const void *bytes, size_t size, void *alloc_ctx, mosaic_flow_weights **weights);
MOSAIC_FLOW_API void mosaic_flow_weights_free(mosaic_flow_weights *weights);

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_describe(const mosaic_flow_weights *weights, mosaic_flow_weights_info *info);

/* Measures the scales of the integer arithmetic: runs the network in float32 on `count` pairs of packed 8-bit pictures of width x height pixels (at least
   128 x 128 is advised), pictures[2 * i] and pictures[2 * i + 1], and makes room for half more than the largest numbers met. They are stored with the
   weights by mosaic_flow_weights_save. No flow may use the weights meanwhile; those opened before keep their scales. Without this, the
   header's scales are used: those of the authors' RAFT-small. */
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_calibrate(mosaic_flow_weights *weights, int width, int height, const uint8_t *const *pictures,
                                                                 int count);

/* The flat file: all numbers little-endian.
       0   8 bytes "MOSAICFW"
       8   uint32 version, 1
       12  uint32 model: 0 small, 1 large
       16  uint64 parameters: how many float32 follow the header
       24  uint64 calibration: how many int32 follow those
       32  uint64 checksum: FNV-1a (64 bits) of all bytes after the header
       40  float32 for each layer in the order of the authors' modules: weights [out][in][height][width], then biases; batch norm is folded in
           int32 the scales of the integer arithmetic, 10 or none */
MOSAIC_FLOW_API size_t mosaic_flow_weights_size(const mosaic_flow_weights *weights);
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_save(const mosaic_flow_weights *weights, void *bytes, size_t size);

/* ---- a stream ---- */

/* Zero everywhere means the defaults. */
typedef struct mosaic_flow_options {
    mosaic_flow_method method;
    int width, height; /* size of the field; 0 = the frame's own. Frames are reduced or enlarged to it */
    int forward_only;  /* 1: leave the backward vectors out (null), half the work */
    int simd;          /* 0 the best there is, 1 scalar, 2 AVX2, 3 AVX-512, 4 AVX-512 with VNNI; the same result */

    /* DIS: */
    mosaic_flow_preset preset;

    /* RAFT: */
    const mosaic_flow_weights *weights; /* must outlive the flow */
    int arithmetic;                     /* 0 integers (fast), 1 float32 (the numbers of other implementations, but for rounding) */
    int iterations;                     /* 1 ... 1000; 0 = 12 */
    int padding;                        /* how frames are brought to multiples of 8: 0 on all sides ("sintel"), 1 at the bottom ("kitti") */
    int warm_start;                     /* 1: pushed frames begin with the motion of the pair before */
    size_t max_memory;                  /* bytes that the correlation of all pairs of pixels may take; above, it is computed when needed: slower,
                                           the same result. 0 = 256 MiB */

    /* How to run `count` independent jobs, see THREADS; null = one after the other. */
    void (*run)(void *run_ctx, void (*job)(void *arg, int index), void *arg, int count);
    void *run_ctx;
    void *alloc_ctx;                         /* handed to MOSAIC_FLOW_MALLOC and MOSAIC_FLOW_FREE */
    const struct mosaic_flow_device *device; /* another processor; must outlive the flow; null = none. The result is the same */
} mosaic_flow_options;

typedef struct mosaic_flow mosaic_flow;

/* A method on another processor, to the very bits of the one here: mosaic_cuda.cu fills one in for GPUs. A step whose function gives anything but 0 is done
   here, and so is all that follows. layout: what tells that the functions were compiled with this very file; if not, it is refused (OPTION). open gives the
   state of one stream, null where the device cannot serve it; the others are as in mosaic_flow__backend, but that estimate only begins what finish ends:
   one of both directions, or of one. */
typedef struct mosaic_flow_device {
    void *ctx;
    uint64_t layout;
    void *(*open)(void *ctx, mosaic_flow *flow);
    int (*encode)(void *state, mosaic_flow *flow, int slot);
    int (*estimate)(void *state, mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors, float *out);
    int (*finish)(void *state, mosaic_flow *flow);
    void (*close)(void *state, mosaic_flow *flow);
} mosaic_flow_device;

/* Begins a stream of frames of width x height pixels (1 to 32767 each). options may be null. On success *flow is the caller's to
   close; on failure it is null. */
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_open(int width, int height, const mosaic_flow_options *options, mosaic_flow **flow);

/* Takes the next frame: packed 8-bit sRGB, stride bytes from row to row (at least 3 * width). *field becomes the motion from the frame
   pushed before to this one, or null for the first frame after open or reset; it belongs to the stream and is valid until the next
   push, pair, reset or close. */
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_push(mosaic_flow *flow, const uint8_t *rgb, size_t stride, const mosaic_flow_field **field);

/* The motion from picture a to picture b of the stream's frame size, apart from any stream: forgets the frames pushed. out receives two floats, dx and
   dy, for each pixel of the field in row-major order, in pixels of the field. init may be null, or for RAFT be the motion to begin with: dx, dy for
   each pixel of a grid of mosaic_flow_init_size(), in pixels of that grid (8 of the field). */
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_pair(mosaic_flow *flow, const uint8_t *a, size_t stride_a, const uint8_t *b, size_t stride_b,
                                                    const float *init, float *out);
MOSAIC_FLOW_API void mosaic_flow_init_size(const mosaic_flow *flow, int *width, int *height);

/* Forgets the last frame: the next one begins a new shot. */
MOSAIC_FLOW_API void mosaic_flow_reset(mosaic_flow *flow);

/* Ends the stream and frees what it holds; null is allowed. */
MOSAIC_FLOW_API void mosaic_flow_close(mosaic_flow *flow);

#ifdef __cplusplus
}
#endif
#endif /* MOSAIC_FLOW_H */

/* The interface ends here; what follows is the implementation. */
#if defined(MOSAIC_FLOW_IMPLEMENTATION) && !defined(MOSAIC_FLOW_IMPLEMENTED)
#define MOSAIC_FLOW_IMPLEMENTED

#include <string.h>

#if defined(MOSAIC_FLOW_MALLOC) != defined(MOSAIC_FLOW_FREE)
#error "mosaic_flow.h: define both MOSAIC_FLOW_MALLOC and MOSAIC_FLOW_FREE, or neither"
#endif
#ifndef MOSAIC_FLOW_MALLOC
#include <stdlib.h>
#define MOSAIC_FLOW_MALLOC(ctx, size) ((void)(ctx), malloc(size))
#define MOSAIC_FLOW_FREE(ctx, ptr) ((void)(ctx), free(ptr))
#endif
#ifndef MOSAIC_FLOW_FILE
#define MOSAIC_FLOW_FILE "mosaic_flow.h"
#endif
#ifndef MOSAIC_FLOW_ASSERT
#include <assert.h>
#define MOSAIC_FLOW_ASSERT(x) assert(x)
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
/* clang-format on */

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__CUDACC__)
#define MOSAIC_FLOW__INLINE MOSAIC__UNUSED static __host__ __device__ __forceinline__
#elif defined(__GNUC__) || defined(__clang__)
#define MOSAIC_FLOW__INLINE MOSAIC__UNUSED static inline __attribute__((always_inline))
#else
#define MOSAIC_FLOW__INLINE static inline
#endif
#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC_FLOW__NOINLINE __attribute__((noinline))
#else
#define MOSAIC_FLOW__NOINLINE
#endif
#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC_FLOW__PREFETCH(p) __builtin_prefetch(p)
#else
#define MOSAIC_FLOW__PREFETCH(p) ((void)(p))
#endif
/* Before a loop of a constant few turns over an array that is to live in registers. */
#if defined(__clang__)
#define MOSAIC_FLOW__UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define MOSAIC_FLOW__UNROLL _Pragma("GCC unroll 16")
#else
#define MOSAIC_FLOW__UNROLL
#endif
/* Before a loop over an array that has no place in the registers of a device. */
#if defined(__CUDACC__)
#define MOSAIC_FLOW__ROLLED _Pragma("unroll 1")
#else
#define MOSAIC_FLOW__ROLLED
#endif
#if MOSAIC__X86 && !defined(MOSAIC_FLOW_NO_SIMD)
#define MOSAIC_FLOW__SIMD 1
#else
#define MOSAIC_FLOW__SIMD 0
#endif

/* ==== What all methods share ==== */

/* Memory is planned by running the same code twice: first with base null, which only counts, then with the memory there. */
typedef struct mosaic_flow__arena {
    uint8_t *base;
    size_t used;
    int overflow;
} mosaic_flow__arena;

#define MOSAIC_FLOW__ALIGN 64

/* count items of `size` bytes, aligned to 64; null while counting. */
MOSAIC__UNUSED static void *mosaic_flow__take(mosaic_flow__arena *arena, size_t count, size_t size)
{
    const size_t limit = (size_t)-1 / 2;
    uint8_t *p = arena->base ? arena->base + arena->used : 0;
    if (arena->overflow || (size && count > (limit - arena->used - MOSAIC_FLOW__ALIGN) / size)) {
        arena->overflow = 1;
        return 0;
    }
    arena->used += (count * size + MOSAIC_FLOW__ALIGN - 1) / MOSAIC_FLOW__ALIGN * MOSAIC_FLOW__ALIGN;
    return p;
}

/* A method of motion estimation. Pictures are in flow->picture[slot], slots 0 and 1. */
typedef struct mosaic_flow__backend {
    /* Takes all memory of the method from the arena; called twice, see there. */
    mosaic_flow_result (*plan)(mosaic_flow *flow, mosaic_flow__arena *arena);
    /* Once, when the memory is there (and zero). */
    mosaic_flow_result (*start)(mosaic_flow *flow);
    /* flow->picture[slot] is new: whatever depends on that picture alone. */
    void (*encode)(mosaic_flow *flow, int slot);
    /* The motion from picture[from] to picture[1 - from]: in 1/64 px to vectors or in px to out; one of them is null. init as in mosaic_flow_pair.
       direction: 0 forward, 1 backward, for what is carried from pair to pair of a stream (flow->streamed frames came before), -1 for a pair alone. */
    void (*estimate)(mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors, float *out);
    /* Both directions of a stream at once, from the picture in slot `from`; null: each by estimate. */
    void (*both)(mosaic_flow *flow, int from);
} mosaic_flow__backend;

/* The source pixels that an output pixel covers, and the weights of the first and the last. */
typedef struct mosaic_flow__span {
    int first, last;
    uint32_t head, tail;
} mosaic_flow__span;

enum { MOSAIC_FLOW__BANDS = 16 }; /* in which frames are brought to the size of the field */

struct mosaic_flow {
    mosaic_flow_options o; /* with the defaults filled in */
    const mosaic_flow__backend *backend;
    int frame_width, frame_height;
    int level;                         /* of the kernels: 0 scalar, 1 AVX2, 2 AVX-512, 3 with VNNI */
    int streamed;                      /* pushed since open or reset: 0, 1, 2 = more */
    int slot;                          /* where the last pushed picture is */
    uint8_t *memory;                   /* the one block */
    uint8_t *picture[2];               /* of the field's size, packed */
    mosaic_flow__span *columns, *rows; /* of the field in the frame, where they differ in size */
    uint32_t *sums;                    /* of each band, a row of the frame */
    mosaic_flow_field field;
    int16_t *vectors[2]; /* forward, backward */
    void *method;        /* state of the backend, in the block */
    size_t size;         /* of all that lies in the block from here on */
    void *device;        /* its state of this stream, or null */
};

MOSAIC__UNUSED static void mosaic_flow__jobs(const mosaic_flow *flow, void (*job)(void *arg, int index), void *arg, int count)
{
    int i;
    if (flow->o.run && count > 1)
        flow->o.run(flow->o.run_ctx, job, arg, count);
    else
        for (i = 0; i < count; i++) job(arg, i);
}

/* ==== Weights ==== */

typedef struct mosaic_flow__layer {
    const char *name;        /* of the authors, without "module."; null: the model has no such layer */
    const char *torchvision; /* of torchvision */
    uint16_t in, out;
    uint8_t height, width, stride; /* of the kernel; zero padding is (height - 1) / 2, (width - 1) / 2 */
    uint8_t norm;                  /* 1 instance norm follows, 2 batch norm (folded into the weights when they are loaded) */
} mosaic_flow__layer;

/* Layers of the update block, from mosaic_flow__model.update on. */
enum {
    MOSAIC_FLOW__CORR1,
    MOSAIC_FLOW__CORR2,
    MOSAIC_FLOW__FLOW1,
    MOSAIC_FLOW__FLOW2,
    MOSAIC_FLOW__MERGE,
    MOSAIC_FLOW__Z1,
    MOSAIC_FLOW__R1,
    MOSAIC_FLOW__Q1,
    MOSAIC_FLOW__Z2,
    MOSAIC_FLOW__R2,
    MOSAIC_FLOW__Q2,
    MOSAIC_FLOW__HEAD1,
    MOSAIC_FLOW__HEAD2,
    MOSAIC_FLOW__MASK1,
    MOSAIC_FLOW__MASK2,
    MOSAIC_FLOW__UPDATE_LAYERS
};

typedef struct mosaic_flow__model {
    const char *name;
    const mosaic_flow__layer *layers;
    int count;                             /* of layers; fnet comes first, then cnet, then the update block */
    int cnet, update;                      /* the first layers of these */
    int features, hidden, context, radius; /* channels of fnet, of the hidden state, of the context; of the lookup */
    int bottleneck;                        /* convolutions in a residual block: 2, or 3 with bottleneck */
} mosaic_flow__model;

#define MOSAIC_FLOW__SMALL_ENCODER(p, t, n, o)                                                                                                       \
    {p "conv1", t "convnormrelu.0", 3, 32, 7, 7, 2, n}, {p "layer1.0.conv1", t "layer1.0.convnormrelu1.0", 32, 8, 1, 1, 1, n},                       \
        {p "layer1.0.conv2", t "layer1.0.convnormrelu2.0", 8, 8, 3, 3, 1, n}, {p "layer1.0.conv3", t "layer1.0.convnormrelu3.0", 8, 32, 1, 1, 1, n}, \
        {p "layer1.1.conv1", t "layer1.1.convnormrelu1.0", 32, 8, 1, 1, 1, n}, {p "layer1.1.conv2", t "layer1.1.convnormrelu2.0", 8, 8, 3, 3, 1, n}, \
        {p "layer1.1.conv3", t "layer1.1.convnormrelu3.0", 8, 32, 1, 1, 1, n},                                                                       \
        {p "layer2.0.conv1", t "layer2.0.convnormrelu1.0", 32, 16, 1, 1, 1, n},                                                                      \
        {p "layer2.0.conv2", t "layer2.0.convnormrelu2.0", 16, 16, 3, 3, 2, n},                                                                      \
        {p "layer2.0.conv3", t "layer2.0.convnormrelu3.0", 16, 64, 1, 1, 1, n},                                                                      \
        {p "layer2.0.downsample.0", t "layer2.0.downsample.0", 32, 64, 1, 1, 2, n},                                                                  \
        {p "layer2.1.conv1", t "layer2.1.convnormrelu1.0", 64, 16, 1, 1, 1, n},                                                                      \
        {p "layer2.1.conv2", t "layer2.1.convnormrelu2.0", 16, 16, 3, 3, 1, n},                                                                      \
        {p "layer2.1.conv3", t "layer2.1.convnormrelu3.0", 16, 64, 1, 1, 1, n},                                                                      \
        {p "layer3.0.conv1", t "layer3.0.convnormrelu1.0", 64, 24, 1, 1, 1, n},                                                                      \
        {p "layer3.0.conv2", t "layer3.0.convnormrelu2.0", 24, 24, 3, 3, 2, n},                                                                      \
        {p "layer3.0.conv3", t "layer3.0.convnormrelu3.0", 24, 96, 1, 1, 1, n},                                                                      \
        {p "layer3.0.downsample.0", t "layer3.0.downsample.0", 64, 96, 1, 1, 2, n},                                                                  \
        {p "layer3.1.conv1", t "layer3.1.convnormrelu1.0", 96, 24, 1, 1, 1, n},                                                                      \
        {p "layer3.1.conv2", t "layer3.1.convnormrelu2.0", 24, 24, 3, 3, 1, n},                                                                      \
        {p "layer3.1.conv3", t "layer3.1.convnormrelu3.0", 24, 96, 1, 1, 1, n},                                                                      \
    {                                                                                                                                                \
        p "conv2", t "conv", 96, o, 1, 1, 1, 0                                                                                                       \
    }
#define MOSAIC_FLOW__LARGE_ENCODER(p, t, n)                                                                                                          \
    {p "conv1", t "convnormrelu.0", 3, 64, 7, 7, 2, n}, {p "layer1.0.conv1", t "layer1.0.convnormrelu1.0", 64, 64, 3, 3, 1, n},                      \
        {p "layer1.0.conv2", t "layer1.0.convnormrelu2.0", 64, 64, 3, 3, 1, n},                                                                      \
        {p "layer1.1.conv1", t "layer1.1.convnormrelu1.0", 64, 64, 3, 3, 1, n},                                                                      \
        {p "layer1.1.conv2", t "layer1.1.convnormrelu2.0", 64, 64, 3, 3, 1, n},                                                                      \
        {p "layer2.0.conv1", t "layer2.0.convnormrelu1.0", 64, 96, 3, 3, 2, n},                                                                      \
        {p "layer2.0.conv2", t "layer2.0.convnormrelu2.0", 96, 96, 3, 3, 1, n},                                                                      \
        {p "layer2.0.downsample.0", t "layer2.0.downsample.0", 64, 96, 1, 1, 2, n},                                                                  \
        {p "layer2.1.conv1", t "layer2.1.convnormrelu1.0", 96, 96, 3, 3, 1, n},                                                                      \
        {p "layer2.1.conv2", t "layer2.1.convnormrelu2.0", 96, 96, 3, 3, 1, n},                                                                      \
        {p "layer3.0.conv1", t "layer3.0.convnormrelu1.0", 96, 128, 3, 3, 2, n},                                                                     \
        {p "layer3.0.conv2", t "layer3.0.convnormrelu2.0", 128, 128, 3, 3, 1, n},                                                                    \
        {p "layer3.0.downsample.0", t "layer3.0.downsample.0", 96, 128, 1, 1, 2, n},                                                                 \
        {p "layer3.1.conv1", t "layer3.1.convnormrelu1.0", 128, 128, 3, 3, 1, n},                                                                    \
        {p "layer3.1.conv2", t "layer3.1.convnormrelu2.0", 128, 128, 3, 3, 1, n},                                                                    \
    {                                                                                                                                                \
        p "conv2", t "conv", 128, 256, 1, 1, 1, 0                                                                                                    \
    }
#define MOSAIC_FLOW__NO_LAYER                                                                                                                        \
    {                                                                                                                                                \
        0, 0, 0, 0, 0, 0, 0, 0                                                                                                                       \
    }

static const mosaic_flow__layer mosaic_flow__small[] = {
    MOSAIC_FLOW__SMALL_ENCODER("fnet.", "feature_encoder.", 1, 128),
    MOSAIC_FLOW__SMALL_ENCODER("cnet.", "context_encoder.", 0, 160),
    {"update_block.encoder.convc1", "update_block.motion_encoder.convcorr1.0", 196, 96, 1, 1, 1, 0},
    MOSAIC_FLOW__NO_LAYER,
    {"update_block.encoder.convf1", "update_block.motion_encoder.convflow1.0", 2, 64, 7, 7, 1, 0},
    {"update_block.encoder.convf2", "update_block.motion_encoder.convflow2.0", 64, 32, 3, 3, 1, 0},
    {"update_block.encoder.conv", "update_block.motion_encoder.conv.0", 128, 80, 3, 3, 1, 0},
    {"update_block.gru.convz", "update_block.recurrent_block.convgru1.convz", 242, 96, 3, 3, 1, 0},
    {"update_block.gru.convr", "update_block.recurrent_block.convgru1.convr", 242, 96, 3, 3, 1, 0},
    {"update_block.gru.convq", "update_block.recurrent_block.convgru1.convq", 242, 96, 3, 3, 1, 0},
    MOSAIC_FLOW__NO_LAYER,
    MOSAIC_FLOW__NO_LAYER,
    MOSAIC_FLOW__NO_LAYER,
    {"update_block.flow_head.conv1", "update_block.flow_head.conv1", 96, 128, 3, 3, 1, 0},
    {"update_block.flow_head.conv2", "update_block.flow_head.conv2", 128, 2, 3, 3, 1, 0},
    MOSAIC_FLOW__NO_LAYER,
    MOSAIC_FLOW__NO_LAYER,
};
static const mosaic_flow__layer mosaic_flow__large[] = {
    MOSAIC_FLOW__LARGE_ENCODER("fnet.", "feature_encoder.", 1),
    MOSAIC_FLOW__LARGE_ENCODER("cnet.", "context_encoder.", 2),
    {"update_block.encoder.convc1", "update_block.motion_encoder.convcorr1.0", 324, 256, 1, 1, 1, 0},
    {"update_block.encoder.convc2", "update_block.motion_encoder.convcorr2.0", 256, 192, 3, 3, 1, 0},
    {"update_block.encoder.convf1", "update_block.motion_encoder.convflow1.0", 2, 128, 7, 7, 1, 0},
    {"update_block.encoder.convf2", "update_block.motion_encoder.convflow2.0", 128, 64, 3, 3, 1, 0},
    {"update_block.encoder.conv", "update_block.motion_encoder.conv.0", 256, 126, 3, 3, 1, 0},
    {"update_block.gru.convz1", "update_block.recurrent_block.convgru1.convz", 384, 128, 1, 5, 1, 0},
    {"update_block.gru.convr1", "update_block.recurrent_block.convgru1.convr", 384, 128, 1, 5, 1, 0},
    {"update_block.gru.convq1", "update_block.recurrent_block.convgru1.convq", 384, 128, 1, 5, 1, 0},
    {"update_block.gru.convz2", "update_block.recurrent_block.convgru2.convz", 384, 128, 5, 1, 1, 0},
    {"update_block.gru.convr2", "update_block.recurrent_block.convgru2.convr", 384, 128, 5, 1, 1, 0},
    {"update_block.gru.convq2", "update_block.recurrent_block.convgru2.convq", 384, 128, 5, 1, 1, 0},
    {"update_block.flow_head.conv1", "update_block.flow_head.conv1", 128, 256, 3, 3, 1, 0},
    {"update_block.flow_head.conv2", "update_block.flow_head.conv2", 256, 2, 3, 3, 1, 0},
    {"update_block.mask.0", "mask_predictor.convrelu.0", 128, 256, 3, 3, 1, 0},
    {"update_block.mask.2", "mask_predictor.conv", 256, 576, 1, 1, 1, 0},
};
#define MOSAIC_FLOW__MAX_LAYERS 59

static const mosaic_flow__model mosaic_flow__models[2] = {
    {"RAFT-small", mosaic_flow__small, 44 + MOSAIC_FLOW__UPDATE_LAYERS, 22, 44, 128, 96, 64, 3, 3},
    {"RAFT-large", mosaic_flow__large, 32 + MOSAIC_FLOW__UPDATE_LAYERS, 16, 32, 256, 128, 128, 4, 2},
};

#define MOSAIC_FLOW__QFLOW 12      /* fraction bits of the flow, in pixels of an eighth of the picture */
#define MOSAIC_FLOW__QSCALE_MAX 16 /* most that a scale may be */

/* Fraction bits that differ from network to network; what a calibration finds. */
enum {
    MOSAIC_FLOW__SCALE_CONTEXT,
    MOSAIC_FLOW__SCALE_CORR,
    MOSAIC_FLOW__SCALE_CORR1,
    MOSAIC_FLOW__SCALE_CORR2,
    MOSAIC_FLOW__SCALE_FLOW,
    MOSAIC_FLOW__SCALE_FLOW1,
    MOSAIC_FLOW__SCALE_FLOW2,
    MOSAIC_FLOW__SCALE_MERGE,
    MOSAIC_FLOW__SCALE_HEAD,
    MOSAIC_FLOW__SCALE_MASK,
    MOSAIC_FLOW__SCALES
};

struct mosaic_flow_weights {
    const mosaic_flow__model *model;
    const char *format, *names;
    void *alloc_ctx;
    int tensors;
    size_t parameters;
    const float *weight[MOSAIC_FLOW__MAX_LAYERS]; /* [out][in][height][width], or null where the model has no layer */
    const float *bias[MOSAIC_FLOW__MAX_LAYERS];
    size_t calibration_count;
    int32_t *calibration; /* scales of the integer arithmetic, or null: those of the header */
    int32_t scales[MOSAIC_FLOW__SCALES];
    float *values; /* all weights and biases, layer by layer */
};

/* ---- reading weight files ----
   A reader lists the tensors of a file: their names, shapes and where their numbers are. What is wanted is then looked up in the list. All
   memory a reader takes is of a fixed size, and every place in the file is checked before it is read. */

#define MOSAIC_FLOW__MAX_TENSORS 1024 /* RAFT-large has 179 */
#define MOSAIC_FLOW__MAX_VALUES 49152 /* of a pickle: about 40 for each tensor */

typedef enum mosaic_flow__number { MOSAIC_FLOW__F32, MOSAIC_FLOW__F16, MOSAIC_FLOW__BF16, MOSAIC_FLOW__F64, MOSAIC_FLOW__OTHER } mosaic_flow__number;

typedef struct mosaic_flow__tensor {
    const uint8_t *name, *data;
    size_t name_length, bytes; /* bytes: from data to the end of what belongs to it */
    size_t storage, offset;    /* in a .pth: its storage, and the first number there; data is found at the end */
    mosaic_flow__number type;
    int dims, packed; /* packed: numbers lie one after the other, the last dimension fastest */
    size_t shape[4];
} mosaic_flow__tensor;

typedef struct mosaic_flow__storage {
    const uint8_t *key, *data;
    size_t key_length, count, bytes; /* count: numbers; bytes: 0 until data is found */
    mosaic_flow__number type;
} mosaic_flow__storage;

typedef enum mosaic_flow__kind {
    MOSAIC_FLOW__NOTHING,
    MOSAIC_FLOW__MARK,
    MOSAIC_FLOW__INTEGER,
    MOSAIC_FLOW__TEXT,
    MOSAIC_FLOW__TUPLE, /* lists too: `count` values from values[number] on */
    MOSAIC_FLOW__DICT,  /* without its contents: tensors are listed when they are put in, all else is dropped */
    MOSAIC_FLOW__MAKE_DICT,
    MOSAIC_FLOW__MAKE_TENSOR,
    MOSAIC_FLOW__MAKE_PARAMETER,
    MOSAIC_FLOW__STORAGE_TYPE, /* number: a mosaic_flow__number */
    MOSAIC_FLOW__STORAGE,      /* storages[number] */
    MOSAIC_FLOW__TENSOR        /* tensors[number] */
} mosaic_flow__kind;

typedef struct mosaic_flow__value {
    int64_t number;
    const uint8_t *text;
    uint32_t count;
    mosaic_flow__kind kind;
} mosaic_flow__value;

typedef struct mosaic_flow__reader {
    const uint8_t *at, *end;
    size_t tensors, storages, values, stack, memos;
    mosaic_flow__tensor tensor[MOSAIC_FLOW__MAX_TENSORS];
    mosaic_flow__storage storage[MOSAIC_FLOW__MAX_TENSORS];
    mosaic_flow__value value[MOSAIC_FLOW__MAX_VALUES]; /* contents of tuples */
    mosaic_flow__value memo[MOSAIC_FLOW__MAX_VALUES];
    mosaic_flow__value pile[MOSAIC_FLOW__MAX_VALUES]; /* the stack of the pickle machine */
} mosaic_flow__reader;

static uint64_t mosaic_flow__little(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0) v = v << 8 | p[bytes];
    return v;
}

static void mosaic_flow__little_put(uint8_t *p, uint64_t v, int bytes)
{
    for (; bytes > 0; bytes--, v >>= 8) *p++ = (uint8_t)v;
}

static size_t mosaic_flow__number_size(mosaic_flow__number type)
{
    return type == MOSAIC_FLOW__F64 ? 8 : type == MOSAIC_FLOW__F32 ? 4 : type == MOSAIC_FLOW__OTHER ? 0 : 2;
}

static int mosaic_flow__same(const uint8_t *text, size_t length, const char *other)
{
    return length == strlen(other) && memcmp(text, other, length) == 0;
}

/* ---- pickles: the machine of Python's pickletools, as far as tensors need it. It makes values, it calls nothing. ---- */

/* The next n bytes; null, and at the end, when there are not as many. */
static const uint8_t *mosaic_flow__bytes(mosaic_flow__reader *r, uint64_t n)
{
    const uint8_t *p = r->at;
    if (n > (uint64_t)(r->end - r->at)) {
        r->at = r->end;
        return 0;
    }
    r->at += (size_t)n;
    return p;
}

static int mosaic_flow__push_value(mosaic_flow__reader *r, mosaic_flow__kind kind, int64_t number, const uint8_t *text, uint64_t count)
{
    mosaic_flow__value *v;
    if (r->stack == MOSAIC_FLOW__MAX_VALUES) return 0;
    v = &r->pile[r->stack++];
    v->kind = kind;
    v->number = number;
    v->text = text;
    v->count = (uint32_t)count;
    return 1;
}

/* What a name of a module stands for; NOTHING for whatever is no data. */
static mosaic_flow__kind mosaic_flow__global(const uint8_t *module, size_t module_length, const uint8_t *name, size_t length, int64_t *number)
{
    static const char *const other[] = {"LongStorage", "IntStorage", "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage"};
    size_t i;
    *number = MOSAIC_FLOW__OTHER;
    if (mosaic_flow__same(module, module_length, "collections") && mosaic_flow__same(name, length, "OrderedDict")) return MOSAIC_FLOW__MAKE_DICT;
    if (mosaic_flow__same(module, module_length, "torch._utils")) {
        if (mosaic_flow__same(name, length, "_rebuild_tensor_v2")) return MOSAIC_FLOW__MAKE_TENSOR;
        if (mosaic_flow__same(name, length, "_rebuild_parameter")) return MOSAIC_FLOW__MAKE_PARAMETER;
    }
    if (!mosaic_flow__same(module, module_length, "torch")) return MOSAIC_FLOW__NOTHING;
    for (i = 0; i < sizeof other / sizeof *other; i++)
        if (mosaic_flow__same(name, length, other[i])) return MOSAIC_FLOW__STORAGE_TYPE;
    if (mosaic_flow__same(name, length, "FloatStorage"))
        *number = MOSAIC_FLOW__F32;
    else if (mosaic_flow__same(name, length, "HalfStorage"))
        *number = MOSAIC_FLOW__F16;
    else if (mosaic_flow__same(name, length, "BFloat16Storage"))
        *number = MOSAIC_FLOW__BF16;
    else if (mosaic_flow__same(name, length, "DoubleStorage"))
        *number = MOSAIC_FLOW__F64;
    else
        return MOSAIC_FLOW__NOTHING;
    return MOSAIC_FLOW__STORAGE_TYPE;
}

/* ("storage", type, key, device, count ...) on the stack becomes a storage. */
static mosaic_flow_result mosaic_flow__persistent(mosaic_flow__reader *r)
{
    mosaic_flow__value *top = r->stack ? &r->pile[r->stack - 1] : 0;
    const mosaic_flow__value *v;
    mosaic_flow__storage *s;
    size_t i;
    if (!top || top->kind != MOSAIC_FLOW__TUPLE || top->count < 5) return MOSAIC_FLOW_ERROR_PICKLE;
    v = &r->value[top->number];
    if (v[0].kind != MOSAIC_FLOW__TEXT || !mosaic_flow__same(v[0].text, v[0].count, "storage") || v[1].kind != MOSAIC_FLOW__STORAGE_TYPE ||
        v[2].kind != MOSAIC_FLOW__TEXT || v[4].kind != MOSAIC_FLOW__INTEGER || v[4].number < 0)
        return MOSAIC_FLOW_ERROR_PICKLE;
    if (top->count > 5 && v[5].kind != MOSAIC_FLOW__NOTHING) return MOSAIC_FLOW_ERROR_STORAGE; /* a view into another storage */
    for (i = 0; i < r->storages; i++)
        if (r->storage[i].key_length == v[2].count && memcmp(r->storage[i].key, v[2].text, v[2].count) == 0) break;
    if (i == MOSAIC_FLOW__MAX_TENSORS) return MOSAIC_FLOW_ERROR_PICKLE;
    s = &r->storage[i];
    if (i == r->storages) {
        memset(s, 0, sizeof *s);
        s->key = v[2].text;
        s->key_length = v[2].count;
        s->type = (mosaic_flow__number)v[1].number;
        if ((uint64_t)v[4].number > (size_t)-1 / 16) return MOSAIC_FLOW_ERROR_CORRUPT;
        s->count = (size_t)v[4].number;
        r->storages++;
    } else if (s->type != (mosaic_flow__number)v[1].number || (uint64_t)s->count != (uint64_t)v[4].number) {
        return MOSAIC_FLOW_ERROR_CORRUPT;
    }
    top->kind = MOSAIC_FLOW__STORAGE;
    top->number = (int64_t)i;
    return MOSAIC_FLOW_OK;
}

/* Arguments (storage, offset, shape, strides ...) become a tensor. */
static mosaic_flow_result mosaic_flow__rebuild(mosaic_flow__reader *r, const mosaic_flow__value *arguments, uint32_t count)
{
    mosaic_flow__tensor *t;
    uint64_t stride = 1;
    uint32_t i;
    if (count < 4 || arguments[0].kind != MOSAIC_FLOW__STORAGE || arguments[1].kind != MOSAIC_FLOW__INTEGER || arguments[1].number < 0 ||
        arguments[2].kind != MOSAIC_FLOW__TUPLE || arguments[3].kind != MOSAIC_FLOW__TUPLE || arguments[2].count != arguments[3].count ||
        r->tensors == MOSAIC_FLOW__MAX_TENSORS)
        return MOSAIC_FLOW_ERROR_PICKLE;
    t = &r->tensor[r->tensors];
    memset(t, 0, sizeof *t);
    t->storage = (size_t)arguments[0].number;
    t->type = r->storage[t->storage].type;
    if ((uint64_t)arguments[1].number > r->storage[t->storage].count) return MOSAIC_FLOW_ERROR_CORRUPT;
    t->offset = (size_t)arguments[1].number;
    t->dims = arguments[2].count <= 4 ? (int)arguments[2].count : 5; /* nothing of RAFT has more than four */
    t->packed = 1;
    for (i = (uint32_t)t->dims; t->dims <= 4 && i-- > 0;) {
        const mosaic_flow__value *size = &r->value[arguments[2].number] + i, *step = &r->value[arguments[3].number] + i;
        if (size->kind != MOSAIC_FLOW__INTEGER || step->kind != MOSAIC_FLOW__INTEGER || size->number < 0 || size->number > 0x7fffffff)
            return MOSAIC_FLOW_ERROR_PICKLE;
        t->shape[i] = (size_t)size->number;
        if (size->number != 1 && (uint64_t)step->number != stride) t->packed = 0;
        stride = stride > UINT64_MAX >> 32 ? stride : stride * (uint64_t)size->number;
    }
    return mosaic_flow__push_value(r, MOSAIC_FLOW__TENSOR, (int64_t)r->tensors++, 0, 0) ? MOSAIC_FLOW_OK : MOSAIC_FLOW_ERROR_PICKLE;
}

/* A function and its arguments on the stack become its result. */
static mosaic_flow_result mosaic_flow__reduce(mosaic_flow__reader *r)
{
    mosaic_flow__value function, arguments;
    if (r->stack < 2) return MOSAIC_FLOW_ERROR_PICKLE;
    arguments = r->pile[--r->stack];
    function = r->pile[--r->stack];
    if (arguments.kind != MOSAIC_FLOW__TUPLE) return MOSAIC_FLOW_ERROR_PICKLE;
    if (function.kind == MOSAIC_FLOW__MAKE_DICT && arguments.count == 0)
        return mosaic_flow__push_value(r, MOSAIC_FLOW__DICT, 0, 0, 0) ? MOSAIC_FLOW_OK : MOSAIC_FLOW_ERROR_PICKLE;
    if (function.kind == MOSAIC_FLOW__MAKE_TENSOR) return mosaic_flow__rebuild(r, &r->value[arguments.number], arguments.count);
    if (function.kind == MOSAIC_FLOW__MAKE_PARAMETER && arguments.count > 0 && r->value[arguments.number].kind == MOSAIC_FLOW__TENSOR) {
        r->pile[r->stack++] = r->value[arguments.number];
        return MOSAIC_FLOW_OK;
    }
    return MOSAIC_FLOW_ERROR_PICKLE;
}

/* The values above the stack's entry `from` become one tuple at its place. */
static int mosaic_flow__tuple(mosaic_flow__reader *r, size_t from)
{
    const size_t count = r->stack - from;
    if (count > MOSAIC_FLOW__MAX_VALUES - r->values) return 0;
    if (count) memcpy(&r->value[r->values], &r->pile[from], count * sizeof *r->value);
    r->stack = from;
    if (!mosaic_flow__push_value(r, MOSAIC_FLOW__TUPLE, (int64_t)r->values, 0, count)) return 0;
    r->values += count;
    return 1;
}

/* Keys and values above the dict that is the stack's entry `dict`. */
static mosaic_flow_result mosaic_flow__set_items(mosaic_flow__reader *r, size_t dict)
{
    size_t i;
    if (r->pile[dict].kind != MOSAIC_FLOW__DICT || (r->stack - dict) % 2 == 0) return MOSAIC_FLOW_ERROR_PICKLE;
    for (i = dict + 1; i < r->stack; i += 2) {
        const mosaic_flow__value *key = &r->pile[i], *value = key + 1;
        mosaic_flow__tensor *t;
        if (key->kind == MOSAIC_FLOW__TEXT && mosaic_flow__same(key->text, key->count, "little_endian") && value->kind == MOSAIC_FLOW__INTEGER &&
            !value->number)
            return MOSAIC_FLOW_ERROR_STORAGE;
        if (key->kind != MOSAIC_FLOW__TEXT || value->kind != MOSAIC_FLOW__TENSOR) continue;
        t = &r->tensor[value->number];
        if (t->name) { /* one tensor under two names */
            if (r->tensors == MOSAIC_FLOW__MAX_TENSORS) return MOSAIC_FLOW_ERROR_PICKLE;
            r->tensor[r->tensors] = *t;
            t = &r->tensor[r->tensors++];
        }
        t->name = key->text;
        t->name_length = key->count;
    }
    r->stack = dict + 1;
    return MOSAIC_FLOW_OK;
}

/* The stack's highest mark; the size of the stack if there is none. */
static size_t mosaic_flow__mark(const mosaic_flow__reader *r)
{
    size_t i = r->stack;
    while (i-- > 0)
        if (r->pile[i].kind == MOSAIC_FLOW__MARK) return i;
    return r->stack;
}

/* Runs one pickle up to its end; its value is left as the only one on the stack. */
static mosaic_flow_result mosaic_flow__pickle(mosaic_flow__reader *r)
{
    mosaic_flow_result result;
    r->stack = r->values = r->memos = 0;
    while (r->at < r->end) {
        const uint8_t op = *r->at++, *p, *name;
        int64_t number;
        uint64_t n;
        size_t mark;
        int ok = 1;
        switch (op) {
        case 0x80: ok = mosaic_flow__bytes(r, 1) != 0; break; /* protocol */
        case 0x95: ok = mosaic_flow__bytes(r, 8) != 0; break; /* frame */
        case '(': ok = mosaic_flow__push_value(r, MOSAIC_FLOW__MARK, 0, 0, 0); break;
        case 'N': ok = mosaic_flow__push_value(r, MOSAIC_FLOW__NOTHING, 0, 0, 0); break;
        case 0x88: ok = mosaic_flow__push_value(r, MOSAIC_FLOW__INTEGER, 1, 0, 0); break;
        case 0x89: ok = mosaic_flow__push_value(r, MOSAIC_FLOW__INTEGER, 0, 0, 0); break;
        case 'K':
        case 'M':
        case 'J': /* unsigned 1 and 2 bytes, signed 4 */
            p = mosaic_flow__bytes(r, op == 'K' ? 1 : op == 'M' ? 2 : 4);
            if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
            number = op == 'K' ? p[0] : (int64_t)mosaic_flow__little(p, op == 'M' ? 2 : 4);
            if (op == 'J' && number > 0x7fffffff) number -= (int64_t)1 << 32;
            ok = mosaic_flow__push_value(r, MOSAIC_FLOW__INTEGER, number, 0, 0);
            break;
        case 0x8a: /* up to 255 bytes, signed; what does not fit 63 bits is only ever the magic number */
            p = mosaic_flow__bytes(r, 1);
            if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
            n = p[0];
            p = mosaic_flow__bytes(r, n);
            if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
            number = n <= 7 ? (int64_t)mosaic_flow__little(p, (int)n) : -1;
            ok = mosaic_flow__push_value(r, MOSAIC_FLOW__INTEGER, number, 0, 0);
            break;
        case 'G': /* a float: never needed */ ok = mosaic_flow__bytes(r, 8) && mosaic_flow__push_value(r, MOSAIC_FLOW__NOTHING, 0, 0, 0); break;
        case 'X':
        case 'T':
        case 0x8c:
        case 'U': /* strings with a length of 4 bytes or 1 */
            p = mosaic_flow__bytes(r, op == 'X' || op == 'T' ? 4 : 1);
            if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
            n = op == 'X' || op == 'T' ? mosaic_flow__little(p, 4) : p[0];
            p = mosaic_flow__bytes(r, n);
            if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
            ok = mosaic_flow__push_value(r, MOSAIC_FLOW__TEXT, 0, p, n);
            break;
        case '}': ok = mosaic_flow__push_value(r, MOSAIC_FLOW__DICT, 0, 0, 0); break;
        case ']':
        case ')': ok = mosaic_flow__tuple(r, r->stack); break;
        case 0x85:
        case 0x86:
        case 0x87: /* tuples of 1, 2, 3 */
            n = op - 0x84u;
            if (r->stack < n) return MOSAIC_FLOW_ERROR_PICKLE;
            ok = mosaic_flow__tuple(r, r->stack - (size_t)n);
            break;
        case 't':
            mark = mosaic_flow__mark(r);
            if (mark == r->stack || !mosaic_flow__tuple(r, mark + 1)) return MOSAIC_FLOW_ERROR_PICKLE;
            r->pile[mark] = r->pile[mark + 1];
            r->stack = mark + 1;
            break;
        case 'a':
        case 'e': { /* append what is above the list: only right after what it has, which is where the contents of a new list are */
            mosaic_flow__value list;
            mark = op == 'a' ? r->stack - 1 : mosaic_flow__mark(r);
            if (r->stack < 2 || mark == r->stack || mark == 0 || r->pile[mark - 1].kind != MOSAIC_FLOW__TUPLE) return MOSAIC_FLOW_ERROR_PICKLE;
            list = r->pile[mark - 1];
            if (list.count == 0) list.number = (int64_t)r->values;
            if ((size_t)list.number + list.count != r->values || !mosaic_flow__tuple(r, op == 'a' ? mark : mark + 1)) return MOSAIC_FLOW_ERROR_PICKLE;
            list.count = (uint32_t)(r->values - (size_t)list.number);
            r->stack = mark;
            r->pile[mark - 1] = list;
            break;
        }
        case 's':
            if (r->stack < 3) return MOSAIC_FLOW_ERROR_PICKLE;
            result = mosaic_flow__set_items(r, r->stack - 3);
            if (result != MOSAIC_FLOW_OK) return result;
            break;
        case 'u':
            mark = mosaic_flow__mark(r);
            if (mark == r->stack || mark == 0) return MOSAIC_FLOW_ERROR_PICKLE;
            memmove(&r->pile[mark], &r->pile[mark + 1], (r->stack - mark - 1) * sizeof *r->pile);
            r->stack--;
            result = mosaic_flow__set_items(r, mark - 1);
            if (result != MOSAIC_FLOW_OK) return result;
            break;
        case 'q':
        case 'r':
        case 0x94: /* remember the value on top */
            if (op == 0x94)
                n = r->memos;
            else {
                p = mosaic_flow__bytes(r, op == 'q' ? 1 : 4);
                if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
                n = op == 'q' ? p[0] : mosaic_flow__little(p, 4);
            }
            if (n >= MOSAIC_FLOW__MAX_VALUES || r->stack == 0) return MOSAIC_FLOW_ERROR_PICKLE;
            if (n > r->memos) memset(&r->memo[r->memos], 0, ((size_t)n - r->memos) * sizeof *r->memo);
            r->memo[n] = r->pile[r->stack - 1];
            if (n >= r->memos) r->memos = (size_t)n + 1;
            break;
        case 'h':
        case 'j':
            p = mosaic_flow__bytes(r, op == 'h' ? 1 : 4);
            if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
            n = op == 'h' ? p[0] : mosaic_flow__little(p, 4);
            if (n >= r->memos || r->stack == MOSAIC_FLOW__MAX_VALUES) return MOSAIC_FLOW_ERROR_PICKLE;
            r->pile[r->stack++] = r->memo[n];
            break;
        case 'c': { /* two lines: module, name */
            mosaic_flow__kind kind;
            name = (const uint8_t *)memchr(r->at, '\n', (size_t)(r->end - r->at));
            if (!name) return MOSAIC_FLOW_ERROR_TRUNCATED;
            name++;
            p = (const uint8_t *)memchr(name, '\n', (size_t)(r->end - name));
            if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
            kind = mosaic_flow__global(r->at, (size_t)(name - 1 - r->at), name, (size_t)(p - name), &number);
            r->at = p + 1;
            ok = kind != MOSAIC_FLOW__NOTHING && mosaic_flow__push_value(r, kind, number, 0, 0);
            break;
        }
        case 0x93: { /* the same from the stack */
            const mosaic_flow__value *v = &r->pile[r->stack];
            mosaic_flow__kind kind;
            if (r->stack < 2 || v[-2].kind != MOSAIC_FLOW__TEXT || v[-1].kind != MOSAIC_FLOW__TEXT) return MOSAIC_FLOW_ERROR_PICKLE;
            kind = mosaic_flow__global(v[-2].text, v[-2].count, v[-1].text, v[-1].count, &number);
            r->stack -= 2;
            ok = kind != MOSAIC_FLOW__NOTHING && mosaic_flow__push_value(r, kind, number, 0, 0);
            break;
        }
        case 'R':
            result = mosaic_flow__reduce(r);
            if (result != MOSAIC_FLOW_OK) return result;
            break;
        case 'b': /* the state of a dict: its metadata */
            if (r->stack < 2 || r->pile[r->stack - 2].kind != MOSAIC_FLOW__DICT) return MOSAIC_FLOW_ERROR_PICKLE;
            r->stack--;
            break;
        case 'Q':
            result = mosaic_flow__persistent(r);
            if (result != MOSAIC_FLOW_OK) return result;
            break;
        case '.': return r->stack == 1 ? MOSAIC_FLOW_OK : MOSAIC_FLOW_ERROR_PICKLE;
        default: return MOSAIC_FLOW_ERROR_PICKLE;
        }
        if (!ok) return r->at == r->end ? MOSAIC_FLOW_ERROR_TRUNCATED : MOSAIC_FLOW_ERROR_PICKLE;
    }
    return MOSAIC_FLOW_ERROR_TRUNCATED;
}

/* The storages' data is known: so is that of the tensors. */
static mosaic_flow_result mosaic_flow__place_tensors(mosaic_flow__reader *r)
{
    size_t i;
    for (i = 0; i < r->tensors; i++) {
        mosaic_flow__tensor *t = &r->tensor[i];
        const mosaic_flow__storage *s = &r->storage[t->storage];
        if (t->type == MOSAIC_FLOW__OTHER) continue; /* counters of batches and the like: not needed */
        if (!s->data || s->count * mosaic_flow__number_size(s->type) > s->bytes) return MOSAIC_FLOW_ERROR_CORRUPT;
        t->data = s->data + t->offset * mosaic_flow__number_size(t->type);
        t->bytes = (s->count - t->offset) * mosaic_flow__number_size(t->type);
    }
    return MOSAIC_FLOW_OK;
}

/* ---- the format of PyTorch before 1.6: five pickles (magic number, version, byte order and sizes, the object, the keys of the storages), then for
   each key a uint64 with the count of its numbers, and the numbers ---- */

static const uint8_t mosaic_flow__legacy_magic[15] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

static mosaic_flow_result mosaic_flow__read_legacy(mosaic_flow__reader *r)
{
    mosaic_flow_result result;
    mosaic_flow__value keys;
    uint32_t i;
    size_t k;
    r->at += sizeof mosaic_flow__legacy_magic;
    for (k = 0; k < 4; k++) {
        result = mosaic_flow__pickle(r);
        if (result != MOSAIC_FLOW_OK) return result;
        if (k == 0 && (r->pile[0].kind != MOSAIC_FLOW__INTEGER || r->pile[0].number != 1001)) return MOSAIC_FLOW_ERROR_VERSION;
    }
    keys = r->pile[0];
    if (keys.kind != MOSAIC_FLOW__TUPLE) return MOSAIC_FLOW_ERROR_PICKLE;
    for (i = 0; i < keys.count; i++) {
        const mosaic_flow__value *key = &r->value[keys.number] + i;
        const uint8_t *p = mosaic_flow__bytes(r, 8);
        uint64_t count;
        mosaic_flow__storage *s;
        size_t size;
        if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
        count = mosaic_flow__little(p, 8);
        if (key->kind != MOSAIC_FLOW__TEXT) return MOSAIC_FLOW_ERROR_PICKLE;
        for (k = 0; k < r->storages; k++)
            if (r->storage[k].key_length == key->count && memcmp(r->storage[k].key, key->text, key->count) == 0) break;
        if (k == r->storages) return MOSAIC_FLOW_ERROR_CORRUPT;
        s = &r->storage[k];
        if (count != s->count || s->data) return MOSAIC_FLOW_ERROR_CORRUPT;
        size = s->type == MOSAIC_FLOW__OTHER ? 8 : mosaic_flow__number_size(s->type); /* of the others only the batches counted come, int64 */
        s->data = mosaic_flow__bytes(r, (uint64_t)s->count * size);
        if (!s->data) return MOSAIC_FLOW_ERROR_TRUNCATED;
        s->bytes = s->count * size;
    }
    return mosaic_flow__place_tensors(r);
}

/* ---- the format of PyTorch since 1.6: a zip of files stored as they are: NAME/data.pkl, and NAME/data/KEY for each storage ---- */

typedef struct mosaic_flow__zip {
    const uint8_t *file, *directory;
    size_t size, directory_size;
} mosaic_flow__zip;

/* Looks for the file named prefix + "data/" + key, or without key for the one whose name is "data.pkl" or ends in "/data.pkl". */
static mosaic_flow_result mosaic_flow__zip_find(const mosaic_flow__zip *zip, const uint8_t *prefix, size_t prefix_length, const uint8_t *key,
                                                size_t key_length, const uint8_t **name, size_t *name_length, const uint8_t **data, size_t *bytes)
{
    const uint8_t *p = zip->directory, *end = p + zip->directory_size;
    while (end - p >= 46 && mosaic_flow__little(p, 4) == 0x02014b50u) {
        const size_t length = (size_t)mosaic_flow__little(p + 28, 2);
        const size_t entry = 46 + length + (size_t)mosaic_flow__little(p + 30, 2) + (size_t)mosaic_flow__little(p + 32, 2);
        int match;
        if (entry > (size_t)(end - p)) return MOSAIC_FLOW_ERROR_CORRUPT;
        if (key)
            match = length == prefix_length + 5 + key_length && memcmp(p + 46, prefix, prefix_length) == 0 &&
                    memcmp(p + 46 + prefix_length, "data/", 5) == 0 && memcmp(p + 46 + prefix_length + 5, key, key_length) == 0;
        else
            match = length >= 8 && memcmp(p + 46 + length - 8, "data.pkl", 8) == 0 && (length == 8 || p[46 + length - 9] == '/');
        if (match) {
            const uint64_t stored = mosaic_flow__little(p + 20, 4), plain = mosaic_flow__little(p + 24, 4), offset = mosaic_flow__little(p + 42, 4);
            const uint8_t *local = zip->file + (size_t)offset;
            size_t skip;
            if (mosaic_flow__little(p + 10, 2) != 0 || (mosaic_flow__little(p + 8, 2) & 1) || stored == 0xffffffffu || offset == 0xffffffffu)
                return MOSAIC_FLOW_ERROR_STORAGE; /* compressed, encrypted, or beyond 4 GB */
            if (stored != plain) return MOSAIC_FLOW_ERROR_CORRUPT;
            if (zip->size < 30 || offset > zip->size - 30 || mosaic_flow__little(local, 4) != 0x04034b50u) return MOSAIC_FLOW_ERROR_CORRUPT;
            skip = 30 + (size_t)mosaic_flow__little(local + 26, 2) + (size_t)mosaic_flow__little(local + 28, 2);
            if (skip > zip->size - (size_t)offset || stored > zip->size - (size_t)offset - skip) return MOSAIC_FLOW_ERROR_CORRUPT;
            *data = local + skip;
            *bytes = (size_t)stored;
            if (name) *name = p + 46, *name_length = length;
            return MOSAIC_FLOW_OK;
        }
        p += entry;
    }
    return MOSAIC_FLOW_ERROR_CORRUPT;
}

static mosaic_flow_result mosaic_flow__read_zip(mosaic_flow__reader *r, const uint8_t *file, size_t size)
{
    mosaic_flow__zip zip;
    mosaic_flow_result result;
    const uint8_t *end = 0, *name, *data;
    size_t i, name_length, bytes;
    /* The record at the end of the directory: 22 bytes, and a comment of up to 65535. */
    for (i = 22; i <= size && i <= 22 + 65535; i++)
        if (mosaic_flow__little(file + size - i, 4) == 0x06054b50u && mosaic_flow__little(file + size - i + 20, 2) == i - 22) {
            end = file + size - i;
            break;
        }
    if (!end) return MOSAIC_FLOW_ERROR_TRUNCATED;
    zip.file = file;
    zip.size = size;
    zip.directory_size = (size_t)mosaic_flow__little(end + 12, 4);
    i = (size_t)mosaic_flow__little(end + 16, 4);
    if (i > (size_t)(end - file) || zip.directory_size > (size_t)(end - file) - i) return MOSAIC_FLOW_ERROR_CORRUPT;
    zip.directory = file + i;
    result = mosaic_flow__zip_find(&zip, 0, 0, 0, 0, &name, &name_length, &data, &bytes);
    if (result != MOSAIC_FLOW_OK) return result;
    r->at = data;
    r->end = data + bytes;
    result = mosaic_flow__pickle(r);
    if (result != MOSAIC_FLOW_OK) return result;
    for (i = 0; i < r->storages; i++) {
        mosaic_flow__storage *s = &r->storage[i];
        if (s->type == MOSAIC_FLOW__OTHER) continue;
        result = mosaic_flow__zip_find(&zip, name, name_length - 8, s->key, s->key_length, 0, 0, &s->data, &s->bytes);
        if (result != MOSAIC_FLOW_OK) return result;
    }
    return mosaic_flow__place_tensors(r);
}

/* ---- safetensors: uint64 size of a JSON object { "name": { "dtype": "F32", "shape": [...], "data_offsets": [first, end] }, ... }, then the
   numbers ---- */

static void mosaic_flow__json_space(mosaic_flow__reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t')) r->at++;
}

static int mosaic_flow__json_is(mosaic_flow__reader *r, char c)
{
    mosaic_flow__json_space(r);
    if (r->at == r->end || *r->at != (uint8_t)c) return 0;
    r->at++;
    return 1;
}

/* Text between quotes, as it stands there: no name looked for has a character that would be escaped. */
static int mosaic_flow__json_text(mosaic_flow__reader *r, const uint8_t **text, size_t *length)
{
    if (!mosaic_flow__json_is(r, '"')) return 0;
    *text = r->at;
    for (; r->at < r->end && *r->at != '"'; r->at++)
        if (*r->at == '\\' && ++r->at == r->end) return 0;
    if (r->at == r->end) return 0;
    *length = (size_t)(r->at++ - *text);
    return 1;
}

/* An array of up to `limit` integers below 2^53; -1 when it is not that, limit + 1 when it is longer. */
static int mosaic_flow__json_integers(mosaic_flow__reader *r, uint64_t *values, int limit)
{
    int count = 0;
    if (!mosaic_flow__json_is(r, '[')) return -1;
    if (mosaic_flow__json_is(r, ']')) return 0;
    do {
        uint64_t v = 0;
        mosaic_flow__json_space(r);
        if (r->at == r->end || *r->at < '0' || *r->at > '9') return -1;
        for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
            v = v * 10 + (uint64_t)(*r->at - '0');
            if (v >> 53) return -1;
        }
        if (count < limit) values[count] = v;
        if (count <= limit) count++;
    } while (mosaic_flow__json_is(r, ','));
    return mosaic_flow__json_is(r, ']') ? count : -1;
}

static mosaic_flow_result mosaic_flow__read_safetensors(mosaic_flow__reader *r)
{
    const uint64_t header = mosaic_flow__little(r->at, 8);
    const uint8_t *data, *text, *name;
    size_t length, name_length, data_size;
    if (header > (uint64_t)(r->end - r->at) - 8) return MOSAIC_FLOW_ERROR_TRUNCATED;
    r->at += 8;
    data = r->at + (size_t)header;
    data_size = (size_t)(r->end - data);
    r->end = data;
    if (!mosaic_flow__json_is(r, '{')) return MOSAIC_FLOW_ERROR_CORRUPT;
    if (mosaic_flow__json_is(r, '}')) return MOSAIC_FLOW_OK;
    do {
        mosaic_flow__tensor *t = &r->tensor[r->tensors];
        uint64_t shape[4], offsets[2];
        int k, dims = -1, ends = -1, metadata;
        mosaic_flow__number type = MOSAIC_FLOW__OTHER;
        if (!mosaic_flow__json_text(r, &name, &name_length) || !mosaic_flow__json_is(r, ':') || !mosaic_flow__json_is(r, '{'))
            return MOSAIC_FLOW_ERROR_CORRUPT;
        metadata = mosaic_flow__same(name, name_length, "__metadata__");
        if (!mosaic_flow__json_is(r, '}')) {
            do {
                if (!mosaic_flow__json_text(r, &text, &length) || !mosaic_flow__json_is(r, ':')) return MOSAIC_FLOW_ERROR_CORRUPT;
                if (!metadata && mosaic_flow__same(text, length, "shape")) {
                    dims = mosaic_flow__json_integers(r, shape, 4);
                    if (dims < 0) return MOSAIC_FLOW_ERROR_CORRUPT;
                } else if (!metadata && mosaic_flow__same(text, length, "data_offsets")) {
                    ends = mosaic_flow__json_integers(r, offsets, 2);
                    if (ends != 2) return MOSAIC_FLOW_ERROR_CORRUPT;
                } else {
                    const uint8_t *value;
                    const int dtype = !metadata && mosaic_flow__same(text, length, "dtype");
                    if (!mosaic_flow__json_text(r, &value, &length)) return MOSAIC_FLOW_ERROR_CORRUPT;
                    if (dtype && mosaic_flow__same(value, length, "F32")) type = MOSAIC_FLOW__F32;
                    if (dtype && mosaic_flow__same(value, length, "F16")) type = MOSAIC_FLOW__F16;
                    if (dtype && mosaic_flow__same(value, length, "BF16")) type = MOSAIC_FLOW__BF16;
                    if (dtype && mosaic_flow__same(value, length, "F64")) type = MOSAIC_FLOW__F64;
                }
            } while (mosaic_flow__json_is(r, ','));
            if (!mosaic_flow__json_is(r, '}')) return MOSAIC_FLOW_ERROR_CORRUPT;
        }
        if (metadata) continue;
        if (dims < 0 || ends != 2 || offsets[0] > offsets[1]) return MOSAIC_FLOW_ERROR_CORRUPT;
        if (offsets[1] > data_size) return MOSAIC_FLOW_ERROR_TRUNCATED;
        if (r->tensors == MOSAIC_FLOW__MAX_TENSORS) return MOSAIC_FLOW_ERROR_CORRUPT;
        memset(t, 0, sizeof *t);
        t->name = name;
        t->name_length = name_length;
        t->type = type;
        t->dims = dims;
        t->packed = 1;
        for (k = 0; k < dims && k < 4; k++) t->shape[k] = shape[k] > 0x7fffffff ? 0x7fffffff : (size_t)shape[k];
        t->data = data + (size_t)offsets[0];
        t->bytes = (size_t)(offsets[1] - offsets[0]);
        r->tensors++;
    } while (mosaic_flow__json_is(r, ','));
    return mosaic_flow__json_is(r, '}') ? MOSAIC_FLOW_OK : MOSAIC_FLOW_ERROR_CORRUPT;
}

/* ---- from the list of tensors to the network ---- */

/* The tensor of that name, with or without "module." before it; null if there is none. */
static const mosaic_flow__tensor *mosaic_flow__find(const mosaic_flow__reader *r, const char *name)
{
    size_t i;
    for (i = 0; i < r->tensors; i++) {
        const mosaic_flow__tensor *t = &r->tensor[i];
        const size_t skip = t->name_length > 7 && memcmp(t->name, "module.", 7) == 0 ? 7 : 0;
        if (t->name && mosaic_flow__same(t->name + skip, t->name_length - skip, name)) return t;
    }
    return 0;
}

static float mosaic_flow__read_number(const uint8_t *p, mosaic_flow__number type)
{
    uint32_t bits;
    float f;
    if (type == MOSAIC_FLOW__F64) {
        const uint64_t wide = mosaic_flow__little(p, 8);
        double d;
        memcpy(&d, &wide, sizeof d);
        return d > 3.5e38 || d < -3.5e38 ? (float)(d - d) / 0.0f : (float)d; /* out of range is as bad as infinite */
    }
    if (type == MOSAIC_FLOW__F32) {
        bits = (uint32_t)mosaic_flow__little(p, 4);
    } else if (type == MOSAIC_FLOW__BF16) {
        bits = (uint32_t)mosaic_flow__little(p, 2) << 16;
    } else {
        const uint32_t half = (uint32_t)mosaic_flow__little(p, 2), exponent = half >> 10 & 31;
        bits = (half & 0x8000u) << 16 | (half & 0x7fffu) << 13;
        if (exponent == 31)
            bits |= 0x7f800000u;
        else
            bits += (exponent ? 112u : 113u) << 23;
        memcpy(&f, &bits, sizeof f);
        return exponent ? f : half & 0x8000u ? f + 6.103515625e-05f : f - 6.103515625e-05f; /* subnormal: 1.x * 2^-14 less 2^-14 */
    }
    memcpy(&f, &bits, sizeof f);
    return f;
}

static int mosaic_flow__finite(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (bits & 0x7f800000u) != 0x7f800000u;
}

/* Copies the numbers of tensor `layer` + `suffix`, which must have that shape (0 ends it early). */
static mosaic_flow_result mosaic_flow__fetch(const mosaic_flow__reader *r, const char *layer, const char *suffix, const size_t *shape, int dims,
                                             float *out)
{
    char name[96];
    const mosaic_flow__tensor *t;
    size_t i, count = 1, size;
    int k;
    MOSAIC_FLOW_ASSERT(strlen(layer) + strlen(suffix) < sizeof name);
    strcpy(name, layer);
    strcat(name, suffix);
    t = mosaic_flow__find(r, name);
    if (!t || t->dims != dims) return MOSAIC_FLOW_ERROR_TENSOR;
    for (k = 0; k < dims; k++) {
        if (t->shape[k] != shape[k]) return MOSAIC_FLOW_ERROR_TENSOR;
        count *= shape[k];
    }
    size = mosaic_flow__number_size(t->type);
    if (size == 0 || !t->packed) return MOSAIC_FLOW_ERROR_STORAGE;
    if (t->bytes / size < count) return MOSAIC_FLOW_ERROR_CORRUPT;
    for (i = 0; i < count; i++) {
        out[i] = mosaic_flow__read_number(t->data + i * size, t->type);
        if (!mosaic_flow__finite(out[i])) return MOSAIC_FLOW_ERROR_NAN;
    }
    return MOSAIC_FLOW_OK;
}

/* 1 / sqrt(x) for x > 0 by Newton's method from a guess by halving the exponent; to a few units of the last place. */
MOSAIC__UNUSED static double mosaic_flow__inverse_root(double x)
{
    uint64_t bits;
    double y;
    int i;
    memcpy(&bits, &x, sizeof bits);
    bits = 0x5fe6eb50c7b537a9u - (bits >> 1);
    memcpy(&y, &bits, sizeof y);
    for (i = 0; i < 5; i++) y = y * (1.5 - (0.5 * x) * y * y);
    return y;
}

/* Batch norm in its evaluating form is a factor and a shift for each channel: into the weights and biases before it. */
static mosaic_flow_result mosaic_flow__fold(const mosaic_flow__reader *r, const char *convolution, const mosaic_flow__layer *l, float *weight,
                                            float *bias)
{
    static const char *const suffix[4] = {".weight", ".bias", ".running_mean", ".running_var"};
    float values[4][256];
    char name[96];
    const size_t shape[1] = {l->out}, taps = (size_t)l->in * l->height * l->width;
    size_t length = strlen(convolution), c, i;
    mosaic_flow_result result;
    int k;
    strcpy(name, convolution);
    if (name[length - 2] == '.' && name[length - 1] == '0')
        name[length - 1] = '1'; /* the second of a Sequential */
    else
        memcpy(name + length - 5, "norm", 4); /* conv1 has norm1 */
    for (k = 0; k < 4; k++) {
        result = mosaic_flow__fetch(r, name, suffix[k], shape, 1, values[k]);
        if (result != MOSAIC_FLOW_OK) return result;
    }
    for (c = 0; c < l->out; c++) {
        double factor;
        if (values[3][c] < 0) return MOSAIC_FLOW_ERROR_NAN;
        factor = (double)values[0][c] * mosaic_flow__inverse_root((double)values[3][c] + 1e-5);
        for (i = 0; i < taps; i++) weight[c * taps + i] = (float)((double)weight[c * taps + i] * factor);
        bias[c] = (float)(((double)bias[c] - (double)values[2][c]) * factor + (double)values[1][c]);
        for (i = 0; i < taps; i++)
            if (!mosaic_flow__finite(weight[c * taps + i])) return MOSAIC_FLOW_ERROR_NAN;
        if (!mosaic_flow__finite(bias[c])) return MOSAIC_FLOW_ERROR_NAN;
    }
    return MOSAIC_FLOW_OK;
}

static size_t mosaic_flow__layer_size(const mosaic_flow__layer *l) { return ((size_t)l->in * l->height * l->width + 1) * l->out; }

static size_t mosaic_flow__parameters(const mosaic_flow__model *model)
{
    size_t count = 0;
    int i;
    for (i = 0; i < model->count; i++) count += mosaic_flow__layer_size(&model->layers[i]);
    return count;
}

/* An object for a model, its numbers not yet there. */
static mosaic_flow_result mosaic_flow__weights_make(const mosaic_flow__model *model, size_t calibration_count, void *alloc_ctx,
                                                    mosaic_flow_weights **weights)
{
    const size_t count = mosaic_flow__parameters(model);
    mosaic_flow_weights *w;
    float *p;
    int i;
    w = (mosaic_flow_weights *)MOSAIC_FLOW_MALLOC(alloc_ctx, sizeof *w + count * sizeof(float));
    if (!w) return MOSAIC_FLOW_ERROR_MEMORY;
    memset(w, 0, sizeof *w);
    w->model = model;
    w->alloc_ctx = alloc_ctx;
    w->parameters = count;
    w->values = p = (float *)(void *)(w + 1);
    for (i = 0; i < model->count; i++) {
        const mosaic_flow__layer *l = &model->layers[i];
        if (!l->name) continue;
        w->weight[i] = p;
        w->bias[i] = p + mosaic_flow__layer_size(l) - l->out;
        p += mosaic_flow__layer_size(l);
    }
    w->calibration_count = calibration_count;
    w->calibration = calibration_count ? w->scales : 0;
    *weights = w;
    return MOSAIC_FLOW_OK;
}

static mosaic_flow_result mosaic_flow__weights_build(const mosaic_flow__reader *r, void *alloc_ctx, mosaic_flow_weights **weights)
{
    const int torchvision = !mosaic_flow__find(r, "fnet.conv1.weight");
    const int large =
        mosaic_flow__find(r, "update_block.gru.convz2.weight") || mosaic_flow__find(r, "update_block.recurrent_block.convgru2.convz.weight");
    const mosaic_flow__model *model = &mosaic_flow__models[large];
    mosaic_flow_weights *w;
    mosaic_flow_result result = mosaic_flow__weights_make(model, 0, alloc_ctx, &w);
    float *p;
    int i;
    if (result != MOSAIC_FLOW_OK) return result;
    w->names = torchvision ? "torchvision" : "princeton";
    for (i = 0, p = w->values; i < model->count && result == MOSAIC_FLOW_OK; i++) {
        const mosaic_flow__layer *l = &model->layers[i];
        const char *name = torchvision ? l->torchvision : l->name;
        float *bias = p + mosaic_flow__layer_size(l) - l->out;
        size_t shape[4];
        if (!name) continue;
        shape[0] = l->out, shape[1] = l->in, shape[2] = l->height, shape[3] = l->width;
        result = mosaic_flow__fetch(r, name, ".weight", shape, 4, p);
        if (result == MOSAIC_FLOW_OK) result = mosaic_flow__fetch(r, name, ".bias", shape, 1, bias);
        if (result == MOSAIC_FLOW_OK && l->norm == 2) result = mosaic_flow__fold(r, name, l, p, bias);
        p += mosaic_flow__layer_size(l);
    }
    for (i = 0; i < (int)r->tensors; i++) w->tensors += r->tensor[i].name != 0;
    if (result != MOSAIC_FLOW_OK) {
        mosaic_flow_weights_free(w);
        return result;
    }
    *weights = w;
    return MOSAIC_FLOW_OK;
}

/* ---- the flat file ---- */

#define MOSAIC_FLOW__FLAT_HEADER 40

static uint64_t mosaic_flow__checksum(const uint8_t *p, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    while (size--) hash = (hash ^ *p++) * 0x100000001b3u;
    return hash;
}

static mosaic_flow_result mosaic_flow__read_flat(const uint8_t *file, size_t size, void *alloc_ctx, mosaic_flow_weights **weights)
{
    const mosaic_flow__model *model;
    mosaic_flow_weights *w;
    mosaic_flow_result result;
    uint64_t parameters, calibration;
    size_t i;
    if (size < MOSAIC_FLOW__FLAT_HEADER) return MOSAIC_FLOW_ERROR_TRUNCATED;
    if (mosaic_flow__little(file + 8, 4) != 1) return MOSAIC_FLOW_ERROR_VERSION;
    if (mosaic_flow__little(file + 12, 4) > 1) return MOSAIC_FLOW_ERROR_CORRUPT;
    model = &mosaic_flow__models[mosaic_flow__little(file + 12, 4)];
    parameters = mosaic_flow__little(file + 16, 8);
    calibration = mosaic_flow__little(file + 24, 8);
    if (parameters != mosaic_flow__parameters(model) || (calibration != 0 && calibration != MOSAIC_FLOW__SCALES)) return MOSAIC_FLOW_ERROR_CORRUPT;
    file += MOSAIC_FLOW__FLAT_HEADER;
    size -= MOSAIC_FLOW__FLAT_HEADER;
    if (size < (parameters + calibration) * 4) return MOSAIC_FLOW_ERROR_TRUNCATED;
    if (size > (parameters + calibration) * 4 || mosaic_flow__checksum(file, size) != mosaic_flow__little(file - 8, 8))
        return MOSAIC_FLOW_ERROR_CORRUPT;
    result = mosaic_flow__weights_make(model, (size_t)calibration, alloc_ctx, &w);
    if (result != MOSAIC_FLOW_OK) return result;
    w->names = "none";
    for (i = 0; i < w->parameters && result == MOSAIC_FLOW_OK; i++) {
        w->values[i] = mosaic_flow__read_number(file + 4 * i, MOSAIC_FLOW__F32);
        if (!mosaic_flow__finite(w->values[i])) result = MOSAIC_FLOW_ERROR_NAN;
    }
    for (i = 0; i < w->calibration_count && result == MOSAIC_FLOW_OK; i++) {
        const uint64_t v = mosaic_flow__little(file + 4 * (w->parameters + i), 4);
        if (v > (i == MOSAIC_FLOW__SCALE_FLOW ? MOSAIC_FLOW__QFLOW : MOSAIC_FLOW__QSCALE_MAX)) result = MOSAIC_FLOW_ERROR_CORRUPT;
        w->calibration[i] = (int32_t)v;
    }
    if (result != MOSAIC_FLOW_OK) {
        mosaic_flow_weights_free(w);
        return result;
    }
    *weights = w;
    return MOSAIC_FLOW_OK;
}

MOSAIC_FLOW_API size_t mosaic_flow_weights_size(const mosaic_flow_weights *weights)
{
    return weights ? MOSAIC_FLOW__FLAT_HEADER + 4 * (weights->parameters + weights->calibration_count) : 0;
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_save(const mosaic_flow_weights *weights, void *bytes, size_t size)
{
    uint8_t *file = (uint8_t *)bytes, *p = file + MOSAIC_FLOW__FLAT_HEADER;
    size_t i;
    if (!weights || !bytes) return MOSAIC_FLOW_ERROR_NULL;
    if (size < mosaic_flow_weights_size(weights)) return MOSAIC_FLOW_ERROR_SIZE;
    for (i = 0; i < weights->parameters; i++, p += 4) {
        uint32_t bits;
        memcpy(&bits, &weights->values[i], sizeof bits);
        mosaic_flow__little_put(p, bits, 4);
    }
    for (i = 0; i < weights->calibration_count; i++, p += 4) mosaic_flow__little_put(p, (uint32_t)weights->calibration[i], 4);
    memcpy(file, "MOSAICFW", 8);
    mosaic_flow__little_put(file + 8, 1, 4);
    mosaic_flow__little_put(file + 12, weights->model == &mosaic_flow__models[1], 4);
    mosaic_flow__little_put(file + 16, weights->parameters, 8);
    mosaic_flow__little_put(file + 24, weights->calibration_count, 8);
    p = file + MOSAIC_FLOW__FLAT_HEADER;
    mosaic_flow__little_put(file + 32, mosaic_flow__checksum(p, mosaic_flow_weights_size(weights) - MOSAIC_FLOW__FLAT_HEADER), 8);
    return MOSAIC_FLOW_OK;
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_load(const void *bytes, size_t size, void *alloc_ctx, mosaic_flow_weights **weights)
{
    const uint8_t *file = (const uint8_t *)bytes;
    mosaic_flow__reader *r;
    mosaic_flow_result result;
    const char *format;
    unsigned long long fp;
    if (!weights) return MOSAIC_FLOW_ERROR_NULL;
    *weights = 0;
    if (!bytes) return MOSAIC_FLOW_ERROR_NULL;
    fp = mosaic__fp_enter();
    if (size >= 8 && memcmp(file, "MOSAICFW", 8) == 0) {
        format = "mosaic";
        result = mosaic_flow__read_flat(file, size, alloc_ctx, weights);
    } else {
        r = (mosaic_flow__reader *)MOSAIC_FLOW_MALLOC(alloc_ctx, sizeof *r);
        if (!r) {
            mosaic__fp_leave(fp);
            return MOSAIC_FLOW_ERROR_MEMORY;
        }
        r->at = file;
        r->end = file + size;
        r->tensors = r->storages = 0;
        if (size >= 4 && mosaic_flow__little(file, 4) == 0x04034b50u) {
            format = "zip .pth";
            result = mosaic_flow__read_zip(r, file, size);
        } else if (size >= sizeof mosaic_flow__legacy_magic && memcmp(file, mosaic_flow__legacy_magic, sizeof mosaic_flow__legacy_magic) == 0) {
            format = "legacy .pth";
            result = mosaic_flow__read_legacy(r);
        } else if (size >= 9 && file[8] == '{') {
            format = "safetensors";
            result = mosaic_flow__read_safetensors(r);
        } else {
            format = "";
            result = MOSAIC_FLOW_ERROR_FORMAT;
        }
        if (result == MOSAIC_FLOW_OK) result = mosaic_flow__weights_build(r, alloc_ctx, weights);
        MOSAIC_FLOW_FREE(alloc_ctx, r);
    }
    if (*weights) (*weights)->format = format;
    mosaic__fp_leave(fp);
    return result;
}

MOSAIC_FLOW_API void mosaic_flow_weights_free(mosaic_flow_weights *weights)
{
    void *ctx;
    if (!weights) return;
    ctx = weights->alloc_ctx;
    MOSAIC_FLOW_FREE(ctx, weights);
    (void)ctx;
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_describe(const mosaic_flow_weights *weights, mosaic_flow_weights_info *info)
{
    if (!weights || !info) return MOSAIC_FLOW_ERROR_NULL;
    info->model = weights->model->name;
    info->format = weights->format;
    info->names = weights->names;
    info->parameters = weights->parameters;
    info->tensors = weights->tensors;
    info->calibrated = weights->calibration != 0;
    return MOSAIC_FLOW_OK;
}

/* ==== RAFT: what both arithmetics share ==== */

typedef struct mosaic_flow__raft {
    const mosaic_flow__model *model;
    int width, height;                   /* of the padded picture, multiples of 8 */
    int left, top;                       /* where the picture lies in it */
    int w8, h8;                          /* an eighth of it */
    int level_width[4], level_height[4]; /* of the correlation pyramid */
} mosaic_flow__raft;

/* Pads by edge replication: half before and the rest after, or with padding 1 all rows at the bottom. */
MOSAIC__UNUSED static void mosaic_flow__raft_shape(mosaic_flow__raft *raft, const mosaic_flow *flow)
{
    const int w = flow->field.width, h = flow->field.height;
    int i;
    raft->model = flow->o.weights->model;
    raft->width = (w + 7) / 8 * 8;
    raft->height = (h + 7) / 8 * 8;
    raft->left = (raft->width - w) / 2;
    raft->top = flow->o.padding == 1 ? 0 : (raft->height - h) / 2;
    raft->w8 = raft->width / 8;
    raft->h8 = raft->height / 8;
    for (i = 0; i < 4; i++) {
        raft->level_width[i] = raft->w8 >> i;
        raft->level_height[i] = raft->h8 >> i;
    }
}

/* ==== What the kernels of DIS work on ====
   Dense inverse search (Kroeger, Timofte, Dai, Van Gool: Fast optical flow using dense inverse search, 2016) on grey pictures, from coarse to
   fine. At each level: every patch of 8 x 8 pixels, one each 4 pixels, begins at the best of what the coarser level found around it, descends by
   the inverse Lucas-Kanade step, and twice looks at what its neighbours found; patches are then blended to a dense field by how well they fit;
   and the field is refined by the variational method (Brox, Bruhn, Papenberg, Weickert 2004: constancy of grey and gradient, robust, smooth), with
   red-black successive over-relaxation. Patches are integers but for the step itself; the refinement is float32, each operation in one fixed
   order at each pixel. */

enum {
    MOSAIC_FLOW__DIS_LEVELS = 13,
    MOSAIC_FLOW__DIS_PATCH = 8,
    MOSAIC_FLOW__DIS_STEP = 4,    /* pixels from patch to patch */
    MOSAIC_FLOW__DIS_BORDER = 16, /* replicated pixels around each level; a patch may leave the picture by its own width */
    MOSAIC_FLOW__DIS_PAD = 16,    /* floats before and after each row of a plane, at least as many as any kernel has lanes */
    MOSAIC_FLOW__DIS_DESCENTS = 16,
    MOSAIC_FLOW__DIS_ALIKE = 24, /* 1/64 px: vectors nearer to each other are tried once */
    MOSAIC_FLOW__DIS_SWEEPS = 6  /* of the over-relaxation, for each of the rounds below */
};

/* The presets: the finest level (0 is the field itself), rounds of the refinement, whether a median filter replaces it. */
static const struct {
    int finest, rounds, median;
} mosaic_flow__dis_presets[3] = {{1, 3, 0}, {1, 0, 1}, {0, 4, 0}}; /* fast, ultrafast, medium */

typedef struct mosaic_flow__dis_level {
    int width, height;    /* of the picture */
    int columns, rows;    /* of patches */
    ptrdiff_t stride;     /* of pixels and slopes */
    ptrdiff_t plane;      /* of a row of floats */
    uint8_t *pixels[2];   /* of both pictures: the top left pixel, with a border around it */
    int16_t *slope[2][2]; /* Sobel's filter / 4, across and down; right and below of small pictures as far as a patch reaches */
} mosaic_flow__dis_level;

/* Where a patch went: 1/64 px, and what is left there: the sum of squared differences less their mean, 1/64 of a squared grey level. */
typedef struct mosaic_flow__dis_vector {
    int32_t x, y, error, changed; /* changed: in the last pass */
} mosaic_flow__dis_vector;

/* Planes of float32, as large as the finest level, with two rows above and below. */
enum {
    MOSAIC_FLOW__DIS_U, /* the field in px of this level */
    MOSAIC_FLOW__DIS_V,
    MOSAIC_FLOW__DIS_U_DOWN, /* of the level below, in whole 1/64 px of this level: the four change roles from level to level */
    MOSAIC_FLOW__DIS_V_DOWN,
    MOSAIC_FLOW__DIS_GREY, /* mean of the picture and the other one brought back to it; while blending, the weights */
    /* Of the refinement alone: */
    MOSAIC_FLOW__DIS_CHANGE, /* the other one brought back less the picture */
    MOSAIC_FLOW__DIS_U_FROM, /* the field before and while it is refined */
    MOSAIC_FLOW__DIS_V_FROM,
    MOSAIC_FLOW__DIS_U_NOW,
    MOSAIC_FLOW__DIS_V_NOW,
    MOSAIC_FLOW__DIS_A12, /* the linear system of a round, see there */
    MOSAIC_FLOW__DIS_B1,
    MOSAIC_FLOW__DIS_B2,
    MOSAIC_FLOW__DIS_R1,
    MOSAIC_FLOW__DIS_R2,
    MOSAIC_FLOW__DIS_EAST, /* smoothness between a pixel and the one to its right */
    MOSAIC_FLOW__DIS_SOUTH,
    MOSAIC_FLOW__DIS_PLANES
};

typedef struct mosaic_flow__kernels mosaic_flow__kernels;
typedef struct mosaic_flow__dis mosaic_flow__dis;

/* One direction of a pair. */
typedef struct mosaic_flow__dis_way {
    const mosaic_flow__dis *dis;
    int from;  /* picture[from] to picture[1 - from] */
    int scale; /* the level at work */
    mosaic_flow__dis_vector *found[2];
    float *plane[MOSAIC_FLOW__DIS_PLANES];
    int16_t *vectors; /* where the result goes: here or there */
    float *out;
} mosaic_flow__dis_way;

struct mosaic_flow__dis {
    int finest, coarsest, rounds, median;
    int width, height; /* of the field */
    mosaic_flow__dis_level level[MOSAIC_FLOW__DIS_LEVELS];
    mosaic_flow__dis_way way[2];
    int ways, pass; /* at work */
    const mosaic_flow__kernels *kernels;
};

MOSAIC_FLOW__INLINE int mosaic_flow__dis_clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

/* First pixel of patch i of a row or column of n pixels. */
MOSAIC_FLOW__INLINE int mosaic_flow__dis_place(int i, int n)
{
    const int last = n - MOSAIC_FLOW__DIS_PATCH;
    return i * MOSAIC_FLOW__DIS_STEP < last ? i * MOSAIC_FLOW__DIS_STEP : last < 0 ? 0 : last;
}

static int mosaic_flow__dis_patches(int n)
{
    return n <= MOSAIC_FLOW__DIS_PATCH ? 1 : (n - MOSAIC_FLOW__DIS_PATCH + MOSAIC_FLOW__DIS_STEP - 1) / MOSAIC_FLOW__DIS_STEP + 1;
}

/* Grey of a pixel, (77 R + 150 G + 29 B) / 256; the mean of 2 x 2; Sobel's filter / 4 across and down, rounded. */
MOSAIC_FLOW__INLINE uint8_t mosaic_flow__dis_luma(const uint8_t *rgb) { return (uint8_t)((77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8); }

MOSAIC_FLOW__INLINE uint8_t mosaic_flow__dis_mean(const uint8_t *p, ptrdiff_t s) { return (uint8_t)((p[0] + p[1] + p[s] + p[s + 1] + 2) >> 2); }

MOSAIC_FLOW__INLINE void mosaic_flow__dis_slope(const uint8_t *p, ptrdiff_t s, int16_t *across, int16_t *down)
{
    const int nw = p[-s - 1], n = p[-s], ne = p[-s + 1], west = p[-1], e = p[1], sw = p[s - 1], so = p[s], se = p[s + 1];
    *across = (int16_t)((ne - nw + 2 * (e - west) + se - sw + 2) >> 2);
    *down = (int16_t)((sw - nw + 2 * (so - n) + se - ne + 2) >> 2);
}

/* Where v (1/64 px) takes a patch that stands at x, y: brought to where it touches the picture. */
MOSAIC_FLOW__INLINE void mosaic_flow__dis_reach(const mosaic_flow__dis_level *level, int x, int y, int32_t v[2])
{
    v[0] = mosaic_flow__dis_clamp(x * 64 + v[0], -8 * 64, level->width * 64) - x * 64;
    v[1] = mosaic_flow__dis_clamp(y * 64 + v[1], -8 * 64, level->height * 64) - y * 64;
}

/* The picture between four pixels, 1/16 grey level; wx, wy: 1/64 px. */
MOSAIC_FLOW__INLINE int mosaic_flow__dis_between(const uint8_t *q, ptrdiff_t stride, int wx, int wy)
{
    const int upper = q[0] * (64 - wx) + q[1] * wx, lower = q[stride] * (64 - wx) + q[stride + 1] * wx;
    return (upper + (((lower - upper) * (wy * 512) + 16384) >> 15) + 2) >> 2;
}

/* A row of a plane, its pixel 0. */
MOSAIC_FLOW__INLINE float *mosaic_flow__dis_row(const mosaic_flow__dis_way *way, int plane, const mosaic_flow__dis_level *level, int y)
{
    return way->plane[plane] + (y + 2) * level->plane + MOSAIC_FLOW__DIS_PAD;
}

/* In the planes of the refinement the pixels with x + y even stand in the first half of a row, the others in the second: colour 0 and 1. Of one
   colour, pixel x stands at x / 2, rounded down; its neighbours above and below at the same place of the other colour, those to the left and the
   right there too, or one place before or behind it. */
MOSAIC_FLOW__INLINE float *mosaic_flow__dis_half(const mosaic_flow__dis_way *way, int plane, const mosaic_flow__dis_level *level, int y, int colour)
{
    return way->plane[plane] + (y + 2) * level->plane + colour * (level->plane / 2) + MOSAIC_FLOW__DIS_PAD;
}

/* Pixel x, from -2 on. */
MOSAIC_FLOW__INLINE float *mosaic_flow__dis_at(const mosaic_flow__dis_way *way, int plane, const mosaic_flow__dis_level *level, int x, int y)
{
    return mosaic_flow__dis_half(way, plane, level, y, (x + y) & 1) + ((x + 2) / 2 - 1);
}

MOSAIC__UNUSED static void mosaic_flow__dis_copy_row(const mosaic_flow__dis_way *way, int plane, int from, int to)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    int colour;
    for (colour = 0; colour < 2; colour++)
        memcpy(mosaic_flow__dis_half(way, plane, level, to, (colour + to - from) & 1) - MOSAIC_FLOW__DIS_PAD,
               mosaic_flow__dis_half(way, plane, level, from, colour) - MOSAIC_FLOW__DIS_PAD, (size_t)(level->plane / 2) * sizeof(float));
}

/* The field from rows of pixels to rows of colours, and back. */
MOSAIC__UNUSED static void mosaic_flow__dis_split(const mosaic_flow__dis_way *way)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    int y, colour, k, x;
    for (y = 0; y < level->height; y++)
        for (colour = 0; colour < 2; colour++)
            for (k = 0; k < 2; k++) {
                const int odd = (y + colour) & 1;
                const float *p = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, y) + odd;
                float *from = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_FROM + k, level, y, colour);
                float *now = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_NOW + k, level, y, colour);
                for (x = 0; 2 * x + odd < level->width; x++) from[x] = now[x] = p[2 * x];
            }
}

MOSAIC__UNUSED static void mosaic_flow__dis_join(const mosaic_flow__dis_way *way)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    int y, colour, k, x;
    for (y = 0; y < level->height; y++)
        for (colour = 0; colour < 2; colour++)
            for (k = 0; k < 2; k++) {
                const int odd = (y + colour) & 1;
                float *p = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, y) + odd;
                const float *now = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_NOW + k, level, y, colour);
                for (x = 0; 2 * x + odd < level->width; x++) p[2 * x] = now[x];
            }
}

/* The motion that a stream found last moved along itself (backward motion against itself): content goes on as it went, from where it arrived. Where several
   arrive: what arrives nearest to the middle of the pixel, then the first; pixels that nothing reaches take over from their nearest
   neighbours, ring by ring. Where each pixel's motion comes from goes to source, w8 * h8 where there is none; source has room for twice that many,
   distance for as many. */
MOSAIC__UNUSED static void mosaic_flow__carry(const mosaic_flow__raft *raft, int direction, const float *last, int32_t *source, float *distance)
{
    const int w = raft->w8, h = raft->h8, none = w * h;
    int32_t *next = source + none;
    int x, y, i, left;
    for (i = 0; i < none; i++) source[i] = none;
    for (i = 0; i < none; i++) {
        const float sign = direction ? -1.0f : 1.0f, to_x = (float)(i % w) + sign * last[2 * i], to_y = (float)(i / w) + sign * last[2 * i + 1];
        float dx, dy, d;
        /* Rounded half up; strictly inside, which also leaves out what is no number. */
        if (!(to_x > 0 && to_y > 0 && to_x < (float)(w - 1) && to_y < (float)(h - 1))) continue;
        x = (int)(to_x + 0.5f);
        y = (int)(to_y + 0.5f);
        dx = to_x - (float)x;
        dy = to_y - (float)y;
        d = dx * dx + dy * dy;
        if (source[y * w + x] != none && d >= distance[y * w + x]) continue;
        source[y * w + x] = i;
        distance[y * w + x] = d;
    }
    for (left = 1; left;) {
        int found = 0;
        left = 0;
        memcpy(next, source, (size_t)none * sizeof *next);
        for (i = 0; i < none; i++) {
            x = i % w;
            y = i / w;
            if (source[i] != none) continue;
            if (y > 0 && source[i - w] != none)
                next[i] = source[i - w];
            else if (x > 0 && source[i - 1] != none)
                next[i] = source[i - 1];
            else if (x + 1 < w && source[i + 1] != none)
                next[i] = source[i + 1];
            else if (y + 1 < h && source[i + w] != none)
                next[i] = source[i + w];
            else
                left = 1;
            found |= next[i] != none;
        }
        memcpy(source, next, (size_t)none * sizeof *next);
        if (!found) break;
    }
}

/* ==== RAFT in float32 ====
   Every output of a convolution is one chain: it begins with the bias, and adds with one fused multiply-add each, in the order kernel row, kernel column,
   input channel, zeros of the padding included. The gates of the recurrent unit take the channels of the context first, all rows and columns of them;
   they are the same in all iterations, so that part of the chain is done once and kept. Channels of the correlation come in the order level, dy,
   dx. Lanes of a vector run across outputs, never along a chain, so all kernels give the same bits.
   Level k of the correlation pyramid is the correlation with features averaged over squares of 2^k: the same as averaging the
   correlation, but for rounding, and it may be had without the volume of all pairs. */

/* A picture of floats: channel c of pixel (x, y) is at[y * row + x * pixel + c], with `halo` pixels of zeros on each side. */
typedef struct mosaic_flow__map {
    float *at;
    size_t row, pixel;
    int width, height, halo;
} mosaic_flow__map;

/* A convolution's weights as kernels read them: for each block of 2 * lanes outputs (the last may be of lanes) and each term of the chain the
   weights of the block. */
typedef struct mosaic_flow__packed {
    float *weights, *bias;
    int in, out, height, width, stride; /* out: a multiple of 16, the last ones zero */
} mosaic_flow__packed;

/* One convolution at work. */
typedef struct mosaic_flow__conv {
    const float *weights, *start;  /* start: what chains begin with */
    size_t block, step;            /* from one block of outputs, and from one term, to the next */
    size_t start_row, start_pixel; /* 0 when all pixels begin with the bias */
    const float *in;               /* the first pixel under the kernel at output (0, 0) */
    size_t in_row, in_pixel;
    float *out;
    size_t out_row, out_pixel;
    int channels, kernel_height, kernel_width, stride, outputs, width, height, relu;
} mosaic_flow__conv;

/* The windows of the correlation that one row of pixels looks at, on one level. */
typedef struct mosaic_flow__windows {
    const float *flow;  /* dx, dy for each pixel, in pixels of level 0 */
    const float *first; /* features of the pixels, or null: the volume has it all */
    size_t first_pixel;
    const float *second;       /* with first: features [row][channel][column], column 0 of row 0 */
    const float *volume;       /* without: correlation [pixel][row][column] */
    size_t row, column, pixel; /* column: from channel to channel; pixel: from volume to volume */
    const float *zeros;        /* a row of `second` that is zero */
    float *out;                /* (2r + 1) * (2r + 1) for each pixel: dy, dx */
    size_t out_pixel;
    int width, height; /* of the level */
    int count, y, level, radius, channels;
} mosaic_flow__windows;

#define MOSAIC_FLOW__MARGIN 16 /* zeros on each side of a row of features: windows reach over the edge */
#define MOSAIC_FLOW__TAPS 32   /* floats in a row of a window that is put together */

struct mosaic_flow__kernels {
    int lanes;
    void (*conv)(const mosaic_flow__conv *c, int top, int bottom);
    /* Sums of `count` pixels and of their squares, for each channel. */
    void (*sums)(const float *in, size_t pixel, int count, int channels, double *sums);
    /* x * factor + shift, and the positive part of it with relu. */
    void (*normalise)(float *x, size_t pixel, int count, int channels, const float *factor, const float *shift, int relu);
    /* The positive part of a + b, to a. */
    void (*join)(float *a, const float *b, size_t pixel_a, size_t pixel_b, int count, int channels);
    void (*tanh)(const float *x, size_t pixel, float *out, size_t out_pixel, int count, int channels);
    void (*relu)(const float *x, size_t pixel, float *out, size_t out_pixel, int count, int channels);
    /* zr: z and r before their sigmoid, `channels` each; z stays there after it; out = r * hidden. */
    void (*gates)(float *zr, size_t pixel, const float *hidden, float *out, size_t out_pixel, int count, int channels);
    /* hidden = (1 - z) * hidden + z * tanh(q); the same to out. */
    void (*update)(const float *zr, size_t pixel, const float *q, float *hidden, float *out, size_t out_pixel, int count, int channels);
    void (*look)(const mosaic_flow__windows *w);
    /* The 8 x 8 vectors that a pixel becomes: mask of 9 * 64 and the nine vectors around. */
    void (*convex)(const float *mask, const float flow[9][2], float *out);
    /* DIS: */
    void (*dis_slopes)(const mosaic_flow__dis_level *level, int slot);
    void (*dis_search)(const mosaic_flow__dis_way *way, int row);
    void (*dis_spread)(const mosaic_flow__dis_way *way, int row, int pass);
    void (*dis_blend)(const mosaic_flow__dis_way *way);
    void (*dis_refine)(const mosaic_flow__dis_way *way);
    void (*dis_raise)(const mosaic_flow__dis_way *way);
    void (*dis_write)(const mosaic_flow__dis_way *way, int y);
    void (*dis_grey)(const uint8_t *rgb, uint8_t *grey, int count);
    void (*dis_halve)(const uint8_t *p, ptrdiff_t stride, uint8_t *to, int count);
    void (*dis_smooth)(const mosaic_flow__dis_way *way);
    void (*fit_row)(const uint8_t *p, uint32_t weight, uint32_t *sums, int count);
};

/* a * b + c rounded once. The product is exact in double; the sum is rounded to odd (if it is not exact, its last bit is made 1), which keeps what the
   second rounding needs to know (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd",
   2008). */
MOSAIC__UNUSED static float mosaic_flow__fma(float a, float b, float c)
{
    const double product = (double)a * (double)b, sum = product + (double)c;
    const double other = sum - product, error = (product - (sum - other)) + ((double)c - other);
    double odd = sum;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if (error < 0 || error > 0) { /* neither for what is infinite or no number */
        if (!(bits & 1)) bits += (error > 0) == (sum > 0) ? 1u : (uint64_t)-1;
        memcpy(&odd, &bits, sizeof odd);
    }
    return (float)odd;
}

#define MOSAIC_FLOW__LANES 1
#define MOSAIC_FLOW__SUFFIX plain
#define MOSAIC_FLOW__ISA
#if defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define MOSAIC_FLOW__FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MOSAIC_FLOW__FMA(a, b, c) mosaic_flow__fma(a, b, c)
#endif
#include MOSAIC_FLOW_FILE
#if MOSAIC_FLOW__SIMD
#define MOSAIC_FLOW__LANES 1
#define MOSAIC_FLOW__SUFFIX fused
#define MOSAIC_FLOW__ISA MOSAIC__TARGET("fma")
#define MOSAIC_FLOW__FMA(a, b, c) __builtin_fmaf(a, b, c)
#include MOSAIC_FLOW_FILE
#define MOSAIC_FLOW__LANES 8
#define MOSAIC_FLOW__SUFFIX avx2
#define MOSAIC_FLOW__ISA MOSAIC__TARGET("avx2,fma")
#define MOSAIC_FLOW__FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MOSAIC_FLOW__SET(x) _mm256_set1_ps(x)
#define MOSAIC_FLOW__WIDEN(p) _mm256_cvtps_pd(_mm_loadu_ps(p))
#include MOSAIC_FLOW_FILE
#if defined(__GNUC__) && !defined(__clang__) /* gcc 12 takes the undefined inputs of its own intrinsics for mistakes of ours */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define MOSAIC_FLOW__LANES 16
#define MOSAIC_FLOW__SUFFIX avx512
#define MOSAIC_FLOW__ISA MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#define MOSAIC_FLOW__FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MOSAIC_FLOW__SET(x) _mm512_set1_ps(x)
#define MOSAIC_FLOW__WIDEN(p) _mm512_cvtps_pd(_mm256_loadu_ps(p))
#include MOSAIC_FLOW_FILE
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#elif defined(__aarch64__) && !defined(MOSAIC_FLOW_NO_SIMD) && (defined(__GNUC__) || defined(__clang__))
#include <arm_neon.h>
#define MOSAIC_FLOW__LANES 4
#define MOSAIC_FLOW__SUFFIX neon
#define MOSAIC_FLOW__ISA
#define MOSAIC_FLOW__FMA(a, b, c) vfmaq_f32(c, a, b)
#define MOSAIC_FLOW__SET(x) vdupq_n_f32(x)
#define MOSAIC_FLOW__WIDEN(p) vcvt_f64_f32(vld1_f32(p))
#include MOSAIC_FLOW_FILE
#endif

/* The one list of kernels. */
static const mosaic_flow__kernels *mosaic_flow__float_kernels(int level)
{
#if MOSAIC_FLOW__SIMD
    if (!__builtin_cpu_supports("fma")) return &mosaic_flow__kernels_plain;
    if (level >= 2) return &mosaic_flow__kernels_avx512;
    if (level == 1) return &mosaic_flow__kernels_avx2;
    return &mosaic_flow__kernels_fused;
#elif defined(__aarch64__) && !defined(MOSAIC_FLOW_NO_SIMD) && (defined(__GNUC__) || defined(__clang__))
    return level == 0 ? &mosaic_flow__kernels_neon : &mosaic_flow__kernels_plain;
#else
    (void)level;
    return &mosaic_flow__kernels_plain;
#endif
}

typedef struct mosaic_flow__float {
    mosaic_flow__raft raft;
    const mosaic_flow__kernels *kernels;
    int on_demand;
    mosaic_flow__packed encoder[44]; /* fnet and cnet, by the number of their layers */
    mosaic_flow__packed corr1, corr2, flow1, flow2, merge, head1, head2, mask1, mask2;
    mosaic_flow__packed gates_context[2], gates[2], candidate_context[2], candidate[2]; /* the second of the large model alone */
    int recurrent;                                                                      /* how many recurrent units: 1 or 2 */

    /* of each picture */
    mosaic_flow__map features[2], context[2];
    int context_ready[2];
    float *carried[2]; /* the last result of each direction, for a warm start */

    /* encoders; they share their memory with what follows */
    mosaic_flow__map image, wide[3][2], narrow[3][2]; /* at 1/2, 1/4 and 1/8 of the size */
    double *row_sums;
    float *factor, *shift;

    /* the update */
    float *second[4];       /* features of the other picture, averaged, [row][channel][column]; behind the last row one of zeros */
    size_t second_pitch[4]; /* from channel to channel */
    float *volume;
    size_t volume_pitch[4], volume_level[4], volume_pixel;
    mosaic_flow__map hidden, state, input, start[2], zr, q, corr, corr_mid, flow_mid, merged, flow, head, delta, mask_mid, mask;
    int *sample_index[2];
    float *sample_weight[2];
    int32_t *sources;
} mosaic_flow__float;

static void mosaic_flow__take_map(mosaic_flow__arena *arena, mosaic_flow__map *map, int width, int height, int channels, int halo)
{
    float *memory;
    map->width = width;
    map->height = height;
    map->halo = halo;
    map->pixel = (size_t)channels;
    map->row = map->pixel * (size_t)(width + 2 * halo);
    /* Kernels may load, but not use, up to a vector behind the last number. */
    memory = (float *)mosaic_flow__take(arena, map->row * (size_t)(height + 2 * halo) + 16, sizeof(float));
    map->at = memory ? memory + (size_t)halo * (map->row + map->pixel) : 0;
}

static void mosaic_flow__clear_halo(const mosaic_flow__map *map)
{
    const size_t halo = (size_t)map->halo, side = halo * map->pixel;
    float *corner = map->at - halo * map->row - side;
    size_t y;
    if (!halo) return;
    memset(corner, 0, halo * map->row * sizeof(float));
    memset(corner + (halo + (size_t)map->height) * map->row, 0, halo * map->row * sizeof(float));
    for (y = halo; y < halo + (size_t)map->height; y++) {
        memset(corner + y * map->row, 0, side * sizeof(float));
        memset(corner + (y + 1) * map->row - side, 0, side * sizeof(float));
    }
}

/* Outputs in whole vectors of all kernels. */
static int mosaic_flow__rounded(int channels) { return (channels + 15) / 16 * 16; }

static void mosaic_flow__take_packed(mosaic_flow__arena *arena, mosaic_flow__packed *packed, const mosaic_flow__layer *layer, int in, int out)
{
    packed->in = in;
    packed->out = mosaic_flow__rounded(out);
    packed->height = layer->height;
    packed->width = layer->width;
    packed->stride = layer->stride;
    packed->weights = (float *)mosaic_flow__take(arena, (size_t)in * layer->height * layer->width * (size_t)packed->out, sizeof(float));
    packed->bias = (float *)mosaic_flow__take(arena, (size_t)packed->out, sizeof(float));
}

/* Packs layer `index` of the weights as outputs first ... of `packed`; order[i] is the channel of the layer that is input i, or null for all
   in their order. */
static void mosaic_flow__pack(const mosaic_flow__packed *packed, const mosaic_flow_weights *weights, int index, int first, const short *order,
                              int bias, int lanes)
{
    const mosaic_flow__layer *l = &weights->model->layers[index];
    const size_t taps = (size_t)l->height * l->width, terms = taps * (size_t)packed->in;
    size_t o, t, i;
    for (o = 0; o < l->out; o++) {
        const size_t output = (size_t)first + o, wide = 2 * (size_t)lanes, block = output / wide * wide;
        const size_t size = (size_t)packed->out - block < wide ? (size_t)packed->out - block : wide;
        float *to = packed->weights + block * terms + output - block;
        for (t = 0; t < taps; t++)
            for (i = 0; i < (size_t)packed->in; i++, to += size)
                *to = weights->weight[index][(o * l->in + (order ? (size_t)order[i] : i)) * taps + t];
        packed->bias[output] = bias ? weights->bias[index][o] : 0;
    }
}

/* ---- jobs over rows ---- */

typedef struct mosaic_flow__rows {
    const mosaic_flow *flow;
    mosaic_flow__float *f;
    void (*rows)(const struct mosaic_flow__rows *job, int top, int bottom);
    int height, each;
    const mosaic_flow__conv *conv;
    const mosaic_flow__map *a, *b;
    int channels, relu, slot;
    double *sums;
} mosaic_flow__rows;

static void mosaic_flow__rows_job(void *arg, int index)
{
    const mosaic_flow__rows *job = (const mosaic_flow__rows *)arg;
    const unsigned long long fp = mosaic__fp_enter();
    const int top = index * job->each, bottom = top + job->each < job->height ? top + job->each : job->height;
    job->rows(job, top, bottom);
    mosaic__fp_leave(fp);
}

/* All rows in one go without threads, since each go reads all weights; in up to 64 jobs with. */
static void mosaic_flow__over_rows(mosaic_flow__rows *job, int height)
{
    job->height = height;
    job->each = job->flow->o.run ? (height + 63) / 64 : height;
    mosaic_flow__jobs(job->flow, mosaic_flow__rows_job, job, (height + job->each - 1) / job->each);
}

static void mosaic_flow__conv_rows(const mosaic_flow__rows *job, int top, int bottom) { job->f->kernels->conv(job->conv, top, bottom); }

/* out (from channel `out_first` on) = in (from `in_first` on) convolved; chains begin with `start`, from channel start_first on, or the bias. */
static void mosaic_flow__convolve(const mosaic_flow *flow, mosaic_flow__float *f, const mosaic_flow__packed *packed, const mosaic_flow__map *in,
                                  int in_first, const mosaic_flow__map *start, int start_first, const mosaic_flow__map *out, int out_first, int relu)
{
    mosaic_flow__conv c;
    mosaic_flow__rows job;
    memset(&c, 0, sizeof c);
    memset(&job, 0, sizeof job);
    c.weights = packed->weights;
    c.step = 2 * (size_t)f->kernels->lanes;
    c.block = c.step * (size_t)packed->in * (size_t)packed->height * (size_t)packed->width;
    c.start = start ? start->at + start_first : packed->bias;
    c.start_row = start ? start->row : 0;
    c.start_pixel = start ? start->pixel : 0;
    c.in = in->at - (size_t)(packed->height / 2) * in->row - (size_t)(packed->width / 2) * in->pixel + in_first;
    c.in_row = in->row;
    c.in_pixel = in->pixel;
    c.out = out->at + out_first;
    c.out_row = out->row;
    c.out_pixel = out->pixel;
    c.channels = packed->in;
    c.kernel_height = packed->height;
    c.kernel_width = packed->width;
    c.stride = packed->stride;
    c.outputs = packed->out;
    c.width = out->width;
    c.height = out->height;
    c.relu = relu;
    MOSAIC_FLOW_ASSERT(in->halo >= packed->height / 2 && in->halo >= packed->width / 2);
    job.flow = flow;
    job.f = f;
    job.rows = mosaic_flow__conv_rows;
    job.conv = &c;
    mosaic_flow__over_rows(&job, out->height);
}

static void mosaic_flow__sum_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    int y;
    for (y = top; y < bottom; y++)
        job->f->kernels->sums(job->a->at + (size_t)y * job->a->row, job->a->pixel, job->a->width, job->channels,
                              job->sums + (size_t)y * 2 * (size_t)job->channels);
}

static void mosaic_flow__normalise_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    int y;
    for (y = top; y < bottom; y++)
        job->f->kernels->normalise(job->a->at + (size_t)y * job->a->row, job->a->pixel, job->a->width, job->channels, job->f->factor, job->f->shift,
                                   job->relu);
}

/* Instance norm: each channel to mean 0 and variance 1. Sums in double: along each row, then down the rows. */
static void mosaic_flow__instance_norm(const mosaic_flow *flow, mosaic_flow__float *f, const mosaic_flow__map *map, int channels, int relu)
{
    const double inverse = 1.0 / ((double)map->width * (double)map->height);
    mosaic_flow__rows job;
    int c, y;
    memset(&job, 0, sizeof job);
    job.flow = flow;
    job.f = f;
    job.a = map;
    job.channels = mosaic_flow__rounded(channels);
    job.relu = relu;
    job.sums = f->row_sums;
    job.rows = mosaic_flow__sum_rows;
    mosaic_flow__over_rows(&job, map->height);
    for (c = 0; c < job.channels; c++) {
        double sum = 0, squares = 0, mean, variance, factor;
        for (y = 0; y < map->height; y++) {
            sum += job.sums[((size_t)y * 2) * (size_t)job.channels + (size_t)c];
            squares += job.sums[((size_t)y * 2 + 1) * (size_t)job.channels + (size_t)c];
        }
        mean = sum * inverse;
        variance = squares * inverse - mean * mean;
        factor = mosaic_flow__inverse_root((variance > 0 ? variance : 0) + 1e-5);
        f->factor[c] = (float)factor;
        f->shift[c] = (float)(-mean * factor);
    }
    job.rows = mosaic_flow__normalise_rows;
    mosaic_flow__over_rows(&job, map->height);
}

static void mosaic_flow__join_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    int y;
    for (y = top; y < bottom; y++)
        job->f->kernels->join(job->a->at + (size_t)y * job->a->row, job->b->at + (size_t)y * job->b->row, job->a->pixel, job->b->pixel, job->a->width,
                              job->channels);
}

/* One layer of an encoder with what follows it. */
static void mosaic_flow__encoder_layer(const mosaic_flow *flow, mosaic_flow__float *f, int layer, const mosaic_flow__map *in,
                                       const mosaic_flow__map *out, int relu)
{
    const mosaic_flow__layer *l = &f->raft.model->layers[layer];
    mosaic_flow__convolve(flow, f, &f->encoder[layer], in, 0, 0, 0, out, 0, relu && l->norm != 1);
    if (l->norm == 1) mosaic_flow__instance_norm(flow, f, out, l->out, relu);
}

/* Runs fnet (first layer 0) or cnet on a picture. */
static void mosaic_flow__encode_picture(const mosaic_flow *flow, mosaic_flow__float *f, int slot, int layer, const mosaic_flow__map *out)
{
    const mosaic_flow__raft *raft = &f->raft;
    const mosaic_flow__map *now;
    float value[256];
    mosaic_flow__rows job;
    int stage, block, x, y, i, c;

    for (i = 0; i < 256; i++) value[i] = (float)(2 * i - 255) / 255.0f;
    mosaic_flow__clear_halo(&f->image);
    for (i = 0; i < 3; i++)
        for (c = 0; c < 2; c++) {
            mosaic_flow__clear_halo(&f->wide[i][c]);
            mosaic_flow__clear_halo(&f->narrow[i][c]);
        }
    for (y = 0; y < raft->height; y++) {
        const int from_y = y < raft->top ? 0 : y - raft->top < flow->field.height ? y - raft->top : flow->field.height - 1;
        const uint8_t *row = flow->picture[slot] + (size_t)from_y * (size_t)flow->field.width * 3;
        float *to = f->image.at + (size_t)y * f->image.row;
        for (x = 0; x < raft->width; x++, to += 3) {
            const int from = x < raft->left ? 0 : x - raft->left < flow->field.width ? x - raft->left : flow->field.width - 1;
            for (c = 0; c < 3; c++) to[c] = value[row[3 * from + c]];
        }
    }
    memset(&job, 0, sizeof job);
    job.flow = flow;
    job.f = f;
    job.rows = mosaic_flow__join_rows;

    now = &f->wide[0][0];
    mosaic_flow__encoder_layer(flow, f, layer++, &f->image, now, 1);
    for (stage = 0; stage < 3; stage++)
        for (block = 0; block < 2; block++) {
            const int down = stage > 0 && block == 0;
            const mosaic_flow__map *a = &f->narrow[down ? stage - 1 : stage][0], *b = &f->narrow[stage][1], *skip = now,
                                   *sum = &f->wide[stage][now == &f->wide[stage][0]];
            const int channels = raft->model->layers[layer + raft->model->bottleneck - 1].out;
            if (raft->model->bottleneck == 3) {
                mosaic_flow__encoder_layer(flow, f, layer, now, a, 1);
                mosaic_flow__encoder_layer(flow, f, layer + 1, a, b, 1);
                mosaic_flow__encoder_layer(flow, f, layer + 2, b, sum, 1);
            } else {
                a = &f->narrow[stage][0];
                mosaic_flow__encoder_layer(flow, f, layer, now, a, 1);
                mosaic_flow__encoder_layer(flow, f, layer + 1, a, sum, 1);
            }
            layer += raft->model->bottleneck;
            if (down) {
                skip = &f->wide[stage][sum == &f->wide[stage][0]];
                mosaic_flow__encoder_layer(flow, f, layer++, now, skip, 0);
            }
            job.a = sum;
            job.b = skip;
            job.channels = mosaic_flow__rounded(channels);
            mosaic_flow__over_rows(&job, sum->height);
            now = sum;
        }
    mosaic_flow__convolve(flow, f, &f->encoder[layer], now, 0, 0, 0, out, 0, 0);
}

static void mosaic_flow__float_encode(mosaic_flow *flow, int slot)
{
    mosaic_flow__float *f = (mosaic_flow__float *)flow->method;
    mosaic_flow__encode_picture(flow, f, slot, 0, &f->features[slot]);
    f->context_ready[slot] = 0;
}

/* ---- correlation ---- */

/* Rows of one level of the other picture's features: level 0 from its map, the others by averaging the level before. */
static void mosaic_flow__spread_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    const mosaic_flow__float *f = job->f;
    const int level = job->slot, w = f->raft.level_width[level];
    const size_t channels = (size_t)f->raft.model->features, pitch = f->second_pitch[level];
    size_t c;
    int x, y;
    for (y = top; y < bottom; y++) {
        float *to = f->second[level] + (size_t)y * channels * pitch;
        if (level == 0) {
            /* Scaled here, so that correlations are. */
            const float scale = channels == 256 ? 0.0625f : 0.088388347648f, *from = job->a->at + (size_t)y * job->a->row;
            for (x = 0; x < w; x++, from += job->a->pixel)
                for (c = 0; c < channels; c++) to[c * pitch + (size_t)x] = from[c] * scale;
        } else {
            const size_t above = f->second_pitch[level - 1];
            for (c = 0; c < channels; c++, to += pitch) {
                const float *a = f->second[level - 1] + ((size_t)(2 * y) * channels + c) * above, *b = a + channels * above;
                for (x = 0; x < w; x++) to[x] = ((a[2 * x] + a[2 * x + 1]) + (b[2 * x] + b[2 * x + 1])) * 0.25f;
            }
        }
    }
}

/* Correlation of rows of pixels with all pixels of the other picture, on all levels. */
static void mosaic_flow__volume_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    const mosaic_flow__float *f = job->f;
    const mosaic_flow__map *first = job->a;
    const size_t channels = (size_t)f->raft.model->features;
    int level, y;
    for (level = 0; level < 4; level++)
        for (y = 0; y < f->raft.level_height[level]; y++) {
            mosaic_flow__conv c;
            memset(&c, 0, sizeof c);
            c.weights = f->second[level] + (size_t)y * channels * f->second_pitch[level];
            c.block = 2 * (size_t)f->kernels->lanes;
            c.step = f->second_pitch[level];
            c.start = f->second[level] + (size_t)f->raft.level_height[level] * channels * f->second_pitch[level]; /* the row of zeros */
            c.in = first->at;
            c.in_row = first->row;
            c.in_pixel = first->pixel;
            c.out = f->volume + f->volume_level[level] + (size_t)y * f->volume_pitch[level];
            c.out_row = f->volume_pixel * (size_t)first->width;
            c.out_pixel = f->volume_pixel;
            c.channels = (int)channels;
            c.kernel_height = c.kernel_width = c.stride = 1;
            c.outputs = (int)f->volume_pitch[level];
            c.width = first->width;
            c.height = first->height;
            f->kernels->conv(&c, top, bottom);
        }
}

static void mosaic_flow__look_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    const mosaic_flow__float *f = job->f;
    const mosaic_flow__raft *raft = &f->raft;
    const int side = 2 * raft->model->radius + 1;
    int level, y;
    for (y = top; y < bottom; y++)
        for (level = 0; level < 4; level++) {
            mosaic_flow__windows w;
            memset(&w, 0, sizeof w);
            w.flow = f->flow.at + (size_t)y * f->flow.row;
            w.width = raft->level_width[level];
            w.height = raft->level_height[level];
            if (f->on_demand) {
                w.first = job->a->at + (size_t)y * job->a->row;
                w.first_pixel = job->a->pixel;
                w.second = f->second[level];
                w.column = f->second_pitch[level];
                w.row = w.column * (size_t)raft->model->features;
                w.zeros = w.second + w.row * (size_t)w.height;
            } else {
                w.volume = f->volume + (size_t)y * (size_t)raft->w8 * f->volume_pixel + f->volume_level[level];
                w.row = f->volume_pitch[level];
                w.pixel = f->volume_pixel;
            }
            w.out = f->corr.at + (size_t)y * f->corr.row + (size_t)(level * side * side);
            w.out_pixel = f->corr.pixel;
            w.count = raft->w8;
            w.y = y;
            w.level = level;
            w.radius = raft->model->radius;
            w.channels = raft->model->features;
            f->kernels->look(&w);
        }
}

/* ---- the recurrent update ---- */

static void mosaic_flow__begin_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    const mosaic_flow__float *f = job->f;
    const int hidden = f->raft.model->hidden, context = f->raft.model->context, w = f->raft.w8;
    int y;
    for (y = top; y < bottom; y++) {
        const float *from = job->a->at + (size_t)y * job->a->row;
        float *h = f->hidden.at + (size_t)y * f->hidden.row;
        int x;
        f->kernels->tanh(from, job->a->pixel, h, f->hidden.pixel, w, hidden);
        for (x = 0; x < w; x++)
            memcpy(f->state.at + (size_t)y * f->state.row + (size_t)x * f->state.pixel, h + (size_t)x * f->hidden.pixel, (size_t)hidden * sizeof *h);
        f->kernels->relu(from + hidden, job->a->pixel, f->input.at + (size_t)y * f->input.row, f->input.pixel, w, context);
    }
}

static void mosaic_flow__gate_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    const mosaic_flow__float *f = job->f;
    int y;
    for (y = top; y < bottom; y++)
        f->kernels->gates(f->zr.at + (size_t)y * f->zr.row, f->zr.pixel, f->hidden.at + (size_t)y * f->hidden.row,
                          f->state.at + (size_t)y * f->state.row, f->state.pixel, f->raft.w8, f->raft.model->hidden);
}

static void mosaic_flow__update_rows(const mosaic_flow__rows *job, int top, int bottom)
{
    const mosaic_flow__float *f = job->f;
    int y;
    for (y = top; y < bottom; y++)
        f->kernels->update(f->zr.at + (size_t)y * f->zr.row, f->zr.pixel, f->q.at + (size_t)y * f->q.row, f->hidden.at + (size_t)y * f->hidden.row,
                           f->state.at + (size_t)y * f->state.row, f->state.pixel, f->raft.w8, f->raft.model->hidden);
}

static void mosaic_flow__iterate(const mosaic_flow *flow, mosaic_flow__float *f, const mosaic_flow__map *first)
{
    const mosaic_flow__model *model = f->raft.model;
    const int corr_out = f->raft.model->layers[model->update + (f->recurrent == 2 ? MOSAIC_FLOW__CORR2 : MOSAIC_FLOW__CORR1)].out;
    const int motion = model->hidden + model->layers[model->update + MOSAIC_FLOW__MERGE].out;
    mosaic_flow__rows job;
    int x, y, i;
    memset(&job, 0, sizeof job);
    job.flow = flow;
    job.f = f;
    job.a = first;
    job.rows = mosaic_flow__look_rows;
    mosaic_flow__over_rows(&job, f->raft.h8);
    if (f->recurrent == 2) {
        mosaic_flow__convolve(flow, f, &f->corr1, &f->corr, 0, 0, 0, &f->corr_mid, 0, 1);
        mosaic_flow__convolve(flow, f, &f->corr2, &f->corr_mid, 0, 0, 0, &f->merged, 0, 1);
    } else {
        mosaic_flow__convolve(flow, f, &f->corr1, &f->corr, 0, 0, 0, &f->merged, 0, 1);
    }
    mosaic_flow__convolve(flow, f, &f->flow1, &f->flow, 0, 0, 0, &f->flow_mid, 0, 1);
    mosaic_flow__convolve(flow, f, &f->flow2, &f->flow_mid, 0, 0, 0, &f->merged, corr_out, 1);
    mosaic_flow__convolve(flow, f, &f->merge, &f->merged, 0, 0, 0, &f->state, model->hidden, 1);
    for (y = 0; y < f->raft.h8; y++)
        for (x = 0; x < f->raft.w8; x++)
            memcpy(f->state.at + (size_t)y * f->state.row + (size_t)x * f->state.pixel + motion, f->flow.at + (size_t)y * f->flow.row + (size_t)x * 2,
                   2 * sizeof(float));
    for (i = 0; i < f->recurrent; i++) {
        mosaic_flow__convolve(flow, f, &f->gates[i], &f->state, 0, &f->start[i], 0, &f->zr, 0, 0);
        job.rows = mosaic_flow__gate_rows;
        mosaic_flow__over_rows(&job, f->raft.h8);
        mosaic_flow__convolve(flow, f, &f->candidate[i], &f->state, 0, &f->start[i], 2 * model->hidden, &f->q, 0, 0);
        job.rows = mosaic_flow__update_rows;
        mosaic_flow__over_rows(&job, f->raft.h8);
    }
    mosaic_flow__convolve(flow, f, &f->head1, &f->state, 0, 0, 0, &f->head, 0, 1);
    mosaic_flow__convolve(flow, f, &f->head2, &f->head, 0, 0, 0, &f->delta, 0, 0);
    for (y = 0; y < f->raft.h8; y++)
        for (x = 0; x < f->raft.w8; x++)
            for (i = 0; i < 2; i++)
                f->flow.at[(size_t)y * f->flow.row + (size_t)x * 2 + (size_t)i] +=
                    f->delta.at[(size_t)y * f->delta.row + (size_t)x * f->delta.pixel + (size_t)i];
}

/* ---- from an eighth of the size to the field ---- */

/* A vector to where it is wanted: px, or 1/64 px rounded to the nearest (halves to even) and kept within int16. */
static void mosaic_flow__deliver(const mosaic_flow *flow, int x, int y, const float v[2], int16_t *vectors, float *out)
{
    const size_t at = ((size_t)y * (size_t)flow->field.width + (size_t)x) * 2;
    int i;
    for (i = 0; i < 2; i++) {
        if (out) {
            out[at + (size_t)i] = v[i];
        } else {
            /* Floats from 2^23 to 2^24 are a whole apart; what is no number becomes the least. */
            float fixed = v[i] * 64;
            fixed = fixed > -32767.0f ? fixed : -32767.0f;
            fixed = (fixed < 32767.0f ? fixed : 32767.0f) + 12582912.0f;
            vectors[at + (size_t)i] = (int16_t)(fixed - 12582912.0f);
        }
    }
}

/* Eight times the linear interpolation that takes corners to corners. */
static void mosaic_flow__upsample_linear(const mosaic_flow *flow, const mosaic_flow__float *f, int16_t *vectors, float *out)
{
    const mosaic_flow__raft *raft = &f->raft;
    int x, y, i;
    for (y = 0; y < flow->field.height; y++) {
        const int top = f->sample_index[1][y + raft->top], below = top + 1 < raft->h8 ? top + 1 : top;
        const float fy = f->sample_weight[1][y + raft->top], gy = 1 - fy;
        for (x = 0; x < flow->field.width; x++) {
            const int left = f->sample_index[0][x + raft->left], right = left + 1 < raft->w8 ? left + 1 : left;
            const float fx = f->sample_weight[0][x + raft->left], gx = 1 - fx;
            const float *a = f->flow.at + (size_t)top * f->flow.row, *b = f->flow.at + (size_t)below * f->flow.row;
            float v[2];
            for (i = 0; i < 2; i++)
                v[i] = 8 * ((a[2 * left + i] * gx + a[2 * right + i] * fx) * gy + (b[2 * left + i] * gx + b[2 * right + i] * fx) * fy);
            mosaic_flow__deliver(flow, x, y, v, vectors, out);
        }
    }
}

/* Means of the nine vectors around, with weights that the network chose for each of 8 x 8 pixels. */
static void mosaic_flow__upsample_convex(const mosaic_flow *flow, mosaic_flow__float *f, int16_t *vectors, float *out)
{
    const mosaic_flow__raft *raft = &f->raft;
    int x, y, i, k;
    mosaic_flow__convolve(flow, f, &f->mask1, &f->state, 0, 0, 0, &f->mask_mid, 0, 1);
    mosaic_flow__convolve(flow, f, &f->mask2, &f->mask_mid, 0, 0, 0, &f->mask, 0, 0);
    for (y = 0; y < raft->h8; y++)
        for (x = 0; x < raft->w8; x++) {
            float around[9][2], v[64][2];
            for (k = 0; k < 9; k++) /* the halo is zero, as it should be */
                memcpy(around[k], f->flow.at + (ptrdiff_t)f->flow.row * (y + k / 3 - 1) + 2 * (x + k % 3 - 1), sizeof around[k]);
            f->kernels->convex(f->mask.at + (size_t)y * f->mask.row + (size_t)x * f->mask.pixel, (const float(*)[2])around, &v[0][0]);
            for (i = 0; i < 64; i++) {
                const int px = 8 * x + i % 8 - raft->left, py = 8 * y + i / 8 - raft->top;
                if (px >= 0 && py >= 0 && px < flow->field.width && py < flow->field.height) mosaic_flow__deliver(flow, px, py, v[i], vectors, out);
            }
        }
}

static void mosaic_flow__float_estimate(mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors, float *out)
{
    mosaic_flow__float *f = (mosaic_flow__float *)flow->method;
    const mosaic_flow__raft *raft = &f->raft;
    mosaic_flow__rows job;
    int i, y;
    size_t k;
    if (!f->context_ready[from]) {
        mosaic_flow__encode_picture(flow, f, from, raft->model->cnet, &f->context[from]);
        f->context_ready[from] = 1;
    }
    mosaic_flow__clear_halo(&f->state);
    mosaic_flow__clear_halo(&f->input);
    mosaic_flow__clear_halo(&f->merged);
    mosaic_flow__clear_halo(&f->flow);
    mosaic_flow__clear_halo(&f->flow_mid);
    mosaic_flow__clear_halo(&f->head);
    if (f->recurrent == 2) mosaic_flow__clear_halo(&f->corr_mid);
    for (i = 0; i < 4; i++) {
        const size_t channels = (size_t)raft->model->features, pitch = f->second_pitch[i], rows = channels * (size_t)raft->level_height[i];
        for (k = 0; k < rows; k++) {
            float *row = f->second[i] + k * pitch;
            memset(row - MOSAIC_FLOW__MARGIN, 0, MOSAIC_FLOW__MARGIN * sizeof *row);
            memset(row + raft->level_width[i], 0, (pitch - MOSAIC_FLOW__MARGIN - (size_t)raft->level_width[i]) * sizeof *row);
        }
        memset(f->second[i] + rows * pitch - MOSAIC_FLOW__MARGIN, 0, (channels * pitch + MOSAIC_FLOW__MARGIN) * sizeof(float));
    }
    memset(&job, 0, sizeof job);
    job.flow = flow;
    job.f = f;
    job.a = &f->features[1 - from];
    job.rows = mosaic_flow__spread_rows;
    for (i = 0; i < 4; i++)
        if (raft->level_height[i]) {
            job.slot = i;
            mosaic_flow__over_rows(&job, raft->level_height[i]);
        }
    if (!f->on_demand) {
        job.a = &f->features[from];
        job.rows = mosaic_flow__volume_rows;
        mosaic_flow__over_rows(&job, raft->h8);
    }
    job.a = &f->context[from];
    job.rows = mosaic_flow__begin_rows;
    mosaic_flow__over_rows(&job, raft->h8);
    for (i = 0; i < f->recurrent; i++) {
        mosaic_flow__convolve(flow, f, &f->gates_context[i], &f->input, 0, 0, 0, &f->start[i], 0, 0);
        mosaic_flow__convolve(flow, f, &f->candidate_context[i], &f->input, 0, 0, 0, &f->start[i], 2 * raft->model->hidden, 0);
    }
    for (y = 0; y < raft->h8; y++) {
        float *row = f->flow.at + (size_t)y * f->flow.row;
        if (init)
            memcpy(row, init + (size_t)y * (size_t)raft->w8 * 2, (size_t)raft->w8 * 2 * sizeof *row);
        else
            memset(row, 0, (size_t)raft->w8 * 2 * sizeof *row);
    }
    if (direction >= 0 && f->carried[direction] && flow->streamed > 1) {
        const float *last = f->carried[direction];
        const int none = raft->w8 * raft->h8;
        mosaic_flow__carry(raft, direction, last, f->sources, f->q.at /* not needed yet */);
        for (y = 0; y < none; y++) {
            float *to = f->flow.at + (size_t)(y / raft->w8) * f->flow.row + (size_t)(y % raft->w8) * 2;
            to[0] = f->sources[y] == none ? 0 : last[2 * f->sources[y]];
            to[1] = f->sources[y] == none ? 0 : last[2 * f->sources[y] + 1];
        }
    }
    for (i = 0; i < flow->o.iterations; i++) mosaic_flow__iterate(flow, f, &f->features[from]);
    if (direction >= 0 && f->carried[direction])
        for (y = 0; y < raft->h8; y++)
            memcpy(f->carried[direction] + (size_t)y * (size_t)raft->w8 * 2, f->flow.at + (size_t)y * f->flow.row,
                   (size_t)raft->w8 * 2 * sizeof(float));
    if (f->recurrent == 2)
        mosaic_flow__upsample_convex(flow, f, vectors, out);
    else
        mosaic_flow__upsample_linear(flow, f, vectors, out);
}

/* ---- memory and weights ---- */

static mosaic_flow_result mosaic_flow__float_plan(mosaic_flow *flow, mosaic_flow__arena *arena)
{
    mosaic_flow__float *f = (mosaic_flow__float *)mosaic_flow__take(arena, 1, sizeof *f), counted;
    const mosaic_flow__model *model = flow->o.weights->model;
    const mosaic_flow__layer *update = model->layers + model->update;
    const int hidden = model->hidden, recurrent = update[MOSAIC_FLOW__Z2].name ? 2 : 1;
    const int own = hidden + update[MOSAIC_FLOW__MERGE].out + 2; /* inputs of the recurrent unit but for the context */
    const int halo = recurrent == 2 ? 2 : 1, side = 2 * model->radius + 1;
    mosaic_flow__arena encoders;
    size_t volume = 0;
    int i, w, h;
    if (!f) {
        memset(&counted, 0, sizeof counted);
        f = &counted;
    }
    flow->method = f == &counted ? 0 : f;
    mosaic_flow__raft_shape(&f->raft, flow);
    f->kernels = mosaic_flow__float_kernels(flow->level);
    f->recurrent = recurrent;
    w = f->raft.w8;
    h = f->raft.h8;

    for (i = 0; i < model->update; i++) mosaic_flow__take_packed(arena, &f->encoder[i], &model->layers[i], model->layers[i].in, model->layers[i].out);
    mosaic_flow__take_packed(arena, &f->corr1, &update[MOSAIC_FLOW__CORR1], update[MOSAIC_FLOW__CORR1].in, update[MOSAIC_FLOW__CORR1].out);
    mosaic_flow__take_packed(arena, &f->flow1, &update[MOSAIC_FLOW__FLOW1], 2, update[MOSAIC_FLOW__FLOW1].out);
    mosaic_flow__take_packed(arena, &f->flow2, &update[MOSAIC_FLOW__FLOW2], update[MOSAIC_FLOW__FLOW2].in, update[MOSAIC_FLOW__FLOW2].out);
    mosaic_flow__take_packed(arena, &f->merge, &update[MOSAIC_FLOW__MERGE], update[MOSAIC_FLOW__MERGE].in, update[MOSAIC_FLOW__MERGE].out);
    mosaic_flow__take_packed(arena, &f->head1, &update[MOSAIC_FLOW__HEAD1], hidden, update[MOSAIC_FLOW__HEAD1].out);
    mosaic_flow__take_packed(arena, &f->head2, &update[MOSAIC_FLOW__HEAD2], update[MOSAIC_FLOW__HEAD2].in, 2);
    for (i = 0; i < recurrent; i++) {
        const mosaic_flow__layer *gate = &update[i ? MOSAIC_FLOW__Z2 : MOSAIC_FLOW__Z1];
        mosaic_flow__take_packed(arena, &f->gates_context[i], gate, model->context, 2 * hidden);
        mosaic_flow__take_packed(arena, &f->gates[i], gate, own, 2 * hidden);
        mosaic_flow__take_packed(arena, &f->candidate_context[i], gate, model->context, hidden);
        mosaic_flow__take_packed(arena, &f->candidate[i], gate, own, hidden);
    }
    if (recurrent == 2) {
        mosaic_flow__take_packed(arena, &f->corr2, &update[MOSAIC_FLOW__CORR2], update[MOSAIC_FLOW__CORR2].in, update[MOSAIC_FLOW__CORR2].out);
        mosaic_flow__take_packed(arena, &f->mask1, &update[MOSAIC_FLOW__MASK1], hidden, update[MOSAIC_FLOW__MASK1].out);
        mosaic_flow__take_packed(arena, &f->mask2, &update[MOSAIC_FLOW__MASK2], update[MOSAIC_FLOW__MASK2].in, update[MOSAIC_FLOW__MASK2].out);
    }

    for (i = 0; i < 2; i++) {
        mosaic_flow__take_map(arena, &f->features[i], w, h, model->features, 0);
        mosaic_flow__take_map(arena, &f->context[i], w, h, hidden + model->context, 0);
        f->carried[i] = flow->o.warm_start ? (float *)mosaic_flow__take(arena, (size_t)w * (size_t)h, 2 * sizeof(float)) : 0;
        f->sample_index[i] = (int *)mosaic_flow__take(arena, (size_t)(i ? f->raft.height : f->raft.width), sizeof(int));
        f->sample_weight[i] = (float *)mosaic_flow__take(arena, (size_t)(i ? f->raft.height : f->raft.width), sizeof(float));
    }
    f->sources = flow->o.warm_start ? (int32_t *)mosaic_flow__take(arena, (size_t)w * (size_t)h, 2 * sizeof(int32_t)) : 0;

    /* Encoders and updates take turns in the same memory. */
    encoders = *arena;
    mosaic_flow__take_map(&encoders, &f->image, f->raft.width, f->raft.height, 3, 3);
    for (i = 0; i < 3; i++) {
        const int size = 2 << i, channels = model->layers[i == 0 ? 0 : model->bottleneck * 2 * i + i + model->bottleneck - 1].out;
        const int inner =
            model->bottleneck == 3 ? mosaic_flow__rounded(i < 2 ? model->layers[model->bottleneck * 2 * (i + 1) + 1 + i].out : 24) : channels;
        int k;
        for (k = 0; k < 2; k++) {
            mosaic_flow__take_map(&encoders, &f->wide[i][k], f->raft.width / size, f->raft.height / size, channels, 1);
            mosaic_flow__take_map(&encoders, &f->narrow[i][k], f->raft.width / size, f->raft.height / size, inner, 1);
        }
    }
    f->row_sums = (double *)mosaic_flow__take(&encoders, (size_t)(f->raft.height / 2), 2 * 256 * sizeof(double));
    f->factor = (float *)mosaic_flow__take(&encoders, 256, sizeof(float));
    f->shift = (float *)mosaic_flow__take(&encoders, 256, sizeof(float));

    for (i = 0; i < 4; i++) {
        const size_t columns = (size_t)mosaic_flow__rounded(f->raft.level_width[i]);
        f->second_pitch[i] = columns + 2 * MOSAIC_FLOW__MARGIN;
        f->second[i] = (float *)mosaic_flow__take(
            arena, f->second_pitch[i] * (size_t)model->features * (size_t)(f->raft.level_height[i] + 1) + MOSAIC_FLOW__MARGIN, sizeof(float));
        if (f->second[i]) f->second[i] += MOSAIC_FLOW__MARGIN;
        f->volume_pitch[i] = columns;
        f->volume_level[i] = volume;
        volume += columns * (size_t)f->raft.level_height[i];
    }
    f->volume_pixel = volume;
    f->on_demand = (size_t)w * (size_t)h > flow->o.max_memory / sizeof(float) / (volume ? volume : 1);
    f->volume = f->on_demand ? 0 : (float *)mosaic_flow__take(arena, (size_t)w * (size_t)h * volume + 32, sizeof(float));
    mosaic_flow__take_map(arena, &f->hidden, w, h, hidden, 0);
    mosaic_flow__take_map(arena, &f->state, w, h, mosaic_flow__rounded(own), halo);
    mosaic_flow__take_map(arena, &f->input, w, h, model->context, halo);
    for (i = 0; i < recurrent; i++) mosaic_flow__take_map(arena, &f->start[i], w, h, 3 * hidden, 0);
    mosaic_flow__take_map(arena, &f->zr, w, h, 2 * hidden, 0);
    mosaic_flow__take_map(arena, &f->q, w, h, hidden, 0);
    mosaic_flow__take_map(arena, &f->corr, w, h, mosaic_flow__rounded(4 * side * side), 0);
    if (recurrent == 2) mosaic_flow__take_map(arena, &f->corr_mid, w, h, update[MOSAIC_FLOW__CORR1].out, 1);
    mosaic_flow__take_map(arena, &f->flow_mid, w, h, update[MOSAIC_FLOW__FLOW1].out, 1);
    mosaic_flow__take_map(arena, &f->merged, w, h, update[MOSAIC_FLOW__MERGE].in, 1);
    mosaic_flow__take_map(arena, &f->flow, w, h, 2, 3);
    mosaic_flow__take_map(arena, &f->head, w, h, update[MOSAIC_FLOW__HEAD1].out, 1);
    mosaic_flow__take_map(arena, &f->delta, w, h, 16, 0);
    if (recurrent == 2) {
        mosaic_flow__take_map(arena, &f->mask_mid, w, h, update[MOSAIC_FLOW__MASK1].out, 0);
        mosaic_flow__take_map(arena, &f->mask, w, h, update[MOSAIC_FLOW__MASK2].out, 0);
    }
    if (encoders.used > arena->used) arena->used = encoders.used;
    arena->overflow |= encoders.overflow;
    return MOSAIC_FLOW_OK;
}

static mosaic_flow_result mosaic_flow__float_start(mosaic_flow *flow)
{
    mosaic_flow__float *f = (mosaic_flow__float *)flow->method;
    const mosaic_flow_weights *weights = flow->o.weights;
    const mosaic_flow__model *model = weights->model;
    const int hidden = model->hidden, context = model->context, lanes = f->kernels->lanes, side = 2 * model->radius + 1, u = model->update;
    short order[400];
    int i, k;
    for (i = 0; i < model->update; i++) mosaic_flow__pack(&f->encoder[i], weights, i, 0, 0, 1, lanes);
    for (i = 0; i < 4 * side * side; i++) { /* the authors' order within a level is dx, dy */
        const int level = i / (side * side), dy = i / side % side, dx = i % side;
        order[i] = (short)((level * side + dx) * side + dy);
    }
    mosaic_flow__pack(&f->corr1, weights, u + MOSAIC_FLOW__CORR1, 0, order, 1, lanes);
    mosaic_flow__pack(&f->flow1, weights, u + MOSAIC_FLOW__FLOW1, 0, 0, 1, lanes);
    mosaic_flow__pack(&f->flow2, weights, u + MOSAIC_FLOW__FLOW2, 0, 0, 1, lanes);
    mosaic_flow__pack(&f->merge, weights, u + MOSAIC_FLOW__MERGE, 0, 0, 1, lanes);
    mosaic_flow__pack(&f->head1, weights, u + MOSAIC_FLOW__HEAD1, 0, 0, 1, lanes);
    mosaic_flow__pack(&f->head2, weights, u + MOSAIC_FLOW__HEAD2, 0, 0, 1, lanes);
    for (i = 0; i < f->recurrent; i++) {
        const int z = u + (i ? MOSAIC_FLOW__Z2 : MOSAIC_FLOW__Z1), r = z + 1, q = z + 2;
        for (k = 0; k < context; k++) order[k] = (short)(hidden + k);
        mosaic_flow__pack(&f->gates_context[i], weights, z, 0, order, 1, lanes);
        mosaic_flow__pack(&f->gates_context[i], weights, r, hidden, order, 1, lanes);
        mosaic_flow__pack(&f->candidate_context[i], weights, q, 0, order, 1, lanes);
        for (k = 0; k < f->gates[i].in; k++) order[k] = (short)(k < hidden ? k : k + context);
        mosaic_flow__pack(&f->gates[i], weights, z, 0, order, 0, lanes);
        mosaic_flow__pack(&f->gates[i], weights, r, hidden, order, 0, lanes);
        mosaic_flow__pack(&f->candidate[i], weights, q, 0, order, 0, lanes);
    }
    if (f->recurrent == 2) {
        mosaic_flow__pack(&f->corr2, weights, u + MOSAIC_FLOW__CORR2, 0, 0, 1, lanes);
        mosaic_flow__pack(&f->mask1, weights, u + MOSAIC_FLOW__MASK1, 0, 0, 1, lanes);
        mosaic_flow__pack(&f->mask2, weights, u + MOSAIC_FLOW__MASK2, 0, 0, 1, lanes);
    }
    for (i = 0; i < 2; i++) {
        const int n = i ? f->raft.h8 : f->raft.w8, last = 8 * n - 1;
        for (k = 0; k <= last; k++) { /* pixel k lies at k * (n - 1) / (8 n - 1) */
            f->sample_index[i][k] = (int)((int64_t)k * (n - 1) / last);
            f->sample_weight[i][k] = (float)((int64_t)k * (n - 1) % last) / (float)last;
        }
    }
    return MOSAIC_FLOW_OK;
}

static const mosaic_flow__backend mosaic_flow__float_backend = {mosaic_flow__float_plan, mosaic_flow__float_start, mosaic_flow__float_encode,
                                                                mosaic_flow__float_estimate, 0};

/* ==== RAFT in integers ====

   Every number of the network is an integer with a fixed number of fraction bits, and every sum is proven to stay inside 32 bits whatever picture
   comes. So it does not matter in which order, on how many lanes or threads it is added: scalar code, SIMD and a GPU give the same bits.

   Convolutions multiply 16-bit inputs by 16-bit weights. A weight w of output c is stored as round(w * 2^(e_c - f)), f the fraction bits of its
   input, so a sum has e_c fraction bits; e_c is the largest for which the weights fit 16 bits and no input within its bounds makes a sum leave
   32 bits. Two things make room for more bits:
   - In the update block a sum is taken in parts, one for each segment (a tap of the kernel, say): each part fits 32 bits, is shifted right by
     `part` bits, rounding to nearest, and added to the whole.
   - In the encoders 15 bits of input are too few, as instance norm enlarges the faint differences that flat parts of a picture consist of.
     There a number is v = 256 * high + low, 0 <= low < 256; both are convolved with the same weights and high + ((low + 128) >> 8) is the sum.

   Convolutions of 3 x 3 in the update block, but for one, are done for tiles of 2 x 2 outputs at once, with 4 products for each output instead of 9 (Winograd's
   minimal filtering; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015). The 4 x 4 inputs d of a tile become
   v = B d B', which are sums of four inputs, so that inputs of 13 bits make 15; the kernel g becomes u = G g G', rounded to 16 bits, and these are the
   layer's weights. At each of the 16 places, a segment each, products u * v are added over the channels; what the 16 segments give, m, becomes the
   outputs A m A'. All of it is proven to stay inside 32 bits like any other sum. The one is the second layer of the flow's branch: its inputs grow
   with the motion, to 40 and more where others stay below 10, and where motion is large 13 bits of them were the largest error of all. */

#define MOSAIC_FLOW__QF 13 /* fraction bits inside the encoders: 20 bits, values below 128 */
#define MOSAIC_FLOW__QMAX ((1 << 20) - 1)
#define MOSAIC_FLOW__QTILE 12     /* pixels that a kernel does at once */
#define MOSAIC_FLOW__QBANDS 32    /* jobs that a picture is cut into at most */
#define MOSAIC_FLOW__QINPUTS 576  /* most inputs of a convolution, padding included */
#define MOSAIC_FLOW__QOUTPUTS 256 /* most channels of a norm, and most inputs of a convolution in tiles */
#define MOSAIC_FLOW__QREACH (1 << 25)
#define MOSAIC_FLOW__QTILES 24 /* tiles of 2 x 2 outputs whose inputs are transformed at once */
/* Fraction bits of the hidden state as an input; it is kept with 15. What a sum of the gates may be leaves 22 fraction bits to its products: with
   more here the weights have too few, and theirs are errors that every iteration repeats. */
#define MOSAIC_FLOW__QHIDDEN 10

/* A picture of 16-bit numbers, channel after channel in each pixel, with a border of zeros all around. */
typedef struct mosaic_flow__qmap {
    int16_t *at; /* of pixel (0, 0) */
    int width, height, channels;
    ptrdiff_t pitch; /* numbers from row to row */
    ptrdiff_t low;   /* numbers from here to the map of the low parts; 0: none */
} mosaic_flow__qmap;

/* The weights of a convolution as the kernels want them: [out / 16][segment][pair of inputs][16][2]. */
typedef struct mosaic_flow__qconv {
    int16_t *weights;
    int32_t *bias;       /* with the rounding of the shift added */
    int32_t *shift;      /* from the fraction bits of the sums to those of the output */
    int32_t *low, *high; /* what each input is at least and at most: what the proof is about */
    int in, out, blocks; /* channels, padded to what is stored; blocks of 16 outputs */
    int height, width, stride;
    int segments, pairs; /* segments: the taps of the kernel, or pieces of them; or its rows, where those lie in one piece: merged */
    int merged, part;
    int tiled; /* in tiles of 2 x 2 outputs: segments are the places of u and v, or pieces of them */
} mosaic_flow__qconv;

/* acc[12][32] = start + inputs * weights for 12 pixels that are `step` numbers apart and for 1 or 2 blocks of 16 outputs. Each `pieces` segments
   have their own such sums. */
typedef struct mosaic_flow__qwork {
    int32_t *acc;
    const int32_t *start;
    ptrdiff_t start_step; /* from pixel to pixel */
    const int16_t *x;
    ptrdiff_t step;
    const ptrdiff_t *offset;
    int segments, pieces, pairs, part, blocks;
    const int16_t *weights;
    ptrdiff_t block; /* numbers from a block to the next */
} mosaic_flow__qwork;
typedef void (*mosaic_flow__qmac)(const mosaic_flow__qwork *w);

typedef enum mosaic_flow__qkind {
    MOSAIC_FLOW__QSUMS,      /* sums as they are */
    MOSAIC_FLOW__QNORM,      /* the same, and their statistics */
    MOSAIC_FLOW__QSPLIT,     /* high and low parts */
    MOSAIC_FLOW__QRELU,      /* 16 bits, not below zero */
    MOSAIC_FLOW__QCONTEXT,   /* the head of the context encoder: hidden state and context */
    MOSAIC_FLOW__QGATES,     /* z and r */
    MOSAIC_FLOW__QCANDIDATE, /* candidate and new hidden state */
    MOSAIC_FLOW__QDELTA,     /* change of the flow */
    MOSAIC_FLOW__QCORR       /* correlation, clipped to 16 bits */
} mosaic_flow__qkind;

/* Statistics of the sums of a band of rows, and what instance norm makes of them:
   t = (((x - mean) * up) >> down) - rest has 22 bits, (t * factor) >> shift is the output. */
typedef struct mosaic_flow__qstat {
    int64_t sum[MOSAIC_FLOW__QOUTPUTS], deviation[MOSAIC_FLOW__QOUTPUTS], square[MOSAIC_FLOW__QOUTPUTS];
    int32_t low[MOSAIC_FLOW__QOUTPUTS], high[MOSAIC_FLOW__QOUTPUTS];
    int32_t row[3][MOSAIC_FLOW__QOUTPUTS]; /* of a row: what is above the lowest 16 bits, those, deviations; 16384 of each fit 32 bits */
} mosaic_flow__qstat;
typedef struct mosaic_flow__qscale {
    int32_t mean[MOSAIC_FLOW__QOUTPUTS], coarse[MOSAIC_FLOW__QOUTPUTS]; /* coarse: brings deviations to 15 bits */
    int32_t up[MOSAIC_FLOW__QOUTPUTS], down[MOSAIC_FLOW__QOUTPUTS], rest[MOSAIC_FLOW__QOUTPUTS];
    int32_t factor[MOSAIC_FLOW__QOUTPUTS], shift[MOSAIC_FLOW__QOUTPUTS];
} mosaic_flow__qscale;

struct mosaic_flow__qraft;

typedef struct mosaic_flow__qop {
    const struct mosaic_flow__qraft *q;
    const mosaic_flow__qconv *conv;
    const mosaic_flow__qmap *from, *to, *skip; /* skip is added to the output */
    int from_channel, to_channel, limit;       /* limit: the largest output, of QRELU and QCONTEXT */
    const int32_t *start;                      /* sums to begin with, see mosaic_flow__qplace; null: the biases */
    int32_t *sums;                             /* QSUMS and QNORM: where sums go */
    ptrdiff_t sums_step, sums_block;           /* from pixel to pixel, from 32 channels to the next 32 */
    int16_t *hidden;                           /* QCONTEXT: where the hidden state goes */
    int bands, relu, width, height;            /* of the output */
    mosaic_flow__qkind kind;
} mosaic_flow__qop;

/* What a device does instead; the order of steps is the one here. */
typedef enum mosaic_flow__qstep {
    MOSAIC_FLOW__QSTEP_PICTURE, /* mosaic_flow__qpicture of a slot */
    MOSAIC_FLOW__QSTEP_PASS,
    MOSAIC_FLOW__QSTEP_NORM,
    MOSAIC_FLOW__QSTEP_LOOKUP
} mosaic_flow__qstep;

typedef struct mosaic_flow__qraft {
    mosaic_flow__raft shape;
    const mosaic_flow *flow;
    void (*step)(const struct mosaic_flow__qraft *q, mosaic_flow__qstep step, const mosaic_flow__qop *op, int slot); /* null: no device */
    mosaic_flow__qmac mac;
    void (*rows)(const mosaic_flow__qop *op, int from, int to, mosaic_flow__qstat *stat);
    void (*tiles)(const mosaic_flow__qop *op, int from, int to, int index);
    void (*norm)(const mosaic_flow__qop *op, int from, int to, mosaic_flow__qstat *stat);
    void (*tanh16)(const int32_t *table, int32_t *t);
    void (*lookup)(const struct mosaic_flow__qraft *q, int from, int to);
    mosaic_flow__qconv conv[MOSAIC_FLOW__MAX_LAYERS], gates[2], news[2], context[2];
    int32_t scale[MOSAIC_FLOW__SCALES], limit[MOSAIC_FLOW__SCALES]; /* limit: 13 bits where convolutions in tiles read it, else 15 */
    int32_t *tanh_table, *exp_table;
    /* encoders: for each of three sizes */
    mosaic_flow__qmap image, whole[3][2], inner[3][2], across[3];
    int32_t *sums;
    int16_t *tile_inputs;      /* v of each job; where the sums of the encoders were */
    mosaic_flow__qstat *stats; /* [bands] */
    mosaic_flow__qscale *scales;
    /* features of the two pictures */
    int16_t *feature[2];          /* [pixel][features] */
    int16_t *packed[2][4];        /* levels for the kernels: [pixel / 16][features / 2][16][2] */
    int feature_bits[2];          /* fraction bits */
    int16_t *level_feature[2][4]; /* [pixel][features], levels 1 to 3, for correlation when needed */
    int16_t *volume[4];           /* [pixel][pixels of the level, padded to 16], or null */
    int volume_step[4];
    /* context of the two pictures */
    int context_ready[2];
    int16_t *hidden_start[2]; /* Q15, see mosaic_flow__qplace */
    int32_t *context_sums[2]; /* the same way */
    mosaic_flow__qmap context_map;
    /* update block */
    mosaic_flow__qmap taps, flow_map, corr1, flow1, merge, state, head;
    int16_t *hidden, *z; /* see mosaic_flow__qplace */
    float *carried[2];   /* the last result of each direction, for a warm start */
    int32_t *sources;    /* [2][pixel] */
    float *distance;
    int32_t *vectors;                                /* [pixel][2], QFLOW */
    int flow_channel, hidden_channel, merge_channel; /* of the state map: reset hidden state, merged motion features, flow, hidden state */
    int bands, taps_span;
    int first, corr_shift; /* of the pair in work */
    mosaic_flow__qmap feature_map[2];
    mosaic_flow__qmap volume_map[4];
    mosaic_flow__qconv level_conv[4];
    int32_t *zeros;
    mosaic_flow__qmap mask;
} mosaic_flow__qraft;

/* ---- kernels ---- */

static void mosaic_flow__qmac_scalar(const mosaic_flow__qwork *w)
{
    const int32_t half = w->part ? 1 << (w->part - 1) : 0;
    int i, b, k, c, o;
    for (i = 0; i < MOSAIC_FLOW__QTILE; i++)
        for (b = 0; b < w->blocks; b++) {
            const int16_t *weights = w->weights + b * w->block;
            const int32_t *start = w->start + i * w->start_step + b * 16;
            int32_t *acc = w->acc + i * 32 + b * 16, part[16];
            for (o = 0; o < 16; o++) part[o] = half;
            for (k = 0; k < w->segments; k++) {
                const int16_t *x = w->x + w->offset[k] + i * w->step;
                for (c = 0; c < w->pairs; c++, weights += 32)
                    for (o = 0; o < 16; o++) part[o] += x[2 * c] * weights[2 * o] + x[2 * c + 1] * weights[2 * o + 1];
                if (!w->part && k + 1 < w->segments) continue;
                for (o = 0; o < 16; o++) {
                    acc[o] = start[o] + (part[o] >> w->part);
                    part[o] = half;
                }
                if ((k + 1) % w->pieces) {
                    start = acc;
                } else {
                    start = w->start + i * w->start_step + b * 16;
                    acc += MOSAIC_FLOW__QTILE * 32;
                }
            }
        }
}

/* The same with vectors of LANES sums: a tile is cut into pieces of PIXELS x 2 vectors, so that all sums of a piece stay in registers. The sums are
   single variables, not an array: compilers keep those in registers, whatever they do to arrays. */
#define MOSAIC_FLOW__QEACH4(M) M(0, p0, 0) M(1, p0, s) M(2, p0, 2 * s) M(3, p0, s3)
#define MOSAIC_FLOW__QEACH6(M) MOSAIC_FLOW__QEACH4(M) M(4, p4, 0) M(5, p4, s)
#define MOSAIC_FLOW__QEACH12(M) MOSAIC_FLOW__QEACH6(M) M(6, p4, 2 * s) M(7, p4, s3) M(8, p8, 0) M(9, p8, s) M(10, p8, 2 * s) M(11, p8, s3)
#define MOSAIC_FLOW__QSUM(i, p, d) MOSAIC_FLOW__QV a##i = half, b##i = half;
#define MOSAIC_FLOW__QSTEP(i, p, d)                                                                                                                  \
    {                                                                                                                                                \
        const MOSAIC_FLOW__QV x = MOSAIC_FLOW__QPAIR(p + d);                                                                                         \
        a##i = MOSAIC_FLOW__QDOT(a##i, x, w0);                                                                                                       \
        b##i = MOSAIC_FLOW__QDOT(b##i, x, w1);                                                                                                       \
    }
#define MOSAIC_FLOW__QFLUSH(i, p, d)                                                                                                                 \
    MOSAIC_FLOW__QSTORE(acc + 32 * i, MOSAIC_FLOW__QADD(MOSAIC_FLOW__QLOAD(start + i * start_step), MOSAIC_FLOW__QSRA(a##i)));                       \
    MOSAIC_FLOW__QSTORE(acc + 32 * i + lanes, MOSAIC_FLOW__QADD(MOSAIC_FLOW__QLOAD(start + i * start_step + lanes), MOSAIC_FLOW__QSRA(b##i)));       \
    a##i = half;                                                                                                                                     \
    b##i = half;
#define MOSAIC_FLOW__QKERNEL(LANES, PIXELS, EACH)                                                                                                    \
    {                                                                                                                                                \
        const int lanes = LANES;                                                                                                                     \
        const ptrdiff_t s = 2 * w->step, s3 = 3 * s, second = lanes == 16 ? 2 * w->block : 4 * lanes;                                                \
        const MOSAIC_FLOW__QV half = MOSAIC_FLOW__QSET(w->part ? 1 << (w->part - 1) : 0);                                                            \
        int pixel, o, k, c;                                                                                                                          \
        for (pixel = 0; pixel < MOSAIC_FLOW__QTILE; pixel += PIXELS)                                                                                 \
            for (o = 0; o < 16 * w->blocks; o += 2 * lanes) {                                                                                        \
                ptrdiff_t start_step = w->start_step;                                                                                                \
                const int32_t *first = w->start + pixel * start_step + o, *start = first;                                                            \
                int piece = 0;                                                                                                                       \
                int32_t *acc = w->acc + pixel * 32 + o;                                                                                              \
                const char *weights = (const char *)(w->weights + o / 16 * w->block + o % 16 * 2);                                                   \
                EACH(MOSAIC_FLOW__QSUM)                                                                                                              \
                for (k = 0; k < w->segments; k++) {                                                                                                  \
                    const char *p0 = (const char *)(w->x + w->offset[k]) + pixel * s, *p4 = p0 + 4 * s, *p8 = p4 + 4 * s;                            \
                    for (c = 0; c < w->pairs; c++) {                                                                                                 \
                        const MOSAIC_FLOW__QV w0 = MOSAIC_FLOW__QLOAD(weights), w1 = MOSAIC_FLOW__QLOAD(weights + second);                           \
                        EACH(MOSAIC_FLOW__QSTEP)                                                                                                     \
                        weights += 64;                                                                                                               \
                        p0 += 4;                                                                                                                     \
                        p4 += 4;                                                                                                                     \
                        p8 += 4;                                                                                                                     \
                    }                                                                                                                                \
                    if (!w->part && k + 1 < w->segments) continue;                                                                                   \
                    EACH(MOSAIC_FLOW__QFLUSH)                                                                                                        \
                    if (++piece < w->pieces) {                                                                                                       \
                        start = acc;                                                                                                                 \
                        start_step = 32;                                                                                                             \
                    } else {                                                                                                                         \
                        piece = 0;                                                                                                                   \
                        start = first;                                                                                                               \
                        start_step = w->start_step;                                                                                                  \
                        acc += MOSAIC_FLOW__QTILE * 32;                                                                                              \
                    }                                                                                                                                \
                    (void)p8;                                                                                                                        \
                }                                                                                                                                    \
                (void)s3;                                                                                                                            \
            }                                                                                                                                        \
    }

MOSAIC_FLOW__INLINE int32_t mosaic_flow__qpair(const void *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return v;
}

/* 128-bit vectors, which need no check at run time: SSE2, NEON, WebAssembly. */
#if defined(MOSAIC_FLOW_NO_SIMD)
#define MOSAIC_FLOW__Q128 0
#elif defined(__SSE2__)
#define MOSAIC_FLOW__Q128 1
#define MOSAIC_FLOW__QV __m128i
#define MOSAIC_FLOW__QLOAD(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define MOSAIC_FLOW__QSTORE(p, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#define MOSAIC_FLOW__QSET(v) _mm_set1_epi32(v)
#define MOSAIC_FLOW__QPAIR(p) _mm_set1_epi32(mosaic_flow__qpair(p))
#define MOSAIC_FLOW__QADD(a, b) _mm_add_epi32(a, b)
#define MOSAIC_FLOW__QSRA(a) _mm_sra_epi32(a, _mm_cvtsi32_si128(w->part))
#define MOSAIC_FLOW__QDOT(a, x, y) _mm_add_epi32(a, _mm_madd_epi16(x, y))
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#define MOSAIC_FLOW__Q128 1
#define MOSAIC_FLOW__QV v128_t
#define MOSAIC_FLOW__QLOAD(p) wasm_v128_load(p)
#define MOSAIC_FLOW__QSTORE(p, v) wasm_v128_store(p, v)
#define MOSAIC_FLOW__QSET(v) wasm_i32x4_splat(v)
#define MOSAIC_FLOW__QPAIR(p) wasm_i32x4_splat(mosaic_flow__qpair(p))
#define MOSAIC_FLOW__QADD(a, b) wasm_i32x4_add(a, b)
#define MOSAIC_FLOW__QSRA(a) wasm_i32x4_shr(a, (uint32_t)w->part)
#define MOSAIC_FLOW__QDOT(a, x, y) wasm_i32x4_add(a, wasm_i32x4_dot_i16x8(x, y))
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define MOSAIC_FLOW__Q128 1
#define MOSAIC_FLOW__QV int32x4_t
#define MOSAIC_FLOW__QLOAD(p) vld1q_s32((const int32_t *)(const void *)(p))
#define MOSAIC_FLOW__QSTORE(p, v) vst1q_s32((int32_t *)(void *)(p), v)
#define MOSAIC_FLOW__QSET(v) vdupq_n_s32(v)
#define MOSAIC_FLOW__QPAIR(p) vdupq_n_s32(mosaic_flow__qpair(p))
#define MOSAIC_FLOW__QADD(a, b) vaddq_s32(a, b)
#define MOSAIC_FLOW__QSRA(a) vshlq_s32(a, vdupq_n_s32(-w->part))
#define MOSAIC_FLOW__QDOT(a, x, y)                                                                                                                   \
    vaddq_s32(a, vpaddq_s32(vmull_s16(vget_low_s16(vreinterpretq_s16_s32(x)), vget_low_s16(vreinterpretq_s16_s32(y))),                               \
                            vmull_high_s16(vreinterpretq_s16_s32(x), vreinterpretq_s16_s32(y))))
#else
#define MOSAIC_FLOW__Q128 0
#endif
#if MOSAIC_FLOW__Q128
static void mosaic_flow__qmac_128(const mosaic_flow__qwork *w) MOSAIC_FLOW__QKERNEL(4, 4, MOSAIC_FLOW__QEACH4)
#undef MOSAIC_FLOW__QV
#undef MOSAIC_FLOW__QLOAD
#undef MOSAIC_FLOW__QSTORE
#undef MOSAIC_FLOW__QSET
#undef MOSAIC_FLOW__QPAIR
#undef MOSAIC_FLOW__QADD
#undef MOSAIC_FLOW__QSRA
#undef MOSAIC_FLOW__QDOT
#endif

#if MOSAIC_FLOW__SIMD
#define MOSAIC_FLOW__QV __m256i
#define MOSAIC_FLOW__QLOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define MOSAIC_FLOW__QSTORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define MOSAIC_FLOW__QSET(v) _mm256_set1_epi32(v)
#define MOSAIC_FLOW__QPAIR(p) _mm256_set1_epi32(mosaic_flow__qpair(p))
#define MOSAIC_FLOW__QADD(a, b) _mm256_add_epi32(a, b)
#define MOSAIC_FLOW__QSRA(a) _mm256_sra_epi32(a, _mm_cvtsi32_si128(w->part))
#define MOSAIC_FLOW__QDOT(a, x, y) _mm256_add_epi32(a, _mm256_madd_epi16(x, y))
    MOSAIC__TARGET("avx2") static void mosaic_flow__qmac_avx2(const mosaic_flow__qwork *w) MOSAIC_FLOW__QKERNEL(8, 6, MOSAIC_FLOW__QEACH6)
#undef MOSAIC_FLOW__QDOT
#define MOSAIC_FLOW__QDOT(a, x, y) _mm256_dpwssd_epi32(a, x, y)
        MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2") static void mosaic_flow__qmac_vnni_one(const mosaic_flow__qwork *w)
            MOSAIC_FLOW__QKERNEL(8, 6, MOSAIC_FLOW__QEACH6)
#undef MOSAIC_FLOW__QV
#undef MOSAIC_FLOW__QLOAD
#undef MOSAIC_FLOW__QSTORE
#undef MOSAIC_FLOW__QSET
#undef MOSAIC_FLOW__QPAIR
#undef MOSAIC_FLOW__QADD
#undef MOSAIC_FLOW__QSRA
#undef MOSAIC_FLOW__QDOT

#define MOSAIC_FLOW__QV __m512i
#define MOSAIC_FLOW__QLOAD(p) _mm512_loadu_si512(p)
#define MOSAIC_FLOW__QSTORE(p, v) _mm512_storeu_si512(p, v)
#define MOSAIC_FLOW__QSET(v) _mm512_set1_epi32(v)
#define MOSAIC_FLOW__QPAIR(p) _mm512_set1_epi32(mosaic_flow__qpair(p))
#define MOSAIC_FLOW__QADD(a, b) _mm512_add_epi32(a, b)
#define MOSAIC_FLOW__QSRA(a) _mm512_maskz_sra_epi32((__mmask16)-1, a, _mm_cvtsi32_si128(w->part)) /* the plain one warns in gcc 12 */
#define MOSAIC_FLOW__QDOT(a, x, y) _mm512_add_epi32(a, _mm512_madd_epi16(x, y))
                MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2") static void mosaic_flow__qmac_avx512(const mosaic_flow__qwork *w)
{
    if (w->blocks == 1) {
        mosaic_flow__qmac_avx2(w);
        return;
    }
    MOSAIC_FLOW__QKERNEL(16, 12, MOSAIC_FLOW__QEACH12)
}
#undef MOSAIC_FLOW__QDOT
#define MOSAIC_FLOW__QDOT(a, x, y) _mm512_dpwssd_epi32(a, x, y)
MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2") static void mosaic_flow__qmac_vnni(const mosaic_flow__qwork *w)
{
    if (w->blocks == 1) {
        mosaic_flow__qmac_vnni_one(w);
        return;
    }
    MOSAIC_FLOW__QKERNEL(16, 12, MOSAIC_FLOW__QEACH12)
}
#undef MOSAIC_FLOW__QV
#undef MOSAIC_FLOW__QLOAD
#undef MOSAIC_FLOW__QSTORE
#undef MOSAIC_FLOW__QSET
#undef MOSAIC_FLOW__QPAIR
#undef MOSAIC_FLOW__QADD
#undef MOSAIC_FLOW__QSRA
#undef MOSAIC_FLOW__QDOT
#endif

/* ---- what becomes of the sums; written once, compiled for each instruction set ---- */

MOSAIC_FLOW__INLINE int32_t mosaic_flow__qclamp(int32_t v, int32_t low, int32_t high) { return v < low ? low : v > high ? high : v; }

/* tanh of x / 4096 in Q15: a table with steps of 1/64, between them straight lines. Entries are value * 65536 + difference to the next. */
MOSAIC_FLOW__INLINE int32_t mosaic_flow__qtanh(const int32_t *table, int32_t x)
{
    const int32_t i = mosaic_flow__qclamp(x, -32767, 32767) + 32768, entry = table[i >> 6];
    return (entry >> 16) + (((entry & 0xffff) * (i & 63) + 32) >> 6);
}

/* 16 of them; one function for each level, as compilers do not gather by themselves. */
static void mosaic_flow__qtanh16_plain(const int32_t *table, int32_t *t)
{
    int c;
    for (c = 0; c < 16; c++) t[c] = mosaic_flow__qtanh(table, t[c]);
}
#if MOSAIC_FLOW__SIMD
MOSAIC__TARGET("avx2") static void mosaic_flow__qtanh16_avx2(const int32_t *table, int32_t *t)
{
    const __m256i most = _mm256_set1_epi32(32767), low = _mm256_set1_epi32(0xffff);
    int c;
    for (c = 0; c < 16; c += 8) {
        __m256i i = _mm256_loadu_si256((const __m256i *)(const void *)(t + c)), entry;
        i = _mm256_add_epi32(_mm256_max_epi32(_mm256_min_epi32(i, most), _mm256_set1_epi32(-32767)), _mm256_set1_epi32(32768));
        entry = _mm256_i32gather_epi32((const int *)table, _mm256_srli_epi32(i, 6), 4);
        i = _mm256_madd_epi16(_mm256_and_si256(entry, low), _mm256_and_si256(i, _mm256_set1_epi32(63)));
        i = _mm256_srai_epi32(_mm256_add_epi32(i, _mm256_set1_epi32(32)), 6);
        _mm256_storeu_si256((__m256i *)(void *)(t + c), _mm256_add_epi32(_mm256_srai_epi32(entry, 16), i));
    }
}
#endif

/* By the function of this level; on a device plainly. */
#if defined(__CUDA_ARCH__)
#define MOSAIC_FLOW__QTANH16(q, t)                                                                                                                   \
    do {                                                                                                                                             \
        int i;                                                                                                                                       \
        for (i = 0; i < 16; i++) (t)[i] = mosaic_flow__qtanh((q)->tanh_table, (t)[i]);                                                               \
    } while (0)
#else
#define MOSAIC_FLOW__QTANH16(q, t) (q)->tanh16((q)->tanh_table, t)
#endif

/* A dot product of features, rounded and clipped to 16 bits. */
MOSAIC_FLOW__INLINE int16_t mosaic_flow__qcorrelation(int32_t sum, int shift)
{
    if (shift > 0) return (int16_t)mosaic_flow__qclamp((sum + (1 << (shift - 1))) >> shift, -32767, 32767);
    return (int16_t)(mosaic_flow__qclamp(sum, -(32767 >> -shift), 32767 >> -shift) * (1 << -shift));
}

/* These go through 16 numbers with nothing else in sight, so that compilers make them vectors. */

/* Sums of `pixels` pixels, 1 or 4, to where they are kept, and into the statistics of their row. */
MOSAIC_FLOW__INLINE void mosaic_flow__qcount(const int32_t *MOSAIC__RESTRICT t, const int pixels, int32_t *MOSAIC__RESTRICT sums, ptrdiff_t step,
                                             int32_t *MOSAIC__RESTRICT row, int32_t *MOSAIC__RESTRICT low, int32_t *MOSAIC__RESTRICT high)
{
    const int next = pixels / 4;
    int c;
    for (c = 0; c < 16; c++) {
        const int32_t t0 = t[c], t1 = t[32 * next + c], t2 = t[64 * next + c], t3 = t[96 * next + c];
        const int32_t least = t0 < t1 ? t0 : t1, last = t2 < t3 ? t2 : t3, most = t0 > t1 ? t0 : t1, best = t2 > t3 ? t2 : t3;
        sums[c] = t0;
        if (next) {
            sums[step + c] = t1;
            sums[2 * step + c] = t2;
            sums[3 * step + c] = t3;
        }
        row[c] += next ? (t0 >> 16) + (t1 >> 16) + (t2 >> 16) + (t3 >> 16) : t0 >> 16;
        row[MOSAIC_FLOW__QOUTPUTS + c] += next ? (t0 & 0xffff) + (t1 & 0xffff) + (t2 & 0xffff) + (t3 & 0xffff) : t0 & 0xffff;
        low[c] = least < low[c] ? least : low[c];
        low[c] = last < low[c] ? last : low[c];
        high[c] = most > high[c] ? most : high[c];
        high[c] = best > high[c] ? best : high[c];
    }
}

/* Deviations from the mean, shifted to 16 bits, and their squares into the statistics of their row. */
MOSAIC_FLOW__INLINE void mosaic_flow__qdeviations(const int32_t *MOSAIC__RESTRICT sums, const int32_t *MOSAIC__RESTRICT mean,
                                                  const int32_t *MOSAIC__RESTRICT coarse, int32_t *MOSAIC__RESTRICT row)
{
    int c;
    for (c = 0; c < 16; c++) {
        const int32_t d = (sums[c] - mean[c]) >> coarse[c], square = d * d;
        row[c] += square >> 16;
        row[MOSAIC_FLOW__QOUTPUTS + c] += square & 0xffff;
        row[2 * MOSAIC_FLOW__QOUTPUTS + c] += d;
    }
}

/* What instance norm makes of sums, see mosaic_flow__qscale. */
MOSAIC_FLOW__INLINE void mosaic_flow__qnormed(const int32_t *MOSAIC__RESTRICT sums, const mosaic_flow__qscale *MOSAIC__RESTRICT s, int o,
                                              int32_t least, int32_t *MOSAIC__RESTRICT t)
{
    int c;
    for (c = 0; c < 16; c++) {
        const int32_t v = (((sums[c] - s->mean[o + c]) * s->up[o + c]) >> s->down[o + c]) - s->rest[o + c];
        t[c] = ((v >> 8) * s->factor[o + c] + (((v & 255) * s->factor[o + c]) >> 8)) >> s->shift[o + c];
        t[c] = mosaic_flow__qclamp(t[c], least, MOSAIC_FLOW__QMAX);
    }
}

/* Outputs of an encoder in two parts, skip (null: nothing) added. */
MOSAIC_FLOW__INLINE void mosaic_flow__qparts(int32_t *MOSAIC__RESTRICT t, const int16_t *MOSAIC__RESTRICT skip, ptrdiff_t skip_low,
                                             int16_t *MOSAIC__RESTRICT to, ptrdiff_t to_low)
{
    int c;
    if (skip)
        for (c = 0; c < 16; c++) t[c] = mosaic_flow__qclamp(t[c] + skip[c] * 256 + skip[skip_low + c], 0, MOSAIC_FLOW__QMAX);
    for (c = 0; c < 16; c++) to[c] = (int16_t)(t[c] >> 8);
    for (c = 0; c < 16; c++) to[to_low + c] = (int16_t)(t[c] & 255);
}

MOSAIC_FLOW__INLINE void mosaic_flow__qshift(const int32_t *MOSAIC__RESTRICT sums, const int32_t *MOSAIC__RESTRICT shift, int32_t least, int32_t most,
                                             int32_t *MOSAIC__RESTRICT t)
{
    int c;
    for (c = 0; c < 16; c++) t[c] = mosaic_flow__qclamp(sums[c] >> shift[c], least, most);
}

/* The sum of the low parts to that of the high ones. */
MOSAIC_FLOW__INLINE void mosaic_flow__qlow(const int32_t *MOSAIC__RESTRICT low, int32_t *MOSAIC__RESTRICT acc)
{
    int c;
    for (c = 0; c < 16; c++) acc[c] += low[c] >> 8;
}

MOSAIC_FLOW__INLINE void mosaic_flow__qnarrow(const int32_t *MOSAIC__RESTRICT t, int16_t *MOSAIC__RESTRICT to)
{
    int c;
    for (c = 0; c < 16; c++) to[c] = (int16_t)t[c];
}

/* The logistic function is (1 + tanh(x / 2)) / 2, in Q14. */
MOSAIC_FLOW__INLINE void mosaic_flow__qlogistic(int32_t *t)
{
    int c;
    for (c = 0; c < 16; c++) t[c] = (32768 + t[c] + 2) >> 2;
}

/* The reset hidden state as an input. */
MOSAIC_FLOW__INLINE void mosaic_flow__qreset(const int32_t *MOSAIC__RESTRICT r, const int16_t *MOSAIC__RESTRICT hidden, int16_t *MOSAIC__RESTRICT to)
{
    int c;
    for (c = 0; c < 16; c++) to[c] = (int16_t)((r[c] * hidden[c] + (1 << (28 - MOSAIC_FLOW__QHIDDEN))) >> (29 - MOSAIC_FLOW__QHIDDEN));
}

/* A number of the hidden state as an input. */
MOSAIC_FLOW__INLINE int16_t mosaic_flow__qhidden(int32_t h)
{
    return (int16_t)((h + (1 << (14 - MOSAIC_FLOW__QHIDDEN))) >> (15 - MOSAIC_FLOW__QHIDDEN));
}

/* The new hidden state, also as an input. */
MOSAIC_FLOW__INLINE void mosaic_flow__qrenew(const int32_t *MOSAIC__RESTRICT candidate, const int16_t *MOSAIC__RESTRICT z,
                                             int16_t *MOSAIC__RESTRICT hidden, int16_t *MOSAIC__RESTRICT to)
{
    int c;
    for (c = 0; c < 16; c++) {
        const int32_t h = ((16384 - z[c]) * hidden[c] + z[c] * candidate[c] + 8192) >> 14;
        hidden[c] = (int16_t)h;
        to[c] = mosaic_flow__qhidden(h);
    }
}

MOSAIC_FLOW__INLINE void mosaic_flow__qcorrelations(const int32_t *MOSAIC__RESTRICT sums, int shift, int16_t *MOSAIC__RESTRICT to)
{
    int c;
    if (shift > 0)
        for (c = 0; c < 16; c++) to[c] = mosaic_flow__qcorrelation(sums[c], shift);
    else
        for (c = 0; c < 16; c++) to[c] = mosaic_flow__qcorrelation(sums[c], shift);
}

/* The flow of a pixel as input of the network: 16 bits, and what they leave. */
MOSAIC_FLOW__INLINE void mosaic_flow__qset_flow(const mosaic_flow__qraft *q, int x, int y)
{
    const int down = MOSAIC_FLOW__QFLOW - q->scale[MOSAIC_FLOW__SCALE_FLOW], half = 1 << down >> 1;
    const int32_t *f = q->vectors + 2 * ((ptrdiff_t)y * q->shape.w8 + x);
    int16_t *to = q->flow_map.at + y * q->flow_map.pitch + 4 * x;
    int16_t *state = q->state.at + y * q->state.pitch + (ptrdiff_t)x * q->state.channels + q->flow_channel;
    int c;
    for (c = 0; c < 2; c++) {
        const int32_t coarse = mosaic_flow__qclamp((f[c] + half) >> down, -q->limit[MOSAIC_FLOW__SCALE_FLOW], q->limit[MOSAIC_FLOW__SCALE_FLOW]);
        to[c] = state[c] = (int16_t)coarse;
        to[2 + c] = state[2 + c] = (int16_t)mosaic_flow__qclamp(f[c] - coarse * (1 << down), -half, half);
    }
}

/* Where channel o of a pixel is, in what the recurrent unit keeps of each pixel: [channel / 32][pixel][32], so that rows lie in one piece for who
   works on 32 channels at a time. */
MOSAIC_FLOW__INLINE ptrdiff_t mosaic_flow__qplace(ptrdiff_t pixels, ptrdiff_t pixel, int o) { return (o / 32 * pixels + pixel) * 32 + o % 32; }

/* 16 sums of one pixel: outputs o to o + 15 of pixel x, y. */
MOSAIC_FLOW__INLINE void mosaic_flow__qfinish(const mosaic_flow__qop *op, const int32_t *acc, int x, int y, int o)
{
    const mosaic_flow__qraft *q = op->q;
    const int hidden = q->shape.model->hidden;
    const ptrdiff_t pixel = (ptrdiff_t)y * op->width + x, place = mosaic_flow__qplace((ptrdiff_t)op->width * op->height, pixel, o % hidden);
    const int32_t *shift = op->conv->shift + o;
    int16_t *to = op->to ? op->to->at + y * op->to->pitch + (ptrdiff_t)x * op->to->channels + op->to_channel + o : 0;
    int32_t t[16];
    int c;
    switch (op->kind) {
    case MOSAIC_FLOW__QNORM: return; /* elsewhere */
    case MOSAIC_FLOW__QSUMS: memcpy(op->sums + o / 32 * op->sums_block + pixel * op->sums_step + o % 32, acc, sizeof t); return;
    case MOSAIC_FLOW__QSPLIT:
        mosaic_flow__qshift(acc, shift, op->relu ? 0 : -MOSAIC_FLOW__QMAX, MOSAIC_FLOW__QMAX, t);
        mosaic_flow__qparts(t, op->skip ? op->skip->at + y * op->skip->pitch + (ptrdiff_t)x * op->skip->channels + o : 0,
                            op->skip ? op->skip->low : 0, to, op->to->low);
        return;
    case MOSAIC_FLOW__QRELU:
        mosaic_flow__qshift(acc, shift, 0, op->limit, t);
        if (op->conv->out - o >= 16)
            mosaic_flow__qnarrow(t, to);
        else
            for (c = 0; c < 16; c++)
                if (c < op->conv->out - o) to[c] = (int16_t)t[c];
        return;
    case MOSAIC_FLOW__QCORR: mosaic_flow__qcorrelations(acc, q->corr_shift, to); return;
    case MOSAIC_FLOW__QCONTEXT:
        if (o < hidden) {
            mosaic_flow__qshift(acc, shift, -32767, 32767, t);
            MOSAIC_FLOW__QTANH16(q, t);
            mosaic_flow__qnarrow(t, op->hidden + place);
        } else {
            mosaic_flow__qshift(acc, shift, 0, op->limit, t);
            mosaic_flow__qnarrow(t, to - hidden);
        }
        return;
    case MOSAIC_FLOW__QGATES:
        mosaic_flow__qshift(acc, shift, -32767, 32767, t);
        MOSAIC_FLOW__QTANH16(q, t);
        mosaic_flow__qlogistic(t);
        if (o < hidden)
            mosaic_flow__qnarrow(t, q->z + place);
        else
            mosaic_flow__qreset(t, q->hidden + place, to - hidden);
        return;
    case MOSAIC_FLOW__QCANDIDATE:
        mosaic_flow__qshift(acc, shift, -32767, 32767, t);
        MOSAIC_FLOW__QTANH16(q, t);
        mosaic_flow__qrenew(t, q->z + place, q->hidden + place, to);
        return;
    case MOSAIC_FLOW__QDELTA: {
        int32_t *f = q->vectors + 2 * pixel;
        for (c = 0; c < 2; c++) f[c] = mosaic_flow__qclamp(f[c] + (acc[c] >> shift[c]), -MOSAIC_FLOW__QREACH, MOSAIC_FLOW__QREACH);
        mosaic_flow__qset_flow(q, x, y);
        return;
    }
    }
}

/* The statistics of a row to those of the band: of outputs from ... to - 1. */
MOSAIC_FLOW__INLINE void mosaic_flow__qrow_done(mosaic_flow__qstat *stat, int64_t *sum, int from, int to)
{
    int c;
    for (c = from; c < to; c++) {
        sum[c] += (int64_t)stat->row[0][c] * 65536 + stat->row[1][c];
        stat->deviation[c] += stat->row[2][c];
        stat->row[0][c] = stat->row[1][c] = stat->row[2][c] = 0;
    }
}

/* Rows from ... to - 1 of a convolution. */
MOSAIC_FLOW__INLINE void mosaic_flow__qrows(const mosaic_flow__qop *op, int from, int to, mosaic_flow__qstat *stat)
{
    const mosaic_flow__qconv *c = op->conv;
    const mosaic_flow__qmap *m = op->from;
    const int taps = c->merged ? c->height : c->height * c->width, pieces = c->segments / taps, across = c->merged ? 1 : c->width;
    int32_t acc[MOSAIC_FLOW__QTILE * 32], low[MOSAIC_FLOW__QTILE * 32], round[32];
    ptrdiff_t offset[64];
    mosaic_flow__qwork w;
    int i, b, k, x, y, o;
    for (i = 0; i < 32; i++) round[i] = 128;
    for (i = 0; i < taps; i++)
        for (k = 0; k < pieces; k++)
            offset[i * pieces + k] =
                (i / across - (c->height - 1) / 2) * m->pitch + (ptrdiff_t)(i % across - (c->width - 1) / 2) * m->channels + 2 * k * c->pairs;
    w.step = (ptrdiff_t)c->stride * m->channels;
    w.offset = offset;
    w.segments = c->segments;
    w.pairs = c->pairs;
    w.part = c->part;
    w.block = (ptrdiff_t)c->segments * c->pairs * 32;
    w.pieces = c->segments;
    for (y = from; y < to; y++)
        for (o = 0; o < c->blocks; o += 2) {
            w.blocks = c->blocks - o < 2 ? 1 : 2;
            w.weights = c->weights + o * w.block;
            for (x = 0; x < op->width; x += MOSAIC_FLOW__QTILE) {
                const int n = op->width - x < MOSAIC_FLOW__QTILE ? op->width - x : MOSAIC_FLOW__QTILE;
                w.start = c->bias + 16 * o;
                w.start_step = 0;
                if (op->start) {
                    w.start = op->start + mosaic_flow__qplace((ptrdiff_t)op->width * op->height, (ptrdiff_t)y * op->width + x, 16 * o);
                    w.start_step = 32;
                }
                w.acc = acc;
                w.x = m->at + (ptrdiff_t)y * c->stride * m->pitch + (ptrdiff_t)x * w.step + op->from_channel;
                op->q->mac(&w);
                if (m->low) {
                    w.start = round;
                    w.start_step = 0;
                    w.acc = low;
                    w.x += m->low;
                    op->q->mac(&w);
                    for (i = 0; i < n; i++)
                        for (b = 0; b < 16 * w.blocks; b += 16) mosaic_flow__qlow(low + 32 * i + b, acc + 32 * i + b);
                }
                for (b = 0; b < w.blocks; b++) {
                    if (op->kind == MOSAIC_FLOW__QNORM) {
                        int32_t *sums = op->sums + ((ptrdiff_t)y * op->width + x) * op->sums_step + 16 * (o + b), *row = stat->row[0] + 16 * (o + b);
                        int32_t *least = stat->low + 16 * (o + b), *most = stat->high + 16 * (o + b);
                        for (i = 0; i + 4 <= n; i += 4)
                            mosaic_flow__qcount(acc + 32 * i + 16 * b, 4, sums + i * op->sums_step, op->sums_step, row, least, most);
                        for (; i < n; i++) mosaic_flow__qcount(acc + 32 * i + 16 * b, 1, sums + i * op->sums_step, 0, row, least, most);
                    } else
                        for (i = 0; i < n; i++) mosaic_flow__qfinish(op, acc + 32 * i + 16 * b, x + i, y, 16 * (o + b));
                }
            }
            if (op->kind == MOSAIC_FLOW__QNORM) mosaic_flow__qrow_done(stat, stat->sum, 16 * o, 16 * (o + w.blocks));
        }
}

enum { MOSAIC_FLOW__QWIDE = 32 }; /* channels that are transformed at once */

/* One line of v from one of d; numbers are `from` and `step` apart. */
MOSAIC_FLOW__INLINE void mosaic_flow__qline(const int16_t *MOSAIC__RESTRICT d, ptrdiff_t from, int16_t *MOSAIC__RESTRICT v, ptrdiff_t step)
{
    int c;
    for (c = 0; c < MOSAIC_FLOW__QWIDE; c++) v[c] = (int16_t)(d[c] - d[2 * from + c]);
    for (c = 0; c < MOSAIC_FLOW__QWIDE; c++) v[step + c] = (int16_t)(d[from + c] + d[2 * from + c]);
    for (c = 0; c < MOSAIC_FLOW__QWIDE; c++) v[2 * step + c] = (int16_t)(d[2 * from + c] - d[from + c]);
    for (c = 0; c < MOSAIC_FLOW__QWIDE; c++) v[3 * step + c] = (int16_t)(d[from + c] - d[3 * from + c]);
}

/* v of a tile, places `plane` apart. */
MOSAIC_FLOW__INLINE void mosaic_flow__qtransform(const mosaic_flow__qop *op, int x, int y, int16_t *v, ptrdiff_t plane)
{
    const mosaic_flow__qmap *m = op->from;
    const int16_t *from = m->at + (y - 1) * m->pitch + (ptrdiff_t)(x - 1) * m->channels + op->from_channel;
    int channel, i;
    for (channel = 0; channel < op->conv->in; channel += MOSAIC_FLOW__QWIDE) {
        const int at =
            channel + MOSAIC_FLOW__QWIDE <= op->conv->in ? channel : op->conv->in - MOSAIC_FLOW__QWIDE; /* the last ones may be done twice */
        int16_t t[4][4][MOSAIC_FLOW__QWIDE];
        for (i = 0; i < 4; i++) mosaic_flow__qline(from + at + (ptrdiff_t)i * m->channels, m->pitch, t[0][i], 4 * MOSAIC_FLOW__QWIDE);
        for (i = 0; i < 4; i++) mosaic_flow__qline(t[i][0], MOSAIC_FLOW__QWIDE, v + at + 4 * i * plane, plane);
    }
}

/* The four outputs of a tile from what the segments gave, 16 channels of each. */
MOSAIC_FLOW__INLINE void mosaic_flow__qoutputs(const int32_t *acc, int32_t out[4][16])
{
    enum { NEXT = MOSAIC_FLOW__QTILE * 32 };
    int32_t s[2][4][16];
    int k, c;
    for (k = 0; k < 4; k++, acc += NEXT) {
        for (c = 0; c < 16; c++) s[0][k][c] = acc[c] + acc[4 * NEXT + c] + acc[8 * NEXT + c];
        for (c = 0; c < 16; c++) s[1][k][c] = acc[4 * NEXT + c] - acc[8 * NEXT + c] - acc[12 * NEXT + c];
    }
    for (k = 0; k < 2; k++) {
        for (c = 0; c < 16; c++) out[2 * k][c] = s[k][0][c] + s[k][1][c] + s[k][2][c];
        for (c = 0; c < 16; c++) out[2 * k + 1][c] = s[k][1][c] - s[k][2][c] - s[k][3][c];
    }
}

/* Tiles from ... to - 1 of a convolution, row after row; v is kept where job number `index` may. */
MOSAIC_FLOW__INLINE void mosaic_flow__qtiles(const mosaic_flow__qop *op, int from, int to, int index)
{
    const mosaic_flow__qconv *c = op->conv;
    const int across = (op->width + 1) / 2, pieces = c->segments / 16;
    const ptrdiff_t plane = (ptrdiff_t)MOSAIC_FLOW__QTILES * c->in;
    int16_t *inputs = op->q->tile_inputs + index * 16 * (ptrdiff_t)MOSAIC_FLOW__QTILES * MOSAIC_FLOW__QOUTPUTS;
    int32_t acc[16][MOSAIC_FLOW__QTILE][32], none[32] = {0};
    ptrdiff_t offset[64];
    mosaic_flow__qwork w;
    int i, b, k, o, n, px[MOSAIC_FLOW__QTILES], py[MOSAIC_FLOW__QTILES];
    for (k = 0; k < c->segments; k++) offset[k] = k / pieces * plane + k % pieces * 2 * c->pairs;
    w.step = c->in;
    w.offset = offset;
    w.segments = c->segments;
    w.pairs = c->pairs;
    w.part = c->part;
    w.block = (ptrdiff_t)c->segments * c->pairs * 32;
    w.pieces = pieces;
    w.acc = &acc[0][0][0];
    w.start = none;
    w.start_step = 0;
    for (; from < to; from += n) {
        n = to - from < MOSAIC_FLOW__QTILES ? to - from : MOSAIC_FLOW__QTILES;
        for (i = 0; i < n; i++) {
            px[i] = (from + i) % across * 2;
            py[i] = (from + i) / across * 2;
            mosaic_flow__qtransform(op, px[i], py[i], inputs + (ptrdiff_t)i * c->in, plane);
        }
        for (; i % MOSAIC_FLOW__QTILE; i++)
            for (k = 0; k < 16; k++) memset(inputs + k * plane + (ptrdiff_t)i * c->in, 0, (size_t)c->in * sizeof *inputs);
        for (o = 0; o < c->blocks; o += 2) {
            w.blocks = c->blocks - o < 2 ? 1 : 2;
            w.weights = c->weights + o * w.block;
            for (i = 0; i < n; i++) {
                const int at = i % MOSAIC_FLOW__QTILE;
                const int32_t *start = c->bias + 16 * o;
                if (at == 0) {
                    w.x = inputs + (ptrdiff_t)i * c->in;
                    op->q->mac(&w);
                }
                for (b = 0; b < w.blocks; b++) {
                    int32_t out[4][16];
                    mosaic_flow__qoutputs(&acc[0][at][16 * b], out);
                    for (k = 0; k < 4; k++) {
                        const int x = px[i] + k % 2, y = py[i] + k / 2;
                        int j;
                        if (x >= op->width || y >= op->height) continue;
                        if (op->start)
                            start = op->start + mosaic_flow__qplace((ptrdiff_t)op->width * op->height, (ptrdiff_t)y * op->width + x, 16 * o);
                        for (j = 0; j < 16; j++) out[k][j] += start[16 * b + j];
                        mosaic_flow__qfinish(op, out[k], x, y, 16 * (o + b));
                    }
                }
            }
        }
    }
}

/* Instance norm of rows from ... to - 1: with stat, measures deviations from the mean; without, makes the output. */
MOSAIC_FLOW__INLINE void mosaic_flow__qnorm(const mosaic_flow__qop *op, int from, int to, mosaic_flow__qstat *stat)
{
    const mosaic_flow__qscale *s = op->q->scales;
    const mosaic_flow__qmap *skip = op->skip;
    int x, y, o;
    for (y = from; y < to; y++) {
        for (x = 0; x < op->width; x++)
            for (o = 0; o < op->conv->out; o += 16) {
                const int32_t *sums = op->sums + ((ptrdiff_t)y * op->width + x) * op->sums_step + o;
                int32_t t[16];
                if (stat) {
                    mosaic_flow__qdeviations(sums, s->mean + o, s->coarse + o, stat->row[0] + o);
                    continue;
                }
                mosaic_flow__qnormed(sums, s, o, op->relu ? 0 : -MOSAIC_FLOW__QMAX, t);
                mosaic_flow__qparts(t, skip ? skip->at + y * skip->pitch + (ptrdiff_t)x * skip->channels + o : 0, skip ? skip->low : 0,
                                    op->to->at + y * op->to->pitch + (ptrdiff_t)x * op->to->channels + o, op->to->low);
            }
        if (stat) mosaic_flow__qrow_done(stat, stat->square, 0, op->conv->out);
    }
}

/* The windows that a pixel will look at are far apart in memory: they are fetched while another pixel is at work. */
MOSAIC_FLOW__INLINE void mosaic_flow__qfetch(const mosaic_flow__qraft *q, int x, int y)
{
    const int r = q->shape.model->radius;
    const ptrdiff_t pixel = (ptrdiff_t)y * q->shape.w8 + x;
    int l, j;
    for (l = 0; l < 4 && q->volume[l]; l++) {
        const int w = q->shape.level_width[l], h = q->shape.level_height[l], unit = MOSAIC_FLOW__QFLOW + l;
        const int left = (((x << MOSAIC_FLOW__QFLOW) + q->vectors[2 * pixel]) >> unit) - r;
        const int top = (((y << MOSAIC_FLOW__QFLOW) + q->vectors[2 * pixel + 1]) >> unit) - r;
        const int16_t *p = q->volume[l] + pixel * q->volume_step[l] + mosaic_flow__qclamp(left, 0, w ? w - 1 : 0);
        for (j = top < 0 ? 0 : top; j < top + 2 * r + 2 && j < h; j++) MOSAIC_FLOW__PREFETCH(p + (ptrdiff_t)j * w);
    }
}

/* The correlation around where each pixel's motion points to, at all levels: rows of 2 r + 1 values, y slowly, each row padded to `span`. A value
   between four pixels is their mean with weights of 14 bits that sum to one; outside it is zero. */
MOSAIC_FLOW__INLINE void mosaic_flow__qlookup(const mosaic_flow__qraft *q, int from, int to)
{
    const int r = q->shape.model->radius, side = 2 * r + 2, features = q->shape.model->features, span = q->taps_span;
    int16_t window[12][16];
    int x, y, l, i, j, k;
    memset(window, 0, sizeof window);
    for (y = from; y < to; y++)
        for (x = 0; x < q->shape.w8; x++) {
            const size_t pixel = (size_t)y * (size_t)q->shape.w8 + (size_t)x;
            int16_t *out = q->taps.at + (ptrdiff_t)pixel * q->taps.channels;
            if (x + 2 < q->shape.w8) mosaic_flow__qfetch(q, x + 2, y);
            for (l = 0; l < 4; l++, out += (2 * r + 1) * span) {
                const int w = q->shape.level_width[l], h = q->shape.level_height[l], unit = MOSAIC_FLOW__QFLOW + l;
                const int32_t cx = (x << MOSAIC_FLOW__QFLOW) + q->vectors[2 * pixel], cy = (y << MOSAIC_FLOW__QFLOW) + q->vectors[2 * pixel + 1];
                const int32_t mask = (1 << unit) - 1, fx = ((cx & mask) << 2) >> l, fy = ((cy & mask) << 2) >> l;
                const int left = (cx >> unit) - r, top = (cy >> unit) - r;
                const int32_t d = (fx * fy + 8192) >> 14, b = fx - d, c = fy - d, a = 16384 - fx - c;
                const int i0 = left < 0 ? -left : 0, i1 = w - left < side ? w - left : side;
                const int j0 = top < 0 ? -top : 0, j1 = h - top < side ? h - top : side;
                const int16_t *row0;
                ptrdiff_t step = 16;
                if (q->volume[l] && i0 == 0 && j0 == 0 && i1 == side && j1 == side && left + 16 <= w) {
                    row0 = q->volume[l] + pixel * (size_t)q->volume_step[l] + top * w + left;
                    step = w;
                } else {
                    row0 = &window[0][0];
                    if (i1 - i0 < side || j1 - j0 < side) memset(window, 0, sizeof window);
                    for (j = j0; j < j1; j++)
                        if (q->volume[l]) {
                            const int16_t *p = q->volume[l] + pixel * (size_t)q->volume_step[l] + (ptrdiff_t)(top + j) * w + left;
                            for (i = i0; i < i1; i++) window[j][i] = p[i];
                        } else {
                            for (i = i0; i < i1; i++) {
                                const int16_t *f = q->feature[q->first] + pixel * (size_t)features;
                                const int16_t *g =
                                    q->level_feature[1 - q->first][l] + ((size_t)(top + j) * (size_t)w + (size_t)(left + i)) * (size_t)features;
                                int32_t sum = 0;
                                for (k = 0; k < features; k++) sum += f[k] * g[k];
                                window[j][i] = mosaic_flow__qcorrelation(sum, q->corr_shift);
                            }
                        }
                }
                for (j = 0; j < 2 * r + 1; j++, row0 += step)
                    for (i = 0; i < span; i += 8) {
                        int16_t p[4][8], v[8];
                        memcpy(p[0], row0 + i, sizeof p[0]);
                        memcpy(p[1], row0 + i + 1, sizeof p[1]);
                        memcpy(p[2], row0 + step + i, sizeof p[2]);
                        memcpy(p[3], row0 + step + i + 1, sizeof p[3]);
                        for (k = 0; k < 8; k++) v[k] = (int16_t)((p[0][k] * a + p[1][k] * b + p[2][k] * c + p[3][k] * d + 8192) >> 14);
                        memcpy(out + j * span + i, v, sizeof v);
                    }
            }
        }
}

#define MOSAIC_FLOW__QSTAMP(name, target)                                                                                                            \
    target static void mosaic_flow__qrows_##name(const mosaic_flow__qop *op, int from, int to, mosaic_flow__qstat *stat)                             \
    {                                                                                                                                                \
        mosaic_flow__qrows(op, from, to, stat);                                                                                                      \
    }                                                                                                                                                \
    target static void mosaic_flow__qnorm_##name(const mosaic_flow__qop *op, int from, int to, mosaic_flow__qstat *stat)                             \
    {                                                                                                                                                \
        mosaic_flow__qnorm(op, from, to, stat);                                                                                                      \
    }                                                                                                                                                \
    target static void mosaic_flow__qtiles_##name(const mosaic_flow__qop *op, int from, int to, int index)                                           \
    {                                                                                                                                                \
        mosaic_flow__qtiles(op, from, to, index);                                                                                                    \
    }                                                                                                                                                \
    target static void mosaic_flow__qlookup_##name(const mosaic_flow__qraft *q, int from, int to) { mosaic_flow__qlookup(q, from, to); }
MOSAIC_FLOW__QSTAMP(plain, )
#if MOSAIC_FLOW__SIMD
MOSAIC_FLOW__QSTAMP(avx2, MOSAIC__TARGET("avx2"))
MOSAIC_FLOW__QSTAMP(avx512, MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2"))
#endif

/* ---- running the network ---- */

typedef struct mosaic_flow__qjob {
    const mosaic_flow__qop *op;
    const mosaic_flow__qraft *q;
    int pass, height, count;
} mosaic_flow__qjob;

static int mosaic_flow__qband(const mosaic_flow__qraft *q, int height, int index) { return (int)((int64_t)height * index / q->bands); }

static void mosaic_flow__qrows_job(void *arg, int index)
{
    const mosaic_flow__qjob *job = (const mosaic_flow__qjob *)arg;
    const int from = mosaic_flow__qband(job->q, job->height, index), to = mosaic_flow__qband(job->q, job->height, index + 1);
    mosaic_flow__qstat *stat = job->q->stats + index;
    int c;
    if (job->pass == 0) {
        if (job->op->kind == MOSAIC_FLOW__QNORM) {
            memset(stat, 0, sizeof *stat);
            for (c = 0; c < MOSAIC_FLOW__QOUTPUTS; c++) {
                stat->low[c] = 0x7fffffff;
                stat->high[c] = -0x7fffffff;
            }
        }
        job->q->rows(job->op, from, to, stat);
    } else
        job->q->norm(job->op, from, to, job->pass == 1 ? stat : 0);
}

static void mosaic_flow__qtiles_job(void *arg, int index)
{
    const mosaic_flow__qjob *job = (const mosaic_flow__qjob *)arg;
    const int tiles = (job->op->width + 1) / 2 * job->height;
    job->q->tiles(job->op, (int)((int64_t)tiles * index / job->count), (int)((int64_t)tiles * (index + 1) / job->count), index);
}

static void mosaic_flow__qlookup_job(void *arg, int index)
{
    const mosaic_flow__qjob *job = (const mosaic_flow__qjob *)arg;
    job->q->lookup(job->q, mosaic_flow__qband(job->q, job->height, index), mosaic_flow__qband(job->q, job->height, index + 1));
}

static void mosaic_flow__qpass(const mosaic_flow__qraft *q, const mosaic_flow__qop *op, int pass)
{
    mosaic_flow__qjob job;
    if (q->step) {
        q->step(q, MOSAIC_FLOW__QSTEP_PASS, op, 0);
        return;
    }
    job.op = op;
    job.q = q;
    job.pass = pass;
    job.height = op->height;
    if (op->conv->tiled) {
        job.height = (op->height + 1) / 2;
        job.count = q->flow->o.run ? q->bands : 1; /* one job finds its memory in the cache */
        mosaic_flow__jobs(q->flow, mosaic_flow__qtiles_job, &job, job.count);
    } else
        mosaic_flow__jobs(q->flow, mosaic_flow__qrows_job, &job, q->bands);
}

MOSAIC_FLOW__INLINE uint32_t mosaic_flow__qroot(uint64_t v)
{
    uint64_t root = 0, bit;
    for (bit = (uint64_t)1 << 31; bit; bit >>= 1)
        if ((root + bit) * (root + bit) <= v) root += bit;
    return (uint32_t)root;
}

/* 1e-5 * 2^e, rounded. */
MOSAIC_FLOW__INLINE int64_t mosaic_flow__qepsilon(int e)
{
    const int64_t mantissa = 2814749767; /* 1e-5 * 2^48 */
    if (e >= 48) return mantissa << (e - 48 > 20 ? 20 : e - 48);
    return e < 0 ? 0 : ((mantissa >> (47 - e)) + 1) >> 1;
}

/* n / d and the rest, rounded down. */
MOSAIC_FLOW__INLINE int64_t mosaic_flow__qfloor(int64_t n, int64_t d, int64_t *rest)
{
    int64_t quotient = n / d;
    if (n % d < 0) quotient--;
    *rest = n - quotient * d;
    return quotient;
}

/* The scale of channel c, as far as sums, the least and the largest of n pixels tell. */
MOSAIC_FLOW__INLINE void mosaic_flow__qscale_begin(mosaic_flow__qscale *s, int c, int64_t n, int64_t sum, int32_t low, int32_t high)
{
    int64_t rest, largest; /* deviation */
    s->mean[c] = (int32_t)mosaic_flow__qfloor(sum, n, &rest);
    largest = (int64_t)high - s->mean[c] > (int64_t)s->mean[c] - low ? (int64_t)high - s->mean[c] : (int64_t)s->mean[c] - low;
    s->coarse[c] = s->up[c] = s->down[c] = 0;
    while (largest >> s->coarse[c] > 32767) s->coarse[c]++;
    while (largest >> s->down[c] >= (1 << 22) - 1) s->down[c]++;
    while (s->up[c] < 20 && largest << (s->up[c] + 1) < (1 << 22) - 1) s->up[c]++;
    s->rest[c] = (int32_t)((rest << s->up[c]) / n >> s->down[c]);
}

/* The rest of it, from the deviations' sum and that of their squares; `bits` are the fraction bits of the sums. */
MOSAIC_FLOW__INLINE void mosaic_flow__qscale_end(mosaic_flow__qscale *s, int c, int64_t n, int64_t deviation, int64_t square, int32_t bits)
{
    int64_t mean, rest, v;
    int e = 0;
    mean = mosaic_flow__qfloor(deviation, n, &rest);
    square -= mean * (deviation + rest) + rest * rest / n; /* n times the variance */
    v = (square / n << 10) + (square % n << 10) / n + mosaic_flow__qepsilon(2 * (bits - s->coarse[c]) + 10);
    if (v < 1) v = 1;
    while (v >> e >= (int64_t)1 << 32) e += 2;
    v >>= e;
    while (v < (int64_t)1 << 30) {
        v <<= 2;
        e -= 2;
    }
    /* 2^31 / sqrt(v) has 16 bits; t is in units of 2^(down - up), v in those of 2^coarse and with 10 fraction bits. */
    s->factor[c] = (int32_t)mosaic_flow__qroot(((uint64_t)1 << 62) / (uint64_t)v);
    s->shift[c] = 31 - 5 + e / 2 + s->coarse[c] - MOSAIC_FLOW__QF - (s->down[c] - s->up[c]) - 8;
    for (; s->shift[c] > 30; s->shift[c]--) s->factor[c] >>= 1;
    for (; s->shift[c] < 0; s->shift[c]++) s->up[c]++;
    s->up[c] = 1 << s->up[c];
}

/* Instance norm of op's sums: to op->to. */
static void mosaic_flow__qnormalise(const mosaic_flow__qraft *q, const mosaic_flow__qop *op)
{
    const int64_t n = (int64_t)op->width * op->height;
    int c, b;
    if (q->step) {
        q->step(q, MOSAIC_FLOW__QSTEP_NORM, op, 0);
        return;
    }
    for (c = 0; c < op->conv->blocks * 16; c++) {
        int64_t sum = 0;
        int32_t high = -0x7fffffff, low = 0x7fffffff;
        for (b = 0; b < q->bands; b++) {
            const mosaic_flow__qstat *t = &q->stats[b];
            sum += t->sum[c];
            low = t->low[c] < low ? t->low[c] : low;
            high = t->high[c] > high ? t->high[c] : high;
        }
        mosaic_flow__qscale_begin(q->scales, c, n, sum, low, high);
    }
    mosaic_flow__qpass(q, op, 1);
    for (c = 0; c < op->conv->blocks * 16; c++) {
        int64_t deviation = 0, square = 0;
        for (b = 0; b < q->bands; b++) {
            deviation += q->stats[b].deviation[c];
            square += q->stats[b].square[c];
        }
        mosaic_flow__qscale_end(q->scales, c, n, deviation, square, op->conv->shift[c]);
    }
    mosaic_flow__qpass(q, op, 2);
}

static void mosaic_flow__qop_start(const mosaic_flow__qraft *q, mosaic_flow__qop *op, const mosaic_flow__qconv *conv, const mosaic_flow__qmap *from,
                                   const mosaic_flow__qmap *to, mosaic_flow__qkind kind)
{
    memset(op, 0, sizeof *op);
    op->q = q;
    op->conv = conv;
    op->from = from;
    op->to = to;
    op->kind = kind;
    op->relu = 1;
    op->width = (from->width + conv->stride - 1) / conv->stride;
    op->height = (from->height + conv->stride - 1) / conv->stride;
}

/* A convolution of an encoder with its norm. */
static void mosaic_flow__qlayer(const mosaic_flow__qraft *q, int layer, const mosaic_flow__qmap *from, const mosaic_flow__qmap *to,
                                const mosaic_flow__qmap *skip, int relu)
{
    const int norm = q->shape.model->layers[layer].norm == 1;
    mosaic_flow__qop op;
    mosaic_flow__qop_start(q, &op, &q->conv[layer], from, to, norm ? MOSAIC_FLOW__QNORM : MOSAIC_FLOW__QSPLIT);
    op.skip = skip;
    op.relu = relu;
    op.sums = q->sums;
    op.sums_step = q->conv[layer].blocks * 16;
    mosaic_flow__qpass(q, &op, 0);
    if (norm) mosaic_flow__qnormalise(q, &op);
}

/* An encoder up to its last layer; returns its last map. */
static const mosaic_flow__qmap *mosaic_flow__qencoder(const mosaic_flow__qraft *q, int layer)
{
    const mosaic_flow__model *model = q->shape.model;
    const mosaic_flow__qmap *x = &q->whole[0][0];
    int block, size = 0, side = 0, i;
    mosaic_flow__qlayer(q, layer++, &q->image, x, 0, 1);
    for (block = 0; block < 6; block++) {
        const int smaller = block == 2 || block == 4;
        const mosaic_flow__qmap *y = x, *skip = x;
        if (smaller) {
            skip = &q->across[size + 1];
            mosaic_flow__qlayer(q, layer + model->bottleneck, x, skip, 0, 0);
        }
        for (i = 0; i + 1 < model->bottleneck; i++) {
            size += model->layers[layer + i].stride - 1;
            mosaic_flow__qlayer(q, layer + i, y, &q->inner[size][i], 0, 1);
            y = &q->inner[size][i];
        }
        side = smaller ? 0 : 1 - side;
        x = &q->whole[size][side];
        mosaic_flow__qlayer(q, layer + i, y, x, skip, 1);
        layer += model->bottleneck + smaller;
    }
    return x;
}

/* A pixel of the padded picture as 2 v - 255; the picture itself is w x h. */
MOSAIC_FLOW__INLINE void mosaic_flow__qenter(const mosaic_flow__qraft *q, const uint8_t *picture, int w, int h, int x, int y)
{
    const int px = mosaic_flow__qclamp(x - q->shape.left, 0, w - 1), py = mosaic_flow__qclamp(y - q->shape.top, 0, h - 1);
    const uint8_t *p = picture + 3 * ((size_t)py * (size_t)w + (size_t)px);
    int16_t *to = q->image.at + y * q->image.pitch + 4 * x;
    int c;
    for (c = 0; c < 3; c++) to[c] = (int16_t)(2 * p[c] - 255);
}

static void mosaic_flow__qpicture(const mosaic_flow__qraft *q, int slot)
{
    int x, y;
    if (q->step) {
        q->step(q, MOSAIC_FLOW__QSTEP_PICTURE, 0, slot);
        return;
    }
    for (y = 0; y < q->shape.height; y++)
        for (x = 0; x < q->shape.width; x++) mosaic_flow__qenter(q, q->flow->picture[slot], q->flow->field.width, q->flow->field.height, x, y);
}

/* What a sum counts when the largest is sought. */
MOSAIC_FLOW__INLINE int32_t mosaic_flow__qsize(int32_t v) { return v < 0 ? ~v : v; }

/* How far sums are shifted right before their squares are added up. */
MOSAIC_FLOW__INLINE int mosaic_flow__qbase(int32_t largest)
{
    int base = 0;
    while (largest >> base >= 1 << 20) base++;
    return base;
}

/* The square of the length of a pixel's features, in sums shifted right by base. */
MOSAIC_FLOW__INLINE uint64_t mosaic_flow__qlength(const int32_t *sums, int features, int base)
{
    uint64_t square = 0;
    int c;
    for (c = 0; c < features; c++) {
        const int64_t v = sums[c] >> base;
        square += (uint64_t)(v * v);
    }
    return square;
}

/* From the sums to features with as many fraction bits as make every dot product of two pictures' features fit 32 bits: by Cauchy-Schwarz no
   sum of products, nor a part of it, is larger than the product of the longest vectors. longest: qlength of the longest; bits: of the sums. */
MOSAIC_FLOW__INLINE int mosaic_flow__qfeature_shift(int32_t largest, uint64_t longest, int32_t bits)
{
    /* A rounded vector is at most half of sqrt(features) longer than the exact one, what `base` cut off at most sqrt(features). */
    const uint32_t length = mosaic_flow__qroot(longest) + 17;
    const int base = mosaic_flow__qbase(largest);
    int shift = 0;
    while (length >> shift > 46200 || (largest >> base >> shift) > 32766 || bits - base - shift > 14) shift++;
    return shift + base;
}

MOSAIC_FLOW__INLINE int16_t mosaic_flow__qfeature(int32_t sum, int shift)
{
    return (int16_t)(shift ? (int32_t)(((int64_t)sum + ((int64_t)1 << (shift - 1))) >> shift) : sum);
}

/* Channel c of a level's pixel: the mean of the features it covers. */
MOSAIC_FLOW__INLINE int16_t mosaic_flow__qlevel(const mosaic_flow__qraft *q, const int16_t *f, int level, int x, int y, int c)
{
    const size_t features = (size_t)q->shape.model->features, w8 = (size_t)q->shape.w8;
    const int side = 1 << level;
    int32_t sum = level ? 1 << (2 * level - 1) : 0;
    int i, j;
    for (j = 0; j < side; j++)
        for (i = 0; i < side; i++) sum += f[((size_t)(side * y + j) * w8 + (size_t)(side * x + i)) * features + (size_t)c];
    return (int16_t)(sum >> (2 * level));
}

/* The sums of the feature encoder's last layer. */
static void mosaic_flow__qfeature_sums(mosaic_flow__qraft *q, int slot)
{
    const int layer = q->shape.model->cnet - 1;
    mosaic_flow__qop op;
    mosaic_flow__qpicture(q, slot);
    mosaic_flow__qop_start(q, &op, &q->conv[layer], mosaic_flow__qencoder(q, 0), 0, MOSAIC_FLOW__QSUMS);
    op.sums = q->sums;
    op.sums_step = q->shape.model->features;
    op.sums_block = 32;
    mosaic_flow__qpass(q, &op, 0);
    q->context_ready[slot] = 0;
}

static void mosaic_flow__qfeatures(mosaic_flow__qraft *q, int slot)
{
    const int features = q->shape.model->features, layer = q->shape.model->cnet - 1;
    const size_t count = (size_t)q->shape.w8 * (size_t)q->shape.h8, numbers = count * (size_t)features;
    const int32_t *sums = q->sums;
    int16_t *f = q->feature[slot];
    int32_t largest = 0;
    uint64_t longest = 0;
    int shift, base, c, l, x, y;
    size_t k;
    mosaic_flow__qfeature_sums(q, slot);
    for (k = 0; k < numbers; k++) {
        const int32_t v = mosaic_flow__qsize(sums[k]);
        largest = v > largest ? v : largest;
    }
    base = mosaic_flow__qbase(largest);
    for (k = 0; k < count; k++) {
        const uint64_t square = mosaic_flow__qlength(sums + k * (size_t)features, features, base);
        longest = square > longest ? square : longest;
    }
    shift = mosaic_flow__qfeature_shift(largest, longest, q->conv[layer].shift[0]);
    q->feature_bits[slot] = q->conv[layer].shift[0] - shift;
    for (k = 0; k < numbers; k++) f[k] = mosaic_flow__qfeature(sums[k], shift);
    for (l = 0; l < 4; l++) {
        const int w = q->shape.level_width[l], h = q->shape.level_height[l];
        for (y = 0; y < h; y++)
            for (x = 0; x < w; x++) {
                const size_t at = (size_t)y * (size_t)w + (size_t)x;
                for (c = 0; c < features; c++) {
                    const int16_t v = mosaic_flow__qlevel(q, f, l, x, y, c);
                    if (q->packed[slot][l])
                        q->packed[slot][l][at / 16 * 16 * (size_t)features + (size_t)c / 2 * 32 + at % 16 * 2 + (size_t)c % 2] = v;
                    else if (l)
                        q->level_feature[slot][l][at * (size_t)features + (size_t)c] = v;
                }
            }
    }
}

static void mosaic_flow__qcontext(mosaic_flow__qraft *q, int slot)
{
    const mosaic_flow__model *model = q->shape.model;
    const ptrdiff_t pixels = (ptrdiff_t)q->shape.w8 * q->shape.h8;
    mosaic_flow__qop op;
    int half;
    mosaic_flow__qpicture(q, slot);
    mosaic_flow__qop_start(q, &op, &q->conv[model->update - 1], mosaic_flow__qencoder(q, model->cnet), &q->context_map, MOSAIC_FLOW__QCONTEXT);
    op.limit = q->limit[MOSAIC_FLOW__SCALE_CONTEXT];
    op.hidden = q->hidden_start[slot];
    mosaic_flow__qpass(q, &op, 0);
    for (half = 0; half < 2 && q->context[half].weights; half++) {
        mosaic_flow__qop_start(q, &op, &q->context[half], &q->context_map, 0, MOSAIC_FLOW__QSUMS);
        op.sums = q->context_sums[slot] + half * 3 * model->hidden * pixels;
        op.sums_step = 32;
        op.sums_block = 32 * pixels;
        mosaic_flow__qpass(q, &op, 0);
    }
    q->context_ready[slot] = 1;
}

/* The scales of each layer's input and output in the update block. */
static const int8_t mosaic_flow__qscales[MOSAIC_FLOW__UPDATE_LAYERS][2] = {{MOSAIC_FLOW__SCALE_CORR, MOSAIC_FLOW__SCALE_CORR1},
                                                                           {MOSAIC_FLOW__SCALE_CORR1, MOSAIC_FLOW__SCALE_CORR2},
                                                                           {MOSAIC_FLOW__SCALE_FLOW, MOSAIC_FLOW__SCALE_FLOW1},
                                                                           {MOSAIC_FLOW__SCALE_FLOW1, MOSAIC_FLOW__SCALE_FLOW2},
                                                                           {MOSAIC_FLOW__SCALE_CORR2, MOSAIC_FLOW__SCALE_MERGE},
                                                                           {0, 0},
                                                                           {0, 0},
                                                                           {0, 0},
                                                                           {0, 0},
                                                                           {0, 0},
                                                                           {0, 0},
                                                                           {0, MOSAIC_FLOW__SCALE_HEAD},
                                                                           {MOSAIC_FLOW__SCALE_HEAD, 0},
                                                                           {0, MOSAIC_FLOW__SCALE_MASK},
                                                                           {MOSAIC_FLOW__SCALE_MASK, 0}};

static void mosaic_flow__qrelu(const mosaic_flow__qraft *q, int layer, const mosaic_flow__qmap *from, int from_channel, const mosaic_flow__qmap *to,
                               int to_channel)
{
    mosaic_flow__qop op;
    mosaic_flow__qop_start(q, &op, &q->conv[layer], from, to, MOSAIC_FLOW__QRELU);
    op.from_channel = from_channel;
    op.to_channel = to_channel;
    op.limit = q->limit[mosaic_flow__qscales[layer - q->shape.model->update][1]];
    mosaic_flow__qpass(q, &op, 0);
}

static void mosaic_flow__qiterate(mosaic_flow__qraft *q)
{
    const mosaic_flow__model *model = q->shape.model;
    const int update = model->update, corr = model->layers[update + MOSAIC_FLOW__CORR2].name ? MOSAIC_FLOW__CORR2 : MOSAIC_FLOW__CORR1;
    const ptrdiff_t pixels = (ptrdiff_t)q->shape.w8 * q->shape.h8;
    mosaic_flow__qjob job;
    mosaic_flow__qop op;
    int half;
    job.op = 0;
    job.q = q;
    job.pass = 0;
    job.height = q->shape.h8;
    if (q->step)
        q->step(q, MOSAIC_FLOW__QSTEP_LOOKUP, 0, 0);
    else
        mosaic_flow__jobs(q->flow, mosaic_flow__qlookup_job, &job, q->bands);
    if (corr == MOSAIC_FLOW__CORR2) {
        mosaic_flow__qrelu(q, update + MOSAIC_FLOW__CORR1, &q->taps, 0, &q->corr1, 0);
        mosaic_flow__qrelu(q, update + MOSAIC_FLOW__CORR2, &q->corr1, 0, &q->merge, 0);
    } else
        mosaic_flow__qrelu(q, update + MOSAIC_FLOW__CORR1, &q->taps, 0, &q->merge, 0);
    mosaic_flow__qrelu(q, update + MOSAIC_FLOW__FLOW1, &q->flow_map, 0, &q->flow1, 0);
    mosaic_flow__qrelu(q, update + MOSAIC_FLOW__FLOW2, &q->flow1, 0, &q->merge, model->layers[update + corr].out);
    mosaic_flow__qrelu(q, update + MOSAIC_FLOW__MERGE, &q->merge, 0, &q->state, model->hidden);
    for (half = 0; half < 2 && q->gates[half].weights; half++) {
        const int32_t *start = q->context_sums[q->first] + half * 3 * model->hidden * pixels;
        mosaic_flow__qop_start(q, &op, &q->gates[half], &q->state, &q->state, MOSAIC_FLOW__QGATES);
        op.from_channel = model->hidden;
        op.start = start;
        mosaic_flow__qpass(q, &op, 0);
        mosaic_flow__qop_start(q, &op, &q->news[half], &q->state, &q->state, MOSAIC_FLOW__QCANDIDATE);
        op.to_channel = q->hidden_channel;
        op.start = start + 2 * model->hidden * pixels;
        mosaic_flow__qpass(q, &op, 0);
    }
    mosaic_flow__qrelu(q, update + MOSAIC_FLOW__HEAD1, &q->state, q->hidden_channel, &q->head, 0);
    mosaic_flow__qop_start(q, &op, &q->conv[update + MOSAIC_FLOW__HEAD2], &q->head, &q->flow_map, MOSAIC_FLOW__QDELTA);
    mosaic_flow__qpass(q, &op, 0);
}

static void mosaic_flow__qvolume(mosaic_flow__qraft *q)
{
    int l;
    mosaic_flow__qop op;
    q->corr_shift = q->feature_bits[0] + q->feature_bits[1] - q->scale[MOSAIC_FLOW__SCALE_CORR];
    for (l = 0; l < 4; l++) {
        mosaic_flow__qconv *c = &q->level_conv[l];
        if (!q->volume[l] || !c->out) continue;
        c->weights = q->packed[1 - q->first][l];
        mosaic_flow__qop_start(q, &op, c, &q->feature_map[q->first], &q->volume_map[l], MOSAIC_FLOW__QCORR);
        mosaic_flow__qpass(q, &op, 0);
    }
}

/* v / divisor to the nearest integer. */
MOSAIC_FLOW__INLINE int64_t mosaic_flow__qround(int64_t v, int64_t divisor)
{
    return v >= 0 ? (v + divisor / 2) / divisor : -((-v + divisor / 2) / divisor);
}

/* The picture of the motion: dx, dy of a pixel of the field, in 1 / 512 px. */
MOSAIC_FLOW__INLINE void mosaic_flow__qpixel(const mosaic_flow__qraft *q, int x, int y, int64_t *vector)
{
    const int w = q->shape.w8, h = q->shape.h8;
    int c, i, j;
    if (q->mask.at) {
        const int32_t *sums = q->sums + ((size_t)(y / 8) * (size_t)w + (size_t)(x / 8)) * 576 + (y & 7) * 8 + (x & 7);
        const int shift = q->conv[q->shape.model->update + MOSAIC_FLOW__MASK2].shift[0] + 2 - 12; /* a quarter of the sum, with 12 fraction bits */
        int32_t largest = sums[0];
        int64_t total = 0, sum[2] = {0, 0};
        for (i = 1; i < 9; i++) largest = sums[64 * i] > largest ? sums[64 * i] : largest;
        for (i = 0; i < 9; i++) {
            const int64_t d = (int64_t)largest - sums[64 * i], t = shift > 0 ? d >> shift : d << -shift;
            const int u = t > 65535 ? 65535 : (int)t, nx = x / 8 + i % 3 - 1, ny = y / 8 + i / 3 - 1;
            const int32_t entry = q->exp_table[u >> 6], weight = (entry >> 16) - (((entry & 0xffff) * (u & 63) + 32) >> 6);
            total += weight;
            if (nx >= 0 && nx < w && ny >= 0 && ny < h)
                for (c = 0; c < 2; c++) sum[c] += (int64_t)weight * q->vectors[2 * ((size_t)ny * (size_t)w + (size_t)nx) + (size_t)c];
        }
        for (c = 0; c < 2; c++) vector[c] = mosaic_flow__qround(sum[c], total);
    } else {
        /* Corners on corners: x * (w - 1) / (8 w - 1), with weights of 16 bits. */
        const int64_t px = (int64_t)x * (w - 1), py = (int64_t)y * (h - 1);
        const int dx = 8 * w - 1, dy = 8 * h - 1;
        const int x0 = (int)(px / dx), y0 = (int)(py / dy), x1 = x0 + 1 < w ? x0 + 1 : x0, y1 = y0 + 1 < h ? y0 + 1 : y0;
        const int64_t fx = (px % dx * 131072 + dx) / (2 * dx), fy = (py % dy * 131072 + dy) / (2 * dy);
        const int32_t *v = q->vectors;
        for (c = 0; c < 2; c++) {
            int64_t t[2];
            for (j = 0; j < 2; j++) {
                const size_t row = (size_t)(j ? y1 : y0) * (size_t)w;
                t[j] = v[2 * (row + (size_t)x0) + (size_t)c] * (65536 - fx) + v[2 * (row + (size_t)x1) + (size_t)c] * fx;
            }
            vector[c] = (t[0] * (65536 - fy) + t[1] * fy + ((int64_t)1 << 31)) >> 32;
        }
    }
}

/* The motion to begin with. */
static void mosaic_flow__qinitial(const mosaic_flow *flow, mosaic_flow__qraft *q, int direction, const float *init)
{
    const size_t count = (size_t)q->shape.w8 * (size_t)q->shape.h8;
    size_t k;
    int c;
    for (k = 0; k < 2 * count; k++) {
        const float v = init ? init[k] : 0.0f, reach = (float)MOSAIC_FLOW__QREACH / 4096.0f;
        q->vectors[k] = (int32_t)((v < -reach ? -reach : v > reach ? reach : v) * 4096.0f);
    }
    if (direction >= 0 && q->carried[direction] && flow->streamed > 1) {
        mosaic_flow__carry(&q->shape, direction, q->carried[direction], q->sources, q->distance);
        for (k = 0; k < count; k++) {
            const size_t source = (size_t)q->sources[k];
            if (source == count) continue;
            for (c = 0; c < 2; c++) q->vectors[2 * k + (size_t)c] = (int32_t)(q->carried[direction][2 * source + (size_t)c] * 4096.0f);
        }
    }
}

/* The inputs of a pixel before the first iteration. */
MOSAIC_FLOW__INLINE void mosaic_flow__qbegin(const mosaic_flow__qraft *q, int x, int y)
{
    const ptrdiff_t count = (ptrdiff_t)q->shape.w8 * q->shape.h8, at = (ptrdiff_t)y * q->shape.w8 + x;
    int16_t *state = q->state.at + y * q->state.pitch + (ptrdiff_t)x * q->state.channels;
    int c;
    for (c = 0; c < q->shape.model->hidden; c++) state[q->hidden_channel + c] = mosaic_flow__qhidden(q->hidden[mosaic_flow__qplace(count, at, c)]);
    mosaic_flow__qset_flow(q, x, y);
}

/* All iterations, and what upsampling needs of the network. */
static void mosaic_flow__qrun(mosaic_flow__qraft *q, int iterations)
{
    const mosaic_flow__model *model = q->shape.model;
    mosaic_flow__qop op;
    int i;
    for (i = 0; i < iterations; i++) mosaic_flow__qiterate(q);
    if (!q->mask.at) return;
    mosaic_flow__qrelu(q, model->update + MOSAIC_FLOW__MASK1, &q->state, q->hidden_channel, &q->mask, 0);
    mosaic_flow__qop_start(q, &op, &q->conv[model->update + MOSAIC_FLOW__MASK2], &q->mask, 0, MOSAIC_FLOW__QSUMS);
    op.sums = q->sums;
    op.sums_step = 576;
    op.sums_block = 32;
    mosaic_flow__qpass(q, &op, 0);
}

static void mosaic_flow__qkeep(mosaic_flow__qraft *q, int direction)
{
    const size_t count = (size_t)q->shape.w8 * (size_t)q->shape.h8;
    size_t k;
    for (k = 0; direction >= 0 && q->carried[direction] && k < 2 * count; k++) q->carried[direction][k] = (float)q->vectors[k] / 4096.0f;
}

/* From 1/512 px to the 1/64 px of a field. */
MOSAIC_FLOW__INLINE int16_t mosaic_flow__qsixtyfourth(int64_t v)
{
    const int64_t u = (v + 4) >> 3;
    return (int16_t)(u > 32767 ? 32767 : u < -32767 ? -32767 : u);
}

static void mosaic_flow__qestimate(mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors, float *out)
{
    mosaic_flow__qraft *q = (mosaic_flow__qraft *)flow->method;
    const size_t count = (size_t)q->shape.w8 * (size_t)q->shape.h8;
    int x, y, c;
    q->first = from;
    if (!q->context_ready[from]) mosaic_flow__qcontext(q, from);
    mosaic_flow__qvolume(q);
    memcpy(q->hidden, q->hidden_start[from], count * (size_t)q->shape.model->hidden * sizeof *q->hidden);
    mosaic_flow__qinitial(flow, q, direction, init);
    for (y = 0; y < q->shape.h8; y++)
        for (x = 0; x < q->shape.w8; x++) mosaic_flow__qbegin(q, x, y);
    mosaic_flow__qrun(q, flow->o.iterations);
    mosaic_flow__qkeep(q, direction);
    for (y = 0; y < flow->field.height; y++)
        for (x = 0; x < flow->field.width; x++) {
            const size_t at = 2 * ((size_t)y * (size_t)flow->field.width + (size_t)x);
            int64_t v[2];
            mosaic_flow__qpixel(q, x + q->shape.left, y + q->shape.top, v);
            for (c = 0; c < 2; c++) {
                if (vectors) vectors[at + (size_t)c] = mosaic_flow__qsixtyfourth(v[c]);
                if (out) out[at + (size_t)c] = (float)v[c] / 512.0f;
            }
        }
}

static void mosaic_flow__qencode(mosaic_flow *flow, int slot) { mosaic_flow__qfeatures((mosaic_flow__qraft *)flow->method, slot); }

/* ---- packing the weights, with the proof that no sum overflows ---- */

static double mosaic_flow__qtwo(int e)
{
    double v = 1;
    for (; e > 0; e--) v *= 2;
    for (; e < 0; e++) v *= 0.5;
    return v;
}

/* What the inputs of a convolution are, in the order in which they are stored: source channel (-1: none, zero), what one of them is, bounds. */
typedef struct mosaic_flow__qinputs {
    int count, two; /* two: each has a high and a low part */
    int16_t source[MOSAIC_FLOW__QINPUTS];
    double unit[MOSAIC_FLOW__QINPUTS]; /* 2^-(fraction bits) */
    int32_t low[MOSAIC_FLOW__QINPUTS], high[MOSAIC_FLOW__QINPUTS];
} mosaic_flow__qinputs;

static void mosaic_flow__qadd(mosaic_flow__qinputs *in, int source, int count, int bits, int32_t low, int32_t high)
{
    for (; count > 0; count--, in->count++) {
        in->source[in->count] = (int16_t)source;
        in->unit[in->count] = mosaic_flow__qtwo(-bits);
        in->low[in->count] = low;
        in->high[in->count] = high;
        if (source >= 0) source++;
    }
}

static void mosaic_flow__qadd_flow(mosaic_flow__qinputs *in, int source, int bits, int32_t limit)
{
    const int half = 1 << (MOSAIC_FLOW__QFLOW - bits) >> 1;
    mosaic_flow__qadd(in, source, 2, bits, -limit, limit);
    mosaic_flow__qadd(in, source, 2, MOSAIC_FLOW__QFLOW, -half, half);
}

/* The matrices G (doubled) and A of tiles. */
static const int8_t mosaic_flow__qg[4][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}};
static const int8_t mosaic_flow__qa[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

/* What the n-th input is at least and at most; of a tile, at a place of v. */
static void mosaic_flow__qbounds(const mosaic_flow__qconv *c, int place, int n, int32_t *low, int32_t *high)
{
    *low = c->low[n];
    *high = c->high[n];
    if (c->tiled) { /* the sum of four numbers, or of two less two others */
        *low = place == 5 ? 4 * c->low[n] : 2 * (c->low[n] - c->high[n]);
        *high = place == 5 ? 4 * c->high[n] : 2 * (c->high[n] - c->low[n]);
    }
}

/* Whether no input within its bounds makes a sum of output o of a packed convolution, or any part of one in any order, leave 32 bits, nor the whole
   pass `limit`: the largest positive products alone and the largest negative ones alone stay inside, so every choice among them does. */
static int mosaic_flow__qproof(const mosaic_flow__qconv *c, int o, int two, int64_t limit)
{
    const int16_t *w = c->weights + (ptrdiff_t)(o / 16) * c->segments * c->pairs * 32 + o % 16 * 2;
    const int64_t half = c->part ? (int64_t)1 << (c->part - 1) : 0;
    int64_t most[4] = {0, 0, 0, 0}, least[4] = {0, 0, 0, 0}; /* of the outputs of a tile; else all alike */
    int64_t segment_most = half, segment_least = 0, low_most = 128, low_least = 0;
    const int pieces = c->tiled ? c->segments / 16 : 1;
    int32_t low, high;
    int k, p, i, n = 0;
    for (k = 0; k < c->segments; k++) {
        for (p = 0; p < c->pairs; p++, w += 32)
            for (i = 0; i < 2; i++, n++) {
                if (n == c->in) n = 0;
                mosaic_flow__qbounds(c, k / pieces, n, &low, &high);
                if (high > 32767 || low < -32767) return 0;
                segment_most += (int64_t)w[i] * (w[i] > 0 ? high : low);
                segment_least += (int64_t)w[i] * (w[i] > 0 ? low : high);
                if (w[i] > 0)
                    low_most += w[i] * 255;
                else
                    low_least += w[i] * 255;
            }
        if (segment_most > 0x7fffffff || segment_least < -0x7fffffff) return 0;
        if (!c->part && k + 1 < c->segments) continue;
        for (i = 0; i < 4; i++) {
            const int place = k / pieces, a = c->tiled ? mosaic_flow__qa[i / 2][place / 4] * mosaic_flow__qa[i % 2][place % 4] : 1;
            if (a) most[i] += (a > 0 ? segment_most >> c->part : -(segment_least >> c->part)) + 1;
            if (a) least[i] += (a > 0 ? segment_least >> c->part : -(segment_most >> c->part)) - 1;
        }
        segment_most = half;
        segment_least = 0;
    }
    if (two && (low_most > 0x7fffffff || low_least < -0x7fffffff)) return 0;
    for (i = 0; i < 4; i++) {
        if (two) {
            most[i] += (low_most >> 8) + 1;
            least[i] += (low_least >> 8) - 1;
        }
        most[i] += c->bias[o] > 0 ? c->bias[o] : 0;
        least[i] += c->bias[o] < 0 ? c->bias[o] : 0;
        if (most[i] > limit || least[i] < -limit) return 0;
    }
    return 1;
}

/* The weight of a segment from one input channel's kernel: a tap of it, or of G g G'. */
static double mosaic_flow__qtap(const mosaic_flow__qconv *c, const float *kernel, int tap)
{
    double sum = 0;
    int i;
    if (!c->tiled) return (double)kernel[tap];
    for (i = 0; i < 9; i++) sum += (double)kernel[i] * (mosaic_flow__qg[tap / 4][i / 3] * mosaic_flow__qg[tap % 4][i % 3]);
    return sum * 0.25;
}

/* Packs output o from `weight` ([inputs of the layer][taps]) and bias with e fraction bits; 0 when that is too many. */
static int mosaic_flow__qpack_output(mosaic_flow__qconv *c, int o, const mosaic_flow__qinputs *in, const float *weight, double factor, double bias,
                                     int e, int output_bits, int rounding, int64_t limit)
{
    const int size = c->height * c->width, taps = c->tiled ? 16 : size;
    const double two = mosaic_flow__qtwo(e), scaled_bias = bias * mosaic_flow__qtwo(e - c->part);
    int16_t *w = c->weights + (ptrdiff_t)(o / 16) * c->segments * c->pairs * 32 + o % 16 * 2;
    int i, n, tap;
    c->shift[o] = e - c->part - output_bits;
    if (c->shift[o] < 0) return -1;
    if (c->shift[o] > 30) return 0;
    if (output_bits) rounding = c->shift[o];
    if (!(scaled_bias < 1e9 && scaled_bias > -1e9)) return 0;
    c->bias[o] = (int32_t)(scaled_bias + (scaled_bias < 0 ? -0.5 : 0.5)) + (rounding ? 1 << (rounding - 1) : 0);
    for (tap = 0, i = 0; tap < taps; tap++)
        for (n = 0; n < in->count; n++, i++) {
            double v = 0;
            if (in->source[n] >= 0) v = mosaic_flow__qtap(c, weight + in->source[n] * size, tap) * factor * (two * in->unit[n]);
            if (!(v < 32767.0 && v > -32767.0)) return 0;
            w[(i >> 1) * 32 + (i & 1)] = (int16_t)(v < 0 ? -(int)(0.5 - v) : (int)(v + 0.5));
        }
    return mosaic_flow__qproof(c, o, in->two, limit);
}

/* Packs `count` outputs of a layer, from `from` on, as outputs first ... of c. companion: null, or the convolution whose sums begin with those of c, which must have the same
   fraction bits. bits: fraction bits of the output, 0: those of the sums. uniform: the same ones for all outputs. */
static int mosaic_flow__qpack(const mosaic_flow__qraft *q, int layer, int from, int count, mosaic_flow__qconv *c, int first,
                              const mosaic_flow__qinputs *in, double factor, int bits, mosaic_flow__qconv *companion, int companion_first,
                              const mosaic_flow__qinputs *companion_in, int uniform)
{
    const mosaic_flow__layer *l = &q->shape.model->layers[layer];
    const mosaic_flow_weights *weights = q->flow->o.weights;
    const int limited = companion || l->norm == 1;
    const size_t each = (size_t)l->in * l->height * l->width;
    int o = 0, e = 31;
    memcpy(c->low, in->low, (size_t)in->count * sizeof *c->low);
    memcpy(c->high, in->high, (size_t)in->count * sizeof *c->high);
    if (companion) {
        memcpy(companion->low, companion_in->low, (size_t)companion_in->count * sizeof *c->low);
        memcpy(companion->high, companion_in->high, (size_t)companion_in->count * sizeof *c->high);
    }
    while (o < count) {
        const float *w = weights->weight[layer] + (size_t)(from + o) * each;
        const double bias = l->norm == 1 ? 0 : (double)weights->bias[layer][from + o];
        int done = mosaic_flow__qpack_output(c, first + o, in, w, factor, companion ? 0 : bias, e, bits, 0, limited ? 0x3fffffff : 0x7fffffff);
        if (done > 0 && companion)
            done = mosaic_flow__qpack_output(companion, companion_first + o, companion_in, w, 1, bias, e, 0, c->shift[first + o], 0x3fffffff);
        if (done < 0) return 0;
        if (done) {
            o++;
            if (!uniform) e = 31;
        } else {
            e--;
            if (uniform) o = 0;
        }
    }
    return 1;
}

/* ---- memory and start ---- */

static void mosaic_flow__qmap_take(mosaic_flow__arena *arena, mosaic_flow__qmap *m, int width, int height, int channels, int border, int two)
{
    /* A tile may reach past the end of a row, and of the last one: what it reads there is not used. */
    const size_t across = (size_t)width + 2 * (size_t)border,
                 size = (across * ((size_t)height + 2 * (size_t)border) + 3 * MOSAIC_FLOW__QTILE) * (size_t)channels;
    int16_t *p = (int16_t *)mosaic_flow__take(arena, size, two ? 2 * sizeof(int16_t) : sizeof(int16_t));
    m->width = width;
    m->height = height;
    m->channels = channels;
    m->pitch = (ptrdiff_t)across * channels;
    m->low = two ? (ptrdiff_t)size : 0;
    m->at = p ? p + border * (m->pitch + channels) : 0;
}

static void mosaic_flow__qconv_take(mosaic_flow__arena *arena, mosaic_flow__qconv *c, int height, int width, int stride, int in, int out, int pieces,
                                    int merged, int part, int tiled)
{
    c->in = in;
    c->out = out;
    c->blocks = (out + 15) / 16;
    c->height = height;
    c->width = width;
    c->stride = stride;
    c->merged = merged;
    c->tiled = tiled;
    if (tiled) pieces = in > 96 ? 2 : 1;
    c->segments = (c->tiled ? 16 : merged ? height : height * width) * pieces;
    c->pairs = (c->tiled ? 16 : height * width) * in / 2 / c->segments;
    c->part = part;
    c->weights = (int16_t *)mosaic_flow__take(arena, (size_t)c->blocks * (size_t)c->segments * (size_t)c->pairs, 32 * sizeof(int16_t));
    c->bias = (int32_t *)mosaic_flow__take(arena, (size_t)c->blocks * 16, sizeof(int32_t));
    c->shift = (int32_t *)mosaic_flow__take(arena, (size_t)c->blocks * 16, sizeof(int32_t));
    c->low = (int32_t *)mosaic_flow__take(arena, (size_t)in, sizeof(int32_t));
    c->high = (int32_t *)mosaic_flow__take(arena, (size_t)in, sizeof(int32_t));
}

/* The scales of the authors' RAFT-small, measured by mosaic_flow_calibrate, and for RAFT-large, whose weights they do not fit as well, a guess. */
static const int32_t mosaic_flow__default_scales[2][MOSAIC_FLOW__SCALES] = {
    {12, 7, 11, 0, 9, 9, 10, 11, 10, 0},
    {11, 7, 10, 10, 9, 8, 10, 11, 10, 10},
};

static mosaic_flow_result mosaic_flow__qplan(mosaic_flow *flow, mosaic_flow__arena *arena)
{
    mosaic_flow__qraft counted, *q = (mosaic_flow__qraft *)mosaic_flow__take(arena, 1, sizeof *q);
    const mosaic_flow__model *model = flow->o.weights->model;
    const mosaic_flow__layer *layers = model->layers, *update = layers + model->update;
    size_t count, sums, tile_inputs, volume = 0;
    /* Forward alone, the context of a picture is used by one pair only, as soon as it is known. */
    const int contexts = flow->o.forward_only ? 1 : 2;
    int i, l, size, width, height, layer, motion, use_volume, context_layers = 0;
    if (!q) {
        q = &counted;
        memset(q, 0, sizeof *q);
    } else
        flow->method = q;
    q->flow = flow;
    mosaic_flow__raft_shape(&q->shape, flow);
    memcpy(q->scale, flow->o.weights->calibration ? flow->o.weights->calibration : mosaic_flow__default_scales[model->bottleneck == 2],
           sizeof q->scale);
    for (i = 0; i < MOSAIC_FLOW__SCALES; i++) { /* they are for 15 bits */
        const int separable = model->bottleneck == 2 && (i == MOSAIC_FLOW__SCALE_CONTEXT || i == MOSAIC_FLOW__SCALE_MERGE);
        const int tiled = i != MOSAIC_FLOW__SCALE_CORR && i != MOSAIC_FLOW__SCALE_FLOW1 && i != MOSAIC_FLOW__SCALE_MASK && !separable;
        q->limit[i] = tiled ? 8191 : 32767;
        if (tiled) q->scale[i] = q->scale[i] > 2 ? q->scale[i] - 2 : 0;
    }
    count = (size_t)q->shape.w8 * (size_t)q->shape.h8;
    q->bands = q->shape.h8 < MOSAIC_FLOW__QBANDS ? q->shape.h8 : MOSAIC_FLOW__QBANDS;
    q->taps_span = model->radius == 3 ? 8 : 16;
    motion = update[MOSAIC_FLOW__MERGE].out + 4; /* the flow is four inputs */
    q->merge_channel = model->hidden;
    q->flow_channel = model->hidden + motion - 4;
    q->hidden_channel = model->hidden + motion;

    /* encoders */
    width = q->shape.width / 2;
    height = q->shape.height / 2;
    sums = count * (size_t)(layers[model->update + MOSAIC_FLOW__MASK2].name ? 576 : model->features);
    mosaic_flow__qmap_take(arena, &q->image, q->shape.width, q->shape.height, 4, 3, 0);
    for (layer = 1, size = 0; size < 3; size++) {
        const int out = layers[layer + model->bottleneck - 1].out;
        if (size) mosaic_flow__qmap_take(arena, &q->across[size], width, height, out, 1, 1);
        for (i = 0; i < 2; i++) {
            /* The first block of the next size begins with a layer of this size: its output goes where this size no longer needs it. */
            const int next = i == 0 && size < 2 && model->bottleneck == 3, inner = layers[next ? layer + 6 + (size > 0) : layer].out;
            mosaic_flow__qmap_take(arena, &q->whole[size][i], width, height, out, 1, 1);
            if (i + 1 < model->bottleneck) mosaic_flow__qmap_take(arena, &q->inner[size][i], width, height, (inner + 15) / 16 * 16, 1, 1);
        }
        if (sums < (size_t)width * (size_t)height * (size_t)((out + 15) / 16 * 16))
            sums = (size_t)width * (size_t)height * (size_t)((out + 15) / 16 * 16);
        layer += 2 * model->bottleneck + (size > 0);
        width /= 2;
        height /= 2;
    }
    for (i = 0; i < model->update; i++) {
        const mosaic_flow__layer *c = &layers[i];
        const int stem = i == 0 || i == model->cnet;
        mosaic_flow__qconv_take(arena, &q->conv[i], c->height, c->width, c->stride, stem ? 4 : c->in, c->out, 1, stem, 0, 0);
    }
    tile_inputs = (size_t)q->bands * 16 * MOSAIC_FLOW__QTILES * MOSAIC_FLOW__QOUTPUTS / 2;
    q->sums = (int32_t *)mosaic_flow__take(arena, sums > tile_inputs ? sums : tile_inputs, sizeof(int32_t));
    q->tile_inputs = (int16_t *)(void *)q->sums;
    q->stats = (mosaic_flow__qstat *)mosaic_flow__take(arena, (size_t)q->bands, sizeof *q->stats);
    q->scales = (mosaic_flow__qscale *)mosaic_flow__take(arena, 1, sizeof *q->scales);
    q->tanh_table = (int32_t *)mosaic_flow__take(arena, 1025, sizeof(int32_t));
    q->exp_table = (int32_t *)mosaic_flow__take(arena, 1025, sizeof(int32_t));

    /* correlation */
    for (l = 0; l < 4; l++) {
        q->volume_step[l] = (q->shape.level_width[l] * q->shape.level_height[l] + 15) / 16 * 16;
        volume += (size_t)q->volume_step[l];
    }
    use_volume = volume <= flow->o.max_memory / sizeof(int16_t) / count;
    q->zeros = (int32_t *)mosaic_flow__take(arena, use_volume ? (size_t)q->volume_step[0] : 0, sizeof(int32_t));
    for (l = 0; l < 4; l++) {
        for (i = 0; i < 2; i++) {
            if (use_volume)
                q->packed[i][l] = (int16_t *)mosaic_flow__take(arena, (size_t)q->volume_step[l] * (size_t)model->features, sizeof(int16_t));
            else
                q->level_feature[i][l] =
                    (int16_t *)mosaic_flow__take(arena, l ? (size_t)q->volume_step[l] * (size_t)model->features : 0, sizeof(int16_t));
        }
        if (use_volume) {
            mosaic_flow__qmap_take(arena, &q->volume_map[l], q->shape.w8, q->shape.h8, q->volume_step[l], 0, 0);
            q->volume[l] = q->volume_map[l].at;
        }
    }
    for (i = 0; i < 2; i++) {
        mosaic_flow__qmap_take(arena, &q->feature_map[i], q->shape.w8, q->shape.h8, model->features, 0, 0);
        q->feature[i] = q->feature_map[i].at;
        if (i < contexts) q->hidden_start[i] = (int16_t *)mosaic_flow__take(arena, count * (size_t)model->hidden, sizeof(int16_t));
    }
    for (i = 0; i < 2; i++)
        if (!use_volume) q->level_feature[i][0] = q->feature[i];

    /* update block */
    for (i = MOSAIC_FLOW__Z1; i <= MOSAIC_FLOW__Q2; i++) context_layers += update[i].name != 0;
    for (i = 0; i < 2; i++) {
        const mosaic_flow__layer *z = &update[i ? MOSAIC_FLOW__Z2 : MOSAIC_FLOW__Z1];
        const int square = z->height == 3, part = square ? 4 : 3;
        if (!z->name) continue;
        mosaic_flow__qconv_take(arena, &q->gates[i], z->height, z->width, 1, model->hidden + motion, 2 * model->hidden, 1, 0, part, square);
        mosaic_flow__qconv_take(arena, &q->news[i], z->height, z->width, 1, model->hidden + motion, model->hidden, 1, 0, part, square);
        mosaic_flow__qconv_take(arena, &q->context[i], z->height, z->width, 1, model->context, 3 * model->hidden, 1, 0, part, square);
    }
    for (i = MOSAIC_FLOW__CORR1; i < MOSAIC_FLOW__UPDATE_LAYERS; i++) {
        const mosaic_flow__layer *c = &update[i];
        const int corr = i == MOSAIC_FLOW__CORR1, one = c->width == 1, square = c->width == 3;
        if (!c->name || (i >= MOSAIC_FLOW__Z1 && i <= MOSAIC_FLOW__Q2)) continue;
        mosaic_flow__qconv_take(arena, &q->conv[model->update + i], c->height, c->width, 1,
                                corr                      ? 4 * (2 * model->radius + 1) * q->taps_span
                                : i == MOSAIC_FLOW__FLOW1 ? 4
                                                          : c->in,
                                c->out,
                                one                       ? 8
                                : i == MOSAIC_FLOW__FLOW2 ? c->in / 64
                                                          : 1,
                                i == MOSAIC_FLOW__FLOW1, square ? 4 : 3, square && i != MOSAIC_FLOW__FLOW2);
    }
    width = q->shape.w8;
    height = q->shape.h8;
    for (i = 0; i < contexts; i++)
        q->context_sums[i] =
            (int32_t *)mosaic_flow__take(arena, (count + MOSAIC_FLOW__QTILE) * (size_t)(context_layers * model->hidden), sizeof(int32_t));
    if (contexts == 1) {
        q->hidden_start[1] = q->hidden_start[0];
        q->context_sums[1] = q->context_sums[0];
    }
    mosaic_flow__qmap_take(arena, &q->context_map, width, height, model->context, 2, 0);
    mosaic_flow__qmap_take(arena, &q->taps, width, height, 4 * (2 * model->radius + 1) * q->taps_span, 0, 0);
    mosaic_flow__qmap_take(arena, &q->flow_map, width, height, 4, 3, 0);
    mosaic_flow__qmap_take(arena, &q->flow1, width, height, update[MOSAIC_FLOW__FLOW1].out, 2, 0);
    mosaic_flow__qmap_take(arena, &q->merge, width, height, update[MOSAIC_FLOW__MERGE].in, 2, 0);
    mosaic_flow__qmap_take(arena, &q->state, width, height, 2 * model->hidden + motion, 2, 0);
    mosaic_flow__qmap_take(arena, &q->head, width, height, update[MOSAIC_FLOW__HEAD1].out, 2, 0);
    if (update[MOSAIC_FLOW__CORR2].name) mosaic_flow__qmap_take(arena, &q->corr1, width, height, update[MOSAIC_FLOW__CORR1].out, 2, 0);
    if (update[MOSAIC_FLOW__MASK1].name) mosaic_flow__qmap_take(arena, &q->mask, width, height, update[MOSAIC_FLOW__MASK1].out, 1, 0);
    q->hidden = (int16_t *)mosaic_flow__take(arena, count * (size_t)model->hidden, sizeof(int16_t));
    for (i = 0; i < 2 && flow->o.warm_start; i++) q->carried[i] = (float *)mosaic_flow__take(arena, count * 2, sizeof(float));
    q->sources = flow->o.warm_start ? (int32_t *)mosaic_flow__take(arena, count * 2, sizeof(int32_t)) : 0;
    q->distance = flow->o.warm_start ? (float *)mosaic_flow__take(arena, count, sizeof(float)) : 0;
    q->z = (int16_t *)mosaic_flow__take(arena, count * (size_t)model->hidden, sizeof(int16_t));
    q->vectors = (int32_t *)mosaic_flow__take(arena, count * 2, sizeof(int32_t));
    return MOSAIC_FLOW_OK;
}

/* tanh((i - 512) / 64) in Q15 and exp(-i / 64) in Q15, with the step to the next entry; by repeated products of doubles, which are the same everywhere. */
static void mosaic_flow__qtables(mosaic_flow__qraft *q)
{
    double step = 0, power = 1;
    int32_t values[1026], exps[1026];
    int i;
    for (i = 20; i > 0; i--) step = (1 + step) * (-1.0 / 64) / i; /* exp(-1 / 64) - 1 */
    for (i = 0; i < 1026; i++) {
        exps[i] = (int32_t)(power * 32767 + 0.5);
        power += power * step;
    }
    power = 1;
    for (i = 0; i <= 513; i++) {
        const int32_t v = (int32_t)((1 - power) / (1 + power) * 32767 + 0.5); /* power = exp(-2 i / 64) */
        values[512 + i] = v;
        if (i <= 512) values[512 - i] = -v;
        power += power * step;
        power += power * step;
    }
    for (i = 0; i < 1025; i++) {
        q->tanh_table[i] = values[i] * 65536 + (values[i + 1] - values[i]);
        q->exp_table[i] = exps[i] * 65536 + (exps[i] - exps[i + 1]);
    }
}

static mosaic_flow_result mosaic_flow__qstart(mosaic_flow *flow)
{
    mosaic_flow__qraft *q = (mosaic_flow__qraft *)flow->method;
    const mosaic_flow__model *model = q->shape.model;
    const mosaic_flow__layer *update = model->layers + model->update;
    const int32_t *scale = q->scale, *limit = q->limit, one = 1 << MOSAIC_FLOW__QHIDDEN;
    const int hidden = model->hidden, merged = update[MOSAIC_FLOW__MERGE].out, side = 2 * model->radius + 1;
    mosaic_flow__qinputs in, motion, context;
    int i, j, k, l, ok = 1;

    mosaic_flow__qtables(q);
    for (l = 0; l < 4; l++) {
        mosaic_flow__qconv *c = &q->level_conv[l];
        c->in = model->features;
        c->out = q->volume_step[l];
        c->blocks = c->out / 16;
        c->height = c->width = c->stride = c->segments = 1;
        c->pairs = model->features / 2;
        c->bias = c->shift = q->zeros;
    }
    for (i = 0; i < model->update; i++) {
        const mosaic_flow__layer *c = &model->layers[i];
        const int head = i == model->cnet - 1;
        double factor = 1;
        memset(&in, 0, sizeof in);
        if (i == 0 || i == model->cnet) {
            factor = 1.0 / 255;
            mosaic_flow__qadd(&in, 0, 3, 0, -255, 255);
            mosaic_flow__qadd(&in, -1, 1, 0, 0, 0);
        } else {
            in.two = 1;
            mosaic_flow__qadd(&in, 0, c->in, MOSAIC_FLOW__QF - 8, 0, MOSAIC_FLOW__QMAX >> 8);
        }
        if (i == model->update - 1) {
            ok = ok && mosaic_flow__qpack(q, i, 0, hidden, &q->conv[i], 0, &in, 1, 12, 0, 0, 0, 0);
            ok = ok && mosaic_flow__qpack(q, i, hidden, model->context, &q->conv[i], hidden, &in, 1, scale[MOSAIC_FLOW__SCALE_CONTEXT], 0, 0, 0, 0);
        } else
            ok = ok && mosaic_flow__qpack(q, i, 0, c->out, &q->conv[i], 0, &in, factor, c->norm == 1 || head ? 0 : MOSAIC_FLOW__QF, 0, 0, 0, head);
    }
    for (i = MOSAIC_FLOW__CORR1; i < MOSAIC_FLOW__UPDATE_LAYERS; i++) {
        const mosaic_flow__layer *c = &update[i];
        const int corr = update[MOSAIC_FLOW__CORR2].name ? MOSAIC_FLOW__SCALE_CORR2 : MOSAIC_FLOW__SCALE_CORR1;
        const int layer = model->update + i;
        double factor = 1;
        int bits = scale[mosaic_flow__qscales[i][1]];
        if (!c->name) continue;
        memset(&in, 0, sizeof in);
        switch (i) {
        case MOSAIC_FLOW__CORR1: /* the lookup has y slowly and its rows padded, the network x slowly */
            for (l = 0; l < 4; l++)
                for (j = 0; j < side; j++)
                    for (k = 0; k < q->taps_span; k++)
                        mosaic_flow__qadd(&in, k < side ? (l * side + k) * side + j : -1, 1, scale[MOSAIC_FLOW__SCALE_CORR],
                                          -limit[MOSAIC_FLOW__SCALE_CORR], limit[MOSAIC_FLOW__SCALE_CORR]);
            factor = mosaic_flow__inverse_root(model->features);
            break;
        case MOSAIC_FLOW__MERGE:
            mosaic_flow__qadd(&in, 0, c->in - update[MOSAIC_FLOW__FLOW2].out, scale[corr], 0, limit[corr]);
            mosaic_flow__qadd(&in, in.count, update[MOSAIC_FLOW__FLOW2].out, scale[MOSAIC_FLOW__SCALE_FLOW2], 0, limit[MOSAIC_FLOW__SCALE_FLOW2]);
            break;
        case MOSAIC_FLOW__HEAD1:
        case MOSAIC_FLOW__MASK1: mosaic_flow__qadd(&in, 0, hidden, MOSAIC_FLOW__QHIDDEN, -one, one); break;
        case MOSAIC_FLOW__HEAD2:
            bits = MOSAIC_FLOW__QFLOW;
            mosaic_flow__qadd(&in, 0, c->in, scale[mosaic_flow__qscales[i][0]], 0, limit[mosaic_flow__qscales[i][0]]);
            break;
        case MOSAIC_FLOW__MASK2:
            bits = 0;
            mosaic_flow__qadd(&in, 0, c->in, scale[mosaic_flow__qscales[i][0]], 0, limit[mosaic_flow__qscales[i][0]]);
            break;
        case MOSAIC_FLOW__FLOW1: mosaic_flow__qadd_flow(&in, 0, scale[MOSAIC_FLOW__SCALE_FLOW], limit[MOSAIC_FLOW__SCALE_FLOW]); break;
        case MOSAIC_FLOW__CORR2:
        case MOSAIC_FLOW__FLOW2: mosaic_flow__qadd(&in, 0, c->in, scale[mosaic_flow__qscales[i][0]], 0, limit[mosaic_flow__qscales[i][0]]); break;
        default: continue; /* gates: below */
        }
        ok = ok && mosaic_flow__qpack(q, layer, 0, c->out, &q->conv[layer], 0, &in, factor, bits, 0, 0, 0, i == MOSAIC_FLOW__MASK2);
    }
    for (i = 0; i < 2 && q->gates[i].weights; i++) {
        const int first = model->update + (i ? MOSAIC_FLOW__Z2 : MOSAIC_FLOW__Z1);
        memset(&motion, 0, sizeof motion);
        mosaic_flow__qadd(&motion, hidden + model->context, merged, scale[MOSAIC_FLOW__SCALE_MERGE], 0, limit[MOSAIC_FLOW__SCALE_MERGE]);
        mosaic_flow__qadd_flow(&motion, hidden + model->context + merged, scale[MOSAIC_FLOW__SCALE_FLOW], limit[MOSAIC_FLOW__SCALE_FLOW]);
        memset(&context, 0, sizeof context);
        mosaic_flow__qadd(&context, hidden, model->context, scale[MOSAIC_FLOW__SCALE_CONTEXT], 0, limit[MOSAIC_FLOW__SCALE_CONTEXT]);
        in = motion;
        mosaic_flow__qadd(&in, 0, hidden, MOSAIC_FLOW__QHIDDEN, -one, one); /* [motion, hidden state] */
        for (j = 0; j < 2; j++)
            ok = ok && mosaic_flow__qpack(q, first + j, 0, hidden, &q->gates[i], j * hidden, &in, 1, 11, &q->context[i], j * hidden, &context, 0);
        memset(&in, 0, sizeof in);
        mosaic_flow__qadd(&in, 0, hidden, MOSAIC_FLOW__QHIDDEN, -one, one); /* [reset hidden state, motion] */
        mosaic_flow__qadd(&in, motion.source[0], merged, scale[MOSAIC_FLOW__SCALE_MERGE], 0, limit[MOSAIC_FLOW__SCALE_MERGE]);
        mosaic_flow__qadd_flow(&in, motion.source[merged], scale[MOSAIC_FLOW__SCALE_FLOW], limit[MOSAIC_FLOW__SCALE_FLOW]);
        ok = ok && mosaic_flow__qpack(q, first + 2, 0, hidden, &q->news[i], 0, &in, 1, 12, &q->context[i], 2 * hidden, &context, 0);
    }
    if (!ok) return MOSAIC_FLOW_ERROR_NAN;

    q->mac = mosaic_flow__qmac_scalar;
    q->rows = mosaic_flow__qrows_plain;
    q->tiles = mosaic_flow__qtiles_plain;
    q->norm = mosaic_flow__qnorm_plain;
    q->lookup = mosaic_flow__qlookup_plain;
    q->tanh16 = mosaic_flow__qtanh16_plain;
#if MOSAIC_FLOW__Q128
    if (flow->o.simd != 1) q->mac = mosaic_flow__qmac_128;
#endif
#if MOSAIC_FLOW__SIMD
    if (flow->level >= 1) {
        q->mac = flow->level == 1 ? mosaic_flow__qmac_avx2 : flow->level == 2 ? mosaic_flow__qmac_avx512 : mosaic_flow__qmac_vnni;
        q->rows = flow->level == 1 ? mosaic_flow__qrows_avx2 : mosaic_flow__qrows_avx512;
        q->tiles = flow->level == 1 ? mosaic_flow__qtiles_avx2 : mosaic_flow__qtiles_avx512;
        q->norm = flow->level == 1 ? mosaic_flow__qnorm_avx2 : mosaic_flow__qnorm_avx512;
        q->tanh16 = mosaic_flow__qtanh16_avx2;
        q->lookup = flow->level == 1 ? mosaic_flow__qlookup_avx2 : mosaic_flow__qlookup_avx512;
    }
#endif
    return MOSAIC_FLOW_OK;
}

static const mosaic_flow__backend mosaic_flow__integer = {mosaic_flow__qplan, mosaic_flow__qstart, mosaic_flow__qencode, mosaic_flow__qestimate, 0};

/* ---- calibration ---- */

/* The largest number of channels from ... from + count - 1. */
static float mosaic_flow__largest(const mosaic_flow__map *map, int from, int count, float largest)
{
    int x, y, c;
    for (y = 0; y < map->height; y++)
        for (x = 0; x < map->width; x++) {
            const float *p = map->at + (size_t)y * map->row + (size_t)x * map->pixel + from;
            for (c = 0; c < count; c++) {
                const float v = p[c] < 0 ? -p[c] : p[c];
                largest = v > largest ? v : largest;
            }
        }
    return largest;
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_calibrate(mosaic_flow_weights *weights, int width, int height, const uint8_t *const *pictures,
                                                                 int count)
{
    static const int iterations[5] = {1, 2, 4, 8, 12};
    mosaic_flow_options o;
    mosaic_flow *flow = 0;
    mosaic_flow_result result;
    float most[MOSAIC_FLOW__SCALES], *out;
    int i, k;
    if (!weights || !pictures) return MOSAIC_FLOW_ERROR_NULL;
    if (count < 1) return MOSAIC_FLOW_ERROR_OPTION;
    for (i = 0; i < 2 * count; i++)
        if (!pictures[i]) return MOSAIC_FLOW_ERROR_NULL;
    memset(&o, 0, sizeof o);
    memset(most, 0, sizeof most);
    o.method = MOSAIC_FLOW_RAFT;
    o.arithmetic = 1;
    o.weights = weights;
    o.alloc_ctx = weights->alloc_ctx;
    result = mosaic_flow_open(width, height, &o, &flow);
    if (result != MOSAIC_FLOW_OK) return result;
    out = (float *)MOSAIC_FLOW_MALLOC(weights->alloc_ctx, (size_t)width * (size_t)height * 2 * sizeof *out);
    if (!out) result = MOSAIC_FLOW_ERROR_MEMORY;
    for (i = 0; i < 5 * count && result == MOSAIC_FLOW_OK; i++) {
        const mosaic_flow__float *f = (const mosaic_flow__float *)flow->method;
        const mosaic_flow__model *model = weights->model;
        const mosaic_flow__layer *update = model->layers + model->update;
        const int flow2 = update[MOSAIC_FLOW__FLOW2].out, corr = update[MOSAIC_FLOW__MERGE].in - flow2, side = 2 * model->radius + 1;
        const int last = f->recurrent == 2 ? MOSAIC_FLOW__SCALE_CORR2 : MOSAIC_FLOW__SCALE_CORR1;
        flow->o.iterations = iterations[i % 5];
        result = mosaic_flow_pair(flow, pictures[i / 5 * 2], (size_t)width * 3, pictures[i / 5 * 2 + 1], (size_t)width * 3, 0, out);
        if (result != MOSAIC_FLOW_OK) break;
        most[MOSAIC_FLOW__SCALE_CONTEXT] = mosaic_flow__largest(&f->context[0], model->hidden, model->context, most[MOSAIC_FLOW__SCALE_CONTEXT]);
        most[MOSAIC_FLOW__SCALE_CORR] = mosaic_flow__largest(&f->corr, 0, 4 * side * side, most[MOSAIC_FLOW__SCALE_CORR]);
        if (f->recurrent == 2)
            most[MOSAIC_FLOW__SCALE_CORR1] = mosaic_flow__largest(&f->corr_mid, 0, update[MOSAIC_FLOW__CORR1].out, most[MOSAIC_FLOW__SCALE_CORR1]);
        most[last] = mosaic_flow__largest(&f->merged, 0, corr, most[last]);
        most[MOSAIC_FLOW__SCALE_FLOW] = mosaic_flow__largest(&f->flow, 0, 2, most[MOSAIC_FLOW__SCALE_FLOW]);
        most[MOSAIC_FLOW__SCALE_FLOW1] = mosaic_flow__largest(&f->flow_mid, 0, update[MOSAIC_FLOW__FLOW1].out, most[MOSAIC_FLOW__SCALE_FLOW1]);
        most[MOSAIC_FLOW__SCALE_FLOW2] = mosaic_flow__largest(&f->merged, corr, flow2, most[MOSAIC_FLOW__SCALE_FLOW2]);
        most[MOSAIC_FLOW__SCALE_MERGE] =
            mosaic_flow__largest(&f->state, model->hidden, update[MOSAIC_FLOW__MERGE].out, most[MOSAIC_FLOW__SCALE_MERGE]);
        most[MOSAIC_FLOW__SCALE_HEAD] = mosaic_flow__largest(&f->head, 0, update[MOSAIC_FLOW__HEAD1].out, most[MOSAIC_FLOW__SCALE_HEAD]);
        if (f->recurrent == 2)
            most[MOSAIC_FLOW__SCALE_MASK] = mosaic_flow__largest(&f->mask_mid, 0, update[MOSAIC_FLOW__MASK1].out, most[MOSAIC_FLOW__SCALE_MASK]);
    }
    if (out) MOSAIC_FLOW_FREE(weights->alloc_ctx, out);
    mosaic_flow_close(flow);
    if (result != MOSAIC_FLOW_OK) return result;
    /* Integers correlate without the 1 / sqrt(features); 64 px of an eighth are always within reach. */
    most[MOSAIC_FLOW__SCALE_CORR] *= weights->model->features == 128 ? 11.3137085f : 16.0f;
    if (most[MOSAIC_FLOW__SCALE_FLOW] < 40.0f) most[MOSAIC_FLOW__SCALE_FLOW] = 40.0f;
    for (i = 0; i < MOSAIC_FLOW__SCALES; i++) {
        float scaled = most[i] * 1.5f * 65536.0f; /* with MOSAIC_FLOW__QSCALE_MAX fraction bits */
        for (k = MOSAIC_FLOW__QSCALE_MAX; k > 0 && (scaled > 32767.0f || (i == MOSAIC_FLOW__SCALE_FLOW && k > MOSAIC_FLOW__QFLOW)); k--)
            scaled *= 0.5f;
        weights->scales[i] = k;
    }
    weights->calibration = weights->scales;
    weights->calibration_count = MOSAIC_FLOW__SCALES;
    return MOSAIC_FLOW_OK;
}

/* ==== DIS ==== */

/* ---- levels ---- */

/* Sets the border of a level's picture. */
static void mosaic_flow__dis_border(const mosaic_flow__dis_level *level, int slot)
{
    enum { BORDER = MOSAIC_FLOW__DIS_BORDER };
    const ptrdiff_t s = level->stride;
    uint8_t *p = level->pixels[slot];
    const size_t row = (size_t)level->width + 2 * BORDER;
    int y;
    for (y = 0; y < level->height; y++) {
        memset(p + y * s - BORDER, p[y * s], BORDER);
        memset(p + y * s + level->width, p[y * s + level->width - 1], BORDER);
    }
    for (y = 1; y <= BORDER; y++) {
        memcpy(p - y * s - BORDER, p - BORDER, row);
        memcpy(p + (level->height - 1 + y) * s - BORDER, p + (level->height - 1) * s - BORDER, row);
    }
}

static void mosaic_flow__dis_encode(mosaic_flow *flow, int slot)
{
    const mosaic_flow__dis *dis = (const mosaic_flow__dis *)flow->method;
    int y, i;
    for (i = 0; i <= dis->coarsest; i++) {
        const mosaic_flow__dis_level *level = &dis->level[i];
        for (y = 0; y < level->height; y++) {
            uint8_t *to = level->pixels[slot] + y * level->stride;
            if (i == 0)
                dis->kernels->dis_grey(flow->picture[slot] + (size_t)y * (size_t)level->width * 3, to, level->width);
            else /* the border stands in for a missing last row or column */
                dis->kernels->dis_halve(dis->level[i - 1].pixels[slot] + 2 * y * dis->level[i - 1].stride, dis->level[i - 1].stride, to,
                                        level->width);
        }
        mosaic_flow__dis_border(level, slot);
        if (i >= dis->finest) dis->kernels->dis_slopes(level, slot);
    }
}

/* ---- jobs ---- */

static void mosaic_flow__dis_search_job(void *arg, int index)
{
    const mosaic_flow__dis *dis = (const mosaic_flow__dis *)arg;
    const int rows = dis->level[dis->way[0].scale].rows;
    dis->kernels->dis_search(&dis->way[index / rows], index % rows);
}

static void mosaic_flow__dis_spread_job(void *arg, int index)
{
    const mosaic_flow__dis *dis = (const mosaic_flow__dis *)arg;
    const int rows = dis->level[dis->way[0].scale].rows;
    dis->kernels->dis_spread(&dis->way[index / rows], index % rows, dis->pass);
}

/* Patches are found: the rest of a level. */
static void mosaic_flow__dis_finish_job(void *arg, int index)
{
    mosaic_flow__dis *dis = (mosaic_flow__dis *)arg;
    mosaic_flow__dis_way *way = &dis->way[index];
    int k;
    if (dis->median) dis->kernels->dis_smooth(way);
    dis->kernels->dis_blend(way);
    if (dis->rounds) dis->kernels->dis_refine(way);
    if (way->scale == dis->finest) {
        for (k = 0; k < dis->height; k++) dis->kernels->dis_write(way, k);
        return;
    }
    dis->kernels->dis_raise(way);
    for (k = 0; k < 2; k++) {
        float *t = way->plane[MOSAIC_FLOW__DIS_U + k];
        way->plane[MOSAIC_FLOW__DIS_U + k] = way->plane[MOSAIC_FLOW__DIS_U_DOWN + k];
        way->plane[MOSAIC_FLOW__DIS_U_DOWN + k] = t;
    }
}

/* ---- the method ---- */

static void mosaic_flow__dis_run(mosaic_flow *flow)
{
    mosaic_flow__dis *dis = (mosaic_flow__dis *)flow->method;
    int scale, i;
    for (scale = dis->coarsest; scale >= dis->finest; scale--) {
        const int jobs = dis->ways * dis->level[scale].rows;
        for (i = 0; i < dis->ways; i++) dis->way[i].scale = scale;
        mosaic_flow__jobs(flow, mosaic_flow__dis_search_job, dis, jobs);
        for (dis->pass = 0; dis->pass < 2; dis->pass++) mosaic_flow__jobs(flow, mosaic_flow__dis_spread_job, dis, jobs);
        mosaic_flow__jobs(flow, mosaic_flow__dis_finish_job, dis, dis->ways);
    }
}

static void mosaic_flow__dis_estimate(mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors, float *out)
{
    mosaic_flow__dis *dis = (mosaic_flow__dis *)flow->method;
    (void)direction, (void)init;
    dis->ways = 1;
    dis->way[0].from = from;
    dis->way[0].vectors = vectors;
    dis->way[0].out = out;
    mosaic_flow__dis_run(flow);
}

/* Both directions at once: twice as many jobs. */
static void mosaic_flow__dis_both(mosaic_flow *flow, int from)
{
    mosaic_flow__dis *dis = (mosaic_flow__dis *)flow->method;
    int i;
    dis->ways = 2;
    for (i = 0; i < 2; i++) {
        dis->way[i].from = i ? 1 - from : from;
        dis->way[i].vectors = flow->vectors[i];
        dis->way[i].out = 0;
    }
    mosaic_flow__dis_run(flow);
}

static mosaic_flow_result mosaic_flow__dis_plan(mosaic_flow *flow, mosaic_flow__arena *arena)
{
    enum { BORDER = MOSAIC_FLOW__DIS_BORDER, PAD = MOSAIC_FLOW__DIS_PAD };
    mosaic_flow__dis plan, *dis = &plan;
    mosaic_flow__dis *made = (mosaic_flow__dis *)mosaic_flow__take(arena, 1, sizeof plan);
    int w = flow->field.width, h = flow->field.height, i, k, slot;
    memset(dis, 0, sizeof plan);
    dis->width = w;
    dis->height = h;
    /* Levels as long as the larger side has about three patches and the smaller one has one. */
    while ((w > h ? w : h) >> (dis->coarsest + 1) >= 23 && (w < h ? w : h) >> (dis->coarsest + 1) >= MOSAIC_FLOW__DIS_PATCH) dis->coarsest++;
    dis->finest = mosaic_flow__dis_presets[flow->o.preset].finest;
    dis->rounds = mosaic_flow__dis_presets[flow->o.preset].rounds;
    dis->median = mosaic_flow__dis_presets[flow->o.preset].median;
    if (dis->finest > dis->coarsest) dis->finest = dis->coarsest;
    for (i = 0; i <= dis->coarsest; i++) {
        mosaic_flow__dis_level *level = &dis->level[i];
        const int reach_w = w < MOSAIC_FLOW__DIS_PATCH ? MOSAIC_FLOW__DIS_PATCH : w,
                  reach_h = h < MOSAIC_FLOW__DIS_PATCH ? MOSAIC_FLOW__DIS_PATCH : h;
        level->width = w;
        level->height = h;
        level->columns = mosaic_flow__dis_patches(w);
        level->rows = mosaic_flow__dis_patches(h);
        level->stride = (reach_w + 2 * BORDER + 15) / 16 * 16;
        level->plane = 2 * ((reach_w / 2 + 16) / 16 * 16 + 2 * PAD);
        for (slot = 0; slot < 2; slot++) {
            uint8_t *block = (uint8_t *)mosaic_flow__take(arena, (size_t)level->stride, (size_t)(reach_h + 2 * BORDER) + 1);
            level->pixels[slot] = block ? block + BORDER * level->stride + BORDER : 0;
            for (k = 0; k < 2 && i >= dis->finest; k++)
                level->slope[slot][k] = (int16_t *)mosaic_flow__take(arena, (size_t)level->stride, (size_t)reach_h * sizeof(int16_t));
        }
        if (i == dis->finest) {
            const int ways = flow->o.forward_only ? 1 : 2;
            int way;
            for (way = 0; way < ways; way++) {
                for (k = 0; k < 2; k++)
                    dis->way[way].found[k] = (mosaic_flow__dis_vector *)mosaic_flow__take(arena, (size_t)level->columns * (size_t)level->rows,
                                                                                          sizeof(mosaic_flow__dis_vector));
                for (k = 0; k < (dis->rounds ? MOSAIC_FLOW__DIS_PLANES : MOSAIC_FLOW__DIS_CHANGE); k++)
                    dis->way[way].plane[k] = (float *)mosaic_flow__take(arena, (size_t)level->plane, (size_t)(reach_h + 4) * sizeof(float));
            }
        }
        w = (w + 1) / 2;
        h = (h + 1) / 2;
    }
    if (made) {
        *made = plan;
        for (i = 0; i < 2; i++) made->way[i].dis = made;
        flow->method = made;
    }
    return MOSAIC_FLOW_OK;
}

static mosaic_flow_result mosaic_flow__dis_start(mosaic_flow *flow)
{
    mosaic_flow__dis *dis = (mosaic_flow__dis *)flow->method;
    dis->kernels = mosaic_flow__float_kernels(flow->level);
    return MOSAIC_FLOW_OK;
}

static const mosaic_flow__backend mosaic_flow__dis_backend = {mosaic_flow__dis_plan, mosaic_flow__dis_start, mosaic_flow__dis_encode,
                                                              mosaic_flow__dis_estimate, mosaic_flow__dis_both};

/* ==== Streams ==== */

static mosaic_flow_result mosaic_flow__nothing_plan(mosaic_flow *flow, mosaic_flow__arena *arena)
{
    (void)flow, (void)arena;
    return MOSAIC_FLOW_OK;
}

static mosaic_flow_result mosaic_flow__nothing_start(mosaic_flow *flow)
{
    (void)flow;
    return MOSAIC_FLOW_OK;
}

static void mosaic_flow__nothing_encode(mosaic_flow *flow, int slot) { (void)flow, (void)slot; }

static void mosaic_flow__nothing_estimate(mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors, float *out)
{
    const size_t count = (size_t)flow->field.width * (size_t)flow->field.height * 2;
    (void)from, (void)direction, (void)init;
    if (vectors) memset(vectors, 0, count * sizeof *vectors);
    if (out) memset(out, 0, count * sizeof *out); /* +0.0 */
}

static const mosaic_flow__backend mosaic_flow__nothing = {mosaic_flow__nothing_plan, mosaic_flow__nothing_start, mosaic_flow__nothing_encode,
                                                          mosaic_flow__nothing_estimate, 0};

/* The backend of an options struct; null where this version has none. */
static const mosaic_flow__backend *mosaic_flow__choose(const mosaic_flow_options *o)
{
    if (o->method == MOSAIC_FLOW_NONE) return &mosaic_flow__nothing;
    if (o->method == MOSAIC_FLOW_DIS) return &mosaic_flow__dis_backend;
    if (o->method == MOSAIC_FLOW_RAFT && o->arithmetic == 0) return &mosaic_flow__integer;
    if (o->method == MOSAIC_FLOW_RAFT && o->arithmetic == 1) return &mosaic_flow__float_backend;
    return 0;
}

MOSAIC_FLOW_API const char *mosaic_flow_result_string(mosaic_flow_result result)
{
    switch (result) {
    case MOSAIC_FLOW_OK: return "ok";
    case MOSAIC_FLOW_ERROR_NULL: return "a required pointer is null";
    case MOSAIC_FLOW_ERROR_SIZE: return "a size is zero, negative or too large";
    case MOSAIC_FLOW_ERROR_STRIDE: return "a row stride is smaller than a row";
    case MOSAIC_FLOW_ERROR_OPTION: return "an option is out of its range";
    case MOSAIC_FLOW_ERROR_MEMORY: return "out of memory";
    case MOSAIC_FLOW_ERROR_SIMD: return "no such instruction set level on this processor or in this build";
    case MOSAIC_FLOW_ERROR_WEIGHTS: return "RAFT needs weights";
    case MOSAIC_FLOW_ERROR_NAN: return "a weight or an initial vector is infinite or not a number";
    case MOSAIC_FLOW_ERROR_FORMAT: return "no weight file of a known format";
    case MOSAIC_FLOW_ERROR_TRUNCATED: return "the weight file ends too early";
    case MOSAIC_FLOW_ERROR_CORRUPT: return "the weight file contradicts itself";
    case MOSAIC_FLOW_ERROR_VERSION: return "the weight file is of a newer version";
    case MOSAIC_FLOW_ERROR_PICKLE: return "the weight file holds more than tensors by their names";
    case MOSAIC_FLOW_ERROR_STORAGE: return "the weight file is compressed, or stores numbers in a way not read here";
    case MOSAIC_FLOW_ERROR_TENSOR: return "the weight file lacks a tensor of RAFT, or one has another shape";
    }
    return "unknown result";
}

MOSAIC_FLOW_API const char *mosaic_flow_method_name(int method)
{
    static const char *const names[MOSAIC_FLOW_METHODS] = {"none", "dis", "raft"};
    return method >= 0 && method < MOSAIC_FLOW_METHODS ? names[method] : 0;
}

MOSAIC_FLOW_API const char *mosaic_flow_preset_name(int preset)
{
    static const char *const names[MOSAIC_FLOW_PRESETS] = {"fast", "ultrafast", "medium"};
    return preset >= 0 && preset < MOSAIC_FLOW_PRESETS ? names[preset] : 0;
}

/* Along one axis, `to` pixels cover `from` source pixels: source pixel i of output pixel k has the weight of what they share, in units of
   1 / to of a source pixel; weights of one output pixel sum to `from`, those between the first and the last are `to`. */
static void mosaic_flow__cover(mosaic_flow__span *span, int from, int to)
{
    int k;
    for (k = 0; k < to; k++, span++) {
        const int64_t low = (int64_t)k * from, high = low + from;
        span->first = (int)(low / to);
        span->last = (int)((high + to - 1) / to) - 1;
        span->head = span->first == span->last ? (uint32_t)from : (uint32_t)((int64_t)(span->first + 1) * to - low);
        span->tail = (uint32_t)(high - (int64_t)span->last * to);
    }
}

/* What a stream holds whatever its method, then the method's own. */
static mosaic_flow_result mosaic_flow__plan(mosaic_flow *flow, mosaic_flow__arena *arena)
{
    const size_t pixels = (size_t)flow->field.width * (size_t)flow->field.height;
    int i;
    for (i = 0; i < 2; i++) {
        flow->picture[i] = (uint8_t *)mosaic_flow__take(arena, pixels, 3);
        flow->vectors[i] = i && flow->o.forward_only ? 0 : (int16_t *)mosaic_flow__take(arena, pixels, 2 * sizeof(int16_t));
    }
    if (flow->frame_width != flow->field.width || flow->frame_height != flow->field.height) {
        flow->columns = (mosaic_flow__span *)mosaic_flow__take(arena, (size_t)flow->field.width, sizeof *flow->columns);
        flow->rows = (mosaic_flow__span *)mosaic_flow__take(arena, (size_t)flow->field.height, sizeof *flow->rows);
        flow->sums = (uint32_t *)mosaic_flow__take(arena, (size_t)flow->frame_width, 3 * MOSAIC_FLOW__BANDS * sizeof *flow->sums);
        if (arena->base) {
            mosaic_flow__cover(flow->columns, flow->frame_width, flow->field.width);
            mosaic_flow__cover(flow->rows, flow->frame_height, flow->field.height);
        }
    }
    return flow->backend->plan(flow, arena);
}

/* Changes when any structure does that a device's functions read. */
static uint64_t mosaic_flow__layout(void)
{
    const size_t sizes[] = {sizeof(mosaic_flow),        sizeof(mosaic_flow__qraft),    sizeof(mosaic_flow__qop),
                            sizeof(mosaic_flow__qconv), sizeof(mosaic_flow__qmap),     sizeof(mosaic_flow__qscale),
                            sizeof(mosaic_flow__model), offsetof(mosaic_flow, method), offsetof(mosaic_flow__qraft, vectors),
                            sizeof(mosaic_flow__dis)};
    uint64_t hash = 1;
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) hash = hash * 1000003u + sizes[i];
    return hash;
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_open(int width, int height, const mosaic_flow_options *options, mosaic_flow **flow)
{
    mosaic_flow_options o;
    mosaic_flow f, *made;
    mosaic_flow__arena arena;
    mosaic_flow_result result;
    size_t size;
    int level = 0;

    if (!flow) return MOSAIC_FLOW_ERROR_NULL;
    *flow = 0;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    if ((int)o.method < 0 || o.method >= MOSAIC_FLOW_METHODS) return MOSAIC_FLOW_ERROR_OPTION;
    if (o.width == 0) o.width = width;
    if (o.height == 0) o.height = height;
    if (width <= 0 || height <= 0 || width > 32767 || height > 32767 || o.width <= 0 || o.height <= 0 || o.width > 32767 || o.height > 32767)
        return MOSAIC_FLOW_ERROR_SIZE;
    if ((int)o.preset < 0 || o.preset >= MOSAIC_FLOW_PRESETS) return MOSAIC_FLOW_ERROR_OPTION;
    if (o.forward_only < 0 || o.forward_only > 1 || o.arithmetic < 0 || o.arithmetic > 1 || o.iterations < 0 || o.iterations > 1000 ||
        o.padding < 0 || o.padding > 1 || o.warm_start < 0 || o.warm_start > 1)
        return MOSAIC_FLOW_ERROR_OPTION;
    if (o.iterations == 0) o.iterations = 12;
    if (o.max_memory == 0) o.max_memory = (size_t)256 << 20;
#if MOSAIC_FLOW__SIMD
    level = mosaic__cpu_level();
#endif
    if (o.simd < 0 || o.simd > 4 || o.simd - 1 > level) return MOSAIC_FLOW_ERROR_SIMD;
    if (o.simd > 0) level = o.simd - 1;
    if (o.method == MOSAIC_FLOW_RAFT && !o.weights) return MOSAIC_FLOW_ERROR_WEIGHTS;
    if (o.device && o.device->layout != mosaic_flow__layout()) return MOSAIC_FLOW_ERROR_OPTION;

    memset(&f, 0, sizeof f);
    f.o = o;
    f.backend = mosaic_flow__choose(&o);
    if (!f.backend) return MOSAIC_FLOW_ERROR_OPTION;
    f.frame_width = width;
    f.frame_height = height;
    f.level = level;
    f.field.width = o.width;
    f.field.height = o.height;
    f.field.stride = (size_t)o.width * 2 * sizeof(int16_t);

    memset(&arena, 0, sizeof arena);
    mosaic_flow__take(&arena, 1, sizeof f);
    result = mosaic_flow__plan(&f, &arena);
    if (result != MOSAIC_FLOW_OK) return result;
    if (arena.overflow) return MOSAIC_FLOW_ERROR_SIZE;
    size = arena.used + MOSAIC_FLOW__ALIGN;
    f.memory = (uint8_t *)MOSAIC_FLOW_MALLOC(o.alloc_ctx, size);
    if (!f.memory) return MOSAIC_FLOW_ERROR_MEMORY;
    memset(f.memory, 0, size);
    arena.base = f.memory + (MOSAIC_FLOW__ALIGN - 1 - ((uintptr_t)f.memory + (MOSAIC_FLOW__ALIGN - 1)) % MOSAIC_FLOW__ALIGN);
    arena.used = 0;
    made = (mosaic_flow *)mosaic_flow__take(&arena, 1, sizeof f);
    *made = f;
    mosaic_flow__plan(made, &arena);
    made->field.forward = made->vectors[0];
    made->field.backward = made->vectors[1];
    made->size = arena.used;
    result = made->backend->start(made);
    if (result != MOSAIC_FLOW_OK) {
        mosaic_flow_close(made);
        return result;
    }
    if (o.device) made->device = o.device->open(o.device->ctx, made);
    *flow = made;
    return MOSAIC_FLOW_OK;
}

typedef struct mosaic_flow__fitting {
    mosaic_flow *flow;
    const uint8_t *rgb;
    size_t stride;
    uint8_t *out;
} mosaic_flow__fitting;

/* A band of rows: sums down the columns, then across. */
static void mosaic_flow__fit_band(void *arg, int band)
{
    const mosaic_flow__fitting *fitting = (const mosaic_flow__fitting *)arg;
    const mosaic_flow *flow = fitting->flow;
    const int w = flow->field.width, h = flow->field.height, width = flow->frame_width;
    const int first = (int)((int64_t)h * band / MOSAIC_FLOW__BANDS), end = (int)((int64_t)h * (band + 1) / MOSAIC_FLOW__BANDS);
    const uint64_t area = (uint64_t)width * (uint64_t)flow->frame_height;
    const double inverse = 1.0 / (double)area;
    uint32_t *sums = flow->sums + (size_t)band * (size_t)width * 3;
    const mosaic_flow__kernels *kernels = mosaic_flow__float_kernels(flow->level);
    int x, y, i, c;
    for (y = first; y < end; y++) {
        const mosaic_flow__span *rows = flow->rows + y;
        uint8_t *out = fitting->out + (size_t)y * (size_t)w * 3;
        memset(sums, 0, (size_t)width * 3 * sizeof *sums);
        for (i = rows->first; i <= rows->last; i++)
            kernels->fit_row(fitting->rgb + (size_t)i * fitting->stride,
                             i == rows->first  ? rows->head
                             : i == rows->last ? rows->tail
                                               : (uint32_t)h,
                             sums, width * 3);
        for (x = 0; x < w; x++, out += 3) {
            const mosaic_flow__span *columns = flow->columns + x;
            const uint32_t *p = sums + (size_t)columns->first * 3;
            uint64_t total[3], between[3] = {0, 0, 0};
            for (c = 0; c < 3; c++) total[c] = (uint64_t)p[c] * columns->head + area / 2;
            if (columns->last > columns->first) {
                for (i = columns->first + 1, p += 3; i < columns->last; i++, p += 3)
                    for (c = 0; c < 3; c++) between[c] += p[c];
                for (c = 0; c < 3; c++) total[c] += between[c] * (uint64_t)w + (uint64_t)p[c] * columns->tail;
            }
            for (c = 0; c < 3; c++) {
                uint64_t q = (uint64_t)((double)total[c] * inverse); /* off by one at most */
                q += (q + 1) * area <= total[c];
                q -= q * area > total[c];
                out[c] = (uint8_t)q;
            }
        }
    }
}

/* Brings a frame to the size of the field: means over areas, exact and rounded once. */
static void mosaic_flow__fit(mosaic_flow *flow, const uint8_t *rgb, size_t stride, int slot)
{
    const int w = flow->field.width, h = flow->field.height;
    mosaic_flow__fitting fitting;
    int y;
    if (w == flow->frame_width && h == flow->frame_height) {
        for (y = 0; y < h; y++) memcpy(flow->picture[slot] + (size_t)y * (size_t)w * 3, rgb + (size_t)y * stride, (size_t)w * 3);
        return;
    }
    fitting.flow = flow;
    fitting.rgb = rgb;
    fitting.stride = stride;
    fitting.out = flow->picture[slot];
    mosaic_flow__jobs(flow, mosaic_flow__fit_band, &fitting, MOSAIC_FLOW__BANDS);
}

/* The device has failed: from here on everything is done here, beginning with what it knew of the two pictures. */
static void mosaic_flow__leave_device(mosaic_flow *flow)
{
    flow->o.device->close(flow->device, flow);
    flow->device = 0;
    flow->backend->encode(flow, 0);
    flow->backend->encode(flow, 1);
}

static void mosaic_flow__encode(mosaic_flow *flow, int slot)
{
    if (!flow->device)
        flow->backend->encode(flow, slot);
    else if (flow->o.device->encode(flow->device, flow, slot))
        mosaic_flow__leave_device(flow);
}

/* The motion from the picture in slot `from` to the other one: forward, and backward where that is wanted too, or to out. */
static void mosaic_flow__estimate(mosaic_flow *flow, int from, const float *init, float *out)
{
    const mosaic_flow_device *d = flow->o.device;
    int16_t *forward = out ? 0 : flow->vectors[0], *backward = out ? 0 : flow->vectors[1];
    const int direction = out ? -1 : 0;
    if (flow->device) {
        if (d->estimate(flow->device, flow, from, direction, init, forward, out) == 0 &&
            (!backward || d->estimate(flow->device, flow, 1 - from, 1, 0, backward, 0) == 0) && d->finish(flow->device, flow) == 0)
            return;
        mosaic_flow__leave_device(flow);
    }
    if (backward && flow->backend->both) {
        flow->backend->both(flow, from);
        return;
    }
    flow->backend->estimate(flow, from, direction, init, forward, out);
    if (backward) flow->backend->estimate(flow, 1 - from, 1, 0, backward, 0);
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_push(mosaic_flow *flow, const uint8_t *rgb, size_t stride, const mosaic_flow_field **field)
{
    unsigned long long fp;
    if (!flow || !rgb || !field) return MOSAIC_FLOW_ERROR_NULL;
    *field = 0;
    if (stride < (size_t)flow->frame_width * 3) return MOSAIC_FLOW_ERROR_STRIDE;
    fp = mosaic__fp_enter();
    flow->slot = 1 - flow->slot;
    mosaic_flow__fit(flow, rgb, stride, flow->slot);
    mosaic_flow__encode(flow, flow->slot);
    if (flow->streamed > 0) {
        mosaic_flow__estimate(flow, 1 - flow->slot, 0, 0);
        *field = &flow->field;
    }
    if (flow->streamed < 2) flow->streamed++;
    mosaic__fp_leave(fp);
    return MOSAIC_FLOW_OK;
}

MOSAIC_FLOW_API void mosaic_flow_init_size(const mosaic_flow *flow, int *width, int *height)
{
    if (width) *width = flow ? (flow->field.width + 7) / 8 : 0;
    if (height) *height = flow ? (flow->field.height + 7) / 8 : 0;
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_pair(mosaic_flow *flow, const uint8_t *a, size_t stride_a, const uint8_t *b, size_t stride_b,
                                                    const float *init, float *out)
{
    unsigned long long fp;
    if (!flow || !a || !b || !out) return MOSAIC_FLOW_ERROR_NULL;
    if (stride_a < (size_t)flow->frame_width * 3 || stride_b < (size_t)flow->frame_width * 3) return MOSAIC_FLOW_ERROR_STRIDE;
    if (init) {
        size_t i;
        int w, h;
        mosaic_flow_init_size(flow, &w, &h);
        for (i = 0; i < (size_t)w * (size_t)h * 2; i++)
            if (!(init[i] >= -65536.0f && init[i] <= 65536.0f)) return MOSAIC_FLOW_ERROR_NAN;
    }
    mosaic_flow_reset(flow);
    fp = mosaic__fp_enter();
    mosaic_flow__fit(flow, a, stride_a, 0);
    mosaic_flow__fit(flow, b, stride_b, 1);
    mosaic_flow__encode(flow, 0);
    mosaic_flow__encode(flow, 1);
    mosaic_flow__estimate(flow, 0, init, out);
    mosaic__fp_leave(fp);
    return MOSAIC_FLOW_OK;
}

/* ---- cells ---- */

enum { MOSAIC_FLOW__POINTS = 5 }; /* on each side of a box */

/* The pixel of a field that covers a position in 1/64 px. */
static int mosaic_flow__pixel(int64_t position, int n)
{
    const int64_t last = (int64_t)n * 64 - 1;
    return (int)((position < 0 ? 0 : position > last ? last : position) / 64);
}

static const int16_t *mosaic_flow__vector(const int16_t *vectors, const mosaic_flow_field *field, int x, int y)
{
    return (const int16_t *)(const void *)((const uint8_t *)vectors + (size_t)y * field->stride) + 2 * (size_t)x;
}

/* Does what goes from a pixel by `v` come back? */
static int mosaic_flow__returns(const mosaic_flow_field *field, int x, int y, const int16_t v[2])
{
    const int64_t to_x = (int64_t)x * 64 + 32 + v[0], to_y = (int64_t)y * 64 + 32 + v[1];
    const int16_t *back;
    int32_t dx, dy;
    if (!field->backward || to_x < 0 || to_y < 0 || to_x >= (int64_t)field->width * 64 || to_y >= (int64_t)field->height * 64) return 1;
    back = mosaic_flow__vector(field->backward, field, (int)(to_x / 64), (int)(to_y / 64));
    dx = v[0] + back[0];
    dy = v[1] + back[1];
    return (int64_t)dx * dx + (int64_t)dy * dy < 64 * 64;
}

/* The middle of n numbers, the lower one of two; they are put in order. */
static int32_t mosaic_flow__middle(int32_t *v, int n)
{
    int i, k;
    for (i = 1; i < n; i++) {
        const int32_t now = v[i];
        for (k = i; k > 0 && v[k - 1] > now; k--) v[k] = v[k - 1];
        v[k] = now;
    }
    return v[(n - 1) / 2];
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_cells(const mosaic_flow_field *field, const mosaic_flow_box *box, int count,
                                                     mosaic_flow_motion *motion)
{
    enum { SIDE = MOSAIC_FLOW__POINTS, ALL = SIDE * SIDE };
    const int16_t *vectors;
    int i, k;
    if (!field || ((!box || !motion) && count > 0)) return MOSAIC_FLOW_ERROR_NULL;
    vectors = field->forward ? field->forward : field->backward;
    if (!vectors) return MOSAIC_FLOW_ERROR_NULL;
    if (field->width < 1 || field->height < 1 || field->width > 32767 || field->height > 32767 || count < 0) return MOSAIC_FLOW_ERROR_SIZE;
    if (field->stride < (size_t)field->width * 4 || field->stride % 2) return MOSAIC_FLOW_ERROR_STRIDE;
    for (i = 0; i < count; i++) {
        const int64_t width = box[i].width > 0 ? box[i].width : 0, height = box[i].height > 0 ? box[i].height : 0;
        int32_t dx[ALL], dy[ALL], sorted_x[ALL], sorted_y[ALL];
        int good = 0, agree = 0, other = 0;
        for (k = 0; k < ALL; k++) {
            const int x = mosaic_flow__pixel(box[i].x + width * (2 * (k % SIDE) + 1) / (2 * SIDE), field->width);
            const int y = mosaic_flow__pixel(box[i].y + height * (2 * (k / SIDE) + 1) / (2 * SIDE), field->height);
            const int16_t *v = mosaic_flow__vector(vectors, field, x, y);
            /* Consistent points to the front, the others to the back. */
            const int at = !field->forward || mosaic_flow__returns(field, x, y, v) ? good++ : ALL - 1 - other++;
            dx[at] = field->forward ? v[0] : -v[0];
            dy[at] = field->forward ? v[1] : -v[1];
        }
        memcpy(sorted_x, dx, sizeof dx);
        memcpy(sorted_y, dy, sizeof dy);
        motion[i].dx = mosaic_flow__middle(sorted_x, good ? good : ALL);
        motion[i].dy = mosaic_flow__middle(sorted_y, good ? good : ALL);
        for (k = 0; k < good; k++) {
            const int64_t ex = dx[k] - motion[i].dx, ey = dy[k] - motion[i].dy;
            agree += ex * ex + ey * ey < 96 * 96;
        }
        motion[i].confidence = agree * 256 / ALL;
    }
    return MOSAIC_FLOW_OK;
}

MOSAIC_FLOW_API void mosaic_flow_reset(mosaic_flow *flow)
{
    if (flow) flow->streamed = 0;
}

MOSAIC_FLOW_API void mosaic_flow_close(mosaic_flow *flow)
{
    void *ctx;
    uint8_t *memory;
    if (!flow) return;
    if (flow->device) flow->o.device->close(flow->device, flow);
    ctx = flow->o.alloc_ctx; /* the flow itself lies in its block */
    memory = flow->memory;
    MOSAIC_FLOW_FREE(ctx, memory);
    (void)ctx;
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
#endif /* MOSAIC_FLOW_IMPLEMENTATION */

#else /* MOSAIC_FLOW__LANES */

/* ==== Kernels in float32, once for each instruction set ====
   This part of the file is read by the implementation above through MOSAIC_FLOW_FILE, once for each number of lanes. The operations of a
   lane are those that the text shows, whatever the number of lanes, so all of them give the same bits; one lane is the reference. */

#define MOSAIC_FLOW__PASTE2(a, b) a##b
#define MOSAIC_FLOW__PASTE(a, b) MOSAIC_FLOW__PASTE2(a, b)
#define MOSAIC_FLOW__NAME(name) MOSAIC_FLOW__PASTE(mosaic_flow__##name##_, MOSAIC_FLOW__SUFFIX)
#define MOSAIC_FLOW__V MOSAIC_FLOW__NAME(v)
#define MOSAIC_FLOW__I MOSAIC_FLOW__NAME(i)
#define MOSAIC_FLOW__KERNEL MOSAIC_FLOW__ISA MOSAIC_FLOW__INLINE

/* One float32. A device's code has a type of its own for it, in whose operations there is nothing but what is written. */
#ifdef MOSAIC_FLOW__REAL
#define MOSAIC_FLOW__F MOSAIC_FLOW__REAL
#else
#define MOSAIC_FLOW__F float
#endif
#if MOSAIC_FLOW__LANES == 1
typedef MOSAIC_FLOW__F MOSAIC_FLOW__V;
typedef int32_t MOSAIC_FLOW__I;
#define MOSAIC_FLOW__SET(x) (x)
#else
/* Loads and stores through these types may be anywhere. */
typedef float MOSAIC_FLOW__V __attribute__((vector_size(4 * MOSAIC_FLOW__LANES), aligned(4), may_alias));
typedef int32_t MOSAIC_FLOW__I __attribute__((vector_size(4 * MOSAIC_FLOW__LANES), aligned(4), may_alias));
typedef double MOSAIC_FLOW__NAME(d) __attribute__((vector_size(4 * MOSAIC_FLOW__LANES), aligned(8), may_alias));
#endif

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(load)(const float *p) { return *(const MOSAIC_FLOW__V *)(const void *)p; }
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(store)(float *p, MOSAIC_FLOW__V v) { *(MOSAIC_FLOW__V *)(void *)p = v; }

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__I MOSAIC_FLOW__NAME(bits)(MOSAIC_FLOW__V v)
{
    MOSAIC_FLOW__I bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(from_bits)(MOSAIC_FLOW__I bits)
{
    MOSAIC_FLOW__V v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* a < b ? x : y */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(select)(MOSAIC_FLOW__V a, MOSAIC_FLOW__V b, MOSAIC_FLOW__V x, MOSAIC_FLOW__V y)
{
#if MOSAIC_FLOW__LANES == 1
    return a < b ? x : y;
#else
    const MOSAIC_FLOW__I mask = (MOSAIC_FLOW__I)(a < b);
    return MOSAIC_FLOW__NAME(from_bits)((MOSAIC_FLOW__NAME(bits)(x) & mask) | (MOSAIC_FLOW__NAME(bits)(y) & ~mask));
#endif
}

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(positive)(MOSAIC_FLOW__V v)
{
    const MOSAIC_FLOW__V zero = MOSAIC_FLOW__SET(0.0f);
    return MOSAIC_FLOW__NAME(select)(zero, v, v, zero);
}

/* e to the power of x, for x within +-87: 2^n * e^r, n a whole number and |r| <= log(2) / 2; the series up to r^7. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(power)(MOSAIC_FLOW__V x)
{
    /* Added to 3 * 2^22, a number is rounded to a whole one, which then stands in the lowest bits. log(2) in two parts: products of the
       first with n are exact. */
    const MOSAIC_FLOW__V shifter = MOSAIC_FLOW__SET(12582912.0f), one = MOSAIC_FLOW__SET(1.0f);
    const MOSAIC_FLOW__V shifted = MOSAIC_FLOW__FMA(x, MOSAIC_FLOW__SET(1.44269504f), shifter), n = shifted - shifter;
    MOSAIC_FLOW__V r = MOSAIC_FLOW__FMA(n, MOSAIC_FLOW__SET(-0.693145752f), x), y;
    r = MOSAIC_FLOW__FMA(n, MOSAIC_FLOW__SET(-1.42860677e-6f), r);
    y = MOSAIC_FLOW__FMA(r, MOSAIC_FLOW__SET(1.98412698e-4f), MOSAIC_FLOW__SET(1.38888889e-3f));
    y = MOSAIC_FLOW__FMA(r, y, MOSAIC_FLOW__SET(8.33333333e-3f));
    y = MOSAIC_FLOW__FMA(r, y, MOSAIC_FLOW__SET(4.16666667e-2f));
    y = MOSAIC_FLOW__FMA(r, y, MOSAIC_FLOW__SET(1.66666667e-1f));
    y = MOSAIC_FLOW__FMA(r, y, MOSAIC_FLOW__SET(0.5f));
    y = MOSAIC_FLOW__FMA(r, y, one);
    y = MOSAIC_FLOW__FMA(r, y, one);
    return y * MOSAIC_FLOW__NAME(from_bits)(((MOSAIC_FLOW__NAME(bits)(shifted) - 0x4b400000) * (1 << 23)) + 0x3f800000);
}

/* x between -limit and limit; what is no number becomes -limit. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(limit)(MOSAIC_FLOW__V x, float limit)
{
    const MOSAIC_FLOW__V high = MOSAIC_FLOW__SET(limit), low = MOSAIC_FLOW__SET(-limit);
    x = MOSAIC_FLOW__NAME(select)(low, x, x, low);
    return MOSAIC_FLOW__NAME(select)(x, high, x, high);
}

/* 1 / (1 + e^-x) */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(sigmoid_of)(MOSAIC_FLOW__V x)
{
    const MOSAIC_FLOW__V one = MOSAIC_FLOW__SET(1.0f);
    return one / (one + MOSAIC_FLOW__NAME(power)(-MOSAIC_FLOW__NAME(limit)(x, 87.0f)));
}

/* The hyperbolic tangent: the series for small |x|, else 1 - 2 / (1 + e^2|x|) with the sign of x. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(tanh_of)(MOSAIC_FLOW__V x)
{
    const MOSAIC_FLOW__V one = MOSAIC_FLOW__SET(1.0f), two = MOSAIC_FLOW__SET(2.0f);
    MOSAIC_FLOW__V magnitude, square, series, rest;
    MOSAIC_FLOW__I sign;
    x = MOSAIC_FLOW__NAME(limit)(x, 20.0f);
    sign = MOSAIC_FLOW__NAME(bits)(x) & (-0x7fffffff - 1);
    magnitude = MOSAIC_FLOW__NAME(from_bits)(MOSAIC_FLOW__NAME(bits)(x) & 0x7fffffff);
    square = x * x;
    series = MOSAIC_FLOW__FMA(square, MOSAIC_FLOW__SET(-8.86323553e-3f), MOSAIC_FLOW__SET(2.18694885e-2f));
    series = MOSAIC_FLOW__FMA(square, series, MOSAIC_FLOW__SET(-5.39682540e-2f));
    series = MOSAIC_FLOW__FMA(square, series, MOSAIC_FLOW__SET(1.33333333e-1f));
    series = MOSAIC_FLOW__FMA(square, series, MOSAIC_FLOW__SET(-3.33333333e-1f));
    series = MOSAIC_FLOW__FMA(square * x, series, x);
    rest = one - two / (one + MOSAIC_FLOW__NAME(power)(two * magnitude));
    rest = MOSAIC_FLOW__NAME(from_bits)(MOSAIC_FLOW__NAME(bits)(rest) | sign);
    return MOSAIC_FLOW__NAME(select)(magnitude, MOSAIC_FLOW__SET(0.25f), series, rest);
}

/* ---- convolution ---- */

#if MOSAIC_FLOW__LANES == 16
#define MOSAIC_FLOW__PIXELS 12
#else
#define MOSAIC_FLOW__PIXELS 6
#endif

/* A tile of `pixels` outputs side by side in one or two vectors of channels. Loops go to constants, with what is too much left out inside: clang
   unrolls before it knows the arguments. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(tile)(const mosaic_flow__conv *c, const float *in, const float *w, const float *start, float *out,
                                                 const int pixels, const int vectors)
{
    const size_t across = c->in_pixel * (size_t)c->stride, step = c->step;
    const int channels = c->channels;
    MOSAIC_FLOW__V sum[MOSAIC_FLOW__PIXELS][2];
    int ky, kx, n, i;
    MOSAIC_FLOW__UNROLL
    for (i = 0; i < MOSAIC_FLOW__PIXELS; i++) {
        if (i < pixels) sum[i][0] = MOSAIC_FLOW__NAME(load)(start + (size_t)i * c->start_pixel);
        if (i < pixels && vectors == 2) sum[i][1] = MOSAIC_FLOW__NAME(load)(start + (size_t)i * c->start_pixel + MOSAIC_FLOW__LANES);
    }
    for (ky = 0; ky < c->kernel_height; ky++)
        for (kx = 0; kx < c->kernel_width; kx++) {
            /* Three pointers reach twelve pixels: an address is a pointer plus one, two or three times `across`. */
            const float *p0 = in + (size_t)ky * c->in_row + (size_t)kx * c->in_pixel, *p4 = p0 + 4 * across, *p8 = p4 + 4 * across;
            for (n = 0; n < channels; n++, w += step) {
                const MOSAIC_FLOW__V w0 = MOSAIC_FLOW__NAME(load)(w), w1 = vectors == 2 ? MOSAIC_FLOW__NAME(load)(w + MOSAIC_FLOW__LANES) : w0;
                MOSAIC_FLOW__UNROLL
                for (i = 0; i < MOSAIC_FLOW__PIXELS; i++)
                    if (i < pixels) {
                        const float *p = i < 4 ? p0 : i < 8 ? p4 : p8;
                        const MOSAIC_FLOW__V x = MOSAIC_FLOW__SET(p[(size_t)(i & 3) * across]);
                        sum[i][0] = MOSAIC_FLOW__FMA(x, w0, sum[i][0]);
                        if (vectors == 2) sum[i][1] = MOSAIC_FLOW__FMA(x, w1, sum[i][1]);
                    }
                p0++, p4++, p8++;
            }
        }
    MOSAIC_FLOW__UNROLL
    for (i = 0; i < MOSAIC_FLOW__PIXELS; i++)
        if (i < pixels) {
            float *to = out + (size_t)i * c->out_pixel;
            MOSAIC_FLOW__NAME(store)(to, c->relu ? MOSAIC_FLOW__NAME(positive)(sum[i][0]) : sum[i][0]);
            if (vectors == 2) MOSAIC_FLOW__NAME(store)(to + MOSAIC_FLOW__LANES, c->relu ? MOSAIC_FLOW__NAME(positive)(sum[i][1]) : sum[i][1]);
        }
}

/* All tiles of rows top ... bottom - 1. The last tile of a row overlaps the one before: what is done twice comes out the same. A tile is a
   function of its own: inside these loops, clang takes the registers of the sums for other things. */
#define MOSAIC_FLOW__TILES(name, pixels, vectors)                                                                                                    \
    MOSAIC_FLOW__ISA MOSAIC_FLOW__NOINLINE static void MOSAIC_FLOW__NAME(name##_tile)(const mosaic_flow__conv *c, const float *in, const float *w,   \
                                                                                      const float *start, float *out)                                \
    {                                                                                                                                                \
        MOSAIC_FLOW__NAME(tile)(c, in, w, start, out, pixels, vectors);                                                                              \
    }                                                                                                                                                \
    MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(name)(const mosaic_flow__conv *c, const float *w, int first, int top, int bottom)                 \
    {                                                                                                                                                \
        int x, y, at;                                                                                                                                \
        for (y = top; y < bottom; y++)                                                                                                               \
            for (x = 0; x < c->width; x += (pixels)) {                                                                                               \
                at = x + (pixels) <= c->width ? x : c->width - (pixels);                                                                             \
                MOSAIC_FLOW__NAME(name##_tile)                                                                                                       \
                (c, c->in + (size_t)(y * c->stride) * c->in_row + (size_t)(at * c->stride) * c->in_pixel, w,                                         \
                 c->start + (size_t)y * c->start_row + (size_t)at * c->start_pixel + first,                                                          \
                 c->out + (size_t)y * c->out_row + (size_t)at * c->out_pixel + first);                                                               \
            }                                                                                                                                        \
    }
MOSAIC_FLOW__TILES(wide_2, MOSAIC_FLOW__PIXELS, 2)
MOSAIC_FLOW__TILES(wide_1, MOSAIC_FLOW__PIXELS, 1)
MOSAIC_FLOW__TILES(four_2, 4, 2)
MOSAIC_FLOW__TILES(four_1, 4, 1)
MOSAIC_FLOW__TILES(one_2, 1, 2)
MOSAIC_FLOW__TILES(one_1, 1, 1)

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(conv)(const mosaic_flow__conv *c, int top, int bottom)
{
    const float *w = c->weights;
    int first;
    for (first = 0; first < c->outputs; first += 2 * MOSAIC_FLOW__LANES, w += c->block) {
        mosaic_flow__conv last = *c;
        const int two = c->outputs - first >= 2 * MOSAIC_FLOW__LANES;
        /* A last block of one vector is packed as such; but rows of features, where blocks lie side by side, stay as they are. */
        if (!two && c->block != 2 * MOSAIC_FLOW__LANES) last.step = MOSAIC_FLOW__LANES;
        if (c->width >= MOSAIC_FLOW__PIXELS)
            (two ? MOSAIC_FLOW__NAME(wide_2) : MOSAIC_FLOW__NAME(wide_1))(&last, w, first, top, bottom);
        else if (c->width >= 4)
            (two ? MOSAIC_FLOW__NAME(four_2) : MOSAIC_FLOW__NAME(four_1))(&last, w, first, top, bottom);
        else
            (two ? MOSAIC_FLOW__NAME(one_2) : MOSAIC_FLOW__NAME(one_1))(&last, w, first, top, bottom);
    }
}

/* ---- channel by channel: `channels` is a multiple of 16 ---- */

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(sums)(const float *in, size_t pixel, int count, int channels, double *sums)
{
    int c, i;
#if MOSAIC_FLOW__LANES == 1
    for (c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        for (i = 0; i < count; i++) {
            const double x = (double)in[(size_t)i * pixel + (size_t)c];
            sum += x;
            squares += x * x;
        }
        sums[c] = sum;
        sums[channels + c] = squares;
    }
#else
    const int half = MOSAIC_FLOW__LANES / 2;
    for (c = 0; c < channels; c += 4 * half) {
        MOSAIC_FLOW__NAME(d) sum[4], squares[4];
        int k;
        memset(sum, 0, sizeof sum);
        memset(squares, 0, sizeof squares);
        for (i = 0; i < count; i++) {
            MOSAIC_FLOW__UNROLL
            for (k = 0; k < 4; k++) {
                const MOSAIC_FLOW__NAME(d) x = MOSAIC_FLOW__WIDEN(in + (size_t)i * pixel + c + (c + k * half < channels ? k * half : 0));
                sum[k] += x;
                squares[k] += x * x;
            }
        }
        for (k = 0; k < 4 && c + k * half < channels; k++) {
            memcpy(sums + c + k * half, &sum[k], sizeof sum[k]);
            memcpy(sums + channels + c + k * half, &squares[k], sizeof squares[k]);
        }
    }
#endif
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(normalise)(float *x, size_t pixel, int count, int channels, const float *factor, const float *shift,
                                                          int relu)
{
    int c, i;
    for (i = 0; i < count; i++, x += pixel)
        for (c = 0; c < channels; c += MOSAIC_FLOW__LANES) {
            const MOSAIC_FLOW__V y =
                MOSAIC_FLOW__FMA(MOSAIC_FLOW__NAME(load)(x + c), MOSAIC_FLOW__NAME(load)(factor + c), MOSAIC_FLOW__NAME(load)(shift + c));
            MOSAIC_FLOW__NAME(store)(x + c, relu ? MOSAIC_FLOW__NAME(positive)(y) : y);
        }
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(join)(float *a, const float *b, size_t pixel_a, size_t pixel_b, int count, int channels)
{
    int c, i;
    for (i = 0; i < count; i++, a += pixel_a, b += pixel_b)
        for (c = 0; c < channels; c += MOSAIC_FLOW__LANES)
            MOSAIC_FLOW__NAME(store)(a + c, MOSAIC_FLOW__NAME(positive)(MOSAIC_FLOW__NAME(load)(a + c) + MOSAIC_FLOW__NAME(load)(b + c)));
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(tanh)(const float *x, size_t pixel, float *out, size_t out_pixel, int count, int channels)
{
    int c, i;
    for (i = 0; i < count; i++, x += pixel, out += out_pixel)
        for (c = 0; c < channels; c += MOSAIC_FLOW__LANES)
            MOSAIC_FLOW__NAME(store)(out + c, MOSAIC_FLOW__NAME(tanh_of)(MOSAIC_FLOW__NAME(load)(x + c)));
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(relu)(const float *x, size_t pixel, float *out, size_t out_pixel, int count, int channels)
{
    int c, i;
    for (i = 0; i < count; i++, x += pixel, out += out_pixel)
        for (c = 0; c < channels; c += MOSAIC_FLOW__LANES)
            MOSAIC_FLOW__NAME(store)(out + c, MOSAIC_FLOW__NAME(positive)(MOSAIC_FLOW__NAME(load)(x + c)));
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(gates)(float *zr, size_t pixel, const float *hidden, float *out, size_t out_pixel, int count,
                                                      int channels)
{
    int c, i;
    for (i = 0; i < count; i++, zr += pixel, hidden += channels, out += out_pixel)
        for (c = 0; c < channels; c += MOSAIC_FLOW__LANES) {
            const MOSAIC_FLOW__V r = MOSAIC_FLOW__NAME(sigmoid_of)(MOSAIC_FLOW__NAME(load)(zr + channels + c));
            MOSAIC_FLOW__NAME(store)(zr + c, MOSAIC_FLOW__NAME(sigmoid_of)(MOSAIC_FLOW__NAME(load)(zr + c)));
            MOSAIC_FLOW__NAME(store)(out + c, r * MOSAIC_FLOW__NAME(load)(hidden + c));
        }
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(update)(const float *zr, size_t pixel, const float *q, float *hidden, float *out, size_t out_pixel,
                                                       int count, int channels)
{
    int c, i;
    for (i = 0; i < count; i++, zr += pixel, q += channels, hidden += channels, out += out_pixel)
        for (c = 0; c < channels; c += MOSAIC_FLOW__LANES) {
            const MOSAIC_FLOW__V z = MOSAIC_FLOW__NAME(load)(zr + c), rest = MOSAIC_FLOW__SET(1.0f) - z;
            const MOSAIC_FLOW__V kept = rest * MOSAIC_FLOW__NAME(load)(hidden + c);
            const MOSAIC_FLOW__V h = MOSAIC_FLOW__FMA(z, MOSAIC_FLOW__NAME(tanh_of)(MOSAIC_FLOW__NAME(load)(q + c)), kept);
            MOSAIC_FLOW__NAME(store)(hidden + c, h);
            MOSAIC_FLOW__NAME(store)(out + c, h);
        }
}

/* ---- the lookup: windows are 8 or 10 wide, so 16 lanes leave it to 8 ---- */

#if MOSAIC_FLOW__LANES == 16
#define MOSAIC_FLOW__LOOK mosaic_flow__look_avx2
#else
#define MOSAIC_FLOW__LOOK MOSAIC_FLOW__NAME(look)

/* Correlations of one pixel with a window of rows of `wide` columns in vectors, on demand: the same chains that fill the volume. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dots)(const float *const *rows, size_t column, const float *first, int channels, float *taps,
                                                 const int count, const int vectors)
{
    MOSAIC_FLOW__V sum[10];
    int n, i;
    MOSAIC_FLOW__UNROLL
    for (i = 0; i < 10; i++) sum[i] = MOSAIC_FLOW__SET(0.0f);
    for (n = 0; n < channels; n++) {
        const MOSAIC_FLOW__V x = MOSAIC_FLOW__SET(first[n]);
        const size_t at = (size_t)n * column;
        MOSAIC_FLOW__UNROLL
        for (i = 0; i < 10; i++)
            if (i < count * vectors)
                sum[i] = MOSAIC_FLOW__FMA(x, MOSAIC_FLOW__NAME(load)(rows[i / vectors] + at + i % vectors * MOSAIC_FLOW__LANES), sum[i]);
    }
    MOSAIC_FLOW__UNROLL
    for (i = 0; i < 10; i++)
        if (i < count * vectors) MOSAIC_FLOW__NAME(store)(taps + i / vectors * MOSAIC_FLOW__TAPS + i % vectors * MOSAIC_FLOW__LANES, sum[i]);
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dots_3)(const float *const *rows, size_t column, const float *first, int channels, float *taps)
{
#if MOSAIC_FLOW__LANES == 8
    MOSAIC_FLOW__NAME(dots)(rows, column, first, channels, taps, 8, 1);
#else
    int i, k;
    for (i = 0; i < 8; i++)
        for (k = 0; k < 8; k += 2 * MOSAIC_FLOW__LANES) {
            const float *row = rows[i] + k;
            MOSAIC_FLOW__NAME(dots)(&row, column, first, channels, taps + i * MOSAIC_FLOW__TAPS + k, 1, 2);
        }
#endif
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dots_4)(const float *const *rows, size_t column, const float *first, int channels, float *taps)
{
    int i;
#if MOSAIC_FLOW__LANES == 8
    for (i = 0; i < 10; i += 5) MOSAIC_FLOW__NAME(dots)(rows + i, column, first, channels, taps + i * MOSAIC_FLOW__TAPS, 5, 2);
#else
    int k;
    for (i = 0; i < 10; i++)
        for (k = 0; k < 10; k += 2 * MOSAIC_FLOW__LANES) {
            const float *row = rows[i] + k;
            MOSAIC_FLOW__NAME(dots)(&row, column, first, channels, taps + i * MOSAIC_FLOW__TAPS + k, 1, 2);
        }
#endif
}

/* A place on a level: its whole part, and the fraction to *fraction. Kept near the level, where all taps are outside. */
MOSAIC_FLOW__KERNEL int MOSAIC_FLOW__NAME(place)(float v, int size, float *fraction)
{
    const float high = (float)(size + 12);
    int whole;
    v = v > -12.0f ? v : -12.0f;
    v = v < high ? v : high;
    whole = (int)v;
    if ((float)whole > v) whole--;
    *fraction = v - (float)whole;
    return whole;
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(look)(const mosaic_flow__windows *w)
{
    static const float scales[4] = {1.0f, 0.5f, 0.25f, 0.125f};
    const int r = w->radius, side = 2 * r + 1;
    const float scale = scales[w->level];
    float taps[11 * MOSAIC_FLOW__TAPS], fx, fy; /* one row more than a window has: vectors reach beyond what they need */
    int x, k, i;
    memset(taps, 0, sizeof taps);
    for (x = 0; x < w->count; x++) {
        const int left = MOSAIC_FLOW__NAME(place)(((float)x + w->flow[2 * x]) * scale, w->width, &fx) - r;
        const int top = MOSAIC_FLOW__NAME(place)(((float)w->y + w->flow[2 * x + 1]) * scale, w->height, &fy) - r;
        const MOSAIC_FLOW__V right_part = MOSAIC_FLOW__SET(fx), left_part = MOSAIC_FLOW__SET(1 - fx), lower_part = MOSAIC_FLOW__SET(fy),
                             upper_part = MOSAIC_FLOW__SET(1 - fy);
        float *out = w->out + (size_t)x * w->out_pixel;
        const float *tap = taps;
        size_t row = MOSAIC_FLOW__TAPS;
        if (left >= w->width || top >= w->height || left + side < 0 || top + side < 0) {
            memset(out, 0, (size_t)(side * side) * sizeof *out);
            continue;
        }
        if (w->first) {
            const float *rows[10];
            for (k = 0; k <= side; k++) rows[k] = (top + k >= 0 && top + k < w->height ? w->second + (size_t)(top + k) * w->row : w->zeros) + left;
            if (r == 3)
                MOSAIC_FLOW__NAME(dots_3)(rows, w->column, w->first + (size_t)x * w->first_pixel, w->channels, taps);
            else
                MOSAIC_FLOW__NAME(dots_4)(rows, w->column, w->first + (size_t)x * w->first_pixel, w->channels, taps);
        } else if (left >= 0 && top >= 0 && left + side < w->width && top + side < w->height) {
            tap = w->volume + (size_t)x * w->pixel + (size_t)top * w->row + left;
            row = w->row;
        } else {
            const int begin = left < 0 ? -left : 0, end = left + side < w->width ? side + 1 : w->width - left;
            memset(taps, 0, sizeof taps);
            for (k = 0; k <= side; k++)
                if (top + k >= 0 && top + k < w->height)
                    memcpy(taps + k * MOSAIC_FLOW__TAPS + begin,
                           w->volume + (size_t)x * w->pixel + (size_t)(top + k) * w->row + (size_t)(left + begin),
                           (size_t)(end - begin) * sizeof *taps);
        }
        /* Each vector writes beyond its end what comes after it: from right to left here, and level by level. */
        for (i = (side - 1) / MOSAIC_FLOW__LANES * MOSAIC_FLOW__LANES; i >= 0; i -= MOSAIC_FLOW__LANES) {
            MOSAIC_FLOW__V above = MOSAIC_FLOW__NAME(load)(tap + i), above_right = MOSAIC_FLOW__NAME(load)(tap + i + 1);
            for (k = 0; k < side; k++) {
                const MOSAIC_FLOW__V below = MOSAIC_FLOW__NAME(load)(tap + (size_t)(k + 1) * row + i),
                                     below_right = MOSAIC_FLOW__NAME(load)(tap + (size_t)(k + 1) * row + i + 1);
                const MOSAIC_FLOW__V at = MOSAIC_FLOW__FMA(below, lower_part, above * upper_part),
                                     at_right = MOSAIC_FLOW__FMA(below_right, lower_part, above_right * upper_part);
                MOSAIC_FLOW__NAME(store)(out + k * side + i, MOSAIC_FLOW__FMA(at_right, right_part, at * left_part));
                above = below;
                above_right = below_right;
            }
        }
    }
}

#endif

/* ---- convex upsampling ---- */

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(convex)(const float *mask, const float flow[9][2], float *out)
{
    const MOSAIC_FLOW__V quarter = MOSAIC_FLOW__SET(0.25f), eight = MOSAIC_FLOW__SET(8.0f), lowest = MOSAIC_FLOW__SET(-87.0f);
    float v[2][64];
    int i, k;
    for (i = 0; i < 64; i += MOSAIC_FLOW__LANES) {
        MOSAIC_FLOW__V highest = MOSAIC_FLOW__NAME(load)(mask + i) * quarter, sum = MOSAIC_FLOW__SET(0.0f), x = sum, y = sum;
        for (k = 1; k < 9; k++) {
            const MOSAIC_FLOW__V m = MOSAIC_FLOW__NAME(load)(mask + 64 * k + i) * quarter;
            highest = MOSAIC_FLOW__NAME(select)(highest, m, m, highest);
        }
        for (k = 0; k < 9; k++) {
            MOSAIC_FLOW__V m = MOSAIC_FLOW__NAME(load)(mask + 64 * k + i) * quarter - highest;
            m = MOSAIC_FLOW__NAME(power)(MOSAIC_FLOW__NAME(select)(lowest, m, m, lowest));
            sum = sum + m;
            x = MOSAIC_FLOW__FMA(m, MOSAIC_FLOW__SET(flow[k][0]), x);
            y = MOSAIC_FLOW__FMA(m, MOSAIC_FLOW__SET(flow[k][1]), y);
        }
        MOSAIC_FLOW__NAME(store)(v[0] + i, eight * (x / sum));
        MOSAIC_FLOW__NAME(store)(v[1] + i, eight * (y / sum));
    }
    for (i = 0; i < 64; i++) {
        out[2 * i] = v[0][i];
        out[2 * i + 1] = v[1][i];
    }
}

/* ==== Kernels of DIS ==== */

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(dis_within)(MOSAIC_FLOW__V v, float low, float high)
{
    v = MOSAIC_FLOW__NAME(select)(MOSAIC_FLOW__SET(low), v, v, MOSAIC_FLOW__SET(low));
    return MOSAIC_FLOW__NAME(select)(v, MOSAIC_FLOW__SET(high), v, MOSAIC_FLOW__SET(high));
}

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__I MOSAIC_FLOW__NAME(dis_integer)(MOSAIC_FLOW__V v)
{
#if MOSAIC_FLOW__LANES == 1
    return (int32_t)v;
#else
    return __builtin_convertvector(v, MOSAIC_FLOW__I);
#endif
}

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(dis_number)(MOSAIC_FLOW__I v)
{
#if MOSAIC_FLOW__LANES == 1
    return (float)v;
#else
    return __builtin_convertvector(v, MOSAIC_FLOW__V);
#endif
}

/* The bytes at p + at and right of it, the second one times 256. With AVX2 four bytes are read at each place: two more than asked for. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__I MOSAIC_FLOW__NAME(dis_pair)(const uint8_t *p, MOSAIC_FLOW__I at)
{
#if MOSAIC_FLOW__LANES >= 8
    __m256i half[MOSAIC_FLOW__LANES / 8]; /* by eights: gcc's macro for sixteen is not free of warnings */
    int i;
    memcpy(half, &at, sizeof at);
    for (i = 0; i < MOSAIC_FLOW__LANES / 8; i++)
        half[i] = _mm256_and_si256(_mm256_i32gather_epi32((const int *)(const void *)p, half[i], 1), _mm256_set1_epi32(0xffff));
    memcpy(&at, half, sizeof at);
    return at;
#elif MOSAIC_FLOW__LANES == 1
    return p[at] | p[at + 1] << 8;
#else
    int i;
    for (i = 0; i < MOSAIC_FLOW__LANES; i++) at[i] = p[at[i]] | p[at[i] + 1] << 8;
    return at;
#endif
}

/* The bytes p[0], p[2], ... */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__I MOSAIC_FLOW__NAME(dis_every_other)(const uint8_t *p)
{
#if MOSAIC_FLOW__LANES == 1
    return *p;
#else
    MOSAIC_FLOW__I v;
    int i;
    for (i = 0; i < MOSAIC_FLOW__LANES; i++) v[i] = p[2 * i];
    return v;
#endif
}

/* Of what follows, much is written for 256 bits, or takes as long as memory takes: with AVX-512 the functions for AVX2 do it. */
#if MOSAIC_FLOW__LANES == 16
#define MOSAIC_FLOW__SHARED(name) MOSAIC_FLOW__PASTE(mosaic_flow__##name##_, avx2)
#else
#define MOSAIC_FLOW__SHARED(name) MOSAIC_FLOW__NAME(name)

/* ---- patches ---- */

/* A patch of the first picture, ready to be searched for. */
typedef struct MOSAIC_FLOW__NAME(dis_patch) {
    int16_t grey[64], across[64], down[64]; /* 1/16 grey level; slopes */
    int x, y;
    MOSAIC_FLOW__F mean[2];    /* of the slopes */
    MOSAIC_FLOW__F inverse[4]; /* of the sums of products of slopes less their mean */
} MOSAIC_FLOW__NAME(dis_patch);

/* How the second picture at v (1/64 px) differs from a patch, 1/16 grey level. v is brought to where the patch touches the picture. */
#if MOSAIC_FLOW__LANES >= 8
MOSAIC_FLOW__KERNEL __m256i MOSAIC_FLOW__NAME(dis_two_rows)(const uint8_t *p, ptrdiff_t stride, __m256i weights)
{
    const __m256i pairs = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8));
    const __m128i low = _mm_loadu_si128((const __m128i *)(const void *)p), high = _mm_loadu_si128((const __m128i *)(const void *)(p + stride));
    return _mm256_maddubs_epi16(_mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), pairs), weights);
}
MOSAIC_FLOW__KERNEL __m256i MOSAIC_FLOW__NAME(dis_blend_rows)(__m256i upper, __m256i lower, __m256i weight, const int16_t *grey)
{
    const __m256i m = _mm256_add_epi16(upper, _mm256_mulhrs_epi16(_mm256_sub_epi16(lower, upper), weight));
    return _mm256_sub_epi16(_mm256_srai_epi16(_mm256_add_epi16(m, _mm256_set1_epi16(2)), 2), _mm256_loadu_si256((const __m256i *)(const void *)grey));
}
#endif
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_differ)(const mosaic_flow__dis_level *level, int slot, const MOSAIC_FLOW__NAME(dis_patch) * patch,
                                                       int32_t v[2], int16_t difference[64])
{
    const uint8_t *p;
    int wx, wy, i;
    mosaic_flow__dis_reach(level, patch->x, patch->y, v);
    p = level->pixels[slot] + (patch->y + (v[1] >> 6)) * level->stride + patch->x + (v[0] >> 6);
    wx = v[0] & 63;
    wy = v[1] & 63;
#if MOSAIC_FLOW__LANES >= 8
    {
        const __m256i weights = _mm256_set1_epi16((short)(wx << 8 | (64 - wx))), weight = _mm256_set1_epi16((short)(wy * 512));
        __m256i rows = MOSAIC_FLOW__NAME(dis_two_rows)(p, level->stride, weights);
        for (i = 0; i < 4; i++) {
            const __m256i next = MOSAIC_FLOW__NAME(dis_two_rows)(p + (2 * i + 2) * level->stride, i < 3 ? level->stride : 0, weights);
            _mm256_storeu_si256((__m256i *)(void *)(difference + 16 * i),
                                MOSAIC_FLOW__NAME(dis_blend_rows)(rows, _mm256_permute2x128_si256(rows, next, 0x21), weight, patch->grey + 16 * i));
            rows = next;
        }
    }
#else
    MOSAIC_FLOW__ROLLED
    for (i = 0; i < 64; i++)
        difference[i] = (int16_t)(mosaic_flow__dis_between(p + i / 8 * level->stride + i % 8, level->stride, wx, wy) - patch->grey[i]);
#endif
}

/* Sums of a, a^2 / 4, a * b, a * c. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_sums)(const int16_t a[64], const int16_t b[64], const int16_t c[64], int32_t sum[4])
{
    int i;
#if MOSAIC_FLOW__LANES >= 8
    __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
    for (i = 0; i < 64; i += 16) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(a + i)), half = _mm256_srai_epi16(v, 1);
        s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(v, _mm256_set1_epi16(1)));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(half, half));
        s2 = _mm256_add_epi32(s2, _mm256_madd_epi16(v, _mm256_loadu_si256((const __m256i *)(const void *)(b + i))));
        s3 = _mm256_add_epi32(s3, _mm256_madd_epi16(v, _mm256_loadu_si256((const __m256i *)(const void *)(c + i))));
    }
    s0 = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
    _mm_storeu_si128((__m128i *)(void *)sum, _mm_add_epi32(_mm256_castsi256_si128(s0), _mm256_extracti128_si256(s0, 1)));
#else
    sum[0] = sum[1] = sum[2] = sum[3] = 0;
    MOSAIC_FLOW__ROLLED
    for (i = 0; i < 64; i++) {
        sum[0] += a[i];
        sum[1] += (a[i] >> 1) * (a[i] >> 1);
        sum[2] += a[i] * b[i];
        sum[3] += a[i] * c[i];
    }
#endif
}

/* The pixels of a patch, 1/16 grey level. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_greys)(const uint8_t *p, ptrdiff_t stride, int16_t grey[64])
{
    int i;
#if MOSAIC_FLOW__LANES >= 8
    for (i = 0; i < 4; i++, p += 2 * stride, grey += 16) {
        const __m128i upper = _mm_loadl_epi64((const __m128i *)(const void *)p), lower = _mm_loadl_epi64((const __m128i *)(const void *)(p + stride));
        _mm256_storeu_si256((__m256i *)(void *)grey, _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm_unpacklo_epi64(upper, lower)), 4));
    }
#else
    MOSAIC_FLOW__ROLLED
    for (i = 0; i < 64; i++) grey[i] = (int16_t)(p[i / 8 * stride + i % 8] << 4);
#endif
}

/* Slopes of a patch. They are stored as vectors as long as those that will be loaded: processors hand over no others quickly. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_square)(const int16_t *from, ptrdiff_t stride, int16_t to[64])
{
    int i;
#if MOSAIC_FLOW__LANES >= 8
    for (i = 0; i < 4; i++, from += 2 * stride, to += 16)
        _mm256_storeu_si256((__m256i *)(void *)to,
                            _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)from)),
                                                    _mm_loadu_si128((const __m128i *)(const void *)(from + stride)), 1));
#else
    MOSAIC_FLOW__ROLLED
    for (i = 0; i < 8; i++, from += stride) memcpy(to + 8 * i, from, 16);
#endif
}

MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_take)(const mosaic_flow__dis_level *level, int slot, int x, int y,
                                                     MOSAIC_FLOW__NAME(dis_patch) * patch)
{
    const int16_t *across = level->slope[slot][0] + y * level->stride + x, *down = level->slope[slot][1] + y * level->stride + x;
    int32_t of_across[4], of_down[4];
    double xx, xy, yy, determinant;
    MOSAIC_FLOW__NAME(dis_greys)(level->pixels[slot] + y * level->stride + x, level->stride, patch->grey);
    MOSAIC_FLOW__NAME(dis_square)(across, level->stride, patch->across);
    MOSAIC_FLOW__NAME(dis_square)(down, level->stride, patch->down);
    MOSAIC_FLOW__NAME(dis_sums)(patch->across, patch->across, patch->down, of_across);
    MOSAIC_FLOW__NAME(dis_sums)(patch->down, patch->down, patch->down, of_down);
    patch->x = x;
    patch->y = y;
    patch->mean[0] = (MOSAIC_FLOW__F)of_across[0] * (1.0f / 64);
    patch->mean[1] = (MOSAIC_FLOW__F)of_down[0] * (1.0f / 64);
    /* 64 times the sums; the constant keeps flat patches from leaping. All exact but the products. */
    xx = 64.0 * of_across[2] - (double)of_across[0] * of_across[0] + 4096.0;
    xy = 64.0 * of_across[3] - (double)of_across[0] * of_down[0];
    yy = 64.0 * of_down[2] - (double)of_down[0] * of_down[0] + 4096.0;
    determinant = xx * yy - xy * xy;
    patch->inverse[0] = (MOSAIC_FLOW__F)(64.0 * yy / determinant);
    patch->inverse[1] = patch->inverse[2] = (MOSAIC_FLOW__F)(-64.0 * xy / determinant);
    patch->inverse[3] = (MOSAIC_FLOW__F)(64.0 * xx / determinant);
}

/* Takes x, y for the patch's vector if it fits better; step (1/64 px) is what would take the error away if pictures were planes. */
MOSAIC_FLOW__KERNEL int MOSAIC_FLOW__NAME(dis_try)(const mosaic_flow__dis_level *level, int slot, const MOSAIC_FLOW__NAME(dis_patch) * patch,
                                                   int32_t x, int32_t y, mosaic_flow__dis_vector *best, MOSAIC_FLOW__F step[2])
{
    int16_t difference[64];
    int32_t v[2], sum[4], half, error;
    MOSAIC_FLOW__F b[2];
    int i;
    v[0] = x;
    v[1] = y;
    MOSAIC_FLOW__NAME(dis_differ)(level, slot, patch, v, difference);
    MOSAIC_FLOW__NAME(dis_sums)(difference, patch->across, patch->down, sum);
    half = sum[0] / 2;
    error = sum[1] - (int32_t)((int64_t)half * half / 64);
    if (error >= best->error) return 0;
    best->x = v[0];
    best->y = v[1];
    best->error = error;
    best->changed = 1;
    for (i = 0; i < 2; i++) b[i] = (MOSAIC_FLOW__F)sum[2 + i] - (MOSAIC_FLOW__F)sum[0] * patch->mean[i];
    for (i = 0; i < 2; i++) step[i] = (patch->inverse[i] * b[0] + patch->inverse[2 + i] * b[1]) * -8.0f;
    return 1;
}

/* A step to the nearest whole one, at most 512; 0 when both parts are less than one. */
MOSAIC_FLOW__KERNEL int MOSAIC_FLOW__NAME(dis_round)(const MOSAIC_FLOW__F step[2], int32_t d[2])
{
#if MOSAIC_FLOW__LANES >= 8
    const __m128 s = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(const void *)step)), sign = _mm_and_ps(s, _mm_set1_ps(-0.0f));
    const __m128i whole = _mm_cvttps_epi32(_mm_add_ps(s, _mm_or_ps(sign, _mm_set1_ps(0.5f))));
    _mm_storel_epi64((__m128i *)(void *)d, _mm_max_epi32(_mm_min_epi32(whole, _mm_set1_epi32(512)), _mm_set1_epi32(-512)));
    return _mm_movemask_ps(_mm_cmplt_ps(_mm_andnot_ps(_mm_set1_ps(-0.0f), s), _mm_set1_ps(1))) != 15;
#else
    int i;
    for (i = 0; i < 2; i++) d[i] = mosaic_flow__dis_clamp((int32_t)(step[i] < 0 ? step[i] - 0.5f : step[i] + 0.5f), -512, 512);
    return !(step[0] < 1 && step[0] > -1 && step[1] < 1 && step[1] > -1);
#endif
}

/* The candidates of a patch, 1/64 px: what the coarser level found at its centre and a patch away; none twice. At the coarsest level: no motion. */
MOSAIC_FLOW__KERNEL int MOSAIC_FLOW__NAME(dis_candidates)(const mosaic_flow__dis_way *way, int x, int y, int32_t candidate[9][2])
{
    static const uint8_t around[9][2] = {{1, 1}, {1, 0}, {0, 1}, {2, 1}, {1, 2}, {0, 0}, {2, 0}, {0, 2}, {2, 2}};
    const mosaic_flow__dis_level *coarse = &way->dis->level[way->scale + 1];
    const MOSAIC_FLOW__F *row[2][3];
    int count = 0, column[3], i, k;
    if (way->scale == way->dis->coarsest) {
        candidate[0][0] = candidate[0][1] = 0;
        return 1;
    }
    for (i = 0; i < 3; i++) {
        const int cy = mosaic_flow__dis_clamp(y / 2 + 4 * i - 2, 0, coarse->height - 1);
        column[i] = mosaic_flow__dis_clamp(x / 2 + 4 * i - 2, 0, coarse->width - 1);
        for (k = 0; k < 2; k++) row[k][i] = (const MOSAIC_FLOW__F *)(const void *)mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U_DOWN + k, coarse, cy);
    }
    for (i = 0; i < 9; i++) {
        const int32_t u = (int32_t)row[0][around[i][1]][column[around[i][0]]], v = (int32_t)row[1][around[i][1]][column[around[i][0]]];
        for (k = 0; k < count; k++) {
            const int32_t du = candidate[k][0] - u, dv = candidate[k][1] - v;
            if (du < MOSAIC_FLOW__DIS_ALIKE && -du < MOSAIC_FLOW__DIS_ALIKE && dv < MOSAIC_FLOW__DIS_ALIKE && -dv < MOSAIC_FLOW__DIS_ALIKE) break;
        }
        if (k < count) continue;
        candidate[count][0] = u;
        candidate[count][1] = v;
        count++;
    }
    return count;
}

/* Goes downhill for as long as that helps. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_descend)(const mosaic_flow__dis_level *level, int slot, const MOSAIC_FLOW__NAME(dis_patch) * patch,
                                                        mosaic_flow__dis_vector *best, MOSAIC_FLOW__F step[2])
{
    int i;
    for (i = 0; i < MOSAIC_FLOW__DIS_DESCENTS; i++) {
        int32_t d[2];
        if (!MOSAIC_FLOW__NAME(dis_round)(step, d)) return;
        if (!MOSAIC_FLOW__NAME(dis_try)(level, slot, patch, best->x + d[0], best->y + d[1], best, step)) return;
    }
}

/* A patch: from what the coarser level found. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_search_patch)(const mosaic_flow__dis_way *way, int row, int column)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const int x = mosaic_flow__dis_place(column, level->width), y = mosaic_flow__dis_place(row, level->height), other = 1 - way->from;
    MOSAIC_FLOW__NAME(dis_patch) patch;
    mosaic_flow__dis_vector best = {0, 0, INT32_MAX, 0};
    int32_t candidate[9][2];
    MOSAIC_FLOW__F step[2] = {0, 0};
    const int count = MOSAIC_FLOW__NAME(dis_candidates)(way, x, y, candidate);
    int i;
    MOSAIC_FLOW__NAME(dis_take)(level, way->from, x, y, &patch);
    for (i = 0; i < count; i++) MOSAIC_FLOW__NAME(dis_try)(level, other, &patch, candidate[i][0], candidate[i][1], &best, step);
    MOSAIC_FLOW__NAME(dis_descend)(level, other, &patch, &best, step);
    way->found[0][row * level->columns + column] = best;
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_search)(const mosaic_flow__dis_way *way, int row)
{
    const int columns = way->dis->level[way->scale].columns;
    int column;
    for (column = 0; column < columns; column++) MOSAIC_FLOW__NAME(dis_search_patch)(way, row, column);
}

/* A patch: from what the four neighbours found. Odd passes bring it back from found[1] to found[0]. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_spread_patch)(const mosaic_flow__dis_way *way, int row, int column, int pass)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const mosaic_flow__dis_vector *from = way->found[pass] + row * level->columns + column;
    const int other = 1 - way->from;
    MOSAIC_FLOW__NAME(dis_patch) patch;
    mosaic_flow__dis_vector best = *from;
    MOSAIC_FLOW__F step[2] = {0, 0};
    const int tried = pass && !best.changed; /* in the pass before, in vain: the neighbours that have not changed either */
    int taken = 0, i;
    best.changed = 0;
    for (i = 0; i < 4; i++) {
        const int dx = i == 1 ? -1 : i == 2, dy = i == 0 ? -1 : i == 3;
        const mosaic_flow__dis_vector *v = from + dy * level->columns + dx;
        if (column + dx < 0 || column + dx >= level->columns || row + dy < 0 || row + dy >= level->rows) continue;
        if (v->x - best.x < MOSAIC_FLOW__DIS_ALIKE && best.x - v->x < MOSAIC_FLOW__DIS_ALIKE && v->y - best.y < MOSAIC_FLOW__DIS_ALIKE &&
            best.y - v->y < MOSAIC_FLOW__DIS_ALIKE)
            continue;
        if (tried && !v->changed && !best.changed) continue;
        if (!taken) MOSAIC_FLOW__NAME(dis_take)
        (level, way->from, mosaic_flow__dis_place(column, level->width), mosaic_flow__dis_place(row, level->height), &patch);
        taken = 1;
        MOSAIC_FLOW__NAME(dis_try)(level, other, &patch, v->x, v->y, &best, step);
    }
    if (taken) MOSAIC_FLOW__NAME(dis_descend)(level, other, &patch, &best, step);
    way->found[1 - pass][row * level->columns + column] = best;
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_spread)(const mosaic_flow__dis_way *way, int row, int pass)
{
    const int columns = way->dis->level[way->scale].columns;
    int column;
    for (column = 0; column < columns; column++) MOSAIC_FLOW__NAME(dis_spread_patch)(way, row, column, pass);
}

/* The median of nine: exchanges that leave it in place 4 (Paeth, Graphics Gems, 1990). */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(dis_middle)(MOSAIC_FLOW__V v[9])
{
    static const uint8_t order[19][2] = {{1, 2}, {4, 5}, {7, 8}, {0, 1}, {3, 4}, {6, 7}, {1, 2}, {4, 5}, {7, 8}, {0, 3},
                                         {5, 8}, {4, 7}, {3, 6}, {1, 4}, {2, 5}, {4, 7}, {4, 2}, {6, 4}, {4, 2}};
    int i;
    for (i = 0; i < 19; i++) {
        const MOSAIC_FLOW__V a = v[order[i][0]], b = v[order[i][1]];
        v[order[i][0]] = MOSAIC_FLOW__NAME(select)(a, b, a, b);
        v[order[i][1]] = MOSAIC_FLOW__NAME(select)(a, b, b, a);
    }
    return v[4];
}

/* Medians of 3 x 3 vectors, each component for itself, from found[0] to found[1]; beyond the border the nearest patch counts. Numbers of this size
   are exact as float32. */
MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_smooth)(const mosaic_flow__dis_way *way)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const int columns = level->columns, rows = level->rows;
    int row, x, i, k;
    for (row = -1; row <= rows; row++) {
        const mosaic_flow__dis_vector *v = way->found[0] + mosaic_flow__dis_clamp(row, 0, rows - 1) * columns;
        float *to[2];
        for (k = 0; k < 2; k++) to[k] = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, row);
        for (x = -1; x <= columns; x++) {
            to[0][x] = (float)v[mosaic_flow__dis_clamp(x, 0, columns - 1)].x;
            to[1][x] = (float)v[mosaic_flow__dis_clamp(x, 0, columns - 1)].y;
        }
    }
    for (row = 0; row < rows; row++)
        for (k = 0; k < 2; k++)
            for (x = 0; x < columns; x += MOSAIC_FLOW__LANES) {
                MOSAIC_FLOW__V v[9];
                float middle[MOSAIC_FLOW__LANES];
                for (i = 0; i < 9; i++)
                    v[i] = MOSAIC_FLOW__NAME(load)(mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, row + i / 3 - 1) + x + i % 3 - 1);
                MOSAIC_FLOW__NAME(store)(middle, MOSAIC_FLOW__NAME(dis_middle)(v));
                for (i = 0; i < MOSAIC_FLOW__LANES && x + i < columns; i++) {
                    mosaic_flow__dis_vector *to = way->found[1] + row * columns + x + i;
                    if (k == 0)
                        to->x = (int32_t)middle[i];
                    else
                        to->y = (int32_t)middle[i];
                }
            }
}

/* ---- from patches to a field ---- */

/* The weight of a patch in one of its pixels: 1 / difference (grey levels). */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__F MOSAIC_FLOW__NAME(dis_weight)(int difference)
{
    const int d = (difference < 0 ? -difference : difference) >> 4;
    return (MOSAIC_FLOW__F)1.0f / (MOSAIC_FLOW__F)(d > 1 ? d : 1);
}

/* What the sums in a pixel come to. 1e-6: beyond the last pixel there is no weight. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(dis_share)(MOSAIC_FLOW__V sum, MOSAIC_FLOW__V weights)
{
    return sum / MOSAIC_FLOW__NAME(dis_within)(weights, 1e-6f, 1024);
}

/* Adds a patch's vector (px) to the sums of its pixels. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_add)(const int16_t difference[64], float fx, float fy, float *u, float *v, float *weights,
                                                    ptrdiff_t plane)
{
    int i;
#if MOSAIC_FLOW__LANES >= 8
    for (i = 0; i < 8; i++, u += plane, v += plane, weights += plane) {
        const __m128i d = _mm_srli_epi16(_mm_abs_epi16(_mm_loadu_si128((const __m128i *)(const void *)(difference + 8 * i))), 4);
        const __m256 one = _mm256_set1_ps(1), k = _mm256_div_ps(one, _mm256_max_ps(_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(d)), one));
        _mm256_storeu_ps(u, _mm256_add_ps(_mm256_loadu_ps(u), _mm256_mul_ps(k, _mm256_set1_ps(fx))));
        _mm256_storeu_ps(v, _mm256_add_ps(_mm256_loadu_ps(v), _mm256_mul_ps(k, _mm256_set1_ps(fy))));
        _mm256_storeu_ps(weights, _mm256_add_ps(_mm256_loadu_ps(weights), k));
    }
#else
    for (i = 0; i < 64; i++) {
        const ptrdiff_t p = i / 8 * plane + i % 8;
        const float k = (float)MOSAIC_FLOW__NAME(dis_weight)(difference[i]);
        u[p] += k * fx;
        v[p] += k * fy;
        weights[p] += k;
    }
#endif
}

/* Each pixel's vector: the mean over the patches that cover it. */
MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_blend)(const mosaic_flow__dis_way *way)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const mosaic_flow__dis_vector *found = way->found[way->dis->median];
    const int height = level->height < 8 ? 8 : level->height;
    int row, column, x, y, i;
    memset(mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U, level, 0), 0, (size_t)level->plane * (size_t)height * sizeof(float));
    memset(mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_V, level, 0), 0, (size_t)level->plane * (size_t)height * sizeof(float));
    memset(mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_GREY, level, 0), 0, (size_t)level->plane * (size_t)height * sizeof(float));
    for (row = 0; row < level->rows; row++)
        for (column = 0; column < level->columns; column++, found++) {
            MOSAIC_FLOW__NAME(dis_patch) patch;
            int16_t difference[64];
            int32_t at[2];
            at[0] = found->x;
            at[1] = found->y;
            patch.x = mosaic_flow__dis_place(column, level->width);
            patch.y = mosaic_flow__dis_place(row, level->height);
            MOSAIC_FLOW__NAME(dis_greys)(level->pixels[way->from] + patch.y * level->stride + patch.x, level->stride, patch.grey);
            MOSAIC_FLOW__NAME(dis_differ)(level, 1 - way->from, &patch, at, difference);
            MOSAIC_FLOW__NAME(dis_add)
            (difference, (float)at[0] * (1.0f / 64), (float)at[1] * (1.0f / 64),
             mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U, level, patch.y) + patch.x,
             mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_V, level, patch.y) + patch.x,
             mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_GREY, level, patch.y) + patch.x, level->plane);
        }
    for (y = 0; y < level->height; y++)
        for (i = 0; i < 2; i++) {
            float *sum = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + i, level, y);
            const float *weights = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_GREY, level, y);
            for (x = 0; x < level->width; x += MOSAIC_FLOW__LANES) MOSAIC_FLOW__NAME(store)
            (sum + x, MOSAIC_FLOW__NAME(dis_share)(MOSAIC_FLOW__NAME(load)(sum + x), MOSAIC_FLOW__NAME(load)(weights + x)));
        }
}

#endif

/* ---- refinement, on planes split by colour ---- */

/* 1 / sqrt(v) to 5e-6 of it, v positive: two steps of Newton from the logarithm that the bits of a float32 nearly are. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(dis_root)(MOSAIC_FLOW__V v)
{
    const MOSAIC_FLOW__V half = v * 0.5f;
    MOSAIC_FLOW__V y = MOSAIC_FLOW__NAME(from_bits)(0x5f3759df - (MOSAIC_FLOW__NAME(bits)(v) >> 1));
    y = y * (1.5f - half * (y * y));
    return y * (1.5f - half * (y * y));
}

/* Some pixels of a row of the second picture, brought back by the field, u and v: `grey`, their mean with the first; and their difference from it. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_warp_at)(const mosaic_flow__dis_way *way, int y, int odd, int x, MOSAIC_FLOW__V column,
                                                        MOSAIC_FLOW__V u, MOSAIC_FLOW__V v, MOSAIC_FLOW__V *grey, MOSAIC_FLOW__V *change)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const uint8_t *first = level->pixels[way->from] + y * level->stride, *second = level->pixels[1 - way->from];
    /* Counted from 8 pixels outside, where truncation is the floor. */
    const MOSAIC_FLOW__V px = MOSAIC_FLOW__NAME(dis_within)(column + (float)(2 * x + 8) + u, 0, (float)(level->width + 15));
    const MOSAIC_FLOW__V py = MOSAIC_FLOW__NAME(dis_within)((float)(y + 8) + v, 0, (float)(level->height + 15));
    const MOSAIC_FLOW__I ix = MOSAIC_FLOW__NAME(dis_integer)(px), iy = MOSAIC_FLOW__NAME(dis_integer)(py);
    const MOSAIC_FLOW__V wx = px - MOSAIC_FLOW__NAME(dis_number)(ix), wy = py - MOSAIC_FLOW__NAME(dis_number)(iy);
    const MOSAIC_FLOW__I at = (iy - 8) * (int32_t)level->stride + (ix - 8);
    const MOSAIC_FLOW__I upper = MOSAIC_FLOW__NAME(dis_pair)(second, at), lower = MOSAIC_FLOW__NAME(dis_pair)(second + level->stride, at);
    const MOSAIC_FLOW__V a = MOSAIC_FLOW__NAME(dis_number)(upper & 255), b = MOSAIC_FLOW__NAME(dis_number)(upper >> 8);
    const MOSAIC_FLOW__V c = MOSAIC_FLOW__NAME(dis_number)(lower & 255), d = MOSAIC_FLOW__NAME(dis_number)(lower >> 8);
    MOSAIC_FLOW__V p, q;
    p = a + (b - a) * wx;
    q = c + (d - c) * wx;
    p = p + (q - p) * wy;
    q = MOSAIC_FLOW__NAME(dis_number)(MOSAIC_FLOW__NAME(dis_every_other)(first + 2 * x + odd));
    *grey = (p + q) * 0.5f;
    *change = p - q;
}

/* A row of that, with borders. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_warp)(const mosaic_flow__dis_way *way, int y)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const int w = level->width;
    float ramp[MOSAIC_FLOW__LANES];
    int colour, x, i;
    for (colour = 0; colour < 2; colour++) {
        const int odd = (y + colour) & 1;
        const float *u = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_FROM, level, y, colour);
        const float *v = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_V_FROM, level, y, colour);
        float *grey = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y, colour);
        float *change = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_CHANGE, level, y, colour);
        MOSAIC_FLOW__V column, g, c;
        for (i = 0; i < MOSAIC_FLOW__LANES; i++) ramp[i] = (float)(2 * i + odd);
        column = MOSAIC_FLOW__NAME(load)(ramp);
        for (x = 0; 2 * x + odd < w; x += MOSAIC_FLOW__LANES) {
            MOSAIC_FLOW__NAME(dis_warp_at)(way, y, odd, x, column, MOSAIC_FLOW__NAME(load)(u + x), MOSAIC_FLOW__NAME(load)(v + x), &g, &c);
            MOSAIC_FLOW__NAME(store)(grey + x, g);
            MOSAIC_FLOW__NAME(store)(change + x, c);
        }
    }
    for (i = 1; i <= 2; i++) {
        *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_GREY, level, -i, y) = *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_GREY, level, 0, y);
        *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_GREY, level, w - 1 + i, y) = *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_GREY, level, w - 1, y);
    }
    *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_CHANGE, level, -1, y) = *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_CHANGE, level, 0, y);
    *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_CHANGE, level, w, y) = *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_CHANGE, level, w - 1, y);
}

/* Smoothness of a row: alpha / 2 over the length of the field's gradient, between a pixel and those to its right and below; none across the border. */
typedef struct MOSAIC_FLOW__NAME(dis_slack) {
    const float *u, *v, *right_u, *right_v, *lower_u, *lower_v;
    float *east, *south;
    MOSAIC_FLOW__V below;
} MOSAIC_FLOW__NAME(dis_slack);

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__NAME(dis_slack) MOSAIC_FLOW__NAME(dis_slack_of)(const mosaic_flow__dis_way *way, int y, int colour)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const int odd = (y + colour) & 1, other = 1 - colour, last = y == level->height - 1;
    MOSAIC_FLOW__NAME(dis_slack) s;
    s.u = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_NOW, level, y, colour);
    s.v = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_V_NOW, level, y, colour);
    s.right_u = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_NOW, level, y, other) + odd;
    s.right_v = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_V_NOW, level, y, other) + odd;
    s.lower_u = last ? s.u : mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_NOW, level, y + 1, other);
    s.lower_v = last ? s.v : mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_V_NOW, level, y + 1, other);
    s.east = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_EAST, level, y, colour);
    s.south = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_SOUTH, level, y, colour);
    s.below = MOSAIC_FLOW__SET(last ? 0.0f : 1.0f);
    return s;
}

MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_slack_at)(const MOSAIC_FLOW__NAME(dis_slack) * s, int x)
{
    const MOSAIC_FLOW__V here_u = MOSAIC_FLOW__NAME(load)(s->u + x), here_v = MOSAIC_FLOW__NAME(load)(s->v + x);
    const MOSAIC_FLOW__V ux = MOSAIC_FLOW__NAME(load)(s->right_u + x) - here_u, uy = MOSAIC_FLOW__NAME(load)(s->lower_u + x) - here_u;
    const MOSAIC_FLOW__V vx = MOSAIC_FLOW__NAME(load)(s->right_v + x) - here_v, vy = MOSAIC_FLOW__NAME(load)(s->lower_v + x) - here_v;
    const MOSAIC_FLOW__V k = MOSAIC_FLOW__NAME(dis_root)(ux * ux + uy * uy + (vx * vx + vy * vy) + 1e-6f) * 10.0f;
    MOSAIC_FLOW__NAME(store)(s->east + x, k);
    MOSAIC_FLOW__NAME(store)(s->south + x, k * s->below);
}

/* Before: the field goes on beyond the right border. After: nothing crosses the left and the right one. */
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_slack_before)(const mosaic_flow__dis_way *way, int y)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const int w = level->width;
    int k;
    for (k = 0; k < 2; k++)
        *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_U_NOW + k, level, w, y) = *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_U_NOW + k, level, w - 1, y);
}
MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_slack_after)(const mosaic_flow__dis_way *way, int y)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_EAST, level, -1, y) = 0;
    *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_EAST, level, level->width - 1, y) = 0;
}

MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_smoothness)(const mosaic_flow__dis_way *way, int y)
{
    const int w = way->dis->level[way->scale].width;
    int colour, x;
    MOSAIC_FLOW__NAME(dis_slack_before)(way, y);
    for (colour = 0; colour < 2; colour++) {
        const MOSAIC_FLOW__NAME(dis_slack) s = MOSAIC_FLOW__NAME(dis_slack_of)(way, y, colour);
        for (x = 0; 2 * x + ((y + colour) & 1) < w; x += MOSAIC_FLOW__LANES) MOSAIC_FLOW__NAME(dis_slack_at)(&s, x);
    }
    MOSAIC_FLOW__NAME(dis_slack_after)(way, y);
}

/* A row of the linear system of one round. At each pixel, for the field u, v:
       (a11 + all) u + a12 v = b1 + sum of smoothness times the neighbour's u, and the same for v; all is the sum of the four smoothnesses.
   Kept are a12, b1, b2 and the relaxation over (a11 + all) and (a22 + all). */
typedef struct MOSAIC_FLOW__NAME(dis_equations) {
    const float *u, *v, *from_u, *from_v;
    /* Grey: this row, the one above and below, those above and below them; _o of the other colour. */
    const float *g, *g_o, *up, *up_o, *down, *down_o, *up_2, *down_2, *t, *t_o, *t_up, *t_down, *east, *west, *south, *north;
    float *to12, *to1, *to2, *r1, *r2;
    int right, left;
} MOSAIC_FLOW__NAME(dis_equations);

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__NAME(dis_equations) MOSAIC_FLOW__NAME(dis_equations_of)(const mosaic_flow__dis_way *way, int y, int colour)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const int odd = (y + colour) & 1, other = 1 - colour;
    MOSAIC_FLOW__NAME(dis_equations) s;
    s.right = odd;
    s.left = odd - 1;
    s.u = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_NOW, level, y, colour);
    s.v = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_V_NOW, level, y, colour);
    s.from_u = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_FROM, level, y, colour);
    s.from_v = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_V_FROM, level, y, colour);
    s.g = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y, colour);
    s.g_o = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y, other);
    s.up = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y - 1, colour);
    s.up_o = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y - 1, other);
    s.down = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y + 1, colour);
    s.down_o = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y + 1, other);
    s.up_2 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y - 2, colour);
    s.down_2 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_GREY, level, y + 2, colour);
    s.t = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_CHANGE, level, y, colour);
    s.t_o = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_CHANGE, level, y, other);
    s.t_up = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_CHANGE, level, y - 1, other);
    s.t_down = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_CHANGE, level, y + 1, other);
    s.east = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_EAST, level, y, colour);
    s.west = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_EAST, level, y, other) + s.left;
    s.south = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_SOUTH, level, y, colour);
    s.north = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_SOUTH, level, y - 1, other);
    s.to12 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_A12, level, y, colour);
    s.to1 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_B1, level, y, colour);
    s.to2 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_B2, level, y, colour);
    s.r1 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_R1, level, y, colour);
    s.r2 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_R2, level, y, colour);
    return s;
}

MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_equations_at)(const MOSAIC_FLOW__NAME(dis_equations) * s, int x)
{
    const MOSAIC_FLOW__V middle = MOSAIC_FLOW__NAME(load)(s->g + x) * 2.0f;
    const MOSAIC_FLOW__V gx = (MOSAIC_FLOW__NAME(load)(s->g_o + x + s->right) - MOSAIC_FLOW__NAME(load)(s->g_o + x + s->left)) * 0.5f;
    const MOSAIC_FLOW__V gy = (MOSAIC_FLOW__NAME(load)(s->down_o + x) - MOSAIC_FLOW__NAME(load)(s->up_o + x)) * 0.5f;
    const MOSAIC_FLOW__V gxx = (MOSAIC_FLOW__NAME(load)(s->g + x + 1) - middle + MOSAIC_FLOW__NAME(load)(s->g + x - 1)) * 0.25f;
    const MOSAIC_FLOW__V gyy = (MOSAIC_FLOW__NAME(load)(s->down_2 + x) - middle + MOSAIC_FLOW__NAME(load)(s->up_2 + x)) * 0.25f;
    const MOSAIC_FLOW__V gxy = ((MOSAIC_FLOW__NAME(load)(s->down + x + s->right) - MOSAIC_FLOW__NAME(load)(s->down + x + s->left)) -
                                (MOSAIC_FLOW__NAME(load)(s->up + x + s->right) - MOSAIC_FLOW__NAME(load)(s->up + x + s->left))) *
                               0.25f;
    const MOSAIC_FLOW__V z = MOSAIC_FLOW__NAME(load)(s->t + x);
    const MOSAIC_FLOW__V zx = (MOSAIC_FLOW__NAME(load)(s->t_o + x + s->right) - MOSAIC_FLOW__NAME(load)(s->t_o + x + s->left)) * 0.5f;
    const MOSAIC_FLOW__V zy = (MOSAIC_FLOW__NAME(load)(s->t_down + x) - MOSAIC_FLOW__NAME(load)(s->t_up + x)) * 0.5f;
    const MOSAIC_FLOW__V u0 = MOSAIC_FLOW__NAME(load)(s->from_u + x), v0 = MOSAIC_FLOW__NAME(load)(s->from_v + x);
    const MOSAIC_FLOW__V du = MOSAIC_FLOW__NAME(load)(s->u + x) - u0, dv = MOSAIC_FLOW__NAME(load)(s->v + x) - v0;
    /* Each constraint is divided by the squared gradient of what it compares. */
    const MOSAIC_FLOW__V n = gx * gx + gy * gy + 0.01f, nx = gxx * gxx + gxy * gxy + 0.01f, ny = gyy * gyy + gxy * gxy + 0.01f;
    const MOSAIC_FLOW__V inverse = 1.0f / (n * nx * ny), in = inverse * (nx * ny), inx = inverse * (n * ny), iny = inverse * (n * nx);
    const MOSAIC_FLOW__V d = z + gx * du + gy * dv, dx = zx + gxx * du + gxy * dv, dy = zy + gxy * du + gyy * dv;
    const MOSAIC_FLOW__V grey = MOSAIC_FLOW__NAME(dis_root)(d * d * in + 1e-6f) * (in * 2.5f);
    const MOSAIC_FLOW__V slope = MOSAIC_FLOW__NAME(dis_root)(dx * dx * inx + dy * dy * iny + 1e-6f) * 5.0f, kx = slope * inx, ky = slope * iny;
    const MOSAIC_FLOW__V a11 = grey * (gx * gx) + kx * (gxx * gxx) + ky * (gxy * gxy) + 1e-3f;
    const MOSAIC_FLOW__V a22 = grey * (gy * gy) + kx * (gxy * gxy) + ky * (gyy * gyy) + 1e-3f;
    const MOSAIC_FLOW__V a12 = grey * (gx * gy) + kx * (gxx * gxy) + ky * (gxy * gyy);
    const MOSAIC_FLOW__V b1 = grey * (gx * z) + kx * (gxx * zx) + ky * (gxy * zy), b2 = grey * (gy * z) + kx * (gxy * zx) + ky * (gyy * zy);
    const MOSAIC_FLOW__V all = (MOSAIC_FLOW__NAME(load)(s->east + x) + MOSAIC_FLOW__NAME(load)(s->west + x)) +
                               (MOSAIC_FLOW__NAME(load)(s->south + x) + MOSAIC_FLOW__NAME(load)(s->north + x));
    MOSAIC_FLOW__NAME(store)(s->to12 + x, a12);
    MOSAIC_FLOW__NAME(store)(s->to1 + x, a11 * u0 + a12 * v0 - b1);
    MOSAIC_FLOW__NAME(store)(s->to2 + x, a12 * u0 + a22 * v0 - b2);
    MOSAIC_FLOW__NAME(store)(s->r1 + x, 1.8f / (a11 + all));
    MOSAIC_FLOW__NAME(store)(s->r2 + x, 1.8f / (a22 + all));
}

MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_system)(const mosaic_flow__dis_way *way, int y)
{
    const int w = way->dis->level[way->scale].width;
    int colour, x;
    for (colour = 0; colour < 2; colour++) {
        const MOSAIC_FLOW__NAME(dis_equations) s = MOSAIC_FLOW__NAME(dis_equations_of)(way, y, colour);
        for (x = 0; 2 * x + ((y + colour) & 1) < w; x += MOSAIC_FLOW__LANES) MOSAIC_FLOW__NAME(dis_equations_at)(&s, x);
    }
}

/* Relaxes the pixels of one colour of a row. */
typedef struct MOSAIC_FLOW__NAME(dis_sweep) {
    float *u, *v;
    const float *u_o, *u_up, *u_down, *v_o, *v_up, *v_down, *east, *west, *south, *north, *a12, *b1, *b2, *r1, *r2;
    int right, left;
} MOSAIC_FLOW__NAME(dis_sweep);

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__NAME(dis_sweep) MOSAIC_FLOW__NAME(dis_sweep_of)(const mosaic_flow__dis_way *way, int y, int colour)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const int odd = (y + colour) & 1, other = 1 - colour;
    MOSAIC_FLOW__NAME(dis_sweep) s;
    s.right = odd;
    s.left = odd - 1;
    s.u = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_NOW, level, y, colour);
    s.v = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_V_NOW, level, y, colour);
    s.u_o = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_U_NOW, level, y, other);
    s.u_up = s.u_o - level->plane;
    s.u_down = s.u_o + level->plane;
    s.v_o = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_V_NOW, level, y, other);
    s.v_up = s.v_o - level->plane;
    s.v_down = s.v_o + level->plane;
    s.east = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_EAST, level, y, colour);
    s.west = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_EAST, level, y, other) + s.left;
    s.south = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_SOUTH, level, y, colour);
    s.north = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_SOUTH, level, y - 1, other);
    s.a12 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_A12, level, y, colour);
    s.b1 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_B1, level, y, colour);
    s.b2 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_B2, level, y, colour);
    s.r1 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_R1, level, y, colour);
    s.r2 = mosaic_flow__dis_half(way, MOSAIC_FLOW__DIS_R2, level, y, colour);
    return s;
}

MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_sweep_at)(const MOSAIC_FLOW__NAME(dis_sweep) * p, int x)
{
    const MOSAIC_FLOW__V e = MOSAIC_FLOW__NAME(load)(p->east + x), w = MOSAIC_FLOW__NAME(load)(p->west + x);
    const MOSAIC_FLOW__V s = MOSAIC_FLOW__NAME(load)(p->south + x), n = MOSAIC_FLOW__NAME(load)(p->north + x),
                         cross = MOSAIC_FLOW__NAME(load)(p->a12 + x);
    const MOSAIC_FLOW__V old_u = MOSAIC_FLOW__NAME(load)(p->u + x), old_v = MOSAIC_FLOW__NAME(load)(p->v + x);
    const MOSAIC_FLOW__V around_u = (e * MOSAIC_FLOW__NAME(load)(p->u_o + x + p->right) + w * MOSAIC_FLOW__NAME(load)(p->u_o + x + p->left)) +
                                    (s * MOSAIC_FLOW__NAME(load)(p->u_down + x) + n * MOSAIC_FLOW__NAME(load)(p->u_up + x));
    const MOSAIC_FLOW__V around_v = (e * MOSAIC_FLOW__NAME(load)(p->v_o + x + p->right) + w * MOSAIC_FLOW__NAME(load)(p->v_o + x + p->left)) +
                                    (s * MOSAIC_FLOW__NAME(load)(p->v_down + x) + n * MOSAIC_FLOW__NAME(load)(p->v_up + x));
    const MOSAIC_FLOW__V new_u = (MOSAIC_FLOW__NAME(load)(p->b1 + x) + around_u - cross * old_v) * MOSAIC_FLOW__NAME(load)(p->r1 + x) - old_u * 0.8f;
    const MOSAIC_FLOW__V new_v = (MOSAIC_FLOW__NAME(load)(p->b2 + x) + around_v - cross * new_u) * MOSAIC_FLOW__NAME(load)(p->r2 + x) - old_v * 0.8f;
    MOSAIC_FLOW__NAME(store)(p->u + x, new_u);
    MOSAIC_FLOW__NAME(store)(p->v + x, new_v);
}

MOSAIC_FLOW__KERNEL void MOSAIC_FLOW__NAME(dis_relax)(const mosaic_flow__dis_way *way, int y, int colour)
{
    const int w = way->dis->level[way->scale].width;
    const MOSAIC_FLOW__NAME(dis_sweep) s = MOSAIC_FLOW__NAME(dis_sweep_of)(way, y, colour);
    int x;
    for (x = 0; 2 * x + ((y + colour) & 1) < w; x += MOSAIC_FLOW__LANES) MOSAIC_FLOW__NAME(dis_sweep_at)(&s, x);
}

/* The rounds. Sweep k of a round follows k rows behind the system's rows: each row finds above and below it what sweeping the whole picture once
   after the other would have left there, while a few rows stay in the cache. */
MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_refine)(const mosaic_flow__dis_way *way)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    const int h = level->height, sweeps = 2 * MOSAIC_FLOW__DIS_SWEEPS;
    int y, k, round;
    mosaic_flow__dis_split(way);
    for (y = 0; y < h; y++) MOSAIC_FLOW__NAME(dis_warp)(way, y);
    for (k = 1; k <= 2; k++) {
        mosaic_flow__dis_copy_row(way, MOSAIC_FLOW__DIS_GREY, 0, -k);
        mosaic_flow__dis_copy_row(way, MOSAIC_FLOW__DIS_GREY, h - 1, h - 1 + k);
    }
    mosaic_flow__dis_copy_row(way, MOSAIC_FLOW__DIS_CHANGE, 0, -1);
    mosaic_flow__dis_copy_row(way, MOSAIC_FLOW__DIS_CHANGE, h - 1, h);
    memset(mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_SOUTH, level, -1) - MOSAIC_FLOW__DIS_PAD, 0, (size_t)level->plane * sizeof(float));
    for (round = 0; round < way->dis->rounds; round++)
        for (y = 0; y < h + sweeps; y++) {
            if (y < h) {
                MOSAIC_FLOW__NAME(dis_smoothness)(way, y);
                MOSAIC_FLOW__NAME(dis_system)(way, y);
            }
            for (k = 0; k < sweeps; k++)
                if (y - k >= 0 && y - k < h) MOSAIC_FLOW__NAME(dis_relax)(way, y - k, k & 1);
        }
    mosaic_flow__dis_join(way);
}

#if MOSAIC_FLOW__LANES != 16
/* Nearest whole numbers, halves away from zero. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__I MOSAIC_FLOW__NAME(dis_nearest)(MOSAIC_FLOW__V v)
{
    return MOSAIC_FLOW__NAME(dis_integer)(v + MOSAIC_FLOW__NAME(select)(v, MOSAIC_FLOW__SET(0), MOSAIC_FLOW__SET(-0.5f), MOSAIC_FLOW__SET(0.5f)));
}

/* A vector in 1/64 px of the next finer level: its patches begin with these. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(dis_raised)(MOSAIC_FLOW__V v)
{
    return MOSAIC_FLOW__NAME(dis_number)(MOSAIC_FLOW__NAME(dis_nearest)(MOSAIC_FLOW__NAME(dis_within)(v * 128.0f, -1e9f, 1e9f)));
}

MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_raise)(const mosaic_flow__dis_way *way)
{
    const mosaic_flow__dis_level *level = &way->dis->level[way->scale];
    int x, y, k;
    for (y = 0; y < level->height; y++)
        for (k = 0; k < 2; k++) {
            float *p = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, y);
            for (x = 0; x < level->width; x += MOSAIC_FLOW__LANES)
                MOSAIC_FLOW__NAME(store)(p + x, MOSAIC_FLOW__NAME(dis_raised)(MOSAIC_FLOW__NAME(load)(p + x)));
        }
}

/* A quarter of the way from one number to another; what is written of one, 1/64 px or px. */
MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(dis_quarter)(MOSAIC_FLOW__V a, MOSAIC_FLOW__V b) { return a * 0.75f + b * 0.25f; }

MOSAIC_FLOW__KERNEL MOSAIC_FLOW__V MOSAIC_FLOW__NAME(dis_scaled)(MOSAIC_FLOW__V v, int to_vectors)
{
    return to_vectors ? MOSAIC_FLOW__NAME(dis_within)(v * 64.0f, -32767.0f, 32767.0f) : MOSAIC_FLOW__NAME(dis_within)(v * 1.0f, -1e9f, 1e9f);
}

/* Writes a row of the result: of a field of half the size, or of the size itself. */
MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_write)(const mosaic_flow__dis_way *way, int y)
{
    const mosaic_flow__dis *dis = way->dis;
    const mosaic_flow__dis_level *level = &dis->level[way->scale];
    const int half = way->scale == 1, w = level->width;
    /* Pixel y of the field lies at y / 2 - 1/4 of the half size. */
    const int y0 = half ? y / 2 : y, y1 = half ? mosaic_flow__dis_clamp(y / 2 + (y & 1 ? 1 : -1), 0, level->height - 1) : y;
    float *row[2];
    int x, k, i;
    for (k = 0; k < 2; k++) {
        const float *p = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, y0),
                    *q = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, y1);
        row[k] = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U_DOWN + k, level, 0); /* done with */
        for (x = 0; x < w; x += MOSAIC_FLOW__LANES) {
            MOSAIC_FLOW__V v = MOSAIC_FLOW__NAME(load)(p + x);
            if (half) v = MOSAIC_FLOW__NAME(dis_quarter)(v, MOSAIC_FLOW__NAME(load)(q + x)) * 2.0f;
            MOSAIC_FLOW__NAME(store)(row[k] + x, v);
        }
        row[k][-1] = row[k][0];
        row[k][w] = row[k][w - 1];
    }
    for (i = 0; i <= half; i++)
        for (x = 0; x < w; x += MOSAIC_FLOW__LANES) {
            float ready[2][MOSAIC_FLOW__LANES];
            int32_t whole[2][MOSAIC_FLOW__LANES];
            int count = (dis->width - i + half) >> half;
            for (k = 0; k < 2; k++) {
                MOSAIC_FLOW__V v = MOSAIC_FLOW__NAME(load)(row[k] + x);
                if (half) v = MOSAIC_FLOW__NAME(dis_quarter)(v, MOSAIC_FLOW__NAME(load)(row[k] + x + (i ? 1 : -1)));
                v = MOSAIC_FLOW__NAME(dis_scaled)(v, way->vectors != 0);
                if (way->vectors) {
                    const MOSAIC_FLOW__I rounded = MOSAIC_FLOW__NAME(dis_nearest)(v);
                    memcpy(whole[k], &rounded, sizeof rounded);
                } else {
                    MOSAIC_FLOW__NAME(store)(ready[k], v + 0.0f); /* no negative zeros */
                }
            }
            count = count - x < MOSAIC_FLOW__LANES ? count - x : MOSAIC_FLOW__LANES;
            for (k = 0; k < count; k++) {
                const size_t to = ((size_t)y * (size_t)dis->width + (size_t)((x + k) << half) + (size_t)i) * 2;
                if (way->vectors) {
                    way->vectors[to] = (int16_t)whole[0][k];
                    way->vectors[to + 1] = (int16_t)whole[1][k];
                } else {
                    way->out[to] = ready[0][k];
                    way->out[to + 1] = ready[1][k];
                }
            }
        }
}

/* ---- pictures ---- */

/* Grey of packed RGB. */
MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_grey)(const uint8_t *rgb, uint8_t *grey, int count)
{
    int x = 0;
#if MOSAIC_FLOW__LANES >= 8
    /* Sixteen pixels are three vectors; each channel has its sixteenth part of a byte pattern in each of them. */
    const __m128i red[3] = {_mm_setr_epi8(0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
                            _mm_setr_epi8(-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, -1, -1, -1, -1, -1),
                            _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 4, 7, 10, 13)};
    const __m128i green[3] = {_mm_setr_epi8(1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
                              _mm_setr_epi8(-1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1),
                              _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14)};
    const __m128i blue[3] = {_mm_setr_epi8(2, 5, 8, 11, 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
                             _mm_setr_epi8(-1, -1, -1, -1, -1, 1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1),
                             _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15)};
    for (; x + 16 <= count; x += 16, rgb += 48) {
        __m128i r = _mm_setzero_si128(), g = r, b = r;
        __m256i sum;
        int i;
        for (i = 0; i < 3; i++) {
            const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(rgb + 16 * i));
            r = _mm_or_si128(r, _mm_shuffle_epi8(v, red[i]));
            g = _mm_or_si128(g, _mm_shuffle_epi8(v, green[i]));
            b = _mm_or_si128(b, _mm_shuffle_epi8(v, blue[i]));
        }
        sum = _mm256_add_epi16(_mm256_add_epi16(_mm256_mullo_epi16(_mm256_cvtepu8_epi16(r), _mm256_set1_epi16(77)),
                                                _mm256_mullo_epi16(_mm256_cvtepu8_epi16(g), _mm256_set1_epi16(150))),
                               _mm256_add_epi16(_mm256_mullo_epi16(_mm256_cvtepu8_epi16(b), _mm256_set1_epi16(29)), _mm256_set1_epi16(128)));
        sum = _mm256_srli_epi16(sum, 8);
        _mm_storeu_si128((__m128i *)(void *)(grey + x), _mm_packus_epi16(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)));
    }
#endif
    for (; x < count; x++, rgb += 3) grey[x] = mosaic_flow__dis_luma(rgb);
}

/* Means of 2 x 2 pixels. */
MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_halve)(const uint8_t *p, ptrdiff_t stride, uint8_t *to, int count)
{
    int x = 0;
#if MOSAIC_FLOW__LANES >= 8
    const __m128i ones = _mm_set1_epi8(1);
    for (; x + 8 <= count; x += 8) {
        const __m128i upper = _mm_maddubs_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p + 2 * x)), ones);
        const __m128i lower = _mm_maddubs_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p + stride + 2 * x)), ones);
        const __m128i mean = _mm_srli_epi16(_mm_add_epi16(_mm_add_epi16(upper, lower), _mm_set1_epi16(2)), 2);
        _mm_storel_epi64((__m128i *)(void *)(to + x), _mm_packus_epi16(mean, mean));
    }
#endif
    for (; x < count; x++) to[x] = mosaic_flow__dis_mean(p + 2 * x, stride);
}

/* Slopes of the rows and columns that patches read. */
MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(dis_slopes)(const mosaic_flow__dis_level *level, int slot)
{
    const int w = level->width < 8 ? 8 : level->width, h = level->height < 8 ? 8 : level->height;
    const ptrdiff_t s = level->stride;
    int x, y;
    for (y = 0; y < h; y++) {
        const uint8_t *p = level->pixels[slot] + y * s;
        int16_t *across = level->slope[slot][0] + y * s, *down = level->slope[slot][1] + y * s;
        x = 0;
#if MOSAIC_FLOW__LANES >= 8
        for (; x < w; x += 16, p += 16) { /* rows of slopes are as long as those of pixels */
            __m256i n[9], two = _mm256_set1_epi16(2), a, d;
            int i;
            for (i = 0; i < 9; i++) n[i] = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p + (i / 3 - 1) * s + i % 3 - 1)));
            a = _mm256_sub_epi16(n[5], n[3]);
            d = _mm256_sub_epi16(n[7], n[1]);
            a = _mm256_add_epi16(_mm256_add_epi16(a, a), _mm256_add_epi16(_mm256_sub_epi16(n[2], n[0]), _mm256_sub_epi16(n[8], n[6])));
            d = _mm256_add_epi16(_mm256_add_epi16(d, d), _mm256_add_epi16(_mm256_sub_epi16(n[6], n[0]), _mm256_sub_epi16(n[8], n[2])));
            _mm256_storeu_si256((__m256i *)(void *)(across + x), _mm256_srai_epi16(_mm256_add_epi16(a, two), 2));
            _mm256_storeu_si256((__m256i *)(void *)(down + x), _mm256_srai_epi16(_mm256_add_epi16(d, two), 2));
        }
#endif
        for (; x < w; x++, p++) mosaic_flow__dis_slope(p, s, across + x, down + x);
    }
}

/* sums[i] += weight * p[i] */
MOSAIC_FLOW__ISA static void MOSAIC_FLOW__NAME(fit_row)(const uint8_t *p, uint32_t weight, uint32_t *sums, int count)
{
    int i = 0;
#if MOSAIC_FLOW__LANES >= 8
    const __m256i w = _mm256_set1_epi32((int)weight);
    for (; i + 8 <= count; i += 8) {
        const __m256i v = _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p + i))), w);
        _mm256_storeu_si256((__m256i *)(void *)(sums + i), _mm256_add_epi32(v, _mm256_loadu_si256((const __m256i *)(const void *)(sums + i))));
    }
#endif
    for (; i < count; i++) sums[i] += weight * p[i];
}

#endif

static const mosaic_flow__kernels MOSAIC_FLOW__NAME(kernels) = {MOSAIC_FLOW__LANES,
                                                                MOSAIC_FLOW__NAME(conv),
                                                                MOSAIC_FLOW__NAME(sums),
                                                                MOSAIC_FLOW__NAME(normalise),
                                                                MOSAIC_FLOW__NAME(join),
                                                                MOSAIC_FLOW__NAME(tanh),
                                                                MOSAIC_FLOW__NAME(relu),
                                                                MOSAIC_FLOW__NAME(gates),
                                                                MOSAIC_FLOW__NAME(update),
                                                                MOSAIC_FLOW__LOOK,
                                                                MOSAIC_FLOW__NAME(convex),
                                                                MOSAIC_FLOW__SHARED(dis_slopes),
                                                                MOSAIC_FLOW__SHARED(dis_search),
                                                                MOSAIC_FLOW__SHARED(dis_spread),
                                                                MOSAIC_FLOW__SHARED(dis_blend),
                                                                MOSAIC_FLOW__NAME(dis_refine),
                                                                MOSAIC_FLOW__SHARED(dis_raise),
                                                                MOSAIC_FLOW__SHARED(dis_write),
                                                                MOSAIC_FLOW__SHARED(dis_grey),
                                                                MOSAIC_FLOW__SHARED(dis_halve),
                                                                MOSAIC_FLOW__SHARED(dis_smooth),
                                                                MOSAIC_FLOW__SHARED(fit_row)};

#undef MOSAIC_FLOW__PASTE2
#undef MOSAIC_FLOW__PASTE
#undef MOSAIC_FLOW__NAME
#undef MOSAIC_FLOW__SHARED
#undef MOSAIC_FLOW__V
#undef MOSAIC_FLOW__F
#undef MOSAIC_FLOW__I
#undef MOSAIC_FLOW__KERNEL
#undef MOSAIC_FLOW__PIXELS
#undef MOSAIC_FLOW__LOOK
#undef MOSAIC_FLOW__TILES
#undef MOSAIC_FLOW__FMA
#undef MOSAIC_FLOW__SET
#undef MOSAIC_FLOW__WIDEN
#undef MOSAIC_FLOW__ISA
#undef MOSAIC_FLOW__SUFFIX
#undef MOSAIC_FLOW__LANES

#endif /* MOSAIC_FLOW__LANES */

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
