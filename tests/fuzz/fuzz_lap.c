/* Any bytes as costs, of any type, dense or sparse, with capacities and groups: every call returns, nothing is touched that was not given, a
   solution is proven by the check, and an infeasible problem by its clash.
   clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_lap.c -o fuzz_lap
   Without libFuzzer: cc -g -fsanitize=address,undefined -DFUZZ_MAIN tests/fuzz/fuzz_lap.c -o fuzz_lap; it runs on bytes of its own. */
#define MOSAIC_LAP_STATIC
#define MOSAIC_LAP_IMPLEMENTATION
#include "../../mosaic_lap.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next n bytes of the input, or zeros. */
static void take(const uint8_t **data, size_t *size, void *to, size_t n)
{
    size_t got = n < *size ? n : *size;
    memset(to, 0, n);
    if (got) memcpy(to, *data, got);
    *data += got, *size -= got;
}

/* Memory of exactly so many bytes, from the input. */
static void *bytes(const uint8_t **data, size_t *size, size_t n)
{
    void *memory = malloc(n ? n : 1);
    if (!memory) abort();
    take(data, size, memory, n);
    return memory;
}

static void insist(int condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t sizes[4] = {4, 8, 4, 8};
    uint8_t form[16];
    mosaic_lap_problem p;
    mosaic_lap_options o;
    mosaic_lap_solution s;
    mosaic_lap_report r;
    mosaic_lap_result result;
    size_t rows, cols, cells, width, i, j;
    void *cost, *work = NULL;
    int32_t *capacity, *group, *quota, *col_index;
    int64_t *row_start;
    memset(&p, 0, sizeof p), memset(&o, 0, sizeof o), memset(&s, 0, sizeof s);
    take(&data, &size, form, sizeof form);
    rows = form[0] % 24, cols = form[1] % 24;
    p.kind = (mosaic_lap_kind)(form[2] % 4);
    width = sizes[p.kind];
    cells = rows * cols;
    cost = bytes(&data, &size, cells * width);
    if (form[3] % 4) /* mostly small numbers, with ties, and some that are forbidden */
        for (i = 0; i < cells; i++) {
            uint8_t c = ((uint8_t *)cost)[i];
            int forbidden = c % 16 == 15;
            int64_t x = (int64_t)(c % (form[3] + 1)) << (form[4] % 40);
            switch (p.kind) {
            case MOSAIC_LAP_INT32: ((int32_t *)cost)[cells - 1 - i] = forbidden ? MOSAIC_LAP_FORBIDDEN : c % (form[3] + 1); break;
            case MOSAIC_LAP_INT64: ((int64_t *)cost)[cells - 1 - i] = forbidden ? MOSAIC_LAP_FORBIDDEN64 : x; break;
            case MOSAIC_LAP_FLOAT: ((float *)cost)[cells - 1 - i] = forbidden ? (float)DBL_MAX * 2 : (float)x / 3; break;
            case MOSAIC_LAP_DOUBLE: ((double *)cost)[cells - 1 - i] = forbidden ? DBL_MAX * 2 : (double)x / 3; break;
            }
        }
    p.rows = (int32_t)rows, p.cols = (int32_t)cols, p.cost = cost;
    p.maximise = form[5] & 1;
    p.order = form[5] & 2 ? MOSAIC_LAP_ORDER_SCIPY : MOSAIC_LAP_ORDER_ROWS;
    capacity = (int32_t *)bytes(&data, &size, cols * sizeof *capacity);
    group = (int32_t *)bytes(&data, &size, cols * sizeof *group);
    quota = (int32_t *)bytes(&data, &size, 8 * sizeof *quota);
    row_start = (int64_t *)bytes(&data, &size, (rows + 1) * sizeof *row_start);
    col_index = (int32_t *)bytes(&data, &size, cells * sizeof *col_index);
    if (!(form[6] & 1)) { /* else whatever the bytes are */
        for (i = 0; i < cols; i++) capacity[i] &= 3, group[i] = group[i] % 8 < 0 ? -1 : group[i] % 8;
        for (i = 0; i < 8; i++) quota[i] &= 7;
        for (i = 0; i < rows; i++) {
            row_start[i + 1] = row_start[i] = i ? row_start[i] : 0;
            for (j = 0; j < cols; j++)
                if (form[(i + j) % 16] >> (j % 8) & 1) col_index[row_start[i + 1]++] = (int32_t)j;
        }
        if (rows == 0) row_start[0] = 0;
    } else if (rows > 0) { /* an index beyond the costs there are cannot be noticed */
        if (row_start[rows] > (int64_t)cells) row_start[rows] = (int64_t)cells;
    } else {
        row_start[0] = 0;
    }
    if (form[5] & 4) p.capacity = capacity;
    if (form[5] & 8) p.groups = 8, p.group = group, p.quota = quota;
    if (form[5] & 16) p.row_start = row_start, p.col_index = col_index;
    o.simd = form[7] & 1; /* the best, or none */
    o.solver = form[7] % 5 == 4;
    if (form[7] & 2 && (o.work_size = mosaic_lap_work_size(&p)) > 0) o.work = work = bytes(&data, &size, o.work_size);
    s.words = form[8] % 40;
    width = s.words > 1 ? (size_t)s.words : 1;
    s.col_of_row = (int32_t *)bytes(&data, &size, rows * sizeof(int32_t));
    s.u = (int64_t *)bytes(&data, &size, rows * width * sizeof(int64_t));
    s.v = (int64_t *)bytes(&data, &size, cols * width * sizeof(int64_t));
    s.w = (int64_t *)bytes(&data, &size, 8 * width * sizeof(int64_t));
    s.clash_rows = (uint8_t *)bytes(&data, &size, rows);
    s.clash_cols = (uint8_t *)bytes(&data, &size, cols);
    s.exponent = form[9] & 1 ? form[10] : 0;
    (void)mosaic_lap_check(&p, NULL, &s, &r); /* any prices */
    s.exponent = 0;
    result = mosaic_lap_solve(&p, &o, &s);
    if (result == MOSAIC_LAP_OK) {
        result = mosaic_lap_check(&p, NULL, &s, &r);
        insist(result == MOSAIC_LAP_OK || (p.order && s.gap != 0));
    } else if (result == MOSAIC_LAP_ERROR_INFEASIBLE && p.groups == 0) {
        int64_t room = 0, marked_rows = 0, marked_room = 0;
        int turned;
        for (j = 0; j < cols; j++) {
            int32_t one = p.capacity ? capacity[j] : 1;
            room += one, marked_room += s.clash_cols[j] ? one : 0;
        }
        for (i = 0; i < rows; i++) marked_rows += s.clash_rows[i];
        turned = (int64_t)rows > room;
        insist(turned ? marked_room > marked_rows : marked_rows > marked_room);
    }
    free(cost), free(work), free(capacity), free(group), free(quota), free(row_start), free(col_index);
    free(s.col_of_row), free(s.u), free(s.v), free(s.w), free(s.clash_rows), free(s.clash_cols);
    return 0;
}

#ifdef FUZZ_MAIN
#include <stdio.h>
int main(void)
{
    static uint8_t data[8192];
    unsigned long long x = 88172645463325252ull;
    int round;
    for (round = 0; round < 20000; round++) {
        size_t size, i;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        size = (size_t)(x >> 33) % sizeof data;
        for (i = 0; i < size; i++) x ^= x << 13, x ^= x >> 7, x ^= x << 17, data[i] = (uint8_t)(x >> 40);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("fuzz_lap: %d inputs\n", round);
    return 0;
}
#endif
