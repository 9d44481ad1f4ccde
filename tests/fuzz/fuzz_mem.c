/* Any bytes as a store's file: each comes back whole, or as a named error, and a store that opens can be asked, changed and written. Bytes that begin
   with "ply" are read as a cloud of points, those with "{", "#" or a space as a trajectory and as a store in JSON, and those with MOSAICMF as a film's memory.
   clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_mem.c $(pkg-config --cflags --libs libcjson) -o fuzz_mem
   fuzz_mem --seeds FOLDER writes small files to begin with.
   Without libFuzzer: cc -g -fsanitize=address,undefined -DFUZZ_MAIN tests/fuzz/fuzz_mem.c ...; it changes bytes of such files. */
#include "../test.h"
#define MOSAIC_MEM_STATIC
#define MOSAIC_MEM_IMPLEMENTATION
#include "../../mosaic_mem.h"
#include "../../examples/util/ply.h"
#include "../../examples/util/store_json.h"
#include "../../examples/util/trajectory.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct buffer {
    uint8_t *bytes;
    size_t size;
} buffer;

static int append(void *ctx, const void *bytes, size_t size)
{
    buffer *b = (buffer *)ctx;
    b->bytes = (uint8_t *)realloc(b->bytes, b->size + size);
    if (!b->bytes) abort();
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
    return 0;
}

static mosaic_mem_keyframe *picture(int i)
{
    static mosaic_mem_keyframe k;
    static const double centre[3] = {0, 0, 0}, none[4] = {0, 0, 0, 1};
    static float depth[16 * 16], values[6 * 6 * 2];
    static uint32_t tags[6 * 6];
    int j;
    memset(&k, 0, sizeof k);
    mosaic_mem_pose_at(centre, none, &k.view.pose);
    k.view.camera = mosaic_mem_camera_default(16, 16);
    for (j = 0; j < 16 * 16; j++) depth[j] = (float)(2 + i + j % 16 * 0.1);
    k.depth = depth, k.values = values, k.value_count = 6 * 6 * 2, k.tags = tags, k.cols = k.rows = 5, k.frame = (uint64_t)i;
    return &k;
}

/* What was read can be joined, asked and written. */
static void points(const uint8_t *data, size_t size)
{
    mosaic_mem_point *read;
    mosaic_mem_cloud_options o;
    mosaic_mem_cloud *cloud = NULL;
    mosaic_mem_near found[4];
    mosaic_mem_fuse_stats stats;
    char err[200];
    const double zero[3] = {0, 0, 0};
    size_t count, n;
    FILE *nowhere;
    if (ply_read(data, size, &read, &count, err, sizeof err)) {
        if (read || count || !err[0]) abort();
        return;
    }
    memset(&o, 0, sizeof o);
    if (mosaic_mem_cloud_open(&o, &cloud) != MOSAIC_MEM_OK) abort();
    if (mosaic_mem_cloud_add(cloud, read, count, &stats) != MOSAIC_MEM_OK || stats.samples + stats.refused != count) abort();
    if (mosaic_mem_cloud_nearest(cloud, zero, NULL, found, 4, &n) != MOSAIC_MEM_OK || n > mosaic_mem_cloud_count(cloud)) abort();
    nowhere = fopen("/dev/null", "wb");
    if (!nowhere || ply_write(nowhere, cloud, size & 1) || fclose(nowhere)) abort();
    mosaic_mem_cloud_close(cloud);
    free(read);
}

static void way(const uint8_t *data, size_t size)
{
    trajectory t;
    mosaic_mem_pose pose;
    size_t keys[8], n;
    char err[200];
    FILE *nowhere;
    if (trajectory_read(data, size, &t, err, sizeof err)) {
        if (t.moment || !err[0]) abort();
        return;
    }
    if (mosaic_mem_at(t.moment, t.count, t.moment[0].time + 0.5, MOSAIC_MEM_SMOOTH, &pose) != MOSAIC_MEM_OK) abort();
    if (mosaic_mem_keyframes(t.moment, t.count, NULL, keys, 8, &n) != MOSAIC_MEM_OK && n <= 8) abort();
    nowhere = fopen("/dev/null", "wb");
    if (!nowhere || trajectory_write_json(nowhere, &t) || trajectory_write_tum(nowhere, &t) || fclose(nowhere)) abort();
    free(t.moment);
}

/* A store that was read from JSON, written so and read again is the same file. */
static void json(const uint8_t *data, size_t size)
{
    char err[256];
    size_t made, again;
    int is_store;
    mosaic_mem *m = NULL;
    FILE *text;
    char *written = NULL;
    size_t written_size;
    uint8_t *binary = store_read_json(data, size, &made, &is_store, err, sizeof err), *twice;
    if (!binary) return;
    if (mosaic_mem_load(binary, made, NULL, &m) == MOSAIC_MEM_OK) {
        text = open_memstream(&written, &written_size);
        if (!text || store_write_json(text, binary) || fclose(text)) abort();
        twice = store_read_json((const uint8_t *)written, written_size, &again, &is_store, err, sizeof err);
        if (!twice || again != made || memcmp(twice, binary, made)) abort();
        free(twice);
        free(written);
    }
    mosaic_mem_close(m);
    free(binary);
}

/* What was read goes on with any picture, and is written as it is. */
static void film(const uint8_t *data, size_t size)
{
    mosaic_mem_film *f, *again;
    buffer b = {NULL, 0};
    int i;
    if (mosaic_mem_film_load(data, size, NULL, &f) != MOSAIC_MEM_OK) {
        if (f) abort();
        return;
    }
    for (i = 0; i < 3; i++) {
        const size_t cells = (size_t)f->o.cols * (size_t)f->o.rows;
        uint8_t *pixels = (uint8_t *)malloc(27 * cells);
        uint32_t *tags = (uint32_t *)malloc(4 * cells);
        size_t k;
        if (!pixels || !tags) abort();
        for (k = 0; k < 27 * cells; k++) pixels[k] = f->count && i ? f->pixels[k] : (uint8_t)(k * 37 % 251);
        if (mosaic_mem_film_recall(f, pixels, i == 1, i, -i, NULL, tags) != MOSAIC_MEM_OK || mosaic_mem_film_keep(f, tags) != MOSAIC_MEM_OK) abort();
        free(pixels);
        free(tags);
    }
    if (mosaic_mem_film_save(f, append, &b) != MOSAIC_MEM_OK || mosaic_mem_film_load(b.bytes, b.size, NULL, &again) != MOSAIC_MEM_OK) abort();
    mosaic_mem_film_close(again);
    mosaic_mem_film_close(f);
    free(b.bytes);
}

/* The sum over the bytes of a store is put right, so that changes get behind it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;
    mosaic_mem *m = NULL;
    mosaic_mem_result result;
    if (size >= 3 && memcmp(data, "ply", 3) == 0) {
        points(data, size);
        return 0;
    }
    if (size && (data[0] == '{' || data[0] == '#' || data[0] == ' ')) {
        way(data, size);
        json(data, size);
        return 0;
    }
    copy = (uint8_t *)malloc(size + 1);
    if (!copy) abort();
    memcpy(copy, data, size);
    if (size > 4) {
        const uint32_t crc = mosaic_mem__crc(0, copy, size - 4);
        int i;
        for (i = 0; i < 4; i++) copy[size - 4 + (size_t)i] = (uint8_t)(crc >> 8 * i);
    }
    if (size >= 8 && memcmp(copy, "MOSAICMF", 8) == 0) film(copy, size);
    result = mosaic_mem_load(copy, size, NULL, &m);
    if ((result == MOSAIC_MEM_OK) != (m != NULL)) abort();
    if (m) {
        mosaic_mem_hit hits[16];
        uint8_t mask[64];
        mosaic_mem_canvas canvas;
        mosaic_mem_region r;
        const mosaic_mem_view view = picture(0)->view;
        buffer b = {NULL, 0};
        size_t found;
        memset(&canvas, 0, sizeof canvas);
        memset(&r, 0, sizeof r);
        canvas.width = canvas.height = 8, canvas.mask = mask;
        if (mosaic_mem_save(m, append, &b) != MOSAIC_MEM_OK || b.size != size || memcmp(b.bytes, copy, size) != 0) {
            /* Equal but for what a reader may overlook: bytes of reserve, and pictures in another order. */
            mosaic_mem *again = NULL;
            if (mosaic_mem_load(b.bytes, b.size, NULL, &again) != MOSAIC_MEM_OK) abort();
            mosaic_mem_close(again);
        }
        free(b.bytes);
        if (mosaic_mem_query(m, &view, NULL, NULL, hits, 16, &found, NULL) != MOSAIC_MEM_OK) abort();
        if (mosaic_mem_compose(m, &view, hits, found, NULL, &canvas, NULL) != MOSAIC_MEM_OK) abort();
        r.shape = MOSAIC_MEM_BALL, r.radius = 3;
        if (mosaic_mem_erase(m, &r, NULL) != MOSAIC_MEM_OK) abort();
        mosaic_mem_close(m);
    }
    free(copy);
    return 0;
}

static const char *const texts[6] = {
    "ply\nformat ascii 1.0\ncomment two\nelement vertex 2\nproperty float x\nproperty double y\nproperty float z\nproperty uchar red\nend_header\n0 "
    "1 2 255\n-1.5 "
    "2e3 4 0\n",
    "ply\r\nformat binary_little_endian 1.0\r\nelement face 1\nproperty list uchar int vertex_indices\nelement vertex 1\nproperty short x\nproperty "
    "ushort "
    "y\nproperty char z\nproperty uint weight\nend_header\n\002abcdefghABCDE1234",
    "ply\nformat binary_big_endian 1.0\nelement vertex 1\nproperty float x\nproperty double y\nproperty float z\nproperty float "
    "nx\nend_header\n@aaa@bbbbbbb@ccc@ddd",
    "{\"version\": 1, \"convention\": \"opengl\", \"intrinsics\": {\"fx\": 1, \"fy\": 2, \"cx\": 3, \"cy\": 4, \"width\": 5, \"height\": 6}, "
    "\"poses\": "
    "[{\"timestamp\": 0, \"world_to_camera\": {\"tx\": 0, \"ty\": 1, \"tz\": 2, \"qx\": 0, \"qy\": 0.5, \"qz\": 0, \"qw\": 1}}]}",
    "# t\n0 1 2 3 0 0 0 1\n1 2 3 4 0.1 0 0 1\n",
    " 0 1 2 3 0 0 0 1"};

enum { SEEDS = 32 };

static void seed(buffer *b, int i)
{
    mosaic_mem_options o;
    mosaic_mem *m;
    double affine[12];
    if (i >= 20) { /* the stores, as JSON */
        buffer binary = {NULL, 0};
        FILE *text = open_memstream((char **)&b->bytes, &b->size);
        seed(&binary, i - 20);
        if (!text || store_write_json(text, binary.bytes) || fclose(text)) abort();
        free(binary.bytes);
        return;
    }
    if (i >= 18) {
        static uint8_t pixels[27 * 12];
        static uint32_t tags[12];
        mosaic_mem_film_options film_options;
        mosaic_mem_film *f;
        int k;
        memset(&film_options, 0, sizeof film_options);
        film_options.cols = 4, film_options.rows = 3, film_options.pictures = 3;
        if (mosaic_mem_film_open(&film_options, &f) != MOSAIC_MEM_OK) abort();
        for (k = 0; k < 3 * (i - 18); k++) {
            memset(pixels, 60 * k, sizeof pixels);
            if (mosaic_mem_film_recall(f, pixels, k % 2, k, 0, NULL, tags) != MOSAIC_MEM_OK || mosaic_mem_film_keep(f, tags) != MOSAIC_MEM_OK)
                abort();
        }
        if (mosaic_mem_film_save(f, append, b) != MOSAIC_MEM_OK) abort();
        mosaic_mem_film_close(f);
        return;
    }
    if (i >= 12) {
        append(b, texts[i - 12], strlen(texts[i - 12]));
        return;
    }
    memset(&o, 0, sizeof o);
    o.channels = 2, o.tags = i & 1, o.type = (mosaic_mem_type)(i % 3), o.tile_width = 1 + i % 4;
    if (mosaic_mem_open(&o, &m) != MOSAIC_MEM_OK) abort();
    if (i > 1 && (mosaic_mem_insert(m, picture(0), NULL) != MOSAIC_MEM_OK || mosaic_mem_insert(m, picture(i), NULL) != MOSAIC_MEM_OK)) abort();
    mosaic_mem_affine_shift(1, 2, 3, affine);
    if (i > 4 && mosaic_mem_transform(m, NULL, affine, NULL) != MOSAIC_MEM_OK) abort();
    if (mosaic_mem_save(m, append, b) != MOSAIC_MEM_OK) abort();
    mosaic_mem_close(m);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[4096];
    int i;
    if (*argc != 3 || strcmp((*argv)[1], "--seeds") != 0) return 0;
    for (i = 0; i < SEEDS; i++) {
        buffer b = {NULL, 0};
        FILE *out;
        seed(&b, i);
        snprintf(path, sizeof path, "%s/seed%d", (*argv)[2], i);
        out = fopen(path, "wb");
        if (!out || fwrite(b.bytes, 1, b.size, out) != b.size || fclose(out)) exit(1);
        free(b.bytes);
    }
    exit(0);
}

#if defined(FUZZ_MAIN)
int main(void)
{
    int round, changes;
    for (round = 0; round < 4000; round++) {
        buffer b = {NULL, 0};
        seed(&b, round % SEEDS);
        if (round % 5 == 0) b.size = test_random() % b.size;
        for (changes = round % 7; changes > 0 && b.size; changes--)
            b.bytes[test_random() % (changes & 1 && b.size > 400 ? 400 : b.size)] = (uint8_t)test_random();
        LLVMFuzzerTestOneInput(b.bytes, b.size);
        free(b.bytes);
    }
    return 0;
}
#endif
