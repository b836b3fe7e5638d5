/* match.c - greedy longest match. The word is copied behind room for a prefix, and each part's prefix is written over what
 * came before it, so that every candidate is one stretch of bytes to look up. Pure functions but for the work. Contract:
 * match.h. */
#include "match.h"

#include <stdlib.h>
#include <string.h>

void wp_match_init(struct wp_match *m, const struct tok_vocab *v, uint32_t most_characters)
{
    uint32_t most = 4 * most_characters + WP_MOST_PREFIX; /* bytes that a word and its prefix can have */
    uint64_t longest = 0;
    memset(m, 0, sizeof *m);
    m->vocab = v;
    m->most_characters = most_characters;
    for (uint32_t id = 0; id < v->n; id++)
        if (v->text[id].size > longest)
            longest = v->text[id].size;
    m->longest = longest < most ? (uint32_t)longest : most;
    m->start = m->next = (struct tenon_str){"", 0};
}

/* The longest token at the start of text [size], longer than its prefix; *ret_size is what it covers. -1: none. Control
 * tokens are not text. */
static int32_t longest_token(const struct wp_match *m, const char *text, size_t size, size_t prefix, size_t *ret_size)
{
    const struct tok_vocab *v = m->vocab;
    for (size_t n = size < m->longest ? size : m->longest; n > prefix; n--) {
        int32_t id;
        if (n < size && ((unsigned char)text[n] & 0xc0) == 0x80)
            continue; /* within a character */
        id = tok_vocab_find(v, text, n);
        if (id >= 0 && (v->attributes[id] & TENON_TOKEN_CONTROL) == 0) {
            *ret_size = n;
            return id;
        }
    }
    return -1;
}

static bool is_too_long(const char *word, size_t size, uint32_t most)
{
    size_t characters = 0;
    if (size > 4u * most)
        return true;
    for (size_t i = 0; i < size; i++)
        characters += ((unsigned char)word[i] & 0xc0) != 0x80;
    return characters > most;
}

/* Cover the word at `text` [size], which has room for a prefix before it; how many ids, 0: it cannot be covered. */
static size_t cover(const struct wp_match *m, char *text, size_t size, int32_t *ids)
{
    size_t n = 0, covered = 0;
    for (size_t at = 0; at < size;) {
        const struct tenon_str *prefix = n == 0 ? &m->start : &m->next;
        size_t room = (size_t)prefix->size;
        memcpy(text + at - room, prefix->data, room);
        ids[n] = longest_token(m, text + at - room, size - at + room, room, &covered);
        if (ids[n++] < 0)
            return 0;
        at += covered - room;
    }
    return n;
}

int32_t wp_match_word(const struct wp_match *m, struct tok_work *work, const char *word, size_t size,
                      const int32_t **ret_ids, size_t *ret_n)
{
    char small[WP_MOST_PREFIX + 512], *text = small;
    int32_t *ids = tok_merge_reserve(&work->merge, size + 1);
    bool is_known = !is_too_long(word, size, m->most_characters);
    size_t n = 0;
    if (ids != NULL && is_known && size > sizeof small - WP_MOST_PREFIX)
        text = malloc(WP_MOST_PREFIX + size);
    if (ids == NULL || text == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    if (is_known) {
        memcpy(text + WP_MOST_PREFIX, word, size);
        n = cover(m, text + WP_MOST_PREFIX, size, ids);
    }
    if (n == 0) {
        n = m->vocab->unk >= 0;
        ids[0] = m->vocab->unk;
    }
    if (text != small)
        free(text);
    *ret_ids = ids;
    *ret_n = n;
    return 0;
}
