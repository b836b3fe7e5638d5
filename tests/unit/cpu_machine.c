/* cpu_machine.c - see cpu_machine.h. Scratch memory is filled with NaN before a run, so that a value read before it was written
 * shows. */
#include "cpu_machine.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "plugins/backends/cpu/kernels/kernels.h"
#include "quantizer.h"

int32_t cpu_entry(uint32_t host_abi_max, const struct tenon_plugin **ret_plugin);

static const void *service(void *ctx, const char *id)
{
    struct machine *m = ctx;
    return strcmp(id, TENON_THREADS_SERVICE) == 0  ? (const void *)tn_threads_service(m->pool)
           : strcmp(id, TENON_MEMORY_SERVICE) == 0 ? (const void *)tn_memory_service()
                                                   : NULL;
}

void machine_open(struct machine *m, uint32_t threads)
{
    struct tenon_err err = TENON_ERR_INIT;
    ck_assert_int_eq(tn_threads_create(threads, &m->pool, &err), 0);
    m->packs_later = false;
    m->host = (struct tenon_host){.struct_size = sizeof m->host, .abi = TENON_ABI, .ctx = m, .service = service};
    ck_assert_int_eq(cpu_entry(TENON_ABI, &m->plugin), 0);
    ck_assert_int_eq(m->plugin->init(&m->host, &m->self, &err), 0);
    m->be = m->plugin->items[0].impl;
    ck_assert_int_eq(m->be->open(m->self, 0, "claims=none", &m->dev, &err), 0);
}

void machine_close(struct machine *m)
{
    m->be->close(m->dev);
    m->plugin->fini(m->self);
    tn_threads_destroy(m->pool);
}

/* ---- weights ------------------------------------------------------------------------------------------------ */

/* Asking what the machine can do is slow on some. */
static const struct cpu_kernels *scalar(void)
{
    static const struct cpu_kernels *k;
    if (k == NULL)
        k = cpu_kernels_select(CPU_LEVEL_SCALAR);
    return k;
}

void machine_to_half(const float *x, int64_t n, uint16_t *y)
{
    scalar()->f32_to_f16(x, n, y);
}

float machine_half(float x)
{
    uint16_t h;
    machine_to_half(&x, 1, &h);
    scalar()->f16_to_f32(&h, 1, &x);
    return x;
}

static int64_t elements(const struct item *it)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < it->rank; i++)
        n *= it->dims[i].b;
    return n;
}

void machine_round_weights(struct fixture *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        for (int64_t k = 0; f->items[i].kind == TENON_VALUE_WEIGHT && k < elements(&f->items[i]); k++)
            ((float *)f->items[i].data)[k] = machine_half(((float *)f->items[i].data)[k]);
}

#define Q8_BYTES 34 /* f16 scale, 32 signed bytes */

/* One block of 32: the largest becomes 127. */
static void q8_block(const float *x, uint8_t *block)
{
    float most = 0, d;
    uint16_t scale;
    for (int i = 0; i < 32; i++)
        most = fmaxf(most, fabsf(x[i]));
    machine_to_half((float[]){most / 127}, 1, &scale);
    d = machine_half(most / 127);
    memcpy(block, &scale, 2);
    for (int i = 0; i < 32; i++)
        block[2 + i] = (uint8_t)(int8_t)(d > 0 ? lrintf(fmaxf(-127, fminf(127, x[i] / d))) : 0);
}

static bool is_matrix(const struct item *it) { return it->kind == TENON_VALUE_WEIGHT && it->rank >= 2; }

void machine_round_q8(struct fixture *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        for (int64_t k = 0; is_matrix(&f->items[i]) && k < elements(&f->items[i]); k += 32) {
            float *x = (float *)f->items[i].data + k;
            uint8_t block[Q8_BYTES];
            uint16_t scale;
            float d;
            q8_block(x, block);
            memcpy(&scale, block, 2);
            scalar()->f16_to_f32(&scale, 1, &d);
            for (int j = 0; j < 32; j++)
                x[j] = d * (int8_t)block[2 + j];
        }
}

static struct tenon_span import(struct machine *m, void *data, uint64_t bytes)
{
    struct tenon_span s = {.size = bytes};
    ck_assert_int_eq(m->be->buffer_import(m->dev, data, bytes, 0, &s.buffer, NULL), 0);
    return s;
}

/* Have the backend pack it, if it wants to. */
static void pack_weight(struct machine *m, struct tenon_weight_binding *w, struct compiled *c)
{
    uint64_t bytes = 0;
    void *p = NULL;
    if (m->packs_later)
        return;
    ck_assert_int_eq(m->be->weight_query(m->dev, w, &w->rung, &bytes, NULL), 0);
    if (bytes == 0)
        return;
    ck_assert_int_eq(posix_memalign(&p, 64, bytes), 0);
    c->packed[c->n] = p;
    w->packed = import(m, p, bytes);
    c->packed_buffers[c->n] = w->packed.buffer;
    ck_assert_int_eq(m->be->pack(m->dev, w, NULL), 0);
}

static void bind_q8(struct machine *m, const struct item *it, struct tenon_weight_binding *w, struct compiled *c)
{
    int64_t n = elements(it);
    uint8_t *blocks = malloc((size_t)(n / 32) * Q8_BYTES);
    for (int64_t i = 0; i < n; i += 32)
        q8_block((const float *)it->data + i, blocks + i / 32 * Q8_BYTES);
    w->encoding = encoding("gguf.q8_0/1");
    w->planes[0] = import(m, blocks, (uint64_t)(n / 32) * Q8_BYTES);
    c->halves[c->n] = blocks;
    pack_weight(m, w, c);
    c->buffers[c->n++] = w->planes[0].buffer;
}

static void bind_weight(struct machine *m, const struct item *it, uint32_t index, bool half, bool q8, struct compiled *c)
{
    int64_t n = elements(it);
    struct tenon_weight_binding *w = &c->weights[c->n];
    *w = (struct tenon_weight_binding){.struct_size = sizeof *w, .weight = index, .layer = -1, .rank = it->rank, .n_planes = 1,
                                       .uses = TENON_USE_MATMUL, .encoding = encoding(half ? "f16/1" : "f32/1"), .name = it->name};
    for (uint32_t d = 0; d < it->rank; d++)
        w->dims[d] = (uint64_t)it->dims[d].b;
    if (q8 && is_matrix(it)) {
        bind_q8(m, it, w, c);
        return;
    }
    if (half) {
        c->halves[c->n] = malloc((size_t)n * 2);
        machine_to_half(it->data, n, c->halves[c->n]);
    }
    w->planes[0] = import(m, half ? c->halves[c->n] : it->data, (uint64_t)n * (half ? 2 : 4));
    c->buffers[c->n++] = w->planes[0].buffer;
}

static const struct tenon_graph *graph_of(const struct fixture *f, const struct machine_options *o)
{
    return o->whole ? &f->whole->graph : &f->graph->graph;
}

/* ---- compile ------------------------------------------------------------------------------------------------ */

int32_t machine_compile(struct machine *m, struct fixture *f, const struct machine_options *o, struct compiled *ret, struct tenon_err *err)
{
    const struct tenon_state_desc *states[] = {&f->state};
    *ret = (struct compiled){.kv = o->half ? TENON_KV_F16 : TENON_KV_F32};
    for (uint32_t i = 0; i < f->n; i++)
        if (f->items[i].kind == TENON_VALUE_WEIGHT)
            bind_weight(m, &f->items[i], i, o->half, o->q8, ret);
    if (f->state.name != NULL)
        ck_assert_int_eq(m->be->state_layout(m->dev, &f->state, ret->kv, &ret->layout, err), 0);
    struct tenon_compile_args args = {
        .struct_size = sizeof args, .graph = graph_of(f, o), .weights = ret->weights, .n_weights = ret->n,
        .weight_stride = sizeof ret->weights[0], .states = states, .layouts = &ret->layout, .kv_encodings = &ret->kv,
        .n_states = f->state.name != NULL, .layout_stride = sizeof ret->layout, .buckets = &f->dims, .n_buckets = 1,
        .bucket_stride = sizeof f->dims,
    };
    return m->be->compile(m->dev, &args, &ret->exe, err);
}

void machine_free(struct machine *m, struct compiled *c)
{
    m->be->executable_free(c->exe);
    for (uint32_t i = 0; i < c->n; i++) {
        m->be->buffer_free(c->buffers[i]);
        m->be->buffer_free(c->packed_buffers[i]);
        free(c->halves[i]);
        free(c->packed[i]);
    }
}

/* ---- run ---------------------------------------------------------------------------------------------------- */

static struct tenon_span scratch_of(struct machine *m, uint64_t size)
{
    struct tenon_span s = {.size = size};
    void *p;
    ck_assert_int_eq(m->be->buffer_alloc(m->dev, size, 0, &s.buffer, NULL), 0);
    ck_assert_int_eq(m->be->buffer_map(s.buffer, &p, NULL), 0);
    memset(p, 0xff, size);
    return s;
}

/* Pages go through import_pages and export_pages; slots are copied by them too. */
static void exchange_state(struct machine *m, struct fixture *f, const struct machine_options *o, const struct compiled *c,
                           const struct tenon_state_binding *state, const void *before, void *after)
{
    uint64_t pages[64], bytes = o->units * (c->layout.page_tokens != 0 ? c->layout.page_tokens * c->layout.canonical_token_bytes : c->layout.page_bytes);
    ck_assert_uint_le(o->units, 64);
    for (uint64_t i = 0; i < o->units; i++)
        pages[i] = i;
    if (before != NULL)
        ck_assert_int_eq(m->be->import_pages(m->dev, &f->state, &c->layout, c->kv, state, pages, o->units, before, bytes, NULL), 0);
    if (after != NULL)
        ck_assert_int_eq(m->be->export_pages(m->dev, &f->state, &c->layout, c->kv, state, pages, o->units, after, bytes, NULL), 0);
}

static void wait_for(struct machine *m, const struct tenon_enqueue_args *args)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_stream *stream;
    struct tenon_event *event;
    ck_assert_int_eq(m->be->stream_create(m->dev, &stream, &err), 0);
    int32_t status = m->be->enqueue(stream, args, &event, &err);
    ck_assert_msg(status == 0, "%s: %s", err.where, err.message);
    ck_assert_int_eq(m->be->event_wait(event, -1, &err), 0);
    m->be->event_free(event);
    m->be->stream_destroy(stream);
}

static uint64_t value_bytes(const struct fixture *f, const struct tenon_graph *g, uint32_t v)
{
    const struct tenon_value *val = tenon_graph_value(g, v);
    uint64_t n = val->dtype == TENON_DTYPE_F16 ? 2 : 4;
    for (uint32_t i = 0; i < val->rank; i++)
        n *= (uint64_t)tenon_dim_value(&val->dims[i], &f->dims);
    return n;
}

void machine_execute(struct machine *m, struct fixture *f, const struct machine_options *o, struct compiled *c, void **ret_outputs)
{
    const struct tenon_graph *g = graph_of(f, o);
    const struct tenon_block *last = tenon_graph_block(g, g->order[g->n_order - 1].block);
    struct tenon_executable_info info = {.struct_size = sizeof info};
    struct tenon_span in[20], out[4];
    ck_assert_int_eq(m->be->executable_info(c->exe, &info), 0);
    struct tenon_state_binding state = {.struct_size = sizeof state, .n_pages = o->units};
    struct tenon_enqueue_args args = {
        .struct_size = sizeof args, .n_inputs = g->n_inputs, .n_outputs = last->n_rets, .n_states = f->state.name != NULL,
        .executable = c->exe, .dims = &f->dims, .inputs = in, .outputs = out, .states = &state, .state_stride = sizeof state,
        .scratch = scratch_of(m, info.scratch_bytes),
    };
    if (args.n_states != 0) {
        state.span = scratch_of(m, o->units * c->layout.page_bytes);
        void *p;
        ck_assert_int_eq(m->be->buffer_map(state.span.buffer, &p, NULL), 0);
        memset(p, 0, state.span.size);
        exchange_state(m, f, o, c, &state, o->before, NULL);
    }
    for (uint32_t i = 0; i < g->n_inputs; i++)
        in[i] = import(m, f->eval.data(f, tenon_graph_value(g, g->inputs[i]), -1), value_bytes(f, g, g->inputs[i]));
    for (uint32_t i = 0; i < last->n_rets; i++) {
        uint64_t bytes = value_bytes(f, g, last->rets[i]);
        ret_outputs[i] = malloc(bytes != 0 ? bytes : 1);
        out[i] = import(m, ret_outputs[i], bytes);
    }
    wait_for(m, &args);
    if (args.n_states != 0)
        exchange_state(m, f, o, c, &state, NULL, o->after);
    for (uint32_t i = 0; i < g->n_inputs; i++)
        m->be->buffer_free(in[i].buffer);
    for (uint32_t i = 0; i < last->n_rets; i++)
        m->be->buffer_free(out[i].buffer);
    m->be->buffer_free(args.scratch.buffer);
    m->be->buffer_free(state.span.buffer);
}

void machine_run(struct machine *m, struct fixture *f, const struct machine_options *o, void **ret_outputs)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct compiled c;
    int32_t status = machine_compile(m, f, o, &c, &err);
    ck_assert_msg(status == 0, "%s: %s", err.where, err.message);
    machine_execute(m, f, o, &c, ret_outputs);
    machine_free(m, &c);
}
