/* engine_fixture.h - an engine with the plugins of fake_plugins.h, a model of theirs, and a client that keeps what it is told.
 *
 *     set_up_files();                                  // in main, and remove_files at its end
 *
 *     struct client c;
 *     open_engine(400, 1, 16);                         // context, sequences, tokens of a step
 *     submit(&c, long_prompt, 40, NULL);
 *     check_answer(&c, long_prompt, 40);               // waits for it
 *     close_engine();
 *
 * What goes wrong here fails the test. One thread, but for on_event.
 */
#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

#include <pthread.h>

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "fake_plugins.h"

#define LONG_PROMPT_SIZE 97
extern const char long_prompt[LONG_PROMPT_SIZE];
extern char path[128], path_extra[128], path_broken[128]; /* models: whole, with a tensor too many, without one */
extern const struct tenon_engine *e;                      /* of the open engine */
extern struct tenon_loaded *model;                        /* the last one loaded */

void set_up_files(void);
void remove_files(void);

struct client {
    pthread_mutex_t lock;
    pthread_cond_t ended_cond;
    struct tn_buf text;
    int32_t tokens[2048];
    uint32_t n_tokens;
    struct tenon_event_data usage, end;
    uint32_t n_usage, n_end, after_end;
    uint32_t cancel_at; /* return 1 from the event of this token; 0: never */
    char message[256];
};

int32_t on_event(void *arg, const struct tenon_event_data *data); /* arg: a client */
void client_init(struct client *c);
void client_wait(struct client *c); /* for END */
void client_finish(struct client *c);

void open_registry(uint32_t what); /* FAKE_ALL, or less: an engine without a model */
int32_t load(const char *file, uint32_t context, uint32_t sequences, uint32_t chunk, struct tenon_err *err);
void open_engine(uint32_t context, uint32_t sequences, uint32_t chunk);
void close_engine(void);

/* Makes the client. The id. */
uint64_t submit(struct client *c, const char *prompt, uint64_t max_tokens, const char *stop);
/* What the tokens must be, by definition: BOS and the prompt's bytes, then fake_next of all so far. Returns their number. */
uint32_t expect(const char *prompt, uint32_t max_tokens, int32_t *ret);
/* Waits for the answer to that, and finishes the client. */
void check_answer(struct client *c, const char *prompt, uint32_t max_tokens);

#endif
