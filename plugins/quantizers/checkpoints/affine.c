/* affine.c - what GPTQ and AWQ weights become: whole numbers in groups along a row, each with a half float scale and a whole zero
 * point, x = scale * (q - zero); and the same with a scale for every number, for groups that are no runs. Data only.
 * Contract: tenon/encoding.h. */
#include "checkpoints.h"

static const struct tenon_insn int4_program[] = {
    UPPER(AT, 0, 2), PLANE_BITS(0, Q, AT, 0, 4), CONST(U, 0), PLANE_BITS(2, H, U, 0, 8), CONST(T, MINUS(1)), MUL(H, H, T),
    ADD(Q, Q, H), PLANE_FLOAT(1, D, U, 0, TENON_F_F16), TIMES_D};
static const struct tenon_insn int8_program[] = {
    UPPER(AT, 0, 3), PLANE_BITS(0, Q, AT, 0, 8), CONST(U, 0), PLANE_BITS(2, H, U, 0, 16), CONST(T, MINUS(1)), MUL(H, H, T),
    ADD(Q, Q, H), PLANE_FLOAT(1, D, U, 0, TENON_F_F16), TIMES_D};
/* zero points of 8 bits may be 256: one more than what the file says */
#define AFFINE(g_, digest4_, digest8_)                                                                              \
    static const struct tenon_plane int4_planes_g##g_[] = {                                                         \
        PLANE("quants", g_ / 2, 1), PLANE("scales", 2, 2), PLANE("zeros", 1, 1)};                                   \
    static const struct tenon_plane int8_planes_g##g_[] = {                                                         \
        PLANE("quants", g_, 1), PLANE("scales", 2, 2), PLANE("zeros", 2, 2)};                                       \
    CHECKPOINT_ENCODING(affine_int4_g##g_, "affine.int4_g" #g_ "/1", g_, digest4_, int4_planes_g##g_, int4_program, \
                        .flags = 0);                                                                                \
    CHECKPOINT_ENCODING(affine_int8_g##g_, "affine.int8_g" #g_ "/1", g_, digest8_, int8_planes_g##g_, int8_program, \
                        .flags = 0)
AFFINE(32, "a801f00d92c7117acb20920c535da5436dea90e859f540b5d7771dfa57af0443",
       "c421833add3f0866315c4a12fc4d91e12c7aa4e865a7cf2a0f7bf7620905321e");
AFFINE(64, "dccabd6c649b64c0affa7812421068739e537e2f5f5a9a15520016091641b0c8",
       "91718412a2c992a13f3fa9766693e68a595aaf39e6864a3e438cc57d924fc8f0");
AFFINE(128, "f4c3a8f66810009975c831a889fc85e419cdd14b4e573fa68533bee60173198c",
       "0c67401b432b7cbf4b39509411d37f78d3ef30bcfe774bef1d409c68078f9ab6");

/* i8 q; f16 d for each: x = d * q */
static const struct tenon_plane scaled_planes[] = {PLANE("quants", 1, 1), PLANE("scales", 2, 2)};
static const struct tenon_insn scaled_program[] = {
    CONST(U, 0), PLANE_BITS(0, Q, U, 0, 8), SEXT(Q, Q, 8), PLANE_FLOAT(1, D, U, 0, TENON_F_F16), TIMES_D};
CHECKPOINT_ENCODING(scaled_int8, "scaled.int8/1", 1, "245c437448e205fd1115c91818a725bc71a45a7f32e7f5ad48d25b68cec88498",
                    scaled_planes, scaled_program, .flags = 0);
