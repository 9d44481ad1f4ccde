/* mosaic_mem.h: pictures as points, clouds that they are fused into, and what is found there. */
#include "../test.h"
#include "../allocations.h"
#define MOSAIC_MEM_MALLOC(ctx, size) ((void)(ctx), test_malloc(size))
#define MOSAIC_MEM_FREE(ctx, ptr) ((void)(ctx), test_free(ptr))
#define MOSAIC_MEM_STATIC
#define MOSAIC_MEM_IMPLEMENTATION
#include "../../mosaic_mem.h"
#include "../mem.h"

enum { W = 40, H = 30, MOST = 40000 };
static float depth_map[W * H];
static uint8_t rgb[W * H * 3], skip[W * H];
static mosaic_mem_point points[MOST], others[MOST];

static mosaic_mem_picture picture(double z)
{
    static const double zero[3] = {0, 0, 0}, none[4] = {0, 0, 0, 1};
    mosaic_mem_picture p;
    int i;
    memset(&p, 0, sizeof p);
    mosaic_mem_pose_at(zero, none, &p.view.pose);
    p.view.camera = mosaic_mem_camera_default(W, H);
    for (i = 0; i < W * H; i++) {
        depth_map[i] = (float)z;
        rgb[3 * i] = (uint8_t)(i % W), rgb[3 * i + 1] = (uint8_t)(i / W), rgb[3 * i + 2] = 200;
    }
    memset(skip, 0, sizeof skip);
    p.depth = depth_map;
    p.rgb = rgb;
    return p;
}

static mosaic_mem_cloud *cloud_of(double voxel, uint32_t carve)
{
    mosaic_mem_cloud_options o;
    mosaic_mem_cloud *c = NULL;
    memset(&o, 0, sizeof o);
    o.voxel = voxel, o.carve = carve;
    OK(mosaic_mem_cloud_open(&o, &c));
    return c;
}

static size_t all_of(const mosaic_mem_cloud *c, mosaic_mem_point *out)
{
    uint64_t i = 0;
    size_t n = 0;
    while ((i = mosaic_mem_cloud_next(c, i)) != 0 && n < MOST) OK(mosaic_mem_cloud_read(c, i, &out[n++]));
    CHECK(n == mosaic_mem_cloud_count(c));
    return n;
}

static void unprojection(void)
{
    mosaic_mem_picture p = picture(5);
    size_t n, i;
    int k;
    double uvz[3];
    const double eye[3] = {3, 2, -4}, target[3] = {0, 0, 1};
    OK(mosaic_mem_look_at(eye, target, NULL, &p.view.pose));
    p.view.time = 7;
    OK(mosaic_mem_unproject_picture(&p, points, MOST, &n));
    CHECK(n == W * H);
    for (i = 0; i < n; i++) { /* D3: each is at the centre of its pixel; D9: and has its colour */
        const double x[3] = {(double)points[i].position[0], (double)points[i].position[1], (double)points[i].position[2]};
        CHECK(mosaic_mem_project(&p.view, x, uvz) == 1);
        CLOSE(uvz[0], (double)(i % W) + 0.5, 1e-5 * 40);
        CLOSE(uvz[1], (double)(i / W) + 0.5, 1e-5 * 40);
        CLOSE(uvz[2], 5, 1e-5);
        CHECK(points[i].rgb[0] == i % W && points[i].rgb[1] == i / W && points[i].rgb[2] == 200);
        for (k = 0; k < 3; k++) CLOSE(points[i].normal[k], -p.view.pose.rotation[6 + k], 1e-6); /* a wall across the view */
        CHECK(points[i].weight == 1 && points[i].time == 7 && points[i].reserved == 0);
    }
    OK(mosaic_mem_unproject_picture(&p, others, 10, &n));
    CHECK(n == W * H && memcmp(points, others, 10 * sizeof *points) == 0);
    /* depths of another size than the picture, every third, without colours */
    p.depth_width = 10, p.depth_height = 6, p.rgb = NULL, p.step = 3;
    OK(mosaic_mem_unproject_picture(&p, points, MOST, &n));
    CHECK(n == 4 * 2 && points[0].rgb[1] == 128);
    for (i = 0; i < n; i++) {
        const double x[3] = {(double)points[i].position[0], (double)points[i].position[1], (double)points[i].position[2]};
        CHECK(mosaic_mem_project(&p.view, x, uvz) == 1);
        CLOSE(uvz[0], ((double)(i % 4 * 3) + 0.5) * 4, 1e-3);
        CLOSE(uvz[1], ((double)(i / 4 * 3) + 0.5) * 5, 1e-3);
    }
    /* D16: depths that are none make no point; edges and what is to be left out neither */
    p = picture(5);
    depth_map[0] = 0, depth_map[1] = -1, depth_map[2] = NAN, depth_map[3] = INFINITY, depth_map[W] = 1e10f;
    p.skip = skip, skip[2 * W] = 1, skip[3 * W] = 255;
    OK(mosaic_mem_unproject_picture(&p, points, MOST, &n));
    CHECK(n == W * H - 7);
    p = picture(5);
    for (i = 0; i < W * H; i++)
        if (i % W >= 20) depth_map[i] = 8;
    p.edge = 0.05;
    OK(mosaic_mem_unproject_picture(&p, points, MOST, &n));
    CHECK(n == (W - 2) * H);
    p.edge = 0;
    OK(mosaic_mem_unproject_picture(&p, points, MOST, &n));
    CHECK(n == W * H);
    for (i = 0; i < n; i++) CHECK(points[i].normal[2] < -0.999f); /* not across the edge */
    /* the normal of a floor seen at a slant */
    for (i = 0; i < W * H; i++) depth_map[i] = i / W > 16 ? (float)(1 / ((i / W + 0.5 - 15) / 40)) : 0;
    OK(mosaic_mem_unproject_picture(&p, points, MOST, &n));
    CHECK(n == W * 13);
    for (i = 0; i < n; i++) {
        CLOSE(points[i].position[1], 1, 1e-5);
        if (i >= 3 * W) CLOSE(points[i].normal[1], -1, 1e-5);
    }
    p.step = -1;
    IS(mosaic_mem_unproject_picture(&p, points, MOST, &n), MOSAIC_MEM_ERROR_SIZE);
    p.step = 1, p.edge = NAN;
    IS(mosaic_mem_unproject_picture(&p, points, MOST, &n), MOSAIC_MEM_ERROR_NUMBER);
    p.edge = 0, p.depth_stride = 3;
    IS(mosaic_mem_unproject_picture(&p, points, MOST, &n), MOSAIC_MEM_ERROR_SIZE);
    p.depth_stride = 0, p.depth = NULL;
    IS(mosaic_mem_unproject_picture(&p, points, MOST, &n), MOSAIC_MEM_ERROR_NULL);
    p.view.pose.centre[0] = NAN;
    IS(mosaic_mem_unproject_picture(&p, points, MOST, &n), MOSAIC_MEM_ERROR_POSE);
}

static void joining(void)
{
    mosaic_mem_cloud *c = cloud_of(1, 0), *again;
    mosaic_mem_fuse_stats stats;
    mosaic_mem_point p;
    double low[3], high[3], mean[3], sum[3] = {0, 0, 0};
    size_t n, i;
    int k;
    IS(mosaic_mem_cloud_bounds(c, low, high, mean), MOSAIC_MEM_ERROR_SIZE);
    /* ten samples in one cube: their mean, not the first */
    memset(points, 0, sizeof points);
    for (i = 0; i < 10; i++) {
        for (k = 0; k < 3; k++) points[i].position[k] = (float)(-uniform()), sum[k] += (double)points[i].position[k] / 10;
        points[i].rgb[1] = (uint8_t)(20 * i), points[i].time = (double)i;
    }
    OK(mosaic_mem_cloud_add(c, points, 10, &stats));
    CHECK(stats.samples == 10 && stats.points == 1 && stats.refused == 0 && mosaic_mem_cloud_count(c) == 1);
    OK(mosaic_mem_cloud_read(c, 1, &p));
    for (k = 0; k < 3; k++) CLOSE(p.position[k], sum[k], 1e-6);
    CHECK(p.rgb[1] == 90 && p.weight == 10 && p.time == 9 && p.normal[0] == 0 && p.normal[1] == 0 && p.normal[2] == 0);
    /* joined as a whole: the weights count */
    p.position[0] = -0.5f, p.weight = 30;
    OK(mosaic_mem_cloud_add(c, &p, 1, NULL));
    OK(mosaic_mem_cloud_read(c, 1, &p));
    CLOSE(p.position[0], 0.25 * sum[0] + 0.75 * -0.5, 1e-6);
    CHECK(p.weight == 40);
    /* after 32, one sample in 33 moves it by a 33rd */
    points[0].position[0] = -0.9f;
    OK(mosaic_mem_cloud_add(c, points, 1, NULL));
    {
        mosaic_mem_point q;
        OK(mosaic_mem_cloud_read(c, 1, &q));
        CLOSE(q.position[0], (double)p.position[0] + (-0.9 - (double)p.position[0]) / 33, 1e-6);
    }
    /* what is no place is refused */
    points[0].position[1] = NAN, points[1].position[1] = INFINITY, points[2].position[1] = 3e9f, points[3].time = NAN;
    OK(mosaic_mem_cloud_add(c, points, 4, &stats));
    CHECK(stats.refused == 4 && stats.samples == 0 && mosaic_mem_cloud_count(c) == 1);
    mosaic_mem_cloud_close(c);

    /* D7: each cube once, in the order they came, whatever the table is like: against the slow way */
    c = cloud_of(0.25, 0);
    n = 0;
    for (i = 0; i < 3000; i++) {
        size_t j;
        double key[3];
        mosaic_mem_point *q = &points[i];
        memset(q, 0, sizeof *q);
        for (k = 0; k < 3; k++) q->position[k] = (float)spread(1.5), key[k] = floor((double)q->position[k] / 0.25);
        q->weight = 1;
        for (j = 0; j < n; j++)
            if (floor((double)others[j].position[0] / 0.25) == key[0] && floor((double)others[j].position[1] / 0.25) == key[1] &&
                floor((double)others[j].position[2] / 0.25) == key[2])
                break;
        if (j == n) others[n++] = *q;
    }
    OK(mosaic_mem_cloud_add(c, points, 3000, &stats));
    CHECK(stats.points == n && mosaic_mem_cloud_count(c) == n);
    CHECK(all_of(c, points) == n);
    for (i = 0; i < n; i++)
        for (k = 0; k < 3; k++) CHECK(floor((double)points[i].position[k] / 0.25) == floor((double)others[i].position[k] / 0.25));
    OK(mosaic_mem_cloud_bounds(c, low, high, mean));
    for (k = 0; k < 3; k++) {
        double l = 9, h = -9, s = 0;
        for (i = 0; i < n; i++) {
            const double q = (double)points[i].position[k];
            l = q < l ? q : l, h = q > h ? q : h, s += q;
        }
        CHECK(low[k] == l && high[k] == h);
        CLOSE(mean[k], s / (double)n, 1e-12);
    }
    /* a cloud of points joined anew is the cloud; in larger cubes it has fewer */
    again = cloud_of(0.25, 0);
    OK(mosaic_mem_cloud_add(again, points, n, NULL));
    CHECK(all_of(again, others) == n && memcmp(points, others, n * sizeof *points) == 0);
    mosaic_mem_cloud_close(again);
    again = cloud_of(1, 0);
    OK(mosaic_mem_cloud_add(again, points, n, NULL));
    CHECK(mosaic_mem_cloud_count(again) == 64); /* from -2 to 2 */
    mosaic_mem_cloud_close(again);
    /* numbers of what was removed are no more, and are given again */
    OK(mosaic_mem_cloud_remove(c, 5));
    IS(mosaic_mem_cloud_remove(c, 5), MOSAIC_MEM_ERROR_PATCH);
    IS(mosaic_mem_cloud_read(c, 5, &p), MOSAIC_MEM_ERROR_PATCH);
    IS(mosaic_mem_cloud_read(c, 0, &p), MOSAIC_MEM_ERROR_PATCH);
    IS(mosaic_mem_cloud_read(c, n + 1, &p), MOSAIC_MEM_ERROR_PATCH);
    CHECK(mosaic_mem_cloud_next(c, 4) == 6 && mosaic_mem_cloud_count(c) == n - 1);
    OK(mosaic_mem_cloud_add(c, &points[4], 1, &stats));
    CHECK(stats.points == 1 && mosaic_mem_cloud_next(c, 4) == 5);
    mosaic_mem_cloud_close(c);
    CHECK(blocks == 0);
}

static void fusion(void)
{
    mosaic_mem_cloud *c = cloud_of(0.2, 0);
    mosaic_mem_picture p = picture(5);
    mosaic_mem_fuse_stats stats;
    size_t once, i, n;
    int k;
    OK(mosaic_mem_fuse(c, &p, &stats));
    once = stats.points;
    CHECK(stats.samples == W * H && once == mosaic_mem_cloud_count(c) && once > 256); /* D10: a plane does not collapse */
    for (i = 0; i < 5; i++) {                                                         /* D11: the same again is nothing new */
        OK(mosaic_mem_fuse(c, &p, &stats));
        CHECK(stats.samples == W * H && stats.points == 0 && mosaic_mem_cloud_count(c) == once);
    }
    n = all_of(c, points);
    for (i = 0; i < n; i++) {
        CLOSE(points[i].position[2], 5, 1e-6);
        CLOSE(points[i].normal[2], -1, 1e-4);
        CHECK(points[i].rgb[2] == 200 && points[i].weight >= 6);
    }
    /* from elsewhere: the same wall, mostly the same cubes; the depth of the wall is what the new place says */
    p.view.pose.centre[0] = 1, p.view.pose.centre[2] = -1;
    for (k = 0; k < W * H; k++) depth_map[k] = 6;
    OK(mosaic_mem_fuse(c, &p, &stats));
    CHECK(stats.points < once && stats.points > 0);
    n = all_of(c, points);
    for (i = 0; i < n; i++) CLOSE(points[i].position[2], 5, 1e-6);
    mosaic_mem_cloud_close(c);

    /* what pictures see through goes; what they do not see stays */
    c = cloud_of(0.2, 3);
    p = picture(5);
    OK(mosaic_mem_fuse(c, &p, NULL));
    p = picture(2); /* something in front */
    for (k = 0; k < W * H; k++)
        if (k % W < 10) depth_map[k] = 5;
    OK(mosaic_mem_fuse(c, &p, &stats));
    CHECK(stats.carved == 0); /* what is behind is hidden, not gone */
    p = picture(5);
    for (i = 0; i < 3; i++) {
        n = mosaic_mem_cloud_count(c);
        OK(mosaic_mem_fuse(c, &p, &stats));
        CHECK(i < 2 ? stats.carved == 0 : stats.carved > 20);
        CHECK(mosaic_mem_cloud_count(c) == n + stats.points - stats.carved);
    }
    n = all_of(c, points);
    CHECK(n == once);
    for (i = 0; i < n; i++) CLOSE(points[i].position[2], 5, 1e-5);
    mosaic_mem_cloud_close(c);
    CHECK(blocks == 0);
}

/* Everything found against a walk over all points. */
static void searches(void)
{
    static mosaic_mem_near got[MOST], want[MOST];
    static uint64_t numbers[MOST];
    mosaic_mem_cloud *c = cloud_of(0.11, 0);
    mosaic_mem_scratch scratch;
    mosaic_mem_view v = picture(5).view;
    size_t n, i, found;
    int round, k;
    memset(&scratch, 0, sizeof scratch);
    memset(points, 0, sizeof points);
    for (round = 0; round < 30; round++) {
        const double p[3] = {spread(4), spread(4), spread(4)}, radius = round % 5 == 0 ? 40 : 2 * uniform(),
                     q[4] = {spread(1), spread(1), spread(1), 1};
        const size_t wanted = (size_t)test_range(1, 50);
        uint64_t number = 0;
        for (i = 0; i < 300; i++) /* some on one plane, some in one point */
            for (k = 0; k < 3; k++) points[i].position[k] = i % 3 == 0 && k == 1 ? 0.5f : i % 50 == 0 ? 2 : (float)spread(3);
        OK(mosaic_mem_cloud_add(c, points, 300, NULL));
        for (i = 0; i < 60; i++) {
            const uint64_t gone = mosaic_mem_cloud_next(c, (uint64_t)test_range(0, 2000));
            if (gone) OK(mosaic_mem_cloud_remove(c, gone));
        }
        OK(mosaic_mem_pose_at(p, q, &v.pose));
        for (n = 0; (number = mosaic_mem_cloud_next(c, number)) != 0; n++) {
            mosaic_mem_point at;
            double d[3];
            OK(mosaic_mem_cloud_read(c, number, &at));
            for (k = 0; k < 3; k++) d[k] = (double)at.position[k] - p[k];
            want[n].id = number;
            want[n].distance = sqrt((d[0] * d[0] + d[1] * d[1]) + d[2] * d[2]);
        }
        OK(mosaic_mem_cloud_frustum(c, &v, 0.5, 3, &scratch, numbers, MOST, &found));
        for (i = 0, k = 0; i < n; i++) {
            mosaic_mem_point at;
            double x[3], uvz[3];
            OK(mosaic_mem_cloud_read(c, want[i].id, &at));
            x[0] = (double)at.position[0], x[1] = (double)at.position[1], x[2] = (double)at.position[2];
            if (!mosaic_mem_project(&v, x, uvz) || uvz[2] < 0.5 || uvz[2] > 3) continue;
            CHECK((size_t)k < found && numbers[k] == want[i].id);
            k++;
        }
        CHECK((size_t)k == found);
        mosaic_mem__sort(want, n);
        OK(mosaic_mem_cloud_nearest(c, p, &scratch, got, wanted, &found));
        CHECK(found == (wanted < n ? wanted : n));
        for (i = 0; i < found; i++) CHECK(got[i].id == want[i].id && got[i].distance == want[i].distance);
        OK(mosaic_mem_cloud_radius(c, p, radius, round & 1 ? &scratch : NULL, got, MOST, &found));
        for (i = 0; i < n && want[i].distance <= radius; i++) CHECK(got[i].id == want[i].id);
        CHECK(found == i);
    }
    mosaic_mem_scratch_free(&scratch);
    mosaic_mem_cloud_close(c);
    CHECK(blocks == 0);
}

static void errors(void)
{
    mosaic_mem_cloud_options o;
    mosaic_mem_cloud *c = NULL;
    mosaic_mem_picture p = picture(5);
    mosaic_mem_fuse_stats stats;
    mosaic_mem_near got[3];
    const double zero[3] = {0, 0, 0};
    size_t n;
    int i, failures = 0;
    memset(&o, 0, sizeof o);
    o.voxel = NAN;
    IS(mosaic_mem_cloud_open(&o, &c), MOSAIC_MEM_ERROR_NUMBER);
    o.voxel = 0, o.through = -1;
    IS(mosaic_mem_cloud_open(&o, &c), MOSAIC_MEM_ERROR_NUMBER);
    o.through = 0, o.simd = 9;
    IS(mosaic_mem_cloud_open(&o, &c), MOSAIC_MEM_ERROR_OPTION);
    o.simd = 0, o.max_points = 100;
    OK(mosaic_mem_cloud_open(&o, &c));
    OK(mosaic_mem_cloud_nearest(c, zero, NULL, got, 3, &n)); /* an empty one */
    CHECK(n == 0 && mosaic_mem_cloud_next(c, 0) == 0);
    OK(mosaic_mem_fuse(c, &p, &stats));
    CHECK(stats.points == 100 && stats.refused > 0 && mosaic_mem_cloud_count(c) == 100);
    p.view.camera.fx = 0;
    IS(mosaic_mem_fuse(c, &p, &stats), MOSAIC_MEM_ERROR_CAMERA);
    IS(mosaic_mem_fuse(c, NULL, &stats), MOSAIC_MEM_ERROR_NULL);
    mosaic_mem_cloud_close(c);
    p = picture(5);
    for (i = 0; i < 120; i++) { /* memory that runs out leaves a cloud that can be used, and nothing behind */
        mosaic_mem_result result;
        fail_after = i;
        c = NULL;
        o.max_points = 0, o.carve = 1;
        result = mosaic_mem_cloud_open(&o, &c);
        if (result == MOSAIC_MEM_OK) result = mosaic_mem_fuse(c, &p, &stats);
        if (result == MOSAIC_MEM_OK) result = mosaic_mem_cloud_nearest(c, zero, NULL, got, 3, &n);
        fail_after = -1;
        failures += result == MOSAIC_MEM_ERROR_MEMORY;
        CHECK(result == MOSAIC_MEM_OK || result == MOSAIC_MEM_ERROR_MEMORY);
        if (c) {
            CHECK(all_of(c, points) == mosaic_mem_cloud_count(c));
            OK(mosaic_mem_fuse(c, &p, &stats));
            CHECK(mosaic_mem_cloud_bytes(c) > 0);
        }
        mosaic_mem_cloud_close(c);
        CHECK_MSG(blocks == 0, "%d blocks after %d allocations", blocks, i);
        blocks = 0;
    }
    CHECK(failures > 20);
}

int main(void)
{
    unprojection();
    joining();
    fusion();
    searches();
    errors();
    return test_end("test_mem_cloud");
}
