/* nf4.c - what bitsandbytes says of a weight of 4 bits in its quant_state, a text of JSON that is a tensor: its shape, its
 * blocks, and where its scales are quantised themselves, a number to be added to them. That number goes to the decoder as a
 * plane: 32 bytes of the text that end with it (plugins/quantizers/checkpoints/nf4.c). The only tensors that this plugin reads.
 * Runs once in open. Contract: safetensors.h. */
#include "safetensors.h"

#define BLOCK 64
#define NESTED_BLOCK 256
#define TEXT_BYTES 32u

/* Where the number behind the last `key` ends in text [size]; 0: nowhere. */
static uint64_t end_of_number(const char *text, uint64_t size, const char *key)
{
    const char *at = memmem(text, size, key, strlen(key));
    uint64_t i = at != NULL ? (uint64_t)(at - text) + strlen(key) : size;
    while (i < size && (text[i] == ' ' || text[i] == ':'))
        i++;
    while (i < size && text[i] != 0 && strchr("+-.0123456789eE", text[i]) != NULL)
        i++;
    return at != NULL ? i : 0;
}

static bool is_number(const cJSON *state, const char *key, double want)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(state, key);
    return cJSON_IsNumber(item) && item->valuedouble == want;
}

static bool read_shape(const cJSON *state, struct tenon_tensor *ret)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(state, "shape");
    ret->n_dims = 2;
    return cJSON_IsArray(shape) && cJSON_GetArraySize(shape) == 2 && st_json_u64(shape->child, &ret->dims[0]) &&
           st_json_u64(shape->child->next, &ret->dims[1]);
}

static bool is_type(const struct st_tensors *t, uint32_t i, const char *encoding)
{
    return strcmp(t->items[i].encoding, encoding) == 0;
}

static void add_plane(struct tenon_tensor *ret, const struct st_tensors *t, uint32_t i)
{
    ret->planes[ret->n_planes++] = t->items[i].planes[0];
}

/* Planes of scales that are numbers of 8 bits; text: of the state. */
static bool add_nested(const struct st_tensors *t, const struct st_nf4 *w, const cJSON *state, const char *text,
                       struct tenon_tensor *ret)
{
    struct tenon_range range = t->items[w->state].planes[0];
    const uint64_t end = end_of_number(text, range.size, "\"nested_offset\"");
    if (!is_number(state, "nested_blocksize", NESTED_BLOCK) || end < TEXT_BYTES || !is_type(t, w->absmax, "u8/1") ||
        !is_type(t, w->nested_absmax, "f32/1") || !is_type(t, w->nested_map, "f32/1"))
        return false;
    range.offset += end - TEXT_BYTES;
    range.size = TEXT_BYTES;
    ret->encoding = "bnb.nf4_nested/1";
    add_plane(ret, t, w->nested_absmax);
    add_plane(ret, t, w->nested_map);
    ret->planes[ret->n_planes++] = range;
    return true;
}

int32_t st_nf4_join(const struct st_tensors *t, const struct st_nf4 *w, struct tenon_tensor *ret, struct tenon_err *err)
{
    const struct tenon_tensor *tensor = &t->items[w->state];
    const char *text = (const char *)t->files[tensor->planes[0].file] + tensor->planes[0].offset;
    cJSON *state = NULL;
    const int32_t rc = st_json_parse("quant_state", text, tensor->planes[0].size, ST_STATE_MAX, &state, err);
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(state, "quant_type");
    *ret = (struct tenon_tensor){.struct_size = sizeof *ret, .encoding = "bnb.nf4/1"};
    add_plane(ret, t, w->first);
    add_plane(ret, t, w->absmax);
    const bool fits = rc == TENON_OK && cJSON_IsString(type) && strcmp(type->valuestring, "nf4") == 0 && read_shape(state, ret) &&
                      is_number(state, "blocksize", BLOCK) &&
                      (w->nested ? add_nested(t, w, state, text, ret) : is_type(t, w->absmax, "f32/1"));
    cJSON_Delete(state);
    if (fits)
        return TENON_OK;
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\" does not say by JSON that its weight is nf4 in blocks of %d, "
                      "of which shape, and with which scales: the file is damaged or of another version of bitsandbytes",
                      WEIGHTS_SHOW(tensor->name), BLOCK);
}
