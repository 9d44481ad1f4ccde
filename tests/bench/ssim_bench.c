/* The library that bench.py loads: the mean SSIM of two 8-bit gray pictures without padding, or -2 when it cannot be had. */
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../../mosaic_ssim.h"

double ssim_bench(const unsigned char *a, const unsigned char *b, size_t width, size_t height, int simd, int skimage);
double ssim_bench(const unsigned char *a, const unsigned char *b, size_t width, size_t height, int simd, int skimage)
{
    mosaic_ssim_image first, second;
    mosaic_ssim_options options;
    mosaic_ssim_output output;
    memset(&first, 0, sizeof first);
    memset(&options, 0, sizeof options);
    memset(&output, 0, sizeof output);
    first.data = a;
    first.width = width;
    first.height = height;
    first.row_stride = (ptrdiff_t)width;
    first.pixel_stride = 1;
    second = first;
    second.data = b;
    options.simd = simd;
    options.arithmetic = skimage ? MOSAIC_SSIM_SKIMAGE : MOSAIC_SSIM_EXACT;
    return mosaic_ssim_compare(&first, &second, &options, &output, NULL, 0) == MOSAIC_SSIM_OK ? output.mean : -2;
}
