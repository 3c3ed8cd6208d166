// State-space models step by step, in double precision. Matrices are stored by columns of `width` numbers, a multiple of
// eight, so that a column is a few vectors; sums are formed in the order of the columns.
#include "kernel.h"

namespace ninefold {

struct Model {
    const double *a, *b, *c;  // columns of A, B and C: states x width, inputs x width, states x out_width
    std::int64_t steps, inputs, states, outputs, width, out_width;
};

constexpr int kEight = 8;
constexpr int kTogether = 4;  // sequences whose steps do not wait for each other

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

using ninefold::kEight;
using ninefold::kTogether;
using ninefold::Model;

using Vec __attribute__((vector_size(8 * kEight))) = double;

inline Vec load(const double* p) {
    Vec v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

// Add to the sums of each row the product of `kVectors` vectors of each column with the numbers x of the row, which are
// `apart` from row to row. A column is loaded once for all rows.
template <int kRows, int kVectors, class Number>
inline void add_columns(Vec (&sums)[kRows][kVectors], const double* columns, std::int64_t count, std::int64_t width,
                        const Number* x, std::int64_t apart) {
    for (std::int64_t j = 0; j < count; j++) {
        for (int v = 0; v < kVectors; v++) {
            const Vec column = load(columns + j * width + v * kEight);
            for (int r = 0; r < kRows; r++) sums[r][v] += column * static_cast<double>(x[r * apart + j]);
        }
    }
}

template <int kRows, int kVectors>
inline void next_states(const Model& model, std::int64_t at, const double* h, const float* x, double* next) {
    Vec sums[kRows][kVectors] = {};
    add_columns(sums, model.a + at, model.states, model.width, h, model.width);
    add_columns(sums, model.b + at, model.inputs, model.width, x, model.steps * model.inputs);
    for (int r = 0; r < kRows; r++) __builtin_memcpy(next + r * model.width + at, sums[r], sizeof sums[r]);
}

template <int kRows, int kVectors>
inline void outputs_of(const Model& model, std::int64_t at, const double* h, double* out) {
    Vec sums[kRows][kVectors] = {};
    add_columns(sums, model.c + at, model.states, model.out_width, h, model.width);
    for (int r = 0; r < kRows; r++) __builtin_memcpy(out + r * model.out_width + at, sums[r], sizeof sums[r]);
}

template <int kRows>
void scan(const Model& model, const float* x, double* h, float* y, double* scratch) {
    constexpr std::int64_t kTwo = 2 * kEight;
    double* const out = scratch + kRows * model.width;
    for (std::int64_t step = 0; step < model.steps; step++, x += model.inputs, y += model.outputs) {
        std::int64_t at = 0;
        for (; at + kTwo <= model.width; at += kTwo) next_states<kRows, 2>(model, at, h, x, scratch);
        for (; at < model.width; at += kEight) next_states<kRows, 1>(model, at, h, x, scratch);
        __builtin_memcpy(h, scratch, kRows * model.width * sizeof(double));
        for (at = 0; at + kTwo <= model.out_width; at += kTwo) outputs_of<kRows, 2>(model, at, h, out);
        for (; at < model.out_width; at += kEight) outputs_of<kRows, 1>(model, at, h, out);
        for (int r = 0; r < kRows; r++) {
            for (std::int64_t p = 0; p < model.outputs; p++) {
                y[r * model.steps * model.outputs + p] = static_cast<float>(out[r * model.out_width + p]);
            }
        }
    }
}

}  // namespace

// Scan one sequence, or `kTogether` of them. `h` holds the states before and after; `scratch` has room for states and
// outputs.
NINEFOLD_ON_PATH(void, scan_steps, (const Model& model, bool several, const float* x, double* h, float* y,
                                    double* scratch)) {
    several ? scan<kTogether>(model, x, h, y, scratch) : scan<1>(model, x, h, y, scratch);
}

#else

#include <algorithm>

NINEFOLD_PATHS(void, scan_steps, (const Model& model, bool several, const float* x, double* h, float* y, double* scratch));

using namespace ninefold;

namespace {

std::int64_t padded(std::int64_t count) { return (count + kEight - 1) / kEight * kEight; }

// Columns of a matrix that is given by rows, each padded with zeros.
std::vector<double> columns_of(const double* rows, std::int64_t count, std::int64_t length) {
    std::vector<double> columns(length * padded(count));
    for (std::int64_t i = 0; i < count; i++) {
        for (std::int64_t j = 0; j < length; j++) columns[j * padded(count) + i] = rows[i * length + j];
    }
    return columns;
}

}  // namespace

// Scan `sequences` sequences x of `steps` inputs each. The states `h` are replaced by those after the last step; `y`
// receives the outputs.
NINEFOLD_INTERFACE(ssm_scan)(std::int64_t path, std::int64_t threads, const float* x, const double* a,
                             const double* b, const double* c, double* h, float* y, std::int64_t sequences,
                             std::int64_t steps, std::int64_t inputs, std::int64_t states, std::int64_t outputs) {
    try {
        const std::vector<double> by_a = columns_of(a, states, states), by_b = columns_of(b, states, inputs),
                                  by_c = columns_of(c, outputs, states);
        const Model model{by_a.data(), by_b.data(), by_c.data(), steps, inputs, states, outputs, padded(states),
                          padded(outputs)};
        const std::int64_t room = kTogether * (2 * model.width + model.out_width);
        const std::int64_t workers =
            useful(threads, std::min(threads, sequences) * steps * states * (states + inputs + outputs) / 4);
        std::vector<double> scratch(workers * room);
        const std::int64_t take = sequences >= kTogether * workers ? kTogether : 1;
        share(sequences, take, workers, [&](int thread, std::int64_t begin, std::int64_t end) {
            double* const state = scratch.data() + thread * room;
            for (std::int64_t n = begin, rows; n < end; n += rows) {
                rows = n + kTogether <= end ? kTogether : 1;
                std::fill(state, state + rows * model.width, 0.0);
                for (std::int64_t r = 0; r < rows; r++) {
                    std::copy_n(h + (n + r) * states, states, state + r * model.width);
                }
                scan_steps_paths[path](model, rows > 1, x + n * steps * inputs, state, y + n * steps * outputs,
                                       state + rows * model.width);
                for (std::int64_t r = 0; r < rows; r++) {
                    std::copy_n(state + r * model.width, states, h + (n + r) * states);
                }
            }
        });
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
