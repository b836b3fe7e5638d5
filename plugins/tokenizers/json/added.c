/* added.c - reads added tokens and finds them. Which text matches is common/special.c's matter; here the conditions are
 * looked at, and a match that does not meet them is read over. Pure functions but for reading. Contract: added.h. */
#include "added.h"

#include <utf8proc.h>

#include "../wordpiece/characters.h"

/* ---- reading -------------------------------------------------------------------------------------------------- */

static int32_t grow(struct js_added *a, struct js *j)
{
    struct js_added_token *grown;
    uint32_t capacity = a->capacity == 0 ? 64 : 2 * a->capacity;
    if (a->n < a->capacity)
        return 0;
    if (a->n == TOK_MAX_ENTRIES)
        return js_fail(j, "too many added tokens");
    grown = realloc(a->tokens, capacity * sizeof *grown);
    if (grown == NULL)
        return tenon_fail(j->err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for %u added tokens", a->n);
    a->tokens = grown;
    a->capacity = capacity;
    return 0;
}

int32_t js_added_read(struct js_added *a, struct js *j)
{
    int32_t status = 0;
    if (!js_open(j, '['))
        return j->status;
    while (status == 0 && js_element(j)) {
        struct js_object o;
        struct js_added_token t = {0};
        double id;
        js_object(j, &o);
        id = js_get_number(j, &o, "id", -1);
        t.text = js_get_string(j, &o, "content");
        t.is_special = js_get_bool(j, &o, "special", false);
        t.single_word = js_get_bool(j, &o, "single_word", false);
        t.left = js_get_bool(j, &o, "lstrip", false);
        t.right = js_get_bool(j, &o, "rstrip", false);
        t.is_normalized = js_get_bool(j, &o, "normalized", !t.is_special);
        if (j->status == 0 && !(id >= 0 && id < TOK_MAX_ENTRIES && id == (int32_t)id))
            return js_fail(j, "an added token without an id that can be");
        t.id = j->status == 0 ? (int32_t)id : -1;
        status = j->status != 0 ? j->status : grow(a, j);
        if (status == 0 && t.text.size > 0)
            a->tokens[a->n++] = t;
    }
    return status != 0 ? status : j->status;
}

/* The text to look for: normalised, if it is looked for in normalised text. */
static int32_t text_of(const struct js_added_token *t, const struct js_normal *normal, struct js_scratch *scratch,
                       struct js_arena *arena, struct tenon_str *ret)
{
    int32_t status;
    char *copy;
    *ret = t->text;
    if (!t->is_normalized || normal->n == 0)
        return 0;
    status = js_normal_run(normal, scratch, t->text.data, (size_t)t->text.size, ret, NULL);
    copy = status == 0 ? js_arena_take(arena, (size_t)ret->size + 1) : NULL;
    if (copy == NULL)
        return status != 0 ? status : TENON_E_RESOURCE_EXHAUSTED;
    if (ret->size > 0)
        memcpy(copy, ret->data, (size_t)ret->size);
    ret->data = copy;
    return 0;
}

static int32_t index_kind(struct js_added *a, bool is_normalized, const struct js_normal *normal, struct js_scratch *scratch,
                          struct js_arena *arena, struct tenon_err *err)
{
    struct tok_special_token *list = malloc((a->n + 1) * sizeof *list);
    uint32_t n = 0;
    if (list == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for %u added tokens", a->n);
    for (uint32_t i = 0; i < a->n; i++) {
        int32_t status;
        if (a->tokens[i].is_normalized != is_normalized)
            continue;
        list[n] = (struct tok_special_token){.id = (int32_t)i};
        status = text_of(&a->tokens[i], normal, scratch, arena, &list[n].text);
        if (status != 0) {
            free(list);
            return tenon_fail(err, status, "json", "the added token \"%.*s\" cannot be normalised",
                              (int)(a->tokens[i].text.size < 64 ? a->tokens[i].text.size : 64), a->tokens[i].text.data);
        }
        if (list[n].text.size == 0)
            a->lost = &a->tokens[i];
        n += list[n].text.size > 0;
    }
    return tok_special_take(&a->texts[is_normalized], list, n, err);
}

int32_t js_added_index(struct js_added *a, const struct js_normal *normal, struct js_scratch *scratch,
                       struct js_arena *arena, struct tenon_err *err)
{
    int32_t status = index_kind(a, false, normal, scratch, arena, err);
    return status != 0 ? status : index_kind(a, true, normal, scratch, arena, err);
}

void js_added_finish(struct js_added *a)
{
    free(a->tokens);
    tok_special_finish(&a->texts[0]);
    tok_special_finish(&a->texts[1]);
    memset(a, 0, sizeof *a);
}

/* ---- finding -------------------------------------------------------------------------------------------------- */

/* \w of Rust's regular expressions. */
static bool is_word(int32_t c)
{
    if (c < 128)
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= 'a' && c <= 'z');
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
               (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
    }
}

/* Where the character that ends at `end` begins; *ret is -1 for a byte that belongs to none. */
static size_t before(const char *text, size_t end, int32_t *ret)
{
    size_t at = end - 1;
    while (at > 0 && end - at < 4 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    if (at + tok_char(text + at, end - at, ret) == end)
        return at;
    *ret = -1;
    return end - 1;
}

static bool is_alone(const char *text, size_t size, size_t from, size_t to)
{
    int32_t c;
    if (from > 0 && (before(text, from, &c), c >= 0 && is_word(c)))
        return false;
    return to == size || (tok_char(text + to, size - to, &c), c < 0 || !is_word(c));
}

static void take_spaces(const struct js_added_token *t, const char *text, size_t size, size_t done,
                        struct js_added_match *m)
{
    int32_t c;
    while (t->left && m->from > done) {
        size_t at = before(text, m->from, &c);
        if (c < 0 || !wp_is_space(c) || at < done)
            break;
        m->from = at;
    }
    if (t->left && m->from < done) /* the one before has taken of it */
        m->from = done;
    if (t->right && m->to < m->reach) /* all of it white space, and none behind it */
        m->to = m->reach;
    while (t->right && m->to < size) {
        size_t n = tok_char(text + m->to, size - m->to, &c);
        if (c < 0 || !wp_is_space(c))
            break;
        m->to += n;
    }
    if (t->right)
        m->reach = m->to;
}

bool js_added_find(const struct js_added *a, bool is_normalized, const char *text, size_t size, bool with_control,
                   struct js_added_match *match)
{
    const size_t done = match->to;
    for (size_t at = match->next; at < size; at = match->next) {
        struct tok_special_match found = tok_special_find(&a->texts[is_normalized], text + at, size - at, false);
        const struct js_added_token *t;
        if (found.id < 0)
            break;
        t = &a->tokens[found.id];
        match->from = at + found.at;
        match->next = match->to = match->from + found.size;
        if ((t->is_special && !with_control) || (t->single_word && !is_alone(text, size, match->from, match->to)))
            continue;
        take_spaces(t, text, size, done, match);
        match->token = t;
        return true;
    }
    return false;
}
