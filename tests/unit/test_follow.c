/* The grid that goes with the camera: motion with known truth, what must not open the gate, photographs that stay while they are in sight and come back,
   one answer on all kernels and threads, and from a state saved on the way. */
#include "../test.h"
#include "../threads.h"
#include "../engine.h"
#include <math.h>

#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../../mosaic_temporal.h"

enum { CELL = 16, COLS = 20, ROWS = 12, WIDTH = CELL * COLS, HEIGHT = CELL * ROWS, FIELD_W = WIDTH / 4, FIELD_H = HEIGHT / 4 };

static uint8_t film[WIDTH * HEIGHT * 3];
static int16_t forward[FIELD_W * FIELD_H * 2], backward[FIELD_W * FIELD_H * 2];

enum { WORLD_W = 840, WORLD_H = 340, WORLD_X = 3980, WORLD_Y = 3900 };

/* A world through a window at (x, y). */
static void look_at(int x0, int y0, unsigned seed)
{
    static uint8_t world[WORLD_W * WORLD_H * 3];
    static unsigned made;
    int x, y, c;
    for (y = 0; y < WORLD_H && made != seed; y++)
        for (x = 0; x < WORLD_W; x++)
            for (c = 0; c < 3; c++)
                world[(y * WORLD_W + x) * 3 + c] = (uint8_t)((3 * noise(x, y, 47, seed + (unsigned)c) + noise(x, y, 11, seed + 9)) / 4);
    made = seed;
    CHECK(x0 >= WORLD_X && y0 >= WORLD_Y && x0 + WIDTH <= WORLD_X + WORLD_W && y0 + HEIGHT <= WORLD_Y + WORLD_H);
    for (y = 0; y < HEIGHT; y++) memcpy(film + y * WIDTH * 3, world + ((size_t)(y + y0 - WORLD_Y) * WORLD_W + (size_t)(x0 - WORLD_X)) * 3, WIDTH * 3);
}

static mosaic_pool *make_pool(int photos)
{
    static uint8_t tile[CELL * CELL * 3];
    mosaic_pool *pool = NULL;
    int i, p, c;
    CHECK(mosaic_pool_create(CELL, CELL, NULL, &pool) == MOSAIC_OK);
    for (i = 0; i < photos; i++) {
        for (p = 0; p < CELL * CELL; p++)
            for (c = 0; c < 3; c++)
                tile[p * 3 + c] = (uint8_t)((2 * (int)lattice((unsigned)i, (unsigned)c, 77) + noise(p % CELL, p / CELL, 5, (unsigned)i)) / 3);
        CHECK(mosaic_pool_add(pool, tile, "photo", 0) == MOSAIC_OK);
    }
    return pool;
}

static mosaic_engine *make_engine(const mosaic_pool *pool, const mosaic_options *options)
{
    mosaic_fit fit;
    mosaic_grid grid;
    mosaic_engine *engine = NULL;
    memset(&fit, 0, sizeof fit);
    fit.cell_width = CELL;
    fit.height = HEIGHT;
    CHECK(mosaic_grid_fit(WIDTH, HEIGHT, &fit, &grid) == MOSAIC_OK && grid.cols == COLS && grid.rows == ROWS);
    CHECK(mosaic_open(&grid, pool, options, &engine) == MOSAIC_OK);
    return engine;
}

static const mosaic_frame *push(mosaic_engine *engine, int moves)
{
    mosaic_flow_field motion;
    mosaic_input input;
    const mosaic_frame *frame = NULL;
    memset(&motion, 0, sizeof motion);
    motion.width = FIELD_W;
    motion.height = FIELD_H;
    motion.stride = FIELD_W * 4;
    motion.forward = forward;
    motion.backward = backward;
    input.rgb = film;
    input.stride = WIDTH * 3;
    input.motion = moves ? &motion : NULL;
    CHECK(mosaic_push(engine, &input, &frame) == MOSAIC_OK && frame);
    return frame;
}

/* A number between two integers becomes one of them by chance, so that many of them are right on average. */
static int16_t dither(double v) { return (int16_t)floor(v + test_range(0, 65535) / 65536.); }

/* The motion of a pixel of the film, in pixels, as a function of its place: into both fields. */
static void fill_motion(void (*motion)(double x, double y, double v[2]))
{
    int x, y, k;
    for (y = 0; y < FIELD_H; y++)
        for (x = 0; x < FIELD_W; x++) {
            double v[2];
            motion(4 * x + 2, 4 * y + 2, v);
            for (k = 0; k < 2; k++) {
                forward[(y * FIELD_W + x) * 2 + k] = dither(v[k] * 16);
                backward[(y * FIELD_W + x) * 2 + k] = (int16_t)-dither(v[k] * 16);
            }
        }
}

static double all_v[2];
static void all(double x, double y, double v[2])
{
    (void)x, (void)y;
    v[0] = all_v[0];
    v[1] = all_v[1];
}
static void pan(double dx, double dy)
{
    all_v[0] = dx;
    all_v[1] = dy;
    fill_motion(all);
}

/* How far a grid has come, 1/64 px. */
static int come(const mosaic_frame *f, int axis) { return axis ? f->origin_y - f->first_row * CELL * 64 : f->origin_x - f->first_col * CELL * 64; }

/* A pan whose speed changes, over 200 frames: the grid is where the picture is, to 1/16 px. */
static void test_truth(void)
{
    mosaic_pool *pool = make_pool(150);
    mosaic_options o;
    mosaic_engine *e;
    double at[2] = {0, 0}, worst = 0;
    int n, k;
    memset(&o, 0, sizeof o);
    o.grid = MOSAIC_GRID_FOLLOW;
    o.draw_list_only = 1;
    o.rerank = MOSAIC_OFF;
    e = make_engine(pool, &o);
    CHECK(mosaic_engine_grid(e)->cols == COLS + 1 && mosaic_engine_grid(e)->rows == ROWS + 1 && !mosaic_engine_grid(NULL));
    for (n = 0; n < 200; n++) {
        const mosaic_frame *f;
        const double vx = n ? -2.3 - 1.7 * sin(n * .07) : 0, vy = n ? 1.1 * cos(n * .05) : 0;
        int i;
        pan(vx, vy);
        at[0] += vx;
        at[1] += vy;
        look_at(4000 - (int)lrint(at[0]), 4000 - (int)lrint(at[1]), 5);
        f = push(e, n > 0);
        CHECK(f->cut == (n == 0) && f->cells == (COLS + 1) * (ROWS + 1));
        CHECK(f->origin_x <= 0 && f->origin_x > -CELL * 64 && f->origin_y <= 0 && f->origin_y > -CELL * 64);
        for (k = 0; k < 2; k++) worst = fmax(worst, fabs(come(f, k) / 64. - at[k]));
        for (i = 0; i < f->cells; i++) {
            const int x = f->origin_x + i % (COLS + 1) * CELL * 64, y = f->origin_y + i / (COLS + 1) * CELL * 64;
            CHECK(f->draw[i].x == x && f->draw[i].y == y && (f->draw[i].photo >= 0) == (x < WIDTH * 64 && y < HEIGHT * 64));
        }
    }
    CHECK_MSG(worst < 1. / 16, "the grid is off by %g px", worst);
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* ---- What is no camera ---- */

static double turn_n;
static void still(double x, double y, double v[2]) { (void)x, (void)y, v[0] = test_range(-10, 10) / 100., v[1] = test_range(-10, 10) / 100.; }
static void subject(double x, double y, double v[2]) /* a head as high as the frame, six tenths of it */
{
    const int inside = fabs(x - WIDTH / 2) < .33 * WIDTH && y > .1 * HEIGHT;
    v[0] = inside ? 5 : 0;
    v[1] = inside ? 1 : 0;
}
static void halves(double x, double y, double v[2])
{
    (void)y;
    v[0] = x < .55 * WIDTH ? -4 : 3;
    v[1] = 0;
}
static void layers(double x, double y, double v[2]) /* the front one covers all but the edges */
{
    const int inside = fabs(x - WIDTH / 2) < .44 * WIDTH && fabs(y - HEIGHT / 2) < .44 * HEIGHT;
    v[0] = inside ? 4 : -.5;
    v[1] = inside ? 2 : 0;
}
static void zoom(double x, double y, double v[2])
{
    v[0] = (x - WIDTH / 2) * .02;
    v[1] = (y - HEIGHT / 2) * .02;
}
static void zoom_aside(double x, double y, double v[2])
{
    v[0] = x * .03;
    v[1] = (y - HEIGHT / 3) * .03;
}
static void rotation(double x, double y, double v[2])
{
    v[0] = -(y - HEIGHT / 2) * .03;
    v[1] = (x - WIDTH / 2) * .03;
}
static void shake(double x, double y, double v[2])
{
    (void)x, (void)y;
    v[0] = 3 * sin(turn_n * 1.9);
    v[1] = 2 * cos(turn_n * 2.6);
}
static void torn(double x, double y, double v[2])
{
    (void)x, (void)y;
    v[0] = test_range(-200, 200) / 10.;
    v[1] = test_range(-200, 200) / 10.;
}

/* Cameras that stand, and motion that is none of a camera: not one byte differs from the grid that is fixed. */
static void test_gate(void)
{
    static void (*const kind[])(double x, double y, double v[2]) = {still, halves, layers, subject, zoom, zoom_aside, rotation, shake, torn};
    static uint8_t before[WIDTH * HEIGHT * 3];
    mosaic_pool *pool = make_pool(150);
    size_t k;
    int n;
    for (k = 0; k < sizeof kind / sizeof *kind; k++) {
        mosaic_options o;
        mosaic_engine *fixed, *free_one;
        int moved = 0, differ = 0;
        memset(&o, 0, sizeof o);
        if (k % 3 == 1) o.preset = MOSAIC_PRESET_VIVID;
        o.draw_list_only = k % 3 == 2;
        if (k % 3 == 2) o.rerank = MOSAIC_OFF;
        fixed = make_engine(pool, &o);
        o.grid = MOSAIC_GRID_AUTO;
        free_one = make_engine(pool, &o);
        for (n = 0; n < 200; n++) {
            const mosaic_frame *f;
            int i, changed;
            turn_n = n;
            fill_motion(kind[k]);
            if (n % 4 == 0) look_at(4000 + n / 4, 4000, 5); /* a picture that changes, whatever the field says */
            if (n >= 60) {                                  /* from here on it is enough that the grid stays */
                f = push(free_one, n > 0);
                moved += f->origin_x != 0 || f->origin_y != 0;
                continue;
            }
            f = push(fixed, n > 0);
            if (f->rgb) memcpy(before, f->rgb, sizeof before);
            changed = f->changed;
            {
                static mosaic_draw list[COLS * ROWS];
                memcpy(list, f->draw, sizeof list);
                f = push(free_one, n > 0);
                for (i = 0; i < COLS * ROWS; i++) differ += memcmp(list + i, f->draw + i / COLS * (COLS + 1) + i % COLS, sizeof *list) != 0;
            }
            moved += f->origin_x != 0 || f->origin_y != 0;
            differ += f->rgb && memcmp(before, f->rgb, sizeof before) != 0;
            differ += changed != f->changed || f->filled != COLS * ROWS;
        }
        CHECK_MSG(moved == 0 && differ == 0, "motion %d: in %d frames the grid moved, %d differences", (int)k, moved, differ);
        mosaic_close(fixed);
        mosaic_close(free_one);
    }
    mosaic_pool_destroy(pool);
}

/* ---- Photographs ---- */

enum { AWAY = 64 }; /* more columns and rows than a test moves over */
static int shown[2 * AWAY][2 * AWAY];

/* Exact pans there and back: no photograph changes while all of it is in sight, and those that left come back. */
static void test_photos_stay(void)
{
    mosaic_pool *pool = make_pool(400);
    mosaic_options o;
    mosaic_engine *e;
    int n, i, x = 0, y = 0, changed = 0, looked = 0, back = 0, came = 0;
    memset(&o, 0, sizeof o);
    o.grid = MOSAIC_GRID_FOLLOW;
    o.draw_list_only = 1;
    e = make_engine(pool, &o);
    for (n = 0; n < 150; n++) {
        const mosaic_frame *f;
        const int step = n == 0 || (n > 70 && n <= 79) ? 0 : n <= 70 ? 3 : -3;
        static int now[2 * AWAY][2 * AWAY];
        pan(-step, step > 0 ? 1 : step < 0 ? -1 : 0);
        x += step;
        y -= step > 0 ? 1 : step < 0 ? -1 : 0;
        look_at(4000 + x, 4000 + y, 5);
        f = push(e, n > 0);
        CHECK(f->cut == (n == 0));
        memset(now, 0xff, sizeof now);
        for (i = 0; i < f->cells; i++) {
            const mosaic_draw *d = f->draw + i;
            const int col = AWAY + f->first_col + i % (COLS + 1), row = AWAY + f->first_row + i / (COLS + 1);
            if (d->x < 0 || d->y < 0 || d->x > (WIDTH - CELL) * 64 || d->y > (HEIGHT - CELL) * 64) continue;
            now[row][col] = d->photo * 4 + d->variant;
            if (n > 0 && shown[row][col] >= 0) {
                looked++;
                changed += shown[row][col] != now[row][col];
            }
        }
        memcpy(shown, now, sizeof shown);
        if (n == 20 || n == 129) { /* the same place: 20 steps there, 50 of 70 back */
            static int then[2 * AWAY][2 * AWAY];
            if (n == 20) memcpy(then, now, sizeof then);
            for (i = 0; n > 20 && i < 4 * AWAY * AWAY; i++)
                if (then[i / (2 * AWAY)][i % (2 * AWAY)] >= 0) {
                    came++;
                    back += then[i / (2 * AWAY)][i % (2 * AWAY)] == now[i / (2 * AWAY)][i % (2 * AWAY)];
                }
        }
    }
    CHECK_MSG(looked > 20000 && changed == 0, "%d of %d photographs changed in sight", changed, looked);
    CHECK_MSG(came > 180 && back >= came * 95 / 100, "%d of %d photographs came back", back, came);
    CHECK(x == 0 || n == 150);
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* A flash and a blurred frame on the way: the grid goes on. A cut: it begins anew in its corner. */
static void test_disturbed(void)
{
    mosaic_pool *pool = make_pool(150);
    mosaic_options o;
    mosaic_engine *e;
    int n, before = 0, i;
    memset(&o, 0, sizeof o);
    o.grid = MOSAIC_GRID_AUTO;
    o.draw_list_only = 1;
    e = make_engine(pool, &o);
    for (n = 0; n < 60; n++) {
        const mosaic_frame *f;
        pan(n <= 40 ? -5 : 5, 0);
        if (n == 30) fill_motion(torn);
        look_at(n < 40 ? 4000 + 5 * n : 4500 - 5 * (n - 40), n < 40 ? 4000 : 3910, 5);
        for (i = 0; n >= 40 && i < WIDTH * HEIGHT * 3; i++) film[i] = (uint8_t)(255 - film[i]);
        for (i = 0; n == 30 && i < WIDTH * HEIGHT * 3; i++) film[i] = (uint8_t)(film[i] / 2 + 127);
        f = push(e, n > 0);
        CHECK_MSG(f->cut == (n == 0 || n == 40), "frame %d", n);
        if (n < 8 || (n >= 40 && n < 48)) CHECK_MSG(come(f, 0) == 0, "frame %d: %d", n, come(f, 0));
        if ((n > 10 && n < 40) || n > 50)
            CHECK_MSG(abs(before - (n < 40 ? 5 : -5) * 64 - come(f, 0)) <= (n == 30 ? 64 : 2), "frame %d: %d", n, come(f, 0) - before);
        before = come(f, 0);
        if (n >= 8 && n < 30) { /* for four frames photographs change more easily, then less so */
            const int32_t bonus = n < 12 ? e->settings.bonus / 2 : e->settings.bonus / 2 * 5;
            int favoured = 0;
            for (i = 0; i < f->cells; i++) favoured += e->wish[i].photo >= 0 && e->wish[i].bonus == bonus;
            CHECK_MSG(favoured > 200, "frame %d: %d", n, favoured);
        }
    }
    mosaic_close(e);
    mosaic_pool_destroy(pool);
}

/* One or two frames of something else on the way: then the grid is where the camera has brought it, with the photographs of before. Three frames are a cut
   there and a cut back. saved: each frame is another engine's, which takes over from the state. */
static void test_flash(void)
{
    mosaic_pool *pool = make_pool(150);
    int kind, n, i;
    for (kind = 0; kind < 7; kind++) {
        static int then[2 * AWAY][2 * AWAY];
        const int length = kind < 3 ? 1 : kind < 6 ? 2 : 3, saved = kind > 2, like_a_cut = kind % 3 == 2 || kind == 6;
        int stays = 0, all_there = 0, shown_before = 0, before = 0;
        mosaic_options o;
        mosaic_engine *e;
        memset(&o, 0, sizeof o);
        o.grid = MOSAIC_GRID_AUTO;
        o.draw_list_only = 1;
        o.rerank = MOSAIC_OFF;
        e = make_engine(pool, &o);
        for (n = 0; n < 40; n++) {
            const int other = n >= 25 && n < 25 + length, back = n == 25 + length;
            const mosaic_frame *f;
            pan(-3.5, 1.25);
            if (other || back) fill_motion(torn);
            look_at(4000 + 7 * n / 2, 4000 - 5 * n / 4, 5);
            for (i = 0; other && i < WIDTH * HEIGHT * 3; i++) film[i] = like_a_cut ? (uint8_t)(255 - film[i]) : kind % 3 ? 3 : 250;
            f = push(e, n > 0);
            if (n > 10 && n < 25) CHECK_MSG(come(f, 0) < 0 && abs(come(f, 0) - before + 7 * 32) <= 2, "kind %d, frame %d", kind, n);
            if (other && like_a_cut) CHECK_MSG(f->cut == (n == 25) && come(f, 0) == 0, "kind %d, frame %d: %d", kind, n, come(f, 0));
            if (back && length < 3) {
                CHECK_MSG(!f->cut && abs(come(f, 0) - before + (length + 1) * 7 * 32) < 96, "kind %d: came from %d to %d", kind, before, come(f, 0));
                before = come(f, 0);
            }
            if (back && length == 3) CHECK(f->cut && come(f, 0) == 0);
            if (n > 25 + length && length < 3)
                CHECK_MSG(abs(come(f, 0) - before + 7 * 32) <= 2, "kind %d, frame %d: %d", kind, n, come(f, 0) - before);
            if (!other) before = come(f, 0);
            for (i = 0; i < f->cells && (n == 24 || back); i++) {
                int *place = &then[AWAY + f->first_row + i / (COLS + 1)][AWAY + f->first_col + i % (COLS + 1)];
                if (n == 24) {
                    if (i == 0) memset(then, 0xff, sizeof then);
                    *place = f->draw[i].photo;
                    shown_before += *place >= 0;
                } else if (*place >= 0 && f->draw[i].photo >= 0) {
                    all_there++;
                    stays += *place == f->draw[i].photo;
                }
            }
            if (saved) {
                const size_t size = mosaic_state_size(e);
                uint8_t *state = (uint8_t *)malloc(size);
                CHECK(mosaic_state_save(e, state, size) == MOSAIC_OK);
                mosaic_close(e);
                e = make_engine(pool, &o);
                CHECK(mosaic_state_load(e, state, size) == MOSAIC_OK);
                free(state);
            }
        }
        if (length < 3)
            CHECK_MSG(all_there > shown_before * 8 / 10 && stays >= all_there * 9 / 10, "kind %d: %d of %d of %d stay", kind, stays, all_there,
                      shown_before);
        mosaic_close(e);
    }
    mosaic_pool_destroy(pool);
}

/* ---- One answer ---- */

static uint64_t fnv(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    while (size--) hash = (hash ^ *p++) * 0x100000001b3u;
    return hash;
}

/* A pan with everything on, painted; by the draw list alone as well. resume: another engine takes over in the middle. */
static uint64_t stream(const mosaic_pool *pool, const mosaic_options *options, int resume)
{
    static uint8_t painted[WIDTH * HEIGHT * 3];
    mosaic_engine *e = make_engine(pool, options);
    uint64_t hash = 1;
    int n, plain = options->preset != MOSAIC_PRESET_VIVID;
    memset(painted, 0, sizeof painted);
    test_seed = 88172645463325252ull;
    for (n = 0; n < 16; n++) {
        const mosaic_frame *f;
        const int quick = n == 9 ? 12 : 0; /* nearly a cell at once */
        pan(-3.3 - quick, 2.2);
        look_at(4000 + (33 * n + (n >= 9 ? 120 : 0)) / 10, 4000 - 22 * n / 10, 5);
        f = push(e, n > 0);
        CHECK(f->cut == (n == 0));
        CHECK(n == 0 || come(f, 0) != 0);
        if (plain) {
            CHECK(mosaic_paint(mosaic_engine_grid(e), pool, f->draw, f->curve, f->cells, 1, film, WIDTH * 3, painted, WIDTH * 3, options->simd, NULL,
                               NULL, NULL) == MOSAIC_OK);
            CHECK(memcmp(painted, f->rgb, sizeof painted) == 0);
        }
        hash = fnv(fnv(hash, f->draw, sizeof *f->draw * (size_t)f->cells), f->rgb, sizeof painted);
        if (resume && n == 7) {
            const size_t size = mosaic_state_size(e);
            uint8_t *state = (uint8_t *)malloc(size), *again = (uint8_t *)malloc(size);
            size_t at;
            CHECK(mosaic_state_save(e, state, size) == MOSAIC_OK);
            mosaic_close(e);
            e = make_engine(pool, options);
            CHECK(mosaic_state_load(e, state, size) == MOSAIC_OK);
            CHECK(mosaic_state_save(e, again, size) == MOSAIC_OK && memcmp(state, again, size) == 0);
            /* Forged numbers with a right checksum: refused, or harmless. */
            for (at = 32; at < size && resume > 1; at += at < 132 ? 4 : 4 * 5003) {
                memcpy(again, state, size);
                mosaic__put32(again + at, at % 8 ? 0x7fffffffu : 0x80000000u);
                mosaic__put64(again + 24, mosaic__state_checksum(again, size));
                if (mosaic_state_load(e, again, size) == MOSAIC_OK) push(e, 1);
            }
            CHECK(mosaic_state_load(e, state, size) == MOSAIC_OK);
            free(state);
            free(again);
        }
    }
    mosaic_close(e);
    return hash;
}

static void test_one_answer(void)
{
    mosaic_pool *pool = make_pool(150);
    int preset;
    for (preset = 0; preset < 3; preset++) {
        mosaic_options o;
        uint64_t want;
        int simd, threads;
        memset(&o, 0, sizeof o);
        o.grid = MOSAIC_GRID_FOLLOW;
        o.preset = preset == 1 ? MOSAIC_PRESET_VIVID : MOSAIC_PRESET_DEFAULT;
        o.histogram = preset == 2 ? .4f : 0;
        o.simd = MOSAIC_SIMD_SCALAR;
        want = stream(pool, &o, 0);
        CHECK_MSG(stream(pool, &o, 1 + (preset == 0)) == want, "resumed, %d", preset);
        for (simd = 0; simd <= mosaic__cpu_level() + 1; simd++)
            for (threads = simd ? 3 : 1; threads <= 3; threads += 2) {
                o.simd = simd;
                o.run = test_run;
                o.run_ctx = &threads;
                test_fill = simd * 17 + threads;
                CHECK_MSG(stream(pool, &o, 0) == want, "preset %d, level %d, %d threads", preset, simd, threads);
            }
    }
    mosaic_pool_destroy(pool);
}

/* A tile between its pixels, against the cubic in doubles. */
static void test_shift(void)
{
    mosaic_pool *pool = make_pool(3);
    mosaic_grid g;
    int round;
    memset(&g, 0, sizeof g);
    for (round = 0; round < 60; round++) {
        const int w = test_range(1, 40), h = test_range(1, 40), n = 3 * w, px = test_range(-32, 32), py = test_range(-32, 32);
        uint8_t *tile = (uint8_t *)malloc((size_t)(n * h)), *first = NULL;
        int level, x, y, c, i, j, k;
        double worst = 0;
        for (i = 0; i < n * h; i++) tile[i] = (uint8_t)(round % 4 == 3 ? 255 * test_range(0, 1) : round % 4 == 2 ? 200 : test_range(0, 255));
        g.cols = g.rows = 1;
        g.cell_width = g.width = g.source_width = w;
        g.cell_height = g.height = g.source_height = h;
        g.crop_width = w * 64;
        g.crop_height = h * 64;
        for (level = 0; level <= (mosaic__cpu_level() > 0); level++) {
            mosaic__painter p;
            const uint8_t *out;
            CHECK(mosaic__painter_open(&p, &g, pool, 0, 1, NULL) == MOSAIC_OK);
            p.level = level;
            out = mosaic__shift_tile(&p, tile, px, py, p.shifted);
            if (!first) {
                first = (uint8_t *)malloc((size_t)(n * h));
                memcpy(first, out, (size_t)(n * h));
            }
            CHECK_MSG(memcmp(first, out, (size_t)(n * h)) == 0, "%dx%d, level %d", w, h, level);
            mosaic__painter_close(&p, NULL);
        }
        for (y = 0; y < h; y++)
            for (x = 0; x < w; x++)
                for (c = 0; c < 3; c++) {
                    double want = 0;
                    for (j = -3; j <= 3; j++)
                        for (i = -3; i <= 3; i++) {
                            double weight = 1;
                            for (k = 0; k < 2; k++) {
                                const double d = fabs((k ? j : i) + (k ? py : px) / 64.);
                                weight *= d < 1 ? 1.5 * d * d * d - 2.5 * d * d + 1 : d < 2 ? -.5 * d * d * d + 2.5 * d * d - 4 * d + 2 : 0;
                            }
                            want += weight * tile[mosaic__clamp(y + j, 0, h - 1) * n + mosaic__clamp(x + i, 0, w - 1) * 3 + c];
                        }
                    worst = fmax(worst, fabs(fmin(fmax(want, 0), 255) - first[y * n + x * 3 + c]));
                }
        CHECK_MSG(worst < (round % 4 == 2 ? 1e-9 : 12), "%dx%d moved by %d, %d: off by %g", w, h, px, py, worst);
        free(tile);
        free(first);
    }
    mosaic_pool_destroy(pool);
}

/* A pan on a grid that cannot move: the bytes of the one that is fixed. */
static void same_as_fixed(const mosaic_grid *grid, const mosaic_pool *pool, const mosaic_options *may)
{
    mosaic_options o = *may;
    mosaic_engine *e[2] = {NULL, NULL};
    int n, i;
    for (i = 0; i < 2; i++) {
        o.grid = i ? may->grid : MOSAIC_GRID_FIXED;
        CHECK(mosaic_open(grid, pool, &o, &e[i]) == MOSAIC_OK);
    }
    for (n = 0; n < 14; n++) {
        const mosaic_frame *f[2];
        pan(-4, 0);
        look_at(4000 + 4 * n, 4000, 5);
        for (i = 0; i < 2; i++) f[i] = push(e[i], n > 0);
        CHECK(f[0]->cells == f[1]->cells && f[1]->origin_x == grid->origin_x &&
              memcmp(f[0]->draw, f[1]->draw, sizeof *f[0]->draw * (size_t)f[0]->cells) == 0);
    }
    for (i = 0; i < 2; i++) mosaic_close(e[i]);
}

static void test_bad_input(void)
{
    mosaic_pool *pool = make_pool(100), *few = make_pool(60);
    static uint8_t mask[COLS * ROWS];
    mosaic_fit fit;
    mosaic_grid grid, other;
    mosaic_options o;
    mosaic_engine *e = NULL;
    long taken;
    int i;
    memset(mask, 1, sizeof mask);
    memset(&fit, 0, sizeof fit);
    memset(&o, 0, sizeof o);
    fit.cell_width = CELL;
    fit.height = HEIGHT;
    CHECK(mosaic_grid_fit(WIDTH, HEIGHT, &fit, &grid) == MOSAIC_OK);
    o.grid = MOSAIC_GRIDS;
    CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_ERROR_OPTION);
    o.grid = -1;
    CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_ERROR_OPTION);
    o.grid = MOSAIC_GRID_FOLLOW;
    CHECK(mosaic_photos_missing(&grid, 60, NULL) == 0 && mosaic_photos_missing(&grid, 60, &o) == 9); /* 21 x 13 cells, each photograph four times */
    CHECK(mosaic_open(&grid, few, &o, &e) == MOSAIC_ERROR_PHOTOS);
    o.mask = mask;
    CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_ERROR_OPTION);
    o.mask = NULL;
    o.coherence = MOSAIC_OFF;
    CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_ERROR_OPTION);
    o.coherence = 0;
    other = grid;
    other.origin_x = -64;
    CHECK(mosaic_open(&other, pool, &o, &e) == MOSAIC_ERROR_OPTION);
    other = grid;
    other.height--;
    CHECK(mosaic_open(&other, pool, &o, &e) == MOSAIC_ERROR_OPTION && !e);
    /* What cannot move stays, if it only may. */
    for (i = 0; i < 6; i++) {
        mosaic_options may = o;
        may.grid = MOSAIC_GRID_AUTO;
        other = grid;
        if (i == 1) may.mask = mask;
        if (i == 2) may.coherence = MOSAIC_OFF;
        if (i == 3) other.origin_x = -64;
        if (i == 4) other.height--;
        CHECK(mosaic_photos_missing(&other, 60, &may) == 0);
        CHECK(mosaic_open(&other, i == 5 ? few : pool, &may, &e) == MOSAIC_OK);
        CHECK(mosaic_engine_grid(e)->cols == COLS + (i == 0) && mosaic_engine_grid(e)->rows == ROWS + (i == 0));
        mosaic_close(e);
        if (i == 0) continue;
        /* and does what the fixed one does, wherever the camera goes */
        same_as_fixed(&other, i == 5 ? few : pool, &may);
    }
    test_allocations = 0;
    CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_OK);
    taken = test_allocations;
    mosaic_close(e);
    for (test_allocations = 0; taken > 0; taken--) {
        const long live = test_live;
        test_fail_at = test_allocations + taken - 1;
        CHECK(mosaic_open(&grid, pool, &o, &e) == MOSAIC_ERROR_MEMORY && !e && test_live == live);
    }
    test_fail_at = -1;
    mosaic_pool_destroy(pool);
    mosaic_pool_destroy(few);
}

int main(void)
{
    test_truth();
    test_gate();
    test_photos_stay();
    test_disturbed();
    test_flash();
    test_one_answer();
    test_shift();
    test_bad_input();
    CHECK(test_live == 0);
    return test_end("follow");
}
