/* bpe_fixture.c - see bpe_fixture.h. */
#include "bpe_fixture.h"

#include <check.h>
#include <stdio.h>

int32_t bpe_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

const struct tenon_tokenizer *table;
struct test_meta meta;

void setup(void)
{
    const struct tenon_plugin *plugin;
    ck_assert_int_eq(bpe_entry(TENON_ABI, &plugin), 0);
    ck_assert_str_eq(plugin->items[0].iface, TENON_TOKENIZER_IFACE);
    table = plugin->items[0].impl;
    memset(&meta, 0, sizeof meta);
}

void teardown(void)
{
    test_meta_finish(&meta);
}

struct tenon_tokenizer_object *must_open(void)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_tokenizer_object *tok = NULL;
    int32_t status = table->open(NULL, test_meta_table(&meta), NULL, &tok, &err);
    ck_assert_msg(status == 0, "open: %d %s", status, err.message);
    return tok;
}

int32_t *encode(struct tenon_tokenizer_object *tok, const char *text, size_t size, uint32_t flags, uint64_t *ret_n)
{
    struct tenon_err err = TENON_ERR_INIT;
    int32_t *ids = malloc((size + 1) * sizeof *ids);
    int32_t status = table->encode(tok, text, size, flags, ids, size + 1, ret_n, &err);
    ck_assert_msg(status == 0, "encode: %s", err.message);
    ck_assert_uint_le(*ret_n, size);
    return ids;
}

char *decode(struct tenon_tokenizer_object *tok, const int32_t *ids, uint64_t n, uint32_t flags, size_t *ret_size)
{
    size_t size = 0, capacity = 64;
    char *text = malloc(capacity);
    uint64_t state = 0, got;
    for (uint64_t i = 0; i < n; i++) {
        ck_assert_int_eq(table->decode(tok, &state, ids[i], flags, text + size, capacity - size, &got, NULL), 0);
        if (got > capacity - size) {
            text = realloc(text, capacity = 2 * (capacity + got));
            i--; /* again, now that it fits */
            continue;
        }
        size += got;
    }
    *ret_size = size;
    return text;
}

void check_ids(struct tenon_tokenizer_object *tok, const char *text, uint32_t flags, const int32_t *want, uint64_t n)
{
    uint64_t got_n;
    int32_t *got = encode(tok, text, strlen(text), flags, &got_n);
    ck_assert_msg(got_n == n, "\"%s\": %llu ids instead of %llu", text, (unsigned long long)got_n, (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++)
        ck_assert_msg(got[i] == want[i], "\"%s\": id %d is %d instead of %d", text, (int)i, got[i], want[i]);
    free(got);
}

void check_round_trip(struct tenon_tokenizer_object *tok, const char *text, size_t size)
{
    uint64_t n;
    size_t got_size;
    int32_t *ids = encode(tok, text, size, 0, &n);
    char *got = decode(tok, ids, n, 0, &got_size);
    ck_assert_uint_eq(got_size, size);
    ck_assert_int_eq(memcmp(got, text, size), 0);
    free(ids);
    free(got);
}

static char byte_spellings[BYTES][4];
const char *tiny_tokens[TINY_MOST];
int32_t tiny_types[TINY_MOST];
uint32_t tiny_n;

void tiny_token(const char *text, int32_t type)
{
    tiny_types[tiny_n] = type;
    tiny_tokens[tiny_n++] = text;
}

void tiny_bytes(void)
{
    tiny_n = 0;
    for (unsigned c = 33; c < 256 + 68; c++) {
        char *s = byte_spellings[tiny_n];
        if ((c > 126 && c < 161) || c == 173)
            continue;
        if (c < 128)
            snprintf(s, 4, "%c", (int)c);
        else
            snprintf(s, 4, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 63)));
        tiny_token(s, 1);
    }
    ck_assert_uint_eq(tiny_n, BYTES);
}

void tiny_meta(const char *pre, const char *const *merges, uint64_t n_merges)
{
    test_meta_string(&meta, KEY "model", "gpt2");
    test_meta_string(&meta, KEY "pre", pre);
    test_meta_strings(&meta, KEY "tokens", tiny_tokens, tiny_n);
    test_meta_array(&meta, KEY "token_type", TENON_META_I32, tiny_types, tiny_n);
    test_meta_strings(&meta, KEY "merges", merges, n_merges);
}
