// Mixing of waves by rotations. Phases are fractions of a turn, from products of pairs of floats, so that a device without
// double precision keeps them to 1e-6 of a turn.

// Cosine and sine of the product of two numbers in turns, each the sum of two floats.
float2 rotation(float2 rate, float2 time) {
    const float product = rate.x * time.x, rest = fma(rate.x, time.x, -product);
    const float one = rate.x * time.y, other = rate.y * time.x;
    const float rests = rest - rint(rest) + fma(rate.x, time.y, -one) + fma(rate.y, time.x, -other);
    // The fraction of each term is exact; the least product of all does not count.
    const float turns = (product - rint(product)) + (one - rint(one)) + (other - rint(other)) + rests;
    return (float2)(cospi(2 * turns), sinpi(2 * turns));
}

__kernel void heterodyne(__global const float2* a, __global const float2* b, __global const float2* sum,
                         __global const float2* difference, __global const float2* t, ulong size, uint columns,
                         float gain, __global float2* mixed) {
    const size_t i = get_global_id(0);
    if (i >= size) return;
    const uint column = i % columns;
    const float2 time = t[i / columns], x = a[i], y = b[i];
    const float2 up = rotation(sum[column], time), down = rotation(difference[column], time);
    const float re = y.x * (up.x + down.x) - y.y * (up.y - down.y);
    const float im = y.x * (up.y + down.y) + y.y * (up.x - down.x);
    mixed[i] = gain * (float2)(x.x * re - x.y * im, x.x * im + x.y * re);
}
