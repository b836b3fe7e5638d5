/* session.c - see session.h. */
#include "core/cli/session.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <tenon/backend.h>

#include "core/base/log.h"

double cli_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of a word that the options' table has let through. */
static int32_t kv_encoding(const char *name)
{
    static const struct { const char *name; int32_t encoding; } all[] = {
        { "f16", TENON_KV_F16 }, { "f32", TENON_KV_F32 }, { "bf16", TENON_KV_BF16 }, { "q8", TENON_KV_Q8 },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (name != NULL && strcmp(all[i].name, name) == 0)
            return all[i].encoding;
    return TENON_KV_F16;
}

int32_t cli_runtime_open(struct cli_session *s, const struct cli_common *c, struct tenon_err *err)
{
    struct tenon_runtime_options options = { .struct_size = sizeof options, .threads = c->threads };
    if (c->verbose)
        tn_log_set_level(TENON_LOG_INFO);
    int32_t status = tenon_runtime_create(&options, &s->rt, err);
    if (status == 0)
        s->engine = tenon_runtime_engine(s->rt);
    return status;
}

int32_t cli_session_open(struct cli_session *s, const struct cli_common *c, const char *path, struct tenon_err *err)
{
    struct tenon_load_args args = {
        .struct_size = sizeof args, .path = path, .device = c->device, .context = c->context,
        .max_sequences = c->parallel, .max_tokens_per_step = c->chunk, .kv_encoding = kv_encoding(c->kv),
        .flags = (c->profile ? TENON_LOAD_PROFILE : 0u) | (c->embed ? TENON_LOAD_EMBED : 0u),
    };
    double start = cli_now();
    int32_t status = cli_runtime_open(s, c, err);
    if (status == 0)
        status = s->engine->load(s->engine->ctx, &args, &s->loaded, err);
    s->load_s = cli_now() - start;
    return status;
}

void cli_session_close(struct cli_session *s)
{
    if (s->engine != NULL)
        s->engine->unload(s->engine->ctx, s->loaded);
    tenon_runtime_destroy(s->rt);
}

int cli_failed(const struct tenon_err *err)
{
    tn_log_err(NULL, err);
    return CLI_FAILED;
}

int cli_misused(const struct tenon_err *err)
{
    tn_log_err(NULL, err);
    return CLI_USAGE;
}

int cli_finish_stdout(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CLI_OK;
    fprintf(stderr, "tenon: stdout: cannot be written: %s\n", strerror(errno));
    return CLI_FAILED;
}

int32_t cli_read_all(const char *path, char **ret, uint64_t *ret_size, struct tenon_err *err)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    char *text = NULL;
    size_t size = 0, capacity = 0;
    int32_t status = 0;
    if (f == NULL)
        return tenon_fail(err, TENON_E_NOT_FOUND, path, "cannot be opened: %s", strerror(errno));
    while (status == 0 && !feof(f)) {
        if (size + 65536 > capacity) {
            char *more = capacity < ((size_t)1 << 30) ? realloc(text, capacity = capacity * 2 + 131072) : NULL;
            if (more == NULL) {
                status = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, path, "too large to be read");
                break;
            }
            text = more;
        }
        size += fread(text + size, 1, 65535, f);
        if (ferror(f))
            status = tenon_fail(err, TENON_E_DATA_LOSS, path, "cannot be read: %s", strerror(errno));
    }
    if (f != stdin)
        (void)fclose(f); /* it was only read */
    if (status != 0) {
        free(text);
        return status;
    }
    text[size] = '\0';
    *ret = text;
    *ret_size = size;
    return 0;
}
