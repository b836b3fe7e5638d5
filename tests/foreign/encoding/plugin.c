/* plugin.c - the descriptor: an encoding and a file format, found by their ids. */
#include "acme.h"

static const struct tenon_encoding *const encodings[] = {&acme_trits};
static const char *const ids[] = {"acme.trits/1", NULL}, *const formats[] = {"acme", NULL};

static const struct tenon_quantizer quantizer = {.struct_size = sizeof quantizer, .n_encodings = 1, .encodings = encodings};

static const struct tenon_item items[] = {
    TENON_ITEM(TENON_QUANTIZER_IFACE, "acme", ids, &quantizer),
    TENON_ITEM(TENON_WEIGHTS_IFACE, "acme", formats, &acme_container),
};

static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi = TENON_ABI,
    .api_level = TENON_API_LEVEL,
    .id = "com.acme.trits",
    .version = "1.0.0",
    .vendor = "Acme",
    .license = "Apache-2.0",
    .description = "Three ternary values in five bits, and files that hold them",
    .items = items,
    .n_items = sizeof items / sizeof items[0],
    .item_stride = sizeof items[0],
};

TENON_PLUGIN_ENTRY(plugin)
