// Weighted sums of dot products of vectors and of their closeness in time.
#include "chains.h"
#include "kernel.h"

namespace ninefold {

constexpr int kTile = 4;

}  // namespace ninefold

#ifdef NINEFOLD_PATH

using namespace ninefold;

// Write to found[q * stride + row] the similarities of vectors of `width` numbers.
NINEFOLD_ON_PATH(void, timed_similarities, (const float* a, const double* a_time, std::int64_t queries, const float* b,
                                            const double* b_time, std::int64_t rows, std::int64_t width,
                                            std::int64_t stride, double of_product, double of_time, double fade_s,
                                            float* found)) {
    for (std::int64_t q = 0; q < queries; q += kTile) {
        const int some = queries - q < kTile ? static_cast<int>(queries - q) : kTile;
        for (std::int64_t row = 0; row < rows; row++) {
            double sums[kTile];
            if (some == kTile) {
                dot_products<kTile>(a + q * width, width, b + row * width, width, sums);
            } else {
                for (int i = 0; i < some; i++) dot_products<1>(a + (q + i) * width, width, b + row * width, width, sums + i);
            }
            for (int i = 0; i < some; i++) {
                const double apart = __builtin_fabs(a_time[q + i] - b_time[row]);
                // A part below the last bit of a float needs no exponential.
                const double near = apart < 60 * fade_s ? of_time * __builtin_exp(-apart / fade_s) : 0;
                found[(q + i) * stride + row] = static_cast<float>(of_product * sums[i] + near);
            }
        }
    }
}

#else

#include <algorithm>

NINEFOLD_PATHS(void, timed_similarities, (const float* a, const double* a_time, std::int64_t queries, const float* b,
                                          const double* b_time, std::int64_t rows, std::int64_t width,
                                          std::int64_t stride, double of_product, double of_time, double fade_s,
                                          float* found));

using namespace ninefold;

namespace {

constexpr std::int64_t kQueries = 128;
constexpr std::int64_t kScratch = 1 << 15;  // floats of rows that are scored together, which stay in the second cache

// Copy vectors, padded with zeros to `width` numbers.
void pad(const float* from, std::int64_t count, std::int64_t dimensions, std::int64_t width, float* to) {
    for (std::int64_t row = 0; row < count; row++, from += dimensions, to += width) {
        std::fill(std::copy(from, from + dimensions, to), to + width, 0.0f);
    }
}

}  // namespace

// Write of_product a.b + of_time exp(-|dt| / fade_s) for each of the queries `a` and each of the vectors `b` to
// found[query * count_b + vector].
NINEFOLD_INTERFACE(batch_similarity)(std::int64_t path, std::int64_t threads, const float* a, const double* a_time,
                                     std::int64_t count_a, const float* b, const double* b_time, std::int64_t count_b,
                                     std::int64_t dimensions, double of_product, double of_time, double fade_s,
                                     float* found) {
    const std::int64_t width = (dimensions + kLanes - 1) / kLanes * kLanes;
    const std::int64_t take = std::min<std::int64_t>(32, std::max<std::int64_t>(1, kScratch / width));
    const std::int64_t workers = useful(threads, count_a * count_b * dimensions);
    const bool whole = width == dimensions;  // and needs no copy
    std::vector<float> queries, rows;
    try {
        if (!whole) queries.resize(std::min(kQueries, count_a) * width), rows.resize(workers * take * width);
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    for (std::int64_t first = 0; first < count_a; first += kQueries) {
        const std::int64_t some = std::min(kQueries, count_a - first);
        const float* asked = a + first * dimensions;
        if (!whole) pad(asked, some, dimensions, width, queries.data()), asked = queries.data();
        share(count_b, take, workers, [&](int thread, std::int64_t begin, std::int64_t end) {
            const float* vectors = b + begin * dimensions;
            if (!whole) {
                float* padded = rows.data() + thread * take * width;
                pad(vectors, end - begin, dimensions, width, padded);
                vectors = padded;
            }
            timed_similarities_paths[path](asked, a_time + first, some, vectors, b_time + begin, end - begin, width,
                                           count_b, of_product, of_time, fade_s, found + first * count_b + begin);
        });
    }
    return 0;
}

#endif
