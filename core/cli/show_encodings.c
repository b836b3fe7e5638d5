/* show_encodings.c - the encodings of a model's tensors: how many there are, how they lie in bytes, their decode program as text,
 * and what every device makes of them, which is asked of the devices themselves. No weight is read. One thread. Contract:
 * show_encodings.h, tenon/encoding_text.h. */
#include "core/cli/show_encodings.h"

#include <string.h>

#include <tenon/encoding_text.h>

#include "core/cli/json.h"
#include "core/model/device.h"

#define DEVICES_MAX 16u
#define USES_MAX 64u

struct shown {
    struct tn_device devices[DEVICES_MAX];
    uint32_t n_devices;
    struct tn_container *src;
    bool json;
    struct tn_buf *out;
};

/* One encoding in the model. */
struct use {
    const char *id; /* OWN: plugin */
    const struct tn_tensor *example; /* the first of most dims */
    uint64_t tensors, bytes;
};

static void open_devices(struct shown *s, struct tn_registry *reg)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_device listed;
    for (uint32_t i = 0; s->n_devices < DEVICES_MAX && tn_device_at(reg, i, &listed, &err) == TENON_OK; i++)
        if (tn_device_open(reg, listed.desc.name, &s->devices[s->n_devices], &err) == TENON_OK)
            s->n_devices++;
}

/* One pass over the tensors; a model has few encodings. Returns how many. */
static uint32_t collect(const struct tn_container *src, struct use *uses)
{
    uint32_t n = 0;
    for (uint64_t i = 0; i < tn_container_tensor_count(src); i++) {
        const struct tn_tensor *t = tn_container_tensor(src, i);
        uint32_t k = 0;
        while (k < n && strcmp(uses[k].id, t->t.encoding) != 0)
            k++;
        if (k == USES_MAX)
            continue;
        if (k == n)
            uses[n++] = (struct use){.id = t->t.encoding, .example = t};
        if (t->t.n_dims > uses[k].example->t.n_dims)
            uses[k].example = t;
        uses[k].tensors++;
        uses[k].bytes += t->bytes;
    }
    return n;
}

/* ---- rungs -------------------------------------------------------------------------------------------------- */

static const char *rung_name(int32_t rung)
{
    switch (rung) {
    case TENON_RUNG_NATIVE: return "native";
    case TENON_RUNG_COMPILED: return "program";
    case TENON_RUNG_TRANSCODED: return "transcoded";
    case TENON_RUNG_EXPANDED: return "expanded";
    case TENON_RUNG_PER_LAYER: return "expanded per layer";
    default: return "unknown";
    }
}

/* What the device makes of a weight of this encoding that is multiplied and gathered from; NULL: nothing, and err says why. */
static const char *rung_of(const struct tn_device *d, const struct use *u, const struct tenon_encoding *e, struct tenon_err *err)
{
    struct tenon_weight_binding w = {.struct_size = sizeof w, .layer = -1, .uses = TENON_USE_MATMUL | TENON_USE_GATHER,
                                     .encoding = e, .rank = u->example->t.n_dims, .n_planes = e->n_planes, .name = u->id};
    uint64_t bytes = 0;
    int32_t rung = 0;
    memcpy(w.dims, u->example->t.dims, sizeof w.dims);
    uint64_t rows = 1, cols = w.dims[w.rank > 0 ? w.rank - 1 : 0];
    for (uint32_t d = 0; d + 1 < w.rank; d++)
        rows *= w.dims[d]; /* counted when the file was opened */
    for (uint32_t p = 0; p < e->n_planes; p++)
        w.planes[p].size = tenon_encoding_plane_bytes(e, p, rows, cols); /* no buffer: nothing is uploaded for this */
    return d->backend.weight_query(d->device, &w, &rung, &bytes, err) == TENON_OK ? rung_name(rung) : NULL;
}

static int32_t put_rungs(const struct shown *s, const struct use *u, const struct tenon_encoding *e)
{
    int32_t rc = s->json ? tn_buf_str(s->out, ",\"devices\":[") : TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < s->n_devices; i++) {
        struct tenon_err err = TENON_ERR_INIT;
        const char *rung = rung_of(&s->devices[i], u, e, &err), *name = s->devices[i].desc.name;
        if (!s->json) {
            rc = tn_buf_printf(s->out, "  %-10s %s\n", name, rung != NULL ? rung : err.message);
            continue;
        }
        rc = tn_buf_str(s->out, i > 0 ? ",{\"name\":" : "{\"name\":");
        rc = rc == TENON_OK ? tn_json_text(s->out, name) : rc;
        rc = rc == TENON_OK ? tn_buf_str(s->out, ",\"rung\":") : rc;
        rc = rc == TENON_OK ? tn_json_text(s->out, rung) : rc;
        rc = rc == TENON_OK ? tn_buf_str(s->out, ",\"reason\":") : rc;
        rc = rc == TENON_OK ? tn_json_text(s->out, rung == NULL ? err.message : NULL) : rc;
        rc = rc == TENON_OK ? tn_buf_str(s->out, "}") : rc;
    }
    return rc == TENON_OK && s->json ? tn_buf_str(s->out, "]") : rc;
}

/* ---- one encoding ------------------------------------------------------------------------------------------- */

static int32_t put_shape(const struct shown *s, const struct tenon_encoding *e)
{
    int32_t rc = s->json ? tn_buf_printf(s->out, ",\"encoding\":\"%s\"", e->id) : tn_buf_printf(s->out, "  encoding   %s\n", e->id);
    if (rc == TENON_OK)
        rc = s->json ? tn_buf_printf(s->out, ",\"digest\":\"%s\",\"tile\":[%u,%u],\"planes\":[", e->digest, e->tile_rows, e->tile_cols)
                     : tn_buf_printf(s->out, "  digest     %s\n  tile       %u x %u\n", e->digest, e->tile_rows, e->tile_cols);
    for (uint32_t p = 0; rc == TENON_OK && p < e->n_planes; p++) {
        if (!s->json) {
            rc = tn_buf_printf(s->out, "  plane p%u   %s, %u bytes a tile\n", p, e->planes[p].name, e->planes[p].tile_bytes);
            continue;
        }
        rc = tn_buf_str(s->out, p > 0 ? ",{\"name\":" : "{\"name\":");
        rc = rc == TENON_OK ? tn_json_text(s->out, e->planes[p].name) : rc;
        rc = rc == TENON_OK ? tn_buf_printf(s->out, ",\"tile_bytes\":%u}", e->planes[p].tile_bytes) : rc;
    }
    rc = rc == TENON_OK && s->json ? tn_buf_str(s->out, "],\"tables\":[") : rc;
    for (uint32_t t = 0; rc == TENON_OK && t < e->n_tables; t++)
        rc = s->json ? tn_buf_printf(s->out, "%s%u", t > 0 ? "," : "", 1u << e->tables[t].log2_size)
                     : tn_buf_printf(s->out, "  table t%u   %u entries\n", t, 1u << e->tables[t].log2_size);
    return rc == TENON_OK && s->json ? tn_buf_str(s->out, "]") : rc;
}

static int32_t put_program(const struct shown *s, const struct tenon_encoding *e)
{
    int32_t rc = tn_buf_str(s->out, s->json ? ",\"program\":[" : "  program    r0 = element of the tile\n");
    for (uint32_t k = 0; rc == TENON_OK && k < e->n_insns; k++) {
        char text[TENON_INSN_TEXT];
        tenon_insn_print(&e->program[k], text);
        rc = s->json ? tn_buf_printf(s->out, "%s\"%s\"", k > 0 ? "," : "", text) : tn_buf_printf(s->out, "    %2u  %s\n", k, text);
    }
    if (rc == TENON_OK)
        rc = tn_buf_printf(s->out, s->json ? "],\"result\":%u" : "        result r%u\n", e->result);
    return rc;
}

static int32_t put_use(const struct shown *s, const struct use *u, bool first)
{
    const struct tenon_encoding *e = u->example->encoding; /* NULL: what the model is was not found out so far */
    struct tenon_err err = TENON_ERR_INIT;
    unsigned long long tensors = u->tensors, bytes = u->bytes;
    bool there = e != NULL || tn_container_encoding(s->src, u->id, &e, &err) == TENON_OK;
    int32_t rc;
    if (!s->json) {
        rc = tn_buf_printf(s->out, "%s%s  %llu tensor%s", first ? "" : "\n", u->id, tensors, tensors == 1 ? "" : "s");
        rc = rc != TENON_OK ? rc
             : there        ? tn_buf_printf(s->out, ", %.1f MiB\n", (double)bytes / 1048576)
                            : tn_buf_printf(s->out, "\n  %s\n", err.message);
    } else {
        rc = tn_buf_str(s->out, first ? "{\"id\":" : ",{\"id\":");
        rc = rc == TENON_OK ? tn_json_text(s->out, u->id) : rc;
        rc = rc == TENON_OK ? tn_buf_printf(s->out, ",\"tensors\":%llu,\"bytes\":%llu,\"problem\":", tensors, bytes) : rc;
        rc = rc == TENON_OK ? tn_json_text(s->out, there ? NULL : err.message) : rc;
    }
    rc = rc == TENON_OK && there ? put_shape(s, e) : rc;
    rc = rc == TENON_OK && there ? put_rungs(s, u, e) : rc;
    rc = rc == TENON_OK && there ? put_program(s, e) : rc;
    return rc == TENON_OK && s->json ? tn_buf_str(s->out, "}") : rc;
}

int32_t cli_show_encodings(struct tn_registry *reg, struct tn_container *src, bool json, struct tn_buf *out)
{
    struct shown s = {.src = src, .json = json, .out = out};
    int32_t rc = json ? tn_buf_str(out, "{\"encodings\":[") : TENON_OK;
    struct use uses[USES_MAX];
    uint32_t n = collect(src, uses);
    open_devices(&s, reg);
    for (uint32_t i = 0; rc == TENON_OK && i < n; i++)
        rc = put_use(&s, &uses[i], i == 0);
    for (uint32_t i = 0; i < s.n_devices; i++)
        tn_device_close(&s.devices[i]);
    return rc == TENON_OK && json ? tn_buf_str(out, "]") : rc;
}
