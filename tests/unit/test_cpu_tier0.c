/* test_cpu_tier0.c - every op of tier 0 through the CPU backend, each as a graph of one node, against tenon-reference: to the bit
 * where the backend calls it, within the op's bound where a kernel runs. Odd shapes, no rows, NaN and infinities, weights in f32 and
 * f16, one thread and three. A new op of the table fails this test until it has a case here. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "cpu_machine.h"
#include "suite.h"

/* ---- cases: each adds its operands and attributes, and returns how many attributes ------------------------------- */

enum { K = 7, SLOTS = 5 };
static float slots_before[1024], slots[1024]; /* contents of the fixture's slots, and the reference's copy */

#define ATTRS struct fixture *f, struct tenon_attr *a
#define X2 add_input(f, "x", DIMS(R_, N_(K)))
#define X3 add_input(f, "x", DIMS(R_, N_(3), N_(K)))

static uint32_t kind(struct tenon_attr *a, const char *word) { return a[0] = tenon_attr_s("kind", word), 1; }
static uint32_t eps(struct tenon_attr *a) { return a[0] = tenon_attr_f("eps", 1e-5), 1; }

static void add_indexes(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank, int32_t low, int32_t high)
{
    int32_t *p = add_ints(f, name, TENON_DTYPE_I32, (int32_t[256]){0}, dims, rank);
    for (int i = 0; i < 64 && rank == 1 && i < f->dims.sym[TENON_SYM_R]; i++)
        p[i] = low + (int32_t)(random_u32() % (uint32_t)(high - low + 1));
    for (int i = 0; rank == 2 && i < f->dims.sym[TENON_SYM_R] * dims[1].b; i++)
        p[i] = low + (int32_t)(random_u32() % (uint32_t)(high - low + 1));
}

static uint32_t matmul(ATTRS) { (void)a; X3; add_weight(f, "w", DIMS(N_(4), N_(K))); add_weight(f, "b", DIMS(N_(4))); return 0; }
static uint32_t grouped(ATTRS)
{
    (void)a;
    X3;
    add_weight(f, "w", DIMS(N_(5), N_(4), N_(K)));
    add_indexes(f, "expert", DIMS(R_, N_(3)), 0, 4);
    add_weight(f, "b", DIMS(N_(5), N_(4)));
    return 0;
}
static uint32_t grouped_one(ATTRS)
{
    (void)a;
    add_input(f, "x", DIMS(R_, N_(1), N_(K)));
    add_weight(f, "w", DIMS(N_(5), N_(4), N_(K)));
    add_indexes(f, "expert", DIMS(R_, N_(3)), 0, 4);
    return 0;
}
static uint32_t batch(ATTRS) { (void)a; X3; add_input(f, "b", DIMS(R_, N_(5), N_(K))); return 0; }
static uint32_t batch_flat(ATTRS) { (void)a; X2; add_input(f, "b", DIMS(N_(5), N_(K))); return 0; }
static uint32_t binary(ATTRS) { (void)a; X3; add_input(f, "b", DIMS(R_, N_(1), N_(K))); return 0; }
static uint32_t binary_same(ATTRS) { (void)a; X3; add_input(f, "b", DIMS(R_, N_(3), N_(K))); return 0; }
static uint32_t binary_row(ATTRS) { (void)a; X3; add_input(f, "b", DIMS(N_(1), N_(K))); return 0; }
static uint32_t binary_one(ATTRS) { (void)a; X3; add_f32(f, "b", DIMS(N_(1))); return 0; }
static uint32_t binary_vector(ATTRS) { (void)a; X3; add_weight(f, "b", DIMS(N_(K))); return 0; }
static uint32_t binary_matrix(ATTRS) { (void)a; X3; add_weight(f, "b", DIMS(N_(3), N_(K))); return 0; }
static uint32_t affine(ATTRS) { X2; a[0] = tenon_attr_f("scale", 0.7); a[1] = tenon_attr_f("shift", -0.3); return 2; }
static uint32_t silu(ATTRS) { X2; return kind(a, "silu"); }
static uint32_t softplus(ATTRS) { X2; return kind(a, "softplus"); }
static uint32_t clamp(ATTRS) { X2; a[0] = tenon_attr_f("min", -0.2); a[1] = tenon_attr_f("max", 0.5); return 2; }
static uint32_t softcap(ATTRS) { X2; a[0] = tenon_attr_f("cap", 0.8); return 1; }
static uint32_t select_(ATTRS)
{
    (void)a;
    add_indexes(f, "mask", DIMS(R_, N_(K)), 0, 1);
    X2;
    add_input(f, "b", DIMS(R_, N_(K)));
    return 0;
}
static uint32_t compare(ATTRS) { X3; add_input(f, "b", DIMS(R_, N_(1), N_(K))); return kind(a, "le"); }
static uint32_t compare_ints(ATTRS)
{
    add_indexes(f, "x", DIMS(R_, N_(K)), -2, 2);
    add_ints(f, "b", TENON_DTYPE_I32, (int32_t[]){-2, -1, 0, 1, 2, 0, 0}, DIMS(N_(K)));
    return kind(a, "gt");
}
static uint32_t sum(ATTRS) { X3; return kind(a, "sum"); }
static uint32_t max(ATTRS) { X2; return kind(a, "max"); }
static uint32_t sum_of_none(ATTRS) { add_input(f, "x", DIMS(N_(3), R_)); return kind(a, "sumsq"); }
static uint32_t x3(ATTRS) { (void)a; X3; return 0; }
static uint32_t x1(ATTRS) { (void)a; add_input(f, "x", DIMS(N_(K))); return 0; }
static uint32_t top_k(ATTRS) { X3; a[0] = tenon_attr_i("k", 4); return 1; }
static uint32_t softmax(ATTRS) { X3; add_weight(f, "sink", DIMS(N_(3))); a[0] = tenon_attr_f("scale", 1.3); return 1; }
static uint32_t softmax_plain(ATTRS) { (void)a; X2; return 0; }
static uint32_t softmax_heads(ATTRS) { (void)a; X2; add_input(f, "sink", DIMS(R_)); return 0; }
static uint32_t norm(ATTRS) { X3; return eps(a); }
static uint32_t norm_weight(ATTRS) { X3; add_weight(f, "w", DIMS(N_(K))); return eps(a); }
static uint32_t norm_bias(ATTRS) { X3; add_weight(f, "w", DIMS(N_(K))); add_weight(f, "b", DIMS(N_(K))); return eps(a); }
static uint32_t norm_groups(ATTRS)
{
    add_input(f, "x", DIMS(R_, N_(6)));
    add_weight(f, "w", DIMS(N_(6)));
    a[1] = tenon_attr_i("groups", 3);
    return eps(a) + 1;
}
static uint32_t rope(ATTRS)
{
    add_input(f, "x", DIMS(T_, N_(3), N_(K)));
    add_step(f, "position", position, TOKENS);
    add_weight(f, "factors", DIMS(N_(2)));
    a[0] = tenon_attr_i("n_rot", 4);
    a[1] = tenon_attr_f("base", 100);
    a[2] = tenon_attr_s("layout", "interleaved");
    return 3;
}
static uint32_t mask(ATTRS)
{
    add_step(f, "position", position, TOKENS);
    add_step(f, "seq_of_token", seq_of_token, TOKENS);
    add_step(f, "context_len", context_len, SEQS);
    a[0] = tenon_attr_i("window", 3);
    return 1;
}
static uint32_t gather(ATTRS)
{
    add_input(f, "table", DIMS(N_(5), N_(3), N_(2)));
    add_indexes(f, "index", DIMS(R_), -2, 6);
    a[0] = tenon_attr_f("scale", 0.5);
    return 1;
}
static uint32_t gather_weight(ATTRS) { (void)a; add_weight(f, "w", DIMS(N_(5), N_(K))); add_indexes(f, "index", DIMS(R_), -2, 6); return 0; }
static uint32_t gather_experts(ATTRS)
{
    add_weight(f, "w", DIMS(N_(5), N_(3), N_(K)));
    add_indexes(f, "index", DIMS(R_), -2, 6);
    a[0] = tenon_attr_f("scale", 3);
    return 1;
}
static uint32_t gather_ints(ATTRS)
{
    add_ints(f, "table", TENON_DTYPE_I32, (int32_t[]){9, 8, 7, -1, 0x7fffffff, 2}, DIMS(N_(3), N_(2)));
    add_indexes(f, "index", DIMS(R_), -1, 3);
    a[0] = tenon_attr_f("scale", 0.5); /* integers are not scaled */
    return 1;
}
static uint32_t take(ATTRS) { (void)a; X2; add_indexes(f, "index", DIMS(R_, N_(3)), -2, K + 1); return 0; }
static uint32_t scatter(ATTRS)
{
    (void)a;
    add_input(f, "base", DIMS(N_(5), N_(K)));
    add_indexes(f, "index", DIMS(R_), -2, 6);
    X2;
    return 0;
}
static uint32_t concat(ATTRS) { X3; add_input(f, "b", DIMS(R_, N_(2), N_(K))); a[0] = tenon_attr_i("axis", -2); return 1; }
static uint32_t concat_first(ATTRS) { X2; add_input(f, "b", DIMS(N_(2), N_(K))); a[0] = tenon_attr_i("axis", -2); return 1; }
static uint32_t slice(ATTRS)
{
    X3;
    a[0] = tenon_attr_i("axis", 2), a[1] = tenon_attr_i("start", 2), a[2] = tenon_attr_i("length", 3);
    return 3;
}
static uint32_t slice_first(ATTRS)
{
    add_input(f, "x", DIMS(N_(4), R_));
    a[0] = tenon_attr_i("axis", -2), a[1] = tenon_attr_i("start", 1), a[2] = tenon_attr_i("length", 2);
    return 3;
}
static uint32_t transpose(ATTRS) { static const int64_t perm[] = {0, 2, 1}; X3; a[0] = tenon_attr_l("perm", perm, 3); return 1; }
static uint32_t transpose_first(ATTRS) { static const int64_t perm[] = {2, 0, 1}; X3; a[0] = tenon_attr_l("perm", perm, 3); return 1; }
static struct tenon_dim shape[3];
static uint32_t shape3(struct tenon_attr *a, struct tenon_dim d0, struct tenon_dim d1, struct tenon_dim d2)
{
    shape[0] = d0, shape[1] = d1, shape[2] = d2;
    a[0] = tenon_attr_d("shape", shape, 3);
    return 1;
}
static uint32_t broadcast(ATTRS) { add_input(f, "x", DIMS(R_, N_(1), N_(K))); return shape3(a, R_, N_(3), N_(K)); }
static uint32_t broadcast_new(ATTRS) { add_input(f, "x", DIMS(N_(1), N_(K))); return shape3(a, R_, N_(3), N_(K)); }
static uint32_t convert_ints(ATTRS) { (void)a; add_indexes(f, "x", DIMS(R_, N_(K)), -99, 99); return 0; }
static uint32_t convert_words(ATTRS)
{
    (void)a;
    add_ints(f, "x", TENON_DTYPE_U32, (uint32_t[]){0, 1, 0xffffffff, 77}, DIMS(N_(4)));
    return 0;
}
static uint32_t bits(ATTRS)
{
    uint32_t words[10];
    for (int i = 0; i < 10; i++)
        words[i] = random_u32();
    add_ints(f, "x", TENON_DTYPE_U32, words, DIMS(R_, N_(2)));
    a[0] = tenon_attr_i("count", 45);
    return 1;
}
static uint32_t iota(ATTRS) { (void)f; return shape3(a, R_, N_(2), N_(K)); }
static uint32_t fill(ATTRS) { (void)f; a[1] = tenon_attr_f("value", -1.5); return shape3(a, R_, N_(2), N_(K)) + 1; }
static uint32_t rand_(ATTRS)
{
    uint32_t words[10];
    (void)a;
    for (int i = 0; i < 10; i++)
        words[i] = random_u32();
    add_ints(f, "seed", TENON_DTYPE_U32, words, DIMS(R_, N_(2)));
    add_ints(f, "index", TENON_DTYPE_U32, words, DIMS(R_));
    return 0;
}

/* Slots of n floats, filled. */
static void add_slots(struct fixture *f, int32_t kind_, int64_t n)
{
    add_state(f, "state", slots);
    f->state.kind = kind_;
    f->state.slot_bytes = (uint64_t)n * 4;
    for (int64_t i = 0; i < SLOTS * n; i++)
        slots[i] = slots_before[i] = random_float();
}
static const int32_t state_slot[SEQS] = {3, 1};
static void add_seqs(struct fixture *f) { add_step(f, "state_slot", state_slot, SEQS); add_step(f, "seq_start", seq_start, SEQS + 1); }
static uint32_t slot_load(ATTRS)
{
    add_slots(f, TENON_STATE_RECURRENT, 6);
    add_step(f, "state_slot", state_slot, SEQS);
    return shape3(a, S_, N_(2), N_(3));
}
static uint32_t slot_store(ATTRS)
{
    (void)a;
    add_slots(f, TENON_STATE_RECURRENT, 6);
    add_step(f, "state_slot", state_slot, SEQS);
    add_f32(f, "x", DIMS(S_, N_(2), N_(3)));
    return 0;
}
static uint32_t conv(ATTRS)
{
    (void)a;
    add_input(f, "x", DIMS(T_, N_(3)));
    add_weight(f, "w", DIMS(N_(3), N_(4)));
    add_weight(f, "b", DIMS(N_(3)));
    add_slots(f, TENON_STATE_CONV, 9);
    add_seqs(f);
    return 0;
}
static uint32_t linear(ATTRS)
{
    (void)a;
    add_input(f, "decay", DIMS(T_, N_(3)));
    add_input(f, "x", DIMS(T_, N_(3)));
    add_slots(f, TENON_STATE_RECURRENT, 3);
    add_seqs(f);
    return 0;
}
static uint32_t outer(ATTRS)
{
    (void)a;
    add_input(f, "decay", DIMS(T_, N_(2)));
    add_input(f, "k", DIMS(T_, N_(2), N_(3)));
    add_input(f, "v", DIMS(T_, N_(2), N_(4)));
    add_input(f, "q", DIMS(T_, N_(2), N_(3)));
    add_input(f, "beta", DIMS(T_, N_(2)));
    add_slots(f, TENON_STATE_RECURRENT, 24);
    add_seqs(f);
    return 0;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct op_case {
    const char *op;
    uint32_t (*make)(struct fixture *f, struct tenon_attr *a);
    double tol; /* 0: equal to the bit */
    uint32_t n_out, n_ret;
} cases[] = {
    {"core.matmul/1", matmul, 1e-6, 1, 1}, {"core.grouped_matmul/1", grouped, 0, 1, 1}, {"core.grouped_matmul/1", grouped_one, 0, 1, 1},
    {"core.batch_matmul/1", batch, 0, 1, 1}, {"core.batch_matmul/1", batch_flat, 0, 1, 1},
    {"core.add/1", binary, 0, 1, 1}, {"core.add/1", binary_same, 0, 1, 1}, {"core.add/1", binary_row, 0, 1, 1},
    {"core.add/1", binary_one, 0, 1, 1}, {"core.add/1", binary_vector, 0, 1, 1}, {"core.add/1", binary_matrix, 0, 1, 1},
    {"core.sub/1", binary, 0, 1, 1}, {"core.mul/1", binary, 0, 1, 1}, {"core.mul/1", binary_same, 0, 1, 1},
    {"core.mul/1", binary_matrix, 0, 1, 1}, {"core.div/1", binary, 0, 1, 1}, {"core.maximum/1", binary, 0, 1, 1},
    {"core.affine/1", affine, 1e-6, 1, 1}, {"core.unary/1", silu, 1e-6, 1, 1}, {"core.unary/1", softplus, 1e-6, 1, 1},
    {"core.clamp/1", clamp, 0, 1, 1}, {"core.softcap/1", softcap, 1e-6, 1, 1}, {"core.select/1", select_, 0, 1, 1},
    {"core.reduce/1", sum, 0, 1, 1}, {"core.reduce/1", max, 0, 1, 1}, {"core.reduce/1", sum_of_none, 0, 1, 1},
    {"core.argmax/1", x3, 0, 1, 1}, {"core.argmax/1", x1, 0, 1, 1}, {"core.top_k/1", top_k, 0, 2, 2},
    {"core.softmax/1", softmax, 0, 1, 1}, {"core.softmax/1", softmax_plain, 0, 1, 1}, {"core.softmax/1", softmax_heads, 0, 1, 1},
    {"core.cumsum/1", x3, 0, 1, 1}, {"core.rms_norm/1", norm_weight, 1e-6, 1, 1}, {"core.rms_norm/1", norm, 1e-6, 1, 1},
    {"core.layer_norm/1", norm_bias, 1e-6, 1, 1}, {"core.layer_norm/1", norm, 1e-6, 1, 1}, {"core.l2_norm/1", norm, 0, 1, 1},
    {"core.group_norm/1", norm_groups, 0, 1, 1}, {"core.rope/1", rope, 1e-6, 1, 1}, {"core.attn_mask/1", mask, 0, 1, 1},
    {"core.gather/1", gather, 1e-7, 1, 1}, {"core.gather/1", gather_weight, 0, 1, 1}, {"core.gather/1", gather_experts, 0, 1, 1},
    {"core.gather/1", gather_ints, 0, 1, 1}, {"core.take/1", take, 0, 1, 1}, {"core.scatter_add/1", scatter, 0, 1, 1},
    {"core.concat/1", concat, 0, 1, 1}, {"core.concat/1", concat_first, 0, 1, 1}, {"core.slice/1", slice, 0, 1, 1},
    {"core.slice/1", slice_first, 0, 1, 1}, {"core.transpose/1", transpose, 0, 1, 1}, {"core.transpose/1", transpose_first, 0, 1, 1},
    {"core.broadcast/1", broadcast, 0, 1, 1}, {"core.broadcast/1", broadcast_new, 0, 1, 1}, {"core.convert/1", convert_ints, 0, 1, 1},
    {"core.convert/1", convert_words, 0, 1, 1}, {"core.convert/1", x3, 0, 1, 1}, {"core.to_act/1", x3, 0, 1, 1},
    {"core.bits/1", bits, 0, 1, 1}, {"core.iota/1", iota, 0, 1, 1}, {"core.fill/1", fill, 0, 1, 1},
    {"core.compare/1", compare, 0, 1, 1}, {"core.compare/1", compare_ints, 0, 1, 1}, {"core.random/1", rand_, 0, 1, 1},
    {"core.slot_load/1", slot_load, 0, 1, 1}, {"core.slot_store/1", slot_store, 0, 1, 0}, {"core.conv_scan/1", conv, 1e-6, 2, 1},
    {"core.linear_scan/1", linear, 0, 2, 1}, {"core.outer_scan/1", outer, 0, 2, 1},
};
#define N_CASES ((int)(sizeof cases / sizeof cases[0]))

/* ---- running ------------------------------------------------------------------------------------------------------ */

static void spoil(struct fixture *f)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, -0.0f, 0.0f};
    for (uint32_t i = 0; i < f->n; i++) {
        struct item *it = &f->items[i];
        int64_t n = it->kind == TENON_VALUE_INPUT && (it->dtype == TENON_DTYPE_ACT || it->dtype == TENON_DTYPE_F32);
        for (uint32_t d = 0; d < it->rank; d++)
            n *= tenon_dim_value(&it->dims[d], &f->dims);
        for (int64_t k = 1; k < n; k += 3)
            ((float *)it->data)[k] = odd[random_u32() % 5];
    }
}

static void check_word(const struct op_case *c, int64_t i, int32_t dtype, const void *got, const void *want)
{
    float g, w;
    memcpy(&g, got, 4);
    memcpy(&w, want, 4);
    if (memcmp(got, want, 4) == 0 || (dtype != TENON_DTYPE_I32 && isnan(g) && isnan(w)))
        return;
    ck_assert_msg(dtype != TENON_DTYPE_I32 && c->tol > 0 && fabs((double)g - w) <= c->tol * fmax(1.0, fabs((double)w)),
                  "%s[%d] is %.9g, not %.9g", c->op, (int)i, (double)g, (double)w);
}

static void check_outputs(const struct op_case *c, struct fixture *f, void **got)
{
    for (uint32_t r = 0; r < c->n_ret; r++) {
        const struct eval_tensor *want = eval_output(&f->eval, r);
        for (int64_t i = 0; i < want->n; i++)
            check_word(c, i, want->dtype, (char *)got[r] + 4 * i, (char *)want->p + 4 * i);
        free(got[r]);
    }
}

static void check_case(struct machine *m, const struct op_case *c, int64_t rows, bool odd, bool half)
{
    struct fixture f = {.dims = attention_dims()};
    struct machine_options o = {.half = half};
    struct tenon_attr attrs[8];
    float after[1024];
    void *got[4];
    f.dims.sym[TENON_SYM_R] = rows;
    uint32_t n = c->make(&f, attrs);
    if (half)
        machine_round_weights(&f);
    if (odd)
        spoil(&f);
    if (f.state.name != NULL)
        o = (struct machine_options){.half = half, .units = SLOTS, .before = slots_before, .after = after};
    run(&f, c->op, attrs, n, c->n_out, c->n_ret);
    machine_run(m, &f, &o, got);
    check_outputs(c, &f, got);
    for (uint64_t i = 0; f.state.name != NULL && i < SLOTS * f.state.slot_bytes / 4; i++)
        check_word(c, (int64_t)i, TENON_DTYPE_F32, &after[i], &slots[i]);
    finish(&f);
}

START_TEST(every_op)
{
    static const int64_t rows[] = {5, 1, 0};
    static const uint32_t threads[] = {1, 3};
    start();
    for (int t = 0; t < 2; t++) {
        struct machine m;
        machine_open(&m, threads[t]);
        for (int i = 0; i < N_CASES; i++)
            for (int r = 0; r < 3; r++)
                for (int how = 0; how < 4; how++)
                    check_case(&m, &cases[i], rows[r], (how & 1) != 0, (how & 2) != 0);
        machine_close(&m);
    }
}
END_TEST

START_TEST(table_is_covered)
{
    static const char *const elsewhere[] = {"core.reshape/1", "core.kv_store/1", "core.kv_load/1", "core.all_reduce/1", "core.all_gather/1"};
    for (uint32_t i = 0; i < TENON_OPN_COUNT; i++) {
        bool found = tenon_op_at(i)->tier != 0;
        for (int k = 0; k < N_CASES; k++)
            found |= strcmp(cases[k].op, tenon_op_at(i)->id) == 0;
        for (size_t k = 0; k < sizeof elsewhere / sizeof elsewhere[0]; k++)
            found |= strcmp(elsewhere[k], tenon_op_at(i)->id) == 0;
        ck_assert_msg(found, "%s has no case", tenon_op_at(i)->id);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cpu_tier0");
    TCase *tc = tcase_create("ops");
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, every_op);
    tcase_add_test(tc, table_is_covered);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
