/* states.c - see states.h. */
#include "core/model/states.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/num.h"

#define CONTEXT_DEFAULT 4096u /* of a model that does not say what it was trained for */
#define CONTEXT_LEAST 256u

static int32_t no_memory(struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "states", "out of memory");
}

static bool is_paged(const struct tenon_state_desc *d)
{
    return d->kind == TENON_STATE_KV_PAGED || d->kind == TENON_STATE_KV_LATENT;
}

/* Add what a token or a sequence takes of this state. */
static bool count_bytes(struct tn_states *s, const struct tenon_state_desc *d, const struct tenon_state_layout *layout)
{
    uint64_t bytes, page = layout->page_tokens != 0 ? layout->page_tokens : 1;
    if (!tn_mul_u64(layout->page_bytes, d->n_layers, &bytes))
        return false;
    if (is_paged(d) && d->window == 0)
        return tn_add_u64(s->token_bytes, bytes / page, &s->token_bytes);
    return (!is_paged(d) || tn_mul_u64(bytes / page, d->window, &bytes)) && tn_add_u64(s->sequence_bytes, bytes, &s->sequence_bytes);
}

static int32_t lay_out_one(struct tn_states *s, uint32_t i, const struct tn_device *device, int32_t kv_encoding,
                           struct tenon_err *err)
{
    const struct tenon_state_desc *d = s->descs[i];
    struct tenon_state_layout *layout = &s->layouts[i];
    int32_t rc;
    layout->struct_size = sizeof *layout;
    rc = device->backend.state_layout(device->device, d, kv_encoding, layout, err);
    if (rc != TENON_OK)
        return rc;
    if (is_paged(d) != (layout->page_tokens != 0) ||
        (layout->page_tokens != 0 && s->page_tokens != 0 && layout->page_tokens != s->page_tokens))
        return tenon_fail(err, TENON_E_INTERNAL, d->name, "device %s answers pages of %u tokens here and of %u elsewhere",
                          device->desc.name, layout->page_tokens, s->page_tokens);
    if (layout->page_tokens != 0)
        s->page_tokens = layout->page_tokens;
    if (!count_bytes(s, d, layout))
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, d->name, "pages are too large");
    s->kv_encodings[i] = kv_encoding;
    s->items[i].desc = d;
    s->items[i].layout = *layout;
    return TENON_OK;
}

int32_t tn_states_lay_out(struct tn_states *ret, const struct tn_declared *declared, const struct tn_device *device,
                          int32_t kv_encoding, struct tenon_err *err)
{
    struct tn_states s = { .n = declared->n_states };
    int32_t rc = TENON_OK;
    s.items = calloc((size_t)s.n + 1, sizeof *s.items);
    s.descs = calloc((size_t)s.n + 1, sizeof *s.descs);
    s.layouts = calloc((size_t)s.n + 1, sizeof *s.layouts);
    s.kv_encodings = calloc((size_t)s.n + 1, sizeof *s.kv_encodings);
    if (s.items == NULL || s.descs == NULL || s.layouts == NULL || s.kv_encodings == NULL)
        rc = no_memory(err);
    for (uint32_t i = 0; rc == TENON_OK && i < s.n; i++) {
        s.descs[i] = &declared->states[i];
        rc = lay_out_one(&s, i, device, kv_encoding, err);
    }
    if (rc == TENON_OK)
        *ret = s;
    else
        tn_states_finish(&s);
    return rc;
}

uint32_t tn_states_context(const struct tn_states *s, uint32_t wanted, uint64_t trained, uint32_t sequences,
                           uint64_t memory_free)
{
    uint64_t context = trained != 0 ? trained : CONTEXT_DEFAULT;
    uint64_t per_position, fixed, rest = memory_free / 2;
    if (wanted != 0)
        return wanted;
    rest -= tn_mul_u64(s->sequence_bytes, sequences, &fixed) && fixed < rest ? fixed : rest;
    if (memory_free != 0 && tn_mul_u64(s->token_bytes, sequences, &per_position) && per_position != 0 &&
        rest / per_position < context)
        context = rest / per_position;
    if (context < CONTEXT_LEAST)
        context = CONTEXT_LEAST;
    if (trained != 0 && context > trained)
        context = trained;
    return context < INT32_MAX ? (uint32_t)context : INT32_MAX;
}

/* Pages or slots of one layer. Behind a window, pages are given back: a sequence holds those of the window and of its tokens in
 * the step, cut at both ends. */
static bool count_pages(const struct tn_model_state *item, uint32_t context, uint32_t sequences, uint32_t step_tokens,
                        uint64_t *ret)
{
    uint64_t page = item->layout.page_tokens, all, windowed, window = item->desc->window;
    if (!is_paged(item->desc)) {
        *ret = (uint64_t)sequences + 1;
        return true;
    }
    if (!tn_mul_u64(((uint64_t)context + page - 1) / page, sequences, &all))
        return false;
    if (window != 0 && tn_mul_u64(window / page + 3, sequences, &windowed) && windowed + step_tokens / page + 1 < all)
        all = windowed + step_tokens / page + 1;
    *ret = all;
    return true;
}

int32_t tn_states_allocate(struct tn_states *s, const struct tn_device *device, uint32_t context, uint32_t sequences,
                           uint32_t step_tokens, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < s->n; i++) {
        struct tn_model_state *item = &s->items[i];
        uint64_t bytes;
        if (!count_pages(item, context, sequences, step_tokens, &item->n_pages) ||
            !tn_mul_u64(item->n_pages, item->layout.page_bytes, &bytes) ||
            !tn_mul_u64(bytes, item->desc->n_layers, &bytes) || !tn_add_u64(s->bytes, bytes, &s->bytes))
            return tenon_fail(err, TENON_E_OUT_OF_RANGE, item->desc->name, "a context of %u is too large", context);
        rc = tn_membuf_create_device(&item->memory, &device->backend, device->device, bytes, err);
    }
    return rc;
}

void tn_states_finish(struct tn_states *s)
{
    for (uint32_t i = 0; s->items != NULL && i < s->n; i++)
        tn_membuf_finish(&s->items[i].memory);
    free(s->items);
    free(s->descs);
    free(s->layouts);
    free(s->kv_encodings);
    memset(s, 0, sizeof *s);
}
