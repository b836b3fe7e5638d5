/* Code-point work on UTF-8 for the template interpreter: classes and case
 * mapping come from utf8proc, with the full mappings that Python applies and
 * utf8proc's simple ones lack. No state; any thread. */
#include "jinja_str.h"

#include <string.h>

#include <utf8proc.h>

size_t tn_jstr_count(const char *p, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)p[i] & 0xc0) != 0x80;
    return n;
}

bool tn_jstr_valid(const char *p, size_t len, size_t *ret_bad)
{
    size_t i = 0;
    while (i < len) {
        if ((unsigned char)p[i] < 0x80) {
            i++;
            continue;
        }
        utf8proc_int32_t cp;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)p + i, (utf8proc_ssize_t)(len - i), &cp);
        if (n <= 0) {
            *ret_bad = i;
            return false;
        }
        i += (size_t)n;
    }
    return true;
}

size_t tn_jstr_next(const char *p, size_t left)
{
    size_t n = 1;
    while (n < left && ((unsigned char)p[n] & 0xc0) == 0x80)
        n++;
    return n;
}

size_t tn_jstr_prev(const char *p, size_t len)
{
    size_t n = 1;
    while (n < len && ((unsigned char)p[len - n] & 0xc0) == 0x80)
        n++;
    return n;
}

int32_t tn_jstr_decode(const char *p, size_t left, size_t *ret_n)
{
    utf8proc_int32_t cp;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)left, &cp);
    *ret_n = n > 0 ? (size_t)n : 1;
    return n > 0 ? cp : 0xfffd;
}

int32_t tn_jstr_encode(struct tn_buf *b, int32_t cp)
{
    utf8proc_uint8_t out[4];
    utf8proc_ssize_t n = utf8proc_encode_char(cp, out);
    return tn_buf_append(b, out, (size_t)n);
}

size_t tn_jstr_offset(const char *p, size_t len, size_t ncp, size_t index)
{
    if (ncp == len || index == 0)
        return index < len ? index : len;
    size_t at = 0;
    while (at < len && index-- > 0)
        at += tn_jstr_next(p + at, len - at);
    return at;
}

size_t tn_jstr_find(const char *p, size_t len, size_t from, const char *needle, size_t nlen)
{
    if (from > len || nlen > len - from)
        return SIZE_MAX;
    if (nlen == 0)
        return from;
    const char *at = memmem(p + from, len - from, needle, nlen);
    return at ? (size_t)(at - p) : SIZE_MAX;
}

size_t tn_jstr_rfind(const char *p, size_t len, const char *needle, size_t nlen)
{
    if (nlen > len)
        return SIZE_MAX;
    for (size_t at = len - nlen + 1; at-- > 0;)
        if (memcmp(p + at, needle, nlen) == 0)
            return at;
    return SIZE_MAX;
}

/* ---- classes ---- */

bool tn_jcp_space(int32_t cp)
{
    if (cp < 128)
        return (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x20);
    utf8proc_category_t c = utf8proc_category(cp);
    return cp == 0x85 || c == UTF8PROC_CATEGORY_ZS || c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

bool tn_jcp_printable(int32_t cp)
{
    if (cp < 128)
        return cp >= 0x20 && cp < 0x7f;
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

bool tn_jcp_alpha(int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool tn_jcp_decimal(int32_t cp)
{
    return utf8proc_category(cp) == UTF8PROC_CATEGORY_ND;
}

bool tn_jcp_numeric(int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

bool tn_jcp_upper(int32_t cp)
{
    return utf8proc_category(cp) == UTF8PROC_CATEGORY_LU;
}

bool tn_jcp_lower(int32_t cp)
{
    return utf8proc_category(cp) == UTF8PROC_CATEGORY_LL || cp == 0xaa || cp == 0xba;
}

bool tn_jcp_title(int32_t cp)
{
    return utf8proc_category(cp) == UTF8PROC_CATEGORY_LT;
}

bool tn_jcp_line_end(int32_t cp)
{
    return (cp >= 0x0a && cp <= 0x0d) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
}

/* ---- case ---- */

enum casing { LOWER, UPPER, TITLE, FOLD };

/* Mappings to several code points that occur in living scripts. */
static const struct {
    int32_t cp;
    const char *upper, *title, *lower, *fold;
} special[] = {
    {0x00df, "SS", "Ss", NULL, "ss"},
    {0x0130, NULL, NULL, "i\xcc\x87", "i\xcc\x87"},
    {0x0149, "\xca\xbcN", "\xca\xbcN", NULL, "\xca\xbcn"},
    {0x01f0, "J\xcc\x8c", "J\xcc\x8c", NULL, "j\xcc\x8c"},
    {0x0390, "\xce\x99\xcc\x88\xcc\x81", "\xce\x99\xcc\x88\xcc\x81", NULL, "\xce\xb9\xcc\x88\xcc\x81"},
    {0x03b0, "\xce\xa5\xcc\x88\xcc\x81", "\xce\xa5\xcc\x88\xcc\x81", NULL, "\xcf\x85\xcc\x88\xcc\x81"},
    {0x0587, "\xd4\xb5\xd5\x92", "\xd4\xb5\xd6\x82", NULL, "\xd5\xa5\xd6\x82"},
    {0x1e9e, NULL, NULL, NULL, "ss"},
    {0xfb00, "FF", "Ff", NULL, "ff"},
    {0xfb01, "FI", "Fi", NULL, "fi"},
    {0xfb02, "FL", "Fl", NULL, "fl"},
    {0xfb03, "FFI", "Ffi", NULL, "ffi"},
    {0xfb04, "FFL", "Ffl", NULL, "ffl"},
    {0xfb05, "ST", "St", NULL, "st"},
    {0xfb06, "ST", "St", NULL, "st"},
};

static const char *special_case(int32_t cp, enum casing how)
{
    if (cp < 0xdf)
        return NULL;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (special[i].cp == cp)
            return how == LOWER   ? special[i].lower
                   : how == UPPER ? special[i].upper
                   : how == TITLE ? special[i].title
                                  : special[i].fold;
    return NULL;
}

static int32_t put_case(struct tn_buf *b, int32_t cp, enum casing how)
{
    if (cp < 128) {
        if (how == LOWER || how == FOLD)
            return tn_buf_char(b, (char)(cp >= 'A' && cp <= 'Z' ? cp + 32 : cp));
        return tn_buf_char(b, (char)(cp >= 'a' && cp <= 'z' ? cp - 32 : cp));
    }
    const char *s = special_case(cp, how);
    if (s != NULL)
        return tn_buf_str(b, s);
    if (how == FOLD && (cp == 0xb5 || cp == 0x3c2))
        return tn_jstr_encode(b, cp == 0xb5 ? 0x3bc : 0x3c3);
    return tn_jstr_encode(b, how == UPPER   ? utf8proc_toupper(cp)
                             : how == TITLE ? utf8proc_totitle(cp)
                                            : utf8proc_tolower(cp));
}

static bool cased(int32_t cp)
{
    return tn_jcp_upper(cp) || tn_jcp_lower(cp) || tn_jcp_title(cp);
}

/* Unicode's Case_Ignorable, near enough: marks, modifiers and the signs that
 * stand inside words. */
static bool case_ignorable(int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || c == UTF8PROC_CATEGORY_CF ||
           c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_SK || cp == '\'' || cp == '.' || cp == ':' ||
           cp == 0xb7 || cp == 0x2018 || cp == 0x2019;
}

/* A capital sigma is final after a cased letter with none behind it. */
static bool final_sigma(const char *p, size_t len, size_t at)
{
    size_t n, i = at;
    int32_t cp = 0;
    bool before = false;
    while (i > 0) {
        i -= tn_jstr_prev(p, i);
        cp = tn_jstr_decode(p + i, len - i, &n);
        if (!case_ignorable(cp)) {
            before = cased(cp);
            break;
        }
    }
    if (!before)
        return false;
    for (i = at + 2; i < len; i += n) {
        cp = tn_jstr_decode(p + i, len - i, &n);
        if (!case_ignorable(cp))
            return !cased(cp);
    }
    return true;
}

static int32_t put_lower_at(struct tn_buf *b, const char *p, size_t len, size_t at, int32_t cp)
{
    if (cp == 0x3a3)
        return tn_jstr_encode(b, final_sigma(p, len, at) ? 0x3c2 : 0x3c3);
    return put_case(b, cp, LOWER);
}

int32_t tn_jstr_lower(struct tn_buf *b, const char *p, size_t len)
{
    int32_t rc = tn_buf_reserve(b, len);
    for (size_t i = 0, n; rc == 0 && i < len; i += n) {
        int32_t cp = tn_jstr_decode(p + i, len - i, &n);
        rc = put_lower_at(b, p, len, i, cp);
    }
    return rc;
}

static int32_t map_each(struct tn_buf *b, const char *p, size_t len, enum casing how)
{
    int32_t rc = tn_buf_reserve(b, len);
    for (size_t i = 0, n; rc == 0 && i < len; i += n)
        rc = put_case(b, tn_jstr_decode(p + i, len - i, &n), how);
    return rc;
}

int32_t tn_jstr_upper(struct tn_buf *b, const char *p, size_t len)
{
    return map_each(b, p, len, UPPER);
}

int32_t tn_jstr_casefold(struct tn_buf *b, const char *p, size_t len)
{
    return map_each(b, p, len, FOLD);
}

int32_t tn_jstr_title(struct tn_buf *b, const char *p, size_t len)
{
    bool inside = false;
    int32_t rc = tn_buf_reserve(b, len);
    for (size_t i = 0, n; rc == 0 && i < len; i += n) {
        int32_t cp = tn_jstr_decode(p + i, len - i, &n);
        rc = inside ? put_lower_at(b, p, len, i, cp) : put_case(b, cp, TITLE);
        inside = cased(cp);
    }
    return rc;
}

int32_t tn_jstr_capitalize(struct tn_buf *b, const char *p, size_t len)
{
    int32_t rc = tn_buf_reserve(b, len);
    for (size_t i = 0, n; rc == 0 && i < len; i += n) {
        int32_t cp = tn_jstr_decode(p + i, len - i, &n);
        rc = i > 0 ? put_lower_at(b, p, len, i, cp) : put_case(b, cp, TITLE);
    }
    return rc;
}

int32_t tn_jstr_swapcase(struct tn_buf *b, const char *p, size_t len)
{
    int32_t rc = tn_buf_reserve(b, len);
    for (size_t i = 0, n; rc == 0 && i < len; i += n) {
        int32_t cp = tn_jstr_decode(p + i, len - i, &n);
        if (tn_jcp_upper(cp))
            rc = put_lower_at(b, p, len, i, cp);
        else
            rc = tn_jcp_lower(cp) ? put_case(b, cp, UPPER) : tn_jstr_encode(b, cp);
    }
    return rc;
}

/* ---- strip ---- */

static bool in_set(const char *p, size_t n, const char *chars, size_t nchars)
{
    if (chars == NULL) {
        size_t unused;
        return tn_jcp_space(tn_jstr_decode(p, n, &unused));
    }
    return memmem(chars, nchars, p, n) != NULL; /* whole code points: cannot match across two */
}

void tn_jstr_strip(const char **p, size_t *len, const char *chars, size_t nchars, int ends)
{
    while ((ends & 1) && *len > 0) {
        size_t n = tn_jstr_next(*p, *len);
        if (!in_set(*p, n, chars, nchars))
            break;
        *p += n;
        *len -= n;
    }
    while ((ends & 2) && *len > 0) {
        size_t n = tn_jstr_prev(*p, *len);
        if (!in_set(*p + *len - n, n, chars, nchars))
            break;
        *len -= n;
    }
}
