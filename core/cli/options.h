/* options.h - options of a subcommand as a table: from the config file, the environment and the command line, in that order.
 *
 *     static const struct cli_option table[] = {
 *         { "max-tokens", CLI_U32, offsetof(struct run, max_tokens), "N", "tokens of the answer at most" }, ...
 *     status = cli_parse(table, n, &run, argc, argv, &args, err);   // --max-tokens N, TENON_MAX_TOKENS, max_tokens = N
 *
 * The config file is $XDG_CONFIG_HOME/tenon/config (~/.config/tenon/config): `key = value` lines, keys with `_` for `-`; keys
 * that this subcommand does not have are other subcommands' and are passed over. Lines are those of plugins.d: base/ini.h. One
 * thread. */
#ifndef TN_CLI_OPTIONS_H
#define TN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/plugin.h>

#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2
#define CLI_INTERRUPTED 130 /* as shells have it: 128 and the number of the signal */

enum cli_kind { CLI_FLAG /* bool */, CLI_U32, CLI_I32, CLI_U64, CLI_F32, CLI_TEXT /* const char * */,
                CLI_CHOICE /* const char *, one of the words of `value`, which are A|B|C */, CLI_LIST /* struct cli_list */ };

#define CLI_LIST_MAX 16u
struct cli_list {
    const char *items[CLI_LIST_MAX];
    uint32_t n;
};

struct cli_option {
    const char *name; /* without dashes; NULL ends a table */
    enum cli_kind kind;
    size_t offset;    /* of the member in the target */
    const char *value; /* what --help calls it; NULL for flags */
    const char *help;
    double min, max;  /* of numbers; both 0: the type's own range */
};

#define CLI_ARGS_MAX 256u
/* What is not an option, in order. */
struct cli_args {
    const char *items[CLI_ARGS_MAX];
    uint32_t n;
    bool help; /* --help or -h was given: the rest is not to be trusted */
};

/* Values point into argv, the environment, or memory kept for the process's life. On failure *err is for the user: exit 2. */
int32_t cli_parse(const struct cli_option *table, void *target, int argc, char **argv, struct cli_args *ret,
                  struct tenon_err *err);

/* The table as --help shows it, on stdout. */
void cli_print_options(const struct cli_option *table);

#endif
