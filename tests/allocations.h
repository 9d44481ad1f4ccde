/* allocations.h: memory for tests that count it and let it run out. */
#ifndef TESTS_ALLOCATIONS_H
#define TESTS_ALLOCATIONS_H
#include <stdlib.h>

static int fail_after = -1, blocks; /* allocations that still succeed; blocks not given back */
static void *test_malloc(size_t size)
{
    void *p;
    if (fail_after == 0) return NULL;
    if (fail_after > 0) fail_after--;
    p = malloc(size ? size : 1);
    if (p) blocks++;
    return p;
}
static void test_free(void *p)
{
    if (p) blocks--;
    free(p);
}

#endif
