/* json.c - JSON by cJSON, after one look at the text that bounds what the tree can cost: depth, number of values, and so memory.
 * That look also finds the constants that Python writes and JSON lacks; only then is the text copied, to replace them. Any
 * thread. Contract: safetensors.h. */
#include "safetensors.h"

#include <stdlib.h>

/* What a look at a text found. */
struct look {
    uint32_t deepest;
    uint64_t values;
    bool constants; /* NaN or Infinity */
    uint64_t nans;
};

/* What stands for NaN, which JSON has no word for: transformers' way to write it. */
static const char nan_object[] = "{\"__float__\":\"NaN\"}";
#define NAN_OBJECT (sizeof nan_object - 1)
#define NAN_VALUES 4u /* of which it makes one and its member, with their texts */

static bool is_nan(const char *p, const char *end)
{
    return end - p >= 3 && memcmp(p, "NaN", 3) == 0;
}

/* Over a string's end; `p` is behind its first quote. */
static const char *skip_string(const char *p, const char *end)
{
    while (p < end && *p != '"')
        p += *p == '\\' ? 2 : 1;
    return p < end ? p + 1 : end;
}

static struct look look_at(const char *p, const char *end)
{
    struct look l = {0};
    uint32_t depth = 0;
    for (l.values = 1; p < end;) {
        const char c = *p++;
        if (c == '"') {
            p = skip_string(p, end);
        } else if (c == '{' || c == '[') {
            l.values++;
            depth++;
            l.deepest = depth > l.deepest ? depth : l.deepest;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        } else if (c == ',') {
            l.values++;
        } else if (c == 'N' || c == 'I') {
            l.constants = true;
            l.nans += is_nan(p - 1, end);
        }
    }
    l.values += (NAN_VALUES - 1) * l.nans;
    return l;
}

/* A copy with NaN as an object and Infinity as a number too large to be finite. OWN: caller. */
static char *replace_constants(const char *p, uint64_t size, uint64_t nans, uint64_t *ret_size)
{
    const char *end = p + size, *next;
    char *copy = malloc((size_t)(size + NAN_OBJECT * nans + 1)), *out = copy;
    for (; copy != NULL && p < end; p = next) {
        next = *p == '"' ? skip_string(p + 1, end) : p + 1;
        if (is_nan(p, end)) {
            out = (char *)memcpy(out, nan_object, NAN_OBJECT) + NAN_OBJECT;
            next = p + 3;
        } else if (end - p >= 8 && memcmp(p, "Infinity", 8) == 0) {
            out = (char *)memcpy(out, "1e999", 5) + 5;
            next = p + 8;
        } else {
            out = (char *)memcpy(out, p, (size_t)(next - p)) + (next - p);
        }
    }
    *ret_size = copy != NULL ? (uint64_t)(out - copy) : 0;
    return copy;
}

/* Only blanks may follow the object. */
static bool is_all(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++;
    return p == end;
}

static int32_t parse(const char *file, const char *text, uint64_t size, bool list, cJSON **ret, struct tenon_err *err)
{
    const char *end = text;
    cJSON *root = cJSON_ParseWithLengthOpts(text, (size_t)size, &end, 0);
    const bool fits = list ? cJSON_IsArray(root) : cJSON_IsObject(root);
    if (fits && is_all(end, text + size)) {
        *ret = root;
        return TENON_OK;
    }
    if (root != NULL && !fits) {
        cJSON_Delete(root);
        return tenon_fail(err, TENON_E_DATA_LOSS, file, "holds JSON that is no %s: the file is damaged",
                          list ? "list" : "object");
    }
    cJSON_Delete(root);
    return tenon_fail(err, TENON_E_DATA_LOSS, file, "is no JSON from byte %llu of it on: the file is cut off or damaged",
                      (unsigned long long)(end >= text && end <= text + size ? end - text : 0));
}

static int32_t parse_some(const char *file, const void *data, uint64_t size, uint64_t most, bool list, cJSON **ret,
                          struct tenon_err *err)
{
    struct look l;
    char *copy;
    int32_t rc;
    if (size > most)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, file, "%llu bytes of JSON, at most %llu are read", (unsigned long long)size,
                          (unsigned long long)most);
    l = look_at(data, (const char *)data + size);
    if (l.deepest > ST_JSON_DEPTH || l.values > ST_JSON_VALUES)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, file, "JSON of %llu values, %u deep: at most %u and %u are read",
                          (unsigned long long)l.values, l.deepest, ST_JSON_VALUES, ST_JSON_DEPTH);
    if (!l.constants)
        return parse(file, data, size, list, ret, err);
    copy = replace_constants(data, size, l.nans, &size);
    rc = copy != NULL ? parse(file, copy, size, list, ret, err) : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, file, "out of memory");
    free(copy);
    return rc;
}

int32_t st_json_parse(const char *file, const void *data, uint64_t size, uint64_t most, cJSON **ret, struct tenon_err *err)
{
    return parse_some(file, data, size, most, false, ret, err);
}

bool st_json_u64(const cJSON *item, uint64_t *ret)
{
    double v = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
    if (!(v >= 0.0 && v <= 9007199254740992.0) || (double)(uint64_t)v != v)
        return false;
    *ret = (uint64_t)v;
    return true;
}

static int32_t read_some(const struct tenon_files *files, const char *name, uint64_t most, bool list, cJSON **ret,
                         struct tenon_err *err)
{
    const void *data = NULL;
    uint64_t size = 0;
    uint32_t id;
    if (!st_folder_has(files, name))
        return TENON_E_NOT_FOUND;
    int32_t rc = files->map(files->ctx, name, &id, &data, &size, err);
    return rc == TENON_OK ? parse_some(name, data, size, most, list, ret, err) : rc;
}

int32_t st_json_read(const struct tenon_files *files, const char *name, uint64_t most, cJSON **ret, struct tenon_err *err)
{
    return read_some(files, name, most, false, ret, err);
}

int32_t st_json_read_list(const struct tenon_files *files, const char *name, uint64_t most, cJSON **ret, struct tenon_err *err)
{
    return read_some(files, name, most, true, ret, err);
}
