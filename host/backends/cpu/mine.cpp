// The rows of packed nits with the largest dot products with each query.
#include "products.h"

namespace ninefold {

struct Hit {
    std::int32_t score;
    std::int64_t id;
};

// The best k hits so far of each query, best first: by score, of equal scores the lower id.
struct Lists {
    int k;
    Hit* hits;            // queries x k
    std::int32_t* count;          // number of hits
    std::int32_t* bar;            // a later row must score more than this to enter
    std::int64_t first;           // id of the first row of a job
    const std::uint8_t* allowed;  // bit mask of the ids that may enter, or null for all

    void insert(int query, Hit hit);
};

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

// Insert the scores above the bar.
struct Best {
    Lists& lists;

    void take(Isa::Vec scores, std::uint32_t mask, std::int64_t row, int query) {
        mask &= Isa::above(scores, lists.bar[query]);
        if (!mask) return;
        alignas(64) std::int32_t values[Isa::kRows];
        Isa::store(values, scores);
        for (int i = 0; i < Isa::kRows; i++) {
            if (!(mask >> i & 1) || values[i] <= lists.bar[query]) continue;
            const std::int64_t id = lists.first + row + i;
            if (lists.allowed && !(lists.allowed[id / 8] >> id % 8 & 1)) continue;
            lists.insert(query, Hit{values[i], id});
        }
    }
};

}  // namespace

NINEFOLD_ON_PATH(void, search, (const Job& job, std::int64_t first, std::int64_t last, Lists& best, std::uint8_t* scratch)) {
    Best sink{best};
    score<Isa>(job, first, last, sink, scratch);
}

#else

NINEFOLD_PATHS(void, search, (const Job& job, std::int64_t first, std::int64_t last, Lists& best, std::uint8_t* scratch));

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

// The lists and the scratch memory of one thread.
struct Worker {
    std::vector<Hit> hits;
    std::vector<std::int32_t> count, bar;
    Scratch scratch;
    Lists best{};

    Worker(int queries, const Lists& shared, std::int64_t padded)
        : hits(static_cast<std::size_t>(queries) * shared.k), count(queries), bar(shared.bar, shared.bar + queries),
          scratch(padded) {
        best = Lists{shared.k, hits.data(), count.data(), bar.data(), 0, shared.allowed};
    }
};

// Rows of one part that a thread takes together.
struct Chunk {
    const RowPart* part;
    std::int64_t first, last;  // in the part
};

// Rows that a thread takes at a time: few enough for an even split, enough for negligible overhead.
constexpr std::int64_t kTake = 1024;

// Rows from `begin` to `end` - 1 of all parts.
std::vector<Chunk> chunks_of(const RowPart* parts, std::int64_t number, std::int64_t begin, std::int64_t end) {
    std::vector<Chunk> chunks;
    for (const RowPart* part = parts; part < parts + number; part++) {
        const std::int64_t last = end - part->first < part->count ? end - part->first : part->count;
        for (std::int64_t at = begin > part->first ? begin - part->first : 0; at < last; at += kTake) {
            chunks.push_back(Chunk{part, at, at + kTake < last ? at + kTake : last});
        }
    }
    return chunks;
}

void mine(const Queries& prepared, const std::vector<Chunk>& chunks, std::int64_t row_bytes, std::int64_t path,
          std::int64_t threads, Lists& best) {
    const Job any = prepared.job(nullptr, 0, row_bytes);
    std::int64_t rows = 0;
    for (const Chunk& chunk : chunks) rows += chunk.last - chunk.first;
    threads = useful(threads, rows * row_bytes * 2 * any.queries);
    std::vector<Worker> workers;
    workers.reserve(threads);
    for (int i = 0; i < threads; i++) workers.emplace_back(any.queries, best, any.padded);
    share(static_cast<std::int64_t>(chunks.size()), 1, threads, [&](int thread, std::int64_t number, std::int64_t) {
        const Chunk& chunk = chunks[number];
        Worker& worker = workers[thread];
        const Job job = prepared.job(static_cast<const std::uint8_t*>(chunk.part->rows), chunk.part->count, row_bytes);
        worker.best.first = chunk.part->first;
        search_paths[path](job, chunk.first, chunk.last, worker.best, worker.scratch.get());
    });
    for (const Worker& worker : workers) {
        for (int query = 0; query < any.queries; query++) {
            const Hit* list = worker.best.hits + static_cast<std::int64_t>(query) * best.k;
            for (int i = 0; i < worker.count[query]; i++) best.insert(query, list[i]);
        }
    }
}

}  // namespace
}  // namespace ninefold

using namespace ninefold;

// Search the rows from `begin` to `end` - 1 of packed nits (... x row_bytes), which are in `number` parts, for int8 queries
// (queries x dimensions): those whose bit in `allowed` is set, or all. Merges the hits into ids, scores (queries x k, best
// first) and count (queries), which hold hits of earlier rows.
NINEFOLD_INTERFACE(mine)(std::int64_t path, std::int64_t threads, const RowPart* parts, std::int64_t number,
                         std::int64_t begin, std::int64_t end, std::int64_t row_bytes, const std::uint8_t* allowed,
                         const std::int8_t* nits, std::int64_t queries, std::int64_t dimensions, std::int64_t k,
                         std::int64_t* ids, std::int32_t* scores, std::int32_t* count) {
    try {
        const Queries prepared(nits, queries, dimensions, row_bytes);
        std::vector<Hit> hits(static_cast<std::size_t>(queries) * k);
        std::vector<std::int32_t> bar(queries, INT32_MIN);
        for (std::int64_t query = 0; query < queries; query++) {
            const std::int64_t at = query * k;
            for (int i = 0; i < count[query]; i++) hits[at + i] = Hit{scores[at + i], ids[at + i]};
            if (count[query] == k) bar[query] = hits[at + k - 1].score;
        }
        Lists best{static_cast<int>(k), hits.data(), count, bar.data(), 0, allowed};
        mine(prepared, chunks_of(parts, number, begin, end), row_bytes, path, threads, best);
        for (std::int64_t query = 0; query < queries; query++) {
            const std::int64_t at = query * k;
            for (int i = 0; i < count[query]; i++) {
                ids[at + i] = hits[at + i].id;
                scores[at + i] = hits[at + i].score;
            }
        }
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

// Search some rows of packed nits, which are in `joined` parts, for each query: those at rows[query * stride] and after it,
// number[query] of them. Rows ascend, so that of equal scores the lower row comes first. Writes ids, scores (queries x k) and count (queries).
NINEFOLD_INTERFACE(mine_among)(std::int64_t path, std::int64_t threads, const RowPart* parts, std::int64_t joined,
                               std::int64_t row_bytes, const std::int64_t* rows, const std::int64_t* number,
                               std::int64_t stride, const std::int8_t* nits, std::int64_t queries,
                               std::int64_t dimensions, std::int64_t k, std::int64_t* ids, std::int32_t* scores,
                               std::int32_t* count) {
    try {
        const JoinedRows packed(parts, joined, row_bytes);
        std::int64_t most = 1, all = 0;
        for (std::int64_t query = 0; query < queries; query++) {
            most = number[query] > most ? number[query] : most;
            all += number[query];
        }
        threads = useful(threads, all * row_bytes * 2);
        std::vector<std::uint8_t> copies(threads * most * row_bytes);
        std::vector<Hit> hits(static_cast<std::size_t>(queries) * k);
        std::vector<std::int32_t> bar(queries, INT32_MIN);
        std::vector<Queries> prepared;
        prepared.reserve(queries);
        for (std::int64_t query = 0; query < queries; query++) {
            prepared.emplace_back(nits + query * dimensions, 1, dimensions, row_bytes);
        }
        std::vector<Scratch> scratch;
        for (std::int64_t i = 0; i < threads; i++) scratch.emplace_back(prepared[0].job(nullptr, 0, row_bytes).padded);
        share(queries, 1, threads, [&](int thread, std::int64_t query, std::int64_t) {
            constexpr std::int64_t kAhead = 8, kLine = 64;  // rows fetched ahead, bytes of a cache line
            std::uint8_t* copy = &copies[thread * most * row_bytes];
            const std::int64_t* some = rows + query * stride;
            for (std::int64_t i = 0; i < number[query]; i++) {
                if (i + kAhead < number[query]) {
                    const std::uint8_t* next = packed.at(some[i + kAhead]);
                    for (std::int64_t byte = 0; byte < row_bytes; byte += kLine) __builtin_prefetch(next + byte);
                }
                std::memcpy(copy + i * row_bytes, packed.at(some[i]), row_bytes);
            }
            count[query] = 0;
            Lists best{static_cast<int>(k), &hits[query * k], count + query, &bar[query], 0, nullptr};
            const Job job = prepared[query].job(copy, number[query], row_bytes);
            search_paths[path](job, 0, job.rows, best, scratch[thread].get());
            for (int i = 0; i < count[query]; i++) {
                ids[query * k + i] = some[hits[query * k + i].id];
                scores[query * k + i] = hits[query * k + i].score;
            }
        });
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
