/* Parses op signatures and infers the types of a node's outputs from them. What an op demands beyond its signature is in
 * rules.c. Any thread; nothing is kept between calls. Contract: signature.h, notation: <tenon/ops.h>.
 *
 * Inference is one pass over the operands that binds capital names, symbols and the `...` to what they first meet and
 * complains where a later meeting disagrees; outputs are then read off the bindings. */
#include "core/graph/signature.h"

#include <ctype.h>
#include <stdlib.h>

#include "core/graph/rules.h"

/* ---- parsing ------------------------------------------------------------------------------------------------ */

struct cursor {
    const char *at;
    struct tenon_err *err;
    const char *text; /* the whole, for messages */
    int32_t status;   /* first failure sticks */
};

static bool bad(struct cursor *c, const char *what)
{
    if (c->status == 0)
        c->status = tenon_fail(c->err, TENON_E_INVALID_ARGUMENT, "signature", "%s at \"%.40s\" of \"%.200s\"", what, c->at,
                               c->text);
    return false;
}

static void skip_spaces(struct cursor *c)
{
    while (*c->at == ' ')
        c->at++;
}

static bool accept(struct cursor *c, const char *token)
{
    if (strncmp(c->at, token, strlen(token)) != 0)
        return false;
    c->at += strlen(token);
    return true;
}

/* A word of lower-case letters, digits and _ (capitals too where asked). */
static bool word(struct cursor *c, char *ret, size_t size)
{
    size_t n = 0;
    while (isalnum((unsigned char)c->at[n]) || c->at[n] == '_')
        n++;
    if (n == 0 || n >= size)
        return bad(c, n == 0 ? "a name is missing" : "a name is too long");
    memcpy(ret, c->at, n);
    ret[n] = '\0';
    c->at += n;
    return true;
}

static const struct { const char *name; int32_t dtype; } dtypes[] = {
    {"act", TENON_DTYPE_ACT}, {"f32", TENON_DTYPE_F32}, {"i32", TENON_DTYPE_I32}, {"u32", TENON_DTYPE_U32},
    {"f16", TENON_DTYPE_F16}, {"bf16", TENON_DTYPE_BF16}, {"weight", TENON_DTYPE_WEIGHT}, {"state", TENON_DTYPE_STATE},
    {"num", TN_SIG_NUM}, {"any", TN_SIG_ANY},
};

static bool parse_dtype(struct cursor *c, struct tn_sig_operand *o)
{
    char name[16];
    if (accept(c, "=")) {
        o->dtype = TN_SIG_LIKE;
        return word(c, o->like, sizeof o->like);
    }
    if (!word(c, name, sizeof name))
        return false;
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            o->dtype = dtypes[i].dtype;
            return true;
        }
    }
    return bad(c, "unknown dtype before this");
}

static int32_t symbol_of(const char *name)
{
    static const char symbols[] = " TSRCP"; /* indexed by TENON_SYM_* */
    const char *p = name[0] != '\0' && name[1] == '\0' && name[0] != ' ' ? strchr(symbols, name[0]) : NULL;
    return p != NULL ? (int32_t)(p - symbols) : TENON_SYM_NONE;
}

static int64_t parse_number(struct cursor *c)
{
    char *end;
    int64_t n = strtoll(c->at, &end, 10);
    c->at = end;
    return n;
}

/* [INT "*"] (name | "$" attr) ["+" INT], or INT, or "..." */
static bool parse_dim(struct cursor *c, struct tn_sig_dim *d)
{
    *d = (struct tn_sig_dim){.scale = 1};
    if (accept(c, "...")) {
        d->kind = TN_SIG_ELLIPSIS;
        return true;
    }
    if (isdigit((unsigned char)*c->at)) {
        int64_t n = parse_number(c);
        if (!accept(c, "*")) {
            d->shift = n;
            return true; /* CONST */
        }
        d->scale = n;
    }
    d->kind = accept(c, "$") ? TN_SIG_ATTR : TN_SIG_NAME;
    if (!word(c, d->name, sizeof d->name))
        return false;
    if (d->kind == TN_SIG_NAME && (d->sym = symbol_of(d->name)) != TENON_SYM_NONE)
        d->kind = TN_SIG_SYMBOL;
    if (accept(c, "+"))
        d->shift = parse_number(c);
    return true;
}

static bool parse_dims(struct cursor *c, struct tn_sig_operand *o)
{
    if (!accept(c, "["))
        return bad(c, "'[' is missing");
    if (accept(c, "@]"))
        return o->rule = true;
    if (accept(c, "]"))
        return true;
    do {
        if (o->n_dims == TN_SIG_DIMS)
            return bad(c, "too many dims");
        if (!parse_dim(c, &o->dims[o->n_dims++]))
            return false;
    } while (accept(c, ","));
    return accept(c, "]") || bad(c, "']' is missing");
}

static bool parse_operand(struct cursor *c, struct tn_sig_operand *o)
{
    memset(o, 0, sizeof *o);
    if (!word(c, o->name, sizeof o->name))
        return false;
    if (!accept(c, ":"))
        return bad(c, "':' is missing");
    if (!parse_dtype(c, o) || !parse_dims(c, o))
        return false;
    o->optional = accept(c, "?");
    return true;
}

static bool parse_attr(struct cursor *c, struct tn_sig_attr *a)
{
    memset(a, 0, sizeof *a);
    if (!word(c, a->name, sizeof a->name) || !accept(c, ":") || strchr("ifsdl", *c->at) == NULL || *c->at == '\0')
        return bad(c, "an attribute is name:type, type one of i f s d l");
    a->type = *c->at++;
    if (!accept(c, "="))
        return true;
    a->has_default = true;
    if (a->type == 's')
        return word(c, a->text, sizeof a->text);
    char *end;
    a->number = strtod(c->at, &end);
    if (end == c->at)
        return bad(c, "a default number is missing");
    c->at = end;
    return true;
}

int32_t tn_signature_parse(const char *signature, const char *attrs, struct tn_signature *ret, struct tenon_err *err)
{
    struct cursor c = {.at = signature, .err = err, .text = signature};
    bool outputs = false;

    memset(ret, 0, sizeof *ret);
    for (skip_spaces(&c); *c.at != '\0' && c.status == 0; skip_spaces(&c)) {
        if (accept(&c, "->")) {
            if (outputs)
                (void)bad(&c, "a second '->'"); /* status is kept in c */
            outputs = true;
            continue;
        }
        uint32_t *n = outputs ? &ret->n_out : &ret->n_in;
        if (*n == TN_SIG_OPERANDS)
            (void)bad(&c, "too many operands");
        else
            (void)parse_operand(&c, &(outputs ? ret->out : ret->in)[(*n)++]);
    }
    if (c.status == 0 && ret->n_out == 0)
        (void)bad(&c, "no output behind '->'");
    c.at = c.text = attrs != NULL ? attrs : "";
    for (skip_spaces(&c); *c.at != '\0' && c.status == 0; skip_spaces(&c)) {
        if (ret->n_attrs == TN_SIG_ATTRS)
            (void)bad(&c, "too many attributes");
        else
            (void)parse_attr(&c, &ret->attrs[ret->n_attrs++]);
    }
    return c.status;
}

uint32_t tn_signature_in(const struct tn_signature *sig, const char *name)
{
    for (uint32_t i = 0; i < sig->n_in; i++)
        if (strcmp(sig->in[i].name, name) == 0)
            return i;
    return UINT32_MAX;
}

/* ---- text --------------------------------------------------------------------------------------------------- */

const char *tn_dtype_name(int32_t dtype)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return "?";
}

char *tn_dim_text(const struct tenon_dim *dim, char *buf, size_t size)
{
    char times[24] = "", plus[24] = "";
    if (dim->sym <= TENON_SYM_NONE || dim->sym >= TENON_SYM_COUNT) {
        (void)snprintf(buf, size, "%lld", (long long)dim->b);
        return buf;
    }
    if (dim->a != 1)
        (void)snprintf(times, sizeof times, "%lld*", (long long)dim->a);
    if (dim->b != 0)
        (void)snprintf(plus, sizeof plus, "%+lld", (long long)dim->b);
    (void)snprintf(buf, size, "%s%c%s", times, " TSRCP"[dim->sym], plus);
    return buf;
}

char *tn_type_text(const struct tn_type *type, char *buf, size_t size)
{
    int n = snprintf(buf, size, "%s[", tn_dtype_name(type->dtype));
    for (uint32_t i = 0; i < type->rank && i < TENON_RANK_MAX; i++) {
        char dim[48];
        if (n >= 0 && (size_t)n < size)
            n += snprintf(buf + n, size - (size_t)n, "%s%s", i > 0 ? "," : "", tn_dim_text(&type->dims[i], dim, sizeof dim));
    }
    if (n >= 0 && (size_t)n < size)
        (void)snprintf(buf + n, size - (size_t)n, "]");
    return buf;
}

/* ---- attributes --------------------------------------------------------------------------------------------- */

const struct tenon_attr *tn_use_attr(const struct tn_op_use *use, const char *name)
{
    for (uint32_t i = 0; i < use->n_attrs; i++)
        if (strcmp(use->attrs[i].name, name) == 0)
            return &use->attrs[i];
    return NULL;
}

static const struct tn_sig_attr *spec_of(const struct tn_signature *sig, const char *name)
{
    for (uint32_t i = 0; i < sig->n_attrs; i++)
        if (strcmp(sig->attrs[i].name, name) == 0)
            return &sig->attrs[i];
    return NULL;
}

int64_t tn_use_i64(const struct tn_op_use *use, const char *name)
{
    const struct tenon_attr *a = tn_use_attr(use, name);
    const struct tn_sig_attr *spec = spec_of(use->sig, name);
    return a != NULL ? a->i : spec != NULL ? (int64_t)spec->number : 0;
}

double tn_use_f64(const struct tn_op_use *use, const char *name)
{
    const struct tenon_attr *a = tn_use_attr(use, name);
    const struct tn_sig_attr *spec = spec_of(use->sig, name);
    return a != NULL ? a->f : spec != NULL ? spec->number : 0.0;
}

const char *tn_use_str(const struct tn_op_use *use, const char *name)
{
    const struct tenon_attr *a = tn_use_attr(use, name);
    const struct tn_sig_attr *spec = spec_of(use->sig, name);
    return a != NULL && a->s != NULL ? a->s : spec != NULL ? spec->text : "";
}

static const char *type_word(char type)
{
    switch (type) {
    case 'i': return "an integer";
    case 'f': return "a float";
    case 's': return "a string";
    case 'd': return "a shape";
    default: return "a list of integers";
    }
}

static bool attr_fits(const struct tenon_attr *a, char type)
{
    switch (type) {
    case 'i': return a->type == TENON_ATTR_I64;
    case 'f': return a->type == TENON_ATTR_F64;
    case 's': return a->type == TENON_ATTR_STR && a->s != NULL;
    case 'd': return a->type == TENON_ATTR_DIMS && (a->dims != NULL || a->n == 0) && a->n <= TENON_RANK_MAX;
    default: return a->type == TENON_ATTR_I64S && (a->list != NULL || a->n == 0) && a->n <= TENON_RANK_MAX;
    }
}

static void check_attrs(const struct tn_op_use *use)
{
    for (uint32_t i = 0; i < use->n_attrs; i++) {
        const struct tenon_attr *a = &use->attrs[i];
        const struct tn_sig_attr *spec = spec_of(use->sig, a->name);
        if (spec == NULL)
            tn_issue(use->issues, use->where, "attribute '%s' is unknown to %s", a->name, use->op);
        else if (!attr_fits(a, spec->type))
            tn_issue(use->issues, use->where, "attribute '%s' of %s must be %s", a->name, use->op, type_word(spec->type));
        else if (tn_use_attr(use, a->name) != a)
            tn_issue(use->issues, use->where, "attribute '%s' is given twice", a->name);
    }
    for (uint32_t i = 0; i < use->sig->n_attrs; i++) {
        const struct tn_sig_attr *spec = &use->sig->attrs[i];
        if (!spec->has_default && tn_use_attr(use, spec->name) == NULL)
            tn_issue(use->issues, use->where, "attribute '%s' of %s is missing: it is %s", spec->name, use->op,
                     type_word(spec->type));
    }
}

/* ---- binding ------------------------------------------------------------------------------------------------ */

struct binding {
    char name[16];
    struct tenon_dim dim;
    uint32_t operand; /* that bound it */
};

struct bindings {
    struct tn_op_use *use;
    struct binding names[32];
    uint32_t n;
    struct tenon_dim lead[TENON_RANK_MAX]; /* what `...` stands for */
    uint32_t n_lead;
    bool has_lead;
    uint32_t lead_operand;
};

static struct binding *bound(struct bindings *b, const char *name)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (strcmp(b->names[i].name, name) == 0)
            return &b->names[i];
    return NULL;
}

/* The dim that `d` stands for under the bindings; false when its name is unbound. */
static bool dim_value(struct bindings *b, const struct tn_sig_dim *d, struct tenon_dim *ret)
{
    struct tenon_dim base = {0};
    const struct binding *name;
    switch (d->kind) {
    case TN_SIG_CONST: *ret = tn_dim_const(d->shift); return true;
    case TN_SIG_SYMBOL: base = tn_dim_sym(d->sym); break;
    case TN_SIG_ATTR: base = tn_dim_const(tn_use_i64(b->use, d->name)); break;
    case TN_SIG_NAME:
        if ((name = bound(b, d->name)) == NULL)
            return false;
        base = name->dim;
        break;
    default: return false;
    }
    *ret = (struct tenon_dim){base.a * d->scale, base.b * d->scale + d->shift, base.sym, 0};
    return true;
}

/* "w is weight[1536,576], but its dim 1 must be 512, as x is act[T,512]" */
static void complain_dim(const struct bindings *b, uint32_t operand, uint32_t dim, const struct tenon_dim *want, uint32_t because)
{
    const struct tn_op_use *use = b->use;
    char have[TN_TYPE_TEXT], other[TN_TYPE_TEXT], dim_text[48], why[TN_TYPE_TEXT + 48] = "";
    if (because != operand && because < use->n_in)
        (void)snprintf(why, sizeof why, ", as %s is %s", use->sig->in[because].name,
                       tn_type_text(&use->in[because], other, sizeof other));
    tn_issue(use->issues, use->where, "%s is %s, but its dim %u must be %s%s", use->sig->in[operand].name,
             tn_type_text(&use->in[operand], have, sizeof have), dim, tn_dim_text(want, dim_text, sizeof dim_text), why);
}

static void bind_dim(struct bindings *b, uint32_t operand, uint32_t i, const struct tn_sig_dim *d)
{
    const struct tenon_dim *have = &b->use->in[operand].dims[i];
    struct tenon_dim want;
    if (dim_value(b, d, &want)) {
        const struct binding *name = d->kind == TN_SIG_NAME ? bound(b, d->name) : NULL;
        if (!tn_dim_equal(have, &want))
            complain_dim(b, operand, i, &want, name != NULL ? name->operand : UINT32_MAX);
        return;
    }
    if (b->n < sizeof b->names / sizeof b->names[0]) {
        struct binding *name = &b->names[b->n++];
        memcpy(name->name, d->name, sizeof name->name);
        name->dim = *have; /* a scaled name ("2*N") is bound by an earlier operand in every row of the table */
        name->operand = operand;
    }
}

static void bind_lead(struct bindings *b, uint32_t operand, uint32_t n)
{
    const struct tn_op_use *use = b->use;
    const struct tn_type *t = &use->in[operand];
    if (!b->has_lead) {
        b->has_lead = true;
        b->n_lead = n;
        b->lead_operand = operand;
        for (uint32_t i = 0; i < n; i++)
            b->lead[i] = t->dims[i];
        return;
    }
    if (n != b->n_lead) {
        char have[TN_TYPE_TEXT], other[TN_TYPE_TEXT];
        tn_issue(use->issues, use->where, "%s is %s, which has %s dims than %s %s demands", use->sig->in[operand].name,
                 tn_type_text(t, have, sizeof have), n > b->n_lead ? "more" : "fewer", use->sig->in[b->lead_operand].name,
                 tn_type_text(&use->in[b->lead_operand], other, sizeof other));
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        if (!tn_dim_equal(&t->dims[i], &b->lead[i]))
            complain_dim(b, operand, i, &b->lead[i], b->lead_operand);
}

/* `...` stands first ("[...,K]") or last ("[N,...]") in the table; both are handled by counting. */
static void bind_operand(struct bindings *b, uint32_t operand)
{
    const struct tn_op_use *use = b->use;
    const struct tn_sig_operand *o = &use->sig->in[operand];
    const struct tn_type *t = &use->in[operand];
    uint32_t fixed = 0, at = 0;
    bool open = false;

    if (o->rule)
        return;
    for (uint32_t i = 0; i < o->n_dims; i++) {
        open = open || o->dims[i].kind == TN_SIG_ELLIPSIS;
        fixed += o->dims[i].kind != TN_SIG_ELLIPSIS;
    }
    if (t->rank < fixed || (!open && t->rank != fixed)) {
        char have[TN_TYPE_TEXT];
        tn_issue(use->issues, use->where, "%s is %s, but must have %s%u dims (%s)", o->name, tn_type_text(t, have, sizeof have),
                 open ? "at least " : "", fixed, use->op);
        return;
    }
    for (uint32_t i = 0; i < o->n_dims; i++) {
        if (o->dims[i].kind != TN_SIG_ELLIPSIS) {
            bind_dim(b, operand, at++, &o->dims[i]);
            continue;
        }
        uint32_t n = t->rank - fixed;
        if (at == 0) {
            bind_lead(b, operand, n);
        } else { /* trailing: compare by shifting the type */
            struct tn_type tail = *t;
            memmove(tail.dims, t->dims + at, n * sizeof t->dims[0]);
            if (!b->has_lead) {
                b->has_lead = true;
                b->n_lead = n;
                b->lead_operand = operand;
                memcpy(b->lead, tail.dims, n * sizeof tail.dims[0]);
            } else if (n != b->n_lead) {
                complain_dim(b, operand, at, &(struct tenon_dim){0}, b->lead_operand);
            } else {
                for (uint32_t k = 0; k < n; k++)
                    if (!tn_dim_equal(&tail.dims[k], &b->lead[k]))
                        complain_dim(b, operand, at + k, &b->lead[k], b->lead_operand);
            }
        }
        at += n;
    }
}

/* ---- dtypes ------------------------------------------------------------------------------------------------- */

static int32_t like_dtype(const struct tn_op_use *use, const char *name)
{
    uint32_t i = tn_signature_in(use->sig, name);
    int32_t dtype = i < use->n_in ? use->in[i].dtype : 0;
    return dtype == TENON_DTYPE_WEIGHT ? TENON_DTYPE_ACT : dtype;
}

static bool is_num(int32_t dtype)
{
    return dtype == TENON_DTYPE_ACT || dtype == TENON_DTYPE_F32 || dtype == TENON_DTYPE_F16 || dtype == TENON_DTYPE_BF16;
}

static void check_dtype(const struct tn_op_use *use, uint32_t operand)
{
    const struct tn_sig_operand *o = &use->sig->in[operand];
    int32_t have = use->in[operand].dtype, want = o->dtype;
    char text[TN_TYPE_TEXT];
    bool fits = have == want;

    if (want == TN_SIG_LIKE)
        fits = have == (want = like_dtype(use, o->like));
    else if (want == TN_SIG_NUM)
        fits = is_num(have);
    else if (want == TN_SIG_ANY)
        fits = have != TENON_DTYPE_STATE;
    if (!fits)
        tn_issue(use->issues, use->where, "%s is %s, but %s wants %s there", o->name,
                 tn_type_text(&use->in[operand], text, sizeof text), use->op, want == TN_SIG_NUM ? "floats" : tn_dtype_name(want));
}

/* ---- inference ---------------------------------------------------------------------------------------------- */

static void bind_inputs(struct bindings *b)
{
    const struct tn_op_use *use = b->use;
    if (use->n_in > use->sig->n_in)
        tn_issue(use->issues, use->where, "%u operands are given, %s takes %u", use->n_in, use->op, use->sig->n_in);
    for (uint32_t i = 0; i < use->sig->n_in; i++) {
        if (i >= use->n_in || use->in[i].dtype == 0) {
            if (!use->sig->in[i].optional)
                tn_issue(use->issues, use->where, "operand '%s' of %s is missing", use->sig->in[i].name, use->op);
            continue;
        }
        check_dtype(use, i);
        bind_operand(b, i);
    }
}

static void infer_output(struct bindings *b, const struct tn_sig_operand *o, struct tn_type *ret)
{
    const struct tn_op_use *use = b->use;
    uint32_t rank = 0;
    ret->dtype = o->dtype == TN_SIG_LIKE ? like_dtype(use, o->like) : o->dtype;
    for (uint32_t i = 0; i < o->n_dims; i++) {
        uint32_t n = o->dims[i].kind == TN_SIG_ELLIPSIS ? b->n_lead : 1;
        if (rank + n > TENON_RANK_MAX) {
            tn_issue(use->issues, use->where, "%s would have more than %u dims", o->name, TENON_RANK_MAX);
            ret->dtype = 0;
            return;
        }
        if (o->dims[i].kind == TN_SIG_ELLIPSIS)
            memcpy(ret->dims + rank, b->lead, n * sizeof b->lead[0]);
        else if (!dim_value(b, &o->dims[i], &ret->dims[rank]))
            ret->dtype = 0; /* an operand with that name is absent or bad: already told */
        rank += n;
    }
    ret->rank = rank;
}

uint32_t tn_signature_infer(struct tn_op_use *use)
{
    struct bindings b = {.use = use};
    uint32_t before = use->issues->n;

    memset(use->out, 0, sizeof use->out);
    check_attrs(use);
    bind_inputs(&b);
    if (use->issues->n == before) { /* else outputs would be guesses, and their complaints noise */
        for (uint32_t i = 0; i < use->sig->n_out; i++)
            infer_output(&b, &use->sig->out[i], &use->out[i]);
        tn_rules_apply(use);
    }
    if (use->issues->n != before)
        memset(use->out, 0, sizeof use->out);
    return use->issues->n - before;
}
