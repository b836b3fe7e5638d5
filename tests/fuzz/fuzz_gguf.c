/* fuzz_gguf.c - libFuzzer target: any bytes as a GGUF file. The same bytes stand for every shard, so the way through
 * several files is reached too. What opens is looked at whole. */
#include <stddef.h>

#include "tests/unit/gguf_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tenon_weights *weights = wf_plugin();
    struct tenon_weights_model *model;
    struct tenon_err err = TENON_ERR_INIT;
    struct wf_files files;
    wf_files_init(&files);
    wf_files_set(&files, 0, "m-00001-of-00002.gguf", data, size);
    wf_files_set(&files, 1, "m-00002-of-00002.gguf", data, size);
    (void)weights->probe(NULL, data, size);
    if (weights->open(NULL, &files.table, "m-00001-of-00002.gguf", &model, &err) == TENON_OK) {
        volatile uint64_t sum = wf_walk(weights, model, &files);
        (void)sum;
        weights->close(NULL, model);
    } else if (err.code == TENON_OK || err.message[0] == '\0') {
        abort(); /* a failure without a reason */
    }
    return 0;
}
