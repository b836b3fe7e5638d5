/* gguf.h - what the files of this family share: the list of its encodings, and the macro that makes one of a program. */
#ifndef TENON_QUANTIZERS_GGUF_H
#define TENON_QUANTIZERS_GGUF_H

#include "../program.h"

/* Every encoding of a GGUF file that can hold weights: X(name, id). */
#define GGUF_ENCODINGS(X)                                                                                       \
    X(f32, "f32/1") X(f16, "f16/1") X(bf16, "bf16/1")                                                           \
    X(q4_0, "gguf.q4_0/1") X(q4_1, "gguf.q4_1/1") X(q5_0, "gguf.q5_0/1") X(q5_1, "gguf.q5_1/1")                 \
    X(q8_0, "gguf.q8_0/1") X(q1_0, "gguf.q1_0/1") X(q2_0, "gguf.q2_0/1")                                        \
    X(q2_k, "gguf.q2_k/1") X(q3_k, "gguf.q3_k/1") X(q4_k, "gguf.q4_k/1") X(q5_k, "gguf.q5_k/1")                 \
    X(q6_k, "gguf.q6_k/1")                                                                                      \
    X(iq1_s, "gguf.iq1_s/1") X(iq1_m, "gguf.iq1_m/1") X(iq2_xxs, "gguf.iq2_xxs/1") X(iq2_xs, "gguf.iq2_xs/1")   \
    X(iq2_s, "gguf.iq2_s/1") X(iq3_xxs, "gguf.iq3_xxs/1") X(iq3_s, "gguf.iq3_s/1") X(iq4_nl, "gguf.iq4_nl/1")   \
    X(iq4_xs, "gguf.iq4_xs/1")                                                                                  \
    X(tq1_0, "gguf.tq1_0/1") X(tq2_0, "gguf.tq2_0/1") X(mxfp4, "gguf.mxfp4/1") X(nvfp4, "gguf.nvfp4/1")

#define GGUF_DECLARE(name_, id_) extern const struct tenon_encoding gguf_##name_;
GGUF_ENCODINGS(GGUF_DECLARE)
#undef GGUF_DECLARE

struct tenon_stored;
extern const struct tenon_stored gguf_mxfp4_pairs; /* pairs.c */

/* An encoding of a single plane in rows of tiles of `cols_` elements, made of NAME_program; `align_` is that of its widest
 * field. TABLED takes NAME_tables too. */
#define ENCODING_OF(name_, id_, cols_, bytes_, align_, plane_, digest_, ...)                            \
    static const struct tenon_plane name_##_plane = {.struct_size = sizeof(struct tenon_plane),         \
        .tile_bytes = (bytes_), .align = (align_), .name = (plane_)};                                   \
    const struct tenon_encoding gguf_##name_ = {.struct_size = sizeof(struct tenon_encoding),           \
        .id = (id_), .digest = (digest_), .tile_rows = 1, .tile_cols = (cols_), .n_planes = 1,          \
        .planes = &name_##_plane, .program = name_##_program,                                           \
        .n_insns = sizeof name_##_program / sizeof name_##_program[0], .result = X, __VA_ARGS__}
#define ENCODING(name_, id_, cols_, bytes_, align_, digest_) \
    ENCODING_OF(name_, id_, cols_, bytes_, align_, "blocks", digest_, .tables = NULL)
#define TABLED(name_, id_, cols_, bytes_, align_, digest_)        \
    ENCODING_OF(name_, id_, cols_, bytes_, align_, "blocks", digest_,           \
                .tables = name_##_tables, .n_tables = sizeof name_##_tables / sizeof name_##_tables[0])

#endif
