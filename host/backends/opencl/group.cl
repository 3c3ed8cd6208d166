// Nits on GPUs: one row a work-item, LANES of them in a work-group, QUERIES queries at a time.
//
// Rows lie in blocks of 32 (layout.py), so that neighbouring work-items read neighbouring words. The low nibbles of a
// word are nits 0, 2, 4 and 6 of its column, the high ones 1, 3, 5 and 7. With its top bit flipped a nibble is nit + 8,
// an unsigned byte; `offsets`, -8 times the sum of each query, takes that off again.
//
// With -D DOT the device multiplies four bytes and adds in one instruction (cl_khr_integer_dot_product, packed form,
// which every device with the extension has).

#define ROWS 32

static inline int dot4(uint nits, uint query, int sum) {
#ifdef DOT
    return sum + dot_4x8packed_us_int(nits, query);
#else
    const char4 q = as_char4(query);
    const uchar4 n = as_uchar4(nits);
    return sum + (n.x * q.x + n.y * q.y + n.z * q.z + n.w * q.w);
#endif
}

// Score one row: `queries` holds for each column the even, then the odd elements of each query, four bytes each.
static inline void score(__global const uint* words, int columns, uint row, __global const uint* queries,
                         __global const int* offsets, int total[QUERIES]) {
    for (int q = 0; q < QUERIES; q++) total[q] = offsets[q];
    __global const uint* at = words + (size_t)(row / ROWS) * columns * ROWS + row % ROWS;
    for (int column = 0; column < columns; column++, at += ROWS, queries += 2 * QUERIES) {
        const uint word = *at ^ 0x88888888u, even = word & 0x0f0f0f0fu, odd = (word >> 4) & 0x0f0f0f0fu;
        for (int q = 0; q < QUERIES; q++) total[q] = dot4(odd, queries[QUERIES + q], dot4(even, queries[q], total[q]));
    }
}

// Keep the k best rows of one share of the strips (LANES rows each) for one group of queries: lists[share][query][k],
// best first.
__kernel void mine(__global const uint* words, int columns, uint rows, uint first_id, uint share,
                   __global const uint* queries, __global const int* offsets, int k, __global long* lists,
                   __local long* best, __local long* fresh) {
    __local int count[QUERIES];
    const uint strips = (rows + LANES - 1) / LANES;
    const uint begin = get_group_id(0) * share, end = min(begin + share, strips);
    const int group = get_group_id(1);
    clear_lists(best, k, count);
    for (uint strip = begin; strip < end; strip++) {
        const uint row = strip * LANES + get_local_id(0);
        long key[QUERIES];
        for (int q = 0; q < QUERIES; q++) key[q] = LONG_MIN;
        if (row < rows) {
            int total[QUERIES];
            score(words, columns, row, queries + (size_t)group * columns * 2 * QUERIES, offsets + group * QUERIES, total);
            for (int q = 0; q < QUERIES; q++) key[q] = make_key(total[q], first_id + row);
        }
        offer(best, k, fresh, count, key);
    }
    write_lists(best, k, lists + ((size_t)get_group_id(0) * get_num_groups(1) + group) * QUERIES * k);
}

// Write every score: out[query][row], `pitch` ints a query.
__kernel void scores(__global const uint* words, int columns, uint rows, __global const uint* queries,
                     __global const int* offsets, __global int* out, ulong pitch) {
    const uint row = get_global_id(0);
    const int group = get_global_id(1);
    if (row >= rows) return;
    int total[QUERIES];
    score(words, columns, row, queries + (size_t)group * columns * 2 * QUERIES, offsets + group * QUERIES, total);
    for (int q = 0; q < QUERIES; q++) out[(group * QUERIES + q) * pitch + row] = total[q];
}
