/* meta.c - the JSON files beside the weights as keys: "config.rope_scaling.factor". Numbers become int64 where they are whole,
 * strings stay in the parsed tree; null is a missing key, but one of its name behind "null." is there, objects and arrays of
 * anything but numbers, strings or booleans all alike are entries without data. A key that stands there twice has its last value,
 * as in Python. Everything is ready after reading: any thread. Contract: safetensors.h, struct tenon_meta of tenon/weights.h. */
#include "safetensors.h"

#include <stdlib.h>

#define KEY_MAX 512u  /* bytes of a key with its path */
#define TEXT_RATE 16u /* bytes of all keys, per byte of their file: deep paths repeat theirs */
#define TEXT_LEAST 65536u

/* A walk over one file's tree. */
struct walk {
    struct st_meta *meta;
    const char *file;
    uint64_t text_most;
    char path[KEY_MAX];
    struct tenon_err *err;
};

/* ---- values ------------------------------------------------------------------------------------------------- */

static bool is_whole(const cJSON *item)
{
    return item->valuedouble >= -9007199254740992.0 && item->valuedouble <= 9007199254740992.0 &&
           (double)(int64_t)item->valuedouble == item->valuedouble;
}

/* transformers' {"__float__": "Infinity"}, since JSON has no word for it. */
static bool is_float_object(const cJSON *item)
{
    return cJSON_IsObject(item) && item->child != NULL && item->child->next == NULL && cJSON_IsString(item->child) &&
           strcmp(item->child->string, "__float__") == 0;
}

static double float_of(const cJSON *item)
{
    return cJSON_IsNumber(item) ? item->valuedouble : strtod(item->child->valuestring, NULL);
}

/* The type of a scalar; false: it is none. */
static bool type_of(const cJSON *item, uint32_t *ret)
{
    if (is_float_object(item))
        *ret = TENON_META_F64;
    else if (cJSON_IsNumber(item))
        *ret = is_whole(item) ? TENON_META_I64 : TENON_META_F64;
    else if (cJSON_IsString(item))
        *ret = TENON_META_STRING;
    else if (cJSON_IsBool(item))
        *ret = TENON_META_BOOL;
    else
        return false;
    return true;
}

static struct tenon_str str_of(const char *s)
{
    return (struct tenon_str){s, strlen(s)};
}

/* The type of all elements: numbers are float if one of them is. */
static bool array_type(const cJSON *array, uint32_t *ret)
{
    const cJSON *item;
    *ret = TENON_META_I64; /* of none */
    cJSON_ArrayForEach(item, array) {
        uint32_t type;
        if (!type_of(item, &type))
            return false;
        if (item == array->child)
            *ret = type;
        else if (type != *ret && (type == TENON_META_F64 || type == TENON_META_I64) &&
                 (*ret == TENON_META_F64 || *ret == TENON_META_I64))
            *ret = TENON_META_F64;
        else if (type != *ret)
            return false;
    }
    return true;
}

static size_t element_bytes(uint32_t type)
{
    return type == TENON_META_STRING ? sizeof(struct tenon_str) : type == TENON_META_BOOL ? 1 : 8;
}

static void set_element(struct st_value *v, uint64_t i, const cJSON *item)
{
    switch (v->type) {
    case TENON_META_I64: ((int64_t *)v->many)[i] = (int64_t)item->valuedouble; break;
    case TENON_META_F64: ((double *)v->many)[i] = float_of(item); break;
    case TENON_META_BOOL: ((uint8_t *)v->many)[i] = cJSON_IsTrue(item) != 0; break;
    default: ((struct tenon_str *)v->many)[i] = str_of(item->valuestring); break;
    }
}

/* false: out of memory. */
static bool array_value(const cJSON *array, struct st_value *ret)
{
    const cJSON *item;
    uint64_t n = 0;
    cJSON_ArrayForEach(item, array)
        n++;
    ret->many = calloc((size_t)n + 1, element_bytes(ret->type));
    if (ret->many == NULL)
        return false;
    ret->is_array = 1;
    cJSON_ArrayForEach(item, array)
        set_element(ret, ret->count++, item);
    return true;
}

static void scalar_value(const cJSON *item, struct st_value *ret)
{
    ret->count = 1;
    switch (ret->type) {
    case TENON_META_I64: ret->one.i = (int64_t)item->valuedouble; break;
    case TENON_META_F64: ret->one.f = float_of(item); break;
    case TENON_META_BOOL: ret->one.b = cJSON_IsTrue(item) != 0; break;
    default: ret->one.s = str_of(item->valuestring); break;
    }
}

/* ---- keys --------------------------------------------------------------------------------------------------- */

/* Set a key to a value, which becomes the meta's. */
static int32_t put(struct st_meta *meta, const char *key, const struct st_value *v)
{
    struct tenon_str name = str_of(key);
    void *values = meta->values;
    uint32_t i;
    int32_t rc;
    if (weights_names_find(&meta->keys, name, &i)) {
        free(meta->values[i].many);
        meta->values[i] = *v;
        return TENON_OK;
    }
    rc = weights_grow(&values, meta->keys.n, &meta->capacity, sizeof *meta->values);
    meta->values = values;
    name.data = rc == TENON_OK ? strdup(key) : NULL;
    if (name.data == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    rc = weights_names_add(&meta->keys, name);
    if (rc != TENON_OK) {
        free((char *)name.data);
        return rc;
    }
    meta->values[meta->keys.n - 1] = *v;
    meta->text += name.size + 1;
    return TENON_OK;
}

static int32_t no_memory(const char *file, struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, file, "out of memory for its keys");
}

/* What stands at w->path. */
static int32_t put_item(struct walk *w, const cJSON *item)
{
    struct st_value v = {0};
    char null[KEY_MAX + sizeof "null."];
    int32_t rc;
    (void)snprintf(null, sizeof null, "null.%s", w->path); /* fits */
    if (cJSON_IsNull(item))
        v = (struct st_value){.type = TENON_META_BOOL, .count = 1, .one.b = 1};
    else if (cJSON_IsArray(item) ? !array_type(item, &v.type) : !type_of(item, &v.type))
        v = (struct st_value){.type = TENON_META_OBJECT, .is_array = cJSON_IsArray(item) != 0};
    else if (cJSON_IsArray(item) && !array_value(item, &v))
        return no_memory(w->file, w->err);
    else if (!cJSON_IsArray(item))
        scalar_value(item, &v);
    rc = put(w->meta, cJSON_IsNull(item) ? null : w->path, &v);
    if (rc != TENON_OK) {
        free(v.many);
        return no_memory(w->file, w->err);
    }
    if (w->meta->text > w->text_most)
        return tenon_fail(w->err, TENON_E_OUT_OF_RANGE, w->file,
                          "its keys have long paths, over and over: this is no model's file");
    return TENON_OK;
}

/* Members of an object whose path has `length` bytes. As deep as st_json_parse allows. */
static int32_t put_members(struct walk *w, const cJSON *object, size_t length)
{
    const cJSON *item;
    int32_t rc = TENON_OK;
    for (item = object->child; rc == TENON_OK && item != NULL; item = item->next) {
        size_t n = strlen(item->string);
        if (length + 1 + n >= KEY_MAX)
            return tenon_fail(w->err, TENON_E_OUT_OF_RANGE, w->file, "a key of over %u bytes: this is no model's file", KEY_MAX);
        w->path[length] = '.';
        memcpy(w->path + length + 1, item->string, n + 1);
        rc = put_item(w, item);
        if (rc == TENON_OK && cJSON_IsObject(item))
            rc = put_members(w, item, length + 1 + n);
    }
    w->path[length] = '\0';
    return rc;
}

/* NOT_FOUND: there is no such file. */
static int32_t put_file(struct st_meta *meta, const struct tenon_files *files, const char *file, const char *prefix,
                        uint64_t most, cJSON **tree, struct tenon_err *err)
{
    struct walk w = {.meta = meta, .file = file, .err = err};
    uint32_t id;
    const void *data;
    uint64_t size = 0;
    int32_t rc = st_json_read(files, file, most, tree, err);
    if (rc == TENON_OK)
        rc = files->map(files->ctx, file, &id, &data, &size, err); /* again, for its size */
    if (rc != TENON_OK)
        return rc;
    (void)snprintf(w.path, sizeof w.path, "%s", prefix);
    w.text_most = meta->text + TEXT_LEAST + TEXT_RATE * size;
    return put_members(&w, *tree, strlen(prefix));
}

static const char *member(const cJSON *object, const char *name)
{
    const cJSON *item;
    for (item = cJSON_IsObject(object) ? object->child : NULL; item != NULL; item = item->next)
        if (strcmp(item->string, name) == 0 && cJSON_IsString(item))
            return item->valuestring;
    return NULL;
}

/* The types of the modules that make vectors of texts, in their order. */
static int32_t put_modules(struct st_meta *meta, const struct tenon_files *files, struct tenon_err *err)
{
    cJSON **tree = &meta->trees[ST_SOURCES];
    struct st_value v = {.type = TENON_META_STRING, .is_array = 1};
    struct tenon_str *types;
    const cJSON *item;
    int32_t rc = st_json_read_list(files, "modules.json", ST_CONFIG_MAX, tree, err);
    if (rc != TENON_OK)
        return rc == TENON_E_NOT_FOUND ? TENON_OK : rc;
    v.many = types = calloc((size_t)cJSON_GetArraySize(*tree) + 1, sizeof *types);
    if (types == NULL)
        return no_memory("modules.json", err);
    cJSON_ArrayForEach(item, *tree) {
        const char *type = member(item, "type");
        types[v.count++] = str_of(type != NULL ? type : "");
    }
    if (put(meta, "modules", &v) == TENON_OK)
        return TENON_OK;
    free(types);
    return no_memory("modules.json", err);
}

/* ---- chat template and names -------------------------------------------------------------------------------- */

#define TEMPLATE_KEY "tokenizer_config.chat_template"

static int32_t put_string(struct st_meta *meta, const char *key, struct tenon_str s, struct tenon_err *err)
{
    const struct st_value v = {.type = TENON_META_STRING, .count = 1, .one.s = s};
    return put(meta, key, &v) == TENON_OK ? TENON_OK : no_memory(key, err);
}

/* Of several templates with names the default one, or the first. */
static int32_t put_named_template(struct st_meta *meta, const cJSON *config, struct tenon_err *err)
{
    const char *chosen = NULL;
    const cJSON *list, *item;
    for (list = config != NULL ? config->child : NULL; list != NULL; list = list->next)
        if (strcmp(list->string, "chat_template") == 0 && cJSON_IsArray(list))
            cJSON_ArrayForEach(item, list) {
                const char *name = member(item, "name"), *text = member(item, "template");
                if (text != NULL && (chosen == NULL || (name != NULL && strcmp(name, "default") == 0)))
                    chosen = text;
            }
    return chosen != NULL ? put_string(meta, TEMPLATE_KEY, str_of(chosen), err) : TENON_OK;
}

/* A file of its own counts before what stands in tokenizer_config.json. */
static int32_t put_template(struct st_meta *meta, const struct tenon_files *files, const cJSON *config, struct tenon_err *err)
{
    static const char file[] = "chat_template.jinja";
    const void *data = NULL;
    uint64_t size = 0;
    uint32_t id;
    int32_t rc = put_named_template(meta, config, err);
    if (rc != TENON_OK || !st_folder_has(files, file))
        return rc;
    rc = files->map(files->ctx, file, &id, &data, &size, err);
    return rc == TENON_OK ? put_string(meta, TEMPLATE_KEY, (struct tenon_str){data, size}, err) : rc;
}

/* The host may list no more than the file the user named: these are looked for besides. */
static const char *const known[] = {
    "added_tokens.json", "chat_template.jinja", "config.json", "generation_config.json", "merges.txt", "special_tokens_map.json",
    "spiece.model", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt",
};
#define N_KNOWN (sizeof known / sizeof known[0])

static bool is_listed(const struct tenon_files *files, const char *name)
{
    const char *other;
    for (uint32_t i = 0; (other = files->name_at(files->ctx, i)) != NULL; i++)
        if (strcmp(other, name) == 0)
            return true;
    return false;
}

static int32_t put_names(struct st_meta *meta, const struct tenon_files *files, struct tenon_err *err)
{
    struct st_value v = {.type = TENON_META_STRING, .is_array = 1};
    struct tenon_str *names;
    uint32_t n = 0;
    while (files->name_at(files->ctx, n) != NULL)
        n++;
    v.many = names = calloc((size_t)n + N_KNOWN, sizeof *names);
    if (names == NULL)
        return no_memory("huggingface.files", err);
    for (uint32_t i = 0; i < n; i++)
        names[v.count++] = str_of(files->name_at(files->ctx, i));
    for (uint32_t i = 0; i < N_KNOWN; i++)
        if (st_folder_has(files, known[i]) && !is_listed(files, known[i]))
            names[v.count++] = str_of(known[i]);
    if (put(meta, "huggingface.files", &v) == TENON_OK)
        return TENON_OK;
    free(names);
    return no_memory("huggingface.files", err);
}

/* The files that are keys, all but the first of them where they are there. */
static const struct {
    const char *file, *prefix;
    uint64_t most;
} sources[ST_SOURCES] = {
    { "config.json", "config", ST_CONFIG_MAX },
    { "generation_config.json", "generation_config", ST_CONFIG_MAX },
    { "1_Pooling/config.json", "pooling", ST_CONFIG_MAX },
    { "sentence_bert_config.json", "sentence_bert", ST_CONFIG_MAX },
    { "tokenizer_config.json", "tokenizer_config", ST_TOKENIZER_MAX },
};

int32_t st_meta_read(struct st_meta *meta, const struct tenon_files *files, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < ST_SOURCES; i++) {
        rc = put_file(meta, files, sources[i].file, sources[i].prefix, sources[i].most, &meta->trees[i], err);
        rc = i > 0 && rc == TENON_E_NOT_FOUND ? TENON_OK : rc;
    }
    if (rc == TENON_OK)
        rc = put_template(meta, files, meta->trees[ST_SOURCES - 1], err);
    if (rc == TENON_OK)
        rc = put_modules(meta, files, err);
    return rc == TENON_OK ? put_names(meta, files, err) : rc;
}

void st_meta_finish(struct st_meta *meta)
{
    for (uint32_t i = 0; i < meta->keys.n; i++) {
        free((char *)meta->keys.items[i].data); /* strdup in put */
        free(meta->values[i].many);
    }
    for (uint32_t i = 0; i < sizeof meta->trees / sizeof meta->trees[0]; i++)
        cJSON_Delete(meta->trees[i]);
    weights_names_finish(&meta->keys);
    free(meta->values);
    *meta = (struct st_meta){0};
}

/* ---- the host's view ---------------------------------------------------------------------------------------- */

static void entry_of(const struct st_meta *meta, uint32_t i, struct tenon_meta_entry *ret)
{
    const struct st_value *v = &meta->values[i];
    *ret = (struct tenon_meta_entry){
        .struct_size = sizeof *ret,
        .type = v->type,
        .key = meta->keys.items[i],
        .is_array = v->is_array,
        .count = v->count,
        .data = v->type == TENON_META_STRING || v->type == TENON_META_OBJECT ? NULL : v->is_array ? v->many : &v->one,
        .index = i,
    };
}

static int32_t meta_at(void *ctx, uint32_t i, struct tenon_meta_entry *ret_entry)
{
    const struct st_meta *meta = ctx;
    if (i >= meta->keys.n)
        return TENON_E_OUT_OF_RANGE;
    entry_of(meta, i, ret_entry);
    return TENON_OK;
}

static int32_t meta_find(void *ctx, const char *key, struct tenon_meta_entry *ret_entry)
{
    const struct st_meta *meta = ctx;
    uint32_t i;
    if (!weights_names_find(&meta->keys, str_of(key), &i))
        return TENON_E_NOT_FOUND;
    entry_of(meta, i, ret_entry);
    return TENON_OK;
}

static int32_t meta_strings(void *ctx, const struct tenon_meta_entry *entry, uint64_t start, uint64_t n, struct tenon_str *out)
{
    const struct st_meta *meta = ctx;
    if (entry->index >= meta->keys.n || meta->values[entry->index].type != TENON_META_STRING)
        return TENON_E_INVALID_ARGUMENT;
    const struct st_value *v = &meta->values[entry->index];
    if (start > v->count || n > v->count - start)
        return TENON_E_OUT_OF_RANGE;
    const struct tenon_str *strings = v->is_array ? v->many : &v->one.s;
    for (uint64_t k = 0; k < n; k++)
        out[k] = strings[start + k];
    return TENON_OK;
}

void st_meta_publish(struct st_meta *meta)
{
    meta->table = (struct tenon_meta){
        .struct_size = sizeof meta->table,
        .count = meta->keys.n,
        .ctx = meta,
        .format = "huggingface",
        .at = meta_at,
        .find = meta_find,
        .strings = meta_strings,
    };
}
