/* cmd_bench.c - `tenon bench MODEL`: load, first token, prefill and decode rates, by the same steps that serve requests. Tokens
 * are drawn at random: no model's speed depends on them. One thread drives, the pool computes. */
#include <stdlib.h>

#include "core/cli/commands.h"
#include "core/cli/roofs.h"
#include "core/cli/session.h"
#include "core/engine/step.h"

struct bench {
    struct cli_common common;
    uint32_t prompt, gen, depth, parallel, repeat;
    const char *roofs_file;
    struct cli_roofs roofs; /* of roofs_file */
};

static const struct cli_option table[] = {
    { "prompt", CLI_U32, offsetof(struct bench, prompt), "N", "tokens of a prefill (512); 0: leave it out", 0, 1 << 24 },
    { "gen", CLI_U32, offsetof(struct bench, gen), "N", "tokens decoded per sequence (64); 0: leave it out", 0, 1 << 24 },
    { "depth", CLI_U32, offsetof(struct bench, depth), "N", "tokens in each sequence's cache before (0)", 0, 1 << 24 },
    { "parallel", CLI_U32, offsetof(struct bench, parallel), "P", "sequences decoded in one step, rates summed (1)", 1, 4096 },
    { "repeat", CLI_U32, offsetof(struct bench, repeat), "N", "runs of each (5)", 1, 1000 },
    { "json", CLI_FLAG, offsetof(struct bench, common.json), NULL, "one object", 0, 0 },
    { "profile", CLI_FLAG, offsetof(struct bench, common.profile), NULL, "times per node on stderr (--json: in the object), of all that was run", 0, 0 },
    { "roofs", CLI_TEXT, offsetof(struct bench, roofs_file), "FILE", "with --profile: how near each node is to the machine's roofs", 0, 0 },
    CLI_COMMON_OPTIONS(struct bench),
    { NULL, 0, 0, NULL, NULL, 0, 0 },
};

struct result {
    double first_token_s;
    double packed_s; /* load and all packing behind it */
    double *prefill, *decode; /* [repeat] tokens/s */
    uint32_t n_prefill, n_decode;
};

/* A running measurement. */
struct runner {
    const struct bench *o;
    struct tn_stepper *st;
    uint32_t chunk, vocab;
    int32_t *ids;             /* [longest feed] */
    struct tn_seq **seqs;     /* [parallel] */
    struct tn_step_part *parts; /* [parallel] */
};

static void draw_ids(const struct runner *r, uint32_t n)
{
    uint32_t x = 12345;
    for (uint32_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        r->ids[i] = (int32_t)((x >> 8) % r->vocab);
    }
}

/* n tokens of one sequence, by chunks; logits of the last when asked. */
static int32_t feed(const struct runner *r, struct tn_seq *seq, uint32_t n, bool logits, struct tenon_err *err)
{
    const float *rows;
    int32_t status = 0;
    for (uint32_t at = 0; at < n && status == 0;) {
        uint32_t m = n - at < r->chunk ? n - at : r->chunk;
        struct tn_step_part part = { seq, r->ids + at, m, logits && at + m == n };
        status = tn_stepper_run(r->st, &part, 1, &rows, err);
        at += m;
    }
    return status;
}

static int32_t open_all(struct runner *r, uint32_t n, struct tenon_err *err)
{
    int32_t status = 0;
    for (uint32_t i = 0; i < n && status == 0; i++)
        status = tn_kv_open(tn_stepper_kv(r->st), &r->seqs[i], err);
    return status;
}

static void close_all(struct runner *r)
{
    for (uint32_t i = 0; i < r->o->parallel; i++) {
        tn_kv_close(tn_stepper_kv(r->st), r->seqs[i]);
        r->seqs[i] = NULL;
    }
}

static int32_t prefill_once(struct runner *r, double *ret_rate, struct tenon_err *err)
{
    int32_t status = open_all(r, 1, err);
    if (status == 0)
        status = feed(r, r->seqs[0], r->o->depth, false, err);
    double start = cli_now();
    if (status == 0)
        status = feed(r, r->seqs[0], r->o->prompt, true, err);
    *ret_rate = r->o->prompt / (cli_now() - start);
    close_all(r);
    return status;
}

static int32_t decode_once(struct runner *r, double *ret_rate, struct tenon_err *err)
{
    const float *rows;
    uint32_t p = r->o->parallel;
    int32_t status = open_all(r, p, err);
    for (uint32_t i = 0; i < p && status == 0; i++)
        status = feed(r, r->seqs[i], r->o->depth, false, err);
    double start = cli_now();
    for (uint32_t t = 0; t < r->o->gen && status == 0; t++) {
        for (uint32_t i = 0; i < p; i++)
            r->parts[i] = (struct tn_step_part){ r->seqs[i], &r->ids[(t + i * 7) % r->o->gen], 1, 1 };
        status = tn_stepper_run(r->st, r->parts, p, &rows, err);
    }
    *ret_rate = (double)r->o->gen * p / (cli_now() - start);
    close_all(r);
    return status;
}

/* The first token is as the first request finds things; rates are measured when all weights are packed. */
static int32_t measure(struct runner *r, const struct cli_session *s, struct result *res, struct tenon_err *err)
{
    double rate, start = cli_now();
    int32_t status = open_all(r, 1, err);
    if (status == 0)
        status = feed(r, r->seqs[0], r->o->prompt != 0 ? r->o->prompt : 1, true, err);
    res->first_token_s = cli_now() - start; /* also warms up: pages of weights come in here */
    close_all(r);
    tn_model_wait_packed(tn_engine_model(s->loaded));
    res->packed_s = s->load_s + cli_now() - start;
    for (uint32_t i = 0; i < r->o->repeat && status == 0; i++) {
        if (r->o->prompt != 0 && (status = prefill_once(r, &rate, err)) == 0)
            res->prefill[res->n_prefill++] = rate;
        if (status == 0 && r->o->gen != 0 && (status = decode_once(r, &rate, err)) == 0)
            res->decode[res->n_decode++] = rate;
    }
    return status;
}

/* ---- output ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *sorted, uint32_t n)
{
    return n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void print_rate(const char *name, double *rates, uint32_t n, bool json)
{
    if (n == 0) {
        printf(json ? "\"%s\":null," : "%-16s not measured\n", name);
        return;
    }
    qsort(rates, n, sizeof *rates, by_value);
    printf(json ? "\"%s\":{\"median\":%.3f,\"min\":%.3f,\"max\":%.3f}," : "%-16s median %.1f, min %.1f, max %.1f\n", name,
           median(rates, n), rates[0], rates[n - 1]);
}

/* The most memory this program had at once. Not getrusage's ru_maxrss: that begins with the parent's, over fork and exec.
 * 0: it is not known, for there is no /proc. */
static uint64_t peak_rss_bytes(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    if (f != NULL)
        (void)fclose(f); /* it was only read */
    return kib * 1024;
}

/* All but the end of the line, when it is JSON. */
static void print_result(const struct bench *o, const struct cli_session *s, struct result *res)
{
    struct tenon_loaded_info info = { .struct_size = sizeof info };
    (void)s->engine->model_info(s->engine->ctx, s->loaded, &info); /* the model is loaded */
    printf(o->common.json ? "{\"load_s\":%.6f,\"first_token_s\":%.6f,\"packed_s\":%.6f,"
                          : "load             %.3f s\nfirst token      %.3f s\nall packed       %.3f s after load began\n", s->load_s,
           res->first_token_s, res->packed_s);
    print_rate("prefill_tok_s", res->prefill, res->n_prefill, o->common.json);
    print_rate("decode_tok_s", res->decode, res->n_decode, o->common.json);
    uint64_t rss = peak_rss_bytes();
    if (o->common.json)
        printf("\"peak_rss_bytes\":%llu,\"file_bytes\":%llu,\"packed_bytes\":%llu,\"made_bytes\":%llu,"
               "\"device\":\"%s\",\"level\":\"%s\",\"act_bits\":%u,\"threads\":%u",
               (unsigned long long)rss, (unsigned long long)info.file_bytes, (unsigned long long)info.packed_bytes,
               (unsigned long long)info.made_bytes, info.device, info.device_level, info.act_bits, tn_runtime_threads(s->rt));
    else if (rss == 0)
        printf("peak RSS         not known without /proc\n");
    else
        printf("peak RSS         %.1f MiB\n", (double)rss / 1048576);
    if (!o->common.json)
        printf("weights          %.1f MiB in the file, %.1f packed, %.1f made at load\n"
               "device           %s (%s%s), %u threads\n", (double)info.file_bytes / 1048576,
               (double)info.packed_bytes / 1048576, (double)info.made_bytes / 1048576, info.device, info.device_level,
               info.act_bits == 8 ? ", 8-bit activations" : info.act_bits == 16 ? ", 16-bit activations" : "", tn_runtime_threads(s->rt));
}

static void print_entry(const struct bench *o, const struct tenon_profile_entry *e, double total)
{
    const char *which;
    fprintf(stderr, "%-28s %8u %10.2f %6.2f %8.2f %8.1f", e->name, e->count, e->seconds / e->count * 1e6,
            100 * e->seconds / total, e->bytes / e->seconds * 1e-9, e->operations / e->seconds * 1e-9);
    if (o->roofs_file != NULL) {
        double share = cli_roof_share(&o->roofs, e, &which);
        fprintf(stderr, " %8.1f %-7s", 100 * share, which);
    }
    fprintf(stderr, "%s%s\n", e->encodings[0] != '\0' ? "  " : "", e->encodings);
}

static void print_json_entry(const struct bench *o, const struct tenon_profile_entry *e, bool first)
{
    const char *which;
    printf("%s{\"node\":\"%s\",\"op\":\"%s\",\"encodings\":\"%s\",\"runs\":%u,\"seconds\":%.9g,\"bytes\":%.17g,\"operations\":%.17g,"
           "\"float_operations\":%.17g,\"int8_operations\":%.17g", first ? "" : ",", e->name, e->op, e->encodings, e->count, e->seconds,
           e->bytes, e->operations, e->float_operations, e->int8_operations);
    if (o->roofs_file != NULL) {
        double share = cli_roof_share(&o->roofs, e, &which);
        printf(",\"roof_share\":%.9g,\"roof\":\"%s\"", share, which);
    }
    printf("}");
}

/* The end of the object: an entry of the profile for each node that took time. */
static void print_json_profile(const struct bench *o, const struct tn_model_parts *parts)
{
    struct tenon_profile_entry e = { .struct_size = sizeof e };
    bool first = true;
    printf(",\"profile\":[");
    for (uint32_t i = 0; parts->backend->profile != NULL && parts->backend->profile(parts->executable, i, &e) == 0; i++)
        if (e.count > 0) {
            print_json_entry(o, &e, first);
            first = false;
        }
    printf("]");
}

/* One line per node that took time. Rates are of bytes and operations that the formulas need. */
static void print_profile(const struct bench *o, const struct tn_model_parts *parts)
{
    struct tenon_profile_entry e = { .struct_size = sizeof e };
    double total = 0;
    if (parts->backend->profile == NULL) {
        fprintf(stderr, "tenon: this device keeps no profile\n");
        return;
    }
    for (uint32_t i = 0; parts->backend->profile(parts->executable, i, &e) == 0; i++)
        total += e.seconds;
    fprintf(stderr, "%-28s %8s %10s %6s %8s %8s%s  encodings\n", "node", "runs", "us each", "%", "GB/s", "Gop/s",
            o->roofs_file != NULL ? "   % roof of     " : "");
    for (uint32_t i = 0; parts->backend->profile(parts->executable, i, &e) == 0; i++)
        if (e.count > 0)
            print_entry(o, &e, total);
}

static int32_t run(const struct bench *o, const char *path, struct cli_session *s, struct tenon_err *err)
{
    struct runner r = { .o = o };
    struct result res = { 0 };
    uint32_t longest = o->depth > o->prompt ? o->depth : o->prompt;
    int32_t status = cli_session_open(s, &o->common, path, err);
    if (status != 0)
        return status;
    const struct tn_model *m = tn_engine_model(s->loaded);
    longest = longest > o->gen ? longest : o->gen;
    r.vocab = (uint32_t)tn_model_parts(m)->vocab_size;
    r.chunk = tn_model_parts(m)->max_tokens;
    r.ids = calloc((size_t)longest + 1, sizeof *r.ids);
    r.seqs = calloc(o->parallel, sizeof *r.seqs);
    r.parts = calloc(o->parallel, sizeof *r.parts);
    res.prefill = calloc(o->repeat, sizeof *res.prefill);
    res.decode = calloc(o->repeat, sizeof *res.decode);
    if (r.ids == NULL || r.seqs == NULL || r.parts == NULL || res.prefill == NULL || res.decode == NULL)
        status = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "bench", "no memory");
    if (status == 0)
        status = tn_stepper_create(m, &r.st, err);
    if (status == 0) {
        draw_ids(&r, longest + 1);
        status = measure(&r, s, &res, err);
    }
    if (status == 0)
        print_result(o, s, &res);
    if (status == 0 && o->common.profile && o->common.json)
        print_json_profile(o, tn_model_parts(m));
    else if (status == 0 && o->common.profile)
        print_profile(o, tn_model_parts(m));
    if (status == 0 && o->common.json)
        printf("}\n");
    tn_stepper_destroy(r.st);
    free(r.ids);
    free(r.seqs);
    free(r.parts);
    free(res.prefill);
    free(res.decode);
    return status;
}

int tn_cmd_bench(int argc, char **argv)
{
    struct bench o = { .prompt = 512, .gen = 64, .parallel = 1, .repeat = 5 };
    struct cli_session s = { 0 };
    struct cli_args args;
    struct tenon_err err = TENON_ERR_INIT;
    if (cli_parse(table, &o, argc, argv, &args, &err) != 0)
        return cli_misused(&err);
    if (args.help || args.n != 1) {
        fprintf(args.help ? stdout : stderr, "usage: tenon bench MODEL [options]\n\nHow fast MODEL runs here, in tokens per second.\n\n");
        if (args.help) {
            cli_print_options(table);
            printf("\n--roofs takes the JSON that the program tools/peer/roofs.c prints. A node's share is the larger of the times that the\n"
                   "machine needs at best to read its bytes and to do its operations (on bytes, 16-bit integers or floats), over its own.\n");
        }
        return args.help ? CLI_OK : CLI_USAGE;
    }
    if (o.roofs_file != NULL && !o.common.profile) {
        (void)tenon_fail(&err, TENON_E_INVALID_ARGUMENT, "--roofs", "is a column of the profile: give --profile too");
        return cli_misused(&err);
    }
    uint64_t need = (uint64_t)o.depth + (o.prompt > o.gen ? o.prompt : o.gen) + 1;
    if (o.common.context == 0)
        o.common.context = need < 1u << 30 ? (uint32_t)need : 1u << 30;
    o.common.parallel = o.parallel;
    int32_t status = o.roofs_file != NULL ? cli_roofs_read(o.roofs_file, &o.roofs, &err) : 0;
    if (status == 0)
        status = run(&o, args.items[0], &s, &err);
    cli_session_close(&s);
    return status != 0 ? cli_failed(&err) : cli_finish_stdout();
}
