/* What the tests of mosaic_ssim.h share; include it after the implementation. */
#ifndef MOSAIC_TEST_SSIM_H
#define MOSAIC_TEST_SSIM_H

/* The value of options.simd after this one among those that this build and processor have, 0 after the last; 1, scalar, is always there. */
static inline int next_simd(int simd)
{
    mosaic_ssim_image image;
    mosaic_ssim_options options;
    size_t size;
    memset(&image, 0, sizeof image), memset(&options, 0, sizeof options);
    image.width = image.height = 7;
    for (options.simd = simd + 1; options.simd < 8; options.simd++)
        if (mosaic_ssim_work_size(&image, &options, &size) == MOSAIC_SSIM_OK) return options.simd;
    return 0;
}

static inline mosaic_ssim_image make_image(const void *data, size_t width, size_t height)
{
    mosaic_ssim_image image;
    memset(&image, 0, sizeof image);
    image.data = data, image.width = width, image.height = height;
    return image;
}

static inline mosaic_ssim_options make_options(int window, int simd)
{
    mosaic_ssim_options options;
    memset(&options, 0, sizeof options);
    options.window = window, options.simd = simd;
    return options;
}

#endif
