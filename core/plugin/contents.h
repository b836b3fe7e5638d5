/* contents.h - what a plugin's tables point to, read once from end to end.
 *
 * The host uses descriptions of encodings as data, and nothing in C tells how long an array is: one that is shorter than its
 * description says would take down whoever reads it. So first contact reads them all in its child (probe.h). [any-thread]
 */
#ifndef TN_PLUGIN_CONTENTS_H
#define TN_PLUGIN_CONTENTS_H

#include "core/plugin/descriptor.h"

/* Every byte that the encodings of d's quantizers say they have, as far as the limits of <tenon/encoding.h> allow; what is beyond
 * those is refused unread, by whoever uses it. */
void tn_contents_read(const struct tn_descriptor *d);

#endif
