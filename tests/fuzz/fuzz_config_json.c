/* fuzz_config_json.c - libFuzzer target: any bytes as the JSON files of a Hugging Face directory, and what a family of decoders makes
 * of the keys in them. */
#include <stddef.h>

#include <tenon/decoder.h>

#include "tests/unit/weights_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tenon_model_config {
    struct tenon_decoder d;
};
static const struct tenon_weight_row rows[] = {TENON_DECODER_ROWS, TENON_DECODER_QKV_BIAS(TENON_WEIGHT_OPTIONAL), TENON_DECODER_ROPE_FACTORS};
static const struct tenon_decoder_family family = {
    .arch = "llama", .rope_layout = "interleaved", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config),
};

static void configure(const struct tenon_meta *meta)
{
    struct tenon_model_config *config = NULL;
    struct tenon_model_info info;
    struct tenon_err err = TENON_ERR_INIT;
    (void)tenon_decoder_match(&family, meta);
    if (tenon_decoder_config(&family, meta, &config, &info, &err) == TENON_OK) {
        if (info.n_layers == 0 || info.vocab_size == 0)
            abort();
        free(config);
    } else if (err.message[0] == '\0') {
        abort(); /* a failure without a reason */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char weights[] = "\2\0\0\0\0\0\0\0{}";
    const struct tenon_weights *plugin = wf_plugin();
    struct tenon_weights_model *model;
    struct tenon_err err = TENON_ERR_INIT;
    struct wf_files files;
    wf_files_init(&files);
    wf_files_set(&files, 0, "config.json", data, size);
    wf_files_set(&files, 1, "model.safetensors", weights, sizeof weights - 1);
    wf_files_set(&files, 2, "tokenizer_config.json", data, size);
    if (plugin->open(NULL, &files.table, NULL, &model, &err) == TENON_OK) {
        volatile uint64_t sum = wf_walk(plugin, model, &files);
        (void)sum;
        configure(plugin->metadata(model));
        plugin->close(NULL, model);
    } else if (err.code == TENON_OK || err.message[0] == '\0') {
        abort(); /* a failure without a reason */
    }
    return 0;
}
