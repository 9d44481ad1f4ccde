/* Dense inverse search of mosaic_flow.h: every kernel and number of threads against the scalar reference, known motion, borders, hostile input. */
#include "../test.h"
#include "../threads.h"
#include <math.h>
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../../mosaic_flow.h"

enum { SIDE = 208 };
static uint8_t first[SIDE * SIDE * 3], second[SIDE * SIDE * 3], third[SIDE * SIDE * 3];
static float reference[SIDE * SIDE * 2], flow_out[SIDE * SIDE * 2];

static mosaic_flow *open_dis(int width, int height, int preset, int simd, int *threads)
{
    mosaic_flow_options o;
    mosaic_flow *flow = NULL;
    mosaic_flow_result result;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_DIS;
    o.preset = (mosaic_flow_preset)preset;
    o.simd = simd;
    if (threads) {
        o.run = test_run;
        o.run_ctx = threads;
    }
    result = mosaic_flow_open(width, height, &o, &flow);
    CHECK_MSG(result == MOSAIC_FLOW_OK, "%dx%d preset %d simd %d: %s", width, height, preset, simd, mosaic_flow_result_string(result));
    return flow;
}

static int has_simd(int simd)
{
    mosaic_flow_options o;
    mosaic_flow *flow = NULL;
    mosaic_flow_result result;
    memset(&o, 0, sizeof o);
    o.simd = simd;
    result = mosaic_flow_open(8, 8, &o, &flow);
    mosaic_flow_close(flow);
    return result == MOSAIC_FLOW_OK;
}

/* Structure at several scales, without repetition within the picture; 40 to 215. */
static double texture(double x, double y, int channel)
{
    double v = 0.9 * sin(0.071 * x + 0.043 * y + channel) + 0.8 * sin(0.12 * y - 0.037 * x + 1.3) + 0.7 * sin(0.31 * x + 0.17 * y + 0.5 * channel) +
               0.6 * sin(0.29 * y - 0.23 * x) + 0.35 * sin(0.71 * x - 0.37 * y + 2) + 0.35 * sin(0.53 * x + 0.83 * y);
    return 127.5 + 87.5 * v / 3.7;
}

/* The texture seen through x' = zoom (x - w/2) + w/2 - dx, and the same for y. */
static void draw(uint8_t *rgb, int width, int height, double zoom, double dx, double dy)
{
    int x, y, c;
    for (y = 0; y < height; y++)
        for (x = 0; x < width; x++)
            for (c = 0; c < 3; c++)
                rgb[(y * width + x) * 3 + c] =
                    (uint8_t)(texture(zoom * (x - width / 2) + width / 2 - dx, zoom * (y - height / 2) + height / 2 - dy, c) + 0.5);
}

static void noise(uint8_t *p, size_t n)
{
    while (n--) *p++ = (uint8_t)test_random();
}

/* ---- one answer for all kernels and numbers of threads ---- */

static void test_same(int width, int height)
{
    const size_t pixels = (size_t)width * (size_t)height;
    int16_t *forward = (int16_t *)malloc(pixels * 4 * 2), *backward = forward + pixels * 2;
    int preset, simd, threads, i;
    draw(first, width, height, 1, 0, 0);
    draw(second, width, height, 1.02, 1.75, -2.5);
    draw(third, width, height, 0.98, -4.25, 1.5);
    noise(third, pixels / 2 * 3); /* half of it is nonsense */
    for (preset = 0; preset < MOSAIC_FLOW_PRESETS; preset++) {
        for (simd = 1; simd <= 4; simd++) {
            mosaic_flow *flow;
            if (!has_simd(simd)) continue;
            flow = open_dis(width, height, preset, simd, NULL);
            if (!flow) continue;
            /* Begins on what another picture has left in the work memory. */
            if (simd > 1) mosaic_flow_pair(flow, third, (size_t)width * 3, first, (size_t)width * 3, NULL, flow_out);
            CHECK(mosaic_flow_pair(flow, first, (size_t)width * 3, second, (size_t)width * 3, NULL, flow_out) == MOSAIC_FLOW_OK);
            if (simd == 1) memcpy(reference, flow_out, pixels * 8);
            CHECK_MSG(memcmp(reference, flow_out, pixels * 8) == 0, "%dx%d preset %d simd %d: other bits than the scalar code", width, height, preset,
                      simd);
            mosaic_flow_close(flow);
        }
        for (threads = 0; threads <= 5; threads++) {
            mosaic_flow *flow = open_dis(width, height, preset, threads == 0, threads ? &threads : NULL);
            const mosaic_flow_field *field;
            if (!flow) continue;
            CHECK(mosaic_flow_push(flow, first, (size_t)width * 3, &field) == MOSAIC_FLOW_OK && !field);
            CHECK(mosaic_flow_push(flow, second, (size_t)width * 3, &field) == MOSAIC_FLOW_OK && field);
            for (i = 0; i < (int)(pixels * 2); i++) {
                /* What a pair gives, in 1/64 px: halves away from zero. */
                const float v = reference[i] * 64;
                if (field->forward[i] != (int16_t)(v < 0 ? v - 0.5f : v + 0.5f)) break;
            }
            CHECK_MSG(i == (int)(pixels * 2), "%dx%d preset %d, %d threads: the stream is not the pair", width, height, preset, threads);
            CHECK(mosaic_flow_push(flow, third, (size_t)width * 3, &field) == MOSAIC_FLOW_OK && field);
            if (threads == 0) {
                memcpy(forward, field->forward, pixels * 4);
                memcpy(backward, field->backward, pixels * 4);
            }
            CHECK_MSG(memcmp(forward, field->forward, pixels * 4) == 0 && memcmp(backward, field->backward, pixels * 4) == 0,
                      "%dx%d preset %d, %d threads: other vectors", width, height, preset, threads);
            mosaic_flow_close(flow);
        }
    }
    free(forward);
}

/* The backward vectors of a stream are those of the pair turned round. */
static void test_backward(void)
{
    enum { W = 120, H = 77 };
    int preset, i, bad;
    draw(first, W, H, 1, 0, 0);
    draw(second, W, H, 1.03, 6, -3);
    for (preset = 0; preset < MOSAIC_FLOW_PRESETS; preset++) {
        int threads = 2;
        mosaic_flow *flow = open_dis(W, H, preset, 0, NULL), *stream = open_dis(W, H, preset, 0, &threads);
        const mosaic_flow_field *field = NULL;
        if (!flow || !stream) continue;
        mosaic_flow_pair(flow, second, W * 3, first, W * 3, NULL, flow_out);
        mosaic_flow_push(stream, first, W * 3, &field);
        mosaic_flow_push(stream, second, W * 3, &field);
        for (i = bad = 0; i < W * H * 2; i++) {
            const float v = flow_out[i] * 64;
            bad += field->backward[i] != (int16_t)(v < 0 ? v - 0.5f : v + 0.5f);
        }
        CHECK_MSG(bad == 0, "preset %d: %d components", preset, bad);
        mosaic_flow_close(flow);
        mosaic_flow_close(stream);
    }
}

/* The refinement works on rows in a staggered order: it must leave what whole sweeps one after the other leave. */
static void test_sweeps(void)
{
    enum { W = 53, H = 38 };
    mosaic_flow *flow = open_dis(W, H, MOSAIC_FLOW_MEDIUM, 1, NULL);
    mosaic_flow__dis *dis;
    mosaic_flow__dis_way *way;
    const mosaic_flow__dis_level *level;
    int x, y, k, round, bad = 0;
    if (!flow) return;
    draw(first, W, H, 1, 0, 0);
    draw(second, W, H, 1.05, 3, 2);
    mosaic_flow_pair(flow, first, W * 3, second, W * 3, NULL, flow_out);
    dis = (mosaic_flow__dis *)flow->method;
    way = &dis->way[0];
    level = &dis->level[0];
    dis->kernels->dis_blend(way);
    dis->kernels->dis_refine(way);
    for (y = 0; y < H; y++)
        for (x = 0; x < W; x++)
            for (k = 0; k < 2; k++) reference[(y * W + x) * 2 + k] = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, y)[x];
    /* From the same start (what the pictures say stands in the planes still): */
    dis->kernels->dis_blend(way);
    dis->rounds = 0;
    dis->kernels->dis_refine(way);
    for (round = 0; round < mosaic_flow__dis_presets[MOSAIC_FLOW_MEDIUM].rounds; round++) {
        for (y = 0; y < H; y++) {
            mosaic_flow__dis_smoothness_plain(way, y);
            mosaic_flow__dis_system_plain(way, y);
        }
        for (k = 0; k < 2 * MOSAIC_FLOW__DIS_SWEEPS; k++)
            for (y = H - 1; y >= 0; y--) mosaic_flow__dis_relax_plain(way, y, k % 2);
    }
    mosaic_flow__dis_join(way);
    for (y = 0; y < H; y++)
        for (x = 0; x < W; x++)
            for (k = 0; k < 2; k++) {
                const float *row = mosaic_flow__dis_row(way, MOSAIC_FLOW__DIS_U + k, level, y);
                bad += memcmp(&row[x], &reference[(y * W + x) * 2 + k], sizeof(float)) != 0;
            }
    CHECK_MSG(bad == 0, "%d of %d numbers differ from whole sweeps", bad, W * H * 2);
    mosaic_flow_close(flow);
}

/* ---- known motion ---- */

/* Mean error over the pixels at least `border` away from the edges. */
static double mean_error(int width, int height, int border, double zoom, double dx, double dy)
{
    double sum = 0;
    int x, y, n = 0;
    for (y = border; y < height - border; y++)
        for (x = border; x < width - border; x++) {
            /* Pixel x of the first shows what pixel x' of the second shows: x = zoom (x' - c) + c - dx. */
            const double ex = (x + dx - width / 2) / zoom + width / 2 - x, ey = (y + dy - height / 2) / zoom + height / 2 - y;
            sum += hypot(flow_out[(y * width + x) * 2] - ex, flow_out[(y * width + x) * 2 + 1] - ey);
            n++;
        }
    return sum / n;
}

/* Rounding to bytes adds noise of 0.29 levels to gradients of about 15 levels a pixel: less than .05 px for a patch of 64 pixels at the field's size;
   twice that at half size, and one 1/64 px of a half-size vector is 1/32 px here; without the refinement another half of that for blending. Zoom by
   2 % adds what changes within a patch: 8 px * 2 % / 2. Fast motion costs nothing once it is found. */
static void test_motion(void)
{
    static const double limit[MOSAIC_FLOW_PRESETS] = {0.15, 0.2, 0.06};
    static const struct {
        double zoom, dx, dy;
    } motion[] = {{1, 0.5, 0}, {1, -1.25, 2.75}, {1, 9, -6}, {1, -24.5, 17}, {1.02, 0, 0}, {0.97, 3, 5}};
    const int w = SIDE, h = 160;
    int preset, i;
    for (i = 0; i < (int)(sizeof motion / sizeof *motion); i++) {
        const double bend = motion[i].zoom > 1 || motion[i].zoom < 1 ? 0.08 : 0;
        draw(first, w, h, 1, 0, 0);
        draw(second, w, h, motion[i].zoom, motion[i].dx, motion[i].dy);
        for (preset = 0; preset < MOSAIC_FLOW_PRESETS; preset++) {
            mosaic_flow *flow = open_dis(w, h, preset, 0, NULL);
            double e;
            if (!flow) continue;
            mosaic_flow_pair(flow, first, (size_t)w * 3, second, (size_t)w * 3, NULL, flow_out);
            e = mean_error(w, h, 32, motion[i].zoom, motion[i].dx, motion[i].dy);
            CHECK_MSG(e < limit[preset] + bend, "preset %s, zoom %g, motion %g %g: mean error %.4f px", mosaic_flow_preset_name(preset),
                      motion[i].zoom, motion[i].dx, motion[i].dy, e);
            mosaic_flow_close(flow);
        }
    }
}

static void test_still(void)
{
    int preset, i, kind;
    for (kind = 0; kind < 3; kind++) {
        if (kind == 0) noise(first, sizeof first);
        if (kind == 1) memset(first, 77, sizeof first);
        if (kind == 2)
            for (i = 0; i < (int)sizeof first; i++) first[i] = i / 3 % 2 ? 255 : 0;
        for (preset = 0; preset < MOSAIC_FLOW_PRESETS; preset++) {
            static const float zero[SIDE * 100 * 2];
            mosaic_flow *flow = open_dis(SIDE, 100, preset, 0, NULL);
            const mosaic_flow_field *field;
            if (!flow) continue;
            memset(flow_out, 1, sizeof flow_out);
            mosaic_flow_pair(flow, first, SIDE * 3, first, SIDE * 3, NULL, flow_out);
            CHECK_MSG(memcmp(flow_out, zero, sizeof zero) == 0, "preset %d: a still picture moves", preset);
            mosaic_flow_push(flow, first, SIDE * 3, &field);
            mosaic_flow_push(flow, first, SIDE * 3, &field);
            CHECK(memcmp(field->forward, zero, SIDE * 100 * 4) == 0 && memcmp(field->backward, zero, SIDE * 100 * 4) == 0);
            mosaic_flow_close(flow);
        }
    }
}

/* ---- parts against their definitions ---- */

static int compare_ints(const void *a, const void *b)
{
    return *(const int32_t *)a < *(const int32_t *)b ? -1 : *(const int32_t *)a > *(const int32_t *)b;
}

static int within(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

static void test_median(void)
{
    mosaic_flow *flow = open_dis(150, 90, MOSAIC_FLOW_ULTRAFAST, 0, NULL);
    mosaic_flow__dis *dis;
    const mosaic_flow__dis_level *level;
    int i, row, column, bad = 0;
    if (!flow) return;
    dis = (mosaic_flow__dis *)flow->method;
    dis->way[0].scale = dis->finest;
    level = &dis->level[dis->finest];
    for (i = 0; i < level->columns * level->rows; i++) {
        dis->way[0].found[0][i].x = test_range(-32000, 32000);
        dis->way[0].found[0][i].y = test_range(-3, 3);
    }
    dis->kernels->dis_smooth(&dis->way[0]);
    for (row = 0; row < level->rows; row++)
        for (column = 0; column < level->columns; column++) {
            int32_t x[9], y[9];
            for (i = 0; i < 9; i++) {
                const int at = within(row + i / 3 - 1, 0, level->rows - 1) * level->columns + within(column + i % 3 - 1, 0, level->columns - 1);
                x[i] = dis->way[0].found[0][at].x;
                y[i] = dis->way[0].found[0][at].y;
            }
            qsort(x, 9, sizeof *x, compare_ints);
            qsort(y, 9, sizeof *y, compare_ints);
            bad += dis->way[0].found[1][row * level->columns + column].x != x[4] || dis->way[0].found[1][row * level->columns + column].y != y[4];
        }
    CHECK_MSG(bad == 0, "%d medians are not in the middle", bad);
    mosaic_flow_close(flow);
}

/* Frames are brought to the field's size by exact means of areas: counted here in the common refinement of both grids. */
static void test_fit(void)
{
    static const int size[][4] = {{40, 30, 12, 9}, {41, 29, 12, 7}, {7, 5, 40, 31}, {64, 2, 3, 50}, {1, 1, 5, 4}, {33, 33, 1, 1}, {50, 20, 50, 10}};
    int k, x, y, c, u, v, simd;
    for (k = 0; k < (int)(sizeof size / sizeof *size); k++)
        for (simd = 0; simd < 2; simd++) {
            const int fw = size[k][0], fh = size[k][1], w = size[k][2], h = size[k][3];
            mosaic_flow_options o;
            mosaic_flow *flow = NULL;
            int threads = 3, bad = 0;
            memset(&o, 0, sizeof o);
            o.width = w;
            o.height = h;
            o.simd = simd;
            o.run = test_run;
            o.run_ctx = &threads;
            noise(first, (size_t)fw * (size_t)fh * 3 + (size_t)fh * 5);
            CHECK(mosaic_flow_open(fw, fh, &o, &flow) == MOSAIC_FLOW_OK);
            if (!flow) continue;
            mosaic_flow__fit(flow, first, (size_t)fw * 3 + 5, 1);
            for (y = 0; y < h; y++)
                for (x = 0; x < w; x++)
                    for (c = 0; c < 3; c++) {
                        int64_t sum = 0;
                        for (v = y * fh; v < (y + 1) * fh; v++)
                            for (u = x * fw; u < (x + 1) * fw; u++) sum += first[v / h * (fw * 3 + 5) + u / w * 3 + c];
                        bad += flow->picture[1][(y * w + x) * 3 + c] != (sum + fw * fh / 2) / (fw * fh);
                    }
            CHECK_MSG(bad == 0, "%dx%d to %dx%d: %d bytes differ", fw, fh, w, h, bad);
            mosaic_flow_close(flow);
        }
}

/* ---- cells ---- */

/* The definition once more, with qsort, for a box that lies within the field. */
static mosaic_flow_motion cell_of(const mosaic_flow_field *field, const mosaic_flow_box *box)
{
    mosaic_flow_motion m;
    int32_t x[25], y[25];
    int i, good[25], n = 0, pass, agree = 0;
    for (pass = 0; pass < 2 && n == 0; pass++)
        for (i = 0; i < 25; i++) {
            const int px = (box->x + box->width * (2 * (i % 5) + 1) / 10) / 64, py = (box->y + box->height * (2 * (i / 5) + 1) / 10) / 64;
            const int16_t *v = field->forward + 2 * (py * field->width + px);
            const int tx = px * 64 + 32 + v[0], ty = py * 64 + 32 + v[1];
            good[i] = tx < 0 || ty < 0 || tx >= field->width * 64 || ty >= field->height * 64;
            if (!good[i]) {
                const int16_t *b = field->backward + 2 * (ty / 64 * field->width + tx / 64);
                good[i] = (v[0] + b[0]) * (v[0] + b[0]) + (v[1] + b[1]) * (v[1] + b[1]) < 64 * 64;
            }
            if (good[i] || pass) {
                x[n] = v[0];
                y[n++] = v[1];
            }
        }
    qsort(x, (size_t)n, sizeof *x, compare_ints);
    qsort(y, (size_t)n, sizeof *y, compare_ints);
    m.dx = x[(n - 1) / 2];
    m.dy = y[(n - 1) / 2];
    for (i = 0; i < 25; i++) {
        const int px = (box->x + box->width * (2 * (i % 5) + 1) / 10) / 64, py = (box->y + box->height * (2 * (i / 5) + 1) / 10) / 64;
        const int16_t *v = field->forward + 2 * (py * field->width + px);
        agree += good[i] && hypot(v[0] - m.dx, v[1] - m.dy) < 96;
    }
    m.confidence = agree * 256 / 25;
    return m;
}

static void test_cells(void)
{
    enum { W = 61, H = 43, BOXES = 300 };
    static int16_t forward[H][W][2], backward[H][W][2];
    static mosaic_flow_box box[BOXES];
    static mosaic_flow_motion motion[BOXES];
    mosaic_flow_field field;
    int i, x, y, bad = 0;
    memset(&field, 0, sizeof field);
    field.width = W;
    field.height = H;
    field.stride = W * 4;
    field.forward = &forward[0][0][0];
    field.backward = &backward[0][0][0];
    for (y = 0; y < H; y++)
        for (x = 0; x < W; x++)
            for (i = 0; i < 2; i++) {
                /* A moving right half, noise on top, and a lower part without any sense. */
                forward[y][x][i] = (int16_t)((x > W / 2 ? 300 - 150 * i : 0) + test_range(-20, 20) + (y > 30 ? test_range(-400, 400) : 0));
                backward[y][x][i] = (int16_t)((x > W / 2 ? -300 + 150 * i : 0) + test_range(-20, 20));
            }
    for (i = 0; i < BOXES; i++) {
        box[i].width = test_range(1, 700);
        box[i].height = test_range(1, 700);
        box[i].x = test_range(0, W * 64 - 1 - box[i].width);
        box[i].y = test_range(0, H * 64 - 1 - box[i].height);
    }
    CHECK(mosaic_flow_cells(&field, box, BOXES, motion) == MOSAIC_FLOW_OK);
    for (i = 0; i < BOXES; i++) {
        const mosaic_flow_motion m = cell_of(&field, &box[i]);
        bad += m.dx != motion[i].dx || m.dy != motion[i].dy || m.confidence != motion[i].confidence;
    }
    CHECK_MSG(bad == 0, "%d of %d boxes", bad, BOXES);
    box[0].x = W * 64 - 640;
    box[0].y = 640;
    box[0].width = box[0].height = 640;
    CHECK(mosaic_flow_cells(&field, box, 1, motion) == MOSAIC_FLOW_OK);
    CHECK_MSG(abs(motion[0].dx - 300) < 20 && abs(motion[0].dy - 150) < 20 && motion[0].confidence == 256, "%d %d, %d", (int)motion[0].dx,
              (int)motion[0].dy, (int)motion[0].confidence);
    field.forward = NULL; /* turned round, all consistent */
    CHECK(mosaic_flow_cells(&field, box, 1, motion) == MOSAIC_FLOW_OK);
    CHECK(abs(motion[0].dx - 300) < 20 && abs(motion[0].dy - 150) < 20 && motion[0].confidence == 256);
    /* Far outside the nearest pixels count; the ends of what a number holds are no harm. */
    box[0].x = box[0].y = INT32_MAX;
    box[0].width = box[0].height = INT32_MAX;
    box[1].x = box[1].y = INT32_MIN;
    box[1].width = -5;
    box[1].height = INT32_MAX;
    CHECK(mosaic_flow_cells(&field, box, 2, motion) == MOSAIC_FLOW_OK);
    CHECK(motion[0].dx == -backward[H - 1][W - 1][0] && motion[0].confidence == 256);
    for (i = 0; i < 2; i++) memset(i ? (void *)backward : (void *)forward, i ? 0x80 : 0x7f, sizeof forward); /* longest vectors both ways */
    field.forward = &forward[0][0][0];
    CHECK(mosaic_flow_cells(&field, box, BOXES, motion) == MOSAIC_FLOW_OK);
    field.stride--;
    CHECK(mosaic_flow_cells(&field, box, 1, motion) == MOSAIC_FLOW_ERROR_STRIDE);
    field.stride = W * 4 + 1;
    CHECK(mosaic_flow_cells(&field, box, 1, motion) == MOSAIC_FLOW_ERROR_STRIDE);
    field.stride = W * 4;
    field.width = 0;
    CHECK(mosaic_flow_cells(&field, box, 1, motion) == MOSAIC_FLOW_ERROR_SIZE);
    field.width = W;
    CHECK(mosaic_flow_cells(NULL, box, 1, motion) == MOSAIC_FLOW_ERROR_NULL && mosaic_flow_cells(&field, NULL, 1, motion) == MOSAIC_FLOW_ERROR_NULL);
    field.forward = field.backward = NULL;
    CHECK(mosaic_flow_cells(&field, box, 1, motion) == MOSAIC_FLOW_ERROR_NULL);
}

/* ---- misuse ---- */

static void test_refused(void)
{
    mosaic_flow_options o;
    mosaic_flow *flow = NULL;
    const mosaic_flow_field *field = NULL;
    memset(&o, 0, sizeof o);
    o.method = MOSAIC_FLOW_DIS;
    o.preset = MOSAIC_FLOW_PRESETS;
    CHECK(mosaic_flow_open(64, 64, &o, &flow) == MOSAIC_FLOW_ERROR_OPTION && !flow);
    o.preset = (mosaic_flow_preset)-1;
    CHECK(mosaic_flow_open(64, 64, &o, &flow) == MOSAIC_FLOW_ERROR_OPTION && !flow);
    o.preset = MOSAIC_FLOW_FAST;
    CHECK(mosaic_flow_open(0, 64, &o, &flow) == MOSAIC_FLOW_ERROR_SIZE);
    CHECK(mosaic_flow_open(64, 32768, &o, &flow) == MOSAIC_FLOW_ERROR_SIZE);
    o.forward_only = 1;
    CHECK(mosaic_flow_open(64, 64, &o, &flow) == MOSAIC_FLOW_OK);
    CHECK(mosaic_flow_push(flow, first, 64 * 3 - 1, &field) == MOSAIC_FLOW_ERROR_STRIDE && !field);
    CHECK(mosaic_flow_push(flow, NULL, 64 * 3, &field) == MOSAIC_FLOW_ERROR_NULL);
    CHECK(mosaic_flow_push(flow, first, 64 * 3, &field) == MOSAIC_FLOW_OK && !field);
    CHECK(mosaic_flow_push(flow, second, 64 * 3, &field) == MOSAIC_FLOW_OK && field && field->forward && !field->backward);
    mosaic_flow_reset(flow);
    CHECK(mosaic_flow_push(flow, second, 64 * 3, &field) == MOSAIC_FLOW_OK && !field);
    mosaic_flow_close(flow);
    CHECK(!mosaic_flow_preset_name(-1) && !mosaic_flow_preset_name(MOSAIC_FLOW_PRESETS));
    CHECK(!strcmp(mosaic_flow_preset_name(MOSAIC_FLOW_ULTRAFAST), "ultrafast"));
}

/* Nothing that a picture may hold leads out of the memory (the sanitizers look) or out of a vector's range. */
static void test_wild(void)
{
    int preset, round, i;
    for (preset = 0; preset < MOSAIC_FLOW_PRESETS; preset++) {
        mosaic_flow *flow = open_dis(96, 70, preset, 0, NULL);
        const mosaic_flow_field *field;
        if (!flow) continue;
        for (round = 0; round < 8; round++) {
            noise(first, 96 * 70 * 3);
            if (round % 3 == 1)
                for (i = 0; i < 96 * 70 * 3; i++) first[i] = first[i] & 128 ? 255 : 0;
            if (round % 3 == 2) draw(first, 96, 70, 1, round * 40, round * 30);
            CHECK(mosaic_flow_push(flow, first, 96 * 3, &field) == MOSAIC_FLOW_OK && !field == !round);
        }
        mosaic_flow_close(flow);
    }
}

/* Looking at what the neighbours found leaves out what was tried before: the same as trying all. */
static void test_spread(void)
{
    enum { W = 160, H = 96 };
    static uint8_t a[W * H * 3], b[W * H * 3];
    static float out[W * H * 2];
    int seed, x, y, c, i, pass;
    for (seed = 0; seed < 8; seed++) {
        mosaic_flow_options o;
        mosaic_flow *f = NULL;
        mosaic_flow__dis *dis;
        mosaic_flow__dis_way *way;
        const mosaic_flow__dis_level *level;
        mosaic_flow__dis_vector *all[2];
        size_t count, k;
        long wrong = 0, changed = 0;
        test_seed = 88172645463325252ull + (unsigned)seed;
        for (y = 0; y < H; y++)
            for (x = 0; x < W; x++)
                for (c = 0; c < 3; c++) {
                    const int fine = seed % 2 ? 3 : 7, at = (y * W + x) * 3 + c, from = ((y + H - 2) % H * W + (x + W - x / 20 % fine) % W) * 3 + c;
                    a[at] = (uint8_t)((x * x / 40 + y * fine) % 200 + test_range(0, 40));
                    b[at] = (uint8_t)(from < at ? a[from] : test_range(0, 255));
                }
        memset(&o, 0, sizeof o);
        o.method = MOSAIC_FLOW_DIS;
        o.preset = MOSAIC_FLOW_MEDIUM;
        CHECK(mosaic_flow_open(W, H, &o, &f) == MOSAIC_FLOW_OK);
        if (!f) return;
        CHECK(mosaic_flow_pair(f, a, W * 3, b, W * 3, NULL, out) == MOSAIC_FLOW_OK);
        dis = (mosaic_flow__dis *)f->method;
        way = &dis->way[0];
        level = &dis->level[way->scale];
        count = (size_t)level->columns * (size_t)level->rows;
        for (i = 0; i < 2; i++) all[i] = (mosaic_flow__dis_vector *)malloc(count * sizeof **all);
        for (y = 0; y < level->rows; y++) dis->kernels->dis_search(way, y);
        for (k = 0; k < count; k++) { /* far from settled */
            way->found[0][k].x += test_range(-90, 90);
            way->found[0][k].error = INT32_MAX / 2;
        }
        for (y = 0; y < level->rows; y++) /* errors that belong to the vectors */
            for (x = 0; x < level->columns; x++) {
                mosaic_flow__dis_patch_plain patch;
                mosaic_flow__dis_vector *v = &way->found[0][y * level->columns + x];
                float step[2];
                mosaic_flow__dis_take_plain(level, way->from, mosaic_flow__dis_place(x, level->width), mosaic_flow__dis_place(y, level->height),
                                            &patch);
                mosaic_flow__dis_try_plain(level, 1 - way->from, &patch, v->x, v->y, v, step);
            }
        memcpy(all[0], way->found[0], count * sizeof **all);
        for (pass = 0; pass < 2; pass++) {
            for (y = 0; y < level->rows; y++) dis->kernels->dis_spread(way, y, pass);
            for (y = 0; y < level->rows; y++)
                for (x = 0; x < level->columns; x++) {
                    static const int around[4][2] = {{0, -1}, {-1, 0}, {1, 0}, {0, 1}};
                    mosaic_flow__dis_patch_plain patch;
                    mosaic_flow__dis_vector best = all[pass][y * level->columns + x];
                    float step[2] = {0, 0};
                    mosaic_flow__dis_take_plain(level, way->from, mosaic_flow__dis_place(x, level->width), mosaic_flow__dis_place(y, level->height),
                                                &patch);
                    for (i = 0; i < 4; i++) {
                        const int nx = x + around[i][0], ny = y + around[i][1];
                        const mosaic_flow__dis_vector *v = &all[pass][ny * level->columns + nx];
                        if (nx < 0 || ny < 0 || nx >= level->columns || ny >= level->rows) continue;
                        if (abs(v->x - best.x) < MOSAIC_FLOW__DIS_ALIKE && abs(v->y - best.y) < MOSAIC_FLOW__DIS_ALIKE) continue;
                        mosaic_flow__dis_try_plain(level, 1 - way->from, &patch, v->x, v->y, &best, step);
                    }
                    mosaic_flow__dis_descend_plain(level, 1 - way->from, &patch, &best, step);
                    changed += best.error != all[pass][y * level->columns + x].error;
                    all[1 - pass][y * level->columns + x] = best;
                }
        }
        for (k = 0; k < count; k++)
            wrong += all[0][k].x != way->found[0][k].x || all[0][k].y != way->found[0][k].y || all[0][k].error != way->found[0][k].error;
        CHECK_MSG(wrong == 0 && changed > 0, "seed %d: %ld of %d patches differ, %ld changed", seed, wrong, (int)count, changed);
        for (i = 0; i < 2; i++) free(all[i]);
        mosaic_flow_close(f);
    }
}

int main(void)
{
    static const int size[][2] = {{1, 1},  {2, 1},  {1, 3},    {3, 7},    {7, 3},   {8, 8},   {9, 9},   {16, 7},  {15, 17},
                                  {31, 2}, {2, 40}, {SIDE, 3}, {3, SIDE}, {64, 48}, {97, 61}, {128, 9}, {157, 90}};
    int i;
    for (i = 0; i < (int)(sizeof size / sizeof *size); i++) test_same(size[i][0], size[i][1]);
    test_backward();
    test_sweeps();
    test_motion();
    test_still();
    test_median();
    test_fit();
    test_cells();
    test_refused();
    test_wild();
    test_spread();
    return test_end("flow_dis");
}
