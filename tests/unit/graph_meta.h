/* graph_meta.h - metadata made of a table, for tests of model plugins.
 *
 *     struct meta_key keys[] = {{"llama.block_count", TENON_META_U32, .i = 30}, {NULL}};
 *     struct tenon_meta meta = meta_of(keys);                      of Hugging Face where the first key is "config.*"
 */
#ifndef TEST_GRAPH_META_H
#define TEST_GRAPH_META_H

#include <tenon/weights.h>

struct meta_key {
    const char *name; /* NULL ends a table; "" is a key struck out */
    uint32_t type;
    int64_t i;
    double f;
    const char *s;
    uint64_t array; /* elements when it is an array, contents all zero; 0: a single value */
    union {
        uint32_t u32;
        float f32;
        double f64;
        int64_t i64;
    } store;
};

static inline void meta_fill(struct meta_key *k, struct tenon_meta_entry *e)
{
    *e = (struct tenon_meta_entry){.struct_size = sizeof *e, .type = k->type, .key = {k->name, strlen(k->name)},
                                   .is_array = k->array != 0, .count = k->array != 0 ? k->array : 1, .data = &k->store};
    switch (k->type) {
    case TENON_META_F32: k->store.f32 = (float)k->f; break;
    case TENON_META_F64: k->store.f64 = k->f; break;
    case TENON_META_U32: case TENON_META_I32: k->store.u32 = (uint32_t)k->i; break;
    case TENON_META_STRING: e->data = NULL; break;
    default: k->store.i64 = k->i; break;
    }
}

static inline int32_t meta_find(void *ctx, const char *key, struct tenon_meta_entry *ret)
{
    for (struct meta_key *k = ctx; k->name != NULL; k++) {
        if (strcmp(k->name, key) == 0) {
            meta_fill(k, ret);
            ret->index = (uint64_t)(k - (struct meta_key *)ctx);
            return TENON_E_OK;
        }
    }
    return TENON_E_NOT_FOUND;
}

static inline int32_t meta_strings(void *ctx, const struct tenon_meta_entry *e, uint64_t start, uint64_t n, struct tenon_str *out)
{
    const struct meta_key *k = (struct meta_key *)ctx + e->index;
    if (start != 0 || n != 1 || k->s == NULL)
        return TENON_E_OUT_OF_RANGE;
    *out = (struct tenon_str){k->s, strlen(k->s)};
    return TENON_E_OK;
}

static inline struct tenon_meta meta_of(struct meta_key *keys)
{
    struct tenon_meta m = {.struct_size = sizeof m, .ctx = keys, .find = meta_find, .strings = meta_strings};
    m.format = keys[0].name != NULL && strncmp(keys[0].name, "config.", 7) == 0 ? "huggingface" : "gguf";
    while (keys[m.count].name != NULL)
        m.count++;
    return m;
}

#endif
