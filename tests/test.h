/* The whole test framework: count, say where, end with one line. */
#ifndef MOSAIC_TEST_H
#define MOSAIC_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_passed, test_failed;

/* Only the first failures of a run are printed: a broken kernel fails millions of comparisons. */
#define CHECK_MSG(cond, ...)                                                                                                                         \
    do {                                                                                                                                             \
        if (cond) {                                                                                                                                  \
            test_passed++;                                                                                                                           \
        } else if (++test_failed <= 20) {                                                                                                            \
            fprintf(stderr, "%s:%d: failed: %s: ", __FILE__, __LINE__, #cond);                                                                       \
            fprintf(stderr, __VA_ARGS__);                                                                                                            \
            fprintf(stderr, "\n");                                                                                                                   \
        }                                                                                                                                            \
    } while (0)

#define CHECK(cond) CHECK_MSG(cond, "as written")

/* One small generator for all tests, so that a seed printed by one can be replayed in another. */
static unsigned long long test_seed = 88172645463325252ull;
static inline unsigned test_random(void)
{
    test_seed ^= test_seed << 13;
    test_seed ^= test_seed >> 7;
    test_seed ^= test_seed << 17;
    return (unsigned)(test_seed >> 32);
}
static inline int test_range(int low, int high) { return low + (int)(test_random() % (unsigned)(high - low + 1)); }

static inline int test_end(const char *name)
{
    printf("%s: %d passed, %d failed\n", name, test_passed, test_failed);
    return test_failed ? 1 : 0;
}

#endif
