/* resolve.c - see resolve.h. Names come from the model plugin's tables; the host only substitutes `{i}` and `{e}` and compares
 * shapes. Nothing of a tensor's content is touched.
 */
#include "core/model/resolve.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"
#include "core/base/num.h"

/* One run: what is being made, and what is missing so far. */
struct work {
    const struct tn_container *src;
    struct tn_resolved *r;
    uint32_t capacity;      /* of r->items */
    struct tn_map used;     /* tensor names taken */
};

bool tn_layer_name(char *buf, size_t size, const char *pattern, int32_t layer)
{
    const char *at = strstr(pattern, "{i}");
    int n = at != NULL && layer >= 0
                ? snprintf(buf, size, "%.*s%" PRId32 "%s", (int)(at - pattern), pattern, layer, at + 3)
                : snprintf(buf, size, "%s", pattern);
    return n >= 0 && (size_t)n < size;
}

/* ---- one weight ------------------------------------------------------------------------------------------------ */

static const struct tenon_weight_source *source_at(const struct tenon_weight_desc *d, uint32_t i)
{
    return (const struct tenon_weight_source *)(const void *)((const char *)d->sources + (uint64_t)i * d->source_stride);
}

/* A weight's tensors, as they are sought. */
struct find {
    const struct tenon_weight_source *source;
    const struct tn_tensor *tensor;   /* the first, NULL: not there */
    const struct tn_tensor **experts; /* [n_experts] all of them; NULL: not stacked */
    uint32_t n_experts;
    char name[TN_TENSOR_NAME];        /* the first name sought, or the one found; for messages */
};

/* Fill in layer and expert. */
static bool source_name(char name[TN_TENSOR_NAME], const struct tenon_weight_source *s, int32_t layer, uint32_t expert)
{
    char pattern[TN_TENSOR_NAME];
    const char *at;
    int n;
    if (!tn_layer_name(pattern, sizeof pattern, s->name, layer))
        return false;
    at = (s->xform & TENON_XFORM_STACK_EXPERTS) != 0 ? strstr(pattern, "{e}") : NULL;
    n = at != NULL ? snprintf(name, TN_TENSOR_NAME, "%.*s%u%s", (int)(at - pattern), pattern, expert, at + 3)
                   : snprintf(name, TN_TENSOR_NAME, "%s", pattern);
    return n >= 0 && n < (int)TN_TENSOR_NAME;
}

/* The first source of this format whose tensor, that of expert 0, is there. */
static void seek(const struct work *w, const struct tenon_weight_desc *d, int32_t layer, struct find *ret)
{
    const char *format = tn_container_meta(w->src)->format;
    for (uint32_t i = 0; i < d->n_sources && ret->tensor == NULL; i++) {
        const struct tenon_weight_source *s = source_at(d, i);
        char name[TN_TENSOR_NAME];
        if (strcmp(s->format, format) != 0 || !source_name(name, s, layer, 0))
            continue;
        ret->tensor = tn_container_find(w->src, name);
        if (ret->name[0] == '\0' || ret->tensor != NULL)
            memcpy(ret->name, name, sizeof name);
        ret->source = s;
    }
}

/* The other experts' tensors. Those that are missing go on the list. */
static int32_t seek_experts(struct work *w, const struct tenon_weight_desc *d, int32_t layer, struct find *f,
                            struct tenon_err *err)
{
    uint64_t n = d->rank > 0 ? d->dims[0] : 0;
    if (n == 0 || n > TN_EXPERTS_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tn_container_path(w->src),
                          "%s: %" PRIu64 " experts, but there must be 1 to %u", d->name, n, TN_EXPERTS_MAX);
    f->experts = calloc((size_t)n, sizeof *f->experts);
    if (f->experts == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    for (; f->n_experts < n; f->n_experts++) {
        char name[TN_TENSOR_NAME] = "";
        const struct tn_tensor *t = source_name(name, f->source, layer, f->n_experts) ? tn_container_find(w->src, name) : NULL;
        if (t == NULL && tn_strlist_add(&w->r->missing, name) != TENON_OK)
            return TENON_E_RESOURCE_EXHAUSTED;
        if (t != NULL && tn_map_put(&w->used, t->t.name.data, t->t.name.size, (void *)t) != TENON_OK)
            return TENON_E_RESOURCE_EXHAUSTED;
        if (t != NULL && strcmp(t->t.encoding, f->tensor->t.encoding) != 0)
            return tenon_fail(err, TENON_E_UNIMPLEMENTED, tn_container_path(w->src),
                              "tensor %s is in encoding %s, other experts in %s: they cannot be stacked", name, t->t.encoding,
                              f->tensor->t.encoding);
        f->experts[f->n_experts] = t;
    }
    return TENON_OK;
}

static int32_t fail_shape(const struct work *w, const struct tenon_weight_desc *d, const struct tn_tensor *t, int32_t xform,
                          struct tenon_err *err)
{
    char want[128] = "", have[128] = "";
    size_t nw = 0, nh = 0;
    for (uint32_t i = 0; i < d->rank && nw < sizeof want; i++)
        nw += (size_t)snprintf(want + nw, sizeof want - nw, "%s%" PRIu64, i ? "," : "", d->dims[i]);
    for (uint32_t i = 0; i < t->t.n_dims && nh < sizeof have; i++)
        nh += (size_t)snprintf(have + nh, sizeof have - nh, "%s%" PRIu64, i ? "," : "", t->t.dims[i]);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tn_container_path(w->src),
                      "tensor %.*s has shape [%s], its metadata calls for %s[%s]: the file is damaged or wrongly converted",
                      (int)t->t.name.size, t->t.name.data, have, xform != TENON_XFORM_NONE ? "one that makes " : "", want);
}

static int32_t fit(const struct work *w, const struct tenon_weight_desc *d, const struct find *f, struct tn_transform *ret,
                   struct tenon_err *err)
{
    int32_t xform = f->source != NULL ? f->source->xform : TENON_XFORM_NONE;
    if (!tn_transform_fit(ret, d, f->source, f->tensor->t.n_dims, f->tensor->t.dims))
        return fail_shape(w, d, f->tensor, xform, err);
    for (uint32_t e = 0; e < f->n_experts; e++) {
        struct tn_transform same;
        if (f->experts[e] != NULL && !tn_transform_fit(&same, d, f->source, f->experts[e]->t.n_dims, f->experts[e]->t.dims))
            return fail_shape(w, d, f->experts[e], xform, err);
    }
    return TENON_OK;
}

static int32_t add_item(struct work *w, const struct tn_resolved_weight *item)
{
    struct tn_resolved *r = w->r;
    if (r->n == w->capacity) {
        uint32_t capacity = w->capacity == 0 ? 256 : 2 * w->capacity;
        struct tn_resolved_weight *items = r->n < TN_WEIGHTS_MAX ? realloc(r->items, capacity * sizeof *items) : NULL;
        if (items == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        r->items = items;
        w->capacity = capacity;
    }
    r->items[r->n] = *item;
    (void)tn_layer_name(r->items[r->n].name, sizeof item->name, r->descs[item->weight]->name, item->layer); /* cutting is fine */
    r->n++;
    if (item->tensor == NULL)
        return TENON_OK;
    return tn_map_put(&w->used, item->tensor->t.name.data, item->tensor->t.name.size, (void *)item->tensor);
}

/* The graph uses the other weight instead, which is missed by itself when it is missing too. */
static bool is_tied(const struct work *w, const struct tenon_weight_desc *d)
{
    for (uint32_t i = 0; d->tied_to != NULL && i < w->r->n_descs; i++)
        if (strcmp(w->r->descs[i]->name, d->tied_to) == 0)
            return true;
    return false;
}

static int32_t take_found(struct work *w, uint32_t weight, int32_t layer, struct find *f, struct tenon_err *err)
{
    const struct tenon_weight_desc *d = w->r->descs[weight];
    struct tn_resolved_weight item = { .weight = weight, .layer = layer, .tensor = f->tensor, .experts = f->experts };
    uint32_t n = w->r->n;
    int32_t rc = fit(w, d, f, &item.transform, err);
    if (rc == TENON_OK)
        rc = add_item(w, &item);
    if (w->r->n > n)
        f->experts = NULL; /* the item's now */
    return rc;
}

static int32_t take_values(struct work *w, uint32_t weight, int32_t layer, struct tenon_err *err)
{
    const struct tenon_weight_desc *d = w->r->descs[weight];
    uint64_t bytes = sizeof(float);
    for (uint32_t i = 0; i < d->rank; i++)
        if (!tn_mul_u64(bytes, d->dims[i], &bytes) || bytes > TN_VALUES_MAX)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tn_container_path(w->src),
                              "%s: more values than a model plugin may compute", d->name);
    return add_item(w, &(struct tn_resolved_weight){ .weight = weight, .layer = layer, .values = d->values,
                                                     .values_bytes = bytes });
}

/* *ret_found: whether there is a tensor. A missing one that must be there goes on the list. */
static int32_t resolve_one(struct work *w, uint32_t weight, int32_t layer, bool *ret_found, struct tenon_err *err)
{
    const struct tenon_weight_desc *d = w->r->descs[weight];
    struct find f = { 0 };
    int32_t rc = TENON_OK;
    seek(w, d, layer, &f);
    *ret_found = false;
    if ((d->flags & TENON_WEIGHT_UNUSED) != 0)
        return f.tensor != NULL ? tn_map_put(&w->used, f.tensor->t.name.data, f.tensor->t.name.size, (void *)f.tensor) : TENON_OK;
    *ret_found = f.tensor != NULL || d->values != NULL;
    if (f.tensor == NULL && d->values != NULL)
        return take_values(w, weight, layer, err);
    if (f.tensor == NULL && ((d->flags & TENON_WEIGHT_OPTIONAL) != 0 || is_tied(w, d)))
        return TENON_OK;
    if (f.tensor == NULL)
        return tn_strlist_add(&w->r->missing, f.name[0] != '\0' ? f.name : d->name);
    if ((f.source->xform & TENON_XFORM_STACK_EXPERTS) != 0)
        rc = seek_experts(w, d, layer, &f, err);
    if (rc == TENON_OK)
        rc = take_found(w, weight, layer, &f, err);
    free(f.experts);
    return rc;
}

/* Only some layers have the optional weight. */
static int32_t fail_part(const struct work *w, const struct tenon_weight_desc *d, uint32_t n_found, uint32_t n_wanted,
                         struct tenon_err *err)
{
    struct find f;
    uint32_t i = 0;
    do { /* one has none, or this were not called */
        f = (struct find){ 0 };
        if (d->has_layer == NULL || d->has_layer[i] != 0)
            seek(w, d, (int32_t)i, &f);
    } while (++i < d->n_layers && (f.tensor != NULL || f.name[0] == '\0'));
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tn_container_path(w->src), "%s: %u of %u layers have it, and there is no tensor %s: all or none must",
                      d->name, n_found, n_wanted, f.name);
}

static int32_t resolve_desc(struct work *w, uint32_t weight, struct tenon_err *err)
{
    const struct tenon_weight_desc *d = w->r->descs[weight];
    bool layered = (d->flags & TENON_WEIGHT_LAYERED) != 0, found = false;
    uint32_t n_found = 0, n_wanted = 0, n = layered ? d->n_layers : 1;
    int32_t rc = TENON_OK;
    if (n > TN_WEIGHTS_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tn_container_path(w->src), "%s: %u layers are too many", d->name, n);
    for (uint32_t i = 0; rc == TENON_OK && i < n; i++) {
        if (layered && d->has_layer != NULL && d->has_layer[i] == 0)
            continue;
        rc = resolve_one(w, weight, layered ? (int32_t)i : -1, &found, err);
        n_found += found;
        n_wanted++;
    }
    if (rc == TENON_OK && n_found != 0 && n_found != n_wanted && w->r->missing.n == 0)
        return fail_part(w, d, n_found, n_wanted, err);
    w->r->present[weight] = n_found == n_wanted && n_wanted > 0;
    return rc;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static int32_t take_descs(struct work *w, const struct tenon_model *model, struct tenon_model_config *config)
{
    const struct tenon_weight_desc *d;
    struct tn_resolved *r = w->r;
    uint32_t n = 0;
    while (n < TN_WEIGHT_DESCS_MAX && model->weight_at(config, n, &d) == TENON_OK)
        n++;
    r->descs = calloc((size_t)n + 1, sizeof *r->descs);
    r->present = calloc((size_t)n + 1, 1);
    if (r->descs == NULL || r->present == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    for (; r->n_descs < n && model->weight_at(config, r->n_descs, &d) == TENON_OK; r->n_descs++)
        r->descs[r->n_descs] = d;
    return TENON_OK;
}

static int32_t report_missing(const struct work *w, struct tenon_err *err)
{
    const struct tn_strlist *missing = &w->r->missing;
    char list[300] = "";
    size_t n = 0;
    uint32_t i;
    for (i = 0; i < missing->n; i++) {
        size_t need = strlen(missing->items[i]) + 2;
        if (n + need + 16 > sizeof list)
            break;
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", missing->items[i]);
    }
    if (i < missing->n)
        (void)snprintf(list + n, sizeof list - n, " and %u more", missing->n - i);
    return tenon_fail(err, TENON_E_NOT_FOUND, tn_container_path(w->src), "%u tensors missing: %s", missing->n, list);
}

static int32_t list_unused(struct work *w)
{
    int32_t rc = TENON_OK;
    for (uint64_t i = 0; rc == TENON_OK && i < tn_container_tensor_count(w->src); i++) {
        const struct tn_tensor *t = tn_container_tensor(w->src, i);
        const struct tenon_str *name = &t->t.name;
        if (t->bytes != 0 && tn_map_find(&w->used, name->data, name->size) == NULL)
            rc = tn_strlist_addn(&w->r->unused, name->data, name->size);
    }
    return rc;
}

int32_t tn_resolve(const struct tn_container *src, const struct tenon_model *model, struct tenon_model_config *config,
                   struct tn_resolved *ret, struct tenon_err *err)
{
    struct work w = { .src = src, .r = ret };
    struct tenon_err why = TENON_ERR_INIT;
    int32_t rc = take_descs(&w, model, config);
    for (uint32_t i = 0; rc == TENON_OK && i < ret->n_descs; i++)
        rc = resolve_desc(&w, i, &why);
    if (rc == TENON_OK)
        rc = list_unused(&w);
    if (rc == TENON_OK && ret->missing.n > 0)
        rc = report_missing(&w, &why);
    if (rc != TENON_OK)
        (void)tenon_fail(err, rc, why.code != 0 ? why.where : tn_container_path(src), "%s",
                         why.code != 0 ? why.message : "out of memory");
    tn_map_finish(&w.used, NULL);
    return rc;
}

void tn_resolved_finish(struct tn_resolved *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        free(r->items[i].experts);
    free(r->descs);
    free(r->items);
    free(r->present);
    tn_strlist_finish(&r->missing);
    tn_strlist_finish(&r->unused);
    memset(r, 0, sizeof *r);
}
