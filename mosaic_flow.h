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

   MEMORY         Everything is taken at open, nothing later.
   THREADS        A mosaic_flow is used by one thread at a time; different ones are independent, and may share weights. It starts no threads:
                  options.run hands its jobs to yours.
   DETERMINISM    The same frames, options and weights give the same bytes on every machine, with every compiler, instruction set and number of
                  threads.
   ACCURACY AND LIMITS
                  Vectors of a field reach 511 px.
   LAST CHANGES   0.2.0  RAFT and its weights
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

/* The motion between two consecutive frames, the older one `previous` and the newer one `current`. A field covers the whole frame;
   it may have fewer pixels than the frame has. Vectors are pairs dx, dy in 1/64 of the field's own pixels, x to the right, y down. */
typedef struct mosaic_flow_field {
    int width, height;       /* pixels of the field */
    size_t stride;           /* bytes from one row of vectors to the next, at least 4 * width, a multiple of 2 */
    const int16_t *forward;  /* at the pixels of `previous`: where the content went; null when not known */
    const int16_t *backward; /* at the pixels of `current`: where the content came from; null when not known */
} mosaic_flow_field;

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

/* The flat file: all numbers little-endian.
       0   8 bytes "MOSAICFW"
       8   uint32 version, 1
       12  uint32 model: 0 small, 1 large
       16  uint64 parameters: how many float32 follow the header
       24  uint64 calibration: how many int32 follow those
       32  uint64 checksum: FNV-1a (64 bits) of all bytes after the header
       40  float32 for each layer in the order of the authors' modules: weights [out][in][height][width], then biases; batch norm is folded in
           int32 the scales of the integer arithmetic; none: those of the header */
MOSAIC_FLOW_API size_t mosaic_flow_weights_size(const mosaic_flow_weights *weights);
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_weights_save(const mosaic_flow_weights *weights, void *bytes, size_t size);

/* ---- a stream ---- */

/* Zero everywhere means the defaults. */
typedef struct mosaic_flow_options {
    mosaic_flow_method method;
    int width, height; /* size of the field; 0 = the frame's own. Frames are reduced or enlarged to it */
    int forward_only;  /* 1: leave the backward vectors out (null), half the work */
    int simd;          /* 0 the best there is, 1 scalar, 2 AVX2, 3 AVX-512, 4 AVX-512 with VNNI; the same result */

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
    void *alloc_ctx; /* handed to MOSAIC_FLOW_MALLOC and MOSAIC_FLOW_FREE */
} mosaic_flow_options;

typedef struct mosaic_flow mosaic_flow;

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

#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC_FLOW__INLINE MOSAIC__UNUSED static inline __attribute__((always_inline))
#else
#define MOSAIC_FLOW__INLINE static inline
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
} mosaic_flow__backend;

struct mosaic_flow {
    mosaic_flow_options o; /* with the defaults filled in */
    const mosaic_flow__backend *backend;
    int frame_width, frame_height;
    int level;           /* of the kernels: 0 scalar, 1 AVX2, 2 AVX-512, 3 with VNNI */
    int streamed;        /* pushed since open or reset: 0, 1, 2 = more */
    int slot;            /* where the last pushed picture is */
    uint8_t *memory;     /* the one block */
    uint8_t *picture[2]; /* of the field's size, packed */
    mosaic_flow_field field;
    int16_t *vectors[2]; /* forward, backward */
    void *method;        /* state of the backend, in the block */
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

struct mosaic_flow_weights {
    const mosaic_flow__model *model;
    const char *format, *names;
    void *alloc_ctx;
    int tensors;
    size_t parameters;
    const float *weight[MOSAIC_FLOW__MAX_LAYERS]; /* [out][in][height][width], or null where the model has no layer */
    const float *bias[MOSAIC_FLOW__MAX_LAYERS];
    size_t calibration_count;
    int32_t *calibration; /* scales of the integer arithmetic, or null */
    float *values;        /* all weights and biases, layer by layer */
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
    memset(r->memo, 0, sizeof r->memo);
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
            r->memo[n] = r->pile[r->stack - 1];
            r->memos++;
            break;
        case 'h':
        case 'j':
            p = mosaic_flow__bytes(r, op == 'h' ? 1 : 4);
            if (!p) return MOSAIC_FLOW_ERROR_TRUNCATED;
            n = op == 'h' ? p[0] : mosaic_flow__little(p, 4);
            if (n >= MOSAIC_FLOW__MAX_VALUES || r->stack == MOSAIC_FLOW__MAX_VALUES) return MOSAIC_FLOW_ERROR_PICKLE;
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

/* An object for a model, its numbers not yet there. */
static mosaic_flow_result mosaic_flow__weights_make(const mosaic_flow__model *model, size_t calibration_count, void *alloc_ctx,
                                                    mosaic_flow_weights **weights)
{
    mosaic_flow_weights *w;
    size_t count = 0;
    float *p;
    int i;
    for (i = 0; i < model->count; i++) count += mosaic_flow__layer_size(&model->layers[i]);
    w = (mosaic_flow_weights *)MOSAIC_FLOW_MALLOC(alloc_ctx, sizeof *w + count * sizeof(float) + calibration_count * sizeof(int32_t));
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
    w->calibration = calibration_count ? (int32_t *)(void *)(w->values + count) : 0;
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
#define MOSAIC_FLOW__MAX_CALIBRATION 65536

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
    if (calibration > MOSAIC_FLOW__MAX_CALIBRATION) return MOSAIC_FLOW_ERROR_CORRUPT;
    result = mosaic_flow__weights_make(model, (size_t)calibration, alloc_ctx, &w);
    if (result != MOSAIC_FLOW_OK) return result;
    w->names = "none";
    file += MOSAIC_FLOW__FLAT_HEADER;
    size -= MOSAIC_FLOW__FLAT_HEADER;
    if (parameters != w->parameters)
        result = MOSAIC_FLOW_ERROR_CORRUPT;
    else if (size < (w->parameters + w->calibration_count) * 4)
        result = MOSAIC_FLOW_ERROR_TRUNCATED;
    else if (size != (w->parameters + w->calibration_count) * 4 || mosaic_flow__checksum(file, size) != mosaic_flow__little(file - 8, 8))
        result = MOSAIC_FLOW_ERROR_CORRUPT;
    for (i = 0; i < w->parameters && result == MOSAIC_FLOW_OK; i++) {
        w->values[i] = mosaic_flow__read_number(file + 4 * i, MOSAIC_FLOW__F32);
        if (!mosaic_flow__finite(w->values[i])) result = MOSAIC_FLOW_ERROR_NAN;
    }
    if (result != MOSAIC_FLOW_OK) {
        mosaic_flow_weights_free(w);
        return result;
    }
    for (i = 0; i < w->calibration_count; i++) {
        const uint64_t v = mosaic_flow__little(file + 4 * (w->parameters + i), 4);
        w->calibration[i] = (int32_t)((int64_t)v - (v >> 31 ? (int64_t)1 << 32 : 0));
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

/* ==== RAFT in float32 ==== */

/* ==== RAFT in integers ==== */

/* ==== DIS ==== */

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
                                                          mosaic_flow__nothing_estimate};

/* The backend of an options struct; null where this version has none. */
static const mosaic_flow__backend *mosaic_flow__choose(const mosaic_flow_options *o)
{
    if (o->method == MOSAIC_FLOW_NONE) return &mosaic_flow__nothing;
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

/* What a stream holds whatever its method, then the method's own. */
static mosaic_flow_result mosaic_flow__plan(mosaic_flow *flow, mosaic_flow__arena *arena)
{
    const size_t pixels = (size_t)flow->field.width * (size_t)flow->field.height;
    int i;
    for (i = 0; i < 2; i++) {
        flow->picture[i] = (uint8_t *)mosaic_flow__take(arena, pixels, 3);
        flow->vectors[i] = i && flow->o.forward_only ? 0 : (int16_t *)mosaic_flow__take(arena, pixels, 2 * sizeof(int16_t));
    }
    return flow->backend->plan(flow, arena);
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
    result = made->backend->start(made);
    if (result != MOSAIC_FLOW_OK) {
        mosaic_flow_close(made);
        return result;
    }
    *flow = made;
    return MOSAIC_FLOW_OK;
}

/* Along one axis, `to` pixels cover `from` source pixels: source pixel i of output pixel k has the weight of what they share, in units of
   1 / to of a source pixel; weights of one output pixel sum to `from`. */
static void mosaic_flow__shared(int k, int from, int to, int *first, int *last)
{
    *first = (int)((int64_t)k * from / to);
    *last = (int)(((int64_t)(k + 1) * from + to - 1) / to) - 1;
}

static int64_t mosaic_flow__share(int i, int k, int from, int to)
{
    int64_t low = (int64_t)i * to, high = low + to;
    if (low < (int64_t)k * from) low = (int64_t)k * from;
    if (high > (int64_t)(k + 1) * from) high = (int64_t)(k + 1) * from;
    return high - low;
}

/* Brings a frame to the size of the field: means over areas, exact and rounded once. */
static void mosaic_flow__fit(mosaic_flow *flow, const uint8_t *rgb, size_t stride, int slot)
{
    const int fw = flow->frame_width, fh = flow->frame_height, w = flow->field.width, h = flow->field.height;
    uint8_t *out = flow->picture[slot];
    int x, y, i, k, c;
    for (y = 0; y < h; y++, out += (size_t)w * 3) {
        int top, bottom;
        if (w == fw && h == fh) {
            memcpy(out, rgb + (size_t)y * stride, (size_t)w * 3);
            continue;
        }
        mosaic_flow__shared(y, fh, h, &top, &bottom);
        for (x = 0; x < w; x++) {
            const int64_t area = (int64_t)fw * fh;
            int64_t sum[3] = {0, 0, 0};
            int left, right;
            mosaic_flow__shared(x, fw, w, &left, &right);
            for (k = top; k <= bottom; k++)
                for (i = left; i <= right; i++) {
                    const int64_t weight = mosaic_flow__share(k, y, fh, h) * mosaic_flow__share(i, x, fw, w);
                    const uint8_t *p = rgb + (size_t)k * stride + (size_t)i * 3;
                    for (c = 0; c < 3; c++) sum[c] += weight * p[c];
                }
            for (c = 0; c < 3; c++) out[3 * x + c] = (uint8_t)((sum[c] + area / 2) / area);
        }
    }
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
    flow->backend->encode(flow, flow->slot);
    if (flow->streamed > 0) {
        flow->backend->estimate(flow, 1 - flow->slot, 0, 0, flow->vectors[0], 0);
        if (flow->vectors[1]) flow->backend->estimate(flow, flow->slot, 1, 0, flow->vectors[1], 0);
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
    flow->backend->encode(flow, 0);
    flow->backend->encode(flow, 1);
    flow->backend->estimate(flow, 0, -1, init, 0, out);
    mosaic__fp_leave(fp);
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
   This part of the file is read by the implementation above through MOSAIC_FLOW_FILE, once for each number of lanes. */

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
