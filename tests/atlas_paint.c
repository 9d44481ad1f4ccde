/* Paints what mosaic_video --atlas wrote, knowing nothing but the format described in examples/util/atlas.h: every frame as raw RGB on standard output.

   cc -O2 tests/atlas_paint.c $(pkg-config --cflags --libs libcjson) -lm -o atlas_paint */
#define _POSIX_C_SOURCE 200809L
#define STB_IMAGE_IMPLEMENTATION
#include <cjson/cJSON.h>
#include <stb/stb_image.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 100 };

static int number(const cJSON *list, int index) { return cJSON_GetArrayItem(list, index)->valueint; }

static int clamp(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

int main(int argc, char **argv)
{
    char path[1000], *line = NULL;
    size_t room = 0;
    unsigned char *page[PAGES] = {NULL}, *canvas;
    int page_width[PAGES], page_height, channels, pages, width, height, cols, cell_width, cell_height, atlas_cols, atlas_tiles, slots = 0, i;
    const cJSON *item, *variants;
    cJSON *head, *frame;
    FILE *list;
    if (argc != 2) return 2;
    for (pages = 0; pages < PAGES; pages++) {
        snprintf(path, sizeof path, "%s/atlas-%d.png", argv[1], pages + 1);
        page[pages] = stbi_load(path, &page_width[pages], &page_height, &channels, 3);
        if (!page[pages]) break;
    }
    snprintf(path, sizeof path, "%s/draw.jsonl", argv[1]);
    list = fopen(path, "r");
    if (!list || getline(&line, &room, list) < 1) return 1;
    head = cJSON_Parse(line);
    width = cJSON_GetObjectItem(head, "width")->valueint;
    height = cJSON_GetObjectItem(head, "height")->valueint;
    cols = cJSON_GetObjectItem(head, "cols")->valueint;
    cell_width = number(cJSON_GetObjectItem(head, "cell"), 0);
    cell_height = number(cJSON_GetObjectItem(head, "cell"), 1);
    item = cJSON_GetObjectItem(head, "atlas");
    atlas_cols = cJSON_GetObjectItem(item, "cols")->valueint;
    atlas_tiles = atlas_cols * cJSON_GetObjectItem(item, "rows")->valueint;
    variants = cJSON_GetObjectItem(head, "variants");
    canvas = (unsigned char *)calloc((size_t)width * (size_t)height, 3);
    while (canvas && getline(&line, &room, list) > 0) {
        frame = cJSON_Parse(line);
        slots += cJSON_GetArraySize(cJSON_GetObjectItem(frame, "new"));
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(frame, "cells"))
        {
            int m[15], x, y, c;
            const int cell = number(item, 0), slot = number(item, 1);
            const int mirror = strstr(cJSON_GetArrayItem(variants, number(item, 2))->valuestring, "mirror") != NULL;
            const int left = cell % cols * cell_width, top = cell / cols * cell_height;
            if (slot >= slots || slot / atlas_tiles >= pages) return 1;
            for (i = 0; i < 15; i++) m[i] = number(item, 3 + i);
            if (m[3] || m[8] || m[13]) return 3; /* the source would be needed */
            for (y = 0; y < cell_height; y++)
                for (x = 0; x < cell_width; x++) {
                    const int tile = slot % atlas_tiles, at = tile % atlas_cols * cell_width + (mirror ? cell_width - 1 - x : x);
                    const unsigned char none[3] = {0, 0, 0};
                    const unsigned char *p =
                        slot < 0 ? none
                                 : page[slot / atlas_tiles] + ((tile / atlas_cols * cell_height + y) * page_width[slot / atlas_tiles] + at) * 3;
                    for (c = 0; c < 3; c++)
                        canvas[((top + y) * width + left + x) * 3 + c] =
                            (unsigned char)clamp((m[5 * c] * p[0] + m[5 * c + 1] * p[1] + m[5 * c + 2] * p[2] + 256 * m[5 * c + 4] + 2048) >> 12);
                }
        }
        fwrite(canvas, 3, (size_t)width * (size_t)height, stdout);
        cJSON_Delete(frame);
    }
    cJSON_Delete(head);
    free(canvas);
    free(line);
    for (i = 0; i < pages; i++) stbi_image_free(page[i]);
    fclose(list);
    return 0;
}
