/* Motion fields in files: both formats there and back, the error over what is known, the colour wheel. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "../test.h"
#include "../../examples/util/pictures.h"
#include "../../examples/util/read_file.h"
#include "../../examples/util/flow_file.h"

enum { W = 37, H = 11 };
static float field[W * H * 2];

static void test_files(const char *folder, const char *name, float off)
{
    char path[200], err[300] = "";
    int width = 0, height = 0, i, bad = 0;
    float *read;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_MSG(flow_file_write(path, field, W, H, err, sizeof err) == 0, "%s", err);
    read = flow_file_read(path, &width, &height, err, sizeof err);
    CHECK_MSG(read && width == W && height == H, "%s", err);
    for (i = 0; read && i < W * H; i++) {
        const int known = flow_known(field + 2 * i);
        bad += flow_known(read + 2 * i) != known;
        bad += known && (fabsf(read[2 * i] - field[2 * i]) > off || fabsf(read[2 * i + 1] - field[2 * i + 1]) > off);
    }
    CHECK_MSG(bad == 0, "%s: %d vectors", name, bad);
    free(read);
    remove(path);
}

static void test_wheel(void)
{
    static const struct {
        double dx, dy;
        unsigned char rgb[3];
    } known[] = {{0, 0, {255, 255, 255}}, {1, 0, {255, 0, 0}}, {0.5, 0, {255, 128, 128}}, {2, 0, {191, 0, 0}}};
    unsigned char rgb[3], opposite[3];
    int i, c, bad = 0;
    for (i = 0; i < 4; i++) {
        flow_colour(known[i].dx, known[i].dy, rgb);
        CHECK_MSG(memcmp(rgb, known[i].rgb, 3) == 0, "%g %g: %d %d %d", known[i].dx, known[i].dy, rgb[0], rgb[1], rgb[2]);
    }
    for (i = 0; i < 3600; i++) {
        /* Full length: one channel full and one empty; from degree to degree the colour creeps on. */
        unsigned char before[3];
        const double a = i * 3.14159265358979324 / 1800;
        int low = 255, high = 0, step = 0;
        memcpy(before, rgb, 3);
        flow_colour(cos(a) * 0.999999, sin(a) * 0.999999, rgb);
        flow_colour(-cos(a) * 0.999999, -sin(a) * 0.999999, opposite);
        for (c = 0; c < 3; c++) {
            low = rgb[c] < low ? rgb[c] : low;
            high = rgb[c] > high ? rgb[c] : high;
            step += abs(rgb[c] - before[c]);
        }
        bad += low != 0 || high != 255 || (i && step > 8) || memcmp(rgb, opposite, 3) == 0;
    }
    CHECK_MSG(bad == 0, "%d directions", bad);
}

int main(void)
{
    char folder[] = "/tmp/mosaic_flow_file.XXXXXX";
    float zero[W * H * 2];
    unsigned char rgb[W * H * 3];
    double sum = 0;
    int i, n = 0;
    for (i = 0; i < W * H * 2; i++) field[i] = (float)test_range(-400000, 400000) / 1000;
    field[2 * 5] = field[2 * 5 + 1] = 1e10f;
    field[2 * 17 + 1] = NAN;
    if (mkdtemp(folder)) {
        test_files(folder, "a.flo", 0);
        test_files(folder, "a.png", 1.0f / 128);
        rmdir(folder);
    } else {
        CHECK(!"a folder");
    }
    memset(zero, 0, sizeof zero);
    for (i = 0; i < W * H; i++)
        if (i != 5 && i != 17) sum += hypot(field[2 * i], field[2 * i + 1]), n++;
    CHECK(fabs(flow_error(zero, field, W * H) - sum / n) < 1e-9);
    CHECK(n == W * H - 2);
    for (i = 0; i < W * H * 2; i++) zero[i] = 2e9f;
    CHECK(flow_error(field, zero, W * H) != flow_error(field, zero, W * H)); /* not a number */
    flow_picture(field, W * H, 0, rgb);
    CHECK(rgb[15] == 0 && rgb[16] == 0 && rgb[17] == 0 && rgb[51] == 0 && rgb[52] == 0 && rgb[53] == 0);
    CHECK(rgb[0] + rgb[1] + rgb[2] > 0);
    test_wheel();
    return test_end("flow_file");
}
