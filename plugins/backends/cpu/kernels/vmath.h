/* vmath.h - exp, tanh and what is made of them, on vectors of any level. Include after simd_*.h.
 *
 * exp is the usual reduction by powers of two, then the series of degree 7 on [-ln2/2, ln2/2] (the next term is below 2^-27),
 * within 2 ulp, denormal results included; infinities and NaN do what they must. tanh is an odd polynomial near 0, where
 * 1 - 2/(e^2x + 1) would cancel. */
#ifndef TENON_CPU_VMATH_H
#define TENON_CPU_VMATH_H

INLINE vf vf_exp(vf x)
{
    vf n, r, p;
    x = vf_min(vf_all(89.0f), x); /* NaN in the second operand stays */
    x = vf_max(vf_all(-104.5f), x);
    n = vf_round(vf_mul(x, vf_all(0x1.715476p+0f)));
    r = vf_fnma(n, vf_all(0x1.62e43p-1f), x); /* ln 2 in two parts */
    r = vf_fnma(n, vf_all(-0x1.05c61p-29f), r);
    p = vf_fma(vf_all(0x1.a01a02p-13f), r, vf_all(0x1.6c16c2p-10f)); /* 1/7!, 1/6! .. */
    p = vf_fma(p, r, vf_all(0x1.111112p-7f));
    p = vf_fma(p, r, vf_all(0x1.555556p-5f));
    p = vf_fma(p, r, vf_all(0x1.555556p-3f));
    p = vf_fma(p, r, vf_all(0.5f));
    p = vf_fma(p, r, vf_all(1.0f));
    p = vf_fma(p, r, vf_all(1.0f));
    return vf_scale(p, n);
}

/* 2^x for x <= 0, within 3.1 ulp (25 million x): what is above the whole exponent by 1 + r q(r) on [0, 1), of least relative error. Below -150: 0. NaN
 * stays. */
INLINE vf vf_exp2(vf x)
{
    x = vf_bound_exponent(x);
    vf r = vf_fraction(x), p;
    p = vf_fma(vf_all(0x1.e974fap-10f), r, vf_all(0x1.277856p-7f));
    p = vf_fma(p, r, vf_all(0x1.c91ce6p-5f));
    p = vf_fma(p, r, vf_all(0x1.ebdb56p-3f));
    p = vf_fma(p, r, vf_all(0x1.62e4bap-1f));
    p = vf_fma(p, r, vf_all(1.0f));
    return vf_scale_floor(p, x);
}

INLINE vf vf_sigmoid(vf x)
{
    return vf_div(vf_all(1.0f), vf_add(vf_all(1.0f), vf_exp(vf_xor(x, vf_all(-0.0f)))));
}

/* x sigmoid(x). At -infinity 0 times infinity would be NaN: x / infinity there gives NaN too, so bound it first. */
INLINE vf vf_silu(vf x)
{
    vf low = vf_max(vf_all(-200.0f), x);
    return vf_div(low, vf_add(vf_all(1.0f), vf_exp(vf_xor(low, vf_all(-0.0f)))));
}

INLINE vf vf_tanh(vf x)
{
    vf sign = vf_and_bits(x, 0x80000000u), a = vf_and_bits(x, 0x7fffffffu), s = vf_mul(x, x);
    vf far = vf_sub(vf_all(1.0f), vf_div(vf_all(2.0f), vf_add(vf_exp(vf_add(a, a)), vf_all(1.0f))));
    vf p = vf_all(-0x1.8d49f8p-8f); /* tanh(x) = x + x^3 p(x^2) for |x| < 0.625, through Chebyshev nodes */
    p = vf_fma(p, s, vf_all(0x1.57a01ep-6f));
    p = vf_fma(p, s, vf_all(-0x1.b91aep-5f));
    p = vf_fma(p, s, vf_all(0x1.110dfp-3f));
    p = vf_fma(p, s, vf_all(-0x1.555552p-2f));
    vf near = vf_fma(vf_mul(x, s), p, x);
    return vf_or(vf_pick(vf_less(a, vf_all(0.625f)), near, far), sign); /* -0 too */
}

/* x sigmoid(2 z), z = sqrt(2/pi) (x + 0.044715 x^3): the same as x/2 (1 + tanh z). */
INLINE vf vf_gelu_tanh(vf x)
{
    vf low = vf_max(vf_all(-100.0f), x), s = vf_mul(low, low);
    vf z = vf_mul(low, vf_fma(s, vf_all(-2.0f * 0.797884561f * 0.044715f), vf_all(-2.0f * 0.797884561f)));
    return vf_div(low, vf_add(vf_all(1.0f), vf_exp(z)));
}

INLINE vf vf_gelu_quick(vf x)
{
    vf low = vf_max(vf_all(-200.0f), x);
    return vf_div(low, vf_add(vf_all(1.0f), vf_exp(vf_mul(low, vf_all(-1.702f)))));
}

/* x/2 (1 + erf(x / sqrt 2)) by what is missing to 1 or 2: erfc(t) = 1 - t p(t^2) for t < 1, exp(-q(t)) for 1 <= t <= 4, through
 * Chebyshev nodes to 1e-9, and nothing beyond. */
INLINE vf vf_gelu(vf x)
{
    vf t = vf_mul(vf_and_bits(x, 0x7fffffffu), vf_all(0x1.6a09e6p-1f)), s = vf_mul(t, t), e;
    vf p = vf_all(0x1.4ae4dp-14f);
    p = vf_fma(p, s, vf_all(-0x1.a485ecp-11f));
    p = vf_fma(p, s, vf_all(0x1.5419f6p-8f));
    p = vf_fma(p, s, vf_all(-0x1.b7fbb4p-6f));
    p = vf_fma(p, s, vf_all(0x1.ce2d2p-4f));
    p = vf_fma(p, s, vf_all(-0x1.81273ep-2f));
    p = vf_fma(p, s, vf_all(0x1.20dd74p+0f));
    vf q = vf_all(-0x1.0de51p-22f);
    q = vf_fma(q, t, vf_all(0x1.a8b822p-16f));
    q = vf_fma(q, t, vf_all(-0x1.e651dp-12f));
    q = vf_fma(q, t, vf_all(0x1.18a698p-8f));
    q = vf_fma(q, t, vf_all(-0x1.9fb878p-6f));
    q = vf_fma(q, t, vf_all(0x1.bcfc44p-4f));
    q = vf_fma(q, t, vf_all(0x1.441dc4p-1f));
    q = vf_fma(q, t, vf_all(0x1.21317ap+0f));
    q = vf_fma(q, t, vf_all(-0x1.ac937ep-13f));
    e = vf_pick(vf_less(t, vf_all(1.0f)), vf_fnma(t, p, vf_all(1.0f)), vf_exp(vf_sub(vf_zero(), q)));
    e = vf_pick(vf_less(vf_all(4.0f), t), vf_zero(), e);
    e = vf_pick(vf_less(x, vf_zero()), e, vf_sub(vf_all(2.0f), e));
    return vf_mul(vf_mul(vf_all(0.5f), x), e);
}

#endif
