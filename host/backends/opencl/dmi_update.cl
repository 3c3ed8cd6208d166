// Updates of the momentum memory. A work-group of LANES work-items makes all updates of one cluster, in order; a work-item
// computes with 16 numbers at a time.

// A product must be rounded before it is added.
#pragma OPENCL FP_CONTRACT OFF

#define WIDTH 16
#define SMALLEST_NORMAL 0x1p-126f

static inline float summed(float16 x) {
    const float8 eight = x.lo + x.hi;
    const float4 four = eight.lo + eight.hi;
    return four.x + four.y + four.z + four.w;
}

static inline float largest(float16 x) {
    const float8 eight = fmax(x.lo, x.hi);
    const float4 four = fmax(eight.lo, eight.hi);
    return fmax(fmax(four.x, four.y), fmax(four.z, four.w));
}

// Combine the numbers of all work-items: x, y and z are added, and w is the largest one.
static inline float4 combined(float4 mine, __local float4* shared) {
#if LANES > 1
    const int lane = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);  // the results of the last time have been read
    shared[lane] = mine;
    for (int half_of = LANES / 2; half_of; half_of /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_of) {
            const float4 one = shared[lane], other = shared[lane + half_of];
            shared[lane] = (float4)(one.xyz + other.xyz, fmax(one.w, other.w));
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return shared[0];
#else
    return mine;
#endif
}

// Rows are (clusters, dimensions). Group g updates row clusters[g] by the vectors order[i] for starts[g] <= i < starts[g + 1].
__kernel void dmi_update(__global half* rows, __global float* momentum, __global const int* clusters,
                         __global const int* starts, __global const int* order, __global const float* vectors,
                         __global const float* weights, int dimensions) {
    __local float4 shared[LANES];
    const int lane = get_local_id(0), group = get_group_id(0);
    const int chunks = dimensions / WIDTH, rest_from = chunks * WIDTH + lane;
    __global half* row = rows + (size_t)clusters[group] * dimensions;
    for (int i = starts[group]; i < starts[group + 1]; i++) {
        __global const float* vector = vectors + (size_t)order[i] * dimensions;
        const float weight = weights[order[i]], rest = 1.0f - weight;
        float16 most = 0, vm = 0, vv = 0, mm = 0;
        for (int c = lane; c < chunks; c += LANES) {
            const float16 v = vload16(c, vector), kept = rest * vload_half16(c, row), added = weight * v;
            vstore_half16_rte(kept + added, c, row);
            most = fmax(most, fabs(v));
        }
        for (int d = rest_from; d < dimensions; d += LANES) {
            const float v = vector[d], kept = rest * vload_half(d, row), added = weight * v;
            vstore_half_rte(kept + added, d, row);
            most.x = fmax(most.x, fabs(v));
        }
        const float magnitude = combined((float4)(0, 0, 0, largest(most)), shared).w;
        // A power of two that makes the largest element 1 to 2, so that its square is no subnormal number.
        const float scale = magnitude < SMALLEST_NORMAL ? 0.0f : ldexp(1.0f, -ilogb(magnitude));
        for (int c = lane; c < chunks; c += LANES) {
            const float16 v = vload16(c, vector) * scale, m = vload_half16(c, row);
            vm += v * m, vv += v * v, mm += m * m;
        }
        for (int d = rest_from; d < dimensions; d += LANES) {
            const float v = vector[d] * scale, m = vload_half(d, row);
            vm.x += v * m, vv.x += v * v, mm.x += m * m;
        }
        const float4 sums = combined((float4)(summed(vm), summed(vv), summed(mm), 0), shared);
        if (lane == 0) {
            const bool zero = sums.y == 0 || sums.z == 0;
            const float cosine = zero ? 0.0f : clamp(sums.x / (sqrt(sums.y) * sqrt(sums.z)), -1.0f, 1.0f);
            momentum[clusters[group]] = 0.9f * momentum[clusters[group]] + 0.1f * cosine;
        }
    }
}
