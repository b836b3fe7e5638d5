/* build.h - small helpers for model plugins: declare weights by a table, and write nodes in one line each. Metadata keys are
 * read by keys.h.
 *
 *     static const struct tenon_weight_row rows[] = {{.name = "layers.{i}.attn_q", .gguf = "blk.{i}.attn_q.weight",
 *                                                     .hf = "model.layers.{i}.self_attn.q_proj.weight", .role = TENON_ROLE_MATMUL,
 *                                                     .flags = TENON_WEIGHT_LAYERED, .rank = 2, .dims = {OUT, IN}}};
 *     q = tenon_matmul(b, "attn_q", x, b->weight(b->ctx, "layers.{i}.attn_q"), TENON_NO_VALUE);
 *     q = tenon_reshape3(b, "q_heads", q, tenon_dim_of(TENON_SYM_T), tenon_dim_n(9), tenon_dim_n(64));
 *
 * Everything is static inline over the tables of graph.h and weights.h; nothing here is part of the ABI. Link with libm.
 */
#ifndef TENON_BUILD_H
#define TENON_BUILD_H

#include <math.h>

#include <tenon/graph.h>
#include <tenon/keys.h>
#include <tenon/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- weights ------------------------------------------------------------------------------------------------ */

/* A weight as a row of a family's table; dims and hf_groups are places in an array of sizes that the config fills.
 *
 * A row with TENON_XFORM_SPLIT and hf_parts 0 is the piece behind those that rows above it take from the same tensor: the rows
 * of q, k and v in that order cut one "qkv" in three of their own sizes. With hf_groups the tensor is that many such rows of
 * pieces in turn, as where each head has its q, k and v beside each other. */
struct tenon_weight_row {
    const char *name, *gguf;    /* logical, and in GGUF; `{i}` is the layer. gguf NULL: it has none */
    int32_t role;               /* TENON_ROLE_* */
    uint32_t flags, rank;       /* TENON_WEIGHT_* */
    uint32_t dims[3];           /* [rank] */
    int32_t shard_axis;         /* -1: replicated */
    const char *tied_to;        /* or NULL */
    const char *hf;             /* in a Hugging Face directory; `{e}`: the expert; NULL: it has none */
    const char *hf_packed;      /* there where it is quantised, if that changes its name and its matrices are not transposed; or NULL */
    int32_t gguf_xform, hf_xform; /* TENON_XFORM_* */
    uint32_t hf_part, hf_parts; /* SPLIT into equal pieces: pieces from hf_part on, of hf_parts; or 0, 0, see above */
    uint32_t hf_groups, gguf_groups; /* SPLIT, PERMUTE_ROPE: size that counts the groups or heads, 0: one */
    uint32_t only;              /* which layers have it, as the family counts them; 0: all */
};

#define TENON_HF_SPELLINGS 4u
#define TENON_HF_NAMES (2u * TENON_HF_SPELLINGS) /* most of one row's hf and hf_packed */
#define TENON_ROW_SOURCES (1u + TENON_HF_NAMES)
#define TENON_HF_NAME_SIZE 112u

/* Where rows are declared to. Zeroed, and then staying where it is as long as the declarations are used. */
struct tenon_weight_room {
    struct tenon_weight_desc *weights;     /* [n] */
    struct tenon_weight_source *sources;   /* [n * TENON_ROW_SOURCES] */
    char (*names)[TENON_HF_NAME_SIZE];     /* [n * TENON_HF_NAMES] */
};

/* ret [TENON_HF_SPELLINGS]. "model.x" also stands as "model.language_model.x" or "language_model.model.x" in models that see or
 * hear, and as "x" where only the base model was saved, as "transformer.x" and the like do; "lm_head.x" as
 * "language_model.lm_head.x". */
static inline uint32_t tenon_hf_spellings(const char *name, char (*ret)[TENON_HF_NAME_SIZE])
{
    static const char *const bases[] = {"transformer.", "gpt_neox.", "backbone.", "bert."};
    const int is_model = strncmp(name, "model.", 6) == 0;
    uint32_t i;
    for (i = 0; i < sizeof bases / sizeof bases[0]; i++)
        if (strncmp(name, bases[i], strlen(bases[i])) == 0) {
            (void)snprintf(ret[0], TENON_HF_NAME_SIZE, "%s", name);
            (void)snprintf(ret[1], TENON_HF_NAME_SIZE, "%s", name + strlen(bases[i]));
            return 2;
        }
    (void)snprintf(ret[0], TENON_HF_NAME_SIZE, "%s", name);
    (void)snprintf(ret[1], TENON_HF_NAME_SIZE, "language_model.%s", name);
    if (!is_model)
        return 2;
    (void)snprintf(ret[2], TENON_HF_NAME_SIZE, "model.language_model.%s", name + 6);
    (void)snprintf(ret[3], TENON_HF_NAME_SIZE, "%s", name + 6);
    return 4;
}

/* Rows of the tensor that come before row i's piece, and in *ret_all those of all its pieces. */
static inline uint64_t tenon_split_before(const struct tenon_weight_row *rows, uint32_t n, uint32_t i, const int64_t *sizes,
                                          int is_hf, uint64_t *ret_all)
{
    uint64_t before = 0;
    uint32_t k;
    *ret_all = 0;
    for (k = 0; k < n; k++) {
        const char *mine = is_hf ? rows[i].hf : rows[i].gguf, *other = is_hf ? rows[k].hf : rows[k].gguf;
        const uint32_t turned = ((is_hf ? rows[k].hf_xform : rows[k].gguf_xform) & TENON_XFORM_TURN) != 0;
        const uint32_t axis = rows[k].rank > 2 ? rows[k].rank - (turned ? 1 : 2) : 0;
        if (other == NULL || strcmp(mine, other) != 0)
            continue;
        if (k == i)
            before = *ret_all;
        *ret_all += (uint64_t)sizes[rows[k].dims[axis]];
    }
    return before;
}

/* Pieces are counted in rows of a tensor. */
static inline void tenon_declare_split(const struct tenon_weight_row *rows, uint32_t n, uint32_t i, const int64_t *sizes,
                                       int is_hf, struct tenon_weight_source *ret)
{
    uint64_t before, all;
    ret->part = is_hf ? rows[i].hf_part : 0;
    ret->parts = is_hf ? rows[i].hf_parts : 0;
    ret->groups = is_hf ? rows[i].hf_groups : rows[i].gguf_groups;
    ret->groups = ret->groups != 0 ? (uint32_t)sizes[ret->groups] : 1;
    if ((ret->xform & TENON_XFORM_SPLIT) == 0 || ret->parts != 0)
        return;
    before = tenon_split_before(rows, n, i, sizes, is_hf, &all);
    if ((ret->xform & TENON_XFORM_GROUPS) == 0) /* else sizes are those of one group */
        before /= ret->groups, all /= ret->groups;
    ret->part = (uint32_t)before;
    ret->parts = (uint32_t)all;
}

static inline void tenon_declare_sources(const struct tenon_weight_row *rows, uint32_t n, uint32_t i, const int64_t *sizes,
                                         const struct tenon_weight_room *room)
{
    struct tenon_weight_desc *w = &room->weights[i];
    struct tenon_weight_source *s = &room->sources[i * TENON_ROW_SOURCES];
    char (*names)[TENON_HF_NAME_SIZE] = &room->names[i * TENON_HF_NAMES];
    const uint32_t n_hf = rows[i].hf != NULL ? tenon_hf_spellings(rows[i].hf, names) : 0, has_gguf = rows[i].gguf != NULL;
    const uint32_t n_packed = rows[i].hf_packed != NULL ? tenon_hf_spellings(rows[i].hf_packed, names + n_hf) : 0;
    uint32_t k;
    w->sources = s;
    w->source_stride = (uint32_t)sizeof *s;
    w->n_sources = has_gguf + n_hf + n_packed;
    for (k = 0; k < w->n_sources; k++, s++) {
        const int is_hf = k >= has_gguf;
        s->struct_size = (uint32_t)sizeof *s;
        s->format = is_hf ? "huggingface" : "gguf";
        s->name = is_hf ? names[k - has_gguf] : rows[i].gguf;
        s->xform = is_hf ? rows[i].hf_xform : rows[i].gguf_xform;
        if (k >= has_gguf + n_hf)
            s->xform &= ~TENON_XFORM_TRANSPOSE;
        tenon_declare_split(rows, n, i, sizes, is_hf, s);
    }
}

/* The declarations of rows [n]. */
static inline void tenon_declare_weights(const struct tenon_weight_row *rows, uint32_t n, const int64_t *sizes, int64_t n_layers,
                                         const struct tenon_weight_room *room)
{
    uint32_t i, d;
    for (i = 0; i < n; i++) {
        struct tenon_weight_desc *w = &room->weights[i];
        w->struct_size = (uint32_t)sizeof *w;
        w->role = rows[i].role;
        w->name = rows[i].name;
        w->flags = rows[i].flags;
        w->rank = rows[i].rank;
        for (d = 0; d < w->rank; d++)
            w->dims[d] = (uint64_t)sizes[rows[i].dims[d]];
        w->shard_axis = rows[i].shard_axis;
        w->tied_to = rows[i].tied_to;
        w->n_layers = (w->flags & TENON_WEIGHT_LAYERED) != 0 ? (uint32_t)n_layers : 0;
        tenon_declare_sources(rows, n, i, sizes, room);
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
static inline uint32_t tenon_node1(const struct tenon_builder *b, const char *op, const char *name, const uint32_t *in,
                                   uint32_t n_in, const struct tenon_attr *attrs, uint32_t n_attrs)
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

static inline uint32_t tenon_reshape2(const struct tenon_builder *b, const char *name, uint32_t x, struct tenon_dim d0,
                                      struct tenon_dim d1)
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
    double beta_fast, beta_slow;     /* YaRN; 0: the op's own */
    double ntk_factor;               /* 0: none; else the base grows by it with the context, tenon_rope_fit */
    int by_context;                  /* 1: frequencies are divided by one of two lists, chosen by the context (longrope) */
    const char *layout;              /* "interleaved" or "half" */
};

/* YaRN's factor on turned pairs. GGUF has one more on top of eq. 22 of arXiv:2309.00071; config.json may give the whole, or two
 * coefficients whose quotient it is. */
static inline int32_t tenon_key_yarn_factor(const struct tenon_meta *meta, const char *prefix, double factor, double *ret,
                                            struct tenon_err *err)
{
    const double none = 0.0, one = 1.0, grown = factor > 1.0 ? 0.1 * log(factor) : 0.0;
    double attn = 1.0, given = 0.0, mscale = 0.0, all = 0.0;
    int32_t s;
    if ((s = tenon_key_f64(meta, prefix, "rope.scaling.attn_factor", 1e-3, 1e3, &one, &attn, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.attention_factor", 0, 1e3, &none, &given, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.mscale", 0, 1e3, &none, &mscale, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.mscale_all_dim", 0, 1e3, &none, &all, err)) != TENON_E_OK)
        return s;
    *ret = given > 0.0               ? given
           : mscale > 0 && all > 0.0 ? (1.0 + mscale * grown) / (1.0 + all * grown)
           : tenon_meta_is_huggingface(meta) ? 1.0 + grown
                                             : attn * (1.0 + 0.1 * log(factor));
    return TENON_E_OK;
}

static inline int32_t tenon_key_yarn(const struct tenon_meta *meta, const char *prefix, double factor,
                                     struct tenon_rope_params *ret, struct tenon_err *err)
{
    const double own = 0.0;
    char name[128];
    int64_t trained = 0, *absent = NULL;
    int32_t s;
    if (tenon_meta_is_huggingface(meta)) { /* config.json may leave it out */
        if ((s = tenon_key_i64(meta, prefix, "context_length", 1, 1 << 30, NULL, &trained, err)) != TENON_E_OK)
            return s;
        absent = &trained;
    }
    ret->ext_factor = 1.0;
    if ((s = tenon_key_yarn_factor(meta, prefix, factor, &ret->attn_factor, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.yarn_beta_fast", 0, 1e6, &own, &ret->beta_fast, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.yarn_beta_slow", 0, 1e6, &own, &ret->beta_slow, err)) != TENON_E_OK)
        return s;
    s = tenon_key_i64(meta, prefix, "rope.scaling.original_context_length", 1, 1 << 30, absent, &ret->original_context, err);
    if (s != TENON_E_OK || absent == NULL || (double)ret->original_context >= 6.2831853 * (ret->beta_slow > 0.0 ? ret->beta_slow : 1.0))
        return s;
    tenon_key_name(meta, prefix, "rope.scaling.original_context_length", name);
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "key %s is %lld, in which no pair turns beta_slow times", name,
                      (long long)ret->original_context);
}

/* ROOT.MEMBER as a number, which true and false are, too; 0: it is not there, or not one. */
static inline int tenon_key_member(const struct tenon_meta *meta, const char *root, const char *member, double *ret)
{
    struct tenon_meta_entry e;
    char name[128], full[128];
    (void)snprintf(full, sizeof full, "%s.%s", root, member);
    return tenon_key_find(meta, NULL, full, name, &e) && tenon_meta_f64(&e, 0, ret) == TENON_E_OK;
}

/* ROOT's type of rope, "" where it says none, and the name of its key. */
static inline int32_t tenon_key_rope_type(const struct tenon_meta *meta, const char *root, char name[128], char type[32],
                                          struct tenon_err *err)
{
    int32_t s;
    (void)snprintf(name, 128, "%s.rope_type", root);
    if ((s = tenon_key_str(meta, NULL, name, "", type, 32, err)) != TENON_E_OK || type[0] != '\0')
        return s;
    (void)snprintf(name, 128, "%s.type", root);
    return tenon_key_str(meta, NULL, name, "", type, 32, err);
}

/* config.json may hold rope_scaling, as it was called, beside rope_parameters: INVALID_ARGUMENT where they are of two minds. */
static inline int32_t tenon_key_rope_agrees(const struct tenon_meta *meta, struct tenon_err *err)
{
    static const char *const members[] = {"rope_theta", "factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "truncate",
                                          "attention_factor", "mscale", "mscale_all_dim", "low_freq_factor", "high_freq_factor"};
    const char *then = "config.rope_scaling", *now = "config.rope_parameters.full_attention";
    struct tenon_meta_entry e;
    char key[128], other[128], is[32], was[32];
    double a = 0.0, b = 0.0;
    uint32_t i;
    int32_t s;
    now = tenon_key_find(meta, NULL, now, key, &e) ? now : "config.rope_parameters";
    if ((s = tenon_key_rope_type(meta, now, other, is, err)) != TENON_E_OK ||
        (s = tenon_key_rope_type(meta, then, key, was, err)) != TENON_E_OK || is[0] == '\0' || was[0] == '\0')
        return s;
    if (strcmp(is, was) != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, key, "key %s is '%s', but %s is '%s': leave one out", key, was, other,
                          is);
    for (i = 0; i < sizeof members / sizeof members[0]; i++) {
        const int said = tenon_key_member(meta, then, members[i], &a) ||
                         (i == 0 && tenon_key_member(meta, "config", members[i], &a));
        (void)snprintf(key, sizeof key, "%s.%s", then, members[i]);
        if (tenon_key_member(meta, now, members[i], &b) && (!said || a != b))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, key, "key %s is not what %s.%s is, %g: leave one out", key, now,
                              members[i], b);
    }
    return TENON_E_OK;
}

/* Read rope.freq_base and rope.scaling.*: none, linear, yarn; llama3 is a weight of factors, see tenon_key_rope_factors. n_rot
 * and layout are the caller's. transformers' "dynamic" changes nothing within the trained context. */
static inline int32_t tenon_key_rope(const struct tenon_meta *meta, const char *prefix, struct tenon_rope_params *ret,
                                     struct tenon_err *err)
{
    const double base = 10000.0;
    char type[32], name[128];
    double factor = 1.0;
    int32_t s;

    ret->scale = ret->attn_factor = 1.0;
    ret->ext_factor = ret->beta_fast = ret->beta_slow = ret->ntk_factor = 0.0;
    ret->original_context = 0;
    ret->by_context = 0;
    if ((s = tenon_key_must_hold(meta, prefix, "rope_scaling", err)) != TENON_E_OK ||
        (s = tenon_key_must_hold(meta, prefix, "rope_parameters", err)) != TENON_E_OK ||
        (s = tenon_key_must_hold(meta, prefix, "rope_parameters.full_attention", err)) != TENON_E_OK ||
        (tenon_meta_is_huggingface(meta) && (s = tenon_key_rope_agrees(meta, err)) != TENON_E_OK) ||
        (s = tenon_key_f64(meta, prefix, "rope.freq_base", 1e-3, 1e12, &base, &ret->base, err)) != TENON_E_OK ||
        (s = tenon_key_str(meta, prefix, "rope.scaling.type", "none", type, sizeof type, err)) != TENON_E_OK ||
        strcmp(type, "none") == 0 || strcmp(type, "default") == 0 || strcmp(type, "llama3") == 0)
        return s;
    ret->by_context = strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0;
    if (ret->by_context)
        return s;
    tenon_key_name(meta, prefix, "rope.scaling.type", name);
    if (strcmp(type, "linear") != 0 && strcmp(type, "yarn") != 0 && strcmp(type, "dynamic") != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name,
                          "key %s is '%s', known are none, linear, dynamic, yarn, llama3 and longrope", name, type);
    if ((s = tenon_key_f64(meta, prefix, "rope.scaling.factor", 1e-3, 1e6, NULL, &factor, err)) != TENON_E_OK)
        return s;
    if (strcmp(type, "dynamic") == 0) {
        ret->ntk_factor = factor;
        return s;
    }
    ret->scale = 1.0 / factor;
    return strcmp(type, "linear") == 0 ? TENON_E_OK : tenon_key_yarn(meta, prefix, factor, ret, err);
}

/* Llama 3's divisors of the frequencies, where the file has their formula instead of a tensor: pairs that turn slowly are
 * stretched by `factor`, fast ones kept, those between blended. values [n_rot/2]; *ret 0: the file has no such formula. */
static inline int32_t tenon_key_rope_factors(const struct tenon_meta *meta, const char *prefix, const struct tenon_rope_params *p,
                                             float *values, int *ret, struct tenon_err *err)
{
    char type[32];
    double factor = 1.0, low = 1.0, high = 1.0, trained = 1.0;
    int64_t j;
    int32_t s = tenon_key_str(meta, prefix, "rope.scaling.type", "none", type, sizeof type, err);
    *ret = s == TENON_E_OK && strcmp(type, "llama3") == 0 && tenon_meta_is_huggingface(meta);
    if (*ret == 0)
        return s;
    if ((s = tenon_key_f64(meta, prefix, "rope.scaling.factor", 1e-3, 1e6, NULL, &factor, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.low_freq_factor", 1e-3, 1e6, NULL, &low, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.high_freq_factor", 1e-3, 1e6, NULL, &high, err)) != TENON_E_OK ||
        (s = tenon_key_f64(meta, prefix, "rope.scaling.original_context_length", 1, 1e9, NULL, &trained, err)) != TENON_E_OK)
        return s;
    for (j = 0; j < p->n_rot / 2; j++) {
        const double turns = trained * pow(p->base, -2.0 * (double)j / (double)p->n_rot) / (2.0 * 3.14159265358979323846);
        const double kept = turns > high || high <= low ? 1.0 : (turns - low) / (high - low);
        values[j] = (float)(turns < low ? factor : 1.0 / ((1.0 - kept) / factor + kept));
    }
    return TENON_E_OK;
}

/* Dynamic NTK for a model trained on `trained` tokens that will see `context`: the base at which the slowest pair turns as slowly
 * as linear scaling would have it. */
static inline void tenon_rope_fit(struct tenon_rope_params *p, int64_t trained, int64_t context)
{
    if (p->ntk_factor > 0.0 && context > trained && p->n_rot > 2)
        p->base *= pow(p->ntk_factor * (double)context / (double)trained - (p->ntk_factor - 1.0),
                       (double)p->n_rot / (double)(p->n_rot - 2));
}

/* x [T,H,D]; factors may be TENON_NO_VALUE. */
static inline uint32_t tenon_rope(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t factors,
                                  const struct tenon_rope_params *p)
{
    struct tenon_attr a[9];
    uint32_t in[3], n = 7;
    a[0] = tenon_attr_i("n_rot", p->n_rot);
    a[1] = tenon_attr_f("base", p->base);
    a[2] = tenon_attr_s("layout", p->layout);
    a[3] = tenon_attr_f("scale", p->scale);
    a[4] = tenon_attr_f("ext_factor", p->ext_factor);
    a[5] = tenon_attr_f("attn_factor", p->attn_factor);
    a[6] = tenon_attr_i("original_context", p->original_context);
    if (p->beta_fast > 0.0)
        a[n++] = tenon_attr_f("beta_fast", p->beta_fast);
    if (p->beta_slow > 0.0)
        a[n++] = tenon_attr_f("beta_slow", p->beta_slow);
    in[0] = x, in[1] = tenon_input(b, "position"), in[2] = factors;
    return tenon_node1(b, "core.rope/1", name, in, 3, a, n);
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
static inline uint32_t tenon_add_norm(const struct tenon_builder *b, const char *name, uint32_t x, uint32_t y, uint32_t w,
                                      double eps, uint32_t *ret_sum)
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
static inline uint32_t tenon_gated_ffn(const struct tenon_builder *b, const char *name, const char *kind, uint32_t x,
                                       uint32_t gate, uint32_t up, uint32_t down)
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
