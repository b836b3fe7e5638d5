/* classes.c - asks PCRE2 for the class of each code point once, in blocks as texts need them: all of Unicode at open would
 * take longer than the rest of opening, and a table made at build time would be of another version of Unicode than the
 * PCRE2 that runs. An entry is one atomic byte, so threads that find out the same entry at once do no harm.
 * Contract: classes.h. */
#include "classes.h"

#include <stdlib.h>
#include <string.h>

#include "../common/utf8.h"

#define BLOCK 64u /* code points found out at once */
#define FIRST_SURROGATE 0xd800u
#define LAST_SURROGATE 0xdfffu

static const char pattern[] = "([\\p{Lu}\\p{Lt}])|(\\p{Ll})|([\\p{Lm}\\p{Lo}])|(\\p{M})|(\\p{N})|([\\s])|(\\p{P})";

/* Of group i of the pattern; 0: none. */
static const uint8_t group_classes[] = {
    BPE_OTHER, BPE_LETTER | BPE_UPPER, BPE_LETTER | BPE_LOWER, BPE_LETTER | BPE_UPPER | BPE_LOWER,
    BPE_MARK | BPE_UPPER | BPE_LOWER, BPE_NUMBER, BPE_SPACE, BPE_PUNCTUATION,
};

int32_t bpe_classes_init(struct bpe_classes *c, struct tenon_err *err)
{
    int32_t status;
    memset(c, 0, sizeof *c);
    status = bpe_pattern_init(&c->pattern, pattern, err);
    if (status != 0)
        return status;
    c->of = calloc(BPE_CODE_SPACE, sizeof *c->of); /* memory is only taken for what gets touched */
    if (c->of == NULL) {
        bpe_classes_finish(c);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bpe", "no memory for the classes of characters");
    }
    return 0;
}

void bpe_classes_finish(struct bpe_classes *c)
{
    bpe_pattern_finish(&c->pattern);
    free(c->of);
    memset(c, 0, sizeof *c);
}

static uint8_t ask(const struct bpe_classes *c, struct bpe_matcher *m, uint32_t code_point)
{
    char text[4];
    int rc = bpe_pattern_match(&c->pattern, m, text, tok_utf8_put(code_point, text), 0, 0);
    if (rc == PCRE2_ERROR_NOMATCH)
        return BPE_OTHER;
    if (rc > 1 && rc <= (int)sizeof group_classes)
        return group_classes[rc - 1];
    m->failed = true;
    return 0;
}

uint8_t bpe_classes_fill(const struct bpe_classes *c, struct bpe_matcher *m, uint32_t code_point)
{
    uint32_t first = code_point / BLOCK * BLOCK;
    uint8_t known;
    for (uint32_t i = first; i < first + BLOCK; i++)
        if (i < FIRST_SURROGATE || i > LAST_SURROGATE) /* they are in no valid text */
            atomic_store_explicit(&c->of[i], ask(c, m, i), memory_order_relaxed);
    known = atomic_load_explicit(&c->of[code_point], memory_order_relaxed);
    return known != 0 ? known : BPE_OTHER;
}
