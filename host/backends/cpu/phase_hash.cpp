// Quadrants by the bits of numbers: without arithmetic on floats, no mode of the processor drops a subnormal number.
#include "kernel.h"

#ifdef NINEFOLD_PATH

// `psi` has the bits of `numbers` pairs of a real and an imaginary part for each of `count` points.
NINEFOLD_ON_PATH(void, hash_phases, (const std::uint32_t* psi, std::int64_t count, int numbers, std::uint32_t* hash)) {
    for (std::int64_t point = 0; point < count; point++, psi += 2 * numbers) {
        std::uint32_t found = 0;
        for (int d = 0; d < numbers; d++) {
            const std::uint32_t re = psi[2 * d], im = psi[2 * d + 1];
            // Above 0, and below 0: bits beyond those of minus zero.
            const std::uint32_t right = re - 1 < 0x7fffffffu, left = re > 0x80000000u;
            const std::uint32_t above = im - 1 < 0x7fffffffu, below = im > 0x80000000u;
            const std::uint32_t fourth = (left ^ 1) & below;
            found |= (fourth | ((right ^ 1) & above) | (fourth | (left & (above ^ 1))) << 1) << 2 * d;
        }
        hash[point] = found;
    }
}

#else

NINEFOLD_PATHS(void, hash_phases, (const std::uint32_t* psi, std::int64_t count, int numbers, std::uint32_t* hash));

using namespace ninefold;

// Write the quadrants of the `numbers` complex numbers of each of `count` points, two bits each.
NINEFOLD_INTERFACE(phase_hash)(std::int64_t path, std::int64_t threads, const std::uint32_t* psi, std::int64_t count,
                               std::int64_t numbers, std::uint32_t* hash) {
    share(count, 1 << 14, useful(threads, count * numbers * 8), [&](int, std::int64_t begin, std::int64_t end) {
        hash_phases_paths[path](psi + 2 * numbers * begin, end - begin, static_cast<int>(numbers), hash + begin);
    });
    return 0;
}

#endif
