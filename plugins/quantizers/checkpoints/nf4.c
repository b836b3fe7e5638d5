/* nf4.c - bitsandbytes' NF4: sixteen levels that cut a normal distribution into equal parts, two numbers a byte, the first in the
 * high bits, and a float that scales 64 of them: weight u8 [N * K / 2], absmax f32 [N * K / 64], x = level[q] * absmax. As it
 * lies in the file. "nested", where absmax itself is quantised ("double quantisation"):
 *
 *     absmax            u8 [N * K / 64]
 *     nested_absmax     f32 [N * K / 64 / 256, rounded up], of 256 of absmax each
 *     nested_quant_map  f32 [256]
 *     nested_offset     32 bytes of the text in quant_state, which end with that number
 *
 * and absmax is nested_quant_map[code] * nested_absmax + nested_offset, each step rounded to f32.
 * Levels: the published ones of NF4 (Dettmers and others, "QLoRA", appendix E). [any-thread] Contract: tenon/encoding.h,
 * tenon/quantizer.h. */
#include "checkpoints.h"

#include <float.h>
#include <string.h>

/* -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
 * -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
 * 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1 by their bits */
static const uint32_t levels[16] = {
    0xbf800000u, 0xbf3239b1u, 0xbf066b30u, 0xbeca32a0u, 0xbe91a24du, 0xbe3d353fu, 0xbdba7871u, 0x00000000u,
    0x3da2faffu, 0x3e24cae3u, 0x3e7c04ddu, 0x3ead033au, 0x3ee1a4b8u, 0x3f1007abu, 0x3f3913b3u, 0x3f800000u};
#define BLOCK 64u
static const struct tenon_table tables[] = {TABLE(4, levels)};
static const struct tenon_plane planes[] = {PLANE("weight", BLOCK / 2, 1), PLANE("absmax", 4, 4)};
/* bit of element i: 4 * (i ^ 1) */
static const struct tenon_insn program[] = {
    XOR_CONST(AT, I, 1), SHL_CONST(AT, AT, 2), PLANE_BITS(0, Q, AT, 0, 4), TBL(Q, 0, Q), CONST(U, 0),
    PLANE_FLOAT(1, D, U, 0, TENON_F_F32), FMUL(X, Q, D)};
CHECKPOINT_ENCODING(bnb_nf4, "bnb.nf4/1", BLOCK, "80f82cd2e692b866b8c98596942da3ac61d088524fa1653b654852d61efe9f60",
                    planes, program, .tables = tables, .n_tables = 1);

/* ---- nested */

enum { WEIGHT, ABSMAX, NESTED_ABSMAX, NESTED_MAP, OFFSET_TEXT };
#define NESTED_BLOCK 256u
#define TEXT_BYTES 32u

static uint64_t plane_bytes(const struct tenon_stored *s, uint32_t plane, uint64_t rows, uint64_t cols)
{
    (void)s;
    if (cols % BLOCK != 0 || bytes_of(rows, cols, 1) == UINT64_MAX)
        return UINT64_MAX;
    const uint64_t blocks = rows * (cols / BLOCK);
    switch (plane) {
    case WEIGHT: return rows * (cols / 2);
    case ABSMAX: return blocks;
    case NESTED_ABSMAX: return 4 * (blocks / NESTED_BLOCK + (blocks % NESTED_BLOCK != 0));
    case NESTED_MAP: return 4 * NESTED_BLOCK;
    default: return TEXT_BYTES;
    }
}

/* The digits from *at on onto *v, how many of them are behind a point onto *behind; false: there are none. */
static bool take_digits(const char *text, uint32_t *at, double *v, int *behind)
{
    bool any = false, point = false;
    for (; *at < TEXT_BYTES && ((text[*at] >= '0' && text[*at] <= '9') || (text[*at] == '.' && !point)); (*at)++) {
        if (text[*at] == '.') {
            point = true;
            continue;
        }
        *v = *v * 10 + (text[*at] - '0');
        *behind += point;
        any = true;
    }
    return any;
}

/* The number that ends the text, as JSON has it; false: there is none. Far more exact than the float it becomes, and by no
 * locale. */
static bool number_at_end(const char *text, float *ret)
{
    uint32_t at = TEXT_BYTES;
    double v = 0, exponent = 0;
    int behind = 0, none = 0;
    while (at > 0 && text[at - 1] != 0 && strchr("+-.0123456789eE", text[at - 1]) != NULL)
        at--;
    const bool negative = at < TEXT_BYTES && text[at] == '-';
    at += negative;
    bool ok = at > 0 && take_digits(text, &at, &v, &behind);
    if (ok && at < TEXT_BYTES && (text[at] == 'e' || text[at] == 'E')) {
        const bool down = at + 1 < TEXT_BYTES && text[at + 1] == '-', up = at + 1 < TEXT_BYTES && text[at + 1] == '+';
        at += 1 + (down || up);
        ok = take_digits(text, &at, &exponent, &none) && none == 0 && exponent < 100;
        behind += !ok ? 0 : down ? (int)exponent : -(int)exponent;
    }
    for (; ok && behind > 0; behind--)
        v /= 10;
    for (; ok && behind < 0; behind++)
        v *= 10;
    *ret = (float)(negative ? -v : v);
    return ok && at == TEXT_BYTES && v < (double)FLT_MAX;
}

static float float_at(const void *p, uint64_t i)
{
    uint32_t bits = get32(p, i);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static int32_t unpack(const struct tenon_stored *s, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                      uint64_t n, void *const *tiles, struct tenon_err *err)
{
    const uint64_t line = cols / BLOCK;
    float offset;
    (void)rows;
    if (!number_at_end(planes[OFFSET_TEXT], &offset))
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, s->id, "nested_offset is no number");
    memcpy((uint8_t *)tiles[0] + first * (cols / 2), (const uint8_t *)planes[WEIGHT] + first * (cols / 2), n * (cols / 2));
    for (uint64_t b = first * line; b < (first + n) * line; b++) {
        float absmax = float_at(planes[NESTED_MAP], ((const uint8_t *)planes[ABSMAX])[b]) *
                       float_at(planes[NESTED_ABSMAX], b / NESTED_BLOCK);
        uint32_t bits;
        absmax += offset;
        memcpy(&bits, &absmax, sizeof bits);
        put32(tiles[1], b, bits);
    }
    return TENON_OK;
}

const struct tenon_stored cp_bnb_nf4_nested = {.struct_size = sizeof(struct tenon_stored), .n_planes = 5, .id = "bnb.nf4_nested/1",
    .encoding = &cp_bnb_nf4, .plane_bytes = plane_bytes, .unpack = unpack};
