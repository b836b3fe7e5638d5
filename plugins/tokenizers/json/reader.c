/* reader.c - a pull parser. A tokenizer.json may have tens of megabytes, of which most are a million short strings: they are
 * read once, in place, and nothing is kept but what the caller takes. Depth is bounded; the size is the mapping's. One
 * thread. Contract: reader.h. */
#include "reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/utf8.h"

#define BLOCK (64u << 10) /* bytes of an arena's ordinary block */

/* ---- memory ------------------------------------------------------------------------------------------------- */

struct js_block {
    struct js_block *next;
    size_t used, size;
    char bytes[]; /* [size] */
};

char *js_arena_take(struct js_arena *a, size_t size)
{
    struct js_block *b = a->blocks;
    if (b == NULL || b->size - b->used < size) {
        size_t room = size < BLOCK ? BLOCK : size;
        b = malloc(sizeof *b + room);
        if (b == NULL)
            return NULL;
        *b = (struct js_block){a->blocks, 0, room};
        a->blocks = b;
    }
    b->used += size;
    return b->bytes + b->used - size;
}

void js_arena_finish(struct js_arena *a)
{
    while (a->blocks != NULL) {
        struct js_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
}

/* ---- the ground ---------------------------------------------------------------------------------------------- */

void js_start(struct js *j, const char *text, size_t size)
{
    j->text = j->at = text;
    j->end = text + size;
    j->status = 0;
    j->depth = 0;
    j->is_first = true;
}

int32_t js_fail(struct js *j, const char *what)
{
    if (j->status == 0)
        j->status = tenon_fail(j->err, TENON_E_INVALID_ARGUMENT, "json", "%s, at byte %zu: %s", j->name,
                               (size_t)(j->at - j->text), what);
    return j->status;
}

#define EACH(byte_) ((byte_) * UINT64_C(0x0101010101010101))

/* Spaces from `at` on, up to eight. */
static inline size_t count_spaces(const char *at, const char *end)
{
    uint64_t w;
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || end - at < 8)
        return 0;
    memcpy(&w, at, sizeof w);
    w ^= EACH(' ');
    return w == 0 ? 8 : (size_t)__builtin_ctzll(w) / 8;
}

/* Over white space, which is more than half of a file that is written for eyes: mostly a new line and some spaces. */
static inline void space(struct js *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t')) {
        j->at++;
        j->at += count_spaces(j->at, j->end);
    }
}

/* The next byte that is no white space; '\0' at the end or after an error. */
static inline char look(struct js *j)
{
    space(j);
    return j->status == 0 && j->at < j->end ? *j->at : '\0';
}

char js_kind(struct js *j)
{
    char c = look(j);
    return c == '-' || (c >= '0' && c <= '9') ? '0' : c;
}

void js_finish(struct js *j)
{
    if (look(j) != '\0')
        js_fail(j, "something follows the end");
}

bool js_open(struct js *j, char kind)
{
    if (look(j) != kind) {
        js_fail(j, kind == '{' ? "not an object" : "not an array");
        return false;
    }
    if (++j->depth > JS_DEPTH) {
        js_fail(j, "nested too deep");
        return false;
    }
    j->at++;
    j->is_first = true;
    return true;
}

static inline bool go_on(struct js *j, char close)
{
    char c = look(j);
    if (c == close) {
        j->at++;
        j->depth--;
        j->is_first = false; /* of the level around */
        return false;
    }
    if (!j->is_first) {
        if (c != ',') {
            js_fail(j, "a comma or the end is missing");
            return false;
        }
        j->at++;
    }
    j->is_first = false;
    return j->status == 0;
}

bool js_element(struct js *j)
{
    return go_on(j, ']');
}

bool js_member(struct js *j, struct tenon_str *ret_key)
{
    if (!go_on(j, '}'))
        return false;
    *ret_key = js_string(j);
    if (look(j) != ':') {
        js_fail(j, "a colon is missing");
        return false;
    }
    j->at++;
    return true;
}

bool js_is(struct tenon_str text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* ---- strings ------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits at `at`; -1: there are none. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int d = digit(at[i]);
        if (d < 0)
            return -1;
        value = value << 4 | d;
    }
    return value;
}

/* \uXXXX at `at` (of the u), a pair of surrogates as one; bytes read, 0: it is none. A lone surrogate is U+FFFD. */
static size_t unicode(const char *at, const char *end, uint32_t *ret)
{
    int32_t high = hex4(at + 1, end), low = -1;
    if (high < 0)
        return 0;
    *ret = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return 5;
    if (high < 0xdc00 && end - at >= 11 && at[5] == '\\' && at[6] == 'u')
        low = hex4(at + 7, end);
    if (low < 0xdc00 || low > 0xdfff) {
        *ret = 0xfffd;
        return 5;
    }
    *ret = 0x10000 + ((uint32_t)high - 0xd800) * 0x400 + (uint32_t)low - 0xdc00;
    return 11;
}

/* The escape after a backslash; bytes read, 0: it is none. */
static size_t escape(const char *at, const char *end, uint32_t *ret)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *name;
    if (at == end)
        return 0;
    if (*at == 'u')
        return unicode(at, end, ret);
    name = *at == '\0' ? NULL : strchr(names, *at);
    if (name == NULL)
        return 0;
    *ret = (unsigned char)meanings[name - names];
    return 1;
}

/* A string with escapes, up to the quote at `close`. What it becomes is no longer. */
static struct tenon_str unescape(struct js *j, const char *close)
{
    char *out = js_arena_take(j->arena, (size_t)(close - j->at));
    size_t n = 0;
    if (out == NULL) {
        j->status = tenon_fail(j->err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory to read %s", j->name);
        return (struct tenon_str){"", 0};
    }
    while (j->at < close) {
        uint32_t c = 0;
        size_t read;
        if (*j->at != '\\') {
            out[n++] = *j->at++;
            continue;
        }
        read = escape(j->at + 1, close, &c);
        if (read == 0) {
            js_fail(j, "no such escape");
            return (struct tenon_str){"", 0};
        }
        n += tok_utf8_put(c, out + n);
        j->at += 1 + read;
    }
    return (struct tenon_str){out, n};
}

/* The high bit of each byte that is zero; above the first such byte it may be wrong. */
static inline uint64_t zeros(uint64_t w)
{
    return (w - EACH(1)) & ~w & EACH(0x80);
}

/* Over bytes that mean nothing in a string, eight at once: what is left before the next that does is less than eight. */
static inline const char *pass(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t w, found;
        memcpy(&w, at, sizeof w);
        found = zeros(w ^ EACH('"')) | zeros(w ^ EACH('\\')) | ((w - EACH(0x20)) & ~w & EACH(0x80));
        if (found != 0)
            return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? at + __builtin_ctzll(found) / 8 : at;
    }
    return at;
}

/* The quote that ends the string whose text begins at `at`; NULL: none. */
static inline const char *find_quote(const char *at, const char *end, bool *ret_escapes)
{
    *ret_escapes = false;
    for (at = pass(at, end); at < end && *at != '"' && (unsigned char)*at >= 0x20; at = pass(at + 1, end))
        if (*at == '\\') {
            *ret_escapes = true;
            at++;
        }
    return at < end && *at == '"' ? at : NULL;
}

static inline struct tenon_str read_string(struct js *j)
{
    struct tenon_str text = {"", 0};
    bool has_escapes;
    const char *close;
    if (look(j) != '"') {
        js_fail(j, "not a string");
        return text;
    }
    close = find_quote(++j->at, j->end, &has_escapes);
    if (close == NULL) {
        js_fail(j, "a string without an end");
        return text;
    }
    text = has_escapes ? unescape(j, close) : (struct tenon_str){j->at, (uint64_t)(close - j->at)};
    if (j->status == 0)
        j->at = close + 1;
    return text;
}

struct tenon_str js_string(struct js *j)
{
    return read_string(j);
}

bool js_strings(struct js *j, struct tenon_str *ret, size_t n)
{
    bool is_open = js_open(j, '[');
    for (size_t i = 0; is_open && i < n; i++) {
        is_open = go_on(j, ']');
        ret[i] = is_open ? read_string(j) : (struct tenon_str){"", 0};
    }
    return is_open && !go_on(j, ']') && j->status == 0;
}

/* ---- the other values ---------------------------------------------------------------------------------------- */

#define MOST_EXPONENT 1000000

static bool is_number_byte(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* Digits on top of *digits; those that have no more room count by their place alone. False: there is none. */
static bool take_digits(const char **at, const char *end, bool is_fraction, uint64_t *digits, int32_t *exponent)
{
    const char *start = *at;
    bool is_full = false;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        is_full |= *digits > (UINT64_MAX - digit) / 10;
        if (!is_full)
            *digits = 10 * *digits + digit;
        if (is_full != is_fraction && *exponent < MOST_EXPONENT && *exponent > -MOST_EXPONENT)
            *exponent += is_fraction ? -1 : 1;
    }
    return *at > start;
}

static double power_of_ten(int32_t n) /* 0 to 308 */
{
    static const double exact[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
                                   1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    char text[16];
    if ((size_t)n < sizeof exact / sizeof exact[0])
        return exact[n];
    (void)snprintf(text, sizeof text, "1e%d", n); /* fits */
    return strtod(text, NULL);
}

/* Rounded as serde_json does it, once for the digits and once for their place: Hugging Face's library adds such scores, and the
 * last bit decides between ways through a text that cost the same. */
static double scaled(uint64_t digits, int32_t exponent)
{
    double value = (double)digits;
    for (; exponent < -308 && value != 0; exponent += 308)
        value /= 1e308;
    if (value == 0)
        return 0;
    return exponent > 308 ? HUGE_VAL : exponent >= 0 ? value * power_of_ten(exponent) : value / power_of_ten(-exponent);
}

/* A number with point, sign or exponent, or too long for an integer. */
static double real_number(struct js *j)
{
    const char *at = j->at;
    uint64_t digits = 0, written = 0;
    int32_t exponent = 0, ignored = 0;
    bool is_negative = at < j->end && *at == '-', is_sound, is_small;
    at += is_negative;
    is_sound = take_digits(&at, j->end, false, &digits, &exponent);
    if (is_sound && at < j->end && *at == '.') {
        at++;
        is_sound = take_digits(&at, j->end, true, &digits, &exponent);
    }
    if (is_sound && at < j->end && (*at == 'e' || *at == 'E')) {
        at++;
        is_small = at < j->end && *at == '-';
        at += at < j->end && (*at == '-' || *at == '+');
        is_sound = take_digits(&at, j->end, false, &written, &ignored);
        written = written < MOST_EXPONENT ? written : MOST_EXPONENT;
        exponent += is_small ? -(int32_t)written : (int32_t)written;
    }
    if (!is_sound || (at < j->end && is_number_byte(*at))) {
        js_fail(j, "not a number");
        return 0;
    }
    j->at = at;
    return is_negative ? -scaled(digits, exponent) : scaled(digits, exponent);
}

double js_number(struct js *j)
{
    int64_t whole = 0; /* ids, which are most of all numbers */
    const char *at;
    if (js_kind(j) != '0') {
        js_fail(j, "not a number");
        return 0;
    }
    for (at = j->at; at < j->end && at - j->at < 15 && *at >= '0' && *at <= '9'; at++)
        whole = 10 * whole + *at - '0';
    if (at == j->end || is_number_byte(*at))
        return real_number(j);
    j->at = at;
    return (double)whole;
}

static bool take_word(struct js *j, const char *word)
{
    size_t n = strlen(word);
    if (look(j) == '\0' || (size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
        return false;
    j->at += n;
    return true;
}

bool js_bool(struct js *j)
{
    if (take_word(j, "true"))
        return true;
    if (!take_word(j, "false"))
        js_fail(j, "neither true nor false");
    return false;
}

/* Read over a string without taking its text. */
static void skip_string(struct js *j)
{
    bool has_escapes;
    const char *close = find_quote(j->at + 1, j->end, &has_escapes);
    if (close == NULL)
        js_fail(j, "a string without an end");
    else
        j->at = close + 1;
}

/* As deep as JS_DEPTH. */
void js_skip(struct js *j)
{
    struct tenon_str key;
    switch (js_kind(j)) {
    case '{':
        if (js_open(j, '{'))
            while (js_member(j, &key))
                js_skip(j);
        break;
    case '[':
        if (js_open(j, '['))
            while (js_element(j))
                js_skip(j);
        break;
    case '"': skip_string(j); break;
    case '0': (void)js_number(j); break; /* only read over */
    case 'n':
        if (!take_word(j, "null"))
            js_fail(j, "not a value");
        break;
    case 't': case 'f': (void)js_bool(j); break;
    default: js_fail(j, "a value is missing"); break;
    }
}

/* ---- objects by name ----------------------------------------------------------------------------------------- */

bool js_members(struct js *j, struct js_object *o, const char *stop)
{
    struct tenon_str key;
    while (js_member(j, &key)) {
        if (o->n == JS_MEMBERS) {
            js_fail(j, "an object has more members than any is known to have");
            return false;
        }
        (void)js_kind(j); /* over white space */
        o->members[o->n].key = key;
        o->members[o->n++].at = j->at;
        if (stop != NULL && js_is(key, stop))
            return true;
        js_skip(j);
    }
    return false;
}

void js_object(struct js *j, struct js_object *ret)
{
    ret->n = 0;
    if (js_open(j, '{'))
        (void)js_members(j, ret, NULL); /* nothing to stop at */
}

bool js_find(const struct js *j, const struct js_object *o, const char *key, struct js *ret)
{
    for (uint32_t i = o->n; i-- > 0;)
        if (js_is(o->members[i].key, key)) {
            *ret = *j;
            ret->at = o->members[i].at;
            return js_kind(ret) != 'n';
        }
    return false;
}

void js_join(struct js *j, const struct js *part)
{
    if (j->status == 0)
        j->status = part->status;
}

struct tenon_str js_get_string(struct js *j, const struct js_object *o, const char *key)
{
    struct js part;
    struct tenon_str text = {"", 0};
    if (js_find(j, o, key, &part)) {
        text = js_string(&part);
        js_join(j, &part);
    }
    return text;
}

double js_get_number(struct js *j, const struct js_object *o, const char *key, double otherwise)
{
    struct js part;
    if (js_find(j, o, key, &part)) {
        otherwise = js_number(&part);
        js_join(j, &part);
    }
    return otherwise;
}

uint32_t js_get_count(struct js *j, const struct js_object *o, const char *key, uint32_t most)
{
    double value = js_get_number(j, o, key, 0);
    return value >= 0 && value <= (double)most ? (uint32_t)value : 0;
}

bool js_get_bool(struct js *j, const struct js_object *o, const char *key, bool otherwise)
{
    struct js part;
    if (js_find(j, o, key, &part)) {
        otherwise = js_bool(&part);
        js_join(j, &part);
    }
    return otherwise;
}
