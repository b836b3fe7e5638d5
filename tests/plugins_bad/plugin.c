/* plugin.c - one plugin source that is good, or bad in the one way its TEST_ macro says. What a real author gets wrong is
 * written as he would write it. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <tenon/plugin.h>
#include <tenon/weights.h>

#if defined(TEST_INCOMPLETE)
static const struct tenon_weights weights = {.struct_size = sizeof weights};
static const struct tenon_item items[] = {TENON_ITEM(TENON_WEIGHTS_IFACE, "good", NULL, &weights)};
#else
struct table {
    uint32_t struct_size;
    uint32_t reserved;
    int32_t (*answer)(void *self);
};

static int32_t answer(void *self)
{
    return *(int32_t *)self;
}

static const struct table table = {.struct_size = sizeof table, .answer = answer};
static const char *const keys[] = {"alpha", "beta", NULL};

static const struct tenon_item items[] = {TENON_ITEM("tenon.test/1", "good", keys, &table)};
#endif

#if defined(TEST_CRASH_LOADING)
__attribute__((constructor)) static void crash(void)
{
    (void)raise(SIGBUS);
}
#endif

#if defined(TEST_MISSING_LIBRARY)
int32_t tenon_test_gone(void);
#endif

static int32_t init(const struct tenon_host *host, void **ret_self, struct tenon_err *err)
{
    static int32_t value = 42;
    const struct tenon_config *config = host->service(host->ctx, TENON_CONFIG_SERVICE);
    const struct tenon_alloc *alloc = host->service(host->ctx, TENON_ALLOC_SERVICE);
    const char *setting = config->get(config->ctx, "value");
    void *memory = alloc->alloc(alloc->ctx, 100, 64);
    alloc->free(alloc->ctx, memory);
    if (memory == NULL || host->service(host->ctx, "tenon.engine/1") != NULL)
        return tenon_fail(err, TENON_E_INTERNAL, "test", "the host's services are not as they should be");
    if (setting != NULL)
        value = (int32_t)strtol(setting, NULL, 10);
#if defined(TEST_CRASH)
    (void)raise(SIGSEGV);
#elif defined(TEST_HANG)
    for (;;)
        (void)pause();
#elif defined(TEST_EXIT)
    _exit(0);
#elif defined(TEST_INIT_FAILS)
    return tenon_fail(err, TENON_E_UNAVAILABLE, "test", "the device has no power: plug it in");
#elif defined(TEST_MISSING_LIBRARY)
    value = tenon_test_gone();
#endif
    *ret_self = &value;
    return TENON_OK;
}

static const struct tenon_plugin plugin = {
#if defined(TEST_STRUCT_SIZE)
    .struct_size = 7,
#else
    .struct_size = sizeof plugin,
#endif
#if defined(TEST_ABI)
    .abi = 99,
#else
    .abi = TENON_ABI,
#endif
    .api_level = TENON_API_LEVEL,
    .id = "org.tenon.test.good",
    .version = "1.2",
    .items = items,
    .n_items = 1,
    .item_stride = sizeof items[0],
    .init = init,
};

#if defined(TEST_NO_SYMBOL)
TENON_EXPORT const struct tenon_plugin *tenon_plugin(void);
TENON_EXPORT const struct tenon_plugin *tenon_plugin(void)
{
    return &plugin;
}
#else
TENON_PLUGIN_ENTRY(plugin)
#endif
