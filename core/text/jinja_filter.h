/* Private to core/text: filters, tests, methods and globals by name, and what
 * they share. To add a filter: write its function in the jinja_filter_*.c it
 * belongs to and one line in that file's table. */
#ifndef TN_TEXT_JINJA_FILTER_H
#define TN_TEXT_JINJA_FILTER_H

#include "jinja_value.h"

/* in: the value piped in; a: the arguments in parentheses. */
struct jfilter {
    const char *name;
    int32_t (*call)(struct jrun *r, struct jv in, const struct jargs *a, struct jv *ret);
};

struct jtest {
    const char *name;
    int32_t (*call)(struct jrun *r, struct jv in, const struct jargs *a, bool *ret);
};

/* NULL if there is none of that name. */
const struct jfilter *tn_j_filter_find(const char *name, size_t len);
const struct jtest *tn_j_test_find(const char *name, size_t len);
const struct jmethod *tn_j_method_find(struct jv obj, const char *name, size_t len);
const struct jbuiltin *tn_j_builtin_find(const char *name, size_t len);

/* The tables that tn_j_filter_find searches; NULL-named at the end. */
extern const struct jfilter tn_j_text_filters[], tn_j_seq_filters[], tn_j_select_filters[], tn_j_num_filters[];

/* ---- arguments ---- */

/* Spreads a call's arguments over parameters: names is "first second third",
 * the first `required` of which must be given; absent ones are left alone in
 * vals, which the caller fills with defaults. who is for messages. */
int32_t tn_j_params(struct jrun *r, const char *who, const struct jargs *a, const char *names, size_t required,
                    struct jv *vals);

/* Fail with "who: ..." unless v is of the type. */
int32_t tn_j_want_str(struct jrun *r, const char *who, struct jv v);
int32_t tn_j_want_int(struct jrun *r, const char *who, struct jv v, int64_t *ret);

/* ---- shared helpers ---- */

/* Sorts items by keys (same length), stably; both are permuted. */
int32_t tn_j_sort(struct jrun *r, struct jlist *items, struct jlist *keys, bool reverse);

/* str() of v with & < > " ' escaped, as Markup; Markup stays as it is. */
int32_t tn_j_escape(struct jrun *r, struct jv v, struct jv *ret);

/* ---- formatting (jinja_format.c) ---- */

/* "fmt" % arg */
int32_t tn_j_percent(struct jrun *r, struct jv fmt, struct jv arg, struct jv *ret);
/* "fmt".format(...) */
int32_t tn_j_str_format(struct jrun *r, struct jv fmt, const struct jargs *a, struct jv *ret);

#endif
