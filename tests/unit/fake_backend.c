/* fake_backend.c - the backend of fake_plugins.h: it executes no graph, but reads tokens back out of KV pages. */
#include "fake_backend.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_plugins.h"

struct tenon_buffer {
    char *memory;
    int owned;
};
struct tenon_executable {
    const struct tenon_graph *graph;
};
struct tenon_event {
    int32_t status;
};

static int32_t be_device_at(void *self, uint32_t i, struct tenon_device_desc *ret, struct tenon_err *err)
{
    (void)self;
    if (i > 0)
        return tenon_fail(err, TENON_E_OUT_OF_RANGE, "fake", "one device");
    *ret = (struct tenon_device_desc){ .struct_size = sizeof *ret, .kind = TENON_DEVICE_CPU, .name = "fake", .level = "none" };
    return TENON_OK;
}

static int32_t be_open(void *self, uint32_t i, const char *options, struct tenon_device **ret, struct tenon_err *err)
{
    (void)self, (void)i, (void)options, (void)err;
    *ret = (struct tenon_device *)&fake; /* never looked into */
    return TENON_OK;
}

static void be_close(struct tenon_device *dev)
{
    (void)dev;
}

static int32_t new_buffer(char *memory, int owned, struct tenon_buffer **ret)
{
    *ret = malloc(sizeof **ret);
    **ret = (struct tenon_buffer){ memory, owned };
    atomic_fetch_add(&fake.buffers, 1);
    return TENON_OK;
}

static int32_t be_alloc(struct tenon_device *dev, uint64_t size, uint32_t flags, struct tenon_buffer **ret, struct tenon_err *err)
{
    (void)dev;
    if (atomic_load(&fake.no_room) && (flags & TENON_BUFFER_DEVICE_LOCAL) != 0)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "fake", "no memory for %llu bytes", (unsigned long long)size);
    return new_buffer(calloc(1, size + 1), 1, ret);
}

static int32_t be_import(struct tenon_device *dev, void *memory, uint64_t size, uint32_t flags, struct tenon_buffer **ret,
                         struct tenon_err *err)
{
    (void)dev, (void)size, (void)flags;
    return fake.refuse_import ? tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "no import") : new_buffer(memory, 0, ret);
}

static void be_free(struct tenon_buffer *buf)
{
    if (buf == NULL)
        return;
    if (buf->owned)
        free(buf->memory);
    free(buf);
    atomic_fetch_sub(&fake.buffers, 1);
}

static int32_t be_map(struct tenon_buffer *buf, void **ret, struct tenon_err *err)
{
    (void)err;
    *ret = buf->memory;
    return TENON_OK;
}

static int32_t be_upload(struct tenon_span dst, const void *src, struct tenon_err *err)
{
    (void)err;
    memcpy(dst.buffer->memory + dst.offset, src, dst.size);
    return TENON_OK;
}

static int32_t be_download(void *dst, struct tenon_span src, struct tenon_err *err)
{
    (void)err;
    memcpy(dst, src.buffer->memory + src.offset, src.size);
    return TENON_OK;
}

static int32_t be_query(struct tenon_device *dev, const struct tenon_graph *g, const struct tenon_weight_binding *w, uint32_t n,
                        uint32_t stride, struct tenon_claim *claims, uint32_t claim_stride, struct tenon_err *err)
{
    (void)dev, (void)w, (void)n, (void)stride, (void)err;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        ((struct tenon_claim *)(void *)((char *)claims + (uint64_t)i * claim_stride))->level = TENON_CLAIM_NATIVE;
    return TENON_OK;
}

static int32_t be_weight_query(struct tenon_device *dev, const struct tenon_weight_binding *w, int32_t *rung, uint64_t *bytes,
                               struct tenon_err *err)
{
    (void)dev, (void)err;
    NEED(w->uses == (TENON_USE_GATHER | TENON_USE_MATMUL));
    *rung = TENON_RUNG_NATIVE;
    *bytes = 16;
    return TENON_OK;
}

static int32_t be_pack(struct tenon_device *dev, const struct tenon_weight_binding *w, struct tenon_err *err)
{
    (void)dev;
    if (atomic_load(&fake.slow_us) != 0)
        usleep(atomic_load(&fake.slow_us));
    if (atomic_fetch_add(&fake.packed, 1) + 1 == atomic_load(&fake.fail_pack))
        return tenon_fail(err, TENON_E_INTERNAL, w->name, "the device broke");
    memset(w->packed.buffer->memory + w->packed.offset, 1, w->packed.size);
    return TENON_OK;
}

static int32_t be_use_packed(struct tenon_executable *exe, const struct tenon_weight_binding *w, struct tenon_err *err)
{
    (void)err;
    NEED(exe != NULL && w->packed.size == 16 && w->packed.buffer->memory[w->packed.offset] == 1);
    atomic_fetch_add(&fake.used, 1);
    return TENON_OK;
}

static int32_t be_pack_in_use(struct tenon_executable *exe, const struct tenon_weight_binding *w, struct tenon_err *err)
{
    int32_t rc = be_pack(NULL, w, err);
    return rc == TENON_OK ? be_use_packed(exe, w, err) : rc;
}

void fake_pack_behind(enum fake_packing how)
{
    fake_backend.use_packed = how == FAKE_PACK_THEN_USE ? be_use_packed : NULL;
    fake_backend.pack_in_use = how == FAKE_PACK_IN_USE ? be_pack_in_use : NULL;
}

static int32_t be_state_layout(struct tenon_device *dev, const struct tenon_state_desc *s, int32_t kv, struct tenon_state_layout *ret,
                               struct tenon_err *err)
{
    (void)dev, (void)s, (void)kv, (void)err;
    *ret = (struct tenon_state_layout){ sizeof *ret, FAKE_PAGE, FAKE_PAGE * 4, 4, 4, 0 };
    return TENON_OK;
}

static int32_t be_compile(struct tenon_device *dev, const struct tenon_compile_args *args, struct tenon_executable **ret,
                          struct tenon_err *err)
{
    (void)dev, (void)err;
    *ret = malloc(sizeof **ret);
    (*ret)->graph = args->graph;
    return TENON_OK;
}

static int32_t be_info(struct tenon_executable *exe, struct tenon_executable_info *ret)
{
    (void)exe;
    ret->act = TENON_DTYPE_F32;
    ret->scratch_bytes = 64;
    return TENON_OK;
}

static void be_executable_free(struct tenon_executable *exe)
{
    free(exe);
}

static int32_t be_stream_create(struct tenon_device *dev, struct tenon_stream **ret, struct tenon_err *err)
{
    (void)dev, (void)err;
    *ret = (struct tenon_stream *)&fake;
    return TENON_OK;
}

static void be_stream_destroy(struct tenon_stream *s)
{
    (void)s;
}

static const int32_t *input(const struct tenon_enqueue_args *a, const char *name)
{
    for (uint32_t i = 0; i < a->n_inputs; i++)
        if (strcmp(tenon_graph_value(a->executable->graph, a->executable->graph->inputs[i])->name, name) == 0)
            return (const int32_t *)(const void *)(a->inputs[i].buffer->memory + a->inputs[i].offset);
    NEED(!"an input of the step table is missing");
    return NULL;
}

/* Write this step's tokens to their slots. */
static void store(const struct tenon_enqueue_args *a, int32_t *pages)
{
    const int32_t *token = input(a, "token"), *slot = input(a, "slot_of_token.0");
    for (int64_t t = 0; t < a->dims->sym[TENON_SYM_T]; t++) {
        NEED(slot[t] >= 0 && (uint64_t)slot[t] < a->states[0].n_pages * FAKE_PAGE);
        pages[slot[t]] = token[t];
    }
}

/* Logits of one row: the tokens up to its own, read through the block table. */
static void make_row(const struct tenon_enqueue_args *a, const int32_t *pages, int32_t t, float *logits)
{
    const int32_t *table = input(a, "block_table.0"), *position = input(a, "position");
    int32_t s = input(a, "seq_of_token")[t], columns = (int32_t)a->dims->sym[TENON_SYM_P], history[2048], next;
    int32_t nan_from = atomic_load(&fake.nan_from);
    bool is_nan = nan_from != 0 && (int32_t)atomic_load(&fake.steps) >= nan_from;
    NEED(position[t] < 2048);
    NEED(position[t] < input(a, "context_len")[s]);
    for (int32_t p = 0; p <= position[t]; p++) {
        int32_t page = table[s * columns + p / FAKE_PAGE];
        NEED(page >= 0);
        history[p] = pages[page * FAKE_PAGE + p % FAKE_PAGE];
    }
    next = fake_next(history, (uint64_t)position[t] + 1);
    for (int32_t i = 0; i < FAKE_VOCAB; i++)
        logits[i] = is_nan ? NAN : i == next ? 10.0f : (float)((i * 7 + history[position[t]]) % 13) / 4.0f;
}

static int32_t be_enqueue(struct tenon_stream *stream, const struct tenon_enqueue_args *a, struct tenon_event **ret,
                          struct tenon_err *err)
{
    int32_t *pages = (int32_t *)(void *)(a->states[0].span.buffer->memory + a->states[0].span.offset);
    float *logits = a->dims->sym[TENON_SYM_R] > 0 ? (float *)(void *)(a->outputs[0].buffer->memory + a->outputs[0].offset) : NULL;
    uint32_t step = atomic_fetch_add(&fake.steps, 1) + 1;
    (void)stream, (void)err;
    atomic_fetch_add(&fake.tokens, (uint32_t)a->dims->sym[TENON_SYM_T]);
    if ((uint32_t)a->dims->sym[TENON_SYM_S] > atomic_load(&fake.widest))
        atomic_store(&fake.widest, (uint32_t)a->dims->sym[TENON_SYM_S]);
    if (atomic_load(&fake.slow_us) != 0)
        usleep(atomic_load(&fake.slow_us));
    *ret = malloc(sizeof **ret);
    (*ret)->status = (int32_t)step == atomic_load(&fake.fail_step) ? TENON_E_INTERNAL : TENON_OK;
    store(a, pages);
    for (int64_t r = 0; r < a->dims->sym[TENON_SYM_R]; r++)
        make_row(a, pages, input(a, "out_row")[r], logits + r * FAKE_VOCAB);
    return TENON_OK;
}

static int32_t be_wait(struct tenon_event *e, int64_t timeout, struct tenon_err *err)
{
    (void)timeout;
    return e->status != TENON_OK ? tenon_fail(err, e->status, "all.attn", "the device broke") : TENON_OK;
}

static void be_event_free(struct tenon_event *e)
{
    free(e);
}

static int32_t be_copy_pages(struct tenon_device *dev, const struct tenon_state_desc *d, const struct tenon_state_layout *l,
                             const struct tenon_state_binding *s, const uint64_t *from, const uint64_t *to, uint64_t n,
                             struct tenon_err *err)
{
    (void)dev, (void)d, (void)l, (void)s, (void)from, (void)to, (void)n;
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "pages");
}

static int32_t be_export(struct tenon_device *dev, const struct tenon_state_desc *d, const struct tenon_state_layout *l, int32_t kv,
                         const struct tenon_state_binding *s, const uint64_t *pages, uint64_t n, void *buf, uint64_t size,
                         struct tenon_err *err)
{
    (void)dev, (void)d, (void)l, (void)kv, (void)s, (void)pages, (void)n, (void)buf, (void)size;
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "pages");
}

static int32_t be_import_pages(struct tenon_device *dev, const struct tenon_state_desc *d, const struct tenon_state_layout *l,
                               int32_t kv, const struct tenon_state_binding *s, const uint64_t *pages, uint64_t n, const void *buf,
                               uint64_t size, struct tenon_err *err)
{
    (void)dev, (void)d, (void)l, (void)kv, (void)s, (void)pages, (void)n, (void)buf, (void)size;
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "fake", "pages");
}

struct tenon_backend fake_backend = {
    .struct_size = sizeof fake_backend, .device_at = be_device_at, .open = be_open, .close = be_close, .buffer_alloc = be_alloc,
    .buffer_import = be_import, .buffer_free = be_free, .buffer_map = be_map, .upload = be_upload, .download = be_download,
    .query = be_query, .weight_query = be_weight_query, .pack = be_pack, .state_layout = be_state_layout, .compile = be_compile,
    .executable_info = be_info, .executable_free = be_executable_free, .stream_create = be_stream_create,
    .stream_destroy = be_stream_destroy, .enqueue = be_enqueue, .event_wait = be_wait, .event_free = be_event_free,
    .copy_pages = be_copy_pages, .export_pages = be_export, .import_pages = be_import_pages,
};
