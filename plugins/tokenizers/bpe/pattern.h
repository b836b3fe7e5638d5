/* pattern.h - one pattern, compiled by PCRE2, and what a thread needs to match it.
 *
 *     struct bpe_pattern p = {0};
 *     struct bpe_matcher m;
 *     if (bpe_pattern_init(&p, "\\p{L}+", err) != 0 || bpe_matcher_init(&m) != 0) return ...;
 *     if (bpe_pattern_match(&p, &m, text, size, at, PCRE2_NOTEMPTY_ATSTART) > 0) ...          // text is valid UTF-8
 *
 * \s is Unicode's white space. A pattern is immutable after init, [any-thread]; a matcher is one thread's at a time.
 */
#ifndef BPE_PATTERN_H
#define BPE_PATTERN_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>

#include <tenon/plugin.h>

#define BPE_MATCHER_GROUPS 12u /* a matcher has room for the whole match and 11 groups */

struct bpe_pattern {
    pcre2_code *code; /* NULL: not compiled */
    uint32_t has_jit; /* machine code could be made */
};

struct bpe_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    bool failed; /* the class of a character could not be found out (classes.h): no memory */
};

/* Errors: RESOURCE_EXHAUSTED, INTERNAL (PCRE2 refuses it). On failure nothing is held. */
int32_t bpe_pattern_init(struct bpe_pattern *p, const char *text, struct tenon_err *err);

/* The same with further options of pcre2_compile; INVALID_ARGUMENT for a pattern that is not our own. */
int32_t bpe_pattern_compile(struct bpe_pattern *p, const char *text, uint32_t options, struct tenon_err *err);

void bpe_pattern_finish(struct bpe_pattern *p); /* zeroed is fine */

/* RESOURCE_EXHAUSTED; then nothing is held. */
int32_t bpe_matcher_init(struct bpe_matcher *m);
void bpe_matcher_finish(struct bpe_matcher *m); /* zeroed is fine */

/* Match from `at` on with options of pcre2_match: its result, below 0 for none. */
int bpe_pattern_match(const struct bpe_pattern *p, struct bpe_matcher *m, const char *text, size_t size, size_t at,
                      uint32_t options);

#endif
