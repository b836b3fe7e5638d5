/* vocab.c - reads a vocabulary from metadata and indexes it by spelling. The index is one flat table with linear
 * probing: opening 150,000 tokens must not cost 150,000 allocations. Most spellings are so short that their hash and size
 * say all of them; a probe touches a longer one only when these agree. Built by one thread, then constant. Contract: vocab.h. */
#include "vocab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define KEY "tokenizer.ggml."

/* Values of tokenizer.ggml.token_type. */
enum token_type {
    TYPE_UNDEFINED, TYPE_NORMAL, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE, TYPES
};

static const uint8_t type_attributes[TYPES] = {
    [TYPE_UNKNOWN] = TENON_TOKEN_UNKNOWN, [TYPE_CONTROL] = TENON_TOKEN_CONTROL,
    [TYPE_USER_DEFINED] = TENON_TOKEN_USER_DEFINED, [TYPE_UNUSED] = TENON_TOKEN_UNUSED, [TYPE_BYTE] = TENON_TOKEN_BYTE,
};

/* Control tokens that end an answer in the models that have them, whichever of them the metadata names as EOS. */
static const char *const end_names[] = {
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot|>", "<|EOT|>",
    "<EOT>", "<end_of_turn>", "<|end_of_turn|>", "<|return|>", "<|call|>", "<|END_OF_TURN_TOKEN|>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>", /* DeepSeek's, in full-width bars */
};

/* ---- reading metadata --------------------------------------------------------------------------------------- */

static int32_t find(const struct tenon_meta *meta, const char *key, struct tenon_meta_entry *ret_entry)
{
    memset(ret_entry, 0, sizeof *ret_entry);
    ret_entry->struct_size = sizeof *ret_entry;
    return meta->find(meta->ctx, key, ret_entry);
}

int32_t tok_meta_strings(const struct tenon_meta *meta, const char *key, struct tenon_meta_entry *ret_entry,
                         struct tenon_err *err)
{
    if (find(meta, key, ret_entry) != 0)
        return tenon_fail(err, TENON_E_NOT_FOUND, "tokenizer", "the model has no %s: it cannot be tokenized", key);
    if (!ret_entry->is_array || ret_entry->type != TENON_META_STRING)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer", "%s is not an array of strings: the file is damaged",
                          key);
    if (ret_entry->count > TOK_MAX_ENTRIES)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "tokenizer", "%s has %llu entries, more than the %u allowed", key,
                          (unsigned long long)ret_entry->count, TOK_MAX_ENTRIES);
    return 0;
}

int32_t tok_meta_string(const struct tenon_meta *meta, const char *key, struct tenon_str *ret_text,
                        struct tenon_err *err)
{
    struct tenon_meta_entry entry;
    struct tenon_str text = {0};
    if (find(meta, key, &entry) == 0 &&
        (entry.type != TENON_META_STRING || entry.is_array || meta->strings(meta->ctx, &entry, 0, 1, &text) != 0))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer", "%s is not a string: the file is damaged", key);
    *ret_text = text;
    return 0;
}

int32_t tok_meta_number(const struct tenon_meta *meta, const char *key, int64_t *ret, struct tenon_err *err)
{
    struct tenon_meta_entry entry;
    if (find(meta, key, &entry) != 0)
        return 0;
    if (entry.is_array || tenon_meta_i64(&entry, 0, ret) != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer", "%s is not a number: the file is damaged", key);
    return 0;
}

bool tok_meta_is(const struct tenon_meta *meta, const char *key, const char *word)
{
    struct tenon_str text = {0};
    return tok_meta_string(meta, key, &text, NULL) == 0 && text.size == strlen(word) &&
           memcmp(text.data, word, text.size) == 0;
}

/* -1 and its 32-bit image mean none, as a missing key does. */
int32_t tok_meta_id(const struct tok_vocab *v, const struct tenon_meta *meta, const char *key, int32_t *ret_id,
                       struct tenon_err *err)
{
    int64_t id = -1;
    int32_t status = tok_meta_number(meta, key, &id, err);
    if (status != 0)
        return status;
    if (id == UINT32_MAX)
        id = -1;
    if (id < -1 || id >= (int64_t)v->n)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer", "%s is %lld, but there are only %u tokens", key,
                          (long long)id, v->n);
    *ret_id = (int32_t)id;
    return 0;
}

static int32_t read_flag(const struct tenon_meta *meta, const char *key, int32_t *ret_flag, struct tenon_err *err)
{
    int64_t flag = -1;
    int32_t status = tok_meta_number(meta, key, &flag, err);
    if (status == 0)
        *ret_flag = flag < 0 ? -1 : flag != 0;
    return status;
}

/* ---- the index ---------------------------------------------------------------------------------------------- */

/* A step that can be undone. */
static inline uint64_t mix(const struct tok_vocab *v, uint64_t h)
{
    h *= v->factor;
    return h ^ (h >> 29);
}

/* A step in which every bit of the product counts: which texts come out alike depends on the factor. */
static inline uint64_t fold(const struct tok_vocab *v, uint64_t h)
{
    unsigned __int128 product = (unsigned __int128)h * v->factor;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to eight bytes as one number that only the same bytes of the same size have. */
static inline uint64_t few_bytes(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t low, high;
    if (size < 4)
        return size == 0 ? 0 : (uint64_t)bytes[0] | (uint64_t)bytes[size / 2] << 8 | (uint64_t)bytes[size - 1] << 16;
    memcpy(&low, text, sizeof low);
    memcpy(&high, text + size - sizeof high, sizeof high);
    return (uint64_t)high << 32 | low;
}

static inline uint64_t eight_bytes(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return word;
}

static inline uint64_t hash(const struct tok_vocab *v, const char *text, size_t size)
{
    uint64_t h = v->seed ^ size;
    const char *last;
    if (size <= 8)
        return mix(v, mix(v, h ^ few_bytes(text, size)));
    last = text + size - 8;
    for (; text < last; text += 8)
        h = fold(v, h ^ eight_bytes(text));
    return fold(v, h ^ eight_bytes(last));
}

#define EXACT 8u /* bytes: for up to so many the hash says all, as each step of it can be undone */

static inline bool holds(const struct tok_vocab *v, const struct tok_vocab_slot *slot, uint64_t h, const char *text, size_t size)
{
    if (slot->hash != h || slot->size != (uint32_t)size)
        return false;
    return size <= EXACT || (v->text[slot->id].size == size && memcmp(v->text[slot->id].data, text, size) == 0);
}

/* The slot that holds the spelling, or the free one where it belongs. There is always a free slot. */
static inline struct tok_vocab_slot *probe(const struct tok_vocab *v, uint64_t h, const char *text, size_t size)
{
    uint32_t at = (uint32_t)(h >> 32) & v->mask;
    while (v->slots[at].id >= 0 && !holds(v, &v->slots[at], h, text, size))
        at = (at + 1) & v->mask;
    return &v->slots[at];
}

uint64_t tok_vocab_hash(const struct tok_vocab *v, const char *text, size_t size)
{
    return hash(v, text, size);
}

int32_t tok_vocab_find_by(const struct tok_vocab *v, uint64_t hash, const char *text, size_t size)
{
    return size == 0 ? -1 : probe(v, hash, text, size)->id; /* an empty token stands for nothing */
}

int32_t tok_vocab_find(const struct tok_vocab *v, const char *text, size_t size)
{
    return tok_vocab_find_by(v, hash(v, text, size), text, size);
}

void tok_vocab_hash_all(const struct tok_vocab *v, const struct tenon_str *texts, size_t n, uint64_t *hashes)
{
    for (size_t i = 0; i < n; i++) {
        hashes[i] = hash(v, texts[i].data, (size_t)texts[i].size);
        __builtin_prefetch(&v->slots[hashes[i] >> 32 & v->mask]);
    }
}

void tok_vocab_find_all(const struct tok_vocab *v, const struct tenon_str *texts, const uint64_t *hashes, size_t n, int32_t *ids)
{
    for (size_t i = 0; i < n; i++) { /* a guess: not always is the first slot the one */
        ids[i] = texts[i].size > EXACT ? v->slots[hashes[i] >> 32 & v->mask].id : -1;
        if (ids[i] >= 0)
            __builtin_prefetch(&v->text[ids[i]]);
    }
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0)
            __builtin_prefetch(v->text[ids[i]].data);
    for (size_t i = 0; i < n; i++)
        ids[i] = texts[i].size == 0 ? -1 : probe(v, hashes[i], texts[i].data, (size_t)texts[i].size)->id;
}

#define AHEAD 64u /* look-ups whose memory is asked for at once */

static int32_t index_by(struct tok_vocab *v, uint32_t id, uint64_t h, struct tenon_err *err)
{
    const struct tenon_str *text = &v->text[id];
    struct tok_vocab_slot *slot;
    if (text->size == 0)
        return 0;
    slot = probe(v, h, text->data, (size_t)text->size);
    if (slot->id >= 0) {
        if (v->attributes[id] & TENON_TOKEN_UNUSED)
            return 0; /* fillers of a padded vocabulary may all be spelled alike */
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer", "token %u is spelled like token %d: \"%.*s\"", id,
                          slot->id, (int)(text->size < 64 ? text->size : 64), text->data);
    }
    slot->hash = h;
    slot->size = (uint32_t)text->size;
    slot->id = (int32_t)id;
    return 0;
}

#define HUGE_PAGE ((size_t)2 << 20)

void *tok_table_alloc(size_t size)
{
    void *table = size < HUGE_PAGE ? malloc(size) : aligned_alloc(HUGE_PAGE, size);
    if (table == NULL)
        return NULL;
    if (size >= HUGE_PAGE)
        (void)madvise(table, size, MADV_HUGEPAGE); /* advice: fine without */
    return memset(table, 0xff, size);
}

void *tok_list_grow(void *list, size_t size)
{
    char *grown = realloc(list, size);
    size_t before = -(uintptr_t)grown & (HUGE_PAGE - 1); /* bytes up to the first huge page */
    if (grown != NULL && size >= before + HUGE_PAGE)
        (void)madvise(grown + before, (size - before) & ~(HUGE_PAGE - 1), MADV_HUGEPAGE); /* advice: fine without */
    return grown;
}

int32_t tok_vocab_create(struct tok_vocab *v, uint32_t n, struct tenon_err *err)
{
    uint64_t random[2];
    uint32_t slots = 16;
    memset(v, 0, sizeof *v);
    v->bos = v->eos = v->unk = v->pad = v->add_bos = v->add_eos = -1;
    if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random[0] = (uintptr_t)v * 0x9e3779b97f4a7c15u, random[1] = ~random[0]; /* early boot: the address is better than nothing */
    v->seed = random[0];
    v->factor = random[1] | 1;
    while (slots < 2 * n)
        slots *= 2;
    v->n = n;
    v->mask = slots - 1;
    v->text = calloc(n, sizeof *v->text);
    v->attributes = calloc(n, sizeof *v->attributes);
    v->slots = tok_table_alloc(slots * sizeof *v->slots);
    if (v->text == NULL || v->attributes == NULL || v->slots == NULL) {
        tok_vocab_finish(v);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "tokenizer", "no memory for %u tokens", n);
    }
    return 0;
}

int32_t tok_vocab_index(struct tok_vocab *v, struct tenon_err *err)
{
    uint64_t hashes[AHEAD];
    int32_t status = 0;
    for (uint32_t first = 0, n; status == 0 && first < v->n; first += n) {
        n = v->n - first < AHEAD ? v->n - first : AHEAD;
        for (uint32_t i = 0; i < n; i++) {
            hashes[i] = hash(v, v->text[first + i].data, (size_t)v->text[first + i].size);
            __builtin_prefetch(&v->slots[hashes[i] >> 32 & v->mask], 1);
        }
        for (uint32_t i = 0; status == 0 && i < n; i++)
            status = index_by(v, first + i, hashes[i], err);
    }
    return status;
}

/* ---- tokens ------------------------------------------------------------------------------------------------- */

static int32_t read_tokens(struct tok_vocab *v, const struct tenon_meta *meta, struct tenon_err *err)
{
    struct tenon_meta_entry tokens;
    int32_t status = tok_meta_strings(meta, KEY "tokens", &tokens, err);
    if (status != 0)
        return status;
    if (tokens.count == 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer", KEY "tokens is empty: the file is damaged");
    status = tok_vocab_create(v, (uint32_t)tokens.count, err);
    if (status != 0)
        return status;
    status = meta->strings(meta->ctx, &tokens, 0, v->n, v->text);
    return status == 0 ? 0 : tenon_fail(err, status, "tokenizer", KEY "tokens cannot be read: the file is damaged");
}

static int32_t read_types(struct tok_vocab *v, const struct tenon_meta *meta, struct tenon_err *err)
{
    struct tenon_meta_entry types;
    if (find(meta, KEY "token_type", &types) != 0)
        return 0; /* all normal */
    if (!types.is_array || types.count != v->n)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer", KEY "token_type has %llu entries for %u tokens",
                          (unsigned long long)types.count, v->n);
    for (uint32_t id = 0; id < v->n; id++) {
        int64_t type = -1;
        if (tenon_meta_i64(&types, id, &type) != 0 || type < 0 || type >= TYPES)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "tokenizer", KEY "token_type of token %u is not 0 to %d", id,
                              TYPES - 1);
        v->attributes[id] = type_attributes[type];
    }
    return 0;
}

static int32_t read_ids(struct tok_vocab *v, const struct tenon_meta *meta, struct tenon_err *err)
{
    int32_t status;
    if ((status = tok_meta_id(v, meta, KEY "bos_token_id", &v->bos, err)) != 0 ||
        (status = tok_meta_id(v, meta, KEY "eos_token_id", &v->eos, err)) != 0 ||
        (status = tok_meta_id(v, meta, KEY "unknown_token_id", &v->unk, err)) != 0 ||
        (status = tok_meta_id(v, meta, KEY "padding_token_id", &v->pad, err)) != 0 ||
        (status = read_flag(meta, KEY "add_bos_token", &v->add_bos, err)) != 0 ||
        (status = read_flag(meta, KEY "add_eos_token", &v->add_eos, err)) != 0)
        return status;
    return 0;
}

static int32_t find_token(const void *vocab, const char *text, size_t size)
{
    return tok_vocab_find(vocab, text, size);
}

void tok_vocab_mark_ends(struct tok_vocab *v, int32_t (*find_id)(const void *arg, const char *text, size_t size),
                         const void *arg)
{
    for (size_t i = 0; i < sizeof end_names / sizeof end_names[0]; i++) {
        int32_t id = find_id(arg, end_names[i], strlen(end_names[i]));
        if (id >= 0 && (v->attributes[id] & TENON_TOKEN_CONTROL))
            v->attributes[id] |= TENON_TOKEN_END;
    }
}

static int32_t mark_ends(struct tok_vocab *v, const struct tenon_meta *meta, struct tenon_err *err)
{
    int32_t ends[3] = {v->eos, -1, -1}, status;
    if ((status = tok_meta_id(v, meta, KEY "eot_token_id", &ends[1], err)) != 0 ||
        (status = tok_meta_id(v, meta, KEY "eom_token_id", &ends[2], err)) != 0)
        return status;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends[i] >= 0)
            v->attributes[ends[i]] |= TENON_TOKEN_END;
    tok_vocab_mark_ends(v, find_token, v);
    return 0;
}

int32_t tok_vocab_init(struct tok_vocab *v, const struct tenon_meta *meta, struct tenon_err *err)
{
    int32_t status;
    memset(v, 0, sizeof *v);
    if ((status = read_tokens(v, meta, err)) != 0 || (status = read_types(v, meta, err)) != 0 ||
        (status = tok_vocab_index(v, err)) != 0 || (status = read_ids(v, meta, err)) != 0 ||
        (status = mark_ends(v, meta, err)) != 0) {
        tok_vocab_finish(v);
        return status;
    }
    return 0;
}

void tok_vocab_finish(struct tok_vocab *v)
{
    free(v->text);
    free(v->attributes);
    free(v->slots);
    memset(v, 0, sizeof *v);
}

/* ---- what the table of the ABI asks -------------------------------------------------------------------------- */

void tok_vocab_info(const struct tok_vocab *v, struct tenon_tokenizer_info *ret_info)
{
    struct tenon_tokenizer_info all = {
        .struct_size = sizeof all, .vocab_size = v->n, .bos = v->bos, .eos = v->eos, .unk = v->unk, .pad = v->pad,
        .add_bos = v->add_bos > 0, .add_eos = v->add_eos > 0,
    };
    uint32_t size = ret_info->struct_size < sizeof all ? ret_info->struct_size : (uint32_t)sizeof all;
    all.struct_size = size;
    memcpy(ret_info, &all, size);
}

int32_t tok_vocab_piece(const struct tok_vocab *v, int32_t id, struct tenon_str *ret_piece, uint32_t *ret_attributes)
{
    if (id < 0 || (uint32_t)id >= v->n)
        return TENON_E_OUT_OF_RANGE;
    *ret_piece = v->text[id];
    *ret_attributes = v->attributes[id];
    return 0;
}

int32_t tok_vocab_check(const struct tok_vocab *v, int32_t id, struct tenon_err *err)
{
    if (id < 0 || (uint32_t)id >= v->n)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "tokenizer", "there is no token %d: ids are 0 to %u", id, v->n - 1);
    return 0;
}
