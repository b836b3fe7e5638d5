/* normal.c - reads the steps of a normalizer and runs them one after the other, from one buffer to another. Most text is plain
 * and most steps leave it alone, so what they would not change is copied in stretches. Unicode by utf8proc. Pure functions
 * but for reading. Contract: normal.h. */
#include "normal.h"

#include <stdlib.h>

#include "../bpe/bytes.h"
#include "../bpe/forms.h"
#include "../common/chars.h"
#include "../wordpiece/characters.h"
#include "base64.h"
#include "steps.h"

#define MOST_PARTS 32 /* code points that one character decomposes into: Unicode has at most 18 */

typedef int32_t step_fn(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                        struct tok_buffer *out);

struct js_normal_step {
    step_fn *run;
    struct js_finder finder;   /* replace */
    struct tenon_str with;     /* replace, prepend. OWN: arena */
    struct uni_charsmap map;   /* precompiled */
    utf8proc_option_t form;    /* of the four of Unicode */
    bool cleans, spaces_ideographs, strips_accents, lowers; /* BERT's */
    bool left, right;          /* strip */
};

/* ---- by characters ------------------------------------------------------------------------------------------- */

static int32_t put_lower(struct tok_buffer *out, int32_t c)
{
    int32_t status;
    if (c != 0x130) /* the one that becomes two */
        return tok_put_char(out, utf8proc_tolower(c));
    status = tok_put_char(out, 'i');
    return status == 0 ? tok_put_char(out, 0x307) : status;
}

static int32_t lowercase(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                         struct tok_buffer *out)
{
    int32_t status = tok_reserve(out, size), c;
    (void)step;
    (void)search;
    for (size_t at = 0, n; status == 0 && at < size; at += n) {
        n = tok_char(text + at, size - at, &c);
        if (c >= 0 && c < 128) {
            char lower = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : (char)c;
            status = tok_put(out, &lower, 1);
        } else {
            status = c < 0 ? tok_put(out, text + at, n) : put_lower(out, c);
        }
    }
    return status;
}

static bool is_mark(int32_t c)
{
    utf8proc_category_t category = c < 0x300 ? UTF8PROC_CATEGORY_CN : utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

static int32_t strip_accents(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                             struct tok_buffer *out)
{
    int32_t status = tok_reserve(out, size), c;
    (void)step;
    (void)search;
    for (size_t at = 0, n; status == 0 && at < size; at += n) {
        n = tok_char(text + at, size - at, &c);
        if (!is_mark(c))
            status = tok_put(out, text + at, n);
    }
    return status;
}

/* SentencePiece's rules for translation, as Hugging Face's library has them. */
static int32_t nmt(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                   struct tok_buffer *out)
{
    int32_t status = tok_reserve(out, size), c;
    (void)step;
    (void)search;
    for (size_t at = 0, n; status == 0 && at < size; at += n) {
        n = tok_char(text + at, size - at, &c);
        if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f)
            continue;
        if (c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) || c == 0x2028 ||
            c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd)
            status = tok_put(out, " ", 1);
        else
            status = tok_put(out, text + at, n);
    }
    return status;
}

static int32_t put_decomposed(const struct js_normal_step *step, struct tok_buffer *out, int32_t c)
{
    utf8proc_int32_t parts[MOST_PARTS];
    utf8proc_ssize_t n = 1;
    int boundary = 0;
    int32_t status = 0;
    parts[0] = c;
    if (step->strips_accents)
        n = utf8proc_decompose_char(c, parts, MOST_PARTS, UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; status == 0 && i < n && i < MOST_PARTS; i++) {
        if (step->strips_accents && utf8proc_category(parts[i]) == UTF8PROC_CATEGORY_MN)
            continue;
        status = step->lowers ? put_lower(out, parts[i]) : tok_put_char(out, parts[i]);
    }
    return status;
}

static int32_t bert(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                    struct tok_buffer *out)
{
    int32_t status = tok_reserve(out, size), c;
    (void)search;
    for (size_t at = 0, n; status == 0 && at < size; at += n) {
        bool alone;
        n = tok_char(text + at, size - at, &c);
        if (step->cleans && (c < 0 || wp_is_removed(c)))
            continue;
        if (step->cleans && wp_is_space(c))
            c = ' ';
        alone = step->spaces_ideographs && wp_is_ideograph(c);
        if (alone)
            status = tok_put(out, " ", 1);
        if (status == 0)
            status = c < 0 ? tok_put(out, text + at, n) : put_decomposed(step, out, c);
        if (status == 0 && alone)
            status = tok_put(out, " ", 1);
    }
    return status;
}

static int32_t byte_level(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                          struct tok_buffer *out)
{
    struct bpe_bytes map;
    int32_t status = tok_reserve(out, 2 * size);
    (void)step;
    (void)search;
    bpe_bytes_init(&map);
    if (status == 0)
        out->size += bpe_bytes_spell(&map, text, size, out->bytes + out->size);
    return status;
}

/* ---- Unicode's forms ----------------------------------------------------------------------------------------- */

static int32_t unicode_form(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                            struct tok_buffer *out)
{
    (void)search;
    return bpe_form_put(step->form, text, size, out);
}

/* ---- by the charsmap ------------------------------------------------------------------------------------------ */

/* Bytes of the first grapheme of text [size]. */
static size_t grapheme(const char *text, size_t size)
{
    utf8proc_int32_t state = 0;
    int32_t left, right;
    size_t at = tok_char(text, size, &left), n;
    if (left < 128 && left != '\r' && (at == size || (unsigned char)text[at] < 128))
        return at;
    for (; at < size && left >= 0; at += n, left = right) {
        n = tok_char(text + at, size - at, &right);
        if (right < 0 || utf8proc_grapheme_break_stateful(left, right, &state))
            break;
    }
    return at;
}

/* As Hugging Face's library does, which is not as SentencePiece does: a short grapheme becomes whole what its shortest
 * beginning stands for; else characters do, one by one. */
static int32_t precompiled(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                           struct tok_buffer *out)
{
    int32_t status = tok_reserve(out, size), c;
    struct tenon_str with;
    (void)search;
    for (size_t at = 0, length; status == 0 && at < size; at += length) {
        length = grapheme(text + at, size - at);
        if (length < 6 && uni_charsmap_find(&step->map, false, text + at, length, &with) > 0) {
            status = tok_put(out, with.data, (size_t)with.size);
            continue;
        }
        for (size_t i = 0, n; status == 0 && i < length; i += n) {
            n = tok_char(text + at + i, length - i, &c);
            if (uni_charsmap_find(&step->map, false, text + at + i, n, &with) == 0)
                with = (struct tenon_str){text + at + i, n};
            status = tok_put(out, with.data, (size_t)with.size);
        }
    }
    return status;
}

/* As SentencePiece does: the longest beginning that stands for something, again and again. */
static int32_t charsmap(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                        struct tok_buffer *out)
{
    int32_t status = tok_reserve(out, size), c;
    struct tenon_str with;
    (void)search;
    for (size_t at = 0, n; status == 0 && at < size; at += n) {
        n = uni_charsmap_find(&step->map, true, text + at, size - at, &with);
        if (n == 0) {
            n = tok_char(text + at, size - at, &c);
            with = (struct tenon_str){text + at, n};
        }
        status = tok_put(out, with.data, (size_t)with.size);
    }
    return status;
}

/* ---- by stretches --------------------------------------------------------------------------------------------- */

static int32_t replace_valid(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                             struct tok_buffer *out)
{
    size_t last = JS_FIND_FIRST, copied = 0, from, to;
    int32_t found = 0, status = 0;
    while (status == 0 && (found = js_find_next(&step->finder, search, text, size, last, &from, &to)) > 0) {
        status = tok_put(out, text + copied, from - copied);
        if (status == 0)
            status = tok_put(out, step->with.data, (size_t)step->with.size);
        last = copied = to;
    }
    if (status == 0 && found >= 0)
        status = tok_put(out, text + copied, size - copied);
    return found < 0 ? found : status;
}

static int32_t replace(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                       struct tok_buffer *out)
{
    int32_t status = 0;
    for (size_t at = 0, n; status == 0 && at < size; at += n) {
        n = tok_utf8_valid(text + at, size - at);
        status = replace_valid(step, search, text + at, n, out);
        at += n;
        n = tok_utf8_invalid(text + at, size - at);
        if (status == 0)
            status = tok_put(out, text + at, n);
    }
    return status;
}

static int32_t prepend(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                       struct tok_buffer *out)
{
    int32_t status = size > 0 ? tok_put(out, step->with.data, (size_t)step->with.size) : 0;
    (void)search;
    return status == 0 ? tok_put(out, text, size) : status;
}

static int32_t strip(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size,
                     struct tok_buffer *out)
{
    size_t start = 0, end = 0; /* after the last that is no space */
    int32_t c;
    (void)search;
    for (size_t at = 0, n; at < size; at += n) {
        n = tok_char(text + at, size - at, &c);
        if (!wp_is_space(c))
            end = at + n;
        else if (end == 0 && step->left)
            start = at + n;
    }
    if (!step->right)
        end = size;
    return end > start ? tok_put(out, text + start, end - start) : 0;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static int32_t read_charsmap(struct js_normal_step *step, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct tenon_str text = js_get_string(j, o, "precompiled_charsmap");
    char *blob = js_arena_take(arena, (size_t)text.size + 1);
    size_t n = 0;
    if (blob == NULL)
        return tenon_fail(j->err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for a charsmap");
    if (!js_base64(text, blob, &n))
        return js_fail(j, "precompiled_charsmap is not base64");
    return uni_charsmap_init(&step->map, blob, n, j->err);
}

static int32_t read_pattern(struct js_normal_step *step, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    step->with = js_get_string(j, o, "content");
    return js_finder_read(&step->finder, j, o, arena);
}

static void read_bert(struct js_normal_step *step, struct js *j, const struct js_object *o)
{
    step->cleans = js_get_bool(j, o, "clean_text", true);
    step->spaces_ideographs = js_get_bool(j, o, "handle_chinese_chars", true);
    step->lowers = js_get_bool(j, o, "lowercase", true);
    step->strips_accents = js_get_bool(j, o, "strip_accents", step->lowers);
}

/* What needs nothing but its name. */
static const struct {
    const char *type;
    step_fn *run;
    utf8proc_option_t form;
} kinds[] = {
    {"Lowercase", lowercase, 0}, {"StripAccents", strip_accents, 0}, {"Nmt", nmt, 0}, {"ByteLevel", byte_level, 0},
    {"NFC", unicode_form, BPE_NFC},
    {"NFD", unicode_form, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE},
    {"NFKC", unicode_form, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
    {"NFKD", unicode_form, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
    {"BertNormalizer", bert, 0}, {"Strip", strip, 0}, {"Replace", replace, 0}, {"Prepend", prepend, 0},
    {"Precompiled", precompiled, 0}, {"Charsmap", charsmap, 0}, /* the latter only pieces.c writes */
};

static int32_t read_step(void *chain, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct tenon_str type = js_get_string(j, o, "type");
    struct js_normal *n = chain;
    struct js_normal_step *step = &n->steps[n->n];
    if (n->n == JS_STEPS)
        return js_fail(j, "more steps than any is known to have");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (js_is(type, kinds[i].type)) {
            step->run = kinds[i].run;
            step->form = kinds[i].form;
        }
    if (step->run == NULL)
        return js_step_unknown(j, "normalizer", type);
    n->n++;
    step->left = js_get_bool(j, o, "strip_left", false);
    step->right = js_get_bool(j, o, "strip_right", false);
    if (step->run == bert)
        read_bert(step, j, o);
    if (step->run == prepend)
        step->with = js_get_string(j, o, "prepend");
    if (j->status == 0 && step->run == replace)
        return read_pattern(step, j, o, arena);
    if (j->status == 0 && (step->run == precompiled || step->run == charsmap))
        return read_charsmap(step, j, o, arena);
    return j->status;
}

int32_t js_normal_read(struct js_normal *n, struct js *j, struct js_arena *arena)
{
    const struct js_normal_step *only;
    int32_t status;
    memset(n, 0, sizeof *n);
    if (js_kind(j) == 'n') {
        js_skip(j);
        return j->status;
    }
    n->steps = calloc(JS_STEPS, sizeof *n->steps);
    if (n->steps == NULL)
        return tenon_fail(j->err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for a normalizer");
    status = js_steps_read(j, "normalizers", read_step, n, arena);
    only = &n->steps[0];
    n->is_bert = n->n == 1 && only->run == bert && only->cleans && only->spaces_ideographs && only->lowers &&
                 only->strips_accents;
    n->spells_spaces = n->n == 1 && only->run == replace && js_is(only->finder.text, " ") && js_is(only->with, TOK_SPACE);
    return status;
}

void js_normal_finish(struct js_normal *n)
{
    for (uint32_t i = 0; i < n->n; i++)
        js_finder_finish(&n->steps[i].finder);
    free(n->steps);
    memset(n, 0, sizeof *n);
}

/* Does the step take away what a text [size > 0] begins with, so that what comes out begins further in? */
static bool takes_start(const struct js_normal_step *step, struct js_search *search, const char *text, size_t size)
{
    struct tok_buffer out = {.most = tok_most(size)};
    size_t from, to, n, valid = tok_utf8_valid(text, size);
    int32_t c;
    bool is_taken = false;
    n = tok_char(text, size, &c);
    if (step->run == strip)
        return step->left && wp_is_space(c);
    if (step->run == replace) /* of several characters, what is put there has the place of the last */
        return js_find_next(&step->finder, search, text, valid, JS_FIND_FIRST, &from, &to) > 0 && from == 0 &&
               (to > n || (to == n && step->with.size == 0));
    if (step->run == nmt || step->run == strip_accents || step->run == bert)
        is_taken = step->run(step, search, text, n, &out) == 0 && out.size == 0;
    tok_buffer_finish(&out);
    return is_taken;
}

int32_t js_normal_run(const struct js_normal *n, struct js_scratch *s, const char *text, size_t size, struct tenon_str *ret,
                      bool *ret_is_start_taken)
{
    const size_t whole = size;
    bool is_taken = false;
    int32_t status = 0;
    for (uint32_t i = 0; status == 0 && i < n->n; i++) {
        struct tok_buffer *out = &s->texts[i % 2];
        if (ret_is_start_taken != NULL && size > 0 && !is_taken)
            is_taken = takes_start(&n->steps[i], &s->search, text, size);
        out->size = 0;
        out->most = tok_most(whole);
        status = n->steps[i].run(&n->steps[i], &s->search, text, size, out);
        text = out->bytes;
        size = out->size;
    }
    *ret = (struct tenon_str){text, size};
    if (ret_is_start_taken != NULL)
        *ret_is_start_taken = is_taken;
    return status;
}
