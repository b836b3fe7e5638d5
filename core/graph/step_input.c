/* The table of standard step inputs. Any thread. Contract: step_input.h. */
#include "core/graph/step_input.h"

#include "core/base/str.h"

static const struct { const char *name; bool grouped; uint32_t rank; struct tenon_dim dims[2]; } inputs[] = {
    {"token", false, 1, {{1, 0, TENON_SYM_T, 0}}},
    {"position", false, 1, {{1, 0, TENON_SYM_T, 0}}},
    {"seq_of_token", false, 1, {{1, 0, TENON_SYM_T, 0}}},
    {"seq_start", false, 1, {{1, 1, TENON_SYM_S, 0}}},
    {"context_len", false, 1, {{1, 0, TENON_SYM_S, 0}}},
    {"out_row", false, 1, {{1, 0, TENON_SYM_R, 0}}},
    {"state_slot", false, 1, {{1, 0, TENON_SYM_S, 0}}},
    {"block_table", true, 2, {{1, 0, TENON_SYM_S, 0}, {1, 0, TENON_SYM_P, 0}}},
    {"slot_of_token", true, 1, {{1, 0, TENON_SYM_T, 0}}},
};

bool tn_step_input_group(const char *name, const char *stem, uint32_t *ret_group)
{
    size_t n = strlen(stem);
    uint64_t group;
    if (!tn_str_starts(name, stem) || name[n] != '.' || !tn_str_u64(name + n + 1, &group) || group >= 256)
        return false;
    *ret_group = (uint32_t)group;
    return true;
}

bool tn_step_input_type(const char *name, struct tn_type *ret)
{
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        uint32_t group;
        if (inputs[i].grouped ? !tn_step_input_group(name, inputs[i].name, &group) : strcmp(name, inputs[i].name) != 0)
            continue;
        *ret = (struct tn_type){.dtype = TENON_DTYPE_I32, .rank = inputs[i].rank};
        memcpy(ret->dims, inputs[i].dims, sizeof inputs[i].dims);
        return true;
    }
    return false;
}
