/* What the tests of mosaic_lap.h share: the header with an allocator that counts and fails on request, and a solve that believes nothing. */
#ifndef MOSAIC_TEST_LAP_H
#define MOSAIC_TEST_LAP_H

#include "test.h"

static int alloc_calls, alloc_live, alloc_fail_at = -1;
static inline void *counted_malloc(void *ctx, size_t size)
{
    CHECK(ctx == NULL || *(int *)ctx == 42);
    if (alloc_calls++ == alloc_fail_at) return NULL;
    alloc_live++;
    return malloc(size);
}
static inline void counted_free(void *ctx, void *p)
{
    CHECK(ctx == NULL || *(int *)ctx == 42);
    if (p) alloc_live--;
    free(p);
}
#define MOSAIC_LAP_MALLOC(ctx, size) counted_malloc(ctx, size)
#define MOSAIC_LAP_FREE(ctx, ptr) counted_free(ctx, ptr)
#define MOSAIC_LAP_IMPLEMENTATION
#include "../mosaic_lap.h"

#define FORBIDDEN MOSAIC_LAP_FORBIDDEN

static inline void *grab(size_t count, size_t size) { return calloc(count + 1, size); }

/* The best instruction set there is, as a value of options->simd. */
static inline int lap_levels(void)
{
    mosaic_lap_problem p;
    mosaic_lap_options o;
    mosaic_lap_solution s;
    memset(&p, 0, sizeof p);
    memset(&o, 0, sizeof o);
    memset(&s, 0, sizeof s);
    for (o.simd = 4; o.simd > 1 && mosaic_lap_solve(&p, &o, &s) != MOSAIC_LAP_OK; o.simd--) {
    }
    return o.simd;
}

static inline int lap_capacity(const mosaic_lap_problem *p, int j) { return p->capacity ? p->capacity[j] : 1; }

/* How many rows there is room for in the columns whose flag is set; null: in all. */
static inline int64_t lap_room(const mosaic_lap_problem *p, const uint8_t *flags)
{
    int64_t room = 0;
    int g, j;
    for (g = -1; g < p->groups; g++) {
        int64_t sum = 0;
        for (j = 0; j < p->cols; j++)
            if ((!flags || flags[j]) && (p->groups > 0 ? p->group[j] : -1) == g) sum += lap_capacity(p, j);
        room += g >= 0 && p->quota[g] < sum ? p->quota[g] : sum;
    }
    return room;
}

static inline int lap_allowed(const mosaic_lap_problem *p, int i, int j)
{
    size_t at = (size_t)i * (p->stride ? p->stride : (size_t)p->cols) + (size_t)j;
    if (p->vectors) return 1;
    if (p->fill) {
        int32_t cost;
        p->fill(p->fill_ctx, i, 1, j, 1, &cost, 1);
        return cost != FORBIDDEN;
    }
    if (p->row_start) {
        for (at = (size_t)p->row_start[i]; at < (size_t)p->row_start[i + 1] && p->col_index[at] != j;) at++;
        if (at == (size_t)p->row_start[i + 1]) return 0;
    }
    switch (p->kind) {
    case MOSAIC_LAP_INT32: return ((const int32_t *)p->cost)[at] != FORBIDDEN;
    case MOSAIC_LAP_INT64: return ((const int64_t *)p->cost)[at] != MOSAIC_LAP_FORBIDDEN64;
    case MOSAIC_LAP_FLOAT: return ((const float *)p->cost)[at] <= FLT_MAX;
    default: return ((const double *)p->cost)[at] <= DBL_MAX;
    }
}

/* Solves; holds the answer against its certificate, and an infeasible one against its clash. Anything else is a failure. */
static inline mosaic_lap_result lap_solve(const mosaic_lap_problem *p, const mosaic_lap_options *o, mosaic_lap_solution *s)
{
    mosaic_lap_result result = mosaic_lap_solve(p, o, s);
    int64_t room = lap_room(p, NULL);
    int i, j;
    if (result == MOSAIC_LAP_OK) {
        mosaic_lap_report r;
        mosaic_lap_result checked = mosaic_lap_check(p, NULL, s, &r);
        CHECK_MSG(checked == MOSAIC_LAP_OK, "kind %d%s, %d x %d, solver %d, start %d: %s at %d, %d", (int)p->kind, p->row_start ? " sparse" : "",
                  (int)p->rows, (int)p->cols, o ? o->solver : 0, o && o->start, mosaic_lap_finding_string(r.finding), (int)r.row, (int)r.col);
        CHECK(r.primal == s->primal && r.dual == s->dual && r.gap == 0 && s->gap == 0 && r.matched == s->matched);
        CHECK(r.violations == 0 && r.worst_violation == 0);
        CHECK(s->matched == (p->rows < room ? p->rows : room) && s->row == -1 && s->col == -1);
        if (!o || !o->start) { /* whether prices are wanted makes no difference */
            mosaic_lap_solution bare;
            int32_t *column = (int32_t *)grab((size_t)p->rows, sizeof *column);
            memset(&bare, 0, sizeof bare);
            bare.col_of_row = column;
            CHECK(mosaic_lap_solve(p, o, &bare) == MOSAIC_LAP_OK && bare.unique == s->unique && bare.exponent == s->exponent);
            CHECK(!s->col_of_row || memcmp(column, s->col_of_row, (size_t)p->rows * sizeof *column) == 0);
            CHECK(bare.primal == s->primal && bare.dual == s->dual && bare.gap == 0 && bare.matched == s->matched && bare.total == s->total);
            free(column);
        }
    } else if (result == MOSAIC_LAP_ERROR_INFEASIBLE) {
        int turned = p->rows > room && p->groups == 0, open = 0;
        int64_t rows = 0, clash = lap_room(p, s->clash_cols);
        for (i = 0; i < p->rows; i++) rows += s->clash_rows[i] == 1;
        for (i = 0; i < p->rows; i++)
            for (j = 0; j < p->cols; j++)
                if (turned ? s->clash_cols[j] && !s->clash_rows[i] : s->clash_rows[i] && !s->clash_cols[j]) open += lap_allowed(p, i, j);
        CHECK(open == 0);
        CHECK_MSG(turned ? clash > rows : rows > clash, "%d rows, room for %d", (int)rows, (int)clash);
        if (turned)
            CHECK(s->row == -1 && s->col >= 0 && s->col < p->cols && s->clash_cols[s->col]);
        else if (p->groups == 0)
            CHECK(s->col == -1 && s->row >= 0 && s->row < p->rows && s->clash_rows[s->row]);
    } else {
        CHECK_MSG(0, "kind %d: %s", (int)p->kind, mosaic_lap_result_string(result));
    }
    return result;
}

#endif
