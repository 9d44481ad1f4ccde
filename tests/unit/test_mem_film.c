/* Films without poses: places known again after cuts and pans at all thirds of a cell, with the very tags that stood there; what is not there, or changed, is not
   made up; budgets, states and files. */
#include "../test.h"

#include "../allocations.h"
#define MOSAIC_MEM_MALLOC(ctx, size) ((void)(ctx), test_malloc(size))
#define MOSAIC_MEM_FREE(ctx, ptr) ((void)(ctx), test_free(ptr))
#define MOSAIC_MEM_IMPLEMENTATION
#include "../../mosaic_mem.h"

#include "../mem.h"

enum { COLS = 16, ROWS = 10, CELLS = COLS * ROWS, WORLD = 320 };

static uint8_t world[3][WORLD][WORLD][3], shown[3 * ROWS][3 * COLS][3];
static uint32_t tags[CELLS], kept[CELLS];

/* Steps of colour and some grain: no two places alike. */
static void make_worlds(void)
{
    int w, x, y, c;
    for (w = 0; w < 3; w++)
        for (y = 0; y < WORLD; y++)
            for (x = 0; x < WORLD; x++)
                for (c = 0; c < 3; c++) {
                    unsigned h = (unsigned)(x / 5) * 0x9e3779b1u ^ (unsigned)(y / 5) * 0x85ebca77u ^ (unsigned)(3 * w + c) * 0xc2b2ae3du;
                    h ^= h >> 15;
                    h *= 0x2c1b3c6du;
                    h ^= h >> 12;
                    h *= 0x297a2d39u;
                    world[w][y][x][c] = (uint8_t)(40 + (h >> 16) % 160 + (unsigned)(x * 7 + y * 3) % 4);
                }
}

static void show(int w, int x, int y)
{
    int row;
    for (row = 0; row < 3 * ROWS; row++) memcpy(shown[row], world[w][y + row][x], sizeof shown[row]);
}

static mosaic_mem_film *film_of(int pictures)
{
    mosaic_mem_film_options o;
    mosaic_mem_film *film = NULL;
    memset(&o, 0, sizeof o);
    o.cols = COLS;
    o.rows = ROWS;
    o.pictures = pictures;
    OK(mosaic_mem_film_open(&o, &film));
    return film;
}

/* A picture whose cells get the tags first, first + 1, … */
static void push(mosaic_mem_film *film, int begins, uint32_t first)
{
    uint32_t i;
    OK(mosaic_mem_film_recall(film, &shown[0][0][0], begins, 0, 0, NULL, tags));
    for (i = 0; i < CELLS; i++) kept[i] = first + i;
    OK(mosaic_mem_film_keep(film, kept));
}

static int told(void)
{
    int i, n = 0;
    for (i = 0; i < CELLS; i++) n += tags[i] != MOSAIC_MEM_NO_TAG;
    return n;
}

/* Whether each cell has the tag that the picture of tags first … and this shift from it has at the cell's middle, and none where that is outside or the cell
   reaches beyond. */
static void expect(uint32_t first, int dx, int dy)
{
    int row, col;
    for (row = 0; row < ROWS; row++)
        for (col = 0; col < COLS; col++) {
            const int x = 3 * col + dx, y = 3 * row + dy, in = x >= 0 && y >= 0 && x + 3 <= 3 * COLS && y + 3 <= 3 * ROWS;
            const uint32_t tag = in ? first + (uint32_t)((y + 1) / 3 * COLS + (x + 1) / 3) : MOSAIC_MEM_NO_TAG;
            CHECK_MSG(tags[row * COLS + col] == tag, "cell %d %d, shift %d %d: %u, not %u", col, row, dx, dy, tags[row * COLS + col], tag);
        }
}

static void cuts(void)
{
    mosaic_mem_film *film = film_of(0);
    int dx, dy, x, y;
    show(0, 100, 100);
    push(film, 1, 1000);
    CHECK(told() == 0 && mosaic_mem_film_count(film) == 1);
    push(film, 0, 2000); /* what is kept is what was shown last */
    push(film, 0, 3000);
    expect(2000, 0, 0);
    show(1, 100, 100);
    push(film, 1, 4000);
    CHECK(told() == 0 && mosaic_mem_film_count(film) == 2);
    show(0, 100, 100);
    push(film, 1, 5000);
    expect(3000, 0, 0);
    CHECK(mosaic_mem_film_count(film) == 2);
    /* Elsewhere: all thirds of a cell, to either side. */
    for (dy = -6; dy <= 6; dy += 4)
        for (dx = -13; dx <= 13; dx += 1) {
            show(1, 100, 100);
            push(film, 1, 6000);
            expect(dx == -13 && dy == -6 ? 4000 : 6000, 0, 0);
            show(0, 100 + dx, 100 + dy);
            OK(mosaic_mem_film_recall(film, &shown[0][0][0], 1, 0, 0, NULL, tags));
            expect(5000, dx, dy);
        }
    CHECK(mosaic_mem_film_count(film) == 2);
    /* What changed is not recalled, the rest is; up to the tolerance all is. */
    show(1, 100, 100);
    push(film, 1, 6000);
    show(0, 100, 100);
    for (y = 0; y < 9; y++)
        for (x = 0; x < 12; x++) memset(shown[y][x], 255, 3);
    OK(mosaic_mem_film_recall(film, &shown[0][0][0], 1, 0, 0, NULL, tags));
    for (y = 0; y < ROWS; y++)
        for (x = 0; x < COLS; x++) CHECK(tags[y * COLS + x] == (x < 4 && y < 3 ? MOSAIC_MEM_NO_TAG : 5000 + (uint32_t)(y * COLS + x)));
    show(1, 100, 100);
    push(film, 1, 6000);
    show(0, 100, 100);
    for (y = 0; y < 3 * ROWS; y++)
        for (x = 0; x < 3 * COLS; x++) {
            shown[y][x][0] = (uint8_t)(shown[y][x][0] + 18); /* 9 * 18 = 27 * 6 */
            if (x >= 24 && x % 3 == 0 && y % 3 == 0) shown[y][x][1]++;
        }
    OK(mosaic_mem_film_recall(film, &shown[0][0][0], 1, 0, 0, NULL, tags));
    for (y = 0; y < ROWS; y++)
        for (x = 0; x < COLS; x++) CHECK(tags[y * COLS + x] == (x < 8 ? 5000 + (uint32_t)(y * COLS + x) : MOSAIC_MEM_NO_TAG));
    mosaic_mem_film_close(film);
}

/* A window goes away by more than its width, third by third, and comes back: where each cell is wanted, the latest tag that stood there. */
static void pan(int step, int hand, int hint)
{
    mosaic_mem_film *film = film_of(0);
    uint8_t wanted[CELLS];
    int t, x, y, col, row, right = 0, wrong = 0, far = 20 * 9;
    for (t = 0; t <= 2 * far / step; t++) {
        const int back = t > far / step, at = back ? 2 * far - t * step : t * step, up = hand && back ? (t / 3) % 3 - 1 : 0;
        show(0, 10 + at, 100 + up);
        for (row = 0; row < CELLS; row++) wanted[row] = (uint8_t)back;
        OK(mosaic_mem_film_recall(film, &shown[0][0][0], t == 0, hint ? at / 3 : 0, 0, wanted, tags));
        for (row = 0; row < ROWS; row++)
            for (col = 0; col < COLS; col++) {
                /* the tag is the place of its cell's middle in the world */
                x = 10 + at + 3 * col + 1;
                y = 100 + up + 3 * row + 1;
                kept[row * COLS + col] = (uint32_t)(1000 * y + x);
                if (!back) CHECK(tags[row * COLS + col] == MOSAIC_MEM_NO_TAG);
                if (back && tags[row * COLS + col] != MOSAIC_MEM_NO_TAG) {
                    const int u = (int)(tags[row * COLS + col] % 1000), v = (int)(tags[row * COLS + col] / 1000);
                    right += abs(u - x) <= 2 && abs(v - y) <= 2; /* a cell is 3 px */
                    wrong += abs(u - x) > 2 || abs(v - y) > 2;
                }
            }
        OK(mosaic_mem_film_keep(film, kept));
    }
    CHECK_MSG(wrong == 0, "step %d: %d tags of another place", step, wrong);
    CHECK_MSG(right * 10 >= (far / step) * CELLS * 9, "step %d: %d of %d cells recalled", step, right, far / step * CELLS);
    CHECK_MSG(mosaic_mem_film_count(film) < 12, "%d pictures kept", mosaic_mem_film_count(film));
    mosaic_mem_film_close(film);
}

typedef struct bytes {
    uint8_t data[200000];
    size_t size;
} bytes;

static int append(void *ctx, const void *data, size_t size)
{
    bytes *b = (bytes *)ctx;
    if (b->size + size > sizeof b->data) return 1;
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

/* A flash, or somebody before the lens for a moment, and the film is where it was. */
static void moments(void)
{
    static bytes saved;
    mosaic_mem_film *film = film_of(0), *other;
    int i;
    show(0, 100, 100);
    push(film, 1, 1000);
    for (i = 0; i < 30; i++) push(film, 0, 1000);
    show(2, 0, 0);
    push(film, 0, 2000); /* no cut was told: all is searched, and nothing found */
    CHECK(told() == 0);
    show(0, 103, 100);
    push(film, 0, 3000);
    push(film, 0, 3000);
    CHECK(mosaic_mem_film_count(film) <= 3);
    show(1, 0, 0);
    push(film, 1, 4000);
    for (i = 0; i < 3; i++) push(film, 0, 4000);
    memset(shown, 255, sizeof shown);
    for (i = 0; i < 5; i++) push(film, 0, 5000);
    CHECK(told() == 0);
    OK(mosaic_mem_film_save(film, append, &saved)); /* not knowing where it is, too */
    OK(mosaic_mem_film_load(saved.data, saved.size, NULL, &other));
    for (i = 0; i < 2; i++) {
        mosaic_mem_film *f = i ? other : film;
        push(f, 0, 5000);
        CHECK(told() == 0);
        show(1, 0, 0);
        push(f, 0, 4000);
        expect(4000, 0, 0);
        memset(shown, 255, sizeof shown);
    }
    mosaic_mem_film_close(other);
    mosaic_mem_film_close(film);
}

static void budget(void)
{
    mosaic_mem_film *film = film_of(3);
    int i;
    for (i = 0; i < 5; i++) {
        show(0, 60 * i, 0);
        push(film, 1, 1000 * (uint32_t)(i + 1));
        CHECK(mosaic_mem_film_count(film) == (i == 0 ? 1 : 3));
        show(0, 0, 200); /* seen in between again and again: it stays */
        push(film, 1, 9000);
        CHECK(i == 0 ? told() == 0 : told() == CELLS);
        CHECK(mosaic_mem_film_count(film) <= 3);
    }
    show(0, 0, 0); /* the oldest is gone */
    push(film, 1, 1);
    CHECK(told() == 0);
    mosaic_mem_film_close(film);
}

static int stop(void *ctx, const void *data, size_t size)
{
    (void)ctx, (void)data, (void)size;
    return 1;
}

static void step(mosaic_mem_film *film, int i)
{
    static const int place[][3] = {{0, 0, 0}, {1, 50, 50}, {0, 100, 20}, {2, 9, 80}};
    show(place[i / 9 % 4][0], place[i / 9 % 4][1] + 2 * (i % 9), place[i / 9 % 4][2]);
    push(film, i % 9 == 0, (uint32_t)(1000 * i));
}

static void put_crc(bytes *b)
{
    const uint32_t crc = mosaic_mem__crc(0, b->data, b->size - 4);
    int i;
    for (i = 0; i < 4; i++) b->data[b->size - 4 + (size_t)i] = (uint8_t)(crc >> 8 * i);
}

/* Saved at any picture, the one that was loaded goes on as the one that was not. */
static void files(void)
{
    static bytes a, b, broken;
    mosaic_mem_film *film, *other;
    int i, k;
    size_t n;
    for (k = 0; k < 40; k += 5) {
        film = film_of(5);
        for (i = 0; i < k; i++) step(film, i);
        a.size = b.size = 0;
        OK(mosaic_mem_film_save(film, append, &a));
        OK(mosaic_mem_film_load(a.data, a.size, NULL, &other));
        OK(mosaic_mem_film_save(other, append, &b));
        CHECK(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
        for (; i < k + 40; i++) {
            uint32_t once[CELLS];
            step(film, i);
            memcpy(once, tags, sizeof once);
            step(other, i);
            CHECK(memcmp(once, tags, sizeof once) == 0);
        }
        a.size = b.size = 0;
        OK(mosaic_mem_film_save(film, append, &a));
        OK(mosaic_mem_film_save(other, append, &b));
        CHECK(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
        mosaic_mem_film_close(other);
        mosaic_mem_film_close(film);
    }
    /* Cut off, or with any byte wrong. */
    for (n = 0; n < a.size; n += n < 200 ? 1 : 997)
        IS(mosaic_mem_film_load(a.data, n, NULL, &other), n < 8 ? MOSAIC_MEM_ERROR_CORRUPT : MOSAIC_MEM_ERROR_TRUNCATED);
    for (n = 0; n < a.size; n += n < 200 ? 1 : 997) {
        const mosaic_mem_result code = n >= 8 && n < 12 ? MOSAIC_MEM_ERROR_VERSION : MOSAIC_MEM_ERROR_CORRUPT;
        mosaic_mem_result got;
        broken = a;
        broken.data[n] ^= 0x41;
        got = mosaic_mem_film_load(broken.data, broken.size, NULL, &other);
        CHECK_MSG(got == code || (n >= 16 && n < 24 && got == MOSAIC_MEM_ERROR_TRUNCATED), "byte %d: %s", (int)n, mosaic_mem_result_string(got));
        CHECK(other == NULL);
    }
    /* With the right sum and wrong numbers: an error, or a film that goes on. */
    for (k = 0; k < 3000; k++) {
        mosaic_mem_result got;
        broken = a;
        n = 24 + test_random() % (k % 2 ? 64 + 40 : broken.size - 28);
        broken.data[n] = (uint8_t)(k % 3 ? test_random() : k % 2 ? 255 : 0);
        if (k % 5 == 0) broken.data[n + 1] = 255;
        put_crc(&broken);
        got = mosaic_mem_film_load(broken.data, broken.size, NULL, &other);
        CHECK(got == MOSAIC_MEM_OK || got == MOSAIC_MEM_ERROR_CORRUPT);
        for (i = 0; i < 3 && other && k % 16 == 0; i++) step(other, i);
        mosaic_mem_film_close(other);
    }
    /* What counts pictures or maps would run over, a picture was recognised after the last one. */
    for (k = 0; k < 3; k++) {
        broken = a;
        broken.data[k == 0 ? 79 : k == 1 ? 87 : 103] = 0x40;
        put_crc(&broken);
        IS(mosaic_mem_film_load(broken.data, broken.size, NULL, &other), MOSAIC_MEM_ERROR_CORRUPT);
    }
    IS(mosaic_mem_film_load(a.data, a.size + 1, NULL, &other), MOSAIC_MEM_ERROR_CORRUPT);
    IS(mosaic_mem_film_load(NULL, 9, NULL, &other), MOSAIC_MEM_ERROR_NULL);
    OK(mosaic_mem_film_load(a.data, a.size, NULL, &film));
    IS(mosaic_mem_film_save(film, stop, NULL), MOSAIC_MEM_ERROR_CALLBACK);
    IS(mosaic_mem_film_save(film, NULL, NULL), MOSAIC_MEM_ERROR_NULL);
    mosaic_mem_film_close(film);
}

static void errors(void)
{
    static const int bad[][4] = {{0, 4, 0, 0},  {4, 0, 0, 0},    {4097, 1, 0, 0}, {1, 4097, 0, 0}, {1025, 1024, 0, 0},
                                 {4, 4, -1, 0}, {4, 4, 4097, 0}, {4, 4, 0, -1},   {4, 4, 0, 65}};
    mosaic_mem_film_options o;
    mosaic_mem_film *film;
    size_t i;
    int k;
    memset(&o, 0, sizeof o);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.cols = bad[i][0], o.rows = bad[i][1], o.pictures = bad[i][2], o.tolerance = bad[i][3];
        IS(mosaic_mem_film_open(&o, &film), i < 5 ? MOSAIC_MEM_ERROR_SIZE : MOSAIC_MEM_ERROR_OPTION);
        CHECK(film == NULL);
    }
    IS(mosaic_mem_film_open(NULL, &film), MOSAIC_MEM_ERROR_NULL);
    IS(mosaic_mem_film_open(&o, NULL), MOSAIC_MEM_ERROR_NULL);
    o.cols = COLS, o.rows = ROWS, o.pictures = 2, o.tolerance = 0;
    for (k = 0; k < 5; k++) {
        fail_after = k;
        IS(mosaic_mem_film_open(&o, &film), MOSAIC_MEM_ERROR_MEMORY);
        CHECK(film == NULL && blocks == 0);
    }
    fail_after = 5;
    OK(mosaic_mem_film_open(&o, &film));
    IS(mosaic_mem_film_keep(film, tags), MOSAIC_MEM_ERROR_SIZE);
    IS(mosaic_mem_film_keep(film, NULL), MOSAIC_MEM_ERROR_NULL);
    IS(mosaic_mem_film_recall(NULL, &shown[0][0][0], 0, 0, 0, NULL, tags), MOSAIC_MEM_ERROR_NULL);
    IS(mosaic_mem_film_recall(film, NULL, 0, 0, 0, NULL, tags), MOSAIC_MEM_ERROR_NULL);
    IS(mosaic_mem_film_recall(film, &shown[0][0][0], 0, 0, 0, NULL, NULL), MOSAIC_MEM_ERROR_NULL);
    IS(mosaic_mem_film_recall(film, &shown[0][0][0], 0, 1 << 25, 0, NULL, tags), MOSAIC_MEM_ERROR_SIZE);
    IS(mosaic_mem_film_recall(film, &shown[0][0][0], 0, 0, -(1 << 25), NULL, tags), MOSAIC_MEM_ERROR_SIZE);
    for (k = 0; k < 40; k++) step(film, k); /* nothing is allocated on the way */
    CHECK(mosaic_mem_film_count(film) == 2 && mosaic_mem_film_count(NULL) == 0);
    fail_after = -1;
    mosaic_mem_film_close(film);
    mosaic_mem_film_close(NULL);
    CHECK(blocks == 0);
}

int main(void)
{
    make_worlds();
    cuts();
    pan(1, 0, 0);
    pan(2, 1, 0);
    pan(3, 0, 1);
    pan(9, 0, 1);
    moments();
    budget();
    files();
    errors();
    CHECK(blocks == 0);
    return test_end("mem film");
}
