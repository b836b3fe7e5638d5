/* forms.c - NFC, NFD, NFKC and NFKD. Most text has no character that a form would change: it is copied in stretches, and only
 * what lies between them is decomposed, ordered and composed. Decomposing and composing are utf8proc's; the order of marks is
 * not, since utf8proc sorts them by swapping neighbours, which takes a minute of hundred thousand marks on one letter. Pure
 * functions. Contract: forms.h. */
#include "forms.h"

#include <stdbool.h>

#define MOST_PARTS 32 /* code points that one character decomposes into: Unicode has at most 18 */
#define SHORT_RUN 32u /* marks on one letter that swapping is quickest for; words have one or two */

/* Characters that no form changes, alone or beside each other: for the composing ones many more than for the others. A test
 * holds these ranges to utf8proc. */
static bool is_inert(utf8proc_option_t form, int32_t c)
{
    if (c < 0x80)
        return true;
    if ((c >= 0x4e00 && c <= 0x9fff) || (c >= 0x410 && c <= 0x418) || (c >= 0x41a && c <= 0x438) ||
        (c >= 0x43a && c <= 0x44f))
        return true;
    return form == BPE_NFC &&
           (c < 0x300 || (c >= 0x400 && c <= 0x482) || (c >= 0x5d0 && c <= 0x5ea) || (c >= 0x620 && c <= 0x64a) ||
            (c >= 0xe01 && c <= 0xe33) || (c >= 0x2010 && c <= 0x2027) || (c >= 0x2030 && c <= 0x205e) ||
            (c >= 0x2500 && c <= 0x27bf) || (c >= 0x3001 && c <= 0x3029) || (c >= 0x3041 && c <= 0x3096) ||
            (c >= 0x30a1 && c <= 0x30fe) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0xac00 && c <= 0xd7a3) ||
            (c >= 0xff01 && c <= 0xff9d) || (c >= 0x1f300 && c <= 0x1faff));
}

/* ---- the order of marks --------------------------------------------------------------------------------------- */

static int32_t class_of(int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

static void sort_short(utf8proc_int32_t *marks, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        utf8proc_int32_t mark = marks[i];
        size_t at = i;
        for (; at > 0 && class_of(marks[at - 1]) > class_of(mark); at--)
            marks[at] = marks[at - 1];
        marks[at] = mark;
    }
}

/* By counting: classes are small numbers. `spare` has room for as many. */
static void sort_long(utf8proc_int32_t *marks, size_t n, utf8proc_int32_t *spare)
{
    size_t starts[257] = {0};
    for (size_t i = 0; i < n; i++)
        starts[(class_of(marks[i]) & 255) + 1]++;
    for (size_t k = 1; k < 257; k++)
        starts[k] += starts[k - 1];
    memcpy(spare, marks, n * sizeof *marks);
    for (size_t i = 0; i < n; i++)
        marks[starts[class_of(spare[i]) & 255]++] = spare[i];
}

/* Marks that follow each other are ordered by their classes, and among equals as they came. `spare` is [n] too. */
static void order_marks(utf8proc_int32_t *points, size_t n, utf8proc_int32_t *spare)
{
    for (size_t at = 0, end; at < n; at = end + 1) {
        for (end = at; end < n && class_of(points[end]) > 0; end++)
            ;
        if (end - at > SHORT_RUN)
            sort_long(points + at, end - at, spare);
        else if (end > at)
            sort_short(points + at, end - at);
    }
}

/* ---- a stretch ------------------------------------------------------------------------------------------------- */

/* The code points that valid text decomposes into, behind those in `points`. */
static int32_t decompose(utf8proc_option_t form, const char *text, size_t size, struct tok_buffer *points)
{
    int32_t status = 0, c;
    int boundary = 0;
    for (size_t at = 0; status == 0 && at < size;) {
        utf8proc_ssize_t n = 0;
        at += tok_char(text + at, size - at, &c);
        status = tok_reserve(points, MOST_PARTS * sizeof(utf8proc_int32_t));
        if (status == 0)
            n = utf8proc_decompose_char(c, (utf8proc_int32_t *)(points->bytes + points->size), MOST_PARTS, form, &boundary);
        if (n < 0 || n > MOST_PARTS)
            status = TENON_E_OUT_OF_RANGE;
        else
            points->size += (size_t)n * sizeof(utf8proc_int32_t);
    }
    return status;
}

static int32_t put_form(utf8proc_option_t form, const char *text, size_t size, struct tok_buffer *out)
{
    struct tok_buffer points = {0};
    int32_t status = decompose(form, text, size, &points);
    size_t n = points.size / sizeof(utf8proc_int32_t);
    if (status == 0)
        status = tok_reserve(&points, points.size + sizeof(utf8proc_int32_t)); /* to order in, and for utf8proc's NUL */
    if (status == 0) {
        utf8proc_int32_t *all = (utf8proc_int32_t *)points.bytes;
        utf8proc_ssize_t length;
        order_marks(all, n, all + n);
        length = utf8proc_reencode(all, (utf8proc_ssize_t)n, form);
        status = length < 0 ? TENON_E_OUT_OF_RANGE : tok_put(out, points.bytes, (size_t)length);
    }
    tok_buffer_finish(&points);
    return status;
}

/* Bytes of ASCII at the start of text [size], to eight. */
static size_t ascii(const char *text, size_t size)
{
    uint64_t eight;
    size_t at = 0;
    for (; size - at >= sizeof eight; at += sizeof eight) {
        memcpy(&eight, text + at, sizeof eight);
        if ((eight & 0x8080808080808080u) != 0)
            break;
    }
    return at;
}

/* Inert stretches are copied; what lies between them is mapped with the inert character before it, which it may join, and
 * which no text before that can have a part in. */
int32_t bpe_form_put(utf8proc_option_t form, const char *text, size_t size, struct tok_buffer *out)
{
    int32_t status = tok_reserve(out, size), c;
    size_t done = 0, last = 0; /* what is copied up to; where the last character began */
    for (size_t at = 0, n; status == 0 && at < size;) {
        size_t end;
        if ((n = ascii(text + at, size - at)) > 0) {
            at += n;
            last = at - 1;
            continue;
        }
        n = tok_char(text + at, size - at, &c);
        if (c < 0 || is_inert(form, c)) {
            last = c < 0 ? at + n : at;
            at += n;
            continue;
        }
        for (end = at; end < size; end += n) {
            n = tok_char(text + end, size - end, &c);
            if (c < 0 || is_inert(form, c))
                break;
        }
        if (last < done)
            last = done;
        status = tok_put(out, text + done, last - done);
        if (status == 0)
            status = put_form(form, text + last, end - last, out);
        done = last = at = end;
    }
    return status == 0 ? tok_put(out, text + done, size - done) : status;
}

/* Is there a byte that begins a character of U+0300 or above? All below are composed. */
static bool has_marks(const char *text, size_t size)
{
    unsigned char most = 0;
    for (size_t at = 0, end; at < size && most < 0xcc; at = end) {
        end = size - at < 4096 ? size : at + 4096;
        for (size_t i = at; i < end; i++)
            most = (unsigned char)text[i] > most ? (unsigned char)text[i] : most;
    }
    return most >= 0xcc;
}

int32_t bpe_compose(struct tok_buffer *kept, const char *text, size_t size, struct tenon_str *ret)
{
    int32_t status = 0;
    *ret = (struct tenon_str){text, size};
    if (!has_marks(text, size))
        return 0;
    kept->size = 0;
    status = bpe_form_put(BPE_NFC, text, size, kept);
    if (status == 0)
        *ret = (struct tenon_str){kept->bytes, kept->size};
    return status;
}
