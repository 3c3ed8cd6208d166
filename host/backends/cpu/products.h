// Products of packed rows and queries, written once over the vector primitives of a path; a sink takes the scores.
//
// `Isa` has vectors of kBytes bytes: kRows = kBytes / 4 lanes of 32 bits in kBytes / 16 blocks of 16 bytes.
//   load, store                  kBytes bytes, load unaligned, store aligned
//   low, high                    the low or high nibble of each byte with its top bit flipped: nit + 8
//   splat(p)                     the 4 bytes at p in every lane
//   zero, accumulate(s, u, v)    sums of the products of unsigned and signed bytes, neighbours added up
//   widen(s)                     those sums as one int32 a lane
//   splat32(i), add(a, b)        int32 lanes
//   above(a, i)                  bit mask of the lanes that exceed i
//   lo32, hi32, lo64, hi64       interleave the low or high halves of the 16-byte blocks of two vectors
//   low4, high4                  the low or high nibble of each byte
//   look_up(p, v)                entries of the 16-byte table at p, of which each byte of v is below 16
//   add8, add16                  lanes of 8 and 16 bits
//   even8, odd8                  the even or odd bytes, as lanes of 16 bits
//   above16(a, i)                bit mask of the lanes of 16 bits that exceed i; both are at most 32767 in magnitude
//   shuffle<i>(a, b)             (64 bytes) blocks of a, then of b; join(in, out) (others) transposes blocks
#pragma once

#include "kernel.h"

namespace ninefold {

// Rows of packed nits and the queries to score against them. A nit in a row is read as nit + 8 (its nibble with the top
// bit flipped, 0 to 15), because the byte products of x86 take one unsigned factor; `offsets` corrects for that.
struct Job {
    const std::uint8_t* packed;  // rows x row_bytes: element 2i in the low nibble of byte i, element 2i + 1 in the high
    std::int64_t rows;
    std::int64_t row_bytes;
    const std::int8_t* even;     // queries x padded: elements 0, 2, 4, ... of each query, then zeros
    const std::int8_t* odd;      // queries x padded: elements 1, 3, 5, ..., then zeros
    std::int64_t padded;         // row_bytes rounded up to a multiple of kPadding
    const std::int32_t* offsets; // -8 times the sum of each query
    int queries;
    const std::int8_t* grouped;  // the same queries by kWide, in the order of tiles; null for a few queries
};

// Number of queries from which unpacking and transposing rows once for all of them pays off.
constexpr int kTileQueries = 4;
// Queries scored together, so that their sums stay in registers.
constexpr int kWide = 4;

constexpr std::int64_t kPadding = 64;  // bytes of the widest vector

// Scratch bytes per byte of a row: 2 for each row of the largest tile of all paths, plus copies of the last rows.
constexpr std::int64_t kTileRows = 64;
constexpr std::int64_t scratch_bytes(std::int64_t padded) { return kTileRows * padded * 3; }

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

using namespace ninefold;

// Distance in bytes of prefetching; hardware prefetching alone reached 4/5 of the speed.
constexpr int kAhead = 4096;

// Vectors of rows in a tile.
template <class Isa>
constexpr int kDeep = Isa::kTileVectors;

// Columns of 4 nits whose sums fit 16 bits: each adds at most 2 * 15 * 4 in magnitude.
constexpr int kColumns = 256;

// Block b of out[i] is block i of in[b].
template <class Isa>
inline void join(const typename Isa::Vec (&in)[Isa::kBytes / 16], typename Isa::Vec (&out)[Isa::kBytes / 16]) {
    if constexpr (Isa::kBytes == 64) {
        // shuffle<i>(a, b) takes blocks i & 3 and i >> 2 & 3 of a, then blocks i >> 4 & 3 and i >> 6 of b.
        const auto a = Isa::template shuffle<0x44>(in[0], in[1]), b = Isa::template shuffle<0x44>(in[2], in[3]);
        const auto c = Isa::template shuffle<0xee>(in[0], in[1]), d = Isa::template shuffle<0xee>(in[2], in[3]);
        out[0] = Isa::template shuffle<0x88>(a, b);
        out[1] = Isa::template shuffle<0xdd>(a, b);
        out[2] = Isa::template shuffle<0x88>(c, d);
        out[3] = Isa::template shuffle<0xdd>(c, d);
    } else {
        Isa::join(in, out);
    }
}

template <class Isa>
inline void transpose(typename Isa::Vec (&v)[Isa::kRows]) {
    constexpr int kBlocks = Isa::kBytes / 16;
    typename Isa::Vec part[4][kBlocks];
    for (int b = 0; b < kBlocks; b++) {
        const auto ab_lo = Isa::lo32(v[4 * b], v[4 * b + 1]), ab_hi = Isa::hi32(v[4 * b], v[4 * b + 1]);
        const auto cd_lo = Isa::lo32(v[4 * b + 2], v[4 * b + 3]), cd_hi = Isa::hi32(v[4 * b + 2], v[4 * b + 3]);
        part[0][b] = Isa::lo64(ab_lo, cd_lo);
        part[1][b] = Isa::hi64(ab_lo, cd_lo);
        part[2][b] = Isa::lo64(ab_hi, cd_hi);
        part[3][b] = Isa::hi64(ab_hi, cd_hi);
    }
    // Block b of part[c][g] is column 4 b + c of rows 4 g to 4 g + 3.
    for (int c = 0; c < 4; c++) {
        typename Isa::Vec column[kBlocks];
        join<Isa>(part[c], column);
        for (int b = 0; b < kBlocks; b++) v[4 * b + c] = column[b];
    }
}

// Rows that may each be read up to the next multiple of Isa::kBytes.
struct Rows {
    const std::uint8_t* base;
    std::int64_t stride;
    std::int64_t count;
    std::int64_t first;  // number of the first of them

    // Rows past the end are read as the last row; their scores are masked.
    const std::uint8_t* at(std::int64_t i) const { return base + (i < count ? i : count - 1) * stride; }
    std::uint32_t mask(std::int64_t from, int lanes) const {
        const std::int64_t left = count - from;
        return left >= lanes ? 0xffffffffu : left <= 0 ? 0 : (1u << left) - 1;
    }
};

// One query at a time directly on the packed rows, four rows together to load the query less often.
template <class Isa, class Sink>
void score_rows(const Job& job, const Rows& rows, Sink& sink) {
    constexpr int kLanes = Isa::kRows, kTogether = 4;
    for (std::int64_t from = 0; from < rows.count; from += kLanes) {
        for (int query = 0; query < job.queries; query++) {
            const std::int8_t* even = job.even + query * job.padded;
            const std::int8_t* odd = job.odd + query * job.padded;
            typename Isa::Vec sums[kLanes];
            for (int group = 0; group < kLanes; group += kTogether) {
                const std::uint8_t* row[kTogether];
                typename Isa::Sums low[kTogether], high[kTogether];
                for (int i = 0; i < kTogether; i++) {
                    row[i] = rows.at(from + group + i);
                    low[i] = high[i] = Isa::zero();
                }
                for (std::int64_t byte = 0; byte < job.row_bytes; byte += Isa::kBytes) {
                    const auto q_even = Isa::load(even + byte), q_odd = Isa::load(odd + byte);
                    for (int i = 0; i < kTogether; i++) {
                        const auto nits = Isa::load(row[i] + byte);
                        __builtin_prefetch(row[i] + byte + kAhead);
                        low[i] = Isa::accumulate(low[i], Isa::low(nits), q_even);
                        high[i] = Isa::accumulate(high[i], Isa::high(nits), q_odd);
                    }
                }
                for (int i = 0; i < kTogether; i++) {
                    sums[group + i] = Isa::add(Isa::widen(low[i]), Isa::widen(high[i]));
                }
            }
            transpose<Isa>(sums);
            auto total = Isa::splat32(job.offsets[query]);
            for (int i = 0; i < kLanes; i++) total = Isa::add(total, sums[i]);
            sink.take(total, rows.mask(from, kLanes), rows.first + from, query);
        }
    }
}

// Unpack kDeep * kRows rows so that a vector holds one 4-byte column of kRows rows: for each column the low nibbles of
// all rows, then the high nibbles.
template <class Isa>
void unpack_tile(const Job& job, const Rows& rows, std::int64_t from, std::uint8_t* tile) {
    constexpr int kVector = Isa::kBytes, kLanes = Isa::kRows;
    for (int deep = 0; deep < kDeep<Isa>; deep++) {
        for (std::int64_t byte = 0; byte < job.row_bytes; byte += kVector) {
            typename Isa::Vec columns[kLanes];
            for (int i = 0; i < kLanes; i++) columns[i] = Isa::load(rows.at(from + deep * kLanes + i) + byte);
            transpose<Isa>(columns);
            std::uint8_t* out = tile + (byte / 4 * 2 * kDeep<Isa> + deep) * kVector;
            for (int i = 0; i < kLanes; i++, out += 2 * kDeep<Isa> * kVector) {
                Isa::store(out, Isa::low(columns[i]));
                Isa::store(out + kDeep<Isa> * kVector, Isa::high(columns[i]));
            }
        }
    }
}

// Add the products of some columns of a tile with kWide queries. A separate function, so that compilers keep all sums
// in registers.
template <class Isa>
__attribute__((noinline)) void add_columns(const std::uint8_t* tile, const std::int8_t* q, std::int64_t columns,
                                           typename Isa::Vec (&total)[kWide][kDeep<Isa>]) {
    constexpr int kD = kDeep<Isa>;
    typename Isa::Sums sums[kWide][kD];
    for (int w = 0; w < kWide; w++) {
        for (int d = 0; d < kD; d++) sums[w][d] = Isa::zero();
    }
    for (std::int64_t column = 0; column < columns; column++, tile += kD * Isa::kBytes, q += kWide * 4) {
        typename Isa::Vec nits[kD];
        for (int d = 0; d < kD; d++) nits[d] = Isa::load(tile + d * Isa::kBytes);
        for (int w = 0; w < kWide; w++) {
            const auto factor = Isa::splat(q + w * 4);
            for (int d = 0; d < kD; d++) sums[w][d] = Isa::accumulate(sums[w][d], nits[d], factor);
        }
    }
    for (int w = 0; w < kWide; w++) {
        for (int d = 0; d < kD; d++) total[w][d] = Isa::add(total[w][d], Isa::widen(sums[w][d]));
    }
}

// Score a tile against the kWide queries from `query` on; queries past the last are zeros and are left out.
template <class Isa, class Sink>
void score_tile(const Job& job, const Rows& rows, std::int64_t from, const std::uint8_t* tile, int query, Sink& sink) {
    constexpr int kD = kDeep<Isa>;
    const std::int64_t columns = 2 * ((job.row_bytes + 3) / 4);  // of low and high nibbles
    const std::int8_t* q = job.grouped + query * columns * 4;
    const int valid = job.queries - query < kWide ? job.queries - query : kWide;
    typename Isa::Vec total[kWide][kD];
    for (int w = 0; w < kWide; w++) {
        for (int d = 0; d < kD; d++) total[w][d] = Isa::splat32(w < valid ? job.offsets[query + w] : 0);
    }
    for (std::int64_t start = 0; start < columns; start += kColumns) {
        const std::int64_t count = columns - start < kColumns ? columns - start : kColumns;
        add_columns<Isa>(tile + start * kD * Isa::kBytes, q + start * kWide * 4, count, total);
    }
    for (int w = 0; w < valid; w++) {
        for (int d = 0; d < kD; d++) {
            const std::int64_t at = from + d * Isa::kRows;
            sink.take(total[w][d], rows.mask(at, Isa::kRows), rows.first + at, query + w);
        }
    }
}

template <class Isa, class Sink>
void score_tiles(const Job& job, const Rows& rows, Sink& sink, std::uint8_t* tile) {
    for (std::int64_t from = 0; from < rows.count; from += kDeep<Isa> * Isa::kRows) {
        unpack_tile<Isa>(job, rows, from, tile);
        for (int query = 0; query < job.queries; query += kWide) {
            score_tile<Isa>(job, rows, from, tile, query, sink);
        }
    }
}

// Score rows first to last - 1 against all queries. For each vector of scores of neighbouring rows and one query,
// sink.take(scores, mask, row, query) gets a bit mask of the lanes that are rows, and the number of the first row.
// No byte outside the rows of the job is read. `scratch` is aligned to 64 bytes.
template <class Isa, class Sink>
void score(const Job& job, std::int64_t first, std::int64_t last, Sink& sink, std::uint8_t* scratch) {
    static_assert(kDeep<Isa> * Isa::kRows <= kTileRows, "the scratch area holds no larger tile");
    static_assert(Isa::kBytes <= kPadding, "queries are padded for no larger vector");
    std::uint8_t* tile = scratch;
    std::uint8_t* copies = scratch + 2 * kTileRows * job.padded;
    std::int64_t at = first;
    while (at < last) {
        // If whole vectors would reach past the end of the array, rows are read from a copy.
        const std::int64_t reach = job.rows * job.row_bytes - job.padded;
        const std::int64_t safe = reach < 0 ? 0 : reach / job.row_bytes + 1;
        Rows rows{job.packed + at * job.row_bytes, job.row_bytes, (safe < last ? safe : last) - at, at};
        if (rows.count <= 0) {
            rows.count = last - at < kTileRows ? last - at : kTileRows;
            for (std::int64_t i = 0; i < rows.count; i++) {
                std::memcpy(copies + i * job.padded, rows.base + i * job.row_bytes, job.row_bytes);
            }
            rows.base = copies;
            rows.stride = job.padded;
        }
        if (job.grouped == nullptr) {
            score_rows<Isa>(job, rows, sink);
        } else {
            score_tiles<Isa>(job, rows, sink, tile);
        }
        at += rows.count;
    }
}

}  // namespace

#else

#include <cstdlib>
#include <cstring>
#include <memory>

namespace ninefold {

// Queries (int8, queries x dimensions) in the order in which the paths read them.
class Queries {
   public:
    Queries(const std::int8_t* nits, std::int64_t queries, std::int64_t dimensions, std::int64_t row_bytes)
        : padded_((row_bytes + kPadding - 1) / kPadding * kPadding),
          even_(queries * padded_), odd_(queries * padded_), offsets_(queries) {
        for (std::int64_t query = 0; query < queries; query++, nits += dimensions) {
            std::int32_t sum = 0;
            for (std::int64_t d = 0; d < dimensions; d++) {
                (d % 2 ? odd_ : even_)[query * padded_ + d / 2] = nits[d];
                sum += nits[d];
            }
            offsets_[query] = -8 * sum;
        }
        if (queries >= kTileQueries) group(queries, row_bytes);
    }

    Job job(const std::uint8_t* packed, std::int64_t rows, std::int64_t row_bytes) const {
        return Job{packed, rows, row_bytes, even_.data(), odd_.data(), padded_, offsets_.data(),
                   static_cast<int>(offsets_.size()), grouped_.empty() ? nullptr : grouped_.data()};
    }

   private:
    // Arrange the queries in the order of tiles: kWide queries next to each other, each with the 4 elements of the low
    // nibbles and then the 4 of the high nibbles, for every 4-byte column of a row. Zeros fill the last group.
    void group(std::int64_t queries, std::int64_t row_bytes) {
        const std::int64_t columns = (row_bytes + 3) / 4, groups = (queries + kWide - 1) / kWide;
        grouped_.resize(groups * columns * 2 * kWide * 4);
        for (std::int64_t query = 0; query < queries; query++) {
            for (std::int64_t column = 0; column < columns; column++) {
                std::int8_t* out = &grouped_[((query / kWide * columns + column) * 2 * kWide + query % kWide) * 4];
                std::memcpy(out, &even_[query * padded_ + column * 4], 4);
                std::memcpy(out + kWide * 4, &odd_[query * padded_ + column * 4], 4);
            }
        }
    }

    std::int64_t padded_;
    std::vector<std::int8_t> even_, odd_, grouped_;
    std::vector<std::int32_t> offsets_;
};

// Scratch memory of one thread, aligned to 64 bytes.
class Scratch {
   public:
    explicit Scratch(std::int64_t padded)
        : bytes_(static_cast<std::uint8_t*>(std::aligned_alloc(64, scratch_bytes(padded))), std::free) {
        if (!bytes_) throw std::bad_alloc();
    }
    std::uint8_t* get() const { return bytes_.get(); }

   private:
    std::unique_ptr<std::uint8_t, decltype(&std::free)> bytes_;
};

}  // namespace ninefold

#endif
