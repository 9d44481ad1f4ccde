/* The demonstration material: the same bytes everywhere, a thousand different pictures of all colours, a true pan, a cut, a still background. */
#include "../../examples/util/procedural.h"
#include "../test.h"

enum { W = 128, H = 72, FRAME = W * H * 3 };

static uint64_t fnv(const uint8_t *p, size_t n)
{
    uint64_t h = 14695981039346656037u;
    while (n--) h = (h ^ *p++) * 1099511628211u;
    return h;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

typedef struct {
    int x0, y0, x1, y1; /* x1, y1 are just outside; empty when x0 >= x1 */
} box;

/* Where frame b differs from frame a moved `shift` px to the left. */
static box difference(const uint8_t *a, const uint8_t *b, int shift)
{
    box d = {W, H, 0, 0};
    int x, y;
    for (y = 0; y < H; y++)
        for (x = 0; x + shift < W; x++)
            if (memcmp(a + 3 * (y * W + x + shift), b + 3 * (y * W + x), 3)) {
                d.x0 = x < d.x0 ? x : d.x0;
                d.y0 = y < d.y0 ? y : d.y0;
                d.x1 = x >= d.x1 ? x + 1 : d.x1;
                d.y1 = y >= d.y1 ? y + 1 : d.y1;
            }
    return d;
}

static long distance(const uint8_t *a, const uint8_t *b)
{
    long sum = 0;
    int i;
    for (i = 0; i < FRAME; i++) sum += labs((long)a[i] - b[i]);
    return sum / FRAME;
}

/* The middle column of the balloon's red and yellow above the hills, in 1/16 px. */
static int balloon(const uint8_t *rgb)
{
    long sum = 0, count = 0;
    int x, y;
    for (y = 0; y < H * 2 / 5; y++)
        for (x = 0; x < W; x++) {
            const uint8_t *p = rgb + 3 * (y * W + x);
            if (p[0] > 170 && p[2] < 60) sum += x, count++;
        }
    return count ? (int)(16 * sum / count) : -1;
}

static void test_golden(void)
{
    static const struct {
        int index, width, height;
        uint64_t hash;
    } photos[] = {
        {0, 32, 32, 0x834da53431da1054u},   {42, 48, 27, 0x3bc3500cc4a22847u},  {81, 21, 40, 0xc220e4fab38580c7u},
        {120, 16, 16, 0x64cfc209f61f001eu}, {162, 32, 32, 0x95a9c5536950e0fdu}, {201, 48, 27, 0x7f94d5df879db873u},
        {240, 21, 40, 0x9e712fb3c7262ff0u}, {282, 16, 16, 0x5ef608d3ed69202cu}, {321, 32, 32, 0xd03afca225433ac9u},
        {360, 48, 27, 0x2e1e8d08ae246d6fu}, {402, 21, 40, 0xd8de62018a816fd1u}, {441, 16, 16, 0x66db9991b70f5e7fu},
        {480, 32, 32, 0x7f867cd39f9f0fafu}, {522, 48, 27, 0xe09174bba2f56bd4u}, {561, 21, 40, 0xa6f272497a546516u},
        {600, 16, 16, 0x48a0a951f2f5dbf9u}, {642, 32, 32, 0xb2933861f9b94e83u}, {681, 48, 27, 0xe471e0c9ecab8ac5u},
        {720, 21, 40, 0xf45915cdea236d56u}, {762, 16, 16, 0xf78f390b4a519af0u}, {801, 32, 32, 0x99e7e827262151f0u},
        {840, 48, 27, 0x3f82a5f75e19f9d4u}, {882, 21, 40, 0xcb6e800a8a69ab8eu}, {921, 16, 16, 0x44820f59f93754a2u},
        {960, 32, 32, 0x5e021a78646433b4u}, {0, 96, 96, 0xf347fc2ccdc28457u},
    };
    static const struct {
        int frame, width, height;
        uint64_t hash;
    } frames[] = {
        {0, 96, 54, 0x5a1b0910ee54249bu},  {1, 96, 54, 0x6d48819f492561e5u},  {7, 40, 70, 0x6f9d3b3388dda8aeu},  {15, 96, 54, 0xb804cac0a3307bb8u},
        {16, 96, 54, 0xe9d39d26e3041ef1u}, {17, 96, 54, 0x7ccf43053e4f124eu}, {23, 96, 54, 0x00d785b49986bbf3u},
    };
    uint8_t rgb[96 * 96 * 3];
    size_t i;
    for (i = 0; i < sizeof photos / sizeof photos[0]; i++) {
        size_t n = (size_t)photos[i].width * (size_t)photos[i].height * 3;
        CHECK(procedural_photo(photos[i].index, photos[i].width, photos[i].height, rgb));
        CHECK_MSG(fnv(rgb, n) == photos[i].hash, "{%d, %d, %d, 0x%016llx},", photos[i].index, photos[i].width, photos[i].height,
                  (unsigned long long)fnv(rgb, n));
    }
    for (i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        size_t n = (size_t)frames[i].width * (size_t)frames[i].height * 3;
        CHECK(procedural_frame(frames[i].frame, frames[i].width, frames[i].height, rgb));
        CHECK_MSG(fnv(rgb, n) == frames[i].hash, "{%d, %d, %d, 0x%016llx},", frames[i].frame, frames[i].width, frames[i].height,
                  (unsigned long long)fnv(rgb, n));
    }
}

static void test_clip(void)
{
    static uint8_t frame[PROCEDURAL_FRAMES][FRAME];
    const int pan = procedural_pan(W, H), step = 4, last = PROCEDURAL_CUT - 1;
    int f;
    for (f = 0; f < PROCEDURAL_FRAMES; f++) CHECK(procedural_frame(f, W, H, frame[f]));
    CHECK(pan > 0 && step * pan % 64 == 0);
    for (f = 0; f + step <= last; f++) { /* all but the balloon is the same scenery, moved */
        box d = difference(frame[f], frame[f + step], step * pan / 64);
        CHECK_MSG(d.x0 < d.x1 && d.x1 - d.x0 <= 50 && d.y1 - d.y0 <= 56, "frame %d: %d, %d ... %d, %d", f, d.x0, d.y0, d.x1, d.y1);
    }
    for (f = 0; f < last; f++) { /* a fraction of a pixel at a time, but never a repeated frame; the balloon flies to the right */
        CHECK(memcmp(frame[f], frame[f + 1], FRAME));
        CHECK_MSG(balloon(frame[f]) >= 0 && balloon(frame[f]) < balloon(frame[f + 1]), "frame %d: %d, %d", f, balloon(frame[f]),
                  balloon(frame[f + 1]));
    }
    CHECK(distance(frame[last], frame[last + 1]) > 40);
    for (f = 0; f + 1 < PROCEDURAL_FRAMES; f++)
        if (f != last) CHECK_MSG(distance(frame[f], frame[f + 1]) < 20, "frame %d", f);
    for (f = PROCEDURAL_CUT; f + 1 < PROCEDURAL_FRAMES; f++) { /* only the boat moves, before the sea on the left */
        box d = difference(frame[f], frame[f + 1], 0);
        CHECK_MSG(d.x0 < d.x1 && d.x1 - d.x0 <= 40 && d.x1 < W / 2 && d.y0 > H / 5 && d.y1 - d.y0 <= 52, "frame %d: %d, %d ... %d, %d", f, d.x0, d.y0,
                  d.x1, d.y1);
    }
    f = PROCEDURAL_CUT;
    CHECK(difference(frame[f], frame[f + 1], 0).x1 < difference(frame[f + 6], frame[f + 7], 0).x1);
}

/* All different, and enough of every kind of colour for a mosaic. */
static void test_set(void)
{
    static const char *const kinds[] = {"red", "yellow", "green", "cyan", "blue", "magenta", "dark", "grey", "bright"};
    enum { SIDE = 16, N = SIDE * SIDE };
    static uint64_t hash[PROCEDURAL_PHOTOS];
    int count[9] = {0}, i, k;
    for (i = 0; i < PROCEDURAL_PHOTOS; i++) {
        uint8_t rgb[N * 3];
        int sum[3] = {0, 0, 0}, low, high;
        CHECK(procedural_photo(i, SIDE, SIDE, rgb));
        hash[i] = fnv(rgb, sizeof rgb);
        for (k = 0; k < N * 3; k++) sum[k % 3] += rgb[k];
        low = high = sum[0] / N;
        for (k = 0; k < 3; k++) {
            sum[k] /= N;
            low = sum[k] < low ? sum[k] : low;
            high = sum[k] > high ? sum[k] : high;
        }
        if (high < 60)
            count[6]++;
        else if (low > 180)
            count[8]++;
        else if (high - low < 16)
            count[7]++;
        else if (high - low > 40) {
            /* the sixth of the colour circle: the strongest channel, or the two strong ones */
            int middle = sum[0] + sum[1] + sum[2] - low - high, two = middle - low > high - middle;
            for (k = 0; k < 3; k++) {
                if (!two && sum[k] == high) break;
                if (two && sum[k] == low) break;
            }
            count[two ? (k == 2 ? 1 : k == 0 ? 3 : 5) : 2 * k]++;
        }
    }
    qsort(hash, PROCEDURAL_PHOTOS, sizeof hash[0], by_value);
    for (i = 1; i < PROCEDURAL_PHOTOS; i++) CHECK(hash[i] != hash[i - 1]);
    for (k = 0; k < 9; k++) CHECK_MSG(count[k] >= 15, "%s: %d", kinds[k], count[k]);
}

static void test_sizes(void)
{
    static const int sizes[][2] = {{1, 1}, {1, 9}, {9, 1}, {2, 3}, {7, 40}, {40, 7}, {300, 2}};
    static const int wrong[][2] = {{0, 5}, {5, 0}, {-1, 5}, {5, -3}, {16385, 1}};
    uint8_t rgb[300 * 2 * 3 + 1];
    size_t i;
    int k;
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int w = sizes[i][0], h = sizes[i][1];
        uint8_t *end = rgb + 3 * w * h;
        for (k = 0; k < 100; k++) { /* every family and most of their styles */
            *end = 77;
            CHECK(procedural_photo(k, w, h, rgb) && *end == 77);
        }
        for (k = 0; k < PROCEDURAL_FRAMES; k += 5) {
            *end = 77;
            CHECK(procedural_frame(k, w, h, rgb) && *end == 77);
        }
    }
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK(!procedural_photo(3, wrong[i][0], wrong[i][1], rgb) && !procedural_frame(3, wrong[i][0], wrong[i][1], rgb));
    CHECK(!procedural_frame(-1, 4, 4, rgb) && !procedural_frame(PROCEDURAL_FRAMES, 4, 4, rgb));
    CHECK(procedural_photo(-1, 4, 4, rgb) && procedural_photo(2147483647, 4, 4, rgb));
}

int main(void)
{
    test_golden();
    test_clip();
    test_set();
    test_sizes();
    return test_end("procedural");
}
