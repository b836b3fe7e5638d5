/* cmd_eval.c - `tenon eval MODEL --ids FILE`: what the model thinks of given tokens. FILE is {"name":[token ids...]}, used as
 * they are. Prints {"name":[[[id,logprob] x K] per position]}, with --logits the row of logits as it is, or with --bits a hash of
 * it: equal hashes mean equal bits, whatever the chunks, the threads and the company. The result is kept (some 20 bytes for each
 * of K) until the last text is through, so that a failure prints nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/base/map.h"
#include "core/cli/commands.h"
#include "core/cli/json.h"
#include "core/cli/session.h"
#include "core/engine/step.h"

struct eval {
    struct cli_common common;
    const char *ids;
    uint32_t top, beside;
    bool bits, logits;
};

static const struct cli_option table[] = {
    { "ids", CLI_TEXT, offsetof(struct eval, ids), "FILE", "{\"name\":[token ids...]}; -: stdin", 0, 0 },
    { "top", CLI_U32, offsetof(struct eval, top), "K", "most likely tokens per position (10)", 1, 1 << 20 },
    { "json", CLI_FLAG, offsetof(struct eval, common.json), NULL, "the result is JSON (it always is)", 0, 0 },
    { "bits", CLI_FLAG, offsetof(struct eval, bits), NULL, "a hash of each position's logits instead", 0, 0 },
    { "logits", CLI_FLAG, offsetof(struct eval, logits), NULL, "each position's logits, or an embedding model's rows, exact to the bit", 0, 0 },
    { "chunk", CLI_U32, offsetof(struct eval, common.chunk), "N", "tokens of a sequence per step", 1, 65536 },
    { "beside", CLI_U32, offsetof(struct eval, beside), "N", "run N other sequences in the same steps (0)", 0, 64 },
    CLI_COMMON_OPTIONS(struct eval),
    { NULL, 0, 0, NULL, NULL, 0, 0 },
};

struct evaluator {
    const struct eval *o;
    struct tn_stepper *st;
    const struct tn_model_parts *parts;
    struct tn_buf out;
    int32_t *order; /* [top] heap of the most likely */
};

/* ---- the K most likely ---- */

/* Is a less likely than b? Ties: the higher id is. */
static bool below(const float *row, int32_t a, int32_t b)
{
    return row[a] < row[b] || (row[a] == row[b] && a > b);
}

/* Restore a heap whose top is the least likely, from i down. */
static void sift(const float *row, int32_t *heap, uint32_t n, uint32_t i)
{
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && below(row, heap[child + 1], heap[child]))
            child++;
        if (!below(row, heap[child], heap[i]))
            return;
        int32_t t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
    }
}

/* heap [k]: ids of the k largest of row [n], most likely first. */
static void most_likely(const float *row, uint32_t n, int32_t *heap, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++)
        heap[i] = (int32_t)i;
    for (uint32_t i = k / 2 + 1; i-- > 0;)
        sift(row, heap, k, i);
    for (uint32_t i = k; i < n; i++) {
        if (!below(row, heap[0], (int32_t)i))
            continue;
        heap[0] = (int32_t)i;
        sift(row, heap, k, 0);
    }
    for (uint32_t m = k; m-- > 1;) {
        int32_t t = heap[0];
        heap[0] = heap[m];
        heap[m] = t;
        sift(row, heap, m, 0);
    }
}

static double log_sum_exp(const float *row, uint32_t n)
{
    double max = row[0], sum = 0;
    for (uint32_t i = 1; i < n; i++)
        max = row[i] > max ? row[i] : max;
    for (uint32_t i = 0; i < n; i++)
        sum += exp(row[i] - max);
    return max + log(sum);
}

/* 9 digits give a float back as it was. */
static int32_t print_logits(struct evaluator *e, const float *row, uint32_t n)
{
    int32_t status = tn_buf_append(&e->out, "[", 1);
    for (uint32_t i = 0; i < n && status == 0; i++)
        status = tn_buf_printf(&e->out, isfinite(row[i]) ? "%s%.9g" : "%snull", i != 0 ? "," : "", (double)row[i]);
    return status == 0 ? tn_buf_append(&e->out, "]", 1) : status;
}

/* FNV-1a of the row's bytes. Which NaN a sum of NaNs comes to depends on their order, so all count as one. */
static uint64_t hash_row(const float *row, uint32_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < n; i++) {
        float x = isnan(row[i]) ? NAN : row[i];
        unsigned char bytes[sizeof x];
        memcpy(bytes, &x, sizeof x);
        for (size_t b = 0; b < sizeof bytes; b++)
            hash = (hash ^ bytes[b]) * 0x100000001b3u;
    }
    return hash;
}

static int32_t print_row(struct evaluator *e, const float *row)
{
    char text[64];
    uint32_t vocab = (uint32_t)e->parts->row_size, k = e->o->top < vocab ? e->o->top : vocab;
    if (e->o->logits && !e->o->bits)
        return print_logits(e, row, vocab);
    int32_t status = tn_buf_append(&e->out, "[", 1);
    if (e->o->bits) {
        int n = snprintf(text, sizeof text, "\"%016llx\"]", (unsigned long long)hash_row(row, vocab));
        return status == 0 ? tn_buf_append(&e->out, text, (size_t)n) : status;
    }
    double total = log_sum_exp(row, vocab);
    most_likely(row, vocab, e->order, k);
    for (uint32_t i = 0; i < k && status == 0; i++) {
        double logprob = row[e->order[i]] - total;
        int n = snprintf(text, sizeof text, isfinite(logprob) ? "%s[%d,%.7g]" : "%s[%d,null]", i != 0 ? "," : "", e->order[i],
                         logprob);
        status = tn_buf_append(&e->out, text, (size_t)n);
    }
    return status == 0 ? tn_buf_append(&e->out, "]", 1) : status;
}

/* ---- one text ---- */

static int32_t read_ids(const cJSON *list, uint64_t vocab, int32_t **ret, uint32_t *ret_n, struct tenon_err *err)
{
    int count = cJSON_GetArraySize(list);
    int32_t *ids = cJSON_IsArray(list) ? malloc(((size_t)count + 1) * sizeof *ids) : NULL;
    const cJSON *item;
    uint32_t n = 0;
    if (ids == NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, list->string, "not a list of token ids");
    cJSON_ArrayForEach(item, list) {
        double v = item->valuedouble;
        if (!cJSON_IsNumber(item) || !(v >= 0 && v < (double)vocab) || v != floor(v)) {
            free(ids);
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, list->string, "entry %u is no token id from 0 to %llu", n,
                              (unsigned long long)vocab - 1);
        }
        ids[n++] = (int32_t)v;
    }
    *ret = ids;
    *ret_n = n;
    return 0;
}

/* All positions of ids [n], in steps of `chunk` tokens with logits of each; `beside` other sequences run along with the ids
 * backwards. */
static int32_t eval_ids(struct evaluator *e, const int32_t *ids, uint32_t n, struct tn_seq **seqs, struct tenon_err *err)
{
    uint32_t others = e->o->beside, chunk = e->parts->max_rows - others;
    struct tn_step_part parts[65];
    const float *rows;
    int32_t status = 0;
    chunk = e->o->common.chunk != 0 && e->o->common.chunk < chunk ? e->o->common.chunk : chunk;
    chunk = chunk > e->parts->max_tokens - others ? e->parts->max_tokens - others : chunk;
    for (uint32_t at = 0; at < n && status == 0;) {
        uint32_t m = n - at < chunk ? n - at : chunk;
        for (uint32_t i = 0; i < others; i++)
            parts[i] = (struct tn_step_part){ seqs[i], &ids[(at + i) % n], 1, 1 };
        parts[others] = (struct tn_step_part){ seqs[others], ids + at, m, m };
        status = tn_stepper_run(e->st, parts, others + 1, &rows, err);
        for (uint32_t i = 0; i < m && status == 0; i++) {
            if (at + i != 0)
                status = tn_buf_append(&e->out, ",", 1);
            if (status == 0)
                status = print_row(e, rows + (size_t)(others + i) * e->parts->row_size);
        }
        at += m;
    }
    return status;
}

static int32_t eval_text(struct evaluator *e, const cJSON *list, struct tenon_err *err)
{
    struct tn_seq *seqs[65] = { NULL };
    int32_t *ids = NULL;
    uint32_t n = 0;
    int32_t status = read_ids(list, e->parts->vocab_size, &ids, &n, err);
    if (status == 0 && n > e->parts->context)
        status = tenon_fail(err, TENON_E_OUT_OF_RANGE, list->string, "%u tokens do not fit a context of %u: give --context", n,
                            e->parts->context);
    for (uint32_t i = 0; i <= e->o->beside && status == 0; i++)
        status = tn_kv_open(tn_stepper_kv(e->st), &seqs[i], err);
    if (status == 0)
        status = tn_json_text(&e->out, list->string);
    if (status == 0)
        status = tn_buf_append(&e->out, ":[", 2);
    if (status == 0)
        status = eval_ids(e, ids, n, seqs, err);
    if (status == 0)
        status = tn_buf_append(&e->out, "]", 1);
    for (uint32_t i = 0; i <= e->o->beside; i++)
        tn_kv_close(tn_stepper_kv(e->st), seqs[i]);
    free(ids);
    return status;
}

static int32_t eval_all(const struct eval *o, struct cli_session *s, const cJSON *texts, struct tenon_err *err)
{
    const struct tn_model *m = tn_engine_model(s->loaded);
    struct evaluator e = { .o = o, .parts = tn_model_parts(m) };
    const cJSON *list;
    int32_t status = tn_stepper_create(m, &e.st, err);
    if (status == 0 && (e.order = malloc((size_t)o->top * sizeof *e.order + 1)) == NULL)
        status = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "eval", "no memory");
    if (status == 0)
        status = tn_buf_char(&e.out, '{');
    cJSON_ArrayForEach(list, texts) {
        if (status == 0 && list != texts->child)
            status = tn_buf_char(&e.out, ',');
        if (status == 0)
            status = eval_text(&e, list, err);
    }
    if (status == 0)
        status = tn_buf_str(&e.out, "}\n");
    if (status == 0)
        fwrite(e.out.data, 1, e.out.len, stdout);
    if (status != 0 && err->code == 0)
        (void)tenon_fail(err, status, "eval", "%s", tenon_status_text(status));
    free(e.order);
    tn_buf_finish(&e.out);
    tn_stepper_destroy(e.st);
    return status;
}

/* An object whose members have a name each. */
static int32_t check_names(const cJSON *texts, const char *path, struct tenon_err *err)
{
    struct tn_map names = { 0 };
    const cJSON *list;
    int32_t status = 0;
    if (!cJSON_IsObject(texts))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, path, "not an object: {\"name\":[token ids...]} is expected");
    cJSON_ArrayForEach(list, texts) {
        if (status == 0 && tn_map_find(&names, list->string, strlen(list->string)) != NULL)
            status = tenon_fail(err, TENON_E_INVALID_ARGUMENT, path, "the name \"%s\" is there twice: give each text its own",
                                list->string);
        if (status == 0 && tn_map_put(&names, list->string, strlen(list->string), NULL) != 0)
            status = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "no memory for the names");
    }
    tn_map_finish(&names, NULL);
    return status;
}

static int32_t run(struct eval *o, const char *path, struct cli_session *s, struct tenon_err *err)
{
    char *text = NULL;
    uint64_t size;
    cJSON *texts = NULL;
    uint32_t longest = 1;
    const cJSON *list;
    int32_t status = cli_read_all(o->ids, &text, &size, err);
    if (status == 0 && (texts = cJSON_ParseWithLengthOpts(text, size + 1, NULL, /* to the NUL: */ 1)) == NULL)
        status = tenon_fail(err, TENON_E_INVALID_ARGUMENT, o->ids, "not JSON: {\"name\":[token ids...]} is expected");
    if (status == 0)
        status = check_names(texts, o->ids, err);
    cJSON_ArrayForEach(list, texts)
        if ((uint32_t)cJSON_GetArraySize(list) > longest)
            longest = (uint32_t)cJSON_GetArraySize(list);
    if (o->common.context == 0)
        o->common.context = longest;
    o->common.parallel = o->beside + 1;
    if (status == 0)
        status = cli_session_open(s, &o->common, path, err);
    if (status == 0)
        status = eval_all(o, s, texts, err);
    cJSON_Delete(texts);
    free(text);
    return status;
}

int tn_cmd_eval(int argc, char **argv)
{
    struct eval o = { .top = 10 };
    struct cli_session s = { 0 };
    struct cli_args args;
    struct tenon_err err = TENON_ERR_INIT;
    if (cli_parse(table, &o, argc, argv, &args, &err) != 0)
        return cli_misused(&err);
    if (args.help || args.n != 1 || o.ids == NULL) {
        fprintf(args.help ? stdout : stderr, "usage: tenon eval MODEL --ids FILE [options]\n\nLog-probabilities of given tokens, as JSON.\n\n");
        if (args.help)
            cli_print_options(table);
        return args.help ? CLI_OK : CLI_USAGE;
    }
    int32_t status = run(&o, args.items[0], &s, &err);
    cli_session_close(&s);
    return status != 0 ? cli_failed(&err) : cli_finish_stdout();
}
