/* mosaic_ssim.h - v0.1.0 - exact structural similarity (SSIM) - MIT or public domain, see the end of the file

   SSIM of two pictures (Wang, Bovik, Sheikh, Simoncelli: "Image quality assessment: from error visibility to structural similarity", IEEE
   TIP 13(4), 2004) of 8 or 16 bits, floats or doubles, with one to four channels, under uniform or Gaussian windows; its contrast-structure
   term, gradient, and MS-SSIM. Two arithmetics: the exact one (sums of integers, one fixed sequence of double operations, a mean that does
   not depend on order), and scikit-image's own, operation by operation, which gives its very bits. Either gives the same bytes on every
   instruction set, compiler, optimisation level and number of threads.

   HOW TO USE
     In exactly one C or C++ file:
         #define MOSAIC_SSIM_IMPLEMENTATION
         #include "mosaic_ssim.h"
     and in all others only the #include. There is nothing to link. For one picture pair call mosaic_ssim_gray8(); for maps,
     sub-rectangles, options and threads mosaic_ssim_compare(); to score one picture against many, mosaic_ssim_prepare() each once and
     call mosaic_ssim_score_many().

   A COMPLETE PROGRAM
         #define MOSAIC_SSIM_IMPLEMENTATION
         #include "mosaic_ssim.h"
         #include <stdio.h>
         int main(void)
         {
             static unsigned char a[64 * 64], b[64 * 64];
             double mean;
             mosaic_ssim_result result;
             int i;
             for (i = 0; i < 64 * 64; i++) a[i] = (unsigned char)(i * i >> 6), b[i] = (unsigned char)(a[i] / 2 + 40);
             result = mosaic_ssim_gray8(a, 64, b, 64, 64, 64, &mean);
             if (result != MOSAIC_SSIM_OK) return printf("%s\n", mosaic_ssim_result_string(result)), 1;
             printf("SSIM %.17g\n", mean);
             return 0;
         }

   OPTIONS (mosaic_ssim_options; a zeroed struct means the defaults)
     window       side of the square window, odd, 3 to 255                          default 7
     covariance   MOSAIC_SSIM_SAMPLE (n - 1) or MOSAIC_SSIM_POPULATION (n)          default MOSAIC_SSIM_SAMPLE
     k1, k2       the constants of the formula, > 0                                 default 0.01 and 0.03
     data_range   distance from the smallest to the largest possible value, > 0     default 255 or 65535; floats must give it
     c1, c2       the constants themselves instead of (k1 * data_range)^2 and (k2 * data_range)^2
     arithmetic   MOSAIC_SSIM_EXACT or MOSAIC_SSIM_SKIMAGE                          default MOSAIC_SSIM_EXACT
     mean_rule    how NumPy adds up a mean: MOSAIC_SSIM_MEAN_NUMPY_2_3 (2.3 and later) or MOSAIC_SSIM_MEAN_NUMPY_1 (before); SKIMAGE only
     weights      MOSAIC_SSIM_UNIFORM or MOSAIC_SSIM_GAUSSIAN                       default MOSAIC_SSIM_UNIFORM
     sigma        of the Gaussian, in pixels                                        default 1.5
                  It has (int)(3.5 * sigma + 0.5) taps on each side, as in scikit-image: 11 in all for 1.5. In the exact arithmetic a
                  window that is given sets their number instead (Wang: 11 for every sigma); in scikit-image's it sets what scikit-image
                  uses win_size for beside a Gaussian: the border cut off and the n of the sample covariance.
     taps, tap_count   weights of your own for GAUSSIAN: the centre's, then those 1, 2, ... pixels away; tap_count 2 to 128 values of 0 to 1
     simd         0 best available, 1 scalar, 2 AVX2 (with FMA), 3 AVX-512 (F, BW, DQ, VL), 4 AVX-512 with VNNI (here the same as 3),
                  5 NEON or WebAssembly SIMD, whichever this build has
     run, run_ctx your threads (see THREADS); null means serial
     jobs         at most so many parts are in flight when run is set               default 16
     malloc_ctx   handed to MOSAIC_SSIM_MALLOC and MOSAIC_SSIM_FREE

   SWITCHES (define before the implementation)
     MOSAIC_SSIM_STATIC          all functions static (then every file that includes the header needs the implementation)
     MOSAIC_SSIM_API             decoration of the functions, for example a DLL export
     MOSAIC_SSIM_ASSERT(x)       default: assert of <assert.h>
     MOSAIC_SSIM_NO_SIMD         leave out all but the scalar code
     MOSAIC_SSIM_MALLOC(ctx,size), MOSAIC_SSIM_FREE(ctx,ptr)     both or none; default: malloc and free
     MOSAIC_SSIM_FILE            what the file includes to read its own kernels once more, "mosaic_ssim.h"; set it if you rename the file

   WHOSE SSIM
     Implementations differ in their choices, and so do their numbers. Which makes which, and what gives its number here:
       implementation        window            covariance   taken where, at what scale             set
       scikit-image          7 x 7, uniform    sample       whole windows                          arithmetic SKIMAGE: its very bits
        gaussian_weights     11, sigma 1.5     sample       whole windows                          arithmetic SKIMAGE, weights GAUSSIAN: the same
       Wang's ssim_index.m   11, sigma 1.5     population   whole windows                          weights GAUSSIAN, covariance POPULATION
       Wang's ssim.m         11, sigma 1.5     population   whole windows, of the picture          the same, on pictures that you scaled before
                                                            scaled by 1 / round(side / 256)
       pytorch-msssim        11, sigma 1.5     population   whole windows, in single precision     as ssim_index.m, to about six digits
       MATLAB's ssim         11, sigma 1.5     population   every pixel of a padded picture        as ssim_index.m; its border cannot be had
       FFmpeg's ssim         8 x 8, uniform    sample       every fourth pixel, in integers        cannot be had
       VMAF's float_ssim     11, sigma 1.5     population   borders mirrored, scaled like ssim.m   cannot be had
     Side is the shorter one. data_range and K1, K2 are alike in all (0.01 and 0.03), but those for floats must give the range. More of
     scikit-image: use_sample_covariance=False is covariance POPULATION, channel_axis is channels, full=True is output.full, gradient=True is
     output.gradient, win_size and sigma are window and sigma. pytorch-msssim's ms_ssim pads odd sides with zeros where this file repeats.

   MEMORY
     Nothing is kept between calls. A call needs a work area of mosaic_ssim_work_size() bytes: it is allocated and freed inside unless
     you pass one; the formulas stand at the function. A prepared picture lies in memory of yours, holds its own copy of the pixels and no
     pointers, and takes about 13 bytes per pixel, 21 with the window of 7. Pictures are read in place, only the pixels of the rectangle
     given and no byte between or beyond them.

   THREADS
     There is no global state: calls run side by side as long as they share no output and no work area. With options.run set, a
     comparison is cut into strips of rows and a batch into groups of pictures; run must call job(arg, i) once for every i from 0 to
     count - 1, in any order and on any threads, and return when all are done. Results do not depend on it.
         static void run_omp(void *ctx, void (*job)(void *arg, int index), void *arg, int count)
         {
             int i;
             (void)ctx;
             #pragma omp parallel for schedule(dynamic)
             for (i = 0; i < count; i++) job(arg, i);
         }

   DETERMINISM
     Let w be the window, n = w * w, and for the window of one map value
         X = sum of x, Y = sum of y, XX = sum of x * x, YY = sum of y * y, XY = sum of x * y,
     all exact integers, and m = n * (n - 1) for the sample covariance, n * n for that of the population. Then, in doubles,
         t1 = k1 * data_range        C1 = t1 * t1        c1 = C1 * (n * n)
         t2 = k2 * data_range        C2 = t2 * t2        c2 = C2 * m
         a = 2XY' + c1               2XY' = 2 * X * Y                       (an integer below 2^53, so exact)
         b = 2M + c2                 2M = 2 * (n * XY - X * Y)              (the same)
         d = S + c1                  S = X * X + Y * Y                      (the same)
         e = V + c2                  V = n * (XX + YY) - (X * X + Y * Y)    (the same)
         value = (a * b) / (d * e)
     where every operation that is written is rounded once, to nearest. This is the textbook formula with numerator and denominator
     multiplied by n * n * m, which removes every cancellation between rounded numbers. As 2XY' <= S and |2M| <= V, no value is outside
     -1 ... 1; equal windows give exactly 1; exchanging the pictures changes no bit.
     For sums, each value is rounded to the nearest multiple of 2^-51 (ties to even: the low bits of value + 3.0); these integers are
     added exactly, so their order cannot matter. With the sum T = H * 2^32 + L, 0 <= L < 2^32, over N values,
         sum = ((double)H * 2^32 + (double)L) * 2^-51        mean = ((double)H * 2^32 + (double)L) / ((double)N * 2^51).
     The seven double operations above are those of 8- and 16-bit pictures under uniform windows; for 16 bits the integers 2XY', 2M, S, V
     may exceed 2^53 and are rounded once. Floats and Gaussian windows go by weighted sums, first down the columns, then along the rows,
     of x, y, xx + yy and xy, each sum begun at the centre and continued by (left + right) * weight from the outside in, all in doubles
     with no operation fused. Then, with norm = n / (n - 1) or 1,
         v = norm * (mean(xx + yy) - (ux * ux + uy * uy)), not below 0
         c = 2 norm * (mean(xy) - ux * uy), not outside -v ... v
         value = ((2 ux uy + C1) * (c + C2)) / ((ux ux + uy uy + C1) * (v + C2)).
     In scikit-image's arithmetic its own operations take the place of all that; parallel work is cut where NumPy cuts the mean.
     Every entry sets round-to-nearest and no flushing of denormals for its own duration and gives the old state back. Compile without
     -ffast-math; the header refuses it.

   ACCURACY AND LIMITS
     A map value is within 24 * 2^-53 = 2.7e-15 of the real number that the formula defines (measured: 4e-16), a mean within 2^-51 more.
     scikit-image's structural_similarity (gaussian_weights=False, the same data_range, use_sample_covariance for MOSAIC_SSIM_SAMPLE)
     defines the same values but subtracts rounded means of squares and keeps a rounded running sum along each row. With the default
     constants its map differs by up to 1.2e-11 and its mean by up to 1.8e-12 (60,000 random pairs up to 430 pixels wide, windows 3 to
     31, scikit-image 0.26.0, SciPy 1.17.1, NumPy 2.4.6); in every pair, where the maps differ most, the value here is the right one.
     Wang's own code and MATLAB use a Gaussian window instead, and FFmpeg a coarser grid: their numbers are not comparable. No border is
     padded: the map is (width - w + 1) by (height - w + 1). Pictures of 2^44 map values and more are refused. C1 and C2 must be between
     1e-100 and 1e100; a k1 or k2 of exactly 0 cannot be asked for.

     MOSAIC_SSIM_SKIMAGE was compared with scikit-image 0.26.0, SciPy 1.17.1, NumPy 2.4.6 on thousands of random pictures of all four
     types, shapes, strides, windows and options: mean, map and gradient agree in every bit. Two things are outside of its arithmetic.
     Python squares K * R by pow(), whose last bit differs from the product's for one range in a thousand (none of 1, 255, 1023, 4095,
     65535): pass c1 and c2 then. NumPy's exp() depends on its version and on the processor, so that for some sigmas a weight's last bit
     does too (NumPy 2.4.6: not for 1.5; NumPy 1.26.4: also for 1.5): pass taps then. MOSAIC_SSIM_MEAN_NUMPY_1 was compared with NumPy
     1.26.4 and 2.2.6. If squares of single precision pictures overflow, values are not numbers, as there. output.full, output.gradient and
     the contrast term in this arithmetic take a plain, slower path over whole planes, 64 bytes for each pixel.
     MOSAIC_SSIM_UNSUPPORTED: full or gradient in the exact arithmetic; prepared pictures of anything but one channel of 8 bits under a
     uniform window in the exact arithmetic. Floats are taken about zero: where they are far from it compared to their range, squares
     cancel.

   PERFORMANCE (AMD EPYC (Zen 4) VM, 2 cores, AVX-512, at 3.7 GHz, one core, gcc 12 -O2; Mpx/s = a million pixels of each picture a second)
                                               scalar     AVX2   AVX-512
     1920x1080, window 7, mean                    139      880      1120   Mpx/s
     1920x1080, window 7, mean and map            137      740       915   Mpx/s
     1920x1080, window 11, mean                   140      470       590   Mpx/s
     1920x1080, Gaussian of 11                     35      171       215   Mpx/s
     1920x1080, window 7, scikit-image's bits      68      330       370   Mpx/s
     1920x1080, Gaussian of 11, its bits           31      149       187   Mpx/s
     64x64, window 7, one comparison               27      5.2       4.7   microseconds
     54x54, window 7, one comparison               19      3.5       3.4   microseconds
     54x54, window 7, 64 prepared pictures        825      186       169   microseconds
     54x54, window 7, the best of 64              825       90        62   microseconds
     scikit-image 0.26.0 in the same run: 13 to 15 Mpx/s, with Gaussian weights 10 to 12.6; 188 microseconds for 64x64, 148 for 54x54.
     What bounds them, with AVX-512: this processor makes a 512-bit addition and a multiplication a cycle (each in two halves; shuffles share a
     unit with additions), eight quotients in 9 cycles, a 512-bit load a cycle and a store in two.
       Window 7: sixteen values take 52 cycles, 11 for the column sums and 40 for the values. These are 18 additions, 15 shuffles and some 25
       simpler operations, 29 cycles if all four units were always busy; the divider needs 18. It is the shuffles and additions that compete:
       without the 8 shuffles that widen integers it would be 26. A row costs about 70 cycles more than its values, which is what slows
       pictures of 64 pixels. Other windows add prefix sums along the row, four shuffles each, and exact products in doubles.
       Gaussian of 11: eight values take 137 cycles. The sums alone are 80 additions and 48 multiplications; a quarter of the additions is
       given to the multiplier (as v * 1 + w), and what is left takes 74 cycles. Turning rows into lanes and back takes 13 (24 shuffles for
       each eight by eight), pixels and products 14, the value 12: 113 in all, so that 260 Mpx/s is the limit of this sequence.
       scikit-image's Gaussian: five sums instead of four, 157 cycles of which 92 are the sums.
       scikit-image's uniform window: 80 cycles for eight values. Ten divisions by the window of two operations each (a quotient by an odd
       number is never so near to the middle of two doubles that a product with the reciprocal in two parts could round wrongly), 10
       additions along the row, 19 operations and a quotient for the value, 16 cycles of turning; an eighth is fetching the pixels.
       The best of 64: 24 cycles for sixteen values in single precision, of which the seven shuffled columns are 10 operations.
     16-bit pictures, window 7, mean: 92, 290 and 305 Mpx/s, up to window 31 hardly less: twelve cycles a pixel, in which four rows are widened
     and four sums slide along the row place by place. WebAssembly in node 20 on the same machine: window 7 370 Mpx/s with SIMD, 86 without.

   LAST CHANGES
     0.1.0   first version: 8 and 16 bits, floats, channels, uniform and Gaussian windows, exact and scikit-image's arithmetic, map, row
             sums, mean, contrast term, gradient, MS-SSIM, prepared pictures, batches, the best of many
*/
#ifndef MOSAIC_SSIM__LANES /* the end of the file is read more than once, see MOSAIC_SSIM_FILE */
#ifndef MOSAIC_SSIM_H
#define MOSAIC_SSIM_H

#include <stddef.h>

#define MOSAIC_SSIM_VERSION "0.1.0"

#ifndef MOSAIC_SSIM_API
#if defined(MOSAIC_SSIM_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define MOSAIC_SSIM_API static __attribute__((unused))
#elif defined(MOSAIC_SSIM_STATIC)
#define MOSAIC_SSIM_API static
#else
#define MOSAIC_SSIM_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mosaic_ssim_result {
    MOSAIC_SSIM_OK = 0,
    MOSAIC_SSIM_ERROR_NULL,             /* a pointer that must be given is null */
    MOSAIC_SSIM_ERROR_SIZE,             /* a width or height is zero */
    MOSAIC_SSIM_ERROR_MISMATCH,         /* the two pictures differ in width or height */
    MOSAIC_SSIM_ERROR_TOO_SMALL,        /* a picture is smaller than the window */
    MOSAIC_SSIM_ERROR_OVERFLOW,         /* sizes or strides so large that addresses, counts or work sizes cannot be represented */
    MOSAIC_SSIM_ERROR_STRIDE,           /* strides under which pixels overlap, or a map stride below the map's width */
    MOSAIC_SSIM_ERROR_WINDOW,           /* the window is even or not 3 to 255 */
    MOSAIC_SSIM_ERROR_COVARIANCE,       /* not a mosaic_ssim_covariance */
    MOSAIC_SSIM_ERROR_CONSTANT,         /* k1 or k2 negative, not a number, infinite, or C1, C2 not in 1e-100 ... 1e100 */
    MOSAIC_SSIM_ERROR_DATA_RANGE,       /* data_range negative, not a number or infinite */
    MOSAIC_SSIM_ERROR_SIMD,             /* simd is no level, or one that this processor or build lacks */
    MOSAIC_SSIM_ERROR_JOBS,             /* jobs is negative */
    MOSAIC_SSIM_ERROR_WORK_SIZE,        /* the work area or the memory for a prepared picture is too small */
    MOSAIC_SSIM_ERROR_MEMORY,           /* MOSAIC_SSIM_MALLOC returned null */
    MOSAIC_SSIM_ERROR_PREPARED,         /* not a prepared picture, or one prepared for another window */
    MOSAIC_SSIM_ERROR_TYPE,             /* not a mosaic_ssim_type, or the two pictures differ in it */
    MOSAIC_SSIM_ERROR_CHANNELS,         /* the number of channels is not 1 to 4 */
    MOSAIC_SSIM_ERROR_CHANNEL_MISMATCH, /* the two pictures differ in their number of channels */
    MOSAIC_SSIM_ERROR_NO_RANGE,         /* pictures of floats, and no data_range */
    MOSAIC_SSIM_ERROR_NOT_FINITE,       /* a pixel is infinite, not a number, or (exact arithmetic) beyond 1e70 */
    MOSAIC_SSIM_ERROR_OPTION,           /* arithmetic, mean_rule or weights is none of its enumeration */
    MOSAIC_SSIM_ERROR_SIGMA,            /* sigma is negative, not a number, or makes more than 255 taps; or taps are unusable */
    MOSAIC_SSIM_ERROR_UNSUPPORTED       /* a combination that does not exist, see ACCURACY AND LIMITS */
} mosaic_ssim_result;

/* A sentence for people; never null, also for numbers that are no result. */
MOSAIC_SSIM_API const char *mosaic_ssim_result_string(mosaic_ssim_result result);

typedef enum mosaic_ssim_type {
    MOSAIC_SSIM_U8 = 0, /* unsigned char */
    MOSAIC_SSIM_U16,    /* uint16_t */
    MOSAIC_SSIM_F32,    /* float */
    MOSAIC_SSIM_F64     /* double */
} mosaic_ssim_type;

/* A picture, or a rectangle of one: data points to the rectangle's first pixel. Channel c of pixel (x, y) lies at
   data + y * row_stride + x * pixel_stride + c * channel_stride, at any alignment. Strides are in bytes and may be negative (data then
   still points to pixel (0, 0)) or exchanged (column-major order). Zeros mean:
     channels         one, and scikit-image without channel_axis; the difference to 1 is that the latter rounds a float picture's mean
     channel_stride   the size of a sample: the channels of a pixel lie side by side
     pixel_stride     the size of a sample, times the channels if channel_stride is 0
     row_stride       width * pixel_stride
   One channel of an interleaved RGB picture has channels 1 and pixel_stride 3; planes have the channel_stride from plane to plane.
   Zero the struct before filling it. */
typedef struct mosaic_ssim_image {
    const void *data;
    size_t width, height;
    ptrdiff_t row_stride, pixel_stride;
    mosaic_ssim_type type;
    int channels;
    ptrdiff_t channel_stride;
} mosaic_ssim_image;

typedef enum mosaic_ssim_arithmetic {
    MOSAIC_SSIM_EXACT = 0, /* see DETERMINISM */
    MOSAIC_SSIM_SKIMAGE    /* the operations of scikit-image, SciPy and NumPy one by one: their bits */
} mosaic_ssim_arithmetic;

typedef enum mosaic_ssim_weights { MOSAIC_SSIM_UNIFORM = 0, MOSAIC_SSIM_GAUSSIAN } mosaic_ssim_weights;

typedef enum mosaic_ssim_mean_rule {                                 /* of MOSAIC_SSIM_SKIMAGE; they agree up to 8192 map values */
                                     MOSAIC_SSIM_MEAN_NUMPY_2_3 = 0, /* NumPy 2.3 and later */
                                     MOSAIC_SSIM_MEAN_NUMPY_1        /* earlier ones */
} mosaic_ssim_mean_rule;

typedef enum mosaic_ssim_covariance {
    MOSAIC_SSIM_SAMPLE = 0, /* divide by n - 1, as scikit-image does by default */
    MOSAIC_SSIM_POPULATION  /* divide by n */
} mosaic_ssim_covariance;

/* Zero means default in every field; see OPTIONS above. */
typedef struct mosaic_ssim_options {
    int window;
    mosaic_ssim_covariance covariance;
    double k1, k2;
    double data_range;
    int simd;
    void (*run)(void *ctx, void (*job)(void *arg, int index), void *arg, int count);
    void *run_ctx;
    int jobs;
    void *malloc_ctx;
    mosaic_ssim_arithmetic arithmetic;
    mosaic_ssim_mean_rule mean_rule;
    mosaic_ssim_weights weights;
    double sigma;
    const double *taps;
    int tap_count;
    double c1, c2;
} mosaic_ssim_options;

/* What a comparison gives back. Zero the struct and set what you want before the call; mean and channel_means are always written. With
   w the window, the map has (width - w + 1) values a row and (height - w + 1) rows; value (x, y) belongs to the window whose first pixel
   is (x, y), so its centre is pixel (x + w / 2, y + w / 2). Nothing is written unless the call returns MOSAIC_SSIM_OK. */
typedef struct mosaic_ssim_output {
    double mean;       /* the mean of channel_means; -1 ... 1 in the exact arithmetic */
    double *map;       /* or null; one plane for each channel */
    size_t map_stride; /* doubles from one row of a map to the next; 0 means the map's width */
    double *row_sums;  /* or null: for each channel and row of its map the sum of the values */
    double channel_means[4];
    size_t map_channel_stride; /* doubles from one channel's plane to the next; 0 means map_stride times the map's height */
    double *contrast;          /* or null: receives the mean of the contrast-structure term (2 cov + C2) / (var + var + C2) */
    double *contrast_map;      /* or null: its map, laid out as map is */
    int full;                  /* not 0: maps have the picture's size, borders mirrored as scikit-image does; MOSAIC_SSIM_SKIMAGE only */
    double *gradient;          /* or null: scikit-image's gradient, width * height values for each channel; MOSAIC_SSIM_SKIMAGE only */
} mosaic_ssim_output;

/* The mean SSIM of two pictures with default options, in one call. Strides are bytes from row to row, at least width. Allocates its
   work area. Errors: NULL, SIZE, TOO_SMALL, OVERFLOW, STRIDE, MEMORY. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_gray8(const unsigned char *a, size_t a_stride, const unsigned char *b, size_t b_stride, size_t width,
                                                     size_t height, double *mean);

/* The size of the work area for pictures of this width, height and type (data is not looked at and may be null) under these options
   (null: defaults), in bytes, for every function below that takes one:
       64 + S + J * (round(B) + E)
   where round(v) is v rounded up to a multiple of 64, and J is 1 without options.run and options.jobs (0: 16) with it. For 8 bits, uniform
   windows and the exact arithmetic
       S = 0, E = 64, B = 17 * c, c = round(width + 64).
   Otherwise E = 1024 and, with c = round(width + w + 64), r taps on each side of the centre (uniform floats: r = w / 2),
       B = 80 c                          16 bits, uniform windows
       B = 8 (16 c + 320 r + 2560)       floats and Gaussian windows
   and in scikit-image's arithmetic, P being at most 8192 or, if larger, the width of the map, and R the least multiple of 16 not below w + 16,
       B = 8 (16 c + 320 r + 2560 + P)   Gaussian windows
       B = 8 (25 c + 704 + 40 R + P)     uniform windows
       S = at most 16 bytes for each 8192 values of the map, or each row.
   A comparison whose output asks for full, gradient or the contrast term may need more: mosaic_ssim_work_size_for(). Errors: those of the
   options and the picture, and OVERFLOW. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_work_size(const mosaic_ssim_image *image, const mosaic_ssim_options *options, size_t *size);

/* The same for a comparison with this output (null: only a mean), of which only what it asks for is looked at. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_work_size_for(const mosaic_ssim_image *image, const mosaic_ssim_options *options,
                                                             const mosaic_ssim_output *output, size_t *size);

/* SSIM of two pictures of the same width and height, both at least the window in each direction. options may be null (defaults).
   work: work_size bytes, at least mosaic_ssim_work_size() of them, of any alignment; null lets the function allocate (work_size is
   then ignored). The pictures may overlap or be the same; outputs and work area must not overlap anything else. All errors but PREPARED. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_compare(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *options,
                                                       mosaic_ssim_output *output, void *work, size_t work_size);

/* A picture with its own window sums: scoring two of them computes the sum of products alone. It lies in memory of yours, which you
   free when you are done; it may be moved as a whole to another address of the same alignment modulo 64, and shared by any number of
   threads. */
typedef struct mosaic_ssim_prepared mosaic_ssim_prepared;

/* The bytes mosaic_ssim_prepare() needs for this picture (data is not looked at) under these options. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_prepared_size(const mosaic_ssim_image *image, const mosaic_ssim_options *options, size_t *size);

/* Fills memory (size bytes, any alignment) and points *prepared into it. The picture's pixels are copied and not needed afterwards.
   Of the options only the window is remembered; covariance, constants and data range are those of the scoring call. Serial.
   work and work_size as for mosaic_ssim_compare(). */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_prepare(const mosaic_ssim_image *image, const mosaic_ssim_options *options, void *memory, size_t size,
                                                       mosaic_ssim_prepared **prepared, void *work, size_t work_size);

/* mosaic_ssim_compare() of two prepared pictures: the same results to the last bit. options.window must be the one they were prepared
   with, else PREPARED. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_score(const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *b, const mosaic_ssim_options *options,
                                                     mosaic_ssim_output *output, void *work, size_t work_size);

/* The mean SSIM of one prepared picture with each of count others, means[i] as mosaic_ssim_score(a, others[i]) gives it. All must have
   one width and height. With options.run the others are shared out among the jobs. count 0 is fine and does nothing. All pictures are
   checked before the first is scored. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_score_many(const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *const *others, size_t count,
                                                          const mosaic_ssim_options *options, double *means, void *work, size_t work_size);

/* Which of count others is most similar to a: *winner gets the first index among those with the largest mean, *mean (or null) that mean,
   both exactly as a comparison of all mosaic_ssim_score_many() would give them. Candidates are first measured in single precision,
   whose error has a proven bound; only those that the bound cannot tell apart are scored in full. Serial. count must not be 0 (SIZE). */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_best(const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *const *others, size_t count,
                                                    const mosaic_ssim_options *options, size_t *winner, double *mean, void *work, size_t work_size);

/* Multi-scale SSIM (Wang, Simoncelli, Bovik: "Multi-scale structural similarity for image quality assessment", Asilomar 2003) with their
   five scales and weights: the product of the mean contrast-structure terms of four scales and the mean SSIM of the fifth, each to its
   weight; a negative factor counts as 0. Each scale is the one before, averaged over 2 x 2 pixels (an odd last row or column counts
   twice). Channels are measured one by one and their results averaged. The shorter side must be at least 16 times the window
   (TOO_SMALL). options as for mosaic_ssim_compare(); Wang's own choice is MOSAIC_SSIM_GAUSSIAN with MOSAIC_SSIM_POPULATION. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_multiscale(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *options,
                                                          double *result, void *work, size_t work_size);

/* The work area of mosaic_ssim_multiscale(): 16 bytes for each pixel of a quarter of the picture, and what a comparison with the contrast
   term takes. */
MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_multiscale_work_size(const mosaic_ssim_image *image, const mosaic_ssim_options *options, size_t *size);

/* The structural dissimilarity (1 - ssim) / 2. */
MOSAIC_SSIM_API double mosaic_ssim_dssim(double ssim);

#ifdef __cplusplus
}
#endif

#endif /* MOSAIC_SSIM_H */

/* That was the interface. What follows is the implementation. */

#if defined(MOSAIC_SSIM_IMPLEMENTATION) && !defined(MOSAIC_SSIM_IMPLEMENTED)
#define MOSAIC_SSIM_IMPLEMENTED

#include <stdint.h>
#include <string.h>

#if defined(MOSAIC_SSIM_MALLOC) != defined(MOSAIC_SSIM_FREE)
#error "mosaic_ssim: define both MOSAIC_SSIM_MALLOC and MOSAIC_SSIM_FREE, or none"
#endif
#ifndef MOSAIC_SSIM_MALLOC
#include <stdlib.h>
#define MOSAIC_SSIM_MALLOC(ctx, size) ((void)(ctx), malloc(size))
#define MOSAIC_SSIM_FREE(ctx, ptr) ((void)(ctx), free(ptr))
#endif
#ifndef MOSAIC_SSIM_FILE
#define MOSAIC_SSIM_FILE "mosaic_ssim.h"
#endif
#ifndef MOSAIC_SSIM_ASSERT
#include <assert.h>
#define MOSAIC_SSIM_ASSERT(x) assert(x)
#endif

/* clang-format off */
/* === mosaic shared block, version 1: compiler, processor, floating point. Word for word the same in every header that has it. === */
#ifndef MOSAIC__SHARED_BLOCK_1
#define MOSAIC__SHARED_BLOCK_1
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "mosaic: -ffast-math and its parts change results; compile this file without them"
#endif
#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "mosaic: x87 arithmetic rounds twice; compile with -mfpmath=sse -msse2"
#endif
#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC__UNUSED __attribute__((unused))
#define MOSAIC__TARGET(isa) __attribute__((target(isa)))
#else
#define MOSAIC__UNUSED
#define MOSAIC__TARGET(isa)
#endif
#if defined(_MSC_VER)
#define MOSAIC__RESTRICT __restrict
#else
#define MOSAIC__RESTRICT __restrict__
#endif
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define MOSAIC__X86 1
#include <immintrin.h>
#else
#define MOSAIC__X86 0
#endif
/* What this processor and its operating system can run: 0 scalar, 1 AVX2, 2 AVX-512 F, BW, DQ and VL, 3 the same with VNNI. */
MOSAIC__UNUSED static int mosaic__cpu_level(void)
{
#if MOSAIC__X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512vnni") ? 3 : 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}
/* A host may have changed the rounding mode or flushed denormals to zero: every entry that computes in floating point sets the
   IEEE defaults and gives the old state back. */
MOSAIC__UNUSED static unsigned long long mosaic__fp_enter(void)
{
#if defined(__SSE2__) || MOSAIC__X86
    unsigned long long old = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return old;
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    unsigned long long old, ieee = 0;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(old));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(ieee));
    return old;
#else
    return 0;
#endif
}
MOSAIC__UNUSED static void mosaic__fp_leave(unsigned long long old)
{
#if defined(__SSE2__) || MOSAIC__X86
    _mm_setcsr((unsigned int)old);
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    __asm__ __volatile__("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}
#endif
/* No multiply and add may be fused behind our back. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif
/* === end of the mosaic shared block === */
/* clang-format on */

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC_SSIM__INLINE MOSAIC__UNUSED static inline __attribute__((always_inline))
#else
#define MOSAIC_SSIM__INLINE static inline
#endif
/* Before a loop of a constant few turns over an array that is to live in registers. */
#if defined(__clang__)
#define MOSAIC_SSIM__UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define MOSAIC_SSIM__UNROLL _Pragma("GCC unroll 8")
#else
#define MOSAIC_SSIM__UNROLL
#endif
#if MOSAIC__X86 && !defined(MOSAIC_SSIM_NO_SIMD)
#define MOSAIC_SSIM__SIMD 1
#else
#define MOSAIC_SSIM__SIMD 0
#endif
/* Vectors of two doubles, by the compiler's vector types. */
#if !MOSAIC_SSIM__SIMD && !defined(MOSAIC_SSIM_NO_SIMD) && (defined(__aarch64__) || defined(__wasm_simd128__)) &&                                    \
    (defined(__GNUC__) || defined(__clang__))
#define MOSAIC_SSIM__PAIRS 1
#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <wasm_simd128.h>
#endif
#else
#define MOSAIC_SSIM__PAIRS 0
#endif

/* How it works. A strip of rows keeps three running sums for every column over the w rows of the current windows:
       p    sum of x in the low 16 bits, sum of y in the high 16 bits (at most 255 * 255 each)
       q    weight * sum of x' * x' + y' * y'
       r    weight * sum of 2 * x' * y'
   with x' = x - offset. Going down a row adds the entering pixels and takes off the leaving ones ("columns" kernels). Then the sums of
   w neighbouring columns are the window sums, and the values follow ("finish" kernels). For the 7 x 7 window everything fits 32-bit
   integers: offset is 0, and weight is 49, which makes q and r the n * XX and so on of the formula. For all others weight is 1, and
   offset is 128 so that the window sums of q and r fit 32 signed bits up to w = 255; variances and covariances do not depend on it.
   Kernels differ in speed only: integers are exact, and the doubles are one sequence. */

#define MOSAIC_SSIM__SPAN 2048 /* values per call of a finish kernel: their sum fits 64 bits */
#define MOSAIC_SSIM__PAD 64    /* columns after the last one that kernels may read; also the alignment */
#define MOSAIC_SSIM__MAGIC 0x6d697373u

typedef struct mosaic_ssim__columns {
    uint32_t *p;
    int32_t *q, *r;
} mosaic_ssim__columns;

/* One row of windows. sum_* and var_* are the stored sums and variances of prepared pictures, or null. */
typedef struct mosaic_ssim__row {
    mosaic_ssim__columns columns;
    const int32_t *sum_a, *sum_b;
    const double *var_a, *var_b;
    double *map; /* or null */
    int window;
    double shift; /* n * offset: from sums of x to sums of x' */
    double scale; /* n / weight: from sums of q and r to n times the sums of products */
    double c1, c2;
} mosaic_ssim__row;

/* Moves the column sums of `count` columns down: the rows xn, yn enter, xo, yo leave. With cross, only r is kept up. */
typedef void mosaic_ssim__columns_fn(const mosaic_ssim__columns *columns, const unsigned char *xn, const unsigned char *yn, const unsigned char *xo,
                                     const unsigned char *yo, size_t count, int offset, int weight, int cross);
/* The values first ... first + count - 1 of a row; returns the sum of their integers (mosaic_ssim__fixed). */
typedef uint64_t mosaic_ssim__finish_fn(const mosaic_ssim__row *row, size_t first, size_t count);

typedef enum mosaic_ssim__kind {
    MOSAIC_SSIM__BYTES,    /* exact: 8 bits, uniform window */
    MOSAIC_SSIM__INTEGERS, /* exact: 16 bits, or 8 with the contrast term */
    MOSAIC_SSIM__WEIGHTED, /* exact: floats and Gaussian windows */
    MOSAIC_SSIM__UNIFORM,  /* scikit-image's */
    MOSAIC_SSIM__GAUSSIAN, /* scikit-image's */
    MOSAIC_SSIM__PLANES    /* scikit-image's, the whole picture at once */
} mosaic_ssim__kind;

typedef struct mosaic_ssim__kernels mosaic_ssim__kernels;

typedef struct mosaic_ssim__plan {
    mosaic_ssim__kind kind;
    mosaic_ssim_type type;
    size_t width, height;         /* of the pictures */
    size_t map_width, map_height; /* of the values that the mean is taken of */
    size_t out_width, out_height; /* of the map that is given out */
    size_t work_size;             /* for all jobs together */
    size_t scratch_size;          /* of one job */
    int channels, channel_axis, window, offset, weight, jobs;
    double shift, scale, c1, c2; /* as in mosaic_ssim__row; otherwise the constants themselves */
    mosaic_ssim__columns_fn *columns;
    mosaic_ssim__finish_fn *finish;

    /* All but BYTES: */
    const mosaic_ssim__kernels *kernels;
    mosaic_ssim_weights weights;
    mosaic_ssim_mean_rule mean_rule;
    size_t radius, capacity;          /* of weighted windows; values in a line with its margins */
    size_t lead;                      /* values in a line of the map before the first that counts */
    size_t ring;                      /* a multiple of the block: the window and a block or more */
    int contrast;                     /* the contrast term is wanted */
    double norm;                      /* from the mean of squares to the covariance wanted */
    double taps[128];                 /* weights, the centre first */
    double inverse_high, inverse_low; /* 1 / window to twice a double's precision */
    double one;                       /* 1, where no compiler sees it */
    size_t piece, unit_rows, unit_pieces, units, sums_size;
    int piece_rows;     /* these six: mosaic_ssim__cut */
    size_t planes_size; /* bytes of all of them */
} mosaic_ssim__plan;

/* One channel of a picture, strides filled in; sums and vars are null unless it is prepared. */
typedef struct mosaic_ssim__source {
    const unsigned char *data;
    ptrdiff_t row, pixel;
    const int32_t *sums;
    const double *vars;
} mosaic_ssim__source;

#define MOSAIC_SSIM__BLOCK 16 /* columns that kernels in doubles take at once, */
#define MOSAIC_SSIM__ROWS 16  /* and rows */

/* Kernels in doubles; see the end of the file. */
typedef struct mosaic_ssim__lines mosaic_ssim__lines;
/* Two prepared pictures for mosaic_ssim_best(). */
typedef struct mosaic_ssim__screen {
    size_t width, map_width, map_height;
    int32_t *columns;                  /* zeros: 49 times the sums of x * y down seven rows */
    const uint32_t *pairs_a, *pairs_b; /* for each row the pixels that enter, and in the upper halves those that leave */
    size_t pair_stride;
    const int32_t *sum_a, *sum_b;
    const float *var_a, *var_b;
    float c1, c2;
    double limit; /* a sum below that is not wanted exactly: anything not below the map's will do */
} mosaic_ssim__screen;

struct mosaic_ssim__kernels {
    double (*screen)(const mosaic_ssim__screen *s); /* or null */
    void (*integers)(const mosaic_ssim__plan *plan, double *const *in, double *const *out, double *const *columns, double *map,
                     double *contrast); /* or null */
    void (*widen)(const void *from, mosaic_ssim_type type, size_t count, double *to);
    double (*run)(const double *v, size_t n);
    void (*rows)(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t top, size_t rows);
    uint64_t (*total)(const double *values, size_t count);
};

static size_t mosaic_ssim__round(size_t v) { return (v + (MOSAIC_SSIM__PAD - 1)) & ~(size_t)(MOSAIC_SSIM__PAD - 1); }

static unsigned char *mosaic_ssim__align(void *memory)
{
    return (unsigned char *)memory + (MOSAIC_SSIM__PAD - 1 - ((uintptr_t)memory + (MOSAIC_SSIM__PAD - 1)) % MOSAIC_SSIM__PAD);
}

/* ---- the arithmetic ---- */

/* All four arguments are integers below 2^53. The order of operations is part of the interface (DETERMINISM). */
MOSAIC_SSIM__INLINE double mosaic_ssim__value(double xy2, double squares, double cov2, double vars, double c1, double c2)
{
    double a = xy2 + c1;
    double b = cov2 + c2;
    double d = squares + c1;
    double e = vars + c2;
    double numerator = a * b;
    double denominator = d * e;
    return numerator / denominator;
}

/* (value + 1) in units of 2^-51, rounded: in 2 ... 4 doubles are that far apart, so their bits count up by one from each to the next. */
MOSAIC_SSIM__INLINE uint64_t mosaic_ssim__fixed(double value)
{
    double shifted = value + 3.0;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits - 0x4000000000000000u;
}

/* An exact sum of many mosaic_ssim__fixed(): high * 2^32 + low. */
typedef struct mosaic_ssim__total {
    uint64_t high, low;
} mosaic_ssim__total;

static void mosaic_ssim__add(mosaic_ssim__total *total, uint64_t high, uint64_t low)
{
    low += total->low;
    total->high += high + (low >> 32);
    total->low = low & 0xffffffffu;
}

/* The sum of the count values behind the total, in units of 2^-51. */
static double mosaic_ssim__sum(const mosaic_ssim__total *total, uint64_t count)
{
    uint64_t zero = count << 19; /* each value carries 1, which is 2^19 in units of high */
    double high = total->high >= zero ? (double)(total->high - zero) : -(double)(zero - total->high);
    return high * 4294967296.0 + (double)total->low;
}

/* ---- scalar kernels: the reference ---- */

static void mosaic_ssim__columns_scalar(const mosaic_ssim__columns *columns, const unsigned char *xn, const unsigned char *yn,
                                        const unsigned char *xo, const unsigned char *yo, size_t count, int offset, int weight, int cross)
{
    size_t i;
    for (i = 0; i < count; i++) {
        int dx = xn[i] - xo[i], dy = yn[i] - yo[i];
        int sx = xn[i] + xo[i] - 2 * offset, sy = yn[i] + yo[i] - 2 * offset;
        columns->r[i] += weight * (dx * sy + dy * sx); /* 2 xn' yn' - 2 xo' yo' */
        if (cross) continue;
        columns->p[i] += (uint32_t)dx + ((uint32_t)dy << 16);
        columns->q[i] += weight * (dx * sx + dy * sy); /* xn'^2 + yn'^2 - xo'^2 - yo'^2 */
    }
}

static uint64_t mosaic_ssim__finish_scalar(const mosaic_ssim__row *row, size_t first, size_t count)
{
    const uint32_t *p = row->columns.p;
    const int32_t *q = row->columns.q, *r = row->columns.r;
    size_t w = (size_t)row->window, i;
    int64_t x = 0, y = 0, squares = 0, products = 0;
    uint64_t sum = 0;
    for (i = first; i < first + w - 1; i++) {
        x += p[i] & 0xffffu, y += p[i] >> 16;
        squares += q[i], products += r[i];
    }
    for (i = first; i < first + count; i++) {
        double sx, sy, cx, cy, vars, value;
        x += p[i + w - 1] & 0xffffu, y += p[i + w - 1] >> 16;
        squares += q[i + w - 1], products += r[i + w - 1];
        sx = row->sum_a ? (double)row->sum_a[i] : (double)x;
        sy = row->sum_a ? (double)row->sum_b[i] : (double)y;
        cx = sx - row->shift, cy = sy - row->shift;
        vars = row->sum_a ? row->var_a[i] + row->var_b[i] : row->scale * (double)squares - (cx * cx + cy * cy);
        value = mosaic_ssim__value(2 * (sx * sy), sx * sx + sy * sy, row->scale * (double)products - 2 * (cx * cy), vars, row->c1, row->c2);
        if (row->map) row->map[i] = value;
        sum += mosaic_ssim__fixed(value);
        x -= p[i] & 0xffffu, y -= p[i] >> 16;
        squares -= q[i], products -= r[i];
    }
    return sum;
}

#if MOSAIC_SSIM__PAIRS
/* The last values of a row: the vector that holds them also holds lanes that do not exist. */
static uint64_t mosaic_ssim__last(const double *values, size_t count, double *map)
{
    uint64_t sum = 0;
    size_t i;
    for (i = 0; i < count; i++) {
        if (map) map[i] = values[i];
        sum += mosaic_ssim__fixed(values[i]);
    }
    return sum;
}
#endif

#if MOSAIC_SSIM__PAIRS

/* ---- NEON and WebAssembly kernels: 8 columns and 4 values at a time ---- */

typedef double mosaic_ssim__f64x2 __attribute__((vector_size(16), aligned(8), may_alias));
typedef uint64_t mosaic_ssim__u64x2 __attribute__((vector_size(16), aligned(8), may_alias));
typedef float mosaic_ssim__f32x4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t mosaic_ssim__i32x4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint32_t mosaic_ssim__u32x4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int16_t mosaic_ssim__i16x8 __attribute__((vector_size(16), aligned(2), may_alias));

#if defined(__aarch64__)
#define MOSAIC_SSIM__WIDEN(p) (mosaic_ssim__i16x8) vmovl_u8(vld1_u8(p))
#define MOSAIC_SSIM__ZIP_LOW(a, b) (mosaic_ssim__u32x4) vzip1q_s16((int16x8_t)(a), (int16x8_t)(b))
#define MOSAIC_SSIM__ZIP_HIGH(a, b) (mosaic_ssim__u32x4) vzip2q_s16((int16x8_t)(a), (int16x8_t)(b))
#define MOSAIC_SSIM__TIMES_LOW(a, b) (mosaic_ssim__i32x4) vmull_s16(vget_low_s16((int16x8_t)(a)), vget_low_s16((int16x8_t)(b)))
#define MOSAIC_SSIM__TIMES_HIGH(a, b) (mosaic_ssim__i32x4) vmull_high_s16((int16x8_t)(a), (int16x8_t)(b))
#define MOSAIC_SSIM__LOW(v) (mosaic_ssim__f64x2) vcvtq_f64_s64(vmovl_s32(vget_low_s32((int32x4_t)(v))))
#define MOSAIC_SSIM__HIGH(v) (mosaic_ssim__f64x2) vcvtq_f64_s64(vmovl_high_s32((int32x4_t)(v)))
#define MOSAIC_SSIM__UP(v, k) (mosaic_ssim__u32x4) vextq_u32(vdupq_n_u32(0), (uint32x4_t)(v), 4 - (k))
#else
#define MOSAIC_SSIM__WIDEN(p) (mosaic_ssim__i16x8) wasm_u16x8_load8x8(p)
#define MOSAIC_SSIM__ZIP_LOW(a, b) (mosaic_ssim__u32x4) wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define MOSAIC_SSIM__ZIP_HIGH(a, b) (mosaic_ssim__u32x4) wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define MOSAIC_SSIM__TIMES_LOW(a, b) (mosaic_ssim__i32x4) wasm_i32x4_extmul_low_i16x8(a, b)
#define MOSAIC_SSIM__TIMES_HIGH(a, b) (mosaic_ssim__i32x4) wasm_i32x4_extmul_high_i16x8(a, b)
#define MOSAIC_SSIM__LOW(v) (mosaic_ssim__f64x2) wasm_f64x2_convert_low_i32x4(v)
#define MOSAIC_SSIM__HIGH(v) (mosaic_ssim__f64x2) wasm_f64x2_convert_low_i32x4(wasm_i64x2_shuffle(v, v, 1, 1))
#define MOSAIC_SSIM__UP(v, k) (mosaic_ssim__u32x4) wasm_i32x4_shuffle(wasm_i32x4_const_splat(0), v, 4 - (k), 5 - (k), 6 - (k), 7 - (k))
#endif

static void mosaic_ssim__columns_pairs(const mosaic_ssim__columns *columns, const unsigned char *xn, const unsigned char *yn, const unsigned char *xo,
                                       const unsigned char *yo, size_t count, int offset, int weight, int cross)
{
    const int16_t twice = (int16_t)(2 * offset), times = (int16_t)weight;
    unsigned char ends[4][8];
    size_t i;
    for (i = 0; i < count; i += 8) {
        const unsigned char *from[4];
        mosaic_ssim__u32x4 *p = (mosaic_ssim__u32x4 *)(void *)(columns->p + i);
        mosaic_ssim__i32x4 *q = (mosaic_ssim__i32x4 *)(void *)(columns->q + i), *r = (mosaic_ssim__i32x4 *)(void *)(columns->r + i);
        mosaic_ssim__i16x8 in_x, in_y, out_x, out_y, dx, dy, sx, sy, wx, wy;
        from[0] = xn + i, from[1] = yn + i, from[2] = xo + i, from[3] = yo + i;
        if (count - i < 8) { /* nothing beyond the row may be read */
            int k;
            memset(ends, 0, sizeof ends);
            for (k = 0; k < 4; k++) memcpy(ends[k], from[k], count - i), from[k] = ends[k];
        }
        in_x = MOSAIC_SSIM__WIDEN(from[0]), in_y = MOSAIC_SSIM__WIDEN(from[1]);
        out_x = MOSAIC_SSIM__WIDEN(from[2]), out_y = MOSAIC_SSIM__WIDEN(from[3]);
        dx = in_x - out_x, dy = in_y - out_y, sx = in_x + out_x - twice, sy = in_y + out_y - twice;
        wx = dx * times, wy = dy * times;
        r[0] += MOSAIC_SSIM__TIMES_LOW(wx, sy) + MOSAIC_SSIM__TIMES_LOW(wy, sx);
        r[1] += MOSAIC_SSIM__TIMES_HIGH(wx, sy) + MOSAIC_SSIM__TIMES_HIGH(wy, sx);
        if (cross) continue;
        p[0] = (mosaic_ssim__u32x4)((mosaic_ssim__i16x8)p[0] + (mosaic_ssim__i16x8)MOSAIC_SSIM__ZIP_LOW(dx, dy));
        p[1] = (mosaic_ssim__u32x4)((mosaic_ssim__i16x8)p[1] + (mosaic_ssim__i16x8)MOSAIC_SSIM__ZIP_HIGH(dx, dy));
        q[0] += MOSAIC_SSIM__TIMES_LOW(wx, sx) + MOSAIC_SSIM__TIMES_LOW(wy, sy);
        q[1] += MOSAIC_SSIM__TIMES_HIGH(wx, sx) + MOSAIC_SSIM__TIMES_HIGH(wy, sy);
    }
}

/* Window sums along a row for four places from the differences of the columns that enter and leave there, see the scan of the x86 kernels. */
MOSAIC_SSIM__INLINE mosaic_ssim__u32x4 mosaic_ssim__scan_pairs(mosaic_ssim__u32x4 edges, mosaic_ssim__u32x4 *carry)
{
    mosaic_ssim__u32x4 v = edges + MOSAIC_SSIM__UP(edges, 1), sums;
    v = v + MOSAIC_SSIM__UP(v, 2) + *carry; /* the sums one place further on */
    sums = v - edges;
    *carry = (v - v) + v[3];
    return sums;
}

MOSAIC_SSIM__INLINE mosaic_ssim__u32x4 mosaic_ssim__edges_pairs(const void *columns, size_t i, size_t w)
{
    const uint32_t *c = (const uint32_t *)columns + i;
    return *(const mosaic_ssim__u32x4 *)(const void *)(c + w) - *(const mosaic_ssim__u32x4 *)(const void *)c;
}

MOSAIC_SSIM__INLINE mosaic_ssim__f64x2 mosaic_ssim__value_pairs(mosaic_ssim__f64x2 xy2, mosaic_ssim__f64x2 squares, mosaic_ssim__f64x2 cov2,
                                                                mosaic_ssim__f64x2 vars, double c1, double c2)
{
    mosaic_ssim__f64x2 numerator = (xy2 + c1) * (cov2 + c2), denominator = (squares + c1) * (vars + c2);
    return numerator / denominator;
}

/* Two values for any window, see mosaic_ssim__finish_scalar; vars are the squares of pictures that are not prepared. */
MOSAIC_SSIM__INLINE mosaic_ssim__f64x2 mosaic_ssim__any_value_pairs(const mosaic_ssim__row *row, mosaic_ssim__f64x2 x, mosaic_ssim__f64x2 y,
                                                                    mosaic_ssim__f64x2 vars, mosaic_ssim__f64x2 products, int stored)
{
    mosaic_ssim__f64x2 xy = x * y, cx = x - row->shift, cy = y - row->shift, cxy = cx * cy;
    if (!stored) vars = row->scale * vars - (cx * cx + cy * cy);
    return mosaic_ssim__value_pairs(xy + xy, x * x + y * y, row->scale * products - (cxy + cxy), vars, row->c1, row->c2);
}

MOSAIC_SSIM__INLINE uint64_t mosaic_ssim__row_pairs(const mosaic_ssim__row *row, size_t first, size_t count, int seven, int stored)
{
    const uint32_t *p = row->columns.p;
    const int32_t *q = row->columns.q, *r = row->columns.r;
    const double c1 = row->c1, c2 = row->c2;
    const size_t w = (size_t)row->window;
    const mosaic_ssim__u32x4 zero = {0, 0, 0, 0};
    mosaic_ssim__u64x2 sums = {0, 0};
    mosaic_ssim__u32x4 carry_x, carry_y, carry_q, carry_r;
    uint32_t start[4] = {0, 0, 0, 0};
    size_t i;
    for (i = first; i < first + w; i++) {
        start[0] += p[i] & 0xffffu, start[1] += p[i] >> 16;
        start[2] += (uint32_t)q[i], start[3] += (uint32_t)r[i];
    }
    if (seven) start[0] += start[1] << 16; /* both still fit 16 bits and stay together */
    carry_x = zero + start[0], carry_y = zero + start[1], carry_q = zero + start[2], carry_r = zero + start[3];
    for (i = first; i < first + count; i += 4) {
        double *map = row->map ? row->map + i : NULL;
        mosaic_ssim__i32x4 x, y;
        mosaic_ssim__u32x4 squares = zero, products = mosaic_ssim__scan_pairs(mosaic_ssim__edges_pairs(r, i, w), &carry_r);
        mosaic_ssim__f64x2 vars[2], values[2];
        if (stored) {
            x = *(const mosaic_ssim__i32x4 *)(const void *)(row->sum_a + i), y = *(const mosaic_ssim__i32x4 *)(const void *)(row->sum_b + i);
            vars[0] = *(const mosaic_ssim__f64x2 *)(const void *)(row->var_a + i) + *(const mosaic_ssim__f64x2 *)(const void *)(row->var_b + i);
            vars[1] =
                *(const mosaic_ssim__f64x2 *)(const void *)(row->var_a + i + 2) + *(const mosaic_ssim__f64x2 *)(const void *)(row->var_b + i + 2);
        } else {
            if (seven) {
                mosaic_ssim__u32x4 both = mosaic_ssim__scan_pairs(mosaic_ssim__edges_pairs(p, i, w), &carry_x);
                x = (mosaic_ssim__i32x4)(both & 0xffffu), y = (mosaic_ssim__i32x4)(both >> 16);
            } else {
                mosaic_ssim__u32x4 in = *(const mosaic_ssim__u32x4 *)(const void *)(p + i + w),
                                   out = *(const mosaic_ssim__u32x4 *)(const void *)(p + i);
                x = (mosaic_ssim__i32x4)mosaic_ssim__scan_pairs((in & 0xffffu) - (out & 0xffffu), &carry_x);
                y = (mosaic_ssim__i32x4)mosaic_ssim__scan_pairs((in >> 16) - (out >> 16), &carry_y);
            }
            squares = mosaic_ssim__scan_pairs(mosaic_ssim__edges_pairs(q, i, w), &carry_q);
            vars[0] = MOSAIC_SSIM__LOW(squares), vars[1] = MOSAIC_SSIM__HIGH(squares);
        }
        if (seven) {
            mosaic_ssim__i32x4 s = x * x + y * y, xy2 = 2 * (x * y), cov2 = (mosaic_ssim__i32x4)products - xy2;
            if (!stored) {
                mosaic_ssim__i32x4 v = (mosaic_ssim__i32x4)squares - s;
                vars[0] = MOSAIC_SSIM__LOW(v), vars[1] = MOSAIC_SSIM__HIGH(v);
            }
            values[0] = mosaic_ssim__value_pairs(MOSAIC_SSIM__LOW(xy2), MOSAIC_SSIM__LOW(s), MOSAIC_SSIM__LOW(cov2), vars[0], c1, c2);
            values[1] = mosaic_ssim__value_pairs(MOSAIC_SSIM__HIGH(xy2), MOSAIC_SSIM__HIGH(s), MOSAIC_SSIM__HIGH(cov2), vars[1], c1, c2);
        } else {
            values[0] = mosaic_ssim__any_value_pairs(row, MOSAIC_SSIM__LOW(x), MOSAIC_SSIM__LOW(y), vars[0], MOSAIC_SSIM__LOW(products), stored);
            values[1] = mosaic_ssim__any_value_pairs(row, MOSAIC_SSIM__HIGH(x), MOSAIC_SSIM__HIGH(y), vars[1], MOSAIC_SSIM__HIGH(products), stored);
        }
        if (first + count - i < 4) {
            double last[4];
            memcpy(last, values, sizeof last);
            return sums[0] + sums[1] + mosaic_ssim__last(last, first + count - i, map);
        }
        if (map) memcpy(map, values, sizeof values);
        sums += (mosaic_ssim__u64x2)(values[0] + 3.0) - 0x4000000000000000u;
        sums += (mosaic_ssim__u64x2)(values[1] + 3.0) - 0x4000000000000000u;
    }
    return sums[0] + sums[1];
}

static uint64_t mosaic_ssim__finish_pairs(const mosaic_ssim__row *row, size_t first, size_t count)
{
    if (row->window == 7) return row->sum_a ? mosaic_ssim__row_pairs(row, first, count, 1, 1) : mosaic_ssim__row_pairs(row, first, count, 1, 0);
    return row->sum_a ? mosaic_ssim__row_pairs(row, first, count, 0, 1) : mosaic_ssim__row_pairs(row, first, count, 0, 0);
}

/* The screen of mosaic_ssim_best(), see the end of the file: a quotient here, not a guessed reciprocal. */
static double mosaic_ssim__screen_2(const mosaic_ssim__screen *s)
{
    const float half_c1 = s->c1 / 2, half_c2 = s->c2 / 2;
    double sum = 0, rest;
    size_t line, i, k;
    for (line = 0; line < s->map_height + 6; line++) {
        const uint32_t *a = s->pairs_a + line * s->pair_stride, *b = s->pairs_b + line * s->pair_stride;
        mosaic_ssim__f32x4 sums = {0, 0, 0, 0};
        for (i = 0; i < s->width; i += 4) { /* what enters, and in the upper halves what leaves */
            mosaic_ssim__u32x4 x = *(const mosaic_ssim__u32x4 *)(const void *)(a + i), y = *(const mosaic_ssim__u32x4 *)(const void *)(b + i);
            mosaic_ssim__u32x4 *columns = (mosaic_ssim__u32x4 *)(void *)(s->columns + i);
            *columns += ((x & 0xffffu) * (y & 0xffffu) - (x >> 16) * (y >> 16)) * 49;
        }
        if (line < 6) continue;
        for (i = 0; i < s->map_width; i += 4) {
            size_t m = (line - 6) * s->map_width + i;
            mosaic_ssim__i32x4 x = *(const mosaic_ssim__i32x4 *)(const void *)(s->sum_a + m),
                               y = *(const mosaic_ssim__i32x4 *)(const void *)(s->sum_b + m);
            mosaic_ssim__i32x4 xy = x * y, squares = x * x + y * y, cov = -xy;
            mosaic_ssim__f32x4 vars =
                *(const mosaic_ssim__f32x4 *)(const void *)(s->var_a + m) + *(const mosaic_ssim__f32x4 *)(const void *)(s->var_b + m);
            mosaic_ssim__f32x4 value;
            MOSAIC_SSIM__UNROLL
            for (k = 0; k < 7; k++) cov += *(const mosaic_ssim__i32x4 *)(const void *)(s->columns + i + k);
            value = (__builtin_convertvector(xy, mosaic_ssim__f32x4) + half_c1) * (__builtin_convertvector(cov, mosaic_ssim__f32x4) + half_c2) /
                    ((vars + s->c2) * (__builtin_convertvector(squares, mosaic_ssim__f32x4) + s->c1));
            if (s->map_width - i < 4)
                for (k = 0; k < s->map_width - i; k++) sum += (double)value[k];
            else
                sums += value;
        }
        for (k = 0; k < 4; k++) sum += (double)sums[k]; /* before single precision gets too coarse for the sum */
        rest = (double)((s->map_height + 5 - line) * s->map_width);
        if (4 * sum + rest < s->limit) return 4 * sum + rest;
    }
    return 4 * sum;
}

#endif /* MOSAIC_SSIM__PAIRS */

/* ---- pixels of any type ---- */

static size_t mosaic_ssim__bytes(mosaic_ssim_type type)
{
    return type == MOSAIC_SSIM_U8 ? 1 : type == MOSAIC_SSIM_U16 ? 2 : type == MOSAIC_SSIM_F32 ? 4 : 8;
}

/* One sample, at any address. */
static double mosaic_ssim__pixel(const unsigned char *at, mosaic_ssim_type type)
{
    uint16_t u16;
    float f32;
    double f64;
    switch (type) {
    case MOSAIC_SSIM_U8: return (double)*at;
    case MOSAIC_SSIM_U16: memcpy(&u16, at, sizeof u16); return (double)u16;
    case MOSAIC_SSIM_F32: memcpy(&f32, at, sizeof f32); return (double)f32;
    case MOSAIC_SSIM_F64: break;
    }
    memcpy(&f64, at, sizeof f64);
    return f64;
}

/* To single precision and back. gcc 12 takes the pair of conversions away where it works on two values at once; volatile keeps them. */
static double mosaic_ssim__single(double v)
{
    volatile float single = (float)v;
    return (double)single;
}

/* A place before or after the n pixels of a line, mirrored back into it with the edge pixel repeated: c b a | a b c | c b a. */
static size_t mosaic_ssim__reflect(ptrdiff_t at, size_t n)
{
    ptrdiff_t period = 2 * (ptrdiff_t)n;
    at %= period;
    if (at < 0) at += period;
    return (size_t)(at < (ptrdiff_t)n ? at : period - 1 - at);
}

/* What the kernels in doubles work on. */
struct mosaic_ssim__lines {
    const mosaic_ssim__source *a, *b;
    double *map, *contrast; /* ROWS lines of `capacity` values; contrast may be null */
    double *turned;         /* results down the columns, see the kernels */
    double *tile;           /* weighted windows: five planes of tile_rows rows of a block */
    size_t tile_rows;
    double *sums;                        /* uniform windows: five lines of column sums (8-bit pixels: of int32_t) */
    unsigned char *bytes;                /* the same, 8-bit pixels: for each row, lines of x and y that enter and that leave */
    double *in_x, *in_y, *out_x, *out_y; /* the same, all others: a block of each */
    double *means;                       /* 5 * LANES blocks */
};

/* `count` pixels of row y from column x on, as doubles; columns outside the picture are mirrored. */
static void mosaic_ssim__span(const mosaic_ssim__plan *plan, const mosaic_ssim__source *source, size_t y, ptrdiff_t x, size_t count, double *to)
{
    const unsigned char *row = source->data + (ptrdiff_t)y * source->row;
    size_t i;
    if (x >= 0 && (size_t)x + count <= plan->width) {
        row += x * source->pixel;
        if (source->pixel == (ptrdiff_t)mosaic_ssim__bytes(plan->type)) {
            plan->kernels->widen(row, plan->type, count, to);
            return;
        }
        for (i = 0; i < count; i++) to[i] = mosaic_ssim__pixel(row + (ptrdiff_t)i * source->pixel, plan->type);
        return;
    }
    for (i = 0; i < count; i++)
        to[i] = mosaic_ssim__pixel(row + (ptrdiff_t)mosaic_ssim__reflect(x + (ptrdiff_t)i, plan->width) * source->pixel, plan->type);
}

/* Uniform windows: what enters and leaves the columns at ... at + count - 1 (counted from the left margin on) when row y of the map begins. */
static void mosaic_ssim__enter(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t y, size_t at, size_t count)
{
    ptrdiff_t x = (ptrdiff_t)at - plan->window / 2;
    size_t in = y + (size_t)plan->window - 1, out = mosaic_ssim__reflect((ptrdiff_t)y - 1, plan->height);
    mosaic_ssim__span(plan, lines->a, in, x, count, lines->in_x), mosaic_ssim__span(plan, lines->b, in, x, count, lines->in_y);
    mosaic_ssim__span(plan, lines->a, out, x, count, lines->out_x), mosaic_ssim__span(plan, lines->b, out, x, count, lines->out_y);
}

/* A row of 8-bit pixels after its left margin. */
static void mosaic_ssim__byte_line(const mosaic_ssim__plan *plan, const mosaic_ssim__source *source, size_t y, unsigned char *to)
{
    const unsigned char *from = source->data + (ptrdiff_t)y * source->row;
    size_t half = (size_t)plan->window / 2, i;
    if (source->pixel == 1)
        memcpy(to + half, from, plan->width);
    else
        for (i = 0; i < plan->width; i++) to[half + i] = from[(ptrdiff_t)i * source->pixel];
    for (i = 0; i < half; i++) to[half - 1 - i] = to[half + i];
}

/* What enters and leaves when `rows` rows of the map from `top` on begin; beyond the last row anything. */
static void mosaic_ssim__byte_lines(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t top, size_t rows)
{
    unsigned char *to = lines->bytes;
    size_t y;
    for (y = top; y < top + rows; y++, to += 4 * plan->capacity) {
        size_t in = y < plan->map_height ? y + (size_t)plan->window - 1 : plan->height - 1;
        size_t out = mosaic_ssim__reflect((ptrdiff_t)y - 1, plan->height);
        mosaic_ssim__byte_line(plan, lines->a, in, to), mosaic_ssim__byte_line(plan, lines->b, in, to + plan->capacity);
        mosaic_ssim__byte_line(plan, lines->a, out, to + 2 * plan->capacity), mosaic_ssim__byte_line(plan, lines->b, out, to + 3 * plan->capacity);
    }
}

#define MOSAIC_SSIM__LANES 1
#define MOSAIC_SSIM__ISA
#include MOSAIC_SSIM_FILE
#if MOSAIC_SSIM__SIMD
#define MOSAIC_SSIM__LANES 4
#define MOSAIC_SSIM__ISA MOSAIC__TARGET("avx2,fma")
#define MOSAIC_SSIM__FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define MOSAIC_SSIM__SINGLE(v) _mm256_cvtps_pd(_mm256_cvtpd_ps(v))
#define MOSAIC_SSIM__PREFIX _mm256_
#define MOSAIC_SSIM__PREFIX_SI si256
#define MOSAIC_SSIM__WIDE_I __m256i
#define MOSAIC_SSIM__WIDE_F __m256
#define MOSAIC_SSIM__WIDE_D __m256d
#define MOSAIC_SSIM__AS_DOUBLES(v) _mm256_castsi256_pd(v)
#define MOSAIC_SSIM__AS_WORDS(v) _mm256_castpd_si256(v)
#define MOSAIC_SSIM__LAST(v) _mm256_permutevar8x32_epi32(v, _mm256_set1_epi32(7))
#define MOSAIC_SSIM__RECIPROCAL(v) _mm256_rcp_ps(v)
/* Eight integers from place k of low, high on. */
#define MOSAIC_SSIM__SHIFT(high, low, k)                                                                                                             \
    ((k) < 4 ? _mm256_alignr_epi8(_mm256_permute2x128_si256(low, high, 0x21), low, (4 * (k)) & 15)                                                   \
             : _mm256_alignr_epi8(high, _mm256_permute2x128_si256(low, high, 0x21), (4 * (k)-16) & 15))
#include MOSAIC_SSIM_FILE
/* gcc 12 warns about its own intrinsics, whose unused operands are meant to be undefined. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define MOSAIC_SSIM__LANES 8
#define MOSAIC_SSIM__ISA MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#define MOSAIC_SSIM__FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define MOSAIC_SSIM__SINGLE(v) _mm512_cvtps_pd(_mm512_cvtpd_ps(v))
#define MOSAIC_SSIM__PREFIX _mm512_
#define MOSAIC_SSIM__PREFIX_SI si512
#define MOSAIC_SSIM__WIDE_I __m512i
#define MOSAIC_SSIM__WIDE_F __m512
#define MOSAIC_SSIM__WIDE_D __m512d
#define MOSAIC_SSIM__AS_DOUBLES(v) _mm512_castsi512_pd(v)
#define MOSAIC_SSIM__AS_WORDS(v) _mm512_castpd_si512(v)
#define MOSAIC_SSIM__LAST(v) _mm512_permutexvar_epi32(_mm512_set1_epi32(15), v)
#define MOSAIC_SSIM__RECIPROCAL(v) _mm512_rcp14_ps(v)
#define MOSAIC_SSIM__SHIFT(high, low, k) _mm512_alignr_epi32(high, low, k)
#include MOSAIC_SSIM_FILE
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#elif MOSAIC_SSIM__PAIRS
#define MOSAIC_SSIM__LANES 2
#define MOSAIC_SSIM__ISA
#if defined(__aarch64__)
#define MOSAIC_SSIM__FMA(a, b, c) vfmaq_f64(c, a, b)
#define MOSAIC_SSIM__SINGLE(v) vcvt_f64_f32(vcvt_f32_f64(v))
#endif
#include MOSAIC_SSIM_FILE
#endif
#define MOSAIC_SSIM__TABLE(lanes, screen, integers)                                                                                                  \
    {                                                                                                                                                \
        screen, integers, mosaic_ssim__widen_##lanes, mosaic_ssim__run_##lanes, mosaic_ssim__rows_##lanes, mosaic_ssim__total_##lanes                \
    }
static const mosaic_ssim__kernels mosaic_ssim__kernels_1 = MOSAIC_SSIM__TABLE(1, NULL, NULL);
#if MOSAIC_SSIM__SIMD
static const mosaic_ssim__kernels mosaic_ssim__kernels_4 = MOSAIC_SSIM__TABLE(4, mosaic_ssim__screen_4, mosaic_ssim__integers_4),
                                  mosaic_ssim__kernels_8 = MOSAIC_SSIM__TABLE(8, mosaic_ssim__screen_8, mosaic_ssim__integers_8);
#elif MOSAIC_SSIM__PAIRS
static const mosaic_ssim__kernels mosaic_ssim__kernels_2 = MOSAIC_SSIM__TABLE(2, mosaic_ssim__screen_2, mosaic_ssim__integers_2);
#endif

/* ---- NumPy's sum ---- */

/* NumPy's sum of doubles that lie side by side: halves, down to runs of 128 that are summed by eight accumulators. */
static double mosaic_ssim__pairwise(const mosaic_ssim__kernels *kernels, const double *v, size_t n)
{
    double sum;
    size_t i, half;
    if (n < 8) {
        for (i = 0, sum = -0.0; i < n; i++) sum += v[i];
        return sum;
    }
    if (n <= 128) return kernels->run(v, n);
    half = n / 2;
    half -= half % 8;
    sum = mosaic_ssim__pairwise(kernels, v, half);
    return sum + mosaic_ssim__pairwise(kernels, v + half, n - half);
}

/* ---- the Gaussian ---- */

/* e to the power of v <= 0, to within about 2^-52 of its value. v = k * log 2 + r with |r| <= log(2) / 2; the series runs on r / 256 and eight
   squarings follow, all with the error of each operation carried along, so that what is returned is nearly always the rounded truth. */
typedef struct mosaic_ssim__two {
    double high, low;
} mosaic_ssim__two; /* the sum of both, a number of about 100 bits */

static mosaic_ssim__two mosaic_ssim__two_sum(double a, double b)
{
    mosaic_ssim__two r;
    double t;
    r.high = a + b;
    t = r.high - a;
    r.low = (a - (r.high - t)) + (b - t);
    return r;
}

static mosaic_ssim__two mosaic_ssim__two_product(double a, double b)
{
    mosaic_ssim__two r;
    double t = 134217729.0 * a, ah = t - (t - a), al = a - ah, bh, bl; /* halves of 26 bits, whose products are exact */
    t = 134217729.0 * b, bh = t - (t - b), bl = b - bh;
    r.high = a * b;
    r.low = ((ah * bh - r.high) + ah * bl + al * bh) + al * bl;
    return r;
}

static mosaic_ssim__two mosaic_ssim__two_add(mosaic_ssim__two a, mosaic_ssim__two b)
{
    mosaic_ssim__two s = mosaic_ssim__two_sum(a.high, b.high);
    return mosaic_ssim__two_sum(s.high, s.low + (a.low + b.low));
}

static mosaic_ssim__two mosaic_ssim__two_multiply(mosaic_ssim__two a, mosaic_ssim__two b)
{
    mosaic_ssim__two p = mosaic_ssim__two_product(a.high, b.high);
    return mosaic_ssim__two_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
}

static mosaic_ssim__two mosaic_ssim__two_exp(mosaic_ssim__two v)
{
    const mosaic_ssim__two log2 = {0.69314718055994528623, 2.3190468138462995584e-17};
    mosaic_ssim__two r, sum = {1, 0}, term;
    double k = (v.high * 1.4426950408889634 + 6755399441055744.0) - 6755399441055744.0;
    uint64_t bits;
    double scale;
    int i;
    if (v.high < -700) v.high = -700, v.low = 0, k = -1010;
    if (v.high > 700) v.high = 700, v.low = 0, k = 1010;
    term.high = -k, term.low = 0;
    r = mosaic_ssim__two_add(v, mosaic_ssim__two_multiply(term, log2));
    r.high /= 256, r.low /= 256;
    for (i = 10; i > 0; i--) { /* 1 + r (1 + r/2 (1 + r/3 (...))) */
        mosaic_ssim__two one = {1, 0}, by;
        by.high = 1.0 / i, by.low = 0;
        by.low = -(mosaic_ssim__two_product(by.high, (double)i).high - 1.0 + mosaic_ssim__two_product(by.high, (double)i).low) / i;
        sum = mosaic_ssim__two_add(one, mosaic_ssim__two_multiply(mosaic_ssim__two_multiply(r, by), sum));
    }
    for (i = 0; i < 8; i++) sum = mosaic_ssim__two_multiply(sum, sum);
    bits = (uint64_t)(1023 + (int)k) << 52;
    memcpy(&scale, &bits, sizeof scale);
    sum.high *= scale, sum.low *= scale;
    return sum;
}

static double mosaic_ssim__exp(double v)
{
    mosaic_ssim__two t;
    t.high = v, t.low = 0;
    t = mosaic_ssim__two_exp(t);
    return t.high + t.low;
}

/* Normalised weights, the centre first, as SciPy works them out: exp(-0.5 / sigma^2 * k^2) over their sum from left to right. */
static void mosaic_ssim__gauss(double sigma, size_t radius, double *taps)
{
    double all[255], factor = -0.5 / (sigma * sigma), sum;
    size_t k;
    for (k = 0; k <= radius; k++) taps[k] = mosaic_ssim__exp(factor * (double)(k * k));
    for (k = 0; k <= radius; k++) all[radius - k] = all[radius + k] = taps[k];
    sum = mosaic_ssim__pairwise(&mosaic_ssim__kernels_1, all, 2 * radius + 1);
    for (k = 0; k <= radius; k++) taps[k] = taps[k] / sum;
}

/* ---- NumPy's mean ---- */

/* NumPy adds up a map in pieces, each by its pairwise sum. The pieces are runs of `piece` values that do not end with rows, or rows cut
   into such runs. */
typedef struct mosaic_ssim__pieces {
    const mosaic_ssim__kernels *kernels;
    double *buffer; /* of `piece` values */
    size_t piece, filled;
    int rows;     /* a piece ends where a row does */
    double *sums; /* of the finished pieces */
} mosaic_ssim__pieces;

static void mosaic_ssim__end_piece(mosaic_ssim__pieces *p)
{
    if (p->filled) *p->sums++ = mosaic_ssim__pairwise(p->kernels, p->buffer, p->filled);
    p->filled = 0;
}

static void mosaic_ssim__feed(mosaic_ssim__pieces *p, const double *values, size_t count)
{
    while (count) {
        size_t n = p->piece - p->filled < count ? p->piece - p->filled : count;
        memcpy(p->buffer + p->filled, values, n * sizeof *values);
        p->filled += n, values += n, count -= n;
        if (p->filled == p->piece) mosaic_ssim__end_piece(p);
    }
    if (p->rows) mosaic_ssim__end_piece(p);
}

/* How NumPy cuts this map: the length of a piece, how many rows stay together, and how many pieces those make. */
static void mosaic_ssim__cut(mosaic_ssim__plan *plan)
{
    const size_t buffer = 8192;
    size_t width = plan->map_width, all = width * plan->map_height;
    plan->piece = buffer, plan->piece_rows = 0, plan->unit_rows = plan->map_height;
    if (plan->mean_rule == MOSAIC_SSIM_MEAN_NUMPY_1) {
        plan->unit_pieces = (all + buffer - 1) / buffer;
    } else if (2 * width <= (all < buffer ? all : buffer)) {
        if (all > buffer) plan->unit_rows = buffer / width;
        plan->piece = plan->unit_rows * width, plan->unit_pieces = 1;
    } else {
        plan->unit_rows = 1, plan->piece_rows = 1;
        if (plan->type != MOSAIC_SSIM_F32 || width < buffer) plan->piece = width;
        plan->unit_pieces = (width + plan->piece - 1) / plan->piece;
    }
    plan->units = (plan->map_height + plan->unit_rows - 1) / plan->unit_rows;
}

/* ---- strips of rows, all but plain bytes ---- */

/* Where the rows of the map of one job go. */
typedef struct mosaic_ssim__sink {
    const mosaic_ssim__plan *plan;
    const mosaic_ssim_output *output;
    size_t channel;
    mosaic_ssim__total *total;   /* of the values and of the contrast term */
    mosaic_ssim__pieces *pieces; /* or null, in the exact arithmetic */
} mosaic_ssim__sink;

static double *mosaic_ssim__map_row(const mosaic_ssim__plan *plan, const mosaic_ssim_output *output, double *map, size_t channel, size_t y)
{
    size_t row = output->map_stride ? output->map_stride : plan->out_width;
    size_t plane = output->map_channel_stride ? output->map_channel_stride : row * plan->out_height;
    return map + channel * plane + y * row;
}

static mosaic_ssim__total mosaic_ssim__row_total(const mosaic_ssim__plan *plan, const double *values)
{
    mosaic_ssim__total total = {0, 0};
    size_t x;
    for (x = 0; x < plan->map_width; x += MOSAIC_SSIM__SPAN) {
        uint64_t part = plan->kernels->total(values + x, plan->map_width - x < MOSAIC_SSIM__SPAN ? plan->map_width - x : MOSAIC_SSIM__SPAN);
        mosaic_ssim__add(&total, part >> 32, part & 0xffffffffu);
    }
    return total;
}

/* Row y of the map; contrast is null unless it is wanted. */
static void mosaic_ssim__deliver(const mosaic_ssim__sink *sink, size_t y, const double *values, const double *contrast)
{
    const mosaic_ssim__plan *plan = sink->plan;
    const mosaic_ssim_output *output = sink->output;
    size_t width = plan->map_width;
    double sum;
    if (sink->pieces) {
        sum = output->row_sums ? mosaic_ssim__pairwise(plan->kernels, values, width) : 0;
        mosaic_ssim__feed(sink->pieces, values, width);
    } else {
        mosaic_ssim__total row = mosaic_ssim__row_total(plan, values);
        sum = mosaic_ssim__sum(&row, width) / 2251799813685248.0;
        mosaic_ssim__add(&sink->total[0], row.high, row.low);
        if (contrast) {
            row = mosaic_ssim__row_total(plan, contrast);
            mosaic_ssim__add(&sink->total[1], row.high, row.low);
        }
    }
    if (output->row_sums) output->row_sums[sink->channel * plan->map_height + y] = sum;
    if (plan->kind == MOSAIC_SSIM__PLANES) return; /* maps go out on their own */
    if (output->map) memcpy(mosaic_ssim__map_row(plan, output, output->map, sink->channel, y), values, width * sizeof *values);
    if (output->contrast_map) memcpy(mosaic_ssim__map_row(plan, output, output->contrast_map, sink->channel, y), contrast, width * sizeof *contrast);
}

/* Hands out pieces of one job's scratch memory. */
static double *mosaic_ssim__carve(unsigned char **memory, size_t doubles)
{
    double *at = (double *)(void *)*memory;
    *memory += mosaic_ssim__round(doubles * sizeof(double));
    return at;
}

/* Integers of 8 and 16 bits, uniform windows of any size, exactly: everything fits 64 bits, differences by way of arithmetic modulo 2^64.
   This is the reference for the kernels. */
static void mosaic_ssim__large_integers_strip(const mosaic_ssim__plan *plan, const mosaic_ssim__source *a, const mosaic_ssim__source *b, size_t top,
                                              size_t end, const mosaic_ssim__sink *sink, unsigned char *memory)
{
    const uint64_t w = (uint64_t)plan->window, n = w * w;
    size_t size = plan->capacity, i, y;
    double *x = mosaic_ssim__carve(&memory, size), *z = mosaic_ssim__carve(&memory, size), *map = mosaic_ssim__carve(&memory, size);
    double *contrast = mosaic_ssim__carve(&memory, size);
    uint64_t *sx = (uint64_t *)mosaic_ssim__carve(&memory, size), *sy = (uint64_t *)mosaic_ssim__carve(&memory, size);
    uint64_t *squares = (uint64_t *)mosaic_ssim__carve(&memory, size), *products = (uint64_t *)mosaic_ssim__carve(&memory, size);
    memset(sx, 0, size * sizeof *sx), memset(sy, 0, size * sizeof *sy);
    memset(squares, 0, size * sizeof *squares), memset(products, 0, size * sizeof *products);
    for (y = top; y < end + (size_t)w - 1; y++) {
        uint64_t tx = 0, ty = 0, ts = 0, tp = 0;
        mosaic_ssim__span(plan, a, y, 0, plan->width, x), mosaic_ssim__span(plan, b, y, 0, plan->width, z);
        for (i = 0; i < plan->width; i++) {
            uint64_t p = (uint32_t)x[i], q = (uint32_t)z[i];
            sx[i] += p, sy[i] += q, squares[i] += p * p + q * q, products[i] += p * q;
        }
        if (y + 1 < top + (size_t)w) continue;
        for (i = 0; i < plan->width; i++) {
            double xy2, s, a1, b1, d, e;
            tx += sx[i], ty += sy[i], ts += squares[i], tp += products[i];
            if (i + 1 < w) continue;
            xy2 = 2.0 * (double)(tx * ty);
            if (tx < 0x80000000u && ty < 0x80000000u) {
                s = (double)(tx * tx + ty * ty);
            } else { /* half of the sum, with its lowest bit set if that of the whole would be: it is rounded the same way */
                uint64_t p = tx * tx, q = ty * ty;
                s = 2.0 * (double)(((p >> 1) + (q >> 1) + (p & q & 1)) | ((p ^ q) & 1));
            }
            a1 = xy2 + plan->c1;
            b1 = (double)(int64_t)(2 * (n * tp - tx * ty)) + plan->c2;
            d = s + plan->c1;
            e = (double)(int64_t)(n * ts - tx * tx - ty * ty) + plan->c2;
            map[i + 1 - w] = (a1 * b1) / (d * e);
            contrast[i + 1 - w] = b1 / e;
            tx -= sx[i + 1 - w], ty -= sy[i + 1 - w], ts -= squares[i + 1 - w], tp -= products[i + 1 - w];
        }
        y -= (size_t)w - 1; /* the row of the map */
        mosaic_ssim__deliver(sink, y, map, contrast);
        mosaic_ssim__span(plan, a, y, 0, plan->width, x), mosaic_ssim__span(plan, b, y, 0, plan->width, z);
        for (i = 0; i < plan->width; i++) {
            uint64_t p = (uint32_t)x[i], q = (uint32_t)z[i];
            sx[i] -= p, sy[i] -= q, squares[i] -= p * p + q * q, products[i] -= p * q;
        }
        y += (size_t)w - 1;
    }
}

/* The same for windows up to 31, where no sum reaches 2^53: 2 * (31 * 31 * 65535)^2 is the largest. */
static void mosaic_ssim__integers_strip(const mosaic_ssim__plan *plan, const mosaic_ssim__source *a, const mosaic_ssim__source *b, size_t top,
                                        size_t end, const mosaic_ssim__sink *sink, unsigned char *memory)
{
    const size_t w = (size_t)plan->window;
    double *in[2], *out[2], *columns[4], *map, *contrast;
    size_t i, y;
    if (!plan->kernels->integers || w > 31) {
        mosaic_ssim__large_integers_strip(plan, a, b, top, end, sink, memory);
        return;
    }
    memset(memory, 0, plan->scratch_size - MOSAIC_SSIM__PAD);
    for (i = 0; i < 2; i++) in[i] = mosaic_ssim__carve(&memory, plan->capacity), out[i] = mosaic_ssim__carve(&memory, plan->capacity);
    for (i = 0; i < 4; i++) columns[i] = mosaic_ssim__carve(&memory, plan->capacity);
    map = mosaic_ssim__carve(&memory, plan->capacity);
    contrast = plan->contrast ? mosaic_ssim__carve(&memory, plan->capacity) : NULL;
    for (y = top; y < end + w - 1; y++) {
        mosaic_ssim__span(plan, a, y, 0, plan->width, in[0]), mosaic_ssim__span(plan, b, y, 0, plan->width, in[1]);
        if (y >= top + w) mosaic_ssim__span(plan, a, y - w, 0, plan->width, out[0]), mosaic_ssim__span(plan, b, y - w, 0, plan->width, out[1]);
        plan->kernels->integers(plan, in, out, columns, y + 1 < top + w ? NULL : map, contrast);
        if (y + 1 >= top + w) mosaic_ssim__deliver(sink, y + 1 - w, map, contrast);
    }
}

/* Uniform windows: the column sums before the map's row `top`, those of the window one row further up. Those of integers are exact and begin
   anywhere; those of floats carry the rounding errors of all rows above with them. */
static void mosaic_ssim__first_columns(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t top)
{
    const ptrdiff_t w = plan->window, half = w / 2, last = (ptrdiff_t)top + w - 2;
    const int single = plan->type == MOSAIC_SSIM_F32, floats = single || plan->type == MOSAIC_SSIM_F64;
    const size_t all = plan->width + (size_t)half, size = plan->capacity;
    ptrdiff_t y;
    size_t at, i, m;
    if (plan->type == MOSAIC_SSIM_U8) {
        int32_t *sums = (int32_t *)(void *)lines->sums;
        for (y = (ptrdiff_t)top - 1; y <= last; y++) {
            const unsigned char *x = lines->bytes, *z = lines->bytes + size;
            mosaic_ssim__byte_line(plan, lines->a, mosaic_ssim__reflect(y, plan->height), lines->bytes);
            mosaic_ssim__byte_line(plan, lines->b, mosaic_ssim__reflect(y, plan->height), lines->bytes + size);
            for (i = 0; i < all; i++) {
                sums[i] += x[i], sums[size + i] += z[i];
                sums[2 * size + i] += x[i] * x[i], sums[3 * size + i] += x[i] * z[i], sums[4 * size + i] += z[i] * z[i];
            }
        }
        return;
    }
    for (at = 0; at < all; at += MOSAIC_SSIM__BLOCK) {
        size_t count = all - at < MOSAIC_SSIM__BLOCK ? all - at : MOSAIC_SSIM__BLOCK;
        ptrdiff_t x = (ptrdiff_t)at - half;
        for (y = floats ? -half : (ptrdiff_t)top - 1; y <= last; y++) {
            mosaic_ssim__span(plan, lines->a, mosaic_ssim__reflect(y, plan->height), x, count, lines->in_x);
            mosaic_ssim__span(plan, lines->b, mosaic_ssim__reflect(y, plan->height), x, count, lines->in_y);
            if (floats && y - w >= -half) { /* zeros leave until then */
                mosaic_ssim__span(plan, lines->a, mosaic_ssim__reflect(y - w, plan->height), x, count, lines->out_x);
                mosaic_ssim__span(plan, lines->b, mosaic_ssim__reflect(y - w, plan->height), x, count, lines->out_y);
            } else {
                memset(lines->out_x, 0, sizeof(double) * count), memset(lines->out_y, 0, sizeof(double) * count);
            }
            for (i = 0; i < count; i++) {
                double p = lines->in_x[i], q = lines->in_y[i], r = lines->out_x[i], s = lines->out_y[i], change[5];
                change[0] = p - r, change[1] = q - s;
                change[2] = mosaic_ssim__round_1(p * p, single) - mosaic_ssim__round_1(r * r, single);
                change[3] = mosaic_ssim__round_1(p * q, single) - mosaic_ssim__round_1(r * s, single);
                change[4] = mosaic_ssim__round_1(q * q, single) - mosaic_ssim__round_1(s * s, single);
                for (m = 0; m < 5; m++) lines->sums[m * size + at + i] += change[m];
            }
        }
    }
}

/* Windows in doubles, in either arithmetic. */
static void mosaic_ssim__doubles_strip(const mosaic_ssim__plan *plan, const mosaic_ssim__source *a, const mosaic_ssim__source *b, size_t top,
                                       size_t end, const mosaic_ssim__sink *sink, unsigned char *memory)
{
    mosaic_ssim__lines lines;
    size_t size = plan->capacity, block = MOSAIC_SSIM__BLOCK, y, j;
    unsigned char *start;
    memset(&lines, 0, sizeof lines);
    lines.a = a, lines.b = b;
    lines.map = mosaic_ssim__carve(&memory, MOSAIC_SSIM__ROWS * size);
    if (plan->contrast) lines.contrast = mosaic_ssim__carve(&memory, MOSAIC_SSIM__ROWS * size);
    start = memory;
    if (plan->kind == MOSAIC_SSIM__UNIFORM) {
        lines.sums = mosaic_ssim__carve(&memory, 5 * size);
        lines.bytes = (unsigned char *)mosaic_ssim__carve(&memory, 4 * size);
        lines.in_x = mosaic_ssim__carve(&memory, block), lines.in_y = mosaic_ssim__carve(&memory, block);
        lines.out_x = mosaic_ssim__carve(&memory, block), lines.out_y = mosaic_ssim__carve(&memory, block);
        lines.means = mosaic_ssim__carve(&memory, 40 * block);
        lines.turned = mosaic_ssim__carve(&memory, 40 * plan->ring);
    } else {
        lines.tile_rows = MOSAIC_SSIM__ROWS + 2 * plan->radius;
        lines.tile = mosaic_ssim__carve(&memory, 5 * lines.tile_rows * block);
        lines.turned = mosaic_ssim__carve(&memory, 5 * MOSAIC_SSIM__ROWS * (2 * plan->radius + block));
    }
    memset(start, 0, (size_t)(memory - start));
    if (plan->kind == MOSAIC_SSIM__UNIFORM) mosaic_ssim__first_columns(plan, &lines, top);
    for (y = top; y < end; y += MOSAIC_SSIM__ROWS) {
        size_t rows = end - y < MOSAIC_SSIM__ROWS ? end - y : MOSAIC_SSIM__ROWS;
        plan->kernels->rows(plan, &lines, y, rows);
        for (j = 0; j < rows; j++) {
            size_t at = j * size + plan->lead;
            mosaic_ssim__deliver(sink, y + j, lines.map + at, lines.contrast ? lines.contrast + at : NULL);
        }
    }
}

/* ---- scikit-image's way by whole planes, for all that goes with a map as large as the picture ---- */

/* One line of a plane, n values a step apart, through the filter. line has room for n + 254 doubles. */
static void mosaic_ssim__filter_line(const mosaic_ssim__plan *plan, double *at, size_t step, size_t n, double *line)
{
    const int single = plan->type == MOSAIC_SSIM_F32, gaussian = plan->weights == MOSAIC_SSIM_GAUSSIAN;
    const size_t radius = gaussian ? plan->radius : (size_t)plan->window / 2, w = 2 * radius + 1;
    double sum = 0;
    size_t i, k;
    for (i = 0; i < n + 2 * radius; i++) line[i] = at[mosaic_ssim__reflect((ptrdiff_t)i - (ptrdiff_t)radius, n) * step];
    for (i = 0; i < n; i++) {
        if (gaussian) {
            sum = line[i + radius] * plan->taps[0];
            for (k = radius; k > 0; k--) sum += (line[i + radius - k] + line[i + radius + k]) * plan->taps[k];
            at[i * step] = mosaic_ssim__round_1(sum, single);
        } else {
            if (i == 0)
                for (k = 0; k < w; k++) sum += line[k];
            else
                sum += line[i + w - 1] - line[i - 1];
            at[i * step] = mosaic_ssim__round_1(sum / (double)w, single);
        }
    }
}

/* x, y, and the five means or what is made of them: factors of the gradient in the first three, the contrast term in the fourth; the map. */
typedef struct mosaic_ssim__planes {
    double *x, *y, *m[5], *map;
} mosaic_ssim__planes;

static mosaic_ssim__planes mosaic_ssim__lay_planes(const mosaic_ssim__plan *plan, unsigned char *memory)
{
    mosaic_ssim__planes planes;
    size_t count = plan->width * plan->height, i;
    planes.x = mosaic_ssim__carve(&memory, count), planes.y = mosaic_ssim__carve(&memory, count);
    for (i = 0; i < 5; i++) planes.m[i] = mosaic_ssim__carve(&memory, count);
    planes.map = mosaic_ssim__carve(&memory, count);
    return planes;
}

#define MOSAIC_SSIM__R(v) mosaic_ssim__round_1(v, single)

/* A row of pixels and their products. */
static void mosaic_ssim__planes_load(const mosaic_ssim__plan *plan, const mosaic_ssim__planes *planes, const mosaic_ssim__source *a,
                                     const mosaic_ssim__source *b, size_t row)
{
    const int single = plan->type == MOSAIC_SSIM_F32;
    size_t i = row * plan->width, end = i + plan->width;
    double *x = planes->x, *y = planes->y;
    mosaic_ssim__span(plan, a, row, 0, plan->width, x + i);
    mosaic_ssim__span(plan, b, row, 0, plan->width, y + i);
    for (; i < end; i++) {
        planes->m[0][i] = x[i], planes->m[1][i] = y[i];
        planes->m[2][i] = MOSAIC_SSIM__R(x[i] * x[i]), planes->m[3][i] = MOSAIC_SSIM__R(x[i] * y[i]), planes->m[4][i] = MOSAIC_SSIM__R(y[i] * y[i]);
    }
}

/* A row of values from the means, and what the gradient is made of. */
static void mosaic_ssim__planes_values(const mosaic_ssim__plan *plan, const mosaic_ssim__planes *planes, size_t row)
{
    const int single = plan->type == MOSAIC_SSIM_F32;
    const double c1 = plan->c1, c2 = plan->c2, norm = plan->norm;
    size_t i, end = (row + 1) * plan->width;
    for (i = row * plan->width; i < end; i++) {
        double ux = planes->m[0][i], uy = planes->m[1][i], xx = MOSAIC_SSIM__R(ux * ux), yy = MOSAIC_SSIM__R(uy * uy), value;
        double vx = MOSAIC_SSIM__R(norm * MOSAIC_SSIM__R(planes->m[2][i] - xx)), vy = MOSAIC_SSIM__R(norm * MOSAIC_SSIM__R(planes->m[4][i] - yy));
        double vxy = MOSAIC_SSIM__R(norm * MOSAIC_SSIM__R(planes->m[3][i] - MOSAIC_SSIM__R(ux * uy)));
        double a1 = MOSAIC_SSIM__R(MOSAIC_SSIM__R(2 * ux * uy) + c1), a2 = MOSAIC_SSIM__R(2 * vxy + c2);
        double b1 = MOSAIC_SSIM__R(MOSAIC_SSIM__R(xx + yy) + c1), b2 = MOSAIC_SSIM__R(MOSAIC_SSIM__R(vx + vy) + c2);
        double d = MOSAIC_SSIM__R(b1 * b2);
        value = planes->map[i] = MOSAIC_SSIM__R(MOSAIC_SSIM__R(a1 * a2) / d);
        planes->m[3][i] = MOSAIC_SSIM__R(a2 / b2);
        planes->m[0][i] = MOSAIC_SSIM__R(a1 / d), planes->m[1][i] = MOSAIC_SSIM__R(-value / b2);
        planes->m[2][i] = MOSAIC_SSIM__R(
            MOSAIC_SSIM__R(MOSAIC_SSIM__R(ux * MOSAIC_SSIM__R(a2 - a1)) - MOSAIC_SSIM__R(MOSAIC_SSIM__R(uy * MOSAIC_SSIM__R(b2 - b1)) * value)) / d);
    }
}

static void mosaic_ssim__planes_gradient(const mosaic_ssim__plan *plan, const mosaic_ssim__planes *planes, size_t row, double *gradient)
{
    const int single = plan->type == MOSAIC_SSIM_F32;
    const double factor = MOSAIC_SSIM__R(2.0 / (double)(plan->width * plan->height));
    size_t i, end = (row + 1) * plan->width;
    for (i = row * plan->width; i < end; i++) {
        double g = MOSAIC_SSIM__R(planes->m[0][i] * planes->x[i]);
        g = MOSAIC_SSIM__R(g + MOSAIC_SSIM__R(planes->m[1][i] * planes->y[i]));
        g = MOSAIC_SSIM__R(g + planes->m[2][i]);
        gradient[i] = MOSAIC_SSIM__R(g * factor);
    }
}

#undef MOSAIC_SSIM__R

/* A row of what is given out of a plane. */
static void mosaic_ssim__planes_out(const mosaic_ssim__plan *plan, const mosaic_ssim_output *output, const double *plane, double *map, size_t channel,
                                    size_t row)
{
    size_t pad = output->full ? 0 : (size_t)plan->window / 2;
    if (!map || row < pad || row - pad >= plan->out_height) return;
    memcpy(mosaic_ssim__map_row(plan, output, map, channel, row - pad), plane + row * plan->width + pad, plan->out_width * sizeof *map);
}

/* ---- checks and the plan ---- */

/* The one list of kernels. */
static mosaic_ssim_result mosaic_ssim__choose(int simd, mosaic_ssim__plan *plan)
{
    int level = 0;
#if MOSAIC_SSIM__SIMD
    level = mosaic__cpu_level();
    if (level == 1 && !__builtin_cpu_supports("fma")) level = 0;
#endif
    plan->columns = mosaic_ssim__columns_scalar, plan->finish = mosaic_ssim__finish_scalar, plan->kernels = &mosaic_ssim__kernels_1;
#if MOSAIC_SSIM__PAIRS
    if (simd == 0 || simd == 5) {
        plan->columns = mosaic_ssim__columns_pairs, plan->finish = mosaic_ssim__finish_pairs, plan->kernels = &mosaic_ssim__kernels_2;
        return MOSAIC_SSIM_OK;
    }
#endif
    if (simd < 0 || simd > 4 || simd - 1 > level) return MOSAIC_SSIM_ERROR_SIMD;
    if (simd > 0) level = simd - 1;
#if MOSAIC_SSIM__SIMD
    if (level == 1) {
        plan->columns = mosaic_ssim__columns_4, plan->finish = mosaic_ssim__finish_4, plan->kernels = &mosaic_ssim__kernels_4;
    } else if (level >= 2) {
        plan->columns = mosaic_ssim__columns_8, plan->finish = mosaic_ssim__finish_8, plan->kernels = &mosaic_ssim__kernels_8;
    }
#endif
    return MOSAIC_SSIM_OK;
}

static int mosaic_ssim__finite_positive(double v) { return v > 0 && v <= DBL_MAX; }

/* The weights of windows that have any, and the window's side if it follows from them. */
static mosaic_ssim_result mosaic_ssim__make_taps(const mosaic_ssim_options *o, mosaic_ssim__plan *plan)
{
    double sigma = o->sigma == 0 ? 1.5 : o->sigma;
    size_t k;
    if (o->weights == MOSAIC_SSIM_UNIFORM) {
        mosaic_ssim__two product;
        plan->radius = (size_t)plan->window / 2;
        for (k = 0; k <= plan->radius; k++) plan->taps[k] = 1.0 / plan->window;
        product = mosaic_ssim__two_product(plan->taps[0], (double)plan->window);
        plan->inverse_high = plan->taps[0], plan->inverse_low = ((1 - product.high) - product.low) / plan->window;
        return MOSAIC_SSIM_OK;
    }
    if (o->taps) {
        if (o->tap_count < 2 || o->tap_count > 128) return MOSAIC_SSIM_ERROR_SIGMA;
        plan->radius = (size_t)o->tap_count - 1;
        for (k = 0; k <= plan->radius; k++) {
            if (!(o->taps[k] >= 0 && o->taps[k] <= 1)) return MOSAIC_SSIM_ERROR_SIGMA;
            plan->taps[k] = o->taps[k];
        }
    } else {
        if (!mosaic_ssim__finite_positive(sigma) || sigma > 1000) return MOSAIC_SSIM_ERROR_SIGMA;
        plan->radius = o->window && o->arithmetic == MOSAIC_SSIM_EXACT ? (size_t)plan->window / 2 : (size_t)(3.5 * sigma + 0.5);
        if (plan->radius < 1 || plan->radius > 127) return MOSAIC_SSIM_ERROR_SIGMA;
        mosaic_ssim__gauss(sigma, plan->radius, plan->taps);
    }
    if (!o->window) plan->window = 2 * (int)plan->radius + 1;
    return MOSAIC_SSIM_OK;
}

/* Which room of this file does the work. */
static mosaic_ssim_result mosaic_ssim__make_kind(const mosaic_ssim_options *o, const mosaic_ssim_output *output, mosaic_ssim__plan *plan)
{
    int contrast = plan->contrast, whole = output && (output->full || output->gradient);
    if (o->arithmetic == MOSAIC_SSIM_EXACT) {
        if (whole) return MOSAIC_SSIM_ERROR_UNSUPPORTED;
        if (plan->type == MOSAIC_SSIM_F32 || plan->type == MOSAIC_SSIM_F64 || plan->weights == MOSAIC_SSIM_GAUSSIAN)
            plan->kind = MOSAIC_SSIM__WEIGHTED;
        else
            plan->kind = plan->type == MOSAIC_SSIM_U8 && !contrast ? MOSAIC_SSIM__BYTES : MOSAIC_SSIM__INTEGERS;
        if (plan->kind == MOSAIC_SSIM__WEIGHTED && (size_t)plan->window != 2 * plan->radius + 1) return MOSAIC_SSIM_ERROR_SIGMA;
    } else if (whole || contrast || (plan->weights == MOSAIC_SSIM_GAUSSIAN && (size_t)plan->window != 2 * plan->radius + 1)) {
        plan->kind = MOSAIC_SSIM__PLANES;
    } else {
        plan->kind = plan->weights == MOSAIC_SSIM_GAUSSIAN ? MOSAIC_SSIM__GAUSSIAN : MOSAIC_SSIM__UNIFORM;
    }
    return MOSAIC_SSIM_OK;
}

/* The scratch memory of a job, as documented at mosaic_ssim_work_size(). Sizes were checked: nothing wraps round. */
static size_t mosaic_ssim__scratch_size(const mosaic_ssim__plan *plan)
{
    size_t c = plan->capacity, doubles = 0;
    switch (plan->kind) {
    case MOSAIC_SSIM__BYTES: return mosaic_ssim__round(17 * mosaic_ssim__round(plan->width + MOSAIC_SSIM__PAD)) + MOSAIC_SSIM__PAD;
    case MOSAIC_SSIM__INTEGERS: doubles = 10 * c; break;
    case MOSAIC_SSIM__WEIGHTED:
    case MOSAIC_SSIM__GAUSSIAN: doubles = 160 * (2 * plan->radius + 16) + 16 * c * (plan->contrast ? 2 : 1) + plan->piece; break;
    case MOSAIC_SSIM__UNIFORM: doubles = 25 * c + 44 * 16 + 40 * plan->ring + plan->piece; break;
    case MOSAIC_SSIM__PLANES: doubles = c + plan->height + 256 + 2 * plan->piece; break;
    }
    return mosaic_ssim__round(8 * doubles) + 16 * MOSAIC_SSIM__PAD;
}

/* Checks the options and the size of the pictures, and works out all that follows from them. output tells what is wanted (null: a mean). */
static mosaic_ssim_result mosaic_ssim__make_plan(const mosaic_ssim_image *image, const mosaic_ssim_options *options, const mosaic_ssim_output *output,
                                                 mosaic_ssim__plan *plan)
{
    mosaic_ssim_options o;
    mosaic_ssim_result result;
    size_t width = image->width, height = image->height;
    double t, n;
    memset(&o, 0, sizeof o);
    memset(plan, 0, sizeof *plan);
    if (options) o = *options;
    if (image->type != MOSAIC_SSIM_U8 && image->type != MOSAIC_SSIM_U16 && image->type != MOSAIC_SSIM_F32 && image->type != MOSAIC_SSIM_F64)
        return MOSAIC_SSIM_ERROR_TYPE;
    if (image->channels < 0 || image->channels > 4) return MOSAIC_SSIM_ERROR_CHANNELS;
    plan->type = image->type;
    plan->channels = image->channels ? image->channels : 1;
    plan->channel_axis = image->channels != 0;
    plan->window = o.window ? o.window : 7;
    if (o.k1 == 0) o.k1 = 0.01;
    if (o.k2 == 0) o.k2 = 0.03;
    if (o.jobs == 0) o.jobs = 16;
    if (plan->window < 3 || plan->window > 255 || plan->window % 2 == 0) return MOSAIC_SSIM_ERROR_WINDOW;
    if (o.covariance != MOSAIC_SSIM_SAMPLE && o.covariance != MOSAIC_SSIM_POPULATION) return MOSAIC_SSIM_ERROR_COVARIANCE;
    if ((o.arithmetic != MOSAIC_SSIM_EXACT && o.arithmetic != MOSAIC_SSIM_SKIMAGE) ||
        (o.weights != MOSAIC_SSIM_UNIFORM && o.weights != MOSAIC_SSIM_GAUSSIAN) ||
        (o.mean_rule != MOSAIC_SSIM_MEAN_NUMPY_2_3 && o.mean_rule != MOSAIC_SSIM_MEAN_NUMPY_1))
        return MOSAIC_SSIM_ERROR_OPTION;
    if (o.data_range == 0) {
        if (plan->type != MOSAIC_SSIM_U8 && plan->type != MOSAIC_SSIM_U16) return MOSAIC_SSIM_ERROR_NO_RANGE;
        o.data_range = plan->type == MOSAIC_SSIM_U8 ? 255 : 65535;
    }
    if (!mosaic_ssim__finite_positive(o.data_range)) return MOSAIC_SSIM_ERROR_DATA_RANGE;
    if (!mosaic_ssim__finite_positive(o.k1) || !mosaic_ssim__finite_positive(o.k2)) return MOSAIC_SSIM_ERROR_CONSTANT;
    if (o.jobs < 0) return MOSAIC_SSIM_ERROR_JOBS;
    result = mosaic_ssim__choose(o.simd, plan);
    plan->weights = o.weights, plan->mean_rule = o.mean_rule;
    plan->contrast = output && (output->contrast || output->contrast_map);
    if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__make_taps(&o, plan);
    if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__make_kind(&o, output, plan);
    if (result != MOSAIC_SSIM_OK) return result;

    t = o.k1 * o.data_range;
    plan->c1 = o.c1 == 0 ? t * t : o.c1;
    t = o.k2 * o.data_range;
    plan->c2 = o.c2 == 0 ? t * t : o.c2;
    if (!(plan->c1 >= 1e-100 && plan->c1 <= 1e100 && plan->c2 >= 1e-100 && plan->c2 <= 1e100)) return MOSAIC_SSIM_ERROR_CONSTANT;
    n = (double)(plan->window * plan->window);
    plan->norm = o.covariance == MOSAIC_SSIM_SAMPLE ? n / (n - 1) : 1;
    if (plan->kind == MOSAIC_SSIM__BYTES || plan->kind == MOSAIC_SSIM__INTEGERS) {
        plan->offset = plan->window == 7 ? 0 : 128;
        plan->weight = plan->window == 7 ? 49 : 1;
        plan->shift = n * plan->offset;
        plan->scale = n / plan->weight;
        plan->c1 = plan->c1 * (n * n);
        plan->c2 = plan->c2 * (o.covariance == MOSAIC_SSIM_SAMPLE ? n * (n - 1) : n * n);
    } else if (o.arithmetic == MOSAIC_SSIM_SKIMAGE && plan->type == MOSAIC_SSIM_F32) {
        plan->c1 = mosaic_ssim__single(plan->c1), plan->c2 = mosaic_ssim__single(plan->c2), plan->norm = mosaic_ssim__single(plan->norm);
    }

    if (width == 0 || height == 0) return MOSAIC_SSIM_ERROR_SIZE;
    if (width < (size_t)plan->window || height < (size_t)plan->window) return MOSAIC_SSIM_ERROR_TOO_SMALL;
    plan->width = width, plan->height = height;
    plan->map_width = width - (size_t)plan->window + 1, plan->map_height = height - (size_t)plan->window + 1;
    plan->out_width = output && output->full ? width : plan->map_width, plan->out_height = output && output->full ? height : plan->map_height;
    /* Lines take at most 32 doubles for each column, eight planes take 64 bytes for each pixel. */
    if (width > (size_t)PTRDIFF_MAX / 8192 || height > (size_t)PTRDIFF_MAX / width || width > ((uint64_t)1 << 44) / height)
        return MOSAIC_SSIM_ERROR_OVERFLOW;
    if (o.arithmetic == MOSAIC_SSIM_SKIMAGE && height > (size_t)PTRDIFF_MAX / 128 / width) return MOSAIC_SSIM_ERROR_OVERFLOW;
    plan->capacity = mosaic_ssim__round(width + (size_t)plan->window + MOSAIC_SSIM__PAD);
    for (plan->ring = MOSAIC_SSIM__BLOCK; plan->ring < (size_t)plan->window + MOSAIC_SSIM__BLOCK;) plan->ring += MOSAIC_SSIM__BLOCK;
    plan->lead = plan->kind == MOSAIC_SSIM__UNIFORM ? 3 * ((size_t)plan->window / 2) : 2 * plan->radius;
    plan->one = 1;
    plan->jobs = o.run ? o.jobs : 1;
    if (o.arithmetic == MOSAIC_SSIM_SKIMAGE) {
        mosaic_ssim__cut(plan);
        plan->sums_size = mosaic_ssim__round(2 * 8 * plan->units * plan->unit_pieces);
    }
    if (plan->kind == MOSAIC_SSIM__PLANES) plan->planes_size = 8 * mosaic_ssim__round(8 * width * height);
    plan->scratch_size = mosaic_ssim__scratch_size(plan);
    if ((size_t)plan->jobs > ((size_t)PTRDIFF_MAX - plan->sums_size - plan->planes_size - MOSAIC_SSIM__PAD) / plan->scratch_size)
        return MOSAIC_SSIM_ERROR_OVERFLOW;
    plan->work_size = MOSAIC_SSIM__PAD + plan->sums_size + plan->planes_size + (size_t)plan->jobs * plan->scratch_size;
    return MOSAIC_SSIM_OK;
}

static size_t mosaic_ssim__magnitude(ptrdiff_t v) { return v < 0 ? (size_t)0 - (size_t)v : (size_t)v; }

/* For a picture whose width, height and channels passed mosaic_ssim__make_plan: one channel of it. */
static mosaic_ssim_result mosaic_ssim__check_strides(const mosaic_ssim__plan *plan, const mosaic_ssim_image *image, size_t channel,
                                                     mosaic_ssim__source *source)
{
    const size_t limit = (size_t)PTRDIFF_MAX, sample = mosaic_ssim__bytes(plan->type), channels = (size_t)plan->channels;
    size_t columns = image->width - 1, rows = image->height - 1, pixel, row, step;
    ptrdiff_t across = image->channel_stride ? image->channel_stride : (ptrdiff_t)sample;
    memset(source, 0, sizeof *source);
    source->pixel = image->pixel_stride ? image->pixel_stride : (ptrdiff_t)(image->channel_stride ? sample : sample * channels);
    pixel = mosaic_ssim__magnitude(source->pixel), step = mosaic_ssim__magnitude(across);
    if (pixel > limit / image->width || step > limit / channels) return MOSAIC_SSIM_ERROR_OVERFLOW;
    source->row = image->row_stride ? image->row_stride : (ptrdiff_t)(image->width * pixel);
    row = mosaic_ssim__magnitude(source->row);
    if (row > limit / image->height || rows * row > limit - columns * pixel || (channels - 1) * step > limit - rows * row - columns * pixel)
        return MOSAIC_SSIM_ERROR_OVERFLOW;
    if (sample > limit - (channels - 1) * step - rows * row - columns * pixel) return MOSAIC_SSIM_ERROR_OVERFLOW;
    if (pixel < sample || row < sample || (channels > 1 && step < sample)) return MOSAIC_SSIM_ERROR_STRIDE;
    if (row < columns * pixel + sample && pixel < rows * row + sample) return MOSAIC_SSIM_ERROR_STRIDE;
    source->data = (const unsigned char *)image->data + (ptrdiff_t)channel * across;
    return MOSAIC_SSIM_OK;
}

/* Looks through pictures of floats for what no arithmetic can stand. */
static mosaic_ssim_result mosaic_ssim__check_finite(const mosaic_ssim__plan *plan, const mosaic_ssim__source *source)
{
    const double limit = plan->kind == MOSAIC_SSIM__WEIGHTED ? 1e70 : DBL_MAX;
    double line[MOSAIC_SSIM__SPAN];
    size_t x, y, i;
    if (plan->type == MOSAIC_SSIM_U8 || plan->type == MOSAIC_SSIM_U16) return MOSAIC_SSIM_OK;
    for (y = 0; y < plan->height; y++)
        for (x = 0; x < plan->width; x += MOSAIC_SSIM__SPAN) {
            size_t count = plan->width - x < MOSAIC_SSIM__SPAN ? plan->width - x : MOSAIC_SSIM__SPAN;
            int good = 1;
            mosaic_ssim__span(plan, source, y, (ptrdiff_t)x, count, line);
            for (i = 0; i < count; i++) good &= line[i] >= -limit && line[i] <= limit;
            if (!good) return MOSAIC_SSIM_ERROR_NOT_FINITE;
        }
    return MOSAIC_SSIM_OK;
}

/* ---- strips of rows, plain bytes ---- */

typedef struct mosaic_ssim__scratch {
    mosaic_ssim__columns columns;
    unsigned char *zeros;     /* a row that has not entered yet */
    unsigned char *gather[4]; /* rows whose pixels do not lie side by side */
} mosaic_ssim__scratch;

/* Cuts up memory of plan->scratch_size bytes and starts the column sums of an empty window: all pixels 0, so that x' is -offset. */
static void mosaic_ssim__start(const mosaic_ssim__plan *plan, unsigned char *memory, mosaic_ssim__scratch *scratch)
{
    size_t capacity = mosaic_ssim__round(plan->width + MOSAIC_SSIM__PAD), i;
    int32_t squares = 2 * plan->offset * plan->offset * plan->window;
    unsigned char *bytes = memory + 12 * capacity;
    scratch->columns.p = (uint32_t *)(void *)memory;
    scratch->columns.q = (int32_t *)(void *)(memory + 4 * capacity);
    scratch->columns.r = (int32_t *)(void *)(memory + 8 * capacity);
    scratch->zeros = bytes;
    for (i = 0; i < 4; i++) scratch->gather[i] = bytes + (i + 1) * capacity;
    memset(scratch->columns.p, 0, 12 * capacity);
    memset(scratch->zeros, 0, capacity);
    if (squares)
        for (i = 0; i < capacity; i++) scratch->columns.q[i] = scratch->columns.r[i] = squares;
}

/* Row y of a source with its pixels side by side: in place if they are, else in the buffer. */
static const unsigned char *mosaic_ssim__pixels(const mosaic_ssim__source *source, size_t y, size_t width, unsigned char *buffer)
{
    const unsigned char *from = source->data + (ptrdiff_t)y * source->row;
    size_t i;
    if (source->pixel == 1) return from;
    for (i = 0; i < width; i++) buffer[i] = from[(ptrdiff_t)i * source->pixel];
    return buffer;
}

/* Row `entering` of both sources enters the column sums; the row a window's height above it leaves unless it is above `top`. */
static void mosaic_ssim__advance(const mosaic_ssim__plan *plan, const mosaic_ssim__source *a, const mosaic_ssim__source *b, size_t top,
                                 size_t entering, int cross, const mosaic_ssim__scratch *s)
{
    const unsigned char *out_a = s->zeros, *out_b = s->zeros;
    if (entering - top >= (size_t)plan->window) {
        size_t leaving = entering - (size_t)plan->window;
        out_a = mosaic_ssim__pixels(a, leaving, plan->width, s->gather[0]);
        out_b = mosaic_ssim__pixels(b, leaving, plan->width, s->gather[1]);
    }
    plan->columns(&s->columns, mosaic_ssim__pixels(a, entering, plan->width, s->gather[2]),
                  mosaic_ssim__pixels(b, entering, plan->width, s->gather[3]), out_a, out_b, plan->width, plan->offset, plan->weight, cross);
}

/* The rows top ... end - 1 of the map. sink may be null. */
static void mosaic_ssim__strip(const mosaic_ssim__plan *plan, const mosaic_ssim__source *a, const mosaic_ssim__source *b, size_t top, size_t end,
                               const mosaic_ssim__sink *sink, unsigned char *memory, mosaic_ssim__total *total)
{
    const mosaic_ssim_output *output = sink ? sink->output : NULL;
    int cross = a->sums != NULL; /* both are prepared, or none */
    size_t y, x;
    mosaic_ssim__scratch scratch;
    mosaic_ssim__row row;
    mosaic_ssim__start(plan, memory, &scratch);
    memset(&row, 0, sizeof row);
    row.columns = scratch.columns;
    row.window = plan->window;
    row.shift = plan->shift, row.scale = plan->scale, row.c1 = plan->c1, row.c2 = plan->c2;
    for (y = top; y < top + (size_t)plan->window - 1; y++) mosaic_ssim__advance(plan, a, b, top, y, cross, &scratch);
    for (y = top; y < end; y++) {
        mosaic_ssim__total sum = {0, 0};
        mosaic_ssim__advance(plan, a, b, top, y + (size_t)plan->window - 1, cross, &scratch);
        if (cross) {
            row.sum_a = a->sums + y * plan->map_width, row.var_a = a->vars + y * plan->map_width;
            row.sum_b = b->sums + y * plan->map_width, row.var_b = b->vars + y * plan->map_width;
        }
        if (output && output->map) row.map = mosaic_ssim__map_row(plan, output, output->map, sink->channel, y);
        for (x = 0; x < plan->map_width; x += MOSAIC_SSIM__SPAN) {
            size_t count = plan->map_width - x < MOSAIC_SSIM__SPAN ? plan->map_width - x : MOSAIC_SSIM__SPAN;
            uint64_t part = plan->finish(&row, x, count);
            mosaic_ssim__add(&sum, part >> 32, part & 0xffffffffu);
        }
        if (output && output->row_sums)
            output->row_sums[sink->channel * plan->map_height + y] = mosaic_ssim__sum(&sum, plan->map_width) / 2251799813685248.0;
        mosaic_ssim__add(total, sum.high, sum.low);
    }
}

static double mosaic_ssim__mean(const mosaic_ssim__plan *plan, const mosaic_ssim__total *total)
{
    uint64_t count = (uint64_t)plan->map_width * plan->map_height;
    return mosaic_ssim__sum(total, count) / ((double)count * 2251799813685248.0);
}

/* ---- prepared pictures: this header, then sums, variances and pixels, each on a multiple of the alignment ---- */

struct mosaic_ssim_prepared {
    uint32_t magic;
    int32_t window;
    size_t width, height;
};

typedef struct mosaic_ssim__layout {
    size_t sums, vars, pairs, floats, pixels, end; /* pairs and floats: for mosaic_ssim__screen */
} mosaic_ssim__layout;

static mosaic_ssim__layout mosaic_ssim__lay_out(const mosaic_ssim__plan *plan)
{
    size_t values = plan->map_width * plan->map_height + MOSAIC_SSIM__PAD; /* vectors reach over the last row's end */
    mosaic_ssim__layout at;
    at.sums = mosaic_ssim__round(sizeof(mosaic_ssim_prepared));
    at.vars = at.sums + mosaic_ssim__round(values * sizeof(int32_t));
    at.pairs = at.vars + mosaic_ssim__round(values * sizeof(double));
    at.floats = at.pairs + (plan->window == 7 ? mosaic_ssim__round(plan->width * 4) * plan->height : 0);
    at.pixels = at.floats + (plan->window == 7 ? mosaic_ssim__round(values * sizeof(float)) : 0);
    at.end = at.pixels + plan->width * plan->height;
    return at;
}

static mosaic_ssim__source mosaic_ssim__prepared_source(const mosaic_ssim__plan *plan, const mosaic_ssim_prepared *prepared)
{
    const unsigned char *base = (const unsigned char *)prepared;
    mosaic_ssim__layout at = mosaic_ssim__lay_out(plan);
    mosaic_ssim__source source;
    source.data = base + at.pixels;
    source.row = (ptrdiff_t)plan->width, source.pixel = 1;
    source.sums = (const int32_t *)(const void *)(base + at.sums);
    source.vars = (const double *)(const void *)(base + at.vars);
    return source;
}

static mosaic_ssim_result mosaic_ssim__prepared_plan(const mosaic_ssim_image *image, const mosaic_ssim_options *options, mosaic_ssim__plan *plan)
{
    mosaic_ssim_result result = mosaic_ssim__make_plan(image, options, NULL, plan);
    if (result != MOSAIC_SSIM_OK) return result;
    if (plan->kind != MOSAIC_SSIM__BYTES || plan->channels != 1) return MOSAIC_SSIM_ERROR_UNSUPPORTED;
    if (image->height > ((size_t)PTRDIFF_MAX - 4096) / 32 / (image->width + MOSAIC_SSIM__PAD)) return MOSAIC_SSIM_ERROR_OVERFLOW;
    return MOSAIC_SSIM_OK;
}

/* The sums of a picture are those of a pair whose other picture is black. */
static void mosaic_ssim__fill(const mosaic_ssim__plan *plan, const mosaic_ssim__source *image, mosaic_ssim_prepared *prepared, unsigned char *memory)
{
    mosaic_ssim__layout at = mosaic_ssim__lay_out(plan);
    unsigned char *base = (unsigned char *)prepared, *pixels = base + at.pixels;
    int32_t *sums = (int32_t *)(void *)(base + at.sums);
    double *vars = (double *)(void *)(base + at.vars);
    float *floats = (float *)(void *)(base + at.floats);
    size_t w = (size_t)plan->window, x, y;
    mosaic_ssim__scratch scratch;
    mosaic_ssim__source black;
    memset(base, 0, at.pixels);
    prepared->magic = MOSAIC_SSIM__MAGIC;
    prepared->window = plan->window;
    prepared->width = plan->width, prepared->height = plan->height;
    mosaic_ssim__start(plan, memory, &scratch);
    memset(&black, 0, sizeof black);
    black.data = scratch.zeros, black.pixel = 1;
    for (y = 0; y < plan->height; y++) {
        const uint32_t *p = scratch.columns.p;
        const int32_t *q = scratch.columns.q;
        int64_t sum = 0, squares = 0;
        memcpy(pixels + y * plan->width, mosaic_ssim__pixels(image, y, plan->width, scratch.gather[0]), plan->width);
        mosaic_ssim__advance(plan, image, &black, 0, y, 0, &scratch);
        if (w == 7) {
            uint32_t *pair = (uint32_t *)(void *)(base + at.pairs + y * mosaic_ssim__round(plan->width * 4));
            const unsigned char *in = pixels + y * plan->width;
            for (x = 0; x < plan->width; x++) pair[x] = in[x] | (y < 7 ? 0u : (uint32_t) * (in + x - 7 * plan->width) << 16);
        }
        if (y + 1 < w) continue;
        for (x = 0; x < w - 1; x++) sum += p[x], squares += q[x];
        for (x = 0; x < plan->map_width; x++) {
            double centred;
            sum += p[x + w - 1], squares += q[x + w - 1];
            centred = (double)sum - plan->shift;
            *sums++ = (int32_t)sum;
            *vars = plan->scale * (double)squares - (centred * centred + plan->shift * plan->shift);
            if (w == 7) *floats++ = (float)*vars;
            vars++;
            sum -= p[x], squares -= q[x];
        }
    }
}

/* ---- jobs: one comparison cut into strips, or a batch cut into groups ---- */

/* One after the other; each is cut into jobs. All but planes have the means alone. */
enum { MOSAIC_SSIM__LOAD, MOSAIC_SSIM__DOWN, MOSAIC_SSIM__ALONG, MOSAIC_SSIM__MEANS, MOSAIC_SSIM__GRADIENT_DOWN, MOSAIC_SSIM__GRADIENT };

typedef struct mosaic_ssim__task {
    const mosaic_ssim__plan *plan;
    int step;
    unsigned char *planes;
    mosaic_ssim__source a, b;
    const mosaic_ssim_output *output;          /* of a comparison */
    size_t channel;                            /* the same */
    double means[2];                           /* the same: of the values, of the contrast term */
    double *sums;                              /* the same, scikit-image's arithmetic: of the pieces that NumPy adds up */
    const mosaic_ssim_prepared *const *others; /* of a batch */
    double *scores;                            /* of a batch */
    size_t items;                              /* rows of the map or groups of them, or others */
    int jobs;
    unsigned char *work; /* aligned; for each job its scratch area, and the total in the last bytes of it */
} mosaic_ssim__task;

static unsigned char *mosaic_ssim__job_scratch(const mosaic_ssim__task *task, int index)
{
    return task->work + (size_t)index * task->plan->scratch_size;
}

static mosaic_ssim__total *mosaic_ssim__job_total(const mosaic_ssim__task *task, int index)
{
    return (mosaic_ssim__total *)(void *)(mosaic_ssim__job_scratch(task, index) + task->plan->scratch_size - MOSAIC_SSIM__PAD);
}

/* The first item of a job; shares differ by at most one. */
static size_t mosaic_ssim__job_first(const mosaic_ssim__task *task, int index)
{
    size_t jobs = (size_t)task->jobs, i = (size_t)index, left = task->items % jobs;
    return task->items / jobs * i + (i < left ? i : left);
}

/* The rows top ... end - 1 of the map to the sums that NumPy would make, whole units of them. */
static void mosaic_ssim__planes_means(const mosaic_ssim__task *task, size_t top, size_t end, const mosaic_ssim__sink *sink, unsigned char *memory)
{
    const mosaic_ssim__plan *plan = task->plan;
    mosaic_ssim__planes planes = mosaic_ssim__lay_planes(plan, task->planes);
    mosaic_ssim__pieces contrasts = *sink->pieces;
    size_t y, pad = (size_t)plan->window / 2;
    contrasts.buffer = mosaic_ssim__carve(&memory, plan->piece), contrasts.sums += plan->units * plan->unit_pieces;
    for (y = top; y < end; y++) {
        size_t at = (y + pad) * plan->width + pad;
        mosaic_ssim__deliver(sink, y, planes.map + at, NULL);
        mosaic_ssim__feed(&contrasts, planes.m[3] + at, plan->map_width);
    }
    mosaic_ssim__end_piece(&contrasts);
}

/* What comes before the means, and the gradient after them: columns where something is filtered down them, otherwise rows. */
static void mosaic_ssim__planes_job(void *arg, int index)
{
    const mosaic_ssim__task *task = (const mosaic_ssim__task *)arg;
    const mosaic_ssim__plan *plan = task->plan;
    const mosaic_ssim_output *output = task->output;
    mosaic_ssim__planes planes = mosaic_ssim__lay_planes(plan, task->planes);
    double *line = (double *)(void *)mosaic_ssim__job_scratch(task, index);
    size_t at, k, end = mosaic_ssim__job_first(task, index + 1), count = task->step < MOSAIC_SSIM__MEANS ? 5 : 3;
    unsigned long long state = mosaic__fp_enter();
    MOSAIC_SSIM_ASSERT(index >= 0 && index < task->jobs);
    for (at = mosaic_ssim__job_first(task, index); at < end; at++) {
        if (task->step == MOSAIC_SSIM__DOWN || task->step == MOSAIC_SSIM__GRADIENT_DOWN)
            for (k = 0; k < count; k++) mosaic_ssim__filter_line(plan, planes.m[k] + at, plan->width, plan->height, line);
        if (task->step == MOSAIC_SSIM__ALONG || task->step == MOSAIC_SSIM__GRADIENT)
            for (k = 0; k < count; k++) mosaic_ssim__filter_line(plan, planes.m[k] + at * plan->width, 1, plan->width, line);
        if (task->step == MOSAIC_SSIM__LOAD) mosaic_ssim__planes_load(plan, &planes, &task->a, &task->b, at);
        if (task->step == MOSAIC_SSIM__ALONG) {
            mosaic_ssim__planes_values(plan, &planes, at);
            mosaic_ssim__planes_out(plan, output, planes.map, output->map, task->channel, at);
            mosaic_ssim__planes_out(plan, output, planes.m[3], output->contrast_map, task->channel, at);
        }
        if (task->step == MOSAIC_SSIM__GRADIENT)
            mosaic_ssim__planes_gradient(plan, &planes, at, output->gradient + task->channel * plan->width * plan->height);
    }
    mosaic__fp_leave(state);
}

static void mosaic_ssim__compare_job(void *arg, int index)
{
    const mosaic_ssim__task *task = (const mosaic_ssim__task *)arg;
    const mosaic_ssim__plan *plan = task->plan;
    mosaic_ssim__total *total = mosaic_ssim__job_total(task, index);
    unsigned char *memory = mosaic_ssim__job_scratch(task, index);
    size_t top = mosaic_ssim__job_first(task, index), end = mosaic_ssim__job_first(task, index + 1);
    unsigned long long state = mosaic__fp_enter();
    mosaic_ssim__pieces pieces;
    mosaic_ssim__sink sink;
    MOSAIC_SSIM_ASSERT(index >= 0 && index < task->jobs);
    memset(total, 0, 2 * sizeof *total);
    sink.plan = plan, sink.output = task->output, sink.channel = task->channel, sink.total = total, sink.pieces = NULL;
    if (plan->units) { /* scikit-image's: items are groups of rows that NumPy adds up together */
        pieces.kernels = plan->kernels;
        pieces.sums = task->sums + top * plan->unit_pieces;
        pieces.piece = plan->piece, pieces.filled = 0, pieces.rows = plan->piece_rows;
        pieces.buffer = mosaic_ssim__carve(&memory, plan->piece);
        sink.pieces = &pieces;
        top *= plan->unit_rows, end *= plan->unit_rows;
        if (end > plan->map_height) end = plan->map_height;
    }
    switch (plan->kind) {
    case MOSAIC_SSIM__BYTES: mosaic_ssim__strip(plan, &task->a, &task->b, top, end, &sink, memory, total); break;
    case MOSAIC_SSIM__INTEGERS: mosaic_ssim__integers_strip(plan, &task->a, &task->b, top, end, &sink, memory); break;
    case MOSAIC_SSIM__WEIGHTED:
    case MOSAIC_SSIM__GAUSSIAN:
    case MOSAIC_SSIM__UNIFORM: mosaic_ssim__doubles_strip(plan, &task->a, &task->b, top, end, &sink, memory); break;
    case MOSAIC_SSIM__PLANES: mosaic_ssim__planes_means(task, top, end, &sink, memory); break;
    }
    if (sink.pieces) mosaic_ssim__end_piece(&pieces);
    mosaic__fp_leave(state);
}

static void mosaic_ssim__batch_job(void *arg, int index)
{
    const mosaic_ssim__task *task = (const mosaic_ssim__task *)arg;
    size_t i, end = mosaic_ssim__job_first(task, index + 1);
    unsigned long long state = mosaic__fp_enter();
    MOSAIC_SSIM_ASSERT(index >= 0 && index < task->jobs);
    for (i = mosaic_ssim__job_first(task, index); i < end; i++) {
        mosaic_ssim__total total = {0, 0};
        mosaic_ssim__source other = mosaic_ssim__prepared_source(task->plan, task->others[i]);
        mosaic_ssim__strip(task->plan, &task->a, &other, 0, task->plan->map_height, NULL, mosaic_ssim__job_scratch(task, index), &total);
        task->scores[i] = mosaic_ssim__mean(task->plan, &total);
    }
    mosaic__fp_leave(state);
}

/* Takes the caller's work area, or allocates one that is to be freed. */
static mosaic_ssim_result mosaic_ssim__take_work(const mosaic_ssim__plan *plan, const mosaic_ssim_options *options, void *work, size_t work_size,
                                                 void **to_free, unsigned char **aligned)
{
    *to_free = NULL;
    if (!work) {
        work = *to_free = MOSAIC_SSIM_MALLOC(options ? options->malloc_ctx : NULL, plan->work_size);
        if (!work) return MOSAIC_SSIM_ERROR_MEMORY;
    } else if (work_size < plan->work_size) {
        return MOSAIC_SSIM_ERROR_WORK_SIZE;
    }
    *aligned = mosaic_ssim__align(work);
    return MOSAIC_SSIM_OK;
}

static void mosaic_ssim__give_work(const mosaic_ssim_options *options, void *to_free)
{
    if (to_free) MOSAIC_SSIM_FREE(options ? options->malloc_ctx : NULL, to_free);
}

/* Runs the task's jobs in the work area given. */
static void mosaic_ssim__run(mosaic_ssim__task *task, void (*job)(void *arg, int index), const mosaic_ssim_options *options)
{
    task->jobs = (size_t)task->plan->jobs < task->items ? task->plan->jobs : (int)task->items;
    if (options && options->run)
        options->run(options->run_ctx, job, task, task->jobs);
    else
        job(task, 0);
}

/* The mean as NumPy adds up the sums of its pieces. */
static double mosaic_ssim__pieces_mean(const mosaic_ssim__plan *plan, const double *sums)
{
    double sum = 0;
    size_t i;
    for (i = 0; i < plan->units * plan->unit_pieces; i++) sum += sums[i];
    return sum / (double)(plan->map_width * plan->map_height);
}

/* One channel: the task's two sources. */
static void mosaic_ssim__compare_channel(mosaic_ssim__task *task, const mosaic_ssim_options *options)
{
    const mosaic_ssim__plan *plan = task->plan;
    int i, k;
    if (plan->units) memset(task->sums, 0, plan->sums_size);
    for (task->step = plan->kind == MOSAIC_SSIM__PLANES ? MOSAIC_SSIM__LOAD : MOSAIC_SSIM__MEANS; task->step < MOSAIC_SSIM__MEANS; task->step++) {
        task->items = task->step == MOSAIC_SSIM__DOWN ? plan->width : plan->height;
        mosaic_ssim__run(task, mosaic_ssim__planes_job, options);
    }
    task->items = plan->units ? plan->units : plan->map_height;
    mosaic_ssim__run(task, mosaic_ssim__compare_job, options);
    for (k = 0; k < 2; k++) {
        mosaic_ssim__total all = {0, 0};
        for (i = 0; i < task->jobs; i++) mosaic_ssim__add(&all, mosaic_ssim__job_total(task, i)[k].high, mosaic_ssim__job_total(task, i)[k].low);
        task->means[k] =
            plan->units ? mosaic_ssim__pieces_mean(plan, task->sums + (size_t)k * plan->units * plan->unit_pieces) : mosaic_ssim__mean(plan, &all);
    }
    for (task->step++; task->output->gradient && task->step <= MOSAIC_SSIM__GRADIENT; task->step++) {
        task->items = task->step == MOSAIC_SSIM__GRADIENT ? plan->height : plan->width;
        mosaic_ssim__run(task, mosaic_ssim__planes_job, options);
    }
}

/* The mean of the channels' means; NumPy keeps those of single precision pictures in single precision. */
static double mosaic_ssim__mean_of_channels(const mosaic_ssim__plan *plan, const double *means)
{
    int single = plan->units && plan->type == MOSAIC_SSIM_F32, i;
    double sum = 0;
    if (!plan->channel_axis) return means[0];
    for (i = 0; i < plan->channels; i++) sum = mosaic_ssim__round_1(sum + mosaic_ssim__round_1(means[i], single), single);
    return mosaic_ssim__round_1(sum / plan->channels, single);
}

static mosaic_ssim_result mosaic_ssim__check_map(const mosaic_ssim__plan *plan, const mosaic_ssim_output *output)
{
    const size_t limit = (size_t)PTRDIFF_MAX / sizeof(double) / (size_t)plan->channels;
    size_t row = output->map_stride ? output->map_stride : plan->out_width;
    if (output->gradient && plan->width > limit / plan->height) return MOSAIC_SSIM_ERROR_OVERFLOW;
    if (!output->map && !output->contrast_map) return MOSAIC_SSIM_OK;
    if (row < plan->out_width) return MOSAIC_SSIM_ERROR_STRIDE;
    if (row > limit / plan->out_height || output->map_channel_stride > limit) return MOSAIC_SSIM_ERROR_OVERFLOW;
    if (output->map_channel_stride && output->map_channel_stride < (plan->out_height - 1) * row + plan->out_width) return MOSAIC_SSIM_ERROR_STRIDE;
    return MOSAIC_SSIM_OK;
}

/* Compares the sources of all channels; those of task are of the first. */
static mosaic_ssim_result mosaic_ssim__compare(mosaic_ssim__task *task, const mosaic_ssim_image *a, const mosaic_ssim_image *b,
                                               const mosaic_ssim_options *options, mosaic_ssim_output *output, void *work, size_t work_size)
{
    const mosaic_ssim__plan *plan = task->plan;
    double contrasts[4];
    void *to_free;
    size_t c;
    mosaic_ssim_result result = mosaic_ssim__check_map(plan, output);
    if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__take_work(plan, options, work, work_size, &to_free, &task->work);
    if (result != MOSAIC_SSIM_OK) return result;
    task->sums = (double *)(void *)task->work;
    task->planes = task->work + plan->sums_size;
    task->work = task->planes + plan->planes_size;
    task->output = output;
    for (c = 0; c < (size_t)plan->channels; c++) {
        task->channel = c;
        if (a) (void)mosaic_ssim__check_strides(plan, a, c, &task->a), (void)mosaic_ssim__check_strides(plan, b, c, &task->b);
        mosaic_ssim__compare_channel(task, options);
        output->channel_means[c] = task->means[0], contrasts[c] = task->means[1];
    }
    output->mean = mosaic_ssim__mean_of_channels(plan, output->channel_means);
    if (output->contrast) *output->contrast = mosaic_ssim__mean_of_channels(plan, contrasts);
    mosaic_ssim__give_work(options, to_free);
    return MOSAIC_SSIM_OK;
}

static mosaic_ssim_result mosaic_ssim__check_prepared(const mosaic_ssim__plan *plan, const mosaic_ssim_prepared *prepared)
{
    if (!prepared) return MOSAIC_SSIM_ERROR_NULL;
    if (prepared->magic != MOSAIC_SSIM__MAGIC || prepared->window != plan->window) return MOSAIC_SSIM_ERROR_PREPARED;
    if (prepared->width != plan->width || prepared->height != plan->height) return MOSAIC_SSIM_ERROR_MISMATCH;
    return MOSAIC_SSIM_OK;
}

static mosaic_ssim_result mosaic_ssim__compare_images(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *options,
                                                      mosaic_ssim_output *output, void *work, size_t work_size)
{
    mosaic_ssim__plan plan;
    mosaic_ssim__task task;
    mosaic_ssim_result result;
    size_t c;
    if (!a || !b || !output || !a->data || !b->data) return MOSAIC_SSIM_ERROR_NULL;
    if (a->width != b->width || a->height != b->height) return MOSAIC_SSIM_ERROR_MISMATCH;
    if (a->type != b->type) return MOSAIC_SSIM_ERROR_TYPE;
    if ((a->channels ? a->channels : 1) != (b->channels ? b->channels : 1)) return MOSAIC_SSIM_ERROR_CHANNEL_MISMATCH;
    memset(&task, 0, sizeof task);
    task.plan = &plan;
    result = mosaic_ssim__make_plan(a, options, output, &plan);
    for (c = 0; result == MOSAIC_SSIM_OK && c < (size_t)plan.channels; c++) {
        result = mosaic_ssim__check_strides(&plan, a, c, &task.a);
        if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__check_strides(&plan, b, c, &task.b);
        if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__check_finite(&plan, &task.a);
        if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__check_finite(&plan, &task.b);
    }
    if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__compare(&task, a, b, options, output, work, work_size);
    return result;
}

/* Checks one prepared picture and others, and makes the plan for them. */
static mosaic_ssim_result mosaic_ssim__batch_plan(const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *const *others, size_t count,
                                                  const mosaic_ssim_options *options, const mosaic_ssim_output *output, mosaic_ssim__plan *plan)
{
    mosaic_ssim_image shape;
    mosaic_ssim_result result;
    size_t i;
    if (a->magic != MOSAIC_SSIM__MAGIC) return MOSAIC_SSIM_ERROR_PREPARED;
    memset(&shape, 0, sizeof shape);
    shape.width = a->width, shape.height = a->height;
    result = mosaic_ssim__make_plan(&shape, options, output, plan);
    if (result == MOSAIC_SSIM_OK && plan->kind != MOSAIC_SSIM__BYTES) result = MOSAIC_SSIM_ERROR_UNSUPPORTED;
    if (result == MOSAIC_SSIM_ERROR_TOO_SMALL) result = MOSAIC_SSIM_ERROR_PREPARED; /* for a smaller window than this one */
    if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__check_prepared(plan, a);
    for (i = 0; i < count && result == MOSAIC_SSIM_OK; i++) result = mosaic_ssim__check_prepared(plan, others[i]);
    return result;
}

/* One prepared picture with others: for a map (output) or only for means. */
static mosaic_ssim_result mosaic_ssim__compare_prepared(const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *const *others, size_t count,
                                                        const mosaic_ssim_options *options, mosaic_ssim_output *output, double *means, void *work,
                                                        size_t work_size)
{
    mosaic_ssim__plan plan;
    mosaic_ssim__task task;
    mosaic_ssim_result result;
    void *to_free;
    if (!a || (!output && !means)) return MOSAIC_SSIM_ERROR_NULL;
    result = mosaic_ssim__batch_plan(a, others, count, options, output, &plan);
    if (result != MOSAIC_SSIM_OK || count == 0) return result;
    memset(&task, 0, sizeof task);
    task.plan = &plan;
    task.a = mosaic_ssim__prepared_source(&plan, a);
    if (output) {
        task.b = mosaic_ssim__prepared_source(&plan, others[0]);
        return mosaic_ssim__compare(&task, NULL, NULL, options, output, work, work_size);
    }
    task.others = others;
    task.scores = means;
    task.items = count;
    result = mosaic_ssim__take_work(&plan, options, work, work_size, &to_free, &task.work);
    if (result != MOSAIC_SSIM_OK) return result;
    mosaic_ssim__run(&task, mosaic_ssim__batch_job, options);
    mosaic_ssim__give_work(options, to_free);
    return MOSAIC_SSIM_OK;
}

/* ---- the best of many ---- */

/* A mean in single precision, or, where that is below `limit`, any number between the two. Its error is below MOSAIC_SSIM__DOUBT: the guessed
   reciprocal is off by at most 2^-14 of itself, which is 6.2e-5 of a value of at most 1; the other operations, about ten, by at most 2^-23
   each of numbers whose share in the value is at most 1; and 128 additions in a lane by 2^-24 of at most 128 each, divided by their number,
   which is less than 8e-6. NEON and WebAssembly divide, and add up at most 256 in a lane. */
#define MOSAIC_SSIM__DOUBT 1e-4

static double mosaic_ssim__screened(const mosaic_ssim__plan *plan, const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *b, double limit,
                                    unsigned char *memory)
{
    mosaic_ssim__layout at = mosaic_ssim__lay_out(plan);
    const unsigned char *base_a = (const unsigned char *)a, *base_b = (const unsigned char *)b;
    mosaic_ssim__screen s;
    s.width = plan->width, s.map_width = plan->map_width, s.map_height = plan->map_height, s.c1 = (float)plan->c1, s.c2 = (float)plan->c2;
    s.columns = (int32_t *)(void *)memory;
    memset(s.columns, 0, 4 * mosaic_ssim__round(plan->width + MOSAIC_SSIM__PAD));
    s.pair_stride = mosaic_ssim__round(plan->width * 4) / 4;
    s.pairs_a = (const uint32_t *)(const void *)(base_a + at.pairs), s.pairs_b = (const uint32_t *)(const void *)(base_b + at.pairs);
    s.sum_a = (const int32_t *)(const void *)(base_a + at.sums), s.sum_b = (const int32_t *)(const void *)(base_b + at.sums);
    s.var_a = (const float *)(const void *)(base_a + at.floats), s.var_b = (const float *)(const void *)(base_b + at.floats);
    s.limit = limit * (double)(plan->map_width * plan->map_height);
    return plan->kernels->screen(&s) / (double)(plan->map_width * plan->map_height);
}

static double mosaic_ssim__score_one(const mosaic_ssim__plan *plan, const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *b,
                                     unsigned char *memory)
{
    mosaic_ssim__source source_a = mosaic_ssim__prepared_source(plan, a), source_b = mosaic_ssim__prepared_source(plan, b);
    mosaic_ssim__total total = {0, 0};
    mosaic_ssim__strip(plan, &source_a, &source_b, 0, plan->map_height, NULL, memory, &total);
    return mosaic_ssim__mean(plan, &total);
}

static void mosaic_ssim__find_best(const mosaic_ssim__plan *plan, const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *const *others,
                                   size_t count, size_t *winner, double *mean, unsigned char *memory)
{
    int screen = plan->kernels->screen && plan->window == 7 && plan->map_width <= 1024 && plan->c1 >= 1 && plan->c1 <= 1e12 && plan->c2 >= 1 &&
                 plan->c2 <= 1e12;
    size_t best = 0, i;
    double best_exact = -2, best_near = -2, exact; /* -2: not known */
    for (i = 0; i < count; i++) {
        double limit = best_near - 2 * MOSAIC_SSIM__DOUBT, value = screen ? mosaic_ssim__screened(plan, a, others[i], limit, memory) : 0;
        if (screen && i > 0 && value < limit) continue;
        if (screen && (i == 0 || value > best_near + 2 * MOSAIC_SSIM__DOUBT)) {
            best = i, best_near = value, best_exact = -2;
            continue;
        }
        if (i > 0 && best_exact < -1.5) best_exact = mosaic_ssim__score_one(plan, a, others[best], memory);
        exact = mosaic_ssim__score_one(plan, a, others[i], memory);
        if (i == 0 || exact > best_exact) best = i, best_near = value, best_exact = exact;
    }
    *winner = best;
    if (mean) *mean = best_exact < -1.5 ? mosaic_ssim__score_one(plan, a, others[best], memory) : best_exact;
}

/* ---- several scales ---- */

/* log v for v > 0: v = 2^k * m with m near 1, and log m = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1). */
static double mosaic_ssim__log(double v)
{
    double s, square, sum = 0;
    int k = 0, i;
    while (v > 1.5) v /= 2, k++;
    while (v < 0.75) v *= 2, k--;
    s = (v - 1) / (v + 1), square = s * s;
    for (i = 27; i > 0; i -= 2) sum = sum * square + 1.0 / i;
    return 2 * s * sum + k * 0.69314718055994530942;
}

/* A picture of doubles of half the size: each pixel the mean of 2 x 2. The result may begin where the source does. */
static void mosaic_ssim__halve(const mosaic_ssim__plan *plan, const mosaic_ssim__source *source, double *to)
{
    const mosaic_ssim_type type = plan->type;
    size_t x, y, w = (plan->width + 1) / 2, h = (plan->height + 1) / 2;
    for (y = 0; y < h; y++)
        for (x = 0; x < w; x++) {
            size_t x1 = 2 * x + 1 < plan->width ? 2 * x + 1 : 2 * x, y1 = 2 * y + 1 < plan->height ? 2 * y + 1 : 2 * y;
            const unsigned char *top = source->data + (ptrdiff_t)(2 * y) * source->row, *low = source->data + (ptrdiff_t)y1 * source->row;
            ptrdiff_t left = (ptrdiff_t)(2 * x) * source->pixel, right = (ptrdiff_t)x1 * source->pixel;
            to[y * w + x] = ((mosaic_ssim__pixel(top + left, type) + mosaic_ssim__pixel(top + right, type)) +
                             (mosaic_ssim__pixel(low + left, type) + mosaic_ssim__pixel(low + right, type))) /
                            4;
        }
}

/* The pictures' quarters and the work area of the comparisons, in that order. */
static mosaic_ssim_result mosaic_ssim__multiscale_size(const mosaic_ssim_image *image, const mosaic_ssim_options *options, size_t *quarter,
                                                       size_t *size)
{
    mosaic_ssim__plan plan;
    mosaic_ssim_options o;
    mosaic_ssim_image level = *image;
    mosaic_ssim_output output;
    mosaic_ssim_result result;
    double unused;
    memset(&output, 0, sizeof output);
    output.contrast = &unused;
    result = mosaic_ssim__make_plan(image, options, &output, &plan);
    if (result != MOSAIC_SSIM_OK) return result;
    if (image->width / 16 < (size_t)plan.window || image->height / 16 < (size_t)plan.window) return MOSAIC_SSIM_ERROR_TOO_SMALL;
    if (image->height > (size_t)PTRDIFF_MAX / 128 / image->width) return MOSAIC_SSIM_ERROR_OVERFLOW;
    *size = plan.work_size;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    o.data_range = 1;
    level.width = (image->width + 1) / 2, level.height = (image->height + 1) / 2, level.type = MOSAIC_SSIM_F64;
    result = mosaic_ssim__make_plan(&level, &o, &output, &plan);
    if (result != MOSAIC_SSIM_OK) return result;
    if (*size < plan.work_size) *size = plan.work_size;
    *quarter = mosaic_ssim__round(8 * level.width * level.height);
    *size += 2 * *quarter + MOSAIC_SSIM__PAD;
    return MOSAIC_SSIM_OK;
}

static mosaic_ssim_result mosaic_ssim__scales(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *options,
                                              double *value, unsigned char *memory, size_t quarter, size_t size)
{
    static const double weights[5] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    mosaic_ssim_options o = *options;
    mosaic_ssim_image x = *a, y = *b;
    double log_product = 0;
    int scale, negative = 0;
    for (scale = 0; scale < 5; scale++) {
        mosaic_ssim_output output;
        mosaic_ssim__plan plan;
        mosaic_ssim__source source;
        mosaic_ssim_result result;
        double contrast, factor;
        memset(&output, 0, sizeof output);
        output.contrast = &contrast;
        result = mosaic_ssim__compare_images(&x, &y, &o, &output, memory + 2 * quarter, size);
        if (result != MOSAIC_SSIM_OK) return result;
        factor = scale < 4 ? contrast : output.mean;
        if (factor > 0) log_product += weights[scale] * mosaic_ssim__log(factor);
        negative |= !(factor > 0);
        if (scale == 4) break;
        plan.width = x.width, plan.height = x.height, plan.type = x.type, plan.channels = 1;
        (void)mosaic_ssim__check_strides(&plan, &x, 0, &source);
        mosaic_ssim__halve(&plan, &source, (double *)(void *)memory);
        (void)mosaic_ssim__check_strides(&plan, &y, 0, &source);
        mosaic_ssim__halve(&plan, &source, (double *)(void *)(memory + quarter));
        if (o.data_range == 0) o.data_range = x.type == MOSAIC_SSIM_U8 ? 255 : 65535;
        memset(&x, 0, sizeof x);
        x.data = memory, x.width = (plan.width + 1) / 2, x.height = (plan.height + 1) / 2, x.type = MOSAIC_SSIM_F64;
        y = x, y.data = memory + quarter;
    }
    *value = negative ? 0 : mosaic_ssim__exp(log_product);
    return MOSAIC_SSIM_OK;
}

static mosaic_ssim_result mosaic_ssim__multiscale(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *options,
                                                  double *result, void *work, size_t work_size)
{
    mosaic_ssim_options o;
    mosaic_ssim__plan plan;
    mosaic_ssim__source source_a, source_b;
    mosaic_ssim_result code;
    unsigned char *memory;
    void *to_free;
    size_t quarter, size, c;
    double sum = 0;
    if (!a || !b || !result || !a->data || !b->data) return MOSAIC_SSIM_ERROR_NULL;
    if (a->width != b->width || a->height != b->height) return MOSAIC_SSIM_ERROR_MISMATCH;
    if (a->type != b->type) return MOSAIC_SSIM_ERROR_TYPE;
    if ((a->channels ? a->channels : 1) != (b->channels ? b->channels : 1)) return MOSAIC_SSIM_ERROR_CHANNEL_MISMATCH;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    code = mosaic_ssim__multiscale_size(a, &o, &quarter, &size);
    if (code == MOSAIC_SSIM_OK) code = mosaic_ssim__make_plan(a, &o, NULL, &plan);
    if (code == MOSAIC_SSIM_OK) code = mosaic_ssim__check_strides(&plan, a, 0, &source_a);
    if (code == MOSAIC_SSIM_OK) code = mosaic_ssim__check_strides(&plan, b, 0, &source_b);
    if (code != MOSAIC_SSIM_OK) return code;
    plan.work_size = size;
    code = mosaic_ssim__take_work(&plan, &o, work, work_size, &to_free, &memory);
    if (code != MOSAIC_SSIM_OK) return code;
    for (c = 0; code == MOSAIC_SSIM_OK && c < (size_t)plan.channels; c++) {
        mosaic_ssim_image x = *a, y = *b;
        double value = 0;
        (void)mosaic_ssim__check_strides(&plan, a, c, &source_a), (void)mosaic_ssim__check_strides(&plan, b, c, &source_b);
        x.data = source_a.data, x.row_stride = source_a.row, x.pixel_stride = source_a.pixel, x.channels = 0, x.channel_stride = 0;
        y.data = source_b.data, y.row_stride = source_b.row, y.pixel_stride = source_b.pixel, y.channels = 0, y.channel_stride = 0;
        code = mosaic_ssim__scales(&x, &y, &o, &value, memory, quarter, size - 2 * quarter - MOSAIC_SSIM__PAD);
        sum += value;
    }
    if (code == MOSAIC_SSIM_OK) *result = sum / plan.channels;
    mosaic_ssim__give_work(&o, to_free);
    return code;
}

/* ---- the interface ---- */

MOSAIC_SSIM_API const char *mosaic_ssim_result_string(mosaic_ssim_result result)
{
    switch (result) {
    case MOSAIC_SSIM_OK: return "no error";
    case MOSAIC_SSIM_ERROR_NULL: return "a pointer that must be given is null";
    case MOSAIC_SSIM_ERROR_SIZE: return "a picture has no pixels";
    case MOSAIC_SSIM_ERROR_MISMATCH: return "the pictures differ in size";
    case MOSAIC_SSIM_ERROR_TOO_SMALL: return "a picture is smaller than the window";
    case MOSAIC_SSIM_ERROR_OVERFLOW: return "a size or stride is too large";
    case MOSAIC_SSIM_ERROR_STRIDE: return "a stride is too small";
    case MOSAIC_SSIM_ERROR_WINDOW: return "the window must be odd and from 3 to 255";
    case MOSAIC_SSIM_ERROR_COVARIANCE: return "no such kind of covariance";
    case MOSAIC_SSIM_ERROR_CONSTANT: return "k1 and k2 must be positive and neither extremely large nor small";
    case MOSAIC_SSIM_ERROR_DATA_RANGE: return "the data range must be positive and finite";
    case MOSAIC_SSIM_ERROR_SIMD: return "no such instruction set level on this processor or in this build";
    case MOSAIC_SSIM_ERROR_JOBS: return "the number of jobs is negative";
    case MOSAIC_SSIM_ERROR_WORK_SIZE: return "the work area is too small";
    case MOSAIC_SSIM_ERROR_MEMORY: return "out of memory";
    case MOSAIC_SSIM_ERROR_PREPARED: return "not a picture prepared for this window";
    case MOSAIC_SSIM_ERROR_TYPE: return "no such type of pixels, or the pictures differ in it";
    case MOSAIC_SSIM_ERROR_CHANNELS: return "pictures have 1 to 4 channels";
    case MOSAIC_SSIM_ERROR_CHANNEL_MISMATCH: return "the pictures differ in their number of channels";
    case MOSAIC_SSIM_ERROR_NO_RANGE: return "pictures of floats need a data range";
    case MOSAIC_SSIM_ERROR_NOT_FINITE: return "a pixel is infinite, not a number or far too large";
    case MOSAIC_SSIM_ERROR_OPTION: return "no such arithmetic, mean rule or kind of weights";
    case MOSAIC_SSIM_ERROR_SIGMA: return "sigma, or the taps given, make no window of 3 to 255";
    case MOSAIC_SSIM_ERROR_UNSUPPORTED: return "this combination of options, pictures and results does not exist";
    }
    return "unknown result";
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_gray8(const unsigned char *a, size_t a_stride, const unsigned char *b, size_t b_stride, size_t width,
                                                     size_t height, double *mean)
{
    mosaic_ssim_image image_a, image_b;
    mosaic_ssim_output output;
    mosaic_ssim_result result;
    if (!mean) return MOSAIC_SSIM_ERROR_NULL;
    if (a_stride < width || b_stride < width) return MOSAIC_SSIM_ERROR_STRIDE;
    if (a_stride > (size_t)PTRDIFF_MAX || b_stride > (size_t)PTRDIFF_MAX) return MOSAIC_SSIM_ERROR_OVERFLOW;
    memset(&image_a, 0, sizeof image_a);
    image_a.width = width, image_a.height = height;
    image_b = image_a;
    image_a.data = a, image_a.row_stride = (ptrdiff_t)a_stride;
    image_b.data = b, image_b.row_stride = (ptrdiff_t)b_stride;
    memset(&output, 0, sizeof output);
    result = mosaic_ssim_compare(&image_a, &image_b, NULL, &output, NULL, 0);
    if (result == MOSAIC_SSIM_OK) *mean = output.mean;
    return result;
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_work_size_for(const mosaic_ssim_image *image, const mosaic_ssim_options *options,
                                                             const mosaic_ssim_output *output, size_t *size)
{
    mosaic_ssim__plan plan;
    mosaic_ssim_result result;
    if (!image || !size) return MOSAIC_SSIM_ERROR_NULL;
    result = mosaic_ssim__make_plan(image, options, output, &plan);
    if (result == MOSAIC_SSIM_OK) *size = plan.work_size;
    return result;
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_work_size(const mosaic_ssim_image *image, const mosaic_ssim_options *options, size_t *size)
{
    return mosaic_ssim_work_size_for(image, options, NULL, size);
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_compare(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *options,
                                                       mosaic_ssim_output *output, void *work, size_t work_size)
{
    unsigned long long state = mosaic__fp_enter();
    mosaic_ssim_result result = mosaic_ssim__compare_images(a, b, options, output, work, work_size);
    mosaic__fp_leave(state);
    return result;
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_prepared_size(const mosaic_ssim_image *image, const mosaic_ssim_options *options, size_t *size)
{
    mosaic_ssim__plan plan;
    mosaic_ssim_result result;
    if (!image || !size) return MOSAIC_SSIM_ERROR_NULL;
    result = mosaic_ssim__prepared_plan(image, options, &plan);
    if (result == MOSAIC_SSIM_OK) *size = mosaic_ssim__lay_out(&plan).end + MOSAIC_SSIM__PAD;
    return result;
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_prepare(const mosaic_ssim_image *image, const mosaic_ssim_options *options, void *memory, size_t size,
                                                       mosaic_ssim_prepared **prepared, void *work, size_t work_size)
{
    mosaic_ssim__plan plan;
    mosaic_ssim__source source;
    mosaic_ssim_result result;
    void *to_free;
    unsigned char *aligned;
    if (!image || !image->data || !memory || !prepared) return MOSAIC_SSIM_ERROR_NULL;
    result = mosaic_ssim__prepared_plan(image, options, &plan);
    if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__check_strides(&plan, image, 0, &source);
    if (result == MOSAIC_SSIM_OK && size < mosaic_ssim__lay_out(&plan).end + MOSAIC_SSIM__PAD) result = MOSAIC_SSIM_ERROR_WORK_SIZE;
    if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__take_work(&plan, options, work, work_size, &to_free, &aligned);
    if (result != MOSAIC_SSIM_OK) return result;
    *prepared = (mosaic_ssim_prepared *)(void *)mosaic_ssim__align(memory);
    mosaic_ssim__fill(&plan, &source, *prepared, aligned);
    mosaic_ssim__give_work(options, to_free);
    return MOSAIC_SSIM_OK;
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_score(const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *b, const mosaic_ssim_options *options,
                                                     mosaic_ssim_output *output, void *work, size_t work_size)
{
    unsigned long long state = mosaic__fp_enter();
    mosaic_ssim_result result = output ? mosaic_ssim__compare_prepared(a, &b, 1, options, output, NULL, work, work_size) : MOSAIC_SSIM_ERROR_NULL;
    mosaic__fp_leave(state);
    return result;
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_best(const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *const *others, size_t count,
                                                    const mosaic_ssim_options *options, size_t *winner, double *mean, void *work, size_t work_size)
{
    unsigned long long state;
    mosaic_ssim__plan plan;
    mosaic_ssim_result result;
    unsigned char *memory;
    void *to_free;
    if (!a || !others || !winner) return MOSAIC_SSIM_ERROR_NULL;
    if (count == 0) return MOSAIC_SSIM_ERROR_SIZE;
    state = mosaic__fp_enter();
    result = mosaic_ssim__batch_plan(a, others, count, options, NULL, &plan);
    if (result == MOSAIC_SSIM_OK) result = mosaic_ssim__take_work(&plan, options, work, work_size, &to_free, &memory);
    if (result == MOSAIC_SSIM_OK) {
        mosaic_ssim__find_best(&plan, a, others, count, winner, mean, memory);
        mosaic_ssim__give_work(options, to_free);
    }
    mosaic__fp_leave(state);
    return result;
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_multiscale(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *options,
                                                          double *result, void *work, size_t work_size)
{
    unsigned long long state = mosaic__fp_enter();
    mosaic_ssim_result code = mosaic_ssim__multiscale(a, b, options, result, work, work_size);
    mosaic__fp_leave(state);
    return code;
}

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_multiscale_work_size(const mosaic_ssim_image *image, const mosaic_ssim_options *options, size_t *size)
{
    size_t quarter, all;
    mosaic_ssim_result result;
    if (!image || !size) return MOSAIC_SSIM_ERROR_NULL;
    result = mosaic_ssim__multiscale_size(image, options, &quarter, &all);
    if (result == MOSAIC_SSIM_OK) *size = all;
    return result;
}

MOSAIC_SSIM_API double mosaic_ssim_dssim(double ssim) { return (1 - ssim) / 2; }

MOSAIC_SSIM_API mosaic_ssim_result mosaic_ssim_score_many(const mosaic_ssim_prepared *a, const mosaic_ssim_prepared *const *others, size_t count,
                                                          const mosaic_ssim_options *options, double *means, void *work, size_t work_size)
{
    unsigned long long state = mosaic__fp_enter();
    mosaic_ssim_result result =
        !others && count > 0 ? MOSAIC_SSIM_ERROR_NULL : mosaic_ssim__compare_prepared(a, others, count, options, NULL, means, work, work_size);
    mosaic__fp_leave(state);
    return result;
}

#ifdef __cplusplus
}
#endif

/* === mosaic shared block, closing part === */
#if defined(__clang__)
#pragma STDC FP_CONTRACT DEFAULT
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
/* === end of the closing part === */

#endif /* MOSAIC_SSIM_IMPLEMENTATION */

#else /* MOSAIC_SSIM__LANES */

/* ==== Kernels in doubles, once for each instruction set ====
   This part of the file is read by the implementation above through MOSAIC_SSIM_FILE, once for each number of lanes. The operations of a
   lane are those that the text shows, whatever the number of lanes, so all of them give the same bits; one lane is the reference. */

#define MOSAIC_SSIM__PASTE2(a, b) a##b
#define MOSAIC_SSIM__PASTE(a, b) MOSAIC_SSIM__PASTE2(a, b)
#define MOSAIC_SSIM__NAME(name) MOSAIC_SSIM__PASTE(mosaic_ssim__##name##_, MOSAIC_SSIM__LANES)
#define MOSAIC_SSIM__V MOSAIC_SSIM__NAME(v)
#define MOSAIC_SSIM__U MOSAIC_SSIM__NAME(u)
#define MOSAIC_SSIM__I MOSAIC_SSIM__NAME(i)
#define MOSAIC_SSIM__KERNEL MOSAIC_SSIM__ISA MOSAIC_SSIM__INLINE

#if MOSAIC_SSIM__LANES == 1
typedef double MOSAIC_SSIM__V;
typedef uint64_t MOSAIC_SSIM__U;
typedef int32_t MOSAIC_SSIM__I;
#else
/* Loads and stores through these types may be anywhere. */
typedef double MOSAIC_SSIM__V __attribute__((vector_size(8 * MOSAIC_SSIM__LANES), aligned(8), may_alias));
typedef uint64_t MOSAIC_SSIM__U __attribute__((vector_size(8 * MOSAIC_SSIM__LANES), aligned(8), may_alias));
typedef int32_t MOSAIC_SSIM__I __attribute__((vector_size(4 * MOSAIC_SSIM__LANES), aligned(4), may_alias));
typedef float MOSAIC_SSIM__NAME(f) __attribute__((vector_size(4 * MOSAIC_SSIM__LANES), aligned(4), may_alias));
typedef uint16_t MOSAIC_SSIM__NAME(h) __attribute__((vector_size(2 * MOSAIC_SSIM__LANES), aligned(1), may_alias));
typedef uint8_t MOSAIC_SSIM__NAME(b) __attribute__((vector_size(MOSAIC_SSIM__LANES), aligned(1), may_alias));
#endif

MOSAIC_SSIM__KERNEL MOSAIC_SSIM__V MOSAIC_SSIM__NAME(load)(const double *p) { return *(const MOSAIC_SSIM__V *)(const void *)p; }
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(store)(double *p, MOSAIC_SSIM__V v) { *(MOSAIC_SSIM__V *)(void *)p = v; }

/* A result of single precision arithmetic: rounding a double result of floats once more gives what the float operation would. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__V MOSAIC_SSIM__NAME(round)(MOSAIC_SSIM__V v, int single)
{
#if MOSAIC_SSIM__LANES == 1
    if (single) v = mosaic_ssim__single(v);
#elif defined(MOSAIC_SSIM__SINGLE)
    if (single) v = MOSAIC_SSIM__SINGLE(v);
#else
    if (single) v = __builtin_convertvector(__builtin_convertvector(v, MOSAIC_SSIM__NAME(f)), MOSAIC_SSIM__V);
#endif
    return v;
}

/* a where a < b, else b. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__V MOSAIC_SSIM__NAME(lower)(MOSAIC_SSIM__V a, MOSAIC_SSIM__V b)
{
#if MOSAIC_SSIM__LANES == 1
    return a < b ? a : b;
#else
    MOSAIC_SSIM__U mask = (MOSAIC_SSIM__U)(a < b);
    return (MOSAIC_SSIM__V)(((MOSAIC_SSIM__U)a & mask) | ((MOSAIC_SSIM__U)b & ~mask));
#endif
}

/* LANES pixels as doubles and as integers, and integers as doubles. */
#if MOSAIC_SSIM__LANES == 8
#define MOSAIC_SSIM__FROM_U8(p) _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#define MOSAIC_SSIM__FROM_U16(p) _mm512_cvtepi32_pd(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#define MOSAIC_SSIM__INT_U8(p) (MOSAIC_SSIM__I) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p)))
#define MOSAIC_SSIM__FROM_INT(v) _mm512_cvtepi32_pd((__m256i)(v))
#elif MOSAIC_SSIM__LANES == 4
#define MOSAIC_SSIM__FROM_U8(p) _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_loadu_si32(p)))
#define MOSAIC_SSIM__FROM_U16(p) _mm256_cvtepi32_pd(_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#define MOSAIC_SSIM__INT_U8(p) (MOSAIC_SSIM__I) _mm_cvtepu8_epi32(_mm_loadu_si32(p))
#define MOSAIC_SSIM__FROM_INT(v) _mm256_cvtepi32_pd((__m128i)(v))
#elif MOSAIC_SSIM__LANES == 2
#define MOSAIC_SSIM__FROM_U8(p) __builtin_convertvector(*(const MOSAIC_SSIM__NAME(b) *)(const void *)(p), MOSAIC_SSIM__V)
#define MOSAIC_SSIM__FROM_U16(p) __builtin_convertvector(*(const MOSAIC_SSIM__NAME(h) *)(const void *)(p), MOSAIC_SSIM__V)
#define MOSAIC_SSIM__INT_U8(p) __builtin_convertvector(*(const MOSAIC_SSIM__NAME(b) *)(const void *)(p), MOSAIC_SSIM__I)
#define MOSAIC_SSIM__FROM_INT(v) __builtin_convertvector(v, MOSAIC_SSIM__V)
#else
#define MOSAIC_SSIM__FROM_U8(p) (double)*(p)
#define MOSAIC_SSIM__INT_U8(p) (int32_t) * (p)
#define MOSAIC_SSIM__FROM_INT(v) (double)(v)
#endif

/* Pixels that lie side by side as doubles. */
MOSAIC_SSIM__ISA static void MOSAIC_SSIM__NAME(widen)(const void *from, mosaic_ssim_type type, size_t count, double *to)
{
    const unsigned char *bytes = (const unsigned char *)from;
    size_t i = 0;
#if MOSAIC_SSIM__LANES > 1
    if (type == MOSAIC_SSIM_U8)
        for (; i + MOSAIC_SSIM__LANES <= count; i += MOSAIC_SSIM__LANES) MOSAIC_SSIM__NAME(store)(to + i, MOSAIC_SSIM__FROM_U8(bytes + i));
    if (type == MOSAIC_SSIM_U16)
        for (; i + MOSAIC_SSIM__LANES <= count; i += MOSAIC_SSIM__LANES) MOSAIC_SSIM__NAME(store)(to + i, MOSAIC_SSIM__FROM_U16(bytes + 2 * i));
#endif
    for (; i < count; i++) to[i] = mosaic_ssim__pixel(bytes + i * mosaic_ssim__bytes(type), type);
}

/* NumPy's sum of 8 to 128 doubles. */
MOSAIC_SSIM__ISA static double MOSAIC_SSIM__NAME(run)(const double *v, size_t n)
{
    MOSAIC_SSIM__V sums[8 / MOSAIC_SSIM__LANES];
    double r[8], sum;
    size_t i, k;
    MOSAIC_SSIM__UNROLL
    for (k = 0; k < 8 / MOSAIC_SSIM__LANES; k++) sums[k] = MOSAIC_SSIM__NAME(load)(v + k * MOSAIC_SSIM__LANES);
    for (i = 8; i + 8 <= n; i += 8) {
        MOSAIC_SSIM__UNROLL
        for (k = 0; k < 8 / MOSAIC_SSIM__LANES; k++) sums[k] += MOSAIC_SSIM__NAME(load)(v + i + k * MOSAIC_SSIM__LANES);
    }
    memcpy(r, sums, sizeof r);
    sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < n; i++) sum += v[i];
    return sum;
}

/* ---- integers under uniform windows ---- */

#if MOSAIC_SSIM__LANES > 1
/* See mosaic_ssim__integers_strip: two rows of pixels, in, enter the column sums and two, out, leave them; unless map is null, a row of it follows,
   for which these four rows are overwritten by the window sums. contrast may be null. All sums are integers below 2^53, so the doubles are exact. */
MOSAIC_SSIM__ISA static void MOSAIC_SSIM__NAME(integers)(const mosaic_ssim__plan *plan, double *const *in, double *const *out, double *const *columns,
                                                         double *map, double *contrast)
{
    const double c1 = plan->c1, c2 = plan->c2, n = (double)(plan->window * plan->window);
    const size_t w = (size_t)plan->window;
    double t[4] = {0, 0, 0, 0}, *sums[4];
    size_t i, k;
    for (i = 0; i < plan->width; i += MOSAIC_SSIM__LANES) {
        MOSAIC_SSIM__V p = MOSAIC_SSIM__NAME(load)(in[0] + i), q = MOSAIC_SSIM__NAME(load)(in[1] + i);
        MOSAIC_SSIM__V old_p = MOSAIC_SSIM__NAME(load)(out[0] + i), old_q = MOSAIC_SSIM__NAME(load)(out[1] + i);
        MOSAIC_SSIM__NAME(store)(columns[0] + i, MOSAIC_SSIM__NAME(load)(columns[0] + i) + (p - old_p));
        MOSAIC_SSIM__NAME(store)(columns[1] + i, MOSAIC_SSIM__NAME(load)(columns[1] + i) + (q - old_q));
        MOSAIC_SSIM__NAME(store)(columns[2] + i, MOSAIC_SSIM__NAME(load)(columns[2] + i) + ((p * p + q * q) - (old_p * old_p + old_q * old_q)));
        MOSAIC_SSIM__NAME(store)(columns[3] + i, MOSAIC_SSIM__NAME(load)(columns[3] + i) + (p * q - old_p * old_q));
    }
    if (!map) return;
    for (k = 0; k < 4; k++) {
        sums[k] = k < 2 ? in[k] : out[k - 2];
        for (i = 0; i < w; i++) t[k] += columns[k][i];
    }
    for (i = 0; i < plan->map_width; i++) {
        MOSAIC_SSIM__UNROLL
        for (k = 0; k < 4; k++) sums[k][i] = t[k], t[k] += columns[k][i + w] - columns[k][i];
    }
    for (i = 0; i < plan->map_width; i += MOSAIC_SSIM__LANES) {
        MOSAIC_SSIM__V x = MOSAIC_SSIM__NAME(load)(sums[0] + i), y = MOSAIC_SSIM__NAME(load)(sums[1] + i), xy = x * y, s = x * x + y * y;
        MOSAIC_SSIM__V b = 2.0 * (n * MOSAIC_SSIM__NAME(load)(sums[3] + i) - xy) + c2, e = (n * MOSAIC_SSIM__NAME(load)(sums[2] + i) - s) + c2;
        MOSAIC_SSIM__NAME(store)(map + i, ((2.0 * xy + c1) * b) / ((s + c1) * e));
        if (contrast) MOSAIC_SSIM__NAME(store)(contrast + i, b / e);
    }
}
#endif

/* ---- windows down the columns and along the rows ---- */

/* All kernels below make LANES rows of the map at a time. They go over the picture in blocks of columns. Down the columns lanes are columns;
   the results are turned, so that along the rows lanes are rows: no lane needs a neighbour's value, and a sum that carries its rounding
   errors along the row is kept in a register. */

MOSAIC_SSIM__KERNEL MOSAIC_SSIM__V MOSAIC_SSIM__NAME(splat)(double v)
{
#if MOSAIC_SSIM__LANES == 8
    return _mm512_set1_pd(v);
#elif MOSAIC_SSIM__LANES == 4
    return _mm256_set1_pd(v);
#elif MOSAIC_SSIM__LANES == 2
    MOSAIC_SSIM__V both = {v, v};
    return both;
#else
    return v;
#endif
}

/* Turns LANES vectors, each a stretch of one row, into LANES vectors, each one place of all rows, or back. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(transpose)(MOSAIC_SSIM__V *v)
{
#if MOSAIC_SSIM__LANES == 8
    __m512d a[8], b[8];
    int i;
    MOSAIC_SSIM__UNROLL
    for (i = 0; i < 8; i += 2) a[i] = _mm512_unpacklo_pd(v[i], v[i + 1]), a[i + 1] = _mm512_unpackhi_pd(v[i], v[i + 1]);
    MOSAIC_SSIM__UNROLL
    for (i = 0; i < 8; i += 4) {
        b[i] = _mm512_shuffle_f64x2(a[i], a[i + 2], 0x88), b[i + 1] = _mm512_shuffle_f64x2(a[i + 1], a[i + 3], 0x88);
        b[i + 2] = _mm512_shuffle_f64x2(a[i], a[i + 2], 0xdd), b[i + 3] = _mm512_shuffle_f64x2(a[i + 1], a[i + 3], 0xdd);
    }
    v[0] = _mm512_shuffle_f64x2(b[0], b[4], 0x88), v[4] = _mm512_shuffle_f64x2(b[0], b[4], 0xdd);
    v[1] = _mm512_shuffle_f64x2(b[1], b[5], 0x88), v[5] = _mm512_shuffle_f64x2(b[1], b[5], 0xdd);
    v[2] = _mm512_shuffle_f64x2(b[2], b[6], 0x88), v[6] = _mm512_shuffle_f64x2(b[2], b[6], 0xdd);
    v[3] = _mm512_shuffle_f64x2(b[3], b[7], 0x88), v[7] = _mm512_shuffle_f64x2(b[3], b[7], 0xdd);
#elif MOSAIC_SSIM__LANES == 4
    __m256d a0 = _mm256_unpacklo_pd(v[0], v[1]), a1 = _mm256_unpackhi_pd(v[0], v[1]);
    __m256d a2 = _mm256_unpacklo_pd(v[2], v[3]), a3 = _mm256_unpackhi_pd(v[2], v[3]);
    v[0] = _mm256_permute2f128_pd(a0, a2, 0x20), v[2] = _mm256_permute2f128_pd(a0, a2, 0x31);
    v[1] = _mm256_permute2f128_pd(a1, a3, 0x20), v[3] = _mm256_permute2f128_pd(a1, a3, 0x31);
#elif MOSAIC_SSIM__LANES == 2
    double t = v[0][1];
    v[0][1] = v[1][0];
    v[1][0] = t;
#else
    (void)v;
#endif
}

/* Writes LANES columns of LANES rows of the map. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(put)(double *map, size_t stride, MOSAIC_SSIM__V *columns)
{
    size_t j;
    MOSAIC_SSIM__NAME(transpose)(columns);
    MOSAIC_SSIM__UNROLL
    for (j = 0; j < MOSAIC_SSIM__LANES; j++) MOSAIC_SSIM__NAME(store)(map + j * stride, columns[j]);
}

/* 2 v + c, of which 2 v is exact. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__V MOSAIC_SSIM__NAME(twice_plus)(MOSAIC_SSIM__V v, double c)
{
#ifdef MOSAIC_SSIM__FMA
    return MOSAIC_SSIM__FMA(v, MOSAIC_SSIM__NAME(splat)(2), MOSAIC_SSIM__NAME(splat)(c));
#else
    return 2.0 * v + c;
#endif
}

/* ---- weighted windows ---- */

/* The weighted sums at LANES places, `step` doubles apart, of 2 * radius + 1 vectors each from there on: the centre is weighted first, then the
   pairs at equal distances from it, from the outside in. Neighbouring places share all but two of their vectors, which stay in registers.
   One addition in four is made by the multiplier (v * 1 + w), which would have less to do than the adder otherwise. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(taps)(const mosaic_ssim__plan *plan, const double *from, size_t step, MOSAIC_SSIM__V *sums)
{
    const size_t radius = plan->radius;
    const MOSAIC_SSIM__V centre = MOSAIC_SSIM__NAME(splat)(plan->taps[0]), one = MOSAIC_SSIM__NAME(splat)(plan->one);
    MOSAIC_SSIM__V before[MOSAIC_SSIM__LANES], after[MOSAIC_SSIM__LANES];
    size_t k;
    int j;
    MOSAIC_SSIM__UNROLL
    for (j = 0; j < MOSAIC_SSIM__LANES; j++) {
        before[j] = MOSAIC_SSIM__NAME(load)(from + (size_t)j * step);
        after[j] = MOSAIC_SSIM__NAME(load)(from + (2 * radius + (size_t)j) * step);
        sums[j] = MOSAIC_SSIM__NAME(load)(from + (radius + (size_t)j) * step) * centre;
    }
    for (k = radius; k > 0; k--) {
        const MOSAIC_SSIM__V weight = MOSAIC_SSIM__NAME(splat)(plan->taps[k]);
        MOSAIC_SSIM__UNROLL
        for (j = 0; j < MOSAIC_SSIM__LANES; j++) {
            MOSAIC_SSIM__V pair = before[j] + after[j];
#ifdef MOSAIC_SSIM__FMA
            if (j % 2)
                sums[j] = MOSAIC_SSIM__FMA(pair * weight, one, sums[j]);
            else
                sums[j] = sums[j] + pair * weight;
#else
            sums[j] = sums[j] + pair * weight;
#endif
        }
        MOSAIC_SSIM__UNROLL
        for (j = 0; j + 1 < MOSAIC_SSIM__LANES; j++) before[j] = before[j + 1], after[MOSAIC_SSIM__LANES - 1 - j] = after[MOSAIC_SSIM__LANES - 2 - j];
        before[MOSAIC_SSIM__LANES - 1] = MOSAIC_SSIM__NAME(load)(from + (radius - k + MOSAIC_SSIM__LANES) * step);
        after[0] = MOSAIC_SSIM__NAME(load)(from + (radius + k - 1) * step);
    }
    (void)one;
}

/* The pixels of a block and their products, `moments` planes of rows of the block: x, y, xx + yy, xy or x, y, xx, xy, yy. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(tile)(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t top, size_t rows, size_t at,
                                                 size_t count, int moments, int single)
{
    const size_t plane = lines->tile_rows * MOSAIC_SSIM__BLOCK;
    const int bytes = plan->type == MOSAIC_SSIM_U8 && lines->a->pixel == 1 && lines->b->pixel == 1 && count == MOSAIC_SSIM__BLOCK;
    size_t r, i;
    for (r = 0; r < rows; r++) {
        const unsigned char *a = lines->a->data + (ptrdiff_t)(top + r) * lines->a->row, *b = lines->b->data + (ptrdiff_t)(top + r) * lines->b->row;
        double *x = lines->tile + r * MOSAIC_SSIM__BLOCK, *y = x + plane;
        if (!bytes) {
            mosaic_ssim__span(plan, lines->a, top + r, (ptrdiff_t)at, count, x);
            mosaic_ssim__span(plan, lines->b, top + r, (ptrdiff_t)at, count, y);
        }
        MOSAIC_SSIM__UNROLL
        for (i = 0; i < MOSAIC_SSIM__BLOCK; i += MOSAIC_SSIM__LANES) {
            MOSAIC_SSIM__V p, q, pp, qq;
            if (bytes) {
                p = MOSAIC_SSIM__FROM_U8(a + at + i), q = MOSAIC_SSIM__FROM_U8(b + at + i);
                MOSAIC_SSIM__NAME(store)(x + i, p), MOSAIC_SSIM__NAME(store)(y + i, q);
            } else {
                p = MOSAIC_SSIM__NAME(load)(x + i), q = MOSAIC_SSIM__NAME(load)(y + i);
            }
            pp = MOSAIC_SSIM__NAME(round)(p * p, single), qq = MOSAIC_SSIM__NAME(round)(q * q, single);
            if (moments == 4)
                pp = pp + qq;
            else
                MOSAIC_SSIM__NAME(store)(x + 4 * plane + i, qq);
            MOSAIC_SSIM__NAME(store)(x + 2 * plane + i, pp);
            MOSAIC_SSIM__NAME(store)(x + 3 * plane + i, MOSAIC_SSIM__NAME(round)(p * q, single));
        }
    }
}

/* The value in the exact arithmetic from the four means. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__V MOSAIC_SSIM__NAME(exact_value)(const mosaic_ssim__plan *plan, MOSAIC_SSIM__V ux, MOSAIC_SSIM__V uy,
                                                                  MOSAIC_SSIM__V squares, MOSAIC_SSIM__V products, MOSAIC_SSIM__V *contrast)
{
    const double c1 = plan->c1, c2 = plan->c2, norm = plan->norm;
    MOSAIC_SSIM__V means = ux * ux + uy * uy, uxy = ux * uy, zero = MOSAIC_SSIM__NAME(splat)(0), vars, cov2, b, e;
    vars = norm * (squares - means);
    cov2 = (2.0 * norm) * (products - uxy);
    vars = -MOSAIC_SSIM__NAME(lower)(zero, -vars);
    cov2 = MOSAIC_SSIM__NAME(lower)(cov2, vars);
    cov2 = -MOSAIC_SSIM__NAME(lower)(-cov2, vars);
    b = cov2 + c2, e = vars + c2;
    if (contrast) *contrast = b / e;
    return (MOSAIC_SSIM__NAME(twice_plus)(uxy, c1) * b) / ((means + c1) * e);
}

/* The value in scikit-image's arithmetic from the five means, operation by operation. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__V MOSAIC_SSIM__NAME(value)(const mosaic_ssim__plan *plan, MOSAIC_SSIM__V ux, MOSAIC_SSIM__V uy, MOSAIC_SSIM__V uxx,
                                                            MOSAIC_SSIM__V uxy, MOSAIC_SSIM__V uyy, int single)
{
#define MOSAIC_SSIM__R(v) MOSAIC_SSIM__NAME(round)(v, single)
    const double c1 = plan->c1, c2 = plan->c2, norm = plan->norm;
    MOSAIC_SSIM__V xx = MOSAIC_SSIM__R(ux * ux), yy = MOSAIC_SSIM__R(uy * uy), xy = MOSAIC_SSIM__R(ux * uy);
    MOSAIC_SSIM__V vx = MOSAIC_SSIM__R(norm * MOSAIC_SSIM__R(uxx - xx)), vy = MOSAIC_SSIM__R(norm * MOSAIC_SSIM__R(uyy - yy));
    MOSAIC_SSIM__V vxy = MOSAIC_SSIM__R(norm * MOSAIC_SSIM__R(uxy - xy));
    MOSAIC_SSIM__V a1 = MOSAIC_SSIM__R(MOSAIC_SSIM__NAME(twice_plus)(xy, c1)), a2 = MOSAIC_SSIM__R(MOSAIC_SSIM__NAME(twice_plus)(vxy, c2));
    MOSAIC_SSIM__V b1 = MOSAIC_SSIM__R(MOSAIC_SSIM__R(xx + yy) + c1), b2 = MOSAIC_SSIM__R(MOSAIC_SSIM__R(vx + vy) + c2);
    return MOSAIC_SSIM__R(MOSAIC_SSIM__R(a1 * a2) / MOSAIC_SSIM__R(b1 * b2));
#undef MOSAIC_SSIM__R
}

MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(weighted_rows)(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t top, size_t rows,
                                                          int moments, int single)
{
    const size_t lanes = MOSAIC_SSIM__LANES, block = MOSAIC_SSIM__BLOCK, ahead = 2 * plan->radius, step = lanes * (size_t)moments;
    size_t at, i, j, g;
    int m;
    for (at = 0; at < plan->width; at += block) {
        size_t count = plan->width - at < block ? plan->width - at : block;
        MOSAIC_SSIM__NAME(tile)(plan, lines, top, rows + ahead, at, count, moments, single);
        for (g = 0; g < rows; g += lanes) {
            double *turned = lines->turned + g * (ahead + block) * (size_t)moments;
            MOSAIC_SSIM__V sums[5][MOSAIC_SSIM__LANES], out[MOSAIC_SSIM__LANES], contrast[MOSAIC_SSIM__LANES];
            for (i = 0; i < block; i += lanes) {
                MOSAIC_SSIM__UNROLL
                for (m = 0; m < moments; m++) {
                    MOSAIC_SSIM__NAME(taps)(plan, lines->tile + ((size_t)m * lines->tile_rows + g) * block + i, block, out);
                    MOSAIC_SSIM__NAME(transpose)(out);
                    MOSAIC_SSIM__UNROLL
                    for (j = 0; j < lanes; j++)
                        MOSAIC_SSIM__NAME(store)(turned + (ahead + i + j) * step + (size_t)m * lanes, MOSAIC_SSIM__NAME(round)(out[j], single));
                }
            }
            for (i = 0; i < block; i += lanes) {
                double *map = lines->map + g * plan->capacity + at + i;
                if (at + i + lanes <= ahead) continue;
                MOSAIC_SSIM__UNROLL
                for (m = 0; m < moments; m++) MOSAIC_SSIM__NAME(taps)(plan, turned + i * step + (size_t)m * lanes, step, sums[m]);
                MOSAIC_SSIM__UNROLL
                for (j = 0; j < lanes; j++) {
                    if (moments == 4)
                        out[j] = MOSAIC_SSIM__NAME(exact_value)(plan, sums[0][j], sums[1][j], sums[2][j], sums[3][j],
                                                                lines->contrast ? &contrast[j] : NULL);
                    else
                        out[j] =
                            MOSAIC_SSIM__NAME(value)(plan, MOSAIC_SSIM__NAME(round)(sums[0][j], single), MOSAIC_SSIM__NAME(round)(sums[1][j], single),
                                                     MOSAIC_SSIM__NAME(round)(sums[2][j], single), MOSAIC_SSIM__NAME(round)(sums[3][j], single),
                                                     MOSAIC_SSIM__NAME(round)(sums[4][j], single), single);
                }
                MOSAIC_SSIM__NAME(put)(map, plan->capacity, out);
                if (moments == 4 && lines->contrast) MOSAIC_SSIM__NAME(put)(lines->contrast + (map - lines->map), plan->capacity, contrast);
            }
            for (i = 0; i < ahead * step; i += lanes) MOSAIC_SSIM__NAME(store)(turned + i, MOSAIC_SSIM__NAME(load)(turned + block * step + i));
        }
    }
}

/* ---- scikit-image's uniform windows ---- */

/* v over the window's side, rounded once. For integers: with high + low the reciprocal to twice a double's precision, v * high + v * low is off
   by less than 2^-104 of itself before its only rounding that counts, and a quotient by an odd number is never that near to the middle
   between two doubles. Floats might underflow on the way. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__V MOSAIC_SSIM__NAME(divide)(const mosaic_ssim__plan *plan, MOSAIC_SSIM__V v, int integers)
{
#ifdef MOSAIC_SSIM__FMA
    if (integers) return MOSAIC_SSIM__FMA(v, MOSAIC_SSIM__NAME(splat)(plan->inverse_high), v * plan->inverse_low);
#endif
    (void)integers;
    return v / (double)plan->window;
}

/* Writes the means of one moment down LANES columns of LANES rows to where the columns of the block are turned. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(turn)(double *turned, MOSAIC_SSIM__V *means)
{
    size_t j;
    MOSAIC_SSIM__NAME(transpose)(means);
    MOSAIC_SSIM__UNROLL
    for (j = 0; j < MOSAIC_SSIM__LANES; j++) MOSAIC_SSIM__NAME(store)(turned + 5 * j * MOSAIC_SSIM__LANES, means[j]);
}

/* The column sums of a block move down LANES rows, and their means are written out: 8-bit pixels, whose sums are integers. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(down_bytes)(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t at, double *turned)
{
    const size_t lanes = MOSAIC_SSIM__LANES, capacity = plan->capacity;
    size_t i, j;
    int m;
    for (i = 0; i < MOSAIC_SSIM__BLOCK; i += lanes) {
        int32_t *column = (int32_t *)(void *)lines->sums + at + i;
        const unsigned char *line = lines->bytes + at + i;
        MOSAIC_SSIM__I sums[5], past[5][MOSAIC_SSIM__LANES];
        MOSAIC_SSIM__UNROLL
        for (m = 0; m < 5; m++) sums[m] = *(const MOSAIC_SSIM__I *)(const void *)(column + (size_t)m * capacity);
        MOSAIC_SSIM__UNROLL
        for (j = 0; j < lanes; j++, line += 4 * capacity) {
            MOSAIC_SSIM__I x = MOSAIC_SSIM__INT_U8(line), y = MOSAIC_SSIM__INT_U8(line + capacity);
            MOSAIC_SSIM__I p = MOSAIC_SSIM__INT_U8(line + 2 * capacity), q = MOSAIC_SSIM__INT_U8(line + 3 * capacity);
            MOSAIC_SSIM__I dx = x - p, dy = y - q;
            sums[0] += dx, sums[1] += dy, sums[2] += dx * (x + p), sums[3] += x * y - p * q, sums[4] += dy * (y + q);
            MOSAIC_SSIM__UNROLL
            for (m = 0; m < 5; m++) past[m][j] = sums[m];
        }
        MOSAIC_SSIM__UNROLL
        for (m = 0; m < 5; m++) {
            MOSAIC_SSIM__V means[MOSAIC_SSIM__LANES];
            *(MOSAIC_SSIM__I *)(void *)(column + (size_t)m * capacity) = sums[m];
            MOSAIC_SSIM__UNROLL
            for (j = 0; j < lanes; j++) means[j] = MOSAIC_SSIM__NAME(divide)(plan, MOSAIC_SSIM__FROM_INT(past[m][j]), 1);
            MOSAIC_SSIM__NAME(turn)(turned + (5 * i + (size_t)m) * lanes, means);
        }
    }
}

/* The same for all other pixels; `rows` of the LANES rows exist. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(down_doubles)(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t top, size_t rows,
                                                         size_t at, size_t count, double *turned, int integers, int single)
{
    const size_t lanes = MOSAIC_SSIM__LANES, block = MOSAIC_SSIM__BLOCK;
    size_t i, j;
    int m;
    for (j = 0; j < rows; j++) {
        mosaic_ssim__enter(plan, lines, top + j, at, count);
        for (i = 0; i < block; i += lanes) {
            MOSAIC_SSIM__V x = MOSAIC_SSIM__NAME(load)(lines->in_x + i), y = MOSAIC_SSIM__NAME(load)(lines->in_y + i);
            MOSAIC_SSIM__V p = MOSAIC_SSIM__NAME(load)(lines->out_x + i), q = MOSAIC_SSIM__NAME(load)(lines->out_y + i), change[5];
            change[0] = x - p, change[1] = y - q;
            change[2] = MOSAIC_SSIM__NAME(round)(x * x, single) - MOSAIC_SSIM__NAME(round)(p * p, single);
            change[3] = MOSAIC_SSIM__NAME(round)(x * y, single) - MOSAIC_SSIM__NAME(round)(p * q, single);
            change[4] = MOSAIC_SSIM__NAME(round)(y * y, single) - MOSAIC_SSIM__NAME(round)(q * q, single);
            MOSAIC_SSIM__UNROLL
            for (m = 0; m < 5; m++) {
                double *column = lines->sums + (size_t)m * plan->capacity + at + i;
                MOSAIC_SSIM__V sum = MOSAIC_SSIM__NAME(load)(column) + change[m];
                MOSAIC_SSIM__NAME(store)(column, sum);
                sum = MOSAIC_SSIM__NAME(round)(MOSAIC_SSIM__NAME(divide)(plan, sum, integers), single);
                MOSAIC_SSIM__NAME(store)(lines->means + ((size_t)m * lanes + j) * block + i, sum);
            }
        }
    }
    for (i = 0; i < block; i += lanes) {
        MOSAIC_SSIM__UNROLL
        for (m = 0; m < 5; m++) {
            MOSAIC_SSIM__V means[MOSAIC_SSIM__LANES];
            MOSAIC_SSIM__UNROLL
            for (j = 0; j < lanes; j++) means[j] = MOSAIC_SSIM__NAME(load)(lines->means + ((size_t)m * lanes + j) * block + i);
            MOSAIC_SSIM__NAME(turn)(turned + (5 * i + (size_t)m) * lanes, means);
        }
    }
}

/* LANES rows of the map from row `top` on, of which `rows` exist. `turned` is a ring of the last columns' means, zeros before the first. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(uniform_rows)(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t top, size_t rows,
                                                         double *map, int bytes, int integers, int single)
{
    const size_t lanes = MOSAIC_SSIM__LANES, block = MOSAIC_SSIM__BLOCK, w = (size_t)plan->window, all = plan->width + (w - 1);
    MOSAIC_SSIM__V sums[5], out[MOSAIC_SSIM__LANES];
    size_t at, i, j, slot = 0;
    int m;
    memset(sums, 0, sizeof sums);
    memset(lines->turned, 0, 5 * lanes * plan->ring * sizeof(double));
    if (bytes) mosaic_ssim__byte_lines(plan, lines, top, lanes);
    for (at = 0; at < all; at += block, slot = slot + block == plan->ring ? 0 : slot + block) {
        double *in = lines->turned + 5 * lanes * slot;
        if (bytes)
            MOSAIC_SSIM__NAME(down_bytes)(plan, lines, at, in);
        else
            MOSAIC_SSIM__NAME(down_doubles)(plan, lines, top, rows, at, all - at < block ? all - at : block, in, integers, single);
        for (i = 0; i < block; i += lanes) {
            const size_t left = slot + i >= w ? slot + i - w : slot + i + plan->ring - w; /* the column that leaves first */
            const int wanted = at + i + lanes > 2 * (w - 1) - (w - 1) / 2;
            MOSAIC_SSIM__UNROLL
            for (j = 0; j < lanes; j++) {
                const double *leaving = lines->turned + 5 * lanes * (left + j < plan->ring ? left + j : left + j - plan->ring);
                MOSAIC_SSIM__V mean[5];
                MOSAIC_SSIM__UNROLL
                for (m = 0; m < 5; m++) {
                    sums[m] += MOSAIC_SSIM__NAME(load)(in + (5 * (i + j) + (size_t)m) * lanes) - MOSAIC_SSIM__NAME(load)(leaving + (size_t)m * lanes);
                    mean[m] = MOSAIC_SSIM__NAME(round)(MOSAIC_SSIM__NAME(divide)(plan, sums[m], integers), single);
                }
                if (wanted) out[j] = MOSAIC_SSIM__NAME(value)(plan, mean[0], mean[1], mean[2], mean[3], mean[4], single);
            }
            if (wanted) MOSAIC_SSIM__NAME(put)(map + at + i, plan->capacity, out);
        }
    }
}

/* ---- rows of the map ---- */

/* Up to MOSAIC_SSIM__ROWS rows of the map from row `top` on. Each comes with what there is left of its first full window before it. */
MOSAIC_SSIM__ISA static void MOSAIC_SSIM__NAME(rows)(const mosaic_ssim__plan *plan, const mosaic_ssim__lines *lines, size_t top, size_t rows)
{
    const int single = plan->type == MOSAIC_SSIM_F32;
    size_t g;
    if (plan->kind == MOSAIC_SSIM__WEIGHTED) {
        MOSAIC_SSIM__NAME(weighted_rows)(plan, lines, top, rows, 4, 0);
        return;
    }
    if (plan->kind == MOSAIC_SSIM__GAUSSIAN) {
        if (single)
            MOSAIC_SSIM__NAME(weighted_rows)(plan, lines, top, rows, 5, 1);
        else
            MOSAIC_SSIM__NAME(weighted_rows)(plan, lines, top, rows, 5, 0);
        return;
    }
    for (g = 0; g < rows; g += MOSAIC_SSIM__LANES) {
        double *map = lines->map + g * plan->capacity;
        size_t left = rows - g < MOSAIC_SSIM__LANES ? rows - g : MOSAIC_SSIM__LANES;
        if (plan->type == MOSAIC_SSIM_U8)
            MOSAIC_SSIM__NAME(uniform_rows)(plan, lines, top + g, left, map, 1, 1, 0);
        else if (plan->type == MOSAIC_SSIM_U16)
            MOSAIC_SSIM__NAME(uniform_rows)(plan, lines, top + g, left, map, 0, 1, 0);
        else if (single)
            MOSAIC_SSIM__NAME(uniform_rows)(plan, lines, top + g, left, map, 0, 0, 1);
        else
            MOSAIC_SSIM__NAME(uniform_rows)(plan, lines, top + g, left, map, 0, 0, 0);
    }
}

/* The sum of the integers of at most MOSAIC_SSIM__SPAN values. */
MOSAIC_SSIM__ISA static uint64_t MOSAIC_SSIM__NAME(total)(const double *values, size_t count)
{
    uint64_t sum = 0;
    size_t i = 0;
#if MOSAIC_SSIM__LANES > 1
    MOSAIC_SSIM__U sums;
    int j;
    memset(&sums, 0, sizeof sums);
    for (; i + MOSAIC_SSIM__LANES <= count; i += MOSAIC_SSIM__LANES) sums += (MOSAIC_SSIM__U)(MOSAIC_SSIM__NAME(load)(values + i) + 3.0);
    for (j = 0; j < MOSAIC_SSIM__LANES; j++) sum += sums[j];
    sum -= (uint64_t)i * 0x4000000000000000u;
#endif
    for (; i < count; i++) sum += mosaic_ssim__fixed(values[i]);
    return sum;
}

#if MOSAIC_SSIM__LANES >= 4

#define MOSAIC_SSIM__OP(name) MOSAIC_SSIM__PASTE(MOSAIC_SSIM__PREFIX, name)
#define MOSAIC_SSIM__PART(name) MOSAIC_SSIM__PASTE(name, MOSAIC_SSIM__PREFIX_SI)
#define MOSAIC_SSIM__WIDE (2 * MOSAIC_SSIM__LANES)
#define MOSAIC_SSIM__W MOSAIC_SSIM__WIDE_I
#define MOSAIC_SSIM__D MOSAIC_SSIM__WIDE_D

/* ---- 8-bit pixels under uniform windows, exactly: WIDE columns at a time ---- */

/* The pixels of both rows in 16 bits each, x low; `left` of them exist, of `done` + left in the row. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__W MOSAIC_SSIM__NAME(pairs)(const unsigned char *x, const unsigned char *y, size_t left, size_t done)
{
#if MOSAIC_SSIM__LANES == 8
    __mmask16 mask = (__mmask16)(left < 16 ? (1u << left) - 1u : 0xffffu);
    __m128i p = _mm_maskz_loadu_epi8(mask, x), q = _mm_maskz_loadu_epi8(mask, y);
    (void)done;
    return _mm512_cvtepu8_epi16(_mm256_set_m128i(_mm_unpackhi_epi8(p, q), _mm_unpacklo_epi8(p, q)));
#else
    __m128i p, q;
    if (left >= 8) {
        p = _mm_loadl_epi64((const __m128i *)(const void *)x), q = _mm_loadl_epi64((const __m128i *)(const void *)y);
    } else { /* nothing beyond the row may be read: its last eight pixels, moved down, or byte by byte */
        uint64_t a = 0, b = 0;
        size_t k;
        if (done) {
            memcpy(&a, x + left - 8, 8), memcpy(&b, y + left - 8, 8);
            a >>= 64 - 8 * left, b >>= 64 - 8 * left;
        } else {
            for (k = 0; k < left; k++) a |= (uint64_t)x[k] << (8 * k), b |= (uint64_t)y[k] << (8 * k);
        }
        memcpy(&p, &a, 8), memcpy(&q, &b, 8);
    }
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(p, q));
#endif
}

MOSAIC_SSIM__KERNEL MOSAIC_SSIM__W MOSAIC_SSIM__NAME(words)(const void *from)
{
    return MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(loadu_))((const MOSAIC_SSIM__W *)from);
}

/* Both halves of each 32-bit place exchanged. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__W MOSAIC_SSIM__NAME(swap)(MOSAIC_SSIM__W v)
{
#if MOSAIC_SSIM__LANES == 8
    return _mm512_rol_epi32(v, 16);
#else
    return _mm256_or_si256(_mm256_slli_epi32(v, 16), _mm256_srli_epi32(v, 16));
#endif
}

MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(columns_any)(const mosaic_ssim__columns *columns, const unsigned char *xn, const unsigned char *yn,
                                                        const unsigned char *xo, const unsigned char *yo, size_t count, int offset, int weight,
                                                        int cross)
{
    const MOSAIC_SSIM__W twice = MOSAIC_SSIM__OP(set1_epi16)((short)(2 * offset)), times = MOSAIC_SSIM__OP(set1_epi16)((short)weight);
    size_t i;
    for (i = 0; i < count; i += MOSAIC_SSIM__WIDE) {
        MOSAIC_SSIM__W in = MOSAIC_SSIM__NAME(pairs)(xn + i, yn + i, count - i, i), out = MOSAIC_SSIM__NAME(pairs)(xo + i, yo + i, count - i, i);
        MOSAIC_SSIM__W d = MOSAIC_SSIM__OP(sub_epi16)(in, out), s = MOSAIC_SSIM__OP(add_epi16)(in, out), weighted = d;
        MOSAIC_SSIM__W *p = (MOSAIC_SSIM__W *)(void *)(columns->p + i), *q = (MOSAIC_SSIM__W *)(void *)(columns->q + i);
        MOSAIC_SSIM__W *r = (MOSAIC_SSIM__W *)(void *)(columns->r + i);
        if (offset) s = MOSAIC_SSIM__OP(sub_epi16)(s, twice);
        if (weight != 1) weighted = MOSAIC_SSIM__OP(mullo_epi16)(d, times);
        *r = MOSAIC_SSIM__OP(add_epi32)(*r, MOSAIC_SSIM__OP(madd_epi16)(weighted, MOSAIC_SSIM__NAME(swap)(s)));
        if (cross) continue;
        *p = MOSAIC_SSIM__OP(add_epi16)(*p, d);
        *q = MOSAIC_SSIM__OP(add_epi32)(*q, MOSAIC_SSIM__OP(madd_epi16)(weighted, s));
    }
}

MOSAIC_SSIM__ISA static void MOSAIC_SSIM__NAME(columns)(const mosaic_ssim__columns *columns, const unsigned char *xn, const unsigned char *yn,
                                                        const unsigned char *xo, const unsigned char *yo, size_t count, int offset, int weight,
                                                        int cross)
{
    if (weight == 1)
        MOSAIC_SSIM__NAME(columns_any)(columns, xn, yn, xo, yo, count, offset, 1, cross);
    else if (cross)
        MOSAIC_SSIM__NAME(columns_any)(columns, xn, yn, xo, yo, count, 0, weight, 1);
    else
        MOSAIC_SSIM__NAME(columns_any)(columns, xn, yn, xo, yo, count, 0, weight, 0);
}

/* Integers as doubles, in two halves of another order: `low` has the first two of each four, `high` the others. An integer in the low bits of
   2^52 counts ones; this takes half of the time of the processor's conversions. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(to_doubles)(MOSAIC_SSIM__W v, int has_sign, MOSAIC_SSIM__D *low, MOSAIC_SSIM__D *high)
{
    const MOSAIC_SSIM__W exponent = MOSAIC_SSIM__OP(set1_epi32)(0x43300000);
    const MOSAIC_SSIM__D base = MOSAIC_SSIM__OP(set1_pd)(has_sign ? 4503601774854144.0 : 4503599627370496.0); /* 2^52 + 2^31, 2^52 */
    if (has_sign) v = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(xor_))(v, MOSAIC_SSIM__OP(set1_epi32)((int32_t)0x80000000));
    *low = MOSAIC_SSIM__OP(sub_pd)(MOSAIC_SSIM__AS_DOUBLES(MOSAIC_SSIM__OP(unpacklo_epi32)(v, exponent)), base);
    *high = MOSAIC_SSIM__OP(sub_pd)(MOSAIC_SSIM__AS_DOUBLES(MOSAIC_SSIM__OP(unpackhi_epi32)(v, exponent)), base);
}

/* From the order of memory to that of to_doubles, and back. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(part)(MOSAIC_SSIM__D *low, MOSAIC_SSIM__D *high)
{
    MOSAIC_SSIM__D a = *low, b = *high;
#if MOSAIC_SSIM__LANES == 8
    *low = _mm512_shuffle_f64x2(a, b, 0x88), *high = _mm512_shuffle_f64x2(a, b, 0xdd);
#else
    *low = _mm256_permute2f128_pd(a, b, 0x20), *high = _mm256_permute2f128_pd(a, b, 0x31);
#endif
}

MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(join)(MOSAIC_SSIM__D *low, MOSAIC_SSIM__D *high)
{
#if MOSAIC_SSIM__LANES == 8
    MOSAIC_SSIM__D a = _mm512_shuffle_f64x2(*low, *high, 0x44), b = _mm512_shuffle_f64x2(*low, *high, 0xee);
    *low = _mm512_shuffle_f64x2(a, a, 0xd8), *high = _mm512_shuffle_f64x2(b, b, 0xd8);
#else
    MOSAIC_SSIM__NAME(part)(low, high);
#endif
}

/* The stored variances at place i of the row, added. */
MOSAIC_SSIM__KERNEL void MOSAIC_SSIM__NAME(variances)(const mosaic_ssim__row *row, size_t i, MOSAIC_SSIM__D *low, MOSAIC_SSIM__D *high)
{
    const double *a = row->var_a + i, *b = row->var_b + i;
    *low = MOSAIC_SSIM__OP(add_pd)(MOSAIC_SSIM__OP(loadu_pd)(a), MOSAIC_SSIM__OP(loadu_pd)(b));
    *high = MOSAIC_SSIM__OP(add_pd)(MOSAIC_SSIM__OP(loadu_pd)(a + MOSAIC_SSIM__LANES), MOSAIC_SSIM__OP(loadu_pd)(b + MOSAIC_SSIM__LANES));
    MOSAIC_SSIM__NAME(part)(low, high);
}

/* WIDE / 2 values from their integers as doubles. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__D MOSAIC_SSIM__NAME(quotient)(MOSAIC_SSIM__D xy2, MOSAIC_SSIM__D squares, MOSAIC_SSIM__D cov2, MOSAIC_SSIM__D vars,
                                                               const mosaic_ssim__row *row)
{
    const MOSAIC_SSIM__D c1 = MOSAIC_SSIM__OP(set1_pd)(row->c1), c2 = MOSAIC_SSIM__OP(set1_pd)(row->c2);
    MOSAIC_SSIM__D numerator = MOSAIC_SSIM__OP(mul_pd)(MOSAIC_SSIM__OP(add_pd)(xy2, c1), MOSAIC_SSIM__OP(add_pd)(cov2, c2));
    MOSAIC_SSIM__D denominator = MOSAIC_SSIM__OP(mul_pd)(MOSAIC_SSIM__OP(add_pd)(squares, c1), MOSAIC_SSIM__OP(add_pd)(vars, c2));
    return MOSAIC_SSIM__OP(div_pd)(numerator, denominator);
}

/* Adds up the bits of values + 3 and stores the values; `left` of them exist, in the order of memory. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__W MOSAIC_SSIM__NAME(keep)(MOSAIC_SSIM__W sums, MOSAIC_SSIM__D low, MOSAIC_SSIM__D high, double *map, size_t left)
{
    const MOSAIC_SSIM__D three = MOSAIC_SSIM__OP(set1_pd)(3.0);
    MOSAIC_SSIM__W a, b;
    if (map || left < MOSAIC_SSIM__WIDE) MOSAIC_SSIM__NAME(join)(&low, &high);
    a = MOSAIC_SSIM__AS_WORDS(MOSAIC_SSIM__OP(add_pd)(low, three)), b = MOSAIC_SSIM__AS_WORDS(MOSAIC_SSIM__OP(add_pd)(high, three));
    if (left < MOSAIC_SSIM__WIDE) {
        static const int64_t ones[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
        double values[MOSAIC_SSIM__WIDE];
        size_t i;
        MOSAIC_SSIM__OP(storeu_pd)(values, low), MOSAIC_SSIM__OP(storeu_pd)(values + MOSAIC_SSIM__LANES, high);
        for (i = 0; map && i < left; i++) map[i] = values[i];
        a = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(and_))(a, MOSAIC_SSIM__NAME(words)(ones + 16 - left));
        b = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(and_))(b, MOSAIC_SSIM__NAME(words)(ones + 16 - left + MOSAIC_SSIM__LANES));
    } else if (map) {
        MOSAIC_SSIM__OP(storeu_pd)(map, low), MOSAIC_SSIM__OP(storeu_pd)(map + MOSAIC_SSIM__LANES, high);
    }
    return MOSAIC_SSIM__OP(add_epi64)(sums, MOSAIC_SSIM__OP(add_epi64)(a, b));
}

/* The sum of `count` values' integers from the sums of their bits. */
MOSAIC_SSIM__KERNEL uint64_t MOSAIC_SSIM__NAME(sum_up)(MOSAIC_SSIM__W sums, size_t count)
{
    uint64_t part[MOSAIC_SSIM__LANES], sum = 0;
    size_t i;
    memcpy(part, &sums, sizeof part);
    for (i = 0; i < MOSAIC_SSIM__LANES; i++) sum += part[i];
    return sum - (uint64_t)count * 0x4000000000000000u;
}

/* The sums of a column and its right neighbour. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__W MOSAIC_SSIM__NAME(neighbours)(const void *columns, size_t i)
{
    const int32_t *c = (const int32_t *)columns + i;
    return MOSAIC_SSIM__OP(add_epi32)(MOSAIC_SSIM__NAME(words)(c), MOSAIC_SSIM__NAME(words)(c + 1));
}

/* The sums of seven columns from each place on: three pairs and one. *two goes from the pairs at i to those at i + WIDE; shifting registers
   costs less than loading at every odd place, since such loads touch two cache lines. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__W MOSAIC_SSIM__NAME(seven)(const void *columns, size_t i, MOSAIC_SSIM__W *two)
{
    MOSAIC_SSIM__W here = *two, next = MOSAIC_SSIM__NAME(neighbours)(columns, i + MOSAIC_SSIM__WIDE);
    *two = next;
    return MOSAIC_SSIM__OP(add_epi32)(MOSAIC_SSIM__OP(add_epi32)(here, MOSAIC_SSIM__NAME(words)((const int32_t *)columns + i + 6)),
                                      MOSAIC_SSIM__OP(add_epi32)(MOSAIC_SSIM__SHIFT(next, here, 2), MOSAIC_SSIM__SHIFT(next, here, 4)));
}

MOSAIC_SSIM__KERNEL uint64_t MOSAIC_SSIM__NAME(seven_row)(const mosaic_ssim__row *row, size_t first, size_t count, int stored)
{
    const mosaic_ssim__columns *columns = &row->columns;
    MOSAIC_SSIM__W sums = MOSAIC_SSIM__OP(set1_epi32)(0), two_p = MOSAIC_SSIM__NAME(neighbours)(columns->p, first);
    MOSAIC_SSIM__W two_q = MOSAIC_SSIM__NAME(neighbours)(columns->q, first), two_r = MOSAIC_SSIM__NAME(neighbours)(columns->r, first);
    size_t i;
    for (i = first; i < first + count; i += MOSAIC_SSIM__WIDE) {
        MOSAIC_SSIM__W p, squares, xy2;
        MOSAIC_SSIM__D low[4], high[4];
        if (stored)
            p = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(or_))(MOSAIC_SSIM__NAME(words)(row->sum_a + i),
                                                        MOSAIC_SSIM__OP(slli_epi32)(MOSAIC_SSIM__NAME(words)(row->sum_b + i), 16));
        else
            p = MOSAIC_SSIM__NAME(seven)(columns->p, i, &two_p);
        squares = MOSAIC_SSIM__OP(madd_epi16)(p, p);
        xy2 = MOSAIC_SSIM__OP(madd_epi16)(p, MOSAIC_SSIM__NAME(swap)(p));
        MOSAIC_SSIM__NAME(to_doubles)(xy2, 0, &low[0], &high[0]);
        MOSAIC_SSIM__NAME(to_doubles)(squares, 0, &low[1], &high[1]);
        MOSAIC_SSIM__NAME(to_doubles)(MOSAIC_SSIM__OP(sub_epi32)(MOSAIC_SSIM__NAME(seven)(columns->r, i, &two_r), xy2), 1, &low[2], &high[2]);
        if (stored)
            MOSAIC_SSIM__NAME(variances)(row, i, &low[3], &high[3]);
        else
            MOSAIC_SSIM__NAME(to_doubles)(MOSAIC_SSIM__OP(sub_epi32)(MOSAIC_SSIM__NAME(seven)(columns->q, i, &two_q), squares), 0, &low[3], &high[3]);
        sums = MOSAIC_SSIM__NAME(keep)(sums, MOSAIC_SSIM__NAME(quotient)(low[0], low[1], low[2], low[3], row),
                                       MOSAIC_SSIM__NAME(quotient)(high[0], high[1], high[2], high[3], row), row->map ? row->map + i : NULL,
                                       first + count - i);
    }
    return MOSAIC_SSIM__NAME(sum_up)(sums, count);
}

/* Window sums along a row: the next one is the last plus the entering column minus the leaving one. edges holds these differences from here on,
   *carry the sum at the first place in all. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__W MOSAIC_SSIM__NAME(scan)(MOSAIC_SSIM__W edges, MOSAIC_SSIM__W *carry)
{
    const MOSAIC_SSIM__W zero = MOSAIC_SSIM__OP(set1_epi32)(0);
    MOSAIC_SSIM__W v = MOSAIC_SSIM__OP(add_epi32)(edges, MOSAIC_SSIM__SHIFT(edges, zero, MOSAIC_SSIM__WIDE - 1)), sums;
    v = MOSAIC_SSIM__OP(add_epi32)(v, MOSAIC_SSIM__SHIFT(v, zero, MOSAIC_SSIM__WIDE - 2));
    v = MOSAIC_SSIM__OP(add_epi32)(v, MOSAIC_SSIM__SHIFT(v, zero, MOSAIC_SSIM__WIDE - 4));
#if MOSAIC_SSIM__LANES == 8
    v = MOSAIC_SSIM__OP(add_epi32)(v, MOSAIC_SSIM__SHIFT(v, zero, MOSAIC_SSIM__WIDE - 8));
#endif
    v = MOSAIC_SSIM__OP(add_epi32)(v, *carry); /* the sums one place further on */
    sums = MOSAIC_SSIM__OP(sub_epi32)(v, edges);
    *carry = MOSAIC_SSIM__LAST(v);
    return sums;
}

/* The values of half a vector for any window; see mosaic_ssim__finish_scalar. */
MOSAIC_SSIM__KERNEL MOSAIC_SSIM__D MOSAIC_SSIM__NAME(any_value)(const mosaic_ssim__row *row, MOSAIC_SSIM__D x, MOSAIC_SSIM__D y,
                                                                MOSAIC_SSIM__D squares, MOSAIC_SSIM__D products, int stored)
{
    const MOSAIC_SSIM__D scale = MOSAIC_SSIM__OP(set1_pd)(row->scale), shift = MOSAIC_SSIM__OP(set1_pd)(row->shift);
    MOSAIC_SSIM__D xy = MOSAIC_SSIM__OP(mul_pd)(x, y), cx = MOSAIC_SSIM__OP(sub_pd)(x, shift), cy = MOSAIC_SSIM__OP(sub_pd)(y, shift);
    MOSAIC_SSIM__D cxy = MOSAIC_SSIM__OP(mul_pd)(cx, cy), vars = squares;
    if (!stored)
        vars = MOSAIC_SSIM__OP(sub_pd)(MOSAIC_SSIM__OP(mul_pd)(scale, squares),
                                       MOSAIC_SSIM__OP(add_pd)(MOSAIC_SSIM__OP(mul_pd)(cx, cx), MOSAIC_SSIM__OP(mul_pd)(cy, cy)));
    return MOSAIC_SSIM__NAME(quotient)(
        MOSAIC_SSIM__OP(add_pd)(xy, xy), MOSAIC_SSIM__OP(add_pd)(MOSAIC_SSIM__OP(mul_pd)(x, x), MOSAIC_SSIM__OP(mul_pd)(y, y)),
        MOSAIC_SSIM__OP(sub_pd)(MOSAIC_SSIM__OP(mul_pd)(scale, products), MOSAIC_SSIM__OP(add_pd)(cxy, cxy)), vars, row);
}

MOSAIC_SSIM__KERNEL uint64_t MOSAIC_SSIM__NAME(any_row)(const mosaic_ssim__row *row, size_t first, size_t count, int stored)
{
    const uint32_t *p = row->columns.p;
    const int32_t *q = row->columns.q, *r = row->columns.r;
    const MOSAIC_SSIM__W low_half = MOSAIC_SSIM__OP(set1_epi32)(0xffff);
    MOSAIC_SSIM__W sums = MOSAIC_SSIM__OP(set1_epi32)(0), carry[4];
    size_t w = (size_t)row->window, i;
    int32_t start[4] = {0, 0, 0, 0};
    int k;
    for (i = first; i < first + w; i++) {
        start[0] += (int32_t)(p[i] & 0xffffu), start[1] += (int32_t)(p[i] >> 16);
        start[2] += q[i], start[3] += r[i];
    }
    for (k = 0; k < 4; k++) carry[k] = MOSAIC_SSIM__OP(set1_epi32)(start[k]);
    for (i = first; i < first + count; i += MOSAIC_SSIM__WIDE) {
        MOSAIC_SSIM__W x, y, products;
        MOSAIC_SSIM__D low[4], high[4];
        if (stored) {
            x = MOSAIC_SSIM__NAME(words)(row->sum_a + i), y = MOSAIC_SSIM__NAME(words)(row->sum_b + i);
            MOSAIC_SSIM__NAME(variances)(row, i, &low[2], &high[2]);
        } else {
            MOSAIC_SSIM__W in = MOSAIC_SSIM__NAME(words)(p + i + w), out = MOSAIC_SSIM__NAME(words)(p + i), squares;
            x = MOSAIC_SSIM__OP(sub_epi32)(MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(and_))(in, low_half),
                                           MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(and_))(out, low_half));
            y = MOSAIC_SSIM__OP(sub_epi32)(MOSAIC_SSIM__OP(srli_epi32)(in, 16), MOSAIC_SSIM__OP(srli_epi32)(out, 16));
            x = MOSAIC_SSIM__NAME(scan)(x, &carry[0]), y = MOSAIC_SSIM__NAME(scan)(y, &carry[1]);
            squares = MOSAIC_SSIM__OP(sub_epi32)(MOSAIC_SSIM__NAME(words)(q + i + w), MOSAIC_SSIM__NAME(words)(q + i));
            MOSAIC_SSIM__NAME(to_doubles)(MOSAIC_SSIM__NAME(scan)(squares, &carry[2]), 0, &low[2], &high[2]);
        }
        products = MOSAIC_SSIM__OP(sub_epi32)(MOSAIC_SSIM__NAME(words)(r + i + w), MOSAIC_SSIM__NAME(words)(r + i));
        MOSAIC_SSIM__NAME(to_doubles)(MOSAIC_SSIM__NAME(scan)(products, &carry[3]), 1, &low[3], &high[3]);
        MOSAIC_SSIM__NAME(to_doubles)(x, 0, &low[0], &high[0]), MOSAIC_SSIM__NAME(to_doubles)(y, 0, &low[1], &high[1]);
        sums = MOSAIC_SSIM__NAME(keep)(sums, MOSAIC_SSIM__NAME(any_value)(row, low[0], low[1], low[2], low[3], stored),
                                       MOSAIC_SSIM__NAME(any_value)(row, high[0], high[1], high[2], high[3], stored), row->map ? row->map + i : NULL,
                                       first + count - i);
    }
    return MOSAIC_SSIM__NAME(sum_up)(sums, count);
}

MOSAIC_SSIM__ISA static uint64_t MOSAIC_SSIM__NAME(finish)(const mosaic_ssim__row *row, size_t first, size_t count)
{
    if (row->window == 7) return row->sum_a ? MOSAIC_SSIM__NAME(seven_row)(row, first, count, 1) : MOSAIC_SSIM__NAME(seven_row)(row, first, count, 0);
    return row->sum_a ? MOSAIC_SSIM__NAME(any_row)(row, first, count, 1) : MOSAIC_SSIM__NAME(any_row)(row, first, count, 0);
}

/* ---- the screen of mosaic_ssim_best() ---- */

/* The sum of the map in single precision. The sum of seven columns comes from registers, three pairs and one, since what
   was just stored could not be read back at another place without a wait. value = 4 (XY + c1/2) (M + c2/2) / ((S + c1) (V + c2)). */
MOSAIC_SSIM__ISA static double MOSAIC_SSIM__NAME(screen)(const mosaic_ssim__screen *s)
{
    enum { WIDE = 2 * MOSAIC_SSIM__LANES };
    typedef MOSAIC_SSIM__WIDE_I wide_int;
    typedef MOSAIC_SSIM__WIDE_F wide_float;
    const wide_int scale = MOSAIC_SSIM__OP(set1_epi32)((-49 * 65536) + 49); /* a pixel that enters, and one that leaves */
    const wide_float half_c1 = MOSAIC_SSIM__OP(set1_ps)(s->c1 / 2), half_c2 = MOSAIC_SSIM__OP(set1_ps)(s->c2 / 2);
    const wide_float c1 = MOSAIC_SSIM__OP(set1_ps)(s->c1), c2 = MOSAIC_SSIM__OP(set1_ps)(s->c2);
    wide_float sums = MOSAIC_SSIM__OP(setzero_ps)();
    float part[WIDE];
    double sum = 0, rest;
    size_t line, at, k, added = 0;
    for (line = 0; line < s->map_height + 6; line++) {
        const uint32_t *pairs_a = s->pairs_a + line * s->pair_stride, *pairs_b = s->pairs_b + line * s->pair_stride;
        size_t row = line < 6 ? 0 : (line - 6) * s->map_width;
        wide_int columns = MOSAIC_SSIM__OP(set1_epi32)(0);
        for (at = 0; at < s->map_width + WIDE; at += WIDE) {
            wide_int *stored = (wide_int *)(void *)(s->columns + at), next = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(load_))(stored), pairs, pairs2, x, y,
                     xy, cov;
            wide_float value, below, guess;
            size_t m, count;
            if (at < s->width) {
                const wide_int a = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(loadu_))((const wide_int *)(const void *)(pairs_a + at));
                const wide_int b = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(loadu_))((const wide_int *)(const void *)(pairs_b + at));
                next = MOSAIC_SSIM__OP(add_epi32)(next, MOSAIC_SSIM__OP(madd_epi16)(MOSAIC_SSIM__OP(mullo_epi16)(a, scale), b));
                MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(store_))(stored, next);
            }
            if (at == 0 || line < 6) {
                columns = next;
                continue;
            }
            m = row + at - WIDE;
            pairs = MOSAIC_SSIM__OP(add_epi32)(columns, MOSAIC_SSIM__SHIFT(next, columns, 1));
            pairs2 = MOSAIC_SSIM__OP(add_epi32)(next, MOSAIC_SSIM__SHIFT(next, next, 1));
            cov = MOSAIC_SSIM__OP(add_epi32)(MOSAIC_SSIM__OP(add_epi32)(pairs, MOSAIC_SSIM__SHIFT(pairs2, pairs, 2)),
                                             MOSAIC_SSIM__OP(add_epi32)(MOSAIC_SSIM__SHIFT(pairs2, pairs, 4), MOSAIC_SSIM__SHIFT(next, columns, 6)));
            columns = next;
            x = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(loadu_))((const wide_int *)(const void *)(s->sum_a + m));
            y = MOSAIC_SSIM__PART(MOSAIC_SSIM__OP(loadu_))((const wide_int *)(const void *)(s->sum_b + m));
            xy = MOSAIC_SSIM__OP(madd_epi16)(x, y); /* sums are below 2^15: the upper halves add nothing */
            cov = MOSAIC_SSIM__OP(sub_epi32)(cov, xy);
            x = MOSAIC_SSIM__OP(add_epi32)(MOSAIC_SSIM__OP(madd_epi16)(x, x), MOSAIC_SSIM__OP(madd_epi16)(y, y));
            value = MOSAIC_SSIM__OP(mul_ps)(MOSAIC_SSIM__OP(add_ps)(MOSAIC_SSIM__OP(cvtepi32_ps)(xy), half_c1),
                                            MOSAIC_SSIM__OP(add_ps)(MOSAIC_SSIM__OP(cvtepi32_ps)(cov), half_c2));
            below = MOSAIC_SSIM__OP(add_ps)(MOSAIC_SSIM__OP(add_ps)(MOSAIC_SSIM__OP(loadu_ps)(s->var_a + m), MOSAIC_SSIM__OP(loadu_ps)(s->var_b + m)),
                                            c2);
            below = MOSAIC_SSIM__OP(mul_ps)(below, MOSAIC_SSIM__OP(add_ps)(MOSAIC_SSIM__OP(cvtepi32_ps)(x), c1));
            guess = MOSAIC_SSIM__RECIPROCAL(below);
#if MOSAIC_SSIM__LANES == 4 /* its guess is four times as coarse: one step of Newton's */
            guess = MOSAIC_SSIM__OP(mul_ps)(guess, MOSAIC_SSIM__OP(fnmadd_ps)(below, guess, MOSAIC_SSIM__OP(set1_ps)(2)));
#endif
            count = s->map_width - (at - WIDE);
            if (count < WIDE) {
                MOSAIC_SSIM__OP(storeu_ps)(part, MOSAIC_SSIM__OP(mul_ps)(value, guess));
                for (k = 0; k < count; k++) sum += (double)part[k];
            } else {
                sums = MOSAIC_SSIM__OP(fmadd_ps)(value, guess, sums);
            }
        }
        added += s->map_width / WIDE;
        if (added < 32 && line < s->map_height + 5) continue;
        MOSAIC_SSIM__OP(storeu_ps)(part, sums); /* before single precision gets too coarse for the sum */
        for (k = 0; k < WIDE; k++) sum += (double)part[k];
        sums = MOSAIC_SSIM__OP(setzero_ps)();
        added = 0;
        rest = (double)((s->map_height + 5 - line) * s->map_width); /* no value is above 1 */
        if (4 * sum + rest < s->limit) return 4 * sum + rest;
    }
    return 4 * sum;
}

#undef MOSAIC_SSIM__OP
#undef MOSAIC_SSIM__PART
#undef MOSAIC_SSIM__PREFIX
#undef MOSAIC_SSIM__PREFIX_SI
#undef MOSAIC_SSIM__WIDE_I
#undef MOSAIC_SSIM__WIDE_F
#undef MOSAIC_SSIM__WIDE_D
#undef MOSAIC_SSIM__WIDE
#undef MOSAIC_SSIM__W
#undef MOSAIC_SSIM__D
#undef MOSAIC_SSIM__AS_DOUBLES
#undef MOSAIC_SSIM__AS_WORDS
#undef MOSAIC_SSIM__LAST
#undef MOSAIC_SSIM__SHIFT
#undef MOSAIC_SSIM__RECIPROCAL
#endif

#undef MOSAIC_SSIM__KERNEL
#undef MOSAIC_SSIM__U
#undef MOSAIC_SSIM__I
#undef MOSAIC_SSIM__V
#undef MOSAIC_SSIM__NAME
#undef MOSAIC_SSIM__PASTE
#undef MOSAIC_SSIM__PASTE2
#undef MOSAIC_SSIM__FMA
#undef MOSAIC_SSIM__SINGLE
#undef MOSAIC_SSIM__FROM_U8
#undef MOSAIC_SSIM__FROM_U16
#undef MOSAIC_SSIM__INT_U8
#undef MOSAIC_SSIM__FROM_INT
#undef MOSAIC_SSIM__ISA
#undef MOSAIC_SSIM__LANES

#endif /* MOSAIC_SSIM__LANES */

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
