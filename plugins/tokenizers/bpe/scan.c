/* scan.c - what the patterns of patterns.h cut, written out. They all are made of the same parts - contractions, words,
 * numbers, signs, white space - in a few variants each, which a shape names; each scanner is one shape compiled into the
 * common code, so that no choice is left to run time. ASCII letters are passed eight at a time, and any other character is
 * looked up in a table that PCRE2 filled. How far a piece reaches depends on what comes before it only by the place where
 * it starts, so that a text can be cut up in batches. Each place is looked at a few times at most. Contract: scan.h. */
#include "scan.h"

#include <string.h>

#include "patterns.h"
#include "pre.h"

#define INLINE static inline __attribute__((always_inline))

/* How words are made. */
enum words {
    AFTER_SPACE, /* " ?L+" */
    AFTER_ANY,   /* "[^\r\nLN]?L+" */
    CASED,       /* the same, upper case before lower case, with a contraction after it */
};

struct shape {
    enum words words;
    uint8_t letter;       /* classes that words are made of */
    bool any_case;        /* contractions are found whatever their case */
    bool contracts;       /* there are contractions */
    bool cuts_numbers;    /* numbers are cut out before all else: what comes before one ends there */
    bool ends_lines;      /* "\s*[\r\n]+" before other white space */
    uint8_t digits;       /* most of a number in one piece; 0: as many as there are, and a space before */
    const char *trailers; /* characters that follow signs */
};

struct scan_text {
    const unsigned char *end;
    const struct bpe_classes *classes;
    struct bpe_matcher *matcher;
};

struct bpe_scan {
    const char *steps[BPE_PRE_STEPS]; /* NULL-ended */
    size_t (*pieces)(const struct scan_text *t, const unsigned char *text, uint32_t *ends);
};

/* ---- characters --------------------------------------------------------------------------------------------- */

/* The code point of more than one byte at p. */
INLINE uint32_t long_code_point(const unsigned char *p, uint32_t *ret_size)
{
    *ret_size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (*ret_size == 2)
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    if (*ret_size == 3)
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
}

static uint8_t long_class(const struct scan_text *t, const unsigned char *p, uint32_t *ret_size)
{
    return bpe_class(t->classes, t->matcher, long_code_point(p, ret_size));
}

/* Class of the character at p, which is not the end, and its bytes. */
INLINE uint8_t class_at(const struct scan_text *t, const unsigned char *p, uint32_t *ret_size)
{
    *ret_size = 1;
    return *p < 0x80 ? bpe_class(t->classes, t->matcher, *p) : long_class(t, p, ret_size);
}

/* The end of what is of these classes from p on. */
INLINE const unsigned char *skip(const struct scan_text *t, const unsigned char *p, uint8_t classes)
{
    uint32_t size;
    while (p < t->end && (class_at(t, p, &size) & classes) != 0)
        p += size;
    return p;
}

#define EACH(byte) (0x0101010101010101u * (byte))

/* How many of the eight bytes at p are ASCII letters, or lower case ones, before the first that is not. */
INLINE uint32_t ascii_letters(const unsigned char *p, bool any_case)
{
    uint64_t bytes, lower, others;
    memcpy(&bytes, p, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    lower = (any_case ? bytes | EACH(0x20) : bytes) & EACH(0x7f);
    others = ~((lower + EACH(0x80 - 'a')) & ~(lower + EACH(0x7f - 'z')) & ~bytes) & EACH(0x80);
    return others != 0 ? (uint32_t)__builtin_ctzll(others) / 8 : 8;
}

/* The end of a word of these classes from p on; of the ASCII characters, the letters are in them (any_case), or just those
 * in lower case. */
INLINE const unsigned char *skip_letters(const struct scan_text *t, const unsigned char *p, uint8_t classes, bool any_case)
{
    while (t->end - p >= 8) {
        uint32_t n = ascii_letters(p, any_case), size;
        p += n;
        if (n == 8)
            continue;
        if (*p < 0x80 || (long_class(t, p, &size) & classes) == 0)
            return p;
        p += size;
    }
    return skip(t, p, classes);
}

/* ---- the parts of the patterns: each returns the end of its piece, or where it began if there is none ------------- */

/* 's 't 're 've 'm 'll 'd at p, which is no end. Ignoring case also takes U+017F for an s. */
INLINE const unsigned char *contraction(const struct scan_text *t, const unsigned char *p, bool any_case)
{
    unsigned char bit = any_case ? 0x20 : 0, first, second;
    if (*p != '\'' || t->end - p < 2)
        return p;
    first = p[1] | bit;
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return p + 2;
    if (t->end - p < 3)
        return p;
    if (any_case && p[1] == 0xc5 && p[2] == 0xbf)
        return p + 3;
    second = p[2] | bit;
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l'))
        return p + 3;
    return p;
}

/* At most `most` numbers. */
INLINE const unsigned char *numbers(const struct scan_text *t, const unsigned char *p, uint8_t most)
{
    uint32_t size;
    for (uint8_t n = 0; n < most && p < t->end && (class_at(t, p, &size) & BPE_NUMBER) != 0; n++)
        p += size;
    return p;
}

/* Signs up to p, and what trails them. */
INLINE const unsigned char *trail(const struct scan_text *t, const unsigned char *p, const char *trailers)
{
    if (trailers != NULL)
        while (p < t->end && (*p == trailers[0] || *p == trailers[1] || (trailers[2] != 0 && *p == trailers[2])))
            p++;
    return p;
}

/* White space, where nothing of it belongs to a word: up to the last end of a line, or all but the last character, which
 * may belong to what comes next. */
INLINE const unsigned char *white_space(const struct scan_text *t, const unsigned char *p, const struct shape s)
{
    const unsigned char *start = p, *last = p, *line = NULL;
    uint32_t size;
    uint8_t class = BPE_SPACE;
    while (p < t->end && ((class = class_at(t, p, &size)) & BPE_SPACE) != 0) {
        last = p;
        p += size;
        if (s.ends_lines && (*last == '\n' || *last == '\r'))
            line = p;
    }
    if (line != NULL)
        return line;
    return p == t->end || last == start || (s.cuts_numbers && (class & BPE_NUMBER) != 0) ? p : last;
}

/* "U*W+": upper, then at least one lower; what is both may be either. */
INLINE const unsigned char *lower_word(const struct scan_text *t, const unsigned char *p)
{
    const unsigned char *both = p; /* the end of the last character that is both */
    uint32_t size;
    uint8_t class = 0;
    while (p < t->end && ((class = class_at(t, p, &size)) & BPE_UPPER) != 0) {
        p += size;
        if ((class & BPE_LOWER) != 0)
            both = p;
    }
    if (p < t->end && (class & BPE_LOWER) != 0)
        return skip_letters(t, p, BPE_LOWER, false);
    return both;
}

/* A cased word at p, whose class and bytes these are: the first alternative of the pattern, then the second, each with and
 * then without the character in front. */
INLINE const unsigned char *cased_word(const struct scan_text *t, const unsigned char *p, uint8_t class, uint32_t size)
{
    bool has_front = (class & (BPE_LETTER | BPE_NUMBER)) == 0 && *p != '\r' && *p != '\n';
    const unsigned char *start = has_front ? p + size : p, *end;
    if ((class & BPE_NUMBER) != 0)
        return p;
    end = lower_word(t, start);
    if (end > start)
        return end;
    if (has_front && (class & BPE_MARK) != 0)
        return lower_word(t, p); /* the mark itself, at least */
    end = skip(t, start, BPE_UPPER);
    return end > start ? end : p;
}

/* ---- pieces ------------------------------------------------------------------------------------------------- */

/* The end of the piece at p, which is not the end of the text: what the alternatives of a pattern come to when they are
 * tried in turn. */
INLINE const unsigned char *piece(const struct scan_text *t, const unsigned char *p, const struct shape s)
{
    const uint8_t signs = (uint8_t)(BPE_PUNCTUATION | BPE_OTHER | (BPE_MARK & ~s.letter));
    uint32_t size, next_size = 0;
    uint8_t class = class_at(t, p, &size), next = 0;
    const unsigned char *after = p + size, *end = p;
    if (s.words == CASED) {
        end = cased_word(t, p, class, size);
        if (end > p)
            return s.contracts && end < t->end ? contraction(t, end, s.any_case) : end;
    } else if (s.contracts) {
        end = contraction(t, p, s.any_case);
    }
    if (end > p)
        return end;
    if (s.words != CASED && (class & s.letter) != 0)
        return skip_letters(t, after, s.letter, true);
    if ((class & BPE_NUMBER) != 0)
        return s.digits > 0 ? numbers(t, p, s.digits) : skip(t, after, BPE_NUMBER);
    if (after < t->end)
        next = class_at(t, after, &next_size);
    if ((next & s.letter) != 0 && (s.words == AFTER_SPACE ? *p == ' ' : s.words == AFTER_ANY && *p != '\r' && *p != '\n'))
        return skip_letters(t, after + next_size, s.letter, true);
    if (s.digits == 0 && (next & BPE_NUMBER) != 0 && *p == ' ')
        return skip(t, after + next_size, BPE_NUMBER);
    if ((class & signs) != 0)
        return trail(t, skip(t, after, signs), s.trailers);
    if ((next & signs) != 0 && *p == ' ')
        return trail(t, skip(t, after + next_size, signs), s.trailers);
    return white_space(t, p, s);
}

INLINE size_t pieces(const struct scan_text *t, const unsigned char *text, uint32_t *ends, const struct shape s)
{
    size_t n = 0;
    for (const unsigned char *p = text; n < BPE_SCAN_PIECES && p < t->end; n++) {
        p = piece(t, p, s);
        ends[n] = (uint32_t)(p - text);
    }
    return n;
}

#define SCANNER(name, ...)                                                                           \
    static size_t name(const struct scan_text *t, const unsigned char *text, uint32_t *ends)         \
    {                                                                                                \
        return pieces(t, text, ends, (struct shape){__VA_ARGS__});                                   \
    }

SCANNER(gpt2, .words = AFTER_SPACE, .letter = BPE_LETTER, .contracts = true)
SCANNER(gpt2_digits, .words = AFTER_SPACE, .letter = BPE_LETTER, .contracts = true, .digits = 1, .cuts_numbers = true)
SCANNER(llama3, .words = AFTER_ANY, .letter = BPE_LETTER, .contracts = true, .any_case = true, .digits = 3,
        .trailers = "\r\n", .ends_lines = true)
SCANNER(minicpm5, .words = AFTER_ANY, .letter = BPE_LETTER, .contracts = true, .any_case = true, .digits = 3,
        .cuts_numbers = true, .trailers = "\r\n", .ends_lines = true)
SCANNER(qwen2, .words = AFTER_ANY, .letter = BPE_LETTER, .contracts = true, .any_case = true, .digits = 1,
        .trailers = "\r\n", .ends_lines = true)
SCANNER(qwen35, .words = AFTER_ANY, .letter = BPE_LETTER | BPE_MARK, .contracts = true, .any_case = true, .digits = 1,
        .trailers = "\r\n", .ends_lines = true)
SCANNER(seed_coder, .words = AFTER_ANY, .letter = BPE_LETTER, .contracts = true, .any_case = true, .digits = 1,
        .ends_lines = true)
SCANNER(gpt4o, .words = CASED, .letter = BPE_LETTER, .contracts = true, .any_case = true, .digits = 3,
        .trailers = "\r\n/", .ends_lines = true)
SCANNER(tekken, .words = CASED, .letter = BPE_LETTER, .digits = 1, .trailers = "\r\n/", .ends_lines = true)

/* ---- DeepSeek Coder, whose five patterns cut in turn --------------------------------------------------------- */

struct character {
    uint32_t size;
    uint8_t class;
    bool is_cjk; /* of the fourth pattern */
};

INLINE struct character character_at(const struct scan_text *t, const unsigned char *p)
{
    struct character c = {1, 0, false};
    uint32_t code_point = *p < 0x80 ? *p : long_code_point(p, &c.size);
    c.class = bpe_class(t->classes, t->matcher, code_point);
    c.is_cjk = (code_point >= 0x800 && code_point <= 0x9fa5) || (code_point >= 0xac00 && code_point <= 0xd7ff);
    return c;
}

/* What a match of the second or third pattern that begins at p, with this character, is made of: letters or punctuation,
 * with or without white space in front. 0: none begins here. */
INLINE uint8_t part_at(const struct scan_text *t, const unsigned char *p, struct character c)
{
    uint8_t class = c.class;
    if ((class & BPE_SPACE) != 0 && p + c.size < t->end)
        class = character_at(t, p + c.size).class;
    return class & (BPE_LETTER | BPE_PUNCTUATION);
}

INLINE bool ends_line(const unsigned char *p)
{
    return *p == '\r' || *p == '\n';
}

/* A piece is of one part, all CJK or all not, and has no number beside others. */
INLINE const unsigned char *deepseek_piece(const struct scan_text *t, const unsigned char *p)
{
    struct character first = character_at(t, p), c;
    uint8_t part = part_at(t, p, first);
    if (ends_line(p) || (first.class & BPE_NUMBER) != 0)
        return p + first.size;
    for (p += first.size; p < t->end; p += c.size) {
        c = character_at(t, p);
        if (c.is_cjk != first.is_cjk)
            break;
        if (part != 0 ? (c.class & part) == 0 : (c.class & BPE_NUMBER) != 0 || ends_line(p) || part_at(t, p, c) != 0)
            break;
    }
    return p;
}

static size_t deepseek_coder(const struct scan_text *t, const unsigned char *text, uint32_t *ends)
{
    size_t n = 0;
    for (const unsigned char *p = text; n < BPE_SCAN_PIECES && p < t->end; n++) {
        p = deepseek_piece(t, p);
        ends[n] = (uint32_t)(p - text);
    }
    return n;
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

static const struct bpe_scan scans[] = {
    {{GPT2_WHOLE}, gpt2},
    {{"\\p{N}", GPT2_WHOLE}, gpt2_digits},
    {{LLAMA3}, llama3},
    {{"\\p{N}{1,3}", MINICPM5}, minicpm5},
    {{QWEN2}, qwen2},
    {{BAILING}, qwen2},
    {{QWEN35}, qwen35},
    {{SEED_CODER}, seed_coder},
    {{GPT4O}, gpt4o},
    {{TEKKEN}, tekken},
    {{DEEPSEEK_CODER}, deepseek_coder},
};

static bool same_steps(const char *const *a, const char *const *b)
{
    while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
        a++;
        b++;
    }
    return *a == *b; /* both NULL */
}

const struct bpe_scan *bpe_scan_find(const char *const *steps)
{
    for (size_t i = 0; i < sizeof scans / sizeof scans[0]; i++)
        if (same_steps(scans[i].steps, steps))
            return &scans[i];
    return NULL;
}

size_t bpe_scan_next(const struct bpe_scan *scan, const struct bpe_classes *classes, struct bpe_matcher *m, const char *text,
                     size_t size, uint32_t *ends)
{
    const unsigned char *start = (const unsigned char *)text;
    const struct scan_text t = {start + size, classes, m};
    return scan->pieces(&t, start, ends);
}
