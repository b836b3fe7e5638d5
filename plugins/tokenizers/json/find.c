/* find.c - finders. A regular expression out of a file may be of any cost: each start has a limit of steps, starts are tried
 * some at a time, and between those the clock is looked at. Pure functions but for the search. Contract: find.h. */
#include "find.h"

#include <string.h>
#include <time.h>

#include "regex.h"

#define MOST_PATTERN 4096u         /* bytes */
#define MOST_STEPS 200000u         /* of one start */
#define STARTS 64u                 /* tried between looks at the clock: at worst some 20 ms */
#define SECONDS 2.0                /* for any text */
#define SECONDS_PER_BYTE 4e-6      /* and the more the longer it is */

/* ---- patterns ------------------------------------------------------------------------------------------------- */

/* Published patterns that take time by the square of the length, and what cuts the same in linear time (see pre.c). */
static const char *const made_linear[][2] = {
    {"\\s+$", "(?<!\\s)\\s++$"},
    {"\\d{1,3}(?=(?:\\d{3})*\\b)", "(?<!\\d)\\d{1,3}(?=(?:\\d{3})*+\\b)|\\G(?<=\\d)\\d{3}"},
    {"(?=(\\d{3})+(?!\\d))",
     "(?:\\G(?<=\\d)\\d{3}|\\d{3}(?=(?:\\d{3})*+(?!\\d)))(?:\\D++(?:\\d{1,2}(?=(?:\\d{3})*+(?!\\d)))?)*+"},
};

/* The pattern in PCRE2's words. OWN: *ret, arena. */
static int32_t translated(struct tenon_str pattern, struct js_arena *arena, const char **ret, struct tenon_err *err)
{
    struct tok_buffer out = {0};
    int32_t status = js_regex_translate(pattern, &out);
    char *copy = status == 0 ? js_arena_take(arena, out.size) : NULL;
    if (copy != NULL)
        memcpy(copy, out.bytes, out.size);
    tok_buffer_finish(&out);
    *ret = copy;
    if (status == TENON_E_UNIMPLEMENTED)
        return tenon_fail(err, status, "json", "the pattern \"%.*s\" has what PCRE2 has no word for",
                          (int)(pattern.size < 200 ? pattern.size : 200), pattern.data);
    return copy != NULL ? 0 : tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "json", "no memory for a pattern");
}

int32_t js_finder_regex(struct js_finder *f, struct tenon_str pattern, struct js_arena *arena, struct tenon_err *err)
{
    int32_t status;
    memset(f, 0, sizeof *f);
    if (pattern.size > MOST_PATTERN || memchr(pattern.data, '\0', (size_t)pattern.size) != NULL)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "json", "a pattern of %llu bytes is too long or has a NUL in it",
                          (unsigned long long)pattern.size);
    for (size_t i = 0; i < sizeof made_linear / sizeof made_linear[0]; i++)
        if (js_is(pattern, made_linear[i][0])) {
            f->source = made_linear[i][1];
            f->is_trusted = true;
        }
    if (!f->is_trusted && (status = translated(pattern, arena, &f->source, err)) != 0)
        return status;
    return bpe_pattern_compile(&f->pattern, f->source, PCRE2_USE_OFFSET_LIMIT, err);
}

int32_t js_finder_read(struct js_finder *f, struct js *j, const struct js_object *o, struct js_arena *arena)
{
    struct js part, value;
    struct js_object pattern;
    if (!js_find(j, o, "pattern", &part))
        return js_fail(j, "a pattern is missing");
    js_object(&part, &pattern);
    js_join(j, &part);
    if (j->status != 0)
        return j->status;
    if (js_find(j, &pattern, "Regex", &value))
        return js_finder_regex(f, js_get_string(j, &pattern, "Regex"), arena, j->err);
    js_finder_text(f, js_get_string(j, &pattern, "String"));
    return j->status;
}

void js_finder_text(struct js_finder *f, struct tenon_str text)
{
    memset(f, 0, sizeof *f);
    f->text = text;
}

void js_finder_class(struct js_finder *f, js_class_fn *is_in)
{
    memset(f, 0, sizeof *f);
    f->is_in = is_in;
}

void js_finder_finish(struct js_finder *f)
{
    bpe_pattern_finish(&f->pattern);
    memset(f, 0, sizeof *f);
}

/* ---- searching ----------------------------------------------------------------------------------------------- */

int32_t js_search_init(struct js_search *s)
{
    int32_t status = bpe_matcher_init(&s->matcher);
    if (status == 0)
        (void)pcre2_set_match_limit(s->matcher.context, MOST_STEPS);
    return status;
}

void js_search_finish(struct js_search *s)
{
    bpe_matcher_finish(&s->matcher);
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_late(struct js_search *s)
{
    double time = now();
    if (s->deadline == 0)
        s->deadline = time + SECONDS + SECONDS_PER_BYTE * (double)s->size;
    return time > s->deadline;
}

/* Match in windows of starts; pcre2_match's result. */
static int match(const struct js_finder *f, struct js_search *s, const char *text, size_t size, size_t at)
{
    int rc = PCRE2_ERROR_NOMATCH;
    (void)pcre2_set_offset_limit(s->matcher.context, PCRE2_UNSET);
    if (f->is_trusted)
        return bpe_pattern_match(&f->pattern, &s->matcher, text, size, at, 0);
    for (size_t from = at; rc == PCRE2_ERROR_NOMATCH && from <= size; from += STARTS) {
        while (from < size && ((unsigned char)text[from] & 0xc0) == 0x80)
            from++;
        if (from > at && is_late(s))
            return PCRE2_ERROR_MATCHLIMIT;
        (void)pcre2_set_offset_limit(s->matcher.context, from + STARTS - 1);
        rc = bpe_pattern_match(&f->pattern, &s->matcher, text, size, from, 0);
    }
    return rc;
}

/* Onig's iterator: an empty match counts unless the match before ended there; then the search goes on behind the next
 * character. */
static int32_t find_regex(const struct js_finder *f, struct js_search *s, const char *text, size_t size, size_t last,
                          size_t *ret_from, size_t *ret_to)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(s->matcher.data);
    size_t at = last == JS_FIND_FIRST ? 0 : last;
    int32_t c;
    int rc = match(f, s, text, size, at);
    if (rc >= 0 && found[0] == last && found[1] == last) {
        if (last == size)
            return 0;
        at += tok_char(text + at, size - at, &c);
        rc = match(f, s, text, size, at);
    }
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    if (rc < 0 || found[1] < found[0] || found[0] < at) /* it gave up: the rest has no match, so that no text can fail */
        return is_late(s) ? TENON_E_DEADLINE_EXCEEDED : 0;
    *ret_from = found[0];
    *ret_to = found[1];
    return 1;
}

static int32_t find_text(const struct js_finder *f, const char *text, size_t size, size_t at, size_t *ret_from,
                         size_t *ret_to)
{
    const char *found = f->text.size == 1
                            ? memchr(text + at, f->text.data[0], size - at)
                            : memmem(text + at, size - at, f->text.data, (size_t)f->text.size);
    if (found == NULL)
        return 0;
    *ret_from = (size_t)(found - text);
    *ret_to = *ret_from + (size_t)f->text.size;
    return 1;
}

static int32_t find_class(const struct js_finder *f, const char *text, size_t size, size_t at, size_t *ret_from,
                          size_t *ret_to)
{
    while (at < size) {
        int32_t c = -1;
        size_t n = tok_char(text + at, size - at, &c);
        if (c >= 0 && f->is_in(c)) {
            *ret_from = at;
            *ret_to = at + n;
            return 1;
        }
        at += n;
    }
    return 0;
}

int32_t js_find_next(const struct js_finder *f, struct js_search *s, const char *text, size_t size, size_t last,
                     size_t *ret_from, size_t *ret_to)
{
    size_t at = last == JS_FIND_FIRST ? 0 : last;
    if (size == 0)
        return 0;
    if (f->is_in != NULL)
        return find_class(f, text, size, at, ret_from, ret_to);
    if (f->pattern.code != NULL)
        return find_regex(f, s, text, size, last, ret_from, ret_to);
    return f->text.size == 0 ? 0 : find_text(f, text, size, at, ret_from, ret_to);
}
