// Limits of the machine: bytes read from memory and int8 multiply-adds. Each call runs on one thread.

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int kChains = 10;  // independent sums, enough to hide the latency of these instructions

#if defined(__x86_64__)

// Products of pairs of bytes, summed in 16 bits: the multiplication of nits without VNNI.
__attribute__((target("avx2"))) int64_t multiply_avx2(int64_t rounds) {
    __m256i sums[kChains], left = _mm256_set1_epi8(3), right = _mm256_set1_epi8(2);
    for (auto& sum : sums) sum = _mm256_setzero_si256();
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 10
        for (int chain = 0; chain < kChains; ++chain) {
            asm volatile("" : "+x"(left));  // otherwise the product is computed only once
            sums[chain] = _mm256_add_epi16(sums[chain], _mm256_maddubs_epi16(left, right));
        }
    }
    __m256i total = sums[0];
    for (int chain = 1; chain < kChains; ++chain) total = _mm256_add_epi16(total, sums[chain]);
    asm volatile("" : "+x"(total));
    return rounds * kChains * 32 * 2;
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) int64_t multiply_avx512(int64_t rounds) {
    __m512i sums[kChains], left = _mm512_set1_epi8(3), right = _mm512_set1_epi8(2);
    for (auto& sum : sums) sum = _mm512_setzero_si512();
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 10
        for (int chain = 0; chain < kChains; ++chain) {
            asm volatile("" : "+v"(left));
            sums[chain] = _mm512_dpbusd_epi32(sums[chain], left, right);
        }
    }
    __m512i total = sums[0];
    for (int chain = 1; chain < kChains; ++chain) total = _mm512_add_epi32(total, sums[chain]);
    asm volatile("" : "+v"(total));
    return rounds * kChains * 64 * 2;
}

#endif

}  // namespace

extern "C" {

// Reads every word; the result only keeps the compiler from removing the reads.
__attribute__((visibility("default"))) uint64_t ninefold_read(const uint64_t* words, size_t count) {
    uint64_t sums[16] = {};
    for (size_t i = 0; i + 16 <= count; i += 16)
        for (int j = 0; j < 16; ++j) sums[j] ^= words[i + j];
    uint64_t total = 0;
    for (uint64_t sum : sums) total ^= sum;
    return total;
}

// Returns the number of operations, two for a multiplication and an addition; 0 if the processor has no such path.
__attribute__((visibility("default"))) int64_t ninefold_multiply(int64_t rounds) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")) return multiply_avx512(rounds);
    if (__builtin_cpu_supports("avx2")) return multiply_avx2(rounds);
#endif
    (void)rounds;
    return 0;
}
}
