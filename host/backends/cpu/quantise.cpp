// Quantisation by comparison: the grid value never falls as a number grows, so each threshold of the grid corresponds
// to a number, and the bits of float32 magnitudes, infinity included, sort like the magnitudes. Without arithmetic on
// floats, no instruction set rounds differently.
#include "kernel.h"

#ifdef NINEFOLD_PATH

// `least` has the bits of the least magnitudes of nits 1 to 4.
NINEFOLD_ON_PATH(void, quantise_numbers, (const std::int32_t* bits, std::int64_t count, const std::int32_t (&least)[4],
                                          std::int8_t* nits)) {
    const std::int32_t one = least[0], two = least[1], three = least[2], four = least[3];
    for (std::int64_t i = 0; i < count; i++) {
        const std::int32_t magnitude = bits[i] & 0x7fffffff;
        const std::int32_t nit =
            (magnitude >= one) + (magnitude >= two) + (magnitude >= three) + (magnitude >= four);
        nits[i] = static_cast<std::int8_t>(bits[i] < 0 ? -nit : nit);
    }
}

#else

NINEFOLD_PATHS(void, quantise_numbers, (const std::int32_t* bits, std::int64_t count, const std::int32_t (&least)[4],
                                        std::int8_t* nits));

using namespace ninefold;

// Write the nits of `count` numbers, given by the bits of float32.
NINEFOLD_INTERFACE(quantise)(std::int64_t path, std::int64_t threads, const std::int32_t* bits, std::int64_t count,
                             const std::int32_t* least, std::int8_t* nits) {
    const std::int32_t reached[4] = {least[0], least[1], least[2], least[3]};
    share(count, 1 << 16, useful(threads, count * 4), [&](int, std::int64_t begin, std::int64_t end) {
        quantise_numbers_paths[path](bits + begin, end - begin, reached, nits + begin);
    });
    return 0;
}

#endif
