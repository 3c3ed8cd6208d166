// The k largest scores of each row, ties by position; int32 or (with -D FLOATS) float32, read as bits.

// Integer that sorts like the score: in a negative float all bits but the sign are flipped, and -0 counts as 0.
static inline int ordered(int bits) {
#ifdef FLOATS
    if (bits == INT_MIN) return 0;
    return bits < 0 ? bits ^ INT_MAX : bits;
#else
    return bits;
#endif
}

#ifdef LANES

// One work-group keeps the k best of one share of a row in lists[row][share][k], best first. QUERIES is 1.
__kernel void topk(__global const int* scores, uint columns, uint first_id, uint share, int k, __global long* lists,
                   __local long* best, __local long* fresh) {
    __local int count[1];
    __global const int* line = scores + (size_t)get_group_id(1) * columns;
    const uint begin = get_group_id(0) * share, end = min(begin + share, columns);
    clear_lists(best, k, count);
    for (uint from = begin; from < end; from += LANES) {
        const uint at = from + get_local_id(0);
        const long key[1] = {at < end ? make_key(ordered(line[at]), first_id + at) : LONG_MIN};
        offer(best, k, fresh, count, key);
    }
    write_lists(best, k, lists + ((size_t)get_group_id(1) * get_num_groups(0) + get_group_id(0)) * k);
}

#else

// One work-item keeps the k best of one share of a row, as a heap.
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void topk(
    __global const int* scores, uint columns, uint first_id, uint share, int k, __global long* lists) {
    __global const int* line = scores + (size_t)get_group_id(1) * columns;
    const uint begin = get_group_id(0) * share, end = min(begin + share, columns);
    __global long* heap = lists + ((size_t)get_group_id(1) * get_num_groups(0) + get_group_id(0)) * k;
    clear_heap(heap, k);
    for (uint at = begin; at < end; at++) {
        const long key = make_key(ordered(line[at]), first_id + at);
        if (key > heap[0]) replace_least(heap, k, key);
    }
}

#endif
