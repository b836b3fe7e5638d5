/* encoding_text.h - decode programs as text, for people and for tests: printed, and parsed back.
 *
 *     char line[TENON_INSN_TEXT];
 *     tenon_insn_print(&e->program[0], line);           "r4 = LDBITS p0[r10 + 16] 8"
 *     tenon_insn_parse(line, &insn) == 0                the same instruction again
 *
 * One line an instruction, operands in the order of encoding.h: `rD = CONST imm`, `rD = LDBITS pN[rA + imm] width`,
 * `rD = LDF pN[rA + imm] format`, `rD = SEXT rA width`, `rD = TBL tN[rA]`, `rD = OP rA`, `rD = OP rA rB`, `rD = OP rA rB rC`.
 * Numbers are decimal or 0x hexadecimal; formats are f16, bf16, f32, e4m3, e8m0. All [any-thread].
 */
#ifndef TENON_ENCODING_TEXT_H
#define TENON_ENCODING_TEXT_H

#include <tenon/encoding.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_INSN_TEXT 64u /* bytes that any instruction's text fits into */

/* Registers an opcode reads after dst: 0 to 3, and beside them what else it has. */
static inline uint32_t tenon_opcode_reads(uint32_t op)
{
    switch (op) {
    case TENON_OP_CONST: return 0;
    case TENON_OP_LDBITS: case TENON_OP_LDF: case TENON_OP_SEXT: case TENON_OP_I2F: case TENON_OP_F16F: case TENON_OP_TBL: return 1;
    case TENON_OP_FMA: case TENON_OP_SEL: return 3;
    default: return 2;
    }
}

/* "ADD"; "?" for a number that is no opcode. OWN: static */
static inline const char *tenon_opcode_name(uint32_t op)
{
    switch (op) {
#define TENON_OPCODE_NAME_(name, value, text) case value: return #name;
    TENON_OPCODE_LIST(TENON_OPCODE_NAME_)
#undef TENON_OPCODE_NAME_
    default: return "?";
    }
}

/* "f16"; "?" for a number that is no format. OWN: static */
static inline const char *tenon_float_name(uint32_t format)
{
    switch (format) {
    case TENON_F_F16: return "f16";
    case TENON_F_BF16: return "bf16";
    case TENON_F_F32: return "f32";
    case TENON_F_E4M3: return "e4m3";
    case TENON_F_E8M0: return "e8m0";
    default: return "?";
    }
}

/* Text of one instruction, NUL-ended, without a newline. */
static inline void tenon_insn_print(const struct tenon_insn *p, char ret_text[TENON_INSN_TEXT])
{
    const char *name = tenon_opcode_name(p->op);
    unsigned dst = p->dst, a = p->a, b = p->b, c = p->c, plane = p->plane, width = p->width, imm = p->imm;
    switch (p->op) {
    case TENON_OP_CONST: (void)snprintf(ret_text, TENON_INSN_TEXT, "r%u = CONST 0x%x", dst, imm); return;
    case TENON_OP_LDBITS: (void)snprintf(ret_text, TENON_INSN_TEXT, "r%u = LDBITS p%u[r%u + %u] %u", dst, plane, a, imm, width); return;
    case TENON_OP_LDF:
        (void)snprintf(ret_text, TENON_INSN_TEXT, "r%u = LDF p%u[r%u + %u] %s", dst, plane, a, imm, tenon_float_name(width));
        return;
    case TENON_OP_SEXT: (void)snprintf(ret_text, TENON_INSN_TEXT, "r%u = SEXT r%u %u", dst, a, width); return;
    case TENON_OP_TBL: (void)snprintf(ret_text, TENON_INSN_TEXT, "r%u = TBL t%u[r%u]", dst, plane, a); return;
    default: break;
    }
    switch (tenon_opcode_reads(p->op)) {
    case 1: (void)snprintf(ret_text, TENON_INSN_TEXT, "r%u = %s r%u", dst, name, a); return;
    case 2: (void)snprintf(ret_text, TENON_INSN_TEXT, "r%u = %s r%u r%u", dst, name, a, b); return;
    default: (void)snprintf(ret_text, TENON_INSN_TEXT, "r%u = %s r%u r%u r%u", dst, name, a, b, c); return;
    }
}

/* A number behind `letter` (0: none) at *at, after spaces; moves *at behind it. Nonzero: there is none, or above `most`. */
static inline int tenon_text_number_(const char **at, char letter, uint32_t most, uint32_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = *at, *d;
    uint64_t v = 0, base = 10;
    uint32_t n = 0;
    while (*p == ' ')
        p++;
    if (letter != 0 && *p++ != letter)
        return -1;
    if (p[0] == '0' && p[1] == 'x')
        base = 16, p += 2;
    for (; *p != 0 && (d = (const char *)memchr(digits, *p, (size_t)base)) != NULL && n < 10; p++, n++)
        v = v * base + (uint64_t)(d - digits);
    if (n == 0 || v > most)
        return -1;
    *at = p;
    *ret = (uint32_t)v;
    return 0;
}

/* The word at *at, after spaces, is it `word`? Then *at is behind it. */
static inline int tenon_text_word_(const char **at, const char *word)
{
    const char *p = *at;
    size_t n = strlen(word);
    while (*p == ' ')
        p++;
    if (strncmp(p, word, n) != 0 || (p[n] >= 'A' && p[n] <= 'Z') || (p[n] >= '0' && p[n] <= '9'))
        return -1;
    *at = p + n;
    return 0;
}

static inline int tenon_text_load_(const char **at, struct tenon_insn *p)
{
    uint32_t plane, a, imm, width = 0;
    if (tenon_text_number_(at, 'p', 255, &plane) != 0 || tenon_text_word_(at, "[") != 0 || tenon_text_number_(at, 'r', 255, &a) != 0 ||
        tenon_text_word_(at, "+") != 0 || tenon_text_number_(at, 0, UINT32_MAX, &imm) != 0 || tenon_text_word_(at, "]") != 0)
        return -1;
    if (p->op == TENON_OP_LDBITS && tenon_text_number_(at, 0, 255, &width) != 0)
        return -1;
    for (uint32_t f = TENON_F_F16; p->op == TENON_OP_LDF && f <= TENON_F_E8M0 && width == 0; f++)
        if (tenon_text_word_(at, tenon_float_name(f)) == 0)
            width = f;
    p->plane = (uint8_t)plane, p->a = (uint8_t)a, p->imm = imm, p->width = (uint8_t)width;
    return width != 0 ? 0 : -1;
}

/* The instruction that a line says, to its end: NUL or newline, spaces before it allowed. INVALID_ARGUMENT when it says none;
 * numbers may still be wrong, which tenon_ref_encoding_verify() tells. */
static inline int32_t tenon_insn_parse(const char *line, struct tenon_insn *ret)
{
    struct tenon_insn p;
    const char *at = line;
    uint32_t dst, op = 0, v = 0, reg[3] = {0, 0, 0}, bad = 0;
    memset(&p, 0, sizeof p);
    if (tenon_text_number_(&at, 'r', 255, &dst) != 0 || tenon_text_word_(&at, "=") != 0)
        return TENON_E_INVALID_ARGUMENT;
    while (op < TENON_OP_COUNT && tenon_text_word_(&at, tenon_opcode_name(op)) != 0)
        op++;
    p.op = (uint8_t)op, p.dst = (uint8_t)dst;
    if (op == TENON_OP_COUNT) {
        return TENON_E_INVALID_ARGUMENT;
    } else if (op == TENON_OP_CONST) {
        bad = tenon_text_number_(&at, 0, UINT32_MAX, &p.imm) != 0;
    } else if (op == TENON_OP_LDBITS || op == TENON_OP_LDF) {
        bad = tenon_text_load_(&at, &p) != 0;
    } else if (op == TENON_OP_TBL) {
        bad = tenon_text_number_(&at, 't', 255, &v) != 0 || tenon_text_word_(&at, "[") != 0 ||
              tenon_text_number_(&at, 'r', 255, reg) != 0 || tenon_text_word_(&at, "]") != 0;
        p.plane = (uint8_t)v, p.a = (uint8_t)reg[0];
    } else {
        for (uint32_t k = 0; k < tenon_opcode_reads(op); k++)
            bad |= (uint32_t)(tenon_text_number_(&at, 'r', 255, &reg[k]) != 0);
        if (op == TENON_OP_SEXT)
            bad |= (uint32_t)(tenon_text_number_(&at, 0, 255, &v) != 0);
        p.a = (uint8_t)reg[0], p.b = (uint8_t)reg[1], p.c = (uint8_t)reg[2], p.width = (uint8_t)v;
    }
    while (*at == ' ')
        at++;
    if (bad != 0 || (*at != 0 && *at != '\n'))
        return TENON_E_INVALID_ARGUMENT;
    *ret = p;
    return TENON_OK;
}

#ifdef __cplusplus
}
#endif
#endif
