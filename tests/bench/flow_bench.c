/* mosaic_flow.h as a shared library for bench.py. */
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../../mosaic_flow.h"

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

/* Packed RGB pictures; out: dx and dy in px for each pixel. */
int flow_bench_pair(mosaic_flow *flow, const uint8_t *a, const uint8_t *b, size_t stride, float *out)
{
    return (int)mosaic_flow_pair(flow, a, stride, b, stride, 0, out);
}

void flow_bench_close(mosaic_flow *flow) { mosaic_flow_close(flow); }
