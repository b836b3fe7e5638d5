/* engine_fixture.c - see engine_fixture.h. */
#include "engine_fixture.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/tenon-engine-XXXXXX";
static char plugins[128];
char path[128], path_extra[128], path_broken[128];

/* ---- a client -------------------------------------------------------------------------------------------------------- */

int32_t on_event(void *arg, const struct tenon_event_data *e)
{
    struct client *c = arg;
    int32_t stop = 0;
    pthread_mutex_lock(&c->lock);
    c->after_end += c->n_end > 0;
    if (e->type == TENON_EVENT_TOKEN) {
        c->tokens[c->n_tokens++] = e->token;
        stop = c->n_tokens == c->cancel_at;
    } else if (e->type == TENON_EVENT_TEXT) {
        if (tn_buf_append(&c->text, e->text, e->size) != 0)
            abort(); /* Check's asserts are for the test thread alone */
    } else if (e->type == TENON_EVENT_USAGE) {
        c->usage = *e;
        c->n_usage++;
    } else if (e->type == TENON_EVENT_END) {
        c->end = *e;
        c->n_end++;
        (void)snprintf(c->message, sizeof c->message, "%.*s", (int)e->size, e->size > 0 ? e->text : "");
        pthread_cond_signal(&c->ended_cond);
    }
    pthread_mutex_unlock(&c->lock);
    return stop;
}

void client_init(struct client *c)
{
    memset(c, 0, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->ended_cond, NULL);
    tn_buf_init(&c->text, 0);
}

void client_wait(struct client *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->n_end == 0)
        pthread_cond_wait(&c->ended_cond, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

void client_finish(struct client *c)
{
    ck_assert_uint_eq(c->n_usage, 1);
    ck_assert_uint_eq(c->n_end, 1);
    ck_assert_uint_eq(c->after_end, 0);
    tn_buf_finish(&c->text);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->ended_cond);
}

/* ---- fixture ------------------------------------------------------------------------------------------------------------ */

static struct tn_registry *reg;
static struct tn_engine *engine;
const struct tenon_engine *e;
struct tenon_loaded *model;

void open_registry(uint32_t what)
{
    struct tenon_err err = TENON_ERR_INIT;
    memset(&fake, 0, sizeof fake);
    ck_assert_msg(tn_registry_create(&reg, &err) == 0, "%s", err.message);
    fake_register(reg, what);
    ck_assert_int_eq(tn_engine_create(reg, &engine, &err), 0);
    e = tn_engine_table(engine);
}

int32_t load(const char *file, uint32_t context, uint32_t sequences, uint32_t chunk, struct tenon_err *err)
{
    struct tenon_load_args args = { .struct_size = sizeof args, .path = file, .context = context, .max_sequences = sequences,
                                    .max_tokens_per_step = chunk };
    return e->load(e->ctx, &args, &model, err);
}

void open_engine(uint32_t context, uint32_t sequences, uint32_t chunk)
{
    struct tenon_err err = TENON_ERR_INIT;
    open_registry(FAKE_ALL);
    ck_assert_msg(load(path, context, sequences, chunk, &err) == 0, "%s: %s", err.where, err.message);
}

void close_engine(void)
{
    tn_engine_destroy(engine);
    tn_registry_destroy(reg);
    ck_assert_int_eq(atomic_load(&fake.buffers), 0);
}

uint64_t submit(struct client *c, const char *prompt, uint64_t max_tokens, const char *stop)
{
    struct tenon_str stops = { stop, stop != NULL ? strlen(stop) : 0 };
    struct tenon_request r = { .struct_size = sizeof r, .prompt_kind = TENON_PROMPT_TEXT, .model = model, .prompt = prompt,
                               .prompt_size = strlen(prompt), .max_tokens = max_tokens, .stop = &stops, .n_stop = stop != NULL,
                               .on_event = on_event, .arg = c };
    struct tenon_err err = TENON_ERR_INIT;
    uint64_t id = 0;
    client_init(c);
    ck_assert_msg(e->submit(e->ctx, &r, &id, &err) == 0, "%s", err.message);
    return id;
}

uint32_t expect(const char *prompt, uint32_t max_tokens, int32_t *ret)
{
    int32_t all[4096] = { FAKE_BOS };
    uint32_t n = 1, made = 0;
    for (const char *p = prompt; *p != '\0'; p++)
        all[n++] = (unsigned char)*p;
    while (made < max_tokens) {
        all[n] = ret[made] = fake_next(all, n);
        n++;
        if (ret[made++] == FAKE_END)
            break;
    }
    return made;
}

void check_answer(struct client *c, const char *prompt, uint32_t max_tokens)
{
    int32_t want[2048];
    uint32_t n = expect(prompt, max_tokens, want), letters = want[n - 1] == FAKE_END ? n - 1 : n;
    client_wait(c);
    ck_assert_uint_eq(c->n_tokens, n);
    ck_assert_mem_eq(c->tokens, want, n * sizeof *want);
    ck_assert_uint_eq(c->text.len, letters);
    for (uint32_t i = 0; i < letters; i++)
        ck_assert_int_eq(c->text.data[i], want[i]);
    ck_assert_int_eq(c->end.end, letters < n ? TENON_END_STOP : TENON_END_LENGTH);
    ck_assert_uint_eq(c->usage.output_tokens, n);
    ck_assert_uint_eq(c->usage.prompt_tokens, strlen(prompt) + 1);
    client_finish(c);
}

const char long_prompt[LONG_PROMPT_SIZE] =
    "a prompt that is longer than a chunk, and than a page, so that it takes several steps to be read";

/* ---- files ------------------------------------------------------------------------------------------------------------- */

void set_up_files(void)
{
    if (mkdtemp(folder) == NULL)
        abort();
    (void)snprintf(path, sizeof path, "%s/model.fake", folder);
    (void)snprintf(path_extra, sizeof path_extra, "%s/extra.fake", folder);
    (void)snprintf(path_broken, sizeof path_broken, "%s/broken.fake", folder);
    (void)snprintf(plugins, sizeof plugins, "%s/none", folder);
    fake_write_model(path, NULL);
    fake_write_model(path_extra, "odd.weight");
    fake_write_broken_model(path_broken);
    setenv("TENON_PLUGIN_PATH", plugins, 1); /* only the plugins linked in here */
}

void remove_files(void)
{
    unlink(path);
    unlink(path_extra);
    unlink(path_broken);
    rmdir(folder);
}
