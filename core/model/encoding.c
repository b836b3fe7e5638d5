/* encoding.c - checks of encodings before they are used: the proof is the reference library's, the digest is computed
 * here. Remembers nothing: whoever registers encodings does. Any thread. Contract: encoding.h. */
#include "core/model/encoding.h"

#include <stdlib.h>
#include <string.h>

#include <tenon/quantizer.h>
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
    if (e->digest == NULL || e->digest[0] == '\0')
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, e->id,
                          "it has no digest, which must be %s: the plugin's author must fill it in", digest);
    if (strcmp(e->digest, digest) != 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, e->id,
                          "the digest is %.64s, but the description's is %s: the plugin's author must correct one of them",
                          e->digest, digest);
    return TENON_OK;
}

int32_t tn_quantizer_check(const void *impl, struct tenon_err *err)
{
    struct tenon_quantizer q;
    int32_t rc = TENON_OK;
    TENON_COPY_IN(&q, impl);
    if (q.encodings == NULL && q.n_encodings > 0)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "quantizer", "%u encodings, no array", (unsigned)q.n_encodings);
    for (uint32_t i = 0; rc == TENON_OK && i < q.n_encodings; i++)
        rc = q.encodings[i] != NULL ? tn_encoding_check(q.encodings[i], err)
                                    : tenon_fail(err, TENON_E_INVALID_ARGUMENT, "quantizer", "encoding %u is NULL", (unsigned)i);
    for (uint32_t i = 0; rc == TENON_OK && i < q.n_stored; i++) {
        const struct tenon_stored *s = q.stored != NULL ? q.stored[i] : NULL;
        if (s == NULL || s->struct_size < sizeof *s || s->id == NULL || s->encoding == NULL || s->plane_bytes == NULL ||
            s->unpack == NULL || s->n_planes == 0 || s->n_planes > TENON_PLANES_MAX)
            rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, "quantizer",
                            "stored form %u lacks an id, an encoding, planes or a callback", (unsigned)i);
        else
            rc = tn_encoding_check(s->encoding, err);
    }
    return rc;
}
