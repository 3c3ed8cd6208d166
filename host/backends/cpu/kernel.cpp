// C interface of the kernel: threads, lists, and the choice of a path.
#include "kernel.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <thread>
#include <vector>

namespace ninefold {

static bool better(const Hit& a, const Hit& b) { return a.score != b.score ? a.score > b.score : a.id < b.id; }

void Lists::insert(int query, Hit hit) {
    Hit* list = hits + static_cast<std::int64_t>(query) * k;
    int at = count[query];
    if (at == k) {
        if (!better(hit, list[--at])) return;
    } else {
        count[query]++;
    }
    for (; at > 0 && better(hit, list[at - 1]); at--) list[at] = list[at - 1];
    list[at] = hit;
    if (count[query] == k && list[k - 1].score > bar[query]) bar[query] = list[k - 1].score;
}

namespace {

// The lists and the scratch area of one thread.
struct Worker {
    std::vector<Hit> hits;
    std::vector<std::int32_t> count, bar;
    std::unique_ptr<std::uint8_t, decltype(&std::free)> scratch{nullptr, std::free};
    Lists best{};

    Worker(int queries, int k, const std::vector<std::int32_t>& bars, std::int64_t padded)
        : hits(static_cast<std::size_t>(queries) * k), count(queries), bar(bars) {
        scratch.reset(static_cast<std::uint8_t*>(std::aligned_alloc(64, scratch_bytes(padded))));
        if (!scratch) throw std::bad_alloc();
        best = Lists{k, hits.data(), count.data(), bar.data()};
    }
};

// Rows that a thread takes at a time: few enough for an even split, enough for negligible overhead.
constexpr std::int64_t kTake = 1024;

// Minimum number of products for which another thread pays off.
constexpr std::int64_t kProductsPerThread = 1 << 22;

void work(const Job& job, Search search, Worker& worker, std::atomic<std::int64_t>& next) {
    for (;;) {
        const std::int64_t first = next.fetch_add(kTake);
        if (first >= job.rows) return;
        search(job, first, first + kTake < job.rows ? first + kTake : job.rows, worker.best, worker.scratch.get());
    }
}

// Arrange the queries in the order of tiles: kWide queries next to each other, each with the 4 elements of the low
// nibbles and then the 4 of the high nibbles, for every 4-byte column of a row. Zeros fill the last group.
std::vector<std::int8_t> group_queries(const Job& job) {
    const std::int64_t columns = (job.row_bytes + 3) / 4, groups = (job.queries + kWide - 1) / kWide;
    std::vector<std::int8_t> grouped(groups * columns * 2 * kWide * 4);
    for (int query = 0; query < job.queries; query++) {
        for (std::int64_t column = 0; column < columns; column++) {
            std::int8_t* out = &grouped[((query / kWide * columns + column) * 2 * kWide + query % kWide) * 4];
            std::memcpy(out, job.even + query * job.padded + column * 4, 4);
            std::memcpy(out + kWide * 4, job.odd + query * job.padded + column * 4, 4);
        }
    }
    return grouped;
}

void mine(const Job& job, Search search, int threads, Lists& best) {
    const std::int64_t products = job.rows * job.row_bytes * 2 * job.queries;
    const std::int64_t useful = products / kProductsPerThread;
    if (useful < threads) threads = useful < 1 ? 1 : static_cast<int>(useful);
    const std::vector<std::int32_t> bars(best.bar, best.bar + job.queries);
    std::vector<Worker> workers;
    for (int i = 0; i < threads; i++) workers.emplace_back(job.queries, best.k, bars, job.padded);
    std::atomic<std::int64_t> next{0};
    std::vector<std::thread> others;
    others.reserve(threads);
    try {
        for (int i = 1; i < threads; i++) {
            others.emplace_back(work, std::cref(job), search, std::ref(workers[i]), std::ref(next));
        }
    } catch (const std::exception&) {
        // No more threads available: the existing ones do all the work.
    }
    work(job, search, workers[0], next);
    for (auto& other : others) other.join();
    for (const Worker& worker : workers) {
        for (int query = 0; query < job.queries; query++) {
            const Hit* list = worker.best.hits + static_cast<std::int64_t>(query) * best.k;
            for (int i = 0; i < worker.count[query]; i++) best.insert(query, list[i]);
        }
    }
}

}  // namespace
}  // namespace ninefold

using namespace ninefold;

// Search rows of packed nits on path 0 (portable), 1 (emulated), 2 (AVX2) or 3 (AVX-512 VNNI), and merge the hits into
// ids, scores (queries x k, best first) and count (queries). Returns 0, or 1 if out of memory.
extern "C" __attribute__((visibility("default"))) int ninefold_mine(
    int path, const std::uint8_t* packed, std::int64_t rows, std::int64_t row_bytes, std::int64_t first_id,
    const std::int8_t* even, const std::int8_t* odd, std::int64_t padded, const std::int32_t* offsets, int queries,
    int k, int threads, std::int64_t* ids, std::int32_t* scores, std::int32_t* count) {
    const Search paths[] = {search_portable, search_emulated, search_avx2, search_avx512};
    Job job{packed, rows, row_bytes, first_id, even, odd, padded, offsets, queries, nullptr};
    try {
        std::vector<std::int8_t> grouped;
        if (queries >= kTileQueries) {
            grouped = group_queries(job);
            job.grouped = grouped.data();
        }
        std::vector<Hit> hits(static_cast<std::size_t>(queries) * k);
        std::vector<std::int32_t> bar(queries, INT32_MIN);
        for (int query = 0; query < queries; query++) {
            const std::int64_t at = static_cast<std::int64_t>(query) * k;
            for (int i = 0; i < count[query]; i++) hits[at + i] = Hit{scores[at + i], ids[at + i]};
            if (count[query] == k) bar[query] = hits[at + k - 1].score;
        }
        Lists best{k, hits.data(), count, bar.data()};
        mine(job, paths[path], threads, best);
        for (int query = 0; query < queries; query++) {
            const std::int64_t at = static_cast<std::int64_t>(query) * k;
            for (int i = 0; i < count[query]; i++) {
                ids[at + i] = hits[at + i].id;
                scores[at + i] = hits[at + i].score;
            }
        }
    } catch (const std::bad_alloc&) {
        return 1;
    }
    return 0;
}
