/* plain.c - the plain floats: a tile is one element. Data only; nothing here runs. Contract: tenon/encoding.h. */
#include "gguf.h"

static const struct tenon_insn f32_program[] = {FLOAT(X, I, 0, TENON_F_F32)};
static const struct tenon_insn f16_program[] = {FLOAT(X, I, 0, TENON_F_F16)};
static const struct tenon_insn bf16_program[] = {FLOAT(X, I, 0, TENON_F_BF16)};

#define PLAIN(name_, id_, bytes_, digest_) ENCODING_OF(name_, id_, 1, bytes_, bytes_, "values", digest_, .tables = NULL)

PLAIN(f32, "f32/1", 4, "ba6c75aa8bab48687ff4d404c9dc029580bb71982482b781adfeb5db7ba82111");
PLAIN(f16, "f16/1", 2, "ef23556593167f786074493a3437d1a68a24a765c2d14b18fa382df93d54bb31");
PLAIN(bf16, "bf16/1", 2, "e5bce90b1f10e0ac42769d14756f567623797238f5e11ebfee2f3fe026c32c50");
