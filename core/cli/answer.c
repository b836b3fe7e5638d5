/* answer.c - see answer.h. */
#include "core/cli/answer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "core/cli/json.h"

/* Between the thread that waits and the model's thread. */
struct waiter {
    struct cli_answer *a;
    pthread_mutex_t lock; /* guards all below, and *a */
    pthread_cond_t ended;
    bool done;
    int32_t status;
    struct tenon_err *err;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static void take_text(struct waiter *w, const struct tenon_event_data *e)
{
    if (tn_buf_append(&w->a->text, e->text, e->size) != 0 && w->status == 0)
        w->status = tenon_fail(w->err, TENON_E_RESOURCE_EXHAUSTED, "run", "no memory for the answer");
    /* Nobody reads on: the model stops too. (SIGPIPE is blocked on its thread.) */
    if (w->a->stream && w->status == 0 && (fwrite(e->text, 1, e->size, stdout) != e->size || fflush(stdout) != 0))
        w->status = tenon_fail(w->err, TENON_E_UNAVAILABLE, "stdout", "cannot be written: %s", strerror(errno));
}

static int32_t on_event(void *arg, const struct tenon_event_data *e)
{
    struct waiter *w = arg;
    pthread_mutex_lock(&w->lock);
    if (e->type == TENON_EVENT_TEXT)
        take_text(w, e);
    else if (e->type == TENON_EVENT_USAGE)
        w->a->usage = *e;
    else if (e->type == TENON_EVENT_END) {
        w->a->end = e->end;
        if (e->end == TENON_END_ERROR)
            w->status = tenon_fail(w->err, e->status, "run", "%.*s", (int)(e->size < 400 ? e->size : 400),
                                   e->text != NULL ? e->text : "");
        w->done = true;
        pthread_cond_signal(&w->ended);
    }
    int32_t stop = w->status != 0 || interrupted;
    pthread_mutex_unlock(&w->lock);
    return stop;
}

/* Wakes now and then to see Ctrl-C also while no event comes (a long prefill). */
static void wait_end(struct waiter *w, struct cli_session *s, uint64_t id)
{
    bool cancelled = false;
    pthread_mutex_lock(&w->lock);
    while (!w->done) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_nsec += 50000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&w->ended, &w->lock, &t); /* a time-out is as good as a signal */
        if (interrupted && !cancelled && !w->done) {
            cancelled = true;
            pthread_mutex_unlock(&w->lock);
            (void)s->engine->cancel(s->engine->ctx, id); /* may have ended by itself */
            pthread_mutex_lock(&w->lock);
        }
    }
    pthread_mutex_unlock(&w->lock);
}

int32_t cli_ask(const struct cli_run *o, struct cli_session *s, int32_t prompt_kind, struct tenon_str prompt,
                struct cli_answer *a, struct tenon_err *err)
{
    struct waiter w = { .a = a, .err = err };
    struct tenon_str stops[CLI_LIST_MAX];
    struct sigaction act = { .sa_handler = on_interrupt }, old;
    uint64_t id;
    for (uint32_t i = 0; i < o->stop.n; i++)
        stops[i] = (struct tenon_str){ o->stop.items[i], strlen(o->stop.items[i]) };
    struct tenon_request request = {
        .struct_size = sizeof request, .prompt_kind = prompt_kind, .model = s->loaded, .prompt = prompt.data, .prompt_size = prompt.size,
        .sampling = o->sampling, .max_tokens = o->max_tokens, .stop = stops, .n_stop = o->stop.n, .on_event = on_event, .arg = &w,
    };
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.ended, NULL);
    interrupted = 0;
    sigemptyset(&act.sa_mask);
    (void)sigaction(SIGINT, a->deaf ? NULL : &act, &old); /* cannot fail with these arguments */
    int32_t status = s->engine->submit(s->engine->ctx, &request, &id, err);
    if (status == 0) {
        wait_end(&w, s, id);
        status = w.status;
    }
    (void)sigaction(SIGINT, &old, NULL);
    pthread_cond_destroy(&w.ended);
    pthread_mutex_destroy(&w.lock);
    return status;
}

void cli_answer_finish(struct cli_answer *a)
{
    tn_buf_finish(&a->text);
}

void cli_print_stats(const struct cli_answer *a, double load_s)
{
    const struct tenon_event_data *u = &a->usage;
    uint32_t fed = u->prompt_tokens - u->cached_tokens, decoded = u->output_tokens > 0 ? u->output_tokens - 1 : 0;
    fprintf(stderr, "load %.3f s; prompt %u tokens (%u cached), %.1f/s; first token %.3f s; output %u tokens, %.1f/s; seed %llu\n",
            load_s, u->prompt_tokens, u->cached_tokens, u->prefill_s > 0 ? fed / u->prefill_s : 0.0, u->first_token_s,
            u->output_tokens, u->decode_s > 0 ? decoded / u->decode_s : 0.0, (unsigned long long)u->seed);
}

int32_t cli_add_message(struct tn_buf *out, const char *role, struct tenon_str content)
{
    int32_t s = out->len > 1 ? tn_buf_char(out, ',') : 0;
    s = s == 0 ? tn_buf_str(out, "{\"role\":") : s;
    s = s == 0 ? tn_json_text(out, role) : s;
    s = s == 0 ? tn_buf_str(out, ",\"content\":") : s;
    s = s == 0 ? tn_json_string(out, content.data, content.size) : s;
    return s == 0 ? tn_buf_char(out, '}') : s;
}
