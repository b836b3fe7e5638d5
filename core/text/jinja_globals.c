/* The functions every template sees: Jinja's own (range, dict, namespace,
 * cycler, joiner) and those transformers adds (raise_exception, strftime_now).
 * To add one: a function and a line in the table at the end. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jinja_exec.h"
#include "jinja_filter.h"

/* The sandbox's bound on range(). */
#define RANGE_MAX 100000

static int32_t g_range(struct jrun *r, const struct jargs *a, struct jv *ret)
{
    struct jv v[3] = {{0}};
    int64_t n[3] = {0, 0, 1};
    int32_t rc =
        a->nkw > 0 ? tn_j_fail(r, "range() takes no keyword arguments") : tn_j_params(r, "range()", a, "a b c", 1, v);
    for (size_t i = 0; rc == 0 && i < a->npos; i++)
        rc = tn_j_want_int(r, "range()", v[i], &n[i]);
    if (rc != 0)
        return rc;
    if (n[2] == 0)
        return tn_j_fail(r, "range() arg 3 must not be zero");
    struct jrange *x = tn_j_alloc(r, 1, sizeof *x);
    if (x == NULL)
        return r->rc;
    *x = a->npos == 1 ? (struct jrange){0, n[0], 1} : (struct jrange){n[0], n[1], n[2]};
    if (tn_j_range_len(x) > RANGE_MAX)
        return tn_j_fail(r, "range too big: the sandbox blocks ranges larger than %d", RANGE_MAX);
    *ret = (struct jv){.type = JV_RANGE, .range = x};
    return 0;
}

/* Adds the pairs of an iterable of pairs. */
static int32_t add_pairs(struct jrun *r, struct jdict *d, struct jv pairs)
{
    struct jv all, pair;
    int32_t rc = tn_j_to_list(r, pairs, &all);
    for (size_t i = 0; rc == 0 && i < all.list->n; i++) {
        rc = tn_j_to_list(r, all.list->items[i], &pair);
        if (rc == 0 && pair.list->n != 2)
            rc = tn_j_fail(r, "dictionary update sequence element #%zu has length %zu; 2 is required", i, pair.list->n);
        if (rc == 0)
            rc = tn_j_dict_set(r, d, pair.list->items[0], pair.list->items[1]);
    }
    return rc;
}

static int32_t g_dict(struct jrun *r, const struct jargs *a, struct jv *ret)
{
    if (a->npos > 1)
        return tn_j_fail(r, "dict expected at most 1 argument, got %zu", a->npos);
    int32_t rc = tn_j_dict_new(r, ret);
    if (rc == 0 && a->npos == 1 && a->pos[0].type == JV_DICT) {
        const struct jdict *d = a->pos[0].dict;
        for (size_t i = 0; rc == 0 && i < d->n; i++)
            rc = tn_j_dict_set(r, ret->dict, d->items[i].key, d->items[i].val);
    } else if (rc == 0 && a->npos == 1) {
        rc = add_pairs(r, ret->dict, a->pos[0]);
    }
    for (size_t i = 0; rc == 0 && i < a->nkw; i++)
        rc = tn_j_dict_set(r, ret->dict, a->kw[i].key, a->kw[i].val);
    return rc;
}

static int32_t g_namespace(struct jrun *r, const struct jargs *a, struct jv *ret)
{
    int32_t rc = g_dict(r, a, ret);
    ret->type = JV_NS;
    return rc;
}

static int32_t g_cycler(struct jrun *r, const struct jargs *a, struct jv *ret)
{
    struct jv items;
    struct jcycler *c = tn_j_alloc(r, 1, sizeof *c);
    if (c == NULL)
        return r->rc;
    if (a->npos == 0 || a->nkw > 0)
        return tn_j_fail(r, "cycler() needs at least one item");
    int32_t rc = tn_j_list_new(r, JV_LIST, &items);
    for (size_t i = 0; rc == 0 && i < a->npos; i++)
        rc = tn_j_list_push(r, items.list, a->pos[i]);
    c->items = items.list;
    *ret = (struct jv){.type = JV_CYCLER, .cycler = c};
    return rc;
}

static int32_t g_joiner(struct jrun *r, const struct jargs *a, struct jv *ret)
{
    struct jjoiner *j = tn_j_alloc(r, 1, sizeof *j);
    if (j == NULL)
        return r->rc;
    int32_t rc = tn_j_cstr(r, ", ", &j->sep);
    if (rc == 0)
        rc = tn_j_params(r, "joiner()", a, "sep", 0, &j->sep);
    *ret = (struct jv){.type = JV_JOINER, .joiner = j};
    return rc;
}

static int32_t g_raise_exception(struct jrun *r, const struct jargs *a, struct jv *ret)
{
    struct jv message;
    int32_t rc = tn_j_params(r, "raise_exception()", a, "message", 1, &message);
    if (rc == 0)
        rc = tn_j_to_str(r, message, &message);
    *ret = tn_j_none();
    return rc ? rc
              : tn_j_fail(r, "the template refuses: %.*s", (int)(message.s->len < 300 ? message.s->len : 300),
                          message.s->p);
}

/* What C's strftime does differently from Python's on a time without zone:
 * %f is microseconds there, %z and %Z are empty. */
static int32_t python_format(struct jrun *r, const struct jstr *fmt, long micro, struct jv *ret)
{
    struct tn_buf b;
    int32_t rc = 0;
    tn_j_buf(r, &b);
    for (size_t i = 0; rc == 0 && i < fmt->len; i++) {
        char next = fmt->p[i] == '%' && i + 1 < fmt->len ? fmt->p[i + 1] : '\0';
        if (fmt->p[i] == '\0')
            rc = tn_j_fail(r, "embedded null character");
        else if (next == 'f')
            rc = tn_buf_printf(&b, "%06ld", micro);
        else if (next != '\0' && next != 'z' && next != 'Z')
            rc = tn_buf_append(&b, fmt->p + i, 2);
        else if (next == '\0')
            rc = tn_buf_char(&b, fmt->p[i]);
        i += next != '\0';
    }
    return tn_j_str_take(r, rc, &b, ret);
}

/* strftime tells "no room" and "empty result" apart by a guard character. */
static int32_t format_time(struct jrun *r, struct jv fmt, const struct tm *tm, struct jv *ret)
{
    struct tn_buf b;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    size_t n = 0;
    if (c == (locale_t)0)
        return tn_j_exhausted(r, "out of memory for a date");
    tn_j_buf(r, &b);
    int32_t rc = tn_buf_append(&b, fmt.s->p, fmt.s->len);
    if (rc == 0)
        rc = tn_buf_char(&b, '.');
    char *guarded = tn_buf_take(&b, NULL);
    if (guarded == NULL)
        rc = tn_j_exhausted(r, "out of memory for a date");
    for (size_t room = 128; rc == 0 && n == 0 && room <= 1024 * 1024; room *= 4) {
        char *out = tn_j_alloc(r, room, 1);
        rc = out == NULL ? r->rc : 0;
        n = out == NULL ? 0 : strftime_l(out, room, guarded, tm, c);
        if (n > 0)
            rc = tn_j_str_ref(r, out, n - 1, ret);
    }
    free(guarded);
    freelocale(c);
    return rc == 0 && n == 0 ? tn_j_exhausted(r, "a date too long") : rc;
}

static int32_t g_strftime_now(struct jrun *r, const struct jargs *a, struct jv *ret)
{
    struct jv fmt;
    struct timespec now = {.tv_sec = (time_t)r->lim.now};
    struct tm tm;
    int32_t rc = tn_j_params(r, "strftime_now()", a, "format", 1, &fmt);
    if (rc == 0)
        rc = tn_j_want_str(r, "strftime_now()", fmt);
    if (rc == 0 && now.tv_sec == 0 && clock_gettime(CLOCK_REALTIME, &now) != 0)
        rc = tn_j_fail(r, "the clock cannot be read");
    if (rc == 0 && localtime_r(&now.tv_sec, &tm) == NULL)
        rc = tn_j_fail(r, "the time is out of range");
    if (rc == 0)
        rc = python_format(r, fmt.s, now.tv_nsec / 1000, &fmt);
    return rc ? rc : format_time(r, fmt, &tm, ret);
}

static const struct jbuiltin globals[] = {
    {"range", g_range},
    {"dict", g_dict},
    {"namespace", g_namespace},
    {"cycler", g_cycler},
    {"joiner", g_joiner},
    {"raise_exception", g_raise_exception},
    {"strftime_now", g_strftime_now},
};

const struct jbuiltin *tn_j_builtin_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (strlen(globals[i].name) == len && memcmp(globals[i].name, name, len) == 0)
            return &globals[i];
    return NULL;
}
