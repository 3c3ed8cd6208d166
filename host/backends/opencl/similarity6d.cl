// Similarities of context vectors, whose traits the host forms. Products are summed in chains of 16.

// Number of bits in both divided by the number in either.
float jaccard(ulong4 a, ulong4 b) {
    const ulong4 both = popcount(a & b), either = popcount(a | b);
    return convert_float(both.x + both.y + both.z + both.w) / convert_float(either.x + either.y + either.z + either.w);
}

// found[q * rows + row] of queries, whose vectors have the weights in them, and records. `b` is transposed: number d of all
// rows lies at b + d * rows, so that neighbouring work-items read neighbouring numbers.
__kernel void similarity6d(__global const float* a, __global const ulong* a_time, __global const float2* a_numbers,
                           __global const uchar* a_modality, __global const ulong4* a_causes, __global const float* b,
                           __global const ulong* b_time, __global const float2* b_numbers,
                           __global const uchar* b_modality, __global const ulong4* b_causes, float of_time,
                           float of_modality, float of_links, float of_confidence, float without_links, float shortest,
                           ulong rows, __global float* found) {
    const size_t row = get_global_id(0), q = get_global_id(1);
    if (row >= rows) return;
    float sum = 0;
    for (int first = 0; first < WIDTH; first += 16) {
        float part = 0;
        for (int d = first; d < first + 16; d++) part = fma(a[q * WIDTH + d], b[d * rows + row], part);
        sum += part;
    }
    const float2 x = a_numbers[q], y = b_numbers[row];  // horizon, confidence
    const float fade = fmax(fmax(x.x, y.x), shortest);
    sum += of_time * exp(-1e-6f * convert_float(abs_diff(a_time[q], b_time[row])) / fade);
    const uchar either = a_modality[q] | b_modality[row];
    const uchar both = a_modality[q] & b_modality[row];
    if (either) sum += of_modality * convert_float(popcount(both)) / convert_float(popcount(either));
    const ulong4 of_a = a_causes[q], of_b = b_causes[row];
    const bool linked = (of_a.x | of_a.y | of_a.z | of_a.w) && (of_b.x | of_b.y | of_b.z | of_b.w);
    sum += of_links * (linked ? jaccard(of_a, of_b) : without_links);
    sum += of_confidence * (1 - fmin(1.0f, fabs(x.y - y.y)));
    found[q * rows + row] = clamp(sum, 0.0f, 1.0f);
}
