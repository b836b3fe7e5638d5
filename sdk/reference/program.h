/* program.h - what the files about decode programs share: questions about single instructions. Private; encoding.c has them. */
#ifndef TENON_REFERENCE_PROGRAM_H
#define TENON_REFERENCE_PROGRAM_H

#include <stdbool.h>

#include <tenon/reference.h>

bool tn_ref_is_load(const struct tenon_insn *p);
/* Registers it reads, one bit each. */
uint32_t tn_ref_reads(const struct tenon_insn *p);
/* Value of an instruction that is no load, from registers r [TENON_PROGRAM_REGS]. */
uint32_t tn_ref_value(const struct tenon_encoding *e, const struct tenon_insn *p, const uint32_t *r);
/* Bytes of a TENON_F_* format, 0 for a number that is none; the bits of the float at byte `at`. */
uint32_t tn_ref_float_bytes(uint32_t format);
uint32_t tn_ref_load_float(const uint8_t *tile, uint32_t at, uint32_t format);

#endif
