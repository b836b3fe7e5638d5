/* split.c - runs the patterns of a split by PCRE2, just-in-time compiled where the machine allows. A pattern that runs
 * out of the just-in-time stack is tried again by the interpreter, whose memory is on the heap and bounded; if that
 * gives up too, the rest of the part stays one piece, so that no text can fail. (The table's patterns do not get there.)
 * Contract: split.h. */
#include "split.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define JIT_STACK_START (32u << 10) /* bytes */
#define JIT_STACK_MOST (1u << 20)
#define HEAP_MOST (64u << 10) /* KiB that the interpreter may take */

#define MAX_PATTERN 8192u /* bytes, after expansion */

/* White_Space of the Unicode Character Database, as the inside of a bracket. PCRE2's own \s has U+180E too, which has
 * not been white space since Unicode 6.3. */
#define WHITE_SPACE                                                                                     \
    "\\t-\\r\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

/* Copy a pattern with \s and \S written out. Returns its length; 0: it does not fit. */
static size_t expand(const char *pattern, char *out, size_t capacity)
{
    size_t n = 0;
    bool in_bracket = false;
    for (const char *p = pattern; *p != '\0';) {
        size_t length = p[0] == '\\' ? 2 : 1;
        const char *open = in_bracket ? "" : p[length - 1] == 'S' ? "[^" : "[", *close = in_bracket ? "" : "]";
        int written;
        if (length == 2 && (p[1] == 's' || (p[1] == 'S' && !in_bracket)))
            written = snprintf(out + n, capacity - n, "%s" WHITE_SPACE "%s", open, close);
        else
            written = snprintf(out + n, capacity - n, "%.*s", (int)length, p);
        if (written < 0 || (size_t)written >= capacity - n)
            return 0;
        n += (size_t)written;
        if (length == 1 && (*p == '[' || *p == ']'))
            in_bracket = *p == '[';
        p += length;
    }
    return n;
}

static int32_t compile(struct bpe_split_step *step, const char *pattern, struct tenon_err *err)
{
    char text[MAX_PATTERN];
    PCRE2_SIZE offset = 0;
    int code = PCRE2_ERROR_BADDATA;
    size_t size = expand(pattern, text, sizeof text);
    if (size > 0)
        step->code = pcre2_compile((PCRE2_SPTR)text, size, PCRE2_UTF | PCRE2_UCP, &code, &offset, NULL);
    if (step->code == NULL) {
        char reason[128] = "";
        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason); /* cutting is fine */
        return tenon_fail(err, TENON_E_INTERNAL, "bpe", "PCRE2 refuses the pattern \"%.200s\" at %zu: %s", pattern,
                          offset, reason);
    }
    step->has_jit = pcre2_jit_compile(step->code, PCRE2_JIT_COMPLETE) == 0;
    return 0;
}

int32_t bpe_split_init(struct bpe_split *s, const struct bpe_pre *pre, struct tenon_err *err)
{
    memset(s, 0, sizeof *s);
    while (s->n_steps < BPE_PRE_STEPS && pre->steps[s->n_steps] != NULL) {
        int32_t status = compile(&s->steps[s->n_steps], pre->steps[s->n_steps], err);
        if (status != 0) {
            bpe_split_finish(s);
            return status;
        }
        s->n_steps++;
    }
    return 0;
}

void bpe_split_finish(struct bpe_split *s)
{
    for (uint32_t i = 0; i < s->n_steps; i++)
        pcre2_code_free(s->steps[i].code);
    memset(s, 0, sizeof *s);
}

int32_t bpe_matcher_init(struct bpe_matcher *m)
{
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MOST, NULL);
    if (m->data == NULL || m->context == NULL) {
        bpe_matcher_finish(m);
        return TENON_E_RESOURCE_EXHAUSTED;
    }
    if (m->stack != NULL) /* without machine code there may be none */
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
    /* Patterns are our own and linear: a limit on steps would only cut long texts short. */
    (void)pcre2_set_match_limit(m->context, UINT32_MAX);
    (void)pcre2_set_heap_limit(m->context, HEAP_MOST);
    return 0;
}

void bpe_matcher_finish(struct bpe_matcher *m)
{
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    memset(m, 0, sizeof *m);
}

struct run {
    const struct bpe_split *split;
    struct bpe_matcher *matcher;
    bpe_piece_fn *take;
    void *arg;
};

/* The next match of a step, an empty one that cuts included, in part [size] from `at` on. */
static bool find(const struct run *r, const struct bpe_split_step *step, const char *part, size_t size, size_t at,
                 size_t *ret_from, size_t *ret_to)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(r->matcher->data);
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (step->has_jit)
        rc = pcre2_jit_match(step->code, (PCRE2_SPTR)part, size, at, PCRE2_NOTEMPTY_ATSTART, r->matcher->data,
                             r->matcher->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(step->code, (PCRE2_SPTR)part, size, at, PCRE2_NOTEMPTY_ATSTART | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                         r->matcher->data, r->matcher->context);
    if (rc < 0)
        return false;
    *ret_from = found[0];
    *ret_to = found[1];
    return true;
}

/* Cut a part by step number `level` and hand each part of it to the next; as deep as there are steps. */
static int32_t cut(const struct run *r, uint32_t level, const char *part, size_t size)
{
    size_t at = 0, from, to;
    int32_t status = 0;
    if (level == r->split->n_steps)
        return r->take(r->arg, part, size);
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
                      bpe_piece_fn *take, void *arg)
{
    const struct run r = {s, m, take, arg};
    return size == 0 ? 0 : cut(&r, 0, text, size);
}
