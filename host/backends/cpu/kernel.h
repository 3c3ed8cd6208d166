// Types shared by the kernel's paths: the job, and the lists of hits.
#pragma once

#include <cstdint>

namespace ninefold {

// Rows of packed nits and the queries to score against them. A nit in a row is read as nit + 8 (its nibble with the top
// bit flipped, 0 to 15), because the byte products of x86 take one unsigned factor; `offsets` corrects for that.
struct Job {
    const std::uint8_t* packed;  // rows x row_bytes: element 2i in the low nibble of byte i, element 2i + 1 in the high
    std::int64_t rows;
    std::int64_t row_bytes;
    std::int64_t first_id;       // id of row 0
    const std::int8_t* even;     // queries x padded: elements 0, 2, 4, ... of each query, then zeros
    const std::int8_t* odd;      // queries x padded: elements 1, 3, 5, ..., then zeros
    std::int64_t padded;         // row_bytes rounded up to a multiple of kPadding
    const std::int32_t* offsets; // -8 times the sum of each query
    int queries;
    const std::int8_t* grouped;  // the same queries by kWide, as `group_queries` lays them out; null for a few queries
};

// Number of queries from which unpacking and transposing rows once for all of them pays off.
constexpr int kTileQueries = 4;
// Queries scored together, so that their sums stay in registers.
constexpr int kWide = 4;

constexpr std::int64_t kPadding = 64;  // bytes of the widest vector

struct Hit {
    std::int32_t score;
    std::int64_t id;
};

// The best k hits so far of each query, best first: by score, of equal scores the lower id.
struct Lists {
    int k;
    Hit* hits;            // queries x k
    std::int32_t* count;  // number of hits
    std::int32_t* bar;    // a later row must score more than this to enter

    void insert(int query, Hit hit);
};

// Score rows first to last - 1 against all queries and insert the hits above the bar. Each path is one such function;
// it reads no byte outside the rows of the job. `scratch` is aligned to 64 bytes.
using Search = void (*)(const Job&, std::int64_t first, std::int64_t last, Lists&, std::uint8_t* scratch);

// Scratch bytes per byte of a row: 2 for each row of the largest tile of all paths, plus copies of the last rows.
constexpr std::int64_t kTileRows = 64;
constexpr std::int64_t scratch_bytes(std::int64_t padded) { return kTileRows * padded * 3; }

extern const Search search_portable;
extern const Search search_emulated;  // the 512-bit code on arrays instead of registers, for tests anywhere
extern const Search search_avx2;
extern const Search search_avx512;

}  // namespace ninefold
