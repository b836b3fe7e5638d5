/* ids.c - the tokens with a meaning: tokenizer_config.json names them, else special_tokens_map.json, else config.json has their
 * ids; what a post_processor puts around a text counts where none of them says otherwise. One thread. Contract: tokenizer.h. */
#include "tokenizer.h"

bool js_map_file(const struct tenon_files *files, const char *name, struct tenon_str *ret)
{
    const void *data = NULL;
    uint64_t size = 0;
    uint32_t id;
    if (files == NULL || files->map(files->ctx, name, &id, &data, &size, NULL) != 0)
        return false;
    *ret = (struct tenon_str){data, size};
    return true;
}

/* ---- by name --------------------------------------------------------------------------------------------------- */

static struct tenon_str config_text(const struct tenon_meta *meta, const char *role, const char *tail)
{
    struct tenon_str text = {"", 0};
    char key[96];
    (void)snprintf(key, sizeof key, "tokenizer_config.%s_token%s", role, tail); /* fits */
    (void)tok_meta_string(meta, key, &text, NULL); /* null, or an object: no text */
    return text;
}

/* special_tokens_map.json: a text, or an object with its content. */
static struct tenon_str map_text(struct tenon_tokenizer_object *tok, const struct js_object *map, const struct js *j,
                                 const char *role)
{
    struct js part;
    struct js_object o;
    struct tenon_str text = {"", 0};
    char key[32];
    (void)snprintf(key, sizeof key, "%s_token", role); /* fits */
    (void)tok;
    if (!js_find(j, map, key, &part))
        return text;
    if (js_kind(&part) == '"')
        return js_string(&part);
    js_object(&part, &o);
    return part.status == 0 ? js_get_string(&part, &o, "content") : text;
}

/* A number, or the first of several: the keys of config.json and generation_config.json. */
static int32_t number_at(const struct tok_vocab *v, const struct tenon_meta *meta, const char *key, uint64_t i)
{
    struct tenon_meta_entry entry = {.struct_size = sizeof entry};
    int64_t id = -1;
    if (meta->find(meta->ctx, key, &entry) != 0 || tenon_meta_i64(&entry, i, &id) != 0)
        return -1;
    return id >= 0 && id < (int64_t)v->n ? (int32_t)id : -1;
}

static int32_t by_number(const struct tok_vocab *v, const struct tenon_meta *meta, const char *role)
{
    char key[64];
    int32_t id;
    (void)snprintf(key, sizeof key, "generation_config.%s_token_id", role); /* fits */
    id = number_at(v, meta, key, 0);
    (void)snprintf(key, sizeof key, "config.%s_token_id", role);
    return id >= 0 ? id : number_at(v, meta, key, 0);
}

/* ---- ends ------------------------------------------------------------------------------------------------------- */

static int32_t find_token(const void *tok, const char *text, size_t size)
{
    return js_token_id(tok, (struct tenon_str){text, size});
}

static void mark_ends(struct tenon_tokenizer_object *tok, const struct tenon_meta *meta)
{
    static const char *const keys[] = {"generation_config.eos_token_id", "config.eos_token_id"};
    struct tok_vocab *v = &tok->model.bpe.vocab;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        struct tenon_meta_entry entry = {.struct_size = sizeof entry};
        if (meta->find(meta->ctx, keys[k], &entry) != 0)
            continue;
        for (uint64_t i = 0; i < entry.count && i < v->n; i++) {
            int32_t id = number_at(v, meta, keys[k], i);
            if (id >= 0)
                v->attributes[id] |= TENON_TOKEN_END;
        }
    }
    if (v->eos >= 0)
        v->attributes[v->eos] |= TENON_TOKEN_END;
    tok_vocab_mark_ends(v, find_token, tok);
}

/* ---- all together ------------------------------------------------------------------------------------------------ */

static int32_t flag(const struct tenon_meta *meta, const char *key)
{
    int64_t value = -1;
    (void)tok_meta_number(meta, key, &value, NULL); /* null, or something else: it does not say */
    return value < 0 ? -1 : value != 0;
}

int32_t js_read_ids(struct tenon_tokenizer_object *tok, const struct tenon_meta *meta, const struct tenon_files *files,
                    struct tenon_err *err)
{
    static const char *const roles[] = {"bos", "eos", "unk", "pad"};
    struct tok_vocab *v = &tok->model.bpe.vocab;
    int32_t *ids[] = {&v->bos, &v->eos, &v->unk, &v->pad}, unk = v->unk;
    struct js j = {.name = "special_tokens_map.json", .arena = &tok->arena, .err = err};
    struct js_object map = {.n = 0};
    struct tenon_str file;
    if (js_map_file(files, j.name, &file) && file.size > 0) {
        js_start(&j, file.data, (size_t)file.size);
        js_object(&j, &map);
        if (j.status != 0)
            return j.status;
    }
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        struct tenon_str text = config_text(meta, roles[i], "");
        if (text.size == 0)
            text = config_text(meta, roles[i], ".content");
        if (text.size == 0)
            text = map_text(tok, &map, &j, roles[i]);
        *ids[i] = text.size > 0 ? js_token_id(tok, text) : -1;
        if (*ids[i] < 0)
            *ids[i] = by_number(v, meta, roles[i]);
    }
    v->unk = unk >= 0 ? unk : -1; /* the model's own alone: it is what text becomes */
    v->add_bos = flag(meta, "tokenizer_config.add_bos_token");
    v->add_eos = flag(meta, "tokenizer_config.add_eos_token");
    if (v->add_bos < 0 && tok->around.before >= 0 && (uint32_t)tok->around.before < v->n)
        v->bos = tok->around.before;
    if (v->add_eos < 0 && tok->around.after >= 0 && (uint32_t)tok->around.after < v->n)
        v->eos = tok->around.after;
    v->add_bos = v->bos >= 0 && (v->add_bos < 0 ? tok->around.before >= 0 : v->add_bos);
    v->add_eos = v->eos >= 0 && (v->add_eos < 0 ? tok->around.after >= 0 : v->add_eos);
    mark_ends(tok, meta);
    return 0;
}
