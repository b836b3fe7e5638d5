/* nf4.c - bitsandbytes' NF4: sixteen levels that cut a normal distribution into equal parts, two numbers a byte, the first in the
 * high bits, and a float that scales 64 of them: weight u8 [N * K / 2], absmax f32 [N * K / 64], x = level[q] * absmax. As it lies
 * in the file; where absmax itself is quantised ("double quantisation"), that needs a number of the tensor's own: not here.
 * Levels: the published ones of NF4 (Dettmers and others, "QLoRA", appendix E). Data only. Contract: tenon/encoding.h. */
#include "checkpoints.h"

/* -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
 * -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434,
 * 0.5626170039176941, 0.7229568362236023, 1 by their bits */
static const uint32_t levels[16] = {
    0xbf800000u, 0xbf3239b1u, 0xbf066b30u, 0xbeca32a0u, 0xbe91a24du, 0xbe3d353fu, 0xbdba7871u, 0x00000000u,
    0x3da2faffu, 0x3e24cae3u, 0x3e7c04ddu, 0x3ead033au, 0x3ee1a4b8u, 0x3f1007abu, 0x3f3913b3u, 0x3f800000u};
static const struct tenon_table tables[] = {TABLE(4, levels)};
static const struct tenon_plane planes[] = {PLANE("weight", 32, 1), PLANE("absmax", 4, 4)};
/* bit of element i: 4 * (i ^ 1) */
static const struct tenon_insn program[] = {
    XOR_CONST(AT, I, 1), SHL_CONST(AT, AT, 2), PLANE_BITS(0, Q, AT, 0, 4), TBL(Q, 0, Q), CONST(U, 0),
    PLANE_FLOAT(1, D, U, 0, TENON_F_F32), FMUL(X, Q, D)};
CHECKPOINT_ENCODING(bnb_nf4, "bnb.nf4/1", 64, "80f82cd2e692b866b8c98596942da3ac61d088524fa1653b654852d61efe9f60",
                    planes, program, .tables = tables, .n_tables = 1);
