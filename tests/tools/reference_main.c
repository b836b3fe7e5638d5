/* reference_main.c - a program that links tenon-reference: for tests/e2e/install.py, which builds it from what is installed
 * alone. Prints y = x . w for x [1,3] and w [2,3]: "32 5". */
#include <stdio.h>

#include <tenon/reference.h>

int main(void)
{
    static const float x[] = { 1, 2, 3 } /* [1,3] */, w[] = { 4, 5, 6, 1, -1, 2 } /* [2,3] */;
    float y[2]; /* [1,2] */
    tenon_ref_matmul(1, 2, 3, x, w, NULL, y);
    printf("%g %g\n", (double)y[0], (double)y[1]);
    return 0;
}
