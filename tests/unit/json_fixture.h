/* json_fixture.h - the plugin for tokenizer.json with a directory to open, and parts of such files.
 *
 *     tcase_add_checked_fixture(tests, start, stop);
 *
 *     struct tenon_tokenizer_object *tok = open_text("{" WORDS "," SPACES "}");
 *     CHECK_IDS(tok, "a b", 0, 0, 1);
 *     table->close(NULL, tok);
 *     bad("{\"a\":1", TENON_E_INVALID_ARGUMENT, "a comma or the end");
 *
 * What goes wrong here fails the test. One thread.
 */
#ifndef TESTS_JSON_FIXTURE_H
#define TESTS_JSON_FIXTURE_H

#include "directory.h"
#include "tokenizer_fixture.h"

extern struct directory d, d2; /* a file must outlive its tokenizer */

void start(void);
void stop(void);

/* A file of d. */
void file(const char *name, const char *text);
struct tenon_tokenizer_object *open_from(struct directory *from);
struct tenon_tokenizer_object *open_directory(void);              /* d */
struct tenon_tokenizer_object *open_text(const char *text);       /* as tokenizer.json of d */
/* The file is refused, and the message says `part`. */
void bad(const char *text, int32_t status, const char *part);

/* A byte-level tokenizer of all bytes with a few merges; split: its pre_tokenizer's Split, or nothing. OWN: the caller frees it. */
char *byte_file(const char *normalizer, const char *split, const char *added);
struct tenon_tokenizer_object *open_bytes(const char *normalizer, const char *split);

#define WORDS "\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"b\":1,\"u\":2},\"unk_token\":\"u\"}"
#define SPACES "\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}"
#define SPECIALS                                                                                                   \
    "\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true},{\"id\":4,\"content\":\"</s>\",\"special\":true}," \
    "{\"id\":5,\"content\":\"<|im_end|>\",\"special\":true},{\"id\":9,\"content\":\"\\u00e9\"}]"
#define SPLIT(pattern_) "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"invert\":false,\"pattern\":{\"Regex\":\"" pattern_ "\"}},"

#endif
