// The k best keys of a share of the work: for GPUs (LANES work-items per work-group) a sorted list in local memory, for
// processors a heap of one work-item.
//
// A key is a score in the high half and the complement of an id in the low half, so the order of keys is (score
// descending, id ascending) and no two keys are equal. LONG_MIN marks an empty slot; no id below 2**32 - 1
// has it as its key.

static inline long make_key(int score, uint id) { return ((long)score << 32) | (long)~id; }

#ifdef LANES

#define K_MAX 256
#define SHARE ((K_MAX + LANES - 1) / LANES)  // elements of a list for each work-item

// Merge `count` fresh keys, in any order, into `best`, k keys in descending order. The whole work-group of LANES
// work-items must call this. Every element computes its rank among all and moves there if the rank is below k.
static void merge(__local long* best, int k, __local const long* fresh, int count) {
    const int lane = get_local_id(0);
    long kept[SHARE];
    int rank[SHARE];
    for (int i = 0; i < SHARE; i++) {
        const int at = lane + i * LANES;
        rank[i] = k;
        if (at >= k) continue;
        kept[i] = best[at];
        rank[i] = at;
        for (int j = 0; j < count; j++) rank[i] += fresh[j] > kept[i];
    }
    long mine = LONG_MIN;
    int place = k;
    if (lane < count) {
        mine = fresh[lane];
        int low = 0, high = k;  // number of greater keys in the list
        while (low < high) {
            const int middle = (low + high) / 2;
            if (best[middle] > mine) low = middle + 1; else high = middle;
        }
        place = low;
        for (int j = 0; j < count; j++) place += fresh[j] > mine;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < SHARE; i++) {
        if (rank[i] < k) best[rank[i]] = kept[i];
    }
    if (place < k) best[place] = mine;
    barrier(CLK_LOCAL_MEM_FENCE);
}

// Offer each work-item's key to each of QUERIES lists; the whole work-group must call this. `fresh` has LANES keys per
// list, and `count` must be 0 before the first call. LONG_MIN offers no key.
static void offer(__local long* best, int k, __local long* fresh, __local int* count, const long key[QUERIES]) {
    for (int q = 0; q < QUERIES; q++) {
        if (key[q] > best[q * k + k - 1]) fresh[q * LANES + atomic_inc(&count[q])] = key[q];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int q = 0; q < QUERIES; q++) {
        const int given = count[q];
        if (given > 0) merge(best + q * k, k, fresh + q * LANES, given);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (get_local_id(0) < QUERIES) count[get_local_id(0)] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
}

static void clear_lists(__local long* best, int k, __local int* count) {
    for (int i = get_local_id(0); i < QUERIES * k; i += LANES) best[i] = LONG_MIN;
    if (get_local_id(0) < QUERIES) count[get_local_id(0)] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
}

static void write_lists(__local const long* best, int k, __global long* out) {
    for (int i = get_local_id(0); i < QUERIES * k; i += LANES) out[i] = best[i];
}

#else

static inline int score_of(long key) { return (int)(key >> 32); }

// Heaps have the least key on top.
static inline void clear_heap(__global long* heap, int k) {
    for (int i = 0; i < k; i++) heap[i] = LONG_MIN;
}

// Replace the least key by a greater one.
static inline void replace_least(__global long* heap, int k, long key) {
    int at = 0;
    for (int child = 1; child < k; child = 2 * at + 1) {
        if (child + 1 < k && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= key) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = key;
}

#endif
