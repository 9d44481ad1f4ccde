/* mosaic_lap.h as a shared library for lap_parity.py. */
#define MOSAIC_LAP_IMPLEMENTATION
#include "../../mosaic_lap.h"

/* totals: primal, dual. Returns the result of the solver, or that of the check when the solver is content. */
int parity_solve(int rows, int cols, const int32_t *cost, const int32_t *capacity, int maximise, int simd, int32_t *col_of_row, int64_t *u,
                 int64_t *v, int64_t *totals);
int parity_solve(int rows, int cols, const int32_t *cost, const int32_t *capacity, int maximise, int simd, int32_t *col_of_row, int64_t *u,
                 int64_t *v, int64_t *totals)
{
    mosaic_lap_problem p;
    mosaic_lap_options o;
    mosaic_lap_solution s;
    mosaic_lap_report r;
    mosaic_lap_result result;
    memset(&p, 0, sizeof p);
    memset(&o, 0, sizeof o);
    memset(&s, 0, sizeof s);
    p.rows = rows;
    p.cols = cols;
    p.cost = cost;
    p.capacity = capacity;
    p.maximise = maximise;
    o.simd = simd;
    s.col_of_row = col_of_row;
    s.u = u;
    s.v = v;
    result = mosaic_lap_solve(&p, &o, &s);
    if (result != MOSAIC_LAP_OK) return (int)result;
    totals[0] = s.primal;
    totals[1] = s.dual;
    return (int)mosaic_lap_check(&p, NULL, &s, &r);
}
