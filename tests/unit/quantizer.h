/* quantizer.h - the encodings of plugins/quantizers/gguf, which is linked into the test.
 *
 *     const struct tenon_encoding *e = encoding("gguf.q4_0/1");
 */
#ifndef QUANTIZER_H
#define QUANTIZER_H

#include <check.h>
#include <string.h>

#include <tenon/quantizer.h>

tenon_plugin_entry_fn tenon_plugin_entry;

static inline const struct tenon_quantizer *quantizer(void)
{
    const struct tenon_plugin *plugin;
    ck_assert_int_eq(tenon_plugin_entry(TENON_ABI, &plugin), TENON_OK);
    ck_assert_str_eq(plugin->items[0].iface, TENON_QUANTIZER_IFACE);
    return plugin->items[0].impl;
}

static inline const struct tenon_encoding *encoding(const char *id)
{
    const struct tenon_quantizer *q = quantizer();
    for (uint32_t i = 0; i < q->n_encodings; i++)
        if (strcmp(q->encodings[i]->id, id) == 0)
            return q->encodings[i];
    ck_abort_msg("no encoding %s", id);
    return NULL;
}

#endif
