/* chat.h - the chat on a terminal. */
#ifndef TN_CLI_CHAT_H
#define TN_CLI_CHAT_H

#include "core/cli/answer.h"

/* Until end of input. /help /reset /stats /bye. Ctrl-C stops an answer, not the program. */
int32_t cli_chat(const struct cli_run *o, struct cli_session *s, struct tenon_err *err);

#endif
