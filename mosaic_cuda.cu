/* mosaic_cuda.cu - v0.1.0 - stages of the mosaic headers on an NVIDIA GPU, to the very same bytes - MIT or public domain

   One file, in two parts. A C or C++ program includes it for the interface; nvcc compiles it to the object that the program is linked with:

       nvcc -O3 -fmad=false -Xcompiler=-fno-threadsafe-statics,-fno-exceptions,-fno-rtti -arch=native -c mosaic_cuda.cu
       cc -O2 -DMOSAIC_CUDA ... mosaic_cuda.o -L/usr/local/cuda/lib64 -lcudart_static -lpthread -ldl -lrt

   A COMPLETE PROGRAM would be that of mosaic_temporal.h with these lines before mosaic_open (examples/util/gpu.h is what the examples do):

       mosaic_cuda *gpu;
       if (mosaic_cuda_open(NULL, &gpu, NULL) == MOSAIC_CUDA_OK) options.device = mosaic_cuda_engine(gpu);

   Whatever stage the device cannot do, or can do no longer, the engine does on the processor: the result is the same, and mosaic_cuda_status() tells.

   WHAT IS ON THE DEVICE
     costs       the table of costs of all cells and photographs (int32), from descriptions made on the processor
     paint       recolouring, curves, target bleed and assembly, straight from the draw list
     SSIM        8-bit pictures, uniform windows, the exact arithmetic: mean, map (mosaic_cuda_ssim, on device memory of the caller)
   NOT YET ON THE DEVICE, and done on the processor: describing cells, prediction, the assignment itself and its pricing passes, re-ranking, making the
     colour maps, borders and finishing, optical flow, YUV to RGB and back, decoding and encoding. Pictures go to the device and come back in every
     frame; SSIM of floats, 16 bits, Gaussian windows and in scikit-image's arithmetic is not here.

   MEMORY         On the device: for an engine 4 bytes for each cell and photograph, 3 for each pixel of the photographs, the source and the output, and
                  small things, taken at mosaic_open and never more than options.max_memory for all that is open. On the host a few hundred bytes.
   THREADS        A mosaic_cuda is used by one thread at a time, with every engine that uses it.
   DETERMINISM    The kernels do on integers, and for SSIM in doubles rounded operation by operation, what the headers' own code does, and mostly are that
                  code. No floating-point atomics, no fused, flushed or approximate operation: -fmad=false is part of the build, and at
                  mosaic_cuda_open a kernel tries the operations and the device is refused if one differs.
   ACCURACY AND LIMITS
                  Needs a device of compute capability 7.5 and a driver for the toolkit it was compiled with. Costs of more cells and photographs than
                  the engine keeps a table for are computed on the processor. Cells and photographs of one engine: up to 2^31 costs.
   PERFORMANCE    Not measured: no figure stands here until "make gpu-check" has run on a device.
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

/* For mosaic_options.device; valid until close. */
const mosaic_device *mosaic_cuda_engine(mosaic_cuda *cuda);

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

/* Kernels with barriers are launched TOGETHER. */
#if defined(__CUDACC__)
#define MOSAIC_CUDA__LAUNCH(kernel, grid, block, shared, stream, ...) kernel<<<grid, block, shared, stream>>>(__VA_ARGS__)
#define MOSAIC_CUDA__LAUNCH_TOGETHER(kernel, grid, block, shared, stream, ...) kernel<<<grid, block, shared, stream>>>(__VA_ARGS__)
#define MOSAIC_CUDA__SHARED(type, name)                                                                                                              \
    extern __shared__ __align__(16) unsigned char mosaic_cuda__shared[];                                                                             \
    type *name = (type *)mosaic_cuda__shared
#else
#define MOSAIC_CUDA__LAUNCH(kernel, grid, block, shared, stream, ...) emulate_launch(grid, block, shared, stream, 0, kernel, __VA_ARGS__)
#define MOSAIC_CUDA__LAUNCH_TOGETHER(kernel, grid, block, shared, stream, ...) emulate_launch(grid, block, shared, stream, 1, kernel, __VA_ARGS__)
#define MOSAIC_CUDA__SHARED(type, name) type *name = (type *)(void *)emulate_shared_memory
#endif

/* Doubles: these are rounded as written whatever the flags of the compilation. */
static __device__ __forceinline__ double mosaic_cuda__add(double a, double b) { return __dadd_rn(a, b); }
static __device__ __forceinline__ double mosaic_cuda__mul(double a, double b) { return __dmul_rn(a, b); }
static __device__ __forceinline__ double mosaic_cuda__div(double a, double b) { return __ddiv_rn(a, b); }

/* ==== The device ==== */

struct mosaic_cuda {
    mosaic_cuda_result result; /* the first failure */
    cudaError_t error;
    cudaStream_t stream;
    size_t limit, used;
    mosaic_device engine;
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

/* 1 when a call of the runtime went well; the first one that did not is remembered. */
static int mosaic_cuda__ok(mosaic_cuda *c, cudaError_t e)
{
    if (e == cudaSuccess) return 1;
    cudaGetLastError(); /* else it would be taken for that of the next launch */
    return mosaic_cuda__fail(c, mosaic_cuda__result(e), e);
}

static int mosaic_cuda__launched(mosaic_cuda *c) { return mosaic_cuda__ok(c, cudaGetLastError()); }

static int mosaic_cuda__wait(mosaic_cuda *c, cudaStream_t stream) { return mosaic_cuda__ok(c, cudaStreamSynchronize(stream)); }

static int mosaic_cuda__up(mosaic_cuda *c, void *to, const void *from, size_t size)
{
    return size == 0 || mosaic_cuda__ok(c, cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, c->stream));
}

static int mosaic_cuda__down(mosaic_cuda *c, void *to, const void *from, size_t size)
{
    return size == 0 || mosaic_cuda__ok(c, cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToHost, c->stream));
}

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
    if (cudaFree(p) != cudaSuccess) cudaGetLastError(); /* a device that is gone took its memory along */
    c->used -= size;
}

/* ---- what the device must do as the processor does it ---- */

typedef struct mosaic_cuda__trial {
    double a, b, c, d;
    int64_t m, n;
    int32_t i, j;
} mosaic_cuda__trial;

enum { MOSAIC_CUDA__TRIALS = 12 };

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
    int64_t want[MOSAIC_CUDA__TRIALS], got[MOSAIC_CUDA__TRIALS], *out;
    unsigned long long fp = mosaic__fp_enter();
    t.a = 1 + 1.0 / 134217728; /* its square needs 55 bits */
    t.b = 1.0 / 9007199254740992.0;
    t.c = -1 - 1.0 / 67108864;
    t.d = 1.5e-160;
    t.m = -((int64_t)1 << 54) - 2;
    t.n = 1000003;
    t.i = -1234567;
    t.j = 7654321;
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
    mosaic__fp_leave(fp);
    out = (int64_t *)mosaic_cuda__allocate(c, sizeof got);
    if (!out) return;
    MOSAIC_CUDA__LAUNCH(mosaic_cuda__try_operations, 1, 1, 0, c->stream, t, out);
    if (mosaic_cuda__launched(c) && mosaic_cuda__down(c, got, out, sizeof got) && mosaic_cuda__wait(c, c->stream) &&
        memcmp(want, got, sizeof got) != 0)
        mosaic_cuda__fail(c, MOSAIC_CUDA_ERROR_SELF_TEST, cudaSuccess);
    mosaic_cuda__release(c, (uint8_t *)out, sizeof got);
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
    if (mosaic_cuda__ok(c, cudaStreamCreate(&c->stream))) mosaic_cuda__self_test(c);
}

static void *mosaic_cuda__engine_open(void *ctx, const mosaic_engine *e);
static int mosaic_cuda__engine_costs(void *state, const mosaic_engine *e);
static int mosaic_cuda__engine_paint(void *state, const mosaic_engine *e);
static void mosaic_cuda__engine_close(void *state);

extern "C" void mosaic_cuda_close(mosaic_cuda *c)
{
    if (!c) return;
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
    c->engine.costs = mosaic_cuda__engine_costs;
    c->engine.paint = mosaic_cuda__engine_paint;
    c->engine.close = mosaic_cuda__engine_close;
    mosaic_cuda__start(c, device);
    result = mosaic_cuda_status(c, error);
    if (result == MOSAIC_CUDA_OK)
        *cuda = c;
    else
        mosaic_cuda_close(c);
    return result;
}

extern "C" const mosaic_device *mosaic_cuda_engine(mosaic_cuda *c) { return c ? &c->engine : 0; }

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
    p.total = (unsigned long long *)mosaic_cuda__allocate(c, sizeof sums);
    if (!p.total) return c->result;
    shared = (size_t)(MOSAIC_CUDA__SPAN + plan.window - 1) * sizeof(mosaic_cuda__column);
    if (mosaic_cuda__ok(c, cudaMemsetAsync(p.total, 0, sizeof sums, on))) {
        const dim3 grid((unsigned)((p.width + MOSAIC_CUDA__SPAN - 1) / MOSAIC_CUDA__SPAN),
                        (unsigned)((p.height + MOSAIC_CUDA__STRIP - 1) / MOSAIC_CUDA__STRIP));
        MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__ssim_strip, grid, MOSAIC_CUDA__SPAN, shared, on, p);
        if (mosaic_cuda__launched(c) && mosaic_cuda__ok(c, cudaMemcpyAsync(sums, p.total, sizeof sums, cudaMemcpyDeviceToHost, on)) &&
            mosaic_cuda__wait(c, on)) {
            const unsigned long long fp = mosaic__fp_enter();
            mosaic_ssim__add(&total, sums[0], sums[1]);
            *mean = mosaic_ssim__mean(&plan, &total);
            mosaic__fp_leave(fp);
        }
    }
    mosaic_cuda__release(c, (uint8_t *)p.total, sizeof sums);
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
    mosaic__look *look; /* of the cells whose costs are wanted; host and device */
    int32_t *weight;
    int32_t *table;
    mosaic_draw *draw;
    mosaic_curve *curve;
    uint8_t *source;
    mosaic_cuda__paint_job paint;
    mosaic__look *host_look;
    int32_t *host_weight;
    int synced; /* the canvas here is the engine's */
} mosaic_cuda__engine;

/* ---- costs ---- */

enum { MOSAIC_CUDA__CELLS = 8, MOSAIC_CUDA__PHOTOS = 128 }; /* of a block */

typedef struct mosaic_cuda__cost_job {
    mosaic__settings settings;
    const mosaic__look *look;
    const int32_t *weight;
    const mosaic__pack *pack;
    int32_t *out;
    int cells, width;
} mosaic_cuda__cost_job;

/* Each thread has one photograph and all cells of the block. */
static __global__ void __launch_bounds__(MOSAIC_CUDA__PHOTOS) mosaic_cuda__costs(mosaic_cuda__cost_job job)
{
    MOSAIC_CUDA__SHARED(mosaic__look, look);
    const int photo = (int)(blockIdx.x * MOSAIC_CUDA__PHOTOS + threadIdx.x), first = (int)blockIdx.y * MOSAIC_CUDA__CELLS;
    const int cells = job.cells - first < MOSAIC_CUDA__CELLS ? job.cells - first : MOSAIC_CUDA__CELLS, variants = job.settings.variant_count;
    int i, v;
    if ((int)threadIdx.x < cells) look[threadIdx.x] = job.look[first + (int)threadIdx.x];
    __syncthreads();
    if (photo >= job.width) return;
    for (i = 0; i < cells; i++) {
        const mosaic__pack *pack = job.pack + (size_t)(photo / MOSAIC__LANES) * (size_t)variants;
        int32_t best = mosaic__pair_cost(&job.settings, look + i, pack, photo % MOSAIC__LANES);
        for (v = 1; v < variants; v++) {
            const int32_t cost = mosaic__pair_cost(&job.settings, look + i, pack + v, photo % MOSAIC__LANES);
            if (cost < best) best = cost;
        }
        job.out[(size_t)(first + i) * (size_t)job.width + (size_t)photo] = best * job.weight[first + i] >> 8;
    }
}

/* The rows of the engine's table whose cells are stale. */
static int mosaic_cuda__engine_costs(void *state, const mosaic_engine *e)
{
    mosaic_cuda__engine *s = (mosaic_cuda__engine *)state;
    mosaic_cuda *c = s->cuda;
    mosaic_cuda__cost_job job;
    int r, end, count = 0;
    if (c->result != MOSAIC_CUDA_OK || !s->table) return 1;
    for (r = 0; r < e->filled; r++) {
        const mosaic__look *look = &e->cell[e->cell_of_row[r]].priced;
        if (!e->stale[e->cell_of_row[r]]) continue;
        s->host_look[count] = *look;
        s->host_weight[count++] = mosaic__weight(e, look);
    }
    if (count == 0) return 0;
    memset(&job, 0, sizeof job);
    job.settings = e->settings;
    job.look = s->look;
    job.weight = s->weight;
    job.pack = s->pack;
    job.out = s->table;
    job.cells = count;
    job.width = (int)e->width;
    if (!mosaic_cuda__up(c, s->look, s->host_look, (size_t)count * sizeof *s->look) ||
        !mosaic_cuda__up(c, s->weight, s->host_weight, (size_t)count * sizeof *s->weight))
        return 1;
    {
        const dim3 grid((unsigned)((job.width + MOSAIC_CUDA__PHOTOS - 1) / MOSAIC_CUDA__PHOTOS),
                        (unsigned)((count + MOSAIC_CUDA__CELLS - 1) / MOSAIC_CUDA__CELLS));
        MOSAIC_CUDA__LAUNCH_TOGETHER(mosaic_cuda__costs, grid, MOSAIC_CUDA__PHOTOS, MOSAIC_CUDA__CELLS * sizeof(mosaic__look), c->stream, job);
    }
    if (!mosaic_cuda__launched(c)) return 1;
    /* Rows that follow each other come back in one piece. */
    for (r = 0, count = 0; r < e->filled; r = end) {
        for (end = r; end < e->filled && e->stale[e->cell_of_row[end]]; end++) continue;
        if (!mosaic_cuda__down(c, e->table + (size_t)r * e->width, s->table + (size_t)count * e->width,
                               (size_t)(end - r) * e->width * sizeof *s->table))
            return 1;
        count += end - r;
        if (end == r) end++;
    }
    return !mosaic_cuda__wait(c, c->stream);
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

/* What the engine's own painter is about to do: the cells of the draw list that are to be painted again, on its canvas. */
static int mosaic_cuda__engine_paint(void *state, const mosaic_engine *e)
{
    mosaic_cuda__engine *s = (mosaic_cuda__engine *)state;
    mosaic_cuda *c = s->cuda;
    const mosaic_grid *g = &e->grid;
    const size_t cells = (size_t)e->cells, stride = (size_t)g->width * 3;
    int row, col;
    if (c->result != MOSAIC_CUDA_OK || !s->source) return 1;
    if (!mosaic_cuda__up(c, s->draw, e->draw, cells * sizeof *e->draw) ||
        (e->curve && !mosaic_cuda__up(c, s->curve, e->curve, cells * sizeof *e->curve)) ||
        !mosaic_cuda__ok(c, cudaMemcpy2DAsync(s->source, (size_t)g->source_width * 3, e->input.rgb, e->input.stride, (size_t)g->source_width * 3,
                                              (size_t)g->source_height, cudaMemcpyHostToDevice, c->stream)))
        return 1;
    if ((e->canvas_changed || !s->synced) && !mosaic_cuda__up(c, s->paint.rgb, e->canvas, stride * (size_t)g->height)) return 1;
    s->synced = 0; /* until it is known to have worked */
    {
        const dim3 grid((unsigned)((g->width + 31) / 32), (unsigned)((g->height + 7) / 8)), block(32, 8);
        MOSAIC_CUDA__LAUNCH(mosaic_cuda__paint, grid, block, 0, c->stream, s->paint);
    }
    if (!mosaic_cuda__launched(c)) return 1;
    for (row = 0; row < g->rows; row++) { /* whole rows of cells come back, where anything in them was painted */
        int from, to, skip;
        for (col = 0; col < g->cols && !e->draw[row * g->cols + col].repaint; col++) continue;
        mosaic__cell_range(g->origin_y, row, g->cell_height, g->height, &from, &to, &skip);
        if (col < g->cols &&
            !mosaic_cuda__down(c, e->canvas + (size_t)from * stride, s->paint.rgb + (size_t)from * stride, (size_t)(to - from) * stride))
            return 1;
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
    free(s->host_look);
    free(s->host_weight);
    free(s);
}

static void mosaic_cuda__engine_plan(mosaic_cuda__engine *s, const mosaic_engine *e, mosaic_cuda__arena *arena)
{
    const mosaic_grid *g = &e->grid;
    const mosaic__painter *p = &e->painter;
    const size_t cells = (size_t)e->cells, pixels = (size_t)g->width * (size_t)g->height;
    mosaic_cuda__paint_job *job = &s->paint;
    if (e->table) {
        s->pack = (mosaic__pack *)mosaic_cuda__take(arena, e->width / MOSAIC__LANES * (size_t)e->settings.variant_count, sizeof *s->pack);
        s->look = (mosaic__look *)mosaic_cuda__take(arena, (size_t)e->filled, sizeof *s->look);
        s->weight = (int32_t *)mosaic_cuda__take(arena, (size_t)e->filled, sizeof *s->weight);
        s->table = (int32_t *)mosaic_cuda__take(arena, (size_t)e->filled * e->width, sizeof *s->table);
    }
    if (!e->canvas) return;
    s->draw = (mosaic_draw *)mosaic_cuda__take(arena, cells, sizeof *s->draw);
    s->curve = e->curve ? (mosaic_curve *)mosaic_cuda__take(arena, cells, sizeof *s->curve) : 0;
    s->source = (uint8_t *)mosaic_cuda__take(arena, (size_t)g->source_width * (size_t)g->source_height, 3);
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
}

/* What stays the same for a whole stream. */
static int mosaic_cuda__engine_fill(mosaic_cuda__engine *s, const mosaic_engine *e)
{
    mosaic_cuda *c = s->cuda;
    const mosaic_grid *g = &e->grid;
    const mosaic__painter *p = &e->painter;
    const size_t photo = mosaic__photo_bytes(e->pool);
    int i;
    if (s->pack && !mosaic_cuda__up(c, s->pack, e->pack, e->width / MOSAIC__LANES * (size_t)e->settings.variant_count * sizeof *s->pack)) return 0;
    if (s->source) {
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
    s->host_weight = (int32_t *)malloc((size_t)e->filled * sizeof *s->host_weight);
    memset(&arena, 0, sizeof arena);
    mosaic_cuda__engine_plan(s, e, &arena);
    if (s->host_look && s->host_weight && !arena.overflow) {
        s->size = arena.used;
        s->memory = arena.base = mosaic_cuda__allocate(c, s->size);
        arena.used = 0;
        if (arena.base) {
            mosaic_cuda__engine_plan(s, e, &arena);
            if (mosaic_cuda__engine_fill(s, e)) return s;
        }
    } else
        mosaic_cuda__fail(c, MOSAIC_CUDA_ERROR_HOST_MEMORY, cudaSuccess);
    mosaic_cuda__engine_close(s);
    return 0;
}

#endif
