/* decode_main.c - decodes blocks of a GGUF encoding by the reference interpreter, for tests in other languages.
 *
 *     decode_gguf --digests                       every encoding's id and the digest of its description
 *     decode_gguf gguf.q4_k/1 < blocks > floats   one row; whole tiles in, little-endian binary32 out
 *
 * The first form is also how the author of a new encoding learns its digest. One thread. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/quantizer.h>
#include <tenon/reference.h>

#include "core/model/encoding.h"

int32_t tenon_plugin_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin); /* plugins/quantizers/gguf */

static const struct tenon_quantizer *gguf_quantizer(void)
{
    const struct tenon_plugin *plugin;
    return tenon_plugin_entry(TENON_ABI, &plugin) == TENON_OK ? plugin->items[0].impl : NULL;
}

static int print_digests(const struct tenon_quantizer *quantizer)
{
    struct tenon_err err = TENON_ERR_INIT;
    char digest[TN_SHA256_HEX];
    for (uint32_t i = 0; i < quantizer->n_encodings; i++) {
        const struct tenon_encoding *e = quantizer->encodings[i];
        if (tenon_ref_encoding_verify(e, &err) != TENON_OK || tn_encoding_digest(e, digest, &err) != TENON_OK) {
            fprintf(stderr, "%s: %s\n", err.where, err.message);
            return 1;
        }
        printf("%s %s\n", e->id, digest);
    }
    return 0;
}

/* All of stdin. OWN: caller frees. */
static uint8_t *read_input(size_t *ret_size)
{
    size_t size = 0, capacity = 1 << 20;
    uint8_t *data = malloc(capacity);
    while (data != NULL) {
        size_t n = fread(data + size, 1, capacity - size, stdin);
        size += n;
        if (size < capacity) {
            *ret_size = size;
            return data;
        }
        uint8_t *larger = realloc(data, capacity *= 2);
        if (larger == NULL)
            free(data);
        data = larger;
    }
    return NULL;
}

static int decode_input(const struct tenon_encoding *e)
{
    size_t size = 0;
    uint8_t *blocks = read_input(&size);
    uint64_t cols = size / e->planes[0].tile_bytes * e->tile_cols;
    float *y = malloc(cols > 0 ? cols * sizeof *y : 1); /* [1, cols] */
    int rc = 1;
    if (blocks != NULL && y != NULL && size % e->planes[0].tile_bytes == 0) {
        const void *planes[] = {blocks};
        rc = tenon_ref_decode_rows(e, planes, 1, cols, 0, 1, y) == TENON_OK && fwrite(y, sizeof *y, cols, stdout) == cols
                 ? 0 : 1;
    }
    free(y);
    free(blocks);
    return rc;
}

int main(int argc, char **argv)
{
    const struct tenon_quantizer *quantizer = gguf_quantizer();
    if (argc != 2 || quantizer == NULL) {
        fprintf(stderr, "usage: %s --digests | ID < blocks > floats\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "--digests") == 0)
        return print_digests(quantizer);
    for (uint32_t i = 0; i < quantizer->n_encodings; i++)
        if (strcmp(argv[1], quantizer->encodings[i]->id) == 0)
            return decode_input(quantizer->encodings[i]);
    fprintf(stderr, "%s: no such encoding\n", argv[1]);
    return 2;
}
