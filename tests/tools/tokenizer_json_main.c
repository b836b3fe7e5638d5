/* tokenizer_json_main.c - tokenizer_json_ids DIR [--special]: a directory's tokenizer on many texts, for scripts. Standard input is
 * texts, each behind its size in four bytes, little-endian; standard output has a line per text: its ids, a tab, and what they
 * decode to in hexadecimal. Without texts it says how long opening took. */
#include <stdio.h>
#include <time.h>

#include <tenon/tokenizer.h>

#include "../unit/bpe_meta.h"
#include "../unit/directory.h"

int32_t tokenizer_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

static const struct tenon_tokenizer *table;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void print_text(struct tenon_tokenizer_object *tok, const int32_t *ids, uint64_t n)
{
    static char buf[1 << 24]; /* of the longest token */
    uint64_t state = 0, got;
    for (uint64_t i = 0; i < n; i++) {
        if (table->decode(tok, &state, ids[i], TENON_DECODE_SPECIAL, buf, sizeof buf, &got, NULL) != 0)
            abort();
        if (got > sizeof buf)
            abort();
        for (uint64_t k = 0; k < got; k++)
            printf("%02x", (unsigned char)buf[k]);
    }
}

static int run(struct tenon_tokenizer_object *tok, uint32_t flags)
{
    unsigned char head[4];
    double spent = 0;
    uint64_t bytes = 0;
    while (fread(head, 1, 4, stdin) == 4) {
        struct tenon_err err = TENON_ERR_INIT;
        size_t size = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        char *text = malloc(size + 1);
        int32_t *ids = malloc((64 * size + 4096) * sizeof *ids);
        uint64_t n = 0;
        double start = seconds();
        if (text == NULL || ids == NULL || fread(text, 1, size, stdin) != size)
            return 1;
        start = seconds();
        if (table->encode(tok, text, size, flags, ids, 64 * size + 4096, &n, &err) != 0) {
            printf("ERROR %s\n", err.message);
        } else {
            spent += seconds() - start;
            bytes += size;
            for (uint64_t i = 0; i < n; i++)
                printf("%s%d", i > 0 ? " " : "", ids[i]);
            printf("\t");
            print_text(tok, ids, n);
            printf("\n");
        }
        free(text);
        free(ids);
    }
    if (bytes > 0)
        fprintf(stderr, "%llu bytes at %.1f MB/s\n", (unsigned long long)bytes, (double)bytes / spent / 1e6);
    return 0;
}

int main(int argc, char **argv)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_tokenizer_object *tok;
    const struct tenon_plugin *plugin;
    struct test_meta meta = {0};
    struct directory d;
    double start;
    int status = 1;
    if (argc < 2 || !directory_open(&d, argv[1]))
        return 2;
    tokenizer_entry(TENON_ABI, &plugin);
    table = plugin->items[0].impl;
    start = seconds();
    if (table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err) == 0) {
        fprintf(stderr, "opened in %.1f ms\n", (seconds() - start) * 1e3);
        status = run(tok, argc > 2 ? TENON_ENCODE_SPECIAL : 0);
        table->close(NULL, tok);
    } else {
        printf("ERROR %s\n", err.message);
    }
    directory_close(&d);
    test_meta_finish(&meta);
    return status;
}
