/* match.h - a word to tokens: the longest at its start, then the longest that continues it, and so on; a word that cannot be
 * covered so is unknown whole.
 *
 *     struct wp_match m;
 *     wp_match_init(&m, &vocab, 100);
 *     m.start = (struct tenon_str){"\xe2\x96\x81", 3};         // or m.next = "##": how the two kinds are spelled
 *     status = wp_match_word(&m, work, word, size, &ids, &n);   // ids [n] live in the work
 *
 * Constant once set up, so [any-thread]; a work is one thread's.
 */
#ifndef WP_MATCH_H
#define WP_MATCH_H

#include "../common/vocab.h"
#include "../common/work.h"

#define WP_MOST_CHARACTERS 1000u /* most that a word may be allowed */
#define WP_MOST_PREFIX 64u            /* bytes */

struct wp_match {
    const struct tok_vocab *vocab;
    struct tenon_str start;   /* stands before what starts a word, [WP_MOST_PREFIX] at most. OWN: the caller */
    struct tenon_str next;    /* before what continues one */
    uint32_t longest;         /* bytes of the longest token */
    uint32_t most_characters; /* of a word: longer ones are unknown */
};

/* most_characters: WP_MOST_CHARACTERS at most. */
void wp_match_init(struct wp_match *m, const struct tok_vocab *vocab, uint32_t most_characters);

/* RESOURCE_EXHAUSTED. An unknown word is vocab->unk, or nothing without one. */
int32_t wp_match_word(const struct wp_match *m, struct tok_work *work, const char *word, size_t size,
                      const int32_t **ret_ids, size_t *ret_n);

#endif
