/* tokenizer_bench.c - speed of a model's tokenizer, through the plugin's table, one thread: milliseconds to open, and MB/s of
 * encoding each file whole, medians of several times. "first" is the first time after opening, when nothing is remembered, of a
 * tokenizer opened anew each time; "then" is once more on one that has seen the text. Built on request only (target
 * tokenizer_bench); usage: tokenizer_bench MODEL FILE...
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/tokenizer.h>

#include "core/cli/session.h"
#include "core/model/container.h"

enum { REPEATS = 9 };

struct opened {
    struct tenon_tokenizer table;
    void *self;
    const char *name;
    struct tn_container *source;
};

struct text {
    char *data;   /* [size] */
    uint64_t size;
    int32_t *ids; /* [size + 1] */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static int fail(const char *what, const struct tenon_err *err)
{
    fprintf(stderr, "tokenizer_bench: %s: %s\n", what, err->message);
    return 1;
}

/* The plugin that says it knows this vocabulary best. */
static int32_t choose(struct tn_registry *reg, struct opened *o, struct tenon_err *err)
{
    const struct tn_item *item;
    int32_t best = 0;
    for (uint32_t i = 0; tn_registry_find(reg, TENON_TOKENIZER_IFACE, NULL, i, &item, NULL) == 0; i++) {
        struct tenon_tokenizer t;
        TENON_COPY_IN(&t, item->impl);
        int32_t sure = t.match(item->self, tn_container_meta(o->source));
        if (sure <= best)
            continue;
        best = sure;
        o->table = t;
        o->self = item->self;
        o->name = item->name;
    }
    return best > 0 ? 0 : tenon_fail(err, TENON_E_NOT_FOUND, "bench", "no plugin for this vocabulary");
}

static int32_t open_one(const struct opened *o, struct tenon_tokenizer_object **ret, double *ret_s, struct tenon_err *err)
{
    double start = cli_now();
    int32_t status = o->table.open(o->self, tn_container_meta(o->source), tn_files_table(tn_container_files(o->source)), ret, err);
    *ret_s = cli_now() - start;
    return status;
}

static int32_t bench_open(const struct opened *o, struct tenon_err *err)
{
    double v[REPEATS];
    for (int r = 0; r < REPEATS; r++) {
        struct tenon_tokenizer_object *tok = NULL;
        int32_t status = open_one(o, &tok, &v[r], err);
        if (status != 0)
            return status;
        o->table.close(o->self, tok);
    }
    printf("%s: opens in %.1f ms\n", o->name, median(v, REPEATS) * 1e3);
    return 0;
}

/* MB/s of encoding a text REPEATS times, each on a tokenizer opened for it if `anew`, all on one otherwise. */
static int32_t bench_text(const struct opened *o, const struct text *t, bool anew, double *ret_speed, uint64_t *ret_n,
                          struct tenon_err *err)
{
    struct tenon_tokenizer_object *tok = NULL;
    double v[REPEATS], opening;
    int32_t status = 0;
    for (int r = anew ? 0 : -1; status == 0 && r < REPEATS; r++) {
        double start;
        if (tok == NULL)
            status = open_one(o, &tok, &opening, err);
        start = cli_now();
        if (status == 0)
            status = o->table.encode(tok, t->data, t->size, 0, t->ids, t->size + 1, ret_n, err);
        if (r >= 0)
            v[r] = cli_now() - start;
        if (anew || status != 0) {
            o->table.close(o->self, tok);
            tok = NULL;
        }
    }
    o->table.close(o->self, tok);
    if (status == 0)
        *ret_speed = (double)t->size / median(v, REPEATS) * 1e-6;
    return status;
}

static int32_t bench_encode(const struct opened *o, const char *path, struct tenon_err *err)
{
    struct text t = {0};
    uint64_t n = 0;
    double first = 0, then = 0;
    int32_t status = cli_read_all(path, &t.data, &t.size, err);
    if (status == 0 && (t.ids = calloc(t.size + 1, sizeof *t.ids)) == NULL)
        status = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "no memory for the ids");
    if (status == 0)
        memset(t.ids, 1, (size_t)(t.size + 1) * sizeof *t.ids); /* page faults are not what is measured */
    if (status == 0 && (status = bench_text(o, &t, true, &first, &n, err)) == 0 &&
        (status = bench_text(o, &t, false, &then, &n, err)) == 0)
        printf("%-40s %9llu bytes %9llu ids  first %7.1f MB/s  then %7.1f MB/s\n", path, (unsigned long long)t.size,
               (unsigned long long)n, first, then);
    free(t.ids);
    free(t.data);
    return status;
}

int main(int argc, char **argv)
{
    struct cli_session s = { 0 };
    struct cli_common common = { 0 };
    struct opened o = { 0 };
    struct tenon_err err = TENON_ERR_INIT;
    if (argc < 2) {
        fputs("usage: tokenizer_bench MODEL FILE...\n", stderr);
        return 2;
    }
    int32_t status = cli_runtime_open(&s, &common, &err);
    if (status == 0)
        status = tn_container_open(tn_runtime_registry(s.rt), argv[1], &o.source, &err);
    if (status == 0 && (status = choose(tn_runtime_registry(s.rt), &o, &err)) == 0)
        status = bench_open(&o, &err);
    for (int i = 2; status == 0 && i < argc; i++)
        status = bench_encode(&o, argv[i], &err);
    tn_container_close(o.source);
    cli_session_close(&s);
    return status == 0 ? 0 : fail(argv[1], &err);
}
