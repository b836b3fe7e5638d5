/* types.c - GGUF's tensor types: the encoding each has and the size of its blocks, which is all a file reader needs to
 * know of them. A type stands here even when nobody in this tree provides its encoding: the host can then name what is
 * missing. Data only. Contract: gguf.h. */
#include "gguf.h"

static const struct gguf_type types[] = {
    [0] = {"f32/1", 1, 4},
    [1] = {"f16/1", 1, 2},
    [2] = {"gguf.q4_0/1", 32, 18},
    [3] = {"gguf.q4_1/1", 32, 20},
    [6] = {"gguf.q5_0/1", 32, 22},
    [7] = {"gguf.q5_1/1", 32, 24},
    [8] = {"gguf.q8_0/1", 32, 34},
    [9] = {"gguf.q8_1/1", 32, 36},
    [10] = {"gguf.q2_k/1", 256, 84},
    [11] = {"gguf.q3_k/1", 256, 110},
    [12] = {"gguf.q4_k/1", 256, 144},
    [13] = {"gguf.q5_k/1", 256, 176},
    [14] = {"gguf.q6_k/1", 256, 210},
    [15] = {"gguf.q8_k/1", 256, 292},
    [16] = {"gguf.iq2_xxs/1", 256, 66},
    [17] = {"gguf.iq2_xs/1", 256, 74},
    [18] = {"gguf.iq3_xxs/1", 256, 98},
    [19] = {"gguf.iq1_s/1", 256, 50},
    [20] = {"gguf.iq4_nl/1", 32, 18},
    [21] = {"gguf.iq3_s/1", 256, 110},
    [22] = {"gguf.iq2_s/1", 256, 82},
    [23] = {"gguf.iq4_xs/1", 256, 136},
    [24] = {"gguf.i8/1", 1, 1},
    [25] = {"gguf.i16/1", 1, 2},
    [26] = {"gguf.i32/1", 1, 4},
    [27] = {"gguf.i64/1", 1, 8},
    [28] = {"gguf.f64/1", 1, 8},
    [29] = {"gguf.iq1_m/1", 256, 56},
    [30] = {"bf16/1", 1, 2},
    [34] = {"gguf.tq1_0/1", 256, 54},
    [35] = {"gguf.tq2_0/1", 256, 66},
    [39] = {"gguf.mxfp4/1", 32, 17},
    [40] = {"gguf.nvfp4/1", 64, 36},
    [41] = {"gguf.q1_0/1", 128, 18},
    [42] = {"gguf.q2_0/1", 64, 18},
};

const struct gguf_type *gguf_type_of(uint32_t id)
{
    if (id >= sizeof types / sizeof types[0] || types[id].encoding == NULL)
        return NULL;
    return &types[id];
}
