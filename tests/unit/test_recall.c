/* A memory that outlasts shots, with the engine: what is seen again gets the photographs that it had, one answer on all kernels and threads and from states
   saved on the way, and what the memory says is a wish within the rules, whatever it says. */
#include "../test.h"
#include "../threads.h"
#include "../engine.h"

#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../../mosaic_temporal.h"
#define MOSAIC_MEM_IMPLEMENTATION
#include "../../mosaic_mem.h"
#include "../../examples/util/film_memory.h"

enum { CELL = 8, COLS = 18, ROWS = 12, CELLS = COLS * ROWS, WIDTH = CELL * COLS, HEIGHT = CELL * ROWS, FRAMES = 16 };

static uint8_t film[WIDTH * HEIGHT * 3];

/* Two shots by turns: frames 0 to 4 of one, 5 to 9 of another, then the first again; in each somebody walks about, and there is grain. */
static void scene(int frame)
{
    const unsigned seed = frame / 5 % 2 ? 40u : 20u;
    int x, y, c;
    for (y = 0; y < HEIGHT; y++)
        for (x = 0; x < WIDTH; x++)
            for (c = 0; c < 3; c++)
                film[(y * WIDTH + x) * 3 + c] = (uint8_t)((3 * noise(x, y, 31, seed + (unsigned)c) + noise(x, y, 7, seed + 9)) / 4 * 15 / 16 +
                                                          (int)lattice((unsigned)x, (unsigned)y, 99u + (unsigned)frame) / 16);
    for (y = 40; y < 60; y++)
        for (x = 20 + 3 * frame; x < 32 + 3 * frame; x++) memset(film + (y * WIDTH + x) * 3, 250, 3);
}

static mosaic_pool *make_pool(void)
{
    static uint8_t tile[CELL * CELL * 3];
    mosaic_pool *pool = NULL;
    int i, p, c;
    CHECK(mosaic_pool_create(CELL, CELL, NULL, &pool) == MOSAIC_OK);
    for (i = 0; i < 300; i++) {
        for (p = 0; p < CELL * CELL; p++)
            for (c = 0; c < 3; c++)
                tile[p * 3 + c] = (uint8_t)((2 * (int)lattice((unsigned)i, (unsigned)c, 77) + noise(p % CELL, p / CELL, 5, (unsigned)i)) / 3);
        CHECK(mosaic_pool_add(pool, tile, "photo", 0) == MOSAIC_OK);
    }
    return pool;
}

typedef struct stream {
    mosaic_engine *engine;
    mosaic_mem_film *memory;
    mosaic_recall recall;
} stream;

static void grid_of(mosaic_grid *grid)
{
    mosaic_fit fit;
    memset(&fit, 0, sizeof fit);
    fit.cell_width = CELL;
    fit.height = HEIGHT;
    CHECK(mosaic_grid_fit(WIDTH, HEIGHT, &fit, grid) == MOSAIC_OK && grid->cols == COLS && grid->rows == ROWS);
}

static void begin(stream *s, const mosaic_pool *pool, mosaic_options options, int remembers)
{
    mosaic_grid grid;
    memset(s, 0, sizeof *s);
    grid_of(&grid);
    if (remembers) film_memory_tie(&options, &s->recall, &s->memory);
    CHECK(mosaic_open(&grid, pool, &options, &s->engine) == MOSAIC_OK);
    if (remembers) CHECK(film_memory_open(s->engine, &s->memory) == MOSAIC_MEM_OK);
}

static void end(stream *s)
{
    mosaic_close(s->engine);
    mosaic_mem_film_close(s->memory);
}

static const mosaic_frame *push(mosaic_engine *engine, int frame)
{
    const mosaic_frame *f = NULL;
    mosaic_input input;
    memset(&input, 0, sizeof input);
    scene(frame);
    input.rgb = film;
    input.stride = WIDTH * 3;
    CHECK(mosaic_push(engine, &input, &f) == MOSAIC_OK && f);
    return f;
}

static int64_t cost_of(const mosaic_engine *engine, const mosaic_frame *f)
{
    static int32_t costs[300];
    int64_t sum = 0;
    int i;
    for (i = 0; i < CELLS; i++) {
        CHECK(mosaic_cell_costs(engine, i, costs) == MOSAIC_OK);
        sum += costs[f->draw[i].photo];
    }
    return sum;
}

/* Cells that show what they showed at the end of the shot; what the photographs cost now. */
static int again(const mosaic_pool *pool, mosaic_options options, int remembers, int64_t *cost)
{
    int32_t before[CELLS];
    stream s;
    const mosaic_frame *f = NULL;
    int frame, i, same = 0;
    begin(&s, pool, options, remembers);
    for (frame = 0; frame <= 10; frame++) {
        f = push(s.engine, frame);
        CHECK(f->cut == (frame % 5 == 0) && f->too_close == 0);
        for (i = 0; i < CELLS && frame == 4; i++) before[i] = f->draw[i].photo;
    }
    *cost = cost_of(s.engine, f);
    for (i = 0; i < CELLS; i++) {
        same += before[i] == f->draw[i].photo;
        CHECK(f->draw[i].changed == 1);
    }
    end(&s);
    return same;
}

static void returns(const mosaic_pool *pool)
{
    mosaic_options o;
    int64_t with, without;
    int kept, lost;
    memset(&o, 0, sizeof o);
    o.draw_list_only = 1;
    kept = again(pool, o, 1, &with);
    lost = again(pool, o, 0, &without);
    CHECK_MSG(kept * 100 >= 80 * CELLS && lost * 100 < 60 * CELLS, "%d and %d of %d cells", kept, lost, CELLS);
    /* As near as makes no difference: a tenth of what re-ranking takes for equal. */
    CHECK_MSG((with - without) * 10 < (int64_t)CELLS * MOSAIC__RERANK_MARGIN, "costs %.0f, without a memory %.0f", (double)with, (double)without);
    o.rerank = MOSAIC_OFF;
    o.min_distance = MOSAIC_OFF;
    kept = again(pool, o, 1, &with);
    CHECK(kept * 100 >= 80 * CELLS);
    o.coherence = MOSAIC_OFF; /* nothing is owed to anything */
    CHECK(again(pool, o, 1, &with) == again(pool, o, 0, &without) && with == without);
}

/* All frames of a stream as one number. */
static uint64_t hash_of(uint64_t hash, const mosaic_frame *f)
{
    hash = mosaic__hash(hash, f->draw, sizeof *f->draw * (size_t)f->cells);
    hash = mosaic__hash(hash, &f->cost, sizeof f->cost);
    return f->rgb ? mosaic__hash(hash, f->rgb, (size_t)WIDTH * 3 * HEIGHT) : hash;
}

static uint64_t all_frames(const mosaic_pool *pool, mosaic_options options, int remembers)
{
    stream s;
    uint64_t hash = 1;
    int i;
    begin(&s, pool, options, remembers);
    for (i = 0; i < FRAMES; i++) hash = hash_of(hash, push(s.engine, i));
    end(&s);
    return hash;
}

typedef struct bytes {
    uint8_t data[1 << 20];
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

static void bits(const mosaic_pool *pool)
{
    static bytes saved;
    mosaic_options o;
    uint64_t first;
    int simd, threads, at, i;
    memset(&o, 0, sizeof o);
    o.grid = MOSAIC_GRID_AUTO; /* other cells, and where the walker takes the camera along, other places */
    CHECK(all_frames(pool, o, 1) != all_frames(pool, o, 0));
    o.grid = MOSAIC_GRID_FIXED;
    first = all_frames(pool, o, 1);
    CHECK(first != all_frames(pool, o, 0));
    for (simd = MOSAIC_SIMD_SCALAR; simd <= MOSAIC_SIMD_AVX512_VNNI; simd++) {
        mosaic_options level = o;
        mosaic_grid grid;
        mosaic_engine *engine;
        level.simd = simd;
        grid_of(&grid);
        if (mosaic_open(&grid, pool, &level, &engine) != MOSAIC_OK) continue;
        mosaic_close(engine);
        CHECK_MSG(all_frames(pool, level, 1) == first, "simd %d", simd);
    }
    for (threads = 2; threads <= 3; threads++) {
        mosaic_options level = o;
        level.run = test_run;
        level.run_ctx = &threads;
        CHECK_MSG(all_frames(pool, level, 1) == first, "%d threads", threads);
    }
    for (at = 3; at < FRAMES; at += 4) { /* saved, both, and gone on with elsewhere */
        stream s, other, none;
        uint8_t *state;
        uint64_t hash = 1;
        begin(&s, pool, o, 1);
        begin(&other, pool, o, 1);
        begin(&none, pool, o, 0);
        state = (uint8_t *)malloc(mosaic_state_size(s.engine));
        for (i = 0; i < at; i++) hash = hash_of(hash, push(s.engine, i));
        saved.size = 0;
        CHECK(mosaic_state_save(s.engine, state, mosaic_state_size(s.engine)) == MOSAIC_OK);
        CHECK(mosaic_mem_film_save(s.memory, append, &saved) == MOSAIC_MEM_OK);
        CHECK(mosaic_state_load(none.engine, state, mosaic_state_size(s.engine)) == MOSAIC_ERROR_MISMATCH);
        mosaic_mem_film_close(other.memory);
        CHECK(mosaic_mem_film_load(saved.data, saved.size, NULL, &other.memory) == MOSAIC_MEM_OK);
        CHECK(mosaic_state_load(other.engine, state, mosaic_state_size(other.engine)) == MOSAIC_OK);
        for (; i < FRAMES; i++) hash = hash_of(hash, push(other.engine, i));
        CHECK_MSG(hash == first, "saved before frame %d", at);
        free(state);
        end(&s);
        end(&other);
        end(&none);
    }
}

/* ---- a memory that says what the test wants ---- */

typedef struct teller {
    uint32_t (*says)(int cell);
    int fails, calls, kept, begun, wanted;
} teller;

static int tell(void *ctx, const uint8_t *pixels, int begins, int first_col, int first_row, const uint8_t *wanted, uint32_t *tags)
{
    teller *t = (teller *)ctx;
    int i, x, y;
    t->calls++;
    t->begun += begins;
    CHECK(first_col == 0 && first_row == 0);
    for (i = 0; i < CELLS; i++) {
        CHECK(wanted[i] == begins);
        tags[i] = t->says ? t->says(i) : MOSAIC_NO_TAG;
        t->wanted += wanted[i];
    }
    /* The walker is white, and stands where it was painted: Oklab (1, 0, 0). */
    for (y = 42; y < 58; y++)
        for (x = 0; x < 3 * COLS && begins && t->calls == 1; x++) {
            const uint8_t *p = pixels + ((size_t)(y * 3 / CELL) * 3 * COLS + (size_t)x) * 3;
            const int inside = x * CELL / 3 >= 21 && (x + 1) * CELL / 3 <= 31;
            if (inside) CHECK(p[0] > 240 && abs(p[1] - 128) < 3 && abs(p[2] - 128) < 3);
        }
    return t->fails;
}

static int keep(void *ctx, const uint32_t *tags)
{
    teller *t = (teller *)ctx;
    int i;
    t->kept++;
    for (i = 0; i < CELLS; i++) CHECK(tags[i] < 300u * MOSAIC_VARIANTS);
    return 1; /* which nobody minds */
}

static uint32_t outside(int cell) { return 300u * MOSAIC_VARIANTS + (uint32_t)cell; }
static uint32_t one(int cell) { return (void)cell, 7 * MOSAIC_VARIANTS; }
static uint32_t own(int cell) { return (uint32_t)(cell + 11) * MOSAIC_VARIANTS + 1; }

static uint64_t told(const mosaic_pool *pool, mosaic_options o, teller *t, int *sevens, int *owns)
{
    mosaic_recall recall;
    mosaic_engine *engine;
    mosaic_grid grid;
    uint64_t hash = 1;
    int frame, i, uses[300];
    recall.ctx = t;
    recall.recall = tell;
    recall.keep = keep;
    o.recall = &recall;
    grid_of(&grid);
    CHECK(mosaic_open(&grid, pool, &o, &engine) == MOSAIC_OK);
    memset(&recall, 0, sizeof recall); /* it was copied */
    for (frame = 0; frame < 7; frame++) {
        const mosaic_frame *f = push(engine, frame);
        hash = hash_of(hash, f);
        memset(uses, 0, sizeof uses);
        for (i = 0; i < CELLS; i++) {
            uses[f->draw[i].photo]++;
            if (frame == 0 && owns) *owns += f->draw[i].photo == i + 11 && f->draw[i].variant == 1;
        }
        for (i = 0; i < 300; i++) CHECK(uses[i] <= MOSAIC_VARIANTS);
        if (sevens) *sevens = uses[7];
    }
    mosaic_close(engine);
    return hash;
}

static void wishes(const mosaic_pool *pool)
{
    mosaic_options o;
    teller t;
    uint64_t without;
    int sevens = 0, owns = 0, none = 0;
    memset(&o, 0, sizeof o);
    memset(&t, 0, sizeof t);
    {
        stream s;
        int i;
        begin(&s, pool, o, 0);
        without = 1;
        for (i = 0; i < 7; i++) without = hash_of(without, push(s.engine, i));
        end(&s);
    }
    CHECK(told(pool, o, &t, NULL, &none) == without); /* it knows nothing */
    CHECK(t.calls == 7 && t.kept == 7 && t.begun == 2 && t.wanted == 2 * CELLS);
    t.says = outside;
    CHECK(told(pool, o, &t, NULL, NULL) == without);
    t.says = one;
    t.fails = 1;
    CHECK(told(pool, o, &t, NULL, NULL) == without);
    t.fails = 0; /* one photograph for all: the rules still hold */
    CHECK(told(pool, o, &t, &sevens, NULL) != without && sevens >= 1);
    t.says = own; /* far from what fits: a bonus, no command, until the dial says that nothing else counts */
    o.coherence = .1f;
    told(pool, o, &t, NULL, &owns);
    CHECK_MSG(owns < CELLS / 2, "%d", owns);
    o.coherence = 1;
    owns = 0;
    told(pool, o, &t, NULL, &owns);
    CHECK_MSG(owns == CELLS, "%d", owns);
    o.variants = 1; /* variant 1 is not allowed */
    owns = 0;
    told(pool, o, &t, NULL, &owns);
    CHECK(owns == 0);
}

static void memory_runs_out(const mosaic_pool *pool)
{
    mosaic_recall recall;
    mosaic_options o;
    mosaic_grid grid;
    mosaic_engine *engine;
    teller t;
    long all;
    memset(&o, 0, sizeof o);
    memset(&t, 0, sizeof t);
    recall.ctx = &t;
    recall.recall = tell;
    recall.keep = keep;
    o.recall = &recall;
    grid_of(&grid);
    test_allocations = 0;
    CHECK(mosaic_open(&grid, pool, &o, &engine) == MOSAIC_OK);
    mosaic_close(engine);
    all = test_allocations;
    for (test_fail_at = 0; test_fail_at < all; test_fail_at++) {
        test_allocations = 0;
        CHECK(mosaic_open(&grid, pool, &o, &engine) == MOSAIC_ERROR_MEMORY && !engine);
    }
    test_fail_at = -1;
}

int main(void)
{
    mosaic_pool *pool = make_pool();
    long live = test_live;
    returns(pool);
    bits(pool);
    wishes(pool);
    memory_runs_out(pool);
    CHECK(test_live == live);
    mosaic_pool_destroy(pool);
    CHECK(test_live == 0);
    return test_end("recall");
}
