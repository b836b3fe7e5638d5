/* contents.c - walks descriptions of encodings, for the sake of the reading alone. [any-thread] Contract: contents.h. */
#include "core/plugin/contents.h"

#include <string.h>

#include <tenon/encoding.h>
#include <tenon/quantizer.h>

/* n elements of `size` bytes. One that is not there is refused by name, by whoever uses it. */
static void read_array(const void *array, uint64_t n, uint64_t size)
{
    const volatile uint8_t *p = array;
    for (uint64_t i = 0; p != NULL && i < n * size; i++)
        (void)p[i];
}

static void read_encoding(const struct tenon_encoding *e)
{
    if (e == NULL || e->struct_size < sizeof *e)
        return;
    if (e->n_planes <= TENON_PLANES_MAX)
        read_array(e->planes, e->n_planes, sizeof *e->planes);
    if (e->n_insns <= TENON_PROGRAM_MAX)
        read_array(e->program, e->n_insns, sizeof *e->program);
    for (uint32_t i = 0; e->tables != NULL && e->n_tables <= TENON_TABLES_MAX && i < e->n_tables; i++)
        if (e->tables[i].log2_size <= TENON_TABLE_LOG2_MAX)
            read_array(e->tables[i].values, UINT64_C(1) << e->tables[i].log2_size, sizeof *e->tables[i].values);
}

static void read_quantizer(const void *impl)
{
    struct tenon_quantizer q;
    TENON_COPY_IN(&q, impl);
    for (uint32_t i = 0; q.encodings != NULL && i < q.n_encodings; i++)
        read_encoding(q.encodings[i]);
    for (uint32_t i = 0; q.stored != NULL && i < q.n_stored; i++)
        if (q.stored[i] != NULL && q.stored[i]->struct_size >= sizeof *q.stored[i])
            read_encoding(q.stored[i]->encoding);
}

void tn_contents_read(const struct tn_descriptor *d)
{
    for (uint32_t i = 0; i < d->n_items; i++)
        if (strcmp(d->items[i].iface, TENON_QUANTIZER_IFACE) == 0)
            read_quantizer(d->items[i].impl);
}
