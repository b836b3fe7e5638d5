/* plugin.c - byte-level BPE from GGUF metadata as "tenon.tokenizer/1": opening, decoding and the descriptor. Encoding is
 * in encode.c. Threads and ownership as tokenizer.h says. Contract: tokenizer.h. */
#include <stdlib.h>
#include <string.h>

#include "../common/warn.h"
#include "encode.h"
#include "forms.h"

#define MODEL "tokenizer.ggml.model"
#define PRE "tokenizer.ggml.pre"

struct tenon_tokenizer_object {
    struct bpe_tokenizer bpe;
    struct tok_special special;
    struct tok_pool pool; /* whose works own a struct memory */
    bool composes;        /* text is NFC before it is split */
};

struct memory {
    struct bpe_matcher matcher; /* the first, as bpe_plain wants it */
    struct tok_buffer text;
};

static const char *const kinds[] = {"gpt2", "gemma4", NULL}; /* of MODEL */

/* What init was given; the loader calls it once, before all else. */
static struct {
    const struct tenon_log *log; /* NULL: none */
} state;

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
        tok_warn(state.log, "the model has no " PRE ": text is split as \"default\" says, ids may differ from the model's own");
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
    tok_special_finish(&tok->special);
    bpe_tokenizer_finish(&tok->bpe);
    free(tok);
}

static void *create_memory(void)
{
    struct memory *m = calloc(1, sizeof *m);
    if (m != NULL && bpe_matcher_init(&m->matcher) != 0) {
        free(m);
        m = NULL;
    }
    return m;
}

static void destroy_memory(void *own)
{
    struct memory *m = own;
    if (m == NULL)
        return;
    bpe_matcher_finish(&m->matcher);
    tok_buffer_finish(&m->text);
    free(m);
}

/* What the split's name implies where the metadata is silent. */
static void apply_flags(struct tok_vocab *v, uint32_t flags)
{
    if (v->add_bos < 0)
        v->add_bos = (flags & BPE_PRE_ADD_BOS) != 0;
    if (v->add_eos < 0)
        v->add_eos = (flags & BPE_PRE_ADD_EOS) != 0;
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
    tok->pool.create_own = create_memory;
    tok->pool.destroy_own = destroy_memory;
    if ((status = tok_vocab_init(&tok->bpe.vocab, meta, err)) != 0 ||
        (status = bpe_pairs_init(&tok->bpe.pairs, &tok->bpe.vocab, meta, err)) != 0 ||
        (status = tok_special_init(&tok->special, &tok->bpe.vocab, err)) != 0 ||
        (status = bpe_split_init(&tok->bpe.split, pre, err)) != 0) {
        close_tokenizer(self, tok);
        return status;
    }
    apply_flags(&tok->bpe.vocab, pre->flags);
    tok->composes = (pre->flags & BPE_PRE_NFC) != 0;
    bpe_tokenizer_prepare(&tok->bpe, pre->flags);
    *ret = tok;
    return 0;
}

static int32_t info(struct tenon_tokenizer_object *tok, struct tenon_tokenizer_info *ret_info)
{
    tok_vocab_info(&tok->bpe.vocab, ret_info);
    return 0;
}

static int32_t composed(struct tok_run *r, const char *text, size_t size)
{
    struct tenon_str normal;
    int32_t status = bpe_compose(&((struct memory *)r->work->own)->text, text, size, &normal);
    return status == 0 ? bpe_plain(r, normal.data, (size_t)normal.size) : status;
}

static int32_t encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_encoder e = {&tok->special, &tok->pool, tok->composes ? composed : bpe_plain, &tok->bpe, -1};
    return tok_encode(&e, text, size, flags, ids, capacity, ret_n, err);
}

static int32_t decode(struct tenon_tokenizer_object *tok, uint64_t *ctx, int32_t id, uint32_t flags, char *buf,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_vocab *v = &tok->bpe.vocab;
    int32_t status = tok_vocab_check(v, id, err);
    (void)ctx; /* what a token stands for does not depend on what came before */
    if (status != 0)
        return status;
    if ((v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_UNKNOWN)) && !(flags & TENON_DECODE_SPECIAL)) {
        *ret_n = 0;
        return 0;
    }
    *ret_n = bpe_decode(&tok->bpe, id, buf, (size_t)capacity);
    return 0;
}

static int32_t piece(struct tenon_tokenizer_object *tok, int32_t id, struct tenon_str *ret_piece,
                     uint32_t *ret_attributes)
{
    return tok_vocab_piece(&tok->bpe.vocab, id, ret_piece, ret_attributes);
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
    .encode = encode, .decode = decode, .piece = piece,
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
