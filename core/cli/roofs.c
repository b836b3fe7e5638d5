/* roofs.c - see roofs.h. A device tells how many of a node's operations were on floats and on bytes; the rest is on pairs of
 * 16 bits. */
#include "core/cli/roofs.h"

#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "core/cli/session.h"

static int32_t read_one(const cJSON *all, const char *name, const char *path, double *ret, struct tenon_err *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(all, name);
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble) || item->valuedouble <= 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, path,
                          "no number above 0 as \"%s\": the JSON that roofs prints is expected", name);
    *ret = item->valuedouble;
    return 0;
}

int32_t cli_roofs_read(const char *path, struct cli_roofs *ret, struct tenon_err *err)
{
    char *text = NULL;
    uint64_t size;
    int32_t status = cli_read_all(path, &text, &size, err);
    cJSON *all = status == 0 ? cJSON_ParseWithLength(text, size) : NULL;
    if (status == 0)
        status = read_one(all, "read_bytes_s", path, &ret->read_bytes_s, err);
    if (status == 0)
        status = read_one(all, "int8_ops", path, &ret->int8_ops, err);
    if (status == 0)
        status = read_one(all, "int16_ops", path, &ret->int16_ops, err);
    if (status == 0)
        status = read_one(all, "f32_flops", path, &ret->f32_flops, err);
    cJSON_Delete(all);
    free(text);
    return status;
}

double cli_roof_share(const struct cli_roofs *r, const struct tenon_profile_entry *e, const char **ret_which)
{
    double int16 = e->operations - e->float_operations - e->int8_operations;
    double least = e->float_operations / r->f32_flops + e->int8_operations / r->int8_ops + int16 / r->int16_ops; /* seconds */
    double read = e->seconds > 0 ? e->bytes / r->read_bytes_s / e->seconds : 0;
    double compute = e->seconds > 0 ? least / e->seconds : 0;
    *ret_which = read == 0 && compute == 0 ? "-" : read >= compute ? "read" : "compute";
    return read >= compute ? read : compute;
}
