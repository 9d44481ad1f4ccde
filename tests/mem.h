/* mem.h: what the tests of mosaic_mem.h share. Include test.h and mosaic_mem.h before.

   D1 to D55 in the tests are mistakes of an earlier implementation of the idea, each with the test that would fail on it:
   test_mem.c           D1 pictures upside down, D2 translation taken for place: cameras; D4 a camera that stands still, D5 an interval of 0:
                        trajectories; D3 half a pixel, D16 depth that is none, D18 size taken from depths, D19 short buffers, D22 what is not finite,
                        D25 tokens that change places: insert_golden; D6 culled by the centre: searches; D14 many in one plane or point:
                        identical_points; D20 ids that are gone, D21 the newest stay: budget; D23 large files: files
   test_mem_views.c     D26, D27 coverage in boxes of one size: ramps_and_cover; D28 the middle counts more, D30 amnesia: scores; D29 no occlusion:
                        occlusion; D32 unseen is 0, D33 blur: identity; D17 frames of a window, D41, D42 edits that nothing follows: edits
   test_mem_attention.c D34 queries not turned, D36 world counts: rope, prope, cross; D38 memory not in keys and values: tokens
   test_mem_cloud.c     D3, D9 grey points, D16: unprojection; D7 random order: joining; D10 planes collapse, D11 nothing is joined: fusion; D12 an
                        index that nobody asks: searches
   test_mem_rollout.c   D37, D51 a warp that does nothing, or twice: latents; D43 no posterior, D44 uniform noise, D46 divergence: schedules; D49
                        frames twice, D50 windows cut short: windows; D13 depth twice, D17, D45 guidance ignored, D47 cameras ignored, D48 failures
                        passed over: rollouts
   cli.sh, fuzz_mem.c   D8 broken PLY files taken for whole
   What there is nothing of here cannot be wrong: a second way to retrieve (D24), random weights (D39), a stub of a real model (D52), screens (D53, D54).
   Costs are the benchmark's: D15, D31 walks over all, D35 tables for nothing, D40 keys turned for each query. D55 is the opening comment. */
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

static inline double uniform(void) { return (double)test_random() / 4294967296.0; }
static inline double spread(double size) { return (2 * uniform() - 1) * size; }

/* From the origin along z. f: in pixels */
static inline mosaic_mem_view view_of(int width, int height, double f)
{
    static const double zero[3] = {0, 0, 0}, none[4] = {0, 0, 0, 1};
    mosaic_mem_view v;
    memset(&v, 0, sizeof v);
    mosaic_mem_pose_at(zero, none, &v.pose);
    v.camera = mosaic_mem_camera_default(width, height);
    v.camera.fx = v.camera.fy = f;
    return v;
}

#endif
