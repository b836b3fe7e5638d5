/* runtime.c - libtenon's own functions: plugins, compute pool and engine of one process, made in that order and ended in
 * the reverse one. Contract: <tenon/engine.h>; the command uses runtime.h.
 */
#include "core/engine/runtime.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/quota.h"
#include "core/base/threads.h"

struct tenon_runtime {
    struct tn_threads *threads;
    struct tn_registry *registry;
    struct tn_engine *engine;
    bool has_sink;
};

/* What of the number of threads is not plain to see. */
static void tell_threads(uint32_t asked)
{
    uint32_t cores = tn_threads_cores(), quota = tn_quota_cores("");
    if (asked > cores)
        tn_log(TENON_LOG_WARN, NULL, "%u threads on %u core%s: more threads than cores only slow it down", asked, cores,
               cores == 1 ? "" : "s");
    else if (quota != 0 && asked > quota)
        tn_log(TENON_LOG_WARN, NULL, "%u threads, and a CPU quota of the time of %u core%s: more threads than that are "
               "stopped again and again", asked, quota, quota == 1 ? "" : "s");
    else if (quota != 0 && quota < cores && asked == 0)
        tn_log(TENON_LOG_INFO, NULL, "%u thread%s on %u cores: a CPU quota gives no more", quota, quota == 1 ? "" : "s", cores);
}

static int32_t create(struct tenon_runtime *rt, const struct tenon_runtime_options *o, struct tenon_err *err)
{
    int32_t rc;
    if (o->log != NULL) {
        tn_log_set_sink(o->log, o->log_arg);
        rt->has_sink = true;
    }
    (void)tn_log_level(); /* warns of a TENON_LOG that is not known, also where nothing else is logged */
    tell_threads(o->threads);
    rc = tn_threads_create(o->threads, &rt->threads, err);
    if (rc == TENON_OK)
        rc = tn_registry_create_in(o->plugin_path, &rt->registry, err);
    if (rc == TENON_OK)
        rc = tn_registry_set_service(rt->registry, TENON_THREADS_SERVICE, tn_threads_service(rt->threads), err);
    if (rc == TENON_OK)
        rc = tn_engine_create(rt->registry, &rt->engine, err);
    if (rc == TENON_OK)
        rc = tn_registry_set_service(rt->registry, TENON_ENGINE_SERVICE, tn_engine_table(rt->engine), err);
    return rc == TENON_OK ? tn_registry_start(rt->registry, err) : rc;
}

int32_t tenon_runtime_create(const struct tenon_runtime_options *options, struct tenon_runtime **ret, struct tenon_err *err)
{
    struct tenon_runtime_options o = { .struct_size = sizeof o };
    struct tenon_runtime *rt = calloc(1, sizeof *rt);
    int32_t rc;
    if (rt == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "runtime", "out of memory");
    if (options != NULL)
        TENON_COPY_IN(&o, options);
    rc = create(rt, &o, err);
    if (rc != TENON_OK) {
        tenon_runtime_destroy(rt);
        return rc;
    }
    *ret = rt;
    return TENON_OK;
}

void tenon_runtime_destroy(struct tenon_runtime *rt)
{
    if (rt == NULL)
        return;
    tn_engine_destroy(rt->engine);
    tn_registry_destroy(rt->registry);
    tn_threads_destroy(rt->threads);
    if (rt->has_sink)
        tn_log_set_sink(NULL, NULL);
    free(rt);
}

const struct tenon_engine *tenon_runtime_engine(struct tenon_runtime *rt)
{
    return tn_engine_table(rt->engine);
}

const char *tenon_version(void)
{
    return TN_VERSION;
}

struct tn_registry *tn_runtime_registry(struct tenon_runtime *rt)
{
    return rt->registry;
}

uint32_t tn_runtime_threads(struct tenon_runtime *rt)
{
    const struct tenon_threads *t = tn_threads_service(rt->threads);
    return t->count(t->ctx);
}
