/* film_memory.h - mosaic_mem.h as the memory of an engine (mosaic_options.recall).

   Include mosaic_temporal.h and mosaic_mem.h first. */
#ifndef MOSAIC_UTIL_FILM_MEMORY_H
#define MOSAIC_UTIL_FILM_MEMORY_H

static inline int film_memory_recall(void *film, const uint8_t *pixels, int begins, int first_col, int first_row, const uint8_t *wanted,
                                     uint32_t *tags)
{
    return mosaic_mem_film_recall((mosaic_mem_film *)film, pixels, begins, first_col, first_row, wanted, tags);
}

static inline int film_memory_keep(void *film, const uint32_t *tags) { return mosaic_mem_film_keep((mosaic_mem_film *)film, tags); }

/* Opens a memory for the engine that these will open. `recall` must last until then; the memory, until the engine is closed. */
static inline mosaic_mem_result film_memory_open(const mosaic_grid *grid, mosaic_options *options, mosaic_recall *recall, mosaic_mem_film **film)
{
    mosaic_mem_film_options o;
    mosaic_mem_result result;
    memset(&o, 0, sizeof o);
    o.cols = grid->cols + (options->grid != MOSAIC_GRID_FIXED);
    o.rows = grid->rows + (options->grid != MOSAIC_GRID_FIXED);
    result = mosaic_mem_film_open(&o, film);
    recall->ctx = *film;
    recall->recall = film_memory_recall;
    recall->keep = film_memory_keep;
    if (result == MOSAIC_MEM_OK) options->recall = recall;
    return result;
}

#endif
