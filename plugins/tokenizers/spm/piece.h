/* piece.h - a short piece of text to ids, where each of its characters is a token that joins: nearly all are so.
 *
 *     int32_t ids[SPM_PIECE];
 *     n = spm_piece_ids(&scores, &chars, piece, size, ids);    // 0: merge.h has to do it
 *
 * Pure. [any-thread]
 */
#ifndef SPM_PIECE_H
#define SPM_PIECE_H

#include "../common/chars.h"
#include "scores.h"

#define SPM_PIECE 32u /* characters; of more, scanning all pairs is the slower way */

size_t spm_piece_ids(const struct spm_scores *s, const struct tok_chars *chars, const char *piece, size_t size, int32_t *ids);

#endif
