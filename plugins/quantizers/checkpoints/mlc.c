/* mlc.c - mlc-llm's q4f16_1: rows of words of eight numbers of 4 bits, q_weight u32 [N, K / 8], and a half float for 32 of them,
 * q_scale f16 [N, K / 32]: x = (q - 7) * scale. Data only, as it lies in the file. Contract: tenon/encoding.h. */
#include "checkpoints.h"

static const struct tenon_plane planes[] = {PLANE("q_weight", 16, 4), PLANE("q_scale", 2, 2)};
static const struct tenon_insn program[] = {
    UPPER(AT, 0, 2), PLANE_BITS(0, Q, AT, 0, 4), ADD_CONST(Q, Q, -7), CONST(U, 0), PLANE_FLOAT(1, D, U, 0, TENON_F_F16), TIMES_D};
CHECKPOINT_ENCODING(mlc_q4f16_1, "mlc.q4f16_1/1", 32, "065c6642608e19f5289cfe87023ea94fd6744044572010b7fe802c4db18d6ad9",
                    planes, program, .flags = 0);
