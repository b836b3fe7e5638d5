/* plan.h - a compiled graph: steps per block, where each value lives, and the weights bound to them.
 *
 * plan.c makes it once per load with bind.c and scratch.c, fuse.c decides which nodes share a step, run.c walks it with all
 * threads of the pool. A step is computed by all threads together and ends at a barrier; a decoder layer is five steps. */
#ifndef TENON_CPU_PLAN_H
#define TENON_CPU_PLAN_H

#include "device.h"

#define CPU_GROUP_MAX 4     /* matmuls that share one input and one step */
#define CPU_SMALL_ROWS 4    /* up to so many rows every thread prepares activations for itself instead of meeting the others */
#define CPU_FEW_ROWS 32     /* up to so many, products are bound by reading weights */
#define CPU_CHUNK_ROWS 64   /* most weight rows of one task */
#define CPU_SPLIT_TOKENS 16 /* up to so many tokens, attention may be split over keys */
#define CPU_SPLIT_BYTES (32u << 20) /* most memory for its parts; a longer context is then not split */
#define CPU_STEP_TICKETS 2  /* work counters of a step: it may cut its work twice */
#define CPU_NO_STEP UINT32_MAX

enum cpu_step_kind {
    CPU_STEP_GATHER,    /* rows of a table */
    CPU_STEP_MATMUL,    /* a group of matmuls, with norm in front, gate or residual behind */
    CPU_STEP_NORM,      /* rms_norm rows */
    CPU_STEP_ATTENTION, /* rope of q and k, store of k and v, attention */
    CPU_STEP_BINARY,    /* add, mul */
    CPU_STEP_UNARY,     /* unary, affine, softcap */
    CPU_STEP_GENERIC,   /* any other op of tier 0: generic.h */
};

struct cpu_native;

/* rms_norm of x by w, done where its result is read. */
struct cpu_norm {
    bool on;
    uint32_t x; /* value */
    uint32_t w; /* value of the weight, TENON_NO_VALUE: none */
    float eps;
};

struct cpu_step {
    enum cpu_step_kind kind;
    uint32_t node;      /* the last node it stands for: names it in messages */
    uint32_t x;         /* input: GATHER table, MATMUL and NORM rows, BINARY and UNARY left operand, ATTENTION q */
    uint32_t b;         /* GATHER index, BINARY right operand, MATMUL residual or TENON_NO_VALUE */
    uint32_t out;       /* value written; MATMUL: see outs */
    float scale, shift; /* GATHER, affine; softcap: cap in scale */
    int32_t unary;      /* enum cpu_unary; MATMUL: of the gate */
    const char *op;     /* BINARY, UNARY: the op's id */
    struct cpu_norm norm; /* MATMUL, NORM */
    /* MATMUL: y_i = x w_i^T + bias_i. gated: out[.] = unary(y_0) * y_1, or unary(y_0) when n is 1. */
    uint32_t n;
    bool gated;     /* the step behind it is that of the down weight */
    bool quantised; /* some weight wants integers for activations */
    uint32_t w[CPU_GROUP_MAX], bias[CPU_GROUP_MAX], outs[CPU_GROUP_MAX];
    uint64_t gate_offset;   /* gated: scratch of y_1, [rows, N] f32 */
    uint64_t hidden_offset; /* gated: scratch of the result; the down step after it reads it when its x is TENON_NO_VALUE */
    /* ATTENTION */
    uint32_t k, v, slot, state, sink, position, seq_of_token, context_len, block_table;
    int32_t rope_q, rope_k; /* index into the plan's ropes, -1: none */
    int32_t heads, kv_heads, k_dim, v_dim, window;
    float attn_scale, softcap;
    bool causal, store;
    /* GENERIC: operands are the node's; state is set where it has one */
    uint32_t generic;       /* TENON_OPN_* */
    const struct cpu_native *native; /* or by code of its own: native.h */
    uint32_t packed;        /* bit i: operand i is a weight that is read where it lies */
    uint64_t expand_offset; /* scratch of weights that are decoded whole, one behind the other, f32 */
    uint64_t expand_bytes;  /* and behind them what a native op works in */
};

/* Where a value lives. */
enum cpu_place { CPU_PLACE_NONE, CPU_PLACE_SCRATCH, CPU_PLACE_CARRY, CPU_PLACE_ARG, CPU_PLACE_INPUT, CPU_PLACE_OUTPUT,
                 CPU_PLACE_ALIAS };

struct cpu_home {
    enum cpu_place place;
    uint32_t index;  /* CARRY, ARG, INPUT, OUTPUT: number; ALIAS: the value it is a view of */
    uint64_t offset; /* SCRATCH */
};

struct cpu_weight {
    struct cpu_matrix m;      /* as it was bound; read through lies() of walk.h */
    struct cpu_matrix packed; /* once packed_rows is not 0 */
    _Atomic int64_t packed_rows; /* so many from the first on lie in `packed`, which it releases; only grows: packing.c */
    const float *f32; /* vectors and small tables as floats: in the file, or in `owned`; NULL for matrices */
    float *owned;     /* OWN: plan */
    struct cpu_program_weight *program; /* NULL: a kernel knows the encoding; OWN: plan */
    const char *name; /* OWN: plan */
};

struct cpu_rope_use {
    struct cpu_rope rope;
    double *freq;          /* [n_rot/2] OWN: plan */
    uint32_t position;     /* value of the positions */
    uint64_t table_offset; /* in scratch: cos [T, n_rot/2], then sin [T, n_rot/2], f32 */
};

/* What a step took so far, see profile.c. */
struct cpu_step_time {
    uint32_t count;
    double seconds, bytes, operations, float_operations, bf16_operations; /* the last two overlap: see cpu_profile() */
    uint64_t formats; /* bit f: weights of enum cpu_format f, and CPU_FORMAT_COUNT: weights read by a program */
};

struct tenon_executable {
    struct tenon_device *dev;
    const struct tenon_graph *graph; /* OWN: host */
    struct cpu_step *steps;          /* [n_steps] */
    uint32_t n_steps;
    uint32_t *block_first, *block_steps; /* [n_blocks] steps of each block */
    struct cpu_home *homes;          /* [n_values] */
    struct cpu_weight *weights;      /* bound weights */
    uint32_t n_weights;
    uint32_t *weight_base;           /* [n_values] index of a WEIGHT value's layer 0 (or only) binding, CPU_NO_STEP: not bound */
    struct cpu_rope_use *ropes;
    uint32_t n_ropes;
    struct tenon_state_desc *states; /* [n_states] copies */
    struct tenon_state_layout *layouts; /* [n_states] */
    struct cpu_kv *kvs;              /* [n_states] shape; pages are set per step and layer */
    uint32_t n_states;
    uint32_t n_carry;
    uint64_t carry_offset[2][8];     /* two sides: block instances write the one and read the other */
    struct tenon_dims bucket;
    uint32_t n_threads;
    bool narrow;                     /* activations for quantised weights are of 8 bits, not of 16 */
    bool reads_moved;                /* some weight's products do: cpu_act.moved is made */
    uint64_t shared_act_offset;      /* shared prepared activations: f32 rows, then what cpu_act_bind takes */
    uint64_t thread_offset, thread_bytes; /* private memory of each thread */
    uint64_t thread_act_bytes;       /* of which at its start: prepared activations of CPU_SMALL_ROWS rows */
    uint64_t parts_offset, parts_bytes; /* parts of split attention */
    uint64_t act_x_bytes;            /* f32 part of the shared prepared activations */
    uint64_t max_k;                  /* longest activation row */
    uint64_t scratch_bytes, host_bytes;
    uint32_t n_tickets;              /* CPU_STEP_TICKETS for each step of an execution; of each thread */
    uint32_t part_tickets;           /* behind them: ended parts of split attention, by token and kv head */
    struct cpu_decoder *decoders;    /* programs.c */
    struct cpu_step_time *times;     /* [n_steps], NULL: nobody asked */
};

/* bind.c: the bindings of one WEIGHT value, its layers one after the other. */
int32_t cpu_bind_value(struct tenon_executable *exe, const struct tenon_compile_args *args, uint32_t value,
                       struct tenon_err *err);

/* scratch.c: does every value fit the counting of the rest at its largest? And, behind fuse.c, the place of all in scratch. */
int32_t cpu_check_sizes(const struct tenon_executable *exe, struct tenon_err *err);
int32_t cpu_layout_scratch(struct tenon_executable *exe, struct tenon_err *err);

/* fuse.c: steps of one block, in order, appended to exe->steps (which has room for one per node). */
int32_t cpu_fuse_block(struct tenon_executable *exe, uint32_t block, struct tenon_err *err);

/* Node of the block that reads v first, NULL: none. */
static inline const struct tenon_node *cpu_reader(const struct tenon_graph *g, uint32_t block, uint32_t v)
{
    const struct tenon_block *b = tenon_graph_block(g, block);
    for (uint32_t i = 0; i < b->n_nodes; i++) {
        const struct tenon_node *node = tenon_graph_node(g, b->first_node + i);
        for (uint32_t j = 0; j < node->n_in; j++)
            if (node->in[j] == v)
                return node;
    }
    return NULL;
}

/* The value a view shows, itself when it is none. */
static inline uint32_t cpu_root(const struct tenon_executable *exe, uint32_t v)
{
    while (v != TENON_NO_VALUE && exe->homes[v].place == CPU_PLACE_ALIAS)
        v = exe->homes[v].index;
    return v;
}

/* Bytes that operand `in` of a generic node takes of expand_bytes; 0: none. */
uint64_t cpu_expand_bytes(const struct tenon_executable *exe, const struct tenon_node *n, uint32_t in);

/* Elements of a value: product of all dims; rows: of all but the last. */
int64_t cpu_elements(const struct tenon_value *v, const struct tenon_dims *dims);
int64_t cpu_rows(const struct tenon_value *v, const struct tenon_dims *dims);
int64_t cpu_cols(const struct tenon_value *v, const struct tenon_dims *dims);

/* programs.c: weights whose encoding no kernel knows, decoded by its program CPU_PROGRAM_ROWS rows at a time. */
#define CPU_PROGRAM_ROWS 8
int32_t cpu_program_bind(struct tenon_executable *exe, const struct tenon_weight_binding *b, uint64_t rows, uint64_t cols,
                         struct cpu_weight *w, struct tenon_err *err);
uint64_t cpu_program_scratch(const struct tenon_executable *exe); /* bytes a thread needs for it */
void cpu_programs_free(struct tenon_executable *exe);

/* profile.c */
int32_t cpu_profile_init(struct tenon_executable *exe, struct tenon_err *err);
int32_t cpu_profile(struct tenon_executable *exe, uint32_t i, struct tenon_profile_entry *ret);
double cpu_profile_now(void); /* seconds */
/* Bytes and operations onto t: of a product of `rows` activations with n rows of m; of attention over `tokens`; of that of one
 * token which sees n keys, `last` of its sequence to do so; and of n times what needs so many operations on floats. */
void cpu_profile_matmul(struct cpu_step_time *t, const struct cpu_matrix *m, int64_t n, int64_t rows);
void cpu_profile_attention(struct cpu_step_time *t, const struct cpu_attn *a, int64_t tokens);
void cpu_profile_keys(struct cpu_step_time *t, double key_operations, double key_bytes, int64_t n, bool last);
void cpu_profile_floats(struct cpu_step_time *t, double operations, int64_t n);
/* Operations for each element of its first input or output, whichever has more, by an op that does the same with all; 0: another
 * op. */
double cpu_profile_of_element(const char *op);

/* run.c */
struct cpu_run {
    const struct tenon_executable *exe;
    struct tenon_dims dims;
    uint8_t *scratch;
    void *inputs[32], *outputs[8];
    uint8_t *states[32];       /* [n_states] */
    uint64_t state_pages[32];
    atomic_uint *tickets;      /* [n_threads, n_tickets], then [part_tickets]; zeros */
};
#define CPU_MAX_INPUTS 32u
#define CPU_MAX_OUTPUTS 8u
/* The whole execution, as every thread of a region calls it: fn of tenon_threads.submit. */
void cpu_run_thread(struct cpu_run *run, uint32_t i, uint32_t n);

#endif
