// Nits on processors: one work-item a work-group, explicit vectors, two rows in one 16-bit factor.
//
// Rows lie in blocks of 32 (layout.py): for each column of 8 nits the 32-bit words of the 32 rows, so that four int8
// vectors hold the column. Two rows share a factor, a + 4096 b with a and b from -4 to 4, which fits 16 bits. Multiplied
// by a nit and summed it is A + 4096 B, with A and B the sums of either row. A product is at most 16 in magnitude, so up
// to 127 of them leave A within 12 bits: it is split off every SPLIT steps of 2 products, and B stays above (20 bits
// hold 4096 x 16 and its sign).
//
// The sum of neighbouring products is written the way that LLVM knows as the processor's own instruction
// (vpmaddwd on x86): 32 products of nits in one, where a product of bytes (vpmaddubsw) does the same 32.
//
// QUERIES: queries that are scored together, so that their sums stay in registers.

#define SPLIT 60
#define FIELD 12
#define ROWS 32

#if QUERIES == 1

// A single query is scored from the packed words as they are. In each 16-bit lane nibble j is masked where it stands and
// so counts 16**j times, which is shifted out of its own sum at the end: no shift a word. Nibble 3 carries its sign at
// the top of the lane; the others, with their top bits flipped, read as nit + 8, and `offset` takes that off
// again: -8 times the sum of the query's elements in those places.
static inline int8 pair_products(int8 nits, int factor) {
    const int16 products = convert_int16(as_short16(nits)) * convert_int16(as_short16((int8)(factor)));
    return products.even + products.odd;
}

// Score a block: total[0..3] are rows 0 to 7, 8 to 15, 16 to 23 and 24 to 31.
static inline void score_one(__global const int8* words, int columns, __global const int* factors, int offset,
                             int8 total[4]) {
#pragma unroll
    for (int side = 0; side < 2; side++) {  // two vectors of rows at a time, so that their sums stay in registers
        int8 a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
        for (int i = 0; i < columns; i++) {
            const int8 a = words[i * 4 + side * 2] ^ 0x08880888, b = words[i * 4 + side * 2 + 1] ^ 0x08880888;
            const int4 factor = vload4(i, factors);
            a0 += pair_products(a & 0x000f000f, factor.s0);
            b0 += pair_products(b & 0x000f000f, factor.s0);
            a1 += pair_products(a & 0x00f000f0, factor.s1);
            b1 += pair_products(b & 0x00f000f0, factor.s1);
            a2 += pair_products(a & 0x0f000f00, factor.s2);
            b2 += pair_products(b & 0x0f000f00, factor.s2);
            a3 += pair_products(a & (int)0xf000f000, factor.s3);
            b3 += pair_products(b & (int)0xf000f000, factor.s3);
        }
        total[side * 2] = a0 + (a1 >> 4) + (a2 >> 8) + (a3 >> 12) + offset;
        total[side * 2 + 1] = b0 + (b1 >> 4) + (b2 >> 8) + (b3 >> 12) + offset;
    }
}

#else

// Unpack a block: for each column its nits 0 and 4 of every row, then 1 and 5, 2 and 6, 3 and 7, side by side as the
// halves of 32-bit lanes; rows 0 to 7 with 8 to 15 in the first vector, 16 to 23 with 24 to 31 in the second.
static inline void unpack(__global const int8* words, int columns, __local short16* tile) {
    for (int i = 0; i < columns; i++) {
        for (int side = 0; side < 2; side++) {
            const short16 a = as_short16(words[i * 4 + side * 2]), b = as_short16(words[i * 4 + side * 2 + 1]);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const short up = 12 - 4 * j;
                tile[(i * 4 + j) * 2 + side] = ((a << up) >> (short)12) + ((b << up) & (short)0xf000);
            }
        }
    }
}

// Score a block against QUERIES queries: total[q][0..3] are rows 0 to 7, 8 to 15, 16 to 23 and 24 to 31. `factors` holds
// for each step the pair of nits of each query in an int.
__attribute__((always_inline)) static inline void score(__local const short16* tile, int columns,
                                                        __global const int* factors, int8 total[QUERIES][4]) {
    int8 sum[QUERIES][2], low[QUERIES][2];
#pragma unroll
    for (int q = 0; q < QUERIES; q++) {
        sum[q][0] = sum[q][1] = low[q][0] = low[q][1] = 0;
    }
    for (int start = 0; start < columns * 4; start += SPLIT) {
        const int end = min(start + SPLIT, columns * 4);
        for (int step = start; step < end; step++) {
            const int16 first = convert_int16(tile[step * 2]), second = convert_int16(tile[step * 2 + 1]);
#pragma unroll
            for (int q = 0; q < QUERIES; q++) {
                const int16 factor = convert_int16(as_short16((int8)(factors[step * QUERIES + q])));
                const int16 a = first * factor, b = second * factor;
                sum[q][0] += a.even + a.odd;
                sum[q][1] += b.even + b.odd;
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

#endif

static inline void spread(const int8 total[4], int out[ROWS]) {
#pragma unroll
    for (int i = 0; i < 4; i++) vstore8(total[i], i, out);
}

// Keep the k best rows of one share of the blocks for every query: lists[share][query][k], heaps in no further order.
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void mine(
    __global const int8* words, int columns, uint rows, uint first_id, uint share, __global const int* factors,
    __global const int* offsets, int groups, int k, __global long* lists, __local short16* tile) {
    const uint blocks = (rows + ROWS - 1) / ROWS;
    const uint begin = get_group_id(0) * share, end = min(begin + share, blocks);
    __global long* heaps = lists + get_group_id(0) * (size_t)(groups * QUERIES) * k;
    clear_heap(heaps, groups * QUERIES * k);
    for (uint block = begin; block < end; block++) {
        __global const int8* at = words + (size_t)block * columns * 4;
#if QUERIES > 1
        unpack(at, columns, tile);
#endif
        const int valid = min((uint)ROWS, rows - block * ROWS);
        for (int group = 0; group < groups; group++) {
            __global const int* wanted = factors + (size_t)group * columns * 4 * QUERIES;
            int8 total[QUERIES][4];
#if QUERIES == 1
            score_one(at, columns, wanted, offsets[group], total[0]);
#else
            score(tile, columns, wanted, total);
#endif
#pragma unroll
            for (int q = 0; q < QUERIES; q++) {
                __global long* heap = heaps + (size_t)(group * QUERIES + q) * k;
                int bar = score_of(heap[0]);
                // Rows come in order of id, so a later one never displaces an equal score.
                if (!any((total[q][0] > bar) | (total[q][1] > bar) | (total[q][2] > bar) | (total[q][3] > bar))) continue;
                int scores[ROWS];
                spread(total[q], scores);
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
    __global const int8* words, int columns, uint rows, uint share, __global const int* factors,
    __global const int* offsets, int groups, __global int* out, ulong pitch, __local short16* tile) {
    const uint blocks = (rows + ROWS - 1) / ROWS;
    const uint begin = get_group_id(0) * share, end = min(begin + share, blocks);
    for (uint block = begin; block < end; block++) {
        __global const int8* at = words + (size_t)block * columns * 4;
#if QUERIES > 1
        unpack(at, columns, tile);
#endif
        for (int group = 0; group < groups; group++) {
            __global const int* wanted = factors + (size_t)group * columns * 4 * QUERIES;
            int8 total[QUERIES][4];
#if QUERIES == 1
            score_one(at, columns, wanted, offsets[group], total[0]);
#else
            score(tile, columns, wanted, total);
#endif
#pragma unroll
            for (int q = 0; q < QUERIES; q++) {
                __global int* line = out + (group * QUERIES + q) * pitch + (size_t)block * ROWS;
                for (int i = 0; i < 4; i++) vstore8(total[q][i], i, line);
            }
        }
    }
}
