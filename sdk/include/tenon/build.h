/* build.h - small helpers for model plugins: read metadata keys with their checks, and write nodes in one line each.
 *
 *     status = tenon_key_i64(meta, "llama", "block_count", 1, 4096, NULL, &n_layers, err);      names the key when it is bad
 *     q = tenon_matmul(b, "attn_q", x, b->weight(b->ctx, "layers.{i}.attn_q"), TENON_NO_VALUE);
 *     q = tenon_reshape3(b, "q_heads", q, tenon_dim_of(TENON_SYM_T), tenon_dim_n(9), tenon_dim_n(64));
 *
 * Everything is static inline over the tables of graph.h and weights.h; nothing here is part of the ABI. Link with libm.
 */
#ifndef TENON_BUILD_H
#define TENON_BUILD_H

#include <math.h>

#include <tenon/graph.h>
#include <tenon/model.h>
#include <tenon/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- metadata keys ------------------------------------------------------------------------------------------ */

/* "llama" + "block_count" -> "llama.block_count"; prefix NULL or "": the key as it is. Cut when too long. */
static inline const char *tenon_key_name(const char *prefix, const char *key, char buf[128])
{
    (void)snprintf(buf, 128, "%s%s%s", prefix != NULL ? prefix : "", prefix != NULL && prefix[0] != '\0' ? "." : "", key);
    return buf;
}

/* Is the key there? Its full name goes to name, for messages. */
static inline int tenon_key_find(const struct tenon_meta *meta, const char *prefix, const char *key, char name[128],
                                 struct tenon_meta_entry *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->struct_size = (uint32_t)sizeof *ret;
    return meta->find(meta->ctx, tenon_key_name(prefix, key, name), ret) == TENON_E_OK;
}

static inline int32_t tenon_key_missing(const char *name, struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is missing: the file's metadata is incomplete", name);
}

/* An integer within [least, most]. absent: value when the key is missing, NULL: it must be there. */
static inline int32_t tenon_key_i64(const struct tenon_meta *meta, const char *prefix, const char *key, int64_t least, int64_t most,
                                    const int64_t *absent, int64_t *ret, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    int64_t v;
    if (!tenon_key_find(meta, prefix, key, name, &e)) {
        if (absent == NULL)
            return tenon_key_missing(name, err);
        *ret = *absent;
        return TENON_E_OK;
    }
    if (e.is_array != 0 || tenon_meta_i64(&e, 0, &v) != TENON_E_OK)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must be one integer%s", name,
                          e.is_array != 0 ? ", but is an array (a value per layer is not supported)" : "");
    if (v < least || v > most)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is %lld, but must be within %lld .. %lld", name, (long long)v,
                          (long long)least, (long long)most);
    *ret = v;
    return TENON_E_OK;
}

/* A finite float within [least, most]. */
static inline int32_t tenon_key_f64(const struct tenon_meta *meta, const char *prefix, const char *key, double least, double most,
                                    const double *absent, double *ret, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    char name[128];
    double v;
    if (!tenon_key_find(meta, prefix, key, name, &e)) {
        if (absent == NULL)
            return tenon_key_missing(name, err);
        *ret = *absent;
        return TENON_E_OK;
    }
    if (e.is_array != 0 || tenon_meta_f64(&e, 0, &v) != TENON_E_OK)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must be one number", name);
    if (!(v >= least && v <= most)) /* a NaN is refused too */
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is %g, but must be within %g .. %g", name, v, least, most);
    *ret = v;
    return TENON_E_OK;
}

/* A string, cut to `size` with its NUL; `absent` when the key is missing. OWN: caller's buf. */
static inline int32_t tenon_key_str(const struct tenon_meta *meta, const char *prefix, const char *key, const char *absent, char *buf,
                                    uint64_t size, struct tenon_err *err)
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    char name[128];
    uint64_t n;
    s.data = NULL;
    s.size = 0;
    if (!tenon_key_find(meta, prefix, key, name, &e)) {
        (void)snprintf(buf, (size_t)size, "%s", absent);
        return TENON_E_OK;
    }
    if (e.is_array != 0 || e.type != TENON_META_STRING || meta->strings(meta->ctx, &e, 0, 1, &s) != TENON_E_OK)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s must be one string", name);
    n = s.size < size - 1 ? s.size : size - 1;
    if (n > 0)
        memcpy(buf, s.data, (size_t)n);
    buf[n] = '\0';
    return TENON_E_OK;
}

/* Elements of an array; 0 when the key is missing or no array. */
static inline uint64_t tenon_key_count(const struct tenon_meta *meta, const char *key)
{
    struct tenon_meta_entry e;
    char name[128];
    return tenon_key_find(meta, NULL, key, name, &e) && e.is_array != 0 ? e.count : 0;
}

/* ---- weights ------------------------------------------------------------------------------------------------ */

/* A weight as a row of a family's table; dims are places in an array of sizes that the config fills. */
struct tenon_weight_row {
    const char *name, *gguf; /* logical, and in GGUF; `{i}` is the layer */
    int32_t role;            /* TENON_ROLE_* */
    uint32_t flags, rank;    /* TENON_WEIGHT_* */
    uint32_t dims[3];        /* [rank] */
    int32_t shard_axis;      /* -1: replicated */
    const char *tied_to;     /* or NULL */
};

/* The declarations of rows [n] into weights [n] and sources [n], which must stay where they are. */
static inline void tenon_declare_weights(const struct tenon_weight_row *rows, uint32_t n, const int64_t *sizes, int64_t n_layers,
                                         struct tenon_weight_desc *weights, struct tenon_weight_source *sources)
{
    uint32_t i, d;
    memset(weights, 0, n * sizeof *weights);
    memset(sources, 0, n * sizeof *sources);
    for (i = 0; i < n; i++) {
        struct tenon_weight_desc *w = &weights[i];
        sources[i].struct_size = (uint32_t)sizeof sources[i];
        sources[i].format = "gguf";
        sources[i].name = rows[i].gguf;
        sources[i].parts = 1;
        w->struct_size = (uint32_t)sizeof *w;
        w->role = rows[i].role;
        w->name = rows[i].name;
        w->flags = rows[i].flags;
        w->rank = rows[i].rank;
        for (d = 0; d < w->rank; d++)
            w->dims[d] = (uint64_t)sizes[rows[i].dims[d]];
        w->shard_axis = rows[i].shard_axis;
        w->n_sources = 1;
        w->tied_to = rows[i].tied_to;
        w->sources = &sources[i];
        w->source_stride = (uint32_t)sizeof sources[i];
        w->n_layers = (w->flags & TENON_WEIGHT_LAYERED) != 0 ? (uint32_t)n_layers : 0;
    }
}

/* ---- dims and attributes ------------------------------------------------------------------------------------ */

static inline struct tenon_dim tenon_dim_n(int64_t n)
{
    struct tenon_dim d;
    d.a = 0, d.b = n, d.sym = TENON_SYM_NONE, d.reserved = 0;
    return d;
}
/* times * symbol */
static inline struct tenon_dim tenon_dim_times(int64_t times, int32_t sym)
{
    struct tenon_dim d;
    d.a = times, d.b = 0, d.sym = sym, d.reserved = 0;
    return d;
}
static inline struct tenon_dim tenon_dim_of(int32_t sym) { return tenon_dim_times(1, sym); }

static inline struct tenon_attr tenon_attr_of(const char *name, int32_t type)
{
    struct tenon_attr a;
    memset(&a, 0, sizeof a);
    a.struct_size = (uint32_t)sizeof a;
    a.type = type;
    a.name = name;
    return a;
}
static inline struct tenon_attr tenon_attr_i(const char *name, int64_t i)
{
    struct tenon_attr a = tenon_attr_of(name, TENON_ATTR_I64);
    a.i = i;
    return a;
}
static inline struct tenon_attr tenon_attr_f(const char *name, double f)
{
    struct tenon_attr a = tenon_attr_of(name, TENON_ATTR_F64);
    a.f = f;
    return a;
}
static inline struct tenon_attr tenon_attr_s(const char *name, const char *s)
{
    struct tenon_attr a = tenon_attr_of(name, TENON_ATTR_STR);
    a.s = s;
    return a;
}
static inline struct tenon_attr tenon_attr_d(const char *name, const struct tenon_dim *dims, uint32_t n)
{
    struct tenon_attr a = tenon_attr_of(name, TENON_ATTR_DIMS);
    a.dims = dims;
    a.n = n;
    return a;
}
static inline struct tenon_attr tenon_attr_l(const char *name, const int64_t *list, uint32_t n)
{
    struct tenon_attr a = tenon_attr_of(name, TENON_ATTR_I64S);
    a.list = list;
    a.n = n;
    return a;
}

/* ---- nodes -------------------------------------------------------------------------------------------------- */

/* Any op with one output, operands as a list. Returns the output, TENON_NO_VALUE after an error (it sticks in b). */
static inline uint32_t tenon_node1(const struct tenon_builder *b, const char *op, const char *name, const uint32_t *in, uint32_t n_in,
                                   const struct tenon_attr *attrs, uint32_t n_attrs)
{
    uint32_t out = TENON_NO_VALUE;
    (void)b->node(b->ctx, op, name, in, n_in, attrs, n_attrs, &out, 1); /* the error sticks in b */
    return out;
}

static inline uint32_t tenon_op1(const struct tenon_builder *b, const char *op, const char *name, uint32_t x)
{
    return tenon_node1(b, op, name, &x, 1, NULL, 0);
}

static inline uint32_t tenon_op2(const struct tenon_builder *b, const char *op, const char *name, uint32_t x, uint32_t y)
{
    uint32_t in[2];
    in[0] = x, in[1] = y;
    return tenon_node1(b, op, name, in, 2, NULL, 0);
}

/* bias may be TENON_NO_VALUE. */
static inline uint32_t tenon_matmul(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t w, uint32_t bias)
{
    uint32_t in[3];
    in[0] = x, in[1] = w, in[2] = bias;
    return tenon_node1(b, "core.matmul/1", name, in, 3, NULL, 0);
}

static inline uint32_t tenon_rms_norm(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t w, double eps)
{
    struct tenon_attr a = tenon_attr_f("eps", eps);
    uint32_t in[2];
    in[0] = x, in[1] = w;
    return tenon_node1(b, "core.rms_norm/1", name, in, 2, &a, 1);
}

static inline uint32_t tenon_reshape(const struct tenon_builder *b, const char *name, uint32_t x, const struct tenon_dim *dims,
                                     uint32_t rank)
{
    struct tenon_attr a = tenon_attr_d("shape", dims, rank);
    return tenon_node1(b, "core.reshape/1", name, &x, 1, &a, 1);
}

static inline uint32_t tenon_reshape2(const struct tenon_builder *b, const char *name, uint32_t x, struct tenon_dim d0, struct tenon_dim d1)
{
    struct tenon_dim d[2];
    d[0] = d0, d[1] = d1;
    return tenon_reshape(b, name, x, d, 2);
}

static inline uint32_t tenon_reshape3(const struct tenon_builder *b, const char *name, uint32_t x, struct tenon_dim d0,
                                      struct tenon_dim d1, struct tenon_dim d2)
{
    struct tenon_dim d[3];
    d[0] = d0, d[1] = d1, d[2] = d2;
    return tenon_reshape(b, name, x, d, 3);
}

static inline uint32_t tenon_unary(const struct tenon_builder *b, const char *name, const char *kind, uint32_t x)
{
    struct tenon_attr a = tenon_attr_s("kind", kind);
    return tenon_node1(b, "core.unary/1", name, &x, 1, &a, 1);
}

static inline uint32_t tenon_affine(const struct tenon_builder *b, const char *name, uint32_t x, double scale, double shift)
{
    struct tenon_attr a[2];
    a[0] = tenon_attr_f("scale", scale);
    a[1] = tenon_attr_f("shift", shift);
    return tenon_node1(b, "core.affine/1", name, &x, 1, a, 2);
}

/* A step input of the table in graph.h, by name. */
static inline uint32_t tenon_input(const struct tenon_builder *b, const char *name)
{
    return b->input(b->ctx, name, TENON_DTYPE_I32, NULL, 0);
}

/* Rotary positions as a family's keys give them. */
struct tenon_rope_params {
    int64_t n_rot, original_context; /* elements of a head that turn; YaRN: trained context before stretching */
    double base, scale;              /* positions are multiplied by scale */
    double ext_factor, attn_factor;  /* YaRN: 1 when on; factor on the turned pairs */
    const char *layout;              /* "interleaved" or "half" */
};

/* Read PREFIX.rope.freq_base and PREFIX.rope.scaling.*: none, linear, yarn; llama3's factors come as a weight. n_rot and
 * layout are the caller's. */
static inline int32_t tenon_key_rope(const struct tenon_meta *meta, const char *prefix, struct tenon_rope_params *ret,
                                     struct tenon_err *err)
{
    const double base = 10000.0, one = 1.0;
    char type[32], name[128];
    double factor = 1.0, attn = 1.0;
    int32_t s;

    ret->scale = ret->attn_factor = 1.0;
    ret->ext_factor = 0.0;
    ret->original_context = 0;
    if ((s = tenon_key_f64(meta, prefix, "rope.freq_base", 1e-3, 1e12, &base, &ret->base, err)) != TENON_E_OK ||
        (s = tenon_key_str(meta, prefix, "rope.scaling.type", "none", type, sizeof type, err)) != TENON_E_OK ||
        strcmp(type, "none") == 0 || strcmp(type, "llama3") == 0)
        return s;
    tenon_key_name(prefix, "rope.scaling.type", name);
    if (strcmp(type, "linear") != 0 && strcmp(type, "yarn") != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is '%s', known are none, linear, yarn and llama3", name, type);
    if ((s = tenon_key_f64(meta, prefix, "rope.scaling.factor", 1e-3, 1e6, NULL, &factor, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.attn_factor", 1e-3, 1e3, &one, &attn, err)) != TENON_E_OK)
        return s;
    ret->scale = 1.0 / factor;
    if (strcmp(type, "linear") == 0)
        return TENON_E_OK;
    ret->ext_factor = 1.0;
    ret->attn_factor = attn * (1.0 + 0.1 * log(factor)); /* eq. 22 of arXiv:2309.00071, on q and k alike */
    return tenon_key_i64(meta, prefix, "rope.scaling.original_context_length", 1, 1 << 30, NULL, &ret->original_context, err);
}

/* x [T,H,D]; factors may be TENON_NO_VALUE. */
static inline uint32_t tenon_rope(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t factors,
                                  const struct tenon_rope_params *p)
{
    struct tenon_attr a[7];
    uint32_t in[3];
    a[0] = tenon_attr_i("n_rot", p->n_rot);
    a[1] = tenon_attr_f("base", p->base);
    a[2] = tenon_attr_s("layout", p->layout);
    a[3] = tenon_attr_f("scale", p->scale);
    a[4] = tenon_attr_f("ext_factor", p->ext_factor);
    a[5] = tenon_attr_f("attn_factor", p->attn_factor);
    a[6] = tenon_attr_i("original_context", p->original_context);
    in[0] = x, in[1] = tenon_input(b, "position"), in[2] = factors;
    return tenon_node1(b, "core.rope/1", name, in, 3, a, 7);
}

/* All inputs of a decoder with one state group, in the order of the table in graph.h. Asked for first, they have the same
 * numbers whatever order a compiler evaluates arguments in. */
static inline void tenon_decoder_inputs(const struct tenon_builder *b)
{
    static const char *const names[] = {"token", "position", "seq_of_token", "seq_start", "context_len", "out_row", "block_table.0",
                                        "slot_of_token.0"};
    uint32_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)tenon_input(b, names[i]);
}

/* The cached attention of an ordinary decoder over the paged state `kv` of group 0. q [T,heads,k_dim]. */
struct tenon_attention_params {
    int64_t kv_heads, k_dim, v_dim, window; /* window 0: all positions */
    double scale, softcap;                  /* softcap 0: none */
};

static inline uint32_t tenon_attention(const struct tenon_builder *b, const char *name, uint32_t q, uint32_t kv, uint32_t sink,
                                       const struct tenon_attention_params *p)
{
    struct tenon_attr a[6];
    uint32_t in[10];
    a[0] = tenon_attr_i("kv_heads", p->kv_heads);
    a[1] = tenon_attr_i("k_dim", p->k_dim);
    a[2] = tenon_attr_i("v_dim", p->v_dim);
    a[3] = tenon_attr_f("scale", p->scale);
    a[4] = tenon_attr_i("window", p->window);
    a[5] = tenon_attr_f("softcap", p->softcap);
    in[0] = q, in[1] = kv, in[2] = TENON_NO_VALUE, in[3] = TENON_NO_VALUE, in[4] = sink;
    in[5] = tenon_input(b, "position"), in[6] = tenon_input(b, "seq_of_token"), in[7] = tenon_input(b, "seq_start");
    in[8] = tenon_input(b, "context_len"), in[9] = tenon_input(b, "block_table.0");
    return tenon_node1(b, "core.attention/1", name, in, 10, a, 6);
}

/* Store K and V of group 0; gives the state after the write. */
static inline uint32_t tenon_kv_store(const struct tenon_builder *b, const char *name, uint32_t kv, uint32_t k, uint32_t v)
{
    uint32_t in[4];
    in[0] = kv, in[1] = k, in[2] = v, in[3] = tenon_input(b, "slot_of_token.0");
    return tenon_node1(b, "core.kv_store/1", name, in, 4, NULL, 0);
}

/* sum = x + y, and the rms_norm of it: *ret_sum and the result. */
static inline uint32_t tenon_add_norm(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t y, uint32_t w, double eps,
                                      uint32_t *ret_sum)
{
    struct tenon_attr a = tenon_attr_f("eps", eps);
    uint32_t in[3], out[2];
    in[0] = x, in[1] = y, in[2] = w;
    out[0] = out[1] = TENON_NO_VALUE;
    (void)b->node(b->ctx, "core.add_norm/1", name, in, 3, &a, 1, out, 2); /* the error sticks in b */
    *ret_sum = out[0];
    return out[1];
}

/* down(kind(gate x) * up x), without biases. gate may be TENON_NO_VALUE. */
static inline uint32_t tenon_gated_ffn(const struct tenon_builder *b, const char *name, const char *kind, uint32_t x, uint32_t gate,
                                       uint32_t up, uint32_t down)
{
    struct tenon_attr a = tenon_attr_s("kind", kind);
    uint32_t in[4];
    in[0] = x, in[1] = gate, in[2] = up, in[3] = down;
    return tenon_node1(b, "core.gated_ffn/1", name, in, 4, &a, 1);
}

/* Rows `index` of a table. */
static inline uint32_t tenon_gather(const struct tenon_builder *b, const char *name, uint32_t table, uint32_t index)
{
    return tenon_op2(b, "core.gather/1", name, table, index);
}

#ifdef __cplusplus
}
#endif
#endif
