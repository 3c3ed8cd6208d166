// Mixing of waves by rotations. A phase is a fraction of a turn, reduced in double precision, whose sine and cosine are
// polynomials of an eighth of a turn: plain loops, which the compiler vectorises.
#include "kernel.h"

namespace ninefold {

// Columns whose rotations are computed together, in arrays on the stack.
constexpr int kColumns = 256;

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

using ninefold::kColumns;

// Nearest integer of a number below 2^51: the addition drops the fraction.
inline double nearest(double x) {
    constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52
    return (x + kShift) - kShift;
}

// Cosines and sines of rate * time turns.
inline void rotations(const double* __restrict rate, double time, int count, float* __restrict re,
                      float* __restrict im) {
    for (int i = 0; i < count; i++) {
        const double turns = rate[i] * time;
        const double quarters = nearest(4 * (turns - nearest(turns)));  // -2 to 2
        const float x = static_cast<float>((turns - nearest(turns) - quarters / 4) * 6.283185307179586);
        const float z = x * x;
        const float sine = x * (1 + z * (-1 / 6.0f + z * (1 / 120.0f + z * (-1 / 5040.0f + z / 362880.0f))));
        const float cosine = 1 + z * (-0.5f + z * (1 / 24.0f + z * (-1 / 720.0f + z / 40320.0f)));
        const bool odd = quarters == 1 || quarters == -1;
        const float c = odd ? sine : cosine, s = odd ? cosine : sine;
        re[i] = quarters == 1 || quarters == 2 || quarters == -2 ? -c : c;
        im[i] = quarters == -1 || quarters == 2 || quarters == -2 ? -s : s;
    }
}

}  // namespace

// Mix `rows` rows of complex numbers; `sum` and `difference` are the turns a second of each column.
NINEFOLD_ON_PATH(void, mix_rows, (const float* a, const float* b, const double* sum, const double* difference,
                                  const double* t, std::int64_t rows, std::int64_t columns, float gain, float* mixed)) {
    float up_re[kColumns], up_im[kColumns], down_re[kColumns], down_im[kColumns];
    for (std::int64_t row = 0; row < rows; row++) {
        for (std::int64_t first = 0; first < columns; first += kColumns) {
            const int count = static_cast<int>(columns - first < kColumns ? columns - first : kColumns);
            rotations(sum + first, t[row], count, up_re, up_im);
            rotations(difference + first, t[row], count, down_re, down_im);
            const float* __restrict x = a + 2 * (row * columns + first);
            const float* __restrict y = b + 2 * (row * columns + first);
            float* __restrict out = mixed + 2 * (row * columns + first);
            for (int i = 0; i < count; i++) {
                // b times the rotation up, plus conj(b) times the rotation down.
                const float re = y[2 * i] * (up_re[i] + down_re[i]) - y[2 * i + 1] * (up_im[i] - down_im[i]);
                const float im = y[2 * i] * (up_im[i] + down_im[i]) + y[2 * i + 1] * (up_re[i] - down_re[i]);
                out[2 * i] = gain * (x[2 * i] * re - x[2 * i + 1] * im);
                out[2 * i + 1] = gain * (x[2 * i] * im + x[2 * i + 1] * re);
            }
        }
    }
}

#else

#include <algorithm>

NINEFOLD_PATHS(void, mix_rows, (const float* a, const float* b, const double* sum, const double* difference,
                                const double* t, std::int64_t rows, std::int64_t columns, float gain, float* mixed));

using namespace ninefold;

// Mix the complex numbers a and b of shape (rows, columns); `sum` and `difference` are turns a second of each column.
NINEFOLD_INTERFACE(heterodyne)(std::int64_t path, std::int64_t threads, const float* a, const float* b,
                               const double* sum, const double* difference, const double* t, std::int64_t rows,
                               std::int64_t columns, double gain, float* mixed) {
    const std::int64_t take = std::max<std::int64_t>(1, (1 << 13) / std::max<std::int64_t>(1, columns));
    share(rows, take, useful(threads, rows * columns * 32), [&](int, std::int64_t begin, std::int64_t end) {
        const std::int64_t at = 2 * begin * columns;
        mix_rows_paths[path](a + at, b + at, sum, difference, t + begin, end - begin, columns,
                             static_cast<float>(gain), mixed + at);
    });
    return 0;
}

#endif
