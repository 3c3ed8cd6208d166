// Products of nits on GPUs: two rows per work-item, LANES work-items per work-group, QUERIES queries at a time.
//
// Rows are arranged in blocks of 32 (layout.py), so that neighbouring work-items read neighbouring words, each with 4
// nits of two rows. The low nibbles hold the first row in order, the high nibbles the second in the order 1, 0, 3, 2.
// The first row's top bits are already flipped; flipping the second's turns every nibble into nit + 8, an unsigned
// byte. `offsets`, -8 times the sum of each query, corrects for the 8.
//
// With -D DOT the device multiplies four bytes and adds them in one instruction (cl_khr_integer_dot_product, whose
// packed form every device with the extension supports).

#define ROWS 32
#define PAIRS (ROWS / 2)

static inline int dot4(uint nits, uint query, int sum) {
#if defined(DOT) && defined(__opencl_c_integer_dot_product_input_4x8bit_packed)
    return sum + dot_4x8packed_us_int(nits, query);
#else
    const char4 q = as_char4(query);
    const uchar4 n = as_uchar4(nits);
    return sum + (n.x * q.x + n.y * q.y + n.z * q.z + n.w * q.w);
#endif
}

// Number of the first row of a pair; the second is 8 rows further.
static inline uint row_of(uint pair) { return pair / PAIRS * ROWS + pair % PAIRS / 8 * 16 + pair % 8; }

// Score a pair of rows. For each column `queries` holds four elements of each query as bytes, once in order and once in
// the order 1, 0, 3, 2.
static inline void score(__global const uint* words, int columns, uint pair, __global const uint* queries,
                         __global const int* offsets, int total[2][QUERIES]) {
    for (int q = 0; q < QUERIES; q++) total[0][q] = total[1][q] = offsets[q];
    __global const uint* at = words + (size_t)(pair / PAIRS) * columns * PAIRS + pair % PAIRS;
    for (int column = 0; column < columns; column++, at += PAIRS, queries += 2 * QUERIES) {
        const uint first = *at & 0x0f0f0f0fu, second = (*at >> 4 & 0x0f0f0f0fu) ^ 0x08080808u;
        for (int q = 0; q < QUERIES; q++) {
            total[0][q] = dot4(first, queries[q], total[0][q]);
            total[1][q] = dot4(second, queries[QUERIES + q], total[1][q]);
        }
    }
}

// Keep the k best rows of one share of the strips (LANES pairs each) for one group of queries, in
// lists[share][query][k], best first.
__kernel void mine(__global const uint* words, int columns, uint rows, uint first_id, uint share,
                   __global const uint* queries, __global const int* offsets, int k, __global long* lists,
                   __local long* best, __local long* fresh) {
    __local int count[QUERIES];
    const uint blocks = (rows + ROWS - 1) / ROWS, strips = (blocks * PAIRS + LANES - 1) / LANES;
    const uint begin = get_group_id(0) * share, end = min(begin + share, strips);
    const int group = get_group_id(1);
    clear_lists(best, k, count);
    for (uint strip = begin; strip < end; strip++) {
        const uint pair = strip * LANES + get_local_id(0), row = row_of(pair);
        int total[2][QUERIES];
        if (row < rows) {
            score(words, columns, pair, queries + (size_t)group * columns * 2 * QUERIES, offsets + group * QUERIES, total);
        }
        for (int i = 0; i < 2; i++) {
            const uint id = row + 8 * i;
            long key[QUERIES];
            for (int q = 0; q < QUERIES; q++) key[q] = id < rows ? make_key(total[i][q], first_id + id) : LONG_MIN;
            offer(best, k, fresh, count, key);
        }
    }
    write_lists(best, k, lists + ((size_t)get_group_id(0) * get_num_groups(1) + group) * QUERIES * k);
}

// Write every score to out[query][row], `pitch` ints per query.
__kernel void scores(__global const uint* words, int columns, uint rows, __global const uint* queries,
                     __global const int* offsets, __global int* out, ulong pitch) {
    const uint pair = get_global_id(0), row = row_of(pair);
    const int group = get_global_id(1);
    if (row >= rows) return;
    int total[2][QUERIES];
    score(words, columns, pair, queries + (size_t)group * columns * 2 * QUERIES, offsets + group * QUERIES, total);
    for (int i = 0; i < 2; i++) {
        const uint id = row + 8 * i;
        if (id >= rows) continue;
        for (int q = 0; q < QUERIES; q++) out[(group * QUERIES + q) * pitch + id] = total[i][q];
    }
}
