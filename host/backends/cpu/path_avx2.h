// AVX2: products of bytes summed in pairs to 16 bits.
#pragma once

#ifdef NINEFOLD_VECTORS
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

// Numbers that an instruction converts between float16 and float32.
#define NINEFOLD_HALVES 8
// Numbers of a vector of float32.
#define NINEFOLD_FLOATS 8

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,f16c")
#endif

#ifdef NINEFOLD_VECTORS
namespace {

struct Avx2 {
    static constexpr int kBytes = 32, kRows = 8, kTileVectors = 2;
    using Vec = __m256i;
    using Sums = __m256i;

    static Vec load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
    static void store(void* p, Vec v) { _mm256_store_si256(static_cast<__m256i*>(p), v); }
    static Vec low(Vec v) {
        return _mm256_and_si256(_mm256_xor_si256(v, _mm256_set1_epi8(8)), _mm256_set1_epi8(15));
    }
    static Vec high(Vec v) {
        return _mm256_xor_si256(_mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15)), _mm256_set1_epi8(8));
    }
    static Vec splat(const std::int8_t* p) {
        std::int32_t word;
        std::memcpy(&word, p, 4);
        return _mm256_set1_epi32(word);
    }
    static Sums zero() { return _mm256_setzero_si256(); }
    // If this addition is an intrinsic, GCC copies every sum once per column. In this form the sum stays in its
    // register, and a tile takes a fifth less time.
    static Sums accumulate(Sums s, Vec u, Vec v) {
        const Vec products = _mm256_maddubs_epi16(u, v);
        asm("vpaddw %1, %0, %0" : "+x"(s) : "x"(products));
        return s;
    }
    static Vec widen(Sums s) { return _mm256_madd_epi16(s, _mm256_set1_epi16(1)); }
    static Vec splat32(std::int32_t i) { return _mm256_set1_epi32(i); }
    static Vec add(Vec a, Vec b) { return _mm256_add_epi32(a, b); }
    static std::uint32_t above(Vec a, std::int32_t i) {
        const __m256i greater = _mm256_cmpgt_epi32(a, _mm256_set1_epi32(i));
        return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(greater)));
    }
    static Vec lo32(Vec a, Vec b) { return _mm256_unpacklo_epi32(a, b); }
    static Vec hi32(Vec a, Vec b) { return _mm256_unpackhi_epi32(a, b); }
    static Vec lo64(Vec a, Vec b) { return _mm256_unpacklo_epi64(a, b); }
    static Vec hi64(Vec a, Vec b) { return _mm256_unpackhi_epi64(a, b); }
    static void join(const Vec (&in)[2], Vec (&out)[2]) {
        out[0] = _mm256_permute2x128_si256(in[0], in[1], 0x20);
        out[1] = _mm256_permute2x128_si256(in[0], in[1], 0x31);
    }
    static Vec low4(Vec v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
    static Vec high4(Vec v) { return low4(_mm256_srli_epi16(v, 4)); }
    static Vec look_up(const std::uint8_t* table, Vec v) {
        const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), v);
    }
    static Vec add8(Vec a, Vec b) { return _mm256_add_epi8(a, b); }
    static Vec add16(Vec a, Vec b) { return _mm256_add_epi16(a, b); }
    static Vec even8(Vec v) { return _mm256_and_si256(v, _mm256_set1_epi16(255)); }
    static std::uint32_t above16(Vec a, std::int32_t i) {
        const __m256i greater = _mm256_cmpgt_epi16(a, _mm256_set1_epi16(static_cast<short>(i)));
        const __m256i bytes = _mm256_packs_epi16(greater, _mm256_setzero_si256());  // each half in its low 8 bytes
        const std::uint32_t mask = static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
        return (mask & 255) | (mask >> 8 & 0xff00);
    }
    static Vec odd8(Vec v) { return _mm256_srli_epi16(v, 8); }
};

using Isa = Avx2;

}  // namespace
#endif
