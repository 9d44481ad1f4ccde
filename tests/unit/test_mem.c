/* mosaic_mem.h: cameras, trajectories, keyframes, the store, its index and what is found in it. */
#include "../test.h"
#include "../allocations.h"
#define MOSAIC_MEM_MALLOC(ctx, size) ((void)(ctx), test_malloc(size))
#define MOSAIC_MEM_FREE(ctx, ptr) ((void)(ctx), test_free(ptr))
#define MOSAIC_MEM_STATIC
#define MOSAIC_MEM_IMPLEMENTATION
#include "../../mosaic_mem.h"
#include "../mem.h"

static mosaic_mem_pose random_pose(double size)
{
    double c[3], q[4];
    mosaic_mem_pose p;
    int i;
    for (i = 0; i < 3; i++) c[i] = spread(size);
    for (i = 0; i < 4; i++) q[i] = spread(1);
    mosaic_mem_pose_at(c, q, &p);
    return p;
}

static void arithmetic(void)
{
    double worst[6] = {0, 0, 0, 0, 0, 0}, s, c, e;
    int i;
    for (i = 0; i < 20000; i++) {
        const double x = spread(i % 3 == 0 ? 4 : 900000), y = spread(300), z = exp(spread(300)), a = spread(1), b = uniform();
        mosaic_mem__turn(x, &s, &c);
        e = fabs(s - sin(x)), worst[0] = e > worst[0] ? e : worst[0];
        e = fabs(c - cos(x)), worst[1] = e > worst[1] ? e : worst[1];
        e = fabs(mosaic_mem__exp(y) / exp(y) - 1), worst[2] = e > worst[2] ? e : worst[2];
        e = fabs(mosaic_mem__log(z) - log(z)) / (1 + fabs(log(z))), worst[3] = e > worst[3] ? e : worst[3];
        e = fabs(mosaic_mem__angle_of(b, a) - atan2(b, a)), worst[4] = e > worst[4] ? e : worst[4];
        CHECK(mosaic_mem__root(z) == sqrt(z) && mosaic_mem__root_by_digits(z) == sqrt(z));
    }
    for (i = 0; i < 5; i++) CHECK_MSG(worst[i] < 1e-14, "function %d is off by %g", i, worst[i]);
    CHECK(mosaic_mem__root(0) == 0 && mosaic_mem__root(-1) == 0 && mosaic_mem__root(5e-324) == sqrt(5e-324) &&
          mosaic_mem__root_by_digits(5e-324) == sqrt(5e-324));
    for (i = 0; i < 65536; i++) { /* halves */
        const float f = mosaic_mem__from_half((uint16_t)i);
        if ((i & 0x7c00) != 0x7c00) CHECK_MSG(mosaic_mem__to_half(f) == i, "half %x", i);
    }
    CHECK(mosaic_mem__to_half(1.00048828125f) == 0x3c00 && mosaic_mem__to_half(1.00146484375f) == 0x3c02 && mosaic_mem__to_half(1e9f) == 0x7bff);
}

static void cameras(void)
{
    static const double eye[3] = {5, 1, 0}, origin[3] = {0, 0, 0}, up[3] = {0, 1, 0}, down[3] = {0, -7, 0};
    const double golden[9] = {0, 0, -1, 0.196116, -0.980581, 0, -0.980581, -0.196116, 0};
    double uvz[3], q[4], t[3], x[3], back[3];
    mosaic_mem_pose p, r, half;
    mosaic_mem_view v;
    int i, k;
    /* D1: y is down, so what is above the axis is in the upper half of the picture */
    OK(mosaic_mem_look_at(eye, origin, up, &p));
    for (i = 0; i < 9; i++) CLOSE(p.rotation[i], golden[i], 1e-6);
    OK(mosaic_mem_pose_to_w2c(&p, q, t));
    CLOSE(t[0], 0, 1e-12);
    CLOSE(t[1], 0, 1e-12);
    CLOSE(t[2], 5.099020, 1e-6);
    v = view_of(64, 48, 60);
    v.pose = p;
    x[0] = 0, x[1] = 1, x[2] = 0;
    CHECK(mosaic_mem_project(&v, x, uvz) == 1);
    CHECK(uvz[1] < 24);
    CHECK(mosaic_mem_project(&v, origin, uvz) == 1);
    CLOSE(uvz[0], 32, 1e-12);
    CLOSE(uvz[1], 24, 1e-12);
    /* D2: the constructor takes where the camera is; the translation of a world-to-camera transform is something else */
    x[0] = 0.5, x[1] = 0, x[2] = 0;
    q[0] = q[1] = q[2] = 0, q[3] = 1;
    OK(mosaic_mem_pose_at(x, q, &p));
    CHECK(p.centre[0] == 0.5);
    OK(mosaic_mem_pose_from_w2c(q, x, &p));
    CHECK(p.centre[0] == -0.5);
    /* up along the view, and other poses that are none */
    OK(mosaic_mem_look_at(origin, up, up, &p));
    CHECK(mosaic_mem__pose_valid(&p));
    OK(mosaic_mem_look_at(origin, down, up, &p));
    CHECK(mosaic_mem__pose_valid(&p) && p.rotation[7] == -1);
    IS(mosaic_mem_look_at(eye, eye, up, &p), MOSAIC_MEM_ERROR_POSE);
    q[3] = 1e-9;
    IS(mosaic_mem_pose_at(x, q, &p), MOSAIC_MEM_ERROR_POSE);
    q[3] = NAN;
    IS(mosaic_mem_pose_at(x, q, &p), MOSAIC_MEM_ERROR_POSE);
    q[3] = 1, x[1] = INFINITY;
    IS(mosaic_mem_pose_from_w2c(q, x, &p), MOSAIC_MEM_ERROR_POSE);
    for (k = 0; k < 300; k++) {
        mosaic_mem_pose a = random_pose(10), b = random_pose(10);
        double c2w[12], y[3], z[3], w, angle = 0, trace = 0;
        OK(mosaic_mem_pose_to_w2c(&a, q, t));
        OK(mosaic_mem_pose_from_w2c(q, t, &r));
        CLOSE(mosaic_mem_distance(&a, &r), 0, 1e-12);
        CLOSE(mosaic_mem_angle(&a, &r), 0, 1e-7);
        mosaic_mem__c2w(&a, c2w);
        for (i = 0; i < 3; i++) c2w[4 * i + 1] = -c2w[4 * i + 1], c2w[4 * i + 2] = -c2w[4 * i + 2];
        OK(mosaic_mem_pose_from_c2w(c2w, MOSAIC_MEM_OPENGL, &r));
        for (i = 0; i < 9; i++) CLOSE(r.rotation[i], a.rotation[i], 1e-12);
        IS(mosaic_mem_pose_from_c2w(c2w, (mosaic_mem_axes)2, &r), MOSAIC_MEM_ERROR_OPTION);
        c2w[0] += 0.1;
        IS(mosaic_mem_pose_from_c2w(c2w, MOSAIC_MEM_OPENGL, &r), MOSAIC_MEM_ERROR_POSE);
        /* relative takes coordinates of a to those of b */
        OK(mosaic_mem_relative(&a, &b, &r));
        for (i = 0; i < 3; i++) x[i] = spread(5);
        mosaic_mem__to_camera(&a, x, y);
        mosaic_mem__to_camera(&b, x, z);
        mosaic_mem__to_camera(&r, y, back);
        for (i = 0; i < 3; i++) CLOSE(back[i], z[i], 1e-12);
        for (i = 0; i < 3; i++) trace += r.rotation[4 * i];
        angle = acos((trace - 1) / 2 > 1 ? 1 : (trace - 1) / 2 < -1 ? -1 : (trace - 1) / 2);
        CLOSE(mosaic_mem_angle(&a, &b), angle, 1e-6);
        /* half way is as far from both, and on the way */
        OK(mosaic_mem_between(&a, &b, 0.25, &half));
        CLOSE(mosaic_mem_angle(&a, &half), 0.25 * angle, 1e-6);
        CLOSE(mosaic_mem_angle(&half, &b), 0.75 * angle, 1e-6);
        for (i = 0; i < 3; i++) CLOSE(half.centre[i], 0.75 * a.centre[i] + 0.25 * b.centre[i], 1e-12);
        OK(mosaic_mem_between(&a, &b, 1, &half));
        for (i = 0; i < 9; i++) CLOSE(half.rotation[i], b.rotation[i], 1e-9);
        /* there and back */
        v = view_of(640, 480, 500);
        v.pose = a;
        w = 0.1 + 10 * uniform();
        OK(mosaic_mem_unproject(&v, 17.25 + k, 100.5, w, x));
        CHECK(mosaic_mem_project(&v, x, uvz) == 1);
        CLOSE(uvz[0], 17.25 + k, 1e-9);
        CLOSE(uvz[1], 100.5, 1e-9);
        CLOSE(uvz[2], w, 1e-12);
    }
    v = view_of(640, 480, 500);
    x[0] = 1.25, x[1] = -0.75, x[2] = 4.5;
    CHECK(mosaic_mem_project(&v, x, uvz) == 1);
    OK(mosaic_mem_unproject(&v, uvz[0], uvz[1], uvz[2], back));
    for (i = 0; i < 3; i++) CLOSE(back[i], x[i], 1e-9);
    x[2] = 0;
    CHECK(mosaic_mem_project(&v, x, uvz) == 0);
    x[2] = -1;
    CHECK(mosaic_mem_project(&v, x, uvz) == 0);
    x[0] = -320, x[1] = -240, x[2] = 500; /* half open: the left and top edge is in, the right and bottom is not */
    CHECK(mosaic_mem_project(&v, x, uvz) == 1);
    x[0] = 320;
    CHECK(mosaic_mem_project(&v, x, uvz) == 0);
    x[0] = NAN;
    CHECK(mosaic_mem_project(&v, x, uvz) == 0);
    v.camera.fx = 0;
    IS(mosaic_mem_unproject(&v, 1, 1, 1, x), MOSAIC_MEM_ERROR_CAMERA);
    v.camera.fx = 500, v.camera.cx = NAN;
    IS(mosaic_mem_unproject(&v, 1, 1, 1, x), MOSAIC_MEM_ERROR_CAMERA);
    v.camera.cx = 1;
    IS(mosaic_mem_unproject(&v, 1, 1, 0, x), MOSAIC_MEM_ERROR_NUMBER);
    v.pose.rotation[0] = -v.pose.rotation[0];
    IS(mosaic_mem_unproject(&v, 1, 1, 1, x), MOSAIC_MEM_ERROR_POSE);
    CHECK(mosaic_mem_distance(&v.pose, &p) != mosaic_mem_distance(&v.pose, &p));
    CHECK(mosaic_mem_angle(NULL, &p) != 0);
}

static void trajectories(void)
{
    static const double origin[3] = {0, 0, 0};
    mosaic_mem_moment m[40], out[101];
    mosaic_mem_key_rule rule;
    mosaic_mem_pose p;
    size_t keys[64], n, i;
    memset(m, 0, sizeof m);
    memset(&rule, 0, sizeof rule);
    for (i = 0; i < 40; i++) m[i].pose = view_of(8, 8, 8).pose, m[i].time = (double)i, m[i].pose.centre[0] = 0.5 * (double)i;
    rule.distance = 1, rule.angle = 0.5, rule.every = -1;
    OK(mosaic_mem_keyframes(m, 10, &rule, keys, 64, &n));
    CHECK(n == 5);
    for (i = 0; i < n; i++) CHECK(keys[i] == 2 * i);
    rule.distance = rule.angle = INFINITY, rule.every = 3;
    OK(mosaic_mem_keyframes(m, 10, &rule, keys, 64, &n));
    CHECK(n == 4);
    for (i = 0; i < n; i++) CHECK(keys[i] == 3 * i);
    /* D4: a camera that stands still, and the end of a path */
    for (i = 5; i < 40; i++) m[i].pose = m[4].pose;
    OK(mosaic_mem_keyframes(m, 40, NULL, keys, 64, &n));
    CHECK(n > 10 && keys[n - 1] >= 36);
    /* D5: an interval of 0 is the default, not a loop without an end */
    rule.every = 0, rule.distance = rule.angle = 0;
    OK(mosaic_mem_keyframes(m, 40, &rule, keys, 64, &i));
    CHECK(i == n);
    IS(mosaic_mem_keyframes(m, 40, &rule, keys, 3, &i), MOSAIC_MEM_ERROR_SPACE);
    CHECK(i == n);
    OK(mosaic_mem_keyframes(m, 0, NULL, keys, 3, &i));
    CHECK(i == 0);
    OK(mosaic_mem_orbit(origin, 5, 1, 1, 30, m, 32));
    rule.distance = 0.5, rule.angle = 10, rule.every = -1;
    OK(mosaic_mem_keyframes(m, 32, &rule, keys, 64, &n));
    CHECK(n == 32);
    CLOSE(mosaic_mem_distance(&m[3].pose, &m[4].pose), 0.980171, 1e-6);
    CLOSE(mosaic_mem_path_length(m, 32), 30.385314, 1e-6);
    /* through all moments, linear and smooth; D: interpolation is of the centre */
    for (i = 0; i < 32; i++) {
        OK(mosaic_mem_at(m, 32, m[i].time, MOSAIC_MEM_SMOOTH, &p));
        CLOSE(mosaic_mem_distance(&p, &m[i].pose), 0, 1e-9);
        OK(mosaic_mem_at(m, 32, m[i].time, MOSAIC_MEM_LINEAR, &p));
        CLOSE(mosaic_mem_distance(&p, &m[i].pose), 0, 1e-9);
    }
    for (i = 1; i < 30; i++) { /* on a circle, the spline stays on it much better than the chord, 0.024 inside */
        double d;
        OK(mosaic_mem_at(m, 32, (m[i].time + m[i + 1].time) / 2, MOSAIC_MEM_SMOOTH, &p));
        d = sqrt(p.centre[0] * p.centre[0] + p.centre[2] * p.centre[2]);
        CLOSE(d, 5, 0.001);
        CLOSE(p.centre[1], 1, 1e-12);
        OK(mosaic_mem_at(m, 32, (m[i].time + m[i + 1].time) / 2, MOSAIC_MEM_LINEAR, &p));
        d = sqrt(p.centre[0] * p.centre[0] + p.centre[2] * p.centre[2]);
        CLOSE(d, 5 * cos(3.14159265358979 / 32), 1e-9);
    }
    OK(mosaic_mem_at(m, 32, -5, MOSAIC_MEM_LINEAR, &p));
    CHECK(memcmp(&p, &m[0].pose, sizeof p) == 0);
    OK(mosaic_mem_at(m, 32, 1e9, MOSAIC_MEM_LINEAR, &p));
    CHECK(memcmp(&p, &m[31].pose, sizeof p) == 0);
    OK(mosaic_mem_resample(m, 32, MOSAIC_MEM_LINEAR, 1, out, 101));
    for (i = 1; i < 101; i++) CLOSE(mosaic_mem_distance(&out[i].pose, &out[i - 1].pose), 0.30385314, 0.002);
    CLOSE(mosaic_mem_distance(&out[100].pose, &m[31].pose), 0, 1e-9);
    OK(mosaic_mem_resample(m, 32, MOSAIC_MEM_SMOOTH, 0, out, 63));
    for (i = 0; i < 32; i++) CLOSE(mosaic_mem_distance(&out[2 * i].pose, &m[i].pose), 0, 1e-9);
    m[5].time = 0;
    IS(mosaic_mem_at(m, 32, 1, MOSAIC_MEM_LINEAR, &p), MOSAIC_MEM_ERROR_NUMBER);
    m[5].pose.rotation[3] = NAN;
    IS(mosaic_mem_resample(m, 32, MOSAIC_MEM_LINEAR, 0, out, 4), MOSAIC_MEM_ERROR_POSE);
    IS(mosaic_mem_at(m, 0, 1, MOSAIC_MEM_LINEAR, &p), MOSAIC_MEM_ERROR_SIZE);
    IS(mosaic_mem_at(m, 2, 0, (mosaic_mem_path)3, &p), MOSAIC_MEM_ERROR_OPTION);
}

/* ---- a store of random pictures ---- */

enum { W = 64, H = 48, COLS = 16, ROWS = 12, CHANNELS = 3 };
static float depth_map[W * H], values[COLS * ROWS * CHANNELS];
static uint32_t tags[COLS * ROWS];

static void picture(mosaic_mem_keyframe *k, const mosaic_mem_pose *pose, uint64_t frame)
{
    const double base = 2 + 4 * uniform(), lean = spread(0.02);
    int i;
    memset(k, 0, sizeof *k);
    k->view = view_of(W, H, 60);
    if (pose) k->view.pose = *pose;
    k->view.time = (double)frame;
    k->frame = frame;
    k->cols = COLS, k->rows = ROWS;
    for (i = 0; i < W * H; i++) depth_map[i] = (float)(base + lean * (i % W));
    for (i = 0; i < COLS * ROWS * CHANNELS; i++) values[i] = (float)uniform();
    for (i = 0; i < COLS * ROWS; i++) tags[i] = test_random();
    k->depth = depth_map;
    k->values = values;
    k->value_count = COLS * ROWS * CHANNELS;
    k->tags = tags;
}

static mosaic_mem *store(int pictures, int simd, size_t budget, double merge)
{
    mosaic_mem_options o;
    mosaic_mem *m = NULL;
    mosaic_mem_keyframe k;
    int i;
    memset(&o, 0, sizeof o);
    o.channels = CHANNELS, o.tags = 1, o.simd = simd, o.max_patches = budget, o.merge_distance = merge;
    OK(mosaic_mem_open(&o, &m));
    for (i = 0; i < pictures && m; i++) {
        const mosaic_mem_pose pose = random_pose(6);
        picture(&k, &pose, (uint64_t)i);
        OK(mosaic_mem_insert(m, &k, NULL));
    }
    return m;
}

static size_t slurp_size;
static unsigned char *slurp;
static int append(void *ctx, const void *bytes, size_t size)
{
    unsigned char *more = (unsigned char *)realloc(slurp, slurp_size + size);
    (void)ctx;
    if (!more) return 1;
    slurp = more;
    memcpy(slurp + slurp_size, bytes, size);
    slurp_size += size;
    return 0;
}
static void save(const mosaic_mem *m)
{
    slurp_size = 0;
    OK(mosaic_mem_save(m, append, NULL));
}
static int same_file(const mosaic_mem *a, const mosaic_mem *b)
{
    unsigned char *first;
    size_t size;
    int same;
    save(a);
    first = slurp, size = slurp_size;
    slurp = NULL, slurp_size = 0;
    save(b);
    same = size == slurp_size && memcmp(first, slurp, size) == 0;
    free(first);
    return same;
}

/* Everything the index says about itself. */
static void index_holds(const mosaic_mem *m)
{
    size_t c, nodes = 0, entries = 0, live = 0, i;
    uint32_t k;
    for (c = 0; c < m->chunks; c++)
        for (i = 0; m->chunk[c] && i < MOSAIC_MEM__CHUNK; i++)
            if (m->chunk[c]->id[i]) {
                const uint32_t slot = (uint32_t)(c * MOSAIC_MEM__CHUNK + i);
                uint32_t at, up;
                const mosaic_mem__bucket *b = mosaic_mem__entry(m, slot, &at);
                const double x[3] = {(double)b->x[at], (double)b->y[at], (double)b->z[at]};
                live++;
                CHECK(b->slot[at] == slot && at < b->used);
                for (up = b->node; up != MOSAIC_MEM__NONE; up = mosaic_mem__node_of(&m->x, up)->parent) {
                    const mosaic_mem__node *n = mosaic_mem__node_of(&m->x, up);
                    CHECK(b->r[at] <= n->radius);
                    for (k = 0; k < 3; k++) CHECK(x[k] >= (double)n->low[k] && x[k] <= (double)n->high[k]);
                    CHECK(m->x.nodes.at[mosaic_mem__look(&m->x.nodes, n->key)] == up + 1);
                }
            }
    for (i = 0; i < m->x.nodes.size; i++)
        if (m->x.nodes.at[i]) {
            const mosaic_mem__node *n = mosaic_mem__node_of(&m->x, m->x.nodes.at[i] - 1);
            nodes++;
            if (n->key[3] == 0) entries += n->count;
        }
    CHECK(nodes == m->x.nodes.items.used - m->x.nodes.items.spare);
    CHECK(entries == m->count && live == m->count);
}

static void searches(const mosaic_mem *m)
{
    enum { MOST = 20000 };
    static mosaic_mem_near got[MOST], want[MOST];
    static uint64_t ids[MOST];
    mosaic_mem_scratch scratch;
    size_t n, found, i;
    int round;
    memset(&scratch, 0, sizeof scratch);
    for (round = 0; round < 12; round++) {
        const double p[3] = {spread(9), spread(9), spread(9)}, radius = round % 5 == 0 ? 40 : 3 * uniform();
        const size_t k = (size_t)test_range(1, 60);
        mosaic_mem_view v = view_of(W, H, 60);
        mosaic_mem__volume volume;
        uint64_t id = 0, all = 0;
        n = 0;
        while ((id = mosaic_mem_next(m, id)) != 0 && n < MOST) {
            uint32_t at;
            const mosaic_mem__bucket *b = mosaic_mem__entry(m, mosaic_mem__find(m, id), &at);
            const double d[3] = {(double)b->x[at] - p[0], (double)b->y[at] - p[1], (double)b->z[at] - p[2]};
            want[n].id = id;
            want[n++].distance = sqrt((d[0] * d[0] + d[1] * d[1]) + d[2] * d[2]);
        }
        mosaic_mem__sort(want, n);
        for (i = 1; i < n; i++) CHECK(mosaic_mem__near_below(&want[i - 1], &want[i]));
        OK(mosaic_mem_nearest(m, p, &scratch, got, k, &found));
        CHECK(found == (k < n ? k : n));
        for (i = 0; i < found; i++) CHECK(got[i].id == want[i].id && got[i].distance == want[i].distance);
        OK(mosaic_mem_radius(m, p, radius, round & 1 ? &scratch : NULL, got, MOST, &found));
        for (i = 0; i < n && want[i].distance <= radius; i++) CHECK(got[i].id == want[i].id);
        CHECK(found == i);
        v.pose = random_pose(6);
        OK(mosaic_mem_frustum(m, &v, 0.5, 8, &scratch, ids, MOST, &found));
        mosaic_mem__frustum_of(&v, 0.5, 8, &volume);
        for (i = 0, id = 0; (id = mosaic_mem_next(m, id)) != 0;) {
            mosaic_mem_info info;
            uint32_t at;
            const mosaic_mem__bucket *b = mosaic_mem__entry(m, mosaic_mem__find(m, id), &at);
            double c[3], u[3];
            int inside = 1, j, q;
            for (j = 0; j < 6; j++) {
                const double *plane = volume.plane[j];
                inside &=
                    (((plane[0] * (double)b->x[at] + plane[1] * (double)b->y[at]) + plane[2] * (double)b->z[at]) + plane[3]) + (double)b->r[at] >= 0;
            }
            if (inside) {
                CHECK(i < found && ids[i] == id);
                i++;
            }
            /* D6: a patch with any corner in the picture is found */
            OK(mosaic_mem_describe(m, id, &info));
            OK(mosaic_mem_unproject(&info.view, info.rect[0] + 0.5 * info.rect[2], info.rect[1] + 0.5 * info.rect[3], info.depth, c));
            for (j = 0; j < 3; j++) {
                CLOSE(info.centre[j], c[j], 1e-9);
                CLOSE(info.centre[j], j == 0 ? b->x[at] : j == 1 ? b->y[at] : b->z[at], 1e-5);
            }
            for (q = 0; q < 4 && !inside; q++) {
                OK(mosaic_mem_unproject(&info.view, info.rect[0] + (q & 1 ? info.rect[2] : 0), info.rect[1] + (q & 2 ? info.rect[3] : 0), info.depth,
                                        c));
                if (mosaic_mem_project(&v, c, u) && u[2] >= 0.5 && u[2] <= 8) CHECK_MSG(0, "a corner is in the picture, the patch is not found");
            }
            all++;
        }
        CHECK(i == found && all == mosaic_mem_count(m));
    }
    mosaic_mem_scratch_free(&scratch);
}

static void index_and_searches(void)
{
    mosaic_mem *m = store(16, 0, 0, -1);
    mosaic_mem_region r;
    size_t n;
    int i;
    CHECK(mosaic_mem_count(m) == 16 * 48);
    index_holds(m);
    searches(m);
    memset(&r, 0, sizeof r);
    for (i = 0; i < 60; i++) { /* parts go and come */
        mosaic_mem_keyframe k;
        const mosaic_mem_pose pose = random_pose(6);
        r.shape = MOSAIC_MEM_BALL;
        r.centre[0] = spread(6), r.centre[1] = spread(6), r.centre[2] = spread(6), r.radius = 2.5;
        OK(mosaic_mem_erase(m, &r, &n));
        picture(&k, &pose, 100 + (uint64_t)i);
        if (i % 3 == 0) OK(mosaic_mem_insert(m, &k, NULL));
    }
    index_holds(m);
    searches(m);
    mosaic_mem_close(m);
    CHECK(blocks == 0);
}

static void identical_points(void)
{
    /* D10, D14: a plane of equal depth, and hundreds of patches in one point, are patches like all others */
    mosaic_mem_options o;
    mosaic_mem *m = NULL;
    mosaic_mem_keyframe k;
    mosaic_mem_near got[8];
    static const double zero[3] = {0, 0, 0};
    size_t n;
    int i;
    memset(&o, 0, sizeof o);
    o.channels = CHANNELS, o.tags = 1, o.merge_distance = -1;
    OK(mosaic_mem_open(&o, &m));
    for (i = 0; i < 40; i++) {
        int j;
        picture(&k, NULL, (uint64_t)i);
        for (j = 0; j < W * H; j++) depth_map[j] = 5;
        OK(mosaic_mem_insert(m, &k, NULL));
    }
    CHECK(mosaic_mem_count(m) == 40 * 48);
    index_holds(m);
    OK(mosaic_mem_nearest(m, zero, NULL, got, 8, &n));
    CHECK(n == 8);
    for (i = 1; i < 8; i++) CHECK(mosaic_mem__near_below(&got[i - 1], &got[i]));
    mosaic_mem_close(m);
}

static void insert_golden(void)
{
    /* 4 x 4 tokens, patches of 2 x 2, a picture of 100 x 100 at depth 5: four patches with centres (+-1.25, +-1.25, 5) */
    static float flat[100 * 100], latent[64];
    mosaic_mem_options o;
    mosaic_mem *m = NULL;
    mosaic_mem_keyframe k;
    mosaic_mem_insert_stats stats;
    mosaic_mem_info info;
    mosaic_mem_view v;
    uint64_t ids[4];
    float uvz[12], read[16], depths[4];
    uint8_t valid[4];
    int i, n;
    memset(&o, 0, sizeof o);
    memset(&k, 0, sizeof k);
    o.channels = 4;
    OK(mosaic_mem_open(&o, &m));
    for (i = 0; i < 100 * 100; i++) flat[i] = 5;
    for (i = 0; i < 64; i++) latent[i] = (float)i;
    k.view = view_of(100, 100, 100);
    k.cols = k.rows = 4;
    k.values = latent, k.value_count = 64;
    k.depth = flat;
    k.frame = 77;
    k.ids = ids;
    /* D19: a buffer too short is refused */
    k.value_count = 63;
    IS(mosaic_mem_insert(m, &k, &stats), MOSAIC_MEM_ERROR_SIZE);
    k.value_count = 64;
    OK(mosaic_mem_insert(m, &k, &stats));
    CHECK(stats.inserted == 4 && mosaic_mem_count(m) == 4);
    for (i = 0; i < 4; i++) {
        OK(mosaic_mem_describe(m, ids[i], &info));
        CLOSE(info.centre[0], i & 1 ? 1.25 : -1.25, 1e-12);
        CLOSE(info.centre[1], i & 2 ? 1.25 : -1.25, 1e-12);
        CLOSE(info.centre[2], 5, 1e-12);
        CLOSE(info.radius, 1.25 * sqrt(2.0), 1e-5);
        CHECK(info.normal[0] == 0 && info.normal[1] == 0 && info.normal[2] == -1);
        CHECK(info.rect[0] == (i & 1 ? 50 : 0) && info.rect[2] == 50 && info.frame == 77 && info.level == 0 && info.cols == 2);
        OK(mosaic_mem_read(m, ids[i], read, depths, NULL));
        for (n = 0; n < 16; n++) CHECK(read[n] == (float)(((i >> 1) * 2 + n / 8) * 16 + (i & 1) * 8 + n % 8));
        for (n = 0; n < 4; n++) CHECK(depths[n] == 5);
    }
    /* moving by t_w2c = (.25, 0, 0): u + 25 / D, v as it was */
    v = k.view;
    v.pose.centre[0] = -0.25;
    OK(mosaic_mem_warp_tokens(m, ids[0], &v, uvz, valid, &n));
    CHECK(n == 4);
    for (i = 0; i < 4; i++) {
        CHECK(valid[i] == 1);
        CLOSE(uvz[3 * i], 12.5 + 25 * (i & 1) + 5, 1e-5);
        CLOSE(uvz[3 * i + 1], 12.5 + 25 * (i >> 1), 1e-5);
        CLOSE(uvz[3 * i + 2], 5, 1e-6);
    }
    v.pose.centre[2] = 6; /* behind the camera */
    OK(mosaic_mem_warp_tokens(m, ids[0], &v, uvz, valid, &n));
    for (i = 0; i < 4; i++) CHECK(!valid[i] && uvz[3 * i] == 0);
    IS(mosaic_mem_warp_tokens(m, 12345, &v, uvz, valid, &n), MOSAIC_MEM_ERROR_PATCH);
    mosaic_mem_close(m);

    /* D25: half of the tokens behind the camera, each in its own place */
    for (i = 0; i < 100 * 100; i++) flat[i] = i % 100 < 25 || (i % 100 >= 50 && i % 100 < 75) ? 5 : 7;
    m = NULL;
    OK(mosaic_mem_open(&o, &m));
    OK(mosaic_mem_insert(m, &k, &stats));
    v = k.view;
    v.pose.centre[2] = 6;
    OK(mosaic_mem_warp_tokens(m, ids[0], &v, uvz, valid, &n));
    for (i = 0; i < 4; i++) {
        CHECK(valid[i] == (i & 1));
        if (i & 1) CLOSE(uvz[3 * i], (37.5 - 50) * 7 + 50, 1e-4);
    }
    mosaic_mem_close(m);

    /* D3, D18: depth is fetched at the floor of the place, and its map may have another size than the picture */
    for (i = 0; i < 16; i++) flat[i] = 1 + (float)i;
    k.depth_width = k.depth_height = 4;
    OK(mosaic_mem_open(&o, &m));
    OK(mosaic_mem_insert(m, &k, &stats));
    OK(mosaic_mem_read(m, ids[3], NULL, depths, NULL));
    CHECK(depths[0] == 11 && depths[1] == 12 && depths[2] == 15 && depths[3] == 16);
    OK(mosaic_mem_describe(m, ids[3], &info));
    CHECK(info.rect[0] == 50 && info.rect[2] == 50 && info.view.camera.width == 100);
    mosaic_mem_close(m);

    /* D16: depth that is none makes no patch */
    for (i = 0; i < 16; i++) flat[i] = i == 5 ? 0 : i == 7 ? NAN : i == 13 ? -1 : i == 15 ? INFINITY : 2;
    OK(mosaic_mem_open(&o, &m));
    k.cols = 2, k.rows = 2, k.value_count = 16;
    OK(mosaic_mem_insert(m, &k, &stats)); /* one tile: depth at its centre, none at its tokens */
    CHECK(stats.inserted == 0 && stats.unknown == 1);
    mosaic_mem_close(m);
    o.tile_width = o.tile_height = 1;
    OK(mosaic_mem_open(&o, &m));
    OK(mosaic_mem_insert(m, &k, &stats)); /* centres of the four tiles in depths 5, 7, 13, 15 */
    CHECK(stats.inserted == 0 && stats.unknown == 4 && mosaic_mem_count(m) == 0 && ids[0] == 0);
    latent[5] = NAN;
    IS(mosaic_mem_insert(m, &k, &stats), MOSAIC_MEM_ERROR_NUMBER);
    latent[5] = 5;
    k.view.pose.centre[1] = NAN;
    IS(mosaic_mem_insert(m, &k, &stats), MOSAIC_MEM_ERROR_POSE);
    k.view.pose.centre[1] = 0, k.view.camera.fy = 0;
    IS(mosaic_mem_insert(m, &k, &stats), MOSAIC_MEM_ERROR_CAMERA);
    k.view.camera.fy = 100, k.view.time = INFINITY;
    IS(mosaic_mem_insert(m, &k, &stats), MOSAIC_MEM_ERROR_NUMBER);
    CHECK(mosaic_mem_count(m) == 0);
    mosaic_mem_close(m);
    CHECK(blocks == 0);
}

static void budget(void)
{
    int policy;
    for (policy = 0; policy < 4; policy++) {
        mosaic_mem_options o;
        mosaic_mem *m = NULL;
        mosaic_mem_keyframe k;
        mosaic_mem_insert_stats stats;
        mosaic_mem_region r;
        uint64_t ids[48], first = 0;
        size_t n;
        int i, j;
        memset(&o, 0, sizeof o);
        memset(&r, 0, sizeof r);
        o.channels = CHANNELS, o.tags = 1, o.max_patches = 500, o.merge_distance = -1;
        o.policy = (mosaic_mem_policy)policy;
        if (policy == MOSAIC_MEM_CALLBACK) {
            IS(mosaic_mem_open(&o, &m), MOSAIC_MEM_ERROR_OPTION);
            continue;
        }
        OK(mosaic_mem_open(&o, &m));
        for (i = 0; i < 60; i++) {
            mosaic_mem_pose pose = random_pose(3);
            picture(&k, &pose, (uint64_t)i);
            k.pin = i == 3;
            k.ids = ids;
            OK(mosaic_mem_insert(m, &k, &stats));
            CHECK(mosaic_mem_count(m) <= 500);
            if (i == 0) first = ids[5];
            if (i == 0 || (policy == MOSAIC_MEM_LRU && i % 2 == 0)) OK(mosaic_mem_touch(m, &first, 1));
            /* D20: every id that is returned is there */
            for (j = 0; j < 48; j++) OK(mosaic_mem_describe(m, ids[j], &(mosaic_mem_info){0}));
            if (i == 3) first = ids[0] ? first : 0;
        }
        index_holds(m);
        r.shape = MOSAIC_MEM_FRAME, r.frame = 3;
        OK(mosaic_mem_pin(m, &r, 0, &n));
        CHECK(n == 48); /* what was pinned has stayed */
        if (policy == MOSAIC_MEM_LRU) OK(mosaic_mem_describe(m, first, &(mosaic_mem_info){0}));
        mosaic_mem_close(m);
    }
    { /* D21: not the newest stay, but the most worth: one old patch in a place of its own outlives a crowd */
        mosaic_mem_options o;
        mosaic_mem *m = NULL;
        mosaic_mem_keyframe k;
        mosaic_mem_insert_stats stats;
        uint64_t ids[48];
        int i;
        memset(&o, 0, sizeof o);
        o.channels = CHANNELS, o.tags = 1, o.max_patches = 400, o.merge_distance = -1;
        OK(mosaic_mem_open(&o, &m));
        picture(&k, NULL, 0);
        k.view.pose.centre[0] = 500;
        k.ids = ids;
        OK(mosaic_mem_insert(m, &k, &stats));
        OK(mosaic_mem_touch(m, ids, 48));
        k.ids = NULL;
        for (i = 1; i < 50; i++) {
            picture(&k, NULL, (uint64_t)i);
            k.view.pose.centre[1] = uniform();
            OK(mosaic_mem_insert(m, &k, &stats));
        }
        for (i = 0; i < 48; i++) CHECK(mosaic_mem__find(m, ids[i]) != MOSAIC_MEM__NONE);
        mosaic_mem_close(m);
    }
    { /* all pinned: what finds no room is counted, not crammed in */
        mosaic_mem_options o;
        mosaic_mem *m = NULL;
        mosaic_mem_keyframe k;
        mosaic_mem_insert_stats stats;
        memset(&o, 0, sizeof o);
        o.channels = CHANNELS, o.tags = 1, o.max_patches = 10;
        OK(mosaic_mem_open(&o, &m));
        picture(&k, NULL, 0);
        k.pin = 1;
        OK(mosaic_mem_insert(m, &k, &stats));
        CHECK(stats.inserted == 10 && stats.refused == 38 && mosaic_mem_count(m) == 10);
        k.view.pose.centre[0] = 100;
        OK(mosaic_mem_insert(m, &k, &stats));
        CHECK(stats.inserted == 0 && stats.refused == 48 && stats.evicted == 0 && mosaic_mem_count(m) == 10);
        mosaic_mem_close(m);
    }
    { /* the least: against a sort */
        static mosaic_mem_near a[3000], b[3000];
        int round, i, n;
        for (round = 0; round < 200; round++) {
            size_t k, below;
            n = test_range(1, round < 100 ? 12 : 3000);
            for (i = 0; i < n; i++) a[i].distance = b[i].distance = test_range(0, round % 7 * 50), a[i].id = b[i].id = (uint64_t)i + 1;
            k = (size_t)test_range(0, n);
            mosaic_mem__least(a, (size_t)n, k);
            for (i = 0; i < n; i++) { /* rank in the old order */
                int j;
                if (n > 100 && i % 97) continue;
                below = 0;
                for (j = 0; j < n; j++) below += mosaic_mem__near_below(&b[j], &a[i]);
                CHECK((below < k) == ((size_t)i < k));
            }
        }
    }
    CHECK(blocks == 0);
}

static void merges(void)
{
    mosaic_mem_options o;
    mosaic_mem *m = NULL;
    mosaic_mem_keyframe k;
    mosaic_mem_insert_stats stats;
    mosaic_mem_info info;
    float before[12], after[12];
    uint64_t first[48], ids[48];
    int i;
    memset(&o, 0, sizeof o);
    o.channels = CHANNELS, o.tags = 1, o.contradiction = 0.2;
    OK(mosaic_mem_open(&o, &m));
    picture(&k, NULL, 7);
    k.ids = first;
    OK(mosaic_mem_insert(m, &k, &stats));
    CHECK(stats.inserted == 48);
    k.ids = ids, k.frame = 8, k.view.time = 8;
    OK(mosaic_mem_insert(m, &k, &stats)); /* the same again: nothing new, no number changes */
    CHECK(stats.merged == 48 && stats.inserted == 0 && mosaic_mem_count(m) == 48);
    CHECK(memcmp(first, ids, sizeof ids) == 0);
    OK(mosaic_mem_describe(m, first[4], &info));
    CHECK(info.confidence == 2 && info.hits == 1 && info.time == 8 && info.frame == 7);
    OK(mosaic_mem_read(m, first[4], before, NULL, NULL));
    CHECK(before[0] == values[8 * CHANNELS]);
    for (i = 0; i < COLS * ROWS * CHANNELS; i++) values[i] += 0.09f; /* a little different: between the two */
    OK(mosaic_mem_insert(m, &k, &stats));
    CHECK(stats.merged == 48);
    OK(mosaic_mem_read(m, first[4], after, NULL, NULL));
    for (i = 0; i < 12; i++) CLOSE(after[i], before[i] + 0.03, 1e-6);
    for (i = 0; i < COLS * ROWS * CHANNELS; i++) values[i] += 5; /* contradiction: trust goes, then the patch */
    for (i = 0; i < 3; i++) {
        OK(mosaic_mem_insert(m, &k, &stats));
        CHECK(stats.contradicted == 48 && stats.merged == 0);
        OK(mosaic_mem_describe(m, first[4], &info));
        CHECK(info.confidence == 3.0 / (2 << i));
    }
    OK(mosaic_mem_insert(m, &k, &stats));
    CHECK(stats.contradicted == 48 && stats.evicted == 48 && stats.inserted == 48 && mosaic_mem_count(m) == 48);
    IS(mosaic_mem_describe(m, first[4], &info), MOSAIC_MEM_ERROR_PATCH);
    OK(mosaic_mem_read(m, ids[4], after, NULL, NULL));
    CHECK(after[0] == values[8 * CHANNELS]);
    k.view.pose.centre[0] = 20; /* elsewhere */
    OK(mosaic_mem_insert(m, &k, &stats));
    CHECK(stats.inserted == 48 && mosaic_mem_count(m) == 96);
    index_holds(m);
    mosaic_mem_close(m);
    CHECK(blocks == 0);
}

static void files(void)
{
    mosaic_mem *m = store(12, 0, 600, 0), *again = NULL, *third = NULL;
    mosaic_mem_keyframe k;
    mosaic_mem_region r;
    double affine[12];
    unsigned char *bytes;
    size_t size, i, n;
    const double zero[3] = {0, 0, 0}, x[3] = {1, 0, 0};
    memset(&r, 0, sizeof r);
    r.shape = MOSAIC_MEM_BALL, r.radius = 9;
    OK(mosaic_mem_affine_mirror(zero, x, affine));
    OK(mosaic_mem_transform(m, &r, affine, &n));
    CHECK(n > 0);
    r.shape = MOSAIC_MEM_FRAME, r.frame = 5;
    OK(mosaic_mem_erase(m, &r, &n));
    save(m);
    bytes = slurp, size = slurp_size;
    slurp = NULL, slurp_size = 0;
    CHECK(size <= 128 + 12 * 168 + 2 * 96 + mosaic_mem_count(m) * (48 + 4 * (4 + 4 * CHANNELS + 4))); /* D23 */
    OK(mosaic_mem_load(bytes, size, NULL, &again));
    CHECK(same_file(m, again));
    index_holds(again);
    /* going on is the same with and without the detour over the file */
    for (i = 0; i < 6; i++) {
        const mosaic_mem_pose pose = random_pose(4);
        picture(&k, &pose, 50 + i);
        OK(mosaic_mem_insert(m, &k, NULL));
        OK(mosaic_mem_insert(again, &k, NULL));
    }
    CHECK(same_file(m, again));
    mosaic_mem_close(again);
    again = NULL;
    for (i = 0; i < size; i += i < 200 ? 1 : 97) { /* truncated: never a crash, always named */
        unsigned char *exact = (unsigned char *)malloc(i + 1);
        mosaic_mem_result result;
        memcpy(exact, bytes, i);
        result = mosaic_mem_load(exact, i, NULL, &third);
        CHECK(result == MOSAIC_MEM_ERROR_TRUNCATED || result == MOSAIC_MEM_ERROR_CORRUPT);
        CHECK(!third);
        free(exact);
    }
    for (i = 0; i < size; i += i < 3000 ? 1 : 61) { /* one byte changed: the sum tells */
        bytes[i] ^= 0x40;
        CHECK(mosaic_mem_load(bytes, size, NULL, &third) != MOSAIC_MEM_OK);
        bytes[i] ^= 0x40;
    }
    for (i = 24; i < size - 4; i += i < 3000 ? 1 : 61) { /* with the sum put right: whole, or a named error */
        const unsigned char old = bytes[i];
        uint32_t crc;
        int j;
        bytes[i] = (unsigned char)test_random();
        crc = mosaic_mem__crc(0, bytes, size - 4);
        for (j = 0; j < 4; j++) bytes[size - 4 + (size_t)j] = (unsigned char)(crc >> 8 * j);
        if (mosaic_mem_load(bytes, size, NULL, &third) == MOSAIC_MEM_OK) index_holds(third);
        mosaic_mem_close(third);
        bytes[i] = old;
    }
    free(bytes);
    mosaic_mem_close(m);
    m = store(0, 0, 0, 0); /* an empty one */
    save(m);
    OK(mosaic_mem_load(slurp, slurp_size, NULL, &again));
    CHECK(mosaic_mem_count(again) == 0 && same_file(m, again));
    mosaic_mem_close(again);
    mosaic_mem_close(m);
    CHECK(blocks == 0);
}

static void no_memory(void)
{
    int n, failures = 0;
    for (n = 0; n < 400; n++) {
        mosaic_mem_options o;
        mosaic_mem *m = NULL, *second = NULL;
        mosaic_mem_keyframe k;
        mosaic_mem_view v = view_of(W, H, 60);
        mosaic_mem_hit hits[8];
        mosaic_mem_result result;
        size_t found, before;
        int i;
        memset(&o, 0, sizeof o);
        o.channels = CHANNELS, o.tags = 1, o.max_patches = 120;
        test_seed = 99;
        fail_after = n;
        result = mosaic_mem_open(&o, &m);
        for (i = 0; i < 6 && result == MOSAIC_MEM_OK; i++) {
            const mosaic_mem_pose pose = random_pose(2);
            picture(&k, &pose, (uint64_t)i);
            before = mosaic_mem_count(m);
            result = mosaic_mem_insert(m, &k, NULL);
            if (result != MOSAIC_MEM_OK) CHECK(mosaic_mem_count(m) == before);
        }
        if (result == MOSAIC_MEM_OK) result = mosaic_mem_query(m, &v, NULL, NULL, hits, 8, &found, NULL);
        if (result == MOSAIC_MEM_OK) {
            slurp_size = 0;
            result = mosaic_mem_save(m, append, NULL);
        }
        if (result == MOSAIC_MEM_OK) result = mosaic_mem_load(slurp, slurp_size, NULL, &second);
        if (result == MOSAIC_MEM_OK) result = mosaic_mem_splice(m, second, NULL, NULL, NULL);
        fail_after = -1;
        failures += result == MOSAIC_MEM_ERROR_MEMORY;
        CHECK(result == MOSAIC_MEM_OK || result == MOSAIC_MEM_ERROR_MEMORY || result == MOSAIC_MEM_ERROR_LIMIT);
        if (m) index_holds(m);
        mosaic_mem_close(second);
        mosaic_mem_close(m);
        CHECK_MSG(blocks == 0, "%d blocks after %d allocations", blocks, n);
        blocks = 0;
    }
    CHECK(failures > 20);
}

static void levels(void)
{
    mosaic_mem *a, *b;
    int simd;
    test_seed = 4711;
    a = store(10, 1, 400, 0);
    for (simd = 0; simd <= 4; simd++) {
        mosaic_mem_options o;
        mosaic_mem *probe = NULL;
        size_t na, nb, i;
        mosaic_mem_hit ha[40], hb[40];
        memset(&o, 0, sizeof o);
        o.simd = simd;
        if (mosaic_mem_open(&o, &probe) == MOSAIC_MEM_ERROR_SIMD) continue;
        mosaic_mem_close(probe);
        test_seed = 4711;
        b = store(10, simd, 400, 0);
        CHECK(same_file(a, b));
        for (i = 0; i < 20; i++) {
            mosaic_mem_view v = view_of(W, H, 60);
            v.pose = random_pose(5);
            OK(mosaic_mem_query(a, &v, NULL, NULL, ha, 40, &na, NULL));
            OK(mosaic_mem_query(b, &v, NULL, NULL, hb, 40, &nb, NULL));
            CHECK(na == nb && memcmp(ha, hb, na * sizeof *ha) == 0);
        }
        mosaic_mem_close(b);
    }
    mosaic_mem_close(a);
    {
        mosaic_mem_options o;
        memset(&o, 0, sizeof o);
        o.simd = 5;
        IS(mosaic_mem_open(&o, &a), MOSAIC_MEM_ERROR_OPTION);
        o.simd = 0, o.tile_width = 17;
        IS(mosaic_mem_open(&o, &a), MOSAIC_MEM_ERROR_OPTION);
        o.tile_width = 0, o.cell = NAN;
        IS(mosaic_mem_open(&o, &a), MOSAIC_MEM_ERROR_NUMBER);
        CHECK(a == NULL);
    }
}

int main(void)
{
    int i;
    arithmetic();
    cameras();
    trajectories();
    insert_golden();
    index_and_searches();
    identical_points();
    budget();
    merges();
    files();
    levels();
    no_memory();
    for (i = 0; i <= MOSAIC_MEM_ERROR_CALLBACK; i++) CHECK(strcmp(mosaic_mem_result_string((mosaic_mem_result)i), "unknown result") != 0);
    free(slurp);
    CHECK(blocks == 0);
    return test_end("test_mem");
}
