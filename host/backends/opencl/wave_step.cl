// Steps of a complex wave on a periodic lattice of DIMENSIONS axes, each longer than 1.

// The displacement after the first step, and the velocity half a step ahead.
__kernel void start(__global const float2* psi, __global const float2* v, __global const float2* a,
                    __global float2* next, __global float2* ahead, float dt) {
    const size_t i = get_global_id(0);
    const float2 half_way = v[i] + a[i] * (dt / 2);
    ahead[i] = half_way;
    next[i] = psi[i] + half_way * dt;
}

// One step from the displacement after it. `last` leaves velocity and acceleration; other steps leave the velocity half
// a step ahead in `v` and the displacement after the next step in `out`, where the last one leaves the acceleration.
__kernel void advance(__global const float2* psi, __global float2* v, __global float2* out, __global const float* speed,
                      __global const float* damping, __global const float2* sources, __global const int* extents,
                      float dt, float beta, int last) {
    const size_t i = get_global_id(0);
    const float2 here = psi[i];
    float2 sum = here * (-2.0f * DIMENSIONS);
    size_t stride = 1;
    for (int axis = DIMENSIONS - 1; axis >= 0; axis--) {
        const size_t extent = extents[axis], index = i / stride % extent;
        sum += psi[index + 1 < extent ? i + stride : i - index * stride];
        sum += psi[index ? i - stride : i + (extent - 1) * stride];
        stride *= extent;
    }
    float2 force = sum * speed[i] + here * (beta * (here.x * here.x + here.y * here.y));
#if SOURCES
    force += sources[i];
#endif
    const float h = DAMPED ? damping[i] : 0.0f, half_way = dt / 2;
    const float2 now = (v[i] + force * half_way) / (1.0f + h);
    if (last) {
        v[i] = now;
        out[i] = force - now * (h / half_way);
    } else {
        const float2 ahead = now * (1.0f - h) + force * half_way;
        v[i] = ahead;
        out[i] = here + ahead * dt;
    }
}
