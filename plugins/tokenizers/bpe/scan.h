/* scan.h - hand-made scanners for the splits most models have: the same cuts as their patterns, at many times the speed.
 *
 *     const struct bpe_scan *scan = bpe_scan_find(pre->steps);    // NULL: no scanner, PCRE2 is needed
 *     bpe_scan_next(scan, &classes, &matcher, text, size, ends);  // the ends of the first pieces
 *
 * [any-thread] with a matcher of one's own.
 */
#ifndef BPE_SCAN_H
#define BPE_SCAN_H

#include "classes.h"

#define BPE_SCAN_PIECES 64u /* most pieces at once */

struct bpe_scan;

/* The scanner that stands for these patterns (NULL-ended, each applied to all parts that those before it left). */
const struct bpe_scan *bpe_scan_find(const char *const *steps);

/* Cut up the start of a text, size > 0: ends [BPE_SCAN_PIECES] of its first pieces, counted from its start; returns how
 * many. With less than BPE_SCAN_PIECES the text has no more. It is valid UTF-8, and the whole of it is seen at once: what
 * lies beyond decides nothing. size < 2^32. */
size_t bpe_scan_next(const struct bpe_scan *scan, const struct bpe_classes *classes, struct bpe_matcher *m, const char *text,
                     size_t size, uint32_t *ends);

#endif
