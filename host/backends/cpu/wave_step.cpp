// Steps of a complex wave on a periodic lattice. A step reads and writes memory once: it computes the force at the
// displacement that the step before has left, and leaves the next one in another array.
#include "kernel.h"

namespace ninefold {

constexpr int kAxes = 9;

// Complex arrays are pairs of floats. The lattice is divided into blocks of consecutive cells: as many innermost axes as
// a block has room for, or a part of a row.
struct Wave {
    const float* psi;
    float* next;           // receives the displacement after the next step
    float* v;              // velocity half a step ahead; after the last step the velocity
    float* a;              // receives the acceleration of the last step
    const float* speed;    // c0^2 / (1 + s)^2
    const float* damping;  // g dt / 2, or null for 0
    const float* sources;  // or null for 0
    std::int64_t extents[kAxes], strides[kAxes];  // of the axes longer than 1
    int axes;
    std::int64_t cells, block, row;  // row: the innermost extent if rows are divided into blocks, else 0
    float dt, beta;
    bool last;
};

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

using ninefold::Wave;

inline void add(float* __restrict sum, const float* one, const float* other, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i++) sum[i] += one[i] + other[i];
}

// The neighbours along an axis that lies inside the block.
inline void add_inner(float* sum, const float* x, std::int64_t length, std::int64_t extent, std::int64_t stride) {
    const std::int64_t slab = 2 * stride, last = (extent - 1) * slab;
    for (std::int64_t at = 0; at < 2 * length; at += extent * slab) {
        add(sum + at, x + at + slab, x + at + last, slab);
        add(sum + at + slab, x + at + 2 * slab, x + at, last - slab);
        add(sum + at + last, x + at, x + at + last - slab, slab);
    }
}

// The neighbours along the innermost axis in a part of a row that begins at column `from`.
inline void add_row(float* sum, const float* x, std::int64_t length, std::int64_t extent, std::int64_t from) {
    const std::int64_t right_of_last = from + length < extent ? length : length - extent;
    const std::int64_t left_of_first = from ? -1 : extent - 1;
    for (int part = 0; part < 2; part++) {
        sum[part] += x[2 * (length > 1 ? 1 : right_of_last) + part] + x[2 * left_of_first + part];
        if (length > 1) {
            const std::int64_t end = 2 * (length - 1) + part;
            sum[end] += x[end - 2] + x[2 * right_of_last + part];
        }
    }
    add(sum + 2, x + 4, x, 2 * (length - 2));
}

// Write the sum of both neighbours along each axis, less twice the cell for each, to `sum`.
inline void laplacian(const Wave& wave, std::int64_t base, std::int64_t length, float* __restrict sum) {
    const float* x = wave.psi + 2 * base;
    const float own = -2.0f * static_cast<float>(wave.axes);
    for (std::int64_t i = 0; i < 2 * length; i++) sum[i] = own * x[i];
    for (int axis = 0; axis < wave.axes; axis++) {
        const std::int64_t extent = wave.extents[axis], stride = wave.strides[axis];
        const std::int64_t index = base / stride % extent;
        if (wave.row && axis == wave.axes - 1) {
            add_row(sum, x, length, extent, index);
        } else if (stride < length) {
            add_inner(sum, x, length, extent, stride);
        } else {
            const std::int64_t up = index + 1 < extent ? stride : stride - extent * stride;
            const std::int64_t down = index ? -stride : extent * stride - stride;
            add(sum, x + 2 * up, x + 2 * down, 2 * length);
        }
    }
}

template <bool kDamped, bool kSources, bool kLast>
void advance(const Wave& wave, std::int64_t base, std::int64_t length, const float* __restrict sum) {
    const float half = wave.dt / 2, dt = wave.dt, beta = wave.beta;
    const float* __restrict psi = wave.psi + 2 * base;
    float* __restrict next = wave.next + 2 * base;
    float* __restrict v = wave.v + 2 * base;
    float* __restrict a = wave.a + 2 * base;
    for (std::int64_t i = 0; i < length; i++) {
        const float speed = wave.speed[base + i], damping = kDamped ? wave.damping[base + i] : 0.0f;
        const float cubic = beta * (psi[2 * i] * psi[2 * i] + psi[2 * i + 1] * psi[2 * i + 1]);
        const float share = kDamped ? 1.0f / (1.0f + damping) : 1.0f;
        for (std::int64_t j = 2 * i; j < 2 * i + 2; j++) {
            const float force = speed * sum[j] + cubic * psi[j] + (kSources ? wave.sources[2 * base + j] : 0.0f);
            const float now = (v[j] + force * half) * share;
            if (kLast) {
                v[j] = now;
                a[j] = kDamped ? force - damping / half * now : force;
            } else {
                const float ahead = now * (1.0f - damping) + force * half;
                v[j] = ahead;
                next[j] = psi[j] + ahead * dt;
            }
        }
    }
}

template <bool kLast>
void advance(const Wave& wave, std::int64_t base, std::int64_t length, const float* sum) {
    if (wave.damping) {
        wave.sources ? advance<true, true, kLast>(wave, base, length, sum)
                     : advance<true, false, kLast>(wave, base, length, sum);
    } else {
        wave.sources ? advance<false, true, kLast>(wave, base, length, sum)
                     : advance<false, false, kLast>(wave, base, length, sum);
    }
}

}  // namespace

// Advance the blocks from begin to end - 1; `sum` has room for a block.
NINEFOLD_ON_PATH(void, wave_blocks, (const Wave& wave, std::int64_t begin, std::int64_t end, float* sum)) {
    for (std::int64_t number = begin; number < end; number++) {
        std::int64_t base = number * wave.block, length = wave.block;
        if (wave.row) {
            const std::int64_t parts = (wave.row + wave.block - 1) / wave.block, part = number % parts;
            base = number / parts * wave.row + part * wave.block;
            length = part == parts - 1 ? wave.row - part * wave.block : wave.block;
        }
        laplacian(wave, base, length, sum);
        wave.last ? advance<true>(wave, base, length, sum) : advance<false>(wave, base, length, sum);
    }
}

// The displacement after the first step, and the velocity half a step ahead.
NINEFOLD_ON_PATH(void, wave_start, (const Wave& wave, std::int64_t begin, std::int64_t end)) {
    const float half = wave.dt / 2, dt = wave.dt;
    const float* __restrict psi = wave.psi;
    float* __restrict next = wave.next;
    float* __restrict v = wave.v;
    const float* __restrict a = wave.a;
    for (std::int64_t j = 2 * begin; j < 2 * end; j++) {
        v[j] += a[j] * half;
        next[j] = psi[j] + v[j] * dt;
    }
}

#else

#include <vector>

NINEFOLD_PATHS(void, wave_blocks, (const Wave& wave, std::int64_t begin, std::int64_t end, float* sum));
NINEFOLD_PATHS(void, wave_start, (const Wave& wave, std::int64_t begin, std::int64_t end));

using namespace ninefold;

namespace {

constexpr std::int64_t kBlock = 2048;  // cells whose sums of neighbours stay in the first cache

// Set extents and strides of the axes longer than 1, and the division into blocks; return the number of blocks.
std::int64_t divide(Wave& wave, const std::int64_t* extents, std::int64_t axes) {
    wave.axes = 0;
    for (std::int64_t axis = 0; axis < axes; axis++) {
        if (extents[axis] > 1) wave.extents[wave.axes++] = extents[axis];
    }
    wave.cells = 1, wave.block = 1, wave.row = 0;
    bool room = true;
    for (int axis = wave.axes - 1; axis >= 0; axis--) {
        wave.strides[axis] = wave.cells;
        wave.cells *= wave.extents[axis];
        room = room && wave.cells <= kBlock;
        if (room) wave.block = wave.cells;
    }
    if (wave.axes && wave.extents[wave.axes - 1] > kBlock) {
        wave.row = wave.extents[wave.axes - 1];
        wave.block = kBlock;
        return wave.cells / wave.row * ((wave.row + kBlock - 1) / kBlock);
    }
    return wave.cells / wave.block;
}

}  // namespace

// Do `steps` steps. Displacements go from `psi` to `other` and back, so after an odd number they are in `other`.
NINEFOLD_INTERFACE(wave_step)(std::int64_t path, std::int64_t threads, float* psi, float* other, float* v, float* a,
                              const float* speed, const float* damping, const float* sources,
                              const std::int64_t* extents, std::int64_t axes, std::int64_t steps, double dt,
                              double beta) {
    Wave wave{psi,  other, v, a, speed, damping, sources, {}, {}, 0, 0, 0, 0, static_cast<float>(dt),
              static_cast<float>(beta), false};
    const std::int64_t blocks = divide(wave, extents, axes);
    const std::int64_t workers = useful(threads, wave.cells * 64);
    std::vector<float> sums;
    try {
        sums.resize(workers * kBlock * 2);
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    share(wave.cells, 1 << 14, workers, [&](int, std::int64_t begin, std::int64_t end) {
        wave_start_paths[path](wave, begin, end);
    });
    const std::int64_t take = (blocks + 8 * workers - 1) / (8 * workers);
    for (std::int64_t step = 1; step <= steps; step++) {
        wave.psi = step % 2 ? other : psi;
        wave.next = step % 2 ? psi : other;
        wave.last = step == steps;
        share(blocks, take, workers, [&](int thread, std::int64_t begin, std::int64_t end) {
            wave_blocks_paths[path](wave, begin, end, sums.data() + thread * kBlock * 2);
        });
    }
    return 0;
}

#endif
