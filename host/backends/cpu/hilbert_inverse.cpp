// Points at indices along the Hilbert curve: blocks of points are taken apart by shifts, and turned together.
#include "kernel.h"

#ifdef NINEFOLD_PATH

#include "hilbert.h"

namespace {

template <class Word>
inline void decode(const std::uint64_t* index, std::int64_t count, int dimensions, int bits, std::uint64_t* coords) {
    for (std::int64_t start = 0; start < count; start += kPoints) {
        const int points = static_cast<int>(count - start < kPoints ? count - start : kPoints);
        std::uint64_t given[kPoints] = {};
        for (int p = 0; p < points; p++) given[p] = index[start + p];
        Block<Word> x = {};
        for (int bit = 0; bit < bits; bit++) {
            for (int i = 0; i < dimensions; i++) {
                const int place = dimensions * bit + dimensions - 1 - i;
                for (int p = 0; p < kPoints; p++) {
                    x[i][p] |= static_cast<Word>(static_cast<Word>(given[p] >> place & 1) << bit);
                }
            }
        }
        Word coded[kPoints];
        for (int p = 0; p < kPoints; p++) coded[p] = static_cast<Word>(x[dimensions - 1][p] >> 1);
        for (int i = dimensions - 1; i > 0; i--) {
            for (int p = 0; p < kPoints; p++) x[i][p] ^= x[i - 1][p];
        }
        for (int p = 0; p < kPoints; p++) x[0][p] ^= coded[p];
        for (int bit = 1; bit < bits; bit++) {
            for (int i = dimensions - 1; i >= 0; i--) turn<Word>(x, bit, i);
        }
        std::uint64_t* found = coords + start * dimensions;
        for (int p = 0; p < points; p++) {
            for (int i = 0; i < dimensions; i++) found[p * dimensions + i] = x[i][p];
        }
    }
}

}  // namespace

NINEFOLD_ON_PATH(void, hilbert_decode, (const std::uint64_t* index, std::int64_t count, int dimensions, int bits,
                                        std::uint64_t* coords)) {
    if (bits <= 8) {
        decode<std::uint8_t>(index, count, dimensions, bits, coords);
    } else if (bits <= 16) {
        decode<std::uint16_t>(index, count, dimensions, bits, coords);
    } else if (bits <= 32) {
        decode<std::uint32_t>(index, count, dimensions, bits, coords);
    } else {
        decode<std::uint64_t>(index, count, dimensions, bits, coords);
    }
}

#else

NINEFOLD_PATHS(void, hilbert_decode, (const std::uint64_t* index, std::int64_t count, int dimensions, int bits,
                                      std::uint64_t* coords));

using namespace ninefold;

// Write the points of `dimensions` coordinates with `bits` bits at `count` indices.
NINEFOLD_INTERFACE(hilbert_inverse)(std::int64_t path, std::int64_t threads, const std::uint64_t* index,
                                    std::int64_t count, std::int64_t dimensions, std::int64_t bits,
                                    std::uint64_t* coords) {
    share(count, 1 << 12, useful(threads, count * dimensions * bits), [&](int, std::int64_t begin, std::int64_t end) {
        hilbert_decode_paths[path](index + begin, end - begin, static_cast<int>(dimensions), static_cast<int>(bits),
                                   coords + begin * dimensions);
    });
    return 0;
}

#endif
