/* decode_main.c - decodes tiles of a quantizer plugin's encodings by the reference interpreter, for tests in other languages.
 *
 *     decode_gguf --digests                       every encoding's id, the digest of its description, columns and bytes of a tile
 *     decode_gguf gguf.q4_k/1 < tiles > floats    one row; whole tiles in, all planes of each; little-endian binary32 out
 *     decode_gguf --fast gguf.q4_k/1              the same by tenon_ref_decoder
 *     decode_gguf --source c|cuda|opencl|glsl     all programs as source code: C that does as the second form, or kernels
 *
 * decode_tiles does the same with those of checkpoints.
 * The first form is also how the author of a new encoding learns its digest. One thread. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/encoding_print.h>
#include <tenon/quantizer.h>
#include <tenon/reference.h>

#include "core/model/encoding.h"

int32_t tenon_plugin_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin); /* the quantizer's it is linked with */

static const struct tenon_quantizer *linked_quantizer(void)
{
    const struct tenon_plugin *plugin;
    return tenon_plugin_entry(TENON_ABI, &plugin) == TENON_OK ? plugin->items[0].impl : NULL;
}

/* Of all planes. */
static unsigned tile_bytes(const struct tenon_encoding *e)
{
    unsigned bytes = 0;
    for (uint32_t p = 0; p < e->n_planes; p++)
        bytes += e->planes[p].tile_bytes;
    return bytes;
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
        printf("%s %s %u %u\n", e->id, digest, (unsigned)e->tile_cols, tile_bytes(e));
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

/* Planes apart, of tiles that lie in the input one after the other. OWN: caller frees each. */
static bool take_apart(const struct tenon_encoding *e, const uint8_t *data, uint64_t tiles, uint8_t *ret_planes[TENON_PLANES_MAX])
{
    for (uint32_t p = 0, at = 0; p < e->n_planes; at += e->planes[p++].tile_bytes) {
        const uint32_t bytes = e->planes[p].tile_bytes;
        ret_planes[p] = malloc(tiles * bytes + 1);
        if (ret_planes[p] == NULL)
            return false;
        for (uint64_t i = 0; i < tiles; i++)
            memcpy(ret_planes[p] + i * bytes, data + i * tile_bytes(e) + at, bytes);
    }
    return true;
}

/* y [1, cols] of whole tiles. */
static int32_t decode(const struct tenon_encoding *e, const void *const *planes, uint64_t cols, float *y, bool fast)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_ref_decoder *d = NULL;
    int32_t rc = fast ? tenon_ref_decoder_create(e, &d, &err) : tenon_ref_decode_rows(e, planes, 1, cols, 0, 1, y);
    if (fast && rc == TENON_OK)
        rc = tenon_ref_decoder_rows(d, planes, 1, cols, 0, 1, y);
    tenon_ref_decoder_destroy(d);
    return rc;
}

static int decode_input(const struct tenon_encoding *e, bool fast)
{
    size_t size = 0;
    uint8_t *data = read_input(&size), *planes[TENON_PLANES_MAX] = {NULL};
    uint64_t tiles = size / tile_bytes(e), cols = tiles * e->tile_cols;
    float *y = malloc(cols > 0 ? cols * sizeof *y : 1); /* [1, cols] */
    int rc = 1;
    if (data != NULL && y != NULL && size % tile_bytes(e) == 0 && take_apart(e, data, tiles, planes))
        rc = decode(e, (const void *const *)planes, cols, y, fast) == TENON_OK && fwrite(y, sizeof *y, cols, stdout) == cols ? 0 : 1;
    for (uint32_t p = 0; p < e->n_planes; p++)
        free(planes[p]);
    free(y);
    free(data);
    return rc;
}

/* ---- source code -------------------------------------------------------------------------------------------- */

/* Print one text of encoding_print.h; e NULL: the prelude. */
static void put(const struct tenon_encoding *e, int dialect, const char *name)
{
    uint64_t n = e != NULL ? tenon_print_decoder(e, dialect, name, NULL, 0) : tenon_print_prelude(dialect, NULL, 0);
    char *text = malloc(n);
    if (text == NULL)
        exit(1);
    (void)(e != NULL ? tenon_print_decoder(e, dialect, name, text, n) : tenon_print_prelude(dialect, text, n)); /* the same n */
    fwrite(text, 1, n, stdout);
    free(text);
}

/* "base + 0u, base + 32u, ": where the planes of the tile at `base` lie. */
static void put_planes(const struct tenon_encoding *e, const char *base)
{
    for (uint32_t p = 0, at = 0; p < e->n_planes; at += e->planes[p++].tile_bytes)
        printf("%s + %uu, ", base, (unsigned)at);
}

/* What calls decoder number k, as a kernel over elements x of tiles side by side. */
static void put_kernel(const struct tenon_encoding *e, int dialect, uint32_t k)
{
    char base[64];
    (void)snprintf(base, sizeof base, "%sx / %uu * %u%s", dialect == TENON_PRINT_GLSL ? "" : "p + ", (unsigned)e->tile_cols, tile_bytes(e),
                   dialect == TENON_PRINT_CUDA ? "ull" : "u");
    if (dialect == TENON_PRINT_CUDA)
        printf("extern \"C\" __global__ void k%u(const unsigned char *p, float *y, unsigned int n)\n{\n"
               "    unsigned int x = blockIdx.x * blockDim.x + threadIdx.x;\n    if (x < n)\n        y[x] = d%u(", k, k);
    else if (dialect == TENON_PRINT_OPENCL)
        printf("__kernel void k%u(__global const uchar *p, __global float *y)\n{\n    uint x = get_global_id(0);\n    y[x] = d%u(", k, k);
    else
        printf("    case %uu: y[x] = d%u(", k, k);
    put_planes(e, base);
    printf("x %% %uu);%s", (unsigned)e->tile_cols, dialect == TENON_PRINT_GLSL ? " break;\n" : "\n}\n");
}

/* One function of a tile, whatever its planes. */
static void put_function(const struct tenon_encoding *e, uint32_t k)
{
    printf("static float f%u(const uint8_t *p, uint32_t i)\n{\n    return d%u(", k, k);
    put_planes(e, "p");
    printf("i);\n}\n");
}

static const char glsl_head[] =
    "#version 450\nlayout(local_size_x = 64) in;\nlayout(binding = 0) readonly buffer P { uint words[]; };\n"
    "layout(binding = 1) writeonly buffer Y { float y[]; };\nlayout(push_constant) uniform C { uint which; };\n"
    "uint tenon_byte(uint at) { return (words[at >> 2] >> (8u * (at & 3u))) & 255u; }\n";
static const char glsl_main[] = "void main()\n{\n    uint x = gl_GlobalInvocationID.x;\n    switch (which) {\n";

static const char c_main[] =
    "#include <stdio.h>\n#include <stdlib.h>\n"
    "int main(int argc, char **argv)\n{\n    static unsigned char tile[65536];\n    static float y[65536];\n"
    "    unsigned k = 0;\n    while (argc > 1 && k < sizeof all / sizeof *all && strcmp(all[k].id, argv[1]) != 0)\n        k++;\n"
    "    if (argc < 2 || k == sizeof all / sizeof *all)\n        return 2;\n"
    "    while (fread(tile, 1, all[k].bytes, stdin) == all[k].bytes) {\n"
    "        for (unsigned i = 0; i < all[k].cols; i++)\n            y[i] = all[k].decode(tile, i);\n"
    "        fwrite(y, sizeof *y, all[k].cols, stdout);\n    }\n    return 0;\n}\n";

static int print_source(const struct tenon_quantizer *q, const char *word)
{
    static const char *const words[TENON_PRINT_COUNT] = {"c", "cuda", "opencl", "glsl"};
    char name[16];
    int dialect = 0;
    while (dialect < TENON_PRINT_COUNT && strcmp(words[dialect], word) != 0)
        dialect++;
    if (dialect == TENON_PRINT_COUNT)
        return 2;
    fputs(dialect == TENON_PRINT_GLSL ? glsl_head : "", stdout);
    for (unsigned p = 0; dialect == TENON_PRINT_GLSL && p < TENON_PLANES_MAX; p++)
        printf("uint tenon_byte_%u(uint at) { return tenon_byte(at); }\n", p);
    put(NULL, dialect, NULL);
    for (uint32_t k = 0; k < q->n_encodings; k++) {
        (void)snprintf(name, sizeof name, "d%u", (unsigned)k);
        put(q->encodings[k], dialect, name);
    }
    fputs(dialect == TENON_PRINT_GLSL ? glsl_main : "", stdout);
    for (uint32_t k = 0; dialect != TENON_PRINT_C && k < q->n_encodings; k++)
        put_kernel(q->encodings[k], dialect, k);
    fputs(dialect == TENON_PRINT_GLSL ? "    }\n}\n" : "", stdout);
    if (dialect == TENON_PRINT_C) {
        for (uint32_t k = 0; k < q->n_encodings; k++)
            put_function(q->encodings[k], k);
        puts("static const struct { const char *id; unsigned cols, bytes; float (*decode)(const uint8_t *, uint32_t); } all[] = {");
        for (uint32_t k = 0; k < q->n_encodings; k++)
            printf("    {\"%s\", %u, %u, f%u},\n", q->encodings[k]->id, (unsigned)q->encodings[k]->tile_cols,
                   tile_bytes(q->encodings[k]), (unsigned)k);
        printf("};\n%s", c_main);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct tenon_quantizer *quantizer = linked_quantizer();
    const char *id = argv[argc > 1 ? argc - 1 : 0];
    bool fast = argc == 3 && strcmp(argv[1], "--fast") == 0;
    if (quantizer == NULL || argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s --digests | --source LANGUAGE | [--fast] ID < blocks > floats\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "--digests") == 0)
        return print_digests(quantizer);
    if (argc == 3 && strcmp(argv[1], "--source") == 0)
        return print_source(quantizer, argv[2]);
    for (uint32_t i = 0; i < quantizer->n_encodings; i++)
        if (strcmp(id, quantizer->encodings[i]->id) == 0)
            return decode_input(quantizer->encodings[i], fast);
    fprintf(stderr, "%s: no such encoding\n", id);
    return 2;
}
