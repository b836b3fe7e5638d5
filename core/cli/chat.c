/* chat.c - a chat on a terminal: libedit reads lines, each answer streams. The messages so far are one JSON array; the engine
 * finds by itself how much of the conversation is still in its cache. One thread. */
#include "core/cli/chat.h"

#include <stdlib.h>

#include <editline/readline.h>

static int32_t reset(const struct cli_run *o, struct tn_buf *messages)
{
    messages->len = 0;
    int32_t status = tn_buf_char(messages, '[');
    if (status == 0 && o->system != NULL)
        status = cli_add_message(messages, "system", (struct tenon_str){ o->system, strlen(o->system) });
    return status;
}

/* One question and its answer, both kept in the messages; a question whose answer failed is taken out again. */
static int32_t turn(const struct cli_run *o, struct cli_session *s, struct tn_buf *messages, const char *line, struct cli_answer *last,
                    struct tenon_err *err)
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
        status = cli_add_message(messages, "assistant", (struct tenon_str){ last->text.data != NULL ? last->text.data : "", last->text.len });
    putchar('\n');
    return status;
}

static void command(const struct cli_run *o, struct cli_session *s, struct tn_buf *messages, const char *line, const struct cli_answer *last)
{
    if (strcmp(line, "/reset") == 0)
        (void)reset(o, messages); /* shrinking and one byte: no memory is needed */
    else if (strcmp(line, "/stats") == 0)
        cli_print_stats(last, s->load_s);
    else
        fprintf(stderr, "/help   this\n/reset  forget the conversation\n/stats  tokens and rates of the last answer\n/bye    leave (or Ctrl-D)\n"
                        "Ctrl-C stops an answer.\n");
}

int32_t cli_chat(const struct cli_run *o, struct cli_session *s, struct tenon_err *err)
{
    struct tn_buf messages = { 0 };
    struct cli_answer last = { 0 };
    char *line;
    int32_t status = reset(o, &messages);
    fprintf(stderr, "/help tells what can be said besides questions.\n");
    while (status == 0 && (line = readline("> ")) != NULL) {
        bool leave = strcmp(line, "/bye") == 0;
        if (line[0] == '/' && !leave)
            command(o, s, &messages, line, &last);
        else if (line[0] != '\0' && !leave) {
            add_history(line);
            if (turn(o, s, &messages, line, &last, err) != 0)
                (void)cli_failed(err); /* the chat goes on */
        }
        free(line);
        if (leave)
            break;
    }
    cli_answer_finish(&last);
    tn_buf_finish(&messages);
    return status;
}
