/* shards.c - one file, or the several a model was split into: maps them by the names the pattern
 * NAME-00001-of-00003.gguf gives, reads each in order, and checks that they belong together. The metadata are the first
 * shard's; the others' only say which shard they are. One thread, during open. Contract: gguf.h. */
#include "gguf.h"

#include <stdlib.h>

#define SUFFIX_SIZE 20u /* of "-00001-of-00003.gguf" */
#define HEADER_MIN 24u

/* ---- one file ----------------------------------------------------------------------------------------------- */

/* Magic, version, number of tensors and of keys. */
static int32_t read_header(struct gguf_cursor *c, uint64_t *ret_tensors, uint64_t *ret_keys)
{
    const uint8_t *head = NULL;
    int32_t rc = gguf_take(c, HEADER_MIN, "the header", &head);
    if (rc != TENON_OK)
        return rc;
    uint32_t version = gguf_u32(head + 4);
    if (memcmp(head, "GGUF", 4) != 0)
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "this is no GGUF file: it does not begin with \"GGUF\"");
    if ((version & 0xffffu) == 0)
        return GGUF_FAIL(c, TENON_E_UNIMPLEMENTED, "the file is big-endian: convert it to little-endian");
    if (version < 2 || version > 3)
        return GGUF_FAIL(c, TENON_E_UNIMPLEMENTED, "GGUF version %u is not supported, 2 and 3 are: %s", (unsigned)version,
                         version < 2 ? "convert the file anew" : "a newer plugin is needed");
    *ret_tensors = gguf_u64(head + 8);
    *ret_keys = gguf_u64(head + 16);
    return TENON_OK;
}

static int32_t read_alignment(const struct gguf_meta *meta, const struct gguf_cursor *c, uint64_t *ret)
{
    uint64_t alignment = 0;
    int32_t rc = gguf_meta_number(meta, c, "general.alignment", 32, &alignment);
    if (rc != TENON_OK)
        return rc;
    if (alignment == 0 || alignment > 1u << 30 || (alignment & (alignment - 1)) != 0)
        return GGUF_FAIL(c, TENON_E_INVALID_ARGUMENT, "general.alignment is %llu: must be a power of two up to 2^30",
                         (unsigned long long)alignment);
    *ret = alignment;
    return TENON_OK;
}

/* Map and read one file: its metadata into `meta`, its tensors behind those already in `tensors`. */
static int32_t read_file(const struct tenon_files *files, const char *name, struct gguf_meta *meta,
                         struct gguf_tensors *tensors, struct tenon_err *err)
{
    struct gguf_cursor c = {.file = name, .err = err};
    const void *data = NULL;
    uint32_t file = 0;
    uint64_t n_tensors = 0, n_keys = 0, alignment = 0;
    int32_t rc = files->map(files->ctx, name, &file, &data, &c.size, err);
    if (rc != TENON_OK)
        return rc;
    c.data = data;
    rc = read_header(&c, &n_tensors, &n_keys);
    if (rc == TENON_OK)
        rc = gguf_meta_read(meta, &c, n_keys);
    if (rc == TENON_OK)
        rc = read_alignment(meta, &c, &alignment);
    if (rc == TENON_OK)
        rc = gguf_tensors_read(tensors, &c, n_tensors, file, alignment);
    return rc;
}

/* ---- several files ------------------------------------------------------------------------------------------ */

/* Which part of the whole a file says it is. */
struct split {
    uint64_t no;    /* from 0 */
    uint64_t count; /* files; 1 for a whole model */
    uint64_t tensors; /* of all files; UINT64_MAX: not said */
};

static int32_t read_split(const struct gguf_meta *meta, const char *name, struct split *ret, struct tenon_err *err)
{
    const struct gguf_cursor c = {.file = name, .err = err};
    int32_t rc = gguf_meta_number(meta, &c, "split.no", 0, &ret->no);
    if (rc == TENON_OK)
        rc = gguf_meta_number(meta, &c, "split.count", 1, &ret->count);
    if (rc == TENON_OK)
        rc = gguf_meta_number(meta, &c, "split.tensors.count", UINT64_MAX, &ret->tensors);
    if (rc == TENON_OK && ret->count <= 1)
        *ret = (struct split){0, 1, ret->tensors};
    return rc;
}

/* Does `name` end in the suffix of shard `no` of `count`? */
static bool is_shard_name(const char *name, uint64_t no, uint64_t count)
{
    char suffix[64];
    size_t n = strlen(name);
    (void)snprintf(suffix, sizeof suffix, "-%05llu-of-%05llu.gguf", (unsigned long long)no + 1, (unsigned long long)count);
    return n >= SUFFIX_SIZE && strcmp(name + n - SUFFIX_SIZE, suffix) == 0;
}

/* Put the number of shard `no` into a name that has the suffix of a shard. */
static void set_shard_no(char *name, uint64_t no)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%05llu", (unsigned long long)no + 1);
    memcpy(name + strlen(name) - SUFFIX_SIZE + 1, digits, 5); /* count has five digits at most, and no < count */
}

/* Read one shard, and check that it is number `no` of `whole`. */
static int32_t read_shard(struct tenon_weights_model *model, const struct tenon_files *files, const char *name, uint64_t no,
                          const struct split *whole, struct tenon_err *err)
{
    struct gguf_meta rest = {0}; /* metadata of a shard that is not the first */
    struct gguf_meta *meta = no == 0 ? &model->meta : &rest;
    struct split split = {0};
    int32_t rc = read_file(files, name, meta, &model->tensors, err);
    if (rc == TENON_E_NOT_FOUND)
        rc = tenon_fail(err, rc, name, "file %llu of %llu of this model is missing: put it beside the others",
                        (unsigned long long)no + 1, (unsigned long long)whole->count);
    if (rc == TENON_OK)
        rc = read_split(meta, name, &split, err);
    if (rc == TENON_OK && (split.no != no || split.count != whole->count || split.tensors != whole->tensors))
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, name,
                        "says it is file %llu of %llu, but stands as file %llu of %llu: the files do not belong together",
                        (unsigned long long)split.no + 1, (unsigned long long)split.count, (unsigned long long)no + 1,
                        (unsigned long long)whole->count);
    gguf_meta_finish(&rest);
    return rc;
}

/* All shards from the first on. `name` is a copy of any shard's name. */
static int32_t read_shards(struct tenon_weights_model *model, const struct tenon_files *files, char *name,
                           const struct split *whole, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint64_t no = 0; rc == TENON_OK && no < whole->count; no++) {
        set_shard_no(name, no);
        rc = read_shard(model, files, name, no, whole, err);
    }
    if (rc == TENON_OK && whole->tensors != UINT64_MAX && whole->tensors != model->tensors.names.n)
        rc = tenon_fail(err, TENON_E_DATA_LOSS, name, "all %llu files have %u tensors together instead of %llu",
                        (unsigned long long)whole->count, (unsigned)model->tensors.names.n, (unsigned long long)whole->tensors);
    return rc;
}

int32_t gguf_model_read(struct tenon_weights_model *model, const struct tenon_files *files, const char *name,
                        struct tenon_err *err)
{
    struct split whole = {0};
    int32_t rc = read_file(files, name, &model->meta, &model->tensors, err);
    if (rc == TENON_OK)
        rc = read_split(&model->meta, name, &whole, err);
    model->n_files = whole.count;
    if (rc != TENON_OK || whole.count == 1)
        return rc;
    if (!is_shard_name(name, whole.no, whole.count))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name,
                          "is file %llu of %llu of a model: its name must end in \"-%05llu-of-%05llu.gguf\"",
                          (unsigned long long)whole.no + 1, (unsigned long long)whole.count, (unsigned long long)whole.no + 1,
                          (unsigned long long)whole.count);
    /* Which file was named does not matter: start over with the first. */
    gguf_meta_finish(&model->meta);
    gguf_tensors_finish(&model->tensors);
    char *shard = strdup(name);
    if (shard == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "out of memory");
    rc = read_shards(model, files, shard, &whole, err);
    free(shard);
    return rc;
}
