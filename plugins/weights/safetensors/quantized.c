/* quantized.c - tensors that are parts of one quantised weight become one tensor of several planes, as quantization.c finds in
 * config.json. Methods not known there are refused by name unless all tensors are plain. Sizes are the host's to check, by the form.
 * Runs once in open. Contract: safetensors.h. */
#include "quantization.h"

#include <stdio.h>
#include <stdlib.h>

static bool ends_with(struct tenon_str s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.size > n && memcmp(s.data + s.size - n, suffix, n) == 0;
}

/* The tensor of that suffix beside tensor i, a weight's first part. */
static bool find_beside(const struct st_tensors *t, const struct st_method *m, uint32_t i, const char *suffix, uint32_t *ret)
{
    char name[512];
    uint64_t stem = t->names.items[i].size - strlen(m->parts[0]);
    if (stem > sizeof name - 32)
        return false;
    int n = snprintf(name, sizeof name, "%.*s%s", (int)stem, t->names.items[i].data, suffix);
    return weights_names_find(&t->names, (struct tenon_str){name, (uint64_t)n}, ret);
}

/* Numbers of the parts of the weight whose first part is tensor i; false: it is none. *ret_lacks: the part that only is not
 * there. */
static bool find_parts(const struct st_tensors *t, const struct st_method *m, uint32_t i, uint32_t ret[ST_PARTS_MAX],
                       const char **ret_lacks)
{
    *ret_lacks = NULL;
    if (!ends_with(t->names.items[i], m->parts[0]) || strcmp(t->items[i].encoding, m->first_type) != 0 ||
        (m->block_bytes == 0 && t->items[i].n_dims != 2)) /* blocks of any other shape are refused, not left alone */
        return false;
    ret[0] = i;
    for (uint32_t p = 1; p < ST_PARTS_MAX && m->parts[p] != NULL; p++)
        if (!find_beside(t, m, i, m->parts[p], &ret[p]))
            *ret_lacks = m->parts[p];
    return *ret_lacks == NULL;
}

static int32_t fail_lacking(const struct st_tensors *t, const struct st_method *m, uint32_t i, const char *suffix,
                            struct tenon_err *err)
{
    const struct tenon_str *name = &t->names.items[i];
    return tenon_fail(err, TENON_E_DATA_LOSS, "safetensors", "tensor \"%.*s%s\" is missing, which belongs to \"%.*s\": the file is cut off or "
                      "wrongly converted", (int)(name->size - strlen(m->parts[0]) < 200 ? name->size - strlen(m->parts[0]) : 200), name->data, suffix,
                      WEIGHTS_SHOW(*name));
}

/* A part beside tensor i that would change its numbers is refused. */
static int32_t check_others(const struct st_tensors *t, const struct st_method *m, uint32_t i, struct tenon_err *err)
{
    uint32_t other;
    for (uint32_t p = 0; p < ST_UNKNOWN_MAX; p++)
        if (m->unknown[p] != NULL && find_beside(t, m, i, m->unknown[p], &other))
            return tenon_fail(err, TENON_E_UNIMPLEMENTED, "safetensors",
                              "tensor \"%.*s\": columns sorted by activations, zero points and further scales that config.json does not tell "
                              "of are not known here: plugins/quantizers/README.md lists what is", WEIGHTS_SHOW(t->names.items[other]));
    return TENON_OK;
}

/* `id`, kept by `t`. NULL: there are too many. */
static const char *keep_id(struct st_tensors *t, const char *id)
{
    uint32_t k = 0;
    while (k < ST_FORMS && t->forms[k][0] != 0 && strcmp(t->forms[k], id) != 0)
        k++;
    if (k == ST_FORMS)
        return NULL;
    (void)snprintf(t->forms[k], sizeof t->forms[k], "%s", id);
    return t->forms[k];
}

/* The form's id with what stands for ? and @. NULL: of scales of this type it has none. */
static const char *form_of(struct st_tensors *t, const struct st_choice *c, const char *scales, uint64_t cols)
{
    char id[sizeof t->forms[0]];
    size_t n = 0, type = 0;
    while (type < ST_SCALE_TYPES && ((c->method.scale_types >> type & 1) == 0 || strcmp(scales, st_scale_types[type]) != 0))
        type++;
    if (type == ST_SCALE_TYPES)
        return NULL;
    for (const char *p = c->form; *p != 0 && n + 8 < sizeof id; p++) {
        if (*p == '?')
            n += (size_t)snprintf(id + n, sizeof id - n, "%.*s", (int)strlen(st_scale_types[type]) - 2, st_scale_types[type]);
        else if (*p == '@')
            n += (size_t)snprintf(id + n, sizeof id - n, "%s", cols % 128 != 0 ? "_part" : "");
        else
            id[n++] = *p;
    }
    id[n] = 0;
    return keep_id(t, id);
}

/* Blocks and their scales? */
static bool blocks_fit(const struct tenon_tensor *first, const struct tenon_tensor *scales, uint32_t block_bytes)
{
    const uint32_t n = scales->n_dims;
    return n >= 2 && first->n_dims == n + 1 && first->dims[n] == block_bytes &&
           memcmp(first->dims, scales->dims, n * sizeof *first->dims) == 0;
}

/* Do the further parts have the shapes and types they must? By bytes alone a transposed part would pass. */
static bool parts_fit(const struct st_tensors *t, const struct st_method *m, const uint32_t parts[ST_PARTS_MAX], uint64_t rows)
{
    const struct tenon_tensor *scales = &t->items[parts[m->scales]];
    const uint32_t groups = m->transposed ? 0 : 1; /* which dim of scales and zero points they are */
    if (m->block_bytes != 0)
        return blocks_fit(&t->items[parts[0]], scales, m->block_bytes);
    if (m->rows_of_scale == 0)
        return scales->n_dims == 0 || (scales->n_dims == 1 && scales->dims[0] == 1);
    if (scales->n_dims != 2 || scales->dims[m->transposed ? 1 : 0] != rows / m->rows_of_scale + (rows % m->rows_of_scale != 0))
        return false;
    for (uint32_t p = 1; p < ST_PARTS_MAX && m->parts[p] != NULL; p++) {
        const struct tenon_tensor *part = &t->items[parts[p]];
        if (p != m->scales && (strcmp(part->encoding, "i32/1") != 0 ||
                               (part->n_dims != 1 && part->dims[groups] != scales->dims[groups])))
            return false;
    }
    return true;
}

/* Is there something of every part? To the host a size of 0 means: as the form has it. */
static bool all_hold(const struct tenon_tensor *t)
{
    for (uint32_t p = 0; p < t->n_planes; p++)
        if (t->planes[p].size == 0)
            return false;
    return true;
}

/* The joined tensor without its name, as its quant_state has it. */
static int32_t join_nf4(struct st_tensors *t, const struct st_method *m, const uint32_t parts[ST_PARTS_MAX], struct tenon_tensor *ret,
                        struct tenon_err *err)
{
    struct st_nf4 w = {.first = parts[0], .absmax = parts[1]};
    const struct tenon_str name = t->names.items[parts[0]];
    if (!find_beside(t, m, parts[0], m->state, &w.state))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\" has no %s: the file is damaged or of another version of "
                          "bitsandbytes", WEIGHTS_SHOW(name), m->state);
    w.nested = find_beside(t, m, parts[0], ST_NF4_NESTED_ABSMAX, &w.nested_absmax);
    if (w.nested && !find_beside(t, m, parts[0], ST_NF4_NESTED_MAP, &w.nested_map))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\" has no %s: the file is damaged",
                          WEIGHTS_SHOW(name), ST_NF4_NESTED_MAP);
    return st_nf4_join(t, &w, ret, err);
}

/* The same by the parts' own dims. The form's id is kept by `t`. */
static int32_t join_planes(struct st_tensors *t, const struct st_choice *c, const uint32_t parts[ST_PARTS_MAX],
                           struct tenon_tensor *ret, struct tenon_err *err)
{
    const struct st_method *m = &c->method;
    const struct tenon_tensor *first = &t->items[parts[0]], *scales = &t->items[parts[m->scales]];
    const uint32_t before = m->block_bytes != 0 && scales->n_dims > 2 ? scales->n_dims - 2 : 0; /* dims of what matrices there are */
    const uint64_t rows = first->dims[before + (m->transposed ? 1 : 0)], cols = first->dims[before + (m->transposed ? 0 : 1)];
    const char *form = NULL;
    uint64_t dims[2];
    if (__builtin_mul_overflow(rows, (uint64_t)m->rows_times, &dims[0]) ||
        __builtin_mul_overflow(cols, (uint64_t)m->cols_times, &dims[1]))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\" is too large",
                          WEIGHTS_SHOW(first->name));
    form = form_of(t, c, scales->encoding, dims[1] / 32);
    if (form == NULL)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "safetensors", "tensor \"%.*s\": its scales are of type %s",
                          WEIGHTS_SHOW(first->name), scales->encoding);
    if (!parts_fit(t, m, parts, dims[0] / 32))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\": shapes or types of what belongs to it do not fit: the file "
                          "is damaged or wrongly converted", WEIGHTS_SHOW(first->name));
    *ret = (struct tenon_tensor){.struct_size = sizeof *ret, .n_dims = before + 2, .encoding = form};
    memcpy(ret->dims, first->dims, before * sizeof *ret->dims);
    ret->dims[before] = dims[0] / 32, ret->dims[before + 1] = dims[1] / 32;
    for (uint32_t p = 0; p < ST_PARTS_MAX && m->parts[p] != NULL; p++)
        ret->planes[ret->n_planes++] = t->items[parts[p]].planes[0];
    return check_others(t, m, parts[0], err);
}

/* The joined tensor without its name. */
static int32_t join(struct st_tensors *t, const struct st_choice *c, const uint32_t parts[ST_PARTS_MAX], struct tenon_tensor *ret,
                    struct tenon_err *err)
{
    int32_t rc = c->method.state != NULL ? join_nf4(t, &c->method, parts, ret, err) : join_planes(t, c, parts, ret, err);
    if (rc == TENON_OK && !all_hold(ret))
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\": something that belongs to it has no bytes: the file is "
                        "damaged", WEIGHTS_SHOW(t->items[parts[0]].name));
    return rc;
}

/* Names P.weight for tensor i, whose first part's suffix is `suffix`. OWN: caller */
static char *weight_name(const struct st_tensors *t, uint32_t i, const char *suffix, uint64_t *ret_size)
{
    uint64_t stem = t->names.items[i].size - strlen(suffix);
    char *name = malloc(stem + sizeof ".weight");
    if (name == NULL)
        return NULL;
    memcpy(name, t->names.items[i].data, stem);
    memcpy(name + stem, ".weight", sizeof ".weight");
    *ret_size = stem + sizeof ".weight" - 1;
    return name;
}

/* Put a tensor behind the others of `out`. OWN: name, taken whatever comes of it. */
static int32_t put(struct st_tensors *out, char *name, uint64_t size, struct tenon_tensor tensor, struct tenon_err *err)
{
    void *items = out->items;
    int32_t rc = name != NULL ? weights_grow(&items, out->names.n, &out->capacity, sizeof *out->items) : TENON_E_RESOURCE_EXHAUSTED;
    out->items = items;
    if (rc == TENON_OK)
        rc = weights_names_add(&out->names, (struct tenon_str){name, size});
    if (rc != TENON_OK) {
        rc = rc == TENON_E_ALREADY_EXISTS
                 ? tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.80s\" stands there plain and quantised", name)
                 : tenon_fail(err, rc, "safetensors", "out of memory for the tensors of quantised weights");
        free(name);
        return rc;
    }
    tensor.name = out->names.items[out->names.n - 1];
    out->items[out->names.n - 1] = tensor;
    return TENON_OK;
}

/* Of a method that is not known here, tensors that hold no plain numbers tell nothing. */
static int32_t check_unknown(const struct st_tensors *t, const struct tenon_meta *meta, struct tenon_err *err)
{
    static const char *const plain[] = {"f32/1", "f16/1", "bf16/1", "f64/1", "i64/1", "bool/1"};
    struct tenon_meta_entry e;
    struct tenon_str method;
    if (meta->find(meta->ctx, ST_QUANTIZATION "quant_method", &e) != TENON_OK || e.type != TENON_META_STRING || e.is_array ||
        meta->strings(meta->ctx, &e, 0, 1, &method) != TENON_OK)
        return TENON_OK;
    for (uint32_t i = 0; i < t->names.n; i++) {
        size_t k = 0;
        while (k < sizeof plain / sizeof plain[0] && strcmp(t->items[i].encoding, plain[k]) != 0)
            k++;
        if (k == sizeof plain / sizeof plain[0])
            return tenon_fail(err, TENON_E_UNIMPLEMENTED, "config.json", "quantization_config: quant_method %.*s is not known here, and tensor "
                              "\"%.*s\" is %s: plugins/quantizers/README.md lists the methods that are", (int)(method.size < 40 ? method.size : 40),
                              method.data, WEIGHTS_SHOW(t->names.items[i]), t->items[i].encoding);
    }
    return TENON_OK;
}

int32_t st_quantized_join(struct st_tensors *t, const struct tenon_meta *meta, struct tenon_err *err)
{
    struct st_tensors out = {0};
    struct st_choice c;
    uint32_t parts[ST_PARTS_MAX];
    bool joins, *is_part;
    int32_t rc = st_quantization_choose(meta, &joins, &c, err);
    if (rc != TENON_OK || !joins)
        return rc != TENON_OK ? rc : check_unknown(t, meta, err);
    is_part = calloc((size_t)t->names.n + 1, sizeof *is_part);
    if (is_part == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "safetensors", "out of memory for %u tensors", (unsigned)t->names.n);
    for (uint32_t i = 0; i < t->names.n; i++) {
        uint32_t other;
        const char *lacks;
        if (!find_parts(t, &c.method, i, parts, &lacks)) {
            rc = rc == TENON_OK && lacks != NULL && strcmp(c.method.parts[0], ".weight") != 0 ? fail_lacking(t, &c.method, i, lacks, err) : rc;
            continue; /* a .weight may be plain */
        }
        for (uint32_t p = 0; p < ST_PARTS_MAX && c.method.parts[p] != NULL; p++)
            is_part[parts[p]] = true;
        for (uint32_t p = 0; p < ST_NEEDLESS_MAX && c.method.needless[p] != NULL; p++)
            if (find_beside(t, &c.method, i, c.method.needless[p], &other))
                is_part[other] = true;
    }
    for (uint32_t i = 0; rc == TENON_OK && i < t->names.n; i++) {
        struct tenon_tensor tensor = t->items[i];
        uint64_t size = t->names.items[i].size;
        const char *lacks;
        bool first = is_part[i] && find_parts(t, &c.method, i, parts, &lacks);
        if (is_part[i] && !first)
            continue;
        rc = first ? join(t, &c, parts, &tensor, err) : TENON_OK;
        if (rc == TENON_OK) {
            char *name = first ? weight_name(t, i, c.method.parts[0], &size) : strdup(t->names.items[i].data);
            rc = put(&out, name, size, tensor, err);
        }
    }
    free(is_part);
    if (rc == TENON_OK) { /* ids of forms stay where they are: in *t, which does not move */
        struct st_tensors old = *t;
        t->names = out.names, t->items = out.items, t->capacity = out.capacity;
        out = old;
        out.files = NULL; /* they stay */
    }
    st_tensors_finish(&out);
    return rc;
}
