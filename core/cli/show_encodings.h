/* show_encodings.h - what `tenon show MODEL --encodings` says. [init] */
#ifndef TN_CLI_SHOW_ENCODINGS_H
#define TN_CLI_SHOW_ENCODINGS_H

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/model/container.h"

/* Each encoding that a tensor of the model has, with its program and the rung every device takes it on, as text or as the beginning
 * of an object, whose end is the caller's. What no plugin has is told, not an error. */
int32_t cli_show_encodings(struct tn_registry *reg, struct tn_container *src, bool json, struct tn_buf *out);

#endif
