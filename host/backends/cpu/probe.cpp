// The lists of a clustered database that are best for each query, by the nits of their centroids.
#include "products.h"

#ifdef NINEFOLD_PATH

namespace {

// Write all scores (queries x rows).
struct Store {
    std::int32_t* scores;
    std::int64_t rows;

    void take(Isa::Vec values, std::uint32_t mask, std::int64_t row, int query) {
        alignas(64) std::int32_t lanes[Isa::kRows];
        Isa::store(lanes, values);
        for (int i = 0; i < Isa::kRows; i++) {
            if (mask >> i & 1) scores[query * rows + row + i] = lanes[i];
        }
    }
};

}  // namespace

NINEFOLD_ON_PATH(void, score_centroids, (const Job& job, std::int32_t* scores, std::uint8_t* scratch)) {
    Store sink{scores, job.rows};
    score<Isa>(job, 0, job.rows, sink, scratch);
}

#else

#include <algorithm>

NINEFOLD_PATHS(void, score_centroids, (const Job& job, std::int32_t* scores, std::uint8_t* scratch));

namespace ninefold {
namespace {

struct Centroid {
    std::int32_t score;
    std::int64_t id;

    bool operator<(const Centroid& other) const { return score != other.score ? score > other.score : id < other.id; }
};

// Add the best `count` of the centroids from `first` on, `all` of them.
void add_best(const std::int32_t* scores, std::int64_t first, std::int64_t all, std::int64_t count,
              std::vector<Centroid>& best) {
    std::vector<Centroid> some;
    for (std::int64_t i = first; i < first + all; i++) some.push_back(Centroid{scores[i], i});
    std::partial_sort(some.begin(), some.begin() + count, some.end());
    best.insert(best.end(), some.begin(), some.begin() + count);
}

}  // namespace
}  // namespace ninefold

using namespace ninefold;

// Write ids and scores (queries x macro * micro, best first) of the best `micro` lists in each of the best `macro`
// clusters. There are `clusters` of them with `each` lists; centroids are packed nits of `row_bytes`.
NINEFOLD_INTERFACE(probe)(std::int64_t path, std::int64_t threads, const std::uint8_t* coarse, std::int64_t clusters,
                          const std::uint8_t* fine, std::int64_t each, std::int64_t row_bytes, const std::int8_t* nits,
                          std::int64_t queries, std::int64_t dimensions, std::int64_t macro, std::int64_t micro,
                          std::int64_t* ids, std::int32_t* scores) {
    constexpr std::int64_t kTake = 16;  // queries scored together
    try {
        threads = useful(threads, queries * clusters * each * dimensions);
        std::vector<Scratch> scratch;
        for (std::int64_t i = 0; i < threads; i++) {
            scratch.emplace_back(Queries(nits, 1, dimensions, row_bytes).job(nullptr, 0, row_bytes).padded);
        }
        std::vector<std::int32_t> room(threads * kTake * clusters * (each + 1));
        share(queries, kTake, threads, [&](int thread, std::int64_t begin, std::int64_t end) {
            const Queries some(nits + begin * dimensions, end - begin, dimensions, row_bytes);
            std::int32_t* outer = &room[thread * kTake * clusters * (each + 1)];
            std::int32_t* inner = outer + kTake * clusters;
            score_centroids_paths[path](some.job(coarse, clusters, row_bytes), outer, scratch[thread].get());
            score_centroids_paths[path](some.job(fine, clusters * each, row_bytes), inner, scratch[thread].get());
            for (std::int64_t query = begin; query < end; query++) {
                std::vector<Centroid> chosen, lists;
                add_best(outer + (query - begin) * clusters, 0, clusters, macro, chosen);
                for (const Centroid& cluster : chosen) {
                    add_best(inner + (query - begin) * clusters * each, cluster.id * each, each, micro, lists);
                }
                std::sort(lists.begin(), lists.end());
                for (std::int64_t i = 0; i < macro * micro; i++) {
                    ids[query * macro * micro + i] = lists[i].id;
                    scores[query * macro * micro + i] = lists[i].score;
                }
            }
        });
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
