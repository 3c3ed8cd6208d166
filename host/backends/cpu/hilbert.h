// Turns of Skilling's transform on blocks of points, one array a coordinate, in words as short as a coordinate allows.
#pragma once

#include <cstdint>

// A namespace without a name, so that each path keeps its own code.
namespace {

constexpr int kPoints = 64;  // points of a block
// Maximum number of coordinates, as their bits are at most 64 and, in wider words than bytes, more than half a word.
template <class Word>
constexpr int kCoordinates = sizeof(Word) == 1 ? 64 : sizeof(Word) == 2 ? 7 : sizeof(Word) == 4 ? 3 : 1;

template <class Word>
using Block = Word[kCoordinates<Word>][kPoints];

// Invert the bits of coordinate 0 below a bit where coordinate i has it, else swap them with coordinate i's.
template <class Word>
inline void turn(Block<Word>& x, int bit, int i) {
    const Word below = static_cast<Word>((static_cast<Word>(1) << bit) - 1);
    Word* first = x[0];
    if (i == 0) {
        for (int p = 0; p < kPoints; p++) {
            const Word one = static_cast<Word>(-static_cast<Word>(first[p] >> bit & 1));
            first[p] ^= below & one;
        }
        return;
    }
    Word* __restrict other = x[i];
    Word* __restrict zeroth = first;
    for (int p = 0; p < kPoints; p++) {
        const Word one = static_cast<Word>(-static_cast<Word>(other[p] >> bit & 1));
        const Word swapped = (zeroth[p] ^ other[p]) & below & static_cast<Word>(~one);
        other[p] ^= swapped;
        zeroth[p] ^= swapped | (below & one);
    }
}

}  // namespace
