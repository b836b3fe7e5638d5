/* normal.c - one pass: what the charsmap says, then white space. Bytes that are no UTF-8 stay as they are. Pure functions.
 * Contract: normal.h. */
#include "normal.h"

#include "../common/chars.h"
#include "../common/utf8.h"

#define SPACE_SIZE (sizeof TOK_SPACE - 1)

struct writer {
    const struct uni_normal *rules;
    struct tok_buffer *t;
    bool drops_spaces; /* at the start, and after a space, when squeezing */
};

static int32_t put(struct writer *w, const char *bytes, size_t size)
{
    int32_t status = 0;
    for (size_t at = 0; status == 0 && at < size; at++) {
        bool is_space = bytes[at] == ' ';
        if (is_space && w->drops_spaces)
            continue;
        status = is_space ? tok_put(w->t, TOK_SPACE, SPACE_SIZE) : tok_put(w->t, &bytes[at], 1);
        w->drops_spaces = is_space && w->rules->squeezes;
    }
    return status;
}

static bool ends_with_space(const struct tok_buffer *t)
{
    return t->size >= SPACE_SIZE && memcmp(t->bytes + t->size - SPACE_SIZE, TOK_SPACE, SPACE_SIZE) == 0;
}

int32_t uni_normal_run(const struct uni_normal *rules, const char *text, size_t size, struct tok_buffer *t)
{
    struct writer w = {rules, t, rules->squeezes};
    int32_t status;
    t->size = 0;
    status = rules->adds_space ? tok_put(t, TOK_SPACE, SPACE_SIZE) : 0;
    for (size_t at = 0; status == 0 && at < size;) {
        struct tenon_str with;
        size_t n = uni_charsmap_find(&rules->charsmap, true, text + at, size - at, &with);
        if (n == 0) {
            size_t valid = tok_utf8_size(text + at, size - at);
            n = valid > 0 ? valid : 1;
            with = (struct tenon_str){text + at, n};
        }
        status = put(&w, with.data, (size_t)with.size);
        at += n;
    }
    while (rules->squeezes && ends_with_space(t))
        t->size -= SPACE_SIZE;
    return status;
}
