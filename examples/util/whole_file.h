/* whole_file.h - a file that appears under its name only when it is whole.

   It is written beside its place as NAME.PID.part and renamed at the end, so a crash, a full disk or an interruption never leaves half a file
   under the final name. Pipes and devices cannot be renamed over: they are written directly. */
#ifndef MOSAIC_UTIL_WHOLE_FILE_H
#define MOSAIC_UTIL_WHOLE_FILE_H

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

typedef struct whole_file {
    char path[PATH_MAX]; /* where it will be: a symbolic link is followed, not replaced */
    char part[PATH_MAX]; /* where it is written */
} whole_file;

/* Fills in the names. 0, or -1 with a line in err. */
static inline int whole_file_name(whole_file *w, const char *path, char *err, size_t err_size)
{
    struct stat st;
    char *real = realpath(path, NULL);
    int exists = real && !stat(real, &st), length;
    size_t end;
    snprintf(w->path, sizeof w->path, "%s", real ? real : path);
    free(real);
    for (end = strlen(w->path); end > 1 && w->path[end - 1] == '/'; end--) w->path[end - 1] = 0;
    if (exists && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        length = snprintf(w->part, sizeof w->part, "%s", w->path);
    else
        length = snprintf(w->part, sizeof w->part, "%s.%ld.part", w->path, (long)getpid());
    if (length < (int)sizeof w->part && strlen(path) < sizeof w->path) return 0;
    snprintf(err, err_size, "%.200s...: the name is too long", path);
    return -1;
}

/* One line that says why this place cannot be written, from errno. */
static inline void whole_file_refused(const char *path, char *err, size_t err_size)
{
    const char *remedy = "choose another place";
    if (errno == ENOENT)
        remedy = "make its folder first";
    else if (errno == ENOSPC || errno == EDQUOT)
        remedy = "free some space";
    else if (errno == EACCES || errno == EPERM || errno == EROFS)
        remedy = "choose a place you may write to";
    /* A path too long for the line is cut, never the reason. */
    snprintf(err, err_size, "%.*s: cannot be written: %s; %s", err_size > 200 ? (int)(err_size - 200 < 4096 ? err_size - 200 : 4096) : 0, path,
             strerror(errno), remedy);
}

static inline FILE *whole_file_open(whole_file *w, const char *path, char *err, size_t err_size)
{
    FILE *f;
    if (whole_file_name(w, path, err, err_size)) return NULL;
    f = fopen(w->part, "wb");
    if (!f) whole_file_refused(path, err, err_size);
    return f;
}

static inline void whole_file_discard(const whole_file *w)
{
    if (strcmp(w->part, w->path)) remove(w->part);
}

/* The part has been written and closed: gives it its name. */
static inline int whole_file_rename(const whole_file *w, char *err, size_t err_size)
{
    if (!strcmp(w->part, w->path) || !rename(w->part, w->path)) return 0;
    whole_file_refused(w->path, err, err_size);
    whole_file_discard(w);
    return -1;
}

/* keep 0 throws the file away. 0, or -1 with a line in err (and nothing left behind). */
static inline int whole_file_close(const whole_file *w, FILE *f, int keep, char *err, size_t err_size)
{
    int failed = fflush(f) != 0 || ferror(f), reason = errno;
    if (fclose(f) && !failed) failed = 1, reason = errno;
    if (keep && !failed) return whole_file_rename(w, err, err_size);
    if (keep) {
        errno = reason ? reason : EIO;
        whole_file_refused(w->path, err, err_size);
    }
    whole_file_discard(w);
    return failed ? -1 : 0;
}

#endif
