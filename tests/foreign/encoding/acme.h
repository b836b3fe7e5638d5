/* acme.h - what the files of this plugin share. */
#ifndef ACME_H
#define ACME_H

#include <tenon/encoding.h>
#include <tenon/quantizer.h>
#include <tenon/weights.h>

extern const struct tenon_encoding acme_trits;
extern const struct tenon_weights acme_container;

#endif
