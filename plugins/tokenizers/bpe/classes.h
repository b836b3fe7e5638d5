/* classes.h - what kind of character a code point is, as PCRE2 says.
 *
 *     struct bpe_classes c;
 *     if (bpe_classes_init(&c, err) != 0) return ...;
 *     if (bpe_class(&c, &matcher, 0x4f60) & BPE_LETTER) ...
 *     bpe_classes_finish(&c);
 *
 * [any-thread] after init: each entry of the table is found out when first asked for, and always comes out the same.
 */
#ifndef BPE_CLASSES_H
#define BPE_CLASSES_H

#include <stdatomic.h>

#include "pattern.h"

#define BPE_LETTER 1u /* \p{L} */
#define BPE_UPPER 2u  /* \p{Lu} \p{Lt} \p{Lm} \p{Lo} \p{M}: may stand in the first part of a cased word */
#define BPE_LOWER 4u  /* \p{Ll} \p{Lm} \p{Lo} \p{M}: in the second */
#define BPE_MARK 8u   /* \p{M} */
#define BPE_NUMBER 16u /* \p{N} */
#define BPE_SPACE 32u  /* \s */
#define BPE_PUNCTUATION 64u /* \p{P} */
#define BPE_OTHER 128u /* nothing of these: symbols, controls, what means nothing */

#define BPE_CODE_SPACE 0x110000u /* code points are below */

struct bpe_classes {
    struct bpe_pattern pattern;  /* one group per class */
    _Atomic uint8_t *of;         /* [BPE_CODE_SPACE] BPE_*; 0: not found out yet */
};

/* Errors: RESOURCE_EXHAUSTED, INTERNAL (PCRE2 lacks Unicode). On failure nothing is held. */
int32_t bpe_classes_init(struct bpe_classes *c, struct tenon_err *err);
void bpe_classes_finish(struct bpe_classes *c); /* zeroed is fine */

/* Find out the classes around a code point; returns its own. m->failed is set when there was no memory for that. */
uint8_t bpe_classes_fill(const struct bpe_classes *c, struct bpe_matcher *m, uint32_t code_point);

static inline uint8_t bpe_class(const struct bpe_classes *c, struct bpe_matcher *m, uint32_t code_point)
{
    uint8_t known = atomic_load_explicit(&c->of[code_point], memory_order_relaxed);
    return known != 0 ? known : bpe_classes_fill(c, m, code_point);
}

#endif
