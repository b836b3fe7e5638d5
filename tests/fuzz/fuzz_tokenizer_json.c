/* fuzz_tokenizer_json.c - libFuzzer target: any bytes as a tokenizer.json, as one part of an otherwise sound one, or as a
 * tokenizer.model, which the first byte chooses; what opens encodes a text, the file's own bytes among it, and decodes it again. */
#include <stddef.h>

#include "tests/unit/directory.h"

#include <tenon/tokenizer.h>

int32_t tokenizer_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MODEL "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\" \":2,\"ab\":3},\"merges\":[[\"a\",\"b\"]]}"

/* What stands before and after the bytes. */
static const char *const parts[][2] = {
    {"", ""},
    {"{\"model\":" MODEL ",\"normalizer\":", "}"},
    {"{\"model\":" MODEL ",\"pre_tokenizer\":", "}"},
    {"{\"model\":" MODEL ",\"decoder\":", "}"},
    {"{\"model\":" MODEL ",\"post_processor\":", "}"},
    {"{\"model\":" MODEL ",\"added_tokens\":[", "]}"},
    {"{\"model\":", "}"},
    {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],", "]}}"},
    {"{\"model\":" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Removed\",\"pattern\":{\"Regex\":\"", "\"}}}"},
    {"{\"model\":" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"", "\"}}"},
};
#define N_PARTS (sizeof parts / sizeof parts[0])

static void use(const struct tenon_tokenizer *table, struct tenon_tokenizer_object *tok, const uint8_t *data, size_t size)
{
    static const char start[] = "ab <s> a\xcc\x81 \xff\xe4\xbd\xa0 a-b'12";
    char text[256], out[64];
    size_t rest = size < sizeof text - sizeof start ? size : sizeof text - sizeof start;
    int32_t ids[1024];
    uint64_t n = 0, got, state = 0;
    memcpy(text, start, sizeof start);
    memcpy(text + sizeof start, data, rest);
    if (table->encode(tok, text, sizeof start + rest, TENON_ENCODE_SPECIAL, ids, 1024, &n, NULL) != 0)
        return;
    for (uint64_t i = 0; i < n && i < 1024; i++)
        if (table->decode(tok, &state, ids[i], TENON_DECODE_SPECIAL, out, sizeof out, &got, NULL) != 0)
            abort(); /* an id of its own */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tenon_plugin *plugin;
    const struct tenon_tokenizer *table;
    struct tenon_tokenizer_object *tok = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    struct test_meta meta = {0};
    struct directory d = {0};
    size_t which = size > 0 ? data[0] % (N_PARTS + 1) : 0;
    const char *const *part = parts[which % N_PARTS];
    size_t before = strlen(part[0]), after = strlen(part[1]), rest = size > 0 ? size - 1 : 0;
    char *file = malloc(before + rest + after + 1);
    if (file == NULL)
        return 0;
    memcpy(file, part[0], before);
    if (rest > 0)
        memcpy(file + before, data + 1, rest);
    memcpy(file + before + rest, part[1], after);
    directory_add(&d, which == N_PARTS ? "tokenizer.model" : "tokenizer.json", file, before + rest + after);
    free(file);
    tokenizer_entry(TENON_ABI, &plugin);
    table = plugin->items[0].impl;
    if (table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err) == TENON_OK) {
        use(table, tok, data, size);
        table->close(NULL, tok);
    } else if (err.code == TENON_OK || err.message[0] == '\0') {
        abort(); /* a failure without a reason */
    }
    directory_close(&d);
    test_meta_finish(&meta);
    return 0;
}
