// Harmonics of magnitudes, in double precision.
#pragma OPENCL EXTENSION cl_khr_fp64 : enable

// signature[i] of the complex number psi[i]: the thresholds that its squared magnitude reaches. The squares of floats are
// exact, so contracting a product and a sum changes no bit.
__kernel void harmonic_signature(__global const float2* psi, ulong count, double one, double two, double three,
                                 double four, __global char* signature) {
    const size_t i = get_global_id(0);
    if (i >= count) return;
    const double re = psi[i].x, im = psi[i].y;
    const double square = re * re + im * im;
    signature[i] = (square >= one) + (square >= two) + (square >= three) + (square >= four);
}
