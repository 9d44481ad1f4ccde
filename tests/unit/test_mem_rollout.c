/* mosaic_mem.h: warped latents, noise and its removal, and films made window after window. */
#include "../test.h"
#include "../allocations.h"
#define MOSAIC_MEM_MALLOC(ctx, size) ((void)(ctx), test_malloc(size))
#define MOSAIC_MEM_FREE(ctx, ptr) ((void)(ctx), test_free(ptr))
#define MOSAIC_MEM_STATIC
#define MOSAIC_MEM_IMPLEMENTATION
#include "../../mosaic_mem.h"
#include "../mem.h"

static mosaic_mem_view turned(const mosaic_mem_view *v, double x, double y, double z, double angle, const double at[3])
{
    const double length = sqrt(x * x + y * y + z * z), s = sin(angle / 2) / length, q[4] = {x * s, y * s, z * s, cos(angle / 2)};
    mosaic_mem_view w = *v;
    mosaic_mem_pose_at(at, q, &w.pose);
    return w;
}

/* ---- warps ---- */

enum { COLS = 16, ROWS = 12, CHANNELS = 2, CELLS = COLS * ROWS };
static float values[CELLS * CHANNELS], out[CELLS * CHANNELS * 4], depths[CELLS], uvz[3 * CELLS], z[CELLS * 4], weight[CELLS * 4];
static uint8_t valid[CELLS], mask[CELLS * 4], known[CELLS];

static void homographies(void)
{
    static const double golden[9] = {.963057, 0, 16.005636, -.031947, 1, .862427, -.000998, 0, 1.026951}, front[3] = {0, 0, 1};
    mosaic_mem_view a = view_of(64, 64, 100), b;
    double h[9], t[3] = {.25, 0, 0}, y[4] = {0, sin(.05), 0, cos(.05)}, w;
    int i, round;
    b = a;
    OK(mosaic_mem_pose_from_w2c(y, t, &b.pose));
    OK(mosaic_mem_homography(&a, &b, front, 5, h));
    for (i = 0; i < 9; i++) CLOSE(h[i], golden[i], 1e-6);
    w = h[6] * 10 + h[7] * 14 + h[8];
    CLOSE((h[0] * 10 + h[1] * 14 + h[2]) / w, 25.208485, 1e-6);
    CLOSE((h[3] * 10 + h[4] * 14 + h[5]) / w, 14.300320, 1e-6);
    for (round = 0; round < 200; round++) { /* any plane, any two cameras: as through the world */
        const double n[3] = {spread(.3), spread(.3), 1}, at[3] = {spread(1), spread(1), spread(1)}, c[3] = {spread(2), spread(2), spread(2)};
        const double axis[3] = {spread(1), spread(1), spread(1)}, d = 3 + 5 * uniform(), u = 64 * uniform(), v = 48 * uniform(), turn = spread(.5);
        double x[3], p[3];
        mosaic_mem_view from = view_of(64, 48, 55), to = view_of(80, 30, 77);
        from.camera.cx = 30, from.camera.fy = 60, to.camera.cy = 11;
        from = turned(&from, 1, 2, 3, turn, c);
        to = turned(&to, axis[0], axis[1], axis[2] + 2, turn / 2, at);
        mosaic_mem__lift(&from.camera, u, v, 1, x);
        w = d / (n[0] * x[0] + n[1] * x[1] + n[2]);
        if (w < 0.1) continue;
        OK(mosaic_mem_unproject(&from, u, v, w, x));
        mosaic_mem__to_camera(&to.pose, x, p);
        if (p[2] < 0.1) continue;
        OK(mosaic_mem_homography(&from, &to, n, d, h));
        w = h[6] * u + h[7] * v + h[8];
        CHECK(w > 0);
        CLOSE((h[0] * u + h[1] * v + h[2]) / w, to.camera.fx * p[0] / p[2] + to.camera.cx, 1e-6);
        CLOSE((h[3] * u + h[4] * v + h[5]) / w, to.camera.fy * p[1] / p[2] + to.camera.cy, 1e-6);
    }
    IS(mosaic_mem_homography(&a, &b, front, 0, h), MOSAIC_MEM_ERROR_NUMBER);
    IS(mosaic_mem_homography(&a, &b, front, NAN, h), MOSAIC_MEM_ERROR_NUMBER);
    b.pose.rotation[0] = 9;
    IS(mosaic_mem_homography(&a, &b, front, 1, h), MOSAIC_MEM_ERROR_POSE);
}

/* D37: a latent moves as the picture does: not at all, along, towards and about, by both warps. */
static void latents(void)
{
    static const double front[3] = {0, 0, 1}, zero[3] = {0, 0, 0};
    mosaic_mem_view a = view_of(64, 48, 64), b;
    mosaic_mem_latent from, to;
    double h[9];
    size_t n;
    int i, c, x, y;
    memset(&from, 0, sizeof from);
    for (i = 0; i < CELLS * CHANNELS; i++) values[i] = (float)uniform();
    for (i = 0; i < CELLS; i++) depths[i] = 5;
    from.cols = COLS, from.rows = ROWS, from.channels = CHANNELS, from.values = values;
    to = from;
    to.values = out, to.mask = mask, to.z = z, to.weight = weight;
    OK(mosaic_mem_warp_grid(&a, COLS, ROWS, depths, &a, uvz, valid, &n));
    CHECK(n == CELLS);
    OK(mosaic_mem_warp_forward(&from, uvz, valid, &a.camera, 0, &to));
    for (i = 0; i < CELLS; i++) CHECK(mask[i] == 1 && weight[i] == 1 && fabs((double)z[i] - 5) < 1e-6);
    CHECK(memcmp(out, values, sizeof values) == 0);
    memset(out, 0, sizeof out);
    OK(mosaic_mem_homography(&a, &a, front, 5, h));
    OK(mosaic_mem_warp_plane(&from, &a.camera, h, &a.camera, &to));
    for (i = 0; i < CELLS; i++) CHECK(mask[i] == 1);
    CHECK(memcmp(out, values, sizeof values) == 0);
    /* along by three tokens: 12 pixels at depth 5 and f 64 */
    b = a;
    b.pose.centre[0] = 12 * 5 / 64.0;
    for (c = 0; c < 2; c++) {
        memset(out, 0, sizeof out);
        if (c == 0) {
            OK(mosaic_mem_warp_grid(&a, COLS, ROWS, depths, &b, uvz, valid, &n));
            OK(mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to));
        } else {
            OK(mosaic_mem_homography(&a, &b, front, 5, h));
            OK(mosaic_mem_warp_plane(&from, &a.camera, h, &b.camera, &to));
        }
        for (i = 0; i < CELLS; i++) {
            CHECK(mask[i] == (i % COLS < COLS - 3));
            if (mask[i]) CHECK(memcmp(out + 2 * i, values + 2 * (i + 3), 8) == 0);
        }
    }
    /* half a turn about the axis of the view: once, not twice */
    b = turned(&a, 0, 0, 1, 3.14159265358979323846, zero);
    OK(mosaic_mem_warp_grid(&a, COLS, ROWS, depths, &b, uvz, valid, &n));
    OK(mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to));
    for (i = 0; i < CELLS; i++) CHECK(mask[i] == 1 && memcmp(out + 2 * i, values + 2 * (CELLS - 1 - i), 8) == 0);
    OK(mosaic_mem_homography(&a, &b, front, 5, h));
    OK(mosaic_mem_warp_plane(&from, &a.camera, h, &b.camera, &to));
    for (i = 0; i < CELLS; i++) CHECK(mask[i] == 1 && memcmp(out + 2 * i, values + 2 * (CELLS - 1 - i), 8) == 0);
    /* twice as near, on a ramp: the middle, spread out; forward there are no holes, and it says where it is not sure */
    b = a;
    b.pose.centre[2] = 2.5;
    for (i = 0; i < CELLS; i++) values[2 * i] = (float)(i % COLS), values[2 * i + 1] = (float)(i / COLS);
    OK(mosaic_mem_homography(&a, &b, front, 5, h));
    OK(mosaic_mem_warp_plane(&from, &a.camera, h, &b.camera, &to));
    for (y = 0; y < ROWS; y++)
        for (x = 0; x < COLS; x++) {
            CHECK(mask[y * COLS + x] == 1);
            CLOSE(out[2 * (y * COLS + x)], (x - 7.5) / 2 + 7.5, 1e-3);
            CLOSE(out[2 * (y * COLS + x) + 1], (y - 5.5) / 2 + 5.5, 1e-3);
        }
    OK(mosaic_mem_warp_grid(&a, COLS, ROWS, depths, &b, uvz, valid, &n));
    OK(mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to));
    for (i = 0; i < CELLS; i++) {
        CHECK(mask[i] == 1 && (double)weight[i] >= 0.25 && (double)z[i] == 2.5);
        CLOSE(out[2 * i], (i % COLS - 7.5) / 2 + 7.5, 0.3);
    }
    /* twice as far: the middle half; outside there is nothing, and nothing is written */
    b.pose.centre[2] = -5;
    for (c = 0; c < 2; c++) {
        for (i = 0; i < CELLS * CHANNELS; i++) out[i] = -77;
        if (c == 0) {
            OK(mosaic_mem_warp_grid(&a, COLS, ROWS, depths, &b, uvz, valid, &n));
            OK(mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to));
        } else {
            OK(mosaic_mem_homography(&a, &b, front, 5, h));
            OK(mosaic_mem_warp_plane(&from, &a.camera, h, &b.camera, &to));
        }
        for (i = 0; i < CELLS; i++) {
            const int in = i % COLS >= 4 && i % COLS < 12 && i / COLS >= 3 && i / COLS < 9;
            CHECK(mask[i] == in);
            if (in) CLOSE(out[2 * i], (i % COLS - 7.5) * 2 + 7.5, c == 0 && (i % COLS == 4 || i % COLS == 11) ? 0.25 : 1e-3); /* tokens end there */
            if (!in) CHECK(out[2 * i] == -77 && out[2 * i + 1] == -77);
        }
    }
    /* what is in front hides what is behind; tokens without depth, or out of the mask, go nowhere */
    b = a;
    b.pose.centre[0] = 12 * 5 / 64.0;
    for (i = 0; i < CELLS; i++) depths[i] = i % COLS == 8 ? 2.5f : 5; /* that column moves by six, over column 5 - 3 */
    depths[3] = NAN, depths[COLS + 3] = 0;
    memset(known, 1, sizeof known);
    known[2 * COLS + 3] = 0;
    from.mask = known;
    OK(mosaic_mem_warp_grid(&a, COLS, ROWS, depths, &b, uvz, valid, &n));
    CHECK(n == CELLS - 2 && !valid[3] && !valid[COLS + 3]);
    OK(mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to));
    for (y = 0; y < ROWS; y++) {
        CHECK(mask[y * COLS + 2] == 1 && out[2 * (y * COLS + 2)] == 8);
        CHECK(mask[y * COLS + 5] == 0);
        CHECK(mask[y * COLS] == (y > 2));
    }
    for (i = 0; i < CELLS; i++) depths[i] = 5;
    OK(mosaic_mem_homography(&a, &a, front, 5, h));
    OK(mosaic_mem_warp_plane(&from, &a.camera, h, &a.camera, &to));
    for (i = 0; i < CELLS; i++) CHECK(mask[i] == (i != 2 * COLS + 3));
    for (i = 0; i < 9; i++) h[i] = 0;
    IS(mosaic_mem_warp_plane(&from, &a.camera, h, &a.camera, &to), MOSAIC_MEM_ERROR_NUMBER);
    to.z = NULL;
    IS(mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to), MOSAIC_MEM_ERROR_NULL);
    to.z = z, to.channels = 1;
    IS(mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to), MOSAIC_MEM_ERROR_SIZE);
    uvz[0] = NAN, uvz[3] = 1e30f, uvz[6] = -INFINITY; /* places that are none */
    to.channels = CHANNELS;
    OK(mosaic_mem_warp_forward(&from, uvz, valid, &b.camera, 0, &to));
}

/* ---- schedules ---- */

static void schedules(void)
{
    static double kept[1000];
    static float a[20000], b[20000], x[64], clean[64], noise[64], fresh[64];
    double sum = 0, square = 0, fourth = 0, next;
    int times[50], i, t, round;
    OK(mosaic_mem_schedule_make(MOSAIC_MEM_SCHEDULE_LINEAR, 1000, 0, 0, kept));
    CLOSE(kept[0], .9999, 1e-12);
    CLOSE(kept[100], .895142, 1e-6);
    CLOSE(kept[499], .0785872, 1e-7);
    CLOSE(kept[500], .0777967, 1e-7);
    CLOSE(kept[900], 2.70245e-4, 1e-9);
    CLOSE(kept[999], 4.03583e-5, 1e-10);
    CLOSE(sqrt((1 - kept[999]) / kept[999]), 157.41, 0.01);
    OK(mosaic_mem_schedule_steps(1000, 50, times));
    CHECK(times[0] == 999 && times[49] == 0); /* down to 0 */
    for (i = 1; i < 50; i++) CHECK(times[i] < times[i - 1] && times[i - 1] - times[i] <= 21);
    OK(mosaic_mem_schedule_steps(50, 50, times));
    for (i = 0; i < 50; i++) CHECK(times[i] == 49 - i);
    OK(mosaic_mem_schedule_steps(9, 1, times));
    CHECK(times[0] == 8);
    IS(mosaic_mem_schedule_steps(10, 11, times), MOSAIC_MEM_ERROR_SIZE);
    IS(mosaic_mem_schedule_steps(10, 0, times), MOSAIC_MEM_ERROR_SIZE);
    /* D43: the ancestral step is the mean and variance of x one step before, given x and the clean picture */
    OK(mosaic_mem_noise(5, 0, x, 64));
    OK(mosaic_mem_noise(6, 0, clean, 64));
    OK(mosaic_mem_noise(7, 0, fresh, 64));
    for (t = 1; t < 1000; t += 37) {
        const double alpha = kept[t] / kept[t - 1], beta = 1 - alpha;
        for (i = 0; i < 64; i++) noise[i] = (float)(((double)x[i] - sqrt(kept[t]) * (double)clean[i]) / sqrt(1 - kept[t]));
        memcpy(b, x, sizeof x);
        OK(mosaic_mem_denoise(kept[t], kept[t - 1], 1, 0, noise, fresh, b, 64));
        for (i = 0; i < 64; i++) {
            const double mean = (sqrt(kept[t - 1]) * beta * (double)clean[i] + sqrt(alpha) * (1 - kept[t - 1]) * (double)x[i]) / (1 - kept[t]);
            CLOSE(b[i], mean + sqrt((1 - kept[t - 1]) / (1 - kept[t]) * beta) * (double)fresh[i], 2e-5);
        }
    }
    /* D46: with the true noise, any number of steps of either kind ends at the clean picture */
    for (round = 0; round < 6; round++) {
        const int steps = round < 2 ? 5 : round < 4 ? 50 : 1;
        OK(mosaic_mem_schedule_steps(1000, steps, times));
        OK(mosaic_mem_noise(8, 0, x, 64));
        for (i = 0; i < steps; i++) {
            int j;
            next = i + 1 < steps ? kept[times[i + 1]] : 1;
            for (j = 0; j < 64; j++) {
                noise[j] = (float)(((double)x[j] - sqrt(kept[times[i]]) * (double)clean[j]) / sqrt(1 - kept[times[i]]));
                CHECK(fabs((double)x[j]) < 12);
            }
            OK(mosaic_mem_noise(9, (uint64_t)i * 64, fresh, 64));
            OK(mosaic_mem_denoise(kept[times[i]], next, round & 1, 0, noise, fresh, x, 64));
        }
        for (i = 0; i < 64; i++) CLOSE(x[i], clean[i], 2e-4);
    }
    /* cut off: what is clean lies within, and goes on being mixed as the schedule has it */
    for (i = 0; i < 64; i++) x[i] = 5, noise[i] = 0;
    OK(mosaic_mem_denoise(0.25, 1, 0, 2, noise, NULL, x, 64));
    CHECK(x[0] == 2);
    for (i = 0; i < 64; i++) x[i] = 5;
    OK(mosaic_mem_denoise(0.25, 0.5, 0, 2, noise, NULL, x, 64));
    CLOSE(x[0], sqrt(0.5) * 2 + sqrt(0.5) * (5 - 0.5 * 2) / sqrt(0.75), 1e-6);
    IS(mosaic_mem_denoise(0.25, 0.5, 1, 2, noise, NULL, x, 64), MOSAIC_MEM_ERROR_NULL);
    IS(mosaic_mem_denoise(0.5, 0.25, 0, 0, noise, NULL, x, 64), MOSAIC_MEM_ERROR_NUMBER);
    IS(mosaic_mem_denoise(0, 0.25, 0, 0, noise, NULL, x, 64), MOSAIC_MEM_ERROR_NUMBER);
    IS(mosaic_mem_denoise(NAN, 1, 0, 0, noise, NULL, x, 64), MOSAIC_MEM_ERROR_NUMBER);
    OK(mosaic_mem_add_noise(0.36, clean, fresh, x, 64));
    for (i = 0; i < 64; i++) CLOSE(x[i], 0.6 * (double)clean[i] + 0.8 * (double)fresh[i], 1e-6);
    OK(mosaic_mem_flow_step(0.5, fresh, x, 64));
    for (i = 0; i < 64; i++) CLOSE(x[i], 0.6 * (double)clean[i] + 1.3 * (double)fresh[i], 1e-6);
    OK(mosaic_mem_schedule_make(MOSAIC_MEM_SCHEDULE_COSINE, 1000, 0, 0, kept));
    CHECK(kept[0] == 1);
    CLOSE(kept[1], .999959, 1e-6);
    CLOSE(kept[500], .493844, 1e-6);
    CHECK(kept[999] > 0 && kept[999] < 1e-4);
    OK(mosaic_mem_schedule_make(MOSAIC_MEM_SCHEDULE_LINEAR, 1, 0, 0, kept));
    IS(mosaic_mem_schedule_make(MOSAIC_MEM_SCHEDULE_LINEAR, 0, 0, 0, kept), MOSAIC_MEM_ERROR_SIZE);
    IS(mosaic_mem_schedule_make((mosaic_mem_schedule)2, 5, 0, 0, kept), MOSAIC_MEM_ERROR_OPTION);
    IS(mosaic_mem_schedule_make(MOSAIC_MEM_SCHEDULE_LINEAR, 5, 2, 0, kept), MOSAIC_MEM_ERROR_NUMBER);
    /* D44: normal, and any part of the row is that part */
    OK(mosaic_mem_noise(1234, 0, a, 20000));
    for (i = 0; i < 20000; i++) {
        const double q = (double)a[i];
        sum += q, square += q * q, fourth += q * q * q * q;
    }
    CLOSE(sum / 20000, 0, 0.025);
    CLOSE(square / 20000, 1, 0.04);
    CLOSE(fourth / 20000, 3, 0.25);
    for (round = 0; round < 40; round++) {
        const int first = test_range(0, 19000), count = test_range(0, 900);
        OK(mosaic_mem_noise(1234, (uint64_t)first, b, (size_t)count));
        CHECK(memcmp(a + first, b, (size_t)count * sizeof *b) == 0);
    }
    OK(mosaic_mem_noise(1235, 0, b, 20000));
    for (i = 0, sum = 0; i < 20000; i++) sum += (double)a[i] * (double)b[i];
    CLOSE(sum / 20000, 0, 0.03);
}

/* D49: every frame once, none by a window of its own that has nothing new, none short while there are enough. */
static void windows(void)
{
    static mosaic_mem_window w[2000];
    size_t total, window, overlap, n, i, next;
    for (total = 0; total < 70; total++)
        for (window = 1; window < 20; window++)
            for (overlap = 0; overlap < window; overlap++) {
                OK(mosaic_mem_windows(total, window, overlap, w, 2000, &n));
                CHECK((n == 0) == (total == 0));
                for (i = next = 0; i < n; i++) {
                    CHECK(w[i].fresh == next && w[i].fresh >= w[i].first && w[i].fresh < w[i].first + w[i].count);
                    CHECK(w[i].count == (window < total ? window : total));
                    CHECK(i == 0 ? w[i].first == 0 : w[i].fresh - w[i].first >= overlap);
                    if (i && i + 1 < n) CHECK(w[i].fresh - w[i].first == overlap);
                    next = w[i].first + w[i].count;
                }
                CHECK(next == total);
            }
    OK(mosaic_mem_windows(32, 16, 2, w, 2000, &n));
    CHECK(n == 3 && w[2].first == 16 && w[2].fresh == 30);
    OK(mosaic_mem_windows(16, 16, 4, w, 2000, &n));
    CHECK(n == 1);
    OK(mosaic_mem_windows(100, 16, 4, w, 2000, &n));
    CHECK(n == 8);
    IS(mosaic_mem_windows(100, 16, 4, w, 3, &n), MOSAIC_MEM_ERROR_SPACE);
    CHECK(n == 8);
    IS(mosaic_mem_windows(100, 16, 16, w, 3, &n), MOSAIC_MEM_ERROR_SIZE);
}

/* ---- a rollout with models that are none: what they draw is known ---- */

enum { FRAMES = 40, W = 32, H = 24, L = 4, LCOLS = W / L, LROWS = H / L, LCELLS = LCOLS * LROWS, PIXELS = W * H };

typedef struct toy {
    const mosaic_mem_view *views;
    float film[FRAMES][3 * PIXELS];
    int shown[FRAMES], calls, with_text, without_text, depths, fail_at, plain_memory;
    double tint_of_window;
} toy;

/* A wall at z = 4 with a pattern. */
static double pattern(double x, double y, int c) { return 0.5 + 0.2 * sin(1.7 * x + c) + 0.2 * cos(2.3 * y - c); }

static int fails(toy *t) { return t->fail_at > 0 && --t->fail_at == 0; }

static int toy_text(void *ctx, const char *prompt, float *embedding)
{
    int i;
    for (i = 0; i < 4; i++) embedding[i] = (float)prompt[i];
    return fails((toy *)ctx);
}

/* A slice is the mean of L x L pixels of the last of its frames. */
static int toy_encode(void *ctx, const float *frames, int count, float *latents)
{
    int s, i, c, x, y;
    for (s = 0; s < (count + 3) / 4; s++) {
        const float *f = frames + (size_t)(4 * s + 3 < count ? 4 * s + 3 : count - 1) * 3 * PIXELS;
        for (i = 0; i < LCELLS; i++)
            for (c = 0; c < 3; c++) {
                double sum = 0;
                for (y = 0; y < L; y++)
                    for (x = 0; x < L; x++) sum += (double)f[3 * ((i / LCOLS * L + y) * W + i % LCOLS * L + x) + c];
                latents[(s * LCELLS + i) * 3 + c] = (float)(sum / (L * L));
            }
    }
    return fails((toy *)ctx);
}

static int toy_decode(void *ctx, const float *latents, int slices, float *frames, int count)
{
    int f, i, c;
    CHECK(slices == (count + 3) / 4);
    for (f = 0; f < count; f++)
        for (i = 0; i < PIXELS; i++)
            for (c = 0; c < 3; c++) frames[(f * PIXELS + i) * 3 + c] = latents[(f / 4 * LCELLS + i / W / L * LCOLS + i % W / L) * 3 + c];
    return fails((toy *)ctx);
}

static int toy_depth(void *ctx, const float *frame, const mosaic_mem_view *view, float *depth)
{
    toy *t = (toy *)ctx;
    int i;
    (void)frame;
    t->depths++;
    for (i = 0; i < PIXELS; i++) depth[i] = (float)(4 - view->pose.centre[2]);
    return fails(t);
}

/* Its clean picture: what memory shows; elsewhere the wall, in a colour that each window makes up for itself. The noise that leads there. */
static int toy_backbone(void *ctx, const mosaic_mem_conditions *c, const float *x, float *predicted)
{
    static double kept[1000];
    toy *t = (toy *)ctx;
    const double tint = 0.3 * ((double)(c->window.first * 7 % 5) / 4 - 0.5);
    int s, i, k;
    t->calls++;
    *(c->text ? &t->with_text : &t->without_text) += 1;
    CHECK(!c->text || c->text[0] == 'a');
    CHECK(c->cols == LCOLS && c->rows == LROWS && c->channels == 3 && c->slices == (int)(c->window.count + 3) / 4);
    mosaic_mem_schedule_make(MOSAIC_MEM_SCHEDULE_LINEAR, 1000, 0, 0, kept);
    for (s = 0; s < c->slices; s++)
        for (i = 0; i < LCELLS; i++) {
            const mosaic_mem_view *v = &c->middle[s];
            const double z4 = 4 - v->pose.centre[2];
            double p[3];
            mosaic_mem_unproject(v, (i % LCOLS + 0.5) * L, (i / LCOLS + 0.5) * L, z4, p);
            for (k = 0; k < 3; k++) {
                const size_t at = (size_t)((s * LCELLS + i) * 3 + k);
                const double goal = c->mask[s * LCELLS + i] ? (double)c->canvas[at] : pattern(p[0], p[1], k) + tint;
                predicted[at] = (float)(((double)x[at] - sqrt(kept[c->time]) * goal) / sqrt(1 - kept[c->time]));
            }
        }
    return fails(t);
}

static int toy_frame(void *ctx, size_t index, const mosaic_mem_view *view, const float *rgb)
{
    toy *t = (toy *)ctx;
    CHECK(view == &t->views[index]);
    t->shown[index]++;
    memcpy(t->film[index], rgb, sizeof t->film[index]);
    return fails(t);
}

static mosaic_mem_rollout rollout_of(toy *t, const mosaic_mem_view *views, mosaic_mem *memory)
{
    mosaic_mem_rollout r;
    memset(&r, 0, sizeof r);
    memset(t, 0, sizeof *t);
    t->views = views;
    r.views = views, r.frames = FRAMES;
    r.window = 8, r.overlap = 4, r.cols = LCOLS, r.rows = LROWS, r.channels = 3, r.steps = 6, r.eta = 1, r.seed = 42;
    r.memory = memory;
    r.models.ctx = t, r.models.text = toy_text, r.models.encode = toy_encode, r.models.decode = toy_decode, r.models.depth = toy_depth;
    r.models.backbone = toy_backbone;
    r.frame = toy_frame, r.frame_ctx = t;
    return r;
}

static void rollouts(void)
{
    static toy t, again;
    static mosaic_mem_view views[FRAMES];
    mosaic_mem_options o;
    mosaic_mem_cloud_options co;
    mosaic_mem *m = NULL;
    mosaic_mem_cloud *cloud = NULL;
    mosaic_mem_rollout r;
    mosaic_mem_rollout_stats stats;
    double with = 0, without = 0;
    int i, j;
    for (i = 0; i < FRAMES; i++) { /* aside and back, a stop for each slice; a camera that is not the default one */
        views[i] = view_of(W, H, 40);
        views[i].camera.cx = 14;
        views[i].pose.centre[0] = 0.8 * (i < FRAMES / 2 ? i / 4 : (FRAMES - 1 - i) / 4);
        views[i].time = i / 10.0;
    }
    memset(&o, 0, sizeof o);
    memset(&co, 0, sizeof co);
    o.channels = 3;
    co.voxel = 0.1;
    r = rollout_of(&t, views, NULL);
    OK(mosaic_mem_roll_out(&r, &stats));
    CHECK(stats.frames == FRAMES && stats.windows == 9 && stats.seen == 0 && t.calls == 9 * 6 && t.depths == 0);
    for (i = 0; i < FRAMES; i++) CHECK(t.shown[i] == 1);
    for (i = 4; i < FRAMES / 2; i++)
        for (j = 0; j < 3 * PIXELS; j++) without += fabs((double)t.film[i][j] - (double)t.film[FRAMES - 1 - i][j]);
    OK(mosaic_mem_open(&o, &m));
    OK(mosaic_mem_cloud_open(&co, &cloud));
    r = rollout_of(&t, views, m);
    r.cloud = cloud, r.prompt = "a wall", r.text_size = 4, r.guidance = 3;
    OK(mosaic_mem_roll_out(&r, &stats));
    CHECK(stats.frames == FRAMES && stats.seen > stats.cells / 2 && stats.hits > 50);
    CHECK(t.calls == 2 * 9 * 6 && t.with_text == t.without_text);      /* D45 */
    CHECK((size_t)t.depths == stats.keyframes && stats.keyframes > 9); /* D13: once a keyframe */
    /* five stops of a quarter of a picture each: two pictures' worth of patches, all others merged */
    CHECK_MSG(mosaic_mem_count(m) == 24 && mosaic_mem_cloud_count(cloud) > 200, "%d patches, %d points", (int)mosaic_mem_count(m),
              (int)mosaic_mem_cloud_count(cloud));
    for (i = 4; i < FRAMES / 2; i++)
        for (j = 0; j < 3 * PIXELS; j++) with += fabs((double)t.film[i][j] - (double)t.film[FRAMES - 1 - i][j]);
    CHECK_MSG(with < 0.05 * without, "a revisit is off by %g with memory, by %g without", with, without);
    { /* D17, D47: numbers of the film, cameras as given, patches on the wall; the cloud is on it, too */
        mosaic_mem_info info;
        uint64_t id = 0, last = 0;
        while ((id = mosaic_mem_next(m, id)) != 0) {
            OK(mosaic_mem_describe(m, id, &info));
            CHECK(info.view.camera.cx == 14 && info.view.camera.fx == 40);
            CHECK(memcmp(&info.view.pose, &views[info.frame].pose, sizeof info.view.pose) == 0);
            CLOSE(info.centre[2], 4, 1e-6);
            last = info.frame > last ? info.frame : last;
        }
        CHECK(last > 8);
        for (id = 0; (id = mosaic_mem_cloud_next(cloud, id)) != 0;) {
            mosaic_mem_point p;
            OK(mosaic_mem_cloud_read(cloud, id, &p));
            CLOSE(p.position[2], 4, 1e-5);
        }
    }
    mosaic_mem_close(m);
    mosaic_mem_cloud_close(cloud);
    m = NULL;
    /* once more: the same film; another seed: another noise, but where memory and scene say all, the same again */
    OK(mosaic_mem_open(&o, &m));
    r = rollout_of(&again, views, m);
    r.prompt = "a wall", r.text_size = 4, r.guidance = 3;
    OK(mosaic_mem_roll_out(&r, NULL));
    CHECK(memcmp(t.film, again.film, sizeof t.film) == 0);
    mosaic_mem_close(m);
    /* D48: each call that fails is heard of, and leaves nothing behind */
    for (i = 1; i < 200; i += i < 40 ? 1 : 13) {
        mosaic_mem_result result;
        m = NULL;
        OK(mosaic_mem_open(&o, &m));
        r = rollout_of(&t, views, m);
        t.fail_at = i;
        r.prompt = "a wall", r.text_size = 4;
        result = mosaic_mem_roll_out(&r, &stats);
        CHECK(t.fail_at == 0 ? result == MOSAIC_MEM_ERROR_CALLBACK : result == MOSAIC_MEM_OK);
        CHECK(t.fail_at != 0 || stats.frames < FRAMES);
        mosaic_mem_close(m);
        CHECK(blocks == 0);
    }
    for (i = 0; i < 30; i++) {
        mosaic_mem_result result;
        m = NULL;
        OK(mosaic_mem_open(&o, &m));
        r = rollout_of(&t, views, m);
        fail_after = i;
        result = mosaic_mem_roll_out(&r, &stats);
        fail_after = -1;
        CHECK(result == MOSAIC_MEM_OK || result == MOSAIC_MEM_ERROR_MEMORY);
        mosaic_mem_close(m);
        CHECK(blocks == 0);
        blocks = 0;
    }
    /* films shorter than a window, of no whole slices, of none at all */
    for (i = 0; i < 12; i++) {
        r = rollout_of(&t, views, NULL);
        r.frames = (size_t)i;
        OK(mosaic_mem_roll_out(&r, &stats));
        CHECK(stats.frames == (size_t)i);
        for (j = 0; j < FRAMES; j++) CHECK(t.shown[j] == (j < i));
    }
    r.overlap = 3;
    IS(mosaic_mem_roll_out(&r, &stats), MOSAIC_MEM_ERROR_SIZE);
    r.overlap = 4, r.steps = 2000;
    IS(mosaic_mem_roll_out(&r, &stats), MOSAIC_MEM_ERROR_SIZE);
    r.steps = 5, r.models.decode = NULL;
    IS(mosaic_mem_roll_out(&r, &stats), MOSAIC_MEM_ERROR_NULL);
    r = rollout_of(&t, views, NULL);
    views[3].pose.centre[0] = NAN;
    IS(mosaic_mem_roll_out(&r, &stats), MOSAIC_MEM_ERROR_POSE);
    views[3].pose.centre[0] = 0, views[3].camera.width = 31;
    IS(mosaic_mem_roll_out(&r, &stats), MOSAIC_MEM_ERROR_SIZE);
    views[3].camera.width = W, views[3].time = -5;
    IS(mosaic_mem_roll_out(&r, &stats), MOSAIC_MEM_ERROR_NUMBER);
    o.channels = 4, m = NULL;
    OK(mosaic_mem_open(&o, &m));
    r.memory = m;
    IS(mosaic_mem_roll_out(&r, &stats), MOSAIC_MEM_ERROR_MATCH);
    mosaic_mem_close(m);
    CHECK(blocks == 0);
}

int main(void)
{
    homographies();
    latents();
    schedules();
    windows();
    rollouts();
    return test_end("test_mem_rollout");
}
