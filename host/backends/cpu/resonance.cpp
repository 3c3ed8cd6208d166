// Cosines of the angles between vectors. Each vector is divided by its length once, in double precision, and rounded to
// float. Products are summed in float in chains of eight, so that their errors stay below 2^-21, and then in double.
#include "chains.h"
#include "kernel.h"

namespace ninefold {

// Numbers of vectors in memory: pairs of a real and an imaginary part, or real numbers alone.
struct Numbers {
    const float* rows;
    std::int64_t count;
    int parts;
};

constexpr int kTile = 4;

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

using ninefold::kTile;

inline double sum_of_squares(const float* x, std::int64_t count) {
    Sums sums = {};
    std::int64_t i = 0;
    for (; i + kLanes / 2 <= count; i += kLanes / 2) {
        const Sums part = widened(x + i);
        sums += part * part;
    }
    double rest = 0;
    for (; i < count; i++) rest += static_cast<double>(x[i]) * x[i];
    return total(sums) + rest;
}

// Real and imaginary parts of the sums over a conj(b) for `kQueries` vectors a, `pitch` apart, and one vector b. The
// imaginary parts of a vector follow its real parts.
template <int kQueries, bool kComplex>
void products(const float* a, std::int64_t pitch, const float* b, std::int64_t width, double (*found)[2]) {
    constexpr std::int64_t kChain = (kComplex ? 4 : 8) * kLanes;
    Sums re[kQueries] = {}, im[kQueries] = {};
    for (std::int64_t first = 0; first < width; first += kChain) {
        const std::int64_t end = first + kChain < width ? first + kChain : width;
        Vec x[kQueries] = {}, y[kQueries] = {};
        for (std::int64_t at = first; at < end; at += kLanes) {
            const Vec b_re = load(b + at);
            for (int q = 0; q < kQueries; q++) x[q] += load(a + q * pitch + at) * b_re;
            if (kComplex) {
                const Vec b_im = load(b + width + at);
                for (int q = 0; q < kQueries; q++) {
                    const Vec a_im = load(a + q * pitch + width + at);
                    x[q] += a_im * b_im;
                    y[q] += a_im * b_re;
                    y[q] -= load(a + q * pitch + at) * b_im;
                }
            }
        }
        for (int q = 0; q < kQueries; q++) {
            re[q] += both_halves(x[q]);
            if (kComplex) im[q] += both_halves(y[q]);
        }
    }
    for (int q = 0; q < kQueries; q++) found[q][0] = total(re[q]), found[q][1] = total(im[q]);
}

template <int kQueries>
void products(const float* a, std::int64_t pitch, const float* b, std::int64_t width, double (*found)[2]) {
    pitch > width ? products<kQueries, true>(a, pitch, b, width, found)
                  : products<kQueries, false>(a, pitch, b, width, found);
}

}  // namespace

// Write `count` vectors divided by their lengths to `units`: `width` real parts, then as many imaginary parts if `pitch`
// has room for them, both padded with zeros. A zero vector stays zero.
NINEFOLD_ON_PATH(void, unit_vectors, (const float* rows, int parts, std::int64_t count, std::int64_t dimensions,
                                      std::int64_t width, std::int64_t pitch, float* units)) {
    for (std::int64_t row = 0; row < count; row++, rows += parts * dimensions, units += pitch) {
        const double squares = sum_of_squares(rows, parts * dimensions);
        const double factor = squares ? 1 / __builtin_sqrt(squares) : 0;
        for (std::int64_t i = 0; i < pitch; i++) units[i] = 0;
        for (std::int64_t d = 0; d < dimensions; d++) units[d] = static_cast<float>(rows[parts * d] * factor);
        if (parts == 2) {
            for (std::int64_t d = 0; d < dimensions; d++) {
                units[width + d] = static_cast<float>(rows[2 * d + 1] * factor);
            }
        }
    }
}

// Write to found[q * stride + row] the cosines, or their squares, of unit vectors.
NINEFOLD_ON_PATH(void, unit_cosines, (const float* a, std::int64_t queries, const float* b, std::int64_t rows,
                                      std::int64_t width, std::int64_t pitch, bool squared, std::int64_t stride,
                                      float* found)) {
    for (std::int64_t q = 0; q < queries; q += kTile) {
        const int some = queries - q < kTile ? static_cast<int>(queries - q) : kTile;
        for (std::int64_t row = 0; row < rows; row++) {
            double sums[kTile][2];
            if (some == kTile) {
                products<kTile>(a + q * pitch, pitch, b + row * pitch, width, sums);
            } else {
                for (int i = 0; i < some; i++) {
                    products<1>(a + (q + i) * pitch, pitch, b + row * pitch, width, sums + i);
                }
            }
            for (int i = 0; i < some; i++) {
                const double square = sums[i][0] * sums[i][0] + sums[i][1] * sums[i][1];
                const double cosine = squared ? square : __builtin_sqrt(square);
                found[(q + i) * stride + row] = static_cast<float>(cosine < 1 ? cosine : 1);
            }
        }
    }
}

#else

#include <algorithm>

NINEFOLD_PATHS(void, unit_vectors, (const float* rows, int parts, std::int64_t count, std::int64_t dimensions,
                                    std::int64_t width, std::int64_t pitch, float* units));
NINEFOLD_PATHS(void, unit_cosines, (const float* a, std::int64_t queries, const float* b, std::int64_t rows,
                                    std::int64_t width, std::int64_t pitch, bool squared, std::int64_t stride,
                                    float* found));

using namespace ninefold;

namespace {

constexpr std::int64_t kQueries = 128;         // whose unit vectors are kept at once
constexpr std::int64_t kScratch = 1 << 15;     // floats of unit vectors of rows, which stay in the second cache

}  // namespace

// Write the cosine, or its square, of the angle between each of the queries `a` and each of the vectors `b` to
// found[query * count_b + vector]. `parts` is 2 for complex numbers and 1 for real ones.
NINEFOLD_INTERFACE(resonance)(std::int64_t path, std::int64_t threads, const float* a, std::int64_t parts_a,
                              std::int64_t count_a, const float* b, std::int64_t parts_b, std::int64_t count_b,
                              std::int64_t dimensions, std::int64_t squared, float* found) {
    const std::int64_t width = (dimensions + kLanes - 1) / kLanes * kLanes;
    const std::int64_t pitch = width * std::max(parts_a, parts_b);
    const std::int64_t take = std::min<std::int64_t>(32, std::max<std::int64_t>(1, kScratch / pitch));
    const std::int64_t workers = useful(threads, count_a * count_b * dimensions);
    std::vector<float> queries, rows;
    try {
        queries.resize(std::min(kQueries, count_a) * pitch);
        rows.resize(workers * take * pitch);
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    for (std::int64_t first = 0; first < count_a; first += kQueries) {
        const std::int64_t some = std::min(kQueries, count_a - first);
        unit_vectors_paths[path](a + first * dimensions * parts_a, static_cast<int>(parts_a), some, dimensions, width,
                                 pitch, queries.data());
        share(count_b, take, workers, [&](int thread, std::int64_t begin, std::int64_t end) {
            float* units = rows.data() + thread * take * pitch;
            unit_vectors_paths[path](b + begin * dimensions * parts_b, static_cast<int>(parts_b), end - begin,
                                     dimensions, width, pitch, units);
            unit_cosines_paths[path](queries.data(), some, units, end - begin, width, pitch, squared != 0, count_b,
                                     found + first * count_b + begin);
        });
    }
    return 0;
}

#endif
