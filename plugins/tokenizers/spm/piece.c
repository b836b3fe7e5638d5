/* piece.c - joins a short piece. Whatever two neighbours become is spelled as the piece is where they stand: it can be looked
 * up there, without going to see in memory how each of the two is spelled, which is most of what merge.c's way costs a piece
 * not seen before. Otherwise the same as merge.c does for short pieces, and held to it by a test. Contract: piece.h. */
#include "piece.h"

#include <string.h>

#include "../common/utf8.h"

#define SPACE_SIZE (sizeof TOK_SPACE - 1)

struct spelled {
    char text[4 * SPM_PIECE];       /* the characters as the vocabulary spells them */
    uint32_t starts[SPM_PIECE + 1]; /* [n + 1] of token i in text; the last is the end */
    int32_t *ids;                   /* [n] */
    size_t n;
};

/* Characters to tokens; false: one of them joins nothing, or there are too many. */
static bool spell(struct spelled *p, const struct spm_scores *s, const struct tok_chars *chars, const char *piece, size_t size)
{
    uint32_t end = 0;
    p->n = 0;
    for (size_t at = 0, length; at < size; at += length) {
        bool is_space = piece[at] == ' ';
        const char *character = is_space ? TOK_SPACE : piece + at;
        size_t spelled;
        length = is_space ? 1 : tok_utf8_size(piece + at, size - at);
        spelled = is_space ? SPACE_SIZE : length;
        if (length == 0 || p->n == SPM_PIECE)
            return false;
        p->ids[p->n] = tok_chars_id(chars, s->vocab, piece + at, length);
        if (p->ids[p->n] < 0 || s->ranks[p->ids[p->n]] == TOK_NEVER)
            return false;
        p->starts[p->n++] = end;
        for (size_t i = 0; i < spelled; i++)
            p->text[end++] = character[i];
    }
    p->starts[p->n] = end;
    return true;
}

static inline uint32_t look_up(const struct spelled *p, const struct spm_scores *s, size_t at, int32_t *ret_joined)
{
    return spm_scores_find(s, p->text + p->starts[at], p->starts[at + 2] - p->starts[at], ret_joined);
}

size_t spm_piece_ids(const struct spm_scores *s, const struct tok_chars *chars, const char *piece, size_t size, int32_t *ids)
{
    struct spelled p;
    struct tenon_str whole; /* mostly a token: on its way from memory while its parts join */
    uint64_t unused;
    uint32_t ranks[SPM_PIECE]; /* [n - 1] of tokens i and i + 1 */
    int32_t joined[SPM_PIECE]; /* [n - 1] what they become */
    p.ids = ids;
    if (size > 4 * SPM_PIECE || !spell(&p, s, chars, piece, size))
        return 0;
    whole = (struct tenon_str){p.text, p.starts[p.n]};
    tok_vocab_hash_all(s->vocab, &whole, 1, &unused);
    for (size_t i = 0; i + 1 < p.n; i++)
        ranks[i] = look_up(&p, s, i, &joined[i]);
    while (p.n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < p.n; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == TOK_NEVER)
            break;
        ids[best] = joined[best];
        p.n--;
        for (size_t i = best + 1; i <= p.n; i++)
            p.starts[i] = p.starts[i + 1];
        for (size_t i = best + 1; i < p.n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            joined[i - 1] = joined[i];
        }
        if (best > 0)
            ranks[best - 1] = look_up(&p, s, best - 1, &joined[best - 1]);
        if (best + 1 < p.n)
            ranks[best] = look_up(&p, s, best, &joined[best]);
    }
    return p.n;
}
