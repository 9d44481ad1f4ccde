/* config.h - a program's options as a JSON file: one object whose fields are the options' names, without dashes in front and with _ for -.

   Needs cJSON. A field sets its option just as the command line would, with the same checks: numbers for numbers, true or false for flags, strings
   for texts and choices, an array of strings for lists. An array of two whole numbers stands for a size, [480, 272] for "480x272". */
#ifndef MOSAIC_UTIL_CONFIG_H
#define MOSAIC_UTIL_CONFIG_H

#include "options.h"
#include <cjson/cJSON.h>

/* Names that other programs' files have for our options. A row without an option is accepted and means nothing here. The last row is all null. */
typedef struct config_alias {
    const char *field, *option; /* "size", "--cells" */
} config_alias;

enum { CONFIG_MOST = 1 << 20 }; /* bytes; more is no configuration */

/* "--min-distance" as "min_distance", for names that fit in 64 bytes. */
static inline const char *config__field(const char *option, char field[64])
{
    size_t i;
    snprintf(field, 64, "%s", option + 2);
    for (i = 0; field[i]; i++)
        if (field[i] == '-') field[i] = '_';
    return field;
}

static inline void config__append(char *err, size_t err_size, const char *word)
{
    size_t length = strlen(err);
    snprintf(err + length, err_size - length, "%s", word);
}

/* Whether an option may stand in a file: those that ask the program something may not. */
static inline int config__is_field(const option *o)
{
    static const char *const not_here[] = {"--config", "--dump-config", "--help", "--version"};
    size_t i;
    for (i = 0; i < sizeof not_here / sizeof *not_here; i++)
        if (o->name && !strcmp(o->name, not_here[i])) return 0;
    return o->name != NULL;
}

/* The option a field is for: null with *ignored set, or null with a line in err that lists what is known. */
static inline const option *config__find(const option *table, const config_alias *aliases, const char *field, int *ignored, char *err,
                                         size_t err_size)
{
    const char *nearest = NULL, *name = NULL;
    const config_alias *a;
    const option *o;
    char known[64], found[64] = "";
    int distance = options_tolerance(field);
    for (a = aliases; a->field; a++)
        if (!strcmp(a->field, field)) {
            *ignored = !a->option;
            name = a->option;
            if (*ignored) return NULL;
        }
    for (o = table; o->name || o->help; o++) {
        if (!config__is_field(o)) continue;
        if (name ? !strcmp(o->name, name) : !strcmp(config__field(o->name, known), field)) return o;
        options_nearer(field, config__field(o->name, known), &nearest, &distance);
        if (nearest == known) nearest = strcpy(found, known);
    }
    snprintf(err, err_size, nearest ? "there is no field \"%.40s\"; did you mean \"%s\"? known:" : "there is no field \"%.40s\"; known:", field,
             found);
    for (o = table; o->name || o->help; o++)
        if (config__is_field(o)) config__append(err, err_size, " "), config__append(err, err_size, config__field(o->name, known));
    for (a = aliases; a->field; a++) config__append(err, err_size, " "), config__append(err, err_size, a->field);
    return NULL;
}

/* Sets one option from one value. Texts stay in the JSON tree; what had to be made new goes into it, at `keep`. */
static inline int config__set(const option *o, const cJSON *value, cJSON *keep, char *err, size_t err_size)
{
    const cJSON *item;
    cJSON *made = NULL;
    char text[64] = "";
    if (o->kind == OPTION_FLAG) {
        if (!cJSON_IsBool(value)) {
            snprintf(err, err_size, "%s wants true or false", o->name);
            return -1;
        }
        *(int *)o->value = cJSON_IsTrue(value);
        return 0;
    }
    if (o->kind == OPTION_LIST && cJSON_IsArray(value)) {
        cJSON_ArrayForEach(item, value)
        {
            if (!cJSON_IsString(item)) {
                snprintf(err, err_size, "%s wants strings", o->name);
                return -1;
            }
            if (options_set(o, item->valuestring, err, err_size)) return -1;
        }
        return 0;
    }
    if (cJSON_IsString(value)) return options_set(o, value->valuestring, err, err_size);
    if (cJSON_IsNumber(value))
        snprintf(text, sizeof text, "%.17g", value->valuedouble);
    else if (o->kind == OPTION_TEXT && cJSON_IsArray(value) && cJSON_GetArraySize(value) == 2 && cJSON_IsNumber(cJSON_GetArrayItem(value, 0)) &&
             cJSON_IsNumber(cJSON_GetArrayItem(value, 1)))
        snprintf(text, sizeof text, "%.17gx%.17g", cJSON_GetArrayItem(value, 0)->valuedouble, cJSON_GetArrayItem(value, 1)->valuedouble);
    else {
        snprintf(err, err_size, "%s wants %s", o->name, o->argument);
        return -1;
    }
    if (o->kind == OPTION_INT || o->kind == OPTION_NUMBER) return options_set(o, text, err, err_size);
    made = cJSON_CreateString(text);
    if (!made || !cJSON_AddItemToArray(keep, made)) {
        cJSON_Delete(made);
        snprintf(err, err_size, "out of memory");
        return -1;
    }
    return options_set(o, made->valuestring, err, err_size);
}

/* Reads the file into the options. The tree that comes back holds the texts: it is freed by the caller (cJSON_Delete) when they are no longer needed.
   Null with one line in err that names the file. ignored receives the names of fields that mean nothing here, separated by commas. */
static inline cJSON *config_read(const char *path, const option *table, const config_alias *aliases, char *ignored, size_t ignored_size, char *err,
                                 size_t err_size)
{
    char *text = (char *)malloc(CONFIG_MOST + 2), why[2048] = "";
    FILE *f = fopen(path, "rb");
    size_t size = f && text ? fread(text, 1, CONFIG_MOST + 1, f) : 0;
    const char *end = NULL;
    char *at;
    cJSON *tree = NULL, *keep;
    const cJSON *field;
    *ignored = 0;
    if (!text)
        snprintf(why, sizeof why, "out of memory");
    else if (!f || ferror(f))
        snprintf(why, sizeof why, "%s", strerror(errno));
    else if (size > CONFIG_MOST)
        snprintf(why, sizeof why, "more than a megabyte is no configuration");
    else {
        text[size] = 0;
        tree = cJSON_ParseWithLengthOpts(text, size, &end, 0);
        if (!tree) {
            int line = 1;
            for (at = text; at < end && at < text + size; at++) line += *at == '\n';
            snprintf(why, sizeof why, "no JSON in line %d", line);
        } else if (strspn(end, " \t\r\n") < (size_t)(text + size - end))
            snprintf(why, sizeof why, "something follows after the object");
        else if (!cJSON_IsObject(tree))
            snprintf(why, sizeof why, "it must hold one object, { … }");
    }
    if (f) fclose(f);
    if (!*why) {
        keep = cJSON_CreateArray();
        cJSON_ArrayForEach(field, tree)
        {
            int skip = 0;
            const option *o = config__find(table, aliases, field->string, &skip, why, sizeof why);
            if (skip) {
                if (*ignored) config__append(ignored, ignored_size, ", ");
                config__append(ignored, ignored_size, field->string);
                continue;
            }
            if (!o || !keep || config__set(o, field, keep, why, sizeof why)) break;
        }
        if (!keep && !*why) snprintf(why, sizeof why, "out of memory");
        if (keep && !cJSON_AddItemToObject(tree, "", keep)) cJSON_Delete(keep);
    }
    free(text);
    if (!*why) return tree;
    cJSON_Delete(tree);
    for (at = why; *at; at++) /* what the file says may hold line ends; the message is one line */
        if ((unsigned char)*at < ' ') *at = '?';
    snprintf(err, err_size, "%s: %s", path, why);
    return NULL;
}

/* Writes the options as config_read takes them; what was not given is left out. */
static inline int config_write(const option *table, FILE *out)
{
    cJSON *tree = cJSON_CreateObject();
    char field[64], *text;
    const option *o;
    int i;
    for (o = table; tree && (o->name || o->help); o++) {
        if (!config__is_field(o)) continue;
        config__field(o->name, field);
        if (o->kind == OPTION_FLAG) cJSON_AddBoolToObject(tree, field, *(int *)o->value);
        if (o->kind == OPTION_INT && *(int *)o->value >= o->low) cJSON_AddNumberToObject(tree, field, *(int *)o->value);
        if (o->kind == OPTION_NUMBER && *(double *)o->value >= o->low) cJSON_AddNumberToObject(tree, field, *(double *)o->value);
        if (o->kind == OPTION_CHOICE && *(int *)o->value >= 0) cJSON_AddStringToObject(tree, field, o->choices[*(int *)o->value]);
        if (o->kind == OPTION_TEXT && *(const char **)o->value) cJSON_AddStringToObject(tree, field, *(const char **)o->value);
        if (o->kind == OPTION_LIST && ((option_list *)o->value)->count) {
            cJSON *list = cJSON_AddArrayToObject(tree, field);
            for (i = 0; i < ((option_list *)o->value)->count; i++)
                cJSON_AddItemToArray(list, cJSON_CreateString(((option_list *)o->value)->items[i]));
        }
    }
    text = tree ? cJSON_Print(tree) : NULL;
    i = !text || fprintf(out, "%s\n", text) < 0 ? -1 : 0;
    cJSON_free(text);
    cJSON_Delete(tree);
    return i;
}

#endif
