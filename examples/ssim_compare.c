/* The structural similarity of two pictures:
       cc -O2 examples/ssim_compare.c -o ssim_compare

       ssim_compare a.png b.png [--map d.png] [--mode exact|skimage] [--gaussian]

   Prints the mean to its last bit: of the gray values if both files have one channel, else of red, green and blue, as scikit-image does with
   channel_axis. --mode skimage gives scikit-image's very number; --gaussian weighs windows of 11 x 11 pixels. --map writes a picture of
   where the two differ: white where they are alike, black where they are not. Files of 16 bits a channel are compared in 16 bits. */
#define MOSAIC_SSIM_STATIC
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../mosaic_ssim.h"

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBIDEF static __attribute__((unused))
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBIWDEF static __attribute__((unused))
#include <stb/stb_image_write.h>

#include <stdio.h>

static int usage(void)
{
    fprintf(stderr, "usage: ssim_compare a.png b.png [--map d.png] [--mode exact|skimage] [--gaussian]\n");
    return 2;
}

/* Reads a file with 1 or 3 channels of 8 or 16 bits. */
static int load(const char *path, int channels, int deep, mosaic_ssim_image *image)
{
    int width, height, found;
    memset(image, 0, sizeof *image);
    image->data = deep ? (void *)stbi_load_16(path, &width, &height, &found, channels) : (void *)stbi_load(path, &width, &height, &found, channels);
    if (!image->data) {
        fprintf(stderr, "%s: %s\n", path, stbi_failure_reason());
        return 0;
    }
    image->width = (size_t)width, image->height = (size_t)height;
    image->type = deep ? MOSAIC_SSIM_U16 : MOSAIC_SSIM_U8;
    image->channels = channels == 1 ? 0 : channels;
    return 1;
}

/* The map in 8 bits, its channels averaged. */
static int write_map(const char *path, const double *map, size_t width, size_t height, size_t channels)
{
    unsigned char *pixels = (unsigned char *)malloc(width * height);
    size_t i, c;
    int written;
    for (i = 0; pixels && i < width * height; i++) {
        double sum = 0;
        for (c = 0; c < channels; c++) sum += map[c * width * height + i];
        sum = sum / (double)channels * 255 + 0.5;
        pixels[i] = (unsigned char)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
    written = pixels && stbi_write_png(path, (int)width, (int)height, 1, pixels, (int)width);
    if (!written) fprintf(stderr, "%s: cannot be written\n", path);
    free(pixels);
    return written;
}

int main(int argc, char **argv)
{
    const char *map_path = NULL, *paths[2] = {NULL, NULL};
    mosaic_ssim_image a, b;
    mosaic_ssim_options options;
    mosaic_ssim_output output;
    mosaic_ssim_result result;
    size_t side, channels;
    int i, width, height, found[2] = {0, 0}, deep, ok = 1;
    memset(&options, 0, sizeof options), memset(&output, 0, sizeof output);
    for (i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--gaussian")) options.weights = MOSAIC_SSIM_GAUSSIAN;
        else if (!strcmp(argv[i], "--map") && i + 1 < argc) map_path = argv[++i];
        else if (!strcmp(argv[i], "--mode") && i + 1 < argc && !strcmp(argv[i + 1], "exact")) i++;
        else if (!strcmp(argv[i], "--mode") && i + 1 < argc && !strcmp(argv[i + 1], "skimage")) i++, options.arithmetic = MOSAIC_SSIM_SKIMAGE;
        else if (argv[i][0] != '-' && !paths[1]) paths[paths[0] != NULL] = argv[i];
        else return usage();
    }
    if (!paths[1]) return usage();
    for (i = 0; i < 2; i++) (void)stbi_info(paths[i], &width, &height, &found[i]);
    deep = stbi_is_16_bit(paths[0]) && stbi_is_16_bit(paths[1]);
    channels = found[0] == 1 && found[1] == 1 ? 1 : 3;
    for (i = 0; i < 2; i++)
        if (found[i] == 1 && channels == 3 && stbi_is_16_bit(paths[i])) /* stb_image 2.27 reads beyond the end when it makes colours of such a PNM */
            return fprintf(stderr, "%s: a gray picture of 16 bits is compared with gray ones only\n", paths[i]), 1;
    if (!load(paths[0], (int)channels, deep, &a) || !load(paths[1], (int)channels, deep, &b)) return 1;
    side = options.weights == MOSAIC_SSIM_GAUSSIAN ? 10 : 6;
    if (map_path && a.width > side && a.height > side) output.map = (double *)malloc(channels * (a.width - side) * (a.height - side) * sizeof(double));
    result = mosaic_ssim_compare(&a, &b, &options, &output, NULL, 0);
    if (result != MOSAIC_SSIM_OK) return fprintf(stderr, "%s\n", mosaic_ssim_result_string(result)), 1;
    printf("%.17g\n", output.mean);
    if (map_path) ok = output.map && write_map(map_path, output.map, a.width - side, a.height - side, channels);
    free(output.map), stbi_image_free((void *)a.data), stbi_image_free((void *)b.data);
    return !ok;
}
