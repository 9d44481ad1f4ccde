/* mosaic_live.c - a video or a camera as a mosaic of photographs, live in a window.

   cc -O2 -fopenmp examples/mosaic_live.c $(pkg-config --cflags --libs sdl2 libavdevice libavformat libavcodec libavutil libswscale) -lm -o mosaic_live

   ./mosaic_live --input film.mp4 --tiles photographs
   ./mosaic_live --camera /dev/video0 --tiles photographs

   Keys: left, right the dial · p preset · up, down cells · tab source or mosaic · space pause · f full screen · q end.
   The photographs are read once, larger than the cells, and reduced anew when the cells change. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#define SDL_MAIN_HANDLED
#define MOSAIC_TEMPORAL_IMPLEMENTATION
#include "../mosaic_temporal.h"

#include "util/options.h"
#include "util/pool_files.h"
#include "util/video_in.h"
#include <SDL.h>
#include <libavdevice/avdevice.h>
#ifdef _OPENMP
#include <omp.h>
#endif

enum { DONE = 0, FAILED = 1, MISUSED = 2 };
enum { MASTER = 96 };              /* px: the size in which photographs are kept */
enum { LEAST = 24, MOST = 20000 }; /* cells */
enum { PRESS_EVERY = 5 };          /* frames between the keys of --press */

typedef struct live {
    /* as on the command line; the keys change the first four */
    int cells, preset;
    double dial; /* below 0: the preset's */
    int height;
    const char *input, *camera, *camera_format, *pool, *press;
    option_list tiles;
    int count, help;

    video_in *in;
    video_in_info source;
    pool_files master;
    mosaic_pool *photos;
    mosaic_grid grid;
    mosaic_engine *engine;
    mosaic_flow_options flow;
    unsigned char *rgb; /* of the source */

    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *mosaic, *plain; /* what is shown: the mosaic, and the source */
    int paused, show_source, full, ended, renew;
    long long frames;
    double told, fps;
    int since; /* frames since the title was written */
    const mosaic_frame *frame;
} live;

static volatile sig_atomic_t never; /* pool_files.h wants to know when to stop */

static int say(int code, const char *what, const char *why)
{
    fprintf(stderr, why ? "mosaic_live: %s: %s\n" : "mosaic_live: %s\n", what, why);
    return code;
}

static void run_jobs(void *ctx, void (*job)(void *arg, int index), void *arg, int count)
{
    int i;
    (void)ctx;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic)
#endif
    for (i = 0; i < count; i++) job(arg, i);
}

/* ---- what the keys change ---- */

/* Tiles of the cells' size, made of the ones that are kept. */
static mosaic_pool *reduce_photos(const live *l, const mosaic_grid *grid)
{
    mosaic_pool *pool = NULL;
    unsigned char *tile = (unsigned char *)malloc((size_t)grid->cell_width * (size_t)grid->cell_height * 3);
    int ok = tile && mosaic_pool_create(grid->cell_width, grid->cell_height, NULL, &pool) == MOSAIC_OK, i;
    for (i = 0; ok && i < mosaic_pool_photos(l->master.pool); i++) {
        ok = mosaic_tile_reduce(mosaic_pool_pixels(l->master.pool, i), MASTER, MASTER, MASTER * 3, grid->cell_width, grid->cell_height, tile, NULL) ==
                 MOSAIC_OK &&
             mosaic_pool_add(pool, tile, mosaic_pool_name(l->master.pool, i), 0) == MOSAIC_OK;
    }
    free(tile);
    if (ok) return pool;
    mosaic_pool_destroy(pool);
    return NULL;
}

static void forget_engine(live *l)
{
    mosaic_close(l->engine);
    mosaic_pool_destroy(l->photos);
    if (l->mosaic) SDL_DestroyTexture(l->mosaic);
    l->engine = NULL;
    l->photos = NULL;
    l->mosaic = NULL;
    l->frame = NULL;
}

/* An engine for the settings of the moment. Photographs are repeated as often as needed: a window that refuses to show anything helps nobody. */
static int begin_engine(live *l)
{
    mosaic_fit fit;
    mosaic_options o;
    mosaic_result result;
    forget_engine(l);
    memset(&fit, 0, sizeof fit);
    fit.cells = l->cells;
    fit.height = l->height;
    result = mosaic_grid_fit(l->source.width, l->source.height, &fit, &l->grid);
    if (result) return say(FAILED, "no grid of so many cells", mosaic_result_string(result));
    l->photos = reduce_photos(l, &l->grid);
    if (!l->photos) return say(FAILED, "photographs", "out of memory");
    memset(&o, 0, sizeof o);
    o.preset = (mosaic_preset)l->preset;
    o.coherence = l->dial < 0 ? 0 : l->dial > 0 ? (float)l->dial : (float)MOSAIC_OFF;
    o.flow = &l->flow;
    o.run = run_jobs;
    if (mosaic_photos_missing(&l->grid, mosaic_pool_photos(l->photos), &o) > 0) o.max_uses = MOSAIC_OFF;
    result = mosaic_open(&l->grid, l->photos, &o, &l->engine);
    if (result) return say(FAILED, "the mosaic cannot be started", mosaic_result_string(result));
    l->mosaic = SDL_CreateTexture(l->renderer, SDL_PIXELFORMAT_RGB24, SDL_TEXTUREACCESS_STREAMING, l->grid.width, l->grid.height);
    return l->mosaic ? DONE : say(FAILED, "no picture can be shown", SDL_GetError());
}

static void press(live *l, SDL_Keycode key)
{
    switch (key) {
    case SDLK_LEFT:
    case SDLK_RIGHT:
        if (l->dial < 0) l->dial = .5;
        l->dial += key == SDLK_RIGHT ? .1 : -.1;
        l->dial = l->dial < .05 ? 0 : l->dial > .95 ? 1 : l->dial;
        l->renew = 1;
        break;
    case SDLK_UP:
    case SDLK_DOWN:
        l->cells = key == SDLK_UP ? l->cells * 5 / 4 + 1 : l->cells * 4 / 5;
        l->cells = l->cells < LEAST ? LEAST : l->cells > MOST ? MOST : l->cells;
        l->renew = 1;
        break;
    case SDLK_p:
        l->preset = (l->preset + 1) % MOSAIC_PRESETS;
        l->renew = 1;
        break;
    case SDLK_TAB: l->show_source = !l->show_source; break;
    case SDLK_SPACE: l->paused = !l->paused; break;
    case SDLK_f:
        l->full = !l->full;
        SDL_SetWindowFullscreen(l->window, l->full ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
        break;
    case SDLK_q:
    case SDLK_ESCAPE: l->ended = 1; break;
    default: break;
    }
}

/* ---- the window ---- */

static int open_window(live *l)
{
    if (SDL_Init(SDL_INIT_VIDEO)) return say(FAILED, "no window can be opened", SDL_GetError());
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
    l->window = SDL_CreateWindow("mosaic", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED,
                                 (int)((int64_t)l->height * l->source.width / l->source.height), l->height, SDL_WINDOW_RESIZABLE);
    if (l->window) l->renderer = SDL_CreateRenderer(l->window, -1, 0);
    if (l->renderer) l->plain = SDL_CreateTexture(l->renderer, SDL_PIXELFORMAT_RGB24, SDL_TEXTUREACCESS_STREAMING, l->source.width, l->source.height);
    return l->plain ? DONE : say(FAILED, "no window can be opened", SDL_GetError());
}

static void show(live *l)
{
    SDL_Texture *shown = l->show_source ? l->plain : l->mosaic;
    const int width = l->show_source ? l->source.width : l->grid.width, height = l->show_source ? l->source.height : l->grid.height;
    SDL_Rect place;
    int w, h;
    if (l->frame) SDL_UpdateTexture(l->mosaic, NULL, l->frame->rgb, (int)l->frame->stride);
    SDL_UpdateTexture(l->plain, NULL, l->rgb, 3 * l->source.width);
    SDL_GetRendererOutputSize(l->renderer, &w, &h);
    place.w = (int64_t)w * height <= (int64_t)h * width ? w : (int)((int64_t)h * width / height);
    place.h = (int64_t)w * height <= (int64_t)h * width ? (int)((int64_t)w * height / width) : h;
    place.x = (w - place.w) / 2;
    place.y = (h - place.h) / 2;
    SDL_RenderClear(l->renderer);
    SDL_RenderCopy(l->renderer, shown, NULL, &place);
    SDL_RenderPresent(l->renderer);
}

static void state_of(const live *l, char *text, size_t size)
{
    char dial[32] = "the preset's";
    if (l->dial >= 0) snprintf(dial, sizeof dial, "%.1f", l->dial);
    snprintf(text, size, "%.1f fps, %dx%d cells, dial %s, %s%s%s", l->fps, l->grid.cols, l->grid.rows, dial, mosaic_preset_name(l->preset),
             l->show_source ? ", source" : "", l->paused ? ", paused" : "");
}

static double seconds(void) { return (double)SDL_GetPerformanceCounter() / (double)SDL_GetPerformanceFrequency(); }

static void tell(live *l, int now)
{
    const double t = seconds();
    char text[200], title[220];
    l->since += !l->paused;
    if (!now && t - l->told < .5) return;
    if (t > l->told && l->since) l->fps = l->since / (t - l->told);
    l->told = t;
    l->since = 0;
    state_of(l, text, sizeof text);
    snprintf(title, sizeof title, "mosaic: %s", text);
    SDL_SetWindowTitle(l->window, title);
}

/* ---- the frames ---- */

/* One source frame and its mosaic. */
static int next_frame(live *l)
{
    char err[600] = "";
    mosaic_input input;
    mosaic_result result;
    const int got = video_in_read(l->in, l->rgb, err, sizeof err);
    if (got < 0) return say(FAILED, err, NULL);
    if (got == 0 || (l->count && l->frames == l->count)) {
        l->ended = 1;
        return DONE;
    }
    memset(&input, 0, sizeof input);
    input.rgb = l->rgb;
    input.stride = 3 * (size_t)l->source.width;
    result = mosaic_push(l->engine, &input, &l->frame);
    if (result) return say(FAILED, "frame", mosaic_result_string(result));
    l->frames++;
    return DONE;
}

/* Lets the keys of --press go the way of all keys. */
static void press_by_itself(live *l)
{
    SDL_Event e;
    const char *key = l->press;
    if (!key || !*key || l->frames % PRESS_EVERY) return;
    memset(&e, 0, sizeof e);
    e.type = SDL_KEYDOWN;
    e.key.keysym.sym = *key == '<'   ? SDLK_LEFT
                       : *key == '>' ? SDLK_RIGHT
                       : *key == '+' ? SDLK_UP
                       : *key == '-' ? SDLK_DOWN
                       : *key == 't' ? SDLK_TAB
                                     : *key;
    SDL_PushEvent(&e);
    l->press++;
}

static int watch(live *l)
{
    const double step = (double)l->source.fps_den / l->source.fps_num;
    double due = seconds();
    int code = DONE;
    l->told = due;
    while (!code && !l->ended) {
        SDL_Event e;
        while (SDL_PollEvent(&e)) {
            if (e.type == SDL_QUIT) l->ended = 1;
            if (e.type == SDL_KEYDOWN) press(l, e.key.keysym.sym);
        }
        if (l->renew) code = begin_engine(l);
        if (code || l->ended) break;
        if (!l->paused || l->renew) code = next_frame(l);
        l->renew = 0;
        if (!code && !l->ended) show(l);
        tell(l, 0);
        press_by_itself(l);
        due += step; /* a file in its own time; a camera, or a machine that is too slow, in theirs */
        if (seconds() > due || l->camera) due = seconds();
        if (due > seconds()) SDL_Delay((Uint32)(1000 * (due - seconds())));
        if (l->paused) SDL_Delay(20);
    }
    return code;
}

static int read_options(live *l, int argc, char **argv)
{
    static const char *presets[MOSAIC_PRESETS + 1];
    const option table[] = {
        {"--input", "FILE", OPTION_TEXT, &l->input, 0, 0, NULL, "a video"},
        {"--camera", "DEVICE", OPTION_TEXT, &l->camera, 0, 0, NULL, "instead of it a camera: /dev/video0, or as FFmpeg calls it"},
        {"--camera-format", "NAME", OPTION_TEXT, &l->camera_format, 0, 0, NULL, "FFmpeg's kind of device (default v4l2, on a Mac avfoundation)"},
        {"--tiles", "DIR...", OPTION_LIST, &l->tiles, 0, 0, NULL, "folders with photographs, searched with all folders below"},
        {"--pool", "FILE", OPTION_TEXT, &l->pool, 0, 0, NULL, "keep the finished photographs here"},
        {"--cells", "N", OPTION_INT, &l->cells, LEAST, MOST, NULL, "about so many (default 700)"},
        {"--height", "PX", OPTION_INT, &l->height, 64, 4320, NULL, "of the mosaic (default 720)"},
        {"--coherence", "0...1", OPTION_NUMBER, &l->dial, 0, 1, NULL, "the dial (default: the preset's)"},
        {"--preset", "NAME", OPTION_CHOICE, &l->preset, 0, 0, presets, "as in mosaic_video (default default)"},
        {"--count", "N", OPTION_INT, &l->count, 1, INT_MAX, NULL, "end after so many frames (default: with the video)"},
        {"--press", "KEYS", OPTION_TEXT, &l->press, 0, 0, NULL,
         "press these keys by itself, one every five frames: letters, < > + - for the arrows, t for tab"},
        {"--help", NULL, OPTION_FLAG, &l->help, 0, 0, NULL, "this text"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, NULL},
    };
    char err[600] = "";
    int i;
    for (i = 0; i < MOSAIC_PRESETS; i++) presets[i] = mosaic_preset_name(i);
    if (options_parse(table, argc, argv, err, sizeof err)) return say(MISUSED, err, NULL);
    if (l->help) {
        printf("mosaic_live: a video or a camera as a mosaic of photographs, in a window\n\n  mosaic_live --input film.mp4 --tiles photographs\n\n");
        options_help(table, stdout);
        printf("\nKeys: left, right the dial; p preset; up, down cells; tab source or mosaic; space pause; f full screen; q end.\n");
        return DONE;
    }
    if (!l->input == !l->camera) return say(MISUSED, "give --input FILE or --camera DEVICE (--help lists all options)", NULL);
    if (!l->tiles.count) return say(MISUSED, "--tiles DIR is missing (--help lists all options)", NULL);
    return DONE;
}

static int open_source(live *l)
{
    video_in_options o;
    char err[600] = "";
    memset(&o, 0, sizeof o);
#if defined(__APPLE__)
    if (l->camera) o.device = "avfoundation";
#else
    if (l->camera) o.device = "v4l2";
#endif
    if (l->camera && l->camera_format) o.device = l->camera_format;
    avdevice_register_all();
    l->in = video_in_open(l->camera ? l->camera : l->input, &o, &l->source, err, sizeof err);
    if (!l->in) return say(FAILED, err, NULL);
    l->rgb = (unsigned char *)malloc(3 * (size_t)l->source.width * (size_t)l->source.height);
    return l->rgb ? DONE : say(FAILED, "out of memory", NULL);
}

static int read_photos(live *l)
{
    pool_files_options o;
    char err[PATH_MAX + 512] = "";
    memset(&o, 0, sizeof o);
    o.folder = l->tiles.items;
    o.folders = l->tiles.count;
    o.file = l->pool;
    o.cell_width = o.cell_height = MASTER;
    o.threads = 1;
#ifdef _OPENMP
    o.threads = omp_get_num_procs();
#endif
    o.stop = &never;
    if (pool_files_make(&l->master, &o, err, sizeof err)) return say(FAILED, err, NULL);
    return mosaic_pool_photos(l->master.pool) ? DONE : say(FAILED, l->tiles.items[0], "none of the photographs can be read");
}

static void release(live *l)
{
    forget_engine(l);
    pool_files_free(&l->master);
    video_in_close(l->in);
    free(l->rgb);
    free((void *)l->tiles.items);
    if (l->plain) SDL_DestroyTexture(l->plain);
    if (l->renderer) SDL_DestroyRenderer(l->renderer);
    if (l->window) SDL_DestroyWindow(l->window);
    SDL_Quit();
}

int main(int argc, char **argv)
{
    live l;
    char text[200];
    int code;
    memset(&l, 0, sizeof l);
    l.cells = 700;
    l.height = 720;
    l.dial = -1;
    l.flow.method = MOSAIC_FLOW_DIS;
    l.flow.width = 480;
    l.flow.height = 272;
    l.flow.run = run_jobs;
    code = read_options(&l, argc, argv);
    if (!code && !l.help) {
        code = open_source(&l);
        if (!code) code = read_photos(&l);
        if (!code) code = open_window(&l);
        if (!code) code = begin_engine(&l);
        if (!code) code = watch(&l);
        if (!code) {
            tell(&l, 1);
            state_of(&l, text, sizeof text);
            printf("mosaic_live: %lld frames; %s\n", l.frames, text);
        }
    }
    release(&l);
    return code;
}
