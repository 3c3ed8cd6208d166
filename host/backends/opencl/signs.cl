// Scan of the signs of nits: one bit a dimension, counted by population counts.
//
// Rows are in blocks of 8 (layout.py): word w of all 8 rows, then word w + 1, each with 64 dimensions. A query has for
// each word four numbers: its signs, and the dimensions whose magnitude has bit 0, 1 and 2 set. The weight of a row is
// the sum of the magnitudes where its sign differs from the query's. Its coarse score is the sum of all magnitudes less
// twice the weight, so the best rows weigh least.
//
// QUERIES: queries weighed together, so that their sums stay in registers. SINGLE: one work-item per work-group.

#define ROWS 8

#ifdef SINGLE
#define ALONE __attribute__((reqd_work_group_size(1, 1, 1)))
#else
#define ALONE
#endif

// Where a compiler has it, this form becomes vector instructions; Intel's calls a function for each number of the other.
#ifdef __has_builtin
#if __has_builtin(__builtin_elementwise_popcount)
#define COUNT(bits) __builtin_elementwise_popcount(bits)
#endif
#endif
#ifndef COUNT
#define COUNT(bits) popcount(bits)
#endif

__attribute__((always_inline)) static inline void weigh(__global const ulong8* words, int count,
                                                        __global const ulong* queries, ulong8 weight[QUERIES]) {
    ulong8 ones[QUERIES], twos[QUERIES], fours[QUERIES];
#pragma unroll
    for (int q = 0; q < QUERIES; q++) ones[q] = twos[q] = fours[q] = 0;
    for (int word = 0; word < count; word++) {
        const ulong8 bits = words[word];
#pragma unroll
        for (int q = 0; q < QUERIES; q++, queries += 4) {
            const ulong8 differ = bits ^ queries[0];
            ones[q] += COUNT(differ & queries[1]);
            twos[q] += COUNT(differ & queries[2]);
            fours[q] += COUNT(differ & queries[3]);
        }
    }
#pragma unroll
    for (int q = 0; q < QUERIES; q++) weight[q] = ones[q] + (twos[q] << 1) + (fours[q] << 2);
}

// Write the weights of every `stride`-th block to out[query][block / stride], `pitch` numbers per query.
ALONE __kernel void weights(__global const ulong8* rows, int words, uint blocks, uint stride, uint share,
                            __global const ulong* queries, int groups, __global ushort* out, ulong pitch) {
    const uint begin = get_global_id(0) * share, end = min(begin + share, (blocks + stride - 1) / stride);
    for (uint at = begin; at < end; at++) {
        for (int group = 0; group < groups; group++) {
            ulong8 weight[QUERIES];
            weigh(rows + (size_t)at * stride * words, words, queries + (size_t)group * words * QUERIES * 4, weight);
            for (int q = 0; q < QUERIES; q++) {
                vstore8(convert_ushort8(weight[q]), 0, out + (group * QUERIES + q) * pitch + (size_t)at * ROWS);
            }
        }
    }
}

// Add every row of a share of the blocks that weighs at most its query's limit to found[share][query]: the weight in the
// high half, the number of the row in the low. counts[share][query] has the number of such rows, of which `capacity` are
// kept.
ALONE __kernel void below(__global const ulong8* rows, int words, uint count, uint first, uint share,
                          __global const ulong* queries, int groups, __global const uint* limits, uint capacity,
                          __global ulong* found, __global uint* counts) {
    const uint blocks = (count + ROWS - 1) / ROWS;
    const uint begin = get_global_id(0) * share, end = min(begin + share, blocks);
    found += get_global_id(0) * (size_t)(groups * QUERIES) * capacity;
    counts += get_global_id(0) * (size_t)(groups * QUERIES);
    for (int query = 0; query < groups * QUERIES; query++) counts[query] = 0;
    for (uint block = begin; block < end; block++) {
        for (int group = 0; group < groups; group++) {
            ulong8 weight[QUERIES];
            weigh(rows + (size_t)block * words, words, queries + (size_t)group * words * QUERIES * 4, weight);
#pragma unroll
            for (int q = 0; q < QUERIES; q++) {
                const uint query = group * QUERIES + q;
                if (!any(weight[q] <= (ulong8)limits[query])) continue;
                ulong each[ROWS];
                vstore8(weight[q], 0, each);
                for (uint i = 0; i < ROWS; i++) {
                    const uint row = block * ROWS + i;
                    if (row >= count || each[i] > limits[query]) continue;
                    const uint at = counts[query]++;
                    if (at < capacity) found[(size_t)query * capacity + at] = each[i] << 32 | (first + row);
                }
            }
        }
    }
}
