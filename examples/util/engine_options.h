/* engine_options.h - the engine's own options (mosaic_option_table) and presets as options of a command line.

   Include mosaic_temporal.h first. */
#ifndef MOSAIC_UTIL_ENGINE_OPTIONS_H
#define MOSAIC_UTIL_ENGINE_OPTIONS_H

#include "options.h"

enum { ENGINE_OPTIONS = 48 }; /* room for them */

/* One of the engine's options (mosaic_option_table) as an option of the command line. */
typedef struct engine_option {
    char name[32], help[160];
    double number; /* below 0: not given */
    int whole;     /* of a choice: its place among the names */
} engine_option;

/* The presets' names, ended by null, and a line of help for each. */
static inline const char *const *engine_presets(void)
{
    static const char *names[MOSAIC_PRESETS + 1];
    int i;
    for (i = 0; i < MOSAIC_PRESETS; i++) names[i] = mosaic_preset_name(i);
    return names;
}

static inline const char *engine_preset_help(void)
{
    static char help[2048];
    size_t length = 0;
    int i;
    for (i = 0; i < MOSAIC_PRESETS; i++)
        length += (size_t)snprintf(help + length, sizeof help - length, "%s%s: %s", i ? "\n" : "", mosaic_preset_name(i), mosaic_preset_summary(i));
    return help;
}

/* Rows for the engine's own options; none of them has a value yet. Returns how many. */
static inline int engine_option_rows(engine_option look[ENGINE_OPTIONS], option *row)
{
    int count, i, k;
    const mosaic_option_info *info = mosaic_option_table(&count);
    for (i = 0; i < count && i < ENGINE_OPTIONS; i++) {
        engine_option *o = look + i;
        const double value = info[i].preset[MOSAIC_PRESET_DEFAULT];
        snprintf(o->name, sizeof o->name, "--%s", info[i].name);
        for (k = 2; o->name[k]; k++)
            if (o->name[k] == '_') o->name[k] = '-';
        if (info[i].choices) {
            int length = snprintf(o->help, sizeof o->help, "%s:", info[i].summary);
            for (k = 0; info[i].choices[k]; k++)
                length += snprintf(o->help + length, sizeof o->help - (size_t)length, "%s %s", k ? "," : "", info[i].choices[k]);
            snprintf(o->help + length, sizeof o->help - (size_t)length, " (default: the preset's, %s)", info[i].choices[(int)value - 1]);
        } else {
            snprintf(o->help, sizeof o->help, "%s (default: the preset's, %.4g)", info[i].summary, value == MOSAIC_OFF ? 0 : value);
        }
        o->number = o->whole = -1;
        memset(row + i, 0, sizeof *row);
        row[i].name = o->name;
        row[i].argument = info[i].choices ? "NAME" : info[i].whole ? "N" : "X";
        row[i].kind = info[i].choices ? OPTION_CHOICE : info[i].whole ? OPTION_INT : OPTION_NUMBER;
        row[i].choices = info[i].choices;
        row[i].value = info[i].whole ? (void *)&o->whole : (void *)&o->number;
        row[i].low = (double)info[i].low;
        row[i].high = (double)info[i].high;
        row[i].help = o->help;
    }
    return i;
}

/* The preset, and over it what was given. */
static inline void engine_options_apply(int preset, const engine_option look[ENGINE_OPTIONS], mosaic_options *options)
{
    int count, i;
    const mosaic_option_info *info = mosaic_option_table(&count);
    mosaic_preset_options(preset, options);
    for (i = 0; i < count && i < ENGINE_OPTIONS; i++) {
        const double value = info[i].whole ? look[i].whole : look[i].number;
        if (value >= 0) mosaic_option_set(options, info + i, info[i].choices ? value + 1 : value);
    }
}

#endif
