/* dtypes.c - safetensors' types of numbers: the encoding each has and its bits, which is all a reader needs to know of them. A
 * type stands here even when nobody in this tree provides its encoding: the host can then name what is missing. Data only.
 * Contract: safetensors.h. */
#include "safetensors.h"

static const struct st_dtype dtypes[] = {
    {"F32", "f32/1", 32},         {"F16", "f16/1", 16},         {"BF16", "bf16/1", 16},        {"F64", "f64/1", 64},
    {"F8_E4M3", "f8_e4m3/1", 8},  {"F8_E5M2", "f8_e5m2/1", 8},  {"F8_E8M0", "f8_e8m0/1", 8},   {"F4", "f4_e2m1/1", 4},
    {"F6_E2M3", "f6_e2m3/1", 6},  {"F6_E3M2", "f6_e3m2/1", 6},  {"I8", "i8/1", 8},             {"U8", "u8/1", 8},
    {"I16", "i16/1", 16},         {"U16", "u16/1", 16},         {"I32", "i32/1", 32},          {"U32", "u32/1", 32},
    {"I64", "i64/1", 64},         {"U64", "u64/1", 64},         {"BOOL", "bool/1", 8},         {"C64", "c64/1", 64},
};

const struct st_dtype *st_dtype_of(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}
