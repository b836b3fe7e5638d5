/* test_transform.c - every transform against its definition, element by element, on odd shapes; what is used in place; and what must
 * be refused. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "core/model/transform.h"
#include "quantizer.h"
#include "suite.h"

/* A weight of `dims` from a tensor of `source`, both ended by 0. */
struct one {
    struct tenon_weight_desc desc;
    struct tenon_weight_source source;
    struct tn_tensor tensor;
    struct tn_transform t;
    struct tn_place place;
    uint64_t skew; /* bytes behind where planes would be aligned */
    bool anywhere; /* it does not matter */
};

static uint32_t count_dims(const uint64_t *dims)
{
    uint32_t n = 0;
    while (dims[n] != 0)
        n++;
    return n;
}

static bool fit(struct one *o, const uint64_t *dims, const uint64_t *source, int32_t xform, uint32_t part, uint32_t parts, uint32_t groups)
{
    memset(o, 0, sizeof *o);
    o->desc = (struct tenon_weight_desc){.struct_size = sizeof o->desc, .name = "w", .rank = count_dims(dims)};
    memcpy(o->desc.dims, dims, o->desc.rank * sizeof *dims);
    o->source = (struct tenon_weight_source){.struct_size = sizeof o->source, .xform = xform, .part = part, .parts = parts, .groups = groups};
    o->tensor.t = (struct tenon_tensor){.n_dims = count_dims(source), .name = {"t", 1}};
    memcpy(o->tensor.t.dims, source, o->tensor.t.n_dims * sizeof *source);
    return tn_transform_fit(&o->t, &o->desc, &o->source, o->tensor.t.n_dims, o->tensor.t.dims);
}

static int32_t place(struct one *o, const char *id)
{
    struct tenon_err err = TENON_ERR_INIT;
    uint64_t rows = 1, cols = o->tensor.t.dims[o->tensor.t.n_dims - 1];
    o->tensor.encoding = encoding(id);
    o->tensor.t.n_planes = o->tensor.encoding->n_planes;
    for (uint32_t i = 0; i + 1 < o->tensor.t.n_dims; i++)
        rows *= o->tensor.t.dims[i];
    for (uint32_t p = 0; p < o->tensor.t.n_planes; p++)
        o->tensor.t.planes[p] = (struct tenon_range){.file = 7, .offset = 1000 + o->skew, .size = tenon_encoding_plane_bytes(o->tensor.encoding, p, rows, cols)};
    return tn_transform_place(&o->t, &o->tensor, encoding("f32/1"), o->anywhere, &o->place, &err);
}

#define DIMS(...) ((const uint64_t[]){__VA_ARGS__, 0})

/* Make the weight of f32 numbers. sources [n]: one tensor, or one per expert. */
static float *make(struct one *o, const float *const *sources, uint32_t n)
{
    const void *in[8][TENON_TENSOR_PLANES] = {{NULL}};
    void *out[TENON_TENSOR_PLANES] = {NULL};
    ck_assert_int_eq(place(o, "f32/1"), 0);
    ck_assert(o->place.made);
    for (uint32_t i = 0; i < n; i++)
        in[i][0] = sources[i];
    out[0] = malloc(o->place.planes[0].size);
    ck_assert_ptr_nonnull(out[0]);
    tn_transform_fill(&o->t, &o->place, o->tensor.encoding, (const void *const (*)[TENON_TENSOR_PLANES])in, out);
    return out[0];
}

static float *numbers(uint32_t n, float first)
{
    float *x = malloc(n * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (uint32_t i = 0; i < n; i++)
        x[i] = first + (float)i;
    return x;
}

/* ---- one transform each ------------------------------------------------------------------------------------- */

START_TEST(untouched)
{
    struct one o;
    ck_assert(fit(&o, DIMS(5, 3), DIMS(5, 3), TENON_XFORM_NONE, 0, 0, 0));
    ck_assert_int_eq(place(&o, "f16/1"), 0);
    ck_assert(!o.place.made);
    ck_assert_uint_eq(o.place.planes[0].offset, 1000);
    ck_assert_uint_eq(o.place.planes[0].size, 30);
    ck_assert_str_eq(o.place.encoding->id, "f16/1");
    ck_assert(fit(&o, DIMS(5, 3), DIMS(5, 1, 3), TENON_XFORM_NONE, 0, 0, 0)); /* dims of 1 do not matter */
    ck_assert(fit(&o, DIMS(1), DIMS(1, 1), TENON_XFORM_NONE, 0, 0, 0));
    ck_assert(!fit(&o, DIMS(5, 3), DIMS(3, 5), TENON_XFORM_NONE, 0, 0, 0));
    ck_assert(!fit(&o, DIMS(5, 3), DIMS(5, 3, 2), TENON_XFORM_NONE, 0, 0, 0));
    ck_assert(!fit(&o, DIMS(15), DIMS(5, 3), TENON_XFORM_NONE, 0, 0, 0));
    ck_assert(!fit(&o, DIMS(5, 3), DIMS(5, 3), 1 << 20, 0, 0, 0)); /* no such transform */
}
END_TEST

/* Planes that do not begin as their encoding promises are copied. */
START_TEST(misaligned)
{
    struct one o;
    float *x = numbers(16, 1), *y;
    ck_assert(fit(&o, DIMS(4, 4), DIMS(4, 4), TENON_XFORM_NONE, 0, 0, 0));
    o.skew = 2;
    y = make(&o, (const float *const[]){x}, 1);
    ck_assert_mem_eq(y, x, 16 * sizeof *x);
    free(y);
    ck_assert_int_eq(place(&o, "f16/1"), 0);
    ck_assert(!o.place.made);
    o.anywhere = true;
    ck_assert_int_eq(place(&o, "f32/1"), 0);
    ck_assert(!o.place.made);
    ck_assert(fit(&o, DIMS(2, 4), DIMS(4, 4), TENON_XFORM_SPLIT, 1, 2, 0));
    o.skew = 2;
    y = make(&o, (const float *const[]){x}, 1);
    ck_assert_mem_eq(y, x + 8, 8 * sizeof *x);
    free(y);
    free(x);
}
END_TEST

/* Each plane counts; matrices whose rows are no whole tiles are copied as they lie. */
START_TEST(misaligned_planes)
{
    const struct tenon_plane planes[2] = {
        {.struct_size = sizeof *planes, .tile_bytes = 8, .align = 4, .name = "a"}, {.struct_size = sizeof *planes, .tile_bytes = 4, .align = 4, .name = "b"}};
    const struct tenon_encoding e = {.id = "two/1", .tile_rows = 2, .tile_cols = 4, .n_planes = 2, .planes = planes};
    const uint64_t sizes[2] = {6 * 2 * 8, 6 * 2 * 4}; /* 12 rows of 8: 6 by 2 tiles */
    uint8_t in[2][96], out[2][96];
    struct one o;
    ck_assert(fit(&o, DIMS(4, 3, 8), DIMS(4, 3, 8), TENON_XFORM_NONE, 0, 0, 0));
    o.tensor.encoding = &e;
    o.tensor.t.n_planes = 2;
    for (int skewed = 0; skewed < 3; skewed++) { /* 2: neither */
        struct tenon_err err = TENON_ERR_INIT;
        for (int p = 0; p < 2; p++)
            o.tensor.t.planes[p] = (struct tenon_range){.file = 7, .offset = 1000 + (p == skewed), .size = sizes[p]};
        ck_assert_int_eq(tn_transform_place(&o.t, &o.tensor, encoding("f32/1"), false, &o.place, &err), 0);
        ck_assert(o.place.made == (skewed < 2));
        ck_assert(skewed == 2 || o.place.planes[1].offset % TENON_PLANE_ALIGN_MAX == 0);
        ck_assert(o.place.planes[0].size == sizes[0] && o.place.planes[1].size == sizes[1]);
    }
    for (unsigned i = 0; i < sizeof in; i++)
        ((uint8_t *)in)[i] = (uint8_t)(i * 7);
    memset(out, 0, sizeof out);
    o.place.made = true;
    tn_transform_fill(&o.t, &o.place, &e, (const void *const (*)[TENON_TENSOR_PLANES])&(const void *const[TENON_TENSOR_PLANES]){in[0], in[1]},
                      (void *const[]){out[0], out[1]});
    ck_assert_mem_eq(out[0], in[0], sizes[0]);
    ck_assert_mem_eq(out[1], in[1], sizes[1]);
    ck_assert_uint_eq(out[1][sizes[1]], 0);
}
END_TEST

START_TEST(transposed)
{
    struct one o;
    float *x = numbers(70 * 45, 0), *y;
    ck_assert(!fit(&o, DIMS(45, 70), DIMS(45, 70), TENON_XFORM_TRANSPOSE, 0, 0, 0));
    ck_assert(fit(&o, DIMS(45, 70), DIMS(70, 45), TENON_XFORM_TRANSPOSE, 0, 0, 0));
    y = make(&o, (const float *const[]){x}, 1);
    for (int r = 0; r < 45; r++)
        for (int c = 0; c < 70; c++)
            ck_assert(y[r * 70 + c] == x[c * 45 + r]);
    free(y);
    ck_assert(fit(&o, DIMS(3, 15, 70), DIMS(3, 70, 15), TENON_XFORM_TRANSPOSE, 0, 0, 0)); /* each matrix */
    y = make(&o, (const float *const[]){x}, 1);
    for (int m = 0; m < 3; m++)
        for (int r = 0; r < 15; r++)
            for (int c = 0; c < 70; c++)
                ck_assert(y[(m * 15 + r) * 70 + c] == x[(m * 70 + c) * 15 + r]);
    ck_assert_int_eq(place(&o, "gguf.q8_0/1"), TENON_E_UNIMPLEMENTED); /* blocks cannot be turned */
    free(y);
    free(x);
}
END_TEST

START_TEST(split_in_place)
{
    struct one o;
    ck_assert(fit(&o, DIMS(4, 32), DIMS(12, 32), TENON_XFORM_SPLIT, 1, 3, 0));
    ck_assert_int_eq(place(&o, "f32/1"), 0);
    ck_assert(!o.place.made);
    ck_assert_uint_eq(o.place.planes[0].file, 7);
    ck_assert_uint_eq(o.place.planes[0].offset, 1000 + 4 * 32 * 4);
    ck_assert_uint_eq(o.place.planes[0].size, 4 * 32 * 4);
    ck_assert_int_eq(place(&o, "gguf.q8_0/1"), 0); /* rows of whole blocks */
    ck_assert_uint_eq(o.place.planes[0].offset, 1000 + 4 * 34);
    ck_assert_uint_eq(o.place.planes[0].size, 4 * 34);
    ck_assert(fit(&o, DIMS(2, 32), DIMS(12, 32), TENON_XFORM_SPLIT, 10, 12, 1)); /* counted in rows */
    ck_assert_int_eq(place(&o, "f16/1"), 0);
    ck_assert_uint_eq(o.place.planes[0].offset, 1000 + 10 * 32 * 2);
    ck_assert(fit(&o, DIMS(4), DIMS(12), TENON_XFORM_SPLIT, 2, 3, 0)); /* a bias */
    ck_assert_int_eq(place(&o, "f32/1"), 0);
    ck_assert_uint_eq(o.place.planes[0].offset, 1000 + 8 * 4);
    ck_assert_uint_eq(o.place.planes[0].size, 16);
}
END_TEST

START_TEST(split_refused)
{
    struct one o;
    ck_assert(!fit(&o, DIMS(4, 32), DIMS(12, 32), TENON_XFORM_SPLIT, 3, 3, 0));          /* behind the end */
    ck_assert(!fit(&o, DIMS(5, 32), DIMS(12, 32), TENON_XFORM_SPLIT, 2, 3, 0));          /* over the end */
    ck_assert(!fit(&o, DIMS(4, 32), DIMS(12, 32), TENON_XFORM_SPLIT, 1, 0, 0));          /* no pieces */
    ck_assert(!fit(&o, DIMS(4, 32), DIMS(12, 32), TENON_XFORM_SPLIT, 1, 5, 0));          /* unequal pieces */
    ck_assert(!fit(&o, DIMS(4, 32), DIMS(12, 31), TENON_XFORM_SPLIT, 1, 3, 0));
    ck_assert(!fit(&o, DIMS(4, 32), DIMS(12, 32), TENON_XFORM_SPLIT, 0, 1, 5));          /* unequal groups */
    ck_assert(!fit(&o, DIMS(4, 32), DIMS(12, 32), TENON_XFORM_SPLIT, UINT32_MAX, 3, 0));
    ck_assert(!fit(&o, DIMS(4, 32), DIMS(UINT64_MAX, 32), TENON_XFORM_SPLIT, UINT32_MAX, UINT32_MAX, 0));
    ck_assert(!fit(&o, DIMS(4, 32), DIMS(32), TENON_XFORM_SPLIT, 0, 1, 0));
}
END_TEST

/* Each of 3 heads has 2 rows of q, 2 of k and 2 of v beside each other: take k. */
START_TEST(split_groups)
{
    struct one o;
    float *x = numbers(18 * 5, 0), *y;
    ck_assert(fit(&o, DIMS(6, 5), DIMS(18, 5), TENON_XFORM_SPLIT, 1, 3, 3));
    y = make(&o, (const float *const[]){x}, 1);
    for (int r = 0; r < 6; r++)
        for (int c = 0; c < 5; c++)
            ck_assert(y[r * 5 + c] == x[(r / 2 * 6 + 2 + r % 2) * 5 + c]);
    free(y);
    ck_assert(fit(&o, DIMS(6), DIMS(18), TENON_XFORM_SPLIT, 2, 3, 3)); /* v's bias */
    y = make(&o, (const float *const[]){x}, 1);
    for (int r = 0; r < 6; r++)
        ck_assert(y[r] == x[r / 2 * 6 + 4 + r % 2]);
    free(y);
    ck_assert(fit(&o, DIMS(3, 2, 5), DIMS(3, 6, 5), TENON_XFORM_SPLIT, 2, 3, 0)); /* of each of 3 experts */
    y = make(&o, (const float *const[]){x}, 1);
    for (int r = 0; r < 6; r++)
        for (int c = 0; c < 5; c++)
            ck_assert(y[r * 5 + c] == x[(r / 2 * 6 + 4 + r % 2) * 5 + c]);
    free(y);
    ck_assert(fit(&o, DIMS(4, 5), DIMS(5, 12), TENON_XFORM_SPLIT | TENON_XFORM_TRANSPOSE, 1, 3, 0)); /* turned, then cut */
    y = make(&o, (const float *const[]){x}, 1);
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 5; c++)
            ck_assert(y[r * 5 + c] == x[c * 12 + 4 + r]);
    free(y);
    free(x);
}
END_TEST

/* Half-split rows 0 1 2 | 3 4 5 of a head become 0 3 1 4 2 5. */
START_TEST(permuted)
{
    static const int from[] = {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11};
    struct one o;
    float *x = numbers(12 * 3, 0), *y;
    ck_assert(fit(&o, DIMS(12, 3), DIMS(12, 3), TENON_XFORM_PERMUTE_ROPE, 0, 0, 2));
    y = make(&o, (const float *const[]){x}, 1);
    for (int r = 0; r < 12; r++)
        for (int c = 0; c < 3; c++)
            ck_assert(y[r * 3 + c] == x[from[r] * 3 + c]);
    free(y);
    ck_assert(fit(&o, DIMS(12), DIMS(12), TENON_XFORM_PERMUTE_ROPE, 0, 0, 2));
    y = make(&o, (const float *const[]){x}, 1);
    for (int r = 0; r < 12; r++)
        ck_assert(y[r] == x[from[r]]);
    ck_assert(!fit(&o, DIMS(12, 3), DIMS(12, 3), TENON_XFORM_PERMUTE_ROPE, 0, 0, 4)); /* heads of 3 */
    ck_assert(!fit(&o, DIMS(12, 3), DIMS(12, 3), TENON_XFORM_PERMUTE_ROPE, 0, 0, 5));
    free(y);
    free(x);
}
END_TEST

START_TEST(stacked)
{
    struct one o;
    float *x[3] = {numbers(10, 0), numbers(10, 100), numbers(10, 200)}, *y;
    ck_assert(fit(&o, DIMS(3, 2, 5), DIMS(2, 5), TENON_XFORM_STACK_EXPERTS, 0, 0, 0));
    y = make(&o, (const float *const *)x, 3);
    for (int i = 0; i < 30; i++)
        ck_assert(y[i] == x[i / 10][i % 10]);
    free(y);
    ck_assert(fit(&o, DIMS(3, 5, 1), DIMS(2, 5), TENON_XFORM_STACK_EXPERTS | TENON_XFORM_TRANSPOSE | TENON_XFORM_SPLIT, 1, 2, 0) == false);
    ck_assert(fit(&o, DIMS(3, 1, 5), DIMS(2, 5), TENON_XFORM_STACK_EXPERTS | TENON_XFORM_SPLIT, 1, 2, 0));
    y = make(&o, (const float *const *)x, 3);
    for (int i = 0; i < 15; i++)
        ck_assert(y[i] == x[i / 5][5 + i % 5]);
    free(y);
    ck_assert(fit(&o, DIMS(3, 5, 2), DIMS(2, 5), TENON_XFORM_STACK_EXPERTS | TENON_XFORM_TRANSPOSE, 0, 0, 0));
    y = make(&o, (const float *const *)x, 3);
    for (int i = 0; i < 30; i++)
        ck_assert(y[i] == x[i / 10][i % 2 * 5 + i % 10 / 2]);
    free(y);
    ck_assert(fit(&o, DIMS(3, 10), DIMS(10), TENON_XFORM_STACK_EXPERTS, 0, 0, 0)); /* vectors */
    y = make(&o, (const float *const *)x, 3);
    for (int i = 0; i < 30; i++)
        ck_assert(y[i] == x[i / 10][i % 10]);
    free(y);
    ck_assert(!fit(&o, DIMS(3), DIMS(1), TENON_XFORM_STACK_EXPERTS, 0, 0, 0));
    for (int i = 0; i < 3; i++)
        free(x[i]);
}
END_TEST

/* Heads of 5 rows of 4: as matrices of their own, the first 3 rows or the last 2 of each, turned or not. */
START_TEST(groups_become_a_dim)
{
    const int32_t grouped = TENON_XFORM_GROUPS | TENON_XFORM_SPLIT;
    struct one o;
    float *x = numbers(2 * 5 * 4, 0), *y;
    ck_assert(fit(&o, DIMS(2, 4, 3), DIMS(10, 4), grouped | TENON_XFORM_TURN, 0, 5, 2));
    y = make(&o, (const float *const[]){x}, 1);
    for (int h = 0; h < 2; h++)
        for (int r = 0; r < 4; r++)
            for (int c = 0; c < 3; c++)
                ck_assert(y[(h * 4 + r) * 3 + c] == x[(h * 5 + c) * 4 + r]);
    ck_assert_int_eq(place(&o, "gguf.q8_0/1"), TENON_E_UNIMPLEMENTED);
    free(y);
    ck_assert(fit(&o, DIMS(2, 2, 4), DIMS(10, 4), grouped, 3, 5, 2));
    y = make(&o, (const float *const[]){x}, 1);
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 8; i++)
            ck_assert(y[h * 8 + i] == x[(h * 5 + 3) * 4 + i]);
    free(y);
    ck_assert(!fit(&o, DIMS(3, 4, 3), DIMS(10, 4), grouped | TENON_XFORM_TURN, 0, 5, 3));
    ck_assert(!fit(&o, DIMS(2, 3, 4), DIMS(10, 4), grouped | TENON_XFORM_TURN, 0, 5, 2));
    ck_assert(!fit(&o, DIMS(8, 3), DIMS(10, 4), grouped, 0, 5, 2));
    free(x);
}
END_TEST

/* The second of each pair of a matrix's columns. */
START_TEST(flat)
{
    struct one o;
    const uint64_t vector[] = {6, 0}, matrix[] = {2, 3, 0}, none[] = {6, 1, 0}, other[] = {2, 4, 0}, huge[] = {UINT64_MAX, 2, 3, 0};
    ck_assert(fit(&o, vector, matrix, TENON_XFORM_FLAT, 0, 0, 1));
    ck_assert_int_eq(o.t.xform, TENON_XFORM_NONE); /* used in place */
    ck_assert(fit(&o, vector, vector, TENON_XFORM_FLAT, 0, 0, 1));
    ck_assert(fit(&o, vector, none, TENON_XFORM_FLAT, 0, 0, 1));
    ck_assert(!fit(&o, vector, matrix, TENON_XFORM_NONE, 0, 0, 1));
    ck_assert(!fit(&o, vector, other, TENON_XFORM_FLAT, 0, 0, 1));
    ck_assert(!fit(&o, vector, huge, TENON_XFORM_FLAT, 0, 0, 1));
    ck_assert(!fit(&o, matrix, vector, TENON_XFORM_FLAT, 0, 0, 1)); /* of vectors */
}
END_TEST

START_TEST(columns)
{
    struct one o;
    float *x = numbers(3 * 8, 0), *y;
    ck_assert(fit(&o, DIMS(3, 4), DIMS(3, 8), TENON_XFORM_SPLIT | TENON_XFORM_COLUMN, 1, 2, 4));
    y = make(&o, (const float *const[]){x}, 1);
    for (int i = 0; i < 12; i++)
        ck_assert(y[i] == x[2 * i + 1]);
    ck_assert(!fit(&o, DIMS(3, 4), DIMS(3, 7), TENON_XFORM_SPLIT | TENON_XFORM_COLUMN, 1, 2, 4));
    free(y);
    free(x);
}
END_TEST

START_TEST(computed)
{
    struct one o;
    static const uint16_t half[4] = {0x3c00, 0xc000, 0x0001, 0x7bff}; /* 1, -2, 2^-24, 65504 */
    static const float want[4] = {2.0f, -1.0f, 1.0f + 5.9604645e-8f, 65505.0f};
    const void *in[1][TENON_TENSOR_PLANES] = {{half}};
    float out[4];
    void *planes[TENON_TENSOR_PLANES] = {out};
    ck_assert(fit(&o, DIMS(4), DIMS(4), TENON_XFORM_ADD_ONE, 0, 0, 0));
    ck_assert_int_eq(place(&o, "f16/1"), 0);
    ck_assert(o.place.made);
    ck_assert_str_eq(o.place.encoding->id, "f32/1");
    ck_assert_uint_eq(o.place.planes[0].size, 16);
    tn_transform_fill(&o.t, &o.place, o.tensor.encoding, (const void *const (*)[TENON_TENSOR_PLANES])in, planes);
    for (int i = 0; i < 4; i++)
        ck_assert(out[i] == want[i]);
    ck_assert(fit(&o, DIMS(2, 2), DIMS(2, 2), TENON_XFORM_NEG_EXP, 0, 0, 0));
    ck_assert_int_eq(place(&o, "f16/1"), 0);
    tn_transform_fill(&o.t, &o.place, o.tensor.encoding, (const void *const (*)[TENON_TENSOR_PLANES])in, planes);
    ck_assert(out[0] == -expf(1.0f) && out[1] == -expf(-2.0f) && isinf(out[3]));
    ck_assert(fit(&o, DIMS(2, 2), DIMS(2, 2), TENON_XFORM_NEG_EXP | TENON_XFORM_TRANSPOSE, 0, 0, 0));
    ck_assert_int_eq(place(&o, "f16/1"), TENON_E_UNIMPLEMENTED); /* not both */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transform");
    TCase *c = tcase_create("transform");
    tcase_add_test(c, untouched);
    tcase_add_test(c, misaligned);
    tcase_add_test(c, misaligned_planes);
    tcase_add_test(c, transposed);
    tcase_add_test(c, split_in_place);
    tcase_add_test(c, split_refused);
    tcase_add_test(c, split_groups);
    tcase_add_test(c, permuted);
    tcase_add_test(c, stacked);
    tcase_add_test(c, groups_become_a_dim);
    tcase_add_test(c, flat);
    tcase_add_test(c, columns);
    tcase_add_test(c, computed);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
