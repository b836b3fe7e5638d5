/* test_bpe_split.c - how the byte-level BPE plugin cuts text into pieces: each split against its published pattern, and the
 * time it takes on runs that repeats could choke on. */
#include <check.h>
#include <cjson/cJSON.h>
#include <string.h>

#include "plugins/tokenizers/bpe/split.h"
#include "random.h"
#include "shared_file.h"

struct pieces {
    size_t sizes[4096], n;
};

static int32_t take_piece(void *arg, const char *piece, size_t size)
{
    struct pieces *p = arg;
    (void)piece;
    p->sizes[p->n++] = size;
    return 0;
}

/* Letters, digits and marks of several scripts, every kind of white space, and what looks like it. */
static size_t random_text(char *out, size_t most)
{
    static const char *const parts[] = {
        "a", "B", "'s", "'LL", " ", "  ", "\n", "\r\n", "\t", "1", "23", "4567", ".", "!?", "_", "$", "\xc3\xa4",
        "\xc3\x9f", "e\xcc\x81", "\xe4\xbd\xa0", "\xe3\x81\x82", "\xe3\x82\xab", "\xed\x95\x9c", "\xf0\x9f\x98\x80", "\xc2\xa0", "\xe2\x80\xa8",
        "\xe1\xa0\x8e", "\xc2\x85", "\xe3\x80\x80", "\xe2\x80\x8b", "\xd9\xa3", "\xc2\xbd", "\xd0\x96", "\xc7\x85", "\xe2\x80\xa6",
        "\xe0\xa5\x8d", "\v", "\f", "\x1c", "/", "(", "|"};
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

/* The published patterns with \s as the standard means it, compiled as they are: the table's must cut alike. */
static void compare_split(const struct bpe_pre *pre, const cJSON *published, struct bpe_matcher *m)
{
    struct bpe_pre plain = {.names = pre->names};
    struct bpe_split want, got;
    static struct pieces a, b;
    const cJSON *step;
    uint32_t n = 0;
    cJSON_ArrayForEach(step, published)
        plain.steps[n++] = step->valuestring;
    ck_assert_int_eq(bpe_split_init(&want, &plain, NULL), 0);
    ck_assert_int_eq(bpe_split_init(&got, pre, NULL), 0);
    for (int round = 0; round < 500; round++) {
        char text[512];
        size_t size = random_text(text, sizeof text);
        a.n = b.n = 0;
        ck_assert_int_eq(bpe_split_run(&want, m, text, size, take_piece, &a), 0);
        ck_assert_int_eq(bpe_split_run(&got, m, text, size, take_piece, &b), 0);
        ck_assert_msg(a.n == b.n && memcmp(a.sizes, b.sizes, a.n * sizeof a.sizes[0]) == 0, "%s: \"%.*s\" is cut otherwise",
                      pre->names, (int)size, text);
    }
    bpe_split_finish(&want);
    bpe_split_finish(&got);
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

static int32_t count_piece(void *arg, const char *piece, size_t size)
{
    (void)piece;
    (void)size;
    ++*(size_t *)arg;
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
    const size_t most = 1u << 18; /* quadratic would take minutes */
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
            ck_assert_int_eq(bpe_split_run(&s, &m, text, size + strlen(endings[e]), count_piece, &pieces), 0);
            ck_assert_msg(seconds() - start < 5, "%s: 256 KiB of \"%s\" and \"%s\" took %.1f s", name, units[u], endings[e],
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
    SRunner *runner = srunner_create(suite);
    int failed;
    tcase_set_timeout(tests, 250);
    tcase_add_test(tests, splits_as_published);
    tcase_add_loop_test(tests, splits_take_linear_time, 0, 23);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
