/* The parts of a training step that PyTorch's own kernels are slow at on a processor, for `operations.py`.
 *
 * Pictures lie pixel by pixel, (B, H, W, C), as bfloat16. Sums are float32 or wider. Wants AVX-512 with BF16 (AMD Zen 4,
 * Intel Cooper Lake and Sapphire Rapids).
 */
#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hashed.h"

typedef uint16_t bf16;
typedef __m512 vec; /* 16 channels */

#define fma _mm512_fmadd_ps
#define add _mm512_add_ps
#define mul _mm512_mul_ps
#define zero _mm512_setzero_ps()
#define floats(p) _mm512_maskz_loadu_ps(few, p)
#define load(p) widen(_mm256_maskz_loadu_epi16(few, p))
#define store(p, v) _mm256_mask_storeu_epi16(p, few, (__m256i)_mm512_cvtneps_pbh(v))
/* For 16 channels at a time; `few` says which of them there are. */
#define each_channel(c, few) \
    for (int c = 0, few = left(0, C); c < C; c += 16, few = left(c, C))

enum { PIXELS = 64 }; /* that are summed in float32 before they are added to the rest */

static inline int left(int c, int C) { return C - c < 16 ? (1 << (C - c & 15)) - 1 : 0xFFFF; }

static inline vec widen(__m256i v) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16)); }

/* y = the 3x3 depthwise convolution of x, zeros around it. w: (9, C). */
void depthwise(const bf16 *x, const float *w, bf16 *y, int B, int H, int W, int C)
{
#pragma omp parallel for schedule(static)
    for (int row = 0; row < B * H; row++) {
        int first = row % H == 0, last = row % H == H - 1;
        const bf16 *mid = x + (size_t)row * W * C;
        const bf16 *up = first ? mid : mid - (size_t)W * C, *down = last ? mid : mid + (size_t)W * C;
        bf16 *out = y + (size_t)row * W * C;
        each_channel(c, few) {
            vec k[9];
            for (int i = 0; i < 9; i++)
                k[i] = (first && i < 3) || (last && i > 5) ? zero : floats(w + i * C + c);
            vec before = zero, here = zero; /* answers to which columns are still added */
            for (int i = 0; i < W; i++) {
                size_t at = (size_t)i * C + c;
                vec a = load(up + at), b = load(mid + at), d = load(down + at);
                vec after = fma(k[6], d, fma(k[3], b, mul(k[0], a)));
                here = fma(k[7], d, fma(k[4], b, fma(k[1], a, here)));
                before = fma(k[8], d, fma(k[5], b, fma(k[2], a, before)));
                if (i)
                    store(out + at - C, before);
                before = here;
                here = after;
            }
            store(out + (size_t)(W - 1) * C + c, before);
        }
    }
}

/* A thread's sums, added to those of all. */
static void hand_over(double *own, float *sums, int count)
{
#pragma omp critical
    for (int i = 0; i < count; i++)
        sums[i] += own[i];
    free(own);
}

static inline void add_up(double *own, vec v, int few)
{
    float parts[16];
    _mm512_storeu_ps(parts, v);
    for (int i = 0; few >> i; i++)
        own[i] += parts[i];
}

/* Gradients of `depthwise`: g of its answer, gx of x (none where NULL), gw of w. */
void depthwise_backward(const bf16 *x, const float *w, const bf16 *g, bf16 *gx, float *gw, int B, int H, int W, int C)
{
    memset(gw, 0, sizeof(float) * 9 * C);
#pragma omp parallel
    {
        double *own = calloc(9 * C, sizeof(double));
#pragma omp for schedule(static)
        for (int row = 0; row < B * H; row++) {
            int first = row % H == 0, last = row % H == H - 1;
            const bf16 *mid = g + (size_t)row * W * C;
            const bf16 *up = first ? mid : mid - (size_t)W * C, *down = last ? mid : mid + (size_t)W * C;
            const bf16 *in = x + (size_t)row * W * C;
            each_channel(c, few) {
                vec k[9], s[9];
                for (int i = 0; i < 9; i++) { /* this row was above the answers' row below it, and below that above */
                    k[i] = (last && i < 3) || (first && i > 5) ? zero : floats(w + i * C + c);
                    s[i] = zero;
                }
                vec x0 = zero, x1 = load(in + c), before = zero, here = zero;
                for (int i = 0; i < W; i++) {
                    size_t at = (size_t)i * C + c;
                    vec a = load(down + at), b = load(mid + at), d = load(up + at);
                    vec x2 = i + 1 < W ? load(in + at + C) : zero;
                    before = fma(k[6], d, fma(k[3], b, fma(k[0], a, before)));
                    here = fma(k[7], d, fma(k[4], b, fma(k[1], a, here)));
                    vec after = fma(k[8], d, fma(k[5], b, mul(k[2], a)));
                    s[0] = fma(x0, a, s[0]), s[3] = fma(x0, b, s[3]), s[6] = fma(x0, d, s[6]);
                    s[1] = fma(x1, a, s[1]), s[4] = fma(x1, b, s[4]), s[7] = fma(x1, d, s[7]);
                    s[2] = fma(x2, a, s[2]), s[5] = fma(x2, b, s[5]), s[8] = fma(x2, d, s[8]);
                    if (gx && i)
                        store(gx + (size_t)row * W * C + at - C, before);
                    before = here, here = after, x0 = x1, x1 = x2;
                }
                if (gx)
                    store(gx + ((size_t)row * W + W - 1) * C + c, before);
                for (int i = 0; i < 9; i++)
                    if (!(last && i < 3) && !(first && i > 5))
                        add_up(own + i * C + c, s[i], few);
            }
        }
        hand_over(own, gw, 9 * C);
    }
}

/* sums: (2, C), over all N pixels of z and of its square. */
void moments(const bf16 *z, float *sums, long N, int C)
{
    memset(sums, 0, sizeof(float) * 2 * C);
#pragma omp parallel
    {
        double *own = calloc(2 * C, sizeof(double));
#pragma omp for schedule(static)
        for (long start = 0; start < N; start += PIXELS)
            each_channel(c, few) {
                vec sum = zero, squares = zero;
                for (long n = start; n < start + PIXELS && n < N; n++) {
                    vec v = load(z + n * C + c);
                    sum = add(sum, v), squares = fma(v, v, squares);
                }
                add_up(own + c, sum, few), add_up(own + C + c, squares, few);
            }
        hand_over(own, sums, 2 * C);
    }
}

/* a = z * scale + shift + what it is added to (nothing where NULL), cut off below 0 and above top. */
void rectify(const bf16 *z, const bf16 *to, const float *scale, const float *shift, bf16 *a, long N, int C, float top)
{
    vec most = _mm512_set1_ps(top);
#pragma omp parallel for schedule(static)
    for (long n = 0; n < N; n++)
        each_channel(c, few) {
            vec v = fma(load(z + n * C + c), floats(scale + c), floats(shift + c));
            v = to ? add(v, load(to + n * C + c)) : v;
            store(a + n * C + c, _mm512_min_ps(most, _mm512_max_ps(zero, v)));
        }
}

static inline __mmask16 passes(vec a, float top)
{
    return _mm512_cmp_ps_mask(a, zero, _CMP_GT_OQ) & _mm512_cmp_ps_mask(a, _mm512_set1_ps(top), _CMP_LT_OQ);
}

/* sums: (2, C), of what of the gradient g passes `rectify`, whose answer is a, and of that times the normalized z,
 * z * inverse + offset. */
void rectify_sums(const bf16 *z, const bf16 *a, const bf16 *g, const float *inverse, const float *offset, float *sums,
                  long N, int C, float top)
{
    memset(sums, 0, sizeof(float) * 2 * C);
#pragma omp parallel
    {
        double *own = calloc(2 * C, sizeof(double));
#pragma omp for schedule(static)
        for (long start = 0; start < N; start += PIXELS)
            each_channel(c, few) {
                vec sum = zero, product = zero;
                for (long n = start; n < start + PIXELS && n < N; n++) {
                    vec part = _mm512_maskz_mov_ps(passes(load(a + n * C + c), top), load(g + n * C + c));
                    sum = add(sum, part);
                    product = fma(part, fma(load(z + n * C + c), floats(inverse + c), floats(offset + c)), product);
                }
                add_up(own + c, sum, few), add_up(own + C + c, product, few);
            }
        hand_over(own, sums, 2 * C);
    }
}

/* gz = what of g passes * scale + z * by_z + constant; gto: what of g passes, where it is not NULL. */
void rectify_backward(const bf16 *z, const bf16 *a, const bf16 *g, const float *scale, const float *by_z,
                      const float *constant, bf16 *gz, bf16 *gto, long N, int C, float top)
{
#pragma omp parallel for schedule(static)
    for (long n = 0; n < N; n++)
        each_channel(c, few) {
            size_t at = n * C + c;
            vec part = _mm512_maskz_mov_ps(passes(load(a + at), top), load(g + at));
            store(gz + at, fma(part, floats(scale + c), fma(load(z + at), floats(by_z + c), floats(constant + c))));
            if (gto)
                store(gto + at, part);
        }
}

/* y = the largest of each 2x2 pixels of x, which must not be negative: its bits then sort as it does. */
void pool(const bf16 *x, bf16 *y, int B, int H, int W, int C)
{
    int h = H / 2, w = W / 2;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < B * h; row++)
        for (int i = 0; i < w; i++) {
            const bf16 *p = x + ((size_t)row * 2 * W + 2 * i) * C, *q = p + (size_t)W * C;
            each_channel(c, few) {
                __m256i a = _mm256_maskz_loadu_epi16(few, p + c), b = _mm256_maskz_loadu_epi16(few, p + C + c);
                __m256i d = _mm256_maskz_loadu_epi16(few, q + c), e = _mm256_maskz_loadu_epi16(few, q + C + c);
                a = _mm256_max_epi16(_mm256_max_epi16(a, b), _mm256_max_epi16(d, e));
                _mm256_mask_storeu_epi16(y + ((size_t)row * w + i) * C + c, few, a);
            }
        }
}

/* Gradient gx of `pool`: g goes to the first of the largest pixels. */
void pool_backward(const bf16 *x, const bf16 *y, const bf16 *g, bf16 *gx, int B, int H, int W, int C)
{
    int h = H / 2, w = W / 2;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < B * h; row++)
        for (int i = 0; i < w; i++) {
            size_t corner = ((size_t)row * 2 * W + 2 * i) * C, below = corner + (size_t)W * C;
            size_t places[4] = {corner, corner + C, below, below + C}, at = ((size_t)row * w + i) * C;
            each_channel(c, few) {
                __m256i largest = _mm256_maskz_loadu_epi16(few, y + at + c);
                __m256i part = _mm256_maskz_loadu_epi16(few, g + at + c);
                __mmask16 open = few;
                for (int j = 0; j < 4; j++) {
                    __m256i value = _mm256_maskz_loadu_epi16(few, x + places[j] + c);
                    __mmask16 taken = _mm256_cmpeq_epi16_mask(value, largest) & open;
                    open &= ~taken;
                    _mm256_mask_storeu_epi16(gx + places[j] + c, few, _mm256_maskz_mov_epi16(taken, part));
                }
            }
        }
}

/* Which of 16 values from number `at` on are kept where a share of limit / 2^32 is dropped. */
static inline __mmask16 kept(uint32_t at, uint32_t seed, uint32_t limit)
{
    return _mm512_cmpge_epu32_mask(hashed(at, seed), _mm512_set1_epi32(limit));
}

/* y = x, a share of it dropped and the rest times gain; of the gradient likewise. */
void drop(const bf16 *x, bf16 *y, long N, uint32_t seed, uint32_t limit, float gain)
{
#pragma omp parallel for schedule(static)
    for (long n = 0; n < N; n += 16) {
        __mmask16 few = N - n < 16 ? (1 << (N - n)) - 1 : 0xFFFF;
        store(y + n, _mm512_maskz_mul_ps(kept(n, seed, limit), load(x + n), _mm512_set1_ps(gain)));
    }
}

/* out (B, 2h, 2w, 2C): of each pixel of u (B, h, w, 4 C) its four parts as 2x2 pixels, bias added; beside it skip
 * (B, 2h, 2w, C); dropped as by `drop` where limit is not 0. */
void join(const bf16 *u, const float *bias, const bf16 *skip, bf16 *out, int B, int h, int w, int C, uint32_t seed,
          uint32_t limit, float gain)
{
    vec by = _mm512_set1_ps(gain);
#pragma omp parallel for schedule(static)
    for (int row = 0; row < B * h * 2; row++)
        for (int i = 0; i < 2 * w; i++) {
            size_t pixel = (size_t)row * 2 * w + i;
            const bf16 *part = u + (((size_t)(row / 2) * w + i / 2) * 4 + (row & 1) * 2 + (i & 1)) * C;
            each_channel(c, few) {
                size_t at = pixel * 2 * C + c;
                vec a = add(load(part + c), floats(bias + c)), b = load(skip + pixel * C + c);
                if (limit) {
                    a = _mm512_maskz_mul_ps(kept(at, seed, limit), a, by);
                    b = _mm512_maskz_mul_ps(kept(at + C, seed, limit), b, by);
                }
                store(out + at, a), store(out + at + C, b);
            }
        }
}

/* Gradients of `join`. */
void join_backward(const bf16 *g, bf16 *gu, float *gbias, bf16 *gskip, int B, int h, int w, int C, uint32_t seed,
                   uint32_t limit, float gain)
{
    vec by = _mm512_set1_ps(gain);
    memset(gbias, 0, sizeof(float) * C);
#pragma omp parallel
    {
        double *own = calloc(C, sizeof(double));
#pragma omp for schedule(static)
        for (int row = 0; row < B * h * 2; row++)
            each_channel(c, few) {
                vec sum = zero;
                for (int i = 0; i < 2 * w; i++) {
                    size_t pixel = (size_t)row * 2 * w + i, at = pixel * 2 * C + c;
                    bf16 *part = gu + (((size_t)(row / 2) * w + i / 2) * 4 + (row & 1) * 2 + (i & 1)) * C;
                    vec a = load(g + at), b = load(g + at + C);
                    if (limit) {
                        a = _mm512_maskz_mul_ps(kept(at, seed, limit), a, by);
                        b = _mm512_maskz_mul_ps(kept(at + C, seed, limit), b, by);
                    }
                    store(part + c, a), store(gskip + pixel * C + c, b);
                    sum = add(sum, a);
                }
                add_up(own + c, sum, few);
            }
        hand_over(own, gbias, C);
    }
}

/* out (B, 2h, 2w, C + D): u (B, h, w, C) twice as large, bilinear between the middles of its pixels; beside it skip
 * (B, 2h, 2w, D). */
void enlarge(const bf16 *u, const bf16 *skip, bf16 *out, int B, int h, int w, int C, int D)
{
    vec near = _mm512_set1_ps(0.75f), far = _mm512_set1_ps(0.25f);
#pragma omp parallel for schedule(static)
    for (int row = 0; row < B * h * 2; row++) {
        int at = row / 2 % h, beside = row & 1 ? (at + 1 < h ? 1 : 0) : (at ? -1 : 0);
        const bf16 *one = u + (size_t)(row / 2) * w * C, *other = one + (ptrdiff_t)beside * w * C;
        bf16 *to = out + (size_t)row * 2 * w * (C + D);
        each_channel(c, few) {
            vec before = fma(near, load(one + c), mul(far, load(other + c))), here = before;
            for (int i = 0; i < w; i++) {
                size_t next = (size_t)(i + 1 < w ? i + 1 : i) * C + c;
                vec after = fma(near, load(one + next), mul(far, load(other + next)));
                bf16 *pair = to + (size_t)2 * i * (C + D) + c;
                store(pair, fma(near, here, mul(far, before))), store(pair + C + D, fma(near, here, mul(far, after)));
                before = here, here = after;
            }
        }
        for (int i = 0; i < 2 * w; i++)
            memcpy(to + (size_t)i * (C + D) + C, skip + ((size_t)row * 2 * w + i) * D, sizeof(bf16) * D);
    }
}

/* Gradients of `enlarge`. */
void enlarge_backward(const bf16 *g, bf16 *gu, bf16 *gskip, int B, int h, int w, int C, int D)
{
    int all = C + D;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < B * h; row++) {
        int at = row % h;
        const bf16 *rows[4]; /* of g, that this row of u went into, and by how much */
        float shares[4] = {at ? 0.25f : 0, at ? 0.75f : 1, at < h - 1 ? 0.75f : 1, at < h - 1 ? 0.25f : 0};
        for (int j = 0; j < 4; j++)
            rows[j] = g + ((ptrdiff_t)2 * row + (shares[j] > 0 ? j - 1 : 0)) * 2 * w * all;
        for (int i = 0; i < w; i++) {
            float by[4] = {i ? 0.25f : 0, i ? 0.75f : 1, i < w - 1 ? 0.75f : 1, i < w - 1 ? 0.25f : 0};
            each_channel(c, few) {
                vec sum = zero;
                for (int j = 0; j < 4; j++)
                    for (int k = 0; k < 4; k++) {
                        const bf16 *from = rows[j] + (size_t)(2 * i + (by[k] > 0 ? k - 1 : 0)) * all + c;
                        sum = fma(_mm512_set1_ps(shares[j] * by[k]), load(from), sum);
                    }
                store(gu + ((size_t)row * w + i) * C + c, sum);
            }
        }
        for (int i = 0; i < 4 * w; i++) {
            size_t pixel = (size_t)row * 4 * w + i;
            memcpy(gskip + pixel * D, g + pixel * all + C, sizeof(bf16) * D);
        }
    }
}

/* out (B, H / s, W / s, n): the k x k x C values, in that order, that a convolution of stride s reads for each of its
 * answers, zeros below and right of the picture, and at the end up to n. x is float32. */
void patches(const float *x, bf16 *out, int B, int H, int W, int C, int k, int s, int n)
{
    int h = H / s, w = W / s;
#pragma omp parallel for schedule(static)
    for (int row = 0; row < B * h; row++)
        for (int i = 0; i < w; i++) {
            bf16 *to = out + ((size_t)row * w + i) * n;
            memset(to, 0, sizeof(bf16) * n);
            int count = (i * s + k <= W ? k : W - i * s) * C, top = row % h * s;
            for (int j = 0; j < k && top + j < H; j++) {
                const float *line = x + (((size_t)(row / h) * H + top + j) * W + i * s) * C;
                for (int c = 0; c < count; c += 16) {
                    int few = left(c, count);
                    store(to + j * k * C + c, floats(line + c));
                }
            }
        }
}
