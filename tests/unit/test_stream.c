/* test_stream.c - text from bytes cut anywhere: the same text whatever the cuts, valid UTF-8 always, nothing of a stop
 * string. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/stream.h"
#include "suite.h"

#define FFFD "\xEF\xBF\xBD"

/* Push `size` bytes in pieces whose lengths come from the bits of `cuts`; returns the whole text. OWN: caller. */
static char *run(const char *bytes, size_t size, const char *stop, const char *stop2, uint64_t cuts, bool *ret_stopped)
{
    struct tenon_str stops[2] = { { stop, stop != NULL ? strlen(stop) : 0 }, { stop2, stop2 != NULL ? strlen(stop2) : 0 } };
    struct tn_stream st;
    struct tn_buf out;
    size_t len;
    tn_buf_init(&out, 0);
    ck_assert_int_eq(tn_stream_init(&st, stops, 2), 0);
    for (size_t i = 0; i < size;) {
        size_t n = 1;
        while (i + n < size && (cuts >> ((i + n) % 61) & 1) == 0)
            n++;
        ck_assert_int_eq(tn_stream_push(&st, bytes + i, n, &out), 0);
        i += n;
    }
    ck_assert_int_eq(tn_stream_flush(&st, &out), 0);
    if (ret_stopped != NULL)
        *ret_stopped = st.stopped;
    tn_stream_finish(&st);
    ck_assert_int_eq(tn_buf_append(&out, "", 0), 0);
    return tn_buf_take(&out, &len);
}

static void check(const char *bytes, size_t size, const char *stop, const char *stop2, const char *want, bool want_stopped)
{
    static const uint64_t cuts[] = { 0, ~0ull, 0x5555555555555555, 0x9249249249249249, 0xdeadbeefcafe1234, 0x0102040810204080 };
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        bool stopped;
        char *text = run(bytes, size, stop, stop2, cuts[i], &stopped);
        ck_assert_msg(strcmp(text, want) == 0, "cuts %zu: \"%s\", not \"%s\"", i, text, want);
        ck_assert_int_eq(stopped, want_stopped);
        free(text);
    }
}

#define CHECK(bytes, stop, stop2, want, stopped) check(bytes, sizeof(bytes) - 1, stop, stop2, want, stopped)

START_TEST(characters_are_joined)
{
    CHECK("na\xC3\xAFve \xE2\x82\xAC \xF0\x9F\x98\x80!", NULL, NULL, "na\xC3\xAFve \xE2\x82\xAC \xF0\x9F\x98\x80!", false);
    CHECK("", NULL, NULL, "", false);
}
END_TEST

/* Replacement as Unicode's table 3-8: one per maximal part. */
START_TEST(what_is_no_character_is_replaced)
{
    CHECK("a\x80" "b", NULL, NULL, "a" FFFD "b", false);
    CHECK("\xC0\xAF", NULL, NULL, FFFD FFFD, false);             /* overlong */
    CHECK("\xE0\x80\xBF", NULL, NULL, FFFD FFFD FFFD, false);
    CHECK("\xED\xA0\x80", NULL, NULL, FFFD FFFD FFFD, false);    /* surrogate */
    CHECK("\xF4\x91\x92\x93", NULL, NULL, FFFD FFFD FFFD FFFD, false); /* above U+10FFFF */
    CHECK("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", NULL, NULL, FFFD FFFD FFFD FFFD "A", false);
    CHECK("x\xE2\x82", NULL, NULL, "x" FFFD, false);             /* cut off at the end */
}
END_TEST

START_TEST(stop_strings)
{
    CHECK("one two three", "two", NULL, "one ", true);
    CHECK("one twtwo", "two", NULL, "one tw", true);
    CHECK("aab aaab", "aaab", NULL, "aab ", true);
    CHECK("end with tw", "two", NULL, "end with tw", false);
    CHECK("a\nUser: hi", "\nUser:", "hi", "a", true);
    CHECK("first second", "second", "st", "fir", true);
    CHECK("\xE2\x82\xAC|stop|x", "|stop|", NULL, "\xE2\x82\xAC", true);
    CHECK("cut \xE2\x82STOP", "STOP", NULL, "cut " FFFD, true);
    CHECK("all", "", "", "all", false);
}
END_TEST

/* Nothing is held longer than needed: text comes out with the push that makes it safe. */
START_TEST(text_is_not_held_without_need)
{
    struct tenon_str stop = { "STOP", 4 };
    struct tn_stream st;
    struct tn_buf out;
    tn_buf_init(&out, 0);
    ck_assert_int_eq(tn_stream_init(&st, &stop, 1), 0);
    ck_assert_int_eq(tn_stream_push(&st, "abcST", 5, &out), 0);
    ck_assert_uint_eq(out.len, 3);
    ck_assert_int_eq(tn_stream_push(&st, "x\xE2\x82", 3, &out), 0);
    ck_assert_uint_eq(out.len, 6);
    ck_assert_int_eq(tn_stream_push(&st, "\xAC", 1, &out), 0);
    ck_assert_uint_eq(out.len, 9);
    tn_stream_finish(&st);
    tn_buf_finish(&out);
}
END_TEST

START_TEST(random_bytes_give_the_same_text_whatever_the_cuts)
{
    uint64_t seed = (uint64_t)_i * 0x9E3779B97F4A7C15ull + 1;
    char bytes[48];
    char *whole;
    for (size_t i = 0; i < sizeof bytes; i++) {
        static const char pool[] = "ab\xE2\x82\xAC\xF0\x9F\x98\x80\xC3\xA9\x80\xFF";
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        bytes[i] = pool[(seed >> 33) % (sizeof pool - 1)];
    }
    whole = run(bytes, sizeof bytes, "abab", "\xAC\xF0", 0, NULL);
    for (uint64_t k = 1; k < 20; k++) {
        char *text = run(bytes, sizeof bytes, "abab", "\xAC\xF0", k * 0xD1342543DE82EF95ull, NULL);
        ck_assert_msg(strcmp(text, whole) == 0, "seed %d, cuts %d", _i, (int)k);
        free(text);
    }
    free(whole);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tc = tcase_create("stream");
    tcase_add_test(tc, characters_are_joined);
    tcase_add_test(tc, what_is_no_character_is_replaced);
    tcase_add_test(tc, stop_strings);
    tcase_add_test(tc, text_is_not_held_without_need);
    tcase_add_loop_test(tc, random_bytes_give_the_same_text_whatever_the_cuts, 0, 200);
    suite_add_tcase(suite, tc);
    return run_suite_unforked(suite);
}
