/* meta.c - keys and values of the metadata section. Values stay in the file; what is kept is where they are and, for an
 * array of strings, where each string ends: 4 bytes per string, written while walking over the array, which has to be done
 * once anyway to find its end. So everything is ready and immutable after reading: any thread. Contract: gguf.h,
 * struct tenon_meta of tenon/weights.h. */
#include "gguf.h"

#include <stdlib.h>

#define TYPE_ARRAY 9u /* in the file only */

/* Bytes of a number; 0 for strings, arrays and what is no type. */
static uint32_t number_bytes(uint32_t type)
{
    static const uint8_t bytes[] = {
        [TENON_META_U8] = 1,  [TENON_META_I8] = 1,  [TENON_META_U16] = 2,  [TENON_META_I16] = 2,
        [TENON_META_U32] = 4, [TENON_META_I32] = 4, [TENON_META_F32] = 4,  [TENON_META_BOOL] = 1,
        [TENON_META_U64] = 8, [TENON_META_I64] = 8, [TENON_META_F64] = 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* Note that string k of an array ends at `end`. The index grows as strings are found: the count may be a lie. */
static int32_t index_string(struct gguf_value *v, struct gguf_cursor *c, uint32_t k, uint64_t end, uint32_t *capacity)
{
    void *ends = v->ends;
    if (end > UINT32_MAX)
        return GGUF_FAIL(c, TENON_E_UNIMPLEMENTED, "an array with more than 4 GiB of text is not supported");
    int32_t rc = weights_grow(&ends, k, capacity, sizeof *v->ends);
    v->ends = ends;
    if (rc != TENON_OK)
        return GGUF_FAIL(c, rc, "out of memory for an index of strings");
    v->ends[k] = (uint32_t)end;
    return TENON_OK;
}

static int32_t read_strings(struct gguf_value *v, struct gguf_cursor *c)
{
    uint64_t start = c->at;
    uint32_t capacity = 0;
    int32_t rc = TENON_OK;
    v->data = c->data + start;
    if (v->count > (c->size - c->at) / 8)
        return GGUF_FAIL(c, TENON_E_DATA_LOSS, "an array claims %llu strings, more than the file has room for: it is damaged",
                         (unsigned long long)v->count);
    for (uint64_t k = 0; rc == TENON_OK && k < v->count; k++) {
        struct tenon_str string;
        rc = gguf_take_string(c, "a string", &string);
        if (rc == TENON_OK && v->is_array) /* k fits: 4 GiB hold at most 2^29 strings */
            rc = index_string(v, c, (uint32_t)k, c->at - start, &capacity);
    }
    v->size = c->at - start;
    return rc;
}

static int32_t read_numbers(struct gguf_value *v, struct gguf_cursor *c)
{
    uint32_t bytes = number_bytes(v->type);
    if (bytes == 0)
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "value type %u at byte %llu does not exist%s", (unsigned)v->type,
                         (unsigned long long)c->at, v->type == TYPE_ARRAY ? " inside an array" : "");
    if (v->count > (c->size - c->at) / bytes)
        return GGUF_FAIL(c, TENON_E_DATA_LOSS, "%s %llu of %u bytes, %llu bytes are left: the file is cut off or damaged",
                         v->is_array ? "an array's numbers are" : "a value's numbers are", (unsigned long long)v->count, (unsigned)bytes,
                         (unsigned long long)(c->size - c->at));
    v->size = v->count * bytes;
    int32_t rc = gguf_take(c, v->size, "a value", &v->data);
    for (uint64_t k = 0; rc == TENON_OK && v->type == TENON_META_BOOL && k < v->size; k++)
        if (v->data[k] > 1)
            rc = GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "a boolean is %u: the file is damaged", v->data[k]);
    return rc;
}

static int32_t read_value(struct gguf_value *v, struct gguf_cursor *c)
{
    int32_t rc = gguf_take_u32(c, "a value's type", &v->type);
    v->count = 1;
    if (rc == TENON_OK && v->type == TYPE_ARRAY) {
        v->is_array = 1;
        rc = gguf_take_u32(c, "an array's type", &v->type);
        if (rc == TENON_OK)
            rc = gguf_take_u64(c, "an array's length", &v->count);
    }
    if (rc != TENON_OK)
        return rc;
    return v->type == TENON_META_STRING ? read_strings(v, c) : read_numbers(v, c);
}

/* Add where an error happened to what happened. */
static int32_t name_key(const struct gguf_cursor *c, struct tenon_str key, int32_t rc)
{
    char message[sizeof c->err->message];
    if (rc == TENON_OK || c->err == NULL)
        return rc;
    memcpy(message, c->err->message, sizeof message);
    return GGUF_FAIL(c, rc, "metadata key \"%.*s\": %.330s", WEIGHTS_SHOW(key), message);
}

static int32_t read_entry(struct gguf_meta *meta, struct gguf_cursor *c)
{
    struct tenon_str key;
    void *values = meta->values;
    int32_t rc = gguf_take_string(c, "a metadata key", &key);
    if (rc != TENON_OK)
        return rc;
    rc = weights_grow(&values, meta->keys.n, &meta->capacity, sizeof *meta->values);
    meta->values = values;
    if (rc == TENON_OK)
        rc = weights_names_add(&meta->keys, key);
    if (rc == TENON_E_ALREADY_EXISTS)
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "metadata key \"%.*s\" stands there twice: the file is damaged",
                         WEIGHTS_SHOW(key));
    if (rc != TENON_OK)
        return GGUF_FAIL(c, rc, "out of memory after %u metadata keys", (unsigned)meta->keys.n);
    struct gguf_value *v = &meta->values[meta->keys.n - 1];
    *v = (struct gguf_value){0};
    return name_key(c, key, read_value(v, c));
}

int32_t gguf_meta_read(struct gguf_meta *meta, struct gguf_cursor *c, uint64_t n)
{
    int32_t rc = TENON_OK;
    for (uint64_t i = 0; rc == TENON_OK && i < n; i++)
        rc = read_entry(meta, c);
    return rc;
}

void gguf_meta_finish(struct gguf_meta *meta)
{
    for (uint32_t i = 0; i < meta->keys.n; i++)
        free(meta->values[i].ends);
    free(meta->values);
    weights_names_finish(&meta->keys);
    *meta = (struct gguf_meta){0};
}

/* ---- the host's view ---------------------------------------------------------------------------------------- */

static void entry_of(const struct gguf_meta *meta, uint32_t i, struct tenon_meta_entry *ret)
{
    const struct gguf_value *v = &meta->values[i];
    *ret = (struct tenon_meta_entry){
        .struct_size = sizeof *ret,
        .type = v->type,
        .key = meta->keys.items[i],
        .is_array = v->is_array,
        .count = v->count,
        .data = v->type == TENON_META_STRING ? NULL : v->data,
        .index = i,
    };
}

static int32_t meta_at(void *ctx, uint32_t i, struct tenon_meta_entry *ret_entry)
{
    const struct gguf_meta *meta = ctx;
    if (i >= meta->keys.n)
        return TENON_E_OUT_OF_RANGE;
    entry_of(meta, i, ret_entry);
    return TENON_OK;
}

static int32_t meta_find(void *ctx, const char *key, struct tenon_meta_entry *ret_entry)
{
    const struct gguf_meta *meta = ctx;
    uint32_t i;
    if (!weights_names_find(&meta->keys, (struct tenon_str){key, strlen(key)}, &i))
        return TENON_E_NOT_FOUND;
    entry_of(meta, i, ret_entry);
    return TENON_OK;
}

static int32_t meta_strings(void *ctx, const struct tenon_meta_entry *entry, uint64_t start, uint64_t n, struct tenon_str *out)
{
    const struct gguf_meta *meta = ctx;
    if (entry->index >= meta->keys.n || meta->values[entry->index].type != TENON_META_STRING)
        return TENON_E_INVALID_ARGUMENT;
    const struct gguf_value *v = &meta->values[entry->index];
    if (start > v->count || n > v->count - start)
        return TENON_E_OUT_OF_RANGE;
    for (uint64_t k = start; k < start + n; k++) { /* lengths come from the checked index, not from the file again */
        uint64_t begin = (k == 0 ? 0 : v->ends[k - 1]) + 8u, end = v->ends != NULL ? v->ends[k] : v->size;
        *out++ = (struct tenon_str){(const char *)v->data + begin, end - begin};
    }
    return TENON_OK;
}

void gguf_meta_publish(struct gguf_meta *meta)
{
    meta->table = (struct tenon_meta){
        .struct_size = sizeof meta->table,
        .count = meta->keys.n,
        .ctx = meta,
        .format = "gguf",
        .at = meta_at,
        .find = meta_find,
        .strings = meta_strings,
    };
}

int32_t gguf_meta_number(const struct gguf_meta *meta, const struct gguf_cursor *c, const char *key, uint64_t fallback,
                         uint64_t *ret)
{
    struct tenon_meta_entry entry;
    int64_t number;
    uint32_t i;
    if (!weights_names_find(&meta->keys, (struct tenon_str){key, strlen(key)}, &i)) {
        *ret = fallback;
        return TENON_OK;
    }
    entry_of(meta, i, &entry);
    if (entry.is_array || tenon_meta_i64(&entry, 0, &number) != TENON_OK || number < 0)
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "metadata key \"%s\" must be a single whole number, not negative", key);
    *ret = (uint64_t)number;
    return TENON_OK;
}
