// The rows with the largest coarse scores: sums of a query's nits, each negated where the sign bit of the row is set.
//
// The sum of four dimensions is one of 16 values, so a byte of signs is two look-ups in tables of 16 bytes. Signs come
// in blocks of 64 rows: byte j of all 64 rows, then byte j + 1. Tables hold the sums of the magnitudes that agree in
// sign, which are at most 16, so that bytes need no sign and 14 look-ups fit a byte. Their total over all dimensions is
// half of the coarse score plus all magnitudes.
#include "products.h"

namespace ninefold {

constexpr int kBlockRows = 64;
constexpr int kBytesTogether = 7;  // 7 bytes are 14 look-ups, each at most 16
// Queries scored together, so that signs are loaded and divided into nibbles once for all of them.
constexpr int kTogether = 4;
// Rows scored for one tile of queries after the other: their signs stay in the second-level cache.
constexpr int kChunkBlocks = 16, kChunkRows = kChunkBlocks * kBlockRows;

// A row whose total exceeds a query's limit.
struct Above {
    std::int32_t position, total;
};

// Up to kTogether queries.
struct SignTile {
    const std::uint8_t* tables[kTogether];  // for each byte of signs the table of the low nibble and of the high nibble
    std::int32_t limits[kTogether];         // -1 to 16384
    Above* found[kTogether];                // room for kChunkRows
    std::int32_t count[kTogether];          // number of rows found
    std::int64_t first, last;               // scored rows of the blocks; others may be left out
    int queries;
};

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

// Totals of the even and odd rows of one vector of bytes.
struct Totals {
    Isa::Vec even, odd;
};

// Add the rows of a vector whose totals exceed the limit.
inline void collect(const Totals& totals, std::int32_t position, int query, ninefold::SignTile& tile) {
    constexpr int kLanes = Isa::kBytes / 2;
    const std::uint32_t masks[2] = {Isa::above16(totals.even, tile.limits[query]),
                                    Isa::above16(totals.odd, tile.limits[query])};
    if (!(masks[0] | masks[1])) return;
    alignas(64) std::uint16_t sums[2][kLanes];
    Isa::store(sums[0], totals.even);
    Isa::store(sums[1], totals.odd);
    ninefold::Above* found = tile.found[query] + tile.count[query];
    for (int odd = 0; odd < 2; odd++) {
        for (std::uint32_t mask = masks[odd]; mask; mask &= mask - 1) {
            const int lane = __builtin_ctz(mask);
            *found++ = ninefold::Above{position + 2 * lane + odd, sums[odd][lane]};
        }
    }
    tile.count[query] = static_cast<std::int32_t>(found - tile.found[query]);
}

template <int kQueries>
void scan(ninefold::SignTile& tile, int first, const std::uint8_t* signs, std::int64_t bytes, std::int64_t blocks) {
    using namespace ninefold;
    for (std::int64_t block = 0; block < blocks; block++, signs += bytes * kBlockRows) {
        for (int part = 0; part < kBlockRows; part += Isa::kBytes) {
            const std::int64_t row = block * kBlockRows + part;
            if (row + Isa::kBytes <= tile.first || row >= tile.last) continue;
            const std::uint8_t* column = signs + part;
            Totals totals[kQueries];
            for (auto& total : totals) total.even = total.odd = Isa::splat32(0);
            for (std::int64_t start = 0; start < bytes; start += kBytesTogether) {
                const std::int64_t end = start + kBytesTogether < bytes ? start + kBytesTogether : bytes;
                Isa::Vec sums[kQueries];
                for (auto& sum : sums) sum = Isa::splat32(0);
                for (std::int64_t byte = start; byte < end; byte++, column += kBlockRows) {
                    const auto bits = Isa::load(column);
                    if (kQueries == 1) __builtin_prefetch(column + kAhead);  // one query waits for memory
                    const auto low = Isa::low4(bits), high = Isa::high4(bits);
                    for (int query = 0; query < kQueries; query++) {
                        const std::uint8_t* table = tile.tables[first + query] + byte * 32;
                        sums[query] = Isa::add8(sums[query], Isa::look_up(table, low));
                        sums[query] = Isa::add8(sums[query], Isa::look_up(table + 16, high));
                    }
                }
                for (int query = 0; query < kQueries; query++) {
                    totals[query].even = Isa::add16(totals[query].even, Isa::even8(sums[query]));
                    totals[query].odd = Isa::add16(totals[query].odd, Isa::odd8(sums[query]));
                }
            }
            for (int query = 0; query < kQueries; query++) {
                collect(totals[query], static_cast<std::int32_t>(row), first + query, tile);
            }
        }
    }
}

}  // namespace

// Find the rows of at most kChunkBlocks blocks whose totals exceed the limits.
NINEFOLD_ON_PATH(void, scan_signs, (SignTile& tile, const std::uint8_t* signs, std::int64_t bytes, std::int64_t blocks)) {
    if (tile.queries == ninefold::kTogether) return scan<ninefold::kTogether>(tile, 0, signs, bytes, blocks);
    for (int query = 0; query < tile.queries; query++) scan<1>(tile, query, signs, bytes, blocks);
}

#else

#include <algorithm>
#include <cmath>
#include <atomic>
#include <functional>

NINEFOLD_PATHS(void, scan_signs, (SignTile& tile, const std::uint8_t* signs, std::int64_t bytes, std::int64_t blocks));

namespace ninefold {
namespace {

// Elementary operations for a byte of signs and a query.
constexpr std::int64_t kOperations = 4;
// And for a candidate that is sorted.
constexpr std::int64_t kSorting = 64;

// A score and a row as one number, larger for the better one: by score, of equal scores the lower row.
using Key = std::uint64_t;

constexpr std::int64_t kLastRow = 0xffffffff;

Key key_of(std::int32_t score, std::int64_t row) {
    return static_cast<Key>(static_cast<std::int64_t>(score) + (1ll << 31)) << 32 | (0xffffffffu - static_cast<std::uint32_t>(row));
}
std::int32_t score_of(Key key) { return static_cast<std::int32_t>(static_cast<std::int64_t>(key >> 32) - (1ll << 31)); }
std::int64_t row_of(Key key) { return 0xffffffffu - static_cast<std::uint32_t>(key); }

// The best candidates of a query so far, on one thread. Twice as many are collected before the worse half is dropped.
class Collected {
   public:
    // `worst` is shared by the threads: at least as many candidates as are kept rank before it on one of them.
    Collected(std::int64_t keep, std::atomic<Key>& worst) : keep_(keep), worst_(&worst) {
        found_.reserve(limit());  // so that no offer allocates
    }

    // A score below this cannot enter.
    std::int32_t bar() const { return score_of(worst_->load(std::memory_order_relaxed)); }

    void offer(Key key) {
        if (key <= worst_->load(std::memory_order_relaxed)) return;
        found_.push_back(key);
        if (static_cast<std::int64_t>(found_.size()) == limit()) drop();
    }

    void take(const Collected& other) {
        for (const Key key : other.found_) offer(key);
    }

    // Drop all but the best; return whether as many as are kept were found.
    bool cut() {
        if (static_cast<std::int64_t>(found_.size()) < keep_) return false;
        drop();
        return true;
    }
    // The score of the last one, after a cut.
    std::int32_t least() const { return score_of(found_[keep_ - 1]); }
    void clear() { found_.clear(); }

    // Write the best, in order; without `scores` only their rows, ascending.
    std::int64_t finish(std::int64_t* ids, std::int32_t* scores) {
        cut();
        const std::size_t count = found_.size();
        if (scores == nullptr) {
            for (std::size_t i = 0; i < count; i++) ids[i] = row_of(found_[i]);
            std::sort(ids, ids + count);
            return static_cast<std::int64_t>(count);
        }
        std::sort(found_.begin(), found_.end(), std::greater<>());
        for (std::size_t i = 0; i < count; i++) {
            ids[i] = row_of(found_[i]);
            scores[i] = score_of(found_[i]);
        }
        return static_cast<std::int64_t>(count);
    }

   private:
    std::int64_t limit() const { return 2 * keep_ + 64; }

    void drop() {
        std::nth_element(found_.begin(), found_.begin() + keep_ - 1, found_.end(), std::greater<>());
        found_.resize(keep_);
        // The last one stays, so only what ranks behind it is out.
        const Key least = found_[keep_ - 1] - 1;
        Key known = worst_->load(std::memory_order_relaxed);
        while (known < least && !worst_->compare_exchange_weak(known, least, std::memory_order_relaxed)) {
        }
    }

    std::int64_t keep_;
    std::atomic<Key>* worst_;
    std::vector<Key> found_;
};

// Tables of all queries (int8, queries x dimensions).
class Tables {
   public:
    Tables(const std::int8_t* nits, std::int64_t queries, std::int64_t dimensions)
        : bytes_((dimensions + 7) / 8), tables_(queries * bytes_ * 32), magnitudes_(queries) {
        for (std::int64_t query = 0; query < queries; query++, nits += dimensions) {
            for (std::int64_t group = 0; group < 2 * bytes_; group++) {
                std::uint8_t* table = &tables_[(query * 2 * bytes_ + group) * 16];
                for (int i = 0; i < 4; i++) {
                    const std::int64_t d = group * 4 + i;
                    const int nit = d < dimensions ? nits[d] : 0, magnitude = nit < 0 ? -nit : nit;
                    magnitudes_[query] += magnitude;
                    for (int signs = 0; signs < 16; signs++) table[signs] += (signs >> i & 1) == (nit < 0) ? magnitude : 0;
                }
            }
        }
    }

    std::int64_t bytes() const { return bytes_; }
    const std::uint8_t* query(std::int64_t number) const { return &tables_[number * bytes_ * 32]; }

    std::int32_t score(std::int64_t query, std::int32_t total) const { return 2 * total - magnitudes_[query]; }
    // The largest total whose score is below `bar`; -1 if no total is.
    std::int32_t below(std::int64_t query, std::int32_t bar) const {
        const std::int64_t doubled = std::int64_t{bar} + magnitudes_[query] - 1;
        return static_cast<std::int32_t>(doubled < 0 ? -1 : std::min<std::int64_t>(doubled / 2, 1 << 14));
    }

   private:
    std::int64_t bytes_;
    std::vector<std::uint8_t> tables_;
    std::vector<std::int32_t> magnitudes_;
};

// Rows of a database, or of one of several whose rows count on from one to the next.
struct Plane {
    const std::uint8_t* signs;   // blocks x bytes x 64
    std::int64_t rows;
    std::int64_t first_row;      // number of the first of them
    const std::int64_t* order;   // row at each position, or null if they are equal
    const std::int64_t* starts;  // first position of each list, or null without lists
};

// Queries, and the rows that they may find.
struct Search {
    const Tables& tables;
    const std::uint8_t* allowed;  // bit mask of the rows that may be returned, or null for all
    std::int64_t path;

    // Offer the rows at the positions from first to last - 1 of a plane to the lists of the queries from `query` on, at
    // most kTogether. `room` holds kTogether x kChunkRows.
    void operator()(const Plane& plane, std::int64_t query, int queries, std::int64_t first, std::int64_t last, Above* room,
                    Collected* best) const {
        SignTile tile{};
        tile.queries = queries;
        for (int i = 0; i < queries; i++) {
            tile.tables[i] = tables.query(query + i);
            tile.found[i] = room + i * kChunkRows;
        }
        for (std::int64_t block = first / kBlockRows; block * kBlockRows < last; block += kChunkBlocks) {
            const std::int64_t start = block * kBlockRows, end = std::min(last, start + kChunkRows);
            tile.first = first - start;
            tile.last = end - start;
            for (int i = 0; i < queries; i++) {
                tile.limits[i] = tables.below(query + i, best[i].bar());
                tile.count[i] = 0;
            }
            scan_signs_paths[path](tile, plane.signs + start * tables.bytes(), tables.bytes(),
                                   (end - start + kBlockRows - 1) / kBlockRows);
            for (int i = 0; i < queries; i++) {
                for (const Above* found = tile.found[i]; found < tile.found[i] + tile.count[i]; found++) {
                    const std::int64_t position = start + found->position;
                    if (position < first || position >= end) continue;
                    const std::int64_t row = plane.first_row + (plane.order ? plane.order[position] : position);
                    if (allowed && !(allowed[row / 8] >> row % 8 & 1)) continue;
                    best[i].offer(key_of(tables.score(query + i, found->total), row));
                }
            }
        }
    }
};

// The planes of all rows.
using Planes = std::vector<Plane>;

std::int64_t rows_of(const Planes& planes) { return planes.back().first_row + planes.back().rows; }

// Bars from a sample of the blocks, so that few rows are collected: scores that more than `keep` rows should reach. A
// bar stays 0 if the sample is too small. A bar may be too high, which is found when fewer than `keep` rows reach it.
void guess(const Search& search, const Planes& planes, std::int64_t threads, std::int64_t keep,
           std::vector<std::atomic<Key>>& worst) {
    constexpr std::int64_t kEvery = 16;
    const double mean = static_cast<double>(keep) / kEvery;
    const auto kept = static_cast<std::int64_t>(mean + 4 * std::sqrt(mean) + 4);  // four standard deviations above
    const std::int64_t rows = rows_of(planes);
    if (rows < 4 * kEvery * kBlockRows || rows / kEvery < 2 * kept) return;
    const std::int64_t queries = static_cast<std::int64_t>(worst.size()), tiles = (queries + kTogether - 1) / kTogether;
    threads = useful(threads, rows / kEvery * search.tables.bytes() * queries * kOperations);
    std::vector<Above> room(threads * kTogether * kChunkRows);
    share(tiles, 1, threads, [&](int thread, std::int64_t tile, std::int64_t) {
        const std::int64_t query = tile * kTogether;
        const int some = static_cast<int>(std::min<std::int64_t>(kTogether, queries - query));
        std::atomic<Key> bars[kTogether] = {};
        std::vector<Collected> lists;
        for (int i = 0; i < some; i++) lists.emplace_back(kept, bars[i]);
        std::int64_t before = 0;  // blocks of earlier planes
        for (const Plane& plane : planes) {
            const std::int64_t blocks = (plane.rows + kBlockRows - 1) / kBlockRows;
            for (std::int64_t block = (kEvery - before % kEvery) % kEvery; block < blocks; block += kEvery) {
                const std::int64_t first = block * kBlockRows, last = std::min(plane.rows, first + kBlockRows);
                search(plane, query, some, first, last, &room[thread * kTogether * kChunkRows], lists.data());
            }
            before += blocks;
        }
        // Every row with the score of the last one kept may enter, whatever its number.
        for (int i = 0; i < some; i++) {
            if (lists[i].cut()) worst[query + i] = key_of(lists[i].least(), kLastRow) - 1;
        }
    });
}

// Lists of all threads but the first.
std::vector<std::vector<Collected>> lists_of_others(std::int64_t threads, std::int64_t keep, std::int64_t begin,
                                                    std::int64_t queries, std::vector<std::atomic<Key>>& worst) {
    std::vector<std::vector<Collected>> others(threads - 1);
    for (auto& lists : others) {
        lists.reserve(queries);
        for (std::int64_t query = 0; query < queries; query++) lists.emplace_back(keep, worst[begin + query]);
    }
    return others;
}

// Neighbouring positions that one query searches, or all.
struct Run {
    const Plane* plane;
    std::int64_t query, first, last, rank;
};

// All rows for some queries: each thread takes chunks of rows.
void search_rows(const Search& search, const Planes& planes, std::int64_t threads, std::int64_t keep, std::int64_t begin,
                 std::int64_t queries, std::vector<std::atomic<Key>>& worst, std::vector<Collected>& best) {
    threads = useful(threads, rows_of(planes) * search.tables.bytes() * queries * kOperations);
    auto others = lists_of_others(threads, keep, begin, queries, worst);
    std::vector<Above> room(threads * kTogether * kChunkRows);
    std::vector<Run> chunks;
    for (const Plane& plane : planes) {
        for (std::int64_t first = 0; first < plane.rows; first += kChunkRows) {
            chunks.push_back(Run{&plane, begin, first, std::min(plane.rows, first + kChunkRows), 0});
        }
    }
    share(static_cast<std::int64_t>(chunks.size()), 1, threads, [&](int thread, std::int64_t number, std::int64_t) {
        const Run& chunk = chunks[number];
        Collected* lists = thread == 0 ? &best[begin] : others[thread - 1].data();
        for (std::int64_t query = 0; query < queries; query += kTogether) {
            const int some = static_cast<int>(std::min<std::int64_t>(kTogether, queries - query));
            search(*chunk.plane, begin + query, some, chunk.first, chunk.last, &room[thread * kTogether * kChunkRows],
                   lists + query);
        }
    });
    for (const auto& lists : others) {
        for (std::int64_t query = 0; query < queries; query++) best[begin + query].take(lists[query]);
    }
}

// All rows for all queries.
void search_all(const Search& search, const Planes& planes, std::int64_t threads, std::int64_t keep,
                std::vector<std::atomic<Key>>& worst, std::vector<Collected>& best) {
    const std::int64_t queries = static_cast<std::int64_t>(best.size());
    guess(search, planes, threads, keep, worst);
    std::vector<Key> guessed(queries);
    for (std::int64_t query = 0; query < queries; query++) guessed[query] = worst[query];
    search_rows(search, planes, threads, keep, 0, queries, worst, best);
    for (std::int64_t query = 0; query < queries; query++) {
        if (guessed[query] == 0 || best[query].cut()) continue;
        best[query].clear();
        worst[query] = 0;
        search_rows(search, planes, threads, keep, query, 1, worst, best);
    }
}

// Add the positions of a plane that some lists have, with neighbouring lists joined.
void join_lists(const Plane& plane, std::int64_t query, const std::int64_t* lists, std::int64_t each,
                std::vector<Run>& joined) {
    if (!plane.starts) {
        joined.push_back(Run{&plane, query, 0, plane.rows, each});
        return;
    }
    std::vector<Run> some;
    for (std::int64_t i = 0; i < each; i++) {
        some.push_back(Run{&plane, query, plane.starts[lists[i]], plane.starts[lists[i] + 1], i});
    }
    std::sort(some.begin(), some.end(), [](const Run& a, const Run& b) { return a.first < b.first; });
    const std::size_t others = joined.size();
    for (const Run& run : some) {
        if (joined.size() == others || joined.back().last < run.first) {
            joined.push_back(run);
        } else {
            joined.back().last = std::max(joined.back().last, run.last);  // lists may be empty
            joined.back().rank = std::min(joined.back().rank, run.rank);
        }
    }
}

// Add the runs of a query, the one with the best list first, in pieces of at most kPiece rows.
void add_runs(const Planes& planes, std::int64_t query, const std::int64_t* lists, std::int64_t each,
              std::vector<Run>& runs) {
    constexpr std::int64_t kPiece = 8 * kChunkRows;
    std::vector<Run> joined;
    for (const Plane& plane : planes) join_lists(plane, query, lists, each, joined);
    std::sort(joined.begin(), joined.end(), [](const Run& a, const Run& b) { return a.rank < b.rank; });
    for (const Run& run : joined) {
        for (std::int64_t at = run.first; at < run.last; at += kPiece) {
            runs.push_back(Run{run.plane, query, at, std::min(run.last, at + kPiece), run.rank});
        }
    }
}

// Some lists for each query: each thread takes runs.
void search_lists(const Search& search, const Planes& planes, std::int64_t threads, std::int64_t keep,
                  const std::int64_t* lists, std::int64_t each, std::vector<std::atomic<Key>>& worst,
                  std::vector<Collected>& best) {
    const std::int64_t queries = static_cast<std::int64_t>(best.size());
    std::vector<Run> runs;
    std::int64_t rows = 0;
    for (std::int64_t query = 0; query < queries; query++) add_runs(planes, query, lists + query * each, each, runs);
    for (const Run& run : runs) rows += run.last - run.first;
    threads = useful(threads, rows * search.tables.bytes() * kOperations);
    std::vector<Above> room(threads * kChunkRows);
    auto others = lists_of_others(threads, keep, 0, queries, worst);
    share(static_cast<std::int64_t>(runs.size()), 1, threads, [&](int thread, std::int64_t number, std::int64_t) {
        const Run& run = runs[number];
        Collected& list = thread == 0 ? best[run.query] : others[thread - 1][run.query];
        search(*run.plane, run.query, 1, run.first, run.last, &room[thread * kChunkRows], &list);
    });
    for (const auto& lists : others) {
        for (std::int64_t query = 0; query < queries; query++) best[query].take(lists[query]);
    }
}

}  // namespace
}  // namespace ninefold

using namespace ninefold;

// Write ids and scores (queries x keep, best first) and count (queries) of the rows with the best coarse scores, in
// `number` planes; if `scores` is null, ids are in ascending order. With `lists` (queries x each) only the rows of these
// lists are searched, and those of planes without lists.
NINEFOLD_INTERFACE(candidates)(std::int64_t path, std::int64_t threads, const void* all, std::int64_t number,
                               const std::uint8_t* allowed, const std::int64_t* lists, std::int64_t each,
                               const std::int8_t* nits, std::int64_t queries, std::int64_t dimensions, std::int64_t keep,
                               std::int64_t* ids, std::int32_t* scores, std::int64_t* count) {
    try {
        const Tables tables(nits, queries, dimensions);
        const Search search{tables, allowed, path};
        const auto* first = static_cast<const Plane*>(all);
        const Planes planes(first, first + number);
        std::vector<std::atomic<Key>> worst(queries);
        std::vector<Collected> best;
        best.reserve(queries);
        for (std::int64_t query = 0; query < queries; query++) {
            worst[query] = 0;
            best.emplace_back(keep, worst[query]);
        }
        if (lists) {
            search_lists(search, planes, threads, keep, lists, each, worst, best);
        } else {
            search_all(search, planes, threads, keep, worst, best);
        }
        share(queries, 1, useful(threads, queries * keep * kSorting), [&](int, std::int64_t query, std::int64_t) {
            count[query] = best[query].finish(ids + query * keep, scores ? scores + query * keep : nullptr);
        });
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
