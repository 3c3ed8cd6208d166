// Dot products of queries and stored float16 rows, summed in float64 in the order of the dimensions, and the rows in
// their order. The vectors of a path run over rows, so that no sum changes its order.
#include "products.h"

namespace ninefold {

constexpr int kTogether = 16;  // rows summed together
constexpr int kDeepest = 16;   // dimensions transposed together, on the widest path

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

// Widen the float16 numbers of a row to float32.
inline void widen_row(const std::uint16_t* halves, std::int64_t count, float* wide) {
    for (std::int64_t d = 0; d < count; d++) {
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
}

}  // namespace

// Write the dot products of a query with kTogether rows. `wide` holds kTogether x `padded` numbers, aligned to 64 bytes;
// `padded` is the dimensions rounded up to a multiple of kDeepest.
NINEFOLD_ON_PATH(void, dot_rows, (const float* query, const std::uint16_t* const* rows, std::int64_t dimensions,
                                  std::int64_t padded, float* wide, double* sums)) {
    constexpr int kLanes = Isa::kRows, kAll = ninefold::kTogether;
    for (int row = 0; row < kAll; row++) widen_row(rows[row], dimensions, wide + row * padded);
    double total[kAll] = {};
    for (std::int64_t start = 0; start < dimensions; start += kLanes) {
        alignas(64) float tile[kLanes][kAll];
        for (int group = 0; group < kAll; group += kLanes) {
            Isa::Vec columns[kLanes];
            for (int i = 0; i < kLanes; i++) columns[i] = Isa::load(wide + (group + i) * padded + start);
            transpose<Isa>(columns);
            for (int i = 0; i < kLanes; i++) __builtin_memcpy(&tile[i][group], &columns[i], Isa::kBytes);
        }
        const int some = dimensions - start < kLanes ? static_cast<int>(dimensions - start) : kLanes;
        for (int d = 0; d < some; d++) {
            const double factor = query[start + d];
            // The product of two float32 numbers is exact in float64, so it does not matter whether it is fused.
            for (int row = 0; row < kAll; row++) total[row] += factor * tile[d][row];
        }
    }
    for (int row = 0; row < kAll; row++) sums[row] = total[row];
}

#else

#include <algorithm>

NINEFOLD_PATHS(void, dot_rows, (const float* query, const std::uint16_t* const* rows, std::int64_t dimensions,
                                std::int64_t padded, float* wide, double* sums));

namespace ninefold {
namespace {

struct Scored {
    double score;
    std::int64_t id;

    bool operator<(const Scored& other) const { return score != other.score ? score > other.score : id < other.id; }
};

// Float16 vectors and the queries (float32) that score some of them.
struct Vectors {
    JoinedRows rows;
    std::int64_t dimensions;

    const std::uint16_t* at(std::int64_t number) const {
        return reinterpret_cast<const std::uint16_t*>(rows.at(std::max<std::int64_t>(number, 0)));
    }

    // Start to load a row that is scored soon.
    void fetch(std::int64_t number) const {
        constexpr std::int64_t kLine = 32;  // numbers of a cache line
        for (std::int64_t d = 0; d < dimensions; d += kLine) __builtin_prefetch(at(number) + d);
    }
};

// Score the rows of one query (`each`, with negative numbers in empty slots).
void score_rows(const Vectors& vectors, std::int64_t path, const float* query, const std::int64_t* numbers,
                std::int64_t each, std::int64_t padded, float* wide, Scored* scored) {
    for (std::int64_t first = 0; first < each; first += kTogether) {
        const std::uint16_t* rows[kTogether];
        for (int i = 0; i < kTogether; i++) rows[i] = vectors.at(numbers[first + i < each ? first + i : first]);
        for (std::int64_t i = first + kTogether; i < std::min(each, first + 2 * kTogether); i++) vectors.fetch(numbers[i]);
        double sums[kTogether];
        dot_rows_paths[path](query, rows, vectors.dimensions, padded, wide, sums);
        for (int i = 0; i < kTogether && first + i < each; i++) {
            const std::int64_t number = numbers[first + i];
            scored[first + i] = Scored{number < 0 ? -__builtin_inf() : sums[i], number};
        }
    }
}

}  // namespace
}  // namespace ninefold

using namespace ninefold;

// Score the rows of each query (float32, queries x dimensions) by their dot products with vectors (float16, ... x
// dimensions), which are in `number` parts. Rows are given by their numbers (queries x each), and a negative number scores
// minus infinity. Writes ids and scores (queries x each) by (score descending, number ascending).
NINEFOLD_INTERFACE(rerank)(std::int64_t path, std::int64_t threads, const float* q, std::int64_t queries,
                           std::int64_t dimensions, const RowPart* parts, std::int64_t number,
                           const std::int64_t* numbers, std::int64_t each, std::int64_t* ids, double* scores) {
    try {
        threads = useful(threads, queries * each * dimensions);
        const std::int64_t padded = (dimensions + kDeepest - 1) / kDeepest * kDeepest;
        const Vectors all{JoinedRows(parts, number, dimensions * 2), dimensions};
        std::vector<float> wide(threads * padded * kTogether);
        std::vector<Scored> scored(threads * each);
        share(queries, 1, threads, [&](int thread, std::int64_t query, std::int64_t) {
            Scored* list = &scored[thread * each];
            score_rows(all, path, q + query * dimensions, numbers + query * each, each, padded,
                       &wide[thread * padded * kTogether], list);
            std::sort(list, list + each);
            for (std::int64_t i = 0; i < each; i++) {
                ids[query * each + i] = list[i].id;
                scores[query * each + i] = list[i].score;
            }
        });
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
