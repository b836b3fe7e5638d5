/* bad_keys_main.c - what model plugins make of bad metadata, for tests/e2e/bad_keys.py: bad_keys PLUGINS MODEL..., PLUGINS being
 * their folder.
 *
 * Between a model and its plugin stands a table that lies about one key at a time. Which keys there are it learns by listening to
 * what the plugin asks for, so that a new family and a new key are tested without a line here: every one is left out, is negative, zero,
 * huge, no number, of another type, a list where one value belongs, a list too short or too long, and a little beside its value.
 * A wrong kind or an absurd number must be refused by a message that names the key; a wrong kind by what it must be and what it is.
 * What a plugin takes is loaded as far as the plan
 * of its memory: it may fail there where the file lacks the weights, with a message. Prints what went otherwise, and one line for each
 * model. Exit 1: something did, or memory grew with what was claimed.
 * One thread. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/str.h"
#include "core/engine/runtime.h"
#include "core/graph/lower.h"
#include "core/graph/memplan.h"
#include "core/model/program.h"

/* ---- the cases ------------------------------------------------------------------------------------------------------ */

/* What must become of a case. */
enum demand {
    MUST_REFUSE,     /* by naming the key */
    MUST_BE_WORD,    /* the same, unless the key's value is a word */
    MAY_BE_EMPTY,    /* the same, unless the key is a list */
    ANY,             /* taken or refused with a message that names a key */
};

/* A value in place of the key's, or a change to it. */
enum change { PUT, LEAVE_OUT, ADD, TIMES, SHORTER, LONGER, ELEMENT };

/* What a value is, and what a key may want to be. */
enum kind { WORD = 1, FLAG = 2, WHOLE = 4, FRACTION = 8, LIST = 16, OBJECT = 32 };
static const struct {
    const char *want; /* in messages */
    unsigned kinds;   /* that will do */
} wants[] = { { "an integer", WHOLE }, { "a number", WHOLE | FRACTION }, { "true or false", FLAG }, { "a string", WORD },
              { "a list of like elements", LIST }, { "an object or null", OBJECT },
              { "an integer or a list of them", WHOLE | LIST }, { "within full_attention or sliding_attention", 0 } };

struct bad {
    const char *name;
    enum change change;
    enum demand demand;
    uint32_t type, is_array;
    uint64_t count;
    int64_t i[3]; /* integers, or what is added to or multiplied with the key's own */
    double f;
    enum kind kind;  /* 0: only the number counts */
    const char *is;  /* the message's word for it */
};

static const struct bad cases[] = {
    { "an object", PUT, ANY, TENON_META_OBJECT, 0, 0, { 0 }, 0, OBJECT, "an object" }, /* the first: says what the key wants */
    { "left out", LEAVE_OUT, ANY, 0, 0, 0, { 0 }, 0, 0, NULL },
    { "a word", PUT, MUST_BE_WORD, TENON_META_STRING, 0, 1, { 0 }, 0, WORD, "a string" },
    { "negative", PUT, MUST_REFUSE, TENON_META_I64, 0, 1, { -7 }, 0, 0, NULL },
    { "zero", PUT, ANY, TENON_META_I64, 0, 1, { 0 }, 0, 0, NULL },
    { "one", PUT, ANY, TENON_META_I64, 0, 1, { 1 }, 0, 0, NULL },
    { "yes", PUT, ANY, TENON_META_BOOL, 0, 1, { 1 }, 0, FLAG, "true" },
    { "no", PUT, ANY, TENON_META_BOOL, 0, 1, { 0 }, 0, FLAG, "false" },
    { "a thousand", PUT, ANY, TENON_META_I64, 0, 1, { 1000 }, 0, WHOLE, "1000" },
    { "2^40", PUT, MUST_REFUSE, TENON_META_I64, 0, 1, { (int64_t)1 << 40 }, 0, 0, NULL },
    { "2^63 - 1", PUT, MUST_REFUSE, TENON_META_I64, 0, 1, { INT64_MAX }, 0, 0, NULL },
    { "2^64 - 1", PUT, MUST_REFUSE, TENON_META_U64, 0, 1, { -1 }, 0, 0, NULL },
    { "-2^63", PUT, MUST_REFUSE, TENON_META_I64, 0, 1, { INT64_MIN }, 0, 0, NULL },
    { "1e300", PUT, MUST_REFUSE, TENON_META_F64, 0, 1, { 0 }, 1e300, 0, NULL },
    { "-1e300", PUT, MUST_REFUSE, TENON_META_F64, 0, 1, { 0 }, -1e300, 0, NULL },
    { "infinite", PUT, MUST_REFUSE, TENON_META_F64, 0, 1, { 0 }, INFINITY, 0, NULL },
    { "no number", PUT, MUST_REFUSE, TENON_META_F64, 0, 1, { 0 }, NAN, 0, NULL },
    { "a fraction", PUT, ANY, TENON_META_F64, 0, 1, { 0 }, 0.37, FRACTION, "0.37" },
    { "an empty list", PUT, MAY_BE_EMPTY, TENON_META_I64, 1, 0, { 0 }, 0, 0, NULL },
    { "a list of bad numbers", PUT, MUST_REFUSE, TENON_META_I64, 1, 3, { 1, -7, (int64_t)1 << 40 }, 0, LIST, "a list" },
    { "a list of flags", PUT, MUST_REFUSE, TENON_META_BOOL, 1, 3, { 1 }, 0, LIST, "a list" },
    { "a list of unlike elements", PUT, MUST_REFUSE, TENON_META_OBJECT, 1, 0, { 0 }, 0, OBJECT, "a list of unlike elements" },
    { "a list of words", PUT, MUST_REFUSE, TENON_META_STRING, 1, 3, { 0 }, 0, LIST, "a list" },
    { "one less", ADD, ANY, 0, 0, 0, { -1 }, 0, 0, NULL },
    { "one more", ADD, ANY, 0, 0, 0, { 1 }, 0, 0, NULL },
    { "double", TIMES, ANY, 0, 0, 0, { 2 }, 0, 0, NULL },
    { "triple", TIMES, ANY, 0, 0, 0, { 3 }, 0, 0, NULL },
    { "list too short", SHORTER, MAY_BE_EMPTY, 0, 0, 0, { 0 }, 0, 0, NULL },
    { "list too long", LONGER, MUST_REFUSE, 0, 0, 0, { 0 }, 0, 0, NULL },
    { "list with a bad element", ELEMENT, MUST_REFUSE, 0, 0, 0, { 0 }, 0, 0, NULL },
};
#define N_CASES (sizeof cases / sizeof cases[0])

/* Keys with which one may do more than with all others. */
struct lenient {
    const char *key;  /* its end */
    const char *what; /* name of a case, NULL: any */
};
static const struct lenient lenient[] = {
    { "general.name", NULL },          /* any text, for show */
    { "general.architecture", NULL },  /* by these two the plugin was found */
    { "model_type", NULL },
    { "tokenizer.ggml.tokens", NULL }, /* only counted here; the tokenizer reads it */
    { "mlp_only_layers", "list too long" },
    { "model_max_length", "2^40" }, /* transformers' 1e30: as many as there are */
    { "model_max_length", "2^63 - 1" },
    { "model_max_length", "1e300" },
};

static bool is_lenient(const char *key, const char *what)
{
    for (size_t i = 0; i < sizeof lenient / sizeof lenient[0]; i++)
        if (tn_str_ends(key, lenient[i].key) && (lenient[i].what == NULL || strcmp(lenient[i].what, what) == 0))
            return true;
    return false;
}

/* ---- metadata that lies ------------------------------------------------------------------------------------------------ */

#define LIE UINT64_MAX  /* index of an entry that is one */
#define LIST_MOST 65536u

struct liar {
    struct tenon_meta table;       /* its ctx is this struct */
    const struct tenon_meta *real;
    struct tn_strlist asked;       /* keys the plugin asked for, in that order, but not whether they are null */
    const char *key;               /* the one that is lied about, NULL: none */
    const struct bad *bad;
    struct tenon_meta_entry entry; /* the lie; data is in `bytes`, strings come from the real one where `own` */
    uint64_t own;                  /* strings of the real entry before those that are made up */
    struct tenon_meta_entry truth; /* of the key, where `is_there` */
    bool is_there;
    uint64_t bytes[LIST_MOST];
};

static int32_t liar_find(void *ctx, const char *name, struct tenon_meta_entry *ret)
{
    struct liar *l = ctx;
    if (l->key == NULL && !tn_str_starts(name, "null.") && !tn_strlist_has(&l->asked, name) && tn_strlist_add(&l->asked, name) != TENON_OK)
        abort(); /* a test without memory */
    if (l->key == NULL || strcmp(l->key, name) != 0)
        return l->real->find(l->real->ctx, name, ret);
    if (l->bad->change == LEAVE_OUT)
        return TENON_E_NOT_FOUND;
    uint32_t size = ret->struct_size;
    *ret = l->entry;
    ret->struct_size = size;
    ret->key = (struct tenon_str){ l->key, strlen(l->key) };
    return TENON_OK;
}

static int32_t liar_at(void *ctx, uint32_t i, struct tenon_meta_entry *ret)
{
    struct liar *l = ctx;
    return l->real->at(l->real->ctx, i, ret);
}

static int32_t liar_strings(void *ctx, const struct tenon_meta_entry *e, uint64_t start, uint64_t n, struct tenon_str *out)
{
    struct liar *l = ctx;
    if (e->index != LIE)
        return l->real->strings(l->real->ctx, e, start, n, out);
    for (uint64_t i = 0; i < n; i++, start++) {
        if (start >= e->count)
            return TENON_E_OUT_OF_RANGE;
        out[i] = (struct tenon_str){ "no such thing", 13 };
        if (start < l->own && l->real->strings(l->real->ctx, &l->truth, start, 1, &out[i]) != TENON_OK)
            return TENON_E_INTERNAL;
    }
    return TENON_OK;
}

static void liar_init(struct liar *l, const struct tenon_meta *real)
{
    memset(l, 0, sizeof *l);
    l->real = real;
    l->table = *real;
    l->table.ctx = l;
    l->table.find = liar_find;
    l->table.at = liar_at;
    l->table.strings = liar_strings;
}

/* The key's own list, `count` elements of it, the one at `wrong` replaced. False: it has none that fits. */
static bool lie_list(struct liar *l, uint64_t count, uint64_t wrong)
{
    const struct tenon_meta_entry *t = &l->truth;
    if (!l->is_there || t->is_array == 0 || t->count == 0 || count > LIST_MOST || t->count > LIST_MOST)
        return false;
    l->entry = (struct tenon_meta_entry){ .type = t->type, .is_array = 1, .count = count, .index = LIE };
    if (t->type == TENON_META_STRING) {
        l->own = wrong < count ? wrong : t->count;
        return true;
    }
    l->entry.type = TENON_META_F64;
    l->entry.data = l->bytes;
    for (uint64_t i = 0; i < count; i++) {
        double v = 0;
        if (tenon_meta_f64(t, i < t->count ? i : t->count - 1, &v) != 0)
            return false;
        v = i == wrong ? -7.5 : v;
        memcpy(&l->bytes[i], &v, sizeof v);
    }
    return true;
}

/* The key's own number, changed. */
static bool lie_near(struct liar *l, const struct bad *b)
{
    int64_t v;
    if (!l->is_there || l->truth.is_array != 0 || tenon_meta_i64(&l->truth, 0, &v) != 0)
        return false;
    v = b->change == ADD ? v + b->i[0] : v * b->i[0];
    memcpy(l->bytes, &v, sizeof v);
    l->entry = (struct tenon_meta_entry){ .type = TENON_META_I64, .count = 1, .data = l->bytes, .index = LIE };
    return true;
}

static bool lie_put(struct liar *l, const struct bad *b)
{
    l->entry = (struct tenon_meta_entry){ .type = b->type, .is_array = b->is_array, .count = b->count, .index = LIE };
    l->entry.data = b->type == TENON_META_STRING || b->type == TENON_META_OBJECT ? NULL : l->bytes;
    memcpy(l->bytes, b->i, sizeof b->i);
    if (b->type == TENON_META_F64)
        memcpy(l->bytes, &b->f, sizeof b->f);
    return true;
}

/* Make the lie. False: this case says nothing about this key. */
static bool lie(struct liar *l, const char *key, const struct bad *b)
{
    l->key = key;
    l->bad = b;
    l->own = 0;
    l->truth = (struct tenon_meta_entry){ .struct_size = sizeof l->truth };
    l->is_there = l->real->find(l->real->ctx, key, &l->truth) == TENON_OK;
    switch (b->change) {
    case LEAVE_OUT: return l->is_there;
    case ADD: case TIMES: return lie_near(l, b);
    case SHORTER: return lie_list(l, l->truth.count - 1, UINT64_MAX);
    case LONGER: return lie_list(l, l->truth.count + 1, UINT64_MAX);
    case ELEMENT: return lie_list(l, l->truth.count, l->truth.count / 2);
    case PUT: return lie_put(l, b);
    }
    return false;
}

/* ---- a model under lies ---------------------------------------------------------------------------------------------- */

struct subject {
    struct tn_registry *reg;
    struct tn_container *src;
    struct tenon_model table;
    void *self;
    struct liar liar;
    char want[64]; /* what messages say that the key must be; "": it is lenient */
    uint32_t done, refused, failed_later, faults;
};

/* What follows the config, as far as it goes without a device: weights, program, tier 0, memory. *ret_fits: the file has the weights. */
static int32_t load_further(struct subject *s, struct tn_architecture *arch, bool *ret_fits, struct tenon_err *err)
{
    struct tenon_dims bounds = { .struct_size = sizeof bounds, .sym = { [TENON_SYM_T] = 8, [TENON_SYM_S] = 2, [TENON_SYM_R] = 8, [TENON_SYM_C] = 64,
                                                                        [TENON_SYM_P] = 4 } };
    struct tn_resolved weights = { 0 };
    struct tn_program_env p = { 0 };
    struct tn_graph *built = NULL, *lowered = NULL;
    struct tn_plan plan = { 0 };
    int32_t rc = tn_resolve(s->src, &arch->table, arch->config, &weights, err);
    *ret_fits = rc == TENON_OK;
    if (rc == TENON_OK)
        rc = tn_program_env_init(&p, s->reg, arch, &weights, err);
    if (rc == TENON_OK && arch->table.set_context != NULL)
        rc = arch->table.set_context(arch->config, 16, err);
    if (rc == TENON_OK && (rc = tn_build_program(&arch->table, arch->config, "step", &p.env, &p.lookup, &built, err)) == TENON_E_UNIMPLEMENTED)
        rc = tn_build_program(&arch->table, arch->config, "embed", &p.env, &p.lookup, &built, err);
    if (rc == TENON_OK)
        rc = tn_lower(&built->graph, NULL, &p.env, &p.lookup, &lowered, err);
    if (rc == TENON_OK)
        rc = tn_plan_init(&plan, &lowered->graph, &bounds, 4, err);
    tn_plan_finish(&plan);
    tn_graph_free(lowered);
    tn_graph_free(built);
    tn_program_env_finish(&p);
    tn_resolved_finish(&weights);
    return rc;
}

static void fault(struct subject *s, const char *what, const struct tenon_err *err)
{
    s->faults++;
    printf("%s: key %s, %s: %s%s%s\n", tn_container_path(s->src), s->liar.key != NULL ? s->liar.key : "-",
           s->liar.key != NULL ? s->liar.bad->name : "as it is", what, err != NULL ? ": " : "", err != NULL ? err->message : "");
}

/* Is it fine that the plugin took this? */
static bool may_take(const struct subject *s, const char *key, const struct bad *b)
{
    const bool is_list = s->liar.is_there && s->liar.truth.is_array != 0;
    if (b->demand == ANY || is_lenient(key, b->name))
        return true;
    return b->demand == MAY_BE_EMPTY && (is_list || !s->liar.is_there);
}

/* Of an object's refusal, what the key must be; one that takes it wants it. */
static void learn(struct subject *s, int32_t rc, const char *key, const struct tenon_err *err)
{
    const char *at = strstr(err->message, ": must be "), *end = at != NULL ? strstr(at, ", is an object") : NULL;
    (void)snprintf(s->want, sizeof s->want, "%s", rc == TENON_OK && !is_lenient(key, cases[0].name) ? "an object or null" : "");
    if (rc != TENON_OK && end == NULL && !is_lenient(key, cases[0].name))
        fault(s, "refused without what it must be", err);
    if (rc != TENON_OK && end != NULL)
        (void)snprintf(s->want, sizeof s->want, "%.*s", (int)(end - at - 10), at + 10);
}

/* Does the key want something else than such a value? */
static bool is_unfit(const struct subject *s, const struct bad *b)
{
    const bool is_list = s->liar.is_there && s->liar.truth.is_array != 0;
    if (b->kind == 0 || (is_list && b->kind == LIST)) /* one value, or a list of them */
        return false;
    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++)
        if (strcmp(s->want, wants[i].want) == 0)
            return (wants[i].kinds & (unsigned)b->kind) == 0;
    return false;
}

static void judge_refusal(struct subject *s, const char *key, const struct bad *b, const struct tenon_err *err)
{
    char told[320];
    s->refused++;
    (void)snprintf(told, sizeof told, "key %s: must be %s, is %s", key, s->want, b->is != NULL ? b->is : "");
    if (is_unfit(s, b) && strcmp(err->message, told) != 0)
        fault(s, "refused without what it must be and is", err);
    if (strstr(err->message, b->demand == ANY || b->demand == MAY_BE_EMPTY ? "key " : key) == NULL)
        fault(s, "refused without its name", err);
}

/* One key with one lie. */
static void try_case(struct subject *s, const char *key, const struct bad *b)
{
    struct tn_architecture arch = { .table = s->table, .self = s->self, .info = { .struct_size = sizeof arch.info } };
    struct tenon_err err = TENON_ERR_INIT;
    bool fits = false;
    if (!lie(&s->liar, key, b))
        return;
    s->done++;
    int32_t rc = s->table.config(s->self, &s->liar.table, &arch.config, &arch.info, &err);
    if (b == &cases[0])
        learn(s, rc, key, &err);
    if (rc != TENON_OK) {
        judge_refusal(s, key, b, &err);
        return;
    }
    if (!may_take(s, key, b) || is_unfit(s, b))
        fault(s, "taken", NULL);
    rc = load_further(s, &arch, &fits, &err);
    if (rc != TENON_OK && (fits || err.message[0] == '\0'))
        fault(s, "taken, but cannot be built", &err);
    s->failed_later += rc != TENON_OK;
    s->table.config_free(s->self, arch.config);
}

/* The model as it is: what does its plugin ask for? */
static bool listen(struct subject *s)
{
    struct tn_architecture arch = { .table = s->table, .self = s->self, .info = { .struct_size = sizeof arch.info } };
    struct tenon_err err = TENON_ERR_INIT;
    bool fits;
    int32_t rc = s->table.config(s->self, &s->liar.table, &arch.config, &arch.info, &err);
    if (rc == TENON_OK) {
        rc = load_further(s, &arch, &fits, &err);
        s->table.config_free(s->self, arch.config);
    }
    if (rc != TENON_OK)
        fault(s, "does not load", &err);
    return rc == TENON_OK;
}

/* Of keys that may stand in two places, one will do. */
static bool is_second(const struct subject *s, const char *key)
{
    struct tenon_meta_entry e = { .struct_size = sizeof e };
    return tn_str_starts(key, "config.text_config.") && s->liar.real->find(s->liar.real->ctx, key, &e) != TENON_OK;
}

static void try_all(struct subject *s)
{
    for (uint32_t k = 0; k < s->liar.asked.n; k++)
        for (size_t i = 0; i < N_CASES && !is_second(s, s->liar.asked.items[k]); i++)
            try_case(s, s->liar.asked.items[k], &cases[i]);
}

static uint32_t test_model(struct tn_registry *reg, const char *path)
{
    struct subject *s = calloc(1, sizeof *s);
    struct tn_architecture arch = { 0 };
    struct tenon_err err = TENON_ERR_INIT;
    if (s == NULL)
        abort(); /* a test without memory */
    s->reg = reg;
    int32_t rc = tn_container_open(reg, path, &s->src, &err);
    if (rc == TENON_OK)
        rc = tn_architecture_open(reg, s->src, &arch, &err);
    if (rc == TENON_OK)
        rc = tn_container_encode(s->src, &err);
    if (rc != TENON_OK) {
        printf("%s: %s\n", path, err.message);
        s->faults = 1;
    } else {
        s->table = arch.table;
        s->self = arch.self;
        liar_init(&s->liar, tn_container_meta(s->src));
        if (listen(s))
            try_all(s);
        printf("%-24s %3u keys, %5u lies: %u refused, %u failed later, %u faults\n", strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path,
               s->liar.asked.n, s->done, s->refused, s->failed_later, s->faults);
    }
    uint32_t faults = s->faults;
    tn_strlist_finish(&s->liar.asked);
    tn_architecture_close(&arch);
    tn_container_close(s->src);
    free(s);
    return faults;
}

#define MIB_MOST 1024 /* the address sanitizer keeps what is freed for a while */

int main(int argc, char **argv)
{
    struct tenon_runtime_options options = { .struct_size = sizeof options, .plugin_path = argc > 1 ? argv[1] : NULL };
    struct tenon_runtime *rt = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    struct rusage usage = { 0 };
    uint32_t faults = 0;
    if (tenon_runtime_create(&options, &rt, &err) != TENON_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (int i = 2; i < argc; i++)
        faults += test_model(tn_runtime_registry(rt), argv[i]);
    tenon_runtime_destroy(rt);
    if (getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_maxrss / 1024 > MIB_MOST)
        faults++;
    printf("%d models, %u faults, %ld MiB at most (%d)\n", argc - 2, faults, usage.ru_maxrss / 1024, MIB_MOST);
    return faults != 0 || argc < 3 ? 1 : 0;
}
