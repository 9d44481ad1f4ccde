/* film_memory.h - mosaic_mem.h as the memory of an engine (mosaic_options.recall).

   Include mosaic_temporal.h and mosaic_mem.h first. */
#ifndef MOSAIC_UTIL_FILM_MEMORY_H
#define MOSAIC_UTIL_FILM_MEMORY_H

static inline int film_memory_recall(void *film, const uint8_t *pixels, int begins, int first_col, int first_row, const uint8_t *wanted,
                                     uint32_t *tags)
{
    return mosaic_mem_film_recall(*(mosaic_mem_film **)film, pixels, begins, first_col, first_row, wanted, tags);
}

static inline int film_memory_keep(void *film, const uint32_t *tags) { return mosaic_mem_film_keep(*(mosaic_mem_film **)film, tags); }

/* Before mosaic_open: the engine will ask *film, which must be opened before the first frame, and may be exchanged between two. `recall` must last until
   mosaic_open returns, and the pointer `film` itself until the engine is closed. */
static inline void film_memory_tie(mosaic_options *options, mosaic_recall *recall, mosaic_mem_film **film)
{
    recall->ctx = film;
    recall->recall = film_memory_recall;
    recall->keep = film_memory_keep;
    options->recall = recall;
}

/* After it: an empty memory of the engine's cells. */
static inline mosaic_mem_result film_memory_open(const mosaic_engine *engine, mosaic_mem_film **film)
{
    mosaic_mem_film_options o;
    memset(&o, 0, sizeof o);
    o.cols = mosaic_engine_grid(engine)->cols;
    o.rows = mosaic_engine_grid(engine)->rows;
    return mosaic_mem_film_open(&o, film);
}

#endif
