// The k best keys of one work-item: a heap with the least key on top. For processors.
//
// A key is a score in the high half and the complement of an id in the low half, so the order of keys is (score
// descending, id ascending) and no two keys are equal. LONG_MIN marks an empty slot; no id below 2**32 - 1
// has it as its key.

static inline long make_key(int score, uint id) { return ((long)score << 32) | (long)~id; }

static inline int score_of(long key) { return (int)(key >> 32); }

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
