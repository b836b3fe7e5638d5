/* pieces.c - reads the few fields of a tokenizer.model that say how text becomes pieces (a protocol buffer: tag, size, bytes)
 * and writes them as a tokenizer.json, with the merges that joining by score amounts to. Of a model's normaliser the charsmap,
 * the space in front and the squeezing of spaces are taken over. One thread. Contract: pieces.h. */
#include "pieces.h"

#include <math.h>
#include <stdio.h>

#include "../common/vocab.h"
#include "reader.h"

#define SPACE "\\u2581"

enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE }; /* types of a piece */
enum { UNIGRAM = 1, BPE };                                         /* of a model */

struct piece {
    struct tenon_str text;
    float score;
    uint32_t type;
};

struct model {
    struct piece *pieces; /* [n] */
    uint32_t n, capacity;
    uint64_t kind;
    uint64_t falls_back, adds_space, squeezes;
    struct tenon_str charsmap;
};

struct merge {
    float score;
    uint32_t order; /* as found */
    int32_t left, right;
};

/* ---- protocol buffers ------------------------------------------------------------------------------------------ */

struct wire {
    const unsigned char *at, *end;
    bool is_bad;
};

struct field {
    uint64_t tag;           /* number << 3 | type */
    uint64_t value;         /* of a number; 32 bits for a float */
    struct tenon_str bytes; /* of what has a size */
};

#define TAG(number_, type_) ((uint64_t)(number_) << 3 | (type_))
enum { VARINT = 0, FIXED64 = 1, SIZED = 2, FIXED32 = 5 };

static uint64_t varint(struct wire *w)
{
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        if (w->at == w->end)
            break;
        value |= (uint64_t)(*w->at & 0x7f) << shift;
        if ((*w->at++ & 0x80) == 0)
            return value;
    }
    w->is_bad = true;
    return 0;
}

static const unsigned char *take(struct wire *w, uint64_t size)
{
    const unsigned char *at = w->at;
    if (w->is_bad || size > (uint64_t)(w->end - w->at)) {
        w->is_bad = true;
        return NULL;
    }
    w->at += size;
    return at;
}

static uint64_t little_endian(const unsigned char *bytes, size_t n)
{
    uint64_t value = 0;
    while (bytes != NULL && n-- > 0)
        value = value << 8 | bytes[n];
    return value;
}

/* The next field; false at the end, and when the bytes are none. */
static bool next_field(struct wire *w, struct field *f)
{
    if (w->is_bad || w->at == w->end)
        return false;
    *f = (struct field){.tag = varint(w)};
    switch (f->tag & 7) {
    case VARINT: f->value = varint(w); break;
    case FIXED64: f->value = little_endian(take(w, 8), 8); break;
    case FIXED32: f->value = little_endian(take(w, 4), 4); break;
    case SIZED:
        f->bytes.size = varint(w);
        f->bytes.data = (const char *)take(w, f->bytes.size);
        break;
    default: w->is_bad = true; break;
    }
    return !w->is_bad;
}

static struct wire wire_of(struct tenon_str bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    return (struct wire){at, at + bytes.size, false};
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static int32_t refuse(struct tenon_err *err, const char *what)
{
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "json", "tokenizer.model %s: the file is damaged", what);
}

static int32_t no_memory(struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory to read tokenizer.model");
}

static int32_t grow(struct model *m, struct tenon_err *err)
{
    uint32_t capacity = m->capacity == 0 ? 4096 : 2 * m->capacity;
    struct piece *grown;
    if (m->n < m->capacity)
        return 0;
    if (m->n >= TOK_MAX_ENTRIES)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "json", "tokenizer.model has more than %u pieces", TOK_MAX_ENTRIES);
    grown = realloc(m->pieces, capacity * sizeof *grown);
    if (grown == NULL)
        return no_memory(err);
    m->pieces = grown;
    m->capacity = capacity;
    return 0;
}

static int32_t read_piece(struct model *m, struct tenon_str bytes, struct tenon_err *err)
{
    struct wire w = wire_of(bytes);
    struct piece p = {.text = {"", 0}, .type = NORMAL};
    struct field f;
    int32_t status = grow(m, err);
    while (next_field(&w, &f)) {
        uint32_t bits = (uint32_t)f.value;
        if (f.tag == TAG(1, SIZED))
            p.text = f.bytes;
        else if (f.tag == TAG(2, FIXED32))
            memcpy(&p.score, &bits, sizeof bits);
        else if (f.tag == TAG(3, VARINT))
            p.type = bits;
    }
    if (status != 0)
        return status;
    if (w.is_bad || !isfinite(p.score) || p.text.size == 0)
        return refuse(err, "has a piece that is no text with a score");
    if (p.text.size > JS_MOST_PIECE)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "json", "tokenizer.model has a piece of %llu bytes, more than the %u allowed",
                          (unsigned long long)p.text.size, JS_MOST_PIECE);
    m->pieces[m->n++] = p;
    return 0;
}

static int32_t read_trainer(struct model *m, struct tenon_str bytes, struct tenon_err *err)
{
    struct wire w = wire_of(bytes);
    struct field f;
    while (next_field(&w, &f)) {
        if (f.tag == TAG(3, VARINT))
            m->kind = f.value;
        if (f.tag == TAG(35, VARINT))
            m->falls_back = f.value;
    }
    return w.is_bad ? refuse(err, "has no sound trainer_spec") : 0;
}

static int32_t read_normalizer(struct model *m, struct tenon_str bytes, struct tenon_err *err)
{
    struct wire w = wire_of(bytes);
    struct field f;
    while (next_field(&w, &f)) {
        if (f.tag == TAG(2, SIZED))
            m->charsmap = f.bytes;
        if (f.tag == TAG(3, VARINT))
            m->adds_space = f.value;
        if (f.tag == TAG(4, VARINT))
            m->squeezes = f.value;
    }
    return w.is_bad ? refuse(err, "has no sound normalizer_spec") : 0;
}

static int32_t read_model(struct model *m, struct tenon_str bytes, struct tenon_err *err)
{
    struct wire w = wire_of(bytes);
    struct field f;
    int32_t status = 0;
    while (status == 0 && next_field(&w, &f))
        status = f.tag == TAG(1, SIZED)   ? read_piece(m, f.bytes, err)
                 : f.tag == TAG(2, SIZED) ? read_trainer(m, f.bytes, err)
                 : f.tag == TAG(3, SIZED) ? read_normalizer(m, f.bytes, err)
                                          : 0;
    if (status == 0 && (w.is_bad || m->n == 0))
        return refuse(err, "is no protocol buffer with pieces");
    if (status == 0 && m->kind != UNIGRAM && m->kind != BPE)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "json",
                          "tokenizer.model is of kind %llu: Unigram (1) and BPE (2) are known", (unsigned long long)m->kind);
    return status;
}

/* ---- merges ---------------------------------------------------------------------------------------------------- */

static bool is_text(const struct piece *p)
{
    return p->type == NORMAL || p->type == USER_DEFINED;
}

/* Higher scores first; of one score the order in which they were found. */
static int by_score(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->order < y->order ? -1 : 1;
}

struct merges {
    struct merge *list; /* [n] */
    size_t n, capacity;
};

static int32_t add_merge(struct merges *m, struct merge merge)
{
    if (m->n == m->capacity) {
        size_t capacity = m->capacity == 0 ? 4096 : 2 * m->capacity;
        struct merge *grown = realloc(m->list, capacity * sizeof *grown);
        if (grown == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        m->list = grown;
        m->capacity = capacity;
    }
    merge.order = (uint32_t)m->n;
    m->list[m->n++] = merge;
    return 0;
}

/* The ways to make a piece of two, by the left one's id. */
static int32_t add_splits(struct merges *m, const struct tok_vocab *v, const struct piece *p)
{
    size_t first = m->n;
    int32_t status = 0;
    for (size_t at = 1; status == 0 && at < p->text.size; at++) {
        struct merge merge = {.score = p->score};
        size_t place;
        if (((unsigned char)p->text.data[at] & 0xc0) == 0x80)
            continue;
        merge.left = tok_vocab_find(v, p->text.data, at);
        merge.right = tok_vocab_find(v, p->text.data + at, (size_t)p->text.size - at);
        if (merge.left < 0 || merge.right < 0)
            continue;
        status = add_merge(m, merge);
        for (place = m->n - 1; status == 0 && place > first && m->list[place - 1].left > merge.left; place--) {
            m->list[place].left = m->list[place - 1].left; /* all else is the same for all of them, but for the order */
            m->list[place].right = m->list[place - 1].right;
        }
        if (status == 0) {
            m->list[place].left = merge.left;
            m->list[place].right = merge.right;
        }
    }
    return status;
}

static int32_t find_merges(const struct model *model, struct merges *m, struct tenon_err *err)
{
    struct tok_vocab v;
    int32_t status = tok_vocab_create(&v, model->n, err);
    if (status != 0)
        return status;
    for (uint32_t i = 0; i < model->n; i++)
        if (is_text(&model->pieces[i]))
            v.text[i] = model->pieces[i].text;
    status = tok_vocab_index(&v, err);
    for (uint32_t i = 0; status == 0 && i < model->n; i++)
        if (is_text(&model->pieces[i]) && (status = add_splits(m, &v, &model->pieces[i])) != 0)
            status = no_memory(err);
    tok_vocab_finish(&v);
    if (status == 0 && m->n > 0)
        qsort(m->list, m->n, sizeof *m->list, by_score);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Writes to a buffer; the first failure stays. */
struct writer {
    struct tok_buffer *out;
    int32_t status;
};

static void put(struct writer *w, const char *bytes, size_t size)
{
    if (w->status == 0)
        w->status = tok_put(w->out, bytes, size);
}

static void put_word(struct writer *w, const char *word)
{
    put(w, word, strlen(word));
}

static void put_quoted(struct writer *w, struct tenon_str text)
{
    char escape[8];
    put_word(w, "\"");
    for (uint64_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\' || c < 0x20)
            put(w, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        else
            put(w, text.data + i, 1);
    }
    put_word(w, "\"");
}

static void put_number(struct writer *w, const char *format, double value)
{
    char text[48];
    put(w, text, (size_t)snprintf(text, sizeof text, format, value)); /* fits */
}

static void put_base64(struct writer *w, struct tenon_str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = (const unsigned char *)bytes.data;
    for (uint64_t i = 0; i < bytes.size; i += 3) {
        uint64_t left = bytes.size - i;
        uint32_t three = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (left > 2 ? b[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63], left > 1 ? digits[three >> 6 & 63] : '=',
                        left > 2 ? digits[three & 63] : '='};
        put(w, four, sizeof four);
    }
}

static void put_added(struct writer *w, const struct model *m)
{
    bool is_first = true;
    put_word(w, "\"added_tokens\":[");
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->pieces[i].type != CONTROL && m->pieces[i].type != USER_DEFINED)
            continue;
        put_word(w, is_first ? "{\"content\":" : ",{\"content\":");
        put_quoted(w, m->pieces[i].text);
        put_number(w, ",\"id\":%.0f", i);
        put_word(w, m->pieces[i].type == CONTROL ? ",\"special\":true,\"normalized\":false}"
                                                 : ",\"special\":false,\"normalized\":false}");
        is_first = false;
    }
}

/* What added_tokens.json has besides, as special tokens. */
static int32_t put_more_added(struct writer *w, const struct model *m, struct tenon_str added, struct tenon_err *err)
{
    struct js_arena arena = {NULL};
    struct js j = {.name = "added_tokens.json", .arena = &arena, .err = err};
    struct tenon_str key;
    js_start(&j, added.data, (size_t)added.size);
    if (added.size > 0 && js_open(&j, '{'))
        while (js_member(&j, &key)) {
            double id = js_number(&j);
            if (j.status != 0 || id < m->n) /* the model has it */
                continue;
            put_word(w, w->out->bytes[w->out->size - 1] == '[' ? "{\"content\":" : ",{\"content\":");
            put_quoted(w, key);
            put_number(w, ",\"id\":%.0f", id);
            put_word(w, ",\"special\":true,\"normalized\":false}");
        }
    put_word(w, "],");
    js_arena_finish(&arena);
    return j.status;
}

static void put_chain(struct writer *w, const struct model *m)
{
    put_word(w, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    if (m->charsmap.size > 0) {
        put_word(w, "{\"type\":\"Charsmap\",\"precompiled_charsmap\":\"");
        put_base64(w, m->charsmap);
        put_word(w, "\"},");
    }
    if (m->squeezes)
        put_word(w, "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true},"
                    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"},");
    if (m->adds_space)
        put_word(w, "{\"type\":\"Prepend\",\"prepend\":\"" SPACE "\"},");
    put_word(w, "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" SPACE "\"}]},\"decoder\":{\"type\":\"Sequence\","
                "\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"" SPACE "\"},\"content\":\" \"},"
                "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}");
    if (m->adds_space)
        put_word(w, ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}");
    put_word(w, "]},");
}

static void put_vocab(struct writer *w, const struct model *m)
{
    uint32_t unknown = m->n;
    put_word(w, m->kind == BPE ? "\"vocab\":{" : "\"vocab\":[");
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->pieces[i].type == UNKNOWN && unknown == m->n)
            unknown = i;
        put_word(w, i == 0 ? "" : ",");
        put_word(w, m->kind == BPE ? "" : "[");
        put_quoted(w, m->pieces[i].text);
        if (m->kind == BPE)
            put_number(w, ":%.0f", i);
        else
            put_number(w, ",%.9g]", (double)m->pieces[i].score);
    }
    put_word(w, m->kind == BPE ? "}" : "]");
    if (unknown == m->n)
        return;
    if (m->kind == BPE) {
        put_word(w, ",\"unk_token\":");
        put_quoted(w, m->pieces[unknown].text);
    } else {
        put_number(w, ",\"unk_id\":%.0f", unknown);
    }
}

static void put_merges(struct writer *w, const struct model *m, const struct merges *merges)
{
    put_word(w, ",\"merges\":[");
    for (size_t i = 0; i < merges->n; i++) {
        put_word(w, i == 0 ? "[" : ",[");
        put_quoted(w, m->pieces[merges->list[i].left].text);
        put_word(w, ",");
        put_quoted(w, m->pieces[merges->list[i].right].text);
        put_word(w, "]");
    }
    put_word(w, "]");
}

static int32_t write_model(const struct model *m, const struct merges *merges, struct tenon_str added, struct tok_buffer *out,
                           struct tenon_err *err)
{
    struct writer w = {out, 0};
    int32_t status;
    put_word(&w, "{");
    put_added(&w, m);
    if (w.status == 0 && (status = put_more_added(&w, m, added, err)) != 0)
        return status;
    put_chain(&w, m);
    put_word(&w, m->kind == BPE ? "\"model\":{\"type\":\"BPE\",\"fuse_unk\":true,\"byte_fallback\":"
                                : "\"model\":{\"type\":\"Unigram\",\"float_sums\":true,\"byte_fallback\":");
    put_word(&w, m->falls_back ? "true," : "false,");
    put_vocab(&w, m);
    if (m->kind == BPE)
        put_merges(&w, m, merges);
    put_word(&w, "}}");
    return w.status == 0 ? 0 : no_memory(err);
}

int32_t js_pieces_write(const char *model, size_t size, struct tenon_str added, struct tok_buffer *ret_json,
                        struct tenon_err *err)
{
    struct model m = {.kind = UNIGRAM, .adds_space = 1, .squeezes = 1}; /* what a field that is not there means */
    struct merges merges = {NULL, 0, 0};
    int32_t status = read_model(&m, (struct tenon_str){model, size}, err);
    if (status == 0 && m.kind == BPE)
        status = find_merges(&m, &merges, err);
    if (status == 0)
        status = write_model(&m, &merges, added, ret_json, err);
    free(merges.list);
    free(m.pieces);
    return status;
}
