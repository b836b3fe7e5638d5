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

static bool is_gguf(const char *name)
{
    size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".gguf") == 0;
}

/* Files of the format in a folder, and the first. */
static uint32_t count_files(const struct tenon_files *files, const char **ret_first)
{
    const char *name;
    uint32_t n = 0;
    for (uint32_t i = 0; (name = files->name_at(files->ctx, i)) != NULL; i++)
        if (is_gguf(name) && n++ == 0)
            *ret_first = name;
    return n;
}

static int32_t probe_folder(void *self, const struct tenon_files *files)
{
    const char *first;
    (void)self;
    return count_files(files, &first) > 0 ? 60 : 0;
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
    const bool folder = name == NULL;
    const uint32_t n = folder ? count_files(files, &name) : 1;
    if (n == 0)
        return tenon_fail(err, TENON_E_NOT_FOUND, "gguf", "the folder has no .gguf file");
    struct tenon_weights_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "out of memory");
    int32_t rc = gguf_model_read(model, files, name, err);
    if (rc == TENON_OK && n > 1 && n != model->n_files)
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "is one of %u models in this folder: name the one you mean",
                        (unsigned)n);
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
    .probe_folder = probe_folder,
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
