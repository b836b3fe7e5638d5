/* model_read.c - reads the model of a tokenizer.json in one pass, whatever the order of its members; what comes too early is
 * read over and come back to. Memory follows what is there: an id may not lie far beyond the number of tokens. A big vocabulary
 * is indexed by a thread of its own while the merges behind it are read. Contract: model.h. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../common/utf8.h"
#include "model.h"

#define MOST_HOLES 65536u  /* ids without a token */
#define THREAD_FROM 65536u /* tokens that pay for a thread */

struct entry {
    struct tenon_str text;
    double score;
    int32_t id;
};

struct reading {
    struct js_model *m;
    struct js *j;
    struct js_arena *arena;
    struct entry *entries; /* [n] */
    uint32_t n, capacity;
    struct tenon_str *sides; /* [2 * n_merges] */
    uint32_t n_merges, merges_capacity;
    int32_t most_id;
    bool is_list;          /* the vocabulary is a list with scores */
    double unknown_id;     /* Unigram's; -1: none */
    struct indexing *indexing; /* NULL: it is still to be done */
};

/* What the thread works with; the tokens are read, and no one else looks at the vocabulary. */
struct indexing {
    const struct reading *reading;
    struct js j; /* for messages */
    struct tenon_err err;
    pthread_t thread;
    int32_t status;
};

static int32_t no_memory(struct reading *r)
{
    return r->j->status = tenon_fail(r->j->err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory to read a vocabulary");
}

/* ---- the vocabulary -------------------------------------------------------------------------------------------- */

static struct entry *next_entry(struct reading *r)
{
    if (r->n == r->capacity) {
        uint32_t capacity = r->capacity == 0 ? 4096 : 2 * r->capacity;
        struct entry *grown = r->n >= TOK_MAX_ENTRIES ? NULL : tok_list_grow(r->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            no_memory(r);
            return NULL;
        }
        r->entries = grown;
        r->capacity = capacity;
    }
    return &r->entries[r->n];
}

static void read_map(struct reading *r)
{
    struct tenon_str key;
    while (js_member(r->j, &key)) {
        struct entry *e = next_entry(r);
        double id = js_number(r->j);
        if (e == NULL || r->j->status != 0)
            return;
        if (!(id >= 0 && id < TOK_MAX_ENTRIES && id == (int32_t)id)) {
            js_fail(r->j, "a token with an id that cannot be");
            return;
        }
        *e = (struct entry){key, 0, (int32_t)id};
        r->n++;
    }
}

static void read_list(struct reading *r)
{
    r->is_list = true;
    while (js_element(r->j)) {
        struct entry *e = next_entry(r);
        if (e == NULL || !js_open(r->j, '[') || !js_element(r->j))
            break;
        e->text = js_string(r->j);
        e->score = js_element(r->j) ? js_number(r->j) : NAN;
        e->id = (int32_t)r->n++;
        if (js_element(r->j) || !isfinite(e->score)) {
            js_fail(r->j, "a token is not a text and a score");
            break;
        }
    }
}

static void read_vocab(struct reading *r)
{
    r->n = 0;
    if (js_kind(r->j) == '{' && js_open(r->j, '{'))
        read_map(r);
    else if (js_open(r->j, '['))
        read_list(r);
}

/* All tokens in their places, those found by spelling. */
static int32_t fill_vocab(const struct reading *r, struct js *j)
{
    struct tok_vocab *v = &r->m->bpe.vocab;
    int32_t most = r->most_id, status;
    for (uint32_t i = 0; i < r->n; i++)
        if (r->entries[i].id > most)
            most = r->entries[i].id;
    if (most < 0)
        return js_fail(j, "the vocabulary is empty");
    if ((uint32_t)most > 4 * r->n + MOST_HOLES)
        return tenon_fail(j->err, TENON_E_OUT_OF_RANGE, "json", "there is an id %d, but there are only %u tokens", most, r->n);
    status = tok_vocab_create(v, (uint32_t)most + 1, j->err);
    for (uint32_t i = 0; status == 0 && i < r->n; i++) {
        const struct entry *e = &r->entries[i];
        if (v->text[e->id].size > 0)
            return tenon_fail(j->err, TENON_E_INVALID_ARGUMENT, "json", "two tokens have the id %d", e->id);
        v->text[e->id] = e->text;
    }
    return status == 0 ? tok_vocab_index(v, j->err) : status;
}

static void note_all_joins(struct js_model *m)
{
    const struct tok_vocab *v = &m->bpe.vocab;
    for (uint32_t id = 0; id < v->n; id++)
        tok_joins_note(&m->joins, v->text[id].data, (size_t)v->text[id].size);
    m->has_joins = true;
}

static void *run_indexing(void *arg)
{
    struct indexing *x = arg;
    x->status = fill_vocab(x->reading, &x->j);
    if (x->status == 0)
        note_all_joins(x->reading->m);
    return NULL;
}

/* Without a thread nothing has begun. */
static void begin_indexing(struct reading *r, struct indexing *x)
{
    if (r->n < THREAD_FROM || r->j->status != 0)
        return;
    *x = (struct indexing){.reading = r, .j = *r->j, .err = TENON_ERR_INIT};
    x->j.err = &x->err;
    if (pthread_create(&x->thread, NULL, run_indexing, x) == 0)
        r->indexing = x;
}

static int32_t end_indexing(struct reading *r)
{
    struct indexing *x = r->indexing;
    if (x == NULL)
        return 0;
    (void)pthread_join(x->thread, NULL); /* of this one, joined once */
    return x->status == 0 || r->j->status != 0 ? 0 : tenon_fail(r->j->err, x->status, x->err.where, "%s", x->err.message);
}

/* ---- merges ---------------------------------------------------------------------------------------------------- */

static struct tenon_str *next_sides(struct reading *r)
{
    if (r->n_merges == r->merges_capacity) {
        uint32_t capacity = r->merges_capacity == 0 ? 4096 : 2 * r->merges_capacity;
        struct tenon_str *grown = r->n_merges >= TOK_MAX_ENTRIES ? NULL : tok_list_grow(r->sides, 2 * capacity * sizeof *grown);
        if (grown == NULL) {
            no_memory(r);
            return NULL;
        }
        r->sides = grown;
        r->merges_capacity = capacity;
    }
    return &r->sides[2 * r->n_merges];
}

/* "left right", or the two of them as a list. */
static void read_merge(struct reading *r, struct tenon_str *sides)
{
    if (js_kind(r->j) == '[') {
        if (!js_strings(r->j, sides, 2))
            js_fail(r->j, "a merge is not of two tokens");
    } else {
        struct tenon_str both = js_string(r->j);
        const char *space = both.size > 2 ? memchr(both.data + 1, ' ', (size_t)both.size - 2) : NULL;
        if (space == NULL) {
            js_fail(r->j, "a merge is not of two tokens");
            return;
        }
        sides[0] = (struct tenon_str){both.data, (uint64_t)(space - both.data)};
        sides[1] = (struct tenon_str){space + 1, both.size - sides[0].size - 1};
    }
}

static void read_merges(struct reading *r)
{
    r->n_merges = 0;
    if (!js_open(r->j, '['))
        return;
    while (js_element(r->j)) {
        struct tenon_str *sides = next_sides(r);
        if (sides == NULL)
            return;
        sides[0] = sides[1] = (struct tenon_str){"", 0};
        read_merge(r, sides);
        r->n_merges++;
    }
}

static const struct tenon_str *listed_sides(const void *arg, uint32_t rank, uint32_t count, struct tenon_str *room,
                                            struct tenon_err *err)
{
    const struct reading *r = arg;
    (void)count, (void)room, (void)err; /* all are there */
    return r->sides + 2 * (size_t)rank;
}

static int32_t fill_pairs(struct reading *r)
{
    struct bpe_tokenizer *b = &r->m->bpe;
    const struct bpe_merges merges = {.vocab = &b->vocab, .sides = listed_sides, .arg = r, .n = r->n_merges,
                                      .prefix = (uint32_t)r->m->prefix.size};
    return bpe_pairs_read(&b->pairs, &merges, r->j->err);
}

/* ---- the model ------------------------------------------------------------------------------------------------- */

static int32_t read_kind(struct js_model *m, struct js *j, struct tenon_str type, const struct reading *r)
{
    static const char *const names[] = {"BPE", "WordPiece", "Unigram", "WordLevel"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (js_is(type, names[i])) {
            m->kind = (enum js_model_kind)i;
            return (m->kind == JS_UNIGRAM) == r->is_list ? 0 : js_fail(j, "the vocabulary is of another model");
        }
    if (type.size > 0)
        return tenon_fail(j->err, TENON_E_UNIMPLEMENTED, "json", "the model \"%.*s\" is not known",
                          (int)(type.size < 64 ? type.size : 64), type.data);
    /* An old file does not say; merges are BPE's alone. */
    m->kind = r->is_list ? JS_UNIGRAM : r->sides != NULL ? JS_BPE : JS_WORDPIECE;
    return 0;
}

static int32_t read_options(struct reading *r, struct js *j, const struct js_object *o)
{
    struct js_model *m = r->m;
    int32_t status = read_kind(m, j, js_get_string(j, o, "type"), r);
    m->unknown = js_get_string(j, o, "unk_token");
    m->prefix = js_get_string(j, o, "continuing_subword_prefix");
    if (m->kind == JS_WORDPIECE && m->prefix.size == 0)
        m->prefix = (struct tenon_str){"##", 2};
    m->suffix = js_get_string(j, o, "end_of_word_suffix");
    m->fuses_unknown = js_get_bool(j, o, "fuse_unk", false);
    m->sums_floats = js_get_bool(j, o, "float_sums", false); /* only pieces.c writes it */
    m->falls_back = js_get_bool(j, o, "byte_fallback", false);
    m->ignores_merges = js_get_bool(j, o, "ignore_merges", false);
    m->words.most_characters = js_get_count(j, o, "max_input_chars_per_word", WP_MOST_CHARACTERS);
    r->unknown_id = js_get_number(j, o, "unk_id", -1);
    if (j->status == 0 && (m->prefix.size > WP_MOST_PREFIX || m->suffix.size > WP_MOST_PREFIX))
        return js_fail(j, "a prefix or suffix that is too long");
    return status != 0 ? status : j->status;
}

static int32_t read_scores(struct reading *r)
{
    const struct tok_vocab *v = &r->m->bpe.vocab;
    double *scores = malloc(v->n * sizeof *scores), lowest = 0;
    if (scores == NULL)
        return no_memory(r);
    for (uint32_t i = 0; i < v->n; i++)
        scores[i] = i < r->n ? r->entries[i].score : 0;
    for (uint32_t i = 0; i < r->n; i++)
        if (scores[i] < lowest || i == 0)
            lowest = scores[i];
    r->m->unigram.scores = scores; /* until prepared */
    r->m->unigram.unknown = lowest - UNI_PENALTY;
    return 0;
}

static int32_t settle(struct reading *r, const struct js_object *o)
{
    struct tok_vocab *v = &r->m->bpe.vocab;
    int32_t status;
    if ((status = read_options(r, r->j, o)) != 0 || (r->indexing == NULL && (status = fill_vocab(r, r->j)) != 0))
        return status;
    if (r->m->kind == JS_BPE)
        status = fill_pairs(r);
    if (r->m->kind == JS_UNIGRAM)
        status = read_scores(r);
    r->m->n_own = r->n;
    if (r->m->unknown.size > 0)
        v->unk = tok_vocab_find(v, r->m->unknown.data, (size_t)r->m->unknown.size);
    if (r->m->kind == JS_UNIGRAM && r->unknown_id >= 0 && r->unknown_id < r->n)
        v->unk = (int32_t)r->unknown_id;
    return status;
}

/* Tokens and merges are read as they come, other members noted. */
static void read_members(struct reading *r, struct indexing *x, struct js_object *options)
{
    struct js *j = r->j;
    struct tenon_str key;
    bool has_vocab = false;
    if (!js_open(j, '{'))
        return;
    while (js_member(j, &key)) {
        if (js_is(key, "vocab")) {
            if (has_vocab)
                js_fail(j, "the vocabulary is there twice"); /* a thread may be at the first */
            else
                read_vocab(r);
            has_vocab = true;
        } else if (js_is(key, "merges")) {
            if (has_vocab && r->indexing == NULL)
                begin_indexing(r, x);
            read_merges(r);
        } else if (options->n < JS_MEMBERS) {
            (void)js_kind(j); /* over white space */
            options->members[options->n].key = key;
            options->members[options->n++].at = j->at;
            js_skip(j);
        } else {
            js_fail(j, "an object has more members than any is known to have");
        }
    }
}

int32_t js_model_read(struct js_model *m, struct js *j, struct js_arena *arena, int32_t most_id)
{
    struct reading r = {.m = m, .j = j, .arena = arena, .most_id = most_id};
    struct js_object options = {.n = 0};
    struct indexing indexing;
    int32_t status;
    read_members(&r, &indexing, &options);
    status = end_indexing(&r);
    if (j->status != 0)
        status = j->status;
    if (status == 0)
        status = settle(&r, &options);
    free(r.entries);
    free(r.sides);
    return status;
}

int32_t js_model_read_lines(struct js_model *m, const char *text, size_t size, struct js *j, int32_t most_id)
{
    struct reading r = {.m = m, .j = j, .most_id = most_id};
    int32_t status = 0;
    m->kind = JS_WORDPIECE;
    m->prefix = (struct tenon_str){"##", 2};
    for (size_t at = 0, n; status == 0 && at < size; at += n + 1) {
        const char *end = memchr(text + at, '\n', size - at);
        struct entry *e = next_entry(&r);
        n = end == NULL ? size - at : (size_t)(end - text) - at;
        if (e == NULL)
            status = j->status;
        else
            *e = (struct entry){{text + at, n - (n > 0 && text[at + n - 1] == '\r')}, 0, (int32_t)r.n++};
    }
    if (status == 0)
        status = fill_vocab(&r, j);
    free(r.entries);
    return status;
}

/* ---- what depends on the attributes of tokens -------------------------------------------------------------------- */

/* Does every character become a token, where it stands? What becomes none brings its neighbours together, and the unknown token
 * comes behind bytes. */
static bool keeps_all(const struct js_model *m)
{
    bool has_bytes = true;
    for (int i = 0; i < 256; i++)
        has_bytes &= m->bpe.chars.byte_id[i] >= 0;
    return m->falls_back ? has_bytes : m->bpe.vocab.unk >= 0;
}

/* Is it a character that text may have, so that not every run of it is one? */
static bool is_unknown_spelled(const struct js_model *m)
{
    const struct tok_vocab *v = &m->bpe.vocab;
    struct tenon_str text = v->unk >= 0 ? v->text[v->unk] : (struct tenon_str){"", 0};
    return text.size > 0 && (uint64_t)tok_utf8_size(text.data, (size_t)text.size) == text.size;
}

/* Where no token reaches across, a piece can be cut, unless it matters that it is one. */
static void prepare_joins(struct js_model *m)
{
    const struct tok_vocab *v = &m->bpe.vocab;
    m->is_joined = m->kind == JS_BPE && m->prefix.size == 0 && m->suffix.size == 0 && !m->ignores_merges && keeps_all(m) &&
                   !(m->fuses_unknown && is_unknown_spelled(m));
    if (m->is_joined && !m->has_joins)
        note_all_joins(m);
    for (uint32_t id = 0; m->is_joined && id < v->n; id++) /* added tokens came later */
        if ((v->attributes[id] & (TENON_TOKEN_CONTROL | TENON_TOKEN_USER_DEFINED)) != 0)
            tok_joins_note(&m->joins, v->text[id].data, (size_t)v->text[id].size);
}

/* Added tokens that the model has not are no text of it. The unknown token and those of bytes are, but to SentencePiece. */
static int32_t prepare_unigram(struct js_model *m, struct tenon_err *err)
{
    double *scores = m->unigram.scores, unknown = m->unigram.unknown;
    struct tok_vocab *v = &m->bpe.vocab;
    const uint8_t not_text = m->sums_floats ? UNI_NOT_TEXT : TENON_TOKEN_CONTROL | TENON_TOKEN_UNUSED;
    int32_t status;
    for (uint32_t id = m->n_own; id < v->n; id++)
        v->attributes[id] ^= TENON_TOKEN_UNUSED;
    status = uni_model_init(&m->unigram, v, scores, unknown, not_text, err);
    for (uint32_t id = m->n_own; id < v->n; id++)
        v->attributes[id] ^= TENON_TOKEN_UNUSED;
    m->unigram.sums_floats = m->sums_floats;
    if (status == 0 && m->falls_back)
        memcpy(m->unigram.byte_id, m->bpe.chars.byte_id, sizeof m->unigram.byte_id);
    return status;
}

bool js_model_spell_spaces(struct js_model *m)
{
    int32_t space = js_model_id(m, TOK_SPACE, strlen(TOK_SPACE));
    if (!m->is_joined || space < 0)
        return false;
    m->ascii_id[' '] = space;
    return true;
}

int32_t js_model_prepare(struct js_model *m, struct tenon_err *err)
{
    const struct tok_vocab *v = &m->bpe.vocab;
    uint32_t most = m->words.most_characters > 0 ? m->words.most_characters : 100;
    bpe_tokenizer_prepare(&m->bpe, m->ignores_merges ? BPE_PRE_IGNORE_MERGES : 0);
    tok_chars_init(&m->bpe.chars, v, false);
    m->has_all_bytes = true;
    for (int i = 0; i < 256; i++) { /* added tokens that the model has too are its own: their conditions may not be met */
        char byte = (char)i, spelled[2];
        m->bpe.byte_id[i] = js_model_id(m, spelled, bpe_bytes_spell(&m->bpe.bytes, &byte, 1, spelled));
        m->has_all_bytes &= m->bpe.byte_id[i] >= 0;
    }
    for (int i = 0; i < 128; i++) {
        char character = (char)i;
        m->ascii_id[i] = js_model_id(m, &character, 1);
    }
    prepare_joins(m);
    if (m->kind == JS_UNIGRAM)
        return prepare_unigram(m, err);
    wp_match_init(&m->words, v, most);
    m->words.next = m->prefix;
    return 0;
}

void js_model_finish(struct js_model *m)
{
    uni_model_finish(&m->unigram);
    bpe_tokenizer_finish(&m->bpe);
    memset(m, 0, sizeof *m);
}
