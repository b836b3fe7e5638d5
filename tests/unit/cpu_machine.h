/* cpu_machine.h - the CPU backend, opened without a registry, runs the graph of a composite_test.h fixture.
 *
 *     struct machine m;
 *     machine_open(&m, 3);                                     // threads
 *     run(&f, "core.take/1", NULL, 0, 1, 1);                   // by tenon-reference
 *     machine_run(&m, &f, &options, got);                      // by the backend: got[i] is output i, to be freed
 *     machine_close(&m);
 *
 * What goes wrong fails the test. One thread.
 */
#ifndef TESTS_CPU_MACHINE_H
#define TESTS_CPU_MACHINE_H

#include <tenon/backend.h>

#include "composite_test.h"
#include "core/base/threads.h"

struct machine {
    struct tn_threads *pool;
    struct tenon_host host;
    const struct tenon_plugin *plugin;
    void *self;
    const struct tenon_backend *be;
    struct tenon_device *dev;
    bool packs_later; /* set it to have no weight packed before compile */
};

struct machine_options {
    bool half;          /* weights and the cache in f16 instead of f32 */
    uint64_t units;     /* pages or slots of the fixture's state */
    const void *before; /* contents of the state before: canonical pages, or slots; NULL: zeros */
    void *after;        /* the same, after; or NULL */
    bool whole;         /* the composite itself, not what it is lowered to */
    bool q8;            /* matrices in gguf.q8_0, packed where the level packs: machine_round_q8() first */
};

void machine_open(struct machine *m, uint32_t threads);
void machine_close(struct machine *m);

/* Compile alone. OWN: *ret, and *ret_state when there is one, until machine_free. */
struct compiled {
    struct tenon_executable *exe;
    struct tenon_weight_binding weights[20];
    struct tenon_buffer *buffers[20], *packed_buffers[20];
    void *halves[20];   /* encoded copies */
    void *packed[20];
    uint32_t n;
    struct tenon_state_layout layout;
    int32_t kv;
};
int32_t machine_compile(struct machine *m, struct fixture *f, const struct machine_options *o, struct compiled *ret, struct tenon_err *err);
void machine_free(struct machine *m, struct compiled *c);

/* Run what machine_compile made; outputs as below. */
void machine_execute(struct machine *m, struct fixture *f, const struct machine_options *o, struct compiled *c, void **ret_outputs);

/* Both, and free. Outputs [rets of the program], each allocated to its exact size. */
void machine_run(struct machine *m, struct fixture *f, const struct machine_options *o, void **ret_outputs);

/* Make the fixture's weights what f16 can hold. */
void machine_round_weights(struct fixture *f);

/* Make its matrices, of at least two dims, what q8_0 can hold; the last dim is a multiple of 32. */
void machine_round_q8(struct fixture *f);

/* x [n] to f16 and back. */
void machine_to_half(const float *x, int64_t n, uint16_t *y);
float machine_half(float x);

#endif
