/* fuzz_manifest.c - any bytes as two layers of one manifest, cut at the first NUL: an error or a manifest, never more. */
#include <stdlib.h>
#include <string.h>

#include "core/plugin/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tn_manifest m;
    const uint8_t *cut = memchr(data, 0, size);
    size_t first = cut != NULL ? (size_t)(cut - data) : size;
    tn_manifest_init(&m);
    int32_t rc = tn_manifest_apply(&m, (const char *)data, first, "/low/a.plugin", "/low", &err);
    if (rc == TENON_OK && cut != NULL)
        rc = tn_manifest_apply(&m, (const char *)cut + 1, size - first - 1, "/high/a.plugin", "/high", &err);
    if (rc == TENON_OK && (m.priority > 1000 || (m.library != NULL && (m.library[0] == '/' || m.library_dir == NULL))))
        abort();
    if (rc != TENON_OK && err.message[0] == '\0')
        abort();
    for (uint32_t i = 0; rc == TENON_OK && i < m.provides.n; i++)
        if (strchr(m.provides.items[i], ':') == NULL)
            abort();
    tn_manifest_finish(&m);
    return 0;
}
