// Weighted sums of dot products of vectors and of their closeness in time. Times are in microseconds.

// found[q * rows + row] of vectors a[q] and b[row]. `b` is transposed: number d of all rows lies at b + d * rows.
__kernel void batch_similarity(__global const float* a, __global const long* a_time, __global const float* b,
                               __global const long* b_time, float of_product, float of_time, float fade_s, ulong rows,
                               int dimensions, __global float* found) {
    const size_t row = get_global_id(0), q = get_global_id(1);
    if (row >= rows) return;
    float2 sum = 0;
    for (int first = 0; first < dimensions; first += 8) {
        const int end = min(first + 8, dimensions);
        float part = 0;
        for (int d = first; d < end; d++) part = fma(a[q * dimensions + d], b[d * rows + row], part);
        add(&sum, part);
    }
    const float seconds = 1e-6f * convert_float(abs_diff(a_time[q], b_time[row]));
    found[q * rows + row] = fma(of_product, sum.x + sum.y, of_time * exp(-seconds / fade_s));
}
