/* pattern.c - compiles a pattern and matches it, just-in-time compiled where the machine allows. One that runs out of the
 * just-in-time stack is tried again by the interpreter, whose memory is on the heap and bounded. Contract: pattern.h. */
#include "pattern.h"

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

int32_t bpe_pattern_compile(struct bpe_pattern *p, const char *pattern, uint32_t options, struct tenon_err *err)
{
    char text[MAX_PATTERN];
    PCRE2_SIZE offset = 0;
    int code = PCRE2_ERROR_BADDATA;
    size_t size = expand(pattern, text, sizeof text);
    memset(p, 0, sizeof *p);
    if (size > 0)
        p->code = pcre2_compile((PCRE2_SPTR)text, size, PCRE2_UTF | PCRE2_UCP | options, &code, &offset, NULL);
    if (p->code == NULL) {
        char reason[128] = "";
        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason); /* cutting is fine */
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "bpe", "PCRE2 refuses the pattern \"%.200s\" at %zu: %s", pattern,
                          offset, reason);
    }
    p->has_jit = pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0;
    return 0;
}

int32_t bpe_pattern_init(struct bpe_pattern *p, const char *pattern, struct tenon_err *err)
{
    return bpe_pattern_compile(p, pattern, 0, err) == 0 ? 0 : TENON_E_INTERNAL; /* our own are well-formed */
}

void bpe_pattern_finish(struct bpe_pattern *p)
{
    pcre2_code_free(p->code);
    memset(p, 0, sizeof *p);
}

int32_t bpe_matcher_init(struct bpe_matcher *m)
{
    m->data = pcre2_match_data_create(BPE_MATCHER_GROUPS, NULL);
    m->failed = false;
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

int bpe_pattern_match(const struct bpe_pattern *p, struct bpe_matcher *m, const char *text, size_t size, size_t at,
                      uint32_t options)
{
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (p->has_jit)
        rc = pcre2_jit_match(p->code, (PCRE2_SPTR)text, size, at, options, m->data, m->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(p->code, (PCRE2_SPTR)text, size, at, options | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                         m->data, m->context);
    return rc;
}
