/* characters.h - what BERT's tokenizer, and others after it, ask of a character.
 *
 *     if (wp_is_punctuation(0x2e55)) ...
 *
 * Pure functions. [any-thread]
 */
#ifndef WP_CHARACTERS_H
#define WP_CHARACTERS_H

#include <stdbool.h>
#include <stdint.h>

/* Unicode's White_Space, but for what BERT takes away as a control character (U+001C to U+001F). */
bool wp_is_space(int32_t c);

/* Taken away: control and format characters, private use, surrogates, NUL and U+FFFD. */
bool wp_is_removed(int32_t c);

/* The blocks of ideographs that BERT sets apart; kana and Hangul are not among them. */
bool wp_is_ideograph(int32_t c);

/* All of ASCII that is neither letter nor digit, and Unicode's punctuation. */
bool wp_is_punctuation(int32_t c);

#endif
