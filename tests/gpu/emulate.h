/* A GPU that is not there: what mosaic_cuda.cu takes from CUDA, on the CPU, so that the very same file can be compiled by a C++ compiler and its kernels
   compared with the CPU's code on any machine. Stricter than a real device where it can be:
   - threads of a block run in an order that changes from launch to launch (emulate_seed); at a barrier all wait for all, and a barrier that some
     threads of a block do not reach ends the program;
   - shared memory is of the size asked for and not a byte more, and full of noise when a block begins; so is memory from cudaMalloc;
   - the host cannot touch device memory (it is mapped without access outside of launches and copies), a byte past an allocation's last 16 is a
     fault, and a kernel's arguments may not hold host addresses;
   - a stream does nothing until somebody waits for it, so that whoever reads too early reads nothing; and it copies from and to pinned memory only,
     since a device would make the host wait for other copies.
   The runtime's calls can be made to fail: emulate_fail. It cannot show what nvcc makes of the code (the audit of the PTX does), races between threads
   that no barrier separates but in the orders tried, or speed. */
#ifndef MOSAIC_EMULATE_H
#define MOSAIC_EMULATE_H

#undef _FORTIFY_SOURCE /* would take a jump from one thread's stack to another's for an accident */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <csetjmp>
#include <functional>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __align__(n) alignas(n)
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorStubLibrary = 34,
    cudaErrorInsufficientDriver = 35,
    cudaErrorDevicesUnavailable = 46,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorIllegalAddress = 700,
    cudaErrorUnsupportedPtxVersion = 222,
    cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
typedef struct emulate_stream *cudaStream_t;
struct cudaDeviceProp {
    char name[256];
    int major, minor;
    size_t totalGlobalMem;
};

/* ---- what tests set ---- */

static int emulate_devices = 1;             /* how many there are */
static int emulate_major = 9;               /* their compute capability */
static unsigned long long emulate_seed = 1; /* of the order of threads and of noise */
static long emulate_fail_at;                /* the runtime's call of this number fails, counted from 1; 0: none */
static cudaError_t emulate_fail_with = cudaErrorLaunchFailure;
static int emulate_fail_on;                                 /* the calls after it fail too: the device is gone */
static int emulate_wrong;                                   /* this operation rounds wrongly, counted from 1; 0: none */
static long emulate_calls, emulate_launches, emulate_waits; /* so far */

/* ---- device memory ---- */

struct emulate_block {
    unsigned char *map, *at;
    size_t mapped, size;
};
static std::vector<emulate_block> emulate_memory;
static size_t emulate_allocated;
static cudaError_t emulate_last;

static unsigned emulate_random(void)
{
    emulate_seed ^= emulate_seed << 13;
    emulate_seed ^= emulate_seed >> 7;
    emulate_seed ^= emulate_seed << 17;
    return (unsigned)(emulate_seed >> 32);
}

static void emulate_stop(const char *why)
{
    fprintf(stderr, "emulated GPU: %s\n", why);
    abort();
}

static void emulate_noise(unsigned char *p, size_t n)
{
    for (; n >= 4; n -= 4, p += 4) {
        const unsigned v = emulate_random();
        memcpy(p, &v, 4);
    }
    while (n--) *p++ = (unsigned char)emulate_random();
}

/* Whether a call fails now. Programs are told by the environment which one is to fail. */
static cudaError_t emulate_call(void)
{
    const char *at = emulate_calls ? NULL : getenv("EMULATE_FAIL_AT");
    if (at) emulate_fail_at = atol(at);
    emulate_calls++;
    if (emulate_fail_at && (emulate_calls == emulate_fail_at || (emulate_fail_on && emulate_calls > emulate_fail_at)))
        return emulate_last = emulate_fail_with;
    return cudaSuccess;
}

static void emulate_open(int access)
{
    for (const emulate_block &b : emulate_memory)
        if (mprotect(b.map, b.mapped, access ? PROT_READ | PROT_WRITE : PROT_NONE)) emulate_stop("mprotect");
}

static int emulate_inside(const void *p, size_t n)
{
    for (const emulate_block &b : emulate_memory)
        if ((const unsigned char *)p >= b.at && (const unsigned char *)p + n <= b.at + b.size) return 1;
    return 0;
}

static cudaError_t emulate_malloc(void **p, size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), rounded = (size + 15) / 16 * 16;
    emulate_block b;
    if (cudaError_t e = emulate_call()) return e;
    b.mapped = (rounded + page - 1) / page * page;
    b.map = (unsigned char *)mmap(NULL, b.mapped + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b.map == MAP_FAILED || mprotect(b.map + b.mapped, page, PROT_NONE)) emulate_stop("mmap");
    b.at = b.map + b.mapped - rounded;
    b.size = size;
    emulate_noise(b.at, rounded);
    if (mprotect(b.map, b.mapped, PROT_NONE)) emulate_stop("mprotect");
    emulate_memory.push_back(b);
    emulate_allocated += size;
    *p = b.at;
    return cudaSuccess;
}
template <class T> static cudaError_t cudaMalloc(T **p, size_t size) { return emulate_malloc((void **)p, size); }

static cudaError_t cudaFree(void *p)
{
    if (!p) return cudaSuccess;
    for (size_t i = 0; i < emulate_memory.size(); i++)
        if (emulate_memory[i].at == p) {
            munmap(emulate_memory[i].map, emulate_memory[i].mapped + (size_t)sysconf(_SC_PAGESIZE));
            emulate_allocated -= emulate_memory[i].size;
            emulate_memory.erase(emulate_memory.begin() + (long)i);
            return emulate_call(); /* a device that is gone says so, and the memory is gone with it */
        }
    emulate_stop("cudaFree of what cudaMalloc did not give");
    return cudaErrorInvalidValue;
}

/* Memory of the host that is pinned: only with such does a stream of its own copy. */
static std::vector<emulate_block> emulate_pinned;
template <class T> static cudaError_t cudaMallocHost(T **p, size_t size)
{
    emulate_block b;
    if (cudaError_t e = emulate_call()) return e;
    b.map = b.at = (unsigned char *)malloc(size);
    b.mapped = b.size = size;
    if (!b.at) emulate_stop("malloc");
    emulate_noise(b.at, size);
    emulate_pinned.push_back(b);
    emulate_allocated += size;
    *p = (T *)b.at;
    return cudaSuccess;
}
static cudaError_t cudaFreeHost(void *p)
{
    for (size_t i = 0; i < emulate_pinned.size(); i++)
        if (emulate_pinned[i].at == p) {
            free(p);
            emulate_allocated -= emulate_pinned[i].size;
            emulate_pinned.erase(emulate_pinned.begin() + (long)i);
            return emulate_call();
        }
    emulate_stop("cudaFreeHost of what cudaMallocHost did not give");
    return cudaErrorInvalidValue;
}

/* ---- streams ---- */

struct emulate_stream {
    std::vector<std::function<void()>> todo;
};

static emulate_stream emulate_default;

static void emulate_drain(cudaStream_t s)
{
    std::vector<std::function<void()>> todo;
    todo.swap(s->todo);
    emulate_open(1);
    for (const std::function<void()> &f : todo) f();
    emulate_open(0);
}

static cudaError_t cudaStreamCreate(cudaStream_t *s)
{
    if (cudaError_t e = emulate_call()) return e;
    *s = new emulate_stream;
    return cudaSuccess;
}
static cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    delete s;
    return emulate_call();
}
static cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    if (cudaError_t e = emulate_call()) return e;
    emulate_waits++;
    emulate_drain(s ? s : &emulate_default);
    return cudaSuccess;
}
static cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind, cudaStream_t s)
{
    if (cudaError_t e = emulate_call()) return e;
    if (emulate_inside(to, n) != (kind != cudaMemcpyDeviceToHost) || emulate_inside(from, n) != (kind != cudaMemcpyHostToDevice))
        emulate_stop("a copy out of an allocation's bounds, or in the wrong direction");
    if (s && kind != cudaMemcpyDeviceToDevice) {
        const unsigned char *host = (const unsigned char *)(kind == cudaMemcpyHostToDevice ? from : to);
        int pinned = 0;
        for (const emulate_block &b : emulate_pinned) pinned |= host >= b.at && host + n <= b.at + b.size;
        if (!pinned) emulate_stop("an asynchronous copy of memory that is not pinned");
    }
    (s ? s : &emulate_default)->todo.push_back([=] { memcpy(to, from, n); });
    return cudaSuccess;
}
static cudaError_t cudaMemsetAsync(void *to, int value, size_t n, cudaStream_t s)
{
    if (cudaError_t e = emulate_call()) return e;
    if (!emulate_inside(to, n)) emulate_stop("a fill out of an allocation's bounds");
    (s ? s : &emulate_default)->todo.push_back([=] { memset(to, value, n); });
    return cudaSuccess;
}

/* ---- the rest of the runtime ---- */

static cudaError_t cudaGetDeviceCount(int *n)
{
    if (cudaError_t e = emulate_call()) return e;
    if (emulate_devices == 0) return cudaErrorNoDevice;
    *n = emulate_devices;
    return cudaSuccess;
}
static cudaError_t cudaSetDevice(int device)
{
    if (cudaError_t e = emulate_call()) return e;
    return device < emulate_devices ? cudaSuccess : cudaErrorInvalidDevice;
}
static cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    if (cudaError_t e = emulate_call()) return e;
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated on the CPU");
    p->major = emulate_major;
    p->totalGlobalMem = (size_t)1 << 34;
    return cudaSuccess;
}
static cudaError_t cudaGetLastError(void)
{
    const cudaError_t e = emulate_last;
    emulate_last = cudaSuccess;
    return e;
}
static const char *cudaGetErrorName(cudaError_t e)
{
    switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorStubLibrary: return "cudaErrorStubLibrary";
    case cudaErrorUnsupportedPtxVersion: return "cudaErrorUnsupportedPtxVersion";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorDevicesUnavailable: return "cudaErrorDevicesUnavailable";
    }
    return "unknown";
}

/* ---- blocks and threads ---- */

static dim3 emulate_grid, emulate_size, emulate_at;
struct emulate_thread {
    dim3 index;
    ucontext_t context;
    int done, line, begun;
    jmp_buf jump;
    void *stack, *fake;
    ~emulate_thread() { free(stack); }
};
static emulate_thread *emulate_now;
static int emulate_together; /* threads may wait for each other */
static unsigned char *emulate_shared_memory;
static const std::function<void()> *emulate_body;

#define threadIdx (emulate_now->index)
#define blockIdx (emulate_at)
#define blockDim (emulate_size)
#define gridDim (emulate_grid)
#define __syncthreads() emulate_barrier(__LINE__)

enum { EMULATE_STACK = 64 << 10 };

#if defined(__SANITIZE_ADDRESS__)
static ucontext_t emulate_main;
static const void *emulate_main_stack;
static size_t emulate_main_stack_size;
#else
static jmp_buf emulate_main_jump;
#endif

static void emulate_enter(emulate_thread *t)
{
#if defined(__SANITIZE_ADDRESS__)
    void *fake;
    __sanitizer_start_switch_fiber(&fake, t->stack, EMULATE_STACK);
    swapcontext(&emulate_main, &t->context);
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#else /* a thread lives on from block to block, and jumps are quicker than contexts, which ask the system */
    if (_setjmp(emulate_main_jump)) return;
    if (t->begun) _longjmp(t->jump, 1);
    t->begun = 1;
    setcontext(&t->context);
#endif
}
static void emulate_leave(emulate_thread *t)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(t->done ? NULL : &t->fake, emulate_main_stack, emulate_main_stack_size);
    swapcontext(&t->context, &emulate_main);
    __sanitizer_finish_switch_fiber(t->fake, &emulate_main_stack, &emulate_main_stack_size);
#else
    if (!_setjmp(t->jump)) _longjmp(emulate_main_jump, 1);
#endif
}
static void emulate_barrier(int line)
{
    if (!emulate_together) emulate_stop("a barrier in a kernel that was launched without");
    emulate_now->line = line;
    emulate_leave(emulate_now);
}
static void emulate_entry(void)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &emulate_main_stack, &emulate_main_stack_size);
#endif
    for (;;) {
        (*emulate_body)();
        emulate_now->done = 1;
        emulate_leave(emulate_now);
    }
}

static std::vector<emulate_thread> emulate_threads(1024);

static __attribute__((noinline)) void emulate_prepare(emulate_thread *t)
{
    t->done = t->line = 0;
    if (t->begun) return;
    if (!t->stack) t->stack = malloc(EMULATE_STACK);
    getcontext(&t->context);
    t->context.uc_stack.ss_sp = t->stack;
    t->context.uc_stack.ss_size = EMULATE_STACK;
    t->context.uc_link = NULL;
    makecontext(&t->context, emulate_entry, 0);
}

static void emulate_block_together(const std::vector<unsigned> &order)
{
    size_t live = order.size();
    for (unsigned i : order) emulate_prepare(&emulate_threads[i]);
    while (live) {
        int line = 0;
        size_t reached = 0;
        for (unsigned i : order) {
            emulate_thread *t = &emulate_threads[i];
            if (t->done) continue;
            emulate_now = t;
            emulate_enter(t);
            if (t->done) {
                live--;
                continue;
            }
            if (reached && t->line != line) emulate_stop("threads of a block wait at different barriers");
            line = t->line;
            reached++;
        }
        if (reached && reached != order.size()) emulate_stop("a barrier that not all threads of the block reach");
    }
}

static void emulate_run(dim3 grid, dim3 size, size_t shared, int together, const std::function<void()> &body)
{
    const unsigned count = size.x * size.y * size.z;
    const size_t blocks = (size_t)grid.x * grid.y * grid.z, first = emulate_random() % blocks;
    std::vector<unsigned> order(count);
    unsigned i;
    for (i = 0; i < count; i++) {
        order[i] = i;
        emulate_threads[i].index = dim3(i % size.x, i / size.x % size.y, i / size.x / size.y);
    }
    for (i = count; i > 1; i--) { /* another order for each launch */
        const unsigned k = emulate_random() % i, v = order[k];
        order[k] = order[i - 1];
        order[i - 1] = v;
    }
    emulate_grid = grid;
    emulate_size = size;
    emulate_body = &body;
    emulate_together = together;
    emulate_shared_memory = (unsigned char *)malloc(shared + !shared);
    for (size_t b = 0; b < blocks; b++) {
        const size_t at = (first + b) % blocks;
        emulate_at = dim3((unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / grid.x / grid.y));
        emulate_noise(emulate_shared_memory, shared);
        if (together)
            emulate_block_together(order);
        else
            for (unsigned k : order) {
                emulate_now = &emulate_threads[k];
                body();
            }
    }
    free(emulate_shared_memory);
}

/* A word of an argument that is the address of host memory: what no kernel may follow. (The address sanitizer has mapped most addresses there are.) */
static void emulate_check(const void *argument, size_t size)
{
#if defined(__SANITIZE_ADDRESS__)
    (void)argument, (void)size;
#else
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char in_core;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t v;
        memcpy(&v, (const char *)argument + i, 8);
        if (v < (uint64_t)1 << 32 || v >> 47 || emulate_inside((const void *)v, 0)) continue;
        if (!mincore((void *)(v / page * page), 1, &in_core)) emulate_stop("a kernel was given an address of the host");
    }
#endif
}
template <class T> static T emulate_argument(T argument)
{
    emulate_check(&argument, sizeof argument);
    return argument;
}

template <class... Wanted, class... Given>
static void emulate_launch(dim3 grid, dim3 size, size_t shared, cudaStream_t stream, int together, void (*kernel)(Wanted...), Given... given)
{
    if (emulate_call()) return; /* cudaGetLastError tells */
    if (!grid.x || !grid.y || !grid.z || !size.x || !size.y || !size.z) emulate_stop("an empty grid or block");
    if (size.x * size.y * size.z > 1024 || shared > 49152 || grid.y > 65535 || grid.z > 65535)
        emulate_stop("a block or grid larger than a GPU takes");
    if (!stream) stream = &emulate_default;
    emulate_launches++;
    int checks[] = {0, (emulate_argument<Wanted>((Wanted)given), 0)...};
    (void)checks;
    stream->todo.push_back([=] { emulate_run(grid, size, shared, together, [=] { kernel((Wanted)given...); }); });
}

/* ---- operations ---- */

/* A result that is one unit in the last place too large, where the test asks for a wrong operation. */
static inline double emulate_rounded(int operation, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    bits += operation == emulate_wrong;
    memcpy(&v, &bits, 8);
    return v;
}
static inline float emulate_rounded(int operation, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    bits += operation == emulate_wrong;
    memcpy(&v, &bits, 4);
    return v;
}
static inline double __dadd_rn(double a, double b) { return emulate_rounded(1, a + b); }
static inline double __dmul_rn(double a, double b) { return emulate_rounded(2, a * b); }
static inline double __ddiv_rn(double a, double b) { return emulate_rounded(3, a / b); }
static inline long long __double_as_longlong(double v)
{
    long long bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static inline double __ll2double_rn(long long v) { return (double)v; }
template <class T> static inline T atomicAdd(T *at, T v)
{
    const T before = *at;
    *at = (T)(before + v);
    return before;
}
template <class T> static inline T atomicMax(T *at, T v)
{
    const T before = *at;
    if (v > before) *at = v;
    return before;
}
template <class T> static inline T atomicMin(T *at, T v)
{
    const T before = *at;
    if (v < before) *at = v;
    return before;
}
#endif
