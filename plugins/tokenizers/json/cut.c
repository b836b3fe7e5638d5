/* cut.c - reads the steps of a pre_tokenizer and runs them: each hands its parts to the next as it finds them, so that no list
 * of parts is ever built. What the many kinds do comes down to four: splitting at matches, cutting where the class of
 * characters changes, SentencePiece's spaces, and spelling bytes. Pure functions but for reading. Contract: cut.h. */
#include "cut.h"

#include <stdio.h>

#include <utf8proc.h>

#include "../bpe/patterns.h"
#include "../wordpiece/characters.h"
#include "steps.h"

enum behavior { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };
static const char *const behaviors[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};

enum kind { SPLIT, METASPACE, BYTE_LEVEL, FIXED_LENGTH };

struct js_cut_step {
    enum kind kind;
    struct js_finder finder;
    enum behavior behavior;
    bool is_inverted;        /* what lies between matches counts as match */
    bool adds_space;         /* byte level: in front, where there is none */
    bool always, first;      /* metaspace: when the replacement goes in front */
    struct tenon_str with;   /* metaspace: the replacement. OWN: the text or the arena */
    uint32_t length;         /* characters, fixed length */
};

/* ---- running -------------------------------------------------------------------------------------------------- */

struct run {
    const struct js_cut *cut;
    struct js_cut_memory *memory;
    uint32_t n; /* steps to run */
    js_piece_fn *take;
    void *arg;
};

static int32_t run_step(const struct run *r, uint32_t level, const char *text, size_t size, bool is_first);

/* What a behavior makes of matches and the stretches between them, which come in order. */
struct merger {
    const struct run *run;
    uint32_t level;
    const char *text;
    bool is_first;
    enum behavior behavior;
    size_t from, to;    /* the part in hand */
    bool has_part, was_match;
};

static int32_t hand_on(struct merger *m)
{
    bool has_part = m->has_part && m->to > m->from;
    m->has_part = false;
    return has_part ? run_step(m->run, m->level + 1, m->text + m->from, m->to - m->from, m->is_first && m->from == 0) : 0;
}

/* Does the next stretch go on with the part in hand? */
static bool goes_on(const struct merger *m, bool is_match)
{
    switch (m->behavior) {
    case MERGED_WITH_PREVIOUS: return is_match && !m->was_match;
    case MERGED_WITH_NEXT: return !is_match && m->was_match;
    case CONTIGUOUS: return is_match == m->was_match;
    default: return false;
    }
}

static int32_t merge(struct merger *m, size_t from, size_t to, bool is_match)
{
    int32_t status = 0;
    if (m->has_part && goes_on(m, is_match)) {
        m->to = to;
    } else {
        status = hand_on(m);
        m->from = from;
        m->to = to;
        m->has_part = !(is_match && m->behavior == REMOVED);
    }
    m->was_match = is_match;
    return status;
}

static int32_t split(const struct run *r, uint32_t level, const char *text, size_t size, bool is_first)
{
    const struct js_cut_step *step = &r->cut->steps[level];
    struct merger m = {r, level, text, is_first, step->behavior, 0, 0, false, false};
    size_t at = 0, last = JS_FIND_FIRST, from, to;
    int32_t status = 0, found = 0;
    while (status == 0 && (found = js_find_next(&step->finder, r->memory->search, text, size, last, &from, &to)) > 0) {
        if (from > at)
            status = merge(&m, at, from, step->is_inverted);
        if (status == 0)
            status = merge(&m, from, to, !step->is_inverted);
        at = last = to;
    }
    if (status == 0 && found >= 0 && at < size)
        status = merge(&m, at, size, step->is_inverted);
    if (status == 0 && found >= 0)
        status = hand_on(&m);
    return found < 0 ? found : status;
}

static bool begins_with(const char *text, size_t size, struct tenon_str start)
{
    return size >= start.size && memcmp(text, start.data, (size_t)start.size) == 0;
}

/* Steps that make text longer may feed each other. */
static int32_t spend(const struct run *r, size_t made)
{
    r->memory->left -= made; /* no more than was left: a buffer's most is that */
    return r->memory->left > 0 ? 0 : TENON_E_OUT_OF_RANGE;
}

static int32_t metaspace(const struct run *r, uint32_t level, const char *text, size_t size, bool is_first)
{
    const struct js_cut_step *step = &r->cut->steps[level];
    struct tok_buffer *out = &r->memory->texts[level];
    bool adds = step->always || (step->first && is_first);
    int32_t status = 0;
    out->size = 0;
    out->most = r->memory->left;
    if (adds && text[0] != ' ' && !begins_with(text, size, step->with))
        status = tok_put(out, step->with.data, (size_t)step->with.size);
    for (size_t at = 0; status == 0 && at < size;) {
        const char *space = memchr(text + at, ' ', size - at);
        size_t end = space == NULL ? size : (size_t)(space - text);
        status = tok_put(out, text + at, end - at);
        if (status == 0 && space != NULL)
            status = tok_put(out, step->with.data, (size_t)step->with.size);
        at = end + 1;
    }
    if (status != 0 || (status = spend(r, out->size)) != 0)
        return status;
    return step->finder.text.size > 0 ? split(r, level, out->bytes, out->size, is_first)
                                      : run_step(r, level + 1, out->bytes, out->size, is_first);
}

/* The space in front, or the spelling: reading makes two steps of it. */
static int32_t byte_level(const struct run *r, uint32_t level, const char *text, size_t size, bool is_first)
{
    const struct js_cut_step *step = &r->cut->steps[level];
    struct tok_buffer *out = &r->memory->texts[level];
    int32_t status;
    out->size = 0;
    out->most = r->memory->left;
    if (step->adds_space) {
        if (text[0] == ' ')
            return run_step(r, level + 1, text, size, is_first);
        status = tok_put(out, " ", 1);
        if (status == 0)
            status = tok_put(out, text, size);
    } else {
        status = tok_reserve(out, 2 * size);
        if (status == 0)
            out->size = bpe_bytes_spell(&r->cut->bytes, text, size, out->bytes);
    }
    if (status == 0)
        status = spend(r, out->size);
    return status == 0 ? run_step(r, level + 1, out->bytes, out->size, is_first) : status;
}

static int32_t fixed_length(const struct run *r, uint32_t level, const char *text, size_t size, bool is_first)
{
    const struct js_cut_step *step = &r->cut->steps[level];
    int32_t status = 0, c;
    for (size_t at = 0, n; status == 0 && at < size; at += n) {
        n = 0;
        for (uint32_t i = 0; i < step->length && at + n < size; i++)
            n += tok_char(text + at + n, size - at - n, &c);
        status = run_step(r, level + 1, text + at, n, is_first && at == 0);
    }
    return status;
}

/* Steps nest as deep as there are steps. */
static int32_t run_step(const struct run *r, uint32_t level, const char *text, size_t size, bool is_first)
{
    if (level == r->n)
        return r->take(r->arg, text, size);
    switch (r->cut->steps[level].kind) {
    case SPLIT: return split(r, level, text, size, is_first);
    case METASPACE: return metaspace(r, level, text, size, is_first);
    case BYTE_LEVEL: return byte_level(r, level, text, size, is_first);
    default: return fixed_length(r, level, text, size, is_first);
    }
}

int32_t js_cut_run(const struct js_cut *c, struct js_cut_memory *m, bool leaves_bytes, const char *text, size_t size,
                   bool is_first, js_piece_fn *take, void *arg)
{
    const struct run r = {c, m, c->n - (leaves_bytes && c->is_byte_level ? 1 : 0), take, arg};
    int32_t status = 0;
    m->left = tok_most(size);
    for (size_t at = 0; status == 0 && at < size;) {
        size_t n = tok_utf8_valid(text + at, size - at);
        if (n > 0)
            status = run_step(&r, 0, text + at, n, is_first && at == 0);
        at += n;
        n = tok_utf8_invalid(text + at, size - at);
        if (status == 0 && n > 0 && c->is_byte_level && !leaves_bytes)
            status = byte_level(&r, c->n - 1, text + at, n, false);
        else if (status == 0 && n > 0)
            status = take(arg, text + at, n);
        at += n;
    }
    return status;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static bool is_number(int32_t c)
{
    utf8proc_category_t category;
    if (c < 128)
        return c >= '0' && c <= '9';
    category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

/* A further step; NULL, with an error of j: too many. */
static struct js_cut_step *add(struct js_cut *c, struct js *j, enum kind kind)
{
    struct js_cut_step *step = &c->steps[c->n];
    if (c->n == JS_CUT_STEPS) {
        js_fail(j, "more steps than any is known to have");
        return NULL;
    }
    c->n++;
    step->kind = kind;
    return step;
}

static int32_t add_class(struct js_cut *c, struct js *j, js_class_fn *is_in, enum behavior behavior)
{
    struct js_cut_step *step = add(c, j, SPLIT);
    if (step == NULL)
        return j->status;
    step->behavior = behavior;
    js_finder_class(&step->finder, is_in);
    return 0;
}

static int32_t add_regex(struct js_cut *c, struct js *j, struct js_arena *arena, const char *pattern, enum behavior behavior,
                         bool is_inverted)
{
    struct js_cut_step *step = add(c, j, SPLIT);
    if (step == NULL)
        return j->status;
    step->behavior = behavior;
    step->is_inverted = is_inverted;
    return js_finder_regex(&step->finder, (struct tenon_str){pattern, strlen(pattern)}, arena, j->err);
}

static int32_t read_behavior(struct js *j, const struct js_object *o, enum behavior otherwise, enum behavior *ret)
{
    struct tenon_str name = js_get_string(j, o, "behavior");
    *ret = otherwise;
    for (size_t i = 0; i < sizeof behaviors / sizeof behaviors[0]; i++)
        if (js_is(name, behaviors[i])) {
            *ret = (enum behavior)i;
            return 0;
        }
    return name.size > 0 ? js_fail(j, "a behavior that is not known") : j->status;
}

/* ---- patterns for the fast way ---- */

static void note_pattern(struct js_cut *c, const char *pattern)
{
    if (c->n_patterns < BPE_PRE_STEPS - 1)
        c->patterns[c->n_patterns++] = pattern;
    else
        c->n_patterns = UINT32_MAX;
}

/* Each kind notes what it is as a pattern, or that it is none. */
typedef int32_t read_fn(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena);

static int32_t read_split(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct js_cut_step *step = add(c, j, SPLIT);
    struct js_object pattern;
    struct js part;
    struct tenon_str regex = {"", 0};
    char *copy;
    int32_t status;
    if (step == NULL || (status = read_behavior(j, o, ISOLATED, &step->behavior)) != 0)
        return j->status;
    step->is_inverted = js_get_bool(j, o, "invert", false);
    if (js_find(j, o, "pattern", &part)) {
        js_object(&part, &pattern);
        regex = js_get_string(&part, &pattern, "Regex");
    }
    copy = js_arena_take(arena, (size_t)regex.size + 1);
    if (copy == NULL)
        return tenon_fail(j->err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for a pattern");
    memcpy(copy, regex.data, (size_t)regex.size);
    copy[regex.size] = '\0';
    if (regex.size > 0 && step->behavior == ISOLATED && !step->is_inverted)
        note_pattern(c, copy);
    else
        c->n_patterns = UINT32_MAX;
    return js_finder_read(&step->finder, j, o, arena);
}

static int32_t read_byte_level(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct js_cut_step *step;
    int32_t status = 0;
    if (js_get_bool(j, o, "add_prefix_space", true)) {
        step = add(c, j, BYTE_LEVEL);
        if (step == NULL)
            return j->status;
        step->adds_space = true;
        c->n_patterns = UINT32_MAX;
    }
    if (js_get_bool(j, o, "use_regex", true)) {
        note_pattern(c, GPT2_WHOLE);
        status = add_regex(c, j, arena, GPT2_WHOLE, ISOLATED, false);
        if (status == 0)
            c->steps[c->n - 1].finder.is_trusted = true;
    }
    if (status == 0)
        (void)add(c, j, BYTE_LEVEL); /* its failure is j's */
    return status != 0 ? status : j->status;
}

static int32_t read_digits(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    bool alone = js_get_bool(j, o, "individual_digits", false);
    (void)arena;
    note_pattern(c, alone ? "\\p{N}" : "\\p{N}+");
    return add_class(c, j, is_number, alone ? ISOLATED : CONTIGUOUS);
}

static int32_t read_metaspace(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct js_cut_step *step = add(c, j, METASPACE);
    struct tenon_str scheme = js_get_string(j, o, "prepend_scheme");
    (void)arena;
    c->n_patterns = UINT32_MAX;
    if (step == NULL)
        return j->status;
    step->with = js_get_string(j, o, "replacement");
    if (step->with.size == 0)
        step->with = (struct tenon_str){"\xe2\x96\x81", 3};
    step->first = js_is(scheme, "first");
    c->has_first |= step->first;
    /* An old file has add_prefix_space instead of a scheme. */
    step->always = js_is(scheme, "always") || (scheme.size == 0 && js_get_bool(j, o, "add_prefix_space", true));
    step->behavior = MERGED_WITH_NEXT;
    if (js_get_bool(j, o, "split", true))
        js_finder_text(&step->finder, step->with);
    return j->status;
}

static int32_t read_bert(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    int32_t status = add_class(c, j, wp_is_space, REMOVED);
    (void)o;
    (void)arena;
    c->n_patterns = UINT32_MAX;
    return status != 0 ? status : add_class(c, j, wp_is_punctuation, ISOLATED);
}

/* \w of Rust's regular expressions: letters by Unicode's Alphabetic, and the joiners. */
#define WORD "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200c}\\x{200d}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}" \
    "\\x{1f170}-\\x{1f189}"

static int32_t read_whitespace(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    int32_t status = add_regex(c, j, arena, "[" WORD "]+|[^" WORD "\\s]+", REMOVED, true);
    (void)o;
    c->n_patterns = UINT32_MAX;
    if (status == 0)
        c->steps[c->n - 1].finder.is_trusted = true;
    return status;
}

static int32_t read_whitespace_split(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    (void)o;
    (void)arena;
    c->n_patterns = UINT32_MAX;
    return add_class(c, j, wp_is_space, REMOVED);
}

static int32_t read_punctuation(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    enum behavior behavior;
    int32_t status = read_behavior(j, o, ISOLATED, &behavior);
    (void)arena;
    c->n_patterns = UINT32_MAX;
    return status != 0 ? status : add_class(c, j, wp_is_punctuation, behavior);
}

static int32_t read_delimiter(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct js_cut_step *step = add(c, j, SPLIT);
    (void)arena;
    c->n_patterns = UINT32_MAX;
    if (step == NULL)
        return j->status;
    step->behavior = REMOVED;
    js_finder_text(&step->finder, js_get_string(j, o, "delimiter"));
    return j->status;
}

static int32_t read_fixed_length(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct js_cut_step *step = add(c, j, FIXED_LENGTH);
    double length = js_get_number(j, o, "length", 5);
    (void)arena;
    c->n_patterns = UINT32_MAX;
    if (step == NULL || !(length >= 1 && length <= 1e6))
        return js_fail(j, "a length that cannot be");
    step->length = (uint32_t)length;
    return j->status;
}

/* Scripts as PCRE2 names them; kana goes with the ideographs, and a space, or what has no script, with what stands before it. */
static const char scripts[] =
    "Latin Greek Cyrillic Armenian Hebrew Arabic Syriac Thaana Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada "
    "Malayalam Sinhala Thai Lao Tibetan Myanmar Georgian Hangul Ethiopic Cherokee Canadian_Aboriginal Ogham Runic Khmer "
    "Mongolian Bopomofo Yi Old_Italic Gothic Deseret Inherited Tagalog Hanunoo Buhid Tagbanwa Limbu Tai_Le Linear_B Ugaritic "
    "Shavian Osmanya Cypriot Braille Buginese Coptic New_Tai_Lue Glagolitic Tifinagh Syloti_Nagri Old_Persian Kharoshthi "
    "Balinese Cuneiform Phoenician Phags_Pa Nko";

static int32_t read_scripts(struct js_cut *c, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    char pattern[4000];
    size_t n = (size_t)snprintf(pattern, sizeof pattern,
                                "[\\p{sc:Han}\\p{sc:Hiragana}\\p{sc:Katakana}\\x{30fc}]"
                                "[\\p{sc:Han}\\p{sc:Hiragana}\\p{sc:Katakana}\\x{30fc} \\p{sc:Unknown}]*+"
                                "|(?![ \\x{30fc}])\\p{sc:Common}(?:(?!\\x{30fc})[\\p{sc:Common} \\p{sc:Unknown}])*+");
    (void)o;
    c->n_patterns = UINT32_MAX;
    for (const char *name = scripts; *name != '\0';) {
        int size = (int)strcspn(name, " ");
        n += (size_t)snprintf(pattern + n, sizeof pattern - n, "|(?! )\\p{sc:%.*s}[\\p{sc:%.*s} \\p{sc:Unknown}]*+", size, name,
                              size, name);
        name += size + (name[size] == ' ');
    }
    return add_regex(c, j, arena, pattern, REMOVED, true);
}

static const struct {
    const char *type;
    read_fn *read;
} kinds[] = {
    {"Split", read_split}, {"ByteLevel", read_byte_level}, {"Digits", read_digits}, {"Metaspace", read_metaspace},
    {"BertPreTokenizer", read_bert}, {"Whitespace", read_whitespace}, {"WhitespaceSplit", read_whitespace_split},
    {"Punctuation", read_punctuation}, {"CharDelimiterSplit", read_delimiter}, {"FixedLength", read_fixed_length},
    {"UnicodeScripts", read_scripts},
};

static int32_t read_step(void *chain, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct tenon_str type = js_get_string(j, o, "type");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (js_is(type, kinds[i].type))
            return kinds[i].read(chain, j, o, arena);
    return js_step_unknown(j, "pre_tokenizer", type);
}

int32_t js_cut_read(struct js_cut *c, struct js *j, struct js_arena *arena)
{
    uint32_t spelled = 0, spaced = 0;
    int32_t status;
    memset(c, 0, sizeof *c);
    bpe_bytes_init(&c->bytes);
    if (js_kind(j) == 'n') {
        js_skip(j);
        return j->status;
    }
    c->steps = calloc(JS_CUT_STEPS, sizeof *c->steps);
    if (c->steps == NULL)
        return tenon_fail(j->err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for a pre_tokenizer");
    status = js_steps_read(j, "pretokenizers", read_step, c, arena);
    for (uint32_t i = 0; i < c->n; i++) {
        spelled += c->steps[i].kind == BYTE_LEVEL && !c->steps[i].adds_space;
        spaced += c->steps[i].kind == BYTE_LEVEL && c->steps[i].adds_space;
    }
    c->is_byte_level = spelled == 1 && c->steps[c->n - 1].kind == BYTE_LEVEL && !c->steps[c->n - 1].adds_space;
    if (spaced > 0 || !c->is_byte_level)
        c->n_patterns = UINT32_MAX;
    c->is_bert = c->n == 2 && c->steps[0].finder.is_in == wp_is_space && c->steps[0].behavior == REMOVED &&
                 c->steps[1].finder.is_in == wp_is_punctuation && c->steps[1].behavior == ISOLATED;
    c->needs_spaces = c->n == 1 && c->steps[0].kind == SPLIT && js_is(c->steps[0].finder.text, " ") && !c->steps[0].is_inverted;
    return status;
}

void js_cut_finish(struct js_cut *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        js_finder_finish(&c->steps[i].finder);
    free(c->steps);
    memset(c, 0, sizeof *c);
}
