/* plugin.c - Hugging Face directories as they are, weights in safetensors files, as the interface "tenon.weights/1". Everything
 * is read and checked in open; an opened model is immutable, so any thread may ask. The work is in folder.c; the contract is
 * tenon/weights.h. */
#include "safetensors.h"

#include <stdlib.h>

/* 8 bytes of length, whose upper half is zero, and the beginning of an object. */
static int32_t probe(void *self, const void *head, uint64_t size)
{
    static const uint8_t zeros[4] = {0};
    const uint8_t *p = head;
    (void)self;
    return size >= 9 && memcmp(p + 4, zeros, 4) == 0 && p[8] == '{' ? 60 : 0;
}

static int32_t probe_folder(void *self, const struct tenon_files *files)
{
    (void)self;
    return st_folder_probe(files);
}

static void close_model(void *self, struct tenon_weights_model *model)
{
    (void)self;
    if (model == NULL)
        return;
    st_meta_finish(&model->meta);
    st_tensors_finish(&model->tensors);
    free(model);
}

static int32_t open_model(void *self, const struct tenon_files *files, const char *name,
                          struct tenon_weights_model **ret_model, struct tenon_err *err)
{
    struct tenon_weights_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "safetensors", "out of memory");
    int32_t rc = st_folder_read(model, files, name, err);
    if (rc == TENON_OK) {
        st_meta_publish(&model->meta);
        rc = st_quantized_join(&model->tensors, &model->meta.table, err);
    }
    if (rc != TENON_OK) {
        close_model(self, model);
        return rc;
    }
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
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "safetensors", "tensor %llu of %u", (unsigned long long)i,
                          (unsigned)model->tensors.names.n);
    *ret_tensor = model->tensors.items[i];
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
    .probe_folder = probe_folder,
};

static const struct tenon_item items[] = {
    TENON_ITEM(TENON_WEIGHTS_IFACE, "safetensors", NULL, &weights),
};

static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi = TENON_ABI,
    .api_level = TENON_API_LEVEL,
    .id = "org.tenon.weights.safetensors",
    .version = "0.1.0",
    .vendor = "Tenon",
    .license = "Apache-2.0",
    .description = "Hugging Face directories with safetensors files, single or sharded",
    .items = items,
    .n_items = sizeof items / sizeof items[0],
    .item_stride = sizeof items[0],
};

TENON_PLUGIN_ENTRY(plugin)
