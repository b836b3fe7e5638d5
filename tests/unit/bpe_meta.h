/* bpe_meta.h - metadata for tokenizer tests: made by hand, or read from a GGUF file whose contents are trusted.
 *
 *     struct test_meta m = {0};
 *     test_meta_string(&m, "tokenizer.ggml.model", "gpt2");
 *     test_meta_strings(&m, "tokenizer.ggml.tokens", list, n);
 *     tokenizer->open(NULL, test_meta_table(&m), NULL, &tok, &err);
 *     test_meta_finish(&m);
 *
 * A key that is set again replaces the one before. Keys and texts given are borrowed.
 */
#ifndef BPE_META_H
#define BPE_META_H

#include <stdlib.h>

#include <tenon/weights.h>

#define TEST_META_MOST 96u

struct test_meta {
    struct tenon_meta table;
    struct tenon_meta_entry entries[TEST_META_MOST];
    struct tenon_str *texts[TEST_META_MOST]; /* [count] of a string entry. OWN: this */
    int64_t numbers[TEST_META_MOST];
    char *file; /* a GGUF file's bytes. OWN: this */
};

static int32_t test_meta_at(void *ctx, uint32_t i, struct tenon_meta_entry *ret)
{
    struct test_meta *m = ctx;
    if (i >= m->table.count)
        return TENON_E_OUT_OF_RANGE;
    *ret = m->entries[i];
    return 0;
}

static int32_t test_meta_find(void *ctx, const char *key, struct tenon_meta_entry *ret)
{
    struct test_meta *m = ctx;
    for (uint32_t i = 0; i < m->table.count; i++)
        if (m->entries[i].key.size == strlen(key) && memcmp(m->entries[i].key.data, key, strlen(key)) == 0)
            return test_meta_at(m, i, ret);
    return TENON_E_NOT_FOUND;
}

static int32_t test_meta_read(void *ctx, const struct tenon_meta_entry *entry, uint64_t start, uint64_t n,
                              struct tenon_str *out)
{
    struct test_meta *m = ctx;
    if (m->texts[entry->index] == NULL || start > entry->count || n > entry->count - start)
        return TENON_E_OUT_OF_RANGE;
    memcpy(out, m->texts[entry->index] + start, n * sizeof *out);
    return 0;
}

static inline const struct tenon_meta *test_meta_table(struct test_meta *m)
{
    m->table.struct_size = sizeof m->table;
    m->table.ctx = m;
    m->table.format = "gguf";
    m->table.at = test_meta_at;
    m->table.find = test_meta_find;
    m->table.strings = test_meta_read;
    return &m->table;
}

/* A new entry, or the old one of that key. */
static inline struct tenon_meta_entry *test_meta_entry(struct test_meta *m, const char *key, size_t key_size, uint32_t type)
{
    uint32_t i = 0;
    while (i < m->table.count &&
           !(m->entries[i].key.size == key_size && memcmp(m->entries[i].key.data, key, key_size) == 0))
        i++;
    if (i == TEST_META_MOST)
        abort();
    if (i == m->table.count)
        m->table.count++;
    free(m->texts[i]);
    m->texts[i] = NULL;
    m->entries[i] = (struct tenon_meta_entry){.struct_size = sizeof m->entries[i], .type = type, .count = 1, .index = i,
                                              .key = {key, key_size}};
    return &m->entries[i];
}

static inline void test_meta_number(struct test_meta *m, const char *key, int64_t value)
{
    struct tenon_meta_entry *e = test_meta_entry(m, key, strlen(key), TENON_META_I64);
    m->numbers[e->index] = value;
    e->data = &m->numbers[e->index];
}

static inline struct tenon_str *test_meta_texts(struct test_meta *m, const char *key, size_t key_size, uint64_t n)
{
    struct tenon_meta_entry *e = test_meta_entry(m, key, key_size, TENON_META_STRING);
    e->is_array = 1;
    e->count = n;
    m->texts[e->index] = calloc(n + 1, sizeof(struct tenon_str));
    return m->texts[e->index];
}

static inline void test_meta_strings(struct test_meta *m, const char *key, const char *const *list, uint64_t n)
{
    struct tenon_str *texts = test_meta_texts(m, key, strlen(key), n);
    for (uint64_t i = 0; i < n; i++)
        texts[i] = (struct tenon_str){list[i], strlen(list[i])};
}

static inline void test_meta_string(struct test_meta *m, const char *key, const char *text)
{
    test_meta_strings(m, key, &text, 1);
    for (uint32_t i = 0; i < m->table.count; i++)
        if (m->texts[i] != NULL && m->texts[i]->data == text)
            m->entries[i].is_array = 0;
}

/* Numbers of any type, borrowed. */
static inline void test_meta_array(struct test_meta *m, const char *key, uint32_t type, const void *data, uint64_t n)
{
    struct tenon_meta_entry *e = test_meta_entry(m, key, strlen(key), type);
    e->is_array = 1;
    e->count = n;
    e->data = data;
}

static inline void test_meta_finish(struct test_meta *m)
{
    for (uint32_t i = 0; i < TEST_META_MOST; i++)
        free(m->texts[i]);
    free(m->file);
    memset(m, 0, sizeof *m);
}

/* ---- GGUF --------------------------------------------------------------------------------------------------- */

static inline uint64_t test_gguf_number(const char **at, size_t size)
{
    uint64_t v = 0;
    memcpy(&v, *at, size);
    *at += size;
    return v;
}

static inline struct tenon_str test_gguf_string(const char **at)
{
    struct tenon_str s;
    s.size = test_gguf_number(at, 8);
    s.data = *at;
    *at += s.size;
    return s;
}

static inline void test_gguf_value(struct test_meta *m, const char **at)
{
    static const uint8_t sizes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    struct tenon_str key = test_gguf_string(at);
    uint32_t type = (uint32_t)test_gguf_number(at, 4), is_array = type == 9;
    uint64_t n = 1;
    struct tenon_meta_entry *e;
    if (is_array) {
        type = (uint32_t)test_gguf_number(at, 4);
        n = test_gguf_number(at, 8);
    }
    if (type == TENON_META_STRING) {
        struct tenon_str *texts = test_meta_texts(m, key.data, key.size, n);
        for (uint64_t i = 0; i < n; i++)
            texts[i] = test_gguf_string(at);
        e = &m->entries[m->table.count - 1];
    } else {
        e = test_meta_entry(m, key.data, key.size, type);
        e->count = n;
        e->data = *at;
        *at += n * sizes[type];
    }
    e->is_array = is_array;
}

/* Takes over `file`, a whole GGUF file of version 2 or 3. */
static inline void test_meta_gguf(struct test_meta *m, char *file)
{
    const char *at = file + 16; /* magic, version, count of tensors */
    uint64_t n = test_gguf_number(&at, 8);
    m->file = file;
    while (n-- > 0)
        test_gguf_value(m, &at);
}

#endif
