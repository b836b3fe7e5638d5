/* regex.c - puts a regular expression of a tokenizer.json, which is Oniguruma's in Ruby's syntax, into PCRE2's words. Where both
 * have a word and mean different things by it, what Oniguruma means is written out: its word characters and POSIX brackets are
 * wider, scripts are not extended, "m" lets a dot match newlines, and a "+" after an interval repeats the interval. Keeps track
 * of the beginning of the item at hand, which repeating needs. Pure functions. Contract: regex.h. */
#include "regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define MOST_GROUPS 200u
#define NO_ITEM SIZE_MAX

/* Insides of classes. */
#define WORDS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define WORD WORDS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}" /* \w outside of brackets has some of Latin 1 besides */
#define GRAPH "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"

struct group {
    size_t start;    /* in the output */
    uint32_t closes; /* parentheses to close it: an isolated option goes on to the end of its group, alternatives and all */
};

struct translation {
    const char *at, *end;
    struct tok_buffer *out;
    int32_t status;
    uint32_t brackets; /* open ones: a class in a class is a part of it */
    uint32_t closes;   /* parentheses that the class at hand needs behind it */
    size_t opened;     /* bytes between the item and that class, which they close */
    bool is_common;    /* the class is a part of what "&&" has */
    uint32_t n_groups;
    struct group groups[MOST_GROUPS]; /* [n_groups + 1], the first is the whole */
    size_t item;       /* in the output, where what a quantifier repeats begins; NO_ITEM: nothing to repeat */
};

/* ---- output -------------------------------------------------------------------------------------------------- */

static void put(struct translation *t, const char *text, size_t size)
{
    if (t->status == 0)
        t->status = tok_put(t->out, text, size);
}

static void put_text(struct translation *t, const char *text)
{
    put(t, text, strlen(text));
}

/* Copy up to `to` of the pattern, or of what is left of it. */
static void copy(struct translation *t, const char *to)
{
    to = to < t->end ? to : t->end;
    put(t, t->at, (size_t)(to - t->at));
    t->at = to;
}

/* Put a text before the item at hand. */
static void wrap(struct translation *t, const char *open)
{
    const size_t n = strlen(open);
    put(t, open, n); /* room, and its bytes are moved over */
    if (t->status != 0)
        return;
    memmove(t->out->bytes + t->item + n, t->out->bytes + t->item, t->out->size - t->item - n);
    memcpy(t->out->bytes + t->item, open, n);
}

static void refuse(struct translation *t)
{
    if (t->status == 0)
        t->status = TENON_E_UNIMPLEMENTED;
}

/* What a class does not have, within brackets, which have no word for that: "[\\W_]" is "(?:[^\\w]|[_])", and "[^\\W_]" is
 * "(?:(?=[\\w])[^_])". Lest the brackets be empty, a newline is put there, which no class has. */
static void put_complement(struct translation *t, const char *inside)
{
    char open[256];
    if (t->status != 0 || t->is_common) {
        refuse(t);
        return;
    }
    (void)snprintf(open, sizeof open, t->out->bytes[t->item + t->opened + 1] == '^' ? "(?:(?=[%s])" : "(?:[^%s]|", inside); /* fits */
    wrap(t, open);
    t->opened += strlen(open);
    t->closes++;
    put_text(t, "\\n");
}

/* A class by its inside: bare within brackets, else in some of its own. */
static void put_class(struct translation *t, const char *inside, bool is_negated)
{
    if (t->brackets > 0 && is_negated) {
        put_complement(t, inside);
        return;
    }
    if (t->brackets == 0)
        put_text(t, is_negated ? "[^" : "[");
    put_text(t, inside);
    if (t->brackets == 0)
        put_text(t, "]");
}

/* ---- properties and POSIX brackets ---------------------------------------------------------------------------- */

enum syntax { POSIX = 1, PROPERTY = 2 };

static const struct {
    const char *name, *inside, *outside; /* outside: what is not in it; NULL: it takes brackets to say that */
    int syntax;                          /* that it is of */
} classes[] = {
    {"alpha", "\\p{Alphabetic}", "\\P{Alphabetic}", POSIX | PROPERTY},
    {"upper", "\\p{Uppercase}", "\\P{Uppercase}", POSIX | PROPERTY},
    {"lower", "\\p{Lowercase}", "\\P{Lowercase}", POSIX | PROPERTY},
    {"digit", "\\p{Nd}", "\\P{Nd}", POSIX | PROPERTY},
    {"space", "\\s", "\\P{White_Space}", POSIX | PROPERTY},
    {"cntrl", "\\p{Cc}", "\\P{Cc}", POSIX | PROPERTY},
    {"punct", "\\p{P}\\p{S}", NULL, POSIX},
    {"punct", "\\p{P}", "\\P{P}", PROPERTY},
    {"alnum", "\\p{Alphabetic}\\p{Nd}", NULL, POSIX | PROPERTY},
    {"blank", "\\t\\p{Zs}", NULL, POSIX | PROPERTY},
    {"xdigit", "0-9a-fA-F", NULL, POSIX | PROPERTY},
    {"word", WORDS, NULL, POSIX | PROPERTY},
    {"graph", GRAPH, NULL, POSIX | PROPERTY},
    {"print", GRAPH "\\p{Zs}", NULL, POSIX | PROPERTY},
    {"letter", "\\p{L}", "\\P{L}", PROPERTY},
    {"mark", "\\p{M}", "\\P{M}", PROPERTY},
    {"number", "\\p{N}", "\\P{N}", PROPERTY},
    {"punctuation", "\\p{P}", "\\P{P}", PROPERTY},
    {"symbol", "\\p{S}", "\\P{S}", PROPERTY},
    {"separator", "\\p{Z}", "\\P{Z}", PROPERTY},
    {"other", "\\p{C}", "\\P{C}", PROPERTY},
};

/* Put the class of a name in any case; false: there is none. */
static bool put_named(struct translation *t, enum syntax syntax, const char *name, size_t size, bool is_negated)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        bool is_word = strcmp(classes[i].name, "word") == 0;
        if ((classes[i].syntax & syntax) == 0 || strlen(classes[i].name) != size || strncasecmp(classes[i].name, name, size) != 0)
            continue;
        if (is_negated && classes[i].outside != NULL)
            put_text(t, classes[i].outside);
        else
            put_class(t, is_word && t->brackets == 0 ? WORD : classes[i].inside, is_negated);
        return true;
    }
    return false;
}

/* Is it the name of a script? PCRE2 knows. */
static bool is_script(const char *name, size_t size)
{
    char pattern[64];
    PCRE2_SIZE offset;
    pcre2_code *code;
    int error, n = snprintf(pattern, sizeof pattern, "\\p{sc:%.*s}", (int)(size < 40 ? size : 40), name);
    code = size >= 40 ? NULL : pcre2_compile((PCRE2_SPTR)pattern, (PCRE2_SIZE)n, PCRE2_UTF, &error, &offset, NULL);
    pcre2_code_free(code);
    return code != NULL;
}

/* \p and \P at t->at. Without a brace it is a letter. */
static void property(struct translation *t)
{
    const char *name = t->at + 3, *close = t->end - t->at > 3 && t->at[2] == '{' ? memchr(name, '}', (size_t)(t->end - name)) : NULL;
    bool is_negated = t->at[1] == 'P';
    size_t size;
    if (close == NULL) {
        put(t, t->at + 1, 1);
        t->at += 2;
        return;
    }
    t->at = close + 1;
    if (*name == '^') {
        is_negated = !is_negated;
        name++;
    }
    size = (size_t)(close - name);
    if (put_named(t, PROPERTY, name, size, is_negated))
        return;
    put_text(t, is_negated ? "\\P{" : "\\p{");
    put_text(t, is_script(name, size) ? "sc:" : ""); /* by itself PCRE2 has the characters that scripts share, too */
    put(t, name, size);
    put_text(t, "}");
}

/* "[:alpha:]" within brackets. */
static void posix(struct translation *t)
{
    const char *name = t->at + 2, *close = memmem(name, (size_t)(t->end - name), ":]", 2);
    bool is_negated = close != NULL && *name == '^';
    if (close == NULL || !put_named(t, POSIX, name + is_negated, (size_t)(close - name) - is_negated, is_negated))
        refuse(t);
    else
        t->at = close + 2;
}

/* ---- escapes -------------------------------------------------------------------------------------------------- */

#define BEFORE "(?<=[" WORD "])"
#define NOT_BEFORE "(?<![" WORD "])"
#define AFTER "(?=[" WORD "])"
#define NOT_AFTER "(?![" WORD "])"

/* \uXXXX */
static void code_point(struct translation *t)
{
    t->at += 2;
    if (t->end - t->at < 4) {
        refuse(t);
        return;
    }
    put_text(t, "\\x{");
    copy(t, t->at + 4);
    put_text(t, "}");
}

/* What is spelled with a name or number behind it, copied with that. */
static void with_name(struct translation *t)
{
    char open = t->end - t->at > 2 ? t->at[2] : '\0';
    const char close = open == '{' ? '}' : open == '<' ? '>' : open == '\'' ? '\'' : '\0';
    const char *end = close == '\0' ? NULL : memchr(t->at + 3, close, (size_t)(t->end - t->at - 3));
    copy(t, end == NULL ? t->at + 2 : end + 1);
}

static void escaped(struct translation *t)
{
    const char c = t->end - t->at > 1 ? t->at[1] : '\0';
    const char *with = NULL;
    switch (c) {
    case 'u': code_point(t); return;
    case 'p': case 'P': property(t); return;
    case 'x': case 'k': case 'g': case 'o': with_name(t); return;
    case '\0': /* nothing is escaped */
    case 'X':  /* PCRE2 10.42 takes emojis side by side as one grapheme */
    case 'G':  /* a search starts anew in each window */
        refuse(t);
        return;
    case 'h': case 'H': put_class(t, "0-9a-fA-F", c == 'H'); break;
    case 'w': case 'W': put_class(t, t->brackets > 0 ? WORDS : WORD, c == 'W'); break;
    case 'S': with = t->brackets > 0 ? "\\P{White_Space}" : "\\S"; break;
    case 'R': /* before its own PCRE2 makes ".+" possessive, as if a dot were none of these */
        with = t->brackets > 0 ? "R" : "(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])";
        break;
    case 'v': with = "\\x{b}"; break;
    case 'O': with = "(?s:.)"; break;
    case 'Q': case 'E': case 'L': case 'U': case 'l': case 'F': put(t, &c, 1); break; /* no more than letters */
    case 'b': with = t->brackets > 0 ? "\\x{8}" : "(?:" BEFORE NOT_AFTER "|" NOT_BEFORE AFTER ")"; break;
    case 'B': with = "(?:" BEFORE AFTER "|" NOT_BEFORE NOT_AFTER ")"; break;
    default: copy(t, t->at + 2); return;
    }
    if (with != NULL)
        put_text(t, with);
    t->at += 2;
}

/* ---- brackets ------------------------------------------------------------------------------------------------- */

static void open_bracket(struct translation *t)
{
    t->brackets++;
    t->at++;
    if (t->brackets > 1) { /* a part of the one around it */
        if (t->at < t->end && *t->at == '^')
            refuse(t);
        return;
    }
    put_text(t, "[");
    t->opened = 0;
    if (t->at < t->end && *t->at == '^')
        copy(t, t->at + 1);
    if (t->at < t->end && *t->at == ']') { /* the first is itself */
        put_text(t, "\\]");
        t->at++;
    }
}

static void in_brackets(struct translation *t);

/* "[a&&[^b]]" or "[a&&b]": a look ahead at the first, then the second. What is no such class is refused. */
static void in_common(struct translation *t)
{
    const size_t item = t->item; /* where the class begins */
    bool is_nested = t->end - t->at > 2 && t->at[2] == '[';
    if (t->brackets > 1 || t->closes > 0 || t->out->size < item + 2 || t->out->bytes[item + 1] == '^') {
        refuse(t);
        return;
    }
    wrap(t, "(?:(?=");
    put_text(t, "])");
    t->is_common = true;
    t->at += 2;
    t->item = t->out->size;
    if (is_nested) { /* a class of its own */
        t->brackets = 0;
        open_bracket(t);
    } else {
        put_text(t, "[");
    }
    while (t->status == 0 && t->brackets > 0 && t->at < t->end)
        in_brackets(t);
    if (is_nested && (t->at == t->end || *t->at++ != ']'))
        refuse(t);
    put_text(t, ")");
    t->is_common = false;
    t->item = item;
}

static void in_brackets(struct translation *t)
{
    const char next = t->end - t->at > 1 ? t->at[1] : '\0';
    if (*t->at == '\\') {
        escaped(t);
    } else if (*t->at == '[' && next == ':') {
        posix(t);
    } else if (*t->at == '[') {
        open_bracket(t);
    } else if (*t->at == ']') {
        t->at++;
        if (--t->brackets == 0)
            put_text(t, "]");
        for (; t->brackets == 0 && t->closes > 0; t->closes--)
            put_text(t, ")");
    } else if (*t->at == '&' && next == '&') {
        in_common(t);
    } else {
        copy(t, t->at + 1);
    }
}

/* ---- groups --------------------------------------------------------------------------------------------------- */

/* "(?imx-imx" and what follows: ":" begins a group, ")" the rest of the one around it. */
static void options(struct translation *t, const char *end)
{
    struct group *around = &t->groups[t->n_groups];
    size_t start = t->out->size;
    bool is_isolated = *end == ')';
    for (; t->at < end; t->at++)
        put(t, *t->at == 'm' ? "s" : t->at, 1);
    put_text(t, ":");
    t->at = end + 1;
    t->item = NO_ITEM;
    if (is_isolated)
        around->closes++;
    else if (++t->n_groups < MOST_GROUPS)
        t->groups[t->n_groups] = (struct group){start, 1};
}

static void open_group(struct translation *t)
{
    bool is_special = t->end - t->at > 1 && t->at[1] == '?';
    const char *at = t->at + 2;
    if (is_special && t->end - at > 0 && *at == '#') { /* a comment */
        const char *close = memchr(at, ')', (size_t)(t->end - at));
        t->at = close == NULL ? t->end : close + 1;
        return;
    }
    while (is_special && at < t->end && strchr("imx-", *at) != NULL && *at != '\0')
        at++;
    if (is_special && at > t->at + 2 && at < t->end && (*at == ':' || *at == ')')) {
        options(t, at);
    } else if (++t->n_groups < MOST_GROUPS) {
        t->groups[t->n_groups] = (struct group){t->out->size, 1};
        copy(t, t->at + (is_special ? 2 : 1));
        t->item = NO_ITEM;
    }
    if (t->n_groups >= MOST_GROUPS)
        refuse(t);
}

static void close_group(struct translation *t)
{
    struct group *g = &t->groups[t->n_groups];
    if (t->n_groups == 0) { /* one too many, which PCRE2 will say */
        copy(t, t->at + 1);
        return;
    }
    for (; g->closes > 1; g->closes--)
        put_text(t, ")");
    copy(t, t->at + 1);
    t->item = g->start;
    t->n_groups--;
}

/* ---- quantifiers ---------------------------------------------------------------------------------------------- */

/* The end of "{n}", "{n,}", "{,m}" or "{n,m}" at `at`; NULL: it is none. */
static const char *interval(const char *at, const char *end, bool *ret_has_comma)
{
    const char *first = ++at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    *ret_has_comma = at < end && *at == ',';
    if (*ret_has_comma)
        for (at++; at < end && *at >= '0' && *at <= '9';)
            at++;
    return at < end && *at == '}' && at > first + *ret_has_comma ? at + 1 : NULL;
}

/* A brace. Behind an interval "+" is a further quantifier and not a possessive one, and so is "?" where it has no comma. */
static void brace(struct translation *t)
{
    bool has_comma = false, repeats;
    const char *end = t->item == NO_ITEM ? NULL : interval(t->at, t->end, &has_comma);
    if (end == NULL) {
        t->item = t->out->size;
        put_text(t, "\\{");
        t->at++;
        return;
    }
    repeats = end < t->end && (*end == '+' || (*end == '?' && !has_comma));
    if (repeats)
        wrap(t, "(?:");
    put_text(t, t->at[1] == ',' ? "{0" : "{");
    t->at++;
    copy(t, end);
    if (repeats)
        put_text(t, ")");
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static void outside(struct translation *t)
{
    const size_t start = t->out->size;
    switch (*t->at) {
    case '(': open_group(t); return;
    case ')': close_group(t); return;
    case '{': brace(t); return;
    case '*': case '+': case '?': copy(t, t->at + 1); return;
    case '|': t->item = NO_ITEM; copy(t, t->at + 1); return;
    case '\\': escaped(t); break;
    case '[': open_bracket(t); break;
    default:
        if (((unsigned char)*t->at & 0xc0) == 0x80) { /* within a character */
            copy(t, t->at + 1);
            return;
        }
        copy(t, t->at + 1);
    }
    t->item = start;
}

int32_t js_regex_translate(struct tenon_str pattern, struct tok_buffer *out)
{
    struct translation t = {.at = pattern.data, .end = pattern.data + pattern.size, .out = out, .item = NO_ITEM};
    put_text(&t, "(?m)"); /* ^ and $ are of lines */
    while (t.status == 0 && t.at < t.end)
        if (t.brackets > 0)
            in_brackets(&t);
        else
            outside(&t);
    for (; t.n_groups == 0 && t.groups[0].closes > 0; t.groups[0].closes--)
        put_text(&t, ")");
    put(&t, "", 1); /* ends it */
    return t.status;
}
