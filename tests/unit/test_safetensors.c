/* test_safetensors.c - the safetensors plugin on folders in memory: what it makes of sound ones, and that damaged and hostile ones are
 * refused with a reason: cut at every byte, lengths and offsets that lie, names twice, shards outside of the folder, JSON too deep. */
#include <check.h>
#include <math.h>

#include "suite.h"
#include "weights_files.h"

static const char config[] = "{\"model_type\":\"llama\",\"hidden_size\":64,\"eps\":1e-5,\"flag\":true,\"none\":null,\"limit\":[0.0,Infinity],\"most\":[0.0,{\"__float__\":\"Infinity\"}],\"nan\":NaN,"
                             "\"list\":[1,2],\"names\":[\"a\",\"b\"],\"mixed\":[1,\"a\"],\"inner\":{\"deep\":{\"x\":7}},\"hidden_size\":65}";
static const char tensors[] = "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[6,14]},"
                              "\"a\":{\"dtype\":\"BF16\",\"shape\":[3,1],\"data_offsets\":[0,6]},"
                              "\"empty\":{\"dtype\":\"I64\",\"shape\":[0,4],\"data_offsets\":[6,6]},"
                              "\"one\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[14,15]}}";
#define DATA 15u

/* A safetensors file of a header and n bytes, in ret [4096]; returns its size. */
static uint64_t file_of(const char *header, uint64_t n, uint8_t *ret)
{
    uint64_t size = strlen(header);
    ck_assert_uint_lt(8 + size + n, 4096);
    for (int i = 0; i < 8; i++)
        ret[i] = (uint8_t)(size >> 8 * i);
    memcpy(ret + 8, header, size);
    for (uint64_t i = 0; i < n; i++)
        ret[8 + size + i] = (uint8_t)i;
    return 8 + size + n;
}

static int32_t open_as(struct wf_files *f, const char *name, struct tenon_weights_model **ret, struct tenon_err *err)
{
    *err = (struct tenon_err)TENON_ERR_INIT;
    *ret = NULL;
    int32_t rc = wf_plugin()->open(NULL, &f->table, name, ret, err);
    ck_assert_msg(rc == TENON_OK || err->message[0] != '\0', "no reason");
    return rc;
}

/* The folder of config.json and one file must be refused, for that reason. */
static void refused(const void *data, uint64_t size, const char *reason)
{
    struct tenon_weights_model *model;
    struct tenon_err err;
    struct wf_files f;
    uint8_t *exact = malloc(size != 0 ? size : 1); /* for the address sanitizer */
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, data, size);
    wf_files_init(&f);
    wf_files_set(&f, 0, "config.json", config, sizeof config - 1);
    wf_files_set(&f, 1, "model.safetensors", exact, size);
    ck_assert_msg(open_as(&f, NULL, &model, &err) != TENON_OK, "accepted, not refused for: %s", reason);
    ck_assert_msg(strstr(err.message, reason) != NULL, "%s: %s", reason, err.message);
    free(exact);
}

/* ---- sound ones --------------------------------------------------------------------------------------------- */

static struct tenon_meta_entry entry(const struct tenon_meta *m, const char *key)
{
    struct tenon_meta_entry e = {.struct_size = sizeof e};
    ck_assert_msg(m->find(m->ctx, key, &e) == TENON_OK, "%s", key);
    return e;
}

static void check_string(const struct tenon_meta *m, const char *key, uint64_t i, const char *want)
{
    struct tenon_meta_entry e = entry(m, key);
    struct tenon_str s;
    ck_assert_int_eq(m->strings(m->ctx, &e, i, 1, &s), TENON_OK);
    ck_assert_msg(s.size == strlen(want) && memcmp(s.data, want, s.size) == 0, "%s: %.*s", key, (int)s.size, s.data);
}

START_TEST(sound)
{
    static const char tokenizer[] = "{\"chat_template\":[{\"name\":\"tool\",\"template\":\"T\"},{\"name\":\"default\",\"template\":\"D\"}]}";
    const struct tenon_weights *w = wf_plugin();
    struct tenon_weights_model *model;
    struct tenon_meta_entry e = {.struct_size = sizeof e};
    struct tenon_tensor t = {.struct_size = sizeof t};
    struct tenon_err err;
    struct wf_files f;
    uint8_t data[4096];
    int64_t i;
    double d;
    uint64_t size = file_of(tensors, DATA, data), begin = size - DATA;
    wf_files_init(&f);
    wf_files_set(&f, 0, "config.json", config, sizeof config - 1);
    wf_files_set(&f, 1, "model.safetensors", data, size);
    wf_files_set(&f, 2, "tokenizer_config.json", tokenizer, sizeof tokenizer - 1);
    ck_assert_int_eq(w->probe_folder(NULL, &f.table), 100);
    ck_assert_int_eq(w->probe(NULL, data, size), 60);
    ck_assert_int_eq(w->probe(NULL, "GGUF\3\0\0\1{", 9), 0); /* a length of over 4 GiB */
    ck_assert_msg(open_as(&f, NULL, &model, &err) == TENON_OK, "%s", err.message);
    ck_assert_uint_eq(w->tensor_count(model), 4);
    ck_assert_int_eq(w->tensor_at(model, 0, &t, NULL), TENON_OK);
    ck_assert(t.name.size == 1 && t.name.data[0] == 'b' && t.n_dims == 1 && t.dims[0] == 2);
    ck_assert_str_eq(t.encoding, "f32/1");
    ck_assert(t.planes[0].file == 1 && t.planes[0].offset == begin + 6 && t.planes[0].size == 8);
    ck_assert_int_eq(w->tensor_at(model, 1, &t, NULL), TENON_OK);
    ck_assert(t.n_dims == 2 && t.dims[0] == 3 && t.dims[1] == 1 && t.planes[0].offset == begin);
    ck_assert_str_eq(t.encoding, "bf16/1");
    ck_assert_int_eq(w->tensor_at(model, 3, &t, NULL), TENON_OK);
    ck_assert(t.n_dims == 0 && t.planes[0].size == 1);
    ck_assert_int_eq(w->tensor_at(model, 4, &t, NULL), TENON_E_OUT_OF_RANGE);
    const struct tenon_meta *m = w->metadata(model);
    ck_assert_str_eq(m->format, "huggingface");
    check_string(m, "config.model_type", 0, "llama");
    check_string(m, "config.names", 1, "b");
    check_string(m, "tokenizer_config.chat_template", 0, "D");
    check_string(m, "huggingface.files", 1, "model.safetensors");
    e = entry(m, "config.hidden_size");
    ck_assert(tenon_meta_i64(&e, 0, &i) == 0 && i == 65); /* the last of two counts */
    e = entry(m, "config.inner.deep.x");
    ck_assert(tenon_meta_i64(&e, 0, &i) == 0 && i == 7);
    e = entry(m, "config.flag");
    ck_assert(e.type == TENON_META_BOOL && tenon_meta_i64(&e, 0, &i) == 0 && i == 1);
    e = entry(m, "config.eps");
    ck_assert(tenon_meta_f64(&e, 0, &d) == 0 && d == 1e-5);
    e = entry(m, "config.limit");
    ck_assert(e.is_array == 1 && e.count == 2 && e.type == TENON_META_F64 && tenon_meta_f64(&e, 1, &d) == 0 && isinf(d));
    e = entry(m, "config.most");
    ck_assert(e.is_array == 1 && e.count == 2 && e.type == TENON_META_F64 && tenon_meta_f64(&e, 1, &d) == 0 && isinf(d));
    e = entry(m, "config.list");
    ck_assert(e.is_array == 1 && e.count == 2 && tenon_meta_i64(&e, 1, &i) == 0 && i == 2);
    ck_assert_int_eq(m->find(m->ctx, "config.none", &e), TENON_E_NOT_FOUND);
    e = entry(m, "null.config.none");
    ck_assert(e.type == TENON_META_BOOL && tenon_meta_i64(&e, 0, &i) == 0 && i == 1);
    e = entry(m, "config.nan"); /* not as if it were missing */
    ck_assert(e.type == TENON_META_F64 && tenon_meta_f64(&e, 0, &d) == 0 && isnan(d));
    e = entry(m, "config.mixed");
    ck_assert(e.type == TENON_META_OBJECT && e.is_array == 1 && e.count == 0 && e.data == NULL);
    e = entry(m, "config.inner");
    ck_assert(e.type == TENON_META_OBJECT && e.is_array == 0 && tenon_meta_i64(&e, 0, &i) == TENON_E_INVALID_ARGUMENT);
    ck_assert_uint_ne(wf_walk(w, model, &f), 0);
    w->close(NULL, model);
    w->close(NULL, NULL);
    wf_files_set(&f, 3, "chat_template.jinja", "J", 1); /* counts before the other */
    ck_assert_int_eq(open_as(&f, "model.safetensors", &model, &err), TENON_OK);
    check_string(w->metadata(model), "tokenizer_config.chat_template", 0, "J");
    w->close(NULL, model);
}
END_TEST

static const char header_a[] = "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}";
static const char header_b[] = "{\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}";

/* Two shards by an index; *err of what comes of it. */
static int32_t open_shards(const char *index, const char *first, const char *second, const char *name, uint64_t *ret_count, struct tenon_err *err)
{
    struct tenon_weights_model *model;
    struct wf_files f;
    uint8_t a[4096], b[4096];
    wf_files_init(&f);
    wf_files_set(&f, 0, "config.json", config, sizeof config - 1);
    wf_files_set(&f, 1, "m1.safetensors", a, file_of(first, 4, a));
    wf_files_set(&f, 2, "m2.safetensors", b, file_of(second, 4, b));
    wf_files_set(&f, 3, "model.safetensors.index.json", index, strlen(index));
    int32_t rc = open_as(&f, name, &model, err);
    *ret_count = rc == TENON_OK ? wf_plugin()->tensor_count(model) : 0;
    wf_plugin()->close(NULL, model);
    return rc;
}

START_TEST(shards)
{
    static const char index[] = "{\"metadata\":{},\"weight_map\":{\"a\":\"m1.safetensors\",\"b\":\"m2.safetensors\"}}";
    static const struct { const char *index, *why; } bad[] = {
        {"{\"weight_map\":{\"a\":\"../../etc/passwd\"}}", "in its own folder"},
        {"{\"weight_map\":{\"a\":\"/m1.safetensors\"}}", "in its own folder"},
        {"{\"weight_map\":{\"a\":\"../m1.safetensors\"}}", "in its own folder"},
        {"{\"weight_map\":{\"a\":\"config.json\"}}", "in its own folder"},
        {"{\"weight_map\":{\"a\":\"\"}}", "in its own folder"},
        {"{\"weight_map\":{\"a\":1}}", "in no file"},
        {"{\"weight_map\":{}}", "no weight_map"},
        {"{\"weight_map\":[\"m1.safetensors\"]}", "no weight_map"},
        {"{}", "no weight_map"},
        {"[]", "no object"},
        {"{\"weight_map\":{\"a\":\"m1.safetensors\",\"c\":\"m2.safetensors\"}}", "\"c\" is not in m2.safetensors"},
        {"{\"weight_map\":{\"a\":\"m3.safetensors\"}}", "No such file"},
    };
    struct tenon_err err;
    uint64_t n;
    ck_assert_msg(open_shards(index, header_a, header_b, NULL, &n, &err) == TENON_OK && n == 2, "%s", err.message);
    ck_assert_msg(open_shards(index, header_a, header_b, "m2.safetensors", &n, &err) == TENON_OK && n == 2, "%s", err.message);
    ck_assert_int_ne(open_shards(index, header_a, header_a, NULL, &n, &err), TENON_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "stands there twice"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_ne(open_shards(bad[i].index, header_a, header_b, NULL, &n, &err), TENON_OK);
        ck_assert_msg(strstr(err.message, bad[i].why) != NULL, "%s: %s", bad[i].index, err.message);
    }
}
END_TEST

/* ---- damaged and hostile ones ------------------------------------------------------------------------------- */

START_TEST(cut_at_every_byte)
{
    uint8_t data[4096];
    uint64_t size = file_of(tensors, DATA, data);
    for (uint64_t n = 0; n < size; n++)
        refused(data, n, n < 8 ? "no room for a header" : n < size - DATA ? "cut off" : "fetch it again");
}
END_TEST

START_TEST(lengths_that_lie)
{
    static const uint64_t lengths[] = {0, 1, 1ull << 63, UINT64_MAX, UINT64_MAX - 7, 100000001, 99999999, 1u << 31};
    uint8_t data[4096];
    uint64_t size = file_of(header_a, 4, data);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int k = 0; k < 8; k++)
            data[k] = (uint8_t)(lengths[i] >> 8 * k);
        refused(data, size, "a header of");
    }
}
END_TEST

START_TEST(headers_that_lie)
{
    static const struct { const char *header, *why; } bad[] = {
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[0,4]}}", "do not make"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,5]}}", "at bytes 0 to 5"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,0]}}", "at bytes 4 to 0"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[9007199254740990,9007199254740992]}}", "at bytes"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[-4,0]}}", "two whole numbers"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0.5,4]}}", "two whole numbers"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,1e999]}}", "two whole numbers"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0]}}", "two whole numbers"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4,4]}}", "two whole numbers"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2]}}", "two whole numbers"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", "do not make"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[-2],\"data_offsets\":[0,4]}}", "no whole number"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,4]}}", "more than 8 dims"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":2,\"data_offsets\":[0,4]}}", "no shape"},
        {"{\"a\":{\"dtype\":\"Q7\",\"shape\":[2],\"data_offsets\":[0,4]}}", "does not know"},
        {"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,4]}}", "no type"},
        {"{\"a\":{\"dtype\":\"F16\",\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", "dtype twice"},
        {"{\"a\":[1,2]}", "is no tensor"},
        {"{\"a\":null}", "is no tensor"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", "stands there twice"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[2,4]}}", "overlap"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]}}", "overlap"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}} x", "is no JSON from byte"},
        {"{\"a\":", "is no JSON from byte"},
        {"[1,2]", "no object"},
    };
    uint8_t data[4096];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(data, file_of(bad[i].header, 4, data), bad[i].why);
}
END_TEST

/* config.json of `n` times `what`, between two texts. */
static void bad_config(const char *before, const char *what, uint32_t n, const char *after, const char *why)
{
    struct tenon_weights_model *model;
    struct tenon_err err;
    struct wf_files f;
    uint8_t data[4096];
    size_t size = strlen(before) + n * strlen(what) + strlen(after);
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    char *end = stpcpy(text, before);
    for (uint32_t i = 0; i < n; i++)
        end = stpcpy(end, what);
    (void)stpcpy(end, after);
    wf_files_init(&f);
    wf_files_set(&f, 0, "config.json", text, size);
    wf_files_set(&f, 1, "model.safetensors", data, file_of(header_a, 4, data));
    ck_assert_int_ne(open_as(&f, NULL, &model, &err), TENON_OK);
    ck_assert_msg(strstr(err.message, why) != NULL, "%s: %s", why, err.message);
    free(text);
}

START_TEST(configs)
{
    bad_config("{\"a\":", "[", 100000, "", "100001 deep");
    bad_config("{\"a\":", "{\"a\":", 1000, "1", "1001 deep");
}
END_TEST

START_TEST(large_configs)
{
    bad_config("{\"a\":[", "0,", 2200000, "0]}", "bytes of JSON");
    bad_config("{\"", "long", 200, "\":1}", "a key of over");
    bad_config("{\"a\":\"", "x", 4200000, "\"}", "bytes of JSON");
    bad_config("", "x", 0, "{\"a\":1", "is no JSON from byte");
}
END_TEST

START_TEST(no_models)
{
    struct tenon_weights_model *model;
    struct tenon_err err;
    struct wf_files f;
    uint8_t data[4096];
    uint64_t size = file_of(header_a, 4, data);
    wf_files_init(&f);
    wf_files_set(&f, 0, "README.md", "x", 1);
    ck_assert_int_eq(wf_plugin()->probe_folder(NULL, &f.table), 0);
    wf_files_set(&f, 0, "adapter_config.json", "{}", 2);
    wf_files_set(&f, 1, "adapter_model.safetensors", data, size);
    ck_assert_int_eq(wf_plugin()->probe_folder(NULL, &f.table), 10);
    ck_assert_int_ne(open_as(&f, NULL, &model, &err), TENON_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "LoRA"));
    wf_files_set(&f, 0, "other.safetensors", data, size);
    ck_assert_int_ne(open_as(&f, NULL, &model, &err), TENON_OK);
    wf_files_set(&f, 1, "more.safetensors", data, size);
    ck_assert_int_ne(open_as(&f, NULL, &model, &err), TENON_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "is missing beside the weights"));
    wf_files_set(&f, 2, "config.json", config, sizeof config - 1);
    ck_assert_int_ne(open_as(&f, NULL, &model, &err), TENON_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "one of 2"));
    wf_files_init(&f);
    wf_files_set(&f, 0, "config.json", config, sizeof config - 1);
    ck_assert_int_eq(open_as(&f, NULL, &model, &err), TENON_E_NOT_FOUND);
    wf_files_set(&f, 1, "adapter_model.safetensors", data, size); /* with its base's config.json */
    ck_assert_int_ne(open_as(&f, NULL, &model, &err), TENON_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "LoRA"));
    wf_files_set(&f, 1, "pytorch_model.bin", "x", 1);
    ck_assert_int_eq(wf_plugin()->probe_folder(NULL, &f.table), 10);
    ck_assert_int_ne(open_as(&f, NULL, &model, &err), TENON_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "pytorch_model"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *c = tcase_create("safetensors");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, sound);
    tcase_add_test(c, shards);
    tcase_add_test(c, cut_at_every_byte);
    tcase_add_test(c, lengths_that_lie);
    tcase_add_test(c, headers_that_lie);
    tcase_add_test(c, configs);
    tcase_add_test(c, large_configs);
    tcase_add_test(c, no_models);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
