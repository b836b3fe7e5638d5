/* decoder.c - makes a decode program ready to run over LANES elements of a row at once.
 *
 * All that depends on i only, offsets above all, is computed here and kept. What depends on data becomes steps, each at the
 * coarsest grain at which it is constant: the scale of a block of 32 is unpacked once for the block, and spread over its
 * elements where it meets them. That, and loads of consecutive bytes, is why a program needs no knowledge of its encoding to run
 * at a good part of a kernel's speed. Bits are those of the interpreter in encoding.c, which is what this is tested against.
 * create: [any-thread], once per encoding; rows: [any-thread]. Contract: tenon/reference.h. */
#include "decoder.h"

#include <stdlib.h>

#include "program.h"

#define PHASES_MAX 256u      /* of tiles of more rows nothing is prepared: it would take memory that no file has to have */
#define WIDE_TILE (1u << 20) /* bytes: tiles of such planes are decoded one by one, so that offsets fit 32 bits */

/* What an instruction computes; number n_insns is i itself. */
struct value {
    bool live, loaded;   /* the result needs it; it depends on data */
    uint8_t log2;        /* of how many lanes share it */
    uint32_t operand[3]; /* values */
    uint32_t last_use;   /* instruction */
    uint32_t buffer;
    uint32_t *lanes;     /* not loaded: what it is; load: its byte offset from the first tile [n_phases, LANES] */
    uint32_t *shift;     /* LDBITS: first bit of that byte [n_phases, LANES] */
};

struct maker {
    struct tenon_ref_decoder *d;
    const struct tenon_encoding *e;
    struct value v[TENON_PROGRAM_MAX + 1];
    bool taken[BUFFERS];
    bool failed; /* no memory */
};

static uint32_t *array(struct maker *m, uint64_t n)
{
    uint32_t *p = calloc(n, sizeof *p);
    m->failed |= p == NULL;
    return p;
}

/* An array that stays. */
static uint32_t *pool(struct maker *m, uint64_t n)
{
    uint32_t *p = array(m, n);
    if (p != NULL)
        m->d->pools[m->d->n_pools++] = p;
    return p;
}

/* ---- lanes and elements ------------------------------------------------------------------------------------- */

/* Elements of a phase. */
static uint32_t lanes_of(const struct tenon_ref_decoder *d, uint32_t phase)
{
    uint32_t part = phase % d->parts, left = d->e->tile_cols - part * LANES;
    return d->parts == 1 ? d->tiles * d->e->tile_cols : left < LANES ? left : LANES;
}

/* Element of lane j, which lies in the *ret_tile-th tile. Lanes that a phase lacks are like its last. */
static uint32_t element_of(const struct tenon_ref_decoder *d, uint32_t phase, uint32_t j, uint32_t *ret_tile)
{
    uint32_t row = phase / d->parts, part = phase % d->parts, cols = d->e->tile_cols, n = lanes_of(d, phase);
    j = j < n ? j : n - 1;
    *ret_tile = d->parts == 1 ? j / cols : 0;
    return row * cols + (d->parts == 1 ? j % cols : part * LANES + j);
}

/* How many lanes, as a power of two, share an entry of a [n_phases, LANES] everywhere. Where groups that were alike are halved,
 * the halves are. */
static uint8_t grain(const struct tenon_ref_decoder *d, const uint32_t *a)
{
    uint32_t log2 = LANES_LOG2;
    for (uint64_t phase = 0; phase < d->n_phases; phase++)
        for (uint32_t j = 0; j < LANES; j++)
            while (a[phase * LANES + j] != a[phase * LANES + (j >> log2 << log2)])
                log2--;
    return (uint8_t)log2;
}

/* ---- values ------------------------------------------------------------------------------------------------- */

/* Which value each operand is, what depends on data, and what the result needs. */
static void trace(struct maker *m)
{
    uint32_t of[TENON_PROGRAM_REGS] = {0}, n = m->e->n_insns;
    of[0] = n;
    for (uint32_t k = 0; k < n; k++) {
        const struct tenon_insn *p = &m->e->program[k];
        const uint8_t reg[3] = {p->a, p->b, p->c};
        m->v[k].loaded = tn_ref_is_load(p);
        for (uint32_t o = 0; o < 3; o++) {
            m->v[k].operand[o] = of[reg[o]];
            if (tn_ref_reads(p) >> reg[o] & 1)
                m->v[k].loaded |= m->v[of[reg[o]]].loaded;
        }
        of[p->dst] = k;
    }
    uint32_t result = of[m->e->result];
    m->v[result].live = true;
    m->v[result].last_use = n;
    m->d->result.buffer = result; /* until it has one */
    for (uint32_t k = n; k-- > 0;) {
        const struct tenon_insn *p = &m->e->program[k];
        const uint8_t reg[3] = {p->a, p->b, p->c};
        for (uint32_t o = 0; m->v[k].live && o < 3; o++) {
            struct value *used = &m->v[m->v[k].operand[o]];
            if (!(tn_ref_reads(p) >> reg[o] & 1))
                continue;
            used->live = true;
            used->last_use = used->last_use > k ? used->last_use : k;
        }
    }
}

/* Lane j of all that depends on i only: values, and where loads are. */
static void evaluate(struct maker *m, uint32_t phase, uint32_t j)
{
    uint32_t tile, r[TENON_PROGRAM_REGS] = {element_of(m->d, phase, j, &tile)};
    uint64_t at = (uint64_t)phase * LANES + j;
    m->v[m->e->n_insns].lanes[at] = r[0];
    for (uint32_t k = 0; k < m->e->n_insns; k++) {
        const struct tenon_insn *p = &m->e->program[k];
        struct value *v = &m->v[k];
        if (tn_ref_is_load(p)) {
            uint32_t offset = r[p->a] + p->imm;
            v->shift[at] = p->op == TENON_OP_LDBITS ? offset % 8 : 0;
            v->lanes[at] = (p->op == TENON_OP_LDBITS ? offset / 8 : offset) + tile * m->e->planes[p->plane].tile_bytes;
        } else if (!v->loaded) {
            r[p->dst] = v->lanes[at] = tn_ref_value(m->e, p, r);
        }
    }
}

/* Memory for what evaluate() fills. */
static void prepare(struct maker *m)
{
    uint64_t n = (uint64_t)m->d->n_phases * LANES;
    for (uint32_t k = 0; k <= m->e->n_insns; k++) {
        bool load = k < m->e->n_insns && tn_ref_is_load(&m->e->program[k]);
        if (load || !m->v[k].loaded)
            m->v[k].lanes = array(m, n);
        if (load)
            m->v[k].shift = array(m, n);
    }
}

static void find_grains(struct maker *m)
{
    m->v[m->e->n_insns].log2 = grain(m->d, m->v[m->e->n_insns].lanes);
    for (uint32_t k = 0; k < m->e->n_insns; k++) {
        const struct tenon_insn *p = &m->e->program[k];
        const uint8_t reg[3] = {p->a, p->b, p->c};
        struct value *v = &m->v[k];
        uint8_t log2 = v->lanes != NULL ? grain(m->d, v->lanes) : LANES_LOG2, shift = v->shift != NULL ? grain(m->d, v->shift) : LANES_LOG2;
        v->log2 = log2 < shift ? log2 : shift;
        for (uint32_t o = 0; v->lanes == NULL && o < 3; o++)
            if ((tn_ref_reads(p) >> reg[o] & 1) && m->v[v->operand[o]].log2 < v->log2)
                v->log2 = m->v[v->operand[o]].log2;
    }
}

/* ---- steps -------------------------------------------------------------------------------------------------- */

/* An array [n_phases, LANES] as lanes of 2^log2 elements. */
static struct lanes keep(struct maker *m, const uint32_t *a, uint32_t log2)
{
    uint32_t stride = log2 < LANES_LOG2 ? LANES >> log2 : 1;
    uint32_t *p = pool(m, (uint64_t)m->d->n_phases * stride);
    for (uint64_t phase = 0; p != NULL && phase < m->d->n_phases; phase++)
        for (uint32_t j = 0; j < stride; j++)
            p[phase * stride + j] = a[phase * LANES + (j << log2)];
    return (struct lanes){.fixed = p, .stride = stride};
}

static uint32_t take_buffer(struct maker *m)
{
    uint32_t b = 0;
    while (m->taken[b]) /* registers and three operands are fewer than BUFFERS */
        b++;
    m->taken[b] = true;
    return b;
}

static struct step *add_step(struct maker *m, uint32_t op, uint32_t log2)
{
    struct step *s = &m->d->steps[m->d->n_steps++];
    *s = (struct step){.op = (uint8_t)op, .log2 = (uint8_t)log2};
    return s;
}

/* Value k for a step of lanes of 2^log2 elements; what it had to be spread into is *ret_spread. */
static struct lanes operand(struct maker *m, uint32_t k, uint32_t log2, uint32_t *ret_spread)
{
    const struct value *v = &m->v[k];
    if (!v->loaded)
        return keep(m, v->lanes, log2);
    if (v->log2 == log2)
        return (struct lanes){.buffer = v->buffer};
    struct step *s = add_step(m, STEP_SPREAD, log2);
    s->width = (uint8_t)(v->log2 - log2);
    s->a.buffer = v->buffer;
    s->dst = *ret_spread = take_buffer(m);
    return (struct lanes){.buffer = s->dst};
}

/* Are lanes of each RUN of v consecutive, `bytes` apart, and shifted alike? */
static bool consecutive(const struct tenon_ref_decoder *d, const struct value *v, uint32_t bytes)
{
    for (uint32_t phase = 0; phase < d->n_phases; phase++) {
        uint32_t n = (lanes_of(d, phase) + (1u << v->log2) - 1) >> v->log2;
        const uint32_t *a = v->lanes + (uint64_t)phase * LANES, *shift = v->shift + (uint64_t)phase * LANES;
        for (uint32_t j = 0; j < n; j++) {
            uint32_t first = j / RUN * RUN, at = j << v->log2;
            if (a[at] != a[first << v->log2] + (j - first) * bytes || shift[at] != shift[first << v->log2])
                return false;
        }
    }
    return true;
}

static uint32_t most_of(const struct tenon_ref_decoder *d, const uint32_t *a)
{
    uint32_t most = 0;
    for (uint64_t k = 0; k < (uint64_t)d->n_phases * LANES; k++)
        most = a[k] > most ? a[k] : most;
    return most;
}

/* Four bytes from a load's first may reach beyond its tile: then the last four of the tile, and more shift. */
static void move_windows(struct maker *m, const struct value *v, uint32_t tile_bytes)
{
    for (uint64_t k = 0; k < (uint64_t)m->d->n_phases * LANES; k++) {
        uint32_t tile, over;
        (void)element_of(m->d, (uint32_t)(k / LANES), k % LANES, &tile);
        uint32_t in_tile = v->lanes[k] - tile * tile_bytes;
        if (in_tile <= tile_bytes - 4)
            continue;
        over = in_tile - (tile_bytes - 4);
        v->lanes[k] -= over;
        v->shift[k] += 8 * over;
    }
}

static void add_load(struct maker *m, const struct tenon_insn *p, struct value *v)
{
    uint32_t bytes = m->e->planes[p->plane].tile_bytes;
    bool floats = p->op == TENON_OP_LDF, run = consecutive(m->d, v, floats ? tn_ref_float_bytes(p->width) : 1);
    uint32_t op = floats ? run ? STEP_FLOATS : STEP_FLOAT : STEP_SLOW, log2 = v->log2;
    if (!floats && run && most_of(m->d, v->shift) + p->width <= 8)
        op = STEP_BYTES;
    else if (!floats && bytes >= 4 && most_of(m->d, v->shift) + p->width <= 32) {
        op = STEP_WINDOW;
        move_windows(m, v, bytes);
    }
    struct step *s = add_step(m, op, log2);
    if (op == STEP_FLOATS || op == STEP_BYTES)
        log2 += 4; /* one entry for RUN lanes */
    s->width = p->width;
    s->plane = p->plane;
    s->a = keep(m, v->lanes, log2);
    s->b = keep(m, v->shift, log2);
    s->dst = v->buffer = take_buffer(m);
}

static void add_computation(struct maker *m, const struct tenon_insn *p, struct value *v, uint32_t k)
{
    const uint8_t reg[3] = {p->a, p->b, p->c};
    uint32_t spread[3] = {BUFFERS, BUFFERS, BUFFERS};
    struct lanes from[3] = {{0}, {0}, {0}};
    for (uint32_t o = 0; o < 3; o++)
        if (tn_ref_reads(p) >> reg[o] & 1)
            from[o] = operand(m, v->operand[o], v->log2, &spread[o]);
    for (uint32_t o = 0; o < 3; o++) {
        const struct value *used = &m->v[v->operand[o]];
        if ((tn_ref_reads(p) >> reg[o] & 1) && used->loaded && used->last_use == k)
            m->taken[used->buffer] = false;
        if (spread[o] != BUFFERS)
            m->taken[spread[o]] = false;
    }
    struct step *s = add_step(m, p->op, v->log2);
    s->width = p->width;
    s->a = from[0], s->b = from[1], s->c = from[2];
    if (p->op == TENON_OP_TBL) {
        s->table = m->e->tables[p->plane].values;
        s->mask = (1u << m->e->tables[p->plane].log2_size) - 1;
    }
    s->dst = v->buffer = take_buffer(m);
}

static void add_steps(struct maker *m)
{
    uint32_t unused = BUFFERS, result = m->d->result.buffer;
    m->taken[BUFFERS - 1] = true; /* the result's, spread */
    for (uint32_t k = 0; !m->failed && k < m->e->n_insns; k++) {
        struct value *v = &m->v[k];
        if (!v->live || !v->loaded)
            continue;
        if (tn_ref_is_load(&m->e->program[k]))
            add_load(m, &m->e->program[k], v);
        else
            add_computation(m, &m->e->program[k], v, k);
    }
    m->d->result_log2 = m->v[result].loaded ? m->v[result].log2 : 0;
    m->d->result = operand(m, result, m->d->result_log2, &unused);
}

/* ---- the decoder -------------------------------------------------------------------------------------------- */

static void choose_run(struct tenon_ref_decoder *d)
{
    d->run = tn_ref_lanes_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        d->run = tn_ref_lanes_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        d->run = tn_ref_lanes_avx512;
#endif
}

static void shape(struct tenon_ref_decoder *d, const struct tenon_encoding *e)
{
    d->e = e;
    d->tiles = e->tile_cols < LANES ? LANES / e->tile_cols : 1;
    for (uint32_t p = 0; p < e->n_planes; p++)
        if (e->planes[p].tile_bytes > WIDE_TILE)
            d->tiles = 1;
    d->parts = (e->tile_cols + LANES - 1) / LANES;
    d->n_phases = e->tile_rows * d->parts;
}

/* Everything from the program; m.failed: no memory. */
static void make(struct maker *m)
{
    m->d->steps = calloc(4u * TENON_PROGRAM_MAX, sizeof *m->d->steps);
    m->d->pools = calloc(4u * TENON_PROGRAM_MAX + 1, sizeof *m->d->pools);
    m->failed |= m->d->steps == NULL || m->d->pools == NULL;
    trace(m);
    prepare(m);
    if (!m->failed) {
        for (uint32_t phase = 0; phase < m->d->n_phases; phase++)
            for (uint32_t j = 0; j < LANES; j++)
                evaluate(m, phase, j);
        find_grains(m);
        add_steps(m);
    }
    for (uint32_t k = 0; k <= m->e->n_insns; k++) {
        free(m->v[k].lanes);
        free(m->v[k].shift);
    }
}

int32_t tenon_ref_decoder_create(const struct tenon_encoding *e, struct tenon_ref_decoder **ret, struct tenon_err *err)
{
    struct maker m = {.d = calloc(1, sizeof *m.d), .e = e};
    m.failed = m.d == NULL;
    if (!m.failed) {
        shape(m.d, e);
        choose_run(m.d);
    }
    if (!m.failed && m.d->n_phases <= PHASES_MAX)
        make(&m);
    if (m.failed) {
        tenon_ref_decoder_destroy(m.d);
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, e->id, "no memory to prepare its program");
    }
    *ret = m.d;
    return TENON_OK;
}

void tenon_ref_decoder_destroy(struct tenon_ref_decoder *d)
{
    if (d == NULL)
        return;
    for (uint32_t k = 0; k < d->n_pools; k++)
        free(d->pools[k]);
    free(d->pools);
    free(d->steps);
    free(d);
}

/* One row, y [cols]. */
static void decode_row(const struct tenon_ref_decoder *d, const void *const *planes, uint64_t row, uint64_t cols, float *y)
{
    const struct tenon_encoding *e = d->e;
    const uint8_t *tiles[TENON_PLANES_MAX];
    uint64_t per_row = cols / e->tile_cols, first = row / e->tile_rows * per_row;
    uint32_t phase = (uint32_t)(row % e->tile_rows) * d->parts;
    for (uint64_t t = 0; t < per_row; t += d->tiles) {
        uint32_t n_tiles = per_row - t < d->tiles ? (uint32_t)(per_row - t) : d->tiles;
        for (uint32_t p = 0; p < e->n_planes; p++)
            tiles[p] = (const uint8_t *)planes[p] + (first + t) * e->planes[p].tile_bytes;
        for (uint32_t part = 0; part < d->parts; part++) {
            uint32_t n = d->parts == 1 ? n_tiles * e->tile_cols : lanes_of(d, part);
            d->run(d, tiles, phase + part, n, y);
            y += n;
        }
    }
}

int32_t tenon_ref_decoder_rows(const struct tenon_ref_decoder *d, const void *const *planes, uint64_t rows, uint64_t cols, uint64_t first,
                               uint64_t n, float *y)
{
    if (rows % d->e->tile_rows != 0 || cols % d->e->tile_cols != 0 || first > rows || n > rows - first)
        return TENON_E_INVALID_ARGUMENT;
    if (d->n_phases > PHASES_MAX)
        return tenon_ref_decode_rows(d->e, planes, rows, cols, first, n, y);
    for (uint64_t k = 0; k < n; k++)
        decode_row(d, planes, first + k, cols, y + k * cols);
    return TENON_OK;
}
