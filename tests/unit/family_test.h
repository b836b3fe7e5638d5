/* family_test.h - what the tests of model families share. The family is the plugin linked in: models/NAME.c.
 *
 *     static const struct meta_key keys[FAMILY_KEYS] = {{.name = "llama.block_count", .type = TENON_META_U32, .i = 30}, ...};
 *     family_load(&f, keys, NULL, extra);                 // config, declarations and the graph of "step"
 *     family_golden(&f, "llama-smollm2");                 // tests/golden/llama-smollm2.graph; TENON_UPDATE_GOLDEN=1 writes it
 *     family_unload(&f);
 *
 * Everything asserts by itself. One thread.
 */
#ifndef FAMILY_TEST_H
#define FAMILY_TEST_H

#include <tenon/model.h>

#include "core/graph/builder.h"
#include "core/graph/declared.h"
#include "graph_meta.h"

#define FAMILY_KEYS 24 /* room of a table of keys, its end included */

const struct tenon_model *family(void);

/* `keys` [FAMILY_KEYS] with changes put over it, each replacing a key or added; NULL-name-ended, NULL: none. */
void family_keys(const struct meta_key *keys, const struct meta_key *changes, struct meta_key ret[FAMILY_KEYS]);
int32_t family_config(const struct meta_key *keys, const struct meta_key *changes, struct tenon_model_config **ret,
                      struct tenon_model_info *info, struct tenon_err *err);
/* With `bad` in it the config must be refused, and the message name the key. */
void family_refuses(const struct meta_key *keys, const struct meta_key *bad);
/* Each key is struck out in turn: those in `needed` (NULL-ended) must be missed by name, the others not. */
void family_needs(const struct meta_key *keys, const char *const *needed);

struct family {
    struct meta_key keys[FAMILY_KEYS];
    struct tenon_model_config *config;
    struct tn_declared declared;
    struct tn_build_env env;
    struct tn_graph *graph;
};
/* extra: optional weights that the file has, NULL-ended; NULL: none. */
void family_load(struct family *f, const struct meta_key *keys, const struct meta_key *changes, const char *const *extra);
void family_unload(struct family *f);
void family_golden(const struct family *f, const char *name);
/* Of the graph with all composites lowered; "-lowered" is appended to the name. */
void family_golden_lowered(const struct family *f, const char *name);

/* A tiny model of the family with random weights, by the reference: 7 tokens in one step and token by token give equal logits.
 * `changes` are to keys of 2 layers, width 12, 2 heads of 6 and 1 KV head. */
void family_whole_or_token_by_token(const char *arch, const struct meta_key *changes);

#endif
