/* The ways mosaic_lap.h has of solving the same problem: every solver, costs in a table and made on the fly, groups, warm starts. The answer may
   depend on none of it, and each is held against its certificate. */

#define MOSAIC_LAP__CLUSTER_FROM 9000 /* else only problems too large for a test have their columns put in order */
#include "../lap.h"
#include "../threads.h"

static int levels;

typedef struct {
    int32_t *col_of_row;
    mosaic_lap_solution s;
} answer;

static void answer_make(answer *a, const mosaic_lap_problem *p)
{
    memset(a, 0, sizeof *a);
    a->s.col_of_row = (int32_t *)grab((size_t)p->rows, sizeof(int32_t));
    a->s.u = (int64_t *)grab((size_t)p->rows, sizeof(int64_t));
    a->s.v = (int64_t *)grab((size_t)p->cols, sizeof(int64_t));
    a->s.w = (int64_t *)grab((size_t)p->groups, sizeof(int64_t));
    a->s.clash_rows = (uint8_t *)grab((size_t)p->rows, 1);
    a->s.clash_cols = (uint8_t *)grab((size_t)p->cols, 1);
}

static void answer_free(answer *a)
{
    free(a->s.col_of_row);
    free(a->s.u);
    free(a->s.v);
    free(a->s.w);
    free(a->s.clash_rows);
    free(a->s.clash_cols);
}

static void same(const mosaic_lap_problem *p, mosaic_lap_result a, const mosaic_lap_solution *x, mosaic_lap_result b, const mosaic_lap_solution *y,
                 const char *what)
{
    CHECK_MSG(a == b, "%s %d %d: %d x %d cap %d max %d", what, a, b, (int)p->rows, (int)p->cols, p->capacity != NULL, p->maximise);
    if (a != MOSAIC_LAP_OK || b != MOSAIC_LAP_OK) return;
    CHECK_MSG(x->primal == y->primal && x->unique == y->unique, "%s: %lld, %lld", what, (long long)x->primal, (long long)y->primal);
    CHECK_MSG(!memcmp(x->col_of_row, y->col_of_row, (size_t)p->rows * sizeof(int32_t)), "%s, %d x %d", what, (int)p->rows, (int)p->cols);
}

/* Costs of many families into a table. */
enum { FAMILIES = 9 };
static void draw(int family, int rows, int cols, int32_t *cost)
{
    int i, j;
    int32_t x[2][1200];
    for (j = 0; j < 1200; j++) {
        x[0][j] = test_range(0, 255);
        x[1][j] = test_range(0, 255);
    }
    for (i = 0; i < rows; i++)
        for (j = 0; j < cols; j++) {
            int32_t dx = (x[0][i] >> 2) + 60 - x[0][600 + j], dy = (x[1][i] >> 3) + 100 - x[1][600 + j], c;
            switch (family) {
            case 0: c = 7; break;
            case 1: c = test_range(0, 1); break;
            case 2: c = test_range(0, 9); break;
            case 3: c = test_range(0, 1000000); break;
            case 4: c = dx * dx + dy * dy; break;
            case 5: c = (dx * dx + dy * dy) / 900; break;
            case 6: c = (i % 20 + 1) * (j % 50 + 1); break;
            case 7: c = (int32_t)test_random(); break; /* all of int32 */
            default: c = INT32_MAX - 1 - test_range(0, 3); break;
            }
            if (family == 7 && !test_range(0, 5)) c = test_range(0, 1) ? INT32_MIN : FORBIDDEN;
            cost[i * cols + j] = c;
        }
}

/* Every solver and every instruction set on the same problem. */
static void test_solvers(void)
{
    static const int sizes[][2] = {{1, 1}, {3, 3}, {40, 40}, {129, 129}, {200, 200}, {120, 300}, {300, 120}, {190, 200}};
    int a, family;
    for (a = 0; a < 8; a++)
        for (family = 0; family < FAMILIES; family++) {
            mosaic_lap_problem p;
            mosaic_lap_options o;
            answer first, other;
            mosaic_lap_result result, again;
            int rows = sizes[a][0], cols = sizes[a][1], solver, level;
            int32_t *cost = (int32_t *)grab((size_t)(rows * cols), sizeof(int32_t));
            draw(family, rows, cols, cost);
            memset(&p, 0, sizeof p);
            memset(&o, 0, sizeof o);
            p.rows = rows;
            p.cols = cols;
            p.cost = cost;
            p.maximise = a % 2;
            answer_make(&first, &p);
            answer_make(&other, &p);
            o.solver = 1;
            o.simd = 1;
            result = lap_solve(&p, &o, &first.s);
            for (solver = 0; solver <= 3; solver++) {
                size_t row_bytes = (size_t)rows * sizeof(int64_t), col_bytes = (size_t)cols * sizeof(int64_t);
                int64_t *u = (int64_t *)grab((size_t)rows, sizeof(int64_t)), *v = (int64_t *)grab((size_t)cols, sizeof(int64_t));
                o.solver = solver;
                for (level = 1; level <= levels; level++) {
                    o.simd = level;
                    again = lap_solve(&p, &o, &other.s);
                    same(&p, result, &first.s, again, &other.s, "solver");
                    if (level == 1) {
                        memcpy(u, other.s.u, row_bytes);
                        memcpy(v, other.s.v, col_bytes);
                    }
                    if (again == MOSAIC_LAP_OK)
                        CHECK_MSG(!memcmp(u, other.s.u, row_bytes) && !memcmp(v, other.s.v, col_bytes), "prices, solver %d", solver);
                }
                free(u);
                free(v);
            }
            answer_free(&first);
            answer_free(&other);
            free(cost);
        }
}

/* A table behind a function. */
typedef struct {
    const int32_t *cost;
    int cols, calls;
} behind;

static void fill_from_table(void *ctx, int32_t row, int32_t rows, int32_t col, int32_t cols, int32_t *out, size_t stride)
{
    behind *b = (behind *)ctx;
    int32_t i, j;
    b->calls++;
    for (i = 0; i < rows; i++)
        for (j = 0; j < cols; j++) out[(size_t)i * stride + (size_t)j] = b->cost[(row + i) * b->cols + col + j];
}

static void test_fill(void)
{
    static const int sizes[][2] = {{1, 1}, {2, 130}, {130, 2}, {70, 500}, {500, 70}, {200, 200}, {9, 600}, {0, 5}, {5, 0}};
    int a, family;
    for (a = 0; a < 9; a++)
        for (family = 0; family < FAMILIES; family++) {
            mosaic_lap_problem p;
            mosaic_lap_options o;
            answer table, made;
            behind b;
            mosaic_lap_result result, again;
            int rows = sizes[a][0], cols = sizes[a][1], j, level;
            int32_t *cost = (int32_t *)grab((size_t)(rows * cols), sizeof(int32_t)), *capacity = (int32_t *)grab((size_t)cols, sizeof(int32_t));
            draw(family, rows, cols, cost);
            memset(&p, 0, sizeof p);
            memset(&o, 0, sizeof o);
            p.rows = rows;
            p.cols = cols;
            p.cost = cost;
            p.maximise = family % 2;
            for (j = 0; j < cols; j++) capacity[j] = test_range(0, 2);
            if (a % 2) p.capacity = capacity;
            answer_make(&table, &p);
            answer_make(&made, &p);
            result = lap_solve(&p, NULL, &table.s);
            p.cost = NULL;
            b.cost = cost;
            b.cols = cols;
            b.calls = 0;
            p.fill = fill_from_table;
            p.fill_ctx = &b;
            for (level = 0; level <= levels; level++) {
                o.simd = level;
                again = lap_solve(&p, &o, &made.s);
                same(&p, result, &table.s, again, &made.s, "fill");
            }
            CHECK(rows * cols == 0 || b.calls > 0);
            answer_free(&table);
            answer_free(&made);
            free(cost);
            free(capacity);
        }
}

static void test_vectors(void)
{
    int round;
    for (round = 0; round < 60; round++) {
        static const int lengths[] = {1, 2, 3, 4, 5, 7, 8, 48, 131};
        mosaic_lap_problem p;
        mosaic_lap_options o;
        mosaic_lap_vectors x;
        answer table, made;
        mosaic_lap_result result, again;
        int rows = test_range(1, 150), cols = test_range(1, round % 4 ? 300 : 1300), length = lengths[round % 9], bits = round % 2 ? 8 : 16, i, j, k,
            level;
        int spread = round % 5 == 0 ? 2 : bits == 8 ? 255 : round % 3 ? 300 : 3000;
        int32_t *cost = (int32_t *)grab((size_t)(rows * cols), sizeof(int32_t));
        int16_t *wide = (int16_t *)grab((size_t)((rows + cols) * length), sizeof(int16_t));
        uint8_t *bytes = (uint8_t *)grab((size_t)((rows + cols) * length), 1);
        for (i = 0; i < (rows + cols) * length; i++) {
            bytes[i] = (uint8_t)(round % 7 == 3 ? 255 * test_range(0, 1) : test_range(0, spread > 255 ? 255 : spread));
            wide[i] = (int16_t)test_range(-spread, spread);
        }
        for (i = 0; i < rows; i++)
            for (j = 0; j < cols; j++)
                for (k = 0; k < length; k++) {
                    int32_t d =
                        bits == 8 ? bytes[i * length + k] - bytes[(rows + j) * length + k] : wide[i * length + k] - wide[(rows + j) * length + k];
                    cost[i * cols + j] += d * d;
                }
        memset(&p, 0, sizeof p);
        memset(&o, 0, sizeof o);
        p.rows = rows;
        p.cols = cols;
        p.cost = cost;
        p.maximise = round % 11 == 0;
        answer_make(&table, &p);
        answer_make(&made, &p);
        result = lap_solve(&p, NULL, &table.s);
        p.cost = NULL;
        p.vectors = &x;
        x.row = bits == 8 ? (const void *)bytes : wide;
        x.col = bits == 8 ? (const void *)(bytes + rows * length) : wide + rows * length;
        x.length = length;
        x.bits = bits;
        for (level = 0; level <= levels; level++) {
            o.simd = level;
            again = lap_solve(&p, &o, &made.s);
            same(&p, result, &table.s, again, &made.s, "vectors");
        }
        answer_free(&table);
        answer_free(&made);
        free(cost);
        free(wide);
        free(bytes);
    }
}

/* The largest distances there are, either side of what is allowed. */
static void test_vector_limits(void)
{
    static int16_t row[2], col[4];
    static uint8_t bytes[2 * 33026];
    mosaic_lap_problem p;
    mosaic_lap_vectors x;
    answer a;
    int i;
    memset(&p, 0, sizeof p);
    p.rows = 1;
    p.cols = 2;
    p.vectors = &x;
    x.row = row;
    x.col = col;
    x.length = 1;
    x.bits = 16;
    answer_make(&a, &p);
    row[0] = 32767;
    col[0] = (int16_t)(32767 - 46340); /* 46340^2 = 2147395600 */
    col[1] = 32767;
    CHECK(lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_OK && a.s.primal == 0);
    p.maximise = 1;
    CHECK(lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_OK && a.s.primal == 2147395600 && a.s.col_of_row[0] == 0);
    col[0]--;
    CHECK(mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_NUMBER);
    row[0] = row[1] = -32768; /* products of two at once, in which -2^15 squared twice reaches 2^31 */
    col[0] = col[1] = col[2] = -32768;
    col[3] = -32700;
    x.length = 2;
    CHECK(lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_OK && a.s.primal == 68 * 68);
    p.maximise = 0;
    CHECK(lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_OK && a.s.primal == 0);
    x.bits = 8;
    x.row = bytes;
    x.col = bytes;
    p.rows = p.cols = 1;
    x.length = 33025;
    CHECK(mosaic_lap_work_size(&p) > 0);
    x.length = 33026;
    CHECK(mosaic_lap_work_size(&p) == 0 && mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_NUMBER);
    for (i = 0; i < 33025; i++) bytes[i] = 255;
    x.length = 33025;
    x.col = bytes + 33026;
    for (i = 0; i <= levels; i++) {
        mosaic_lap_options o;
        memset(&o, 0, sizeof o);
        o.simd = i;
        CHECK(lap_solve(&p, &o, &a.s) == MOSAIC_LAP_OK && a.s.primal == 2147450625);
    }
    answer_free(&a);
}

/* Groups against brute force: every assignment in the order of the tie rule, so that the first of the best is the one. */
static struct {
    const mosaic_lap_problem *p;
    int left[16], quota[16], now[16], best[16], found;
    int64_t total;
} brute;

static void brute_row(int i, int64_t total)
{
    const mosaic_lap_problem *p = brute.p;
    int j;
    if (i == p->rows) {
        if (!brute.found || (p->maximise ? total > brute.total : total < brute.total)) {
            brute.found = 1;
            brute.total = total;
            memcpy(brute.best, brute.now, sizeof brute.best);
        }
        return;
    }
    for (j = 0; j < p->cols; j++) {
        int32_t cost = ((const int32_t *)p->cost)[i * p->cols + j];
        int g = p->group[j];
        if (!brute.left[j] || (g >= 0 && !brute.quota[g]) || cost == FORBIDDEN) continue;
        brute.left[j]--;
        if (g >= 0) brute.quota[g]--;
        brute.now[i] = j;
        brute_row(i + 1, total + cost);
        brute.left[j]++;
        if (g >= 0) brute.quota[g]++;
    }
}

static void test_groups_small(void)
{
    int round, infeasible = 0, tight = 0;
    for (round = 0; round < 6000; round++) {
        mosaic_lap_problem p;
        mosaic_lap_options o;
        answer a;
        int rows = test_range(0, 5), cols = test_range(0, 6), groups = test_range(1, 4), i, j;
        int32_t cost[64], capacity[8], group[8], quota[8];
        memset(&p, 0, sizeof p);
        memset(&o, 0, sizeof o);
        draw(round % FAMILIES, rows, cols, cost);
        for (i = 0; i < rows * cols; i++)
            if (round % 5 == 0 && !test_range(0, 3)) cost[i] = FORBIDDEN;
        for (j = 0; j < cols; j++) {
            capacity[j] = test_range(0, 3);
            group[j] = test_range(-1, groups - 1);
        }
        for (j = 0; j < groups; j++) quota[j] = test_range(0, 3);
        p.rows = rows;
        p.cols = cols;
        p.cost = cost;
        p.capacity = round % 2 ? capacity : NULL;
        p.groups = groups;
        p.group = group;
        p.quota = quota;
        p.maximise = round % 3 == 0;
        answer_make(&a, &p);
        o.simd = round % levels + 1;
        brute.p = &p;
        brute.found = 0;
        for (j = 0; j < cols; j++) brute.left[j] = p.capacity ? capacity[j] : 1;
        for (j = 0; j < groups; j++) brute.quota[j] = quota[j];
        brute_row(0, 0);
        if (lap_solve(&p, &o, &a.s) == MOSAIC_LAP_OK) {
            CHECK(brute.found);
            CHECK_MSG(a.s.primal == brute.total, "%lld, not %lld", (long long)a.s.primal, (long long)brute.total);
            for (i = 0; i < rows; i++)
                CHECK_MSG(a.s.col_of_row[i] == brute.best[i], "round %d, row %d: %d, not %d", round, i, (int)a.s.col_of_row[i], brute.best[i]);
            for (j = 0; j < groups; j++) tight += a.s.w[j] != 0;
        } else {
            CHECK(!brute.found);
            infeasible++;
        }
        answer_free(&a);
    }
    CHECK(infeasible > 100 && tight > 100);
}

/* Groups with room for all of their columns change nothing; tighter quotas only cost more. Photographs of 4 variants each. */
static void test_groups_large(void)
{
    int family, quota_now, i, j;
    enum { ROWS = 90, COLS = 400 };
    static int32_t cost[ROWS * COLS], group[COLS], quota[COLS / 4];
    for (family = 0; family < 7; family++) {
        mosaic_lap_problem p;
        mosaic_lap_options o;
        answer plain, grouped, other;
        int64_t before = INT64_MIN;
        draw(family, ROWS, COLS, cost);
        memset(&p, 0, sizeof p);
        memset(&o, 0, sizeof o);
        p.rows = ROWS;
        p.cols = COLS;
        p.cost = cost;
        answer_make(&plain, &p);
        lap_solve(&p, NULL, &plain.s);
        p.group = group;
        p.quota = quota;
        p.groups = COLS / 4;
        answer_make(&grouped, &p);
        answer_make(&other, &p);
        for (quota_now = 4; quota_now >= 1; quota_now--) {
            int used[COLS / 4] = {0}, level;
            for (j = 0; j < COLS; j++) group[j] = (j * 7 % COLS) / 4;
            for (j = 0; j < COLS / 4; j++) quota[j] = quota_now;
            CHECK(lap_solve(&p, NULL, &grouped.s) == MOSAIC_LAP_OK);
            CHECK(grouped.s.primal >= before);
            before = grouped.s.primal;
            if (quota_now == 4) same(&p, MOSAIC_LAP_OK, &plain.s, MOSAIC_LAP_OK, &grouped.s, "loose groups");
            for (i = 0; i < ROWS; i++) CHECK(++used[group[grouped.s.col_of_row[i]]] <= quota_now);
            o.start = &grouped.s; /* has no effect with groups */
            for (level = 1; level <= levels; level++) {
                o.simd = level;
                same(&p, MOSAIC_LAP_OK, &grouped.s, lap_solve(&p, &o, &other.s), &other.s, "groups, levels");
                CHECK(!memcmp(grouped.s.w, other.s.w, COLS / 4 * sizeof(int64_t)));
            }
        }
        answer_free(&plain);
        answer_free(&grouped);
        answer_free(&other);
    }
}

/* Costs that wander: each frame starts from the answer to the last one, and must end where a cold start does. */
static void walk(int rows, int cols, int most, int range, int changed_percent, int frames, int way)
{
    mosaic_lap_problem p;
    mosaic_lap_options o;
    answer warm, cold;
    behind b;
    int frame, i;
    size_t n = (size_t)(rows * cols);
    int32_t *cost = (int32_t *)grab(n, sizeof(int32_t)), *capacity = (int32_t *)grab((size_t)cols, sizeof(int32_t));
    memset(&p, 0, sizeof p);
    memset(&o, 0, sizeof o);
    p.rows = rows;
    p.cols = cols;
    p.cost = cost;
    for (i = 0; i < cols; i++) capacity[i] = test_range(most > 2 ? 0 : 1, most);
    if (most > 1) p.capacity = capacity;
    p.maximise = way == 1;
    b.cost = cost;
    b.cols = cols;
    b.calls = 0;
    if (way == 2) {
        p.cost = NULL;
        p.fill = fill_from_table;
        p.fill_ctx = &b;
    }
    answer_make(&warm, &p);
    answer_make(&cold, &p);
    for (i = 0; i < (int)n; i++) cost[i] = test_range(0, range);
    for (frame = 0; frame < frames; frame++) {
        mosaic_lap_result a, c;
        for (i = 0; i < rows; i++)
            if (test_range(0, 99) < changed_percent) {
                int j, jump = !test_range(0, 20);
                for (j = 0; j < cols; j++)
                    if (cost[i * cols + j] != FORBIDDEN)
                        cost[i * cols + j] = jump ? test_range(0, range) : cost[i * cols + j] + test_range(-range / 20 - 1, range / 20 + 1);
            }
        if (frame % 50 == 20) cost[test_range(0, (int)n - 1)] = FORBIDDEN;
        o.start = frame ? &warm.s : NULL;
        o.simd = frame % levels + 1;
        a = lap_solve(&p, &o, &warm.s);
        c = lap_solve(&p, NULL, &cold.s);
        same(&p, a, &warm.s, c, &cold.s, "warm");
        if (a != MOSAIC_LAP_OK) break;
    }
    answer_free(&warm);
    answer_free(&cold);
    free(cost);
    free(capacity);
}

static void test_warm(void)
{
    walk(40, 100, 1, 1000, 50, 500, 0);
    walk(40, 100, 1, 1000000, 10, 500, 1);
    walk(30, 33, 1, 5, 40, 500, 0);
    walk(60, 60, 1, 100, 40, 200, 0);
    walk(60, 60, 1, 10000, 20, 200, 2);
    walk(80, 30, 1, 300, 30, 200, 0); /* more rows than room */
    walk(80, 30, 2, 300, 30, 200, 1);
    walk(50, 25, 4, 200, 30, 300, 0); /* capacities */
    walk(50, 30, 3, 6, 30, 300, 2);
    walk(20, 200, 5, 1000000000, 30, 100, 0); /* wide */
    walk(12, 70, 1, 3, 0, 5, 0);
}

/* A start that fits badly, or not at all, costs time only. */
static void test_bad_start(void)
{
    int round;
    for (round = 0; round < 400; round++) {
        mosaic_lap_problem p;
        mosaic_lap_options o;
        answer warm, cold, start;
        mosaic_lap_result a, b;
        int rows = test_range(1, 30), cols = test_range(1, 30), i;
        int32_t cost[900], capacity[30];
        draw(round % FAMILIES, rows, cols, cost);
        memset(&p, 0, sizeof p);
        memset(&o, 0, sizeof o);
        p.rows = rows;
        p.cols = cols;
        p.cost = cost;
        p.maximise = round % 2;
        for (i = 0; i < cols; i++) capacity[i] = test_range(0, 2);
        if (round % 3 == 0) p.capacity = capacity;
        answer_make(&warm, &p);
        answer_make(&cold, &p);
        answer_make(&start, &p);
        for (i = 0; i < rows; i++) {
            start.s.col_of_row[i] = test_range(0, 9) ? test_range(-1, cols - 1) : (int32_t)test_random();
            start.s.u[i] = round % 4 ? test_range(-1000, 1000) : (int64_t)((uint64_t)test_random() << 32);
        }
        for (i = 0; i < cols; i++) start.s.v[i] = round % 4 ? test_range(-1000, 1000) : INT64_MIN + (int64_t)test_random();
        o.start = &start.s;
        o.solver = test_range(0, 2);
        a = lap_solve(&p, &o, &warm.s);
        b = lap_solve(&p, NULL, &cold.s);
        same(&p, a, &warm.s, b, &cold.s, "bad start");
        start.s.v = (free(start.s.v), (int64_t *)NULL);
        CHECK(mosaic_lap_solve(&p, &o, &warm.s) == MOSAIC_LAP_ERROR_NULL);
        answer_free(&warm);
        answer_free(&cold);
        answer_free(&start);
    }
}

/* Too little memory for the tied entries of costs that are not a table: they are made anew, and nothing else changes. */
static void test_many_ties(void)
{
    enum { N = 1500 };
    mosaic_lap_problem p;
    mosaic_lap_vectors x;
    answer a;
    static uint8_t bytes[2 * N];
    int i, turned;
    for (turned = 0; turned < 2; turned++) {
        memset(&p, 0, sizeof p);
        memset(bytes, 9, sizeof bytes);
        p.rows = turned ? N : 300;
        p.cols = turned ? 300 : N;
        p.vectors = &x;
        x.row = bytes;
        x.col = bytes + p.rows;
        x.length = 1;
        x.bits = 8;
        answer_make(&a, &p);
        CHECK(lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_OK && a.s.primal == 0 && !a.s.unique);
        for (i = 0; i < p.rows; i++) CHECK(a.s.col_of_row[i] == (i < p.cols ? i : -1));
        bytes[p.rows] = 200; /* the first column is dear, and is had when all are needed only */
        CHECK(lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_OK);
        for (i = 0; i < p.rows; i++) CHECK(a.s.col_of_row[i] == (turned ? (i < p.cols ? i : -1) : i + 1));
        answer_free(&a);
    }
}

static void test_interface(void)
{
    int32_t cost[4] = {1, 2, 3, 4}, group[2] = {0, 2}, quota[2] = {1, -1};
    uint8_t bytes[4] = {0, 1, 2, 3};
    mosaic_lap_problem p, bad;
    mosaic_lap_options o;
    mosaic_lap_vectors x;
    mosaic_lap_report r;
    answer a;
    memset(&p, 0, sizeof p);
    memset(&o, 0, sizeof o);
    p.rows = p.cols = 2;
    p.cost = cost;
    p.groups = 2;
    p.group = group;
    p.quota = quota;
    answer_make(&a, &p);
    CHECK(mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_CAPACITY && a.s.col == 1);
    quota[1] = 1;
    CHECK(mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_GROUP && a.s.col == 1 && mosaic_lap_work_size(&p) == 0);
    group[1] = 0;
    CHECK(mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_INFEASIBLE && a.s.clash_rows[0] && a.s.clash_rows[1] && a.s.clash_cols[0]);
    group[1] = 1;
    CHECK(lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_OK && a.s.primal == 5);
    /* what is wrong with group prices is found */
    a.s.w[0]++;
    CHECK(mosaic_lap_check(&p, NULL, &a.s, &r) == MOSAIC_LAP_ERROR_CERTIFICATE);
    a.s.w[0] -= 2;
    CHECK(mosaic_lap_check(&p, NULL, &a.s, &r) == MOSAIC_LAP_ERROR_CERTIFICATE);
    group[1] = 0;
    CHECK(mosaic_lap_check(&p, NULL, &a.s, &r) == MOSAIC_LAP_ERROR_CERTIFICATE && r.finding == MOSAIC_LAP_OVER_QUOTA && r.col == 0);
    bad = p;
    bad.quota = NULL;
    CHECK(mosaic_lap_solve(&bad, NULL, &a.s) == MOSAIC_LAP_ERROR_NULL);
    bad = p;
    bad.group = NULL;
    CHECK(mosaic_lap_solve(&bad, NULL, &a.s) == MOSAIC_LAP_ERROR_NULL);
    bad = p;
    bad.groups = -1;
    CHECK(mosaic_lap_solve(&bad, NULL, &a.s) == MOSAIC_LAP_ERROR_SIZE);
    p.groups = 0;
    p.vectors = &x;
    CHECK(mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_OPTION); /* two kinds of costs */
    p.cost = NULL;
    x.row = bytes;
    x.col = bytes + 2;
    x.length = 1;
    x.bits = 7;
    CHECK(mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_OPTION);
    x.bits = 8;
    x.length = 0;
    CHECK(mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_SIZE);
    x.length = 1;
    x.row = NULL;
    CHECK(mosaic_lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_ERROR_NULL);
    x.row = bytes;
    CHECK(lap_solve(&p, NULL, &a.s) == MOSAIC_LAP_OK && a.s.primal == 8);
    o.solver = 4;
    CHECK(mosaic_lap_solve(&p, &o, &a.s) == MOSAIC_LAP_ERROR_OPTION);
    o.solver = -1;
    CHECK(mosaic_lap_solve(&p, &o, &a.s) == MOSAIC_LAP_ERROR_OPTION);
    answer_free(&a);
}

/* Jobs on several threads, memory of the caller. */
static void test_threads(void)
{
    enum { ROWS = 120, COLS = 700 };
    mosaic_lap_problem p;
    mosaic_lap_options o;
    mosaic_lap_vectors x;
    answer one, many;
    int threads = 3, i;
    static uint8_t bytes[(ROWS + COLS) * 5];
    memset(&p, 0, sizeof p);
    memset(&o, 0, sizeof o);
    for (i = 0; i < (int)sizeof bytes; i++) bytes[i] = (uint8_t)test_random();
    p.rows = ROWS;
    p.cols = COLS;
    p.vectors = &x;
    x.row = bytes;
    x.col = bytes + ROWS * 5;
    x.length = 5;
    x.bits = 8;
    answer_make(&one, &p);
    answer_make(&many, &p);
    lap_solve(&p, NULL, &one.s);
    o.run = test_run;
    o.run_ctx = &threads;
    o.work_size = mosaic_lap_work_size(&p);
    o.work = malloc(o.work_size);
    for (i = 0; i <= levels; i++) {
        o.simd = i;
        same(&p, MOSAIC_LAP_OK, &one.s, lap_solve(&p, &o, &many.s), &many.s, "threads");
        CHECK(!memcmp(one.s.u, many.s.u, ROWS * sizeof(int64_t)) && !memcmp(one.s.v, many.s.v, COLS * sizeof(int64_t)));
    }
    free(o.work);
    answer_free(&one);
    answer_free(&many);
}

int main(void)
{
    levels = lap_levels();
    if (levels < 4) printf("lap solvers: SIMD levels above %d are skipped: this machine has none\n", levels);
    test_interface();
    test_solvers();
    test_fill();
    test_vectors();
    test_vector_limits();
    test_groups_small();
    test_groups_large();
    test_warm();
    test_bad_start();
    test_many_ties();
    test_threads();
    return test_end("lap solvers");
}
