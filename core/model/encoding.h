/* encoding.h - may an encoding that a plugin offers be used?
 *
 *     int32_t rc = tn_encoding_check(e, err);   // before the first use; the host remembers the answer
 *
 * [any-thread]
 */
#ifndef TN_MODEL_ENCODING_H
#define TN_MODEL_ENCODING_H

#include <stdint.h>

#include <tenon/encoding.h>

#include "core/base/hash.h"

/* The encoding is well formed, its program never leaves its planes, and its digest is that of its canonical text, so that
 * a backend may claim it by digest. INVALID_ARGUMENT otherwise. */
int32_t tn_encoding_check(const struct tenon_encoding *e, struct tenon_err *err);

/* All encodings and stored forms of a "tenon.quantizer/1" table. INVALID_ARGUMENT: one cannot be used. */
int32_t tn_quantizer_check(const void *impl, struct tenon_err *err);

/* The digest that belongs to a well-formed encoding. */
int32_t tn_encoding_digest(const struct tenon_encoding *e, char ret_hex[TN_SHA256_HEX], struct tenon_err *err);

#endif
