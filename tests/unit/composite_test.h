/* composite_test.h - a graph of one composite, for tests of its decomposition: operands of random floats, and what
 * tenon-reference makes of the lowered graph.
 *
 *     struct fixture f = {.dims = attention_dims()};
 *     start();                                                  // prints the seed; TENON_TEST_SEED takes one
 *     float *x = add_input(&f, "x", DIMS(T_, N_(5))), *w = add_weight(&f, "w", DIMS(N_(5)));
 *     run(&f, "core.norm/1", attrs, n_attrs, 1, 1);
 *     check_close(eval_output(&f.eval, 0)->f, want, TOKENS * 5, 1e-6);
 *     finish(&f);
 *
 * Operands are the composite's in order. What goes wrong here fails the test. One thread.
 */
#ifndef TESTS_COMPOSITE_TEST_H
#define TESTS_COMPOSITE_TEST_H

#include <stdbool.h>

#include <tenon/build.h>

#include "core/graph/builder.h"
#include "graph_eval.h"

/* ---- operands ----------------------------------------------------------------------------------------------- */

struct item {
    const char *name; /* of the operand; step inputs by their own name */
    int32_t kind, dtype;
    struct tenon_dim dims[4];
    uint32_t rank;
    void *data; /* floats or ints; OWN: fixture where it was made by add() */
};

struct fixture {
    struct item items[20];
    uint32_t n;
    struct tenon_state_desc state;
    struct tenon_dims dims;
    struct tn_graph *whole; /* with the composite */
    struct tn_graph *graph; /* lowered */
    struct eval eval;
};

#define T_ tn_dim_sym(TENON_SYM_T)
#define S_ tn_dim_sym(TENON_SYM_S)
#define R_ tn_dim_sym(TENON_SYM_R)
#define N_(n) tn_dim_const(n)
#define DIMS(...) (struct tenon_dim[]){__VA_ARGS__}, sizeof((struct tenon_dim[]){__VA_ARGS__}) / sizeof(struct tenon_dim)

/* Inputs (act, then f32) and weights of random floats within -1 .. 1; what they return is the fixture's and may be changed. */
float *add_input(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank);
float *add_f32(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank);
float *add_weight(struct fixture *f, const char *name, const struct tenon_dim *dims, uint32_t rank);
/* An input of 4-byte integers. */
void *add_ints(struct fixture *f, const char *name, int32_t dtype, const void *ints, const struct tenon_dim *dims, uint32_t rank);
void add_step(struct fixture *f, const char *name, const int32_t *ints, int64_t n); /* a step input, typed by its name */
void add_state(struct fixture *f, const char *name, void *data);                    /* borrowed */
void add_absent(struct fixture *f);                                                 /* an optional operand left out */

/* For struct tn_build_env, with the fixture as ctx. */
int32_t find_weight(void *ctx, const char *name, struct tn_weight_info *ret, struct tenon_err *err);

/* ---- running ------------------------------------------------------------------------------------------------ */

void start(void);
uint32_t random_u32(void);
float random_float(void); /* -1 .. 1 */

/* Build a program of one node over all items in order, lower it, check that no composite is left, run it. */
void run(struct fixture *f, const char *op, const struct tenon_attr *attrs, uint32_t n_attrs, uint32_t n_out, uint32_t n_ret);
void finish(struct fixture *f);
/* Each of y [n] within tol of want, relative above 1. */
void check_close(const float *y, const double *want, int64_t n, double tol);

/* ---- a batch: two sequences, the first with a past ---------------------------------------------------------- */

enum { TOKENS = 5, SEQS = 2, PAGES = 3, PAGE = 4, CACHE = PAGES * PAGE, HEADS = 6, GROUPS = 2, KDIM = 3, VDIM = 5 };
extern const int32_t position[TOKENS], seq_of_token[TOKENS], seq_start[SEQS + 1], context_len[SEQS], block_table[SEQS * PAGES];

void add_step_inputs(struct fixture *f); /* position, seq_of_token, seq_start, context_len */
struct tenon_dims attention_dims(void);

#endif
