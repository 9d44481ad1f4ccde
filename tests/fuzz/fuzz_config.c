/* Any bytes as a configuration file: options within their ranges, or one line that says what is wrong.
   clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_config.c $(pkg-config --cflags --libs libcjson) -o fuzz_config
   fuzz_config --seeds FOLDER writes small files to begin with. */
#define _GNU_SOURCE
#include "../../examples/util/config.h"
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"none", "mean", "reinhard", NULL};
static const config_alias aliases[] = {{"size", "--cells"}, {"ema_alpha", NULL}, {NULL, NULL}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int flag = 0, whole = 1, choice = 0, i;
    double number = 0;
    const char *text = NULL;
    option_list list = {NULL, 0};
    const option table[] = {
        {NULL, NULL, 0, NULL, 0, 0, NULL, "Options"},
        {"--quiet", NULL, OPTION_FLAG, &flag, 0, 0, NULL, "flag"},
        {"--cells", "N", OPTION_INT, &whole, 1, 4000000, NULL, "whole number"},
        {"--mean-strength", "X", OPTION_NUMBER, &number, 0, 1, NULL, "number"},
        {"--flow-size", "WxH", OPTION_TEXT, &text, 0, 0, NULL, "text"},
        {"--recolour", "NAME", OPTION_CHOICE, &choice, 0, 0, names, "choice"},
        {"--tiles", "DIR...", OPTION_LIST, &list, 0, 0, NULL, "list"},
        {"--config", "FILE", OPTION_TEXT, &text, 0, 0, NULL, "no field"},
        {NULL, NULL, 0, NULL, 0, 0, NULL, NULL},
    };
    char path[64], ignored[64] = "", err[600] = "";
    const int file = memfd_create("config", 0);
    cJSON *tree;
    if (file < 0 || write(file, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    tree = config_read(path, table, aliases, ignored, sizeof ignored, err, sizeof err);
    close(file);
    if (!tree != (err[0] != 0) || strchr(err, '\n')) abort();
    if (whole < 1 || whole > 4000000 || !(number >= 0 && number <= 1) || choice < 0 || choice > 2 || (flag != 0 && flag != 1)) abort();
    for (i = 0; tree && i < list.count; i++)
        if (strlen(list.items[i]) > size) abort();
    if (tree && text && strlen(text) > size + 40) abort();
    free((void *)list.items);
    cJSON_Delete(tree);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const seed[] = {"{\"quiet\": true, \"cells\": 700, \"mean_strength\": 0.9, \"recolour\": \"mean\", \"tiles\": [\"a\", \"b\"]}",
                                       "{\"size\": \"700\", \"flow_size\": [480, 272], \"ema_alpha\": 0.15}", "{}", "[1]",
                                       "{\"flow_size\": \"480x272\"}"};
    char path[4096];
    size_t i;
    if (*argc != 3 || strcmp((*argv)[1], "--seeds") != 0) return 0;
    for (i = 0; i < sizeof seed / sizeof *seed; i++) {
        FILE *out;
        snprintf(path, sizeof path, "%s/seed%d", (*argv)[2], (int)i);
        out = fopen(path, "wb");
        if (!out || fputs(seed[i], out) < 0 || fclose(out)) exit(1);
    }
    exit(0);
}
