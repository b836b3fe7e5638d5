/* resolve.c - see resolve.h. Names come from the model plugin's tables; the host only substitutes `{i}` and compares
 * shapes. Nothing of a tensor's content is touched.
 */
#include "core/model/resolve.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"

/* One run: what is being made, and what is missing so far. */
struct work {
    const struct tn_container *src;
    struct tn_resolved *r;
    uint32_t capacity;      /* of r->items */
    struct tn_map used;     /* tensor names taken */
    struct tn_strlist missing;
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

/* The first source of this format whose tensor is there. *ret_name gets the first name sought, for messages. */
static const struct tn_tensor *seek(const struct work *w, const struct tenon_weight_desc *d, int32_t layer,
                                    char ret_name[128], int32_t *ret_xform)
{
    const char *format = tn_container_meta(w->src)->format;
    ret_name[0] = '\0';
    for (uint32_t i = 0; i < d->n_sources; i++) {
        const struct tenon_weight_source *s = source_at(d, i);
        const struct tn_tensor *t;
        char name[128];
        if (strcmp(s->format, format) != 0 || !tn_layer_name(name, sizeof name, s->name, layer))
            continue;
        if (ret_name[0] == '\0')
            memcpy(ret_name, name, sizeof name);
        t = tn_container_find(w->src, name);
        if (t != NULL) {
            memcpy(ret_name, name, sizeof name);
            *ret_xform = s->xform;
            return t;
        }
    }
    return NULL;
}

static int32_t check_shape(const struct work *w, const struct tenon_weight_desc *d, const char *name,
                           const struct tn_tensor *t, struct tenon_err *err)
{
    char want[128] = "", have[128] = "";
    size_t nw = 0, nh = 0;
    if (t->t.n_dims == d->rank && memcmp(t->t.dims, d->dims, d->rank * sizeof d->dims[0]) == 0)
        return TENON_OK;
    for (uint32_t i = 0; i < d->rank && nw < sizeof want; i++)
        nw += (size_t)snprintf(want + nw, sizeof want - nw, "%s%" PRIu64, i ? "," : "", d->dims[i]);
    for (uint32_t i = 0; i < t->t.n_dims && nh < sizeof have; i++)
        nh += (size_t)snprintf(have + nh, sizeof have - nh, "%s%" PRIu64, i ? "," : "", t->t.dims[i]);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tn_container_path(w->src),
                      "tensor %s has shape [%s], its metadata calls for [%s]: the file is damaged or wrongly converted", name,
                      have, want);
}

static int32_t add_item(struct work *w, uint32_t weight, int32_t layer, const struct tn_tensor *t)
{
    struct tn_resolved *r = w->r;
    struct tn_resolved_weight *item;
    if (r->n == w->capacity) {
        uint32_t capacity = w->capacity == 0 ? 256 : 2 * w->capacity;
        struct tn_resolved_weight *items = r->n < TN_WEIGHTS_MAX ? realloc(r->items, capacity * sizeof *items) : NULL;
        if (items == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        r->items = items;
        w->capacity = capacity;
    }
    item = &r->items[r->n++];
    *item = (struct tn_resolved_weight){ .weight = weight, .layer = layer, .tensor = t };
    (void)tn_layer_name(item->name, sizeof item->name, r->descs[weight]->name, layer); /* cutting is fine */
    return tn_map_put(&w->used, t->t.name.data, t->t.name.size, (void *)t);
}

/* The graph uses the other weight instead, which is missed by itself when it is missing too. */
static bool is_tied(const struct work *w, const struct tenon_weight_desc *d)
{
    for (uint32_t i = 0; d->tied_to != NULL && i < w->r->n_descs; i++)
        if (strcmp(w->r->descs[i]->name, d->tied_to) == 0)
            return true;
    return false;
}

/* *ret_found: whether there is a tensor. A missing one that must be there goes on the list. */
static int32_t resolve_one(struct work *w, uint32_t weight, int32_t layer, bool *ret_found, struct tenon_err *err)
{
    const struct tenon_weight_desc *d = w->r->descs[weight];
    char name[128];
    int32_t xform = TENON_XFORM_NONE, rc;
    const struct tn_tensor *t = seek(w, d, layer, name, &xform);
    *ret_found = t != NULL;
    if (t == NULL && ((d->flags & TENON_WEIGHT_OPTIONAL) != 0 || is_tied(w, d)))
        return TENON_OK;
    if (t == NULL)
        return tn_strlist_add(&w->missing, name[0] != '\0' ? name : d->name);
    if (xform != TENON_XFORM_NONE)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, tn_container_path(w->src),
                          "tensor %s needs transform %d (model.h), which this version cannot do at load", name, (int)xform);
    rc = check_shape(w, d, name, t, err);
    return rc == TENON_OK ? add_item(w, weight, layer, t) : rc;
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
    if (rc == TENON_OK && n_found != 0 && n_found != n_wanted && w->missing.n == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, tn_container_path(w->src),
                          "%s: %u of %u layers have it: all or none must", d->name, n_found, n_wanted);
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
    char list[300] = "";
    size_t n = 0;
    uint32_t i;
    for (i = 0; i < w->missing.n; i++) {
        size_t need = strlen(w->missing.items[i]) + 2;
        if (n + need + 16 > sizeof list)
            break;
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", w->missing.items[i]);
    }
    if (i < w->missing.n)
        (void)snprintf(list + n, sizeof list - n, " and %u more", w->missing.n - i);
    return tenon_fail(err, TENON_E_NOT_FOUND, tn_container_path(w->src), "%u tensors missing: %s", w->missing.n, list);
}

static int32_t list_unused(struct work *w)
{
    int32_t rc = TENON_OK;
    for (uint64_t i = 0; rc == TENON_OK && i < tn_container_tensor_count(w->src); i++) {
        const struct tenon_str *name = &tn_container_tensor(w->src, i)->t.name;
        if (tn_map_find(&w->used, name->data, name->size) == NULL)
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
    if (rc == TENON_OK && w.missing.n > 0)
        rc = report_missing(&w, &why);
    if (rc == TENON_OK)
        rc = list_unused(&w);
    if (rc != TENON_OK) {
        (void)tenon_fail(err, rc, why.code != 0 ? why.where : tn_container_path(src), "%s",
                         why.code != 0 ? why.message : "out of memory");
        tn_resolved_finish(ret);
    }
    tn_map_finish(&w.used, NULL);
    tn_strlist_finish(&w.missing);
    return rc;
}

void tn_resolved_finish(struct tn_resolved *r)
{
    free(r->descs);
    free(r->items);
    free(r->present);
    tn_strlist_finish(&r->unused);
    memset(r, 0, sizeof *r);
}
