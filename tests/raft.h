/* What the tests of RAFT in integers share: a network, and pictures for it. After mosaic_flow.h's implementation and test.h. */
#ifndef MOSAIC_TEST_RAFT_H
#define MOSAIC_TEST_RAFT_H

#include <math.h>

/* A network of random numbers, about as large as trained ones: no activation dies or explodes. */
static inline mosaic_flow_weights *random_weights(int large, unsigned seed, double gain)
{
    mosaic_flow_weights *w = NULL;
    int i;
    size_t k;
    test_seed = 88172645463325252ull + seed;
    if (mosaic_flow__weights_make(&mosaic_flow__models[large], 0, NULL, &w) != MOSAIC_FLOW_OK) return NULL;
    w->format = w->names = "none";
    for (i = 0; i < w->model->count; i++) {
        const mosaic_flow__layer *l = &w->model->layers[i];
        const size_t each = (size_t)l->in * l->height * l->width, all = each * l->out;
        float *p = (float *)(uintptr_t)w->weight[i];
        if (!l->name) continue;
        for (k = 0; k < all; k++) p[k] = (float)(gain * (test_range(-10000, 10000) / 10000.0) / sqrt((double)each));
        for (k = 0; k < l->out; k++) ((float *)(uintptr_t)w->bias[i])[k] = (float)(test_range(-1000, 1000) / 10000.0);
    }
    return w;
}

static inline void random_picture(uint8_t *p, int w, int h, int dx, int dy)
{
    int x, y, c;
    for (y = 0; y < h; y++)
        for (x = 0; x < w; x++)
            for (c = 0; c < 3; c++) {
                unsigned u = (unsigned)((x + dx) / 3) * 2654435761u ^ (unsigned)((y + dy) / 3) * 2246822519u ^ (unsigned)c * 3266489917u;
                u ^= u >> 15;
                u *= 2246822519u;
                p[((size_t)y * (size_t)w + (size_t)x) * 3 + (size_t)c] = (uint8_t)((u >> 24) / 2 + (unsigned)(x + dx) % 128);
            }
}

#endif
