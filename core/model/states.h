/* states.h - memory for what a model remembers between steps: laid out by the backend, sized by context and sequences.
 *
 *     struct tn_states s = {0};
 *     rc = tn_states_lay_out(&s, &declared, &device, kv_encoding, err);
 *     context = tn_states_context(&s, wanted, trained, sequences, device.desc.memory_free);
 *     rc = tn_states_allocate(&s, &device, context, sequences, step_tokens, err);
 *     tn_states_finish(&s);
 *
 * [init]
 */
#ifndef TN_MODEL_STATES_H
#define TN_MODEL_STATES_H

#include <stdint.h>

#include "core/graph/declared.h"
#include "core/model/device.h"
#include "core/model/model.h"

struct tn_states {
    struct tn_model_state *items;               /* [n] by declaration */
    const struct tenon_state_desc **descs;      /* [n] the same, as compile takes them */
    struct tenon_state_layout *layouts;         /* [n] */
    int32_t *kv_encodings;                      /* [n] */
    uint32_t n;
    uint32_t page_tokens;                       /* of every paged state; 0: there is none */
    uint64_t token_bytes;                       /* of one cached token, all states without a window together */
    uint64_t sequence_bytes;                    /* of one sequence whatever its length: windows and slots */
    uint64_t bytes;                             /* allocated */
};

int32_t tn_states_lay_out(struct tn_states *ret, const struct tn_declared *declared, const struct tn_device *device,
                          int32_t kv_encoding, struct tenon_err *err);
/* Tokens of one sequence: what was asked for, else what the model was trained for, cut to half of the free memory. */
uint32_t tn_states_context(const struct tn_states *s, uint32_t wanted, uint64_t trained, uint32_t sequences,
                           uint64_t memory_free);
/* Reserves; memory is used as positions fill. step_tokens: most in one step. A state of slots has one more than sequences, the
 * last, of zeros: what a sequence begins with. */
int32_t tn_states_allocate(struct tn_states *s, const struct tn_device *device, uint32_t context, uint32_t sequences,
                           uint32_t step_tokens, struct tenon_err *err);
void tn_states_finish(struct tn_states *s); /* fine on a zeroed one */

#endif
