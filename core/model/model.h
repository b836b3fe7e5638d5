/* model.h - a loaded model: weights, architecture, tokenizer and one device, compiled and ready to run steps.
 *
 *     struct tn_model_args args = { .path = "model.gguf", .context = 4096, .max_sequences = 1 };
 *     struct tn_model *m;
 *     rc = tn_model_load(registry, &args, &m, err);
 *     ... core/engine/step.h runs it ...
 *     tn_model_unload(m);
 *
 * Weights are used where the file is mapped, unless a transform makes them, and packed behind the first steps where the device
 * wants that (packer.h). A missing plugin is named in the error, with what to do about it.
 * Immutable once loaded but for the states' memory, which belongs to who runs steps: [serial:model].
 */
#ifndef TN_MODEL_MODEL_H
#define TN_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/backend.h>
#include <tenon/model.h>

#include "core/model/membuf.h"
#include "core/model/container.h"
#include "core/model/vocab.h"
#include "core/plugin/registry.h"

#define TN_STEP_TOKENS_DEFAULT 512u /* prefill chunk */
#define TN_STEP_ROWS 64u

/* Zero means default. */
struct tn_model_args {
    const char *path;
    const char *device;       /* "cpu"; NULL: the best there is */
    uint32_t context;         /* 0: what it was trained for, cut to what memory allows */
    uint32_t max_sequences;   /* 0: 1 */
    uint32_t max_step_tokens; /* 0: TN_STEP_TOKENS_DEFAULT */
    uint32_t max_rows;        /* with logits in one step; 0: TN_STEP_ROWS, or max_step_tokens where that is given */
    int32_t kv_encoding;      /* 0: TENON_KV_F16 */
    bool profile;             /* TENON_COMPILE_PROFILE */
    bool embed;               /* the program "embed"; else "step", or "embed" where the model has no other */
    int32_t (*progress)(void *arg, double fraction, const char *what); /* may be NULL; not 0: stop */
    void *progress_arg;
};

/* A state: as declared, as the backend lays it out, and its memory. */
struct tn_model_state {
    const struct tenon_state_desc *desc; /* OWN: config */
    struct tenon_state_layout layout;
    struct tn_membuf memory;             /* [instances, pages or slots, page_bytes] */
    uint64_t n_pages;                    /* or slots, per layer instance */
};

struct tn_model;

/* What the step builder needs. OWN: model, read only. */
struct tn_model_parts {
    const struct tenon_backend *backend;
    struct tenon_device *device;
    struct tenon_executable *executable;
    const struct tenon_graph *graph; /* lowered */
    const struct tn_model_state *states; /* [n_states] by declaration */
    uint32_t n_states;
    uint32_t page_tokens;            /* of every paged state; 0: there is none */
    uint32_t max_tokens, max_sequences, max_rows, context;
    uint64_t vocab_size;
    uint64_t row_size;               /* elements of a row of output: logits, or with `embeds` what is pooled */
    bool embeds;                     /* the program is "embed": each text is whole in one step */
    int32_t act;                     /* TENON_DTYPE_*: of the output */
    uint32_t act_bits;               /* executable_info() */
    uint64_t scratch_bytes;
};

int32_t tn_model_load(struct tn_registry *reg, const struct tn_model_args *args, struct tn_model **ret,
                      struct tenon_err *err);
void tn_model_unload(struct tn_model *m); /* NULL is allowed */

const struct tn_model_parts *tn_model_parts(const struct tn_model *m);
/* Upper bounds of every symbol, as compiled. */
void tn_model_max_dims(const struct tn_model *m, struct tenon_dims *ret);
const struct tn_container *tn_model_container(const struct tn_model *m);
/* A model whose tokenizer no plugin provides runs on token ids alone. NOT_FOUND: says which tokenizer is missing. OWN: model. */
int32_t tn_model_vocab(const struct tn_model *m, const struct tn_vocab **ret, struct tenon_err *err);
const struct tenon_model_info *tn_model_info(const struct tn_model *m);
const struct tenon_device_desc *tn_model_device(const struct tn_model *m);
const struct tn_strlist *tn_model_unused(const struct tn_model *m); /* tensors of the file that nothing uses */
uint64_t tn_model_state_bytes(const struct tn_model *m);            /* reserved; touched as positions fill */
uint64_t tn_model_packed_bytes(const struct tn_model *m);            /* copies of weights: packed or to be */
uint64_t tn_model_made_bytes(const struct tn_model *m);              /* made by a transform or of a stored form, and not packed */
/* Until every weight lies as steps read it fastest; before, they are slower and give the same bits. For who measures. */
void tn_model_wait_packed(const struct tn_model *m);

/* The architecture plugin for a container and its config: what `show` and `graph` need, without a device. */
struct tn_architecture {
    struct tenon_model table;      /* of the plugin, copied in */
    void *self;
    struct tenon_model_config *config;
    struct tenon_model_info info;
};
int32_t tn_architecture_open(struct tn_registry *reg, const struct tn_container *src, struct tn_architecture *ret,
                             struct tenon_err *err);
void tn_architecture_close(struct tn_architecture *arch); /* fine on a zeroed one */

#endif
