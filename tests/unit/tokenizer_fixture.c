/* tokenizer_fixture.c - see tokenizer_fixture.h. */
#include "tokenizer_fixture.h"

#include <pthread.h>
#include <stdio.h>

#include "holds.h"
#include "random.h"
#include "shared_file.h"

int32_t tokenizer_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

const struct tenon_tokenizer *table;
struct test_meta meta;

void setup(void)
{
    const struct tenon_plugin *plugin;
    ck_assert_int_eq(tokenizer_entry(TENON_ABI, &plugin), 0);
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
    HOLDS(status == 0, "encode: %s", err.message);
    HOLDS(*ret_n <= size + 1, "%llu ids of %zu bytes", (unsigned long long)*ret_n, size); /* a space may come in front */
    return ids;
}

char *decode(struct tenon_tokenizer_object *tok, const int32_t *ids, uint64_t n, uint32_t flags, size_t *ret_size)
{
    size_t size = 0, capacity = 64;
    char *text = malloc(capacity);
    uint64_t state = 0, got;
    for (uint64_t i = 0; i < n; i++) {
        HOLDS(table->decode(tok, &state, ids[i], flags, text + size, capacity - size, &got, NULL) == 0, "decode: %d", ids[i]);
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
    HOLDS(got_n == n, "\"%s\": %llu ids instead of %llu", text, (unsigned long long)got_n, (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++)
        HOLDS(got[i] == want[i], "\"%s\": id %d is %d instead of %d", text, (int)i, got[i], want[i]);
    free(got);
}

void check_round_trip(struct tenon_tokenizer_object *tok, const char *text, size_t size)
{
    uint64_t n;
    size_t got_size;
    int32_t *ids = encode(tok, text, size, 0, &n);
    char *got = decode(tok, ids, n, 0, &got_size);
    HOLDS(got_size == size && memcmp(got, text, size) == 0, "other bytes come back: \"%.*s\" is now \"%.*s\"", (int)size, text,
          (int)got_size, got);
    free(ids);
    free(got);
}

struct tenon_tokenizer_object *open_shared(const char *name)
{
    char file[128];
    uint64_t size;
    char *data;
    snprintf(file, sizeof file, "data/tokenizers/%s.gguf", name);
    data = shared_file(file, &size);
    if (data == NULL)
        return NULL;
    test_meta_gguf(&meta, data);
    return must_open();
}

static void check_line(struct tenon_tokenizer_object *tok, const char *text, size_t size, char *line, int number)
{
    uint64_t n, i = 0;
    int32_t *ids = encode(tok, text, size, 0, &n);
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "), i++)
        HOLDS(i < n && ids[i] == atoi(word), "string %d, id %d: %d instead of %s", number, (int)i, i < n ? ids[i] : -1, word);
    ck_assert_msg(i == n, "string %d: %d ids instead of %d", number, (int)n, (int)i);
    free(ids);
}

void check_published(const char *name, bool round_trips)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char file[128];
    uint64_t size;
    char *input, *output, *text, *line, *end;
    int count = 0;
    struct tenon_tokenizer_object *tok = open_shared(name);
    if (tok == NULL)
        return;
    snprintf(file, sizeof file, "data/tokenizers/%s.gguf.inp", name);
    text = input = shared_file(file, &size);
    snprintf(file, sizeof file, "data/tokenizers/%s.gguf.out", name);
    line = output = shared_file(file, &size);
    ck_assert(input != NULL && output != NULL);
    while ((end = strstr(text, separator)) != NULL) {
        char *line_end = strchr(line, '\n');
        ck_assert_ptr_nonnull(line_end);
        *line_end = '\0';
        check_line(tok, text, (size_t)(end - text), line, count++);
        if (round_trips)
            check_round_trip(tok, text, (size_t)(end - text));
        text = end + sizeof separator - 1;
        line = line_end + 1;
    }
    printf("%s: %d strings\n", name, count);
    ck_assert_int_gt(count, 30);
    free(input);
    free(output);
    table->close(NULL, tok);
}

void check_long_runs(struct tenon_tokenizer_object *tok, const char *name)
{
    static const char *const units[] = {"a", " ", "7", "\n", "=", "\xf0\x9f\x98\x80", "\xe4\xbd\xa0", "ab", "\xff", "'", "A", "\xcc\x95\xcc\x80"};
    const size_t size = 1u << 18;
    char *text = malloc(size + 1);
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        size_t unit = strlen(units[u]), whole = size / unit * unit;
        uint64_t n;
        double start = seconds();
        for (size_t i = 0; i < whole; i++)
            text[i] = units[u][i % unit];
        text[whole] = 'x'; /* what follows a run decides how it is split */
        free(encode(tok, text, whole + 1, 0, &n));
        printf("%s: 256 KiB of \"%s\": %llu ids in %.3f s\n", name, units[u], (unsigned long long)n, seconds() - start);
        ck_assert_msg(seconds() - start < 10, "quadratic?"); /* generous: sanitizers, shared machines; quadratic is more */
    }
    free(text);
}

/* More threads than the plugin keeps works for, all encoding the same text through one tokenizer. */
struct worker {
    pthread_t thread;
    struct tenon_tokenizer_object *tok;
    const char *text;
    size_t size;
    const int32_t *want; /* [n] */
    uint64_t n;
    bool same;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    int32_t *ids = malloc(w->size * sizeof *ids);
    w->same = ids != NULL;
    for (int round = 0; round < 20 && w->same; round++) {
        uint64_t n = 0;
        w->same = table->encode(w->tok, w->text, w->size, 0, ids, w->size, &n, NULL) == 0 && n == w->n &&
                  memcmp(ids, w->want, n * sizeof *ids) == 0;
    }
    free(ids);
    return NULL;
}

void check_threads(struct tenon_tokenizer_object *tok, const char *text, size_t size)
{
    struct worker workers[12];
    uint64_t n;
    int32_t *want = encode(tok, text, size, 0, &n);
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        workers[i] = (struct worker){.tok = tok, .text = text, .size = size, .want = want, .n = n};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
        ck_assert_msg(workers[i].same, "thread %d got other ids", (int)i);
    }
    free(want);
}

void refused(int32_t status, const char *part)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_tokenizer_object *tok = NULL;
    ck_assert_int_eq(table->open(NULL, test_meta_table(&meta), NULL, &tok, &err), status);
    ck_assert_ptr_null(tok);
    ck_assert_msg(strstr(err.message, part) != NULL, "\"%s\" does not say \"%s\"", err.message, part);
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
