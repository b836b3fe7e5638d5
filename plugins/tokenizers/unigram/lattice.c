/* lattice.c - Viterbi over the tokens that each place of a text begins with. A place keeps only the best way to it, so a text
 * costs its length times the longest token. A character that is no token by itself is an unknown one, at a price; of ways
 * equally good the one whose last token is longest is taken. Pure functions but for init. Contract: lattice.h. */
#include "lattice.h"

#include <stdlib.h>
#include <string.h>

#include "../common/utf8.h"

#define UNKNOWN (-1)
#define NOWHERE (-2) /* no way leads here */

struct uni_node {
    double score;   /* of the best way from the start to here */
    uint32_t start; /* where the last token of that way begins */
    int32_t id;     /* of that token; UNKNOWN, NOWHERE */
};

/* ---- the model ---------------------------------------------------------------------------------------------- */

static bool is_text(const struct tok_vocab *v, uint32_t id, uint8_t not_text)
{
    return (v->attributes[id] & not_text) == 0 && v->text[id].size > 0;
}

static int32_t measure(const struct tok_vocab *v, uint8_t not_text, uint64_t *ret_bytes, struct tenon_err *err)
{
    uint64_t bytes = 0;
    for (uint32_t id = 0; id < v->n; id++) {
        if (is_text(v, id, not_text) && v->text[id].size > UNI_LONGEST)
            return tenon_fail(err, TENON_E_OUT_OF_RANGE, "unigram", "token %u has %llu bytes, more than the %u allowed", id,
                              (unsigned long long)v->text[id].size, UNI_LONGEST);
        bytes += is_text(v, id, not_text) ? v->text[id].size : 0;
    }
    *ret_bytes = bytes;
    return 0;
}

int32_t uni_model_init(struct uni_model *m, const struct tok_vocab *v, double *scores, double unknown,
                       uint8_t not_text, struct tenon_err *err)
{
    uint64_t bytes = 0;
    int32_t status;
    memset(m, 0, sizeof *m);
    memset(m->byte_id, -1, sizeof m->byte_id);
    m->vocab = v;
    m->scores = scores;
    m->unknown = unknown;
    if ((status = measure(v, not_text, &bytes, err)) != 0 || (status = uni_trie_init(&m->trie, v->seed, bytes, err)) != 0) {
        uni_model_finish(m);
        return status;
    }
    for (uint32_t id = 0; id < v->n; id++)
        if (is_text(v, id, not_text)) {
            uni_trie_add(&m->trie, v->text[id].data, (size_t)v->text[id].size, (int32_t)id);
            tok_joins_note(&m->joins, v->text[id].data, (size_t)v->text[id].size);
        }
    return 0;
}

void uni_model_finish(struct uni_model *m)
{
    uni_trie_finish(&m->trie);
    free(m->scores);
    memset(m, 0, sizeof *m);
}

/* ---- the lattice -------------------------------------------------------------------------------------------- */

void uni_lattice_finish(struct uni_lattice *l)
{
    free(l->nodes);
    memset(l, 0, sizeof *l);
}

static int32_t reserve(struct uni_lattice *l, size_t n)
{
    if (n <= l->capacity)
        return 0;
    uni_lattice_finish(l);
    l->nodes = malloc(n * sizeof *l->nodes);
    if (l->nodes == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    l->capacity = n;
    return 0;
}

static inline void offer(struct uni_node *node, double score, size_t start, int32_t id)
{
    if (node->id == NOWHERE || score > node->score)
        *node = (struct uni_node){score, (uint32_t)start, id};
}

static inline double sum(const struct uni_model *m, double a, double b)
{
    return m->sums_floats ? (double)(float)(a + b) : a + b;
}

/* All tokens that begin at `at`; true when the character there, of `length` bytes, is one. */
static bool offer_tokens(const struct uni_model *m, struct uni_node *nodes, const char *text, size_t size, size_t at,
                         size_t length)
{
    double base = nodes[at].score;
    uint32_t node = UNI_ROOT;
    bool has_single = false;
    for (size_t end = at; end < size && (node = uni_trie_next(&m->trie, node, text[end])) != UNI_NONE;) {
        int32_t id = m->trie.ids[node];
        end++;
        if (id < 0)
            continue;
        offer(&nodes[end], sum(m, base, m->scores[id]), at, id);
        has_single |= end - at == length;
    }
    return has_single;
}

static void walk_forward(const struct uni_model *m, struct uni_node *nodes, const char *text, size_t size)
{
    for (size_t i = 1; i <= size; i++)
        nodes[i].id = NOWHERE;
    nodes[0] = (struct uni_node){0, 0, UNKNOWN};
    for (size_t at = 0, length; at < size; at += length) {
        size_t valid = tok_utf8_size(text + at, size - at);
        length = valid > 0 ? valid : 1;
        if (nodes[at].id != NOWHERE && !offer_tokens(m, nodes, text, size, at, length))
            offer(&nodes[at + length], sum(m, nodes[at].score, m->unknown), at, UNKNOWN);
    }
}

static bool is_unknown(const struct uni_model *m, int32_t id)
{
    return id == UNKNOWN || id == m->vocab->unk;
}

/* An unknown stretch, backwards: its bytes, or the unknown token. */
static size_t put_unknown(const struct uni_model *m, const char *text, size_t start, size_t end, int32_t *last)
{
    size_t n = 0;
    bool has_all = true;
    for (size_t at = start; at < end; at++)
        has_all &= m->byte_id[(unsigned char)text[at]] >= 0;
    if (has_all)
        for (size_t at = end; at-- > start;)
            *(last - n++) = m->byte_id[(unsigned char)text[at]];
    else if (m->vocab->unk >= 0)
        *(last - n++) = m->vocab->unk;
    return n;
}

/* The best way, from the end; ids [size] are filled from their end. Returns how many. */
static size_t walk_back(const struct uni_model *m, const struct uni_node *nodes, const char *text, size_t size,
                        int32_t *ids)
{
    size_t n = 0;
    for (size_t end = size; end > 0;) {
        size_t start = nodes[end].start;
        bool is_long = is_unknown(m, nodes[end].id) && start > 0 && is_unknown(m, nodes[start].id);
        if (nodes[end].id >= 0 && !is_long) { /* the unknown token too, where it is spelled alone */
            ids[size - ++n] = nodes[end].id;
        } else {
            while (start > 0 && is_unknown(m, nodes[start].id))
                start = nodes[start].start;
            n += put_unknown(m, text, start, end, &ids[size - n - 1]);
        }
        end = start;
    }
    return n;
}

int32_t uni_encode(const struct uni_model *m, struct uni_lattice *l, struct tok_work *work, const char *text, size_t size,
                   const int32_t **ret_ids, size_t *ret_n)
{
    int32_t *ids = tok_merge_reserve(&work->merge, size);
    if (ids == NULL || reserve(l, size + 1) != 0)
        return TENON_E_RESOURCE_EXHAUSTED;
    walk_forward(m, l->nodes, text, size);
    *ret_n = walk_back(m, l->nodes, text, size, ids);
    *ret_ids = ids + size - *ret_n;
    return 0;
}
