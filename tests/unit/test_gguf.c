/* test_gguf.c - the GGUF plugin on files made here, right and wrong, and on a real one when TENON_MODEL_SMOLLM2 names it.
 * Models of several files are in test_gguf_shards.c. The plugin's sources are linked in, with malloc and its kin wrapped: so
 * memory is counted, and can be made to fail.
 * Files stand in blocks of exactly their size, for the address sanitizer to see a read past them. */
#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counted_memory.h"
#include "random.h"
#include "suite.h"
#include "tests/unit/gguf_writer.h"

/* ---- helpers ------------------------------------------------------------------------------------------------ */

static const struct tenon_weights *weights;
static struct tenon_err err;

static void setup(void)
{
    weights = wf_plugin();
    err = (struct tenon_err)TENON_ERR_INIT;
}

/* Open size bytes as a file, look at all of it, close it. Memory is measured in counted.peak. */
static int32_t open_bytes(const void *data, size_t size)
{
    struct tenon_weights_model *model;
    struct wf_files files;
    wf_files_init(&files);
    wf_files_set(&files, 0, "m.gguf", data, size);
    err = (struct tenon_err)TENON_ERR_INIT;
    counted_watch();
    int32_t rc = weights->open(NULL, &files.table, "m.gguf", &model, &err);
    if (rc == TENON_OK) {
        (void)wf_walk(weights, model, &files);
        weights->close(NULL, model);
    }
    counted.watching = false;
    ck_assert_msg(counted.live == 0, "%zu bytes left", counted.live);
    ck_assert_int_eq(err.code, rc);
    ck_assert_msg(rc == TENON_OK || err.message[0] != '\0', "no reason given for %d", rc);
    return rc;
}

/* What open may use for a file of that many bytes: see gguf.h. */
static size_t justified(size_t size)
{
    return 12 * size + 65536;
}

/* A copy of exactly the first n bytes. */
static uint8_t *exact_copy(const struct gw *w, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, w->data, n);
    return copy;
}

/* Open what was written; it must fail with that code and those words. */
static void refused(struct gw *w, int32_t code, const char *words)
{
    uint8_t *copy = exact_copy(w, w->size);
    ck_assert_int_eq(open_bytes(copy, w->size), code);
    ck_assert_msg(strstr(err.message, words) != NULL, "\"%s\" lacks \"%s\"", err.message, words);
    ck_assert_msg(counted.peak <= justified(w->size), "%zu bytes of memory for a file of %zu", counted.peak, w->size);
    free(copy);
    gw_finish(w);
}

/* A small file with all types of values, arrays of them, and three tensors; returns with w filled. */
static void write_small(struct gw *w, uint32_t version)
{
    gw_header(w, version, 3, 16);
    gw_key_string(w, "general.architecture", "llama");
    gw_key(w, "u8", TENON_META_U8), gw_u8(w, 200);
    gw_key(w, "i8", TENON_META_I8), gw_u8(w, (uint8_t)-3);
    gw_key(w, "u16", TENON_META_U16), gw_bytes(w, &(uint16_t){60000}, 2);
    gw_key(w, "i16", TENON_META_I16), gw_bytes(w, &(int16_t){-300}, 2);
    gw_key_u32(w, "u32", 4000000000u);
    gw_key(w, "i32", TENON_META_I32), gw_bytes(w, &(int32_t){-70000}, 4);
    gw_key(w, "f32", TENON_META_F32), gw_bytes(w, &(float){1.5f}, 4);
    gw_key(w, "bool", TENON_META_BOOL), gw_u8(w, 1);
    gw_key(w, "u64", TENON_META_U64), gw_u64(w, 1ull << 40);
    gw_key(w, "i64", TENON_META_I64), gw_bytes(w, &(int64_t){-(1ll << 40)}, 8);
    gw_key(w, "f64", TENON_META_F64), gw_bytes(w, &(double){0.1}, 8);
    gw_key_array(w, "tokens", TENON_META_STRING, 3), gw_string(w, "a"), gw_string(w, ""), gw_string(w, "ccc");
    gw_key_array(w, "types", TENON_META_I32, 3), gw_bytes(w, (int32_t[]){1, -2, 3}, 12);
    gw_key_array(w, "nothing", TENON_META_STRING, 0);
    gw_key_array(w, "flags", TENON_META_BOOL, 2), gw_u8(w, 0), gw_u8(w, 1);
    gw_tensor(w, "embed", 2, (uint64_t[]){64, 3}, 8, 0);       /* Q8_0: 2 blocks of 34 bytes, 3 rows: 204 bytes */
    gw_tensor(w, "last", 1, (uint64_t[]){5}, 0, 288);          /* F32: 20 bytes */
    gw_tensor(w, "cube", 3, (uint64_t[]){2, 3, 4}, 1, 224);    /* F16: 48 bytes; out of order is fine */
    gw_align(w, 32);
    gw_zeros(w, 288 + 20);
}

static int64_t number_of(const struct tenon_meta *meta, const char *key, uint64_t i)
{
    struct tenon_meta_entry e;
    int64_t v;
    ck_assert_msg(meta->find(meta->ctx, key, &e) == TENON_OK, "no key %s", key);
    ck_assert_int_eq(tenon_meta_i64(&e, i, &v), TENON_OK);
    return v;
}

/* ---- right files -------------------------------------------------------------------------------------------- */

static void check_small_meta(const struct tenon_meta *meta)
{
    struct tenon_meta_entry e;
    struct tenon_str s[3];
    double d;
    ck_assert_str_eq(meta->format, "gguf");
    ck_assert_uint_eq(meta->count, 16);
    ck_assert_int_eq(number_of(meta, "u8", 0), 200);
    ck_assert_int_eq(number_of(meta, "i8", 0), -3);
    ck_assert_int_eq(number_of(meta, "u16", 0), 60000);
    ck_assert_int_eq(number_of(meta, "i16", 0), -300);
    ck_assert_int_eq(number_of(meta, "u32", 0), 4000000000);
    ck_assert_int_eq(number_of(meta, "i32", 0), -70000);
    ck_assert_int_eq(number_of(meta, "bool", 0), 1);
    ck_assert_int_eq(number_of(meta, "u64", 0), 1ll << 40);
    ck_assert_int_eq(number_of(meta, "i64", 0), -(1ll << 40));
    ck_assert_int_eq(number_of(meta, "types", 1), -2);
    ck_assert_int_eq(meta->find(meta->ctx, "f64", &e), TENON_OK);
    ck_assert(tenon_meta_f64(&e, 0, &d) == TENON_OK && d == 0.1);
    ck_assert_int_eq(meta->find(meta->ctx, "f32", &e), TENON_OK);
    ck_assert(tenon_meta_f64(&e, 0, &d) == TENON_OK && d == 1.5);
    ck_assert_int_eq(meta->strings(meta->ctx, &e, 0, 1, s), TENON_E_INVALID_ARGUMENT);
    ck_assert_int_eq(meta->find(meta->ctx, "tokens", &e), TENON_OK);
    ck_assert(e.is_array == 1 && e.count == 3 && e.data == NULL && e.type == TENON_META_STRING);
    ck_assert_int_eq(meta->strings(meta->ctx, &e, 0, 3, s), TENON_OK);
    ck_assert(s[0].size == 1 && s[0].data[0] == 'a' && s[1].size == 0 && s[2].size == 3 && memcmp(s[2].data, "ccc", 3) == 0);
    ck_assert_int_eq(meta->strings(meta->ctx, &e, 2, 2, s), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(meta->strings(meta->ctx, &e, UINT64_MAX, 2, s), TENON_E_OUT_OF_RANGE);
    ck_assert_int_eq(meta->find(meta->ctx, "general.architecture", &e), TENON_OK);
    ck_assert_int_eq(meta->strings(meta->ctx, &e, 0, 1, s), TENON_OK);
    ck_assert(s[0].size == 5 && memcmp(s[0].data, "llama", 5) == 0);
    ck_assert_int_eq(meta->find(meta->ctx, "missing", &e), TENON_E_NOT_FOUND);
    ck_assert_int_eq(meta->at(meta->ctx, 16, &e), TENON_E_OUT_OF_RANGE);
}

static void check_small_tensors(struct tenon_weights_model *model, size_t file_size)
{
    struct tenon_tensor t;
    ck_assert_uint_eq(weights->tensor_count(model), 3);
    ck_assert_int_eq(weights->tensor_at(model, 0, &t, &err), TENON_OK);
    ck_assert_str_eq(t.encoding, "gguf.q8_0/1");
    ck_assert(t.n_dims == 2 && t.dims[0] == 3 && t.dims[1] == 64 && t.n_planes == 1);
    ck_assert(t.planes[0].size == 204 && t.planes[0].offset == file_size - 308);
    ck_assert_int_eq(weights->tensor_at(model, 1, &t, &err), TENON_OK);
    ck_assert(t.planes[0].size == 20 && t.planes[0].offset == file_size - 20);
    ck_assert_int_eq(weights->tensor_at(model, 2, &t, &err), TENON_OK);
    ck_assert(t.n_dims == 3 && t.dims[0] == 4 && t.dims[1] == 3 && t.dims[2] == 2 && t.planes[0].size == 48);
    ck_assert(t.name.size == 4 && memcmp(t.name.data, "cube", 4) == 0);
    ck_assert_int_eq(weights->tensor_at(model, 3, &t, &err), TENON_E_OUT_OF_RANGE);
}

START_TEST(reads_all_types)
{
    struct gw w = {0};
    struct wf_files files;
    struct tenon_weights_model *model;
    write_small(&w, (uint32_t)_i);
    wf_files_init(&files);
    wf_files_set(&files, 0, "m.gguf", w.data, w.size);
    ck_assert_int_eq(weights->probe(NULL, w.data, w.size), 100);
    ck_assert_int_eq(weights->probe(NULL, w.data, 3), 0);
    ck_assert_int_eq(weights->open(NULL, &files.table, "m.gguf", &model, &err), TENON_OK);
    check_small_meta(weights->metadata(model));
    check_small_tensors(model, w.size);
    weights->close(NULL, model);
    weights->close(NULL, NULL);
    gw_finish(&w);
}
END_TEST

START_TEST(reads_vocabulary_without_tensors)
{
    struct gw w = {0};
    gw_header(&w, 3, 0, 1);
    gw_key_array(&w, "tokenizer.ggml.tokens", TENON_META_STRING, 1), gw_string(&w, "x");
    uint8_t *copy = exact_copy(&w, w.size); /* ends before the data section would begin */
    ck_assert_int_eq(open_bytes(copy, w.size), TENON_OK);
    free(copy);
    gw_finish(&w);
}
END_TEST

START_TEST(names_types_without_an_encoding_here)
{
    struct gw w = {0};
    struct wf_files files;
    struct tenon_weights_model *model;
    struct tenon_tensor t;
    gw_header(&w, 3, 1, 0);
    gw_tensor(&w, "a", 1, (uint64_t[]){256}, 17, 0);
    gw_align(&w, 32), gw_zeros(&w, 74);
    wf_files_init(&files);
    wf_files_set(&files, 0, "m.gguf", w.data, w.size);
    ck_assert_int_eq(weights->open(NULL, &files.table, "m.gguf", &model, &err), TENON_OK);
    ck_assert_int_eq(weights->tensor_at(model, 0, &t, &err), TENON_OK);
    ck_assert_str_eq(t.encoding, "gguf.iq2_xs/1");
    weights->close(NULL, model);
    gw_finish(&w);
}
END_TEST

START_TEST(opens_a_large_vocabulary_at_once)
{
    enum { TOKENS = 262144, MERGES = 500000 };
    struct gw w = {0};
    char token[32];
    gw_header(&w, 3, 0, 2);
    gw_key_array(&w, "tokenizer.ggml.tokens", TENON_META_STRING, TOKENS);
    for (int i = 0; i < TOKENS; i++)
        (void)snprintf(token, sizeof token, "token%d", i), gw_string(&w, token);
    gw_key_array(&w, "tokenizer.ggml.merges", TENON_META_STRING, MERGES);
    for (int i = 0; i < MERGES; i++)
        (void)snprintf(token, sizeof token, "to ken%d", i), gw_string(&w, token);
    struct wf_files files;
    struct tenon_weights_model *model;
    struct tenon_meta_entry e;
    struct tenon_str s;
    wf_files_init(&files);
    wf_files_set(&files, 0, "m.gguf", w.data, w.size);
    double start = seconds();
    counted_watch();
    int32_t rc = weights->open(NULL, &files.table, "m.gguf", &model, &err);
    counted.watching = false;
    double spent = 1e3 * (seconds() - start);
    ck_assert_int_eq(rc, TENON_OK);
    printf("gguf: 262144 tokens and 500000 merges open in %.2f ms with %zu KiB\n", spent, counted.peak / 1024);
    ck_assert_uint_lt(counted.peak, w.size / 2);
    ck_assert_msg(spent < 500, "%.1f ms", spent);
    const struct tenon_meta *meta = weights->metadata(model);
    ck_assert_int_eq(meta->find(meta->ctx, "tokenizer.ggml.tokens", &e), TENON_OK);
    ck_assert_int_eq(meta->strings(meta->ctx, &e, TOKENS - 1, 1, &s), TENON_OK);
    ck_assert(s.size == 11 && memcmp(s.data, "token262143", 11) == 0);
    weights->close(NULL, model);
    gw_finish(&w);
}
END_TEST

/* ---- wrong files -------------------------------------------------------------------------------------------- */

START_TEST(refuses_headers)
{
    struct gw w = {0};
    gw_bytes(&w, "GGML", 4), gw_zeros(&w, 20);
    refused(&w, TENON_E_INVALID_ARGUMENT, "no GGUF file");
    gw_header(&w, 1, 0, 0);
    refused(&w, TENON_E_UNIMPLEMENTED, "version 1");
    gw_header(&w, 4, 0, 0);
    refused(&w, TENON_E_UNIMPLEMENTED, "version 4");
    gw_header(&w, 3u << 24, 0, 0);
    refused(&w, TENON_E_UNIMPLEMENTED, "big-endian");
    gw_header(&w, 3, 0, 1ull << 62);
    refused(&w, TENON_E_DATA_LOSS, "cut off");
    gw_header(&w, 3, UINT64_MAX, 0);
    refused(&w, TENON_E_DATA_LOSS, "cut off");
}
END_TEST

/* A file with one key; the caller writes the value. */
static struct gw *one_key(struct gw *w, uint32_t type)
{
    gw_header(w, 3, 0, 1);
    gw_key(w, "k", type);
    return w;
}

START_TEST(refuses_metadata)
{
    struct gw w = {0};
    gw_header(&w, 3, 0, 2), gw_key_u32(&w, "k", 1), gw_key_u32(&w, "k", 2);
    refused(&w, TENON_E_INVALID_ARGUMENT, "\"k\" stands there twice");
    gw_u8(one_key(&w, TENON_META_BOOL), 2);
    refused(&w, TENON_E_INVALID_ARGUMENT, "key \"k\": a boolean is 2");
    gw_u32(one_key(&w, 13), 0);
    refused(&w, TENON_E_INVALID_ARGUMENT, "value type 13");
    gw_u64(one_key(&w, TENON_META_STRING), UINT64_MAX);
    refused(&w, TENON_E_DATA_LOSS, "key \"k\"");
    gw_u32(one_key(&w, 9), 9), gw_u64(&w, 1), gw_zeros(&w, 32);
    refused(&w, TENON_E_INVALID_ARGUMENT, "inside an array");
    gw_u32(one_key(&w, 9), TENON_META_U64), gw_u64(&w, 1ull << 61), gw_zeros(&w, 32);
    refused(&w, TENON_E_DATA_LOSS, "numbers");
    gw_u32(one_key(&w, 9), TENON_META_STRING), gw_u64(&w, 1ull << 61), gw_zeros(&w, 32);
    refused(&w, TENON_E_DATA_LOSS, "strings");
    for (uint32_t bad = 0; bad < 49; bad += 48)
        gw_header(&w, 3, 0, 1), gw_key_u32(&w, "general.alignment", bad), refused(&w, TENON_E_INVALID_ARGUMENT, "power of two");
    gw_header(&w, 3, 0, 1), gw_key_string(&w, "general.alignment", "32");
    refused(&w, TENON_E_INVALID_ARGUMENT, "whole number");
}
END_TEST

/* One tensor of those dims, type and offset, with 1024 bytes of data. */
static struct gw *one_tensor(struct gw *w, uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset)
{
    gw_header(w, 3, 1, 0);
    gw_tensor(w, "weight", n_dims, dims, type, offset);
    gw_align(w, 32), gw_zeros(w, 1024);
    return w;
}

START_TEST(refuses_tensors)
{
    struct gw w = {0};
    refused(one_tensor(&w, 0, NULL, 0, 0), TENON_E_INVALID_ARGUMENT, "0 dims");
    refused(one_tensor(&w, 5, (uint64_t[]){1, 1, 1, 1, 1}, 0, 0), TENON_E_INVALID_ARGUMENT, "5 dims");
    refused(one_tensor(&w, 2, (uint64_t[]){4, 0}, 0, 0), TENON_E_INVALID_ARGUMENT, "dim 1 is 0");
    refused(one_tensor(&w, 1, (uint64_t[]){(uint64_t)-4}, 0, 0), TENON_E_INVALID_ARGUMENT, "dim 0 is 18446744073709551612");
    refused(one_tensor(&w, 3, (uint64_t[]){1u << 31, 1u << 31, 4}, 0, 0), TENON_E_INVALID_ARGUMENT, "elements than can be");
    refused(one_tensor(&w, 1, (uint64_t[]){INT64_MAX}, 28, 0), TENON_E_INVALID_ARGUMENT, "bytes than can be");
    refused(one_tensor(&w, 1, (uint64_t[]){33}, 8, 0), TENON_E_INVALID_ARGUMENT, "whole blocks of 32");
    refused(one_tensor(&w, 1, (uint64_t[]){32}, 4, 0), TENON_E_UNIMPLEMENTED, "\"weight\" has type 4,");
    refused(one_tensor(&w, 1, (uint64_t[]){32}, 5000, 0), TENON_E_UNIMPLEMENTED, "\"weight\" has type 5000,");
    refused(one_tensor(&w, 1, (uint64_t[]){4}, 0, 4), TENON_E_INVALID_ARGUMENT, "alignment");
    refused(one_tensor(&w, 1, (uint64_t[]){4}, 0, 1024), TENON_E_DATA_LOSS, "past the end");
    refused(one_tensor(&w, 1, (uint64_t[]){4}, 0, UINT64_MAX - 31), TENON_E_DATA_LOSS, "past the end");
    refused(one_tensor(&w, 1, (uint64_t[]){257}, 0, 0), TENON_E_DATA_LOSS, "past the end");
    gw_header(&w, 3, 2, 0);
    gw_tensor(&w, "a", 1, (uint64_t[]){4}, 0, 0), gw_tensor(&w, "a", 1, (uint64_t[]){4}, 0, 32), gw_zeros(&w, 128);
    refused(&w, TENON_E_INVALID_ARGUMENT, "\"a\" stands there twice");
    gw_header(&w, 3, 2, 0);
    gw_tensor(&w, "a", 1, (uint64_t[]){4}, 0, 32), gw_tensor(&w, "b", 1, (uint64_t[]){9}, 0, 0), gw_zeros(&w, 128);
    refused(&w, TENON_E_INVALID_ARGUMENT, "\"b\" and \"a\" overlap");
}
END_TEST

START_TEST(survives_cuts_at_every_byte)
{
    struct gw w = {0};
    write_small(&w, 3);
    for (size_t n = 0; n < w.size; n++) {
        uint8_t *cut = exact_copy(&w, n);
        ck_assert_msg(open_bytes(cut, n) != TENON_OK, "opened with %zu of %zu bytes", n, w.size);
        ck_assert_uint_le(counted.peak, justified(n));
        free(cut);
    }
    gw_finish(&w);
}
END_TEST

/* Damage up to 16 bytes at a random place of the first n; what was there goes to undo [16]. Returns the place. */
static size_t damage(uint8_t *data, size_t n, uint8_t *undo)
{
    static const uint64_t lengths[] = {0, 1, 0x7fffffff, 0xffffffff, 1ull << 32, 1ull << 40, INT64_MAX, 1ull << 63, UINT64_MAX};
    size_t at = next_random() % (n - 16);
    uint64_t length = lengths[next_random() % (sizeof lengths / sizeof lengths[0])];
    memcpy(undo, data + at, 16);
    switch (next_random() % 6) {
    case 0: data[at] ^= (uint8_t)(1u << next_random() % 8); break;
    case 1: data[at] = (uint8_t)next_random(); break;
    case 2: memcpy(data + at, &length, 4); break;
    case 3: memcpy(data + at, &length, 8); break;
    case 4: length = next_random() % (2 * n), memcpy(data + at, &length, 8); break;
    default: data[at]++, data[at + 8]--; break;
    }
    return at;
}

START_TEST(survives_mutations_of_a_small_file)
{
    struct gw w = {0};
    uint8_t undo[16];
    seed_random("gguf");
    write_small(&w, 3);
    uint8_t *copy = exact_copy(&w, w.size);
    int opened = 0;
    for (int k = 0; k < 10000; k++) {
        if (k % 4 == 0) /* else the damage adds up */
            memcpy(copy, w.data, w.size);
        (void)damage(copy, w.size - 308, undo);
        opened += open_bytes(copy, w.size) == TENON_OK;
        ck_assert_uint_le(counted.peak, justified(w.size));
    }
    ck_assert_msg(opened > 100 && opened < 9900, "%d of 10000 opened: the damage is not where it matters", opened);
    free(copy);
    gw_finish(&w);
}
END_TEST

/* As many of the shortest keys or tensors as fit: memory and time must stay in proportion. */
START_TEST(dense_files_stay_in_proportion)
{
    enum { N = 200000 };
    struct gw w = {0};
    gw_header(&w, 3, N, N);
    for (uint32_t i = 0; i < N; i++)
        gw_u64(&w, 4), gw_u32(&w, i), gw_u32(&w, TENON_META_U8), gw_u8(&w, 0);
    for (uint32_t i = 0; i < N; i++) {
        gw_u64(&w, 4), gw_u32(&w, i), gw_u32(&w, 1), gw_u64(&w, 1), gw_u32(&w, 24);
        gw_u64(&w, 32ull * (N - 1 - i)); /* falling: the worst order for some sorts */
    }
    gw_align(&w, 32);
    size_t header = w.size;
    gw_zeros(&w, 32u * N);
    uint8_t *copy = exact_copy(&w, w.size);
    double start = seconds();
    ck_assert_int_eq(open_bytes(copy, w.size), TENON_OK);
    printf("gguf: %d keys and %d tensors open in %.1f ms with %.1f bytes per byte of header\n", N, N, 1e3 * (seconds() - start),
           (double)counted.peak / (double)header);
    ck_assert_uint_le(counted.peak, justified(header));
    ck_assert(1e3 * (seconds() - start) < 5000);
    free(copy);
    gw_finish(&w);
}
END_TEST

START_TEST(survives_every_failed_allocation)
{
    struct gw w = {0};
    long k;
    write_small(&w, 3);
    for (k = 0;; k++) {
        counted.fail_in = k;
        int32_t rc = open_bytes(w.data, w.size);
        counted.fail_in = -1;
        if (rc == TENON_OK)
            break;
        ck_assert_int_eq(rc, TENON_E_RESOURCE_EXHAUSTED);
    }
    ck_assert_int_gt(k, 5);
    gw_finish(&w);
}
END_TEST

/* ---- a real file -------------------------------------------------------------------------------------------- */

/* TENON_MODEL_SMOLLM2, mapped so that it may be damaged; NULL, and said so, when it is not there. */
static uint8_t *map_real(size_t *ret_size)
{
    const char *path = getenv("TENON_MODEL_SMOLLM2");
    struct stat st;
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &st) != 0) {
        printf("gguf: SKIPPED the tests of a real file: TENON_MODEL_SMOLLM2 must name smollm2.gguf\n");
        return NULL;
    }
    uint8_t *data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne(data, MAP_FAILED);
    close(fd);
    *ret_size = (size_t)st.st_size;
    return data;
}

/* Where the data section begins: the smallest offset of a tensor. */
static size_t header_size(struct tenon_weights_model *model)
{
    struct tenon_tensor t;
    size_t least = SIZE_MAX;
    for (uint64_t i = 0; i < weights->tensor_count(model); i++)
        if (weights->tensor_at(model, i, &t, NULL) == TENON_OK && t.planes[0].offset < least)
            least = t.planes[0].offset;
    return least;
}

START_TEST(survives_mutations_of_a_real_file)
{
    struct wf_files files;
    struct tenon_weights_model *model;
    uint8_t undo[16];
    size_t size, opened = 0;
    uint8_t *data = map_real(&size);
    if (data == NULL)
        return;
    seed_random("gguf: the real file");
    wf_files_init(&files);
    wf_files_set(&files, 0, "m.gguf", data, size);
    double start = seconds();
    ck_assert_int_eq(weights->open(NULL, &files.table, "m.gguf", &model, &err), TENON_OK);
    printf("gguf: the real file opens in %.2f ms\n", 1e3 * (seconds() - start));
    size_t header = header_size(model), tensors = weights->tensor_count(model);
    weights->close(NULL, model);
    ck_assert_uint_gt(tensors, 200);
    for (int k = 0; k < 10000; k++) {
        /* the head, the tensor list at the end, and now and then the vocabulary between them */
        size_t part = k % 8 == 0 ? header : 24576, base = k % 2 == 0 ? 0 : header - part;
        size_t at = base + damage(data + base, part, undo);
        counted_watch();
        opened += weights->open(NULL, &files.table, "m.gguf", &model, &err) == TENON_OK;
        if (err.code == TENON_OK) {
            if (k % 16 == 1)
                (void)wf_walk(weights, model, &files);
            weights->close(NULL, model);
        }
        counted.watching = false;
        ck_assert_uint_eq(counted.live, 0);
        ck_assert_uint_le(counted.peak, justified(header));
        err = (struct tenon_err)TENON_ERR_INIT;
        memcpy(data + at, undo, 16);
    }
    printf("gguf: %zu of 10000 damaged headers still open\n", opened);
    munmap(data, size);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf");
    TCase *tc = tcase_create("gguf");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 280);
    tcase_add_loop_test(tc, reads_all_types, 2, 4);
    tcase_add_test(tc, reads_vocabulary_without_tensors);
    tcase_add_test(tc, names_types_without_an_encoding_here);
    tcase_add_test(tc, opens_a_large_vocabulary_at_once);
    tcase_add_test(tc, refuses_headers);
    tcase_add_test(tc, refuses_metadata);
    tcase_add_test(tc, refuses_tensors);
    tcase_add_test(tc, survives_cuts_at_every_byte);
    tcase_add_test(tc, survives_mutations_of_a_small_file);
    tcase_add_test(tc, dense_files_stay_in_proportion);
    tcase_add_test(tc, survives_every_failed_allocation);
    tcase_add_test(tc, survives_mutations_of_a_real_file);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
