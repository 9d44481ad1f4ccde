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

/* Jobs from the last to the first. */
static void backwards(void *ctx, void (*job)(void *arg, int index), void *arg, int count)
{
    (void)ctx;
    while (count-- > 0) job(arg, count);
}

static void *room(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory) abort();
    return memory;
}

static void must(int condition)
{
    if (!condition) abort();
}

/* Everything a comparison gives, in memory of just the size; channels is 1 or more. */
typedef struct answer {
    mosaic_ssim_result result;
    mosaic_ssim_output out;
    double contrast, *map, *contrast_map, *rows, *gradient;
} answer;

static void ask(answer *to, const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *o, const uint8_t *form, int work)
{
    size_t planes = a->channels ? (size_t)a->channels : 1, stride = a->width + form[15] % 4, plane = stride * a->height + form[15] / 4 % 3, size = 0;
    void *memory = NULL;
    memset(to, 0, sizeof *to);
    to->map = (double *)room(plane * planes * sizeof(double)), to->contrast_map = (double *)room(plane * planes * sizeof(double));
    to->gradient = (double *)room(a->width * a->height * planes * sizeof(double)), to->rows = (double *)room(a->height * planes * sizeof(double));
    if (form[12] & 1) to->out.map = to->map, to->out.map_stride = stride, to->out.map_channel_stride = plane;
    if (form[12] & 2) to->out.gradient = to->gradient;
    if (form[12] & 4) to->out.full = 1;
    if (form[12] & 8) to->out.contrast = &to->contrast;
    if (form[12] & 16) to->out.contrast_map = to->contrast_map, to->out.map_stride = stride, to->out.map_channel_stride = plane;
    if (form[12] & 32) to->out.row_sums = to->rows;
    if (work && mosaic_ssim_work_size_for(a, o, &to->out, &size) == MOSAIC_SSIM_OK) memory = room(size);
    to->result = mosaic_ssim_compare(a, b, o, &to->out, memory, size);
    free(memory);
}

static void release(answer *a) { free(a->map), free(a->contrast_map), free(a->rows), free(a->gradient); }

/* Prepared pictures: scored, in a batch, and the best of them, all in agreement. */
static void try_prepared(const mosaic_ssim_image *a, const mosaic_ssim_image *b, const mosaic_ssim_options *o)
{
    mosaic_ssim_prepared *x, *y;
    const mosaic_ssim_prepared *others[3];
    mosaic_ssim_output one, score;
    double means[3], mean = 0;
    size_t need = 0, size = 0, winner = 9, best;
    void *memory_a, *memory_b, *work;
    if (mosaic_ssim_prepared_size(a, o, &need) != MOSAIC_SSIM_OK) return;
    must(mosaic_ssim_work_size(a, o, &size) == MOSAIC_SSIM_OK);
    memory_a = room(need), memory_b = room(need), work = room(size);
    must(mosaic_ssim_prepare(a, o, memory_a, need, &x, work, size) == MOSAIC_SSIM_OK);
    must(mosaic_ssim_prepare(b, o, memory_b, need, &y, NULL, 0) == MOSAIC_SSIM_OK);
    others[0] = y, others[1] = x, others[2] = y;
    memset(&one, 0, sizeof one), memset(&score, 0, sizeof score);
    must(mosaic_ssim_compare(a, b, o, &one, NULL, 0) == MOSAIC_SSIM_OK && mosaic_ssim_score(x, y, o, &score, work, size) == MOSAIC_SSIM_OK);
    must(mosaic_ssim_score_many(x, others, 3, o, means, work, size) == MOSAIC_SSIM_OK);
    must(mosaic_ssim_best(x, others, 3, o, &winner, &mean, work, size) == MOSAIC_SSIM_OK);
    best = means[1] > means[0] ? 1 : 0;
    must(memcmp(&one.mean, &score.mean, 8) == 0 && memcmp(&one.mean, &means[0], 8) == 0 && memcmp(&means[0], &means[2], 8) == 0);
    must(means[1] >= 1 && means[1] <= 1 && winner == best && memcmp(&mean, &means[best], 8) == 0);
    free(memory_a), free(memory_b), free(work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t form[32];
    mosaic_ssim_image a, b, wild;
    mosaic_ssim_options o;
    answer first, second;
    unsigned char *memory_a, *memory_b;
    double taps[4], mean;
    size_t need = 0;
    int i;
    take(&data, &size, form, sizeof form);
    memset(&o, 0, sizeof o);
    memory_a = make(&a, &data, &size, form), memory_b = make(&b, &data, &size, form);
    o.window = form[5] & 1 ? (form[6] < 200 ? form[6] % 12 * 2 + 3 : form[6] - 202) : 0, o.simd = form[7] % 7;
    o.arithmetic = (mosaic_ssim_arithmetic)(form[8] & 1), o.weights = (mosaic_ssim_weights)(form[8] >> 1 & 1),
    o.mean_rule = (mosaic_ssim_mean_rule)(form[8] >> 2 & 1);
    o.covariance = (mosaic_ssim_covariance)(form[8] >> 3 & 1);
    if (form[9] & 1) memcpy(&o.sigma, form + 16, 8);
    if (form[9] & 2) o.sigma = form[10] / 16.0;
    if (form[9] & 4) memcpy(form[9] & 8 ? &o.k1 : &o.k2, form + 16, 8);
    if (form[9] & 16) memcpy(form[9] & 32 ? &o.c1 : &o.c2, form + 24, 8);
    if (form[9] & 64) {
        for (i = 0; i < 4; i++) taps[i] = form[16 + i] / 250.0; /* hardly ever too large */
        o.taps = taps, o.tap_count = form[13] % 6 - 1;
    }
    o.data_range = form[11] / 2.0;
    ask(&first, &a, &b, &o, form, 0);
    if (o.simd) { /* the same in another way: other kernels, cut into jobs, in a work area of just the size */
        mosaic_ssim_options other = o;
        other.simd = 0, other.run = backwards, other.jobs = form[13] % 9;
        ask(&second, &a, &b, &other, form, 1);
        if (first.result != MOSAIC_SSIM_ERROR_SIMD) must(first.result == second.result);
        if (first.result == MOSAIC_SSIM_OK && a.type < MOSAIC_SSIM_F32) /* floats may make numbers that are none, in any bits */
            must(memcmp(&first.out.mean, &second.out.mean, 8) == 0 && memcmp(&first.contrast, &second.contrast, 8) == 0);
        release(&second);
    }
    release(&first);
    (void)mosaic_ssim_multiscale(&a, &b, &o, &mean, NULL, 0);
    try_prepared(&a, &b, &o);
    if (a.type == MOSAIC_SSIM_U8 && a.channels < 2 && !(form[4] & 3) && a.width >= 7 && a.height >= 7)
        must(mosaic_ssim_gray8(memory_a, a.width, memory_b, a.width, a.width, a.height, &mean) == MOSAIC_SSIM_OK && mosaic_ssim_dssim(mean) >= 0);
    wild = a; /* whatever the numbers are, sizes are worked out or refused */
    memcpy(&wild.width, form + 8, sizeof wild.width), memcpy(&wild.height, form + 16, sizeof wild.height);
    (void)mosaic_ssim_work_size(&wild, &o, &need), (void)mosaic_ssim_prepared_size(&wild, &o, &need),
        (void)mosaic_ssim_multiscale_work_size(&wild, &o, &need);
    memcpy(&a.row_stride, form + 16, sizeof a.row_stride), memcpy(&a.pixel_stride, form + 24, sizeof a.pixel_stride);
    memset(&first.out, 0, sizeof first.out);
    if (a.row_stride > PTRDIFF_MAX / 2 || a.row_stride < PTRDIFF_MIN / 2 || a.pixel_stride > PTRDIFF_MAX / 2 || a.pixel_stride < PTRDIFF_MIN / 2)
        must(mosaic_ssim_compare(&a, &b, &o, &first.out, NULL, 0) != MOSAIC_SSIM_OK); /* before anything is read */
    must(mosaic_ssim_result_string(first.result)[0] != 0);
    free(memory_a), free(memory_b);
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
        bytes[9] &= 66, bytes[10] %= 48; /* mostly options that are accepted */
        LLVMFuzzerTestOneInput(bytes, (size_t)(state >> 40) % sizeof bytes);
    }
    return 0;
}
#endif
