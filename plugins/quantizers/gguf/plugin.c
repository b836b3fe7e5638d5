/* plugin.c - the encodings of GGUF tensors as data: decode programs that hosts and backends interpret or compile. And a form that
 * becomes one of them at load. Contract: tenon/quantizer.h, tenon/encoding.h. */
#include <tenon/quantizer.h>

#include "gguf.h"

#define ADDRESS(name_, id_) &gguf_##name_,
#define ID(name_, id_) id_,

static const struct tenon_encoding *const encodings[] = {GGUF_ENCODINGS(ADDRESS)};
static const char *const ids[] = {GGUF_ENCODINGS(ID) NULL}; /* the same, as the host selects by */

static const struct tenon_stored *const stored[] = {&gguf_mxfp4_pairs};

static const struct tenon_quantizer quantizer = {
    .struct_size = sizeof quantizer,
    .n_encodings = sizeof encodings / sizeof encodings[0],
    .encodings = encodings,
    .stored = stored,
    .n_stored = sizeof stored / sizeof stored[0],
};

static const struct tenon_item items[] = {
    TENON_ITEM(TENON_QUANTIZER_IFACE, "gguf", ids, &quantizer),
};

static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi = TENON_ABI,
    .api_level = TENON_API_LEVEL,
    .id = "org.tenon.quantizer.gguf",
    .version = "0.1.0",
    .vendor = "Tenon",
    .license = "Apache-2.0",
    .description = "Encodings of GGUF tensors: plain floats, blocks, K-quants, codebooks, ternary, FP4",
    .items = items,
    .n_items = sizeof items / sizeof items[0],
    .item_stride = sizeof items[0],
};

TENON_PLUGIN_ENTRY(plugin)
