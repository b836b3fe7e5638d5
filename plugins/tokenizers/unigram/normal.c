/* normal.c - one pass: what the charsmap says, then white space. Bytes that are no UTF-8 stay as they are. Pure functions.
 * Contract: normal.h. */
#include "normal.h"

#include <stdlib.h>
#include <string.h>

#include "../common/chars.h"
#include "../common/utf8.h"

#define SPACE_SIZE (sizeof TOK_SPACE - 1)

struct writer {
    const struct uni_normal *rules;
    struct uni_text *t;
    bool drops_spaces; /* at the start, and after a space, when squeezing */
};

static int32_t append(struct uni_text *t, const char *bytes, size_t size)
{
    if (t->capacity - t->size < size) {
        size_t capacity = 2 * t->capacity + size + 64;
        char *grown = realloc(t->bytes, capacity);
        if (grown == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        t->bytes = grown;
        t->capacity = capacity;
    }
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    return 0;
}

static int32_t put(struct writer *w, const char *bytes, size_t size)
{
    int32_t status = 0;
    for (size_t at = 0; status == 0 && at < size; at++) {
        bool is_space = bytes[at] == ' ';
        if (is_space && w->drops_spaces)
            continue;
        status = is_space ? append(w->t, TOK_SPACE, SPACE_SIZE) : append(w->t, &bytes[at], 1);
        w->drops_spaces = is_space && w->rules->squeezes;
    }
    return status;
}

static bool ends_with_space(const struct uni_text *t)
{
    return t->size >= SPACE_SIZE && memcmp(t->bytes + t->size - SPACE_SIZE, TOK_SPACE, SPACE_SIZE) == 0;
}

int32_t uni_normal_run(const struct uni_normal *rules, const char *text, size_t size, struct uni_text *t)
{
    struct writer w = {rules, t, rules->squeezes};
    int32_t status;
    t->size = 0;
    status = rules->adds_space ? append(t, TOK_SPACE, SPACE_SIZE) : 0;
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

void uni_text_finish(struct uni_text *t)
{
    free(t->bytes);
    memset(t, 0, sizeof *t);
}
