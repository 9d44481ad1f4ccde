/* procedural.h - small photographs and a short film clip, painted by code.

   procedural_photo() paints one of a thousand little pictures that look like photographs (skies, hills, flowers, faces of
   buildings, water, fabric, fruit, ...). procedural_frame() paints a clip of 24 frames: a landscape under a steady pan with a
   balloon that moves against it, a cut, and a lighthouse by the sea that stands still while a boat passes.

   Everything is integer arithmetic (fixed point), so every machine and every compiler makes the same bytes. Numbers with 16
   fractional bits are called Q16 below; ONE is 1.0. Shifting a negative number right is taken to round down, as it does on
   every current compiler; so do numbers that are too large for an int keep their low bits.

   How a picture is made: a canvas holds linear light; a scene paints it from back to front with a few painters (gradients,
   clouds, ridges, grounds, water, strokes, balls, leaves, relief); pp_develop() then does what a camera does: exposure,
   white balance, vignette, tone curve, grain. Coordinates are Q16 of the longer side: (0, 0) is the upper left corner of
   a square scene and (ONE, ONE) the lower right; a picture that is not square shows the middle part.

   Both functions return 1, or 0 when memory is short, the size is not 1...16384 or there is no such frame. */
#ifndef MOSAIC_EXAMPLES_PROCEDURAL_H
#define MOSAIC_EXAMPLES_PROCEDURAL_H

#include <stdint.h>
#include <stdlib.h>

#define PROCEDURAL_PHOTOS 1000
#define PROCEDURAL_FRAMES 24
#define PROCEDURAL_CUT 16 /* the first frame of the second scene */

/* Paints photograph `index` (any number; 0...999 are the set) as width x height packed RGB. */
static inline int procedural_photo(int index, int width, int height, uint8_t *rgb);
/* Paints frame `frame` (0...23) of the clip as width x height packed RGB. */
static inline int procedural_frame(int frame, int width, int height, uint8_t *rgb);
/* How far the camera of frames 0...15 moves to the right in one frame, in 1/64 px: the scenery moves this much to the left. */
static inline int procedural_pan(int width, int height);

/* ---------------------------------------------------------------------------------------------------------- arithmetic */

#define PP_ONE 65536
#define PP_K(thousandths) ((thousandths)*65536 / 1000)
#define PP_PLACES 600 /* at least the number of places in the text that draw random numbers */
#define PP_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

typedef struct {
    int r, g, b; /* linear light, Q16; may exceed ONE before the tone curve */
} pp_rgb;

typedef struct {
    int w, h, side;                                              /* size of the window and of the whole scene, px */
    int ox, oy;                                                  /* upper left corner of the window in the scene, 1/64 px */
    int px;                                                      /* one pixel, Q16 */
    pp_rgb *at;                                                  /* w * h */
    pp_rgb *line;                                                /* work: one row or column */
    int *z;                                                      /* w * h heights for pp_relief */
    uint32_t state;                                              /* of the random numbers: the picture's own */
    uint16_t drawn[PP_PLACES];                                   /* how many of them each place in the text has drawn */
    int member;                                                  /* number of this picture within its family */
    int hue;                                                     /* Q16 of a turn, spread evenly over the members of a family */
    int light;                                                   /* light comes from the left (-1) or the right (+1) */
    int exposure, warmth, contrast, vignette, grain, saturation; /* for pp_develop */
    uint16_t tone[16385];                                        /* light >> 2 to display value, Q16 */
} pp_canvas;

static int pp_clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }
static int pp_mul(int a, int b) { return (int)(((int64_t)a * b) >> 16); }
static int pp_div(int a, int b) { return (int)((int64_t)a * 65536 / b); }
static int pp_abs(int v) { return v < 0 ? -v : v; }
static int pp_lerp(int a, int b, int t) { return a + pp_mul(b - a, t); }

/* 0 below `low`, ONE above `high` (or the other way round), with soft ends. */
static int pp_smooth(int low, int high, int v)
{
    int t = pp_clamp(pp_div(v - low, high - low), 0, PP_ONE);
    return pp_mul(pp_mul(t, t), 3 * PP_ONE - 2 * t);
}

/* Length of a vector: an estimate within 4 %, then one Newton step. */
static int pp_length(int dx, int dy)
{
    int64_t a = dx < 0 ? -(int64_t)dx : dx, b = dy < 0 ? -(int64_t)dy : dy, d;
    if (a < b) {
        d = a;
        a = b;
        b = d;
    }
    if (a == 0) return 0;
    d = (a * 983 + b * 407) >> 10;
    if (d == 0) return (int)a;
    return (int)((d + (a * a + b * b) / d) >> 1);
}

/* Sine of an angle in turns (ONE is a full turn), within 0.1 %. */
static int pp_sin(int angle)
{
    int half = (angle & 32767) * 2, y = pp_mul(4 * half, PP_ONE - half);
    y = pp_lerp(pp_mul(y, y), y, 50790);
    return angle & 32768 ? -y : y;
}
static int pp_cos(int angle) { return pp_sin(angle + 16384); }

/* The odd constants are the fractional bits of the golden ratio and of the square roots of 3 and 7. */
static uint32_t pp_hash(uint32_t v)
{
    v ^= v >> 16;
    v *= 0x9e3779b9u;
    v ^= v >> 15;
    v *= 0xbb67ae85u;
    return v ^ (v >> 16);
}

/* Random numbers. The order in which a C compiler works out the arguments of a call is its own affair, so a running generator would
   give each compiler its own pictures. Here every place in the text that draws has its own sequence: the n-th number that place k
   draws is a hash of k, n and the picture, whatever was drawn elsewhere before. */
static uint32_t pp_draw(pp_canvas *c, int place)
{
    uint32_t n = c->drawn[place]++;
    return pp_hash(pp_hash(c->state + (uint32_t)place * 0x9e3779b9u) + n * 0xa54ff53bu);
}
static int pp_range(uint32_t number, int low, int high) { return low + (int)(number % (uint32_t)(high - low + 1)); }

#if defined(__clang__) && defined(__has_warning)
#pragma clang diagnostic push
#if __has_warning("-Wc2y-extensions")
#pragma clang diagnostic ignored "-Wc2y-extensions" /* __COUNTER__, which all compilers have, but not C99 */
#endif
#endif
enum { pp_first_place = __COUNTER__ + 1 };
#define PP_PLACE (__COUNTER__ - pp_first_place)

#define pp_in(c, low, high) pp_range(pp_draw(c, PP_PLACE), low, high)
/* A random coordinate or length, in thousandths of the side. */
#define pp_pos(c, low, high) pp_in(c, PP_K(low), PP_K(high))
#define pp_seed(c) (pp_draw(c, PP_PLACE) & 0x3fffffffu)
/* The display colour 0xRRGGBB, moved at random by up to `amount` display steps. */
#define pp_vary(c, hex, amount) pp_varied(c, hex, amount, pp_draw(c, PP_PLACE))

/* Style number of this picture: each family goes through its styles in turn instead of leaving the mixture to chance. */
static int pp_style(const pp_canvas *c, int count) { return c->member % count; }

static int pp_corner(uint32_t h, int fx, int fy)
{
    h ^= h >> 15;
    h *= 0xbb67ae85u;
    h ^= h >> 13;
    return (((int)(h & 255) - 128) * fx + ((int)(h >> 8 & 255) - 128) * fy) >> 4;
}

/* Gradient noise on the integer lattice; x and y are Q16. About -ONE...ONE, most of it within a third of that. */
static int pp_noise(int x, int y, uint32_t seed)
{
    uint32_t h = (uint32_t)(x >> 16) * 0x9e3779b9u + (uint32_t)(y >> 16) * 0xa54ff53bu + seed;
    int fx = x >> 4 & 4095, fy = y >> 4 & 4095;
    int sx = (((fx * fx) >> 12) * (3 * 4096 - 2 * fx)) >> 12, sy = (((fy * fy) >> 12) * (3 * 4096 - 2 * fy)) >> 12;
    int a = pp_corner(h, fx, fy), b = pp_corner(h + 0x9e3779b9u, fx - 4096, fy);
    int d = pp_corner(h + 0xa54ff53bu, fx, fy - 4096), e = pp_corner(h + 0x9e3779b9u + 0xa54ff53bu, fx - 4096, fy - 4096);
    a += ((b - a) * sx) >> 12;
    d += ((e - d) * sx) >> 12;
    return (a + (((d - a) * sy) >> 12)) * 2;
}

/* Sum of noises, each twice as fine and half as strong; `foot` is the size of a pixel in the lattice of the first one: what is
   finer than two pixels is left out. */
static int pp_fbm(int x, int y, int foot, int octaves, uint32_t seed)
{
    int sum = 0, i;
    for (i = 0; i < octaves && (i == 0 || foot < 40000); i++) {
        sum += pp_noise(x, y, seed) >> i;
        x = (int)((uint32_t)x * 2u + 12345u);
        y = (int)((uint32_t)y * 2u + 54321u);
        foot *= 2;
        seed += 0x3c6ef372u;
    }
    return sum;
}

/* ------------------------------------------------------------------------------------------------------------- colours */

static pp_rgb pp_mix(pp_rgb a, pp_rgb b, int t)
{
    t = pp_clamp(t, 0, PP_ONE);
    a.r = pp_lerp(a.r, b.r, t);
    a.g = pp_lerp(a.g, b.g, t);
    a.b = pp_lerp(a.b, b.b, t);
    return a;
}
static pp_rgb pp_scale(pp_rgb a, int t)
{
    a.r = pp_mul(a.r, t);
    a.g = pp_mul(a.g, t);
    a.b = pp_mul(a.b, t);
    return a;
}
static pp_rgb pp_add(pp_rgb a, pp_rgb b)
{
    a.r += b.r;
    a.g += b.g;
    a.b += b.b;
    return a;
}

/* The light that the tone curve turns into the display value `v` (0...255). */
static int pp_light_of(const pp_canvas *c, int v)
{
    int low = 0, high = 16384, want = pp_clamp(v, 0, 255) * 257;
    while (low < high) {
        int middle = (low + high) / 2;
        if (c->tone[middle] < want)
            low = middle + 1;
        else
            high = middle;
    }
    return low * 4;
}
/* The light of the display colour 0xRRGGBB. */
static pp_rgb pp_ink(const pp_canvas *c, int hex)
{
    pp_rgb p;
    p.r = pp_light_of(c, hex >> 16 & 255);
    p.g = pp_light_of(c, hex >> 8 & 255);
    p.b = pp_light_of(c, hex & 255);
    return p;
}
static pp_rgb pp_varied(const pp_canvas *c, int hex, int amount, uint32_t number)
{
    int all = pp_range(number, -amount, amount), half = amount / 2;
    pp_rgb p;
    p.r = pp_light_of(c, (hex >> 16 & 255) + all + pp_range(pp_hash(number + 1), -half, half));
    p.g = pp_light_of(c, (hex >> 8 & 255) + all + pp_range(pp_hash(number + 2), -half, half));
    p.b = pp_light_of(c, (hex & 255) + all + pp_range(pp_hash(number + 3), -half, half));
    return p;
}
/* A colour by hue (Q16 of a turn, 0 red, 1/3 green), saturation and value (0...255 each). */
static pp_rgb pp_hsv(const pp_canvas *c, int hue, int saturation, int value)
{
    int channel[3], i;
    pp_rgb p;
    for (i = 0; i < 3; i++) {
        int d = pp_abs(((hue - i * 21845 + 32768) & 65535) - 32768); /* distance from red, green, blue */
        int v = pp_clamp((21845 - d) * 6 / 2, -32768, 32768);        /* ONE/2 within a sixth, then falling */
        int full = pp_clamp(32768 + v, 0, 65536);
        channel[i] = value - value * saturation / 255 * (65536 - full) / 65536;
    }
    p.r = pp_light_of(c, channel[0]);
    p.g = pp_light_of(c, channel[1]);
    p.b = pp_light_of(c, channel[2]);
    return p;
}

/* -------------------------------------------------------------------------------------------------------------- canvas */

static int pp_x(const pp_canvas *c, int i) { return (int)(((int64_t)64 * i + 32 + c->ox) * 1024 / c->side); }
static int pp_y(const pp_canvas *c, int j) { return (int)(((int64_t)64 * j + 32 + c->oy) * 1024 / c->side); }

/* The first column (row) whose centre is not left of (above) the coordinate, held within the window. */
static int pp_column(const pp_canvas *c, int x) { return pp_clamp((int)(((int64_t)x * c->side / 1024 - c->ox - 32 + 6400) / 64 - 99), 0, c->w); }
static int pp_row(const pp_canvas *c, int y) { return pp_clamp((int)(((int64_t)y * c->side / 1024 - c->oy - 32 + 6400) / 64 - 99), 0, c->h); }

/* The pixels that a shape within the given coordinates can touch. */
typedef struct {
    int i0, j0, i1, j1;
} pp_box;
static pp_box pp_around(const pp_canvas *c, int x0, int y0, int x1, int y1)
{
    pp_box b;
    b.i0 = pp_column(c, x0 - 2 * c->px);
    b.j0 = pp_row(c, y0 - 2 * c->px);
    b.i1 = pp_column(c, x1 + 2 * c->px);
    b.j1 = pp_row(c, y1 + 2 * c->px);
    return b;
}

static pp_rgb *pp_at(const pp_canvas *c, int i, int j) { return c->at + (size_t)j * (size_t)c->w + i; }
static void pp_put(pp_canvas *c, int i, int j, pp_rgb p, int alpha)
{
    pp_rgb *at = pp_at(c, i, j);
    if (alpha > 0) *at = pp_mix(*at, p, alpha);
}
/* The part of a pixel inside an edge that lies `distance` away (positive: the pixel's centre is inside). */
static int pp_cover(const pp_canvas *c, int distance) { return pp_clamp(pp_div(distance, c->px) + 32768, 0, PP_ONE); }

/* ------------------------------------------------------------------------------------------------------------ painters */

/* Fills rows from y0 down to y1 with a gradient. */
static void pp_gradient(pp_canvas *c, int y0, int y1, pp_rgb top, pp_rgb bottom)
{
    int i, j, j1 = pp_row(c, y1);
    for (j = pp_row(c, y0); j < j1; j++) {
        pp_rgb p = pp_mix(top, bottom, pp_div(pp_y(c, j) - y0, y1 - y0));
        for (i = 0; i < c->w; i++) *pp_at(c, i, j) = p;
    }
}

/* Large soft blotches of one colour over what is there: uneven light, haze, an out-of-focus background. */
static void pp_blotches(pp_canvas *c, pp_rgb colour, int cells, int amount, uint32_t seed)
{
    int i, j;
    for (j = 0; j < c->h; j++)
        for (i = 0; i < c->w; i++) {
            int n = pp_fbm(pp_x(c, i) * cells, pp_y(c, j) * cells, c->px * cells, 2, seed);
            pp_put(c, i, j, colour, pp_mul(pp_smooth(-10000, 40000, n), amount));
        }
}

/* Clouds above `horizon`: a density cut from noise, brighter towards the light. `depth` 0 paints a bank seen from the side, ONE a
   layer that runs towards the horizon. `cover` is about -ONE/2 (few) to ONE/2 (overcast). */
static void pp_clouds(pp_canvas *c, int horizon, pp_rgb lit, pp_rgb shade, int cover, int cells, int stretch, int depth, int soft)
{
    uint32_t seed = pp_seed(c);
    int i, j, j1 = pp_row(c, horizon);
    for (j = 0; j < j1; j++) {
        int y = pp_y(c, j);
        int near_by = pp_lerp(PP_ONE, pp_div(PP_K(350), horizon - y + PP_K(120)), depth);
        int v = pp_mul(pp_lerp(y, near_by * 2, depth), cells * stretch);
        int far_fade = depth ? pp_smooth(PP_K(0), PP_K(160), horizon - y) : PP_ONE;
        for (i = 0; i < c->w; i++) {
            int u = pp_mul(pp_x(c, i) - 32768, near_by) * cells, foot = pp_mul(c->px, near_by) * cells;
            int n = pp_fbm(u, v, foot, 5, seed) + cover;
            if (n > 0) {
                int towards = pp_fbm(u + c->light * 14000, v - 16000, foot * 2, 3, seed) + cover;
                int light = PP_ONE * 6 / 10 + (n - towards) - n / 4;
                pp_put(c, i, j, pp_mix(shade, lit, light), pp_mul(pp_smooth(0, soft, n), far_fade));
            }
        }
    }
}

/* Adds light around a point, falling to nothing at `radius`. */
static void pp_glow(pp_canvas *c, int x, int y, int radius, pp_rgb colour)
{
    pp_box b = pp_around(c, x - radius, y - radius, x + radius, y + radius);
    int i, j;
    for (j = b.j0; j < b.j1; j++)
        for (i = b.i0; i < b.i1; i++) {
            int t = PP_ONE - pp_div(pp_length(pp_x(c, i) - x, pp_y(c, j) - y), radius);
            if (t > 0) {
                pp_rgb *at = pp_at(c, i, j);
                *at = pp_add(*at, pp_scale(colour, pp_mul(pp_mul(t, t), t)));
            }
        }
}

/* A flat ellipse; `rim` is how much brighter its edge is than its middle (the disc of an unsharp light has one). */
static void pp_disc(pp_canvas *c, int x, int y, int rx, int ry, pp_rgb colour, int alpha, int rim)
{
    pp_box b = pp_around(c, x - rx, y - ry, x + rx, y + ry);
    int i, j, small_one = rx < ry ? rx : ry;
    if (small_one < 1) return;
    for (j = b.j0; j < b.j1; j++)
        for (i = b.i0; i < b.i1; i++) {
            int q = pp_length(pp_div(pp_x(c, i) - x, rx), pp_div(pp_y(c, j) - y, ry));
            int cover = pp_cover(c, pp_mul(PP_ONE - q, small_one));
            if (cover > 0) pp_put(c, i, j, rim ? pp_scale(colour, PP_ONE - rim + pp_mul(pp_mul(q, q), rim)) : colour, pp_mul(cover, alpha));
        }
}

/* A lit ellipsoid. `gloss` is the strength of the highlight, `rough` of a mottled skin. */
static void pp_ball(pp_canvas *c, int x, int y, int rx, int ry, pp_rgb colour, int gloss, int rough)
{
    pp_box b = pp_around(c, x - rx, y - ry, x + rx, y + ry);
    uint32_t seed = pp_seed(c);
    int i, j, small_one = rx < ry ? rx : ry;
    if (small_one < 1) return;
    for (j = b.j0; j < b.j1; j++)
        for (i = b.i0; i < b.i1; i++) {
            int nx = pp_div(pp_x(c, i) - x, rx), ny = pp_div(pp_y(c, j) - y, ry);
            int q = pp_mul(nx, nx) + pp_mul(ny, ny), cover = pp_cover(c, pp_mul((PP_ONE - q) / 2, small_one));
            if (cover > 0) {
                int r = PP_ONE - pp_clamp(q, 0, PP_ONE), nz = pp_mul(r, PP_ONE + (PP_ONE - r) / 2);
                int lit = c->light * nx * 5 / 11 - ny * 6 / 11 + nz * 7 / 10;
                int level = 15000 + (lit > 0 ? lit : lit / 8) + pp_clamp(ny, 0, PP_ONE) / 10;
                pp_rgb p;
                if (rough) level += pp_mul(level, pp_mul(pp_fbm(nx * 3, ny * 3, pp_div(c->px, small_one) * 3, 3, seed), rough));
                p = pp_scale(colour, level);
                if (gloss) {
                    int s = pp_mul(pp_smooth(PP_K(860), PP_K(1010), lit), gloss);
                    p.r += s;
                    p.g += s;
                    p.b += s;
                }
                pp_put(c, i, j, p, cover);
            }
        }
}

/* A straight stroke from width w0 to w1 and colour a to b; `round_off` darkens the side away from the light. */
static void pp_stroke(pp_canvas *c, int x0, int y0, int x1, int y1, int w0, int w1, pp_rgb a, pp_rgb b, int round_off)
{
    int wide = w0 > w1 ? w0 : w1, dx = x1 - x0, dy = y1 - y0, i, j;
    int64_t square = (int64_t)dx * dx + (int64_t)dy * dy;
    pp_box k = pp_around(c, (x0 < x1 ? x0 : x1) - wide, (y0 < y1 ? y0 : y1) - wide, (x0 > x1 ? x0 : x1) + wide, (y0 > y1 ? y0 : y1) + wide);
    if (square < 1) square = 1;
    for (j = k.j0; j < k.j1; j++)
        for (i = k.i0; i < k.i1; i++) {
            int px = pp_x(c, i) - x0, py = pp_y(c, j) - y0;
            int t = (int)(((int64_t)px * dx + (int64_t)py * dy) * 256 / ((square + 255) / 256));
            int w, ex, ey, d, cover;
            t = pp_clamp(t, 0, PP_ONE);
            w = pp_lerp(w0, w1, t) / 2;
            ex = px - pp_mul(dx, t);
            ey = py - pp_mul(dy, t);
            if (pp_abs(ex) > w + c->px || pp_abs(ey) > w + c->px) continue;
            d = pp_length(ex, ey);
            cover = pp_cover(c, w - d);
            if (w < c->px / 2) cover = pp_mul(cover, pp_div(2 * w, c->px));
            if (cover > 0) {
                pp_rgb p = pp_mix(a, b, t);
                if (round_off) p = pp_scale(p, PP_ONE + pp_mul(c->light * pp_clamp(pp_div(ex, w + 1), -PP_ONE, PP_ONE), round_off));
                pp_put(c, i, j, p, cover);
            }
        }
}

/* A convex four-sided area given by its corners in order (clockwise on the screen); two that coincide make a triangle. */
static void pp_quad(pp_canvas *c, const int *xy, pp_rgb top, pp_rgb bottom)
{
    int x0 = xy[0], x1 = xy[0], y0 = xy[1], y1 = xy[1], i, j, e, length[4];
    pp_box b;
    for (e = 0; e < 4; e++) {
        int f = (e + 1) & 3;
        x0 = xy[2 * e] < x0 ? xy[2 * e] : x0;
        x1 = xy[2 * e] > x1 ? xy[2 * e] : x1;
        y0 = xy[2 * e + 1] < y0 ? xy[2 * e + 1] : y0;
        y1 = xy[2 * e + 1] > y1 ? xy[2 * e + 1] : y1;
        length[e] = pp_length(xy[2 * f] - xy[2 * e], xy[2 * f + 1] - xy[2 * e + 1]);
    }
    b = pp_around(c, x0, y0, x1, y1);
    for (j = b.j0; j < b.j1; j++)
        for (i = b.i0; i < b.i1; i++) {
            int x = pp_x(c, i), y = pp_y(c, j), cover = PP_ONE;
            for (e = 0; e < 4 && cover > 0; e++) {
                int f = (e + 1) & 3;
                int64_t cross = (int64_t)(xy[2 * f] - xy[2 * e]) * (y - xy[2 * e + 1]) - (int64_t)(xy[2 * f + 1] - xy[2 * e + 1]) * (x - xy[2 * e]);
                int part = length[e] ? pp_cover(c, (int)(cross / length[e])) : PP_ONE;
                if (part < cover) cover = part;
            }
            pp_put(c, i, j, pp_mix(top, bottom, pp_div(y - y0, y1 - y0 + 1)), cover);
        }
}

/* A mountain, a hill or a far forest: everything below a line of noise. `cells` is the number of summits, `rock` how strongly the
   faces are lit, `grainy` the strength of a fine texture; above `snow` (Q16 of the relief) it is white. */
typedef struct {
    int base, height, cells, octaves, rock, grainy, snow;
    pp_rgb top, bottom;
    uint32_t seed;
} pp_hill;
static void pp_ridge(pp_canvas *c, const pp_hill *m)
{
    pp_rgb white = pp_ink(c, 0xeef2f6);
    int i, j;
    for (i = 0; i < c->w; i++) {
        int x = pp_x(c, i), line = m->base - pp_mul(m->height, 30000 + pp_fbm(x * m->cells, 7777, c->px * m->cells, m->octaves, m->seed));
        for (j = pp_row(c, line - 2 * c->px); j < c->h; j++) {
            int y = pp_y(c, j), down = y - line, cover = pp_cover(c, down), level = PP_ONE, cells = m->cells * 3;
            pp_rgb p = pp_mix(m->top, m->bottom, pp_div(down, m->base - line + PP_K(120)));
            if (m->rock) {
                int u = (x + c->light * down / 3) * cells, v = y * cells / 2;
                int rise = pp_fbm(u + 12000, v, c->px * cells, 4, m->seed + 1) - pp_fbm(u - 12000, v, c->px * cells, 4, m->seed + 1);
                int lit = c->light * rise;
                level += pp_mul(pp_clamp(lit, -40000, 40000), m->rock);
                if (m->snow) p = pp_mix(p, white, pp_smooth(-6000, 9000, m->snow - down + rise / 4 + pp_abs(lit) / 6 - 2000));
            }
            if (m->grainy) level += pp_mul(pp_fbm(x * 40, y * 55, c->px * 50, 2, m->seed + 2), m->grainy);
            pp_put(c, i, j, pp_scale(p, pp_clamp(level, 8000, 2 * PP_ONE)), cover);
        }
    }
}

/* A flat ground that runs from `horizon` to the viewer: colour far to near, mottled with patches (`other`) and a fine texture. */
static void pp_ground(pp_canvas *c, int horizon, pp_rgb distant, pp_rgb close, pp_rgb other, int patches, int texture)
{
    uint32_t seed = pp_seed(c);
    int i, j;
    for (j = pp_row(c, horizon - c->px); j < c->h; j++) {
        int down = pp_y(c, j) - horizon, depth = pp_div(PP_K(300), pp_clamp(down, 0, PP_ONE) + PP_K(25)), cover = pp_cover(c, down);
        pp_rgb base = pp_mix(distant, close, pp_div(down, PP_K(450)));
        for (i = 0; i < c->w; i++) {
            int u = pp_mul(pp_x(c, i) - 32768, depth), foot = pp_mul(c->px, depth) + 1;
            int n = pp_fbm(u * 4, depth * 5, foot * 5, 3, seed), f = pp_fbm(u * 40, depth * 22, foot * 30, 3, seed + 5);
            pp_rgb p = pp_mix(base, other, pp_mul(pp_smooth(-8000, 26000, n), patches));
            pp_put(c, i, j, pp_scale(p, PP_ONE + pp_mul(f, texture)), cover);
        }
    }
}

/* Water below y0 that mirrors what is painted above, broken by ripples that grow towards the viewer. */
static void pp_water(pp_canvas *c, int y0, pp_rgb tint, int amount, int ripple)
{
    uint32_t seed = pp_seed(c);
    int i, j, j0 = pp_row(c, y0);
    for (j = j0; j < c->h; j++) {
        int down = pp_y(c, j) - y0, depth = pp_div(PP_K(300), down + PP_K(30));
        for (i = 0; i < c->w; i++) {
            int u = pp_mul(pp_x(c, i) - 32768, depth), foot = pp_mul(c->px, depth);
            int n = pp_fbm(u * 7, depth * 26, foot * 22, 3, seed);
            int away = down + pp_mul(pp_mul(n, ripple), PP_K(60) + down), q, part, row;
            pp_rgb p, r;
            if (away < 0) away = 0;
            q = (int)((int64_t)away * c->side / 256); /* rows above the shore, 1/256 */
            part = (q & 255) << 8;
            row = j0 - 1 - (q >> 8);
            p = *pp_at(c, i, pp_clamp(row, 0, c->h - 1));
            r = *pp_at(c, i, pp_clamp(row - 1, 0, c->h - 1));
            p = pp_mix(pp_mix(p, r, part), tint, amount + pp_mul(down, PP_K(450)));
            *pp_at(c, i, j) = pp_scale(p, PP_ONE - 4000 + pp_mul(n, ripple) / 3);
        }
    }
}

/* Blurs all that is painted so far: what lies outside the depth of focus. Two running box means in each direction. */
static void pp_soften(pp_canvas *c, int radius)
{
    int r = radius / c->px, pass, i, j;
    if (r < 1) return;
    for (pass = 0; pass < 4; pass++) {
        int across = pass & 1, n = across ? c->h : c->w, lines = across ? c->w : c->h;
        size_t step = across ? (size_t)c->w : 1;
        for (j = 0; j < lines; j++) {
            pp_rgb *at = c->at + (size_t)j * (across ? 1 : (size_t)c->w);
            int64_t sr = 0, sg = 0, sb = 0;
            int64_t share = PP_ONE / (2 * r + 1);
            for (i = 0; i < n; i++) c->line[i] = at[(size_t)i * step];
            for (i = -r; i <= r; i++) {
                const pp_rgb *p = c->line + pp_clamp(i, 0, n - 1);
                sr += p->r;
                sg += p->g;
                sb += p->b;
            }
            for (i = 0; i < n; i++) {
                pp_rgb *p = at + (size_t)i * step;
                const pp_rgb *in = c->line + (i + r + 1 < n ? i + r + 1 : n - 1), *out = c->line + (i > r ? i - r : 0);
                p->r = (int)((sr * share) >> 16);
                p->g = (int)((sg * share) >> 16);
                p->b = (int)((sb * share) >> 16);
                sr += in->r - out->r;
                sg += in->g - out->g;
                sb += in->b - out->b;
            }
        }
    }
}

/* Lights the picture as a surface of heights c->z (Q16 like the coordinates): slopes towards the light are brighter. */
static void pp_relief(pp_canvas *c, int strength)
{
    int i, j;
    for (j = 0; j < c->h; j++)
        for (i = 0; i < c->w; i++) {
            const int *z = c->z + (size_t)j * (size_t)c->w + i;
            int gx = i + 1 < c->w ? z[1] - z[0] : i > 0 ? z[0] - z[-1] : 0;
            int gy = j + 1 < c->h ? z[c->w] - z[0] : j > 0 ? z[0] - z[-c->w] : 0;
            int slope = pp_div(c->light * -gx + gy, c->px), level = PP_ONE + pp_mul(pp_clamp(slope, -3 * PP_ONE, 3 * PP_ONE), strength);
            pp_rgb *p = pp_at(c, i, j);
            *p = pp_scale(*p, pp_clamp(level, 9000, 150000));
        }
}

/* A distance field of stones: jittered points, one in each lattice cell. Gives the distance to the border between the two
   nearest points (Q16 of a cell) and the number of the nearest. */
static int pp_stones(int x, int y, uint32_t seed, uint32_t *which)
{
    int cx = x >> 16, cy = y >> 16, i, j, first = 4 * PP_ONE, second = 4 * PP_ONE;
    for (j = -1; j <= 1; j++)
        for (i = -1; i <= 1; i++) {
            uint32_t h = pp_hash((uint32_t)(cx + i) * 0x9e3779b9u + (uint32_t)(cy + j) * 0xa54ff53bu + seed);
            int px = (i * PP_ONE) + 8000 + (int)(h & 0xffff) * 3 / 4 - (x & 65535), py = (j * PP_ONE) + 8000 + (int)(h >> 16) * 3 / 4 - (y & 65535);
            int d = pp_length(px, py);
            if (d < first) {
                second = first;
                first = d;
                *which = h;
            } else if (d < second)
                second = d;
        }
    return second - first;
}

/* What the camera makes of the light: exposure, white balance, saturation, vignette, tone curve, contrast, grain. */
static void pp_develop(const pp_canvas *c, uint8_t *rgb)
{
    uint32_t seed = c->state;
    int i, j, k;
    for (j = 0; j < c->h; j++)
        for (i = 0; i < c->w; i++) {
            pp_rgb p = *pp_at(c, i, j);
            int x = pp_x(c, i) - 32768, y = pp_y(c, j) - 32768, channel[3], grey, noise;
            int gain = pp_mul(c->exposure, PP_ONE - pp_mul(pp_clamp(2 * (pp_mul(x, x) + pp_mul(y, y)), 0, PP_ONE), c->vignette));
            channel[0] = pp_mul(p.r, pp_mul(gain, PP_ONE + c->warmth));
            channel[1] = pp_mul(p.g, gain);
            channel[2] = pp_mul(p.b, pp_mul(gain, PP_ONE - c->warmth));
            grey = (channel[0] + 2 * channel[1] + channel[2]) / 4;
            noise = 0;
            if (c->grain) {
                uint32_t h = pp_hash((uint32_t)i * 0x9e3779b9u + (uint32_t)j * 0xa54ff53bu + seed);
                noise = (int)(h & 255) + (int)(h >> 8 & 255) + (int)(h >> 16 & 255) - 382;
                noise = noise * c->grain / 256;
            }
            for (k = 0; k < 3; k++) {
                int v = pp_lerp(grey, channel[k], c->saturation);
                if (v > 52000) v = 52000 + pp_mul(20000, pp_div(v - 52000, v - 32000)); /* highlights are drawn together */
                v = c->tone[pp_clamp(v, 0, PP_ONE) >> 2];
                v += pp_mul(pp_mul(pp_mul(v, v), 3 * PP_ONE - 2 * v) - v, c->contrast);
                v = pp_clamp(v + noise, 0, 65535);
                *rgb++ = (uint8_t)(((unsigned)v * 255u + 32768u) >> 16);
            }
        }
}

/* ------------------------------------------------------------------------------------------------------------- things */

/* A mass of leaves: an ellipse with a ragged edge, lit from the upper side. */
static void pp_foliage(pp_canvas *c, int x, int y, int rx, int ry, pp_rgb dark, pp_rgb lit, int cells)
{
    pp_box b = pp_around(c, x - rx * 5 / 4, y - ry * 5 / 4, x + rx * 5 / 4, y + ry * 5 / 4);
    uint32_t seed = pp_seed(c);
    int i, j;
    if (rx < 1 || ry < 1) return;
    for (j = b.j0; j < b.j1; j++)
        for (i = b.i0; i < b.i1; i++) {
            int nx = pp_div(pp_x(c, i) - x, rx), ny = pp_div(pp_y(c, j) - y, ry), q = pp_length(nx, ny), n, alpha;
            if (q > PP_ONE * 5 / 4) continue;
            n = pp_fbm(pp_x(c, i) * cells, pp_y(c, j) * cells, c->px * cells, 5, seed);
            alpha = pp_smooth(0, 11000, PP_ONE - 9000 - q + n);
            if (alpha > 0) pp_put(c, i, j, pp_mix(dark, lit, 26000 + n + c->light * nx / 4 - ny / 3), alpha);
        }
}

/* A fir: tiers of branches that widen downwards. `white` is the share of snow on it. */
static void pp_conifer(pp_canvas *c, int x, int base, int height, int width, pp_rgb dark, pp_rgb lit, int white)
{
    pp_box b = pp_around(c, x - width, base - height, x + width, base);
    pp_rgb snow = pp_ink(c, 0xe8eef6);
    uint32_t seed = pp_seed(c);
    int i, j, tiers = 5 + (int)(seed % 4u);
    for (j = b.j0; j < b.j1; j++) {
        int t = pp_div(pp_y(c, j) - base + height, height), saw = (t * tiers) & 65535;
        if (t < 0 || t > PP_ONE) continue;
        for (i = b.i0; i < b.i1; i++) {
            int dx = pp_x(c, i) - x, n, half, cover;
            if (pp_abs(dx) > width) continue;
            n = pp_fbm(pp_x(c, i) * 40, pp_y(c, j) * 50, c->px * 45, 2, seed);
            half = pp_mul(pp_mul(width / 2, t), 44000 + saw / 2 + n) + c->px / 4;
            cover = pp_cover(c, half - pp_abs(dx));
            if (cover > 0) {
                int level = 30000 + saw / 4 + n + c->light * pp_clamp(pp_div(dx, half + 1), -PP_ONE, PP_ONE) / 3;
                pp_rgb p = pp_mix(dark, lit, level);
                if (white) p = pp_mix(p, snow, pp_mul(white, pp_smooth(12000, 50000, level - saw / 4 + 12000)));
                pp_put(c, i, j, p, cover);
            }
        }
    }
}

/* A leaf or a petal from its foot (x, y) in direction `angle` (turns). `belly` below 0 is widest near the foot, above 0 near the tip;
   `veins` is the strength of its ribs. */
typedef struct {
    int x, y, angle, length, width, belly, bend, veins;
    pp_rgb foot, tip;
} pp_blade;
static void pp_leaf(pp_canvas *c, const pp_blade *l)
{
    int co = pp_cos(l->angle), si = pp_sin(l->angle), half_width = l->width / 2 + 1, i, j;
    int ex = l->x + pp_mul(l->length, co), ey = l->y + pp_mul(l->length, si), reach = half_width + pp_abs(pp_mul(half_width, l->bend));
    pp_box b = pp_around(c, (l->x < ex ? l->x : ex) - reach, (l->y < ey ? l->y : ey) - reach, (l->x > ex ? l->x : ex) + reach,
                         (l->y > ey ? l->y : ey) + reach);
    int towards = pp_mul(c->light * -si, 40000) - pp_mul(co, 40000); /* how far the side v > 0 faces the light */
    for (j = b.j0; j < b.j1; j++)
        for (i = b.i0; i < b.i1; i++) {
            int dx = pp_x(c, i) - l->x, dy = pp_y(c, j) - l->y;
            int u = pp_div(pp_mul(dx, co) + pp_mul(dy, si), l->length), v, half, cover, level, rib;
            pp_rgb p;
            if (u < 0 || u > PP_ONE) continue;
            v = pp_div(pp_mul(dy, co) - pp_mul(dx, si), half_width) + pp_mul(pp_mul(u, u), l->bend);
            half = pp_sin(pp_lerp(u, l->belly > 0 ? pp_mul(u, u) : 2 * u - pp_mul(u, u), pp_abs(l->belly)) / 2);
            cover = pp_cover(c, pp_mul(half - pp_abs(v), half_width));
            if (cover <= 0) continue;
            level = PP_ONE + pp_mul(pp_div(v, half + 2000), towards) / 4 - pp_mul(pp_abs(v), pp_abs(v)) / 5;
            p = pp_mix(l->foot, l->tip, u);
            if (l->veins) {
                rib = pp_smooth(9000, 2000, pp_abs(v));
                rib += pp_smooth(14000, 3000, pp_abs(((u * 6 - pp_abs(v) * 2) & 65535) - 32768)) / 2;
                level += pp_mul(rib, l->veins);
            }
            pp_put(c, i, j, pp_scale(p, pp_clamp(level, 6000, 2 * PP_ONE)), cover);
        }
}

/* The front of a building, seen from below or aside: rows and columns of windows. */
typedef struct {
    int columns, rows, wide, tall;  /* wide, tall: the window's share of its field, Q16 */
    int keystone, slope;            /* how much the right side is nearer (Q16), how much the upper one is further */
    int lit;                        /* share of lit windows, Q16; 0 by day */
    int bars;                       /* frame, Q16 of a field */
    pp_rgb wall, frame, glass, sky; /* glass is what a window shows below, sky what it mirrors above */
} pp_front;
static void pp_facade(pp_canvas *c, const pp_front *f)
{
    uint32_t seed = pp_seed(c);
    pp_rgb lamps[4], curtain = pp_ink(c, 0xd8d0c0);
    int i, j, lower = f->columns > f->rows ? f->columns : f->rows;
    lamps[0] = pp_ink(c, 0xffd98a);
    lamps[1] = pp_ink(c, 0xffb458);
    lamps[2] = pp_ink(c, 0xfff0cc);
    lamps[3] = pp_ink(c, 0xbcd4ea);
    for (j = 0; j < c->h; j++)
        for (i = 0; i < c->w; i++) {
            int x = pp_x(c, i) - 32768, y = pp_y(c, j), s = PP_ONE + pp_mul(f->keystone, x) + pp_mul(f->slope, y - 32768);
            int u = (pp_div(x, s) + PP_ONE) * f->columns, v = (pp_div(y - 40000, s) + PP_ONE) * f->rows;
            int fu = u & 65535, fv = v & 65535, du = f->wide / 2 - pp_abs(fu - 32768), dv = f->tall / 2 - pp_abs(fv - 32768);
            int d = du < dv ? du : dv, foot = pp_div(c->px, s) * lower, cover = pp_clamp(pp_div(d, foot + 1) + 32768, 0, PP_ONE);
            uint32_t h = pp_hash((uint32_t)(u >> 16) * 0x9e3779b9u + (uint32_t)(v >> 16) * 0xa54ff53bu + seed);
            int n = pp_fbm(x * 30, y * 30, c->px * 30, 2, seed), level = PP_ONE + n / 4, below = fv - 32768 - f->tall / 2, shown;
            pp_rgb wall, pane;
            if (du > 0 && below > 0) level += pp_smooth(9000, 0, below) / 5 - pp_smooth(20000, 6000, pp_abs(below - 11000)) / 6;
            if (fv < 4000) level -= 9000;
            wall = pp_scale(f->wall, level);
            if (cover > 0) {
                int up = pp_div(dv + f->tall / 2, f->tall); /* only a measure of how far from the edge */
                int mirror = pp_fbm(x * 7 + (int)(h & 0xffff), y * 5, c->px * 7, 2, seed + 3) + 30000 - pp_div(fv - 32768, f->tall) / 2;
                pane = pp_mix(f->glass, f->sky, mirror);
                if (f->lit && (int)(h & 0xffff) < f->lit) {
                    pane = pp_scale(lamps[h >> 17 & 3], 30000 + (int)(h >> 19 & 0x3fff) * 3 + pp_div(fv - 32768, f->tall) / 2 - up / 8);
                    if ((h >> 16 & 3) == 0 && pp_abs(fu - 32768) > f->wide / 5) pane = pp_scale(pane, 26000);
                } else if (!f->lit && (h & 3) == 0) {
                    int drop = (int)(h >> 8 & 0x7fff);
                    if (fv - 32768 + f->tall / 2 < drop) pane = pp_mix(pane, curtain, 42000);
                }
                if (!f->lit) pane = pp_scale(pane, PP_ONE - pp_smooth(7000, 0, fv - 32768 + f->tall / 2) / 2);
                shown = d - f->bars < pp_abs(fu - 32768) - f->bars / 2 ? d - f->bars : pp_abs(fu - 32768) - f->bars / 2;
                if (f->bars) pane = pp_mix(f->frame, pane, pp_clamp(pp_div(shown, foot + 1) + 32768, 0, PP_ONE));
                wall = pp_mix(wall, pane, cover);
            }
            *pp_at(c, i, j) = wall;
        }
}

/* A skyline: towers from left to right between the given heights; `lit` is the share of lit windows. */
static void pp_skyline(pp_canvas *c, int base, int low, int high, pp_rgb wall, pp_rgb lamp, int lit)
{
    int x = -pp_pos(c, 0, 60);
    while (x < PP_ONE) {
        int w = pp_pos(c, 45, 130), h = pp_in(c, low, high), i, j;
        uint32_t seed = pp_seed(c);
        pp_box b = pp_around(c, x, base - h, x + w, PP_ONE + PP_K(10));
        for (j = b.j0; j < b.j1; j++)
            for (i = b.i0; i < b.i1; i++) {
                int px = pp_x(c, i), py = pp_y(c, j), dx = px - x < x + w - px ? px - x : x + w - px, dy = py - base + h;
                int cover = pp_cover(c, dx < dy ? dx : dy), u = (px - x) * 45, v = dy * 38;
                uint32_t k = pp_hash((uint32_t)(u >> 16) * 0x9e3779b9u + (uint32_t)(v >> 16) * 0xa54ff53bu + seed);
                pp_rgb p = pp_scale(wall, PP_ONE + c->light * (px - x - w / 2) * 2 + (int)(seed & 0x3fff) - 8192);
                if (cover <= 0) continue;
                if ((int)(k & 0xffff) < lit && (u & 65535) > 14000 && (v & 65535) > 20000) p = pp_mix(p, lamp, 24000 + (int)(k >> 16) / 2);
                pp_put(c, i, j, p, cover);
            }
        x += w + (pp_in(c, 0, 2) ? 0 : pp_pos(c, 5, 40));
    }
}

/* Tall grass along the lower edge. */
static void pp_grass(pp_canvas *c, int blades, int height, pp_rgb dark, pp_rgb lit)
{
    int n;
    for (n = 0; n < blades; n++) {
        pp_blade l = {0, 0, 0, 0, 0, 0, 0, 0, {0, 0, 0}, {0, 0, 0}};
        l.x = pp_pos(c, -50, 1050);
        l.y = pp_pos(c, 980, 1080);
        l.angle = 49152 + pp_in(c, -4500, 4500);
        l.length = pp_in(c, height / 2, height);
        l.width = l.length / 14 + PP_K(4);
        l.belly = -40000;
        l.bend = pp_in(c, -2 * PP_ONE, 2 * PP_ONE);
        l.foot = dark;
        l.tip = pp_mix(dark, lit, pp_in(c, 20000, PP_ONE));
        pp_leaf(c, &l);
    }
}

/* ----------------------------------------------------------------------------------------------------------- families */

/* Colours of a sky from the top to the horizon. */
static const int pp_days[][2] = {{0x2f6fc4, 0xbcd8ee}, {0x4a8fd8, 0xdcecf4}, {0x1f56a8, 0x8fbfe6}, {0x6a9cc8, 0xe4e8e4},
                                 {0x3a86c0, 0xa8dcec}, {0x8aa0b8, 0xd0d6da}, {0x2a5a9a, 0xd8d0c0}};
static const int pp_dusks[][3] = {{0x1d2a4f, 0x9a4e6e, 0xf2a25c}, {0x24335e, 0xc2607a, 0xffc27a}, {0x3b1c3c, 0xc03a2e, 0xffb347},
                                  {0x0f2c5a, 0x45709e, 0xf3c58f}, {0x552b5a, 0xd9667b, 0xf9d8a0}, {0x1b1040, 0x6c2a7b, 0xe070aa},
                                  {0x7b3018, 0xe0702a, 0xffd070}, {0x2a5d8e, 0x9fb0c0, 0xf6e2a0}, {0x101c3c, 0x2a4a7a, 0xd8785a},
                                  {0x402060, 0xa05098, 0xf8b0a0}};

static void pp_day_sky(pp_canvas *c, int horizon, int cloudy)
{
    const int *day = pp_days[pp_in(c, 0, PP_COUNT(pp_days) - 1)];
    pp_gradient(c, -PP_ONE / 8, horizon, pp_vary(c, day[0], 16), pp_vary(c, day[1], 14));
    if (cloudy)
        pp_clouds(c, horizon, pp_vary(c, 0xf6f4f0, 6), pp_vary(c, 0x94a2b4, 20), pp_in(c, -9000, 14000), pp_in(c, 2, 4), pp_in(c, 70000, 130000),
                  pp_in(c, 0, 1) ? PP_ONE : 0, pp_in(c, 9000, 26000));
}

/* Clouds fill most of the picture. */
static void pp_scene_sky(pp_canvas *c)
{
    static const int tints[][4] = {
        {0x2c6cc2, 0xa8d0f0, 0xffffff, 0x9fb0c4}, {0x1a4c9c, 0x6aa8e0, 0xfbfbfb, 0x7a90b0}, {0x5a9ce0, 0xd4e8f6, 0xffffff, 0xb4c4d8},
        {0x6c7684, 0xb0b8c0, 0xc8ccd0, 0x4c545e}, {0x3a444e, 0x7a848c, 0x98a0a4, 0x262c34}, {0x40709c, 0xf0dcc0, 0xfff0d8, 0x9a8a9a},
        {0x2a9ac8, 0xc0e8f0, 0xffffff, 0x8cb8cc}, {0x8898ac, 0xe8ecf0, 0xfafafa, 0xa4acb8}, {0x16346c, 0x3c70b4, 0xd8e4f4, 0x42608c}};
    const int *t = tints[pp_style(c, PP_COUNT(tints))];
    int deep = pp_in(c, 0, 2) == 0;
    pp_gradient(c, -PP_ONE / 10, PP_ONE * 11 / 10, pp_vary(c, t[0], 12), pp_vary(c, t[1], 12));
    if (pp_in(c, 0, 2) == 0)
        pp_clouds(c, PP_ONE * 5 / 4, pp_ink(c, t[2]), pp_ink(c, t[1]), -4000, pp_in(c, 2, 3), pp_in(c, 130000, 260000), 0, 50000);
    pp_clouds(c, deep ? PP_ONE : PP_ONE * 5 / 4, pp_vary(c, t[2], 4), pp_vary(c, t[3], 14), pp_in(c, -6000, 16000), pp_in(c, 2, 4),
              pp_in(c, 60000, 120000), deep ? PP_ONE : 0, pp_in(c, 6000, 20000));
    if (pp_in(c, 0, 3) == 0) pp_glow(c, pp_pos(c, 150, 850), pp_pos(c, 50, 350), pp_pos(c, 300, 700), pp_ink(c, 0xf0e0b0));
    if (pp_in(c, 0, 3) == 0) {
        pp_hill m = {PP_K(960), PP_K(140), 3, 4, 0, 20000, 0, {0, 0, 0}, {0, 0, 0}, 0};
        m.top = pp_vary(c, 0x3a4a30, 24);
        m.bottom = pp_vary(c, 0x1c2616, 12);
        m.seed = pp_seed(c);
        pp_ridge(c, &m);
    }
}

/* A bare or leafy tree as a dark shape against the light. */
static void pp_branches(pp_canvas *c, int x, int y, int angle, int length, int width, pp_rgb p, int depth)
{
    int ex = x + pp_mul(length, pp_cos(angle)), ey = y + pp_mul(length, pp_sin(angle)), k, n = pp_in(c, 2, 3);
    pp_stroke(c, x, y, ex, ey, width, width * 6 / 10, p, p, 0);
    if (depth)
        for (k = 0; k < n; k++)
            pp_branches(c, ex, ey, angle + pp_in(c, -7500, 7500), pp_mul(length, pp_in(c, 40000, 56000)), width * 6 / 10, p, depth - 1);
}

static void pp_scene_dusk(pp_canvas *c)
{
    const int *t = pp_dusks[pp_style(c, PP_COUNT(pp_dusks))];
    int horizon = pp_pos(c, 560, 820), middle = horizon / 2 + pp_pos(c, -60, 140), sx = pp_pos(c, 150, 850), sy = horizon - pp_pos(c, -20, 220), k;
    pp_rgb low = pp_vary(c, t[2], 14), mid = pp_vary(c, t[1], 14), dark = pp_scale(pp_vary(c, t[0], 10), pp_in(c, 8000, 24000));
    pp_gradient(c, -PP_ONE / 10, middle, pp_vary(c, t[0], 14), mid);
    pp_gradient(c, middle, PP_ONE * 2, mid, mid);
    pp_gradient(c, middle, horizon, mid, low);
    pp_glow(c, sx, sy, pp_pos(c, 350, 800), pp_scale(low, 50000));
    if (pp_in(c, 0, 2)) {
        int r = pp_pos(c, 22, 60);
        pp_glow(c, sx, sy, r * 5, pp_ink(c, 0xf0c070));
        pp_disc(c, sx, sy, r, r, pp_ink(c, 0xfff2c8), PP_ONE, 0);
    }
    pp_clouds(c, horizon, pp_scale(low, 80000), pp_scale(mid, 34000), pp_in(c, -8000, 9000), pp_in(c, 2, 3), pp_in(c, 130000, 330000),
              pp_in(c, 0, 1) ? PP_ONE : 0, pp_in(c, 14000, 40000));
    switch (pp_in(c, 0, 5)) {
    case 0: /* the sea */
    case 1:
        if (pp_in(c, 0, 1)) {
            pp_hill m = {0, PP_K(90), 4, 4, 0, 0, 0, {0, 0, 0}, {0, 0, 0}, 0};
            m.base = horizon + PP_K(20);
            m.top = m.bottom = pp_mix(dark, low, 9000);
            m.seed = pp_seed(c);
            pp_ridge(c, &m);
        }
        pp_water(c, horizon, dark, 9000, pp_in(c, 50000, 120000));
        break;
    case 2: /* hills behind hills */
        for (k = 0; k < 4; k++) {
            pp_hill m = {0, PP_K(170), 0, 5, 0, 0, 0, {0, 0, 0}, {0, 0, 0}, 0};
            m.base = horizon + k * (PP_K(1060) - horizon) / 3;
            m.cells = pp_in(c, 2, 5);
            m.top = pp_mix(mid, dark, PP_ONE / 4 + k * PP_ONE / 4);
            m.bottom = pp_mix(m.top, low, k < 3 ? 16000 : 0);
            m.seed = pp_seed(c);
            pp_ridge(c, &m);
        }
        break;
    case 3: /* a town */
        pp_skyline(c, horizon + PP_K(40), PP_K(60), PP_K(330), pp_mix(dark, mid, 14000), pp_ink(c, 0xffd890), pp_in(c, 0, 22000));
        break;
    default: /* a tree */
        pp_ground(c, horizon, pp_mix(dark, mid, 12000), dark, dark, 0, 20000);
        for (k = pp_in(c, 1, 2); k > 0; k--) {
            int x = pp_pos(c, 100, 900), h = pp_pos(c, 90, 170);
            if (pp_in(c, 0, 1))
                pp_branches(c, x, horizon + PP_K(30), 49152 + pp_in(c, -1500, 1500), h, PP_K(34), dark, 4);
            else {
                pp_stroke(c, x, horizon + PP_K(40), x, horizon - h, PP_K(26), PP_K(18), dark, dark, 0);
                pp_foliage(c, x, horizon - h - h / 2, h, h, pp_scale(dark, 40000), pp_mix(dark, low, 9000), 14);
            }
        }
    }
}

/* Mountains and hills, some with a lake at their foot. */
static void pp_scene_mountain(pp_canvas *c)
{
    static const int rocks[][3] = {{0x6e7480, 0x4a5448, 0x4c6a34}, {0x8a7a6a, 0x6a5844, 0x80703c}, {0x5c6478, 0x3c4a5c, 0x2e5034},
                                   {0x946a50, 0x7a4a34, 0x9a7a48}, {0x70808c, 0x607858, 0x6c9440}, {0x50546a, 0x38405a, 0x3a4a3a}};
    const int *r = rocks[pp_style(c, PP_COUNT(rocks))];
    int horizon = pp_pos(c, 520, 760), layers = pp_in(c, 2, 4), k, snowy = pp_in(c, 0, 1), lake = pp_in(c, 0, 2) == 0;
    int towering = pp_in(c, 0, 2) ? 0 : PP_K(260);
    pp_rgb haze;
    pp_day_sky(c, horizon, 1);
    haze = *pp_at(c, 0, pp_clamp(pp_row(c, horizon) - 1, 0, c->h - 1));
    for (k = 0; k < layers; k++) {
        pp_hill m = {0, 0, 0, 6, 0, 0, 0, {0, 0, 0}, {0, 0, 0}, 0};
        int veil = k + 1 < layers ? 44000 - k * 12000 : 9000;
        m.base = horizon + k * PP_K(40);
        m.height = (pp_pos(c, 200, 480) + towering) * (layers - k) / layers + PP_K(60);
        m.cells = pp_in(c, 1, 3) + k;
        m.rock = pp_in(c, 60000, 110000);
        m.grainy = 9000;
        m.snow = snowy ? m.height * 45 / 100 - k * PP_K(60) : 0;
        m.top = pp_mix(pp_vary(c, k + 1 < layers ? r[0] : r[1], 16), haze, veil);
        m.bottom = pp_mix(pp_vary(c, k + 1 < layers ? r[1] : r[2], 16), haze, veil / 2);
        m.seed = pp_seed(c);
        pp_ridge(c, &m);
    }
    if (lake) {
        int shore = horizon + layers * PP_K(30);
        pp_water(c, shore, pp_vary(c, 0x1c3c50, 20), 9000, pp_in(c, 4000, 36000));
    } else {
        pp_rgb grass = pp_vary(c, r[2], 24);
        int shore = horizon + layers * PP_K(30), n, rows;
        pp_ground(c, shore, pp_mix(grass, haze, 12000), grass, pp_vary(c, r[1], 20), 50000, 30000);
        if (pp_in(c, 0, 1))
            for (rows = 0; rows < 3; rows++)
                for (n = 0; n < 12; n++) {
                    int h = pp_pos(c, 60, 110) * (rows + 2) / 3, at = shore + rows * PP_K(90) + PP_K(40);
                    pp_conifer(c, pp_pos(c, -20, 1020), at, h, h * 2 / 5, pp_ink(c, 0x10201a), pp_vary(c, 0x3c5a38, 12), 0);
                }
    }
}

/* Woods: trunks in mist, a slope of firs, autumn crowns, a canopy from above, a clearing. */
static void pp_scene_forest(pp_canvas *c)
{
    static const int crowns[][2] = {{0x1c3414, 0x7aa43c}, {0x5a2410, 0xe08a2a}, {0x6a1c10, 0xd8482a},
                                    {0x5c4a10, 0xf0c840}, {0x14301c, 0x58944c}, {0x2c3c10, 0xb4c04c}};
    int k, n;
    switch (pp_style(c, 5)) {
    case 0: { /* trunks in mist */
        static const int mists[][2] = {{0xd8e0c8, 0x8ca070}, {0xc8d4dc, 0x788a94}, {0xf0dcb0, 0xb08a50}, {0xa8c48c, 0x48703c}, {0x708090, 0x303c48}};
        const int *m = mists[pp_in(c, 0, PP_COUNT(mists) - 1)];
        pp_rgb mist = pp_vary(c, m[0], 14), dark = pp_vary(c, 0x1c1812, 12);
        pp_gradient(c, 0, PP_ONE, mist, pp_vary(c, m[1], 14));
        pp_glow(c, pp_pos(c, 100, 900), pp_pos(c, 50, 450), pp_pos(c, 350, 700), pp_scale(mist, 44000));
        for (k = 0; k < 4; k++) {
            int w = PP_K(14) + k * k * PP_K(9), ground = PP_K(720) + k * PP_K(80);
            for (n = 0; n < 11 - 2 * k; n++) {
                int x = pp_pos(c, -30, 1030), lean = pp_pos(c, -40, 40), wide = w * pp_in(c, 70, 130) / 100;
                pp_rgb p = pp_mix(mist, dark, 14000 + k * 15000);
                pp_stroke(c, x, ground + PP_K(60), x + lean, -PP_K(20), wide, wide * 7 / 10, p, pp_mix(p, mist, 9000), 20000);
                if (k < 3)
                    pp_foliage(c, x + lean, pp_pos(c, -40, 160), PP_K(150), PP_K(90), pp_mix(mist, p, 40000), pp_mix(mist, pp_ink(c, m[1]), 40000),
                               16);
            }
            pp_foliage(c, pp_pos(c, 0, 1000), ground + PP_K(70), PP_K(700), PP_K(110), pp_mix(mist, dark, 12000 + k * 14000),
                       pp_mix(mist, pp_vary(c, 0x5a7030, 20), 14000 + k * 15000), 22);
        }
        break;
    }
    case 1: { /* a slope of firs in fog */
        pp_rgb fog = pp_vary(c, pp_in(c, 0, 1) ? 0xc8d0d4 : 0x9caab0, 20), dark = pp_vary(c, 0x0c1814, 6), lit = pp_vary(c, 0x44643c, 18);
        pp_gradient(c, 0, PP_ONE, fog, pp_mix(fog, dark, 16000));
        for (k = 0; k < 7; k++)
            for (n = 0; n < 12; n++) {
                int h = PP_K(130) + k * PP_K(32), base = PP_K(280) + k * PP_K(140) + pp_pos(c, -40, 40), veil = 14000 + k * 8000;
                pp_conifer(c, pp_pos(c, -30, 1030), base, h * pp_in(c, 70, 120) / 100, h * 42 / 100, pp_mix(fog, dark, veil), pp_mix(fog, lit, veil),
                           0);
            }
        break;
    }
    case 2: { /* crowns in a park */
        int horizon = pp_pos(c, 560, 700);
        pp_day_sky(c, horizon, 1);
        pp_ground(c, horizon, pp_vary(c, 0x7a9040, 16), pp_vary(c, 0x607c30, 24), pp_vary(c, 0x8a6a30, 20), 40000, 30000);
        for (k = 0; k < 3; k++)
            for (n = 0; n < 8 - 2 * k; n++) {
                const int *p = crowns[pp_in(c, 0, PP_COUNT(crowns) - 1)];
                int x = pp_pos(c, -20, 1020), r = pp_pos(c, 80, 120) * (k + 2) / 3, base = horizon + PP_K(10) + k * PP_K(70);
                pp_rgb bark = pp_vary(c, 0x3a2c20, 10);
                pp_stroke(c, x, base, x, base - r * 2, r / 6, r / 9, bark, bark, 20000);
                pp_foliage(c, x, base - r * 2, r, r * 5 / 4, pp_vary(c, p[0], 8), pp_vary(c, p[1], 20), 16);
            }
        break;
    }
    case 3: { /* a canopy from above */
        const int *p = crowns[pp_in(c, 0, PP_COUNT(crowns) - 1)], *q = crowns[pp_in(c, 0, PP_COUNT(crowns) - 1)];
        pp_gradient(c, 0, PP_ONE, pp_ink(c, p[0]), pp_ink(c, p[0]));
        for (k = 0; k < 8; k++)
            for (n = 0; n < 8; n++) {
                const int *t = pp_in(c, 0, 3) ? p : q;
                int r = pp_pos(c, 70, 130);
                pp_foliage(c, n * PP_ONE / 7 + pp_pos(c, -60, 60), k * PP_ONE / 7 + pp_pos(c, -60, 60), r, r, pp_scale(pp_ink(c, t[0]), 30000),
                           pp_vary(c, t[1], 26), 18);
            }
        break;
    }
    default: { /* a clearing or a lane under trees */
        const int *p = crowns[pp_in(c, 0, PP_COUNT(crowns) - 1)];
        int horizon = pp_pos(c, 480, 600), x = pp_pos(c, 380, 620);
        pp_rgb glow = pp_vary(c, 0xf0ecc0, 10), way = pp_vary(c, 0xb09a78, 20);
        int lane[8];
        pp_gradient(c, 0, horizon, glow, glow);
        pp_ground(c, horizon, pp_ink(c, p[1]), pp_scale(pp_ink(c, p[1]), 30000), pp_ink(c, p[0]), 50000, 36000);
        lane[0] = x - PP_K(14);
        lane[1] = lane[3] = horizon;
        lane[2] = x + PP_K(14);
        lane[4] = PP_K(800);
        lane[5] = lane[7] = PP_K(1020);
        lane[6] = PP_K(150);
        pp_quad(c, lane, pp_mix(way, glow, 20000), pp_scale(way, 44000));
        for (k = 0; k < 6; k++)
            for (n = -1; n <= 1; n += 2) {
                int away = PP_K(45) + k * k * PP_K(17), r = PP_K(60) + k * PP_K(46), tx = x + n * away, base = horizon + k * PP_K(40);
                pp_rgb bark = pp_mix(glow, pp_ink(c, 0x2a2018), 30000 + k * 7000);
                pp_stroke(c, tx, base, tx + n * PP_K(10), horizon - r * 2, r / 5, r / 8, bark, bark, 24000);
                pp_foliage(c, tx + n * r / 3, horizon - r * 2, r * 5 / 4, r * 5 / 4, pp_mix(glow, pp_ink(c, p[0]), 34000 + k * 6000),
                           pp_mix(glow, pp_vary(c, p[1], 20), 40000 + k * 5000), 14);
            }
    }
    }
}

/* An open blossom of `petals` around a heart. */
static void pp_blossom(pp_canvas *c, int x, int y, int r, int petals, int wide, int belly, pp_rgb foot, pp_rgb tip, pp_rgb heart, int heart_size)
{
    int rings = petals > 9 ? 2 : 1, turn = pp_in(c, 0, 65535), k, n, m;
    for (m = 0; m < rings; m++)
        for (k = 0; k < petals; k++) {
            pp_blade l = {0, 0, 0, 0, 0, 0, 0, 0, {0, 0, 0}, {0, 0, 0}};
            l.x = x;
            l.y = y;
            l.angle = turn + k * PP_ONE / petals + m * PP_ONE / petals / 2 + pp_in(c, -1200, 1200);
            l.length = r * (10 - 2 * m) / 10 * pp_in(c, 88, 108) / 100;
            l.width = wide;
            l.belly = belly;
            l.bend = pp_in(c, -14000, 14000);
            l.veins = -5000;
            l.foot = m ? foot : pp_scale(foot, 52000);
            l.tip = pp_scale(tip, pp_in(c, 54000, 72000) - (m ? 0 : 6000));
            pp_leaf(c, &l);
        }
    pp_disc(c, x, y + heart_size / 6, heart_size * 11 / 10, heart_size * 11 / 10, pp_scale(heart, 20000), 40000, 0);
    pp_ball(c, x, y, heart_size, heart_size, heart, 0, 60000);
    for (n = 0; n < 26 && heart_size > 6 * c->px; n++) {
        int a = n * 25032, d = heart_size * (n + 2) / 30;
        pp_disc(c, x + pp_mul(d, pp_cos(a)), y + pp_mul(d, pp_sin(a)), heart_size / 9, heart_size / 9, pp_scale(heart, 90000), 40000, 0);
    }
}

/* Blossoms close by, out of every part of the colour circle. */
static void pp_scene_flower(pp_canvas *c)
{
    static const int hearts[] = {0xf0c020, 0xe0a010, 0x4a2c10, 0x302018, 0xd8e070};
    int cool = pp_in(c, 0, 3), x = pp_pos(c, 380, 620), y = pp_pos(c, 380, 600), r = pp_pos(c, 300, 520), k, style = pp_style(c, 7);
    pp_rgb back = cool == 0 ? pp_vary(c, 0x1a2018, 14) : cool == 1 ? pp_vary(c, 0x86a060, 24) : pp_vary(c, 0x3c6030, 24);
    int pale = pp_in(c, 0, 4) == 0;
    pp_rgb tip = pp_hsv(c, c->hue + pp_in(c, -2000, 2000), pale ? pp_in(c, 10, 70) : pp_in(c, 150, 245), pp_in(c, 200, 250));
    pp_rgb foot = pp_hsv(c, c->hue + pp_in(c, -6000, 6000), pp_in(c, 60, 240), pp_in(c, 140, 250)), heart = pp_vary(c, hearts[pp_in(c, 0, 4)], 10);
    pp_rgb stem = pp_vary(c, 0x4a7830, 16);
    pp_gradient(c, 0, PP_ONE, back, pp_scale(back, pp_in(c, 30000, 70000)));
    pp_blotches(c, pp_vary(c, 0xa8b870, 30), 4, 42000, pp_seed(c));
    pp_blotches(c, pp_scale(back, 20000), 3, 44000, pp_seed(c));
    for (k = 0; k < 5; k++) {
        int b = pp_pos(c, 60, 150);
        pp_disc(c, pp_pos(c, 0, 1000), pp_pos(c, 0, 1000), b, b, pp_in(c, 0, 1) ? pp_scale(tip, 40000) : pp_vary(c, 0x88a850, 20), 36000, 0);
    }
    pp_soften(c, PP_K(36));
    switch (style) {
    case 0: /* daisies and the like */
    case 1:
        pp_stroke(c, x, y, x + pp_pos(c, -150, 150), PP_K(1100), PP_K(34), PP_K(44), stem, pp_scale(stem, 40000), 24000);
        pp_blossom(c, x, y, r, pp_in(c, 12, 19), r / 3, 30000, foot, tip, heart, r * 3 / 10);
        break;
    case 2: /* a few broad petals */ pp_blossom(c, x, y, r * 11 / 10, pp_in(c, 5, 6), r, 50000, pp_scale(foot, 36000), tip, heart, r / 6); break;
    case 3: /* a rose: petals inside petals */
        for (k = 0; k < 22; k++) {
            int a = k * 25032 + (k & 1) * 900, d = r * (22 - k) / 26, s = r * (30 - k) / 38;
            int px = x + pp_mul(d, pp_cos(a)) * 2 / 3, py = y + pp_mul(d, pp_sin(a)) * 2 / 3;
            pp_rgb p = pp_mix(tip, foot, k * 2200);
            pp_disc(c, px, py + s / 12, s * 21 / 20, s, pp_scale(p, 22000), 30000, 0);
            pp_ball(c, px, py, s, s * 9 / 10, pp_scale(p, 64000), 0, 14000);
        }
        break;
    case 4: /* tulips */
        for (k = pp_in(c, 1, 4); k >= 0; k--) {
            int tx = k ? pp_pos(c, 60, 940) : x, ty = k ? pp_pos(c, 300, 600) : y, s = k ? r * 6 / 10 : r * 8 / 10, n;
            pp_stroke(c, tx, ty, tx + pp_pos(c, -60, 60), PP_K(1100), s / 9, s / 8, stem, pp_scale(stem, 36000), 24000);
            for (n = 0; n < 5; n++) {
                static const int spread[] = {-3600, 3600, -1900, 1900, 0};
                pp_blade l = {0, 0, 0, 0, 0, -20000, 0, -4000, {0, 0, 0}, {0, 0, 0}};
                l.x = tx;
                l.y = ty + s / 2;
                l.angle = 49152 + spread[n];
                l.length = s * 13 / 10;
                l.width = s * 7 / 10;
                l.bend = spread[n] * -6;
                l.foot = pp_mix(foot, tip, 30000);
                l.tip = pp_scale(tip, 46000 + n * 5000);
                pp_leaf(c, &l);
            }
        }
        break;
    case 5: /* a branch or a bed full of small blossoms */
        for (k = 0; k < 34; k++) {
            int s = PP_K(40) + k * PP_K(3), bx = pp_pos(c, -40, 1040), by = pp_pos(c, -40, 1040);
            pp_disc(c, bx, by + s / 5, s * 9 / 10, s * 9 / 10, pp_scale(back, 14000), 30000, 0);
            pp_blossom(c, bx, by, s, 5, s, 40000, foot, pp_scale(tip, 30000 + k * 1000), heart, s / 5);
        }
        break;
    default: /* a field of them, sharp in front */
        for (k = 0; k < 16; k++) {
            int s = PP_K(36) + k * k * PP_K(1) / 2, by = PP_K(240) + k * PP_K(44), bx = pp_pos(c, -40, 1040);
            pp_stroke(c, bx, by, bx + pp_pos(c, -50, 50), by + s * 5, s / 7, s / 7, stem, pp_scale(stem, 30000), 20000);
            pp_blossom(c, bx, by, s, 8, s / 2, 30000, foot, tip, heart, s / 4);
            if (k == 9) pp_soften(c, PP_K(14));
        }
    }
}

/* Rows of plants that run to the horizon: stripes of two colours. */
static void pp_furrows(pp_canvas *c, int horizon, pp_rgb crop, pp_rgb soil, int rows, int aside)
{
    uint32_t seed = pp_seed(c);
    int i, j;
    for (j = pp_row(c, horizon); j < c->h; j++) {
        int down = pp_y(c, j) - horizon, depth = pp_div(PP_K(300), down + PP_K(25));
        for (i = 0; i < c->w; i++) {
            int u = pp_mul(pp_x(c, i) - aside, depth), n = pp_fbm(u * 14, depth * 14, pp_mul(c->px, depth) * 14, 3, seed);
            int t = pp_sin(u * rows + n / 3) / 2 + 32768, fade = pp_smooth(0, PP_K(90), down);
            pp_put(c, i, j, pp_scale(pp_mix(soil, crop, pp_lerp(44000, t, fade)), PP_ONE + n), PP_ONE);
        }
    }
}

/* Meadows and fields. */
static void pp_scene_meadow(pp_canvas *c)
{
    static const int fields[][2] = {{0x5c8a30, 0x8ab048}, {0xe0c020, 0xa8b030}, {0xc8a050, 0xe0c480}, {0x8058a8, 0x5a7040},
                                    {0x6c9c3c, 0x3c6424}, {0xb04430, 0x56782c}, {0x9ab050, 0xd8c880}};
    static const int dots[] = {0xf4f0e8, 0xf0d020, 0xe03820, 0xb870d0, 0xf0a0c0, 0x4868d0};
    int style = pp_style(c, PP_COUNT(fields)), horizon = pp_pos(c, 220, 480), k, dotted = pp_in(c, 0, 2) > 0, dot = dots[pp_in(c, 0, 5)];
    const int *f = fields[style];
    pp_rgb crop = pp_vary(c, f[0], 18), other = pp_vary(c, f[1], 18), hill = pp_vary(c, 0x4c6a50, 24);
    pp_hill m = {0, 0, 3, 5, 0, 14000, 0, {0, 0, 0}, {0, 0, 0}, 0};
    pp_day_sky(c, horizon, 1);
    m.base = horizon + PP_K(20);
    m.height = pp_pos(c, 60, 200);
    m.top = pp_mix(hill, pp_ink(c, 0xa8bcc8), 30000);
    m.bottom = hill;
    m.seed = pp_seed(c);
    pp_ridge(c, &m);
    if (style == 3 || (style != 5 && pp_in(c, 0, 2) == 0))
        pp_furrows(c, horizon, crop, pp_scale(other, 36000), pp_in(c, 3, 7), pp_pos(c, 200, 800));
    else
        pp_ground(c, horizon, pp_mix(crop, pp_ink(c, 0xc0c8a0), 12000), crop, other, 54000, 52000);
    for (k = pp_in(c, 0, 5); k > 0; k--) {
        int r = pp_pos(c, 30, 70), x = pp_pos(c, 0, 1000);
        pp_foliage(c, x, horizon - r / 2, r, r, pp_vary(c, 0x1c3018, 6), pp_vary(c, 0x5c8038, 20), 22);
    }
    if (pp_in(c, 0, 3) == 0) { /* a barn */
        int x = pp_pos(c, 150, 750), w = pp_pos(c, 110, 180), y = horizon + PP_K(30), wall[8], roof[8];
        pp_rgb red = pp_vary(c, pp_in(c, 0, 1) ? 0xa83024 : 0xe0dcd0, 16), tiles = pp_vary(c, 0x58483c, 14);
        wall[0] = wall[6] = x;
        wall[2] = wall[4] = x + w;
        wall[1] = wall[3] = y - w / 2;
        wall[5] = wall[7] = y;
        roof[0] = x + w / 8;
        roof[2] = x + w * 7 / 8;
        roof[1] = roof[3] = y - w * 7 / 8;
        roof[4] = x + w * 11 / 10;
        roof[6] = x - w / 10;
        roof[5] = roof[7] = y - w / 2 + c->px;
        pp_quad(c, wall, red, pp_scale(red, 50000));
        pp_quad(c, roof, tiles, pp_scale(tiles, 50000));
    }
    if (dotted)
        for (k = 0; k < 260; k++) {
            int t = pp_in(c, 0, PP_ONE), down = pp_mul(pp_mul(t, t), PP_ONE - horizon), r = PP_K(2) + down / 60;
            pp_disc(c, pp_pos(c, 0, 1000), horizon + PP_K(12) + down, r, r * 3 / 4, pp_vary(c, dot, 16), 60000, 9000);
        }
    if (pp_in(c, 0, 1))
        pp_grass(c, 60, pp_pos(c, 150, 330), pp_scale(pp_mix(crop, pp_ink(c, 0x304018), 30000), 36000), pp_mix(crop, pp_ink(c, 0xb8c060), 30000));
}

/* Fronts of houses by day: plastered, brick, old town, concrete, glass. */
static void pp_scene_house(pp_canvas *c)
{
    static const int walls[] = {0xd8b880, 0xc87858, 0xe8e0d0, 0xa0a4a8, 0xb85038, 0xe0c0a0, 0x7890a8,
                                0xd8d070, 0xa8c0a0, 0xe8b0a0, 0x787470, 0x70a0b8, 0xf0ece4};
    int style = pp_style(c, 5);
    pp_front f;
    f.columns = pp_in(c, 3, 7);
    f.rows = pp_in(c, 3, 6);
    f.wide = pp_in(c, 24000, 36000);
    f.tall = pp_in(c, 32000, 46000);
    f.keystone = pp_in(c, 0, 1) ? pp_in(c, 20000, 56000) * (pp_in(c, 0, 1) * 2 - 1) : pp_in(c, -5000, 5000);
    f.slope = pp_in(c, 0, 1) ? pp_in(c, 6000, 34000) : 0;
    f.lit = 0;
    f.bars = pp_in(c, 2600, 4400);
    f.wall = pp_vary(c, walls[pp_in(c, 0, PP_COUNT(walls) - 1)], 22);
    f.frame = pp_vary(c, pp_in(c, 0, 2) ? 0xe8e6e0 : 0x4a3828, 14);
    f.glass = pp_vary(c, 0x1c2630, 12);
    f.sky = pp_vary(c, 0x6a88a4, 30);
    if (style == 3) { /* concrete */
        f.columns = pp_in(c, 7, 12);
        f.rows = pp_in(c, 7, 12);
        f.wide = pp_in(c, 34000, 58000);
        f.tall = pp_in(c, 24000, 40000);
        f.wall = pp_vary(c, pp_in(c, 0, 1) ? 0xb4b0a8 : 0xd8d0c0, 24);
        f.bars = 0;
    } else if (style == 4) { /* glass */
        f.columns = pp_in(c, 5, 10);
        f.rows = pp_in(c, 6, 12);
        f.wide = pp_in(c, 56000, 62000);
        f.tall = pp_in(c, 54000, 63000);
        f.wall = pp_vary(c, 0x38444c, 20);
        f.glass = pp_vary(c, pp_in(c, 0, 1) ? 0x1c4468 : 0x244c4c, 20);
        f.sky = pp_vary(c, pp_in(c, 0, 2) ? 0x90c0e0 : 0xe0b890, 20);
        f.bars = 0;
    }
    pp_facade(c, &f);
    if (style == 2) { /* a lower building in front of the sky: roofs of a town */
        int roof = pp_pos(c, 150, 320), n;
        pp_rgb tiles = pp_vary(c, 0xa85030, 20);
        pp_day_sky(c, roof, 1);
        for (n = -1; n < 4; n++) {
            int q[8], x = n * PP_K(300) + pp_pos(c, 0, 60), up = pp_pos(c, 40, 140);
            q[0] = x + PP_K(60);
            q[2] = x + PP_K(240);
            q[1] = q[3] = roof - up;
            q[4] = x + PP_K(330);
            q[6] = x - PP_K(30);
            q[5] = q[7] = roof + PP_K(40);
            pp_quad(c, q, pp_scale(tiles, pp_in(c, 50000, 80000)), pp_scale(tiles, 36000));
        }
    }
    if (pp_in(c, 0, 2) == 0) { /* the shadow of the other side of the street */
        int x = pp_pos(c, 200, 700), y = pp_pos(c, 350, 900), i, j;
        for (j = 0; j < c->h; j++)
            for (i = 0; i < c->w; i++) {
                int d = pp_y(c, j) - y - c->light * (pp_x(c, i) - x) / 4;
                *pp_at(c, i, j) = pp_scale(*pp_at(c, i, j), PP_ONE - pp_mul(pp_cover(c, d / 2), 30000));
            }
    }
}

/* Lit windows: fronts at night, a skyline over water, a street. */
static void pp_scene_town(pp_canvas *c)
{
    static const int nights[][2] = {{0x060a18, 0x1c2850}, {0x0a0c14, 0x302838}, {0x101838, 0x5a4470}, {0x182848, 0xb07060}, {0x04060c, 0x142030}};
    const int *t = nights[pp_in(c, 0, PP_COUNT(nights) - 1)];
    int style = pp_style(c, 4), k, base;
    if (style < 2) {
        pp_front f;
        f.columns = pp_in(c, 4, 11);
        f.rows = pp_in(c, 4, 11);
        f.wide = pp_in(c, 24000, 50000);
        f.tall = pp_in(c, 30000, 48000);
        f.keystone = pp_in(c, -46000, 46000);
        f.slope = pp_in(c, 0, 30000);
        f.lit = pp_in(c, 16000, 52000);
        f.bars = pp_in(c, 0, 1) ? 3000 : 0;
        f.wall = pp_scale(pp_vary(c, style ? 0x50443c : 0x30384c, 20), pp_in(c, 16000, 50000));
        f.frame = pp_ink(c, 0x18140f);
        f.glass = pp_ink(c, 0x080c14);
        f.sky = pp_vary(c, t[1], 12);
        pp_facade(c, &f);
        return;
    }
    base = pp_pos(c, 600, 760);
    pp_gradient(c, 0, base, pp_vary(c, t[0], 6), pp_vary(c, t[1], 14));
    pp_clouds(c, base, pp_vary(c, t[1], 30), pp_ink(c, t[0]), 0, 3, 150000, 0, 40000);
    pp_glow(c, pp_pos(c, 200, 800), base, pp_pos(c, 400, 800), pp_scale(pp_vary(c, 0xd07038, 20), 26000));
    for (k = 0; k < 3; k++)
        pp_skyline(c, base, PP_K(60), PP_K(460 - k * 120), pp_mix(pp_ink(c, t[1]), pp_ink(c, 0x04050a), 20000 + k * 18000),
                   pp_vary(c, k ? 0xffd080 : 0xe8d8b0, 14), pp_in(c, 10000, 34000));
    if (style == 2) {
        for (k = 0; k < 26; k++) {
            int r = PP_K(3), x = pp_pos(c, 0, 1000);
            pp_disc(c, x, base - r, r, r, pp_hsv(c, pp_in(c, 2000, 9000), 150, 255), PP_ONE, 0);
        }
        pp_water(c, base, pp_ink(c, t[0]), 12000, pp_in(c, 60000, 150000));
    } else {
        pp_ground(c, base, pp_ink(c, 0x141418), pp_ink(c, 0x202024), pp_ink(c, 0x382c20), 40000, 20000);
        for (k = 0; k < 18; k++) { /* cars and lamps */
            int down = pp_pos(c, 10, 330), r = PP_K(4) + down / 22, side = pp_in(c, 0, 1) * 2 - 1;
            int x = 32768 + side * (PP_K(30) + down * 8 / 10) + pp_pos(c, -60, 60);
            pp_rgb lamp = side > 0 ? pp_ink(c, 0xff3018) : pp_ink(c, 0xfff0c0);
            pp_glow(c, x, base + down, r * 5, pp_scale(lamp, 30000));
            pp_disc(c, x, base + down, r, r, lamp, PP_ONE, 0);
            pp_disc(c, x + r * 4, base + down, r, r, lamp, PP_ONE, 0);
        }
    }
}

/* Cloth: knitting, weaving, checks, denim, folds of silk. */
static void pp_scene_cloth(pp_canvas *c)
{
    static const int earth[] = {0xc8a888, 0x8a6a50, 0xe0d4c0, 0x484440, 0x7a8088, 0xd8a890, 0xb08868, 0x20242c, 0xf0e8dc};
    uint32_t seed = pp_seed(c);
    int style = pp_style(c, 6), i, j, count = pp_in(c, 5, 15), turn = pp_in(c, -3000, 3000), co, si, bend = pp_in(c, 0, 2600);
    int muted = pp_in(c, 0, 3) == 0;
    pp_rgb a = muted ? pp_vary(c, earth[pp_in(c, 0, PP_COUNT(earth) - 1)], 20) : pp_hsv(c, c->hue, pp_in(c, 130, 235), pp_in(c, 90, 235));
    pp_rgb b = pp_in(c, 0, 1) ? pp_vary(c, earth[pp_in(c, 0, PP_COUNT(earth) - 1)], 14)
                              : pp_hsv(c, c->hue + pp_in(c, 8000, 36000), pp_in(c, 60, 200), pp_in(c, 60, 230));
    pp_rgb d = pp_scale(a, pp_in(c, 20000, 40000));
    if (style == 3) a = pp_vary(c, pp_in(c, 0, 3) ? 0x34507c : 0x202a3c, 20), b = pp_vary(c, 0xa8b8cc, 20);
    if (style == 4) turn = pp_in(c, 0, 65535), count = pp_in(c, 2, 4);
    co = pp_cos(turn);
    si = pp_sin(turn);
    for (j = 0; j < c->h; j++)
        for (i = 0; i < c->w; i++) {
            int x = pp_x(c, i), y = pp_y(c, j), wx = pp_fbm(x * 3, y * 3, c->px, 1, seed), wy = pp_fbm(x * 3, y * 3, c->px, 1, seed + 1);
            int u = pp_mul(x, co) - pp_mul(y, si) + pp_mul(wx, bend), v = pp_mul(x, si) + pp_mul(y, co) + pp_mul(wy, bend), z = 0, fu, fv, h;
            pp_rgb p = a;
            if (style == 0 || style == 5) { /* knitting: rows of V */
                int cu, cv;
                u *= count;
                cu = u >> 16;
                fu = (u & 65535) - 32768;
                v = v * count * 5 / 4 + pp_abs(fu) * 3 / 4;
                cv = v >> 16;
                fv = (v & 65535) - 32768;
                fu = (pp_abs(fu) - 16384) * 4;
                fv = fv * 2;
                h = pp_mul(PP_ONE - pp_mul(fu, fu), PP_ONE - pp_mul(fv, fv));
                z = h / count / 5;
                if (style == 5 && ((pp_abs(cu % 8 - 4) + pp_abs(cv % 8 - 4)) % 4 == (int)(seed & 1) || (cv % 9) == 0)) p = b;
                p = pp_scale(p, 24000 + h * 2 / 3);
            } else if (style == 1 || style == 2) { /* over and under; checks */
                int over, cu, cv, big = style == 1 ? 1 : 3;
                u *= count * big;
                v *= count * big;
                cu = u >> 16;
                cv = v >> 16;
                fu = (u & 65535) * 2 - PP_ONE;
                fv = (v & 65535) * 2 - PP_ONE;
                over = (cu + cv) & 1;
                h = over ? pp_mul(PP_ONE - pp_mul(fv, fv), PP_ONE - pp_mul(fu, fu) / 2)
                         : pp_mul(PP_ONE - pp_mul(fu, fu), PP_ONE - pp_mul(fv, fv) / 2);
                z = h / (count * big) / 4;
                if (style == 2) {
                    static const int sett[] = {0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 2, 1, 1, 1, 1, 1, 1, 2, 2};
                    int s = sett[(unsigned)((over ? cv : cu) + 200) % 20u];
                    p = s == 0 ? a : s == 1 ? b : d;
                    p = pp_scale(p, 50000 + h / 4);
                } else {
                    p = pp_scale(over ? a : b, 22000 + h * 2 / 3);
                }
            } else if (style == 3) { /* twill */
                int n = pp_fbm(u * 6, v * 30, c->px * 20, 3, seed + 4), fold = pp_fbm(u * 2, v * 2, c->px, 2, seed + 5);
                h = pp_sin((u + v) * count * 3 + n / 4) / 2 + 32768;
                p = pp_mix(a, b, pp_mul(h, 22000) + n / 2 + fold / 2);
                z = pp_mul(fold, PP_K(90));
            } else { /* silk */
                int n = pp_fbm(u * count + wx / 2, v * 2 / 3 * count / 2 + wy, c->px * 2, 2, seed + 6);
                h = pp_sin(n + u / 2) / 2 + 32768;
                z = pp_mul(n, PP_K(330)) * 3 / count;
                p = pp_scale(a, 30000 + h * 2 / 3);
            }
            p = pp_scale(p, PP_ONE + pp_mul(wx, 22000));
            c->z[(size_t)j * (size_t)c->w + (size_t)i] = z;
            *pp_at(c, i, j) = p;
        }
    pp_relief(c, style == 4 ? 34000 : style == 3 ? 30000 : 15000);
}

/* Open water seen from the shore: waves that catch the sky, and foam. */
static void pp_waves(pp_canvas *c, int horizon, pp_rgb deep, pp_rgb sky, pp_rgb distant, int rough, int foam)
{
    uint32_t seed = pp_seed(c);
    pp_rgb white = pp_ink(c, 0xf0f4f4);
    int i, j;
    for (j = pp_row(c, horizon); j < c->h; j++) {
        int down = pp_y(c, j) - horizon, depth = pp_div(PP_K(300), down + PP_K(30));
        pp_rgb base = pp_mix(distant, deep, pp_div(down, PP_K(350)));
        for (i = 0; i < c->w; i++) {
            int u = pp_mul(pp_x(c, i) - 32768, depth), foot = pp_mul(c->px, depth) + 1;
            int n = pp_fbm(u * 5, depth * 16, foot * 10, 4, seed), t = pp_fbm(u * 5, depth * 16 + 16000, foot * 10, 4, seed), steep = n - t;
            pp_rgb p = pp_mix(base, sky, pp_mul(20000 + steep, rough));
            if (steep < 0) p = pp_scale(p, PP_ONE + pp_mul(steep, rough));
            if (foam) p = pp_mix(p, white, pp_mul(pp_smooth(22000 - foam, 34000 - foam, n + t / 2), 58000));
            *pp_at(c, i, j) = p;
        }
    }
}

/* A sailing boat with its keel at (x, y). */
static void pp_boat(pp_canvas *c, int x, int y, int size, pp_rgb hull, pp_rgb sail)
{
    int h[8], m[8], g[8];
    h[0] = x - size / 2;
    h[2] = x + size / 2;
    h[4] = x + size / 3;
    h[6] = x - size / 3;
    h[1] = h[3] = y - size / 6;
    h[5] = h[7] = y;
    m[0] = m[2] = x + size / 30;
    m[1] = m[3] = y - size * 5 / 4;
    m[4] = x + size * 5 / 12;
    m[6] = x + size / 30;
    m[5] = m[7] = y - size / 4;
    g[0] = g[2] = x - size / 30;
    g[1] = g[3] = y - size;
    g[4] = x - size / 30;
    g[6] = x - size * 5 / 12;
    g[5] = g[7] = y - size / 4;
    pp_stroke(c, x, y - size / 6, x, y - size * 5 / 4, size / 30, size / 40, hull, hull, 0);
    pp_quad(c, m, sail, pp_scale(sail, 54000));
    pp_quad(c, g, pp_scale(sail, 56000), pp_scale(sail, 44000));
    pp_quad(c, h, hull, pp_scale(hull, 40000));
}

/* Lakes, the sea, a beach, shallow water over sand. */
static void pp_scene_water(pp_canvas *c)
{
    static const int seas[][3] = {{0x0c3c68, 0x88b8dc, 0x3c78a8}, {0x0c5c68, 0xa0dcd8, 0x3c98a0}, {0x20343c, 0x98a8ac, 0x58707c},
                                  {0x10284c, 0x7888b0, 0x3c5480}, {0x0c6c88, 0xb8f0f0, 0x48b8c8}, {0x283c30, 0xa0b0a0, 0x60786c}};
    const int *s = seas[pp_in(c, 0, PP_COUNT(seas) - 1)];
    int style = pp_style(c, 6), horizon = pp_pos(c, 250, 520), i, j, k;
    pp_rgb deep = pp_vary(c, s[0], 14), sky = pp_vary(c, s[1], 14), far_off = pp_vary(c, s[2], 14);
    switch (style) {
    case 0: /* a lake between woods */
    case 1: {
        static const int banks[] = {0x4c7030, 0xc07828, 0x2c5030, 0xa8a038, 0x986030};
        pp_hill m = {0, 0, 3, 5, 40000, 14000, 0, {0, 0, 0}, {0, 0, 0}, 0};
        pp_day_sky(c, horizon + PP_K(80), 1);
        m.base = horizon + PP_K(60);
        m.height = pp_pos(c, 120, 420);
        m.top = pp_vary(c, 0x607484, 20);
        m.bottom = pp_vary(c, 0x4c6450, 20);
        m.seed = pp_seed(c);
        pp_ridge(c, &m);
        for (k = 0; k < 22; k++) {
            int r = pp_pos(c, 30, 80), x = pp_pos(c, -20, 1020);
            if (style)
                pp_conifer(c, x, horizon + PP_K(66), r * 3, r * 5 / 4, pp_ink(c, 0x0c1c14), pp_vary(c, 0x3c6038, 20), 0);
            else
                pp_foliage(c, x, horizon + PP_K(60) - r / 2, r, r, pp_ink(c, 0x182410), pp_vary(c, banks[pp_in(c, 0, 4)], 20), 20);
        }
        pp_water(c, horizon + PP_K(60), deep, 6000, pp_in(c, 6000, 60000));
        break;
    }
    case 2: /* the open sea */
        horizon = pp_pos(c, -200, 480);
        pp_day_sky(c, horizon, 1);
        pp_waves(c, horizon, deep, sky, far_off, pp_in(c, 40000, 90000), pp_in(c, 0, 1) ? pp_in(c, 4000, 14000) : 0);
        break;
    case 3: /* boats */
        pp_day_sky(c, horizon, 1);
        pp_waves(c, horizon, deep, sky, far_off, pp_in(c, 30000, 60000), 0);
        for (k = pp_in(c, 1, 3); k > 0; k--) {
            int size = pp_pos(c, 140, 420), x = pp_pos(c, 150, 850), y = horizon + size / 3 + PP_K(20), n;
            pp_rgb sail = pp_in(c, 0, 1) ? pp_ink(c, 0xf4f0e8) : pp_hsv(c, pp_in(c, 0, 65535), 190, 220);
            for (n = 0; n < 8; n++)
                pp_disc(c, x + pp_pos(c, -30, 30), y + n * size / 12, size / 3 - n * size / 30, size / 30, pp_scale(sail, 50000), 20000, 0);
            pp_boat(c, x, y, size, pp_vary(c, pp_in(c, 0, 1) ? 0xe8e8e8 : 0x802820, 20), sail);
        }
        break;
    case 4: { /* a beach */
        uint32_t seed = pp_seed(c);
        int shore = pp_pos(c, 560, 760);
        pp_rgb sand = pp_vary(c, 0xd8bc90, 24), wet = pp_scale(sand, 36000), white = pp_ink(c, 0xf6f6f2);
        pp_day_sky(c, horizon, 1);
        pp_waves(c, horizon, far_off, sky, deep, 40000, 9000);
        for (i = 0; i < c->w; i++) {
            int x = pp_x(c, i), line = shore + c->light * (x - 32768) / 4 + pp_fbm(x * 3, 999, c->px * 3, 4, seed) / 8;
            for (j = pp_row(c, line - PP_K(90)); j < c->h; j++) {
                int y = pp_y(c, j), d = y - line, n = pp_fbm(x * 30, y * 60, c->px * 40, 2, seed + 1);
                int rim = pp_fbm(x * 9, y * 16, c->px * 12, 3, seed + 2);
                pp_rgb p = pp_scale(pp_mix(wet, sand, pp_div(d, PP_K(200))), PP_ONE + n / 3);
                pp_put(c, i, j, pp_mix(sky, wet, 40000), pp_smooth(-PP_K(60), 0, d));
                pp_put(c, i, j, p, pp_smooth(-PP_K(4), PP_K(12), d));
                pp_put(c, i, j, white, pp_smooth(PP_K(36), PP_K(12), pp_abs(d + PP_K(12) + rim / 30)));
            }
        }
        break;
    }
    default: { /* shallow water, the light in nets on the ground */
        uint32_t seed = pp_seed(c), which;
        int cells = pp_in(c, 4, 8);
        pp_rgb bright = pp_vary(c, pp_in(c, 0, 1) ? 0xd8fff4 : 0xc0f0ff, 10), blue = pp_vary(c, pp_in(c, 0, 2) ? 0x20a0b8 : 0x2068b8, 24);
        for (j = 0; j < c->h; j++)
            for (i = 0; i < c->w; i++) {
                int x = pp_x(c, i), y = pp_y(c, j), n = pp_fbm(x * 5, y * 8, c->px * 8, 2, seed), e;
                e = pp_stones((x + n / 10) * cells, (y + n / 12) * cells * 3 / 2, seed, &which);
                *pp_at(c, i, j) = pp_mix(pp_scale(blue, 40000 + n / 2 + y / 3), bright, pp_smooth(26000, 0, e) * 3 / 5 + n / 4);
            }
    }
    }
}

/* Fruit in a heap, one by itself, or cut open. */
static void pp_scene_fruit(pp_canvas *c)
{
    static const int fruits[][4] = {/* colour, second colour, roughness, gloss */
                                    {0xe88018, 0xf0a030, 14000, 26000}, {0xc82018, 0xe8b040, 8000, 44000}, {0xf0d030, 0xe0c838, 12000, 22000},
                                    {0x90b830, 0xb8cc48, 9000, 34000},  {0x301838, 0x58286c, 9000, 20000}, {0x303c70, 0x485c98, 12000, 8000},
                                    {0xa01020, 0xc82030, 3000, 56000},  {0xe8a078, 0xd86048, 10000, 6000}, {0xd02818, 0xe84828, 4000, 50000},
                                    {0xb8c870, 0x98b848, 4000, 36000},  {0x784830, 0x9c6840, 24000, 4000}, {0xd8b890, 0xc89c70, 16000, 6000},
                                    {0x703080, 0x8c4898, 8000, 22000}};
    const int *f = fruits[pp_style(c, PP_COUNT(fruits))];
    int style = pp_in(c, 0, 4), k, n, r;
    uint32_t seed = pp_seed(c);
    if (style < 3) { /* a heap */
        int rows = pp_in(c, 3, 7);
        r = PP_ONE / rows * 62 / 100;
        pp_gradient(c, 0, PP_ONE, pp_ink(c, 0x14100c), pp_ink(c, 0x0c0808));
        for (k = -1; k <= rows * 5 / 4 + 1; k++)
            for (n = -1; n <= rows; n++) {
                int x = n * PP_ONE / rows + (k & 1) * PP_ONE / rows / 2 + pp_in(c, -r / 4, r / 4);
                int y = k * PP_ONE / rows * 4 / 5 + pp_in(c, -r / 4, r / 4), s = r * pp_in(c, 86, 112) / 100;
                pp_rgb p = pp_mix(pp_vary(c, f[0], 12), pp_vary(c, f[1], 12), pp_in(c, 0, PP_ONE));
                pp_disc(c, x - c->light * s / 6, y - s / 8, s * 21 / 20, s * 21 / 20, pp_scale(p, 7000), 46000, 0);
                pp_ball(c, x, y, s, s * pp_in(c, 92, 104) / 100, p, f[3], f[2]);
                if (pp_in(c, 0, 2) == 0) {
                    int sx = x + pp_in(c, -s / 2, s / 2), sy = y - pp_in(c, s / 4, s / 2);
                    pp_disc(c, sx, sy, s / 7, s / 9, pp_ink(c, 0x3c4018), 56000, 0);
                }
            }
        if (pp_in(c, 0, 2) == 0)
            for (k = 0; k < 5; k++) {
                pp_blade l = {0, 0, 0, 0, 0, 0, 0, 9000, {0, 0, 0}, {0, 0, 0}};
                l.x = pp_pos(c, 0, 1000);
                l.y = pp_pos(c, 0, 1000);
                l.angle = pp_in(c, 0, 65535);
                l.length = r * 7 / 4;
                l.width = r * 3 / 4;
                l.foot = pp_vary(c, 0x3c6c24, 14);
                l.tip = pp_vary(c, 0x6c9c34, 14);
                pp_leaf(c, &l);
            }
    } else if (style == 3) { /* some on a table */
        int table = pp_pos(c, 480, 640);
        pp_rgb wood = pp_vary(c, pp_in(c, 0, 1) ? 0x8a5c38 : 0xc8b8a0, 30);
        pp_rgb wall = pp_in(c, 0, 1) ? pp_vary(c, 0x38302c, 20) : pp_vary(c, 0xb8bcb8, 30);
        pp_gradient(c, 0, table, pp_scale(wall, 44000), wall);
        pp_glow(c, 32768 - c->light * -PP_K(250), PP_K(200), PP_K(600), pp_scale(wall, 30000));
        pp_ground(c, table, pp_scale(wood, 50000), wood, pp_scale(wood, 44000), 50000, 12000);
        for (k = 0; k < 5; k++) {
            int s = pp_pos(c, 120, 190), x = PP_K(180) + (k < 3 ? k * PP_K(320) : (k - 3) * PP_K(340) + PP_K(150)) + pp_pos(c, -40, 40);
            int y = k < 3 ? table - PP_K(10) : table + PP_K(150);
            pp_rgb p = pp_mix(pp_vary(c, f[0], 12), pp_vary(c, f[1], 12), pp_in(c, 0, PP_ONE));
            pp_disc(c, x - c->light * s / 2, y + s * 8 / 10, s * 11 / 10, s / 3, pp_scale(wood, 12000), 46000, 0);
            pp_ball(c, x, y, s, s, p, f[3], f[2]);
            pp_stroke(c, x, y - s * 7 / 10, x + s / 8, y - s * 11 / 10, s / 9, s / 14, pp_ink(c, 0x402c18), pp_ink(c, 0x60482c), 0);
        }
    } else { /* slices */
        static const int flesh[][3] = {{0xf08818, 0xf8a838, 0xf8e4b0},
                                       {0xf0d840, 0xf8e870, 0xf8f4d0},
                                       {0xa8c840, 0xc8dc70, 0xe8f0c8},
                                       {0xe04838, 0xf07858, 0xf8dcc8},
                                       {0x70a028, 0xa8c848, 0xe0e8a0}};
        const int *t = flesh[pp_in(c, 0, 4)];
        pp_rgb back = pp_in(c, 0, 1) ? pp_vary(c, 0xe8e4dc, 14) : pp_vary(c, 0x24201c, 14);
        pp_gradient(c, 0, PP_ONE, back, pp_scale(back, 46000));
        for (k = pp_in(c, 2, 7); k >= 0; k--) {
            int x = k ? pp_pos(c, 0, 1000) : PP_K(480), y = k ? pp_pos(c, 0, 1000) : PP_K(520), s = k ? pp_pos(c, 160, 260) : pp_pos(c, 300, 440);
            int turn = pp_in(c, 0, 65535), segments = pp_in(c, 9, 11);
            pp_disc(c, x + s / 12, y + s / 9, s, s, pp_scale(back, 16000), 36000, 0);
            pp_disc(c, x, y, s, s, pp_vary(c, t[0], 8), PP_ONE, 12000);
            pp_disc(c, x, y, s * 94 / 100, s * 94 / 100, pp_ink(c, t[2]), PP_ONE, 0);
            for (n = 0; n < segments; n++) {
                pp_blade l = {0, 0, 0, 0, 0, 50000, 0, 0, {0, 0, 0}, {0, 0, 0}};
                l.angle = turn + n * PP_ONE / segments;
                l.x = x + pp_mul(s / 16, pp_cos(l.angle));
                l.y = y + pp_mul(s / 16, pp_sin(l.angle));
                l.length = s * 84 / 100;
                l.width = s * 48 / segments / 10;
                l.foot = pp_vary(c, t[1], 8);
                l.tip = pp_vary(c, t[0], 8);
                pp_leaf(c, &l);
            }
        }
    }
    pp_blotches(c, pp_ink(c, 0x100c08), 2, pp_in(c, 0, 22000), seed);
}

/* Dunes: crests with a lit and a shaded side, ripples in front. */
static void pp_scene_dune(pp_canvas *c)
{
    static const int sands[][2] = {{0xe0b070, 0x8a5430}, {0xd88848, 0x743018}, {0xe8d0a8, 0xa08060},
                                   {0xd8a088, 0x8a5048}, {0xf0e4d0, 0xa8a090}, {0xc89060, 0x503024}};
    const int *s = sands[pp_style(c, PP_COUNT(sands))];
    int horizon = pp_pos(c, 180, 480), layers = pp_in(c, 2, 4), k, i, j;
    pp_rgb lit = pp_vary(c, s[0], 14), dark = pp_vary(c, s[1], 14), haze;
    pp_day_sky(c, horizon, pp_in(c, 0, 2) == 0);
    haze = *pp_at(c, 0, pp_clamp(pp_row(c, horizon) - 1, 0, c->h - 1));
    for (k = 0; k < layers; k++) {
        uint32_t seed = pp_seed(c);
        int base = horizon + k * (PP_ONE - horizon) / layers, rise = pp_pos(c, 70, 150) + k * PP_K(50), cells = pp_in(c, 1, 2);
        int veil = (layers - 1 - k) * 9000, lean = pp_in(c, 30000, 80000);
        for (i = 0; i < c->w; i++) {
            int x = pp_x(c, i), line = base + PP_K(30) - pp_mul(rise, PP_ONE + pp_fbm(x * cells, k * 99999, c->px, 2, seed) * 3 / 2);
            int wave = pp_fbm(x * 2, 5555, c->px, 2, seed + 1);
            for (j = pp_row(c, line - 2 * c->px); j < c->h; j++) {
                int y = pp_y(c, j), down = y - line, slip = pp_mul(x - 32768, c->light * 26000) + wave / 5 - pp_mul(down, lean) + PP_K(90), n, ripple;
                n = pp_fbm(x * 7, y * 10, c->px * 10, 2, seed + 2);
                ripple = pp_sin((y * (44 - 6 * k) + n * 2 + x * 6)) / 2;
                ripple = pp_mul(ripple, pp_smooth(0, PP_K(160), down)) / 3;
                pp_put(c, i, j,
                       pp_mix(pp_scale(pp_mix(dark, lit, pp_smooth(-PP_K(12), PP_K(12), slip) * 8 / 10 + 9000 + pp_div(down, PP_K(900)) / 5),
                                       PP_ONE + ripple + n / 8),
                              haze, veil),
                       pp_cover(c, down));
            }
        }
    }
}

/* Snow: white woods, drifts, flakes in the air. */
static void pp_scene_snow(pp_canvas *c)
{
    static const int lights[][3] = {{0x5c8cc8, 0xe0ecf8, 0x8ca8d0},
                                    {0xb8c0c8, 0xe8ecf0, 0xa4acb8},
                                    {0x8c84b0, 0xf8d8c8, 0x9890c0},
                                    {0x283c68, 0x7c94c0, 0x40588c},
                                    {0xd8dce0, 0xf8f8f8, 0xc0c8d0}};
    const int *l = lights[pp_style(c, PP_COUNT(lights))];
    int horizon = pp_pos(c, 420, 640), rows, n, k;
    pp_rgb light = pp_vary(c, l[1], 8), shade = pp_vary(c, l[2], 12), dark = pp_mix(pp_ink(c, 0x142024), shade, 9000);
    pp_rgb green = pp_mix(pp_vary(c, 0x3c5848, 10), shade, 12000);
    pp_hill m = {0, 0, 2, 5, 70000, 0, 0, {0, 0, 0}, {0, 0, 0}, 0};
    pp_gradient(c, -PP_ONE / 8, horizon, pp_vary(c, l[0], 12), light);
    m.base = horizon + PP_K(20);
    m.height = pp_pos(c, 100, 420);
    m.top = light;
    m.bottom = shade;
    m.seed = pp_seed(c);
    pp_ridge(c, &m);
    for (k = 0; k < 30; k++) {
        int h = pp_pos(c, 60, 110);
        pp_conifer(c, pp_pos(c, -20, 1020), horizon + PP_K(24), h, h / 3, pp_mix(dark, shade, 26000), pp_mix(green, shade, 26000), 30000);
    }
    for (rows = 0; rows < 3; rows++) {
        pp_hill drift = {0, 0, 2, 2, 14000, 0, 0, {0, 0, 0}, {0, 0, 0}, 0};
        drift.base = horizon + PP_K(70) + rows * PP_K(150);
        drift.height = PP_K(90);
        drift.top = light;
        drift.bottom = pp_mix(light, shade, 44000);
        drift.seed = pp_seed(c);
        pp_ridge(c, &drift);
        for (n = pp_in(c, 0, 3); n > 0; n--) {
            int h = PP_K(130) + rows * PP_K(130), x = pp_pos(c, -20, 1020), y = drift.base + PP_K(20);
            pp_disc(c, x - c->light * h / 3, y, h / 2, h / 12, shade, 44000, 0);
            if (pp_in(c, 0, 3))
                pp_conifer(c, x, y, h, h * 4 / 10, dark, green, PP_ONE);
            else
                pp_branches(c, x, y, 49152, h / 3, h / 14, pp_scale(dark, 50000), 4);
        }
    }
    if (pp_in(c, 0, 2) == 0)
        for (k = 0; k < 160; k++) {
            int r = pp_pos(c, 3, 11);
            pp_disc(c, pp_pos(c, 0, 1000), pp_pos(c, 0, 1000), r, r, pp_ink(c, 0xffffff), pp_in(c, 16000, 56000), 0);
        }
}

/* Walls of bricks or blocks, rubble, pebbles, dry ground. */
static void pp_scene_stone(pp_canvas *c)
{
    static const int stones[][3] = {{0xa04830, 0x7c3020, 0xb8ac98}, {0x8c8880, 0x605c58, 0x44423c}, {0xc8b088, 0x9c8058, 0x786448},
                                    {0x5c646c, 0x3c4450, 0x24282c}, {0xb0a8a4, 0xd8d0c8, 0x5c5450}, {0x907860, 0xb4a084, 0x382c20},
                                    {0xd0c8b8, 0xb8a890, 0x887c68}, {0x587058, 0x7c8470, 0x303828}};
    const int *s = stones[pp_in(c, 0, PP_COUNT(stones) - 1)];
    uint32_t seed = pp_seed(c), which = 0;
    int style = pp_style(c, 4), rows = pp_in(c, 5, 12), i, j, wild = style == 1 ? 9000 : 1500;
    pp_rgb a, b, joint;
    if (style == 0 && pp_in(c, 0, 1)) s = stones[0];
    a = pp_vary(c, s[0], 18);
    b = pp_vary(c, s[1], 18);
    joint = pp_vary(c, s[2], 14);
    for (j = 0; j < c->h; j++)
        for (i = 0; i < c->w; i++) {
            int x = pp_x(c, i), y = pp_y(c, j), n = pp_fbm(x * 6, y * 6, c->px * 6, 2, seed), f = pp_fbm(x * 24, y * 24, c->px * 24, 3, seed + 1), d;
            int body, height;
            pp_rgb p;
            if (style < 2) { /* courses */
                int v = y * rows + pp_mul(n, wild), row = v >> 16, u = x * rows * (style ? 2 : 1) / (style ? 3 : 2), fu, fv, stretch;
                uint32_t h = pp_hash((uint32_t)row * 0x9e3779b9u + seed);
                stretch = style ? 40000 + (int)(h & 0x7fff) : PP_ONE;
                u = pp_mul(u, stretch) + (style ? (int)(h >> 8 & 0xffff) : (row & 1) * 32768) +
                    pp_mul(pp_fbm(x * 6, y * 6, c->px, 1, seed + 2), wild);
                which = pp_hash((uint32_t)(u >> 16) * 0xa54ff53bu + h);
                fu = 32768 - pp_abs((u & 65535) - 32768);
                fv = 32768 - pp_abs((v & 65535) - 32768);
                fu = style ? fu * 3 / 2 : fu * 2;
                d = fu < fv ? fu : fv;
            } else { /* rubble, pebbles */
                int cells = style == 2 ? rows * 2 / 3 : rows, gx = x + n / 40, gy = style == 2 ? y * 5 / 4 + n / 40 : y;
                d = pp_stones(gx * cells, gy * cells, seed, &which) * 2 / 3;
            }
            d += f / 7;
            body = pp_smooth(2500, style == 0 ? 6500 : 9000, d);
            p = pp_mix(a, b, (int)(which & 0xffff) + n / 2);
            p = pp_scale(p, 50000 + (int)(which >> 16 & 0x7fff) + f / 2);
            *pp_at(c, i, j) = pp_mix(pp_scale(joint, 40000 + f / 2), p, body);
            height = style < 2 ? pp_smooth(0, 9000, d) : pp_smooth(0, 30000, d);
            c->z[(size_t)j * (size_t)c->w + (size_t)i] = height / rows / (style < 2 ? 12 : 5) + f / rows / 40;
        }
    pp_relief(c, style < 2 ? 20000 : 22000);
    if (pp_in(c, 0, 3) == 0)
        for (i = 0; i < 26; i++) {
            int r = pp_pos(c, 30, 90), edge = pp_pos(c, 0, 300);
            pp_foliage(c, c->light > 0 ? edge : PP_ONE - edge, pp_pos(c, 0, 1000), r, r, pp_ink(c, 0x14240c), pp_vary(c, 0x5c8430, 24), 24);
        }
}

/* Lights far out of focus. */
static void pp_scene_bokeh(pp_canvas *c)
{
    static const int backs[][2] = {{0x0c0c14, 0x181420}, {0x281418, 0x100808}, {0x0c2030, 0x060c14}, {0x3c2c18, 0x18100c},
                                   {0x284018, 0x101c0c}, {0x401c48, 0x140818}, {0x88a068, 0x405c30}, {0xd0b0a0, 0x906c70}};
    const int *b = backs[pp_style(c, PP_COUNT(backs))];
    int k, count = pp_in(c, 18, 60), big = pp_pos(c, 40, 110), spread = pp_in(c, 0, 1) ? 9000 : 65535;
    pp_gradient(c, 0, PP_ONE, pp_vary(c, b[0], 10), pp_vary(c, b[1], 10));
    pp_blotches(c, pp_hsv(c, c->hue, 180, 150), 3, 26000, pp_seed(c));
    for (k = 0; k < count; k++) {
        int r = big * pp_in(c, 40, 120) / 100, x = pp_pos(c, -50, 1050), y = pp_pos(c, -50, 1050);
        pp_rgb p = pp_hsv(c, c->hue + pp_in(c, -spread / 2, spread / 2), pp_in(c, 60, 220), pp_in(c, 150, 255));
        pp_disc(c, x, y, r, r, pp_scale(p, 76000), pp_in(c, 9000, 50000), 26000);
    }
    pp_soften(c, PP_K(pp_in(c, 4, 12)));
    for (k = pp_in(c, 0, 14); k > 0; k--)
        pp_disc(c, pp_pos(c, 0, 1000), pp_pos(c, 0, 1000), big / 2, big / 2,
                pp_hsv(c, c->hue + pp_in(c, -spread / 2, spread / 2), pp_in(c, 40, 180), 255), pp_in(c, 16000, 46000), 30000);
}

/* Leaves close by: foliage, litter, one blade with its ribs. */
static void pp_scene_leaf(pp_canvas *c)
{
    static const int tints[][3] = {{0x1c4418, 0x6ca438, 0x0c1c0c}, {0x8c3c10, 0xe89028, 0x2c1c10}, {0x6c1410, 0xd84028, 0x1c0c0c},
                                   {0x8c7010, 0xf0d048, 0x3c3418}, {0x10402c, 0x48906c, 0x081810}, {0x4c6010, 0xb8cc48, 0x182008},
                                   {0x503018, 0xa87848, 0x1c140c}, {0x386048, 0xa8c4a8, 0x142018}, {0x4c1430, 0xa03c68, 0x180810}};
    const int *t = tints[pp_style(c, PP_COUNT(tints))], *o = tints[pp_in(c, 0, PP_COUNT(tints) - 1)];
    int style = pp_in(c, 0, 4), k, n;
    pp_rgb ground = pp_vary(c, t[2], 8);
    pp_gradient(c, 0, PP_ONE, ground, pp_scale(ground, 40000));
    if (style < 3) { /* many */
        int count = style == 0 ? 130 : 60, size = style == 0 ? PP_K(230) : PP_K(380), way = pp_in(c, 0, 65535), loose = pp_in(c, 6000, 65535);
        for (k = 0; k < count; k++) {
            pp_blade l = {0, 0, 0, 0, 0, 0, 0, 0, {0, 0, 0}, {0, 0, 0}};
            const int *p = style == 2 && pp_in(c, 0, 2) == 0 ? o : t;
            int near_by = 20000 + k * 46000 / count;
            l.angle = way + pp_in(c, -loose / 2, loose / 2);
            l.x = pp_pos(c, -50, 1050) - pp_mul(size / 2, pp_cos(l.angle));
            l.y = pp_pos(c, -50, 1050) - pp_mul(size / 2, pp_sin(l.angle));
            l.length = size * pp_in(c, 70, 120) / 100;
            l.width = l.length * pp_in(c, 36, 56) / 100;
            l.belly = -26000;
            l.bend = pp_in(c, -20000, 20000);
            l.veins = pp_in(c, 7000, 18000);
            l.foot = pp_scale(pp_vary(c, p[0], 12), near_by);
            l.tip = pp_scale(pp_vary(c, p[1], 18), near_by);
            pp_leaf(c, &l);
        }
    } else if (style == 3) { /* one blade fills the picture */
        pp_blade l = {0, 0, 0, 0, 0, -14000, 0, 16000, {0, 0, 0}, {0, 0, 0}};
        pp_blotches(c, pp_vary(c, t[0], 20), 3, 50000, pp_seed(c));
        l.angle = pp_in(c, 0, 65535);
        l.length = pp_pos(c, 1100, 1700);
        l.width = pp_pos(c, 700, 1400);
        l.x = 32768 - pp_mul(l.length / 2, pp_cos(l.angle));
        l.y = 32768 - pp_mul(l.length / 2, pp_sin(l.angle));
        l.foot = pp_scale(pp_vary(c, t[1], 10), 44000);
        l.tip = pp_vary(c, t[1], 20);
        pp_leaf(c, &l);
        for (k = pp_in(c, 0, 1) * 40; k > 0; k--) /* drops */
            n = pp_pos(c, 8, 26), pp_ball(c, pp_pos(c, 50, 950), pp_pos(c, 50, 950), n, n, pp_scale(l.tip, 76000), PP_ONE, 0);
    } else { /* a twig or a fern */
        int x = pp_pos(c, 300, 700), lean = pp_pos(c, -200, 200), pairs = pp_in(c, 6, 14);
        pp_blotches(c, pp_vary(c, t[0], 20), 3, 56000, pp_seed(c));
        pp_blotches(c, pp_vary(c, t[1], 20), 4, 26000, pp_seed(c));
        pp_soften(c, PP_K(30));
        pp_stroke(c, x, PP_ONE, x + lean, 0, PP_K(24), PP_K(10), pp_vary(c, 0x604828, 14), pp_vary(c, t[1], 14), 20000);
        for (k = 0; k < pairs; k++)
            for (n = -1; n <= 1; n += 2) {
                pp_blade l = {0, 0, 0, 0, 0, -20000, 0, 14000, {0, 0, 0}, {0, 0, 0}};
                int at = (pairs - k) * PP_ONE / pairs;
                l.x = x + pp_mul(lean, PP_ONE - at);
                l.y = at;
                l.angle = 49152 + n * pp_in(c, 8000, 12000);
                l.length = PP_K(430) - k * PP_K(250) / pairs;
                l.width = PP_ONE * 6 / 10 / pairs + PP_K(60);
                l.bend = n * 12000;
                l.foot = pp_vary(c, t[0], 10);
                l.tip = pp_vary(c, t[1], 16);
                pp_leaf(c, &l);
            }
    }
}

/* Boards of wood. */
static void pp_scene_wood(pp_canvas *c)
{
    static const int woods[][2] = {{0xb0783c, 0x6c4020}, {0x8c8478, 0x4c4840}, {0x5c3820, 0x2c1810}, {0xd8b888, 0xa07848},
                                   {0x3c6c7c, 0x8ca0a0}, {0x98402c, 0x501c14}, {0xe0dcd4, 0xa8a098}};
    const int *w = woods[pp_style(c, PP_COUNT(woods))];
    int boards = pp_in(c, 2, 6), across = pp_in(c, 0, 1), i, j;
    uint32_t seed = pp_seed(c);
    pp_rgb a = pp_vary(c, w[0], 14), b = pp_vary(c, w[1], 14);
    for (j = 0; j < c->h; j++)
        for (i = 0; i < c->w; i++) {
            int u = across ? pp_y(c, j) : pp_x(c, i), v = across ? pp_x(c, i) : pp_y(c, j), cu = u * boards, board = cu >> 16;
            int edge = 32768 - pp_abs((cu & 65535) - 32768);
            uint32_t h = pp_hash((uint32_t)board * 0x9e3779b9u + seed);
            int bow = pp_fbm(u * 3, v * 2 + (int)(h & 0xfffff), c->px * 3, 2, seed + h), ring = pp_sin(u * boards * 4 + bow * 5) / 2 + 32768;
            int fibre = pp_fbm(u * 60, v * 4 + (int)(h & 0xfffff), c->px * 30, 3, seed + 1);
            pp_rgb p = pp_mix(a, b, ring / 2 + fibre);
            p = pp_scale(p, 50000 + (int)(h >> 16 & 0x7fff) + fibre / 3);
            *pp_at(c, i, j) = pp_scale(p, 9000 + pp_mul(pp_smooth(0, c->px * boards * 2, edge), 56000));
        }
}

/* The sky at night: stars, the moon, a dark land. */
static void pp_scene_night(pp_canvas *c)
{
    static const int nights[][2] = {{0x040818, 0x142848}, {0x080814, 0x2c2040}, {0x02040a, 0x0c1c24}, {0x0c1838, 0x486088}, {0x041418, 0x1c5848}};
    const int *t = nights[pp_style(c, PP_COUNT(nights))];
    int k, moon = pp_in(c, 0, 1), x = pp_pos(c, 250, 750), y = pp_pos(c, 150, 450), r = pp_pos(c, 50, 190);
    pp_hill m = {PP_K(980), PP_K(260), 3, 5, 0, 9000, 0, {0, 0, 0}, {0, 0, 0}, 0};
    pp_gradient(c, 0, PP_ONE, pp_vary(c, t[0], 6), pp_vary(c, t[1], 14));
    if (!moon) {
        pp_blotches(c, pp_vary(c, 0x8080b0, 40), 3, 26000, pp_seed(c));
        pp_blotches(c, pp_vary(c, t[1], 50), 5, 30000, pp_seed(c));
    }
    for (k = 0; k < 150; k++) {
        int s = pp_pos(c, 2, 5);
        pp_disc(c, pp_pos(c, 0, 1000), pp_pos(c, 0, 1000), s, s, pp_vary(c, 0xe8ecf8, 14), pp_in(c, 9000, PP_ONE), 0);
    }
    if (moon) {
        pp_glow(c, x, y, r * 4, pp_vary(c, 0x8090b0, 14));
        pp_ball(c, x, y, r, r, pp_vary(c, 0xf0ecd8, 8), 0, 22000);
        pp_clouds(c, PP_ONE, pp_vary(c, 0x788498, 14), pp_ink(c, t[0]), -4000, 2, 180000, 0, 36000);
    }
    m.top = pp_scale(pp_ink(c, t[1]), 16000);
    m.bottom = pp_ink(c, 0x020304);
    m.seed = pp_seed(c);
    pp_ridge(c, &m);
}

/* Fur, short and long, plain and striped. */
static void pp_scene_fur(pp_canvas *c)
{
    static const int furs[][2] = {{0xc88040, 0x5c3014}, {0x8c8480, 0x34302c}, {0xe8d8c0, 0xb09070}, {0x3c2c24, 0x100c0a},
                                  {0xd8a878, 0x2c1c14}, {0xf0ece8, 0xa8a4a0}, {0xa86838, 0xf0e0c8}};
    const int *f = furs[pp_style(c, PP_COUNT(furs))];
    uint32_t seed = pp_seed(c);
    int i, j, way = pp_in(c, 0, 65535), striped = pp_in(c, 0, 1), co = pp_cos(way), si = pp_sin(way);
    pp_rgb a = pp_vary(c, f[0], 14), b = pp_vary(c, f[1], 14);
    for (j = 0; j < c->h; j++)
        for (i = 0; i < c->w; i++) {
            int x = pp_x(c, i), y = pp_y(c, j), swirl = pp_fbm(x * 2, y * 2, c->px, 2, seed);
            int u = pp_mul(x, co) - pp_mul(y, si) + swirl / 5, v = pp_mul(x, si) + pp_mul(y, co);
            int n = pp_fbm(u * 46, v * 7, c->px * 24, 3, seed + 1), lock = pp_fbm(u * 12, v * 4, c->px * 8, 2, seed + 2);
            int t = 14000 + n / 2 + lock / 2;
            if (striped) t += pp_smooth(-9000, 9000, pp_sin(v * 4 + swirl + n / 5)) * 3 / 5;
            *pp_at(c, i, j) = pp_scale(pp_mix(a, b, t), PP_ONE + n + lock / 2 + swirl / 3);
        }
}

static const struct {
    char letter;
    void (*paint)(pp_canvas *c);
} pp_families[] = {{'S', pp_scene_sky},    {'U', pp_scene_dusk},  {'M', pp_scene_mountain}, {'R', pp_scene_forest}, {'F', pp_scene_flower},
                   {'V', pp_scene_meadow}, {'H', pp_scene_house}, {'T', pp_scene_town},     {'K', pp_scene_cloth},  {'W', pp_scene_water},
                   {'O', pp_scene_fruit},  {'D', pp_scene_dune},  {'N', pp_scene_snow},     {'G', pp_scene_stone},  {'B', pp_scene_bokeh},
                   {'L', pp_scene_leaf},   {'P', pp_scene_wood},  {'Y', pp_scene_night},    {'I', pp_scene_fur}};

/* -------------------------------------------------------------------------------------------------------------- the set */

static int pp_open(pp_canvas *c, int width, int height)
{
    int i, y = 0;
    if (width < 1 || height < 1 || width > 16384 || height > 16384) return 0;
    c->w = width;
    c->h = height;
    c->side = width > height ? width : height;
    c->ox = (c->side - width) * 32;
    c->oy = (c->side - height) * 32;
    c->px = PP_ONE / c->side;
    c->member = c->hue = 0;
    c->light = 1;
    c->exposure = c->saturation = PP_ONE;
    c->warmth = c->contrast = c->vignette = c->grain = 0;
    for (i = 0; i <= 16384; i++) { /* display value = square root of the light, in steps of 1/4096 */
        while ((y + 1) * (y + 1) <= i * 1024) y++;
        c->tone[i] = (uint16_t)(y * 16 > 65535 ? 65535 : y * 16);
    }
    c->at = (pp_rgb *)calloc((size_t)width * (size_t)height, sizeof *c->at);
    c->line = (pp_rgb *)calloc((size_t)c->side, sizeof *c->line);
    c->z = (int *)calloc((size_t)width * (size_t)height, sizeof *c->z);
    return c->at && c->line && c->z;
}
static void pp_close(pp_canvas *c)
{
    free(c->at);
    free(c->line);
    free(c->z);
    free(c);
}

static inline int procedural_photo(int index, int width, int height, uint8_t *rgb)
{
    /* Which family the pictures 50 k + 0 ... 50 k + 49 belong to: any run of 50 is a small set of its own. */
    static const char order[] = "SFUKMRHOTWVLGDNBFKPSUMRHFTOVWLGYIDNBFKSUMRHOTWVLKF";
    pp_canvas *c = (pp_canvas *)calloc(1, sizeof *c);
    int done = 0;
    if (c && pp_open(c, width, height)) {
        int place = (int)((uint32_t)index % 50u), same = 0, before = 0, i;
        for (i = 0; i < 50; i++)
            if (order[i] == order[place]) {
                same++;
                before += i < place;
            }
        c->member = (int)((uint32_t)index / 50u % 1000000u) * same + before;
        c->state = pp_hash((uint32_t)index * 0x3c6ef372u + 77u);
        c->hue = (int)((uint32_t)c->member * 40503u & 65535u);
        c->light = pp_in(c, 0, 1) ? 1 : -1;
        c->exposure = pp_in(c, 54000, 80000);
        if (pp_in(c, 0, 6) == 0)
            c->exposure = pp_in(c, 16000, 40000); /* in the shade or at nightfall */
        else if (pp_in(c, 0, 8) == 0)
            c->exposure = pp_in(c, 86000, 110000);
        c->warmth = pp_in(c, -5000, 6500);
        c->contrast = pp_in(c, 6000, 30000);
        c->vignette = pp_in(c, 0, 26000);
        c->grain = pp_in(c, 300, 1900);
        c->saturation = pp_in(c, 56000, 80000);
        for (i = 0; i < PP_COUNT(pp_families) - 1 && pp_families[i].letter != order[place];) i++;
        pp_families[i].paint(c);
        pp_develop(c, rgb);
        done = 1;
    }
    if (c) pp_close(c);
    return done;
}

/* ------------------------------------------------------------------------------------------------------------ the clip */

/* A hot-air balloon with striped gores; (x, y) is the middle of its widest part. */
static void pp_balloon(pp_canvas *c, int x, int y, int r)
{
    pp_box b = pp_around(c, x - r, y - r, x + r, y + r * 4 / 3);
    pp_rgb red = pp_ink(c, 0xd8281c), yellow = pp_ink(c, 0xffd83a), rope = pp_ink(c, 0x30241c), basket = pp_ink(c, 0x6a4424);
    int i, j, q[8];
    for (j = b.j0; j < b.j1; j++) {
        int ny = pp_div(pp_y(c, j) - y, r), taper = pp_mul(ny, PP_K(770)), half;
        if (ny > PP_K(1300)) break;
        half = PP_ONE - pp_mul(pp_mul(taper, taper), PP_K(780));
        if (ny < 0) { /* the root of 1 - ny * ny, by bisection */
            int low = 0, high = PP_ONE, want = PP_ONE - pp_mul(ny, ny);
            while (low + 1 < high) {
                int middle = (low + high) / 2;
                if (pp_mul(middle, middle) <= want)
                    low = middle;
                else
                    high = middle;
            }
            half = low;
        }
        for (i = b.i0; i < b.i1; i++) {
            int dx = pp_div(pp_x(c, i) - x, r), cover = pp_cover(c, pp_mul(half - pp_abs(dx), r)), s, gore = 0, k;
            if (cover <= 0 || half < 400) continue;
            s = pp_clamp(pp_div(dx, half), -PP_ONE, PP_ONE);
            for (k = -5; k <= 5; k += 2) gore += s > pp_sin(k * PP_ONE / 24); /* six stripes across the visible half */
            pp_put(c, i, j, pp_scale(gore & 1 ? yellow : red, 52000 + s * 17 / 64 - pp_mul(s, s) / 4 - ny / 6), cover);
        }
    }
    for (i = -1; i <= 1; i += 2) pp_stroke(c, x + i * r / 5, y + r * 5 / 4, x + i * r / 8, y + r * 8 / 5, r / 30, r / 30, rope, rope, 0);
    q[0] = q[6] = x - r / 6;
    q[2] = q[4] = x + r / 6;
    q[1] = q[3] = y + r * 31 / 20;
    q[5] = q[7] = y + r * 37 / 20;
    pp_quad(c, q, basket, pp_scale(basket, 36000));
}

/* The panorama of the first scene: snowy mountains, hills, fields, a lake, a farm; it goes on to the right of the first frame. */
static void pp_clip_land(pp_canvas *c)
{
    static const int trees[][2] = {{60, 30}, {130, 42}, {250, 30}, {700, 40}, {790, 52}, {1010, 46}, {1120, 58}, {1190, 40}};
    pp_hill m = {PP_K(580), PP_K(300), 3, 6, 80000, 6000, 0, {0, 0, 0}, {0, 0, 0}, 11};
    pp_rgb haze = pp_ink(c, 0xcfe4f4), wall = pp_ink(c, 0xf4ecdc), roof = pp_ink(c, 0xb83a20), door = pp_ink(c, 0x503020);
    int k, q[8];
    pp_gradient(c, PP_K(180), PP_K(560), pp_ink(c, 0x1f68c8), haze);
    pp_clouds(c, PP_K(600), pp_ink(c, 0xffffff), pp_ink(c, 0xa4b8d0), 2000, 3, 110000, 0, 14000);
    m.snow = PP_K(70);
    m.top = pp_ink(c, 0x64708c);
    m.bottom = pp_mix(pp_ink(c, 0x4a6480), haze, 20000);
    pp_ridge(c, &m);
    m.base = PP_K(610);
    m.height = PP_K(200);
    m.octaves = 4;
    m.snow = 0;
    m.rock = 20000;
    m.grainy = 16000;
    m.top = pp_ink(c, 0x3c7048);
    m.bottom = pp_ink(c, 0x2c5434);
    m.seed = 29;
    pp_ridge(c, &m);
    pp_water(c, PP_K(590), pp_ink(c, 0x1c5c94), 16000, 16000);
    m.base = PP_K(720);
    m.height = PP_K(150);
    m.cells = 2;
    m.octaves = 3;
    m.rock = 12000;
    m.grainy = 20000;
    m.top = pp_ink(c, 0x9cc83c);
    m.bottom = pp_ink(c, 0x5c8c28);
    m.seed = 43;
    pp_ridge(c, &m);
    for (k = 0; k < PP_COUNT(trees); k++) {
        int x = PP_K(trees[k][0]), r = PP_K(trees[k][1]), y = PP_K(690);
        pp_stroke(c, x, y + r, x, y - r, r / 4, r / 5, door, door, 0);
        pp_foliage(c, x, y - r * 3 / 2, r, r * 5 / 4, pp_ink(c, 0x14401c), pp_ink(c, 0x4c9c38), 16);
    }
    q[0] = q[6] = PP_K(440);
    q[2] = q[4] = PP_K(580);
    q[1] = q[3] = PP_K(620);
    q[5] = q[7] = PP_K(715);
    pp_quad(c, q, wall, pp_scale(wall, 52000));
    q[0] = PP_K(455);
    q[2] = PP_K(565);
    q[4] = PP_K(600);
    q[6] = PP_K(420);
    q[1] = q[3] = PP_K(565);
    q[5] = q[7] = PP_K(625);
    pp_quad(c, q, roof, pp_scale(roof, 48000));
    for (k = 0; k < 3; k++) {
        q[0] = q[6] = PP_K(458) + k * PP_K(42);
        q[2] = q[4] = q[0] + PP_K(20);
        q[1] = q[3] = PP_K(645);
        q[5] = q[7] = k == 1 ? PP_K(715) : PP_K(675);
        pp_quad(c, q, door, door);
    }
    m.base = PP_K(800);
    m.height = PP_K(90);
    m.cells = 3;
    m.top = pp_ink(c, 0xe8c02c);
    m.bottom = pp_ink(c, 0xb08c18);
    m.grainy = 40000;
    m.seed = 57;
    pp_ridge(c, &m);
}

/* The second scene: a lighthouse on a headland, the sea after sunset. */
static void pp_clip_sea(pp_canvas *c)
{
    pp_hill m = {PP_K(610), PP_K(50), 4, 4, 0, 0, 0, {0, 0, 0}, {0, 0, 0}, 5};
    pp_rgb red = pp_ink(c, 0xb82420), white = pp_ink(c, 0xe8e0dc), iron = pp_ink(c, 0x18141c), lamp = pp_ink(c, 0xfff4c0);
    int x = PP_K(770), foot = PP_K(610), top = PP_K(340), k, i, j, q[8];
    pp_gradient(c, PP_K(150), PP_K(440), pp_ink(c, 0x141c4c), pp_ink(c, 0x8a4a80));
    pp_gradient(c, PP_K(440), PP_K(600), pp_ink(c, 0x8a4a80), pp_ink(c, 0xf08c50));
    pp_glow(c, PP_K(540), PP_K(590), PP_K(300), pp_ink(c, 0xd08040));
    pp_disc(c, PP_K(540), PP_K(585), PP_K(50), PP_K(50), pp_ink(c, 0xfff0b8), PP_ONE, 0);
    pp_clouds(c, PP_K(600), pp_ink(c, 0xff9a70), pp_ink(c, 0x503060), -2000, 2, 220000, 0, 26000);
    m.top = m.bottom = pp_ink(c, 0x5c3a64);
    pp_ridge(c, &m);
    pp_water(c, PP_K(600), pp_ink(c, 0x182450), 14000, 60000);
    pp_glow(c, x, top - PP_K(28), PP_K(240), pp_scale(lamp, 40000));
    for (k = 0; k < 5; k++) { /* five bands, the tower narrows upwards */
        int y0 = top + (foot - top) * k / 5, y1 = top + (foot - top) * (k + 1) / 5, w0 = PP_K(44) + k * PP_K(6), w1 = w0 + PP_K(6);
        pp_stroke(c, x, y0, x, y1, 2 * w0, 2 * w1, k & 1 ? white : red, k & 1 ? white : red, 34000);
    }
    for (k = 0; k < 4; k++) { /* foot, gallery, lamp, roof */
        static const int part[4][3] = {{76, 596, 662}, {62, 326, 346}, {34, 278, 328}, {46, 246, 280}};
        q[0] = x - PP_K(part[k][0]) / (k == 3 ? 4 : 1);
        q[2] = x + PP_K(part[k][0]) / (k == 3 ? 4 : 1);
        q[4] = x + PP_K(part[k][0]);
        q[6] = x - PP_K(part[k][0]);
        q[1] = q[3] = PP_K(part[k][1]);
        q[5] = q[7] = PP_K(part[k][2]);
        pp_quad(c, q, k == 2 ? lamp : k == 3 ? red : iron, k == 2 ? pp_ink(c, 0xffd868) : k == 3 ? pp_scale(red, 40000) : iron);
    }
    pp_glow(c, x, top - PP_K(32), PP_K(90), lamp);
    for (i = 0; i < c->w; i++) { /* the headland */
        int px = pp_x(c, i), line = PP_K(850) - pp_smooth(PP_K(520), PP_K(780), px) * 24 / 100 + pp_fbm(px * 9, 31, c->px * 9, 4, 71) / 40;
        for (j = pp_row(c, line - c->px); j < c->h; j++) {
            int py = pp_y(c, j), n = pp_fbm(px * 12, py * 9, c->px * 12, 4, 73), turf = pp_smooth(PP_K(50), PP_K(8), py - line + n / 30);
            pp_rgb p = pp_mix(pp_scale(pp_ink(c, 0x4a3840), PP_ONE + n), pp_scale(pp_ink(c, 0x4c5a34), PP_ONE + n / 2), turf);
            pp_put(c, i, j, p, pp_cover(c, py - line));
        }
    }
}

static inline int procedural_pan(int width, int height) { return (width > height ? width : height) * 5 / 8; }

static inline int procedural_frame(int frame, int width, int height, uint8_t *rgb)
{
    pp_canvas *c = (pp_canvas *)calloc(1, sizeof *c);
    int done = 0;
    if (c && frame >= 0 && frame < PROCEDURAL_FRAMES && pp_open(c, width, height)) {
        int pan = procedural_pan(width, height);
        c->contrast = 14000;
        c->saturation = 74000;
        c->state = frame < PROCEDURAL_CUT ? 101 : 202;
        if (frame < PROCEDURAL_CUT) {
            /* The camera moves to the right; the balloon flies ahead of it, so on the screen it moves against the scenery. */
            int flown = (int)((int64_t)frame * pan * 7 / 4 * 1024 / c->side);
            c->ox += frame * pan;
            pp_clip_land(c);
            pp_balloon(c, PP_K(290) + flown, PP_K(415) - frame * PP_K(3), PP_K(140));
        } else {
            int x = PP_K(150) + (frame - PROCEDURAL_CUT) * PP_K(20), y = PP_K(690), k;
            pp_rgb hull = pp_ink(c, 0x141020), sail = pp_ink(c, 0xfff4e4);
            c->light = -1;
            pp_clip_sea(c);
            for (k = 0; k < 7; k++)
                pp_disc(c, x + (k & 1) * PP_K(6), y + k * PP_K(11), PP_K(78) - k * PP_K(8), PP_K(5), pp_scale(sail, 40000), 30000, 0);
            pp_boat(c, x, y, PP_K(250), hull, sail);
        }
        pp_develop(c, rgb);
        done = 1;
    }
    if (c) pp_close(c);
    return done;
}

typedef char pp_places_suffice[PP_PLACE < PP_PLACES ? 1 : -1];

#undef pp_in
#undef pp_pos
#undef pp_seed
#undef pp_vary
#if defined(__clang__) && defined(__has_warning)
#pragma clang diagnostic pop
#endif
#endif
