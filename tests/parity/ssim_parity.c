/* The library that ssim_parity.py loads: mosaic_ssim_compare() with a flat list of arguments.
   cc -O2 -shared -fPIC tests/parity/ssim_parity.c -o build/libssim_parity.so */
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../../mosaic_ssim.h"

/* Strides in bytes. map: (height - window + 1) rows of (width - window + 1) values. Returns the result code. */
int ssim_parity(const void *a, ptrdiff_t a_row, ptrdiff_t a_pixel, const void *b, ptrdiff_t b_row, ptrdiff_t b_pixel, size_t width, size_t height,
                int window, int population, double k1, double k2, double data_range, int simd, double *map, double *mean);

int ssim_parity(const void *a, ptrdiff_t a_row, ptrdiff_t a_pixel, const void *b, ptrdiff_t b_row, ptrdiff_t b_pixel, size_t width, size_t height,
                int window, int population, double k1, double k2, double data_range, int simd, double *map, double *mean)
{
    mosaic_ssim_image image_a, image_b;
    mosaic_ssim_options options;
    mosaic_ssim_output output;
    mosaic_ssim_result result;
    memset(&image_a, 0, sizeof image_a);
    memset(&options, 0, sizeof options);
    memset(&output, 0, sizeof output);
    image_a.width = width, image_a.height = height;
    image_b = image_a;
    image_a.data = a, image_a.row_stride = a_row, image_a.pixel_stride = a_pixel;
    image_b.data = b, image_b.row_stride = b_row, image_b.pixel_stride = b_pixel;
    options.window = window;
    options.covariance = population ? MOSAIC_SSIM_POPULATION : MOSAIC_SSIM_SAMPLE;
    options.k1 = k1, options.k2 = k2, options.data_range = data_range, options.simd = simd;
    output.map = map;
    result = mosaic_ssim_compare(&image_a, &image_b, &options, &output, NULL, 0);
    *mean = output.mean;
    return (int)result;
}
