// Harmonics of magnitudes. The squares of floats are exact in double precision, so contracting a product and a sum changes
// no bit.
#include "kernel.h"

#ifdef NINEFOLD_PATH

// `psi` has `count` pairs of a real and an imaginary part.
NINEFOLD_ON_PATH(void, count_harmonics, (const float* psi, std::int64_t count, const double* thresholds,
                                         std::int8_t* signature)) {
    const double one = thresholds[0], two = thresholds[1], three = thresholds[2], four = thresholds[3];
    for (std::int64_t i = 0; i < count; i++) {
        const double re = psi[2 * i], im = psi[2 * i + 1];
        const double square = re * re + im * im;
        signature[i] = static_cast<std::int8_t>((square >= one) + (square >= two) + (square >= three) +
                                                (square >= four));
    }
}

#else

NINEFOLD_PATHS(void, count_harmonics, (const float* psi, std::int64_t count, const double* thresholds,
                                       std::int8_t* signature));

using namespace ninefold;

// Write the number of the four thresholds that the squared magnitude of each of `count` complex numbers reaches.
NINEFOLD_INTERFACE(harmonic_signature)(std::int64_t path, std::int64_t threads, const float* psi, std::int64_t count,
                                       const double* thresholds, std::int8_t* signature) {
    share(count, 1 << 16, useful(threads, count * 8), [&](int, std::int64_t begin, std::int64_t end) {
        count_harmonics_paths[path](psi + 2 * begin, end - begin, thresholds, signature + begin);
    });
    return 0;
}

#endif
