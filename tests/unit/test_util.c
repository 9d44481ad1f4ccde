/* The small shared pieces of the examples: options, queue, whole files, folders of pictures, EXIF. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#include "../../examples/util/options.h"
#include "../../examples/util/pictures.h"
#include "../../examples/util/queue.h"
#include "../test.h"

static void test_words(void)
{
    static const char *const names[] = {"default", "legacy", "natural", NULL};
    char err[256];
    CHECK(options_distance("", "") == 0);
    CHECK(options_distance("abc", "") == 3);
    CHECK(options_distance("kitten", "sitting") == 3);
    CHECK(options_distance("form", "from") == 1);
    CHECK(options_distance("ca", "abc") == 3);
    CHECK(options_distance("a-very-long-word-that-goes-past-the-limit", "a-very-long-word-that-goes-past-the-end") == 0);
    CHECK(options_choice("x", "legacy", names, err, sizeof err) == 1);
    CHECK(options_choice("--preset", "ledacy", names, err, sizeof err) == -1);
    CHECK_MSG(strstr(err, "\"legacy\"?") && strstr(err, "default, legacy, natural"), "%s", err);
    CHECK(options_choice("--preset", "zzz", names, err, sizeof err) == -1 && !strstr(err, "did you mean"));
}

static void test_parsing(void)
{
    static const char *const levels[] = {"one", "two", NULL};
    int flag = 0, number = 5, level = 0;
    double real = 0;
    const char *text = NULL;
    option_list list = {NULL, 0};
    const option table[] = {{NULL, NULL, 0, NULL, 0, 0, NULL, "Group"},
                            {"--flag", NULL, OPTION_FLAG, &flag, 0, 0, NULL, "f"},
                            {"--number", "N", OPTION_INT, &number, -3, 10, NULL, "n"},
                            {"--real", "X", OPTION_NUMBER, &real, -1, 1, NULL, "r"},
                            {"--text", "T", OPTION_TEXT, &text, 0, 0, NULL, "t"},
                            {"--level", "L", OPTION_CHOICE, &level, 0, 0, levels, "l"},
                            {"--list", "A...", OPTION_LIST, &list, 0, 0, NULL, "a"},
                            {NULL, NULL, 0, NULL, 0, 0, NULL, NULL}};
    char err[256];
    struct {
        const char *words[6];
        int result;
    } cases[] = {
        {{"--flag", "--number", "-3", "--real=0.5"}, 0},
        {{"--text", "-", "--level=two"}, 0},
        {{"--list", "a", "b", "--list", "c"}, 0},
        {{"--number", "11"}, -1},
        {{"--number", "1.5"}, -1},
        {{"--number", ""}, -1},
        {{"--number", "99999999999999"}, -1},
        {{"--real", "nan"}, -1},
        {{"--real", "0.5x"}, -1},
        {{"--text"}, -1},
        {{"--text", "--flag"}, -1},
        {{"--text="}, -1},
        {{"--flag=1"}, -1},
        {{"word"}, -1},
        {{"--list"}, -1},
        {{"--level", "three"}, -1},
        {{"--flags"}, -1},
        {{"--"}, -1},
        {{"--fla"}, -1},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *argv[7] = {NULL};
        int argc = 1, k;
        for (k = 0; k < 6 && cases[i].words[k]; k++) argv[argc++] = (char *)(size_t)cases[i].words[k];
        err[0] = 0;
        CHECK_MSG(options_parse(table, argc, argv, err, sizeof err) == cases[i].result, "%s: %s", cases[i].words[0], err);
        CHECK((cases[i].result == 0) == (err[0] == 0));
    }
    CHECK(flag == 1 && number == -3 && real == 0.5 && !strcmp(text, "-") && level == 1);
    CHECK(list.count == 3 && !strcmp(list.items[2], "c"));
    free((void *)list.items);
}

static void *count_up(void *arg)
{
    queue *q = (queue *)arg;
    unsigned char *slot;
    unsigned i;
    for (i = 0; i < 10000 && (slot = queue_room(q)) != NULL; i++) {
        memcpy(slot, &i, sizeof i);
        queue_put(q);
    }
    queue_finish(q);
    return NULL;
}

static void test_queue(void)
{
    queue q;
    pthread_t thread;
    const unsigned char *slot;
    unsigned expected = 0, got;
    CHECK(queue_init(&q, 3, sizeof got) == 0);
    pthread_create(&thread, NULL, count_up, &q);
    while ((slot = queue_front(&q)) != NULL) {
        memcpy(&got, slot, sizeof got);
        CHECK(got == expected);
        expected++;
        queue_drop(&q);
    }
    CHECK(expected == 10000);
    pthread_join(thread, NULL);
    queue_free(&q);
    CHECK(queue_init(&q, 3, sizeof got) == 0); /* a consumer that gives up */
    pthread_create(&thread, NULL, count_up, &q);
    CHECK(queue_front(&q) != NULL);
    queue_stop(&q);
    pthread_join(thread, NULL);
    CHECK(queue_room(&q) == NULL);
    queue_free(&q);
}

static char folder[] = "/tmp/mosaic_util.XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[8][512];
    static int next;
    next = (next + 1) % 8;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void put(const char *name, const void *data, size_t size)
{
    FILE *f = fopen(in_folder(name), "wb");
    CHECK(f && fwrite(data, 1, size, f) == size);
    if (f) fclose(f);
}

static void test_whole_file(void)
{
    whole_file w;
    char err[256] = "";
    FILE *f = whole_file_open(&w, in_folder("whole"), err, sizeof err);
    CHECK(f != NULL && access(w.path, F_OK) != 0 && access(w.part, F_OK) == 0);
    fputs("x", f);
    CHECK(whole_file_close(&w, f, 1, err, sizeof err) == 0 && access(w.path, F_OK) == 0 && access(w.part, F_OK) != 0);
    f = whole_file_open(&w, in_folder("never"), err, sizeof err);
    CHECK(f != NULL && whole_file_close(&w, f, 0, err, sizeof err) == 0 && access(w.path, F_OK) != 0 && access(w.part, F_OK) != 0);
    CHECK(symlink("whole", in_folder("link")) == 0); /* the file behind a link is replaced, not the link */
    f = whole_file_open(&w, in_folder("link"), err, sizeof err);
    CHECK(f != NULL && strstr(w.path, "/whole") != NULL);
    fputs("yz", f);
    CHECK(whole_file_close(&w, f, 1, err, sizeof err) == 0);
    f = fopen(in_folder("whole"), "rb");
    CHECK(f && fgetc(f) == 'y');
    if (f) fclose(f);
    CHECK(whole_file_open(&w, in_folder("no/such"), err, sizeof err) == NULL && strstr(err, "make its folder first") != NULL);
    if (access("/dev/full", W_OK) == 0) {
        f = whole_file_open(&w, "/dev/full", err, sizeof err);
        CHECK(f != NULL && fputs("x", f) >= 0 && whole_file_close(&w, f, 1, err, sizeof err) == -1 && strstr(err, "free some space") != NULL);
        CHECK(access("/dev/full", F_OK) == 0);
    }
    unlink(in_folder("link"));
    unlink(in_folder("whole"));
}

/* A JPEG of 32 x 16 whose quarters have four grays, with an EXIF segment of this orientation (0: none) in this byte order. */
static void put_jpeg(const char *name, int orientation, int little)
{
    static const unsigned char big_head[] = {0xff, 0xe1, 0, 34,   'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8,
                                             0,    1,    1, 0x12, 0,   3,   0,   0,   0, 1, 0,   0,   0, 0,  0, 0, 0, 0};
    static const unsigned char little_head[] = {0xff, 0xe1, 0,    34, 'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0,
                                                1,    0,    0x12, 1,  3,   0,   1,   0,   0, 0, 0,   0,   0,  0, 0, 0, 0, 0};
    static const unsigned char gray[4] = {10, 80, 160, 240};
    unsigned char rgb[32 * 16 * 3], segment[36], data[20000];
    char err[256];
    size_t size;
    FILE *f;
    int x, y;
    for (y = 0; y < 16; y++)
        for (x = 0; x < 32; x++) memset(rgb + 3 * (32 * y + x), gray[(y / 8) * 2 + x / 16], 3);
    CHECK(picture_write(in_folder("plain.jpg"), rgb, 32, 16, err, sizeof err) == 0);
    f = fopen(in_folder("plain.jpg"), "rb");
    size = f ? fread(data, 1, sizeof data, f) : 0;
    if (f) fclose(f);
    memcpy(segment, little ? little_head : big_head, sizeof segment);
    segment[little ? 28 : 29] = (unsigned char)orientation;
    f = fopen(in_folder(name), "wb");
    CHECK(f && size > 2);
    if (!f) return;
    fwrite(data, 1, 2, f);
    if (orientation) fwrite(segment, 1, sizeof segment, f);
    fwrite(data + 2, 1, size - 2, f);
    fclose(f);
    unlink(in_folder("plain.jpg"));
}

/* Which of the four grays each quarter of the picture shows: top left, top right, bottom left, bottom right, as digits. */
static int quarters(const unsigned char *rgb, int width, int height)
{
    int i, seen = 0;
    for (i = 0; i < 4; i++) {
        const int x = (i % 2 ? 3 : 1) * width / 4, y = (i / 2 ? 3 : 1) * height / 4, v = rgb[3 * (y * width + x)];
        seen = 10 * seen + (v < 45 ? 1 : v < 120 ? 2 : v < 200 ? 3 : 4);
    }
    return seen;
}

static void test_orientation(void)
{
    static const int shown[9] = {1234, 1234, 2143, 4321, 3412, 1324, 3142, 4231, 2413}; /* by the EXIF standard */
    const char *why;
    int i, little, width, height;
    for (i = 0; i <= 8; i++)
        for (little = 0; little < 2; little++) {
            unsigned char *rgb;
            put_jpeg("turned.jpg", i, little);
            rgb = picture_read(in_folder("turned.jpg"), &width, &height, &why);
            CHECK_MSG(rgb != NULL, "%s", why);
            if (!rgb) continue;
            CHECK(i >= 5 ? width == 16 && height == 32 : width == 32 && height == 16);
            CHECK_MSG(quarters(rgb, width, height) == shown[i], "orientation %d: %d", i, quarters(rgb, width, height));
            free(rgb);
        }
    unlink(in_folder("turned.jpg"));
}

static void test_reading(void)
{
    static const unsigned char tga[18 + 8] = {0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 32, 0x28, 200, 100, 0, 255, 200, 100, 0, 0};
    const char *why = NULL;
    int width, height;
    unsigned char *rgb;
    put("a.tga", tga, sizeof tga); /* blue, green, red, alpha: one pixel solid, one clear */
    rgb = picture_read(in_folder("a.tga"), &width, &height, &why);
    CHECK(rgb && width == 2 && height == 1 && rgb[0] == 0 && rgb[1] == 100 && rgb[2] == 200 && rgb[3] == 255 && rgb[4] == 255 && rgb[5] == 255);
    free(rgb);
    put("a.tga", "", 0);
    CHECK(!picture_read(in_folder("a.tga"), &width, &height, &why) && !strcmp(why, "is empty"));
    put("a.tga", "nonsense", 8);
    CHECK(!picture_read(in_folder("a.tga"), &width, &height, &why) && why);
    CHECK(!picture_read(in_folder("nowhere"), &width, &height, &why) && !strcmp(why, "cannot be opened"));
    unlink(in_folder("a.tga"));
}

static void test_folders(void)
{
    const char *both[2];
    picture_list list;
    char err[256];
    uint64_t stamp;
    mkdir(in_folder("d"), 0700);
    mkdir(in_folder("d/sub"), 0700);
    put("d/b.JPG", "1", 1);
    put("d/a.png", "22", 2);
    put("d/.hidden.png", "3", 1);
    put("d/notes.txt", "4", 1);
    put("d/sub/c.jpeg", "5", 1);
    CHECK(symlink("../b.JPG", in_folder("d/sub/again.jpg")) == 0);
    CHECK(symlink("..", in_folder("d/sub/up")) == 0);
    both[0] = in_folder("d/");
    both[1] = in_folder("d/sub");
    CHECK(pictures_find(&list, both, 2, err, sizeof err) == 0);
    CHECK(list.count == 3 && !strcmp(list.file[0].name, "a.png") && !strcmp(list.file[1].name, "b.JPG") && !strcmp(list.file[2].name, "sub/c.jpeg"));
    stamp = list.file[0].stamp;
    picture_list_free(&list);
    both[0] = in_folder("d/sub");
    both[1] = in_folder("d");
    put("d/a.png", "222", 3);
    CHECK(pictures_find(&list, both, 2, err, sizeof err) == 0);
    CHECK(list.count == 3 && !strcmp(list.file[0].name, "again.jpg") && !strcmp(list.file[1].name, "c.jpeg") &&
          !strcmp(list.file[2].name, "up/a.png"));
    CHECK(list.file[2].stamp != stamp && list.file[2].size == 3);
    picture_list_free(&list);
    both[0] = in_folder("nowhere");
    CHECK(pictures_find(&list, both, 1, err, sizeof err) == -1 && strstr(err, "nowhere") != NULL);
    unlink(in_folder("d/sub/up"));
    unlink(in_folder("d/sub/again.jpg"));
    unlink(in_folder("d/sub/c.jpeg"));
    unlink(in_folder("d/.hidden.png"));
    unlink(in_folder("d/notes.txt"));
    unlink(in_folder("d/a.png"));
    unlink(in_folder("d/b.JPG"));
    rmdir(in_folder("d/sub"));
    rmdir(in_folder("d"));
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    test_words();
    test_parsing();
    test_queue();
    test_whole_file();
    test_orientation();
    test_reading();
    test_folders();
    CHECK(rmdir(folder) == 0);
    return test_end("util");
}
