/* cmd_show.c - `tenon show MODEL`: what a model is, from its headers alone: no weight is read, no device is opened. One
 * thread. */
#include <stdlib.h>

#include "core/base/num.h"
#include "core/base/str.h"
#include "core/cli/commands.h"
#include "core/cli/json.h"
#include "core/cli/session.h"
#include "core/cli/show_encodings.h"
#include "core/model/model.h"
#include "core/model/resolve.h"

struct show {
    struct cli_common common;
    bool encodings;
};

static const struct cli_option table[] = {
    { "json", CLI_FLAG, offsetof(struct show, common.json), NULL, "one object", 0, 0 },
    { "encodings", CLI_FLAG, offsetof(struct show, encodings), NULL, "how its weights are encoded and what devices make of that", 0, 0 },
    { NULL, 0, 0, NULL, NULL, 0, 0 },
};

#define KINDS_MAX 32u

/* Tensors of one encoding. */
struct kind {
    const char *encoding; /* OWN: plugin */
    uint64_t tensors, bytes;
};

/* Weights of one role in one encoding. */
struct role {
    int32_t role;         /* TENON_ROLE_* */
    const char *encoding; /* OWN: plugin */
    uint64_t weights, bytes;
};

struct facts {
    struct tn_container *src;
    struct tn_vocab *vocab;          /* NULL: none, or no plugin for it */
    struct tn_architecture arch;
    struct tn_resolved weights;
    bool has_arch, has_weights;      /* has_weights: what is missing and unused is known */
    struct kind kinds[KINDS_MAX];
    uint32_t n_kinds;
    struct role roles[KINDS_MAX];
    uint32_t n_roles;
    uint64_t state_token_bytes;      /* of one token in f16, layers that see all */
    uint64_t window_bytes;           /* of a sequence in f16, layers that see a window: what they hold at most */
    uint64_t window, window_layers;  /* positions, the longest one's; layers with any */
    uint64_t state_bytes;            /* of a sequence of any length: recurrent and convolution states */
    struct tn_strlist problems;      /* why something is missing or cannot run, the gravest first */
};

static void count_kinds(struct facts *f)
{
    for (uint64_t i = 0; i < tn_container_tensor_count(f->src); i++) {
        const struct tn_tensor *t = tn_container_tensor(f->src, i);
        uint32_t k = 0;
        while (k < f->n_kinds && strcmp(f->kinds[k].encoding, t->t.encoding) != 0)
            k++;
        if (k == KINDS_MAX)
            continue;
        if (k == f->n_kinds)
            f->kinds[f->n_kinds++] = (struct kind){ t->t.encoding, 0, 0 };
        f->kinds[k].tensors++;
        f->kinds[k].bytes += t->bytes;
    }
}

/* Keys and values of one state, of which a token takes so many bytes. */
static void count_cache(struct facts *f, const struct tenon_state_desc *d, uint64_t token_bytes)
{
    uint64_t bytes, context = f->arch.info.context_length;
    if (d->window == 0) {
        f->state_token_bytes += token_bytes;
        return;
    }
    if (!tn_mul_u64(token_bytes, d->window < context ? d->window : context, &bytes) ||
        !tn_add_u64(f->window_bytes, bytes, &f->window_bytes))
        f->window_bytes = UINT64_MAX;
    f->window = d->window > f->window ? d->window : f->window;
    f->window_layers += d->n_layers;
}

static void count_states(struct facts *f)
{
    const struct tenon_state_desc *d;
    for (uint32_t i = 0; f->arch.table.state_at(f->arch.config, i, &d) == 0; i++)
        if (d->kind == TENON_STATE_RECURRENT || d->kind == TENON_STATE_CONV)
            f->state_bytes += d->n_layers * d->slot_bytes;
        else
            count_cache(f, d, 2ull * d->n_layers * ((uint64_t)d->k_heads * d->k_dim + (uint64_t)d->v_heads * d->v_dim));
}

static const char *role_name(int32_t role)
{
    static const char *const names[] = { [TENON_ROLE_MATMUL] = "matmul", [TENON_ROLE_EMBED] = "embed", [TENON_ROLE_NORM] = "norm",
                                         [TENON_ROLE_ROUTER] = "router", [TENON_ROLE_BIAS] = "bias", [TENON_ROLE_CONV] = "conv" };
    return role > 0 && role < (int32_t)(sizeof names / sizeof names[0]) && names[role] != NULL ? names[role] : "other";
}

/* Bytes of the file that a weight is made of: of a tensor that several are cut from, its share. */
static uint64_t weight_bytes(const struct tn_resolved_weight *w)
{
    const struct tn_transform *t = &w->transform;
    uint64_t bytes = w->tensor->bytes;
    for (uint64_t e = 1; w->experts != NULL && e < t->batch; e++)
        bytes += w->experts[e] != NULL ? w->experts[e]->bytes : 0;
    return t->source_rows > t->rows ? (uint64_t)((double)bytes * (double)t->rows / (double)t->source_rows) : bytes;
}

static void count_roles(struct facts *f)
{
    for (uint32_t i = 0; i < f->weights.n; i++) {
        const struct tn_resolved_weight *w = &f->weights.items[i];
        const int32_t role = f->weights.descs[w->weight]->role;
        uint32_t k = 0;
        if (w->tensor == NULL)
            continue;
        while (k < f->n_roles && (f->roles[k].role != role || strcmp(f->roles[k].encoding, w->tensor->t.encoding) != 0))
            k++;
        if (k == KINDS_MAX)
            continue;
        if (k == f->n_roles)
            f->roles[f->n_roles++] = (struct role){ role, w->tensor->t.encoding, 0, 0 };
        f->roles[k].weights++;
        f->roles[k].bytes += weight_bytes(w);
    }
}

static void note(struct facts *f, const struct tenon_err *err)
{
    char problem[1024];
    (void)snprintf(problem, sizeof problem, "%s: %s", err->where, err->message);
    if (!tn_strlist_has(&f->problems, problem))
        (void)tn_strlist_add(&f->problems, problem); /* without memory one less is told */
}

/* Those of weights; others do not matter. */
static void check_encodings(struct facts *f)
{
    const struct tenon_encoding *encoding;
    struct tenon_err e = TENON_ERR_INIT;
    for (uint32_t i = 0; i < f->n_roles; i++)
        if (tn_container_encoding(f->src, f->roles[i].encoding, &encoding, &e) != TENON_OK)
            note(f, &e);
}

/* What cannot be had (no plugin, no tensors) is told, not an error: the rest is still worth showing. */
static int32_t gather(struct tn_registry *reg, const char *path, struct facts *f, struct tenon_err *err)
{
    struct tenon_err e = TENON_ERR_INIT;
    int32_t status = tn_container_open(reg, path, &f->src, err);
    if (status != 0)
        return status;
    if (tn_container_encode(f->src, &e) != 0)
        note(f, &e);
    count_kinds(f);
    f->has_arch = tn_architecture_open(reg, f->src, &f->arch, &e) == 0;
    if (!f->has_arch)
        note(f, &e);
    else
        count_states(f);
    if (f->has_arch && tn_container_tensor_count(f->src) != 0) {
        int32_t rc = tn_resolve(f->src, &f->arch.table, f->arch.config, &f->weights, &e);
        f->has_weights = rc == TENON_OK || rc == TENON_E_NOT_FOUND;
        if (rc != TENON_OK)
            note(f, &e);
        count_roles(f);
        check_encodings(f);
    }
    if (tn_vocab_open(reg, f->src, &f->vocab, &e) != 0)
        note(f, &e);
    return tn_container_whole(f->src, 0, err);
}

static void drop(struct facts *f)
{
    tn_resolved_finish(&f->weights);
    tn_architecture_close(&f->arch);
    tn_strlist_finish(&f->problems);
    tn_vocab_close(f->vocab);
    tn_container_close(f->src);
}

/* ---- output ---- */

/* A member that is a list of names; NULL: an empty one. */
static int32_t put_names(struct tn_buf *out, const char *member, const struct tn_strlist *names)
{
    int32_t s = tn_buf_printf(out, ",\"%s\":[", member);
    for (uint32_t i = 0; names != NULL && i < names->n && s == 0; i++) {
        s = i != 0 ? tn_buf_char(out, ',') : 0;
        s = s == 0 ? tn_json_text(out, names->items[i]) : s;
    }
    return s == 0 ? tn_buf_char(out, ']') : s;
}

/* What ends every object. */
static int32_t put_json_problems(const struct facts *f, struct tn_buf *out)
{
    int32_t s = tn_buf_str(out, ",\"problem\":");
    s = s == 0 ? tn_json_text(out, f->problems.n != 0 ? f->problems.items[0] : NULL) : s;
    s = s == 0 ? tn_buf_str(out, ",\"problems\":[") : s;
    for (uint32_t i = 0; i < f->problems.n && s == 0; i++) {
        s = i != 0 ? tn_buf_str(out, ",") : 0;
        s = s == 0 ? tn_json_text(out, f->problems.items[i]) : s;
    }
    return s == 0 ? tn_buf_str(out, "]}\n") : s;
}

static int32_t put_json(const struct facts *f, struct tn_buf *out)
{
    const struct tenon_model_info *m = &f->arch.info;
    int32_t s = tn_buf_str(out, "{\"path\":");
    s = s == 0 ? tn_json_text(out, tn_container_path(f->src)) : s;
    s = s == 0 ? tn_buf_printf(out, ",\"format\":\"%s\",\"architecture\":", tn_container_format(f->src)) : s;
    s = s == 0 ? tn_json_text(out, f->has_arch ? m->architecture : NULL) : s;
    s = s == 0 ? tn_buf_str(out, ",\"name\":") : s;
    s = s == 0 ? tn_json_text(out, f->has_arch ? m->name : NULL) : s;
    s = s == 0 ? tn_buf_printf(out, ",\"layers\":%u,\"context\":%llu,\"embedding\":%llu,\"heads\":%u,\"kv_heads\":%u,\"vocab\":%llu,"
                                    "\"parameters\":%llu,\"tensors\":%llu,\"weight_bytes\":%llu,\"kv_bytes_per_1k\":%llu,\"kv_window_bytes\":%llu,"
                                    "\"window\":%llu,\"tokenizer\":",
                               m->n_layers, (unsigned long long)m->context_length, (unsigned long long)m->embedding_length, m->n_heads,
                               m->n_kv_heads, (unsigned long long)m->vocab_size, (unsigned long long)tn_container_params(f->src),
                               (unsigned long long)tn_container_tensor_count(f->src), (unsigned long long)tn_container_tensor_bytes(f->src),
                               (unsigned long long)f->state_token_bytes * 1024, (unsigned long long)f->window_bytes,
                               (unsigned long long)f->window)
               : s;
    s = s == 0 ? tn_json_text(out, f->vocab != NULL ? tn_vocab_plugin(f->vocab) : NULL) : s;
    s = s == 0 ? tn_buf_printf(out, ",\"chat_template\":%s,\"encodings\":[",
                               f->vocab != NULL && tn_vocab_has_template(f->vocab) ? "true" : "false")
               : s;
    for (uint32_t i = 0; i < f->n_kinds && s == 0; i++)
        s = tn_buf_printf(out, "%s{\"encoding\":\"%s\",\"tensors\":%llu,\"bytes\":%llu}", i != 0 ? "," : "", f->kinds[i].encoding,
                          (unsigned long long)f->kinds[i].tensors, (unsigned long long)f->kinds[i].bytes);
    s = s == 0 ? tn_buf_str(out, "],\"roles\":[") : s;
    for (uint32_t i = 0; i < f->n_roles && s == 0; i++)
        s = tn_buf_printf(out, "%s{\"role\":\"%s\",\"encoding\":\"%s\",\"weights\":%llu,\"bytes\":%llu}", i != 0 ? "," : "",
                          role_name(f->roles[i].role), f->roles[i].encoding, (unsigned long long)f->roles[i].weights,
                          (unsigned long long)f->roles[i].bytes);
    s = s == 0 ? tn_buf_printf(out, "],\"state_bytes\":%llu", (unsigned long long)f->state_bytes) : s;
    s = s == 0 ? put_names(out, "missing", f->has_weights ? &f->weights.missing : NULL) : s;
    s = s == 0 ? put_names(out, "unused", f->has_weights ? &f->weights.unused : NULL) : s;
    return s == 0 ? put_json_problems(f, out) : s;
}

/* A line of a text that came from outside. */
static int32_t put_line(struct tn_buf *out, const char *label, const char *text)
{
    size_t from;
    int32_t s = tn_buf_printf(out, "%-13s ", label);
    from = out->len;
    s = s == 0 ? tn_buf_printf(out, "%s", text) : s;
    if (s == 0)
        tn_str_clean(out->data + from, out->len - from);
    return s == 0 ? tn_buf_char(out, '\n') : s;
}

static int32_t put_text_problems(const struct facts *f, struct tn_buf *out)
{
    int32_t s = 0;
    for (uint32_t i = 0; i < f->problems.n && s == 0; i++)
        s = put_line(out, "problem", f->problems.items[i]);
    return s;
}

static int32_t put_text(const struct facts *f, struct tn_buf *out)
{
    const struct tenon_model_info *m = &f->arch.info;
    double mib = 1048576;
    int32_t s = put_line(out, "file", tn_container_path(f->src));
    s = s == 0 ? put_line(out, "format", tn_container_format(f->src)) : s;
    if (f->has_arch && s == 0)
        s = put_line(out, "model", m->name[0] != '\0' ? m->name : "(no name)");
    if (f->has_arch && s == 0)
        s = tn_buf_printf(out, "architecture  %s\nsize          %.1f M parameters, %u layers, embedding %llu, %u heads (%u KV)\n"
                               "context       %llu tokens, %.1f MiB of f16 cache per 1k\n",
                          m->architecture, (double)tn_container_params(f->src) / 1e6, m->n_layers,
                          (unsigned long long)m->embedding_length, m->n_heads, m->n_kv_heads, (unsigned long long)m->context_length,
                          (double)f->state_token_bytes * 1024 / mib);
    if (f->window_layers != 0 && s == 0)
        s = tn_buf_printf(out, "window        %llu tokens in %llu layers, %.1f MiB of f16 cache at most\n",
                          (unsigned long long)f->window, (unsigned long long)f->window_layers, (double)f->window_bytes / mib);
    if (f->has_arch && s == 0)
        s = tn_buf_printf(out, "vocabulary    %llu\n", (unsigned long long)m->vocab_size);
    if (s == 0)
        s = tn_buf_printf(out, "tokenizer     %s\nchat template %s\nweights       %.1f MiB in %llu tensors\n",
                          f->vocab != NULL ? tn_vocab_plugin(f->vocab) : "none", f->vocab != NULL && tn_vocab_has_template(f->vocab) ? "yes" : "no",
                          (double)tn_container_tensor_bytes(f->src) / mib, (unsigned long long)tn_container_tensor_count(f->src));
    if (f->state_bytes != 0 && s == 0)
        s = tn_buf_printf(out, "states        %.1f MiB per sequence\n", (double)f->state_bytes / mib);
    for (uint32_t i = 0; f->n_roles == 0 && i < f->n_kinds && s == 0; i++) /* nobody knows what they are for */
        s = tn_buf_printf(out, "  %-14s %4llu tensors %9.1f MiB\n", f->kinds[i].encoding, (unsigned long long)f->kinds[i].tensors,
                          (double)f->kinds[i].bytes / mib);
    for (uint32_t i = 0; i < f->n_roles && s == 0; i++)
        s = tn_buf_printf(out, "  %-7s %-14s %5llu weights %9.1f MiB\n", role_name(f->roles[i].role), f->roles[i].encoding,
                          (unsigned long long)f->roles[i].weights, (double)f->roles[i].bytes / mib);
    for (uint32_t i = 0; f->has_weights && i < f->weights.missing.n && s == 0; i++)
        s = put_line(out, "missing", f->weights.missing.items[i]);
    for (uint32_t i = 0; f->has_weights && i < f->weights.unused.n && s == 0; i++)
        s = put_line(out, "unused", f->weights.unused.items[i]);
    return s == 0 ? put_text_problems(f, out) : s;
}

/* Encodings are told as far as they are known; what of the model does not fit them, or cannot run, is behind. */
static int32_t put_encodings(struct tn_registry *reg, const struct facts *f, bool json, struct tn_buf *out)
{
    int32_t s = cli_show_encodings(reg, f->src, json, out);
    return s != 0 ? s : json ? put_json_problems(f, out) : put_text_problems(f, out);
}

int tn_cmd_show(int argc, char **argv)
{
    struct show o = { 0 };
    struct cli_session s = { 0 };
    struct cli_args args;
    struct facts f = { 0 };
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out = { 0 };
    if (cli_parse(table, &o, argc, argv, &args, &err) != 0)
        return cli_misused(&err);
    if (args.help || args.n != 1) {
        fprintf(args.help ? stdout : stderr, "usage: tenon show MODEL [--json] [--encodings]\n\nWhat a model is, from its headers.\n");
        return args.help ? CLI_OK : CLI_USAGE;
    }
    int32_t status = cli_runtime_open(&s, &o.common, &err);
    if (status == 0)
        status = gather(tn_runtime_registry(s.rt), args.items[0], &f, &err);
    if (status == 0 && (status = o.encodings     ? put_encodings(tn_runtime_registry(s.rt), &f, o.common.json, &out)
                                 : o.common.json ? put_json(&f, &out)
                                                 : put_text(&f, &out)) != 0)
        (void)tenon_fail(&err, status, "show", "no memory for the text");
    if (status == 0)
        fwrite(out.data, 1, out.len, stdout);
    tn_buf_finish(&out);
    drop(&f);
    cli_session_close(&s);
    return status != 0 ? cli_failed(&err) : cli_finish_stdout();
}
