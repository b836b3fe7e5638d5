/* directory.h - a Hugging Face directory for tokenizer tests: files of a real folder, or of memory, and the metadata that says
 * which there are.
 *
 *     struct directory d = {0};
 *     directory_add(&d, "tokenizer.json", text, size);          // or directory_open(&d, "/some/folder")
 *     table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err);
 *     directory_close(&d);
 *
 * Files are copied into blocks of just their size, so that sanitizers see what is read beyond them.
 */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdbool.h>
#include <stdio.h>

#include "bpe_meta.h"

#define DIRECTORY_MOST 64u

struct directory {
    struct tenon_files table;
    struct {
        char name[256];
        char *data; /* [size] OWN: this */
        uint64_t size;
    } files[DIRECTORY_MOST]; /* [n] */
    const char *names[DIRECTORY_MOST];
    uint32_t n;
};

static inline const char *directory_name_at(void *ctx, uint32_t i)
{
    struct directory *d = ctx;
    return i < d->n ? d->files[i].name : NULL;
}

static inline int32_t directory_map(void *ctx, const char *name, uint32_t *ret_id, const void **ret_data, uint64_t *ret_size,
                                    struct tenon_err *err)
{
    struct directory *d = ctx;
    for (uint32_t i = 0; i < d->n; i++)
        if (strcmp(d->files[i].name, name) == 0) {
            *ret_id = i;
            *ret_data = d->files[i].data;
            *ret_size = d->files[i].size;
            return 0;
        }
    return tenon_fail(err, TENON_E_NOT_FOUND, name, "no such file");
}

/* Replaces a file of that name. */
static inline void directory_add(struct directory *d, const char *name, const void *data, uint64_t size)
{
    uint32_t i = 0;
    while (i < d->n && strcmp(d->files[i].name, name) != 0)
        i++;
    if (i == DIRECTORY_MOST)
        abort();
    d->n = i == d->n ? d->n + 1 : d->n;
    snprintf(d->files[i].name, sizeof d->files[i].name, "%s", name);
    free(d->files[i].data);
    d->files[i].data = malloc(size);
    d->files[i].size = size;
    if (size > 0)
        memcpy(d->files[i].data, data, size);
    d->table = (struct tenon_files){.struct_size = sizeof d->table, .ctx = d, .name_at = directory_name_at, .map = directory_map};
}

static inline bool directory_load(struct directory *d, const char *folder, const char *name)
{
    char path[1024];
    long size;
    char *data;
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "rb");
    if (f == NULL)
        return false;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    data = malloc((size_t)size + 1);
    if (size < 0 || data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size)
        size = 0;
    fclose(f);
    directory_add(d, name, data, (uint64_t)size);
    free(data);
    return true;
}

/* The files that tokenizers look at. */
static inline bool directory_open(struct directory *d, const char *folder)
{
    static const char *const names[] = {"tokenizer.json", "vocab.txt", "tokenizer.model", "special_tokens_map.json"};
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)directory_load(d, folder, names[i]); /* not all are there */
    return d->n > 0;
}

static inline const struct tenon_meta *directory_meta(struct directory *d, struct test_meta *meta)
{
    for (uint32_t i = 0; i < d->n; i++)
        d->names[i] = d->files[i].name;
    test_meta_strings(meta, "huggingface.files", d->names, d->n);
    (void)test_meta_table(meta);
    meta->table.format = "huggingface";
    return &meta->table;
}

static inline void directory_close(struct directory *d)
{
    for (uint32_t i = 0; i < d->n; i++)
        free(d->files[i].data);
    memset(d, 0, sizeof *d);
}

#endif
