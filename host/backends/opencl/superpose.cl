// Sums of real parts, and their nits by comparison of bits (see quantise.cl). Subnormal numbers, which a device may drop,
// never decide a nit: beside a number near a threshold they are below half of its last bit.

// Write nits[i] of a[i * step_a] + b[i * step_b]; `one` to `four` as in quantise.cl.
__kernel void superpose(__global const float* a, int step_a, __global const float* b, int step_b, ulong size, uint one,
                        uint two, uint three, uint four, __global char* nits) {
    const size_t i = get_global_id(0);
    if (i >= size) return;
    const uint bits = as_uint(a[i * step_a] + b[i * step_b]), magnitude = bits & 0x7fffffffu;
    const char nit = (magnitude >= one) + (magnitude >= two) + (magnitude >= three) + (magnitude >= four);
    nits[i] = bits >> 31 ? -nit : nit;
}
