/* The for loop and its `loop` variable. Items are drawn one at a time, with
 * the filter condition tested as they come, and one looked ahead when asked
 * for (loop.last, loop.nextitem), because conditions may depend on what the
 * body does. One thread per run. */
#include <string.h>

#include "jinja_exec.h"
#include "jinja_filter.h"

/* ---- drawing items ---- */

/* Whether an item passes the loop's condition, which sees the target and what
 * is outside the loop. */
static int32_t passes(struct jrun *r, struct jloop *l, struct jv item, bool *ret)
{
    struct jscope *saved = r->scope;
    struct jv v;
    *ret = true;
    if (l->node->c == NULL)
        return 0;
    r->scope = tn_j_scope_new(r, l->outer, NULL);
    int32_t rc = r->scope == NULL ? r->rc : tn_j_assign(r, l->node->a, item);
    if (rc == 0)
        rc = tn_j_eval(r, l->node->c, &v);
    if (rc == 0)
        rc = tn_j_truth(r, v, ret);
    r->scope = saved;
    return rc;
}

static int32_t draw(struct jrun *r, struct jloop *l, struct jv *ret, bool *ret_more)
{
    bool ok = false;
    int32_t rc = 0;
    *ret_more = !l->ended;
    while (rc == 0 && *ret_more && !ok) {
        rc = tn_j_next(r, &l->it, ret, ret_more);
        if (rc == 0 && *ret_more)
            rc = passes(r, l, *ret, &ok);
    }
    l->ended = !*ret_more;
    return rc;
}

static int32_t peek(struct jrun *r, struct jloop *l, bool *ret_more)
{
    int32_t rc = 0;
    if (!l->has_after)
        rc = draw(r, l, &l->after, &l->has_after);
    *ret_more = l->has_after;
    return rc;
}

static int32_t advance(struct jrun *r, struct jloop *l, bool *ret_more)
{
    struct jv item = l->after;
    int32_t rc = 0;
    *ret_more = true;
    if (!l->has_after)
        rc = draw(r, l, &item, ret_more);
    l->has_after = false;
    if (rc != 0 || !*ret_more)
        return rc;
    l->index0++;
    l->prev = l->current;
    l->current = item;
    return 0;
}

/* The number of all items; those to come are drawn and kept. */
static int32_t length(struct jrun *r, struct jloop *l, int64_t *ret)
{
    size_t n = 0;
    struct jv rest, item;
    bool more = true;
    int32_t rc = 0;
    if (l->length < 0 && l->node->c == NULL && l->iterable.type != JV_GEN) {
        rc = tn_j_len(r, l->iterable, &n);
        l->length = (int64_t)n;
    } else if (l->length < 0) {
        rc = tn_j_list_new(r, JV_LIST, &rest);
        while (rc == 0) {
            rc = draw(r, l, &item, &more);
            if (rc != 0 || !more)
                break;
            rc = tn_j_list_push(r, rest.list, item);
        }
        if (rc != 0)
            return rc;
        /* The drawn items have passed the condition: iterate them without it. */
        struct jnode *plain = tn_j_alloc(r, 1, sizeof *plain);
        if (plain == NULL)
            return r->rc;
        *plain = *l->node;
        plain->c = NULL;
        l->node = plain;
        l->it = (struct jiter){.v = rest};
        l->ended = false;
        l->length = (int64_t)rest.list->n + l->index0 + 1 + l->has_after;
    }
    *ret = l->length;
    return rc;
}

/* ---- running ---- */

/* Declares the target and `loop`, and runs the body once. */
static int32_t pass(struct jrun *r, struct jloop *l, enum jflow *flow)
{
    struct jv self = {.type = JV_LOOP, .loop = l};
    r->scope = tn_j_scope_new(r, l->outer, l->node->unset);
    int32_t rc = r->scope == NULL ? r->rc : tn_j_set_var(r, r->tmpl->id_loop, self);
    if (rc == 0)
        rc = tn_j_assign(r, l->node->a, l->current);
    return rc ? rc : tn_j_exec_list(r, l->node->body, flow);
}

static int32_t run_else(struct jrun *r, struct jloop *l, enum jflow *flow)
{
    r->scope = tn_j_scope_new(r, l->outer, l->node->unset_else);
    return r->scope == NULL ? r->rc : tn_j_exec_list(r, l->node->orelse, flow);
}

/* Runs the loop over iterable. As in Jinja the else part runs unless one pass
 * came to its end: also when every one left by break or continue. */
static int32_t run_loop(struct jrun *r, const struct jnode *n, struct jscope *outer, struct jv iterable, int64_t depth0,
                        enum jflow *flow)
{
    struct jscope *saved = r->scope;
    struct jloop *l = tn_j_alloc(r, 1, sizeof *l);
    bool more = true, completed = false;
    if (l == NULL)
        return r->rc;
    *l = (struct jloop){.node = n, .outer = outer, .iterable = iterable, .index0 = -1, .length = -1, .depth0 = depth0};
    *flow = JFLOW_NEXT;
    int32_t rc = tn_j_iter(r, iterable, &l->it);
    while (rc == 0 && *flow != JFLOW_BREAK) {
        r->scope = outer;
        rc = advance(r, l, &more);
        if (rc != 0 || !more)
            break;
        rc = pass(r, l, flow);
        completed = completed || *flow == JFLOW_NEXT;
    }
    *flow = JFLOW_NEXT;
    if (rc == 0 && !completed && n->orelse != NULL)
        rc = run_else(r, l, flow);
    r->scope = saved;
    return rc;
}

int32_t tn_j_exec_for(struct jrun *r, const struct jnode *n, enum jflow *flow)
{
    struct jv iterable;
    int32_t rc = tn_j_eval(r, n->b, &iterable);
    return rc ? rc : run_loop(r, n, r->scope, iterable, 0, flow);
}

int32_t tn_j_loop_call(struct jrun *r, struct jloop *l, const struct jargs *a, struct jv *ret)
{
    struct jcapture c;
    enum jflow flow;
    if (!l->node->op)
        return tn_j_fail(r, "the loop must have the 'recursive' marker to be called");
    if (a->npos != 1 || a->nkw != 0)
        return tn_j_fail(r, "loop() takes one argument, what to iterate");
    tn_j_capture(r, &c);
    int32_t rc = run_loop(r, l->node, l->outer, a->pos[0], l->depth0 + 1, &flow);
    return tn_j_capture_end(r, rc, &c, ret);
}

/* ---- the variable ---- */

static int32_t cycle(struct jrun *r, struct jv self, const struct jargs *a, struct jv *ret)
{
    if (a->npos == 0)
        return tn_j_fail(r, "no items for cycling given");
    *ret = a->pos[self.loop->index0 % (int64_t)a->npos];
    return 0;
}

static int32_t changed(struct jrun *r, struct jv self, const struct jargs *a, struct jv *ret)
{
    struct jloop *l = self.loop;
    struct jv now;
    bool same = false;
    int32_t rc = tn_j_list_new(r, JV_TUPLE, &now);
    for (size_t i = 0; rc == 0 && i < a->npos; i++)
        rc = tn_j_list_push(r, now.list, a->pos[i]);
    if (rc == 0 && l->has_changed)
        rc = tn_j_eq(r, l->changed, now, &same);
    l->changed = now;
    l->has_changed = true;
    *ret = tn_j_bool(!same);
    return rc;
}

static int32_t bind(struct jrun *r, struct jloop *l, const struct jmethod *m, struct jv *ret)
{
    struct jbound *b = tn_j_alloc(r, 1, sizeof *b);
    if (b == NULL)
        return r->rc;
    b->self = (struct jv){.type = JV_LOOP, .loop = l};
    b->method = m;
    *ret = (struct jv){.type = JV_METHOD, .bound = b};
    return 0;
}

static int32_t neighbour(struct jrun *r, struct jloop *l, bool next, struct jv *ret)
{
    bool more = l->index0 > 0;
    int32_t rc = next ? peek(r, l, &more) : 0;
    if (rc == 0 && !more)
        return tn_j_undef(r, next ? "there is no next item" : "there is no previous item", ret);
    *ret = next ? l->after : l->prev;
    return rc;
}

static int32_t counted(struct jrun *r, struct jloop *l, int64_t minus, struct jv *ret)
{
    int64_t n = 0;
    int32_t rc = length(r, l, &n);
    *ret = tn_j_int(n - minus);
    return rc;
}

static bool is(const char *name, size_t len, const char *s)
{
    return len == strlen(s) && memcmp(name, s, len) == 0;
}

int32_t tn_j_loop_attr(struct jrun *r, struct jloop *l, const char *name, size_t len, struct jv *ret, bool *ret_found)
{
    static const struct jmethod methods[] = {{"cycle", cycle}, {"changed", changed}};
    *ret_found = true;
    if (is(name, len, "index0") || is(name, len, "index"))
        *ret = tn_j_int(l->index0 + (len == 5));
    else if (is(name, len, "first"))
        *ret = tn_j_bool(l->index0 == 0);
    else if (is(name, len, "depth") || is(name, len, "depth0"))
        *ret = tn_j_int(l->depth0 + (len == 5));
    else if (is(name, len, "length"))
        return counted(r, l, 0, ret);
    else if (is(name, len, "revindex") || is(name, len, "revindex0"))
        return counted(r, l, l->index0 + (len == 9), ret);
    else if (is(name, len, "previtem") || is(name, len, "nextitem"))
        return neighbour(r, l, name[0] == 'n', ret);
    else if (is(name, len, "cycle") || is(name, len, "changed"))
        return bind(r, l, &methods[len == 7], ret);
    else if (is(name, len, "last")) {
        bool more = false;
        int32_t rc = peek(r, l, &more);
        *ret = tn_j_bool(!more);
        return rc;
    } else {
        *ret_found = false;
    }
    return 0;
}

int32_t tn_j_loop_repr(struct jrun *r, struct tn_buf *b, struct jloop *l)
{
    int64_t n = 0;
    int32_t rc = length(r, l, &n);
    return rc ? rc : tn_buf_printf(b, "<LoopContext %lld/%lld>", (long long)l->index0 + 1, (long long)n);
}
