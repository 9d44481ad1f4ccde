/* RAFT of mosaic_flow.h as a shared library for raft_parity.py. */
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../../mosaic_flow.h"

mosaic_flow_weights *parity_load(const void *bytes, size_t size, int *result);
void parity_numbers(const mosaic_flow_weights *weights, float *out);
int parity_pair(const mosaic_flow_weights *weights, int width, int height, const uint8_t *a, const uint8_t *b, int iterations, int arithmetic,
                const float *init, float *out, float *stages);

mosaic_flow_weights *parity_load(const void *bytes, size_t size, int *result)
{
    mosaic_flow_weights *weights;
    *result = (int)mosaic_flow_weights_load(bytes, size, 0, &weights);
    return weights;
}

/* All weights and biases, or with null their number in bytes by mosaic_flow_weights_size. */
void parity_numbers(const mosaic_flow_weights *weights, float *out) { memcpy(out, weights->values, weights->parameters * sizeof *out); }

/* Channels first ... first + channels - 1 of a map, channels last. */
static float *copy(const mosaic_flow__map *map, int first, int channels, float *to)
{
    int x, y;
    for (y = 0; y < map->height; y++)
        for (x = 0; x < map->width; x++, to += channels)
            memcpy(to, map->at + (size_t)y * map->row + (size_t)x * map->pixel + first, (size_t)channels * sizeof *to);
    return to;
}

/* The motion of a pair; stages, if not null, receives what the last iteration left (the order is that of raft_parity.py). */
int parity_pair(const mosaic_flow_weights *weights, int width, int height, const uint8_t *a, const uint8_t *b, int iterations, int arithmetic,
                const float *init, float *out, float *stages)
{
    const mosaic_flow__model *m = weights->model;
    const mosaic_flow__layer *u = m->layers + m->update;
    const int side = 2 * m->radius + 1;
    mosaic_flow_options o;
    mosaic_flow *flow;
    mosaic_flow_result result;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_RAFT;
    o.weights = weights;
    o.arithmetic = arithmetic;
    o.iterations = iterations;
    result = mosaic_flow_open(width, height, &o, &flow);
    if (result != MOSAIC_FLOW_OK) return (int)result;
    result = mosaic_flow_pair(flow, a, (size_t)width * 3, b, (size_t)width * 3, init, out);
    if (stages && arithmetic == 1) {
        const mosaic_flow__float *f = (const mosaic_flow__float *)flow->method;
        stages = copy(&f->features[0], 0, m->features, stages);
        stages = copy(&f->features[1], 0, m->features, stages);
        stages = copy(&f->context[0], 0, m->hidden + m->context, stages);
        stages = copy(&f->corr, 0, 4 * side * side, stages);
        stages = copy(&f->merged, 0, u[MOSAIC_FLOW__MERGE].in, stages);
        stages = copy(&f->state, m->hidden, u[MOSAIC_FLOW__MERGE].out, stages);
        stages = copy(&f->zr, 0, m->hidden, stages);
        stages = copy(&f->zr, m->hidden, m->hidden, stages);
        stages = copy(&f->q, 0, m->hidden, stages);
        stages = copy(&f->hidden, 0, m->hidden, stages);
        stages = copy(&f->head, 0, u[MOSAIC_FLOW__HEAD1].out, stages);
        stages = copy(&f->delta, 0, 2, stages);
        copy(&f->flow, 0, 2, stages);
    }
    mosaic_flow_close(flow);
    return (int)result;
}
