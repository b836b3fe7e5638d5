/* container.c - "acme": a model in one file, its head as text.
 *
 *     ACME 1
 *     u32 llama.block_count 2
 *     f32 llama.attention.layer_norm_rms_epsilon 0.00001
 *     str general.architecture llama
 *     tensor output_norm.weight f32/1 1 192 4096 768
 *     tensor output.weight acme.trits/1 2 320 192 8192 12800 20992 1920
 *     end
 *
 * A tensor has its encoding, rank, dims outermost first, and for each plane its offset in the file and its bytes. Nothing but the
 * head is read, nothing is trusted: the host checks the ranges against the file. An opened model is immutable. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "acme.h"

#define HEAD_MOST 65536u
#define ENTRIES_MOST 64u
#define TENSORS_MOST 256u
#define FIELD 64

struct entry {
    char key[FIELD], text[FIELD];
    uint32_t type;
    union {
        uint32_t u32;
        float f32;
    } value;
};

struct tensor {
    char name[FIELD], encoding[FIELD];
    struct tenon_tensor t;
};

struct tenon_weights_model {
    struct entry entries[ENTRIES_MOST];
    struct tensor tensors[TENSORS_MOST];
    uint64_t n_tensors;
    struct tenon_meta meta;
};

/* ---- metadata ----------------------------------------------------------------------------------------------- */

static int32_t meta_at(void *ctx, uint32_t i, struct tenon_meta_entry *ret)
{
    const struct tenon_weights_model *m = ctx;
    const struct entry *e = &m->entries[i];
    if (i >= m->meta.count)
        return TENON_E_OUT_OF_RANGE;
    *ret = (struct tenon_meta_entry){.struct_size = sizeof *ret, .type = e->type, .key = {e->key, strlen(e->key)}, .count = 1, .index = i};
    ret->data = e->type == TENON_META_STRING ? NULL : (const void *)&e->value;
    return TENON_OK;
}

static int32_t meta_find(void *ctx, const char *key, struct tenon_meta_entry *ret)
{
    const struct tenon_weights_model *m = ctx;
    for (uint32_t i = 0; i < m->meta.count; i++) /* ENTRIES_MOST at most */
        if (strcmp(m->entries[i].key, key) == 0)
            return meta_at(ctx, i, ret);
    return TENON_E_NOT_FOUND;
}

static int32_t meta_strings(void *ctx, const struct tenon_meta_entry *entry, uint64_t start, uint64_t n, struct tenon_str *out)
{
    const struct tenon_weights_model *m = ctx;
    if (entry->type != TENON_META_STRING || start + n > 1)
        return TENON_E_OUT_OF_RANGE;
    if (n == 1)
        *out = (struct tenon_str){m->entries[entry->index].text, strlen(m->entries[entry->index].text)};
    return TENON_OK;
}

/* ---- the head ----------------------------------------------------------------------------------------------- */

static int read_tensor(struct tensor *t, uint32_t file, const char *line)
{
    int used = 0, n;
    if (sscanf(line, "tensor %63s %63s %" SCNu32 "%n", t->name, t->encoding, &t->t.n_dims, &used) != 3 || t->t.n_dims < 1 || t->t.n_dims > 2)
        return -1;
    t->t.struct_size = sizeof t->t;
    t->t.encoding = t->encoding;
    for (uint32_t d = 0; d < t->t.n_dims; d++, used += n)
        if (sscanf(line + used, "%" SCNu64 "%n", &t->t.dims[d], &n) != 1)
            return -1;
    for (; t->t.n_planes < TENON_TENSOR_PLANES; t->t.n_planes++, used += n) {
        struct tenon_range *r = &t->t.planes[t->t.n_planes];
        r->file = file;
        if (sscanf(line + used, "%" SCNu64 " %" SCNu64 "%n", &r->offset, &r->size, &n) != 2)
            break;
    }
    return t->t.n_planes > 0 ? 0 : -1;
}

static int read_entry(struct entry *e, const char *line)
{
    e->type = TENON_META_STRING;
    if (sscanf(line, "str %63s %63s", e->key, e->text) == 2)
        return 0;
    e->type = TENON_META_U32;
    if (sscanf(line, "u32 %63s %" SCNu32, e->key, &e->value.u32) == 2)
        return 0;
    e->type = TENON_META_F32;
    return sscanf(line, "f32 %63s %f", e->key, &e->value.f32) == 2 ? 0 : -1;
}

/* head: NUL-ended. */
static int read_head(struct tenon_weights_model *m, uint32_t file, char *head)
{
    char *save = NULL, *line = strtok_r(head, "\n", &save);
    for (line = strtok_r(NULL, "\n", &save); line != NULL && strcmp(line, "end") != 0; line = strtok_r(NULL, "\n", &save)) {
        int bad = -1;
        if (strncmp(line, "tensor ", 7) == 0 && m->n_tensors < TENSORS_MOST)
            bad = read_tensor(&m->tensors[m->n_tensors++], file, line);
        else if (m->meta.count < ENTRIES_MOST)
            bad = read_entry(&m->entries[m->meta.count++], line);
        if (bad != 0)
            return -1;
    }
    return line != NULL ? 0 : -1;
}

/* ---- the interface ------------------------------------------------------------------------------------------ */

static int32_t container_probe(void *self, const void *head, uint64_t size)
{
    (void)self;
    return size >= 7 && memcmp(head, "ACME 1\n", 7) == 0 ? 100 : 0;
}

static int32_t container_open(void *self, const struct tenon_files *files, const char *name, struct tenon_weights_model **ret,
                              struct tenon_err *err)
{
    const void *data;
    uint64_t size;
    uint32_t file;
    (void)self;
    int32_t rc = files->map(files->ctx, name, &file, &data, &size, err);
    if (rc != TENON_OK)
        return rc;
    uint64_t n = size < HEAD_MOST ? size : HEAD_MOST;
    struct tenon_weights_model *m = calloc(1, sizeof *m);
    char *head = malloc(n + 1);
    if (m == NULL || head == NULL) {
        rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, name, "out of memory");
    } else {
        memcpy(head, data, n);
        head[n] = 0;
        m->meta = (struct tenon_meta){.struct_size = sizeof m->meta, .ctx = m, .format = "gguf", .at = meta_at, .find = meta_find,
                                      .strings = meta_strings};
        if (read_head(m, file, head) != 0)
            rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "its head is no head of an acme file");
    }
    free(head);
    if (rc != TENON_OK) {
        free(m);
        return rc;
    }
    *ret = m;
    return TENON_OK;
}

static void container_close(void *self, struct tenon_weights_model *m)
{
    (void)self;
    free(m);
}

static const struct tenon_meta *container_metadata(struct tenon_weights_model *m)
{
    return &m->meta;
}

static uint64_t container_tensor_count(struct tenon_weights_model *m)
{
    return m->n_tensors;
}

static int32_t container_tensor_at(struct tenon_weights_model *m, uint64_t i, struct tenon_tensor *ret, struct tenon_err *err)
{
    if (i >= m->n_tensors)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "acme", "there are %" PRIu64 " tensors", m->n_tensors);
    *ret = m->tensors[i].t;
    ret->name = (struct tenon_str){m->tensors[i].name, strlen(m->tensors[i].name)};
    return TENON_OK;
}

const struct tenon_weights acme_container = {
    .struct_size = sizeof acme_container,
    .probe = container_probe,
    .open = container_open,
    .close = container_close,
    .metadata = container_metadata,
    .tensor_count = container_tensor_count,
    .tensor_at = container_tensor_at,
};
