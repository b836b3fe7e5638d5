/* plugin.c - quantised weights of safetensors checkpoints: encodings, and the forms that become them at load.
 * Contract: tenon/quantizer.h. */
#include "checkpoints.h"

#define ADDRESS(name_) &cp_##name_,
static const struct tenon_encoding *const encodings[] = {CHECKPOINT_ENCODINGS(ADDRESS)};
static const struct tenon_stored *const stored[] = {CHECKPOINT_FORMS(ADDRESS)};
static const char *const ids[] = {"affine", "scaled", "expanded", "mlc", "bnb", "fp8", "ct", "int8", "gptq", "gptq_v2", "awq",
                                  NULL};

static const struct tenon_quantizer quantizer = {
    .struct_size = sizeof quantizer,
    .n_encodings = sizeof encodings / sizeof encodings[0],
    .encodings = encodings,
    .stored = stored,
    .n_stored = sizeof stored / sizeof stored[0],
};

static const struct tenon_item items[] = {
    TENON_ITEM(TENON_QUANTIZER_IFACE, "checkpoints", ids, &quantizer),
};

static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi = TENON_ABI,
    .api_level = TENON_API_LEVEL,
    .id = "org.tenon.quantizer.checkpoints",
    .version = "0.1.0",
    .vendor = "Tenon",
    .license = "Apache-2.0",
    .description = "Quantised safetensors: GPTQ, AWQ, FP8 in squares, compressed-tensors, NF4, mlc's q4f16_1",
    .items = items,
    .n_items = sizeof items / sizeof items[0],
    .item_stride = sizeof items[0],
};

TENON_PLUGIN_ENTRY(plugin)
