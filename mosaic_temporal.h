/* mosaic_temporal.h - v0.1.0 - photomosaics of video that do not flicker - MIT or public domain

   Every frame of a film is rebuilt from small photographs, and as long as a part of the picture stays what it is, so do the photographs that
   show it. Pictures come in as plain RGB; out come a draw list (which photograph stands where, in which colours) and the painted frame.

   DO THIS in one C or C++ file, with mosaic_flow.h, mosaic_lap.h and mosaic_ssim.h beside this one, and include it without the define
   everywhere else:

       #define MOSAIC_TEMPORAL_IMPLEMENTATION
       #include "mosaic_temporal.h"

   A COMPLETE PROGRAM (examples/mosaic_still.c makes real pictures in 110 lines, examples/mosaic_video.c real films)

       #define MOSAIC_TEMPORAL_IMPLEMENTATION
       #include "mosaic_temporal.h"
       #include <stdio.h>

       int main(void)
       {
           static unsigned char film[2][90][160][3], photo[32][32][3], tile[64 * 64 * 3];
           mosaic_fit fit = {0};
           mosaic_grid grid;
           mosaic_pool *pool;
           mosaic_engine *engine;
           mosaic_input input = {0};
           const mosaic_frame *frame;
           int i;

           fit.cells = 40;
           fit.height = 180;
           if (mosaic_grid_fit(160, 90, &fit, &grid) != MOSAIC_OK) return 1;
           if (mosaic_pool_create(grid.cell_width, grid.cell_height, NULL, &pool) != MOSAIC_OK) return 1;
           for (i = 0; i < 40; i++) {
               memset(photo, i * 6, sizeof photo);
               mosaic_tile_reduce(&photo[0][0][0], 32, 32, sizeof photo[0], grid.cell_width, grid.cell_height, tile, NULL);
               mosaic_pool_add(pool, tile, "a photograph", 0);
           }
           if (mosaic_open(&grid, pool, NULL, &engine) != MOSAIC_OK) return 1;
           for (i = 0; i < 2; i++) {
               input.rgb = &film[i][0][0][0];
               input.stride = sizeof film[i][0];
               if (mosaic_push(engine, &input, &frame) != MOSAIC_OK) return 1;
               printf("frame %d: %d x %d px, %d of %d cells changed\n", i, grid.width, grid.height, frame->changed, frame->cells);
           }
           mosaic_close(engine);
           mosaic_pool_destroy(pool);
           return 0;
       }

   OPTIONS (macros, defined before the implementation)

       MOSAIC_TEMPORAL_STATIC            every function static: for a library that must export nothing
       MOSAIC_TEMPORAL_API               what stands before each declaration, dllexport say
       MOSAIC_TEMPORAL_ASSERT(x)         assert() by default
       MOSAIC_TEMPORAL_NO_SIMD           scalar code only
       MOSAIC_TEMPORAL_MALLOC(ctx,size)  with MOSAIC_TEMPORAL_FREE(ctx,ptr): both or neither; malloc and free by default; ctx is the alloc_ctx of the
                                         call or of the options
       MOSAIC_TEMPORAL_FILE              what the file includes to read its own kernels again, "mosaic_temporal.h"; set it if you rename the file
       MOSAIC_TEMPORAL_SEPARATE          mosaic_flow.h, mosaic_lap.h and mosaic_ssim.h are configured and implemented by you, elsewhere; otherwise
                                         this header implements them along with itself, with the same STATIC, NO_SIMD and allocator

   HOW IT WORKS, stage by stage, each in one section of the implementation

       grid       whole cells fill the output; the source is scaled evenly and cropped by at most half a cell at a side. Cells are any rectangle; a
                  mask (options.mask) leaves some out
       describe   each cell and each photograph becomes 12 x 12 pixels, and those the means of 3 x 3 blocks and the spread, in Oklab, in integers
       camera     on request (options.grid) the grid goes with the motion that the whole picture has in common, once that is plain
       cut        a new shot begins where most cells look like nothing that stood near them a frame before; the state is reset.
                  Where the picture is back within two frames it was a flash, and the photographs of before come back too
       predict    motion (yours, or estimated) carries a lattice of 7 x 7 points a cell along with the content: it knows where in the shot's first
                  frame the content of each cell stood, and by that which photograph it shows. What is hidden for up to 12 frames finds its
                  photograph again; what moves slower than a twentieth of a cell a frame stays; after a flash of one or two frames the photographs are those of before
       recall     on request (options.recall) what is seen again, after a cut or when the camera comes back, expects the photographs that it had
       assign     cost(cell, photograph) is the error that will be left after recolouring that very pair; the photograph that is expected in a cell gets
                  a bonus. mosaic_lap.h finds the one optimum of the sum, each photograph used at most max_uses times. Where a table of all
                  costs would be large, each cell keeps a list of its cheapest photographs; prices prove that no other one matters, and where they do
                  not, the cell goes on with all costs. In the first frame of a shot
                  copies that stand too close are made dearer and the problem is solved again, at most four times; what is left then, or in later
                  frames, is repaired cell by cell. mosaic_frame.cost and .bound tell how far that is from the optimum without the distance rule
       re-rank    each cell that takes a new photograph takes, of those that cost nearly the same and are free (options.rerank of them), the one
                  whose painted picture is most similar to the cell: the mean SSIM of 12 x 12 pixels of luma, exact, by mosaic_ssim_best()
       recolour   the linear Monge-Kantorovich map of the photograph's colours to the cell's, at less than full strength, as a 3 x 4 matrix on sRGB bytes; on
                  request another matrix, and curves for what no matrix can do (options.recolour, .histogram: then the draw list has curves, mosaic_curve)
       paint      only cells whose photograph or colour changed: the matrix, a share of the source, nothing else
       finish     in presets that ask for it: borders, one table of colours for each shot (mosaic_frame.tone), local contrast and sharpness, made from
                  what was painted, for the cells that changed and those that look across to them

   MEMORY         Taken at mosaic_open, none later: 4 bytes for each cell and photograph (up to 64 MB; beyond, 4 KB for each cell), 3 for each
                  output pixel, 12 for each of the 144 describing pixels of a cell, 12 for each cell and place within min_distance, 2.5 KB for each
                  cell to follow its content, 864 bytes for each look of a photograph to re-rank or to bend, for finishing 3 to 12 for each output
                  pixel, and small things: 16 MB at 700 cells, 919 photographs and 1890 x 1080 px. A pool holds 3 bytes a pixel of each look of each
                  photograph (none of its own when loaded from a mapped file): 8 MB there.
   THREADS        An engine is used by one thread at a time; a pool that nobody changes may serve many engines. The header starts no threads: give it a
                  job hook (options.run) and it spreads describing, costs, recolouring and painting over yours, row of cells by row of cells.
   DETERMINISM    The same frames, pool and options give the same bytes on every machine, instruction set, compiler, optimisation level and number of
                  threads. Everything that is compared is an integer. The colour map is computed in doubles: + - * / in the order written,
                  contraction off, own square root, then rounded to 12 bits.
   ACCURACY AND LIMITS
                  Oklab is within .0025 of its definition. Costs are within 2 % + 10 units of theirs (a unit is 2^-18). Cells 1 to 1024 px, grids to
                  4096 x 4096 cells, pictures to 32767 px a side, 2^24 photographs. The distance rule is kept unless repair finds no free
                  photograph (mosaic_frame.too_close): it is greedy, and can fail a little before photographs run out. A grid that moves follows
                  translation, not zoom nor rotation; its cells begin at whole pixels, their photographs between them (Catmull-Rom's cubic);
                  while it follows, photographs do not travel with what moves otherwise; a GPU does not serve a grid
                  that may move.
   PERFORMANCE    AMD EPYC (Zen 4) VM, AVX-512, gcc 12 -O2; 1280x720 source, 1890x1080 out, 700 cells, 919 photographs x 4 variants, a film in which most
                  cells are painted anew; mean milliseconds of processor time a frame on one thread, engine alone, one run:
                                 describe   assign   re-rank   render   all    nothing moves
                      AVX-512       2.0       2.7      1.4       2.2     8.3        .9
                      AVX2          2.0       3.5      1.5       2.5     9.6       1.0
                      scalar        4.7      24.2      1.6       9.2    40         2.0
                  (without motion, on a machine with other work; following given motion adds .8)
                  Presets that finish, another film of that size, AVX-512, also in all and render: tile 14.8 9.3, natural 19.0 13.6, vivid 22.7 16.6, ultra
                  30.8 25.0. The table of colours takes 18 ms where a shot begins.
                  A frame that begins a shot costs up to five assignments (16 ms in all); beyond 2^26 costs one, with repair. 9,768 cells
                  and 30,000 photographs, two threads: .2 to .9 s a frame, by how many cells have changed (the first 2.7), 300 MB; 30,160 cells and 100,000
                  photographs 47 s, 970 MB. Costs are computed for 16 or 8 pairs at a time (4 by
                  NEON and WebAssembly), the rest for 8 or 16 values by AVX2, elsewhere by scalar loops. Scalar code also paints and finishes parts of cells
                  narrower than 16 px and sources that are reduced more than three times in width, and describes cells of more than 540 x 540 source px.
   LAST CHANGES   0.1.0  first version
*/
#ifndef MOSAIC_TEMPORAL__LANES /* the end of the file is read more than once, see MOSAIC_TEMPORAL_FILE */
#ifndef MOSAIC_TEMPORAL_H
#define MOSAIC_TEMPORAL_H

#include <stddef.h>
#include <stdint.h>

#ifndef MOSAIC_TEMPORAL_API
#ifdef MOSAIC_TEMPORAL_STATIC
#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC_TEMPORAL_API static __attribute__((unused))
#else
#define MOSAIC_TEMPORAL_API static
#endif
#else
#define MOSAIC_TEMPORAL_API extern
#endif
#endif

/* The parts follow the engine: static with it, on its allocator, without SIMD with it. */
#ifndef MOSAIC_TEMPORAL_SEPARATE
#ifdef MOSAIC_TEMPORAL_STATIC
#define MOSAIC_FLOW_STATIC
#define MOSAIC_LAP_STATIC
#define MOSAIC_SSIM_STATIC
#endif
#ifdef MOSAIC_TEMPORAL_NO_SIMD
#define MOSAIC_FLOW_NO_SIMD
#define MOSAIC_LAP_NO_SIMD
#define MOSAIC_SSIM_NO_SIMD
#endif
#ifdef MOSAIC_TEMPORAL_MALLOC
#define MOSAIC_FLOW_MALLOC(ctx, size) MOSAIC_TEMPORAL_MALLOC(ctx, size)
#define MOSAIC_FLOW_FREE(ctx, ptr) MOSAIC_TEMPORAL_FREE(ctx, ptr)
#define MOSAIC_LAP_MALLOC(ctx, size) MOSAIC_TEMPORAL_MALLOC(ctx, size)
#define MOSAIC_LAP_FREE(ctx, ptr) MOSAIC_TEMPORAL_FREE(ctx, ptr)
#define MOSAIC_SSIM_MALLOC(ctx, size) MOSAIC_TEMPORAL_MALLOC(ctx, size)
#define MOSAIC_SSIM_FREE(ctx, ptr) MOSAIC_TEMPORAL_FREE(ctx, ptr)
#endif
#ifdef MOSAIC_TEMPORAL_IMPLEMENTATION
#define MOSAIC_FLOW_IMPLEMENTATION
#define MOSAIC_LAP_IMPLEMENTATION
#define MOSAIC_SSIM_IMPLEMENTATION
#endif
#endif
#include "mosaic_flow.h"
#include "mosaic_lap.h"
#include "mosaic_ssim.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOSAIC_VERSION "0.1.0"

typedef enum mosaic_result {
    MOSAIC_OK = 0,
    MOSAIC_ERROR_NULL,     /* a required pointer is null */
    MOSAIC_ERROR_SIZE,     /* a size is zero, negative, too large, or overflows */
    MOSAIC_ERROR_STRIDE,   /* a row stride is smaller than a row */
    MOSAIC_ERROR_OPTION,   /* an option is outside its range or not a number */
    MOSAIC_ERROR_MEMORY,   /* an allocation failed */
    MOSAIC_ERROR_PHOTOS,   /* the pool holds too few photographs: mosaic_photos_missing says how many */
    MOSAIC_ERROR_CORRUPT,  /* a saved pool or state is damaged or cut off */
    MOSAIC_ERROR_VERSION,  /* a saved pool or state has another format version */
    MOSAIC_ERROR_MISMATCH, /* pool, grid, state or device do not belong together */
    MOSAIC_ERROR_BUFFER,   /* the buffer given is too small */
    MOSAIC_ERROR_SIMD,     /* the instruction set asked for is not there */
    MOSAIC_ERROR_MOTION,   /* a motion field without a size, or with a stride smaller than a row */
    MOSAIC_ERROR_ENDED     /* a frame was pushed after the end of the stream */
} mosaic_result;

/* A static English phrase for a result, never null. */
MOSAIC_TEMPORAL_API const char *mosaic_result_string(mosaic_result result);

/* A caller's pool of threads: calls job(arg, 0) … job(arg, count - 1), in any order, on any threads, and returns when all are done. */
typedef void (*mosaic_run)(void *run_ctx, void (*job)(void *arg, int index), void *arg, int count);

/* ---- The grid: which part of the source becomes which cell ---- */

/* Everything a stage needs to know of the geometry. Cell (col, row) covers the output pixels from origin + (col, row) * cell size; what
   lies outside the output is cut off, output outside every cell is black. mosaic_grid_fit makes one; a caller may also fill it in. Cells are painted
   from the nearest whole pixel on, with their photographs where they belong to 1/64 px. */
typedef struct mosaic_grid {
    int cols, rows;                              /* cells, 1 to 4096 each */
    int cell_width, cell_height;                 /* px, 1 to 1024 */
    int width, height;                           /* of the output, px, 1 to 32767 */
    int origin_x, origin_y;                      /* top left corner of cell (0, 0) in the output, 1/64 px */
    int source_width, source_height;             /* px, 1 to 32767 */
    int crop_x, crop_y, crop_width, crop_height; /* the part of the source that fills the output, 1/64 source px */
} mosaic_grid;

/* What is wished for; zero = the default. */
typedef struct mosaic_fit {
    int cells;                       /* about so many; 700 */
    int height;                      /* of the output, px; 1080 */
    int cell_width, cell_height;     /* px; 0 = chosen so that there are about `cells`; one of them given: the other follows */
    int aspect_width, aspect_height; /* the shape of cells that are not given whole: 3 and 2 = half as wide again as high; 0 = square */
} mosaic_fit;

/* Chooses the grid for a source: whole cells fill the output, which is the source scaled evenly and cropped, centred, by at most half a
   cell at each side. The output's height is a multiple of the cell near the height wished for. Sizes chosen here make an output of even
   width and height (video encoders want that); a cell size given is kept even when it does not. Sources so wide that the output would pass
   16384 px get a lower output. Of a shape the shorter side is whole pixels and the longer one is rounded; 1 to 4096 each, and neither more than 16
   times the other. SIZE when no such grid has between half and twice the cells wished for, or a size is out of range. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_grid_fit(int source_width, int source_height, const mosaic_fit *fit, mosaic_grid *grid);

/* Which cells a mask of pixels fills, for mosaic_options.mask: level is one byte a pixel (an alpha channel, say), width x height (1 to 32767, any size: it
   is stretched over the whole source), stride bytes from row to row. A cell is filled, 1, where its mean over the cell's place is at least 128, else 0.
   mask receives cols * rows bytes. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_mask_cells(const mosaic_grid *grid, const uint8_t *level, int width, int height, size_t stride,
                                                    uint8_t *mask);

/* ---- The pool of photographs ---- */

typedef struct mosaic_pool mosaic_pool;

/* Makes a tile of a picture: the largest centred part of the cell's shape, reduced by area averaging in linear light (enlarged pictures
   repeat their pixels). rgb: packed 8-bit sRGB, width x height (1 to 32767), stride bytes from row to row; tile receives
   cell_width * cell_height * 3 bytes. Needs no pool: any number of threads may do this at once. alloc_ctx is for the temporary memory. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_tile_reduce(const uint8_t *rgb, int width, int height, size_t stride, int cell_width, int cell_height,
                                                     uint8_t *tile, void *alloc_ctx);

/* An empty pool for cells of that size (1 to 1024 px). The caller destroys it, after every engine that uses it. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_create(int cell_width, int cell_height, void *alloc_ctx, mosaic_pool **pool);

/* A pool may keep further pictures of each photograph, its looks: with its hue turned by 1, 2 … hues steps (0 … 7) of a circle of hues + 1 steps, and, with
   turns, the photograph and each of those upside down and, where cells are square, turned by one and by three quarters too. Every variant that is allowed
   is tried of each look. Only before the first photograph is added: OPTION otherwise. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_set_looks(mosaic_pool *pool, int hues, int turns);

/* How many looks a photograph has in this pool, 1 … MOSAIC_LOOKS_MOST; hues and turns (either may be null) as they were set. */
#define MOSAIC_LOOKS_MOST 32
MOSAIC_TEMPORAL_API int mosaic_pool_looks(const mosaic_pool *pool, int *hues, int *turns);

/* All looks of a tile, one after the other, itself first: look h * q + t is hue h turned clockwise by t of q = 1, 2 (halves) or 4 (quarters) parts of a circle.
   Hues are turned in Oklch with lightness kept, and chroma too as far as sRGB goes. tiles receives looks * cell_width * cell_height * 3 bytes. Needs no
   pool: any number of threads may do this at once. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_tile_looks(const uint8_t *tile, int cell_width, int cell_height, int hues, int turns, uint8_t *tiles);

/* Adds a photograph: copies the tile (as mosaic_tile_reduce makes it; in a pool with looks as mosaic_tile_looks makes them) and its name (a path, UTF-8;
   null = ""). stamp is the caller's, kept and saved with it: a hash of the file's size and time, say, to see whether a saved pool is still good. Not while
   an engine uses the pool. Two pools with the same photographs in the same order give the same mosaics. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_add(mosaic_pool *pool, const uint8_t *tile, const char *name, uint64_t stamp);

MOSAIC_TEMPORAL_API int mosaic_pool_photos(const mosaic_pool *pool);
MOSAIC_TEMPORAL_API void mosaic_pool_cell(const mosaic_pool *pool, int *cell_width, int *cell_height);
/* Of photograph 0 … photos - 1: its tile (packed RGB; its other looks follow), name and stamp; the pool's own. Null or 0 outside the range. */
MOSAIC_TEMPORAL_API const uint8_t *mosaic_pool_pixels(const mosaic_pool *pool, int photo);
MOSAIC_TEMPORAL_API const char *mosaic_pool_name(const mosaic_pool *pool, int photo);
MOSAIC_TEMPORAL_API uint64_t mosaic_pool_stamp(const mosaic_pool *pool, int photo);

/* A pool as one block of bytes, for a file. All numbers little-endian:
     0  "MOSAICPL"            8  u16 version 1, u8 hues, u8 turns            12  u32 cell width    16  u32 cell height    20  u32 photographs
    24  u64 bytes of names   32  u64 checksum of bytes 0-31 and of all from 40 on
    40  u64 stamp of each;  then the names, each ended by a zero byte, filled up with zero bytes to a multiple of 8;  then the tiles,
   all looks of each
   load keeps pointing into data, which must stay unchanged until the pool is destroyed (a mapped file is right); photographs can be added
   after it. A damaged block is CORRUPT, one of another version VERSION. */
MOSAIC_TEMPORAL_API size_t mosaic_pool_save_size(const mosaic_pool *pool);
MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_save(const mosaic_pool *pool, void *data, size_t size);
MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_load(const void *data, size_t size, void *alloc_ctx, mosaic_pool **pool);
MOSAIC_TEMPORAL_API void mosaic_pool_destroy(mosaic_pool *pool);

/* ---- Variants: the ways in which one photograph may be shown ---- */

enum { MOSAIC_PLAIN, MOSAIC_MIRROR, MOSAIC_BRIGHT, MOSAIC_DARK, MOSAIC_VARIANTS };

/* "plain", "mirror", "bright" (levels x 1.1), "dark" (x 0.9); null outside. */
MOSAIC_TEMPORAL_API const char *mosaic_variant_name(int variant);

/* ---- Options ---- */

typedef enum mosaic_preset {
    MOSAIC_PRESET_DEFAULT = 0, /* calm, and as close to the source as photographs allow */
    MOSAIC_PRESET_LEGACY,      /* each frame for itself, colours half followed: the naive baseline, kept for comparison */
    MOSAIC_PRESET_ULTRA,       /* the most work for each frame */
    MOSAIC_PRESET_NATURAL,
    MOSAIC_PRESET_VIVID,
    MOSAIC_PRESET_VIVID_B,
    MOSAIC_PRESET_TILE, /* photographs stay themselves */
    MOSAIC_PRESET_FAST,
    MOSAIC_PRESETS
} mosaic_preset;
MOSAIC_TEMPORAL_API const char *mosaic_preset_name(int preset);    /* "default", "legacy", …; null outside */
MOSAIC_TEMPORAL_API const char *mosaic_preset_summary(int preset); /* one line for a help text; null outside */

/* How a photograph's colours are brought to its cell's, before options.histogram. */
enum {
    MOSAIC_RECOLOUR_NONE = 1, /* not at all */
    MOSAIC_RECOLOUR_MEAN,     /* the mean is moved */
    MOSAIC_RECOLOUR_REINHARD, /* mean and spread of grey, red against blue, and green against both, each by itself */
    MOSAIC_RECOLOUR_MKL       /* mean and all spread: the linear Monge-Kantorovich map */
};

/* How a photograph ends where the next one begins. */
enum {
    MOSAIC_BORDER_HARD = 1,
    MOSAIC_BORDER_FEATHER,  /* the two cross-fade, each continued beyond its border by its mirror image */
    MOSAIC_BORDER_LAPLACIAN /* coarse detail over the whole width, finer over half of it, the finest over a quarter */
};

#define MOSAIC_OFF (-1) /* in an option whose zero means "the preset's value": really none */

enum { MOSAIC_SIMD_BEST = 0, MOSAIC_SIMD_SCALAR, MOSAIC_SIMD_AVX2, MOSAIC_SIMD_AVX512, MOSAIC_SIMD_AVX512_VNNI };

/* What the grid does when the camera moves. */
enum {
    MOSAIC_GRID_FIXED,  /* it stays on the screen, photographs travel from cell to cell */
    MOSAIC_GRID_AUTO,   /* it goes with the picture as soon as the camera has plainly been moving for eight frames, else the same bytes */
    MOSAIC_GRID_FOLLOW, /* at once */
    MOSAIC_GRIDS
};

/* What the engine does, in order; see mosaic_options.stage. */
enum {
    MOSAIC_STAGE_IDLE,     /* outside mosaic_push */
    MOSAIC_STAGE_DESCRIBE, /* cells of the source */
    MOSAIC_STAGE_FLOW,     /* motion, when the engine estimates it */
    MOSAIC_STAGE_PREDICT,  /* where the photographs would go */
    MOSAIC_STAGE_ASSIGN,   /* costs and the exact assignment */
    MOSAIC_STAGE_RERANK,   /* photographs of nearly the same cost compared by SSIM, when options.rerank asks for it */
    MOSAIC_STAGE_RENDER,   /* colour transforms and painting */
    MOSAIC_STAGES
};

/* Zero everywhere is the default preset. A number in brackets is the default preset's value, then the legacy preset's; mosaic_option_table has those
   of all. */
typedef struct mosaic_options {
    mosaic_preset preset;
    float coherence;   /* 0 … 1 (.5, none): the dial. 0 (MOSAIC_OFF) = the best picture frame by frame, 1 = photographs change only at cuts
                         and where content appears */
    int max_uses;      /* of one photograph in a frame, all variants and looks together (the number of variants, the same); MOSAIC_OFF = no limit */
    int min_distance;  /* no copy of a photograph, in any variant, within so many rows and columns (4, none); 0 … 16 */
    unsigned variants; /* bit i allows variant i (all) */
    int recolour;      /* MOSAIC_RECOLOUR_… (MKL, MKL) */
    float histogram; /* 0 … 1 (none, none): share of the way from there to the cell's very distribution of levels, channel by channel. mosaicraft's
                         "histogram" is NONE with .55, its "hybrid" REINHARD with .35, its "mkl_hybrid" MKL with .3 */
    float mean_strength;           /* 0 … 1 (.9, .5): how far a photograph's mean colour follows its cell's */
    float spread_strength;         /* 0 … 1 (.54, .5): how far its contrast and colour spread follow */
    float spread_low, spread_high; /* (.06 2, .5 2): limits of the factor on a photograph's spread, low .001 … 1, high 1 … 2 */
    float bleed;                   /* 0 … .5 (.12, .05): share of the source itself mixed into each cell */
    int rerank;    /* 0 … 64 (16, none): a cell's new photograph is chosen by SSIM among the assigned one and so many others of nearly
                                      the same cost. 16 make the mosaic move more as the source does (ewarp 7 to 10 % less) for .005 to .01 of ssim3 */
    float repaint; /* 0 … .5 (.01, none): change of a cell's blocks (Oklab), or three times that of its mean, from which it is painted anew with the
                      same photograph; MOSAIC_OFF = every time */
    int border;    /* MOSAIC_BORDER_… (HARD, HARD) */
    float border_width; /* 0 … 64 (.1, .1): to each side of a border: px from 1 on, below a share of a cell's shorter side; at most half of that */
    /* Finishing, in this order; none of it in the default and legacy presets. What depends on a shot's colours is measured in its first frame. */
    float gamma;           /* .25 … 4: levels to this power */
    float shadow_lift;     /* 0 … 64: levels added to black, fewer the lighter it is */
    float contrast;        /* .25 … 4: about middle grey */
    float vibrance;        /* 0 … 2: more colour where there is little */
    float saturation;      /* .05 … 4: more colour; what would leave the range of sRGB approaches its edge instead of being cut off there */
    float saturation_warm; /* .05 … 4: the same for red to yellow */
    float harmony;         /* 0 … 1: how far colours go towards the shot's mean */
    float skin_protection; /* 0 … 1: how much of all this is left out where the colour is that of skin */
    float local_contrast;  /* 0 … 2: of luma, against its mean over a quarter of a cell */
    float sharpness;       /* 0 … 2: of luma, against its mean over five pixels */
    int grid; /* MOSAIC_GRID_… (FIXED): whether cells stay on the screen. A grid that may move has a column and a row of cells more, mosaic_engine_grid,
                         and needs photographs for them, cells that fill the output from its top left corner on, no mask and a coherence above 0. Where
                         one of these is lacking, AUTO is FIXED; FOLLOW is an error, PHOTOS or else OPTION */
    const uint8_t *mask; /* one byte for each cell, row by row: 0 = the cell is left out, takes no photograph and needs none; null = all are filled;
                         all left out is an error. Copied. mosaic_mask_cells makes it of a picture */
    int mask_source;     /* what cells that are left out show. 0: black, not 0: the source as it is, in every frame */
    int draw_list_only;  /* not 0: do not paint; mosaic_frame.rgb stays null */
    int simd;            /* MOSAIC_SIMD_…; a level that is not there is an error */
    const mosaic_flow_options *flow; /* how motion is estimated when mosaic_input gives none; null = not at all. Copied. */
    mosaic_run run;                  /* null = one thread. Results do not depend on it. */
    void *run_ctx;
    void (*stage)(void *stage_ctx, int stage); /* called when a stage begins, for the caller's clock; may be null */
    void *stage_ctx;
    void *alloc_ctx;                    /* handed to MOSAIC_TEMPORAL_MALLOC and MOSAIC_TEMPORAL_FREE */
    const struct mosaic_device *device; /* another processor for heavy stages; must outlive the engine; null = none. The result is the same */
    const struct mosaic_recall *recall; /* a memory that outlasts shots; copied; null = none. Unused where coherence is 0 */
} mosaic_options;

#define MOSAIC_NO_TAG 0xffffffffu

/* A memory of which photographs stood where, for what is seen again after a cut, or when the camera comes back. mosaic_mem.h has one (mosaic_mem_film;
   examples/util/film_memory.h ties the two together); it is the caller's, as are saving it beside the engine's state and what it costs.
   Both functions are called once for each frame, in the push, and give 0; anything else, and nothing is recalled for that frame.
   recall gets the frame: cols x rows cells (of mosaic_engine_grid) of 3 x 3 pixels, packed row by row of pixels, each of L, 128 + a, 128 + b of Oklab
   in 1/256; begins is not 0 in the first frame of a shot, and when a flash is over; first_col and first_row are those of mosaic_frame. It writes a tag for each cell that
   is wanted: one that keep gave to what is seen there now, or MOSAIC_NO_TAG. What it names is favoured like a photograph that is shown
   already: a bonus within the one assignment, no command. keep gets what the frame shows: a tag for each cell. Tags belong to the pool.
   What it is worth (three films, cut away from for 20 frames): of the first frame that is back 93 to 100 % of the cells show what they showed, where
   without a memory it is 4 to 13 %. Its price: the shot goes on as good as it was when it was left, where it would begin anew, closer to the source
   for some frames (ssim3 .81 and .92 in the worst of the three, which had .82 when it was left). */
typedef struct mosaic_recall {
    void *ctx;
    int (*recall)(void *ctx, const uint8_t *pixels, int begins, int first_col, int first_row, const uint8_t *wanted, uint32_t *tags);
    int (*keep)(void *ctx, const uint32_t *tags);
} mosaic_recall;

/* An option that presets decide about. */
typedef struct mosaic_option_info {
    const char *name, *summary;   /* "mean_strength", as the field is called; one line for a help text */
    size_t offset;                /* of the field in mosaic_options */
    int whole;                    /* 1: the field is an int, 0: a float */
    const char *const *choices;   /* names of the values 1, 2 …, ended by null; null itself where the value is a number */
    float low, high;              /* what it may be; MOSAIC_OFF too where low is 0 */
    float preset[MOSAIC_PRESETS]; /* each preset's value; MOSAIC_OFF is none */
} mosaic_option_info;

/* The table of these options: for command lines, configuration files and sliders. */
MOSAIC_TEMPORAL_API const mosaic_option_info *mosaic_option_table(int *count);

/* Fills in a preset: its values stand in every field of the table, so that they can be shown or changed; the rest is zero. OPTION when there is no
   such preset. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_preset_options(int preset, mosaic_options *options);

/* One option of the table, by plain numbers: here 0 is none, not "the preset's value". Set refuses what is outside the range (OPTION). */
MOSAIC_TEMPORAL_API double mosaic_option_get(const mosaic_options *options, const mosaic_option_info *option);
MOSAIC_TEMPORAL_API mosaic_result mosaic_option_set(mosaic_options *options, const mosaic_option_info *option, double value);

/* How many more photographs a grid needs with these options (null = defaults); 0 = there are enough, or grid or options are not valid, which
   mosaic_open will say. */
MOSAIC_TEMPORAL_API int mosaic_photos_missing(const mosaic_grid *grid, int photos, const mosaic_options *options);

/* ---- The engine ---- */

/* One cell of the draw list: all that painting it needs. With p the bytes of the pixel of the photograph's look (read from right to left for the mirror
   variant), s those of the source at the output pixel (mosaic_paint says how it is scaled) and m = colour[c]:
       out[c] = clamp((m[0] p[R] + m[1] p[G] + m[2] p[B] + m[3] s[c] + 256 m[4] + 2048) >> 12, 0, 255) */
typedef struct mosaic_draw {
    int32_t x, y;         /* top left corner in the output, 1/64 px */
    int32_t photo;        /* index in the pool; -1: none, the mask leaves the cell out, and colour takes nothing of a tile */
    uint8_t variant;      /* MOSAIC_PLAIN … */
    uint8_t changed;      /* 1: another photograph, variant or look than in the frame before, or the first frame of a shot */
    uint8_t repaint;      /* 1: must be painted again; 0: not one byte of the cell differs from the frame before (but where borders, local contrast
                             or sharpness look across from a cell that was painted again) */
    uint8_t look;         /* which of the pool's pictures of the photograph: 0 = itself */
    int16_t colour[3][5]; /* rows R, G, B: weights of the tile's R, G, B and of the source (Q12), and a constant (1/16 level) */
} mosaic_draw;

/* What options.histogram adds, which no matrix can: three curves for each cell. The tile's part of the sum above goes through them before the source
   is added:
       v = clamp((m[0] p[R] + m[1] p[G] + m[2] p[B] + 256 m[4] + 2048) >> 12, 0, 255),  k = level[c] + v / 16
       out[c] = clamp((16 (k[0] (16 - v % 16) + k[1] (v % 16)) + m[3] s[c] + 2048) >> 12, 0, 255)
   A texture of 17 texels with linear filtering does the same on a GPU. */
typedef struct mosaic_curve {
    int16_t level[3][17]; /* at v = 0, 16, … 256: 1/16 level */
} mosaic_curve;

/* A finished frame: the engine's own, valid until the next push, load or close. */
typedef struct mosaic_frame {
    int64_t index;          /* 0, 1, … */
    int cut;                /* 1: a new shot begins here (the first frame too), or a flash that looks like one */
    int origin_x, origin_y; /* of the grid in this frame, 1/64 px */
    int first_col,
        first_row;           /* which column and row of the picture's cells, counted from the shot's first frame, cell 0 is: 0 while the grid stays */
    int cells;               /* cols * rows of mosaic_engine_grid; those out of sight have no photograph */
    int filled;              /* those of them that take a photograph: neither out of sight nor left out by the mask */
    const mosaic_draw *draw; /* one for each cell, row-major */
    const mosaic_curve *curve; /* one for each cell, or null: see mosaic_curve */
    const int16_t *tone;    /* finishing's colours, or null: a table of 33 x 33 x 33 colours (R slowest, B fastest; R, G, B and a 0 in 1/64 level) at
                                levels 0, 8, … 256, to be read with tetrahedral interpolation; blurs and borders are not in it */
    const uint8_t *rgb;     /* width x height packed 8-bit sRGB; null with draw_list_only */
    size_t stride;          /* bytes from row to row of rgb */
    int changed, repainted; /* cells */
    int too_close;          /* cells whose photograph stands within min_distance again: repair found no free photograph for them */
    int64_t cost, bound;    /* of this frame's assignment, bonuses and repulsion included, and the least it could be if copies were allowed to stand
                                close and nothing were re-ranked: units of 2^-18 squared Oklab distance */
} mosaic_frame;

typedef struct mosaic_input {
    const uint8_t *rgb;              /* grid.source_width x source_height, packed 8-bit sRGB */
    size_t stride;                   /* bytes from row to row */
    const mosaic_flow_field *motion; /* from the frame pushed before to this one; null = none known, or estimated as options.flow says */
} mosaic_input;

typedef struct mosaic_engine mosaic_engine;

/* Stages of an engine on another processor, to the very bits of those here: mosaic_cuda.cu fills one in for GPUs. A stage whose function gives anything
   but 0 is done here, so a device may be lost at any time. layout: what tells that the functions were compiled with this very engine; if not, it is
   refused (MISMATCH). open gives the state of one engine, null where the device cannot serve it; it is not asked to where cells may begin between
   whole pixels, nor for grids that move. describe and costs only begin what take ends: look, colours and next_codes of all cells;
   the table's rows of cells that are stale. paint makes the colours and curves of cells that get new ones, the canvas and
   what finishing makes of it. */
typedef struct mosaic_device {
    void *ctx;
    uint64_t layout;
    void *(*open)(void *ctx, const mosaic_engine *engine);
    int (*describe)(void *state, const mosaic_engine *engine);
    int (*costs)(void *state, const mosaic_engine *engine);
    int (*take)(void *state, const mosaic_engine *engine);
    int (*paint)(void *state, const mosaic_engine *engine);
    void (*close)(void *state);
} mosaic_device;

/* Begins a stream. grid and options (null = defaults) are copied; the pool must outlive the engine, stay unchanged, and have the grid's cell
   size. On success *engine is the caller's to close; on failure it is null. All memory a stream needs is taken here. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_open(const mosaic_grid *grid, const mosaic_pool *pool, const mosaic_options *options,
                                              mosaic_engine **engine);

/* The grid of the last frame, the engine's own: what mosaic_paint wants beside the draw list. It is the one given to mosaic_open, or, where options.grid lets
   it move, that with a column and a row more, and its origin between -cell and 0 in that frame. Null for null. */
MOSAIC_TEMPORAL_API const mosaic_grid *mosaic_engine_grid(const mosaic_engine *engine);

/* Pushes the next source frame. *frame becomes the oldest mosaic not returned yet, or null while the engine looks ahead (this version
   answers each frame at once). At the end push null until *frame is null. An engine is used by one thread at a time. A push that fails
   leaves the stream as it was. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_push(mosaic_engine *engine, const mosaic_input *input, const mosaic_frame **frame);

/* Paints a draw list, with its curves (null: none): every cell, or with only_repaint those whose repaint is set, into rgb (grid->width x height, stride bytes from row to row);
   output outside every cell is left as it is. source: the frame the list was made for; it is scaled to the output by the mapping of the grid, with
   linear interpolation where it is enlarged and a triangle filter where it is reduced, in integers. A stream's frame is its list painted with
   only_repaint over the frame before: cells that are not painted again keep the source that bled into them when they were. simd: MOSAIC_SIMD_….
   run may be null. mosaic_push does all this by itself unless draw_list_only is set. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_paint(const mosaic_grid *grid, const mosaic_pool *pool, const mosaic_draw *draw, const mosaic_curve *curve,
                                               int cells, int only_repaint, const uint8_t *source, size_t source_stride, uint8_t *rgb, size_t stride,
                                               int simd, mosaic_run run, void *run_ctx, void *alloc_ctx);

/* What the photographs would have cost in a cell of the last frame, each in its cheapest variant and without bonuses or rules: to find out what a pool
   lacks. cost receives one number for each photograph, in units of 2^-18 squared Oklab distance. SIZE when there is no such cell, the mask leaves it out,
   or there was no frame yet. */
MOSAIC_TEMPORAL_API mosaic_result mosaic_cell_costs(const mosaic_engine *engine, int cell, int32_t *cost);

/* The state of a stream between two pushes as one block of bytes, the same on every machine: a stream opened with the same grid, pool and
   options that loads it goes on with the same bytes as the one that saved it. MISMATCH when it belongs to another grid, pool or options;
   CORRUPT or VERSION as for pools; a failed load leaves the engine as it was. The last source frame is not in it: motion that the engine
   estimates itself begins anew after a load. */
MOSAIC_TEMPORAL_API size_t mosaic_state_size(const mosaic_engine *engine);
MOSAIC_TEMPORAL_API mosaic_result mosaic_state_save(const mosaic_engine *engine, void *data, size_t size);
MOSAIC_TEMPORAL_API mosaic_result mosaic_state_load(mosaic_engine *engine, const void *data, size_t size);

/* Ends a stream and frees what it holds; null is allowed. */
MOSAIC_TEMPORAL_API void mosaic_close(mosaic_engine *engine);

#ifdef __cplusplus
}
#endif
#endif /* MOSAIC_TEMPORAL_H */

/* The interface ends here; what follows is the implementation. */
#if defined(MOSAIC_TEMPORAL_IMPLEMENTATION) && !defined(MOSAIC_TEMPORAL_IMPLEMENTED)
#define MOSAIC_TEMPORAL_IMPLEMENTED

#include <string.h>

#if defined(MOSAIC_TEMPORAL_MALLOC) != defined(MOSAIC_TEMPORAL_FREE)
#error "mosaic_temporal.h: define both MOSAIC_TEMPORAL_MALLOC and MOSAIC_TEMPORAL_FREE, or neither"
#endif
#ifndef MOSAIC_TEMPORAL_MALLOC
#include <stdlib.h>
#define MOSAIC_TEMPORAL_MALLOC(ctx, size) ((void)(ctx), malloc(size))
#define MOSAIC_TEMPORAL_FREE(ctx, ptr) ((void)(ctx), free(ptr))
#endif
#ifndef MOSAIC_TEMPORAL_FILE
#define MOSAIC_TEMPORAL_FILE "mosaic_temporal.h"
#endif
#ifndef MOSAIC_TEMPORAL_ASSERT
#include <assert.h>
#define MOSAIC_TEMPORAL_ASSERT(x) assert(x)
#endif

/* clang-format off */
/* === mosaic shared block, version 1: compiler, processor, floating point. Word for word the same in every header that has it. === */
#ifndef MOSAIC__SHARED_BLOCK_1
#define MOSAIC__SHARED_BLOCK_1
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "mosaic: -ffast-math and its parts change results; compile this file without them"
#endif
#include <float.h>
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "mosaic: x87 arithmetic rounds twice; compile with -mfpmath=sse -msse2"
#endif
#if defined(__GNUC__) || defined(__clang__)
#define MOSAIC__UNUSED __attribute__((unused))
#define MOSAIC__TARGET(isa) __attribute__((target(isa)))
#else
#define MOSAIC__UNUSED
#define MOSAIC__TARGET(isa)
#endif
#if defined(_MSC_VER)
#define MOSAIC__RESTRICT __restrict
#else
#define MOSAIC__RESTRICT __restrict__
#endif
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define MOSAIC__X86 1
#include <immintrin.h>
#else
#define MOSAIC__X86 0
#endif
/* What this processor and its operating system can run: 0 scalar, 1 AVX2, 2 AVX-512 F, BW, DQ and VL, 3 the same with VNNI. */
MOSAIC__UNUSED static int mosaic__cpu_level(void)
{
#if MOSAIC__X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512vnni") ? 3 : 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}
/* A host may have changed the rounding mode or flushed denormals to zero: every entry that computes in floating point sets the
   IEEE defaults and gives the old state back. */
MOSAIC__UNUSED static unsigned long long mosaic__fp_enter(void)
{
#if defined(__SSE2__) || MOSAIC__X86
    unsigned long long old = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return old;
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    unsigned long long old, ieee = 0;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(old));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(ieee));
    return old;
#else
    return 0;
#endif
}
MOSAIC__UNUSED static void mosaic__fp_leave(unsigned long long old)
{
#if defined(__SSE2__) || MOSAIC__X86
    _mm_setcsr((unsigned int)old);
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    __asm__ __volatile__("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}
#endif
/* No multiply and add may be fused behind our back. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif
/* === end of the mosaic shared block === */
/* clang-format on */

#ifdef __cplusplus
extern "C" {
#endif

#if MOSAIC__X86 && !defined(MOSAIC_TEMPORAL_NO_SIMD)
#define MOSAIC__KERNELS_X86 1
#else
#define MOSAIC__KERNELS_X86 0
#endif
/* By the compiler's vector types. */
#if !MOSAIC__X86 && !defined(MOSAIC_TEMPORAL_NO_SIMD) && (defined(__aarch64__) || defined(__wasm_simd128__)) &&                                      \
    (defined(__GNUC__) || defined(__clang__)) && !defined(__AARCH64EB__)
#define MOSAIC__KERNELS_PORTABLE 1
#else
#define MOSAIC__KERNELS_PORTABLE 0
#endif

#if defined(__CUDACC__)
#define MOSAIC__INLINE MOSAIC__UNUSED static __host__ __device__ __forceinline__
#define MOSAIC__ANYWHERE MOSAIC__UNUSED static __host__ __device__ /* a device runs it too */
#elif defined(__GNUC__) || defined(__clang__)
#define MOSAIC__INLINE MOSAIC__UNUSED static inline __attribute__((always_inline))
#else
#define MOSAIC__INLINE static inline
#endif
#if !defined(MOSAIC__ANYWHERE)
#define MOSAIC__ANYWHERE static
#endif
/* Before a loop of a constant few turns over an array that is to live in registers. */
#if defined(__clang__)
#define MOSAIC__UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define MOSAIC__UNROLL _Pragma("GCC unroll 8")
#else
#define MOSAIC__UNROLL
#endif

/* ==== Constants of the method ==== */

/* Cells and tiles are described at this many pixels a side, in 3 x 3 blocks: the distance from which a mosaic is read. */
#define MOSAIC__SIDE 12
#define MOSAIC__PIXELS (MOSAIC__SIDE * MOSAIC__SIDE)
#define MOSAIC__BLOCKS 9
#define MOSAIC__BLOCK_SIDE 4
#define MOSAIC__BLOCK_PIXELS (MOSAIC__PIXELS / MOSAIC__BLOCKS)
/* Spreads below this (.002 in Oklab) count as this much: a flat picture has no structure that could be amplified. */
#define MOSAIC__SPREAD_FLOOR 32
/* One unit of cost is 2^-18 of a squared Oklab distance. */
#define MOSAIC__COST_ONE 262144
#define MOSAIC__COST_LIMIT (1 << 21)
#define MOSAIC__TABLE_LIMIT (1 << 29)
/* Most costs that are kept from frame to frame: 64 MB. Tests set it lower. */
#ifndef MOSAIC__TABLE_MOST
#define MOSAIC__TABLE_MOST ((size_t)1 << 24)
#endif
/* Beyond, each cell keeps a list of its cheapest photographs, so many at most: whenever there are more, the cheaper half stays. Tests set it lower. */
#define MOSAIC__LIST_ROOM 512
#ifndef MOSAIC__LIST_MOST
#define MOSAIC__LIST_MOST MOSAIC__LIST_ROOM
#endif
/* How often the assignment is solved again because lists were too short, before it reads all costs. Tests set it lower. */
#ifndef MOSAIC__LIST_ROUNDS
#define MOSAIC__LIST_ROUNDS 3
#endif
/* A photograph expected within min_distance of a cell costs this much (and the bonus it could have there) more in it, so that copies rarely
   meet. */
#define MOSAIC__REPULSION 5243
/* In the first frame of a shot, a photograph that stands too close to its copy is made dearer by this much, and the problem solved again. */
#define MOSAIC__BAN 2621
#define MOSAIC__BAN_ROUNDS 4
/* Not where there are more costs than this: among so many photographs repair finds one as good, and each round would take seconds. Tests set it lower. */
#ifndef MOSAIC__BAN_MOST
#define MOSAIC__BAN_MOST ((size_t)1 << 26)
#endif
/* How much dearer than the assignment's photograph one may be that re-ranking looks at (.001), and of how many at most. */
#define MOSAIC__RERANK_MARGIN 262
#define MOSAIC__RERANK_MOST 64
/* For so many cells at a time the candidates are painted in jobs. */
#define MOSAIC__CONTESTS 64
/* Costs of a cell are computed anew when its description moved by this much on average (.004): less is noise. */
#define MOSAIC__REFRESH (27 * 4)
/* Motion is followed on so many samples a side of each cell. */
#define MOSAIC__GRAIN 7
/* Lengths in 1/1024 cell stay within this: four times the largest grid. */
#define MOSAIC__LENGTH_LIMIT (1 << 24)
/* Content slower than this (1/1024 cell a frame) stays on its place of the screen; from an eighth more on it is followed at its full speed. */
#define MOSAIC__DEAD_ZONE 51
/* Motion that has of late been right less often than this (65536 = always) is not followed. */
#define MOSAIC__TRUST 45875
/* A photograph jumps when its content is so far from the centre of its cell (1/1024 cell): far enough not to jump back next time. */
#define MOSAIC__JUMP 614
/* The cell that shows a photograph keeps it until another one is nearer to where it belongs by this much (1/1024 cell). */
#define MOSAIC__INCUMBENT 205
/* A photograph that is not shown is remembered for so many frames. */
#define MOSAIC__MEMORY 12
/* So many frames in a row a cell shares its place in a chart with a better one; then it gets a chart of its own. */
#define MOSAIC__PATIENCE 4
/* Photographs that a grid which moves remembers outside the frame: so many frames full. */
#define MOSAIC__MEMORY_BEHIND 8
/* A cut: so many of 100 cells look like nothing that was near them one frame before. */
#define MOSAIC__CUT_SHARE 65
#define MOSAIC__CUT_DISTANCE (27 * 40)
/* Steps of a circle of hues, itself left out, that a photograph may be turned by. */
#define MOSAIC__HUES 7
/* When the picture is back after a seeming cut: at most so many of 100 cells look like nothing that was near them then. */
#define MOSAIC__BACK_SHARE 30
/* A flash: the frame's mean changes by this much (.05) at once. It may last so many frames; then it is light. */
#define MOSAIC__FLASH 51
#define MOSAIC__HOLD 2

/* The camera: places that are looked at, at most. Motion that differs from the picture's by less than WIDTH (1/65536 cell), or in the end by less than a
   quarter of its speed but at least TIGHT, agrees with it; where AGREE of 100 places do, and as many near the edge, the picture moves as a whole.
   Slower than SLOW, and once it follows than half of that, it does not count; nor faster than 4 cells a frame. */
#define MOSAIC__CAMERA_PLACES 4096
#define MOSAIC__CAMERA_WIDTH 3932
#define MOSAIC__CAMERA_TIGHT 786
#define MOSAIC__CAMERA_AGREE 70
#define MOSAIC__CAMERA_SLOW 1311
#define MOSAIC__CAMERA_FASTEST (4 << 16)
/* Frames for which the camera must have moved before the grid follows (with MOSAIC_GRID_FOLLOW: one), and most that are counted. */
#define MOSAIC__CAMERA_WAIT 8
#define MOSAIC__CAMERA_STEADY 24
/* Frames that a grid takes to settle which has waited: while it stood, its photographs fell behind the picture, so now they change more easily. */
#define MOSAIC__CAMERA_SETTLE 4

/* ==== Integers ==== */

MOSAIC__INLINE int mosaic__clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

MOSAIC__ANYWHERE int mosaic__abs(int value) { return value < 0 ? -value : value; }

/* Quotient rounded to the nearest, halves away from zero; divisor positive. */
MOSAIC__ANYWHERE int64_t mosaic__div_round(int64_t value, int64_t divisor)
{
    return value >= 0 ? (value + divisor / 2) / divisor : -((-value + divisor / 2) / divisor);
}

static int64_t mosaic__div_floor(int64_t value, int64_t divisor)
{
    int64_t q = value / divisor;
    return q * divisor > value ? q - 1 : q;
}

MOSAIC__ANYWHERE uint32_t mosaic__isqrt(uint64_t value)
{
    uint64_t root = 0, bit = (uint64_t)1 << 62;
#if MOSAIC__X86 && defined(__SSE2__) && !defined(__CUDA_ARCH__)
    if (value < (uint64_t)1 << 52) { /* a double holds it, and its root is not rounded up to the next integer */
        const __m128d v = _mm_set_sd((double)(int64_t)value);
        return (uint32_t)_mm_cvttsd_si32(_mm_sqrt_sd(v, v));
    }
#endif
    while (bit > value) bit >>= 2;
    for (; bit; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)root;
}

/* Largest root whose cube is not above value; value below 2^51. */
static uint32_t mosaic__icbrt(uint64_t value)
{
    uint32_t root = 0, bit;
    for (bit = 1u << 16; bit; bit >>= 1) {
        uint64_t r = root | bit;
        if (r * r * r <= value) root = (uint32_t)r;
    }
    return root;
}

static uint32_t mosaic__get32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t mosaic__get64(const uint8_t *p) { return (uint64_t)mosaic__get32(p) | (uint64_t)mosaic__get32(p + 4) << 32; }

static void mosaic__put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}
static void mosaic__put64(uint8_t *p, uint64_t v)
{
    mosaic__put32(p, (uint32_t)v);
    mosaic__put32(p + 4, (uint32_t)(v >> 32));
}

/* Checksum of saved blocks: damage is found, forgery is not meant to be. Eight bytes at a time; the last ones are padded with zeros. */
static uint64_t mosaic__hash(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    for (; size >= 8; size -= 8, p += 8) {
        hash = (hash ^ mosaic__get64(p)) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    if (size) {
        uint8_t tail[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        memcpy(tail, p, size);
        hash = (hash ^ mosaic__get64(tail)) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

/* a * b in *product; 0 when it does not fit. */
static int mosaic__multiply(size_t a, size_t b, size_t *product)
{
    if (b && a > (size_t)-1 / b) return 0;
    *product = a * b;
    return 1;
}

static void *mosaic__allocate(void *alloc_ctx, size_t count, size_t size)
{
    size_t bytes;
    if (!mosaic__multiply(count, size, &bytes)) return 0;
    return MOSAIC_TEMPORAL_MALLOC(alloc_ctx, bytes ? bytes : 1);
}

static void mosaic__release(void *alloc_ctx, void *ptr)
{
    if (ptr) MOSAIC_TEMPORAL_FREE(alloc_ctx, ptr);
}

static void mosaic__parallel(mosaic_run run, void *run_ctx, void (*job)(void *arg, int index), void *arg, int count)
{
    int i;
    if (run && count > 1) {
        run(run_ctx, job, arg, count);
        return;
    }
    for (i = 0; i < count; i++) job(arg, i);
}

/* Resolves MOSAIC_SIMD_… to a level of mosaic__cpu_level; -1 when it is not there. Other processors' kernels have no name: they are 1, and the best. */
static int mosaic__simd_level(int simd)
{
#ifdef MOSAIC_TEMPORAL_NO_SIMD
    int best = 0;
#else
    int best = mosaic__cpu_level();
#endif
    if (simd == MOSAIC_SIMD_BEST) return MOSAIC__KERNELS_PORTABLE ? 1 : best;
    if (simd < MOSAIC_SIMD_BEST || simd > MOSAIC_SIMD_AVX512_VNNI || simd - 1 > best) return -1;
    return simd - 1;
}

#if MOSAIC__KERNELS_X86
static __m128i mosaic__load16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

MOSAIC__TARGET("avx2") static __m256i mosaic__load32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

MOSAIC__TARGET("avx2") static __m256i mosaic__load_two(const void *low, const void *high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(mosaic__load16(low)), mosaic__load16(high), 1);
}

static int32_t mosaic__pair_bits(const int16_t *pair)
{
    int32_t bits;
    memcpy(&bits, pair, 4);
    return bits;
}
#endif

/* ==== Colour: sRGB bytes to linear light to Oklab, all in integers ==== */

/* Linear light of each sRGB byte (IEC 61966-2-1), 2^18 = white; the last entry lets the one before it be interpolated. */
static const uint32_t mosaic__linear[257] = {
    0,      80,     159,    239,    318,    398,    477,    557,    637,    716,    796,    877,    964,    1055,   1151,   1252,   1358,   1469,
    1586,   1707,   1834,   1966,   2103,   2246,   2394,   2548,   2708,   2873,   3044,   3221,   3403,   3592,   3786,   3987,   4193,   4406,
    4625,   4850,   5081,   5319,   5562,   5813,   6070,   6333,   6603,   6879,   7162,   7452,   7748,   8051,   8361,   8678,   9002,   9333,
    9670,   10015,  10367,  10726,  11092,  11465,  11845,  12233,  12628,  13030,  13440,  13857,  14282,  14714,  15153,  15601,  16055,  16518,
    16988,  17466,  17951,  18444,  18946,  19455,  19972,  20496,  21029,  21570,  22119,  22676,  23241,  23814,  24395,  24984,  25582,  26188,
    26802,  27425,  28055,  28695,  29342,  29999,  30663,  31336,  32018,  32708,  33407,  34114,  34831,  35555,  36289,  37031,  37782,  38542,
    39311,  40089,  40875,  41671,  42475,  43288,  44111,  44942,  45783,  46632,  47491,  48359,  49236,  50122,  51018,  51923,  52837,  53760,
    54693,  55635,  56587,  57547,  58518,  59498,  60487,  61486,  62494,  63513,  64540,  65577,  66624,  67681,  68747,  69824,  70909,  72005,
    73110,  74226,  75351,  76486,  77631,  78786,  79951,  81125,  82310,  83505,  84710,  85925,  87150,  88385,  89631,  90886,  92152,  93428,
    94714,  96011,  97318,  98635,  99962,  101300, 102648, 104007, 105376, 106756, 108146, 109546, 110957, 112379, 113811, 115253, 116707, 118171,
    119645, 121131, 122627, 124133, 125651, 127179, 128718, 130268, 131829, 133400, 134983, 136576, 138180, 139795, 141421, 143058, 144706, 146366,
    148036, 149717, 151409, 153113, 154827, 156553, 158290, 160038, 161797, 163567, 165349, 167142, 168946, 170762, 172589, 174427, 176277, 178138,
    180010, 181894, 183790, 185696, 187615, 189545, 191486, 193439, 195403, 197379, 199367, 201366, 203377, 205400, 207434, 209480, 211538, 213607,
    215688, 217781, 219886, 222003, 224131, 226271, 228424, 230588, 232764, 234952, 237151, 239363, 241587, 243823, 246071, 248331, 250603, 252887,
    255183, 257491, 259811, 262144, 262144};

/* What conversion looks up: values, each with the step to the next, so that one look-up gives both. */
typedef struct mosaic__tables {
    uint32_t linear[256];          /* of each sRGB byte, 2^18 = 1, in the upper 20 bits, step in the lower 12 */
    uint32_t root[1024 - 128 + 1]; /* cube roots of 128/1024 … 1024/1024, 2^16 = 1, in the upper 24 bits, step in the lower 8 */
} mosaic__tables;

static void mosaic__tables_fill(mosaic__tables *tables)
{
    uint32_t i;
    for (i = 0; i < 256; i++) tables->linear[i] = mosaic__linear[i] << 12 | (mosaic__linear[i + 1] - mosaic__linear[i]);
    for (i = 128; i <= 1024; i++) {
        uint32_t root = mosaic__icbrt((uint64_t)i << 38), next = i < 1024 ? mosaic__icbrt((uint64_t)(i + 1) << 38) : root;
        tables->root[i - 128] = root << 8 | (next - root);
    }
}

/* Cube root of x / 2^18, 2^16 = 1: scaled by powers of 8 into the table's range, linear between its entries. */
MOSAIC__ANYWHERE int32_t mosaic__cbrt(const mosaic__tables *tables, uint32_t x)
{
    uint32_t root;
    int shift = 0;
    if (x == 0) return 0;
    while (x < 1u << 15) {
        x <<= 3;
        shift++;
    }
    root = tables->root[(x >> 8) - 128];
    return (int32_t)(((root >> 8) + (((root & 255) * (x & 255)) >> 8)) >> shift);
}

/* Colour codes (sRGB levels in 1/16, 0 … 4080) to Oklab, 2^14 = 1. Matrices of Björn Ottosson's Oklab (2020) in 1/8192 and 1/4096, rounded so
   that grey stays exactly grey. */
MOSAIC__ANYWHERE void mosaic__oklab(const mosaic__tables *tables, const uint16_t code[3], int32_t lab[3])
{
    uint32_t v[3];
    int32_t l, m, s;
    int c;
    for (c = 0; c < 3; c++) {
        uint32_t t = tables->linear[code[c] >> 4];
        v[c] = (t >> 12) + (((t & 4095) * (code[c] & 15u)) >> 4);
    }
    l = mosaic__cbrt(tables, (3377 * v[0] + 4394 * v[1] + 421 * v[2] + 4096) >> 13);
    m = mosaic__cbrt(tables, (1736 * v[0] + 5576 * v[1] + 880 * v[2] + 4096) >> 13);
    s = mosaic__cbrt(tables, (723 * v[0] + 2308 * v[1] + 5161 * v[2] + 4096) >> 13);
    lab[0] = (862 * l + 3251 * m - 17 * s) >> 14;
    lab[1] = (8102 * l - 9948 * m + 1846 * s) >> 14;
    lab[2] = (106 * l + 3206 * m - 3312 * s) >> 14;
}

/* ==== Descriptions of cells and tiles ==== */

/* What the costs see: Oklab, means and deviations 2^10 = 1. */
typedef struct mosaic__look {
    int16_t mean[3];
    int16_t block[3][MOSAIC__BLOCKS + 1]; /* mean of each block less the mean; the last entry is 0 and makes pairs */
    int32_t energy[3];                    /* sum of squares of the blocks */
    int32_t spread[3];                    /* standard deviation over the pixels, 2^14 = 1, not below the floor */
} mosaic__look;

/* What recolouring sees: sums of codes and of their products RR RG RB GG GB BB over the pixels. */
typedef struct mosaic__colours {
    int64_t sum[3], product[6];
} mosaic__colours;

/* The describing pixels of a cell or tile as colour codes: channel by channel, block by block, and row by row in each block. */
typedef struct mosaic__codes {
    uint16_t of[3][MOSAIC__PIXELS];
} mosaic__codes;

MOSAIC__ANYWHERE int mosaic__code_index(int x, int y)
{
    return (y / MOSAIC__BLOCK_SIDE * (MOSAIC__SIDE / MOSAIC__BLOCK_SIDE) + x / MOSAIC__BLOCK_SIDE) * MOSAIC__BLOCK_PIXELS +
           y % MOSAIC__BLOCK_SIDE * MOSAIC__BLOCK_SIDE + x % MOSAIC__BLOCK_SIDE;
}

/* From sums over each block, and sums of squares over all pixels. */
MOSAIC__ANYWHERE void mosaic__look_of(const int32_t block[3][MOSAIC__BLOCKS], const int64_t squares[3], mosaic__look *look)
{
    int b, c;
    memset(look, 0, sizeof *look);
    for (c = 0; c < 3; c++) {
        int32_t total = 0, spread;
        for (b = 0; b < MOSAIC__BLOCKS; b++) total += block[c][b];
        look->mean[c] = (int16_t)mosaic__div_round(total, MOSAIC__PIXELS << 4);
        for (b = 0; b < MOSAIC__BLOCKS; b++) {
            int32_t d = (int32_t)mosaic__div_round(block[c][b] * MOSAIC__BLOCKS - total, MOSAIC__PIXELS << 4);
            look->block[c][b] = (int16_t)d;
            look->energy[c] += d * d;
        }
        spread = (int32_t)(mosaic__isqrt((uint64_t)(squares[c] * MOSAIC__PIXELS - (int64_t)total * total)) / MOSAIC__PIXELS);
        look->spread[c] = spread < MOSAIC__SPREAD_FLOOR ? MOSAIC__SPREAD_FLOOR : spread;
    }
}

/* colours may be null. */
MOSAIC__ANYWHERE void mosaic__describe_scalar(const mosaic__tables *tables, const mosaic__codes *codes, mosaic__look *look, mosaic__colours *colours)
{
    int32_t block[3][MOSAIC__BLOCKS];
    int64_t squares[3] = {0, 0, 0};
    int i, c;

    memset(block, 0, sizeof block);
    if (colours) memset(colours, 0, sizeof *colours);
    for (i = 0; i < MOSAIC__PIXELS; i++) {
        uint16_t code[3];
        int32_t lab[3];
        for (c = 0; c < 3; c++) code[c] = codes->of[c][i];
        mosaic__oklab(tables, code, lab);
        for (c = 0; c < 3; c++) {
            block[c][i / MOSAIC__BLOCK_PIXELS] += lab[c];
            squares[c] += (int64_t)lab[c] * lab[c];
        }
        if (colours) {
            int32_t r = code[0], g = code[1], b = code[2];
            for (c = 0; c < 3; c++) colours->sum[c] += code[c];
            colours->product[0] += r * r;
            colours->product[1] += r * g;
            colours->product[2] += r * b;
            colours->product[3] += g * g;
            colours->product[4] += g * b;
            colours->product[5] += b * b;
        }
    }
    mosaic__look_of((const int32_t(*)[MOSAIC__BLOCKS])block, squares, look);
}

#if MOSAIC__KERNELS_X86
/* Cube roots of eight numbers below 2^19. The exponent of the number as a float tells how often it must be taken times 8. */
MOSAIC__TARGET("avx2") static __m256i mosaic__cbrt_avx2(const mosaic__tables *tables, __m256i x)
{
    const __m256i exponent = _mm256_srli_epi32(_mm256_castps_si256(_mm256_cvtepi32_ps(x)), 23); /* 127 + log2 x, or 0 */
    __m256i shift = _mm256_srai_epi32(_mm256_mullo_epi32(_mm256_sub_epi32(_mm256_set1_epi32(127 + 17), exponent), _mm256_set1_epi32(11)), 5), root,
            step;
    shift = _mm256_max_epi32(shift, _mm256_setzero_si256());
    x = _mm256_sllv_epi32(x, _mm256_add_epi32(shift, _mm256_add_epi32(shift, shift)));
    root = _mm256_max_epi32(_mm256_sub_epi32(_mm256_srli_epi32(x, 8), _mm256_set1_epi32(128)), _mm256_setzero_si256());
    root = _mm256_i32gather_epi32((const int *)(const void *)tables->root, root, 4);
    step = _mm256_madd_epi16(_mm256_and_si256(root, _mm256_set1_epi32(255)), _mm256_and_si256(x, _mm256_set1_epi32(255)));
    return _mm256_srlv_epi32(_mm256_add_epi32(_mm256_srli_epi32(root, 8), _mm256_srli_epi32(step, 8)), shift);
}

MOSAIC__TARGET("avx2") static __m256i mosaic__weighted_avx2(const __m256i v[3], int a, int b, int c)
{
    return _mm256_add_epi32(_mm256_add_epi32(_mm256_mullo_epi32(v[0], _mm256_set1_epi32(a)), _mm256_mullo_epi32(v[1], _mm256_set1_epi32(b))),
                            _mm256_mullo_epi32(v[2], _mm256_set1_epi32(c)));
}

/* mosaic__oklab of eight pixels. */
MOSAIC__TARGET("avx2") static void mosaic__oklab_avx2(const mosaic__tables *tables, const uint16_t *const code[3], __m256i lab[3])
{
    const __m256i half = _mm256_set1_epi32(4096);
    __m256i v[3], r[3];
    int c;
    for (c = 0; c < 3; c++) {
        const __m256i x = _mm256_cvtepu16_epi32(mosaic__load16(code[c]));
        const __m256i t = _mm256_i32gather_epi32((const int *)(const void *)tables->linear, _mm256_srli_epi32(x, 4), 4);
        const __m256i step = _mm256_madd_epi16(_mm256_and_si256(t, _mm256_set1_epi32(4095)), _mm256_and_si256(x, _mm256_set1_epi32(15)));
        v[c] = _mm256_add_epi32(_mm256_srli_epi32(t, 12), _mm256_srli_epi32(step, 4));
    }
    r[0] = mosaic__cbrt_avx2(tables, _mm256_srli_epi32(_mm256_add_epi32(mosaic__weighted_avx2(v, 3377, 4394, 421), half), 13));
    r[1] = mosaic__cbrt_avx2(tables, _mm256_srli_epi32(_mm256_add_epi32(mosaic__weighted_avx2(v, 1736, 5576, 880), half), 13));
    r[2] = mosaic__cbrt_avx2(tables, _mm256_srli_epi32(_mm256_add_epi32(mosaic__weighted_avx2(v, 723, 2308, 5161), half), 13));
    lab[0] = _mm256_srai_epi32(mosaic__weighted_avx2(r, 862, 3251, -17), 14);
    lab[1] = _mm256_srai_epi32(mosaic__weighted_avx2(r, 8102, -9948, 1846), 14);
    lab[2] = _mm256_srai_epi32(mosaic__weighted_avx2(r, 106, 3206, -3312), 14);
}

MOSAIC__TARGET("avx2") static int32_t mosaic__sum_avx2(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* A block of sixteen pixels at a time. */
MOSAIC__TARGET("avx2")
static void mosaic__describe_avx2(const mosaic__tables *tables, const mosaic__codes *codes, mosaic__look *look, mosaic__colours *colours)
{
    static const int pair[6][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}};
    const __m256i ones = _mm256_set1_epi16(1), lower = _mm256_set1_epi64x(0xffffffff);
    __m256i wide[3], sum[3], product[6];
    int32_t block[3][MOSAIC__BLOCKS];
    int64_t squares[3];
    int b, c, k;

    for (c = 0; c < 3; c++) wide[c] = sum[c] = product[c] = product[c + 3] = _mm256_setzero_si256();
    for (b = 0; b < MOSAIC__BLOCKS; b++) {
        const uint16_t *low[3], *high[3];
        __m256i x[3], y[3];
        for (c = 0; c < 3; c++) {
            low[c] = codes->of[c] + b * MOSAIC__BLOCK_PIXELS;
            high[c] = low[c] + 8;
        }
        mosaic__oklab_avx2(tables, low, x);
        mosaic__oklab_avx2(tables, high, y);
        for (c = 0; c < 3; c++) {
            __m256i both = _mm256_packs_epi32(x[c], y[c]), m = _mm256_madd_epi16(both, both); /* two squares: below 2^30 */
            block[c][b] = mosaic__sum_avx2(_mm256_add_epi32(x[c], y[c]));
            wide[c] = _mm256_add_epi64(wide[c], _mm256_add_epi64(_mm256_and_si256(m, lower), _mm256_srli_epi64(m, 32)));
            x[c] = mosaic__load32(low[c]);
        }
        if (!colours) continue;
        for (c = 0; c < 3; c++) sum[c] = _mm256_add_epi32(sum[c], _mm256_madd_epi16(x[c], ones));
        for (k = 0; k < 6; k++) product[k] = _mm256_add_epi32(product[k], _mm256_madd_epi16(x[pair[k][0]], x[pair[k][1]]));
    }
    for (c = 0; c < 3; c++) {
        int64_t lane[4];
        _mm256_storeu_si256((__m256i *)(void *)lane, wide[c]);
        squares[c] = lane[0] + lane[1] + lane[2] + lane[3];
    }
    /* Sums of products are below 2^32: 144 times 4080 squared. */
    for (c = 0; c < 3 && colours; c++) colours->sum[c] = mosaic__sum_avx2(sum[c]);
    for (k = 0; k < 6 && colours; k++) colours->product[k] = (uint32_t)mosaic__sum_avx2(product[k]);
    mosaic__look_of((const int32_t(*)[MOSAIC__BLOCKS])block, squares, look);
}
#endif

static void mosaic__describe(int level, const mosaic__tables *tables, const mosaic__codes *codes, mosaic__look *look, mosaic__colours *colours)
{
#if MOSAIC__KERNELS_X86
    if (level >= 1) {
        mosaic__describe_avx2(tables, codes, look, colours);
        return;
    }
#endif
    (void)level;
    mosaic__describe_scalar(tables, codes, look, colours);
}

/* Sum of absolute differences of the 27 block colours, each channel shifted by shift (null: not at all). */
MOSAIC__ANYWHERE int mosaic__look_distance(const mosaic__look *a, const mosaic__look *b, const int shift[3])
{
    int c, k, sum = 0;
    for (c = 0; c < 3; c++) {
        int mean = a->mean[c] - b->mean[c] - (shift ? shift[c] : 0);
        for (k = 0; k < MOSAIC__BLOCKS; k++) sum += mosaic__abs(mean + a->block[c][k] - b->block[c][k]);
    }
    return sum;
}

/* ==== Area averaging ==== */

/* Output edge i of n over the span [start, start + length) of a row of `size` pixels, all in 1/4096 px. */
static int32_t mosaic__edge(int64_t start, int64_t length, int64_t i, int64_t n, int size)
{
    int64_t e = start + mosaic__div_floor(i * length, n);
    int64_t last = (int64_t)size << 12;
    return (int32_t)(e < 0 ? 0 : e > last ? last : e);
}

/* The pixels an interval of edges covers: first, one past the last, and the weights (1/4096 px) of the first and the last; those between
   weigh 4096. An interval that is empty (cut off by the picture's border, or far below a pixel) becomes a sliver of the nearest pixel. */
typedef struct mosaic__span {
    int first, end;
    uint32_t head, tail, total;
} mosaic__span;

MOSAIC__ANYWHERE mosaic__span mosaic__span_of(int32_t from, int32_t to, int size)
{
    mosaic__span s;
    if (to <= from) {
        if (from >= size << 12) from = (size << 12) - 1;
        to = from + 1;
    }
    s.first = from >> 12;
    s.end = (to + 4095) >> 12;
    s.total = (uint32_t)(to - from);
    if (s.end - s.first == 1) {
        s.head = s.total;
        s.tail = 0;
    } else {
        s.head = 4096u - ((uint32_t)from & 4095u);
        s.tail = (uint32_t)(to - ((s.end - 1) << 12));
    }
    return s;
}

MOSAIC__ANYWHERE uint32_t mosaic__span_weight(const mosaic__span *s, int i) { return i == s->first ? s->head : i == s->end - 1 ? s->tail : 4096u; }

/* column[x * 3 + c] = sum over the rows of a span, for source pixels first … end - 1. At most 2^8 * 2^12 * rows: rows up to 4095 fit. */
static void mosaic__add_rows_scalar(const uint8_t *rgb, size_t stride, const mosaic__span *rows, int first, int end, uint32_t *column)
{
    int x, y, n = (end - first) * 3;
    for (y = rows->first; y < rows->end; y++) {
        const uint8_t *p = rgb + (size_t)y * stride + (size_t)first * 3;
        uint32_t w = mosaic__span_weight(rows, y);
        uint32_t *q = column + (size_t)first * 3;
        if (y == rows->first)
            for (x = 0; x < n; x++) q[x] = p[x] * w;
        else
            for (x = 0; x < n; x++) q[x] += p[x] * w;
    }
}

/* How a row of the source becomes a row of describing pixels. */
typedef struct mosaic__reducer {
    int pixels;         /* describing pixels, a multiple of SIDE */
    int first, end;     /* pixels of the source that they read */
    int taps;           /* of the kernel, for each pixel: at least what its span has */
    int level;          /* of the kernels */
    mosaic__span *span; /* of each pixel */
    uint32_t *weight;   /* [pixels / 4][taps][4]: of four pixels side by side, zeros after a pixel's last */
    double *total, *inverse;
    size_t room; /* numbers in a row of column sums, zero behind the last pixel */
} mosaic__reducer;

/* A code from a sum of levels times weights, and these weights. */
MOSAIC__ANYWHERE uint16_t mosaic__code_of(uint64_t sum, uint64_t total) { return (uint16_t)((sum * 16 + total / 2) / total); }

/* Codes of row y of each cell from the column sums. */
static void mosaic__add_columns_scalar(const mosaic__reducer *r, const uint32_t *column, uint32_t row_total, int y, mosaic__codes *codes)
{
    int x, i, c;
    for (x = 0; x < r->pixels; x++) {
        const mosaic__span *span = r->span + x;
        mosaic__codes *to = codes + x / MOSAIC__SIDE;
        uint64_t sum[3] = {0, 0, 0}, total = (uint64_t)span->total * row_total;
        for (i = span->first; i < span->end; i++) {
            uint32_t w = mosaic__span_weight(span, i);
            for (c = 0; c < 3; c++) sum[c] += (uint64_t)column[i * 3 + c] * w;
        }
        for (c = 0; c < 3; c++) to->of[c][mosaic__code_index(x % MOSAIC__SIDE, y)] = mosaic__code_of(sum[c], total);
    }
}

#if MOSAIC__KERNELS_X86
/* Four rows and sixteen numbers at a time. */
MOSAIC__TARGET("avx2")
static void mosaic__add_rows_avx2(const uint8_t *rgb, size_t stride, const mosaic__span *rows, int first, int end, uint32_t *column)
{
    const int n = (end - first) * 3;
    int x, y, k;
    column += (size_t)first * 3;
    for (y = rows->first; y < rows->end; y += 4) {
        const __m256i keep = _mm256_set1_epi32(y == rows->first ? 0 : -1); /* what the column holds already, but for the first rows */
        const uint8_t *row[4];
        uint32_t w[4];
        __m256i pair[2];
        for (k = 0; k < 4; k++) {
            const int inside = y + k < rows->end;
            row[k] = rgb + (size_t)(inside ? y + k : y) * stride + (size_t)first * 3;
            w[k] = inside ? mosaic__span_weight(rows, y + k) : 0;
        }
        for (k = 0; k < 2; k++) pair[k] = _mm256_set1_epi32((int)(w[2 * k] | w[2 * k + 1] << 16));
        for (x = 0; x + 16 <= n; x += 16) {
            __m256i low = _mm256_and_si256(mosaic__load32(column + x), keep), high = _mm256_and_si256(mosaic__load32(column + x + 8), keep);
            for (k = 0; k < 2; k++) {
                const __m128i a = mosaic__load16(row[2 * k] + x), b = mosaic__load16(row[2 * k + 1] + x);
                low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), pair[k]));
                high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)), pair[k]));
            }
            _mm256_storeu_si256((__m256i *)(void *)(column + x), low);
            _mm256_storeu_si256((__m256i *)(void *)(column + x + 8), high);
        }
        for (; x < n; x++) {
            if (y == rows->first) column[x] = 0;
            for (k = 0; k < 4; k++) column[x] += row[k][x] * w[k];
        }
    }
}

/* Four pixels at a time. (16 sum + floor(total / 2)) / total, rounded down, is a number below 2^12 that is computed in doubles: 16 sum + total / 2 + 1/4
   lies at least 1/4 above the integer that counts and 1/4 below the next, which times 1 / total is more than what three roundings change while
   total stays below 2^35 (mosaic__reducer_open sees to that). */
MOSAIC__TARGET("avx2")
static void mosaic__add_columns_avx2(const mosaic__reducer *r, const uint32_t *column, uint32_t row_total, int y, mosaic__codes *codes)
{
    const __m256d rows = _mm256_set1_pd((double)row_total), inverse = _mm256_set1_pd(1 / (double)row_total);
    const __m256d two52 = _mm256_set1_pd(4503599627370496.0);
    const uint32_t *w = r->weight, *from[4];
    int x, i, k, c;
    for (x = 0; x < r->pixels; x += 4) {
        uint16_t(*to)[MOSAIC__PIXELS] = codes[x / MOSAIC__SIDE].of;
        const int at = mosaic__code_index(x % MOSAIC__SIDE, y);
        __m256i sum[4], rg[2], b[2];
        __m256d half = _mm256_mul_pd(_mm256_loadu_pd(r->total + x), rows), scale = _mm256_mul_pd(_mm256_loadu_pd(r->inverse + x), inverse);
        half = _mm256_add_pd(_mm256_mul_pd(half, _mm256_set1_pd(.5)), _mm256_set1_pd(.25));
        for (i = 0; i < 4; i++) {
            from[i] = column + r->span[x + i].first * 3;
            sum[i] = _mm256_setzero_si256();
        }
        for (k = 0; k < r->taps; k++, w += 4)
            for (i = 0; i < 4; i++)
                sum[i] =
                    _mm256_add_epi64(sum[i], _mm256_mul_epu32(_mm256_cvtepu32_epi64(mosaic__load16(from[i] + 3 * k)), _mm256_set1_epi32((int)w[i])));
        for (i = 0; i < 2; i++) {
            b[i] = _mm256_unpacklo_epi64(sum[2 * i], sum[2 * i + 1]);  /* R of two pixels, B of two */
            rg[i] = _mm256_unpackhi_epi64(sum[2 * i], sum[2 * i + 1]); /* G of two, and nothing */
        }
        sum[0] = _mm256_permute2x128_si256(b[0], b[1], 0x20);
        sum[1] = _mm256_permute2x128_si256(rg[0], rg[1], 0x20);
        sum[2] = _mm256_permute2x128_si256(b[0], b[1], 0x31);
        for (c = 0; c < 3; c++) {
            __m256d v = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(sum[c], _mm256_castpd_si256(two52))), two52);
            __m128i code = _mm256_cvttpd_epi32(_mm256_mul_pd(_mm256_add_pd(_mm256_mul_pd(v, _mm256_set1_pd(16)), half), scale));
            _mm_storel_epi64((__m128i *)(void *)(to[c] + at), _mm_packus_epi32(code, code));
        }
    }
}
#endif

static void mosaic__reducer_close(mosaic__reducer *r, void *alloc_ctx)
{
    mosaic__release(alloc_ctx, r->span);
    mosaic__release(alloc_ctx, r->weight);
    mosaic__release(alloc_ctx, r->total);
}

/* Enters borders: as many, as far apart to one unit, and in a source as wide as those it was opened with. */
static void mosaic__reducer_fill(mosaic__reducer *r, const int32_t *edge, int size)
{
    int x, k;
    r->first = size;
    r->end = 0;
    for (x = 0; x < r->pixels; x++) {
        const mosaic__span s = mosaic__span_of(edge[x], edge[x + 1], size);
        r->span[x] = s;
        r->total[x] = (double)s.total;
        r->inverse[x] = 1 / (double)s.total;
        if (s.first < r->first) r->first = s.first;
        if (s.end > r->end) r->end = s.end;
        MOSAIC_TEMPORAL_ASSERT(s.end - s.first <= r->taps);
        for (k = 0; k < r->taps; k++)
            r->weight[((size_t)(x / 4) * (size_t)r->taps + (size_t)k) * 4 + (size_t)(x % 4)] =
                s.first + k < s.end ? mosaic__span_weight(&s, s.first + k) : 0;
    }
}

/* edge: pixels + 1 borders in a source of `size` pixels, 1/4096 px; row_total: the highest weight of rows there will be; moves: the borders will. Zero
   when memory ran out. To be closed in any case. */
static int mosaic__reducer_open(mosaic__reducer *r, int level, const int32_t *edge, int pixels, int size, uint32_t row_total, int moves,
                                void *alloc_ctx)
{
    uint32_t most = 1;
    int x;
    memset(r, 0, sizeof *r);
    r->pixels = pixels;
    for (x = 0; x < pixels; x++) {
        const mosaic__span s = mosaic__span_of(edge[x], edge[x + 1], size);
        if (s.end - s.first > r->taps) r->taps = s.end - s.first;
        if (s.total > most) most = s.total;
    }
    if (moves) { /* a length one unit longer, and lying across one more pixel */
        r->taps++;
        most++;
        row_total++;
    }
    r->level = (uint64_t)most * row_total < (uint64_t)1 << 35 ? level : 0;
    r->room = ((size_t)size + (size_t)r->taps + 1) * 3;
    r->span = (mosaic__span *)mosaic__allocate(alloc_ctx, (size_t)pixels, sizeof *r->span);
    r->total = (double *)mosaic__allocate(alloc_ctx, (size_t)pixels * 2, sizeof *r->total);
    r->weight = (uint32_t *)mosaic__allocate(alloc_ctx, (size_t)pixels * (size_t)r->taps, sizeof *r->weight);
    if (!r->span || !r->total || !r->weight) return 0;
    r->inverse = r->total + pixels;
    mosaic__reducer_fill(r, edge, size);
    return 1;
}

/* Row y of the describing pixels of a row of cells, or of one tile; column has `room` numbers, zeros at first. */
static void mosaic__reduce(const mosaic__reducer *r, const mosaic__span *rows, const uint8_t *rgb, size_t stride, int y, uint32_t *column,
                           mosaic__codes *codes)
{
#if MOSAIC__KERNELS_X86
    if (r->level >= 1) {
        mosaic__add_rows_avx2(rgb, stride, rows, r->first, r->end, column);
        mosaic__add_columns_avx2(r, column, rows->total, y, codes);
        return;
    }
#endif
    mosaic__add_rows_scalar(rgb, stride, rows, r->first, r->end, column);
    mosaic__add_columns_scalar(r, column, rows->total, y, codes);
}

/* ==== Pool ==== */

struct mosaic_pool {
    int cell_width, cell_height, hues, turns, looks, photos, room;
    void *alloc_ctx;
    const uint8_t **pixels; /* of each photograph, all its looks: in `owned`, or in the block loaded from */
    const char **name;
    uint64_t *stamp;
    void **owned; /* pixels and name of a photograph that was added; null for a loaded one */
};

MOSAIC_TEMPORAL_API const char *mosaic_result_string(mosaic_result result)
{
    switch (result) {
    case MOSAIC_OK: return "ok";
    case MOSAIC_ERROR_NULL: return "a required pointer is null";
    case MOSAIC_ERROR_SIZE: return "a size is zero, negative or too large";
    case MOSAIC_ERROR_STRIDE: return "a row stride is smaller than a row";
    case MOSAIC_ERROR_OPTION: return "an option is outside its range";
    case MOSAIC_ERROR_MEMORY: return "out of memory";
    case MOSAIC_ERROR_PHOTOS: return "too few photographs";
    case MOSAIC_ERROR_CORRUPT: return "the saved data is damaged or cut off";
    case MOSAIC_ERROR_VERSION: return "the saved data has another format version";
    case MOSAIC_ERROR_MISMATCH: return "pool, grid, state or device do not belong together";
    case MOSAIC_ERROR_BUFFER: return "the buffer is too small";
    case MOSAIC_ERROR_SIMD: return "this processor does not have the instruction set asked for";
    case MOSAIC_ERROR_MOTION: return "the motion field has no size, or its stride is smaller than a row";
    case MOSAIC_ERROR_ENDED: return "the stream has ended";
    }
    return "unknown result";
}

static int mosaic__cell_size_ok(int width, int height) { return width >= 1 && height >= 1 && width <= 1024 && height <= 1024; }

/* x / divisor rounded down, with inverse = 1 / divisor, x below 2^52. */
static uint64_t mosaic__quotient(uint64_t x, uint64_t divisor, double inverse)
{
    int64_t q = (int64_t)((double)(int64_t)x * inverse), rest = (int64_t)x - q * (int64_t)divisor;
    return (uint64_t)(q - (rest < 0) + (rest >= (int64_t)divisor));
}

/* For each 64 steps of linear light the nearest byte to the first of them: bytes are at least 79 steps apart, so the others have this one or the next. */
static void mosaic__nearest_fill(uint8_t nearest[(1 << 12) + 1])
{
    int i, byte = 0;
    for (i = 0; i <= 1 << 12; i++) {
        while (byte < 255 && 2u * 64u * (uint32_t)i > mosaic__linear[byte] + mosaic__linear[byte + 1]) byte++;
        nearest[i] = (uint8_t)byte;
    }
}

/* Nearest byte of a linear light: the border between two bytes is taken half way in linear light. */
static uint8_t mosaic__srgb(const uint8_t *nearest, uint32_t linear)
{
    const int byte = nearest[linear >> 6];
    return (uint8_t)(byte + (byte < 255 && 2 * linear > mosaic__linear[byte] + mosaic__linear[byte + 1]));
}

/* Light of source pixels, 2^24 = white: the mean of a span of rows, for values first … end - 1. column and middle are scratch; middle is all zeros before
   and after. */
static void mosaic__row_light(const uint8_t *rgb, size_t stride, const mosaic__span *rows, size_t first, size_t end, uint64_t *column,
                              uint32_t *middle, uint32_t *light)
{
    const double inverse = 1 / (double)rows->total;
    size_t x;
    int y;
    if (rows->end - rows->first == 1) {
        const uint8_t *p = rgb + (size_t)rows->first * stride;
        for (x = first; x < end; x++) light[x] = mosaic__linear[p[x]] << 6;
        return;
    }
    for (x = first; x < end; x++) column[x] = 0;
    for (y = rows->first; y < rows->end; y++) {
        const uint8_t *p = rgb + (size_t)y * stride;
        const uint64_t w = mosaic__span_weight(rows, y);
        if (y > rows->first && y < rows->end - 1)
            for (x = first; x < end; x++) middle[x] += mosaic__linear[p[x]];
        else
            for (x = first; x < end; x++) column[x] += w * mosaic__linear[p[x]];
        /* 2^13 rows of white are 2^31 */
        if (y == rows->end - 1 || (y - rows->first) % 8192 == 8191)
            for (x = first; x < end; x++) {
                column[x] += (uint64_t)middle[x] << 12;
                middle[x] = 0;
            }
    }
    for (x = first; x < end; x++) light[x] = (uint32_t)mosaic__quotient(column[x] << 6, rows->total, inverse);
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_tile_reduce(const uint8_t *rgb, int width, int height, size_t stride, int cell_width, int cell_height,
                                                     uint8_t *tile, void *alloc_ctx)
{
    int64_t start_x, start_y, span_x, span_y;
    uint8_t nearest[(1 << 12) + 1];
    mosaic__span before, *across;
    uint64_t *column;
    uint32_t *middle, *light;
    const size_t values = (size_t)(width < 1 ? 1 : width) * 3;
    size_t first, end;
    int x, y, c, i;

    if (!rgb || !tile) return MOSAIC_ERROR_NULL;
    if (width < 1 || height < 1 || width > 32767 || height > 32767 || !mosaic__cell_size_ok(cell_width, cell_height)) return MOSAIC_ERROR_SIZE;
    if (stride < (size_t)width * 3) return MOSAIC_ERROR_STRIDE;
    /* The largest centred part of the cell's shape, in 1/4096 px. */
    span_x = (int64_t)width << 12;
    span_y = (int64_t)height << 12;
    if ((int64_t)width * cell_height > (int64_t)height * cell_width)
        span_x = span_y * cell_width / cell_height;
    else
        span_y = span_x * cell_height / cell_width;
    if (span_x < 1) span_x = 1;
    if (span_y < 1) span_y = 1;
    start_x = (((int64_t)width << 12) - span_x) / 2;
    start_y = (((int64_t)height << 12) - span_y) / 2;
    first = (size_t)(start_x >> 12) * 3;
    end = (size_t)((start_x + span_x + 4095) >> 12) * 3;

    /* One block: sums of rows, their light, the spans of the columns. */
    column = (uint64_t *)mosaic__allocate(alloc_ctx, 1, values * (sizeof *column + 2 * sizeof *light) + (size_t)cell_width * sizeof *across);
    if (!column) return MOSAIC_ERROR_MEMORY;
    light = (uint32_t *)(void *)(column + values);
    middle = light + values;
    across = (mosaic__span *)(void *)(middle + values);
    memset(middle, 0, values * sizeof *middle);
    memset(&before, 0, sizeof before);
    mosaic__nearest_fill(nearest);
    for (x = 0; x < cell_width; x++)
        across[x] =
            mosaic__span_of(mosaic__edge(start_x, span_x, x, cell_width, width), mosaic__edge(start_x, span_x, x + 1, cell_width, width), width);
    for (y = 0; y < cell_height; y++) {
        uint8_t *out = tile + (size_t)y * (size_t)cell_width * 3;
        mosaic__span rows =
            mosaic__span_of(mosaic__edge(start_y, span_y, y, cell_height, height), mosaic__edge(start_y, span_y, y + 1, cell_height, height), height);
        /* Much enlarged, most rows are those above. */
        if (y > 0 && rows.end - rows.first == 1 && before.end - before.first == 1 && rows.first == before.first) {
            memcpy(out, out - (size_t)cell_width * 3, (size_t)cell_width * 3);
            continue;
        }
        before = rows;
        mosaic__row_light(rgb, stride, &rows, first, end, column, middle, light);
        for (x = 0; x < cell_width; x++, out += 3) {
            const mosaic__span *cols = across + x;
            const double inverse = 1 / (double)cols->total;
            for (c = 0; c < 3; c++) {
                uint64_t sum = 0;
                const uint32_t *from = light + (size_t)cols->first * 3 + (size_t)c;
                if (cols->end - cols->first > 1) {
                    for (i = cols->first; i < cols->end; i++, from += 3) sum += (uint64_t)*from * mosaic__span_weight(cols, i);
                    sum = mosaic__quotient(sum, cols->total, inverse);
                } else {
                    sum = *from;
                }
                out[c] = mosaic__srgb(nearest, (uint32_t)((sum + 32) >> 6));
            }
        }
    }
    mosaic__release(alloc_ctx, column);
    return MOSAIC_OK;
}

static size_t mosaic__tile_bytes(const mosaic_pool *pool) { return (size_t)pool->cell_width * (size_t)pool->cell_height * 3; }
static size_t mosaic__photo_bytes(const mosaic_pool *pool) { return mosaic__tile_bytes(pool) * (size_t)pool->looks; }

/* The turns of a look that cells of this shape allow, itself among them. */
static int mosaic__turns(int cell_width, int cell_height, int turns) { return !turns ? 1 : cell_width == cell_height ? 4 : 2; }

MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_create(int cell_width, int cell_height, void *alloc_ctx, mosaic_pool **pool)
{
    mosaic_pool *p;
    if (!pool) return MOSAIC_ERROR_NULL;
    *pool = 0;
    if (!mosaic__cell_size_ok(cell_width, cell_height)) return MOSAIC_ERROR_SIZE;
    p = (mosaic_pool *)mosaic__allocate(alloc_ctx, 1, sizeof *p);
    if (!p) return MOSAIC_ERROR_MEMORY;
    memset(p, 0, sizeof *p);
    p->cell_width = cell_width;
    p->cell_height = cell_height;
    p->looks = 1;
    p->alloc_ctx = alloc_ctx;
    *pool = p;
    return MOSAIC_OK;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_set_looks(mosaic_pool *pool, int hues, int turns)
{
    if (!pool) return MOSAIC_ERROR_NULL;
    if (pool->photos > 0 || hues < 0 || hues > MOSAIC__HUES) return MOSAIC_ERROR_OPTION;
    pool->hues = hues;
    pool->turns = turns != 0;
    pool->looks = (hues + 1) * mosaic__turns(pool->cell_width, pool->cell_height, turns);
    return MOSAIC_OK;
}

MOSAIC_TEMPORAL_API int mosaic_pool_looks(const mosaic_pool *pool, int *hues, int *turns)
{
    if (hues) *hues = pool ? pool->hues : 0;
    if (turns) *turns = pool ? pool->turns : 0;
    return pool ? pool->looks : 0;
}

MOSAIC_TEMPORAL_API void mosaic_pool_destroy(mosaic_pool *pool)
{
    int i;
    if (!pool) return;
    for (i = 0; i < pool->photos; i++) mosaic__release(pool->alloc_ctx, pool->owned[i]);
    mosaic__release(pool->alloc_ctx, pool->pixels);
    mosaic__release(pool->alloc_ctx, pool->name);
    mosaic__release(pool->alloc_ctx, pool->stamp);
    mosaic__release(pool->alloc_ctx, pool->owned);
    mosaic__release(pool->alloc_ctx, pool);
}

/* A larger copy of an array; the old one stays with the caller. */
static void *mosaic__enlarged(void *alloc_ctx, const void *old, int count, int room, size_t size)
{
    void *larger = mosaic__allocate(alloc_ctx, (size_t)room, size);
    if (larger && count > 0) memcpy(larger, old, (size_t)count * size);
    return larger;
}

static mosaic_result mosaic__pool_reserve(mosaic_pool *pool, int room)
{
    void *pixels, *name, *stamp, *owned;
    if (room <= pool->room) return MOSAIC_OK;
    pixels = mosaic__enlarged(pool->alloc_ctx, pool->pixels, pool->photos, room, sizeof *pool->pixels);
    name = mosaic__enlarged(pool->alloc_ctx, pool->name, pool->photos, room, sizeof *pool->name);
    stamp = mosaic__enlarged(pool->alloc_ctx, pool->stamp, pool->photos, room, sizeof *pool->stamp);
    owned = mosaic__enlarged(pool->alloc_ctx, pool->owned, pool->photos, room, sizeof *pool->owned);
    if (!pixels || !name || !stamp || !owned) {
        mosaic__release(pool->alloc_ctx, pixels);
        mosaic__release(pool->alloc_ctx, name);
        mosaic__release(pool->alloc_ctx, stamp);
        mosaic__release(pool->alloc_ctx, owned);
        return MOSAIC_ERROR_MEMORY;
    }
    mosaic__release(pool->alloc_ctx, pool->pixels);
    mosaic__release(pool->alloc_ctx, pool->name);
    mosaic__release(pool->alloc_ctx, pool->stamp);
    mosaic__release(pool->alloc_ctx, pool->owned);
    pool->pixels = (const uint8_t **)pixels;
    pool->name = (const char **)name;
    pool->stamp = (uint64_t *)stamp;
    pool->owned = (void **)owned;
    pool->room = room;
    return MOSAIC_OK;
}

static void mosaic__pool_put(mosaic_pool *pool, const uint8_t *pixels, const char *name, uint64_t stamp, void *owned)
{
    pool->pixels[pool->photos] = pixels;
    pool->name[pool->photos] = name;
    pool->stamp[pool->photos] = stamp;
    pool->owned[pool->photos] = owned;
    pool->photos++;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_add(mosaic_pool *pool, const uint8_t *tile, const char *name, uint64_t stamp)
{
    size_t tile_bytes, name_bytes;
    uint8_t *copy;
    mosaic_result result;
    if (!pool || !tile) return MOSAIC_ERROR_NULL;
    if (pool->photos >= 1 << 24) return MOSAIC_ERROR_SIZE;
    if (pool->photos == pool->room) {
        result = mosaic__pool_reserve(pool, pool->room ? 2 * pool->room : 64);
        if (result != MOSAIC_OK) return result;
    }
    tile_bytes = mosaic__photo_bytes(pool);
    name_bytes = name ? strlen(name) + 1 : 1;
    copy = (uint8_t *)mosaic__allocate(pool->alloc_ctx, 1, tile_bytes + name_bytes);
    if (!copy) return MOSAIC_ERROR_MEMORY;
    memcpy(copy, tile, tile_bytes);
    memcpy(copy + tile_bytes, name ? name : "", name_bytes);
    mosaic__pool_put(pool, copy, (const char *)(copy + tile_bytes), stamp, copy);
    return MOSAIC_OK;
}

MOSAIC_TEMPORAL_API int mosaic_pool_photos(const mosaic_pool *pool) { return pool ? pool->photos : 0; }

MOSAIC_TEMPORAL_API void mosaic_pool_cell(const mosaic_pool *pool, int *cell_width, int *cell_height)
{
    if (cell_width) *cell_width = pool ? pool->cell_width : 0;
    if (cell_height) *cell_height = pool ? pool->cell_height : 0;
}

static int mosaic__pool_has(const mosaic_pool *pool, int photo) { return pool && photo >= 0 && photo < pool->photos; }

MOSAIC_TEMPORAL_API const uint8_t *mosaic_pool_pixels(const mosaic_pool *pool, int photo)
{
    return mosaic__pool_has(pool, photo) ? pool->pixels[photo] : 0;
}
MOSAIC_TEMPORAL_API const char *mosaic_pool_name(const mosaic_pool *pool, int photo) { return mosaic__pool_has(pool, photo) ? pool->name[photo] : 0; }
MOSAIC_TEMPORAL_API uint64_t mosaic_pool_stamp(const mosaic_pool *pool, int photo) { return mosaic__pool_has(pool, photo) ? pool->stamp[photo] : 0; }

#define MOSAIC__POOL_HEADER 40

static size_t mosaic__pool_names_size(const mosaic_pool *pool)
{
    size_t size = 0;
    int i;
    for (i = 0; i < pool->photos; i++) size += strlen(pool->name[i]) + 1;
    return (size + 7) & ~(size_t)7;
}

MOSAIC_TEMPORAL_API size_t mosaic_pool_save_size(const mosaic_pool *pool)
{
    if (!pool) return 0;
    return MOSAIC__POOL_HEADER + (size_t)pool->photos * (8 + mosaic__photo_bytes(pool)) + mosaic__pool_names_size(pool);
}

static uint64_t mosaic__pool_checksum(const uint8_t *data, size_t size)
{
    return mosaic__hash(mosaic__hash(1, data, 32), data + MOSAIC__POOL_HEADER, size - MOSAIC__POOL_HEADER);
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_save(const mosaic_pool *pool, void *data, size_t size)
{
    uint8_t *p = (uint8_t *)data, *q;
    size_t names;
    int i;
    if (!pool || !data) return MOSAIC_ERROR_NULL;
    if (size < mosaic_pool_save_size(pool)) return MOSAIC_ERROR_BUFFER;
    size = mosaic_pool_save_size(pool);
    names = mosaic__pool_names_size(pool);
    memcpy(p, "MOSAICPL", 8);
    mosaic__put32(p + 8, 1u | (uint32_t)pool->hues << 16 | (uint32_t)pool->turns << 24);
    mosaic__put32(p + 12, (uint32_t)pool->cell_width);
    mosaic__put32(p + 16, (uint32_t)pool->cell_height);
    mosaic__put32(p + 20, (uint32_t)pool->photos);
    mosaic__put64(p + 24, names);
    q = p + MOSAIC__POOL_HEADER;
    for (i = 0; i < pool->photos; i++, q += 8) mosaic__put64(q, pool->stamp[i]);
    memset(q, 0, names);
    for (i = 0; i < pool->photos; i++) {
        size_t n = strlen(pool->name[i]) + 1;
        memcpy(q, pool->name[i], n);
        q += n;
    }
    q = p + MOSAIC__POOL_HEADER + (size_t)pool->photos * 8 + names;
    for (i = 0; i < pool->photos; i++, q += mosaic__photo_bytes(pool)) memcpy(q, pool->pixels[i], mosaic__photo_bytes(pool));
    mosaic__put64(p + 32, mosaic__pool_checksum(p, size));
    return MOSAIC_OK;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_pool_load(const void *data, size_t size, void *alloc_ctx, mosaic_pool **pool)
{
    const uint8_t *p = (const uint8_t *)data, *stamps, *pixels;
    const char *name, *names_end;
    uint64_t photos, names, need;
    uint32_t cell_width, cell_height, looks;
    mosaic_pool *made = 0;
    mosaic_result result;
    int i;

    if (!pool) return MOSAIC_ERROR_NULL;
    *pool = 0;
    if (!data) return MOSAIC_ERROR_NULL;
    if (size < MOSAIC__POOL_HEADER || memcmp(p, "MOSAICPL", 8) != 0) return MOSAIC_ERROR_CORRUPT;
    if (p[8] != 1 || p[9] != 0) return MOSAIC_ERROR_VERSION;
    cell_width = mosaic__get32(p + 12);
    cell_height = mosaic__get32(p + 16);
    photos = mosaic__get32(p + 20);
    names = mosaic__get64(p + 24);
    /* With these limits no sum below can overflow 64 bits. */
    if (cell_width < 1 || cell_height < 1 || cell_width > 1024 || cell_height > 1024 || photos > 1u << 24 || names > size || names % 8 ||
        p[10] > MOSAIC__HUES || p[11] > 1)
        return MOSAIC_ERROR_CORRUPT;
    looks = (p[10] + 1u) * (unsigned)mosaic__turns((int)cell_width, (int)cell_height, p[11]);
    need = MOSAIC__POOL_HEADER + photos * (8 + (uint64_t)cell_width * cell_height * 3 * looks) + names;
    if (need != size || mosaic__pool_checksum(p, size) != mosaic__get64(p + 32)) return MOSAIC_ERROR_CORRUPT;

    result = mosaic_pool_create((int)cell_width, (int)cell_height, alloc_ctx, &made);
    if (result == MOSAIC_OK) result = mosaic_pool_set_looks(made, p[10], p[11]);
    if (result == MOSAIC_OK) result = mosaic__pool_reserve(made, (int)photos);
    stamps = p + MOSAIC__POOL_HEADER;
    name = (const char *)(stamps + photos * 8);
    names_end = name + names;
    pixels = (const uint8_t *)names_end;
    for (i = 0; result == MOSAIC_OK && i < (int)photos; i++) {
        const char *end = name < names_end ? (const char *)memchr(name, 0, (size_t)(names_end - name)) : 0;
        if (!end) {
            result = MOSAIC_ERROR_CORRUPT;
            break;
        }
        mosaic__pool_put(made, pixels, name, mosaic__get64(stamps + (size_t)i * 8), 0);
        name = end + 1;
        pixels += mosaic__photo_bytes(made);
    }
    if (result != MOSAIC_OK) {
        mosaic_pool_destroy(made);
        return result;
    }
    *pool = made;
    return MOSAIC_OK;
}

MOSAIC_TEMPORAL_API const char *mosaic_variant_name(int variant)
{
    static const char *const name[MOSAIC_VARIANTS] = {"plain", "mirror", "bright", "dark"};
    return variant >= 0 && variant < MOSAIC_VARIANTS ? name[variant] : 0;
}

/* Inside the engine a variant of a look is one number: look * MOSAIC_VARIANTS + variant. */
static int mosaic__variant_of(int tile) { return tile % MOSAIC_VARIANTS; }
static int mosaic__look_index(int tile) { return tile / MOSAIC_VARIANTS; }

/* Levels of the bright and dark variants, 1/10. */
MOSAIC__ANYWHERE int mosaic__variant_tenths(int variant) { return variant == MOSAIC_BRIGHT ? 11 : variant == MOSAIC_DARK ? 9 : 10; }

/* ==== Grid ==== */

static mosaic_result mosaic__grid_check(const mosaic_grid *g)
{
    if (g->cols < 1 || g->rows < 1 || g->cols > 4096 || g->rows > 4096 || !mosaic__cell_size_ok(g->cell_width, g->cell_height) || g->width < 1 ||
        g->height < 1 || g->width > 32767 || g->height > 32767 || g->source_width < 1 || g->source_height < 1 || g->source_width > 32767 ||
        g->source_height > 32767 || mosaic__abs(g->origin_x / 64) > 32767 || mosaic__abs(g->origin_y / 64) > 32767)
        return MOSAIC_ERROR_SIZE;
    /* Sums of the source's rows under a describing pixel are kept in 32 bits: fewer than 4096 rows. */
    if ((int64_t)g->cell_height * g->crop_height / 64 / g->height > 4000 * MOSAIC__SIDE) return MOSAIC_ERROR_SIZE;
    if (g->crop_x < 0 || g->crop_y < 0 || g->crop_width < 1 || g->crop_height < 1 || g->crop_x > g->source_width * 64 - g->crop_width ||
        g->crop_y > g->source_height * 64 - g->crop_height)
        return MOSAIC_ERROR_SIZE;
    return MOSAIC_OK;
}

/* The grid of cells of the given size nearest to `height`: columns fill the width from inside, or, when that would be odd and the size is
   ours to choose, from outside. Returns 0 when it would crop more than half a cell at a side. */
static int mosaic__grid_try(int source_width, int source_height, int height, int cell_width, int cell_height, int even, mosaic_grid *g)
{
    int64_t full;
    memset(g, 0, sizeof *g);
    g->cell_width = cell_width;
    g->cell_height = cell_height;
    g->rows = (height + cell_height / 2) / cell_height;
    if (g->rows < 1) g->rows = 1;
    if (even && g->rows * cell_height % 2) g->rows += g->rows > 1 && g->rows * cell_height > height ? -1 : 1;
    g->height = g->rows * cell_height;
    full = (int64_t)source_width * g->height / source_height; /* the width of the whole source at this height */
    g->cols = (int)(full / cell_width);
    if (g->cols < 1) g->cols = 1;
    if (even && (int64_t)g->cols * cell_width % 2) g->cols++;
    if (g->rows > 4096 || g->cols > 4096 || g->height > 32767 || (int64_t)g->cols * cell_width > 16384) return 0;
    g->width = g->cols * cell_width;
    g->source_width = source_width;
    g->source_height = source_height;
    g->crop_width = source_width * 64;
    g->crop_height = source_height * 64;
    if ((int64_t)source_width * g->height >= (int64_t)source_height * g->width) {
        g->crop_width = (int)(((int64_t)source_height * 64 * g->width + g->height / 2) / g->height);
        if (g->crop_width > source_width * 64) g->crop_width = source_width * 64;
    } else {
        g->crop_height = (int)(((int64_t)source_width * 64 * g->height + g->width / 2) / g->width);
        if (g->crop_height > source_height * 64) g->crop_height = source_height * 64;
    }
    if (g->crop_width < 1) g->crop_width = 1;
    if (g->crop_height < 1) g->crop_height = 1;
    g->crop_x = (source_width * 64 - g->crop_width) / 2;
    g->crop_y = (source_height * 64 - g->crop_height) / 2;
    /* What was cut off, in cells: (whole - shown) / shown * count, both sides together at most one. */
    return (int64_t)(source_width * 64 - g->crop_width) * g->cols <= g->crop_width + 64 &&
           (int64_t)(source_height * 64 - g->crop_height) * g->rows <= g->crop_height + 64;
}

/* The other side of a cell of a shape: side * part / whole, rounded. */
static int mosaic__other_side(int side, int part, int whole)
{
    const int other = (int)mosaic__div_round((int64_t)side * part, whole);
    return other < 1 ? 1 : other;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_grid_fit(int source_width, int source_height, const mosaic_fit *fit, mosaic_grid *grid)
{
    mosaic_fit f;
    int64_t best = -1, widest;
    int size;

    if (!grid) return MOSAIC_ERROR_NULL;
    memset(grid, 0, sizeof *grid);
    memset(&f, 0, sizeof f);
    if (fit) f = *fit;
    if (f.cells == 0) f.cells = 700;
    if (f.height == 0) f.height = 1080;
    if (f.aspect_width == 0 && f.aspect_height == 0) f.aspect_width = f.aspect_height = 1;
    if (f.aspect_width < 1 || f.aspect_height < 1 || f.aspect_width > 4096 || f.aspect_height > 4096 || f.aspect_width > 16 * f.aspect_height ||
        f.aspect_height > 16 * f.aspect_width || f.cell_width < 0 || f.cell_height < 0 || f.cell_width > 1024 || f.cell_height > 1024)
        return MOSAIC_ERROR_SIZE;
    if (f.cell_width == 0 && f.cell_height) f.cell_width = mosaic__other_side(f.cell_height, f.aspect_width, f.aspect_height);
    if (f.cell_height == 0 && f.cell_width) f.cell_height = mosaic__other_side(f.cell_width, f.aspect_height, f.aspect_width);
    if (source_width < 1 || source_height < 1 || source_width > 32767 || source_height > 32767 || f.cells < 0 || f.cells > 1 << 24 || f.height < 1 ||
        f.height > 16384 || f.cell_width > 1024 || f.cell_height > 1024)
        return MOSAIC_ERROR_SIZE;
    widest = (int64_t)16384 * source_height / source_width;
    if (f.height > widest) f.height = widest < 2 ? 2 : (int)widest;

    if (f.cell_width) {
        mosaic_grid g;
        int even;
        /* A size that was asked for is kept, with an even output if it has one. */
        for (even = 1; even >= 0; even--)
            if (mosaic__grid_try(source_width, source_height, f.height, f.cell_width, f.cell_height, even, &g)) {
                *grid = g;
                return MOSAIC_OK;
            }
        return MOSAIC_ERROR_SIZE;
    }
    for (size = 2; size <= 1024 && size <= f.height + 1; size++) {
        const int wide = f.aspect_width >= f.aspect_height;
        const int width = wide ? mosaic__other_side(size, f.aspect_width, f.aspect_height) : size;
        const int height = wide ? size : mosaic__other_side(size, f.aspect_height, f.aspect_width);
        mosaic_grid g;
        int64_t cells, miss;
        if (width > 1024 || height > 1024 || !mosaic__grid_try(source_width, source_height, f.height, width, height, 1, &g)) continue;
        cells = (int64_t)g.cols * g.rows;
        if (cells > 2 * (int64_t)f.cells || 2 * cells < f.cells) continue;
        /* How far from the wishes: one part in a hundred of the cells weighs as much as one in four hundred of the height. */
        miss = 65536 * (cells > f.cells ? cells - f.cells : f.cells - cells) / f.cells +
               4 * 65536 * (int64_t)mosaic__abs(g.height - f.height) / f.height;
        if (best < 0 || miss <= best) {
            best = miss;
            *grid = g;
        }
    }
    return best < 0 ? MOSAIC_ERROR_SIZE : MOSAIC_OK;
}

/* Output position (1/64 px) times n to source position (1/4096 px) times n. */
static int64_t mosaic__source_x(const mosaic_grid *g, int64_t x, int n)
{
    return (int64_t)g->crop_x * 64 + mosaic__div_floor(x * g->crop_width, (int64_t)g->width * n);
}
static int64_t mosaic__source_y(const mosaic_grid *g, int64_t y, int n)
{
    return (int64_t)g->crop_y * 64 + mosaic__div_floor(y * g->crop_height, (int64_t)g->height * n);
}

/* The pixels of n that a stretch of a source of `size` pixels (1/4096 px) falls on, from *from to before *to: one at least. */
static void mosaic__mask_range(int64_t begin, int64_t end, int size, int n, int *from, int *to)
{
    const int64_t whole = (int64_t)size << 12, first = mosaic__div_floor(begin * n, whole), last = -mosaic__div_floor(-end * n, whole);
    *from = (int)(first < 0 ? 0 : first > n - 1 ? n - 1 : first);
    *to = (int)(last <= *from ? *from + 1 : last > n ? n : last);
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_mask_cells(const mosaic_grid *grid, const uint8_t *level, int width, int height, size_t stride,
                                                    uint8_t *mask)
{
    mosaic_result result;
    int col, row, x, y, x0, x1, y0, y1;
    if (!grid || !level || !mask) return MOSAIC_ERROR_NULL;
    result = mosaic__grid_check(grid);
    if (result != MOSAIC_OK) return result;
    if (width < 1 || height < 1 || width > 32767 || height > 32767) return MOSAIC_ERROR_SIZE;
    if (stride < (size_t)width) return MOSAIC_ERROR_STRIDE;
    for (row = 0; row < grid->rows; row++) {
        const int64_t top = grid->origin_y + (int64_t)row * grid->cell_height * 64;
        mosaic__mask_range(mosaic__source_y(grid, top, 1), mosaic__source_y(grid, top + grid->cell_height * 64, 1), grid->source_height, height, &y0,
                           &y1);
        for (col = 0; col < grid->cols; col++) {
            const int64_t left = grid->origin_x + (int64_t)col * grid->cell_width * 64;
            int64_t sum = 0;
            mosaic__mask_range(mosaic__source_x(grid, left, 1), mosaic__source_x(grid, left + grid->cell_width * 64, 1), grid->source_width, width,
                               &x0, &x1);
            for (y = y0; y < y1; y++)
                for (x = x0; x < x1; x++) sum += level[(size_t)y * stride + (size_t)x];
            *mask++ = sum >= (int64_t)128 * (x1 - x0) * (y1 - y0);
        }
    }
    return MOSAIC_OK;
}

/* Cells that take a photograph; more: columns and rows that a grid has which moves. */
static int mosaic__filled(const mosaic_grid *grid, const uint8_t *mask, int more)
{
    const int cells = (grid->cols + more) * (grid->rows + more);
    int i, filled = 0;
    if (!mask || more) return cells;
    for (i = 0; i < cells; i++) filled += mask[i] != 0;
    return filled;
}

/* ==== Options, resolved to integers ==== */

typedef struct mosaic__settings {
    int bonus;              /* of the tile that is shown or predicted, in units of cost */
    int max_uses, distance; /* 0 = none */
    int repaint;            /* sum of 27 differences, 2^10 = 1; -1 = every change */
    int rerank;             /* other photographs compared by SSIM; 0 = none */
    int low, high;          /* limits of the factor on the spread, 2^10 = 1 */
    int spread_strength;    /* 1/256 */
    int mean_factor;        /* weight of a squared difference of means / 16, result >> 10 */
    int block_factor;       /* weight of the block residual / 64, result >> 10 */
    unsigned variants;
    int variant_count, variant[MOSAIC_VARIANTS * MOSAIC_LOOKS_MOST]; /* those allowed of each look, ascending */
    int recolour, histogram;                                         /* MOSAIC_RECOLOUR_…; share, 1/256 */
    int border;                                                      /* MOSAIC_BORDER_…; HARD when the width is 0 */
    double border_width;
    int local_contrast, sharpness; /* 1/256 */
    int toned;                     /* the next ones do something */
    double gamma, lift, contrast, vibrance, saturation, saturation_warm, harmony, skin;
    double paint_mean, paint_spread, paint_low, paint_high, paint_bleed;
} mosaic__settings;

static const char *const mosaic__preset_text[MOSAIC_PRESETS][2] = {
    {"default", "calm, and as close to the source as photographs allow"},
    {"legacy", "each frame for itself, colours half followed: the naive baseline"},
    {"ultra", "the most work for each frame"},
    {"natural", "colours as photographs have them"},
    {"vivid", "brilliant colours"},
    {"vivid_b", "more brilliant still"},
    {"tile", "photographs stay themselves; the picture is read from farther away"},
    {"fast", "the default's colours with less work for each frame"},
};

/* For each option its range, then its value in each preset, in the order above; -1 is MOSAIC_OFF, none. */
/* clang-format off */
static const char *const mosaic__borders[] = {"hard", "feather", "laplacian", 0};
static const char *const mosaic__recolours[] = {"none", "mean", "reinhard", "mkl", 0};

#define MOSAIC__FLOAT(name, summary) #name, summary, offsetof(mosaic_options, name), 0, 0
#define MOSAIC__WHOLE(name, summary) #name, summary, offsetof(mosaic_options, name), 1, 0
#define MOSAIC__CHOICE(name, summary, choices) #name, summary, offsetof(mosaic_options, name), 1, choices
static const mosaic_option_info mosaic__options[] = {
    {MOSAIC__FLOAT(coherence, "the dial: 0 is every frame as close as can be, 1 as calm as can be"), 0, 1,
     { .5f,   -1,  .5f,  .5f,  .5f,  .5f,  .5f,  .5f}},
    {MOSAIC__WHOLE(min_distance, "cells around a photograph without a copy of it"), 0, 16,
     {   4,   -1,    4,    4,    4,    4,    4,    4}},
    {MOSAIC__WHOLE(rerank, "for a new photograph, try so many others of nearly the same cost by SSIM"), 0, MOSAIC__RERANK_MOST,
     {  16,   -1,   48,   16,   16,   16,   16,   -1}},
    {MOSAIC__CHOICE(recolour, "how a photograph's colours are brought to its cell's", mosaic__recolours), 1, MOSAIC_RECOLOUR_MKL,
     {   4,    4,    3,    3,    4,    4,    3,    4}},
    {MOSAIC__FLOAT(histogram, "share of the way from there to the cell's own distribution of levels"), 0, 1,
     {  -1,   -1, .35f,   -1,  .3f,  .3f,   -1,   -1}},
    {MOSAIC__FLOAT(mean_strength, "how far a photograph's mean colour follows its cell's"), 0, 1,
     { .9f,  .5f,  .6f, .65f,  .5f,  .5f,  .4f,  .9f}},
    {MOSAIC__FLOAT(spread_strength, "how far its contrast and spread of colours follow"), 0, 1,
     {.54f,  .5f,  .6f, .65f,  .5f,  .5f,  .4f, .54f}},
    {MOSAIC__FLOAT(spread_low, "least factor on a photograph's spread"), .001f, 1,
     {.06f,  .5f,  .5f,  .5f,  .5f,  .5f,  .5f, .06f}},
    {MOSAIC__FLOAT(spread_high, "greatest factor on it"), 1, 2,
     {   2,    2,    2,    2,    2,    2,    2,    2}},
    {MOSAIC__FLOAT(bleed, "share of the source itself mixed into each cell"), 0, .5f,
     {.12f, .05f, .09f, .11f, .08f, .08f, .05f, .12f}},
    {MOSAIC__FLOAT(repaint, "change of a cell, in Oklab, from which it is painted anew; 0 is every change"), 0, .5f,
     {.01f,   -1, .01f, .01f, .01f, .01f, .01f, .02f}},
    {MOSAIC__CHOICE(border, "how a photograph ends where the next one begins", mosaic__borders), 1, MOSAIC_BORDER_LAPLACIAN,
     {   1,    1,    3,    2,    2,    2,    1,    1}},
    {MOSAIC__FLOAT(border_width, "of soft borders, to each side: px from 1 on, below a share of a cell"), 0, 64,
     { .1f,  .1f, .25f,    2,    1,    1,  .1f,  .1f}},
    {MOSAIC__FLOAT(gamma, "levels to this power; 1 is none"), .25f, 4,
     {   1,    1, .95f, .95f, .94f, .94f, .96f,    1}},
    {MOSAIC__FLOAT(shadow_lift, "levels added to black"), 0, 64,
     {  -1,   -1,    8,    8,    9,    9,    9,   -1}},
    {MOSAIC__FLOAT(contrast, "about middle grey; 1 is none"), .25f, 4,
     {   1,    1, 1.04f, 1.04f, 1.06f, 1.06f, 1.03f,     1}},
    {MOSAIC__FLOAT(vibrance, "more colour where there is little"), 0, 2,
     {  -1,   -1, .35f, .32f, .48f, .48f, .38f,   -1}},
    {MOSAIC__FLOAT(saturation, "more colour; 1 is none"), .05f, 4,
     {   1,    1, 1.45f, 1.4f, 1.75f, 2.1f, 1.48f,    1}},
    {MOSAIC__FLOAT(saturation_warm, "the same for red to yellow"), .05f, 4,
     {   1,    1, 1.45f, 1.4f, 1.45f, 1.74f, 1.48f,    1}},
    {MOSAIC__FLOAT(harmony, "how far colours go towards the shot's mean"), 0, 1,
     {  -1,   -1, .15f, .12f, .07f, .07f, .05f,   -1}},
    {MOSAIC__FLOAT(skin_protection, "how much of this is left out where the colour is that of skin"), 0, 1,
     {  -1,   -1, .65f,  .7f, .75f, .75f, .65f,   -1}},
    {MOSAIC__FLOAT(local_contrast, "of luma, against its mean over a quarter of a cell"), 0, 2,
     {  -1,   -1, .15f, .15f, .18f, .18f, .15f,   -1}},
    {MOSAIC__FLOAT(sharpness, "of luma, against its mean over five pixels"), 0, 2,
     {  -1,   -1, .25f, .23f, .28f, .28f, .25f,   -1}},
};
#undef MOSAIC__FLOAT
#undef MOSAIC__WHOLE
#undef MOSAIC__CHOICE
/* clang-format on */

MOSAIC_TEMPORAL_API const char *mosaic_preset_name(int preset) { return preset >= 0 && preset < MOSAIC_PRESETS ? mosaic__preset_text[preset][0] : 0; }
MOSAIC_TEMPORAL_API const char *mosaic_preset_summary(int preset)
{
    return preset >= 0 && preset < MOSAIC_PRESETS ? mosaic__preset_text[preset][1] : 0;
}

MOSAIC_TEMPORAL_API const mosaic_option_info *mosaic_option_table(int *count)
{
    if (count) *count = (int)(sizeof mosaic__options / sizeof *mosaic__options);
    return mosaic__options;
}

static float mosaic__field(const mosaic_options *options, const mosaic_option_info *row)
{
    const char *field = (const char *)options + row->offset;
    float value;
    int whole;
    if (row->whole) {
        memcpy(&whole, field, sizeof whole);
        return (float)whole;
    }
    memcpy(&value, field, sizeof value);
    return value;
}

static void mosaic__field_set(mosaic_options *options, const mosaic_option_info *row, float value)
{
    char *field = (char *)options + row->offset;
    const int whole = row->whole ? (int)value : 0;
    if (row->whole)
        memcpy(field, &whole, sizeof whole);
    else
        memcpy(field, &value, sizeof value);
}

/* Puts the preset's value wherever an option is zero. 0 when a value is outside its range (NaN is outside every range). */
static int mosaic__resolve(mosaic_options *options)
{
    const mosaic_option_info *row = mosaic__options, *end = row + sizeof mosaic__options / sizeof *mosaic__options;
    for (; row < end; row++) {
        float value = mosaic__field(options, row);
        if (!(value < 0 || value > 0 || value != value)) value = row->preset[options->preset];
        if (!(value >= row->low && value <= row->high) && !(value == (float)MOSAIC_OFF && row->low <= 0)) return 0;
        mosaic__field_set(options, row, value);
    }
    return 1;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_preset_options(int preset, mosaic_options *options)
{
    if (!options) return MOSAIC_ERROR_NULL;
    memset(options, 0, sizeof *options);
    if (preset < 0 || preset >= MOSAIC_PRESETS) return MOSAIC_ERROR_OPTION;
    options->preset = (mosaic_preset)preset;
    mosaic__resolve(options);
    return MOSAIC_OK;
}

MOSAIC_TEMPORAL_API double mosaic_option_get(const mosaic_options *options, const mosaic_option_info *option)
{
    const float value = options && option ? mosaic__field(options, option) : 0;
    return value == (float)MOSAIC_OFF ? 0 : (double)value;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_option_set(mosaic_options *options, const mosaic_option_info *option, double value)
{
    if (!options || !option) return MOSAIC_ERROR_NULL;
    if (!((float)value >= option->low && (float)value <= option->high) || (option->whole && value != (double)(int)value)) return MOSAIC_ERROR_OPTION;
    mosaic__field_set(options, option, value > 0 ? (float)value : (float)MOSAIC_OFF);
    return MOSAIC_OK;
}

/* A resolved option: none is nothing. */
static double mosaic__amount(float option) { return option == (float)MOSAIC_OFF ? 0 : (double)option; }

MOSAIC__ANYWHERE int mosaic__round(double x) { return (int)(x < 0 ? x - .5 : x + .5); }

static mosaic_result mosaic__settings_of(const mosaic_options *options, mosaic__settings *s)
{
    mosaic_options o;
    double coherence, keep, left;
    int v;

    memset(&o, 0, sizeof o);
    if (options) o = *options;
    memset(s, 0, sizeof *s);
    if ((int)o.preset < 0 || o.preset >= MOSAIC_PRESETS || !mosaic__resolve(&o)) return MOSAIC_ERROR_OPTION;
    if (o.variants >= 1u << MOSAIC_VARIANTS || o.max_uses < MOSAIC_OFF) return MOSAIC_ERROR_OPTION;

    s->variants = o.variants ? o.variants : (1u << MOSAIC_VARIANTS) - 1;
    for (v = 0; v < MOSAIC_VARIANTS; v++)
        if (s->variants >> v & 1) s->variant[s->variant_count++] = v;
    s->max_uses = o.max_uses == 0 ? s->variant_count : o.max_uses == MOSAIC_OFF ? 0 : o.max_uses;
    s->distance = o.min_distance == MOSAIC_OFF ? 0 : o.min_distance;
    s->rerank = o.rerank == MOSAIC_OFF ? 0 : o.rerank;

    coherence = mosaic__amount(o.coherence);
    s->recolour = o.recolour;
    s->histogram = mosaic__round(256 * mosaic__amount(o.histogram));
    s->paint_mean = s->recolour < MOSAIC_RECOLOUR_MEAN ? 0 : mosaic__amount(o.mean_strength);
    s->paint_spread = s->recolour < MOSAIC_RECOLOUR_REINHARD ? 0 : mosaic__amount(o.spread_strength);
    s->border_width = mosaic__amount(o.border_width);
    s->border = s->border_width > 0 ? o.border : MOSAIC_BORDER_HARD;
    s->local_contrast = mosaic__round(256 * mosaic__amount(o.local_contrast));
    s->sharpness = mosaic__round(256 * mosaic__amount(o.sharpness));
    s->gamma = (double)o.gamma;
    s->lift = mosaic__amount(o.shadow_lift);
    s->contrast = (double)o.contrast;
    s->vibrance = mosaic__amount(o.vibrance);
    s->saturation = (double)o.saturation;
    s->saturation_warm = (double)o.saturation_warm;
    s->harmony = mosaic__amount(o.harmony);
    s->skin = mosaic__amount(o.skin_protection);
    s->toned = s->gamma != 1 || s->lift > 0 || s->contrast != 1 || s->vibrance > 0 || s->saturation != 1 || s->saturation_warm != 1 || s->harmony > 0;
    s->paint_low = (double)o.spread_low;
    s->paint_high = (double)o.spread_high;
    s->paint_bleed = mosaic__amount(o.bleed);
    s->repaint = mosaic__round(27 * 1024 * mosaic__amount(o.repaint));
    if (s->repaint == 0) s->repaint = -1;

    /* The dial: .0045 in the middle, where a mosaic is calm and still close; steep towards 1, where a change costs more than any picture
       could gain. */
    s->bonus =
        coherence < 1 ? mosaic__round(MOSAIC__COST_ONE * .0045 * (coherence / (1 - coherence)) * (coherence / (1 - coherence))) : MOSAIC__COST_LIMIT;
    if (s->bonus > MOSAIC__COST_LIMIT) s->bonus = MOSAIC__COST_LIMIT;

    /* What is left of a difference: curves take their share of what the matrix leaves. */
    keep = (1 - s->paint_bleed) * (1 - s->paint_bleed);
    left = 1 - (double)s->histogram / 256;
    s->low = mosaic__round(1024 * s->paint_low);
    s->high = mosaic__round(1024 * s->paint_high);
    s->spread_strength = mosaic__round(256 * (1 - (1 - s->paint_spread) * left));
    s->mean_factor = mosaic__round(4096 * keep * (1 - s->paint_mean) * left * (1 - s->paint_mean) * left);
    s->block_factor = mosaic__round(16384 * keep / MOSAIC__BLOCKS);
    return MOSAIC_OK;
}

/* How many photographs so many cells need. */
static int mosaic__photos_needed(const mosaic__settings *s, int filled)
{
    return s->max_uses ? (int)(((int64_t)filled + s->max_uses - 1) / s->max_uses) : 1;
}

/* Whether cells may come into sight and leave it. */
static int mosaic__can_move(const mosaic_grid *grid, const mosaic_options *options, const mosaic__settings *s)
{
    return !options->mask && s->bonus > 0 && !grid->origin_x && !grid->origin_y && grid->cols < 4096 && grid->rows < 4096 &&
           grid->cols * grid->cell_width == grid->width && grid->rows * grid->cell_height == grid->height;
}

MOSAIC_TEMPORAL_API int mosaic_photos_missing(const mosaic_grid *grid, int photos, const mosaic_options *options)
{
    mosaic__settings s;
    int need;
    if (!grid || mosaic__grid_check(grid) != MOSAIC_OK || mosaic__settings_of(options, &s) != MOSAIC_OK) return 0;
    need = mosaic__photos_needed(&s, mosaic__filled(grid, options ? options->mask : 0, options && options->grid == MOSAIC_GRID_FOLLOW));
    return need > photos ? need - photos : 0;
}

/* The variants of a pool's other looks. */
static void mosaic__settings_looks(mosaic__settings *s, int looks)
{
    const int each = s->variant_count;
    int look, v;
    for (look = 1; look < looks; look++)
        for (v = 0; v < each; v++) s->variant[s->variant_count++] = look * MOSAIC_VARIANTS + s->variant[v];
}

/* ==== Costs ====

   The cost of a tile in a cell is the squared Oklab error that is left at reading distance once the tile has been recoloured for that very
   cell and the source has bled in:

       (1 - bleed)^2 * sum over channels ((1 - mean strength)^2 (difference of means)^2 + (1 / 9) sum over blocks (B - k A)^2)

   with B and A the block deviations of cell and tile and k = 1 + spread strength * (g - 1), g the ratio of the spreads within its limits: exact
   for recolouring channel by channel, and the diagonal of it for a full colour map. All in integers; a dozen multiplications a pair. */

#define MOSAIC__LANES 16

/* Sixteen photographs in one variant, side by side as the kernels read them; block deviations in pairs. */
typedef struct mosaic__pack {
    int32_t mean[3][MOSAIC__LANES];
    int16_t block[3][(MOSAIC__BLOCKS + 1) / 2][MOSAIC__LANES][2];
    int32_t energy[3][MOSAIC__LANES];
    int32_t inverse[3][MOSAIC__LANES]; /* 2^20 / spread */
} mosaic__pack;

static void mosaic__pack_put(mosaic__pack *pack, int lane, const mosaic__look *look)
{
    int c, k;
    for (c = 0; c < 3; c++) {
        pack->mean[c][lane] = look->mean[c];
        for (k = 0; k < MOSAIC__BLOCKS + 1; k++) pack->block[c][k / 2][lane][k % 2] = look->block[c][k];
        pack->energy[c][lane] = look->energy[c];
        pack->inverse[c][lane] = (1 << 20) / look->spread[c];
    }
}

/* Bounds: deviations and means are below 2^10, so energies and products of blocks are below 2^21.2; factors k at most 2^8; every product below
   fits 31 bits. */
MOSAIC__INLINE int32_t mosaic__pair_cost(const mosaic__settings *s, const mosaic__look *cell, const mosaic__pack *pack, int lane)
{
    int32_t means = 0, residual = 0, cost;
    int c, p;
    for (c = 0; c < 3; c++) {
        int32_t d = cell->mean[c] - pack->mean[c][lane], dot = 0, g, k, t;
        for (p = 0; p < (MOSAIC__BLOCKS + 1) / 2; p++)
            dot += cell->block[c][2 * p] * pack->block[c][p][lane][0] + cell->block[c][2 * p + 1] * pack->block[c][p][lane][1];
        g = mosaic__clamp((cell->spread[c] * pack->inverse[c][lane]) >> 10, s->low, s->high);
        k = 128 + ((s->spread_strength * (g - 1024)) >> 11);
        t = ((pack->energy[c][lane] * k) >> 8) - dot;
        residual += cell->energy[c] + ((k * t) >> 6);
        means += d * d;
    }
    cost = (((means >> 4) * s->mean_factor) >> 10) + (((residual >> 6) * s->block_factor) >> 10);
    return mosaic__clamp(cost, 0, MOSAIC__COST_LIMIT);
}

/* For each lane the cheapest of the variants. */
static void mosaic__costs_scalar(const mosaic__settings *s, const mosaic__look *cell, const mosaic__pack *pack, int variants, int32_t *out)
{
    int lane, v;
    for (lane = 0; lane < MOSAIC__LANES; lane++) {
        int32_t best = mosaic__pair_cost(s, cell, pack, lane);
        for (v = 1; v < variants; v++) {
            int32_t cost = mosaic__pair_cost(s, cell, pack + v, lane);
            if (cost < best) best = cost;
        }
        out[lane] = best;
    }
}

/* The same for all lanes, by the text at the end of this file. */
#if MOSAIC__KERNELS_X86
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized" /* false alarms inside the intrinsics of gcc 12 */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define MOSAIC_TEMPORAL__LANES 8
#define MOSAIC_TEMPORAL__ISA MOSAIC__TARGET("avx2")
#define MOSAIC_TEMPORAL__WIDE __m256i
#define MOSAIC_TEMPORAL__OP(name) _mm256_##name
#include MOSAIC_TEMPORAL_FILE
#define MOSAIC_TEMPORAL__LANES 16
#define MOSAIC_TEMPORAL__ISA MOSAIC__TARGET("avx512f,avx512bw,avx512dq,avx512vl")
#define MOSAIC_TEMPORAL__WIDE __m512i
#define MOSAIC_TEMPORAL__OP(name) _mm512_##name
#include MOSAIC_TEMPORAL_FILE
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#elif MOSAIC__KERNELS_PORTABLE
#define MOSAIC_TEMPORAL__LANES 4
#define MOSAIC_TEMPORAL__ISA
#include MOSAIC_TEMPORAL_FILE
#endif

typedef void (*mosaic__costs)(const mosaic__settings *s, const mosaic__look *cell, const mosaic__pack *pack, int variants, int32_t *out);

/* The ladder of cost kernels: level as mosaic__cpu_level has it. */
static mosaic__costs mosaic__costs_kernel(int level)
{
#if MOSAIC__KERNELS_X86
    if (level >= 2) return mosaic__costs_16;
    if (level == 1) return mosaic__costs_8;
#elif MOSAIC__KERNELS_PORTABLE
    if (level > 0) return mosaic__costs_4;
#else
    (void)level;
#endif
    return mosaic__costs_scalar;
}

/* ==== Recolouring: a colour map for one tile in one cell ====

   The linear Monge-Kantorovich map between two sets of colours: with C_t, C_c the covariances of tile and cell,
   T = C_t^-1/2 (C_t^1/2 C_c C_t^1/2)^1/2 C_t^-1/2 is the one symmetric matrix that carries one spread to the other with the least change of
   colour (Pitie and Kokaram 2007). Worked on sRGB levels, so that painting is one 3 x 4 matrix a pixel. Symmetric 3 x 3 matrices are kept as
   xx xy xz yy yz zz. Plain doubles: + - * / in the order written, and a square root made of them. */

typedef struct mosaic__sym {
    double m[6];
} mosaic__sym;

/* Newton's iteration from a power of two: five steps reach the last bit but one. x >= 0. */
MOSAIC__ANYWHERE double mosaic__sqrt(double x)
{
    uint64_t bits;
    double y;
    int i;
    if (!(x > 1e-300)) return 0;
    memcpy(&bits, &x, 8);
    bits = (bits >> 1) + 0x1ff8000000000000u;
    memcpy(&y, &bits, 8);
    for (i = 0; i < 5; i++) y = .5 * (y + x / y);
    return y;
}

/* Eigenvalues and vectors (columns of v) of a symmetric matrix by cyclic Jacobi rotations: six sweeps, always. */
MOSAIC__ANYWHERE void mosaic__eigen(const mosaic__sym *a, double value[3], double v[3][3])
{
    static const int pair[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    double m[3][3];
    int sweep, r, k;
    m[0][0] = a->m[0];
    m[0][1] = m[1][0] = a->m[1];
    m[0][2] = m[2][0] = a->m[2];
    m[1][1] = a->m[3];
    m[1][2] = m[2][1] = a->m[4];
    m[2][2] = a->m[5];
    for (r = 0; r < 3; r++)
        for (k = 0; k < 3; k++) v[r][k] = r == k ? 1 : 0;
    for (sweep = 0; sweep < 6; sweep++)
        for (r = 0; r < 3; r++) {
            int p = pair[r][0], q = pair[r][1];
            double theta, size, t, c, s;
            if (m[p][q] == 0) continue;
            theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
            size = theta < 0 ? -theta : theta;
            if (size > 1e100) continue; /* already diagonal to the last bit */
            t = 1 / (size + mosaic__sqrt(size * size + 1));
            if (theta < 0) t = -t;
            c = 1 / mosaic__sqrt(t * t + 1);
            s = t * c;
            for (k = 0; k < 3; k++) {
                double x = m[k][p], y = m[k][q];
                m[k][p] = c * x - s * y;
                m[k][q] = s * x + c * y;
            }
            for (k = 0; k < 3; k++) {
                double x = m[p][k], y = m[q][k];
                m[p][k] = c * x - s * y;
                m[q][k] = s * x + c * y;
            }
            for (k = 0; k < 3; k++) {
                double x = v[k][p], y = v[k][q];
                v[k][p] = c * x - s * y;
                v[k][q] = s * x + c * y;
            }
        }
    for (k = 0; k < 3; k++) value[k] = m[k][k];
}

/* v diag(value) v^T */
MOSAIC__ANYWHERE mosaic__sym mosaic__compose(double v[3][3], const double value[3])
{
    mosaic__sym a;
    int r, c, k, n = 0;
    for (r = 0; r < 3; r++)
        for (c = r; c < 3; c++) {
            double sum = 0;
            for (k = 0; k < 3; k++) sum = sum + v[r][k] * value[k] * v[c][k];
            a.m[n++] = sum;
        }
    return a;
}

MOSAIC__ANYWHERE double mosaic__sym_at(const mosaic__sym *a, int r, int c)
{
    static const int index[3][3] = {{0, 1, 2}, {1, 3, 4}, {2, 4, 5}};
    return a->m[index[r][c]];
}

/* a b a, symmetric again. */
MOSAIC__ANYWHERE mosaic__sym mosaic__sandwich(const mosaic__sym *a, const mosaic__sym *b)
{
    mosaic__sym out;
    double ab[3][3];
    int r, c, k, n = 0;
    for (r = 0; r < 3; r++)
        for (c = 0; c < 3; c++) {
            ab[r][c] = 0;
            for (k = 0; k < 3; k++) ab[r][c] = ab[r][c] + mosaic__sym_at(a, r, k) * mosaic__sym_at(b, k, c);
        }
    for (r = 0; r < 3; r++)
        for (c = r; c < 3; c++) {
            double sum = 0;
            for (k = 0; k < 3; k++) sum = sum + ab[r][k] * mosaic__sym_at(a, k, c);
            out.m[n++] = sum;
        }
    return out;
}

/* What recolouring needs to know of a photograph: mean levels and the square root of the covariance, with its inverse. */
typedef struct mosaic__palette {
    double mean[3];
    mosaic__sym root, inverse;
} mosaic__palette;

/* Covariance in squared levels, with a ridge that keeps flat pictures from being stretched without limit. */
MOSAIC__ANYWHERE mosaic__sym mosaic__covariance(const mosaic__colours *colours, double mean[3])
{
    static const int pair[6][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}};
    mosaic__sym a;
    int k;
    for (k = 0; k < 3; k++) mean[k] = (double)colours->sum[k] / (16.0 * MOSAIC__PIXELS);
    for (k = 0; k < 6; k++) {
        int64_t e = colours->product[k] * MOSAIC__PIXELS - colours->sum[pair[k][0]] * colours->sum[pair[k][1]];
        a.m[k] = (double)e / (256.0 * MOSAIC__PIXELS * MOSAIC__PIXELS);
        if (pair[k][0] == pair[k][1]) a.m[k] = a.m[k] + .05;
    }
    return a;
}

static void mosaic__palette_of(const mosaic__colours *colours, mosaic__palette *palette)
{
    mosaic__sym a = mosaic__covariance(colours, palette->mean);
    double value[3], v[3][3];
    int k;
    mosaic__eigen(&a, value, v);
    for (k = 0; k < 3; k++) value[k] = mosaic__sqrt(value[k] < .05 ? .05 : value[k]);
    palette->root = mosaic__compose(v, value);
    for (k = 0; k < 3; k++) value[k] = 1 / value[k];
    palette->inverse = mosaic__compose(v, value);
}

MOSAIC__ANYWHERE int16_t mosaic__int16(double x)
{
    if (x > 32767) return 32767;
    if (x < -32767) return -32767;
    return (int16_t)mosaic__round(x);
}

/* The map from the spread of a photograph (f times as strong) to that of a cell with covariance c, limited and at the strength that was asked for:
   symmetric and, but for the limits, the one between the two covariances, or, axis by axis, between the spreads of grey and of two opponent colours. */
MOSAIC__ANYWHERE mosaic__sym mosaic__spread_map(const mosaic__settings *s, const mosaic__palette *photo, double f, const mosaic__sym *c)
{
    static const double axes[3][3] = {{.57735026918962576, .70710678118654752, .40824829046386302},
                                      {.57735026918962576, 0, -.81649658092772603},
                                      {.57735026918962576, -.70710678118654752, .40824829046386302}};
    double value[3] = {1, 1, 1}, v[3][3];
    mosaic__sym t;
    int k, r, n;
    memcpy(v, axes, sizeof v);
    if (s->recolour == MOSAIC_RECOLOUR_MKL) {
        mosaic__sym root;
        t = mosaic__sandwich(&photo->root, c);
        mosaic__eigen(&t, value, v);
        for (k = 0; k < 3; k++) value[k] = mosaic__sqrt(value[k] < 0 ? 0 : value[k]);
        root = mosaic__compose(v, value);
        t = mosaic__sandwich(&photo->inverse, &root);
        mosaic__eigen(&t, value, v);
    } else if (s->recolour == MOSAIC_RECOLOUR_REINHARD) {
        for (k = 0; k < 3; k++) {
            double cell = 0, tile = 0;
            for (r = 0; r < 3; r++) {
                double a = 0, b = 0;
                for (n = 0; n < 3; n++) {
                    a = a + mosaic__sym_at(c, r, n) * v[n][k];
                    b = b + mosaic__sym_at(&photo->root, r, n) * v[n][k];
                }
                cell = cell + v[r][k] * a;
                tile = tile + b * b;
            }
            value[k] = mosaic__sqrt(cell / tile);
        }
    }
    for (k = 0; k < 3; k++) {
        double g = value[k] / f; /* the variant's spread is f times the photograph's */
        g = g < s->paint_low ? s->paint_low : g > s->paint_high ? s->paint_high : g;
        value[k] = (1 - s->paint_spread) + s->paint_spread * g;
    }
    return mosaic__compose(v, value);
}

/* The rows of a draw list's colour map: out = bleed * source + (1 - bleed) * (m_t + mean (m_c - m_t) + ((1 - spread) I + spread T) (f p - m_t))
   with f the variant's level factor and m_t the mean of the photograph in that variant. */
MOSAIC__ANYWHERE void mosaic__recolour(const mosaic__settings *s, const mosaic__palette *photo, int variant, const mosaic__colours *cell,
                                       int16_t colour[3][5])
{
    double f = (double)mosaic__variant_tenths(variant) / 10, mean[3];
    mosaic__sym c = mosaic__covariance(cell, mean), t = mosaic__spread_map(s, photo, f, &c);
    int r, k;
    for (r = 0; r < 3; r++) {
        double m = f * photo->mean[r], constant = m + s->paint_mean * (mean[r] - m);
        for (k = 0; k < 3; k++) {
            double a = mosaic__sym_at(&t, r, k) * f;
            constant = constant - a * photo->mean[k];
            colour[r][k] = mosaic__int16(4096 * (1 - s->paint_bleed) * a);
        }
        colour[r][3] = mosaic__int16(4096 * s->paint_bleed);
        colour[r][4] = mosaic__int16(16 * (1 - s->paint_bleed) * constant);
    }
}

/* ---- Curves: what is left between the distributions of levels ---- */

enum { MOSAIC__KNOTS = 17 };

/* The level below which `rank` of the pixels lie, both in 1/256 … of a pixel, of a code; below[b]: how many pixels are below level b. */
MOSAIC__ANYWHERE int32_t mosaic__quantile(const uint8_t below[257], int32_t rank)
{
    int low = 0, high = 255; /* the level within which it lies */
    int32_t inside;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (below[middle + 1] * 256 > rank)
            high = middle;
        else
            low = middle + 1;
    }
    inside = below[low + 1] - below[low];
    return inside ? low * 16 + (rank - below[low] * 256) / (inside * 16) : low * 16;
}

/* One channel: at each knot the level of the cell that as many pixels lie below, the tile's own counted through a window as wide as the knots are
   apart; outside the tile's levels straight on; nowhere steeper than twice; moved so that the means agree. share of it, the rest stays as it is. y, c: codes
   of the tile's pixels as they come out of the matrix, and of the cell's less the share of the source (of 4096). */
MOSAIC__ANYWHERE void mosaic__curve_fill(const int32_t y[MOSAIC__PIXELS], const uint16_t c[MOSAIC__PIXELS], int bleed, int share,
                                         int16_t level[MOSAIC__KNOTS])
{
    uint8_t below[257];
    int32_t at[MOSAIC__KNOTS], knot[MOSAIC__KNOTS], sum_y = 0, sum_c = 0, sum_k = 0, shift;
    int i, j, middle;
    memset(below, 0, sizeof below);
    for (i = 0; i < MOSAIC__PIXELS; i++) {
        sum_y += y[i];
        sum_c += c[i];
        below[(c[i] >> 4) + 1]++;
    }
    for (i = 0; i < 256; i++) below[i + 1] = (uint8_t)(below[i + 1] + below[i]);
    for (j = 0; j < MOSAIC__KNOTS; j++) {
        int32_t rank = 0;
        for (i = 0; i < MOSAIC__PIXELS; i++) rank += mosaic__clamp(j * 256 + 128 - y[i], 0, 256);
        at[j] = rank == 0 || rank == MOSAIC__PIXELS * 256 ? -1 : mosaic__quantile(below, rank) * (4096 - bleed) >> 12;
    }
    middle = (sum_y / MOSAIC__PIXELS + 128) >> 8;
    knot[middle] = at[middle] < 0 ? middle * 256 : at[middle];
    for (j = middle; j + 1 < MOSAIC__KNOTS; j++)
        knot[j + 1] = knot[j] + (at[j] < 0 || at[j + 1] < 0 ? 256 : mosaic__clamp(at[j + 1] - at[j], 0, 512));
    for (j = middle; j > 0; j--) knot[j - 1] = knot[j] - (at[j] < 0 || at[j - 1] < 0 ? 256 : mosaic__clamp(at[j] - at[j - 1], 0, 512));
    for (i = 0; i < MOSAIC__PIXELS; i++) {
        const int32_t *k = knot + (y[i] >> 8), in = y[i] & 255;
        sum_k += (k[0] * (256 - in) + k[1] * in) >> 8;
    }
    shift = (int32_t)mosaic__div_round((int64_t)sum_c * (4096 - bleed) / 4096 - sum_k, MOSAIC__PIXELS);
    for (j = 0; j < MOSAIC__KNOTS; j++)
        level[j] = (int16_t)(((256 - share) * 256 * j + share * mosaic__clamp(knot[j] + shift, -4096, 8192) + 128) >> 8);
}

MOSAIC__ANYWHERE void mosaic__bend(const mosaic__settings *s, const mosaic__codes *photo, const mosaic__codes *cell, int16_t colour[3][5],
                                   mosaic_curve *curve)
{
    int32_t y[MOSAIC__PIXELS];
    int c, i;
    for (c = 0; c < 3; c++) {
        const int16_t *m = colour[c];
        for (i = 0; i < MOSAIC__PIXELS; i++)
            y[i] = mosaic__clamp((m[0] * photo->of[0][i] + m[1] * photo->of[1][i] + m[2] * photo->of[2][i] + 4096 * m[4] + 2048) >> 12, 0, 4080);
        mosaic__curve_fill(y, cell->of[c], m[3], s->histogram, curve->level[c]);
    }
}

/* ==== Painting ==== */

/* Where an output column (or row) reads the source: `taps` weights from `first` on, 2^14 in sum. */
typedef struct mosaic__taps {
    int count;       /* weights of each position */
    int32_t *first;  /* one for each position */
    int16_t *weight; /* count for each position */
} mosaic__taps;

/* A triangle as wide as an output pixel is in the source, at least one source pixel to each side: linear interpolation where the source is
   enlarged, a smooth average where it is reduced. start and length: the source under positions 0 … n - 1, 1/64 px. */
static int mosaic__taps_count(int length, int n, int size)
{
    int64_t radius = ((int64_t)length * 64 + n - 1) / n; /* 1/4096 px */
    int64_t count = (2 * (radius < 4096 ? 4096 : radius) + 4095) >> 12;
    count += count % 2; /* kernels take them in pairs; one too many weighs nothing */
    return count > size ? size : (int)count;
}

static void mosaic__taps_fill(mosaic__taps *taps, int start, int length, int n, int size)
{
    int64_t radius = ((int64_t)length * 64 + n - 1) / n;
    int i, k;
    if (radius < 4096) radius = 4096;
    for (i = 0; i < n; i++) {
        int16_t *w = taps->weight + (size_t)i * (size_t)taps->count;
        /* Centre of the position, in 1/4096 px from the centre of source pixel 0. */
        int64_t centre = (int64_t)start * 64 + mosaic__div_floor((int64_t)(2 * i + 1) * length * 32, n) - 2048, sum = 0;
        int64_t first = mosaic__div_floor(centre - radius, 4096) + 1;
        int left = 16384, top = 0;
        if (first > size - taps->count) first = size - taps->count;
        if (first < 0) first = 0;
        taps->first[i] = (int32_t)first;
        for (k = 0; k < taps->count; k++) {
            int64_t d = (first + k) * 4096 - centre;
            int64_t t = radius - (d < 0 ? -d : d);
            if (t > 0) sum += t;
        }
        for (k = 0; k < taps->count; k++) {
            int64_t d = (first + k) * 4096 - centre;
            int64_t t = radius - (d < 0 ? -d : d);
            w[k] = (int16_t)(t > 0 && sum > 0 ? t * 16384 / sum : 0);
            left -= w[k];
            if (w[k] > w[top]) top = k;
        }
        /* Rounding left a few parts over, or (beyond the border) everything: the heaviest tap takes it, the border pixel if none has any. */
        if (sum == 0) top = centre > first * 4096 ? taps->count - 1 : 0;
        w[top] = (int16_t)(w[top] + left);
    }
}

/* How a kernel picks the bytes of 16 tile pixels: from three times two loads of 16 bytes, each for 8 values of the output (R, G, B, R …). */
typedef struct mosaic__pick {
    int at[3][2];         /* first byte of each load */
    uint8_t rg[3][2][32]; /* byte shuffles: R and G of values 0 - 3 and 8 - 11, then of 4 - 7 and 12 - 15 */
    uint8_t b[3][2][32];  /* B of the same */
} mosaic__pick;

typedef struct mosaic__painter {
    const mosaic_grid *grid;
    const mosaic_pool *pool;
    const mosaic_draw *draw;
    const mosaic_curve *curve; /* null: none */
    const uint8_t *source;
    size_t source_stride;
    uint8_t *rgb;
    size_t stride;
    int only_repaint;
    mosaic__taps across, down;
    int16_t *scratch;     /* of one row of cells: source rows scaled across, 1/64 level */
    size_t scratch_size;  /* elements for each row of cells */
    int level;            /* of the kernels, as mosaic__cpu_level has it */
    int32_t *start;       /* for the kernels: of each output value (three a pixel), the byte of the source row that its pixel's first tap reads */
    int16_t *pair;        /* and its weights, tap by tap in pairs: [pair][value][2] */
    mosaic__pick pick[2]; /* of a tile, of a mirrored one */
    uint8_t *shifted;     /* of each row of cells: room to bring a tile between whole pixels; null: cells begin at whole pixels */
    size_t shifted_size;
    int8_t taps[65][4]; /* what a position so many 1/64 px after a pixel takes of the one before it, of it, and of the two behind, 1/64 */
} mosaic__painter;

/* A part of a cell that lies in the output: pixels x0 … x1 - 1 of rows y0 … y1 - 1, the first of them skip_x, skip_y from the cell's corner. */
typedef struct mosaic__part {
    int x0, x1, skip_x, y0, y1, skip_y;
} mosaic__part;

/* Cell column or row i in whole output pixels, cut at the border: *from … *to - 1, *skip of its pixels cut off before. */
static void mosaic__cell_range(int origin, int i, int cell, int limit, int *from, int *to, int *skip)
{
    int begin = (int)mosaic__div_floor((int64_t)origin + 32, 64) + i * cell, end = begin + cell;
    *from = mosaic__clamp(begin, 0, limit);
    *to = mosaic__clamp(end, 0, limit);
    *skip = *from - begin;
}

/* Rows of the source that output rows from … to - 1 read. */
static void mosaic__source_rows(const mosaic__taps *down, int from, int to, int *first, int *end)
{
    int y;
    *first = down->first[from];
    *end = 0;
    for (y = from; y < to; y++) {
        if (down->first[y] < *first) *first = down->first[y];
        if (down->first[y] + down->count > *end) *end = down->first[y] + down->count;
    }
}

/* Source rows first … end - 1 under a cell, scaled across. */
static void mosaic__across_scalar(const mosaic__painter *p, const mosaic__part *part, int first, int end, int16_t *out)
{
    int x, y, k;
    for (y = first; y < end; y++) {
        const uint8_t *row = p->source + (size_t)y * p->source_stride;
        for (x = part->x0; x < part->x1; x++, out += 3) {
            const uint8_t *s = row + (size_t)p->across.first[x] * 3;
            const int16_t *w = p->across.weight + (size_t)x * (size_t)p->across.count;
            int32_t r = 128, g = 128, b = 128;
            for (k = 0; k < p->across.count; k++, s += 3) {
                r += s[0] * w[k];
                g += s[1] * w[k];
                b += s[2] * w[k];
            }
            out[0] = (int16_t)(r >> 8);
            out[1] = (int16_t)(g >> 8);
            out[2] = (int16_t)(b >> 8);
        }
    }
}

/* One row of a cell: t is its tile's row, in the rows scaled across (null: no bleed), w their weights, bent what the tile's levels become (null: what they
   are). */
static void mosaic__blend_scalar(const mosaic__painter *p, const mosaic_draw *d, const mosaic__part *part, const uint8_t *t, int32_t bent[3][256],
                                 const int16_t *in, const int16_t *w, uint8_t *out)
{
    const int n = (part->x1 - part->x0) * 3, mirror = d->variant == MOSAIC_MIRROR;
    int x, c, k;
    t += (mirror ? p->grid->cell_width - 1 - part->skip_x : part->skip_x) * 3;
    for (x = 0; x < n; x += 3, out += 3, t += mirror ? -3 : 3)
        for (c = 0; c < 3; c++) {
            const int16_t *m = d->colour[c];
            int32_t value = m[0] * t[0] + m[1] * t[1] + m[2] * t[2] + 256 * m[4] + 2048;
            if (bent) value = bent[c][mosaic__clamp(value >> 12, 0, 255)];
            if (in) {
                int32_t s = 1 << 19;
                for (k = 0; k < p->down.count; k++) s += in[(size_t)k * (size_t)n + (size_t)(x + c)] * w[k];
                value += m[3] * (s >> 20);
            }
            out[c] = (uint8_t)mosaic__clamp(value >> 12, 0, 255);
        }
}

#if MOSAIC__KERNELS_X86
#define MOSAIC__PAINT_PIXELS 16 /* at a time: narrower parts of cells are left to the scalar code */

/* Sixteen values at a time, the last ones overlapping those before. A value's taps are three bytes apart; the bytes of two taps of four values lie
   within sixteen, and are brought side by side by one shuffle. */
MOSAIC__TARGET("avx2") static void mosaic__across_avx2(const mosaic__painter *p, const mosaic__part *part, int first, int end, int16_t *out)
{
    const int n = (part->x1 - part->x0) * 3, pairs = p->across.count / 2, last = p->grid->source_width * 3 - 16;
    const size_t values = (size_t)p->grid->width * 3;
    const __m128i channel[3] = {_mm_setr_epi32(0, 1, 2, 0), _mm_setr_epi32(1, 2, 0, 1), _mm_setr_epi32(2, 0, 1, 2)};
    const __m256i half = _mm256_set1_epi32(128);
    int v, y, j, q;
    for (v = 0; v < n; v += 16) {
        __m256i pick[4][2], weight[4][2];
        int base[4][4];
        if (v > n - 16) v = n - 16;
        for (j = 0; j < pairs; j++) {
            const size_t at = (size_t)part->x0 * 3 + (size_t)v;
            const int16_t *w = p->pair + ((size_t)j * values + at) * 2;
            __m128i shuffle[4];
            for (q = 0; q < 4; q++) {
                __m128i byte = _mm_add_epi32(mosaic__load16(p->start + at + 4 * q), channel[(v + q) % 3]);
                base[j][q] = p->start[at + 4 * (size_t)q] + 6 * j;
                if (base[j][q] > last) base[j][q] = last;
                byte = _mm_sub_epi32(byte, _mm_set1_epi32(base[j][q] - 6 * j));
                byte = _mm_or_si128(byte, _mm_slli_epi32(_mm_add_epi32(byte, _mm_set1_epi32(3)), 16));
                shuffle[q] = _mm_or_si128(byte, _mm_set1_epi32((int)0x80008000u));
            }
            for (q = 0; q < 2; q++) {
                pick[j][q] = _mm256_inserti128_si256(_mm256_castsi128_si256(shuffle[q]), shuffle[q + 2], 1);
                weight[j][q] = mosaic__load_two(w + 8 * q, w + 8 * q + 16);
            }
        }
        for (y = first; y < end; y++) {
            const uint8_t *row = p->source + (size_t)y * p->source_stride;
            __m256i low = half, high = half;
            for (j = 0; j < pairs; j++) {
                __m256i a = _mm256_shuffle_epi8(mosaic__load_two(row + base[j][0], row + base[j][2]), pick[j][0]);
                __m256i b = _mm256_shuffle_epi8(mosaic__load_two(row + base[j][1], row + base[j][3]), pick[j][1]);
                low = _mm256_add_epi32(low, _mm256_madd_epi16(a, weight[j][0]));
                high = _mm256_add_epi32(high, _mm256_madd_epi16(b, weight[j][1]));
            }
            low = _mm256_packs_epi32(_mm256_srai_epi32(low, 8), _mm256_srai_epi32(high, 8));
            _mm256_storeu_si256((__m256i *)(void *)(out + (size_t)(y - first) * (size_t)n + (size_t)v), low);
        }
    }
}

/* Curves as byte tables: [channel][level at the knot, at the next one][low bytes, high bytes][knot]. */
typedef struct mosaic__bytes_of_curve {
    uint8_t of[3][2][2][16];
} mosaic__bytes_of_curve;

static void mosaic__curve_bytes(const mosaic_curve *curve, mosaic__bytes_of_curve *bytes)
{
    int c, k, v;
    for (c = 0; c < 3; c++)
        for (k = 0; k < 2; k++)
            for (v = 0; v < 16; v++) {
                const uint16_t level = (uint16_t)curve->level[c][v + k];
                bytes->of[c][k][0][v] = (uint8_t)(level & 255);
                bytes->of[c][k][1][v] = (uint8_t)(level >> 8);
            }
}

/* Sixteen levels, 0 to 255, through their channels' curves: 2^12 times what they become, values 0 - 3 and 8 - 11, then 4 - 7 and 12 - 15. channel: that of the
   first one. */
MOSAIC__TARGET("avx2") static void mosaic__bend_avx2(const mosaic__bytes_of_curve *bytes, __m256i level, int channel, __m256i *low, __m256i *high)
{
    const __m256i knot = _mm256_srli_epi16(level, 4), upper = _mm256_slli_epi16(knot, 8), none = _mm256_set1_epi16((short)0x8080);
    const __m256i next = _mm256_slli_epi16(_mm256_and_si256(level, _mm256_set1_epi16(15)), 4), own = _mm256_sub_epi16(_mm256_set1_epi16(256), next);
    const __m256i third = _mm256_setr_epi16(0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0);
    __m256i k[2];
    int c, i;
    k[0] = k[1] = _mm256_setzero_si256();
    for (c = 0; c < 3; c++) {
        const __m256i here = _mm256_cmpeq_epi16(third, _mm256_set1_epi16((short)((c + 3 - channel) % 3)));
        const __m256i a = _mm256_blendv_epi8(none, _mm256_or_si256(knot, _mm256_set1_epi16((short)0x8000)), here);
        const __m256i b = _mm256_blendv_epi8(none, _mm256_or_si256(upper, _mm256_set1_epi16(0x80)), here);
        for (i = 0; i < 2; i++) {
            const uint8_t(*t)[16] = bytes->of[c][i];
            k[i] = _mm256_or_si256(k[i], _mm256_shuffle_epi8(mosaic__load_two(t[0], t[0]), a));
            k[i] = _mm256_or_si256(k[i], _mm256_shuffle_epi8(mosaic__load_two(t[1], t[1]), b));
        }
    }
    *low = _mm256_madd_epi16(_mm256_unpacklo_epi16(k[0], k[1]), _mm256_unpacklo_epi16(own, next));
    *high = _mm256_madd_epi16(_mm256_unpackhi_epi16(k[0], k[1]), _mm256_unpackhi_epi16(own, next));
}

/* All rows of a cell, sixteen pixels at a time, the last ones overlapping those before. Each 32-bit sum of two products is one instruction: (R, G) by
   its weights, and (B, source) by theirs. With curves the source is added when the tile's part went through them. in: rows scaled across from row `first`
   on. */
MOSAIC__TARGET("avx2")
static void mosaic__blend_avx2(const mosaic__painter *p, const mosaic_draw *d, const mosaic_curve *curve, const mosaic__part *part,
                               const uint8_t *tile, const int16_t *scratch, int first)
{
    const __m256i most = _mm256_set1_epi16(255), rounding = _mm256_set1_epi32(2048);
    mosaic__bytes_of_curve bytes_of_curve;
    const int w = part->x1 - part->x0, mirror = d->variant == MOSAIC_MIRROR, width = p->grid->cell_width;
    const mosaic__pick *pick = &p->pick[mirror];
    const __m256i half = _mm256_set1_epi32(1 << 19), upper = _mm256_set1_epi32((int)0xffff0000u);
    const size_t n = (size_t)w * 3;
    __m256i rg[3][2], bs[3][2], constant[3][2];
    int x, y, g, h, i, k;

    if (curve) mosaic__curve_bytes(curve, &bytes_of_curve);
    for (g = 0; g < 3; g++)
        for (h = 0; h < 2; h++) {
            int16_t first_two[16], last_two[16];
            int32_t rest[8];
            for (i = 0; i < 8; i++) {
                const int16_t *m = d->colour[(16 * g + 4 * h + i % 4 + i / 4 * 8) % 3];
                first_two[2 * i] = m[0];
                first_two[2 * i + 1] = m[1];
                last_two[2 * i] = m[2];
                last_two[2 * i + 1] = m[3];
                rest[i] = 256 * m[4] + 2048;
            }
            rg[g][h] = mosaic__load32(first_two);
            bs[g][h] = mosaic__load32(last_two);
            constant[g][h] = mosaic__load32(rest);
        }
    for (y = part->y0; y < part->y1; y++) {
        const uint8_t *t = tile + (size_t)(y - part->y0 + part->skip_y) * (size_t)width * 3;
        const int16_t *in = scratch ? scratch + (size_t)(p->down.first[y] - first) * n : 0;
        const int16_t *weight = p->down.weight + (size_t)y * (size_t)p->down.count;
        uint8_t *out = p->rgb + (size_t)y * p->stride + (size_t)part->x0 * 3;
        for (x = 0; x < w; x += 16) {
            const uint8_t *from;
            __m256i value[3], a, b;
            if (x > w - 16) x = w - 16;
            from = t + (mirror ? width - part->skip_x - x - 16 : part->skip_x + x) * 3;
            for (g = 0; g < 3; g++) {
                const __m256i bytes = mosaic__load_two(from + pick->at[g][0], from + pick->at[g][1]);
                __m256i low = _mm256_setzero_si256(), high = low;
                if (in) {
                    const int16_t *s = in + 3 * x + 16 * g;
                    low = high = half;
                    for (k = 0; k < p->down.count; k += 2, s += 2 * n) {
                        const __m256i both = _mm256_set1_epi32(mosaic__pair_bits(weight + k));
                        a = mosaic__load32(s);
                        b = mosaic__load32(s + n);
                        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), both));
                        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), both));
                    }
                    low = _mm256_and_si256(_mm256_srai_epi32(low, 4), upper);
                    high = _mm256_and_si256(_mm256_srai_epi32(high, 4), upper);
                }
                a = _mm256_madd_epi16(_mm256_shuffle_epi8(bytes, mosaic__load32(pick->rg[g][0])), rg[g][0]);
                b = _mm256_madd_epi16(_mm256_shuffle_epi8(bytes, mosaic__load32(pick->rg[g][1])), rg[g][1]);
                a = _mm256_add_epi32(a, constant[g][0]);
                b = _mm256_add_epi32(b, constant[g][1]);
                if (curve) {
                    a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_shuffle_epi8(bytes, mosaic__load32(pick->b[g][0])), bs[g][0]));
                    b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_shuffle_epi8(bytes, mosaic__load32(pick->b[g][1])), bs[g][1]));
                    a = _mm256_packs_epi32(_mm256_srai_epi32(a, 12), _mm256_srai_epi32(b, 12));
                    a = _mm256_min_epi16(_mm256_max_epi16(a, _mm256_setzero_si256()), most);
                    mosaic__bend_avx2(&bytes_of_curve, a, g, &a, &b); /* 16 g is of channel g */
                    a = _mm256_add_epi32(a, rounding);
                    b = _mm256_add_epi32(b, rounding);
                } else {
                    low = _mm256_or_si256(low, _mm256_shuffle_epi8(bytes, mosaic__load32(pick->b[g][0])));
                    high = _mm256_or_si256(high, _mm256_shuffle_epi8(bytes, mosaic__load32(pick->b[g][1])));
                }
                low = _mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(low, bs[g][0]), a), 12);
                high = _mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(high, bs[g][1]), b), 12);
                value[g] = _mm256_packs_epi32(low, high);
            }
            a = _mm256_permute4x64_epi64(_mm256_packus_epi16(value[0], value[1]), 0xd8);
            b = _mm256_permute4x64_epi64(_mm256_packus_epi16(value[2], value[2]), 0xd8);
            _mm256_storeu_si256((__m256i *)(void *)(out + 3 * x), a);
            _mm_storeu_si128((__m128i *)(void *)(out + 3 * x + 32), _mm256_castsi256_si128(b));
        }
    }
}

static void mosaic__pick_fill(mosaic__pick *pick, int mirror)
{
    int g, l, h, i;
    memset(pick->rg, 0x80, sizeof pick->rg);
    memset(pick->b, 0x80, sizeof pick->b);
    for (g = 0; g < 3; g++)
        for (l = 0; l < 2; l++) {
            const int value = 16 * g + 8 * l, left = mirror ? 15 - (value + 7) / 3 : value / 3, at = left * 3 > 32 ? 32 : left * 3;
            pick->at[g][l] = at;
            for (h = 0; h < 2; h++)
                for (i = 0; i < 4; i++) {
                    const int pixel = (value + 4 * h + i) / 3, byte = (mirror ? 15 - pixel : pixel) * 3 - at;
                    pick->rg[g][h][16 * l + 4 * i] = (uint8_t)byte;
                    pick->rg[g][h][16 * l + 4 * i + 2] = (uint8_t)(byte + 1);
                    pick->b[g][h][16 * l + 4 * i] = (uint8_t)(byte + 2);
                }
        }
}

/* A line of n pixels between whole pixels, and many of them, one under the other, likewise down. */
MOSAIC__TARGET("avx2") static int mosaic__shift_across_avx2(const uint8_t *line, const int8_t taps[4], int values, int16_t *out)
{
    const __m256i first = _mm256_set1_epi16((int16_t)((uint8_t)taps[0] | taps[1] << 8));
    const __m256i last = _mm256_set1_epi16((int16_t)((uint8_t)taps[2] | (uint8_t)taps[3] << 8));
    int v;
    if (values < 32) return 0;
    for (v = 0; v < values; v += 32) {
        __m256i a, b, c, d, low, high;
        if (v > values - 32) v = values - 32;
        a = mosaic__load32(line + v), b = mosaic__load32(line + v + 3), c = mosaic__load32(line + v + 6), d = mosaic__load32(line + v + 9);
        low = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), first), _mm256_maddubs_epi16(_mm256_unpacklo_epi8(c, d), last));
        high = _mm256_add_epi16(_mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), first), _mm256_maddubs_epi16(_mm256_unpackhi_epi8(c, d), last));
        _mm256_storeu_si256((__m256i *)(void *)(out + v), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(void *)(out + v + 16), _mm256_permute2x128_si256(low, high, 0x31));
    }
    return 1;
}

MOSAIC__TARGET("avx2") static int mosaic__shift_down_avx2(const int16_t *const row[4], const int8_t taps[4], int values, uint8_t *out)
{
    const __m256i first = _mm256_set1_epi32((int)((uint32_t)(uint16_t)taps[0] | (uint32_t)(uint16_t)taps[1] << 16));
    const __m256i last = _mm256_set1_epi32((int)((uint32_t)(uint16_t)taps[2] | (uint32_t)(uint16_t)taps[3] << 16));
    const __m256i half = _mm256_set1_epi32(2048);
    int v;
    if (values < 16) return 0;
    for (v = 0; v < values; v += 16) {
        __m256i a, b, c, d, low, high;
        if (v > values - 16) v = values - 16;
        a = mosaic__load32(row[0] + v), b = mosaic__load32(row[1] + v), c = mosaic__load32(row[2] + v), d = mosaic__load32(row[3] + v);
        low = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), first), _mm256_madd_epi16(_mm256_unpacklo_epi16(c, d), last));
        high = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), first), _mm256_madd_epi16(_mm256_unpackhi_epi16(c, d), last));
        low = _mm256_srai_epi32(_mm256_add_epi32(low, half), 12);
        high = _mm256_srai_epi32(_mm256_add_epi32(high, half), 12);
        low = _mm256_packs_epi32(low, high);
        low = _mm256_permute4x64_epi64(_mm256_packus_epi16(low, low), 0xd8);
        _mm_storeu_si128((__m128i *)(void *)(out + v), _mm256_castsi256_si128(low));
    }
    return 1;
}

/* What the kernels need besides the taps. They go without where a filter has an odd number of taps (a source of hardly any pixels), where
   neighbours in the output lie more than three pixels apart in the source, or where a row of the source has less than 16 bytes. */
static void mosaic__painter_kernels(mosaic__painter *p, int level)
{
    const mosaic_grid *g = p->grid;
    const int taps = p->across.count;
    size_t values = (size_t)g->width * 3, v;
    int k;
    if (level < 1 || taps % 2 || taps > 8 || p->down.count % 2 || g->source_width < 6) return;
    for (v = 0; v < values; v++) {
        const size_t x = v / 3;
        if (x > 0 && p->across.first[x] - p->across.first[x - 1] > 3) return;
        p->start[v] = p->across.first[x] * 3;
        for (k = 0; k < taps; k++) p->pair[((size_t)(k / 2) * values + v) * 2 + (size_t)(k % 2)] = p->across.weight[x * (size_t)taps + (size_t)k];
    }
    mosaic__pick_fill(&p->pick[0], 0);
    mosaic__pick_fill(&p->pick[1], 1);
    p->level = level;
}
#endif

/* Catmull-Rom's cubic through four pixels: sharp, and 1 in sum whatever the position. */
static void mosaic__cubic_taps(int8_t taps[65][4])
{
    int t, k;
    for (t = 0; t <= 64; t++) {
        const int u = t <= 32 ? t : 64 - t, far_side = t <= 32 ? 0 : 3; /* the same seen from the other end */
        int w[4];
        w[0] = (int)mosaic__div_round(-u * u * u + 128 * u * u - 4096 * u, 8192);
        w[2] = (int)mosaic__div_round(-3 * u * u * u + 256 * u * u + 4096 * u, 8192);
        w[3] = (int)mosaic__div_round(u * u * u - 64 * u * u, 8192);
        w[1] = 64 - w[0] - w[2] - w[3];
        for (k = 0; k < 4; k++) taps[t][far_side ? 3 - k : k] = (int8_t)w[k];
    }
}

/* How far a grid's origin lies from the whole pixel that painting begins at: -32 … 31, 1/64 px. */
static int mosaic__phase(int origin) { return (int)((int64_t)origin + 32 - mosaic__div_floor((int64_t)origin + 32, 64) * 64) - 32; }

/* A tile as it looks from between its pixels, moved by (x, y), -32 … 32, 1/64 px; it goes on beyond its edge with the pixels there. room: of the
   painter, for one tile. */
static const uint8_t *mosaic__shift_tile(const mosaic__painter *p, const uint8_t *tile, int x, int y, uint8_t *room)
{
    const int w = p->grid->cell_width, h = p->grid->cell_height, n = 3 * w;
    const int8_t *across = p->taps[x > 0 ? 64 - x : -x], *down = p->taps[y > 0 ? 64 - y : -y];
    int16_t *rows = (int16_t *)(void *)room;
    uint8_t *shifted = room + 2 * (size_t)h * (size_t)n, *work = shifted + (size_t)h * (size_t)n, *out = shifted;
    int i, j, k;
    for (j = 0; j < h; j++) {
        const uint8_t *line = work + (x > 0 ? 0 : 3);
        int16_t *to = rows + (size_t)j * (size_t)n;
        memcpy(work + 6, tile + (size_t)j * (size_t)n, (size_t)n);
        for (k = 0; k < 6; k++) {
            work[k] = work[6 + k % 3];
            work[6 + n + k] = work[3 + n + k % 3];
        }
#if MOSAIC__KERNELS_X86
        if (p->level >= 1 && mosaic__shift_across_avx2(line, across, n, to)) continue;
#endif
        for (i = 0; i < n; i++) to[i] = (int16_t)(across[0] * line[i] + across[1] * line[i + 3] + across[2] * line[i + 6] + across[3] * line[i + 9]);
    }
    for (j = 0; j < h; j++) {
        const int16_t *row[4];
        for (k = 0; k < 4; k++) row[k] = rows + (size_t)mosaic__clamp(j + k - (y > 0 ? 2 : 1), 0, h - 1) * (size_t)n;
        if (j > 0) out += n;
#if MOSAIC__KERNELS_X86
        if (p->level >= 1 && mosaic__shift_down_avx2(row, down, n, out)) continue;
#endif
        for (i = 0; i < n; i++)
            out[i] =
                (uint8_t)mosaic__clamp((down[0] * row[0][i] + down[1] * row[1][i] + down[2] * row[2][i] + down[3] * row[3][i] + 2048) >> 12, 0, 255);
    }
    return shifted;
}

/* One cell: the source under it is scaled across into scratch, then down row by row while the tile is recoloured. */
static void mosaic__paint_cell(const mosaic__painter *p, const mosaic_draw *d, const mosaic__part *part, int16_t *scratch, uint8_t *shifted)
{
    const int phase_x = mosaic__phase(p->grid->origin_x), phase_y = mosaic__phase(p->grid->origin_y);
    /* Where there is no photograph, any will do: its weights are 0. */
    const uint8_t *tile = p->pool->pixels[d->photo < 0 ? 0 : d->photo] + (size_t)d->look * mosaic__tile_bytes(p->pool);
    const mosaic_curve *curve = p->curve && d->photo >= 0 ? p->curve + (d - p->draw) : 0;
    const size_t n = (size_t)(part->x1 - part->x0) * 3;
    int32_t bent[3][256];
    int first = 0, end = 0, c, v, y;

    if (shifted && d->photo >= 0 && (phase_x || phase_y))
        tile = mosaic__shift_tile(p, tile, d->variant == MOSAIC_MIRROR ? -phase_x : phase_x, phase_y, shifted);
    if (d->colour[0][3] || d->colour[1][3] || d->colour[2][3])
        mosaic__source_rows(&p->down, part->y0, part->y1, &first, &end);
    else
        scratch = 0;
#if MOSAIC__KERNELS_X86
    if (p->level >= 1 && part->x1 - part->x0 >= MOSAIC__PAINT_PIXELS) {
        mosaic__across_avx2(p, part, first, end, scratch);
        mosaic__blend_avx2(p, d, curve, part, tile, scratch, first);
        return;
    }
#endif
    mosaic__across_scalar(p, part, first, end, scratch);
    for (c = 0; curve && c < 3; c++)
        for (v = 0; v < 256; v++) {
            const int16_t *k = curve->level[c] + v / 16;
            bent[c][v] = 16 * (k[0] * (16 - v % 16) + k[1] * (v % 16)) + 2048;
        }
    for (y = part->y0; y < part->y1; y++)
        mosaic__blend_scalar(p, d, part, tile + (size_t)(y - part->y0 + part->skip_y) * (size_t)p->grid->cell_width * 3, curve ? bent : 0,
                             scratch ? scratch + (size_t)(p->down.first[y] - first) * n : 0, p->down.weight + (size_t)y * (size_t)p->down.count,
                             p->rgb + (size_t)y * p->stride + (size_t)part->x0 * 3);
}

static void mosaic__paint_row(void *arg, int row)
{
    const mosaic__painter *p = (const mosaic__painter *)arg;
    const mosaic_grid *g = p->grid;
    int16_t *scratch = p->scratch + (size_t)row * p->scratch_size;
    uint8_t *shifted = p->shifted ? p->shifted + (size_t)row * p->shifted_size : 0;
    mosaic__part part;
    int col;
    mosaic__cell_range(g->origin_y, row, g->cell_height, g->height, &part.y0, &part.y1, &part.skip_y);
    for (col = 0; col < g->cols; col++) {
        const mosaic_draw *d = p->draw + (size_t)row * (size_t)g->cols + (size_t)col;
        if (p->only_repaint && !d->repaint) continue;
        mosaic__cell_range(g->origin_x, col, g->cell_width, g->width, &part.x0, &part.x1, &part.skip_x);
        if (part.x0 < part.x1 && part.y0 < part.y1) mosaic__paint_cell(p, d, &part, scratch, shifted);
    }
}

static void mosaic__painter_close(mosaic__painter *p, void *alloc_ctx)
{
    mosaic__release(alloc_ctx, p->across.first);
    mosaic__release(alloc_ctx, p->across.weight);
    mosaic__release(alloc_ctx, p->down.first);
    mosaic__release(alloc_ctx, p->down.weight);
    mosaic__release(alloc_ctx, p->scratch);
    mosaic__release(alloc_ctx, p->shifted);
    mosaic__release(alloc_ctx, p->start);
    mosaic__release(alloc_ctx, p->pair);
}

/* Tables and scratch of a painter; grid and pool are pointed to; moves: the grid's origin will change. To be closed even when this fails. */
static mosaic_result mosaic__painter_open(mosaic__painter *p, const mosaic_grid *grid, const mosaic_pool *pool, int level, int moves, void *alloc_ctx)
{
    size_t rows;
    memset(p, 0, sizeof *p);
    p->grid = grid;
    p->pool = pool;
    p->across.count = mosaic__taps_count(grid->crop_width, grid->width, grid->source_width);
    p->down.count = mosaic__taps_count(grid->crop_height, grid->height, grid->source_height);
    /* Source rows under a cell: its height in the source, and the reach of the filter. */
    rows = (size_t)(((int64_t)grid->cell_height * grid->crop_height / grid->height >> 6) + p->down.count + 2);
    if (rows > (size_t)grid->source_height) rows = (size_t)grid->source_height;
    if (!mosaic__multiply(rows, (size_t)grid->cell_width * 3, &p->scratch_size)) return MOSAIC_ERROR_SIZE;
    p->across.first = (int32_t *)mosaic__allocate(alloc_ctx, (size_t)grid->width, sizeof *p->across.first);
    p->across.weight = (int16_t *)mosaic__allocate(alloc_ctx, (size_t)grid->width * (size_t)p->across.count, sizeof *p->across.weight);
    p->down.first = (int32_t *)mosaic__allocate(alloc_ctx, (size_t)grid->height, sizeof *p->down.first);
    p->down.weight = (int16_t *)mosaic__allocate(alloc_ctx, (size_t)grid->height * (size_t)p->down.count, sizeof *p->down.weight);
    p->start = (int32_t *)mosaic__allocate(alloc_ctx, (size_t)grid->width * 3, sizeof *p->start);
    p->pair = (int16_t *)mosaic__allocate(alloc_ctx, (size_t)grid->width * 3 * (size_t)(p->across.count + 1), sizeof *p->pair);
    if (mosaic__multiply(p->scratch_size, (size_t)grid->rows, &rows)) p->scratch = (int16_t *)mosaic__allocate(alloc_ctx, rows, sizeof *p->scratch);
    if (!p->across.first || !p->across.weight || !p->down.first || !p->down.weight || !p->scratch || !p->start || !p->pair)
        return MOSAIC_ERROR_MEMORY;
    if (moves || mosaic__phase(grid->origin_x) || mosaic__phase(grid->origin_y)) {
        /* Rows of 16 bits, the tile, and a line with two pixels more to each side, behind which kernels read on. */
        p->shifted_size = ((size_t)grid->cell_width * (size_t)grid->cell_height * 9 + (size_t)(grid->cell_width + 4) * 3 + 32) / 2 * 2 + 2;
        if (mosaic__multiply(p->shifted_size, (size_t)grid->rows, &rows)) p->shifted = (uint8_t *)mosaic__allocate(alloc_ctx, rows, 1);
        if (!p->shifted) return MOSAIC_ERROR_MEMORY;
        memset(p->shifted, 0, rows);
        mosaic__cubic_taps(p->taps);
    }
    mosaic__taps_fill(&p->across, grid->crop_x, grid->crop_width, grid->width, grid->source_width);
    mosaic__taps_fill(&p->down, grid->crop_y, grid->crop_height, grid->height, grid->source_height);
#if MOSAIC__KERNELS_X86
    mosaic__painter_kernels(p, level);
#else
    (void)level;
#endif
    return MOSAIC_OK;
}

/* Whether a cell's colours leave the tile's pixels out. */
static int mosaic__takes_nothing(const mosaic_draw *d)
{
    int c, k, sum = 0;
    for (c = 0; c < 3; c++)
        for (k = 0; k < 3; k++) sum |= d->colour[c][k];
    return sum == 0;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_paint(const mosaic_grid *grid, const mosaic_pool *pool, const mosaic_draw *draw, const mosaic_curve *curve,
                                               int cells, int only_repaint, const uint8_t *source, size_t source_stride, uint8_t *rgb, size_t stride,
                                               int simd, mosaic_run run, void *run_ctx, void *alloc_ctx)
{
    mosaic__painter p;
    mosaic_result result;
    int i, level;
    if (!grid || !pool || !draw || !source || !rgb) return MOSAIC_ERROR_NULL;
    result = mosaic__grid_check(grid);
    if (result != MOSAIC_OK) return result;
    if (cells != grid->cols * grid->rows || pool->cell_width != grid->cell_width || pool->cell_height != grid->cell_height)
        return MOSAIC_ERROR_MISMATCH;
    if (source_stride < (size_t)grid->source_width * 3 || stride < (size_t)grid->width * 3) return MOSAIC_ERROR_STRIDE;
    level = mosaic__simd_level(simd);
    if (level < 0) return MOSAIC_ERROR_SIMD;
    for (i = 0; i < cells; i++)
        if (!(draw[i].photo == -1 ? pool->photos > 0 && mosaic__takes_nothing(draw + i) : mosaic__pool_has(pool, draw[i].photo)) ||
            draw[i].variant >= MOSAIC_VARIANTS || draw[i].look >= pool->looks)
            return MOSAIC_ERROR_OPTION;
    result = mosaic__painter_open(&p, grid, pool, level, 0, alloc_ctx);
    p.draw = draw;
    p.curve = curve;
    p.source = source;
    p.source_stride = source_stride;
    p.rgb = rgb;
    p.stride = stride;
    p.only_repaint = only_repaint;
    if (result == MOSAIC_OK) mosaic__parallel(run, run_ctx, mosaic__paint_row, &p, grid->rows);
    mosaic__painter_close(&p, alloc_ctx);
    return result;
}

/* ==== Finishing ====

   What is painted (the canvas) stays as it is; what is shown is made from it: cells are blended with their neighbours at their borders, every
   colour goes through one table, and luma is raised against its own mean around the pixel. Only cells that changed, and those that look across to
   them, are made again. All but the making of the table is integers. */

enum { MOSAIC__TONE_NODES = 33, MOSAIC__TONE_VALUES = MOSAIC__TONE_NODES * MOSAIC__TONE_NODES * MOSAIC__TONE_NODES * 4 };

/* What the table depends on besides the options: of a shot's first frame, Oklab, 2^10 = 1. */
typedef struct mosaic__shot {
    int32_t mean[2]; /* of a and b */
    int32_t chroma;  /* that 99 of 100 blocks of cells stay below */
} mosaic__shot;

static mosaic__shot mosaic__shot_of(const mosaic__look *looks, int cols, int rows, int stride)
{
    mosaic__shot shot;
    const int cells = cols * rows;
    int64_t mean[2] = {0, 0};
    int32_t count[1024], left = cells * MOSAIC__BLOCKS / 100;
    int i, b, k;
    memset(count, 0, sizeof count);
    for (i = 0; i < cells; i++) {
        const mosaic__look *look = looks + i / cols * stride + i % cols;
        for (k = 0; k < 2; k++) mean[k] += look->mean[k + 1];
        for (b = 0; b < MOSAIC__BLOCKS; b++) {
            const int32_t x = look->mean[1] + look->block[1][b], y = look->mean[2] + look->block[2][b];
            count[mosaic__clamp((int32_t)mosaic__isqrt((uint64_t)(x * x + y * y)), 0, 1023)]++;
        }
    }
    for (k = 0; k < 2; k++) shot.mean[k] = (int32_t)mosaic__div_round(mean[k], cells);
    for (shot.chroma = 1023; shot.chroma > 0 && left >= count[shot.chroma]; shot.chroma--) left -= count[shot.chroma];
    return shot;
}

/* x^power, x in 0 … 1, power in 1/4096: square roots of square roots, multiplied where the power has a bit. */
static double mosaic__power(double x, int power)
{
    double result = 1, root = x;
    int bit, k;
    for (k = 0; k < power / 4096; k++) result = result * x;
    for (bit = 2048; bit; bit /= 2) {
        root = mosaic__sqrt(root);
        if (power & bit) result = result * root;
    }
    return result;
}

/* By Newton from a guess that is good to a tenth. */
static double mosaic__cube_root(double x)
{
    uint64_t bits;
    double y;
    int i;
    if (!(x > 1e-12)) return 0;
    memcpy(&bits, &x, 8);
    bits = bits / 3 + 0x2aa0000000000000u;
    memcpy(&y, &bits, 8);
    for (i = 0; i < 5; i++) y = (2 * y + x / (y * y)) / 3;
    return y;
}

/* Linear light of a level between 0 and 255, white = 1, and back (clipped). */
static double mosaic__light(double level)
{
    const int i = level < 0 ? 0 : level > 255 ? 255 : (int)level;
    const double low = (double)mosaic__linear[i], high = (double)mosaic__linear[i + 1];
    return (low + (high - low) * (level < 0 ? 0 : level > 255 ? 0 : level - i)) / 262144;
}

static double mosaic__level(double light)
{
    const double v = light * 262144;
    int low = 0, high = 254;
    if (!(v > 0)) return 0;
    if (v >= 262144) return 255;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if ((double)mosaic__linear[middle] <= v)
            low = middle;
        else
            high = middle - 1;
    }
    return low + (v - (double)mosaic__linear[low]) / (double)(mosaic__linear[low + 1] - mosaic__linear[low]);
}

/* Levels to Oklab, and Oklab to linear light; Björn Ottosson's matrices. */
static void mosaic__levels_to_lab(const double level[3], double lab[3])
{
    const double r = mosaic__light(level[0]), g = mosaic__light(level[1]), b = mosaic__light(level[2]);
    const double l = mosaic__cube_root(.4122214708 * r + .5363325363 * g + .0514459929 * b);
    const double m = mosaic__cube_root(.2119034982 * r + .6806995451 * g + .1073969566 * b);
    const double s = mosaic__cube_root(.0883024619 * r + .2817188376 * g + .6299787005 * b);
    lab[0] = .2104542553 * l + .7936177850 * m - .0040720468 * s;
    lab[1] = 1.9779984951 * l - 2.4285922050 * m + .4505937099 * s;
    lab[2] = .0259040371 * l + .7827717662 * m - .8086757660 * s;
}

static void mosaic__lab_to_light(double lightness, double a, double b, double light[3])
{
    double l = lightness + .3963377774 * a + .2158037573 * b, m = lightness - .1055613458 * a - .0638541728 * b;
    double s = lightness - .0894841775 * a - 1.2914855480 * b;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    light[0] = 4.0767416621 * l - 3.3077115913 * m + .2309699292 * s;
    light[1] = -1.2684380046 * l + 2.6097574011 * m - .3413193965 * s;
    light[2] = -.0041960863 * l - .7034186147 * m + 1.7076147010 * s;
}

/* How many times a and b may be taken before a colour leaves sRGB, at most 8. */
static double mosaic__room(const double lab[3])
{
    double low = 0, high = 8, light[3];
    int i;
    for (i = 0; i < 14; i++) {
        const double middle = .5 * (low + high);
        mosaic__lab_to_light(lab[0], lab[1] * middle, lab[2] * middle, light);
        if (light[0] >= 0 && light[0] <= 1 && light[1] >= 0 && light[1] <= 1 && light[2] >= 0 && light[2] <= 1)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* 0 at `from`, 1 at `to`, straight between. */
static double mosaic__ramp(double x, double from, double to)
{
    const double t = (x - from) / (to - from);
    return t < 0 ? 0 : t > 1 ? 1 : t;
}

/* Where the colour is that of skin: hue around 55 degrees, not much colour, not dark. */
static double mosaic__skin(const double lab[3], double chroma)
{
    const double toward = chroma > 1e-6 ? (.574 * lab[1] + .819 * lab[2]) / chroma : 0;
    return mosaic__ramp(toward, .8, .95) * mosaic__ramp(chroma, .02, .05) * mosaic__ramp(chroma, .2, .14) * mosaic__ramp(lab[0], .3, .45);
}

/* One level through gamma, lift and contrast. */
static double mosaic__tone_level(const mosaic__settings *s, double level)
{
    double v = s->gamma == 1 ? level : 255 * mosaic__power(level / 255, mosaic__round(4096 * s->gamma));
    v = v + s->lift * (1 - v / 255);
    v = 128 + s->contrast * (v - 128);
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

/* One colour, whose levels went through that, through vibrance, saturation, harmony and back where it is skin. in: as it was. */
static void mosaic__tone(const mosaic__settings *s, const mosaic__shot *shot, const double in[3], const double level[3], double out[3])
{
    double before[3], lab[3], light[3], chroma, warm, times, skin, most = (double)shot->chroma / 1024 * 1.25;
    int c;
    for (c = 0; c < 3; c++) out[c] = level[c];
    if (s->vibrance <= 0 && s->saturation == 1 && s->saturation_warm == 1 && s->harmony <= 0 && s->skin <= 0) return;
    mosaic__levels_to_lab(in, before);
    mosaic__levels_to_lab(level, lab);
    chroma = mosaic__sqrt(lab[1] * lab[1] + lab[2] * lab[2]);
    if (most < .05) most = .05;
    warm = chroma > 1e-6 ? mosaic__ramp((.5 * lab[1] + .866 * lab[2]) / chroma, 0, .5) : 0;
    times = chroma < most ? 1 + s->vibrance * (1 - chroma / most) * (1 - chroma / most) : 1;
    times = times * (s->saturation + (s->saturation_warm - s->saturation) * warm);
    if (times > 1) {
        const double more = times - 1, room = mosaic__room(lab) - 1;
        times = room > 0 ? 1 + more * room / (more + room) : 1;
    }
    for (c = 1; c < 3; c++) lab[c] = lab[c] * times + s->harmony * ((double)shot->mean[c - 1] / 1024 - lab[c] * times);
    skin = s->skin * mosaic__skin(before, mosaic__sqrt(before[1] * before[1] + before[2] * before[2]));
    for (c = 0; c < 3; c++) lab[c] = lab[c] + skin * (before[c] - lab[c]);
    mosaic__lab_to_light(lab[0], lab[1], lab[2], light);
    for (c = 0; c < 3; c++) out[c] = mosaic__level(light[c]);
}

/* All colours with one level of red. The last node stands for level 256: straight on from those at 248 and 255. */
static void mosaic__tone_slice(const mosaic__settings *s, const mosaic__shot *shot, int16_t *tone, int red)
{
    enum { N = MOSAIC__TONE_NODES };
    int16_t *slice = tone + (size_t)red * N * N * 4;
    double plain[N], level[N];
    int g, b, c;
    for (g = 0; g < N; g++) {
        plain[g] = g == N - 1 ? 255 : 8 * g;
        level[g] = mosaic__tone_level(s, plain[g]);
    }
    for (g = 0; g < N; g++)
        for (b = 0; b < N; b++) {
            const double in[3] = {plain[red], plain[g], plain[b]}, levels[3] = {level[red], level[g], level[b]};
            double out[3];
            mosaic__tone(s, shot, in, levels, out);
            for (c = 0; c < 3; c++) slice[(g * N + b) * 4 + c] = (int16_t)mosaic__round(64 * out[c]);
            slice[(g * N + b) * 4 + 3] = 0;
        }
    for (g = 0; g < N; g++)
        for (c = 0; c < 3; c++) {
            int16_t *last = slice + (g * N + N - 1) * 4 + c;
            *last = (int16_t)(last[-4] + mosaic__div_round(8 * (*last - last[-4]), 7));
        }
    for (b = 0; b < N; b++)
        for (c = 0; c < 3; c++) {
            int16_t *last = slice + ((N - 1) * N + b) * 4 + c;
            *last = (int16_t)(last[-N * 4] + mosaic__div_round(8 * (*last - last[-N * 4]), 7));
        }
}

static void mosaic__tone_end(int16_t *tone)
{
    enum { SLICE = MOSAIC__TONE_NODES * MOSAIC__TONE_NODES * 4 };
    int16_t *last = tone + (size_t)(MOSAIC__TONE_NODES - 1) * SLICE;
    int i;
    for (i = 0; i < SLICE; i++) last[i] = (int16_t)(last[i - SLICE] + mosaic__div_round(8 * (last[i] - last[i - SLICE]), 7));
}

/* A colour by the table: of the six tetrahedra of its cube, the one whose edges go along the channels from the largest remainder to the smallest. */
MOSAIC__ANYWHERE void mosaic__tone_pixel(const int16_t *tone, const uint8_t *in, uint8_t *out)
{
    enum { N = MOSAIC__TONE_NODES };
    const int16_t *n = tone + (((in[0] >> 3) * N + (in[1] >> 3)) * N + (in[2] >> 3)) * 4, *n1, *n2, *n3;
    int f[3] = {in[0] & 7, in[1] & 7, in[2] & 7}, step[3] = {N * N * 4, N * 4, 4}, c, k;
    for (k = 0; k < 3; k++) { /* the order of three, in three exchanges */
        const int i = k & 1, t = f[i], u = step[i];
        if (f[i] >= f[i + 1]) continue;
        f[i] = f[i + 1];
        step[i] = step[i + 1];
        f[i + 1] = t;
        step[i + 1] = u;
    }
    n1 = n + step[0];
    n2 = n1 + step[1];
    n3 = n2 + step[2];
    for (c = 0; c < 3; c++) {
        const int32_t v = n[c] * (8 - f[0]) + n1[c] * (f[0] - f[1]) + n2[c] * (f[1] - f[2]) + n3[c] * f[2];
        out[c] = (uint8_t)mosaic__clamp((v + 256) >> 9, 0, 255);
    }
}

#if MOSAIC__KERNELS_X86
/* Byte shuffles: [channel][each 16 of 48 bytes of packed pixels] brings a channel's bytes together; [each 8 of 24 values] repeats each of eight numbers of 16
   bits three times. */
/* clang-format off */
static const uint8_t mosaic__split[3][3][16] = {
    {{0, 3, 6, 9, 12, 15, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128}, {128, 128, 128, 128, 128, 128, 2, 5, 8, 11, 14, 128, 128, 128, 128, 128}, {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 1, 4, 7, 10, 13}},
    {{1, 4, 7, 10, 13, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128}, {128, 128, 128, 128, 128, 0, 3, 6, 9, 12, 15, 128, 128, 128, 128, 128}, {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 2, 5, 8, 11, 14}},
    {{2, 5, 8, 11, 14, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128}, {128, 128, 128, 128, 128, 1, 4, 7, 10, 13, 128, 128, 128, 128, 128, 128}, {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0, 3, 6, 9, 12, 15}}};
static const uint8_t mosaic__thrice[3][16] = {
    {0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 4, 5, 4, 5},
    {4, 5, 6, 7, 6, 7, 6, 7, 8, 9, 8, 9, 8, 9, 10, 11},
    {10, 11, 10, 11, 12, 13, 12, 13, 12, 13, 14, 15, 14, 15, 14, 15}};
/* clang-format on */

/* The channels of 16 pixels, in 16 bits. */
MOSAIC__TARGET("avx2") static void mosaic__channels_avx2(const uint8_t *in, __m256i channel[3])
{
    const __m128i first = mosaic__load16(in), second = mosaic__load16(in + 16), third = mosaic__load16(in + 32);
    int c;
    for (c = 0; c < 3; c++) {
        const __m128i a = _mm_shuffle_epi8(first, mosaic__load16(mosaic__split[c][0])),
                      b = _mm_shuffle_epi8(second, mosaic__load16(mosaic__split[c][1]));
        channel[c] = _mm256_cvtepu8_epi16(_mm_or_si128(_mm_or_si128(a, b), _mm_shuffle_epi8(third, mosaic__load16(mosaic__split[c][2]))));
    }
}

/* x * inverse / 2^32 of eight numbers below 2^32. */
MOSAIC__TARGET("avx2") static __m256i mosaic__high_avx2(__m256i x, __m256i inverse)
{
    const __m256i even = _mm256_mul_epu32(x, inverse), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), inverse);
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

/* Two nodes of two pixels each, times their weights; 64 bits of each node are R, G, B, 0. */
MOSAIC__TARGET("avx2")
MOSAIC__INLINE void mosaic__tone_add_avx2(const int16_t *tone, const uint16_t first[2], const uint16_t second[2], __m128i weight0, __m128i weight1,
                                          __m128i sum[2])
{
    const __m128i a = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(tone + 4 * (size_t)first[0])),
                                         _mm_loadl_epi64((const __m128i *)(const void *)(tone + 4 * (size_t)first[1])));
    const __m128i b = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(tone + 4 * (size_t)second[0])),
                                         _mm_loadl_epi64((const __m128i *)(const void *)(tone + 4 * (size_t)second[1])));
    sum[0] = _mm_add_epi32(sum[0], _mm_madd_epi16(_mm_unpacklo_epi16(a, b), weight0));
    sum[1] = _mm_add_epi32(sum[1], _mm_madd_epi16(_mm_unpackhi_epi16(a, b), weight1));
}

/* Sixteen pixels at a time, the last ones overlapping those before. Which node comes next is sorted with the remainder it belongs to; the nodes then are
   fetched pixel by pixel. */
MOSAIC__TARGET("avx2") static void mosaic__tone_row_avx2(const int16_t *tone, const uint8_t *in, int n, uint8_t *out)
{
    enum { N = MOSAIC__TONE_NODES };
    const __m256i seven = _mm256_set1_epi16(7), eight = _mm256_set1_epi16(8), nodes = _mm256_set1_epi16(N), step = _mm256_set1_epi16(2047);
    const __m128i half = _mm_set1_epi32(256), pack = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    int x, q, k;
    for (x = 0; x < n; x += 16) {
        uint16_t node[4][16];
        __m128i weight[2][4], quad[4];
        __m256i c[3], key[3], at, a, b, most, middle, least;
        if (x > n - 16) x = n - 16;
        mosaic__channels_avx2(in + 3 * x, c);
        for (k = 0; k < 3; k++) {
            key[k] = _mm256_or_si256(_mm256_slli_epi16(_mm256_and_si256(c[k], seven), 11), _mm256_set1_epi16(k == 0 ? N * N : k == 1 ? N : 1));
            c[k] = _mm256_srli_epi16(c[k], 3);
        }
        most = _mm256_max_epi16(key[0], key[1]);
        least = _mm256_min_epi16(key[0], key[1]);
        a = _mm256_max_epi16(least, key[2]);
        least = _mm256_min_epi16(least, key[2]);
        middle = _mm256_min_epi16(most, a);
        most = _mm256_max_epi16(most, a);
        at = _mm256_add_epi16(_mm256_mullo_epi16(_mm256_add_epi16(_mm256_mullo_epi16(c[0], nodes), c[1]), nodes), c[2]);
        _mm256_storeu_si256((__m256i *)(void *)node[0], at);
        _mm256_storeu_si256((__m256i *)(void *)node[3], _mm256_add_epi16(at, _mm256_set1_epi16(N * N + N + 1)));
        at = _mm256_add_epi16(at, _mm256_and_si256(most, step));
        _mm256_storeu_si256((__m256i *)(void *)node[1], at);
        _mm256_storeu_si256((__m256i *)(void *)node[2], _mm256_add_epi16(at, _mm256_and_si256(middle, step)));
        most = _mm256_srli_epi16(most, 11);
        middle = _mm256_srli_epi16(middle, 11);
        least = _mm256_srli_epi16(least, 11);
        for (k = 0; k < 2; k++) {
            const __m256i own = k ? _mm256_sub_epi16(middle, least) : _mm256_sub_epi16(eight, most),
                          next = k ? least : _mm256_sub_epi16(most, middle);
            a = _mm256_unpacklo_epi16(own, next);
            b = _mm256_unpackhi_epi16(own, next);
            weight[k][0] = _mm256_castsi256_si128(a);
            weight[k][1] = _mm256_castsi256_si128(b);
            weight[k][2] = _mm256_extracti128_si256(a, 1);
            weight[k][3] = _mm256_extracti128_si256(b, 1);
        }
        for (q = 0; q < 4; q++) {
            const __m128i w = weight[0][q], v = weight[1][q];
            __m128i first[2], last[2];
            first[0] = first[1] = last[0] = last[1] = half;
            mosaic__tone_add_avx2(tone, node[0] + 4 * q, node[1] + 4 * q, _mm_shuffle_epi32(w, 0x00), _mm_shuffle_epi32(w, 0x55), first);
            mosaic__tone_add_avx2(tone, node[2] + 4 * q, node[3] + 4 * q, _mm_shuffle_epi32(v, 0x00), _mm_shuffle_epi32(v, 0x55), first);
            mosaic__tone_add_avx2(tone, node[0] + 4 * q + 2, node[1] + 4 * q + 2, _mm_shuffle_epi32(w, 0xaa), _mm_shuffle_epi32(w, 0xff), last);
            mosaic__tone_add_avx2(tone, node[2] + 4 * q + 2, node[3] + 4 * q + 2, _mm_shuffle_epi32(v, 0xaa), _mm_shuffle_epi32(v, 0xff), last);
            for (k = 0; k < 2; k++) first[k] = _mm_srai_epi32(first[k], 9), last[k] = _mm_srai_epi32(last[k], 9);
            quad[q] = _mm_shuffle_epi8(_mm_packus_epi16(_mm_packs_epi32(first[0], first[1]), _mm_packs_epi32(last[0], last[1])), pack);
        }
        _mm_storeu_si128((__m128i *)(void *)(out + 3 * x), _mm_or_si128(quad[0], _mm_slli_si128(quad[1], 12)));
        _mm_storeu_si128((__m128i *)(void *)(out + 3 * x + 16), _mm_or_si128(_mm_srli_si128(quad[1], 4), _mm_slli_si128(quad[2], 8)));
        _mm_storeu_si128((__m128i *)(void *)(out + 3 * x + 32), _mm_or_si128(_mm_srli_si128(quad[2], 8), _mm_slli_si128(quad[3], 4)));
    }
}
#endif

/* The kernels of finishing take rows of at least so many pixels; shorter ones are left to the scalar code. */
#define MOSAIC__FINISH_PIXELS 16

static void mosaic__tone_row(int level, const int16_t *tone, const uint8_t *in, int n, uint8_t *out)
{
    int x;
#if MOSAIC__KERNELS_X86
    if (level >= 1 && n >= MOSAIC__FINISH_PIXELS) {
        mosaic__tone_row_avx2(tone, in, n, out);
        return;
    }
#endif
    (void)level;
    for (x = 0; x < n; x++) mosaic__tone_pixel(tone, in + 3 * x, out + 3 * x);
}

typedef struct mosaic__finisher {
    const mosaic_grid *grid;
    const mosaic__settings *settings;
    const mosaic_draw *draw;
    const uint8_t *canvas;
    uint8_t *blended,
        *shown;         /* what borders and tone make of the canvas, and what local contrast and sharpness make of that; without these: the same */
    uint8_t *smooth[2]; /* for Laplacian borders: the canvas smoothed within each cell, by a quarter and by half of the width */
    int16_t *tone;      /* null: colours stay */
    int32_t *scratch;   /* of one row of cells */
    size_t scratch_size;
    int level;               /* of the kernels, as mosaic__cpu_level has it */
    uint8_t *first, *second; /* of each cell: to be blended and toned; to be raised */
    int width[3];            /* of borders, px: of the finest detail, finer, coarse */
    int radius, margin;      /* of local contrast; of the larger blur */
    int x0, x1, y0, y1;      /* of the output that cells cover */
    int made;                /* the table is that of this shot */
    int ready;               /* 0: all cells are made anew */
    mosaic__shot shot;
} mosaic__finisher;

static mosaic__part mosaic__cell_part(const mosaic_grid *g, int col, int row)
{
    mosaic__part part;
    mosaic__cell_range(g->origin_x, col, g->cell_width, g->width, &part.x0, &part.x1, &part.skip_x);
    mosaic__cell_range(g->origin_y, row, g->cell_height, g->height, &part.y0, &part.y1, &part.skip_y);
    return part;
}

/* Row or column i of n, mirrored at both ends. */
MOSAIC__ANYWHERE int mosaic__mirrored(int i, int n) { return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i; }

#if MOSAIC__KERNELS_X86
/* Sums of 2 r + 1 pixels from differences of sums of all before, divided by n: sixteen values at a time, the last ones overlapping those before. Exact for
   radii to SMOOTH_RADIUS. */
MOSAIC__TARGET("avx2") static void mosaic__smooth_out_avx2(const int32_t *before, int apart, int count, uint32_t n, uint8_t *out)
{
    const __m256i inverse = _mm256_set1_epi64x(((long long)1 << 32) / (long long)n + 1), half = _mm256_set1_epi32((int)(n / 2));
    int x, k;
    for (x = 0; x < count; x += 16) {
        __m256i mean[2];
        __m128i bytes;
        if (x > count - 16) x = count - 16;
        for (k = 0; k < 2; k++) {
            const int32_t *at = before + x + 8 * k;
            mean[k] = mosaic__high_avx2(_mm256_add_epi32(_mm256_sub_epi32(mosaic__load32(at + apart), mosaic__load32(at)), half), inverse);
        }
        mean[0] = _mm256_permute4x64_epi64(_mm256_packs_epi32(mean[0], mean[1]), 0xd8);
        bytes = _mm_packus_epi16(_mm256_castsi256_si128(mean[0]), _mm256_extracti128_si256(mean[0], 1));
        _mm_storeu_si128((__m128i *)(void *)(out + x), bytes);
    }
}

/* sum += next - last, as above, but the rest one by one: a sum can be moved on only once. */
MOSAIC__TARGET("avx2") static int mosaic__slide_avx2(const uint8_t *next, const uint8_t *last, int n, int32_t *sum)
{
    int x;
    for (x = 0; x + 8 <= n; x += 8) {
        const __m256i in = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(next + x)));
        const __m256i gone = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(last + x)));
        _mm256_storeu_si256((__m256i *)(void *)(sum + x), _mm256_add_epi32(mosaic__load32(sum + x), _mm256_sub_epi32(in, gone)));
    }
    return x;
}
#endif

/* The largest r with (2 r + 1)^4 * 255.5 < 2^32: from 1 to here a division by (2 r + 1)^2 is exact as a product. */
#define MOSAIC__SMOOTH_RADIUS 31

/* Means over (2 r + 1) x (2 r + 1) px within one cell of the canvas, which goes on mirrored beyond its borders. */
static void mosaic__smooth_cell(const mosaic__finisher *f, const mosaic__part *part, int radius, int32_t *scratch, uint8_t *out)
{
    const int w = part->x1 - part->x0, h = part->y1 - part->y0, most = (w < h ? w : h) - 1, r = radius < most ? radius : most;
    const int n = (2 * r + 1) * (2 * r + 1), apart = 3 * (2 * r + 1);
    const size_t stride = (size_t)f->grid->width * 3, at = (size_t)part->y0 * stride + (size_t)part->x0 * 3;
    const uint8_t *in = f->canvas + at;
    int32_t *column = scratch, *before = scratch + w * 3; /* sums down; sums of those to the left, of each channel */
    int x, y, c, k;
    memset(column, 0, (size_t)w * 3 * sizeof *column);
    for (k = -r; k <= r; k++)
        for (x = 0; x < 3 * w; x++) column[x] += in[(size_t)mosaic__mirrored(k, h) * stride + (size_t)x];
    for (y = 0; y < h; y++) {
        const uint8_t *next = in + (size_t)mosaic__mirrored(y + r + 1, h) * stride;
        const uint8_t *last = in + (size_t)mosaic__mirrored(y - r, h) * stride;
        uint8_t *to = out + at + (size_t)y * stride;
        int32_t *sum = before;
        for (c = 0; c < 3; c++) sum[c] = 0;
        for (x = -r; x < w + r; x++, sum += 3) {
            const int32_t *of = column + 3 * mosaic__mirrored(x, w);
            for (c = 0; c < 3; c++) sum[3 + c] = sum[c] + of[c];
        }
        x = 0;
#if MOSAIC__KERNELS_X86
        if (f->level >= 1 && w >= MOSAIC__FINISH_PIXELS && r >= 1 && r <= MOSAIC__SMOOTH_RADIUS) {
            mosaic__smooth_out_avx2(before, apart, 3 * w, (uint32_t)n, to);
            x = 3 * w;
        }
#endif
        for (; x < 3 * w; x++) to[x] = (uint8_t)((before[x + apart] - before[x] + n / 2) / n);
        x = 0;
#if MOSAIC__KERNELS_X86
        if (f->level >= 1) x = mosaic__slide_avx2(next, last, 3 * w, column);
#endif
        for (; x < 3 * w; x++) column[x] += next[x] - last[x];
    }
}

static void mosaic__smooth_row(void *arg, int row)
{
    const mosaic__finisher *f = (const mosaic__finisher *)arg;
    int col, k;
    for (col = 0; col < f->grid->cols; col++) {
        const int i = row * f->grid->cols + col;
        const mosaic__part part = mosaic__cell_part(f->grid, col, row);
        if ((f->ready && !f->draw[i].repaint) || part.x0 >= part.x1 || part.y0 >= part.y1) continue;
        for (k = 0; k < 2; k++) mosaic__smooth_cell(f, &part, f->width[k], f->scratch + (size_t)row * f->scratch_size, f->smooth[k]);
    }
}

/* Along one axis: the position on the other side of the nearer border, as far from it, and how far away that border is; -1 where there is none within
   `width`. */
MOSAIC__ANYWHERE int mosaic__across_border(int at, int begin, int end, int low, int high, int width, int *distance)
{
    const int from_begin = at - begin, from_end = end - 1 - at, other = from_begin <= from_end ? begin - 1 - from_begin : end + from_end;
    *distance = from_begin <= from_end ? from_begin : from_end;
    return *distance < width && other >= low && other < high ? other : -1;
}

/* Share of the other side, of 256: just below a half at the border, nothing from `width` on. */
MOSAIC__ANYWHERE int mosaic__border_share(int distance, int width) { return distance < width ? (2 * (width - distance) - 1) * 256 / (4 * width) : 0; }

/* Cells that a mask leaves out stay as they are painted, and nothing is blended with them. */
static int mosaic__left_out(const mosaic__finisher *f, int cell) { return f->draw[cell].photo < 0; }

/* A part of a row of one cell and what lies left and right of it, between the rows that a border above or below mirrors: from the finest band to the
   coarsest, what a picture has more than the smoother one, at the row and at the other row by their shares of 256, times the column's share. The sum is
   2^16 times a level when the shares of a pixel and of its mirror image add up to 256. */
typedef struct mosaic__weigh {
    const uint8_t *picture[3];
    int bands;
    size_t own, other;    /* first value of the row, and of the one it is blended with */
    int down[3];          /* of the other row, for each band */
    const int32_t *share; /* of the columns, band after band */
    int room;             /* values from band to band */
} mosaic__weigh;

static void mosaic__weigh_scalar(const mosaic__weigh *m, int n, int32_t *sum)
{
    int x, k;
    for (x = 0; x < n; x++)
        for (sum[x] = 0, k = 0; k < m->bands; k++) {
            const uint8_t *more = m->picture[k] + x, *less = k + 1 < m->bands ? m->picture[k + 1] + x : 0;
            const int own = more[m->own] - (less ? less[m->own] : 0), other = more[m->other] - (less ? less[m->other] : 0);
            sum[x] += (own * (256 - m->down[k]) + other * m->down[k]) * m->share[k * m->room + x];
        }
}

#if MOSAIC__KERNELS_X86
/* Sixteen values at a time, the last ones overlapping those before. */
MOSAIC__TARGET("avx2") static void mosaic__weigh_avx2(const mosaic__weigh *m, int n, int32_t *sum)
{
    int x, k;
    for (x = 0; x < n; x += 16) {
        __m256i own, other, low = _mm256_setzero_si256(), high = low;
        if (x > n - 16) x = n - 16;
        own = _mm256_cvtepu8_epi16(mosaic__load16(m->picture[0] + m->own + x));
        other = _mm256_cvtepu8_epi16(mosaic__load16(m->picture[0] + m->other + x));
        for (k = 0; k < m->bands; k++) {
            const int32_t *share = m->share + k * m->room + x;
            const __m256i down = _mm256_set1_epi32((256 - m->down[k]) | m->down[k] << 16);
            __m256i a = own, b = other, l, h;
            if (k + 1 < m->bands) {
                own = _mm256_cvtepu8_epi16(mosaic__load16(m->picture[k + 1] + m->own + x));
                other = _mm256_cvtepu8_epi16(mosaic__load16(m->picture[k + 1] + m->other + x));
                a = _mm256_sub_epi16(a, own);
                b = _mm256_sub_epi16(b, other);
            }
            l = _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), down);
            h = _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), down);
            low = _mm256_add_epi32(low, _mm256_mullo_epi32(l, mosaic__load_two(share, share + 8)));
            high = _mm256_add_epi32(high, _mm256_mullo_epi32(h, mosaic__load_two(share + 4, share + 12)));
        }
        _mm256_storeu_si256((__m256i *)(void *)(sum + x), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(void *)(sum + x + 8), _mm256_permute2x128_si256(low, high, 0x31));
    }
}

MOSAIC__TARGET("avx2") static int mosaic__weighed_avx2(const int32_t *sum, int n, uint8_t *out)
{
    const __m256i half = _mm256_set1_epi32(1 << 15);
    int x;
    for (x = 0; x + 16 <= n; x += 16) {
        const __m256i low = _mm256_srai_epi32(_mm256_add_epi32(mosaic__load32(sum + x), half), 16);
        const __m256i high = _mm256_srai_epi32(_mm256_add_epi32(mosaic__load32(sum + x + 8), half), 16);
        const __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
        _mm_storeu_si128((__m128i *)(void *)(out + x), _mm_packus_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
    }
    return x;
}
#endif

/* How one cell's rows are blended with what is beside it: the columns that are needed, in values, and the shares of each. */
typedef struct mosaic__beside {
    int from, to;    /* columns: the part, and as many beyond its borders as are blended into it */
    int left, right; /* how many those are */
    int room;
    int32_t *share; /* of each band, of each value */
    int32_t *sum;
} mosaic__beside;

static void mosaic__beside_fill(const mosaic__finisher *f, const mosaic__part *part, int cell, mosaic__beside *b)
{
    const int begin = part->x0 - part->skip_x, end = begin + f->grid->cell_width, bands = f->smooth[0] ? 3 : 1;
    int x, c, k;
    b->left = mosaic__clamp(begin - f->x0, 0, f->width[2]);
    b->right = mosaic__clamp(f->x1 - end, 0, f->width[2]);
    b->from = part->x0 - b->left;
    b->to = part->x1 + b->right;
    b->room = (b->to - b->from) * 3;
    b->sum = b->share + bands * b->room;
    for (k = 0; k < bands; k++) {
        const int width = f->width[bands == 3 ? k : 2];
        int32_t *share = b->share + k * b->room;
        for (x = b->from; x < b->to; x++) {
            const int outside = x < begin || x >= end, at_left = x < begin + b->left, at_right = x >= end - b->right;
            const int distance = at_left ? (outside ? begin - 1 - x : x - begin) : outside ? x - end : end - 1 - x;
            const int none = !(at_left || at_right) || mosaic__left_out(f, cell + (at_left ? -1 : 1));
            const int32_t other = none ? 0 : mosaic__border_share(distance, width);
            for (c = 0; c < 3; c++) *share++ = outside ? other : 256 - other;
        }
    }
}

/* One row of a cell, blended. */
static void mosaic__blend_borders(const mosaic__finisher *f, const mosaic__part *part, const mosaic__beside *b, int cell, int y, uint8_t *out)
{
    const size_t stride = (size_t)f->grid->width * 3;
    const int cy = part->y0 - part->skip_y, w = (part->x1 - part->x0) * 3, reach = 3 * b->left;
    const int left = part->x0 + b->left < b->to ? part->x0 + b->left : b->to;
    const int to[3] = {left, part->x1 - b->right, b->to}; /* columns that end at the left border, the middle, the right border */
    int32_t *sum = b->sum + reach;
    mosaic__weigh m;
    int dy, x, c, k;
    const int near_y = mosaic__across_border(y, cy, cy + f->grid->cell_height, f->y0, f->y1, f->width[2], &dy);
    const int over = near_y < 0 ? 0 : near_y < y ? -f->grid->cols : f->grid->cols;
    int other[3];
    m.bands = f->smooth[0] ? 3 : 1;
    m.picture[0] = f->canvas;
    for (k = 1; k < 3; k++) m.picture[k] = f->smooth[k - 1];
    m.room = b->room;
    for (k = 0; k < 3; k++) other[k] = over && !mosaic__left_out(f, cell + over) ? near_y : -1;
    if (over && b->left && mosaic__left_out(f, cell + over - 1)) other[0] = -1;
    if (over && b->right && mosaic__left_out(f, cell + over + 1)) other[2] = -1;
    for (k = 0, x = b->from; k < 3; k++) {
        const int first = x;
        int band;
        x = to[k] > x ? to[k] : x;
        while (k < 2 && other[k + 1] == other[k]) k++, x = to[k] > x ? to[k] : x;
        if (x == first) continue;
        for (band = 0; band < m.bands; band++) m.down[band] = other[k] < 0 ? 0 : mosaic__border_share(dy, f->width[m.bands == 3 ? band : 2]);
        m.own = (size_t)y * stride + (size_t)first * 3;
        m.other = (size_t)(other[k] < 0 ? y : other[k]) * stride + (size_t)first * 3;
        m.share = b->share + (first - b->from) * 3;
#if MOSAIC__KERNELS_X86
        if (f->level >= 1 && x - first >= MOSAIC__FINISH_PIXELS)
            mosaic__weigh_avx2(&m, (x - first) * 3, b->sum + (first - b->from) * 3);
        else
#endif
            mosaic__weigh_scalar(&m, (x - first) * 3, b->sum + (first - b->from) * 3);
    }
    for (x = 0; x < b->left * 3 && x < w; x += 3)
        for (c = 0; c < 3; c++) sum[x + c] += sum[c - 3 - x];
    for (x = 0; x < b->right * 3 && x < w; x += 3)
        for (c = 0; c < 3; c++) sum[w - 3 - x + c] += sum[w + x + c];
    x = 0;
#if MOSAIC__KERNELS_X86
    if (f->level >= 1) x = mosaic__weighed_avx2(sum, w, out);
#endif
    for (; x < w; x++) out[x] = (uint8_t)mosaic__clamp((sum[x] + 32768) >> 16, 0, 255);
}

static void mosaic__blend_row(void *arg, int row)
{
    const mosaic__finisher *f = (const mosaic__finisher *)arg;
    const size_t stride = (size_t)f->grid->width * 3;
    mosaic__beside b;
    int col, y;
    memset(&b, 0, sizeof b);
    b.share = f->scratch + (size_t)row * f->scratch_size;
    for (col = 0; col < f->grid->cols; col++) {
        const mosaic__part part = mosaic__cell_part(f->grid, col, row);
        const int w = part.x1 - part.x0, cell = row * f->grid->cols + col, left_out = mosaic__left_out(f, cell);
        const int soft = f->width[2] > 0 && !left_out;
        if (!f->first[cell] || w < 1) continue;
        if (soft) mosaic__beside_fill(f, &part, cell, &b);
        for (y = part.y0; y < part.y1; y++) {
            const size_t at = (size_t)y * stride + (size_t)part.x0 * 3;
            const uint8_t *in = f->canvas + at;
            if (soft) {
                uint8_t *blended = f->tone ? (uint8_t *)(b.sum + b.room) : f->blended + at;
                mosaic__blend_borders(f, &part, &b, cell, y, blended);
                in = blended;
            }
            if (f->tone && !left_out)
                mosaic__tone_row(f->level, f->tone, in, w, f->blended + at);
            else if (!soft)
                memcpy(f->blended + at, in, (size_t)w * 3);
        }
    }
}

/* Luma in 1/16 level. */
MOSAIC__ANYWHERE int16_t mosaic__luma16(const uint8_t *p) { return (int16_t)((77 * p[0] + 150 * p[1] + 29 * p[2] + 8) >> 4); }

#if MOSAIC__KERNELS_X86
MOSAIC__TARGET("avx2") static void mosaic__luma16_avx2(const uint8_t *in, int n, int16_t *out)
{
    int x;
    for (x = 0; x < n; x += 16) {
        __m256i c[3], sum = _mm256_set1_epi16(8);
        if (x > n - 16) x = n - 16;
        mosaic__channels_avx2(in + 3 * x, c);
        sum = _mm256_add_epi16(sum, _mm256_mullo_epi16(c[0], _mm256_set1_epi16(77)));
        sum = _mm256_add_epi16(sum, _mm256_mullo_epi16(c[1], _mm256_set1_epi16(150)));
        sum = _mm256_add_epi16(sum, _mm256_mullo_epi16(c[2], _mm256_set1_epi16(29)));
        _mm256_storeu_si256((__m256i *)(void *)(out + x), _mm256_srli_epi16(sum, 4));
    }
}

/* sum += next - last, and five lines of luma by 1 2 3 2 1: eight at a time. */
MOSAIC__TARGET("avx2")
static int mosaic__raise_down_avx2(const int16_t *next, const int16_t *last, const int16_t *five, int stride, int n, int32_t *sum, uint16_t *down)
{
    int x;
    for (x = 0; x + 8 <= n; x += 8) {
        const __m128i outer = _mm_add_epi16(mosaic__load16(five + x), mosaic__load16(five + 4 * stride + x));
        const __m128i inner = _mm_add_epi16(mosaic__load16(five + stride + x), mosaic__load16(five + 3 * stride + x));
        const __m128i middle = mosaic__load16(five + 2 * stride + x);
        const __m256i more = _mm256_cvtepi16_epi32(_mm_sub_epi16(mosaic__load16(next + x), mosaic__load16(last + x)));
        __m128i all = _mm_add_epi16(_mm_add_epi16(outer, middle), _mm_slli_epi16(_mm_add_epi16(inner, middle), 1));
        _mm_storeu_si128((__m128i *)(void *)(down + x), all);
        _mm256_storeu_si256((__m256i *)(void *)(sum + x), _mm256_add_epi32(mosaic__load32(sum + x), more));
    }
    return x;
}

/* Sixteen pixels at a time, the last ones overlapping those before. */
MOSAIC__TARGET("avx2")
static void mosaic__raise_out_avx2(const int16_t *luma, const int32_t *before, int apart, const uint16_t *down, uint32_t inverse, int local,
                                   int sharp, int n, const uint8_t *in, uint8_t *out)
{
    const __m256i mean = _mm256_set1_epi64x((long long)inverse), by81 = _mm256_set1_epi64x(((long long)1 << 32) / 81 + 1);
    const __m256i amount = _mm256_set1_epi32(local | sharp << 16), half = _mm256_set1_epi32(2048);
    int x, g, k;
    for (x = 0; x < n; x += 16) {
        __m256i more[2];
        if (x > n - 16) x = n - 16;
        for (k = 0; k < 2; k++) {
            const int at = x + 8 * k;
            const __m256i own = _mm256_cvtepi16_epi32(mosaic__load16(luma + at));
            const __m256i box = mosaic__high_avx2(_mm256_sub_epi32(mosaic__load32(before + at + apart), mosaic__load32(before + at)), mean);
            const __m256i outer =
                _mm256_add_epi32(_mm256_cvtepu16_epi32(mosaic__load16(down + at)), _mm256_cvtepu16_epi32(mosaic__load16(down + at + 4)));
            const __m256i inner =
                _mm256_add_epi32(_mm256_cvtepu16_epi32(mosaic__load16(down + at + 1)), _mm256_cvtepu16_epi32(mosaic__load16(down + at + 3)));
            const __m256i middle = _mm256_cvtepu16_epi32(mosaic__load16(down + at + 2));
            const __m256i five = _mm256_add_epi32(_mm256_add_epi32(outer, middle), _mm256_slli_epi32(_mm256_add_epi32(inner, middle), 1));
            const __m256i sharper = _mm256_sub_epi32(own, mosaic__high_avx2(five, by81));
            const __m256i both = _mm256_blend_epi16(_mm256_sub_epi32(own, box), _mm256_slli_epi32(sharper, 16), 0xaa);
            more[k] = _mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(both, amount), half), 12);
        }
        more[0] = _mm256_permute4x64_epi64(_mm256_packs_epi32(more[0], more[1]), 0xd8);
        for (g = 0; g < 3; g++) { /* the first eight pixels in the lower half, the last eight in the upper one */
            const __m256i thrice = _mm256_shuffle_epi8(more[0], mosaic__load_two(mosaic__thrice[g], mosaic__thrice[g]));
            const __m128i low = _mm_loadl_epi64((const __m128i *)(const void *)(in + 3 * x + 8 * g));
            const __m128i high = _mm_loadl_epi64((const __m128i *)(const void *)(in + 3 * x + 24 + 8 * g));
            const __m256i value = _mm256_add_epi16(_mm256_cvtepu8_epi16(_mm_unpacklo_epi64(low, high)), thrice);
            const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
            _mm_storel_epi64((__m128i *)(void *)(out + 3 * x + 8 * g), bytes);
            _mm_storel_epi64((__m128i *)(void *)(out + 3 * x + 24 + 8 * g), _mm_srli_si128(bytes, 8));
        }
    }
}
#endif

/* One cell's luma against its means. The area that cells cover goes on beyond its edge with the pixels at it. */
static void mosaic__raise_cell(const mosaic__finisher *f, const mosaic__part *part, int32_t *scratch)
{
    const int m = f->margin, r = f->radius, w = part->x1 - part->x0, h = part->y1 - part->y0, wide = w + 2 * m, high = h + 2 * m;
    const int local = f->settings->local_contrast, sharp = f->settings->sharpness;
    const size_t stride = (size_t)f->grid->width * 3;
    const int64_t n = (int64_t)(2 * r + 1) * (2 * r + 1), inverse = (((int64_t)1 << 32) + n - 1) / n; /* exact for sums of equal lumas */
    int32_t *column = scratch, *before = column + wide; /* sums of 2 r + 1 lines; and of all of those to the left */
    uint16_t *down = (uint16_t *)(before + wide + 1);   /* of five lines by 1 2 3 2 1 */
    int16_t *luma = (int16_t *)(void *)(down + wide), *line = luma;
    const int left = mosaic__clamp(f->x0 - (part->x0 - m), 0, m), right = mosaic__clamp(f->x1 - (part->x0 - m), 0, wide); /* columns there are */
    int x, y, k;
    for (y = 0; y < high; y++, line += wide) {
        const uint8_t *in = f->blended + (size_t)mosaic__clamp(part->y0 - m + y, f->y0, f->y1 - 1) * stride + (size_t)(part->x0 - m + left) * 3;
        x = left;
#if MOSAIC__KERNELS_X86
        if (f->level >= 1 && right - left >= MOSAIC__FINISH_PIXELS) {
            mosaic__luma16_avx2(in, right - left, line + left);
            x = right;
        }
#endif
        for (; x < right; x++) line[x] = mosaic__luma16(in + 3 * (x - left));
        for (x = 0; x < left; x++) line[x] = line[left];
        for (x = right; x < wide; x++) line[x] = line[right - 1];
    }
    memset(column, 0, (size_t)wide * sizeof *column);
    for (y = m - r; y < m + r; y++)
        for (x = 0; x < wide; x++) column[x] += luma[y * wide + x];
    for (x = 0; x < wide; x++) column[x] += luma[(m - r) * wide + x]; /* which the first line takes away again */
    for (y = 0; y < h; y++) {
        const size_t at = (size_t)(part->y0 + y) * stride + (size_t)part->x0 * 3;
        const int16_t *next = luma + (y + m + r) * wide, *last = luma + (y > 0 ? y + m - r - 1 : m - r) * wide, *five = luma + (y + m - 2) * wide;
        const int16_t *own = luma + (y + m) * wide + m;
        const int32_t *box = before + m - r;
        const uint16_t *near_by = down + m - 2;
        x = 0;
#if MOSAIC__KERNELS_X86
        if (f->level >= 1) x = mosaic__raise_down_avx2(next, last, five, wide, wide, column, down);
#endif
        for (; x < wide; x++) {
            column[x] += next[x] - last[x];
            down[x] = (uint16_t)(five[x] + 2 * five[wide + x] + 3 * five[2 * wide + x] + 2 * five[3 * wide + x] + five[4 * wide + x]);
        }
        for (before[0] = 0, x = 0; x < wide; x++) before[x + 1] = before[x] + column[x];
#if MOSAIC__KERNELS_X86
        if (f->level >= 1 && w >= MOSAIC__FINISH_PIXELS) {
            mosaic__raise_out_avx2(own, box, 2 * r + 1, near_by, (uint32_t)inverse, local, sharp, w, f->blended + at, f->shown + at);
            continue;
        }
#endif
        for (x = 0; x < w; x++) {
            const int32_t mean = (int32_t)((box[x + 2 * r + 1] - box[x]) * inverse >> 32);
            const int32_t around = near_by[x] + 2 * near_by[x + 1] + 3 * near_by[x + 2] + 2 * near_by[x + 3] + near_by[x + 4];
            const int32_t more = local * (own[x] - mean) + sharp * (own[x] - around / 81);
            for (k = 3 * x; k < 3 * x + 3; k++)
                f->shown[at + (size_t)k] = (uint8_t)mosaic__clamp(f->blended[at + (size_t)k] + ((more + 2048) >> 12), 0, 255);
        }
    }
}

static void mosaic__raise_row(void *arg, int row)
{
    const mosaic__finisher *f = (const mosaic__finisher *)arg;
    const size_t stride = (size_t)f->grid->width * 3;
    int col, y;
    for (col = 0; col < f->grid->cols; col++) {
        const mosaic__part part = mosaic__cell_part(f->grid, col, row);
        const int cell = row * f->grid->cols + col;
        if (!f->second[cell] || part.x0 >= part.x1 || part.y0 >= part.y1) continue;
        if (mosaic__left_out(f, cell))
            for (y = part.y0; y < part.y1; y++)
                memcpy(f->shown + (size_t)y * stride + (size_t)part.x0 * 3, f->blended + (size_t)y * stride + (size_t)part.x0 * 3,
                       (size_t)(part.x1 - part.x0) * 3);
        else
            mosaic__raise_cell(f, &part, f->scratch + (size_t)row * f->scratch_size);
    }
}

static void mosaic__tone_job(void *arg, int red)
{
    const mosaic__finisher *f = (const mosaic__finisher *)arg;
    unsigned long long fp = mosaic__fp_enter();
    mosaic__tone_slice(f->settings, &f->shot, f->tone, red);
    mosaic__fp_leave(fp);
}

/* Cells within so many columns and rows of a marked one. */
static void mosaic__spread(const mosaic_grid *g, const uint8_t *from, int cols, int rows, uint8_t *to)
{
    int x, y, dx, dy;
    memset(to, 0, (size_t)g->cols * (size_t)g->rows);
    for (y = 0; y < g->rows; y++)
        for (x = 0; x < g->cols; x++)
            for (dy = -rows; from[y * g->cols + x] && dy <= rows; dy++)
                for (dx = -cols; dx <= cols; dx++)
                    if (x + dx >= 0 && x + dx < g->cols && y + dy >= 0 && y + dy < g->rows) to[(y + dy) * g->cols + x + dx] = 1;
}

static int mosaic__finishes(const mosaic__settings *s)
{
    return s->toned || s->border != MOSAIC_BORDER_HARD || s->local_contrast > 0 || s->sharpness > 0;
}

static void mosaic__finisher_close(mosaic__finisher *f, void *alloc_ctx)
{
    int k;
    if (f->blended != f->shown && f->blended != f->canvas) mosaic__release(alloc_ctx, f->blended);
    mosaic__release(alloc_ctx, f->shown);
    for (k = 0; k < 2; k++) mosaic__release(alloc_ctx, f->smooth[k]);
    mosaic__release(alloc_ctx, f->tone);
    mosaic__release(alloc_ctx, f->scratch);
    mosaic__release(alloc_ctx, f->first);
    mosaic__release(alloc_ctx, f->second);
}

/* All that finishing needs, for a canvas (null: the table alone). Returns 0 when memory is short; to be closed even then. */
static int mosaic__finisher_open(mosaic__finisher *f, const mosaic_grid *g, const mosaic__settings *s, uint8_t *canvas, int level, void *alloc_ctx)
{
    const int shorter = g->cell_width < g->cell_height ? g->cell_width : g->cell_height, raises = s->local_contrast > 0 || s->sharpness > 0;
    const size_t bytes = (size_t)g->width * 3 * (size_t)g->height, cells = (size_t)g->cols * (size_t)g->rows;
    size_t area, all;
    int k, skip;
    memset(f, 0, sizeof *f);
    f->grid = g;
    f->settings = s;
    f->canvas = canvas;
    f->level = level;
    if (s->toned) {
        f->tone = (int16_t *)mosaic__allocate(alloc_ctx, MOSAIC__TONE_VALUES, sizeof *f->tone);
        if (!f->tone) return 0;
        memset(f->tone, 0, MOSAIC__TONE_VALUES * sizeof *f->tone);
    }
    if (!canvas || !mosaic__finishes(s)) return 1;
    mosaic__cell_range(g->origin_x, 0, g->cell_width, g->width, &f->x0, &k, &skip);
    mosaic__cell_range(g->origin_x, g->cols - 1, g->cell_width, g->width, &k, &f->x1, &skip);
    mosaic__cell_range(g->origin_y, 0, g->cell_height, g->height, &f->y0, &k, &skip);
    mosaic__cell_range(g->origin_y, g->rows - 1, g->cell_height, g->height, &k, &f->y1, &skip);
    if (s->border != MOSAIC_BORDER_HARD) {
        const int asked = mosaic__round(s->border_width < 1 ? s->border_width * shorter : s->border_width);
        f->width[2] = mosaic__clamp(asked, 1, shorter / 2 > 1 ? shorter / 2 : 1);
        if (shorter < 2) f->width[2] = 0;
        f->width[1] = (f->width[2] + 1) / 2;
        f->width[0] = (f->width[2] + 3) / 4;
    }
    f->radius = s->local_contrast > 0 ? (shorter / 8 > 2 ? shorter / 8 : 2) : 0;
    f->margin = f->radius > 2 ? f->radius : 2;
    if (!mosaic__multiply((size_t)(g->cell_width + 2 * f->margin), (size_t)(g->cell_height + 2 * f->margin), &area)) return 0;
    f->scratch_size = area / 2 + 4 * (size_t)(g->cell_width + 2 * f->margin) + 32 * (size_t)g->cell_width; /* the most of any step */
    if (!mosaic__multiply(f->scratch_size, (size_t)g->rows, &all)) return 0;
    f->scratch = (int32_t *)mosaic__allocate(alloc_ctx, all, sizeof *f->scratch);
    f->first = (uint8_t *)mosaic__allocate(alloc_ctx, cells, 1);
    f->second = (uint8_t *)mosaic__allocate(alloc_ctx, cells, 1);
    f->shown = (uint8_t *)mosaic__allocate(alloc_ctx, bytes, 1);
    f->blended = f->shown;
    if (raises) f->blended = f->tone || s->border != MOSAIC_BORDER_HARD ? (uint8_t *)mosaic__allocate(alloc_ctx, bytes, 1) : canvas;
    for (k = 0; k < 2 && s->border == MOSAIC_BORDER_LAPLACIAN; k++) f->smooth[k] = (uint8_t *)mosaic__allocate(alloc_ctx, bytes, 1);
    if (!f->scratch || !f->first || !f->second || !f->shown || !f->blended) return 0;
    if (s->border == MOSAIC_BORDER_LAPLACIAN && (!f->smooth[0] || !f->smooth[1])) return 0;
    memset(f->shown, 0, bytes);
    if (f->blended != f->shown && f->blended != canvas) memset(f->blended, 0, bytes);
    return 1;
}

/* The table, where a shot begins or there is none. */
static void mosaic__finish_table(mosaic__finisher *f, const mosaic__look *look, const int sight[2], int begins, mosaic_run run, void *run_ctx)
{
    if (!f->tone || (!begins && f->made)) return;
    if (begins) f->shot = mosaic__shot_of(look, sight[0], sight[1], f->grid->cols);
    mosaic__parallel(run, run_ctx, mosaic__tone_job, f, MOSAIC__TONE_NODES);
    mosaic__tone_end(f->tone);
    f->made = 1;
}

/* What is shown, from the canvas: of the cells that were painted and those that look across to them, or of all when the table is new. */
static void mosaic__finish(mosaic__finisher *f, const mosaic_draw *draw, mosaic_run run, void *run_ctx)
{
    const mosaic_grid *g = f->grid;
    const size_t cells = (size_t)g->cols * (size_t)g->rows;
    const int reach = f->width[2] > 0;
    size_t i;
    f->draw = draw;
    if (f->smooth[0]) mosaic__parallel(run, run_ctx, mosaic__smooth_row, f, g->rows);
    for (i = 0; i < cells; i++) f->second[i] = (uint8_t)(!f->ready || draw[i].repaint);
    mosaic__spread(g, f->second, reach, reach, f->first);
    if (f->blended != f->canvas) mosaic__parallel(run, run_ctx, mosaic__blend_row, f, g->rows);
    if (f->shown != f->blended) {
        mosaic__spread(g, f->first, (f->margin + g->cell_width - 1) / g->cell_width, (f->margin + g->cell_height - 1) / g->cell_height, f->second);
        mosaic__parallel(run, run_ctx, mosaic__raise_row, f, g->rows);
    }
    f->ready = 1;
}

/* ==== Looks ==== */

MOSAIC_TEMPORAL_API mosaic_result mosaic_tile_looks(const uint8_t *tile, int cell_width, int cell_height, int hues, int turns, uint8_t *tiles)
{
    /* Cosine and sine of a step, 1 / (hues + 1) of the circle. */
    static const double step[MOSAIC__HUES + 1][2] = {{1, 0},
                                                     {-1, 0},
                                                     {-.5, .86602540378443865},
                                                     {0, 1},
                                                     {.30901699437494742, .95105651629515357},
                                                     {.5, .86602540378443865},
                                                     {.62348980185873353, .78183148246802981},
                                                     {.70710678118654752, .70710678118654752}};
    size_t bytes, i;
    int count, h, t, x, y, c;
    unsigned long long fp;
    if (!tile || !tiles) return MOSAIC_ERROR_NULL;
    if (!mosaic__cell_size_ok(cell_width, cell_height)) return MOSAIC_ERROR_SIZE;
    if (hues < 0 || hues > MOSAIC__HUES) return MOSAIC_ERROR_OPTION;
    bytes = (size_t)cell_width * (size_t)cell_height * 3;
    count = mosaic__turns(cell_width, cell_height, turns);
    memmove(tiles, tile, bytes);
    fp = mosaic__fp_enter();
    for (i = 0; hues > 0 && i < bytes; i += 3) {
        double level[3], lab[3], light[3], turned;
        for (c = 0; c < 3; c++) level[c] = (double)tiles[i + (size_t)c];
        mosaic__levels_to_lab(level, lab);
        for (h = 1; h <= hues; h++) {
            uint8_t *out = tiles + (size_t)(h * count) * bytes + i;
            turned = lab[1] * step[hues][0] - lab[2] * step[hues][1];
            lab[2] = lab[1] * step[hues][1] + lab[2] * step[hues][0];
            lab[1] = turned;
            mosaic__lab_to_light(lab[0], lab[1], lab[2], light);
            if (light[0] < 0 || light[0] > 1 || light[1] < 0 || light[1] > 1 || light[2] < 0 || light[2] > 1) {
                const double room = mosaic__room(lab);
                mosaic__lab_to_light(lab[0], lab[1] * room, lab[2] * room, light);
            }
            for (c = 0; c < 3; c++) out[c] = (uint8_t)mosaic__round(mosaic__level(light[c]));
        }
    }
    mosaic__fp_leave(fp);
    /* A half is a tile from its end; quarters take columns for rows. */
    for (h = 0; h <= hues; h++)
        for (t = 1; t < count; t++) {
            const uint8_t *from = tiles + (size_t)(h * count) * bytes;
            uint8_t *out = tiles + (size_t)(h * count + t) * bytes;
            for (y = 0; y < cell_height; y++)
                for (x = 0; x < cell_width; x++, out += 3) {
                    const int n = cell_width - 1, quarter = count == 4 ? t : 2 * t;
                    const int at_x = quarter == 1   ? y
                                     : quarter == 2 ? n - x
                                                    : n - y,
                              at_y = quarter == 1   ? n - x
                                     : quarter == 2 ? cell_height - 1 - y
                                                    : x;
                    memcpy(out, from + ((size_t)at_y * (size_t)cell_width + (size_t)at_x) * 3, 3);
                }
        }
    return MOSAIC_OK;
}

/* ==== The engine ==== */

/* What a stream remembers of a cell from frame to frame: all of it is saved with the state. */
typedef struct mosaic__cell {
    int32_t photo, variant; /* shown */
    int32_t jump[2];        /* whole cells that its content has come: the cell less this, in this chart, is its key */
    uint32_t chart;
    int32_t lost;                     /* frames for which its key has belonged to another cell; 0: its photograph is remembered under its key */
    mosaic__look seen;                /* in the last frame */
    mosaic__look priced;              /* when its costs were computed */
    mosaic__look painted;             /* when it was painted */
    int32_t held_photo, held_variant; /* before a cut that may be a flash */
    mosaic__look held;
} mosaic__cell;

/* A point of the lattice that content is followed on. */
typedef struct mosaic__sample {
    int32_t offset[2];     /* how far the content has come, 1/1024 cell */
    uint32_t chart;        /* in which map of the shot's content that counts */
    uint16_t speed, trust; /* lately: 1/16384 cell a frame; share of frames with reliable motion, 1/65535 */
} mosaic__sample;

/* Which photograph the content of a key showed last. */
typedef struct mosaic__memory {
    uint32_t chart;
    int32_t x, y;                /* a cell, when the shot began */
    int32_t photo, variant, age; /* photo -1: none so far; frames since it was shown */
    int32_t claimant, next;      /* in this frame: the cell it belongs to, or -1; the next one of the same hash, or -1 */
} mosaic__memory;

/* What is known of the camera. Motion is that of the picture on the screen, in 1/65536 cell. */
typedef struct mosaic__camera {
    int64_t place[2]; /* how far the grid has moved since the shot began */
    int32_t speed[2]; /* of the picture, in the last frame in which it was plain */
    int32_t mean[2];  /* the same over some frames */
    int32_t steady;   /* frames for which the whole picture has moved, up to CAMERA_STEADY; each that speaks against it counts twice */
    int32_t open;     /* the grid follows: for so many frames, up to one more than it takes to settle */
    int32_t fade;     /* how far it does, 1/8: when the camera stops it runs out */
} mosaic__camera;

/* What is added to the cost of one photograph in one cell, for one frame: bonuses, repulsion, bans. */
typedef struct mosaic__bias {
    int32_t photo, cost;
    int32_t before; /* what the table or the list held; TABLE_LIMIT: nothing */
} mosaic__bias;

/* The cheapest photographs of a cell, in the order of the pool, with their costs of this frame: all that cost less than `rest` without biases, and for one
   frame those that a bonus has made cheaper. */
typedef struct mosaic__list {
    int32_t count, rest;
    int32_t guests; /* there for a bonus */
    int32_t whole;  /* not enough: every cost of this cell is computed where it is looked at */
    int32_t photo[MOSAIC__LIST_ROOM + 2], cost[MOSAIC__LIST_ROOM + 2];
} mosaic__list;

/* The tile that is expected in a cell in this frame, and what it and the one shown now are favoured by. */
typedef struct mosaic__wish {
    int32_t photo, variant, bonus; /* photo -1: none is expected */
    int32_t keep;                  /* bonus of the tile shown, where that is another one */
} mosaic__wish;

struct mosaic_engine {
    mosaic_grid grid;
    const mosaic_pool *pool;
    mosaic_options options;
    mosaic__settings settings;
    mosaic_flow *flow;
    int flow_device; /* whether flow was given a device of its own */
    int cells, photos, ended;
    int filled;           /* cells that the mask does not leave out: the rows of the assignment */
    int32_t *cell_of_row; /* of each of them */
    int32_t *row_of_cell; /* -1 where the cell is left out */
    uint64_t identity;    /* of grid, pool and settings: a state belongs to it */
    int moves;            /* the grid may: it has a column and a row more than are in sight while it stands at the corner */
    int sight[2];         /* columns and rows of cells that lie in the output, from the first on */

    /* made at open */
    int level; /* of the kernels, as mosaic__cpu_level has it */
    mosaic__tables tables;
    mosaic__costs costs;
    mosaic__pack *pack;         /* blocks of 16 photographs x variants */
    mosaic__palette *palette;   /* of each look of each photograph */
    mosaic__codes *photo_codes; /* of each of these, its describing pixels; null unless re-ranking or bending curves */
    int32_t *across, *down;     /* edges of the describing pixels in the source, 1/4096 px: cols * SIDE + 1, rows * SIDE + 1 */
    mosaic__reducer cell_reducer, tile_reducer;
    int32_t tile_down[MOSAIC__SIDE + 1]; /* edges of the describing pixels in a tile */
    mosaic__painter painter;
    mosaic__finisher finisher;

    /* state */
    int64_t frames;
    mosaic__camera camera, held_camera; /* held_camera: before a cut that may be a flash */
    int first[2];                       /* column and row of the shot's cells that cell 0 is */
    mosaic__cell *cell;
    mosaic_draw *draw;
    mosaic_curve *curve; /* null unless options.histogram asks for it */
    uint8_t *canvas;
    mosaic__sample *lattice, *next_lattice; /* lattice_width x lattice_height */
    int lattice_width, lattice_height;
    uint32_t charts; /* given so far */
    int hold;        /* frames in which the picture from before a cut or a jump of its mean may come back */
    int parted;      /* since then a new shot was begun */
    int calm;        /* frames, with this one, in which no photograph is exchanged for another, for a flash may be over soon */
    mosaic__shot held_shot;
    mosaic__memory *memory;
    int32_t *memory_first; /* of each hash, or -1 */
    uint32_t memory_mask;
    int memories, memory_room;

    /* scratch of one frame */
    mosaic_input input;
    mosaic__look *look;
    mosaic__colours *colours;
    uint32_t *columns;                 /* of each row of cells: cell_reducer.room */
    mosaic__codes *codes, *next_codes; /* of this frame; of the one that is being described */
    int described;                     /* look, colours and codes are those of a frame */
    const mosaic_flow_field *field;
    int32_t *sample_x, *sample_y; /* pixels of the field that the samples lie on */
    int64_t field_scale[2];       /* 2^16 times 1/1024 cell for 1/64 px of it */
    int32_t (*from)[2];           /* of each sample: where its content came from, 1/1024 cell */
    uint8_t *reliable;            /* and whether that is to be believed */
    int32_t (*centre)[2];         /* of each cell: how far its content has come */
    int32_t *own, *key;           /* memories of what it shows, and of its content; -1: none */
    mosaic__wish *wish;
    int16_t (*vector)[2];    /* for the camera: motion at some places, 1/64 px of the field */
    uint8_t *rim;            /* whether that lies near the frame's edge */
    int32_t step[2];         /* the grid's since the frame before, 1/1024 cell */
    int stepped, renumbered; /* it moved; cells came into sight or left it */
    int flash;               /* no motion is believed */
    int32_t *table;          /* costs of this frame, filled x width; null when that is much: then there are lists */
    mosaic__list *list;      /* of each row */
    size_t width;            /* photographs, rounded up to whole packs */
    uint8_t *stale;          /* of each cell: its costs have changed */
    uint8_t *recolour;       /* of each cell: it gets new colours */
    int stales, begun;       /* how many in this frame; 1: a device computes them */
    mosaic__bias *bias;
    size_t bias_room; /* for each cell */
    int32_t *biases;  /* of each cell */
    int32_t *row;     /* one cell's costs, where there is no table */
    int32_t *chosen, *capacity, *used;
    int64_t *cell_price, *photo_price; /* of the last assignment: the next one starts from them */
    int warm;                          /* there are such prices */
    uint8_t *stuck;                    /* of each cell: no photograph can be found for it */
    void *lap_work;
    size_t lap_work_size;
    struct mosaic__contest *contest;    /* of cells that re-ranking looks at together */
    uint8_t *rerank_memory;             /* their pictures */
    size_t rerank_picture, rerank_work; /* bytes of one picture, and of the work area */
    mosaic_frame frame;
    void *device;       /* its state of this engine, or null */
    int canvas_changed; /* otherwise than by the device */
    mosaic_recall recall;
    uint8_t *glimpse, *wanted; /* 27 bytes of each cell; null unless there is a memory */
    uint32_t *tags;
    int recalled; /* cells of this frame in which it names a photograph */
};

/* Changes when any structure does that a device's functions read. */
static uint64_t mosaic__layout(void)
{
    const size_t sizes[] = {sizeof(mosaic_engine),
                            sizeof(mosaic__settings),
                            sizeof(mosaic__look),
                            sizeof(mosaic__pack),
                            sizeof(mosaic_draw),
                            offsetof(mosaic_engine, table),
                            offsetof(mosaic_engine, canvas),
                            offsetof(mosaic_engine, painter),
                            sizeof(mosaic__palette),
                            sizeof(mosaic__colours),
                            sizeof(mosaic__cell),
                            sizeof(mosaic__tables),
                            offsetof(mosaic_engine, next_codes),
                            offsetof(mosaic_engine, recolour)};
    uint64_t hash = 1;
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) hash = hash * 1000003u + sizes[i];
    return hash;
}

static void mosaic__stage(const mosaic_engine *e, int stage)
{
    if (e->options.stage) e->options.stage(e->options.stage_ctx, stage);
}

static void mosaic__for_each(mosaic_engine *e, void (*job)(void *arg, int index), int count)
{
    mosaic__parallel(e->options.run, e->options.run_ctx, job, e, count);
}

/* ---- Describe ---- */

/* Cells of which not one code differs from the frame before keep what was found then. */
static void mosaic__describe_row(void *arg, int row)
{
    mosaic_engine *e = (mosaic_engine *)arg;
    const mosaic_grid *g = &e->grid;
    const size_t at = (size_t)row * (size_t)g->cols;
    mosaic__codes *codes = e->next_codes + at;
    unsigned long long fp = mosaic__fp_enter();
    int x, y;
    for (y = 0; y < MOSAIC__SIDE; y++) {
        const int32_t *edge = e->down + row * MOSAIC__SIDE + y;
        mosaic__span rows = mosaic__span_of(edge[0], edge[1], g->source_height);
        mosaic__reduce(&e->cell_reducer, &rows, e->input.rgb, e->input.stride, y, e->columns + (size_t)row * e->cell_reducer.room, codes);
    }
    for (x = 0; x < g->cols; x++)
        if (!e->described || memcmp(codes + x, e->codes + at + x, sizeof *codes) != 0)
            mosaic__describe(e->level, &e->tables, codes + x, e->look + at + x, e->colours + at + x);
    mosaic__fp_leave(fp);
}

/* begun: a device does it. */
static void mosaic__describe_frame(mosaic_engine *e, int begun)
{
    mosaic__codes *before = e->codes;
    if (!begun || e->options.device->take(e->device, e)) mosaic__for_each(e, mosaic__describe_row, e->grid.rows);
    e->codes = e->next_codes;
    e->next_codes = before;
    e->described = 1;
}

/* Where a photograph's tile stands among the looks of all. */
static size_t mosaic__look_at(const mosaic_engine *e, int photo, int look) { return (size_t)photo * (size_t)e->pool->looks + (size_t)look; }

/* The codes of a variant, made from those of the plain look. */
static void mosaic__variant_codes(int variant, const mosaic__codes *plain, mosaic__codes *codes)
{
    int tenths = mosaic__variant_tenths(variant), x, y, c;
    for (c = 0; c < 3; c++)
        for (y = 0; y < MOSAIC__SIDE; y++)
            for (x = 0; x < MOSAIC__SIDE; x++) {
                int from = plain->of[c][mosaic__code_index(variant == MOSAIC_MIRROR ? MOSAIC__SIDE - 1 - x : x, y)];
                codes->of[c][mosaic__code_index(x, y)] = (uint16_t)mosaic__clamp((from * tenths + 5) / 10, 0, 4080);
            }
}

/* Packs and palettes of the photographs of one pack. */
static void mosaic__describe_pack(void *arg, int index)
{
    mosaic_engine *e = (mosaic_engine *)arg;
    const mosaic__settings *s = &e->settings;
    uint32_t column[(1024 + 1024 / MOSAIC__SIDE + 3) * 3];
    mosaic__codes plain, codes;
    int lane, v, y;
    unsigned long long fp = mosaic__fp_enter();
    MOSAIC_TEMPORAL_ASSERT(e->tile_reducer.room <= sizeof column / sizeof *column);
    memset(column, 0, sizeof column);
    for (lane = 0; lane < MOSAIC__LANES; lane++) {
        int photo = index * MOSAIC__LANES + lane;
        mosaic__look look;
        mosaic__colours colours;
        if (photo >= e->photos) break;
        for (v = 0; v < s->variant_count; v++) {
            const size_t at = mosaic__look_at(e, photo, mosaic__look_index(s->variant[v]));
            if (v == 0 || mosaic__look_index(s->variant[v]) != mosaic__look_index(s->variant[v - 1])) {
                const uint8_t *tile = e->pool->pixels[photo] + (size_t)mosaic__look_index(s->variant[v]) * mosaic__tile_bytes(e->pool);
                for (y = 0; y < MOSAIC__SIDE; y++) {
                    mosaic__span rows = mosaic__span_of(e->tile_down[y], e->tile_down[y + 1], e->grid.cell_height);
                    mosaic__reduce(&e->tile_reducer, &rows, tile, (size_t)e->grid.cell_width * 3, y, column, &plain);
                }
                if (e->photo_codes) e->photo_codes[at] = plain;
                mosaic__describe(e->level, &e->tables, &plain, &look, &colours);
                mosaic__palette_of(&colours, e->palette + at);
            }
            mosaic__variant_codes(mosaic__variant_of(s->variant[v]), &plain, &codes);
            mosaic__describe(e->level, &e->tables, &codes, &look, 0);
            mosaic__pack_put(e->pack + (size_t)index * (size_t)s->variant_count + v, lane, &look);
        }
    }
    mosaic__fp_leave(fp);
}

/* ---- Cuts ---- */

static int mosaic__in_sight(const mosaic_engine *e, int cell) { return cell % e->grid.cols < e->sight[0] && cell / e->grid.cols < e->sight[1]; }

/* Of 100 cells, how many look like nothing that stood within one cell of them before: in the last frame, or before the last cut (held). The frame's mean colour
   is taken out first, so that a flash, a fade or a change of exposure is no cut. *jump: that mean changed at once by as much as in a flash. */
static int mosaic__unlike(const mosaic_engine *e, int held, int *jump)
{
    const mosaic_grid *g = &e->grid;
    const int cells = e->sight[0] * e->sight[1];
    int64_t sum[3] = {0, 0, 0};
    int shift[3], col, row, x, y, c, i, unlike = 0;
    *jump = 0;
    for (i = 0; i < e->cells; i++)
        for (c = 0; c < 3 && mosaic__in_sight(e, i); c++) sum[c] += e->look[i].mean[c] - (held ? &e->cell[i].held : &e->cell[i].seen)->mean[c];
    for (c = 0; c < 3; c++) {
        shift[c] = (int)mosaic__div_round(sum[c], cells);
        *jump |= mosaic__abs(shift[c]) >= MOSAIC__FLASH;
    }
    for (row = 0; row < e->sight[1]; row++)
        for (col = 0; col < e->sight[0]; col++) {
            const mosaic__look *look = e->look + row * g->cols + col;
            int best = MOSAIC__CUT_DISTANCE;
            for (y = row - 1; y <= row + 1 && best >= MOSAIC__CUT_DISTANCE; y++)
                for (x = col - 1; x <= col + 1 && best >= MOSAIC__CUT_DISTANCE; x++)
                    if (x >= 0 && y >= 0 && x < e->sight[0] && y < e->sight[1]) {
                        const mosaic__cell *cell = e->cell + y * g->cols + x;
                        int d = mosaic__look_distance(look, held ? &cell->held : &cell->seen, shift);
                        if (d < best) best = d;
                    }
            unlike += best >= MOSAIC__CUT_DISTANCE;
        }
    return (int)((int64_t)unlike * 100 / cells);
}

/* A new shot begins where most cells look like nothing that was there before. That, or a jump of the mean, may be a flash: what was shown until then is held
   for two frames, and if the picture is back by then, it is no new shot. *back: but one was begun in between. */
static int mosaic__is_cut(mosaic_engine *e, int *back)
{
    int cut = 1, like, jump, i;
    *back = e->flash = 0;
    if (e->frames > 0) cut = mosaic__unlike(e, 0, &e->flash) >= MOSAIC__CUT_SHARE;
    if (e->hold > 0) {
        like = mosaic__unlike(e, 1, &jump) <= MOSAIC__BACK_SHARE && !jump;
        *back = like && e->parted;
        e->hold = *back ? 0 : e->hold - 1;
        if (like) cut = 0;
    } else if (e->frames > 0 && (cut || e->flash)) {
        e->hold = MOSAIC__HOLD;
        e->parted = 0;
        e->held_shot = e->finisher.shot;
        for (i = 0; i < e->cells; i++) {
            mosaic__cell *c = e->cell + i;
            c->held_photo = c->photo;
            c->held_variant = c->variant;
            c->held = c->seen;
        }
    }
    e->parted |= cut;
    e->calm = cut || *back ? 0 : e->flash ? MOSAIC__HOLD + 1 : e->calm > 0 ? e->calm - 1 : 0;
    return cut;
}

/* ---- Motion ---- */

/* A length in 1/1024 cell, kept within the limit: vectors are hostile input. */
static int32_t mosaic__clamp_length(int64_t length)
{
    return (int32_t)(length < -MOSAIC__LENGTH_LIMIT ? -MOSAIC__LENGTH_LIMIT : length > MOSAIC__LENGTH_LIMIT ? MOSAIC__LENGTH_LIMIT : length);
}

enum { MOSAIC__WAY_LOST, MOSAIC__WAY_KNOWN, MOSAIC__WAY_OUTSIDE };

/* Where the content of a pixel of a field came from, 1/64 px of it. The way is known where it leads back to within a pixel, or only one direction is
   given. */
static int mosaic__way_back(const mosaic_flow_field *field, int32_t x, int32_t y, int32_t v[2])
{
    const size_t step = field->stride / 2, place = (size_t)y * step + (size_t)x * 2;
    const int16_t *way;
    int64_t dx, dy;
    int32_t there[2];
    int k;
    for (k = 0; k < 2; k++) v[k] = field->backward ? field->backward[place + (size_t)k] : -field->forward[place + (size_t)k];
    there[0] = (x * 64 + 32 + v[0]) >> 6;
    there[1] = (y * 64 + 32 + v[1]) >> 6;
    if (there[0] < 0 || there[1] < 0 || there[0] >= field->width || there[1] >= field->height) return MOSAIC__WAY_OUTSIDE;
    if (!field->backward || !field->forward) return MOSAIC__WAY_KNOWN;
    way = field->forward + (size_t)there[1] * step + (size_t)there[0] * 2;
    dx = v[0] + way[0];
    dy = v[1] + way[1];
    return dx * dx + dy * dy < 64 * 64 ? MOSAIC__WAY_KNOWN : MOSAIC__WAY_LOST;
}

/* What 1/64 px of a field is worth in each direction: 2^16 times 1/1024 cell. */
static void mosaic__field_scale(const mosaic_grid *g, const mosaic_flow_field *field, int64_t scale[2])
{
    scale[0] = mosaic__div_round((int64_t)g->source_width * g->width << 26, (int64_t)field->width * g->crop_width * g->cell_width);
    scale[1] = mosaic__div_round((int64_t)g->source_height * g->height << 26, (int64_t)field->height * g->crop_height * g->cell_height);
}

/* About the length of a vector: within a fourteenth. */
static int32_t mosaic__length(const int32_t v[2])
{
    const int32_t a = mosaic__abs(v[0]), b = mosaic__abs(v[1]);
    return a > b ? a + b / 8 * 3 : b + a / 8 * 3;
}

/* ---- The camera ----

   The motion that most of the picture has in common: from the median of the vectors at some thousand places to the mean of those near it, again and
   again, until it stays. What belongs to the camera moves nearly everywhere, at the edges too, and for more than a moment: a subject that moves before a
   background that does not never moves the grid. */

/* The number of one direction that half of the vectors are not above. */
static int32_t mosaic__median(const int16_t (*vector)[2], int count, int axis)
{
    int32_t bin[256], left = count / 2, high = 0, low = 0;
    int i;
    memset(bin, 0, sizeof bin);
    for (i = 0; i < count; i++) bin[(vector[i][axis] + 32768) >> 8]++;
    while (high < 255 && left >= bin[high]) left -= bin[high++];
    memset(bin, 0, sizeof bin);
    for (i = 0; i < count; i++)
        if ((vector[i][axis] + 32768) >> 8 == high) bin[(vector[i][axis] + 32768) & 255]++;
    while (low < 255 && left >= bin[low]) left -= bin[low++];
    return high * 256 + low - 32768;
}

/* How many vectors lie within `width` of the middle, and the mean of these (1/256 of their unit); of those near the edge how many. */
static int mosaic__agreeing(const mosaic_engine *e, int count, const int64_t middle[2], const int64_t width[2], int64_t mean[2], int *at_rim)
{
    int64_t sum[2] = {0, 0};
    int i, k, n = 0;
    *at_rim = 0;
    for (i = 0; i < count; i++) {
        int64_t dx = e->vector[i][0] * 256 - middle[0], dy = e->vector[i][1] * 256 - middle[1];
        if ((dx < 0 ? -dx : dx) > width[0] || (dy < 0 ? -dy : dy) > width[1]) continue;
        for (k = 0; k < 2; k++) sum[k] += e->vector[i][k];
        *at_rim += e->rim[i];
        n++;
    }
    for (k = 0; k < 2; k++) mean[k] = n ? mosaic__div_round(sum[k] * 256, n) : middle[k];
    return n;
}

/* The picture's motion in this frame, and how much of it moves so, in 100, as a whole and near its edges. What comes from outside the frame has no say. */
static void mosaic__camera_look(mosaic_engine *e, const mosaic_flow_field *field, int32_t speed[2], int *share, int *rim_share)
{
    const int w = field->width, h = field->height;
    int64_t scale[2], middle[2], mean[2], width[2];
    int pace = 1, count = 0, lost = 0, rim = 0, rim_lost = 0, round, at_rim, n, x, y, k;
    while (((w + pace - 1) / pace) * ((h + pace - 1) / pace) > MOSAIC__CAMERA_PLACES) pace++;
    for (y = pace / 2; y < h; y += pace)
        for (x = pace / 2; x < w; x += pace) {
            const int edge = 8 * x < w || 8 * y < h || 8 * (w - 1 - x) < w || 8 * (h - 1 - y) < h;
            int32_t v[2];
            const int way = mosaic__way_back(field, x, y, v);
            if (way == MOSAIC__WAY_LOST) lost++, rim_lost += edge;
            if (way != MOSAIC__WAY_KNOWN) continue;
            for (k = 0; k < 2; k++) e->vector[count][k] = (int16_t)mosaic__clamp(v[k], -32767, 32767);
            e->rim[count++] = (uint8_t)edge;
            rim += edge;
        }
    *share = *rim_share = 0;
    speed[0] = speed[1] = 0;
    if (count == 0 || rim + rim_lost == 0) return;
    mosaic__field_scale(&e->grid, field, scale);
    for (k = 0; k < 2; k++) {
        if (scale[k] < 1) scale[k] = 1;
        middle[k] = mosaic__median((const int16_t(*)[2])e->vector, count, k) * 256;
        width[k] = ((int64_t)MOSAIC__CAMERA_WIDTH << 18) / scale[k];
    }
    for (round = 0; round < 8; round++) {
        if (round == 5)
            for (k = 0; k < 2; k++) width[k] /= 2;
        mosaic__agreeing(e, count, middle, width, mean, &at_rim);
        for (k = 0; k < 2; k++) middle[k] = mean[k];
    }
    for (k = 0; k < 2; k++) speed[k] = (int32_t)mosaic__div_round(-middle[k] * scale[k], 1 << 18);
    n = mosaic__length(speed) / 4;
    for (k = 0; k < 2; k++) width[k] = ((int64_t)(n > MOSAIC__CAMERA_TIGHT ? n : MOSAIC__CAMERA_TIGHT) << 18) / scale[k];
    n = mosaic__agreeing(e, count, middle, width, mean, &at_rim);
    *share = n * 100 / (count + lost);
    *rim_share = at_rim * 100 / (rim + rim_lost);
}

/* A frame later; field may be null: nothing is known. */
static void mosaic__camera_step(mosaic_engine *e, const mosaic_flow_field *field)
{
    mosaic__camera *c = &e->camera;
    const int at_once = e->options.grid == MOSAIC_GRID_FOLLOW;
    const int cols = e->grid.cols, rows = e->grid.rows, fewest = cols < rows ? cols : rows;
    const int32_t fastest = fewest < 8 ? fewest << 15 : MOSAIC__CAMERA_FASTEST;
    int32_t seen[2] = {0, 0};
    int share = 0, rim = 0, whole, k;
    if (field && (field->forward || field->backward)) mosaic__camera_look(e, field, seen, &share, &rim);
    if (mosaic__length(seen) > fastest) share = 0;
    whole = share >= MOSAIC__CAMERA_AGREE && rim >= MOSAIC__CAMERA_AGREE;
    for (k = 0; k < 2; k++) c->mean[k] = at_once && whole && c->steady == 0 ? seen[k] : c->mean[k] + ((whole ? seen[k] : 0) - c->mean[k]) / 8;
    whole = whole && mosaic__length(c->mean) > (c->open ? MOSAIC__CAMERA_SLOW / 2 : MOSAIC__CAMERA_SLOW);
    c->steady = mosaic__clamp(c->steady + (whole ? 1 : -2), 0, MOSAIC__CAMERA_STEADY);
    if (!c->open && c->steady >= (at_once ? 1 : MOSAIC__CAMERA_WAIT)) {
        c->open = at_once ? MOSAIC__CAMERA_SETTLE + 1 : 1;
        c->steady = MOSAIC__CAMERA_WAIT;
    } else if (c->open) {
        c->open = mosaic__clamp(c->open + 1, 0, MOSAIC__CAMERA_SETTLE + 1);
    }
    if (c->steady == 0) c->open = 0;
    c->fade = c->open ? 8 : c->fade > 0 ? c->fade - 1 : 0;
    /* Where a frame is blurred, or flashes, the camera goes on as it did. */
    for (k = 0; k < 2; k++) {
        const int64_t most = (int64_t)1 << 44;
        c->speed[k] = share >= MOSAIC__CAMERA_AGREE / 2 ? seen[k] : c->speed[k] * 15 / 16;
        c->place[k] += c->speed[k] * c->fade / 8;
        c->place[k] = c->place[k] < -most ? -most : c->place[k] > most ? most : c->place[k];
    }
}

/* ---- The grid that moves ---- */

/* Edges of the describing pixels: SIDE to a cell, from the grid's origin on. */
static void mosaic__describing_edges(const mosaic_grid *g, int32_t *across, int32_t *down)
{
    int64_t s;
    int i;
    for (i = 0; i <= g->cols * MOSAIC__SIDE; i++) {
        s = mosaic__source_x(g, (int64_t)g->origin_x * MOSAIC__SIDE + (int64_t)i * g->cell_width * 64, MOSAIC__SIDE);
        across[i] = (int32_t)(s < 0 ? 0 : s > (int64_t)g->source_width << 12 ? (int64_t)g->source_width << 12 : s);
    }
    for (i = 0; i <= g->rows * MOSAIC__SIDE; i++) {
        s = mosaic__source_y(g, (int64_t)g->origin_y * MOSAIC__SIDE + (int64_t)i * g->cell_height * 64, MOSAIC__SIDE);
        down[i] = (int32_t)(s < 0 ? 0 : s > (int64_t)g->source_height << 12 ? (int64_t)g->source_height << 12 : s);
    }
}

static mosaic__sample *mosaic__sample_of(const mosaic_engine *e, int cell, int x, int y)
{
    return e->lattice + (size_t)(cell / e->grid.cols * MOSAIC__GRAIN + y) * (size_t)e->lattice_width +
           (size_t)(cell % e->grid.cols * MOSAIC__GRAIN + x);
}

/* Where a place puts the grid: its first column or row, and the origin, in one direction. */
static int mosaic__grid_at(const mosaic_grid *g, const mosaic__camera *c, int axis, int32_t *origin)
{
    const int cell = axis ? g->cell_height : g->cell_width;
    const int64_t moved = mosaic__div_round(c->place[axis] * cell, 1024), first = mosaic__div_floor(-moved, (int64_t)cell * 64);
    *origin = (int32_t)(moved + first * cell * 64);
    return (int)first;
}

/* Cell (x, y) becomes what (x + dx, y + dy) was; what comes from outside keeps what it has. */
static void mosaic__move_cells(void *cells, size_t size, int cols, int rows, int dx, int dy)
{
    uint8_t *all = (uint8_t *)cells;
    const int to = dx < 0 ? -dx : 0, from = dx < 0 ? 0 : dx;
    const size_t line = (size_t)cols * size;
    int i;
    for (i = 0; i < rows; i++) {
        const int y = dy < 0 ? rows - 1 - i : i;
        if (y + dy < 0 || y + dy >= rows) continue;
        memmove(all + (size_t)y * line + (size_t)to * size, all + (size_t)(y + dy) * line + (size_t)from * size, (size_t)(cols - to - from) * size);
    }
}

/* Counts the cells that are filled; those that are not show the source, or nothing. */
static void mosaic__leave_out(mosaic_engine *e)
{
    const uint8_t *mask = e->options.mask;
    int i, c, rows = 0;
    for (i = 0; i < e->cells; i++) {
        mosaic__cell was;
        const int filled = mosaic__in_sight(e, i) && (!mask || mask[i] != 0);
        e->row_of_cell[i] = filled ? rows : -1;
        if (filled) {
            e->cell_of_row[rows++] = i;
            continue;
        }
        was = e->cell[i];
        memset(e->cell + i, 0, sizeof *e->cell);
        memset(e->draw + i, 0, sizeof *e->draw);
        e->cell[i].seen = was.seen; /* what it looked like is still known, and what is held */
        e->cell[i].held = was.held;
        e->cell[i].held_photo = was.held_photo;
        e->cell[i].held_variant = was.held_variant;
        e->cell[i].photo = e->draw[i].photo = e->chosen[i] = e->wish[i].photo = -1;
        e->stale[i] = 0;
        if (e->options.mask_source)
            for (c = 0; c < 3; c++) e->draw[i].colour[c][3] = 4096;
    }
    e->filled = rows;
}

/* A cell has come into sight: it knows nothing but what its neighbour, `from`, knows of the motion there. */
static void mosaic__enter_cell(mosaic_engine *e, int cell, int from)
{
    const int grain = MOSAIC__GRAIN, cols = e->grid.cols, dx = from % cols - cell % cols, dy = from / cols - cell / cols;
    mosaic__cell *c = e->cell + cell;
    const mosaic__cell *known = e->cell + from;
    int x, y;
    memset(c, 0, sizeof *c);
    memset(e->draw + cell, 0, sizeof *e->draw);
    c->photo = e->draw[cell].photo = e->chosen[cell] = -1;
    memcpy(c->jump, known->jump, sizeof c->jump);
    c->chart = known->chart;
    c->lost = 1;
    c->seen = known->seen;
    c->held = known->held;
    c->held_photo = -1;
    for (y = 0; y < grain; y++)
        for (x = 0; x < grain; x++)
            *mosaic__sample_of(e, cell, x, y) = *mosaic__sample_of(e, from, dx < 0 ? grain - 1 : dx > 0 ? 0 : x, dy < 0 ? grain - 1 : dy > 0 ? 0 : y);
}

/* Puts the grid where the camera is, and says by how many cells that moves it. What is out of sight is nothing. */
static void mosaic__place_grid(mosaic_engine *e, int moved[2])
{
    mosaic_grid *g = &e->grid;
    const int cell[2] = {g->cell_width, g->cell_height};
    int32_t origin[2] = {g->origin_x, g->origin_y};
    int k;
    e->stepped = 0;
    for (k = 0; k < 2; k++) {
        int32_t to;
        const int first = mosaic__grid_at(g, &e->camera, k, &to), sight = (k ? g->rows : g->cols) - (to == 0);
        moved[k] = first - e->first[k];
        e->step[k] = mosaic__clamp_length(mosaic__div_round(((int64_t)to - origin[k] - (int64_t)moved[k] * cell[k] * 64) * 16, cell[k]));
        e->stepped |= moved[k] != 0 || to != origin[k];
        e->renumbered |= moved[k] != 0 || sight != e->sight[k];
        e->first[k] = first;
        e->sight[k] = sight;
        origin[k] = to;
    }
    if (!e->stepped) return;
    g->origin_x = origin[0];
    g->origin_y = origin[1];
    mosaic__describing_edges(g, e->across, e->down);
    mosaic__reducer_fill(&e->cell_reducer, e->across, g->source_width);
}

/* What came out of sight is forgotten. */
static void mosaic__clear_lattice(mosaic_engine *e)
{
    const size_t w = (size_t)e->lattice_width, h = (size_t)e->lattice_height;
    size_t x, y;
    for (y = 0; y < h; y++)
        for (x = 0; x < w; x++)
            if (x >= (size_t)e->sight[0] * MOSAIC__GRAIN || y >= (size_t)e->sight[1] * MOSAIC__GRAIN)
                memset(e->lattice + y * w + x, 0, sizeof *e->lattice);
    memset(e->next_lattice, 0, w * h * sizeof *e->lattice);
}

/* Moves the grid on to where the camera is, and with it all that is known of its cells. */
static void mosaic__scroll(mosaic_engine *e)
{
    const mosaic_grid *g = &e->grid;
    const int sight[2] = {e->sight[0], e->sight[1]};
    int d[2], x, y;
    mosaic__place_grid(e, d);
    if (!e->renumbered) return;
    mosaic__move_cells(e->cell, sizeof *e->cell, g->cols, g->rows, d[0], d[1]);
    mosaic__move_cells(e->draw, sizeof *e->draw, g->cols, g->rows, d[0], d[1]);
    mosaic__move_cells(e->chosen, sizeof *e->chosen, g->cols, g->rows, d[0], d[1]);
    if (e->curve) mosaic__move_cells(e->curve, sizeof *e->curve, g->cols, g->rows, d[0], d[1]);
    mosaic__move_cells(e->lattice, sizeof *e->lattice * MOSAIC__GRAIN, g->cols, e->lattice_height, d[0], d[1] * MOSAIC__GRAIN);
    for (y = 0; y < e->sight[1]; y++)
        for (x = 0; x < e->sight[0]; x++) {
            const int from_x = mosaic__clamp(x + d[0], 0, sight[0] - 1) - d[0], from_y = mosaic__clamp(y + d[1], 0, sight[1] - 1) - d[1];
            if (from_x != x || from_y != y) mosaic__enter_cell(e, y * g->cols + x, from_y * g->cols + from_x);
        }
    mosaic__leave_out(e);
    mosaic__clear_lattice(e);
}

/* Each shot begins with the grid in its corner. before: the camera until then. */
static void mosaic__recentre(mosaic_engine *e, const mosaic__camera *before)
{
    int d[2];
    if (e->hold > 0) { /* it may be a flash */
        const mosaic__camera now = e->camera;
        e->held_camera = *before;
        memcpy(e->held_camera.place, now.place, sizeof now.place);
    }
    memset(&e->camera, 0, sizeof e->camera);
    mosaic__place_grid(e, d);
    if (!e->stepped) return;
    mosaic__leave_out(e);
    mosaic__clear_lattice(e);
    mosaic__describe_frame(e, 0);
}

/* After what seemed to be a cut the picture may be back: where the camera, had it gone on, would have brought it. Then the grid is back there too. */
static int mosaic__regain(mosaic_engine *e)
{
    const mosaic__camera corner = e->camera;
    const mosaic_grid *g = &e->grid;
    const int waited = MOSAIC__HOLD + 1 - e->hold;
    int held[2], d[2], jump, i, k;
    int32_t origin;
    if (e->hold == 0 || !e->parted || (e->held_camera.place[0] == 0 && e->held_camera.place[1] == 0)) return 0;
    e->camera = e->held_camera;
    for (k = 0; k < 2; k++) {
        held[k] = mosaic__grid_at(g, &e->camera, k, &origin);
        e->camera.place[k] += (int64_t)e->camera.speed[k] * e->camera.fade / 8 * waited;
    }
    mosaic__place_grid(e, d);
    mosaic__describe_frame(e, 0);
    if (mosaic__unlike(e, 1, &jump) > MOSAIC__BACK_SHARE || jump) {
        e->camera = corner;
        mosaic__place_grid(e, d);
        return 0;
    }
    mosaic__move_cells(e->cell, sizeof *e->cell, g->cols, g->rows, e->first[0] - held[0], e->first[1] - held[1]);
    for (i = 0; i < e->cells; i++) {
        const int x = i % g->cols + e->first[0] - held[0], y = i / g->cols + e->first[1] - held[1];
        if (x < 0 || y < 0 || x >= g->cols || y >= g->rows) e->cell[i].held_photo = -1;
        e->cell[i].photo = e->chosen[i] = -1;
    }
    mosaic__leave_out(e);
    mosaic__clear_lattice(e);
    e->stepped = e->renumbered = 1;
    return 1;
}

/* ---- Predict: where the content of each cell went, and with it its photograph ----

   Content is followed on a lattice that lies on the screen, GRAIN x GRAIN samples a cell: each sample knows how far its content has come since the shot
   began. A cell's key is the place, in whole cells, that the content at its centre came from; photographs are remembered by their keys, so one whose
   content is hidden for a moment comes back. Content that grows would give one key to several cells: those that do not get it are given charts, keys of
   their own. While the grid follows the camera, all content is taken to stay in its cells. */

/* The pixel of a field of n pixels that covers a position (1/4096 px) in a source of `size` pixels. */
static int32_t mosaic__field_pixel(int64_t position, int size, int n)
{
    const int64_t pixel = mosaic__div_floor(position * n, (int64_t)size << 12);
    return (int32_t)(pixel < 0 ? 0 : pixel >= n ? n - 1 : pixel);
}

/* Where the samples lie in a field, and what its vectors are worth. */
static void mosaic__place_samples(mosaic_engine *e, const mosaic_flow_field *field)
{
    const mosaic_grid *g = &e->grid;
    const int halves = 2 * MOSAIC__GRAIN;
    int i;
    for (i = 0; i < e->lattice_width; i++) {
        const int64_t x = mosaic__source_x(g, (int64_t)g->origin_x * halves + (int64_t)(2 * i + 1) * g->cell_width * 64, halves);
        e->sample_x[i] = mosaic__field_pixel(x, g->source_width, field->width);
    }
    for (i = 0; i < e->lattice_height; i++) {
        const int64_t y = mosaic__source_y(g, (int64_t)g->origin_y * halves + (int64_t)(2 * i + 1) * g->cell_height * 64, halves);
        e->sample_y[i] = mosaic__field_pixel(y, g->source_height, field->height);
    }
    mosaic__field_scale(g, field, e->field_scale);
    e->field = field;
}

/* Of the samples of a row of cells: where in the grid of the frame before their content came from, and whether that is to be believed. */
static void mosaic__sample_row(void *arg, int row)
{
    mosaic_engine *e = (mosaic_engine *)arg;
    int x, y, k;
    for (y = row * MOSAIC__GRAIN; y < (row + 1) * MOSAIC__GRAIN; y++)
        for (x = 0; x < e->sight[0] * MOSAIC__GRAIN; x++) {
            const size_t at = (size_t)y * (size_t)e->lattice_width + (size_t)x;
            int32_t v[2];
            e->reliable[at] = mosaic__way_back(e->field, e->sample_x[x], e->sample_y[y], v) != MOSAIC__WAY_LOST;
            for (k = 0; k < 2; k++) e->from[at][k] = mosaic__clamp_length(((v[k] * e->field_scale[k] + 32768) >> 16) + e->step[k]);
        }
}

/* A sample where the content at (x, y) was: offsets between the four around, the chart of one of them, by turns, lest charts creep. */
static void mosaic__sample_at(const mosaic_engine *e, int64_t x, int64_t y, mosaic__sample *out)
{
    const int w = e->lattice_width, last_x = e->sight[0] * MOSAIC__GRAIN - 1, last_y = e->sight[1] * MOSAIC__GRAIN - 1;
    const int turn_x = (int)((uint64_t)e->frames * 773 & 1023),
              turn_y = (int)((uint64_t)e->frames * 583 & 1023); /* 1024 times a low-discrepancy sequence */
    const int px = (int)(x < 0 ? 0 : x > (int64_t)last_x * 1024 ? (int64_t)last_x * 1024 : x);
    const int py = (int)(y < 0 ? 0 : y > (int64_t)last_y * 1024 ? (int64_t)last_y * 1024 : y);
    const int x0 = px >> 10, y0 = py >> 10, x1 = x0 < last_x ? x0 + 1 : x0, y1 = y0 < last_y ? y0 + 1 : y0;
    const mosaic__sample *top = e->lattice + (size_t)y0 * (size_t)w, *bottom = e->lattice + (size_t)y1 * (size_t)w;
    const int64_t right = px & 1023, low = py & 1023;
    int k;
    for (k = 0; k < 2; k++) {
        const int64_t a = top[x0].offset[k] * (1024 - right) + top[x1].offset[k] * right;
        const int64_t b = bottom[x0].offset[k] * (1024 - right) + bottom[x1].offset[k] * right;
        out->offset[k] = (int32_t)((a * (1024 - low) + b * low + (1 << 19)) >> 20);
    }
    out->chart = ((py & 1023) + turn_y >= 1024 ? bottom : top)[(px & 1023) + turn_x >= 1024 ? x1 : x0].chart;
}

/* Carries the samples of a row of cells on by a frame. */
static void mosaic__advect_row(void *arg, int row)
{
    mosaic_engine *e = (mosaic_engine *)arg;
    const int stride = e->lattice_width, w = e->sight[0] * MOSAIC__GRAIN, h = e->sight[1] * MOSAIC__GRAIN;
    int x, y, k;
    for (y = row * MOSAIC__GRAIN; y < (row + 1) * MOSAIC__GRAIN; y++) {
        const int32_t(*here)[2] = (const int32_t(*)[2])(e->from + (size_t)y * (size_t)stride);
        const int32_t(*above)[2] = y > 0 ? here - stride : here, (*below)[2] = y < h - 1 ? here + stride : here;
        for (x = 0; x < w; x++) {
            const int left = x > 0 ? x - 1 : 0, right = x < w - 1 ? x + 1 : x;
            const size_t at = (size_t)y * (size_t)stride + (size_t)x;
            mosaic__sample *out = e->next_lattice + at;
            const mosaic__sample *before;
            int32_t v[2], gain, speed, trust;
            for (k = 0; k < 2; k++)
                v[k] = (above[left][k] + above[right][k] + below[left][k] + below[right][k] +
                        2 * (above[x][k] + below[x][k] + here[left][k] + here[right][k]) + 4 * here[x][k] + 8) >>
                       4;
            /* Its speed, and how often its motion was right. */
            before = e->lattice + (size_t)mosaic__clamp(y + ((v[1] * MOSAIC__GRAIN + 512) >> 10), 0, h - 1) * (size_t)stride +
                     mosaic__clamp(x + ((v[0] * MOSAIC__GRAIN + 512) >> 10), 0, w - 1);
            speed = before->speed + (mosaic__clamp(mosaic__length(v), 0, 4095) * 16 - before->speed) * 3 / 10;
            trust = before->trust + ((e->reliable[at] ? 65535 : 0) - before->trust) * 5 / 32;
            gain = mosaic__clamp((speed - 16 * MOSAIC__DEAD_ZONE) * 512 / MOSAIC__DEAD_ZONE, 0, 1024) *
                       mosaic__clamp((trust - MOSAIC__TRUST) * 5 / 32 + 512, 0, 1024) >>
                   10;
            for (k = 0; k < 2; k++) v[k] = (int32_t)((int64_t)v[k] * gain / 1024);
            if (v[0] == 0 && v[1] == 0) {
                *out = e->lattice[at];
            } else {
                mosaic__sample_at(e, (int64_t)x * 1024 + (int64_t)v[0] * MOSAIC__GRAIN, (int64_t)y * 1024 + (int64_t)v[1] * MOSAIC__GRAIN, out);
                for (k = 0; k < 2; k++) out->offset[k] = mosaic__clamp_length((int64_t)out->offset[k] - v[k]);
            }
            out->speed = (uint16_t)speed;
            out->trust = (uint16_t)trust;
        }
    }
}

/* ---- Memory of photographs ---- */

/* Where the search for a key begins. */
static int32_t *mosaic__memory_head(const mosaic_engine *e, uint32_t chart, int32_t x, int32_t y)
{
    uint32_t h = chart * 0x9e3779b1u ^ (uint32_t)x * 0x85ebca77u ^ (uint32_t)y * 0xc2b2ae3du;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 13;
    return e->memory_first + (h & e->memory_mask);
}

static void mosaic__memory_link(mosaic_engine *e, int index)
{
    mosaic__memory *m = e->memory + index;
    int32_t *head = mosaic__memory_head(e, m->chart, m->x, m->y);
    m->claimant = -1;
    m->next = *head;
    *head = index;
}

/* Column (0) or row (1) of a cell's key. */
static int32_t mosaic__key_place(const mosaic_engine *e, int cell, int axis)
{
    return e->first[axis] + (axis ? cell / e->grid.cols : cell % e->grid.cols) - e->cell[cell].jump[axis];
}

/* The memory of a cell's key, or -1. */
static int mosaic__memory_find(const mosaic_engine *e, int cell)
{
    const mosaic__cell *c = e->cell + cell;
    const int32_t x = mosaic__key_place(e, cell, 0), y = mosaic__key_place(e, cell, 1);
    int m = *mosaic__memory_head(e, c->chart, x, y);
    while (m >= 0 && (e->memory[m].chart != c->chart || e->memory[m].x != x || e->memory[m].y != y)) m = e->memory[m].next;
    return m;
}

/* A new one, of a cell's key. */
static int mosaic__memory_add(mosaic_engine *e, int cell)
{
    mosaic__memory *m = e->memory + e->memories;
    MOSAIC_TEMPORAL_ASSERT(e->memories < e->memory_room);
    memset(m, 0, sizeof *m);
    m->chart = e->cell[cell].chart;
    m->x = mosaic__key_place(e, cell, 0);
    m->y = mosaic__key_place(e, cell, 1);
    m->photo = -1;
    mosaic__memory_link(e, e->memories);
    return e->memories++;
}

/* Whether the place of a memory has been left behind by the grid. */
static int mosaic__left_behind(const mosaic_engine *e, const mosaic__memory *m)
{
    return m->photo >= 0 && (m->x < e->first[0] || m->y < e->first[1] || m->x >= e->first[0] + e->sight[0] || m->y >= e->first[1] + e->sight[1]);
}

/* A frame later: what has not been shown for long is forgotten; a grid that has moved remembers what it left behind, most of all the latest. */
static void mosaic__memory_age(mosaic_engine *e)
{
    const int count = e->memories, moved = e->camera.place[0] || e->camera.place[1];
    int m, behind = 0;
    for (m = 0; m < count && moved; m++) behind += mosaic__left_behind(e, e->memory + m);
    behind -= e->cells * MOSAIC__MEMORY_BEHIND;
    memset(e->memory_first, 0xff, ((size_t)e->memory_mask + 1) * sizeof *e->memory_first);
    e->memories = 0;
    for (m = 0; m < count; m++) {
        mosaic__memory *kept = e->memory + e->memories;
        const int keep = moved && mosaic__left_behind(e, e->memory + m) && behind-- <= 0;
        if (e->memory[m].photo < 0 || (e->memory[m].age >= MOSAIC__MEMORY && !keep)) continue;
        if (e->memories >= e->memory_room - 2 * e->cells) break; /* a frame may need so many more */
        *kept = e->memory[m];
        kept->age += !keep;
        mosaic__memory_link(e, e->memories++);
    }
}

/* The key of a cell's content: the one it has for as long as the content of that is near the centre, then that of the content there. */
static void mosaic__choose_key(mosaic_engine *e, int cell)
{
    const int middle = MOSAIC__GRAIN / 2;
    const mosaic__sample *centre = mosaic__sample_of(e, cell, middle, middle), *s = centre;
    mosaic__cell *c = e->cell + cell;
    int nearest = MOSAIC__GRAIN * MOSAIC__GRAIN, x, y, k;
    for (y = 0; y < MOSAIC__GRAIN && centre->chart != c->chart; y++)
        for (x = 0; x < MOSAIC__GRAIN; x++) {
            const mosaic__sample *other = mosaic__sample_of(e, cell, x, y);
            const int d = (x - middle) * (x - middle) + (y - middle) * (y - middle);
            if (other->chart != c->chart || d >= nearest) continue;
            nearest = d;
            s = other;
        }
    if (s->chart == c->chart && s != centre)
        for (k = 0; k < 2; k++)
            if (mosaic__abs(s->offset[k] - 1024 * c->jump[k]) >= MOSAIC__JUMP) s = centre;
    for (k = 0; k < 2; k++) {
        if (s->chart != c->chart || mosaic__abs(s->offset[k] - 1024 * c->jump[k]) >= MOSAIC__JUMP)
            c->jump[k] = (int32_t)mosaic__div_round(s->offset[k], 1024);
        e->centre[cell][k] = s->offset[k];
    }
    c->chart = s->chart;
}

/* How far (1/1024 cell) a cell's content is from where its photograph belongs; the cell that shows it has the better claim. */
static int64_t mosaic__misfit(const mosaic_engine *e, int cell)
{
    const int64_t x = e->centre[cell][0] - 1024 * (int64_t)e->cell[cell].jump[0], y = e->centre[cell][1] - 1024 * (int64_t)e->cell[cell].jump[1];
    return (int64_t)mosaic__isqrt((uint64_t)(x * x + y * y)) - (e->own[cell] == e->key[cell] ? MOSAIC__INCUMBENT : 0);
}

/* What is expected in a cell whose key is claimed. More bonus for photographs of content that moves: a change there is a loss of what the eye follows. */
static void mosaic__make_wish(mosaic_engine *e, int cell)
{
    const mosaic__cell *c = e->cell + cell;
    const mosaic__memory *key = e->memory + e->key[cell], *own = e->own[cell] < 0 ? 0 : e->memory + e->own[cell];
    const int left = own && own->claimant >= 0 && own->claimant != cell; /* what it shows went elsewhere */
    mosaic__wish *w = e->wish + cell;
    w->photo = -1;
    w->variant = 0;
    w->bonus = e->calm ? MOSAIC__COST_LIMIT : e->settings.bonus;
    w->keep = own == key ? 0 : w->bonus / 2;
    if (key->claimant == cell && key->photo >= 0) {
        w->photo = key->photo;
        w->variant = key->variant;
        if (e->camera.open > MOSAIC__CAMERA_SETTLE)
            w->bonus = w->bonus / 2 * 5;
        else if (e->camera.open && !e->calm)
            w->bonus /= 2;
        else if (own != key || mosaic__sample_of(e, cell, MOSAIC__GRAIN / 2, MOSAIC__GRAIN / 2)->speed > 16 * MOSAIC__DEAD_ZONE)
            w->bonus *= 2;
    } else if (!left) {
        w->photo = c->photo;
        w->variant = c->variant;
    }
}

/* Follows the content and decides which photograph is expected in each cell. field may be null: nothing moves. */
static void mosaic__predict(mosaic_engine *e, const mosaic_flow_field *field)
{
    int r, i;
    mosaic__memory_age(e);
    for (r = 0; r < e->filled; r++) {
        i = e->cell_of_row[r];
        e->own[i] = e->cell[i].lost ? -1 : mosaic__memory_find(e, i);
    }
    if (field && (field->forward || field->backward) && !e->flash) {
        mosaic__sample *before = e->lattice;
        mosaic__place_samples(e, field);
        mosaic__for_each(e, mosaic__sample_row, e->sight[1]);
        mosaic__for_each(e, mosaic__advect_row, e->sight[1]);
        e->lattice = e->next_lattice;
        e->next_lattice = before;
        e->field = 0;
    }
    /* Each key belongs to the cell whose content fits it best. */
    for (r = 0; r < e->filled; r++) {
        int rival;
        i = e->cell_of_row[r];
        mosaic__choose_key(e, i);
        e->key[i] = mosaic__memory_find(e, i);
        if (e->key[i] < 0) e->key[i] = mosaic__memory_add(e, i);
        rival = e->memory[e->key[i]].claimant;
        if (rival < 0 || mosaic__misfit(e, i) < mosaic__misfit(e, rival)) e->memory[e->key[i]].claimant = i;
    }
    for (r = 0; r < e->filled; r++) mosaic__make_wish(e, e->cell_of_row[r]);
}

/* What is shown now is remembered. A cell that has long shared its key with a better one gets a chart of its own. */
static void mosaic__remember(mosaic_engine *e)
{
    int r, x, y;
    for (r = 0; r < e->filled; r++) {
        const int i = e->cell_of_row[r];
        mosaic__cell *c = e->cell + i;
        mosaic__memory *m = e->memory + e->key[i];
        if (m->claimant != i && ++c->lost >= MOSAIC__PATIENCE) {
            const uint32_t shared = c->chart;
            c->chart = ++e->charts;
            for (y = 0; y < MOSAIC__GRAIN; y++)
                for (x = 0; x < MOSAIC__GRAIN; x++) {
                    mosaic__sample *s = mosaic__sample_of(e, i, x, y);
                    if (s->chart == shared) s->chart = c->chart;
                }
            m = e->memory + mosaic__memory_add(e, i);
            m->claimant = i;
        }
        if (m->claimant != i) continue;
        c->lost = 0;
        m->photo = c->photo;
        m->variant = c->variant;
        m->age = 0;
    }
}

/* A new shot: nothing has moved, and nothing is expected. */
static void mosaic__begin_shot(mosaic_engine *e)
{
    size_t k;
    int r, i;
    memset(e->memory_first, 0xff, ((size_t)e->memory_mask + 1) * sizeof *e->memory_first);
    e->memories = 0;
    for (k = 0; k < (size_t)e->lattice_width * (size_t)e->lattice_height; k++) {
        memset(e->lattice + k, 0, sizeof *e->lattice);
        if ((int)(k % (size_t)e->lattice_width) < e->sight[0] * MOSAIC__GRAIN && (int)(k / (size_t)e->lattice_width) < e->sight[1] * MOSAIC__GRAIN)
            e->lattice[k].trust = 65535;
    }
    for (i = 0; i < e->cells; i++) {
        memset(e->wish + i, 0, sizeof *e->wish);
        e->wish[i].photo = -1;
    }
    for (r = 0; r < e->filled; r++) {
        mosaic__cell *c;
        i = e->cell_of_row[r];
        c = e->cell + i;
        c->jump[0] = c->jump[1] = c->lost = 0;
        c->chart = 0;
        e->key[i] = mosaic__memory_add(e, i);
        e->memory[e->key[i]].claimant = i;
    }
}

/* The picture is as it was before what seemed to be a cut: its photographs are expected where they stood, and its colours are finished as then. */
static void mosaic__resume_shot(mosaic_engine *e)
{
    int r;
    mosaic__begin_shot(e);
    for (r = 0; r < e->filled; r++) {
        const int i = e->cell_of_row[r];
        e->wish[i].photo = e->cell[i].held_photo;
        e->wish[i].variant = e->cell[i].held_variant;
        e->wish[i].bonus = MOSAIC__COST_LIMIT;
    }
    e->finisher.shot = e->held_shot;
    e->finisher.made = e->finisher.ready = 0;
}

/* ---- Recall: what a memory beyond the shot knows ---- */

static int mosaic__variant_ok(const mosaic_engine *e, int32_t variant)
{
    return variant >= 0 && variant < MOSAIC_VARIANTS * e->pool->looks && e->settings.variants >> mosaic__variant_of(variant) & 1;
}

/* A photograph and its variant. */
static uint32_t mosaic__tag(const mosaic_engine *e, int photo, int variant)
{
    return (uint32_t)photo * (uint32_t)(MOSAIC_VARIANTS * e->pool->looks) + (uint32_t)variant;
}

/* The frame as 3 x 3 pixels a cell. */
static void mosaic__glimpse_row(void *arg, int row)
{
    mosaic_engine *e = (mosaic_engine *)arg;
    const size_t cols = (size_t)e->grid.cols;
    size_t col;
    int c, k;
    for (col = 0; col < cols; col++) {
        const mosaic__look *look = e->look + (size_t)row * cols + col;
        for (k = 0; k < MOSAIC__BLOCKS; k++)
            for (c = 0; c < 3; c++)
                e->glimpse[(((size_t)row * 3 + (size_t)k / 3) * cols * 3 + col * 3 + (size_t)k % 3) * 3 + (size_t)c] =
                    (uint8_t)mosaic__clamp(((look->mean[c] + look->block[c][k]) >> 2) + (c ? 128 : 0), 0, 255);
    }
}

/* Asks it for what the shot does not know: all of a shot's first frame; later what comes into the picture. */
static void mosaic__recall(mosaic_engine *e, int begins)
{
    const uint32_t variants = (uint32_t)(MOSAIC_VARIANTS * e->pool->looks);
    int r, i;
    e->recalled = 0;
    if (!e->glimpse || e->settings.bonus == 0) return;
    mosaic__for_each(e, mosaic__glimpse_row, e->grid.rows);
    memset(e->wanted, 0, (size_t)e->cells);
    for (r = 0; r < e->filled; r++) {
        i = e->cell_of_row[r];
        e->wanted[i] = begins ? e->wish[i].photo < 0 : !e->calm && e->memory[e->key[i]].claimant == i && e->memory[e->key[i]].photo < 0;
        e->tags[i] = MOSAIC_NO_TAG;
    }
    if (e->recall.recall(e->recall.ctx, e->glimpse, begins, e->first[0], e->first[1], e->wanted, e->tags)) return;
    for (r = 0; r < e->filled; r++) {
        mosaic__wish *w;
        int32_t photo, variant;
        i = e->cell_of_row[r];
        w = e->wish + i;
        photo = (int32_t)(e->tags[i] / variants);
        variant = (int32_t)(e->tags[i] % variants);
        if (!e->wanted[i] || e->tags[i] == MOSAIC_NO_TAG || !mosaic__pool_has(e->pool, photo) || !mosaic__variant_ok(e, variant)) continue;
        w->photo = photo;
        w->variant = variant;
        w->bonus = begins ? e->settings.bonus : 2 * e->settings.bonus;
        w->keep = begins ? 0 : e->settings.bonus / 2;
        e->recalled++;
    }
}

static void mosaic__keep(mosaic_engine *e)
{
    int i;
    if (!e->glimpse || e->settings.bonus == 0) return;
    for (i = 0; i < e->cells; i++) e->tags[i] = e->cell[i].photo < 0 ? MOSAIC_NO_TAG : mosaic__tag(e, e->cell[i].photo, e->cell[i].variant);
    (void)e->recall.keep(e->recall.ctx, e->tags);
}

/* ---- Assign ---- */

/* Costs of photographs first … first + count - 1 in one cell, without biases. */
static void mosaic__compute_costs(const mosaic_engine *e, int cell, int first, int count, int32_t *out)
{
    const mosaic__settings *s = &e->settings;
    const mosaic__look *look = &e->cell[cell].priced;
    int pack;
    for (pack = first / MOSAIC__LANES; pack * MOSAIC__LANES < first + count; pack++) {
        int32_t lanes[MOSAIC__LANES];
        int begin = pack * MOSAIC__LANES, from = begin < first ? first - begin : 0;
        int end = begin + MOSAIC__LANES > first + count ? first + count - begin : MOSAIC__LANES;
        const int whole = from == 0 && end == MOSAIC__LANES;
        e->costs(s, look, e->pack + (size_t)pack * (size_t)s->variant_count, s->variant_count, whole ? out + (begin - first) : lanes);
        if (!whole) memcpy(out + (begin + from - first), lanes + from, (size_t)(end - from) * sizeof *out);
    }
}

/* Where the table has a cell's costs. */
static int32_t *mosaic__table_row(const mosaic_engine *e, int cell) { return e->table + (size_t)e->row_of_cell[cell] * e->width; }

enum { MOSAIC__STRETCH = 4 * MOSAIC__LANES }; /* a few packs, which stay in the nearest cache, for all cells of a block */

/* Leaves the cheaper half of a full list: the highest limit below which there are no more. */
static void mosaic__list_halve(mosaic__list *list)
{
    int32_t low = 0, high = list->rest <= MOSAIC__COST_LIMIT ? list->rest : MOSAIC__COST_LIMIT + 1;
    int k, n;
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        for (k = n = 0; k < list->count; k++) n += list->cost[k] < middle;
        if (2 * n <= list->count)
            low = middle;
        else
            high = middle;
    }
    for (k = n = 0; k < list->count; k++)
        if (list->cost[k] < low) {
            list->photo[n] = list->photo[k];
            list->cost[n++] = list->cost[k];
        }
    list->count = n;
    list->rest = low;
}

static void mosaic__list_add(mosaic__list *list, int first, int count, const int32_t *cost)
{
    int k;
    for (k = 0; k < count; k++) {
        if (cost[k] >= list->rest) continue;
        if (list->count == MOSAIC__LIST_MOST) {
            mosaic__list_halve(list);
            if (cost[k] >= list->rest) continue;
        }
        list->photo[list->count] = first + k;
        list->cost[list->count++] = cost[k];
    }
}

/* Costs of the cells of a row that are stale, for the table or the lists. */
static void mosaic__cost_row(void *arg, int row)
{
    mosaic_engine *e = (mosaic_engine *)arg;
    const int width = e->table ? (int)e->width : e->photos;
    int first, i;
    for (first = 0; first < width; first += MOSAIC__STRETCH)
        for (i = row * e->grid.cols; i < (row + 1) * e->grid.cols; i++) {
            int32_t cost[MOSAIC__STRETCH];
            const int count = width - first < MOSAIC__STRETCH ? width - first : MOSAIC__STRETCH;
            mosaic__list *list;
            if (!e->stale[i]) continue;
            if (e->table) {
                mosaic__compute_costs(e, i, first, count, mosaic__table_row(e, i) + first);
                continue;
            }
            list = e->list + e->row_of_cell[i];
            if (first == 0) {
                list->count = list->guests = list->whole = 0;
                list->rest = MOSAIC__TABLE_LIMIT;
            }
            mosaic__compute_costs(e, i, first, count, cost);
            mosaic__list_add(list, first, count, cost);
        }
}

static int32_t mosaic__add_bias(int32_t cost, int32_t bias) { return cost + bias < MOSAIC__TABLE_LIMIT ? cost + bias : MOSAIC__TABLE_LIMIT; }

/* How many of a list's photographs come before one. */
static int mosaic__list_at(const mosaic__list *list, int photo)
{
    int low = 0, count = list->count;
    while (count > 0) {
        const int half = count / 2;
        if (list->photo[low + half] < photo) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static int32_t *mosaic__listed_cost(mosaic__list *list, int photo)
{
    const int at = mosaic__list_at(list, photo);
    return at < list->count && list->photo[at] == photo ? list->cost + at : 0;
}

/* Where the table or the list has the cost of this frame of one cell and one photograph; null: nowhere. */
static int32_t *mosaic__held_cost(const mosaic_engine *e, int cell, int photo)
{
    return e->table ? mosaic__table_row(e, cell) + photo : mosaic__listed_cost(e->list + e->row_of_cell[cell], photo);
}

/* Costs of this frame of one cell and some photographs where there is no table, whatever the list has of them. */
static void mosaic__whole_costs(const mosaic_engine *e, int cell, int photo, int photos, int32_t *out)
{
    const mosaic__bias *b = e->bias + (size_t)cell * e->bias_room;
    int k;
    mosaic__compute_costs(e, cell, photo, photos, out);
    for (k = 0; k < e->biases[cell]; k++)
        if (b[k].photo >= photo && b[k].photo < photo + photos) out[b[k].photo - photo] = mosaic__add_bias(out[b[k].photo - photo], b[k].cost);
}

/* Costs of this frame where there is no table of them, as mosaic_lap_problem.fill wants them. What is not in a cell's list is forbidden: see
   mosaic__solve. */
static void mosaic__fill(void *engine, int32_t row, int32_t rows, int32_t photo, int32_t photos, int32_t *out, size_t stride)
{
    const mosaic_engine *e = (const mosaic_engine *)engine;
    int32_t i, k, n;
    for (i = 0; i < rows; i++) {
        const mosaic__list *list = e->list + row + i;
        int32_t *cost = out + (size_t)i * stride;
        if (list->whole) {
            mosaic__whole_costs(e, e->cell_of_row[row + i], photo, photos, cost);
            continue;
        }
        for (k = 0; k + MOSAIC__LANES <= photos; k += MOSAIC__LANES)
            for (n = 0; n < MOSAIC__LANES; n++) cost[k + n] = MOSAIC_LAP_FORBIDDEN;
        for (; k < photos; k++) cost[k] = MOSAIC_LAP_FORBIDDEN;
        for (k = mosaic__list_at(list, photo); k < list->count && list->photo[k] - photo < photos; k++) cost[list->photo[k] - photo] = list->cost[k];
    }
}

/* The cost of this frame of one cell and one photograph. */
static int32_t mosaic__entry(const mosaic_engine *e, int cell, int photo)
{
    const int32_t *held = mosaic__held_cost(e, cell, photo);
    int32_t cost;
    if (held) return *held;
    mosaic__whole_costs(e, cell, photo, 1, &cost);
    return cost;
}

/* Photographs to choose from for one cell, in the order of the pool, with their costs of this frame. */
typedef struct mosaic__choice {
    const int32_t *photo; /* null: all there are */
    const int32_t *cost;
    int count;
    int32_t rest; /* all others cost at least this */
} mosaic__choice;

static int mosaic__choice_photo(const mosaic__choice *c, int k) { return c->photo ? c->photo[k] : k; }

/* All of them; where there is no table, in a place of the engine's own, until the next call. */
static mosaic__choice mosaic__all_choices(const mosaic_engine *e, int cell)
{
    mosaic__choice c;
    c.photo = 0;
    c.cost = e->table ? mosaic__table_row(e, cell) : e->row;
    c.count = e->photos;
    c.rest = INT32_MAX;
    if (!e->table) mosaic__whole_costs(e, cell, 0, e->photos, e->row);
    return c;
}

/* Those of its list; with a table all. */
static mosaic__choice mosaic__choices(const mosaic_engine *e, int cell)
{
    const mosaic__list *list;
    mosaic__choice c;
    if (e->table) return mosaic__all_choices(e, cell);
    list = e->list + e->row_of_cell[cell];
    c.photo = list->photo;
    c.cost = list->cost;
    c.count = list->count;
    c.rest = list->rest;
    return c;
}

/* Adds to one cost for this frame. What makes the same photograph dearer again is added to the last bias: a cell has at most one ban a round. */
static void mosaic__bias_add(mosaic_engine *e, int cell, int photo, int32_t cost)
{
    mosaic__bias *b = e->bias + (size_t)cell * e->bias_room + e->biases[cell];
    int32_t *held = mosaic__held_cost(e, cell, photo);
    if (!held && cost < 0) { /* a guest */
        mosaic__list *list = e->list + e->row_of_cell[cell];
        const int at = mosaic__list_at(list, photo);
        const int32_t now = mosaic__entry(e, cell, photo);
        MOSAIC_TEMPORAL_ASSERT(list->guests < 2);
        memmove(list->photo + at + 1, list->photo + at, (size_t)(list->count - at) * sizeof *list->photo);
        memmove(list->cost + at + 1, list->cost + at, (size_t)(list->count - at) * sizeof *list->cost);
        list->count++;
        list->guests++;
        list->photo[at] = photo;
        held = list->cost + at;
        *held = now;
    }
    if (e->biases[cell] > 0 && b[-1].photo == photo && b[-1].cost > 0 && cost > 0) {
        b--;
        b->cost = mosaic__add_bias(b->cost, cost);
    } else {
        MOSAIC_TEMPORAL_ASSERT((size_t)e->biases[cell] < e->bias_room);
        e->biases[cell]++;
        b->photo = photo;
        b->cost = cost;
        b->before = held ? *held : MOSAIC__TABLE_LIMIT;
    }
    if (held) *held = mosaic__add_bias(b->before, b->cost);
}

/* Takes them all back. */
static void mosaic__bias_clear(mosaic_engine *e)
{
    int i, k, n;
    for (i = 0; i < e->cells; i++) {
        const mosaic__bias *b = e->bias + (size_t)i * e->bias_room;
        for (k = e->biases[i]; k-- > 0;)
            if (b[k].before < MOSAIC__TABLE_LIMIT) *mosaic__held_cost(e, i, b[k].photo) = b[k].before;
        e->biases[i] = 0;
    }
    for (i = 0; i < e->filled && e->list; i++) {
        mosaic__list *list = e->list + i;
        if (!list->guests) continue;
        for (k = n = 0; k < list->count; k++)
            if (list->cost[k] < list->rest) {
                list->photo[n] = list->photo[k];
                list->cost[n++] = list->cost[k];
            }
        list->count = n;
        list->guests = 0;
    }
}

/* The cost of one tile in one cell without biases. */
static int32_t mosaic__tile_cost(const mosaic_engine *e, int cell, int photo, int variant_index)
{
    const mosaic__pack *pack = e->pack + (size_t)(photo / MOSAIC__LANES) * (size_t)e->settings.variant_count + variant_index;
    const mosaic__look *look = &e->cell[cell].priced;
    return mosaic__pair_cost(&e->settings, look, pack, photo % MOSAIC__LANES);
}

static int mosaic__variant_index(const mosaic_engine *e, int variant)
{
    int v;
    for (v = 0; v < e->settings.variant_count; v++)
        if (e->settings.variant[v] == variant) return v;
    return 0;
}

/* What a tile is favoured by in a cell. */
static int32_t mosaic__bonus(const mosaic_engine *e, int cell, int photo, int variant)
{
    const mosaic__cell *shown = e->cell + cell;
    const mosaic__wish *w = e->wish + cell;
    if (w->photo == photo && w->variant == variant) return w->bonus;
    return shown->photo == photo && shown->variant == variant ? w->keep : 0;
}

static int mosaic__expects(const mosaic_engine *e, int cell, int photo) { return e->wish[cell].photo == photo; }

/* Enters bonuses and repulsion. A photograph's entry is that of its cheapest variant; one variant's bonus can make it the cheapest. */
static void mosaic__favour(mosaic_engine *e)
{
    const mosaic_grid *g = &e->grid;
    int i, x, y, k, d = e->settings.distance;
    for (i = 0; i < e->cells; i++) {
        const mosaic__wish *w = e->wish + i;
        const int photo[2] = {w->photo, w->keep ? e->cell[i].photo : -1}, variant[2] = {w->variant, e->cell[i].variant};
        int32_t repulsion = 0;
        if (e->row_of_cell[i] < 0) continue;
        for (y = i / g->cols - d; y <= i / g->cols + d; y++)
            for (x = i % g->cols - d; x <= i % g->cols + d; x++) {
                const mosaic__wish *other = e->wish + y * g->cols + x;
                if (x < 0 || y < 0 || x >= g->cols || y >= g->rows || other->photo < 0) continue;
                /* Not on a cell that expects the photograph too: two that cannot be kept apart would flee each other for ever. */
                if (!mosaic__expects(e, i, other->photo)) mosaic__bias_add(e, i, other->photo, MOSAIC__REPULSION + other->bonus);
            }
        for (k = 0; k < 2; k++) {
            int32_t cost, entry;
            int v;
            if (photo[k] < 0) continue;
            entry = mosaic__entry(e, i, photo[k]);
            /* Repulsion lies on the photograph, whatever its variant: it is what the entry has above its cheapest variant, before any bonus. */
            if (k == 0 || photo[0] != photo[1]) {
                int32_t cheapest = mosaic__tile_cost(e, i, photo[k], 0);
                for (v = 1; v < e->settings.variant_count; v++) {
                    int32_t other = mosaic__tile_cost(e, i, photo[k], v);
                    if (other < cheapest) cheapest = other;
                }
                repulsion = entry - cheapest;
            }
            cost = mosaic__tile_cost(e, i, photo[k], mosaic__variant_index(e, variant[k])) - mosaic__bonus(e, i, photo[k], variant[k]) + repulsion;
            if (cost < entry) mosaic__bias_add(e, i, photo[k], cost - entry);
        }
    }
}

/* The cell within min_distance of `cell` that `photo` stands in, or -1; the nearest index first. */
static int mosaic__copy_near(const mosaic_engine *e, int cell, int photo)
{
    const mosaic_grid *g = &e->grid;
    int d = e->settings.distance, col = cell % g->cols, row = cell / g->cols, x, y;
    if (photo < 0) return -1;
    for (y = row - d < 0 ? 0 : row - d; y <= row + d && y < g->rows; y++)
        for (x = col - d < 0 ? 0 : col - d; x <= col + d && x < g->cols; x++)
            if (y * g->cols + x != cell && e->chosen[y * g->cols + x] == photo) return y * g->cols + x;
    return -1;
}

/* The assignment problem of a frame. */
static mosaic_lap_problem mosaic__problem(mosaic_engine *e)
{
    mosaic_lap_problem problem;
    memset(&problem, 0, sizeof problem);
    problem.rows = e->filled;
    problem.cols = e->photos;
    problem.cost = e->table;
    problem.stride = e->width;
    problem.fill = e->table ? 0 : mosaic__fill;
    problem.fill_ctx = e;
    problem.capacity = e->capacity;
    return problem;
}

/* Whether some cells' lists were too short, for the prices found or for any solution: they go on with all their costs, and after some rounds every cell
   does. */
static int mosaic__lists_short(mosaic_engine *e, int round, int infeasible)
{
    int r, found = 0;
    for (r = 0; r < e->filled && e->list; r++)
        if (!e->list[r].whole && (infeasible ? e->stuck[r] : e->cell_price[r] >= e->list[r].rest)) found = e->list[r].whole = 1;
    for (r = 0; r < e->filled && found && round == MOSAIC__LIST_ROUNDS; r++) e->list[r].whole = 1;
    return found;
}

/* Solves it, from the prices of the one before when there are any: what comes out does not depend on them. What is not in a cell's list costs `rest` at
   least, and its own price is 0 or below: where the cell's price is below `rest` these prices hold for it too, and it stands in no optimum. As long as
   that is so of all cells, the best with the lists is the best of all. */
static void mosaic__solve(mosaic_engine *e, int64_t *total)
{
    const mosaic_lap_problem problem = mosaic__problem(e);
    mosaic_lap_options options;
    mosaic_lap_solution solution;
    mosaic_lap_result result;
    int i, round = 0;
    memset(&options, 0, sizeof options);
    memset(&solution, 0, sizeof solution);
    options.simd = e->options.simd;
    options.work = e->lap_work;
    options.work_size = e->lap_work_size;
    options.run = e->options.run;
    options.run_ctx = e->options.run_ctx;
    /* The solver knows only the cells that are filled: their photographs move together, and back to their places. */
    for (i = 0; i < e->filled && e->warm; i++) e->chosen[i] = e->chosen[e->cell_of_row[i]];
    solution.col_of_row = e->chosen;
    solution.u = e->cell_price;
    solution.v = e->photo_price;
    solution.clash_rows = e->stuck;
    do {
        if (e->warm && e->table) options.start = &solution;
        result = mosaic_lap_solve(&problem, &options, &solution);
        /* Nothing is forbidden but what is not in lists, and mosaic_open saw to the sizes, the capacities and the memory. */
        MOSAIC_TEMPORAL_ASSERT(result == MOSAIC_LAP_OK || (result == MOSAIC_LAP_ERROR_INFEASIBLE && e->list));
    } while (mosaic__lists_short(e, ++round, result == MOSAIC_LAP_ERROR_INFEASIBLE));
    e->warm = 1;
    for (i = e->cells - 1; i >= 0; i--) e->chosen[i] = e->row_of_cell[i] < 0 ? -1 : e->chosen[e->row_of_cell[i]];
    *total = solution.primal;
}

/* The cheapest photograph of these but the cell's own. */
static int32_t mosaic__next_best(const mosaic_engine *e, int cell, const mosaic__choice *c)
{
    int32_t best = INT32_MAX;
    int k;
    for (k = 0; k < c->count; k++)
        if (c->cost[k] < best && mosaic__choice_photo(c, k) != e->chosen[cell]) best = c->cost[k];
    return best;
}

/* What a cell would lose by giving up its photograph for the next best. */
static int32_t mosaic__regret(mosaic_engine *e, int cell)
{
    mosaic__choice choice = mosaic__choices(e, cell);
    int32_t best = mosaic__next_best(e, cell, &choice);
    if (best > choice.rest) {
        choice = mosaic__all_choices(e, cell);
        best = mosaic__next_best(e, cell, &choice);
    }
    return best == INT32_MAX ? INT32_MAX : best - mosaic__entry(e, cell, e->chosen[cell]);
}

/* First frame of a shot, or any with the dial at 0: copies that stand too close are made dearer where that hurts least, and the whole problem solved again. */
static int mosaic__ban(mosaic_engine *e)
{
    int i, other, bans = 0;
    for (i = 0; i < e->cells; i++) {
        int loser;
        other = mosaic__copy_near(e, i, e->chosen[i]);
        if (other < i) continue; /* no copy, or its pair was seen from the other side */
        loser = mosaic__regret(e, other) < mosaic__regret(e, i) ? other : i;
        mosaic__bias_add(e, loser, e->chosen[loser], MOSAIC__BAN);
        bans++;
    }
    return bans;
}

/* The cheapest of these photographs that has uses left and no copy near, and its cost; -1: none. */
static int mosaic__free_choice(const mosaic_engine *e, int cell, const mosaic__choice *c, int32_t *cost)
{
    int k, best = -1;
    for (k = 0; k < c->count; k++) {
        const int p = mosaic__choice_photo(c, k);
        if ((best < 0 || c->cost[k] < *cost) && e->used[p] < e->capacity[p] && mosaic__copy_near(e, cell, p) < 0) {
            best = p;
            *cost = c->cost[k];
        }
    }
    return best;
}

/* The last step, whatever is left: in each pair too close, one cell takes the cheapest photograph that has uses left and no copy near: the cell
   that did not expect it, else the later one. Returns how many cells cannot be helped. */
static int mosaic__repair(mosaic_engine *e)
{
    mosaic__choice choice;
    int i, left = 0;
    if (e->settings.distance == 0) return 0;
    memset(e->used, 0, sizeof *e->used * (size_t)e->photos);
    memset(e->stuck, 0, (size_t)e->cells);
    for (i = 0; i < e->filled; i++) e->used[e->chosen[e->cell_of_row[i]]]++;
    for (i = 0; i < e->cells; i++) {
        int other;
        while (!e->stuck[i] && (other = mosaic__copy_near(e, i, e->chosen[i])) >= 0) {
            int keeps = mosaic__expects(e, i, e->chosen[i]), other_keeps = mosaic__expects(e, other, e->chosen[other]);
            int loser = e->stuck[other] || (other_keeps && !keeps) || (other_keeps == keeps && other < i) ? i : other, best;
            int32_t cost = 0;
            choice = mosaic__choices(e, loser);
            best = mosaic__free_choice(e, loser, &choice, &cost);
            if (best < 0 || cost >= choice.rest) {
                choice = mosaic__all_choices(e, loser);
                best = mosaic__free_choice(e, loser, &choice, &cost);
            }
            if (best < 0) {
                e->stuck[loser] = 1;
                continue;
            }
            e->used[e->chosen[loser]]--;
            e->used[best]++;
            e->chosen[loser] = best;
        }
    }
    for (i = 0; i < e->cells; i++) left += mosaic__copy_near(e, i, e->chosen[i]) >= 0;
    return left;
}

/* The variant a cell shows its photograph in: the cheapest with its bonus; the first of equals. */
static int mosaic__best_variant(const mosaic_engine *e, int cell, int photo)
{
    int32_t best = 0;
    int v, best_variant = -1;
    for (v = 0; v < e->settings.variant_count; v++) {
        int variant = e->settings.variant[v];
        int32_t cost = mosaic__tile_cost(e, cell, photo, v) - mosaic__bonus(e, cell, photo, variant);
        if (best_variant < 0 || cost < best) {
            best = cost;
            best_variant = variant;
        }
    }
    return best_variant;
}

/* ---- Re-rank ---- */

/* Rec. 601 luma of codes in 1/16 level, rounded to a level. */
static uint8_t mosaic__luma(const int32_t code[3])
{
    return (uint8_t)mosaic__clamp((4899 * code[0] + 9617 * code[1] + 1868 * code[2] + (1 << 17)) >> 18, 0, 255);
}

static mosaic_ssim_image mosaic__rerank_image(const uint8_t luma[MOSAIC__PIXELS])
{
    mosaic_ssim_image image;
    memset(&image, 0, sizeof image);
    image.data = luma;
    image.width = image.height = MOSAIC__SIDE;
    return image;
}

/* What re-ranking knows of one of the cells that it looks at together: its candidates, the cheapest first, and those that were made ready for scoring. */
typedef struct mosaic__contest {
    int cell, count, ready;
    int list[MOSAIC__RERANK_MOST + 1], ready_list[MOSAIC__RERANK_MOST + 1];
    const mosaic_ssim_prepared *target, *prepared[MOSAIC__RERANK_MOST + 1];
    uint8_t *memory; /* rerank + 2 prepared pictures, then the work area of mosaic_ssim.h */
} mosaic__contest;

static int mosaic__rerank_allocate(mosaic_engine *e)
{
    const mosaic_ssim_image image = mosaic__rerank_image(0);
    void *ctx = e->options.alloc_ctx;
    size_t each;
    int k;
    if (mosaic_ssim_prepared_size(&image, 0, &e->rerank_picture) != MOSAIC_SSIM_OK) return 0;
    if (mosaic_ssim_work_size(&image, 0, &e->rerank_work) != MOSAIC_SSIM_OK) return 0;
    each = ((size_t)e->settings.rerank + 2) * e->rerank_picture + e->rerank_work;
    e->contest = (mosaic__contest *)mosaic__allocate(ctx, MOSAIC__CONTESTS, sizeof *e->contest);
    e->rerank_memory = (uint8_t *)mosaic__allocate(ctx, MOSAIC__CONTESTS, each);
    if (!e->contest || !e->rerank_memory) return 0;
    for (k = 0; k < MOSAIC__CONTESTS; k++) e->contest[k].memory = e->rerank_memory + (size_t)k * each;
    return 1;
}

/* Makes a picture ready for scoring, as number `index` of a contest: the cell itself (photo -1), or a photograph as it would be painted there. */
static const mosaic_ssim_prepared *mosaic__rerank_picture(const mosaic_engine *e, const mosaic__contest *contest, int index, int photo)
{
    const int cell = contest->cell;
    const mosaic__codes *source = e->codes + cell, *tile = source;
    uint8_t luma[MOSAIC__PIXELS], *memory = contest->memory + (size_t)index * e->rerank_picture;
    mosaic_ssim_prepared *prepared = 0;
    mosaic_ssim_image image;
    mosaic_ssim_result result;
    int16_t m[3][5] = {{0, 0, 0, 4096, 0}, {0, 0, 0, 4096, 0}, {0, 0, 0, 4096, 0}};
    int variant = MOSAIC_PLAIN, x, y, c;
    if (photo >= 0) {
        const int best = mosaic__best_variant(e, cell, photo);
        const size_t look = mosaic__look_at(e, photo, mosaic__look_index(best));
        variant = mosaic__variant_of(best);
        tile = e->photo_codes + look;
        mosaic__recolour(&e->settings, e->palette + look, variant, e->colours + cell, m);
    }
    for (y = 0; y < MOSAIC__SIDE; y++)
        for (x = 0; x < MOSAIC__SIDE; x++) {
            const int at = mosaic__code_index(x, y), from = variant == MOSAIC_MIRROR ? mosaic__code_index(MOSAIC__SIDE - 1 - x, y) : at;
            const int r = tile->of[0][from], g = tile->of[1][from], b = tile->of[2][from];
            int32_t out[3];
            for (c = 0; c < 3; c++)
                out[c] =
                    mosaic__clamp((m[c][0] * r + m[c][1] * g + m[c][2] * b + m[c][3] * source->of[c][at] + 4096 * m[c][4] + 2048) >> 12, 0, 4080);
            luma[y * MOSAIC__SIDE + x] = mosaic__luma(out);
        }
    image = mosaic__rerank_image(luma);
    result = mosaic_ssim_prepare(&image, 0, memory, e->rerank_picture, &prepared,
                                 contest->memory + ((size_t)e->settings.rerank + 2) * e->rerank_picture, e->rerank_work);
    MOSAIC_TEMPORAL_ASSERT(result == MOSAIC_SSIM_OK);
    (void)result;
    return prepared;
}

/* A cell's photograph, and up to rerank others of these that may stand there instead, the cheapest first: at most the margin dearer, free and without a
   copy near. Returns whether no other photograph can belong to them. */
static int mosaic__candidates(const mosaic_engine *e, const mosaic__choice *c, mosaic__contest *contest)
{
    const int own = e->chosen[contest->cell], most = e->settings.rerank;
    const int32_t limit = mosaic__entry(e, contest->cell, own) + MOSAIC__RERANK_MARGIN;
    int32_t cost[MOSAIC__RERANK_MOST + 1];
    int k, at, n = 1;
    contest->list[0] = own;
    for (k = 0; k < c->count; k++) {
        const int p = mosaic__choice_photo(c, k);
        if (c->cost[k] > limit || (n > most && c->cost[k] >= cost[n - 1])) continue;
        if (p == own || e->used[p] >= e->capacity[p] || (e->settings.distance > 0 && mosaic__copy_near(e, contest->cell, p) >= 0)) continue;
        if (n <= most) n++;
        for (at = n - 1; at > 1 && cost[at - 1] > c->cost[k]; at--) {
            contest->list[at] = contest->list[at - 1];
            cost[at] = cost[at - 1];
        }
        contest->list[at] = p;
        cost[at] = c->cost[k];
    }
    contest->count = n;
    return limit < c->rest || (n > most && cost[n - 1] < c->rest);
}

/* Makes ready what a contest will probably need: the candidates as they are before any cell has decided. */
static void mosaic__contest_prepare(void *engine, int index)
{
    const mosaic_engine *e = (const mosaic_engine *)engine;
    mosaic__contest *contest = e->contest + index;
    mosaic__choice choice;
    unsigned long long fp = mosaic__fp_enter();
    int k;
    choice = mosaic__choices(e, contest->cell);
    mosaic__candidates(e, &choice, contest);
    contest->ready = contest->count > 1 ? contest->count : 0;
    contest->target = contest->ready ? mosaic__rerank_picture(e, contest, e->settings.rerank + 1, -1) : 0;
    for (k = 0; k < contest->ready; k++) {
        contest->ready_list[k] = contest->list[k];
        contest->prepared[k] = mosaic__rerank_picture(e, contest, k, contest->list[k]);
    }
    mosaic__fp_leave(fp);
}

/* Puts the pictures of a contest's candidates in their order; what was not foreseen is made ready in the place of one that is not needed. */
static void mosaic__contest_complete(const mosaic_engine *e, mosaic__contest *contest)
{
    const mosaic_ssim_prepared *ready[MOSAIC__RERANK_MOST + 1];
    int place[MOSAIC__RERANK_MOST + 1], taken[MOSAIC__RERANK_MOST + 1], k, n, next = 0;
    memset(taken, 0, sizeof taken);
    memcpy(ready, contest->prepared, sizeof ready);
    for (k = 0; k < contest->count; k++) {
        for (n = 0; n < contest->ready && contest->ready_list[n] != contest->list[k]; n++) continue;
        place[k] = n < contest->ready ? n : -1;
        if (place[k] >= 0) taken[n] = 1;
    }
    if (!contest->target) contest->target = mosaic__rerank_picture(e, contest, e->settings.rerank + 1, -1);
    for (k = 0; k < contest->count; k++) {
        if (place[k] >= 0) {
            contest->prepared[k] = ready[place[k]];
            continue;
        }
        while (taken[next]) next++;
        contest->prepared[k] = mosaic__rerank_picture(e, contest, next++, contest->list[k]);
    }
}

/* Among the near-equal candidates for a cell's new photograph, the one most similar to the cell. What one cell takes another may not have: they decide
   one after the other, on pictures that were made ready together. */
static void mosaic__contests_decide(mosaic_engine *e, int count)
{
    mosaic__choice choice;
    mosaic_ssim_options options;
    int i;
    memset(&options, 0, sizeof options);
    options.simd = e->options.simd;
    mosaic__for_each(e, mosaic__contest_prepare, count);
    for (i = 0; i < count; i++) {
        mosaic__contest *contest = e->contest + i;
        const int cell = contest->cell;
        size_t winner = 0;
        mosaic_ssim_result result;
        choice = mosaic__choices(e, cell);
        if (!mosaic__candidates(e, &choice, contest)) {
            choice = mosaic__all_choices(e, cell);
            mosaic__candidates(e, &choice, contest);
        }
        if (contest->count < 2) continue;
        mosaic__contest_complete(e, contest);
        result = mosaic_ssim_best(contest->target, contest->prepared, (size_t)contest->count, &options, &winner, 0,
                                  contest->memory + ((size_t)e->settings.rerank + 2) * e->rerank_picture, e->rerank_work);
        MOSAIC_TEMPORAL_ASSERT(result == MOSAIC_SSIM_OK);
        (void)result;
        e->used[e->chosen[cell]]--;
        e->chosen[cell] = contest->list[winner];
        e->used[e->chosen[cell]]++;
    }
}

/* Photographs that were expected, or are shown already, stay. */
static void mosaic__rerank(mosaic_engine *e, int alone)
{
    unsigned long long fp = mosaic__fp_enter();
    int i, n = 0;
    memset(e->used, 0, sizeof *e->used * (size_t)e->photos);
    for (i = 0; i < e->filled; i++) e->used[e->chosen[e->cell_of_row[i]]]++;
    for (i = 0; i < e->cells; i++) {
        if (e->chosen[i] < 0) continue;
        if (mosaic__expects(e, i, e->chosen[i]) || (!alone && e->cell[i].photo == e->chosen[i])) continue;
        e->contest[n++].cell = i;
        if (n == MOSAIC__CONTESTS) mosaic__contests_decide(e, n), n = 0;
    }
    mosaic__contests_decide(e, n);
    mosaic__fp_leave(fp);
}

/* Enters what a cell shows into its draw. */
static void mosaic__show(mosaic_draw *d, const mosaic__cell *c)
{
    d->photo = c->photo;
    d->variant = (uint8_t)mosaic__variant_of(c->variant);
    d->look = (uint8_t)mosaic__look_index(c->variant);
}

/* Whether a frame owes nothing to the one before. */
static int mosaic__alone(const mosaic_engine *e, int cut) { return cut || e->settings.bonus == 0; }

/* Marks the cells whose costs have changed. A device computes them while motion is estimated. */
static void mosaic__mark_stale(mosaic_engine *e, int cut)
{
    const int alone = mosaic__alone(e, cut);
    int r;
    e->stales = e->begun = 0;
    for (r = 0; r < e->filled; r++) {
        const int i = e->cell_of_row[r];
        e->stale[i] = (uint8_t)(alone || e->cell[i].photo < 0 || mosaic__look_distance(e->look + i, &e->cell[i].priced, 0) > MOSAIC__REFRESH);
        if (e->stale[i]) e->cell[i].priced = e->look[i];
        e->stales += e->stale[i];
    }
    if (e->stales && e->device && e->table && !e->renumbered) e->begun = e->options.device->costs(e->device, e) == 0;
}

/* The costs of the cells that are marked. */
static void mosaic__price(mosaic_engine *e)
{
    const mosaic_device *d = e->options.device;
    if (e->device && e->table && (e->begun || d->costs(e->device, e) == 0) && d->take(e->device, e) == 0) return;
    mosaic__for_each(e, mosaic__cost_row, e->grid.rows);
}

/* Solves the frame's problem and moves the cells' states on. */
static void mosaic__assign(mosaic_engine *e, int cut)
{
    const int alone = mosaic__alone(e, cut);
    int i, r, rounds, moved = 0, changed = 0;
    mosaic_frame *f = &e->frame;

    for (r = 0; r < e->filled; r++) {
        i = e->cell_of_row[r];
        moved += e->wish[i].photo != e->cell[i].photo || e->wish[i].variant != e->cell[i].variant;
    }
    /* Nothing in the picture changed beyond noise and nothing moved: nothing changes in the mosaic. */
    if (!alone && !e->stales && !moved) {
        for (i = 0; i < e->cells; i++) e->draw[i].changed = 0;
        f->changed = 0;
        return;
    }
    if (e->renumbered) /* the table's rows belong to other cells */
        for (r = 0; r < e->filled; r++) e->stale[e->cell_of_row[r]] = 1;
    if (e->stales || e->renumbered) mosaic__price(e);
    e->renumbered = 0;
    if (cut) e->warm = 0;
    if (!alone || e->recalled) mosaic__favour(e);
    mosaic__solve(e, &f->bound);
    if (alone && e->settings.distance > 0 && (size_t)e->filled * e->width <= MOSAIC__BAN_MOST) {
        int64_t ignored;
        for (rounds = 0; rounds < MOSAIC__BAN_ROUNDS && mosaic__ban(e) > 0; rounds++) mosaic__solve(e, &ignored);
        mosaic__bias_clear(e);
        if (e->recalled) mosaic__favour(e);
    }
    f->too_close = mosaic__repair(e);
    if (e->settings.rerank) {
        mosaic__stage(e, MOSAIC_STAGE_RERANK);
        mosaic__rerank(e, alone);
        mosaic__stage(e, MOSAIC_STAGE_ASSIGN);
    }
    f->cost = 0;
    for (r = 0; r < e->filled; r++) f->cost += mosaic__entry(e, e->cell_of_row[r], e->chosen[e->cell_of_row[r]]);

    for (r = 0; r < e->filled; r++) {
        mosaic_draw *d;
        mosaic__cell *c;
        int variant;
        i = e->cell_of_row[r];
        d = e->draw + i;
        c = e->cell + i;
        variant = mosaic__best_variant(e, i, e->chosen[i]);
        d->changed = (uint8_t)(cut || c->photo != e->chosen[i] || c->variant != variant);
        changed += d->changed;
        c->photo = e->chosen[i];
        c->variant = variant;
        mosaic__show(d, c);
    }
    mosaic__bias_clear(e);
    f->changed = changed;
}

/* ---- Render ---- */

/* Whether a cell has moved too far from what it was painted for: block by block, or by a third of that as a whole, for a shade that is off over a large
   part of the picture is seen long before one that is off in a block. */
static int mosaic__repaint_due(const mosaic_engine *e, const mosaic__look *look, const mosaic__look *painted)
{
    const int limit = e->settings.repaint;
    int c, mean = 0;
    for (c = 0; c < 3; c++) mean += mosaic__abs(look->mean[c] - painted->mean[c]);
    return mosaic__look_distance(look, painted, 0) > limit || 27 * mean > limit;
}

/* Decides which cells are painted again, and which of them in new colours. */
static void mosaic__mark_repaint(mosaic_engine *e)
{
    int i;
    e->frame.repainted = 0;
    for (i = 0; i < e->cells; i++) {
        mosaic_draw *d = e->draw + i;
        e->recolour[i] = (uint8_t)(d->photo >= 0 && (d->changed || mosaic__repaint_due(e, e->look + i, &e->cell[i].painted)));
        if (d->photo < 0) /* left out: the source goes on, black is painted once */
            d->repaint = (uint8_t)((e->frames == 0 || e->options.mask_source) && mosaic__in_sight(e, i));
        else
            d->repaint = (uint8_t)(e->recolour[i] || e->stepped);
        if (e->recolour[i]) e->cell[i].painted = e->look[i];
        e->frame.repainted += d->repaint;
    }
}

static void mosaic__recolour_row(void *arg, int row)
{
    mosaic_engine *e = (mosaic_engine *)arg;
    int col;
    unsigned long long fp = mosaic__fp_enter();
    for (col = 0; col < e->grid.cols; col++) {
        int i = row * e->grid.cols + col;
        mosaic_draw *d = e->draw + i;
        if (!e->recolour[i]) continue;
        mosaic__recolour(&e->settings, e->palette + mosaic__look_at(e, d->photo, d->look), d->variant, e->colours + i, d->colour);
        if (e->curve) mosaic__bend(&e->settings, e->photo_codes + mosaic__look_at(e, d->photo, d->look), e->codes + i, d->colour, e->curve + i);
    }
    mosaic__fp_leave(fp);
}

static void mosaic__render(mosaic_engine *e, int cut)
{
    mosaic__mark_repaint(e);
    mosaic__finish_table(&e->finisher, e->look, e->sight, cut, e->options.run, e->options.run_ctx);
    e->painter.draw = e->draw;
    e->painter.curve = e->curve;
    e->painter.source = e->input.rgb;
    e->painter.source_stride = e->input.stride;
    e->painter.rgb = e->canvas;
    e->painter.stride = (size_t)e->grid.width * 3;
    e->painter.only_repaint = 1;
    if (cut) e->finisher.ready = 0;
    if (e->device && e->canvas && e->options.device->paint(e->device, e) == 0) {
        e->canvas_changed = 0;
        e->finisher.ready = 1;
        return;
    }
    mosaic__for_each(e, mosaic__recolour_row, e->grid.rows);
    if (!e->canvas) return;
    mosaic__parallel(e->options.run, e->options.run_ctx, mosaic__paint_row, &e->painter, e->grid.rows);
    if (!e->canvas_changed) e->finisher.ready = 0; /* a device had what lies between the canvas and what is shown */
    e->canvas_changed = 1;
    if (e->finisher.shown) mosaic__finish(&e->finisher, e->draw, e->options.run, e->options.run_ctx);
}

/* ---- Open, push, close ---- */

MOSAIC_TEMPORAL_API void mosaic_close(mosaic_engine *e)
{
    void *ctx;
    if (!e) return;
    ctx = e->options.alloc_ctx;
    if (e->device) e->options.device->close(e->device);
    mosaic_flow_close(e->flow);
    mosaic__painter_close(&e->painter, ctx);
    mosaic__finisher_close(&e->finisher, ctx);
    mosaic__release(ctx, e->cell_of_row);
    mosaic__release(ctx, e->row_of_cell);
    mosaic__release(ctx, e->pack);
    mosaic__release(ctx, e->palette);
    mosaic__release(ctx, e->across);
    mosaic__release(ctx, e->down);
    mosaic__release(ctx, e->cell);
    mosaic__release(ctx, e->draw);
    mosaic__release(ctx, e->curve);
    mosaic__release(ctx, e->canvas);
    mosaic__release(ctx, e->look);
    mosaic__release(ctx, e->colours);
    mosaic__release(ctx, e->columns);
    mosaic__release(ctx, e->codes);
    mosaic__release(ctx, e->next_codes);
    mosaic__reducer_close(&e->cell_reducer, ctx);
    mosaic__reducer_close(&e->tile_reducer, ctx);
    mosaic__release(ctx, e->sample_x);
    mosaic__release(ctx, e->sample_y);
    mosaic__release(ctx, e->from);
    mosaic__release(ctx, e->reliable);
    mosaic__release(ctx, e->centre);
    mosaic__release(ctx, e->own);
    mosaic__release(ctx, e->key);
    mosaic__release(ctx, e->wish);
    mosaic__release(ctx, e->vector);
    mosaic__release(ctx, e->rim);
    mosaic__release(ctx, e->lattice);
    mosaic__release(ctx, e->next_lattice);
    mosaic__release(ctx, e->memory);
    mosaic__release(ctx, e->memory_first);
    mosaic__release(ctx, e->table);
    mosaic__release(ctx, e->list);
    mosaic__release(ctx, e->stale);
    mosaic__release(ctx, e->bias);
    mosaic__release(ctx, e->biases);
    mosaic__release(ctx, e->row);
    mosaic__release(ctx, e->cell_price);
    mosaic__release(ctx, e->photo_price);
    mosaic__release(ctx, e->chosen);
    mosaic__release(ctx, e->capacity);
    mosaic__release(ctx, e->used);
    mosaic__release(ctx, e->stuck);
    mosaic__release(ctx, e->lap_work);
    mosaic__release(ctx, e->photo_codes);
    mosaic__release(ctx, e->contest);
    mosaic__release(ctx, e->rerank_memory);
    mosaic__release(ctx, e->glimpse);
    mosaic__release(ctx, e->wanted);
    mosaic__release(ctx, e->tags);
    mosaic__release(ctx, e);
}

/* How cells and tiles are reduced to their describing pixels. */
static int mosaic__reducers_open(mosaic_engine *e)
{
    const mosaic_grid *g = &e->grid;
    const int cell[2] = {g->cell_width, g->cell_height};
    int32_t edge[2][MOSAIC__SIDE + 1];
    uint32_t highest[2] = {1, 1}; /* of all rows' weights: in the source, in a tile */
    int i, k;
    mosaic__describing_edges(g, e->across, e->down);
    for (k = 0; k < 2; k++)
        for (i = 0; i <= MOSAIC__SIDE; i++) edge[k][i] = mosaic__edge(0, (int64_t)cell[k] << 12, i, MOSAIC__SIDE, cell[k]);
    memcpy(e->tile_down, edge[1], sizeof e->tile_down);
    for (i = 0; i < g->rows * MOSAIC__SIDE; i++)
        if (e->down[i + 1] - e->down[i] > (int32_t)highest[0]) highest[0] = (uint32_t)(e->down[i + 1] - e->down[i]);
    for (i = 0; i < MOSAIC__SIDE; i++)
        if (edge[1][i + 1] - edge[1][i] > (int32_t)highest[1]) highest[1] = (uint32_t)(edge[1][i + 1] - edge[1][i]);
    return mosaic__reducer_open(&e->cell_reducer, e->level, e->across, g->cols * MOSAIC__SIDE, g->source_width, highest[0], e->moves,
                                e->options.alloc_ctx) &&
           mosaic__reducer_open(&e->tile_reducer, e->level, edge[0], MOSAIC__SIDE, g->cell_width, highest[1], 0, e->options.alloc_ctx);
}

/* What following the content takes. */
static int mosaic__lattice_allocate(mosaic_engine *e)
{
    const size_t cells = (size_t)e->cells, samples = cells * MOSAIC__GRAIN * MOSAIC__GRAIN;
    void *ctx = e->options.alloc_ctx;
    e->lattice_width = e->grid.cols * MOSAIC__GRAIN;
    e->lattice_height = e->grid.rows * MOSAIC__GRAIN;
    /* What was shown in the last frames, and the new keys and new charts of this one. */
    e->memory_room = e->cells * (MOSAIC__MEMORY + 2 + (e->moves ? MOSAIC__MEMORY_BEHIND : 0));
    for (e->memory_mask = 63; e->memory_mask < 4 * (uint32_t)e->cells; e->memory_mask = 2 * e->memory_mask + 1) {
    }
    e->sample_x = (int32_t *)mosaic__allocate(ctx, (size_t)e->lattice_width, sizeof *e->sample_x);
    e->sample_y = (int32_t *)mosaic__allocate(ctx, (size_t)e->lattice_height, sizeof *e->sample_y);
    e->from = (int32_t(*)[2])mosaic__allocate(ctx, samples, sizeof *e->from);
    e->reliable = (uint8_t *)mosaic__allocate(ctx, samples, 1);
    e->centre = (int32_t(*)[2])mosaic__allocate(ctx, cells, sizeof *e->centre);
    e->own = (int32_t *)mosaic__allocate(ctx, cells, sizeof *e->own);
    e->key = (int32_t *)mosaic__allocate(ctx, cells, sizeof *e->key);
    e->wish = (mosaic__wish *)mosaic__allocate(ctx, cells, sizeof *e->wish);
    e->lattice = (mosaic__sample *)mosaic__allocate(ctx, samples, sizeof *e->lattice);
    e->next_lattice = (mosaic__sample *)mosaic__allocate(ctx, samples, sizeof *e->lattice);
    e->memory = (mosaic__memory *)mosaic__allocate(ctx, (size_t)e->memory_room, sizeof *e->memory);
    e->memory_first = (int32_t *)mosaic__allocate(ctx, (size_t)e->memory_mask + 1, sizeof *e->memory_first);
    if (!e->sample_x || !e->sample_y || !e->from || !e->reliable || !e->centre || !e->own || !e->key || !e->wish || !e->lattice || !e->next_lattice ||
        !e->memory || !e->memory_first)
        return 0;
    memset(e->lattice, 0, samples * sizeof *e->lattice);
    memset(e->next_lattice, 0, samples * sizeof *e->lattice);
    if (!e->moves) return 1;
    e->vector = (int16_t(*)[2])mosaic__allocate(ctx, MOSAIC__CAMERA_PLACES, sizeof *e->vector);
    e->rim = (uint8_t *)mosaic__allocate(ctx, MOSAIC__CAMERA_PLACES, 1);
    return e->vector && e->rim;
}

/* All of a stream's memory but the painter's and the flow's. */
static int mosaic__engine_allocate(mosaic_engine *e)
{
    const mosaic_grid *g = &e->grid;
    void *ctx = e->options.alloc_ctx;
    size_t cells = (size_t)e->cells, photos = (size_t)e->photos, packs = e->width / MOSAIC__LANES, biases, entries;
    mosaic_lap_problem problem;
    int photo;

    /* Biases of a cell: repulsion from those around it, and two bonuses; or a ban in each round. */
    e->bias_room = (size_t)(2 * e->settings.distance + 1) * (size_t)(2 * e->settings.distance + 1) - 1 + 2;
    if (e->options.recall) e->bias_room += MOSAIC__BAN_ROUNDS;
    if (e->bias_room < MOSAIC__BAN_ROUNDS) e->bias_room = MOSAIC__BAN_ROUNDS;
    if (!mosaic__multiply(cells, e->bias_room, &biases) || !mosaic__multiply((size_t)e->filled, e->width, &entries)) return 0;
    e->cell_of_row = (int32_t *)mosaic__allocate(ctx, (size_t)e->filled, sizeof *e->cell_of_row);
    e->row_of_cell = (int32_t *)mosaic__allocate(ctx, cells, sizeof *e->row_of_cell);
    e->pack = (mosaic__pack *)mosaic__allocate(ctx, packs * (size_t)e->settings.variant_count, sizeof *e->pack);
    e->palette = (mosaic__palette *)mosaic__allocate(ctx, photos * (size_t)e->pool->looks, sizeof *e->palette);
    e->across = (int32_t *)mosaic__allocate(ctx, (size_t)g->cols * MOSAIC__SIDE + 1, sizeof *e->across);
    e->down = (int32_t *)mosaic__allocate(ctx, (size_t)g->rows * MOSAIC__SIDE + 1, sizeof *e->down);
    e->cell = (mosaic__cell *)mosaic__allocate(ctx, cells, sizeof *e->cell);
    e->draw = (mosaic_draw *)mosaic__allocate(ctx, cells, sizeof *e->draw);
    if (!e->options.draw_list_only) e->canvas = (uint8_t *)mosaic__allocate(ctx, (size_t)g->width * 3, (size_t)g->height);
    e->look = (mosaic__look *)mosaic__allocate(ctx, cells, sizeof *e->look);
    e->colours = (mosaic__colours *)mosaic__allocate(ctx, cells, sizeof *e->colours);
    if (!e->across || !e->down || !mosaic__reducers_open(e)) return 0;
    e->columns = (uint32_t *)mosaic__allocate(ctx, e->cell_reducer.room * (size_t)g->rows, sizeof *e->columns);
    e->codes = (mosaic__codes *)mosaic__allocate(ctx, cells, sizeof *e->codes);
    e->next_codes = (mosaic__codes *)mosaic__allocate(ctx, cells, sizeof *e->codes);
    if (!mosaic__lattice_allocate(e)) return 0;
    if (entries <= MOSAIC__TABLE_MOST)
        e->table = (int32_t *)mosaic__allocate(ctx, entries, sizeof *e->table);
    else
        e->list = (mosaic__list *)mosaic__allocate(ctx, (size_t)e->filled, sizeof *e->list);
    e->stale = (uint8_t *)mosaic__allocate(ctx, cells, 2);
    e->bias = (mosaic__bias *)mosaic__allocate(ctx, biases, sizeof *e->bias);
    e->biases = (int32_t *)mosaic__allocate(ctx, cells, sizeof *e->biases);
    e->row = (int32_t *)mosaic__allocate(ctx, photos, sizeof *e->row);
    e->cell_price = (int64_t *)mosaic__allocate(ctx, cells, sizeof *e->cell_price);
    e->photo_price = (int64_t *)mosaic__allocate(ctx, photos, sizeof *e->photo_price);
    e->chosen = (int32_t *)mosaic__allocate(ctx, cells, sizeof *e->chosen);
    e->capacity = (int32_t *)mosaic__allocate(ctx, photos, sizeof *e->capacity);
    e->used = (int32_t *)mosaic__allocate(ctx, photos, sizeof *e->used);
    e->stuck = (uint8_t *)mosaic__allocate(ctx, cells, 1);
    if (!e->cell_of_row || !e->row_of_cell || !e->pack || !e->palette || !e->cell || !e->draw || (!e->canvas && !e->options.draw_list_only) ||
        !e->look || !e->colours || !e->columns || !e->codes || !e->next_codes || (!e->table && !e->list) || !e->stale || !e->bias || !e->biases ||
        !e->row || !e->cell_price || !e->photo_price || !e->chosen || !e->capacity || !e->used || !e->stuck)
        return 0;
    memset(e->biases, 0, cells * sizeof *e->biases);
    memset(e->stale, 0, 2 * cells);
    e->recolour = e->stale + cells;
    memset(e->columns, 0, e->cell_reducer.room * (size_t)g->rows * sizeof *e->columns);

    if (e->options.recall) {
        e->recall = *e->options.recall;
        e->glimpse = (uint8_t *)mosaic__allocate(ctx, cells, 27);
        e->wanted = (uint8_t *)mosaic__allocate(ctx, cells, 1);
        e->tags = (uint32_t *)mosaic__allocate(ctx, cells, sizeof *e->tags);
        if (!e->glimpse || !e->wanted || !e->tags) return 0;
    }
    if (e->settings.rerank || e->settings.histogram) {
        e->photo_codes = (mosaic__codes *)mosaic__allocate(ctx, photos * (size_t)e->pool->looks, sizeof *e->photo_codes);
        if (!e->photo_codes) return 0;
    }
    if (e->settings.rerank && !mosaic__rerank_allocate(e)) return 0;
    if (e->settings.histogram) {
        e->curve = (mosaic_curve *)mosaic__allocate(ctx, cells, sizeof *e->curve);
        if (!e->curve) return 0;
        memset(e->curve, 0, cells * sizeof *e->curve);
    }
    for (photo = 0; photo < e->photos; photo++)
        e->capacity[photo] = e->settings.max_uses && e->settings.max_uses < e->filled ? e->settings.max_uses : e->filled;
    if (!mosaic__finisher_open(&e->finisher, g, &e->settings, e->canvas, e->level, ctx)) return 0;
    problem = mosaic__problem(e);
    e->lap_work_size = mosaic_lap_work_size(&problem);
    e->lap_work = mosaic__allocate(ctx, e->lap_work_size, 1);
    return e->lap_work_size > 0 && e->lap_work != 0;
}

/* Whether mosaic_lap.h, which may have been compiled elsewhere, knows the instruction set. */
static int mosaic__solver_has(int simd)
{
    const int32_t cost = 0;
    int32_t chosen = 0;
    uint64_t work[1024];
    mosaic_lap_problem problem;
    mosaic_lap_options options;
    mosaic_lap_solution solution;
    memset(&problem, 0, sizeof problem);
    memset(&options, 0, sizeof options);
    memset(&solution, 0, sizeof solution);
    problem.rows = problem.cols = 1;
    problem.cost = &cost;
    options.simd = simd;
    options.work = work;
    options.work_size = sizeof work;
    solution.col_of_row = &chosen;
    return mosaic_lap_solve(&problem, &options, &solution) == MOSAIC_LAP_OK;
}

/* A number for all that decides what a stream makes of its frames. */
static uint64_t mosaic__identity(const mosaic_engine *e)
{
    const mosaic__settings *s = &e->settings;
    const double real[] = {s->paint_mean, s->paint_spread, s->paint_low, s->paint_high, s->paint_bleed,     s->border_width, s->gamma,
                           s->lift,       s->contrast,     s->vibrance,  s->saturation, s->saturation_warm, s->harmony,      s->skin};
    const int number[] = {e->grid.cols,
                          e->grid.rows,
                          e->grid.cell_width,
                          e->grid.cell_height,
                          e->grid.width,
                          e->grid.height,
                          e->grid.origin_x,
                          e->grid.origin_y,
                          e->grid.source_width,
                          e->grid.source_height,
                          e->grid.crop_x,
                          e->grid.crop_y,
                          e->grid.crop_width,
                          e->grid.crop_height,
                          e->photos,
                          s->bonus,
                          s->max_uses,
                          s->distance,
                          s->repaint,
                          s->rerank,
                          s->recolour,
                          s->histogram,
                          s->border,
                          s->local_contrast,
                          s->sharpness,
                          (int)s->variants,
                          e->canvas != 0,
                          e->options.mask_source != 0,
                          e->flow != 0,
                          e->options.flow ? (int)e->options.flow->method : 0,
                          e->options.flow ? e->options.flow->width : 0,
                          e->options.flow ? e->options.flow->height : 0,
                          e->options.flow ? (int)e->options.flow->preset : 0,
                          e->options.flow ? e->options.flow->iterations : 0};
    uint8_t bytes[sizeof number / sizeof *number * 4 + sizeof real];
    uint64_t hash, bits;
    size_t i, n = sizeof number / sizeof *number;
    for (i = 0; i < n; i++) mosaic__put32(bytes + 4 * i, (uint32_t)number[i]);
    for (i = 0; i < sizeof real / sizeof *real; i++) {
        memcpy(&bits, real + i, 8);
        mosaic__put64(bytes + 4 * n + 8 * i, bits);
    }
    hash = mosaic__hash(2, bytes, sizeof bytes);
    for (i = 0; i < (size_t)e->filled; i++) {
        mosaic__put32(bytes, (uint32_t)e->cell_of_row[i]);
        hash = mosaic__hash(hash, bytes, 4);
    }
    if (e->moves) {
        mosaic__put32(bytes, (uint32_t)e->options.grid);
        hash = mosaic__hash(hash, bytes, 4);
    }
    if (e->glimpse) hash = mosaic__hash(hash, "recall", 6);
    for (i = 0; i < (size_t)e->photos; i++) hash = mosaic__hash(hash, e->pool->pixels[i], mosaic__photo_bytes(e->pool));
    return hash;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_open(const mosaic_grid *grid, const mosaic_pool *pool, const mosaic_options *options, mosaic_engine **engine)
{
    mosaic__settings settings;
    mosaic_result result;
    mosaic_engine *e;
    int level;
    unsigned long long fp;

    if (!engine) return MOSAIC_ERROR_NULL;
    *engine = 0;
    if (!grid || !pool) return MOSAIC_ERROR_NULL;
    result = mosaic__grid_check(grid);
    if (result != MOSAIC_OK) return result;
    fp = mosaic__fp_enter();
    result = mosaic__settings_of(options, &settings);
    mosaic__fp_leave(fp);
    if (result != MOSAIC_OK) return result;
    if (pool->cell_width != grid->cell_width || pool->cell_height != grid->cell_height) return MOSAIC_ERROR_MISMATCH;
    if (mosaic__filled(grid, options ? options->mask : 0, 0) == 0) return MOSAIC_ERROR_OPTION;
    if (options && (options->grid < 0 || options->grid >= MOSAIC_GRIDS)) return MOSAIC_ERROR_OPTION;
    if (options && options->grid == MOSAIC_GRID_FOLLOW && !mosaic__can_move(grid, options, &settings)) return MOSAIC_ERROR_OPTION;
    if (pool->photos < 1 || mosaic_photos_missing(grid, pool->photos, options) > 0) return MOSAIC_ERROR_PHOTOS;
    level = mosaic__simd_level(options ? options->simd : MOSAIC_SIMD_BEST);
    if (level < 0 || !mosaic__solver_has(options ? options->simd : MOSAIC_SIMD_BEST)) return MOSAIC_ERROR_SIMD;
    if (options && options->device && options->device->layout != mosaic__layout()) return MOSAIC_ERROR_MISMATCH;

    e = (mosaic_engine *)mosaic__allocate(options ? options->alloc_ctx : 0, 1, sizeof *e);
    if (!e) return MOSAIC_ERROR_MEMORY;
    memset(e, 0, sizeof *e);
    if (options) e->options = *options;
    mosaic__settings_looks(&settings, pool->looks);
    e->settings = settings;
    e->grid = *grid;
    e->pool = pool;
    e->moves = options && options->grid != MOSAIC_GRID_FIXED && mosaic__can_move(grid, options, &settings) &&
               pool->photos >= mosaic__photos_needed(&settings, mosaic__filled(grid, 0, 1));
    e->sight[0] = grid->cols;
    e->sight[1] = grid->rows;
    e->grid.cols += e->moves;
    e->grid.rows += e->moves;
    e->cells = e->grid.cols * e->grid.rows;
    e->filled = mosaic__filled(grid, e->options.mask, e->moves); /* the most there can be in sight */
    e->photos = pool->photos;
    e->width = ((size_t)pool->photos + MOSAIC__LANES - 1) / MOSAIC__LANES * MOSAIC__LANES;
    e->level = level;
    e->costs = mosaic__costs_kernel(level);
    result = mosaic__painter_open(&e->painter, &e->grid, pool, level, e->moves, e->options.alloc_ctx);
    if (result == MOSAIC_OK && !mosaic__engine_allocate(e)) result = MOSAIC_ERROR_MEMORY;
    if (result == MOSAIC_OK && options && options->flow && options->flow->method != MOSAIC_FLOW_NONE) {
        e->flow_device = options->flow->device != 0;
        switch (mosaic_flow_open(grid->source_width, grid->source_height, options->flow, &e->flow)) {
        case MOSAIC_FLOW_OK: break;
        case MOSAIC_FLOW_ERROR_MEMORY: result = MOSAIC_ERROR_MEMORY; break;
        default: result = MOSAIC_ERROR_OPTION; break;
        }
    }
    if (result != MOSAIC_OK) {
        mosaic_close(e);
        return result;
    }
    mosaic__tables_fill(&e->tables);
    memset(e->pack, 0, e->width / MOSAIC__LANES * (size_t)settings.variant_count * sizeof *e->pack);
    memset(e->cell, 0, (size_t)e->cells * sizeof *e->cell);
    memset(e->draw, 0, (size_t)e->cells * sizeof *e->draw);
    if (e->canvas) memset(e->canvas, 0, (size_t)grid->width * 3 * (size_t)grid->height);
    mosaic__leave_out(e);
    mosaic__for_each(e, mosaic__describe_pack, (int)(e->width / MOSAIC__LANES));
    e->identity = mosaic__identity(e);
    e->options.flow = 0;
    e->options.mask = 0;
    e->options.recall = 0;
    if (e->options.device && !e->painter.shifted) e->device = e->options.device->open(e->options.device->ctx, e);
    *engine = e;
    return MOSAIC_OK;
}

static void mosaic__draw_places(mosaic_engine *e)
{
    const mosaic_grid *g = &e->grid;
    int i;
    for (i = 0; i < e->cells; i++) {
        e->draw[i].x = g->origin_x + i % g->cols * g->cell_width * 64;
        e->draw[i].y = g->origin_y + i / g->cols * g->cell_height * 64;
    }
}

MOSAIC_TEMPORAL_API const mosaic_grid *mosaic_engine_grid(const mosaic_engine *e) { return e ? &e->grid : 0; }

static const mosaic_flow_field *mosaic__estimate(mosaic_engine *e)
{
    const mosaic_flow_field *motion = 0;
    mosaic__stage(e, MOSAIC_STAGE_FLOW);
    mosaic_flow_push(e->flow, e->input.rgb, e->input.stride, &motion);
    return motion;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_push(mosaic_engine *e, const mosaic_input *input, const mosaic_frame **frame)
{
    const mosaic_flow_field *motion, *estimated = 0;
    mosaic__camera before;
    mosaic_frame *f;
    int cut, back, i, begun, early;

    if (!e || !frame) return MOSAIC_ERROR_NULL;
    *frame = 0;
    if (!input) {
        e->ended = 1;
        return MOSAIC_OK;
    }
    if (e->ended) return MOSAIC_ERROR_ENDED;
    if (!input->rgb) return MOSAIC_ERROR_NULL;
    if (input->stride < (size_t)e->grid.source_width * 3) return MOSAIC_ERROR_STRIDE;
    motion = input->motion;
    if (motion && (motion->width < 1 || motion->height < 1 || motion->width > 32767 || motion->height > 32767 || motion->stride % 2 ||
                   motion->stride < (size_t)motion->width * 4))
        return MOSAIC_ERROR_MOTION;

    e->input = *input;
    f = &e->frame;
    before = e->camera;
    if (e->moves) { /* the grid goes with the picture before its cells are looked at */
        if (e->flow) estimated = mosaic__estimate(e);
        mosaic__stage(e, MOSAIC_STAGE_PREDICT);
        if (!mosaic__regain(e)) {
            if (e->frames > 0) mosaic__camera_step(e, motion ? motion : estimated);
            mosaic__scroll(e);
        }
    }
    begun = e->device && e->options.device->describe(e->device, e) == 0;
    /* What a device does for motion it can do in one go with that. A cut will have been an estimate too many. */
    early = begun && !e->moves && e->flow_device;
    if (early) estimated = mosaic__estimate(e);
    mosaic__stage(e, MOSAIC_STAGE_DESCRIBE);
    mosaic__describe_frame(e, begun);
    cut = mosaic__is_cut(e, &back);
    if (e->moves && cut) { /* and begins each shot in its corner */
        const int stepped = e->stepped;
        mosaic__recentre(e, &before);
        e->stepped |= stepped;
    }
    mosaic__mark_stale(e, cut);
    if (e->flow && (cut || back || (!e->moves && !early))) {
        if (cut || back) mosaic_flow_reset(e->flow);
        estimated = mosaic__estimate(e);
    }
    if (!motion) motion = estimated;
    mosaic__stage(e, MOSAIC_STAGE_PREDICT);
    if (back)
        mosaic__resume_shot(e);
    else if (cut || e->settings.bonus == 0)
        mosaic__begin_shot(e);
    else
        mosaic__predict(e, e->camera.open ? 0 : motion); /* the grid does what following the content would */
    mosaic__recall(e, cut || back);
    mosaic__stage(e, MOSAIC_STAGE_ASSIGN);
    mosaic__assign(e, cut);
    mosaic__remember(e);
    mosaic__keep(e);
    for (i = 0; i < e->cells; i++)
        if (mosaic__in_sight(e, i)) e->cell[i].seen = e->look[i];
    mosaic__draw_places(e);
    mosaic__stage(e, MOSAIC_STAGE_RENDER);
    mosaic__render(e, cut);

    f->index = e->frames++;
    f->cut = cut;
    f->origin_x = e->grid.origin_x;
    f->origin_y = e->grid.origin_y;
    f->first_col = e->first[0];
    f->first_row = e->first[1];
    f->cells = e->cells;
    f->filled = e->filled;
    f->draw = e->draw;
    f->curve = e->curve;
    f->tone = e->finisher.tone;
    f->rgb = e->finisher.shown ? e->finisher.shown : e->canvas;
    f->stride = (size_t)e->grid.width * 3;
    *frame = f;
    mosaic__stage(e, MOSAIC_STAGE_IDLE);
    return MOSAIC_OK;
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_cell_costs(const mosaic_engine *e, int cell, int32_t *cost)
{
    if (!e || !cost) return MOSAIC_ERROR_NULL;
    if (e->frames == 0 || cell < 0 || cell >= e->cells || e->row_of_cell[cell] < 0) return MOSAIC_ERROR_SIZE;
    mosaic__compute_costs(e, cell, 0, e->photos, cost);
    return MOSAIC_OK;
}

/* ---- State ----

   0 "MOSAICST"   8 u32 version 4   12 u32 cells   16 u64 identity   24 u64 checksum of bytes 0-23 and of all from 32 on
   32 i64 frames  40 u32 charts, u32 too close, i64 cost, i64 bound  64 u32 memories, u32 0; then, number by number in 32 bits, the camera (places as
   low and high halves) where the grid may move and as it was held, the cells,
   each with its curves if there are any, the lattice, the memories with room for the most there can be, and three of the shot, if its colours are
   finished; then the canvas */

#define MOSAIC__STATE_HEADER 72
#define MOSAIC__STATE_VERSION 4
#define MOSAIC__LOOK_NUMBERS (3 + 3 * MOSAIC__BLOCKS + 3 + 3)
#define MOSAIC__CELL_NUMBERS (8 + 4 * MOSAIC__LOOK_NUMBERS + 15)
#define MOSAIC__SAMPLE_NUMBERS 5
#define MOSAIC__MEMORY_NUMBERS 6
#define MOSAIC__CURVE_NUMBERS (3 * MOSAIC__KNOTS)
#define MOSAIC__CAMERA_NUMBERS 11

static size_t mosaic__canvas_bytes(const mosaic_engine *e) { return e->canvas ? (size_t)e->grid.width * 3 * (size_t)e->grid.height : 0; }

static size_t mosaic__samples(const mosaic_engine *e) { return (size_t)e->lattice_width * (size_t)e->lattice_height; }

MOSAIC_TEMPORAL_API size_t mosaic_state_size(const mosaic_engine *e)
{
    if (!e) return 0;
    return MOSAIC__STATE_HEADER + (size_t)(e->moves ? 2 * 4 * MOSAIC__CAMERA_NUMBERS : 0) +
           (size_t)e->cells * (MOSAIC__CELL_NUMBERS + (size_t)(e->curve ? MOSAIC__CURVE_NUMBERS : 0)) * 4 +
           mosaic__samples(e) * MOSAIC__SAMPLE_NUMBERS * 4 + (size_t)e->memory_room * MOSAIC__MEMORY_NUMBERS * 4 + (e->finisher.tone ? 24 : 0) +
           mosaic__canvas_bytes(e);
}

/* One order of the numbers for both directions: writes them to `to`, or reads them from `from` where it is not null. */
static void mosaic__number32(int32_t *value, const uint8_t *from, uint8_t *to, size_t *at)
{
    if (from)
        *value = (int32_t)mosaic__get32(from + *at);
    else
        mosaic__put32(to + *at, (uint32_t)*value);
    *at += 4;
}

static void mosaic__number16(int16_t *value, const uint8_t *from, uint8_t *to, size_t *at)
{
    int32_t wide = *value;
    mosaic__number32(&wide, from, to, at);
    *value = (int16_t)mosaic__clamp(wide, -32767, 32767);
}

static void mosaic__number_chart(uint32_t *value, const uint8_t *from, uint8_t *to, size_t *at)
{
    int32_t bits = (int32_t)*value;
    mosaic__number32(&bits, from, to, at);
    *value = (uint32_t)bits;
}

static void mosaic__state_look(mosaic__look *look, const uint8_t *from, uint8_t *to, size_t *at)
{
    int c, k;
    for (c = 0; c < 3; c++) {
        mosaic__number16(&look->mean[c], from, to, at);
        for (k = 0; k < MOSAIC__BLOCKS; k++) mosaic__number16(&look->block[c][k], from, to, at);
        mosaic__number32(&look->energy[c], from, to, at);
        mosaic__number32(&look->spread[c], from, to, at);
    }
}

/* curve may be null. */
static void mosaic__state_cell(mosaic__cell *cell, mosaic_draw *draw, mosaic_curve *curve, const uint8_t *from, uint8_t *to, size_t *at)
{
    int c, k;
    mosaic__number32(&cell->photo, from, to, at);
    mosaic__number32(&cell->variant, from, to, at);
    for (k = 0; k < 2; k++) mosaic__number32(&cell->jump[k], from, to, at);
    mosaic__number_chart(&cell->chart, from, to, at);
    mosaic__number32(&cell->lost, from, to, at);
    mosaic__state_look(&cell->seen, from, to, at);
    mosaic__state_look(&cell->priced, from, to, at);
    mosaic__state_look(&cell->painted, from, to, at);
    mosaic__number32(&cell->held_photo, from, to, at);
    mosaic__number32(&cell->held_variant, from, to, at);
    mosaic__state_look(&cell->held, from, to, at);
    for (c = 0; c < 3; c++)
        for (k = 0; k < 5; k++) mosaic__number16(&draw->colour[c][k], from, to, at);
    for (c = 0; c < 3 && curve; c++)
        for (k = 0; k < MOSAIC__KNOTS; k++) mosaic__number16(&curve->level[c][k], from, to, at);
}

static void mosaic__state_sample(mosaic__sample *sample, const uint8_t *from, uint8_t *to, size_t *at)
{
    int32_t speed = sample->speed, trust = sample->trust;
    int k;
    for (k = 0; k < 2; k++) mosaic__number32(&sample->offset[k], from, to, at);
    mosaic__number_chart(&sample->chart, from, to, at);
    mosaic__number32(&speed, from, to, at);
    mosaic__number32(&trust, from, to, at);
    sample->speed = (uint16_t)speed;
    sample->trust = (uint16_t)trust;
}

static void mosaic__state_memory(mosaic__memory *memory, const uint8_t *from, uint8_t *to, size_t *at)
{
    mosaic__number_chart(&memory->chart, from, to, at);
    mosaic__number32(&memory->x, from, to, at);
    mosaic__number32(&memory->y, from, to, at);
    mosaic__number32(&memory->photo, from, to, at);
    mosaic__number32(&memory->variant, from, to, at);
    mosaic__number32(&memory->age, from, to, at);
}

static void mosaic__state_shot(mosaic__shot *shot, const uint8_t *from, uint8_t *to, size_t *at)
{
    mosaic__number32(&shot->mean[0], from, to, at);
    mosaic__number32(&shot->mean[1], from, to, at);
    mosaic__number32(&shot->chroma, from, to, at);
}

static void mosaic__state_camera(mosaic__camera *camera, const uint8_t *from, uint8_t *to, size_t *at)
{
    int k;
    for (k = 0; k < 2; k++) {
        uint64_t place = (uint64_t)camera->place[k];
        int32_t low = (int32_t)(uint32_t)place, high = (int32_t)(uint32_t)(place >> 32);
        mosaic__number32(&low, from, to, at);
        mosaic__number32(&high, from, to, at);
        place = (uint32_t)low | (uint64_t)(uint32_t)high << 32;
        camera->place[k] = (int64_t)place;
        mosaic__number32(&camera->speed[k], from, to, at);
        mosaic__number32(&camera->mean[k], from, to, at);
    }
    mosaic__number32(&camera->steady, from, to, at);
    mosaic__number32(&camera->open, from, to, at);
    mosaic__number32(&camera->fade, from, to, at);
}

static int mosaic__camera_ok(const mosaic__camera *c)
{
    const int64_t most = (int64_t)1 << 44;
    int k;
    for (k = 0; k < 2; k++)
        if (c->place[k] < -most || c->place[k] > most || mosaic__clamp(c->speed[k], -MOSAIC__LENGTH_LIMIT, MOSAIC__LENGTH_LIMIT) != c->speed[k] ||
            mosaic__clamp(c->mean[k], -MOSAIC__LENGTH_LIMIT, MOSAIC__LENGTH_LIMIT) != c->mean[k])
            return 0;
    return c->steady >= 0 && c->steady <= MOSAIC__CAMERA_STEADY && c->open >= 0 && c->open <= MOSAIC__CAMERA_SETTLE + 1 && c->fade >= 0 &&
           c->fade <= 8;
}

static uint64_t mosaic__state_checksum(const uint8_t *data, size_t size) { return mosaic__hash(mosaic__hash(3, data, 24), data + 32, size - 32); }

MOSAIC_TEMPORAL_API mosaic_result mosaic_state_save(const mosaic_engine *e, void *data, size_t size)
{
    uint8_t *p = (uint8_t *)data;
    size_t at = MOSAIC__STATE_HEADER, k;
    int i;
    if (!e || !data) return MOSAIC_ERROR_NULL;
    if (size < mosaic_state_size(e)) return MOSAIC_ERROR_BUFFER;
    memcpy(p, "MOSAICST", 8);
    mosaic__put32(p + 8, MOSAIC__STATE_VERSION);
    mosaic__put32(p + 12, (uint32_t)e->cells);
    mosaic__put64(p + 16, e->identity);
    mosaic__put64(p + 32, (uint64_t)e->frames);
    mosaic__put32(p + 40, e->charts);
    mosaic__put32(p + 44, (uint32_t)e->frame.too_close);
    mosaic__put64(p + 48, (uint64_t)e->frame.cost);
    mosaic__put64(p + 56, (uint64_t)e->frame.bound);
    if (e->moves) {
        mosaic__camera camera = e->camera, held = e->held_camera;
        mosaic__state_camera(&camera, 0, p, &at);
        mosaic__state_camera(&held, 0, p, &at);
    }
    for (i = 0; i < e->cells; i++) {
        mosaic__cell cell = e->cell[i];
        mosaic_draw draw = e->draw[i];
        mosaic__state_cell(&cell, &draw, e->curve ? e->curve + i : 0, 0, p, &at);
    }
    for (k = 0; k < mosaic__samples(e); k++) {
        mosaic__sample sample = e->lattice[k];
        mosaic__state_sample(&sample, 0, p, &at);
    }
    mosaic__put32(p + 64, (uint32_t)e->memories);
    mosaic__put32(p + 68, (uint32_t)(e->hold | e->parted << 7 | e->calm << 8));
    for (i = 0; i < e->memory_room; i++) {
        mosaic__memory memory;
        memset(&memory, 0, sizeof memory);
        if (i < e->memories) memory = e->memory[i];
        mosaic__state_memory(&memory, 0, p, &at);
    }
    if (e->finisher.tone) {
        mosaic__shot shot[2];
        shot[0] = e->finisher.shot;
        shot[1] = e->held_shot;
        for (i = 0; i < 2; i++) mosaic__state_shot(&shot[i], 0, p, &at);
    }
    if (e->canvas) memcpy(p + at, e->canvas, mosaic__canvas_bytes(e));
    mosaic__put64(p + 24, mosaic__state_checksum(p, mosaic_state_size(e)));
    return MOSAIC_OK;
}

/* A look that the arithmetic of the costs is safe with. */
static int mosaic__look_ok(const mosaic__look *look)
{
    int c, k;
    for (c = 0; c < 3; c++) {
        int32_t energy = 0;
        if (mosaic__abs(look->mean[c]) > 1100 || look->spread[c] < MOSAIC__SPREAD_FLOOR || look->spread[c] > 16384) return 0;
        for (k = 0; k < MOSAIC__BLOCKS; k++) {
            if (mosaic__abs(look->block[c][k]) > 1100) return 0;
            energy += look->block[c][k] * look->block[c][k];
        }
        if (energy != look->energy[c] || energy > 9 * 1024 * 1024 / 4) return 0;
    }
    return 1;
}

static int mosaic__jump_ok(int32_t cells) { return cells >= -(MOSAIC__LENGTH_LIMIT >> 9) && cells <= MOSAIC__LENGTH_LIMIT >> 9; }

/* Whether a cell may be as a state says: without a photograph where the mask leaves it out, and only there. */
static int mosaic__state_ok(const mosaic_engine *e, const int sight[2], int i, const mosaic__cell *c, int held)
{
    const int seen = i % e->grid.cols < sight[0] && i / e->grid.cols < sight[1], filled = e->moves ? seen : e->row_of_cell[i] >= 0;
    if (!seen)
        return c->photo == -1 &&
               (!held || c->held_photo == -1 || (mosaic__pool_has(e->pool, c->held_photo) && mosaic__variant_ok(e, c->held_variant)));
    if (!filled ? c->photo != -1 : !mosaic__pool_has(e->pool, c->photo)) return 0;
    if (!mosaic__variant_ok(e, c->variant) && (c->photo >= 0 || c->variant != 0)) return 0;
    if (!mosaic__jump_ok(c->jump[0]) || !mosaic__jump_ok(c->jump[1]) || c->lost < 0 || c->lost > MOSAIC__PATIENCE) return 0;
    if (!mosaic__look_ok(&c->seen) || (held && !mosaic__look_ok(&c->held))) return 0;
    if (held && c->photo >= 0 && !(e->moves && c->held_photo == -1) &&
        (!mosaic__pool_has(e->pool, c->held_photo) || !mosaic__variant_ok(e, c->held_variant)))
        return 0;
    return c->photo < 0 || (mosaic__look_ok(&c->priced) && mosaic__look_ok(&c->painted));
}

MOSAIC_TEMPORAL_API mosaic_result mosaic_state_load(mosaic_engine *e, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t at, k;
    int64_t frames;
    uint32_t memories;
    uint32_t waits;
    mosaic__shot shot[2];
    mosaic__camera camera, held_camera;
    int sight[2], i, pass;
    if (!e || !data) return MOSAIC_ERROR_NULL;
    memset(shot, 0, sizeof shot);
    memset(&camera, 0, sizeof camera);
    memset(&held_camera, 0, sizeof held_camera);
    if (size < MOSAIC__STATE_HEADER || memcmp(p, "MOSAICST", 8) != 0) return MOSAIC_ERROR_CORRUPT;
    if (mosaic__get32(p + 8) != MOSAIC__STATE_VERSION) return MOSAIC_ERROR_VERSION;
    if (mosaic__get64(p + 16) != e->identity || mosaic__get32(p + 12) != (uint32_t)e->cells) return MOSAIC_ERROR_MISMATCH;
    if (size != mosaic_state_size(e) || mosaic__state_checksum(p, size) != mosaic__get64(p + 24)) return MOSAIC_ERROR_CORRUPT;
    frames = (int64_t)mosaic__get64(p + 32);
    memories = mosaic__get32(p + 64);
    waits = mosaic__get32(p + 68);
    if (frames < 0 || memories > (uint32_t)e->memory_room || (waits & 127) > MOSAIC__HOLD || waits >> 8 > MOSAIC__HOLD + 1)
        return MOSAIC_ERROR_CORRUPT;
    /* First everything is looked at, then taken over. */
    for (pass = 0; pass < 2; pass++) {
        at = MOSAIC__STATE_HEADER;
        if (e->moves) mosaic__state_camera(&camera, p, 0, &at);
        if (e->moves) mosaic__state_camera(&held_camera, p, 0, &at);
        if (!mosaic__camera_ok(&camera) || !mosaic__camera_ok(&held_camera)) return MOSAIC_ERROR_CORRUPT;
        for (i = 0; i < 2; i++) {
            int32_t origin = 0;
            if (e->moves) mosaic__grid_at(&e->grid, &camera, i, &origin);
            sight[i] = (i ? e->grid.rows : e->grid.cols) - (e->moves && origin == 0);
        }
        if (pass == 1 && e->moves) {
            int moved[2];
            e->camera = camera;
            e->held_camera = held_camera;
            mosaic__place_grid(e, moved);
            mosaic__leave_out(e);
            memset(e->next_lattice, 0, mosaic__samples(e) * sizeof *e->lattice);
            e->renumbered = 0;
        }
        for (i = 0; i < e->cells; i++) {
            mosaic__cell cell;
            mosaic_draw draw;
            mosaic_curve curve;
            memset(&cell, 0, sizeof cell);
            memset(&draw, 0, sizeof draw);
            memset(&curve, 0, sizeof curve);
            mosaic__state_cell(&cell, &draw, e->curve ? &curve : 0, p, 0, &at);
            if (frames > 0 && !mosaic__state_ok(e, sight, i, &cell, (waits & 127) > 0)) return MOSAIC_ERROR_CORRUPT;
            if (pass == 0) continue;
            if (e->row_of_cell[i] < 0) {
                e->cell[i].seen = cell.seen;
                e->cell[i].held = cell.held;
                e->cell[i].held_photo = cell.held_photo;
                e->cell[i].held_variant = cell.held_variant;
                continue;
            }
            mosaic__show(&draw, &cell);
            e->cell[i] = cell;
            e->draw[i] = draw;
            if (e->curve) e->curve[i] = curve;
            e->chosen[i] = cell.photo;
            e->stale[i] = 1;
        }
        for (k = 0; k < mosaic__samples(e); k++) {
            mosaic__sample sample;
            memset(&sample, 0, sizeof sample);
            mosaic__state_sample(&sample, p, 0, &at);
            for (i = 0; i < 2; i++)
                if (sample.offset[i] != mosaic__clamp_length(sample.offset[i])) return MOSAIC_ERROR_CORRUPT;
            if (pass == 1) e->lattice[k] = sample;
        }
        if (pass == 1) memset(e->memory_first, 0xff, ((size_t)e->memory_mask + 1) * sizeof *e->memory_first);
        for (i = 0; i < e->memory_room; i++) {
            mosaic__memory memory;
            memset(&memory, 0, sizeof memory);
            mosaic__state_memory(&memory, p, 0, &at);
            if ((uint32_t)i >= memories) continue;
            if (memory.photo != -1 &&
                (!mosaic__pool_has(e->pool, memory.photo) || !mosaic__variant_ok(e, memory.variant) || memory.age < 0 || memory.age > MOSAIC__MEMORY))
                return MOSAIC_ERROR_CORRUPT;
            if (pass == 0) continue;
            e->memory[i] = memory;
            mosaic__memory_link(e, i);
        }
        if (e->finisher.tone) {
            for (i = 0; i < 2; i++) {
                mosaic__state_shot(&shot[i], p, 0, &at);
                if (mosaic__abs(shot[i].mean[0]) > 1100 || mosaic__abs(shot[i].mean[1]) > 1100 ||
                    shot[i].chroma != mosaic__clamp(shot[i].chroma, 0, 1023))
                    return MOSAIC_ERROR_CORRUPT;
            }
        }
    }
    e->memories = (int)memories;
    e->charts = mosaic__get32(p + 40);
    e->hold = (int)(waits & 127);
    e->parted = (int)(waits >> 7 & 1);
    e->calm = (int)(waits >> 8);
    e->finisher.shot = shot[0];
    e->held_shot = shot[1];
    e->finisher.made = e->finisher.ready = 0;
    if (e->canvas) memcpy(e->canvas, p + at, mosaic__canvas_bytes(e));
    e->canvas_changed = 1;
    e->frames = frames;
    e->ended = 0;
    e->frame.too_close = (int)(mosaic__get32(p + 44) & 0xffffff);
    e->frame.cost = (int64_t)mosaic__get64(p + 48);
    e->frame.bound = (int64_t)mosaic__get64(p + 56);
    /* The table of costs, or the lists, are no state: it follows from what the cells were priced for. */
    if (frames > 0) mosaic__for_each(e, mosaic__cost_row, e->grid.rows);
    e->warm = 0;
    if (e->flow) mosaic_flow_reset(e->flow);
    return MOSAIC_OK;
}

#ifdef __cplusplus
}
#endif
/* === mosaic shared block, closing part === */
#if defined(__clang__)
#pragma STDC FP_CONTRACT DEFAULT
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
/* === end of the closing part === */
#endif /* MOSAIC_TEMPORAL_IMPLEMENTATION */

#else /* MOSAIC_TEMPORAL__LANES */

/* ==== Cost kernels, once for each instruction set ====
   This part of the file is read by the implementation above through MOSAIC_TEMPORAL_FILE, once for each number of 32-bit lanes: mosaic__pair_cost, with
   photographs across the lanes. */

#define MOSAIC_TEMPORAL__PASTE2(a, b) a##b
#define MOSAIC_TEMPORAL__PASTE(a, b) MOSAIC_TEMPORAL__PASTE2(a, b)
#define MOSAIC_TEMPORAL__NAME(name) MOSAIC_TEMPORAL__PASTE(mosaic__##name##_, MOSAIC_TEMPORAL__LANES)
#define MOSAIC_TEMPORAL__V MOSAIC_TEMPORAL__NAME(v)

/* Loads and stores through this type may be anywhere. */
typedef int32_t MOSAIC_TEMPORAL__V __attribute__((vector_size(4 * MOSAIC_TEMPORAL__LANES), aligned(4), may_alias));

#ifdef MOSAIC_TEMPORAL__OP
#define MOSAIC_TEMPORAL__LOWER(a, b) ((MOSAIC_TEMPORAL__V)MOSAIC_TEMPORAL__OP(min_epi32)((MOSAIC_TEMPORAL__WIDE)(a), (MOSAIC_TEMPORAL__WIDE)(b)))
#define MOSAIC_TEMPORAL__HIGHER(a, b) ((MOSAIC_TEMPORAL__V)MOSAIC_TEMPORAL__OP(max_epi32)((MOSAIC_TEMPORAL__WIDE)(a), (MOSAIC_TEMPORAL__WIDE)(b)))
#define MOSAIC_TEMPORAL__PAIR MOSAIC_TEMPORAL__WIDE
#define MOSAIC_TEMPORAL__PAIR_SET(pair, from) ((pair) = MOSAIC_TEMPORAL__OP(set1_epi32)(mosaic__pair_bits(from)))
#define MOSAIC_TEMPORAL__ADD_DOT(sum, pair, v) ((sum) + (MOSAIC_TEMPORAL__V)MOSAIC_TEMPORAL__OP(madd_epi16)(pair, (MOSAIC_TEMPORAL__WIDE)(v)))
#else
#define MOSAIC_TEMPORAL__LOWER(a, b) (((a) & ((a) < (b))) | ((b) & ((a) >= (b))))
#define MOSAIC_TEMPORAL__HIGHER(a, b) (((a) & ((a) > (b))) | ((b) & ((a) <= (b))))
#define MOSAIC_TEMPORAL__PAIR const int16_t *
#define MOSAIC_TEMPORAL__PAIR_SET(pair, from) ((pair) = (from))
#define MOSAIC_TEMPORAL__ADD_DOT(sum, pair, v) ((sum) + (((v) << 16) >> 16) * (pair)[0] + ((v) >> 16) * (pair)[1])
#endif

/* Four variants at a time, so that their sums live in registers; where there are fewer, one stands in for those that lack. */
MOSAIC_TEMPORAL__ISA static void MOSAIC_TEMPORAL__NAME(costs)(const mosaic__settings *s, const mosaic__look *cell, const mosaic__pack *pack,
                                                              int variants, int32_t *out)
{
    enum { TOGETHER = 4, PAIRS = (MOSAIC__BLOCKS + 1) / 2 };
    typedef MOSAIC_TEMPORAL__V lanes;
    const lanes zero = {0}, low = zero + s->low, high = zero + s->high, factor = zero + s->spread_strength;
    const lanes one = zero + (128 << 11) - 1024 * s->spread_strength, energy = zero + cell->energy[0] + cell->energy[1] + cell->energy[2];
    int at, first, v, c, p;
    for (at = 0; at < MOSAIC__LANES; at += MOSAIC_TEMPORAL__LANES) {
        lanes best = zero + MOSAIC__COST_LIMIT;
        for (first = 0; first < variants; first += TOGETHER) {
            lanes means[TOGETHER], residual[TOGETHER];
            const mosaic__pack *of[TOGETHER];
            MOSAIC__UNROLL
            for (v = 0; v < TOGETHER; v++) {
                of[v] = pack + (first + v < variants ? first + v : first);
                means[v] = zero;
                residual[v] = energy;
            }
            MOSAIC__UNROLL
            for (c = 0; c < 3; c++) {
                const lanes mean = zero + cell->mean[c], spread = zero + cell->spread[c];
                MOSAIC_TEMPORAL__PAIR block[PAIRS];
                MOSAIC__UNROLL
                for (p = 0; p < PAIRS; p++) MOSAIC_TEMPORAL__PAIR_SET(block[p], cell->block[c] + 2 * p);
                MOSAIC__UNROLL
                for (v = 0; v < TOGETHER; v++) {
                    const mosaic__pack *q = of[v];
                    lanes d = mean - *(const lanes *)(const void *)(q->mean[c] + at), dot = zero, g, k, t;
                    MOSAIC__UNROLL
                    for (p = 0; p < PAIRS; p++) dot = MOSAIC_TEMPORAL__ADD_DOT(dot, block[p], *(const lanes *)(const void *)q->block[c][p][at]);
                    g = (spread * *(const lanes *)(const void *)(q->inverse[c] + at)) >> 10;
                    g = MOSAIC_TEMPORAL__HIGHER(g, low);
                    g = MOSAIC_TEMPORAL__LOWER(g, high);
                    k = (factor * g + one) >> 11;
                    t = ((*(const lanes *)(const void *)(q->energy[c] + at) * k) >> 8) - dot;
                    residual[v] += (k * t) >> 6;
                    means[v] += d * d;
                }
            }
            MOSAIC__UNROLL
            for (v = 0; v < TOGETHER; v++) {
                lanes cost = (((means[v] >> 4) * s->mean_factor) >> 10) + (((residual[v] >> 6) * s->block_factor) >> 10);
                cost = MOSAIC_TEMPORAL__HIGHER(cost, zero);
                best = MOSAIC_TEMPORAL__LOWER(best, cost);
            }
        }
        *(lanes *)(void *)(out + at) = best;
    }
}

#undef MOSAIC_TEMPORAL__LANES
#undef MOSAIC_TEMPORAL__ISA
#undef MOSAIC_TEMPORAL__WIDE
#undef MOSAIC_TEMPORAL__OP
#undef MOSAIC_TEMPORAL__PASTE2
#undef MOSAIC_TEMPORAL__PASTE
#undef MOSAIC_TEMPORAL__NAME
#undef MOSAIC_TEMPORAL__V
#undef MOSAIC_TEMPORAL__LOWER
#undef MOSAIC_TEMPORAL__HIGHER
#undef MOSAIC_TEMPORAL__PAIR
#undef MOSAIC_TEMPORAL__PAIR_SET
#undef MOSAIC_TEMPORAL__ADD_DOT
#endif /* MOSAIC_TEMPORAL__LANES */

/*
   This software is available under two licences; choose the one you prefer.

   ALTERNATIVE A - MIT License

   Copyright (c) 2026 the mosaic authors

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
   "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
   distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
   the following conditions:

   The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
   MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
   ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
   SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

   ALTERNATIVE B - Public Domain (www.unlicense.org)

   This is free and unencumbered software released into the public domain. Anyone is free to copy, modify, publish, use, compile, sell, or
   distribute this software, either in source code form or as a compiled binary, for any purpose, commercial or non-commercial, and by any
   means. In jurisdictions that recognize copyright laws, the author or authors of this software dedicate any and all copyright interest in
   the software to the public domain. We make this dedication for the benefit of the public at large and to the detriment of our heirs and
   successors. We intend this dedication to be an overt act of relinquishment in perpetuity of all present and future rights to this software
   under copyright law.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
   MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR
   OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR
   OTHER DEALINGS IN THE SOFTWARE.
*/
