/* stream.c - see stream.h. Stop strings are sought in the bytes before they are made valid UTF-8; what is pending is
 * never longer than the longest stop string and a character, so the search is plain. Runs on the engine's thread.
 */
#include "core/engine/stream.h"

#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* ---- UTF-8 -------------------------------------------------------------------------------------------------- */

/* Continuation bytes after a lead, 0 for ASCII, -1: no lead. lo..hi: range of the first continuation (RFC 3629). */
static int lead_info(unsigned char c, unsigned char *lo, unsigned char *hi)
{
    *lo = 0x80, *hi = 0xBF;
    if (c < 0x80)
        return 0;
    if (c >= 0xC2 && c <= 0xDF)
        return 1;
    if (c >= 0xE0 && c <= 0xEF) {
        *lo = c == 0xE0 ? 0xA0 : 0x80;
        *hi = c == 0xED ? 0x9F : 0xBF; /* no surrogates */
        return 2;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        *lo = c == 0xF0 ? 0x90 : 0x80;
        *hi = c == 0xF4 ? 0x8F : 0xBF;
        return 3;
    }
    return -1;
}

/* What stands at p [size], size > 0: length of a whole character; or of a part that can become none, *ret_bad set; or 0:
 * all of it is the start of a character. */
static size_t next_char(const unsigned char *p, size_t size, bool *ret_bad)
{
    unsigned char lo, hi;
    int more = lead_info(p[0], &lo, &hi);
    *ret_bad = more < 0;
    for (int i = 1; i <= more; i++) {
        if ((size_t)i == size)
            return 0;
        if (p[i] < lo || p[i] > hi) {
            *ret_bad = true;
            return (size_t)i;
        }
        lo = 0x80, hi = 0xBF;
    }
    return more < 0 ? 1 : (size_t)more + 1;
}

/* Append [size] bytes of `p` to out as valid UTF-8; *ret_used: without an unfinished character at the end. */
static int32_t emit(const char *p, size_t size, struct tn_buf *out, size_t *ret_used)
{
    size_t used = 0, run = 0; /* [run, used) is valid and not yet appended */
    int32_t rc = TENON_OK;
    while (rc == TENON_OK && used < size) {
        bool bad;
        size_t n = next_char((const unsigned char *)p + used, size - used, &bad);
        if (n == 0)
            break;
        if (bad) {
            rc = tn_buf_append(out, p + run, used - run);
            if (rc == TENON_OK)
                rc = tn_buf_str(out, REPLACEMENT);
            run = used + n;
        }
        used += n;
    }
    if (rc == TENON_OK)
        rc = tn_buf_append(out, p + run, used - run);
    *ret_used = used;
    return rc;
}

/* ---- stop strings -------------------------------------------------------------------------------------------- */

/* Offset of the first stop string that is complete in the pending bytes, or SIZE_MAX. */
static size_t find_stop(const struct tn_stream *st)
{
    size_t first = SIZE_MAX;
    for (uint32_t i = 0; i < st->n_stop; i++) {
        const char *at = memmem(st->pending.data, st->pending.len, st->stop[i].data, (size_t)st->stop[i].size);
        if (at != NULL && (size_t)(at - st->pending.data) < first)
            first = (size_t)(at - st->pending.data);
    }
    return first;
}

/* Bytes at the end of the pending ones that a stop string may begin with. */
static size_t held_for_stop(const struct tn_stream *st)
{
    size_t held = 0;
    for (uint32_t i = 0; i < st->n_stop; i++) {
        size_t n = (size_t)st->stop[i].size - 1;
        for (n = n < st->pending.len ? n : st->pending.len; n > held; n--)
            if (memcmp(st->pending.data + st->pending.len - n, st->stop[i].data, n) == 0)
                held = n; /* ends the loop */
    }
    return held;
}

/* ---- the stream ---------------------------------------------------------------------------------------------- */

static void drop_front(struct tn_buf *b, size_t n)
{
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
    b->data[b->len] = '\0';
}

/* Give out the first `size` pending bytes; `last`: an unfinished character will never be finished. */
static int32_t give(struct tn_stream *st, size_t size, bool last, struct tn_buf *out)
{
    size_t used;
    int32_t rc;
    if (size == 0)
        return TENON_OK;
    rc = emit(st->pending.data, size, out, &used);
    if (rc == TENON_OK && last && used < size) {
        rc = tn_buf_str(out, REPLACEMENT);
        used = size;
    }
    if (rc == TENON_OK)
        drop_front(&st->pending, used);
    return rc;
}

int32_t tn_stream_push(struct tn_stream *st, const char *bytes, uint64_t size, struct tn_buf *out)
{
    size_t stop;
    int32_t rc;
    if (st->stopped || size == 0)
        return TENON_OK;
    rc = tn_buf_append(&st->pending, bytes, (size_t)size);
    if (rc != TENON_OK)
        return rc;
    stop = find_stop(st);
    if (stop == SIZE_MAX)
        return give(st, st->pending.len - held_for_stop(st), false, out);
    st->stopped = true;
    rc = give(st, stop, true, out);
    tn_buf_finish(&st->pending);
    return rc;
}

int32_t tn_stream_flush(struct tn_stream *st, struct tn_buf *out)
{
    return give(st, st->pending.len, true, out);
}

int32_t tn_stream_init(struct tn_stream *st, const struct tenon_str *stop, uint32_t n_stop)
{
    memset(st, 0, sizeof *st);
    tn_buf_init(&st->pending, 0);
    if (n_stop == 0)
        return TENON_OK;
    st->stop = calloc(n_stop, sizeof *st->stop);
    if (st->stop == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; i < n_stop; i++) {
        char *copy;
        if (stop[i].size == 0)
            continue;
        copy = malloc((size_t)stop[i].size);
        if (copy == NULL) {
            tn_stream_finish(st);
            return TENON_E_RESOURCE_EXHAUSTED;
        }
        memcpy(copy, stop[i].data, (size_t)stop[i].size);
        st->stop[st->n_stop++] = (struct tenon_str){ copy, stop[i].size };
    }
    return TENON_OK;
}

void tn_stream_finish(struct tn_stream *st)
{
    for (uint32_t i = 0; i < st->n_stop; i++)
        free((char *)st->stop[i].data);
    free(st->stop);
    tn_buf_finish(&st->pending);
    memset(st, 0, sizeof *st);
}
