/* embed.h - vectors of texts, by a model's program "embed": tokens, steps of whole texts, pooling.
 *
 *     rc = tn_embed(stepper, model, &args, y, err);     // y [n_texts, row_size]
 *
 * Which texts share a step changes no bit of a vector. [serial:stepper]
 */
#ifndef TN_ENGINE_EMBED_H
#define TN_ENGINE_EMBED_H

#include <tenon/engine.h>

#include "core/engine/step.h"

/* args is of this version's size. INVALID_ARGUMENT: a text without tokens, or an unknown pooling. */
int32_t tn_embed(struct tn_stepper *st, const struct tn_model *m, const struct tenon_embed_args *args, float *y,
                 struct tenon_err *err);

#endif
