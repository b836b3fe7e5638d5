/* latent.c - core.latent_attention in its absorbed form: queries are multiplied by wk once, then all heads attend to the cached
 * rows themselves, and what they mix is multiplied by wv. A page is turned into floats once for a tile of tokens; each token goes
 * through the pages by ascending position, whatever is beside it. Contract: native.h, formula: tenon/ops.h (MLA,
 * arXiv:2405.04434). */
#include "native.h"

#include <math.h>

enum { Q_NOPE, Q_ROPE, WK, WV, KV, POSITION, SEQ_OF_TOKEN, SEQ_START, CONTEXT_LEN, BLOCK_TABLE };

#define TILE_TOKENS 16 /* that share a page's floats */

struct latent {
    int64_t t, h, d, turned, rank, width, v; /* width: rank + turned */
    float *heads;     /* [H,T,D] q_nope, then [H,T,rank] what is mixed */
    float *q;         /* [T,H,width] */
    float *max, *sum; /* [H,T] */
    void *act;        /* prepared activations of `heads` */
    uint8_t *own;     /* of each thread */
    uint64_t own_bytes;
};

/* What a thread works in. */
struct page {
    float *columns; /* [width,32] as it lies in the cache */
    float *seen;    /* [rank,32] the same with zeros where a token sees nothing */
    float *rows;    /* [32,width] */
    float *scores;  /* [H,32] */
    float *mixed;   /* [H,rank] */
};

static struct page page_in(const struct latent *l, struct cpu_room *room)
{
    struct page p;
    p.columns = cpu_take_floats(room, l->width * CPU_PAGE_TOKENS);
    p.seen = cpu_take_floats(room, l->rank * CPU_PAGE_TOKENS);
    p.rows = cpu_take_floats(room, l->width * CPU_PAGE_TOKENS);
    p.scores = cpu_take_floats(room, l->h * CPU_PAGE_TOKENS);
    p.mixed = cpu_take_floats(room, l->h * l->rank);
    return p;
}

static struct latent sizes(const struct tenon_graph *g, const struct tenon_node *n, int64_t tokens, uint32_t threads,
                           struct cpu_room *room)
{
    const struct tenon_value *nope = tenon_graph_value(g, n->in[Q_NOPE]), *rope = tenon_graph_value(g, n->in[Q_ROPE]);
    struct latent l = { .t = tokens, .h = nope->dims[1].b, .d = nope->dims[2].b, .turned = rope->dims[2].b,
                        .rank = tenon_node_i64(n, "rank", 1), .v = tenon_node_i64(n, "v_dim", 1) };
    struct cpu_room one = { NULL, 0 };
    int64_t rows = l.t * l.h, longest = l.d > l.rank ? l.d : l.rank;
    l.width = l.rank + l.turned;
    (void)page_in(&l, &one);
    l.own_bytes = one.used;
    l.heads = cpu_take_floats(room, rows * longest);
    l.q = cpu_take_floats(room, rows * l.width);
    l.max = cpu_take_floats(room, rows);
    l.sum = cpu_take_floats(room, rows);
    l.act = cpu_take(room, (uint64_t)cpu_act_bytes(rows, longest));
    l.own = cpu_take(room, threads * l.own_bytes);
    return l;
}

static bool latent_fits(const struct tenon_graph *g, const struct tenon_node *n)
{
    return cpu_is_weight(g, n, WK, 3, false) && cpu_is_weight(g, n, WV, 3, false) &&
           tenon_graph_value(g, n->in[Q_NOPE])->dims[1].sym == TENON_SYM_NONE;
}

static uint64_t latent_bytes(const struct tenon_executable *exe, const struct tenon_node *n)
{
    struct cpu_room room = { NULL, 0 };
    (void)sizes(exe->graph, n, exe->bucket.sym[TENON_SYM_T], exe->n_threads, &room);
    return room.used;
}

/* ---- products by wk and wv, head by head: rows of `heads` are by head, then by token */

/* y of head h, whose row t lies ld floats behind that of t - 1, the first at y. */
static void head_product(const struct walker *w, const struct latent *l, const struct cpu_weight *by, const struct cpu_act *a,
                         int64_t h, int64_t n, float *y, int64_t ld)
{
    uintptr_t before = (uintptr_t)(h * l->t * ld + h * n) * sizeof *y; /* the kernels count rows and columns from the stack's first */
    cpu_by_weight(w, by, a, h * l->t, (h + 1) * l->t, h * n, (h + 1) * n, (float *)((uintptr_t)y - before), ld, NULL);
}

/* `heads` [H*T,k], by all threads. */
static struct cpu_act prepare(const struct walker *w, const struct latent *l, const struct cpu_weight *by, int64_t k)
{
    struct cpu_act a = { .x = l->heads, .ldx = k, .K = k, .narrow = w->exe->narrow };
    int64_t r0, r1;
    barrier(w); /* they are made */
    if (!cpu_encoding_at(by->m.format)->quantised)
        return a;
    bind_act(w, &a, l->act, l->h * l->t, k);
    share(w, l->h * l->t, &r0, &r1);
    w->k->quantize(&a, r0, r1);
    barrier(w);
    return a;
}

static void absorb(const struct walker *w, const struct cpu_call *c, const struct latent *l)
{
    const struct cpu_weight *wk = weight(w, c->node->in[WK]);
    int64_t h0, h1, t0, t1;
    share(w, l->t, &t0, &t1);
    for (int64_t t = t0; t < t1; t++)
        for (int64_t h = 0; h < l->h; h++) {
            memcpy(l->heads + (h * l->t + t) * l->d, c->in[Q_NOPE].f + (t * l->h + h) * l->d, (size_t)l->d * sizeof(float));
            memcpy(l->q + (t * l->h + h) * l->width + l->rank, c->in[Q_ROPE].f + (t * l->h + h) * l->turned,
                   (size_t)l->turned * sizeof(float));
        }
    struct cpu_act a = prepare(w, l, wk, l->d);
    share(w, l->h, &h0, &h1);
    for (int64_t h = h0; h < h1; h++)
        head_product(w, l, wk, &a, h, l->rank, l->q + h * l->width, l->h * l->width);
    barrier(w);
}

/* ---- attention */

static void load_page(const struct walker *w, const struct cpu_kv *kv, const struct latent *l, int32_t page, struct page *p)
{
    const void *from = kv->pages + page * kv->page_stride;
    int64_t n = l->width * CPU_PAGE_TOKENS;
    for (int64_t j = 0; kv->type == CPU_KV_Q8 && j < CPU_PAGE_TOKENS; j++)
        w->k->kv_load(kv, (int64_t)page * CPU_PAGE_TOKENS + j, p->rows + j * l->width, NULL);
    if (kv->type == CPU_KV_F16)
        w->k->f16_to_f32(from, n, p->columns);
    else if (kv->type == CPU_KV_BF16)
        w->k->bf16_to_f32(from, n, p->columns);
    else if (kv->type == CPU_KV_F32)
        memcpy(p->columns, from, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < l->width; i++)
        for (int64_t j = 0; j < CPU_PAGE_TOKENS; j++)
            if (kv->type == CPU_KV_Q8)
                p->columns[i * CPU_PAGE_TOKENS + j] = p->rows[j * l->width + i];
            else
                p->rows[j * l->width + i] = p->columns[i * CPU_PAGE_TOKENS + j];
}

/* The latent part of the page, of which the first `seen` keys are visible: the others may hold anything. */
static const float *visible_part(const struct latent *l, const struct page *p, int64_t seen)
{
    if (seen == CPU_PAGE_TOKENS)
        return p->columns;
    for (int64_t i = 0; i < l->rank; i++)
        for (int64_t j = 0; j < CPU_PAGE_TOKENS; j++)
            p->seen[i * CPU_PAGE_TOKENS + j] = j < seen ? p->columns[i * CPU_PAGE_TOKENS + j] : 0.0f;
    return p->seen;
}

static struct cpu_matrix floats(const float *data, int64_t rows, int64_t cols)
{
    return (struct cpu_matrix){ .data = (const uint8_t *)data, .rows = rows, .cols = cols,
                                .row_bytes = cols * (int64_t)sizeof *data, .format = CPU_F32 };
}

/* One head's scores of a page become weights; what it has so far is scaled where the maximum grew. */
static void weigh_row(const struct walker *w, float scale, int64_t seen, float *s, float *max, float *sum, float *y, int64_t rank)
{
    float most = *max, grown;
    w->k->affine(s, scale, 0.0f, seen, s);
    for (int64_t j = 0; j < seen; j++)
        most = s[j] > most ? s[j] : most;
    most = most == -INFINITY ? 0.0f : most; /* nothing but NaN or -inf: they stay what they are */
    grown = *max == -INFINITY ? 0.0f : expf(*max - most);
    w->k->affine(s, 1.0f, -most, seen, s);
    w->k->unary(CPU_EXP, s, seen, s);
    *sum *= grown;
    for (int64_t j = 0; j < seen; j++)
        *sum += s[j];
    for (int64_t j = seen; j < CPU_PAGE_TOKENS; j++)
        s[j] = 0.0f;
    if (grown != 1.0f)
        w->k->affine(y, grown, 0.0f, rank, y);
    *max = most;
}

/* Heads h0..h1 of token t on a page of which it sees the first `seen` keys. */
static void attend_page(const struct walker *w, const struct cpu_call *c, const struct latent *l, const struct page *p,
                        int64_t t, int64_t h0, int64_t h1, int64_t seen)
{
    const struct cpu_matrix keys = floats(p->rows, CPU_PAGE_TOKENS, l->width);
    const struct cpu_matrix latents = floats(visible_part(l, p, seen), l->rank, CPU_PAGE_TOKENS);
    const struct cpu_act q = { .x = l->q + (t * l->h + h0) * l->width, .ldx = l->width, .K = l->width };
    const struct cpu_act weights = { .x = p->scores, .ldx = CPU_PAGE_TOKENS, .K = CPU_PAGE_TOKENS };
    float scale = (float)tenon_node_f64(c->node, "scale", 1);
    w->k->matmul(&keys, &q, 0, h1 - h0, 0, CPU_PAGE_TOKENS, p->scores, CPU_PAGE_TOKENS, NULL, cpu_matmul_scratch(w));
    for (int64_t h = h0; h < h1; h++)
        weigh_row(w, scale, seen, p->scores + (h - h0) * CPU_PAGE_TOKENS, &l->max[h * l->t + t], &l->sum[h * l->t + t],
                  l->heads + (h * l->t + t) * l->rank, l->rank);
    w->k->matmul(&latents, &weights, 0, h1 - h0, 0, l->rank, p->mixed, l->rank, NULL, cpu_matmul_scratch(w));
    for (int64_t h = h0; h < h1; h++) {
        float *y = l->heads + (h * l->t + t) * l->rank;
        w->k->add(y, p->mixed + (h - h0) * l->rank, l->rank, y);
    }
}

/* Keys that token t sees, from the first on. */
static int64_t all_seen(const struct cpu_call *c, int64_t t)
{
    int64_t end = c->in[CONTEXT_LEN].i[c->in[SEQ_OF_TOKEN].i[t]], own = (int64_t)c->in[POSITION].i[t] + 1;
    return tenon_node_i64(c->node, "causal", 1) != 0 && own < end ? own : end;
}

/* Those of page b. */
static int64_t seen_of(const struct cpu_call *c, int64_t t, int64_t b)
{
    int64_t end = all_seen(c, t) - b * CPU_PAGE_TOKENS;
    return end < 0 ? 0 : end > CPU_PAGE_TOKENS ? CPU_PAGE_TOKENS : end;
}

/* Tokens t0..t1, all of one sequence. */
static void attend_run(const struct walker *w, const struct cpu_call *c, const struct latent *l, struct page *p, int64_t t0,
                       int64_t t1, int64_t h0, int64_t h1)
{
    int64_t columns = cpu_dim(&c->in[BLOCK_TABLE], 1);
    const int32_t *table = c->in[BLOCK_TABLE].i + c->in[SEQ_OF_TOKEN].i[t0] * columns;
    for (int64_t h = h0; h < h1; h++)
        for (int64_t t = t0; t < t1; t++) {
            l->max[h * l->t + t] = -INFINITY;
            l->sum[h * l->t + t] = 0.0f;
            memset(l->heads + (h * l->t + t) * l->rank, 0, (size_t)l->rank * sizeof(float));
        }
    for (int64_t b = 0; b < columns; b++) {
        bool loaded = false;
        for (int64_t t = t0; t < t1; t++) {
            int64_t seen = seen_of(c, t, b);
            if (seen == 0 || table[b] < 0)
                continue;
            if (!loaded)
                load_page(w, &c->kv, l, table[b], p);
            loaded = true;
            attend_page(w, c, l, p, t, h0, h1, seen);
        }
    }
    for (int64_t h = h0; h < h1; h++)
        for (int64_t t = t0; t < t1; t++) {
            float *y = l->heads + (h * l->t + t) * l->rank, sum = l->sum[h * l->t + t];
            w->k->affine(y, sum == 0.0f ? 0.0f : 1.0f / sum, 0.0f, l->rank, y);
        }
}

static void attend(const struct walker *w, const struct cpu_call *c, const struct latent *l)
{
    struct cpu_room room = { l->own + w->i * l->own_bytes, 0 };
    struct page p = page_in(l, &room);
    int64_t tiles = (l->t + TILE_TOKENS - 1) / TILE_TOKENS, parts = tiles < 2 * (int64_t)w->n ? w->n : 1, task;
    parts = parts > l->h ? l->h : parts;
    while ((task = next_task(w, tiles * parts)) < tiles * parts) {
        int64_t first = task / parts * TILE_TOKENS, end = first + TILE_TOKENS < l->t ? first + TILE_TOKENS : l->t, part = task % parts;
        for (int64_t t0 = first, t1; t0 < end; t0 = t1) {
            for (t1 = t0 + 1; t1 < end && c->in[SEQ_OF_TOKEN].i[t1] == c->in[SEQ_OF_TOKEN].i[t0]; t1++)
                continue;
            attend_run(w, c, l, &p, t0, t1, l->h * part / parts, l->h * (part + 1) / parts);
        }
    }
}

static void count(const struct walker *w, const struct cpu_call *c, const struct latent *l)
{
    const struct cpu_matrix *wk = matrix(w, c->node->in[WK]), *wv = matrix(w, c->node->in[WV]);
    double key_bytes = (double)cpu_kv_bytes(&c->kv, l->width);
    cpu_profile_matmul(w->time, wk, wk->rows, l->t);
    cpu_profile_matmul(w->time, wv, wv->rows, l->t);
    for (int64_t t = 0; t < l->t; t++) {
        bool last = t + 1 == l->t || c->in[SEQ_OF_TOKEN].i[t + 1] != c->in[SEQ_OF_TOKEN].i[t];
        cpu_profile_keys(w->time, 2.0 * (double)(l->h * (l->width + l->rank)), key_bytes, all_seen(c, t), last);
    }
}

static void latent_run(const struct walker *w, const struct cpu_step *s, const struct cpu_call *c, uint8_t *work)
{
    struct cpu_room room = { work, 0 };
    struct latent l = sizes(w->exe->graph, c->node, cpu_dim(&c->in[Q_NOPE], 0), w->n, &room);
    const struct cpu_weight *wv = weight(w, c->node->in[WV]);
    int64_t h0, h1;
    (void)s;
    if (w->time != NULL)
        count(w, c, &l);
    absorb(w, c, &l);
    attend(w, c, &l);
    struct cpu_act a = prepare(w, &l, wv, l.rank);
    share(w, l.h, &h0, &h1);
    for (int64_t h = h0; h < h1; h++)
        head_product(w, &l, wv, &a, h, l.v, c->out[0].f + h * l.v, l.h * l.v);
}

const struct cpu_native cpu_latent = { TENON_OPN_LATENT_ATTENTION, 1u << WK | 1u << WV, latent_fits, latent_bytes, latent_run };
