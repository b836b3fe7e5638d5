/* The dicts of templates: in insertion order, with an index by hash once they
 * are large; and hashing. One thread per run; contracts in jinja_value.h. */
#include "jinja_value.h"

#include <string.h>

/* Dicts up to this size are searched in a row: most are small. */
#define DICT_SMALL 8

static uint64_t hash_bytes(const void *p, size_t n, uint64_t h)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ c[i]) * 0x100000001b3u;
    return h ^ (h >> 29);
}

/* Equal numbers of different types must hash alike. */
static uint64_t hash_num(double f)
{
    if (f == 0)
        f = 0; /* -0.0 */
    return hash_bytes(&f, sizeof f, 7);
}

int32_t tn_j_hash(struct jrun *r, struct jv v, uint64_t *ret)
{
    double f;
    int32_t rc = 0;
    *ret = v.type;
    if (tn_j_is_num(v, &f)) {
        *ret = hash_num(f);
    } else if (v.type == JV_BIG) {
        (void)tn_j_parse_double(v.s->p, v.s->len, &f); /* its digits are checked when read */
        *ret = hash_num(f);
    } else if (v.type == JV_STR) {
        *ret = hash_bytes(v.s->p, v.s->len, 0xcbf29ce484222325u);
    } else if (v.type == JV_TUPLE) {
        rc = tn_j_enter(r);
        if (rc != 0)
            return rc;
        for (size_t i = 0; rc == 0 && i < v.list->n; i++) {
            uint64_t h = 0;
            rc = tn_j_hash(r, v.list->items[i], &h);
            *ret = hash_bytes(&h, sizeof h, *ret);
        }
        tn_j_leave(r);
    } else if (v.type == JV_LIST || v.type == JV_DICT) {
        return tn_j_fail(r, "unhashable type: '%s'", tn_j_type_name(v));
    }
    return rc;
}

int32_t tn_j_dict_new(struct jrun *r, struct jv *ret)
{
    struct jdict *d = tn_j_alloc(r, 1, sizeof *d);
    if (d == NULL)
        return r->rc;
    *ret = (struct jv){.type = JV_DICT, .dict = d};
    return 0;
}

/* The slot of the index where key is or would go. */
static int32_t dict_slot(struct jrun *r, const struct jdict *d, struct jv key, size_t *ret)
{
    uint64_t h = 0;
    int32_t rc = tn_j_hash(r, key, &h);
    if (rc != 0)
        return rc;
    size_t at = h & (d->nindex - 1);
    for (; d->index[at] != 0; at = (at + 1) & (d->nindex - 1)) {
        bool same;
        rc = tn_j_eq(r, d->items[d->index[at] - 1].key, key, &same);
        if (rc != 0 || same)
            break;
    }
    *ret = at;
    return rc;
}

static int32_t small_get(struct jrun *r, const struct jdict *d, struct jv key, struct jv **ret)
{
    uint64_t unused;
    int32_t rc = tn_j_hash(r, key, &unused); /* unhashable keys fail in small dicts too */
    for (size_t i = 0; rc == 0 && i < d->n; i++) {
        bool same;
        rc = tn_j_eq(r, d->items[i].key, key, &same);
        if (rc == 0 && same) {
            *ret = &d->items[i].val;
            break;
        }
    }
    return rc;
}

int32_t tn_j_dict_get(struct jrun *r, const struct jdict *d, struct jv key, struct jv **ret)
{
    *ret = NULL;
    if (d->index == NULL)
        return small_get(r, d, key, ret);
    size_t at;
    int32_t rc = dict_slot(r, d, key, &at);
    if (rc == 0 && d->index[at] != 0)
        *ret = &d->items[d->index[at] - 1].val;
    return rc;
}

struct jv *tn_j_dict_find(const struct jdict *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (tn_j_is_cstr(d->items[i].key, name))
            return &d->items[i].val;
    return NULL;
}

/* Gives the items twice the room, and an index from DICT_SMALL on. */
static int32_t dict_grow(struct jrun *r, struct jdict *d)
{
    size_t cap = d->cap ? d->cap * 2 : 4;
    struct jpair *items = tn_j_alloc(r, cap, sizeof *items);
    if (items == NULL)
        return r->rc;
    if (d->n > 0)
        memcpy(items, d->items, d->n * sizeof *items);
    d->items = items;
    d->cap = cap;
    if (cap <= DICT_SMALL)
        return 0;
    if (cap > UINT32_MAX / 2)
        return tn_j_exhausted(r, "a dict of more than %zu items", d->n);
    d->nindex = cap * 2;
    d->index = tn_j_alloc(r, d->nindex, sizeof *d->index);
    if (d->index == NULL)
        return r->rc;
    int32_t rc = 0;
    for (size_t i = 0; rc == 0 && i < d->n; i++) {
        size_t at;
        rc = dict_slot(r, d, d->items[i].key, &at);
        if (rc == 0)
            d->index[at] = (uint32_t)i + 1;
    }
    return rc;
}

int32_t tn_j_dict_set(struct jrun *r, struct jdict *d, struct jv key, struct jv val)
{
    struct jv *old;
    int32_t rc = tn_j_dict_get(r, d, key, &old);
    if (rc != 0)
        return rc;
    if (old != NULL) {
        *old = val;
        return 0;
    }
    if (d->n == d->cap)
        rc = dict_grow(r, d);
    if (rc == 0 && d->index != NULL) {
        size_t at;
        rc = dict_slot(r, d, key, &at);
        if (rc == 0)
            d->index[at] = (uint32_t)d->n + 1;
    }
    if (rc == 0)
        d->items[d->n++] = (struct jpair){key, val};
    return rc;
}
