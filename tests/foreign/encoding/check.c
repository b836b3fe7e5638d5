/* check.c - is the program what its author means? Random bytes decoded by the host's interpreter and by the sentence at the head of
 * encoding.c in plain C, which must agree to the bit. Links tenon-reference; no part of the plugin. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <tenon/reference.h>

#include "acme.h"

enum { ROWS = 2, COLS = 96, ELEMENTS = ROWS * COLS, TILES = 1000 };

static float half(const uint8_t *p)
{
    const int h = p[0] | p[1] << 8, e = h >> 10 & 31, m = h & 1023;
    const float x = e == 31 ? (m != 0 ? NAN : INFINITY) : e == 0 ? ldexpf((float)m, -24) : ldexpf((float)(m | 1024), e - 25);
    return h & 0x8000 ? -x : x;
}

static float element(const uint8_t *codes, const uint8_t *scales, int i)
{
    static const int power[] = {1, 3, 9};
    const int bit = i / 3 * 5;
    const int code = (codes[bit / 8] | (bit / 8 + 1 < 40 ? codes[bit / 8 + 1] << 8 : 0)) >> bit % 8 & 31;
    return half(scales + i / 64 * 2) * (float)(code >= 27 ? 0 : code / power[i % 3] % 3 - 1);
}

int main(void)
{
    static uint8_t codes[TILES * 40], scales[TILES * 6];
    static float y[TILES * ELEMENTS]; /* [TILES * ROWS, COLS]: tiles one below the other */
    const void *const planes[] = {codes, scales};
    struct tenon_err err = TENON_ERR_INIT;
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)(rand() >> 7);
    for (size_t i = 0; i < sizeof scales; i++)
        scales[i] = (uint8_t)(rand() >> 7);
    if (tenon_ref_encoding_verify(&acme_trits, &err) != TENON_OK ||
        tenon_ref_decode_rows(&acme_trits, planes, TILES * ROWS, COLS, 0, TILES * ROWS, y) != TENON_OK) {
        fprintf(stderr, "%s: %s\n", err.where, err.message);
        return 1;
    }
    for (int i = 0; i < TILES * ELEMENTS; i++) {
        const float want = element(codes + i / ELEMENTS * 40, scales + i / ELEMENTS * 6, i % ELEMENTS);
        if (memcmp(&want, &y[i], sizeof want) != 0 && !(isnan(want) && isnan(y[i]))) {
            fprintf(stderr, "tile %d, element %d: %g instead of %g\n", i / ELEMENTS, i % ELEMENTS, (double)y[i], (double)want);
            return 1;
        }
    }
    printf("%d values equal\n", TILES * ELEMENTS);
    return 0;
}
