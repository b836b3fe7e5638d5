/* cmd_embed.c - `tenon embed MODEL [TEXT...]`: a vector for each text, from the arguments or the lines of stdin. Texts go through
 * the engine by batches, and are written as they are done. One thread. */
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/cli/commands.h"
#include "core/cli/json.h"
#include "core/cli/session.h"

static const char usage[] = "usage: tenon embed MODEL [TEXT...] [options]\n"
                            "\n"
                            "Print a vector for each TEXT, or without TEXT for each line of stdin: numbers with spaces between, a vector\n"
                            "a line. An empty line is a text, too. Bytes that are no UTF-8 count as U+FFFD. What is longer than the model\n"
                            "was trained for is cut, with a warning, and vectors are divided by their length unless its modules.json has no Normalize.\n\n";

struct embed {
    struct cli_common common;
    const char *pooling;
    bool raw;
};

static const struct cli_option table[] = {
    { "json", CLI_FLAG, offsetof(struct embed, common.json), NULL, "{\"width\":N,\"vectors\":[[...],...]}", 0, 0 },
    { "pooling", CLI_CHOICE, offsetof(struct embed, pooling), "mean|cls|last", "how a text's rows become one (what the model was trained for, or mean)", 0, 0 },
    { "raw", CLI_FLAG, offsetof(struct embed, raw), NULL, "not divided by its length", 0, 0 },
    CLI_COMMON_OPTIONS(struct embed),
    { NULL, 0, 0, NULL, NULL, 0, 0 },
};

#define BATCH 256u /* texts of one call */

/* The vectors of one call to stdout. `first`: of all. */
static int32_t put_vectors(const struct embed *o, const float *y, uint32_t n, uint64_t width, bool first, struct tn_buf *out)
{
    int32_t s = 0;
    out->len = 0;
    if (first && o->common.json)
        s = tn_buf_printf(out, "{\"width\":%llu,\"vectors\":[", (unsigned long long)width);
    for (uint32_t i = 0; s == 0 && i < n; i++) {
        if (o->common.json)
            s = tn_buf_str(out, first && i == 0 ? "[" : ",[");
        for (uint64_t k = 0; s == 0 && k < width; k++)
            s = tn_buf_printf(out, "%s%.9g", k == 0 ? "" : o->common.json ? "," : " ", (double)y[i * width + k]);
        if (s == 0)
            s = tn_buf_str(out, o->common.json ? "]" : "\n");
    }
    if (s == 0)
        fwrite(out->data, 1, out->len, stdout);
    return s;
}

static int32_t no_memory(struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "embed", "no memory for the vectors");
}

static int32_t check_finite(const float *y, uint64_t n, struct tenon_err *err)
{
    for (uint64_t i = 0; i < n; i++)
        if (!(y[i] - y[i] == 0))
            return tenon_fail(err, TENON_E_DATA_LOSS, "model", "its output is not a number: the file is damaged, or this device computes it "
                              "wrongly: fetch it again, or try another --device");
    return TENON_OK;
}

#define CUT_TOLD 8u /* texts that are named */

/* cut [n] of the texts from number `at` on; *count: of all until now. */
static void tell_cut(const uint64_t *cut, uint32_t n, uint32_t at, uint32_t *count)
{
    for (uint32_t i = 0; i < n; i++)
        if (cut[i] > 0 && (*count)++ < CUT_TOLD)
            tn_log(TENON_LOG_WARN, NULL, "text %llu is too long for the model: its last %llu tokens are left out",
                   (unsigned long long)at + i + 1, (unsigned long long)cut[i]);
}

/* texts [n], n > 0 */
static int32_t embed_all(struct cli_session *s, const struct embed *o, const struct tenon_str *texts, uint32_t n,
                         struct tenon_err *err)
{
    struct tenon_embed_args args = { .struct_size = sizeof args, .n_texts = n < BATCH ? n : BATCH, .texts = texts,
                                     .flags = o->raw ? TENON_EMBED_RAW : 0 };
    struct tn_buf out = { 0 };
    uint64_t floats = 0, width;
    float *y = NULL;
    uint64_t cut[BATCH];
    uint32_t n_cut = 0;
    args.ret_cut = cut;
    args.pooling = o->pooling == NULL                ? 0
                   : strcmp(o->pooling, "cls") == 0  ? TENON_POOL_FIRST
                   : strcmp(o->pooling, "last") == 0 ? TENON_POOL_LAST
                                                     : TENON_POOL_MEAN;
    int32_t status = s->engine->embed(s->engine->ctx, s->loaded, &args, NULL, 0, &floats, err);
    width = floats / args.n_texts;
    if (status == 0 && (y = calloc((size_t)floats + 1, sizeof *y)) == NULL)
        status = no_memory(err);
    for (uint32_t at = 0; status == 0 && at < n; at += args.n_texts) {
        args.texts = texts + at;
        args.n_texts = n - at < BATCH ? n - at : BATCH;
        status = s->engine->embed(s->engine->ctx, s->loaded, &args, y, floats, &floats, err);
        if (status == 0)
            tell_cut(cut, args.n_texts, at, &n_cut);
        if (status == 0)
            status = check_finite(y, args.n_texts * width, err);
        if (status == 0 && put_vectors(o, y, args.n_texts, width, at == 0, &out) != 0)
            status = no_memory(err);
    }
    if (n_cut > CUT_TOLD)
        tn_log(TENON_LOG_WARN, NULL, "%u more texts are too long", n_cut - CUT_TOLD);
    if (status == 0 && o->common.json)
        fputs("]}\n", stdout);
    free(y);
    tn_buf_finish(&out);
    return status;
}

/* Lines of text [size], without their ends. OWN: *ret by free. */
static int32_t split_lines(const char *text, uint64_t size, struct tenon_str **ret, uint32_t *ret_n, struct tenon_err *err)
{
    uint64_t n = 0, start = 0;
    for (uint64_t i = 0; i < size; i++)
        n += text[i] == '\n' || i + 1 == size;
    *ret = n <= UINT32_MAX ? calloc((size_t)n + 1, sizeof **ret) : NULL;
    if (*ret == NULL)
        return no_memory(err);
    for (uint64_t i = 0; i < size; i++) {
        uint64_t end = text[i] == '\n' ? i : i + 1;
        if (text[i] != '\n' && i + 1 < size)
            continue;
        if (end > start && text[end - 1] == '\r')
            end--;
        (*ret)[(*ret_n)++] = (struct tenon_str){ text + start, end - start };
        start = i + 1;
    }
    return *ret_n > 0 ? TENON_OK : tenon_fail(err, TENON_E_INVALID_ARGUMENT, "embed", "no text: give one, or lines on stdin");
}

static int32_t take_texts(const struct cli_args *args, char **ret_kept, struct tenon_str **ret, uint32_t *ret_n,
                          struct tenon_err *err)
{
    uint64_t size = 0;
    if (args->n == 1) {
        int32_t status = cli_read_all("-", ret_kept, &size, err);
        return status == 0 ? split_lines(*ret_kept, size, ret, ret_n, err) : status;
    }
    *ret = calloc(args->n, sizeof **ret);
    if (*ret == NULL)
        return no_memory(err);
    for (uint32_t i = 1; i < args->n; i++)
        (*ret)[(*ret_n)++] = (struct tenon_str){ args->items[i], strlen(args->items[i]) };
    return TENON_OK;
}

int tn_cmd_embed(int argc, char **argv)
{
    struct embed o = { .common = { .embed = true } };
    struct cli_session s = { 0 };
    struct cli_args args;
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_str *texts = NULL;
    uint32_t n = 0;
    char *kept = NULL;
    if (cli_parse(table, &o, argc, argv, &args, &err) != 0)
        return cli_misused(&err);
    if (args.help || args.n == 0) {
        fputs(usage, args.help ? stdout : stderr);
        if (args.help)
            cli_print_options(table);
        return args.help ? CLI_OK : CLI_USAGE;
    }
    int32_t status = take_texts(&args, &kept, &texts, &n, &err);
    if (status == 0)
        status = cli_session_open(&s, &o.common, args.items[0], &err);
    if (status == 0)
        status = embed_all(&s, &o, texts, n, &err);
    cli_session_close(&s);
    free(texts);
    free(kept);
    return status != 0 ? cli_failed(&err) : cli_finish_stdout();
}
