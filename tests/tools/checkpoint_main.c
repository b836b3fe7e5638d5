/* checkpoint_main.c - decodes weights of plugins/quantizers/checkpoints, for tests in other languages.
 *
 *     decode_checkpoint --digests                              every encoding's id and the digest of its description
 *     decode_checkpoint ID ROWS COLS < planes > floats         all planes, one after the other; little-endian binary32 out
 *
 * ID is an encoding's or a stored form's: that is unpacked first, in two pieces, as threads would. One thread. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/quantizer.h>
#include <tenon/reference.h>

#include "core/model/encoding.h"

int32_t tenon_plugin_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin); /* plugins/quantizers/checkpoints */

static struct tenon_err err = TENON_ERR_INIT;

static int print_digests(const struct tenon_quantizer *q)
{
    char digest[TN_SHA256_HEX];
    for (uint32_t i = 0; i < q->n_encodings; i++) {
        if (tenon_ref_encoding_verify(q->encodings[i], &err) != TENON_OK || tn_encoding_digest(q->encodings[i], digest, &err) != TENON_OK) {
            fprintf(stderr, "%s: %s\n", err.where, err.message);
            return 1;
        }
        printf("%s %s %s\n", q->encodings[i]->id, digest, strcmp(digest, q->encodings[i]->digest) == 0 ? "" : "differs");
    }
    return 0;
}

/* `bytes` of stdin. Exits when there are fewer. OWN: caller frees */
static void *take(uint64_t bytes)
{
    void *p = bytes < UINT32_MAX ? malloc(bytes + 1) : NULL;
    if (p == NULL || fread(p, 1, bytes, stdin) != bytes) {
        fprintf(stderr, "a plane of %llu bytes cannot be read\n", (unsigned long long)bytes);
        exit(1);
    }
    return p;
}

static void unpack(const struct tenon_stored *s, uint64_t rows, uint64_t cols, void *const *tiles)
{
    void *planes[TENON_PLANES_MAX];
    for (uint32_t p = 0; p < s->n_planes; p++)
        planes[p] = take(s->plane_bytes(s, p, rows, cols));
    uint64_t half = rows / 2 / s->encoding->tile_rows * s->encoding->tile_rows;
    if (s->unpack(s, (const void *const *)planes, rows, cols, half, rows - half, tiles, &err) != TENON_OK ||
        s->unpack(s, (const void *const *)planes, rows, cols, 0, half, tiles, &err) != TENON_OK) {
        fprintf(stderr, "%s: %s\n", err.where, err.message);
        exit(1);
    }
    for (uint32_t p = 0; p < s->n_planes; p++)
        free(planes[p]);
}

static int decode(const struct tenon_encoding *e, const struct tenon_stored *s, uint64_t rows, uint64_t cols)
{
    void *tiles[TENON_PLANES_MAX];
    float *y = malloc(rows * cols * sizeof *y); /* [rows, cols] */
    for (uint32_t p = 0; p < e->n_planes; p++) {
        uint64_t bytes = tenon_encoding_plane_bytes(e, p, rows, cols);
        if (bytes == UINT64_MAX)
            return 1;
        tiles[p] = s == NULL ? take(bytes) : malloc(bytes);
        if (tiles[p] == NULL)
            return 1;
    }
    if (s != NULL)
        unpack(s, rows, cols, tiles);
    if (y == NULL || tenon_ref_decode_rows(e, (const void *const *)tiles, rows, cols, 0, rows, y) != TENON_OK)
        return 1;
    fwrite(y, sizeof *y, rows * cols, stdout);
    for (uint32_t p = 0; p < e->n_planes; p++)
        free(tiles[p]);
    free(y);
    return 0;
}

int main(int argc, char **argv)
{
    const struct tenon_plugin *plugin;
    if (tenon_plugin_entry(TENON_ABI, &plugin) != TENON_OK)
        return 1;
    const struct tenon_quantizer *q = plugin->items[0].impl;
    if (argc == 2 && strcmp(argv[1], "--digests") == 0)
        return print_digests(q);
    if (argc != 4)
        return 2;
    uint64_t rows = strtoull(argv[2], NULL, 10), cols = strtoull(argv[3], NULL, 10);
    for (uint32_t i = 0; i < q->n_encodings; i++)
        if (strcmp(argv[1], q->encodings[i]->id) == 0)
            return decode(q->encodings[i], NULL, rows, cols);
    for (uint32_t i = 0; i < q->n_stored; i++)
        if (strcmp(argv[1], q->stored[i]->id) == 0)
            return decode(q->stored[i]->encoding, q->stored[i], rows, cols);
    fprintf(stderr, "%s: no such encoding\n", argv[1]);
    return 2;
}
