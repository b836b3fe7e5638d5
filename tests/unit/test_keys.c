/* test_keys.c - metadata of Hugging Face directories under GGUF's names, and what a family's table declares for them. The family
 * here has what no single one has: an odd spelling, defaults, q, k and v in one tensor, heads in turns. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include <tenon/decoder.h>

#include "graph_meta.h"
#include "suite.h"

struct tenon_model_config {
    struct tenon_decoder d;
};

#define QKV(name_, size_)                                                                                                       \
    {.name = "layers.{i}." name_, .gguf = "blk.{i}.attn_qkv.weight", .gguf_xform = TENON_XFORM_SPLIT, .role = TENON_ROLE_MATMUL, \
     .flags = TENON_WEIGHT_LAYERED, .rank = 2, .dims = {size_, TENON_SIZE_EMBED}, .hf = "model.layers.{i}.qkv.weight",          \
     .hf_xform = TENON_XFORM_SPLIT, .hf_groups = TENON_SIZE_KV_HEADS}
static const struct tenon_weight_row rows[] = {
    TENON_DECODER_EMBED_ROW,
    QKV("attn_q", TENON_SIZE_Q),
    QKV("attn_k", TENON_SIZE_K),
    QKV("attn_v", TENON_SIZE_V),
    {.name = "layers.{i}.ffn_up", .gguf = "blk.{i}.ffn_up.weight", .role = TENON_ROLE_MATMUL, .flags = TENON_WEIGHT_LAYERED, .rank = 2,
     .dims = {TENON_SIZE_FFN, TENON_SIZE_EMBED}, .hf = "model.layers.{i}.gate_up.weight", .hf_xform = TENON_XFORM_SPLIT, .hf_part = 1,
     .hf_parts = 2},
    TENON_DECODER_OUTPUT_ROWS(TENON_XFORM_ADD_ONE),
    TENON_DECODER_ROPE_FACTORS,
};
static const char *const types[] = {"odd", "odder", NULL};
static const struct tenon_key_row own[] = {
    {"attention.head_count", "heads_of_mine", 1, 8},
    {"feed_forward_length", NULL, 1, 40},
    {"partial_rotary_factor", "part_that_turns", 0, 0},
};
static const struct tenon_decoder_family family = {
    .arch = "odd", .rope_layout = "interleaved", .rows = rows, .n_rows = sizeof rows / sizeof rows[0],
    .config_bytes = sizeof(struct tenon_model_config), .hf_types = types, .hf_keys = own, .n_hf_keys = 3,
};

#define KEYS 24
static const struct meta_key plain[KEYS] = {
    {.name = "config.model_type", .type = TENON_META_STRING, .s = "odder"},
    {.name = "config.num_hidden_layers", .type = TENON_META_I64, .i = 3},
    {.name = "config.n_embd", .type = TENON_META_I64, .i = 64},
    {.name = "config.num_key_value_heads", .type = TENON_META_I64, .i = 2},
    {.name = "config.vocab_size", .type = TENON_META_I64, .i = 100},
    {.name = "config.max_position_embeddings", .type = TENON_META_I64, .i = 128},
    {.name = "config.rms_norm_eps", .type = TENON_META_F64, .f = 1e-6},
    {.name = "config.hidden_act", .type = TENON_META_STRING, .s = "silu"},
    {.name = "config.rope_theta", .type = TENON_META_F64, .f = 500000},
};

/* plain with one key replaced or added, and perhaps a second. */
static int32_t config(struct meta_key keys[KEYS], const struct meta_key *change, const struct meta_key *other,
                      struct tenon_model_config **ret, struct tenon_err *err)
{
    struct tenon_meta meta;
    struct tenon_model_info info;
    memcpy(keys, plain, sizeof plain);
    for (const struct meta_key *c = change; c != NULL; c = c == change ? other : NULL) {
        struct meta_key *k = keys;
        while (k->name != NULL && strcmp(k->name, c->name) != 0)
            k++;
        *k = *c;
    }
    meta = meta_of(keys);
    *err = (struct tenon_err)TENON_ERR_INIT;
    return tenon_decoder_config(&family, &meta, ret, &info, err);
}

static const struct tenon_weight_desc *desc(struct tenon_model_config *c, const char *name)
{
    const struct tenon_weight_desc *d = tenon_decoder_desc(&c->d, name);
    ck_assert_ptr_nonnull(d);
    return d;
}

START_TEST(spellings)
{
    struct meta_key keys[KEYS];
    struct tenon_model_config *c = NULL;
    struct tenon_err err;
    ck_assert_msg(config(keys, NULL, NULL, &c, &err) == 0, "%s", err.message);
    ck_assert_int_eq(c->d.n_layers, 3);
    ck_assert_int_eq(c->d.n_heads, 8);            /* the family's default, for no name of its own is there */
    ck_assert_int_eq(c->d.size[TENON_SIZE_FFN], 40);
    ck_assert_int_eq(c->d.size[TENON_SIZE_EMBED], 64);
    ck_assert_int_eq(c->d.k_dim, 8);
    ck_assert(c->d.rope.base == 500000.0);
    ck_assert_str_eq(c->d.rope.layout, "half");
    free(c);
    ck_assert_int_eq(config(keys, &(struct meta_key){.name = "config.heads_of_mine", .type = TENON_META_I64, .i = 4},
                            &(struct meta_key){.name = "config.text_config.num_hidden_layers", .type = TENON_META_I64, .i = 2}, &c, &err), 0);
    ck_assert_int_eq(c->d.n_heads, 4);
    ck_assert_int_eq(c->d.n_layers, 2); /* what is said of the text counts */
    free(c);
    ck_assert_int_eq(config(keys, &(struct meta_key){.name = "config.rope_parameters.rope_theta", .type = TENON_META_F64, .f = 7},
                            &(struct meta_key){.name = "config.part_that_turns", .type = TENON_META_F64, .f = 0.5}, &c, &err), 0);
    ck_assert(c->d.rope.base == 7.0);
    ck_assert_int_eq(c->d.rope.n_rot, 4);
    free(c);
}
END_TEST

START_TEST(match)
{
    struct meta_key keys[KEYS];
    struct tenon_meta meta;
    memcpy(keys, plain, sizeof plain);
    meta = meta_of(keys);
    ck_assert_int_eq(tenon_decoder_match(&family, &meta), 100);
    keys[0].s = "other";
    ck_assert_int_eq(tenon_decoder_match(&family, &meta), 0);
    keys[9] = (struct meta_key){.name = "config.text_config.model_type", .type = TENON_META_STRING, .s = "odd"};
    ck_assert_int_eq(tenon_decoder_match(&family, &meta), 90);
    keys[9].s = "oddest";
    ck_assert_int_eq(tenon_decoder_match(&family, &meta), 0);
}
END_TEST

static const struct {
    struct meta_key key;
    const char *says;
} bad[] = {
    {{.name = "config.num_hidden_layers", .type = TENON_META_I64, .i = -1}, "config.num_hidden_layers is -1"},
    {{.name = "config.num_hidden_layers", .type = TENON_META_STRING, .s = "three"}, "key config.num_hidden_layers: must be an integer, is a string"},
    {{.name = "config.text_config.n_embd", .type = TENON_META_F64, .f = 1e300}, "key config.text_config.n_embd: must be an integer, is 1e+300"},
    {{.name = "config.heads_of_mine", .type = TENON_META_I64, .i = 5000}, "config.heads_of_mine is 5000"},
    {{.name = "config.num_key_value_heads", .type = TENON_META_I64, .i = 3}, "config.num_key_value_heads is 3"},
    {{.name = "config.rms_norm_eps", .type = TENON_META_F64, .f = NAN}, "config.rms_norm_eps"},
    {{.name = "config.hidden_act", .type = TENON_META_STRING, .s = "gelu"}, "config.hidden_act is 'gelu'"},
    {{.name = "config.rope_scaling.rope_type", .type = TENON_META_STRING, .s = "longrope"}, "config.rope_scaling.rope_type is 'longrope'"},
    {{.name = "config.rope_scaling.rope_type", .type = TENON_META_STRING, .s = "linear"}, "config.rope_scaling.factor is missing"},
    {{.name = "config.rope_scaling.type", .type = TENON_META_STRING, .s = "yarn"}, "config.rope_scaling.factor is missing"},
    {{.name = "config.tie_word_embeddings", .type = TENON_META_I64, .i = 3}, "key config.tie_word_embeddings: must be true or false, is 3"},
    {{.name = "config.part_that_turns", .type = TENON_META_F64, .f = 2}, "config.part_that_turns is 2"},
    {{.name = "config.num_local_experts", .type = TENON_META_I64, .i = 8}, "config.num_local_experts is 8"},
};

START_TEST(bad_keys)
{
    struct meta_key keys[KEYS];
    struct tenon_model_config *c = NULL;
    struct tenon_err err;
    ck_assert_int_eq(config(keys, &bad[_i].key, NULL, &c, &err), TENON_E_INVALID_ARGUMENT);
    ck_assert_msg(strstr(err.message, bad[_i].says) != NULL, "%s", err.message);
    ck_assert_ptr_null(c);
}
END_TEST

START_TEST(missing_keys)
{
    static const char *const spelled[] = {"num_hidden_layers", "hidden_size", NULL, "vocab_size", "max_position_embeddings", "rms_norm_eps"};
    for (int k = 0; k < 6; k++) {
        struct meta_key keys[KEYS];
        struct tenon_model_config *c = NULL;
        struct tenon_model_info info;
        struct tenon_meta meta;
        struct tenon_err err = TENON_ERR_INIT;
        char want[64];
        memcpy(keys, plain, sizeof plain);
        keys[k + 1].name = "";
        meta = meta_of(keys);
        int32_t status = tenon_decoder_config(&family, &meta, &c, &info, &err);
        ck_assert_int_eq(status != 0, spelled[k] != NULL); /* without num_key_value_heads: as many as heads */
        free(c);
        if (spelled[k] == NULL)
            continue;
        (void)snprintf(want, sizeof want, "key config.%s is missing", spelled[k]);
        ck_assert_msg(strstr(err.message, want) != NULL, "%s", err.message);
    }
}
END_TEST

START_TEST(pieces)
{
    struct meta_key keys[KEYS];
    struct tenon_model_config *c = NULL;
    struct tenon_err err;
    const struct tenon_weight_desc *d;
    ck_assert_int_eq(config(keys, NULL, NULL, &c, &err), 0); /* 8 heads and 2 of k and v, of 8 each: 64 + 16 + 16 rows */
    d = desc(c, "layers.{i}.attn_k");
    ck_assert_uint_eq(d->n_sources, 5);
    ck_assert_str_eq(d->sources[0].format, "gguf");
    ck_assert_str_eq(d->sources[0].name, "blk.{i}.attn_qkv.weight");
    ck_assert_uint_eq(d->sources[0].part, 64);
    ck_assert_uint_eq(d->sources[0].parts, 96);
    ck_assert_uint_eq(d->sources[0].groups, 1);
    ck_assert_str_eq(d->sources[1].format, "huggingface");
    ck_assert_str_eq(d->sources[1].name, "model.layers.{i}.qkv.weight");
    ck_assert_uint_eq(d->sources[1].part, 32); /* of each of 2 groups: 32 rows of q, 8 of k, 8 of v */
    ck_assert_uint_eq(d->sources[1].parts, 48);
    ck_assert_uint_eq(d->sources[1].groups, 2);
    ck_assert_str_eq(d->sources[2].name, "language_model.model.layers.{i}.qkv.weight");
    ck_assert_str_eq(d->sources[3].name, "model.language_model.layers.{i}.qkv.weight");
    ck_assert_str_eq(d->sources[4].name, "layers.{i}.qkv.weight");
    ck_assert_uint_eq(desc(c, "layers.{i}.attn_v")->sources[1].part, 40);
    d = desc(c, "layers.{i}.ffn_up");
    ck_assert_int_eq(d->sources[0].xform, TENON_XFORM_NONE);
    ck_assert_uint_eq(d->sources[1].part, 1);
    ck_assert_uint_eq(d->sources[1].parts, 2);
    d = desc(c, "output_norm");
    ck_assert_int_eq(d->sources[0].xform, TENON_XFORM_NONE);
    ck_assert_int_eq(d->sources[1].xform, TENON_XFORM_ADD_ONE);
    free(c);
}
END_TEST

START_TEST(tied)
{
    struct meta_key keys[KEYS];
    struct tenon_model_config *c = NULL;
    struct tenon_err err;
    const struct tenon_weight_desc *d;
    ck_assert_int_eq(config(keys, NULL, NULL, &c, &err), 0);
    d = desc(c, "output"); /* not said: what the file has */
    ck_assert_uint_eq(d->flags & TENON_WEIGHT_OPTIONAL, TENON_WEIGHT_OPTIONAL);
    ck_assert_uint_eq(d->n_sources, 3);
    free(c);
    ck_assert_int_eq(config(keys, &(struct meta_key){.name = "config.tie_word_embeddings", .type = TENON_META_I64, .i = 1}, NULL, &c, &err), 0);
    d = desc(c, "output");
    ck_assert_uint_eq(d->flags & TENON_WEIGHT_OPTIONAL, TENON_WEIGHT_OPTIONAL);
    ck_assert_uint_eq(d->n_sources, 3); /* but lm_head.weight counts where it is there */
    ck_assert_str_eq(d->tied_to, "token_embd");
    free(c);
    ck_assert_int_eq(config(keys, &(struct meta_key){.name = "config.tie_word_embeddings", .type = TENON_META_I64, .i = 0}, NULL, &c, &err), 0);
    d = desc(c, "output");
    ck_assert_uint_eq(d->flags & TENON_WEIGHT_OPTIONAL, 0); /* it must be there */
    ck_assert_ptr_null(d->tied_to);
    free(c);
}
END_TEST

/* Llama 3's factors, computed here as the paper's formula has them: 1 for fast pairs, `factor` for slow ones. */
START_TEST(rope_factors)
{
    struct meta_key keys[KEYS];
    struct tenon_model_config *c = NULL;
    struct tenon_err err;
    struct tenon_meta meta;
    struct tenon_model_info info;
    const struct tenon_weight_desc *d;
    memcpy(keys, plain, sizeof plain);
    keys[9] = (struct meta_key){.name = "config.rope_scaling.rope_type", .type = TENON_META_STRING, .s = "llama3"};
    keys[10] = (struct meta_key){.name = "config.rope_scaling.factor", .type = TENON_META_F64, .f = 8};
    keys[11] = (struct meta_key){.name = "config.rope_scaling.low_freq_factor", .type = TENON_META_F64, .f = 1};
    keys[12] = (struct meta_key){.name = "config.rope_scaling.high_freq_factor", .type = TENON_META_F64, .f = 4};
    keys[13] = (struct meta_key){.name = "config.rope_scaling.original_max_position_embeddings", .type = TENON_META_I64, .i = 300};
    meta = meta_of(keys);
    ck_assert_msg(tenon_decoder_config(&family, &meta, &c, &info, &err) == 0, "%s", err.message);
    d = desc(c, "rope_factors");
    ck_assert_ptr_nonnull(d->values);
    ck_assert_uint_eq(d->dims[0], 4);
    for (int j = 0; j < 4; j++) {
        double length = 2 * M_PI * pow(500000, j / 4.0), smooth = (300 / length - 1) / (4 - 1);
        double want = length < 300 / 4.0 ? 1 : length > 300 / 1.0 ? 8 : 1 / ((1 - smooth) / 8 + smooth);
        ck_assert_msg(fabs(d->values[j] - want) <= 1e-6 * want, "%d: %g, not %g", j, (double)d->values[j], want);
    }
    ck_assert(d->values[0] == 1.0f && d->values[1] > 1.0f && d->values[1] < 8.0f && d->values[3] == 8.0f);
    free(c);
    ck_assert_int_eq(config(keys, NULL, NULL, &c, &err), 0);
    ck_assert_ptr_null(desc(c, "rope_factors")->values);
    free(c);
}
END_TEST

START_TEST(yarn)
{
    struct meta_key keys[KEYS];
    struct tenon_model_config *c = NULL;
    struct tenon_err err;
    const struct meta_key type = {.name = "config.rope_scaling.type", .type = TENON_META_STRING, .s = "yarn"};
    memcpy(keys, plain, sizeof plain);
    ck_assert_int_eq(config(keys, &type, &(struct meta_key){.name = "config.rope_scaling.factor", .type = TENON_META_F64, .f = 4}, &c, &err), 0);
    ck_assert(c->d.rope.scale == 0.25 && c->d.rope.ext_factor == 1.0);
    ck_assert(fabs(c->d.rope.attn_factor - (1 + 0.1 * log(4))) < 1e-12);
    ck_assert_int_eq(c->d.rope.original_context, 128); /* max_position_embeddings, where nothing else is said */
    free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *c = tcase_create("keys");
    tcase_add_test(c, spellings);
    tcase_add_test(c, match);
    tcase_add_loop_test(c, bad_keys, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(c, missing_keys);
    tcase_add_test(c, pieces);
    tcase_add_test(c, tied);
    tcase_add_test(c, rope_factors);
    tcase_add_test(c, yarn);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
