// A step of a wave on a periodic lattice of integers, in 64 bits: no device rounds differently.

static inline long saturated(long x) { return clamp(x, (long)INT_MIN, (long)INT_MAX); }

// To nearest, of two the even one.
static inline long rounded(long x) { return (x + 32767 + ((x >> 16) & 1)) >> 16; }

// Compute a cell of (height, width) from the old psi.
__kernel void wave_step_fixed(__global const int* psi, __global const int* v, __global int* new_psi, __global int* new_v,
                              int a, int b, int c, int t) {
    const size_t x = get_global_id(0), width = get_global_size(0);
    const size_t y = get_global_id(1), height = get_global_size(1);
    const size_t row = y * width, at = row + x;
    const size_t above = (y ? y - 1 : height - 1) * width, below = (y + 1 < height ? y + 1 : 0) * width;
    const long here = psi[at], speed = v[at];
    const long lap = (long)psi[above + x] + psi[below + x] + psi[row + (x ? x - 1 : width - 1)] +
                     psi[row + (x + 1 < width ? x + 1 : 0)] - 4 * here;
    const long square = min(here * here >> 24, (long)INT_MAX);
    const long cube = saturated(square * here >> 24);
    const long after = saturated(speed + rounded(c * lap - a * speed + b * cube));
    new_v[at] = (int)after;
    new_psi[at] = (int)saturated(here + rounded(t * after));
}
