/* Weights of RAFT by a random generator, and files of them in every format that mosaic_flow.h reads: for tests and fuzzing, where the released
   weights are not at hand. Include after the implementation of mosaic_flow.h and after test.h. */
#ifndef MOSAIC_RAFT_FILES_H
#define MOSAIC_RAFT_FILES_H

typedef struct raft_tensor {
    char name[160];
    int dims;
    size_t shape[4], count;
    float *data;
} raft_tensor;

typedef struct raft_tensors {
    int count;
    raft_tensor tensor[200];
} raft_tensors;

typedef struct raft_file {
    uint8_t *bytes;
    size_t size, capacity;
} raft_file;

static inline float raft_uniform(void) { return (float)((int)(test_random() % 20001) - 10000) / 10000.0f; }

static inline raft_tensor *raft_add(raft_tensors *t, const char *name, const char *suffix, int dims, size_t a, size_t b, size_t c, size_t d)
{
    raft_tensor *n = &t->tensor[t->count++];
    snprintf(n->name, sizeof n->name, "%s%s", name, suffix);
    n->dims = dims;
    n->shape[0] = a, n->shape[1] = b, n->shape[2] = c, n->shape[3] = d;
    n->count = a * (dims > 1 ? b * c * d : 1);
    n->data = (float *)malloc(n->count * sizeof(float));
    return n;
}

/* All tensors of a model, or only the first `layers` layers. Names of the authors ("module." before them) or of torchvision. */
static inline void raft_generate(raft_tensors *t, int model, int torchvision, int layers)
{
    const mosaic_flow__model *m = &mosaic_flow__models[model];
    char name[112];
    size_t i;
    int k, j;
    memset(t, 0, sizeof *t);
    for (k = 0; k < m->count && k < layers; k++) {
        const mosaic_flow__layer *l = &m->layers[k];
        const size_t fan = (size_t)l->in * l->height * l->width;
        raft_tensor *w, *b;
        /* Outputs about as large as inputs; the head such that vectors leave the picture now and then. */
        float scale;
        if (!l->name) continue;
        for (scale = 1; scale * scale * (float)fan > 4.0f; scale *= 0.8f) {
        }
        snprintf(name, sizeof name, "%s%s", torchvision ? "" : "module.", torchvision ? l->torchvision : l->name);
        w = raft_add(t, name, ".weight", 4, l->out, l->in, l->height, l->width);
        for (i = 0; i < w->count; i++) w->data[i] = scale * raft_uniform();
        b = raft_add(t, name, ".bias", 1, l->out, 0, 0, 0);
        for (i = 0; i < b->count; i++) b->data[i] = 0.2f * raft_uniform();
        if (l->norm != 2) continue;
        if (strcmp(name + strlen(name) - 2, ".0") == 0)
            name[strlen(name) - 1] = '1';
        else
            memcpy(name + strlen(name) - 5, "norm", 4);
        for (j = 0; j < 4; j++) {
            static const char *const suffix[4] = {".weight", ".bias", ".running_mean", ".running_var"};
            raft_tensor *n = raft_add(t, name, suffix[j], 1, l->out, 0, 0, 0);
            for (i = 0; i < n->count; i++) n->data[i] = j % 3 ? 0.3f * raft_uniform() : 1.0f + 0.5f * raft_uniform();
        }
    }
}

static inline void raft_release(raft_tensors *t)
{
    while (t->count) free(t->tensor[--t->count].data);
}

static inline const raft_tensor *raft_find(const raft_tensors *t, const char *name)
{
    int i;
    for (i = 0; i < t->count; i++)
        if (strcmp(t->tensor[i].name, name) == 0) return &t->tensor[i];
    fprintf(stderr, "no tensor %s\n", name);
    abort();
}

/* ---- bytes ---- */

static inline void raft_put(raft_file *f, const void *bytes, size_t size)
{
    if (f->capacity < f->size + size) {
        f->capacity = (f->size + size) * 2 + 4096;
        f->bytes = (uint8_t *)realloc(f->bytes, f->capacity);
    }
    memcpy(f->bytes + f->size, bytes, size);
    f->size += size;
}

static inline void raft_number(raft_file *f, uint64_t v, int bytes)
{
    uint8_t b[8];
    mosaic_flow__little_put(b, v, bytes);
    raft_put(f, b, (size_t)bytes);
}

static inline void raft_text(raft_file *f, const char *text) { raft_put(f, text, strlen(text)); }

/* Numbers as float32, float16 (type 1) or bfloat16 (2), the latter two cut short, or float64 (3). */
static inline void raft_data(raft_file *f, const raft_tensor *t, int type)
{
    size_t i;
    for (i = 0; i < t->count; i++) {
        uint32_t bits;
        uint64_t wide;
        double d = (double)t->data[i];
        memcpy(&bits, &t->data[i], 4);
        memcpy(&wide, &d, 8);
        if (type == 1) {
            const uint32_t exponent = bits >> 23 & 255;
            raft_number(f,
                        (bits >> 16 & 0x8000u) | (exponent < 113 ? (exponent < 102 ? 0 : ((bits & 0x7fffffu) | 0x800000u) >> (126 - exponent))
                                                                 : ((exponent - 112) << 10 | (bits >> 13 & 0x3ffu))),
                        2);
        } else if (type == 2) {
            raft_number(f, bits >> 16, 2);
        } else if (type == 3) {
            raft_number(f, wide, 8);
        } else {
            raft_number(f, bits, 4);
        }
    }
}

static inline void raft_pickle_integer(raft_file *f, size_t v)
{
    if (v < 256)
        raft_text(f, "K"), raft_number(f, v, 1);
    else if (v < 65536)
        raft_text(f, "M"), raft_number(f, v, 2);
    else
        raft_text(f, "J"), raft_number(f, v, 4);
}

static inline void raft_pickle_text(raft_file *f, const char *text)
{
    raft_text(f, "X");
    raft_number(f, strlen(text), 4);
    raft_text(f, text);
}

/* An OrderedDict of tensors. legacy: with the sixth field of a storage. */
static inline void raft_pickle_tensors(raft_file *f, const raft_tensors *t, int legacy, const char *storage)
{
    static const char frame[] = {(char)0x80, 2};
    char key[16];
    int i, k, memo = 1;
    raft_put(f, frame, 2);
    raft_text(f, "ccollections\nOrderedDict\nq");
    raft_number(f, 0, 1);
    raft_text(f, ")Rq");
    raft_number(f, (uint64_t)memo++, 1);
    raft_text(f, "(");
    for (i = 0; i < t->count; i++) {
        const raft_tensor *n = &t->tensor[i];
        size_t stride = n->count;
        raft_pickle_text(f, n->name);
        raft_text(f, "ctorch._utils\n_rebuild_tensor_v2\n((");
        raft_pickle_text(f, "storage");
        raft_text(f, "ctorch\n");
        raft_text(f, storage);
        raft_text(f, "\n");
        snprintf(key, sizeof key, "%d", i);
        raft_pickle_text(f, key);
        raft_pickle_text(f, "cpu");
        raft_pickle_integer(f, n->count);
        raft_text(f, legacy ? "NtQK" : "tQK");
        raft_number(f, 0, 1);
        raft_text(f, "(");
        for (k = 0; k < n->dims; k++) raft_pickle_integer(f, n->shape[k]);
        raft_text(f, "t(");
        for (k = 0; k < n->dims; k++) raft_pickle_integer(f, stride /= n->shape[k]);
        raft_text(f, "t\x89h");
        raft_number(f, 0, 1);
        raft_text(f, ")RtRr");
        raft_number(f, (uint64_t)memo++, 4);
    }
    raft_text(f, "u.");
}

static inline void raft_write_legacy(raft_file *f, const raft_tensors *t)
{
    static const char version[] = {(char)0x80, 2, 'M', (char)0xe9, 3, '.', (char)0x80, 2, '}', '('};
    static const char keys[] = {(char)0x80, 2, ']', '('};
    char key[16];
    int i;
    raft_put(f, mosaic_flow__legacy_magic, sizeof mosaic_flow__legacy_magic);
    raft_put(f, version, sizeof version);
    raft_pickle_text(f, "little_endian");
    raft_text(f, "\x88");
    raft_pickle_text(f, "type_sizes");
    raft_text(f, "}(");
    raft_pickle_text(f, "long");
    raft_text(f, "K\x08uu.");
    raft_pickle_tensors(f, t, 1, "FloatStorage");
    raft_put(f, keys, sizeof keys);
    for (i = 0; i < t->count; i++) {
        snprintf(key, sizeof key, "%d", i);
        raft_pickle_text(f, key);
    }
    raft_text(f, "e.");
    for (i = 0; i < t->count; i++) {
        raft_number(f, t->tensor[i].count, 8);
        raft_data(f, &t->tensor[i], 0);
    }
}

static inline void raft_zip_entry(raft_file *f, raft_file *directory, const char *name, size_t header, size_t size)
{
    int central;
    for (central = 0; central < 2; central++) {
        raft_file *to = central ? directory : f;
        raft_text(to, central ? "PK\x01\x02" : "PK\x03\x04");
        raft_number(to, 0, central ? 6 : 4);
        raft_number(to, 0, 2); /* stored */
        raft_number(to, 0, 8); /* time, checksum */
        raft_number(to, size, 4);
        raft_number(to, size, 4);
        raft_number(to, strlen(name), 2);
        raft_number(to, 0, central ? 8 : 2);
        raft_number(to, 0, central ? 4 : 0);
        if (central) raft_number(to, header, 4);
        raft_text(to, name);
    }
}

static inline void raft_write_zip(raft_file *f, const raft_tensors *t, int type)
{
    static const char *const storage[4] = {"FloatStorage", "HalfStorage", "BFloat16Storage", "DoubleStorage"};
    static const size_t bytes[4] = {4, 2, 2, 8};
    raft_file pickle, directory;
    size_t begin;
    char name[48];
    int i;
    memset(&pickle, 0, sizeof pickle);
    memset(&directory, 0, sizeof directory);
    raft_pickle_tensors(&pickle, t, 0, storage[type]);
    raft_zip_entry(f, &directory, "archive/data.pkl", 0, pickle.size);
    raft_put(f, pickle.bytes, pickle.size);
    begin = f->size;
    raft_zip_entry(f, &directory, "archive/version", begin, 2);
    raft_text(f, "3\n");
    for (i = 0; i < t->count; i++) {
        snprintf(name, sizeof name, "archive/data/%d", i);
        begin = f->size;
        raft_zip_entry(f, &directory, name, begin, t->tensor[i].count * bytes[type]);
        raft_data(f, &t->tensor[i], type);
    }
    begin = f->size;
    raft_put(f, directory.bytes, directory.size);
    raft_text(f, "PK\x05\x06");
    raft_number(f, 0, 4);
    raft_number(f, (uint64_t)t->count + 2, 2);
    raft_number(f, (uint64_t)t->count + 2, 2);
    raft_number(f, directory.size, 4);
    raft_number(f, begin, 4);
    raft_number(f, 0, 2);
    free(pickle.bytes);
    free(directory.bytes);
}

static inline void raft_write_safetensors(raft_file *f, const raft_tensors *t, int type)
{
    static const char *const types[4] = {"F32", "F16", "BF16", "F64"};
    static const size_t bytes[4] = {4, 2, 2, 8};
    size_t at = 0;
    char text[256];
    int i, k;
    raft_number(f, 0, 8);
    raft_text(f, "{\"__metadata__\": {\"format\": \"pt\"}");
    for (i = 0; i < t->count; i++) {
        const raft_tensor *n = &t->tensor[i];
        snprintf(text, sizeof text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", n->name, types[type]);
        raft_text(f, text);
        for (k = 0; k < n->dims; k++) {
            snprintf(text, sizeof text, "%s%u", k ? "," : "", (unsigned)n->shape[k]);
            raft_text(f, text);
        }
        snprintf(text, sizeof text, "],\"data_offsets\":[%lu,%lu]}", (unsigned long)at, (unsigned long)(at + n->count * bytes[type]));
        raft_text(f, text);
        at += n->count * bytes[type];
    }
    raft_text(f, "} ");
    mosaic_flow__little_put(f->bytes, f->size - 8, 8);
    for (i = 0; i < t->count; i++) raft_data(f, &t->tensor[i], type);
}

#endif
