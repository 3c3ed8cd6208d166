// Sums of real parts, and their nits by comparison of bits (see quantise.cpp).
#include "kernel.h"

#ifdef NINEFOLD_PATH

#include <cstring>

// The real parts of a and b are `step_a` and `step_b` numbers apart; `least` as in quantise.cpp.
NINEFOLD_ON_PATH(void, superpose_waves, (const float* a, std::int64_t step_a, const float* b, std::int64_t step_b,
                                         std::int64_t count, const std::int32_t (&least)[4], std::int8_t* nits)) {
    const std::int32_t one = least[0], two = least[1], three = least[2], four = least[3];
    for (std::int64_t i = 0; i < count; i++) {
        const float sum = a[i * step_a] + b[i * step_b];
        std::int32_t bits;
        std::memcpy(&bits, &sum, sizeof bits);
        const std::int32_t magnitude = bits & 0x7fffffff;
        const std::int32_t nit =
            (magnitude >= one) + (magnitude >= two) + (magnitude >= three) + (magnitude >= four);
        nits[i] = static_cast<std::int8_t>(bits < 0 ? -nit : nit);
    }
}

#else

NINEFOLD_PATHS(void, superpose_waves, (const float* a, std::int64_t step_a, const float* b, std::int64_t step_b,
                                       std::int64_t count, const std::int32_t (&least)[4], std::int8_t* nits));

using namespace ninefold;

// Write the nits of `count` sums.
NINEFOLD_INTERFACE(superpose)(std::int64_t path, std::int64_t threads, const float* a, std::int64_t step_a,
                              const float* b, std::int64_t step_b, std::int64_t count, const std::int32_t* least,
                              std::int8_t* nits) {
    const std::int32_t reached[4] = {least[0], least[1], least[2], least[3]};
    share(count, 1 << 16, useful(threads, count * 4), [&](int, std::int64_t begin, std::int64_t end) {
        superpose_waves_paths[path](a + begin * step_a, step_a, b + begin * step_b, step_b, end - begin, reached,
                                    nits + begin);
    });
    return 0;
}

#endif
