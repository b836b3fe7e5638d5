/* folder.c - which files of a folder are the model: one, or those that model.safetensors.index.json lists; and what a folder is
 * that is no model. Names of shards are plain names: nothing outside the folder is asked for. Any thread. Contract:
 * safetensors.h. */
#include "safetensors.h"

#include <stdlib.h>

#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define SUFFIX ".safetensors"

bool st_folder_has(const struct tenon_files *files, const char *name)
{
    const char *other;
    const void *data;
    uint64_t size;
    uint32_t id;
    for (uint32_t i = 0; (other = files->name_at(files->ctx, i)) != NULL; i++)
        if (strcmp(other, name) == 0)
            return true;
    return files->map(files->ctx, name, &id, &data, &size, NULL) == TENON_OK; /* beside the file that was named */
}

static bool is_weights(const char *name)
{
    size_t n = strlen(name), end = sizeof SUFFIX - 1;
    return n > end && strcmp(name + n - end, SUFFIX) == 0 && strchr(name, '/') == NULL;
}

/* Of the files that hold weights and are no adapter's: how many, and the first. */
static uint32_t count_weights(const struct tenon_files *files, const char **ret_first)
{
    const char *name;
    uint32_t n = 0;
    for (uint32_t i = 0; (name = files->name_at(files->ctx, i)) != NULL; i++)
        if (is_weights(name) && strncmp(name, "adapter_", 8) != 0 && n++ == 0)
            *ret_first = name;
    return n;
}

static bool has_pickles(const struct tenon_files *files)
{
    const char *name;
    for (uint32_t i = 0; (name = files->name_at(files->ctx, i)) != NULL; i++)
        if (strncmp(name, "pytorch_model", 13) == 0)
            return true;
    return false;
}

int32_t st_folder_probe(const struct tenon_files *files)
{
    const char *first = NULL;
    bool config = false, adapter = false;
    const char *name;
    uint32_t n = count_weights(files, &first);
    for (uint32_t i = 0; (name = files->name_at(files->ctx, i)) != NULL; i++) {
        config |= strcmp(name, "config.json") == 0;
        adapter |= strncmp(name, "adapter_", 8) == 0;
    }
    if (n > 0 && config)
        return 100;
    return n > 0 || config || adapter || has_pickles(files) ? 10 : 0;
}

/* ---- shards ------------------------------------------------------------------------------------------------- */

/* A name that is a file of this folder: the index comes from whoever made it. */
static bool is_plain(const char *name)
{
    return is_weights(name) && strlen(name) < 256 && name[0] != '.';
}

static int32_t add_file(struct weights_names *shards, const char *name, struct tenon_err *err)
{
    struct tenon_str s = {name, strlen(name)};
    int32_t rc;
    if (!is_plain(name))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, INDEX,
                          "names \"%.80s\" as a file of the model, but these are %s files in its own folder", name, SUFFIX);
    rc = weights_names_add(shards, s);
    if (rc == TENON_OK && shards->n > ST_FILES_MAX)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, INDEX, "names more than %u files", ST_FILES_MAX);
    return rc == TENON_OK || rc == TENON_E_ALREADY_EXISTS ? TENON_OK : tenon_fail(err, rc, INDEX, "out of memory");
}

/* The files it names, in its order, and where it says which tensor lies in which. */
static int32_t read_index(const cJSON *index, struct weights_names *shards, const cJSON **ret_map, struct tenon_err *err)
{
    const cJSON *item, *map = NULL;
    int32_t rc = TENON_OK;
    for (item = index->child; item != NULL; item = item->next)
        if (strcmp(item->string, "weight_map") == 0)
            map = item;
    if (!cJSON_IsObject(map) || map->child == NULL)
        return tenon_fail(err, TENON_E_DATA_LOSS, INDEX, "has no weight_map, which says where tensors are: it is damaged");
    for (item = map->child; rc == TENON_OK && item != NULL; item = item->next)
        rc = cJSON_IsString(item) ? add_file(shards, item->valuestring, err)
                                  : tenon_fail(err, TENON_E_DATA_LOSS, INDEX, "tensor \"%.80s\" is in no file: it is damaged", item->string);
    *ret_map = map;
    return rc;
}

/* Every tensor that the index promises must have come. */
static int32_t check_promises(const struct st_tensors *t, const cJSON *map, struct tenon_err *err)
{
    for (const cJSON *item = map->child; item != NULL; item = item->next) {
        uint32_t i;
        if (!weights_names_find(&t->names, (struct tenon_str){item->string, strlen(item->string)}, &i))
            return tenon_fail(err, TENON_E_DATA_LOSS, INDEX, "tensor \"%.80s\" is not in %.100s: the files do not belong together", item->string,
                              item->valuestring);
    }
    return TENON_OK;
}

static int32_t read_shards(struct st_tensors *t, const struct tenon_files *files, const struct weights_names *shards,
                           const cJSON *map, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < shards->n; i++)
        rc = st_tensors_read(t, files, shards->items[i].data, err);
    return rc == TENON_OK ? check_promises(t, map, err) : rc;
}

/* NOT_FOUND: there is no index, or it does not have the file that was named. */
static int32_t read_indexed(struct st_tensors *t, const struct tenon_files *files, const char *name, struct tenon_err *err)
{
    struct weights_names shards = {0};
    const cJSON *map = NULL;
    cJSON *index = NULL;
    uint32_t i;
    int32_t rc = st_json_read(files, INDEX, ST_INDEX_MAX, &index, err);
    if (rc == TENON_OK)
        rc = read_index(index, &shards, &map, err);
    if (rc == TENON_OK && name != NULL && !weights_names_find(&shards, (struct tenon_str){name, strlen(name)}, &i))
        rc = TENON_E_NOT_FOUND;
    else if (rc == TENON_OK) {
        rc = read_shards(t, files, &shards, map, err);
        if (rc == TENON_E_NOT_FOUND)
            rc = TENON_E_DATA_LOSS; /* a shard that is not there; the message says so */
    }
    weights_names_finish(&shards);
    cJSON_Delete(index);
    return rc;
}

/* ---- the folder --------------------------------------------------------------------------------------------- */

static bool is_adapter(const struct tenon_files *files)
{
    return st_folder_has(files, "adapter_config.json") || st_folder_has(files, "adapter_model.safetensors");
}

static int32_t fail_adapter(struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "adapter_config.json",
                      "this is an adapter (LoRA), not a model: merge it into its base model (merge_and_unload of peft) and save that");
}

static int32_t fail_no_weights(const struct tenon_files *files, struct tenon_err *err)
{
    if (is_adapter(files)) /* some are saved with the config.json of their base */
        return fail_adapter(err);
    if (has_pickles(files))
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "pytorch_model",
                          "the weights are there as pytorch_model files only, which are programs to run and not just data: save the model with "
                          "save_pretrained(..., safe_serialization=True)");
    return tenon_fail(err, TENON_E_NOT_FOUND, SINGLE, "the folder has no %s files: fetch the model's weights into it", SUFFIX);
}

static int32_t read_weights(struct st_tensors *t, const struct tenon_files *files, const char *name, struct tenon_err *err)
{
    const char *first = NULL;
    uint32_t n;
    int32_t rc = read_indexed(t, files, name, err);
    if (rc != TENON_E_NOT_FOUND)
        return rc;
    if (name != NULL)
        return st_tensors_read(t, files, name, err);
    if (st_folder_has(files, SINGLE))
        return st_tensors_read(t, files, SINGLE, err);
    n = count_weights(files, &first);
    if (n > 1)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, first, "is one of %u %s files, but no %s says which are the model: fetch it, or name the "
                          "file", (unsigned)n, SUFFIX, INDEX);
    return n == 1 ? st_tensors_read(t, files, first, err) : fail_no_weights(files, err);
}

static int32_t fail_no_config(const struct tenon_files *files, struct tenon_err *err)
{
    if (is_adapter(files))
        return fail_adapter(err);
    return tenon_fail(err, TENON_E_NOT_FOUND, "config.json",
                      "is missing beside the weights: it says what model they are; fetch it into the folder");
}

int32_t st_folder_read(struct tenon_weights_model *model, const struct tenon_files *files, const char *name,
                       struct tenon_err *err)
{
    int32_t rc;
    if (!st_folder_has(files, "config.json"))
        return fail_no_config(files, err);
    rc = read_weights(&model->tensors, files, name, err);
    return rc == TENON_OK ? st_meta_read(&model->meta, files, err) : rc;
}
