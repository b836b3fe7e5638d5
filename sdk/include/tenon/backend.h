/* backend.h - "tenon.backend/1": a kind of device that runs graphs.
 *
 * What a host does with it, once per model and then per step:
 *
 *     be->open(self, device, NULL, &dev, err);
 *     be->query(dev, graph, weights, claims, err);            which composites it takes; the host lowers the rest
 *     be->state_layout(dev, &state, TENON_KV_F16, &layout, err);
 *     be->compile(dev, &compile_args, &exe, err);             weights are bound here, the plan is made here
 *     be->enqueue(stream, &enqueue_args, &event, err);        returns at once; the event tells
 *     be->event_wait(event, -1, err);
 *
 * Execution is asynchronous: between enqueue and the event the host touches no bound memory. A stream belongs to one thread
 * at a time; compile, pack and query are [any-thread].
 *
 * Any symbol of a step may be 0: a prefill chunk that wants no logits has R = 0 and still fills the cache.
 *
 * A row's bits: a backend whose desc has TENON_DEVICE_ROW_EXACT computes each row (token) of a step to the same bits whatever
 * else is in the step: other tokens, other sequences, chunking, page placement, number of threads.
 */
#ifndef TENON_BACKEND_H
#define TENON_BACKEND_H

#include <tenon/encoding.h>
#include <tenon/graph.h>
#include <tenon/model.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_BACKEND_IFACE "tenon.backend/1"

struct tenon_device; /* opaque, the backend's */
struct tenon_buffer;
struct tenon_stream;
struct tenon_event;
struct tenon_executable;

/* ---- devices ------------------------------------------------------------------------------------------------ */

#define TENON_DEVICE_CPU 1
#define TENON_DEVICE_GPU 2
#define TENON_DEVICE_ACCELERATOR 3

#define TENON_DEVICE_ROW_EXACT 1u /* see above */
#define TENON_DEVICE_UNIFIED 2u   /* device memory is host memory: import costs nothing */
#define TENON_DEVICE_ANY_ALIGN 4u /* planes may begin at any byte, whatever their encoding says; without it the host copies those that a
                                     file has elsewhere */

struct tenon_device_desc {
    uint32_t struct_size;
    int32_t kind;           /* TENON_DEVICE_* */
    uint32_t flags;         /* TENON_DEVICE_ROW_EXACT ... */
    uint32_t compute_units; /* cores, SMs; 0 unknown */
    char name[32];          /* "cpu", "cuda:0": what --device takes */
    char description[128];  /* "AMD EPYC 7B13" */
    char level[64];         /* instruction level or architecture: "avx2+fma", "sm_90" */
    uint64_t memory_total;  /* bytes; 0 unknown */
    uint64_t memory_free;
};

/* ---- buffers ------------------------------------------------------------------------------------------------ */

#define TENON_BUFFER_HOST_VISIBLE 1u  /* buffer_map works */
#define TENON_BUFFER_HOST_COHERENT 2u /* and needs no flush */
#define TENON_BUFFER_DEVICE_LOCAL 4u
#define TENON_BUFFER_READ_ONLY 8u     /* the device will not write (weights) */
#define TENON_BUFFER_FILE_PAGES 16u   /* of buffer_import: a file's pages, which may be let go (madvise): they come back when read */

/* A stretch of a buffer. */
struct tenon_span {
    struct tenon_buffer *buffer; /* OWN: borrowed */
    uint64_t offset;
    uint64_t size;
};

/* ---- placing ------------------------------------------------------------------------------------------------ */

#define TENON_CLAIM_NO 0      /* the host lowers the node (a composite) or refuses (tier 0) */
#define TENON_CLAIM_GENERIC 1 /* works, by a general path */
#define TENON_CLAIM_NATIVE 2  /* has a kernel for it */

/* Answer to query for one node. */
struct tenon_claim {
    uint32_t struct_size;
    int32_t level;    /* TENON_CLAIM_* */
    float cost;       /* relative to a native kernel of this device, 1 = native; 0 unknown */
    uint32_t reserved;
    char reason[112]; /* why not NATIVE */
};

/* How a device reads a weight: the rung of the ladder it took. */
#define TENON_RUNG_NATIVE 1     /* a kernel for this encoding */
#define TENON_RUNG_COMPILED 2   /* the decode program, compiled or interpreted in the kernel */
#define TENON_RUNG_TRANSCODED 3 /* exactly into another encoding, at load */
#define TENON_RUNG_EXPANDED 4   /* to f16, bf16 or f32, at load */
#define TENON_RUNG_PER_LAYER 5  /* expanded into scratch when used */

#define TENON_USE_MATMUL 1u
#define TENON_USE_GATHER 2u
#define TENON_USE_ELEMENTWISE 4u /* norms, biases, factors */

/* A weight bound to a program. One entry per declaration and layer. */
struct tenon_weight_binding {
    uint32_t struct_size;
    uint32_t weight;  /* declaration: `index` of the graph's WEIGHT value */
    int32_t layer;    /* -1 when not layered */
    int32_t role;     /* TENON_ROLE_* */
    uint32_t uses;    /* TENON_USE_* bits, all uses in all programs: one packing serves them all */
    uint32_t rank;
    uint64_t dims[TENON_TENSOR_DIMS];       /* [rank] */
    const struct tenon_encoding *encoding;  /* OWN: plugin, static */
    uint32_t n_planes;
    int32_t rung;                           /* set by the backend in weight_query */
    struct tenon_span planes[TENON_PLANES_MAX]; /* [n_planes], imported or uploaded by the host */
    struct tenon_span packed;               /* result of pack, or buffer NULL: used where it is */
    const char *name;                       /* for messages; OWN: borrowed for the call */
};

/* ---- states ------------------------------------------------------------------------------------------------- */

/* Encodings of a KV cache. */
#define TENON_KV_F16 1
#define TENON_KV_F32 2
#define TENON_KV_BF16 3
#define TENON_KV_Q8 4 /* int8 per block of 32 along the head, f16 scale */

/* Answer to state_layout, for ONE layer instance. Paged: a state's buffer holds, for each layer instance l and page p,
 * page_bytes at (l * n_pages + p) * page_bytes. Slots: (l * n_slots + s) * page_bytes. */
struct tenon_state_layout {
    uint32_t struct_size;
    uint32_t page_tokens; /* tokens in a page; 0 for slots */
    uint64_t page_bytes;  /* bytes of a page, or of a slot */
    uint64_t canonical_token_bytes; /* of one token among what export_pages writes, K and V together */
    uint32_t align;       /* of the buffer */
    uint32_t reserved;
};

/* A state bound to an execution. */
struct tenon_state_binding {
    uint32_t struct_size;
    uint32_t state;       /* declaration: `index` of the graph's STATE value */
    struct tenon_span span;
    uint64_t n_pages;     /* pages (or slots) per layer instance */
};

/* ---- compile and run ---------------------------------------------------------------------------------------- */

#define TENON_COMPILE_PROFILE 1u /* record times per node: read by profile() */

struct tenon_compile_args {
    uint32_t struct_size;
    uint32_t flags;                             /* TENON_COMPILE_* */
    const struct tenon_graph *graph;            /* lowered as query asked; OWN: borrowed until executable_free */
    const struct tenon_weight_binding *weights; /* [n_weights]; planes stay valid until executable_free */
    uint32_t n_weights, weight_stride;
    const struct tenon_state_desc *const *states; /* [n_states] by declaration */
    const struct tenon_state_layout *layouts;   /* [n_states] what state_layout answered */
    const int32_t *kv_encodings;                /* [n_states] TENON_KV_* */
    uint32_t n_states, layout_stride;
    const struct tenon_dims *buckets;           /* [n_buckets] upper bounds; true dims come with enqueue */
    uint32_t n_buckets, bucket_stride;
    /* The host's memory plan for bucket 0: byte offset of every value in scratch, UINT64_MAX for values that live elsewhere
     * (inputs, weights, states, outputs); a backend may use it or make its own. */
    const uint64_t *plan_offsets;               /* [n_values] */
    uint64_t plan_bytes;
};

struct tenon_executable_info {
    uint32_t struct_size;
    int32_t act;            /* TENON_DTYPE_F32, F16 or BF16: what `act` edges and outputs are */
    uint64_t scratch_bytes; /* that enqueue must be given */
    uint64_t host_bytes;    /* kept by the executable itself: plans, tables */
    uint32_t n_stages;      /* for messages: kernels or barriers per step */
    uint32_t act_bits;      /* for messages: of the integers that activations are for quantised weights; 0: floats, or not told */
};

struct tenon_enqueue_args {
    uint32_t struct_size;
    uint32_t n_inputs, n_outputs, n_states;
    struct tenon_executable *executable;
    const struct tenon_dims *dims;      /* within a bucket */
    const struct tenon_span *inputs;    /* [n_inputs] in the graph's input order */
    const struct tenon_span *outputs;   /* [n_outputs] */
    const struct tenon_state_binding *states; /* [n_states], stride state_stride */
    uint32_t state_stride;
    uint32_t reserved;
    struct tenon_span scratch;          /* scratch_bytes, of one execution at a time */
};

/* Time of one node over the executions since compile. */
struct tenon_profile_entry {
    uint32_t struct_size;
    uint32_t count;    /* executions */
    char name[64];     /* "layer.attn_q" */
    char op[40];
    double seconds;    /* in total */
    double bytes, operations; /* in total, 0 unknown */
    double float_operations;  /* of operations: those on floats */
    double int8_operations;   /* of operations: those on bytes; what is left is on pairs of 16 bits, integers or bf16 */
    char encodings[64];       /* of the weights it multiplies by, blanks between: "gguf.q4_k/1 gguf.q6_k/1"; "" none or not told */
};

/* ---- the interface ------------------------------------------------------------------------------------------ */

/* Mandatory: all but those marked optional. */
struct tenon_backend {
    uint32_t struct_size;
    uint32_t reserved;

    /* Devices. OUT_OF_RANGE past the last. Devices are numbered anew in each process. [any-thread] */
    int32_t (*device_at)(void *self, uint32_t i, struct tenon_device_desc *ret_desc, struct tenon_err *err);
    int32_t (*open)(void *self, uint32_t i, const char *options, struct tenon_device **ret, struct tenon_err *err);
    void (*close)(struct tenon_device *dev); /* NULL is allowed; after everything made from it is gone */

    /* Buffers. [any-thread] Sizes in bytes. */
    int32_t (*buffer_alloc)(struct tenon_device *dev, uint64_t size, uint32_t flags, struct tenon_buffer **ret,
                            struct tenon_err *err);
    /* Use host memory where it is; it must outlive the buffer. UNIMPLEMENTED: the host allocates and uploads. */
    int32_t (*buffer_import)(struct tenon_device *dev, void *memory, uint64_t size, uint32_t flags, struct tenon_buffer **ret,
                             struct tenon_err *err);
    void (*buffer_free)(struct tenon_buffer *buf); /* NULL is allowed */
    /* Host address of a HOST_VISIBLE buffer, else FAILED_PRECONDITION. OWN: buffer. */
    int32_t (*buffer_map)(struct tenon_buffer *buf, void **ret_memory, struct tenon_err *err);
    /* Synchronous copies. */
    int32_t (*upload)(struct tenon_span dst, const void *src, struct tenon_err *err);
    int32_t (*download)(void *dst, struct tenon_span src, struct tenon_err *err);

    /* Placing. claims [graph->n_nodes]. `weights` tells the encodings nodes will meet. */
    int32_t (*query)(struct tenon_device *dev, const struct tenon_graph *graph, const struct tenon_weight_binding *weights,
                     uint32_t n_weights, uint32_t weight_stride, struct tenon_claim *claims, uint32_t claim_stride, struct tenon_err *err);
    /* Rung for a weight and bytes to pack it (0: used where it is). UNIMPLEMENTED: cannot use this encoding at all.
     * Buffers of planes may be NULL: whoever only wants to know asks before anything is there. */
    int32_t (*weight_query)(struct tenon_device *dev, const struct tenon_weight_binding *weight, int32_t *ret_rung,
                            uint64_t *ret_pack_bytes, struct tenon_err *err);
    /* Optional unless weight_query ever answers pack bytes: pack planes into w->packed. Deterministic: the host may cache the
     * result in a file. */
    int32_t (*pack)(struct tenon_device *dev, const struct tenon_weight_binding *weight, struct tenon_err *err);
    int32_t (*state_layout)(struct tenon_device *dev, const struct tenon_state_desc *state, int32_t kv_encoding,
                            struct tenon_state_layout *ret, struct tenon_err *err);

    int32_t (*compile)(struct tenon_device *dev, const struct tenon_compile_args *args, struct tenon_executable **ret,
                       struct tenon_err *err);
    int32_t (*executable_info)(struct tenon_executable *exe, struct tenon_executable_info *ret);
    void (*executable_free)(struct tenon_executable *exe); /* NULL is allowed; not while it runs */

    /* Streams: executions of one stream run in order. */
    int32_t (*stream_create)(struct tenon_device *dev, struct tenon_stream **ret, struct tenon_err *err);
    void (*stream_destroy)(struct tenon_stream *stream); /* NULL is allowed; waits for what is queued */
    /* [serial:stream] [no-block] OWN: *ret_event until event_free. The args need not outlive the call, what they point to by
     * spans must live until the event. */
    int32_t (*enqueue)(struct tenon_stream *stream, const struct tenon_enqueue_args *args, struct tenon_event **ret_event,
                       struct tenon_err *err);
    /* Wait at most timeout_ns (-1: without end, 0: poll). DEADLINE_EXCEEDED: not yet. Otherwise the execution's own status,
     * with node name and cause in err. [any-thread] */
    int32_t (*event_wait)(struct tenon_event *event, int64_t timeout_ns, struct tenon_err *err);
    /* Optional. Call back once when it is done, from any thread, at once if it is done already. */
    int32_t (*event_on_done)(struct tenon_event *event, void (*done)(void *arg), void *arg);
    void (*event_free)(struct tenon_event *event); /* NULL is allowed; also before it is done */

    /* Pages and slots, for all layer instances of a state. Not while an execution uses them. */
    int32_t (*copy_pages)(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                          const struct tenon_state_binding *state, const uint64_t *from, const uint64_t *to, uint64_t n,
                          struct tenon_err *err);
    /* Canonical order, in the cache's own encoding: per layer instance, per page: K [page_tokens, heads, k_dim] then
     * V [page_tokens, heads, v_dim]; slots as they are. buf holds n pages of page_tokens tokens of canonical_token_bytes (slots:
     * page_bytes) per layer. */
    int32_t (*export_pages)(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                            int32_t kv_encoding, const struct tenon_state_binding *state, const uint64_t *pages, uint64_t n, void *buf,
                            uint64_t buf_bytes, struct tenon_err *err);
    int32_t (*import_pages)(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                            int32_t kv_encoding, const struct tenon_state_binding *state, const uint64_t *pages, uint64_t n,
                            const void *buf, uint64_t buf_bytes, struct tenon_err *err);

    /* Optional. Entry i of the profile, as much of it as ret->struct_size asks for; OUT_OF_RANGE past the last. */
    int32_t (*profile)(struct tenon_executable *exe, uint32_t i, struct tenon_profile_entry *ret);

    /* Optional. A weight that compile was given without its packed form has one now, in weight->packed: executions use it from
     * here on, to the same bits. Where a backend has this, the host may pack behind the first executions. [any-thread], also
     * while some run; its planes stay readable all the same. */
    int32_t (*use_packed)(struct tenon_executable *exe, const struct tenon_weight_binding *weight, struct tenon_err *err);
    /* Optional, in place of pack and use_packed behind executions: packs planes into weight->packed, and executions read there
     * what is packed already, so that of a large weight not both forms are in memory. [any-thread], also while some run. */
    int32_t (*pack_in_use)(struct tenon_executable *exe, const struct tenon_weight_binding *weight, struct tenon_err *err);
};

#ifdef __cplusplus
}
#endif
#endif
