/* commands.h - the subcommands: argv[0] is the subcommand's name, the result is the exit code. */
#ifndef TN_CLI_COMMANDS_H
#define TN_CLI_COMMANDS_H

int tn_cmd_run(int argc, char **argv);
int tn_cmd_plugins(int argc, char **argv);
int tn_cmd_devices(int argc, char **argv);
int tn_cmd_show(int argc, char **argv);
int tn_cmd_tokenize(int argc, char **argv);
int tn_cmd_template(int argc, char **argv);
int tn_cmd_bench(int argc, char **argv);
int tn_cmd_eval(int argc, char **argv);
int tn_cmd_embed(int argc, char **argv);
int tn_cmd_graph(int argc, char **argv);

#endif
