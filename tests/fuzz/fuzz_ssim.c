/* Any bytes as pictures, strides and options: every call returns, and nothing is touched that was not given.
   clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_ssim.c -o fuzz_ssim
   Without libFuzzer: cc -g -fsanitize=address,undefined -DFUZZ_MAIN tests/fuzz/fuzz_ssim.c -o fuzz_ssim; it runs on bytes of its own. */
#define MOSAIC_SSIM_STATIC
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../../mosaic_ssim.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next n bytes of the input, or zeros. */
static void take(const uint8_t **data, size_t *size, void *to, size_t n)
{
    size_t got = n < *size ? n : *size;
    memset(to, 0, n);
    if (got) memcpy(to, *data, got);
    *data += got, *size -= got;
}

/* A picture that lies in exactly the memory it needs; wild ones have strides and sizes of any value, and are never read. */
static unsigned char *make(mosaic_ssim_image *image, const uint8_t **data, size_t *size, const uint8_t *form)
{
    static const size_t sizes[4] = {1, 2, 4, 8};
    size_t sample = sizes[form[0] & 3], channels = form[1] % 6 == 5 ? 1 : form[1] % 6, planes = channels ? channels : 1, bytes;
    unsigned char *memory;
    memset(image, 0, sizeof *image);
    image->type = (mosaic_ssim_type)(form[0] & 3), image->channels = (int)channels;
    image->width = form[2] % 80, image->height = form[3] % 60;
    bytes = image->width * image->height * sample * planes;
    memory = (unsigned char *)malloc(bytes ? bytes : 1);
    if (!memory) abort();
    take(data, size, memory, bytes);
    image->data = memory;
    if (form[4] & 1 && image->height) { /* bottom row first */
        image->row_stride = -(ptrdiff_t)(image->width * sample * planes);
        image->data = memory + (image->height - 1) * image->width * sample * planes;
    } else if (form[4] & 2) { /* columns */
        image->pixel_stride = (ptrdiff_t)(image->height * sample * planes), image->row_stride = (ptrdiff_t)(sample * planes),
        image->channel_stride = (ptrdiff_t)sample;
    } else if (form[4] & 4) { /* planes */
        image->channel_stride = (ptrdiff_t)(image->width * image->height * sample);
    }
    return memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t form[24];
    mosaic_ssim_image a, b, wild;
    mosaic_ssim_options o;
    mosaic_ssim_output out;
    mosaic_ssim_prepared *prepared;
    const mosaic_ssim_prepared *other;
    unsigned char *memory_a, *memory_b, *work = NULL, *memory;
    double contrast, mean, *map, *gradient;
    size_t work_size = 0, need = 0, winner, values;
    take(&data, &size, form, sizeof form);
    memset(&o, 0, sizeof o), memset(&out, 0, sizeof out);
    memory_a = make(&a, &data, &size, form), memory_b = make(&b, &data, &size, form);
    o.window = form[5] & 1 ? (int)form[6] - 2 : 0, o.simd = form[7] % 7;
    o.arithmetic = (mosaic_ssim_arithmetic)(form[8] & 1), o.weights = (mosaic_ssim_weights)(form[8] >> 1 & 1),
    o.mean_rule = (mosaic_ssim_mean_rule)(form[8] >> 2 & 1);
    o.covariance = (mosaic_ssim_covariance)(form[8] >> 3 & 1);
    if (form[9] & 1) memcpy(&o.sigma, form + 16, 8);
    if (form[9] & 2) o.sigma = form[10] / 16.0;
    if (form[9] & 4) memcpy(&o.k2, form + 16, 8);
    o.data_range = form[11] / 2.0;
    values = a.width * a.height * (size_t)(a.channels ? a.channels : 1);
    map = (double *)malloc((values + 1) * sizeof *map), gradient = (double *)malloc((values + 1) * sizeof *gradient);
    if (!map || !gradient) abort();
    out.map = form[12] & 1 ? map : NULL, out.gradient = form[12] & 2 ? gradient : NULL, out.full = form[12] >> 2 & 1,
    out.contrast = form[12] & 8 ? &contrast : NULL;
    if (mosaic_ssim_work_size(&a, &o, &work_size) == MOSAIC_SSIM_OK) work = (unsigned char *)malloc(work_size);
    (void)mosaic_ssim_compare(&a, &b, &o, &out, out.contrast || out.gradient || out.full ? NULL : work, work_size);
    (void)mosaic_ssim_multiscale(&a, &b, &o, &mean, NULL, 0);
    if (mosaic_ssim_prepared_size(&a, &o, &need) == MOSAIC_SSIM_OK) {
        memory = (unsigned char *)malloc(need);
        if (!memory) abort();
        if (mosaic_ssim_prepare(&a, &o, memory, need, &prepared, work, work_size) == MOSAIC_SSIM_OK) {
            other = prepared;
            if (mosaic_ssim_best(prepared, &other, 1, &o, &winner, &mean, work, work_size) != MOSAIC_SSIM_OK || winner != 0 || mean < 1 || mean > 1)
                abort();
        }
        free(memory);
    }
    wild = a; /* whatever the numbers are, sizes are worked out or refused */
    memcpy(&wild.width, form + 8, sizeof wild.width), memcpy(&wild.height, form + 16, sizeof wild.height);
    (void)mosaic_ssim_work_size(&wild, &o, &need), (void)mosaic_ssim_prepared_size(&wild, &o, &need),
        (void)mosaic_ssim_multiscale_work_size(&wild, &o, &need);
    free(work), free(map), free(gradient), free(memory_a), free(memory_b);
    return 0;
}

#if defined(FUZZ_MAIN)
int main(void)
{
    static uint8_t bytes[4096];
    uint64_t state = 88172645463325252u;
    unsigned i, round;
    for (round = 0; round < 3000; round++) {
        for (i = 0; i < sizeof bytes; i++) state ^= state << 13, state ^= state >> 7, state ^= state << 17, bytes[i] = (uint8_t)(state >> 32);
        bytes[9] &= 2, bytes[10] %= 48; /* mostly options that are accepted */
        LLVMFuzzerTestOneInput(bytes, (size_t)(state >> 40) % sizeof bytes);
    }
    return 0;
}
#endif
