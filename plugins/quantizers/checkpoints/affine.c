/* affine.c - what GPTQ, AWQ, compressed-tensors and mlc weights become: blocks of whole numbers along a row, each with a scale
 * and a whole zero point, x = scale * q - scale * zero; and the forms of those, which differ in how numbers lie in words. Beside
 * that, for groups that are no runs, a scale for every number of 4 bits; of 8 bits, where that is as long, the product as f32,
 * which is exact.
 *
 * A block begins with a dword: the upper 23 bits of a float32, the scale (a half and a bfloat16 have no more), and below them the
 * zero point, 9 bits with sign. Then the numbers: of 4 bits, 16 bytes for each 32 columns, the lower halves columns 0 to 15; of 8
 * bits signed bytes. Groups of the file that are larger than a block have their scale in each of theirs.
 * [any-thread] Contract: tenon/encoding.h, tenon/quantizer.h. */
#include "checkpoints.h"

#include <string.h>

#define HEAD 32 /* bits */
#define ZERO_BITS 9
#define SCALE_MASK 0xfffffe00u

/* ---- encodings */

/* D: the scale, M: what it and the zero point add */
#define BLOCK_HEAD                                                                                       \
    CONST(U, 0), BITS(H, U, 0, ZERO_BITS), SEXT(H, H, ZERO_BITS), CONST(T, MINUS(1)), MUL(H, H, T), I2F(H, H), \
    BITS(D, U, 0, 32), CONST(T, SCALE_MASK), AND(D, D, T), FMUL(M, D, H)

static const struct tenon_insn int4_b32[] = {BLOCK_HEAD, NIBBLE_OF_32, BITS(Q, AT, HEAD, 4), TIMES_D_PLUS_M};
static const struct tenon_insn int4_b128[] = {BLOCK_HEAD, NIBBLE_OF_128, BITS(Q, AT, HEAD, 4), TIMES_D_PLUS_M};
static const struct tenon_insn int8_b32[] = {BLOCK_HEAD, UPPER(AT, 0, 3), BITS(Q, AT, HEAD, 8), SEXT(Q, Q, 8), TIMES_D_PLUS_M};

#define BLOCKS(name_, id_, cols_, bits_, digest_)                                                     \
    static const struct tenon_plane name_##_planes[] = {PLANE("blocks", HEAD / 8 + (cols_) * (bits_) / 8, 4)}; \
    CHECKPOINT_ENCODING(affine_##name_, id_, cols_, digest_, name_##_planes, name_, .flags = 0)
BLOCKS(int4_b32, "affine.int4_b32/1", 32, 4, "bf44111101a7cb8406d8106a3e10402e684190def3c6890fb31606300f74122e");
BLOCKS(int4_b128, "affine.int4_b128/1", 128, 4, "d316d25415b7574a75518b23bf8fd873fc37780e32823601ce5bc69f1476dd33");
BLOCKS(int8_b32, "affine.int8_b32/1", 32, 8, "e89830df165810d8a5975b1bb69d721b2e60e6f64a3da754191d812b435c1f46");

/* i8 q; f16 or bf16 d for each: x = d * q */
static const struct tenon_plane scaled_planes[] = {PLANE("quants", 1, 1), PLANE("scales", 2, 2)};
#define SCALED(format_) {CONST(U, 0), PLANE_BITS(0, Q, U, 0, 8), SEXT(Q, Q, 8), PLANE_FLOAT(1, D, U, 0, format_), TIMES_D}
static const struct tenon_insn scaled_program[] = SCALED(TENON_F_F16);
static const struct tenon_insn scaled_bf16_program[] = SCALED(TENON_F_BF16);
CHECKPOINT_ENCODING(scaled_int8, "scaled.int8/1", 1, "245c437448e205fd1115c91818a725bc71a45a7f32e7f5ad48d25b68cec88498",
                    scaled_planes, scaled_program, .flags = 0);
CHECKPOINT_ENCODING(scaled_int8_bf16, "scaled.int8_bf16/1", 1, "13a46bcf901fea59f5a978399117e20a86b6d85a05d4195a41cc437322b01382",
                    scaled_planes, scaled_bf16_program, .flags = 0);

/* What is expanded, by the digest of f32/1, so what knows that knows it. */
static const struct tenon_plane expanded_planes[] = {PLANE("values", 4, 4)};
static const struct tenon_insn expanded_program[] = {PLANE_FLOAT(0, X, I, 0, TENON_F_F32)};
CHECKPOINT_ENCODING(expanded_f32, "expanded.f32/1", 1, "ba6c75aa8bab48687ff4d404c9dc029580bb71982482b781adfeb5db7ba82111",
                    expanded_planes, expanded_program, .flags = 0);

/* ---- forms */

#define TILE_ROWS 16u  /* taken together: a line of cache of words that lie along the other dim */
#define TILE_COLS 128u /* of the largest block */

/* Four-bit number n of eight in AWQ's order. */
static uint32_t awq_place(uint64_t n)
{
    static const uint8_t place[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return place[n % 8];
}

static uint32_t mask_of(const struct affine_form *f)
{
    return (1u << f->bits) - 1;
}

static uint32_t zero_of(const struct affine_weight *w, uint64_t row, uint64_t group)
{
    const struct affine_form *f = w->form;
    const uint64_t per = 32 / f->bits;
    switch (f->zeros) {
    case AFFINE_ALONG: /* what they lack was taken off the word as one number: a zero point of 0 has borrowed from the next */
        return (get32(w->planes[f->zeros_plane], group * (w->rows / per) + row / per) + UINT32_MAX / mask_of(f) * f->zero) >>
                   f->bits * (row % per) & mask_of(f);
    case AFFINE_AWQ: return get32(w->planes[f->zeros_plane], group * (w->rows / 8) + row / 8) >> 4 * awq_place(row) & 15u;
    case AFFINE_DOWN: return get32(w->planes[f->zeros_plane], row / per * w->groups + group) >> f->bits * (row % per) & mask_of(f);
    default: return f->zero;
    }
}

/* The word that has column col, and what is behind it to a multiple, of a row. */
static uint32_t word_at(const struct affine_weight *w, uint64_t row, uint64_t col)
{
    const uint64_t per = 32 / w->form->bits;
    return get32(w->planes[0], w->form->quants == AFFINE_DOWN ? col / per * w->rows + row : row * (w->cols / per) + col / per);
}

/* n rows of `cols` numbers as blocks have them: 0 to 15, or signed bytes. */
static void read_tile(const struct affine_weight *w, uint64_t row, uint64_t n, uint64_t col, uint32_t cols,
                      uint8_t q[TILE_ROWS][TILE_COLS])
{
    const struct affine_form *f = w->form;
    const uint32_t per = 32 / f->bits, above = f->bits == 8 ? 128 : 0;
    if (f->quants == AFFINE_BYTES) {
        for (uint64_t r = 0; r < n; r++)
            memcpy(q[r], (const uint8_t *)w->planes[0] + (row + r) * w->cols + col, cols);
    } else if (f->quants == AFFINE_AWQ) {
        for (uint32_t c = 0; c < cols; c++)
            for (uint64_t r = 0; r < n; r++)
                q[r][c] = get32(w->planes[0], (col + c) * (w->rows / 8) + (row + r) / 8) >> 4 * awq_place(row + r) & 15u;
    } else {
        for (uint32_t c = 0; c < cols; c += per)
            for (uint64_t r = 0; r < n; r++) {
                uint32_t word = word_at(w, row + r, col + c);
                for (uint32_t i = 0; i < per; i++)
                    q[r][c + i] = (uint8_t)((word >> f->bits * i & mask_of(f)) ^ above);
            }
    }
}

/* Which of the scales. */
static uint64_t scale_at(const struct affine_weight *w, uint64_t row, uint64_t group)
{
    const enum affine_layout quants = w->form->quants;
    return quants == AFFINE_ROWS_OF_WORDS || quants == AFFINE_BYTES ? row * w->groups + group : group * w->rows + row;
}

static void write_block(const struct affine_weight *w, uint64_t row, uint64_t col, uint32_t cols, const uint8_t *q,
                        uint8_t *block)
{
    const struct affine_form *f = w->form;
    const uint64_t group = f->group != 0 ? col / f->group : 0;
    const uint32_t zero = zero_of(w, row, group) - (f->bits == 8 && f->quants != AFFINE_BYTES ? 128u : 0u);
    put32(block, 0, (get_float(w->planes[f->scales_plane], scale_at(w, row, group), f->scales) & SCALE_MASK) | (zero & ~SCALE_MASK));
    block += HEAD / 8;
    if (f->bits == 8) {
        memcpy(block, q, cols);
        return;
    }
    for (uint32_t c = 0; c < cols; c += 32, block += 16)
        for (uint32_t i = 0; i < 16; i++)
            block[i] = (uint8_t)(q[c + i] | q[c + 16 + i] << 4);
}

int32_t cp_affine_unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                         uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const struct affine_weight w = affine_weight_of(s, planes, rows, cols);
    const uint64_t block = s->encoding->planes[0].tile_bytes;
    const uint32_t width = s->encoding->tile_cols;
    uint8_t q[TILE_ROWS][TILE_COLS];
    (void)err;
    for (uint64_t row = first; row < first + n; row += TILE_ROWS)
        for (uint64_t b = 0; b < cols / width; b++) {
            const uint64_t height = first + n - row < TILE_ROWS ? first + n - row : TILE_ROWS;
            read_tile(&w, row, height, b * width, width, q);
            for (uint64_t r = 0; r < height; r++)
                write_block(&w, row + r, b * width, width, q[r], (uint8_t *)tiles[0] + ((row + r) * (cols / width) + b) * block);
        }
    return TENON_OK;
}

int32_t cp_affine_check_groups(const struct tenon_stored *s, const struct affine_weight *w, bool sorted, struct tenon_err *err)
{
    for (uint64_t k = 0; k < w->cols; k++) {
        uint32_t g = get32(w->planes[w->form->groups_plane], k), group = w->form->group;
        if (g >= w->groups || (!sorted && g != (group != 0 ? k / group : 0)))
            return tenon_fail(err, TENON_E_INVALID_ARGUMENT, s->id, "g_idx[%llu] is %u: %s", (unsigned long long)k, (unsigned)g,
                              g >= w->groups ? "there are fewer groups" : "the columns are sorted, but config.json has no desc_act");
    }
    return TENON_OK;
}

/* Put number k of row i, less its zero point (-255 to 255), at place i * cols + k of the tiles; `scale` is the place of its
 * scale. */
typedef void put_fn(const struct affine_weight *w, uint64_t at, int32_t number, uint64_t scale, void *const *tiles);

/* Rows whose columns are in groups as g_idx says. */
static inline int32_t put_sorted(const struct tenon_stored *s, const struct affine_weight *w, uint64_t first, uint64_t n,
                                 put_fn *put_one, void *const *tiles, struct tenon_err *err)
{
    const uint32_t bits = w->form->bits;
    int32_t rc = cp_affine_check_groups(s, w, true, err);
    for (uint64_t i = first; rc == TENON_OK && i < first + n; i++)
        for (uint64_t k = 0; k < w->cols; k++) {
            const uint64_t g = get32(w->planes[w->form->groups_plane], k);
            const uint32_t number = word_at(w, i, k) >> bits * (k % (32 / bits)) & mask_of(w->form);
            put_one(w, i * w->cols + k, (int32_t)number - (int32_t)zero_of(w, i, g), scale_at(w, i, g), tiles);
        }
    return rc;
}

static void put_unpacked(const struct affine_weight *w, uint64_t at, int32_t number, uint64_t scale, void *const *tiles)
{
    ((uint8_t *)tiles[0])[at] = (uint8_t)number;
    memcpy((uint8_t *)tiles[1] + 2 * at, (const uint8_t *)w->planes[w->form->scales_plane] + 2 * scale, 2);
}

static void put_expanded(const struct affine_weight *w, uint64_t at, int32_t number, uint64_t scale, void *const *tiles)
{
    uint32_t bits = get_float(w->planes[w->form->scales_plane], scale, w->form->scales);
    float x;
    memcpy(&x, &bits, sizeof x);
    x *= (float)number;
    memcpy(&bits, &x, sizeof bits);
    put32(tiles[0], at, bits);
}

int32_t cp_affine_unpack_sorted(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols,
                                uint64_t first, uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const struct affine_weight w = affine_weight_of(s, planes, rows, cols);
    return put_sorted(s, &w, first, n, put_unpacked, tiles, err);
}

int32_t cp_affine_expand_sorted(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols,
                                uint64_t first, uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const struct affine_weight w = affine_weight_of(s, planes, rows, cols);
    return put_sorted(s, &w, first, n, put_expanded, tiles, err);
}

uint64_t cp_affine_plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols)
{
    const struct affine_form *f = s->info;
    const uint64_t group = f->group != 0 ? f->group : cols, per = 32 / f->bits;
    const bool by_rows = f->quants == AFFINE_AWQ || f->zeros == AFFINE_ALONG; /* words that hold several rows */
    if (cols == 0 || cols % group != 0 || cols % s->encoding->tile_cols != 0 || cols % per != 0 || (by_rows && rows % per != 0))
        return UINT64_MAX;
    if (plane == 0)
        return bytes_of(rows, cols, 8 / f->bits);
    if (plane == f->scales_plane)
        return bytes_of(rows, cols / group * 2, 1);
    if (f->zeros != AFFINE_NONE && plane == f->zeros_plane)
        return f->zeros == AFFINE_DOWN ? bytes_of(rows / per + (rows % per != 0), cols / group * 4, 1)
                                       : bytes_of(rows / per, cols / group * 4, 1);
    return bytes_of(cols, 4, 1); /* g_idx */
}
