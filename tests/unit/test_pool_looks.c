/* Looks: photographs with their hues turned, and turned themselves, in pools, files, and in the engine. */
#include "../test.h"
#include "../threads.h"
#include <math.h>
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../../mosaic_temporal.h"

enum { CELL = 24, COLS = 6, ROWS = 4, WIDTH = CELL * COLS, HEIGHT = CELL * ROWS, BYTES = CELL * CELL * 3 };

static double light_of(double v) { return v <= .04045 ? v / 12.92 : pow((v + .055) / 1.055, 2.4); }
static double level_of(double v) { return 255 * (v <= .0031308 ? v * 12.92 : 1.055 * pow(v, 1 / 2.4) - .055); }

static void lab_of(const uint8_t *rgb, double lab[3])
{
    const double r = light_of(rgb[0] / 255.), g = light_of(rgb[1] / 255.), b = light_of(rgb[2] / 255.);
    const double l = cbrt(.4122214708 * r + .5363325363 * g + .0514459929 * b), m = cbrt(.2119034982 * r + .6806995451 * g + .1073969566 * b);
    const double s = cbrt(.0883024619 * r + .2817188376 * g + .6299787005 * b);
    lab[0] = .2104542553 * l + .7936177850 * m - .0040720468 * s;
    lab[1] = 1.9779984951 * l - 2.4285922050 * m + .4505937099 * s;
    lab[2] = .0259040371 * l + .7827717662 * m - .8086757660 * s;
}

static void rgb_of(double lightness, double a, double b, double rgb[3])
{
    const double l = pow(lightness + .3963377774 * a + .2158037573 * b, 3), m = pow(lightness - .1055613458 * a - .0638541728 * b, 3);
    const double s = pow(lightness - .0894841775 * a - 1.2914855480 * b, 3);
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + .2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - .3413193965 * s;
    rgb[2] = -.0041960863 * l - .7034186147 * m + 1.7076147010 * s;
}

/* Smooth enough that its describing pixels see what is in it, and without symmetry. */
static void make_tile(uint8_t *tile, int width, int height, unsigned seed)
{
    double base[3], slope[3][3];
    int x, y, c, k;
    test_seed = 1000003u * (seed + 1) + 88172645463325252ull;
    for (c = 0; c < 8; c++) test_random();
    for (c = 0; c < 3; c++) {
        base[c] = test_range(70, 180);
        for (k = 0; k < 3; k++) slope[c][k] = test_range(-60, 60);
    }
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++)
            for (c = 0; c < 3; c++) {
                const double u = (x + .5) / width - .5, v = (y + .5) / height - .5,
                             value = base[c] + slope[c][0] * u + slope[c][1] * v + 3 * slope[c][2] * u * v;
                tile[(y * width + x) * 3 + c] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
            }
}

/* Every second one is like the one before but for a bar. */
static void make_photo(uint8_t *tile, unsigned i)
{
    int p;
    make_tile(tile, CELL, CELL, i / 2);
    for (p = 0; p < BYTES && i % 2; p++)
        if (p / 3 % CELL / 4 == 1) tile[p] = (uint8_t)(tile[p] < 245 ? tile[p] + 10 : 255);
}

/* Against the definition in double precision: lightness is kept, and the colour's direction turned by its angle; so is its length, within sRGB. */
static void test_hues(void)
{
    static uint8_t colours[16 * 16 * 3], looks[8 * 16 * 16 * 3];
    int hues, h, i, c;
    for (i = 0; i < 256; i++)
        for (c = 0; c < 3; c++) colours[3 * i + c] = (uint8_t)(i < 64 ? 85 * (i >> 2 * c & 3) : test_random());
    for (hues = 0; hues <= 7; hues++) {
        double worst = 0, most_left = 0;
        CHECK(mosaic_tile_looks(colours, 16, 16, hues, 0, looks) == MOSAIC_OK);
        CHECK(memcmp(colours, looks, sizeof colours) == 0);
        for (h = 1; h <= hues; h++)
            for (i = 0; i < 256; i++) {
                const double angle = 2 * 3.14159265358979323846 * h / (hues + 1);
                const uint8_t *out = looks + h * (int)sizeof colours + 3 * i;
                double lab[3], rgb[3], low = 0, high = 1, a, b;
                int k, inside = 1;
                lab_of(colours + 3 * i, lab);
                a = lab[1] * cos(angle) - lab[2] * sin(angle);
                b = lab[1] * sin(angle) + lab[2] * cos(angle);
                rgb_of(lab[0], a, b, rgb);
                for (c = 0; c < 3; c++) inside = inside && rgb[c] > -1e-7 && rgb[c] < 1 + 1e-7;
                for (k = 0; k < 40 && !inside; k++) {
                    const double middle = (low + high) / 2;
                    rgb_of(lab[0], a * middle, b * middle, rgb);
                    if (rgb[0] >= 0 && rgb[0] <= 1 && rgb[1] >= 0 && rgb[1] <= 1 && rgb[2] >= 0 && rgb[2] <= 1)
                        low = middle;
                    else
                        high = middle;
                }
                if (!inside) rgb_of(lab[0], a * low, b * low, rgb);
                for (c = 0; c < 3; c++) {
                    const double d = fabs(out[c] - level_of(rgb[c] < 0 ? 0 : rgb[c] > 1 ? 1 : rgb[c]));
                    if (inside && d > worst) worst = d;
                    if (!inside && d > most_left) most_left = d;
                }
            }
        CHECK_MSG(worst <= .6 && most_left <= 2, "%d hues: %g levels, %g at the edge of sRGB", hues, worst, most_left);
    }
}

static void test_turns(void)
{
    static const int shape[3][2] = {{8, 8}, {6, 9}, {1, 1}};
    uint8_t tile[9 * 9 * 3], looks[32 * 9 * 9 * 3], again[4 * 9 * 9 * 3];
    int k, h, t, x, y;
    for (k = 0; k < 3; k++) {
        const int w = shape[k][0], n = shape[k][1], bytes = w * n * 3, count = w == n ? 4 : 2;
        for (x = 0; x < bytes; x++) tile[x] = (uint8_t)test_random();
        memset(looks, 0xee, sizeof looks);
        CHECK(mosaic_tile_looks(tile, w, n, 1, 1, looks) == MOSAIC_OK);
        for (x = 2 * count * bytes; x < (int)sizeof looks; x++) CHECK(looks[x] == 0xee);
        for (h = 0; h < 2; h++)
            for (t = 0; t < count; t++)
                for (y = 0; y < n; y++)
                    for (x = 0; x < w; x++) {
                        /* Clockwise: what was at (x, y) goes to the column as far from the right as the row was from the top. */
                        const int quarter = count == 4 ? t : 2 * t;
                        const int to_x = quarter == 0 ? x : quarter == 1 ? n - 1 - y : quarter == 2 ? w - 1 - x : y;
                        const int to_y = quarter == 0 ? y : quarter == 1 ? x : quarter == 2 ? n - 1 - y : w - 1 - x;
                        CHECK(memcmp(looks + (h * count + t) * bytes + (to_y * w + to_x) * 3, looks + h * count * bytes + (y * w + x) * 3, 3) == 0);
                    }
        memcpy(again, tile, (size_t)bytes);
        CHECK(mosaic_tile_looks(again, w, n, 0, 1, again) == MOSAIC_OK && memcmp(again, looks, (size_t)(count * bytes)) == 0);
    }
}

static mosaic_pool *make_pool(int photos, int hues, int turns)
{
    static uint8_t tile[BYTES], looks[MOSAIC_LOOKS_MOST * BYTES];
    mosaic_pool *pool = NULL;
    int i;
    CHECK(mosaic_pool_create(CELL, CELL, NULL, &pool) == MOSAIC_OK);
    CHECK(mosaic_pool_set_looks(pool, hues, turns) == MOSAIC_OK);
    for (i = 0; i < photos; i++) {
        make_photo(tile, (unsigned)i);
        CHECK(mosaic_tile_looks(tile, CELL, CELL, hues, turns, looks) == MOSAIC_OK);
        CHECK(mosaic_pool_add(pool, looks, "p", (uint64_t)i) == MOSAIC_OK);
    }
    return pool;
}

static void test_pool(void)
{
    static uint8_t tile[BYTES], looks[MOSAIC_LOOKS_MOST * BYTES];
    mosaic_pool *pool = make_pool(5, 2, 1), *loaded = NULL;
    size_t size = mosaic_pool_save_size(pool);
    uint8_t *data = (uint8_t *)malloc(size);
    int i, hues = -1, turns = -1;
    CHECK(mosaic_pool_looks(pool, &hues, &turns) == 12 && hues == 2 && turns == 1);
    CHECK(mosaic_pool_set_looks(pool, 1, 0) == MOSAIC_ERROR_OPTION && mosaic_pool_looks(pool, NULL, NULL) == 12);
    CHECK(mosaic_pool_save(pool, data, size) == MOSAIC_OK && data[8] == 1 && data[9] == 0 && data[10] == 2 && data[11] == 1);
    CHECK(size == 40 + 5 * 8 + 16 + (size_t)5 * 12 * BYTES);
    CHECK(mosaic_pool_load(data, size, NULL, &loaded) == MOSAIC_OK && mosaic_pool_looks(loaded, &hues, &turns) == 12 && hues == 2 && turns == 1);
    for (i = 0; i < 5; i++) {
        make_photo(tile, (unsigned)i);
        mosaic_tile_looks(tile, CELL, CELL, 2, 1, looks);
        CHECK(memcmp(mosaic_pool_pixels(pool, i), looks, 12 * BYTES) == 0 && memcmp(mosaic_pool_pixels(loaded, i), looks, 12 * BYTES) == 0);
    }
    mosaic_pool_destroy(loaded);
    /* Another number of looks does not fit the size; one that does not exist is damage whatever the size. */
    for (i = 0; i < 4; i++) {
        const uint8_t kept[2] = {data[10], data[11]};
        data[10] = (uint8_t)(i == 0 ? 1 : i == 1 ? 8 : 2);
        data[11] = (uint8_t)(i == 2 ? 0 : i == 3 ? 2 : 1);
        mosaic__put64(data + 32, mosaic__pool_checksum(data, size));
        CHECK(mosaic_pool_load(data, size, NULL, &loaded) == MOSAIC_ERROR_CORRUPT && loaded == NULL);
        memcpy(data + 10, kept, 2);
    }
    data[9] = 1;
    CHECK(mosaic_pool_load(data, size, NULL, &loaded) == MOSAIC_ERROR_VERSION);
    free(data);
    mosaic_pool_destroy(pool);
    CHECK(mosaic_pool_set_looks(NULL, 0, 0) == MOSAIC_ERROR_NULL && mosaic_pool_looks(NULL, NULL, NULL) == 0);
    CHECK(mosaic_pool_create(8, 4, NULL, &pool) == MOSAIC_OK && mosaic_pool_looks(pool, NULL, NULL) == 1);
    CHECK(mosaic_pool_set_looks(pool, 8, 0) == MOSAIC_ERROR_OPTION && mosaic_pool_set_looks(pool, -1, 0) == MOSAIC_ERROR_OPTION);
    CHECK(mosaic_pool_set_looks(pool, 7, 1) == MOSAIC_OK && mosaic_pool_looks(pool, NULL, NULL) == 16);
    mosaic_pool_destroy(pool);
    CHECK(mosaic_tile_looks(NULL, 4, 4, 0, 0, looks) == MOSAIC_ERROR_NULL && mosaic_tile_looks(tile, 4, 4, 0, 0, NULL) == MOSAIC_ERROR_NULL);
    CHECK(mosaic_tile_looks(tile, 0, 4, 0, 0, looks) == MOSAIC_ERROR_SIZE && mosaic_tile_looks(tile, 4, 4, 8, 0, looks) == MOSAIC_ERROR_OPTION);
}

static mosaic_grid make_grid(void)
{
    mosaic_grid grid;
    mosaic_fit fit;
    memset(&fit, 0, sizeof fit);
    fit.cell_width = CELL;
    fit.height = HEIGHT;
    CHECK(mosaic_grid_fit(WIDTH, HEIGHT, &fit, &grid) == MOSAIC_OK && grid.cols == COLS && grid.rows == ROWS);
    return grid;
}

/* A picture put together of looks: each cell finds its photograph, and the look and variant it was made of, and what is painted is the picture. With
   curves too; and re-ranking prefers it to its near copy. */
static void test_found(int curves, int rerank)
{
    enum { PHOTOS = 40 };
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(PHOTOS, 3, 1); /* 0, 2 … have near copies */
    const mosaic_grid grid = make_grid();
    mosaic_engine *e = NULL;
    mosaic_options o;
    mosaic_input input;
    const mosaic_frame *f = NULL;
    int i, x, y, c, worst = 0, looks[16];
    memset(looks, 0, sizeof looks);
    memset(&input, 0, sizeof input);
    memset(&o, 0, sizeof o);
    o.coherence = MOSAIC_OFF;
    o.min_distance = MOSAIC_OFF;
    o.max_uses = MOSAIC_OFF;
    o.rerank = rerank ? 8 : MOSAIC_OFF;
    if (curves) o.histogram = 1;
    o.bleed = MOSAIC_OFF;
    for (i = 0; i < COLS * ROWS; i++) {
        const uint8_t *tile = mosaic_pool_pixels(pool, i * 6 % PHOTOS) + i * 5 % 16 * BYTES;
        for (y = 0; y < CELL; y++)
            for (x = 0; x < CELL; x++)
                memcpy(rgb + ((i / COLS * CELL + y) * WIDTH + i % COLS * CELL + x) * 3, tile + (y * CELL + (i % 2 ? CELL - 1 - x : x)) * 3, 3);
    }
    input.rgb = rgb;
    input.stride = WIDTH * 3;
    CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_OK && mosaic_push(e, &input, &f) == MOSAIC_OK);
    for (i = 0; i < COLS * ROWS; i++) {
        const mosaic_draw *d = f->draw + i;
        CHECK_MSG(d->photo == i * 6 % PHOTOS && d->look == i * 5 % 16 && d->variant == (i % 2 ? MOSAIC_MIRROR : MOSAIC_PLAIN),
                  "cell %d: photograph %d, look %d, variant %d", i, (int)d->photo, d->look, d->variant);
        looks[d->look & 15]++;
    }
    for (i = 0; i < 16; i++) CHECK(looks[i] > 0);
    for (y = 0; y < HEIGHT; y++)
        for (x = 0; x < WIDTH; x++)
            for (c = 0; c < 3; c++) {
                const int d = abs(f->rgb[(size_t)y * f->stride + (size_t)x * 3 + (size_t)c] - rgb[(y * WIDTH + x) * 3 + c]);
                if (d > worst) worst = d;
            }
    CHECK_MSG(worst <= (curves ? 8 : 2), "%d levels", worst);
    if (!curves) {
        mosaic_draw draw[COLS * ROWS];
        static uint8_t out[WIDTH * HEIGHT * 3];
        memcpy(draw, f->draw, sizeof draw);
        CHECK(mosaic_paint(&grid, pool, draw, NULL, COLS * ROWS, 0, rgb, WIDTH * 3, out, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_OK);
        CHECK(memcmp(out, f->rgb, sizeof out) == 0);
        draw[3].look = 16;
        CHECK(mosaic_paint(&grid, pool, draw, NULL, COLS * ROWS, 0, rgb, WIDTH * 3, out, WIDTH * 3, 0, NULL, NULL, NULL) == MOSAIC_ERROR_OPTION);
    }
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* A film that drifts through its colours. Its bytes, or with `resume` those of a stream that was saved and taken up before every frame. bound: of the first
   frame. */
static uint64_t film(const mosaic_pool *pool, int preset, int simd, int threads, int resume, int64_t *bound, int *looks)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    const mosaic_grid grid = make_grid();
    mosaic_engine *e = NULL;
    mosaic_options o;
    mosaic_input input;
    const mosaic_frame *f = NULL;
    uint64_t hash = 5;
    int n, i;
    memset(&o, 0, sizeof o);
    memset(&input, 0, sizeof input);
    o.preset = (mosaic_preset)preset;
    o.simd = simd;
    o.run = test_run;
    o.run_ctx = &threads;
    if (mosaic_open(&grid, pool, &o, &e) != MOSAIC_OK) {
        CHECK(0);
        return 0;
    }
    input.rgb = rgb;
    input.stride = WIDTH * 3;
    for (n = 0; n < 6; n++) {
        for (i = 0; i < WIDTH * HEIGHT * 3; i++)
            rgb[i] = (uint8_t)(128 + (i % 3 * 40 - 40) * (i / 3 % WIDTH - WIDTH / 2 + 3 * n) / 90 + (i / WIDTH + 5 * n) % 37);
        if (resume && n) {
            const size_t size = mosaic_state_size(e);
            uint8_t *state = (uint8_t *)malloc(size);
            CHECK(mosaic_state_save(e, state, size) == MOSAIC_OK);
            mosaic_close(e);
            CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_OK && mosaic_state_load(e, state, size) == MOSAIC_OK);
            free(state);
        }
        CHECK(mosaic_push(e, &input, &f) == MOSAIC_OK);
        for (i = 0; i < f->cells; i++) {
            const uint8_t shown[3] = {(uint8_t)f->draw[i].photo, f->draw[i].variant, f->draw[i].look};
            hash = mosaic__hash(hash, shown, 3);
            *looks += f->draw[i].look > 0;
        }
        for (i = 0; i < HEIGHT; i++) hash = mosaic__hash(hash, f->rgb + (size_t)i * f->stride, WIDTH * 3);
        if (n == 0) *bound = f->bound;
    }
    mosaic_close(e);
    return hash;
}

static void test_films(void)
{
    mosaic_pool *plain = make_pool(60, 0, 0), *pool = make_pool(60, 2, 1);
    static const int preset[2] = {MOSAIC_PRESET_DEFAULT, MOSAIC_PRESET_VIVID}; /* vivid bends curves */
    int k, simd, looks, ignored = 0;
    for (k = 0; k < 2; k++) {
        int64_t bound = 0, without = 0;
        const uint64_t want = (looks = 0, film(pool, preset[k], 0, 1, 0, &bound, &looks));
        CHECK_MSG(looks > 20, "%d", looks);
        CHECK(film(plain, preset[k], 0, 1, 0, &without, &ignored) != want);
        CHECK_MSG(bound < without, "%d and %d", (int)bound, (int)without);
        for (simd = 1; simd <= mosaic__cpu_level() + 1; simd++) CHECK(film(pool, preset[k], simd, 1, 0, &bound, &ignored) == want);
        CHECK(film(pool, preset[k], 0, 3, 0, &bound, &ignored) == want);
        CHECK(film(pool, preset[k], 0, 2, 1, &without, &ignored) == want);
    }
    mosaic_pool_destroy(plain);
    mosaic_pool_destroy(pool);
}

int main(void)
{
    test_hues();
    test_turns();
    test_pool();
    test_found(0, 0);
    test_found(1, 0);
    test_found(0, 1);
    test_films();
    return test_end("pool_looks");
}
