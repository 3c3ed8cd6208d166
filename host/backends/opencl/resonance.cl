// Cosines of the angles between unit vectors. Products are summed in chains of eight, and these sums with the errors of
// their additions (sums.cl), because a plain sum of many floats is too coarse.

// found[q * rows + row] of unit vectors a[q] and b[row], or its square. `b` is transposed: number d of all rows lies at
// b + d * rows, so that neighbouring work-items read neighbouring numbers.
__kernel void resonance(__global const float2* a, __global const float2* b, ulong rows, int dimensions,
                        __global float* found) {
    const size_t row = get_global_id(0), q = get_global_id(1);
    if (row >= rows) return;
    __global const float2* x = a + q * dimensions;
    float2 re = 0, im = 0;
    for (int first = 0; first < dimensions; first += 4) {
        const int end = min(first + 4, dimensions);
        float part_re = 0, part_im = 0;
        for (int d = first; d < end; d++) {
            const float2 y = b[d * rows + row];
            part_re = fma(x[d].x, y.x, fma(x[d].y, y.y, part_re));
            part_im = fma(x[d].y, y.x, fma(-x[d].x, y.y, part_im));
        }
        add(&re, part_re);
        add(&im, part_im);
    }
    const float2 sum = (float2)(re.x + re.y, im.x + im.y);
    const float square = sum.x * sum.x + sum.y * sum.y;
    found[q * rows + row] = min(SQUARED ? square : sqrt(square), 1.0f);
}
