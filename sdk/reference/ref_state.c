/* ref_state.c - kv_store, kv_load, slot_load, slot_store: into and out of the states of one layer, in the plain layout of
 * tenon/reference.h. Does not own or size the states, and rounds nothing. Calls that write a state: one thread per state;
 * else any thread. */
#include <tenon/reference.h>

/* y = x, or zeros without x; n elements */
static void put(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x != NULL ? x[i] : 0.0f;
}

void tenon_ref_kv_store(const struct tenon_ref_kv *kv, int64_t t, const float *k, const float *v, const int32_t *slot)
{
    int64_t k_row = kv->k_heads * kv->k_dim, v_row = kv->v_heads * kv->v_dim;
    for (int64_t i = 0; i < t; i++) {
        if (slot[i] < 0 || slot[i] >= kv->pages * kv->page_tokens)
            continue;
        put(kv->k + slot[i] * k_row, k + i * k_row, k_row);
        if (v != NULL)
            put(kv->v + slot[i] * v_row, v + i * v_row, v_row);
    }
}

void tenon_ref_kv_load(const struct tenon_ref_kv *kv, int64_t s, int64_t p, const int32_t *block_table, float *k, float *v)
{
    int64_t k_page = kv->page_tokens * kv->k_heads * kv->k_dim, v_page = kv->page_tokens * kv->v_heads * kv->v_dim;
    for (int64_t i = 0; i < s * p; i++) { /* C = P * page_tokens: pages lie in k and v as the table lists them */
        int64_t page = block_table[i];
        int present = page >= 0 && page < kv->pages;
        put(k + i * k_page, present ? kv->k + page * k_page : NULL, k_page);
        if (v != NULL)
            put(v + i * v_page, present ? kv->v + page * v_page : NULL, v_page);
    }
}

void tenon_ref_slot_load(int64_t n, const float *state, int64_t s, const int32_t *slot, float *y)
{
    for (int64_t i = 0; i < s; i++)
        put(y + i * n, state + slot[i] * n, n);
}

void tenon_ref_slot_store(int64_t n, float *state, int64_t s, const int32_t *slot, const float *x)
{
    for (int64_t i = 0; i < s; i++)
        put(state + slot[i] * n, x + i * n, n);
}
