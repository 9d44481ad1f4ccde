/* mem.h: what the tests of mosaic_mem.h share. Include test.h and mosaic_mem.h before. */
#ifndef MOSAIC_TESTS_MEM_H
#define MOSAIC_TESTS_MEM_H

#include <math.h>

#define OK(call) CHECK_MSG((call) == MOSAIC_MEM_OK, "%s", #call)
#define IS(call, code)                                                                                                                               \
    do {                                                                                                                                             \
        const mosaic_mem_result got_ = (call);                                                                                                       \
        CHECK_MSG(got_ == (code), "%s is %s", #call, mosaic_mem_result_string(got_));                                                                \
    } while (0)
#define CLOSE(a, b, t) CHECK_MSG(fabs((double)(a) - (double)(b)) <= (t), "%s is %.12g, not %.12g", #a, (double)(a), (double)(b))

#endif
