/* mosaic_lap.h - v0.1.0 - exact linear assignment with a proof - MIT or public domain, see the end of the file

   Gives every row of a table of costs one column so that the total is smallest (or largest), and hands back prices that prove it.

   HOW TO USE
     In one C or C++ file of your program:
       #define MOSAIC_LAP_IMPLEMENTATION
       #include "mosaic_lap.h"
     Every other file includes it without the define. No other file, library or flag is needed.

   A COMPLETE PROGRAM
       #include <stdio.h>
       #define MOSAIC_LAP_IMPLEMENTATION
       #include "mosaic_lap.h"
       int main(void)
       {
           const int32_t cost[3 * 4] = {4, 1, 3, 9,   2, 0, 5, 8,   3, 2, 2, 7};
           int32_t column[3];
           mosaic_lap_problem problem = {0};
           mosaic_lap_solution solution = {0};
           mosaic_lap_result result;
           problem.rows = 3;
           problem.cols = 4;
           problem.cost = cost;
           solution.col_of_row = column;
           result = mosaic_lap_solve(&problem, NULL, &solution);
           if (result != MOSAIC_LAP_OK) { fprintf(stderr, "%s\n", mosaic_lap_result_string(result)); return 1; }
           for (int i = 0; i < 3; i++) printf("row %d -> column %d\n", i, (int)column[i]);
           printf("total %lld, proven by prices worth %lld\n", (long long)solution.primal, (long long)solution.dual);
           return 0;
       }

   COMPILE-TIME SWITCHES, before the include
     MOSAIC_LAP_IMPLEMENTATION   compile the functions here
     MOSAIC_LAP_STATIC           make every function static: private to this file
     MOSAIC_LAP_API              your own linkage for the public functions (dllexport, visibility)
     MOSAIC_LAP_ASSERT(x)        internal checks; default: none
     MOSAIC_LAP_NO_SIMD          compile the scalar kernels only
     MOSAIC_LAP_MALLOC(ctx,size) and MOSAIC_LAP_FREE(ctx,ptr)   your allocator, both or neither; default malloc and free

   OPTIONS (mosaic_lap_options; null or all zero means the defaults)
     simd         0 best available (NEON or WebAssembly SIMD where the build has it), 1 scalar, 2 AVX2, 3 AVX-512 (F, BW, DQ, VL), 4 AVX-512
                  with VNNI (differs from 3 for vectors of bytes)
     solver       how to get there; the assignment is always the same. 0 chosen by shape and costs, 1 shortest paths, 2 an auction before
                  them wherever one is possible: a table or vectors, as many rows as columns, one each, nothing forbidden; 3 SciPy's way
                  wherever it is possible: a table, one use per column
     start        a solution of a similar problem to start from, for films: what has not changed need not be searched for again. It pays
                  most when few rows get another column; where a third of them do, it saves a fifth of the time. Null: none. Groups, and
                  costs of other types than int32, start from nothing
     work, work_size   memory for the solver; null: one allocation through MOSAIC_LAP_MALLOC
     alloc_ctx    first argument of the allocator macros
     run, run_ctx how to run several jobs at once; null: one after the other

   COSTS (mosaic_lap_problem)
     kind         MOSAIC_LAP_INT32, the fast path; _INT64, _FLOAT, _DOUBLE: solved as exactly, whatever their size and exponents, as multiples of
                  the lowest bit that is set in any cost. Forbidden: MOSAIC_LAP_FORBIDDEN, MOSAIC_LAP_FORBIDDEN64, +infinity. NaN and -infinity are
                  MOSAIC_LAP_ERROR_NUMBER, and row and col name the first
     row_start    sparse costs in compressed rows; nothing of the size of a table is made
     order        0 the tie rule at mosaic_lap_solve; MOSAIC_LAP_ORDER_SCIPY: the assignment of scipy.optimize.linear_sum_assignment on these
                  costs, converted to double, ties included

   MEMORY
     One area per call, from the caller (mosaic_lap_work_size says how large) or from one call of the allocator; an allocation that fails is
     MOSAIC_LAP_ERROR_MEMORY. The table of costs is read in place. Beside it stand, per entry, about 1/4 byte for bounds and ties, and some 600
     bytes per row and 200 per column: 1.6 MB for 700 x 3676. With more rows than room for them the table is copied once, transposed; from 8 million
     entries on it is copied with its columns in another order. Costs from a function or from vectors take 1/16 byte per entry: 250 MB for 30,000 x
     100,000. Small problems, up to a million entries, take one area with 8 bytes per entry. Other types than int32, and SciPy's order, take several
     allocations when they are not small, one inside the other: 4 bytes per entry for a table in steps, then 24 per entry that still matters, which
     in the worst case (and in mosaic_lap_work_size) are all of them; SciPy's order 8 per entry, if there are ties. Sparse costs take 24 bytes per
     stored one, with more rows than columns twice that. The structures on the stack take under 20 KB, and nothing recurses.

   THREADS
     No threads, locks or global state of its own: calls that share no writable memory may run at once. The two passes over all costs
     (the first one of the solver, and the check) run as up to 64 jobs through options->run; the search in between is serial.

   DETERMINISM
     The assignment is the one the tie rule at mosaic_lap_solve names, whatever the instruction set, the compiler, the number of threads
     or the version. All decisions are made on integers (in SciPy's order: on SciPy's sequence of IEEE double sums). Prices, too, are the
     same on every instruction set and number of threads.

   ACCURACY AND LIMITS
     Exact for all costs of all types: an optimum is never a matter of rounding, and mosaic_lap_check proves it as exactly. Costs of floating point
     are taken at their word: 0.1 is the double nearest to 0.1. In SciPy's order the result is what SciPy's rounded sums lead to, which for costs
     that need more than some 53 bits can miss the optimum by a rounding; gap says by how much, in exact units. Groups are for int32 only. Rows plus
     columns stay below 2^31 - 128 (other types, and sparse: 2^30). Costs beyond +-2^29, or prices below -2^30 on the way, make the solver go on
     with 64-bit kernels: the same answer, up to three times as slow. The slowest problems are those with hardly a column to spare, or more rows
     than columns, where the auction does not apply; sparse costs with more rows than room in columns of several uses; masses of ties among more
     than a million costs that are not a table, because tied entries beyond a certain number are made anew whenever they are looked at; and a
     function that takes its time.

   PERFORMANCE (AMD EPYC (Zen 4) VM, 2 cores, AVX-512; gcc 12 -O2, processor milliseconds of one thread; beside it
   scipy.optimize.linear_sum_assignment 1.17 on the same costs. "Mosaic": squared distances of 4 x 4 Lab blocks of a film's frame and of
   photographs with three variants each; from 4000 rows on, of squares cut from films)
                                                AVX-512   AVX2   scalar    SciPy
     mosaic   700 x 3676                            3.4    3.5      8.0       98
     mosaic   700 x 3676, nothing has moved         0.5                       98   (warm start)
     mosaic   700 x 919, each 4 times               1.5                       79   (columns repeated)
     mosaic  1500 x 3676                             24     29       43      670
     mosaic  1500 x 3676, groups of 4 used twice     68     72      105        -
     mosaic  4000 x 4000, table                     248    282      416    20300
     mosaic  4000 x 16000, table                    289                     9500
     mosaic  8000 x 8000, table                     941                        -
     mosaic  4000 x 4000, vectors                   164    317     1000
     mosaic  4000 x 16000, vectors                  126    238      764     9500
     mosaic  8000 x 8000, vectors                   580   1116     3760        -
     mosaic 30000 x 30000, vectors                 6350                        -   (86 MB)
     mosaic 30000 x 100000, vectors               12300                        -   (250 MB; the check another 4300; two threads:
                                                                                     9200 on the clock)
     uniform 0..999999, 4000 x 4000                  42     58       88     1650
     uniform 0..9, 4000 x 4000                       22     30       52      114
     constant 2000 x 2000                           4.3    4.5       11       18
     uniform 0..999999, 50 x 50                   0.014                    0.021
     uniform 0..999999, 1000 x 10; 10 x 1000   0.028; 0.016             0.054; 0.038
     double, 0 to 1 in 53 bits, 2000 x 2000          28                      286
     double, 0 to 1 in 53 bits, 1000 x 1000          11                       42
     the same in SciPy's order                       11                       42
     double, square roots of whole, 700 x 2000      5.5                      7.6
     int64 below 2^62, 1000 x 1000                   10                       42
     double 0..9, 1000 x 1000; SciPy's order    1.5; 1.0                     5.5
     double, 100 x 100; 50 x 50            0.054; 0.015             0.108; 0.020
     double, 10 x 10; 2 x 2             0.0015; 0.00035           0.0014; 0.0005
     sparse doubles, 12 in a row: 2000 x 2000       3.5                      3.7   (min_weight_full_bipartite_matching)
     20000 x 20000; 20000 x 40000                69; 29                 319; 669
     20000 x 20000 without a solution                10                       13
   The frames of a film with much movement, 700 x 3676: 3.2 ms from nothing, 2.6 ms from the solution of the frame before (means). Some tiny
   problems SciPy solves sooner: doubles of all bits around 10 x 10 (in 0.93 of our time), in the order of rows those with ties and at most 24
   columns (in 0.78 to 0.96), sparse ones of 200 x 200 (in 0.7 to 1.2). SciPy's order beyond a million entries takes SciPy's steps one by one, on top of
   the exact solution, where sums are rounded or there are ties.

   LAST CHANGES
     0.1.0  first version: dense int32 costs, capacities, the one optimum, the certificate and its check
*/
#ifndef MOSAIC_LAP_H
#define MOSAIC_LAP_H

#include <stddef.h>
#include <stdint.h>

#define MOSAIC_LAP_VERSION "0.1.0"

#ifndef MOSAIC_LAP_API
#if !defined(MOSAIC_LAP_STATIC)
#define MOSAIC_LAP_API extern
#elif defined(__GNUC__) || defined(__clang__)
#define MOSAIC_LAP_API static __attribute__((unused))
#else
#define MOSAIC_LAP_API static
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A cost of this value means: this row may not have this column. */
#define MOSAIC_LAP_FORBIDDEN INT32_MAX   /* of int32_t */
#define MOSAIC_LAP_FORBIDDEN64 INT64_MAX /* of int64_t; of float and double it is +infinity */

/* What `cost` points at. */
typedef enum mosaic_lap_kind { MOSAIC_LAP_INT32 = 0, MOSAIC_LAP_INT64, MOSAIC_LAP_FLOAT, MOSAIC_LAP_DOUBLE } mosaic_lap_kind;

/* Which of several best assignments: see mosaic_lap_solve. */
typedef enum mosaic_lap_order { MOSAIC_LAP_ORDER_ROWS = 0, MOSAIC_LAP_ORDER_SCIPY } mosaic_lap_order;

typedef enum mosaic_lap_result {
    MOSAIC_LAP_OK = 0,
    MOSAIC_LAP_ERROR_NULL,       /* a pointer that is needed is null */
    MOSAIC_LAP_ERROR_SIZE,       /* a negative number of rows or columns, or the sizes overflow */
    MOSAIC_LAP_ERROR_STRIDE,     /* stride is not 0 and less than cols */
    MOSAIC_LAP_ERROR_CAPACITY,   /* a negative capacity or quota: solution->col names the column or the group */
    MOSAIC_LAP_ERROR_GROUP,      /* a column's group does not exist: solution->col names the column */
    MOSAIC_LAP_ERROR_OPTION,     /* an option has a value that is not in its table */
    MOSAIC_LAP_ERROR_SIMD,       /* this processor or this build does not have the forced instruction set */
    MOSAIC_LAP_ERROR_SPARSE,     /* row_start falls, or the columns of a row do not rise or do not exist: row and col name the entry */
    MOSAIC_LAP_ERROR_NUMBER,     /* a cost is NaN or -infinity: row and col name it; or SciPy's order, and SciPy's sums overflow */
    MOSAIC_LAP_ERROR_INFEASIBLE, /* too many entries are forbidden: the solution names the rows and columns that clash */
    MOSAIC_LAP_ERROR_WORDS,      /* prices do not fit into solution->words numbers each; it says now how many they need */
    MOSAIC_LAP_ERROR_MEMORY,     /* the allocator returned null, or work_size is below mosaic_lap_work_size */
    MOSAIC_LAP_ERROR_CERTIFICATE /* mosaic_lap_check: not proven optimal; the report says why */
} mosaic_lap_result;

/* Costs that are squared distances: of row i's vector and column j's, each `length` whole numbers. No distance may reach 2^31 - 1. */
typedef struct mosaic_lap_vectors {
    const void *row, *col; /* rows x length and cols x length numbers, one vector after the other */
    int32_t length;        /* 1 or more */
    int bits;              /* 8: the numbers are uint8_t; 16: int16_t */
} mosaic_lap_vectors;

/* What is to be solved. Zero-initialise it, then fill in; members may be added after these in later versions.

   The costs are a table (`cost`), or they are made where they are looked at, and nothing of the size of a table is ever stored: by a
   function (`fill`), or as distances of vectors (`vectors`). One of the three is set.

   With Q the sum of all capacities (of a group: at most its quota), min(rows, Q) rows get a column: all of them while the columns
   suffice, and otherwise the cheapest choice of rows that fills every column completely. With groups, rows may not exceed Q. */
typedef struct mosaic_lap_problem {
    int32_t rows, cols;      /* 0 or more */
    const void *cost;        /* cost[i * stride + j] of giving column j to row i; any value; the sentinel of its kind forbids */
    size_t stride;           /* elements from one row to the next, at least cols; 0 means cols */
    const int32_t *capacity; /* cols numbers: how many rows may have column j, 0 or more; null: one each */
    int maximise;            /* 0: smallest total, anything else: largest total; MOSAIC_LAP_FORBIDDEN forbids either way */

    /* Writes the cost of row `row` + i and column `col` + j to out[i * stride + j], for all i < rows, j < cols. The same entry is asked
       for several times and must always have the same cost; mostly 8 x 512 entries at first and 1 x 64 later; columns that are alike are
       best neighbours. Called from the jobs of options->run at once. */
    void (*fill)(void *ctx, int32_t row, int32_t rows, int32_t col, int32_t cols, int32_t *out, size_t stride);
    void *fill_ctx;
    const mosaic_lap_vectors *vectors;

    /* Columns of one group share a quota: together they have at most so many rows, whatever their capacities. */
    int32_t groups;       /* 0 or more */
    const int32_t *group; /* cols numbers: the group of each column, -1 for none; null when groups is 0 */
    const int32_t *quota; /* groups numbers, 0 or more */

    mosaic_lap_kind kind;   /* the type of the costs; with fill, vectors or groups it is int32_t */
    mosaic_lap_order order; /* SciPy's: only for a table of one use per column, without groups */

    /* Sparse costs, in compressed rows, instead of a table: of row i the entries row_start[i] ... row_start[i + 1] - 1 of col_index, in
       ascending order, and of cost. Everything else is forbidden. Not with fill, vectors or groups. */
    const int64_t *row_start; /* rows + 1 numbers; null: not sparse */
    const int32_t *col_index;
} mosaic_lap_problem;

typedef struct mosaic_lap_options {
    int simd;         /* see OPTIONS above */
    void *work;       /* memory for the solver, any alignment, used during the call only; null: the allocator */
    size_t work_size; /* bytes at work, at least mosaic_lap_work_size */
    void *alloc_ctx;  /* handed to the allocator macros */
    /* Calls job(arg, 0) ... job(arg, count - 1), each exactly once, in any order, on any threads, and returns when all are done. */
    void (*run)(void *ctx, void (*job)(void *arg, int index), void *arg, int count);
    void *run_ctx;
    int solver; /* see OPTIONS above */
    /* Warm start: the solution of a problem of the same shape with costs not far from these. Its col_of_row, u and v are read; it may be
       the very solution that is to be written. The better it fits the less there is to do; the assignment is the same as without. */
    const struct mosaic_lap_solution *start;
} mosaic_lap_options;

/* The answer. Zero-initialise it, set the arrays you want, all owned by the caller. The arrays col_of_row, u and v are written
   on MOSAIC_LAP_OK only, and then completely; the two clash arrays on MOSAIC_LAP_ERROR_INFEASIBLE only.

   The prices prove the total. For a smallest total, with w[j] the price of the group of column j (0 when it has none):
     u[i] + v[j] + w[j] <= cost[i][j] for every entry that is not forbidden, with equality where row i has column j;
     when rows <= Q: v[j] <= 0, and v[j] = 0 for a column that is not full; w <= 0, and w = 0 for a group that has not used its quota;
     when rows >  Q: u[i] <= 0, and u[i] = 0 for a row without a column;
   so that no assignment can cost less than sum u[i] + sum capacity[j] * v[j] + sum quota[g] * w[g], which is the total found. For a
   largest total all of these signs are turned round. */
typedef struct mosaic_lap_solution {
    int32_t *col_of_row; /* rows numbers: the column of each row, -1 for none; may be null */
    int64_t *u;          /* rows prices; may be null */
    int64_t *v;          /* cols prices; may be null */
    int64_t *w;          /* groups prices; may be null */
    uint8_t *clash_rows; /* rows flags, may be null: when rows <= Q, the rows marked 1 may have only the columns marked 1, */
    uint8_t *clash_cols; /* cols flags, may be null: whose capacities add up to less than there are marked rows;
                             when rows > Q, only the marked rows may have the marked columns, and they are too few to fill them.
                             What groups may have of the marked columns counts; with groups and rows > Q all are marked */
    int64_t primal;      /* total cost of the assignment */
    int64_t dual;        /* worth of the prices */
    int64_t gap;         /* primal - dual: 0 */
    int32_t matched;     /* rows that have a column: min(rows, Q) */
    int unique;          /* 1: no other assignment has this total; 0: the tie rule chose among several */
    int32_t words;       /* set by the caller: how many int64_t, the lowest first, there are for each price at u and v; 0 means 1 */
    int32_t exponent;    /* prices, primal, dual and gap count units of 2^exponent: 1, and for floating point the lowest bit set in any cost */
    double total;        /* the total cost as a number, rounded once; primal and dual, in units, stop at the ends of int64_t */
    int32_t row, col;    /* on an error: the row or the column it is about, -1 where none is */
} mosaic_lap_solution;

/* Solves the problem exactly. `options` may be null.

   problem->order MOSAIC_LAP_ORDER_ROWS: of all assignments with the best total it returns the one whose columns, read from row 0 on, come first: row 0 has the smallest
   column it has in any of them, row 1 the smallest that is left to it then, and so on; no column counts as larger than any. The
   assignment is therefore a property of the problem alone. The prices are not unique; the same problem gives the same prices on
   every instruction set and number of threads, but they may differ in another version.

   MOSAIC_LAP_ORDER_SCIPY: the assignment is that of scipy.optimize.linear_sum_assignment (SciPy 1.4 to 1.17) on the same costs, rectangular
   either way and for the largest total, too. The prices are those of the exact optimum; the gap is 0 unless SciPy's roundings missed it.
   It takes as long as the other order where the optimum is the only one and all sums of costs are exact in double; else SciPy's steps are
   taken one by one after it.

   Method: shortest augmenting paths with prices (Edmonds and Karp 1972, Tomizawa 1971), on lists of candidates with exact bounds; then,
   on the entries that are tight under the prices, strongly connected components and a search per row for the tie rule. Costs of more
   than 29 bits are solved in rounds, each on what the prices of the last one leave, in finer steps.

   On an error nothing is written but solution->row, solution->col and the clash arrays, where the result code says so.
   Thread-safe as long as calls share no writable memory. */
MOSAIC_LAP_API mosaic_lap_result mosaic_lap_solve(const mosaic_lap_problem *problem, const mosaic_lap_options *options,
                                                  mosaic_lap_solution *solution);

/* Bytes that mosaic_lap_solve and mosaic_lap_check need at options->work for this problem; 0 when the problem is not valid (the
   codes NULL, SIZE, STRIDE or CAPACITY). It reads the capacities, not the costs. */
MOSAIC_LAP_API size_t mosaic_lap_work_size(const mosaic_lap_problem *problem);

/* What the check found. The first finding in this order is reported, with the first row and column it was met at. */
typedef enum mosaic_lap_finding {
    MOSAIC_LAP_PROVEN = 0,      /* the assignment is allowed and no other one is better */
    MOSAIC_LAP_BAD_COLUMN,      /* row has a column that does not exist */
    MOSAIC_LAP_USED_FORBIDDEN,  /* row has col, which is forbidden */
    MOSAIC_LAP_OVER_CAPACITY,   /* col is used more often than its capacity */
    MOSAIC_LAP_OVER_QUOTA,      /* the columns of group col are used more often than its quota */
    MOSAIC_LAP_TOO_FEW_MATCHED, /* fewer than min(rows, Q) rows have a column; row is the first without */
    MOSAIC_LAP_PRICE_SIGN,      /* the price of col (or, when rows > Q, of row) has the wrong sign */
    MOSAIC_LAP_PRICE_NOT_ZERO,  /* col is not full (or, when rows > Q, row has no column), and yet its price is not 0 */
    MOSAIC_LAP_GROUP_PRICE,     /* the price of group col has the wrong sign, or is not 0 though its quota is not used up */
    MOSAIC_LAP_NOT_TIGHT,       /* row has col, and yet u + v + w is not its cost */
    MOSAIC_LAP_VIOLATED,        /* u + v exceeds the cost of an entry; row and col are where it does so most */
    MOSAIC_LAP_GAP              /* primal and dual differ */
} mosaic_lap_finding;

typedef struct mosaic_lap_report {
    mosaic_lap_finding finding;
    int32_t row, col;        /* where; -1 where it does not apply */
    int64_t worst_violation; /* largest u + v - cost over the whole table (cost - u - v when maximising), 0 when none is positive */
    int64_t violations;      /* how many entries have one */
    int64_t primal, dual, gap;
    int32_t matched;
} mosaic_lap_report;

/* Checks an assignment and its prices (col_of_row, u, v and, with groups, w of `solution`), wherever they come from, against all the
   costs, independently of the solvers. Returns MOSAIC_LAP_OK when they are proven optimal and MOSAIC_LAP_ERROR_CERTIFICATE when not;
   other codes mean that nothing was checked. The report is filled in both cases. `options` may be null; of it the memory, run and simd
   are used. Prices beyond +-2^60 are not accepted (MOSAIC_LAP_ERROR_NUMBER). */
MOSAIC_LAP_API mosaic_lap_result mosaic_lap_check(const mosaic_lap_problem *problem, const mosaic_lap_options *options,
                                                  const mosaic_lap_solution *solution, mosaic_lap_report *report);

/* A price of so many words, in units of 2^exponent (-1074 ... 1023), as the nearest double. At most 80 words. */
MOSAIC_LAP_API double mosaic_lap_price(const int64_t *price, int32_t words, int32_t exponent);

/* A short English sentence for a result code or a finding; never null. The string is constant. */
MOSAIC_LAP_API const char *mosaic_lap_result_string(mosaic_lap_result result);
MOSAIC_LAP_API const char *mosaic_lap_finding_string(mosaic_lap_finding finding);

#ifdef __cplusplus
}
#endif

#endif /* MOSAIC_LAP_H */

#ifdef MOSAIC_LAP_IMPLEMENTATION
#ifndef MOSAIC_LAP_IMPLEMENTATION_DONE
#define MOSAIC_LAP_IMPLEMENTATION_DONE

#if defined(MOSAIC_LAP_MALLOC) != defined(MOSAIC_LAP_FREE)
#error "mosaic_lap: define both MOSAIC_LAP_MALLOC and MOSAIC_LAP_FREE, or neither"
#endif
#ifndef MOSAIC_LAP_MALLOC
#include <stdlib.h>
#define MOSAIC_LAP_MALLOC(ctx, size) ((void)(ctx), malloc(size))
#define MOSAIC_LAP_FREE(ctx, ptr) ((void)(ctx), free(ptr))
#endif
#ifndef MOSAIC_LAP_ASSERT
#define MOSAIC_LAP_ASSERT(x) ((void)0)
#endif
#include <string.h>

/* clang-format off */
/* === mosaic shared block, version 1: compiler, processor, floating point. Word for word the same in every header that has it. === */
#ifndef MOSAIC__SHARED_BLOCK_1
#define MOSAIC__SHARED_BLOCK_1
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "mosaic: -ffast-math and its parts change results; compile this file without them"
#endif
#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "mosaic: x87 arithmetic rounds twice; compile with -mfpmath=sse -msse2"
#endif
#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC__UNUSED __attribute__((unused))
#define MOSAIC__TARGET(isa) __attribute__((target(isa)))
#else
#define MOSAIC__UNUSED
#define MOSAIC__TARGET(isa)
#endif
#if defined(_MSC_VER)
#define MOSAIC__RESTRICT __restrict
#else
#define MOSAIC__RESTRICT __restrict__
#endif
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define MOSAIC__X86 1
#include <immintrin.h>
#else
#define MOSAIC__X86 0
#endif
/* What this processor and its operating system can run: 0 scalar, 1 AVX2, 2 AVX-512 F, BW, DQ and VL, 3 the same with VNNI. */
MOSAIC__UNUSED static int mosaic__cpu_level(void)
{
#if MOSAIC__X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512vnni") ? 3 : 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}
/* A host may have changed the rounding mode or flushed denormals to zero: every entry that computes in floating point sets the
   IEEE defaults and gives the old state back. */
MOSAIC__UNUSED static unsigned long long mosaic__fp_enter(void)
{
#if defined(__SSE2__) || MOSAIC__X86
    unsigned long long old = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return old;
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    unsigned long long old, ieee = 0;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(old));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(ieee));
    return old;
#else
    return 0;
#endif
}
MOSAIC__UNUSED static void mosaic__fp_leave(unsigned long long old)
{
#if defined(__SSE2__) || MOSAIC__X86
    _mm_setcsr((unsigned int)old);
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    __asm__ __volatile__("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}
#endif
/* No multiply and add may be fused behind our back. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif
/* === end of the mosaic shared block === */
/* clang-format on */

#if MOSAIC__X86 && !defined(MOSAIC_LAP_NO_SIMD)
#define MOSAIC_LAP__SIMD 1
#else
#define MOSAIC_LAP__SIMD 0
#endif
/* Vectors of four numbers, for NEON and WebAssembly. */
#if !MOSAIC__X86 && !defined(MOSAIC_LAP_NO_SIMD) && (defined(__aarch64__) || defined(__wasm_simd128__)) &&                                           \
    (defined(__GNUC__) || defined(__clang__)) && !defined(__AARCH64EB__)
#define MOSAIC_LAP__QUADS 1
#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <wasm_simd128.h>
#endif
#else
#define MOSAIC_LAP__QUADS 0
#endif

/* How it works

   Shortest augmenting paths (successive shortest paths with prices): rows enter one at a time; each search is Dijkstra's, over the
   reduced costs cost - u - v, from the new row to the nearest column with room. Prices of columns only ever fall, so cost - v of
   every entry only ever rises, and whatever was once the smallest value of some entries stays a lower bound on them for good.
   Two such bounds keep almost all of the table unread:
     lower[row][block]  per 64 columns, their smallest cost - v when last read;
     a list per row     of the LIST columns that were cheapest when last read, and `bound`, at or below cost - v of all others.
   A search reads the list of a row; only when it has gone as far as the bound (a "marker" in the heap says when) does it read the
   row itself, and there only the blocks whose lower bound is near enough. The result is exactly that of reading everything.

   Before the searches every row that can takes a column that is cheapest for it (`greedy`), which leaves nothing to do where all is tied. In
   squares where few rows succeed, an auction brings the prices near the optimum first. In large problems columns that are alike are put
   into the same blocks. Costs that are not a table are made block by block wherever a block is read.

   When there are more rows than room, the columns look for rows instead: the table is transposed once, and a column of capacity q
   enters q times. Either way the side that enters (`lines`, each with some `units`) is served completely by the other (`slots`).

   A warm start begins with prices below 0 and with slots below 0 that nothing is in, which no optimum may have. Raising these prices would
   cost all lower bounds. Instead the price of what need not be full, 0 from a cold start, becomes a `level` that may fall with the others: a
   spare line, of cost 0 everywhere and as many units as there is room to spare, holds the slots at the level, and takes part in the searches.
   In the end all prices are counted from the level. Before the searches slots below it that nothing is in are raised as far as no line minds. A group is a node between its slots and the level: a slot with room in a group that has
   none leads to every unit in the group.

   Arithmetic: the solver's own numbers are 64 bits wide. The kernels that read the table use 32 bits as long as all costs are
   within NARROW_COST and no price is below NARROW_PRICE, which excludes overflow, and 64 bits from there on. */

#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC_LAP__INLINE static inline __attribute__((always_inline))
#else
#define MOSAIC_LAP__INLINE static
#endif

#define MOSAIC_LAP__LIST 64
#define MOSAIC_LAP__BLOCK 64
#define MOSAIC_LAP__TILE_LINES 8
#define MOSAIC_LAP__TILE_WIDTH 512
#define MOSAIC_LAP__FIRST_BLOCKS 6
#define MOSAIC_LAP__JOBS 64
#define MOSAIC_LAP__TIE_WORDS 16
#define MOSAIC_LAP__FEATURES 16
#ifndef MOSAIC_LAP__CLUSTER_FROM
#define MOSAIC_LAP__CLUSTER_FROM (8 << 20) /* entries; the tests have it lower */
#endif
#define MOSAIC_LAP__FAR INT64_MAX
#define MOSAIC_LAP__NO_SHRINK ((int64_t)1 << 61)
#define MOSAIC_LAP__NARROW_COST ((int64_t)1 << 29)
#define MOSAIC_LAP__NARROW_PRICE (-((int64_t)1 << 30))

/* The costs as the solvers see them, and the prices of the slots. With sign = -1 every cost is negated on reading: (c ^ sign) - sign. */
typedef struct mosaic_lap__table {
    const mosaic_lap_problem *problem;
    int turned; /* the lines are the problem's columns */
    int32_t lines, slots, blocks;
    int32_t sign;

    /* where costs come from: a table; or vectors as words of 4 bytes or 2 numbers of 16 bits each; or the problem's `fill` */
    const int32_t *cost;
    size_t stride;
    void (*distances)(const struct mosaic_lap__table *t, int32_t line, int32_t block, int32_t *out);
    int32_t words;
    int32_t *line_word, *slot_word; /* line after line; of the slots block by block, in it word by word, each of all slots of the block */
    int32_t *line_norm, *slot_norm; /* what a distance has beside the product of the vectors, which counts -2 times */

    int32_t *lower;  /* lines x blocks; values beyond 32 bits are stored as INT32_MAX, a lower bound still */
    int64_t *price;  /* slots: v */
    int32_t *narrow; /* slots: v + sign in 32 bits, for the narrow kernels */
} mosaic_lap__table;

MOSAIC_LAP__INLINE int64_t mosaic_lap__reduced(const mosaic_lap__table *t, int32_t cost, int32_t slot)
{
    return (t->sign ? -(int64_t)cost : (int64_t)cost) - t->price[slot];
}

MOSAIC_LAP__INLINE int32_t mosaic_lap__clamp(int64_t x) { return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x; }

MOSAIC_LAP__INLINE int32_t mosaic_lap__block_size(const mosaic_lap__table *t, int32_t block)
{
    int32_t rest = t->slots - block * MOSAIC_LAP__BLOCK;
    return rest < MOSAIC_LAP__BLOCK ? rest : MOSAIC_LAP__BLOCK;
}

/* How many bits it takes. */
MOSAIC_LAP__INLINE int mosaic_lap__bits(uint64_t x)
{
    int bits = 0;
#if defined(__GNUC__) || defined(__clang__)
    bits = x ? 64 - __builtin_clzll(x) : 0;
#else
    for (; x; x >>= 1) bits++;
#endif
    return bits;
}

MOSAIC_LAP__INLINE int32_t mosaic_lap__lowest(uint64_t bits)
{
    int32_t n = 0;
#if defined(__GNUC__) || defined(__clang__)
    n = __builtin_ctzll(bits);
#else
    for (; !(bits & 1); bits >>= 1) n++;
#endif
    return n;
}

/* ---- costs of vectors: |x - y|^2 = |x|^2 + |y|^2 - 2 x y, modulo 2^32 throughout, which is exact because no distance is that large ---- */
static void mosaic_lap__distances_scalar(const mosaic_lap__table *t, int32_t line, int32_t block, int32_t *out)
{
    const int32_t *x = t->line_word + (size_t)line * (size_t)t->words;
    const int32_t *y = t->slot_word + (size_t)block * (size_t)t->words * MOSAIC_LAP__BLOCK, *norm = t->slot_norm + block * MOSAIC_LAP__BLOCK;
    uint32_t sum[MOSAIC_LAP__BLOCK];
    int32_t j, k;
    for (j = 0; j < MOSAIC_LAP__BLOCK; j++) sum[j] = 0;
    for (k = 0; k < t->words; k++, y += MOSAIC_LAP__BLOCK) {
        int32_t low = (int16_t)((uint32_t)x[k] & 0xffff), high = (int16_t)((uint32_t)x[k] >> 16);
        for (j = 0; j < MOSAIC_LAP__BLOCK; j++)
            sum[j] += (uint32_t)(low * (int16_t)((uint32_t)y[j] & 0xffff)) + (uint32_t)(high * (int16_t)((uint32_t)y[j] >> 16));
    }
    for (j = 0; j < MOSAIC_LAP__BLOCK; j++) out[j] = (int32_t)((uint32_t)t->line_norm[line] + (uint32_t)norm[j] - 2 * sum[j]);
}

/* ---- vectors of LANES numbers of 32 bits, for AVX2 and for quads: LEVEL names the set ---- */
#if MOSAIC_LAP__SIMD
#define MOSAIC_LAP__AVX2 MOSAIC__TARGET("avx2")
typedef __m256i mosaic_lap__vector_avx2;
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__load_avx2(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 void mosaic_lap__store_avx2(int32_t *p, __m256i x) { _mm256_storeu_si256((__m256i *)(void *)p, x); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__all_avx2(int32_t x) { return _mm256_set1_epi32(x); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__plus_avx2(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__minus_avx2(__m256i a, __m256i b) { return _mm256_sub_epi32(a, b); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__flip_avx2(__m256i a, __m256i b) { return _mm256_xor_si256(a, b); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__either_avx2(__m256i a, __m256i b) { return _mm256_or_si256(a, b); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__smaller_avx2(__m256i a, __m256i b) { return _mm256_min_epi32(a, b); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__larger_avx2(__m256i a, __m256i b) { return _mm256_max_epi32(a, b); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__is_less_avx2(__m256i a, __m256i b) { return _mm256_cmpgt_epi32(b, a); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__is_same_avx2(__m256i a, __m256i b) { return _mm256_cmpeq_epi32(a, b); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__pick_avx2(__m256i m, __m256i a, __m256i b) { return _mm256_blendv_epi8(b, a, m); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__dot_avx2(__m256i a, __m256i b) { return _mm256_madd_epi16(a, b); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 unsigned mosaic_lap__mask_avx2(__m256i x) { return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(x)); }
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX2 __m256i mosaic_lap__at_avx2(const int32_t *from, const int32_t *slot)
{
    return _mm256_i32gather_epi32(from, mosaic_lap__load_avx2(slot), 4);
}
MOSAIC_LAP__AVX2 static int32_t mosaic_lap__least_avx2(__m256i x)
{
    __m128i y = _mm_min_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    y = _mm_min_epi32(y, _mm_shuffle_epi32(y, 0x4e));
    y = _mm_min_epi32(y, _mm_shuffle_epi32(y, 0xb1));
    return _mm_cvtsi128_si32(y);
}
#endif
#if MOSAIC_LAP__QUADS
typedef int32_t mosaic_lap__vector_quad __attribute__((vector_size(16), may_alias));
typedef uint32_t mosaic_lap__unsigned_quad __attribute__((vector_size(16), may_alias));
typedef mosaic_lap__vector_quad mosaic_lap__q;
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__load_quad(const int32_t *p)
{
    mosaic_lap__q x;
    memcpy(&x, p, sizeof x);
    return x;
}
MOSAIC_LAP__INLINE void mosaic_lap__store_quad(int32_t *p, mosaic_lap__q x) { memcpy(p, &x, sizeof x); }
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__all_quad(int32_t x)
{
    const mosaic_lap__q all = {x, x, x, x};
    return all;
}
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__plus_quad(mosaic_lap__q a, mosaic_lap__q b)
{
    return (mosaic_lap__q)((mosaic_lap__unsigned_quad)a + (mosaic_lap__unsigned_quad)b);
}
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__minus_quad(mosaic_lap__q a, mosaic_lap__q b)
{
    return (mosaic_lap__q)((mosaic_lap__unsigned_quad)a - (mosaic_lap__unsigned_quad)b);
}
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__flip_quad(mosaic_lap__q a, mosaic_lap__q b) { return a ^ b; }
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__either_quad(mosaic_lap__q a, mosaic_lap__q b) { return a | b; }
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__is_less_quad(mosaic_lap__q a, mosaic_lap__q b) { return (mosaic_lap__q)(a < b); }
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__is_same_quad(mosaic_lap__q a, mosaic_lap__q b) { return (mosaic_lap__q)(a == b); }
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__pick_quad(mosaic_lap__q m, mosaic_lap__q a, mosaic_lap__q b) { return (a & m) | (b & ~m); }
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__at_quad(const int32_t *from, const int32_t *slot)
{
    const mosaic_lap__q at = {from[slot[0]], from[slot[1]], from[slot[2]], from[slot[3]]};
    return at;
}
#if defined(__aarch64__)
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__smaller_quad(mosaic_lap__q a, mosaic_lap__q b)
{
    return (mosaic_lap__q)vminq_s32((int32x4_t)a, (int32x4_t)b);
}
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__larger_quad(mosaic_lap__q a, mosaic_lap__q b)
{
    return (mosaic_lap__q)vmaxq_s32((int32x4_t)a, (int32x4_t)b);
}
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__dot_quad(mosaic_lap__q a, mosaic_lap__q b)
{
    return (mosaic_lap__q)vpaddq_s32(vmull_s16(vget_low_s16((int16x8_t)a), vget_low_s16((int16x8_t)b)), vmull_high_s16((int16x8_t)a, (int16x8_t)b));
}
MOSAIC_LAP__INLINE unsigned mosaic_lap__mask_quad(mosaic_lap__q x)
{
    const mosaic_lap__q bits = {1, 2, 4, 8};
    return (unsigned)vaddvq_s32((int32x4_t)(x & bits));
}
MOSAIC_LAP__INLINE int32_t mosaic_lap__least_quad(mosaic_lap__q x) { return vminvq_s32((int32x4_t)x); }
#else
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__smaller_quad(mosaic_lap__q a, mosaic_lap__q b)
{
    return (mosaic_lap__q)wasm_i32x4_min((v128_t)a, (v128_t)b);
}
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__larger_quad(mosaic_lap__q a, mosaic_lap__q b)
{
    return (mosaic_lap__q)wasm_i32x4_max((v128_t)a, (v128_t)b);
}
MOSAIC_LAP__INLINE mosaic_lap__q mosaic_lap__dot_quad(mosaic_lap__q a, mosaic_lap__q b)
{
    return (mosaic_lap__q)wasm_i32x4_dot_i16x8((v128_t)a, (v128_t)b);
}
MOSAIC_LAP__INLINE unsigned mosaic_lap__mask_quad(mosaic_lap__q x) { return (unsigned)wasm_i32x4_bitmask((v128_t)x); }
MOSAIC_LAP__INLINE int32_t mosaic_lap__least_quad(mosaic_lap__q x)
{
    const int32_t a = x[0] < x[1] ? x[0] : x[1], b = x[2] < x[3] ? x[2] : x[3];
    return a < b ? a : b;
}
#endif
#endif

#define MOSAIC_LAP__DEFINE_DOTS(LEVEL, TARGET, LANES)                                                                                                \
    TARGET static void mosaic_lap__distances_##LEVEL(const mosaic_lap__table *t, int32_t line, int32_t block, int32_t *out)                          \
    {                                                                                                                                                \
        const int32_t *x = t->line_word + (size_t)line * (size_t)t->words;                                                                           \
        const int32_t *y = t->slot_word + (size_t)block * (size_t)t->words * MOSAIC_LAP__BLOCK;                                                      \
        const int32_t *norm = t->slot_norm + block * MOSAIC_LAP__BLOCK;                                                                              \
        const mosaic_lap__vector_##LEVEL own = mosaic_lap__all_##LEVEL(t->line_norm[line]);                                                          \
        mosaic_lap__vector_##LEVEL sum[MOSAIC_LAP__BLOCK / LANES];                                                                                   \
        int32_t i, k;                                                                                                                                \
        for (i = 0; i < MOSAIC_LAP__BLOCK / LANES; i++) sum[i] = mosaic_lap__all_##LEVEL(0);                                                         \
        for (k = 0; k < t->words; k++, y += MOSAIC_LAP__BLOCK) {                                                                                     \
            const mosaic_lap__vector_##LEVEL both = mosaic_lap__all_##LEVEL(x[k]);                                                                   \
            for (i = 0; i < MOSAIC_LAP__BLOCK / LANES; i++)                                                                                          \
                sum[i] = mosaic_lap__plus_##LEVEL(sum[i], mosaic_lap__dot_##LEVEL(both, mosaic_lap__load_##LEVEL(y + LANES * i)));                   \
        }                                                                                                                                            \
        for (i = 0; i < MOSAIC_LAP__BLOCK / LANES; i++)                                                                                              \
            mosaic_lap__store_##LEVEL(out + LANES * i,                                                                                               \
                                      mosaic_lap__minus_##LEVEL(mosaic_lap__plus_##LEVEL(own, mosaic_lap__load_##LEVEL(norm + LANES * i)),           \
                                                                mosaic_lap__plus_##LEVEL(sum[i], sum[i])));                                          \
    }
#if MOSAIC_LAP__QUADS
MOSAIC_LAP__DEFINE_DOTS(quad, , 4)
#endif
#if MOSAIC_LAP__SIMD
MOSAIC_LAP__DEFINE_DOTS(avx2, MOSAIC_LAP__AVX2, 8)
#endif

#if MOSAIC_LAP__SIMD
#define MOSAIC_LAP__AVX512 MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#define MOSAIC_LAP__VNNI MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized" /* false alarms inside the intrinsics of gcc 12, as C++ or without optimisation */
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

/* The two kernels of AVX-512 differ in how they add the products of a word. */
#define MOSAIC_LAP__DEFINE_DISTANCES(NAME, TARGET, ADD)                                                                                              \
    TARGET static void NAME(const mosaic_lap__table *t, int32_t line, int32_t block, int32_t *out)                                                   \
    {                                                                                                                                                \
        const int32_t *x = t->line_word + (size_t)line * (size_t)t->words;                                                                           \
        const int32_t *y = t->slot_word + (size_t)block * (size_t)t->words * MOSAIC_LAP__BLOCK;                                                      \
        const int32_t *norm = t->slot_norm + block * MOSAIC_LAP__BLOCK;                                                                              \
        const __m512i own = _mm512_set1_epi32(t->line_norm[line]);                                                                                   \
        __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;                                                                                     \
        int32_t k;                                                                                                                                   \
        for (k = 0; k < t->words; k++, y += MOSAIC_LAP__BLOCK) {                                                                                     \
            __m512i all = _mm512_set1_epi32(x[k]);                                                                                                   \
            a = ADD(a, _mm512_loadu_si512(y), all);                                                                                                  \
            b = ADD(b, _mm512_loadu_si512(y + 16), all);                                                                                             \
            c = ADD(c, _mm512_loadu_si512(y + 32), all);                                                                                             \
            d = ADD(d, _mm512_loadu_si512(y + 48), all);                                                                                             \
        }                                                                                                                                            \
        a = _mm512_sub_epi32(_mm512_add_epi32(own, _mm512_loadu_si512(norm)), _mm512_slli_epi32(a, 1));                                              \
        b = _mm512_sub_epi32(_mm512_add_epi32(own, _mm512_loadu_si512(norm + 16)), _mm512_slli_epi32(b, 1));                                         \
        c = _mm512_sub_epi32(_mm512_add_epi32(own, _mm512_loadu_si512(norm + 32)), _mm512_slli_epi32(c, 1));                                         \
        d = _mm512_sub_epi32(_mm512_add_epi32(own, _mm512_loadu_si512(norm + 48)), _mm512_slli_epi32(d, 1));                                         \
        _mm512_storeu_si512(out, a);                                                                                                                 \
        _mm512_storeu_si512(out + 16, b);                                                                                                            \
        _mm512_storeu_si512(out + 32, c);                                                                                                            \
        _mm512_storeu_si512(out + 48, d);                                                                                                            \
    }
#define MOSAIC_LAP__MADD(sum, y, x) _mm512_add_epi32(sum, _mm512_madd_epi16(y, x))
MOSAIC_LAP__DEFINE_DISTANCES(mosaic_lap__distances_avx512, MOSAIC_LAP__AVX512, MOSAIC_LAP__MADD)
MOSAIC_LAP__DEFINE_DISTANCES(mosaic_lap__distances_vnni, MOSAIC_LAP__VNNI, _mm512_dpbusd_epi32)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

/* Whether the vectors are kept as bytes: the products are then of unsigned bytes of the slots and signed ones, 128 less, of the lines. */
static int mosaic_lap__bytes(const mosaic_lap_vectors *vectors, int level) { return vectors->bits == 8 && level == 3; }

static int32_t mosaic_lap__vector_value(const mosaic_lap_vectors *vectors, const void *data, int32_t index, int32_t k)
{
    size_t at = (size_t)index * (size_t)vectors->length + (size_t)k;
    return vectors->bits == 8 ? ((const uint8_t *)data)[at] : ((const int16_t *)data)[at];
}

/* Fills in line_word, slot_word and the norms. `order` says which vector a slot has; null: that of the same number. */
static void mosaic_lap__pack(mosaic_lap__table *t, int level, const int32_t *order)
{
    const mosaic_lap_vectors *x = t->problem->vectors;
    const void *line_data = t->turned ? x->col : x->row, *slot_data = t->turned ? x->row : x->col;
    const int32_t bytes = mosaic_lap__bytes(x, level), per_word = bytes ? 4 : 2, bits = bytes ? 8 : 16;
    const uint32_t mask = bytes ? 0xff : 0xffff;
    int32_t i, j, k;
    for (i = 0; i < t->lines + t->blocks * MOSAIC_LAP__BLOCK; i++) {
        int32_t slot = i - t->lines, *word, step;
        uint32_t norm = 0;
        if (slot < 0) {
            word = t->line_word + (size_t)i * (size_t)t->words;
            step = 1;
        } else {
            word = t->slot_word + (size_t)(slot / MOSAIC_LAP__BLOCK) * (size_t)t->words * MOSAIC_LAP__BLOCK + slot % MOSAIC_LAP__BLOCK;
            step = MOSAIC_LAP__BLOCK;
        }
        for (k = 0; k < t->words; k++) {
            uint32_t packed = 0;
            for (j = 0; j < per_word && k * per_word + j < x->length && slot < t->slots; j++) {
                int32_t value = mosaic_lap__vector_value(x, slot < 0 ? line_data : slot_data,
                                                         slot < 0 ? i
                                                         : order  ? order[slot]
                                                                  : slot,
                                                         k * per_word + j);
                norm += (uint32_t)(value * value) - (uint32_t)(bytes && slot >= 0 ? 256 * value : 0);
                packed |= ((uint32_t)(value - (bytes && slot < 0 ? 128 : 0)) & mask) << (bits * j);
            }
            word[(size_t)k * (size_t)step] = (int32_t)packed;
        }
        *(slot < 0 ? t->line_norm + i : t->slot_norm + slot) = (int32_t)norm;
    }
    t->distances = mosaic_lap__distances_scalar;
#if MOSAIC_LAP__QUADS
    if (level > 0) t->distances = mosaic_lap__distances_quad;
#endif
#if MOSAIC_LAP__SIMD
    if (level > 0) t->distances = level > 1 ? mosaic_lap__distances_avx512 : mosaic_lap__distances_avx2;
    if (bytes) t->distances = mosaic_lap__distances_vnni;
#endif
}

/* Makes costs of `lines` lines from slot 64 * block on, up to the end or `width` of them, line after line at out, `width` apart. */
static void mosaic_lap__make_costs(const mosaic_lap__table *t, int32_t line, int32_t lines, int32_t block, int32_t width, int32_t *out)
{
    const mosaic_lap_problem *p = t->problem;
    int32_t slot = block * MOSAIC_LAP__BLOCK, count = t->slots - slot < width ? t->slots - slot : width, i, b;
    if (t->distances) {
        for (b = 0; b * MOSAIC_LAP__BLOCK < count; b++)
            for (i = 0; i < lines; i++) t->distances(t, line + i, block + b, out + (size_t)i * (size_t)width + b * MOSAIC_LAP__BLOCK);
    } else if (t->turned) {
        for (i = 0; i < lines; i++) p->fill(p->fill_ctx, slot, count, line + i, 1, out + (size_t)i * (size_t)width, 1);
    } else {
        p->fill(p->fill_ctx, line, lines, slot, count, out, (size_t)width);
    }
}

/* The costs of one block of a line, where they are or made into `room`. */
MOSAIC_LAP__INLINE const int32_t *mosaic_lap__costs(const mosaic_lap__table *t, int32_t line, int32_t block, int32_t room[MOSAIC_LAP__BLOCK])
{
    if (t->cost) return t->cost + (size_t)line * t->stride + (size_t)block * MOSAIC_LAP__BLOCK;
    mosaic_lap__make_costs(t, line, 1, block, MOSAIC_LAP__BLOCK, room);
    return room;
}

static int32_t mosaic_lap__cost(const mosaic_lap__table *t, int32_t line, int32_t slot)
{
    int32_t room[MOSAIC_LAP__BLOCK];
    return mosaic_lap__costs(t, line, slot / MOSAIC_LAP__BLOCK, room)[slot % MOSAIC_LAP__BLOCK];
}

/* ---- memory: one area, laid out by the code that uses it; with base null the same code measures it ---- */
typedef struct mosaic_lap__arena {
    unsigned char *base;
    size_t used;
    int overflow;
} mosaic_lap__arena;

MOSAIC_LAP__INLINE void *mosaic_lap__take(mosaic_lap__arena *a, size_t count, size_t size)
{
    size_t at = a->used, bytes = count * size;
    if ((size && count > (SIZE_MAX - 127) / size) || bytes + 63 > SIZE_MAX - 64 - at) {
        a->overflow = 1;
        return NULL;
    }
    a->used = at + ((bytes + 63) & ~(size_t)63);
    return a->base ? a->base + at : NULL;
}

/* What the costs need of it. */
static void mosaic_lap__source_layout(mosaic_lap__table *t, const mosaic_lap_problem *p, size_t stride, int turned, int level, mosaic_lap__arena *a)
{
    memset(t, 0, sizeof *t);
    t->problem = p;
    t->turned = turned;
    t->lines = turned ? p->cols : p->rows;
    t->slots = turned ? p->rows : p->cols;
    t->blocks = (t->slots + MOSAIC_LAP__BLOCK - 1) / MOSAIC_LAP__BLOCK;
    t->sign = p->maximise ? -1 : 0;
    t->cost = (const int32_t *)p->cost;
    t->stride = stride;
    if (p->vectors) {
        size_t words = ((size_t)p->vectors->length + (mosaic_lap__bytes(p->vectors, level) ? 3 : 1)) / (mosaic_lap__bytes(p->vectors, level) ? 4 : 2);
        size_t slots = (size_t)t->blocks * MOSAIC_LAP__BLOCK;
        t->words = (int32_t)words;
        t->line_word = (int32_t *)mosaic_lap__take(a, (size_t)t->lines, words * sizeof(int32_t));
        t->slot_word = (int32_t *)mosaic_lap__take(a, slots, words * sizeof(int32_t));
        t->line_norm = (int32_t *)mosaic_lap__take(a, (size_t)t->lines, sizeof(int32_t));
        t->slot_norm = (int32_t *)mosaic_lap__take(a, slots, sizeof(int32_t));
    }
}

/* ---- kernels: the only code that reads many costs. The scalar ones define the result of the others. ----
   range    first look at a line, `count` blocks of it from block b on whose costs are at c: their lower bounds at the present prices, smallest
            and largest cost in limits[0], limits[1], and in limits[2] whether any is forbidden
   collect  the slots of a line with cost - v < limit, and their costs, block by block from block line % blocks on and around the end;
            refreshes the lower bounds of the blocks it reads; whenever a block's minimum + gap is below limit, that becomes the limit. The
            limit at the end is handed back: slots at or above it may be among those collected before it fell.
   below    which of `count` listed entries have cost - v < limit, as a bit mask
   best     the first listed entry with the least cost - v; that in least[0], the second least in least[1]. FAR where there is none
   under    which slots of a block have cost - v < limit, as a bit mask; where none is below u, those below u + 1 are tight */
typedef struct mosaic_lap__kernels {
    void (*range)(const mosaic_lap__table *t, int32_t line, int32_t b, int32_t count, const int32_t *c, int32_t limits[3]);
    int32_t (*collect)(const mosaic_lap__table *t, int32_t line, int64_t *limit, int64_t gap, int32_t *slot, int32_t *cost);
    uint64_t (*below)(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count, int64_t limit);
    int32_t (*best)(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count, int64_t least[2]);
    uint64_t (*under)(const mosaic_lap__table *t, int32_t line, int32_t block, int64_t limit);
} mosaic_lap__kernels;

/* Around the block kernels: which blocks to read. BELOW says which of up to STEP lower bounds are below a limit; CLIP brings the limit into
   the range of the block kernel's numbers. */
#define MOSAIC_LAP__DEFINE_COLLECT(NAME, TARGET, BLOCK_KERNEL, CLIP, STEP, BELOW)                                                                    \
    TARGET static int32_t NAME(const mosaic_lap__table *t, int32_t line, int64_t *limit, int64_t gap, int32_t *slot, int32_t *cost)                  \
    {                                                                                                                                                \
        int32_t *lower = t->lower + (size_t)line * (size_t)t->blocks;                                                                                \
        int32_t room[MOSAIC_LAP__BLOCK], count = 0, from = line % t->blocks, part;                                                                   \
        int64_t lim = CLIP(*limit);                                                                                                                  \
        for (part = 0; part < 2; part++) {                                                                                                           \
            int32_t first = part ? 0 : from, end = part ? from : t->blocks;                                                                          \
            for (; first < end; first += STEP) {                                                                                                     \
                uint32_t bits = BELOW(lower + first, end - first < STEP ? end - first : STEP, lim);                                                  \
                for (; bits; bits &= bits - 1) {                                                                                                     \
                    int32_t b = first + mosaic_lap__lowest(bits);                                                                                    \
                    if (lower[b] < lim)                                                                                                              \
                        count += BLOCK_KERNEL(t, mosaic_lap__costs(t, line, b, room), b, lower + b, &lim, gap, slot + count, cost + count);          \
                }                                                                                                                                    \
            }                                                                                                                                        \
        }                                                                                                                                            \
        if (lim != CLIP(*limit)) *limit = lim;                                                                                                       \
        return count;                                                                                                                                \
    }
#define MOSAIC_LAP__CLIP_WIDE(x) (x)
#define MOSAIC_LAP__CLIP_NARROW(x) ((int64_t)mosaic_lap__clamp(x))
#define MOSAIC_LAP__BELOW_ONE(lower, count, limit) ((uint32_t)(*(lower) < (limit)))

/* ---- the wide kernels: 64 bits throughout. Reduced costs of a block into x, FAR where forbidden; returns the least. ---- */
static int64_t mosaic_lap__wide_scalar(const mosaic_lap__table *t, const int32_t *c, int32_t b, int64_t x[MOSAIC_LAP__BLOCK])
{
    int32_t first = b * MOSAIC_LAP__BLOCK, size = mosaic_lap__block_size(t, b), j;
    int64_t least = MOSAIC_LAP__FAR;
    for (j = 0; j < size; j++) {
        x[j] = c[j] == MOSAIC_LAP_FORBIDDEN ? MOSAIC_LAP__FAR : mosaic_lap__reduced(t, c[j], first + j);
        if (x[j] < least) least = x[j];
    }
    for (; j < MOSAIC_LAP__BLOCK; j++) x[j] = MOSAIC_LAP__FAR;
    return least;
}

static uint64_t mosaic_lap__below_wide(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count, int64_t limit)
{
    uint64_t bits = 0;
    int32_t i;
    for (i = 0; i < count; i++) bits |= (uint64_t)(mosaic_lap__reduced(t, cost[i], slot[i]) < limit) << i;
    return bits;
}

static int32_t mosaic_lap__best_wide(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count, int64_t least[2])
{
    int32_t i, at = 0;
    least[0] = least[1] = MOSAIC_LAP__FAR;
    for (i = 0; i < count; i++) {
        int64_t x = mosaic_lap__reduced(t, cost[i], slot[i]);
        if (x < least[0]) {
            least[1] = least[0];
            least[0] = x;
            at = i;
        } else if (x < least[1]) {
            least[1] = x;
        }
    }
    return at;
}

/* The rest of them, over the function that makes the reduced costs. */
#define MOSAIC_LAP__DEFINE_WIDE(LEVEL, TARGET)                                                                                                       \
    TARGET static void mosaic_lap__range_wide_##LEVEL(const mosaic_lap__table *t, int32_t line, int32_t b, int32_t count, const int32_t *c,          \
                                                      int32_t limits[3])                                                                             \
    {                                                                                                                                                \
        int64_t x[MOSAIC_LAP__BLOCK];                                                                                                                \
        int32_t *lower = t->lower + (size_t)line * (size_t)t->blocks, end = b + count;                                                               \
        (void)limits;                                                                                                                                \
        for (; b < end; b++, c += MOSAIC_LAP__BLOCK) lower[b] = mosaic_lap__clamp(mosaic_lap__wide_##LEVEL(t, c, b, x));                             \
    }                                                                                                                                                \
    TARGET static int32_t mosaic_lap__block_wide_##LEVEL(const mosaic_lap__table *t, const int32_t *c, int32_t b, int32_t *lower, int64_t *limit,    \
                                                         int64_t gap, int32_t *slot, int32_t *cost)                                                  \
    {                                                                                                                                                \
        int64_t x[MOSAIC_LAP__BLOCK], least = mosaic_lap__wide_##LEVEL(t, c, b, x);                                                                  \
        int32_t count = 0, j;                                                                                                                        \
        *lower = mosaic_lap__clamp(least);                                                                                                           \
        if (least == MOSAIC_LAP__FAR) return 0;                                                                                                      \
        if (gap < MOSAIC_LAP__NO_SHRINK && least + gap < *limit) *limit = least + gap;                                                               \
        if (least >= *limit) return 0;                                                                                                               \
        for (j = 0; j < MOSAIC_LAP__BLOCK; j++)                                                                                                      \
            if (x[j] < *limit) {                                                                                                                     \
                slot[count] = b * MOSAIC_LAP__BLOCK + j;                                                                                             \
                cost[count++] = c[j];                                                                                                                \
            }                                                                                                                                        \
        return count;                                                                                                                                \
    }                                                                                                                                                \
    MOSAIC_LAP__DEFINE_COLLECT(mosaic_lap__collect_wide_##LEVEL, TARGET, mosaic_lap__block_wide_##LEVEL, MOSAIC_LAP__CLIP_WIDE, 1,                   \
                               MOSAIC_LAP__BELOW_ONE)                                                                                                \
    TARGET static uint64_t mosaic_lap__under_wide_##LEVEL(const mosaic_lap__table *t, int32_t line, int32_t b, int64_t limit)                        \
    {                                                                                                                                                \
        int64_t x[MOSAIC_LAP__BLOCK];                                                                                                                \
        int32_t room[MOSAIC_LAP__BLOCK], j;                                                                                                          \
        uint64_t bits = 0;                                                                                                                           \
        if (mosaic_lap__wide_##LEVEL(t, mosaic_lap__costs(t, line, b, room), b, x) >= limit) return 0;                                               \
        for (j = 0; j < MOSAIC_LAP__BLOCK; j++) bits |= (uint64_t)(x[j] < limit) << j;                                                               \
        return bits;                                                                                                                                 \
    }
MOSAIC_LAP__DEFINE_WIDE(scalar, )

/* ---- the narrow kernels, scalar ---- */
static void mosaic_lap__range_scalar(const mosaic_lap__table *t, int32_t line, int32_t b, int32_t count, const int32_t *c, int32_t limits[3])
{
    int32_t *lower = t->lower + (size_t)line * (size_t)t->blocks, end = b + count, j;
    for (; b < end; b++, c += MOSAIC_LAP__BLOCK) {
        const int32_t *w = t->narrow + b * MOSAIC_LAP__BLOCK;
        int32_t size = mosaic_lap__block_size(t, b), least = INT32_MAX;
        for (j = 0; j < size; j++) {
            int32_t x = (int32_t)((uint32_t)(c[j] ^ t->sign) - (uint32_t)w[j]); /* wraps only where the limits lead to the wide kernels */
            if (c[j] == MOSAIC_LAP_FORBIDDEN) {
                limits[2] = 1;
                continue;
            }
            if (c[j] < limits[0]) limits[0] = c[j];
            if (c[j] > limits[1]) limits[1] = c[j];
            if (x < least) least = x;
        }
        lower[b] = least;
    }
}

static int32_t mosaic_lap__block_scalar(const mosaic_lap__table *t, const int32_t *c, int32_t b, int32_t *lower, int64_t *limit, int64_t gap,
                                        int32_t *slot, int32_t *cost)
{
    int32_t first = b * MOSAIC_LAP__BLOCK, size = mosaic_lap__block_size(t, b), count = 0, least = INT32_MAX, j;
    int32_t x[MOSAIC_LAP__BLOCK];
    const int32_t *w = t->narrow + first;
    for (j = 0; j < size; j++) {
        x[j] = c[j] == MOSAIC_LAP_FORBIDDEN ? INT32_MAX : (c[j] ^ t->sign) - w[j];
        if (x[j] < least) least = x[j];
    }
    *lower = least;
    if (least + gap < *limit) *limit = least + gap;
    if (least >= *limit) return 0;
    for (j = 0; j < size; j++)
        if (x[j] < *limit) {
            slot[count] = first + j;
            cost[count++] = c[j];
        }
    return count;
}
MOSAIC_LAP__DEFINE_COLLECT(mosaic_lap__collect_scalar, , mosaic_lap__block_scalar, MOSAIC_LAP__CLIP_NARROW, 1, MOSAIC_LAP__BELOW_ONE)

static uint64_t mosaic_lap__below_scalar(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count, int64_t limit)
{
    uint64_t bits = 0;
    int32_t i;
    for (i = 0; i < count; i++) bits |= (uint64_t)((cost[i] ^ t->sign) - t->narrow[slot[i]] < limit) << i;
    return bits;
}

static uint64_t mosaic_lap__under_scalar(const mosaic_lap__table *t, int32_t line, int32_t b, int64_t limit)
{
    int32_t room[MOSAIC_LAP__BLOCK], size = mosaic_lap__block_size(t, b), j;
    const int32_t *c = mosaic_lap__costs(t, line, b, room), *w = t->narrow + b * MOSAIC_LAP__BLOCK;
    uint64_t bits = 0;
    for (j = 0; j < size; j++) bits |= (uint64_t)(c[j] != MOSAIC_LAP_FORBIDDEN && (c[j] ^ t->sign) - w[j] < limit) << j;
    return bits;
}

/* ---- the narrow kernels, over vectors. The last, partial block of a line goes to the scalar ones. ---- */
#define MOSAIC_LAP__DEFINE_NARROW(LEVEL, TARGET, LANES)                                                                                              \
    MOSAIC_LAP__INLINE TARGET mosaic_lap__vector_##LEVEL mosaic_lap__reduced_##LEVEL(const int32_t *c, const int32_t *w,                             \
                                                                                     mosaic_lap__vector_##LEVEL sign)                                \
    {                                                                                                                                                \
        const mosaic_lap__vector_##LEVEL x = mosaic_lap__load_##LEVEL(c), forbidden = mosaic_lap__all_##LEVEL(MOSAIC_LAP_FORBIDDEN);                 \
        const mosaic_lap__vector_##LEVEL r = mosaic_lap__minus_##LEVEL(mosaic_lap__flip_##LEVEL(x, sign), mosaic_lap__load_##LEVEL(w));              \
        return mosaic_lap__pick_##LEVEL(mosaic_lap__is_same_##LEVEL(x, forbidden), forbidden, r);                                                    \
    }                                                                                                                                                \
    TARGET static void mosaic_lap__range_##LEVEL(const mosaic_lap__table *t, int32_t line, int32_t b, int32_t count, const int32_t *c,               \
                                                 int32_t limits[3])                                                                                  \
    {                                                                                                                                                \
        const mosaic_lap__vector_##LEVEL forbidden = mosaic_lap__all_##LEVEL(MOSAIC_LAP_FORBIDDEN), none = mosaic_lap__all_##LEVEL(-1);              \
        const mosaic_lap__vector_##LEVEL sign = mosaic_lap__all_##LEVEL(t->sign);                                                                    \
        int32_t *lower = t->lower + (size_t)line * (size_t)t->blocks, end = b + count, low, high, i;                                                 \
        mosaic_lap__vector_##LEVEL least = forbidden, most = forbidden, any = mosaic_lap__all_##LEVEL(0); /* most: of the complements */             \
        for (; b < end && mosaic_lap__block_size(t, b) == MOSAIC_LAP__BLOCK; b++, c += MOSAIC_LAP__BLOCK) {                                          \
            const int32_t *w = t->narrow + b * MOSAIC_LAP__BLOCK;                                                                                    \
            mosaic_lap__vector_##LEVEL m = forbidden;                                                                                                \
            for (i = 0; i < MOSAIC_LAP__BLOCK; i += LANES) {                                                                                         \
                const mosaic_lap__vector_##LEVEL x = mosaic_lap__load_##LEVEL(c + i), f = mosaic_lap__is_same_##LEVEL(x, forbidden);                 \
                least = mosaic_lap__smaller_##LEVEL(least, x);                                                                                       \
                most = mosaic_lap__smaller_##LEVEL(most, mosaic_lap__pick_##LEVEL(f, forbidden, mosaic_lap__flip_##LEVEL(x, none)));                 \
                any = mosaic_lap__either_##LEVEL(any, f);                                                                                            \
                m = mosaic_lap__smaller_##LEVEL(m, mosaic_lap__reduced_##LEVEL(c + i, w + i, sign));                                                 \
            }                                                                                                                                        \
            lower[b] = mosaic_lap__least_##LEVEL(m);                                                                                                 \
        }                                                                                                                                            \
        low = mosaic_lap__least_##LEVEL(least);                                                                                                      \
        high = ~mosaic_lap__least_##LEVEL(most);                                                                                                     \
        if (low < limits[0]) limits[0] = low;                                                                                                        \
        if (high > limits[1]) limits[1] = high;                                                                                                      \
        if (mosaic_lap__mask_##LEVEL(any)) limits[2] = 1;                                                                                            \
        if (b < end) mosaic_lap__range_scalar(t, line, b, end - b, c, limits);                                                                       \
    }                                                                                                                                                \
    TARGET static int32_t mosaic_lap__block_##LEVEL(const mosaic_lap__table *t, const int32_t *c, int32_t b, int32_t *lower, int64_t *limit,         \
                                                    int64_t gap, int32_t *slot, int32_t *cost)                                                       \
    {                                                                                                                                                \
        const mosaic_lap__vector_##LEVEL sign = mosaic_lap__all_##LEVEL(t->sign);                                                                    \
        int32_t first = b * MOSAIC_LAP__BLOCK, count = 0, least, i;                                                                                  \
        const int32_t *w = t->narrow + first;                                                                                                        \
        mosaic_lap__vector_##LEVEL r[MOSAIC_LAP__BLOCK / LANES], lim, m;                                                                             \
        if (mosaic_lap__block_size(t, b) < MOSAIC_LAP__BLOCK) return mosaic_lap__block_scalar(t, c, b, lower, limit, gap, slot, cost);               \
        for (i = 0; i < MOSAIC_LAP__BLOCK / LANES; i++) r[i] = mosaic_lap__reduced_##LEVEL(c + LANES * i, w + LANES * i, sign);                      \
        m = r[0];                                                                                                                                    \
        for (i = 1; i < MOSAIC_LAP__BLOCK / LANES; i++) m = mosaic_lap__smaller_##LEVEL(m, r[i]);                                                    \
        *lower = least = mosaic_lap__least_##LEVEL(m);                                                                                               \
        if (least + gap < *limit) *limit = least + gap;                                                                                              \
        if (least >= *limit) return 0;                                                                                                               \
        lim = mosaic_lap__all_##LEVEL((int32_t)*limit);                                                                                              \
        for (i = 0; i < MOSAIC_LAP__BLOCK / LANES; i++) {                                                                                            \
            unsigned bits = mosaic_lap__mask_##LEVEL(mosaic_lap__is_less_##LEVEL(r[i], lim));                                                        \
            for (; bits; bits &= bits - 1) {                                                                                                         \
                int32_t j = LANES * i + __builtin_ctz(bits);                                                                                         \
                slot[count] = first + j;                                                                                                             \
                cost[count++] = c[j];                                                                                                                \
            }                                                                                                                                        \
        }                                                                                                                                            \
        return count;                                                                                                                                \
    }                                                                                                                                                \
    MOSAIC_LAP__INLINE TARGET uint32_t mosaic_lap__low_##LEVEL(const int32_t *lower, int32_t count, int64_t limit)                                   \
    {                                                                                                                                                \
        uint32_t bits = 0;                                                                                                                           \
        int32_t i;                                                                                                                                   \
        if (count == LANES)                                                                                                                          \
            return mosaic_lap__mask_##LEVEL(mosaic_lap__is_less_##LEVEL(mosaic_lap__load_##LEVEL(lower), mosaic_lap__all_##LEVEL((int32_t)limit)));  \
        for (i = 0; i < count; i++) bits |= (uint32_t)(lower[i] < limit) << i;                                                                       \
        return bits;                                                                                                                                 \
    }                                                                                                                                                \
    MOSAIC_LAP__DEFINE_COLLECT(mosaic_lap__collect_##LEVEL, TARGET, mosaic_lap__block_##LEVEL, MOSAIC_LAP__CLIP_NARROW, LANES,                       \
                               mosaic_lap__low_##LEVEL)                                                                                              \
    MOSAIC_LAP__INLINE TARGET mosaic_lap__vector_##LEVEL mosaic_lap__listed_##LEVEL(const mosaic_lap__table *t, const int32_t *slot,                 \
                                                                                    const int32_t *cost)                                             \
    {                                                                                                                                                \
        return mosaic_lap__minus_##LEVEL(mosaic_lap__flip_##LEVEL(mosaic_lap__load_##LEVEL(cost), mosaic_lap__all_##LEVEL(t->sign)),                 \
                                         mosaic_lap__at_##LEVEL(t->narrow, slot));                                                                   \
    }                                                                                                                                                \
    TARGET static uint64_t mosaic_lap__below_##LEVEL(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count,            \
                                                     int64_t limit)                                                                                  \
    {                                                                                                                                                \
        const mosaic_lap__vector_##LEVEL lim = mosaic_lap__all_##LEVEL(mosaic_lap__clamp(limit));                                                    \
        uint64_t bits = 0;                                                                                                                           \
        int32_t i;                                                                                                                                   \
        for (i = 0; i < count; i += LANES)                                                                                                           \
            bits |= (uint64_t)mosaic_lap__mask_##LEVEL(mosaic_lap__is_less_##LEVEL(mosaic_lap__listed_##LEVEL(t, slot + i, cost + i), lim)) << i;    \
        return count < 64 ? bits & (((uint64_t)1 << count) - 1) : bits;                                                                              \
    }                                                                                                                                                \
    TARGET static int32_t mosaic_lap__best_##LEVEL(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count,              \
                                                   int64_t least[2])                                                                                 \
    {                                                                                                                                                \
        static const int32_t lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};                                                                                    \
        const mosaic_lap__vector_##LEVEL lane = mosaic_lap__load_##LEVEL(lanes), none = mosaic_lap__all_##LEVEL(INT32_MAX);                          \
        mosaic_lap__vector_##LEVEL x[MOSAIC_LAP__LIST / LANES], m = none, second = none, one;                                                        \
        int32_t i, at = 0, low;                                                                                                                      \
        for (i = 0; LANES * i < count; i++) {                                                                                                        \
            x[i] = mosaic_lap__pick_##LEVEL(mosaic_lap__is_less_##LEVEL(lane, mosaic_lap__all_##LEVEL(count - LANES * i)),                           \
                                            mosaic_lap__listed_##LEVEL(t, slot + LANES * i, cost + LANES * i), none);                                \
            second = mosaic_lap__smaller_##LEVEL(second, mosaic_lap__larger_##LEVEL(m, x[i]));                                                       \
            m = mosaic_lap__smaller_##LEVEL(m, x[i]);                                                                                                \
        }                                                                                                                                            \
        low = mosaic_lap__least_##LEVEL(m);                                                                                                          \
        one = mosaic_lap__all_##LEVEL(low);                                                                                                          \
        while (--i >= 0) {                                                                                                                           \
            unsigned bits = mosaic_lap__mask_##LEVEL(mosaic_lap__is_same_##LEVEL(x[i], one));                                                        \
            if (bits) at = LANES * i + __builtin_ctz(bits);                                                                                          \
        }                                                                                                                                            \
        /* the minimum of each lane but that one lane in which the least stands first; `second` has what the lanes hold beside their minimum */      \
        m = mosaic_lap__pick_##LEVEL(mosaic_lap__is_same_##LEVEL(lane, mosaic_lap__all_##LEVEL(at % LANES)), none, m);                               \
        i = mosaic_lap__least_##LEVEL(mosaic_lap__smaller_##LEVEL(m, second));                                                                       \
        least[0] = count > 0 ? low : MOSAIC_LAP__FAR;                                                                                                \
        least[1] = count > 1 ? i : MOSAIC_LAP__FAR;                                                                                                  \
        return at;                                                                                                                                   \
    }                                                                                                                                                \
    TARGET static uint64_t mosaic_lap__under_##LEVEL(const mosaic_lap__table *t, int32_t line, int32_t b, int64_t limit)                             \
    {                                                                                                                                                \
        const mosaic_lap__vector_##LEVEL sign = mosaic_lap__all_##LEVEL(t->sign), most = mosaic_lap__all_##LEVEL(mosaic_lap__clamp(limit));          \
        int32_t room[MOSAIC_LAP__BLOCK], i;                                                                                                          \
        const int32_t *c, *w = t->narrow + b * MOSAIC_LAP__BLOCK;                                                                                    \
        uint64_t bits = 0;                                                                                                                           \
        if (mosaic_lap__block_size(t, b) < MOSAIC_LAP__BLOCK) return mosaic_lap__under_scalar(t, line, b, limit);                                    \
        c = mosaic_lap__costs(t, line, b, room);                                                                                                     \
        for (i = 0; i < MOSAIC_LAP__BLOCK; i += LANES)                                                                                               \
            bits |= (uint64_t)mosaic_lap__mask_##LEVEL(mosaic_lap__is_less_##LEVEL(mosaic_lap__reduced_##LEVEL(c + i, w + i, sign), most)) << i;     \
        return bits;                                                                                                                                 \
    }
#if MOSAIC_LAP__QUADS
MOSAIC_LAP__DEFINE_NARROW(quad, , 4)
/* The wide ones, for rare ranges of costs, are scalar. */
#define mosaic_lap__range_wide_quad mosaic_lap__range_wide_scalar
#define mosaic_lap__collect_wide_quad mosaic_lap__collect_wide_scalar
#define mosaic_lap__under_wide_quad mosaic_lap__under_wide_scalar
#endif

#if MOSAIC_LAP__SIMD
MOSAIC_LAP__DEFINE_NARROW(avx2, MOSAIC_LAP__AVX2, 8)

MOSAIC_LAP__AVX2 static int64_t mosaic_lap__wide_avx2(const mosaic_lap__table *t, const int32_t *c, int32_t b, int64_t x[MOSAIC_LAP__BLOCK])
{
    const __m256i wide_far = _mm256_set1_epi64x(MOSAIC_LAP__FAR), sign = _mm256_set1_epi64x(t->sign);
    const int64_t *price = t->price + b * MOSAIC_LAP__BLOCK;
    __m256i least = wide_far;
    int64_t low = MOSAIC_LAP__FAR;
    int32_t j;
    if (mosaic_lap__block_size(t, b) < MOSAIC_LAP__BLOCK) return mosaic_lap__wide_scalar(t, c, b, x);
    for (j = 0; j < MOSAIC_LAP__BLOCK; j += 4) {
        __m128i narrow = _mm_loadu_si128((const __m128i *)(const void *)(c + j));
        __m256i f = _mm256_cvtepi32_epi64(_mm_cmpeq_epi32(narrow, _mm_set1_epi32(MOSAIC_LAP_FORBIDDEN)));
        __m256i r = _mm256_sub_epi64(_mm256_xor_si256(_mm256_cvtepi32_epi64(narrow), sign), sign);
        r = _mm256_blendv_epi8(_mm256_sub_epi64(r, _mm256_loadu_si256((const __m256i *)(const void *)(price + j))), wide_far, f);
        _mm256_storeu_si256((__m256i *)(void *)(x + j), r);
        least = _mm256_blendv_epi8(least, r, _mm256_cmpgt_epi64(least, r));
    }
    for (j = 0; j < 4; j++) {
        int64_t lane[4];
        _mm256_storeu_si256((__m256i *)(void *)lane, least);
        if (lane[j] < low) low = lane[j];
    }
    return low;
}
MOSAIC_LAP__DEFINE_WIDE(avx2, MOSAIC_LAP__AVX2)

/* ---- AVX-512. The last block is read under a mask. ---- */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized" /* false alarms inside the intrinsics of gcc 12, as C++ or without optimisation */
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

/* Which of the slots 16 i ... of a block of `size` exist. */
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX512 __mmask16 mosaic_lap__some(int32_t size, int32_t i)
{
    int32_t rest = size - 16 * i;
    return (__mmask16)(rest >= 16 ? 0xffffu : rest <= 0 ? 0u : (1u << rest) - 1);
}

/* Costs 16 i ... of a block; those that do not exist read as forbidden. */
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX512 __m512i mosaic_lap__load_avx512(const int32_t *c, int32_t size, int32_t i)
{
    if (size == MOSAIC_LAP__BLOCK) return _mm512_loadu_si512(c + 16 * i);
    return _mm512_mask_loadu_epi32(_mm512_set1_epi32(MOSAIC_LAP_FORBIDDEN), mosaic_lap__some(size, i), c + 16 * i);
}

MOSAIC_LAP__INLINE MOSAIC_LAP__AVX512 __m512i mosaic_lap__reduced_avx512(const mosaic_lap__table *t, __m512i x, const int32_t *w, int32_t size,
                                                                         int32_t i)
{
    __m512i price = size == MOSAIC_LAP__BLOCK ? _mm512_loadu_si512(w + 16 * i) : _mm512_maskz_loadu_epi32(mosaic_lap__some(size, i), w + 16 * i);
    __mmask16 allowed = _mm512_cmpneq_epi32_mask(x, _mm512_set1_epi32(MOSAIC_LAP_FORBIDDEN));
    return _mm512_mask_sub_epi32(_mm512_set1_epi32(INT32_MAX), allowed, _mm512_xor_si512(x, _mm512_set1_epi32(t->sign)), price);
}

#define MOSAIC_LAP__RANGE_STEP(i)                                                                                                                    \
    do {                                                                                                                                             \
        __m512i x = mosaic_lap__load_avx512(c, size, i);                                                                                             \
        __mmask16 f = _mm512_cmpeq_epi32_mask(x, forbidden);                                                                                         \
        least = _mm512_min_epi32(least, x);                                                                                                          \
        most = _mm512_mask_max_epi32(most, (__mmask16)~f, most, x);                                                                                  \
        any |= (uint32_t)f & mosaic_lap__some(size, i);                                                                                              \
        m = _mm512_min_epi32(m, mosaic_lap__reduced_avx512(t, x, w, size, i));                                                                       \
    } while (0)

MOSAIC_LAP__AVX512 static void mosaic_lap__range_avx512(const mosaic_lap__table *t, int32_t line, int32_t b, int32_t count, const int32_t *c,
                                                        int32_t limits[3])
{
    const __m512i forbidden = _mm512_set1_epi32(MOSAIC_LAP_FORBIDDEN);
    int32_t *lower = t->lower + (size_t)line * (size_t)t->blocks, end = b + count, low, high;
    __m512i least = forbidden, most = _mm512_set1_epi32(INT32_MIN);
    uint32_t any = 0;
    for (; b < end; b++, c += MOSAIC_LAP__BLOCK) {
        int32_t size = mosaic_lap__block_size(t, b);
        const int32_t *w = t->narrow + b * MOSAIC_LAP__BLOCK;
        __m512i m = forbidden;
        MOSAIC_LAP__RANGE_STEP(0);
        MOSAIC_LAP__RANGE_STEP(1);
        MOSAIC_LAP__RANGE_STEP(2);
        MOSAIC_LAP__RANGE_STEP(3);
        lower[b] = _mm512_reduce_min_epi32(m);
    }
    low = _mm512_reduce_min_epi32(least);
    high = _mm512_reduce_max_epi32(most);
    if (low < limits[0]) limits[0] = low;
    if (high > limits[1]) limits[1] = high;
    if (any) limits[2] = 1;
}

/* Appends the slots and costs under a mask. */
MOSAIC_LAP__INLINE MOSAIC_LAP__AVX512 int32_t mosaic_lap__put_avx512(__mmask16 k, __m512i x, int32_t first, int32_t *slot, int32_t *cost,
                                                                     int32_t count)
{
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    if (!k) return count;
    _mm512_storeu_si512(slot + count, _mm512_maskz_compress_epi32(k, _mm512_add_epi32(lane, _mm512_set1_epi32(first))));
    _mm512_storeu_si512(cost + count, _mm512_maskz_compress_epi32(k, x));
    return count + __builtin_popcount(k);
}

MOSAIC_LAP__INLINE MOSAIC_LAP__AVX512 int32_t mosaic_lap__block_avx512(const mosaic_lap__table *t, const int32_t *c, int32_t b, int32_t *lower,
                                                                       int64_t *limit, int64_t gap, int32_t *slot, int32_t *cost)
{
    const int32_t *w = t->narrow + b * MOSAIC_LAP__BLOCK, size = mosaic_lap__block_size(t, b);
    const __m512i x0 = mosaic_lap__load_avx512(c, size, 0), x1 = mosaic_lap__load_avx512(c, size, 1), x2 = mosaic_lap__load_avx512(c, size, 2),
                  x3 = mosaic_lap__load_avx512(c, size, 3), r0 = mosaic_lap__reduced_avx512(t, x0, w, size, 0),
                  r1 = mosaic_lap__reduced_avx512(t, x1, w, size, 1), r2 = mosaic_lap__reduced_avx512(t, x2, w, size, 2),
                  r3 = mosaic_lap__reduced_avx512(t, x3, w, size, 3);
    int32_t count = 0, least = _mm512_reduce_min_epi32(_mm512_min_epi32(_mm512_min_epi32(r0, r1), _mm512_min_epi32(r2, r3)));
    __m512i lim;
    *lower = least;
    if (least + gap < *limit) *limit = least + gap;
    if (least >= *limit) return 0;
    lim = _mm512_set1_epi32((int32_t)*limit);
    count = mosaic_lap__put_avx512(_mm512_cmplt_epi32_mask(r0, lim), x0, b * MOSAIC_LAP__BLOCK, slot, cost, count);
    count = mosaic_lap__put_avx512(_mm512_cmplt_epi32_mask(r1, lim), x1, b * MOSAIC_LAP__BLOCK + 16, slot, cost, count);
    count = mosaic_lap__put_avx512(_mm512_cmplt_epi32_mask(r2, lim), x2, b * MOSAIC_LAP__BLOCK + 32, slot, cost, count);
    count = mosaic_lap__put_avx512(_mm512_cmplt_epi32_mask(r3, lim), x3, b * MOSAIC_LAP__BLOCK + 48, slot, cost, count);
    return count;
}

MOSAIC_LAP__INLINE MOSAIC_LAP__AVX512 uint32_t mosaic_lap__low_avx512(const int32_t *lower, int32_t count, int64_t limit)
{
    __mmask16 k = mosaic_lap__some(count, 0);
    return _mm512_mask_cmplt_epi32_mask(k, _mm512_maskz_loadu_epi32(k, lower), _mm512_set1_epi32((int32_t)limit));
}
MOSAIC_LAP__DEFINE_COLLECT(mosaic_lap__collect_avx512, MOSAIC_LAP__AVX512, mosaic_lap__block_avx512, MOSAIC_LAP__CLIP_NARROW, 16,
                           mosaic_lap__low_avx512)

MOSAIC_LAP__INLINE MOSAIC_LAP__AVX512 __m512i mosaic_lap__listed_avx512(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost)
{
    return _mm512_sub_epi32(_mm512_xor_si512(_mm512_loadu_si512(cost), _mm512_set1_epi32(t->sign)),
                            _mm512_i32gather_epi32(_mm512_loadu_si512(slot), t->narrow, 4));
}

/* The answers of a comparison as a number that may become 64 bits wide. gcc 12 at -O1 for 32-bit x86 widens them in memory of which it has
   written the lowest byte or two; the empty statement hides where they come from. */
MOSAIC_LAP__INLINE uint32_t mosaic_lap__mask_avx512(uint32_t mask)
{
    __asm__("" : "+r"(mask));
    return mask;
}

MOSAIC_LAP__AVX512 static uint64_t mosaic_lap__below_avx512(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count,
                                                            int64_t limit)
{
    const __m512i lim = _mm512_set1_epi32(mosaic_lap__clamp(limit));
    uint64_t bits = 0;
    int32_t i;
    for (i = 0; i < count; i += 16)
        bits |= (uint64_t)mosaic_lap__mask_avx512(_mm512_cmplt_epi32_mask(mosaic_lap__listed_avx512(t, slot + i, cost + i), lim)) << i;
    return count < 64 ? bits & (((uint64_t)1 << count) - 1) : bits;
}

MOSAIC_LAP__AVX512 static int32_t mosaic_lap__best_avx512(const mosaic_lap__table *t, const int32_t *slot, const int32_t *cost, int32_t count,
                                                          int64_t least[2])
{
    const __m512i none = _mm512_set1_epi32(INT32_MAX);
    __m512i x[MOSAIC_LAP__LIST / 16], m = none, second = none;
    int32_t i, at = 0, low;
    for (i = 0; 16 * i < count; i++) {
        x[i] = _mm512_mask_mov_epi32(none, mosaic_lap__some(count, i), mosaic_lap__listed_avx512(t, slot + 16 * i, cost + 16 * i));
        second = _mm512_min_epi32(second, _mm512_max_epi32(m, x[i]));
        m = _mm512_min_epi32(m, x[i]);
    }
    low = _mm512_reduce_min_epi32(m);
    while (--i >= 0) {
        uint32_t bits = _mm512_cmpeq_epi32_mask(x[i], _mm512_set1_epi32(low));
        if (bits) at = 16 * i + __builtin_ctz(bits);
    }
    /* the minimum of each lane but that one lane in which the least stands first; `second` has what the lanes hold beside their minimum */
    m = _mm512_mask_mov_epi32(m, (__mmask16)(1u << (at % 16)), none);
    i = _mm512_reduce_min_epi32(_mm512_min_epi32(m, second));
    least[0] = count > 0 ? low : MOSAIC_LAP__FAR;
    least[1] = count > 1 ? i : MOSAIC_LAP__FAR;
    return at;
}

MOSAIC_LAP__AVX512 static uint64_t mosaic_lap__under_avx512(const mosaic_lap__table *t, int32_t line, int32_t b, int64_t limit)
{
    int32_t room[MOSAIC_LAP__BLOCK], size = mosaic_lap__block_size(t, b), i;
    const int32_t *c = mosaic_lap__costs(t, line, b, room), *w = t->narrow + b * MOSAIC_LAP__BLOCK;
    const __m512i most = _mm512_set1_epi32(mosaic_lap__clamp(limit));
    uint64_t bits = 0;
    for (i = 0; i < 4; i++)
        bits |= (uint64_t)mosaic_lap__mask_avx512(
                    _mm512_cmplt_epi32_mask(mosaic_lap__reduced_avx512(t, mosaic_lap__load_avx512(c, size, i), w, size, i), most))
                << (16 * i);
    return bits;
}

MOSAIC_LAP__AVX512 static int64_t mosaic_lap__wide_avx512(const mosaic_lap__table *t, const int32_t *c, int32_t b, int64_t x[MOSAIC_LAP__BLOCK])
{
    const __m512i wide_far = _mm512_set1_epi64(MOSAIC_LAP__FAR), sign = _mm512_set1_epi64(t->sign);
    const int64_t *price = t->price + b * MOSAIC_LAP__BLOCK;
    __m512i least = wide_far;
    int32_t j;
    if (mosaic_lap__block_size(t, b) < MOSAIC_LAP__BLOCK) return mosaic_lap__wide_scalar(t, c, b, x);
    for (j = 0; j < MOSAIC_LAP__BLOCK; j += 8) {
        __m256i narrow = _mm256_loadu_si256((const __m256i *)(const void *)(c + j));
        __mmask8 allowed = _mm256_cmpneq_epi32_mask(narrow, _mm256_set1_epi32(MOSAIC_LAP_FORBIDDEN));
        __m512i r = _mm512_sub_epi64(_mm512_xor_si512(_mm512_cvtepi32_epi64(narrow), sign), sign);
        r = _mm512_mask_sub_epi64(wide_far, allowed, r, _mm512_loadu_si512(price + j));
        _mm512_storeu_si512(x + j, r);
        least = _mm512_min_epi64(least, r);
    }
    return _mm512_reduce_min_epi64(least);
}
MOSAIC_LAP__DEFINE_WIDE(avx512, MOSAIC_LAP__AVX512)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

/* All kernels there are, by level (that of VNNI has none of its own here): the narrow and the wide ones. */
#define MOSAIC_LAP__KERNELS_OF(LEVEL)                                                                                                                \
    {                                                                                                                                                \
        {mosaic_lap__range_##LEVEL, mosaic_lap__collect_##LEVEL, mosaic_lap__below_##LEVEL, mosaic_lap__best_##LEVEL, mosaic_lap__under_##LEVEL},    \
        {                                                                                                                                            \
            mosaic_lap__range_wide_##LEVEL, mosaic_lap__collect_wide_##LEVEL, mosaic_lap__below_wide, mosaic_lap__best_wide,                         \
                mosaic_lap__under_wide_##LEVEL                                                                                                       \
        }                                                                                                                                            \
    }
#define mosaic_lap__best_scalar mosaic_lap__best_wide /* reads the prices of 64 bits: the same */
static const mosaic_lap__kernels mosaic_lap__kernels_of[][2] = {
    MOSAIC_LAP__KERNELS_OF(scalar),
#if MOSAIC_LAP__QUADS
    MOSAIC_LAP__KERNELS_OF(quad),
#endif
#if MOSAIC_LAP__SIMD
    MOSAIC_LAP__KERNELS_OF(avx2),
    MOSAIC_LAP__KERNELS_OF(avx512),
#endif
};

/* ---- the heap of the searches ---- */
typedef struct mosaic_lap__entry {
    int64_t key;
    int32_t id;
} mosaic_lap__entry;

/* A 4-ary heap that knows where each id is, so that it never holds an id twice and its size is bounded. */
typedef struct mosaic_lap__heap {
    mosaic_lap__entry *entry;
    int32_t *place; /* ids: where in the heap, -1 when not in it */
    int32_t count;
} mosaic_lap__heap;

static void mosaic_lap__heap_layout(mosaic_lap__heap *h, size_t ids, mosaic_lap__arena *a)
{
    h->entry = (mosaic_lap__entry *)mosaic_lap__take(a, ids, sizeof(mosaic_lap__entry));
    h->place = (int32_t *)mosaic_lap__take(a, ids, sizeof(int32_t));
}

static void mosaic_lap__heap_start(mosaic_lap__heap *h, int32_t ids)
{
    int32_t i;
    h->count = 0;
    for (i = 0; i < ids; i++) h->place[i] = -1;
}

static void mosaic_lap__heap_clear(mosaic_lap__heap *h)
{
    while (h->count > 0) h->place[h->entry[--h->count].id] = -1;
}

static void mosaic_lap__heap_place(mosaic_lap__heap *h, int32_t at, mosaic_lap__entry e)
{
    h->entry[at] = e;
    h->place[e.id] = at;
}

static void mosaic_lap__heap_put(mosaic_lap__heap *h, int64_t key, int32_t id)
{
    int32_t at = h->place[id];
    mosaic_lap__entry e;
    e.key = key;
    e.id = id;
    if (at < 0) at = h->count++;
    while (at > 0) {
        int32_t up = (at - 1) / 4;
        if (h->entry[up].key <= key) break;
        mosaic_lap__heap_place(h, at, h->entry[up]);
        at = up;
    }
    mosaic_lap__heap_place(h, at, e);
}

static int32_t mosaic_lap__heap_pop(mosaic_lap__heap *h)
{
    int32_t id = h->entry[0].id, at = 0, count = --h->count;
    mosaic_lap__entry last = h->entry[count];
    h->place[id] = -1;
    if (count == 0) return id;
    for (;;) {
        int32_t child = 4 * at + 1, end = child + 4 < count ? child + 4 : count, least = child, k;
        if (child >= count) break;
        for (k = child + 1; k < end; k++)
            if (h->entry[k].key < h->entry[least].key) least = k;
        if (h->entry[least].key >= last.key) break;
        mosaic_lap__heap_place(h, at, h->entry[least]);
        at = least;
    }
    mosaic_lap__heap_place(h, at, last);
    return id;
}

/* ---- a search: Dijkstra's, from slot to slot by way of the lines in them ---- */
typedef struct mosaic_lap__search {
    int32_t slots;                            /* ids from there on mean something else to those who put them into the heap */
    int64_t distance;                         /* how far it has come */
    int64_t nearest;                          /* distance of the nearest slot with room so far */
    int32_t sink;                             /* that slot */
    int64_t *dist;                            /* slots: distance from the start, FAR when not reached */
    int32_t *from;                            /* slots: where it was reached from */
    int64_t *at;                              /* lines: the distance at which */
    int32_t *touched, *popped, *stack, *seen; /* slots reached; those that are final; those to be final next; lines reached */
    int32_t touched_count, popped_count, stack_count, seen_count;
    mosaic_lap__heap heap;
} mosaic_lap__search;

static void mosaic_lap__search_layout(mosaic_lap__search *s, size_t slots, size_t lines, size_t ids, mosaic_lap__arena *a)
{
    const size_t i = sizeof(int32_t);
    s->slots = (int32_t)slots;
    s->dist = (int64_t *)mosaic_lap__take(a, slots, sizeof(int64_t));
    s->from = (int32_t *)mosaic_lap__take(a, slots, i);
    s->at = (int64_t *)mosaic_lap__take(a, lines, sizeof(int64_t));
    s->touched = (int32_t *)mosaic_lap__take(a, slots, i);
    s->popped = (int32_t *)mosaic_lap__take(a, slots, i);
    s->stack = (int32_t *)mosaic_lap__take(a, slots, i);
    s->seen = (int32_t *)mosaic_lap__take(a, lines, i);
    mosaic_lap__heap_layout(&s->heap, ids, a);
}

static void mosaic_lap__search_start(mosaic_lap__search *s)
{
    s->distance = 0;
    s->nearest = MOSAIC_LAP__FAR;
    s->sink = -1;
    s->touched_count = s->popped_count = s->stack_count = s->seen_count = 0;
}

/* A slot is reached at distance x; `room`: that is what is looked for. Slots at the distance at which the search stands wait on a stack, not in the
   heap. */
MOSAIC_LAP__INLINE void mosaic_lap__search_reach(mosaic_lap__search *s, int32_t slot, int32_t from, int64_t x, int room)
{
    if (x >= s->nearest || x >= s->dist[slot]) return;
    if (s->dist[slot] == MOSAIC_LAP__FAR) s->touched[s->touched_count++] = slot;
    s->dist[slot] = x;
    s->from[slot] = from;
    if (room) {
        s->nearest = x;
        s->sink = slot;
    } else if (x == s->distance && s->heap.place[slot] < 0) {
        s->stack[s->stack_count++] = slot;
    } else {
        mosaic_lap__heap_put(&s->heap, x, slot);
    }
}

/* What comes next: a slot, or another id; -1 when nothing is nearer than the sink. */
static int32_t mosaic_lap__search_next(mosaic_lap__search *s)
{
    int32_t id;
    if (s->nearest <= s->distance) return -1;
    if (s->stack_count > 0) {
        id = s->stack[--s->stack_count];
    } else {
        if (s->heap.count == 0 || s->heap.entry[0].key >= s->nearest) return -1;
        s->distance = s->heap.entry[0].key;
        id = mosaic_lap__heap_pop(&s->heap);
    }
    if (id < s->slots) s->popped[s->popped_count++] = id;
    return id;
}

static void mosaic_lap__search_end(mosaic_lap__search *s)
{
    int32_t i;
    for (i = 0; i < s->touched_count; i++) s->dist[s->touched[i]] = MOSAIC_LAP__FAR;
    mosaic_lap__heap_clear(&s->heap);
}

/* ---- the solver's core: every unit of every line gets a slot ---- */
#define MOSAIC_LAP__FROM_SPARE (-2) /* a slot was reached from the spare line */
#define MOSAIC_LAP__FROM_GROUP (-3) /* from group g: FROM_GROUP - g */

typedef struct mosaic_lap__core {
    mosaic_lap__table t;
    const mosaic_lap__kernels *kernels, *wide;
    int32_t units;
    int64_t low, high; /* smallest and largest cost */
    int forbidden;     /* some cost is */

    /* units: their line, their slot or -1, and the others in the same slot */
    int32_t *line_of, *slot_of, *next, *prev;
    int32_t *first, *left; /* slots: a unit in it or -1, how many more it can take */
    int64_t *u;            /* lines: price */
    int32_t *own;          /* lines: the cost of their slot, in an auction */

    /* groups; t.price of a slot includes the group's */
    int32_t groups, *group, *member, *member_start, *group_left; /* of slots: -1 for none; slots by group; how many more a group can take */
    int64_t *group_price;

    /* lines: their lists */
    int32_t *list_slot, *list_cost, *list_count; /* list_count -1: not made yet */
    int64_t *bound, *gap;

    /* The spare line: it has the room that is left over, at no cost, wherever the price is `level`. Slots with room below the level lack a
       unit and take any; of those at the level `surplus` may still be given away, after which the spare line wants its own. `waiting`: units without a slot. */
    int64_t level, surplus, waiting, spare_at; /* spare_at: the distance at which a search reached it, FAR when it did not */
    int32_t spare_from;                        /* the slot it was reached from */

    mosaic_lap__search search; /* slots are reached from lines, or FROM_...; its heap also has slots + line, the marker of a line */
    int32_t *via;              /* lines: the unit through which the line was reached, -1 when it was not */
    int64_t *group_at;         /* groups: the distance at which, FAR when not reached */
    int32_t *group_from;       /* groups: the slot it was reached from */
    int32_t *group_seen;
    int32_t group_seen_count;

    uint64_t *vacant;              /* blocks: which of their slots take a unit, at the beginning */
    int32_t *picked, *picked_cost; /* slots + 16: what `collect` hands back */
    int64_t *value;                /* slots: their reduced costs */
} mosaic_lap__core;

static void mosaic_lap__core_layout(mosaic_lap__core *q, mosaic_lap__arena *a)
{
    size_t lines = (size_t)q->t.lines, slots = (size_t)q->t.slots, units = (size_t)q->units, i = sizeof(int32_t), l = sizeof(int64_t);
    size_t groups = (size_t)q->groups;
    q->t.lower = (int32_t *)mosaic_lap__take(a, lines * (size_t)q->t.blocks, i);
    q->t.price = (int64_t *)mosaic_lap__take(a, slots, l);
    q->t.narrow = (int32_t *)mosaic_lap__take(a, slots, i);
    q->line_of = (int32_t *)mosaic_lap__take(a, units, i);
    q->slot_of = (int32_t *)mosaic_lap__take(a, units, i);
    q->next = (int32_t *)mosaic_lap__take(a, units, i);
    q->prev = (int32_t *)mosaic_lap__take(a, units, i);
    q->first = (int32_t *)mosaic_lap__take(a, slots, i);
    q->left = (int32_t *)mosaic_lap__take(a, slots, i);
    q->u = (int64_t *)mosaic_lap__take(a, lines, l);
    q->own = (int32_t *)mosaic_lap__take(a, lines, i);
    q->group = (int32_t *)mosaic_lap__take(a, groups ? slots : 0, i);
    q->member = (int32_t *)mosaic_lap__take(a, groups ? slots : 0, i);
    q->member_start = (int32_t *)mosaic_lap__take(a, groups + 1, i);
    q->group_left = (int32_t *)mosaic_lap__take(a, groups, i);
    q->group_price = (int64_t *)mosaic_lap__take(a, groups, l);
    q->group_at = (int64_t *)mosaic_lap__take(a, groups, l);
    q->group_from = (int32_t *)mosaic_lap__take(a, groups, i);
    q->group_seen = (int32_t *)mosaic_lap__take(a, groups, i);
    q->list_slot = (int32_t *)mosaic_lap__take(a, lines, MOSAIC_LAP__LIST * i);
    q->list_cost = (int32_t *)mosaic_lap__take(a, lines, MOSAIC_LAP__LIST * i);
    q->list_count = (int32_t *)mosaic_lap__take(a, lines, i);
    q->bound = (int64_t *)mosaic_lap__take(a, lines, l);
    q->gap = (int64_t *)mosaic_lap__take(a, lines, l);
    q->via = (int32_t *)mosaic_lap__take(a, lines, i);
    mosaic_lap__search_layout(&q->search, slots, lines, slots + lines, a);
    q->vacant = (uint64_t *)mosaic_lap__take(a, (size_t)q->t.blocks, sizeof(uint64_t));
    q->picked = (int32_t *)mosaic_lap__take(a, slots + 16, i);
    q->picked_cost = (int32_t *)mosaic_lap__take(a, slots + 16, i);
    q->value = (int64_t *)mosaic_lap__take(a, slots, l);
}

/* Whether a search may end at a slot. */
MOSAIC_LAP__INLINE int mosaic_lap__takes(const mosaic_lap__core *q, int32_t slot)
{
    if (q->left[slot] <= 0) return 0;
    if (q->groups > 0 && q->group[slot] >= 0) return q->group_left[q->group[slot]] > 0;
    return q->surplus > 0 || q->t.price[slot] < q->level;
}

/* A unit that waited has got a slot, and one more place of this one is taken. */
static void mosaic_lap__used(mosaic_lap__core *q, int32_t slot)
{
    q->waiting--;
    if (q->groups > 0 && q->group[slot] >= 0)
        q->group_left[q->group[slot]]--;
    else if (q->t.price[slot] == q->level)
        q->surplus--;
}

static int64_t mosaic_lap__half(int64_t x) { return (x - (x & 1)) / 2; } /* rounded down */

/* Moves the `count` slots of smallest value to the front of q->picked (Hoare's selection), with their values and costs. */
static void mosaic_lap__select(mosaic_lap__core *q, int32_t total, int32_t count)
{
    int64_t *value = q->value;
    int32_t *slot = q->picked, *cost = q->picked_cost, low = 0, high = total - 1;
    while (low < high) {
        int64_t pivot = value[low + (high - low) / 2];
        int32_t a = low, b = high;
        while (a <= b) {
            while (value[a] < pivot) a++;
            while (value[b] > pivot) b--;
            if (a <= b) {
                int64_t x = value[a];
                int32_t s = slot[a], k = cost[a];
                value[a] = value[b];
                slot[a] = slot[b];
                cost[a++] = cost[b];
                value[b] = x;
                slot[b] = s;
                cost[b--] = k;
            }
        }
        if (count - 1 <= b)
            high = b;
        else if (count - 1 >= a)
            low = a;
        else
            break;
    }
}

/* Collects everything below `limit` into picked and picked_cost, with twice the reduced costs in value, and 1 more where a slot takes
   none; returns how many. */
static int32_t mosaic_lap__collect(mosaic_lap__core *q, int32_t line, int64_t *limit, int64_t gap)
{
    int32_t found, count = 0, i;
    found = q->kernels->collect(&q->t, line, limit, gap, q->picked, q->picked_cost);
    for (i = 0; i < found; i++) {
        int32_t j = q->picked[i], c = q->picked_cost[i];
        int64_t x = mosaic_lap__reduced(&q->t, c, j);
        q->picked[count] = j;
        q->picked_cost[count] = c;
        q->value[count] = 2 * x + !mosaic_lap__takes(q, j);
        count += x < *limit;
    }
    return count;
}

/* Makes the list of a line from the `found` entries collected below `limit`. The bound becomes the limit, or less when they do not all fit
   into the list. Among equal ones those that take a unit come first, which ends most searches on ties. */
static void mosaic_lap__make_list(mosaic_lap__core *q, int32_t line, int32_t found, int64_t limit)
{
    int32_t *slot = q->list_slot + (size_t)line * MOSAIC_LAP__LIST, *cost = q->list_cost + (size_t)line * MOSAIC_LAP__LIST;
    int32_t count = found < MOSAIC_LAP__LIST ? found : MOSAIC_LAP__LIST, cheapest = 0, i;
    int64_t least = MOSAIC_LAP__FAR;
    if (found > count) {
        mosaic_lap__select(q, found, count);
        limit = q->value[0];
        for (i = 1; i < count; i++)
            if (q->value[i] > limit) limit = q->value[i];
        limit = mosaic_lap__half(limit);
    }
    for (i = 0; i < count; i++)
        if (q->value[i] < least) {
            least = q->value[i];
            cheapest = i;
        }
    memcpy(slot, q->picked, (size_t)count * sizeof *slot);
    memcpy(cost, q->picked_cost, (size_t)count * sizeof *cost);
    if (count > 0) { /* the cheapest goes first: a search that ends there looks no further */
        slot[cheapest] = slot[0];
        cost[cheapest] = cost[0];
        slot[0] = q->picked[cheapest];
        cost[0] = q->picked_cost[cheapest];
    }
    memset(slot + count, 0, (size_t)(MOSAIC_LAP__LIST - count) * sizeof *slot); /* the kernels read on to whole vectors */
    memset(cost + count, 0, (size_t)(MOSAIC_LAP__LIST - count) * sizeof *cost);
    q->list_count[line] = count;
    q->bound[line] = limit;
    if (count > 0 && limit != MOSAIC_LAP__FAR) {
        int64_t width = limit - mosaic_lap__half(least);
        if (count < MOSAIC_LAP__LIST / 2) width += width / 2;
        q->gap[line] = width < 1 ? 1 : width > MOSAIC_LAP__NO_SHRINK ? MOSAIC_LAP__NO_SHRINK : width;
    }
}

/* The first list of a line: everything up to the sixth smallest lower bound of its blocks. Lower bounds may be out of date; then
   too little is found, the bounds read are fresh now, and it is tried again: at most once per block. */
static void mosaic_lap__first_list(mosaic_lap__core *q, int32_t line)
{
    const int32_t *lower = q->t.lower + (size_t)line * (size_t)q->t.blocks;
    int32_t attempt;
    for (attempt = 0; attempt <= q->t.blocks; attempt++) {
        int32_t best[MOSAIC_LAP__FIRST_BLOCKS], count = 0, found, b, i;
        int64_t limit = MOSAIC_LAP__FAR;
        for (b = 0; b < q->t.blocks; b++) {
            if (count == MOSAIC_LAP__FIRST_BLOCKS && lower[b] >= best[count - 1]) continue;
            if (count < MOSAIC_LAP__FIRST_BLOCKS) count++;
            for (i = count - 1; i > 0 && best[i - 1] > lower[b]; i--) best[i] = best[i - 1];
            best[i] = lower[b];
        }
        if (count == MOSAIC_LAP__FIRST_BLOCKS && best[count - 1] != INT32_MAX) limit = (int64_t)best[count - 1] + 1;
        found = mosaic_lap__collect(q, line, &limit, MOSAIC_LAP__NO_SHRINK);
        mosaic_lap__make_list(q, line, found, limit);
        if (found >= 2 || limit == MOSAIC_LAP__FAR) break;
    }
}

/* The least cost - v of a line and the second least; of the latter, a lower bound when it is not on the list. Returns the place in the list
   of the least, -1 when there is none. */
static int32_t mosaic_lap__line_best(mosaic_lap__core *q, int32_t line, int64_t least[2])
{
    const int32_t *slot = q->list_slot + (size_t)line * MOSAIC_LAP__LIST, *cost = q->list_cost + (size_t)line * MOSAIC_LAP__LIST;
    int32_t attempt, at = 0;
    if (q->list_count[line] < 0) mosaic_lap__first_list(q, line);
    for (attempt = 0; attempt < 2; attempt++) {
        at = q->kernels->best(&q->t, slot, cost, q->list_count[line], least);
        if (least[0] <= q->bound[line]) break;
        {
            int64_t limit = attempt || least[0] == MOSAIC_LAP__FAR ? MOSAIC_LAP__FAR : least[0] + q->gap[line];
            int32_t found = mosaic_lap__collect(q, line, &limit, limit == MOSAIC_LAP__FAR ? MOSAIC_LAP__NO_SHRINK : q->gap[line]);
            mosaic_lap__make_list(q, line, found, limit);
        }
    }
    if (attempt) at = q->kernels->best(&q->t, slot, cost, q->list_count[line], least);
    if (least[1] > q->bound[line]) least[1] = q->bound[line];
    return q->list_count[line] > 0 ? at : -1;
}

static void mosaic_lap__move(int32_t *slot_of, int32_t *first, int32_t *next, int32_t *prev, int32_t *left, int32_t unit, int32_t slot)
{
    int32_t old = slot_of[unit];
    if (old >= 0) {
        if (prev[unit] >= 0)
            next[prev[unit]] = next[unit];
        else
            first[old] = next[unit];
        if (next[unit] >= 0) prev[next[unit]] = prev[unit];
        left[old]++;
    }
    slot_of[unit] = slot;
    if (slot < 0) return;
    prev[unit] = -1;
    next[unit] = first[slot];
    if (first[slot] >= 0) prev[first[slot]] = unit;
    first[slot] = unit;
    left[slot]--;
}

static void mosaic_lap__set_price(mosaic_lap__core *q, int32_t slot, int64_t price)
{
    q->t.price[slot] = price;
    if (price < MOSAIC_LAP__NARROW_PRICE)
        q->kernels = q->wide;
    else
        q->t.narrow[slot] = (int32_t)price + q->t.sign;
}

/* ---- the searches ---- */

static void mosaic_lap__reach(mosaic_lap__core *q, int32_t slot, int32_t from, int64_t x)
{
    mosaic_lap__search_reach(&q->search, slot, from, x, mosaic_lap__takes(q, slot));
}

static void mosaic_lap__reach_listed(mosaic_lap__core *q, int32_t line)
{
    const int32_t *slot = q->list_slot + (size_t)line * MOSAIC_LAP__LIST, *cost = q->list_cost + (size_t)line * MOSAIC_LAP__LIST;
    int64_t shift = q->search.at[line] - q->u[line];
    uint64_t bits =
        q->kernels->below(&q->t, slot, cost, q->list_count[line], q->search.nearest == MOSAIC_LAP__FAR ? MOSAIC_LAP__FAR : q->search.nearest - shift);
    for (; bits; bits &= bits - 1) {
        int32_t i = mosaic_lap__lowest(bits);
        mosaic_lap__reach(q, slot[i], line, mosaic_lap__reduced(&q->t, cost[i], slot[i]) + shift);
    }
}

static void mosaic_lap__reach_block(mosaic_lap__core *q, int32_t line)
{
    int32_t room[MOSAIC_LAP__BLOCK];
    const int32_t *cost = mosaic_lap__costs(&q->t, line, 0, room);
    int64_t shift = q->search.at[line] - q->u[line];
    uint64_t bits = q->kernels->under(&q->t, line, 0, q->search.nearest == MOSAIC_LAP__FAR ? MOSAIC_LAP__FAR : q->search.nearest - shift);
    for (; bits; bits &= bits - 1) {
        int32_t slot = mosaic_lap__lowest(bits);
        mosaic_lap__reach(q, slot, line, mosaic_lap__reduced(&q->t, cost[slot], slot) + shift);
    }
}

/* Reads a line itself beyond what has been reached from it, which is everything below `known`: a stretch at first, the rest when the search
   comes by again. A list whose cheapest entry has risen above its bound has had its day, and one that is no narrower than what is read
   now can be had for nothing: it is made anew. */
static void mosaic_lap__reach_beyond(mosaic_lap__core *q, int32_t line)
{
    const int32_t *slot = q->list_slot + (size_t)line * MOSAIC_LAP__LIST, *cost = q->list_cost + (size_t)line * MOSAIC_LAP__LIST;
    int64_t shift = q->search.at[line] - q->u[line], known = q->search.distance - shift,
            wanted = q->search.nearest == MOSAIC_LAP__FAR ? MOSAIC_LAP__FAR : q->search.nearest - shift;
    int64_t least[2], limit = wanted;
    int32_t found, i;
    q->kernels->best(&q->t, slot, cost, q->list_count[line], least);
    if (known <= q->bound[line] && least[0] != MOSAIC_LAP__FAR) limit = (known > least[0] ? known : least[0]) + q->gap[line];
    found = mosaic_lap__collect(q, line, &limit, MOSAIC_LAP__NO_SHRINK);
    for (i = 0; i < found; i++) mosaic_lap__reach(q, q->picked[i], line, mosaic_lap__half(q->value[i]) + shift);
    mosaic_lap__make_list(q, line, found, limit);
    if (limit < wanted) mosaic_lap__heap_put(&q->search.heap, limit + shift, q->t.slots + line);
}

/* A line is reached through one of its units. */
static void mosaic_lap__scan(mosaic_lap__core *q, int32_t unit)
{
    int32_t line = q->line_of[unit];
    int64_t key;
    if (q->via[line] >= 0) return;
    if (q->t.blocks > 1 && q->list_count[line] < 0) mosaic_lap__first_list(q, line);
    q->via[line] = unit;
    q->search.at[line] = q->search.distance;
    q->search.seen[q->search.seen_count++] = line;
    if (q->t.blocks == 1) { /* a single block is as good as a list */
        mosaic_lap__reach_block(q, line);
        return;
    }
    mosaic_lap__reach_listed(q, line);
    if (q->bound[line] == MOSAIC_LAP__FAR) return;
    key = q->bound[line] > q->u[line] ? q->search.distance + (q->bound[line] - q->u[line]) : q->search.distance;
    if (key >= q->search.nearest) return;
    if (key == q->search.distance)
        mosaic_lap__reach_beyond(q, line);
    else
        mosaic_lap__heap_put(&q->search.heap, key, q->t.slots + line);
}

/* The spare line is reached through a slot at the level. What it has itself (the slots at the level, where no unit is) is left out: their
   prices follow at the end. */
static void mosaic_lap__reach_spare(mosaic_lap__core *q, int32_t slot)
{
    int32_t j;
    if (q->spare_at != MOSAIC_LAP__FAR) return;
    q->spare_at = q->search.distance;
    q->spare_from = slot;
    for (j = 0; j < q->t.slots; j++)
        if (q->first[j] >= 0 || (q->left[j] > 0 && q->t.price[j] < q->level))
            mosaic_lap__reach(q, j, MOSAIC_LAP__FROM_SPARE, q->search.distance + q->level - q->t.price[j]);
}

/* A group with no room is reached through a slot with room: any unit in it may go for another one in that slot. */
static void mosaic_lap__reach_group(mosaic_lap__core *q, int32_t g, int32_t slot)
{
    int32_t i;
    if (q->group_at[g] != MOSAIC_LAP__FAR) return;
    q->group_at[g] = q->search.distance;
    q->group_from[g] = slot;
    q->group_seen[q->group_seen_count++] = g;
    for (i = q->member_start[g]; i < q->member_start[g + 1]; i++) {
        int32_t j = q->member[i];
        if (q->first[j] >= 0) mosaic_lap__reach(q, j, MOSAIC_LAP__FROM_GROUP - g, q->search.distance + q->group_price[g] - q->t.price[j]);
    }
}

/* Counts the units that wait. Each gets a slot: one of those that lack one, or of the surplus. */
static void mosaic_lap__count_surplus(mosaic_lap__core *q)
{
    int32_t j;
    q->waiting = 0;
    for (j = 0; j < q->units; j++) q->waiting += q->slot_of[j] < 0;
    q->surplus = q->waiting;
    for (j = 0; j < q->t.slots; j++)
        if (q->t.price[j] < q->level && q->left[j] > 0 && q->groups == 0) q->surplus -= q->left[j];
}

/* The prices after a search: all that was reached before the sink falls, or rises, by what it was nearer. */
static void mosaic_lap__update_prices(mosaic_lap__core *q)
{
    int64_t level = q->spare_at < q->search.nearest ? q->level - (q->search.nearest - q->spare_at) : q->level;
    int32_t i, j;
    for (i = 0; i < q->search.popped_count; i++) {
        j = q->search.popped[i];
        mosaic_lap__set_price(q, j, q->t.price[j] - (q->search.nearest - q->search.dist[j]));
    }
    for (i = 0; i < q->search.seen_count; i++) q->u[q->search.seen[i]] += q->search.nearest - q->search.at[q->search.seen[i]];
    if (level < q->level) {
        for (j = 0; j < q->t.slots; j++)
            if ((q->left[j] > 0 || q->first[j] < 0) && q->t.price[j] > level) mosaic_lap__set_price(q, j, level);
        q->level = level;
    }
    for (i = 0; i < q->group_seen_count; i++) {
        int32_t g = q->group_seen[i];
        q->group_price[g] -= q->search.nearest - q->group_at[g];
        for (j = q->member_start[g]; j < q->member_start[g + 1]; j++) { /* slots that are not full have the price of their group, none has more */
            int32_t slot = q->member[j];
            if ((q->left[slot] > 0 || q->first[slot] < 0) && q->t.price[slot] > q->group_price[g]) mosaic_lap__set_price(q, slot, q->group_price[g]);
        }
    }
}

/* One search: gives `unit` a slot, moving others along the cheapest path. Returns 0 when no path leads to a slot with room; the
   search then stands as it ended: the lines seen can have the slots touched only, and all of these are full. */
static int mosaic_lap__enter(mosaic_lap__core *q, int32_t unit)
{
    int64_t level;
    int32_t i, slot;
    mosaic_lap__search_start(&q->search);
    q->spare_at = MOSAIC_LAP__FAR;
    q->group_seen_count = 0;
    mosaic_lap__scan(q, unit);
    while ((slot = mosaic_lap__search_next(&q->search)) >= 0) {
        if (slot >= q->t.slots) {
            mosaic_lap__reach_beyond(q, slot - q->t.slots);
            continue;
        }
        for (i = q->first[slot]; i >= 0 && q->search.nearest > q->search.distance; i = q->next[i]) mosaic_lap__scan(q, i);
        if (q->left[slot] > 0 && q->search.nearest > q->search.distance) {
            if (q->groups > 0 && q->group[slot] >= 0)
                mosaic_lap__reach_group(q, q->group[slot], slot);
            else
                mosaic_lap__reach_spare(q, slot);
        }
    }
    if (q->search.sink < 0) return 0;

    level = q->level;
    mosaic_lap__used(q, q->search.sink);
    mosaic_lap__update_prices(q);
    for (slot = q->search.sink;;) {
        int32_t from = q->search.from[slot], mover, left;
        if (from < 0) {
            slot = from == MOSAIC_LAP__FROM_SPARE ? q->spare_from : q->group_from[MOSAIC_LAP__FROM_GROUP - from];
            continue;
        }
        mover = q->via[from];
        left = q->slot_of[mover];
        mosaic_lap__move(q->slot_of, q->first, q->next, q->prev, q->left, mover, slot);
        if (left < 0) break;
        slot = left;
    }
    for (i = 0; i < q->search.seen_count; i++) q->via[q->search.seen[i]] = -1;
    for (i = 0; i < q->group_seen_count; i++) q->group_at[q->group_seen[i]] = MOSAIC_LAP__FAR;
    mosaic_lap__search_end(&q->search);
    if (q->level < level) mosaic_lap__count_surplus(q);
    return 1;
}

/* ---- the one optimum ----
   With optimal prices, the optimal assignments are exactly those that use only tight entries (cost = u + v + w), keep every column and group
   full whose price is not 0, and match every row whose price says so. From one of them another is reached by sending a row from
   its column to another tight one, a row of that column on to a third, and so on, until the first column is filled again: a cycle
   in a graph of the columns. A few more nodes make all cases alike: node `cols` holds the rows without a column; each group has a node, and
   the last node is the hub. A column with room hands a row too many up to its group, a group with room (and a column without a group) up to
   the hub. In a group's node lives one pseudo-row, whose tight entries are those of its columns that need not be full; in the hub another,
   whose tight entries are the groups and the columns without a group that need not be.
   Entries on no cycle are dropped at once (strongly connected components, Tarjan 1972); as a rule that leaves next to nothing.
   Then row after row takes the smallest column from which its present column can be reached, and stays there.
   The tight entries of a row are kept as words of 64 nodes, without the empty ones: short for the usual two entries in a row, and
   64 at a time when everything is tied. A search costs no more than the number of words. Rows for which there is no memory left (it can only
   happen when costs are not a table, and masses of them are tied) have their words made anew whenever they are looked at. */
#define MOSAIC_LAP__CLIMBED (-2) /* parent of a group or hub that was reached from below */

typedef struct mosaic_lap__ties {
    int32_t rows, cols, groups, words;
    const int32_t *capacity, *group, *quota;
    int32_t *col_of, *next, *prev; /* rows, then pseudo-rows: of each group, of the hub */
    int32_t *first, *left;         /* nodes; left: the room there is */
    int32_t *loose;                /* nodes: rows that are not settled yet */
    int32_t *count;                /* rows and pseudo-rows: number of words; -1: they are not kept */
    size_t *start;                 /* and where they start in word and bits, */
    size_t room, used;             /* of which there are `room`, of which `used` in use */
    int32_t *word;
    uint64_t *bits;
    int32_t *number, *low, *component, *caller, *stack; /* nodes: components; stack also holds the columns of a search */
    int32_t *at_row, *at_entry, *at_word;               /* nodes: how far their successors have been enumerated */
    uint64_t *at_bits;
    int32_t *parent, *giver; /* nodes: the row that was sent there, or CLIMBED, and from where */
    uint64_t *open, *fresh;  /* words: columns worth a visit; of these, not visited in this search */
    int full;                /* there was no memory for a row: none for those after it either */
    uint64_t *map;           /* words: all tight entries of row map_row, one that is not kept; -1: of none */
    int32_t map_row;
    void (*fill_map)(void *source, int32_t row, uint64_t *map); /* where they come from; map is empty before */
    void *source;
} mosaic_lap__ties;

static void mosaic_lap__ties_layout(mosaic_lap__ties *g, size_t room, mosaic_lap__arena *a)
{
    size_t rows = (size_t)g->rows + (size_t)g->groups + 1, nodes = (size_t)g->cols + (size_t)g->groups + 2, words = (nodes + 63) / 64,
           i = sizeof(int32_t);
    g->words = (int32_t)words;
    g->room = room + (size_t)g->cols + (size_t)g->groups + words; /* these for the pseudo-rows */
    g->col_of = (int32_t *)mosaic_lap__take(a, rows, i);
    g->next = (int32_t *)mosaic_lap__take(a, rows, i);
    g->prev = (int32_t *)mosaic_lap__take(a, rows, i);
    g->first = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->left = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->loose = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->count = (int32_t *)mosaic_lap__take(a, rows, i);
    g->start = (size_t *)mosaic_lap__take(a, rows, sizeof(size_t));
    g->word = (int32_t *)mosaic_lap__take(a, g->room, i);
    g->bits = (uint64_t *)mosaic_lap__take(a, g->room, sizeof(uint64_t));
    g->number = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->low = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->component = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->caller = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->stack = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->at_row = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->at_entry = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->at_word = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->at_bits = (uint64_t *)mosaic_lap__take(a, nodes, sizeof(uint64_t));
    g->parent = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->giver = (int32_t *)mosaic_lap__take(a, nodes, i);
    g->open = (uint64_t *)mosaic_lap__take(a, words, sizeof(uint64_t));
    g->fresh = (uint64_t *)mosaic_lap__take(a, words, sizeof(uint64_t));
    g->map = (uint64_t *)mosaic_lap__take(a, words, sizeof(uint64_t));
}

static int32_t mosaic_lap__hub(const mosaic_lap__ties *g) { return g->cols + 1 + g->groups; }

/* Where a row too many goes from a node with room. */
static int32_t mosaic_lap__up(const mosaic_lap__ties *g, int32_t node)
{
    return node < g->cols && g->groups > 0 && g->group[node] >= 0 ? g->cols + 1 + g->group[node] : mosaic_lap__hub(g);
}

/* Everything empty and every node's room; then rows are put where they are with mosaic_lap__ties_put. */
static void mosaic_lap__ties_start(mosaic_lap__ties *g)
{
    int32_t i;
    for (i = 0; i < g->cols + g->groups + 2; i++) {
        g->first[i] = -1;
        g->left[i] = i < g->cols ? (g->capacity ? g->capacity[i] : 1) : i == g->cols || i == mosaic_lap__hub(g) ? 0 : g->quota[i - g->cols - 1];
    }
    for (i = 0; i < g->rows + g->groups + 1; i++) {
        g->col_of[i] = -1;
        g->count[i] = 0;
        g->start[i] = 0;
    }
    g->used = 0;
    g->full = 0;
    g->map_row = -1;
    for (i = 0; i < g->words; i++) g->map[i] = 0;
    for (i = 0; i <= g->groups; i++) { /* pseudo-rows take no room */
        g->left[g->cols + 1 + i]++;
        mosaic_lap__move(g->col_of, g->first, g->next, g->prev, g->left, g->rows + i, g->cols + 1 + i);
    }
}

static void mosaic_lap__ties_put(mosaic_lap__ties *g, int32_t row, int32_t col)
{
    int32_t old = g->col_of[row], group = g->groups > 0 && col < g->cols ? g->group[col] : -1;
    if (old >= 0 && old < g->cols && g->groups > 0 && g->group[old] >= 0) g->left[g->cols + 1 + g->group[old]]++;
    if (group >= 0) g->left[g->cols + 1 + group]--;
    mosaic_lap__move(g->col_of, g->first, g->next, g->prev, g->left, row, col);
}

static int mosaic_lap__has_room(const mosaic_lap__ties *g, int32_t node) { return node != g->cols && g->left[node] > 0; }

/* Keeps the words of `map` as those of a row, and clears it. Pseudo-rows come first, then the rows in order. */
static void mosaic_lap__keep_words(mosaic_lap__ties *g, int32_t row)
{
    int32_t e;
    g->start[row] = g->used;
    g->count[row] = 0;
    for (e = 0; e < g->words; e++) {
        uint64_t bits = g->map[e];
        if (!bits) continue;
        g->map[e] = 0;
        g->full |= g->used == g->room;
        if (g->full) continue;
        g->word[g->used] = e;
        g->bits[g->used++] = bits;
        g->count[row]++;
    }
    if (g->full) {
        g->used = g->start[row];
        g->count[row] = -1;
    }
}

/* Gives those of 64 rows that `bits` names the node, in their maps. */
static void mosaic_lap__spread(uint64_t bits, uint64_t *maps, int32_t words, int32_t node)
{
    for (; bits; bits &= bits - 1) maps[(size_t)mosaic_lap__lowest(bits) * (size_t)words + (size_t)(node / 64)] |= (uint64_t)1 << (node % 64);
}

/* How many words a row has, and one of them: its bits, and which it is. */
static int32_t mosaic_lap__word_count(const mosaic_lap__ties *g, int32_t row) { return g->count[row] < 0 ? g->words : g->count[row]; }

static uint64_t mosaic_lap__word(mosaic_lap__ties *g, int32_t row, int32_t e, int32_t *word)
{
    if (g->count[row] >= 0) {
        *word = g->word[g->start[row] + (size_t)e];
        return g->bits[g->start[row] + (size_t)e];
    }
    if (g->map_row != row) {
        memset(g->map, 0, (size_t)g->words * sizeof *g->map);
        g->fill_map(g->source, row, g->map);
        g->map_row = row;
    }
    *word = e;
    return g->map[e];
}

static int mosaic_lap__is_tight(mosaic_lap__ties *g, int32_t row, int32_t col)
{
    const int32_t *word = g->word + g->start[row];
    int32_t low = 0, high = g->count[row];
    if (high < 0) return (int)(mosaic_lap__word(g, row, col / 64, &low) >> (col % 64) & 1);
    while (low < high) {
        int32_t mid = low + (high - low) / 2;
        if (word[mid] < col / 64)
            low = mid + 1;
        else
            high = mid;
    }
    return low < g->count[row] && word[low] == col / 64 && (g->bits[g->start[row] + (size_t)low] >> (col % 64) & 1);
}

/* The next node not numbered yet that can be reached from `node` in one step, -1 after the last. On the way `low` takes in those that are;
   no number on the stack is below that at its bottom, and once that has been seen they need no more looking at. */
static int32_t mosaic_lap__successor(mosaic_lap__ties *g, int32_t node)
{
    int32_t bottom = g->number[g->stack[0]], up = -1;
    if (g->at_entry[node] < 0) { /* the beginning */
        g->at_entry[node] = 0;
        g->at_row[node] = g->first[node];
        g->at_bits[node] = 0;
        if (mosaic_lap__has_room(g, node)) up = mosaic_lap__up(g, node);
        if (up >= 0 && !g->number[up]) return up;
        if (up >= 0 && g->component[up] < 0 && g->number[up] < g->low[node]) g->low[node] = g->number[up];
    }
    for (;;) {
        uint64_t bits = g->at_bits[node], known = bits & ~g->fresh[g->at_word[node]];
        int32_t row = g->at_row[node];
        for (; known && g->low[node] > bottom; known &= known - 1) {
            int32_t to = g->at_word[node] * 64 + mosaic_lap__lowest(known);
            if (g->component[to] < 0 && g->number[to] < g->low[node]) g->low[node] = g->number[to];
        }
        bits &= g->fresh[g->at_word[node]];
        g->at_bits[node] = bits;
        if (bits) return g->at_word[node] * 64 + mosaic_lap__lowest(bits);
        if (row < 0) return -1;
        if (g->at_entry[node] == mosaic_lap__word_count(g, row)) {
            g->at_row[node] = g->next[row];
            g->at_entry[node] = 0;
        } else {
            g->at_bits[node] = mosaic_lap__word(g, row, g->at_entry[node]++, &g->at_word[node]);
        }
    }
}

/* Numbers the components; `fresh` has the nodes that have not been visited. */
static void mosaic_lap__components(mosaic_lap__ties *g)
{
    int32_t nodes = mosaic_lap__hub(g) + 1, visited = 0, stacked = 0, root, node;
    for (node = 0; node < nodes; node++) {
        g->number[node] = g->at_word[node] = 0;
        g->component[node] = -1;
        g->at_entry[node] = -1;
    }
    for (node = 0; node < g->words; node++) g->fresh[node] = ~(uint64_t)0;
    for (root = 0; root < nodes; root++) {
        if (g->number[root] || g->first[root] < 0) continue;
        g->caller[root] = -1;
        for (node = root; node >= 0;) {
            int32_t to;
            if (!g->number[node]) {
                g->number[node] = g->low[node] = ++visited;
                g->stack[stacked++] = node;
                g->fresh[node / 64] &= ~((uint64_t)1 << (node % 64));
            }
            to = mosaic_lap__successor(g, node);
            if (to >= 0) {
                g->caller[to] = node;
                node = to;
            } else {
                int32_t up = g->caller[node];
                if (g->low[node] == g->number[node]) {
                    do g->component[g->stack[--stacked]] = node;
                    while (g->stack[stacked] != node);
                }
                if (up >= 0 && g->low[node] < g->low[up]) g->low[up] = g->low[node];
                node = up;
            }
        }
    }
}

/* Keeps the entries that lie on a cycle: those within a component. Returns whether there are any: without, the optimum is the only one.
   Words move up towards the beginning of their memory, pseudo-rows first as they stand there, which may make room for rows that had none. */
static int mosaic_lap__prune(mosaic_lap__ties *g)
{
    int32_t all = g->rows + g->groups + 1, whole = 1, any = 0, i, e;
    for (i = 1; i < g->cols && whole; i++) whole = g->component[i] == g->component[0];
    g->used = 0;
    for (i = 0; i < all; i++) {
        int32_t row = i <= g->groups ? g->rows + i : i - g->groups - 1, own = g->component[g->col_of[row]], kept = 0, several = 0;
        size_t start = g->used;
        for (e = 0; e < mosaic_lap__word_count(g, row); e++) {
            int32_t word;
            uint64_t keep = mosaic_lap__word(g, row, e, &word), left = keep;
            for (; left && !(whole && own == g->component[0] && word < g->cols / 64); left &= left - 1)
                if (g->component[word * 64 + mosaic_lap__lowest(left)] != own) keep &= ~(left & (~left + 1));
            if (!keep) continue;
            several |= kept != 0 || (keep & (keep - 1)) != 0;
            if (kept >= 0 && g->used < g->room) {
                g->word[g->used] = word;
                g->bits[g->used++] = keep;
                kept++;
            } else {
                kept = -1;
            }
        }
        if (kept < 0) g->used = start;
        g->start[row] = start;
        g->count[row] = several || row >= g->rows ? kept : 0; /* its own column alone is no choice */
        if (g->count[row] == 0) g->used = start;
        any |= several && row < g->rows;
    }
    return any;
}

/* Can a row too many in `col` be passed on until one arrives in `target`, moving only rows after `row`? If so, passes them on and
   moves `row` itself to `col`. Columns visited in vain stay marked: nothing reached from them leads to the target. */
static int mosaic_lap__pass_on(mosaic_lap__ties *g, int32_t row, int32_t col, int32_t target)
{
    int32_t head = 0, tail = 0, r, e;
    g->fresh[col / 64] &= ~((uint64_t)1 << (col % 64));
    g->parent[col] = row;
    g->stack[tail++] = col;
    while (head < tail && g->parent[target] == -1) {
        int32_t node = g->stack[head++], up = mosaic_lap__has_room(g, node) ? mosaic_lap__up(g, node) : -1;
        if (up >= 0 && (g->fresh[up / 64] >> (up % 64) & 1) && g->component[node] == g->component[up]) {
            g->fresh[up / 64] &= ~((uint64_t)1 << (up % 64));
            g->giver[up] = node;
            g->parent[up] = MOSAIC_LAP__CLIMBED;
            g->stack[tail++] = up;
        }
        for (r = g->first[node]; r >= 0 && g->parent[target] == -1; r = g->next[r]) {
            if (r <= row) continue;
            if (mosaic_lap__is_tight(g, r, target)) {
                g->parent[target] = r;
                break;
            }
            for (e = 0; e < mosaic_lap__word_count(g, r); e++) {
                int32_t word;
                uint64_t found = mosaic_lap__word(g, r, e, &word) & g->fresh[word];
                g->fresh[word] &= ~found;
                for (; found; found &= found - 1) {
                    int32_t to = word * 64 + mosaic_lap__lowest(found);
                    g->parent[to] = r;
                    g->stack[tail++] = to;
                }
            }
        }
    }
    if (g->parent[target] == -1) return 0;
    for (r = -1, col = target; r != row;) {
        r = g->parent[col];
        if (r == MOSAIC_LAP__CLIMBED) {
            col = g->giver[col];
        } else if (r >= g->rows) {
            col = g->col_of[r];
        } else {
            int32_t before = g->col_of[r];
            mosaic_lap__ties_put(g, r, col);
            g->loose[before]--;
            g->loose[col]++;
            col = before;
        }
    }
    return 1;
}

static void mosaic_lap__smallest(mosaic_lap__ties *g)
{
    int32_t row, col, e;
    for (e = 0; e < g->words; e++) g->open[e] = ~(uint64_t)0;
    for (col = 0; col <= mosaic_lap__hub(g); col++) g->loose[col] = 0;
    for (row = 0; row < g->rows; row++) g->loose[g->col_of[row]]++;
    for (row = 0; row < g->rows; row++) {
        int32_t target = g->col_of[row], words = mosaic_lap__word_count(g, row);
        int started = 0, moved = 0;
        for (e = 0; e < words && !moved; e++) {
            int32_t word;
            uint64_t smaller = mosaic_lap__word(g, row, e, &word) & g->open[word];
            if (word > target / 64) break;
            if (word == target / 64) smaller &= ((uint64_t)1 << (target % 64)) - 1;
            if (smaller && !started) {
                started = 1;
                memcpy(g->fresh, g->open, (size_t)g->words * sizeof *g->fresh);
                g->parent[target] = -1;
            }
            for (; smaller && !moved; smaller &= smaller - 1) {
                col = word * 64 + mosaic_lap__lowest(smaller);
                if (g->fresh[word] >> (col % 64) & 1) moved = mosaic_lap__pass_on(g, row, col, target);
            }
        }
        col = g->col_of[row];
        if (--g->loose[col] == 0 && !mosaic_lap__has_room(g, col)) g->open[col / 64] &= ~((uint64_t)1 << (col % 64));
    }
}

/* ---- the public functions ---- */
typedef struct mosaic_lap__solver {
    const mosaic_lap_problem *problem;
    const mosaic_lap_options *options;
    size_t stride;
    int turned;       /* more rows than room: the lines are the columns */
    int32_t *order;   /* slots: which column it is; null: that of the same number. Columns that are alike stand together */
    int32_t *feature; /* slots: by what they are told to be alike */
    int64_t *key;
    int32_t *copy;  /* the table with its lines and slots where the solver wants them, when they are not there already */
    uint64_t *maps; /* words of the ties of 64 rows, when turned */
    int64_t *sum;   /* groups: scratch */
    mosaic_lap__core core;
    mosaic_lap__ties ties;
    int32_t limits[MOSAIC_LAP__JOBS][3];
    int32_t jobs;
} mosaic_lap__solver;

static int32_t mosaic_lap__index(const mosaic_lap__solver *s, int32_t slot) { return s->order ? s->order[slot] : slot; }

/* Whether squared distances stay below 2^31 - 1: the sum of the largest squared differences does. */
static int mosaic_lap__vectors_fit(const mosaic_lap_problem *p)
{
    const mosaic_lap_vectors *x = p->vectors;
    int64_t sum = 0;
    int32_t i, k;
    if (x->bits == 8) return x->length <= (INT32_MAX - 1) / (255 * 255);
    for (k = 0; k < x->length && sum < INT32_MAX; k++) {
        int32_t low[2] = {INT16_MAX, INT16_MAX}, high[2] = {INT16_MIN, INT16_MIN};
        int64_t most;
        for (i = 0; i < p->rows + p->cols; i++) {
            int side = i >= p->rows;
            int32_t value = mosaic_lap__vector_value(x, side ? x->col : x->row, side ? i - p->rows : i, k);
            if (value < low[side]) low[side] = value;
            if (value > high[side]) high[side] = value;
        }
        most = high[0] - low[1] > high[1] - low[0] ? high[0] - low[1] : high[1] - low[0];
        sum += most * most;
    }
    return sum < INT32_MAX;
}

/* Whether the solver of tables can have it as it is. */
static int mosaic_lap__is_table(const mosaic_lap_problem *p) { return p->kind == MOSAIC_LAP_INT32 && !p->row_start && !p->order; }

/* Everything that can be said about a problem without reading its costs, and of vectors whether they are usable. `room` leaves quotas out
   of account. */
static mosaic_lap_result mosaic_lap__examine(const mosaic_lap_problem *p, size_t *stride, int64_t *room, int32_t *bad_col)
{
    int32_t j;
    *bad_col = -1;
    if (!p) return MOSAIC_LAP_ERROR_NULL;
    if (p->rows < 0 || p->cols < 0 || p->rows > INT32_MAX - 128 - p->cols) return MOSAIC_LAP_ERROR_SIZE;
    if (p->groups < 0 || p->groups > INT32_MAX - 128 - p->cols - p->rows) return MOSAIC_LAP_ERROR_SIZE;
    *stride = p->stride ? p->stride : (size_t)p->cols;
    if (*stride < (size_t)p->cols) return MOSAIC_LAP_ERROR_STRIDE;
    if ((int)p->kind < 0 || p->kind > MOSAIC_LAP_DOUBLE) return MOSAIC_LAP_ERROR_OPTION;
    if (p->order < 0 || p->order > 1 || (p->order && (p->capacity || p->row_start))) return MOSAIC_LAP_ERROR_OPTION;
    if (!mosaic_lap__is_table(p)) {
        if (p->fill || p->vectors || p->groups) return MOSAIC_LAP_ERROR_OPTION;
        if (p->rows > (1 << 30) - p->cols) return MOSAIC_LAP_ERROR_SIZE;
    }
    if (p->row_start) {
        for (j = 0; j < p->rows; j++)
            if (p->row_start[j] < 0 || p->row_start[j + 1] < p->row_start[j]) return MOSAIC_LAP_ERROR_SPARSE;
        if (p->row_start[p->rows] > 0 && (!p->cost || !p->col_index)) return MOSAIC_LAP_ERROR_NULL;
        if ((uint64_t)p->row_start[p->rows] > SIZE_MAX / 2 / sizeof(double)) return MOSAIC_LAP_ERROR_SIZE;
    } else if (p->rows > 0 && p->cols > 0) {
        if ((p->cost != NULL) + (p->fill != NULL) + (p->vectors != NULL) != 1)
            return p->cost || p->fill || p->vectors ? MOSAIC_LAP_ERROR_OPTION : MOSAIC_LAP_ERROR_NULL;
        if (p->cost && *stride > SIZE_MAX / 2 / sizeof(double) / (size_t)p->rows) return MOSAIC_LAP_ERROR_SIZE;
        if (p->vectors) {
            if (!p->vectors->row || !p->vectors->col) return MOSAIC_LAP_ERROR_NULL;
            if (p->vectors->bits != 8 && p->vectors->bits != 16) return MOSAIC_LAP_ERROR_OPTION;
            if (p->vectors->length < 1) return MOSAIC_LAP_ERROR_SIZE;
            if (!mosaic_lap__vectors_fit(p)) return MOSAIC_LAP_ERROR_NUMBER;
        }
    }
    if (p->groups > 0 && (!p->quota || (p->cols > 0 && !p->group))) return MOSAIC_LAP_ERROR_NULL;
    for (j = 0; j < p->groups; j++) {
        *bad_col = j;
        if (p->quota[j] < 0) return MOSAIC_LAP_ERROR_CAPACITY;
    }
    *room = p->cols;
    if (!p->capacity && p->groups == 0) return MOSAIC_LAP_OK;
    for (j = 0, *room = 0; j < p->cols; j++) {
        *bad_col = j;
        if (p->capacity && p->capacity[j] < 0) return MOSAIC_LAP_ERROR_CAPACITY;
        if (p->groups > 0 && (p->group[j] < -1 || p->group[j] >= p->groups)) return MOSAIC_LAP_ERROR_GROUP;
        *room += p->capacity ? p->capacity[j] : 1;
    }
    *bad_col = -1;
    return MOSAIC_LAP_OK;
}

/* How many rows there is room for, quotas counted; `sum` is scratch, one number for each group. */
static int64_t mosaic_lap__room_in_groups(const mosaic_lap_problem *p, int64_t *sum)
{
    int64_t room = 0;
    int32_t j;
    for (j = 0; j < p->groups; j++) sum[j] = 0;
    for (j = 0; j < p->cols; j++) *(p->groups > 0 && p->group[j] >= 0 ? sum + p->group[j] : &room) += p->capacity ? p->capacity[j] : 1;
    for (j = 0; j < p->groups; j++) room += sum[j] < p->quota[j] ? sum[j] : p->quota[j];
    return room;
}

static void mosaic_lap__layout(mosaic_lap__solver *s, int64_t room, int level, int start, mosaic_lap__arena *a)
{
    const mosaic_lap_problem *p = s->problem;
    mosaic_lap__core *q = &s->core;
    mosaic_lap__ties *g = &s->ties;
    size_t rows = (size_t)p->rows, words = ((size_t)p->cols + (size_t)p->groups + 2 + 63) / 64;
    int cluster;
    s->turned = p->rows > room && p->groups == 0;
    mosaic_lap__source_layout(&q->t, p, s->stride, s->turned, level, a);
    q->units = s->turned ? (int32_t)room : p->rows;
    q->groups = p->groups;
    s->order = s->feature = s->copy = NULL;
    cluster = !s->turned && !p->fill && (int64_t)p->rows * p->cols >= MOSAIC_LAP__CLUSTER_FROM && (p->vectors || !start);
    if (cluster) {
        s->order = (int32_t *)mosaic_lap__take(a, (size_t)p->cols, sizeof(int32_t));
        s->feature = (int32_t *)mosaic_lap__take(a, (size_t)p->cols, MOSAIC_LAP__FEATURES * sizeof(int32_t));
        s->key = (int64_t *)mosaic_lap__take(a, (size_t)p->cols, sizeof(int64_t));
    }
    if ((s->turned || cluster) && p->cost) s->copy = (int32_t *)mosaic_lap__take(a, rows * (size_t)p->cols, sizeof(int32_t));
    if (s->turned && p->cost) {
        q->t.cost = s->copy;
        q->t.stride = rows;
    }
    s->maps = (uint64_t *)mosaic_lap__take(a, s->turned ? words * 64 : 0, sizeof(uint64_t));
    s->sum = (int64_t *)mosaic_lap__take(a, (size_t)p->groups, sizeof(int64_t));
    mosaic_lap__core_layout(q, a);
    g->rows = p->rows;
    g->cols = p->cols;
    g->groups = p->groups;
    g->capacity = p->capacity;
    g->group = p->group;
    g->quota = p->quota;
    if (!p->cost && words > MOSAIC_LAP__TIE_WORDS) words = MOSAIC_LAP__TIE_WORDS;
    mosaic_lap__ties_layout(g, rows * words, a);
}

/* ---- columns that are alike, together ----
   The lower bounds of blocks spare much reading when the slots of a block are alike. How a slot looks to a few lines (what it costs them, in 15
   bits) places it; the slots are halved along the line between two that are far from each other, and the halves again, down to blocks. Then
   another line is asked: where it sees blocks as colourful as the whole, as with random costs, the slots stay as they are. */

/* Squared distance of two slots by their features, or with `along` the product of x with along - y. */
static int64_t mosaic_lap__feature_product(const int32_t *x, const int32_t *y, const int32_t *along)
{
    int64_t sum = 0;
    int32_t k;
    for (k = 0; k < MOSAIC_LAP__FEATURES; k++) sum += along ? (int64_t)x[k] * (along[k] - y[k]) : (int64_t)(x[k] - y[k]) * (x[k] - y[k]);
    return sum;
}

static const int32_t *mosaic_lap__feature(const mosaic_lap__solver *s, int32_t place)
{
    return s->feature + (size_t)s->order[place] * MOSAIC_LAP__FEATURES;
}

static const int32_t *mosaic_lap__farthest(const mosaic_lap__solver *s, int32_t from, int32_t to, const int32_t *other)
{
    const int32_t *found = other;
    int64_t most = -1;
    for (; from < to; from++) {
        int64_t distance = mosaic_lap__feature_product(mosaic_lap__feature(s, from), other, NULL);
        if (distance > most) {
            most = distance;
            found = mosaic_lap__feature(s, from);
        }
    }
    return found;
}

/* Brings the slots from ... to - 1 into an order in which none before `middle` has a larger key than one from there on. */
static void mosaic_lap__halve(mosaic_lap__solver *s, int32_t from, int32_t to, int32_t middle)
{
    int32_t low = from, high = to - 1;
    while (low < high) {
        int64_t pivot = s->key[low + (high - low) / 2];
        int32_t a = low, b = high;
        while (a <= b) {
            while (s->key[a] < pivot) a++;
            while (s->key[b] > pivot) b--;
            if (a <= b) {
                int64_t k = s->key[a];
                int32_t o = s->order[a];
                s->key[a] = s->key[b];
                s->order[a++] = s->order[b];
                s->key[b] = k;
                s->order[b--] = o;
            }
        }
        if (middle <= b)
            high = b;
        else if (middle >= a)
            low = a;
        else
            break;
    }
}

/* Costs of a line, before anything is in order. */
static void mosaic_lap__plain_costs(const mosaic_lap__solver *s, int32_t line, int32_t block, int32_t *out)
{
    const mosaic_lap__table *t = &s->core.t;
    int32_t size = mosaic_lap__block_size(t, block);
    if (t->cost)
        memcpy(out, t->cost + (size_t)line * t->stride + (size_t)block * MOSAIC_LAP__BLOCK, (size_t)size * sizeof *out);
    else
        mosaic_lap__make_costs(t, line, 1, block, MOSAIC_LAP__BLOCK, out);
}

static void mosaic_lap__cluster(mosaic_lap__solver *s, int level)
{
    mosaic_lap__table *t = &s->core.t;
    int32_t range[2][2] = {{INT32_MAX, 0}, {INT32_MAX, 0}}, costs[MOSAIC_LAP__BLOCK], stack[2 * 64], depth = 0, shift = 0, i, k, b;
    int64_t spread = 0;
    for (i = 0; i < t->slots; i++) s->order[i] = i;
    for (k = 0; k < MOSAIC_LAP__FEATURES; k++)
        for (b = 0; b < t->blocks; b++) {
            mosaic_lap__plain_costs(s, (int32_t)((int64_t)t->lines * (2 * k + 1) / (2 * MOSAIC_LAP__FEATURES)), b, costs);
            for (i = 0; i < mosaic_lap__block_size(t, b); i++) {
                /* shifted into the unsigned range; forbidden is dearest */
                uint32_t c = (uint32_t)costs[i] ^ 0x80000000u;
                s->feature[(size_t)(b * MOSAIC_LAP__BLOCK + i) * MOSAIC_LAP__FEATURES + (size_t)k] = (int32_t)(c >> 1);
                if ((int32_t)(c >> 1) < range[0][0]) range[0][0] = (int32_t)(c >> 1);
                if ((int32_t)(c >> 1) > range[0][1]) range[0][1] = (int32_t)(c >> 1);
            }
        }
    while ((range[0][1] - range[0][0]) >> shift >= 1 << 15) shift++;
    for (i = 0; i < t->slots; i++)
        for (k = 0; k < MOSAIC_LAP__FEATURES; k++) {
            int32_t *x = s->feature + (size_t)i * MOSAIC_LAP__FEATURES + k;
            *x = (*x - range[0][0]) >> shift;
        }

    stack[depth++] = 0;
    stack[depth++] = t->slots;
    while (depth > 0) {
        int32_t to = stack[--depth], from = stack[--depth], middle;
        const int32_t *one, *other;
        if (to - from <= MOSAIC_LAP__BLOCK) continue;
        middle = from + ((to - from) / 2 + MOSAIC_LAP__BLOCK - 1) / MOSAIC_LAP__BLOCK * MOSAIC_LAP__BLOCK;
        one = mosaic_lap__farthest(s, from, to, mosaic_lap__feature(s, from));
        other = mosaic_lap__farthest(s, from, to, one);
        for (i = from; i < to; i++) s->key[i] = mosaic_lap__feature_product(mosaic_lap__feature(s, i), one, other);
        mosaic_lap__halve(s, from, to, middle);
        stack[depth++] = from;
        stack[depth++] = middle;
        stack[depth++] = middle;
        stack[depth++] = to;
    }

    /* the test: the costs of the first line, by the order that is proposed */
    for (b = 0; b < t->blocks; b++) {
        mosaic_lap__plain_costs(s, 0, b, costs);
        for (i = 0; i < mosaic_lap__block_size(t, b); i++) s->key[b * MOSAIC_LAP__BLOCK + i] = (int32_t)(((uint32_t)costs[i] ^ 0x80000000u) >> 1);
    }
    for (b = 0; b < t->blocks; b++) {
        range[1][0] = INT32_MAX;
        range[1][1] = 0;
        for (i = 0; i < mosaic_lap__block_size(t, b); i++) {
            int32_t c = (int32_t)s->key[s->order[b * MOSAIC_LAP__BLOCK + i]];
            for (k = 0; k < 2; k++) {
                if (b == 0 && i == 0 && k == 0) range[0][0] = range[0][1] = c;
                if (c < range[k][0]) range[k][0] = c;
                if (c > range[k][1]) range[k][1] = c;
            }
        }
        spread += range[1][1] - range[1][0];
    }
    if (spread / t->blocks > (int64_t)(range[0][1] - range[0][0]) * 7 / 10) {
        s->order = NULL;
    } else if (t->cost) {
        t->cost = s->copy;
        t->stride = (size_t)t->slots;
    } else {
        mosaic_lap__pack(t, level, s->order);
    }
}

static void mosaic_lap__permute(const int32_t *MOSAIC__RESTRICT from, const int32_t *MOSAIC__RESTRICT order, int32_t count,
                                int32_t *MOSAIC__RESTRICT to)
{
    int32_t i;
    for (i = 0; i < count; i++) to[i] = from[order[i]];
}

/* The first, complete pass over the costs, for one part of the lines. */
static void mosaic_lap__first_pass(void *arg, int index)
{
    mosaic_lap__solver *s = (mosaic_lap__solver *)arg;
    const mosaic_lap__table *t = &s->core.t;
    int32_t line = (int32_t)((int64_t)t->lines * index / s->jobs), end = (int32_t)((int64_t)t->lines * (index + 1) / s->jobs);
    const int32_t *cost = (const int32_t *)s->problem->cost;
    int32_t *limits = s->limits[index], i, j, k, tile[MOSAIC_LAP__TILE_LINES * MOSAIC_LAP__TILE_WIDTH];
    limits[0] = INT32_MAX;
    limits[1] = INT32_MIN;
    limits[2] = 0;
    if (s->turned && s->copy) /* in tiles of 16 columns x 16 rows */
        for (k = line; k < end; k += 16)
            for (i = 0; i < t->slots; i += 16)
                for (j = k; j < k + 16 && j < end; j++) {
                    int32_t *to = s->copy + (size_t)j * t->stride, r;
                    for (r = i; r < i + 16 && r < t->slots; r++) to[r] = cost[(size_t)r * s->stride + (size_t)j];
                }
    if (t->cost) {
        for (; line < end; line++) {
            if (s->order) mosaic_lap__permute(cost + (size_t)line * s->stride, s->order, t->slots, s->copy + (size_t)line * t->stride);
            s->core.kernels->range(t, line, 0, t->blocks, t->cost + (size_t)line * t->stride, limits);
        }
        return;
    }
    for (; line < end; line += MOSAIC_LAP__TILE_LINES) {
        int32_t lines = end - line < MOSAIC_LAP__TILE_LINES ? end - line : MOSAIC_LAP__TILE_LINES,
                blocks = MOSAIC_LAP__TILE_WIDTH / MOSAIC_LAP__BLOCK;
        for (j = 0; j < t->blocks; j += blocks) {
            mosaic_lap__make_costs(t, line, lines, j, MOSAIC_LAP__TILE_WIDTH, tile);
            for (i = 0; i < lines; i++)
                s->core.kernels->range(t, line + i, j, t->blocks - j < blocks ? t->blocks - j : blocks, tile + i * MOSAIC_LAP__TILE_WIDTH, limits);
        }
    }
}

static void mosaic_lap__run(const mosaic_lap_options *o, void (*job)(void *arg, int index), void *arg, int32_t count)
{
    int i;
    if (o->run)
        o->run(o->run_ctx, job, arg, (int)count);
    else
        for (i = 0; i < count; i++) job(arg, i);
}

/* Reads all costs: afterwards the lower bounds are exact. Costs too large for the narrow kernels are read once more by the wide ones. */
static void mosaic_lap__read_all(mosaic_lap__solver *s)
{
    mosaic_lap__core *q = &s->core;
    int32_t i;
    q->low = INT32_MAX;
    q->high = INT32_MIN;
    q->forbidden = 0;
    s->jobs = q->t.lines < MOSAIC_LAP__JOBS ? q->t.lines : MOSAIC_LAP__JOBS;
    if (q->t.slots == 0) return;
    mosaic_lap__run(s->options, mosaic_lap__first_pass, s, s->jobs);
    for (i = 0; i < s->jobs; i++) {
        if (s->limits[i][0] < q->low) q->low = s->limits[i][0];
        if (s->limits[i][1] > q->high) q->high = s->limits[i][1];
        q->forbidden |= s->limits[i][2];
    }
    if (q->kernels != q->wide && (q->low < -MOSAIC_LAP__NARROW_COST || q->high > MOSAIC_LAP__NARROW_COST)) {
        q->kernels = q->wide;
        mosaic_lap__run(s->options, mosaic_lap__first_pass, s, s->jobs);
    }
}

/* Empties the core; all prices are 0. */
static void mosaic_lap__prepare(mosaic_lap__solver *s, int level)
{
    const mosaic_lap_problem *p = s->problem;
    mosaic_lap__core *q = &s->core;
    int32_t i, j, k = 0;
    if (level > 2) level = 2;
    q->kernels = &mosaic_lap__kernels_of[level][0];
    q->wide = &mosaic_lap__kernels_of[level][1];
    q->level = 0;
    for (i = 0; i < q->t.lines; i++) {
        int32_t units = !s->turned ? 1 : p->capacity ? p->capacity[i] : 1;
        for (j = 0; j < units; j++) q->line_of[k++] = i;
        q->list_count[i] = q->via[i] = -1;
        q->u[i] = 0;
    }
    for (i = 0; i < q->units; i++) q->slot_of[i] = -1;
    for (i = 0; i < q->t.slots; i++) {
        q->t.price[i] = 0;
        q->t.narrow[i] = q->t.sign;
        q->first[i] = -1;
        q->left[i] = !s->turned && p->capacity ? p->capacity[mosaic_lap__index(s, i)] : 1;
        q->search.dist[i] = MOSAIC_LAP__FAR;
    }
    for (i = 0; i <= q->groups; i++) q->member_start[i] = 0;
    for (i = 0; i < q->groups; i++) {
        q->group_left[i] = p->quota[i];
        q->group_price[i] = 0;
        q->group_at[i] = MOSAIC_LAP__FAR;
    }
    if (q->groups > 0) { /* the members of a group, counted, then put in order */
        for (i = 0; i < q->t.slots; i++) {
            q->group[i] = p->group[mosaic_lap__index(s, i)];
            if (q->group[i] >= 0) q->member_start[q->group[i]]++;
        }
        for (i = 1; i <= q->groups; i++) q->member_start[i] += q->member_start[i - 1];
        for (i = q->t.slots; i-- > 0;)
            if (q->group[i] >= 0) q->member[--q->member_start[q->group[i]]] = i;
    }
    mosaic_lap__heap_start(&q->search.heap, q->t.slots + q->t.lines);
}

static void mosaic_lap__place(mosaic_lap__core *q, int32_t unit, int32_t slot)
{
    mosaic_lap__move(q->slot_of, q->first, q->next, q->prev, q->left, unit, slot);
}

/* Takes over the assignment of the solution to start from, as far as it makes sense, and the prices of the slots that it fills. */
static void mosaic_lap__take_start(mosaic_lap__solver *s)
{
    const mosaic_lap_solution *start = s->options->start;
    mosaic_lap__core *q = &s->core;
    const int64_t *price = s->turned ? start->u : start->v, lowest = -((int64_t)1 << 50);
    int32_t *next_unit = q->search.seen, *slot_of_col = q->search.touched, i, unit = 0;
    for (i = 0; i < q->t.lines; i++) {
        next_unit[i] = unit;
        while (unit < q->units && q->line_of[unit] == i) unit++;
    }
    for (i = 0; i < q->t.slots; i++) slot_of_col[mosaic_lap__index(s, i)] = i;
    for (i = 0; i < s->problem->rows; i++) {
        int32_t col = start->col_of_row[i], line = s->turned ? col : i, slot;
        if (col < 0 || col >= s->problem->cols) continue;
        slot = s->turned ? i : slot_of_col[col];
        unit = next_unit[line];
        if (q->left[slot] <= 0 || unit >= q->units || q->line_of[unit] != line) continue;
        next_unit[line]++;
        mosaic_lap__place(q, unit, slot);
    }
    for (i = 0; i < q->t.slots; i++) {
        int64_t x = price[mosaic_lap__index(s, i)];
        if (q->t.sign) x = -x;
        if (q->left[i] == 0 && x < 0) mosaic_lap__set_price(q, i, x < lowest ? lowest : x);
    }
}

/* Sets the prices of the lines to their least cost - v, which the lower bounds tell when all costs have just been read. */
static void mosaic_lap__price_lines(mosaic_lap__core *q)
{
    int32_t i, b;
    for (i = 0; i < q->t.lines; i++) {
        const int32_t *lower = q->t.lower + (size_t)i * (size_t)q->t.blocks;
        int32_t u = INT32_MAX;
        int64_t least[2];
        for (b = 0; b < q->t.blocks; b++)
            if (lower[b] < u) u = lower[b];
        q->u[i] = u;
        if (u != INT32_MAX && u != INT32_MIN) continue;
        q->u[i] = mosaic_lap__line_best(q, i, least) < 0 ? 0 : least[0]; /* beyond what a lower bound can hold, or none at all */
    }
}

/* Takes from its slot each unit for which that is not tight. q->value: the price up to which a slot that loses one does not matter to that line. */
static void mosaic_lap__free_loose(mosaic_lap__core *q)
{
    int32_t i;
    for (i = 0; i < q->t.slots; i++) q->value[i] = q->level;
    for (i = 0; i < q->units; i++) {
        int32_t slot = q->slot_of[i], line = q->line_of[i], cost;
        int64_t slack;
        if (slot < 0) continue;
        cost = mosaic_lap__cost(&q->t, line, slot);
        slack = cost == MOSAIC_LAP_FORBIDDEN ? MOSAIC_LAP__FAR : mosaic_lap__reduced(&q->t, cost, slot) - q->u[line];
        if (slack == 0) continue;
        mosaic_lap__place(q, i, -1);
        if (slack < q->value[slot] - q->t.price[slot]) q->value[slot] = q->t.price[slot] + slack;
    }
}

/* Raises the prices of slots that have just lost a unit, and lie below the level therefore, as far as no price of a line falls: to where the first line
   is as well off with the slot as without it. That makes the ways short on which the searches fill them. Before anything has been read again
   what a block has lost in lower bounds is the most that one of its slots has risen. */
static void mosaic_lap__raise(mosaic_lap__core *q)
{
    int32_t *slot = q->picked, *start = q->picked_cost, i, b, d, count = 0; /* start: of the slots in question, the first in each block */
    int64_t *to = q->value, *rise = (int64_t *)(void *)q->vacant;           /* the price a slot can have; blocks: the most it is raised by */
    for (b = 0; b < q->t.blocks; b++) {
        start[b] = count;
        rise[b] = 0;
        for (i = b * MOSAIC_LAP__BLOCK; i < b * MOSAIC_LAP__BLOCK + mosaic_lap__block_size(&q->t, b); i++) {
            if (q->left[i] <= 0 || q->t.price[i] >= q->level) continue;
            if (to[i] - q->t.price[i] > rise[b]) rise[b] = to[i] - q->t.price[i];
            to[count] = to[i];
            slot[count++] = i;
        }
    }
    start[b] = count;
    for (i = 0; i < q->t.lines && count > 0; i++) {
        const int32_t *lower = q->t.lower + (size_t)i * (size_t)q->t.blocks;
        for (b = 0; b < q->t.blocks; b++) {
            int32_t room[MOSAIC_LAP__BLOCK];
            const int32_t *cost;
            if (rise[b] == 0 || (lower[b] != INT32_MIN && lower[b] - q->u[i] >= rise[b])) continue;
            cost = mosaic_lap__costs(&q->t, i, b, room);
            rise[b] = 0;
            for (d = start[b]; d < start[b + 1]; d++) {
                int32_t c = cost[slot[d] % MOSAIC_LAP__BLOCK];
                int64_t most = c == MOSAIC_LAP_FORBIDDEN ? MOSAIC_LAP__FAR : (q->t.sign ? -(int64_t)c : (int64_t)c) - q->u[i];
                if (most < to[d]) to[d] = most;
                if (to[d] - q->t.price[slot[d]] > rise[b]) rise[b] = to[d] - q->t.price[slot[d]];
            }
        }
    }
    for (d = 0; d < count; d++) mosaic_lap__set_price(q, slot[d], to[d]);
    for (i = 0; i < q->t.lines && count > 0; i++) {
        int32_t *lower = q->t.lower + (size_t)i * (size_t)q->t.blocks;
        q->list_count[i] = -1; /* should there be one, its bound does not hold any more */
        for (b = 0; b < q->t.blocks; b++) {
            int64_t now = lower[b] - rise[b];
            if (rise[b] > 0 && lower[b] != INT32_MIN) lower[b] = mosaic_lap__clamp(now > q->u[i] ? now : q->u[i]);
        }
    }
}

/* ---- the auction ----
   For as many lines as slots, one unit each. A line without a slot bids for its cheapest one: it lowers the price by as much as the second
   cheapest is dearer, and eps more, and the line that was there bids anew. In the end every line is within eps of its cheapest slot. eps falls
   from a 128th of the range of the costs to 1, each time from the prices so far; what is not exact then is left to the searches, which have
   next to nothing to do. (Bertsekas 1979; scaling 1988.) Without it they flood the whole table when many lines want the same few slots. The
   number of bids is bounded; with the bound reached the searches do the rest. */
#define MOSAIC_LAP__BIDS 400      /* for each line */
#define MOSAIC_LAP__ROUND_BIDS 40 /* for each row of the rounds below */

/* Takes its slot from each line that is more than `slack` from its cheapest one, and puts the lines without a slot into `queue`. */
static int32_t mosaic_lap__loosen(mosaic_lap__core *q, int64_t slack, int32_t *queue)
{
    int64_t least[2];
    int32_t line, count = 0;
    for (line = 0; line < q->t.lines; line++) {
        int32_t slot = q->slot_of[line];
        mosaic_lap__line_best(q, line, least);
        q->u[line] = least[0];
        if (slot >= 0 && mosaic_lap__reduced(&q->t, q->own[line], slot) - least[0] > slack) mosaic_lap__place(q, line, slot = -1);
        if (slot < 0) queue[count++] = line;
    }
    return count;
}

static void mosaic_lap__auction(mosaic_lap__core *q)
{
    int32_t *queue = q->search.seen, lines = q->t.lines;
    int64_t range = q->high - q->low, eps = range / 128, bids = (int64_t)lines * MOSAIC_LAP__BIDS, least[2];
    for (;; eps /= 8) {
        int32_t waiting, head = 0;
        if (eps < 1) eps = 1;
        for (waiting = mosaic_lap__loosen(q, eps, queue); waiting > 0 && bids > 0; bids--) {
            int32_t line = queue[head], at = mosaic_lap__line_best(q, line, least);
            int32_t slot = q->list_slot[(size_t)line * MOSAIC_LAP__LIST + (size_t)at], rival = q->first[slot];
            int64_t step = least[1] < least[0] + range ? least[1] - least[0] : range;
            mosaic_lap__set_price(q, slot, q->t.price[slot] - step - eps);
            if (++head == lines) head = 0;
            waiting--;
            if (rival >= 0) {
                mosaic_lap__place(q, rival, -1);
                queue[(head + waiting++) % lines] = rival;
            }
            mosaic_lap__place(q, line, slot);
            q->own[line] = q->list_cost[(size_t)line * MOSAIC_LAP__LIST + (size_t)at];
        }
        if (eps == 1 || bids == 0) break;
    }
    mosaic_lap__loosen(q, 0, queue);
}

/* Gives every unit that can have it at once a cheapest slot of its line, the first of them. All costs have just been read: the lower bounds
   are exact. */
static void mosaic_lap__greedy(mosaic_lap__core *q)
{
    int32_t unit, b, j;
    for (b = 0; b < q->t.blocks; b++) {
        q->vacant[b] = 0;
        for (j = 0; j < mosaic_lap__block_size(&q->t, b); j++) q->vacant[b] |= (uint64_t)mosaic_lap__takes(q, b * MOSAIC_LAP__BLOCK + j) << j;
    }
    for (unit = 0; unit < q->units; unit++) {
        int32_t line = q->line_of[unit];
        const int32_t *lower = q->t.lower + (size_t)line * (size_t)q->t.blocks;
        int64_t u = q->u[line];
        for (b = 0; b < q->t.blocks && q->slot_of[unit] < 0; b++) {
            uint64_t bits = lower[b] == u ? q->vacant[b] : 0;
            if (bits) bits &= q->kernels->under(&q->t, line, b, u + 1);
            for (; bits && q->slot_of[unit] < 0; bits &= bits - 1) {
                int32_t slot = b * MOSAIC_LAP__BLOCK + mosaic_lap__lowest(bits);
                if (mosaic_lap__takes(q, slot)) {
                    mosaic_lap__place(q, unit, slot);
                    mosaic_lap__used(q, slot);
                    q->own[line] = (int32_t)(q->t.sign ? -u : u); /* before an auction all prices are 0 */
                }
                if (!mosaic_lap__takes(q, slot)) q->vacant[b] &= ~((uint64_t)1 << (slot % MOSAIC_LAP__BLOCK));
            }
        }
    }
}

/* Whether an auction is allowed, and is wished for or promises something: when few lines have got a slot at once. */
static int mosaic_lap__wants_auction(const mosaic_lap__solver *s)
{
    const mosaic_lap__core *q = &s->core;
    int32_t i;
    if (s->options->solver == 1 || s->options->start || q->groups > 0 || q->units != q->t.slots || q->units != q->t.lines || q->forbidden) return 0;
    for (i = 0; i < q->t.slots; i++)
        if (q->left[i] + (q->first[i] >= 0) != 1 || q->line_of[i] != i) return 0;
    if (s->options->solver == 2) return 1;
    return q->units >= 200 && q->waiting > q->units / 5 * 3 && q->high - q->low >= 1024;
}

/* Prepares the core and gives every unit its slot. Returns the unit for which there is none, or -1. */
static int32_t mosaic_lap__serve(mosaic_lap__solver *s, int level)
{
    mosaic_lap__core *q = &s->core;
    int64_t least[2];
    int32_t i;
    mosaic_lap__prepare(s, level);
    if (s->options->start) mosaic_lap__take_start(s);
    mosaic_lap__read_all(s);
    mosaic_lap__price_lines(q);
    if (s->options->start) {
        mosaic_lap__free_loose(q);
        mosaic_lap__raise(q);
    }
    mosaic_lap__count_surplus(q);
    mosaic_lap__greedy(q);
    if (mosaic_lap__wants_auction(s)) {
        mosaic_lap__auction(q);
        mosaic_lap__count_surplus(q);
    }
    for (i = 0; i < q->units; i++) {
        int32_t line = q->line_of[i];
        if (q->slot_of[i] >= 0) continue;
        /* where nothing of the line is placed its price may rise to what its cheapest entry is now */
        if (!s->turned && q->t.blocks > 1 && mosaic_lap__line_best(q, line, least) >= 0) q->u[line] = least[0];
        if (!mosaic_lap__enter(q, i)) return i;
    }
    return -1;
}

/* The tight entries of a row. */
static void mosaic_lap__fill_map(void *source, int32_t row, uint64_t *map)
{
    const mosaic_lap__solver *s = (const mosaic_lap__solver *)source;
    const mosaic_lap__core *q = &s->core;
    int32_t i, b;
    if (s->turned) {
        for (i = 0; i < q->t.lines; i++)
            map[i / 64] |= (q->kernels->under(&q->t, i, row / MOSAIC_LAP__BLOCK, q->u[i] + 1) >> (row % MOSAIC_LAP__BLOCK) & 1) << (i % 64);
        if (q->t.price[row] == q->level) map[s->ties.cols / 64] |= (uint64_t)1 << (s->ties.cols % 64);
        return;
    }
    for (b = 0; b < q->t.blocks; b++) {
        uint64_t bits;
        if (q->t.lower[(size_t)row * (size_t)q->t.blocks + (size_t)b] > q->u[row]) continue;
        bits = q->kernels->under(&q->t, row, b, q->u[row] + 1);
        if (!s->order) map[b] = bits;
        for (; s->order && bits; bits &= bits - 1) {
            i = s->order[b * MOSAIC_LAP__BLOCK + mosaic_lap__lowest(bits)];
            map[i / 64] |= (uint64_t)1 << (i % 64);
        }
    }
}

/* Hands the solution of the core over to the search for the one optimum, and all tight entries with it. */
static void mosaic_lap__collect_ties(mosaic_lap__solver *s)
{
    const mosaic_lap__core *q = &s->core;
    mosaic_lap__ties *g = &s->ties;
    int32_t i, b, j;
    g->fill_map = mosaic_lap__fill_map;
    g->source = s;
    mosaic_lap__ties_start(g);
    for (i = 0; i < q->units; i++)
        mosaic_lap__ties_put(g, s->turned ? q->slot_of[i] : q->line_of[i], s->turned ? q->line_of[i] : mosaic_lap__index(s, q->slot_of[i]));
    for (i = 0; i < g->rows; i++)
        if (g->col_of[i] < 0) mosaic_lap__ties_put(g, i, g->cols);

    for (i = 0; i < g->groups; i++) {
        for (j = q->member_start[i]; j < q->member_start[i + 1]; j++) {
            int32_t col = mosaic_lap__index(s, q->member[j]);
            if (q->t.price[q->member[j]] == q->group_price[i]) g->map[col / 64] |= (uint64_t)1 << (col % 64);
        }
        mosaic_lap__keep_words(g, g->rows + i);
    }
    for (i = 0; i < g->groups; i++) /* after the loop above, which clears the map */
        if (q->group_price[i] == 0) g->map[(g->cols + 1 + i) / 64] |= (uint64_t)1 << ((g->cols + 1 + i) % 64);
    for (i = 0; i < q->t.slots && !s->turned; i++) {
        int32_t col = mosaic_lap__index(s, i);
        if (q->t.price[i] == q->level && (g->groups == 0 || q->group[i] < 0)) g->map[col / 64] |= (uint64_t)1 << (col % 64);
    }
    mosaic_lap__keep_words(g, g->rows + g->groups);

    if (!s->turned) {
        for (i = 0; i < g->rows; i++) {
            if (!g->full) mosaic_lap__fill_map(s, i, g->map);
            mosaic_lap__keep_words(g, i);
        }
        return;
    }
    for (b = 0; b < q->t.blocks; b++) { /* 64 rows at a time */
        memset(s->maps, 0, 64 * (size_t)g->words * sizeof *s->maps);
        for (j = 0; j < q->t.lines; j++) {
            uint64_t bits;
            if (q->t.lower[(size_t)j * (size_t)q->t.blocks + (size_t)b] > q->u[j]) continue;
            bits = q->kernels->under(&q->t, j, b, q->u[j] + 1);
            mosaic_lap__spread(bits, s->maps, g->words, j);
        }
        for (i = 0; i < mosaic_lap__block_size(&q->t, b); i++) {
            int32_t row = b * MOSAIC_LAP__BLOCK + i;
            memcpy(g->map, s->maps + (size_t)i * (size_t)g->words, (size_t)g->words * sizeof *g->map);
            if (q->t.price[row] == q->level) g->map[g->cols / 64] |= (uint64_t)1 << (g->cols % 64);
            mosaic_lap__keep_words(g, row);
        }
    }
}

static void mosaic_lap__answer(const mosaic_lap__solver *s, mosaic_lap_solution *out)
{
    const mosaic_lap_problem *p = s->problem;
    const mosaic_lap__core *q = &s->core;
    const int64_t sign = p->maximise ? -1 : 1;
    int64_t *line_price = s->turned ? out->v : out->u, *slot_price = s->turned ? out->u : out->v;
    int64_t primal = 0;
    uint64_t dual = 0; /* wraps around on the way, if ever, and ends where it should */
    int32_t i;
    for (i = 0; i < p->rows; i++)
        if (out->col_of_row) out->col_of_row[i] = s->ties.col_of[i] < p->cols ? s->ties.col_of[i] : -1;
    for (i = 0; i < q->units; i++) /* all optimal assignments cost the same: this one's costs are at hand */
        primal += mosaic_lap__cost(&q->t, q->line_of[i], q->slot_of[i]);
    for (i = 0; i < q->t.lines; i++) {
        int64_t price = sign * (q->u[i] + q->level);
        if (line_price) line_price[i] = price;
        dual += (uint64_t)price * (uint64_t)(s->turned && p->capacity ? p->capacity[i] : 1);
    }
    for (i = 0; i < q->t.slots; i++) {
        int32_t index = mosaic_lap__index(s, i), group = q->groups > 0 ? q->group[i] : -1;
        int64_t price = sign * (q->t.price[i] - (group >= 0 ? q->group_price[group] : q->level));
        if (slot_price) slot_price[index] = price;
        dual += (uint64_t)price * (uint64_t)(!s->turned && p->capacity ? p->capacity[index] : 1);
    }
    for (i = 0; i < q->groups; i++) {
        if (out->w) out->w[i] = sign * q->group_price[i];
        dual += (uint64_t)(sign * q->group_price[i]) * (uint64_t)p->quota[i];
    }
    out->primal = primal;
    out->dual = (int64_t)dual;
    out->gap = primal - out->dual;
    out->matched = q->units;
}

/* The search that failed has seen lines which can have the slots touched only, all of them taken by these very lines. Without a search, all
   lines and slots are meant. */
static void mosaic_lap__clash(const mosaic_lap__solver *s, int32_t unit, mosaic_lap_solution *out)
{
    const mosaic_lap__core *q = &s->core;
    uint8_t *lines = s->turned ? out->clash_cols : out->clash_rows, *slots = s->turned ? out->clash_rows : out->clash_cols;
    int32_t i;
    if (lines) memset(lines, unit < 0, (size_t)q->t.lines);
    if (slots) memset(slots, unit < 0, (size_t)q->t.slots);
    if (unit < 0) return;
    if (s->turned)
        out->col = q->line_of[unit];
    else
        out->row = q->line_of[unit];
    for (i = 0; lines && i < q->search.seen_count; i++) lines[q->search.seen[i]] = 1;
    for (i = 0; slots && i < q->search.touched_count; i++) slots[mosaic_lap__index(s, q->search.touched[i])] = 1;
}

/* An arena that only measures. */
static mosaic_lap__arena *mosaic_lap__ruler(mosaic_lap__arena *a)
{
    a->base = NULL;
    a->used = 0;
    a->overflow = 0;
    return a;
}

/* The options and the instruction set; null options are replaced by `defaults`. */
static mosaic_lap_result mosaic_lap__level(const mosaic_lap_options **options, mosaic_lap_options *defaults, int *level)
{
    memset(defaults, 0, sizeof *defaults);
    if (!*options) *options = defaults;
    *level = 0;
#if MOSAIC_LAP__SIMD
    *level = mosaic__cpu_level();
#endif
    if ((*options)->simd < 0 || (*options)->simd > 4 || (*options)->solver < 0 || (*options)->solver > 3) return MOSAIC_LAP_ERROR_OPTION;
    if ((*options)->simd - 1 > *level) return MOSAIC_LAP_ERROR_SIMD;
    if ((*options)->simd > 0)
        *level = (*options)->simd - 1;
    else if (MOSAIC_LAP__QUADS)
        *level = 1; /* they have no name of their own: the best there is */
    return MOSAIC_LAP_OK;
}

/* The memory of one call: the caller's, or one allocation. */
static mosaic_lap_result mosaic_lap__open(const mosaic_lap_options *o, size_t size, void **memory, mosaic_lap__arena *a)
{
    *memory = o->work ? o->work : NULL;
    if (o->work && o->work_size < size) return MOSAIC_LAP_ERROR_MEMORY;
    if (!o->work) *memory = MOSAIC_LAP_MALLOC(o->alloc_ctx, size);
    if (!*memory) return MOSAIC_LAP_ERROR_MEMORY;
    a->base = (unsigned char *)*memory + (64 - (size_t)((uintptr_t)*memory % 64)) % 64;
    a->used = 0;
    a->overflow = 0;
    return MOSAIC_LAP_OK;
}

static void mosaic_lap__close(const mosaic_lap_options *o, void *memory)
{
    if (!o->work) MOSAIC_LAP_FREE(o->alloc_ctx, memory);
}

static size_t mosaic_lap__measure(mosaic_lap__solver *s, int64_t room, int level, int start)
{
    mosaic_lap__arena a;
    mosaic_lap__layout(s, room, level, start, mosaic_lap__ruler(&a));
    return a.overflow ? 0 : a.used + 64; /* 64 to align the beginning */
}

/* Groups start from nothing. */
static const mosaic_lap_options *mosaic_lap__without_start(const mosaic_lap_options *options, mosaic_lap_options *copy)
{
    *copy = *options;
    copy->start = NULL;
    return copy;
}

/* A problem whose costs are int32. */
static mosaic_lap_result mosaic_lap__solve_table(const mosaic_lap_problem *problem, const mosaic_lap_options *options, mosaic_lap_solution *solution)
{
    mosaic_lap_options defaults;
    mosaic_lap__solver s;
    mosaic_lap__arena arena;
    mosaic_lap_result result;
    void *memory;
    size_t size;
    int64_t room;
    int32_t bad, unserved;
    int level;
    s.problem = problem;
    result = mosaic_lap__examine(problem, &s.stride, &room, &bad);
    solution->col = bad;
    if (result != MOSAIC_LAP_OK) return result;
    result = mosaic_lap__level(&options, &defaults, &level);
    if (result != MOSAIC_LAP_OK) return result;
    if (options->start && problem->groups > 0) options = mosaic_lap__without_start(options, &defaults);
    if (options->start && (((!options->start->col_of_row || !options->start->u) && problem->rows > 0) || (!options->start->v && problem->cols > 0)))
        return MOSAIC_LAP_ERROR_NULL;
    s.options = options;
    size = mosaic_lap__measure(&s, room, level, options->start != NULL);
    if (size == 0) return MOSAIC_LAP_ERROR_SIZE;
    result = mosaic_lap__open(options, size, &memory, &arena);
    if (result != MOSAIC_LAP_OK) return result;
    mosaic_lap__layout(&s, room, level, options->start != NULL, &arena);

    if (problem->vectors) mosaic_lap__pack(&s.core.t, level, NULL);
    if (s.order) mosaic_lap__cluster(&s, level);
    if (problem->groups > 0 && problem->rows > mosaic_lap__room_in_groups(problem, s.sum)) {
        mosaic_lap__clash(&s, -1, solution);
        result = MOSAIC_LAP_ERROR_INFEASIBLE;
    } else if ((unserved = mosaic_lap__serve(&s, level)) < 0) {
        mosaic_lap__collect_ties(&s);
        mosaic_lap__components(&s.ties);
        solution->unique = !mosaic_lap__prune(&s.ties);
        mosaic_lap__smallest(&s.ties);
        mosaic_lap__answer(&s, solution);
    } else {
        mosaic_lap__clash(&s, unserved, solution);
        result = MOSAIC_LAP_ERROR_INFEASIBLE;
    }
    mosaic_lap__close(options, memory);
    return result;
}

#define MOSAIC_LAP__WORDS 80 /* at most; 34 for any doubles and their sums, and the check takes prices in other units */

/* ---- numbers of any length: two's complement in words of 64 bits, the lowest first; sums wrap around ---- */

/* a += x * 2^shift, or a -= that */
static void mosaic_lap__many_add(uint64_t *a, int words, int64_t x, int shift, int subtract)
{
    int i = shift / 64, bit = shift % 64;
    uint64_t low = (uint64_t)x << bit, sign = x < 0 ? ~(uint64_t)0 : 0, high = bit ? (uint64_t)x >> (64 - bit) | sign << bit : sign, carry;
    if (i >= words) return;
    if (subtract) {
        high = ~high + (low == 0);
        low = ~low + 1;
        sign = high >> 63 ? ~(uint64_t)0 : 0;
    }
    a[i] += low;
    carry = a[i] < low;
    for (i++; i < words; i++, high = sign) {
        uint64_t sum = high + carry;
        carry = sum < carry;
        a[i] += sum;
        carry |= a[i] < sum;
        if (carry == (sign & 1)) break; /* the rest of it adds 0 */
    }
}

MOSAIC_LAP__INLINE void mosaic_lap__long_add(uint64_t *a, int words, int64_t x, int shift, int subtract)
{
    uint64_t b = shift < 64 ? (uint64_t)x << shift : 0;
    if (words == 1)
        a[0] = subtract ? a[0] - b : a[0] + b;
    else
        mosaic_lap__many_add(a, words, x, shift, subtract);
}

/* a += b * times, or a -= that */
static void mosaic_lap__many_add_many(uint64_t *a, const uint64_t *b, int words, uint32_t times, int subtract)
{
    uint64_t carry = 0, over = subtract ? 1 : 0;
    int i;
    for (i = 0; i < words; i++) {
        uint64_t product = b[i];
        if (times != 1) {
            uint64_t low = (b[i] & 0xffffffffu) * times + carry, high = (b[i] >> 32) * times + (low >> 32);
            product = high << 32 | (low & 0xffffffffu);
            carry = high >> 32;
        }
        if (subtract) product = ~product;
        product += over;
        over = product < over;
        a[i] += product;
        over |= a[i] < product;
    }
}

MOSAIC_LAP__INLINE void mosaic_lap__long_add_long(uint64_t *a, const uint64_t *b, int words, uint32_t times, int subtract)
{
    if (words == 1)
        a[0] = subtract ? a[0] - b[0] * times : a[0] + b[0] * times;
    else
        mosaic_lap__many_add_many(a, b, words, times, subtract);
}

MOSAIC_LAP__INLINE int mosaic_lap__long_negative(const uint64_t *a, int words) { return (int)(a[words - 1] >> 63); }

/* Bits of its absolute value, but for -2^n, which counts as n bits. */
MOSAIC_LAP__INLINE int mosaic_lap__long_bits(const uint64_t *a, int words)
{
    const uint64_t sign = mosaic_lap__long_negative(a, words) ? ~(uint64_t)0 : 0;
    while (words > 0 && a[words - 1] == sign) words--;
    return words == 0 ? 0 : 64 * (words - 1) + mosaic_lap__bits(a[words - 1] ^ sign);
}

/* a / 2^shift rounded down, when that fits into 64 bits. */
static int64_t mosaic_lap__long_part(const uint64_t *a, int words, int shift)
{
    int at = shift / 64, bit = shift % 64;
    const uint64_t sign = mosaic_lap__long_negative(a, words) ? ~(uint64_t)0 : 0;
    uint64_t low = at < words ? a[at] : sign, high = at + 1 < words ? a[at + 1] : sign;
    return (int64_t)(bit ? low >> bit | high << (64 - bit) : low);
}

static int64_t mosaic_lap__long_clamp(const uint64_t *a, int words)
{
    if (mosaic_lap__long_bits(a, words) <= 63) return (int64_t)a[0];
    return mosaic_lap__long_negative(a, words) ? INT64_MIN : INT64_MAX;
}

/* x * 2^exponent */
static double mosaic_lap__scaled(double x, int exponent)
{
    while (exponent) {
        int step = exponent > 1000 ? 1000 : exponent < -1000 ? -1000 : exponent;
        uint64_t bits = (uint64_t)(1023 + step) << 52;
        double power;
        memcpy(&power, &bits, sizeof power);
        x *= power;
        exponent -= step;
    }
    return x;
}

/* The double nearest to a * 2^exponent, ties to even; exponent is at least -1074. */
static double mosaic_lap__long_double(const uint64_t *a, int words, int exponent)
{
    uint64_t magnitude[MOSAIC_LAP__WORDS], top;
    int negative = mosaic_lap__long_negative(a, words), bits, drop, i;
    double x;
    memset(magnitude, 0, (size_t)words * sizeof *magnitude);
    mosaic_lap__long_add_long(magnitude, a, words, 1, negative);
    bits = mosaic_lap__long_bits(magnitude, words);
    drop = bits > 53 ? bits - 53 : 0;
    top = (uint64_t)mosaic_lap__long_part(magnitude, words, drop);
    if (drop > 0) {
        int at = (drop - 1) / 64, bit = (drop - 1) % 64, more = (int)(top & 1) || (magnitude[at] & (((uint64_t)1 << bit) - 1));
        for (i = 0; i < at; i++) more |= magnitude[i] != 0;
        top += (magnitude[at] >> bit & 1) && more;
    }
    x = mosaic_lap__scaled((double)top, exponent + drop);
    return negative ? -x : x;
}

/* `count` prices as doubles; returns the largest absolute value of them and of `largest`. */
static double mosaic_lap__nearby(const uint64_t *price, int32_t count, int words, int exponent, double *out, double largest)
{
    int32_t i;
    for (i = 0; i < count; i++) {
        double x = out[i] = mosaic_lap__long_double(price + (size_t)i * (size_t)words, words, exponent);
        if (x > largest || -x > largest) largest = x < 0 ? -x : x;
    }
    return largest;
}

/* ---- tables in doubles: kernels. `wide` is a multiple of 8. ----
   survey  of those that are finite: least[0] the smallest, least[1] the negative of the largest, least[2] the lowest bit that is set in any (0
           has none); what is there already counts, too. Returns whether all are numbers or +infinity
   sweep   (there is no scalar one) a step of Dijkstra's search on a table: how near each slot is by way of a line, in SciPy's order of operations, and the least of those that
           are `open`. Nothing has been reached before the first step
   same    (nor of this) which of the open keys equal one number, in words of 64 bits
   tight   which entries have cost - u - v <= slack, in words of 64 bits */
typedef struct mosaic_lap__direct_kernels {
    int (*survey)(const double *x, size_t wide, double least[3]);
    double (*sweep)(const double *cost, int32_t wide, int first, double distance, double u, const double *v, const uint64_t *open, double *key,
                    int32_t *path, int32_t line, uint64_t *same);
    void (*tight)(const double *cost, int32_t wide, double u, const double *v, double slack, uint64_t *words);
} mosaic_lap__direct_kernels;

#define MOSAIC_LAP__MANTISSA (((uint64_t)1 << 52) - 1)

/* A number less itself without its lowest bit is that bit. */
static int mosaic_lap__survey_scalar(const double *x, size_t wide, double least[3])
{
    int good = 1;
    size_t j;
    for (j = 0; j < wide; j++) {
        uint64_t bits;
        double rest = 0;
        good &= x[j] >= -DBL_MAX;
        if (!(x[j] <= DBL_MAX)) continue;
        if (x[j] < least[0]) least[0] = x[j];
        if (-x[j] < least[1]) least[1] = -x[j];
        memcpy(&bits, x + j, sizeof bits);
        if (bits & MOSAIC_LAP__MANTISSA) {
            bits &= bits - 1;
            memcpy(&rest, &bits, sizeof rest);
        }
        rest = x[j] - rest;
        if (rest < 0) rest = -rest;
        if (rest > 0 && rest < least[2]) least[2] = rest;
    }
    return good;
}

static void mosaic_lap__tight_scalar(const double *cost, int32_t wide, double u, const double *v, double slack, uint64_t *words)
{
    int32_t j;
    for (j = 0; j < wide; j++) {
        if (j % 64 == 0) words[j / 64] = 0;
        words[j / 64] |= (uint64_t)(cost[j] - u - v[j] <= slack) << (j % 64);
    }
}

/* Puts the answers of LANES comparisons at a time together. */
#define MOSAIC_LAP__DEFINE_WORDS(NAME, TARGET, PARAMETERS, LANES, BEFORE, MASK, FILTER)                                                              \
    TARGET static void NAME PARAMETERS                                                                                                               \
    {                                                                                                                                                \
        int32_t j, k;                                                                                                                                \
        BEFORE                                                                                                                                       \
        for (j = 0; j < wide; j += 64) {                                                                                                             \
            uint64_t bits = 0;                                                                                                                       \
            for (k = j; k < wide && k < j + 64; k += LANES) bits |= (uint64_t)(uint32_t)(MASK) << (k - j);                                           \
            words[j / 64] = bits FILTER;                                                                                                             \
        }                                                                                                                                            \
    }
#define MOSAIC_LAP__SAME_OF (const double *key, int32_t wide, double equal, const uint64_t *open, uint64_t *words)
#define MOSAIC_LAP__TIGHT_OF (const double *cost, int32_t wide, double u, const double *v, double slack, uint64_t *words)
#if MOSAIC_LAP__SIMD
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized" /* as above */
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

MOSAIC_LAP__AVX2 static int mosaic_lap__survey_avx2(const double *x, size_t wide, double least[3])
{
    const __m256d most = _mm256_set1_pd(DBL_MAX), sign = _mm256_set1_pd(-0.0), infinite = _mm256_mul_pd(most, _mm256_set1_pd(2)),
                  zero = _mm256_setzero_pd();
    const __m256i mantissa = _mm256_set1_epi64x((int64_t)MOSAIC_LAP__MANTISSA), none = _mm256_setzero_si256();
    __m256d low = _mm256_set1_pd(least[0]), high = _mm256_set1_pd(least[1]), bit = _mm256_set1_pd(least[2]), bad = zero;
    double part[3][4];
    size_t j;
    for (j = 0; j < wide; j += 4) {
        __m256d y = _mm256_loadu_pd(x + j), minus = _mm256_xor_pd(y, sign), rest, missing = _mm256_cmp_pd(y, most, _CMP_NLE_UQ);
        __m256i bits = _mm256_castpd_si256(y), plain = _mm256_cmpeq_epi64(_mm256_and_si256(bits, mantissa), none);
        bad = _mm256_or_pd(bad, _mm256_cmp_pd(minus, most, _CMP_NLE_UQ));
        rest = _mm256_castsi256_pd(_mm256_andnot_si256(plain, _mm256_and_si256(bits, _mm256_add_epi64(bits, _mm256_set1_epi64x(-1)))));
        rest = _mm256_andnot_pd(sign, _mm256_sub_pd(y, rest));
        rest = _mm256_blendv_pd(rest, infinite, _mm256_or_pd(missing, _mm256_cmp_pd(y, zero, _CMP_EQ_OQ)));
        low = _mm256_min_pd(low, _mm256_blendv_pd(y, infinite, missing));
        high = _mm256_min_pd(high, _mm256_blendv_pd(minus, infinite, missing));
        bit = _mm256_min_pd(bit, rest);
    }
    _mm256_storeu_pd(part[0], low);
    _mm256_storeu_pd(part[1], high);
    _mm256_storeu_pd(part[2], bit);
    for (j = 0; j < 12; j++)
        if (part[j / 4][j % 4] < least[j / 4]) least[j / 4] = part[j / 4][j % 4];
    return !_mm256_movemask_pd(bad);
}

MOSAIC_LAP__DEFINE_WORDS(mosaic_lap__same_avx2, MOSAIC_LAP__AVX2, MOSAIC_LAP__SAME_OF, 4, const __m256d one = _mm256_set1_pd(equal);
                         , _mm256_movemask_pd(_mm256_cmp_pd(_mm256_loadu_pd(key + k), one, _CMP_EQ_OQ)), &open[j / 64])
MOSAIC_LAP__AVX2 static double mosaic_lap__sweep_avx2(const double *cost, int32_t wide, int first, double distance, double u, const double *v,
                                                      const uint64_t *open, double *key, int32_t *path, int32_t line, uint64_t *same)
{
    const __m256d so_far = _mm256_set1_pd(distance), own = _mm256_set1_pd(u), infinite = _mm256_mul_pd(_mm256_set1_pd(DBL_MAX), _mm256_set1_pd(2));
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6), lane = _mm256_setr_epi64x(1, 2, 4, 8);
    __m256d least = infinite;
    __m128d two;
    int32_t j;
    for (j = 0; j < wide; j += 4) {
        __m256d x = _mm256_sub_pd(_mm256_sub_pd(_mm256_add_pd(so_far, _mm256_loadu_pd(cost + j)), own), _mm256_loadu_pd(v + j));
        __m256d k = first ? infinite : _mm256_loadu_pd(key + j), nearer = _mm256_cmp_pd(x, k, _CMP_LT_OQ), can;
        can = _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x((int64_t)(open[j / 64] >> (j % 64))), lane), lane));
        nearer = _mm256_and_pd(nearer, can);
        if (first || _mm256_movemask_pd(nearer)) {
            __m128i mask = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(_mm256_castpd_si256(nearer), even));
            k = _mm256_blendv_pd(k, x, nearer);
            _mm256_storeu_pd(key + j, k);
            _mm_maskstore_epi32(path + j, mask, _mm_set1_epi32(line));
        }
        least = _mm256_min_pd(least, _mm256_blendv_pd(infinite, k, can));
    }
    two = _mm_min_pd(_mm256_castpd256_pd128(least), _mm256_extractf128_pd(least, 1));
    distance = _mm_cvtsd_f64(_mm_min_sd(two, _mm_unpackhi_pd(two, two)));
    mosaic_lap__same_avx2(key, wide, distance, open, same);
    return distance;
}

MOSAIC_LAP__DEFINE_WORDS(mosaic_lap__tight_avx2, MOSAIC_LAP__AVX2, MOSAIC_LAP__TIGHT_OF, 4, const __m256d own = _mm256_set1_pd(u);
                         const __m256d limit = _mm256_set1_pd(slack);
                         ,
                         _mm256_movemask_pd(_mm256_cmp_pd(_mm256_sub_pd(_mm256_sub_pd(_mm256_loadu_pd(cost + k), own), _mm256_loadu_pd(v + k)), limit,
                                                          _CMP_LE_OQ)), )

MOSAIC_LAP__AVX512 static int mosaic_lap__survey_avx512(const double *x, size_t wide, double least[3])
{
    const __m512d most = _mm512_set1_pd(DBL_MAX), zero = _mm512_setzero_pd();
    __m512d low = _mm512_set1_pd(least[0]), high = _mm512_set1_pd(least[1]), bit = _mm512_set1_pd(least[2]);
    __mmask8 good = 255;
    size_t j;
    for (j = 0; j < wide; j += 8) {
        __m512d y = _mm512_loadu_pd(x + j), minus = _mm512_sub_pd(zero, y), rest;
        __m512i bits = _mm512_castpd_si512(y);
        __mmask8 present = _mm512_cmp_pd_mask(y, most, _CMP_LE_OQ),
                 more = _mm512_test_epi64_mask(bits, _mm512_set1_epi64((int64_t)MOSAIC_LAP__MANTISSA));
        good &= _mm512_cmp_pd_mask(minus, most, _CMP_LE_OQ);
        rest = _mm512_castsi512_pd(_mm512_maskz_and_epi64(more, bits, _mm512_add_epi64(bits, _mm512_set1_epi64(-1))));
        rest = _mm512_abs_pd(_mm512_sub_pd(y, rest));
        low = _mm512_mask_min_pd(low, present, low, y);
        high = _mm512_mask_min_pd(high, present, high, minus);
        bit = _mm512_mask_min_pd(bit, (__mmask8)(present & _mm512_cmp_pd_mask(rest, zero, _CMP_GT_OQ)), bit, rest);
    }
    least[0] = _mm512_reduce_min_pd(low);
    least[1] = _mm512_reduce_min_pd(high);
    least[2] = _mm512_reduce_min_pd(bit);
    return good == 255;
}

MOSAIC_LAP__DEFINE_WORDS(mosaic_lap__same_avx512, MOSAIC_LAP__AVX512, MOSAIC_LAP__SAME_OF, 8, const __m512d one = _mm512_set1_pd(equal);
                         , mosaic_lap__mask_avx512(_mm512_cmp_pd_mask(_mm512_loadu_pd(key + k), one, _CMP_EQ_OQ)), &open[j / 64])
MOSAIC_LAP__AVX512 static double mosaic_lap__sweep_avx512(const double *cost, int32_t wide, int first, double distance, double u, const double *v,
                                                          const uint64_t *open, double *key, int32_t *path, int32_t line, uint64_t *same)
{
    const __m512d so_far = _mm512_set1_pd(distance), own = _mm512_set1_pd(u), infinite = _mm512_mul_pd(_mm512_set1_pd(DBL_MAX), _mm512_set1_pd(2));
    const __m256i from = _mm256_set1_epi32(line);
    __m512d least = infinite;
    int32_t j;
    for (j = 0; j < wide; j += 8) {
        __m512d x = _mm512_sub_pd(_mm512_sub_pd(_mm512_add_pd(so_far, _mm512_loadu_pd(cost + j)), own), _mm512_loadu_pd(v + j));
        __m512d k = first ? infinite : _mm512_loadu_pd(key + j);
        __mmask8 can = (__mmask8)(open[j / 64] >> (j % 64)), nearer = _mm512_mask_cmp_pd_mask(can, x, k, _CMP_LT_OQ);
        k = _mm512_mask_mov_pd(k, nearer, x);
        _mm512_storeu_pd(key + j, k);
        _mm256_mask_storeu_epi32(path + j, nearer, from);
        least = _mm512_mask_min_pd(least, can, least, k);
    }
    distance = _mm512_reduce_min_pd(least);
    mosaic_lap__same_avx512(key, wide, distance, open, same);
    return distance;
}
MOSAIC_LAP__DEFINE_WORDS(mosaic_lap__tight_avx512, MOSAIC_LAP__AVX512, MOSAIC_LAP__TIGHT_OF, 8, const __m512d own = _mm512_set1_pd(u);
                         const __m512d limit = _mm512_set1_pd(slack);
                         ,
                         mosaic_lap__mask_avx512(_mm512_cmp_pd_mask(
                             _mm512_sub_pd(_mm512_sub_pd(_mm512_loadu_pd(cost + k), own), _mm512_loadu_pd(v + k)), limit, _CMP_LE_OQ)), )
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

static const mosaic_lap__direct_kernels mosaic_lap__direct_kernels_of[] = {
    {mosaic_lap__survey_scalar, NULL, mosaic_lap__tight_scalar},
#if MOSAIC_LAP__QUADS
    {mosaic_lap__survey_scalar, NULL, mosaic_lap__tight_scalar},
#endif
#if MOSAIC_LAP__SIMD
    {mosaic_lap__survey_avx2, mosaic_lap__sweep_avx2, mosaic_lap__tight_avx2},
    {mosaic_lap__survey_avx512, mosaic_lap__sweep_avx512, mosaic_lap__tight_avx512},
#endif
};

/* ---- costs of every type ---- */
typedef struct mosaic_lap__source {
    const mosaic_lap_problem *p;
    size_t stride;
    int real, exponent;   /* whether the costs are in floating point; the unit is 2^exponent */
    int top;              /* bits of the largest cost in units, and sign */
    int words;            /* for numbers of any size */
    int range;            /* bits of the difference of the largest and the smallest cost */
    int64_t low_mantissa; /* the smallest cost */
    int low_shift;
} mosaic_lap__source;

static int64_t mosaic_lap__whole(const mosaic_lap_problem *p, size_t at)
{
    if (p->kind == MOSAIC_LAP_INT64) return ((const int64_t *)p->cost)[at];
    return ((const int32_t *)p->cost)[at] == MOSAIC_LAP_FORBIDDEN ? MOSAIC_LAP_FORBIDDEN64 : ((const int32_t *)p->cost)[at];
}

static double mosaic_lap__real(const mosaic_lap_problem *p, size_t at)
{
    return p->kind == MOSAIC_LAP_FLOAT ? (double)((const float *)p->cost)[at] : ((const double *)p->cost)[at];
}

/* x = mantissa * 2^power */
static void mosaic_lap__split(double x, int64_t *mantissa, int *power)
{
    uint64_t bits;
    int field;
    memcpy(&bits, &x, sizeof bits);
    field = (int)(bits >> 52 & 2047);
    *mantissa = (int64_t)((bits & 0xfffffffffffffu) | (field ? (uint64_t)1 << 52 : 0));
    if (bits >> 63) *mantissa = -*mantissa;
    *power = (field ? field : 1) - 1075;
}

/* The same as mantissa * 2^(power + exponent), power not negative; its unit is 2^exponent or more. */
static void mosaic_lap__rescale(int64_t *mantissa, int *power, int exponent)
{
    *power -= exponent;
    if (*power < 0) { /* its lowest bits are 0 */
        if (*mantissa) *mantissa = *mantissa < 0 ? -(-*mantissa >> -*power) : *mantissa >> -*power;
        *power = 0;
    }
}

static int mosaic_lap__is_forbidden(const mosaic_lap__source *s, size_t at)
{
    return s->real ? mosaic_lap__real(s->p, at) > DBL_MAX : mosaic_lap__whole(s->p, at) == MOSAIC_LAP_FORBIDDEN64;
}

/* The number that is minimised: the cost is mantissa * 2^shift units, negated for the largest total; a whole number c becomes -c - 1,
   which always fits, and the missing 1 is made good at the end. 0 when the entry is forbidden. */
static int mosaic_lap__cost_at(const mosaic_lap__source *s, size_t at, int64_t *mantissa, int *shift)
{
    if (s->real) {
        double x = mosaic_lap__real(s->p, at);
        if (x > DBL_MAX) return 0;
        mosaic_lap__split(s->p->maximise ? -x : x, mantissa, shift);
        mosaic_lap__rescale(mantissa, shift, s->exponent);
    } else {
        int64_t x = mosaic_lap__whole(s->p, at);
        if (x == MOSAIC_LAP_FORBIDDEN64) return 0;
        *mantissa = s->p->maximise ? ~x : x;
        *shift = 0;
    }
    return 1;
}

/* About the same in floating point, of an entry that is not forbidden; infinity says that it is. */
static double mosaic_lap__about(const mosaic_lap__source *s, size_t at)
{
    double x = s->real ? mosaic_lap__real(s->p, at) : (double)mosaic_lap__whole(s->p, at);
    return s->p->maximise && x <= DBL_MAX ? -x : x;
}

/* The entries of a row, from `begin` to before `end`, and their columns. */
static size_t mosaic_lap__begin(const mosaic_lap__source *s, int32_t row)
{
    return s->p->row_start ? (size_t)s->p->row_start[row] : (size_t)row * s->stride;
}

static size_t mosaic_lap__end(const mosaic_lap__source *s, int32_t row)
{
    return s->p->row_start ? (size_t)s->p->row_start[row + 1] : (size_t)row * s->stride + (size_t)s->p->cols;
}

static int32_t mosaic_lap__column(const mosaic_lap__source *s, int32_t row, size_t at)
{
    return s->p->row_start ? s->p->col_index[at] : (int32_t)(at - (size_t)row * s->stride);
}

/* `count` costs from place `at` on as doubles, for the smallest total; `infinite` is what forbids. */
static void mosaic_lap__doubles(const mosaic_lap_problem *p, size_t at, int32_t count, double infinite, double *out)
{
    int32_t j;
    if (p->kind == MOSAIC_LAP_INT32) {
        const int32_t *x = (const int32_t *)p->cost + at;
        for (j = 0; j < count; j++) out[j] = x[j] == MOSAIC_LAP_FORBIDDEN ? infinite : p->maximise ? -(double)x[j] : x[j];
    } else if (p->kind == MOSAIC_LAP_INT64) {
        const int64_t *x = (const int64_t *)p->cost + at;
        for (j = 0; j < count; j++) out[j] = x[j] == MOSAIC_LAP_FORBIDDEN64 ? infinite : p->maximise ? -(double)x[j] : (double)x[j];
    } else if (p->kind == MOSAIC_LAP_DOUBLE && !p->maximise) {
        memcpy(out, (const double *)p->cost + at, (size_t)count * sizeof *out);
    } else {
        for (j = 0; j < count; j++) {
            out[j] = mosaic_lap__real(p, at + (size_t)j);
            if (p->maximise && out[j] <= DBL_MAX && out[j] >= -DBL_MAX) out[j] = -out[j];
        }
    }
}

/* The power of its lowest bit that is set, or `unit`, whichever is less. */
static int mosaic_lap__unit(double x, int unit)
{
    int64_t mantissa;
    int power;
    mosaic_lap__split(x, &mantissa, &power);
    if (power >= unit || mantissa == 0) return unit;
    power += mosaic_lap__lowest((uint64_t)mantissa);
    return power < unit ? power : unit;
}

/* The smallest and the largest cost in floating point, and the lowest bit that is set in any; 0 when one is not a number. */
static int mosaic_lap__survey_reals(const mosaic_lap__source *s, int level, double least[3])
{
    const mosaic_lap_problem *p = s->p;
    const double infinite = mosaic_lap__scaled(1, 1024);
    const int32_t rows = p->row_start && p->rows > 0 ? 1 : p->rows; /* sparse costs are one row */
    double some[512];
    int32_t i, k;
    for (i = 0; i < rows; i++) {
        const size_t end = p->row_start ? (size_t)p->row_start[p->rows] : mosaic_lap__end(s, i);
        size_t at;
        for (at = mosaic_lap__begin(s, i); at < end; at += 512) {
            const int32_t count = end - at < 512 ? (int32_t)(end - at) : 512;
            mosaic_lap__doubles(p, at, count, infinite, some);
            for (k = count; k % 8; k++) some[k] = infinite;
            if (!mosaic_lap__direct_kernels_of[level > 2 ? 2 : level].survey(some, (size_t)k, least)) return 0;
        }
    }
    return 1;
}

/* Whether the columns of each row of sparse costs rise, and exist. */
static int mosaic_lap__columns_rise(const mosaic_lap_problem *p)
{
    int32_t i, good = 1;
    int64_t at;
    for (i = 0; i < p->rows; i++) {
        int32_t before = -1;
        for (at = p->row_start[i]; at < p->row_start[i + 1]; at++) {
            good &= p->col_index[at] > before;
            before = p->col_index[at];
        }
        good &= before < p->cols;
    }
    return good;
}

/* Reads all costs once: are they numbers, what is their unit, how large are they? Names the first bad entry. */
static mosaic_lap_result mosaic_lap__survey(mosaic_lap__source *s, int level, int32_t *bad_row, int32_t *bad_col)
{
    const mosaic_lap_problem *p = s->p;
    int64_t low = INT64_MAX, high = INT64_MIN, high_mantissa = 0;
    double low_real = DBL_MAX, high_real = -DBL_MAX, least[3] = {DBL_MAX, DBL_MAX, DBL_MAX};
    uint64_t difference[MOSAIC_LAP__WORDS], one[MOSAIC_LAP__WORDS];
    int unit = 2000, any = 0, high_shift = 0, bits, whole;
    int32_t i;
    s->real = p->kind == MOSAIC_LAP_FLOAT || p->kind == MOSAIC_LAP_DOUBLE;
    whole = s->real && (!p->row_start || mosaic_lap__columns_rise(p)) && mosaic_lap__survey_reals(s, level, least);
    if (whole) {
        any = least[0] <= -least[1];
        low_real = least[0];
        high_real = -least[1];
        if (least[2] < DBL_MAX) unit = mosaic_lap__unit(least[2], unit);
    }
    for (i = 0; i < p->rows && !whole; i++) {
        size_t at = mosaic_lap__begin(s, i), end = mosaic_lap__end(s, i);
        int32_t before = -1;
        *bad_row = i;
        for (; at < end; at++) {
            *bad_col = mosaic_lap__column(s, i, at);
            if (p->row_start) {
                if (*bad_col <= before || *bad_col >= p->cols) return MOSAIC_LAP_ERROR_SPARSE;
                before = *bad_col;
            }
            if (s->real) {
                double x = mosaic_lap__real(p, at);
                if (!(x >= -DBL_MAX)) return MOSAIC_LAP_ERROR_NUMBER;
                if (x > DBL_MAX) continue;
                if (p->maximise) x = -x;
                if (x < low_real) low_real = x;
                if (x > high_real) high_real = x;
                unit = mosaic_lap__unit(x, unit);
            } else {
                int64_t x = mosaic_lap__whole(p, at);
                if (x == MOSAIC_LAP_FORBIDDEN64) continue;
                if (p->maximise) x = ~x;
                if (x < low) low = x;
                if (x > high) high = x;
            }
            any = 1;
        }
    }
    *bad_row = *bad_col = -1;
    s->exponent = s->real && unit < 2000 ? unit : 0;
    s->low_mantissa = s->low_shift = 0;
    if (any && s->real) {
        mosaic_lap__split(low_real, &s->low_mantissa, &s->low_shift);
        mosaic_lap__split(high_real, &high_mantissa, &high_shift);
        mosaic_lap__rescale(&s->low_mantissa, &s->low_shift, s->exponent);
        mosaic_lap__rescale(&high_mantissa, &high_shift, s->exponent);
    } else if (any) {
        s->low_mantissa = low;
        high_mantissa = high;
    }
    memset(difference, 0, sizeof difference);
    memset(one, 0, sizeof one);
    mosaic_lap__long_add(one, MOSAIC_LAP__WORDS, s->low_mantissa, s->low_shift, 0);
    mosaic_lap__long_add(difference, MOSAIC_LAP__WORDS, high_mantissa, high_shift, 0);
    s->top = mosaic_lap__long_bits(one, MOSAIC_LAP__WORDS);
    bits = mosaic_lap__long_bits(difference, MOSAIC_LAP__WORDS);
    if (bits > s->top) s->top = bits;
    mosaic_lap__long_add_long(difference, one, MOSAIC_LAP__WORDS, 1, 1);
    s->range = mosaic_lap__long_bits(difference, MOSAIC_LAP__WORDS);
    s->words = (s->top + 37 + 63) / 64;
    return MOSAIC_LAP_OK;
}

/* A cost in steps of 2^k units, rounded down. The caller sees to it that it fits. */
static int64_t mosaic_lap__steps(int64_t mantissa, int shift, int k)
{
    if (shift >= k) return (int64_t)((uint64_t)mantissa << (shift - k));
    if (k - shift > 62) return mantissa < 0 ? -1 : 0;
    return mantissa < 0 ? ~(~mantissa >> (k - shift)) : mantissa >> (k - shift);
}

/* ---- exactly, in rounds ----

   Whatever their type, the costs are whole multiples of a unit, a power of two: 1, or for floating point the lowest bit that is set in
   any of them. Prices are sums and differences of costs, so they are multiples of it too, of as many bits as it takes.
   The searching is done on smaller numbers, in rounds:
     the first   costs in steps of 2^k units, rounded down, so large that the table solver's 32 bits are enough (dense), or the 64
                 bits of the search below (sparse);
     the next    what the prices found so far leave of each cost, which is never negative, in finer steps; until a step is a unit.
   The assignment of a round takes less than rows * 2^k units more than its prices prove. So an entry of which more than that is left is in
   no optimal assignment; and as later rounds add less than that to the price of any row and nothing to that of any column, it needs
   no further thought. The entries that stay are few, as a rule.

   To have every column full and every row served, whatever the shape, the next rounds have a pseudo-row, which holds the places that stay
   empty, or a pseudo-column, which holds the rows that get nothing, both at no cost. In the first round places may simply stay empty. */
typedef struct mosaic_lap__exact {
    mosaic_lap__source s;
    int32_t rows, cols;
    int64_t room;
    int closed;              /* the pseudo-row has taken what is empty */
    int unique;              /* known after the last round */
    int64_t base;            /* the smallest cost, in steps of the first round */
    uint64_t *u, *v;         /* rows + 1, cols + 1 prices of s.words words; the last are those of the pseudo-row and the pseudo-column */
    double *near_u, *near_v; /* about the same */
    int32_t *col_of;         /* rows: the column, `cols` for none, -1 before the first search */
    int32_t *left;           /* cols + 1: places in it that no row has */
    int32_t *spare;          /* cols + 1: places in it that the pseudo-row holds */

    /* one round: the entries that can matter, and prices in its steps */
    size_t *start; /* lines + 1 */
    int32_t *slot;
    int64_t *value, *add_u, *add_v;
    int32_t *first, *next, *prev;

    mosaic_lap__search search;
    int32_t door; /* the slot from which the pseudo-row was reached */
    mosaic_lap__ties ties;
} mosaic_lap__exact;

static int32_t mosaic_lap__all_places(const mosaic_lap__exact *q, int32_t slot)
{
    return slot == q->cols ? (int32_t)(q->rows - q->room) : q->s.p->capacity ? q->s.p->capacity[slot] : 1;
}

static int32_t mosaic_lap__places(const mosaic_lap__exact *q, int32_t slot) { return q->left[slot] - q->spare[slot]; }

static void mosaic_lap__net_scan(mosaic_lap__exact *q, int32_t line)
{
    mosaic_lap__search *s = &q->search;
    const int64_t shift = s->distance - q->add_u[line];
    size_t e, end = q->start[line + 1];
    s->at[line] = s->distance;
    s->seen[s->seen_count++] = line;
    for (e = q->start[line]; e < end && s->nearest > s->distance; e++) {
        int32_t slot = q->slot[e];
        mosaic_lap__search_reach(s, slot, line, q->value[e] - q->add_v[slot] + shift, mosaic_lap__places(q, slot) > 0);
    }
}

/* Gives a row a slot, moving others along the cheapest path. There is one: all rows can have slots. */
static void mosaic_lap__net_enter(mosaic_lap__exact *q, int32_t row)
{
    int32_t i, slot;
    size_t e;
    mosaic_lap__search_start(&q->search);
    q->door = -1;
    q->add_u[row] = MOSAIC_LAP__FAR;
    for (e = q->start[row]; e < q->start[row + 1]; e++) {
        int64_t x = q->value[e] - q->add_v[q->slot[e]];
        if (x < q->add_u[row]) q->add_u[row] = x;
    }
    mosaic_lap__net_scan(q, row);
    while ((slot = mosaic_lap__search_next(&q->search)) >= 0) {
        for (i = q->first[slot]; i >= 0 && q->search.nearest > q->search.distance; i = q->next[i]) mosaic_lap__net_scan(q, i);
        if (q->spare[slot] > 0 && q->door < 0 && q->search.nearest > q->search.distance) {
            q->door = slot;
            mosaic_lap__net_scan(q, q->rows);
        }
    }
    MOSAIC_LAP_ASSERT(q->search.sink >= 0);

    for (i = 0; i < q->search.popped_count; i++) q->add_v[q->search.popped[i]] -= q->search.nearest - q->search.dist[q->search.popped[i]];
    for (i = 0; i < q->search.seen_count; i++) q->add_u[q->search.seen[i]] += q->search.nearest - q->search.at[q->search.seen[i]];
    for (slot = q->search.sink; slot >= 0;) {
        int32_t line = q->search.from[slot], left = line == q->rows ? q->door : q->col_of[line];
        if (line == q->rows) {
            q->spare[slot]++;
            q->spare[left]--;
        } else {
            mosaic_lap__move(q->col_of, q->first, q->next, q->prev, q->left, line, slot);
        }
        slot = left;
    }
    mosaic_lap__search_end(&q->search);
}

/* What the prices leave of an entry that costs mantissa * 2^shift. */
static void mosaic_lap__left(const mosaic_lap__exact *q, int32_t line, int32_t slot, int64_t mantissa, int shift, uint64_t *left)
{
    const int words = q->s.words;
    memset(left, 0, (size_t)words * sizeof *left);
    mosaic_lap__long_add(left, words, mantissa, shift, 0);
    mosaic_lap__long_add_long(left, q->u + (size_t)line * (size_t)words, words, 1, 1);
    mosaic_lap__long_add_long(left, q->v + (size_t)slot * (size_t)words, words, 1, 1);
}

/* The first round: all entries that are allowed. What is null is not written. */
static size_t mosaic_lap__gather_all(const mosaic_lap__exact *q, int32_t line, int k, int32_t *slot, int64_t *value)
{
    size_t at = mosaic_lap__begin(&q->s, line), end = mosaic_lap__end(&q->s, line), count = 0;
    for (; at < end; at++) {
        int64_t mantissa;
        int shift;
        if (mosaic_lap__is_forbidden(&q->s, at)) continue;
        if (slot) slot[count] = mosaic_lap__column(&q->s, line, at);
        if (value) {
            mosaic_lap__cost_at(&q->s, at, &mantissa, &shift);
            value[count] = mosaic_lap__steps(mantissa, shift, k) - q->base;
        }
        count++;
    }
    if (q->rows > q->room) {
        if (slot) slot[count] = q->cols;
        if (value) value[count] = 0;
        count++;
    }
    return count;
}

/* Later: the entries of a line of which at most `limit` bits are left, in steps of 2^k. Returns how many; with `slot` null, which there can be at
   most. What is sure to be far above the limit by a look in floating point is looked at no closer: `above`. */
static size_t mosaic_lap__gather_near(const mosaic_lap__exact *q, int32_t line, int limit, double above, int k, int32_t *slot, int64_t *value)
{
    const int words = q->s.words, pseudo = line == q->rows;
    const size_t begin = pseudo ? 0 : mosaic_lap__begin(&q->s, line), end = pseudo ? (size_t)q->cols : mosaic_lap__end(&q->s, line);
    const double base = q->near_u[line], *near_v = q->near_v;
    const double *plain = q->s.p->kind == MOSAIC_LAP_DOUBLE && !q->s.p->maximise && !q->s.p->row_start ? (const double *)q->s.p->cost : NULL;
    uint64_t left[MOSAIC_LAP__WORDS];
    size_t at, count = 0;
    for (at = begin; at < end + (q->rows > q->room); at++) {
        int64_t mantissa = 0;
        int32_t j;
        int shift = 0;
        if (plain && !pseudo) /* most entries of most problems end here */
            while (at < end && plain[at] - base - near_v[at - begin] > above) at++;
        if (at == end && q->rows <= q->room) break;
        j = at == end ? q->cols : pseudo ? (int32_t)at : mosaic_lap__column(&q->s, line, at);
        if (!pseudo && at < end) {
            if (mosaic_lap__about(&q->s, at) - base - near_v[j] > above) continue;
            if (slot && !mosaic_lap__cost_at(&q->s, at, &mantissa, &shift)) continue;
        }
        if (slot) {
            mosaic_lap__left(q, line, j, mantissa, shift, left);
            MOSAIC_LAP_ASSERT(!mosaic_lap__long_negative(left, words));
            if (mosaic_lap__long_bits(left, words) > limit) continue;
            slot[count] = j;
            value[count] = mosaic_lap__long_part(left, words, k);
        }
        count++;
    }
    return count;
}

static void mosaic_lap__exact_layout(mosaic_lap__exact *q, mosaic_lap__arena *a)
{
    size_t lines = (size_t)q->rows + 1, slots = (size_t)q->cols + 1, words = (size_t)q->s.words;
    q->u = (uint64_t *)mosaic_lap__take(a, lines, words * sizeof(uint64_t));
    q->v = (uint64_t *)mosaic_lap__take(a, slots, words * sizeof(uint64_t));
    q->near_u = (double *)mosaic_lap__take(a, lines, sizeof(double));
    q->near_v = (double *)mosaic_lap__take(a, slots, sizeof(double));
    q->col_of = (int32_t *)mosaic_lap__take(a, lines, sizeof(int32_t));
    q->left = (int32_t *)mosaic_lap__take(a, slots, sizeof(int32_t));
    q->spare = (int32_t *)mosaic_lap__take(a, slots, sizeof(int32_t));
    q->start = (size_t *)mosaic_lap__take(a, lines + 1, sizeof(size_t));
    q->add_u = (int64_t *)mosaic_lap__take(a, lines, sizeof(int64_t));
    q->add_v = (int64_t *)mosaic_lap__take(a, slots, sizeof(int64_t));
}

static void mosaic_lap__round_layout(mosaic_lap__exact *q, size_t entries, mosaic_lap__arena *a)
{
    size_t lines = (size_t)q->rows + 1, slots = (size_t)q->cols + 1, i = sizeof(int32_t), l = sizeof(int64_t);
    q->slot = (int32_t *)mosaic_lap__take(a, entries, i);
    q->value = (int64_t *)mosaic_lap__take(a, entries, l);
    q->first = (int32_t *)mosaic_lap__take(a, slots, i);
    q->next = (int32_t *)mosaic_lap__take(a, lines, i);
    q->prev = (int32_t *)mosaic_lap__take(a, lines, i);
    mosaic_lap__search_layout(&q->search, slots, lines, slots, a);
    q->ties.rows = q->rows;
    q->ties.cols = q->cols;
    q->ties.groups = 0;
    q->ties.capacity = q->s.p->capacity;
    q->ties.group = q->ties.quota = NULL;
    mosaic_lap__ties_layout(&q->ties, entries, a); /* an entry takes a word at most */
}

/* The cheapest slot of a row, -1 when it has none, and how cheap that and the next one are. */
static int32_t mosaic_lap__round_best(const mosaic_lap__exact *q, int32_t row, int64_t least[2])
{
    int64_t first = MOSAIC_LAP__FAR, second = MOSAIC_LAP__FAR;
    int32_t slot = -1;
    size_t e;
    for (e = q->start[row]; e < q->start[row + 1]; e++) {
        int64_t x = q->value[e] - q->add_v[q->slot[e]], other = x < first ? first : x;
        second = other < second ? other : second;
        slot = x < first ? q->slot[e] : slot;
        first = x < first ? x : first;
    }
    least[0] = first;
    least[1] = second;
    return slot;
}

/* For as many rows as columns, one use each: the auction of the solver for tables, on these entries. */
static void mosaic_lap__round_auction(mosaic_lap__exact *q)
{
    const int64_t lowest = -((int64_t)1 << 59); /* all sums stay within 64 bits */
    int64_t bids = MOSAIC_LAP__ROUND_BIDS * (int64_t)q->rows, high = 0, eps, least[2], *own = q->search.at;
    int32_t row, slot, other, head, count, *queue = q->search.seen;
    size_t e;
    for (e = 0; e < q->start[q->rows]; e++)
        if (q->value[e] > high) high = q->value[e];
    for (row = 0; row < q->rows; row++) own[row] = q->add_u[row];              /* what the slot costs that it has: no price has fallen yet */
    for (eps = high / 64 + 1;; eps = eps / 8 > high / q->rows ? eps / 8 : 0) { /* below that the searches are quicker */
        count = 0;
        for (row = 0; row < q->rows; row++) {
            mosaic_lap__round_best(q, row, least);
            q->add_u[row] = least[0];
            slot = q->col_of[row];
            if (slot >= 0 && own[row] - q->add_v[slot] - least[0] > eps)
                mosaic_lap__move(q->col_of, q->first, q->next, q->prev, q->left, row, slot = -1);
            if (slot < 0) queue[count++] = row;
        }
        if (eps == 0) return;
        for (head = 0; head < count && bids > 0; bids--) {
            row = queue[head];
            slot = mosaic_lap__round_best(q, row, least);
            if (slot < 0 || q->add_v[slot] < lowest) bids = 1; /* the last one */
            if (slot < 0) continue;
            if (least[1] == MOSAIC_LAP__FAR) least[1] = least[0] + high;
            own[row] = least[0] + q->add_v[slot];
            q->add_v[slot] -= least[1] - least[0] + eps;
            other = q->first[slot];
            if (other >= 0) mosaic_lap__move(q->col_of, q->first, q->next, q->prev, q->left, other, -1);
            mosaic_lap__move(q->col_of, q->first, q->next, q->prev, q->left, row, slot);
            if (other >= 0)
                queue[head] = other; /* it bids next */
            else
                head++;
        }
    }
}

/* All slots empty, at no price; none has been reached. */
static void mosaic_lap__round_empty(mosaic_lap__exact *q)
{
    int32_t i, slots = q->cols + (q->rows > q->room);
    for (i = 0; i < slots; i++) {
        q->add_v[i] = 0;
        q->first[i] = -1;
        q->left[i] = mosaic_lap__all_places(q, i);
        q->search.dist[i] = MOSAIC_LAP__FAR;
    }
}

/* ---- is there a solution at all? ----
   Before anything is searched for at a price, rows are matched at none (Hopcroft and Karp 1973): all of them take the first slot with a place; then,
   again and again, layers of slots and rows are laid around the rows without one, up to the first layer that has a place, and as many
   rows as possible are passed on from layer to layer. That takes some ten passes over the entries, while a search at a price may look for long for
   what does not exist. */

/* Lays the layers around the rows from ... to - 1 that have no slot: search.at of rows, search.dist of slots. Whether a place was reached. */
static int mosaic_lap__layers(mosaic_lap__exact *q, int32_t from, int32_t to)
{
    mosaic_lap__search *s = &q->search;
    int64_t last = MOSAIC_LAP__FAR; /* the layer that has a place */
    int32_t i, head;
    size_t e;
    for (i = 0; i < s->touched_count; i++) s->dist[s->touched[i]] = MOSAIC_LAP__FAR;
    s->touched_count = s->seen_count = 0;
    for (i = 0; i < q->rows; i++) {
        s->at[i] = MOSAIC_LAP__FAR;
        if (q->col_of[i] >= 0 || i < from || i >= to) continue;
        s->at[i] = 0;
        s->seen[s->seen_count++] = i;
    }
    for (head = 0; head < s->seen_count && s->at[s->seen[head]] < last; head++) {
        const int32_t row = s->seen[head];
        for (e = q->start[row]; e < q->start[row + 1]; e++) {
            const int32_t slot = q->slot[e];
            if (s->dist[slot] != MOSAIC_LAP__FAR) continue;
            s->dist[slot] = s->at[row] + 1;
            s->touched[s->touched_count++] = slot;
            s->from[slot] = q->first[slot];
            if (q->left[slot] > 0) last = s->dist[slot];
            for (i = q->first[slot]; i >= 0; i = q->next[i]) {
                s->at[i] = s->dist[slot];
                s->seen[s->seen_count++] = i;
            }
        }
    }
    return last != MOSAIC_LAP__FAR;
}

/* Passes rows on from a row without a slot to a place, layer by layer; what has been tried is not tried again: add_u says up to which entry of a row,
   search.from which row of a slot comes next. */
static void mosaic_lap__pass_layers(mosaic_lap__exact *q, int32_t row)
{
    int32_t *path = q->search.seen, depth = 0;
    path[0] = row;
    while (depth >= 0) {
        const int32_t line = path[depth], slot = (size_t)q->add_u[line] < q->start[line + 1] ? q->slot[q->add_u[line]] : -1;
        if (slot < 0) {
            depth--; /* a blind alley */
        } else if (q->search.dist[slot] != q->search.at[line] + 1) {
            q->add_u[line]++;
        } else if (q->left[slot] > 0) {
            for (; depth >= 0; depth--) mosaic_lap__move(q->col_of, q->first, q->next, q->prev, q->left, path[depth], q->slot[q->add_u[path[depth]]]);
        } else if (q->search.from[slot] < 0) {
            q->add_u[line]++;
        } else {
            path[++depth] = q->search.from[slot];
            q->search.from[slot] = q->next[path[depth]];
        }
    }
}

/* Returns a row for which there is no slot, the layers around it being all that it can come to, or -1. */
static int32_t mosaic_lap__round_match(mosaic_lap__exact *q)
{
    int32_t i, unserved;
    size_t e;
    mosaic_lap__round_empty(q);
    mosaic_lap__search_start(&q->search);
    for (i = 0; i < q->rows; i++)
        for (e = q->start[i]; e < q->start[i + 1] && q->col_of[i] < 0; e++)
            if (q->left[q->slot[e]] > 0) mosaic_lap__move(q->col_of, q->first, q->next, q->prev, q->left, i, q->slot[e]);
    for (;;) {
        for (unserved = 0; unserved < q->rows && q->col_of[unserved] >= 0;) unserved++;
        if (unserved == q->rows) break;
        if (!mosaic_lap__layers(q, 0, q->rows)) {
            mosaic_lap__layers(q, unserved, unserved + 1);
            return unserved;
        }
        for (i = 0; i < q->rows; i++) q->add_u[i] = (int64_t)q->start[i];
        for (i = unserved; i < q->rows; i++)
            if (q->col_of[i] < 0) mosaic_lap__pass_layers(q, i);
    }
    for (i = 0; i < q->rows; i++) q->col_of[i] = -1;
    return -1;
}

/* Every row its slot, in the numbers of this round; rows that have the cheapest one keep it. There is one for each. */
static void mosaic_lap__round_serve(mosaic_lap__exact *q)
{
    int32_t i, line, lines = q->rows + q->closed, slots = q->cols + (q->rows > q->room);
    size_t e;
    mosaic_lap__round_empty(q);
    mosaic_lap__heap_start(&q->search.heap, slots);
    for (line = 0; line < lines; line++) {
        int64_t least = MOSAIC_LAP__FAR, own = MOSAIC_LAP__FAR;
        int32_t before = line < q->rows ? q->col_of[line] : -1;
        for (e = q->start[line]; e < q->start[line + 1]; e++) {
            if (q->value[e] < least) least = q->value[e];
            if (q->slot[e] == before) own = q->value[e];
        }
        q->add_u[line] = least;
        if (line == q->rows) break;
        q->col_of[line] = -1;
        if (before >= 0 && own == least) mosaic_lap__move(q->col_of, q->first, q->next, q->prev, q->left, line, before);
    }
    if (q->rows > 0 && q->rows == q->room && !q->s.p->capacity) mosaic_lap__round_auction(q);
    for (i = 0; i < q->rows; i++)
        if (q->col_of[i] < 0) mosaic_lap__net_enter(q, i);
}

/* The one optimum, from the entries that are tight at the end. */
static int mosaic_lap__round_ties(mosaic_lap__exact *q)
{
    mosaic_lap__ties *g = &q->ties;
    int32_t i;
    size_t e;
    int unique;
    mosaic_lap__ties_start(g);
    for (i = 0; i < q->rows; i++) mosaic_lap__ties_put(g, i, q->col_of[i]);
    for (i = 0; !q->closed && q->rows < q->room && i < q->cols; i++)
        if (q->add_v[i] == 0) g->map[i / 64] |= (uint64_t)1 << (i % 64);
    for (i = -1; i < q->rows; i++) { /* the pseudo-row first */
        const int32_t line = i < 0 ? q->rows : i;
        for (e = i >= 0 || q->closed ? q->start[line] : 0; (i >= 0 || q->closed) && e < q->start[line + 1]; e++) {
            int32_t j = q->slot[e];
            if (q->value[e] == q->add_u[line] + q->add_v[j]) g->map[j / 64] |= (uint64_t)1 << (j % 64);
        }
        mosaic_lap__keep_words(g, line);
    }
    mosaic_lap__components(g);
    unique = !mosaic_lap__prune(g);
    mosaic_lap__smallest(g);
    for (i = 0; i < q->rows; i++) q->col_of[i] = g->col_of[i];
    return unique;
}

/* What clashes when a row cannot be matched: the rows seen can have the columns touched only, and these are taken by them. With a pseudo-column,
   which is among those touched then, it is the others who are too few for the other columns. */
static void mosaic_lap__round_clash(const mosaic_lap__exact *q, int32_t row, mosaic_lap_solution *out)
{
    const int other = q->rows > q->room;
    int32_t i;
    if (out->clash_rows) memset(out->clash_rows, other, (size_t)q->rows);
    if (out->clash_cols) memset(out->clash_cols, other, (size_t)q->cols);
    for (i = 0; out->clash_rows && i < q->search.seen_count; i++) out->clash_rows[q->search.seen[i]] = !other;
    for (i = 0; out->clash_cols && i < q->search.touched_count; i++)
        if (q->search.touched[i] < q->cols) out->clash_cols[q->search.touched[i]] = !other;
    if (other) {
        for (i = 0; i < q->cols && (q->search.dist[i] != MOSAIC_LAP__FAR || mosaic_lap__places(q, i) <= 0); i++) {
        }
        out->col = i;
    } else {
        out->row = row;
    }
}

/* One round of the search, in steps of 2^k units, on the entries of which at most `limit` bits are left; with limit -1, the first round, on all.
   The last one has k = 0. */
static mosaic_lap_result mosaic_lap__round(mosaic_lap__exact *q, const mosaic_lap_options *o, int limit, int k, mosaic_lap_solution *out)
{
    const int words = q->s.words;
    mosaic_lap__arena a;
    mosaic_lap_result result = MOSAIC_LAP_OK;
    void *memory = NULL;
    double above = 0;
    int32_t line, row = -1, i, lines = q->rows + q->closed;
    int pass;
    if (limit >= 0) { /* twice the limit, and 2^5 roundings of the largest number */
        double largest = mosaic_lap__scaled(1, q->s.top + q->s.exponent);
        largest = mosaic_lap__nearby(q->u, q->rows + 1, words, q->s.exponent, q->near_u, largest);
        largest = mosaic_lap__nearby(q->v, q->cols + 1, words, q->s.exponent, q->near_v, largest);
        above = 2 * mosaic_lap__scaled(1, limit + q->s.exponent) + mosaic_lap__scaled(largest, -48);
    }
    q->start[0] = 0;
    for (pass = 0; pass < (limit < 0 ? 3 : 2) && row < 0;
         pass++) { /* count, then write; in the first round which there are, and, if that will do, what they cost */
        for (line = 0; line < lines; line++) {
            int32_t *slot = pass ? q->slot + q->start[line] : NULL;
            int64_t *value = pass == (limit < 0 ? 2 : 1) ? q->value + q->start[line] : NULL;
            size_t count =
                limit < 0 ? mosaic_lap__gather_all(q, line, k, slot, value) : mosaic_lap__gather_near(q, line, limit, above, k, slot, value);
            q->start[line + 1] = q->start[line] + count;
        }
        if (pass == 1 && limit < 0) row = mosaic_lap__round_match(q);
        if (pass > 0) continue;
        mosaic_lap__round_layout(q, q->start[lines], mosaic_lap__ruler(&a));
        if (a.overflow) return MOSAIC_LAP_ERROR_SIZE;
        result = mosaic_lap__open(o, a.used + 64, &memory, &a);
        if (result != MOSAIC_LAP_OK) return result;
        mosaic_lap__round_layout(q, q->start[lines], &a);
    }

    if (row >= 0) {
        mosaic_lap__round_clash(q, row, out);
        result = MOSAIC_LAP_ERROR_INFEASIBLE;
    } else {
        mosaic_lap__round_serve(q);
        for (i = 0; i < lines; i++) mosaic_lap__long_add(q->u + (size_t)i * (size_t)words, words, q->add_u[i], k, 0);
        for (i = 0; i < q->cols + (q->rows > q->room); i++) mosaic_lap__long_add(q->v + (size_t)i * (size_t)words, words, q->add_v[i], k, 0);
        if (k == 0) q->unique = mosaic_lap__round_ties(q);
    }
    mosaic_lap__close(o, memory);
    return result;
}

/* From now on the pseudo-row has what is empty. */
static void mosaic_lap__close_net(mosaic_lap__exact *q)
{
    int32_t i;
    q->closed = q->rows < q->room;
    for (i = 0; i <= q->cols; i++) q->left[i] = mosaic_lap__all_places(q, i);
    for (i = 0; i < q->rows; i++) q->left[q->col_of[i]]--;
    for (i = 0; q->closed && i < q->cols; i++) q->spare[i] = q->left[i];
}

/* What is left of the caller's memory, for a call from within. */
static void mosaic_lap__rest(const mosaic_lap_options *o, const mosaic_lap__arena *a, mosaic_lap_options *inner)
{
    *inner = *o;
    if (!o->work) return;
    inner->work = a->base + a->used;
    inner->work_size = o->work_size - (size_t)((unsigned char *)inner->work - (unsigned char *)o->work);
}

#define MOSAIC_LAP__TABLE_BITS 29
#define MOSAIC_LAP__SMALL_WORDS 2 /* of prices of small tables */
#ifndef MOSAIC_LAP__SMALL
#define MOSAIC_LAP__SMALL ((int64_t)1 << 20) /* entries */
#define MOSAIC_LAP__LOOKS ((int64_t)1 << 25) /* at entries, before one of these turns out not to be small */
#endif
#define MOSAIC_LAP__FEW 2048 /* entries: fewer are not worth a table */

/* The step of the table: its numbers should reach as far as the costs. A few that are far larger than the rest (as many users write "never")
   would take the sharpness from all others, so that they are cut off then; `clipped` says so. */
static int mosaic_lap__table_step(const mosaic_lap__source *s, int *clipped)
{
    const int all = s->range - MOSAIC_LAP__TABLE_BITS;
    const size_t cells = (size_t)s->p->rows * (size_t)s->p->cols, pace = cells / 61 + 1;
    uint64_t x[MOSAIC_LAP__WORDS];
    int32_t of_bits[64 * MOSAIC_LAP__WORDS];
    int32_t count = 0, below = 0;
    int bits = 0, k, shift;
    int64_t mantissa;
    size_t i;
    *clipped = 0;
    if (all <= 0) return all;
    memset(of_bits, 0, sizeof of_bits);
    for (i = 0; i < cells; i += pace) {
        size_t at = i / (size_t)s->p->cols * s->stride + i % (size_t)s->p->cols;
        if (!mosaic_lap__cost_at(s, at, &mantissa, &shift)) continue;
        memset(x, 0, (size_t)s->words * sizeof *x);
        mosaic_lap__long_add(x, s->words, mantissa, shift, 0);
        mosaic_lap__long_add(x, s->words, s->low_mantissa, s->low_shift, 1);
        of_bits[mosaic_lap__long_bits(x, s->words)]++;
        count++;
    }
    while (below < (count + 3) / 4) below += of_bits[bits++];
    k = bits + 2 - MOSAIC_LAP__TABLE_BITS; /* a quarter is below 2^(bits - 1); eight times that */
    if (k < s->top - 60) k = s->top - 60;
    if (k < 0) k = 0;
    *clipped = k < all;
    return *clipped ? k : all;
}

/* Bits of the largest difference between a cost in use and its prices. */
static int mosaic_lap__most_left(const mosaic_lap__exact *q)
{
    uint64_t left[MOSAIC_LAP__WORDS];
    int most = 0;
    int32_t i;
    for (i = 0; i < q->rows; i++) {
        int64_t mantissa;
        int shift, bits;
        if (q->col_of[i] == q->cols) continue;
        mosaic_lap__cost_at(&q->s, mosaic_lap__begin(&q->s, i) + (size_t)q->col_of[i], &mantissa, &shift);
        mosaic_lap__left(q, i, q->col_of[i], mantissa, shift, left);
        bits = mosaic_lap__long_bits(left, q->s.words);
        if (bits > most) most = bits;
    }
    return most;
}

/* One line of that table. What lies beyond its numbers stays at their end: too cheap, but never too expensive. */
static void mosaic_lap__table_row(const mosaic_lap__source *s, int32_t row, int k, int64_t base, int32_t *out)
{
    const mosaic_lap_problem *p = s->p;
    const size_t from = (size_t)row * s->stride;
    const int power = -(k + s->exponent), quick = s->real && k < 900 && power > -900 && power < 900; /* no step is below the normal range */
    const double sign = p->maximise ? -1 : 1, scale = sign * mosaic_lap__scaled(1, quick ? power : 0);
    int32_t j;
    for (j = 0; j < p->cols; j++) {
        int64_t x, mantissa;
        int shift;
        out[j] = MOSAIC_LAP_FORBIDDEN;
        if (quick) {
            double real = mosaic_lap__real(p, from + (size_t)j), steps = real * scale;
            if (real > DBL_MAX) continue;
            x = (int64_t)steps;
            x -= (double)x > steps;
        } else {
            if (!mosaic_lap__cost_at(s, from + (size_t)j, &mantissa, &shift)) continue;
            x = mosaic_lap__steps(mantissa, shift, k);
        }
        x -= base;
        out[j] = x < (1 << MOSAIC_LAP__TABLE_BITS) ? (int32_t)x : 1 << MOSAIC_LAP__TABLE_BITS;
    }
}

/* The first round of a dense problem: a table of int32 in steps of 2^k, for the solver of tables. */
static mosaic_lap_result mosaic_lap__round_table(mosaic_lap__exact *q, const mosaic_lap_options *o, int k, mosaic_lap_solution *out)
{
    const int words = q->s.words;
    mosaic_lap_problem p = *q->s.p;
    mosaic_lap_options inner;
    mosaic_lap_solution s;
    mosaic_lap__arena a;
    mosaic_lap_result result;
    void *memory;
    int32_t *table, i;
    size_t cells = (size_t)p.rows * (size_t)p.cols;
    memset(&s, 0, sizeof s);
    mosaic_lap__take(mosaic_lap__ruler(&a), cells, sizeof(int32_t));
    if (a.overflow) return MOSAIC_LAP_ERROR_SIZE;
    result = mosaic_lap__open(o, a.used + 64, &memory, &a);
    if (result != MOSAIC_LAP_OK) return result;
    table = (int32_t *)mosaic_lap__take(&a, cells, sizeof(int32_t));
    mosaic_lap__rest(o, &a, &inner);
    for (i = 0; i < p.rows; i++) mosaic_lap__table_row(&q->s, i, k, q->base, table + (size_t)i * (size_t)p.cols);
    p.kind = MOSAIC_LAP_INT32;
    p.order = MOSAIC_LAP_ORDER_ROWS;
    p.cost = table;
    p.stride = 0;
    p.maximise = 0;
    inner.start = NULL;
    s.row = s.col = -1;
    s.col_of_row = q->col_of;
    s.u = q->add_u;
    s.v = q->add_v;
    s.clash_rows = out->clash_rows;
    s.clash_cols = out->clash_cols;
    result = mosaic_lap__solve_table(&p, &inner, &s);
    out->row = s.row;
    out->col = s.col;
    q->unique = s.unique;
    if (result == MOSAIC_LAP_OK) {
        for (i = 0; i < p.rows; i++) {
            mosaic_lap__long_add(q->u + (size_t)i * (size_t)words, words, q->add_u[i], k, 0);
            if (q->col_of[i] < 0) q->col_of[i] = q->cols;
        }
        for (i = 0; i < p.cols; i++) mosaic_lap__long_add(q->v + (size_t)i * (size_t)words, words, q->add_v[i], k, 0);
    }
    mosaic_lap__close(o, memory);
    return result;
}

/* ---- tables in doubles: SciPy's own assignment ---- */
#ifndef MOSAIC_LAP__NARROW
#define MOSAIC_LAP__NARROW 24 /* slots: so many are looked at one after the other */
#endif

typedef struct mosaic_lap__direct {
    const mosaic_lap__direct_kernels *kernels;
    int turned;                 /* more rows than columns: the lines are the columns */
    int32_t lines, slots, wide; /* wide: the slots, up to a multiple of 8 */
    double *cost;               /* lines x wide, for the smallest total; +infinity where forbidden, and beyond the slots */
    double *rows;               /* 8 rows, when turned */
    double *u, *v;              /* prices */
    int32_t *slot_of, *line_of;
    uint64_t *vacant; /* slots that no line has */

    /* one search */
    double *key, *reached;                 /* slots: how near; of those chosen, in order: how near they were */
    int32_t *path, *chosen, *rest, *place; /* path: the line a slot was reached from; rest and place: SciPy's list of slots not chosen yet */
    uint64_t *open, *same;                 /* slots not chosen yet */
} mosaic_lap__direct;

static void mosaic_lap__direct_layout(mosaic_lap__direct *d, const mosaic_lap_problem *p, int level, mosaic_lap__arena *a)
{
    size_t lines, wide, words;
    d->kernels = &mosaic_lap__direct_kernels_of[level > 2 ? 2 : level];
    d->turned = p->cols < p->rows;
    d->lines = d->turned ? p->cols : p->rows;
    d->slots = d->turned ? p->rows : p->cols;
    d->wide = (d->slots + 7) / 8 * 8;
    lines = (size_t)d->lines;
    wide = (size_t)d->wide;
    words = (wide + 63) / 64;
    d->cost = (double *)mosaic_lap__take(a, lines, wide * sizeof(double));
    d->rows = (double *)mosaic_lap__take(a, d->turned ? 8 * lines : 0, sizeof(double));
    d->u = (double *)mosaic_lap__take(a, lines, sizeof(double));
    d->v = (double *)mosaic_lap__take(a, wide, sizeof(double));
    d->slot_of = (int32_t *)mosaic_lap__take(a, lines, sizeof(int32_t));
    d->line_of = (int32_t *)mosaic_lap__take(a, wide, sizeof(int32_t));
    d->vacant = (uint64_t *)mosaic_lap__take(a, words, sizeof(uint64_t));
    d->key = (double *)mosaic_lap__take(a, wide, sizeof(double));
    d->reached = (double *)mosaic_lap__take(a, wide, sizeof(double));
    d->path = (int32_t *)mosaic_lap__take(a, wide, sizeof(int32_t));
    d->chosen = (int32_t *)mosaic_lap__take(a, wide, sizeof(int32_t));
    d->rest = (int32_t *)mosaic_lap__take(a, wide, sizeof(int32_t));
    d->place = (int32_t *)mosaic_lap__take(a, wide, sizeof(int32_t));
    d->open = (uint64_t *)mosaic_lap__take(a, words, sizeof(uint64_t));
    d->same = (uint64_t *)mosaic_lap__take(a, words, sizeof(uint64_t));
}

/* Makes the table, and surveys it; whether there is no NaN and no -infinity. */
static int mosaic_lap__direct_load(mosaic_lap__direct *d, const mosaic_lap_problem *p, size_t stride, double least[3])
{
    const double infinite = mosaic_lap__scaled(1, 1024);
    int32_t i, j, k;
    for (i = 0; i < p->rows && !d->turned; i++) mosaic_lap__doubles(p, (size_t)i * stride, p->cols, infinite, d->cost + (size_t)i * (size_t)d->wide);
    for (i = 0; i < p->rows && d->turned; i += 8) {
        const int32_t count = p->rows - i < 8 ? p->rows - i : 8, at_once = stride == (size_t)p->cols ? count : 1;
        for (k = 0; k < count; k += at_once) mosaic_lap__doubles(p, (size_t)(i + k) * stride, at_once * p->cols, infinite, d->rows + k * d->lines);
        for (j = 0; j < p->cols; j++) {
            double *to = d->cost + (size_t)j * (size_t)d->wide + i;
            for (k = 0; k < 8; k++) to[k] = d->rows[k * d->lines + j];
        }
    }
    for (i = 0; i < d->lines; i++)
        for (j = d->slots; j < d->wide; j++) d->cost[(size_t)i * (size_t)d->wide + (size_t)j] = infinite;
    return d->kernels->survey(d->cost, (size_t)d->lines * (size_t)d->wide, least);
}

/* SciPy takes a slot that has been chosen out of its list, and puts the last one in its place. */
static void mosaic_lap__direct_remove(mosaic_lap__direct *d, int32_t slot, int32_t count)
{
    int32_t last = d->rest[d->slots - 1 - count];
    d->rest[d->place[slot]] = last;
    d->place[last] = d->place[slot];
}

/* Which of the slots that are nearest SciPy chooses after `count` others: of those that are free the last in its list, or else the first. The
   list is made when there is a choice. */
static int32_t mosaic_lap__direct_choose(mosaic_lap__direct *d, int32_t count, int *listed)
{
    const int32_t words = (d->wide + 63) / 64;
    uint64_t open = 0, bits;
    int32_t found = -1, w, k;
    for (w = 0; w < words; w++) open |= d->same[w] & d->vacant[w];
    for (w = 0; w < words; w++)
        for (bits = open ? d->same[w] & d->vacant[w] : d->same[w]; bits; bits &= bits - 1) {
            int32_t slot = w * 64 + mosaic_lap__lowest(bits);
            if (found < 0) {
                found = slot;
                if (count == 0 && open) return found; /* the list runs from the last slot to the first */
                continue;
            }
            if (count == 0) {
                found = slot;
                continue;
            }
            if (!*listed) {
                *listed = 1;
                for (k = 0; k < d->slots; k++) {
                    d->rest[k] = d->slots - 1 - k;
                    d->place[k] = d->slots - 1 - k;
                }
                for (k = 0; k < count; k++) mosaic_lap__direct_remove(d, d->chosen[k], k);
            }
            if (open ? d->place[slot] > d->place[found] : d->place[slot] < d->place[found]) found = slot;
        }
    return found;
}

/* The search for a slot for one line, as SciPy does it: slot after slot of its list. Returns the slot, -1 when there is none, and how near it is. */
static int32_t mosaic_lap__direct_search(mosaic_lap__direct *d, int32_t row, double *near_by, int32_t *steps)
{
    const double infinite = mosaic_lap__scaled(1, 1024), *all = d->cost + (size_t)row * (size_t)d->wide, own = d->u[row];
    int32_t j, k, at = 0, count = 0;
    double distance = 0, least = infinite;
    for (k = 0; k < d->slots; k++) { /* the list runs from the last slot to the first */
        j = d->slots - 1 - k;
        d->key[j] = distance + all[j] - own - d->v[j];
        d->path[j] = row;
        if (d->key[j] < least || (d->key[j] == least && d->line_of[j] < 0)) {
            least = d->key[j];
            at = k;
        }
    }
    j = d->slots - 1 - at;
    if (d->line_of[j] >= 0)
        for (k = 0; k < d->slots; k++) d->rest[k] = d->slots - 1 - k;
    while (least < infinite) {
        const int32_t i = d->line_of[j];
        const double *cost;
        double u;
        distance = least;
        d->reached[count] = distance;
        d->chosen[count++] = j;
        if (i < 0) {
            *steps = count;
            *near_by = distance;
            return j;
        }
        d->rest[at] = d->rest[d->slots - count];
        cost = d->cost + (size_t)i * (size_t)d->wide;
        u = d->u[i];
        least = infinite;
        for (k = 0; k < d->slots - count; k++) {
            double x;
            j = d->rest[k];
            x = distance + cost[j] - u - d->v[j];
            if (x < d->key[j]) {
                d->key[j] = x;
                d->path[j] = i;
            }
            if (d->key[j] < least || (d->key[j] == least && d->line_of[j] < 0)) {
                least = d->key[j];
                at = k;
            }
        }
        j = d->rest[at];
    }
    return -1;
}

/* The same on all slots at once. */
static int32_t mosaic_lap__direct_sweeps(mosaic_lap__direct *d, int32_t row, double *near_by, int32_t *steps)
{
    const double infinite = mosaic_lap__scaled(1, 1024);
    const int32_t words = (d->wide + 63) / 64;
    int32_t i = row, j, count = 0;
    double distance = 0;
    int listed = 0;
    for (j = 0; j < words; j++) d->open[j] = ~(uint64_t)0;
    for (;; i = d->line_of[j]) {
        distance = d->kernels->sweep(d->cost + (size_t)i * (size_t)d->wide, d->wide, count == 0, distance, d->u[i], d->v, d->open, d->key, d->path, i,
                                     d->same);
        if (!(distance < infinite)) return -1;
        j = mosaic_lap__direct_choose(d, count, &listed);
        if (listed) mosaic_lap__direct_remove(d, j, count);
        d->reached[count] = distance;
        d->chosen[count++] = j;
        d->open[j / 64] &= ~((uint64_t)1 << (j % 64));
        if (d->line_of[j] < 0) break;
    }
    *steps = count;
    *near_by = distance;
    return j;
}

/* linear_sum_assignment's sequence of comparisons and of additions in double precision (after Crouse 2016; the same in SciPy 1.4 to 1.17), on
   the table that SciPy would make of these costs, so that ties, and roundings, fall the same way. 0 when there is no solution, or its sums
   overflow, or more than `most` entries would be looked at. */
static int mosaic_lap__direct_serve(mosaic_lap__direct *d, int64_t most)
{
    const int32_t words = (d->wide + 63) / 64;
    const int narrow = !d->kernels->sweep || d->slots <= MOSAIC_LAP__NARROW;
    int32_t row, i, j, k;
    for (i = 0; i < d->lines; i++) {
        d->u[i] = 0;
        d->slot_of[i] = -1;
    }
    for (j = 0; j < d->wide; j++) {
        d->v[j] = 0;
        d->line_of[j] = -1;
    }
    for (j = 0; j < words; j++) d->vacant[j] = ~(uint64_t)0;
    for (row = 0; row < d->lines; row++) {
        double distance;
        int32_t count, before,
            sink = narrow ? mosaic_lap__direct_search(d, row, &distance, &count) : mosaic_lap__direct_sweeps(d, row, &distance, &count);
        if (sink < 0) return 0;
        most -= (int64_t)count * d->wide;
        if (most < 0) return 0;
        d->u[row] += distance;
        for (k = 0; k < count - 1; k++) { /* all but the last of them, the sink */
            j = d->chosen[k];
            d->u[d->line_of[j]] += distance - d->reached[k];
            d->v[j] -= distance - d->reached[k];
        }
        d->vacant[sink / 64] &= ~((uint64_t)1 << (sink % 64));
        for (j = sink;; j = before) {
            i = d->path[j];
            before = d->slot_of[i];
            d->line_of[j] = i;
            d->slot_of[i] = j;
            if (i == row) break;
        }
    }
    return 1;
}

/* For a problem that is known to have a solution. */
static mosaic_lap_result mosaic_lap__scipy_order(mosaic_lap__exact *q, const mosaic_lap_options *o, int level)
{
    const mosaic_lap_problem *p = q->s.p;
    mosaic_lap__direct d;
    mosaic_lap__arena a;
    mosaic_lap_result result;
    double least[3] = {0, 0, 0};
    void *memory;
    int32_t i;
    mosaic_lap__direct_layout(&d, p, level, mosaic_lap__ruler(&a));
    if (a.overflow) return MOSAIC_LAP_ERROR_SIZE;
    result = mosaic_lap__open(o, a.used + 64, &memory, &a);
    if (result != MOSAIC_LAP_OK) return result;
    mosaic_lap__direct_layout(&d, p, level, &a);
    mosaic_lap__direct_load(&d, p, q->s.stride, least);
    if (mosaic_lap__direct_serve(&d, INT64_MAX))
        for (i = 0; i < p->rows; i++) q->col_of[i] = !d.turned ? d.slot_of[i] : d.line_of[i] < 0 ? q->cols : d.line_of[i];
    else
        result = MOSAIC_LAP_ERROR_NUMBER;
    mosaic_lap__close(o, memory);
    return result;
}

/* Adds x to the price of every row and takes it from those of the columns, or the other way round. */
static void mosaic_lap__shift_prices(mosaic_lap__exact *q, const uint64_t *x, int subtract)
{
    const size_t words = (size_t)q->s.words;
    int32_t i;
    for (i = 0; i < q->rows; i++) mosaic_lap__long_add_long(q->u + (size_t)i * words, x, (int)words, 1, subtract);
    for (i = 0; i < q->cols; i++) mosaic_lap__long_add_long(q->v + (size_t)i * words, x, (int)words, 1, !subtract);
}

/* Writes the prices and totals; everything is known. Null prices: they exist, but nobody wants them. */
static mosaic_lap_result mosaic_lap__exact_answer(mosaic_lap__exact *q, mosaic_lap_solution *out)
{
    const mosaic_lap_problem *p = q->s.p;
    const int words = q->s.words, given = out->words > 1 ? out->words : 1, turned = q->rows > q->room;
    uint64_t sum[MOSAIC_LAP__WORDS], primal[MOSAIC_LAP__WORDS], dual[MOSAIC_LAP__WORDS];
    int32_t i, j;
    int needed = 0, pass;
    /* the pseudo-row and the pseudo-column have the price 0 */
    if (q->u && (q->closed || turned))
        mosaic_lap__shift_prices(q, turned ? q->v + (size_t)q->cols * (size_t)words : q->u + (size_t)q->rows * (size_t)words, !turned);
    memset(primal, 0, (size_t)words * sizeof *primal);
    memset(dual, 0, (size_t)words * sizeof *dual);
    for (pass = 0; pass < 2; pass++) /* rows, columns */
        for (i = 0; q->u && i < (pass ? q->cols : q->rows); i++) {
            uint64_t *price = (pass ? q->v : q->u) + (size_t)i * (size_t)words;
            int bits;
            if (p->maximise) { /* -c - 1 was the cost of whole numbers */
                if (!q->s.real && pass == turned) mosaic_lap__long_add(price, words, 1, 0, 0);
                memset(sum, 0, (size_t)words * sizeof *sum);
                mosaic_lap__long_add_long(sum, price, words, 1, 1);
                memcpy(price, sum, (size_t)words * sizeof *price);
            }
            mosaic_lap__long_add_long(dual, price, words, pass && p->capacity ? (uint32_t)p->capacity[i] : 1, 0);
            bits = mosaic_lap__long_bits(price, words);
            if (bits > needed) needed = bits;
        }
    needed = needed / 64 + 1;
    if ((out->u || out->v) && needed > given) {
        out->words = needed;
        return MOSAIC_LAP_ERROR_WORDS;
    }
    out->matched = 0;
    for (i = 0; i < q->rows; i++) {
        int32_t col = q->col_of[i];
        size_t at = mosaic_lap__begin(&q->s, i);
        int64_t mantissa;
        int shift;
        if (out->col_of_row) out->col_of_row[i] = col < q->cols ? col : -1;
        if (col == q->cols) continue;
        if (!p->row_start) at += (size_t)col;
        while (mosaic_lap__column(&q->s, i, at) != col) at++;
        mosaic_lap__cost_at(&q->s, at, &mantissa, &shift);
        if (p->maximise && !q->s.real) mantissa = ~mantissa;
        mosaic_lap__long_add(primal, words, mantissa, shift, p->maximise && q->s.real);
        out->matched++;
    }
    for (pass = 0; pass < 2; pass++) {
        int64_t *to = pass ? out->v : out->u;
        for (i = 0; to && i < (pass ? q->cols : q->rows); i++)
            for (j = 0; j < given; j++) {
                const uint64_t *price = (pass ? q->v : q->u) + (size_t)i * (size_t)words;
                *to++ = j < words ? (int64_t)price[j] : -(int64_t)mosaic_lap__long_negative(price, words);
            }
    }
    out->unique = q->unique;
    out->exponent = q->s.exponent;
    out->total = mosaic_lap__long_double(primal, words, q->s.exponent);
    out->primal = mosaic_lap__long_clamp(primal, words);
    if (!q->u) memcpy(dual, primal, (size_t)words * sizeof *dual);
    out->dual = mosaic_lap__long_clamp(dual, words);
    mosaic_lap__long_add_long(primal, dual, words, 1, 1);
    out->gap = mosaic_lap__long_clamp(primal, words);
    return MOSAIC_LAP_OK;
}

static mosaic_lap_result mosaic_lap__solve_exact(const mosaic_lap_problem *p, const mosaic_lap_options *options, mosaic_lap_solution *out)
{
    mosaic_lap__exact q;
    mosaic_lap_options defaults, inner;
    mosaic_lap__arena a;
    mosaic_lap_result result;
    void *memory;
    int level, k, exact, table, clipped = 0, size_bits, row_bits;
    int32_t i;
    memset(&q, 0, sizeof q);
    q.s.p = p;
    result = mosaic_lap__examine(p, &q.s.stride, &q.room, &out->col);
    if (result == MOSAIC_LAP_OK) result = mosaic_lap__level(&options, &defaults, &level);
    if (result != MOSAIC_LAP_OK) return result;
    result = mosaic_lap__survey(&q.s, level, &out->row, &out->col);
    if (result != MOSAIC_LAP_OK) return result;
    q.rows = p->rows;
    q.cols = p->cols;
    mosaic_lap__exact_layout(&q, mosaic_lap__ruler(&a));
    if (a.overflow) return MOSAIC_LAP_ERROR_SIZE;
    result = mosaic_lap__open(options, a.used + 64, &memory, &a);
    if (result != MOSAIC_LAP_OK) return result;
    mosaic_lap__exact_layout(&q, &a);
    mosaic_lap__rest(options, &a, &inner);
    memset(q.u, 0, ((size_t)q.rows + 1) * (size_t)q.s.words * sizeof *q.u);
    memset(q.v, 0, ((size_t)q.cols + 1) * (size_t)q.s.words * sizeof *q.v);
    for (i = 0; i < q.rows; i++) q.col_of[i] = -1;
    for (i = 0; i <= q.cols; i++) q.spare[i] = 0;

    size_bits = mosaic_lap__bits((uint64_t)q.rows + (uint64_t)q.cols + 2);
    row_bits = mosaic_lap__bits((uint64_t)q.rows);
    k = q.s.range - (59 - size_bits); /* in the search below all costs, and sums along a path, stay below 2^61 */
    table = !p->row_start && (size_t)q.rows * (size_t)q.cols > MOSAIC_LAP__FEW;
    if (table) k = mosaic_lap__table_step(&q.s, &clipped);
    if (k < 0) k = 0;
    { /* the smallest cost counts as 0: the rows, or the columns if it is they who are all served, pay it */
        uint64_t *price = q.rows > q.room ? q.v : q.u;
        q.base = mosaic_lap__steps(q.s.low_mantissa, q.s.low_shift, k);
        for (i = 0; i < (q.rows > q.room ? q.cols : q.rows); i++)
            mosaic_lap__long_add(price + (size_t)i * (size_t)q.s.words, q.s.words, q.base, k, 0);
    }
    result = table ? mosaic_lap__round_table(&q, &inner, k, out) : mosaic_lap__round(&q, &inner, -1, k, out);
    while (result == MOSAIC_LAP_OK && (k > 0 || clipped)) {
        int limit = (clipped ? mosaic_lap__most_left(&q) : k) + row_bits;
        clipped = 0;
        mosaic_lap__close_net(&q);
        k = limit > 59 ? limit - 59 : 0;
        result = mosaic_lap__round(&q, &inner, limit, k, out);
    }
    exact = q.s.top + size_bits + 2 <= 53 &&
            q.s.top + size_bits + 2 + q.s.exponent <= 1023; /* so that SciPy's sums are exact, and it finds the only optimum, if there is only one */
    if (result == MOSAIC_LAP_OK && p->order && !(exact && q.unique)) result = mosaic_lap__scipy_order(&q, &inner, level);
    if (result == MOSAIC_LAP_OK) result = mosaic_lap__exact_answer(&q, out);
    mosaic_lap__close(options, memory);
    return result;
}

/* ---- small tables, directly ----

   For a small table SciPy's way costs less than the lists of the solver for large ones take to make. Its prices are exact when no sum in it can
   have been rounded. If some may have been, they are nearly right: only entries within a slack, far above all roundings and far below the costs,
   can be cheaper than they promise, and those few are looked at in exact numbers (`settle`). Shortest distances among them, from line to line by
   way of the slots (Bellman 1958, Ford 1956), are what the prices lack. When there are none, because the assignment is not optimal, or when a
   distance gets near the slack, the rounds above do it all. */
typedef struct mosaic_lap__settling {
    int32_t count, most;
    uint64_t *units;      /* slots: their prices in units */
    int32_t *line, *slot; /* entries within the slack, other than those in use */
    int64_t *left;        /* how much more than its line's own slot each costs, by the prices; in the end what the right prices leave */
    uint64_t *tight;      /* lines: their tight entries, a bit for each slot */
    uint64_t *maps;       /* the same of 64 rows, when these are the slots */
    int64_t *correction;  /* slots: what their prices lack; the last is that of all slots that no line has */
} mosaic_lap__settling;

/* A price in units; where it takes more than 64 bits, its lowest ones, as all sums here are of that kind whose result is not large. */
static uint64_t mosaic_lap__direct_units(const mosaic_lap__source *s, double price)
{
    int64_t mantissa;
    int shift;
    mosaic_lap__split(price, &mantissa, &shift);
    mosaic_lap__rescale(&mantissa, &shift, s->exponent);
    return shift < 64 ? (uint64_t)mantissa << shift : 0;
}

static uint64_t mosaic_lap__direct_cost(const mosaic_lap__source *s, const mosaic_lap__direct *d, int32_t line, int32_t slot)
{
    int64_t mantissa = 0;
    int shift = 0;
    mosaic_lap__cost_at(s, d->turned ? (size_t)slot * s->stride + (size_t)line : (size_t)line * s->stride + (size_t)slot, &mantissa, &shift);
    return shift < 64 ? (uint64_t)mantissa << shift : 0;
}

/* Corrects the prices; slack units are 2^bits. 0 when that does not succeed. */
static int mosaic_lap__settle(const mosaic_lap__source *s, mosaic_lap__direct *d, mosaic_lap__settling *t, double slack, int bits)
{
    const int32_t hub = d->slots, words = (d->wide + 63) / 64;
    const int64_t limit = (int64_t)1 << bits;
    int64_t *x = t->correction;
    int32_t i, j, e, w, pass;
    int changed = 1;
    t->count = 0;
    for (i = 0; i < d->lines; i++) {
        const int32_t slot = d->slot_of[i];
        const double *cost = d->cost + (size_t)i * (size_t)d->wide;
        d->u[i] = cost[slot] - d->v[slot];
        d->kernels->tight(cost, d->wide, d->u[i], d->v, slack, d->same);
        d->same[slot / 64] &= ~((uint64_t)1 << (slot % 64));
        for (w = 0; w < words; w++) {
            uint64_t found = d->same[w];
            for (; found; found &= found - 1) {
                if (t->count == t->most) return 0;
                t->line[t->count] = i;
                t->slot[t->count++] = w * 64 + mosaic_lap__lowest(found);
            }
        }
    }
    for (j = 0; j <= hub; j++) x[j] = 0;
    if (t->count == 0) return 1; /* nothing that the prices promise depends on a rounding */
    for (j = 0; j < d->slots; j++) t->units[j] = d->line_of[j] < 0 ? 0 : mosaic_lap__direct_units(s, d->v[j]);
    for (e = 0; e < t->count; e++) {
        const int32_t slot = d->slot_of[t->line[e]];
        t->left[e] = (int64_t)(mosaic_lap__direct_cost(s, d, t->line[e], t->slot[e]) - t->units[t->slot[e]] -
                               (mosaic_lap__direct_cost(s, d, t->line[e], slot) - t->units[slot]));
    }
    for (pass = 0; changed; pass++) {
        if (pass > d->lines + 2) return 0;
        changed = 0;
        for (e = 0; e < t->count; e++) {
            int32_t to = d->line_of[t->slot[e]] < 0 ? hub : t->slot[e];
            int64_t y = x[d->slot_of[t->line[e]]] + t->left[e];
            if (y < x[to]) {
                x[to] = y;
                changed = 1;
            }
        }
        for (i = 0; i < d->lines && d->slots > d->lines; i++) { /* no price may rise above that of the slots that no line has */
            j = d->slot_of[i];
            if (-d->v[j] > slack) continue;
            if (x[hub] - (int64_t)t->units[j] < x[j]) {
                x[j] = x[hub] - (int64_t)t->units[j];
                changed = 1;
            }
        }
    }
    for (e = 0; e < t->count; e++) {
        int32_t to = d->line_of[t->slot[e]] < 0 ? hub : t->slot[e];
        t->left[e] += x[d->slot_of[t->line[e]]] - x[to];
    }
    for (j = 0; j <= hub; j++)
        if (-x[j] > limit / 4) return 0;
    return 1;
}

static void mosaic_lap__small_layout(mosaic_lap__exact *q, mosaic_lap__direct *d, mosaic_lap__settling *t, int level, mosaic_lap__arena *a)
{
    const mosaic_lap_problem *p = q->s.p;
    size_t rows = (size_t)p->rows, cols = (size_t)p->cols;
    mosaic_lap__direct_layout(d, p, level, a);
    t->most = 8 * (p->rows + p->cols);
    t->line = (int32_t *)mosaic_lap__take(a, (size_t)t->most, sizeof(int32_t));
    t->slot = (int32_t *)mosaic_lap__take(a, (size_t)t->most, sizeof(int32_t));
    t->left = (int64_t *)mosaic_lap__take(a, (size_t)t->most, sizeof(int64_t));
    t->units = (uint64_t *)mosaic_lap__take(a, (size_t)d->slots, sizeof(uint64_t));
    t->correction = (int64_t *)mosaic_lap__take(a, (size_t)d->slots + 1, sizeof(int64_t));
    q->u = (uint64_t *)mosaic_lap__take(a, rows + 1, MOSAIC_LAP__SMALL_WORDS * sizeof(uint64_t));
    q->v = (uint64_t *)mosaic_lap__take(a, cols + 1, MOSAIC_LAP__SMALL_WORDS * sizeof(uint64_t));
    q->col_of = (int32_t *)mosaic_lap__take(a, rows, sizeof(int32_t));
    t->tight = (uint64_t *)mosaic_lap__take(a, (size_t)d->lines * (((size_t)d->wide + 63) / 64), sizeof(uint64_t));
    t->maps = (uint64_t *)mosaic_lap__take(a, d->turned ? 64 * ((cols + 2 + 63) / 64) : 0, sizeof(uint64_t));
}

/* The power of two that its absolute value is below. */
static int mosaic_lap__magnitude(double x)
{
    int64_t mantissa;
    int power;
    mosaic_lap__split(x, &mantissa, &power);
    return power + mosaic_lap__bits((uint64_t)(mantissa < 0 ? -mantissa : mantissa));
}

/* Marks the tight entries of each line in `tight`, and returns whether the optimum is the only one: whether there is no cycle in the graph of the
   slots (see the one optimum, above). Slots that nothing leads on from, or to, are crossed out again and again; what is left then has a cycle.
   All the slots that no line has are one node, the hub, from which it goes on to those whose price is 0: these are left in `open`. `slack` is that of
   settled prices, 0 for others. */
static int mosaic_lap__small_unique(mosaic_lap__direct *d, const mosaic_lap__settling *t, double slack)
{
    const int settled = slack > 0;
    const int32_t words = (d->wide + 63) / 64;
    uint64_t *alive = d->same, *entered = (uint64_t *)(void *)d->key, *zero = d->open;
    int32_t i, w, e;
    int hub = d->slots > d->lines, left = 1, crossed = 1;
    for (w = 0; w < words; w++) {
        alive[w] = ~d->vacant[w];
        zero[w] = 0;
    }
    for (i = 0; i < d->lines; i++) {
        const int32_t slot = d->slot_of[i];
        if (settled)
            for (w = 0; w < words; w++) t->tight[(size_t)i * (size_t)words + (size_t)w] = w == slot / 64 ? (uint64_t)1 << (slot % 64) : 0;
        else
            d->kernels->tight(d->cost + (size_t)i * (size_t)d->wide, d->wide, d->u[i], d->v, 0, t->tight + (size_t)i * (size_t)words);
        if (-d->v[slot] <= slack && (!settled || (int64_t)t->units[slot] == t->correction[d->slots] - t->correction[slot]))
            zero[slot / 64] |= (uint64_t)1 << (slot % 64);
    }
    for (e = 0; settled && e < t->count; e++)
        if (t->left[e] == 0) t->tight[(size_t)t->line[e] * (size_t)words + (size_t)(t->slot[e] / 64)] |= (uint64_t)1 << (t->slot[e] % 64);
    while (left && crossed) {
        int hub_entered = 0, hub_left = 0;
        for (w = 0; w < words; w++) {
            entered[w] = hub ? zero[w] : 0;
            hub_left |= (alive[w] & zero[w]) != 0;
        }
        crossed = hub && !hub_left;
        hub &= hub_left;
        left = 0;
        for (i = 0; i < d->lines; i++) {
            const uint64_t *tight = t->tight + (size_t)i * (size_t)words, own = (uint64_t)1 << (d->slot_of[i] % 64);
            const int32_t at = d->slot_of[i] / 64;
            uint64_t leads = 0;
            if (!(alive[at] & own)) continue;
            for (w = 0; w < words; w++) {
                uint64_t to = w == at ? tight[w] & ~own : tight[w], free_ones = hub ? to & d->vacant[w] : 0;
                hub_entered |= free_ones != 0;
                leads |= (to & alive[w]) | free_ones;
                entered[w] |= to;
            }
            if (leads) {
                left = 1;
            } else {
                alive[at] &= ~own;
                crossed = 1;
            }
        }
        crossed |= hub && !hub_entered;
        hub &= hub_entered;
        for (w = 0; w < words; w++) {
            crossed |= (alive[w] & ~entered[w]) != 0;
            alive[w] &= entered[w];
        }
    }
    return !left;
}

/* What mosaic_lap__small_unique has marked, row by row, for the search for the one optimum. */
static void mosaic_lap__small_ties(mosaic_lap__exact *q, const mosaic_lap__direct *d, const mosaic_lap__settling *t)
{
    mosaic_lap__ties *g = &q->ties;
    const int32_t words = (d->wide + 63) / 64;
    int32_t i, j;
    mosaic_lap__ties_start(g);
    for (i = 0; i < words; i++) d->open[i] |= d->vacant[i]; /* slots whose price is 0 */
    for (i = 0; i < q->rows; i++) mosaic_lap__ties_put(g, i, q->col_of[i]);
    for (j = 0; !d->turned && j < q->cols; j++)
        if (d->open[j / 64] >> (j % 64) & 1) g->map[j / 64] |= (uint64_t)1 << (j % 64);
    mosaic_lap__keep_words(g, q->rows);
    for (i = 0; i < q->rows; i++) {
        if (d->turned && i % 64 == 0) {
            memset(t->maps, 0, 64 * (size_t)g->words * sizeof *t->maps);
            for (j = 0; j < q->cols; j++) mosaic_lap__spread(t->tight[(size_t)j * (size_t)words + (size_t)(i / 64)], t->maps, g->words, j);
        }
        memcpy(g->map, d->turned ? t->maps + (size_t)(i % 64) * (size_t)g->words : t->tight + (size_t)i * (size_t)words,
               (size_t)(d->turned ? g->words : words) * sizeof *g->map);
        if (d->turned && (d->open[i / 64] >> (i % 64) & 1)) g->map[q->cols / 64] |= (uint64_t)1 << (q->cols % 64);
        mosaic_lap__keep_words(g, i);
    }
}

static size_t mosaic_lap__small_words(const mosaic_lap_problem *p) { return (size_t)p->rows * (((size_t)p->cols + 2 + 63) / 64); }

/* The prices in units; `t` is null when those found need no correction. */
static void mosaic_lap__small_prices(mosaic_lap__exact *q, const mosaic_lap__direct *d, const mosaic_lap__settling *t)
{
    uint64_t *line_price = d->turned ? q->v : q->u, *slot_price = d->turned ? q->u : q->v;
    const int words = q->s.words;
    int32_t i;
    memset(q->u, 0, ((size_t)q->rows + 1) * (size_t)words * sizeof *q->u);
    memset(q->v, 0, ((size_t)q->cols + 1) * (size_t)words * sizeof *q->v);
    for (i = 0; i < d->lines; i++) {
        int32_t slot = d->slot_of[i];
        uint64_t *line = line_price + (size_t)i * (size_t)words, *price = slot_price + (size_t)slot * (size_t)words;
        int64_t mantissa;
        int shift;
        mosaic_lap__split(d->v[slot], &mantissa, &shift);
        mosaic_lap__rescale(&mantissa, &shift, q->s.exponent);
        mosaic_lap__long_add(price, words, mantissa, shift, 0);
        if (t) mosaic_lap__long_add(price, words, t->correction[slot] - t->correction[d->slots], 0, 0);
        mosaic_lap__cost_at(&q->s, d->turned ? (size_t)slot * q->s.stride + (size_t)i : (size_t)i * q->s.stride + (size_t)slot, &mantissa, &shift);
        mosaic_lap__long_add(line, words, mantissa, shift, 0);
        mosaic_lap__long_add_long(line, price, words, 1, 1);
    }
}

/* Whether this way is possible, and is wished for or promises to be the quickest: the lists for tables of int32 make up for their cost early when there
   are far more slots than lines, unless the lines are very few. */
static int mosaic_lap__is_small(const mosaic_lap_problem *p, const mosaic_lap_options *o)
{
    const int64_t entries = (int64_t)p->rows * p->cols;
    if (!p->cost || p->row_start || p->fill || p->vectors || p->groups || p->capacity || p->rows < 1 || p->cols < 1) return 0;
    if (o && (o->start || (o->solver != 0 && o->solver != 3))) return 0;
    if (o && o->solver == 3) return 1;
    if (!mosaic_lap__is_table(p)) return entries <= MOSAIC_LAP__SMALL;
    if (entries > 300 * 300) return 0;
    return entries <= MOSAIC_LAP__FEW || (p->rows < 2 * p->cols && p->cols < 2 * p->rows) || p->rows <= 16 || p->cols <= 16;
}

/* Solves a small table, or returns 0: then nothing has been done. */
static int mosaic_lap__solve_small(const mosaic_lap_problem *p, const mosaic_lap_options *options, mosaic_lap_solution *out,
                                   mosaic_lap_result *result)
{
    mosaic_lap__exact q;
    mosaic_lap__direct d;
    mosaic_lap__settling t;
    mosaic_lap_options defaults;
    mosaic_lap__arena a;
    double least[3] = {DBL_MAX, DBL_MAX, DBL_MAX}, largest, slack = 0;
    void *memory;
    int level, size_bits, top, bits, exact, done = 0;
    int32_t i;
    memset(&q, 0, sizeof q);
    q.s.p = p;
    *result = mosaic_lap__examine(p, &q.s.stride, &q.room, &out->col);
    if (*result == MOSAIC_LAP_OK) *result = mosaic_lap__level(&options, &defaults, &level);
    if (*result != MOSAIC_LAP_OK) return 1;
    q.rows = p->rows;
    q.cols = p->cols;
    q.s.real = p->kind == MOSAIC_LAP_FLOAT || p->kind == MOSAIC_LAP_DOUBLE;
    q.ties.rows = q.rows;
    q.ties.cols = q.cols;
    mosaic_lap__ruler(&a);
    if (!options->work || !mosaic_lap__is_small(p, NULL)) { /* else the caller's has been found to be enough */
        mosaic_lap__small_layout(&q, &d, &t, level, &a);
        mosaic_lap__ties_layout(&q.ties, mosaic_lap__small_words(p), &a);
        if (a.overflow || (options->work && options->work_size < a.used + 64)) return 0;
    }
    *result = mosaic_lap__open(options, a.used + 64, &memory, &a);
    if (*result != MOSAIC_LAP_OK) return 1;
    mosaic_lap__small_layout(&q, &d, &t, level, &a);

    if (mosaic_lap__direct_load(&d, p, q.s.stride, least) && least[0] <= -least[1]) {
        if (q.s.real && least[2] < DBL_MAX) q.s.exponent = mosaic_lap__unit(least[2], 2000);
        size_bits = mosaic_lap__bits((uint64_t)q.rows + (uint64_t)q.cols + 2);
        largest = -least[0] > -least[1] ? -least[0] : -least[1];
        top = mosaic_lap__magnitude(largest);
        exact = top - q.s.exponent + size_bits + 2 <= 53;
        done = top < 900 && mosaic_lap__direct_serve(&d, options->solver == 3 ? INT64_MAX : MOSAIC_LAP__LOOKS);
        for (i = 0; done && i < d.lines; i++) {
            if (d.u[i] > largest) largest = d.u[i];
            if (-d.u[i] > largest) largest = -d.u[i];
            if (-d.v[d.slot_of[i]] > largest) largest = -d.v[d.slot_of[i]];
        }
        top = mosaic_lap__magnitude(largest) - q.s.exponent;
        if (top < 1) top = 1;
        bits = top > 42 ? top - 40 : 2;
        if (done && !exact) {
            slack = mosaic_lap__scaled(1, bits + q.s.exponent);
            done = bits <= 56 && mosaic_lap__settle(&q.s, &d, &t, slack, bits);
        }
    }
    if (done) {
        q.s.words = (top + size_bits + 1 + 63) / 64; /* with the sign */
        if (out->u || out->v)
            mosaic_lap__small_prices(&q, &d, exact ? NULL : &t);
        else
            q.u = NULL;
        for (i = 0; i < q.rows; i++) q.col_of[i] = !d.turned ? d.slot_of[i] : d.line_of[i] < 0 ? q.cols : d.line_of[i];
        q.unique = (!exact && t.count == 0) || mosaic_lap__small_unique(&d, &t, exact ? 0 : slack);
        if (!q.unique && p->order == MOSAIC_LAP_ORDER_ROWS) {
            mosaic_lap__ties_layout(&q.ties, mosaic_lap__small_words(p), &a);
            mosaic_lap__small_ties(&q, &d, &t);
            if (d.lines > MOSAIC_LAP__BLOCK) { /* what few lines have in common is quickly searched as it is */
                mosaic_lap__components(&q.ties);
                mosaic_lap__prune(&q.ties);
            } else {
                for (i = 0; i <= mosaic_lap__hub(&q.ties); i++) q.ties.component[i] = 0;
            }
            mosaic_lap__smallest(&q.ties);
            for (i = 0; i < q.rows; i++) q.col_of[i] = q.ties.col_of[i];
        }
        *result = mosaic_lap__exact_answer(&q, out);
    }
    mosaic_lap__close(options, memory);
    return done;
}

/* Memory for it, whatever the costs are: the prices at their longest, and the larger of the stages that come and go. 0 when that overflows. */
static size_t mosaic_lap__exact_size(const mosaic_lap_problem *p, size_t entries, size_t table)
{
    mosaic_lap__exact q;
    mosaic_lap__direct d;
    mosaic_lap__arena state, stage, other;
    memset(&q, 0, sizeof q);
    q.s.p = p;
    q.s.words = p->kind == MOSAIC_LAP_DOUBLE ? 34 : p->kind == MOSAIC_LAP_FLOAT ? 5 : 2;
    q.rows = p->rows;
    q.cols = p->cols;
    mosaic_lap__exact_layout(&q, mosaic_lap__ruler(&state));
    mosaic_lap__round_layout(&q, entries + (size_t)p->rows + (size_t)p->cols, mosaic_lap__ruler(&stage));
    if (!p->row_start) {
        mosaic_lap__take(mosaic_lap__ruler(&other), entries, sizeof(int32_t));
        mosaic_lap__take(&other, table, 1);
        if (other.used > stage.used) stage.used = other.used;
        stage.overflow |= other.overflow;
        mosaic_lap__direct_layout(&d, p, 0, mosaic_lap__ruler(&other));
        if (other.used > stage.used) stage.used = other.used;
        stage.overflow |= other.overflow;
    }
    if (state.overflow || stage.overflow || stage.used > SIZE_MAX - 256 - state.used) return 0;
    return state.used + stage.used + 192;
}

static size_t mosaic_lap__small_size(const mosaic_lap_problem *p)
{
    mosaic_lap__exact q;
    mosaic_lap__direct d;
    mosaic_lap__settling t;
    mosaic_lap__arena a;
    if (!mosaic_lap__is_small(p, NULL)) return 0;
    q.s.p = p;
    q.ties.rows = p->rows;
    q.ties.cols = p->cols;
    q.ties.groups = 0;
    mosaic_lap__small_layout(&q, &d, &t, 0, mosaic_lap__ruler(&a));
    mosaic_lap__ties_layout(&q.ties, mosaic_lap__small_words(p), &a);
    return a.used + 64;
}

/* ---- sparse costs with more rows than columns: the columns look for rows ---- */
typedef struct mosaic_lap__turned {
    int64_t *start; /* the same costs column by column */
    int32_t *index;
    unsigned char *cost;
    int32_t *row_of;
    uint64_t *u, *v; /* prices */
    mosaic_lap__ties ties;
} mosaic_lap__turned;

static size_t mosaic_lap__kind_size(mosaic_lap_kind kind) { return kind == MOSAIC_LAP_INT32 || kind == MOSAIC_LAP_FLOAT ? 4 : 8; }

static void mosaic_lap__turned_layout(mosaic_lap__turned *q, const mosaic_lap_problem *p, int words, mosaic_lap__arena *a)
{
    size_t rows = (size_t)p->rows, cols = (size_t)p->cols, entries = (size_t)p->row_start[p->rows];
    memset(q, 0, sizeof *q);
    q->start = (int64_t *)mosaic_lap__take(a, cols + 1, sizeof(int64_t));
    q->index = (int32_t *)mosaic_lap__take(a, entries, sizeof(int32_t));
    q->cost = (unsigned char *)mosaic_lap__take(a, entries, mosaic_lap__kind_size(p->kind));
    q->row_of = (int32_t *)mosaic_lap__take(a, cols, sizeof(int32_t));
    q->u = (uint64_t *)mosaic_lap__take(a, rows, (size_t)words * sizeof(uint64_t));
    q->v = (uint64_t *)mosaic_lap__take(a, cols, (size_t)words * sizeof(uint64_t));
    q->ties.rows = p->rows;
    q->ties.cols = p->cols;
    mosaic_lap__ties_layout(&q->ties, entries + rows, a); /* an entry takes a word at most, and so does having no column */
}

static int mosaic_lap__is_turned(const mosaic_lap_problem *p)
{
    return p->row_start && !p->capacity && p->rows > p->cols && p->cols > 0 && p->row_start[p->rows] > 0;
}

/* Puts the costs in the order of the columns. */
static void mosaic_lap__turn(mosaic_lap__turned *q, const mosaic_lap_problem *p)
{
    const size_t size = mosaic_lap__kind_size(p->kind);
    const int64_t first = p->row_start[0], end = p->row_start[p->rows];
    int64_t at;
    int32_t i;
    for (i = 0; i <= p->cols; i++) q->start[i] = 0;
    for (at = first; at < end; at++) q->start[p->col_index[at]]++;
    for (i = 1; i <= p->cols; i++) q->start[i] += q->start[i - 1];
    for (i = p->rows; i-- > 0;)
        for (at = p->row_start[i + 1]; at-- > p->row_start[i];) {
            int64_t to = --q->start[p->col_index[at]];
            q->index[to] = i;
            if (size == 4) /* known lengths are copied without a call */
                memcpy(q->cost + (size_t)to * 4, (const unsigned char *)p->cost + (size_t)at * 4, 4);
            else
                memcpy(q->cost + (size_t)to * 8, (const unsigned char *)p->cost + (size_t)at * 8, 8);
        }
}

static int mosaic_lap__is_zero(const uint64_t *price, int words)
{
    while (words > 0 && price[words - 1] == 0) words--;
    return words == 0;
}

/* The one optimum in the order of rows, from the entries that are tight. */
static void mosaic_lap__turned_ties(mosaic_lap__turned *q, const mosaic_lap__source *s)
{
    const mosaic_lap_problem *p = s->p;
    const size_t words = (size_t)s->words;
    mosaic_lap__ties *g = &q->ties;
    uint64_t left[MOSAIC_LAP__WORDS];
    int32_t i;
    size_t at;
    mosaic_lap__ties_start(g);
    for (i = 0; i < p->rows; i++) mosaic_lap__ties_put(g, i, p->cols);
    for (i = 0; i < p->cols; i++) mosaic_lap__ties_put(g, q->row_of[i], i);
    mosaic_lap__keep_words(g, p->rows);
    for (i = 0; i < p->rows; i++) {
        for (at = mosaic_lap__begin(s, i); at < mosaic_lap__end(s, i); at++) {
            const int32_t j = p->col_index[at];
            int64_t mantissa;
            int shift;
            if (!mosaic_lap__cost_at(s, at, &mantissa, &shift)) continue;
            memset(left, 0, words * sizeof *left);
            mosaic_lap__long_add(left, (int)words, mantissa, shift, 0);
            mosaic_lap__long_add_long(left, q->u + (size_t)i * words, (int)words, 1, 1);
            mosaic_lap__long_add_long(left, q->v + (size_t)j * words, (int)words, 1, 1);
            if (mosaic_lap__is_zero(left, (int)words)) g->map[j / 64] |= (uint64_t)1 << (j % 64);
        }
        if (mosaic_lap__is_zero(q->u + (size_t)i * words, (int)words)) g->map[p->cols / 64] |= (uint64_t)1 << (p->cols % 64);
        mosaic_lap__keep_words(g, i);
    }
    mosaic_lap__components(g);
    mosaic_lap__prune(g);
    mosaic_lap__smallest(g);
}

static mosaic_lap_result mosaic_lap__solve_turned(const mosaic_lap_problem *p, const mosaic_lap_options *options, mosaic_lap_solution *out)
{
    mosaic_lap__turned q;
    mosaic_lap__source s;
    mosaic_lap_problem plain = *p, problem;
    mosaic_lap_options defaults, inner;
    mosaic_lap_solution solution;
    mosaic_lap__arena a;
    mosaic_lap_result result;
    void *memory;
    const int given = out->words > 1 ? out->words : 1;
    int level, needed = 0, pass;
    int64_t room;
    int32_t i, j;
    plain.maximise = 0; /* prices come as they are handed out */
    s.p = &plain;
    result = mosaic_lap__examine(p, &s.stride, &room, &out->col);
    if (result == MOSAIC_LAP_OK) result = mosaic_lap__level(&options, &defaults, &level);
    if (result == MOSAIC_LAP_OK) result = mosaic_lap__survey(&s, level, &out->row, &out->col);
    if (result != MOSAIC_LAP_OK) return result;
    mosaic_lap__turned_layout(&q, p, s.words, mosaic_lap__ruler(&a));
    if (a.overflow) return MOSAIC_LAP_ERROR_SIZE;
    result = mosaic_lap__open(options, a.used + 64, &memory, &a);
    if (result != MOSAIC_LAP_OK) return result;
    mosaic_lap__turned_layout(&q, p, s.words, &a);
    mosaic_lap__rest(options, &a, &inner);
    mosaic_lap__turn(&q, p);
    memset(&problem, 0, sizeof problem);
    problem.rows = p->cols;
    problem.cols = p->rows;
    problem.kind = p->kind;
    problem.maximise = p->maximise;
    problem.cost = q.cost;
    problem.row_start = q.start;
    problem.col_index = q.index;
    memset(&solution, 0, sizeof solution);
    solution.col_of_row = q.row_of;
    solution.u = (int64_t *)(void *)q.v;
    solution.v = (int64_t *)(void *)q.u;
    solution.words = s.words;
    solution.row = solution.col = -1;
    solution.clash_rows = out->clash_cols;
    solution.clash_cols = out->clash_rows;
    result = mosaic_lap__solve_exact(&problem, &inner, &solution);
    out->row = solution.col;
    out->col = solution.row;
    for (pass = 0; result == MOSAIC_LAP_OK && pass < 2; pass++) /* rows, columns */
        for (i = 0; i < (pass ? p->cols : p->rows); i++) {
            int bits = mosaic_lap__long_bits((pass ? q.v : q.u) + (size_t)i * (size_t)s.words, s.words);
            if (bits > needed) needed = bits;
        }
    needed = needed / 64 + 1;
    if (result == MOSAIC_LAP_OK && (out->u || out->v) && needed > given) {
        out->words = needed;
        result = MOSAIC_LAP_ERROR_WORDS;
    }
    if (result == MOSAIC_LAP_OK) {
        if (!solution.unique) mosaic_lap__turned_ties(&q, &s);
        for (i = 0; out->col_of_row && i < p->rows; i++) out->col_of_row[i] = solution.unique || q.ties.col_of[i] == p->cols ? -1 : q.ties.col_of[i];
        for (i = 0; out->col_of_row && solution.unique && i < p->cols; i++) out->col_of_row[q.row_of[i]] = i;
        for (pass = 0; pass < 2; pass++) {
            const uint64_t *price = pass ? q.v : q.u;
            int64_t *to = pass ? out->v : out->u;
            for (i = 0; to && i < (pass ? p->cols : p->rows); i++, price += s.words)
                for (j = 0; j < given; j++) *to++ = j < s.words ? (int64_t)price[j] : -(int64_t)mosaic_lap__long_negative(price, s.words);
        }
        out->unique = solution.unique;
        out->exponent = solution.exponent;
        out->total = solution.total;
        out->primal = solution.primal;
        out->dual = solution.dual;
        out->gap = solution.gap;
        out->matched = solution.matched;
    }
    mosaic_lap__close(options, memory);
    return result;
}

static size_t mosaic_lap__turned_size(const mosaic_lap_problem *p)
{
    mosaic_lap__turned q;
    mosaic_lap__arena a;
    mosaic_lap_problem problem = *p;
    size_t rest;
    problem.rows = p->cols;
    problem.cols = p->rows;
    rest = mosaic_lap__exact_size(&problem, (size_t)p->row_start[p->rows], 0);
    mosaic_lap__turned_layout(&q, p, p->kind == MOSAIC_LAP_DOUBLE ? 34 : p->kind == MOSAIC_LAP_FLOAT ? 5 : 2, mosaic_lap__ruler(&a));
    return a.overflow || rest == 0 || rest > SIZE_MAX - a.used - 128 ? 0 : rest + a.used + 128;
}

MOSAIC_LAP_API size_t mosaic_lap_work_size(const mosaic_lap_problem *problem)
{
    mosaic_lap__solver s;
    int64_t room;
    size_t size = 0, small_size;
    int32_t bad;
    if (mosaic_lap__examine(problem, &s.stride, &room, &bad) != MOSAIC_LAP_OK) return 0;
    s.problem = problem;
    if (!problem->row_start) {
        size = mosaic_lap__measure(&s, room, 0, 0); /* scalar kernels and a cold start need most */
        if (size == 0) return 0;
    }
    if (mosaic_lap__is_turned(problem)) return mosaic_lap__turned_size(problem);
    if (!mosaic_lap__is_table(problem))
        size = mosaic_lap__exact_size(
            problem, problem->row_start ? (size_t)problem->row_start[problem->rows] : (size_t)problem->rows * (size_t)problem->cols, size);
    small_size = mosaic_lap__small_size(problem);
    return size > 0 && small_size > size ? small_size : size;
}

/* Prices of one word become prices of `words`. */
static void mosaic_lap__widen(int64_t *price, int32_t count, int32_t words)
{
    int32_t i, j;
    for (i = count - 1; i >= 0 && price && words > 1; i--)
        for (j = words - 1; j >= 0; j--) price[(size_t)i * (size_t)words + (size_t)j] = j == 0 ? price[i] : price[i] < 0 ? -1 : 0;
}

MOSAIC_LAP_API mosaic_lap_result mosaic_lap_solve(const mosaic_lap_problem *problem, const mosaic_lap_options *options, mosaic_lap_solution *solution)
{
    mosaic_lap_result result;
    unsigned long long state;
    int done;
    if (!solution) return MOSAIC_LAP_ERROR_NULL;
    solution->row = solution->col = -1;
    if (!problem) return MOSAIC_LAP_ERROR_NULL;
    if (options && options->work && options->work_size < mosaic_lap_work_size(problem)) return MOSAIC_LAP_ERROR_MEMORY;
    if (mosaic_lap__is_small(problem, options)) {
        state = mosaic__fp_enter();
        done = mosaic_lap__solve_small(problem, options, solution, &result);
        mosaic__fp_leave(state);
        if (done) return result;
    }
    if (mosaic_lap__is_table(problem)) {
        result = mosaic_lap__solve_table(problem, options, solution);
        if (result != MOSAIC_LAP_OK) return result;
        solution->exponent = 0;
        solution->total = (double)solution->primal;
        mosaic_lap__widen(solution->u, problem->rows, solution->words);
        mosaic_lap__widen(solution->v, problem->cols, solution->words);
        return MOSAIC_LAP_OK;
    }
    state = mosaic__fp_enter();
    result =
        mosaic_lap__is_turned(problem) ? mosaic_lap__solve_turned(problem, options, solution) : mosaic_lap__solve_exact(problem, options, solution);
    mosaic__fp_leave(state);
    return result;
}

/* ---- the check: nothing of the solvers is used here, but the way costs are read ---- */
typedef struct mosaic_lap__checker {
    mosaic_lap__source s;
    int words, maximise, narrow; /* narrow: costs are int32, of a table or made on the fly, and prices are below 2^60 */
    uint64_t *u, *v, *w;         /* prices, `words` words each; v with those of the groups added */
    int32_t *used;
    int64_t *sum;
    int32_t jobs;
    struct {
        int64_t count;
        int32_t row, col; /* of the worst violation, -1 for none */
    } part[MOSAIC_LAP__JOBS];

    mosaic_lap__table t; /* narrow: for its costs alone */
    int64_t *narrow_u, *narrow_v;
    double *near_u, *near_v, clear; /* otherwise: about the prices; what exceeds them by so much is no violation */
} mosaic_lap__checker;

static size_t mosaic_lap__check_layout(mosaic_lap__checker *c, int level, mosaic_lap__arena *a)
{
    const mosaic_lap_problem *p = c->s.p;
    size_t rows = (size_t)p->rows, cols = (size_t)p->cols, groups = (size_t)p->groups, bytes = (size_t)c->words * sizeof(uint64_t);
    c->u = (uint64_t *)mosaic_lap__take(a, rows, bytes);
    c->v = (uint64_t *)mosaic_lap__take(a, cols, bytes);
    c->w = (uint64_t *)mosaic_lap__take(a, groups, bytes);
    c->used = (int32_t *)mosaic_lap__take(a, cols, sizeof(int32_t));
    c->sum = (int64_t *)mosaic_lap__take(a, groups, sizeof(int64_t));
    c->narrow_u = (int64_t *)mosaic_lap__take(a, rows, sizeof(int64_t));
    c->narrow_v = (int64_t *)mosaic_lap__take(a, cols, sizeof(int64_t));
    c->near_u = (double *)mosaic_lap__take(a, rows, sizeof(double));
    c->near_v = (double *)mosaic_lap__take(a, cols, sizeof(double));
    if (c->narrow) mosaic_lap__source_layout(&c->t, p, c->s.stride, 0, level, a);
    return a->overflow ? 0 : a->used + 64;
}

/* u + v - cost, or its opposite for the largest total: positive when the entry violates the prices. */
static void mosaic_lap__over(const mosaic_lap__checker *c, int32_t row, int32_t col, int64_t mantissa, int shift, uint64_t *over)
{
    memset(over, 0, (size_t)c->words * sizeof *over);
    mosaic_lap__long_add(over, c->words, mantissa, shift, !c->maximise);
    mosaic_lap__long_add_long(over, c->u + (size_t)row * (size_t)c->words, c->words, 1, c->maximise);
    mosaic_lap__long_add_long(over, c->v + (size_t)col * (size_t)c->words, c->words, 1, c->maximise);
}

static int mosaic_lap__long_sign(const uint64_t *a, int words)
{
    return mosaic_lap__long_negative(a, words) ? -1 : mosaic_lap__long_bits(a, words) > 0;
}

static void mosaic_lap__check_narrow(mosaic_lap__checker *c, int index, int32_t row, int32_t first, int32_t count, const int32_t *cost,
                                     int64_t *worst)
{
    int32_t j;
    for (j = 0; j < count; j++) {
        int64_t over = c->narrow_u[row] + c->narrow_v[first + j] - cost[j];
        if (c->maximise) over = -over;
        if (over <= 0 || cost[j] == MOSAIC_LAP_FORBIDDEN) continue;
        c->part[index].count++;
        if (over > *worst) {
            *worst = over;
            c->part[index].row = row;
            c->part[index].col = first + j;
        }
    }
}

static void mosaic_lap__check_long(mosaic_lap__checker *c, int index, int32_t row, uint64_t *worst)
{
    const size_t bytes = (size_t)c->words * sizeof(uint64_t);
    uint64_t over[MOSAIC_LAP__WORDS], less[MOSAIC_LAP__WORDS];
    size_t at = mosaic_lap__begin(&c->s, row), end = mosaic_lap__end(&c->s, row);
    for (; at < end; at++) {
        int32_t col = mosaic_lap__column(&c->s, row, at);
        double x = mosaic_lap__about(&c->s, at) - c->near_u[row] - c->near_v[col];
        int64_t mantissa;
        int shift;
        if ((c->maximise ? -x : x) > c->clear || !mosaic_lap__cost_at(&c->s, at, &mantissa, &shift)) continue;
        mosaic_lap__over(c, row, col, mantissa, shift, over);
        if (mosaic_lap__long_sign(over, c->words) <= 0) continue;
        c->part[index].count++;
        memcpy(less, worst, bytes);
        mosaic_lap__long_add_long(less, over, c->words, 1, 1);
        if (!mosaic_lap__long_negative(less, c->words)) continue;
        memcpy(worst, over, bytes);
        c->part[index].row = row;
        c->part[index].col = col;
    }
}

static void mosaic_lap__check_rows(void *arg, int index)
{
    mosaic_lap__checker *c = (mosaic_lap__checker *)arg;
    const mosaic_lap__table *t = &c->t;
    const int32_t all = c->s.p->rows;
    int32_t row = (int32_t)((int64_t)all * index / c->jobs), end = (int32_t)((int64_t)all * (index + 1) / c->jobs), i, j;
    int64_t worst = 0;
    c->part[index].count = 0;
    c->part[index].row = c->part[index].col = -1;
    if (!c->narrow) {
        uint64_t most[MOSAIC_LAP__WORDS];
        memset(most, 0, sizeof most);
        for (; row < end; row++) mosaic_lap__check_long(c, index, row, most);
    } else if (t->cost) {
        for (; row < end; row++) mosaic_lap__check_narrow(c, index, row, 0, t->slots, t->cost + (size_t)row * t->stride, &worst);
    } else {
        int32_t tile[MOSAIC_LAP__TILE_LINES * MOSAIC_LAP__TILE_WIDTH];
        for (; row < end; row += MOSAIC_LAP__TILE_LINES) {
            int32_t rows = end - row < MOSAIC_LAP__TILE_LINES ? end - row : MOSAIC_LAP__TILE_LINES;
            for (j = 0; j < t->slots; j += MOSAIC_LAP__TILE_WIDTH) {
                int32_t cols = t->slots - j < MOSAIC_LAP__TILE_WIDTH ? t->slots - j : MOSAIC_LAP__TILE_WIDTH;
                mosaic_lap__make_costs(t, row, rows, j / MOSAIC_LAP__BLOCK, MOSAIC_LAP__TILE_WIDTH, tile);
                for (i = 0; i < rows; i++) mosaic_lap__check_narrow(c, index, row + i, j, cols, tile + i * MOSAIC_LAP__TILE_WIDTH, &worst);
            }
        }
    }
}

/* The cost of an entry as mantissa * 2^shift units; 0 when it is forbidden. */
static int mosaic_lap__check_cost(const mosaic_lap__checker *c, int32_t row, int32_t col, int64_t *mantissa, int *shift)
{
    if (c->narrow) {
        *mantissa = mosaic_lap__cost(&c->t, row, col);
        *shift = 0;
        return *mantissa != MOSAIC_LAP_FORBIDDEN;
    } else {
        size_t at = mosaic_lap__begin(&c->s, row), end = mosaic_lap__end(&c->s, row);
        while (at < end && mosaic_lap__column(&c->s, row, at) != col) at++;
        return at < end && mosaic_lap__cost_at(&c->s, at, mantissa, shift);
    }
}

static void mosaic_lap__find(mosaic_lap_report *r, mosaic_lap_finding finding, int32_t row, int32_t col)
{
    if (r->finding != MOSAIC_LAP_PROVEN && r->finding <= finding) return;
    r->finding = finding;
    r->row = row;
    r->col = col;
}

/* `count` prices of `given` words of 2^shift units each, in the check's words. 0 when a narrow check cannot have one of them. */
static int mosaic_lap__check_prices(const mosaic_lap__checker *c, const int64_t *from, int32_t count, int given, int shift, uint64_t *to)
{
    int32_t i, j;
    for (i = 0; i < count; i++, to += c->words) {
        memset(to, 0, (size_t)c->words * sizeof *to);
        for (j = 0; j < given; j++) {
            mosaic_lap__long_add(to, c->words, *from, shift + 64 * j, 0);
            if (*from++ < 0 && j + 1 < given) mosaic_lap__long_add(to, c->words, 1, shift + 64 * (j + 1), 0); /* only the last word has a sign */
        }
        if (c->narrow && mosaic_lap__long_bits(to, c->words) > 60) return 0;
    }
    return 1;
}

/* The findings, once everything is laid out. */
static void mosaic_lap__check_findings(mosaic_lap__checker *c, const mosaic_lap_options *options, const mosaic_lap_solution *solution, int64_t room,
                                       mosaic_lap_report *r)
{
    const mosaic_lap_problem *p = c->s.p;
    const int words = c->words, wrong = c->maximise ? -1 : 1;
    const int32_t *col_of_row = solution->col_of_row;
    uint64_t primal[MOSAIC_LAP__WORDS], dual[MOSAIC_LAP__WORDS], over[MOSAIC_LAP__WORDS], worst[MOSAIC_LAP__WORDS];
    int64_t mantissa;
    int shift, sign;
    int32_t i, j, where = -1;
    memset(primal, 0, sizeof primal);
    memset(dual, 0, sizeof dual);
    memset(worst, 0, sizeof worst);
    for (i = 0; i < p->cols; i++) { /* the worth of the columns, before the prices of their groups are added */
        mosaic_lap__long_add_long(dual, c->v + (size_t)i * (size_t)words, words, p->capacity ? (uint32_t)p->capacity[i] : 1, 0);
        c->used[i] = 0;
    }
    for (i = 0; i < p->groups; i++) {
        mosaic_lap__long_add_long(dual, c->w + (size_t)i * (size_t)words, words, (uint32_t)p->quota[i], 0);
        c->sum[i] = 0;
    }
    for (i = 0; i < p->rows; i++) {
        mosaic_lap__long_add_long(dual, c->u + (size_t)i * (size_t)words, words, 1, 0);
        j = col_of_row[i];
        if (j < -1 || j >= p->cols) mosaic_lap__find(r, MOSAIC_LAP_BAD_COLUMN, i, j);
        if (j < 0 || j >= p->cols) continue;
        if (++c->used[j] > (p->capacity ? p->capacity[j] : 1)) mosaic_lap__find(r, MOSAIC_LAP_OVER_CAPACITY, i, j);
        if (p->groups > 0 && p->group[j] >= 0 && ++c->sum[p->group[j]] > p->quota[p->group[j]])
            mosaic_lap__find(r, MOSAIC_LAP_OVER_QUOTA, i, p->group[j]);
    }

    /* the prices of the side that need not be served completely */
    for (i = 0; i < p->rows; i++) {
        if (p->rows <= room) {
            if (col_of_row[i] == -1) mosaic_lap__find(r, MOSAIC_LAP_TOO_FEW_MATCHED, i, -1);
            continue;
        }
        sign = mosaic_lap__long_sign(c->u + (size_t)i * (size_t)words, words);
        if (sign == wrong) mosaic_lap__find(r, MOSAIC_LAP_PRICE_SIGN, i, -1);
        if (sign != 0 && col_of_row[i] == -1) mosaic_lap__find(r, MOSAIC_LAP_PRICE_NOT_ZERO, i, -1);
    }
    for (i = 0; i < p->cols; i++) {
        int full = c->used[i] >= (p->capacity ? p->capacity[i] : 1);
        if (p->rows > room) {
            if (!full) mosaic_lap__find(r, MOSAIC_LAP_TOO_FEW_MATCHED, -1, i);
            continue;
        }
        sign = mosaic_lap__long_sign(c->v + (size_t)i * (size_t)words, words);
        if (sign == wrong) mosaic_lap__find(r, MOSAIC_LAP_PRICE_SIGN, -1, i);
        if (sign != 0 && !full) mosaic_lap__find(r, MOSAIC_LAP_PRICE_NOT_ZERO, -1, i);
    }
    for (i = 0; i < p->groups; i++) {
        sign = mosaic_lap__long_sign(c->w + (size_t)i * (size_t)words, words);
        if (sign == wrong || (sign != 0 && c->sum[i] < p->quota[i])) mosaic_lap__find(r, MOSAIC_LAP_GROUP_PRICE, -1, i);
    }
    for (i = 0; p->groups > 0 && i < p->cols; i++)
        if (p->group[i] >= 0) mosaic_lap__long_add_long(c->v + (size_t)i * (size_t)words, c->w + (size_t)p->group[i] * (size_t)words, words, 1, 0);

    /* what is matched is tight */
    for (i = 0; i < p->rows; i++) {
        j = col_of_row[i];
        if (j < 0 || j >= p->cols) continue;
        r->matched++;
        if (!mosaic_lap__check_cost(c, i, j, &mantissa, &shift)) {
            mosaic_lap__find(r, MOSAIC_LAP_USED_FORBIDDEN, i, j);
            continue;
        }
        mosaic_lap__long_add(primal, words, mantissa, shift, 0);
        mosaic_lap__over(c, i, j, mantissa, shift, over);
        if (mosaic_lap__long_sign(over, words) != 0) mosaic_lap__find(r, MOSAIC_LAP_NOT_TIGHT, i, j);
    }

    /* no entry is worth more than its cost */
    if (c->narrow) {
        for (i = 0; i < p->rows; i++) c->narrow_u[i] = (int64_t)c->u[(size_t)i * (size_t)words];
        for (i = 0; i < p->cols; i++) c->narrow_v[i] = (int64_t)c->v[(size_t)i * (size_t)words];
    } else {
        double largest = mosaic_lap__nearby(c->u, p->rows, words, c->s.exponent, c->near_u, mosaic_lap__scaled(1, c->s.top + c->s.exponent));
        c->clear = mosaic_lap__scaled(mosaic_lap__nearby(c->v, p->cols, words, c->s.exponent, c->near_v, largest), -48);
    }
    c->jobs = p->rows < MOSAIC_LAP__JOBS ? p->rows : MOSAIC_LAP__JOBS;
    if (p->cols > 0) mosaic_lap__run(options, mosaic_lap__check_rows, c, c->jobs);
    for (i = 0; p->cols > 0 && i < c->jobs; i++) {
        r->violations += c->part[i].count;
        if (c->part[i].row < 0) continue;
        mosaic_lap__check_cost(c, c->part[i].row, c->part[i].col, &mantissa, &shift);
        mosaic_lap__over(c, c->part[i].row, c->part[i].col, mantissa, shift, over);
        mosaic_lap__long_add_long(over, worst, words, 1, 1);
        if (mosaic_lap__long_sign(over, words) <= 0) continue;
        mosaic_lap__long_add_long(worst, over, words, 1, 0);
        where = i;
    }
    r->worst_violation = mosaic_lap__long_clamp(worst, words);
    if (where >= 0) mosaic_lap__find(r, MOSAIC_LAP_VIOLATED, c->part[where].row, c->part[where].col);
    r->primal = mosaic_lap__long_clamp(primal, words);
    r->dual = mosaic_lap__long_clamp(dual, words);
    mosaic_lap__long_add_long(primal, dual, words, 1, 1);
    r->gap = mosaic_lap__long_clamp(primal, words);
    if (r->gap != 0) mosaic_lap__find(r, MOSAIC_LAP_GAP, -1, -1); /* follows from the above; the sums are compared all the same */
}

static mosaic_lap_result mosaic_lap__check(const mosaic_lap_problem *problem, const mosaic_lap_options *options, const mosaic_lap_solution *solution,
                                           mosaic_lap_report *report)
{
    mosaic_lap_problem p;
    mosaic_lap_options defaults;
    mosaic_lap__checker c;
    mosaic_lap__arena arena;
    mosaic_lap_report r;
    mosaic_lap_result result;
    void *memory;
    size_t size;
    int64_t room;
    int32_t row, col;
    int level, given, shift = 0;
    memset(&r, 0, sizeof r);
    r.row = r.col = -1;
    result = mosaic_lap__examine(problem, &c.s.stride, &room, &col);
    if (result == MOSAIC_LAP_OK) result = mosaic_lap__level(&options, &defaults, &level);
    if (result != MOSAIC_LAP_OK) return result;
    given = solution->words > 1 ? solution->words : 1;
    if (given > MOSAIC_LAP__WORDS / 2 || solution->exponent < -1074 || solution->exponent > 1023) return MOSAIC_LAP_ERROR_OPTION;
    p = *problem;
    if ((p.rows > 0 && (!solution->col_of_row || !solution->u)) || (p.cols > 0 && !solution->v) || (p.groups > 0 && !solution->w))
        return MOSAIC_LAP_ERROR_NULL;
    c.maximise = p.maximise != 0;
    c.narrow = p.kind == MOSAIC_LAP_INT32 && !p.row_start && solution->exponent == 0;
    c.words = 2;
    p.maximise = 0; /* costs are read as they are */
    c.s.p = &p;
    if (!c.narrow) {
        int unit;
        result = mosaic_lap__survey(&c.s, level, &row, &col);
        if (result != MOSAIC_LAP_OK) return result;
        unit = c.s.exponent < solution->exponent ? c.s.exponent : solution->exponent; /* prices may be in a coarser or in a finer one */
        shift = solution->exponent - unit;
        c.s.top += c.s.exponent - unit;
        c.s.exponent = unit;
        c.words = ((c.s.top > 64 * given + shift ? c.s.top : 64 * given + shift) + 64) / 64 + 1;
        if (c.words > MOSAIC_LAP__WORDS) return MOSAIC_LAP_ERROR_OPTION;
    }
    size = mosaic_lap__check_layout(&c, level, mosaic_lap__ruler(&arena));
    if (size == 0) return MOSAIC_LAP_ERROR_SIZE;
    result = mosaic_lap__open(options, size, &memory, &arena);
    if (result != MOSAIC_LAP_OK) return result;
    mosaic_lap__check_layout(&c, level, &arena);
    if (p.vectors) mosaic_lap__pack(&c.t, level, NULL);
    room = mosaic_lap__room_in_groups(&p, c.sum);
    if (mosaic_lap__check_prices(&c, solution->u, p.rows, given, shift, c.u) &&
        mosaic_lap__check_prices(&c, solution->v, p.cols, given, shift, c.v) &&
        mosaic_lap__check_prices(&c, solution->w, p.groups, given, shift, c.w)) {
        mosaic_lap__check_findings(&c, options, solution, room, &r);
        result = r.finding == MOSAIC_LAP_PROVEN ? MOSAIC_LAP_OK : MOSAIC_LAP_ERROR_CERTIFICATE;
        *report = r;
    } else {
        result = MOSAIC_LAP_ERROR_NUMBER;
    }
    mosaic_lap__close(options, memory);
    return result;
}

MOSAIC_LAP_API mosaic_lap_result mosaic_lap_check(const mosaic_lap_problem *problem, const mosaic_lap_options *options,
                                                  const mosaic_lap_solution *solution, mosaic_lap_report *report)
{
    mosaic_lap_result result;
    unsigned long long state;
    if (!report || !solution) return MOSAIC_LAP_ERROR_NULL;
    state = mosaic__fp_enter();
    result = mosaic_lap__check(problem, options, solution, report);
    mosaic__fp_leave(state);
    return result;
}

MOSAIC_LAP_API double mosaic_lap_price(const int64_t *price, int32_t words, int32_t exponent)
{
    unsigned long long state = mosaic__fp_enter();
    uint64_t copy[MOSAIC_LAP__WORDS];
    double x;
    if (words < 1) words = 1;
    if (words > MOSAIC_LAP__WORDS) words = MOSAIC_LAP__WORDS;
    memcpy(copy, price, (size_t)words * sizeof *copy);
    x = mosaic_lap__long_double(copy, words, exponent);
    mosaic__fp_leave(state);
    return x;
}

MOSAIC_LAP_API const char *mosaic_lap_result_string(mosaic_lap_result result)
{
    switch (result) {
    case MOSAIC_LAP_OK: return "ok";
    case MOSAIC_LAP_ERROR_NULL: return "a pointer that is needed is null";
    case MOSAIC_LAP_ERROR_SIZE: return "a size is negative or too large";
    case MOSAIC_LAP_ERROR_STRIDE: return "the stride is less than the number of columns";
    case MOSAIC_LAP_ERROR_CAPACITY: return "a capacity or a quota is negative";
    case MOSAIC_LAP_ERROR_GROUP: return "a column's group does not exist";
    case MOSAIC_LAP_ERROR_OPTION: return "an option has an unknown value";
    case MOSAIC_LAP_ERROR_SIMD: return "the instruction set asked for is not available";
    case MOSAIC_LAP_ERROR_SPARSE: return "the sparse rows are not in order";
    case MOSAIC_LAP_ERROR_NUMBER: return "a number is not usable";
    case MOSAIC_LAP_ERROR_WORDS: return "a price needs more words than it is given";
    case MOSAIC_LAP_ERROR_INFEASIBLE: return "too many entries are forbidden: there is no complete assignment";
    case MOSAIC_LAP_ERROR_MEMORY: return "out of memory";
    case MOSAIC_LAP_ERROR_CERTIFICATE: return "the assignment is not proven optimal";
    }
    return "unknown result";
}

MOSAIC_LAP_API const char *mosaic_lap_finding_string(mosaic_lap_finding finding)
{
    switch (finding) {
    case MOSAIC_LAP_PROVEN: return "optimal";
    case MOSAIC_LAP_BAD_COLUMN: return "a row has a column that does not exist";
    case MOSAIC_LAP_USED_FORBIDDEN: return "a row has a forbidden column";
    case MOSAIC_LAP_OVER_CAPACITY: return "a column is used more often than its capacity";
    case MOSAIC_LAP_OVER_QUOTA: return "a group is used more often than its quota";
    case MOSAIC_LAP_TOO_FEW_MATCHED: return "too few rows have a column";
    case MOSAIC_LAP_PRICE_SIGN: return "a price has the wrong sign";
    case MOSAIC_LAP_PRICE_NOT_ZERO: return "a price should be 0 and is not";
    case MOSAIC_LAP_GROUP_PRICE: return "the price of a group has the wrong sign, or should be 0 and is not";
    case MOSAIC_LAP_NOT_TIGHT: return "the prices of a matched row and column do not add up to its cost";
    case MOSAIC_LAP_VIOLATED: return "the prices of a row and a column exceed their cost";
    case MOSAIC_LAP_GAP: return "the total and the worth of the prices differ";
    }
    return "unknown finding";
}

/* === mosaic shared block, closing part === */
#if defined(__clang__)
#pragma STDC FP_CONTRACT DEFAULT
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
/* === end of the closing part === */

#endif /* MOSAIC_LAP_IMPLEMENTATION_DONE */
#endif /* MOSAIC_LAP_IMPLEMENTATION */

/*
   This software is available under two licences; choose the one you prefer.

   ALTERNATIVE A - MIT License

   Copyright (c) 2026 the mosaic authors

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
   "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
   distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
   the following conditions:

   The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
   MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
   ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
   SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

   ALTERNATIVE B - Public Domain (www.unlicense.org)

   This is free and unencumbered software released into the public domain. Anyone is free to copy, modify, publish, use, compile, sell, or
   distribute this software, either in source code form or as a compiled binary, for any purpose, commercial or non-commercial, and by any
   means. In jurisdictions that recognize copyright laws, the author or authors of this software dedicate any and all copyright interest in
   the software to the public domain. We make this dedication for the benefit of the public at large and to the detriment of our heirs and
   successors. We intend this dedication to be an overt act of relinquishment in perpetuity of all present and future rights to this software
   under copyright law.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
   MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR
   OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR
   OTHER DEALINGS IN THE SOFTWARE.
*/
