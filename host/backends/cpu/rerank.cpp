// Dot products of queries and stored float16 rows, summed in float64 in the order of the dimensions. The vectors of a
// path run over rows, so that no sum changes its order.
#include "kernel.h"

namespace ninefold {

constexpr int kTogether = 16;  // rows summed together

}  // namespace ninefold

#ifdef NINEFOLD_PATH

// Write the dot products of a query with kTogether rows. `tile` holds dimensions x kTogether numbers.
NINEFOLD_ON_PATH(void, dot_rows, (const float* query, const std::uint16_t* const* rows, std::int64_t dimensions,
                                  float* wide, float* tile, double* sums)) {
    using ninefold::kTogether;
    for (int row = 0; row < kTogether; row++) {
        const std::uint16_t* halves = rows[row];
        for (std::int64_t d = 0; d < dimensions; d++) {
            const std::uint32_t magnitude = halves[d] & 0x7fffu;
            // With the exponent's bias corrected by a power of two, subnormal numbers are right too.
            std::uint32_t bits = magnitude << 13;
            float number;
            __builtin_memcpy(&number, &bits, 4);
            number *= 0x1p112f;
            __builtin_memcpy(&bits, &number, 4);
            bits = magnitude >= 0x7c00u ? magnitude << 13 | 0x7f800000u : bits;  // infinity and NaN
            bits |= (halves[d] & 0x8000u) << 16;
            __builtin_memcpy(wide + d, &bits, 4);
        }
        for (std::int64_t d = 0; d < dimensions; d++) tile[d * kTogether + row] = wide[d];
    }
    double total[kTogether] = {};
    for (std::int64_t d = 0; d < dimensions; d++, tile += kTogether) {
        const double factor = query[d];
        // The product of two float32 numbers is exact in float64, so it does not matter whether it is fused.
        for (int row = 0; row < kTogether; row++) total[row] += factor * tile[row];
    }
    for (int row = 0; row < kTogether; row++) sums[row] = total[row];
}

#else

NINEFOLD_PATHS(void, dot_rows, (const float* query, const std::uint16_t* const* rows, std::int64_t dimensions,
                                float* wide, float* tile, double* sums));

using namespace ninefold;

// Write the dot products (queries x each) of each query (float32, queries x dimensions) with its rows of `vectors`
// (float16, ... x dimensions), given by their numbers (queries x each); a negative number gives minus infinity.
NINEFOLD_INTERFACE(rerank)(std::int64_t path, std::int64_t threads, const float* q, std::int64_t queries,
                           std::int64_t dimensions, const std::uint16_t* vectors, const std::int64_t* numbers,
                           std::int64_t each, double* scores) {
    try {
        threads = useful(threads, queries * each * dimensions);
        std::vector<float> scratch(threads * dimensions * (kTogether + 1));
        share(queries, 1, threads, [&](int thread, std::int64_t query, std::int64_t) {
            float* wide = &scratch[thread * dimensions * (kTogether + 1)];
            const std::int64_t* some = numbers + query * each;
            for (std::int64_t first = 0; first < each; first += kTogether) {
                const std::uint16_t* rows[kTogether];
                for (int i = 0; i < kTogether; i++) {
                    const std::int64_t number = first + i < each ? some[first + i] : some[first];
                    rows[i] = vectors + (number < 0 ? 0 : number) * dimensions;
                }
                double sums[kTogether];
                dot_rows_paths[path](q + query * dimensions, rows, dimensions, wide, wide + dimensions, sums);
                for (int i = 0; i < kTogether && first + i < each; i++) {
                    scores[query * each + first + i] = some[first + i] < 0 ? -__builtin_inf() : sums[i];
                }
            }
        });
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
