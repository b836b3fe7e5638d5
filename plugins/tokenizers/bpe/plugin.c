/* plugin.c - byte-level BPE from GGUF metadata as "tenon.tokenizer/1": opening, decoding and the descriptor. Encoding is
 * in encode.c. Threads and ownership as tokenizer.h says. Contract: tokenizer.h. */
#include <stdlib.h>
#include <string.h>

#include "encode.h"

#define MODEL "tokenizer.ggml.model"
#define PRE "tokenizer.ggml.pre"

static const char *const kinds[] = {"gpt2", "gemma4", NULL}; /* of MODEL */

/* What init was given; the loader calls it once, before all else. */
static struct {
    const struct tenon_log *log; /* NULL: none */
} state;

static void warn(const char *text)
{
    if (state.log != NULL && state.log->level >= TENON_LOG_WARN)
        state.log->write(state.log->ctx, TENON_LOG_WARN, text, strlen(text));
}

static int32_t match(void *self, const struct tenon_meta *meta)
{
    (void)self; /* the plugin has no state of its own that opening depends on */
    for (size_t i = 0; kinds[i] != NULL; i++)
        if (tok_meta_is(meta, MODEL, kinds[i]))
            return 100;
    return 0;
}

static int32_t find_pre(const struct tenon_meta *meta, const struct bpe_pre **ret_pre, struct tenon_err *err)
{
    struct tenon_str name;
    char known[256];
    int32_t status = tok_meta_string(meta, PRE, &name, err);
    if (status != 0)
        return status;
    if (name.size == 0 && tok_meta_is(meta, MODEL, "gemma4"))
        name = (struct tenon_str){"gemma4", strlen("gemma4")};
    if (name.size == 0) {
        warn("the model has no " PRE ": text is split as \"default\" says, ids may differ from the model's own");
        name = (struct tenon_str){"default", strlen("default")};
    }
    *ret_pre = bpe_pre_find(name.data, (size_t)name.size);
    if (*ret_pre == NULL)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "bpe", "the split \"%.*s\" (" PRE ") is not known; known are: %s",
                          (int)(name.size < 64 ? name.size : 64), name.data, bpe_pre_names(known, sizeof known));
    return 0;
}

static void close_tokenizer(void *self, struct tenon_tokenizer_object *tok)
{
    (void)self;
    if (tok == NULL)
        return;
    tok_pool_finish(&tok->pool);
    bpe_split_finish(&tok->split);
    tok_special_finish(&tok->special);
    bpe_pairs_finish(&tok->pairs);
    tok_vocab_finish(&tok->vocab);
    free(tok);
}

static uint32_t longest_spelling(const struct tok_vocab *v)
{
    uint64_t longest = 0;
    for (uint32_t id = 0; id < v->n; id++)
        if (v->text[id].size > longest)
            longest = v->text[id].size;
    return longest < UINT32_MAX ? (uint32_t)longest : UINT32_MAX;
}

/* Single bytes. A token that only looks like a spelled byte but was added by hand ("\xc3\xb5" of type user-defined)
 * stands for its own text and not for the byte. */
static void find_bytes(struct tenon_tokenizer_object *tok)
{
    const struct tok_vocab *v = &tok->vocab;
    const uint8_t added = TENON_TOKEN_CONTROL | TENON_TOKEN_USER_DEFINED | TENON_TOKEN_UNKNOWN;
    bpe_bytes_init(&tok->bytes);
    for (int i = 0; i < 256; i++) {
        char byte = (char)i, spelled[2];
        int32_t id = tok_vocab_find(v, spelled, bpe_bytes_spell(&tok->bytes, &byte, 1, spelled));
        tok->byte_id[i] = id >= 0 && (v->attributes[id] & added) == 0 ? id : -1;
    }
}

static void *create_matcher(void)
{
    struct bpe_matcher *m = calloc(1, sizeof *m);
    if (m != NULL && bpe_matcher_init(m) != 0) {
        free(m);
        m = NULL;
    }
    return m;
}

static void destroy_matcher(void *own)
{
    if (own != NULL)
        bpe_matcher_finish(own);
    free(own);
}

/* What the split's name implies where the metadata is silent. */
static void apply_flags(struct tenon_tokenizer_object *tok, uint32_t flags)
{
    if (tok->vocab.add_bos < 0)
        tok->vocab.add_bos = (flags & BPE_PRE_ADD_BOS) != 0;
    if (tok->vocab.add_eos < 0)
        tok->vocab.add_eos = (flags & BPE_PRE_ADD_EOS) != 0;
    tok->is_raw = (flags & BPE_PRE_RAW) != 0;
    tok->longest = flags & BPE_PRE_IGNORE_MERGES ? longest_spelling(&tok->vocab) : 0;
}

static int32_t open_tokenizer(void *self, const struct tenon_meta *meta, const struct tenon_files *files,
                              struct tenon_tokenizer_object **ret, struct tenon_err *err)
{
    const struct bpe_pre *pre;
    struct tenon_tokenizer_object *tok;
    int32_t status;
    (void)files; /* all is in the metadata */
    if (match(self, meta) == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "bpe",
                          MODEL " is not gpt2 or gemma4: another tokenizer plugin is needed");
    if ((status = find_pre(meta, &pre, err)) != 0)
        return status;
    tok = calloc(1, sizeof *tok);
    if (tok == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for a tokenizer");
    tok->pool.create_own = create_matcher;
    tok->pool.destroy_own = destroy_matcher;
    if ((status = tok_vocab_init(&tok->vocab, meta, err)) != 0 ||
        (status = bpe_pairs_init(&tok->pairs, &tok->vocab, meta, err)) != 0 ||
        (status = tok_special_init(&tok->special, &tok->vocab, err)) != 0 ||
        (status = bpe_split_init(&tok->split, pre, err)) != 0) {
        close_tokenizer(self, tok);
        return status;
    }
    apply_flags(tok, pre->flags);
    find_bytes(tok);
    tok_chars_init(&tok->chars, &tok->vocab, (pre->flags & BPE_PRE_SPACES) != 0);
    *ret = tok;
    return 0;
}

static int32_t info(struct tenon_tokenizer_object *tok, struct tenon_tokenizer_info *ret_info)
{
    tok_vocab_info(&tok->vocab, ret_info);
    return 0;
}

static int32_t decode(struct tenon_tokenizer_object *tok, uint64_t *ctx, int32_t id, uint32_t flags, char *buf,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_vocab *v = &tok->vocab;
    size_t n = 0;
    int32_t status = tok_vocab_check(v, id, err);
    (void)ctx; /* what a token stands for does not depend on what came before */
    if (status != 0)
        return status;
    if ((v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) && !(flags & TENON_DECODE_SPECIAL)) {
        *ret_n = 0;
        return 0;
    }
    if (tok->is_raw) {
        *ret_n = tok_chars_decode(&tok->chars, v, id, false, buf, (size_t)capacity);
        return 0;
    }
    if ((v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN | TENON_TOKEN_USER_DEFINED)) ||
        !bpe_bytes_unspell(&tok->bytes, v->text[id].data, (size_t)v->text[id].size, buf, (size_t)capacity, &n)) {
        n = (size_t)v->text[id].size;
        if (n > 0 && capacity > 0)
            memcpy(buf, v->text[id].data, n < capacity ? n : (size_t)capacity);
    }
    *ret_n = n;
    return 0;
}

static int32_t piece(struct tenon_tokenizer_object *tok, int32_t id, struct tenon_str *ret_piece,
                     uint32_t *ret_attributes)
{
    return tok_vocab_piece(&tok->vocab, id, ret_piece, ret_attributes);
}

static int32_t init(const struct tenon_host *host, void **ret_self, struct tenon_err *err)
{
    (void)err; /* nothing can fail: without a log there are no warnings */
    state.log = host->service(host->ctx, TENON_LOG_SERVICE);
    *ret_self = NULL;
    return 0;
}

static const struct tenon_tokenizer tokenizer = {
    .struct_size = sizeof tokenizer, .match = match, .open = open_tokenizer, .close = close_tokenizer, .info = info,
    .encode = bpe_encode, .decode = decode, .piece = piece,
};
static const struct tenon_item items[] = {
    TENON_ITEM(TENON_TOKENIZER_IFACE, "bpe", kinds, &tokenizer),
};
static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "org.tenon.tokenizer.bpe",
    .version = "0.1.0", .vendor = "Tenon", .license = "Apache-2.0", .url = "",
    .description = "Byte-level BPE from GGUF vocabularies (gpt2)", .items = items, .n_items = 1,
    .item_stride = sizeof items[0], .init = init,
};
TENON_PLUGIN_ENTRY(plugin)
