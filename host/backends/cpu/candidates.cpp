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

// Return the first of the scores from `at` on that is `bar` at least, or `end`.
NINEFOLD_ON_PATH(std::int64_t, find_candidate, (const std::int16_t* scores, std::int64_t at, std::int64_t end,
                                                std::int32_t bar)) {
    constexpr int kTogether = 32;
    for (; at + kTogether <= end; at += kTogether) {
        std::int16_t largest = INT16_MIN;
        for (int i = 0; i < kTogether; i++) largest = scores[at + i] > largest ? scores[at + i] : largest;
        if (largest >= bar) break;
    }
    while (at < end && scores[at] < bar) at++;
    return at;
}

#else

#include <algorithm>

NINEFOLD_PATHS(void, score_signs, (const SignTables& query, const std::uint8_t* signs, std::int64_t blocks,
                                   std::int16_t* scores));
NINEFOLD_PATHS(std::int64_t, find_candidate, (const std::int16_t* scores, std::int64_t at, std::int64_t end,
                                              std::int32_t bar));

namespace ninefold {
namespace {

struct Candidate {
    std::int32_t score;
    std::int64_t id;

    // Whether this one ranks before the other: by score, of equal scores the lower id.
    bool operator<(const Candidate& other) const { return score != other.score ? score > other.score : id < other.id; }
};

// The best candidates of a query so far. Twice as many are collected before the worse half is dropped.
class Collected {
   public:
    explicit Collected(std::int64_t keep) : keep_(keep) {}

    // A score below this cannot enter.
    std::int32_t bar() const { return bar_; }

    // Allocates, so that no offer does.
    void reserve() { found_.reserve(limit()); }

    void offer(Candidate candidate) {
        if (full_ && !(candidate < worst_)) return;
        found_.push_back(candidate);
        if (static_cast<std::int64_t>(found_.size()) == limit()) drop();
    }

    void take(const Collected& other) {
        for (const Candidate& candidate : other.found_) offer(candidate);
    }

    std::int64_t finish(std::int64_t* ids, std::int32_t* scores) {
        if (static_cast<std::int64_t>(found_.size()) > keep_) drop();
        std::sort(found_.begin(), found_.end());
        for (std::size_t i = 0; i < found_.size(); i++) {
            ids[i] = found_[i].id;
            scores[i] = found_[i].score;
        }
        return static_cast<std::int64_t>(found_.size());
    }

   private:
    std::int64_t limit() const { return 2 * keep_ + 64; }

    void drop() {
        std::nth_element(found_.begin(), found_.begin() + keep_ - 1, found_.end());
        found_.resize(keep_);
        worst_ = found_[keep_ - 1];
        bar_ = worst_.score;
        full_ = true;
    }

    std::int64_t keep_;
    std::vector<Candidate> found_;
    Candidate worst_{};
    std::int32_t bar_ = INT32_MIN;
    bool full_ = false;
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
            for (std::int64_t at = std::max(first, start) - start;; at++) {
                at = find_candidate_paths[path](scores, at, end - start, best.bar());
                if (at >= end - start) break;
                const std::int64_t row = order ? order[start + at] : start + at;
                if (allowed == nullptr || (allowed[row / 8] >> row % 8 & 1)) best.offer({scores[at], row});
            }
        }
    }
};

// All rows for all queries: each thread takes chunks of rows.
void search_all(const Plane& plane, const Tables& tables, std::int64_t path, std::int64_t threads,
                std::vector<Collected>& best) {
    const std::int64_t queries = static_cast<std::int64_t>(best.size());
    threads = useful(threads, plane.rows * plane.bytes * queries);
    std::vector<std::vector<Collected>> lists(threads, best);
    for (auto& some : lists) {
        for (Collected& list : some) list.reserve();
    }
    std::vector<std::int16_t> scores(threads * kChunkRows);
    share(plane.rows, kChunkRows, threads, [&](int thread, std::int64_t first, std::int64_t last) {
        for (std::int64_t query = 0; query < queries; query++) {
            plane.search(path, tables.query(query), first, last, &scores[thread * kChunkRows], lists[thread][query]);
        }
    });
    for (const auto& some : lists) {
        for (std::int64_t query = 0; query < queries; query++) best[query].take(some[query]);
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
        std::vector<Collected> best(queries, Collected(keep));
        for (Collected& list : best) list.reserve();
        if (ranges) {
            search_ranges(plane, tables, path, threads, ranges, each, best);
        } else {
            search_all(plane, tables, path, threads, best);
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
