/* cmd_tokenize.c - `tenon tokenize MODEL TEXT|-`: the ids of a text and how the vocabulary spells them; with --decode the text
 * of ids. Needs a vocabulary, not weights. Adds no BOS and no EOS. One thread. */
#include <errno.h>
#include <stdlib.h>

#include "core/cli/commands.h"
#include "core/cli/json.h"
#include "core/cli/session.h"
#include "core/model/vocab.h"

static const char usage[] = "usage: tenon tokenize MODEL [--json] [--special] TEXT\n"
                            "       tenon tokenize MODEL --decode [--special] IDS\n"
                            "\n"
                            "Print the token ids of TEXT, one token a line. \"-\" reads all of stdin, nothing stripped. What follows\n"
                            "-- is MODEL or TEXT even if it begins with -. IDS are separated by spaces or commas.\n\n";

struct tokenize {
    struct cli_common common;
    bool special, decode;
};

static const struct cli_option table[] = {
    { "json", CLI_FLAG, offsetof(struct tokenize, common.json), NULL, "{\"ids\":[...],\"pieces\":[...]}, pieces as the vocabulary spells them", 0, 0 },
    { "special", CLI_FLAG, offsetof(struct tokenize, special), NULL, "text of control tokens is the token; with --decode, print their text", 0, 0 },
    { "decode", CLI_FLAG, offsetof(struct tokenize, decode), NULL, "print the bytes that IDS stand for", 0, 0 },
    { NULL, 0, 0, NULL, NULL, 0, 0 },
};

/* ---- output ---- */

static int32_t put_piece(const struct tn_vocab *v, int32_t id, struct tn_buf *out)
{
    struct tenon_str piece = { NULL, 0 };
    uint32_t attributes;
    (void)tn_vocab_piece(v, id, &piece, &attributes); /* an id from encode exists; if not, an empty piece shows */
    return tn_json_string(out, piece.data, piece.size);
}

static int32_t put_json(const struct tn_vocab *v, const int32_t *ids, uint64_t n, struct tn_buf *out)
{
    int32_t s = tn_buf_str(out, "{\"ids\":[");
    for (uint64_t i = 0; i < n && s == 0; i++)
        s = tn_buf_printf(out, "%s%d", i > 0 ? "," : "", ids[i]);
    s = s == 0 ? tn_buf_str(out, "],\"pieces\":[") : s;
    for (uint64_t i = 0; i < n && s == 0; i++) {
        s = i > 0 ? tn_buf_char(out, ',') : 0;
        s = s == 0 ? put_piece(v, ids[i], out) : s;
    }
    return s == 0 ? tn_buf_str(out, "]}\n") : s;
}

static int32_t put_lines(const struct tn_vocab *v, const int32_t *ids, uint64_t n, struct tn_buf *out)
{
    int32_t s = 0;
    for (uint64_t i = 0; i < n && s == 0; i++) {
        s = tn_buf_printf(out, "%8d  ", ids[i]);
        s = s == 0 ? put_piece(v, ids[i], out) : s;
        s = s == 0 ? tn_buf_char(out, '\n') : s;
    }
    return s;
}

static int32_t put_ids(const struct tn_vocab *v, const struct tokenize *o, const char *text, uint64_t size, struct tn_buf *out,
                       struct tenon_err *err)
{
    int32_t *ids = NULL;
    uint64_t n = 0;
    int32_t status = tn_vocab_encode(v, text, size, o->special ? TENON_ENCODE_SPECIAL : 0, &ids, &n, err);
    if (status == 0 && (status = o->common.json ? put_json(v, ids, n, out) : put_lines(v, ids, n, out)) != 0)
        (void)tenon_fail(err, status, "tokenize", "no memory for the text");
    free(ids);
    return status;
}

static int32_t put_text(const struct tn_vocab *v, const struct tokenize *o, const char *ids, uint64_t size, struct tn_buf *out,
                        struct tenon_err *err)
{
    static const char separators[] = " ,\t\r\n[]";
    uint64_t state = 0;
    int32_t status = 0;
    for (const char *at = ids + strspn(ids, separators); status == 0 && at < ids + size; at += strspn(at, separators)) {
        char *end;
        errno = 0;
        long id = strtol(at, &end, 10);
        if (end == at || errno != 0 || id < 0 || id > INT32_MAX || (*end != '\0' && strchr(separators, *end) == NULL))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "--decode", "\"%.20s\" is no token id", at);
        at = end;
        status = tn_vocab_decode(v, &state, (int32_t)id, o->special ? TENON_DECODE_SPECIAL : 0, out, err);
    }
    return status;
}

/* ---- the command ---- */

static int32_t run(struct tn_registry *reg, const struct tokenize *o, const char *path, const char *text, uint64_t size,
                   struct tn_buf *out, struct tenon_err *err)
{
    struct tn_container *src = NULL;
    struct tn_vocab *v = NULL;
    int32_t status = tn_container_open(reg, path, &src, err);
    if (status == 0)
        status = tn_vocab_open(reg, src, &v, err);
    if (status == 0)
        status = o->decode ? put_text(v, o, text, size, out, err) : put_ids(v, o, text, size, out, err);
    if (src != NULL)
        status = tn_container_whole(src, status, err);
    tn_vocab_close(v);
    tn_container_close(src);
    return status;
}

/* The text to work on: the argument, or all of stdin in *ret_kept. OWN: *ret_kept by free. */
static int32_t take_text(const char *arg, char **ret_kept, const char **ret, uint64_t *ret_size, struct tenon_err *err)
{
    int32_t status = strcmp(arg, "-") == 0 ? cli_read_all(arg, ret_kept, ret_size, err) : 0;
    *ret = *ret_kept != NULL ? *ret_kept : arg;
    if (*ret_kept == NULL)
        *ret_size = strlen(arg);
    return status;
}

int tn_cmd_tokenize(int argc, char **argv)
{
    struct tokenize o = { 0 };
    struct cli_session s = { 0 };
    struct cli_args args;
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out = { 0 };
    char *kept = NULL;
    const char *text;
    uint64_t size;
    if (cli_parse(table, &o, argc, argv, &args, &err) != 0)
        return cli_misused(&err);
    if (args.help || args.n != 2 || (o.decode && o.common.json)) {
        fputs(usage, args.help ? stdout : stderr);
        if (args.help)
            cli_print_options(table);
        return args.help ? CLI_OK : CLI_USAGE;
    }
    int32_t status = take_text(args.items[1], &kept, &text, &size, &err);
    if (status == 0)
        status = cli_runtime_open(&s, &o.common, &err);
    if (status == 0)
        status = run(tn_runtime_registry(s.rt), &o, args.items[0], text, size, &out, &err);
    if (status == 0)
        fwrite(out.data, 1, out.len, stdout);
    tn_buf_finish(&out);
    free(kept);
    cli_session_close(&s);
    return status != 0 ? cli_failed(&err) : cli_finish_stdout();
}
