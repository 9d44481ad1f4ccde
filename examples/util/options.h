/* options.h - command line options from one table: parsing, help with defaults, and the nearest name when one is misspelt.

   A row with a null name starts a group of the help text; the last row is all zero. Parsing accepts "--name value" and "--name=value";
   a list takes every following word that does not begin with "-". Nothing is printed but the help: mistakes come back as one line. */
#ifndef MOSAIC_UTIL_OPTIONS_H
#define MOSAIC_UTIL_OPTIONS_H

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_FLAG, OPTION_INT, OPTION_NUMBER, OPTION_TEXT, OPTION_CHOICE, OPTION_LIST };

typedef struct option_list {
    const char **items; /* point into argv; the array is freed by the caller */
    int count;
} option_list;

typedef struct option {
    const char *name;     /* with its dashes; null: a group heading */
    const char *argument; /* as shown in the help, null for flags */
    int kind;
    void *value;                /* int * (flag, int, choice: its index), double *, const char **, option_list * */
    double low, high;           /* of numbers */
    const char *const *choices; /* null-terminated names */
    const char *help;           /* says the default where there is one; "\n" begins a new line */
} option;

/* Number of insertions, deletions, replacements and swaps of neighbours between two words; words are cut at 31 characters. */
static inline int options_distance(const char *a, const char *b)
{
    int d[32][32], i, j, n = (int)strlen(a), m = (int)strlen(b);
    n = n > 31 ? 31 : n;
    m = m > 31 ? 31 : m;
    for (i = 0; i <= n; i++) d[i][0] = i;
    for (j = 0; j <= m; j++) d[0][j] = j;
    for (i = 1; i <= n; i++)
        for (j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best) best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

/* Keeps the nearest of the names it is shown; too different a name is no help. */
static inline void options_nearer(const char *word, const char *name, const char **nearest, int *distance)
{
    int d = options_distance(word, name);
    if (d < *distance) *distance = d, *nearest = name;
}

static inline int options_tolerance(const char *word) { return (int)strlen(word) / 2 + 1; }

/* Index of word among names, or -1 with a line in err. what: "preset", say. */
static inline int options_choice(const char *what, const char *word, const char *const *names, char *err, size_t err_size)
{
    const char *nearest = NULL;
    int i, distance = options_tolerance(word);
    size_t length;
    for (i = 0; names[i]; i++)
        if (!strcmp(word, names[i])) return i;
    for (i = 0; names[i]; i++) options_nearer(word, names[i], &nearest, &distance);
    snprintf(err, err_size, nearest ? "%s: there is no \"%s\"; did you mean \"%s\"? known:" : "%s: there is no \"%s\"; known:", what, word, nearest);
    for (i = 0; names[i]; i++) {
        length = strlen(err);
        snprintf(err + length, err_size - length, "%s %s", i ? "," : "", names[i]);
    }
    return -1;
}

static inline int options_number(const option *o, const char *text, char *err, size_t err_size)
{
    char *end;
    double v;
    errno = 0;
    v = strtod(text, &end);
    if (end == text || *end || errno || !(v >= o->low && v <= o->high) || (o->kind == OPTION_INT && v != (double)(int)v)) {
        snprintf(err, err_size, "%s: \"%s\" is not %s from %g to %g", o->name, text, o->kind == OPTION_INT ? "a whole number" : "a number", o->low,
                 o->high);
        return -1;
    }
    if (o->kind == OPTION_INT)
        *(int *)o->value = (int)v;
    else
        *(double *)o->value = v;
    return 0;
}

static inline int options_set(const option *o, const char *text, char *err, size_t err_size)
{
    if (o->kind == OPTION_INT || o->kind == OPTION_NUMBER) return options_number(o, text, err, err_size);
    if (!*text) {
        snprintf(err, err_size, "%s: the value is empty; it wants %s", o->name, o->argument);
        return -1;
    }
    if (o->kind == OPTION_CHOICE) {
        int index = options_choice(o->name, text, o->choices, err, err_size);
        if (index >= 0) *(int *)o->value = index;
        return index < 0 ? -1 : 0;
    }
    if (o->kind == OPTION_LIST) {
        option_list *list = (option_list *)o->value;
        const char **items = (const char **)realloc((void *)list->items, ((size_t)list->count + 1) * sizeof *items);
        if (!items) {
            snprintf(err, err_size, "out of memory");
            return -1;
        }
        list->items = items;
        items[list->count++] = text;
        return 0;
    }
    *(const char **)o->value = text;
    return 0;
}

static inline const option *options_find(const option *table, const char *word, size_t length)
{
    for (; table->name || table->help; table++)
        if (table->name && strlen(table->name) == length && !strncmp(table->name, word, length)) return table;
    return NULL;
}

static inline int options_unknown(const option *table, const char *word, size_t length, char *err, size_t err_size)
{
    const char *nearest = NULL;
    char name[32];
    int distance;
    snprintf(name, sizeof name, "%.*s", length > 31 ? 31 : (int)length, word);
    distance = options_tolerance(name);
    for (; table->name || table->help; table++)
        if (table->name) options_nearer(name, table->name, &nearest, &distance);
    if (nearest)
        snprintf(err, err_size, "unknown option %s; did you mean %s? (--help lists all)", name, nearest);
    else
        snprintf(err, err_size, "unknown option %s; --help lists all", name);
    return -1;
}

/* A word that is not an option: "-" alone stands for a stream, so it is a value. */
static inline int options_is_value(const char *word) { return word && (word[0] != '-' || !word[1]); }

/* 0, or -1 with one line in err. */
static inline int options_parse(const option *table, int argc, char **argv, char *err, size_t err_size)
{
    int i;
    for (i = 1; i < argc; i++) {
        const char *word = argv[i], *equals = strchr(word, '=');
        size_t length = equals ? (size_t)(equals - word) : strlen(word);
        const option *o = options_find(table, word, length);
        if (options_is_value(word)) {
            snprintf(err, err_size, "\"%s\" belongs to no option; inputs and outputs have names, see --help", word);
            return -1;
        }
        if (!o) return options_unknown(table, word, length, err, err_size);
        if (o->kind == OPTION_FLAG) {
            if (equals) {
                snprintf(err, err_size, "%s takes no value", o->name);
                return -1;
            }
            *(int *)o->value = 1;
            continue;
        }
        if (equals) {
            if (options_set(o, equals + 1, err, err_size)) return -1;
        } else if (i + 1 < argc &&
                   (options_is_value(argv[i + 1]) || ((o->kind == OPTION_INT || o->kind == OPTION_NUMBER) && strncmp(argv[i + 1], "--", 2)))) {
            if (options_set(o, argv[++i], err, err_size)) return -1;
        } else {
            snprintf(err, err_size, "%s wants a value: %s %s", o->name, o->name, o->argument);
            return -1;
        }
        while (o->kind == OPTION_LIST && i + 1 < argc && options_is_value(argv[i + 1]))
            if (options_set(o, argv[++i], err, err_size)) return -1;
    }
    return 0;
}

static inline void options_help(const option *table, FILE *out)
{
    for (; table->name || table->help; table++) {
        const char *line, *end;
        char left[64];
        if (!table->name) {
            fprintf(out, "\n%s\n", table->help);
            continue;
        }
        snprintf(left, sizeof left, "%s%s%s", table->name, table->argument ? " " : "", table->argument ? table->argument : "");
        for (line = table->help; line; line = end ? end + 1 : NULL) {
            end = strchr(line, '\n');
            fprintf(out, "  %-24s %.*s\n", left, end ? (int)(end - line) : INT_MAX, line);
            left[0] = 0;
        }
    }
}

#endif
