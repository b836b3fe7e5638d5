/* special.c - finds special tokens in text. The sorted list is walked as a trie: the tokens that share the bytes read
 * so far are one stretch of it, which each further byte narrows by bisection. That needs no memory beyond the list, and
 * most places are dismissed by one look at a table of first bytes. Contract: special.h. */
#include "special.h"

#include <stdlib.h>
#include <string.h>

#define SPECIAL (TENON_TOKEN_CONTROL | TENON_TOKEN_USER_DEFINED | TENON_TOKEN_UNKNOWN)

static int compare(const void *a, const void *b)
{
    const struct tenon_str *x = &((const struct tok_special_token *)a)->text;
    const struct tenon_str *y = &((const struct tok_special_token *)b)->text;
    int order = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

static bool is_special(const struct tok_vocab *v, uint32_t id)
{
    return (v->attributes[id] & SPECIAL) != 0 && v->text[id].size > 0;
}

static void add(struct tok_special *s, const struct tok_vocab *v, uint32_t id)
{
    uint32_t is_control = (v->attributes[id] & TENON_TOKEN_USER_DEFINED) == 0;
    unsigned char first = (unsigned char)v->text[id].data[0];
    s->tokens[s->n++] = (struct tok_special_token){v->text[id], (int32_t)id, is_control};
    s->starts[1][first] = 1;
    if (!is_control)
        s->starts[0][first] = 1;
}

int32_t tok_special_init(struct tok_special *s, const struct tok_vocab *v, struct tenon_err *err)
{
    uint32_t n = 0;
    memset(s, 0, sizeof *s);
    for (uint32_t id = 0; id < v->n; id++) {
        if (is_special(v, id) && v->text[id].size > TOK_MAX_SPECIAL)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer",
                              "special token %u has %llu bytes, more than the %u allowed", id,
                              (unsigned long long)v->text[id].size, TOK_MAX_SPECIAL);
        n += is_special(v, id);
    }
    if (n == 0)
        return 0;
    s->tokens = malloc(n * sizeof *s->tokens);
    if (s->tokens == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "tokenizer", "no memory for %u special tokens", n);
    for (uint32_t id = 0; id < v->n; id++)
        if (is_special(v, id))
            add(s, v, id);
    qsort(s->tokens, s->n, sizeof *s->tokens, compare);
    return 0;
}

void tok_special_finish(struct tok_special *s)
{
    free(s->tokens);
    memset(s, 0, sizeof *s);
}

/* The first of tokens [low, high), which share their first `depth` bytes, whose next byte is at least `byte`. A token
 * that ends at `depth` comes before all. */
static uint32_t bisect(const struct tok_special *s, uint32_t low, uint32_t high, size_t depth, unsigned byte)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct tenon_str *text = &s->tokens[middle].text;
        if (text->size == depth || (unsigned char)text->data[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token at the start of text, NULL if there is none. */
static const struct tok_special_token *longest(const struct tok_special *s, const char *text, size_t size,
                                               bool with_control)
{
    const struct tok_special_token *best = NULL;
    uint32_t low = 0, high = s->n;
    for (size_t depth = 0; depth < size && low < high; depth++) {
        unsigned byte = (unsigned char)text[depth];
        low = bisect(s, low, high, depth, byte);
        high = bisect(s, low, high, depth, byte + 1);
        if (low < high && s->tokens[low].text.size == depth + 1 && (with_control || !s->tokens[low].is_control))
            best = &s->tokens[low];
    }
    return best;
}

struct tok_special_match tok_special_find(const struct tok_special *s, const char *text, size_t size,
                                          bool with_control)
{
    const uint8_t *starts = s->starts[with_control];
    struct tok_special_match m = {size, 0, -1};
    if (s->n == 0)
        return m;
    for (size_t at = 0; at < size; at++) {
        const struct tok_special_token *token;
        if (!starts[(unsigned char)text[at]])
            continue;
        token = longest(s, text + at, size - at, with_control);
        if (token != NULL)
            return (struct tok_special_match){at, (size_t)token->text.size, token->id};
    }
    return m;
}
