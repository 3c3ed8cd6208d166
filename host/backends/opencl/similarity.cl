// Fixed-point division by the length of a row, in integers throughout (spec/operators/similarity.py).

#define ROWS 32
#define PAIRS (ROWS / 2)

// recip[row] = (isqrt(2**34 / n) + 1) >> 1 with n the sum of squares of the row's nits; 0 if n = 0.
__kernel void reciprocals(__global const uint* words, int columns, uint rows, __global uint* recip) {
    const uint row = get_global_id(0);
    if (row >= rows) return;
    // Rows i and i + 8 share words: the first as nit + 8 in the low nibbles, the second signed in the high nibbles.
    const uint second = row / 8 % 2;
    __global const uint* at = words + (size_t)(row / ROWS) * columns * PAIRS + row % ROWS / 16 * 8 + row % 8;
    uint squares = 0;
    for (int column = 0; column < columns; column++, at += PAIRS) {
        const uint nibbles = second ? *at >> 4 ^ 0x08080808u : *at;
        for (int shift = 0; shift < 32; shift += 8) {
            const int nit = (int)(nibbles >> shift & 15) - 8;
            squares += nit * nit;
        }
    }
    const ulong quotient = squares ? (1ul << 34) / squares : 0;
    ulong root = 0;
    for (int bit = 17; bit >= 0; bit--) {
        const ulong tried = root | (1ul << bit);
        if (tried * tried <= quotient) root = tried;
    }
    recip[row] = squares ? (uint)((root + 1) >> 1) : 0;
}

// out[query][row] = (out * recip[row]) >> 8; in OpenCL C a right shift of a negative number keeps the sign.
__kernel void normalise(__global int* out, ulong pitch, uint rows, __global const uint* recip) {
    const uint row = get_global_id(0);
    if (row >= rows) return;
    __global int* score = out + get_global_id(1) * pitch + row;
    *score = (int)(((long)*score * recip[row]) >> 8);
}
