// The rows with the largest coarse scores: sums of a query's nits, each negated where the sign bit of the row is set.
//
// The sum of four dimensions is one of 16 values, so a byte of signs is two look-ups in tables of 16 bytes. Signs come
// in blocks of 64 rows: byte j of all 64 rows, then byte j + 1. Tables hold sums plus the sum of magnitudes, which is
// at most 32, so that bytes need no sign and six look-ups fit a byte.
#include "products.h"

namespace ninefold {

constexpr int kBlockRows = 64;
constexpr int kBytesTogether = 3;  // 3 bytes are 6 look-ups, each at most 32
// Rows scored for one query after the other: their signs stay in the second-level cache.
constexpr int kChunkBlocks = 16, kChunkRows = kChunkBlocks * kBlockRows;

// One query: for each byte of signs the table of the low nibble and that of the high nibble.
struct SignTables {
    const std::uint8_t* tables;  // bytes x 2 x 16
    std::int64_t bytes;
    std::int32_t bias;           // sum of all magnitudes, to subtract from the sum of look-ups
};

}  // namespace ninefold

#ifdef NINEFOLD_PATH

// Write the coarse scores of `blocks` blocks.
NINEFOLD_ON_PATH(void, score_signs, (const SignTables& query, const std::uint8_t* signs, std::int64_t blocks,
                                     std::int16_t* scores)) {
    using namespace ninefold;
    constexpr int kVector = Isa::kBytes;
    for (std::int64_t block = 0; block < blocks; block++, signs += query.bytes * kBlockRows) {
        for (int part = 0; part < kBlockRows; part += kVector) {
            const std::uint8_t* column = signs + part;
            const std::uint8_t* tables = query.tables;
            auto even = Isa::splat32(0), odd = Isa::splat32(0);
            for (std::int64_t byte = 0; byte < query.bytes;) {
                auto sum = Isa::splat32(0);
                for (int i = 0; i < kBytesTogether && byte < query.bytes; i++, byte++) {
                    const auto bits = Isa::load(column);
                    sum = Isa::add8(sum, Isa::look_up(tables, Isa::low4(bits)));
                    sum = Isa::add8(sum, Isa::look_up(tables + 16, Isa::high4(bits)));
                    column += kBlockRows;
                    tables += 32;
                }
                even = Isa::add16(even, Isa::even8(sum));
                odd = Isa::add16(odd, Isa::odd8(sum));
            }
            alignas(64) std::uint16_t sums[2][kVector / 2];
            Isa::store(sums[0], even);
            Isa::store(sums[1], odd);
            for (int i = 0; i < kVector / 2; i++) {
                *scores++ = static_cast<std::int16_t>(sums[0][i] - query.bias);
                *scores++ = static_cast<std::int16_t>(sums[1][i] - query.bias);
            }
        }
    }
}

// Write the positions of the scores that are `bar` at least, and return their number.
NINEFOLD_ON_PATH(std::int64_t, find_candidates, (const std::int16_t* scores, std::int64_t begin, std::int64_t end,
                                                 std::int32_t bar, std::int32_t* positions)) {
    constexpr int kTogether = 32;
    std::int64_t count = 0;
    for (std::int64_t at = begin; at < end; at += kTogether) {
        const int some = end - at < kTogether ? static_cast<int>(end - at) : kTogether;
        std::int16_t largest = INT16_MIN;
        for (int i = 0; i < some; i++) largest = scores[at + i] > largest ? scores[at + i] : largest;
        if (largest < bar) continue;
        for (int i = 0; i < some; i++) {
            positions[count] = static_cast<std::int32_t>(at + i);
            count += scores[at + i] >= bar;
        }
    }
    return count;
}

#else

#include <algorithm>
#include <atomic>
#include <functional>

NINEFOLD_PATHS(void, score_signs, (const SignTables& query, const std::uint8_t* signs, std::int64_t blocks,
                                   std::int16_t* scores));
NINEFOLD_PATHS(std::int64_t, find_candidates, (const std::int16_t* scores, std::int64_t begin, std::int64_t end,
                                               std::int32_t bar, std::int32_t* positions));

namespace ninefold {
namespace {

// A score and a row as one number, larger for the better one: by score, of equal scores the lower row.
using Key = std::uint64_t;

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

    std::int64_t finish(std::int64_t* ids, std::int32_t* scores) {
        if (static_cast<std::int64_t>(found_.size()) > keep_) drop();
        std::sort(found_.begin(), found_.end(), std::greater<>());
        for (std::size_t i = 0; i < found_.size(); i++) {
            ids[i] = row_of(found_[i]);
            scores[i] = score_of(found_[i]);
        }
        return static_cast<std::int64_t>(found_.size());
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
        : bytes_((dimensions + 7) / 8), tables_(queries * bytes_ * 32), bias_(queries) {
        for (std::int64_t query = 0; query < queries; query++, nits += dimensions) {
            for (std::int64_t group = 0; group < 2 * bytes_; group++) {
                std::uint8_t* table = &tables_[(query * 2 * bytes_ + group) * 16];
                std::int8_t q[4] = {};
                for (int i = 0; i < 4; i++) {
                    const std::int64_t d = group * 4 + i;
                    if (d < dimensions) q[i] = nits[d];
                    bias_[query] += q[i] < 0 ? -q[i] : q[i];
                }
                for (int signs = 0; signs < 16; signs++) {
                    int sum = 0;
                    for (int i = 0; i < 4; i++) sum += (signs >> i & 1 ? -q[i] : q[i]) + (q[i] < 0 ? -q[i] : q[i]);
                    table[signs] = static_cast<std::uint8_t>(sum);
                }
            }
        }
    }

    SignTables query(std::int64_t number) const { return {&tables_[number * bytes_ * 32], bytes_, bias_[number]}; }

   private:
    std::int64_t bytes_;
    std::vector<std::uint8_t> tables_;
    std::vector<std::int32_t> bias_;
};

// The sign plane of a database.
struct Plane {
    const std::uint8_t* signs;    // blocks x bytes x 64
    std::int64_t rows;
    std::int64_t bytes;
    const std::int64_t* order;    // row at each position, or null if they are equal
    const std::uint8_t* allowed;  // bit mask of the rows that may be returned, or null for all

    // Offer the rows at the positions from first to last - 1 to a list. `scores` holds kChunkRows.
    void search(std::int64_t path, const SignTables& query, std::int64_t first, std::int64_t last, std::int16_t* scores,
                Collected& best) const {
        for (std::int64_t block = first / kBlockRows; block * kBlockRows < last; block += kChunkBlocks) {
            const std::int64_t start = block * kBlockRows, end = std::min(last, start + kChunkRows);
            const std::int64_t blocks = (end - start + kBlockRows - 1) / kBlockRows;
            score_signs_paths[path](query, signs + block * bytes * kBlockRows, blocks, scores);
            std::int32_t positions[kChunkRows];
            const std::int64_t begin = std::max(first, start) - start;
            const std::int64_t count = find_candidates_paths[path](scores, begin, end - start, best.bar(), positions);
            for (std::int64_t i = 0; i < count; i++) {
                const std::int64_t row = order ? order[start + positions[i]] : start + positions[i];
                if (allowed == nullptr || (allowed[row / 8] >> row % 8 & 1)) {
                    best.offer(key_of(scores[positions[i]], row));
                }
            }
        }
    }
};

// All rows for all queries: each thread takes chunks of rows.
void search_all(const Plane& plane, const Tables& tables, std::int64_t path, std::int64_t threads, std::int64_t keep,
                std::vector<std::atomic<Key>>& worst, std::vector<Collected>& best) {
    const std::int64_t queries = static_cast<std::int64_t>(best.size());
    threads = useful(threads, plane.rows * plane.bytes * queries);
    std::vector<std::vector<Collected>> others(threads - 1);
    for (auto& lists : others) {
        lists.reserve(queries);
        for (std::int64_t query = 0; query < queries; query++) lists.emplace_back(keep, worst[query]);
    }
    std::vector<std::int16_t> scores(threads * kChunkRows);
    share(plane.rows, kChunkRows, threads, [&](int thread, std::int64_t first, std::int64_t last) {
        std::vector<Collected>& lists = thread == 0 ? best : others[thread - 1];
        for (std::int64_t query = 0; query < queries; query++) {
            plane.search(path, tables.query(query), first, last, &scores[thread * kChunkRows], lists[query]);
        }
    });
    for (const auto& lists : others) {
        for (std::int64_t query = 0; query < queries; query++) best[query].take(lists[query]);
    }
}

// Some ranges of positions for each query: each thread takes queries.
void search_ranges(const Plane& plane, const Tables& tables, std::int64_t path, std::int64_t threads,
                   const std::int64_t* ranges, std::int64_t each, std::vector<Collected>& best) {
    const std::int64_t queries = static_cast<std::int64_t>(best.size());
    threads = useful(threads, plane.rows * plane.bytes * queries / 8);
    std::vector<std::int16_t> scores(threads * kChunkRows);
    share(queries, 1, threads, [&](int thread, std::int64_t query, std::int64_t) {
        for (std::int64_t i = 0; i < each; i++) {
            const std::int64_t* range = ranges + (query * each + i) * 2;
            plane.search(path, tables.query(query), range[0], range[1], &scores[thread * kChunkRows], best[query]);
        }
    });
}

}  // namespace
}  // namespace ninefold

using namespace ninefold;

// Write ids and scores (queries x keep, best first) and count (queries) of the rows with the best coarse scores. With
// `ranges` (queries x each x 2) only the rows at these positions are searched.
NINEFOLD_INTERFACE(candidates)(std::int64_t path, std::int64_t threads, const std::uint8_t* signs, std::int64_t rows,
                               const std::int64_t* order, const std::uint8_t* allowed, const std::int64_t* ranges,
                               std::int64_t each, const std::int8_t* nits, std::int64_t queries, std::int64_t dimensions,
                               std::int64_t keep, std::int64_t* ids, std::int32_t* scores, std::int64_t* count) {
    try {
        const Tables tables(nits, queries, dimensions);
        const Plane plane{signs, rows, (dimensions + 7) / 8, order, allowed};
        std::vector<std::atomic<Key>> worst(queries);
        std::vector<Collected> best;
        best.reserve(queries);
        for (std::int64_t query = 0; query < queries; query++) {
            worst[query] = 0;
            best.emplace_back(keep, worst[query]);
        }
        if (ranges) {
            search_ranges(plane, tables, path, threads, ranges, each, best);
        } else {
            search_all(plane, tables, path, threads, keep, worst, best);
        }
        for (std::int64_t query = 0; query < queries; query++) {
            count[query] = best[query].finish(ids + query * keep, scores + query * keep);
        }
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
