/* reader.h - reads JSON where it lies, value by value, without building anything.
 *
 *     struct js j = {.err = err, .name = "tokenizer.json", .arena = &arena};
 *     js_start(&j, data, size);
 *     if (js_open(&j, '{'))
 *         while (js_member(&j, &key))              // every value must be read, or js_skip'ped
 *             if (js_is(key, "count")) count = js_number(&j); else js_skip(&j);
 *     js_finish(&j);
 *     return j.status;                             // the first error; after one, nothing is read any more
 *
 * Strings are given as they lie in the text when they have no escapes, else from the arena. One thread.
 */
#ifndef JS_READER_H
#define JS_READER_H

#include <stdbool.h>

#include <tenon/plugin.h>

#define JS_DEPTH 64u   /* levels of nesting */
#define JS_MEMBERS 48u /* most members of an object that is looked at by name */

struct js_block;

/* Memory that lives as long as what was read. All zero is an empty one. */
struct js_arena {
    struct js_block *blocks;
};

void js_arena_finish(struct js_arena *a);

/* OWN: a. NULL: out of memory. */
char *js_arena_take(struct js_arena *a, size_t size);

struct js {
    const char *text, *at, *end;
    const char *name; /* of the text, for messages */
    struct js_arena *arena;
    struct tenon_err *err;
    int32_t status;
    uint32_t depth;
    bool is_first; /* the next element is the first of its array or object */
};

void js_start(struct js *j, const char *text, size_t size);

/* INVALID_ARGUMENT unless all has been read. */
void js_finish(struct js *j);

/* First byte of the next value: '{' '[' '"' 't' 'f' 'n', '0' for any number; '\0': none, or an error. */
char js_kind(struct js *j);

/* Enter an array ('[') or object ('{'); false, with an error, when the next value is none. */
bool js_open(struct js *j, char kind);

/* Go on to the next element, or member; false at the end, which is read over. */
bool js_element(struct js *j);
bool js_member(struct js *j, struct tenon_str *ret_key);

struct tenon_str js_string(struct js *j);

/* An array of just n strings; false: it is another, or an error. */
bool js_strings(struct js *j, struct tenon_str *ret, size_t n);
double js_number(struct js *j);
bool js_bool(struct js *j);

/* Read over a value. */
void js_skip(struct js *j);

/* Set an error: `what` is wrong with the value at hand. Returns its status. */
int32_t js_fail(struct js *j, const char *what);

bool js_is(struct tenon_str text, const char *word);

/* ---- objects by name ----------------------------------------------------------------------------------------- */

/* Where the values of an object's members begin; of a name that is there twice the last counts. */
struct js_object {
    struct {
        struct tenon_str key;
        const char *at;
    } members[JS_MEMBERS]; /* [n] */
    uint32_t n;
};

/* Read over an object and note its members. */
void js_object(struct js *j, struct js_object *ret);

/* Within an object: note members up to the one of that name, whose value is to be read next; false: no such until the end. */
bool js_members(struct js *j, struct js_object *o, const char *stop);

/* A reader of that member's value; false: it is not there, or null. Errors in it are to be taken over by js_join. */
bool js_find(const struct js *j, const struct js_object *o, const char *key, struct js *ret);
void js_join(struct js *j, const struct js *part);

/* Members by type, with what stands for one that is missing or null. Wrong types are errors of j. */
struct tenon_str js_get_string(struct js *j, const struct js_object *o, const char *key);
double js_get_number(struct js *j, const struct js_object *o, const char *key, double otherwise);
/* Between 0 and `most`; 0 when it is missing or outside. */
uint32_t js_get_count(struct js *j, const struct js_object *o, const char *key, uint32_t most);
bool js_get_bool(struct js *j, const struct js_object *o, const char *key, bool otherwise);

#endif
