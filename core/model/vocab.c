/* vocab.c - choosing the tokenizer plugin, and the two things made of tokens and text: ids and prompts. It adds no BOS:
 * who makes a request does. The template is compiled at first use, since most commands need none. Contract: vocab.h.
 */
#include "core/model/vocab.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/text/template.h"

/* Where formats keep the chat template, and what kind of vocabulary it is. */
static const char *const template_keys[] = { "tokenizer.chat_template", "tokenizer_config.chat_template" };
static const char *const kind_keys[] = { "tokenizer.ggml.model", "tokenizer_config.tokenizer_class" };

#define IDS_START 256u

struct tn_vocab {
    const struct tn_container *source;
    struct tenon_tokenizer tokenizer; /* of the plugin, copied in */
    void *self;
    const char *plugin;
    struct tenon_tokenizer_object *object;
    struct tenon_tokenizer_info info;
    struct tenon_str template_text; /* {NULL, 0}: none */
    pthread_mutex_t lock;           /* guards `compiled` */
    struct tn_template *compiled;   /* NULL until first used */
};

/* The first of two keys that is there. */
static int32_t string_of(const struct tn_container *src, const char *const keys[2], struct tenon_str *ret)
{
    return tn_container_string(src, keys[0], ret) == TENON_OK ? TENON_OK : tn_container_string(src, keys[1], ret);
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

static int32_t choose_plugin(struct tn_registry *reg, struct tn_vocab *v, struct tenon_err *err)
{
    const struct tenon_meta *meta = tn_container_meta(v->source);
    const struct tn_item *item;
    int32_t best = 0, rc = tn_registry_find(reg, TENON_TOKENIZER_IFACE, NULL, 0, &item, err);
    struct tenon_str kind = { "?", 1 };
    if (rc != TENON_OK)
        return rc;
    for (uint32_t i = 0; tn_registry_find(reg, TENON_TOKENIZER_IFACE, NULL, i, &item, NULL) == TENON_OK; i++) {
        struct tenon_tokenizer t;
        int32_t sure;
        TENON_COPY_IN(&t, item->impl);
        sure = t.match(item->self, meta);
        if (sure <= best)
            continue;
        best = sure;
        v->tokenizer = t;
        v->self = item->self;
        v->plugin = item->name;
    }
    if (best > 0)
        return TENON_OK;
    (void)string_of(v->source, kind_keys, &kind); /* only for the message */
    return tenon_fail(err, TENON_E_NOT_FOUND, tn_container_path(v->source),
                      "no tokenizer plugin for this vocabulary (kind \"%.*s\"): install one that provides it "
                      "(`tenon plugins list` shows what is there)", (int)kind.size, kind.data);
}

int32_t tn_vocab_open(struct tn_registry *reg, const struct tn_container *src, struct tn_vocab **ret, struct tenon_err *err)
{
    struct tn_vocab *v = calloc(1, sizeof *v);
    int32_t rc;
    if (v == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, tn_container_path(src), "out of memory");
    v->source = src;
    v->info.struct_size = sizeof v->info;
    (void)pthread_mutex_init(&v->lock, NULL); /* never fails with default attributes */
    rc = choose_plugin(reg, v, err);
    if (rc == TENON_OK)
        rc = v->tokenizer.open(v->self, tn_container_meta(src), tn_files_table(tn_container_files(src)), &v->object, err);
    if (rc == TENON_OK && v->tokenizer.info(v->object, &v->info) != TENON_OK)
        rc = tenon_fail(err, TENON_E_INTERNAL, v->plugin, "the tokenizer plugin gives no info about its vocabulary");
    if (rc != TENON_OK) {
        tn_vocab_close(v);
        return rc;
    }
    if (string_of(src, template_keys, &v->template_text) != TENON_OK)
        v->template_text = (struct tenon_str){ NULL, 0 };
    *ret = v;
    return TENON_OK;
}

void tn_vocab_close(struct tn_vocab *v)
{
    if (v == NULL)
        return;
    if (v->object != NULL)
        v->tokenizer.close(v->self, v->object);
    tn_template_destroy(v->compiled);
    (void)pthread_mutex_destroy(&v->lock);
    free(v);
}

/* ---- tokens --------------------------------------------------------------------------------------------------- */

const struct tenon_tokenizer_info *tn_vocab_info(const struct tn_vocab *v)
{
    return &v->info;
}

const char *tn_vocab_plugin(const struct tn_vocab *v)
{
    return v->plugin;
}

int32_t tn_vocab_encode(const struct tn_vocab *v, const char *text, uint64_t size, uint32_t flags, int32_t **ret_ids,
                        uint64_t *ret_n, struct tenon_err *err)
{
    uint64_t capacity = size / 3 + IDS_START, n = 0; /* a guess that holds for most text */
    int32_t *ids = NULL;
    int32_t rc = TENON_OK;
    do {
        int32_t *more = capacity < SIZE_MAX / sizeof *ids ? realloc(ids, capacity * sizeof *ids) : NULL;
        if (more == NULL) {
            rc = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, v->plugin, "out of memory for a text of %llu bytes",
                            (unsigned long long)size);
            break;
        }
        ids = more;
        rc = v->tokenizer.encode(v->object, text, size, flags, ids, capacity, &n, err);
        if (rc != TENON_OK || n <= capacity)
            break;
        capacity = n;
    } while (1);
    if (rc != TENON_OK) {
        free(ids);
        return rc;
    }
    *ret_ids = ids;
    *ret_n = n;
    return TENON_OK;
}

int32_t tn_vocab_decode(const struct tn_vocab *v, uint64_t *state, int32_t id, uint32_t flags, struct tn_buf *out,
                        struct tenon_err *err)
{
    uint64_t before = *state, n = 64;
    int32_t rc;
    for (;;) {
        uint64_t room = n;
        if (tn_buf_reserve(out, room) != TENON_OK)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, v->plugin, "out of memory");
        *state = before; /* a call that did not fit changed nothing that counts */
        rc = v->tokenizer.decode(v->object, state, id, flags, out->data + out->len, room, &n, err);
        if (rc != TENON_OK)
            return rc;
        if (n <= room)
            break;
    }
    out->len += n;
    out->data[out->len] = '\0'; /* reserve leaves room for it */
    return TENON_OK;
}

int32_t tn_vocab_piece(const struct tn_vocab *v, int32_t id, struct tenon_str *ret, uint32_t *ret_attributes)
{
    return v->tokenizer.piece(v->object, id, ret, ret_attributes);
}

bool tn_vocab_is_end(const struct tn_vocab *v, int32_t id)
{
    struct tenon_str piece;
    uint32_t attributes = 0;
    if (id == v->info.eos)
        return true;
    return tn_vocab_piece(v, id, &piece, &attributes) == TENON_OK && (attributes & TENON_TOKEN_END) != 0;
}

/* ---- the template --------------------------------------------------------------------------------------------- */

bool tn_vocab_has_template(const struct tn_vocab *v)
{
    return v->template_text.size > 0;
}

struct tenon_str tn_vocab_template(const struct tn_vocab *v)
{
    return v->template_text;
}

static int32_t compiled(struct tn_vocab *v, struct tn_template **ret, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    if (!tn_vocab_has_template(v))
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, tn_container_path(v->source),
                          "the model has no chat template: send it plain text (--raw)");
    pthread_mutex_lock(&v->lock);
    if (v->compiled == NULL)
        rc = tn_template_compile(v->template_text.data, v->template_text.size, &v->compiled, err);
    *ret = v->compiled;
    pthread_mutex_unlock(&v->lock);
    return rc;
}

/* Append `"name":"spelling of id",`. */
static int32_t put_token(const struct tn_vocab *v, const char *name, int32_t id, struct tn_buf *json)
{
    struct tenon_str piece = { "", 0 };
    uint32_t attributes;
    char *text = NULL, *quoted = NULL;
    cJSON *item = NULL;
    int32_t rc = TENON_E_RESOURCE_EXHAUSTED;
    if (id >= 0)
        (void)tn_vocab_piece(v, id, &piece, &attributes); /* an id of no token has an empty name */
    text = strndup(piece.data, piece.size);
    item = text != NULL ? cJSON_CreateString(text) : NULL;
    quoted = item != NULL ? cJSON_PrintUnformatted(item) : NULL;
    if (quoted != NULL)
        rc = tn_buf_printf(json, "\"%s\":%s,", name, quoted);
    cJSON_free(quoted);
    cJSON_Delete(item);
    free(text);
    return rc;
}

/* Append the members of a JSON object, without its braces. They are copied as written: 1 and 1.0 stay apart. */
static int32_t put_members(const char *object, uint64_t size, struct tn_buf *json, struct tenon_err *err)
{
    const char *end = NULL;
    cJSON *parsed = cJSON_ParseWithLengthOpts(object, size, &end, 0);
    int is_object = cJSON_IsObject(parsed), is_empty = is_object && parsed->child == NULL;
    const char *first = memchr(object, '{', size);
    cJSON_Delete(parsed);
    for (const char *p = end; is_object && p < object + size; p++)
        if (memchr(" \t\r\n", *p, 4) == NULL && *p != '\0')
            is_object = 0;
    if (!is_object)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "template", "the variables are no JSON object");
    if (!is_empty && (tn_buf_append(json, first + 1, (size_t)(end - first - 2)) != TENON_OK ||
                      tn_buf_char(json, ',') != TENON_OK))
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "template", "out of memory");
    return TENON_OK;
}

static int32_t render_members(const struct tn_vocab *v, const char *vars, uint64_t size, struct tn_buf *json,
                              struct tn_buf *out, struct tenon_err *err)
{
    struct tn_template *t = NULL;
    int32_t rc = compiled((struct tn_vocab *)v, &t, err); /* the cast: `compiled` is behind a lock */
    if (rc == TENON_OK && vars != NULL)
        rc = put_members(vars, size, json, err);
    if (rc != TENON_OK)
        return rc;
    if (json->data[json->len - 1] == ',')
        json->data[json->len - 1] = '}';
    else if (tn_buf_char(json, '}') != TENON_OK)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "template", "out of memory");
    return tn_template_render_json(t, json->data, json->len, NULL, out, err);
}

/* "{" and the tokens' names; later members of the same name win. */
static int32_t begin_vars(const struct tn_vocab *v, struct tn_buf *json)
{
    int32_t rc = tn_buf_char(json, '{');
    if (rc == TENON_OK)
        rc = put_token(v, "bos_token", v->info.bos, json);
    return rc == TENON_OK ? put_token(v, "eos_token", v->info.eos, json) : rc;
}

int32_t tn_vocab_render(const struct tn_vocab *v, const char *vars, uint64_t size, struct tn_buf *out, struct tenon_err *err)
{
    struct tn_buf json;
    int32_t rc;
    tn_buf_init(&json, 0);
    rc = begin_vars(v, &json);
    rc = rc == TENON_OK ? render_members(v, vars, size, &json, out, err)
                        : tenon_fail(err, rc, "template", "out of memory");
    tn_buf_finish(&json);
    return rc;
}

int32_t tn_vocab_chat(const struct tn_vocab *v, const char *messages, uint64_t size, const char *vars, struct tn_buf *out,
                      struct tenon_err *err)
{
    const char *end = NULL;
    cJSON *parsed = cJSON_ParseWithLengthOpts(messages, size, &end, 0);
    bool is_array = cJSON_IsArray(parsed);
    struct tn_buf json;
    int32_t rc;
    cJSON_Delete(parsed);
    if (!is_array)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "messages", "no JSON array of messages");
    tn_buf_init(&json, 0);
    rc = begin_vars(v, &json);
    if (rc == TENON_OK)
        rc = tn_buf_str(&json, "\"messages\":");
    if (rc == TENON_OK) /* as written, up to the array's end: cJSON cuts a string at a NUL */
        rc = tn_buf_append(&json, messages, (size_t)(end - messages));
    if (rc == TENON_OK)
        rc = tn_buf_str(&json, ",\"add_generation_prompt\":true,");
    rc = rc == TENON_OK ? render_members(v, vars, vars != NULL ? strlen(vars) : 0, &json, out, err)
                        : tenon_fail(err, rc, "messages", "out of memory");
    tn_buf_finish(&json);
    return rc;
}
