/* pre.h - the known values of tokenizer.ggml.pre: how a text is cut into the pieces that are merged.
 *
 *     const struct bpe_pre *pre = bpe_pre_find("smollm", 6);   // NULL: not known
 *
 * Pure data. [any-thread]
 */
#ifndef BPE_PRE_H
#define BPE_PRE_H

#include <stddef.h>
#include <stdint.h>

#define BPE_PRE_STEPS 6 /* most patterns of a split */

#define BPE_PRE_IGNORE_MERGES 1u /* a piece that is a token is taken whole */
#define BPE_PRE_ADD_BOS 2u       /* unless the metadata says otherwise */
#define BPE_PRE_ADD_EOS 4u
#define BPE_PRE_RAW 8u           /* tokens are spelled as text and not in the byte map */
#define BPE_PRE_SPACES 16u       /* with BPE_PRE_RAW: a space is spelled U+2581 */
#define BPE_PRE_NFC 32u          /* the model's own tokenizer composes text first */

struct bpe_pre {
    const char *names; /* separated by spaces */
    uint32_t flags;    /* BPE_PRE_* */
    const char *steps[BPE_PRE_STEPS]; /* patterns, each applied to all parts that those before it left; NULL-ended */
};

const struct bpe_pre *bpe_pre_find(const char *name, size_t size);

/* As many of the known names as fit, "a, b, ...". Returns out. */
const char *bpe_pre_names(char *out, size_t capacity);

#endif
