/* progress.h - how far a run is: one line redrawn on a terminal, otherwise a line every five seconds. */
#ifndef MOSAIC_UTIL_PROGRESS_H
#define MOSAIC_UTIL_PROGRESS_H

#include <stdio.h>
#include <unistd.h>

typedef struct progress {
    int terminal, quiet, drawn;
    double begun, told; /* seconds of the caller's clock */
    long long total;    /* 0: unknown */
} progress;

static inline void progress_begin(progress *p, int quiet, long long total, double now)
{
    p->terminal = isatty(STDERR_FILENO);
    p->quiet = quiet;
    p->drawn = 0;
    p->begun = p->told = now;
    p->total = total;
}

/* Makes room for a line of another kind. */
static inline void progress_clear(progress *p)
{
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = 0;
}

/* While photographs are read. */
static inline void progress_photos(progress *p, int done, int count, double now)
{
    if (p->quiet || now - p->told < (p->terminal ? 0.1 : 5)) return;
    p->told = now;
    fprintf(stderr, "%sphotograph %d/%d%s", p->terminal ? "\r\033[K" : "", done, count, p->terminal ? "" : "\n");
    fflush(stderr);
    p->drawn = p->terminal;
}

static inline void progress_show(progress *p, long long frame, double churn, double now)
{
    const double rate = now > p->begun ? (double)frame / (now - p->begun) : 0;
    const long long left = p->total > frame && rate > 0 ? (long long)((double)(p->total - frame) / rate + 0.5) : 0;
    char total[32] = "", remaining[48] = "";
    if (p->quiet || now - p->told < (p->terminal ? 0.1 : 5)) return;
    p->told = now;
    if (p->total) {
        snprintf(total, sizeof total, "/%lld", p->total > frame ? p->total : frame);
        snprintf(remaining, sizeof remaining, ", %lld:%02lld left", left / 60, left % 60);
    }
    fprintf(stderr, "%sframe %lld%s, %.1f fps%s, churn %.1f %%%s", p->terminal ? "\r\033[K" : "", frame, total, rate, remaining, 100 * churn,
            p->terminal ? "" : "\n");
    fflush(stderr);
    p->drawn = p->terminal;
}

#endif
