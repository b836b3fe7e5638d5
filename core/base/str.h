/* str.h - NUL-ended strings: tests, formatting, lists of words and numbers.
 *
 *     struct tn_strlist words = {0};
 *     if (tn_strlist_split(&words, "weights:gguf, model:llama", " ,") != TENON_OK) return out_of_memory;
 *     for (uint32_t i = 0; i < words.n; i++) use(words.items[i]);
 *     tn_strlist_finish(&words);
 *
 * Text of users is struct tenon_str; growing byte buffers are in buf.h. [any-thread]
 */
#ifndef TN_BASE_STR_H
#define TN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/plugin.h>

bool tn_str_starts(const char *text, const char *prefix);
bool tn_str_ends(const char *text, const char *suffix);

/* Bytes of the character that text [n > 0] begins with, or 0: none that may be shown, for its first byte is no UTF-8's or a terminal may
 * obey it (control characters, those that turn the direction of writing). */
size_t tn_str_shown(const char *text, size_t n);
/* ? in place of each byte of text [n] that is of no such character. */
void tn_str_clean(char *text, size_t n);

/* OWN: caller frees. NULL: out of memory. */
char *tn_str_printf(const char *fmt, ...) TENON_PRINTF(1, 2);

/* The whole of `text` as a decimal number; false when it is anything else or does not fit. */
bool tn_str_u64(const char *text, uint64_t *ret);

/* yes/on/true/1 and no/off/false/0; false for anything else. */
bool tn_str_bool(const char *text, bool *ret);

/* All zero is an empty list. */
struct tn_strlist {
    char **items; /* [n] OWN: list */
    uint32_t n;
    uint32_t capacity;
};

/* TENON_OK or TENON_E_RESOURCE_EXHAUSTED, then the list is as it was. */
int32_t tn_strlist_add(struct tn_strlist *list, const char *text);
/* The same for text of a length. */
int32_t tn_strlist_addn(struct tn_strlist *list, const char *text, size_t size);
/* Add every word of `text`, words being separated by any of `separators`. */
int32_t tn_strlist_split(struct tn_strlist *list, const char *text, const char *separators);
bool tn_strlist_has(const struct tn_strlist *list, const char *text);
void tn_strlist_sort(struct tn_strlist *list); /* by bytes */
void tn_strlist_finish(struct tn_strlist *list);

#endif
