/* model.h - "tenon.model/1": a model architecture. It turns metadata into a config, declares weights and states, and builds
 * one graph per program; once per load, never per step.
 *
 * A family is one readable file: a table of weights, a table of states, and one build function. Calls for one config are
 * [serial:config]; different configs [any-thread].
 */
#ifndef TENON_MODEL_H
#define TENON_MODEL_H

#include <tenon/graph.h>
#include <tenon/ops.h>
#include <tenon/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_MODEL_IFACE "tenon.model/1"

/* Roles of weights: quantisers and backends choose by them. */
#define TENON_ROLE_MATMUL 1
#define TENON_ROLE_EMBED 2
#define TENON_ROLE_NORM 3
#define TENON_ROLE_ROUTER 4
#define TENON_ROLE_BIAS 5
#define TENON_ROLE_CONV 6
#define TENON_ROLE_OTHER 7

/* What the host does at load to make a weight of a source's tensor, in this order; several may be combined with |. NONE and
 * SPLIT without groups use the file where it is mapped. A matrix's rows are its last dim but one, a vector's its elements.
 * Dims of 1 may be left out or added freely. */
#define TENON_XFORM_NONE 0
#define TENON_XFORM_TRANSPOSE 1     /* the last two dims change places; unquantised numbers only */
#define TENON_XFORM_SPLIT 2         /* pieces from `part` on, of `parts` that the rows are cut into, as many as the weight has rows;
                                     * so from each of `groups` that the rows are cut into first */
#define TENON_XFORM_PERMUTE_ROPE 4  /* half-split to interleaved rows, per head (`groups` heads) */
#define TENON_XFORM_STACK_EXPERTS 8 /* one tensor per expert, `{e}` in the name, stacked along a new dim 0 */
#define TENON_XFORM_ADD_ONE 16      /* w + 1, as f32 */
#define TENON_XFORM_NEG_EXP 32      /* -exp(w), as f32 */
#define TENON_XFORM_GROUPS 64       /* before all others: `groups` of the source's rows become a new dim 0, and there are no others */
#define TENON_XFORM_COLUMN 128      /* the last dim counts as rows of one element each, as that of a vector */
#define TENON_XFORM_TURN 256        /* after rows are picked: the last two dims change places; unquantised numbers only */
#define TENON_XFORM_FLAT 512        /* before all others: the source's dims become one; of vectors */

#define TENON_WEIGHT_OPTIONAL 1u /* may be missing */
#define TENON_WEIGHT_LAYERED 2u  /* one per layer, `{i}` in the names */
#define TENON_WEIGHT_UNUSED 4u   /* of files, but of no program: it is not bound, nor told as a tensor that nothing knows */

/* Where one format keeps a weight. */
struct tenon_weight_source {
    uint32_t struct_size;
    int32_t xform;      /* TENON_XFORM_* */
    const char *format; /* "gguf", "huggingface" */
    const char *name;   /* "blk.{i}.attn_q.weight" */
    uint32_t part, parts;
    uint32_t groups;    /* 0: 1 */
    uint32_t reserved;
};

struct tenon_weight_desc {
    uint32_t struct_size;
    int32_t role;       /* TENON_ROLE_* */
    const char *name;   /* logical: "layers.{i}.attn_q"; OWN: config */
    uint32_t flags;     /* TENON_WEIGHT_* */
    uint32_t rank;
    uint64_t dims[TENON_TENSOR_DIMS]; /* [rank] outermost first: a matmul weight is [out, in] */
    int32_t shard_axis;               /* -1: replicate */
    uint32_t n_sources;
    const char *tied_to;              /* logical name used instead when this weight is missing (output -> embedding) */
    const struct tenon_weight_source *sources; /* [n_sources], stride source_stride */
    uint32_t source_stride;
    uint32_t n_layers;                /* layered: how many */
    const uint8_t *has_layer;         /* [n_layers] 1: this layer has the weight, 0: it is of another kind; NULL: all have it.
                                       * OWN: config */
    const float *values;              /* [product of dims] the weight itself when no source's tensor is there; NULL: none.
                                       * OWN: config. Not of layered ones */
};

/* Kinds of states. */
#define TENON_STATE_KV_PAGED 1
#define TENON_STATE_KV_LATENT 2
#define TENON_STATE_RECURRENT 3
#define TENON_STATE_CONV 4

struct tenon_state_desc {
    uint32_t struct_size;
    int32_t kind;      /* TENON_STATE_* */
    const char *name;  /* "kv"; OWN: config */
    uint32_t n_layers; /* instances, indexed by the layer of the block instance minus first_layer, see layer_map */
    uint32_t group;    /* state group: shares block_table.G and slot_of_token.G */
    uint32_t k_heads, k_dim, v_heads, v_dim; /* kv.paged; kv.latent: k_heads 1, k_dim latent + rope, v 0 */
    uint32_t window;   /* 0: all positions are kept */
    uint32_t reserved;
    uint64_t slot_bytes;      /* recurrent, conv: bytes of one slot of one layer (f32 elements) */
    const int32_t *layer_map; /* [model layers] instance of each layer, -1 none; NULL: layer i is instance i */
};

/* What becomes of a pooled row. */
#define TENON_VECTORS_UNIT 1 /* it is divided by its length */
#define TENON_VECTORS_RAW 2  /* nothing */

/* What a model is, for messages and for choices at load. */
struct tenon_model_info {
    uint32_t struct_size;
    uint32_t n_layers;
    char architecture[64];
    char name[128];
    uint64_t context_length; /* trained */
    uint64_t vocab_size;
    uint64_t embedding_length;
    uint32_t n_heads, n_kv_heads;
    uint32_t flags; /* reserved, 0 */
    uint32_t pooling; /* TENON_POOL_* that its program "embed" was trained for; 0: the file does not say */
    uint32_t vectors; /* TENON_VECTORS_* of texts; 0: the file does not say */
    uint32_t reserved;
};

struct tenon_model_config; /* opaque, the plugin's */

/* The item's keys list the architecture names ("llama") that match() accepts. */
struct tenon_model {
    uint32_t struct_size;
    uint32_t reserved;
    /* Mandatory. 0 no ... 100 certain. [any-thread] */
    int32_t (*match)(void *self, const struct tenon_meta *meta);
    /* Mandatory. Read and check every key; a bad or missing one gives INVALID_ARGUMENT and names the key. OWN: *ret until
     * config_free. `meta` outlives it. */
    int32_t (*config)(void *self, const struct tenon_meta *meta, struct tenon_model_config **ret,
                      struct tenon_model_info *ret_info, struct tenon_err *err);
    void (*config_free)(void *self, struct tenon_model_config *config); /* Mandatory. NULL is allowed */
    /* Mandatory. The i-th declaration, OUT_OF_RANGE past the last. OWN: config. */
    int32_t (*weight_at)(struct tenon_model_config *config, uint32_t i, const struct tenon_weight_desc **ret);
    int32_t (*state_at)(struct tenon_model_config *config, uint32_t i, const struct tenon_state_desc **ret);
    /* Mandatory. Build a program: "step" by every generating model, "embed" by embedding models. UNIMPLEMENTED for others.
     * The one output of "step" is logits [R, vocabulary], that of "embed" the rows [R, width] that are pooled; every text is
     * whole in one step there, and the states are empty. */
    int32_t (*build)(struct tenon_model_config *config, const char *program, const struct tenon_builder *b,
                     struct tenon_err *err);
    /* Optional. Most tokens of a sequence, chosen at load: called once at most, before build, for what depends on it (scalings of
     * positions). Not called: as if it were what the model was trained for. INVALID_ARGUMENT: the model cannot do so many. */
    int32_t (*set_context)(struct tenon_model_config *config, uint64_t context, struct tenon_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
