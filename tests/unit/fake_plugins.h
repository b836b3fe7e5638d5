/* fake_plugins.h - a whole set of plugins in one: file format, tokenizer (a token is a byte), encoding, architecture and a
 * backend that executes no graph. What it does instead depends on all the engine must get right: for each row that wants logits
 * it reads the sequence's tokens back out of the KV pages, by block table, and makes fake_next() of them the most likely token.
 *
 *     fake_write_model(path, NULL);
 *     fake_register(registry, FAKE_ALL);
 *
 * Settings are global and are changed only while no engine runs.
 */
#ifndef FAKE_PLUGINS_H
#define FAKE_PLUGINS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/plugin/registry.h"

#define FAKE_VOCAB 260 /* bytes, then: */
#define FAKE_BOS 256
#define FAKE_END 257
#define FAKE_STRAY '\x7f' /* the tokenizer makes of it a token that the weights do not have */
#define FAKE_PAGE 4 /* tokens */

#define FAKE_WEIGHTS 1u
#define FAKE_TOKENIZER 2u
#define FAKE_QUANTIZER 4u
#define FAKE_MODEL 8u
#define FAKE_BACKEND 16u
#define FAKE_ALL 31u

/* Where the backend counts and what it does wrong on purpose. */
struct fake_state {
    _Atomic uint32_t steps, tokens;
    _Atomic uint32_t widest;   /* most sequences in one step */
    _Atomic int32_t fail_step; /* this step (counted from 1) fails with INTERNAL; 0: none */
    _Atomic int32_t nan_from;  /* logits are NaN from this step on; 0: never */
    _Atomic uint32_t slow_us;  /* each step takes at least so long */
    _Atomic int32_t buffers;   /* alive */
    _Atomic uint32_t packed, used; /* weights: pack and use_packed */
    _Atomic uint32_t fail_pack; /* this pack (counted from 1) fails; 0: none */
    _Atomic bool no_room;      /* for packed weights: buffer_alloc is RESOURCE_EXHAUSTED */
    int refuse_import;         /* buffer_import is UNIMPLEMENTED: memory is the device's own */
};
extern struct fake_state fake;

/* Does the backend take packed weights while it runs? Until the next call. */
enum fake_packing { FAKE_PACK_BEFORE, FAKE_PACK_THEN_USE, FAKE_PACK_IN_USE };
void fake_pack_behind(enum fake_packing how);

/* The token that follows tokens [n]: a letter, or FAKE_END where the sum of all is a multiple of 97. */
int32_t fake_next(const int32_t *tokens, uint64_t n);

/* A model file; extra names one more tensor that the architecture does not know, NULL: none. */
void fake_write_model(const char *path, const char *extra);
/* The same without the tensor the architecture needs. */
void fake_write_broken_model(const char *path);

void fake_register(struct tn_registry *reg, uint32_t what);

#endif
