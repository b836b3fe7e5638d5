/* simd_amx.h - the vector words of level amx: those of avx512, and the processor's tiles (AMX TILE, INT8 and BF16): eight registers of up to
 * 16 rows by 64 bytes, which multiply rows of bytes by rows of quads, and of
 * bfloat16 by rows of pairs. Words for them; numbers of tiles are literals.
 *
 * Compilers' own functions for tiles say little of what memory they read: tiles_see_memory() stands between what was written and the
 * first that reads it. */
#ifndef TENON_CPU_SIMD_AMX_H
#define TENON_CPU_SIMD_AMX_H

#define LEVEL(name) cpu_##name##_amx
#define TILES
#include "simd_avx512.h"

#include <string.h>

#define TILE_ROWS 16
#define TILE_ROW_BYTES 64

/* What shape each tile has: palette 1 of the processor's tables. */
struct tile_shapes {
    uint8_t palette, start_row, unused[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_shapes) == 64, "as the instruction reads it");

INLINE void tiles_see_memory(void) { __asm__ volatile("" : : : "memory"); }

/* From here on tiles have these shapes, and hold zeros. */
INLINE void tiles_shape(const struct tile_shapes *shapes)
{
    tiles_see_memory();
    _tile_loadconfig(shapes);
}

/* Tiles are of no use any more: a switch to another thread need not save them. */
INLINE void tiles_release(void) { _tile_release(); }

#define tile_zero(tile) _tile_zero(tile)
#define tile_load(tile, p, stride) _tile_loadd(tile, p, stride)
#define tile_store(tile, p, stride) _tile_stored(tile, p, stride)
/* sums [m][n] += a [m][k] bytes with a sign by w [k / 4][n][4] bytes with one. */
#define tile_dot(sums, a, w) _tile_dpbssd(sums, a, w)
/* sums [m][n] += a [m][k] by w [k / 2][n][2], all bfloat16 and sums f32; denormals count as zeros. */
#define tile_dot_bf16(sums, a, w) _tile_dpbf16ps(sums, a, w)

#endif
