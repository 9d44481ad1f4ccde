/* mosaic_mem.h: what a view finds in the store, how it is put together, and edits. */
#include "../test.h"
#include "../threads.h"
#define MOSAIC_MEM_STATIC
#define MOSAIC_MEM_IMPLEMENTATION
#include "../../mosaic_mem.h"
#include "../mem.h"

enum { W = 64, H = 48, COLS = 16, ROWS = 12, CHANNELS = 3, CELLS = COLS * ROWS, MOST = 4096 };
static float depth_map[W * H], values[CELLS * CHANNELS], out[64 * 64 * CHANNELS], out_z[64 * 64];
static uint32_t tags[CELLS], out_tags[64 * 64];
static uint8_t skip[CELLS], mask[64 * 64];
static uint64_t ids[CELLS], out_ids[64 * 64];
static mosaic_mem_hit hits[MOST];

static mosaic_mem_view front(void)
{
    static const double zero[3] = {0, 0, 0}, none[4] = {0, 0, 0, 1};
    mosaic_mem_view v;
    memset(&v, 0, sizeof v);
    mosaic_mem_pose_at(zero, none, &v.pose);
    v.camera = mosaic_mem_camera_default(W, H);
    return v;
}

/* Turned about the axes of the camera. */
static void turn(mosaic_mem_view *v, double roll, double yaw)
{
    const double a[4] = {0, 0, sin(roll / 2), cos(roll / 2)}, b[4] = {0, sin(yaw / 2), 0, cos(yaw / 2)};
    double r[9], s[9], t[9], c[3];
    int i, j;
    mosaic_mem__rotation(a, r);
    mosaic_mem__rotation(b, s);
    for (i = 0; i < 3; i++)
        for (j = 0; j < 3; j++) t[3 * i + j] = r[3 * i] * s[j] + r[3 * i + 1] * s[3 + j] + r[3 * i + 2] * s[6 + j];
    memcpy(c, v->pose.centre, sizeof c);
    memcpy(v->pose.rotation, t, sizeof t);
}

/* By random angles up to these: drawn one after the other, as the order in which a call's arguments are worked out is the compiler's. */
static void tumble(mosaic_mem_view *v, double roll, double yaw)
{
    const double a = spread(roll), b = spread(yaw);
    turn(v, a, b);
}

static void wall(mosaic_mem_keyframe *k, double z)
{
    int i;
    memset(k, 0, sizeof *k);
    k->view = front();
    k->cols = COLS, k->rows = ROWS;
    for (i = 0; i < W * H; i++) depth_map[i] = (float)z;
    for (i = 0; i < CELLS * CHANNELS; i++) values[i] = (float)uniform();
    for (i = 0; i < CELLS; i++) tags[i] = test_random();
    k->depth = depth_map, k->values = values, k->value_count = CELLS * CHANNELS, k->tags = tags, k->ids = ids;
}

static mosaic_mem *empty(int tile)
{
    mosaic_mem_options o;
    mosaic_mem *m = NULL;
    memset(&o, 0, sizeof o);
    o.channels = CHANNELS, o.tags = 1, o.tile_width = o.tile_height = tile;
    OK(mosaic_mem_open(&o, &m));
    return m;
}

static size_t look(const mosaic_mem *m, const mosaic_mem_view *v, int w, int h, mosaic_mem_filter filter, size_t *covered)
{
    mosaic_mem_query_options o;
    mosaic_mem_canvas c;
    size_t n = 0;
    memset(&o, 0, sizeof o);
    memset(&c, 0, sizeof c);
    OK(mosaic_mem_query(m, v, &o, NULL, hits, MOST, &n, NULL));
    c.width = w, c.height = h, c.mask = mask, c.values = out, c.z = out_z, c.ids = out_ids, c.tags = out_tags, c.filter = filter;
    OK(mosaic_mem_compose(m, v, hits, n, NULL, &c, covered));
    return n;
}

/* D32, D33, D37: the view a picture was made from gives its numbers back, whatever the depths, every bit, at any place and turn. */
static void identity(void)
{
    int round, tile, i, filter;
    for (round = 0; round < 24; round++)
        for (tile = 1; tile < 17; tile = tile < 3 ? tile + 1 : tile * 2 - 1)
            for (filter = 0; filter < 2; filter++) {
                mosaic_mem *m = empty(tile);
                mosaic_mem_keyframe k;
                size_t covered, n;
                wall(&k, 5);
                for (i = 0; i < W * H; i++) depth_map[i] = (float)(round < 8 ? 5 + 0.02 * (i % W) * round : 2 + 3 * uniform());
                k.view.camera.cx += spread(4);
                for (i = 0; i < 3; i++) k.view.pose.centre[i] = spread(round * 10.0);
                tumble(&k.view, 3, 3);
                OK(mosaic_mem_insert(m, &k, NULL));
                n = look(m, &k.view, COLS, ROWS, (mosaic_mem_filter)filter, &covered);
                CHECK_MSG(n == mosaic_mem_count(m) || round >= 8, "%d of %d", (int)n, (int)mosaic_mem_count(m));
                if (round < 8 || tile == 1) CHECK_MSG(covered == CELLS, "%d cells", (int)covered);
                for (i = 0; i < CELLS; i++) {
                    if (mask[i] == MOSAIC_MEM_UNSEEN) {
                        CHECK(out_ids[i] == 0 && out_z[i] > 1e30f);
                        continue;
                    }
                    CHECK_MSG(memcmp(out + 3 * i, values + 3 * i, 12) == 0, "cell %d of tiles of %d, filter %d, round %d: %g not %g", i, tile, filter,
                              round, (double)out[3 * i], (double)values[3 * i]);
                    CHECK(out_tags[i] == tags[i]);
                    CHECK(out_ids[i] == ids[i / COLS / tile * ((COLS + tile - 1) / tile) + i % COLS / tile]);
                    CLOSE(out_z[i], depth_map[(i / COLS * 4 + 2) * W + i % COLS * 4 + 2], 1e-5 * 12);
                }
                mosaic_mem_close(m);
            }
}

/* A shift by a part of a token: bilinear numbers of a ramp are on the ramp. And D27: what is covered is what rays meet, not boxes around it. */
static void ramps_and_cover(void)
{
    mosaic_mem *m = empty(16);
    mosaic_mem_keyframe k;
    mosaic_mem_view v;
    size_t covered;
    int i, round;
    wall(&k, 5);
    for (i = 0; i < CELLS; i++) values[3 * i] = (float)(i % COLS), values[3 * i + 1] = (float)(i / COLS), values[3 * i + 2] = 0;
    OK(mosaic_mem_insert(m, &k, NULL));
    for (round = 0; round < 60; round++) {
        double reach[2] = {5 * 0.5, 5 * 0.375};
        size_t hit = 0;
        v = k.view;
        v.pose.centre[0] = spread(0.5), v.pose.centre[1] = spread(0.5), v.pose.centre[2] = spread(1);
        tumble(&v, 3.1, 0.5);
        OK(mosaic_mem_query(m, &v, NULL, NULL, hits, MOST, &hit, NULL));
        if (hit == 0) continue;
        look(m, &v, 37, 29, MOSAIC_MEM_BILINEAR, &covered);
        for (i = 0; i < 37 * 29; i++) {
            const double ray[3] = {((i % 37 + 0.5) / 37 * W - 32) / W, ((i / 37 + 0.5) / 29 * H - 24) / W, 1};
            double d[3], x, y, s, edge;
            mosaic_mem__turn_back(&v.pose, ray, d);
            s = (5 - v.pose.centre[2]) / d[2];
            x = v.pose.centre[0] + s * d[0], y = v.pose.centre[1] + s * d[1];
            edge = fmin(fmin(x + reach[0], reach[0] - x), fmin(y + reach[1], reach[1] - y));
            if (s < 0) edge = -1;
            if (fabs(edge) < 1e-6) continue;
            CHECK_MSG((mask[i] != MOSAIC_MEM_UNSEEN) == (edge > 0), "cell %d: %d, %g inside", i, mask[i], edge);
            if (edge > 0) {
                const double u = (x / 5 * W + 32) / 4 - 0.5, t = (y / 5 * W + 24) / 4 - 0.5;
                CLOSE(out[3 * i], fmin(fmax(u, 0), COLS - 1), 2e-4);
                CLOSE(out[3 * i + 1], fmin(fmax(t, 0), ROWS - 1), 2e-4);
                CLOSE(out_z[i], s, 1e-4);
            }
        }
    }
    mosaic_mem_close(m);
}

/* D29: what is behind is not seen, not averaged, and not chosen. */
static void occlusion(void)
{
    mosaic_mem *m = empty(2);
    mosaic_mem_keyframe k;
    static float far_values[CELLS * CHANNELS];
    uint64_t first_near;
    size_t n, i, covered;
    wall(&k, 6);
    OK(mosaic_mem_insert(m, &k, NULL));
    memcpy(far_values, values, sizeof values);
    wall(&k, 2);
    for (i = 0; i < CELLS; i++) skip[i] = i % COLS >= COLS / 2;
    k.skip = skip;
    OK(mosaic_mem_insert(m, &k, NULL));
    first_near = ids[0];
    n = look(m, &k.view, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered);
    CHECK(n == 48 && covered == CELLS);
    for (i = 0; i < n; i++) CHECK(hits[i].id >= first_near ? hits[i].u < 32 : hits[i].u > 32);
    for (i = 0; i < CELLS; i++) CHECK(memcmp(out + 3 * i, (i % COLS < COLS / 2 ? values : far_values) + 3 * i, 12) == 0);
    { /* all patches at once: the z-buffer of the canvas says the same */
        mosaic_mem_canvas c;
        mosaic_mem_hit all[96];
        uint64_t id = 0;
        memset(&c, 0, sizeof c);
        memset(all, 0, sizeof all);
        for (i = 0; (id = mosaic_mem_next(m, id)) != 0; i++) all[i].id = id, all[i].score = 1.0 / (double)(i + 1); /* those behind score higher */
        CHECK(i == 48 + 24);
        c.width = COLS, c.height = ROWS, c.mask = mask, c.values = out;
        OK(mosaic_mem_compose(m, &k.view, all, i, NULL, &c, NULL));
        for (i = 0; i < CELLS; i++)
            CHECK(mask[i] == MOSAIC_MEM_SEEN && memcmp(out + 3 * i, (i % COLS < COLS / 2 ? values : far_values) + 3 * i, 12) == 0);
    }
    { /* nearest wins only beyond the tolerance: within it the better score shows, and a difference is contested */
        mosaic_mem_view v = k.view;
        mosaic_mem_keyframe near_by;
        mosaic_mem *two = empty(2);
        wall(&near_by, 5);
        OK(mosaic_mem_insert(two, &near_by, NULL));
        memcpy(far_values, values, sizeof values);
        wall(&near_by, 5.05);
        near_by.view.pose.centre[0] = 0.3; /* not merged */
        for (i = 0; i < CELLS * CHANNELS; i++) values[i] = far_values[i] + 1;
        OK(mosaic_mem_insert(two, &near_by, NULL));
        CHECK(mosaic_mem_count(two) == 96);
        look(two, &v, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered);
        for (i = 0; i < CELLS; i++) CHECK(mask[i] == (i % COLS == 0 ? mask[i] : MOSAIC_MEM_CONTESTED));
        mosaic_mem_close(two);
    }
    mosaic_mem_close(m);
}

/* What is nearer by more than the tolerance hides, what is nearer by less does not. */
static void tolerance(void)
{
    int near_enough;
    for (near_enough = 0; near_enough < 2; near_enough++) {
        mosaic_mem *m = empty(2);
        mosaic_mem_keyframe k;
        mosaic_mem_query_options o;
        size_t n;
        memset(&o, 0, sizeof o);
        o.diversity = -1;
        wall(&k, 6);
        OK(mosaic_mem_insert(m, &k, NULL));
        wall(&k, near_enough ? 5.9 : 5.7);
        k.view.pose.centre[2] = 0.001;
        for (n = 0; n < CELLS; n++) skip[n] = 0;
        m->o.merge_distance = -1;
        OK(mosaic_mem_insert(m, &k, NULL));
        CHECK(mosaic_mem_count(m) == 96);
        k.view.pose.centre[2] = 0;
        OK(mosaic_mem_query(m, &k.view, &o, NULL, hits, MOST, &n, NULL));
        CHECK_MSG(n == (near_enough ? 96u : 48u), "%d", (int)n);
        mosaic_mem_close(m);
    }
}

static void scores(void)
{
    mosaic_mem *m = empty(2);
    mosaic_mem_keyframe k;
    mosaic_mem_query_options o;
    mosaic_mem_view v;
    size_t n, i, candidates;
    memset(&o, 0, sizeof o);
    wall(&k, 5);
    v = k.view;
    OK(mosaic_mem_query(m, &v, NULL, NULL, hits, MOST, &n, &candidates)); /* nothing there */
    CHECK(n == 0 && candidates == 0);
    look(m, &v, COLS, ROWS, MOSAIC_MEM_NEAREST, &n);
    CHECK(n == 0);
    OK(mosaic_mem_insert(m, &k, NULL));
    /* D28: the border counts as much as the middle */
    o.angle_power = -1;
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, &candidates));
    CHECK(n == 48 && candidates == 48);
    for (i = 0; i < n; i++) {
        CLOSE(hits[i].score, 0.5, 1e-6); /* the confidence of one picture */
        CLOSE(hits[i].scale, 1, 1e-6);
        CHECK(hits[i].visible == 4 && hits[i].tokens == 4);
        if (i) CHECK(hits[i].id > hits[i - 1].id); /* ties by id */
    }
    o.angle_power = 2;
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL));
    for (i = 0; i < n; i++) {
        const double x = hits[i].u / W - 0.5, y = (hits[i].v - 24) / W;
        CLOSE(hits[i].score, 0.5 / (x * x + y * y + 1), 1e-6);
    }
    /* D30: after an age of the world it is still found */
    o.angle_power = -1, o.half_life = 5;
    v.time = 15;
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL));
    CHECK(n == 48);
    CLOSE(hits[0].score, 0.5 * (0.1 + 0.9 / 8), 1e-9);
    v.time = 1e7;
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL));
    CHECK(n == 48);
    CLOSE(hits[0].score, 0.05, 1e-9);
    v.time = -100; /* what comes later is not older */
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL));
    CLOSE(hits[0].score, 0.5, 1e-6);
    v.time = 0;
    o.half_life = 0;
    /* twice as near: an octave of scale */
    v.pose.centre[2] = 2.5;
    o.sigma = 0.5;
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL));
    CLOSE(hits[0].score, 0.5 * exp(-2), 1e-6);
    CLOSE(hits[0].scale, 2, 1e-6);
    o.sigma = INFINITY;
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL));
    CLOSE(hits[0].score, 0.5, 1e-6);
    /* from behind: not with the angle, else yes */
    v.pose.centre[2] = 10;
    turn(&v, 0, 3.14159265358979);
    OK(mosaic_mem_query(m, &v, NULL, NULL, hits, MOST, &n, NULL));
    CHECK(n == 0);
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL));
    CHECK(n == 48);
    /* the other way: nothing */
    turn(&v, 0, 0);
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, &candidates));
    CHECK(n == 0 && candidates == 0);
    v = k.view;
    for (i = 0; i < 50; i++) { /* at most as many as there is room for, the best of them first */
        size_t part;
        OK(mosaic_mem_query(m, &v, NULL, NULL, hits + 100, i, &part, NULL));
        OK(mosaic_mem_query(m, &v, NULL, NULL, hits, 50, &n, NULL));
        CHECK(part == (i < n ? i : n) && memcmp(hits, hits + 100, part * sizeof *hits) == 0);
    }
    o.front_to_back = 1;
    turn(&v, 0, 0.4);
    OK(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL));
    for (i = 1; i < n; i++) CHECK(hits[i - 1].z < hits[i].z || (hits[i - 1].z == hits[i].z && hits[i - 1].id < hits[i].id));
    v.pose.rotation[4] = NAN;
    IS(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL), MOSAIC_MEM_ERROR_POSE);
    v = k.view;
    v.camera.fy = -1;
    IS(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL), MOSAIC_MEM_ERROR_CAMERA);
    v = k.view;
    o.sigma = NAN;
    IS(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL), MOSAIC_MEM_ERROR_NUMBER);
    o.sigma = 0, o.grid_width = 2000, o.grid_height = 2;
    IS(mosaic_mem_query(m, &v, &o, NULL, hits, MOST, &n, NULL), MOSAIC_MEM_ERROR_OPTION);
    IS(mosaic_mem_query(m, NULL, &o, NULL, hits, MOST, &n, NULL), MOSAIC_MEM_ERROR_NULL);
    mosaic_mem_close(m);
}

/* Diversity: the choice against one made the slow way, from all scores and the tokens' cells. */
static void diversity(void)
{
    mosaic_mem *m = empty(2);
    mosaic_mem_keyframe k;
    int round, i;
    for (i = 0; i < 6; i++) {
        wall(&k, 5);
        k.view.pose.centre[0] = spread(1), k.view.pose.centre[1] = spread(1);
        OK(mosaic_mem_insert(m, &k, NULL));
    }
    for (round = 0; round < 30; round++) {
        static mosaic_mem_hit all[MOST];
        static uint8_t used[MOST], covered[64 * 64];
        mosaic_mem_query_options o;
        mosaic_mem_view v = front();
        size_t n, chosen, best, step, j;
        memset(&o, 0, sizeof o);
        memset(used, 0, sizeof used);
        memset(covered, 0, sizeof covered);
        v.pose.centre[0] = spread(1), v.pose.centre[2] = spread(2);
        tumble(&v, 3, 0.3);
        o.grid_width = 20, o.grid_height = 15;
        o.diversity = -1;
        OK(mosaic_mem_query(m, &v, &o, NULL, all, MOST, &n, NULL));
        for (j = 1; j < n; j++) CHECK(all[j - 1].score > all[j].score || (all[j - 1].score == all[j].score && all[j - 1].id < all[j].id));
        o.diversity = round % 3 == 0 ? 1 : 0.3 * (round % 3);
        OK(mosaic_mem_query(m, &v, &o, NULL, hits, 40, &chosen, NULL));
        for (step = 0; step < chosen; step++) {
            double top = -1;
            best = MOST;
            for (j = 0; j < n; j++) {
                float uvz[12];
                uint8_t valid[4];
                int count, t, fresh = 0;
                double gain;
                if (used[j]) continue;
                OK(mosaic_mem_warp_tokens(m, all[j].id, &v, uvz, valid, &count));
                for (t = 0; t < count; t++) {
                    const double x = floor((double)uvz[3 * t] * 20 / W), y = floor((double)uvz[3 * t + 1] * 15 / H);
                    if (valid[t] && x >= 0 && y >= 0 && x < 20 && y < 15) fresh += !covered[(int)(y * 20 + x)];
                }
                gain = all[j].score * ((1 - o.diversity) + o.diversity * fresh / all[j].visible);
                if (gain > top || (gain == top && all[j].id < all[best].id)) top = gain, best = j;
            }
            CHECK(best < MOST && top > 0 && hits[step].id == all[best].id);
            if (best == MOST) break;
            used[best] = 1;
            {
                float uvz[12];
                uint8_t valid[4];
                int count, t;
                OK(mosaic_mem_warp_tokens(m, all[best].id, &v, uvz, valid, &count));
                for (t = 0; t < count; t++) {
                    const double x = floor((double)uvz[3 * t] * 20 / W), y = floor((double)uvz[3 * t + 1] * 15 / H);
                    if (valid[t] && x >= 0 && y >= 0 && x < 20 && y < 15) covered[(int)(y * 20 + x)] = 1;
                }
            }
        }
    }
    mosaic_mem_close(m);
}

/* D41, D42: what was edited is found and drawn at its new place, under ids of its own. */
static void edits(void)
{
    static const double zero[3] = {0, 0, 0}, x[3] = {1, 0, 0}, y[3] = {0, 2, 0};
    mosaic_mem *m = empty(2), *other = empty(2), *odd = empty(3);
    mosaic_mem_keyframe k;
    mosaic_mem_view v;
    mosaic_mem_region r;
    double a[12], b[12];
    size_t n, i, covered;
    uint64_t id, last = 0;
    memset(&r, 0, sizeof r);
    wall(&k, 5);
    OK(mosaic_mem_insert(m, &k, NULL));
    mosaic_mem_affine_shift(30, -4, 2, a);
    OK(mosaic_mem_transform(m, NULL, a, &n));
    CHECK(n == 48);
    v = k.view;
    CHECK(look(m, &v, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered) == 0 && covered == 0);
    v.pose.centre[0] = 30, v.pose.centre[1] = -4, v.pose.centre[2] = 2;
    CHECK(look(m, &v, COLS, ROWS, MOSAIC_MEM_BILINEAR, &covered) == 48 && covered == CELLS);
    CHECK(memcmp(out, values, sizeof values) == 0);
    { /* warped tokens go with them */
        float uvz[12];
        uint8_t valid[4];
        int count;
        OK(mosaic_mem_warp_tokens(m, ids[0], &v, uvz, valid, &count));
        CLOSE(uvz[0], 2, 1e-5);
    }
    mosaic_mem_affine_shift(-30, 4, -2, a);
    OK(mosaic_mem_transform(m, NULL, a, &n)); /* and back: no edit is left */
    CHECK(m->edits.used - m->edits.spare == 1);
    /* mirrored left and right, seen from the same side */
    OK(mosaic_mem_affine_mirror(zero, x, a));
    OK(mosaic_mem_transform(m, NULL, a, &n));
    CHECK(look(m, &k.view, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered) == 48 && covered == CELLS);
    for (i = 0; i < CELLS; i++) CHECK(memcmp(out + 3 * i, values + 3 * (i / COLS * COLS + COLS - 1 - i % COLS), 12) == 0);
    OK(mosaic_mem_transform(m, NULL, a, &n));
    CHECK(m->edits.used - m->edits.spare == 1);
    /* upside down, about a plane below: y of the camera is down */
    OK(mosaic_mem_affine_mirror(zero, y, a));
    OK(mosaic_mem_transform(m, NULL, a, &n));
    look(m, &k.view, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered);
    for (i = 0; i < CELLS; i++) CHECK(memcmp(out + 3 * i, values + 3 * ((ROWS - 1 - i / COLS) * COLS + i % COLS), 12) == 0);
    OK(mosaic_mem_transform(m, NULL, a, &n));
    /* twice as large and far away: the same picture, radii with it */
    mosaic_mem_affine_shift(0, 0, 0, a);
    a[0] = a[5] = a[10] = 2;
    {
        mosaic_mem_info before, after;
        OK(mosaic_mem_describe(m, ids[7], &before));
        OK(mosaic_mem_transform(m, NULL, a, &n));
        OK(mosaic_mem_describe(m, ids[7], &after));
        CLOSE(after.radius, 2 * before.radius, 1e-5);
        CHECK(after.level == before.level + 1 && after.normal[2] == -1);
        for (i = 0; i < 3; i++) CLOSE(after.centre[i], 2 * before.centre[i], 1e-12);
    }
    look(m, &k.view, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered);
    CHECK(memcmp(out, values, sizeof values) == 0);
    a[0] = a[5] = a[10] = 0.5;
    OK(mosaic_mem_transform(m, NULL, a, &n));
    /* regions */
    r.shape = MOSAIC_MEM_BOX;
    r.low[0] = 0, r.low[1] = r.low[2] = -100;
    r.high[0] = r.high[1] = r.high[2] = 100;
    mosaic_mem_affine_shift(20, 0, 0, a);
    OK(mosaic_mem_splice(m, m, &r, a, &n)); /* the right half once more, elsewhere */
    CHECK(n == 24 && mosaic_mem_count(m) == 72);
    v = k.view;
    v.pose.centre[0] = 20;
    CHECK(look(m, &v, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered) == 24 && covered == CELLS / 2);
    for (i = 0; i < CELLS; i++)
        if (i % COLS >= COLS / 2) CHECK(memcmp(out + 3 * i, values + 3 * i, 12) == 0);
    for (id = 0, i = 0; (id = mosaic_mem_next(m, id)) != 0; i++) {
        CHECK(id > last);
        last = id;
    }
    CHECK(i == 72);
    /* two scenes in one store, each in its place */
    OK(mosaic_mem_splice(other, m, NULL, NULL, &n));
    CHECK(n == 72 && mosaic_mem_count(other) == 72);
    mosaic_mem_affine_shift(0, 50, 0, b);
    OK(mosaic_mem_splice(other, m, NULL, b, &n));
    CHECK(n == 72 && mosaic_mem_count(other) == 144);
    v = k.view;
    CHECK(look(other, &v, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered) == 48);
    CHECK(memcmp(out, values, sizeof values) == 0);
    v.pose.centre[1] = 50;
    look(other, &v, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered);
    CHECK(covered == CELLS && memcmp(out, values, sizeof values) == 0);
    IS(mosaic_mem_splice(odd, m, NULL, NULL, &n), MOSAIC_MEM_ERROR_MATCH);
    /* erased: the rest stays */
    r.shape = MOSAIC_MEM_ONE, r.id = last;
    OK(mosaic_mem_erase(m, &r, &n));
    CHECK(n == 1 && mosaic_mem_count(m) == 71);
    IS(mosaic_mem_erase(m, &r, &n), MOSAIC_MEM_ERROR_PATCH);
    r.shape = MOSAIC_MEM_BALL, r.centre[0] = 0, r.centre[2] = 5, r.radius = 8;
    OK(mosaic_mem_erase(m, &r, &n));
    CHECK(n == 48);
    v = k.view;
    CHECK(look(m, &v, COLS, ROWS, MOSAIC_MEM_NEAREST, &covered) == 0);
    /* D17: frames are those of the film */
    r.shape = MOSAIC_MEM_FRAME, r.frame = 1;
    OK(mosaic_mem_erase(m, &r, &n));
    CHECK(n == 0);
    r.frame = 0;
    OK(mosaic_mem_erase(m, &r, &n));
    CHECK(n == 23 && mosaic_mem_count(m) == 0 && m->frames.used == m->frames.spare && m->edits.used - m->edits.spare == 1);
    CHECK(m->x.nodes.items.used == m->x.nodes.items.spare && m->x.buckets.used == m->x.buckets.spare);
    a[0] = 0, a[5] = 0;
    IS(mosaic_mem_transform(m, NULL, a, &n), MOSAIC_MEM_ERROR_NUMBER);
    a[0] = NAN;
    IS(mosaic_mem_transform(m, NULL, a, &n), MOSAIC_MEM_ERROR_NUMBER);
    IS(mosaic_mem_affine_mirror(zero, zero, a), MOSAIC_MEM_ERROR_NUMBER);
    r.shape = MOSAIC_MEM_CHOSEN;
    IS(mosaic_mem_erase(m, &r, &n), MOSAIC_MEM_ERROR_NULL);
    mosaic_mem_close(m);
    mosaic_mem_close(other);
    mosaic_mem_close(odd);
}

/* Types: what is read back is what was kept, to the step of the type. */
static void types(void)
{
    int type;
    for (type = 0; type < 3; type++) {
        mosaic_mem_options o;
        mosaic_mem *m = NULL;
        mosaic_mem_keyframe k;
        float got[12];
        int i;
        memset(&o, 0, sizeof o);
        o.channels = CHANNELS, o.tags = 1, o.type = (mosaic_mem_type)type;
        OK(mosaic_mem_open(&o, &m));
        wall(&k, 5);
        OK(mosaic_mem_insert(m, &k, NULL));
        OK(mosaic_mem_read(m, ids[0], got, NULL, NULL));
        for (i = 0; i < 6; i++) CLOSE(got[i], values[i], type == 0 ? 0 : type == 1 ? 0.00025 : 0.5 / 255 + 1e-6);
        for (i = 0; i < 6; i++) CLOSE(got[6 + i], values[3 * COLS + i], type == 0 ? 0 : type == 1 ? 0.00025 : 0.5 / 255 + 1e-6);
        mosaic_mem_close(m);
    }
}

/* Many queries of one store at once, each with a scratch of its own. */
typedef struct reader {
    const mosaic_mem *m;
    mosaic_mem_view view[16];
    mosaic_mem_hit hit[16][32];
    size_t found[16];
} reader;

static void read_one(void *arg, int i)
{
    reader *r = (reader *)arg;
    mosaic_mem_scratch s;
    memset(&s, 0, sizeof s);
    mosaic_mem_query(r->m, &r->view[i], NULL, &s, r->hit[i], 32, &r->found[i], NULL);
    mosaic_mem_scratch_free(&s);
}

static void readers(void)
{
    static reader a, b;
    mosaic_mem *m = empty(2);
    mosaic_mem_keyframe k;
    int i, threads = 4;
    for (i = 0; i < 20; i++) {
        wall(&k, 3 + 4 * uniform());
        k.view.pose.centre[0] = spread(5);
        turn(&k.view, 0, spread(3));
        OK(mosaic_mem_insert(m, &k, NULL));
    }
    memset(&a, 0, sizeof a);
    a.m = m;
    for (i = 0; i < 16; i++) {
        a.view[i] = front();
        turn(&a.view[i], 0, spread(3));
    }
    b = a;
    for (i = 0; i < 16; i++) read_one(&a, i);
    test_run(&threads, read_one, &b, 16);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
    CHECK(a.found[0] + a.found[5] > 20);
    mosaic_mem_close(m);
}

int main(void)
{
    identity();
    ramps_and_cover();
    occlusion();
    tolerance();
    scores();
    diversity();
    edits();
    types();
    readers();
    return test_end("test_mem_views");
}
