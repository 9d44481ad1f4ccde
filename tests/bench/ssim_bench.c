/* The library that bench.py loads: 8-bit gray pictures without padding, several of one size behind one another. */
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../../mosaic_ssim.h"

int ssim_bench(const unsigned char *a, const unsigned char *b, size_t count, size_t width, size_t height, int simd, int skimage, int gaussian,
               double *means);
int ssim_bench_best(const unsigned char *cell, const unsigned char *tiles, size_t count, size_t width, size_t height, int simd, int prepare,
                    size_t *winner);

static void set_up(size_t width, size_t height, int simd, mosaic_ssim_image *image, mosaic_ssim_options *options)
{
    memset(image, 0, sizeof *image);
    memset(options, 0, sizeof *options);
    image->width = width;
    image->height = height;
    options->simd = simd;
}

/* The mean SSIM of each pair; 0, or the error. */
int ssim_bench(const unsigned char *a, const unsigned char *b, size_t count, size_t width, size_t height, int simd, int skimage, int gaussian,
               double *means)
{
    mosaic_ssim_image x, y;
    mosaic_ssim_options options;
    mosaic_ssim_output output;
    mosaic_ssim_result result;
    size_t size, i;
    void *work;
    set_up(width, height, simd, &x, &options);
    memset(&output, 0, sizeof output);
    options.arithmetic = skimage ? MOSAIC_SSIM_SKIMAGE : MOSAIC_SSIM_EXACT;
    options.weights = gaussian ? MOSAIC_SSIM_GAUSSIAN : MOSAIC_SSIM_UNIFORM;
    y = x;
    result = mosaic_ssim_work_size(&x, &options, &size);
    if (result != MOSAIC_SSIM_OK || !(work = malloc(size))) return -1;
    for (i = 0; i < count && result == MOSAIC_SSIM_OK; i++) {
        x.data = a + i * width * height;
        y.data = b + i * width * height;
        result = mosaic_ssim_compare(&x, &y, &options, &output, work, size);
        means[i] = output.mean;
    }
    free(work);
    return (int)result;
}

/* The tile most similar to the cell. With prepare set, the tiles are prepared and kept, for the calls without it that follow, in which the
   cell alone is. */
int ssim_bench_best(const unsigned char *cell, const unsigned char *tiles, size_t count, size_t width, size_t height, int simd, int prepare,
                    size_t *winner)
{
    enum { MOST = 256 };
    static unsigned char *memory, *work;
    static const mosaic_ssim_prepared *list[MOST];
    static size_t size, work_size;
    mosaic_ssim_image image;
    mosaic_ssim_options options;
    mosaic_ssim_prepared *prepared;
    size_t i;
    set_up(width, height, simd, &image, &options);
    if (prepare) {
        if (count > MOST || mosaic_ssim_prepared_size(&image, &options, &size) || mosaic_ssim_work_size(&image, &options, &work_size)) return -1;
        free(memory), free(work);
        memory = (unsigned char *)malloc((count + 1) * size), work = (unsigned char *)malloc(work_size);
        for (i = 0; i < count; i++) {
            image.data = tiles + i * width * height;
            if (mosaic_ssim_prepare(&image, &options, memory + i * size, size, &prepared, work, work_size)) return -1;
            list[i] = prepared;
        }
    }
    image.data = cell;
    if (mosaic_ssim_prepare(&image, &options, memory + count * size, size, &prepared, work, work_size)) return -1;
    return (int)mosaic_ssim_best(prepared, list, count, &options, winner, NULL, work, work_size);
}
