/* quantization.c - config.json's quantization_config: which tensors make a weight, and the encoding or stored form that they are;
 * plugins/quantizers/README.md lists these, with the order of their planes. A variant that nobody here decodes is refused by key and
 * value. A further method is a row here. Runs once in open. Contract: quantization.h. */
#include "quantization.h"

#include <tenon/keys.h>

#include <stdio.h>

enum { F32 = 1, F16 = 2, BF16 = 4, U8 = 8 };
const char *const st_scale_types[ST_SCALE_TYPES] = {"f32/1", "f16/1", "bf16/1", "u8/1"};

static const struct st_method gptq = {.parts = {".qweight", ".qzeros", ".scales", ".g_idx"}, .first_type = "i32/1", .scales = 2,
                                      .scale_types = F16, .rows_times = 32, .transposed = true, .rows_of_scale = 1};
static const struct st_method awq = {.parts = {".qweight", ".qzeros", ".scales"}, .first_type = "i32/1", .scales = 2, .scale_types = F16,
                                     .rows_times = 8 * 32, .cols_times = 32, .transposed = true, .rows_of_scale = 1};
static const struct st_method fp8_squares = {.parts = {".weight", ".weight_scale_inv"}, .first_type = "f8_e4m3/1", .scales = 1,
                                             .scale_types = F32 | F16 | BF16, .rows_times = 32, .cols_times = 32, .rows_of_scale = 128,
                                             .needless = {".input_scale"}};
static const struct st_method fp8_rows = {.parts = {".weight", ".weight_scale"}, .first_type = "f8_e4m3/1", .scales = 1,
                                          .scale_types = F32 | F16 | BF16, .rows_times = 32, .cols_times = 32, .rows_of_scale = 1,
                                          .needless = {".input_scale"}};
static const struct st_method packed = {.parts = {".weight_packed", ".weight_scale"}, .first_type = "i32/1", .scales = 1,
                                        .scale_types = F16 | BF16, .rows_times = 32, .rows_of_scale = 1,
                                        .unknown = {".weight_g_idx", ".weight_zero_point", ".weight_global_scale"},
                                        .needless = {".weight_shape"}};
static const struct st_method int8 = {.parts = {".weight", ".weight_scale"}, .first_type = "i8/1", .scales = 1, .scale_types = F16 | BF16,
                                      .rows_times = 32, .cols_times = 32, .rows_of_scale = 1, .unknown = {".weight_zero_point"}};
static const struct st_method mxfp4 = {.parts = {"_blocks", "_scales"}, .first_type = "u8/1", .scales = 1, .scale_types = U8,
                                       .rows_times = 32, .cols_times = 32 * 32, .block_bytes = 16};
static const struct st_method mlc = {.parts = {".q_weight", ".q_scale"}, .first_type = "u32/1", .scales = 1, .scale_types = F16,
                                     .rows_times = 32, .cols_times = 8 * 32, .rows_of_scale = 1};
static const struct st_method nf4 = {.parts = {".weight", ".weight.absmax"}, .first_type = "u8/1",
                                     .needless = {".weight.quant_map", ST_NF4_STATE, ST_NF4_NESTED_ABSMAX, ST_NF4_NESTED_MAP},
                                     .state = ST_NF4_STATE};

static int64_t number(const struct tenon_meta *meta, const char *key, int64_t absent)
{
    struct tenon_meta_entry e;
    int64_t v;
    return meta->find(meta->ctx, key, &e) == TENON_OK && !e.is_array && tenon_meta_i64(&e, 0, &v) == TENON_OK ? v : absent;
}

static bool is_word(const struct tenon_meta *meta, const char *key, const char *word)
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    return meta->find(meta->ctx, key, &e) == TENON_OK && e.type == TENON_META_STRING && !e.is_array &&
           meta->strings(meta->ctx, &e, 0, 1, &s) == TENON_OK && s.size == strlen(word) && memcmp(s.data, word, s.size) == 0;
}

static bool is_absent(const struct tenon_meta *meta, const char *key)
{
    struct tenon_meta_entry e;
    return meta->find(meta->ctx, key, &e) == TENON_E_NOT_FOUND;
}

/* That word, which is also meant where there is none. */
static bool is_default(const struct tenon_meta *meta, const char *key, const char *word)
{
    return is_absent(meta, key) || is_word(meta, key, word);
}

static bool known_group(int64_t group)
{
    return group == 32 || group == 64 || group == 128;
}

/* group: 0 is one for a row. */
static void name_group(int64_t group, char ret[16])
{
    (void)snprintf(ret, 16, group == 0 ? "channel" : "g%d", (int)group);
}

/* Do all keys that may say it say that word? One at least must where `said`. */
static bool is_format(const struct tenon_meta *meta, const char *word, bool said)
{
    static const char *const keys[] = {ST_QUANTIZATION "checkpoint_format", ST_QUANTIZATION "format"};
    bool all = true, any = false;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        all = all && is_default(meta, keys[i], word);
        any = any || is_word(meta, keys[i], word);
    }
    return all && (any || !said);
}

/* What follows returns NULL, or the key whose value is not known here. */
static const char *choose_gptq(const struct tenon_meta *meta, struct st_choice *ret)
{
    int64_t bits = number(meta, ST_QUANTIZATION "bits", 0), group = number(meta, ST_QUANTIZATION "group_size", 0);
    struct tenon_meta_entry desc_act;
    bool act = number(meta, ST_QUANTIZATION "desc_act", 0) != 0, v2 = is_format(meta, "gptq_v2", true), v1 = is_format(meta, "gptq", false);
    char of_group[16];
    group = group == -1 ? 0 : group == 0 ? -1 : group;
    act = act && group != 0; /* one group has no order */
    name_group(group, of_group);
    ret->method = gptq;
    ret->method.cols_times = bits != 0 ? (uint32_t)(32 * 32 / bits) : 0;
    (void)snprintf(ret->form, sizeof ret->form, "gptq%s.int%d%s_%s/1", v2 ? "_v2" : "", (int)bits, act ? "_act" : "", of_group);
    if (meta->find(meta->ctx, ST_QUANTIZATION "desc_act", &desc_act) == TENON_OK && number(meta, ST_QUANTIZATION "desc_act", -1) == -1)
        return ST_QUANTIZATION "desc_act";
    if (bits != 4 && bits != 8)
        return ST_QUANTIZATION "bits";
    if (group != 0 && !known_group(group))
        return ST_QUANTIZATION "group_size";
    if (v1 || v2)
        return NULL;
    return is_absent(meta, ST_QUANTIZATION "checkpoint_format") ? ST_QUANTIZATION "format" : ST_QUANTIZATION "checkpoint_format";
}

static const char *choose_awq(const struct tenon_meta *meta, struct st_choice *ret)
{
    int64_t group = number(meta, ST_QUANTIZATION "group_size", 0);
    ret->method = awq;
    (void)snprintf(ret->form, sizeof ret->form, "awq.int4_g%d/1", (int)group);
    if (number(meta, ST_QUANTIZATION "bits", 0) != 4)
        return ST_QUANTIZATION "bits";
    if (!known_group(group))
        return ST_QUANTIZATION "group_size";
    if (!is_format(meta, "gemm", false))
        return is_default(meta, ST_QUANTIZATION "format", "gemm") ? ST_QUANTIZATION "checkpoint_format" : ST_QUANTIZATION "format";
    if (!is_default(meta, ST_QUANTIZATION "version", "gemm") && !is_word(meta, ST_QUANTIZATION "version", "GEMM"))
        return ST_QUANTIZATION "version";
    return NULL;
}

/* Two numbers, 128 and 128. */
static bool is_square(const struct tenon_meta *meta, const char *key)
{
    struct tenon_meta_entry e;
    int64_t rows, cols;
    return meta->find(meta->ctx, key, &e) == TENON_OK && e.is_array && e.count == 2 && tenon_meta_i64(&e, 0, &rows) == TENON_OK &&
           tenon_meta_i64(&e, 1, &cols) == TENON_OK && rows == 128 && cols == 128;
}

static const char *choose_fp8(const struct tenon_meta *meta, struct st_choice *ret)
{
    if (is_absent(meta, ST_QUANTIZATION "weight_block_size")) {
        ret->method = fp8_rows;
        ret->method.rows_of_scale = 0;
        (void)snprintf(ret->form, sizeof ret->form, "fp8.e4m3_?_tensor@/1");
        return NULL;
    }
    ret->method = fp8_squares;
    (void)snprintf(ret->form, sizeof ret->form, "fp8.e4m3_?_128x128@/1");
    return is_square(meta, ST_QUANTIZATION "weight_block_size") ? NULL : ST_QUANTIZATION "weight_block_size";
}

#define GROUP_0 ST_QUANTIZATION "config_groups.group_0.weights."

/* compressed-tensors of whole numbers in words. */
static const char *choose_packed(const struct tenon_meta *meta, struct st_choice *ret)
{
    const bool channel = is_word(meta, GROUP_0 "strategy", "channel"), zeros = number(meta, GROUP_0 "symmetric", 1) == 0;
    const bool sorted = is_word(meta, GROUP_0 "actorder", "group") || is_word(meta, GROUP_0 "actorder", "dynamic");
    const int64_t bits = number(meta, GROUP_0 "num_bits", 0), group = channel ? 0 : number(meta, GROUP_0 "group_size", 0);
    uint32_t n = 2;
    char of_group[16];
    name_group(group, of_group);
    ret->method = packed;
    ret->method.cols_times = bits != 0 ? (uint32_t)(32 * 32 / bits) : 0;
    ret->method.unknown[0] = sorted ? NULL : packed.unknown[0];
    ret->method.unknown[1] = zeros ? NULL : packed.unknown[1];
    if (zeros)
        ret->method.parts[n++] = ".weight_zero_point";
    if (sorted)
        ret->method.parts[n++] = ".weight_g_idx";
    (void)snprintf(ret->form, sizeof ret->form, "ct.int%d_?%s_%s%s/1", (int)bits, sorted ? "_act" : "", of_group,
                   zeros ? "_zero" : "");
    if (!is_default(meta, GROUP_0 "type", "int"))
        return GROUP_0 "type";
    if (bits != 4 && bits != 8)
        return GROUP_0 "num_bits";
    if (channel)
        return sorted ? GROUP_0 "actorder" : NULL;
    return !is_default(meta, GROUP_0 "strategy", "group") ? GROUP_0 "strategy" : known_group(group) ? NULL : GROUP_0 "group_size";
}

/* Is there anything in that object or list? */
static bool has_members(const struct tenon_meta *meta, const char *key)
{
    struct tenon_meta_entry e;
    const size_t n = strlen(key);
    for (uint32_t i = 0; i < meta->count; i++)
        if (meta->at(meta->ctx, i, &e) == TENON_OK && e.key.size > n && memcmp(e.key.data, key, n) == 0 && e.key.data[n] == '.')
            return true;
    return meta->find(meta->ctx, key, &e) == TENON_OK && (e.is_array || e.type != TENON_META_OBJECT) && e.count > 0;
}

/* compressed-tensors of E4M3. */
static void choose_floats(const struct tenon_meta *meta, bool squares, struct st_choice *ret)
{
    const bool channel = is_word(meta, GROUP_0 "strategy", "channel");
    ret->method = squares ? fp8_squares : fp8_rows;
    ret->method.parts[1] = ".weight_scale";
    if (!squares)
        ret->method.rows_of_scale = channel ? 1 : 0;
    (void)snprintf(ret->form, sizeof ret->form, "fp8.e4m3_?_%s@/1", squares ? "128x128" : channel ? "channel" : "tensor");
}

/* What whole numbers of 8 bits and E4M3 have in common. */
static const char *choose_bytes(const struct tenon_meta *meta, const char *type)
{
    if (!is_word(meta, GROUP_0 "type", type) && !(is_absent(meta, GROUP_0 "type") && strcmp(type, "int") == 0))
        return GROUP_0 "type";
    if (number(meta, GROUP_0 "num_bits", 0) != 8)
        return GROUP_0 "num_bits";
    return number(meta, GROUP_0 "symmetric", 1) != 0 ? NULL : GROUP_0 "symmetric";
}

static const char *choose_compressed(const struct tenon_meta *meta, struct st_choice *ret)
{
    const bool channel = is_word(meta, GROUP_0 "strategy", "channel"), tensor = is_word(meta, GROUP_0 "strategy", "tensor");
    const bool block = is_word(meta, GROUP_0 "strategy", "block"), squares = block && is_square(meta, GROUP_0 "block_structure");
    const bool integers = is_word(meta, ST_QUANTIZATION "format", "int-quantized");
    const char *unknown;
    if (has_members(meta, ST_QUANTIZATION "transform_config.config_groups")) /* activations turned while it runs */
        return ST_QUANTIZATION "transform_config.config_groups";
    if (is_word(meta, ST_QUANTIZATION "format", "pack-quantized"))
        return choose_packed(meta, ret);
    if (!integers && !is_word(meta, ST_QUANTIZATION "format", "float-quantized"))
        return ST_QUANTIZATION "format";
    if (integers) {
        ret->method = int8;
        (void)snprintf(ret->form, sizeof ret->form, "ct.int8_?/1");
    } else {
        choose_floats(meta, squares, ret);
    }
    unknown = choose_bytes(meta, integers ? "int" : "float");
    if (unknown != NULL || channel || (!integers && (tensor || squares)))
        return unknown;
    return !integers && block ? GROUP_0 "block_structure" : GROUP_0 "strategy";
}

static const char *choose_bitsandbytes(const struct tenon_meta *meta, struct st_choice *ret)
{
    ret->method = nf4;
    if (number(meta, ST_QUANTIZATION "load_in_4bit", 0) == 0)
        return ST_QUANTIZATION "load_in_4bit";
    return is_word(meta, ST_QUANTIZATION "bnb_4bit_quant_type", "nf4") ? NULL : ST_QUANTIZATION "bnb_4bit_quant_type";
}

/* Has no variants. */
static const char *choose_mxfp4(const struct tenon_meta *meta, struct st_choice *ret)
{
    (void)meta;
    ret->method = mxfp4;
    (void)snprintf(ret->form, sizeof ret->form, "mxfp4.pairs/1");
    return NULL;
}

/* mlc-llm's files have these names, and no quantization_config. */
static void choose_mlc(struct st_choice *ret)
{
    ret->method = mlc;
    (void)snprintf(ret->form, sizeof ret->form, "mlc.q4f16_1/1");
}

#define VALUE_SIZE 48
#define SAID_MOST 40u /* bytes of a word */

/* A value as a message has it. */
static void say_value(const struct tenon_meta *meta, const char *key, char ret[VALUE_SIZE])
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    if (meta->find(meta->ctx, key, &e) != TENON_OK)
        (void)snprintf(ret, VALUE_SIZE, "not there");
    else if (e.type == TENON_META_STRING && !e.is_array && meta->strings(meta->ctx, &e, 0, 1, &s) == TENON_OK)
        (void)snprintf(ret, VALUE_SIZE, "\"%.*s%s", (int)(s.size <= SAID_MOST ? s.size : SAID_MOST), s.data,
                       s.size <= SAID_MOST ? "\"" : "...");
    else
        tenon_key_say(&e, ret);
}

int32_t st_quantization_choose(const struct tenon_meta *meta, bool *ret_joins, struct st_choice *ret, struct tenon_err *err)
{
    static const struct {
        const char *name;
        const char *(*choose)(const struct tenon_meta *meta, struct st_choice *ret);
    } methods[] = {{"gptq", choose_gptq}, {"awq", choose_awq}, {"fp8", choose_fp8}, {"compressed-tensors", choose_compressed},
                  {"mxfp4", choose_mxfp4}, {"bitsandbytes", choose_bitsandbytes}};
    struct tenon_meta_entry method;
    *ret_joins = is_absent(meta, ST_QUANTIZATION "quant_method");
    choose_mlc(ret);
    if (meta->find(meta->ctx, ST_QUANTIZATION "quant_method", &method) == TENON_OK && (method.is_array || method.type != TENON_META_STRING))
        return tenon_key_wrong("quantization_config.quant_method", "a string", &method, err);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (!is_word(meta, ST_QUANTIZATION "quant_method", methods[i].name))
            continue;
        const char *unknown = methods[i].choose(meta, ret);
        if (unknown != NULL) {
            char value[VALUE_SIZE];
            say_value(meta, unknown, value);
            return tenon_fail(err, TENON_E_UNIMPLEMENTED, "config.json", "%s is %s: %s of that kind is not known here: "
                              "plugins/quantizers/README.md lists what is", unknown + strlen("config."), value, methods[i].name);
        }
        *ret_joins = true;
    }
    return TENON_OK;
}
