/* tokenizer.c - reads a tokenizer.json, or a vocab.txt, as one tokenizer, and settles which way its text goes: the chains that
 * most models have end at the code of the bpe and wordpiece plugins. One thread. Contract: tokenizer.h. */
#include "tokenizer.h"

/* ---- what stands around a text --------------------------------------------------------------------------------- */

/* ["[SEP]", 102] of BERT's and RoBERTa's. */
static int32_t read_pair(struct js *j, const struct js_object *o, const char *key)
{
    struct js part;
    double id = -1;
    if (!js_find(j, o, key, &part) || !js_open(&part, '[') || !js_element(&part))
        return -1;
    (void)js_string(&part); /* its id says more */
    if (js_element(&part))
        id = js_number(&part);
    return part.status == 0 && id >= 0 && id < TOK_MAX_ENTRIES ? (int32_t)id : -1;
}

/* The first id of a special token of a template. */
static int32_t template_id(struct js *j, const struct js_object *o, struct tenon_str name)
{
    struct js part, ids;
    struct js_object token;
    struct tenon_str key;
    double id = -1;
    if (!js_find(j, o, "special_tokens", &part) || !js_open(&part, '{'))
        return -1;
    while (js_member(&part, &key)) {
        bool is_it = key.size == name.size && memcmp(key.data, name.data, (size_t)key.size) == 0;
        js_object(&part, &token);
        if (is_it && js_find(&part, &token, "ids", &ids) && js_open(&ids, '[') && js_element(&ids))
            id = js_number(&ids);
    }
    js_join(j, &part);
    return id >= 0 && id < TOK_MAX_ENTRIES ? (int32_t)id : -1;
}

/* The token nearest to the text on each side of it; a template may have more, which the interface has no place for. */
static void read_template(struct js *j, const struct js_object *o, struct js_around *around)
{
    struct js part, value;
    bool is_behind = false;
    if (!js_find(j, o, "single", &part) || !js_open(&part, '['))
        return;
    while (js_element(&part)) {
        struct js_object item, special;
        js_object(&part, &item);
        if (js_find(&part, &item, "SpecialToken", &value)) {
            int32_t id;
            js_object(&value, &special);
            id = template_id(j, o, js_get_string(&value, &special, "id"));
            around->has_more |= (is_behind ? around->after : around->before) >= 0;
            if (!is_behind)
                around->before = id;
            else if (around->after < 0)
                around->after = id;
        } else {
            is_behind = true;
        }
    }
    js_join(j, &part);
}

static void read_around(struct js *j, struct js_around *around)
{
    struct js_object o;
    struct js part;
    struct tenon_str type;
    if (js_kind(j) == 'n') {
        js_skip(j);
        return;
    }
    js_object(j, &o);
    type = js_get_string(j, &o, "type");
    if (js_is(type, "TemplateProcessing")) {
        read_template(j, &o, around);
    } else if (js_is(type, "BertProcessing") || js_is(type, "RobertaProcessing")) {
        around->before = read_pair(j, &o, "cls");
        around->after = read_pair(j, &o, "sep");
    } else if (js_is(type, "Sequence") && js_find(j, &o, "processors", &part) && js_open(&part, '[')) {
        while (js_element(&part)) /* as deep as the text may nest */
            read_around(&part, around);
        js_join(j, &part);
    }
}

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

int32_t js_token_id(const struct tenon_tokenizer_object *tok, struct tenon_str text)
{
    for (uint32_t i = 0; i < tok->added.n; i++)
        if (tok->added.tokens[i].text.size == text.size &&
            memcmp(tok->added.tokens[i].text.data, text.data, (size_t)text.size) == 0)
            return tok->added.tokens[i].id;
    return tok_vocab_find(&tok->model.bpe.vocab, text.data, (size_t)text.size);
}

/* Hugging Face's library numbers on where the model, or what was added, ends. */
static void note_moved(struct js_added *a, const struct js_added_token *t, int32_t next_id)
{
    if (a->moved != NULL || t->id == next_id)
        return;
    a->moved = t;
    a->next_id = next_id;
}

/* Added tokens take their places; one that the model has too has the model's id. */
static int32_t place_added(struct tenon_tokenizer_object *tok, struct tenon_err *err)
{
    struct tok_vocab *v = &tok->model.bpe.vocab;
    int32_t next_id = (int32_t)tok->model.n_own;
    for (uint32_t i = 0; i < tok->added.n; i++) {
        struct js_added_token *t = &tok->added.tokens[i];
        int32_t id = tok_vocab_find(v, t->text.data, (size_t)t->text.size);
        if (id >= 0)
            t->id = id;
        else if (v->text[t->id].size > 0 &&
                 (v->text[t->id].size != t->text.size || memcmp(v->text[t->id].data, t->text.data, (size_t)t->text.size) != 0))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "json", "two tokens have the id %d", t->id);
        else
            v->text[t->id] = t->text;
        if (id < 0)
            note_moved(&tok->added, t, next_id);
        next_id = t->id >= next_id ? t->id + 1 : next_id;
        v->attributes[t->id] |= t->is_special ? TENON_TOKEN_CONTROL : TENON_TOKEN_USER_DEFINED;
    }
    return 0;
}

static void mark_tokens(struct tenon_tokenizer_object *tok)
{
    struct tok_vocab *v = &tok->model.bpe.vocab;
    int32_t ids[4];
    for (uint32_t id = 0; id < v->n; id++)
        if (v->text[id].size == 0)
            v->attributes[id] |= TENON_TOKEN_UNUSED;
    for (int byte = 0; tok->model.falls_back && byte < 256; byte++)
        for (size_t n = tok_chars_byte_ids(v, byte, ids); n > 0; n--)
            v->attributes[ids[n - 1]] |= TENON_TOKEN_BYTE;
    if (v->unk >= 0)
        v->attributes[v->unk] |= TENON_TOKEN_UNKNOWN;
}

/* ---- ways ------------------------------------------------------------------------------------------------------ */

/* Is U+2581 for spaces all that the chain makes of a text, added tokens or not? */
static bool spells_spaces(const struct tenon_tokenizer_object *tok)
{
    bool spells = tok->normal.spells_spaces && (tok->cut.n == 0 || tok->cut.needs_spaces);
    for (uint32_t i = 0; spells && i < tok->added.n; i++)
        spells = !tok->added.tokens[i].is_normalized;
    return spells;
}

static int32_t choose_way(struct tenon_tokenizer_object *tok, struct tenon_err *err)
{
    struct js_model *m = &tok->model;
    struct bpe_pre pre = {.names = "tokenizer.json"};
    if (spells_spaces(tok) && js_model_spell_spaces(m)) { /* so the text can stay as it is */
        js_normal_finish(&tok->normal);
        js_cut_finish(&tok->cut);
    }
    tok->is_plain_bytes = m->kind == JS_BPE && tok->cut.is_byte_level && m->prefix.size == 0 && m->suffix.size == 0 &&
                          (m->has_all_bytes || (m->bpe.vocab.unk < 0 && !m->falls_back));
    tok->is_bert = m->kind == JS_WORDPIECE && tok->normal.is_bert && tok->cut.is_bert;
    if (!tok->is_plain_bytes || tok->cut.n_patterns > BPE_PRE_STEPS)
        return 0;
    memcpy(pre.steps, tok->cut.patterns, sizeof pre.steps);
    tok->is_scanned = bpe_scan_find(pre.steps) != NULL;
    return tok->is_scanned ? bpe_split_init(&m->bpe.split, &pre, err) : 0;
}

/* All is read: tokens into their places, and what depends on them. */
static int32_t finish(struct tenon_tokenizer_object *tok, struct tenon_err *err)
{
    struct js_scratch scratch;
    int32_t status;
    memset(&scratch, 0, sizeof scratch);
    if ((status = place_added(tok, err)) != 0)
        return status;
    mark_tokens(tok);
    if ((status = js_model_prepare(&tok->model, err)) != 0 || (status = choose_way(tok, err)) != 0)
        return status;
    status = js_search_init(&scratch.search);
    if (status == 0)
        status = js_added_index(&tok->added, &tok->normal, &scratch, &tok->arena, err);
    js_search_finish(&scratch.search);
    tok_buffer_finish(&scratch.texts[0]);
    tok_buffer_finish(&scratch.texts[1]);
    return status;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* Read a member by `read`, an absent one as null. */
#define READ_MEMBER(name_, read_, ...)                                                            \
    do {                                                                                          \
        struct js part_ = *j, null_ = *j;                                                         \
        js_start(&null_, "null", 4);                                                              \
        status = js_find(j, &top, name_, &part_) ? read_(__VA_ARGS__, &part_, &tok->arena)        \
                                                 : read_(__VA_ARGS__, &null_, &tok->arena);       \
    } while (0)

static int32_t read_chains(struct tenon_tokenizer_object *tok, struct js *j, const struct js_object *members)
{
    const struct js_object top = *members;
    int32_t status;
    READ_MEMBER("normalizer", js_normal_read, &tok->normal);
    if (status == 0)
        READ_MEMBER("pre_tokenizer", js_cut_read, &tok->cut);
    if (status == 0)
        READ_MEMBER("decoder", js_decoder_read, &tok->decoder);
    return status;
}

/* The added tokens, then the model at j: it must have room for their ids. */
static int32_t read_tokens(struct tenon_tokenizer_object *tok, const struct js_object *top, struct js *j)
{
    struct js part;
    int32_t status = 0, most = -1;
    if (js_find(j, top, "added_tokens", &part))
        status = js_added_read(&tok->added, &part);
    for (uint32_t i = 0; i < tok->added.n; i++)
        most = tok->added.tokens[i].id > most ? tok->added.tokens[i].id : most;
    return status == 0 ? js_model_read(&tok->model, j, &tok->arena, most) : status;
}

/* Note all members. The model, most of the file, is not gone over twice where the added tokens stand before it, as they do. */
static int32_t note_members(struct tenon_tokenizer_object *tok, struct js *j, struct js_object *top, bool *ret_has_model)
{
    struct js part;
    uint32_t noted;
    int32_t status;
    top->n = 0;
    *ret_has_model = js_open(j, '{') && js_members(j, top, "model") && js_find(j, top, "added_tokens", &part);
    noted = top->n;
    if (*ret_has_model) {
        status = read_tokens(tok, top, j);
        if (status != 0)
            return status;
    } else if (noted > 0 && js_is(top->members[noted - 1].key, "model")) {
        js_skip(j);
    }
    if (j->depth > 0)
        (void)js_members(j, top, NULL); /* nothing to stop at */
    for (uint32_t i = noted; *ret_has_model && i < top->n; i++)
        if (js_is(top->members[i].key, "model") || js_is(top->members[i].key, "added_tokens"))
            js_fail(j, "the model or the added tokens are there twice");
    js_finish(j);
    return j->status;
}

static int32_t read_top(struct tenon_tokenizer_object *tok, struct js *j, struct tenon_err *err)
{
    struct js_object top;
    struct js part;
    bool has_model;
    int32_t status = note_members(tok, j, &top, &has_model);
    if (status != 0 || (status = read_chains(tok, j, &top)) != 0)
        return status;
    if (js_find(j, &top, "post_processor", &part)) {
        read_around(&part, &tok->around);
        js_join(j, &part);
    }
    if (j->status != 0)
        return j->status;
    if (!has_model && !js_find(j, &top, "model", &part))
        return js_fail(j, "there is no model");
    status = has_model ? 0 : read_tokens(tok, &top, &part);
    return status != 0 ? status : finish(tok, err);
}

int32_t js_read_json(struct tenon_tokenizer_object *tok, const char *text, size_t size, struct tenon_err *err)
{
    struct js j = {.name = "tokenizer.json", .arena = &tok->arena, .err = err};
    tok->around = (struct js_around){-1, -1, false};
    js_start(&j, text, size);
    return read_top(tok, &j, err);
}

/* What BERT's own tokenizer does with a vocab.txt. */
#define BERT_FILE(lower_)                                                                                         \
    "{\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":" lower_ "},"                                     \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\"}}"

int32_t js_read_lines(struct tenon_tokenizer_object *tok, const char *text, size_t size, bool is_lower,
                      struct tenon_err *err)
{
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    const char *file = is_lower ? BERT_FILE("true") : BERT_FILE("false");
    struct js j = {.name = "vocab.txt", .arena = &tok->arena, .err = err};
    struct js_object top;
    int32_t status;
    tok->around = (struct js_around){-1, -1, false};
    js_start(&j, file, strlen(file));
    js_object(&j, &top);
    if ((status = read_chains(tok, &j, &top)) != 0 ||
        (status = js_model_read_lines(&tok->model, text, size, &j, -1)) != 0)
        return status;
    tok->added.tokens = calloc(sizeof special / sizeof special[0], sizeof *tok->added.tokens);
    if (tok->added.tokens == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for special tokens");
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        struct tenon_str name = {special[i], strlen(special[i])};
        int32_t id = tok_vocab_find(&tok->model.bpe.vocab, name.data, (size_t)name.size);
        if (id >= 0)
            tok->added.tokens[tok->added.n++] = (struct js_added_token){.text = name, .id = id, .is_special = true};
    }
    tok->model.bpe.vocab.unk = tok_vocab_find(&tok->model.bpe.vocab, "[UNK]", 5);
    tok->around.before = tok_vocab_find(&tok->model.bpe.vocab, "[CLS]", 5);
    tok->around.after = tok_vocab_find(&tok->model.bpe.vocab, "[SEP]", 5);
    return finish(tok, err);
}
