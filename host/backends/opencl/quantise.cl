// Quantisation by comparison alone. Without arithmetic on floats, a device's rounding mode, contraction or flushing of
// subnormal numbers cannot change a bit.
//
// The grid value never falls as a number grows, so each threshold of the grid corresponds to a number, which
// quantise.py finds. The bits of magnitudes sort like the magnitudes, including infinity.

// Write nits[i] for the bits of x[i]; `one` to `four` are the bits of the least magnitudes of nits 1 to 4.
__kernel void quantise(__global const uint* x, ulong size, uint one, uint two, uint three, uint four,
                       __global char* nits) {
    const size_t i = get_global_id(0);
    if (i >= size) return;
    const uint magnitude = x[i] & 0x7fffffffu;
    const char nit = (magnitude >= one) + (magnitude >= two) + (magnitude >= three) + (magnitude >= four);
    nits[i] = x[i] >> 31 ? -nit : nit;
}
