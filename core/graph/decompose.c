/* Helpers of the decompositions and the table of them. Any thread. Contract: decompose.h. */
#include "core/graph/decompose.h"

uint32_t tn_d_transpose(const struct tn_decompose *d, const char *name, uint32_t x, uint32_t rank, const int64_t *perm)
{
    struct tenon_attr a = tenon_attr_l("perm", perm, rank);
    return tenon_node1(d->b, "core.transpose/1", name, &x, 1, &a, 1);
}

uint32_t tn_d_broadcast(const struct tn_decompose *d, const char *name, uint32_t x, uint32_t rank, const struct tenon_dim *dims)
{
    struct tenon_attr a = tenon_attr_d("shape", dims, rank);
    return tenon_node1(d->b, "core.broadcast/1", name, &x, 1, &a, 1);
}

uint32_t tn_d_reduce(const struct tn_decompose *d, const char *name, const char *kind, uint32_t x)
{
    struct tenon_attr a = tenon_attr_s("kind", kind);
    return tenon_node1(d->b, "core.reduce/1", name, &x, 1, &a, 1);
}

uint32_t tn_d_compare(const struct tn_decompose *d, const char *name, const char *kind, uint32_t a, uint32_t b)
{
    struct tenon_attr attr = tenon_attr_s("kind", kind);
    const uint32_t in[] = {a, b};
    return tenon_node1(d->b, "core.compare/1", name, in, 2, &attr, 1);
}

uint32_t tn_d_select(const struct tn_decompose *d, const char *name, uint32_t mask, uint32_t a, uint32_t b)
{
    const uint32_t in[] = {mask, a, b};
    return tenon_node1(d->b, "core.select/1", name, in, 3, NULL, 0);
}

uint32_t tn_d_fill(const struct tn_decompose *d, const char *name, double value, uint32_t rank, const struct tenon_dim *dims)
{
    const struct tenon_attr a[] = {tenon_attr_d("shape", dims, rank), tenon_attr_f("value", value)};
    return tenon_node1(d->b, "core.fill/1", name, NULL, 0, a, 2);
}

uint32_t tn_d_iota(const struct tn_decompose *d, const char *name, struct tenon_dim n)
{
    struct tenon_attr a = tenon_attr_d("shape", &n, 1);
    return tenon_node1(d->b, "core.iota/1", name, NULL, 0, &a, 1);
}

uint32_t tn_d_slice(const struct tn_decompose *d, const char *name, uint32_t x, int64_t axis, int64_t start, int64_t length)
{
    const struct tenon_attr a[] = {tenon_attr_i("axis", axis), tenon_attr_i("start", start), tenon_attr_i("length", length)};
    return tenon_node1(d->b, "core.slice/1", name, &x, 1, a, 3);
}

uint32_t tn_d_clamp(const struct tn_decompose *d, const char *name, uint32_t x, double least, double most)
{
    const struct tenon_attr a[] = {tenon_attr_f("min", least), tenon_attr_f("max", most)};
    return tenon_node1(d->b, "core.clamp/1", name, &x, 1, a, 2);
}

uint32_t tn_d_softmax(const struct tn_decompose *d, const char *name, uint32_t x, uint32_t sink)
{
    const uint32_t in[] = {x, sink};
    return tenon_node1(d->b, "core.softmax/1", name, in, 2, NULL, 0);
}

uint32_t tn_d_top_k(const struct tn_decompose *d, const char *name, uint32_t x, int64_t k, uint32_t *ret_index)
{
    struct tenon_attr a = tenon_attr_i("k", k);
    uint32_t outs[2] = {TENON_NO_VALUE, TENON_NO_VALUE};
    (void)d->b->node(d->b->ctx, "core.top_k/1", name, &x, 1, &a, 1, outs, 2); /* the error sticks in b */
    *ret_index = outs[1];
    return outs[0];
}

uint32_t tn_d_reshape4(const struct tn_decompose *d, const char *name, uint32_t x, struct tenon_dim d0, struct tenon_dim d1,
                       struct tenon_dim d2, struct tenon_dim d3)
{
    const struct tenon_dim dims[] = {d0, d1, d2, d3};
    return tenon_reshape(d->b, name, x, dims, 4);
}

static const struct { const char *op; tn_decompose_fn *fn; } table[] = {
    {"core.attention/1", tn_decompose_attention}, {"core.latent_attention/1", tn_decompose_latent_attention},
    {"core.gated_ffn/1", tn_decompose_gated_ffn}, {"core.moe_ffn/1", tn_decompose_moe_ffn},
    {"core.add_norm/1", tn_decompose_add_norm}, {"core.ssm_scan/1", tn_decompose_ssm_scan},
    {"core.delta_rule/1", tn_decompose_delta_rule}, {"core.sample/1", tn_decompose_sample},
};

tn_decompose_fn *tn_decompose_find(const char *op)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].op, op) == 0)
            return table[i].fn;
    return NULL;
}
