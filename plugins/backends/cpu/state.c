/* state.c - paged keys and values on the CPU: layout, copying, and the canonical order for export and import. What lies inside
 * a page is kernels.h's affair. The host owns the pages and tells which ones. */
#include "device.h"

/* By TENON_KV_*. */
static const struct { bool known; enum cpu_kv_type type; } kv_types[] = {
    [TENON_KV_F16] = { true, CPU_KV_F16 }, [TENON_KV_F32] = { true, CPU_KV_F32 }, [TENON_KV_BF16] = { true, CPU_KV_BF16 },
    [TENON_KV_Q8] = { true, CPU_KV_Q8 },
};

static bool is_known(int32_t kv_encoding)
{
    return kv_encoding >= 0 && (size_t)kv_encoding < sizeof kv_types / sizeof *kv_types && kv_types[kv_encoding].known;
}

void cpu_state_kv(const struct tenon_state_desc *desc, int32_t kv_encoding, struct cpu_kv *ret)
{
    *ret = (struct cpu_kv){
        .kv_heads = (int32_t)desc->k_heads,
        .k_dim = (int32_t)desc->k_dim,
        .v_dim = (int32_t)desc->v_dim,
        .type = is_known(kv_encoding) ? kv_types[kv_encoding].type : CPU_KV_F16, /* of slots, say */
    };
    ret->page_stride = (cpu_kv_page_bytes(ret) + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN;
}

/* Slots lie one behind the other, as they are: floats. */
static int32_t slot_layout(const struct tenon_state_desc *state, struct tenon_state_layout *ret, struct tenon_err *err)
{
    if (state->slot_bytes == 0 || state->slot_bytes % sizeof(float) != 0 || state->slot_bytes > UINT32_MAX)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, state->name, "a slot of %llu bytes",
                          (unsigned long long)state->slot_bytes);
    *ret = (struct tenon_state_layout){ .struct_size = sizeof *ret, .page_bytes = state->slot_bytes, .align = CPU_ALIGN };
    return 0;
}

/* A latent cache has one head and no V. */
static bool is_cache(const struct tenon_state_desc *d)
{
    bool latent = d->kind == TENON_STATE_KV_LATENT, has_v = d->v_heads == d->k_heads && d->v_dim > 0 && d->v_dim <= 4096;
    return d->k_heads > 0 && d->k_heads <= 4096 && d->k_dim > 0 && d->k_dim <= 4096 && (latent ? d->v_dim == 0 : has_v);
}

int32_t cpu_state_layout(struct tenon_device *dev, const struct tenon_state_desc *state, int32_t kv_encoding,
                         struct tenon_state_layout *ret, struct tenon_err *err)
{
    struct cpu_kv kv;
    (void)dev;
    if (state->kind == TENON_STATE_RECURRENT || state->kind == TENON_STATE_CONV)
        return slot_layout(state, ret, err);
    if (state->kind != TENON_STATE_KV_PAGED && state->kind != TENON_STATE_KV_LATENT)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, state->name, "the CPU backend has no states of kind %d yet",
                          (int)state->kind);
    if (!is_known(kv_encoding))
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, state->name,
                          "the CPU backend keeps K and V in f16, f32, bf16 or q8 only: use --kv f16");
    if (!is_cache(state))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, state->name, "%u K heads of %u and %u V heads of %u make no cache",
                          state->k_heads, state->k_dim, state->v_heads, state->v_dim);
    if (kv_encoding == TENON_KV_Q8 && (state->k_dim % CPU_KV_BLOCK != 0 || state->v_dim % CPU_KV_BLOCK != 0))
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, state->name, "K heads of %u and V heads of %u have no whole blocks of %d for q8: use --kv f16",
                          state->k_dim, state->v_dim, CPU_KV_BLOCK);
    cpu_state_kv(state, kv_encoding, &kv);
    *ret = (struct tenon_state_layout){
        .struct_size = sizeof *ret,
        .page_tokens = CPU_PAGE_TOKENS,
        .page_bytes = (uint64_t)kv.page_stride,
        .canonical_token_bytes = (uint64_t)cpu_kv_bytes(&kv, (int64_t)kv.kv_heads * (kv.k_dim + kv.v_dim)),
        .align = CPU_ALIGN,
    };
    return 0;
}

/* The page's address in layer instance l, NULL when it is none. */
static uint8_t *page_at(const struct tenon_state_layout *layout, const struct tenon_state_binding *state, uint32_t l,
                        uint64_t page)
{
    uint8_t *base = cpu_span_data(&state->span);
    if (base == NULL || page >= state->n_pages)
        return NULL;
    return base + (l * state->n_pages + page) * layout->page_bytes;
}

static int32_t bad_page(const struct tenon_state_desc *desc, uint64_t page, const struct tenon_state_binding *state,
                        struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_OUT_OF_RANGE, desc->name, "page %llu of %llu", (unsigned long long)page,
                      (unsigned long long)state->n_pages);
}

int32_t cpu_copy_pages(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                       const struct tenon_state_binding *state, const uint64_t *from, const uint64_t *to, uint64_t n,
                       struct tenon_err *err)
{
    (void)dev;
    for (uint64_t i = 0; i < n; i++) {
        for (uint32_t l = 0; l < desc->n_layers; l++) {
            const uint8_t *src = page_at(layout, state, l, from[i]);
            uint8_t *dst = page_at(layout, state, l, to[i]);
            if (src == NULL || dst == NULL)
                return bad_page(desc, src == NULL ? from[i] : to[i], state, err);
            memmove(dst, src, layout->page_bytes);
        }
    }
    return 0;
}

/* One page or slot to or from its canonical bytes. */
static void exchange(const struct cpu_kv *kv, const struct tenon_state_layout *layout, uint8_t *buf, bool import)
{
    if (layout->page_tokens == 0)
        memcpy(import ? kv->pages : buf, import ? buf : kv->pages, layout->page_bytes);
    else if (import)
        cpu_kv_import(kv, 0, buf);
    else
        cpu_kv_export(kv, 0, buf);
}

/* Walk n pages of all layers in canonical order; `import` says which way the bytes go. */
static int32_t transfer(const struct tenon_state_desc *desc, const struct tenon_state_layout *layout, int32_t kv_encoding,
                        const struct tenon_state_binding *state, const uint64_t *pages, uint64_t n, uint8_t *buf, uint64_t buf_bytes,
                        bool import, struct tenon_err *err)
{
    struct cpu_kv kv;
    uint64_t one = layout->page_tokens != 0 ? layout->canonical_token_bytes * layout->page_tokens : layout->page_bytes; /* of one layer */
    cpu_state_kv(desc, kv_encoding, &kv);
    if (one == 0 || desc->n_layers == 0 || n > UINT64_MAX / one / desc->n_layers || buf_bytes != one * desc->n_layers * n)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, desc->name, "%llu bytes are not %llu pages of %u layers",
                          (unsigned long long)buf_bytes, (unsigned long long)n, desc->n_layers);
    for (uint32_t l = 0; l < desc->n_layers; l++) {
        for (uint64_t i = 0; i < n; i++, buf += one) {
            kv.pages = page_at(layout, state, l, pages[i]);
            if (kv.pages == NULL)
                return bad_page(desc, pages[i], state, err);
            exchange(&kv, layout, buf, import);
        }
    }
    return 0;
}

int32_t cpu_export_pages(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                         int32_t kv_encoding, const struct tenon_state_binding *state, const uint64_t *pages, uint64_t n, void *buf,
                         uint64_t buf_bytes, struct tenon_err *err)
{
    (void)dev;
    return transfer(desc, layout, kv_encoding, state, pages, n, buf, buf_bytes, false, err);
}

int32_t cpu_import_pages(struct tenon_device *dev, const struct tenon_state_desc *desc, const struct tenon_state_layout *layout,
                         int32_t kv_encoding, const struct tenon_state_binding *state, const uint64_t *pages, uint64_t n,
                         const void *buf, uint64_t buf_bytes, struct tenon_err *err)
{
    (void)dev;
    return transfer(desc, layout, kv_encoding, state, pages, n, (uint8_t *)(uintptr_t)buf, buf_bytes, true, err);
}
