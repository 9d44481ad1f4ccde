/* mosaic_mem.h: rotary and projective positions, and attention. */
#include "../test.h"
#include "../threads.h"
#define MOSAIC_MEM_STATIC
#define MOSAIC_MEM_IMPLEMENTATION
#include "../../mosaic_mem.h"
#include "../mem.h"

static float within_one(void) { return (float)((double)test_random() / 2147483648.0 - 1); }

static void rope(void)
{
    static const double golden[2][8] = {{.540302, .841471, .995004, .099833, .999950, .010000, 1.000000, .001000},
                                        {.070737, .997495, .988771, .149438, .999888, .014999, .999999, .001500}};
    mosaic_mem_rope r;
    double at[2] = {1, 1.5};
    float x[2][8];
    int i, j, split;
    memset(&r, 0, sizeof r);
    r.axes = 1, r.pairs[0] = 4;
    for (split = 0; split < 2; split++) {
        r.half_split = split;
        for (j = 0; j < 2; j++)
            for (i = 0; i < 8; i++) x[j][i] = (split ? i < 4 : i % 2 == 0) ? 1.0f : 0.0f;
        OK(mosaic_mem_rope_apply(&r, at, 2, 1, x[0], 8));
        for (j = 0; j < 2; j++)
            for (i = 0; i < 8; i++) CLOSE(x[j][split ? i / 2 + i % 2 * 4 : i], golden[j][i], 1e-6);
        OK(mosaic_mem_rope_apply(&r, at, 2, -1, x[0], 8));
        for (i = 0; i < 8; i++) CLOSE(x[1][i], (split ? i < 4 : i % 2 == 0), 1e-6);
    }
    /* D34, D35: the product of a query and a key depends on the difference of their places alone, on three axes and far from 0 */
    r.axes = 3, r.pairs[0] = 22, r.pairs[1] = r.pairs[2] = 21, r.half_split = 0;
    for (j = 0; j < 50; j++) {
        float q[128], k[128], q2[128], k2[128];
        double a[3], b[3], c[3], d[3], one = 0, two = 0;
        for (i = 0; i < 128; i++) q[i] = q2[i] = within_one(), k[i] = k2[i] = within_one();
        for (i = 0; i < 3; i++) a[i] = 20 * (double)within_one(), b[i] = 20 * (double)within_one(), c[i] = a[i] + 137.25, d[i] = b[i] + 137.25;
        OK(mosaic_mem_rope_apply(&r, a, 1, 1, q, 128));
        OK(mosaic_mem_rope_apply(&r, b, 1, 1, k, 128));
        OK(mosaic_mem_rope_apply(&r, c, 1, 1, q2, 128));
        OK(mosaic_mem_rope_apply(&r, d, 1, 1, k2, 128));
        for (i = 0; i < 128; i++) one += (double)q[i] * (double)k[i], two += (double)q2[i] * (double)k2[i];
        CLOSE(one, two, 1e-5);
    }
    at[0] = NAN;
    CHECK(mosaic_mem_rope_apply(&r, at, 1, 1, x[0], 128) == MOSAIC_MEM_ERROR_NUMBER);
    CHECK(mosaic_mem_rope_apply(&r, at, 1, 1, x[0], 8) == MOSAIC_MEM_ERROR_SIZE);
    {
        const mosaic_mem_camera c = mosaic_mem_camera_default(64, 48);
        const float uvz[6] = {2, 2, 5, 34, 26, 5};
        const uint8_t valid[2] = {1, 1};
        double out[6];
        OK(mosaic_mem_token_places(&c, 16, 12, 7, uvz, valid, 2, out));
        CHECK(out[0] == 7 && out[1] == 0 && out[2] == 0 && out[4] == 6 && out[5] == 8);
    }
}

static mosaic_mem_view view_at(const double *r, double x, double y, double z)
{
    const double t[3] = {-x, -y, -z};
    mosaic_mem_view v;
    memset(&v, 0, sizeof v);
    memcpy(v.pose.rotation, r, sizeof v.pose.rotation);
    mosaic_mem__turn_back(&v.pose, t, v.pose.centre);
    v.camera.fx = 80, v.camera.fy = 60, v.camera.cx = 40, v.camera.cy = 20, v.camera.width = 64, v.camera.height = 48;
    return v;
}

static void prope(void)
{
    static const double want_a[16] = {1.200250, 0, .370845, .162500, .016556, 1.25, -.081672, -.275000, -.198669, 0, .980067, .3, 0, 0, 0, 1};
    static const double want_back[16] = {.784053, 0, -.296676, -.038406, 0, .8, .066667, .2, .158935, 0, .960200, -.313887, 0, 0, 0, 1};
    static const double want_both[16] = {.926116,  -.014944, .370467, .334257,  -.024682, .998734, .186050, .364514,
                                         -.233761, -.119551, .963867, -.484050, 0,        0,       0,       1};
    const double a = .2, b = .5, c = -.15;
    const double ra[9] = {cos(a), 0, sin(a), 0, 1, 0, -sin(a), 0, cos(a)}, rb[9] = {cos(b), 0, sin(b), 0, 1, 0, -sin(b), 0, cos(b)};
    const double rx[9] = {1, 0, 0, 0, cos(c), -sin(c), 0, sin(c), cos(c)};
    double rba[9], m[64], shifted[64];
    mosaic_mem_view va, vb;
    int i, j, k, world;
    for (i = 0; i < 3; i++)
        for (j = 0; j < 3; j++) rba[3 * i + j] = rx[3 * i] * rb[j] + rx[3 * i + 1] * rb[3 + j] + rx[3 * i + 2] * rb[6 + j];
    va = view_at(ra, .1, -.2, .3);
    vb = view_at(rba, .5, .1, -.2);
    OK(mosaic_mem_prope_matrix(&va, m));
    OK(mosaic_mem_prope_matrix(&vb, m + 32));
    for (i = 0; i < 16; i++) CLOSE(m[i], want_a[i], 1e-6);
    for (i = 0; i < 16; i++) CLOSE(m[16 + i], want_back[i], 1e-6);
    for (i = 0; i < 4; i++)
        for (j = 0; j < 4; j++) {
            double s = 0;
            for (k = 0; k < 4; k++) s += m[32 + 4 * i + k] * m[16 + 4 * k + j];
            CLOSE(s, want_both[4 * i + j], 1e-6);
        }
    { /* D36: attention with it, values and output included, does not change when the world is turned and moved */
        enum { N = 6, D = 16 };
        float x[3][N * D], first[N * D];
        const int32_t camera[N] = {0, 1, 0, 1, 1, 0};
        double places[2 * N];
        for (i = 0; i < 2 * N; i++) places[i] = i % 5;
        for (i = 0; i < 3 * N * D; i++) x[i / (N * D)][i % (N * D)] = within_one();
        for (world = 0; world < 3; world++) {
            float q[N * D], kk[N * D], v[N * D], out[N * D];
            mosaic_mem_attention at;
            mosaic_mem_view w[2];
            memset(&at, 0, sizeof at);
            w[0] = va, w[1] = vb;
            for (i = 0; i < 2 && world; i++) { /* X' = Rx X + (4, 5, -world): R' = R Rx', C' = Rx C + ... */
                double r[9], centre[3];
                for (j = 0; j < 3; j++)
                    for (k = 0; k < 3; k++) r[3 * j + k] = mosaic_mem__dot(w[i].pose.rotation + 3 * j, rx + 3 * k);
                for (j = 0; j < 3; j++) centre[j] = mosaic_mem__dot(rx + 3 * j, w[i].pose.centre) + (j == 0 ? 1 : j == 1 ? .5 : -world);
                memcpy(w[i].pose.rotation, r, sizeof r);
                memcpy(w[i].pose.centre, centre, sizeof centre);
            }
            OK(mosaic_mem_prope_matrix(&w[0], shifted));
            OK(mosaic_mem_prope_matrix(&w[1], shifted + 32));
            memcpy(q, x[0], sizeof q), memcpy(kk, x[1], sizeof kk), memcpy(v, x[2], sizeof v);
            OK(mosaic_mem_prope_apply(MOSAIC_MEM_PROPE_QUERY, shifted, 2, camera, places, N, D, q, D));
            OK(mosaic_mem_prope_apply(MOSAIC_MEM_PROPE_KEY_VALUE, shifted, 2, camera, places, N, D, kk, D));
            OK(mosaic_mem_prope_apply(MOSAIC_MEM_PROPE_KEY_VALUE, shifted, 2, camera, places, N, D, v, D));
            at.queries = at.keys = N, at.heads = 1, at.dim = D, at.q = q, at.k = kk, at.v = v, at.out = out;
            OK(mosaic_mem_attend(&at));
            OK(mosaic_mem_prope_apply(MOSAIC_MEM_PROPE_OUTPUT, shifted, 2, camera, places, N, D, out, D));
            if (!world) memcpy(first, out, sizeof out);
            for (i = 0; i < N * D; i++) CLOSE(out[i], first[i], 2e-5);
        }
        CHECK(mosaic_mem_prope_apply(MOSAIC_MEM_PROPE_QUERY, shifted, 1, camera, places, N, D, x[0], D) == MOSAIC_MEM_ERROR_SIZE);
    }
}

static void attention(void)
{
    enum { MOST = 24000 };
    static float q[MOST], k[MOST], v[MOST], out[MOST], other[MOST], gate[4] = {1, 0.5f, 0, 7};
    static uint8_t mask[90 * 90];
    int round, i, simd, threads;
    for (round = 0; round < 12; round++) {
        mosaic_mem_attention a;
        int h, n, j, c;
        memset(&a, 0, sizeof a);
        a.queries = test_range(1, 80), a.keys = test_range(1, 90), a.heads = test_range(1, 4), a.dim = test_range(1, 66);
        for (i = 0; i < MOST; i++) q[i] = 3 * within_one(), k[i] = 3 * within_one(), v[i] = within_one();
        for (i = 0; i < 90 * 90; i++) mask[i] = test_random() % 3 == 0;
        memset(mask, 0, (size_t)a.keys);
        a.q = q, a.k = k, a.v = v, a.out = out, a.simd = 1;
        a.mask = round & 1 ? mask : NULL;
        a.gate = round & 2 ? gate : NULL;
        OK(mosaic_mem_attend(&a));
        for (n = 0; n < a.queries; n++)
            for (h = 0; h < a.heads; h++) {
                double p[90], total = 0;
                const double g = a.gate ? h == 0 ? 1 : h == 1 ? 0.5 : h == 2 ? 0 : 1 : 1;
                for (j = 0; j < a.keys; j++) {
                    p[j] = 0;
                    for (c = 0; c < a.dim; c++) p[j] += (double)q[(n * a.heads + h) * a.dim + c] * (double)k[(j * a.heads + h) * a.dim + c];
                    p[j] = a.mask && !mask[n * a.keys + j] ? 0 : exp(p[j] / sqrt((double)a.dim));
                    total += p[j];
                }
                for (c = 0; c < a.dim; c++) {
                    double sum = 0;
                    for (j = 0; j < a.keys; j++) sum += p[j] * (double)v[(j * a.heads + h) * a.dim + c];
                    CLOSE(out[(n * a.heads + h) * a.dim + c], total > 0 ? g * sum / total : 0, 2e-5);
                }
            }
        for (simd = 0; simd <= 4; simd++)
            for (threads = 1; threads < 4; threads++) {
                mosaic_mem_result result;
                a.simd = simd, a.out = other, a.run = test_run, a.run_ctx = &threads;
                result = mosaic_mem_attend(&a);
                if (result == MOSAIC_MEM_ERROR_SIMD) continue;
                CHECK(result == MOSAIC_MEM_OK);
                CHECK_MSG(memcmp(out, other, (size_t)(a.queries * a.heads * a.dim) * sizeof *out) == 0, "level %d, %d threads", simd, threads);
            }
        k[0] = INFINITY;
        CHECK(mosaic_mem_attend(&a) == MOSAIC_MEM_ERROR_NUMBER);
    }
}

/* The block with matrices, turned queries and keys and gate, against the same in double; and the same bits from every kernel and number of threads. */
static void cross(void)
{
    enum { WIDTH = 20, FROM = 12, HEADS = 2, DIM = 16, INNER = HEADS * DIM, MOST = 70 };
    static float x[MOST * INNER], memory[MOST * INNER], w[4][INNER * INNER], out[MOST * INNER], other[MOST * INNER], first[MOST * INNER];
    static double q[MOST * INNER], k[MOST * INNER], v[MOST * INNER], sum[MOST * INNER], query_at[3 * MOST], key_at[3 * MOST], cells[2][2 * MOST];
    static int32_t camera[2][MOST];
    static uint8_t mask[MOST * MOST];
    float gate[HEADS] = {0.5f, 1};
    double matrices[64];
    mosaic_mem_rope r;
    mosaic_mem_view va, vb;
    const double ra[9] = {cos(.2), 0, sin(.2), 0, 1, 0, -sin(.2), 0, cos(.2)}, rb[9] = {1, 0, 0, 0, cos(.3), -sin(.3), 0, sin(.3), cos(.3)};
    int round, i, j, h, c, n, simd, threads;
    memset(&r, 0, sizeof r);
    r.axes = 3, r.pairs[0] = 4, r.pairs[1] = r.pairs[2] = 2;
    va = view_at(ra, .1, -.2, .3), vb = view_at(rb, .5, .1, -.2);
    OK(mosaic_mem_prope_matrix(&va, matrices));
    OK(mosaic_mem_prope_matrix(&vb, matrices + 32));
    for (round = 0; round < 8; round++) {
        mosaic_mem_cross a;
        const int plain = round == 7; /* no matrices at all: attention itself */
        const int width = plain ? INNER : WIDTH, from = plain ? INNER : FROM;
        memset(&a, 0, sizeof a);
        a.queries = test_range(1, MOST), a.keys = test_range(1, MOST), a.heads = HEADS, a.dim = DIM, a.width = width, a.memory_width = from;
        for (i = 0; i < MOST * INNER; i++) x[i] = within_one(), memory[i] = within_one();
        for (i = 0; i < 4 * INNER * INNER; i++) w[i / (INNER * INNER)][i % (INNER * INNER)] = within_one() * 0.5f;
        for (i = 0; i < 3 * MOST; i++) query_at[i] = 9 * (double)within_one(), key_at[i] = 9 * (double)within_one();
        for (i = 0; i < 4 * MOST; i++) cells[i / (2 * MOST)][i % (2 * MOST)] = i % 7;
        for (i = 0; i < 2 * MOST; i++) camera[i / MOST][i % MOST] = (int32_t)(test_random() & 1);
        for (i = 0; i < MOST * MOST; i++) mask[i] = test_random() % 4 != 0;
        a.x = x, a.memory = memory, a.out = out, a.simd = 1;
        if (!plain) a.w_q = w[0], a.w_k = w[1], a.w_v = w[2], a.w_o = w[3];
        if (round & 1) a.gate = gate, a.mask = mask;
        if (round & 2) a.rope = &r, a.query_places = query_at, a.key_places = key_at;
        if (round & 4)
            a.matrices = matrices, a.cameras = 2, a.query_camera = camera[0], a.key_camera = camera[1], a.query_cells = cells[0],
            a.key_cells = cells[1];
        OK(mosaic_mem_cross_attend(&a));
        if (!(round & 4) || plain) { /* by hand; with PRoPE below, by what it must not depend on */
            mosaic_mem_cross b = a;
            if (plain) b.matrices = NULL, b.rope = NULL, b.mask = NULL, b.gate = NULL;
            if (plain) OK(mosaic_mem_cross_attend(&b));
            for (n = 0; n < a.queries + 2 * a.keys; n++) { /* projections */
                const int role = n < a.queries ? 0 : n < a.queries + a.keys ? 1 : 2, row = role == 0 ? n : (n - a.queries) % a.keys;
                const float *in = role ? memory + row * from : x + row * width;
                double *to = (role == 0 ? q : role == 1 ? k : v) + row * INNER;
                for (i = 0; i < INNER; i++) {
                    to[i] = plain ? (double)in[i] : 0;
                    for (j = 0; !plain && j < (role ? from : width); j++) to[i] += (double)in[j] * (double)w[role][i * (role ? from : width) + j];
                }
                if (!b.rope || role == 2) continue;
                for (h = 0; h < HEADS; h++) { /* pairs of neighbours, axis after axis */
                    static const int axis[8] = {0, 0, 0, 0, 1, 1, 2, 2}, of[8] = {0, 1, 2, 3, 0, 1, 0, 1}, pairs[3] = {4, 2, 2};
                    for (i = 0; i < 8; i++) {
                        const double at = (role ? key_at : query_at)[3 * row + axis[i]] * pow(10000, -(double)of[i] / pairs[axis[i]]);
                        double *p = to + h * DIM + 2 * i;
                        const double p0 = p[0] * cos(at) - p[1] * sin(at), p1 = p[0] * sin(at) + p[1] * cos(at);
                        p[0] = p0, p[1] = p1;
                    }
                }
            }
            for (n = 0; n < a.queries; n++)
                for (h = 0; h < HEADS; h++) {
                    double p[MOST], total = 0;
                    for (j = 0; j < a.keys; j++) {
                        p[j] = 0;
                        for (c = 0; c < DIM; c++) p[j] += q[n * INNER + h * DIM + c] * k[j * INNER + h * DIM + c];
                        p[j] = b.mask && !mask[n * a.keys + j] ? 0 : exp(p[j] / sqrt((double)DIM));
                        total += p[j];
                    }
                    for (c = 0; c < DIM; c++) {
                        double s = 0;
                        for (j = 0; j < a.keys; j++) s += p[j] * v[j * INNER + h * DIM + c];
                        sum[n * INNER + h * DIM + c] = total > 0 ? (b.gate ? (double)gate[h] : 1) * s / total : 0;
                    }
                }
            for (n = 0; n < a.queries; n++)
                for (i = 0; i < width; i++) {
                    double s = plain ? sum[n * INNER + i] : 0;
                    for (j = 0; !plain && j < INNER; j++) s += sum[n * INNER + j] * (double)w[3][i * INNER + j];
                    CLOSE(out[n * width + i], s, 5e-5);
                }
            if (plain) continue;
        } else { /* D36: another world, the same block */
            const double shift[3] = {3, -1, 2};
            double moved[64];
            mosaic_mem_cross b = a;
            mosaic_mem_view ma = va, mb = vb;
            for (i = 0; i < 3; i++) ma.pose.centre[i] += shift[i], mb.pose.centre[i] += shift[i];
            OK(mosaic_mem_prope_matrix(&ma, moved));
            OK(mosaic_mem_prope_matrix(&mb, moved + 32));
            b.matrices = moved, b.out = other;
            OK(mosaic_mem_cross_attend(&b));
            for (i = 0; i < a.queries * width; i++) CLOSE(out[i], other[i], 2e-4 * (1 + fabs((double)out[i])));
            b.matrices = NULL; /* and it does something */
            OK(mosaic_mem_cross_attend(&b));
            CHECK(a.keys == 1 || memcmp(out, other, (size_t)(a.queries * width) * sizeof *out) != 0);
        }
        memcpy(first, out, sizeof out);
        for (simd = 0; simd <= 4; simd++)
            for (threads = 1; threads < 4; threads++) {
                mosaic_mem_result result;
                a.simd = simd, a.run = test_run, a.run_ctx = &threads;
                result = mosaic_mem_cross_attend(&a);
                if (result == MOSAIC_MEM_ERROR_SIMD) continue;
                CHECK(result == MOSAIC_MEM_OK);
                CHECK_MSG(memcmp(out, first, (size_t)(a.queries * width) * sizeof *out) == 0, "level %d, %d threads", simd, threads);
            }
        a.simd = 0;
        memory[0] = NAN;
        IS(mosaic_mem_cross_attend(&a), MOSAIC_MEM_ERROR_NUMBER);
        memory[0] = 0, w[3][5] = INFINITY;
        IS(mosaic_mem_cross_attend(&a), MOSAIC_MEM_ERROR_NUMBER);
        w[3][5] = 0, a.w_o = NULL;
        IS(mosaic_mem_cross_attend(&a), MOSAIC_MEM_ERROR_SIZE);
    }
}

/* What a view finds, as keys and values: the view a picture was made from has its tokens on its own grid. */
static void tokens(void)
{
    static float depth[32 * 24], values[8 * 6], got[8 * 6];
    static double places[3 * 48];
    static uint8_t valid[48];
    static mosaic_mem_hit hits[12];
    mosaic_mem_options o;
    mosaic_mem_keyframe k;
    mosaic_mem *m = NULL;
    const double eye[3] = {1, 2, 3}, target[3] = {0, 1, 9};
    size_t found, n, i;
    memset(&o, 0, sizeof o);
    memset(&k, 0, sizeof k);
    for (i = 0; i < 32 * 24; i++) depth[i] = 4 + (float)(i % 32) / 50;
    for (i = 0; i < 48; i++) values[i] = (float)i;
    o.channels = 1;
    OK(mosaic_mem_open(&o, &m));
    OK(mosaic_mem_look_at(eye, target, NULL, &k.view.pose));
    k.view.camera = mosaic_mem_camera_default(32, 24);
    k.cols = 8, k.rows = 6, k.values = values, k.value_count = 48, k.depth = depth;
    OK(mosaic_mem_insert(m, &k, NULL));
    OK(mosaic_mem_query(m, &k.view, NULL, NULL, hits, 12, &found, NULL));
    CHECK(found == 12);
    IS(mosaic_mem_hit_tokens(m, &k.view, hits, found, 8, 6, 5, got, places, valid, 47, &n), MOSAIC_MEM_ERROR_SPACE);
    CHECK(n == 48);
    OK(mosaic_mem_hit_tokens(m, &k.view, hits, found, 8, 6, 5, got, places, valid, 48, &n));
    CHECK(n == 48);
    for (i = 0; i < n; i++) {
        CHECK(valid[i] == 1 && places[3 * i] == 5);
        CLOSE(places[3 * i + 1] * 8 + places[3 * i + 2], got[i], 1e-4);
    }
    hits[3].id = 999999;
    IS(mosaic_mem_hit_tokens(m, &k.view, hits, found, 8, 6, 5, got, places, valid, 48, &n), MOSAIC_MEM_ERROR_PATCH);
    mosaic_mem_close(m);
}

int main(void)
{
    rope();
    prope();
    attention();
    cross();
    tokens();
    return test_end("test_mem_attention");
}
