/* mosaic_cuda.cu - v0.1.0 - stages of the mosaic headers on an NVIDIA GPU, to the very same bytes - MIT or public domain

   One file, in two parts. A C or C++ program includes it for the interface; nvcc compiles it to the object that the program is linked with:

       nvcc -O3 -fmad=false -Xcompiler=-fno-threadsafe-statics,-fno-exceptions,-fno-rtti -arch=native -c mosaic_cuda.cu
       cc -O2 -DMOSAIC_CUDA ... mosaic_cuda.o -L/usr/local/cuda/lib64 -lcudart_static -lpthread -ldl -lrt

   A COMPLETE PROGRAM is that of mosaic_temporal.h with these lines before mosaic_open (examples/util/gpu.h is what the examples do):

       mosaic_cuda *gpu;
       if (mosaic_cuda_open(NULL, &gpu, NULL) == MOSAIC_CUDA_OK) {
           options.device = mosaic_cuda_engine(gpu);
           flow_options.device = mosaic_cuda_flow(gpu);
       }

   Whatever stage the device cannot do, or can do no longer, is done on the processor: the result is the same, and mosaic_cuda_status() tells.

   WHAT IS ON THE DEVICE
     describe    what is known of the cells of a frame, together with the motion
     costs       the table of costs of all cells and photographs (int32): at once for as many cells as the frame before lets expect
     render      colour maps and curves, target bleed and assembly, straight from the draw list; borders, colours by table, local contrast, sharpness
     RAFT        small and large, in integers, from the picture to the field, with correlation kept or made when needed; only what is carried from pair
                 to pair (a warm start) is moved on the processor
     DIS         all presets, from the picture to the field, in integers and, for the refinement, in float32
     SSIM        8-bit pictures, uniform windows, the exact arithmetic: mean, map (mosaic_cuda_ssim, on device memory of the caller)
   NOT YET ON THE DEVICE, and done on the processor: prediction, the assignment itself and its pricing passes, re-ranking, the table of
     a shot's colours, RAFT in float32, YUV to RGB and back, decoding and encoding. Pictures go to the device and come back in every frame, there is one
     stream and no graph; integer tensor cores are not used. SSIM of floats, 16 bits, Gaussian windows and in scikit-image's arithmetic is not here. An
     engine whose grid may move is served by the processor.

   MEMORY         On the device: for an engine 4 bytes for each cell and photograph, 3 for each pixel of the photographs, the source and the output, and
                  with finishing up to 14 more for each pixel of the output; for RAFT and DIS what mosaic_flow.h takes on the host (which is taken there
                  too); taken at open, and never more than options.max_memory for all that is open. On the host small things, 8 bytes for each pixel
                  of the field, and pinned what travels in a frame: 4 bytes for each cell and photograph, 3 for each pixel of the source, 9 of the
                  output, 22 of the field.
   THREADS        A mosaic_cuda is used by one thread at a time, with every engine and flow that uses it. The host waits for the device twice a frame: for
                  descriptions, motion (both directions) and costs together, and for the picture; a third time where a cut, or more change than
                  was expected, asks for more costs.
   DETERMINISM    The kernels do on integers, and in float32 and doubles rounded operation by operation, what the headers' own code does, and mostly are
                  that code: float32 in instructions of PTX, doubles as they are rounded with -fmad=false, which is part of the build. No floating-point
                  atomics, no fused, flushed or approximate operation; at mosaic_cuda_open a kernel tries the operations, and the device is refused if one
                  differs.
   ACCURACY AND LIMITS
                  Needs a device of compute capability 7.5 and a driver for the toolkit it was compiled with. Costs of more cells and photographs than
                  the engine keeps a table for are computed on the processor.
   PERFORMANCE    Not measured: these kernels have been run over a stand-in for the device only (tests/gpu/emulate.h). "make gpu-check" measures.
   LAST CHANGES   0.1.0  first version
*/
#ifndef MOSAIC_CUDA_H
#define MOSAIC_CUDA_H

#if defined(__CUDACC__) || defined(MOSAIC_EMULATE_H)
/* The kernels are what the headers' own functions are, as far as possible; this unit has them for itself. */
#define MOSAIC_TEMPORAL_STATIC
#define MOSAIC_TEMPORAL_NO_SIMD
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#if defined(__CUDACC__)
#pragma nv_diag_suppress 1675          /* pragmas for the host's compiler */
#pragma nv_diag_suppress 39            /* an infinity that is made by a division */
#pragma nv_diag_suppress 177, 549, 550 /* what is not needed here; values that a call sets; a context without an allocator */
#pragma nv_diag_suppress 20011         /* functions that could be of the device but are not used there */
#endif
#endif
#include "mosaic_temporal.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mosaic_cuda_result {
    MOSAIC_CUDA_OK = 0,
    MOSAIC_CUDA_ERROR_NULL,        /* a required pointer is null */
    MOSAIC_CUDA_ERROR_OPTION,      /* an option is outside its range, or asks for what is not on the device */
    MOSAIC_CUDA_ERROR_SIZE,        /* a size is zero, too large, or a stride is smaller than a row */
    MOSAIC_CUDA_ERROR_HOST_MEMORY, /* out of memory on the host */
    MOSAIC_CUDA_ERROR_MEMORY,      /* out of memory on the device, or more than options.max_memory */
    MOSAIC_CUDA_ERROR_DRIVER,      /* no driver, or one too old */
    MOSAIC_CUDA_ERROR_NO_DEVICE,   /* no device of that number */
    MOSAIC_CUDA_ERROR_CAPABILITY,  /* the device is too old, or the object was not compiled for it */
    MOSAIC_CUDA_ERROR_SELF_TEST,   /* an operation of the device gives another result than the processor's */
    MOSAIC_CUDA_ERROR_LOST         /* a call failed: the device is busy, was removed, or a kernel was stopped */
} mosaic_cuda_result;

/* A static English phrase for a result, never null. */
const char *mosaic_cuda_result_string(mosaic_cuda_result result);

/* Zero everywhere means the defaults. */
typedef struct mosaic_cuda_options {
    int device;        /* number of the device */
    size_t max_memory; /* most bytes of its memory that are taken; 0 = 2 GiB */
} mosaic_cuda_options;

typedef struct mosaic_cuda mosaic_cuda;

/* Takes a device into use and tries its operations. options may be null. On success *cuda is the caller's to close, after every engine that uses it; on
   failure it is null, and *error (error may be null) CUDA's own name for what happened, "" if it was none of CUDA's errors. */
mosaic_cuda_result mosaic_cuda_open(const mosaic_cuda_options *options, mosaic_cuda **cuda, const char **error);
void mosaic_cuda_close(mosaic_cuda *cuda); /* null is allowed */

/* The first failure since open, OK if there was none: from then on everything is done on the processor. *error as above. */
mosaic_cuda_result mosaic_cuda_status(const mosaic_cuda *cuda, const char **error);
const char *mosaic_cuda_name(const mosaic_cuda *cuda); /* of the device */

/* For mosaic_options.device, and for mosaic_flow_options.device; valid until close. */
const mosaic_device *mosaic_cuda_engine(mosaic_cuda *cuda);
const mosaic_flow_device *mosaic_cuda_flow(mosaic_cuda *cuda);

/* mosaic_ssim_compare() of two pictures in device memory: 8 bits, one channel, uniform window, the exact arithmetic (options as there, null = defaults;
   OPTION for anything else). Strides are bytes from row to row, not less than width. map: null, or device memory for (height - w + 1) rows of map_stride
   doubles (not less than width - w + 1). stream is a cudaStream_t, null the default one; *mean is there when the function returns. */
mosaic_cuda_result mosaic_cuda_ssim(mosaic_cuda *cuda, void *stream, const uint8_t *a, size_t a_stride, const uint8_t *b, size_t b_stride, int width,
                                    int height, const mosaic_ssim_options *options, double *map, size_t map_stride, double *mean);

#ifdef __cplusplus
}
#endif
#endif /* MOSAIC_CUDA_H */

/* The interface ends here; what follows is for nvcc. */
#if defined(__CUDACC__) || defined(MOSAIC_EMULATE_H)

/* ==== What CUDA and its stand-in (tests/gpu/emulate.h) write differently ==== */

/* Kernels with barriers are launched TOGETHER. A program that counts launches and waits (tests/gpu/times.cu) defines what adds one. */
#ifndef MOSAIC_CUDA__COUNT
#define MOSAIC_CUDA__COUNT(what) ((void)0)
#endif
#if defined(__CUDACC__)
#define MOSAIC_CUDA__LAUNCH(kernel, grid, block, shared, stream, ...)                                                                                \
    (MOSAIC_CUDA__COUNT(launches), kernel<<<grid, block, shared, stream>>>(__VA_ARGS__))
#define MOSAIC_CUDA__LAUNCH_TOGETHER MOSAIC_CUDA__LAUNCH
#define MOSAIC_CUDA__UNROLL _Pragma("unroll") /* before loops over arrays that live in registers */
#define MOSAIC_CUDA__SHARED(type, name)                                                                                                              \
    extern __shared__ __align__(16) unsigned char mosaic_cuda__shared[];                                                                             \
    type *name = (type *)mosaic_cuda__shared
#else
#define MOSAIC_CUDA__LAUNCH(kernel, grid, block, shared, stream, ...) emulate_launch(grid, block, shared, stream, 0, kernel, __VA_ARGS__)
#define MOSAIC_CUDA__LAUNCH_TOGETHER(kernel, grid, block, shared, stream, ...) emulate_launch(grid, block, shared, stream, 1, kernel, __VA_ARGS__)
#define MOSAIC_CUDA__UNROLL
#define MOSAIC_CUDA__SHARED(type, name) type *name = (type *)(void *)emulate_shared_memory
#endif

/* Doubles: these are rounded as written whatever the flags of the compilation. */
static __device__ __forceinline__ double mosaic_cuda__add(double a, double b) { return __dadd_rn(a, b); }
static __device__ __forceinline__ double mosaic_cuda__mul(double a, double b) { return __dmul_rn(a, b); }
static __device__ __forceinline__ double mosaic_cuda__div(double a, double b) { return __ddiv_rn(a, b); }

/* One float32. Its operations are instructions of PTX, which no flag of the compilation changes; on the host they are what its compiler makes of them. */
#if defined(MOSAIC_EMULATE_H)
#define MOSAIC_CUDA__FLOAT(operation, x) emulate_rounded(operation, x)
#else
#define MOSAIC_CUDA__FLOAT(operation, x) (x)
#endif
#if defined(__CUDA_ARCH__)
#define MOSAIC_CUDA__BINARY(name, instruction, operation, x)                                                                                         \
    static __host__ __device__ __forceinline__ float name(float a, float b)                                                                          \
    {                                                                                                                                                \
        float out;                                                                                                                                   \
        asm(instruction " %0, %1, %2;" : "=f"(out) : "f"(a), "f"(b));                                                                                \
        return out;                                                                                                                                  \
    }
#else
#define MOSAIC_CUDA__BINARY(name, instruction, operation, x)                                                                                         \
    static __host__ __device__ __forceinline__ float name(float a, float b) { return MOSAIC_CUDA__FLOAT(operation, x); }
#endif
MOSAIC_CUDA__BINARY(mosaic_cuda__float_add, "add.rn.f32", 4, a + b)
MOSAIC_CUDA__BINARY(mosaic_cuda__float_sub, "sub.rn.f32", 5, a - b)
MOSAIC_CUDA__BINARY(mosaic_cuda__float_mul, "mul.rn.f32", 6, a *b)
MOSAIC_CUDA__BINARY(mosaic_cuda__float_div, "div.rn.f32", 7, a / b)

/* 1 when a < b. */
static __host__ __device__ __forceinline__ int mosaic_cuda__float_less(float a, float b)
{
#if defined(__CUDA_ARCH__)
    int out;
    asm("{ .reg .pred p; setp.lt.f32 p, %1, %2; selp.s32 %0, 1, 0, p; }" : "=r"(out) : "f"(a), "f"(b));
    return out;
#else
    return a < b;
#endif
}

/* Towards zero. */
static __host__ __device__ __forceinline__ int32_t mosaic_cuda__float_integer(float a)
{
#if defined(__CUDA_ARCH__)
    int32_t out;
    asm("cvt.rzi.s32.f32 %0, %1;" : "=r"(out) : "f"(a));
    return out;
#else
    return (int32_t)a;
#endif
}

static __host__ __device__ __forceinline__ float mosaic_cuda__float_of(double a)
{
#if defined(__CUDA_ARCH__)
    float out;
    asm("cvt.rn.f32.f64 %0, %1;" : "=f"(out) : "d"(a));
    return out;
#else
    return MOSAIC_CUDA__FLOAT(8, (float)a);
#endif
}

static __host__ __device__ __forceinline__ float mosaic_cuda__float_negative(float a)
{
#if defined(__CUDA_ARCH__)
    float out;
    asm("neg.f32 %0, %1;" : "=f"(out) : "f"(a));
    return out;
#else
    return -a;
#endif
}

struct mosaic_cuda__real {
    float v;
    mosaic_cuda__real() = default;
    __host__ __device__ __forceinline__ mosaic_cuda__real(float x) : v(x) {}
    __host__ __device__ __forceinline__ mosaic_cuda__real(int32_t x) : v((float)x) {}
    __host__ __device__ __forceinline__ explicit mosaic_cuda__real(double x) : v(mosaic_cuda__float_of(x)) {}
    __host__ __device__ __forceinline__ explicit operator float() const { return v; }
    __host__ __device__ __forceinline__ explicit operator double() const { return (double)v; }
    __host__ __device__ __forceinline__ explicit operator int32_t() const { return mosaic_cuda__float_integer(v); }
};
static __host__ __device__ __forceinline__ mosaic_cuda__real operator+(mosaic_cuda__real a, mosaic_cuda__real b)
{
    return mosaic_cuda__float_add(a.v, b.v);
}
static __host__ __device__ __forceinline__ mosaic_cuda__real operator-(mosaic_cuda__real a, mosaic_cuda__real b)
{
    return mosaic_cuda__float_sub(a.v, b.v);
}
static __host__ __device__ __forceinline__ mosaic_cuda__real operator-(mosaic_cuda__real a) { return mosaic_cuda__float_negative(a.v); }
static __host__ __device__ __forceinline__ mosaic_cuda__real operator*(mosaic_cuda__real a, mosaic_cuda__real b)
{
    return mosaic_cuda__float_mul(a.v, b.v);
}
static __host__ __device__ __forceinline__ mosaic_cuda__real operator/(mosaic_cuda__real a, mosaic_cuda__real b)
{
    return mosaic_cuda__float_div(a.v, b.v);
}
static __host__ __device__ __forceinline__ int operator<(mosaic_cuda__real a, mosaic_cuda__real b) { return mosaic_cuda__float_less(a.v, b.v); }
static __host__ __device__ __forceinline__ int operator>(mosaic_cuda__real a, mosaic_cuda__real b) { return mosaic_cuda__float_less(b.v, a.v); }

/* Only RAFT in float32 has it, which is not on the device. */
static __host__ __device__ __forceinline__ mosaic_cuda__real mosaic_cuda__float_fma(mosaic_cuda__real a, mosaic_cuda__real b, mosaic_cuda__real c)
{
#if defined(__CUDA_ARCH__)
    float out;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(out) : "f"(a.v), "f"(b.v), "f"(c.v));
    return out;
#else
    return mosaic_flow__fma(a.v, b.v, c.v);
#endif
}

/* The kernels of mosaic_flow.h that work on float32, in these operations: names end with _device. */
#define MOSAIC_FLOW__LANES 1
#define MOSAIC_FLOW__SUFFIX device
#define MOSAIC_FLOW__ISA
#define MOSAIC_FLOW__REAL mosaic_cuda__real
#define MOSAIC_FLOW__FMA(a, b, c) mosaic_cuda__float_fma(a, b, c)
#include "mosaic_flow.h"

/* Dot products of a pair of 16-bit numbers, x, with two of the bytes of w, added to sum modulo 2^32: with the lower two, which are not negative, and with
   the upper two, which may be. */
#if defined(__CUDACC__)
static __device__ __forceinline__ int32_t mosaic_cuda__lower(int32_t x, int32_t w, int32_t sum)
{
    int32_t out;
    asm("dp2a.lo.s32.u32 %0, %1, %2, %3;" : "=r"(out) : "r"(x), "r"(w), "r"(sum));
    return out;
}
static __device__ __forceinline__ int32_t mosaic_cuda__upper(int32_t x, int32_t w, int32_t sum)
{
    int32_t out;
    asm("dp2a.hi.s32.s32 %0, %1, %2, %3;" : "=r"(out) : "r"(x), "r"(w), "r"(sum));
    return out;
}
#else
static int32_t mosaic_cuda__lower(int32_t x, int32_t w, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)x * (uint8_t)w) + (uint32_t)((x >> 16) * (uint8_t)(w >> 8)));
}
static int32_t mosaic_cuda__upper(int32_t x, int32_t w, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)x * (int8_t)(w >> 16)) + (uint32_t)((x >> 16) * (w >> 24)));
}
#endif

/* ==== The device ==== */

enum { MOSAIC_CUDA__LETTERS = 1024 };
typedef struct mosaic_cuda__letter {
    void *to;
    size_t at, size;
} mosaic_cuda__letter;

struct mosaic_cuda {
    mosaic_cuda_result result; /* the first failure */
    cudaError_t error;
    cudaStream_t stream;
    int busy; /* something was asked of that stream since it was waited for */
    /* What travels lies in memory of the host that is pinned: a copy from or to other memory may make the host wait. What comes from the device goes on to
       where it belongs when the stream has been waited for. */
    uint8_t *mail;
    size_t mail_size, mail_used, mail_wanted;
    mosaic_cuda__letter letter[MOSAIC_CUDA__LETTERS];
    int letters;
    long waits; /* so far: what lay in the mail at the last one stays until something travels again */
    size_t limit, used;
    int64_t *few; /* MOSAIC_CUDA__TRIALS numbers on the device, for who needs some for the length of a call */
    mosaic_device engine;
    mosaic_flow_device flow;
    char name[256];
};

extern "C" const char *mosaic_cuda_result_string(mosaic_cuda_result result)
{
    switch (result) {
    case MOSAIC_CUDA_OK: return "ok";
    case MOSAIC_CUDA_ERROR_NULL: return "a required pointer is null";
    case MOSAIC_CUDA_ERROR_OPTION: return "an option is outside its range, or not for the GPU";
    case MOSAIC_CUDA_ERROR_SIZE: return "a size is zero or too large, or a stride smaller than a row";
    case MOSAIC_CUDA_ERROR_HOST_MEMORY: return "out of memory";
    case MOSAIC_CUDA_ERROR_MEMORY: return "the GPU is out of memory";
    case MOSAIC_CUDA_ERROR_DRIVER: return "no NVIDIA driver, or one too old";
    case MOSAIC_CUDA_ERROR_NO_DEVICE: return "no NVIDIA GPU";
    case MOSAIC_CUDA_ERROR_CAPABILITY: return "the GPU is too old, or this program was not compiled for it";
    case MOSAIC_CUDA_ERROR_SELF_TEST: return "the GPU computes otherwise than the processor";
    case MOSAIC_CUDA_ERROR_LOST: return "the GPU does not answer";
    }
    return "unknown result";
}

static mosaic_cuda_result mosaic_cuda__result(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return MOSAIC_CUDA_OK;
    case cudaErrorMemoryAllocation: return MOSAIC_CUDA_ERROR_MEMORY;
    case cudaErrorInsufficientDriver: return MOSAIC_CUDA_ERROR_DRIVER;
    case cudaErrorStubLibrary: return MOSAIC_CUDA_ERROR_DRIVER;
    case cudaErrorNoDevice: return MOSAIC_CUDA_ERROR_NO_DEVICE;
    case cudaErrorInvalidDevice: return MOSAIC_CUDA_ERROR_NO_DEVICE;
    case cudaErrorNoKernelImageForDevice: return MOSAIC_CUDA_ERROR_CAPABILITY;
    case cudaErrorUnsupportedPtxVersion: return MOSAIC_CUDA_ERROR_CAPABILITY;
    default: return MOSAIC_CUDA_ERROR_LOST;
    }
}

static int mosaic_cuda__fail(mosaic_cuda *c, mosaic_cuda_result result, cudaError_t e)
{
    if (c->result == MOSAIC_CUDA_OK) {
        c->result = result;
        c->error = e;
    }
    return 0;
}

/* 1 when a call of the runtime went well, and all before it; the first one that did not is remembered. */
static int mosaic_cuda__ok(mosaic_cuda *c, cudaError_t e)
{
    if (e == cudaSuccess) return c->result == MOSAIC_CUDA_OK;
    cudaGetLastError(); /* else it would be taken for that of the next launch */
    return mosaic_cuda__fail(c, mosaic_cuda__result(e), e);
}

static int mosaic_cuda__launched(mosaic_cuda *c)
{
    c->busy = 1;
    return mosaic_cuda__ok(c, cudaGetLastError());
}

enum { MOSAIC_CUDA__MAIL_BEGIN = 64, MOSAIC_CUDA__MAIL_LEAST = 1 << 20 }; /* bytes: those before belong to who waits at once */

static int mosaic_cuda__wait(mosaic_cuda *c, cudaStream_t stream)
{
    int i;
    if (stream == c->stream && !c->busy) return c->result == MOSAIC_CUDA_OK;
    MOSAIC_CUDA__COUNT(waits);
    if (!mosaic_cuda__ok(c, cudaStreamSynchronize(stream))) return 0;
    if (stream != c->stream) return 1;
    c->busy = 0;
    for (i = 0; i < c->letters; i++) memcpy(c->letter[i].to, c->mail + c->letter[i].at, c->letter[i].size);
    c->letters = 0;
    c->mail_used = MOSAIC_CUDA__MAIL_BEGIN;
    c->waits++;
    return 1;
}

/* Room for `size` bytes more between two waits, which is remembered in *taken. With less there are more waits. */
static int mosaic_cuda__reserve(mosaic_cuda *c, size_t *taken, size_t size)
{
    uint8_t *old = c->mail;
    if (!mosaic_cuda__wait(c, c->stream)) return 0;
    *taken = size;
    c->mail_wanted += size;
    if (c->mail_wanted <= c->mail_size) return 1;
    c->mail = 0;
    c->mail_size = 0;
    c->mail_used = MOSAIC_CUDA__MAIL_BEGIN;
    if (old && !mosaic_cuda__ok(c, cudaFreeHost(old))) return 0;
    if (!mosaic_cuda__ok(c, cudaMallocHost(&c->mail, c->mail_wanted))) return 0;
    c->mail_size = c->mail_wanted;
    return 1;
}

/* Takes as much of `size` bytes of the mail as there is, after waiting if there is none; 0 when that failed. */
static size_t mosaic_cuda__envelope(mosaic_cuda *c, size_t size)
{
    if (c->mail_size - c->mail_used < (size < MOSAIC_CUDA__MAIL_LEAST / 2 ? size : MOSAIC_CUDA__MAIL_LEAST / 2) && !mosaic_cuda__wait(c, c->stream))
        return 0;
    c->busy = 1;
    if (size > c->mail_size - c->mail_used) size = c->mail_size - c->mail_used;
    return size;
}

static int mosaic_cuda__up(mosaic_cuda *c, void *to, const void *from, size_t size)
{
    size_t done, part;
    for (done = 0; done < size; done += part) {
        uint8_t *mail;
        part = mosaic_cuda__envelope(c, size - done);
        mail = c->mail + c->mail_used;
        c->mail_used += part;
        if (!part) return 0;
        memcpy(mail, (const uint8_t *)from + done, part);
        if (!mosaic_cuda__ok(c, cudaMemcpyAsync((uint8_t *)to + done, mail, part, cudaMemcpyHostToDevice, c->stream))) return 0;
    }
    return 1;
}

static int mosaic_cuda__down(mosaic_cuda *c, void *to, const void *from, size_t size)
{
    size_t done, part;
    for (done = 0; done < size; done += part) {
        if (c->letters == MOSAIC_CUDA__LETTERS && !mosaic_cuda__wait(c, c->stream)) return 0;
        part = mosaic_cuda__envelope(c, size - done);
        if (!part) return 0;
        c->letter[c->letters].to = (uint8_t *)to + done;
        c->letter[c->letters].at = c->mail_used;
        c->letter[c->letters].size = part;
        if (!mosaic_cuda__ok(c, cudaMemcpyAsync(c->mail + c->mail_used, (const uint8_t *)from + done, part, cudaMemcpyDeviceToHost, c->stream)))
            return 0;
        c->letters++;
        c->mail_used += part;
    }
    return 1;
}

/* What comes from the device and is looked at in the mail itself: where it will lie; 0 when there is no room. */
static size_t mosaic_cuda__keep(mosaic_cuda *c, const void *from, size_t size)
{
    const size_t at = (c->mail_used + 15) / 16 * 16;
    if (at > c->mail_size || size > c->mail_size - at) return 0;
    c->busy = 1;
    c->mail_used = at + size;
    return mosaic_cuda__ok(c, cudaMemcpyAsync(c->mail + at, from, size, cudaMemcpyDeviceToHost, c->stream)) ? at : 0;
}

/* Rows of a picture, to rows without gaps. */
static int mosaic_cuda__up_rows(mosaic_cuda *c, uint8_t *to, const uint8_t *from, size_t stride, size_t row, size_t rows)
{
    size_t y;
    if (stride == row) return mosaic_cuda__up(c, to, from, row * rows);
    for (y = 0; y < rows; y++)
        if (!mosaic_cuda__up(c, to + y * row, from + y * stride, row)) return 0;
    return 1;
}

/* Blocks of so many threads. */
static unsigned mosaic_cuda__blocks(size_t threads, size_t of) { return (unsigned)((threads + of - 1) / of); }

/* Pieces of one allocation, as the arenas of the headers: counted first, then handed out. */
typedef struct mosaic_cuda__arena {
    uint8_t *base;
    size_t used;
    int overflow;
} mosaic_cuda__arena;

static void *mosaic_cuda__take(mosaic_cuda__arena *arena, size_t count, size_t size)
{
    uint8_t *at = arena->base ? arena->base + arena->used : 0;
    if (size && count > ((size_t)-1 / 4 - arena->used) / size)
        arena->overflow = 1;
    else
        arena->used += (count * size + 255) / 256 * 256;
    return at;
}

/* Device memory within the limit; null where there is none. */
static uint8_t *mosaic_cuda__allocate(mosaic_cuda *c, size_t size)
{
    uint8_t *p = 0;
    if (size > c->limit - c->used) {
        mosaic_cuda__fail(c, MOSAIC_CUDA_ERROR_MEMORY, cudaErrorMemoryAllocation);
        return 0;
    }
    if (!mosaic_cuda__ok(c, cudaMalloc(&p, size))) return 0;
    c->used += size;
    return p;
}

static void mosaic_cuda__release(mosaic_cuda *c, uint8_t *p, size_t size)
{
    if (!p) return;
    if (c->result == MOSAIC_CUDA_OK) mosaic_cuda__wait(c, c->stream); /* for who still reads or writes there */
    if (cudaFree(p) != cudaSuccess) cudaGetLastError();               /* a device that is gone took its memory along */
    c->used -= size;
}

/* ---- what the device must do as the processor does it ---- */

typedef struct mosaic_cuda__trial {
    double a, b, c, d;
    int64_t m, n;
    int32_t i, j;
    float f, g, h, tiny;
} mosaic_cuda__trial;

enum { MOSAIC_CUDA__TRIALS = 25 };

static __host__ __device__ __forceinline__ int64_t mosaic_cuda__float_bits(mosaic_cuda__real x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static __global__ void mosaic_cuda__try_operations(mosaic_cuda__trial t, int64_t *out)
{
    out[0] = __double_as_longlong(mosaic_cuda__add(t.a, t.b));                        /* a tie */
    out[1] = __double_as_longlong(mosaic_cuda__add(mosaic_cuda__mul(t.a, t.a), t.c)); /* another value when fused */
    out[2] = __double_as_longlong(mosaic_cuda__div(t.a, t.c));
    out[3] = __double_as_longlong(mosaic_cuda__mul(t.d, t.d)); /* below the smallest normal number */
    out[4] = __double_as_longlong(t.a * t.a + t.c);            /* as the compiler takes it */
    out[5] = __double_as_longlong((double)t.m);                /* rounded to even */
    out[6] = t.m / t.n;                                        /* towards zero */
    out[7] = t.m % t.n;
    out[8] = t.i >> 3; /* of a negative number */
    out[9] = (int16_t)t.i;
    out[10] = (int64_t)t.i * t.j;
    out[11] = __double_as_longlong(mosaic_cuda__add(t.d, 0.0));
    out[12] = mosaic_cuda__lower(t.j, t.i, t.i);
    out[13] = mosaic_cuda__upper(t.i, t.i, t.j);
    {
        const mosaic_cuda__real f = t.f, g = t.g, h = t.h, tiny = t.tiny;
        out[14] = mosaic_cuda__float_bits(f + g);     /* a tie */
        out[15] = mosaic_cuda__float_bits(f * f + h); /* another value when fused */
        out[16] = mosaic_cuda__float_bits(h - g);
        out[17] = mosaic_cuda__float_bits(f / h);
        out[18] = mosaic_cuda__float_bits(tiny * h); /* below the smallest normal number */
        out[19] = mosaic_cuda__float_bits(tiny + tiny);
        out[20] = tiny < tiny + tiny;
        out[21] = (int32_t)(h * mosaic_cuda__real(5)); /* towards zero */
        out[22] = mosaic_cuda__float_bits((mosaic_cuda__real)t.a);
        out[23] = mosaic_cuda__float_bits((mosaic_cuda__real)t.j);
        out[24] = mosaic_cuda__float_bits(-tiny);
    }
}

static int64_t mosaic_cuda__bits(double v)
{
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void mosaic_cuda__self_test(mosaic_cuda *c)
{
    mosaic_cuda__trial t;
    volatile double v, a, d;
    volatile float u, f, tiny;
    int64_t want[MOSAIC_CUDA__TRIALS], got[MOSAIC_CUDA__TRIALS];
    unsigned long long fp = mosaic__fp_enter();
    t.a = 1 + 1.0 / 134217728; /* its square needs 55 bits */
    t.b = 1.0 / 9007199254740992.0;
    t.c = -1 - 1.0 / 67108864;
    t.d = 1.5e-160;
    t.m = -((int64_t)1 << 54) - 2;
    t.n = 1000003;
    t.i = -1234567;
    t.j = 7654321;
    t.f = 1 + 1.0f / 4096; /* its square needs 25 bits */
    t.g = 1.0f / 16777216;
    t.h = -1 - 1.0f / 2048;
    t.tiny = 3e-39f;
    f = t.f;
    tiny = t.tiny;
    a = t.a;
    d = t.d;
    v = a + t.b;
    want[0] = mosaic_cuda__bits(v);
    v = a * a;
    v = v + t.c;
    want[1] = want[4] = mosaic_cuda__bits(v);
    v = a / t.c;
    want[2] = mosaic_cuda__bits(v);
    v = d * d;
    want[3] = mosaic_cuda__bits(v);
    want[5] = mosaic_cuda__bits((double)t.m);
    want[6] = t.m / t.n;
    want[7] = t.m % t.n;
    want[8] = t.i >> 3;
    want[9] = (int16_t)t.i;
    want[10] = (int64_t)t.i * t.j;
    want[11] = mosaic_cuda__bits(t.d);
    /* i is -19 * 65536 + 10617, or -1 * 2^24 + 237 * 65536 + 41 * 256 + 121; j is 116 * 65536 + 52145, which is -13391 in 16 bits */
    want[12] = t.i + -13391 * 121 + 116 * 41;
    want[13] = t.j + 10617 * -19 + -19 * -1;
    u = f + t.g;
    want[14] = mosaic_cuda__float_bits(u);
    u = f * f;
    u = u + t.h;
    want[15] = mosaic_cuda__float_bits(u);
    u = t.h - t.g;
    want[16] = mosaic_cuda__float_bits(u);
    u = f / t.h;
    want[17] = mosaic_cuda__float_bits(u);
    u = tiny * t.h;
    want[18] = mosaic_cuda__float_bits(u);
    u = tiny + tiny;
    want[19] = mosaic_cuda__float_bits(u);
    want[20] = 1;
    want[21] = -5;
    u = (float)a;
    want[22] = mosaic_cuda__float_bits(u);
    want[23] = mosaic_cuda__float_bits(7654321.0f);
    u = -tiny;
    want[24] = mosaic_cuda__float_bits(u);
    mosaic__fp_leave(fp);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__try_operations, 1, 1, 0, c->stream, t, c->few);
    if (mosaic_cuda__launched(c) && mosaic_cuda__down(c, got, c->few, sizeof got) && mosaic_cuda__wait(c, c->stream) &&
        memcmp(want, got, sizeof got) != 0)
        mosaic_cuda__fail(c, MOSAIC_CUDA_ERROR_SELF_TEST, cudaSuccess);
}

static const char *mosaic_cuda__error_name(cudaError_t e) { return e == cudaSuccess ? "" : cudaGetErrorName(e); }

extern "C" mosaic_cuda_result mosaic_cuda_status(const mosaic_cuda *c, const char **error)
{
    if (error) *error = c ? mosaic_cuda__error_name(c->error) : "";
    return c ? c->result : MOSAIC_CUDA_ERROR_NULL;
}

extern "C" const char *mosaic_cuda_name(const mosaic_cuda *c) { return c ? c->name : ""; }

static void mosaic_cuda__start(mosaic_cuda *c, int device)
{
    cudaDeviceProp about;
    size_t own;
    int count = 0;
    memset(&about, 0, sizeof about);
    if (!mosaic_cuda__ok(c, cudaGetDeviceCount(&count))) return;
    if (device >= count) {
        mosaic_cuda__fail(c, MOSAIC_CUDA_ERROR_NO_DEVICE, cudaErrorInvalidDevice);
        return;
    }
    if (!mosaic_cuda__ok(c, cudaSetDevice(device)) || !mosaic_cuda__ok(c, cudaGetDeviceProperties(&about, device))) return;
    memcpy(c->name, about.name, sizeof c->name);
    c->name[sizeof c->name - 1] = 0;
    if (about.major * 10 + about.minor < 75) {
        mosaic_cuda__fail(c, MOSAIC_CUDA_ERROR_CAPABILITY, cudaSuccess);
        return;
    }
    if (mosaic_cuda__ok(c, cudaStreamCreate(&c->stream)) && mosaic_cuda__reserve(c, &own, MOSAIC_CUDA__MAIL_LEAST) &&
        mosaic_cuda__ok(c, cudaMalloc(&c->few, MOSAIC_CUDA__TRIALS * sizeof *c->few)))
        mosaic_cuda__self_test(c);
}

static void *mosaic_cuda__engine_open(void *ctx, const mosaic_engine *e);
static int mosaic_cuda__engine_describe(void *state, const mosaic_engine *e);
static int mosaic_cuda__engine_costs(void *state, const mosaic_engine *e);
static int mosaic_cuda__engine_take(void *state, const mosaic_engine *e);
static int mosaic_cuda__engine_paint(void *state, const mosaic_engine *e);
static void mosaic_cuda__engine_close(void *state);
static void *mosaic_cuda__flow_open(void *ctx, mosaic_flow *flow);
static int mosaic_cuda__flow_encode(void *state, mosaic_flow *flow, int slot);
static int mosaic_cuda__flow_estimate(void *state, mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors, float *out);
static int mosaic_cuda__flow_finish(void *state, mosaic_flow *flow);
static void mosaic_cuda__flow_close(void *state, mosaic_flow *flow);

extern "C" void mosaic_cuda_close(mosaic_cuda *c)
{
    if (!c) return;
    if (c->few && cudaFree(c->few) != cudaSuccess) cudaGetLastError();
    if (c->mail && cudaFreeHost(c->mail) != cudaSuccess) cudaGetLastError();
    if (c->stream && cudaStreamDestroy(c->stream) != cudaSuccess) cudaGetLastError();
    free(c);
}

extern "C" mosaic_cuda_result mosaic_cuda_open(const mosaic_cuda_options *options, mosaic_cuda **cuda, const char **error)
{
    const int device = options ? options->device : 0;
    mosaic_cuda *c;
    mosaic_cuda_result result;
    if (error) *error = "";
    if (!cuda) return MOSAIC_CUDA_ERROR_NULL;
    *cuda = 0;
    if (device < 0) return MOSAIC_CUDA_ERROR_OPTION;
    c = (mosaic_cuda *)malloc(sizeof *c);
    if (!c) return MOSAIC_CUDA_ERROR_HOST_MEMORY;
    memset(c, 0, sizeof *c);
    c->limit = options && options->max_memory ? options->max_memory : (size_t)2 << 30;
    c->engine.ctx = c;
    c->engine.layout = mosaic__layout();
    c->engine.open = mosaic_cuda__engine_open;
    c->engine.describe = mosaic_cuda__engine_describe;
    c->engine.costs = mosaic_cuda__engine_costs;
    c->engine.take = mosaic_cuda__engine_take;
    c->engine.paint = mosaic_cuda__engine_paint;
    c->engine.close = mosaic_cuda__engine_close;
    c->flow.ctx = c;
    c->flow.layout = mosaic_flow__layout();
    c->flow.open = mosaic_cuda__flow_open;
    c->flow.encode = mosaic_cuda__flow_encode;
    c->flow.estimate = mosaic_cuda__flow_estimate;
    c->flow.finish = mosaic_cuda__flow_finish;
    c->flow.close = mosaic_cuda__flow_close;
    mosaic_cuda__start(c, device);
    result = mosaic_cuda_status(c, error);
    if (result == MOSAIC_CUDA_OK)
        *cuda = c;
    else
        mosaic_cuda_close(c);
    return result;
}

extern "C" const mosaic_device *mosaic_cuda_engine(mosaic_cuda *c) { return c ? &c->engine : 0; }
extern "C" const mosaic_flow_device *mosaic_cuda_flow(mosaic_cuda *c) { return c ? &c->flow : 0; }

/* ==== SSIM ====

   A block makes SPAN columns of a strip of rows of the map. Each thread keeps the sums of one or two columns of pixels, as high as the window; row by row the
   window's are added up from these. All sums are integers, and the value is put together as mosaic_ssim.h's DETERMINISM says; so are the totals. */

enum { MOSAIC_CUDA__SPAN = 256, MOSAIC_CUDA__STRIP = 32 };

typedef struct mosaic_cuda__pictures {
    const uint8_t *a, *b;
    size_t a_stride, b_stride, map_stride;
    int width, height, window; /* width, height: of the map */
    int sample;                /* 1: covariance of a sample */
    double c1, c2;
    double *map;
    unsigned long long *total; /* high, low */
} mosaic_cuda__pictures;

typedef struct mosaic_cuda__column {
    uint32_t x, y, squares, products;
} mosaic_cuda__column;

static __device__ __forceinline__ void mosaic_cuda__column_add(mosaic_cuda__column *s, const mosaic_cuda__pictures *p, int x, int y, uint32_t sign)
{
    const uint32_t u = p->a[(size_t)y * p->a_stride + (size_t)x], v = p->b[(size_t)y * p->b_stride + (size_t)x];
    s->x += sign * u;
    s->y += sign * v;
    s->squares += sign * (u * u + v * v);
    s->products += sign * (u * v);
}

static __device__ __forceinline__ double mosaic_cuda__ssim_value(const mosaic_cuda__pictures *p, int64_t x, int64_t y, int64_t squares,
                                                                 int64_t products)
{
    const int64_t n = (int64_t)p->window * p->window, s = x * x + y * y;
    const double a = mosaic_cuda__add((double)(2 * x * y), p->c1), b = mosaic_cuda__add((double)(2 * (n * products - x * y)), p->c2);
    const double d = mosaic_cuda__add((double)s, p->c1), e = mosaic_cuda__add((double)(n * squares - s), p->c2);
    return mosaic_cuda__div(mosaic_cuda__mul(a, b), mosaic_cuda__mul(d, e));
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__SPAN, 4) mosaic_cuda__ssim_strip(mosaic_cuda__pictures p)
{
    MOSAIC_CUDA__SHARED(mosaic_cuda__column, columns);
    const int t = (int)threadIdx.x, left = (int)blockIdx.x * MOSAIC_CUDA__SPAN, top = (int)blockIdx.y * MOSAIC_CUDA__STRIP;
    const int bottom = top + MOSAIC_CUDA__STRIP < p.height ? top + MOSAIC_CUDA__STRIP : p.height, reach = MOSAIC_CUDA__SPAN + p.window - 1;
    const int last = p.width + p.window - 1 - left; /* columns of pixels from here to the border */
    unsigned long long sum = 0, *sums;              /* of one column of the strip: below 2^58 */
    mosaic_cuda__column own[2];
    int x, y, i, k;
    for (k = 0; k < 2; k++) {
        own[k].x = own[k].y = own[k].squares = own[k].products = 0;
        for (y = top; y < top + p.window - 1 && t + k * MOSAIC_CUDA__SPAN < (last < reach ? last : reach); y++)
            mosaic_cuda__column_add(&own[k], &p, left + t + k * MOSAIC_CUDA__SPAN, y, 1);
    }
    for (y = top; y < bottom; y++) {
        for (k = 0; k < 2; k++) {
            const int at = t + k * MOSAIC_CUDA__SPAN;
            if (at >= (last < reach ? last : reach)) continue;
            mosaic_cuda__column_add(&own[k], &p, left + at, y + p.window - 1, 1);
            columns[at] = own[k];
            mosaic_cuda__column_add(&own[k], &p, left + at, y, 0xffffffffu);
        }
        __syncthreads();
        x = left + t;
        if (x < p.width) {
            uint32_t sx = 0, sy = 0, products = 0; /* 255^2 * 255^2 fits */
            uint64_t squares = 0;
            double value;
            for (i = 0; i < p.window; i++) {
                const mosaic_cuda__column c = columns[t + i];
                sx += c.x;
                sy += c.y;
                squares += c.squares;
                products += c.products;
            }
            value = mosaic_cuda__ssim_value(&p, sx, sy, (int64_t)squares, products);
            if (p.map) p.map[(size_t)y * p.map_stride + (size_t)x] = value;
            sum += (uint64_t)__double_as_longlong(mosaic_cuda__add(value, 3.0)) - 0x4000000000000000u; /* mosaic_ssim__fixed */
        }
        __syncthreads();
    }
    sums = (unsigned long long *)(void *)columns;
    sums[t] = sum >> 32;
    sums[MOSAIC_CUDA__SPAN + t] = sum & 0xffffffffu;
    for (k = MOSAIC_CUDA__SPAN / 2; k > 0; k /= 2) {
        __syncthreads();
        if (t < k) {
            sums[t] += sums[t + k];
            sums[MOSAIC_CUDA__SPAN + t] += sums[MOSAIC_CUDA__SPAN + t + k];
        }
    }
    if (t == 0) {
        atomicAdd(p.total, sums[0]);
        atomicAdd(p.total + 1, sums[MOSAIC_CUDA__SPAN]);
    }
}

extern "C" mosaic_cuda_result mosaic_cuda_ssim(mosaic_cuda *c, void *stream, const uint8_t *a, size_t a_stride, const uint8_t *b, size_t b_stride,
                                               int width, int height, const mosaic_ssim_options *options, double *map, size_t map_stride,
                                               double *mean)
{
    cudaStream_t on = (cudaStream_t)stream;
    mosaic_cuda__pictures p;
    mosaic_ssim_image image;
    mosaic_ssim__plan plan;
    mosaic_ssim__total total = {0, 0};
    unsigned long long sums[2];
    size_t shared;
    if (!c || !a || !b || !mean) return MOSAIC_CUDA_ERROR_NULL;
    if (width <= 0 || height <= 0 || a_stride < (size_t)width || b_stride < (size_t)width) return MOSAIC_CUDA_ERROR_SIZE;
    if (c->result != MOSAIC_CUDA_OK) return c->result;
    memset(&image, 0, sizeof image);
    image.type = MOSAIC_SSIM_U8;
    image.width = (size_t)width;
    image.height = (size_t)height;
    switch (mosaic_ssim__make_plan(&image, options, 0, &plan)) {
    case MOSAIC_SSIM_OK: break;
    case MOSAIC_SSIM_ERROR_SIZE:
    case MOSAIC_SSIM_ERROR_TOO_SMALL:
    case MOSAIC_SSIM_ERROR_OVERFLOW: return MOSAIC_CUDA_ERROR_SIZE;
    default: return MOSAIC_CUDA_ERROR_OPTION;
    }
    if (plan.kind != MOSAIC_SSIM__BYTES) return MOSAIC_CUDA_ERROR_OPTION;
    if ((map && map_stride < plan.map_width) || (plan.map_height - 1) / MOSAIC_CUDA__STRIP > 65534) return MOSAIC_CUDA_ERROR_SIZE;
    memset(&p, 0, sizeof p);
    p.a = a;
    p.b = b;
    p.a_stride = a_stride;
    p.b_stride = b_stride;
    p.map = map;
    p.map_stride = map_stride;
    p.width = (int)plan.map_width;
    p.height = (int)plan.map_height;
    p.window = plan.window;
    p.c1 = plan.c1;
    p.c2 = plan.c2;
    p.total = (unsigned long long *)(void *)c->few;
    shared = (size_t)(MOSAIC_CUDA__SPAN + plan.window - 1) * sizeof(mosaic_cuda__column);
    if (mosaic_cuda__ok(c, cudaMemsetAsync(p.total, 0, sizeof sums, on))) {
        const dim3 grid((unsigned)((p.width + MOSAIC_CUDA__SPAN - 1) / MOSAIC_CUDA__SPAN),
                        (unsigned)((p.height + MOSAIC_CUDA__STRIP - 1) / MOSAIC_CUDA__STRIP));
        MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__ssim_strip, grid, MOSAIC_CUDA__SPAN, shared, on, p);
        if (mosaic_cuda__launched(c) && mosaic_cuda__ok(c, cudaMemcpyAsync(c->mail, p.total, sizeof sums, cudaMemcpyDeviceToHost, on)) &&
            mosaic_cuda__wait(c, on)) {
            const unsigned long long fp = mosaic__fp_enter();
            memcpy(sums, c->mail, sizeof sums);
            mosaic_ssim__add(&total, sums[0], sums[1]);
            *mean = mosaic_ssim__mean(&plan, &total);
            mosaic__fp_leave(fp);
        }
    }
    return c->result;
}

/* ==== The engine ==== */

typedef struct mosaic_cuda__paint_job {
    const mosaic_draw *draw;
    const mosaic_curve *curve; /* null: none */
    const uint8_t *tiles, *source;
    uint8_t *rgb;
    size_t source_stride, stride;
    const int32_t *across_first, *down_first;
    const int16_t *across_weight, *down_weight;
    int across_count, down_count;
    int cols, rows, cell_width, cell_height, looks, left, top; /* left, top: of cell 0 in the output, px */
    int width, height;
} mosaic_cuda__paint_job;

typedef struct mosaic_cuda__engine {
    mosaic_cuda *cuda;
    uint8_t *memory;
    size_t size;
    mosaic__pack *pack;
    mosaic__look *look; /* of the cells whose costs are wanted */
    int32_t *table;
    mosaic__tables *tables;
    int32_t *across, *down; /* edges of the describing pixels */
    mosaic__look *looks;    /* of all cells */
    mosaic__look *priced;   /* of each row, when its costs were computed */
    uint8_t *marks;         /* of each row: before it is known what the frame is like, that there are no such costs; then, that they are wanted */
    int32_t *cell_of_row, *guess; /* how many are wanted, and the first of these rows */
    long asked;                   /* what is to be taken is there after the wait of this number */
    int wanted, guessed;          /* rows that were wanted in the last frame; of how many there are costs already */
    size_t guess_at, guess_rows;  /* where in the mail, from the wait of this number on */
    long guess_waits;
    int32_t *todo;             /* here: rows whose costs are still to be computed */
    mosaic__look *host_priced; /* here, as above */
    uint8_t *host_marks;
    mosaic_draw *draw;
    mosaic_curve *curve;
    uint8_t *source, *recolour;
    mosaic__palette *palette;
    mosaic__colours *colours;
    mosaic__codes *codes, *photo_codes; /* of the photographs: null without curves */
    mosaic_cuda__paint_job paint;
    struct mosaic_cuda__finish_job *finish; /* null: what is shown is the canvas */
    mosaic__look *host_look;                /* the same here */
    size_t mail;
    int synced; /* the canvas here is the engine's */
} mosaic_cuda__engine;

/* ---- costs ---- */

enum { MOSAIC_CUDA__CELLS = 8, MOSAIC_CUDA__PHOTOS = 128 }; /* of a block */
enum { MOSAIC_CUDA__RECOLOURED = 32 };                      /* cells of a block where each takes long, for there are few */

typedef struct mosaic_cuda__cost_job {
    mosaic__settings settings;
    const mosaic__look *look;
    const mosaic__pack *pack;
    int32_t *out;
    const int32_t *guess, *cell_of_row; /* null: the looks are those of the cells that are wanted; else, of all */
    int cells, width;
} mosaic_cuda__cost_job;

/* Each thread has one photograph and all cells of the block. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__PHOTOS) mosaic_cuda__costs(mosaic_cuda__cost_job job)
{
    MOSAIC_CUDA__SHARED(mosaic__look, look);
    const unsigned across = ((unsigned)job.width + MOSAIC_CUDA__PHOTOS - 1) / MOSAIC_CUDA__PHOTOS;
    const int photo = (int)(blockIdx.x % across * MOSAIC_CUDA__PHOTOS + threadIdx.x), first = (int)(blockIdx.x / across) * MOSAIC_CUDA__CELLS;
    const int all = job.guess && job.guess[0] < job.cells ? job.guess[0] : job.cells;
    const int cells = all - first < MOSAIC_CUDA__CELLS ? all - first : MOSAIC_CUDA__CELLS, variants = job.settings.variant_count;
    int i, v;
    if ((int)threadIdx.x < cells)
        look[threadIdx.x] = job.look[job.guess ? job.cell_of_row[job.guess[1 + first + (int)threadIdx.x]] : first + (int)threadIdx.x];
    __syncthreads();
    if (photo >= job.width) return;
    for (i = 0; i < cells; i++) {
        const mosaic__pack *pack = job.pack + (size_t)(photo / MOSAIC__LANES) * (size_t)variants;
        int32_t best = mosaic__pair_cost(&job.settings, look + i, pack, photo % MOSAIC__LANES);
        for (v = 1; v < variants; v++) {
            const int32_t cost = mosaic__pair_cost(&job.settings, look + i, pack + v, photo % MOSAIC__LANES);
            if (cost < best) best = cost;
        }
        job.out[(size_t)(first + i) * (size_t)job.width + (size_t)photo] = best;
    }
}

/* Costs of so many cells at most, to the beginning of the table. */
static int mosaic_cuda__engine_table(mosaic_cuda__engine *s, const mosaic_engine *e, int cells, int guess)
{
    mosaic_cuda__cost_job job;
    unsigned grid;
    memset(&job, 0, sizeof job);
    job.settings = e->settings;
    job.look = guess ? s->looks : s->look;
    job.pack = s->pack;
    job.out = s->table;
    job.guess = guess ? s->guess : 0;
    job.cell_of_row = s->cell_of_row;
    job.cells = cells;
    job.width = (int)e->width;
    grid = mosaic_cuda__blocks((size_t)job.width, MOSAIC_CUDA__PHOTOS) * mosaic_cuda__blocks((size_t)cells, MOSAIC_CUDA__CELLS);
    MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__costs, grid, MOSAIC_CUDA__PHOTOS, MOSAIC_CUDA__CELLS * sizeof(mosaic__look), s->cuda->stream, job);
    return mosaic_cuda__launched(s->cuda);
}

/* ---- describing cells ---- */

typedef struct mosaic_cuda__describe_job {
    const uint8_t *source;
    const int32_t *across, *down;
    const mosaic__tables *tables;
    mosaic__codes *codes;
    mosaic__look *looks;
    mosaic__colours *colours;
    const mosaic__look *priced;
    const int32_t *cell_of_row;
    uint8_t *marks;
    int32_t *guess;
    int width, height, cols, rows, filled, room; /* of the source; cells; rows of the table; how many of them a guess has room for */
} mosaic_cuda__describe_job;

/* A thread for each describing pixel. */
static __global__ void mosaic_cuda__codes(mosaic_cuda__describe_job job)
{
    const int across = job.cols * MOSAIC__SIDE, i = (int)(blockIdx.x * blockDim.x + threadIdx.x), x = i % across, y = i / across;
    mosaic__span columns, rows;
    mosaic__codes *to;
    uint64_t sum[3] = {0, 0, 0};
    int u, v, c;
    if (y >= job.rows * MOSAIC__SIDE) return;
    columns = mosaic__span_of(job.across[x], job.across[x + 1], job.width);
    rows = mosaic__span_of(job.down[y], job.down[y + 1], job.height);
    for (v = rows.first; v < rows.end; v++) {
        const uint8_t *p = job.source + ((size_t)v * (size_t)job.width + (size_t)columns.first) * 3;
        uint32_t line[3] = {0, 0, 0};
        for (u = columns.first; u < columns.end; u++, p += 3)
            for (c = 0; c < 3; c++) line[c] += p[c] * mosaic__span_weight(&columns, u);
        for (c = 0; c < 3; c++) sum[c] += (uint64_t)line[c] * mosaic__span_weight(&rows, v);
    }
    to = job.codes + y / MOSAIC__SIDE * job.cols + x / MOSAIC__SIDE;
    for (c = 0; c < 3; c++)
        to->of[c][mosaic__code_index(x % MOSAIC__SIDE, y % MOSAIC__SIDE)] = mosaic__code_of(sum[c], (uint64_t)columns.total * rows.total);
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__RECOLOURED) mosaic_cuda__describe(mosaic_cuda__describe_job job)
{
    const int i = (int)(blockIdx.x * MOSAIC_CUDA__RECOLOURED + threadIdx.x);
    if (i < job.cols * job.rows) mosaic__describe_scalar(job.tables, job.codes + i, job.looks + i, job.colours + i);
}

/* Marks the rows whose costs are out of date. */
static __global__ void mosaic_cuda__mark(mosaic_cuda__describe_job job)
{
    const int r = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (r < job.filled && !job.marks[r]) job.marks[r] = mosaic__look_distance(job.looks + job.cell_of_row[r], job.priced + r, 0) > MOSAIC__REFRESH;
}

/* Lists them, in order: one block, each thread a stretch of rows. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__SPAN) mosaic_cuda__list(mosaic_cuda__describe_job job)
{
    MOSAIC_CUDA__SHARED(int32_t, counts);
    const int t = (int)threadIdx.x, stretch = (job.filled + MOSAIC_CUDA__SPAN - 1) / MOSAIC_CUDA__SPAN, from = t * stretch;
    const int to = from + stretch < job.filled ? from + stretch : job.filled;
    int r, at = 0;
    for (r = from; r < to; r++) at += job.marks[r];
    counts[t] = at;
    __syncthreads();
    for (r = 0, at = 0; r < t; r++) at += counts[r];
    for (r = from; r < to; r++)
        if (job.marks[r] && at++ < job.room) job.guess[at] = r;
    if (t == MOSAIC_CUDA__SPAN - 1) job.guess[0] = at;
}

/* All cells, and, before it is known what else is wanted, the costs of those that moved away from what their costs were computed for: so many of them as
   the frame before lets expect. */
static int mosaic_cuda__engine_describe(void *state, const mosaic_engine *e)
{
    mosaic_cuda__engine *s = (mosaic_cuda__engine *)state;
    mosaic_cuda *c = s->cuda;
    const mosaic_grid *g = &e->grid;
    const size_t cells = (size_t)e->cells, pixels = cells * MOSAIC__PIXELS, filled = (size_t)e->filled;
    const int room = s->wanted + s->wanted / 4 + 16 < e->filled ? s->wanted + s->wanted / 4 + 16 : e->filled;
    mosaic_cuda__describe_job job;
    int r;
    s->guessed = s->wanted = 0;
    s->asked = c->waits;
    if (c->result != MOSAIC_CUDA_OK) return 1;
    memset(&job, 0, sizeof job);
    job.source = s->source;
    job.across = s->across;
    job.down = s->down;
    job.tables = s->tables;
    job.codes = s->codes;
    job.looks = s->looks;
    job.colours = s->colours;
    job.priced = s->priced;
    job.cell_of_row = s->cell_of_row;
    job.marks = s->marks;
    job.guess = s->guess;
    job.width = g->source_width;
    job.height = g->source_height;
    job.cols = g->cols;
    job.rows = g->rows;
    job.filled = e->filled;
    job.room = room;
    if (!mosaic_cuda__up_rows(c, s->source, e->input.rgb, e->input.stride, (size_t)g->source_width * 3, (size_t)g->source_height)) return 1;
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__codes, mosaic_cuda__blocks(pixels, MOSAIC_CUDA__PHOTOS), MOSAIC_CUDA__PHOTOS, 0, c->stream, job);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__describe, mosaic_cuda__blocks(cells, MOSAIC_CUDA__RECOLOURED), MOSAIC_CUDA__RECOLOURED, 0, c->stream, job);
    if (!mosaic_cuda__launched(c) || !mosaic_cuda__down(c, e->look, s->looks, cells * sizeof *e->look) ||
        !mosaic_cuda__down(c, e->colours, s->colours, cells * sizeof *e->colours) ||
        !mosaic_cuda__down(c, e->next_codes, s->codes, cells * sizeof *e->codes))
        return 1;
    if (!s->table) return 0;
    for (r = 0; r < e->filled; r++) {
        const mosaic__cell *cell = e->cell + e->cell_of_row[r];
        s->host_priced[r] = cell->priced;
        s->host_marks[r] = e->frames == 0 || e->settings.bonus == 0 || cell->photo < 0;
    }
    if (!mosaic_cuda__up(c, s->priced, s->host_priced, filled * sizeof *s->priced) || !mosaic_cuda__up(c, s->marks, s->host_marks, filled)) return 1;
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__mark, mosaic_cuda__blocks(filled, MOSAIC_CUDA__PHOTOS), MOSAIC_CUDA__PHOTOS, 0, c->stream, job);
    MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__list, 1, MOSAIC_CUDA__SPAN, MOSAIC_CUDA__SPAN * sizeof(int32_t), c->stream, job);
    if (!mosaic_cuda__launched(c) || !mosaic_cuda__engine_table(s, e, room, 1)) return 1;
    s->guess_at = mosaic_cuda__keep(c, s->guess, (1 + (size_t)room) * sizeof *s->guess);
    s->guess_rows = s->guess_at ? mosaic_cuda__keep(c, s->table, (size_t)room * e->width * sizeof *s->table) : 0;
    s->guessed = s->guess_rows ? room : 0;
    s->guess_waits = c->waits;
    return c->result != MOSAIC_CUDA_OK;
}

/* The rows of the engine's table whose cells are stale: they are there when the stream has been waited for. */
static int mosaic_cuda__engine_costs(void *state, const mosaic_engine *e)
{
    mosaic_cuda__engine *s = (mosaic_cuda__engine *)state;
    mosaic_cuda *c = s->cuda;
    const int there = s->guessed > 0 && c->waits == s->guess_waits + 1 && c->mail_used == MOSAIC_CUDA__MAIL_BEGIN;
    const int32_t *list = (const int32_t *)(const void *)(c->mail + s->guess_at), *rows = (const int32_t *)(const void *)(c->mail + s->guess_rows);
    int r, k, known, end, count = 0;
    if (c->result != MOSAIC_CUDA_OK || !s->table) return 1;
    known = !there ? 0 : list[0] < s->guessed ? list[0] : s->guessed;
    s->guessed = 0;
    for (r = 0, k = 0; r < e->filled; r++) {
        if (!e->stale[e->cell_of_row[r]]) continue;
        s->wanted++;
        while (k < known && list[1 + k] < r) k++;
        if (k < known && list[1 + k] == r) {
            memcpy(e->table + (size_t)r * e->width, rows + (size_t)k * e->width, e->width * sizeof *e->table);
            continue;
        }
        s->host_look[count] = e->cell[e->cell_of_row[r]].priced;
        s->todo[count++] = r;
    }
    s->asked = count ? c->waits : -1;
    if (count == 0) return 0;
    if (!mosaic_cuda__up(c, s->look, s->host_look, (size_t)count * sizeof *s->look) || !mosaic_cuda__engine_table(s, e, count, 0)) return 1;
    for (r = 0; r < count; r = end) { /* rows that follow each other come back in one piece */
        for (end = r + 1; end < count && s->todo[end] == s->todo[end - 1] + 1; end++) continue;
        if (!mosaic_cuda__down(c, e->table + (size_t)s->todo[r] * e->width, s->table + (size_t)r * e->width,
                               (size_t)(end - r) * e->width * sizeof *s->table))
            return 1;
    }
    return 0;
}

static int mosaic_cuda__engine_take(void *state, const mosaic_engine *e)
{
    mosaic_cuda__engine *s = (mosaic_cuda__engine *)state;
    (void)e;
    if (s->asked < s->cuda->waits) return s->cuda->result != MOSAIC_CUDA_OK;
    return !mosaic_cuda__wait(s->cuda, s->cuda->stream);
}

/* ---- painting ---- */

/* One pixel of the output; the formulas are those of mosaic_draw and mosaic_curve. */
static __global__ void mosaic_cuda__paint(mosaic_cuda__paint_job p)
{
    const int x = (int)(blockIdx.x * 32 + threadIdx.x), y = (int)(blockIdx.y * 8 + threadIdx.y), gx = x - p.left, gy = y - p.top;
    const mosaic_draw *d;
    const uint8_t *t;
    int32_t source[3] = {1 << 19, 1 << 19, 1 << 19};
    int col, row, tx, ty, c, i, k;
    if (x >= p.width || y >= p.height || gx < 0 || gy < 0) return;
    col = gx / p.cell_width;
    row = gy / p.cell_height;
    if (col >= p.cols || row >= p.rows) return;
    d = p.draw + (size_t)row * (size_t)p.cols + (size_t)col;
    if (!d->repaint) return;
    tx = gx - col * p.cell_width;
    ty = gy - row * p.cell_height;
    if (d->variant == MOSAIC_MIRROR) tx = p.cell_width - 1 - tx;
    t = p.tiles + ((((size_t)(d->photo < 0 ? 0 : d->photo) * (size_t)p.looks + d->look) * (size_t)p.cell_height + (size_t)ty) * (size_t)p.cell_width +
                   (size_t)tx) *
                      3;
    for (k = 0; k < p.down_count; k++) {
        const uint8_t *s = p.source + (size_t)(p.down_first[y] + k) * p.source_stride + (size_t)p.across_first[x] * 3;
        const int16_t *w = p.across_weight + (size_t)x * (size_t)p.across_count;
        int32_t sum[3] = {128, 128, 128};
        for (i = 0; i < p.across_count; i++, s += 3)
            for (c = 0; c < 3; c++) sum[c] += s[c] * w[i];
        for (c = 0; c < 3; c++) source[c] += (int16_t)(sum[c] >> 8) * p.down_weight[(size_t)y * (size_t)p.down_count + (size_t)k];
    }
    for (c = 0; c < 3; c++) {
        const int16_t *m = d->colour[c];
        int32_t value = m[0] * t[0] + m[1] * t[1] + m[2] * t[2] + 256 * m[4] + 2048;
        if (p.curve && d->photo >= 0) {
            const int v = mosaic__clamp(value >> 12, 0, 255);
            const int16_t *level = p.curve[(size_t)row * (size_t)p.cols + (size_t)col].level[c] + v / 16;
            value = 16 * (level[0] * (16 - v % 16) + level[1] * (v % 16)) + 2048;
        }
        value += m[3] * (source[c] >> 20);
        p.rgb[(size_t)y * p.stride + 3 * (size_t)x + (size_t)c] = (uint8_t)mosaic__clamp(value >> 12, 0, 255);
    }
}

typedef struct mosaic_cuda__recolour_job {
    mosaic__settings settings;
    const uint8_t *recolour;
    mosaic_draw *draw;
    mosaic_curve *curve; /* null: none */
    const mosaic__palette *palette;
    const mosaic__colours *colours;
    const mosaic__codes *photo_codes, *codes;
    int cells, looks;
} mosaic_cuda__recolour_job;

/* A cell's colour map, and its curves. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__RECOLOURED) mosaic_cuda__recolour(mosaic_cuda__recolour_job job)
{
    const int i = (int)(blockIdx.x * MOSAIC_CUDA__RECOLOURED + threadIdx.x);
    mosaic_draw *d = job.draw + i;
    size_t look;
    if (i >= job.cells || !job.recolour[i]) return;
    look = (size_t)d->photo * (size_t)job.looks + d->look;
    mosaic__recolour(&job.settings, job.palette + look, d->variant, job.colours + i, d->colour);
    if (job.curve) mosaic__bend(&job.settings, job.photo_codes + look, job.codes + i, d->colour, job.curve + i);
}

static int mosaic_cuda__engine_recolour(mosaic_cuda__engine *s, const mosaic_engine *e)
{
    mosaic_cuda *c = s->cuda;
    const size_t cells = (size_t)e->cells;
    mosaic_cuda__recolour_job job;
    memset(&job, 0, sizeof job);
    job.settings = e->settings;
    job.recolour = s->recolour;
    job.draw = s->draw;
    job.curve = s->curve;
    job.palette = s->palette;
    job.colours = s->colours;
    job.photo_codes = s->photo_codes;
    job.codes = s->codes;
    job.cells = e->cells;
    job.looks = e->pool->looks;
    if (!mosaic_cuda__up(c, s->draw, e->draw, cells * sizeof *e->draw) || !mosaic_cuda__up(c, s->recolour, e->recolour, cells) ||
        (e->curve && !mosaic_cuda__up(c, s->curve, e->curve, cells * sizeof *e->curve)))
        return 0;
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__recolour, mosaic_cuda__blocks(cells, MOSAIC_CUDA__RECOLOURED), MOSAIC_CUDA__RECOLOURED, 0, c->stream, job);
    return mosaic_cuda__launched(c) && mosaic_cuda__down(c, e->draw, s->draw, cells * sizeof *e->draw) &&
           (!e->curve || mosaic_cuda__down(c, e->curve, s->curve, cells * sizeof *e->curve));
}

/* ---- finishing: every pixel that cells cover, each time ---- */

typedef struct mosaic_cuda__finish_job {
    const mosaic_draw *draw;
    const uint8_t *picture[3]; /* the canvas; with Laplacian borders, it smoothed */
    const int16_t *tone;       /* null: colours stay */
    uint8_t *smooth[2], *blended, *shown;
    int16_t *luma; /* of what is blended; null: no local contrast, no sharpness */
    size_t stride;
    int64_t inverse;
    int cols, rows, cell_width, cell_height, left, top, width, height, x0, x1, y0, y1;
    int border[3], bands, radius, local, sharp;
} mosaic_cuda__finish_job;

/* A pixel and its cell: its index, -1 where there is none, its corner, and the columns and rows of it that lie in the output. */
typedef struct mosaic_cuda__site {
    int x, y, cell, begin_x, begin_y, x0, x1, y0, y1;
} mosaic_cuda__site;

static __device__ __forceinline__ mosaic_cuda__site mosaic_cuda__site_of(const mosaic_cuda__finish_job *f)
{
    mosaic_cuda__site s;
    int col, row;
    s.x = (int)(blockIdx.x * 32 + threadIdx.x);
    s.y = (int)(blockIdx.y * 8 + threadIdx.y);
    s.cell = -1;
    if (s.x < f->x0 || s.x >= f->x1 || s.y < f->y0 || s.y >= f->y1) return s;
    col = (s.x - f->left) / f->cell_width;
    row = (s.y - f->top) / f->cell_height;
    s.cell = row * f->cols + col;
    s.begin_x = f->left + col * f->cell_width;
    s.begin_y = f->top + row * f->cell_height;
    s.x0 = mosaic__clamp(s.begin_x, 0, f->width);
    s.x1 = mosaic__clamp(s.begin_x + f->cell_width, 0, f->width);
    s.y0 = mosaic__clamp(s.begin_y, 0, f->height);
    s.y1 = mosaic__clamp(s.begin_y + f->cell_height, 0, f->height);
    return s;
}

static __device__ __forceinline__ size_t mosaic_cuda__pixel(const mosaic_cuda__finish_job *f, int x, int y)
{
    return (size_t)y * f->stride + (size_t)x * 3;
}

/* mosaic__smooth_cell, of one pixel. */
static __global__ void mosaic_cuda__smooth(mosaic_cuda__finish_job f)
{
    const mosaic_cuda__site s = mosaic_cuda__site_of(&f);
    int k, c, dx, dy;
    if (s.cell < 0) return;
    for (k = 0; k < 2; k++) {
        const int w = s.x1 - s.x0, h = s.y1 - s.y0, most = (w < h ? w : h) - 1, r = f.border[k] < most ? f.border[k] : most;
        const int32_t n = (2 * r + 1) * (2 * r + 1);
        int32_t sum[3] = {0, 0, 0};
        for (dy = -r; dy <= r; dy++)
            for (dx = -r; dx <= r; dx++) {
                const uint8_t *p =
                    f.picture[0] + mosaic_cuda__pixel(&f, s.x0 + mosaic__mirrored(s.x - s.x0 + dx, w), s.y0 + mosaic__mirrored(s.y - s.y0 + dy, h));
                for (c = 0; c < 3; c++) sum[c] += p[c];
            }
        for (c = 0; c < 3; c++) f.smooth[k][mosaic_cuda__pixel(&f, s.x, s.y) + (size_t)c] = (uint8_t)((sum[c] + n / 2) / n);
    }
}

/* How a row of a cell is blended: with which other row, to the left, in the middle and to the right; see mosaic__blend_borders. */
typedef struct mosaic_cuda__beside {
    int left, right, distance, other[3];
} mosaic_cuda__beside;

/* What column x gives to the sums of a pixel of the cell, or of its mirror image. */
static __device__ __forceinline__ void mosaic_cuda__weigh(const mosaic_cuda__finish_job *f, const mosaic_cuda__site *s, const mosaic_cuda__beside *b,
                                                          int x, int32_t sum[3])
{
    const int end = s->begin_x + f->cell_width, outside = x < s->begin_x || x >= end;
    const int at_left = x < s->begin_x + b->left, at_right = x >= end - b->right;
    const int distance = at_left ? (outside ? s->begin_x - 1 - x : x - s->begin_x) : outside ? x - end : end - 1 - x;
    const int none = !(at_left || at_right) || f->draw[s->cell + (at_left ? -1 : 1)].photo < 0;
    const int first = s->x0 + b->left < s->x1 + b->right ? s->x0 + b->left : s->x1 + b->right; /* the end of the left columns */
    const int row = b->other[x < first ? 0 : x < s->x1 - b->right ? 1 : 2];
    const size_t own = mosaic_cuda__pixel(f, x, s->y), other = mosaic_cuda__pixel(f, x, row < 0 ? s->y : row);
    int k;
    size_t c;
    for (k = 0; k < f->bands; k++) {
        const int width = f->border[f->bands == 3 ? k : 2];
        const int32_t share = none ? 0 : mosaic__border_share(distance, width), across = outside ? share : 256 - share;
        const int32_t down = row < 0 ? 0 : mosaic__border_share(b->distance, width);
        for (c = 0; c < 3; c++) {
            int32_t here = f->picture[k][own + c], there = f->picture[k][other + c];
            if (k + 1 < f->bands) {
                here -= f->picture[k + 1][own + c];
                there -= f->picture[k + 1][other + c];
            }
            sum[c] += (here * (256 - down) + there * down) * across;
        }
    }
}

/* Borders, then colours. */
static __global__ void mosaic_cuda__blend(mosaic_cuda__finish_job f)
{
    const mosaic_cuda__site s = mosaic_cuda__site_of(&f);
    uint8_t pixel[3];
    size_t at;
    int c, k;
    if (s.cell < 0) return;
    at = mosaic_cuda__pixel(&f, s.x, s.y);
    for (c = 0; c < 3; c++) pixel[c] = f.picture[0][at + (size_t)c];
    if (f.draw[s.cell].photo >= 0) {
        if (f.border[2] > 0) {
            int32_t sum[3] = {0, 0, 0};
            mosaic_cuda__beside b;
            const int row = mosaic__across_border(s.y, s.begin_y, s.begin_y + f.cell_height, f.y0, f.y1, f.border[2], &b.distance);
            const int over = row < 0 ? 0 : row < s.y ? -f.cols : f.cols;
            b.left = mosaic__clamp(s.begin_x - f.x0, 0, f.border[2]);
            b.right = mosaic__clamp(f.x1 - s.begin_x - f.cell_width, 0, f.border[2]);
            for (k = 0; k < 3; k++) b.other[k] = over && f.draw[s.cell + over].photo >= 0 ? row : -1;
            if (over && b.left && f.draw[s.cell + over - 1].photo < 0) b.other[0] = -1;
            if (over && b.right && f.draw[s.cell + over + 1].photo < 0) b.other[2] = -1;
            mosaic_cuda__weigh(&f, &s, &b, s.x, sum);
            if (s.x - s.x0 < b.left) mosaic_cuda__weigh(&f, &s, &b, 2 * s.x0 - 1 - s.x, sum);
            if (s.x1 - 1 - s.x < b.right) mosaic_cuda__weigh(&f, &s, &b, 2 * s.x1 - 1 - s.x, sum);
            for (c = 0; c < 3; c++) pixel[c] = (uint8_t)mosaic__clamp((sum[c] + 32768) >> 16, 0, 255);
        }
        if (f.tone) {
            uint8_t toned[3];
            mosaic__tone_pixel(f.tone, pixel, toned);
            for (c = 0; c < 3; c++) pixel[c] = toned[c];
        }
    }
    for (c = 0; c < 3; c++) f.blended[at + (size_t)c] = pixel[c];
}

static __global__ void mosaic_cuda__luma(mosaic_cuda__finish_job f)
{
    const mosaic_cuda__site s = mosaic_cuda__site_of(&f);
    if (s.cell >= 0) f.luma[(size_t)s.y * (size_t)f.width + (size_t)s.x] = mosaic__luma16(f.blended + mosaic_cuda__pixel(&f, s.x, s.y));
}

/* mosaic__raise_cell, of one pixel. */
static __global__ void mosaic_cuda__raise(mosaic_cuda__finish_job f)
{
    const mosaic_cuda__site s = mosaic_cuda__site_of(&f);
    const int reach = f.radius > 2 ? f.radius : 2;
    int32_t own, box = 0, around = 0, more;
    size_t at;
    int dx, dy, c;
    if (s.cell < 0) return;
    at = mosaic_cuda__pixel(&f, s.x, s.y);
    if (f.draw[s.cell].photo < 0) {
        for (c = 0; c < 3; c++) f.shown[at + (size_t)c] = f.blended[at + (size_t)c];
        return;
    }
    own = f.luma[(size_t)s.y * (size_t)f.width + (size_t)s.x];
    for (dy = -reach; dy <= reach; dy++) {
        const int16_t *line = f.luma + (size_t)mosaic__clamp(s.y + dy, f.y0, f.y1 - 1) * (size_t)f.width;
        for (dx = -reach; dx <= reach; dx++) {
            const int32_t v = line[mosaic__clamp(s.x + dx, f.x0, f.x1 - 1)];
            const int far_x = dx < 0 ? -dx : dx, far_y = dy < 0 ? -dy : dy;
            if (far_x <= f.radius && far_y <= f.radius) box += v;
            if (far_x <= 2 && far_y <= 2) around += v * (3 - far_x) * (3 - far_y);
        }
    }
    more = f.local * (own - (int32_t)(box * f.inverse >> 32)) + f.sharp * (own - around / 81);
    for (c = 0; c < 3; c++) f.shown[at + (size_t)c] = (uint8_t)mosaic__clamp(f.blended[at + (size_t)c] + ((more + 2048) >> 12), 0, 255);
}

static int mosaic_cuda__engine_finish(mosaic_cuda__engine *s, const mosaic_engine *e)
{
    mosaic_cuda *c = s->cuda;
    const mosaic_cuda__finish_job *f = s->finish;
    const dim3 grid((unsigned)((f->width + 31) / 32), (unsigned)((f->height + 7) / 8)), block(32, 8);
    if (f->tone && !mosaic_cuda__up(c, (void *)f->tone, e->finisher.tone, MOSAIC__TONE_VALUES * sizeof *f->tone)) return 0;
    if (f->bands == 3) MOSAIC_CUDA__LAUNCH(mosaic_cuda__smooth, grid, block, 0, c->stream, *f);
    if (f->blended != f->picture[0]) MOSAIC_CUDA__LAUNCH(mosaic_cuda__blend, grid, block, 0, c->stream, *f);
    if (f->luma) {
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__luma, grid, block, 0, c->stream, *f);
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__raise, grid, block, 0, c->stream, *f);
    }
    return mosaic_cuda__launched(c);
}

/* Whole rows of cells come back to `to` where anything in them was painted, or within so many rows of them, or all. */
static int mosaic_cuda__engine_rows(mosaic_cuda__engine *s, const mosaic_engine *e, uint8_t *to, const uint8_t *from, int reach, int all)
{
    const mosaic_grid *g = &e->grid;
    const size_t stride = (size_t)g->width * 3;
    int row, i, begin, end, skip;
    for (row = 0; row < g->rows; row++) {
        const int last = (row + reach < g->rows ? row + reach + 1 : g->rows) * g->cols;
        for (i = (row > reach ? row - reach : 0) * g->cols; !all && i < last && !e->draw[i].repaint; i++) continue;
        mosaic__cell_range(g->origin_y, row, g->cell_height, g->height, &begin, &end, &skip);
        if (i < last && !mosaic_cuda__down(s->cuda, to + (size_t)begin * stride, from + (size_t)begin * stride, (size_t)(end - begin) * stride))
            return 0;
    }
    return 1;
}

/* What the engine's own painter is about to do: the cells of the draw list that are to be painted again, on its canvas. */
static int mosaic_cuda__engine_paint(void *state, const mosaic_engine *e)
{
    mosaic_cuda__engine *s = (mosaic_cuda__engine *)state;
    mosaic_cuda *c = s->cuda;
    const mosaic_grid *g = &e->grid;
    const mosaic__finisher *f = &e->finisher;
    if (c->result != MOSAIC_CUDA_OK) return 1;
    if (!mosaic_cuda__engine_recolour(s, e)) return 1;
    if ((e->canvas_changed || !s->synced) && !mosaic_cuda__up(c, s->paint.rgb, e->canvas, (size_t)g->width * 3 * (size_t)g->height)) return 1;
    s->synced = 0; /* until it is known to have worked */
    {
        const dim3 grid((unsigned)((g->width + 31) / 32), (unsigned)((g->height + 7) / 8)), block(32, 8);
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__paint, grid, block, 0, c->stream, s->paint);
    }
    if (!mosaic_cuda__launched(c)) return 1;
    if (!mosaic_cuda__engine_rows(s, e, e->canvas, s->paint.rgb, 0, 0)) return 1;
    if (s->finish) {
        const int reach = (f->width[2] > 0) + (f->margin + g->cell_height - 1) / g->cell_height;
        if (!mosaic_cuda__engine_finish(s, e) || !mosaic_cuda__engine_rows(s, e, f->shown, s->finish->shown, reach, !f->ready)) return 1;
    }
    if (!mosaic_cuda__wait(c, c->stream)) return 1;
    s->synced = 1;
    return 0;
}

/* ---- open, close ---- */

static void mosaic_cuda__engine_close(void *state)
{
    mosaic_cuda__engine *s = (mosaic_cuda__engine *)state;
    mosaic_cuda__release(s->cuda, s->memory, s->size);
    s->cuda->mail_wanted -= s->mail;
    free(s->host_look);
    free(s->host_priced);
    free(s->host_marks);
    free(s->todo);
    free(s->finish);
    free(s);
}

static void mosaic_cuda__finish_plan(mosaic_cuda__engine *s, const mosaic_engine *e, mosaic_cuda__arena *arena)
{
    const mosaic_grid *g = &e->grid;
    const mosaic__finisher *from = &e->finisher;
    const size_t pixels = (size_t)g->width * (size_t)g->height;
    const int64_t n = (int64_t)(2 * from->radius + 1) * (2 * from->radius + 1);
    mosaic_cuda__finish_job *f = s->finish;
    int k;
    f->draw = s->draw;
    f->picture[0] = s->paint.rgb;
    f->shown = (uint8_t *)mosaic_cuda__take(arena, pixels, 3);
    f->blended = from->blended == from->shown    ? f->shown
                 : from->blended == from->canvas ? s->paint.rgb
                                                 : (uint8_t *)mosaic_cuda__take(arena, pixels, 3);
    f->luma = from->blended == from->shown ? 0 : (int16_t *)mosaic_cuda__take(arena, pixels, sizeof *f->luma);
    f->tone = from->tone ? (int16_t *)mosaic_cuda__take(arena, MOSAIC__TONE_VALUES, sizeof *f->tone) : 0;
    f->bands = from->smooth[0] ? 3 : 1;
    for (k = 0; k < 2 && from->smooth[0]; k++) f->picture[k + 1] = f->smooth[k] = (uint8_t *)mosaic_cuda__take(arena, pixels, 3);
    f->stride = s->paint.stride;
    f->inverse = (((int64_t)1 << 32) + n - 1) / n;
    f->cols = g->cols;
    f->rows = g->rows;
    f->cell_width = g->cell_width;
    f->cell_height = g->cell_height;
    f->left = s->paint.left;
    f->top = s->paint.top;
    f->width = g->width;
    f->height = g->height;
    f->x0 = from->x0;
    f->x1 = from->x1;
    f->y0 = from->y0;
    f->y1 = from->y1;
    for (k = 0; k < 3; k++) f->border[k] = from->width[k];
    f->radius = from->radius;
    f->local = from->settings->local_contrast;
    f->sharp = from->settings->sharpness;
}

static void mosaic_cuda__engine_plan(mosaic_cuda__engine *s, const mosaic_engine *e, mosaic_cuda__arena *arena)
{
    const mosaic_grid *g = &e->grid;
    const mosaic__painter *p = &e->painter;
    const size_t cells = (size_t)e->cells, pixels = (size_t)g->width * (size_t)g->height, looks = (size_t)e->photos * (size_t)e->pool->looks;
    mosaic_cuda__paint_job *job = &s->paint;
    if (e->table) {
        s->pack = (mosaic__pack *)mosaic_cuda__take(arena, e->width / MOSAIC__LANES * (size_t)e->settings.variant_count, sizeof *s->pack);
        s->look = (mosaic__look *)mosaic_cuda__take(arena, (size_t)e->filled, sizeof *s->look);
        s->table = (int32_t *)mosaic_cuda__take(arena, (size_t)e->filled * e->width, sizeof *s->table);
        s->priced = (mosaic__look *)mosaic_cuda__take(arena, (size_t)e->filled, sizeof *s->priced);
        s->marks = (uint8_t *)mosaic_cuda__take(arena, (size_t)e->filled, 1);
        s->cell_of_row = (int32_t *)mosaic_cuda__take(arena, (size_t)e->filled, sizeof *s->cell_of_row);
        s->guess = (int32_t *)mosaic_cuda__take(arena, (size_t)e->filled + 1, sizeof *s->guess);
    }
    s->source = (uint8_t *)mosaic_cuda__take(arena, (size_t)g->source_width * (size_t)g->source_height, 3);
    s->tables = (mosaic__tables *)mosaic_cuda__take(arena, 1, sizeof *s->tables);
    s->across = (int32_t *)mosaic_cuda__take(arena, (size_t)g->cols * MOSAIC__SIDE + 1, sizeof *s->across);
    s->down = (int32_t *)mosaic_cuda__take(arena, (size_t)g->rows * MOSAIC__SIDE + 1, sizeof *s->down);
    s->codes = (mosaic__codes *)mosaic_cuda__take(arena, cells, sizeof *s->codes);
    s->looks = (mosaic__look *)mosaic_cuda__take(arena, cells, sizeof *s->looks);
    s->colours = (mosaic__colours *)mosaic_cuda__take(arena, cells, sizeof *s->colours);
    if (!e->canvas) return;
    s->draw = (mosaic_draw *)mosaic_cuda__take(arena, cells, sizeof *s->draw);
    s->curve = e->curve ? (mosaic_curve *)mosaic_cuda__take(arena, cells, sizeof *s->curve) : 0;
    s->recolour = (uint8_t *)mosaic_cuda__take(arena, cells, 1);
    s->palette = (mosaic__palette *)mosaic_cuda__take(arena, looks, sizeof *s->palette);
    s->photo_codes = e->curve ? (mosaic__codes *)mosaic_cuda__take(arena, looks, sizeof *s->photo_codes) : 0;
    job->draw = s->draw;
    job->curve = s->curve;
    job->source = s->source;
    job->source_stride = (size_t)g->source_width * 3;
    job->stride = (size_t)g->width * 3;
    job->tiles = (uint8_t *)mosaic_cuda__take(arena, (size_t)e->photos, mosaic__photo_bytes(e->pool));
    job->rgb = (uint8_t *)mosaic_cuda__take(arena, pixels, 3);
    job->across_first = (int32_t *)mosaic_cuda__take(arena, (size_t)g->width, sizeof(int32_t));
    job->across_weight = (int16_t *)mosaic_cuda__take(arena, (size_t)g->width * (size_t)p->across.count, sizeof(int16_t));
    job->down_first = (int32_t *)mosaic_cuda__take(arena, (size_t)g->height, sizeof(int32_t));
    job->down_weight = (int16_t *)mosaic_cuda__take(arena, (size_t)g->height * (size_t)p->down.count, sizeof(int16_t));
    job->across_count = p->across.count;
    job->down_count = p->down.count;
    job->cols = g->cols;
    job->rows = g->rows;
    job->cell_width = g->cell_width;
    job->cell_height = g->cell_height;
    job->looks = e->pool->looks;
    job->left = (int)mosaic__div_floor((int64_t)g->origin_x + 32, 64);
    job->top = (int)mosaic__div_floor((int64_t)g->origin_y + 32, 64);
    job->width = g->width;
    job->height = g->height;
    if (s->finish) mosaic_cuda__finish_plan(s, e, arena);
}

/* What stays the same for a whole stream. */
static int mosaic_cuda__engine_fill(mosaic_cuda__engine *s, const mosaic_engine *e)
{
    mosaic_cuda *c = s->cuda;
    const mosaic_grid *g = &e->grid;
    const mosaic__painter *p = &e->painter;
    const size_t photo = mosaic__photo_bytes(e->pool), looks = (size_t)e->photos * (size_t)e->pool->looks;
    int i;
    if (s->pack && !mosaic_cuda__up(c, s->pack, e->pack, e->width / MOSAIC__LANES * (size_t)e->settings.variant_count * sizeof *s->pack)) return 0;
    if (s->table && !mosaic_cuda__up(c, s->cell_of_row, e->cell_of_row, (size_t)e->filled * sizeof *s->cell_of_row)) return 0;
    if (!mosaic_cuda__up(c, s->tables, &e->tables, sizeof *s->tables) ||
        !mosaic_cuda__up(c, s->across, e->across, ((size_t)g->cols * MOSAIC__SIDE + 1) * sizeof *s->across) ||
        !mosaic_cuda__up(c, s->down, e->down, ((size_t)g->rows * MOSAIC__SIDE + 1) * sizeof *s->down))
        return 0;
    if (s->draw) {
        if (!mosaic_cuda__up(c, s->palette, e->palette, looks * sizeof *e->palette) ||
            (s->photo_codes && !mosaic_cuda__up(c, s->photo_codes, e->photo_codes, looks * sizeof *e->photo_codes)) ||
            (s->finish && !mosaic_cuda__ok(c, cudaMemsetAsync(s->finish->shown, 0, (size_t)g->width * 3 * (size_t)g->height, c->stream))))
            return 0;
        for (i = 0; i < e->photos; i++)
            if (!mosaic_cuda__up(c, (uint8_t *)s->paint.tiles + (size_t)i * photo, e->pool->pixels[i], photo)) return 0;
        if (!mosaic_cuda__up(c, (void *)s->paint.across_first, p->across.first, (size_t)g->width * sizeof(int32_t)) ||
            !mosaic_cuda__up(c, (void *)s->paint.across_weight, p->across.weight, (size_t)g->width * (size_t)p->across.count * sizeof(int16_t)) ||
            !mosaic_cuda__up(c, (void *)s->paint.down_first, p->down.first, (size_t)g->height * sizeof(int32_t)) ||
            !mosaic_cuda__up(c, (void *)s->paint.down_weight, p->down.weight, (size_t)g->height * (size_t)p->down.count * sizeof(int16_t)))
            return 0;
    }
    return mosaic_cuda__wait(c, c->stream);
}

/* Bytes that travel in a frame, at most. */
static size_t mosaic_cuda__engine_mail(const mosaic_engine *e)
{
    const mosaic_grid *g = &e->grid;
    const size_t cells = (size_t)e->cells, each = 3 * sizeof(mosaic__look) + 32 + 2 * (sizeof(mosaic_draw) + sizeof(mosaic_curve)) +
                                                  sizeof(mosaic__colours) + sizeof(mosaic__codes) + 1;
    size_t size = cells * each + (e->table ? (size_t)e->filled * e->width * sizeof *e->table : 0);
    size += (size_t)g->source_width * (size_t)g->source_height * 3;
    if (!e->canvas) return size;
    return size + (size_t)g->width * (size_t)g->height * 9 + MOSAIC__TONE_VALUES * sizeof(int16_t);
}

static void *mosaic_cuda__engine_open(void *ctx, const mosaic_engine *e)
{
    mosaic_cuda *c = (mosaic_cuda *)ctx;
    mosaic_cuda__engine *s;
    mosaic_cuda__arena arena;
    if (c->result != MOSAIC_CUDA_OK) return 0;
    s = (mosaic_cuda__engine *)malloc(sizeof *s);
    if (!s) return 0;
    memset(s, 0, sizeof *s);
    s->cuda = c;
    s->host_look = (mosaic__look *)malloc((size_t)e->filled * sizeof *s->host_look);
    s->host_priced = (mosaic__look *)malloc((size_t)e->filled * sizeof *s->host_priced);
    s->host_marks = (uint8_t *)malloc((size_t)e->filled);
    s->todo = (int32_t *)malloc((size_t)e->filled * sizeof *s->todo);
    s->wanted = e->filled;
    s->finish = e->finisher.shown ? (mosaic_cuda__finish_job *)calloc(1, sizeof *s->finish) : 0;
    memset(&arena, 0, sizeof arena);
    if (s->finish || !e->finisher.shown) mosaic_cuda__engine_plan(s, e, &arena);
    if (s->host_look && s->host_priced && s->host_marks && s->todo && (s->finish || !e->finisher.shown) && !arena.overflow) {
        s->size = arena.used;
        s->memory = arena.base = mosaic_cuda__allocate(c, s->size);
        arena.used = 0;
        if (arena.base) {
            mosaic_cuda__engine_plan(s, e, &arena);
            if (mosaic_cuda__reserve(c, &s->mail, mosaic_cuda__engine_mail(e)) && mosaic_cuda__engine_fill(s, e)) return s;
        }
    } else
        mosaic_cuda__fail(c, MOSAIC_CUDA_ERROR_HOST_MEMORY, cudaSuccess);
    mosaic_cuda__engine_close(s);
    return 0;
}

/* ==== RAFT in integers ====

   The stream's whole block of memory is there twice, here and on the device, with everything in the same place: so the functions of mosaic_flow.h, which
   lay out the network and say which step follows which, are taken as they are, and only the steps themselves (mosaic_flow__qstep) are kernels. What
   becomes of the sums is again mosaic_flow.h's own code.

   Weights are 16 bits, and devices multiply pairs of 16 bits by pairs of bytes in one instruction: so a pair of weights lies in a word as its two low
   bytes and its two high ones, and a product is two of these instructions. Sums are taken modulo 2^32, where that changes nothing. */

typedef struct mosaic_cuda__extent {
    int32_t largest, shift;
    unsigned long long longest;
} mosaic_cuda__extent;

typedef struct mosaic_cuda__norm {
    unsigned long long sum[MOSAIC_FLOW__QOUTPUTS], deviation[MOSAIC_FLOW__QOUTPUTS], square[MOSAIC_FLOW__QOUTPUTS]; /* modulo 2^64 */
    int32_t low[MOSAIC_FLOW__QOUTPUTS], high[MOSAIC_FLOW__QOUTPUTS];
} mosaic_cuda__norm;

typedef struct mosaic_cuda__flow {
    mosaic_cuda *cuda;
    mosaic_flow *flow;
    uint8_t *memory; /* what lies at `flow` on the host, then the rest */
    size_t size, mail;
    /* What was begun and not finished yet, in both directions at most. */
    struct {
        int from, direction;
        int16_t *vectors;
        float *out;
    } begun[2];
    int count;
    /* RAFT: */
    mosaic_flow__qraft *q;
    mosaic_flow__model *model;
    mosaic_cuda__extent *extent;
    mosaic_cuda__norm *norm;
    int32_t *out;            /* 1/512 px, for mosaic_flow_pair; of DIS px in float32 */
    int32_t *host_out;       /* the same here */
    int32_t *motion[2];      /* here, of each direction: with what it begins and ends, QFLOW */
    mosaic_flow__qraft copy; /* of the network's plan, as the device needs it */
    /* DIS: */
    mosaic_flow__dis *dis;
    mosaic_flow__dis plan;                                /* as the device needs it */
    mosaic_flow__dis_way *ways;                           /* of each level, two */
    mosaic_flow__dis_way way[MOSAIC_FLOW__DIS_LEVELS][2]; /* the same here */
} mosaic_cuda__flow;

/* Where on the device something of the stream's block is. */
template <class T> static T *mosaic_cuda__there(const mosaic_cuda__flow *s, T *p)
{
    return p ? (T *)((uintptr_t)p - (uintptr_t)s->flow + (uintptr_t)s->memory) : 0;
}
static void mosaic_cuda__move(const mosaic_cuda__flow *s, mosaic_flow__qmap *m) { m->at = mosaic_cuda__there(s, m->at); }
static void mosaic_cuda__move(const mosaic_cuda__flow *s, mosaic_flow__qconv *c)
{
    c->weights = mosaic_cuda__there(s, c->weights);
    c->bias = mosaic_cuda__there(s, c->bias);
    c->shift = mosaic_cuda__there(s, c->shift);
    c->low = mosaic_cuda__there(s, c->low);
    c->high = mosaic_cuda__there(s, c->high);
}

static void mosaic_cuda__move_network(const mosaic_cuda__flow *s, mosaic_flow__qraft *q)
{
    int i, k;
    q->flow = 0;
    q->shape.model = s->model;
    for (i = 0; i < MOSAIC_FLOW__MAX_LAYERS; i++) mosaic_cuda__move(s, &q->conv[i]);
    for (i = 0; i < 2; i++) {
        mosaic_cuda__move(s, &q->gates[i]);
        mosaic_cuda__move(s, &q->news[i]);
        mosaic_cuda__move(s, &q->context[i]);
        mosaic_cuda__move(s, &q->feature_map[i]);
        q->feature[i] = mosaic_cuda__there(s, q->feature[i]);
        q->hidden_start[i] = mosaic_cuda__there(s, q->hidden_start[i]);
        q->context_sums[i] = mosaic_cuda__there(s, q->context_sums[i]);
        q->carried[i] = 0; /* this is done on the host */
        for (k = 0; k < 4; k++) {
            q->packed[i][k] = mosaic_cuda__there(s, q->packed[i][k]);
            q->level_feature[i][k] = mosaic_cuda__there(s, q->level_feature[i][k]);
        }
        for (k = 0; k < 3; k++) {
            mosaic_cuda__move(s, &q->whole[k][i]);
            mosaic_cuda__move(s, &q->inner[k][i]);
        }
    }
    for (k = 0; k < 3; k++) mosaic_cuda__move(s, &q->across[k]);
    for (k = 0; k < 4; k++) {
        mosaic_cuda__move(s, &q->level_conv[k]);
        mosaic_cuda__move(s, &q->volume_map[k]);
        q->volume[k] = mosaic_cuda__there(s, q->volume[k]);
    }
    mosaic_cuda__move(s, &q->image);
    mosaic_cuda__move(s, &q->context_map);
    mosaic_cuda__move(s, &q->taps);
    mosaic_cuda__move(s, &q->flow_map);
    mosaic_cuda__move(s, &q->corr1);
    mosaic_cuda__move(s, &q->flow1);
    mosaic_cuda__move(s, &q->merge);
    mosaic_cuda__move(s, &q->state);
    mosaic_cuda__move(s, &q->head);
    mosaic_cuda__move(s, &q->mask);
    q->tanh_table = mosaic_cuda__there(s, q->tanh_table);
    q->exp_table = mosaic_cuda__there(s, q->exp_table);
    q->sums = mosaic_cuda__there(s, q->sums);
    q->tile_inputs = 0;
    q->stats = 0;
    q->scales = mosaic_cuda__there(s, q->scales);
    q->hidden = mosaic_cuda__there(s, q->hidden);
    q->z = mosaic_cuda__there(s, q->z);
    q->sources = 0;
    q->distance = 0;
    q->vectors = mosaic_cuda__there(s, q->vectors);
    q->zeros = mosaic_cuda__there(s, q->zeros);
}

static mosaic_flow__qop mosaic_cuda__moved_op(const mosaic_cuda__flow *s, const mosaic_flow__qop *op)
{
    mosaic_flow__qop o = *op;
    o.q = s->q;
    o.conv = mosaic_cuda__there(s, op->conv);
    o.from = mosaic_cuda__there(s, op->from);
    o.to = mosaic_cuda__there(s, op->to);
    o.skip = mosaic_cuda__there(s, op->skip);
    o.start = mosaic_cuda__there(s, op->start);
    o.sums = mosaic_cuda__there(s, op->sums);
    o.hidden = mosaic_cuda__there(s, op->hidden);
    return o;
}

enum { MOSAIC_CUDA__THREADS = 128 };
static __device__ __forceinline__ size_t mosaic_cuda__index(void) { return (size_t)blockIdx.x * blockDim.x + threadIdx.x; }

/* ---- convolutions ---- */

/* Two weights as the instructions want them. */
static __device__ __forceinline__ int32_t mosaic_cuda__word(int32_t pair)
{
    const uint32_t p = (uint32_t)pair;
    return (int32_t)((p & 0xff0000ffu) | (p >> 8 & 0xff00u) | (p << 8 & 0xff0000u));
}

static __global__ void mosaic_cuda__pack_weights(int32_t *words, size_t count)
{
    const size_t i = mosaic_cuda__index();
    if (i < count) words[i] = mosaic_cuda__word(words[i]);
}

typedef struct __align__(16) mosaic_cuda__four { int32_t v[4]; }
mosaic_cuda__four;

/* 16 outputs' sums, in two parts each. */
typedef struct mosaic_cuda__sums {
    int32_t lower[16], upper[16];
} mosaic_cuda__sums;

static __device__ __forceinline__ void mosaic_cuda__clear(mosaic_cuda__sums *s)
{
    int j;
    MOSAIC_CUDA__UNROLL
    for (j = 0; j < 16; j++) s->lower[j] = s->upper[j] = 0;
}

/* A pair of inputs into the sums. */
static __device__ __forceinline__ void mosaic_cuda__multiply(mosaic_cuda__sums *s, int32_t x, const mosaic_cuda__four *w)
{
    int i, j;
    MOSAIC_CUDA__UNROLL
    for (i = 0; i < 4; i++) {
        const mosaic_cuda__four four = w[i];
        MOSAIC_CUDA__UNROLL
        for (j = 0; j < 4; j++) {
            s->lower[4 * i + j] = mosaic_cuda__lower(x, four.v[j], s->lower[4 * i + j]);
            s->upper[4 * i + j] = mosaic_cuda__upper(x, four.v[j], s->upper[4 * i + j]);
        }
    }
}

/* acc += (sums + half) >> part */
static __device__ __forceinline__ void mosaic_cuda__flush(mosaic_cuda__sums *s, int part, int32_t *acc)
{
    const uint32_t half = part ? 1u << (part - 1) : 0;
    int j;
    MOSAIC_CUDA__UNROLL
    for (j = 0; j < 16; j++) acc[j] += (int32_t)(((uint32_t)s->upper[j] << 8) + (uint32_t)s->lower[j] + half) >> part;
    mosaic_cuda__clear(s);
}

static __device__ __forceinline__ const mosaic_cuda__four *mosaic_cuda__weights(const mosaic_flow__qconv *c, int o, int segment)
{
    return (const mosaic_cuda__four *)(const void *)c->weights + ((size_t)o * (size_t)c->segments + (size_t)segment) * (size_t)c->pairs * 4;
}

/* mosaic_flow__qmac for one pixel, whose inputs are at x, and for block o of 16 outputs. */
static __device__ __forceinline__ void mosaic_cuda__mac(const mosaic_flow__qconv *c, const mosaic_flow__qmap *m, const int16_t *x, int o,
                                                        int32_t *acc)
{
    const int taps = c->merged ? c->height : c->height * c->width, pieces = c->segments / taps, across = c->merged ? 1 : c->width;
    mosaic_cuda__sums sums;
    int i, k, p;
    mosaic_cuda__clear(&sums);
    for (i = 0; i < taps; i++) {
        const int16_t *at = x + (i / across - (c->height - 1) / 2) * m->pitch + (ptrdiff_t)(i % across - (c->width - 1) / 2) * m->channels;
        for (k = 0; k < pieces; k++) {
            const mosaic_cuda__four *w = mosaic_cuda__weights(c, o, i * pieces + k);
            const int32_t *pair = (const int32_t *)(const void *)(at + 2 * k * c->pairs);
            for (p = 0; p < c->pairs; p++) mosaic_cuda__multiply(&sums, pair[p], w + 4 * p);
            if (c->part) mosaic_cuda__flush(&sums, c->part, acc);
        }
    }
    if (!c->part) mosaic_cuda__flush(&sums, 0, acc);
}

/* Each thread has a pixel and 16 outputs. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS, 3) mosaic_cuda__rows(mosaic_flow__qop op)
{
    const mosaic_flow__qconv *c = op.conv;
    const mosaic_flow__qmap *m = op.from;
    const int pixel = (int)mosaic_cuda__index(), pixels = op.width * op.height, o = (int)blockIdx.y;
    const int y = pixel / op.width, x = pixel - y * op.width;
    const int32_t *start = op.start ? op.start + mosaic_flow__qplace(pixels, pixel, 16 * o) : c->bias + 16 * o;
    const int16_t *at = m->at + (ptrdiff_t)y * c->stride * m->pitch + (ptrdiff_t)x * c->stride * m->channels + op.from_channel;
    int32_t acc[16];
    int j;
    if (pixel >= pixels) return;
    MOSAIC_CUDA__UNROLL
    for (j = 0; j < 16; j++) acc[j] = start[j];
    mosaic_cuda__mac(c, m, at, o, acc);
    if (m->low) {
        int32_t low[16];
        MOSAIC_CUDA__UNROLL
        for (j = 0; j < 16; j++) low[j] = 128;
        mosaic_cuda__mac(c, m, at + m->low, o, low);
        MOSAIC_CUDA__UNROLL
        for (j = 0; j < 16; j++) acc[j] += low[j] >> 8;
    }
    if (op.kind == MOSAIC_FLOW__QNORM) {
        int32_t *sums = op.sums + (ptrdiff_t)pixel * op.sums_step + 16 * o;
        MOSAIC_CUDA__UNROLL
        for (j = 0; j < 16; j++) sums[j] = acc[j];
    } else
        mosaic_flow__qfinish(&op, acc, x, y, 16 * o);
}

enum { MOSAIC_CUDA__TILES = 32 }; /* of a block: one thread for each of their 16 places */

/* a + b or a - b, of two numbers of 16 bits. */
static __device__ __forceinline__ int32_t mosaic_cuda__both(int32_t a, int32_t b, int plus)
{
    const uint32_t u = (uint32_t)a, v = (uint32_t)b, low = plus ? u + v : u - v, high = plus ? (u >> 16) + (v >> 16) : (u >> 16) - (v >> 16);
    return (int32_t)(high << 16 | (low & 0xffffu));
}

/* Convolutions in tiles of 2 x 2 outputs, see mosaic_flow.h. Each place of v is made of four inputs on the way. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__TILES * 16) mosaic_cuda__tiles(mosaic_flow__qop op)
{
    MOSAIC_CUDA__SHARED(int32_t, places); /* [place][output][tile] */
    const mosaic_flow__qconv *c = op.conv;
    const mosaic_flow__qmap *m = op.from;
    const int t = (int)threadIdx.x, place = (int)threadIdx.y, o = (int)blockIdx.y, across = (op.width + 1) / 2;
    const int tile = (int)blockIdx.x * MOSAIC_CUDA__TILES + t, there = tile < across * ((op.height + 1) / 2);
    const int left = tile % across * 2, top = tile / across * 2, i = place / 4, k = place % 4, pieces = c->segments / 16;
    int32_t acc[16];
    int j, p, s;
    MOSAIC_CUDA__UNROLL
    for (j = 0; j < 16; j++) acc[j] = 0;
    if (there) {
        /* B: differences and sums of lines 0 and 2, 1 and 2, 2 and 1, 1 and 3. */
        const int i0 = i == 2 ? 2 : i != 0, i1 = i == 2 ? 1 : i == 3 ? 3 : 2, k0 = k == 2 ? 2 : k != 0, k1 = k == 2 ? 1 : k == 3 ? 3 : 2;
        const int16_t *from = m->at + (top - 1) * m->pitch + (ptrdiff_t)(left - 1) * m->channels + op.from_channel;
        const int32_t *d00 = (const int32_t *)(const void *)(from + i0 * m->pitch + (ptrdiff_t)k0 * m->channels);
        const int32_t *d01 = (const int32_t *)(const void *)(from + i0 * m->pitch + (ptrdiff_t)k1 * m->channels);
        const int32_t *d10 = (const int32_t *)(const void *)(from + i1 * m->pitch + (ptrdiff_t)k0 * m->channels);
        const int32_t *d11 = (const int32_t *)(const void *)(from + i1 * m->pitch + (ptrdiff_t)k1 * m->channels);
        mosaic_cuda__sums sums;
        mosaic_cuda__clear(&sums);
        for (s = 0; s < pieces; s++) {
            const mosaic_cuda__four *w = mosaic_cuda__weights(c, o, place * pieces + s);
            const int first = s * c->pairs;
            for (p = 0; p < c->pairs; p++) {
                const int32_t a = mosaic_cuda__both(d00[first + p], d10[first + p], i == 1),
                              b = mosaic_cuda__both(d01[first + p], d11[first + p], i == 1);
                mosaic_cuda__multiply(&sums, mosaic_cuda__both(a, b, k == 1), w + 4 * p);
            }
            mosaic_cuda__flush(&sums, c->part, acc);
        }
    }
    MOSAIC_CUDA__UNROLL
    for (j = 0; j < 16; j++) places[(place * 16 + j) * MOSAIC_CUDA__TILES + t] = acc[j];
    __syncthreads();
    if (place < 4 && there) { /* now the output of the tile: A m A' */
        const int x = left + place % 2, y = top + place / 2, lower = place / 2, right = place % 2;
        const int32_t *start = c->bias + 16 * o;
        if (x >= op.width || y >= op.height) return;
        if (op.start) start = op.start + mosaic_flow__qplace((ptrdiff_t)op.width * op.height, (ptrdiff_t)y * op.width + x, 16 * o);
        MOSAIC_CUDA__UNROLL
        for (j = 0; j < 16; j++) {
            const int32_t *at = places + j * MOSAIC_CUDA__TILES + t;
            int32_t line[4];
            MOSAIC_CUDA__UNROLL
            for (p = 0; p < 4; p++) {
                const int32_t *column = at + p * 16 * MOSAIC_CUDA__TILES;
                const int32_t u = column[64 * MOSAIC_CUDA__TILES], v = column[128 * MOSAIC_CUDA__TILES];
                line[p] = lower ? u - v - column[192 * MOSAIC_CUDA__TILES] : column[0] + u + v;
            }
            acc[j] = start[j] + (right ? line[1] - line[2] - line[3] : line[0] + line[1] + line[2]);
        }
        mosaic_flow__qfinish(&op, acc, x, y, 16 * o);
    }
}

/* ---- instance norm ---- */

static __global__ void mosaic_cuda__norm_clear(mosaic_cuda__norm *n)
{
    const int c = (int)threadIdx.x;
    n->sum[c] = n->deviation[c] = n->square[c] = 0;
    n->low[c] = 0x7fffffff;
    n->high[c] = -0x7fffffff;
}

enum { MOSAIC_CUDA__NORM_PIXELS = 512 }; /* of a block: 16 channels by 16 threads */

typedef struct mosaic_cuda__moments {
    unsigned long long sum, square;
    int32_t low, high;
} mosaic_cuda__moments;

/* Sums, least and largest; or, of deviations from the mean, sums and sums of squares. */
static __global__ void __launch_bounds__(256) mosaic_cuda__norm_sums(mosaic_flow__qop op, mosaic_cuda__norm *n, int deviations)
{
    MOSAIC_CUDA__SHARED(mosaic_cuda__moments, moments);
    const int t = (int)threadIdx.y * 16 + (int)threadIdx.x, c = (int)blockIdx.y * 16 + (int)threadIdx.x, pixels = op.width * op.height;
    const int from = (int)blockIdx.x * MOSAIC_CUDA__NORM_PIXELS,
              to = from + MOSAIC_CUDA__NORM_PIXELS < pixels ? from + MOSAIC_CUDA__NORM_PIXELS : pixels;
    const mosaic_flow__qscale *s = op.q->scales;
    mosaic_cuda__moments own = {0, 0, 0x7fffffff, -0x7fffffff};
    int p, k;
    for (p = from + (int)threadIdx.y; p < to; p += 16) {
        int32_t v = op.sums[(ptrdiff_t)p * op.sums_step + c];
        if (deviations) {
            v = (v - s->mean[c]) >> s->coarse[c];
            own.square += (unsigned long long)((int64_t)v * v);
        }
        own.sum += (unsigned long long)(int64_t)v;
        own.low = v < own.low ? v : own.low;
        own.high = v > own.high ? v : own.high;
    }
    moments[t] = own;
    for (k = 128; k >= 16; k /= 2) {
        __syncthreads();
        if (t < k) {
            const mosaic_cuda__moments other = moments[t + k];
            moments[t].sum += other.sum;
            moments[t].square += other.square;
            moments[t].low = other.low < moments[t].low ? other.low : moments[t].low;
            moments[t].high = other.high > moments[t].high ? other.high : moments[t].high;
        }
    }
    if (t >= 16) return;
    if (deviations) {
        atomicAdd(&n->deviation[c], moments[t].sum);
        atomicAdd(&n->square[c], moments[t].square);
    } else {
        atomicAdd(&n->sum[c], moments[t].sum);
        atomicMin(&n->low[c], moments[t].low);
        atomicMax(&n->high[c], moments[t].high);
    }
}

static __global__ void mosaic_cuda__norm_scales(mosaic_flow__qop op, const mosaic_cuda__norm *n, int end)
{
    const int c = (int)threadIdx.x;
    const int64_t pixels = (int64_t)op.width * op.height;
    if (c >= op.conv->blocks * 16) return;
    if (end)
        mosaic_flow__qscale_end(op.q->scales, c, pixels, (int64_t)n->deviation[c], (int64_t)n->square[c], op.conv->shift[c]);
    else
        mosaic_flow__qscale_begin(op.q->scales, c, pixels, (int64_t)n->sum[c], n->low[c], n->high[c]);
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__norm_apply(mosaic_flow__qop op)
{
    const int pixel = (int)mosaic_cuda__index(), o = (int)blockIdx.y * 16, y = pixel / op.width, x = pixel - y * op.width;
    const mosaic_flow__qmap *skip = op.skip;
    int32_t t[16];
    if (pixel >= op.width * op.height || o >= op.conv->out) return;
    mosaic_flow__qnormed(op.sums + (ptrdiff_t)pixel * op.sums_step + o, op.q->scales, o, op.relu ? 0 : -MOSAIC_FLOW__QMAX, t);
    mosaic_flow__qparts(t, skip ? skip->at + y * skip->pitch + (ptrdiff_t)x * skip->channels + o : 0, skip ? skip->low : 0,
                        op.to->at + y * op.to->pitch + (ptrdiff_t)x * op.to->channels + o, op.to->low);
}

/* ---- pictures, features, correlation ---- */

static __global__ void mosaic_cuda__picture(const mosaic_flow__qraft *q, const uint8_t *picture, int w, int h)
{
    const int i = (int)mosaic_cuda__index();
    if (i < q->shape.width * q->shape.height) mosaic_flow__qenter(q, picture, w, h, i % q->shape.width, i / q->shape.width);
}

static __global__ void mosaic_cuda__largest(const int32_t *sums, size_t count, mosaic_cuda__extent *extent)
{
    MOSAIC_CUDA__SHARED(int32_t, most);
    const int t = (int)threadIdx.x;
    size_t i;
    int k;
    most[t] = 0;
    for (i = mosaic_cuda__index(); i < count; i += (size_t)gridDim.x * blockDim.x) {
        const int32_t v = mosaic_flow__qsize(sums[i]);
        if (v > most[t]) most[t] = v;
    }
    for (k = MOSAIC_CUDA__THREADS / 2; k > 0; k /= 2) {
        __syncthreads();
        if (t < k && most[t + k] > most[t]) most[t] = most[t + k];
    }
    if (t == 0) atomicMax(&extent->largest, most[0]);
}

static __global__ void mosaic_cuda__longest(const int32_t *sums, int count, int features, mosaic_cuda__extent *extent)
{
    const int i = (int)mosaic_cuda__index();
    if (i < count)
        atomicMax(&extent->longest,
                  (unsigned long long)mosaic_flow__qlength(sums + (ptrdiff_t)i * features, features, mosaic_flow__qbase(extent->largest)));
}

static __global__ void mosaic_cuda__feature_bits(mosaic_flow__qraft *q, int slot, mosaic_cuda__extent *extent)
{
    const int32_t bits = q->conv[q->shape.model->cnet - 1].shift[0];
    extent->shift = mosaic_flow__qfeature_shift(extent->largest, extent->longest, bits);
    q->feature_bits[slot] = bits - extent->shift;
}

static __global__ void mosaic_cuda__features(mosaic_flow__qraft *q, int slot, size_t count, const mosaic_cuda__extent *extent)
{
    const size_t i = mosaic_cuda__index();
    if (i < count) q->feature[slot][i] = mosaic_flow__qfeature(q->sums[i], extent->shift);
}

/* A level for correlation, as weights or as it is. */
static __global__ void mosaic_cuda__levels(mosaic_flow__qraft *q, int slot)
{
    const int level = (int)blockIdx.y, w = q->shape.level_width[level], h = q->shape.level_height[level], features = q->shape.model->features;
    const size_t i = mosaic_cuda__index(), at = i / (size_t)features;
    const int c = (int)(i % (size_t)features);
    int16_t v;
    if (at >= (size_t)w * (size_t)h) return;
    v = mosaic_flow__qlevel(q, q->feature[slot], level, (int)(at % (size_t)w), (int)(at / (size_t)w), c);
    if (q->packed[slot][level]) {
        uint8_t *word = (uint8_t *)(q->packed[slot][level] + at / 16 * 16 * (size_t)features + (size_t)c / 2 * 32 + at % 16 * 2);
        word[c % 2] = (uint8_t)v;
        word[2 + c % 2] = (uint8_t)(v >> 8);
    } else if (level)
        q->level_feature[slot][level][at * (size_t)features + (size_t)c] = v;
}

/* What depends on the pair and is known here only. */
static __global__ void mosaic_cuda__pair(mosaic_flow__qraft *q, int from)
{
    int l;
    q->first = from;
    q->corr_shift = q->feature_bits[0] + q->feature_bits[1] - q->scale[MOSAIC_FLOW__SCALE_CORR];
    for (l = 0; l < 4; l++) q->level_conv[l].weights = q->packed[1 - from][l];
}

/* ---- the recurrent update ---- */

static __global__ void mosaic_cuda__begin(const mosaic_flow__qraft *q)
{
    const int i = (int)mosaic_cuda__index();
    if (i < q->shape.w8 * q->shape.h8) mosaic_flow__qbegin(q, i % q->shape.w8, i / q->shape.w8);
}

/* The window of a pixel at one level, first its numbers, then the values between them; see mosaic_flow__qlookup. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__lookup(const mosaic_flow__qraft *q)
{
    MOSAIC_CUDA__SHARED(int16_t, window);
    const int r = q->shape.model->radius, side = 2 * r + 2, features = q->shape.model->features, span = q->taps_span, l = (int)blockIdx.y;
    const size_t pixel = blockIdx.x;
    const int w = q->shape.level_width[l], h = q->shape.level_height[l], unit = MOSAIC_FLOW__QFLOW + l;
    const int32_t cx = (int32_t)(pixel % (size_t)q->shape.w8 << MOSAIC_FLOW__QFLOW) + q->vectors[2 * pixel];
    const int32_t cy = (int32_t)(pixel / (size_t)q->shape.w8 << MOSAIC_FLOW__QFLOW) + q->vectors[2 * pixel + 1];
    const int32_t mask = (1 << unit) - 1, fx = ((cx & mask) << 2) >> l, fy = ((cy & mask) << 2) >> l;
    const int left = (cx >> unit) - r, top = (cy >> unit) - r;
    const int32_t d = (fx * fy + 8192) >> 14, b = fx - d, c = fy - d, a = 16384 - fx - c;
    int16_t *out = q->taps.at + (ptrdiff_t)pixel * q->taps.channels + l * (2 * r + 1) * span;
    int i, k;
    for (i = (int)threadIdx.x; i < side * side; i += MOSAIC_CUDA__THREADS) {
        const int x = left + i % side, y = top + i / side;
        int16_t v = 0;
        if (x >= 0 && y >= 0 && x < w && y < h) {
            if (q->volume[l])
                v = q->volume[l][pixel * (size_t)q->volume_step[l] + (size_t)y * (size_t)w + (size_t)x];
            else {
                const int16_t *f = q->feature[q->first] + pixel * (size_t)features;
                const int16_t *g = q->level_feature[1 - q->first][l] + ((size_t)y * (size_t)w + (size_t)x) * (size_t)features;
                int32_t sum = 0;
                for (k = 0; k < features; k++) sum += f[k] * g[k];
                v = mosaic_flow__qcorrelation(sum, q->corr_shift);
            }
        }
        window[i] = v;
    }
    __syncthreads();
    for (i = (int)threadIdx.x; i < (2 * r + 1) * span; i += MOSAIC_CUDA__THREADS) {
        const int16_t *p = window + i / span * side + i % span;
        out[i] = i % span > 2 * r ? (int16_t)0 /* weighs nothing */ : (int16_t)((p[0] * a + p[1] * b + p[side] * c + p[side + 1] * d + 8192) >> 14);
    }
}

/* A pixel of the field, to vectors (1/64 px) or to out (1/512 px). */
static __global__ void mosaic_cuda__upsample(const mosaic_flow__qraft *q, int width, int height, int16_t *vectors, int32_t *out)
{
    const int i = (int)mosaic_cuda__index();
    int64_t v[2];
    int c;
    if (i >= width * height) return;
    mosaic_flow__qpixel(q, i % width + q->shape.left, i / width + q->shape.top, v);
    for (c = 0; c < 2; c++) {
        if (vectors) vectors[2 * (size_t)i + (size_t)c] = mosaic_flow__qsixtyfourth(v[c]);
        if (out)
            out[2 * (size_t)i + (size_t)c] = (int32_t)v[c]; /* at most 2^25 pixels of an eighth, times 8, in 1/512, with 12 bits of fraction gone */
    }
}

/* ---- the stream ---- */

static void mosaic_cuda__flow_norm(mosaic_cuda__flow *s, const mosaic_flow__qop *op)
{
    mosaic_cuda *c = s->cuda;
    const mosaic_flow__qop o = mosaic_cuda__moved_op(s, op);
    const size_t pixels = (size_t)op->width * (size_t)op->height;
    const unsigned channels = (unsigned)op->conv->blocks;
    const dim3 parts(mosaic_cuda__blocks(pixels, MOSAIC_CUDA__NORM_PIXELS), channels), threads(16, 16);
    const dim3 all(mosaic_cuda__blocks(pixels, MOSAIC_CUDA__THREADS), channels);
    const size_t shared = 256 * sizeof(mosaic_cuda__moments);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__norm_clear, 1, MOSAIC_FLOW__QOUTPUTS, 0, c->stream, s->norm);
    MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__norm_sums, parts, threads, shared, c->stream, o, s->norm, 0);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__norm_scales, 1, MOSAIC_FLOW__QOUTPUTS, 0, c->stream, o, s->norm, 0);
    MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__norm_sums, parts, threads, shared, c->stream, o, s->norm, 1);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__norm_scales, 1, MOSAIC_FLOW__QOUTPUTS, 0, c->stream, o, s->norm, 1);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__norm_apply, all, MOSAIC_CUDA__THREADS, 0, c->stream, o);
}

static void mosaic_cuda__flow_pass(mosaic_cuda__flow *s, const mosaic_flow__qop *op)
{
    mosaic_cuda *c = s->cuda;
    const mosaic_flow__qop o = mosaic_cuda__moved_op(s, op);
    const unsigned blocks = (unsigned)op->conv->blocks;
    if (op->conv->tiled) {
        const size_t tiles = (size_t)((op->width + 1) / 2) * (size_t)((op->height + 1) / 2);
        const dim3 grid(mosaic_cuda__blocks(tiles, MOSAIC_CUDA__TILES), blocks), threads(MOSAIC_CUDA__TILES, 16);
        MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__tiles, grid, threads, 256 * MOSAIC_CUDA__TILES * sizeof(int32_t), c->stream, o);
    } else {
        const dim3 grid(mosaic_cuda__blocks((size_t)op->width * (size_t)op->height, MOSAIC_CUDA__THREADS), blocks);
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__rows, grid, MOSAIC_CUDA__THREADS, 0, c->stream, o);
    }
}

/* The steps that mosaic_flow.h asks for. After a failure nothing is asked of the device; whoever waits for it finds out. */
static void mosaic_cuda__flow_step(const mosaic_flow__qraft *q, mosaic_flow__qstep step, const mosaic_flow__qop *op, int slot)
{
    mosaic_cuda__flow *s = (mosaic_cuda__flow *)q->flow->device;
    mosaic_cuda *c = s->cuda;
    const mosaic_flow__raft *shape = &q->shape;
    if (c->result != MOSAIC_CUDA_OK) return;
    switch (step) {
    case MOSAIC_FLOW__QSTEP_PICTURE:
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__picture, mosaic_cuda__blocks((size_t)shape->width * (size_t)shape->height, MOSAIC_CUDA__THREADS),
                            MOSAIC_CUDA__THREADS, 0, c->stream, s->q, mosaic_cuda__there(s, q->flow->picture[slot]), q->flow->field.width,
                            q->flow->field.height);
        break;
    case MOSAIC_FLOW__QSTEP_PASS: mosaic_cuda__flow_pass(s, op); break;
    case MOSAIC_FLOW__QSTEP_NORM: mosaic_cuda__flow_norm(s, op); break;
    case MOSAIC_FLOW__QSTEP_LOOKUP: {
        const dim3 grid((unsigned)(shape->w8 * shape->h8), 4);
        const int side = 2 * shape->model->radius + 2;
        MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__lookup, grid, MOSAIC_CUDA__THREADS, (size_t)(side * side) * sizeof(int16_t), c->stream, s->q);
        break;
    }
    }
    mosaic_cuda__launched(c);
}

static int mosaic_cuda__raft_encode(mosaic_cuda__flow *s, mosaic_flow *flow, int slot)
{
    mosaic_cuda *c = s->cuda;
    mosaic_flow__qraft *q = (mosaic_flow__qraft *)flow->method;
    const int features = q->shape.model->features;
    const size_t count = (size_t)q->shape.w8 * (size_t)q->shape.h8, numbers = count * (size_t)features;
    const dim3 levels(mosaic_cuda__blocks(numbers, MOSAIC_CUDA__THREADS), 4);
    const unsigned parts = mosaic_cuda__blocks(numbers, MOSAIC_CUDA__THREADS);
    const int32_t *sums = mosaic_cuda__there(s, q->sums);
    mosaic_flow__qfeature_sums(q, slot);
    if (!mosaic_cuda__ok(c, cudaMemsetAsync(s->extent, 0, sizeof *s->extent, c->stream))) return 1;
    MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__largest, parts < 64 ? parts : 64, MOSAIC_CUDA__THREADS, MOSAIC_CUDA__THREADS * sizeof(int32_t),
                                 c->stream, sums, numbers, s->extent);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__longest, mosaic_cuda__blocks(count, MOSAIC_CUDA__THREADS), MOSAIC_CUDA__THREADS, 0, c->stream, sums, (int)count,
                        features, s->extent);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__feature_bits, 1, 1, 0, c->stream, s->q, slot, s->extent);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__features, parts, MOSAIC_CUDA__THREADS, 0, c->stream, s->q, slot, numbers, s->extent);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__levels, levels, MOSAIC_CUDA__THREADS, 0, c->stream, s->q, slot);
    return !mosaic_cuda__launched(c);
}

static int mosaic_cuda__raft_estimate(mosaic_cuda__flow *s, mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors,
                                      float *out)
{
    mosaic_cuda *c = s->cuda;
    mosaic_flow__qraft *q = (mosaic_flow__qraft *)flow->method;
    const size_t count = (size_t)q->shape.w8 * (size_t)q->shape.h8, pixels = (size_t)flow->field.width * (size_t)flow->field.height;
    const size_t motion = 2 * count * sizeof *q->vectors;
    int32_t *own = s->motion[direction == 1];
    q->first = from;
    if (!q->context_ready[from]) mosaic_flow__qcontext(q, from);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__pair, 1, 1, 0, c->stream, s->q, from);
    mosaic_flow__qvolume(q);
    mosaic_flow__qinitial(flow, q, direction, init);
    memcpy(own, q->vectors, motion);
    if (!mosaic_cuda__launched(c) || !mosaic_cuda__up(c, mosaic_cuda__there(s, q->vectors), own, motion) ||
        !mosaic_cuda__ok(c, cudaMemcpyAsync(mosaic_cuda__there(s, q->hidden), mosaic_cuda__there(s, q->hidden_start[from]),
                                            count * (size_t)q->shape.model->hidden * sizeof *q->hidden, cudaMemcpyDeviceToDevice, c->stream)))
        return 1;
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__begin, mosaic_cuda__blocks(count, MOSAIC_CUDA__THREADS), MOSAIC_CUDA__THREADS, 0, c->stream, s->q);
    mosaic_flow__qrun(q, flow->o.iterations);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__upsample, mosaic_cuda__blocks(pixels, MOSAIC_CUDA__THREADS), MOSAIC_CUDA__THREADS, 0, c->stream, s->q,
                        flow->field.width, flow->field.height, mosaic_cuda__there(s, vectors), out ? s->out : 0);
    return !mosaic_cuda__launched(c) || (vectors && !mosaic_cuda__down(c, vectors, mosaic_cuda__there(s, vectors), 2 * pixels * sizeof *vectors)) ||
           (out && !mosaic_cuda__down(c, s->host_out, s->out, 2 * pixels * sizeof *s->out)) ||
           (q->carried[0] && !mosaic_cuda__down(c, own, mosaic_cuda__there(s, q->vectors), motion));
}

/* The numbers are there. */
static void mosaic_cuda__raft_finish(mosaic_cuda__flow *s, mosaic_flow *flow, int direction, float *out)
{
    mosaic_flow__qraft *q = (mosaic_flow__qraft *)flow->method;
    const size_t pixels = (size_t)flow->field.width * (size_t)flow->field.height;
    size_t i;
    for (i = 0; out && i < 2 * pixels; i++) out[i] = (float)s->host_out[i] / 512.0f;
    memcpy(q->vectors, s->motion[direction == 1], 2 * (size_t)q->shape.w8 * (size_t)q->shape.h8 * sizeof *q->vectors);
    mosaic_flow__qkeep(q, direction);
}

/* ==== DIS ====

   As above the stream's block is there twice. What happens to a patch or a pixel is what mosaic_flow.h says, in the operations of mosaic_cuda__real;
   only the sums over the patches that cover a pixel are taken from the pixel's side, in the order in which they would have been added. */

typedef struct mosaic_cuda__spot {
    const mosaic_flow__dis_way *way;
    const mosaic_flow__dis_level *level;
    int x, y, there;
} mosaic_cuda__spot;

/* A thread for each of `width` x `height`, in each direction. */
static __device__ __forceinline__ mosaic_cuda__spot mosaic_cuda__spot_of(const mosaic_flow__dis_way *ways, int width, int height)
{
    const int i = (int)mosaic_cuda__index();
    mosaic_cuda__spot s;
    s.way = ways + blockIdx.y;
    s.level = &s.way->dis->level[s.way->scale];
    s.x = i % width;
    s.y = i / width;
    s.there = s.y < height;
    return s;
}

/* A level's picture with its border, from the frame or from the level before. */
static __global__ void mosaic_cuda__dis_picture(const mosaic_flow__dis *dis, int scale, int slot, const uint8_t *rgb)
{
    enum { BORDER = MOSAIC_FLOW__DIS_BORDER };
    const mosaic_flow__dis_level *level = &dis->level[scale];
    const int i = (int)mosaic_cuda__index(), across = level->width + 2 * BORDER, x = i % across - BORDER, y = i / across - BORDER;
    const int from_x = mosaic_flow__dis_clamp(x, 0, level->width - 1), from_y = mosaic_flow__dis_clamp(y, 0, level->height - 1);
    if (y >= level->height + BORDER) return;
    if (scale == 0)
        level->pixels[slot][y * level->stride + x] = mosaic_flow__dis_luma(rgb + ((size_t)from_y * (size_t)level->width + (size_t)from_x) * 3);
    else {
        const mosaic_flow__dis_level *finer = level - 1;
        level->pixels[slot][y * level->stride + x] =
            mosaic_flow__dis_mean(finer->pixels[slot] + 2 * from_y * finer->stride + 2 * from_x, finer->stride);
    }
}

static __global__ void mosaic_cuda__dis_slopes(const mosaic_flow__dis *dis, int scale, int slot)
{
    enum { LEAST = MOSAIC_FLOW__DIS_PATCH };
    const mosaic_flow__dis_level *level = &dis->level[scale];
    const int i = (int)mosaic_cuda__index(), across = level->width < LEAST ? LEAST : level->width, x = i % across, y = i / across;
    const ptrdiff_t at = y * level->stride + x;
    if (y >= (level->height < LEAST ? LEAST : level->height)) return;
    mosaic_flow__dis_slope(level->pixels[slot] + at, level->stride, level->slope[slot][0] + at, level->slope[slot][1] + at);
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_search(const mosaic_flow__dis_way *ways)
{
    const mosaic_flow__dis_way *way = ways + blockIdx.y;
    const int i = (int)mosaic_cuda__index(), columns = way->dis->level[way->scale].columns;
    if (i < columns * way->dis->level[way->scale].rows) mosaic_flow__dis_search_patch_device(way, i / columns, i % columns);
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_spread(const mosaic_flow__dis_way *ways, int pass)
{
    const mosaic_flow__dis_way *way = ways + blockIdx.y;
    const int i = (int)mosaic_cuda__index(), columns = way->dis->level[way->scale].columns;
    if (i < columns * way->dis->level[way->scale].rows) mosaic_flow__dis_spread_patch_device(way, i / columns, i % columns, pass);
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_smooth(const mosaic_flow__dis_way *ways)
{
    const mosaic_flow__dis_level *level = &ways[blockIdx.y].dis->level[ways[blockIdx.y].scale];
    const mosaic_cuda__spot s = mosaic_cuda__spot_of(ways, level->columns, level->rows);
    const mosaic_flow__dis_vector *from = s.way->found[0];
    mosaic_cuda__real u[9], v[9];
    int i;
    if (!s.there) return;
    MOSAIC_CUDA__UNROLL
    for (i = 0; i < 9; i++) {
        const mosaic_flow__dis_vector *beside = from + mosaic_flow__dis_clamp(s.y + i / 3 - 1, 0, level->rows - 1) * level->columns +
                                                mosaic_flow__dis_clamp(s.x + i % 3 - 1, 0, level->columns - 1);
        u[i] = beside->x;
        v[i] = beside->y;
    }
    s.way->found[1][s.y * level->columns + s.x].x = (int32_t)mosaic_flow__dis_middle_device(u);
    s.way->found[1][s.y * level->columns + s.x].y = (int32_t)mosaic_flow__dis_middle_device(v);
}

/* A pixel's vector when its level is done: the result, or with what patches of the next level begin. */
static __device__ __forceinline__ void mosaic_cuda__dis_set(const mosaic_cuda__spot *s, int k, mosaic_cuda__real v)
{
    float *to = mosaic_flow__dis_row(s->way, MOSAIC_FLOW__DIS_U + k, s->level, s->y) + s->x;
    *to = (s->way->scale == s->way->dis->finest ? v : mosaic_flow__dis_raised_device(v)).v;
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_blend(const mosaic_flow__dis_way *ways)
{
    enum { SIDE = MOSAIC_FLOW__DIS_PATCH, STEP = MOSAIC_FLOW__DIS_STEP };
    const mosaic_flow__dis_level *level = &ways[blockIdx.y].dis->level[ways[blockIdx.y].scale];
    const mosaic_cuda__spot s = mosaic_cuda__spot_of(ways, level->width, level->height);
    const mosaic_flow__dis_way *way = s.way;
    const uint8_t *second = level->pixels[1 - way->from] + s.y * level->stride + s.x;
    mosaic_cuda__real sum[2] = {0, 0}, weights = 0;
    int grey, row, column, k;
    if (!s.there) return;
    grey = level->pixels[way->from][s.y * level->stride + s.x] << 4;
    for (row = s.y < STEP ? 0 : s.y / STEP - 1; row < level->rows && row <= s.y / STEP + 1; row++)
        for (column = s.x < STEP ? 0 : s.x / STEP - 1; column < level->columns && column <= s.x / STEP + 1; column++) {
            const int x = mosaic_flow__dis_place(column, level->width), y = mosaic_flow__dis_place(row, level->height);
            const mosaic_flow__dis_vector *found = way->found[way->dis->median] + row * level->columns + column;
            int32_t v[2];
            mosaic_cuda__real weight;
            if (s.x < x || s.x >= x + SIDE || s.y < y || s.y >= y + SIDE) continue;
            v[0] = found->x;
            v[1] = found->y;
            mosaic_flow__dis_reach(level, x, y, v);
            weight = mosaic_flow__dis_weight_device(
                mosaic_flow__dis_between(second + (v[1] >> 6) * level->stride + (v[0] >> 6), level->stride, v[0] & 63, v[1] & 63) - grey);
            for (k = 0; k < 2; k++) sum[k] = sum[k] + weight * (mosaic_cuda__real(v[k]) * (1.0f / 64));
            weights = weights + weight;
        }
    for (k = 0; k < 2; k++) {
        const mosaic_cuda__real v = mosaic_flow__dis_share_device(sum[k], weights);
        if (way->dis->rounds) {
            *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_U_FROM + k, level, s.x, s.y) = v.v;
            *mosaic_flow__dis_at(way, MOSAIC_FLOW__DIS_U_NOW + k, level, s.x, s.y) = v.v;
        } else
            mosaic_cuda__dis_set(&s, k, v);
    }
}

/* v in a plane at x, y, and as far beyond the border as its nearest pixel counts there. */
static __device__ __forceinline__ void mosaic_cuda__dis_spill(const mosaic_cuda__spot *s, int plane, int reach, mosaic_cuda__real v)
{
    const int left = s->x == 0 ? -reach : s->x, right = s->x == s->level->width - 1 ? s->x + reach : s->x;
    const int top = s->y == 0 ? -reach : s->y, bottom = s->y == s->level->height - 1 ? s->y + reach : s->y;
    int x, y;
    for (y = top; y <= bottom; y++)
        for (x = left; x <= right; x++) *mosaic_flow__dis_at(s->way, plane, s->level, x, y) = v.v;
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_warp(const mosaic_flow__dis_way *ways)
{
    const mosaic_flow__dis_level *level = &ways[blockIdx.y].dis->level[ways[blockIdx.y].scale];
    const mosaic_cuda__spot s = mosaic_cuda__spot_of(ways, level->width, level->height);
    mosaic_cuda__real grey, change;
    if (!s.there) return;
    mosaic_flow__dis_warp_at_device(s.way, s.y, s.x & 1, s.x / 2, mosaic_cuda__real(s.x & 1),
                                    mosaic_cuda__real(*mosaic_flow__dis_at(s.way, MOSAIC_FLOW__DIS_U_FROM, level, s.x, s.y)),
                                    mosaic_cuda__real(*mosaic_flow__dis_at(s.way, MOSAIC_FLOW__DIS_V_FROM, level, s.x, s.y)), &grey, &change);
    mosaic_cuda__dis_spill(&s, MOSAIC_FLOW__DIS_GREY, 2, grey);
    mosaic_cuda__dis_spill(&s, MOSAIC_FLOW__DIS_CHANGE, 1, change);
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_smoothness(const mosaic_flow__dis_way *ways)
{
    const mosaic_flow__dis_level *level = &ways[blockIdx.y].dis->level[ways[blockIdx.y].scale];
    const mosaic_cuda__spot s = mosaic_cuda__spot_of(ways, level->width, level->height);
    mosaic_flow__dis_slack_device slack;
    if (!s.there) return;
    slack = mosaic_flow__dis_slack_of_device(s.way, s.y, (s.x + s.y) & 1);
    if (s.x == level->width - 1) mosaic_flow__dis_slack_before_device(s.way, s.y);
    mosaic_flow__dis_slack_at_device(&slack, s.x / 2);
    if (s.x == level->width - 1) mosaic_flow__dis_slack_after_device(s.way, s.y);
    if (s.y == 0) *mosaic_flow__dis_at(s.way, MOSAIC_FLOW__DIS_SOUTH, level, s.x, -1) = 0;
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_system(const mosaic_flow__dis_way *ways)
{
    const mosaic_flow__dis_level *level = &ways[blockIdx.y].dis->level[ways[blockIdx.y].scale];
    const mosaic_cuda__spot s = mosaic_cuda__spot_of(ways, level->width, level->height);
    mosaic_flow__dis_equations_device equations;
    if (!s.there) return;
    equations = mosaic_flow__dis_equations_of_device(s.way, s.y, (s.x + s.y) & 1);
    mosaic_flow__dis_equations_at_device(&equations, s.x / 2);
}

/* Pixels of one colour. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_relax(const mosaic_flow__dis_way *ways, int colour)
{
    const mosaic_flow__dis_level *level = &ways[blockIdx.y].dis->level[ways[blockIdx.y].scale];
    const mosaic_cuda__spot s = mosaic_cuda__spot_of(ways, (level->width + 1) / 2, level->height);
    mosaic_flow__dis_sweep_device sweep;
    if (!s.there || 2 * s.x + ((s.y + colour) & 1) >= level->width) return;
    sweep = mosaic_flow__dis_sweep_of_device(s.way, s.y, colour);
    mosaic_flow__dis_sweep_at_device(&sweep, s.x);
}

static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_join(const mosaic_flow__dis_way *ways)
{
    const mosaic_flow__dis_level *level = &ways[blockIdx.y].dis->level[ways[blockIdx.y].scale];
    const mosaic_cuda__spot s = mosaic_cuda__spot_of(ways, level->width, level->height);
    int k;
    for (k = 0; k < 2 && s.there; k++)
        mosaic_cuda__dis_set(&s, k, mosaic_cuda__real(*mosaic_flow__dis_at(s.way, MOSAIC_FLOW__DIS_U_NOW + k, level, s.x, s.y)));
}

/* Pixels of the field, from the finest level, which is as large or half as large. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__THREADS) mosaic_cuda__dis_write(const mosaic_flow__dis_way *ways)
{
    const mosaic_flow__dis *dis = ways[blockIdx.y].dis;
    const mosaic_cuda__spot s = mosaic_cuda__spot_of(ways, dis->width, dis->height);
    const int half = s.way->scale, w = s.level->width;
    const int x = s.x >> half, y = s.y >> half, x1 = mosaic_flow__dis_clamp(x + (s.x & 1 ? 1 : -1), 0, w - 1),
              y1 = mosaic_flow__dis_clamp(y + (s.y & 1 ? 1 : -1), 0, s.level->height - 1);
    const size_t at = 2 * ((size_t)s.y * (size_t)dis->width + (size_t)s.x);
    int k;
    if (!s.there) return;
    for (k = 0; k < 2; k++) {
        const float *p = mosaic_flow__dis_row(s.way, MOSAIC_FLOW__DIS_U + k, s.level, y);
        const float *q = mosaic_flow__dis_row(s.way, MOSAIC_FLOW__DIS_U + k, s.level, y1);
        mosaic_cuda__real v = p[x];
        if (half)
            v = mosaic_flow__dis_quarter_device(mosaic_flow__dis_quarter_device(v, q[x]) * 2.0f,
                                                mosaic_flow__dis_quarter_device(p[x1], q[x1]) * 2.0f);
        v = mosaic_flow__dis_scaled_device(v, s.way->vectors != 0);
        if (s.way->vectors)
            s.way->vectors[at + (size_t)k] = (int16_t)mosaic_flow__dis_nearest_device(v);
        else
            s.way->out[at + (size_t)k] = (v + 0.0f).v; /* no negative zeros */
    }
}

static int mosaic_cuda__dis_encode(mosaic_cuda__flow *s, mosaic_flow *flow, int slot)
{
    enum { BORDER = MOSAIC_FLOW__DIS_BORDER };
    mosaic_cuda *c = s->cuda;
    int i;
    for (i = 0; i <= s->plan.coarsest; i++) {
        const mosaic_flow__dis_level *level = &s->plan.level[i];
        const size_t pixels = (size_t)(level->width + 2 * BORDER) * (size_t)(level->height + 2 * BORDER); /* at least as many as there are slopes */
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_picture, mosaic_cuda__blocks(pixels, MOSAIC_CUDA__THREADS), MOSAIC_CUDA__THREADS, 0, c->stream, s->dis,
                            i, slot, mosaic_cuda__there(s, flow->picture[slot]));
        if (i >= s->plan.finest)
            MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_slopes, mosaic_cuda__blocks(pixels, MOSAIC_CUDA__THREADS), MOSAIC_CUDA__THREADS, 0, c->stream,
                                s->dis, i, slot);
    }
    return !mosaic_cuda__launched(c);
}

/* One level, in all directions that were begun. */
static void mosaic_cuda__dis_level(mosaic_cuda__flow *s, int scale)
{
    const mosaic_flow__dis_level *level = &s->plan.level[scale];
    const mosaic_flow__dis_way *ways = s->ways + 2 * scale;
    const unsigned count = (unsigned)s->count;
    const size_t pixels = (size_t)level->width * (size_t)level->height, halves = (size_t)((level->width + 1) / 2) * (size_t)level->height;
    const dim3 patches(mosaic_cuda__blocks((size_t)level->columns * (size_t)level->rows, MOSAIC_CUDA__THREADS), count);
    const dim3 all(mosaic_cuda__blocks(pixels, MOSAIC_CUDA__THREADS), count), half(mosaic_cuda__blocks(halves, MOSAIC_CUDA__THREADS), count);
    cudaStream_t on = s->cuda->stream;
    int round, sweep;
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_search, patches, MOSAIC_CUDA__THREADS, 0, on, ways);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_spread, patches, MOSAIC_CUDA__THREADS, 0, on, ways, 0);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_spread, patches, MOSAIC_CUDA__THREADS, 0, on, ways, 1);
    if (s->plan.median) MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_smooth, patches, MOSAIC_CUDA__THREADS, 0, on, ways);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_blend, all, MOSAIC_CUDA__THREADS, 0, on, ways);
    if (s->plan.rounds) {
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_warp, all, MOSAIC_CUDA__THREADS, 0, on, ways);
        for (round = 0; round < s->plan.rounds; round++) {
            MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_smoothness, all, MOSAIC_CUDA__THREADS, 0, on, ways);
            MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_system, all, MOSAIC_CUDA__THREADS, 0, on, ways);
            for (sweep = 0; sweep < 2 * MOSAIC_FLOW__DIS_SWEEPS; sweep++)
                MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_relax, half, MOSAIC_CUDA__THREADS, 0, on, ways, sweep & 1);
        }
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_join, all, MOSAIC_CUDA__THREADS, 0, on, ways);
    }
}

/* All directions that were begun, level by level. */
static int mosaic_cuda__dis_run(mosaic_cuda__flow *s, mosaic_flow *flow)
{
    mosaic_cuda *c = s->cuda;
    const size_t numbers = 2 * (size_t)flow->field.width * (size_t)flow->field.height;
    const dim3 field(mosaic_cuda__blocks(numbers / 2, MOSAIC_CUDA__THREADS), (unsigned)s->count);
    int scale, i, k;
    for (scale = s->plan.coarsest; scale >= s->plan.finest; scale--)
        for (i = 0; i < s->count; i++) {
            mosaic_flow__dis_way *way = &s->way[scale][i];
            *way = s->plan.way[i];
            way->dis = s->dis;
            way->from = s->begun[i].from;
            way->scale = scale;
            way->vectors = mosaic_cuda__there(s, s->begun[i].vectors);
            way->out = s->begun[i].out ? (float *)(void *)s->out : 0;
            for (k = 0; k < 2 && (s->plan.coarsest - scale) % 2; k++) { /* what was found one level below changes places with what will be */
                way->plane[MOSAIC_FLOW__DIS_U + k] = s->plan.way[i].plane[MOSAIC_FLOW__DIS_U_DOWN + k];
                way->plane[MOSAIC_FLOW__DIS_U_DOWN + k] = s->plan.way[i].plane[MOSAIC_FLOW__DIS_U + k];
            }
        }
    if (!mosaic_cuda__up(c, s->ways, s->way, sizeof s->way)) return 1;
    for (scale = s->plan.coarsest; scale >= s->plan.finest; scale--) mosaic_cuda__dis_level(s, scale);
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__dis_write, field, MOSAIC_CUDA__THREADS, 0, c->stream, s->ways + 2 * s->plan.finest);
    if (!mosaic_cuda__launched(c)) return 1;
    for (i = 0; i < s->count; i++)
        if (s->begun[i].vectors ? !mosaic_cuda__down(c, s->begun[i].vectors, mosaic_cuda__there(s, s->begun[i].vectors), numbers * sizeof(int16_t))
                                : !mosaic_cuda__down(c, s->begun[i].out, s->out, numbers * sizeof(float)))
            return 1;
    return 0;
}

/* ==== Streams of motion ==== */

static int mosaic_cuda__flow_encode(void *state, mosaic_flow *flow, int slot)
{
    mosaic_cuda__flow *s = (mosaic_cuda__flow *)state;
    const size_t bytes = (size_t)flow->field.width * (size_t)flow->field.height * 3;
    if (s->cuda->result != MOSAIC_CUDA_OK || !mosaic_cuda__up(s->cuda, mosaic_cuda__there(s, flow->picture[slot]), flow->picture[slot], bytes))
        return 1;
    return s->dis ? mosaic_cuda__dis_encode(s, flow, slot) : mosaic_cuda__raft_encode(s, flow, slot);
}

static int mosaic_cuda__flow_estimate(void *state, mosaic_flow *flow, int from, int direction, const float *init, int16_t *vectors, float *out)
{
    mosaic_cuda__flow *s = (mosaic_cuda__flow *)state;
    if (s->cuda->result != MOSAIC_CUDA_OK) return 1;
    s->begun[s->count].from = from;
    s->begun[s->count].direction = direction;
    s->begun[s->count].vectors = vectors;
    s->begun[s->count].out = out;
    s->count++;
    return s->dis ? 0 : mosaic_cuda__raft_estimate(s, flow, from, direction, init, vectors, out);
}

static int mosaic_cuda__flow_finish(void *state, mosaic_flow *flow)
{
    mosaic_cuda__flow *s = (mosaic_cuda__flow *)state;
    int i;
    if ((s->dis && mosaic_cuda__dis_run(s, flow)) || !mosaic_cuda__wait(s->cuda, s->cuda->stream)) return 1;
    for (i = 0; i < s->count && !s->dis; i++) mosaic_cuda__raft_finish(s, flow, s->begun[i].direction, s->begun[i].out);
    s->count = 0;
    return 0;
}

static void mosaic_cuda__flow_close(void *state, mosaic_flow *flow)
{
    mosaic_cuda__flow *s = (mosaic_cuda__flow *)state;
    if (flow->o.method == MOSAIC_FLOW_RAFT) ((mosaic_flow__qraft *)flow->method)->step = 0;
    mosaic_cuda__release(s->cuda, s->memory, s->size);
    s->cuda->mail_wanted -= s->mail;
    free(s->host_out);
    free(s);
}

/* The weights of a convolution, once they are there. */
static int mosaic_cuda__flow_pack(mosaic_cuda__flow *s, const mosaic_flow__qconv *conv)
{
    const size_t words = (size_t)conv->blocks * (size_t)conv->segments * (size_t)conv->pairs * 16;
    if (!conv->weights || !words) return 1;
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__pack_weights, mosaic_cuda__blocks(words, MOSAIC_CUDA__THREADS), MOSAIC_CUDA__THREADS, 0, s->cuda->stream,
                        (int32_t *)(void *)mosaic_cuda__there(s, conv->weights), words);
    return mosaic_cuda__launched(s->cuda);
}

static void mosaic_cuda__flow_plan(mosaic_cuda__flow *s, mosaic_cuda__arena *arena)
{
    s->memory = (uint8_t *)mosaic_cuda__take(arena, s->flow->size, 1);
    s->ways = (mosaic_flow__dis_way *)mosaic_cuda__take(arena, MOSAIC_FLOW__DIS_LEVELS, 2 * sizeof *s->ways);
    s->model = (mosaic_flow__model *)mosaic_cuda__take(arena, 1, sizeof *s->model);
    s->extent = (mosaic_cuda__extent *)mosaic_cuda__take(arena, 1, sizeof *s->extent);
    s->norm = (mosaic_cuda__norm *)mosaic_cuda__take(arena, 1, sizeof *s->norm);
    s->out = (int32_t *)mosaic_cuda__take(arena, (size_t)s->flow->field.width * (size_t)s->flow->field.height, 2 * sizeof(int32_t));
    s->size = arena->used;
}

/* The stream's block, with everything in it as the device needs it. */
static int mosaic_cuda__dis_fill(mosaic_cuda__flow *s)
{
    mosaic_cuda *c = s->cuda;
    mosaic_flow__dis *plan = &s->plan;
    int i, k, slot;
    *plan = *(const mosaic_flow__dis *)s->flow->method;
    plan->kernels = 0;
    for (i = 0; i <= plan->coarsest; i++)
        for (slot = 0; slot < 2; slot++) {
            plan->level[i].pixels[slot] = mosaic_cuda__there(s, plan->level[i].pixels[slot]);
            for (k = 0; k < 2; k++) plan->level[i].slope[slot][k] = mosaic_cuda__there(s, plan->level[i].slope[slot][k]);
        }
    for (i = 0; i < 2; i++) {
        plan->way[i].dis = 0;
        for (k = 0; k < 2; k++) plan->way[i].found[k] = mosaic_cuda__there(s, plan->way[i].found[k]);
        for (k = 0; k < MOSAIC_FLOW__DIS_PLANES; k++) plan->way[i].plane[k] = mosaic_cuda__there(s, plan->way[i].plane[k]);
    }
    s->dis = mosaic_cuda__there(s, (mosaic_flow__dis *)s->flow->method);
    return mosaic_cuda__up(c, s->memory, s->flow, s->flow->size) && mosaic_cuda__up(c, s->dis, plan, sizeof *plan) && mosaic_cuda__wait(c, c->stream);
}

static int mosaic_cuda__raft_fill(mosaic_cuda__flow *s, mosaic_flow__qraft *q)
{
    mosaic_cuda *c = s->cuda;
    mosaic_flow__model model = *q->shape.model;
    int i;
    q->step = mosaic_cuda__flow_step;
    model.name = 0;
    model.layers = 0;
    s->q = mosaic_cuda__there(s, (mosaic_flow__qraft *)s->flow->method);
    s->copy = *q;
    mosaic_cuda__move_network(s, &s->copy);
    if (!mosaic_cuda__up(c, s->memory, s->flow, s->flow->size) || !mosaic_cuda__up(c, s->q, &s->copy, sizeof s->copy) ||
        !mosaic_cuda__up(c, s->model, &model, sizeof model))
        return 0;
    for (i = 0; i < MOSAIC_FLOW__MAX_LAYERS; i++)
        if (!mosaic_cuda__flow_pack(s, &q->conv[i])) return 0;
    for (i = 0; i < 2; i++)
        if (!mosaic_cuda__flow_pack(s, &q->gates[i]) || !mosaic_cuda__flow_pack(s, &q->news[i]) || !mosaic_cuda__flow_pack(s, &q->context[i]))
            return 0;
    return mosaic_cuda__wait(c, c->stream);
}

static void *mosaic_cuda__flow_open(void *ctx, mosaic_flow *flow)
{
    mosaic_cuda *c = (mosaic_cuda *)ctx;
    const int dis = flow->o.method == MOSAIC_FLOW_DIS;
    const mosaic_flow__qraft *q = dis ? 0 : (const mosaic_flow__qraft *)flow->method;
    const size_t pixels = (size_t)flow->field.width * (size_t)flow->field.height;
    size_t eighths;
    mosaic_cuda__flow *s;
    mosaic_cuda__arena arena;
    if (c->result != MOSAIC_CUDA_OK || (!dis && (flow->o.method != MOSAIC_FLOW_RAFT || flow->o.arithmetic != 0))) return 0;
    eighths = q ? (size_t)q->shape.w8 * (size_t)q->shape.h8 : 0;
    s = (mosaic_cuda__flow *)malloc(sizeof *s);
    if (s) {
        memset(s, 0, sizeof *s);
        s->cuda = c;
        s->flow = flow;
        s->host_out = (int32_t *)malloc((pixels + 2 * eighths) * 2 * sizeof(int32_t));
    }
    if (!s || !s->host_out) {
        mosaic_cuda__fail(c, MOSAIC_CUDA_ERROR_HOST_MEMORY, cudaSuccess);
        free(s);
        return 0;
    }
    s->motion[0] = s->host_out + 2 * pixels;
    s->motion[1] = s->motion[0] + 2 * eighths;
    memset(&arena, 0, sizeof arena);
    mosaic_cuda__flow_plan(s, &arena);
    arena.base = arena.overflow ? 0 : mosaic_cuda__allocate(c, s->size);
    arena.used = 0;
    if (arena.base) mosaic_cuda__flow_plan(s, &arena);
    if (!arena.base || !mosaic_cuda__reserve(c, &s->mail, pixels * 22 + eighths * 32 + sizeof s->way) ||
        !(dis ? mosaic_cuda__dis_fill(s) : mosaic_cuda__raft_fill(s, (mosaic_flow__qraft *)flow->method))) {
        mosaic_cuda__flow_close(s, flow);
        return 0;
    }
    return s;
}

#endif
