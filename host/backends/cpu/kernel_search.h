// The search, written once over a small set of vector primitives; each path instantiates it with its own primitives.
//
// A primitive set `Isa` has vectors of kBytes bytes: kRows = kBytes / 4 lanes of 32 bits in kBytes / 16 blocks of 16
// bytes.
//   load, store                  kBytes bytes, load unaligned, store aligned
//   low, high                    the low or high nibble of each byte with its top bit flipped: nit + 8
//   splat(p)                     the 4 bytes at p in every lane
//   zero, accumulate(s, u, v)    sums of the products of unsigned and signed bytes, neighbours added up
//   widen(s)                     those sums as one int32 a lane
//   splat32(i), add(a, b)        int32 lanes
//   above(a, i)                  bit mask of the lanes that exceed i
//   lo32, hi32, lo64, hi64       interleave the low or high halves of the 16-byte blocks of two vectors
//   join(in, out)                block b of out[i] is block i of in[b]
#pragma once

#include <cstring>

#include "kernel.h"

namespace {

using ninefold::Hit;
using ninefold::Job;
using ninefold::kWide;
using ninefold::Lists;

// Distance in bytes of prefetching; hardware prefetching alone reached 4/5 of the speed.
constexpr int kAhead = 4096;

// Vectors of rows in a tile.
template <class Isa>
constexpr int kDeep = Isa::kTileVectors;

// Columns of 4 nits whose sums fit 16 bits: each adds at most 2 * 15 * 4 in magnitude.
constexpr int kColumns = 256;

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
        Isa::join(part[c], column);
        for (int b = 0; b < kBlocks; b++) v[4 * b + c] = column[b];
    }
}

// Rows that may each be read up to the next multiple of Isa::kBytes.
struct Rows {
    const std::uint8_t* base;
    std::int64_t stride;
    std::int64_t count;
    std::int64_t first_id;

    // Rows past the end are read as the last row; their scores are masked.
    const std::uint8_t* at(std::int64_t i) const { return base + (i < count ? i : count - 1) * stride; }
    std::uint32_t mask(std::int64_t from, int lanes) const {
        const std::int64_t left = count - from;
        return left >= lanes ? 0xffffffffu : left <= 0 ? 0 : (1u << left) - 1;
    }
};

template <class Isa>
inline void keep(std::uint32_t mask, typename Isa::Vec scores, std::int64_t first_id, int query, Lists& best) {
    if (!mask) return;
    alignas(64) std::int32_t values[Isa::kRows];
    Isa::store(values, scores);
    for (int i = 0; i < Isa::kRows; i++) {
        if (mask >> i & 1 && values[i] > best.bar[query]) best.insert(query, Hit{values[i], first_id + i});
    }
}

// One query at a time directly on the packed rows, four rows together to load the query less often.
template <class Isa>
void search_rows(const Job& job, const Rows& rows, Lists& best) {
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
            const auto mask = Isa::above(total, best.bar[query]) & rows.mask(from, kLanes);
            keep<Isa>(mask, total, rows.first_id + from, query, best);
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

// Score a tile against the kWide queries from `query` on; queries past the last are zeros and yield no hits.
template <class Isa>
void score_tile(const Job& job, const Rows& rows, std::int64_t from, const std::uint8_t* tile, int query, Lists& best) {
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
            const auto mask = Isa::above(total[w][d], best.bar[query + w]) & rows.mask(at, Isa::kRows);
            keep<Isa>(mask, total[w][d], rows.first_id + at, query + w, best);
        }
    }
}

template <class Isa>
void search_tiles(const Job& job, const Rows& rows, Lists& best, std::uint8_t* tile) {
    for (std::int64_t from = 0; from < rows.count; from += kDeep<Isa> * Isa::kRows) {
        unpack_tile<Isa>(job, rows, from, tile);
        for (int query = 0; query < job.queries; query += kWide) {
            score_tile<Isa>(job, rows, from, tile, query, best);
        }
    }
}

template <class Isa>
void search(const Job& job, std::int64_t first, std::int64_t last, Lists& best, std::uint8_t* scratch) {
    static_assert(kDeep<Isa> * Isa::kRows <= ninefold::kTileRows, "the scratch area holds no larger tile");
    static_assert(Isa::kBytes <= ninefold::kPadding, "queries are padded for no larger vector");
    std::uint8_t* tile = scratch;
    std::uint8_t* copies = scratch + 2 * ninefold::kTileRows * job.padded;
    std::int64_t at = first;
    while (at < last) {
        // If whole vectors would reach past the end of the array, rows are read from a copy.
        const std::int64_t reach = job.rows * job.row_bytes - job.padded;
        const std::int64_t safe = reach < 0 ? 0 : reach / job.row_bytes + 1;
        Rows rows{job.packed + at * job.row_bytes, job.row_bytes, (safe < last ? safe : last) - at, job.first_id + at};
        if (rows.count <= 0) {
            rows.count = last - at < ninefold::kTileRows ? last - at : ninefold::kTileRows;
            for (std::int64_t i = 0; i < rows.count; i++) {
                std::memcpy(copies + i * job.padded, rows.base + i * job.row_bytes, job.row_bytes);
            }
            rows.base = copies;
            rows.stride = job.padded;
        }
        if (job.grouped == nullptr) {
            search_rows<Isa>(job, rows, best);
        } else {
            search_tiles<Isa>(job, rows, best, tile);
        }
        at += rows.count;
    }
}

}  // namespace
