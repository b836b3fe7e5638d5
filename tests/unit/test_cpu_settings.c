/* test_cpu_settings.c - what the CPU backend can be told: known words count, others are warned of or refused with what is known. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_machine.h"
#include "plugins/backends/cpu/device.h"
#include "suite.h"

int32_t cpu_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

/* What the plugin sees of a host: threads of a machine, its manifest's one line, and what it wrote to the log. */
struct told {
    struct tenon_host host;
    const struct tenon_threads *threads;
    const struct tenon_memory *memory;
    struct tenon_config config;
    struct tenon_log log;
    const char *key, *word;
    char text[1024];
};

static const char *get(void *ctx, const char *key)
{
    struct told *t = ctx;
    return t->key != NULL && strcmp(key, t->key) == 0 ? t->word : NULL;
}

static void note(void *ctx, int32_t level, const char *text, uint64_t size)
{
    struct told *t = ctx;
    ck_assert_int_eq(level, TENON_LOG_WARN);
    strncat(t->text, text, size);
}

static const void *service(void *ctx, const char *id)
{
    struct told *t = ctx;
    return strcmp(id, TENON_THREADS_SERVICE) == 0 ? (const void *)t->threads : strcmp(id, TENON_CONFIG_SERVICE) == 0 ? &t->config
           : strcmp(id, TENON_LOG_SERVICE) == 0 ? (const void *)&t->log : strcmp(id, TENON_MEMORY_SERVICE) == 0 ? t->memory : NULL;
}

static uint64_t total(void *ctx)
{
    (void)ctx;
    return 9000;
}

static uint64_t available(void *ctx)
{
    (void)ctx;
    return 1000;
}

static const struct tenon_memory memory = { .struct_size = sizeof memory, .total = total, .available = available };

/* A device of a plugin whose manifest says set.key = word. */
static int32_t open_told(struct told *t, const char *key, const char *word, const char *options, struct tenon_device **ret,
                         struct tenon_err *err)
{
    static const struct tenon_threads threads = { .struct_size = sizeof threads };
    const struct tenon_plugin *plugin;
    void *self;
    *t = (struct told){ .threads = &threads, .memory = &memory, .key = key, .word = word };
    t->host = (struct tenon_host){ .struct_size = sizeof t->host, .abi = TENON_ABI, .ctx = t, .service = service };
    t->config = (struct tenon_config){ .struct_size = sizeof t->config, .ctx = t, .get = get };
    t->log = (struct tenon_log){ .struct_size = sizeof t->log, .level = TENON_LOG_WARN, .ctx = t, .write = note };
    ck_assert_int_eq(cpu_entry(TENON_ABI, &plugin), 0);
    ck_assert_int_eq(plugin->init(&t->host, &self, err), 0);
    const struct tenon_backend *be = plugin->items[0].impl;
    int32_t status = be->open(self, 0, options, ret, err);
    if (status != 0)
        plugin->fini(self);
    return status;
}

static void close_told(struct tenon_device *dev)
{
    struct cpu_plugin *p = dev->plugin;
    free(dev);
    free(p);
}

#define OPENED(key, word, options, want)                                           \
    do {                                                                           \
        struct told t;                                                             \
        struct tenon_device *dev;                                                  \
        struct tenon_err err = TENON_ERR_INIT;                                     \
        ck_assert_int_eq(open_told(&t, key, word, options, &dev, &err), 0);        \
        ck_assert_msg(want, "%s=%s, options %s: not " #want, #key, #word, #options); \
        ck_assert_msg(t.text[0] == '\0', "%s", t.text);                            \
        close_told(dev);                                                           \
    } while (0)

START_TEST(known_words_count)
{
    OPENED(NULL, NULL, NULL, dev->activations == CPU_ACTIVATIONS_AUTO && dev->claims && dev->k == cpu_kernels_select(CPU_LEVEL_BEST));
    OPENED("activations", "8", NULL, dev->activations == CPU_ACTIVATIONS_8);
    OPENED("activations", "16", "", dev->activations == CPU_ACTIVATIONS_16);
    OPENED("activations", "16", "activations=auto", dev->activations == CPU_ACTIVATIONS_AUTO);
    OPENED("level", "scalar", " claims=none, activations=8", dev->k == cpu_kernels_select(CPU_LEVEL_SCALAR) && !dev->claims &&
           dev->activations == CPU_ACTIVATIONS_8);
    OPENED("claims", "none", NULL, !dev->claims);
    OPENED("pack", "auto", NULL, dev->pack_most == 500);
    OPENED("pack", "never", NULL, dev->pack_most == 0);
    OPENED("pack", "always", NULL, dev->pack_most == UINT64_MAX);
    ck_assert_int_eq(setenv("TENON_CPU_ACTIVATIONS", "8", 1), 0);
    OPENED("activations", "16", NULL, dev->activations == CPU_ACTIVATIONS_8);
    ck_assert_int_eq(setenv("TENON_CPU_ACTIVATIONS", "", 1), 0); /* as good as none */
    OPENED("activations", "16", NULL, dev->activations == CPU_ACTIVATIONS_16);
    ck_assert_int_eq(unsetenv("TENON_CPU_ACTIVATIONS"), 0);
}
END_TEST

static void check_warned(const char *key, const char *word, const char *part)
{
    struct told t;
    struct tenon_device *dev;
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_int_eq(open_told(&t, key, word, NULL, &dev, &err), 0);
    ck_assert_msg(strstr(t.text, part) != NULL, "'%s' has no '%s'", t.text, part);
    ck_assert(dev->activations == CPU_ACTIVATIONS_AUTO && dev->claims && dev->pack_most == 500);
    close_told(dev);
}

START_TEST(unknown_words_are_warned_of)
{
    check_warned("activations", "9", "set.activations is '9', which is not known: it is taken for 'auto'; known: auto|8|16");
    check_warned("level", "avx1024", "known: auto|scalar");
#if defined(__x86_64__) /* a level of another processor is as unknown */
    check_warned("level", "neon", "set.level is 'neon', which is not known: it is taken for 'auto'");
#else
    check_warned("level", "avx2", "set.level is 'avx2', which is not known: it is taken for 'auto'");
#endif
    check_warned("claims", "", "set.claims is ''");
    check_warned("pack", "neve", "known: auto|never|always");
    ck_assert_int_eq(setenv("TENON_CPU_LEVEL", "SCALAR", 1), 0);
    check_warned(NULL, NULL, "TENON_CPU_LEVEL is 'SCALAR'");
    ck_assert_int_eq(unsetenv("TENON_CPU_LEVEL"), 0);
}
END_TEST

START_TEST(unknown_options_are_refused)
{
    static const char *const wrong[] = { "activations=9", "activations=", "activations", "claims=none,fast", "level=scalar", "=8" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct told t;
        struct tenon_device *dev = NULL;
        struct tenon_err err = TENON_ERR_INIT;
        ck_assert_int_eq(open_told(&t, NULL, NULL, wrong[i], &dev, &err), TENON_E_INVALID_ARGUMENT);
        ck_assert_msg(strstr(err.message, "known: claims=all|none activations=auto|8|16") != NULL, "%s", err.message);
        ck_assert_ptr_null(dev);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu_settings");
    TCase *tc = tcase_create("words");
    tcase_add_test(tc, known_words_count);
    tcase_add_test(tc, unknown_words_are_warned_of);
    tcase_add_test(tc, unknown_options_are_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
