/* Chance for the kernels: 16 numbers that follow from a seed and where they stand. */
#include <immintrin.h>
#include <stdint.h>

static inline __m512i hashed(uint32_t at, uint32_t seed)
{
    __m512i h = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    h = _mm512_mullo_epi32(_mm512_add_epi32(_mm512_set1_epi32(at), h), _mm512_set1_epi32(0x9E3779B1));
    h = _mm512_xor_si512(h, _mm512_set1_epi32(seed));
    h = _mm512_mullo_epi32(_mm512_xor_si512(h, _mm512_srli_epi32(h, 15)), _mm512_set1_epi32(0x85EBCA6B));
    h = _mm512_mullo_epi32(_mm512_xor_si512(h, _mm512_srli_epi32(h, 13)), _mm512_set1_epi32(0xC2B2AE35));
    return _mm512_xor_si512(h, _mm512_srli_epi32(h, 16));
}
