/* special.c - finds special tokens in text. The sorted list is walked as a trie: the tokens that share the bytes read
 * so far are one stretch of it, which a table of first bytes begins with and each further byte narrows by bisection. Most places
 * are dismissed by a look at the first byte, or at two. Contract: special.h. */
#include "special.h"

#include <stdlib.h>
#include <string.h>

#define SPECIAL (TENON_TOKEN_CONTROL | TENON_TOKEN_USER_DEFINED | TENON_TOKEN_UNKNOWN)

static int compare(const void *a, const void *b)
{
    const struct tenon_str *x = &((const struct tok_special_token *)a)->text;
    const struct tenon_str *y = &((const struct tok_special_token *)b)->text;
    int order = memcmp(x->data, y->data, x->size < y->size ? x->size : y->size);
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size); /* none is there twice, or either will do */
}

static bool is_special(const struct tok_vocab *v, uint32_t id)
{
    return (v->attributes[id] & SPECIAL) != 0 && v->text[id].size > 0;
}

static int32_t note(struct tok_special *s, const struct tok_special_token *token, struct tenon_err *err)
{
    const unsigned char *text = (const unsigned char *)token->text.data;
    if (token->text.size > TOK_MAX_SPECIAL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer",
                          "special token %d has %llu bytes, more than the %u allowed", token->id,
                          (unsigned long long)token->text.size, TOK_MAX_SPECIAL);
    s->starts[1][text[0]] = 1;
    if (!token->is_control)
        s->starts[0][text[0]] = 1;
    if (token->text.size > 1)
        s->seconds[text[0]][text[1] >> 3] |= (uint8_t)(1u << (text[1] & 7));
    return 0;
}

int32_t tok_special_take(struct tok_special *s, struct tok_special_token *tokens, uint32_t n, struct tenon_err *err)
{
    int32_t status = 0;
    memset(s, 0, sizeof *s);
    s->tokens = tokens;
    s->n = n;
    for (uint32_t i = 0; status == 0 && i < n; i++)
        status = note(s, &tokens[i], err);
    if (status != 0) {
        tok_special_finish(s);
        return status;
    }
    if (n > 0)
        qsort(s->tokens, s->n, sizeof *s->tokens, compare);
    for (uint32_t byte = 0, i = 0; byte < 257; byte++) {
        while (i < n && (unsigned char)s->tokens[i].text.data[0] < byte)
            i++;
        s->first[byte] = i;
    }
    return 0;
}

int32_t tok_special_init(struct tok_special *s, const struct tok_vocab *v, struct tenon_err *err)
{
    struct tok_special_token *tokens;
    uint32_t n = 0;
    memset(s, 0, sizeof *s);
    for (uint32_t id = 0; id < v->n; id++)
        n += is_special(v, id);
    if (n == 0)
        return 0;
    tokens = malloc(n * sizeof *tokens);
    if (tokens == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "tokenizer", "no memory for %u special tokens", n);
    n = 0;
    for (uint32_t id = 0; id < v->n; id++)
        if (is_special(v, id))
            tokens[n++] = (struct tok_special_token){v->text[id], (int32_t)id,
                                                     (v->attributes[id] & TENON_TOKEN_USER_DEFINED) == 0};
    return tok_special_take(s, tokens, n, err);
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
    uint32_t low = s->first[(unsigned char)text[0]], high = s->first[(unsigned char)text[0] + 1];
    for (size_t depth = 0; depth < size && low < high; depth++) {
        unsigned byte = (unsigned char)text[depth];
        if (depth == 1 && (s->seconds[(unsigned char)text[0]][byte >> 3] >> (byte & 7) & 1) == 0)
            break;
        if (depth > 0) {
            low = bisect(s, low, high, depth, byte);
            high = bisect(s, low, high, depth, byte + 1);
        }
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
