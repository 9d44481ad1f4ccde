/* mosaic_lap.h against brute force, against itself along other paths, and against bad input. */
#include "../lap.h"

/* A problem with all that belongs to it. Its stride exceeds cols by 3 and what lies between the rows would win if it were read. */
typedef struct {
    mosaic_lap_problem p;
    int32_t *cost, *capacity, *col_of_row;
    int64_t *u, *v;
    uint8_t *clash_rows, *clash_cols;
    mosaic_lap_solution s;
    mosaic_lap_result result;
} fixture;

static void fixture_make(fixture *f, int rows, int cols)
{
    size_t r = (size_t)rows, c = (size_t)cols, i;
    memset(f, 0, sizeof *f);
    f->p.rows = rows;
    f->p.cols = cols;
    f->p.stride = c + 3;
    f->cost = (int32_t *)grab(r * (c + 3), sizeof(int32_t));
    for (i = 0; i < r * (c + 3); i++) f->cost[i] = INT32_MIN;
    f->capacity = (int32_t *)grab(c, sizeof(int32_t));
    f->col_of_row = (int32_t *)grab(r, sizeof(int32_t));
    f->u = (int64_t *)grab(r, sizeof(int64_t));
    f->v = (int64_t *)grab(c, sizeof(int64_t));
    f->clash_rows = (uint8_t *)grab(r, 1);
    f->clash_cols = (uint8_t *)grab(c, 1);
    f->p.cost = f->cost;
    f->s.col_of_row = f->col_of_row;
    f->s.u = f->u;
    f->s.v = f->v;
    f->s.clash_rows = f->clash_rows;
    f->s.clash_cols = f->clash_cols;
}

static void fixture_free(fixture *f)
{
    free(f->cost);
    free(f->capacity);
    free(f->col_of_row);
    free(f->u);
    free(f->v);
    free(f->clash_rows);
    free(f->clash_cols);
}

static int32_t *at(fixture *f, int i, int j) { return f->cost + (size_t)i * f->p.stride + (size_t)j; }
static int64_t room_of(const fixture *f) { return lap_room(&f->p, NULL); }

/* By the solver of large tables where none is named: most of what is here is small, and would not get to see it. */
static int solver = 1;
static void solve(fixture *f, int simd)
{
    mosaic_lap_options o;
    memset(&o, 0, sizeof o);
    o.simd = simd;
    o.solver = solver;
    f->result = lap_solve(&f->p, &o, &f->s);
}

/* The same on every instruction set: answer, prices and clash; the answer and the clash by the solver of small tables, too. */
static int levels;
static void solve_everywhere(fixture *f)
{
    fixture g;
    int level, directly;
    size_t rows = (size_t)f->p.rows, cols = (size_t)f->p.cols;
    int64_t *u = f->u, *v = f->v, *first_u = (int64_t *)grab(rows, sizeof(int64_t)), *first_v = (int64_t *)grab(cols, sizeof(int64_t));
    solve(f, 1);
    fixture_make(&g, f->p.rows, f->p.cols);
    free(g.cost);
    g.cost = f->cost;
    g.p = f->p;
    for (directly = 0; directly < 2; directly++) {
        solver = directly ? 3 : 1;
        for (level = directly ? 1 : 2; level <= levels; level++) {
            solve(&g, level);
            CHECK(g.result == f->result && g.s.row == f->s.row && g.s.col == f->s.col);
            if (f->result == MOSAIC_LAP_OK) {
                if (level == 1) {
                    memcpy(first_u, g.u, rows * sizeof *u);
                    memcpy(first_v, g.v, cols * sizeof *v);
                    u = first_u;
                    v = first_v;
                }
                CHECK(g.s.unique == f->s.unique && !memcmp(g.col_of_row, f->col_of_row, rows * sizeof(int32_t)));
                CHECK(!memcmp(g.u, u, rows * sizeof *u) && !memcmp(g.v, v, cols * sizeof *v));
            } else {
                CHECK(!memcmp(g.clash_rows, f->clash_rows, rows) && !memcmp(g.clash_cols, f->clash_cols, cols));
            }
        }
    }
    solver = 1;
    free(first_u);
    free(first_v);
    g.cost = NULL;
    fixture_free(&g);
}

/* Brute force: every assignment, in the order of the tie rule, so that the first of the best ones is the one. */
static struct {
    fixture *f;
    int left[16], now[16], best[16], spare, found; /* found: how many have the best total */
    int64_t total;
} brute;

static void brute_row(int i, int64_t total)
{
    const fixture *f = brute.f;
    int j;
    if (i == f->p.rows) {
        if (!brute.found || (f->p.maximise ? total > brute.total : total < brute.total)) {
            brute.found = 0;
            brute.total = total;
            memcpy(brute.best, brute.now, sizeof brute.best);
        }
        brute.found += total == brute.total;
        return;
    }
    for (j = 0; j < f->p.cols; j++) {
        int32_t cost = f->cost[(size_t)i * f->p.stride + (size_t)j];
        if (!brute.left[j] || cost == FORBIDDEN) continue;
        brute.left[j]--;
        brute.now[i] = j;
        brute_row(i + 1, total + cost);
        brute.left[j]++;
    }
    if (brute.spare > 0) {
        brute.spare--;
        brute.now[i] = -1;
        brute_row(i + 1, total);
        brute.spare++;
    }
}

static void against_brute_force(fixture *f)
{
    int64_t room = room_of(f);
    int j;
    brute.f = f;
    brute.found = 0;
    brute.spare = f->p.rows > room ? (int)(f->p.rows - room) : 0;
    for (j = 0; j < f->p.cols; j++) brute.left[j] = lap_capacity(&f->p, j);
    brute_row(0, 0);
    CHECK((f->result == MOSAIC_LAP_OK) == (brute.found > 0));
    if (f->result != MOSAIC_LAP_OK || !brute.found) return;
    CHECK(f->s.unique == (brute.found == 1));
    CHECK_MSG(f->s.primal == brute.total, "%lld, not %lld", (long long)f->s.primal, (long long)brute.total);
    for (j = 0; j < f->p.rows; j++)
        CHECK_MSG(f->col_of_row[j] == brute.best[j], "%d x %d room %d: row %d has %d, not %d", (int)f->p.rows, (int)f->p.cols, (int)room, j,
                  (int)f->col_of_row[j], brute.best[j]);
}

/* Costs of many kinds; `kind` picks one. */
enum { KINDS = 8 };
static int32_t draw(int kind)
{
    switch (kind) {
    case 0: return 7;
    case 1: return test_range(0, 1);
    case 2: return test_range(-2, 2);
    case 3: return test_range(0, 1000000);
    case 4: return (int32_t)(test_random() % 3) * 500000000 - 500000000; /* either side of the limit of the narrow kernels */
    case 5: return ((int32_t)(test_random() % 3) - 1) * ((1 << 29) + test_range(-1, 1));
    case 6: return test_range(0, 3) ? (int32_t)test_random() : test_range(0, 1) ? INT32_MIN : FORBIDDEN - 1;
    default: return -test_range(1000000000, 1000000003);
    }
}

static void fill(fixture *f, int kind, int forbidden_percent)
{
    int i, j;
    for (i = 0; i < f->p.rows; i++)
        for (j = 0; j < f->p.cols; j++) {
            int32_t c = draw(kind);
            *at(f, i, j) = c == FORBIDDEN || test_range(0, 99) < forbidden_percent ? FORBIDDEN : c;
        }
}

static void capacities(fixture *f, int highest)
{
    int j;
    if (highest < 0) return;
    for (j = 0; j < f->p.cols; j++) f->capacity[j] = test_range(0, highest);
    f->p.capacity = f->capacity;
}

static void test_small(void)
{
    static const int forbidden[] = {0, 0, 20, 60};
    int round, infeasible = 0, turned = 0;
    for (round = 0; round < 4000; round++) {
        int size = round % 60 == 0 ? 7 : round % 6 == 0 ? 5 : 4;
        int kind = test_range(0, KINDS - 1), rows = test_range(0, size), cols = test_range(0, size), i, j, lowest;
        fixture f, g;
        fixture_make(&f, rows, cols);
        capacities(&f, size == 7 ? test_range(-1, 1) : test_range(-1, 3));
        fill(&f, kind, forbidden[test_range(0, 3)]);
        f.p.maximise = test_range(0, 1);
        solve_everywhere(&f);
        against_brute_force(&f);
        infeasible += f.result != MOSAIC_LAP_OK;
        turned += f.p.rows > room_of(&f);

        /* maximising is minimising the negated */
        fixture_make(&g, f.p.rows, f.p.cols);
        memcpy(g.capacity, f.capacity, (size_t)f.p.cols * sizeof(int32_t));
        g.p.capacity = f.p.capacity ? g.capacity : NULL;
        g.p.maximise = !f.p.maximise;
        for (i = 0, lowest = 0; i < f.p.rows; i++)
            for (j = 0; j < f.p.cols; j++) {
                int32_t c = *at(&f, i, j);
                lowest |= c == INT32_MIN;
                *at(&g, i, j) = c == FORBIDDEN || c == INT32_MIN ? c : -c;
            }
        if (!lowest) {
            solve(&g, 0);
            CHECK(g.result == f.result);
            if (f.result == MOSAIC_LAP_OK) {
                CHECK(g.s.primal == -f.s.primal);
                CHECK(!memcmp(g.col_of_row, f.col_of_row, (size_t)f.p.rows * sizeof(int32_t)));
                for (i = 0; i < f.p.rows; i++) CHECK(g.u[i] == -f.u[i]);
                for (i = 0; i < f.p.cols; i++) CHECK(g.v[i] == -f.v[i]);
            }
        }
        fixture_free(&g);
        fixture_free(&f);
    }
    CHECK(infeasible > 200 && turned > 200); /* each path has been taken */
}

/* The tie rule at sizes beyond brute force, from optimal totals alone. Row after row: all costs times 128, and in this row the number of
   the column (less cols, so that any column beats none) added; the new optimum tells the smallest column that leaves the old one possible. The row then keeps it,
   with a bonus, so that it never goes without. */
static void test_tie_rule(void)
{
    int round;
    for (round = 0; round < 120; round++) {
        fixture f, g;
        int big = round % 3 == 0, rows = test_range(6, big ? 45 : 20), cols = test_range(6, big ? 90 : 20);
        int64_t total;
        static const int highs[] = {0, 1, 3, 9, 40};
        int high = highs[round % 5], i, j;
        fixture_make(&f, rows, cols);
        capacities(&f, test_range(0, 1) ? 3 : -1);
        fill(&f, 0, round % 7 ? 0 : 30);
        for (i = 0; i < rows; i++)
            for (j = 0; j < cols; j++)
                if (*at(&f, i, j) != FORBIDDEN) *at(&f, i, j) = test_range(0, high);
        solve(&f, 0);
        if (f.result == MOSAIC_LAP_OK) {
            fixture_make(&g, rows, cols);
            for (i = 0; i < rows; i++)
                for (j = 0; j < cols; j++) *at(&g, i, j) = *at(&f, i, j) == FORBIDDEN ? FORBIDDEN : 128 * *at(&f, i, j);
            g.p.capacity = f.p.capacity;
            total = 128 * f.s.primal;
            for (i = 0; i < rows; i++) {
                int64_t column;
                for (j = 0; j < cols; j++)
                    if (*at(&g, i, j) != FORBIDDEN) *at(&g, i, j) += j - cols;
                solve(&g, 0);
                column = g.s.primal - total + cols;
                CHECK_MSG(f.col_of_row[i] == (column < cols ? (int)column : -1), "round %d, %d x %d, row %d: %d, not %d", round, rows, cols, i,
                          (int)f.col_of_row[i], (int)column);
                for (j = 0; j < cols; j++) *at(&g, i, j) = j == column ? 128 * *at(&f, i, j) - 128000 : FORBIDDEN;
                total -= column < cols ? 128000 : 0;
            }
            fixture_free(&g);
        }
        fixture_free(&f);
    }
}

/* Sizes about the borders of blocks and lists. The same problem is put in ways that lead the solver elsewhere: with constants added to
   rows and columns, and with the rows that get nothing given a column of their own. */
static void test_medium(void)
{
    static const int sizes[] = {1, 2, 31, 33, 63, 64, 65, 100, 129, 200};
    int a, b, round = 0;
    for (a = 0; a < 10; a++)
        for (b = 0; b < 10; b++) {
            fixture f, g;
            int i, j, rows = sizes[a], cols = sizes[b], kind = round % KINDS;
            int64_t room;
            fixture_make(&f, rows, cols);
            capacities(&f, round % 3 == 0 ? 3 : -1);
            fill(&f, kind, round % 7 == 0 ? 40 : 0);
            round++;
            solve_everywhere(&f);
            room = room_of(&f);
            if (f.result == MOSAIC_LAP_OK && rows >= room && kind <= 3) {
                fixture_make(&g, rows, cols + 1);
                for (i = 0; i < rows; i++) {
                    int row_shift = test_range(-100, 100);
                    for (j = 0; j < cols; j++) {
                        int32_t c = *at(&f, i, j);
                        *at(&g, i, j) = c == FORBIDDEN ? c : c + row_shift + 50 * (j % 7);
                    }
                    *at(&g, i, cols) = row_shift;
                }
                for (j = 0; j < cols; j++) g.capacity[j] = lap_capacity(&f.p, j);
                g.capacity[cols] = (int32_t)(rows - room);
                g.p.capacity = g.capacity;
                solve(&g, 0);
                CHECK(g.result == MOSAIC_LAP_OK);
                for (i = 0; i < rows; i++)
                    CHECK_MSG(f.col_of_row[i] == (g.col_of_row[i] < cols ? g.col_of_row[i] : -1), "%d x %d kind %d", rows, cols, kind);
                fixture_free(&g);
            }
            fixture_free(&f);
        }
}

/* Many blocks and overfull lists, few values and many, crowded and even, both signs. */
static void test_large(void)
{
    static const int shapes[][3] = {{150, 160, 0}, {130, 130, 0}, {60, 700, 0}, {450, 50, 0}, {80, 500, 2}};
    int a, kind, round = 0;
    for (a = 0; a < 5; a++)
        for (kind = 0; kind < 6; kind++) {
            fixture f, g;
            int i, j, rows = shapes[a][0], cols = shapes[a][1], shift = 0;
            int x[700], y[700];
            fixture_make(&f, rows, cols);
            capacities(&f, shapes[a][2] ? shapes[a][2] : -1);
            f.p.maximise = round++ % 2;
            for (j = 0; j < cols; j++) x[j] = test_range(0, 255), y[j] = test_range(0, 255);
            for (i = 0; i < rows; i++) {
                int px = test_range(60, 90), py = test_range(100, 110);
                for (j = 0; j < cols; j++) {
                    int c = kind == 0   ? test_range(0, 1)
                            : kind == 1 ? test_range(0, 9)
                            : kind == 2 ? test_range(0, 400)
                            : kind == 3 ? (i % 20 + 1) * (j % 50 + 1)
                                        : ((px - x[j]) * (px - x[j]) + (py - y[j]) * (py - y[j])) / (kind == 4 ? 1 : 500);
                    *at(&f, i, j) = f.p.maximise ? -c : c;
                }
            }
            solve_everywhere(&f);
            CHECK(f.result == MOSAIC_LAP_OK);

            /* far from zero, where the wide kernels work; the prices are the same but for the shift */
            fixture_make(&g, rows, cols);
            g.p.capacity = f.p.capacity;
            g.p.maximise = f.p.maximise;
            shift = a % 2 ? 2000000000 : -2000000000;
            for (i = 0; i < rows; i++)
                for (j = 0; j < cols; j++) *at(&g, i, j) = *at(&f, i, j) + shift;
            solve(&g, 0);
            CHECK(g.result == MOSAIC_LAP_OK && g.s.primal - f.s.primal == (int64_t)shift * f.s.matched);
            CHECK(!memcmp(f.col_of_row, g.col_of_row, (size_t)rows * sizeof(int32_t)));
            for (i = 0; i < rows && rows <= cols; i++) CHECK(g.u[i] - f.u[i] == shift);
            fixture_free(&g);
            fixture_free(&f);
        }
}

/* Each kernel of each level on the same lines as the scalar one, and the wide ones too; then whole answers cannot hide a difference. */
static void test_kernels(void)
{
    int round;
    for (round = 0; round < 600; round++) {
        fixture f;
        mosaic_lap__table t;
        const mosaic_lap__kernels *kernels[6];
        int32_t narrow[200], lower[4], lower_then[4], expected_lower[4], out[216], expected[216], cost_out[216], expected_cost[216];
        int32_t slot[64], cost[64], limits[3], expected_limits[3], tile[8 * 512];
        int64_t price[200];
        int k, count = 0, i, cols = test_range(1, 200), kind = test_range(0, 3);
        for (k = 0; k < 2; k++)
            for (i = 0; i < levels && i < (int)(sizeof mosaic_lap__kernels_of / sizeof *mosaic_lap__kernels_of); i++)
                kernels[count++] = &mosaic_lap__kernels_of[i][k];
        fixture_make(&f, 1, cols);
        fill(&f, kind, test_range(0, 1) * 50);
        memset(&t, 0, sizeof t);
        t.problem = &f.p;
        t.cost = f.cost;
        t.stride = f.p.stride;
        t.lines = 1;
        t.slots = cols;
        t.blocks = (cols + 63) / 64;
        t.sign = -test_range(0, 1);
        t.lower = lower;
        t.price = price;
        t.narrow = narrow;
        for (i = 0; i < cols; i++) {
            price[i] = -test_range(0, kind == 3 ? 500000 : 3);
            narrow[i] = (int32_t)price[i] + t.sign;
        }
        for (i = 0; i < 4; i++) lower_then[i] = test_range(0, 3) ? INT32_MIN : 0;
        for (i = 0; i < 64; i++) {
            slot[i] = test_range(0, cols - 1);
            cost[i] = draw(kind);
        }
        for (i = 0; i < 8 * 512; i++) tile[i] = i < cols ? *at(&f, 0, i) : INT32_MIN;
        {
            int32_t expected_found = 0, expected_best = 0;
            int64_t limit = test_range(0, 4) ? test_range(-5, kind == 3 ? 800000 : 9) : MOSAIC_LAP__FAR, expected_limit = 0;
            int64_t gap = test_range(0, 1) ? test_range(1, kind == 3 ? 100000 : 3) : MOSAIC_LAP__NO_SHRINK;
            int64_t expected_least[2] = {0, 0};
            uint64_t expected_below = 0, expected_under = 0;
            int listed = test_range(0, 64), block = test_range(0, t.blocks - 1);
            for (k = 0; k < count; k++) { /* the wide ones tell the lower bounds only */
                limits[0] = INT32_MAX;
                limits[1] = INT32_MIN;
                limits[2] = 0;
                memset(lower, 0, sizeof lower);
                kernels[k]->range(&t, 0, 0, t.blocks, tile, limits);
                if (k == 0) {
                    memcpy(expected_limits, limits, sizeof limits);
                    memcpy(expected_lower, lower, sizeof lower);
                }
                if (k < count / 2) CHECK(!memcmp(limits, expected_limits, sizeof limits));
                CHECK(!memcmp(lower, expected_lower, sizeof lower));
            }
            for (k = 0; k < count; k++) {
                int64_t lim = limit, least[2];
                int32_t found, best;
                uint64_t below, under;
                memcpy(lower, lower_then, sizeof lower);
                found = kernels[k]->collect(&t, 0, &lim, gap, out, cost_out);
                below = kernels[k]->below(&t, slot, cost, listed, limit);
                best = kernels[k]->best(&t, slot, cost, listed, least);
                under = kernels[k]->under(&t, 0, block, limit);
                if (k == 0) {
                    expected_found = found;
                    expected_limit = lim;
                    expected_below = below;
                    expected_under = under;
                    expected_best = best;
                    memcpy(expected_least, least, sizeof least);
                    memcpy(expected, out, (size_t)found * sizeof *out);
                    memcpy(expected_cost, cost_out, (size_t)found * sizeof *out);
                    memcpy(expected_lower, lower, sizeof lower);
                    for (i = 0; i < found; i++) CHECK(cost_out[i] == *at(&f, 0, out[i]));
                }
                CHECK_MSG(found == expected_found && lim == expected_limit, "kernel %d: %d, %d", k, (int)found, (int)expected_found);
                CHECK(!memcmp(out, expected, (size_t)found * sizeof *out) && !memcmp(lower, expected_lower, (size_t)t.blocks * sizeof *lower));
                CHECK(!memcmp(cost_out, expected_cost, (size_t)found * sizeof *out));
                CHECK(below == expected_below && under == expected_under);
                CHECK_MSG(best == expected_best && !memcmp(least, expected_least, sizeof least), "kernel %d, %d listed", k, listed);
            }
        }
        fixture_free(&f);
    }
}

/* Everything tied: the answer is known, and it must not take long. */
static void test_constant(void)
{
    fixture f;
    int i, j;
    fixture_make(&f, 500, 400);
    fill(&f, 0, 0);
    for (i = 0; i < 2; i++) {
        f.p.rows = i ? 500 : 300;
        solve(&f, 0);
        for (j = 0; j < f.p.rows; j++) CHECK(f.col_of_row[j] == (j < 400 ? j : -1));
    }
    for (j = 0; j < 400; j++) f.capacity[j] = j % 4;
    f.p.capacity = f.capacity;
    solve(&f, 0);
    for (i = 0, j = 0; i < 500; i++) {
        while (f.capacity[j] == 0) j++;
        CHECK(f.col_of_row[i] == j);
        f.capacity[j]--;
    }
    fixture_free(&f);
}

static void run_backwards(void *ctx, void (*job)(void *arg, int index), void *arg, int count)
{
    *(int *)ctx += count;
    while (count-- > 0) job(arg, count);
}

static void test_memory_and_jobs(void)
{
    fixture f;
    mosaic_lap_options o;
    mosaic_lap_report r;
    int32_t expect[150];
    int ctx = 42, jobs = 0, round;
    memset(&o, 0, sizeof o);
    for (round = 0; round < 4; round++) {
        unsigned char *work;
        size_t size;
        o.solver = round < 2;
        fixture_make(&f, 150, round % 2 ? 90 : 170);
        fill(&f, 2, 10);
        solve(&f, 0);
        CHECK(f.result == MOSAIC_LAP_OK);
        memcpy(expect, f.col_of_row, sizeof expect);
        size = mosaic_lap_work_size(&f.p);
        CHECK(size > 0);

        /* an area at an odd address, with nothing around it touched; a byte less is refused */
        work = (unsigned char *)malloc(size + 2);
        memset(work, 0xa5, size + 2);
        o.work = work + 1;
        o.work_size = size - 1;
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_ERROR_MEMORY);
        o.work_size = size;
        alloc_calls = 0;
        memset(f.col_of_row, 0, sizeof expect);
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_OK);
        CHECK(!memcmp(expect, f.col_of_row, sizeof expect));
        CHECK(mosaic_lap_check(&f.p, &o, &f.s, &r) == MOSAIC_LAP_OK);
        CHECK(alloc_calls == 0 && work[0] == 0xa5 && work[size + 1] == 0xa5);
        o.work_size = 8;
        CHECK(mosaic_lap_check(&f.p, &o, &f.s, &r) == MOSAIC_LAP_ERROR_MEMORY);
        o.work = NULL;
        free(work);

        /* every allocation may fail */
        o.alloc_ctx = &ctx;
        alloc_calls = 0;
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_OK && alloc_live == 0);
        CHECK(mosaic_lap_check(&f.p, &o, &f.s, &r) == MOSAIC_LAP_OK && alloc_live == 0);
        CHECK(alloc_calls == 2);
        memset(f.col_of_row, 0x77, sizeof expect);
        alloc_fail_at = alloc_calls;
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_ERROR_MEMORY && alloc_live == 0);
        CHECK(f.col_of_row[0] == 0x77777777 && f.col_of_row[149] == 0x77777777);
        alloc_fail_at = alloc_calls;
        CHECK(mosaic_lap_check(&f.p, &o, &f.s, &r) == MOSAIC_LAP_ERROR_MEMORY && alloc_live == 0);
        alloc_fail_at = -1;
        o.alloc_ctx = NULL;

        /* jobs in any order */
        o.run = run_backwards;
        o.run_ctx = &jobs;
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_OK);
        CHECK(!memcmp(expect, f.col_of_row, sizeof expect));
        CHECK(mosaic_lap_check(&f.p, &o, &f.s, &r) == MOSAIC_LAP_OK);
        CHECK(jobs > 2);
        o.run = NULL;

        /* every array of the answer may be missing */
        {
            mosaic_lap_solution s;
            memset(&s, 0, sizeof s);
            CHECK(mosaic_lap_solve(&f.p, NULL, &s) == MOSAIC_LAP_OK && s.primal == f.s.primal);
            *at(&f, 0, 0) = FORBIDDEN;
            for (jobs = 0; jobs < f.p.cols; jobs++) *at(&f, 3, jobs) = FORBIDDEN;
            if (round % 2 == 0) CHECK(mosaic_lap_solve(&f.p, NULL, &s) == MOSAIC_LAP_ERROR_INFEASIBLE && s.row == 3);
        }
        fixture_free(&f);
    }
}

static void test_bad_input(void)
{
    int32_t cost[6] = {1, 2, 3, 4, 5, 6}, capacity[3] = {1, -1, 1}, col[2] = {9, 9};
    int64_t u[2] = {0, 0}, v[3] = {0, 0, 0};
    mosaic_lap_problem p, bad;
    mosaic_lap_solution s;
    mosaic_lap_options o;
    mosaic_lap_report r;
    int i;
    memset(&p, 0, sizeof p);
    memset(&s, 0, sizeof s);
    memset(&o, 0, sizeof o);
    p.rows = 2;
    p.cols = 3;
    p.cost = cost;
    s.col_of_row = col;
    s.u = u;
    s.v = v;
    CHECK(mosaic_lap_solve(NULL, NULL, &s) == MOSAIC_LAP_ERROR_NULL && mosaic_lap_work_size(NULL) == 0);
    CHECK(mosaic_lap_solve(&p, NULL, NULL) == MOSAIC_LAP_ERROR_NULL);
    bad = p;
    bad.cost = NULL;
    CHECK(mosaic_lap_solve(&bad, NULL, &s) == MOSAIC_LAP_ERROR_NULL && mosaic_lap_work_size(&bad) == 0);
    for (i = 0; i < 5; i++) {
        bad = p;
        if (i == 0) bad.rows = -1;
        if (i == 1) bad.cols = INT32_MIN;
        if (i == 2) bad.rows = bad.cols = INT32_MAX / 2;
        if (i == 3) bad.rows = INT32_MAX;
        if (i == 4) bad.stride = SIZE_MAX / 4;
        CHECK(mosaic_lap_solve(&bad, NULL, &s) == MOSAIC_LAP_ERROR_SIZE && mosaic_lap_work_size(&bad) == 0);
        CHECK(mosaic_lap_check(&bad, NULL, &s, &r) == MOSAIC_LAP_ERROR_SIZE);
    }
    bad = p;
    bad.stride = 2;
    CHECK(mosaic_lap_solve(&bad, NULL, &s) == MOSAIC_LAP_ERROR_STRIDE && mosaic_lap_work_size(&bad) == 0);
    bad = p;
    bad.capacity = capacity;
    CHECK(mosaic_lap_solve(&bad, NULL, &s) == MOSAIC_LAP_ERROR_CAPACITY && s.col == 1 && s.row == -1);
    CHECK(mosaic_lap_check(&bad, NULL, &s, &r) == MOSAIC_LAP_ERROR_CAPACITY && mosaic_lap_work_size(&bad) == 0);
    o.simd = 5;
    CHECK(mosaic_lap_solve(&p, &o, &s) == MOSAIC_LAP_ERROR_OPTION);
    o.simd = -1;
    CHECK(mosaic_lap_solve(&p, &o, &s) == MOSAIC_LAP_ERROR_OPTION);
    for (i = levels + 1; i <= 4; i++) {
        o.simd = i;
        CHECK(mosaic_lap_solve(&p, &o, &s) == MOSAIC_LAP_ERROR_SIMD);
    }
    CHECK(col[0] == 9 && col[1] == 9);
    CHECK(mosaic_lap_check(NULL, NULL, &s, &r) == MOSAIC_LAP_ERROR_NULL);
    CHECK(mosaic_lap_check(&p, NULL, NULL, &r) == MOSAIC_LAP_ERROR_NULL);
    CHECK(mosaic_lap_check(&p, NULL, &s, NULL) == MOSAIC_LAP_ERROR_NULL);
    for (i = 0; i < 3; i++) {
        mosaic_lap_solution part = s;
        if (i == 0) part.col_of_row = NULL;
        if (i == 1) part.u = NULL;
        if (i == 2) part.v = NULL;
        CHECK(mosaic_lap_check(&p, NULL, &part, &r) == MOSAIC_LAP_ERROR_NULL);
    }
    u[1] = INT64_MIN;
    CHECK(mosaic_lap_check(&p, NULL, &s, &r) == MOSAIC_LAP_ERROR_NUMBER);
    u[1] = 0;
    v[2] = INT64_MAX;
    CHECK(mosaic_lap_check(&p, NULL, &s, &r) == MOSAIC_LAP_ERROR_NUMBER);
    for (i = 0; i <= MOSAIC_LAP_ERROR_CERTIFICATE; i++) CHECK(strlen(mosaic_lap_result_string((mosaic_lap_result)i)) > 1);
    for (i = 0; i <= MOSAIC_LAP_GAP; i++) CHECK(strlen(mosaic_lap_finding_string((mosaic_lap_finding)i)) > 1);
    CHECK(mosaic_lap_result_string((mosaic_lap_result)99) && mosaic_lap_finding_string((mosaic_lap_finding)99));
}

/* Nothing to assign, or one of something. */
static void test_edges(void)
{
    fixture f;
    int i;
    for (i = 0; i < 3; i++) {
        fixture_make(&f, i == 0 ? 0 : i == 1 ? 3 : 0, i == 0 ? 0 : i == 1 ? 0 : 3);
        f.p.cost = NULL;
        solve(&f, 0);
        CHECK(f.result == MOSAIC_LAP_OK && f.s.primal == 0 && f.s.matched == 0);
        if (i == 1) CHECK(f.col_of_row[0] == -1 && f.col_of_row[2] == -1 && f.u[1] == 0);
        if (i == 2) CHECK(f.v[0] == 0 && f.v[2] == 0);
        fixture_free(&f);
    }
    for (i = 0; i < 2; i++) {
        fixture_make(&f, i ? 1000 : 1, i ? 1 : 1000);
        fill(&f, 3, 0);
        *at(&f, i ? 777 : 0, i ? 0 : 777) = -5;
        *at(&f, i ? 778 : 0, i ? 0 : 778) = -5;
        solve_everywhere(&f);
        CHECK(f.s.primal == -5 && f.s.matched == 1 && (i ? f.col_of_row[777] == 0 && f.col_of_row[0] == -1 : f.col_of_row[0] == 777));
        fixture_free(&f);
    }
    /* the largest numbers: a cost may be anything but the sentinel, and totals do not overflow */
    for (i = 0; i < 2; i++) {
        fixture_make(&f, 40, 70);
        f.p.maximise = i;
        fill(&f, 0, 0);
        {
            int r, c;
            for (r = 0; r < 40; r++)
                for (c = 0; c < 70; c++) *at(&f, r, c) = (r + c) % 40 ? (i ? INT32_MIN : FORBIDDEN - 1) : (i ? FORBIDDEN - 1 : INT32_MIN);
        }
        solve_everywhere(&f);
        CHECK(f.s.primal == 40 * (int64_t)(i ? FORBIDDEN - 1 : INT32_MIN));
        fixture_free(&f);
    }
    /* costs within the limit of the narrow kernels, prices far beyond it: each row prefers its own column by the whole range, and the
       last one, which has no choice, pushes all of them on; then rows that find every sort of price */
    for (i = 0; i < 2; i++) {
        int r, c, edge = 1 << 29;
        fixture_make(&f, 200, 170);
        f.p.maximise = i;
        fill(&f, 5, 0);
        for (r = 0; r < 100; r++)
            for (c = 0; c < 170; c++) *at(&f, r, c) = r < 99 && c == r ? (i ? edge : -edge) : r < 99 && c == r + 1 ? (i ? -edge : edge) : FORBIDDEN;
        *at(&f, 99, 0) = 0;
        for (; r < 200; r++)
            for (c = 0; c < 170; c++) *at(&f, r, c) = (r * 37 + c * 11) % 101 * 10000000 - edge;
        f.p.rows = 150 + 20 * i;
        solve_everywhere(&f);
        for (c = 0, r = 0; c < 100; c++) r |= (i ? f.v[c] : -f.v[c]) > (int64_t)1 << 35;
        CHECK(r && f.col_of_row[99] == 0 && f.col_of_row[0] == 1 && f.col_of_row[98] == 99);
        fixture_free(&f);
    }
    /* no room at all, and one column for everyone */
    fixture_make(&f, 5, 3);
    fill(&f, 3, 0);
    f.p.capacity = f.capacity;
    solve_everywhere(&f);
    CHECK(f.s.matched == 0 && f.col_of_row[4] == -1);
    f.capacity[1] = INT32_MAX;
    f.capacity[2] = INT32_MAX;
    solve_everywhere(&f);
    for (i = 0; i < 5; i++) CHECK(f.col_of_row[i] == (*at(&f, i, 1) <= *at(&f, i, 2) ? 1 : 2));
    fixture_free(&f);
}

/* The check must object to everything that can be wrong. */
static void expect(fixture *f, mosaic_lap_finding finding, int row, int col)
{
    mosaic_lap_report r;
    CHECK(mosaic_lap_check(&f->p, NULL, &f->s, &r) == MOSAIC_LAP_ERROR_CERTIFICATE);
    CHECK_MSG(r.finding == finding && r.row == row && r.col == col, "%s (%d, %d)", mosaic_lap_finding_string(r.finding), (int)r.row, (int)r.col);
    if (finding == MOSAIC_LAP_VIOLATED) CHECK(r.worst_violation > 0 && r.violations > 0);
}

static void test_check(void)
{
    static const int32_t cost[9] = {5, 1, FORBIDDEN, 2, 9, 4, 7, 3, 1};
    int i, sign;
    for (sign = 1; sign >= -1; sign -= 2) {
        fixture f;
        fixture_make(&f, 2, 3);
        f.p.maximise = sign < 0;
        for (i = 0; i < 6; i++) *at(&f, i / 3, i % 3) = cost[i] == FORBIDDEN ? FORBIDDEN : sign * cost[i];
        solve(&f, 0);
        CHECK(f.col_of_row[0] == 1 && f.col_of_row[1] == 0 && f.s.primal == 3 * sign && f.v[2] == 0);
        f.col_of_row[0] = 3;
        expect(&f, MOSAIC_LAP_BAD_COLUMN, 0, 3);
        f.col_of_row[0] = -2;
        expect(&f, MOSAIC_LAP_BAD_COLUMN, 0, -2);
        f.col_of_row[0] = 2;
        expect(&f, MOSAIC_LAP_USED_FORBIDDEN, 0, 2);
        f.col_of_row[0] = 0;
        expect(&f, MOSAIC_LAP_OVER_CAPACITY, 1, 0);
        f.col_of_row[0] = -1;
        expect(&f, MOSAIC_LAP_TOO_FEW_MATCHED, 0, -1);
        f.col_of_row[0] = 1;
        f.v[0] += sign;
        expect(&f, MOSAIC_LAP_PRICE_SIGN, -1, 0);
        f.v[0] -= sign;
        f.v[2] -= sign;
        expect(&f, MOSAIC_LAP_PRICE_NOT_ZERO, -1, 2);
        f.v[2] += sign;
        f.u[0] -= sign;
        expect(&f, MOSAIC_LAP_NOT_TIGHT, 0, 1);
        f.u[0] += sign;
        f.v[0] = f.v[1] = 0; /* prices of the second row raised with the first column's lowered, all else tight */
        f.u[0] = *at(&f, 0, 1);
        f.u[1] = *at(&f, 1, 0) + 3 * sign;
        f.v[0] = -3 * sign;
        expect(&f, MOSAIC_LAP_VIOLATED, 1, 2);
        fixture_free(&f);

        /* more rows than room */
        fixture_make(&f, 3, 1);
        f.p.maximise = sign < 0;
        for (i = 0; i < 3; i++) *at(&f, i, 0) = sign * (3 - i);
        solve(&f, 0);
        CHECK(f.col_of_row[0] == -1 && f.col_of_row[2] == 0 && f.s.primal == sign);
        f.col_of_row[2] = -1;
        expect(&f, MOSAIC_LAP_TOO_FEW_MATCHED, -1, 0);
        f.col_of_row[2] = 0;
        f.u[1] += sign;
        expect(&f, MOSAIC_LAP_PRICE_SIGN, 1, -1);
        f.u[1] -= 2 * sign;
        expect(&f, MOSAIC_LAP_PRICE_NOT_ZERO, 1, -1);
        f.u[1] += sign;
        f.col_of_row[0] = 0;
        f.col_of_row[2] = -1;
        f.u[0] = f.u[1] = f.u[2] = 0;
        f.v[0] = 3 * sign;
        expect(&f, MOSAIC_LAP_VIOLATED, 2, 0);
        fixture_free(&f);
    }
}

int main(void)
{
    levels = lap_levels();
    test_small();
    test_tie_rule();
    test_medium();
    test_large();
    test_kernels();
    test_constant();
    test_memory_and_jobs();
    test_bad_input();
    test_edges();
    test_check();
    CHECK(alloc_live == 0);
    return test_end("lap");
}
