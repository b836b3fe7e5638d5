/* plugin.c - a Hugging Face directory's tokenizer as "tenon.tokenizer/1": opening, text through the chain, decoding, the
 * descriptor. Threads and ownership as tokenizer.h of the SDK says. Contract: tenon/tokenizer.h. */
#include <stdio.h>
#include <stdlib.h>

#include "../common/warn.h"
#include "tokenizer.h"

/* What init was given; the loader calls it once, before all else. */
static struct {
    const struct tenon_log *log; /* NULL: none */
} state;

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static bool has_file(const struct tenon_meta *meta, const char *name)
{
    struct tenon_meta_entry entry = {.struct_size = sizeof entry};
    struct tenon_str file;
    if (meta->find(meta->ctx, "huggingface.files", &entry) != 0 || entry.type != TENON_META_STRING)
        return false;
    for (uint64_t i = 0; i < entry.count; i++)
        if (meta->strings(meta->ctx, &entry, i, 1, &file) == 0 && js_is(file, name))
            return true;
    return false;
}

static int32_t match(void *self, const struct tenon_meta *meta)
{
    (void)self; /* the plugin has no state that opening depends on */
    if (meta->format == NULL || strcmp(meta->format, "huggingface") != 0)
        return 0;
    return has_file(meta, "tokenizer.json") ? 100 : has_file(meta, "vocab.txt") ? 80
         : has_file(meta, "tokenizer.model") ? 60 : has_file(meta, "spiece.model") ? 50 : 1; /* opened to say what to do */
}

static void *create_memory(void)
{
    struct js_memory *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->cut.search = &m->scratch.search;
    if (bpe_matcher_init(&m->model.matcher) == 0 && js_search_init(&m->scratch.search) == 0)
        return m;
    bpe_matcher_finish(&m->model.matcher);
    free(m);
    return NULL;
}

static void destroy_memory(void *own)
{
    struct js_memory *m = own;
    if (m == NULL)
        return;
    bpe_matcher_finish(&m->model.matcher);
    uni_lattice_finish(&m->model.lattice);
    js_search_finish(&m->scratch.search);
    wp_words_finish(&m->words);
    for (size_t i = 0; i < 2; i++)
        tok_buffer_finish(&m->scratch.texts[i]);
    for (size_t i = 0; i < JS_CUT_STEPS; i++)
        tok_buffer_finish(&m->cut.texts[i]);
    free(m);
}

static void close_tokenizer(void *self, struct tenon_tokenizer_object *tok)
{
    (void)self;
    if (tok == NULL)
        return;
    tok_pool_finish(&tok->pool);
    js_decoder_finish(&tok->decoder);
    js_cut_finish(&tok->cut);
    js_normal_finish(&tok->normal);
    js_added_finish(&tok->added);
    js_model_finish(&tok->model);
    js_arena_finish(&tok->arena);
    tok_buffer_finish(&tok->written);
    free(tok);
}

/* A SentencePiece model, and what was added to it. */
static int32_t read_pieces(struct tenon_tokenizer_object *tok, const struct tenon_files *files, const char *name,
                           struct tenon_err *err)
{
    struct tenon_str file, added = {"", 0};
    int32_t status;
    if (!js_map_file(files, name, &file))
        return tenon_fail(err, TENON_E_NOT_FOUND, "json", "%s cannot be read: see that the file is there", name);
    (void)js_map_file(files, "added_tokens.json", &added); /* most have none */
    status = js_pieces_write(file.data, (size_t)file.size, added, &tok->written, err);
    return status == 0 ? js_read_json(tok, tok->written.bytes, tok->written.size, err) : status;
}

static int32_t read_files(struct tenon_tokenizer_object *tok, const struct tenon_meta *meta, const struct tenon_files *files,
                          struct tenon_err *err)
{
    int64_t is_lower = 1;
    struct tenon_str file;
    if (has_file(meta, "tokenizer.json"))
        return js_map_file(files, "tokenizer.json", &file)
                   ? js_read_json(tok, file.data, (size_t)file.size, err)
                   : tenon_fail(err, TENON_E_NOT_FOUND, "json", "tokenizer.json cannot be read: see that the file is there");
    (void)tok_meta_number(meta, "tokenizer_config.do_lower_case", &is_lower, NULL); /* not said: uncased */
    if (has_file(meta, "vocab.txt"))
        return js_map_file(files, "vocab.txt", &file)
                   ? js_read_lines(tok, file.data, (size_t)file.size, is_lower != 0, err)
                   : tenon_fail(err, TENON_E_NOT_FOUND, "json", "vocab.txt cannot be read: see that the file is there");
    if (has_file(meta, "tokenizer.model") || has_file(meta, "spiece.model"))
        return read_pieces(tok, files, has_file(meta, "tokenizer.model") ? "tokenizer.model" : "spiece.model", err);
    return tenon_fail(err, TENON_E_NOT_FOUND, "json",
                      "the folder has no tokenizer.json (nor vocab.txt or tokenizer.model): fetch it into the folder, or make it with "
                      "transformers (AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR))");
}

#define MOST_SHOWN 64u /* bytes of a token */

static int shown(const struct js_added_token *t)
{
    return (int)(t->text.size < MOST_SHOWN ? t->text.size : MOST_SHOWN);
}

/* What is not as Hugging Face's library would have it, or as the file has it. */
static void tell(const struct tenon_tokenizer_object *tok)
{
    const struct js_added *a = &tok->added;
    char line[256 + MOST_SHOWN];
    if (tok->around.has_more)
        tok_warn(state.log,
                 "the post_processor of tokenizer.json puts several tokens on one side of a text: only the nearest one is added");
    if (tok->decoder.reaches_across)
        tok_warn(state.log,
                 "a step of tokenizer.json's decoder replaces in the text of all tokens: here it looks at one token at a time");
    if (a->moved != NULL) {
        (void)snprintf(line, sizeof line, "the added token \"%.*s\" has the id %d in tokenizer.json, which counts; Hugging Face's library gives "
                       "it %d: see which one the model was trained with", shown(a->moved), a->moved->text.data, a->moved->id, a->next_id);
        tok_warn(state.log, line);
    }
    if (a->lost != NULL) {
        (void)snprintf(line, sizeof line, "the added token \"%.*s\" of tokenizer.json becomes nothing when it is normalised: no text is it "
                       "(\"normalized\": false would help)", shown(a->lost), a->lost->text.data);
        tok_warn(state.log, line);
    }
}

static int32_t open_tokenizer(void *self, const struct tenon_meta *meta, const struct tenon_files *files,
                              struct tenon_tokenizer_object **ret, struct tenon_err *err)
{
    struct tenon_tokenizer_object *tok;
    int32_t status;
    if (match(self, meta) == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "json",
                          "this is no Hugging Face directory with a tokenizer.json: another tokenizer plugin is needed");
    tok = calloc(1, sizeof *tok);
    if (tok == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for a tokenizer");
    tok->pool.create_own = create_memory;
    tok->pool.destroy_own = destroy_memory;
    if ((status = read_files(tok, meta, files, err)) != 0 || (status = js_read_ids(tok, meta, files, err)) != 0) {
        close_tokenizer(self, tok);
        return status;
    }
    tell(tok);
    *ret = tok;
    return 0;
}

static int32_t info(struct tenon_tokenizer_object *tok, struct tenon_tokenizer_info *ret_info)
{
    tok_vocab_info(&tok->model.bpe.vocab, ret_info);
    return 0;
}

/* ---- encoding --------------------------------------------------------------------------------------------------- */

struct call {
    const struct tenon_tokenizer_object *tok;
    struct tok_run run; /* whose tokenizer is the model's bpe */
    struct js_memory *memory;
    bool with_control;
};

static int32_t take_piece(void *arg, const char *piece, size_t size)
{
    return js_model_take(arg, piece, size);
}

static int32_t take_bytes(void *arg, const char *piece, size_t size)
{
    return tok_run_piece(arg, bpe_piece, piece, size);
}

static int32_t take_word(void *arg, const char *word, size_t size)
{
    return tok_run_piece(arg, js_model_word, word, size);
}

/* Text without added tokens. */
static int32_t plain(struct call *c, const char *text, size_t size, bool is_first)
{
    const struct tenon_tokenizer_object *tok = c->tok;
    if (tok->is_scanned)
        return bpe_plain(&c->run, text, size);
    if (tok->is_bert)
        return wp_words_run(&c->memory->words, text, size, take_word, &c->run);
    return js_cut_run(&tok->cut, &c->memory->cut, tok->is_plain_bytes, text, size, is_first,
                      tok->is_plain_bytes ? take_bytes : take_piece, &c->run);
}

typedef int32_t section_fn(struct call *c, const char *text, size_t size, bool is_first);

/* Text at its added tokens of one kind; what lies between goes to `next`. */
static int32_t at_added(struct call *c, bool is_normalized, const char *text, size_t size, bool is_first, section_fn *next)
{
    struct js_added_match m = {0};
    size_t done = 0;
    int32_t status = 0;
    while (status == 0 && js_added_find(&c->tok->added, is_normalized, text, size, c->with_control, &m)) {
        if (m.from > done)
            status = next(c, text + done, m.from - done, is_first && done == 0);
        if (m.to > m.from)
            tok_run_emit(&c->run, &m.token->id, 1);
        done = m.to;
    }
    return status == 0 && done < size ? next(c, text + done, size - done, is_first && done == 0) : status;
}

/* Text without added tokens that are found as text stands. */
static int32_t section(struct call *c, const char *text, size_t size, bool is_first)
{
    struct tenon_str normal;
    int32_t status;
    bool is_taken = false;
    if (c->tok->is_bert && c->tok->added.texts[1].n == 0)
        return plain(c, text, size, is_first);
    status = js_normal_run(&c->tok->normal, &c->memory->scratch, text, size, &normal,
                           is_first && c->tok->cut.has_first ? &is_taken : NULL);
    return status != 0 ? status : at_added(c, true, normal.data, (size_t)normal.size, is_first && !is_taken, plain);
}

static int32_t encode(struct tenon_tokenizer_object *tok, const char *text, uint64_t size, uint32_t flags, int32_t *ids,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    struct js_model *m = &tok->model;
    bool fuses = m->kind == JS_UNIGRAM || (m->kind == JS_BPE && m->fuses_unknown);
    struct call c = {tok, {&m->bpe, NULL, ids, capacity, 0, fuses ? m->bpe.vocab.unk : -1, -1}, NULL,
                     (flags & TENON_ENCODE_SPECIAL) != 0};
    int32_t status = TENON_E_RESOURCE_EXHAUSTED;
    if (size >= UINT32_MAX)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "json", "a text of %llu bytes is too long: cut it up",
                          (unsigned long long)size);
    c.run.work = tok_work_take(&tok->pool);
    if (c.run.work != NULL) {
        c.memory = c.run.work->own;
        c.memory->scratch.search.deadline = 0;
        c.memory->scratch.search.size = size;
        status = at_added(&c, false, text, (size_t)size, true, section);
    }
    tok_work_give(&tok->pool, c.run.work);
    if (status == TENON_E_DEADLINE_EXCEEDED)
        return tenon_fail(err, status, "json", "a pattern of tokenizer.json takes too long on a text of %llu bytes: it is not "
                          "made for such texts", (unsigned long long)size);
    if (status == TENON_E_OUT_OF_RANGE)
        return tenon_fail(err, status, "json", "tokenizer.json makes more than 64 times of a text of %llu bytes: it is made to harm, or damaged",
                          (unsigned long long)size);
    if (status != 0)
        return tenon_fail(err, status, "json", "no memory to tokenize a text of %llu bytes", (unsigned long long)size);
    *ret_n = c.run.n;
    return 0;
}

/* ---- decoding --------------------------------------------------------------------------------------------------- */

static int32_t decode(struct tenon_tokenizer_object *tok, uint64_t *state, int32_t id, uint32_t flags, char *buf,
                      uint64_t capacity, uint64_t *ret_n, struct tenon_err *err)
{
    const struct tok_vocab *v = &tok->model.bpe.vocab;
    int32_t status = tok_vocab_check(v, id, err);
    struct tok_buffer texts[2] = {{0}, {0}};
    struct tenon_str text;
    uint64_t next = *state;
    if (status != 0)
        return status;
    *ret_n = 0;
    if ((v->attributes[id] & TENON_TOKEN_UNUSED) ||
        ((v->attributes[id] & TENON_TOKEN_CONTROL) && !(flags & TENON_DECODE_SPECIAL)))
        return 0;
    status = js_decoder_run(&tok->decoder, texts, v->text[id], id,
                            (v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_USER_DEFINED)) != 0, &next, &text);
    if (status == 0) {
        if (text.size > 0 && capacity > 0)
            memcpy(buf, text.data, (size_t)(text.size < capacity ? text.size : capacity));
        *ret_n = text.size;
        *state = text.size <= capacity ? next : *state; /* else the caller asks again */
    }
    tok_buffer_finish(&texts[0]);
    tok_buffer_finish(&texts[1]);
    return status == 0 ? 0 : tenon_fail(err, status, "json", status == TENON_E_OUT_OF_RANGE ? "the text of token %d is too long"
                                                             : "no memory to decode token %d", id);
}

static int32_t piece(struct tenon_tokenizer_object *tok, int32_t id, struct tenon_str *ret_piece, uint32_t *ret_attributes)
{
    return tok_vocab_piece(&tok->model.bpe.vocab, id, ret_piece, ret_attributes);
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
static const char *const keys[] = {"huggingface", NULL};
static const struct tenon_item items[] = {
    TENON_ITEM(TENON_TOKENIZER_IFACE, "json", keys, &tokenizer),
};
static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin, .abi = TENON_ABI, .api_level = TENON_API_LEVEL, .id = "org.tenon.tokenizer.json",
    .version = "0.1.0", .vendor = "Tenon", .license = "Apache-2.0", .url = "",
    .description = "tokenizer.json of Hugging Face directories", .items = items, .n_items = 1, .item_stride = sizeof items[0],
    .init = init,
};
TENON_PLUGIN_ENTRY(plugin)
