// AVX-512 VNNI: products of bytes summed in fours to 32 bits.
#pragma once

#ifdef NINEFOLD_VECTORS
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

// Numbers that an instruction converts between float16 and float32.
#define NINEFOLD_HALVES 16
// Numbers of a vector of float32.
#define NINEFOLD_FLOATS 16

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vnni"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vnni")
#endif

#ifdef NINEFOLD_VECTORS
namespace {

struct Avx512 {
    static constexpr int kBytes = 64, kRows = 16, kTileVectors = 4;
    using Vec = __m512i;
    using Sums = __m512i;

    static Vec load(const void* p) { return _mm512_loadu_si512(p); }
    static void store(void* p, Vec v) { _mm512_store_si512(p, v); }
    static Vec low(Vec v) {
        return _mm512_and_si512(_mm512_xor_si512(v, _mm512_set1_epi8(8)), _mm512_set1_epi8(15));
    }
    static Vec high(Vec v) {
        return _mm512_xor_si512(_mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15)), _mm512_set1_epi8(8));
    }
    static Vec splat(const std::int8_t* p) {
        std::int32_t word;
        std::memcpy(&word, p, 4);
        return _mm512_set1_epi32(word);
    }
    static Sums zero() { return _mm512_setzero_si512(); }
    static Sums accumulate(Sums s, Vec u, Vec v) { return _mm512_dpbusd_epi32(s, u, v); }
    static Vec widen(Sums s) { return s; }
    static Vec splat32(std::int32_t i) { return _mm512_set1_epi32(i); }
    static Vec add(Vec a, Vec b) { return _mm512_add_epi32(a, b); }
    static std::uint32_t above(Vec a, std::int32_t i) { return _mm512_cmpgt_epi32_mask(a, _mm512_set1_epi32(i)); }
    static Vec lo32(Vec a, Vec b) { return _mm512_unpacklo_epi32(a, b); }
    static Vec hi32(Vec a, Vec b) { return _mm512_unpackhi_epi32(a, b); }
    static Vec lo64(Vec a, Vec b) { return _mm512_unpacklo_epi64(a, b); }
    static Vec hi64(Vec a, Vec b) { return _mm512_unpackhi_epi64(a, b); }
    template <int kBlocks>
    static Vec shuffle(Vec a, Vec b) { return _mm512_shuffle_i32x4(a, b, kBlocks); }
    static Vec low4(Vec v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
    static Vec high4(Vec v) { return low4(_mm512_srli_epi16(v, 4)); }
    static Vec look_up(const std::uint8_t* table, Vec v) {
        const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
        return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), v);
    }
    static Vec add8(Vec a, Vec b) { return _mm512_add_epi8(a, b); }
    static Vec add16(Vec a, Vec b) { return _mm512_add_epi16(a, b); }
    static Vec even8(Vec v) { return _mm512_and_si512(v, _mm512_set1_epi16(255)); }
    static std::uint32_t above16(Vec a, std::int32_t i) {
        return _mm512_cmpgt_epi16_mask(a, _mm512_set1_epi16(static_cast<short>(i)));
    }
    static Vec odd8(Vec v) { return _mm512_srli_epi16(v, 8); }
};

using Isa = Avx512;

}  // namespace
#endif
