/* test_signature.c - the notation of ops.h: every row of the table parses and says all it must; broken notation is refused; types
 * are inferred, and misfits are told with names and numbers. */
#include <check.h>
#include <stdlib.h>

#include "core/graph/rules.h"
#include "core/graph/signature.h"
#include "suite.h"

#include <tenon/build.h>

static struct tn_signature parsed(const char *op)
{
    struct tn_signature sig;
    struct tenon_err err = TENON_ERR_INIT;
    const struct tenon_op_desc *d = tenon_op_at(tenon_op_find(op));
    ck_assert_ptr_nonnull(d);
    ck_assert_msg(tn_signature_parse(d->signature, d->attrs, &sig, &err) == 0, "%s: %s", op, err.message);
    return sig;
}

/* "act[T,9,64]", "weight[576]", "_": a type from its text, for tests. Symbols may be scaled: "2*T", "S+1". */
static struct tn_type type_of(const char *text)
{
    static const struct { const char *name; int32_t dtype; } names[] = {
        {"act", TENON_DTYPE_ACT}, {"f32", TENON_DTYPE_F32}, {"i32", TENON_DTYPE_I32}, {"u32", TENON_DTYPE_U32},
        {"weight", TENON_DTYPE_WEIGHT}, {"state", TENON_DTYPE_STATE}};
    struct tn_type t = {0};
    const char *p = strchr(text, '[');
    for (size_t i = 0; p != NULL && i < sizeof names / sizeof names[0]; i++)
        if (strncmp(names[i].name, text, (size_t)(p - text)) == 0 && names[i].name[p - text] == '\0')
            t.dtype = names[i].dtype;
    while (p != NULL && p[1] != '\0' && p[1] != ']') {
        struct tenon_dim *d = &t.dims[t.rank++];
        char *end;
        *d = tn_dim_const(strtol(p + 1, &end, 10));
        p = end;
        if (*p == '*')
            d->a = d->b, d->b = 0, p++;
        else if (strchr("TSRCP", *p) != NULL)
            d->a = 1;
        if (*p != ']' && *p != ',') {
            d->sym = (int32_t)(strchr(" TSRCP", *p) - " TSRCP");
            d->b = p[1] == '+' ? strtol(p + 2, &end, 10) : 0;
            p = p[1] == '+' ? end : p + 1;
        }
        if (*p == ']')
            break;
    }
    return t;
}

/* Infer with operands as texts; the first output as text, or the complaints. */
static const char *infer(const char *op, const char *const *operands, uint32_t n, const struct tenon_attr *attrs, uint32_t n_attrs)
{
    static char text[2000];
    struct tn_signature sig = parsed(op);
    struct tn_type types[TN_SIG_OPERANDS] = {{0}};
    struct tn_issues issues = {0};
    struct tn_op_use use = {.sig = &sig, .op = op, .where = "b.n", .in = types, .n_in = n, .attrs = attrs, .n_attrs = n_attrs, .issues = &issues};
    for (uint32_t i = 0; i < n; i++)
        types[i] = type_of(operands[i]);
    if (tn_signature_infer(&use) > 0)
        (void)snprintf(text, sizeof text, "%s", issues.text.data);
    else
        tn_type_text(&use.out[0], text, sizeof text);
    tn_issues_finish(&issues);
    return text;
}
#define INFER(op, attrs, n_attrs, ...) \
    infer(op, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), attrs, n_attrs)
#define GIVES(want, op, ...) ck_assert_str_eq(INFER(op, NULL, 0, __VA_ARGS__), want)
#define GIVES1(want, op, attr, ...)                                        \
    do {                                                                   \
        const struct tenon_attr attr_ = attr;                              \
        ck_assert_str_eq(INFER(op, &attr_, 1, __VA_ARGS__), want);         \
    } while (0)
#define REFUSES1(words, op, attr, ...)                                     \
    do {                                                                   \
        const struct tenon_attr attr_ = attr;                              \
        const char *have_ = INFER(op, &attr_, 1, __VA_ARGS__);             \
        ck_assert_msg(strstr(have_, words) != NULL, "no \"%s\" in: %s", words, have_); \
    } while (0)
#define REFUSES(words, op, ...)                                            \
    do {                                                                   \
        const char *have_ = INFER(op, NULL, 0, __VA_ARGS__);               \
        ck_assert_msg(strstr(have_, words) != NULL, "no \"%s\" in: %s", words, have_); \
    } while (0)

START_TEST(every_row_is_complete)
{
    for (uint32_t i = 0; i < TENON_OPN_COUNT; i++) {
        const struct tenon_op_desc *d = tenon_op_at(i);
        struct tn_signature sig = parsed(d->id);
        ck_assert_uint_eq(tenon_op_find(d->id), i);
        ck_assert_msg(d->formula[0] != '\0' && d->bound[0] != '\0', "%s lacks a formula or bound", d->id);
        ck_assert_msg((d->tier == 1) == (d->decomposition[0] != '\0'), "%s: composites, and only they, have a decomposition", d->id);
        for (uint32_t k = 0; k < sig.n_out; k++) { /* what an output is made of must be bound by an operand */
            for (uint32_t j = 0; j < sig.out[k].n_dims; j++) {
                const struct tn_sig_dim *dim = &sig.out[k].dims[j];
                bool there = dim->kind != TN_SIG_NAME;
                for (uint32_t m = 0; m < sig.n_in; m++)
                    for (uint32_t q = 0; q < sig.in[m].n_dims; q++)
                        there = there || (sig.in[m].dims[q].kind == TN_SIG_NAME && strcmp(sig.in[m].dims[q].name, dim->name) == 0);
                ck_assert_msg(there, "%s: dim %s of %s comes from nowhere", d->id, dim->name, sig.out[k].name);
            }
        }
    }
    ck_assert_ptr_null(tenon_op_at(TENON_OPN_COUNT));
    ck_assert_uint_eq(tenon_op_find("core.nonsense/1"), TENON_OPN_COUNT);
}
END_TEST

START_TEST(notation)
{
    struct tn_signature sig;
    ck_assert_int_eq(tn_signature_parse("x:act[...,2*N+3] w:weight[N,$heads]? -> y:=x[S+1]", "heads:i scale:f=0.5 kind:s=half s:d p:l", &sig, NULL), 0);
    ck_assert_uint_eq(sig.n_in, 2);
    ck_assert(sig.in[1].optional && !sig.in[0].optional);
    ck_assert_int_eq(sig.in[0].dims[1].scale, 2);
    ck_assert_int_eq(sig.in[0].dims[1].shift, 3);
    ck_assert_int_eq(sig.out[0].dims[0].sym, TENON_SYM_S);
    ck_assert_str_eq(sig.out[0].like, "x");
    ck_assert(sig.attrs[1].has_default && sig.attrs[1].number == 0.5);
    ck_assert_str_eq(sig.attrs[2].text, "half");
}
END_TEST

START_TEST(broken_notation)
{
    static const char *const bad[] = {"", "x:act[T]", "x act[T] -> y:act[T]", "x:what[T] -> y:act[T]", "x:act[T -> y:act[T]",
                                      "x:act[T,] -> y:act[T]", "x:act -> y:act[T]", "-> -> y:act[T]", "x:act[T]-> y:act[A,A,A,A,A,A,A,A]",
                                      "x:=[T] -> y:act[T]", "abcdefghijklmnopqrstuvwxyz:act[T] -> y:act[T]"};
    static const char *const bad_attrs[] = {"eps", "eps:", "eps:x", "eps:f=", "eps:s=", ":f"};
    struct tn_signature sig;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(tn_signature_parse(bad[i], "", &sig, NULL) == TENON_E_INVALID_ARGUMENT, "accepted: %s", bad[i]);
    for (size_t i = 0; i < sizeof bad_attrs / sizeof bad_attrs[0]; i++)
        ck_assert_msg(tn_signature_parse("x:act[T] -> y:act[T]", bad_attrs[i], &sig, NULL) == TENON_E_INVALID_ARGUMENT, "accepted: %s", bad_attrs[i]);
}
END_TEST

START_TEST(inference)
{
    const struct tenon_attr eps = tenon_attr_f("eps", 1e-5);
    GIVES("act[T,8]", "core.matmul/1", "act[T,5]", "weight[8,5]");
    GIVES("act[T,3,8]", "core.matmul/1", "act[T,3,5]", "weight[8,5]", "weight[8]");
    GIVES("act[8]", "core.matmul/1", "act[5]", "weight[8,5]", "_");
    GIVES("act[2*T,7,9]", "core.batch_matmul/1", "act[2*T,7,4]", "act[2*T,9,4]");
    GIVES("act[R,576]", "core.gather/1", "act[T,576]", "i32[R]");
    GIVES("act[T,576]", "core.gather/1", "weight[1000,576]", "i32[T]");
    GIVES("i32[T,3]", "core.gather/1", "i32[S,3]", "i32[T]");
    GIVES("f32[T,C]", "core.attn_mask/1", "i32[T]", "i32[T]", "i32[S]");
    GIVES("act[T,3]", "core.take/1", "act[T,8]", "i32[T,3]");
    GIVES("act[T,9,C]", "core.softmax/1", "act[T,9,C]", "weight[9]");
    GIVES("i32[T]", "core.argmax/1", "act[T,5]");
    GIVES1("act[T,1]", "core.reduce/1", tenon_attr_s("kind", "max"), "act[T,5]");
    GIVES1("act[T,2]", "core.top_k/1", tenon_attr_i("k", 2), "act[T,5]");
    GIVES1("act[T,5]", "core.rms_norm/1", eps, "act[T,5]", "weight[5]");
    GIVES1("act[T,2,5]", "core.concat/1", tenon_attr_i("axis", 1), "act[T,1,5]", "act[T,1,5]");
    GIVES1("act[T,C+3]", "core.concat/1", tenon_attr_i("axis", -1), "act[T,C]", "act[T,3]");
}
END_TEST

START_TEST(shapes_by_rule)
{
    const struct tenon_dim t = tn_dim_sym(TENON_SYM_T), s1 = {1, 1, TENON_SYM_S, 0}, six = tn_dim_const(6), two = tn_dim_const(2),
                           three = tn_dim_const(3), t2 = {2, 0, TENON_SYM_T, 0};
    GIVES1("act[T,2,3]", "core.reshape/1", tenon_attr_d("shape", ((struct tenon_dim[]){t, two, three}), 3), "act[T,6]");
    GIVES1("act[2*T,3]", "core.reshape/1", tenon_attr_d("shape", ((struct tenon_dim[]){t2, three}), 2), "act[T,6]");
    GIVES1("act[6,S+1]", "core.reshape/1", tenon_attr_d("shape", ((struct tenon_dim[]){six, s1}), 2), "act[S+1,2,3]");
    REFUSES1("number of elements", "core.reshape/1", tenon_attr_d("shape", ((struct tenon_dim[]){t, two}), 2), "act[T,6]");
    REFUSES1("number of elements", "core.reshape/1", tenon_attr_d("shape", ((struct tenon_dim[]){s1, six}), 2), "act[T,6]");
    GIVES1("act[3,T]", "core.transpose/1", tenon_attr_l("perm", ((int64_t[]){1, 0}), 2), "act[T,3]");
    REFUSES1("no permutation", "core.transpose/1", tenon_attr_l("perm", ((int64_t[]){1, 1}), 2), "act[T,3]");
    GIVES1("act[T,2,3]", "core.broadcast/1", tenon_attr_d("shape", ((struct tenon_dim[]){t, two, three}), 3), "act[2,1]");
    REFUSES1("does not broadcast", "core.broadcast/1", tenon_attr_d("shape", ((struct tenon_dim[]){t, two}), 2), "act[3]");
    const struct tenon_attr cut[] = {tenon_attr_i("axis", -1), tenon_attr_i("start", 2), tenon_attr_i("length", 4)};
    ck_assert_str_eq(INFER("core.slice/1", cut, 3, "act[T,6]"), "act[T,4]");
    ck_assert_ptr_nonnull(strstr(INFER("core.slice/1", cut, 3, "act[T,5]"), "lies not within"));
    ck_assert_ptr_nonnull(strstr(INFER("core.slice/1", cut, 3, "act[6,T]"), "lies not within"));
}
END_TEST

START_TEST(complaints)
{
    REFUSES("b.n: w is weight[1536,576], but its dim 1 must be 512, as x is act[T,512]", "core.matmul/1", "act[T,512]", "weight[1536,576]");
    REFUSES("operand 'w' of core.matmul/1 is missing", "core.matmul/1", "act[T,512]");
    REFUSES("w is act[5,512], but core.matmul/1 wants weight there", "core.matmul/1", "act[T,512]", "act[5,512]");
    REFUSES("x is f32[T,512]", "core.matmul/1", "f32[T,512]", "weight[5,512]");
    REFUSES("must have 2 dims", "core.matmul/1", "act[T,512]", "weight[512]");
    REFUSES("4 operands are given", "core.matmul/1", "act[T,5]", "weight[8,5]", "_", "act[T]");
    REFUSES("attribute 'eps' of core.rms_norm/1 is missing", "core.rms_norm/1", "act[T,5]");
    REFUSES1("attribute 'epsilon' is unknown", "core.rms_norm/1", tenon_attr_f("epsilon", 1), "act[T,5]");
    REFUSES1("must be a float", "core.rms_norm/1", tenon_attr_i("eps", 1), "act[T,5]");
    REFUSES1("is none of", "core.unary/1", tenon_attr_s("kind", "sil"), "act[T,5]");
    REFUSES1("is none of", "core.unary/1", tenon_attr_s("kind", ""), "act[T,5]");
    REFUSES("does not broadcast", "core.add/1", "act[T,5]", "act[T,4]");
    REFUSES("b is act[R,5], but its dim 0 must be T", "core.add_norm/1", "act[T,5]", "act[R,5]", "weight[5]");
    REFUSES("more dims than", "core.select/1", "i32[5]", "act[T,5]", "act[5]");
    REFUSES("the sink", "core.softmax/1", "act[T,9,C]", "weight[8]");
    REFUSES1("of only 5", "core.top_k/1", tenon_attr_i("k", 6), "act[T,5]");
    /* all of them at once */
    const struct tenon_attr odd = tenon_attr_i("nonsense", 1);
    const char *all = INFER("core.rms_norm/1", &odd, 1, "act[T,5]", "weight[4]");
    ck_assert_ptr_nonnull(strstr(all, "nonsense"));
    ck_assert_ptr_nonnull(strstr(all, "'eps' of"));
    ck_assert_ptr_nonnull(strstr(all, "w is weight[4]"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signature");
    TCase *c = tcase_create("signature");
    tcase_add_test(c, every_row_is_complete);
    tcase_add_test(c, notation);
    tcase_add_test(c, broken_notation);
    tcase_add_test(c, inference);
    tcase_add_test(c, shapes_by_rule);
    tcase_add_test(c, complaints);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
