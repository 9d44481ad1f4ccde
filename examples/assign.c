/* The cheapest assignment of rows to columns, from a table in a text file, and the proof that none is cheaper:
       cc -O2 examples/assign.c -o assign

       assign costs.csv [--max-uses q] [--maximize] [--scipy]

   costs.csv has a line for each row: numbers, with commas, semicolons or tabs between them. "inf" forbids. Whole numbers and decimals are taken
   exactly, 0.1 as a tenth, as long as they and their sums have 18 digits or less; beyond that as double precision, which is said.
   Each column is given to one row, or with --max-uses to q of them. Prints, counting rows and columns from 1, a line for each pair, the total,
   whether it has been proven, and what proves it: prices of rows and columns that exceed the cost of no pair and are worth the total.
   --scipy chooses among several best assignments the one of scipy.optimize.linear_sum_assignment, in double precision as SciPy; otherwise it is
   the one with the smallest columns, row by row. */
#define MOSAIC_LAP_STATIC
#define MOSAIC_LAP_IMPLEMENTATION
#include "../mosaic_lap.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(void)
{
    fprintf(stderr, "usage: assign costs.csv [--max-uses q] [--maximize] [--scipy]\n");
    return 2;
}

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

/* The whole file with a 0 behind it; null with a word on stderr. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t size = 0, room = 1 << 16, got;
    char *text;
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    text = (char *)need(malloc(room));
    while ((got = fread(text + size, 1, room - 1 - size, file)) > 0)
        if ((size += got) == room - 1) text = (char *)need(realloc(text, room *= 2));
    if (ferror(file) || memchr(text, 0, size)) {
        fprintf(stderr, "%s: %s\n", path, ferror(file) ? strerror(errno) : "not a text file");
        return NULL;
    }
    fclose(file);
    text[size] = 0;
    return text;
}

/* One cell. As a decimal it is digits * 10^-places; exact is 0 when that takes more than an int64_t. */
typedef struct {
    double real;
    int64_t digits;
    int places, exact, forbidden;
} cell;

static int read_cell(const char *at, const char *end, cell *c)
{
    const char *p = at;
    char *stop;
    int negative = *p == '-', any = 0, shift = 0;
    memset(c, 0, sizeof *c);
    c->exact = 1;
    p += *p == '-' || *p == '+';
    if (end - p == 3 && tolower(p[0]) == 'i' && tolower(p[1]) == 'n' && tolower(p[2]) == 'f' && !negative) return c->forbidden = 1;
    for (; p < end && (isdigit((unsigned char)*p) || (*p == '.' && c->places == 0 && shift == 0)); p++) {
        if (*p == '.') {
            shift = 1;
            continue;
        }
        any = 1;
        c->places += shift;
        if (c->digits > (INT64_MAX - 10) / 10) c->exact = 0;
        if (c->exact) c->digits = c->digits * 10 + (*p - '0');
    }
    if (!any) return 0;
    if (p < end && (*p == 'e' || *p == 'E')) {
        long power = strtol(p + 1, &stop, 10);
        if (stop == p + 1 || isspace((unsigned char)p[1])) return 0;
        p = stop;
        if (power < -400 || power > 400) c->exact = 0;
        else c->places -= (int)power;
    }
    if (p != end) return 0;
    for (; c->exact && c->places > 0 && c->digits % 10 == 0; c->places--) c->digits /= 10;
    for (; c->exact && c->places < 0; c->places++) {
        if (c->digits > (INT64_MAX - 10) / 10) c->exact = 0;
        else c->digits *= 10;
    }
    if (c->places < 0) c->places = 0;
    if (negative) c->digits = -c->digits;
    c->real = strtod(at, &stop);
    return stop == end && c->real - c->real == 0; /* a number too large for a double is none */
}

typedef struct {
    int32_t rows, cols;
    cell *cells;
} sheet;

static int is_separator(char c) { return c == ',' || c == ';' || c == '\t'; }

/* 0 with a word on stderr when it is no table of numbers. */
static int read_sheet(const char *path, char *text, sheet *s)
{
    size_t count = 0, room = 1024;
    long line = 0;
    memset(s, 0, sizeof *s);
    s->cells = (cell *)need(malloc(room * sizeof *s->cells));
    if (!strncmp(text, "\xef\xbb\xbf", 3)) text += 3;
    while (*text) {
        char *end = text + strcspn(text, "\n"), *next = *end ? end + 1 : end, *at = text;
        int32_t cols = 0;
        line++;
        if (end > text && end[-1] == '\r') end--;
        while (at < end && isspace((unsigned char)*at)) at++;
        if (at == end) {
            text = next; /* an empty line */
            continue;
        }
        for (at = text;; at++) {
            char *from = at, *to;
            while (at < end && !is_separator(*at)) at++;
            for (to = at; to > from && isspace((unsigned char)to[-1]); to--) {}
            while (from < to && isspace((unsigned char)*from)) from++;
            if (count == room) s->cells = (cell *)need(realloc(s->cells, (room *= 2) * sizeof *s->cells));
            if (!read_cell(from, to, &s->cells[count])) {
                fprintf(stderr, "%s: line %ld, cell %ld: \"%.*s\" is not a number\n", path, line, (long)cols + 1, to - from < 40 ? (int)(to - from) : 40, from);
                return 0;
            }
            count++;
            cols++;
            if (at == end) break;
        }
        if (s->rows > 0 && cols != s->cols) {
            fprintf(stderr, "%s: line %ld has %ld cells, not %ld as the lines before\n", path, line, (long)cols, (long)s->cols);
            return 0;
        }
        s->cols = cols;
        s->rows++;
        text = next;
    }
    if (s->rows == 0) fprintf(stderr, "%s: there are no numbers in it\n", path);
    return s->rows > 0;
}

/* All cells as whole numbers of 10^-places, into `cost`; 0 when they, or sums of so many, are too large for that. */
static int whole_costs(const sheet *s, int places, int64_t *cost)
{
    const int64_t edge = INT64_MAX / 4 / (s->rows + s->cols);
    size_t i;
    for (i = 0; i < (size_t)s->rows * (size_t)s->cols; i++) {
        const cell *c = s->cells + i;
        int k;
        cost[i] = c->forbidden ? MOSAIC_LAP_FORBIDDEN64 : c->digits;
        if (c->forbidden) continue;
        for (k = c->places; k < places && cost[i] <= edge && cost[i] >= -edge; k++) cost[i] *= 10;
        if (!c->exact || cost[i] > edge || cost[i] < -edge) return 0;
    }
    return 1;
}

/* A number of 10^-places, or, with places -1, of 2^exponent. */
static void print_number(const int64_t *number, int words, int places, int exponent)
{
    uint64_t size = *number < 0 ? 0 - (uint64_t)*number : (uint64_t)*number, tens = 1;
    int i;
    if (places < 0) {
        printf("%.17g", mosaic_lap_price(number, words, exponent));
        return;
    }
    for (i = 0; i < places; i++) tens *= 10;
    printf("%s%llu", *number < 0 ? "-" : "", (unsigned long long)(size / tens));
    if (places > 0) printf(".%0*llu", places, (unsigned long long)(size % tens));
}

static void print_clash(const uint8_t *flags, int32_t count)
{
    int32_t i, shown = 0;
    for (i = 0; i < count; i++)
        if (flags[i] && ++shown <= 20) fprintf(stderr, "%s%ld", shown > 1 ? ", " : " ", (long)i + 1);
    if (shown > 20) fprintf(stderr, ", ... (%ld)", (long)shown);
    if (shown == 0) fprintf(stderr, ": none");
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    char *text, *stop;
    sheet s;
    mosaic_lap_problem p;
    mosaic_lap_solution out;
    mosaic_lap_report report;
    mosaic_lap_result result;
    long max_uses = 0;
    int places = 0, whole, i;
    int32_t *capacity = NULL, row, col;
    int64_t *costs;
    double *reals;
    size_t cells, at;
    memset(&p, 0, sizeof p);
    memset(&out, 0, sizeof out);
    for (i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--maximize")) p.maximise = 1;
        else if (!strcmp(argv[i], "--scipy")) p.order = MOSAIC_LAP_ORDER_SCIPY;
        else if (!strcmp(argv[i], "--max-uses") && i + 1 < argc) {
            max_uses = strtol(argv[++i], &stop, 10);
            if (*stop || stop == argv[i] || max_uses < 1 || max_uses > 1000000000) return fprintf(stderr, "--max-uses takes a number from 1 on\n"), 2;
        } else if (argv[i][0] != '-' && !path) path = argv[i];
        else return usage();
    }
    if (!path) return usage();
    if (max_uses && p.order) return fprintf(stderr, "--scipy and --max-uses do not go together: SciPy gives each column once\n"), 2;
    text = read_file(path);
    if (!text || !read_sheet(path, text, &s)) return 1;

    cells = (size_t)s.rows * (size_t)s.cols;
    p.rows = s.rows, p.cols = s.cols;
    costs = (int64_t *)need(malloc(cells * sizeof *costs));
    reals = (double *)need(malloc(cells * sizeof *reals));
    for (at = 0; at < cells; at++) {
        if (s.cells[at].places > places && !s.cells[at].forbidden) places = s.cells[at].places;
        reals[at] = s.cells[at].forbidden ? (double)INFINITY : s.cells[at].real;
    }
    whole = !p.order && places <= 18 && whole_costs(&s, places, costs); /* SciPy works in double precision */
    p.kind = whole ? MOSAIC_LAP_INT64 : MOSAIC_LAP_DOUBLE;
    p.cost = whole ? (const void *)costs : (const void *)reals;
    if (!whole) places = -1;
    if (max_uses) {
        p.capacity = capacity = (int32_t *)need(malloc((size_t)s.cols * sizeof *capacity));
        for (col = 0; col < s.cols; col++) capacity[col] = (int32_t)max_uses;
    }
    out.words = 36;
    out.col_of_row = (int32_t *)need(malloc((size_t)s.rows * sizeof(int32_t)));
    out.u = (int64_t *)need(malloc((size_t)s.rows * 36 * sizeof(int64_t)));
    out.v = (int64_t *)need(malloc((size_t)s.cols * 36 * sizeof(int64_t)));
    out.clash_rows = (uint8_t *)need(malloc((size_t)s.rows));
    out.clash_cols = (uint8_t *)need(malloc((size_t)s.cols));
    result = mosaic_lap_solve(&p, NULL, &out);
    if (result == MOSAIC_LAP_ERROR_INFEASIBLE) {
        fprintf(stderr, "%s: no assignment: too much is forbidden: %s", path, out.row >= 0 ? "for rows" : "for columns");
        print_clash(out.row >= 0 ? out.clash_rows : out.clash_cols, out.row >= 0 ? s.rows : s.cols);
        fprintf(stderr, " there are only %s", out.row >= 0 ? "columns" : "rows");
        print_clash(out.row >= 0 ? out.clash_cols : out.clash_rows, out.row >= 0 ? s.cols : s.rows);
        fprintf(stderr, "\n");
        return 1;
    }
    if (result != MOSAIC_LAP_OK) return fprintf(stderr, "%s: %s\n", path, mosaic_lap_result_string(result)), 1;

    printf("row,column,cost\n");
    for (row = 0; row < s.rows; row++) {
        col = out.col_of_row[row];
        if (col < 0) continue;
        at = (size_t)row * (size_t)s.cols + (size_t)col;
        printf("%ld,%ld,", (long)row + 1, (long)col + 1);
        if (whole) print_number(&costs[at], 1, places, 0);
        else printf("%.17g", reals[at]);
        printf("\n");
    }
    printf("total ");
    if (whole) print_number(&out.primal, 1, places, 0);
    else printf("%.17g", out.total);
    result = mosaic_lap_check(&p, NULL, &out, &report);
    printf("\n%s%s%s\n", result == MOSAIC_LAP_OK ? "proven: no other total is " : "not the best, which rounding has missed: ",
           result == MOSAIC_LAP_OK ? p.maximise ? "larger" : "smaller" : mosaic_lap_finding_string(report.finding),
           whole ? "" : "; in double precision");
    printf("row prices");
    for (row = 0; row < s.rows; row++) {
        printf(" ");
        print_number(out.u + (size_t)row * 36, 36, places, out.exponent);
    }
    printf("\ncolumn prices");
    for (col = 0; col < s.cols; col++) {
        printf(" ");
        print_number(out.v + (size_t)col * 36, 36, places, out.exponent);
    }
    printf("\n");
    free(text), free(s.cells), free(costs), free(reals), free(capacity);
    free(out.col_of_row), free(out.u), free(out.v), free(out.clash_rows), free(out.clash_cols);
    return 0;
}
