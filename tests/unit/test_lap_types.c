/* mosaic_lap.h with costs of other types than int32, sparse ones, and SciPy's order: against brute force, against the tables of int32, and
   against bad input. */
#include "../lap.h"
#include <math.h>

/* Exact sums: three digits, the cost being digit[0] * 2^800 + digit[1] + digit[2] * 2^-800 times a unit that is the same for all. */
typedef struct {
    __int128 digit[3];
} number;

static int number_compare(const number *a, const number *b)
{
    int i;
    for (i = 0; i < 3; i++)
        if (a->digit[i] != b->digit[i]) return a->digit[i] < b->digit[i] ? -1 : 1;
    return 0;
}

/* A problem with all that belongs to it. The stride exceeds cols, and what lies between the rows would win if it were read. */
enum { WORDS = 36 };
typedef struct {
    mosaic_lap_problem p;
    number *exact; /* rows x cols; of forbidden entries unused */
    uint8_t *allowed;
    void *cost;
    int64_t *row_start;
    int32_t *col_index, *capacity, *col_of_row;
    int64_t *u, *v;
    uint8_t *clash_rows, *clash_cols;
    mosaic_lap_solution s;
    mosaic_lap_result result;
} fixture;

static void fixture_make(fixture *f, mosaic_lap_kind kind, int rows, int cols)
{
    size_t r = (size_t)rows, c = (size_t)cols, i;
    memset(f, 0, sizeof *f);
    f->p.rows = rows;
    f->p.cols = cols;
    f->p.kind = kind;
    f->p.stride = c + 2;
    f->cost = grab(r * (c + 2), 8);
    for (i = 0; i < r * (c + 2); i++) {
        if (kind == MOSAIC_LAP_INT32) ((int32_t *)f->cost)[i] = INT32_MIN;
        if (kind == MOSAIC_LAP_INT64) ((int64_t *)f->cost)[i] = INT64_MIN;
        if (kind == MOSAIC_LAP_FLOAT) ((float *)f->cost)[i] = NAN;
        if (kind == MOSAIC_LAP_DOUBLE) ((double *)f->cost)[i] = NAN;
    }
    f->p.cost = f->cost;
    f->exact = (number *)grab(r * c, sizeof(number));
    f->allowed = (uint8_t *)grab(r * c, 1);
    f->row_start = (int64_t *)grab(r + 1, sizeof(int64_t));
    f->col_index = (int32_t *)grab(r * c, sizeof(int32_t));
    f->capacity = (int32_t *)grab(c, sizeof(int32_t));
    f->s.col_of_row = f->col_of_row = (int32_t *)grab(r, sizeof(int32_t));
    f->s.u = f->u = (int64_t *)grab(r * WORDS, sizeof(int64_t));
    f->s.v = f->v = (int64_t *)grab(c * WORDS, sizeof(int64_t));
    f->s.clash_rows = f->clash_rows = (uint8_t *)grab(r, 1);
    f->s.clash_cols = f->clash_cols = (uint8_t *)grab(c, 1);
    f->s.words = WORDS;
}

static void fixture_free(fixture *f)
{
    free(f->cost);
    free(f->exact);
    free(f->allowed);
    free(f->row_start);
    free(f->col_index);
    free(f->capacity);
    free(f->col_of_row);
    free(f->u);
    free(f->v);
    free(f->clash_rows);
    free(f->clash_cols);
}

/* Writes cost number `at` of the array: value * 2^power, or forbidden. */
static void put(fixture *f, size_t at, int allowed, int64_t value, int power)
{
    switch (f->p.kind) {
    case MOSAIC_LAP_INT32: ((int32_t *)f->cost)[at] = allowed ? (int32_t)value : MOSAIC_LAP_FORBIDDEN; break;
    case MOSAIC_LAP_INT64: ((int64_t *)f->cost)[at] = allowed ? value : MOSAIC_LAP_FORBIDDEN64; break;
    case MOSAIC_LAP_FLOAT: ((float *)f->cost)[at] = allowed ? (float)ldexp((double)value, power) : INFINITY; break;
    case MOSAIC_LAP_DOUBLE: ((double *)f->cost)[at] = allowed ? ldexp((double)value, power) : INFINITY; break;
    }
}

static void set(fixture *f, int i, int j, int allowed, int64_t value, int power)
{
    put(f, (size_t)i * f->p.stride + (size_t)j, allowed, value, power);
    f->allowed[i * f->p.cols + j] = (uint8_t)allowed;
}

/* Makes it sparse: only the entries that are allowed, and a few of those that are not. */
static void make_sparse(fixture *f)
{
    size_t count = 0, size = f->p.kind == MOSAIC_LAP_INT32 || f->p.kind == MOSAIC_LAP_FLOAT ? 4 : 8;
    int i, j;
    for (i = 0; i < f->p.rows; i++) {
        f->row_start[i] = (int64_t)count;
        for (j = 0; j < f->p.cols; j++) {
            if (!f->allowed[i * f->p.cols + j] && test_range(0, 3)) continue;
            f->col_index[count] = j;
            memmove((char *)f->cost + count++ * size, (char *)f->cost + ((size_t)i * f->p.stride + (size_t)j) * size, size);
        }
    }
    f->row_start[f->p.rows] = (int64_t)count;
    f->p.row_start = f->row_start;
    f->p.col_index = f->col_index;
}

static int64_t room_of(const fixture *f) { return lap_room(&f->p, NULL); }

static int solver; /* 1: in rounds even what is small */
static void solve(fixture *f, int simd)
{
    mosaic_lap_options o;
    memset(&o, 0, sizeof o);
    o.simd = simd;
    o.solver = solver;
    f->result = lap_solve(&f->p, &o, &f->s);
}

/* Brute force: every assignment, in the order of the tie rule, so that the first of the best ones is the one. */
static struct {
    fixture *f;
    int left[16], now[16], best[16], spare, found; /* found: how many have the best total */
    number total;
} brute;

static void brute_row(int i, const number *total)
{
    const fixture *f = brute.f;
    int j, k;
    if (i == f->p.rows) {
        int order = brute.found ? number_compare(total, &brute.total) * (f->p.maximise ? -1 : 1) : -1;
        if (order < 0) {
            brute.found = 0;
            brute.total = *total;
            memcpy(brute.best, brute.now, sizeof brute.best);
        }
        brute.found += order <= 0;
        return;
    }
    for (j = 0; j < f->p.cols; j++) {
        number sum = *total;
        if (!brute.left[j] || !f->allowed[i * f->p.cols + j]) continue;
        for (k = 0; k < 3; k++) sum.digit[k] += f->exact[i * f->p.cols + j].digit[k];
        brute.left[j]--;
        brute.now[i] = j;
        brute_row(i + 1, &sum);
        brute.left[j]++;
    }
    if (brute.spare > 0) {
        brute.spare--;
        brute.now[i] = -1;
        brute_row(i + 1, total);
        brute.spare++;
    }
}

/* `power`: the second digit counts units of 2^power. */
static void against_brute_force(fixture *f, int power)
{
    number zero;
    int64_t room = room_of(f);
    int j;
    memset(&zero, 0, sizeof zero);
    brute.f = f;
    brute.found = 0;
    brute.spare = f->p.rows > room ? (int)(f->p.rows - room) : 0;
    for (j = 0; j < f->p.cols; j++) brute.left[j] = lap_capacity(&f->p, j);
    brute_row(0, &zero);
    CHECK((f->result == MOSAIC_LAP_OK) == (brute.found > 0));
    if (f->result != MOSAIC_LAP_OK || !brute.found) return;
    CHECK_MSG(f->s.unique == (brute.found == 1), "unique %d, %d found", f->s.unique, brute.found);
    for (j = 0; j < f->p.rows; j++)
        CHECK_MSG(f->col_of_row[j] == brute.best[j], "kind %d%s, %d x %d room %d: row %d has %d, not %d", (int)f->p.kind,
                  f->p.row_start ? " sparse" : "", (int)f->p.rows, (int)f->p.cols, (int)room, j, (int)f->col_of_row[j], brute.best[j]);
    if (brute.total.digit[0] == 0 && brute.total.digit[2] == 0) {
        double total = ldexp((double)brute.total.digit[1], power);
        CHECK_MSG(f->s.total == total, "%.17g, not %.17g", f->s.total, total);
        if (f->p.kind <= MOSAIC_LAP_INT64) {
            __int128 want = brute.total.digit[1];
            want = want > INT64_MAX ? INT64_MAX : want < INT64_MIN ? INT64_MIN : want;
            CHECK(f->s.primal == (int64_t)want && f->s.exponent == 0);
        }
    }
}

static int64_t wide_random(void) { return (int64_t)((uint64_t)test_random() << 32 | (uint64_t)test_random()); }

/* One entry of a family; `digit` names the digit that its value belongs to. */
enum { FAMILIES = 14 };
static int64_t draw(int family, int *digit)
{
    static const int64_t edge31 = (int64_t)1 << 31, edge62 = (int64_t)1 << 62;
    *digit = 1;
    switch (family) {
    case 0: return 7;
    case 1: return test_range(0, 1);
    case 2: return test_range(-2, 2);
    case 3: return wide_random() >> 11;
    case 4: return test_range(0, 1) ? edge62 + test_range(-1, 1) : -edge62 + test_range(-1, 1);
    case 5: return test_range(0, 1) ? edge31 + test_range(-1, 1) : -edge31 + test_range(-1, 1);
    case 6: return test_range(0, 2) ? wide_random() : test_range(0, 1) ? INT64_MIN : INT64_MAX - 1;
    case 7: return edge62 + test_range(0, 2);
    case 8: return (int64_t)test_range(0, 2) * ((int64_t)1 << 40) + test_range(0, 1) * ((int64_t)1 << 20) + test_range(0, 1);
    case 9: *digit = test_range(0, 2); return test_range(-1, 1); /* 2^800 beside 2^-800 */
    case 10: return (int64_t)test_range(1, 9) << (test_range(0, 17) * 3);
    case 11: return test_range(0, 9) ? test_range(0, 3) : (int64_t)1 << 50; /* a big M */
    case 12: *digit = test_range(0, 9) ? 1 : 0; return test_range(0, 3);
    default: return test_range(1, 100) * (int64_t)90071992547410; /* decimals, hundredths */
    }
}

/* Which families a type can have exactly. */
static int holds(mosaic_lap_kind kind, int family)
{
    if (kind == MOSAIC_LAP_INT32) return family <= 2;
    if (kind == MOSAIC_LAP_INT64) return family != 9 && family != 12;
    if (kind == MOSAIC_LAP_FLOAT) return family <= 2 || family == 10 || family == 11;
    return family != 4 && family != 6 && family != 7;
}

static int fill(fixture *f, int family, int forbidden_percent)
{
    const int floating = f->p.kind >= MOSAIC_LAP_FLOAT, twos = f->p.kind == MOSAIC_LAP_FLOAT ? test_range(-149, 70) : test_range(0, 2) * 137 - 150;
    int power = floating ? twos : 0, i, j;
    if (f->p.kind == MOSAIC_LAP_DOUBLE && family != 9 && family != 12) {
        if (test_range(0, 5) == 0) power = -1074; /* subnormal, or nearly */
        if (test_range(0, 5) == 0) power = 950;   /* the total overflows now and then */
    }
    for (i = 0; i < f->p.rows; i++)
        for (j = 0; j < f->p.cols; j++) {
            int digit, allowed = test_range(0, 99) >= forbidden_percent;
            int64_t value = draw(family, &digit);
            number *x = f->exact + i * f->p.cols + j;
            memset(x, 0, sizeof *x);
            x->digit[digit] = value;
            set(f, i, j, allowed, value, power + (1 - digit) * 800);
        }
    return power;
}

static void test_small(void)
{
    static const int forbidden[] = {0, 0, 20, 60};
    int round, infeasible = 0, turned = 0, kinds[4] = {0, 0, 0, 0}, level, levels = lap_levels();
    for (round = 0; round < 4000; round++) {
        int size = round % 300 == 0 ? 7 : round % 6 == 0 ? 5 : 4, family = test_range(0, FAMILIES - 1), cols, i, power, sparse;
        mosaic_lap_kind kind = (mosaic_lap_kind)test_range(0, 3);
        fixture f;
        sparse = kind == MOSAIC_LAP_INT32 || test_range(0, 2) == 0;
        if (!holds(kind, family)) continue;
        kinds[kind]++;
        cols = test_range(0, size);
        fixture_make(&f, kind, test_range(0, size), cols);
        if (test_range(0, 1)) {
            for (i = 0; i < f.p.cols; i++) f.capacity[i] = test_range(0, size == 7 ? 1 : 3);
            f.p.capacity = f.capacity;
        }
        f.p.maximise = test_range(0, 1);
        power = fill(&f, family, forbidden[test_range(0, 3)]);
        if (sparse) make_sparse(&f);
        for (solver = 2; solver-- > 0;)
            for (level = 1; level <= levels; level++) {
                solve(&f, level);
                against_brute_force(&f, power);
            }
        solver = 0;
        infeasible += f.result != MOSAIC_LAP_OK;
        turned += f.p.rows > room_of(&f);

        /* exactly as many words as are needed */
        if (f.result == MOSAIC_LAP_OK && round % 4 == 0) {
            int32_t needed;
            f.s.words = 0;
            if (mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_WORDS) {
                needed = f.s.words;
                CHECK(needed > 1);
                solve(&f, 0);
                CHECK(f.result == MOSAIC_LAP_OK && f.s.words == needed);
                f.s.words = needed - 1;
                CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_WORDS && f.s.words == needed);
            }
        }
        fixture_free(&f);
    }
    CHECK(infeasible > 100 && turned > 100 && kinds[0] > 100 && kinds[1] > 100 && kinds[2] > 100 && kinds[3] > 100);
}

/* The same costs in every form must have the same answer: as int32; times 2^33 with a constant added, as int64; times a power of two, and with
   thirds of them taken away from all, as double; as float; each also sparse. Shapes from 1 : 100 to 100 : 1. */
static void test_forms(void)
{
    static const int shapes[][2] = {{1, 100}, {100, 1}, {5, 400}, {400, 5}, {40, 40}, {64, 65}, {65, 64}, {90, 130}, {130, 90}, {100, 100}};
    int round, a, form;
    for (round = 0; round < 32; round++)
        for (a = 0; a < 10; a++) {
            fixture f;
            int rows = shapes[a][0], cols = shapes[a][1], high = round % 4 == 0 ? 1 : round % 4 == 1 ? 9 : round % 4 == 2 ? 300 : 100000;
            int percent = round % 5 == 0 ? 40 : 0, i, j, maximise = test_range(0, 1), with_capacity = test_range(0, 2) == 0, result = 0, unique = 0;
            int32_t expected[400], *cost = (int32_t *)malloc((size_t)(rows * cols) * sizeof *cost), capacity[400];
            int x[400], y[400];
            for (j = 0; j < cols; j++) capacity[j] = test_range(0, 4), x[j] = test_range(0, 255), y[j] = test_range(0, 255);
            for (i = 0; i < rows; i++) {
                int px = test_range(100, 120), py = test_range(100, 130);
                for (j = 0; j < cols; j++) {
                    int c = round % 8 == 3 ? (px - x[j]) * (px - x[j]) + (py - y[j]) * (py - y[j]) : test_range(0, high);
                    cost[i * cols + j] = test_range(0, 99) < percent ? MOSAIC_LAP_FORBIDDEN : c;
                }
            }
            for (form = 0; form < 10; form++) {
                static const mosaic_lap_kind kinds[] = {MOSAIC_LAP_INT32, MOSAIC_LAP_INT64, MOSAIC_LAP_DOUBLE, MOSAIC_LAP_DOUBLE, MOSAIC_LAP_FLOAT};
                fixture_make(&f, kinds[form % 5], rows, cols);
                f.p.maximise = maximise;
                memcpy(f.capacity, capacity, (size_t)cols * sizeof *capacity);
                if (with_capacity) f.p.capacity = f.capacity;
                for (i = 0; i < rows; i++)
                    for (j = 0; j < cols; j++) {
                        int32_t c = cost[i * cols + j];
                        int allowed = c != MOSAIC_LAP_FORBIDDEN;
                        size_t at = (size_t)i * f.p.stride + (size_t)j;
                        if (form % 5 == 0) set(&f, i, j, allowed, c, 0);
                        if (form % 5 == 1) set(&f, i, j, allowed, allowed ? ((int64_t)c << 33) - 123456789012345 : 0, 0);
                        if (form % 5 == 2) set(&f, i, j, allowed, c, -333);
                        if (form % 5 == 3) set(&f, i, j, allowed, c, -40);
                        if (form % 5 == 3 && allowed) ((double *)f.cost)[at] -= (double)0x15555555 * 0x1p-28; /* exact */
                        if (form % 5 == 4) set(&f, i, j, allowed, c, 100);
                    }
                if (form >= 5) make_sparse(&f);
                solver = test_range(0, 1);
                solve(&f, test_range(0, 1));
                if (form == 0) {
                    result = (int)f.result;
                    unique = f.s.unique;
                    memcpy(expected, f.col_of_row, (size_t)rows * sizeof *expected);
                }
                CHECK((int)f.result == result);
                if (f.result == MOSAIC_LAP_OK)
                    CHECK_MSG(f.s.unique == unique && !memcmp(expected, f.col_of_row, (size_t)rows * sizeof *expected), "form %d, %d x %d, round %d",
                              form, rows, cols, round);
                fixture_free(&f);
            }
            free(cost);
        }
    solver = 0;
}

/* A first digit that decides, and a second and third one far below it that decide among its ties: as one cost, and, where only the first has
   ties, the total must agree with it. Many entries are left in every round here. */
static void test_rounds(void)
{
    int round, i, j;
    for (round = 0; round < 48; round++) {
        fixture f, g;
        int rows = test_range(46, 70), cols = test_range(46, 70), gap = 1 << test_range(0, 30), shift = round % 4 < 2 ? 0 : 2;
        mosaic_lap_kind kind = round % 2 ? MOSAIC_LAP_DOUBLE : MOSAIC_LAP_INT64;
        solver = test_range(0, 1);
        fixture_make(&f, MOSAIC_LAP_INT32, rows, cols);
        fixture_make(&g, kind, rows, cols);
        g.p.maximise = f.p.maximise = round % 3 == 0;
        for (i = 0; i < rows; i++)
            for (j = 0; j < cols; j++) {
                int c = test_range(0, 3), allowed = test_range(0, 19) > 0, noise = test_range(0, gap);
                if (round % 8 >= 4 && (test_range(0, 9) == 0 || i == j % 5))
                    c = f.p.maximise ? -1000 : 1000; /* far beyond the rest, and yet some are needed */
                set(&f, i, j, allowed, c, 0);
                set(&g, i, j, allowed, (c - shift) * ((int64_t)1 << 40) + noise, kind == MOSAIC_LAP_DOUBLE ? -100 : 0);
            }
        solve(&f, 0);
        solve(&g, 0);
        CHECK(f.result == g.result);
        if (f.result == MOSAIC_LAP_OK) {
            int64_t total = 0;
            for (i = 0; i < rows; i++) {
                if (g.col_of_row[i] < 0) continue;
                total += ((int32_t *)f.cost)[(size_t)i * f.p.stride + (size_t)g.col_of_row[i]];
            }
            CHECK(total == f.s.primal);
        }
        fixture_free(&f);
        fixture_free(&g);
    }
}

/* SciPy's order: ties as SciPy has them (the expected columns are SciPy 1.17's own), and its result where there are none. */
static void test_scipy_order(void)
{
    static const int32_t square[] = {1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1}, wide[] = {2, 1, 2, 1, 1, 1, 1, 2, 1, 2, 1, 1, 1, 2, 1, 1, 2, 2};
    static const int32_t expected_square[] = {3, 0, 2, 1}, expected_wide[] = {1, 0, 2}, expected_tall[] = {0, -1, 1, -1, -1, 2};
    fixture f;
    int i, j, kind;
    for (kind = 0; kind < 4; kind++) {
        fixture_make(&f, (mosaic_lap_kind)kind, 30, 40);
        f.p.order = MOSAIC_LAP_ORDER_SCIPY;
        for (i = 0; i < 30; i++)
            for (j = 0; j < 40; j++) set(&f, i, j, 1, 3, 0);
        solve(&f, 0);
        for (i = 0; i < 30; i++) CHECK(f.col_of_row[i] == i && !f.s.unique);
        fixture_free(&f);

        fixture_make(&f, (mosaic_lap_kind)kind, 4, 4);
        f.p.order = MOSAIC_LAP_ORDER_SCIPY;
        for (i = 0; i < 16; i++) set(&f, i / 4, i % 4, 1, square[i], 0);
        solve(&f, 0);
        CHECK(!memcmp(f.col_of_row, expected_square, sizeof expected_square));
        fixture_free(&f);

        fixture_make(&f, (mosaic_lap_kind)kind, 3, 6);
        f.p.order = MOSAIC_LAP_ORDER_SCIPY;
        for (i = 0; i < 18; i++) set(&f, i / 6, i % 6, 1, wide[i], 0);
        solve(&f, 0);
        CHECK(!memcmp(f.col_of_row, expected_wide, sizeof expected_wide));
        fixture_free(&f);

        fixture_make(&f, (mosaic_lap_kind)kind, 6, 3);
        f.p.order = MOSAIC_LAP_ORDER_SCIPY;
        f.p.maximise = 1;
        for (i = 0; i < 18; i++) set(&f, i / 3, i % 3, 1, wide[i], 0);
        solve(&f, 0);
        CHECK(!memcmp(f.col_of_row, expected_tall, sizeof expected_tall));
        fixture_free(&f);
    }
    for (kind = 0; kind < 60; kind++) { /* one optimum: the same from both orders; forbidden entries */
        int32_t expected[40];
        int rows = test_range(1, 40), cols = test_range(1, 40), result;
        fixture_make(&f, kind % 2 ? MOSAIC_LAP_INT64 : MOSAIC_LAP_DOUBLE, rows, cols);
        f.p.maximise = kind % 3 == 0;
        for (i = 0; i < rows; i++)
            for (j = 0; j < cols; j++) set(&f, i, j, test_range(0, 9) > 0, (int64_t)test_random(), 0);
        solve(&f, 0);
        result = (int)f.result;
        memcpy(expected, f.col_of_row, (size_t)rows * sizeof *expected);
        f.p.order = MOSAIC_LAP_ORDER_SCIPY;
        solve(&f, 0);
        CHECK(result == (int)f.result && (result != MOSAIC_LAP_OK || !memcmp(expected, f.col_of_row, (size_t)rows * sizeof *expected)));
        fixture_free(&f);
    }
    for (kind = 0; kind < 120; kind++) { /* one slot after the other, and all at once */
        int32_t expected[90];
        int rows = test_range(1, 90), cols = test_range(1, 90), most = kind % 4 == 3 ? 1 << 30 : kind % 4 * 4 + 1, level;
        mosaic_lap_options o;
        memset(&o, 0, sizeof o);
        fixture_make(&f, kind % 2 ? MOSAIC_LAP_FLOAT : MOSAIC_LAP_DOUBLE, rows, cols);
        f.p.order = MOSAIC_LAP_ORDER_SCIPY;
        for (i = 0; i < rows; i++)
            for (j = 0; j < cols; j++) set(&f, i, j, test_range(0, 9) > 0, test_range(0, most), test_range(0, kind % 5 == 0 ? 20 : 0));
        solve(&f, 1);
        memcpy(expected, f.col_of_row, (size_t)rows * sizeof *expected);
        for (level = 2; level <= 4 && f.result == MOSAIC_LAP_OK; level++) {
            o.simd = level;
            if (mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_ERROR_SIMD) break;
            CHECK(!memcmp(expected, f.col_of_row, (size_t)rows * sizeof *expected));
        }
        fixture_free(&f);
    }
    /* sums that overflow, where SciPy says "infeasible" */
    fixture_make(&f, MOSAIC_LAP_DOUBLE, 2, 2);
    f.p.order = MOSAIC_LAP_ORDER_SCIPY;
    for (i = 0; i < 4; i++) set(&f, i / 2, i % 2, i < 3, i == 0 ? -7 : 7, 1021);
    CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_NUMBER);
    f.p.order = MOSAIC_LAP_ORDER_ROWS;
    solve(&f, 0);
    CHECK(f.col_of_row[0] == 1 && f.col_of_row[1] == 0 && f.s.total > DBL_MAX);
    fixture_free(&f);
    /* SciPy's sums round: the second row is not tight, and the gap says how far SciPy's total is from the best */
    fixture_make(&f, MOSAIC_LAP_DOUBLE, 2, 2);
    f.p.order = MOSAIC_LAP_ORDER_SCIPY;
    ((double *)f.cost)[0] = 1;
    ((double *)f.cost)[1] = 0x1p80;
    ((double *)f.cost)[4] = 0;
    ((double *)f.cost)[5] = 0x1p80;
    CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_OK && f.s.exponent == 0);
    CHECK(f.col_of_row[0] == 0 && f.col_of_row[1] == 1 && f.s.gap == 1);
    fixture_free(&f);
}

/* Any allocation may fail: its code, no leak, nothing written. */
static void test_memory(void)
{
    int form, at;
    for (form = 0; form < 10; form++) {
        static const mosaic_lap_kind kinds[] = {MOSAIC_LAP_DOUBLE, MOSAIC_LAP_DOUBLE, MOSAIC_LAP_INT64, MOSAIC_LAP_INT32, MOSAIC_LAP_FLOAT};
        fixture f;
        mosaic_lap_options o;
        mosaic_lap_report r;
        int32_t expected[60];
        int i, j, allocations;
        size_t size;
        unsigned char *work;
        memset(&o, 0, sizeof o);
        o.solver = solver = form < 5;
        fixture_make(&f, kinds[form % 5], 60, form % 5 == 2 ? 40 : 80);
        for (i = 0; i < f.p.rows; i++)
            for (j = 0; j < f.p.cols; j++)
                set(&f, i, j, test_range(0, 9) > 0,
                    form % 5 == 3   ? test_range(0, 9)
                    : form % 5 == 4 ? test_range(0, 1 << 20)
                                    : wide_random() >> 12,
                    0);
        if (form % 5 == 1) ((double *)f.cost)[3] = 0x1p-900;
        if (form % 5 == 2) make_sparse(&f);
        if (form % 5 == 3 || form % 5 == 4) f.p.order = MOSAIC_LAP_ORDER_SCIPY;
        solve(&f, 0);
        CHECK(f.result == MOSAIC_LAP_OK);
        memcpy(expected, f.col_of_row, sizeof expected);
        alloc_calls = 0;
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_OK && alloc_live == 0);
        allocations = alloc_calls;
        CHECK(form < 5 || form % 5 == 2 ? allocations >= 2 : allocations >= 1);
        for (at = 0; at < allocations; at++) {
            alloc_calls = 0;
            alloc_fail_at = at;
            memset(f.col_of_row, 0x77, sizeof expected);
            f.s.unique = 99;
            CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_ERROR_MEMORY && alloc_live == 0 && alloc_calls == at + 1);
            CHECK(f.col_of_row[0] == 0x77777777 && f.s.unique == 99);
        }
        alloc_fail_at = -1;
        solve(&f, 0);
        alloc_calls = 0;
        alloc_fail_at = 0;
        CHECK(mosaic_lap_check(&f.p, NULL, &f.s, &r) == MOSAIC_LAP_ERROR_MEMORY && alloc_live == 0);
        alloc_fail_at = -1;

        /* all of it in the caller's area, with nothing around it touched; a byte less is refused */
        size = mosaic_lap_work_size(&f.p);
        CHECK(size > 0);
        work = (unsigned char *)malloc(size + 2);
        memset(work, 0xa5, size + 2);
        o.work = work + 1;
        o.work_size = size - 1;
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_ERROR_MEMORY);
        o.work_size = size;
        alloc_calls = 0;
        memset(f.col_of_row, 0, sizeof expected);
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_OK);
        CHECK(!memcmp(expected, f.col_of_row, (size_t)f.p.rows * sizeof *expected));
        CHECK(mosaic_lap_check(&f.p, &o, &f.s, &r) == MOSAIC_LAP_OK);
        CHECK(alloc_calls == 0 && work[0] == 0xa5 && work[size + 1] == 0xa5);
        free(work);
        o.work = NULL;
        fixture_free(&f);
    }
    solver = 0;
}

/* SciPy's way, wished for where it is not the usual one, may want more memory than the caller's area has: then the usual one is taken. */
static void test_solver_memory(void)
{
    fixture f;
    mosaic_lap_options o;
    int32_t expected[70];
    int i, wished;
    memset(&o, 0, sizeof o);
    fixture_make(&f, MOSAIC_LAP_INT32, 70, 600);
    for (i = 0; i < 70 * 600; i++) set(&f, i / 600, i % 600, 1, test_range(0, 50), 0);
    solve(&f, 0);
    memcpy(expected, f.col_of_row, sizeof expected);
    for (wished = 0; wished <= 3; wished += 3) {
        unsigned char *work = (unsigned char *)malloc(mosaic_lap_work_size(&f.p));
        o.solver = wished;
        o.work = work; /* what is written beyond it the sanitizers see */
        o.work_size = mosaic_lap_work_size(&f.p);
        alloc_calls = 0;
        memset(f.col_of_row, 0, sizeof expected);
        CHECK(mosaic_lap_solve(&f.p, &o, &f.s) == MOSAIC_LAP_OK && !memcmp(expected, f.col_of_row, sizeof expected) && alloc_calls == 0);
        free(work);
    }
    fixture_free(&f);
}

static void test_bad_input(void)
{
    fixture f;
    int i, kind;
    /* NaN and -infinity, named */
    for (kind = MOSAIC_LAP_FLOAT; kind <= MOSAIC_LAP_DOUBLE; kind++)
        for (i = 0; i < 8; i++) {
            int r, c;
            double bad = i % 2 ? -INFINITY : i % 4 ? NAN : -NAN;
            fixture_make(&f, (mosaic_lap_kind)kind, 5, 7);
            for (r = 0; r < 5; r++)
                for (c = 0; c < 7; c++) set(&f, r, c, 1, r + c, 0);
            if (kind == MOSAIC_LAP_FLOAT)
                ((float *)f.cost)[3 * 9 + 2] = (float)bad;
            else
                ((double *)f.cost)[3 * 9 + 2] = bad;
            f.p.maximise = i & 4;
            if (i & 2) {
                for (r = 0; r < 5; r++) memset(f.allowed + r * 7, 1, 7);
                make_sparse(&f);
            }
            CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_NUMBER && f.s.row == 3 && f.s.col == 2);
            fixture_free(&f);
        }
    /* the shape of sparse rows */
    for (kind = MOSAIC_LAP_DOUBLE; kind >= MOSAIC_LAP_INT64; kind--) {
        if (kind < MOSAIC_LAP_DOUBLE) fixture_free(&f);
        fixture_make(&f, (mosaic_lap_kind)kind, 3, 4);
        for (i = 0; i < 12; i++) set(&f, i / 4, i % 4, 1, i * i, 0);
        make_sparse(&f);
        f.row_start[1] = 5;
        f.row_start[2] = 4;
        CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_SPARSE && mosaic_lap_work_size(&f.p) == 0);
        f.row_start[0] = -1;
        CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_SPARSE);
        f.row_start[0] = 0;
        f.row_start[1] = 4;
        f.row_start[2] = 8;
        f.col_index[6] = 1;
        CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_SPARSE && f.s.row == 1 && f.s.col == 1);
        f.col_index[6] = 4;
        CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_SPARSE && f.s.row == 1 && f.s.col == 4);
        f.col_index[6] = -7;
        CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_SPARSE && f.s.row == 1 && f.s.col == -7);
        f.col_index[6] = 2;
        f.col_index[7] = 4;
        CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_SPARSE && f.s.row == 1 && f.s.col == 4);
        f.col_index[7] = 3;
        solve(&f, 0);
    }
    f.p.col_index = NULL;
    CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_NULL);
    f.p.col_index = f.col_index;
    f.p.cost = NULL;
    CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_NULL);
    f.p.cost = f.cost;
    /* what does not go together */
    f.p.order = MOSAIC_LAP_ORDER_SCIPY;
    CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_OPTION);
    f.p.order = MOSAIC_LAP_ORDER_ROWS;
    f.p.groups = 1;
    f.p.group = f.p.quota = f.capacity;
    CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_OPTION);
    f.p.groups = 0;
    f.p.kind = (mosaic_lap_kind)4;
    CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_OPTION && mosaic_lap_work_size(&f.p) == 0);
    f.p.kind = MOSAIC_LAP_INT64;
    f.p.row_start = NULL;
    f.p.order = MOSAIC_LAP_ORDER_SCIPY;
    f.p.capacity = f.capacity;
    CHECK(mosaic_lap_solve(&f.p, NULL, &f.s) == MOSAIC_LAP_ERROR_OPTION);
    fixture_free(&f);
}

/* Sparse problems far too large for a table: their memory goes by the entries. A row may have its own column or one of the next two,
   which are cheaper, but end with each hundred: so all must keep their own. */
static void test_sparse_large(void)
{
    enum { N = 20000, EACH = 3 };
    static int64_t start[N + 1];
    static int32_t column[N * EACH], cost[N * EACH], chosen[N];
    mosaic_lap_problem p;
    mosaic_lap_solution s;
    int32_t i, j, count = 0;
    memset(&p, 0, sizeof p);
    memset(&s, 0, sizeof s);
    for (i = 0; i < N; i++) {
        start[i] = count;
        for (j = i; j < i + EACH && j < N && (j == i || i % 100 != 99); j++) {
            if (j / 100 != i / 100) break;
            cost[count] = j == i ? 5 : 1;
            column[count++] = j;
        }
    }
    start[N] = count;
    p.rows = p.cols = N;
    p.cost = cost;
    p.row_start = start;
    p.col_index = column;
    s.col_of_row = chosen;
    CHECK(mosaic_lap_work_size(&p) < (size_t)20000000);
    CHECK(mosaic_lap_solve(&p, NULL, &s) == MOSAIC_LAP_OK && s.primal == 5 * (int64_t)N && s.unique);
    for (i = 0; i < N; i++) CHECK(chosen[i] == i);
}

/* Sparse problems that just about have a solution, or just about not: the one is proven by the prices, the other by what clashes, which is found
   around one row and therefore short of one place only. */
static void test_sparse_matching(void)
{
    int round, feasible = 0, i, j;
    for (round = 0; round < 600; round++) {
        const int rows = test_range(1, 60), cols = test_range(1, 60), degree = test_range(1, 4), uses = test_range(0, 3);
        fixture f;
        fixture_make(&f, round % 2 ? MOSAIC_LAP_DOUBLE : MOSAIC_LAP_INT32, rows, cols);
        for (i = 0; i < rows; i++)
            for (j = 0; j < cols; j++) set(&f, i, j, test_range(0, cols - 1) < degree, test_range(-9, 9), 0);
        for (j = 0; j < cols; j++) f.capacity[j] = test_range(0, uses);
        if (uses) f.p.capacity = f.capacity;
        make_sparse(&f);
        solve(&f, 0);
        if (f.result == MOSAIC_LAP_ERROR_INFEASIBLE && rows <= lap_room(&f.p, NULL)) {
            int64_t clash = lap_room(&f.p, f.clash_cols);
            for (i = 0; i < rows; i++) clash -= f.clash_rows[i];
            CHECK(clash == -1);
        }
        feasible += f.result == MOSAIC_LAP_OK;
        fixture_free(&f);
    }
    CHECK_MSG(feasible > 100 && feasible < 500, "%d of 600 feasible", feasible);
}

/* A violation of one unit is found wherever it is, however the numbers around it round. */
static void test_one_unit(void)
{
    fixture f;
    mosaic_lap_report r;
    int i, j;
    fixture_make(&f, MOSAIC_LAP_DOUBLE, 40, 45);
    for (i = 0; i < 40; i++)
        for (j = 0; j < 45; j++) set(&f, i, j, 1, wide_random() >> 11, test_range(-60, 0));
    solve(&f, 0);
    for (i = 0; i < 40; i++) {
        mosaic_lap__long_add((uint64_t *)f.u + i * WORDS, WORDS, 1, 0, 0);
        CHECK(mosaic_lap_check(&f.p, NULL, &f.s, &r) == MOSAIC_LAP_ERROR_CERTIFICATE && r.violations >= 1 && r.worst_violation == 1 && r.gap == -1);
        mosaic_lap__long_add((uint64_t *)f.u + i * WORDS, WORDS, 1, 0, 1);
    }
    fixture_free(&f);
}

/* So many columns that sums of numbers of 36 bits count as rounded. */
static void test_long_row(void)
{
    enum { N = 70000 };
    fixture f;
    int j, best = 0;
    fixture_make(&f, MOSAIC_LAP_DOUBLE, 1, N);
    for (j = 0; j < N; j++) {
        set(&f, 0, j, 1, wide_random() >> 28 & (((int64_t)1 << 36) - 1), 0);
        if (((double *)f.cost)[j] < ((double *)f.cost)[best]) best = j;
    }
    solve(&f, 0);
    CHECK(f.col_of_row[0] == best && f.s.unique);
    fixture_free(&f);
}

/* The check must object to everything that can be wrong, however small beside the costs. */
static void test_check(void)
{
    int sparse, sign, i;
    for (sparse = 0; sparse < 2; sparse++)
        for (sign = 1; sign >= -1; sign -= 2) {
            static const int cost[9] = {5, 1, 0, 2, 9, 4, 7, 3, 1};
            fixture f;
            mosaic_lap_report r;
            fixture_make(&f, MOSAIC_LAP_DOUBLE, 2, 3);
            f.p.maximise = sign < 0;
            for (i = 0; i < 6; i++) set(&f, i / 3, i % 3, i != 2, sign * cost[i], i == 3 ? 200 : 201);
            set(&f, 1, 1, 1, sign * 9, -100);
            if (sparse) make_sparse(&f);
            solve(&f, 0);
            CHECK(f.result == MOSAIC_LAP_OK && f.s.exponent == -100);
#define EXPECT(FINDING, ROW, COL)                                                                                                                    \
    CHECK(mosaic_lap_check(&f.p, NULL, &f.s, &r) == MOSAIC_LAP_ERROR_CERTIFICATE);                                                                   \
    CHECK_MSG(r.finding == FINDING && r.row == (ROW) && r.col == (COL), "%s (%d, %d)", mosaic_lap_finding_string(r.finding), (int)r.row, (int)r.col)
            {
                int32_t c0 = f.col_of_row[0], c1 = f.col_of_row[1], unused = 3 - c0 - c1;
                f.col_of_row[0] = 3;
                EXPECT(MOSAIC_LAP_BAD_COLUMN, 0, 3);
                f.col_of_row[0] = 2;
                EXPECT(MOSAIC_LAP_USED_FORBIDDEN, 0, 2);
                f.col_of_row[0] = c1;
                EXPECT(MOSAIC_LAP_OVER_CAPACITY, 1, c1);
                f.col_of_row[0] = -1;
                EXPECT(MOSAIC_LAP_TOO_FEW_MATCHED, 0, -1);
                f.col_of_row[0] = c0;
                mosaic_lap__long_add((uint64_t *)f.v + unused * WORDS, WORDS, -sign, 0, 0);
                EXPECT(MOSAIC_LAP_PRICE_NOT_ZERO, -1, unused);
                memset(f.v + unused * WORDS, 0, WORDS * sizeof *f.v);
                mosaic_lap__long_add((uint64_t *)f.u, WORDS, -sign, 0, 0); /* by one unit of 2^-100, with costs of 2^201 */
                EXPECT(MOSAIC_LAP_NOT_TIGHT, 0, c0);
                mosaic_lap__long_add((uint64_t *)f.u, WORDS, 2 * sign, 0, 0);
                CHECK(mosaic_lap_check(&f.p, NULL, &f.s, &r) == MOSAIC_LAP_ERROR_CERTIFICATE && r.worst_violation == 1 && r.violations >= 1);
                mosaic_lap__long_add((uint64_t *)f.u, WORDS, -sign, 0, 0);
                CHECK(mosaic_lap_check(&f.p, NULL, &f.s, &r) == MOSAIC_LAP_OK);
            }
            fixture_free(&f);
        }
}

int main(void)
{
    test_small();
    test_forms();
    test_rounds();
    test_scipy_order();
    test_memory();
    test_solver_memory();
    test_bad_input();
    test_sparse_large();
    test_sparse_matching();
    test_one_unit();
    test_long_row();
    test_check();
    CHECK(alloc_live == 0);
    return test_end("lap types");
}
