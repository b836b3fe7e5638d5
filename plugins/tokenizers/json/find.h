/* find.h - what a step of a tokenizer.json looks for: a text, a class of characters, or a regular expression.
 *
 *     struct js_finder f;
 *     status = js_finder_regex(&f, text, &arena, err);        // or _text, or _class
 *     while ((found = js_find_next(&f, &search, text, size, last, &from, &to)) > 0) ... last = to;
 *     js_finder_finish(&f);
 *
 * A finder is constant after init, [any-thread]; a search is one thread's.
 */
#ifndef JS_FIND_H
#define JS_FIND_H

#include "../bpe/pattern.h"
#include "reader.h"

typedef bool js_class_fn(int32_t c);

struct js_finder {
    struct tenon_str text;      /* empty: another kind */
    js_class_fn *is_in;         /* NULL: another kind */
    struct bpe_pattern pattern; /* of a regular expression */
    const char *source;         /* its text as PCRE2 has it; NULL-ended. OWN: arena */
    bool is_trusted;            /* it is known to take linear time */
};

/* What searching needs, and how long it may go on: a pattern out of a file may take forever. */
struct js_search {
    struct bpe_matcher matcher;
    double deadline; /* seconds of CLOCK_MONOTONIC; 0: not set yet */
    uint64_t size;   /* bytes of the text that the deadline is for */
};

/* All of them: INVALID_ARGUMENT (no such pattern), UNIMPLEMENTED (what PCRE2 has not), RESOURCE_EXHAUSTED. */
int32_t js_finder_regex(struct js_finder *f, struct tenon_str pattern, struct js_arena *arena, struct tenon_err *err);
/* From an object with a "pattern": {"String": ...} or {"Regex": ...}. */
int32_t js_finder_read(struct js_finder *f, struct js *j, const struct js_object *o, struct js_arena *arena);

void js_finder_text(struct js_finder *f, struct tenon_str text);
void js_finder_class(struct js_finder *f, js_class_fn *is_in);
void js_finder_finish(struct js_finder *f); /* zeroed is fine */

int32_t js_search_init(struct js_search *s); /* RESOURCE_EXHAUSTED */
void js_search_finish(struct js_search *s);  /* zeroed is fine */

#define JS_FIND_FIRST SIZE_MAX

/* The match behind the one that ended at `last` (JS_FIND_FIRST: the first one) in valid UTF-8: 1, 0: none; DEADLINE_EXCEEDED,
 * RESOURCE_EXHAUSTED. It may be empty, but not at `last`. An empty text has none. */
int32_t js_find_next(const struct js_finder *f, struct js_search *s, const char *text, size_t size, size_t last,
                     size_t *ret_from, size_t *ret_to);

#endif
