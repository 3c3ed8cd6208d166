// Products of nits on processors: one work-item per work-group, explicit vectors, two rows in one 16-bit factor.
//
// Rows are arranged in blocks of 32 (layout.py): 16 words for each column of 4 nits, each with the nits of two rows, a
// and b. One mask, or a rotation by a byte and one mask, turns the halves of a word into a + 8 + 4096 b: one nit of
// each row, b in the top nibble with its sign. Multiplied by a nit of the query and summed, a + 4096 b becomes A + 4096
// B, with A and B the sums of the two rows. A product is at most 16 in magnitude, so up to 127 of them keep A within 12
// bits. A is split off after every SPLIT columns of 4 products, and B stays above (20 bits hold 4096 x 16 and its
// sign).
//
// The sum of neighbouring products is written in the form that LLVM compiles to the processor's own instruction
// (vpmaddwd on x86), with 32 products of nits, as many as an instruction on bytes (vpmaddubsw) has.
//
// QUERIES: queries scored together, so that their sums stay in registers. Several queries read the unpacked block from
// local memory; a single query unpacks it while reading.

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

// Unpack a block: two vectors per step, two steps per column.
static inline void unpack(__global const int8* words, int columns, __local short16* tile) {
    for (int i = 0; i < columns; i++) {
#pragma unroll
        for (int step = 0; step < 2; step++) {
            tile[(i * 2 + step) * 2] = factors_of(words[i * 2], step);
            tile[(i * 2 + step) * 2 + 1] = factors_of(words[i * 2 + 1], step);
        }
    }
}

// Number of steps to unroll; unrolling both would need too many registers.
#define STEPS 1
#define FACTORS(column, step, side) tile[((column) * 2 + (step)) * 2 + (side)]
#else
#define STEPS 2
#define FACTORS(column, step, side) factors_of(words[(column) * 2 + (side)], step)
#endif

// Score a block against QUERIES queries: total[q][0..3] are rows 0 to 7, 8 to 15, 16 to 23 and 24 to 31. For each step
// `queries` holds each query's pair of nits in an int.
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

// Keep the k best rows of one share of the blocks for every query in lists[share][query][k], as heaps, not sorted.
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
                // Rows arrive in order of id, so a later row never replaces an equal score.
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

// Write every score to out[query][row], `pitch` ints per query.
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
