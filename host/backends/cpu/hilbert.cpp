// Indices along the Hilbert curve: blocks of points are turned together, and a table spreads the bits of a byte.
#include "kernel.h"

#ifdef NINEFOLD_PATH

#include "hilbert.h"

namespace {

template <class Word>
inline void encode(const std::uint64_t* coords, std::int64_t count, int dimensions, int bits,
                   const std::uint64_t* spread, std::uint64_t* index) {
    Block<Word> x = {};
    for (std::int64_t start = 0; start < count; start += kPoints) {
        const int points = static_cast<int>(count - start < kPoints ? count - start : kPoints);
        const std::uint64_t* given = coords + start * dimensions;
        for (int p = 0; p < points; p++) {
            for (int i = 0; i < dimensions; i++) x[i][p] = static_cast<Word>(given[p * dimensions + i]);
        }
        for (int bit = bits - 1; bit > 0; bit--) {
            for (int i = 0; i < dimensions; i++) turn<Word>(x, bit, i);
        }
        for (int i = 1; i < dimensions; i++) {
            for (int p = 0; p < kPoints; p++) x[i][p] ^= x[i - 1][p];
        }
        Word parity[kPoints];  // bit b is the sum, without carries, of the bits above b of the last coordinate
        for (int p = 0; p < kPoints; p++) {
            Word sum = static_cast<Word>(x[dimensions - 1][p] >> 1);
            for (unsigned shift = 1; shift < 8 * sizeof(Word); shift *= 2) sum ^= static_cast<Word>(sum >> shift);
            parity[p] = sum;
        }
        std::uint64_t found[kPoints] = {};
        for (int i = 0; i < dimensions; i++) {
            for (int first = 0; first < bits; first += 8) {
                const int place = first * dimensions + dimensions - 1 - i;
                for (int p = 0; p < kPoints; p++) {
                    const Word coded = x[i][p] ^ parity[p];
                    found[p] |= spread[coded >> first & 255] << place;
                }
            }
        }
        for (int p = 0; p < points; p++) index[start + p] = found[p];
    }
}

}  // namespace

NINEFOLD_ON_PATH(void, hilbert_encode, (const std::uint64_t* coords, std::int64_t count, int dimensions, int bits,
                                        const std::uint64_t* spread, std::uint64_t* index)) {
    if (bits <= 8) {
        encode<std::uint8_t>(coords, count, dimensions, bits, spread, index);
    } else if (bits <= 16) {
        encode<std::uint16_t>(coords, count, dimensions, bits, spread, index);
    } else if (bits <= 32) {
        encode<std::uint32_t>(coords, count, dimensions, bits, spread, index);
    } else {
        encode<std::uint64_t>(coords, count, dimensions, bits, spread, index);
    }
}

#else

NINEFOLD_PATHS(void, hilbert_encode, (const std::uint64_t* coords, std::int64_t count, int dimensions, int bits,
                                      const std::uint64_t* spread, std::uint64_t* index));

using namespace ninefold;

// Write the index of each of `count` points of `dimensions` coordinates with `bits` bits.
NINEFOLD_INTERFACE(hilbert)(std::int64_t path, std::int64_t threads, const std::uint64_t* coords, std::int64_t count,
                            std::int64_t dimensions, std::int64_t bits, std::uint64_t* index) {
    std::uint64_t spread[256] = {};
    for (int byte = 0; byte < 256; byte++) {
        for (int bit = 0; bit < 8 && bit * dimensions < 64; bit++) {
            spread[byte] |= static_cast<std::uint64_t>(byte >> bit & 1) << bit * dimensions;
        }
    }
    share(count, 1 << 12, useful(threads, count * dimensions * bits), [&](int, std::int64_t begin, std::int64_t end) {
        hilbert_encode_paths[path](coords + begin * dimensions, end - begin, static_cast<int>(dimensions),
                                   static_cast<int>(bits), spread, index + begin);
    });
    return 0;
}

#endif
