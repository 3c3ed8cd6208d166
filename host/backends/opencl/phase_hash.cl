// Quadrants by the bits of numbers, so that a device that drops subnormal numbers finds the same.

// hash[point] of the nine pairs of a real and an imaginary part in psi[point].
__kernel void phase_hash(__global const uint2* psi, ulong points, __global uint* hash) {
    const size_t point = get_global_id(0);
    if (point >= points) return;
    uint found = 0;
    for (int d = 0; d < PHASES; d++) {
        const uint2 z = psi[point * PHASES + d];
        // Above 0, and below 0: bits beyond those of minus zero.
        const uint right = z.x - 1 < 0x7fffffffu, left = z.x > 0x80000000u;
        const uint above = z.y - 1 < 0x7fffffffu, below = z.y > 0x80000000u;
        const uint fourth = !left & below;
        found |= ((fourth | (!right & above)) | (fourth | (left & !above)) << 1) << 2 * d;
    }
    hash[point] = found;
}
