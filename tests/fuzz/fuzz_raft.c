/* Any bytes as a weight file of RAFT: each comes back with weights or a named error, and nothing outside the bytes is read.
   clang -g -O1 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_raft.c -o fuzz_raft
   fuzz_raft --seeds FOLDER writes small files of every format to begin with.
   Without libFuzzer: cc -g -fsanitize=address,undefined -DFUZZ_MAIN tests/fuzz/fuzz_raft.c -o fuzz_raft; it changes bytes of such files. */
#include "../test.h"
#define MOSAIC_FLOW_STATIC
#define MOSAIC_FLOW_IMPLEMENTATION
#include "../../mosaic_flow.h"
#include "../raft_files.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A few tensors in format 0 ... 2 (legacy .pth, zip .pth, safetensors), or the head of a flat file. */
static void small_file(raft_file *f, int format)
{
    raft_tensors few;
    memset(f, 0, sizeof *f);
    raft_generate(&few, format & 1, format >> 1 & 1, 2);
    if (format % 4 == 0) raft_write_legacy(f, &few);
    if (format % 4 == 1) raft_write_zip(f, &few, format % 3);
    if (format % 4 == 2) raft_write_safetensors(f, &few, format % 3);
    if (format % 4 == 3) {
        raft_text(f, "MOSAICFW");
        raft_number(f, 1, 4);
        raft_number(f, 0, 4);
        raft_number(f, 990162, 8);
        raft_number(f, 0, 8);
        raft_number(f, 0, 8);
    }
    raft_release(&few);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mosaic_flow_weights *weights = NULL;
    mosaic_flow_weights_info info;
    const mosaic_flow_result result = mosaic_flow_weights_load(data, size, NULL, &weights);
    if ((result == MOSAIC_FLOW_OK) != (weights != NULL)) abort();
    if (weights && mosaic_flow_weights_describe(weights, &info) != MOSAIC_FLOW_OK) abort();
    mosaic_flow_weights_free(weights);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[4096];
    int format;
    if (*argc != 3 || strcmp((*argv)[1], "--seeds") != 0) return 0;
    for (format = 0; format < 12; format++) {
        raft_file f;
        FILE *out;
        small_file(&f, format);
        snprintf(path, sizeof path, "%s/seed%d", (*argv)[2], format);
        out = fopen(path, "wb");
        if (!out || fwrite(f.bytes, 1, f.size, out) != f.size || fclose(out)) exit(1);
        free(f.bytes);
    }
    exit(0);
}

#if defined(FUZZ_MAIN)
int main(void)
{
    int round, changes;
    for (round = 0; round < 600; round++) {
        raft_file f;
        uint8_t *exact;
        small_file(&f, round);
        if (round % 5 == 0) f.size = test_random() % f.size;
        exact = (uint8_t *)malloc(f.size + 1);
        memcpy(exact, f.bytes, f.size);
        for (changes = round % 7; changes > 0 && f.size; changes--)
            exact[test_random() % (changes & 1 && f.size > 600 ? 600 : f.size)] = (uint8_t)test_random();
        LLVMFuzzerTestOneInput(exact, f.size);
        free(exact);
        free(f.bytes);
    }
    return 0;
}
#endif
