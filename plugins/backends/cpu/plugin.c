/* plugin.c - the CPU backend as a plugin: its one device and its table. What it can be told is in settings.c: the instruction
 * level that is not passed, whether weights are packed (packing.c), how wide activations are (plan.c), and to take no composite,
 * so that the host lowers all: for comparing, it is slow. */
#include <stdlib.h>
#include <unistd.h>

#include "plan.h"

static int32_t init(const struct tenon_host *host, void **ret_self, struct tenon_err *err)
{
    struct cpu_plugin *p = calloc(1, sizeof *p);
    if (p == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for the plugin");
    p->threads = host->service(host->ctx, TENON_THREADS_SERVICE);
    p->log = host->service(host->ctx, TENON_LOG_SERVICE);
    p->config = host->service(host->ctx, TENON_CONFIG_SERVICE);
    p->memory = host->service(host->ctx, TENON_MEMORY_SERVICE);
    const char *level = NULL;
    (void)cpu_setting(p, CPU_SET_LEVEL, &level);
    p->cap = cpu_level_find(level);
    p->pack = cpu_setting(p, CPU_SET_PACK, NULL);
    p->claims = cpu_setting(p, CPU_SET_CLAIMS, NULL) == 0;
    p->activations = (enum cpu_activations)cpu_setting(p, CPU_SET_ACTIVATIONS, NULL);
    *ret_self = p;
    return 0;
}

static void fini(void *self)
{
    free(self);
}

/* "model name" of /proc/cpuinfo, or a plain word. */
static void cpu_name(char *buf, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");
    (void)snprintf(buf, size, "processor");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            (void)snprintf(buf, size, "%.100s", colon + 2);
            break;
        }
    }
    if (f != NULL)
        (void)fclose(f);
}

static int32_t device_at(void *self, uint32_t i, struct tenon_device_desc *ret, struct tenon_err *err)
{
    struct cpu_plugin *p = self;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (i != 0)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "cpu", "there is one CPU device");
    *ret = (struct tenon_device_desc){
        .struct_size = sizeof *ret,
        .kind = TENON_DEVICE_CPU,
        .flags = TENON_DEVICE_ROW_EXACT | TENON_DEVICE_UNIFIED | TENON_DEVICE_ANY_ALIGN,
        .compute_units = online > 0 ? (uint32_t)online : 1,
        .name = "cpu",
        .memory_total = p->memory != NULL ? p->memory->total(p->memory->ctx) : 0,
        .memory_free = cpu_memory_free(p),
    };
    cpu_name(ret->description, sizeof ret->description);
    (void)snprintf(ret->level, sizeof ret->level, "%s", cpu_kernels_select(p->cap)->level);
    return 0;
}

static int32_t open_device(void *self, uint32_t i, const char *options, struct tenon_device **ret, struct tenon_err *err)
{
    struct cpu_plugin *p = self;
    if (i != 0)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "cpu", "there is one CPU device");
    if (p->threads == NULL)
        return tenon_fail(err, TENON_E_FAILED_PRECONDITION, "cpu", "the host offers no %s: it is too old", TENON_THREADS_SERVICE);
    struct tenon_device *dev = calloc(1, sizeof *dev);
    if (dev == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "cpu", "no memory for the device");
    *dev = (struct tenon_device){ p, cpu_kernels_select(p->cap), cpu_pack_most(p), p->claims, p->activations };
    int32_t status = cpu_set_options(dev, options, err);
    if (status != 0) {
        free(dev);
        return status;
    }
    *ret = dev;
    return 0;
}

static void close_device(struct tenon_device *dev)
{
    free(dev);
}

static const struct tenon_backend backend = {
    .struct_size = sizeof backend,
    .device_at = device_at,
    .open = open_device,
    .close = close_device,
    .buffer_alloc = cpu_buffer_alloc,
    .buffer_import = cpu_buffer_import,
    .buffer_free = cpu_buffer_free,
    .buffer_map = cpu_buffer_map,
    .upload = cpu_upload,
    .download = cpu_download,
    .query = cpu_query,
    .weight_query = cpu_weight_query,
    .pack = cpu_pack_weight,
    .state_layout = cpu_state_layout,
    .compile = cpu_compile,
    .executable_info = cpu_executable_info,
    .executable_free = cpu_executable_free,
    .stream_create = cpu_stream_create,
    .stream_destroy = cpu_stream_destroy,
    .enqueue = cpu_enqueue,
    .event_wait = cpu_event_wait,
    .event_on_done = cpu_event_on_done,
    .event_free = cpu_event_free,
    .copy_pages = cpu_copy_pages,
    .export_pages = cpu_export_pages,
    .import_pages = cpu_import_pages,
    .profile = cpu_profile,
    .pack_in_use = cpu_pack_in_use,
};

static const struct tenon_item items[] = { TENON_ITEM(TENON_BACKEND_IFACE, "cpu", NULL, &backend) };

static const struct tenon_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi = TENON_ABI,
    .api_level = TENON_API_LEVEL,
    .id = "org.tenon.backend.cpu",
    .version = "0.1.0",
    .vendor = "Tenon",
    .license = "Apache-2.0",
    .description = "Runs graphs on the processor: scalar, AVX2 and AVX-512 kernels chosen at run time",
    .items = items,
    .n_items = 1,
    .item_stride = sizeof items[0],
    .init = init,
    .fini = fini,
};

TENON_PLUGIN_ENTRY(plugin)
