/* quantized.c - tensors that are parts of one quantised weight become one tensor of several planes, as config.json's
 * quantization_config says; which encoding or stored form that is, and the order of its planes, stands in
 * plugins/quantizers/README.md. Methods not known here are refused by name unless all tensors are plain, as those known but in a
 * variant that nobody here decodes are. Sizes are the host's to check, by the form. Runs once in open. Contract:
 * safetensors.h. */
#include "safetensors.h"

#include <tenon/keys.h>

#include <stdio.h>
#include <stdlib.h>

#define PARTS_MAX 4u
#define UNKNOWN_MAX 3u
#define NEEDLESS_MAX 4u
#define CONFIG "config.quantization_config."

/* A way of taking weights apart. */
struct method {
    const char *parts[PARTS_MAX]; /* suffixes of the planes' tensors, in order; the first gives the weight its shape */
    const char *first_type;       /* encoding of the first part */
    uint32_t scales;              /* which part is the scales: their type may be in the form's name */
    uint32_t scale_types;         /* that are known: bits of TYPES */
    uint32_t rows_times, cols_times; /* the first part's dims [rows, cols], times these over 32, are the weight's */
    bool transposed;              /* its dims are [cols, rows], those of the scales [groups, rows] */
    uint32_t rows_of_scale;       /* else theirs are [rows / this, rounded up, groups]; 0: one scale for all */
    const char *unknown[UNKNOWN_MAX];     /* suffixes of further parts that would change what the numbers are */
    const char *needless[NEEDLESS_MAX];    /* suffixes of parts that say nothing more */
    uint32_t block_bytes;         /* not 0: the first part is [..., rows, blocks, this], the scales [..., rows, blocks]; cols_times is of a block */
    const char *state;            /* suffix of a part that tells shape and further planes, by nf4.c: what is above is not asked then */
};

enum { F32 = 1, F16 = 2, BF16 = 4, U8 = 8 };
static const char *const types[] = {"f32/1", "f16/1", "bf16/1", "u8/1"};
#define SCALE_TYPES (sizeof types / sizeof types[0])

static const struct method gptq = {.parts = {".qweight", ".qzeros", ".scales", ".g_idx"}, .first_type = "i32/1", .scales = 2,
                                   .scale_types = F16, .rows_times = 32, .transposed = true, .rows_of_scale = 1};
static const struct method awq = {.parts = {".qweight", ".qzeros", ".scales"}, .first_type = "i32/1", .scales = 2, .scale_types = F16,
                                  .rows_times = 8 * 32, .cols_times = 32, .transposed = true, .rows_of_scale = 1};
static const struct method fp8_squares = {.parts = {".weight", ".weight_scale_inv"}, .first_type = "f8_e4m3/1", .scales = 1,
                                          .scale_types = F32 | F16 | BF16, .rows_times = 32, .cols_times = 32, .rows_of_scale = 128,
                                          .needless = {".input_scale"}};
static const struct method fp8_rows = {.parts = {".weight", ".weight_scale"}, .first_type = "f8_e4m3/1", .scales = 1,
                                       .scale_types = F32 | F16 | BF16, .rows_times = 32, .cols_times = 32, .rows_of_scale = 1,
                                       .needless = {".input_scale"}};
static const struct method packed = {.parts = {".weight_packed", ".weight_scale"}, .first_type = "i32/1", .scales = 1,
                                     .scale_types = F16 | BF16, .rows_times = 32, .rows_of_scale = 1,
                                     .unknown = {".weight_g_idx", ".weight_zero_point", ".weight_global_scale"}, .needless = {".weight_shape"}};
static const struct method int8 = {.parts = {".weight", ".weight_scale"}, .first_type = "i8/1", .scales = 1, .scale_types = F16 | BF16,
                                   .rows_times = 32, .cols_times = 32, .rows_of_scale = 1, .unknown = {".weight_zero_point"}};
static const struct method mxfp4 = {.parts = {"_blocks", "_scales"}, .first_type = "u8/1", .scales = 1, .scale_types = U8,
                                    .rows_times = 32, .cols_times = 32 * 32, .block_bytes = 16};
static const struct method mlc = {.parts = {".q_weight", ".q_scale"}, .first_type = "u32/1", .scales = 1, .scale_types = F16,
                                  .rows_times = 32, .cols_times = 8 * 32, .rows_of_scale = 1};
static const struct method nf4 = {.parts = {".weight", ".weight.absmax"}, .first_type = "u8/1",
                                  .needless = {".weight.quant_map", ST_NF4_STATE, ST_NF4_NESTED_ABSMAX, ST_NF4_NESTED_MAP},
                                  .state = ST_NF4_STATE};

/* What a configuration says. */
struct choice {
    struct method method;
    char form[48]; /* with ? where the scales' type is wanted, and @ where "_part" is when columns are no multiple of 128 */
};

/* ---- the configuration -------------------------------------------------------------------------------------- */

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
    static const char *const keys[] = {CONFIG "checkpoint_format", CONFIG "format"};
    bool all = true, any = false;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        all = all && is_default(meta, keys[i], word);
        any = any || is_word(meta, keys[i], word);
    }
    return all && (any || !said);
}

/* What follows returns NULL, or the key whose value is not known here. */
static const char *choose_gptq(const struct tenon_meta *meta, struct choice *ret)
{
    int64_t bits = number(meta, CONFIG "bits", 0), group = number(meta, CONFIG "group_size", 0);
    bool act = number(meta, CONFIG "desc_act", 0) != 0, v2 = is_format(meta, "gptq_v2", true), v1 = is_format(meta, "gptq", false);
    char of_group[16];
    group = group == -1 ? 0 : group == 0 ? -1 : group;
    act = act && group != 0; /* one group has no order */
    name_group(group, of_group);
    ret->method = gptq;
    ret->method.cols_times = bits != 0 ? (uint32_t)(32 * 32 / bits) : 0;
    (void)snprintf(ret->form, sizeof ret->form, "gptq%s.int%d%s_%s/1", v2 ? "_v2" : "", (int)bits, act ? "_act" : "", of_group);
    if (bits != 4 && bits != 8)
        return CONFIG "bits";
    if (group != 0 && !known_group(group))
        return CONFIG "group_size";
    return v1 || v2 ? NULL : is_absent(meta, CONFIG "checkpoint_format") ? CONFIG "format" : CONFIG "checkpoint_format";
}

static const char *choose_awq(const struct tenon_meta *meta, struct choice *ret)
{
    int64_t group = number(meta, CONFIG "group_size", 0);
    ret->method = awq;
    (void)snprintf(ret->form, sizeof ret->form, "awq.int4_g%d/1", (int)group);
    if (number(meta, CONFIG "bits", 0) != 4)
        return CONFIG "bits";
    if (!known_group(group))
        return CONFIG "group_size";
    if (!is_format(meta, "gemm", false))
        return is_default(meta, CONFIG "format", "gemm") ? CONFIG "checkpoint_format" : CONFIG "format";
    return is_default(meta, CONFIG "version", "gemm") || is_word(meta, CONFIG "version", "GEMM") ? NULL : CONFIG "version";
}

/* Two numbers, 128 and 128. */
static bool is_square(const struct tenon_meta *meta, const char *key)
{
    struct tenon_meta_entry e;
    int64_t rows, cols;
    return meta->find(meta->ctx, key, &e) == TENON_OK && e.is_array && e.count == 2 && tenon_meta_i64(&e, 0, &rows) == TENON_OK &&
           tenon_meta_i64(&e, 1, &cols) == TENON_OK && rows == 128 && cols == 128;
}

static const char *choose_fp8(const struct tenon_meta *meta, struct choice *ret)
{
    if (is_absent(meta, CONFIG "weight_block_size")) {
        ret->method = fp8_rows;
        ret->method.rows_of_scale = 0;
        (void)snprintf(ret->form, sizeof ret->form, "fp8.e4m3_?_tensor@/1");
        return NULL;
    }
    ret->method = fp8_squares;
    (void)snprintf(ret->form, sizeof ret->form, "fp8.e4m3_?_128x128@/1");
    return is_square(meta, CONFIG "weight_block_size") ? NULL : CONFIG "weight_block_size";
}

#define GROUP_0 CONFIG "config_groups.group_0.weights."

/* compressed-tensors of whole numbers in words. */
static const char *choose_packed(const struct tenon_meta *meta, struct choice *ret)
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

/* Is there anything of that object? */
static bool has_members(const struct tenon_meta *meta, const char *prefix)
{
    struct tenon_meta_entry e;
    const size_t n = strlen(prefix);
    for (uint32_t i = 0; i < meta->count; i++)
        if (meta->at(meta->ctx, i, &e) == TENON_OK && e.key.size > n && memcmp(e.key.data, prefix, n) == 0)
            return true;
    return false;
}

/* compressed-tensors of E4M3. */
static void choose_floats(const struct tenon_meta *meta, bool squares, struct choice *ret)
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

static const char *choose_compressed(const struct tenon_meta *meta, struct choice *ret)
{
    const bool channel = is_word(meta, GROUP_0 "strategy", "channel"), tensor = is_word(meta, GROUP_0 "strategy", "tensor");
    const bool block = is_word(meta, GROUP_0 "strategy", "block"), squares = block && is_square(meta, GROUP_0 "block_structure");
    const bool integers = is_word(meta, CONFIG "format", "int-quantized");
    const char *unknown;
    if (has_members(meta, CONFIG "transform_config.config_groups.")) /* activations turned while it runs */
        return CONFIG "transform_config.config_groups";
    if (is_word(meta, CONFIG "format", "pack-quantized"))
        return choose_packed(meta, ret);
    if (!integers && !is_word(meta, CONFIG "format", "float-quantized"))
        return CONFIG "format";
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

static const char *choose_bitsandbytes(const struct tenon_meta *meta, struct choice *ret)
{
    ret->method = nf4;
    if (number(meta, CONFIG "load_in_4bit", 0) == 0)
        return CONFIG "load_in_4bit";
    return is_word(meta, CONFIG "bnb_4bit_quant_type", "nf4") ? NULL : CONFIG "bnb_4bit_quant_type";
}

/* Has no variants. */
static const char *choose_mxfp4(const struct tenon_meta *meta, struct choice *ret)
{
    (void)meta;
    ret->method = mxfp4;
    (void)snprintf(ret->form, sizeof ret->form, "mxfp4.pairs/1");
    return NULL;
}

/* mlc-llm's files have these names, and no quantization_config. */
static void choose_mlc(struct choice *ret)
{
    ret->method = mlc;
    (void)snprintf(ret->form, sizeof ret->form, "mlc.q4f16_1/1");
}

#define VALUE_SIZE 48

/* A value as a message has it. */
static void say_value(const struct tenon_meta *meta, const char *key, char ret[VALUE_SIZE])
{
    struct tenon_meta_entry e;
    struct tenon_str s;
    if (meta->find(meta->ctx, key, &e) != TENON_OK)
        (void)snprintf(ret, VALUE_SIZE, "not there");
    else if (e.type == TENON_META_STRING && !e.is_array && meta->strings(meta->ctx, &e, 0, 1, &s) == TENON_OK)
        (void)snprintf(ret, VALUE_SIZE, "\"%.*s\"", (int)(s.size < VALUE_SIZE - 3 ? s.size : VALUE_SIZE - 3), s.data);
    else
        tenon_key_say(&e, ret);
}

/* false: there is nothing to join. */
static int32_t choose(const struct tenon_meta *meta, bool *ret_joins, struct choice *ret, struct tenon_err *err)
{
    static const struct {
        const char *name;
        const char *(*choose)(const struct tenon_meta *meta, struct choice *ret);
    } methods[] = {{"gptq", choose_gptq}, {"awq", choose_awq}, {"fp8", choose_fp8}, {"compressed-tensors", choose_compressed},
                  {"mxfp4", choose_mxfp4}, {"bitsandbytes", choose_bitsandbytes}};
    *ret_joins = is_absent(meta, CONFIG "quant_method");
    choose_mlc(ret);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (!is_word(meta, CONFIG "quant_method", methods[i].name))
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

/* ---- joining ------------------------------------------------------------------------------------------------ */

static bool ends_with(struct tenon_str s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.size > n && memcmp(s.data + s.size - n, suffix, n) == 0;
}

/* The tensor of that suffix beside tensor i, a weight's first part. */
static bool find_beside(const struct st_tensors *t, const struct method *m, uint32_t i, const char *suffix, uint32_t *ret)
{
    char name[512];
    uint64_t stem = t->names.items[i].size - strlen(m->parts[0]);
    if (stem > sizeof name - 32)
        return false;
    int n = snprintf(name, sizeof name, "%.*s%s", (int)stem, t->names.items[i].data, suffix);
    return weights_names_find(&t->names, (struct tenon_str){name, (uint64_t)n}, ret);
}

/* Numbers of the parts of the weight whose first part is tensor i; false: it is none. *ret_lacks: the part that only is not
 * there. */
static bool find_parts(const struct st_tensors *t, const struct method *m, uint32_t i, uint32_t ret[PARTS_MAX],
                       const char **ret_lacks)
{
    *ret_lacks = NULL;
    if (!ends_with(t->names.items[i], m->parts[0]) || strcmp(t->items[i].encoding, m->first_type) != 0 ||
        (m->block_bytes == 0 && t->items[i].n_dims != 2)) /* blocks of any other shape are refused, not left alone */
        return false;
    ret[0] = i;
    for (uint32_t p = 1; p < PARTS_MAX && m->parts[p] != NULL; p++)
        if (!find_beside(t, m, i, m->parts[p], &ret[p]))
            *ret_lacks = m->parts[p];
    return *ret_lacks == NULL;
}

static int32_t fail_lacking(const struct st_tensors *t, const struct method *m, uint32_t i, const char *suffix,
                            struct tenon_err *err)
{
    const struct tenon_str *name = &t->names.items[i];
    return tenon_fail(err, TENON_E_DATA_LOSS, "safetensors", "tensor \"%.*s%s\" is missing, which belongs to \"%.*s\": the file is cut off or "
                      "wrongly converted", (int)(name->size - strlen(m->parts[0]) < 200 ? name->size - strlen(m->parts[0]) : 200), name->data, suffix,
                      WEIGHTS_SHOW(*name));
}

/* A part beside tensor i that would change its numbers is refused. */
static int32_t check_others(const struct st_tensors *t, const struct method *m, uint32_t i, struct tenon_err *err)
{
    uint32_t other;
    for (uint32_t p = 0; p < UNKNOWN_MAX; p++)
        if (m->unknown[p] != NULL && find_beside(t, m, i, m->unknown[p], &other))
            return tenon_fail(err, TENON_E_UNIMPLEMENTED, "safetensors", "tensor \"%.80s\": columns sorted by activations, zero points and "
                              "further scales that config.json does not tell of are not known here: plugins/quantizers/README.md lists what is", t->names.items[other].data);
    return TENON_OK;
}

/* `id`, kept by `t`. NULL: there are too many. */
static const char *keep_id(struct st_tensors *t, const char *id)
{
    uint32_t k = 0;
    while (k < ST_FORMS && t->forms[k][0] != 0 && strcmp(t->forms[k], id) != 0)
        k++;
    if (k == ST_FORMS)
        return NULL;
    (void)snprintf(t->forms[k], sizeof t->forms[k], "%s", id);
    return t->forms[k];
}

/* The form's id with what stands for ? and @. NULL: of scales of this type it has none. */
static const char *form_of(struct st_tensors *t, const struct choice *c, const char *scales, uint64_t cols)
{
    char id[sizeof t->forms[0]];
    size_t n = 0, type = 0;
    while (type < SCALE_TYPES && ((c->method.scale_types >> type & 1) == 0 || strcmp(scales, types[type]) != 0))
        type++;
    if (type == SCALE_TYPES)
        return NULL;
    for (const char *p = c->form; *p != 0 && n + 8 < sizeof id; p++) {
        if (*p == '?')
            n += (size_t)snprintf(id + n, sizeof id - n, "%.*s", (int)strlen(types[type]) - 2, types[type]);
        else if (*p == '@')
            n += (size_t)snprintf(id + n, sizeof id - n, "%s", cols % 128 != 0 ? "_part" : "");
        else
            id[n++] = *p;
    }
    id[n] = 0;
    return keep_id(t, id);
}

/* Blocks and their scales? */
static bool blocks_fit(const struct tenon_tensor *first, const struct tenon_tensor *scales, uint32_t block_bytes)
{
    const uint32_t n = scales->n_dims;
    return n >= 2 && first->n_dims == n + 1 && first->dims[n] == block_bytes &&
           memcmp(first->dims, scales->dims, n * sizeof *first->dims) == 0;
}

/* Do the further parts have the shapes and types they must? By bytes alone a transposed part would pass. */
static bool parts_fit(const struct st_tensors *t, const struct method *m, const uint32_t parts[PARTS_MAX], uint64_t rows)
{
    const struct tenon_tensor *scales = &t->items[parts[m->scales]];
    const uint32_t groups = m->transposed ? 0 : 1; /* which dim of scales and zero points they are */
    if (m->block_bytes != 0)
        return blocks_fit(&t->items[parts[0]], scales, m->block_bytes);
    if (m->rows_of_scale == 0)
        return scales->n_dims == 0 || (scales->n_dims == 1 && scales->dims[0] == 1);
    if (scales->n_dims != 2 || scales->dims[m->transposed ? 1 : 0] != rows / m->rows_of_scale + (rows % m->rows_of_scale != 0))
        return false;
    for (uint32_t p = 1; p < PARTS_MAX && m->parts[p] != NULL; p++) {
        const struct tenon_tensor *part = &t->items[parts[p]];
        if (p != m->scales && (strcmp(part->encoding, "i32/1") != 0 ||
                               (part->n_dims != 1 && part->dims[groups] != scales->dims[groups])))
            return false;
    }
    return true;
}

/* Is there something of every part? To the host a size of 0 means: as the form has it. */
static bool all_hold(const struct tenon_tensor *t)
{
    for (uint32_t p = 0; p < t->n_planes; p++)
        if (t->planes[p].size == 0)
            return false;
    return true;
}

/* The joined tensor without its name, as its quant_state has it. */
static int32_t join_nf4(struct st_tensors *t, const struct method *m, const uint32_t parts[PARTS_MAX], struct tenon_tensor *ret,
                        struct tenon_err *err)
{
    struct st_nf4 w = {.first = parts[0], .absmax = parts[1]};
    const struct tenon_str name = t->names.items[parts[0]];
    if (!find_beside(t, m, parts[0], m->state, &w.state))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\" has no %s: the file is damaged or of another version of "
                          "bitsandbytes", WEIGHTS_SHOW(name), m->state);
    w.nested = find_beside(t, m, parts[0], ST_NF4_NESTED_ABSMAX, &w.nested_absmax);
    if (w.nested && !find_beside(t, m, parts[0], ST_NF4_NESTED_MAP, &w.nested_map))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\" has no %s: the file is damaged",
                          WEIGHTS_SHOW(name), ST_NF4_NESTED_MAP);
    return st_nf4_join(t, &w, ret, err);
}

/* The same by the parts' own dims. The form's id is kept by `t`. */
static int32_t join_planes(struct st_tensors *t, const struct choice *c, const uint32_t parts[PARTS_MAX],
                           struct tenon_tensor *ret, struct tenon_err *err)
{
    const struct method *m = &c->method;
    const struct tenon_tensor *first = &t->items[parts[0]], *scales = &t->items[parts[m->scales]];
    const uint32_t before = m->block_bytes != 0 && scales->n_dims > 2 ? scales->n_dims - 2 : 0; /* dims of what matrices there are */
    const uint64_t rows = first->dims[before + (m->transposed ? 1 : 0)], cols = first->dims[before + (m->transposed ? 0 : 1)];
    const char *form = NULL;
    uint64_t dims[2];
    if (__builtin_mul_overflow(rows, (uint64_t)m->rows_times, &dims[0]) ||
        __builtin_mul_overflow(cols, (uint64_t)m->cols_times, &dims[1]))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\" is too large",
                          WEIGHTS_SHOW(first->name));
    form = form_of(t, c, scales->encoding, dims[1] / 32);
    if (form == NULL)
        return tenon_fail(err, TENON_E_UNIMPLEMENTED, "safetensors", "tensor \"%.*s\": its scales are of type %s",
                          WEIGHTS_SHOW(first->name), scales->encoding);
    if (!parts_fit(t, m, parts, dims[0] / 32))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\": shapes or types of what belongs to it do not fit: the file "
                          "is damaged or wrongly converted", WEIGHTS_SHOW(first->name));
    *ret = (struct tenon_tensor){.struct_size = sizeof *ret, .n_dims = before + 2, .encoding = form};
    memcpy(ret->dims, first->dims, before * sizeof *ret->dims);
    ret->dims[before] = dims[0] / 32, ret->dims[before + 1] = dims[1] / 32;
    for (uint32_t p = 0; p < PARTS_MAX && m->parts[p] != NULL; p++)
        ret->planes[ret->n_planes++] = t->items[parts[p]].planes[0];
    return check_others(t, m, parts[0], err);
}

/* The joined tensor without its name. */
static int32_t join(struct st_tensors *t, const struct choice *c, const uint32_t parts[PARTS_MAX], struct tenon_tensor *ret,
                    struct tenon_err *err)
{
    int32_t rc = c->method.state != NULL ? join_nf4(t, &c->method, parts, ret, err) : join_planes(t, c, parts, ret, err);
    if (rc == TENON_OK && !all_hold(ret))
        rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.*s\": something that belongs to it has no bytes: the file is "
                        "damaged", WEIGHTS_SHOW(t->items[parts[0]].name));
    return rc;
}

/* Names P.weight for tensor i, whose first part's suffix is `suffix`. OWN: caller */
static char *weight_name(const struct st_tensors *t, uint32_t i, const char *suffix, uint64_t *ret_size)
{
    uint64_t stem = t->names.items[i].size - strlen(suffix);
    char *name = malloc(stem + sizeof ".weight");
    if (name == NULL)
        return NULL;
    memcpy(name, t->names.items[i].data, stem);
    memcpy(name + stem, ".weight", sizeof ".weight");
    *ret_size = stem + sizeof ".weight" - 1;
    return name;
}

/* Put a tensor behind the others of `out`. OWN: name, taken whatever comes of it. */
static int32_t put(struct st_tensors *out, char *name, uint64_t size, struct tenon_tensor tensor, struct tenon_err *err)
{
    void *items = out->items;
    int32_t rc = name != NULL ? weights_grow(&items, out->names.n, &out->capacity, sizeof *out->items) : TENON_E_RESOURCE_EXHAUSTED;
    out->items = items;
    if (rc == TENON_OK)
        rc = weights_names_add(&out->names, (struct tenon_str){name, size});
    if (rc != TENON_OK) {
        rc = rc == TENON_E_ALREADY_EXISTS
                 ? tenon_fail(err, TENON_E_INVALID_ARGUMENT, "safetensors", "tensor \"%.80s\" stands there plain and quantised", name)
                 : tenon_fail(err, rc, "safetensors", "out of memory for the tensors of quantised weights");
        free(name);
        return rc;
    }
    tensor.name = out->names.items[out->names.n - 1];
    out->items[out->names.n - 1] = tensor;
    return TENON_OK;
}

/* Of a method that is not known here, tensors that hold no plain numbers tell nothing. */
static int32_t check_unknown(const struct st_tensors *t, const struct tenon_meta *meta, struct tenon_err *err)
{
    static const char *const plain[] = {"f32/1", "f16/1", "bf16/1", "f64/1", "i64/1", "bool/1"};
    struct tenon_meta_entry e;
    struct tenon_str method;
    if (meta->find(meta->ctx, CONFIG "quant_method", &e) != TENON_OK || e.type != TENON_META_STRING || e.is_array ||
        meta->strings(meta->ctx, &e, 0, 1, &method) != TENON_OK)
        return TENON_OK;
    for (uint32_t i = 0; i < t->names.n; i++) {
        size_t k = 0;
        while (k < sizeof plain / sizeof plain[0] && strcmp(t->items[i].encoding, plain[k]) != 0)
            k++;
        if (k == sizeof plain / sizeof plain[0])
            return tenon_fail(err, TENON_E_UNIMPLEMENTED, "config.json", "quantization_config: quant_method %.*s is not known here, and tensor "
                              "\"%.*s\" is %s: plugins/quantizers/README.md lists the methods that are", (int)(method.size < 40 ? method.size : 40),
                              method.data, WEIGHTS_SHOW(t->names.items[i]), t->items[i].encoding);
    }
    return TENON_OK;
}

int32_t st_quantized_join(struct st_tensors *t, const struct tenon_meta *meta, struct tenon_err *err)
{
    struct st_tensors out = {0};
    struct choice c;
    uint32_t parts[PARTS_MAX];
    bool joins, *is_part;
    int32_t rc = choose(meta, &joins, &c, err);
    if (rc != TENON_OK || !joins)
        return rc != TENON_OK ? rc : check_unknown(t, meta, err);
    is_part = calloc((size_t)t->names.n + 1, sizeof *is_part);
    if (is_part == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "safetensors", "out of memory for %u tensors", (unsigned)t->names.n);
    for (uint32_t i = 0; i < t->names.n; i++) {
        uint32_t other;
        const char *lacks;
        if (!find_parts(t, &c.method, i, parts, &lacks)) {
            rc = rc == TENON_OK && lacks != NULL && strcmp(c.method.parts[0], ".weight") != 0 ? fail_lacking(t, &c.method, i, lacks, err) : rc;
            continue; /* a .weight may be plain */
        }
        for (uint32_t p = 0; p < PARTS_MAX && c.method.parts[p] != NULL; p++)
            is_part[parts[p]] = true;
        for (uint32_t p = 0; p < NEEDLESS_MAX && c.method.needless[p] != NULL; p++)
            if (find_beside(t, &c.method, i, c.method.needless[p], &other))
                is_part[other] = true;
    }
    for (uint32_t i = 0; rc == TENON_OK && i < t->names.n; i++) {
        struct tenon_tensor tensor = t->items[i];
        uint64_t size = t->names.items[i].size;
        const char *lacks;
        bool first = is_part[i] && find_parts(t, &c.method, i, parts, &lacks);
        if (is_part[i] && !first)
            continue;
        rc = first ? join(t, &c, parts, &tensor, err) : TENON_OK;
        if (rc == TENON_OK) {
            char *name = first ? weight_name(t, i, c.method.parts[0], &size) : strdup(t->names.items[i].data);
            rc = put(&out, name, size, tensor, err);
        }
    }
    free(is_part);
    if (rc == TENON_OK) { /* ids of forms stay where they are: in *t, which does not move */
        struct st_tensors old = *t;
        t->names = out.names, t->items = out.items, t->capacity = out.capacity;
        out = old;
        out.files = NULL; /* they stay */
    }
    st_tensors_finish(&out);
    return rc;
}
