/* stream.c - streams, events and enqueue: a step becomes one region of the host's thread pool; its end sets the event.
 *
 * Everything an execution will index with is checked here, so that the steps need not. Regions of the pool run one after the
 * other, which is the order streams promise. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "plan.h"

struct tenon_stream {
    struct tenon_device *dev;
    pthread_mutex_t lock; /* guards pending */
    pthread_cond_t idle;
    uint32_t pending;
};

/* Lives until the execution has ended and the host has let go. */
struct tenon_event {
    struct cpu_run run;
    struct tenon_stream *stream;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool finished, released;
    void (*done)(void *arg);
    void *arg;
};

int32_t cpu_stream_create(struct tenon_device *dev, struct tenon_stream **ret, struct tenon_err *err)
{
    struct tenon_stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for a stream");
    s->dev = dev;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
    *ret = s;
    return 0;
}

void cpu_stream_destroy(struct tenon_stream *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    while (s->pending != 0)
        pthread_cond_wait(&s->idle, &s->lock);
    pthread_mutex_unlock(&s->lock);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void event_destroy(struct tenon_event *e)
{
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e->run.tickets);
    free(e);
}

static void region_fn(void *arg, uint32_t i, uint32_t n)
{
    struct tenon_event *e = arg;
    cpu_run_thread(&e->run, i, n);
}

static void region_done(void *arg)
{
    struct tenon_event *e = arg;
    struct tenon_stream *s = e->stream;
    pthread_mutex_lock(&e->lock);
    e->finished = true;
    void (*done)(void *) = e->done;
    void *done_arg = e->arg;
    bool released = e->released;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    if (done != NULL)
        done(done_arg);
    if (released)
        event_destroy(e);
    pthread_mutex_lock(&s->lock);
    if (--s->pending == 0)
        pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->lock);
}

/* ---- checks ---- */

/* All of a[0..n) in lo..hi? */
static int32_t check_range(const char *name, const int32_t *a, int64_t n, int64_t lo, int64_t hi, struct tenon_err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (a[i] < lo || a[i] > hi)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "entry %lld is %d, not in %lld..%lld", (long long)i, a[i],
                              (long long)lo, (long long)hi);
    return 0;
}

/* First tokens of the sequences: 0, ascending, T. */
static int32_t check_starts(const char *name, const int32_t *a, int64_t n, int64_t tokens, struct tenon_err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (a[i] < (i == 0 ? 0 : a[i - 1]) || a[i] > tokens)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, name, "entry %lld is %d: they must ascend from 0 to %lld",
                              (long long)i, a[i], (long long)tokens);
    return 0;
}

/* Pages of state group `group`: the fewest of its states. */
static int64_t group_pages(const struct tenon_executable *exe, const struct cpu_run *run, uint32_t group)
{
    int64_t n = INT64_MAX;
    for (uint32_t i = 0; i < exe->n_states; i++)
        if (exe->layouts[i].page_tokens != 0 && exe->states[i].group == group && (int64_t)run->state_pages[i] < n)
            n = (int64_t)run->state_pages[i];
    return n == INT64_MAX ? 0 : n;
}

static bool has_pages(const struct tenon_executable *exe)
{
    for (uint32_t i = 0; i < exe->n_states; i++)
        if (exe->layouts[i].page_tokens != 0)
            return true;
    return false;
}

static int32_t check_input(const struct tenon_executable *exe, const struct cpu_run *run, const char *name, const int32_t *a,
                           int64_t n, struct tenon_err *err)
{
    const int64_t *sym = run->dims.sym;
    const char *dot = strchr(name, '.');
    uint32_t group = dot != NULL ? (uint32_t)strtoul(dot + 1, NULL, 10) : 0;
    if (strcmp(name, "position") == 0)
        return check_range(name, a, n, 0, INT32_MAX, err);
    if (strcmp(name, "seq_of_token") == 0)
        return check_range(name, a, n, 0, sym[TENON_SYM_S] - 1, err);
    if (strcmp(name, "seq_start") == 0)
        return check_starts(name, a, n, sym[TENON_SYM_T], err);
    if (strcmp(name, "context_len") == 0)
        return check_range(name, a, n, 0, has_pages(exe) ? sym[TENON_SYM_P] * CPU_PAGE_TOKENS : INT32_MAX, err);
    if (strncmp(name, "block_table.", 12) == 0)
        return check_range(name, a, n, -1, group_pages(exe, run, group) - 1, err);
    if (strncmp(name, "slot_of_token.", 14) == 0)
        return check_range(name, a, n, -1, group_pages(exe, run, group) * CPU_PAGE_TOKENS - 1, err);
    return 0; /* token and out_row are looked up with a check: a row outside the table is zeros */
}

static int32_t bind_inputs(const struct tenon_enqueue_args *args, struct cpu_run *run, struct tenon_err *err)
{
    const struct tenon_graph *g = run->exe->graph;
    if (args->n_inputs != g->n_inputs)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "%u inputs given, %u expected", args->n_inputs, g->n_inputs);
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const struct tenon_value *v = tenon_graph_value(g, g->inputs[i]);
        int64_t n = cpu_elements(v, &run->dims);
        uint64_t bytes = (uint64_t)n * (v->dtype == TENON_DTYPE_F16 || v->dtype == TENON_DTYPE_BF16 ? 2 : 4);
        run->inputs[i] = cpu_span_data(&args->inputs[i]);
        if (run->inputs[i] == NULL || args->inputs[i].size < bytes)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, v->name, "%llu bytes given, %lld elements expected",
                              (unsigned long long)args->inputs[i].size, (long long)n);
        int32_t status = v->dtype == TENON_DTYPE_I32 ? check_input(run->exe, run, v->name, run->inputs[i], n, err) : 0;
        if (status != 0)
            return status;
    }
    return 0;
}

static int32_t bind_outputs(const struct tenon_enqueue_args *args, struct cpu_run *run, struct tenon_err *err)
{
    const struct tenon_graph *g = run->exe->graph;
    const struct tenon_block *last = tenon_graph_block(g, g->order[g->n_order - 1].block);
    if (args->n_outputs != last->n_rets)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "%u outputs given, %u expected", args->n_outputs, last->n_rets);
    for (uint32_t i = 0; i < last->n_rets; i++) {
        int64_t n = cpu_elements(tenon_graph_value(g, last->rets[i]), &run->dims);
        run->outputs[i] = cpu_span_data(&args->outputs[i]);
        if (n != 0 && (run->outputs[i] == NULL || args->outputs[i].size < (uint64_t)n * 4))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, g->output_names[i], "no room for %lld floats", (long long)n);
    }
    return 0;
}

static int32_t bind_states(const struct tenon_enqueue_args *args, struct cpu_run *run, struct tenon_err *err)
{
    const struct tenon_executable *exe = run->exe;
    for (uint32_t i = 0; i < args->n_states; i++) {
        struct tenon_state_binding b;
        TENON_COPY_IN(&b, (const char *)args->states + (uint64_t)i * args->state_stride);
        uint64_t need;
        if (b.state >= exe->n_states ||
            __builtin_mul_overflow(exe->layouts[b.state].page_bytes * exe->states[b.state].n_layers, b.n_pages, &need) ||
            need > b.span.size || cpu_span_data(&b.span) == NULL)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "state %u does not fit its buffer", b.state);
        run->states[b.state] = cpu_span_data(&b.span);
        run->state_pages[b.state] = b.n_pages;
    }
    for (uint32_t i = 0; i < exe->n_states; i++)
        if (run->states[i] == NULL)
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, exe->states[i].name, "the state is not bound");
    return 0;
}

static int32_t bind(const struct tenon_enqueue_args *args, struct cpu_run *run, struct tenon_err *err)
{
    const struct tenon_executable *exe = run->exe;
    TENON_COPY_IN(&run->dims, args->dims);
    for (uint32_t i = TENON_SYM_T; i < TENON_SYM_COUNT; i++)
        if (run->dims.sym[i] < 0 || run->dims.sym[i] > exe->bucket.sym[i])
            return tenon_fail(err, TENON_E_OUT_OF_RANGE, "cpu", "a step with %lld %c, compiled for at most %lld",
                              (long long)run->dims.sym[i], "?TSRCP"[i], (long long)exe->bucket.sym[i]);
    run->scratch = cpu_span_data(&args->scratch);
    if (run->scratch == NULL || args->scratch.size < exe->scratch_bytes || (uintptr_t)run->scratch % CPU_ALIGN != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "scratch of %llu bytes, %llu needed",
                          (unsigned long long)args->scratch.size, (unsigned long long)exe->scratch_bytes);
    int32_t status = bind_states(args, run, err);
    if (status == 0)
        status = bind_inputs(args, run, err);
    return status == 0 ? bind_outputs(args, run, err) : status;
}

/* ---- enqueue ---- */

static int32_t submit(struct tenon_stream *stream, struct tenon_event *e, struct tenon_err *err)
{
    const struct tenon_threads *threads = stream->dev->plugin->threads;
    pthread_mutex_lock(&stream->lock);
    stream->pending++;
    pthread_mutex_unlock(&stream->lock);
    int32_t status = threads->submit(threads->ctx, region_fn, e, region_done);
    if (status == 0)
        return 0;
    pthread_mutex_lock(&stream->lock);
    stream->pending--;
    pthread_mutex_unlock(&stream->lock);
    return tenon_fail(err, status, "cpu", "the thread pool took no work: %s%s", tenon_status_text(status),
                      status == TENON_E_RESOURCE_EXHAUSTED ? ": use fewer threads" : "");
}

int32_t cpu_enqueue(struct tenon_stream *stream, const struct tenon_enqueue_args *foreign, struct tenon_event **ret_event,
                    struct tenon_err *err)
{
    struct tenon_enqueue_args args;
    TENON_COPY_IN(&args, foreign);
    struct tenon_event *e = calloc(1, sizeof *e);
    if (e == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for an event");
    e->stream = stream;
    e->run.exe = args.executable;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
    int32_t status = bind(&args, &e->run, err);
    if (status == 0) {
        e->run.tickets = calloc((size_t)args.executable->n_tickets * args.executable->n_threads + args.executable->part_tickets + 1,
                                sizeof *e->run.tickets);
        if (e->run.tickets == NULL)
            status = tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for work counters");
    }
    if (status == 0)
        status = submit(stream, e, err);
    if (status != 0) {
        event_destroy(e);
        return status;
    }
    *ret_event = e;
    return 0;
}

/* ---- events ---- */

static struct timespec deadline_after(int64_t ns)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ns / 1000000000;
    t.tv_nsec += ns % 1000000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

int32_t cpu_event_wait(struct tenon_event *e, int64_t timeout_ns, struct tenon_err *err)
{
    int waited = 0;
    struct timespec until = deadline_after(timeout_ns > 0 ? timeout_ns : 0);
    pthread_mutex_lock(&e->lock);
    while (!e->finished && waited != ETIMEDOUT)
        waited = timeout_ns < 0 ? pthread_cond_wait(&e->changed, &e->lock) : pthread_cond_timedwait(&e->changed, &e->lock, &until);
    bool finished = e->finished;
    pthread_mutex_unlock(&e->lock);
    return finished ? 0 : tenon_fail(err, TENON_E_DEADLINE_EXCEEDED, "cpu", "the step has not ended yet");
}

int32_t cpu_event_on_done(struct tenon_event *e, void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&e->lock);
    bool finished = e->finished;
    if (!finished) {
        e->done = done;
        e->arg = arg;
    }
    pthread_mutex_unlock(&e->lock);
    if (finished)
        done(arg);
    return 0;
}

void cpu_event_free(struct tenon_event *e)
{
    if (e == NULL)
        return;
    pthread_mutex_lock(&e->lock);
    bool finished = e->finished;
    e->released = true;
    pthread_mutex_unlock(&e->lock);
    if (finished)
        event_destroy(e);
}
