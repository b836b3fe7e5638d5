/* device.h - what the files of the CPU backend share: devices, buffers, streams, and the parts of a compiled plan.
 *
 * Private to this folder. The contract towards the host is tenon/backend.h, the one towards the kernels kernels/kernels.h. */
#ifndef TENON_CPU_DEVICE_H
#define TENON_CPU_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <tenon/backend.h>

#include "kernels/kernels.h"

#define CPU_ALIGN 64u

/* Width of the integers that activations are in products by quantised weights; auto: plan.c. */
enum cpu_activations { CPU_ACTIVATIONS_AUTO, CPU_ACTIVATIONS_8, CPU_ACTIVATIONS_16 };

/* The plugin: one per process. */
struct cpu_plugin {
    const struct tenon_threads *threads; /* OWN: host */
    const struct tenon_log *log;         /* OWN: host, may be NULL */
    const struct tenon_config *config;   /* OWN: host, may be NULL */
    const struct tenon_memory *memory;   /* OWN: host, may be NULL: how much there is is not known */
    enum cpu_level cap;                  /* highest instruction level to use */
    int pack;                            /* enum cpu_pack */
    bool claims;                         /* false: no device of this plugin takes composites */
    enum cpu_activations activations;
};

struct tenon_device {
    struct cpu_plugin *plugin;
    const struct cpu_kernels *k;
    uint64_t pack_most; /* weights of files up to so many bytes are packed */
    bool claims; /* false: composites are left to the host */
    enum cpu_activations activations;
};

struct tenon_buffer {
    uint8_t *data; /* [size] */
    uint64_t size;
    uint32_t flags;
    uint64_t mapped; /* bytes allocated here, 0: somebody else's memory */
};

/* Memory of a span, NULL when it leaves its buffer. */
void *cpu_span_data(const struct tenon_span *span);

/* settings.c: what is chosen, as its place among the known words, 0 for the default; *ret_word is it by name, NULL for the
 * default. Options: "claims=none activations=8". */
enum cpu_set { CPU_SET_LEVEL, CPU_SET_PACK, CPU_SET_CLAIMS, CPU_SET_ACTIVATIONS };
int cpu_setting(const struct cpu_plugin *p, enum cpu_set which, const char **ret_word);
int32_t cpu_set_options(struct tenon_device *dev, const char *options, struct tenon_err *err);

/* buffer.c */
uint64_t cpu_memory_free(const struct cpu_plugin *p); /* bytes that this process may still take, 0: not known */
int32_t cpu_buffer_alloc(struct tenon_device *dev, uint64_t size, uint32_t flags, struct tenon_buffer **ret,
                         struct tenon_err *err);
int32_t cpu_buffer_import(struct tenon_device *dev, void *memory, uint64_t size, uint32_t flags, struct tenon_buffer **ret,
                          struct tenon_err *err);
void cpu_buffer_free(struct tenon_buffer *buf);
int32_t cpu_buffer_map(struct tenon_buffer *buf, void **ret_memory, struct tenon_err *err);
int32_t cpu_upload(struct tenon_span dst, const void *src, struct tenon_err *err);
int32_t cpu_download(void *dst, struct tenon_span src, struct tenon_err *err);

/* state.c */
int32_t cpu_state_layout(struct tenon_device *dev, const struct tenon_state_desc *state, int32_t kv_encoding,
                         struct tenon_state_layout *ret, struct tenon_err *err);
void cpu_state_kv(const struct tenon_state_desc *desc, int32_t kv_encoding, struct cpu_kv *ret);
int32_t cpu_copy_pages(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                       const struct tenon_state_binding *state, const uint64_t *from, const uint64_t *to, uint64_t n,
                       struct tenon_err *err);
int32_t cpu_export_pages(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                         int32_t kv_encoding, const struct tenon_state_binding *state, const uint64_t *pages, uint64_t n, void *buf,
                         uint64_t buf_bytes, struct tenon_err *err);
int32_t cpu_import_pages(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                         int32_t kv_encoding, const struct tenon_state_binding *state, const uint64_t *pages, uint64_t n,
                         const void *buf, uint64_t buf_bytes, struct tenon_err *err);

/* claims.c */
/* Has this op (TENON_OPN_*) a kernel, where its operands suit it? */
bool cpu_kernel_has(const struct tenon_device *dev, uint32_t op);
int32_t cpu_query(struct tenon_device *dev, const struct tenon_graph *graph, const struct tenon_weight_binding *weights,
                  uint32_t n_weights, uint32_t weight_stride, struct tenon_claim *claims, uint32_t claim_stride, struct tenon_err *err);
/* packing.c */
enum cpu_pack { CPU_PACK_AUTO, CPU_PACK_NEVER, CPU_PACK_ALWAYS };
uint64_t cpu_pack_most(const struct cpu_plugin *p); /* see struct tenon_device */
/* A weight's rows (all dims but the last), columns and bytes of a row of its first plane; as the kernels see it in the file's
 * order, for encodings they know; and packed. All check every size against the bytes there are. */
int32_t cpu_weight_shape(const struct tenon_weight_binding *weight, uint64_t *ret_rows, uint64_t *ret_cols,
                         uint64_t *ret_row_bytes, struct tenon_err *err);
int32_t cpu_matrix_of(const struct tenon_weight_binding *weight, struct cpu_matrix *ret, struct tenon_err *err);
int32_t cpu_packed_of(const struct tenon_weight_binding *weight, const struct cpu_matrix *m, struct cpu_matrix *ret,
                      struct tenon_err *err);
int32_t cpu_pack_weight(struct tenon_device *dev, const struct tenon_weight_binding *weight, struct tenon_err *err);
int32_t cpu_weight_query(struct tenon_device *dev, const struct tenon_weight_binding *weight, int32_t *ret_rung,
                         uint64_t *ret_pack_bytes, struct tenon_err *err);

/* plan.c */
int32_t cpu_compile(struct tenon_device *dev, const struct tenon_compile_args *args, struct tenon_executable **ret,
                    struct tenon_err *err);
int32_t cpu_executable_info(struct tenon_executable *exe, struct tenon_executable_info *ret);
void cpu_executable_free(struct tenon_executable *exe);
int32_t cpu_pack_in_use(struct tenon_executable *exe, const struct tenon_weight_binding *weight, struct tenon_err *err);

/* stream.c */
int32_t cpu_stream_create(struct tenon_device *dev, struct tenon_stream **ret, struct tenon_err *err);
void cpu_stream_destroy(struct tenon_stream *stream);
int32_t cpu_enqueue(struct tenon_stream *stream, const struct tenon_enqueue_args *args, struct tenon_event **ret_event,
                    struct tenon_err *err);
int32_t cpu_event_wait(struct tenon_event *event, int64_t timeout_ns, struct tenon_err *err);
int32_t cpu_event_on_done(struct tenon_event *event, void (*done)(void *arg), void *arg);
void cpu_event_free(struct tenon_event *event);

#endif
