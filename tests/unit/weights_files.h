/* weights_files.h - files in memory as a weights plugin gets them, and a look at all that it makes of them. The plugin is the one
 * linked in.
 *
 *     struct wf_files files;
 *     wf_files_init(&files);
 *     wf_files_set(&files, 0, "model.gguf", data, size);
 *     wf_plugin()->open(NULL, &files.table, "model.gguf", &model, &err);
 *     sum = wf_walk(wf_plugin(), model, &files);
 */
#ifndef TESTS_WEIGHTS_FILES_H
#define TESTS_WEIGHTS_FILES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/weights.h>

/* ---- files in memory ---------------------------------------------------------------------------------------- */

#define WF_FILES 8

struct wf_files {
    struct tenon_files table;
    const char *names[WF_FILES]; /* NULL: no such file */
    const void *data[WF_FILES];
    uint64_t sizes[WF_FILES];
};

static inline const char *wf_files_name_at(void *ctx, uint32_t i)
{
    struct wf_files *f = ctx;
    return i < WF_FILES ? f->names[i] : NULL;
}

static inline int32_t wf_files_map(void *ctx, const char *name, uint32_t *ret_id, const void **ret_data, uint64_t *ret_size,
                                   struct tenon_err *err)
{
    struct wf_files *f = ctx;
    for (uint32_t i = 0; i < WF_FILES; i++)
        if (f->names[i] != NULL && strcmp(f->names[i], name) == 0) {
            *ret_id = i;
            *ret_data = f->data[i];
            *ret_size = f->sizes[i];
            return TENON_OK;
        }
    return tenon_fail(err, TENON_E_NOT_FOUND, name, "cannot open: No such file or directory");
}

static inline void wf_files_init(struct wf_files *f)
{
    *f = (struct wf_files){0};
    f->table = (struct tenon_files){sizeof f->table, 0, f, wf_files_name_at, wf_files_map};
}

static inline void wf_files_set(struct wf_files *f, uint32_t i, const char *name, const void *data, uint64_t size)
{
    f->names[i] = name;
    f->data[i] = data;
    f->sizes[i] = size;
}

/* ---- the plugin --------------------------------------------------------------------------------------------- */

int32_t tenon_plugin_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

/* The table of the plugin whose sources are linked in. */
static inline const struct tenon_weights *wf_plugin(void)
{
    const struct tenon_plugin *plugin;
    return tenon_plugin_entry(TENON_ABI, &plugin) == TENON_OK ? plugin->items[0].impl : NULL;
}

/* Look at all an opened model offers, as a host would. Returns a checksum, so that nothing is optimised away; aborts when
 * a range is outside its file. */
static inline uint64_t wf_walk(const struct tenon_weights *weights, struct tenon_weights_model *model, const struct wf_files *f)
{
    const struct tenon_meta *meta = weights->metadata(model);
    struct tenon_meta_entry entry;
    struct tenon_tensor tensor;
    struct tenon_str s;
    uint64_t sum = 0;
    for (uint32_t i = 0; meta->at(meta->ctx, i, &entry) == TENON_OK; i++) {
        for (uint64_t k = 0; k < entry.key.size; k++)
            sum += (uint8_t)entry.key.data[k];
        for (uint64_t k = 0; k < entry.count; k++) {
            int64_t number;
            if (entry.type != TENON_META_STRING) {
                sum += tenon_meta_i64(&entry, k, &number) == TENON_OK ? (uint64_t)number : 1;
            } else if (meta->strings(meta->ctx, &entry, k, 1, &s) != TENON_OK) {
                abort();
            } else if (s.size > 0) {
                sum += (uint8_t)s.data[0] + (uint8_t)s.data[s.size - 1];
            }
        }
    }
    for (uint64_t i = 0; i < weights->tensor_count(model); i++) {
        if (weights->tensor_at(model, i, &tensor, NULL) != TENON_OK ||
            tensor.planes[0].offset > f->sizes[tensor.planes[0].file] ||
            tensor.planes[0].size > f->sizes[tensor.planes[0].file] - tensor.planes[0].offset)
            abort();
        const uint8_t *p = (const uint8_t *)f->data[tensor.planes[0].file] + tensor.planes[0].offset;
        sum += tensor.planes[0].size > 0 ? (uint64_t)p[0] + p[tensor.planes[0].size - 1] : 0;
        sum += (tensor.name.size > 0 ? (uint8_t)tensor.name.data[0] : 0);
    }
    return sum;
}

#endif
