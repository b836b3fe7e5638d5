/* encoder.c - core.attention without a cache: the step's own keys and values are laid out as pages in scratch, f32, and the
 * kernel that reads a cache reads them there. Each sequence's pages follow those of the one before. Contract: native.h. */
#include "native.h"

enum { Q, KV, K, V, SINK, POSITION, SEQ_OF_TOKEN, SEQ_START, CONTEXT_LEN, BLOCK_TABLE };

#define TILE_TOKENS 16 /* query tokens of a task */

struct pages {
    struct cpu_kv kv;
    int32_t *table;    /* [S, columns] */
    int32_t *place;    /* [T] position in its sequence: the cache's */
    int32_t *len;      /* [S] */
    int64_t columns;   /* pages of the longest sequence there can be */
};

static struct pages pages_of(const struct tenon_node *n, int64_t tokens, int64_t sequences, struct cpu_room *room)
{
    struct pages p = { .kv = { .kv_heads = (int32_t)tenon_node_i64(n, "kv_heads", 1), .k_dim = (int32_t)tenon_node_i64(n, "k_dim", 0),
                               .v_dim = (int32_t)tenon_node_i64(n, "v_dim", 0), .type = CPU_KV_F32 },
                       .columns = (tokens + CPU_PAGE_TOKENS - 1) / CPU_PAGE_TOKENS };
    p.kv.page_stride = (cpu_kv_page_bytes(&p.kv) + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN;
    p.kv.pages = cpu_take(room, (uint64_t)((p.columns + sequences) * p.kv.page_stride));
    p.table = cpu_take(room, (uint64_t)(sequences * p.columns) * sizeof *p.table);
    p.place = cpu_take(room, (uint64_t)tokens * sizeof *p.place);
    p.len = cpu_take(room, (uint64_t)sequences * sizeof *p.len);
    return p;
}

static bool encoder_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    return cpu_operand(n, KV) == TENON_NO_VALUE && cpu_is_weight(g, n, SINK, 1, true) && tenon_node_i64(n, "k_dim", 0) <= 4096 &&
           tenon_node_i64(n, "v_dim", 0) <= 4096;
}

static uint64_t encoder_bytes(const struct tenon_executable *exe, const struct tenon_node *n)
{
    struct cpu_room room = { NULL, 0 };
    (void)pages_of(n, exe->bucket.sym[TENON_SYM_T], exe->bucket.sym[TENON_SYM_S], &room);
    return room.used + CPU_ALIGN * exe->n_threads +
           exe->n_threads * (uint64_t)cpu_attn_scratch_bytes((int32_t)tenon_node_i64(n, "k_dim", 0),
                                                             (int32_t)tenon_node_i64(n, "v_dim", 0));
}

/* Pages of all sequences, and keys and values to them. */
static void lay_out(const struct walker *w, const struct cpu_call *c, const struct pages *p)
{
    const int32_t *start = c->in[SEQ_START].i;
    int64_t page = 0, sequences = c->in[CONTEXT_LEN].n;
    int64_t k_row = (int64_t)p->kv.kv_heads * p->kv.k_dim, v_row = (int64_t)p->kv.kv_heads * p->kv.v_dim;
    for (int64_t s = 0; s < sequences; s++) {
        int64_t n = start[s + 1] - start[s], used = (n + CPU_PAGE_TOKENS - 1) / CPU_PAGE_TOKENS;
        int64_t t0 = n * w->i / w->n, t1 = n * (w->i + 1) / w->n;
        for (int64_t i = 0; w->i == 0 && i < p->columns; i++)
            p->table[s * p->columns + i] = i < used ? (int32_t)(page + i) : -1;
        if (w->i == 0)
            p->len[s] = (int32_t)n;
        for (int64_t t = t0; t < t1; t++) {
            p->place[start[s] + t] = (int32_t)t;
            w->k->kv_store(&p->kv, c->in[K].f + (start[s] + t) * k_row, c->in[V].f + (start[s] + t) * v_row,
                           page * CPU_PAGE_TOKENS + t, 0, p->kv.kv_heads);
        }
        page += used;
    }
    barrier(w);
}

static void encoder_run(const struct walker *w, const struct cpu_step *s, const struct cpu_call *c, uint8_t *work)
{
    struct cpu_room room = { work, 0 };
    int64_t tokens = cpu_dim(&c->in[Q], 0), heads = cpu_dim(&c->in[Q], 1), task;
    struct pages p = pages_of(c->node, tokens, c->in[CONTEXT_LEN].n, &room);
    int64_t each = (cpu_attn_scratch_bytes(p.kv.k_dim, p.kv.v_dim) + CPU_ALIGN - 1) / CPU_ALIGN * CPU_ALIGN;
    int64_t tiles = (tokens + TILE_TOKENS - 1) / TILE_TOKENS, tasks = tiles * p.kv.kv_heads;
    const struct cpu_attn a = {
        .q = c->in[Q].f, .y = c->out[0].f, .ldq = heads * p.kv.k_dim, .ldy = heads * p.kv.v_dim, .kv = &p.kv, .block_table = p.table,
        .table_stride = p.columns, .position = p.place, .seq_of_token = c->in[SEQ_OF_TOKEN].i, .context_len = p.len,
        .sink = c->in[SINK].f, .n_heads = (int32_t)heads, .scale = (float)tenon_node_f64(c->node, "scale", 1),
        .softcap = (float)tenon_node_f64(c->node, "softcap", 0), .window = (int32_t)tenon_node_i64(c->node, "window", 0),
        .causal = tenon_node_i64(c->node, "causal", 1) != 0,
    };
    (void)s;
    lay_out(w, c, &p);
    if (w->time != NULL)
        cpu_profile_attention(w->time, &a, tokens);
    while ((task = next_task(w, tasks)) < tasks) {
        int64_t t0 = task % tiles * TILE_TOKENS, t1 = t0 + TILE_TOKENS < tokens ? t0 + TILE_TOKENS : tokens;
        int32_t g = (int32_t)(task / tiles);
        w->k->attention(&a, t0, t1, g, g + 1, work + room.used + (uint64_t)((int64_t)w->i * each));
    }
}

const struct cpu_native cpu_encoder = { TENON_OPN_ATTENTION, 0, encoder_fits, encoder_bytes, encoder_run };
