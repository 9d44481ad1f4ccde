/* mosaic_lap.h as a shared library for lap_parity.py. */
#define MOSAIC_LAP_IMPLEMENTATION
#include "../../mosaic_lap.h"

typedef struct parity_case {
    int32_t rows, cols, kind, maximise, order, simd, words, groups, solver;
    const void *cost;
    const int64_t *row_start;
    const int32_t *col_index, *capacity, *group, *quota;
    int32_t *col_of_row;
    int64_t *u, *v, *w;
    uint8_t *clash_rows, *clash_cols;
    /* out */
    int64_t primal, dual, gap;
    double total;
    int32_t unique, exponent, row, col;
} parity_case;

/* The name of the result of the solver, or, when that is content, of the check. */
const char *parity_solve(parity_case *c);
const char *parity_solve(parity_case *c)
{
    mosaic_lap_problem p;
    mosaic_lap_options o;
    mosaic_lap_solution s;
    mosaic_lap_report r;
    mosaic_lap_result result;
    memset(&p, 0, sizeof p);
    memset(&o, 0, sizeof o);
    memset(&s, 0, sizeof s);
    p.rows = c->rows;
    p.cols = c->cols;
    p.kind = (mosaic_lap_kind)c->kind;
    p.order = (mosaic_lap_order)c->order;
    p.maximise = c->maximise;
    p.cost = c->cost;
    p.row_start = c->row_start;
    p.col_index = c->col_index;
    p.capacity = c->capacity;
    p.groups = c->groups;
    p.group = c->group;
    p.quota = c->quota;
    o.simd = c->simd;
    o.solver = c->solver;
    s.col_of_row = c->col_of_row;
    s.u = c->u;
    s.v = c->v;
    s.w = c->w;
    s.words = c->words;
    s.clash_rows = c->clash_rows;
    s.clash_cols = c->clash_cols;
    result = mosaic_lap_solve(&p, &o, &s);
    c->row = s.row;
    c->col = s.col;
    if (result == MOSAIC_LAP_ERROR_INFEASIBLE) return "infeasible";
    if (result != MOSAIC_LAP_OK) return mosaic_lap_result_string(result);
    c->primal = s.primal;
    c->dual = s.dual;
    c->gap = s.gap;
    c->total = s.total;
    c->unique = s.unique;
    c->exponent = s.exponent;
    result = mosaic_lap_check(&p, NULL, &s, &r);
    return result == MOSAIC_LAP_OK ? "ok" : mosaic_lap_finding_string(r.finding);
}
