/* packer.c - see packer.h. The thread sleeps while the device packs: computing is the device's, between its steps.
 */
#include "core/model/packer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/threads.h"

struct tn_packer {
    struct tn_bindings *bindings;
    const struct tn_device *device;
    struct tenon_executable *executable;
    pthread_t thread;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards ended */
    pthread_cond_t wake;
    bool ended;
};

static void *packer_main(void *arg)
{
    struct tn_packer *p = arg;
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < p->bindings->n && !atomic_load(&p->stop); i++) {
        struct tenon_err err = TENON_ERR_INIT;
        rc = tn_bindings_pack(p->bindings, p->device, p->executable, i, &err);
        if (rc != TENON_OK)
            tn_log(TENON_LOG_WARN, err.where, "not packed, and so slower, as are the weights behind it: %s", err.message);
    }
    pthread_mutex_lock(&p->lock);
    p->ended = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void destroy(struct tn_packer *p)
{
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

int32_t tn_packer_start(struct tn_bindings *bindings, const struct tn_device *device, struct tenon_executable *executable,
                        struct tn_packer **ret, struct tenon_err *err)
{
    struct tn_packer *p = calloc(1, sizeof *p);
    if (p == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "packing", "out of memory");
    p->bindings = bindings;
    p->device = device;
    p->executable = executable;
    (void)pthread_mutex_init(&p->lock, NULL); /* neither fails with default attributes */
    (void)pthread_cond_init(&p->wake, NULL);
    int error = tn_thread_start(&p->thread, packer_main, p);
    if (error != 0) {
        destroy(p);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "packing", "no thread: %s", strerror(error));
    }
    *ret = p;
    return TENON_OK;
}

void tn_packer_wait(struct tn_packer *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    while (!p->ended)
        (void)pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void tn_packer_finish(struct tn_packer *p)
{
    if (p == NULL)
        return;
    atomic_store(&p->stop, true);
    (void)pthread_join(p->thread, NULL);
    destroy(p);
}
