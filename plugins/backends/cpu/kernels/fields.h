/* fields.h - what a block of each quantised format is made of: elements of 8, 16 or 32 bits that packing keeps whole. */
#ifndef TENON_CPU_FIELDS_H
#define TENON_CPU_FIELDS_H

#include "kernels.h"

/* `count` elements of `width` bytes (1, 2 or 4) from byte `at` of a block on; count 0 ends the list. */
struct cpu_field {
    int at, width, count;
};

#define CPU_FIELDS_MAX 9
extern const struct cpu_field cpu_fields[CPU_FORMATS_ALL][CPU_FIELDS_MAX];

#endif
