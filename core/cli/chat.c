/* chat.c - a chat on a terminal: libedit reads lines, each answer streams. The messages so far are one JSON array; the engine
 * finds by itself how much of the conversation is still in its cache. One thread. */
#include "core/cli/chat.h"

#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <editline/readline.h>

void cli_chat_locale(void)
{
    if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8"); /* where there is none, ASCII is what can be typed */
}

/* At the prompt Ctrl-C is a key that clears the line: one that comes a moment after an answer's end must not end the chat. */
static char *read_line(void)
{
    struct termios t;
    bool known = tcgetattr(STDIN_FILENO, &t) == 0;
    cc_t interrupt = known ? t.c_cc[VINTR] : 0;
    t.c_cc[VINTR] = _POSIX_VDISABLE;
    if (known)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t); /* if not, it ends the chat */
    char *line = readline("> ");
    t.c_cc[VINTR] = interrupt;
    if (known)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
    return line;
}

static int32_t reset(const struct cli_run *o, struct tn_buf *messages)
{
    messages->len = 0;
    int32_t status = tn_buf_char(messages, '[');
    if (status == 0 && o->system != NULL)
        status = cli_add_message(messages, "system", (struct tenon_str){ o->system, strlen(o->system) });
    return status;
}

/* One question and its answer, both kept in the messages; a question whose answer failed is taken out again. */
static int32_t turn(const struct cli_run *o, struct cli_session *s, struct tn_buf *messages, const char *line,
                    struct cli_answer *last, struct tenon_err *err)
{
    size_t before = messages->len;
    int32_t status = cli_add_message(messages, "user", (struct tenon_str){ line, strlen(line) });
    size_t asked = messages->len;
    cli_answer_finish(last);
    *last = (struct cli_answer){ .stream = true };
    if (status == 0 && (status = tn_buf_char(messages, ']')) == 0)
        status = cli_ask(o, s, TENON_PROMPT_MESSAGES, (struct tenon_str){ messages->data, messages->len }, last, err);
    messages->len = status == 0 ? asked : before;
    if (status == 0)
        status = cli_add_message(messages, "assistant",
                                 (struct tenon_str){ last->text.data != NULL ? last->text.data : "", last->text.len });
    putchar('\n');
    return status;
}

static void command(const struct cli_run *o, struct cli_session *s, struct tn_buf *messages, const char *line,
                    const struct cli_answer *last)
{
    if (strcmp(line, "/reset") == 0)
        (void)reset(o, messages); /* shrinking and one byte: no memory is needed */
    else if (strcmp(line, "/stats") == 0)
        cli_print_stats(last, s->load_s);
    else
        fprintf(stderr, "/help   this\n/reset  forget the conversation\n/stats  tokens and rates of the last answer\n/bye    leave (or Ctrl-D)\n"
                        "Ctrl-C stops an answer, or clears the line.\n");
}

static int32_t check_template(const struct cli_run *o, const struct cli_session *s, struct tenon_err *err)
{
    struct tenon_loaded_info info = { .struct_size = sizeof info };
    (void)s->engine->model_info(s->engine->ctx, s->loaded, &info); /* the model is loaded */
    if (!o->raw && info.has_template)
        return 0;
    return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "chat", "%s, which a chat needs: give a PROMPT instead",
                      o->raw ? "--raw leaves out the chat template" : "the model has no chat template");
}

/* Why a question got no answer, or half of one, if that is for want of room. */
static void tell_room(const struct cli_run *o, const struct cli_answer *last, const struct tenon_err *err, int32_t status)
{
    bool cut = status == 0 && last->end == TENON_END_LENGTH && (o->max_tokens == 0 || last->usage.output_tokens < o->max_tokens);
    bool refused = status == TENON_E_INVALID_ARGUMENT && strcmp(err->where, "prompt") == 0;
    if (cut || refused)
        fprintf(stderr, "The context is full: /reset forgets the conversation and makes room.\n");
}

int32_t cli_chat(const struct cli_run *o, struct cli_session *s, struct tenon_err *err)
{
    struct tn_buf messages = { 0 };
    struct cli_answer last = { 0 };
    struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
    char *line;
    int32_t status = check_template(o, s, err);
    if (status == 0)
        status = reset(o, &messages);
    if (status == 0) {
        fprintf(stderr, "/help tells what can be said besides questions.\n");
        rl_initialize();
        rl_parse_and_bind("bind ^C em-kill-line");
    }
    sigemptyset(&ignore.sa_mask);
    (void)sigaction(SIGINT, &ignore, &old); /* an answer heeds it; between answer and prompt it would end the chat */
    while (status == 0 && (line = read_line()) != NULL) {
        bool leave = strcmp(line, "/bye") == 0;
        if (line[0] == '/' && !leave)
            command(o, s, &messages, line, &last);
        else if (line[0] != '\0' && !leave) {
            add_history(line);
            int32_t answered = turn(o, s, &messages, line, &last, err);
            if (answered != 0)
                (void)cli_failed(err); /* the chat goes on */
            tell_room(o, &last, err, answered);
        }
        free(line);
        if (leave)
            break;
    }
    (void)sigaction(SIGINT, &old, NULL);
    cli_answer_finish(&last);
    tn_buf_finish(&messages);
    return status;
}
