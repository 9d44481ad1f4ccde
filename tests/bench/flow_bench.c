/* mosaic_flow.h as a shared library for bench.py. */
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../../mosaic_flow.h"
#include <time.h>

/* Null when it cannot be had. */
mosaic_flow *flow_bench_dis(int width, int height, int preset, int simd)
{
    mosaic_flow_options o;
    mosaic_flow *flow = 0;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_DIS;
    o.preset = (mosaic_flow_preset)preset;
    o.simd = simd;
    o.forward_only = 1;
    mosaic_flow_open(width, height, &o, &flow);
    return flow;
}

/* Null when it cannot be had. The weights must outlive it. */
mosaic_flow *flow_bench_raft(const mosaic_flow_weights *weights, int width, int height, int arithmetic, int simd, int iterations, int warm_start)
{
    mosaic_flow_options o;
    mosaic_flow *flow = 0;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_RAFT;
    o.weights = weights;
    o.arithmetic = arithmetic;
    o.simd = simd;
    o.iterations = iterations;
    o.warm_start = warm_start;
    o.forward_only = 1;
    mosaic_flow_open(width, height, &o, &flow);
    return flow;
}

const mosaic_flow_weights *flow_bench_weights(const void *bytes, size_t size)
{
    mosaic_flow_weights *weights = 0;
    mosaic_flow_weights_load(bytes, size, 0, &weights);
    return weights;
}

/* What one core can do at most, in 10^9 multiplications with an addition a second: 12 independent chains in registers. 0 where this processor has no
   such instructions. */
double flow_bench_peak(int simd)
{
#if defined(__x86_64__)
#define FMA(r, n) "vfmadd213ps %%" r "12, %%" r "12, %%" r #n "\n\t"
#define CHAINS(r)                                                                                                                                    \
    "1:\n\t" FMA(r, 0) FMA(r, 1) FMA(r, 2) FMA(r, 3) FMA(r, 4) FMA(r, 5) FMA(r, 6) FMA(r, 7) FMA(r, 8) FMA(r, 9) FMA(r, 10)                          \
        FMA(r, 11) "dec %0\n\tjnz 1b\n\tvzeroupper"
#define USED "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "cc"
    const int lanes = simd == 2 ? 8 : 16;
    long turns = 10000000;
    const double all = 12e-9 * (double)turns * lanes;
    struct timespec begin, end;
    if (simd - 1 > mosaic__cpu_level()) return 0;
    __asm__ __volatile__("vzeroall" : : : USED);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (simd == 2)
        __asm__ __volatile__(CHAINS("ymm") : "+r"(turns) : : USED);
    else
        __asm__ __volatile__(CHAINS("zmm") : "+r"(turns) : : USED);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return all / ((double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec));
#else
    return 0 * simd;
#endif
}

/* Packed RGB pictures; out: dx and dy in px for each pixel. */
int flow_bench_pair(mosaic_flow *flow, const uint8_t *a, const uint8_t *b, size_t stride, float *out)
{
    return (int)mosaic_flow_pair(flow, a, stride, b, stride, 0, out);
}

/* The next frame of a stream of width x height pixels; out: as above, left alone after the first frame. */
int flow_bench_push(mosaic_flow *flow, const uint8_t *rgb, int width, int height, float *out)
{
    const mosaic_flow_field *field = 0;
    const int result = (int)mosaic_flow_push(flow, rgb, (size_t)width * 3, &field);
    int i;
    for (i = 0; field && i < width * height * 2; i++) out[i] = (float)field->forward[i] / 64;
    return result;
}

void flow_bench_close(mosaic_flow *flow) { mosaic_flow_close(flow); }
