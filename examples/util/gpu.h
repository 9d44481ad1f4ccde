/* gpu.h - a GPU for those stages that mosaic_cuda.cu has, or the line that says why there is none. Compile with -DMOSAIC_CUDA and link mosaic_cuda.o (its
   opening comment has the commands) for programs that look for one.

   Include mosaic_temporal.h first. */
#ifndef MOSAIC_UTIL_GPU_H
#define MOSAIC_UTIL_GPU_H

#ifdef MOSAIC_CUDA
#include "../../mosaic_cuda.cu"
#endif
#include <stdio.h>
#include <string.h>

enum { GPU_AUTO, GPU_ON, GPU_OFF };
static const char *const gpu_modes[] = {"auto", "on", "off", NULL};

typedef struct gpu {
    char name[256]; /* of the device that works, "off" when there is none */
    int mode;
#ifdef MOSAIC_CUDA
    mosaic_cuda *cuda;
#endif
} gpu;

/* 0, and a device or none; -1 when there is none and mode is GPU_ON. why: "", or what speaks against the GPU that was looked for. */
static inline int gpu_open(gpu *g, int mode, char *why, size_t why_size)
{
    why[0] = 0;
    memset(g, 0, sizeof *g);
    g->mode = mode;
    snprintf(g->name, sizeof g->name, "off");
    if (mode == GPU_OFF) return 0;
#ifdef MOSAIC_CUDA
    {
        const char *error = "";
        const mosaic_cuda_result result = mosaic_cuda_open(NULL, &g->cuda, &error);
        if (result == MOSAIC_CUDA_OK) {
            snprintf(g->name, sizeof g->name, "%s", mosaic_cuda_name(g->cuda));
            return 0;
        }
        snprintf(why, why_size, "%s%s%s%s", mosaic_cuda_result_string(result), *error ? " (" : "", error, *error ? ")" : "");
    }
#else
    if (mode == GPU_ON) snprintf(why, why_size, "this program was built without mosaic_cuda.cu");
#endif
    return mode == GPU_ON ? -1 : 0;
}

/* For mosaic_options.device. */
static inline const struct mosaic_device *gpu_device(gpu *g)
{
#ifdef MOSAIC_CUDA
    return mosaic_cuda_engine(g->cuda);
#else
    (void)g;
    return NULL;
#endif
}

/* For mosaic_flow_options.device. */
static inline const struct mosaic_flow_device *gpu_flow(gpu *g)
{
#ifdef MOSAIC_CUDA
    return mosaic_cuda_flow(g->cuda);
#else
    (void)g;
    return NULL;
#endif
}

/* Whether the device has failed since it was asked last: a line in why then, and from now on everything is done on the processor. */
static inline int gpu_lost(gpu *g, char *why, size_t why_size)
{
#ifdef MOSAIC_CUDA
    const char *error = "";
    const mosaic_cuda_result result = g->cuda ? mosaic_cuda_status(g->cuda, &error) : MOSAIC_CUDA_OK;
    if (result == MOSAIC_CUDA_OK || strcmp(g->name, "off") == 0) return 0;
    snprintf(why, why_size, "%s%s%s%s", mosaic_cuda_result_string(result), *error ? " (" : "", error, *error ? ")" : "");
    snprintf(g->name, sizeof g->name, "off");
    return 1;
#else
    (void)g, (void)why, (void)why_size;
    return 0;
#endif
}

/* After the engine. */
static inline void gpu_close(gpu *g)
{
#ifdef MOSAIC_CUDA
    mosaic_cuda_close(g->cuda);
#endif
    (void)g;
}

#endif
