/* step.c - fills the step inputs of graph.h from sequences and runs the model's program once. All that varies from step to
 * step is in these inputs; buffers are made once, for the largest step. Contract: step.h.
 */
#include "core/engine/step.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/num.h"

/* What an input holds; per state group for the last two. */
enum input_kind {
    IN_TOKEN, IN_POSITION, IN_SEQ_OF_TOKEN, IN_SEQ_START, IN_CONTEXT_LEN, IN_OUT_ROW, IN_STATE_SLOT, IN_BLOCK_TABLE,
    IN_SLOT_OF_TOKEN, IN_KINDS
};

static const char *const input_names[IN_KINDS] = { "token", "position", "seq_of_token", "seq_start", "context_len",
                                                   "out_row", "state_slot", "block_table.", "slot_of_token." };

struct input {
    enum input_kind kind;
    uint32_t group;            /* index into the kv's groups */
    const struct tenon_value *value;
    struct tn_membuf memory;   /* int32 */
};

struct tn_stepper {
    const struct tn_model *model;
    const struct tn_model_parts *parts;
    struct tenon_stream *stream;
    struct tn_kv *kv;
    uint32_t *group_ids;      /* [n_groups] the models' numbers of state groups */
    uint32_t n_groups;
    struct input *inputs;     /* [n_inputs] in the graph's order */
    struct tenon_span *spans; /* [n_inputs] */
    struct tenon_state_binding *states; /* [n_states] */
    bool recurrent;           /* some states have slots */
    struct tn_membuf logits;  /* [max_rows, row_size] of the backend's act format */
    struct tn_membuf scratch;
    float *converted;         /* [max_rows, row_size] when act is not f32 */
    uint64_t n_steps;
};

static bool is_paged(const struct tn_model_state *s)
{
    return s->desc->kind == TENON_STATE_KV_PAGED || s->desc->kind == TENON_STATE_KV_LATENT;
}

/* ---- filling --------------------------------------------------------------------------------------------------- */

/* The step being made. */
struct step {
    const struct tn_step_part *parts; /* [n] */
    uint32_t n;
    struct tenon_dims dims;
};

static void fill_per_token(const struct tn_stepper *st, const struct input *in, const struct step *s)
{
    int32_t *x = in->memory.host; /* [T] */
    for (uint32_t i = 0; i < s->n; i++) {
        const struct tn_step_part *p = &s->parts[i];
        if (in->kind == IN_TOKEN) {
            memcpy(x, p->ids, p->n * sizeof *x);
            x += p->n;
            continue;
        }
        for (uint32_t t = 0; t < p->n; t++) {
            uint32_t position = p->seq->len + t;
            *x++ = in->kind == IN_POSITION       ? (int32_t)position
                   : in->kind == IN_SEQ_OF_TOKEN ? (int32_t)i
                                                 : tn_kv_slot(st->kv, p->seq, in->group, position);
        }
    }
}

static void fill_per_sequence(const struct input *in, const struct step *s)
{
    int32_t *x = in->memory.host; /* [S], seq_start [S+1] */
    uint32_t start = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct tn_step_part *p = &s->parts[i];
        x[i] = in->kind == IN_SEQ_START     ? (int32_t)start
               : in->kind == IN_CONTEXT_LEN ? (int32_t)(p->seq->len + p->n)
                                            : p->seq->slot;
        start += p->n;
    }
    if (in->kind == IN_SEQ_START)
        x[s->n] = (int32_t)start;
}

static void fill_out_row(const struct input *in, const struct step *s)
{
    int32_t *x = in->memory.host; /* [R] */
    uint32_t end = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        end += s->parts[i].n;
        for (uint32_t r = s->parts[i].n_rows; r > 0; r--)
            *x++ = (int32_t)(end - r);
    }
}

static void fill_block_table(const struct input *in, const struct step *s)
{
    int32_t *x = in->memory.host; /* [S, P] */
    uint32_t columns = (uint32_t)s->dims.sym[TENON_SYM_P];
    for (uint32_t i = 0; i < s->n; i++, x += columns) {
        const struct tn_kv_table *t = &s->parts[i].seq->tables[in->group];
        memcpy(x, t->pages, t->n * sizeof *x);
        for (uint32_t c = t->n; c < columns; c++)
            x[c] = -1;
    }
}

/* Elements of an input in this step. */
static uint64_t input_count(const struct input *in, const struct tenon_dims *dims)
{
    uint64_t n = 1;
    for (uint32_t d = 0; d < in->value->rank; d++)
        n *= (uint64_t)tenon_dim_value(&in->value->dims[d], dims); /* checked for the largest step at creation */
    return n;
}

static int32_t fill(struct tn_stepper *st, const struct step *s, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < st->parts->graph->n_inputs; i++) {
        struct input *in = &st->inputs[i];
        uint64_t bytes = input_count(in, &s->dims) * sizeof(int32_t);
        if (in->kind <= IN_SEQ_OF_TOKEN || in->kind == IN_SLOT_OF_TOKEN)
            fill_per_token(st, in, s);
        else if (in->kind == IN_OUT_ROW)
            fill_out_row(in, s);
        else if (in->kind == IN_BLOCK_TABLE)
            fill_block_table(in, s);
        else
            fill_per_sequence(in, s);
        rc = tn_membuf_push(&in->memory, bytes, err);
        st->spans[i] = tn_membuf_span(&in->memory, bytes);
    }
    return rc;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static int32_t reserve_all(struct tn_stepper *st, struct step *s, struct tenon_err *err)
{
    int64_t *sym = s->dims.sym;
    sym[TENON_SYM_S] = s->n;
    sym[TENON_SYM_P] = 1;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct tn_step_part *p = &s->parts[i];
        int32_t rc;
        if (p->n == 0 || p->n_rows > p->n || (uint64_t)p->seq->len + p->n > st->parts->context)
            return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "step", "the context of %u tokens is full: use a larger --context",
                              st->parts->context);
        rc = tn_kv_reserve(st->kv, p->seq, p->n, err);
        if (rc != TENON_OK)
            return rc;
        sym[TENON_SYM_T] += p->n;
        sym[TENON_SYM_R] += p->n_rows;
        for (uint32_t g = 0; g < st->n_groups; g++)
            if (p->seq->tables[g].n > sym[TENON_SYM_P])
                sym[TENON_SYM_P] = p->seq->tables[g].n;
    }
    sym[TENON_SYM_C] = sym[TENON_SYM_P] * (int64_t)(st->parts->page_tokens != 0 ? st->parts->page_tokens : 1);
    if (s->n == 0 || s->n > st->parts->max_sequences || sym[TENON_SYM_T] > st->parts->max_tokens ||
        sym[TENON_SYM_R] > st->parts->max_rows)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "step", "%lld tokens of %u sequences and %lld rows: at most %u, %u, %u",
                          (long long)sym[TENON_SYM_T], s->n, (long long)sym[TENON_SYM_R], st->parts->max_tokens,
                          st->parts->max_sequences, st->parts->max_rows);
    return TENON_OK;
}

/* Sequences that begin get slots of zeros. */
static int32_t begin_slots(struct tn_stepper *st, const struct step *s, struct tenon_err *err)
{
    const struct tn_model_parts *m = st->parts;
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; st->recurrent && i < s->n; i++) {
        const struct tn_seq *seq = s->parts[i].seq;
        for (uint32_t k = 0; rc == TENON_OK && seq->len == 0 && k < m->n_states; k++) {
            const struct tn_model_state *state = &m->states[k];
            const uint64_t zero = state->n_pages - 1, slot = (uint64_t)seq->slot;
            if (!is_paged(state))
                rc = m->backend->copy_pages(m->device, state->desc, &state->layout, &st->states[k], &zero, &slot, 1, err);
        }
    }
    return rc;
}

static uint64_t act_bytes(int32_t act)
{
    return act == TENON_DTYPE_F32 ? 4 : 2;
}

static int32_t execute(struct tn_stepper *st, const struct step *s, struct tenon_err *err)
{
    const struct tn_model_parts *m = st->parts;
    uint64_t out_bytes = (uint64_t)s->dims.sym[TENON_SYM_R] * m->row_size * act_bytes(m->act);
    struct tenon_span output = tn_membuf_span(&st->logits, out_bytes);
    struct tenon_event *event = NULL;
    struct tenon_enqueue_args args = {
        .struct_size = sizeof args, .n_inputs = m->graph->n_inputs, .n_outputs = 1, .n_states = m->n_states,
        .executable = m->executable, .dims = &s->dims, .inputs = st->spans, .outputs = &output, .states = st->states,
        .state_stride = sizeof *st->states, .scratch = tn_membuf_span(&st->scratch, m->scratch_bytes),
    };
    int32_t rc = m->backend->enqueue(st->stream, &args, &event, err);
    if (rc == TENON_OK) {
        rc = m->backend->event_wait(event, -1, err);
        m->backend->event_free(event);
    }
    return rc == TENON_OK ? tn_membuf_pull(&st->logits, out_bytes, err) : rc;
}

static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 1023u, bits;
    float f;
    if (exponent == 0) {
        f = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -f : f;
    }
    bits = sign | (exponent == 31 ? 255u << 23 : (exponent + 112u) << 23) | mantissa << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static const float *logits_as_f32(struct tn_stepper *st, uint64_t n)
{
    const uint16_t *x = st->logits.host; /* [n] */
    if (st->parts->act == TENON_DTYPE_F32)
        return st->logits.host;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)x[i] << 16;
        if (st->parts->act == TENON_DTYPE_F16)
            st->converted[i] = half_to_float(x[i]);
        else
            memcpy(&st->converted[i], &bits, sizeof bits);
    }
    return st->converted;
}

int32_t tn_stepper_run(struct tn_stepper *st, const struct tn_step_part *parts, uint32_t n_parts, const float **ret_logits,
                       struct tenon_err *err)
{
    struct step s = { parts, n_parts, { .struct_size = sizeof s.dims } };
    int32_t rc = reserve_all(st, &s, err);
    bool ran = false;
    if (rc == TENON_OK)
        rc = begin_slots(st, &s, err);
    if (rc == TENON_OK)
        rc = fill(st, &s, err);
    if (rc == TENON_OK) {
        rc = tn_container_whole(tn_model_container(st->model), execute(st, &s, err), err);
        ran = true;
    }
    for (uint32_t i = 0; i < n_parts; i++) {
        if (rc == TENON_OK) {
            tn_kv_advance(st->kv, parts[i].seq, parts[i].n);
            continue;
        }
        (void)tn_kv_rewind(st->kv, parts[i].seq, parts[i].seq->len); /* pages reserved in vain; may keep them */
        parts[i].seq->spoiled = st->recurrent && ran;
    }
    if (rc != TENON_OK)
        return rc;
    st->n_steps++;
    *ret_logits = logits_as_f32(st, (uint64_t)s.dims.sym[TENON_SYM_R] * st->parts->row_size);
    return TENON_OK;
}

/* ---- making ----------------------------------------------------------------------------------------------------- */

static int32_t no_memory(struct tenon_err *err)
{
    return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "step", "out of memory");
}

static uint32_t group_index(const struct tn_stepper *st, uint32_t id)
{
    uint32_t g = 0;
    while (g < st->n_groups && st->group_ids[g] != id)
        g++;
    return g;
}

/* One kv group per group of paged states; the states of a group share pages, so they agree on window and number. */
static int32_t make_kv(struct tn_stepper *st, struct tenon_err *err)
{
    const struct tn_model_parts *m = st->parts;
    struct tn_kv_group_desc *groups = calloc((size_t)m->n_states + 1, sizeof *groups);
    int32_t rc = TENON_OK;
    st->group_ids = calloc((size_t)m->n_states + 1, sizeof *st->group_ids);
    if (groups == NULL || st->group_ids == NULL)
        rc = no_memory(err);
    for (uint32_t i = 0; rc == TENON_OK && i < m->n_states; i++) {
        const struct tn_model_state *s = &m->states[i];
        uint32_t g = group_index(st, s->desc->group);
        st->recurrent |= !is_paged(s);
        if (!is_paged(s))
            continue;
        if (g == st->n_groups) {
            st->group_ids[st->n_groups++] = s->desc->group;
            groups[g] = (struct tn_kv_group_desc){ s->layout.page_tokens, s->desc->window, s->n_pages };
        } else if (groups[g].window != s->desc->window || groups[g].n_pages != s->n_pages) {
            rc = tenon_fail(err, TENON_E_INVALID_ARGUMENT, s->desc->name, "differs in window from the rest of its state group");
        }
    }
    if (rc == TENON_OK)
        rc = tn_kv_create(groups, st->n_groups, m->max_sequences, st->recurrent, &st->kv, err);
    free(groups);
    return rc;
}

/* Which input is called so? INVALID_ARGUMENT: none this engine can fill. */
static int32_t know_input(struct tn_stepper *st, struct input *in, struct tenon_err *err)
{
    const char *name = in->value->name;
    for (int k = 0; k < IN_KINDS; k++) {
        size_t n = strlen(input_names[k]);
        if (k < IN_BLOCK_TABLE ? strcmp(name, input_names[k]) != 0 : strncmp(name, input_names[k], n) != 0)
            continue;
        in->kind = (enum input_kind)k;
        if (k < IN_BLOCK_TABLE)
            return TENON_OK;
        in->group = group_index(st, (uint32_t)strtoul(name + n, NULL, 10));
        if (in->group < st->n_groups)
            return TENON_OK;
    }
    return tenon_fail(err, TENON_E_UNIMPLEMENTED, "step", "the model's input %s is unknown to this version", name);
}

static int32_t make_inputs(struct tn_stepper *st, const struct tenon_dims *max, struct tenon_err *err)
{
    const struct tn_model_parts *m = st->parts;
    uint32_t n = m->graph->n_inputs;
    int32_t rc = TENON_OK;
    st->inputs = calloc((size_t)n + 1, sizeof *st->inputs);
    st->spans = calloc((size_t)n + 1, sizeof *st->spans);
    if (st->inputs == NULL || st->spans == NULL)
        return no_memory(err);
    for (uint32_t i = 0; rc == TENON_OK && i < n; i++) {
        struct input *in = &st->inputs[i];
        in->value = tenon_graph_value(m->graph, m->graph->inputs[i]);
        rc = know_input(st, in, err);
        if (rc == TENON_OK)
            rc = tn_membuf_create(&in->memory, m->backend, m->device, input_count(in, max) * sizeof(int32_t), err);
    }
    return rc;
}

static int32_t bind_states(struct tn_stepper *st, struct tenon_err *err)
{
    const struct tn_model_parts *m = st->parts;
    st->states = calloc((size_t)m->n_states + 1, sizeof *st->states);
    if (st->states == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < m->n_states; i++)
        st->states[i] = (struct tenon_state_binding){ sizeof *st->states, i,
                                                      tn_membuf_span(&m->states[i].memory, m->states[i].memory.size),
                                                      m->states[i].n_pages };
    return TENON_OK;
}

/* Zeros into the last slot of a state, which is never given to a sequence. */
static int32_t zero_last_slot(struct tn_stepper *st, uint32_t index, struct tenon_err *err)
{
    const struct tn_model_parts *m = st->parts;
    const struct tn_model_state *s = &m->states[index];
    const uint64_t last = s->n_pages - 1;
    uint64_t bytes;
    void *zeros;
    int32_t rc;
    if (!tn_mul_u64(s->layout.page_bytes, s->desc->n_layers, &bytes) || (zeros = calloc(1, bytes + 1)) == NULL)
        return no_memory(err);
    rc = m->backend->import_pages(m->device, s->desc, &s->layout, 0, &st->states[index], &last, 1, zeros, bytes, err);
    free(zeros);
    return rc;
}

static int32_t zero_slots(struct tn_stepper *st, struct tenon_err *err)
{
    int32_t rc = TENON_OK;
    for (uint32_t i = 0; rc == TENON_OK && i < st->parts->n_states; i++)
        if (!is_paged(&st->parts->states[i]))
            rc = zero_last_slot(st, i, err);
    return rc;
}

static int32_t make_outputs(struct tn_stepper *st, struct tenon_err *err)
{
    const struct tn_model_parts *m = st->parts;
    uint64_t n;
    int32_t rc;
    if (!tn_mul_u64(m->max_rows, m->row_size, &n) || n > UINT64_MAX / 4)
        return tenon_fail(err, TENON_E_INVALID_ARGUMENT, "step", "a vocabulary of %llu is too large",
                          (unsigned long long)m->row_size);
    rc = tn_membuf_create(&st->logits, m->backend, m->device, n * act_bytes(m->act), err);
    if (rc == TENON_OK)
        rc = tn_membuf_create_device(&st->scratch, m->backend, m->device, m->scratch_bytes, err);
    if (rc == TENON_OK && m->act != TENON_DTYPE_F32) {
        st->converted = calloc(n, sizeof *st->converted);
        if (st->converted == NULL)
            rc = no_memory(err);
    }
    return rc;
}

int32_t tn_stepper_create(const struct tn_model *model, struct tn_stepper **ret, struct tenon_err *err)
{
    const struct tn_model_parts *m = tn_model_parts(model);
    struct tn_stepper *st = calloc(1, sizeof *st);
    struct tenon_dims max;
    int32_t rc;
    if (st == NULL)
        return no_memory(err);
    st->model = model;
    st->parts = m;
    tn_model_max_dims(model, &max);
    rc = m->backend->stream_create(m->device, &st->stream, err);
    if (rc == TENON_OK)
        rc = make_kv(st, err);
    if (rc == TENON_OK)
        rc = make_inputs(st, &max, err);
    if (rc == TENON_OK)
        rc = bind_states(st, err);
    if (rc == TENON_OK)
        rc = zero_slots(st, err);
    if (rc == TENON_OK)
        rc = make_outputs(st, err);
    if (rc != TENON_OK) {
        tn_stepper_destroy(st);
        return rc;
    }
    *ret = st;
    return TENON_OK;
}

void tn_stepper_destroy(struct tn_stepper *st)
{
    if (st == NULL)
        return;
    if (st->stream != NULL)
        st->parts->backend->stream_destroy(st->stream);
    for (uint32_t i = 0; st->inputs != NULL && i < st->parts->graph->n_inputs; i++)
        tn_membuf_finish(&st->inputs[i].memory);
    tn_membuf_finish(&st->logits);
    tn_membuf_finish(&st->scratch);
    tn_kv_destroy(st->kv);
    free(st->group_ids);
    free(st->inputs);
    free(st->spans);
    free(st->states);
    free(st->converted);
    free(st);
}

struct tn_kv *tn_stepper_kv(struct tn_stepper *st)
{
    return st->kv;
}

uint64_t tn_stepper_steps(const struct tn_stepper *st)
{
    return st->n_steps;
}
