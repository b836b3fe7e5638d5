/* decoder_vectors.h - what a model for vectors of texts has besides: how rows become a vector, and how long a text may be.
 *
 *     return tenon_decoder_read_pooling(d, m, err);        at the end of `read` of a family of encoders
 *
 * A part of decoder.h, which says how a family is made of it. Everything is static inline; nothing here is part of the ABI.
 */
#ifndef TENON_DECODER_VECTORS_H
#define TENON_DECODER_VECTORS_H

#include <tenon/decoder_keys.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Beside config.json: one of several switches says how rows become a vector. *ret 0: none does. */
static inline int32_t tenon_decoder_read_pooling_modes(const struct tenon_meta *m, uint32_t *ret, struct tenon_err *err)
{
    static const struct {
        const char *key;
        uint32_t pooling; /* 0: not known here */
    } modes[] = {{"pooling.pooling_mode_cls_token", TENON_POOL_FIRST}, {"pooling.pooling_mode_mean_tokens", TENON_POOL_MEAN},
                 {"pooling.pooling_mode_lasttoken", TENON_POOL_LAST}, {"pooling.pooling_mode_max_tokens", 0},
                 {"pooling.pooling_mode_mean_sqrt_len_tokens", 0}, {"pooling.pooling_mode_weightedmean_tokens", 0}};
    int64_t on = 0;
    uint32_t i;
    int32_t s;
    for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if ((s = tenon_key_flag(m, NULL, modes[i].key, 0, &on, err)) != 0)
            return s;
        if (on != 0 && (modes[i].pooling == 0 || *ret != 0))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, modes[i].key,
                              "key %s is on: only one of the first, the mean and the last is known", modes[i].key);
        *ret = on != 0 ? modes[i].pooling : *ret;
    }
    return TENON_E_OK;
}

/* Beside config.json: the modules that make a vector, of which a last one may divide it by its length. */
static inline int32_t tenon_decoder_read_modules(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128], type[128];
    const char *word;
    uint64_t i;
    int listed;
    int32_t s = tenon_key_list(m, NULL, "modules", name, &e, &listed, err);
    if (s != 0 || !listed)
        return s;
    d->vectors = TENON_VECTORS_RAW;
    for (i = 0; i < e.count; i++) {
        struct tenon_str text = {"", 0};
        if (e.type == TENON_META_STRING)
            (void)m->strings(m->ctx, &e, i, 1, &text); /* else it stays empty, which is no module */
        (void)snprintf(type, sizeof type, "%.*s", (int)(text.size < 127 ? text.size : 127), text.data);
        word = strrchr(type, '.') != NULL ? strrchr(type, '.') + 1 : type;
        if (strcmp(word, "Normalize") == 0)
            d->vectors = TENON_VECTORS_UNIT;
        else if (strcmp(word, "Transformer") != 0 && strcmp(word, "Pooling") != 0)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name,
                              "key %s has '%s': known are Transformer, Pooling and Normalize", name, type);
    }
    return s;
}

/* How many tokens a text may have: as the file for it says, else the tokenizer's, whose number may be absurdly great. */
static inline int32_t tenon_decoder_read_longest(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    const int64_t unsaid = 0;
    const double endless = 1e300;
    int64_t most = 0;
    double tokens = endless;
    int32_t s = tenon_key_i64(m, NULL, "sentence_bert.max_seq_length", 1, 1 << 30, &unsaid, &most, err);
    if (s == 0 && most == unsaid)
        s = tenon_key_f64(m, NULL, "tokenizer_config.model_max_length", 1, 1e300, &endless, &tokens, err);
    most = most != unsaid ? most : tokens < (double)d->context ? (int64_t)tokens : d->context;
    d->context = s == 0 && most < d->context ? most : d->context;
    return s;
}

/* How rows become the vector of a text that the model was trained for, and how long that text may be. */
static inline int32_t tenon_decoder_read_pooling(struct tenon_decoder *d, const struct tenon_meta *m, struct tenon_err *err)
{
    static const uint32_t pooling[] = {0, TENON_POOL_MEAN, TENON_POOL_FIRST, TENON_POOL_LAST}; /* GGUF's numbers */
    const int64_t none = 0;
    int64_t kind = 0;
    int32_t s;
    if (!tenon_meta_is_huggingface(m)) {
        s = tenon_key_i64(m, d->family->arch, "pooling_type", 0, 3, &none, &kind, err);
        d->pooling = s == 0 ? pooling[kind] : 0;
        return s;
    }
    if ((s = tenon_decoder_read_pooling_modes(m, &d->pooling, err)) != 0 || (s = tenon_decoder_read_modules(d, m, err)) != 0)
        return s;
    return tenon_decoder_read_longest(d, m, err);
}

#ifdef __cplusplus
}
#endif
#endif
