// Steps of a complex wave on a periodic lattice of DIMENSIONS axes of the sizes EXTENTS. A work-item advances CELLS cells:
// eight as one vector, or one. Sizes are known when the kernel is built, so that divisions by them are products.

#if CELLS == 8
typedef float16 numbers;
#define LOAD(p) vload16(0, p)
#define STORE(v, p) vstore16(v, 0, p)
#define EACH_TWICE(p) vload8(0, p).s0011223344556677
#define SWAPPED(v) (v).s1032547698badcfe
#else
typedef float2 numbers;
#define LOAD(p) vload2(0, p)
#define STORE(v, p) vstore2(v, 0, p)
#define EACH_TWICE(p) ((float2)(*(p)))
#define SWAPPED(v) (v).s10
#endif

// The displacement after the first step, and the velocity half a step ahead, of the cells from `first` on.
__kernel void start(__global const float* psi, __global const float* v, __global const float* a, __global float* next,
                    __global float* ahead, float dt, uint first) {
    const uint j = 2 * (first + get_global_id(0) * CELLS);
    const numbers half_way = LOAD(v + j) + LOAD(a + j) * (dt / 2);
    STORE(half_way, ahead + j);
    STORE(LOAD(psi + j) + half_way * dt, next + j);
}

// Sum of the neighbours of the cells from i on, less twice the cell for each.
static inline numbers laplacian(__global const float* psi, uint i, numbers here) {
    const uint extents[] = {EXTENTS};
    numbers sum = here * (-2.0f * DIMENSIONS);
    int stride = 1;
#pragma unroll
    for (int axis = DIMENSIONS - 1; axis >= 0; axis--) {
        const int period = stride * extents[axis];
        const int at = i % (uint)period;
        // Cells up to `end` of the period have their neighbours at the same distances.
        const bool first = at < stride, last = at >= period - stride;
        const int end = first ? stride : last ? period : period - stride;
        if (end - at >= CELLS) {
            const int up = last ? stride - period : stride, down = first ? period - stride : -stride;
            sum += LOAD(psi + 2 * ((int)i + up)) + LOAD(psi + 2 * ((int)i + down));
        } else {
            float near[2 * CELLS];
#pragma unroll
            for (int c = 0; c < CELLS; c++) {
                const int own = (at + c) % period, cell = i + c;
                const int up = own >= period - stride ? stride - period : stride;
                const int down = own < stride ? period - stride : -stride;
                vstore2(vload2(cell + up, psi) + vload2(cell + down, psi), c, near);
            }
            sum += LOAD(near);
        }
        stride = period;
    }
    return sum;
}

// One step, from the displacement after it, of the cells from `first` on. `last` leaves velocity and acceleration; other steps leave the velocity half
// a step ahead in `v` and the displacement after the next step in `out`, where the last one leaves the acceleration.
__kernel void advance(__global const float* psi, __global float* v, __global float* out, __global const float* speed,
                      __global const float* damping, __global const float* sources, float dt, float beta, int last,
                      uint first) {
    const uint i = first + get_global_id(0) * CELLS, j = 2 * i;
    const numbers here = LOAD(psi + j), squares = here * here;
    numbers force = laplacian(psi, i, here) * EACH_TWICE(speed + i) + here * (beta * (squares + SWAPPED(squares)));
#if SOURCES
    force += LOAD(sources + j);
#endif
    const float half_way = dt / 2;
#if DAMPED
    const numbers h = EACH_TWICE(damping + i);
    const numbers now = (LOAD(v + j) + force * half_way) / (1.0f + h);
    if (last) {
        STORE(now, v + j);
        STORE(force - now * (h / half_way), out + j);
        return;
    }
    const numbers ahead = now * (1.0f - h) + force * half_way;
#else
    const numbers now = LOAD(v + j) + force * half_way;
    if (last) {
        STORE(now, v + j);
        STORE(force, out + j);
        return;
    }
    const numbers ahead = now + force * half_way;
#endif
    STORE(ahead, v + j);
    STORE(here + ahead * dt, out + j);
}
