// Steps of a complex wave on a periodic lattice. The force at the displacement that the step before has left gives the
// velocity half a step ahead and the next displacement, in one pass. Where a few planes of the lattice fit in the cache,
// several steps are done while they are there.
#include "kernel.h"

namespace ninefold {

constexpr int kAxes = 9;
constexpr std::int64_t kBlock = 2048;  // cells whose sums of neighbours stay in the first cache
constexpr std::int64_t kPeriod = 64;   // the longest period, in cells, of an axis with tables of borders
constexpr std::int64_t kVector = 16;   // numbers of the longest vector
constexpr int kFar = 3;                // axes whose neighbours are prefetched: the processor follows too few streams
constexpr std::int64_t kAhead = 1024;  // numbers between prefetch and use

// Tables of an axis whose parts between two borders are short. Each has all bits set at the places of a period at which
// the index along the axis is the first, or the last. Very short periods are repeated, and so is the beginning, so that
// a vector can be read from any place.
struct Borders {
    std::int64_t period;  // a multiple of the axis's, in numbers; 0 without tables
    const std::int32_t* first;
    const std::int32_t* last;
};

// Complex arrays are pairs of floats.
struct Wave {
    float* psi[2];         // displacements before and after a step, in turns
    float* v;              // velocity half a step ahead; after the last step the velocity
    const float* speed;    // c0^2 / (1 + s)^2
    const float* damping;  // g dt / 2, or null for 0
    const float* sources;  // or null for 0
    std::int64_t extents[kAxes], strides[kAxes];  // of the axes longer than 1
    Borders borders[kAxes];
    int axes;
    std::int64_t cells;
    float dt, beta;
};

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

using ninefold::kBlock;
using ninefold::Wave;

#ifndef NINEFOLD_FLOATS
#define NINEFOLD_FLOATS 4
#endif
constexpr int kFloats = NINEFOLD_FLOATS;

using Vec __attribute__((vector_size(4 * kFloats))) = float;
using Four __attribute__((vector_size(16))) = float;
using Places __attribute__((vector_size(4 * kFloats))) = std::int32_t;

inline Vec load(const float* p) {
    Vec v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

inline void store(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }

template <int... kPlaces>
inline Vec shuffled(Vec v) {
#ifdef __clang__
    return __builtin_shufflevector(v, v, kPlaces...);
#else
    return __builtin_shuffle(v, Places{kPlaces...});
#endif
}

// Half as many numbers, one for each cell, each of them twice.
inline Vec twice(const float* p) {
    using Bits __attribute__((vector_size(2 * kFloats))) = std::uint32_t;
    using Pairs __attribute__((vector_size(4 * kFloats))) = std::uint64_t;
    Bits bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    const Pairs pairs = __builtin_convertvector(bits, Pairs);
    return (Vec)(pairs | pairs << 32);
}

// Squared magnitude of each cell, twice.
inline Vec squares(Vec v) {
    const Vec own = v * v;
#if NINEFOLD_FLOATS == 16
    return own + shuffled<1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14>(own);
#elif NINEFOLD_FLOATS == 8
    return own + shuffled<1, 0, 3, 2, 5, 4, 7, 6>(own);
#else
    return own + shuffled<1, 0, 3, 2>(own);
#endif
}

inline void add(float* __restrict sum, const float* one, const float* other, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + kFloats <= count; i += kFloats) store(sum + i, load(sum + i) + (load(one + i) + load(other + i)));
    for (; i + 4 <= count; i += 4) {  // short parts of small extents
        Four a, b, c;
        __builtin_memcpy(&a, sum + i, sizeof a);
        __builtin_memcpy(&b, one + i, sizeof b);
        __builtin_memcpy(&c, other + i, sizeof c);
        a += b + c;
        __builtin_memcpy(sum + i, &a, sizeof a);
    }
    for (; i < count; i++) sum[i] += one[i] + other[i];
}

// Add both neighbours along an axis to the sums of the cells from `base` on, in parts whose neighbours are all at the
// same distance: the first index of the axis, the indices between, and the last one.
inline void add_in_parts(float* sum, const float* x, std::int64_t base, std::int64_t length, std::int64_t extent,
                         std::int64_t stride) {
    const std::int64_t period = extent * stride;
    std::int64_t at = base % period;
    while (length > 0) {
        const bool first = at < stride, last = at >= period - stride;
        const std::int64_t end = first ? stride : last ? period : period - stride;
        const std::int64_t count = end - at < length ? end - at : length;
        const std::int64_t up = last ? stride - period : stride, down = first ? period - stride : -stride;
        add(sum, x + 2 * up, x + 2 * down, 2 * count);
        sum += 2 * count, x += 2 * count, length -= count;
        at = end == period ? 0 : end;
    }
}

inline Vec chosen(const std::int32_t* where, Vec yes, Vec no) {
    Places bits;
    __builtin_memcpy(&bits, where, sizeof bits);
    return (Vec)(((Places)yes & bits) | ((Places)no & ~bits));
}

// The same for whole vectors of cells, at borders too: both distances are read, and tables choose. Cells from a period
// of the axis before `base` to a period after the end must exist.
inline void add_by_tables(float* sum, const float* x, std::int64_t base, std::int64_t length, std::int64_t extent,
                          std::int64_t stride, const ninefold::Borders& borders) {
    const std::int64_t near = 2 * stride, far = 2 * (extent - 1) * stride;
    std::int64_t at = length ? 2 * base % borders.period : 0;
    for (std::int64_t i = 0; i < 2 * length; i += kFloats) {
        const Vec up = chosen(borders.last + at, load(x + i - far), load(x + i + near));
        const Vec down = chosen(borders.first + at, load(x + i + far), load(x + i - near));
        store(sum + i, load(sum + i) + (up + down));
        at += kFloats;
        if (at >= borders.period) at -= borders.period;
    }
}

inline void add_neighbours(const Wave& wave, int axis, float* sum, const float* x, std::int64_t base,
                           std::int64_t length) {
    const std::int64_t extent = wave.extents[axis], stride = wave.strides[axis], period = extent * stride;
    std::int64_t from = 0, to = 0;  // whole vectors that have a period on both sides
    if (wave.borders[axis].period) {
        const std::int64_t after = wave.cells - period - base;
        from = base < period ? period - base : 0;
        to = after < length ? after : length;
        to = to > from ? to - (to - from) % (kFloats / 2) : from;
        if (from > length) from = to = length;
    }
    add_in_parts(sum, x, base, from, extent, stride);
    add_by_tables(sum + 2 * from, x + 2 * from, base + from, to - from, extent, stride, wave.borders[axis]);
    add_in_parts(sum + 2 * to, x + 2 * to, base + to, length - to, extent, stride);
}

// Distances, in numbers, of both neighbours along each of the axes without tables, which are the same in all of a part.
struct Distances {
    std::int64_t up[ninefold::kAxes], down[ninefold::kAxes];

    void set(const Wave& wave, int axis, bool first, bool last) {
        const std::int64_t near = 2 * wave.strides[axis], far = near * (wave.extents[axis] - 1);
        up[axis] = last ? -far : near;
        down[axis] = first ? far : -near;
    }
};

// Write `own` times each number of a part plus both neighbours along the first kLong axes.
template <int kLong>
void add_long(const Distances& distances, float own, const float* x, float* sum, std::int64_t count) {
    std::int64_t up[kLong + 1], down[kLong + 1];
    for (int axis = 0; axis < kLong; axis++) up[axis] = distances.up[axis], down[axis] = distances.down[axis];
    const auto vector = [&](std::int64_t i) {
        Vec total = own * load(x + i);
        for (int axis = 0; axis < (kLong < ninefold::kFar ? kLong : ninefold::kFar); axis++) {
            __builtin_prefetch(x + i + up[axis] + ninefold::kAhead);
            __builtin_prefetch(x + i + down[axis] + ninefold::kAhead);
        }
        for (int axis = 0; axis < kLong; axis++) total += load(x + i + up[axis]) + load(x + i + down[axis]);
        store(sum + i, total);
    };
    std::int64_t i = 0;
    for (; i + kFloats <= count; i += kFloats) vector(i);
    if (i < count && count >= kFloats) return vector(count - kFloats);  // some numbers again
    for (; i < count; i++) {
        float total = own * x[i];
        for (int axis = 0; axis < kLong; axis++) total += x[i + up[axis]] + x[i + down[axis]];
        sum[i] = total;
    }
}

using AddLong = void(const Distances&, float, const float*, float*, std::int64_t);
constexpr AddLong* kAddLong[] = {add_long<0>, add_long<1>, add_long<2>, add_long<3>, add_long<4>,
                                 add_long<5>, add_long<6>, add_long<7>, add_long<8>, add_long<9>};

// Write the sum of both neighbours along each axis, less twice the cell for each, to `sum`. Axes without tables come
// first, and are added in parts between the borders of the last of them.
inline void laplacian(const Wave& wave, const float* psi, std::int64_t base, std::int64_t length, float* sum) {
    const float* const x = psi + 2 * base;
    const float own = -2.0f * static_cast<float>(wave.axes);
    int longs = 0;
    while (longs < wave.axes && !wave.borders[longs].period) longs++;
    const int inner = longs - 1;
    const std::int64_t stride = longs ? wave.strides[inner] : wave.cells;
    const std::int64_t period = longs ? stride * wave.extents[inner] : wave.cells;
    Distances distances;
    std::int64_t index[ninefold::kAxes];
    for (int axis = 0; axis < inner; axis++) {
        index[axis] = base / wave.strides[axis] % wave.extents[axis];
        distances.set(wave, axis, index[axis] == 0, index[axis] == wave.extents[axis] - 1);
    }
    for (std::int64_t done = 0, at = base % period; done < length;) {
        const bool first = at < stride, last = at >= period - stride;
        const std::int64_t end = first ? stride : last ? period : period - stride;
        const std::int64_t count = end - at < length - done ? end - at : length - done;
        if (longs) distances.set(wave, inner, first, last);
        kAddLong[longs](distances, own, x + 2 * done, sum + 2 * done, 2 * count);
        done += count, at = end;
        if (at < period) continue;
        at = 0;
        for (int axis = inner - 1; axis >= 0; axis--) {
            index[axis] = index[axis] + 1 < wave.extents[axis] ? index[axis] + 1 : 0;
            distances.set(wave, axis, index[axis] == 0, index[axis] == wave.extents[axis] - 1);
            if (index[axis]) break;
        }
    }
    for (int axis = longs; axis < wave.axes; axis++) add_neighbours(wave, axis, sum, x, base, length);
}

// The step of one number, or of a vector of them: `cubic` is beta |psi|^2.
template <bool kLast, bool kDamped, class Number>
inline void move(Number sum, Number psi, Number cubic, Number speed, Number damping, Number source, float half, float dt,
                 Number& v, Number& out) {
    const Number force = speed * sum + cubic * psi + source;
    Number now = v + force * half;
    if (kDamped) now /= 1.0f + damping;
    if (kLast) {
        v = now;
        out = kDamped ? force - damping / half * now : force;
    } else {
        v = kDamped ? now * (1.0f - damping) + force * half : now + force * half;
        out = psi + v * dt;
    }
}

// The last step leaves the velocity in v and the acceleration in `out`; others leave the next displacement there.
template <bool kLast, bool kDamped, bool kSources>
void advance(const Wave& wave, const float* psi, float* out, std::int64_t base, std::int64_t length, const float* sum) {
    const float half = wave.dt / 2, dt = wave.dt, beta = wave.beta;
    const float* const speed = wave.speed + base;
    const float* const damping = kDamped ? wave.damping + base : nullptr;
    const float* const sources = kSources ? wave.sources + 2 * base : nullptr;
    float* const v = wave.v + 2 * base;
    psi += 2 * base, out += 2 * base;
    std::int64_t i = 0;
    for (; i + kFloats / 2 <= length; i += kFloats / 2) {
        const Vec x = load(psi + 2 * i);
        Vec moving = load(v + 2 * i), next;
        move<kLast, kDamped>(load(sum + 2 * i), x, beta * squares(x), twice(speed + i),
                             kDamped ? twice(damping + i) : Vec{}, kSources ? load(sources + 2 * i) : Vec{}, half, dt,
                             moving, next);
        store(v + 2 * i, moving);
        store(out + 2 * i, next);
    }
    for (; i < length; i++) {
        const float cubic = beta * (psi[2 * i] * psi[2 * i] + psi[2 * i + 1] * psi[2 * i + 1]);
        for (std::int64_t j = 2 * i; j < 2 * i + 2; j++) {
            move<kLast, kDamped>(sum[j], psi[j], cubic, speed[i], kDamped ? damping[i] : 0.0f,
                                 kSources ? sources[j] : 0.0f, half, dt, v[j], out[j]);
        }
    }
}

template <bool kLast>
void advance(const Wave& wave, const float* psi, float* out, std::int64_t base, std::int64_t length, const float* sum) {
    if (wave.damping) {
        wave.sources ? advance<kLast, true, true>(wave, psi, out, base, length, sum)
                     : advance<kLast, true, false>(wave, psi, out, base, length, sum);
    } else {
        wave.sources ? advance<kLast, false, true>(wave, psi, out, base, length, sum)
                     : advance<kLast, false, false>(wave, psi, out, base, length, sum);
    }
}

}  // namespace

// Do step number `step`, from 0 on, of the cells from begin to end - 1; `sum` has room for a block.
NINEFOLD_ON_PATH(void, wave_cells, (const Wave& wave, std::int64_t step, bool last, std::int64_t begin,
                                    std::int64_t end, float* sum)) {
    const float* const psi = wave.psi[step % 2];
    float* const out = wave.psi[1 - step % 2];
    for (std::int64_t base = begin; base < end; base += kBlock) {
        const std::int64_t length = end - base < kBlock ? end - base : kBlock;
        laplacian(wave, psi, base, length, sum);
        last ? advance<true>(wave, psi, out, base, length, sum) : advance<false>(wave, psi, out, base, length, sum);
    }
}

// Leave the displacement after the first step in a, and the velocity half a step ahead in v.
NINEFOLD_ON_PATH(void, wave_start, (const float* psi, float* v, float* a, float dt, std::int64_t begin,
                                    std::int64_t end)) {
    const float half = dt / 2;
    std::int64_t j = 2 * begin;
    for (; j + kFloats <= 2 * end; j += kFloats) {
        const Vec ahead = load(v + j) + load(a + j) * half;
        store(a + j, load(psi + j) + ahead * dt);
        store(v + j, ahead);
    }
    for (; j < 2 * end; j++) {
        const float ahead = v[j] + a[j] * half;
        a[j] = psi[j] + ahead * dt;
        v[j] = ahead;
    }
}

// Write c0^2 / (1 + s)^2.
NINEFOLD_ON_PATH(void, wave_speeds, (const float* __restrict s, double square, std::int64_t count,
                                     float* __restrict speed)) {
    for (std::int64_t i = 0; i < count; i++) {
        const double slow = 1 + static_cast<double>(s[i]);
        speed[i] = static_cast<float>(square / (slow * slow));
    }
}

#else

#include <algorithm>
#include <vector>

NINEFOLD_PATHS(void, wave_cells, (const Wave& wave, std::int64_t step, bool last, std::int64_t begin,
                                  std::int64_t end, float* sum));
NINEFOLD_PATHS(void, wave_start, (const float* psi, float* v, float* a, float dt, std::int64_t begin, std::int64_t end));
NINEFOLD_PATHS(void, wave_speeds, (const float* s, double square, std::int64_t count, float* speed));

using namespace ninefold;

namespace {

constexpr std::int64_t kCellBytes = 28;       // psi before and after, v and speed
constexpr std::int64_t kCaches[] = {3 << 18, 8 << 20};  // bytes of planes that a thread keeps, of two levels of caches
constexpr std::int64_t kStepsMax = 8;

// Set extents and strides of the axes longer than 1, and the number of cells.
void set_extents(Wave& wave, const std::int64_t* extents, std::int64_t axes) {
    wave.axes = 0, wave.cells = 1;
    for (std::int64_t axis = 0; axis < axes; axis++) {
        if (extents[axis] > 1) wave.extents[wave.axes++] = extents[axis];
    }
    for (int axis = wave.axes - 1; axis >= 0; axis--) {
        wave.strides[axis] = wave.cells;
        wave.cells *= wave.extents[axis];
    }
}

// Set the borders of the axes of short periods, and return the tables that they point to.
std::vector<std::vector<std::int32_t>> set_borders(Wave& wave) {
    std::vector<std::vector<std::int32_t>> tables;
    for (int axis = 0; axis < wave.axes; axis++) {
        const std::int64_t stride = 2 * wave.strides[axis], period = stride * wave.extents[axis];
        wave.borders[axis] = {};
        if (period > 2 * kPeriod) continue;
        const std::int64_t whole = period * ((kVector + period - 1) / period);
        std::vector<std::int32_t> first(whole + kVector), last(whole + kVector);
        for (std::int64_t i = 0; i < whole + kVector; i++) {
            first[i] = i % period < stride ? -1 : 0;
            last[i] = i % period >= period - stride ? -1 : 0;
        }
        tables.push_back(std::move(first));
        tables.push_back(std::move(last));
        wave.borders[axis] = {whole, tables[tables.size() - 2].data(), tables.back().data()};
    }
    return tables;
}

// Division of the lattice into planes, of which each touches only the one before it and the one behind it.
struct Planes {
    std::int64_t cells, count;

    explicit Planes(const Wave& wave) {
        const std::int64_t outer = wave.axes ? wave.strides[0] : 1;
        cells = outer * std::max<std::int64_t>(1, kBlock / outer);
        count = (wave.cells + cells - 1) / cells;
    }
};

// Several steps of slabs of planes. First each slab does all the steps that need none of its neighbours' results: one
// plane less on both sides for each step. Then the rest around each border between two slabs follows.
class Slabs {
   public:
    // `first` is the number of the first step, and `last` of the last one of all.
    Slabs(const Wave& wave, const Planes& planes, std::int64_t path, std::int64_t number, std::int64_t first,
          std::int64_t steps, std::int64_t last)
        : wave_(wave), planes_(planes), path_(path), number_(number), first_(first), steps_(steps), last_(last) {}

    void inside(std::int64_t slab, float* sum) const {
        const std::int64_t begin = border(slab), end = border(slab + 1);
        // A step of a plane follows the step before it of the next plane.
        for (std::int64_t front = begin; front < end + steps_; front++) {
            for (std::int64_t level = 0; level < steps_; level++) {
                const std::int64_t plane = front - level;
                if (plane >= begin + level && plane < end - level) advance(plane, level, sum);
            }
        }
    }

    void around(std::int64_t slab, float* sum) const {
        for (std::int64_t level = 1; level < steps_; level++) {
            for (std::int64_t side = -level; side < level; side++) {
                advance((border(slab) + side + planes_.count) % planes_.count, level, sum);
            }
        }
    }

   private:
    std::int64_t border(std::int64_t slab) const { return planes_.count * slab / number_; }

    void advance(std::int64_t plane, std::int64_t level, float* sum) const {
        const std::int64_t begin = plane * planes_.cells, end = std::min(begin + planes_.cells, wave_.cells);
        wave_cells_paths[path_](wave_, first_ + level, first_ + level == last_, begin, end, sum);
    }

    const Wave& wave_;
    const Planes& planes_;
    std::int64_t path_, number_, first_, steps_, last_;
};

}  // namespace

// Write c0^2 / (1 + s)^2 of `count` cells; `square` is c0^2.
NINEFOLD_INTERFACE(wave_speeds)(std::int64_t path, std::int64_t threads, const float* s, double square,
                                std::int64_t count, float* speed) {
    share(count, 1 << 16, useful(threads, count * 16), [&](int, std::int64_t begin, std::int64_t end) {
        wave_speeds_paths[path](s + begin, square, end - begin, speed + begin);
    });
    return 0;
}

// Do `steps` steps in place. Displacements go from psi to a and back, so after an odd number the last one is in a and the
// acceleration in psi.
NINEFOLD_INTERFACE(wave_step)(std::int64_t path, std::int64_t threads, float* psi, float* v, float* a, const float* speed,
                              const float* damping, const float* sources, const std::int64_t* extents,
                              std::int64_t axes, std::int64_t steps, double dt, double beta) {
    Wave wave{{a, psi}, v, speed, damping, sources, {}, {}, {}, 0, 0, 0, 0};
    wave.dt = static_cast<float>(dt), wave.beta = static_cast<float>(beta);
    set_extents(wave, extents, axes);
    const std::int64_t workers = useful(threads, wave.cells * 64 * steps);
    std::vector<float> sums;
    std::vector<std::vector<std::int32_t>> tables;
    try {
        tables = set_borders(wave);
        sums.resize(workers * kBlock * 2);
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    share(wave.cells, 1 << 14, workers, [&](int, std::int64_t begin, std::int64_t end) {
        wave_start_paths[path](psi, v, a, wave.dt, begin, end);
    });
    const Planes planes(wave);
    std::int64_t most = 1;
    for (const std::int64_t bytes : kCaches) {
        // A plane of each step, and its two neighbours, stay in the cache.
        const std::int64_t room = bytes / (kCellBytes * planes.cells) - 2;
        if (most == 1) most = std::max(most, std::min({kStepsMax, room, planes.count / (4 * workers)}));
    }
    for (std::int64_t first = 0; first < steps;) {
        // As many steps at once as there may be, as often as they are left; then the rest.
        const std::int64_t some = std::min(most, steps - first), times = (steps - first) / some;
        if (some == 1) {
            const std::int64_t blocks = (wave.cells + kBlock - 1) / kBlock;
            share_passes(times, blocks, workers, [&](int thread, std::int64_t pass, std::int64_t block) {
                const std::int64_t step = first + pass, begin = block * kBlock;
                wave_cells_paths[path](wave, step, step == steps - 1, begin, std::min(begin + kBlock, wave.cells),
                                       sums.data() + thread * kBlock * 2);
            });
        } else {
            const std::int64_t slabs = std::max(workers, std::min(8 * workers, planes.count / (8 * most)));
            share_passes(2 * times, slabs, workers, [&](int thread, std::int64_t pass, std::int64_t slab) {
                const Slabs group(wave, planes, path, slabs, first + pass / 2 * some, some, steps - 1);
                float* const sum = sums.data() + thread * kBlock * 2;
                pass % 2 ? group.around(slab, sum) : group.inside(slab, sum);
            });
        }
        first += times * some;
    }
    return 0;
}

#endif
