/* test_bpe_split.c - how the byte-level BPE plugin cuts text into pieces: each split against its published pattern, each
 * hand-made scanner against the patterns it stands for, the classes of all characters against PCRE2, and the time it takes
 * on runs that repeats could choke on. */
#include <cjson/cJSON.h>
#include <string.h>

#include "holds.h"
#include "plugins/tokenizers/bpe/split.h"
#include "random.h"
#include "shared_file.h"
#include "suite.h"

struct pieces {
    size_t sizes[4096], n;
};

static int32_t take_pieces(void *arg, const char *text, const uint32_t *ends, size_t n)
{
    struct pieces *p = arg;
    (void)text;
    for (size_t i = 0; i < n; i++)
        p->sizes[p->n++] = ends[i] - (i > 0 ? ends[i - 1] : 0);
    return 0;
}

/* Letters, digits and marks of several scripts, every kind of white space, and what looks like it. */
static size_t random_text(char *out, size_t most)
{
    static const char *const parts[] = {
        "a", "B", "'s", "'LL", " ", "  ", "\n", "\r\n", "\t", "1", "23", "4567", ".", "!?", "_", "$", "\xc3\xa4",
        "\xc3\x9f", "e\xcc\x81", "\xe4\xbd\xa0", "\xe3\x81\x82", "\xe3\x82\xab", "\xed\x95\x9c", "\xf0\x9f\x98\x80", "\xc2\xa0", "\xe2\x80\xa8",
        "\xe1\xa0\x8e", "\xc2\x85", "\xe3\x80\x80", "\xe2\x80\x8b", "\xd9\xa3", "\xc2\xbd", "\xd0\x96", "\xc7\x85", "\xe2\x80\xa6",
        "\xe0\xa5\x8d", "\v", "\f", "\x1c", "/", "(", "|", "'", "'Re", "'v", "'\xc5\xbf", "\xc5\xbf", "\xe2\x84\xaa",
        "\xcc\x81", "\xca\xb0", "\xc2\xaa", "abcdefgh", "lowercase", "UPPERCASE", "na\xc3\xafvet\xc3\xa9", "CamelCase",
        "\xf0\x9d\x9f\x99", "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8", "\xcd\xb8", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\xef\xbf\xbf",
        "        ", " \n", "\r", "\xc2\xad", "\xe2\x82\xac"};
    size_t n = 0, count = next_random() % 40;
    while (count-- > 0) {
        const char *part = parts[next_random() % (sizeof parts / sizeof parts[0])];
        if (n + strlen(part) > most)
            break;
        memcpy(out + n, part, strlen(part));
        n += strlen(part);
    }
    return n;
}

static void check_same(const char *names, const struct bpe_split *want, const struct bpe_split *got, struct bpe_matcher *m,
                       const char *text, size_t size)
{
    static struct pieces a, b;
    a.n = b.n = 0;
    HOLDS(bpe_split_run(want, m, text, size, take_pieces, &a) == 0, "%s: no pieces by pattern", names);
    HOLDS(bpe_split_run(got, m, text, size, take_pieces, &b) == 0, "%s: no pieces", names);
    HOLDS(a.n == b.n && memcmp(a.sizes, b.sizes, a.n * sizeof a.sizes[0]) == 0, "%s: \"%.*s\" is cut otherwise", names,
          (int)size, text);
}

/* Patterns as they are, never a scanner: that one knows them by their text. OWN: *ret_texts, by free. */
static void init_patterns(struct bpe_split *s, const char *const *steps, char **ret_texts)
{
    struct bpe_pre plain = {0};
    char *text = malloc(BPE_PRE_STEPS * 8192);
    *ret_texts = text;
    for (uint32_t n = 0; n < BPE_PRE_STEPS && steps[n] != NULL; n++) {
        plain.steps[n] = text;
        text += sprintf(text, "(?:%s)", steps[n]) + 1;
    }
    ck_assert_int_eq(bpe_split_init(s, &plain, NULL), 0);
    ck_assert_ptr_null(s->scan);
}

/* The published patterns with \s as the standard means it, compiled as they are: the table's must cut alike. */
static void compare_split(const struct bpe_pre *pre, const cJSON *published, struct bpe_matcher *m)
{
    const char *steps[BPE_PRE_STEPS] = {NULL};
    struct bpe_split want, got;
    const cJSON *step;
    char *texts;
    uint32_t n = 0;
    cJSON_ArrayForEach(step, published)
        steps[n++] = step->valuestring;
    init_patterns(&want, steps, &texts);
    ck_assert_int_eq(bpe_split_init(&got, pre, NULL), 0);
    for (int round = 0; round < 500; round++) {
        char text[512];
        check_same(pre->names, &want, &got, m, text, random_text(text, sizeof text));
    }
    bpe_split_finish(&want);
    bpe_split_finish(&got);
    free(texts);
}

START_TEST(splits_as_published)
{
    uint64_t size;
    char *data = shared_file("data/pre-tokenizers.jsonl", &size);
    struct bpe_matcher m;
    if (data == NULL)
        return;
    seed_random("splits_as_published");
    ck_assert_int_eq(bpe_matcher_init(&m), 0);
    for (char *line = strtok(data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        cJSON *row = cJSON_Parse(line);
        const cJSON *names = cJSON_GetObjectItem(row, "names"), *name;
        cJSON_ArrayForEach(name, names) {
            const struct bpe_pre *pre = bpe_pre_find(name->valuestring, strlen(name->valuestring));
            ck_assert_msg(pre != NULL, "%s", name->valuestring);
            if (name == names->child)
                compare_split(pre, cJSON_GetObjectItem(row, "split"), &m);
        }
        cJSON_Delete(row);
    }
    bpe_matcher_finish(&m);
    free(data);
}
END_TEST

static const char *const scanned[] = {"gpt-2", "smollm", "llama-bpe", "minicpm5", "qwen2", "bailingmoe", "qwen35", "seed-coder",
                                      "gpt-4o", "tekken", "deepseek-coder"};

/* All texts of up to four characters, one of each kind that a scanner tells from others, and long random ones. */
START_TEST(scanners_as_their_patterns)
{
    static const char *const kinds[] = {"", "a", "S", "'", " ", "\n", "\t", "1", "!", "/", "\xcc\x81", "\xe4\xbd\xa0", "\xc5\xbf",
                                        "\xc3\xa4", "\xc2\xa0", "\xe3\x80\x80", "="};
    const size_t n = sizeof kinds / sizeof kinds[0];
    const struct bpe_pre *pre = bpe_pre_find(scanned[_i], strlen(scanned[_i]));
    struct bpe_split want, got;
    struct bpe_matcher m;
    char *texts, text[512];
    seed_random(scanned[_i]);
    ck_assert_int_eq(bpe_matcher_init(&m), 0);
    init_patterns(&want, pre->steps, &texts);
    ck_assert_int_eq(bpe_split_init(&got, pre, NULL), 0);
    ck_assert_ptr_nonnull(got.scan);
    for (size_t i = 0; i < n * n * n * n; i++) {
        int size = sprintf(text, "%s%s%s%s", kinds[i % n], kinds[i / n % n], kinds[i / n / n % n], kinds[i / n / n / n]);
        check_same(pre->names, &want, &got, &m, text, (size_t)size);
    }
    for (int round = 0; round < 4000; round++)
        check_same(pre->names, &want, &got, &m, text, random_text(text, sizeof text));
    bpe_split_finish(&want);
    bpe_split_finish(&got);
    bpe_matcher_finish(&m);
    free(texts);
}
END_TEST

/* Set a bit of every character that the pattern matches in a text of all code points, by where it begins. */
static void mark(const char *pattern, uint8_t bit, struct bpe_matcher *m, const char *text, size_t size, uint8_t *marks)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(m->data);
    struct bpe_pattern p;
    ck_assert_int_eq(bpe_pattern_init(&p, pattern, NULL), 0);
    for (size_t at = 0; bpe_pattern_match(&p, m, text, size, at, PCRE2_NOTEMPTY_ATSTART) > 0; at = found[1])
        for (size_t i = found[0]; i < found[1]; i++)
            marks[i] |= bit;
    bpe_pattern_finish(&p);
}

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80)
        return (size_t)sprintf(out, "%c", (int)c);
    if (c < 0x800)
        return (size_t)sprintf(out, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 63)));
    if (c < 0x10000)
        return (size_t)sprintf(out, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 63)), (int)(0x80 | (c & 63)));
    return (size_t)sprintf(out, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 63)), (int)(0x80 | (c >> 6 & 63)),
                           (int)(0x80 | (c & 63)));
}

START_TEST(classes_are_those_of_pcre2)
{
    static const struct {
        const char *pattern;
        uint8_t bit;
    } classes[] = {
        {"\\p{L}+", BPE_LETTER}, {"[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+", BPE_UPPER}, {"\\p{M}+", BPE_MARK},
        {"[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+", BPE_LOWER}, {"\\p{N}+", BPE_NUMBER}, {"\\s+", BPE_SPACE},
        {"\\p{P}+", BPE_PUNCTUATION}, {"[^\\p{L}\\p{M}\\p{N}\\s\\p{P}]+", BPE_OTHER},
    };
    char *text = malloc(4 * BPE_CODE_SPACE + 1);
    uint8_t *marks = calloc(4, BPE_CODE_SPACE);
    struct bpe_matcher m;
    struct bpe_classes c;
    size_t size = 0, at = 0;
    ck_assert_int_eq(bpe_matcher_init(&m), 0);
    ck_assert_int_eq(bpe_classes_init(&c, NULL), 0);
    for (uint32_t i = 0; i < BPE_CODE_SPACE; i++)
        size += i < 0xd800 || i > 0xdfff ? put_utf8(i, text + size) : 0;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        mark(classes[i].pattern, classes[i].bit, &m, text, size, marks);
    for (uint32_t i = 0; i < BPE_CODE_SPACE; i++) {
        if (i >= 0xd800 && i <= 0xdfff)
            continue;
        HOLDS(bpe_class(&c, &m, i) == marks[at], "U+%04X is %x, not %x", i, bpe_class(&c, &m, i), marks[at]);
        at += i < 0x80 ? 1 : i < 0x800 ? 2 : i < 0x10000 ? 3 : 4;
    }
    ck_assert(!m.failed);
    bpe_classes_finish(&c);
    bpe_matcher_finish(&m);
    free(text);
    free(marks);
}
END_TEST

static int32_t count_pieces(void *arg, const char *text, const uint32_t *ends, size_t n)
{
    (void)text;
    (void)ends;
    *(size_t *)arg += n;
    return 0;
}

/* Runs that patterns with nested or competing repeats could choke on, with several endings. */
START_TEST(splits_take_linear_time)
{
    static const char *const names[] = {"default", "gpt-2", "smollm", "falcon", "llama-bpe", "qwen2", "qwen35", "minicpm5",
        "tekken", "gpt-4o", "tiny_aya", "deepseek-llm", "deepseek-coder", "deepseek-v3", "bloom", "viking", "bailingmoe",
        "seed-coder", "exaone-moe", "laguna", "superbpe", "gemma4", "whitespace"};
    static const char *const units[] = {"a", "A", " ", "a ", "7", "\t", "\n", " \n", ".", "'", "\xcc\x81", "\xe4\xbd\xa0", "aA", "\xc2\xbd", "123\xc2\xbd"};
    static const char *const endings[] = {"", "x", "7", "\n", "\xe4\xbd\xa0"};
    const size_t most = 1u << 17; /* quadratic would take many seconds, on any machine */
    size_t pieces = 0;
    char *text = malloc(most + 8);
    struct bpe_matcher m;
    struct bpe_split s;
    const char *name = names[_i];
    ck_assert_int_eq(bpe_matcher_init(&m), 0);
    ck_assert_int_eq(bpe_split_init(&s, bpe_pre_find(name, strlen(name)), NULL), 0);
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++)
        for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++) {
            size_t unit = strlen(units[u]), size = most / unit * unit;
            double start = seconds();
            for (size_t i = 0; i < size; i++)
                text[i] = units[u][i % unit];
            memcpy(text + size, endings[e], strlen(endings[e]));
            HOLDS(bpe_split_run(&s, &m, text, size + strlen(endings[e]), count_pieces, &pieces) == 0, "%s", name);
            HOLDS(seconds() - start < 2, "%s: 128 KiB of \"%s\" and \"%s\" took %.1f s", name, units[u], endings[e],
                          seconds() - start);
        }
    bpe_split_finish(&s);
    bpe_matcher_finish(&m);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bpe_split");
    TCase *tests = tcase_create("bpe_split");
    tcase_set_timeout(tests, 250);
    tcase_add_test(tests, splits_as_published);
    tcase_add_loop_test(tests, scanners_as_their_patterns, 0, sizeof scanned / sizeof scanned[0]);
    tcase_add_test(tests, classes_are_those_of_pcre2);
    tcase_add_loop_test(tests, splits_take_linear_time, 0, 23);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
