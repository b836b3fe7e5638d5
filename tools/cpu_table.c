/* cpu_table.c - the CPU backend's table of op x encoding x instruction level, from its own claims.
 *
 * Usage: cpu_table [README]; prints the Markdown between its two marker lines, or with a file fails when the file does not hold
 * just that. What is claimed does not depend on the level; that every level linked in has every kernel is checked here, the
 * other architecture's are complete by CPU_DEFINE_LEVEL. One thread. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/backends/cpu/generic.h"

#define BEGIN_LINE "<!-- cpu_table: begin -->\n"
#define END_LINE "<!-- cpu_table: end -->\n"

static bool levels_are_complete(void)
{
    for (int i = 0; i <= CPU_LEVEL_BEST; i++) {
        const struct cpu_kernels *k = cpu_kernels_select((enum cpu_level)i); /* a lower one where this machine has not that */
        void *p;
        for (size_t at = 0; at < offsetof(struct cpu_kernels, bf16); at += sizeof p) { /* a name, then functions */
            memcpy(&p, (const char *)k + at, sizeof p);
            if (p == NULL)
                return false;
        }
    }
    return true;
}

/* Which encodings an operand of the op may have beside f32 activations. */
static void print_encodings(FILE *out, uint32_t op)
{
    switch (op) {
    case TENON_OPN_GATHER: case TENON_OPN_GROUPED_MATMUL: case TENON_OPN_GATED_FFN:
        fprintf(out, "as %s", tenon_op_at(TENON_OPN_MATMUL)->id);
        break;
    case TENON_OPN_MATMUL:
        for (int i = 0; i < CPU_FORMAT_COUNT; i++)
            fprintf(out, "%s%s", i > 0 ? ", " : "", cpu_encoding_at((enum cpu_format)i)->id);
        fprintf(out, "; any other by its program");
        break;
    case TENON_OPN_ATTENTION: case TENON_OPN_KV_STORE: case TENON_OPN_KV_LOAD:
        fprintf(out, "cache of f16, f32, bf16, q8");
        break;
    default:
        fprintf(out, "-");
    }
}

static const char *claim(const struct tenon_device *dev, uint32_t op)
{
    if (cpu_kernel_has(dev, op))
        return "native";
    return cpu_generic_has(op) ? "generic" : "none";
}

static void print_table(FILE *out)
{
    static const char *const levels[] = { "scalar", "avx2", "avx512", "avx512_bf16", "amx", "neon", "dotprod", "i8mm" };
    const size_t n = sizeof levels / sizeof *levels;
    const struct tenon_device dev = { .claims = true };
    fputs(BEGIN_LINE "| op | encodings |", out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, " %s |", levels[i]);
    fputs("\n|---|---|", out);
    for (size_t i = 0; i < n; i++)
        fputs("---|", out);
    for (uint32_t op = 0; op < TENON_OPN_COUNT; op++) {
        fprintf(out, "\n| %s | ", tenon_op_at(op)->id);
        print_encodings(out, op);
        for (size_t i = 0; i < n; i++)
            fprintf(out, " | %s", claim(&dev, op));
        fputs(" |", out);
    }
    fputs("\n" END_LINE, out);
}

/* Does the file hold the text? */
static bool holds(const char *path, const char *text)
{
    FILE *f = fopen(path, "r");
    char *all = calloc(1, 1 << 20);
    bool found = f != NULL && all != NULL && fread(all, 1, (1 << 20) - 1, f) > 0 && strstr(all, text) != NULL;
    if (f != NULL)
        fclose(f);
    free(all);
    return found;
}

int main(int argc, char **argv)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    bool good = levels_are_complete();
    if (!good)
        fprintf(stderr, "cpu_table: a level lacks a kernel\n");
    if (out == NULL)
        return 1;
    print_table(out);
    if (fclose(out) != 0)
        return 1;
    if (argc < 2)
        fputs(text, stdout);
    else if (!holds(argv[1], text)) {
        fprintf(stderr, "cpu_table: %s tells something else: put there what cpu_table prints\n", argv[1]);
        good = false;
    }
    free(text);
    return good ? 0 : 1;
}
