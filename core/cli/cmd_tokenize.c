/* cmd_tokenize.c - `tenon tokenize MODEL [--json] [--special] TEXT|-`: the ids of a text and how the vocabulary spells
 * them; with --decode the text of ids. Needs a vocabulary, not weights. Adds no BOS and no EOS. One thread. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include <tenon/tokenizer.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/num.h"
#include "core/model/files.h"
#include "core/plugin/registry.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "usage: tenon tokenize MODEL [--json] [--special] TEXT\n"
    "       tenon tokenize MODEL --decode [--special] IDS\n"
    "\n"
    "Print the token ids of TEXT, one token a line. \"-\" reads all of stdin, nothing stripped.\n"
    "\n"
    "  --json      print {\"ids\":[...],\"pieces\":[...]}, pieces as the vocabulary spells them\n"
    "  --special   text of control tokens is the token; with --decode, print their text\n"
    "  --decode    print the bytes that IDS, separated by spaces or commas, stand for\n"
    "  --          what follows is MODEL or TEXT even if it begins with -\n";

struct options {
    const char *model, *text;
    bool json, special, decode, help;
};

/* A tokenizer with all that it stands on. All zero is closed. */
struct vocabulary {
    struct tn_registry *registry;
    struct tn_files *files;
    struct tenon_weights weights;
    void *weights_self;
    struct tenon_weights_model *model;
    struct tenon_tokenizer table;
    void *self;
    struct tenon_tokenizer_object *tok;
};

/* ---- the tokenizer of a model --------------------------------------------------------------------------------- */

/* The plugin that is surest of the file, opened. */
static int32_t open_weights(struct vocabulary *v, const char *path, struct tenon_err *err)
{
    const struct tenon_files *files = tn_files_table(v->files);
    const char *name = tn_files_name(v->files);
    const struct tn_item *item;
    const void *head;
    uint64_t size;
    uint32_t id;
    int32_t best = 0, status;
    if (name == NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, path, "is a folder: give the path of a model file");
    if ((status = files->map(files->ctx, name, &id, &head, &size, err)) != 0)
        return status;
    for (uint32_t i = 0; (status = tn_registry_find(v->registry, TENON_WEIGHTS_IFACE, NULL, i, &item, err)) == 0; i++) {
        struct tenon_weights w;
        int32_t sure;
        TENON_COPY_IN(&w, item->impl);
        sure = w.probe(item->self, head, size);
        if (sure > best) {
            best = sure;
            v->weights = w;
            v->weights_self = item->self;
        }
    }
    if (best == 0)
        return status != TENON_E_NOT_FOUND ? status
                                           : tenon_fail(err, status, path, "no weights plugin knows this format: see "
                                                                           "`tenon plugins list`");
    return v->weights.open(v->weights_self, files, name, &v->model, err);
}

/* The plugin that fits the model's vocabulary best, opened. */
static int32_t open_tokenizer_object(struct vocabulary *v, const char *path, struct tenon_err *err)
{
    const struct tenon_meta *meta = v->weights.metadata(v->model);
    const struct tn_item *item;
    int32_t best = 0, status;
    for (uint32_t i = 0; (status = tn_registry_find(v->registry, TENON_TOKENIZER_IFACE, NULL, i, &item, err)) == 0; i++) {
        struct tenon_tokenizer t;
        int32_t fits;
        TENON_COPY_IN(&t, item->impl);
        fits = t.match(item->self, meta);
        if (fits > best) {
            best = fits;
            v->table = t;
            v->self = item->self;
        }
    }
    if (best == 0)
        return status != TENON_E_NOT_FOUND ? status
                                           : tenon_fail(err, status, path, "no tokenizer plugin knows this vocabulary: see "
                                                                           "`tenon plugins list`");
    return v->table.open(v->self, meta, tn_files_table(v->files), &v->tok, err);
}

/* On failure too, close_tokenizer frees what *v holds. */
static int32_t open_tokenizer(const char *path, struct vocabulary *v, struct tenon_err *err)
{
    int32_t status;
    memset(v, 0, sizeof *v);
    if ((status = tn_registry_create(&v->registry, err)) != 0 || (status = tn_registry_start(v->registry, err)) != 0 ||
        (status = tn_files_open(path, &v->files, err)) != 0 || (status = open_weights(v, path, err)) != 0)
        return status;
    return open_tokenizer_object(v, path, err);
}

static void close_tokenizer(struct vocabulary *v)
{
    if (v->tok != NULL)
        v->table.close(v->self, v->tok);
    if (v->model != NULL)
        v->weights.close(v->weights_self, v->model);
    tn_files_close(v->files);
    tn_registry_destroy(v->registry);
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

/* A JSON string of bytes that need not be UTF-8: what is not becomes U+FFFD. */
static void print_string(const char *text, uint64_t size)
{
    uint64_t at = 0;
    putchar('"');
    while (at < size) {
        utf8proc_ssize_t left = size - at < 4 ? (utf8proc_ssize_t)(size - at) : 4; /* the longest character */
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at, left, &c);
        if (n <= 0) {
            fputs("\\ufffd", stdout);
            n = 1;
        } else if (c == '"' || c == '\\') {
            printf("\\%c", (int)c);
        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            printf("\\u%04x", (unsigned)c);
        } else {
            fwrite(text + at, 1, (size_t)n, stdout);
        }
        at += (uint64_t)n;
    }
    putchar('"');
}

static void print_piece(const struct vocabulary *v, int32_t id)
{
    struct tenon_str piece = {0};
    uint32_t attributes;
    (void)v->table.piece(v->tok, id, &piece, &attributes); /* an id from encode exists; if not, an empty piece shows */
    print_string(piece.data, piece.size);
}

static void print_json(const struct vocabulary *v, const int32_t *ids, uint64_t n)
{
    fputs("{\"ids\":[", stdout);
    for (uint64_t i = 0; i < n; i++)
        printf("%s%d", i > 0 ? "," : "", ids[i]);
    fputs("],\"pieces\":[", stdout);
    for (uint64_t i = 0; i < n; i++) {
        fputs(i > 0 ? "," : "", stdout);
        print_piece(v, ids[i]);
    }
    puts("]}");
}

static void print_lines(const struct vocabulary *v, const int32_t *ids, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        printf("%8d  ", ids[i]);
        print_piece(v, ids[i]);
        putchar('\n');
    }
}

/* ---- encoding --------------------------------------------------------------------------------------------------- */

/* OWN: caller frees *ret_ids. */
static int32_t encode(const struct vocabulary *v, const char *text, uint64_t size, uint32_t flags, int32_t **ret_ids,
                      uint64_t *ret_n, struct tenon_err *err)
{
    uint64_t capacity = size / 2 + 16, n = 0;
    int32_t *ids = NULL, status = 0;
    for (;;) {
        size_t bytes;
        free(ids);
        ids = tn_mul_size(capacity, sizeof *ids, &bytes) ? malloc(bytes) : NULL;
        if (ids == NULL)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "tokenize", "no memory for %llu ids",
                              (unsigned long long)capacity);
        status = v->table.encode(v->tok, text, size, flags, ids, capacity, &n, err);
        if (status != 0 || n <= capacity)
            break;
        capacity = n;
    }
    if (status != 0) {
        free(ids);
        return status;
    }
    *ret_ids = ids;
    *ret_n = n;
    return 0;
}

static int32_t print_ids(const struct vocabulary *v, const struct options *o, const char *text, uint64_t size,
                         struct tenon_err *err)
{
    int32_t *ids = NULL;
    uint64_t n = 0;
    int32_t status = encode(v, text, size, o->special ? TENON_ENCODE_SPECIAL : 0, &ids, &n, err);
    if (status != 0)
        return status;
    if (o->json)
        print_json(v, ids, n);
    else
        print_lines(v, ids, n);
    free(ids);
    return 0;
}

/* ---- decoding --------------------------------------------------------------------------------------------------- */

static int32_t print_token(const struct vocabulary *v, const struct options *o, uint64_t *state, int32_t id,
                           struct tenon_err *err)
{
    char some[256], *bytes = some;
    uint64_t before = *state, n;
    uint32_t flags = o->special ? TENON_DECODE_SPECIAL : 0;
    int32_t status = v->table.decode(v->tok, state, id, flags, some, sizeof some, &n, err);
    if (status == 0 && n > sizeof some) {
        bytes = malloc(n);
        if (bytes == NULL)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "tokenize", "no memory for token %d", id);
        *state = before;
        status = v->table.decode(v->tok, state, id, flags, bytes, n, &n, err);
    }
    if (status == 0)
        fwrite(bytes, 1, n, stdout);
    if (bytes != some)
        free(bytes);
    return status;
}

static int32_t print_text(const struct vocabulary *v, const struct options *o, const char *ids, struct tenon_err *err)
{
    static const char separators[] = " ,\t\r\n[]";
    uint64_t state = 0;
    int32_t status = 0;
    for (const char *at = ids + strspn(ids, separators); status == 0 && *at != '\0'; at += strspn(at, separators)) {
        char *end;
        long id;
        errno = 0;
        id = strtol(at, &end, 10);
        if (end == at || errno != 0 || id < 0 || id > INT32_MAX || (*end != '\0' && strchr(separators, *end) == NULL))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "--decode", "\"%.20s\" is no token id", at);
        at = end;
        status = print_token(v, o, &state, (int32_t)id, err);
    }
    return status;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static bool take_option(struct options *o, const char *arg)
{
    if (strcmp(arg, "--json") == 0)
        o->json = true;
    else if (strcmp(arg, "--special") == 0)
        o->special = true;
    else if (strcmp(arg, "--decode") == 0)
        o->decode = true;
    else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
        o->help = true;
    else
        return false;
    return true;
}

/* argv[0] is the command's name. False: not as the usage says; *ret_bad is what, NULL when something is missing. */
static bool parse(int argc, char **argv, struct options *o, const char **ret_bad)
{
    bool only_words = false;
    *ret_bad = NULL;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (!only_words && strcmp(arg, "--") == 0) {
            only_words = true;
        } else if (!only_words && arg[0] == '-' && arg[1] != '\0') {
            if (!take_option(o, arg)) {
                *ret_bad = arg;
                return false;
            }
        } else if (o->model == NULL) {
            o->model = arg;
        } else if (o->text == NULL) {
            o->text = arg;
        } else {
            *ret_bad = arg;
            return false;
        }
    }
    return o->help || (o->text != NULL && !(o->json && o->decode));
}

static int32_t read_stdin(struct tn_buf *text, struct tenon_err *err)
{
    size_t n;
    do {
        if (tn_buf_reserve(text, 1u << 16) != 0)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "stdin", "no memory for more than %zu bytes", text->len);
        n = fread(text->data + text->len, 1, 1u << 16, stdin);
        text->len += n;
    } while (n > 0);
    text->data[text->len] = '\0';
    if (ferror(stdin))
        return tenon_fail(err, TENON_E_DATA_LOSS, "stdin", "cannot be read: %s", strerror(errno));
    return 0;
}

static int32_t run(const struct options *o, struct tenon_err *err)
{
    struct vocabulary v = {0};
    struct tn_buf text;
    int32_t status;
    tn_buf_init(&text, 0);
    status = strcmp(o->text, "-") == 0 ? read_stdin(&text, err) : tn_buf_str(&text, o->text);
    if (status == 0)
        status = open_tokenizer(o->model, &v, err);
    if (status == 0)
        status = o->decode ? print_text(&v, o, text.data != NULL ? text.data : "", err)
                           : print_ids(&v, o, text.data, text.len, err);
    if (status == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        status = tenon_fail(err, TENON_E_DATA_LOSS, "stdout", "cannot be written: %s", strerror(errno));
    close_tokenizer(&v);
    tn_buf_finish(&text);
    return status;
}

int tn_cmd_tokenize(int argc, char **argv)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct options o = {0};
    const char *bad;
    if (!parse(argc, argv, &o, &bad)) {
        if (bad != NULL)
            fprintf(stderr, "tenon: tokenize: what is \"%s\"?\n", bad);
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (o.help)
        return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    if (run(&o, &err) != 0) {
        tn_log_err("tokenize", &err);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
