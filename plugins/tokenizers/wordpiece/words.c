/* words.c - BERT's normaliser and word splitter, in one pass over the characters and without a normalised copy of the text.
 * What Unicode says of a character (decomposition, case, category) comes from utf8proc. Contract: words.h. */
#include "words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/plugin.h>
#include <utf8proc.h>

#include "../common/utf8.h"
#include "characters.h"

#define MOST_PARTS 8 /* code points that one character decomposes into: Unicode has at most 4 */
#define WORD_START 64u /* bytes */

struct run {
    struct wp_words *words;
    size_t n; /* bytes of the word so far */
    wp_word_fn *take;
    void *arg;
};

/* ---- gathering a word --------------------------------------------------------------------------------------- */

static int32_t end_word(struct run *r)
{
    size_t n = r->n;
    r->n = 0;
    return n == 0 ? 0 : r->take(r->arg, r->words->word, n);
}

static int32_t append(struct run *r, const char *bytes, size_t size)
{
    struct wp_words *w = r->words;
    if (w->capacity - r->n < size) {
        size_t capacity = w->capacity == 0 ? WORD_START : 2 * w->capacity;
        char *grown = realloc(w->word, capacity);
        if (grown == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        w->word = grown;
        w->capacity = capacity;
    }
    memcpy(w->word + r->n, bytes, size);
    r->n += size;
    return 0;
}

/* A code point after decomposition: accents go, the rest in lower case. */
static int32_t append_part(struct run *r, int32_t c)
{
    utf8proc_uint8_t bytes[4];
    int32_t status = 0;
    bool alone = wp_is_punctuation(c);
    if (utf8proc_category(c) == UTF8PROC_CATEGORY_MN)
        return 0;
    if (wp_is_space(c)) /* what few characters decompose into */
        return end_word(r);
    if (alone)
        status = end_word(r);
    c = utf8proc_tolower(c);
    if (status == 0)
        status = append(r, (const char *)bytes, (size_t)utf8proc_encode_char(c, bytes));
    return status == 0 && alone ? end_word(r) : status;
}

static int32_t take_character(struct run *r, int32_t c)
{
    utf8proc_int32_t parts[MOST_PARTS];
    int boundary = 0;
    bool alone = wp_is_ideograph(c);
    int32_t status = 0;
    utf8proc_ssize_t n;
    if (wp_is_removed(c))
        return 0;
    if (wp_is_space(c))
        return end_word(r);
    if (alone)
        status = end_word(r);
    n = utf8proc_decompose_char(c, parts, MOST_PARTS, UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; status == 0 && i < n && i < MOST_PARTS; i++)
        status = append_part(r, parts[i]);
    return status == 0 && alone ? end_word(r) : status;
}

/* ASCII, which is most of what there is, needs no tables of Unicode's. */
static int32_t take_ascii(struct run *r, char c)
{
    int32_t status = 0;
    char lower = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    bool alone = wp_is_punctuation(c);
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
        return end_word(r);
    if (c < ' ' || c == 127)
        return 0;
    if (alone)
        status = end_word(r);
    if (status == 0)
        status = append(r, &lower, 1);
    return status == 0 && alone ? end_word(r) : status;
}

int32_t wp_words_run(struct wp_words *w, const char *text, size_t size, wp_word_fn *take, void *arg)
{
    struct run r = {w, 0, take, arg};
    int32_t status = 0;
    for (size_t at = 0; status == 0 && at < size;) {
        size_t length = tok_utf8_size(text + at, size - at);
        utf8proc_int32_t c = 0;
        if (length == 1) {
            status = take_ascii(&r, text[at]);
        } else if (length > 1) {
            (void)utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)length, &c); /* it is valid */
            status = take_character(&r, c);
        }
        at += length > 0 ? length : 1; /* a byte that is not UTF-8 reads as U+FFFD, which is removed */
    }
    return status == 0 ? end_word(&r) : status;
}

void wp_words_finish(struct wp_words *w)
{
    free(w->word);
    memset(w, 0, sizeof *w);
}
