/* decode.c - reads the steps of a decoder and runs them on one token at a time. Hugging Face's library has all tokens at hand;
 * what of that a step needs is kept in the caller's state: whether text has begun, how many characters of its start have
 * been taken away, whether a space is due. White space at the end of a whole text is left there. Pure functions but for
 * reading. Contract: decode.h. */
#include "decode.h"

#include <stdlib.h>

#include "../common/chars.h"
#include "steps.h"

enum kind { REPLACE, BYTE_FALLBACK, BYTE_LEVEL, FUSE, STRIP, METASPACE, WORDPIECE, SUFFIX, CTC };

struct js_decode_step {
    enum kind kind;
    struct js_finder finder;
    struct tenon_str text;  /* replace: with; strip: what; metaspace: the replacement; wordpiece: prefix; suffix; CTC: between words. OWN: arena */
    struct tenon_str pad;   /* CTC: what stands for nothing. OWN: arena */
    uint32_t start, stop;   /* strip: how many */
    bool is_whole;          /* a step before has made one text of all tokens */
    bool prepends, cleans;  /* metaspace; wordpiece, CTC */
};

/* Bits of the state. */
#define BEGUN UINT64_C(1)
#define SPACE_DUE UINT64_C(2)
#define SAID UINT64_C(4) /* there is a last id */
#define TAKEN_SHIFT 8 /* what a strip has taken: 16 bits */
#define TAKEN (UINT64_C(0xffff) << TAKEN_SHIFT)
#define LAST_SHIFT 32 /* the last id, for CTC */

/* ---- running -------------------------------------------------------------------------------------------------- */

/* Copy text with every `what` in it replaced. */
static int32_t replace_all(struct tok_buffer *out, const char *text, size_t size, struct tenon_str what, struct tenon_str with)
{
    int32_t status = 0;
    size_t at = 0;
    while (status == 0 && at < size) {
        const char *found = what.size == 0 ? NULL : memmem(text + at, size - at, what.data, (size_t)what.size);
        size_t end = found == NULL ? size : (size_t)(found - text);
        status = tok_put(out, text + at, end - at);
        if (status == 0 && found != NULL)
            status = tok_put(out, with.data, (size_t)with.size);
        at = found == NULL ? size : end + (size_t)what.size;
    }
    return status;
}

static int32_t replace_matches(const struct js_decode_step *step, const char *text, size_t size, struct tok_buffer *out)
{
    struct js_search search;
    size_t at = 0, last = JS_FIND_FIRST, from, to;
    int32_t status;
    if (step->finder.pattern.code == NULL)
        return replace_all(out, text, size, step->finder.text, step->text);
    memset(&search, 0, sizeof search);
    search.size = size;
    status = js_search_init(&search);
    while (status == 0 && tok_utf8_valid(text, size) == size &&
           js_find_next(&step->finder, &search, text, size, last, &from, &to) > 0) {
        status = tok_put(out, text + at, from - at);
        if (status == 0)
            status = tok_put(out, step->text.data, (size_t)step->text.size);
        at = last = to;
    }
    js_search_finish(&search);
    return status == 0 ? tok_put(out, text + at, size - at) : status;
}

static int32_t strip(const struct js_decode_step *step, const char *text, size_t size, uint64_t *state,
                     struct tok_buffer *out)
{
    uint64_t taken = step->is_whole ? (*state & TAKEN) >> TAKEN_SHIFT : 0;
    size_t n = (size_t)step->text.size, at = 0;
    if (step->is_whole && step->start == 0) /* what is at the end of a whole text stays */
        return tok_put(out, text, size);
    while (n > 0 && taken < step->start && size - at >= n && memcmp(text + at, step->text.data, n) == 0) {
        at += n;
        taken++;
    }
    if (step->is_whole && at < size)
        taken = step->start; /* something else stands there now */
    if (step->is_whole)
        *state = (*state & ~TAKEN) | taken << TAKEN_SHIFT;
    for (uint32_t i = 0; !step->is_whole && i < step->stop && n > 0 && size - at >= n &&
                         memcmp(text + size - n, step->text.data, n) == 0; i++)
        size -= n;
    return tok_put(out, text + at, size - at);
}

static int32_t metaspace(const struct js_decode_step *step, const char *text, size_t size, uint64_t state,
                         struct tok_buffer *out)
{
    struct tenon_str with = {" ", step->prepends && (step->is_whole || !(state & BEGUN)) ? 0 : 1};
    return replace_all(out, text, size, step->text, with);
}

/* In this order, as Hugging Face's library does. */
static const char *const contractions[][2] = {
    {" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

static int32_t clean(struct tok_buffer *out)
{
    struct tok_buffer other = {0};
    int32_t status = 0;
    for (size_t i = 0; status == 0 && i < sizeof contractions / sizeof contractions[0]; i++) {
        struct tenon_str what = {contractions[i][0], strlen(contractions[i][0])};
        struct tenon_str with = {contractions[i][1], strlen(contractions[i][1])};
        struct tok_buffer swap = *out;
        if (out->size < what.size)
            continue;
        other.size = 0;
        status = replace_all(&other, out->bytes, out->size, what, with);
        *out = other;
        other = swap;
    }
    tok_buffer_finish(&other);
    return status;
}

static int32_t wordpiece(const struct js_decode_step *step, const char *text, size_t size, uint64_t state,
                         struct tok_buffer *out)
{
    size_t prefix = (size_t)step->text.size;
    bool goes_on = size >= prefix && memcmp(text, step->text.data, prefix) == 0;
    int32_t status = 0;
    if (step->is_whole) {
        /* the first token has neither space nor prefix */
    } else if ((state & BEGUN) && goes_on) {
        text += prefix;
        size -= prefix;
    } else if (state & BEGUN) {
        status = tok_put(out, " ", 1);
    }
    if (status == 0)
        status = tok_put(out, text, size);
    return status == 0 && step->cleans ? clean(out) : status;
}

/* A suffix ends a word: the space after it comes when something follows. */
static int32_t suffix(const struct js_decode_step *step, const char *text, size_t size, uint64_t *state,
                      struct tok_buffer *out)
{
    size_t n = (size_t)step->text.size;
    bool ends = n > 0 && size >= n && memcmp(text + size - n, step->text.data, n) == 0;
    struct tenon_str with = {" ", step->is_whole ? 0 : 1}; /* nothing for the last token */
    int32_t status = *state & SPACE_DUE ? tok_put(out, " ", 1) : 0;
    *state = (*state & ~SPACE_DUE) | (ends && !step->is_whole ? SPACE_DUE : 0);
    return status == 0 ? replace_all(out, text, size - (ends ? n : 0), step->text, with) : status;
}

/* A character is said once however often it stands in a row. */
static int32_t ctc(const struct js_decode_step *step, const char *text, size_t size, int32_t id, uint64_t *state,
                   struct tok_buffer *out)
{
    bool repeats = (*state & SAID) && *state >> LAST_SHIFT == (uint32_t)id;
    struct tok_buffer word = {0};
    int32_t status = 0;
    *state = (*state & UINT32_MAX) | SAID | (uint64_t)(uint32_t)id << LAST_SHIFT;
    if (!repeats)
        status = replace_all(step->cleans ? &word : out, text, size, step->pad, (struct tenon_str){"", 0});
    if (status == 0 && step->cleans && word.size > 0 && (status = clean(&word)) == 0)
        status = replace_all(out, word.bytes, word.size, step->text, (struct tenon_str){" ", 1});
    tok_buffer_finish(&word);
    return status;
}

static int32_t run_step(const struct js_decoder *d, const struct js_decode_step *step, const char *text, size_t size,
                        int32_t id, bool is_added, uint64_t *state, struct tok_buffer *out)
{
    struct tenon_str token = {text, size};
    int byte;
    size_t n = 0;
    switch (step->kind) {
    case REPLACE: return replace_matches(step, text, size, out);
    case STRIP: return strip(step, text, size, state, out);
    case METASPACE: return metaspace(step, text, size, *state, out);
    case WORDPIECE: return wordpiece(step, text, size, *state, out);
    case SUFFIX: return suffix(step, text, size, state, out);
    case CTC: return ctc(step, text, size, id, state, out);
    case BYTE_FALLBACK:
        byte = step->is_whole ? -1 : tok_chars_byte(&token);
        return byte < 0 ? tok_put(out, text, size) : tok_put(out, &(char){(char)byte}, 1);
    case BYTE_LEVEL:
        if (is_added || tok_reserve(out, size) != 0 || !bpe_bytes_unspell(&d->bytes, text, size, out->bytes, size, &n))
            return tok_put(out, text, size);
        out->size = n;
        return 0;
    default: return tok_put(out, text, size);
    }
}

int32_t js_decoder_run(const struct js_decoder *d, struct tok_buffer texts[2], struct tenon_str token, int32_t id,
                       bool is_added, uint64_t *state, struct tenon_str *ret)
{
    int32_t status = 0;
    texts[1].size = 0;
    if (d->is_missing && (*state & BEGUN))
        status = tok_put(&texts[1], " ", 1);
    if (status == 0)
        status = tok_put(&texts[1], token.data, (size_t)token.size);
    *ret = (struct tenon_str){texts[1].bytes, texts[1].size};
    for (uint32_t i = 0; status == 0 && i < d->n; i++) {
        struct tok_buffer *out = &texts[i % 2];
        out->size = 0;
        out->most = tok_most((size_t)token.size);
        status = run_step(d, &d->steps[i], ret->data, (size_t)ret->size, id, is_added, state, out);
        *ret = (struct tenon_str){out->bytes, out->size};
        if (status == 0 && d->steps[i].kind == CTC && ret->size == 0)
            return 0; /* to the steps behind it there is no such token */
    }
    *state |= BEGUN;
    return status;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *type, *text; /* and where its text is */
    enum kind kind;
} kinds[] = {
    {"Replace", "content", REPLACE}, {"ByteFallback", "", BYTE_FALLBACK}, {"ByteLevel", "", BYTE_LEVEL}, {"Fuse", "", FUSE},
    {"Strip", "content", STRIP}, {"Metaspace", "replacement", METASPACE}, {"WordPiece", "prefix", WORDPIECE},
    {"BPEDecoder", "suffix", SUFFIX}, {"CTC", "word_delimiter_token", CTC},
};

static int32_t read_step(void *chain, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct tenon_str type = js_get_string(j, o, "type"), scheme = js_get_string(j, o, "prepend_scheme");
    struct js_decoder *d = chain;
    struct js_decode_step *step = &d->steps[d->n];
    int32_t status;
    size_t i = 0;
    if (d->n == JS_DECODE_STEPS)
        return js_fail(j, "more steps than any is known to have");
    while (i < sizeof kinds / sizeof kinds[0] && !js_is(type, kinds[i].type))
        i++;
    if (i == sizeof kinds / sizeof kinds[0])
        return js_step_unknown(j, "decoder", type);
    if (kinds[i].kind == CTC && d->n > 0)
        return js_fail(j, "a CTC decoder behind other steps");
    d->n++;
    step->kind = kinds[i].kind;
    step->text = js_get_string(j, o, kinds[i].text);
    step->pad = js_get_string(j, o, "pad_token");
    step->start = js_get_count(j, o, "start", 0xffff);
    step->stop = js_get_count(j, o, "stop", 0xffff);
    step->cleans = js_get_bool(j, o, "cleanup", false);
    step->prepends = scheme.size == 0 ? js_get_bool(j, o, "add_prefix_space", true) : !js_is(scheme, "never");
    for (uint32_t k = 0; k + 1 < d->n; k++)
        step->is_whole |= d->steps[k].kind == FUSE || d->steps[k].kind == BYTE_LEVEL;
    if (step->kind != REPLACE || j->status != 0)
        return j->status;
    status = js_finder_read(&step->finder, j, o, arena);
    d->reaches_across |= step->is_whole && (step->finder.pattern.code != NULL || step->finder.text.size > 1);
    return status;
}

int32_t js_decoder_read(struct js_decoder *d, struct js *j, struct js_arena *arena)
{
    memset(d, 0, sizeof *d);
    bpe_bytes_init(&d->bytes);
    if (js_kind(j) == 'n') {
        d->is_missing = true;
        js_skip(j);
        return j->status;
    }
    d->steps = calloc(JS_DECODE_STEPS, sizeof *d->steps);
    if (d->steps == NULL)
        return tenon_fail(j->err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for a decoder");
    return js_steps_read(j, "decoders", read_step, d, arena);
}

void js_decoder_finish(struct js_decoder *d)
{
    for (uint32_t i = 0; i < d->n; i++)
        js_finder_finish(&d->steps[i].finder);
    free(d->steps);
    memset(d, 0, sizeof *d);
}
