/* ref_random.c - core.random/1: Philox4x32-10, a random number as a function of key and counter, so that a draw does not
 * depend on what was drawn before. Any thread. Contract: tenon/reference.h; Salmon, Moraes, Dror, Shaw: Parallel Random
 * Numbers: As Easy as 1, 2, 3 (SC11), whose constants these are. */
#include <tenon/reference.h>

static uint32_t high_of(uint64_t x)
{
    return (uint32_t)(x >> 32);
}

void tenon_ref_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t ret_word[4])
{
    uint32_t k0 = key[0], k1 = key[1], c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = high_of(p1) ^ c1 ^ k0;
        c2 = high_of(p0) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    ret_word[0] = c0;
    ret_word[1] = c1;
    ret_word[2] = c2;
    ret_word[3] = c3;
}

void tenon_ref_random(int64_t r, const uint32_t *seed, const uint32_t *index, float *y)
{
    for (int64_t i = 0; i < r; i++) {
        uint32_t counter[4] = { index[i], 0, 0, 0 }, word[4];
        tenon_ref_philox(seed + 2 * i, counter, word);
        y[i] = (float)(word[0] >> 8) * 0x1p-24f; /* 24 bits: exact, and never 1 */
    }
}
