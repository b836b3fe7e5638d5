/* ini.c - checks the lines of a text and lets inih split them. Knows no keys and reads no file. Any thread.
 * Contract: ini.h. */
#include "core/base/ini.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <ini.h>

/* One text on its way through inih. */
struct reader {
    struct tn_ini at;
    const char *text; /* [size] */
    uint64_t size;
    uint64_t next;    /* where the next line begins */
    int32_t (*pair)(void *arg, const struct tn_ini *at, const char *key, const char *value);
    void *arg;
    int32_t rc;       /* of the first error; *at.err is filled */
};

int32_t tn_ini_fail(const struct tn_ini *at, const char *fmt, ...)
{
    char text[360];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* cutting is fine */
    va_end(args);
    return tenon_fail(at->err, TENON_E_INVALID_ARGUMENT, "", "%s:%u: %s", at->path, at->line, text);
}

static bool has_control(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 && text[i] != '\t')
            return true;
    return false;
}

static bool has_inline_comment(const char *text, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (text[i] == ';' && (text[i - 1] == ' ' || text[i - 1] == '\t'))
            return true;
    return false;
}

static int32_t check_line(const struct tn_ini *at, const char *text, size_t n)
{
    bool comment = n > 0 && (text[0] == '#' || text[0] == ';');
    if (n > TN_INI_MAX_LINE)
        return tn_ini_fail(at, "the line has %zu bytes, at most %d are read: make it shorter", n, TN_INI_MAX_LINE);
    if (has_control(text, n))
        return tn_ini_fail(at, "the line holds a control character: write plain text");
    if (n == 0 || comment)
        return TENON_OK;
    if (text[0] == ' ' || text[0] == '\t')
        return tn_ini_fail(at, "the line is indented: start it in the first column");
    if (text[0] == '[')
        return tn_ini_fail(at, "there are no sections: leave the line out");
    if (has_inline_comment(text, n))
        return tn_ini_fail(at, "a comment after a value: give it a line of its own");
    if (memchr(text, '=', n) == NULL)
        return tn_ini_fail(at, "no \"=\": write KEY = VALUE");
    return TENON_OK;
}

/* inih's reader: the next line, checked, into out[capacity]; NULL at the end or after an error. */
static char *next_line(char *out, int capacity, void *stream)
{
    struct reader *r = stream;
    if (r->rc != TENON_OK || r->next >= r->size)
        return NULL;
    const char *line = r->text + r->next;
    const char *end = memchr(line, '\n', r->size - r->next);
    size_t n = end != NULL ? (size_t)(end - line) : (size_t)(r->size - r->next);
    r->next += n + (end != NULL);
    r->at.line++;
    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (r->at.line == 1 && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3; /* a byte order mark */
        n -= 3;
    }
    r->rc = check_line(&r->at, line, n);
    if (r->rc == TENON_OK && n + 2 > (size_t)capacity)
        r->rc = tn_ini_fail(&r->at, "the line is longer than the parser's buffer");
    if (r->rc != TENON_OK)
        return NULL;
    memcpy(out, line, n);
    memcpy(out + n, "\n", 2);
    return out;
}

static int on_pair(void *user, const char *section, const char *key, const char *value)
{
    struct reader *r = user;
    (void)section; /* section lines were refused */
    if (r->rc == TENON_OK)
        r->rc = r->pair(r->arg, &r->at, key, value);
    return r->rc == TENON_OK;
}

int32_t tn_ini_read(const char *text, uint64_t size, const char *path,
                    int32_t (*pair)(void *arg, const struct tn_ini *at, const char *key, const char *value), void *arg,
                    struct tenon_err *err)
{
    struct reader r = {.at = {.path = path, .err = err}, .text = text, .size = size, .pair = pair, .arg = arg};
    int bad_line = ini_parse_stream(next_line, &r, on_pair, &r);
    if (r.rc == TENON_OK && bad_line != 0) /* inih found what we did not */
        r.rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, "", "%s:%d: cannot read the line: write KEY = VALUE", path, bad_line);
    return r.rc;
}
