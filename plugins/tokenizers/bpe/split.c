/* split.c - runs a split: by its scanner where there is one, else by matching its patterns. If PCRE2 gives up on a part
 * (the table's patterns do not get there), the rest of it stays one piece, so that no text can fail. Contract: split.h. */
#include "split.h"

#include <string.h>

int32_t bpe_split_init(struct bpe_split *s, const struct bpe_pre *pre, struct tenon_err *err)
{
    int32_t status = 0;
    memset(s, 0, sizeof *s);
    s->scan = bpe_scan_find(pre->steps);
    if (s->scan != NULL)
        return bpe_classes_init(&s->classes, err);
    while (status == 0 && s->n_steps < BPE_PRE_STEPS && pre->steps[s->n_steps] != NULL) {
        status = bpe_pattern_init(&s->steps[s->n_steps], pre->steps[s->n_steps], err);
        s->n_steps++;
    }
    if (status != 0)
        bpe_split_finish(s);
    return status;
}

void bpe_split_finish(struct bpe_split *s)
{
    bpe_classes_finish(&s->classes);
    for (uint32_t i = 0; i < s->n_steps; i++)
        bpe_pattern_finish(&s->steps[i]);
    memset(s, 0, sizeof *s);
}

/* ---- by a scanner ------------------------------------------------------------------------------------------- */

static int32_t scan(const struct bpe_split *s, struct bpe_matcher *m, const char *text, size_t size, bpe_pieces_fn *take,
                    void *arg)
{
    uint32_t ends[BPE_SCAN_PIECES];
    int32_t status = 0;
    m->failed = false;
    for (size_t at = 0; status == 0 && at < size;) {
        size_t n = bpe_scan_next(s->scan, &s->classes, m, text + at, size - at, ends);
        status = m->failed ? TENON_E_RESOURCE_EXHAUSTED : take(arg, text + at, ends, n);
        at += ends[n - 1];
    }
    return status;
}

/* ---- by patterns -------------------------------------------------------------------------------------------- */

struct run {
    const struct bpe_split *split;
    struct bpe_matcher *matcher;
    bpe_pieces_fn *take;
    void *arg;
};

/* The next match of a step, an empty one that cuts included, in part [size] from `at` on. */
static bool find(const struct run *r, const struct bpe_pattern *step, const char *part, size_t size, size_t at,
                 size_t *ret_from, size_t *ret_to)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(r->matcher->data);
    if (bpe_pattern_match(step, r->matcher, part, size, at, PCRE2_NOTEMPTY_ATSTART) < 0)
        return false;
    *ret_from = found[0];
    *ret_to = found[1];
    return true;
}

/* Cut a part by step number `level` and hand each part of it to the next; as deep as there are steps. */
static int32_t cut(const struct run *r, uint32_t level, const char *part, size_t size)
{
    size_t at = 0, from, to;
    uint32_t end = (uint32_t)size;
    int32_t status = 0;
    if (level == r->split->n_steps)
        return r->take(r->arg, part, &end, 1);
    while (status == 0 && at < size && find(r, &r->split->steps[level], part, size, at, &from, &to)) {
        if (from > at)
            status = cut(r, level + 1, part + at, from - at);
        if (status == 0 && to > from)
            status = cut(r, level + 1, part + from, to - from);
        at = to;
    }
    if (status == 0 && at < size)
        status = cut(r, level + 1, part + at, size - at);
    return status;
}

int32_t bpe_split_run(const struct bpe_split *s, struct bpe_matcher *m, const char *text, size_t size,
                      bpe_pieces_fn *take, void *arg)
{
    const struct run r = {s, m, take, arg};
    if (s->scan != NULL)
        return scan(s, m, text, size, take, arg);
    return size == 0 ? 0 : cut(&r, 0, text, size);
}
