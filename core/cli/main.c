/* main.c - the tenon command: finds the subcommand and runs it. Exit 0, 1 (failed) or 2 (usage). */
#include <stdio.h>
#include <string.h>

#include <tenon/engine.h>

#include "core/base/log.h"
#include "core/cli/commands.h"
#include "core/cli/session.h"
#include "core/plugin/probe.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    { "run", tn_cmd_run, "MODEL [PROMPT]   one answer, or a chat on a terminal" },
    { "plugins", tn_cmd_plugins, "[list|show|check]   what was found, and why what is not used is not" },
    { "devices", tn_cmd_devices, "where models can run" },
    { "show", tn_cmd_show, "MODEL   what a model is" },
    { "tokenize", tn_cmd_tokenize, "MODEL TEXT   token ids of a text" },
    { "template", tn_cmd_template, "FILE.jinja --input FILE.json   render a chat template" },
    { "bench", tn_cmd_bench, "MODEL   how fast it runs here" },
    { "eval", tn_cmd_eval, "MODEL --ids FILE   log-probabilities of given tokens" },
    { "embed", tn_cmd_embed, "MODEL [TEXT...]   vectors of texts" },
    { "graph", tn_cmd_graph, "MODEL   the computation as text" },
};

static void usage(FILE *out)
{
    fprintf(out, "usage: tenon COMMAND ...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(out, "\ntenon COMMAND --help tells more. tenon --version prints the version.\n");
}

/* What a command leaves buffered (its help, for one) may fail to be written. */
static int finish(int code)
{
    return code == CLI_OK ? cli_finish_stdout() : code;
}

int main(int argc, char **argv)
{
    int probed = tn_probe_main(argc, argv); /* a child that tries a plugin for the host ends here */
    if (probed >= 0)
        return probed;
    (void)tn_log_level(); /* warns of a TENON_LOG that is not known, whatever the command */
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        usage(stdout);
        return cli_finish_stdout();
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        printf("tenon %s\n", tenon_version());
        return cli_finish_stdout();
    }
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    if (argc >= 2)
        fprintf(stderr, "tenon: %s: no such command\n", argv[1]);
    usage(stderr);
    return 2;
}
