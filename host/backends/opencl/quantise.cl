// Nits by comparison alone: no arithmetic on floats, so no rounding mode, contraction or flushing of subnormal numbers
// of a device can change a bit.
//
// The grid value never falls as a number grows, so each threshold of the grid is one of the numbers themselves
// (quantise.py finds it). The bits of magnitudes order as the magnitudes do, infinity included.

// nits[i] for the bits of x[i]; one to four are the bits of the least magnitudes of nits 1 to 4.
__kernel void quantise(__global const uint* x, ulong size, uint one, uint two, uint three, uint four,
                       __global char* nits) {
    const size_t i = get_global_id(0);
    if (i >= size) return;
    const uint magnitude = x[i] & 0x7fffffffu;
    const char nit = (magnitude >= one) + (magnitude >= two) + (magnitude >= three) + (magnitude >= four);
    nits[i] = x[i] >> 31 ? -nit : nit;
}
