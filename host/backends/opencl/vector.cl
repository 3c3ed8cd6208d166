// Nits on processors: one work-item a work-group, explicit vectors, two rows in one 16-bit factor.
//
// Rows lie in blocks of 32 (layout.py): for each column of 4 nits 16 words, each with the nits of two rows, a and b. With
// one mask, or a rotation by a byte and one mask, the halves of a word become a + 8 + 4096 b: one nit of either row, b in
// the top nibble with its sign. Multiplied by a nit of the query and summed, a + 4096 b is A + 4096 B, with A and B the
// sums of either row. A product is at most 16 in magnitude, so up to 127 of them leave A within 12 bits: it is split off
// every SPLIT columns of 4 products, and B stays above (20 bits hold 4096 x 16 and its sign).
//
// The sum of neighbouring products is written the way that LLVM knows as the processor's own instruction
// (vpmaddwd on x86): 32 products of nits in one, as many as products of bytes (vpmaddubsw) would be.
//
// QUERIES: queries that are scored together, so that their sums stay in registers. Several read the block unpacked, from
// local memory; a single one unpacks it on the way.

#define SPLIT 30
#define FIELD 12
#define ROWS 32

// Nits 0 and 2 (step 0) or 1 and 3 (step 1) of a column of 16 rows.
static inline short16 factors_of(int8 words, int step) {
    const ushort16 halves = as_ushort16(words);
    return as_short16((step ? rotate(halves, (ushort16)8) : halves) & (ushort)0xf00f) - (short)8;
}

static inline int8 neighbours(int16 products) { return products.even + products.odd; }

#if QUERIES > 1

// Unpack a block: two vectors a step, two steps a column.
static inline void unpack(__global const int8* words, int columns, __local short16* tile) {
    for (int i = 0; i < columns; i++) {
#pragma unroll
        for (int step = 0; step < 2; step++) {
            tile[(i * 2 + step) * 2] = factors_of(words[i * 2], step);
            tile[(i * 2 + step) * 2 + 1] = factors_of(words[i * 2 + 1], step);
        }
    }
}

// Steps that are unrolled: two at once would take more registers than there are.
#define STEPS 1
#define FACTORS(column, step, side) tile[((column) * 2 + (step)) * 2 + (side)]
#else
#define STEPS 2
#define FACTORS(column, step, side) factors_of(words[(column) * 2 + (side)], step)
#endif

// Score a block against QUERIES queries: total[q][0..3] are rows 0 to 7, 8 to 15, 16 to 23 and 24 to 31. `queries` holds
// for each step the pair of nits of each query in an int.
__attribute__((always_inline)) static inline void score(__global const int8* words, __local const short16* tile,
                                                        int columns, __global const int* queries,
                                                        int8 total[QUERIES][4]) {
    int8 sum[QUERIES][2], low[QUERIES][2];
#pragma unroll
    for (int q = 0; q < QUERIES; q++) {
        sum[q][0] = sum[q][1] = low[q][0] = low[q][1] = 0;
    }
    for (int start = 0; start < columns; start += SPLIT) {
        const int end = min(start + SPLIT, columns);
        for (int i = start; i < end; i++) {
#pragma unroll STEPS
            for (int step = 0; step < 2; step++) {
                const int16 first = convert_int16(FACTORS(i, step, 0)), second = convert_int16(FACTORS(i, step, 1));
#pragma unroll
                for (int q = 0; q < QUERIES; q++) {
                    const int16 query = convert_int16(as_short16((int8)(queries[(i * 2 + step) * QUERIES + q])));
                    sum[q][0] += neighbours(first * query);
                    sum[q][1] += neighbours(second * query);
                }
            }
        }
#pragma unroll
        for (int q = 0; q < QUERIES; q++) {
            for (int side = 0; side < 2; side++) {
                const int8 part = (sum[q][side] << (32 - FIELD)) >> (32 - FIELD);
                low[q][side] += part;
                sum[q][side] -= part;
            }
        }
    }
#pragma unroll
    for (int q = 0; q < QUERIES; q++) {
        for (int side = 0; side < 2; side++) {
            total[q][side * 2] = low[q][side];
            total[q][side * 2 + 1] = sum[q][side] >> FIELD;
        }
    }
}

// Keep the k best rows of one share of the blocks for every query: lists[share][query][k], heaps in no further order.
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void mine(
    __global const int8* words, int columns, uint rows, uint first_id, uint share, __global const int* queries,
    int groups, int k, __global long* lists, __local short16* tile) {
    const uint blocks = (rows + ROWS - 1) / ROWS;
    const uint begin = get_group_id(0) * share, end = min(begin + share, blocks);
    __global long* heaps = lists + get_group_id(0) * (size_t)(groups * QUERIES) * k;
    clear_heap(heaps, groups * QUERIES * k);
    for (uint block = begin; block < end; block++) {
        __global const int8* at = words + (size_t)block * columns * 2;
#if QUERIES > 1
        unpack(at, columns, tile);
#endif
        const int valid = min((uint)ROWS, rows - block * ROWS);
        for (int group = 0; group < groups; group++) {
            int8 total[QUERIES][4];
            score(at, tile, columns, queries + (size_t)group * columns * 2 * QUERIES, total);
#pragma unroll
            for (int q = 0; q < QUERIES; q++) {
                __global long* heap = heaps + (size_t)(group * QUERIES + q) * k;
                int bar = score_of(heap[0]);
                // Rows come in order of id, so a later one never displaces an equal score.
                if (!any((total[q][0] > bar) | (total[q][1] > bar) | (total[q][2] > bar) | (total[q][3] > bar))) continue;
                int scores[ROWS];
#pragma unroll
                for (int i = 0; i < 4; i++) vstore8(total[q][i], i, scores);
                for (int i = 0; i < valid; i++) {
                    if (scores[i] <= bar) continue;
                    replace_least(heap, k, make_key(scores[i], first_id + block * ROWS + i));
                    bar = score_of(heap[0]);
                }
            }
        }
    }
}

// Write every score: out[query][row], `pitch` ints a query.
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void scores(
    __global const int8* words, int columns, uint rows, uint share, __global const int* queries, int groups,
    __global int* out, ulong pitch, __local short16* tile) {
    const uint blocks = (rows + ROWS - 1) / ROWS;
    const uint begin = get_group_id(0) * share, end = min(begin + share, blocks);
    for (uint block = begin; block < end; block++) {
        __global const int8* at = words + (size_t)block * columns * 2;
#if QUERIES > 1
        unpack(at, columns, tile);
#endif
        for (int group = 0; group < groups; group++) {
            int8 total[QUERIES][4];
            score(at, tile, columns, queries + (size_t)group * columns * 2 * QUERIES, total);
#pragma unroll
            for (int q = 0; q < QUERIES; q++) {
                __global int* line = out + (group * QUERIES + q) * pitch + (size_t)block * ROWS;
                for (int i = 0; i < 4; i++) vstore8(total[q][i], i, line);
            }
        }
    }
}
