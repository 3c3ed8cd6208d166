// Skilling's transform, one point a work-item, in integers throughout.

// Invert the bits of x[0] below a bit where x[i] has it, else swap them with x[i]'s.
static inline void turn(ulong* x, int bit, int i) {
    const ulong below = (1ul << bit) - 1, one = 0ul - (x[i] >> bit & 1), swapped = (x[0] ^ x[i]) & below & ~one;
    x[i] ^= swapped;
    x[0] ^= swapped | (below & one);
}

// index[point] of coords[point][dimension].
__kernel void encode(__global const ulong* coords, ulong points, int dimensions, int bits, __global ulong* index) {
    const size_t point = get_global_id(0);
    if (point >= points) return;
    ulong x[64];
    for (int i = 0; i < dimensions; i++) x[i] = coords[point * dimensions + i];
    for (int bit = bits - 1; bit > 0; bit--) {
        for (int i = 0; i < dimensions; i++) turn(x, bit, i);
    }
    for (int i = 1; i < dimensions; i++) x[i] ^= x[i - 1];
    // Bit b of the parity is the sum, without carries, of the bits above b.
    ulong parity = x[dimensions - 1] >> 1;
    for (int shift = 1; shift < 64; shift *= 2) parity ^= parity >> shift;
    ulong found = 0;
    for (int bit = bits - 1; bit >= 0; bit--) {
        for (int i = 0; i < dimensions; i++) found = found << 1 | ((x[i] ^ parity) >> bit & 1);
    }
    index[point] = found;
}

// coords[point][dimension] of index[point].
__kernel void decode(__global const ulong* index, ulong points, int dimensions, int bits, __global ulong* coords) {
    const size_t point = get_global_id(0);
    if (point >= points) return;
    ulong x[64];
    for (int i = 0; i < dimensions; i++) {
        x[i] = 0;
        for (int bit = 0; bit < bits; bit++) {
            x[i] |= (index[point] >> (dimensions * bit + dimensions - 1 - i) & 1) << bit;
        }
    }
    const ulong coded = x[dimensions - 1] >> 1;
    for (int i = dimensions - 1; i > 0; i--) x[i] ^= x[i - 1];
    x[0] ^= coded;
    for (int bit = 1; bit < bits; bit++) {
        for (int i = dimensions - 1; i >= 0; i--) turn(x, bit, i);
    }
    for (int i = 0; i < dimensions; i++) coords[point * dimensions + i] = x[i];
}
