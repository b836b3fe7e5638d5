/* Private to core/text: the values a template computes with, and the state of
 * one rendering that owns them.
 *
 * Values are Python's: immutable strings of code points, lists, dicts in
 * insertion order, integers of 64 bits (larger ones are carried as their
 * digits but not computed with). Everything lives in the rendering's arena,
 * so nothing is freed singly. Every function that can fail returns 0 or the
 * error code it has put, with the template's line, into the run's error. */
#ifndef TN_TEXT_JINJA_VALUE_H
#define TN_TEXT_JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/plugin.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "template.h"

enum jv_type {
    JV_UNDEF,
    JV_NONE,
    JV_BOOL,
    JV_INT,
    JV_FLOAT,
    JV_BIG, /* an integer beyond 64 bits, as its decimal digits in s */
    JV_STR,
    JV_LIST,
    JV_TUPLE,
    JV_DICT,
    JV_VIEW, /* dict.keys(), .values(), .items() */
    JV_RANGE,
    JV_GEN, /* an iterator: handed out once */
    JV_NS,
    JV_LOOP,
    JV_MACRO,
    JV_METHOD,  /* a method bound to its object */
    JV_BUILTIN, /* a global function or class */
    JV_CYCLER,
    JV_JOINER,
};

struct jrun;
struct jv;

struct jstr {
    const char *p; /* [len] UTF-8, not always NUL-terminated */
    size_t len;
    size_t ncp; /* code points */
};

struct jv {
    uint8_t type;
    uint8_t flag; /* JV_STR: is Markup; JV_VIEW: enum jview */
    union {
        bool b;
        int64_t i;
        double f;
        const struct jstr *s;
        struct jlist *list; /* also JV_TUPLE */
        struct jdict *dict; /* also JV_VIEW, and JV_NS's attributes */
        const struct jrange *range;
        struct jgen *gen;
        struct jloop *loop;
        const struct jmacro *macro;
        const struct jbound *bound;
        const struct jbuiltin *builtin;
        struct jcycler *cycler;
        struct jjoiner *joiner;
        const struct jundef *undef;
    };
};

enum jview { JVIEW_KEYS, JVIEW_VALUES, JVIEW_ITEMS };

struct jlist {
    struct jv *items;
    size_t n, cap;
    bool group; /* groupby's pair: has .grouper and .list */
};

struct jpair {
    struct jv key, val;
};

struct jdict {
    struct jpair *items; /* in insertion order */
    size_t n, cap;
    uint32_t *index; /* [nindex] positions + 1 by hash, NULL while small */
    size_t nindex;
};

struct jrange {
    int64_t start, stop, step;
};

/* An iterator that is filled by `fill` at its first use. */
struct jgen {
    struct jlist list;
    size_t pos;
    const char *name; /* what Python calls it, for printing */
    int32_t (*fill)(struct jrun *r, struct jgen *g);
    void *ctx;
};

struct jundef {
    const char *hint; /* the whole message, or NULL */
    struct jv obj;    /* the object that lacks it, if has_obj */
    struct jv name;
    bool has_obj;
    bool security; /* access was forbidden rather than missing */
};

struct jcycler {
    struct jlist *items;
    size_t pos;
};

struct jjoiner {
    struct jv sep;
    bool used; /* the first call gives nothing, later ones the separator */
};

/* The arguments of a call: positional first, then named. */
struct jargs {
    struct jv *pos;
    size_t npos;
    struct jpair *kw; /* [nkw] name, value */
    size_t nkw;
};

struct jbound {
    struct jv self;
    const struct jmethod *method;
};

struct jmethod {
    const char *name;
    int32_t (*call)(struct jrun *r, struct jv self, const struct jargs *a, struct jv *ret);
};

struct jbuiltin {
    const char *name;
    int32_t (*call)(struct jrun *r, const struct jargs *a, struct jv *ret);
};

struct jscope;

/* One rendering. */
struct jrun {
    struct tn_arena arena;
    struct tn_template_limits lim;
    const struct tn_template *tmpl;
    struct tenon_err *err;
    int32_t rc; /* the error already reported, 0 while fine */
    int line;   /* of the node being evaluated */
    uint32_t depth;
    uint64_t steps;
    struct tn_buf *out; /* where output goes now */
    size_t captured;    /* bytes in buffers of macros and set blocks */
    bool capturing;
    struct jv *context; /* [names of the template] variables from outside, by name id */
    struct jscope *scope;
    struct jscope *root;
};

/* ---- errors, steps, memory ---- */

int32_t tn_j_fail(struct jrun *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int32_t tn_j_exhausted(struct jrun *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Counts work done; fails past the limit. */
int32_t tn_j_charge(struct jrun *r, uint64_t steps);

/* Brackets recursion: enter fails when nested too deeply, and leave must
 * follow every successful enter. */
int32_t tn_j_enter(struct jrun *r);
void tn_j_leave(struct jrun *r);

/* Zeroed memory, or NULL with the error reported (then return r->rc). */
void *tn_j_alloc(struct jrun *r, size_t n, size_t size);

/* ---- making values ---- */

struct jv tn_j_none(void);
struct jv tn_j_bool(bool b);
struct jv tn_j_int(int64_t i);
struct jv tn_j_float(double f);

/* A string that keeps pointing at p (static, the template's, or the arena's). */
int32_t tn_j_str_ref(struct jrun *r, const char *p, size_t len, struct jv *ret);
int32_t tn_j_str_copy(struct jrun *r, const char *p, size_t len, struct jv *ret);
int32_t tn_j_cstr(struct jrun *r, const char *p, struct jv *ret);

/* Moves the buffer's bytes into a string and finishes the buffer, also on
 * failure. rc: the status of what filled the buffer; passed through if not 0
 * (and reported as memory exhausted if nothing was reported yet). */
int32_t tn_j_str_take(struct jrun *r, int32_t rc, struct tn_buf *b, struct jv *ret);

/* A buffer for building one value, bounded by the run's memory limit. */
void tn_j_buf(struct jrun *r, struct tn_buf *b);

int32_t tn_j_list_new(struct jrun *r, enum jv_type type, struct jv *ret);
int32_t tn_j_list_push(struct jrun *r, struct jlist *l, struct jv v);
int32_t tn_j_pair(struct jrun *r, struct jv a, struct jv b, struct jv *ret);
int32_t tn_j_dict_new(struct jrun *r, struct jv *ret);
int32_t tn_j_dict_set(struct jrun *r, struct jdict *d, struct jv key, struct jv val);
int32_t tn_j_gen_new(struct jrun *r, const char *name, int32_t (*fill)(struct jrun *, struct jgen *), void *ctx,
                     struct jv *ret);
int32_t tn_j_undef_new(struct jrun *r, struct jundef what, struct jv *ret);
int32_t tn_j_undef(struct jrun *r, const char *hint, struct jv *ret);
int32_t tn_j_undef_attr(struct jrun *r, struct jv obj, struct jv name, struct jv *ret);

/* ---- asking values ---- */

const char *tn_j_type_name(struct jv v);     /* Python's */
bool tn_j_is_seq(struct jv v);               /* list or tuple */
bool tn_j_is_int(struct jv v, int64_t *ret); /* int or bool */
bool tn_j_is_num(struct jv v, double *ret);  /* int, bool or float */
bool tn_j_is_cstr(struct jv v, const char *s);
int32_t tn_j_truth(struct jrun *r, struct jv v, bool *ret);
int32_t tn_j_eq(struct jrun *r, struct jv a, struct jv b, bool *ret);

/* Orders two values; *ret < 0, 0 or > 0, 2 for unordered (NaN). Fails on types
 * that Python does not order; op is for that message. */
int32_t tn_j_cmp(struct jrun *r, struct jv a, struct jv b, const char *op, int *ret);

int32_t tn_j_hash(struct jrun *r, struct jv v, uint64_t *ret);

/* *ret points at the value, NULL if absent; fails on an unhashable key. */
int32_t tn_j_dict_get(struct jrun *r, const struct jdict *d, struct jv key, struct jv **ret);
struct jv *tn_j_dict_find(const struct jdict *d, const char *name);

/* len(); fails on what has none. */
int32_t tn_j_len(struct jrun *r, struct jv v, size_t *ret);
size_t tn_j_range_len(const struct jrange *x);

/* Fails with the message of an undefined value. */
int32_t tn_j_undef_fail(struct jrun *r, struct jv v);

/* ---- iterating ---- */

struct jiter {
    struct jv v;
    size_t pos; /* items handed out; for strings the byte offset */
};

int32_t tn_j_iter(struct jrun *r, struct jv v, struct jiter *ret);
/* *ret_more false at the end. */
int32_t tn_j_next(struct jrun *r, struct jiter *it, struct jv *ret, bool *ret_more);
/* Everything v yields, as a new list. */
int32_t tn_j_to_list(struct jrun *r, struct jv v, struct jv *ret);

/* ---- text of values (jinja_repr.c) ---- */

int32_t tn_j_put_str(struct jrun *r, struct tn_buf *b, struct jv v);
int32_t tn_j_put_repr(struct jrun *r, struct tn_buf *b, struct jv v);
int32_t tn_j_to_str(struct jrun *r, struct jv v, struct jv *ret);
int32_t tn_j_repr(struct jrun *r, struct jv v, struct jv *ret);
int32_t tn_j_put_float(struct tn_buf *b, double f);
/* snprintf with one double, a '.' for the decimal point in any locale. */
int32_t tn_j_put_double(struct tn_buf *b, const char *fmt, int prec, double f);
/* Decimal digits with an optional sign: JV_INT, or JV_BIG beyond 64 bits. */
int32_t tn_j_int_text(struct jrun *r, const char *p, size_t len, struct jv *ret);
/* As strtod in the C locale over exactly len bytes; false if any is left. */
bool tn_j_parse_double(const char *p, size_t len, double *ret);

/* ---- JSON (jinja_json.c) ---- */

/* One strict JSON text of len bytes. */
int32_t tn_j_json_read(struct jrun *r, const char *p, size_t len, struct jv *ret);

struct jjson_style {
    bool pretty;      /* newlines and indents */
    struct jv indent; /* the string for one level */
    struct jv item_sep, key_sep;
    bool ascii, sort_keys;
};
int32_t tn_j_json_put(struct jrun *r, struct tn_buf *b, struct jv v, const struct jjson_style *st);

#endif
