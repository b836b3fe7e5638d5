/* session.h - what run, bench, eval and chat share: the options every model command has, the runtime, one loaded model.
 *
 *     struct cli_session s = {0};
 *     if (cli_session_open(&s, &common, path, err) == 0) ...
 *     cli_session_close(&s);                               // fine on a zeroed one
 *
 * One thread. */
#ifndef TN_CLI_SESSION_H
#define TN_CLI_SESSION_H

#include <tenon/engine.h>

#include "core/cli/options.h"
#include "core/engine/runtime.h"

struct cli_common {
    uint32_t threads, context, parallel, chunk;
    const char *device, *kv;
    bool verbose, json;
    bool profile; /* times per node are wanted */
    bool embed;   /* vectors are wanted, no text */
};

/* Rows for a table of a struct T whose member `common` is a struct cli_common. */
#define CLI_COMMON_OPTIONS(T)                                                                                                    \
    { "threads", CLI_U32, offsetof(T, common.threads), "N", "threads that compute (one per core, within a CPU quota)", 1, 1024 },                    \
    { "device", CLI_TEXT, offsetof(T, common.device), "NAME", "as `tenon devices` names it (the best there is)", 0, 0 },          \
    { "context", CLI_U32, offsetof(T, common.context), "N", "most tokens of one sequence (what the model was trained for)", 1, 1 << 30 }, \
    { "kv", CLI_CHOICE, offsetof(T, common.kv), "f16|f32|bf16|q8", "how keys and values are kept (f16)", 0, 0 },                    \
    { "verbose", CLI_FLAG, offsetof(T, common.verbose), NULL, "tell on stderr what runs where", 0, 0 }

struct cli_session {
    struct tenon_runtime *rt;
    const struct tenon_engine *engine;
    struct tenon_loaded *loaded;
    double load_s; /* seconds from opening to ready */
};

double cli_now(void); /* seconds, monotonic */

int32_t cli_runtime_open(struct cli_session *s, const struct cli_common *c, struct tenon_err *err);
int32_t cli_session_open(struct cli_session *s, const struct cli_common *c, const char *path, struct tenon_err *err);
void cli_session_close(struct cli_session *s);

/* "tenon: WHERE: MESSAGE" on stderr; returns CLI_FAILED. */
int cli_failed(const struct tenon_err *err);
/* The same for a wrong command line; returns CLI_USAGE. */
int cli_misused(const struct tenon_err *err);
/* Flush stdout; a result that could not be written is a failure. */
int cli_finish_stdout(void);

/* Growing text of all of stdin or a file. OWN: *ret by free. */
int32_t cli_read_all(const char *path, char **ret, uint64_t *ret_size, struct tenon_err *err); /* "-": stdin */

#endif
