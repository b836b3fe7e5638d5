/* reference.h - the scalar C that specifies what encodings and ops compute: static library tenon-reference.
 *
 * Made to be read and to be compared with, not to be fast. Plugins, tests and the host may link it; it needs libm only.
 *
 *     if (tenon_ref_encoding_verify(e, err) != 0)
 *         return err->code;                                        // names the bad instruction
 *     tenon_ref_decode_rows(e, planes, rows, cols, 7, 1, y);        // y [1, cols] = row 7
 */
#ifndef TENON_REFERENCE_H
#define TENON_REFERENCE_H

#include <tenon/encoding.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- encodings ---------------------------------------------------------------------------------------------- */

/* Is this encoding well formed, and does its program stay inside its planes for every element? INVALID_ARGUMENT otherwise,
 * naming the instruction. Checked: limits of the struct; opcodes; that members an opcode does not use are zero; that no
 * register is read before it is written (r0 excepted); that offsets depend on i and constants only; and, by running
 * every i, that no load leaves its tile. Whatever passes may be given to tenon_ref_decode_rows. The digest is not looked
 * at. Cost: about 20 ns per element of a tile. [any-thread] */
int32_t tenon_ref_encoding_verify(const struct tenon_encoding *e, struct tenon_err *err);

/* Decode rows first ... first+n-1 of a tensor of shape [rows, cols]. `e` has passed tenon_ref_encoding_verify; planes
 * [e->n_planes], each tenon_encoding_plane_bytes() long, of any alignment; y [n, cols]. INVALID_ARGUMENT when the shape is
 * no multiple of the tile or the rows are out of range; y is then untouched. [any-thread] */
int32_t tenon_ref_decode_rows(const struct tenon_encoding *e, const void *const *planes, uint64_t rows, uint64_t cols,
                              uint64_t first, uint64_t n, float *y);

#ifdef __cplusplus
}
#endif
#endif
