/* fuzz_safetensors.c - libFuzzer target: any bytes as a safetensors file, and as both shards of a folder with an index. What opens is
 * looked at whole. */
#include <stddef.h>

#include "tests/unit/weights_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_all(struct wf_files *files)
{
    const struct tenon_weights *weights = wf_plugin();
    struct tenon_weights_model *model;
    struct tenon_err err = TENON_ERR_INIT;
    if (weights->open(NULL, &files->table, NULL, &model, &err) == TENON_OK) {
        volatile uint64_t sum = wf_walk(weights, model, files);
        (void)sum;
        weights->close(NULL, model);
    } else if (err.code == TENON_OK || err.message[0] == '\0') {
        abort(); /* a failure without a reason */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char index[] = "{\"weight_map\":{\"a\":\"m1.safetensors\",\"b\":\"m2.safetensors\"}}";
    struct wf_files files;
    wf_files_init(&files);
    wf_files_set(&files, 0, "config.json", "{}", 2);
    wf_files_set(&files, 1, "model.safetensors", data, size);
    (void)wf_plugin()->probe(NULL, data, size);
    open_all(&files);
    wf_files_set(&files, 1, "m1.safetensors", data, size / 2);
    wf_files_set(&files, 2, "m2.safetensors", data + size / 2, size - size / 2);
    wf_files_set(&files, 3, "model.safetensors.index.json", index, sizeof index - 1);
    open_all(&files);
    wf_files_set(&files, 3, "model.safetensors.index.json", data, size);
    open_all(&files);
    return 0;
}
