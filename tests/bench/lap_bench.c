/* mosaic_lap.h for bench.py: one solve, timed, its memory allocated before. */
#define _POSIX_C_SOURCE 200809L
#include "../threads.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#define MOSAIC_LAP_IMPLEMENTATION
#include "../../mosaic_lap.h"

/* Processor time, which a busy machine does not stretch; with several threads what passes on the clock. */
static double seconds(int threads)
{
    struct timespec t;
    clock_gettime(threads > 1 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Costs from a table or, with row_start, sparse ones; when `cost` is null, from vectors of bytes. `variants` above 0: so many columns in a row are a
   group, used `quota` times at most. With `warm`, column and prices hold the last solution. Prices are asked for unless they are null. totals: cost,
   bytes of memory, and with `check` not 0 whether the answer was proven, or -1 where there is none. Returns the seconds of a solve, the mean of
   `repeats`, or a negative number. */
double lap_bench(int rows, int cols, int kind, int order, const void *cost, const int64_t *row_start, const int32_t *col_index,
                 const uint8_t *row_vectors, const uint8_t *col_vectors, int length, const int32_t *capacity, int variants, int quota, int simd,
                 int threads, int warm, int repeats, int check, int32_t *column, int64_t *u, int64_t *v, int64_t *totals, double *total);
double lap_bench(int rows, int cols, int kind, int order, const void *cost, const int64_t *row_start, const int32_t *col_index,
                 const uint8_t *row_vectors, const uint8_t *col_vectors, int length, const int32_t *capacity, int variants, int quota, int simd,
                 int threads, int warm, int repeats, int check, int32_t *column, int64_t *u, int64_t *v, int64_t *totals, double *total)
{
    mosaic_lap_problem p;
    mosaic_lap_options o;
    mosaic_lap_solution s;
    mosaic_lap_vectors x;
    mosaic_lap_report r;
    mosaic_lap_result result;
    double start, taken;
    int32_t *group = NULL, *quotas = NULL;
    int64_t *w = NULL;
    int i, j;
    memset(&p, 0, sizeof p);
    memset(&o, 0, sizeof o);
    memset(&s, 0, sizeof s);
    p.rows = rows;
    p.cols = cols;
    p.kind = (mosaic_lap_kind)kind;
    p.order = (mosaic_lap_order)order;
    p.cost = cost;
    p.row_start = row_start;
    p.col_index = col_index;
    p.capacity = capacity;
    if (!cost) {
        x.row = row_vectors;
        x.col = col_vectors;
        x.length = length;
        x.bits = 8;
        p.vectors = &x;
    }
    if (variants > 0) {
        p.groups = cols / variants;
        p.group = group = (int32_t *)malloc((size_t)cols * sizeof *group);
        p.quota = quotas = (int32_t *)malloc((size_t)cols * sizeof *quotas);
        w = (int64_t *)malloc((size_t)cols * sizeof *w);
        if (!group || !quotas || !w) return -2;
        for (j = 0; j < cols; j++) {
            group[j] = j / variants;
            quotas[j] = quota;
        }
    }
    s.col_of_row = column;
    s.u = u;
    s.v = v;
    s.w = w;
    o.simd = simd;
    if (threads > 1) {
        o.run = test_run;
        o.run_ctx = &threads;
    }
    if (warm) o.start = &s;
    o.work_size = mosaic_lap_work_size(&p);
    o.work = malloc(o.work_size);
    if (!o.work) return -2;
    if (o.work_size < (size_t)1 << 26) memset(o.work, 0, o.work_size); /* a stream has its memory, pages and all */
    start = seconds(threads);
    for (i = 0, result = MOSAIC_LAP_OK; i < repeats; i++) result = mosaic_lap_solve(&p, &o, &s);
    taken = (seconds(threads) - start) / repeats;
    totals[0] = s.primal;
    totals[1] = (int64_t)o.work_size;
    totals[2] = check && result == MOSAIC_LAP_OK ? mosaic_lap_check(&p, &o, &s, &r) == MOSAIC_LAP_OK : -(result == MOSAIC_LAP_ERROR_INFEASIBLE);
    *total = s.total;
    free(o.work);
    free(group);
    free(quotas);
    free(w);
    return result == MOSAIC_LAP_OK || result == MOSAIC_LAP_ERROR_INFEASIBLE ? taken : -1;
}
