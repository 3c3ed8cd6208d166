// Updates of the momentum memory, one after another: the row of a cluster moves towards a vector, and its momentum towards
// the cosine of both.
#include "kernel.h"

namespace ninefold {

// Arrays of a memory (`Form.table` in Python). Rows are float16 numbers.
struct Memory {
    std::uint16_t* rows;
    float* momentum;
    double* last;
    std::int64_t* count;
    double* clock;
    std::int64_t dimensions;
    double weight, fade_s, decay;
};

}  // namespace ninefold

#ifdef NINEFOLD_PATH

#include <cstring>
#ifdef NINEFOLD_HALVES
#include <immintrin.h>
#endif

namespace {

#ifdef NINEFOLD_HALVES

constexpr int kLanes = NINEFOLD_HALVES;

#if NINEFOLD_HALVES == 16
using Floats = __m512;
inline Floats widened(const std::uint16_t* halves) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}
inline void narrow(Floats x, std::uint16_t* halves) {
    const __m256i nearest = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(halves), nearest);
}
#else
using Floats = __m256;
inline Floats widened(const std::uint16_t* halves) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}
inline void narrow(Floats x, std::uint16_t* halves) {
    const __m128i nearest = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves), nearest);
}
#endif

#else

// Vectors of the compiler, which every processor has instructions for or does in parts.
constexpr int kLanes = 4;
using Floats = float __attribute__((vector_size(16)));
using Words = std::uint32_t __attribute__((vector_size(16)));
using Halves = std::uint16_t __attribute__((vector_size(8)));

// The bits of exponent and fraction, as a float32 number, are 2^-112 times the value, which also holds for subnormal
// numbers. Infinities and NaN do not occur.
inline Floats widened(const std::uint16_t* halves) {
    Halves packed;
    std::memcpy(&packed, halves, sizeof packed);
    const Words bits = __builtin_convertvector(packed, Words);
    const Floats magnitude = (Floats)((bits & 0x7fff) << 13) * 0x1p112f;
    return (Floats)((Words)magnitude | (bits & 0x8000) << 16);
}

// To the nearest float16, of two the even one, for numbers that do not overflow. Of a normal number 13 bits are rounded
// away, and a carry goes into the exponent. Adding 0.5 to a number below 2^-14 leaves its multiple of 2^-24, rounded, in
// the fraction.
inline void narrow(Floats x, std::uint16_t* halves) {
    const Words bits = (Words)x, sign = bits & 0x80000000u, magnitude = bits ^ sign;
    const Words normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
    const Words subnormal = (Words)((Floats)magnitude + 0.5f) - (126u << 23);
    const Words small = (Words)(magnitude < (113u << 23));
    const Halves packed = __builtin_convertvector((small & subnormal) | (~small & normal) | sign >> 16, Halves);
    std::memcpy(halves, &packed, sizeof packed);
}

#endif

inline Floats loaded(const float* numbers) {
    Floats x;
    std::memcpy(&x, numbers, sizeof x);
    return x;
}

inline float summed(Floats x) {
    float numbers[kLanes], sum = 0;
    std::memcpy(numbers, &x, sizeof x);
    for (const float number : numbers) sum += number;
    return sum;
}

// Products of a vector v and a row m, summed in lanes.
struct Lanes {
    Floats vm, vv, mm;

    // Mix kLanes elements.
    void add(std::uint16_t* row, const float* vector, float rest, float weight) {
        const Floats v = loaded(vector);
        const Floats kept = widened(row) * rest, added = v * weight;
        narrow(kept + added, row);
        const Floats m = widened(row);
        vm += v * m, vv += v * v, mm += m * m;
    }
};

struct Sums {
    float dot, vector, row;
};

inline Sums mixed(std::uint16_t* row, const float* vector, std::int64_t count, float weight) {
    const float rest = 1.0f - weight;
    Lanes lanes{};
    std::int64_t at = 0;
    for (; at + kLanes <= count; at += kLanes) lanes.add(row + at, vector + at, rest, weight);
    if (at < count) {
        std::uint16_t end_of_row[kLanes] = {};
        float end_of_vector[kLanes] = {};
        std::memcpy(end_of_row, row + at, (count - at) * sizeof *row);
        std::memcpy(end_of_vector, vector + at, (count - at) * sizeof *vector);
        lanes.add(end_of_row, end_of_vector, rest, weight);
        std::memcpy(row + at, end_of_row, (count - at) * sizeof *row);
    }
    return {summed(lanes.vm), summed(lanes.vv), summed(lanes.mm)};
}

// The sums with the products of a scaled vector; the row does not change.
inline Sums products(const std::uint16_t* row, const float* vector, std::int64_t count, float scale) {
    Sums sums{};
    for (std::int64_t at = 0; at < count; at++) {
        std::uint16_t halves[kLanes] = {row[at]};
        const float v = vector[at] * scale, m = widened(halves)[0];
        sums.dot += v * m, sums.vector += v * v, sums.row += m * m;
    }
    return sums;
}

}  // namespace

NINEFOLD_ON_PATH(void, sum_scaled, (const Memory& memory, std::int64_t cluster, const float* vector, float scale,
                                    float (&sums)[3])) {
    const Sums found = products(memory.rows + cluster * memory.dimensions, vector, memory.dimensions, scale);
    sums[0] = found.dot, sums[1] = found.vector, sums[2] = found.row;
}

NINEFOLD_ON_PATH(void, mix, (const Memory& memory, std::int64_t cluster, const float* vector, float weight,
                             float (&sums)[3])) {
    const Sums found = mixed(memory.rows + cluster * memory.dimensions, vector, memory.dimensions, weight);
    sums[0] = found.dot, sums[1] = found.vector, sums[2] = found.row;
}

#else

#include <cmath>

NINEFOLD_PATHS(void, mix, (const Memory& memory, std::int64_t cluster, const float* vector, float weight,
                           float (&sums)[3]));
NINEFOLD_PATHS(void, sum_scaled, (const Memory& memory, std::int64_t cluster, const float* vector, float scale,
                                  float (&sums)[3]));

using namespace ninefold;

namespace {

constexpr float kSmallestNormal = 0x1p-126f;

// A power of two that makes the largest element of a vector 1 to 2; 0 if it has subnormal numbers only.
float scale_of(const float* vector, std::int64_t dimensions) {
    float most = 0;
    for (std::int64_t d = 0; d < dimensions; d++) most = std::fmax(most, std::fabs(vector[d]));
    return most < kSmallestNormal ? 0 : std::ldexp(1.0f, -std::ilogb(most));
}

}  // namespace

// Make the updates of a batch; `times` ascend and are not before any last update.
NINEFOLD_INTERFACE(dmi_update)(std::int64_t path, std::int64_t, const Memory* given, const std::int64_t* clusters,
                               const float* vectors, const double* times, std::int64_t batch) {
    constexpr float kSmallSquare = 1e-20f;  // above it, squares that are lost as subnormal numbers do not matter
    const Memory& memory = *given;
    for (std::int64_t i = 0; i < batch; i++) {
        const std::int64_t cluster = clusters[i];
        const double since = memory.count[cluster] ? times[i] - memory.last[cluster] : 0;
        const float weight = static_cast<float>(memory.weight * std::exp(-since / memory.fade_s));
        const float* vector = vectors + i * memory.dimensions;
        float sums[3], cosine = 0;
        mix_paths[path](memory, cluster, vector, weight, sums);
        if (sums[1] < kSmallSquare) {
            sum_scaled_paths[path](memory, cluster, vector, scale_of(vector, memory.dimensions), sums);
        }
        if (sums[1] > 0 && sums[2] > 0) cosine = sums[0] / (std::sqrt(sums[1]) * std::sqrt(sums[2]));
        cosine = std::fmax(-1.0f, std::fmin(1.0f, cosine));
        float& momentum = memory.momentum[cluster];
        momentum = static_cast<float>(memory.decay * momentum + (1 - memory.decay) * cosine);
        memory.last[cluster] = times[i];
        memory.count[cluster]++;
        memory.clock[0] = times[i];
    }
    return 0;
}

#endif
