/* trajectory.h - the way of a camera as a file: JSON or TUM. cJSON, and mosaic_mem.h, which is to be included before.

   JSON: {"version": 1, "convention": "opencv" or "opengl", "intrinsics": {fx, fy, cx, cy, width, height}, "poses": [{"timestamp": t,
   "world_to_camera": {tx, ty, tz, qx, qy, qz, qw}}, ...]}; of these only the poses are needed. TUM: lines of "t tx ty tz qx qy qz qw" from camera to
   world, # before comments. Any bytes at all are safe to read. */
#ifndef MOSAIC_UTIL_TRAJECTORY_H
#define MOSAIC_UTIL_TRAJECTORY_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct trajectory {
    mosaic_mem_moment *moment; /* the caller frees it */
    size_t count;
    mosaic_mem_camera camera; /* of width 0 when the file says nothing of it */
} trajectory;

static const char *const trajectory_fields[7] = {"tx", "ty", "tz", "qx", "qy", "qz", "qw"};
static const char *const trajectory_camera[6] = {"fx", "fy", "cx", "cy", "width", "height"};

static inline int trajectory_write_json(FILE *file, const trajectory *t)
{
    const double camera[6] = {t->camera.fx, t->camera.fy, t->camera.cx, t->camera.cy, t->camera.width, t->camera.height};
    size_t i;
    int j;
    fprintf(file, "{\n  \"version\": 1,\n  \"convention\": \"opencv\",\n");
    for (j = 0; j < 6 && t->camera.width; j++)
        fprintf(file, "%s\"%s\": %.17g%s", j ? ", " : "  \"intrinsics\": {", trajectory_camera[j], camera[j], j < 5 ? "" : "},\n");
    fprintf(file, "  \"poses\": [");
    for (i = 0; i < t->count; i++) {
        double v[7];
        if (mosaic_mem_pose_to_w2c(&t->moment[i].pose, v + 3, v) != MOSAIC_MEM_OK) return -1;
        fprintf(file, "%s\n    {\"timestamp\": %.17g, \"world_to_camera\": {", i ? "," : "", t->moment[i].time);
        for (j = 0; j < 7; j++) fprintf(file, "%s\"%s\": %.17g", j ? ", " : "", trajectory_fields[j], v[j]);
        fprintf(file, "}}");
    }
    fprintf(file, "\n  ]\n}\n");
    return ferror(file) ? -1 : 0;
}

static inline int trajectory_write_tum(FILE *file, const trajectory *t)
{
    size_t i;
    int j;
    fprintf(file, "# timestamp tx ty tz qx qy qz qw\n");
    for (i = 0; i < t->count; i++) {
        double v[7];
        const double *c = t->moment[i].pose.centre;
        if (mosaic_mem_pose_to_w2c(&t->moment[i].pose, v + 3, v) != MOSAIC_MEM_OK) return -1;
        fprintf(file, "%.17g %.17g %.17g %.17g", t->moment[i].time, c[0], c[1], c[2]);
        for (j = 3; j < 7; j++) fprintf(file, " %.17g", j < 6 ? -v[j] : v[j]); /* the other way round */
        fprintf(file, "\n");
    }
    return ferror(file) ? -1 : 0;
}

/* One more moment; 0, or -1 when there is no memory or times fall. */
static inline int trajectory_add(trajectory *t, const mosaic_mem_pose *pose, double time)
{
    if (!(time - time == 0) || (t->count && time < t->moment[t->count - 1].time)) return -1;
    if ((t->count & (t->count - 1)) == 0) {
        mosaic_mem_moment *more = (mosaic_mem_moment *)realloc(t->moment, (t->count ? 2 * t->count : 1) * sizeof *more);
        if (!more) return -1;
        t->moment = more;
    }
    t->moment[t->count].pose = *pose;
    t->moment[t->count++].time = time;
    return 0;
}

static inline int trajectory_numbers(const cJSON *object, const char *const *names, int count, double *out)
{
    int i;
    for (i = 0; i < count; i++) {
        const cJSON *x = cJSON_GetObjectItemCaseSensitive(object, names[i]);
        if (!cJSON_IsNumber(x)) return -1;
        out[i] = x->valuedouble;
    }
    return 0;
}

static inline const char *trajectory_json(trajectory *t, const cJSON *root)
{
    const cJSON *poses = cJSON_GetObjectItemCaseSensitive(root, "poses"), *camera = cJSON_GetObjectItemCaseSensitive(root, "intrinsics"), *each;
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(root, "version"), *convention = cJSON_GetObjectItemCaseSensitive(root, "convention");
    const char *axes = cJSON_GetStringValue(convention);
    const int opengl = axes && !strcmp(axes, "opengl");
    int i;
    if (!cJSON_IsArray(poses)) return "there are no \"poses\"";
    if (version && !(cJSON_IsNumber(version) && version->valuedouble == 1)) return "a version that is not known";
    if (convention && !opengl && (!axes || strcmp(axes, "opencv"))) return "a convention that is neither opencv nor opengl";
    if (camera) {
        double v[6];
        if (trajectory_numbers(camera, trajectory_camera, 6, v)) return "\"intrinsics\" lacks a number";
        if (!(v[4] >= 1 && v[4] <= 65535 && v[5] >= 1 && v[5] <= 65535)) return "\"intrinsics\" has a size that cannot be";
        t->camera.fx = v[0], t->camera.fy = v[1], t->camera.cx = v[2], t->camera.cy = v[3];
        t->camera.width = (int)v[4], t->camera.height = (int)v[5];
    }
    cJSON_ArrayForEach(each, poses)
    {
        const cJSON *time = cJSON_GetObjectItemCaseSensitive(each, "timestamp"), *w2c = cJSON_GetObjectItemCaseSensitive(each, "world_to_camera");
        mosaic_mem_pose pose;
        double v[7];
        if (!cJSON_IsNumber(time) || trajectory_numbers(w2c, trajectory_fields, 7, v)) return "a pose lacks a number";
        if (mosaic_mem_pose_from_w2c(v + 3, v, &pose) != MOSAIC_MEM_OK) return "a pose is none";
        for (i = 3; opengl && i < 9; i++) pose.rotation[i] = -pose.rotation[i];
        if (trajectory_add(t, &pose, time->valuedouble)) return "times fall, or are none";
    }
    return NULL;
}

static inline const char *trajectory_tum(trajectory *t, const char *text)
{
    while (*text) {
        const size_t length = strcspn(text, "\r\n");
        char line[512], *at = line, *rest;
        double v[8];
        int n = 0;
        mosaic_mem_pose pose;
        if (length >= sizeof line) return "a line is too long";
        memcpy(line, text, length);
        line[length] = 0;
        text += length + strspn(text + length, "\r\n");
        at += strspn(at, " \t");
        if (*at == '#' || *at == 0) continue;
        for (; n < 8; n++) {
            v[n] = strtod(at, &rest);
            if (rest == at) break;
            at = rest;
        }
        if (n < 8 || at[strspn(at, " \t")]) return "a line is not \"t tx ty tz qx qy qz qw\"";
        if (mosaic_mem_pose_at(v + 1, v + 4, &pose) != MOSAIC_MEM_OK) return "a pose is none";
        if (trajectory_add(t, &pose, v[0])) return "times fall, or are none";
    }
    return NULL;
}

/* Of a file's bytes. 0, or -1 with a line in err. */
static inline int trajectory_read(const unsigned char *bytes, size_t size, trajectory *t, char *err, size_t err_size)
{
    char *text = (char *)malloc(size + 1);
    const char *why = "out of memory";
    memset(t, 0, sizeof *t);
    if (text) {
        memcpy(text, bytes, size);
        text[size] = 0;
        if (text[strspn(text, " \t\r\n")] == '{') {
            cJSON *root = cJSON_Parse(text);
            why = root ? trajectory_json(t, root) : "this is no JSON";
            cJSON_Delete(root);
        } else {
            why = strlen(text) == size ? trajectory_tum(t, text) : "there is a 0 in the text";
        }
        if (!why && t->count == 0) why = "there are no poses";
    }
    free(text);
    if (!why) return 0;
    free(t->moment);
    memset(t, 0, sizeof *t);
    snprintf(err, err_size, "%s", why);
    return -1;
}

#endif
