/* cmd_run.c - `tenon run MODEL [PROMPT]`: one answer, or without a prompt on a terminal a chat (chat.c). The main thread waits,
 * events come from the model's thread. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/str.h"
#include "core/cli/answer.h"
#include "core/cli/chat.h"
#include "core/cli/commands.h"
#include "core/cli/json.h"

static const struct cli_option table[] = {
    { "max-tokens", CLI_U64, offsetof(struct cli_run, max_tokens), "N", "tokens of the answer at most; 0: up to the context (0)", 0, 0 },
    { "temperature", CLI_F32, offsetof(struct cli_run, sampling.temperature), "T", "0: always the most likely token (0.8)", 0, 100 },
    { "top-k", CLI_I32, offsetof(struct cli_run, sampling.top_k), "K", "of the K most likely tokens only (40); 0: off", 0, 1 << 30 },
    { "top-p", CLI_F32, offsetof(struct cli_run, sampling.top_p), "P", "of the fewest tokens that have P in sum (0.95); 1: off", 0, 1 },
    { "min-p", CLI_F32, offsetof(struct cli_run, sampling.min_p), "P", "of tokens with P times the best's probability (0.05); 0: off", 0, 1 },
    { "repeat-penalty", CLI_F32, offsetof(struct cli_run, sampling.repeat_penalty), "R", "makes seen tokens less likely; 1: off", 0, 100 },
    { "presence-penalty", CLI_F32, offsetof(struct cli_run, sampling.presence_penalty), "R", "subtracted from seen tokens; 0: off", -100, 100 },
    { "frequency-penalty", CLI_F32, offsetof(struct cli_run, sampling.frequency_penalty), "R", "subtracted per occurrence; 0: off", -100, 100 },
    { "seed", CLI_TEXT, offsetof(struct cli_run, seed), "S", "for the same answer again (drawn anew)", 0, 0 },
    { "stop", CLI_LIST, offsetof(struct cli_run, stop), "TEXT", "ends the answer; may be given again", 0, 0 },
    { "system", CLI_TEXT, offsetof(struct cli_run, system), "TEXT", "the system message (the template's own)", 0, 0 },
    { "raw", CLI_FLAG, offsetof(struct cli_run, raw), NULL, "the prompt as it is, without the chat template", 0, 0 },
    { "stats", CLI_FLAG, offsetof(struct cli_run, stats), NULL, "tokens and rates on stderr", 0, 0 },
    { "json", CLI_FLAG, offsetof(struct cli_run, common.json), NULL, "one object instead of the text", 0, 0 },
    CLI_COMMON_OPTIONS(struct cli_run),
    { NULL, 0, 0, NULL, NULL, 0, 0 },
};

static struct tenon_str prompt_of(const char *text, uint64_t size)
{
    return (struct tenon_str){ text, size };
}

/* `[{"role":"system",...},{"role":"user",...}]` for one question. */
static int32_t one_message(const struct cli_run *o, struct tenon_str prompt, struct tn_buf *out)
{
    int32_t s = tn_buf_char(out, '[');
    if (o->system != NULL)
        s = s == 0 ? cli_add_message(out, "system", prompt_of(o->system, strlen(o->system))) : s;
    s = s == 0 ? cli_add_message(out, "user", prompt) : s;
    return s == 0 ? tn_buf_char(out, ']') : s;
}

static int32_t print_json(const struct cli_answer *a)
{
    struct tn_buf out = { 0 };
    const struct tenon_event_data *u = &a->usage;
    int32_t s = tn_buf_str(&out, "{\"text\":");
    s = s == 0 ? tn_json_string(&out, a->text.data != NULL ? a->text.data : "", a->text.len) : s;
    s = s == 0 ? tn_buf_printf(&out, ",\"end\":\"%s\",\"prompt_tokens\":%u,\"cached_tokens\":%u,\"output_tokens\":%u,\"first_token_s\":%.6f,"
                                     "\"prefill_s\":%.6f,\"decode_s\":%.6f,\"seed\":%llu}\n",
                               a->end == TENON_END_STOP ? "stop" : a->end == TENON_END_LENGTH ? "length" : "cancelled", u->prompt_tokens,
                               u->cached_tokens, u->output_tokens, u->first_token_s, u->prefill_s, u->decode_s, (unsigned long long)u->seed)
               : s;
    if (s == 0)
        fwrite(out.data, 1, out.len, stdout);
    tn_buf_finish(&out);
    return s;
}

/* So shells start what a script runs in the background. */
static bool is_interrupt_ignored(void)
{
    struct sigaction now;
    return sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* *ret_code: 0, or that of a program that Ctrl-C ended. */
static int32_t one_answer(struct cli_run *o, struct cli_session *s, struct tenon_str prompt, int *ret_code, struct tenon_err *err)
{
    struct tn_buf messages = { 0 };
    struct cli_answer a = { .stream = !o->common.json, .deaf = is_interrupt_ignored() };
    struct tenon_loaded_info info = { .struct_size = sizeof info };
    (void)s->engine->model_info(s->engine->ctx, s->loaded, &info); /* the model is loaded */
    int32_t kind = o->raw || !info.has_template ? TENON_PROMPT_TEXT : TENON_PROMPT_MESSAGES;
    int32_t status = 0;
    if (!o->raw && !info.has_template)
        fprintf(stderr, "tenon: the model has no chat template: the prompt is used as it is\n");
    if (kind == TENON_PROMPT_MESSAGES) {
        if ((status = one_message(o, prompt, &messages)) != 0)
            (void)tenon_fail(err, status, "run", "no memory for the prompt");
        prompt = prompt_of(messages.data, messages.len);
    }
    if (status == 0)
        status = cli_ask(o, s, kind, prompt, &a, err);
    if (status == 0 && o->common.json)
        status = print_json(&a);
    else if (status == 0)
        putchar('\n');
    (void)fflush(stdout); /* before what stderr says; cli_finish_stdout tells */
    if (status == 0 && o->stats)
        cli_print_stats(&a, s->load_s);
    *ret_code = status == 0 && a.end == TENON_END_CANCELLED ? CLI_INTERRUPTED : CLI_OK;
    cli_answer_finish(&a);
    tn_buf_finish(&messages);
    return status;
}

static int32_t run(struct cli_run *o, const struct cli_args *args, struct cli_session *s, int *ret_code, struct tenon_err *err)
{
    char *kept = NULL;
    struct tenon_str prompt = { args->items[1], args->n == 2 ? strlen(args->items[1]) : 0 };
    int32_t status = 0;
    bool chat = args->n == 1 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !o->common.json;
    if (chat)
        cli_chat_locale();
    if (!chat && (args->n == 1 || strcmp(args->items[1], "-") == 0)) {
        status = cli_read_all("-", &kept, &prompt.size, err);
        prompt.data = kept;
        while (status == 0 && !o->raw && prompt.size > 0 && kept[prompt.size - 1] == '\n')
            prompt.size--; /* the line's end is not part of the question */
    }
    if (status == 0 && !chat && prompt.size == 0)
        status = tenon_fail(err, TENON_E_INVALID_ARGUMENT, "prompt", "is empty: give one as an argument or on stdin");
    if (status == 0)
        status = cli_session_open(s, &o->common, args->items[0], err);
    if (status == 0)
        status = chat ? cli_chat(o, s, err) : one_answer(o, s, prompt, ret_code, err);
    free(kept);
    return status;
}

int tn_cmd_run(int argc, char **argv)
{
    struct cli_run o = { .sampling = { .struct_size = sizeof o.sampling, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f,
                                       .min_p = 0.05f } };
    struct cli_session s = { 0 };
    struct cli_args args;
    struct tenon_err err = TENON_ERR_INIT;
    int32_t status = cli_parse(table, &o, argc, argv, &args, &err);
    if (status == 0 && o.seed != NULL) {
        o.sampling.has_seed = 1;
        if (!tn_str_u64(o.seed, &o.sampling.seed))
            status = tenon_fail(&err, TENON_E_INVALID_ARGUMENT, "--seed", "'%s' is not a whole number from 0 to 2^64-1", o.seed);
    }
    if (status != 0)
        return cli_misused(&err);
    if (args.help || args.n < 1 || args.n > 2) {
        fprintf(args.help ? stdout : stderr, "usage: tenon run MODEL [PROMPT] [options]\n\n"
                                             "One answer; - or no PROMPT: from stdin; no PROMPT on a terminal: a chat.\n\n");
        if (args.help)
            cli_print_options(table);
        return args.help ? CLI_OK : CLI_USAGE;
    }
    int code = CLI_OK;
    status = run(&o, &args, &s, &code, &err);
    cli_session_close(&s);
    if (status != 0)
        return cli_failed(&err);
    status = cli_finish_stdout();
    return status != CLI_OK ? status : code;
}
