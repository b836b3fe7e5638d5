/* cmd_devices.c - `tenon devices`: where models can run, asked of every backend plugin. One thread. */
#include "core/cli/commands.h"
#include "core/cli/json.h"
#include "core/cli/session.h"
#include "core/plugin/registry.h"

#include <tenon/backend.h>

struct devices {
    struct cli_common common;
};

static const struct cli_option table[] = {
    { "json", CLI_FLAG, offsetof(struct devices, common.json), NULL, "an array of objects", 0, 0 },
    { NULL, 0, 0, NULL, NULL, 0, 0 },
};

static const char *kind_name(int32_t kind)
{
    return kind == TENON_DEVICE_CPU ? "cpu" : kind == TENON_DEVICE_GPU ? "gpu" : "accelerator";
}

static int32_t add_device(struct tn_buf *out, const struct tenon_device_desc *d, const char *backend, bool json, bool first)
{
    if (!json)
        return tn_buf_printf(out, "%-10s %-12s %-10s %4u units %7.1f GiB  %s\n", d->name, kind_name(d->kind), d->level,
                             d->compute_units, (double)d->memory_total / 1073741824.0, d->description);
    int32_t status = tn_buf_printf(out, "%s{\"name\":", first ? "" : ",");
    if (status == 0)
        status = tn_json_text(out, d->name);
    if (status == 0)
        status = tn_buf_printf(out, ",\"backend\":\"%s\",\"kind\":\"%s\",\"description\":", backend, kind_name(d->kind));
    if (status == 0)
        status = tn_json_text(out, d->description);
    if (status == 0)
        status = tn_buf_str(out, ",\"level\":");
    if (status == 0)
        status = tn_json_text(out, d->level);
    return status != 0 ? status
                       : tn_buf_printf(out, ",\"compute_units\":%u,\"memory_total\":%llu,\"memory_free\":%llu}", d->compute_units,
                                       (unsigned long long)d->memory_total, (unsigned long long)d->memory_free);
}

static int32_t list(struct tn_registry *reg, bool json, struct tn_buf *out, struct tenon_err *err)
{
    const struct tn_item *item;
    bool first = true;
    int32_t status = 0;
    for (uint32_t i = 0; status == 0 && tn_registry_find(reg, TENON_BACKEND_IFACE, NULL, i, &item, err) == 0; i++) {
        struct tenon_backend be;
        struct tenon_device_desc d = { .struct_size = sizeof d };
        TENON_COPY_IN(&be, item->impl);
        for (uint32_t j = 0; status == 0 && be.device_at(item->self, j, &d, err) == 0; j++, first = false)
            status = add_device(out, &d, item->name, json, first);
    }
    if (first && status == 0)
        return tenon_fail(err, TENON_E_NOT_FOUND, "devices", "no backend plugin can be used: see `tenon plugins list`");
    return status;
}

int tn_cmd_devices(int argc, char **argv)
{
    struct devices o = { 0 };
    struct cli_session s = { 0 };
    struct cli_args args;
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_buf out = { 0 };
    if (cli_parse(table, &o, argc, argv, &args, &err) != 0)
        return cli_misused(&err);
    if (args.help || args.n != 0) {
        fprintf(args.help ? stdout : stderr, "usage: tenon devices [--json]\n\nWhere models can run.\n");
        return args.help ? CLI_OK : CLI_USAGE;
    }
    int32_t status = cli_runtime_open(&s, &o.common, &err);
    if (status == 0)
        status = list(tn_runtime_registry(s.rt), o.common.json, &out, &err);
    if (status == 0)
        printf(o.common.json ? "[%s]\n" : "%s", out.data != NULL ? out.data : "");
    tn_buf_finish(&out);
    cli_session_close(&s);
    return status != 0 ? cli_failed(&err) : cli_finish_stdout();
}
