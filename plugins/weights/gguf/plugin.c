/* plugin.c - GGUF files (versions 2 and 3, whole or in shards) as the interface "tenon.weights/1". Everything is read and
 * checked in open; an opened model is immutable, so any thread may ask. The work is in shards.c; the contract is
 * tenon/weights.h. */
#include "gguf.h"

#include <stdlib.h>

/* Foreign byte orders and versions count as GGUF: open then says what is wrong with them. */
static int32_t probe(void *self, const void *head, uint64_t size)
{
    (void)self;
    return size >= 4 && memcmp(head, "GGUF", 4) == 0 ? 100 : 0;
}

static void close_model(void *self, struct tenon_weights_model *model)
{
    (void)self;
    if (model == NULL)
        return;
    gguf_meta_finish(&model->meta);
    gguf_tensors_finish(&model->tensors);
    free(model);
}

static int32_t open_model(void *self, const struct tenon_files *files, const char *name,
                          struct tenon_weights_model **ret_model, struct tenon_err *err)
{
    struct tenon_weights_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "out of memory");
    int32_t rc = gguf_model_read(model, files, name, err);
    if (rc != TENON_OK) {
        close_model(self, model);
        return rc;
    }
    gguf_meta_publish(&model->meta);
    *ret_model = model;
    return TENON_OK;
}

static const struct tenon_meta *metadata(struct tenon_weights_model *model)
{
    return &model->meta.table;
}

static uint64_t tensor_count(struct tenon_weights_model *model)
{
    return model->tensors.names.n;
}

static int32_t tensor_at(struct tenon_weights_model *model, uint64_t i, struct tenon_tensor *ret_tensor, struct tenon_err *err)
{
    if (i >= model->tensors.names.n)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "gguf", "tensor %llu of %u", (unsigned long long)i,
                          (unsigned)model->tensors.names.n);
    gguf_tensors_get(&model->tensors, (uint32_t)i, ret_tensor);
    return TENON_OK;
}

static const struct tenon_weights weights = {
    .struct_size = sizeof weights,
    .probe = probe,
    .open = open_model,
    .close = close_model,
    .metadata = metadata,
    .tensor_count = tensor_count,
    .tensor_at = tensor_at,
};

static const struct tenon_item items[] = {
    TENON_ITEM(TENON_WEIGHTS_IFACE, "gguf", NULL, &weights),
};

static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi = TENON_ABI,
    .api_level = TENON_API_LEVEL,
    .id = "org.tenon.weights.gguf",
    .version = "0.1.0",
    .vendor = "Tenon",
    .license = "Apache-2.0",
    .description = "GGUF files, versions 2 and 3, whole or in shards",
    .items = items,
    .n_items = sizeof items / sizeof items[0],
    .item_stride = sizeof items[0],
};

TENON_PLUGIN_ENTRY(plugin)
