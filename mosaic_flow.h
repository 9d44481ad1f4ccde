/* mosaic_flow.h - v0.1.0 - dense optical flow between the frames of a stream - MIT or public domain

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
       MOSAIC_FLOW_MALLOC(ctx,size)  with MOSAIC_FLOW_FREE(ctx,ptr): both or neither; malloc and free by default;
                                     ctx is mosaic_flow_options.alloc_ctx

   MEMORY         One block at open, none later: two fields of 4 bytes a pixel of the field's size.
   THREADS        A mosaic_flow is used by one thread at a time; different ones are independent. It starts no threads.
   DETERMINISM    Vectors are integers. The same frames give the same vectors on every machine.
   ACCURACY AND LIMITS
                  The method of this version is `none`: nothing moves. It is what a stream without motion estimation uses and what
                  tests compare with; a caller with vectors of its own makes a mosaic_flow_field itself. Vectors reach 511 px.
   PERFORMANCE    Nothing is computed.
   LAST CHANGES   0.1.0  the interface, with `none`
*/
#ifndef MOSAIC_FLOW_H
#define MOSAIC_FLOW_H

#include <stddef.h>
#include <stdint.h>

#define MOSAIC_FLOW_VERSION "0.1.0"

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
    MOSAIC_FLOW_ERROR_NULL,   /* a required pointer is null */
    MOSAIC_FLOW_ERROR_SIZE,   /* a size is zero, negative, above 32767, or overflows */
    MOSAIC_FLOW_ERROR_STRIDE, /* a row stride is smaller than a row */
    MOSAIC_FLOW_ERROR_OPTION, /* no such method */
    MOSAIC_FLOW_ERROR_MEMORY  /* an allocation failed */
} mosaic_flow_result;

/* A static English phrase for a result, never null. */
MOSAIC_FLOW_API const char *mosaic_flow_result_string(mosaic_flow_result result);

typedef enum mosaic_flow_method {
    MOSAIC_FLOW_NONE = 0, /* nothing moves: all vectors are zero */
    MOSAIC_FLOW_METHODS   /* how many there are */
} mosaic_flow_method;

/* "none"; null outside the list. */
MOSAIC_FLOW_API const char *mosaic_flow_method_name(int method);

/* The motion between two consecutive frames, the older one `previous` and the newer one `current`. A field covers the whole frame;
   it may have fewer pixels than the frame has. Vectors are pairs dx, dy in 1/64 of the field's own pixels, x to the right, y down. */
typedef struct mosaic_flow_field {
    int width, height;       /* pixels of the field */
    size_t stride;           /* bytes from one row of vectors to the next, at least 4 * width, a multiple of 2 */
    const int16_t *forward;  /* at the pixels of `previous`: where the content went; null when not known */
    const int16_t *backward; /* at the pixels of `current`: where the content came from; null when not known */
} mosaic_flow_field;

/* Zero everywhere means the defaults. */
typedef struct mosaic_flow_options {
    mosaic_flow_method method;
    int width, height; /* size of the field; 0 = the frame's own */
    void *alloc_ctx;   /* handed to MOSAIC_FLOW_MALLOC and MOSAIC_FLOW_FREE */
} mosaic_flow_options;

typedef struct mosaic_flow mosaic_flow;

/* Begins a stream of frames of width x height pixels (1 to 32767 each). options may be null. On success *flow is the caller's to
   close; on failure it is null. */
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_open(int width, int height, const mosaic_flow_options *options, mosaic_flow **flow);

/* Takes the next frame: packed 8-bit sRGB, stride bytes from row to row (at least 3 * width). *field becomes the motion from the frame
   pushed before to this one, or null for the first frame after open or reset; it belongs to the stream and is valid until the next
   push, reset or close. */
MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_push(mosaic_flow *flow, const uint8_t *rgb, size_t stride, const mosaic_flow_field **field);

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
#ifndef MOSAIC_FLOW_ASSERT
#include <assert.h>
#define MOSAIC_FLOW_ASSERT(x) assert(x)
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct mosaic_flow {
    int frame_width, frames;
    void *alloc_ctx;
    int16_t *vectors;
    mosaic_flow_field field;
};

MOSAIC_FLOW_API const char *mosaic_flow_result_string(mosaic_flow_result result)
{
    switch (result) {
    case MOSAIC_FLOW_OK: return "ok";
    case MOSAIC_FLOW_ERROR_NULL: return "a required pointer is null";
    case MOSAIC_FLOW_ERROR_SIZE: return "a size is zero, negative or too large";
    case MOSAIC_FLOW_ERROR_STRIDE: return "a row stride is smaller than a row";
    case MOSAIC_FLOW_ERROR_OPTION: return "no such flow method";
    case MOSAIC_FLOW_ERROR_MEMORY: return "out of memory";
    }
    return "unknown result";
}

MOSAIC_FLOW_API const char *mosaic_flow_method_name(int method) { return method == MOSAIC_FLOW_NONE ? "none" : 0; }

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_open(int width, int height, const mosaic_flow_options *options, mosaic_flow **flow)
{
    mosaic_flow_options o;
    mosaic_flow *f;
    size_t field_bytes;

    if (!flow) return MOSAIC_FLOW_ERROR_NULL;
    *flow = 0;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    if ((int)o.method < 0 || o.method >= MOSAIC_FLOW_METHODS) return MOSAIC_FLOW_ERROR_OPTION;
    if (o.width == 0) o.width = width;
    if (o.height == 0) o.height = height;
    if (width <= 0 || height <= 0 || width > 32767 || height > 32767 || o.width <= 0 || o.height <= 0 || o.width > 32767 || o.height > 32767)
        return MOSAIC_FLOW_ERROR_SIZE;
    /* Two vectors of two int16 a pixel; 32767 squared times 8 can pass what a 32-bit size_t holds. */
    if ((size_t)o.height > ((size_t)-1) / 8 / (size_t)o.width) return MOSAIC_FLOW_ERROR_SIZE;
    field_bytes = (size_t)o.width * (size_t)o.height * 2 * sizeof(int16_t);

    f = (mosaic_flow *)MOSAIC_FLOW_MALLOC(o.alloc_ctx, sizeof *f);
    if (!f) return MOSAIC_FLOW_ERROR_MEMORY;
    memset(f, 0, sizeof *f);
    f->vectors = (int16_t *)MOSAIC_FLOW_MALLOC(o.alloc_ctx, 2 * field_bytes);
    if (!f->vectors) {
        MOSAIC_FLOW_FREE(o.alloc_ctx, f);
        return MOSAIC_FLOW_ERROR_MEMORY;
    }
    memset(f->vectors, 0, 2 * field_bytes);
    f->frame_width = width;
    f->alloc_ctx = o.alloc_ctx;
    f->field.width = o.width;
    f->field.height = o.height;
    f->field.stride = (size_t)o.width * 2 * sizeof(int16_t);
    f->field.forward = f->vectors;
    f->field.backward = f->vectors + field_bytes / sizeof(int16_t);
    *flow = f;
    return MOSAIC_FLOW_OK;
}

MOSAIC_FLOW_API mosaic_flow_result mosaic_flow_push(mosaic_flow *flow, const uint8_t *rgb, size_t stride, const mosaic_flow_field **field)
{
    if (!flow || !rgb || !field) return MOSAIC_FLOW_ERROR_NULL;
    *field = 0;
    if (stride < (size_t)flow->frame_width * 3) return MOSAIC_FLOW_ERROR_STRIDE;
    if (flow->frames > 0) *field = &flow->field;
    flow->frames = 1;
    return MOSAIC_FLOW_OK;
}

MOSAIC_FLOW_API void mosaic_flow_reset(mosaic_flow *flow)
{
    if (flow) flow->frames = 0;
}

MOSAIC_FLOW_API void mosaic_flow_close(mosaic_flow *flow)
{
    if (!flow) return;
    MOSAIC_FLOW_FREE(flow->alloc_ctx, flow->vectors);
    MOSAIC_FLOW_FREE(flow->alloc_ctx, flow);
}

#ifdef __cplusplus
}
#endif
#endif /* MOSAIC_FLOW_IMPLEMENTATION */

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
