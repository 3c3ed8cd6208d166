// Sums of products of float32 numbers: in float in chains of eight, so that their errors stay below 2^-21 of the sum of the
// magnitudes, and then in double. Code of a path includes this file after kernel.h.
#pragma once

#include "kernel.h"

namespace ninefold {

constexpr int kLanes = 16;  // numbers are padded with zeros to a multiple

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

using ninefold::kLanes;

using Vec __attribute__((vector_size(4 * kLanes))) = float;
using Half __attribute__((vector_size(2 * kLanes))) = float;
using Sums __attribute__((vector_size(4 * kLanes))) = double;

inline Vec load(const float* p) {
    Vec v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

inline Sums widened(const float* p) {
    Half v;
    __builtin_memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, Sums);
}

inline Sums both_halves(Vec v) {
    float lanes[kLanes];
    __builtin_memcpy(lanes, &v, sizeof v);
    return widened(lanes) + widened(lanes + kLanes / 2);
}

inline double total(Sums v) { return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7])); }

// Dot products of `kQueries` vectors a, `pitch` numbers apart, and one vector b, of `width` numbers, a multiple of kLanes.
template <int kQueries>
void dot_products(const float* a, std::int64_t pitch, const float* b, std::int64_t width, double* found) {
    Sums sums[kQueries] = {};
    for (std::int64_t first = 0; first < width; first += 8 * kLanes) {
        const std::int64_t end = first + 8 * kLanes < width ? first + 8 * kLanes : width;
        Vec chain[kQueries] = {};
        for (std::int64_t at = first; at < end; at += kLanes) {
            const Vec y = load(b + at);
            for (int q = 0; q < kQueries; q++) chain[q] += load(a + q * pitch + at) * y;
        }
        for (int q = 0; q < kQueries; q++) sums[q] += both_halves(chain[q]);
    }
    for (int q = 0; q < kQueries; q++) found[q] = total(sums[q]);
}

}  // namespace

#endif
