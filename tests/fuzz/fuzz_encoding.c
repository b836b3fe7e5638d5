/* fuzz_encoding.c - libFuzzer target: any bytes as an encoding. What the verifier accepts is run, by the interpreter and by the fast
 * decoder, on planes of exactly the size they must have, so that the address sanitizer sees any byte beyond; both must agree. And any
 * bytes as the text of an instruction: what parses is printed and parsed again, to the same.
 *
 * Bytes: mode, tile rows and columns, planes, tables, then planes' bytes, tables' sizes, instructions of 12 bytes. Mode: with its two
 * lowest bits 0 instructions are taken as they are, else they are tamed: members an opcode does not use become zero and numbers small,
 * so that programs pass often; with all five bits above set the tile may be large. */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/encoding_text.h>
#include <tenon/reference.h>

/* Of a tile: verifier, interpreter and what the decoder prepares cost by these, and most of what can go wrong shows in small ones.
 * Wide tiles, which the decoder takes in parts, and tall ones need a mode of their own. */
#define MOST_ELEMENTS 96u
#define MOST_ROWS 2u
#define MOST_ELEMENTS_LARGE 1100u
#define MOST_ROWS_LARGE 255u
#define MOST_BYTES 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t n;
};

static uint32_t byte(struct input *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->p++;
}

static void tame(struct tenon_insn *p)
{
    uint32_t reads;
    bool load;
    p->op %= TENON_OP_COUNT;
    reads = tenon_opcode_reads(p->op);
    load = p->op == TENON_OP_LDBITS || p->op == TENON_OP_LDF;
    p->dst %= 8, p->reserved = 0;
    p->a = reads > 0 ? p->a % 8 : 0;
    p->b = reads > 1 ? p->b % 8 : 0;
    p->c = reads > 2 ? p->c % 8 : 0;
    p->plane = load || p->op == TENON_OP_TBL ? p->plane % 2 : 0;
    p->width = load || p->op == TENON_OP_SEXT ? p->op == TENON_OP_LDF ? 1 + p->width % 5 : 1 + p->width % 32 : 0;
    p->imm = load ? p->imm % 64 : p->op == TENON_OP_CONST ? p->imm % 256 : 0;
}

static bool makes_nan(uint8_t op) { return op == TENON_OP_FADD || op == TENON_OP_FMUL || op == TENON_OP_FMA; }

/* Are what sums and products of floats leave taken as bits? Such a program has no one result (encoding.h). */
static bool looks_at_nans(const struct tenon_encoding *e)
{
    bool of_machine[TENON_PROGRAM_REGS] = { false };
    for (uint32_t i = 0; i < e->n_insns; i++) {
        const struct tenon_insn *p = &e->program[i];
        const uint8_t read[3] = { p->a, p->b, p->c };
        const bool moves = p->op == TENON_OP_SEL; /* its b or c */
        for (uint32_t k = 0; k < (moves ? 1 : tenon_opcode_reads(p->op)); k++)
            if (of_machine[read[k]] && !makes_nan(p->op))
                return true;
        of_machine[p->dst] = makes_nan(p->op) || (moves && (of_machine[p->b] || of_machine[p->c]));
    }
    return false;
}

/* y of all rows by both ways; abort() where they differ. */
static void run(const struct tenon_encoding *e, const uint8_t *fill, size_t n_fill)
{
    /* two rows of tiles, unless what follows them is far away in memory anyhow */
    uint64_t rows = (e->tile_rows * e->tile_cols > MOST_ELEMENTS ? 1ull : 2ull) * e->tile_rows, cols = 3ull * e->tile_cols, n = rows * cols;
    void *planes[TENON_PLANES_MAX] = {0};
    float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got); /* [rows, cols] */
    struct tenon_ref_decoder *d = NULL;
    struct tenon_err err = TENON_ERR_INIT;
    bool ready = want != NULL && got != NULL && tenon_ref_decoder_create(e, &d, &err) == TENON_OK;
    for (uint32_t p = 0; p < e->n_planes; p++) {
        uint64_t bytes = tenon_encoding_plane_bytes(e, p, rows, cols);
        planes[p] = malloc(bytes);
        ready = ready && planes[p] != NULL;
        for (uint64_t i = 0; ready && i < bytes; i++)
            ((uint8_t *)planes[p])[i] = n_fill > 0 ? fill[i % n_fill] : (uint8_t)(i * 37);
    }
    if (ready && (tenon_ref_decode_rows(e, (const void *const *)planes, rows, cols, 0, rows, want) != TENON_OK ||
                  tenon_ref_decoder_rows(d, (const void *const *)planes, rows, cols, 0, rows, got) != TENON_OK))
        abort();
    for (uint64_t i = 0; ready && !looks_at_nans(e) && i < n; i++)
        if (memcmp(&want[i], &got[i], 4) != 0 && (want[i] == want[i] || got[i] == got[i]))
            abort();
    tenon_ref_decoder_destroy(d);
    for (uint32_t p = 0; p < e->n_planes; p++)
        free(planes[p]);
    free(want);
    free(got);
}

static void as_encoding(struct input in)
{
    static uint32_t values[1u << 6];
    struct tenon_insn program[TENON_PROGRAM_MAX + 1];
    struct tenon_plane planes[TENON_PLANES_MAX + 1];
    struct tenon_table tables[TENON_TABLES_MAX + 1];
    const uint8_t *all = in.p;
    size_t n_all = in.n;
    struct tenon_err err = TENON_ERR_INIT;
    const uint32_t mode = byte(&in);
    const bool tamed = mode % 4 != 0, large = mode / 4 % 32 == 31;
    struct tenon_encoding e = {.struct_size = sizeof e, .id = "fuzz/1", .planes = planes, .tables = tables, .program = program};
    e.tile_rows = byte(&in), e.tile_cols = byte(&in) * (1 + byte(&in) % 4);
    e.n_planes = byte(&in) % (TENON_PLANES_MAX + 2), e.n_tables = byte(&in) % (TENON_TABLES_MAX + 2);
    e.result = byte(&in) % 34;
    for (uint32_t p = 0; p < e.n_planes; p++)
        planes[p] = (struct tenon_plane){.struct_size = sizeof planes[p], .align = 1u << byte(&in) % 3, .name = "p",
                                         .tile_bytes = (byte(&in) << 8 | byte(&in)) % MOST_BYTES};
    for (uint32_t t = 0; t < e.n_tables; t++)
        tables[t] = (struct tenon_table){.struct_size = sizeof tables[t], .log2_size = byte(&in) % 7, .values = values};
    for (uint32_t k = 0; k < 64; k++)
        values[k] = k * 0x01234567u;
    while (in.n >= sizeof program[0] && e.n_insns <= TENON_PROGRAM_MAX) {
        memcpy(&program[e.n_insns], in.p, sizeof program[0]);
        if (tamed)
            tame(&program[e.n_insns]);
        in.p += sizeof program[0], in.n -= sizeof program[0], e.n_insns++;
    }
    if ((uint64_t)e.tile_rows * e.tile_cols > (large ? MOST_ELEMENTS_LARGE : MOST_ELEMENTS) || e.tile_rows > (large ? MOST_ROWS_LARGE : MOST_ROWS))
        return;
    if (tenon_ref_encoding_verify(&e, &err) == TENON_OK)
        run(&e, all, n_all);
    else if (err.code == TENON_OK || err.message[0] == '\0')
        abort(); /* refused without a reason */
}

static void as_text(struct input in)
{
    char line[256] = {0}, text[TENON_INSN_TEXT];
    struct tenon_insn first, again;
    memcpy(line, in.p, in.n < sizeof line - 1 ? in.n : sizeof line - 1);
    if (tenon_insn_parse(line, &first) != TENON_OK)
        return;
    tenon_insn_print(&first, text);
    if (tenon_insn_parse(text, &again) != TENON_OK || memcmp(&first, &again, sizeof again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    if (size == 0)
        return 0;
    as_encoding(in);
    as_text(in);
    return 0;
}
