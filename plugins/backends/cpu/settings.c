/* settings.c - what the CPU backend can be told: by environment variables, by `set.` lines of its manifest, and by the options of
 * open. A word that is not known changes nothing and is warned of; among a device's options it is refused. [any-thread] */
#include <stdlib.h>

#include "device.h"

#if defined(__x86_64__)
#define LEVELS "scalar|avx2|avx512|avx512_bf16|amx"
#elif defined(__aarch64__)
#define LEVELS "scalar|neon|dotprod|i8mm"
#else
#define LEVELS "scalar"
#endif

static const struct setting {
    const char *variable, *key;
    const char *words; /* the first is the default; in the order of the setting's enum */
} settings[] = {
    [CPU_SET_LEVEL] = { "TENON_CPU_LEVEL", "level", "auto|" LEVELS },
    [CPU_SET_PACK] = { "TENON_CPU_PACK", "pack", "auto|never|always" },
    [CPU_SET_CLAIMS] = { "TENON_CPU_CLAIMS", "claims", "all|none" },
    [CPU_SET_ACTIVATIONS] = { "TENON_CPU_ACTIVATIONS", "activations", "auto|8|16" },
};
#define N_SETTINGS ((int)(sizeof settings / sizeof *settings))

/* Place of the word in the list, -1: it is not there. */
static int place_of(const char *words, const char *word, size_t size)
{
    for (int i = 0;; i++) {
        size_t n = strcspn(words, "|");
        if (n == size && memcmp(words, word, n) == 0)
            return i;
        if (words[n] == '\0')
            return -1;
        words += n + 1;
    }
}

static void warn(const struct cpu_plugin *p, const struct setting *s, const char *from, const char *word)
{
    char text[256];
    int n = snprintf(text, sizeof text, "%s is '%.40s', which is not known: it is taken for '%.*s'; known: %s", from, word,
                     (int)strcspn(s->words, "|"), s->words, s->words);
    if (p->log != NULL && p->log->level >= TENON_LOG_WARN)
        p->log->write(p->log->ctx, TENON_LOG_WARN, text, (uint64_t)n);
}

int cpu_setting(const struct cpu_plugin *p, enum cpu_set which, const char **ret_word)
{
    const struct setting *s = &settings[which];
    const char *variable = secure_getenv(s->variable);
    char key[32];
    if (variable != NULL && *variable == '\0')
        variable = NULL;
    const char *word = variable;
    (void)snprintf(key, sizeof key, "set.%s", s->key);
    if (word == NULL && p->config != NULL)
        word = p->config->get(p->config->ctx, s->key);
    int at = word == NULL ? 0 : place_of(s->words, word, strlen(word));
    if (at < 0)
        warn(p, s, variable != NULL ? s->variable : key, word);
    if (ret_word != NULL)
        *ret_word = at > 0 ? word : NULL;
    return at < 0 ? 0 : at;
}

/* One KEY=WORD of a device's options. */
static int32_t set_option(struct tenon_device *dev, const char *option, size_t size, struct tenon_err *err)
{
    for (int i = CPU_SET_CLAIMS; i < N_SETTINGS; i++) {
        size_t key = strlen(settings[i].key);
        int at = size > key && option[key] == '=' && memcmp(option, settings[i].key, key) == 0
                     ? place_of(settings[i].words, option + key + 1, size - key - 1) : -1;
        if (at < 0)
            continue;
        if (i == CPU_SET_CLAIMS)
            dev->claims = at == 0;
        else
            dev->activations = (enum cpu_activations)at;
        return 0;
    }
    return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "cpu", "device option '%.*s' is not known; known: %s=%s %s=%s", (int)(size < 40 ? size : 40),
                      option, settings[CPU_SET_CLAIMS].key, settings[CPU_SET_CLAIMS].words, settings[CPU_SET_ACTIVATIONS].key,
                      settings[CPU_SET_ACTIVATIONS].words);
}

int32_t cpu_set_options(struct tenon_device *dev, const char *options, struct tenon_err *err)
{
    static const char between[] = " ,;";
    int32_t status = 0;
    while (options != NULL && status == 0 && *(options += strspn(options, between)) != '\0') {
        size_t size = strcspn(options, between);
        status = set_option(dev, options, size, err);
        options += size;
    }
    return status;
}
