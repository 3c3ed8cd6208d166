// Skilling's transform of points of DIMENSIONS coordinates of BITS bits, one point a work-item, in integers throughout.
// Sizes are known when the kernel is built, so that coordinates stay in registers and work-items share vectors.

#if BITS <= 32
typedef uint word;
#else
typedef ulong word;
#endif

// Invert the bits of x[0] below a bit where x[i] has it, else swap them with x[i]'s.
static inline void turn(word* x, int bit, int i) {
    const word below = ((word)1 << bit) - 1, one = (word)0 - (x[i] >> bit & 1), swapped = (x[0] ^ x[i]) & below & ~one;
    x[i] ^= swapped;
    x[0] ^= swapped | (below & one);
}

// index[point] of coords[point][dimension].
__kernel void encode(__global const ulong* coords, ulong points, __global ulong* index) {
    const size_t point = get_global_id(0);
    if (point >= points) return;
    word x[DIMENSIONS];
#pragma unroll
    for (int i = 0; i < DIMENSIONS; i++) x[i] = (word)coords[point * DIMENSIONS + i];
    for (int bit = BITS - 1; bit > 0; bit--) {
#pragma unroll
        for (int i = 0; i < DIMENSIONS; i++) turn(x, bit, i);
    }
#pragma unroll
    for (int i = 1; i < DIMENSIONS; i++) x[i] ^= x[i - 1];
    // Bit b of the parity is the sum, without carries, of the bits above b.
    word parity = x[DIMENSIONS - 1] >> 1;
    for (int shift = 1; shift < BITS; shift *= 2) parity ^= parity >> shift;
    ulong found = 0;
    for (int bit = BITS - 1; bit >= 0; bit--) {
#pragma unroll
        for (int i = 0; i < DIMENSIONS; i++) found = found << 1 | ((x[i] ^ parity) >> bit & 1);
    }
    index[point] = found;
}

// coords[point][dimension] of index[point].
__kernel void decode(__global const ulong* index, ulong points, __global ulong* coords) {
    const size_t point = get_global_id(0);
    if (point >= points) return;
    const ulong own = index[point];
    word x[DIMENSIONS];
#pragma unroll
    for (int i = 0; i < DIMENSIONS; i++) {
        x[i] = 0;
        for (int bit = 0; bit < BITS; bit++) {
            x[i] |= (word)(own >> (DIMENSIONS * bit + DIMENSIONS - 1 - i) & 1) << bit;
        }
    }
    const word coded = x[DIMENSIONS - 1] >> 1;
#pragma unroll
    for (int i = DIMENSIONS - 1; i > 0; i--) x[i] ^= x[i - 1];
    x[0] ^= coded;
    for (int bit = 1; bit < BITS; bit++) {
#pragma unroll
        for (int i = DIMENSIONS - 1; i >= 0; i--) turn(x, bit, i);
    }
#pragma unroll
    for (int i = 0; i < DIMENSIONS; i++) coords[point * DIMENSIONS + i] = x[i];
}
