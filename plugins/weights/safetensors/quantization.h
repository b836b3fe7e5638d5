/* quantization.h - what config.json's quantization_config says of the tensors that are parts of one weight: between quantization.c, which
 * reads it, and quantized.c, which joins them. */
#ifndef SAFETENSORS_QUANTIZATION_H
#define SAFETENSORS_QUANTIZATION_H

#include "safetensors.h"

#define ST_PARTS_MAX 4u
#define ST_UNKNOWN_MAX 3u
#define ST_NEEDLESS_MAX 4u
#define ST_QUANTIZATION "config.quantization_config."

/* A way of taking weights apart. */
struct st_method {
    const char *parts[ST_PARTS_MAX]; /* suffixes of the planes' tensors, in order; the first gives the weight its shape */
    const char *first_type;          /* encoding of the first part */
    uint32_t scales;                 /* which part is the scales: their type may be in the form's name */
    uint32_t scale_types;            /* that are known: bits of st_scale_types */
    uint32_t rows_times, cols_times; /* the first part's dims [rows, cols], times these over 32, are the weight's */
    bool transposed;                 /* its dims are [cols, rows], those of the scales [groups, rows] */
    uint32_t rows_of_scale;          /* else theirs are [rows / this, rounded up, groups]; 0: one scale for all */
    const char *unknown[ST_UNKNOWN_MAX];   /* suffixes of further parts that would change what the numbers are */
    const char *needless[ST_NEEDLESS_MAX]; /* suffixes of parts that say nothing more */
    uint32_t block_bytes;            /* not 0: the first part is [..., rows, blocks, this], the scales [..., rows, blocks]; cols_times is of a block */
    const char *state;               /* suffix of a part that tells shape and further planes, by nf4.c: what is above is not asked then */
};

/* What a configuration says. */
struct st_choice {
    struct st_method method;
    char form[48]; /* with ? where the scales' type is wanted, and @ where "_part" is when columns are no multiple of 128 */
};

/* Scales' types by their bits in st_method.scale_types. */
#define ST_SCALE_TYPES 4u
extern const char *const st_scale_types[ST_SCALE_TYPES];

/* *ret_joins false: nothing is to be joined. UNIMPLEMENTED, by key and value: a variant of a method that is not known here. */
int32_t st_quantization_choose(const struct tenon_meta *meta, bool *ret_joins, struct st_choice *ret, struct tenon_err *err);

#endif
