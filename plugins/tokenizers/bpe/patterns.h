/* patterns.h - the patterns that more than one split has, or that a hand-made scanner (scan.h) stands for. PCRE2's
 * syntax with UTF and UCP; \s means Unicode white space (pattern.h).
 */
#ifndef BPE_PATTERNS_H
#define BPE_PATTERNS_H

#define APOSTROPHES "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD_START "[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define PUNCTUATION "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define TAIL "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define GPT2_WHOLE GPT2 "|\\s+"
#define LLAMA3 APOSTROPHES "|" WORD_START "\\p{L}+|\\p{N}{1,3}" PUNCTUATION TAIL
#define QWEN2 APOSTROPHES "|" WORD_START "\\p{L}+|\\p{N}" PUNCTUATION TAIL
#define QWEN35 APOSTROPHES "|" WORD_START "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" TAIL
#define MINICPM5 APOSTROPHES "|" WORD_START "\\p{L}+|\\p{N}+" PUNCTUATION TAIL
#define SEED_CODER APOSTROPHES "|" WORD_START "\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" TAIL
#define BAILING                                                                                         \
    "'(?i:[sdmt]|ll|ve|re)|" WORD_START                                                                 \
    "+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define GPT4O                                                                                           \
    WORD_START UPPER "*" LOWER "+" APOSTROPHES "?|" WORD_START UPPER "+" LOWER "*" APOSTROPHES "?"      \
    "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" TAIL
#define TEKKEN                                                                                          \
    WORD_START UPPER "*" LOWER "+|" WORD_START UPPER "+" LOWER "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" TAIL
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define DEEPSEEK_CODER "[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"

#endif
