/* added.h - the added_tokens of a tokenizer.json: texts that are tokens wherever they stand, with the conditions they have.
 *
 *     struct js_added a = {0};
 *     status = js_added_read(&a, &j);                     // j at the array
 *     ... the ids are settled: a.tokens[i].id ...
 *     status = js_added_index(&a, &normal, &scratch, &arena, err);
 *     struct js_added_match match = {0};
 *     while (js_added_find(&a, is_normalized, text, size, with_control, &match)) ...
 *     js_added_finish(&a);
 *
 * Constant once indexed, [any-thread].
 */
#ifndef JS_ADDED_H
#define JS_ADDED_H

#include "../common/special.h"
#include "normal.h"

struct js_added_token {
    struct tenon_str text; /* OWN: the file or the arena */
    int32_t id;            /* in the file; then the one it has */
    bool is_special, single_word, left, right, is_normalized; /* left, right: white space there belongs to it */
};

struct js_added {
    struct js_added_token *tokens; /* [n] */
    uint32_t n, capacity;
    const struct js_added_token *lost;  /* one that normalising leaves nothing of, so that no text is it; NULL: none */
    const struct js_added_token *moved; /* one whose id is not the next, which Hugging Face's library would give it; NULL: none */
    int32_t next_id;                    /* that one */
    struct tok_special texts[2]; /* [0] of text as it stands, [1] of normalised text; ids are places in tokens */
};

struct js_added_match {
    const struct js_added_token *token; /* NULL: none */
    size_t from, to;                    /* what it covers, white space with it */
    size_t next;                        /* where to search on */
    size_t reach;                       /* the farthest that any match has taken white space */
};

/* Errors: INVALID_ARGUMENT, OUT_OF_RANGE, RESOURCE_EXHAUSTED; on failure, finish. */
int32_t js_added_read(struct js_added *a, struct js *j);
int32_t js_added_index(struct js_added *a, const struct js_normal *normal, struct js_scratch *scratch,
                       struct js_arena *arena, struct tenon_err *err);
void js_added_finish(struct js_added *a); /* zeroed is fine */

/* The match behind *match, which is zeroed before the first; false: none. White space that one has taken may be a token all the
 * same, so that `to` can be less than before, and than `from`: then it is none. */
bool js_added_find(const struct js_added *a, bool is_normalized, const char *text, size_t size, bool with_control,
                   struct js_added_match *match);

#endif
