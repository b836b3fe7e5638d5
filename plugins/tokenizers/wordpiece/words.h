/* words.h - text to words as BERT's basic tokenizer makes them: control characters away, CJK characters on their own, accents
 * stripped, lower case, cut at white space and at punctuation.
 *
 *     struct wp_words w = {0};
 *     status = wp_words_run(&w, text, size, take, arg);     // take(arg, word, size) per word
 *     wp_words_finish(&w);
 *
 * Bytes that are not UTF-8 are left out, as U+FFFD is. One thread at a time.
 */
#ifndef WP_WORDS_H
#define WP_WORDS_H

#include <stddef.h>
#include <stdint.h>

struct wp_words {
    char *word;      /* [capacity] the word being gathered */
    size_t capacity;
};

/* Takes the next word, size > 0; other than 0 ends the run, which returns it. */
typedef int32_t wp_word_fn(void *arg, const char *word, size_t size);

/* RESOURCE_EXHAUSTED, or what `take` returned. */
int32_t wp_words_run(struct wp_words *w, const char *text, size_t size, wp_word_fn *take, void *arg);

void wp_words_finish(struct wp_words *w); /* zeroed is fine, and usable again */

#endif
