/* roofs.h - how near a node of a profile came to what the machine can do at best.
 *
 *     struct cli_roofs r;
 *     status = cli_roofs_read("roofs.json", &r, err);         // as tools/peer/roofs.c prints it
 *     double share = cli_roof_share(&r, &entry, &which);      // 0.8, "read"
 *
 * One thread. */
#ifndef TN_CLI_ROOFS_H
#define TN_CLI_ROOFS_H

#include <tenon/backend.h>

struct cli_roofs {
    double read_bytes_s, int8_ops, int16_ops, f32_flops; /* per second, all threads together */
};

int32_t cli_roofs_read(const char *path, struct cli_roofs *ret, struct tenon_err *err);

/* The larger of the times that bytes and that operations, each kind at its own roof, would need, over the time it took; and which
 * of the two it is: "read", "compute", or "-" when the entry knows neither. */
double cli_roof_share(const struct cli_roofs *r, const struct tenon_profile_entry *e, const char **ret_which);

#endif
