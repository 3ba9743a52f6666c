/* Views of pictures on a processor, for `operations.py`: what `views.py` does on a GPU. Wants AVX-512. */
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hashed.h"

typedef __m512 vec; /* 16 pixels beside each other */

#define all _mm512_set1_ps
#define fma _mm512_fmadd_ps
#define add _mm512_add_ps
#define sub _mm512_sub_ps
#define mul _mm512_mul_ps
#define most _mm512_max_ps
#define least _mm512_min_ps
#define floats _mm512_loadu_ps
#define keep _mm512_storeu_ps

enum { TAPS = 7, CHANNELS = 3 };

static const float STEPS[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

typedef struct {
    const uint8_t *planes; /* the picture's, or its mask */
    int height, width;
    const float *places; /* (3, 3), from -1..1 in the view to -1..1 in the picture */
} Picture;

/* Where in the picture, in pixels, 16 places of the view lie that are `by` apart from (x, y) on. */
static void follow(const Picture *p, float x, float y, float by, vec *column, vec *row)
{
    const float *m = p->places;
    vec along = fma(floats(STEPS), all(by), all(x));
    vec at_x = fma(all(m[0]), along, all(m[1] * y + m[2])), at_y = fma(all(m[3]), along, all(m[4] * y + m[5]));
    vec part = _mm512_div_ps(all(0.5f), fma(all(m[6]), along, all(m[7] * y + m[8])));
    *column = fma(fma(at_x, part, all(0.5f)), all(p->width), all(-0.5f));
    *row = fma(fma(at_y, part, all(0.5f)), all(p->height), all(-0.5f));
}

static vec byte(__m512i words, int number)
{
    return _mm512_cvtepi32_ps(_mm512_and_epi32(_mm512_srli_epi32(words, 8 * number), _mm512_set1_epi32(255)));
}

static vec between(vec a, vec b, vec share) { return fma(sub(b, a), share, a); }

/* Adds the colours at 16 places to sums; outside, those of the border. */
static void add_colours(const Picture *p, vec column, vec row, vec *sums)
{
    column = least(most(column, all(0)), all(p->width - 1)), row = least(most(row, all(0)), all(p->height - 1));
    vec left = least(_mm512_floor_ps(column), all(p->width - 2)), top = least(_mm512_floor_ps(row), all(p->height - 2));
    vec right = sub(column, left), down = sub(row, top);
    __m512i at = _mm512_cvtps_epi32(fma(top, all(p->width), left));
    for (int i = 0; i < CHANNELS; i++) { /* a word from the place on: it and the one beside it are its low bytes */
        const uint8_t *plane = p->planes + (size_t)i * p->height * p->width;
        __m512i above = _mm512_i32gather_epi32(at, plane, 1), below = _mm512_i32gather_epi32(at, plane + p->width, 1);
        vec a = between(byte(above, 0), byte(above, 1), right), b = between(byte(below, 0), byte(below, 1), right);
        sums[i] = add(sums[i], between(a, b, down));
    }
}

/* What the mask holds at 16 places; 0 outside. */
static vec in_mask(const Picture *p, vec column, vec row)
{
    vec left = _mm512_floor_ps(column), top = _mm512_floor_ps(row), value = all(0);
    vec right = sub(column, left), down = sub(row, top);
    for (int i = 0; i < 4; i++) {
        vec x = add(left, all(i & 1)), y = add(top, all(i >> 1));
        __mmask16 inside = _mm512_cmp_ps_mask(x, all(0), _CMP_GE_OQ) & _mm512_cmp_ps_mask(y, all(0), _CMP_GE_OQ) &
                           _mm512_cmp_ps_mask(x, all(p->width - 1), _CMP_LE_OQ) &
                           _mm512_cmp_ps_mask(y, all(p->height - 1), _CMP_LE_OQ);
        __m512i at = _mm512_maskz_cvtps_epi32(inside, fma(y, all(p->width), x));
        /* Of the word that ends at the place, or of the first: none may reach beyond the mask. */
        __m512i word = _mm512_max_epi32(_mm512_sub_epi32(at, _mm512_set1_epi32(3)), _mm512_setzero_si512());
        __m512i shift = _mm512_slli_epi32(_mm512_sub_epi32(at, word), 3);
        vec here = byte(_mm512_srlv_epi32(_mm512_i32gather_epi32(word, p->planes, 1), shift), 0);
        vec share = mul(i & 1 ? right : sub(all(1), right), i >> 1 ? down : sub(all(1), down));
        value = _mm512_mask3_fmadd_ps(here, share, value, inside);
    }
    return value;
}

static vec logarithm(vec x) /* of base 2, to 2e-5 */
{
    static const float P[] = {-2.7879262f, 5.0478554f, -3.4898786f, 1.5894743f, -0.4025134f, 0.0430050f};
    vec m = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src), y = all(P[5]);
    for (int i = 4; i >= 0; i--)
        y = fma(y, m, all(P[i]));
    return add(y, _mm512_getexp_ps(x));
}

static vec power_of_two(vec x)
{
    static const float P[] = {1.0f, 0.69314718f, 0.24022651f, 0.05550411f, 0.00961813f, 0.00133336f};
    vec whole = _mm512_roundscale_ps(x, 0), f = sub(x, whole), y = all(P[5]);
    for (int i = 4; i >= 0; i--)
        y = fma(y, f, all(P[i]));
    return _mm512_scalef_ps(y, whole);
}

/* 16 deviates, near enough to normal ones: the sums of four bytes of a hash. */
static vec chance(uint32_t at, uint32_t seed)
{
    __m512i h = hashed(at, seed);
    vec sum = add(add(byte(h, 0), byte(h, 1)), add(byte(h, 2), byte(h, 3)));
    return mul(sub(sum, all(510.0f)), all(1.0f / 147.8f));
}

/* (3, h, w) from rows of the view that are averaged over 2x2 places each, in the light that `colour` says. */
static void look(const Picture *p, const float *colour, float *view, int h, int w)
{
    vec gain[CHANNELS], gamma = all(colour[3]), contrast = all(colour[4]), grey = all(colour[6]);
    vec offset = all(0.5f - 0.5f * colour[4] + colour[5]);
    for (int i = 0; i < CHANNELS; i++)
        gain[i] = all(colour[i] / (4 * 255.0f));
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c += 16) {
            vec sums[CHANNELS] = {all(0), all(0), all(0)}, column, row;
            for (int part = 0; part < 4; part++) {
                float x = (2 * c + (part & 1) + 0.5f) / w - 1, y = (2 * r + (part >> 1) + 0.5f) / h - 1;
                follow(p, x, y, 2.0f / w, &column, &row);
                add_colours(p, column, row, sums);
            }
            vec mean = all(0);
            for (int i = 0; i < CHANNELS; i++) {
                vec v = least(most(mul(sums[i], gain[i]), all(1e-6f)), all(1));
                v = fma(power_of_two(mul(logarithm(v), gamma)), contrast, offset);
                sums[i] = least(most(v, all(0)), all(1));
                mean = fma(sums[i], all(1.0f / CHANNELS), mean);
            }
            for (int i = 0; i < CHANNELS; i++)
                keep(view + ((size_t)i * h + r) * w + c, between(sums[i], mean, grey));
        }
}

/* The view blurred along both axes. wide: room for a row and what lies beside it; tall: for a plane. */
static void blur_view(float *view, const float *weights, int h, int w, float *wide, float *tall)
{
    const int reach = TAPS / 2;
    for (int i = 0; i < CHANNELS; i++) {
        float *plane = view + (size_t)i * h * w;
        for (int r = 0; r < h; r++)
            for (int c = 0; c < w; c += 16) {
                vec sum = all(0);
                for (int k = 0; k < TAPS; k++) {
                    int from = r + k - reach < 0 ? 0 : r + k - reach > h - 1 ? h - 1 : r + k - reach;
                    sum = fma(all(weights[k]), floats(plane + (size_t)from * w + c), sum);
                }
                keep(tall + (size_t)r * w + c, sum);
            }
        for (int r = 0; r < h; r++) {
            const float *line = tall + (size_t)r * w;
            for (int k = 0; k < reach; k++)
                wide[k] = line[0], wide[reach + w + k] = line[w - 1];
            memcpy(wide + reach, line, w * sizeof(float));
            for (int c = 0; c < w; c += 16) {
                vec sum = all(0);
                for (int k = 0; k < TAPS; k++)
                    sum = fma(all(weights[k]), floats(wide + c + k), sum);
                keep(plane + (size_t)r * w + c, sum);
            }
        }
    }
}

/* Averages (hm, wm) of what the mask shows in the view. */
static void look_at_mask(const Picture *p, float *map, int h, int w, int hm, int wm)
{
    int high = h / hm, broad = w / wm;
    float line[16];
    memset(map, 0, sizeof(float) * hm * wm);
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c += 16) {
            vec column, row;
            follow(p, (2 * c + 1.0f) / w - 1, (2 * r + 1.0f) / h - 1, 2.0f / w, &column, &row);
            keep(line, mul(in_mask(p, column, row), all(1.0f / (high * broad))));
            for (int i = 0; i < 16; i++)
                map[(size_t)(r / high) * wm + (c + i) / broad] += line[i];
        }
}

/* Views of B pictures.
 *
 * planes: (B, 4, H, W): red, green, blue, and 1 on the document; places: (B, 3, 3), colour: (B, 8), blur: (B, 7): as in
 * `chances.Chances`; seed: of the noise.
 * x: (B, h, w, 3) of 0..1; y: (B, hm, wm), the share of each that the document covers. w is a multiple of 16. */
void views(const uint8_t *planes, const float *places, const float *colour, const float *blur, float *x, float *y, int B,
           int H, int W, int h, int w, int hm, int wm, uint32_t seed)
{
    size_t area = (size_t)h * w, plane = (size_t)H * W, answers = (size_t)hm * wm;
#pragma omp parallel
    {
        float *view = malloc(sizeof(float) * ((CHANNELS + 1) * area + w + TAPS)), *tall = view + CHANNELS * area;
#pragma omp for schedule(dynamic)
        for (int b = 0; b < B; b++) {
            const uint8_t *own = planes + b * (CHANNELS + 1) * plane;
            Picture picture = {own, H, W, places + 9 * b}, mask = {own + CHANNELS * plane, H, W, places + 9 * b};
            look(&picture, colour + 8 * b, view, h, w);
            if (blur[TAPS * b + TAPS / 2] < 1)
                blur_view(view, blur + TAPS * b, h, w, tall + area, tall);
            float noise = colour[8 * b + 7];
            for (size_t i = 0; noise > 0 && i < CHANNELS * area; i += 16) {
                vec v = fma(chance(b * CHANNELS * area + i, seed), all(noise), floats(view + i));
                keep(view + i, least(most(v, all(0)), all(1)));
            }
            for (size_t i = 0; i < area; i++)
                for (int k = 0; k < CHANNELS; k++)
                    x[(b * area + i) * CHANNELS + k] = view[k * area + i];
            look_at_mask(&mask, y + b * answers, h, w, hm, wm);
        }
        free(view);
    }
}
