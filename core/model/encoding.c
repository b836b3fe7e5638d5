/* encoding.c - checks of encodings before they are used: the proof is the reference library's, the digest is computed
 * here. Remembers nothing: whoever registers encodings does. Any thread. Contract: encoding.h. */
#include "core/model/encoding.h"

#include <stdlib.h>
#include <string.h>

#include <tenon/reference.h>

int32_t tn_encoding_digest(const struct tenon_encoding *e, char ret_hex[TN_SHA256_HEX], struct tenon_err *err)
{
    uint64_t size = tenon_encoding_canonical(e, NULL, 0); /* below 1 MiB: the sizes of a well-formed one are bounded */
    char *text = malloc(size);
    if (text == NULL)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, e->id, "out of memory for the canonical text of %llu bytes",
                          (unsigned long long)size);
    (void)tenon_encoding_canonical(e, text, size); /* the size is known */
    int32_t rc = tn_sha256(text, size, ret_hex, err);
    free(text);
    return rc;
}

int32_t tn_encoding_check(const struct tenon_encoding *e, struct tenon_err *err)
{
    char digest[TN_SHA256_HEX];
    int32_t rc = tenon_ref_encoding_verify(e, err);
    if (rc == TENON_OK)
        rc = tn_encoding_digest(e, digest, err);
    if (rc != TENON_OK)
        return rc;
    if (e->digest == NULL || strcmp(e->digest, digest) != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, e->id,
                          "the digest is %.64s, but the description's is %s: the plugin's author must correct one of them",
                          e->digest != NULL ? e->digest : "missing", digest);
    return TENON_OK;
}
