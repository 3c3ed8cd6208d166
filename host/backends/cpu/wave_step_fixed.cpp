// Steps of a wave on a periodic lattice of integers. Rows are independent, and a row is a loop without branches.
#include "kernel.h"

namespace ninefold {

// psi and v are (height, width); `next` receives the new psi, and v is changed in place.
struct FixedLattice {
    const std::int32_t* psi;
    std::int32_t* next;
    std::int32_t* v;
    std::int64_t height, width;
    std::int64_t a, b, c, t;
};

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

inline std::int64_t saturated(std::int64_t x) { return x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : x; }

// To nearest, of two the even one.
inline std::int64_t rounded(std::int64_t x) { return (x + 32767 + ((x >> 16) & 1)) >> 16; }

inline void advance(const ninefold::FixedLattice& job, const std::int32_t* row, const std::int32_t* above,
                    const std::int32_t* below, std::int64_t at, std::int64_t left, std::int64_t right,
                    std::int64_t base) {
    const std::int64_t psi = row[at], v = job.v[base + at];
    const std::int64_t lap = std::int64_t{above[at]} + below[at] + row[left] + row[right] - 4 * psi;
    const std::int64_t square = psi * psi >> 24;
    const std::int64_t cube = saturated((square > INT32_MAX ? INT32_MAX : square) * psi >> 24);
    const std::int64_t after = saturated(v + rounded(job.c * lap - job.a * v + job.b * cube));
    job.v[base + at] = static_cast<std::int32_t>(after);
    job.next[base + at] = static_cast<std::int32_t>(saturated(psi + rounded(job.t * after)));
}

}  // namespace

NINEFOLD_ON_PATH(void, wave_rows, (const FixedLattice& job, std::int64_t begin, std::int64_t end)) {
    const std::int64_t last = job.width - 1;
    for (std::int64_t y = begin; y < end; y++) {
        const std::int64_t base = y * job.width;
        const std::int32_t* row = job.psi + base;
        const std::int32_t* above = job.psi + (y ? y - 1 : job.height - 1) * job.width;
        const std::int32_t* below = job.psi + (y + 1 < job.height ? y + 1 : 0) * job.width;
        advance(job, row, above, below, 0, last, last ? 1 : 0, base);
        for (std::int64_t x = 1; x < last; x++) advance(job, row, above, below, x, x - 1, x + 1, base);
        if (last) advance(job, row, above, below, last, last - 1, 0, base);
    }
}

#else

NINEFOLD_PATHS(void, wave_rows, (const FixedLattice& job, std::int64_t begin, std::int64_t end));

using namespace ninefold;

// Do `steps` steps. Displacements go from `psi` to `other` and back, so after an odd number they are in `other`.
NINEFOLD_INTERFACE(wave_step_fixed)(std::int64_t path, std::int64_t threads, std::int32_t* psi, std::int32_t* other,
                                    std::int32_t* v, std::int64_t height, std::int64_t width, std::int64_t steps,
                                    std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t t) {
    const std::int64_t workers = useful(threads, height * width * 16 * steps);
    const std::int64_t take = (height + 4 * workers - 1) / (4 * workers);
    share_passes(steps, (height + take - 1) / take, workers, [&](int, std::int64_t pass, std::int64_t part) {
        std::int32_t *from = pass % 2 ? other : psi, *to = pass % 2 ? psi : other;
        const FixedLattice job{from, to, v, height, width, a, b, c, t};
        const std::int64_t begin = part * take;
        wave_rows_paths[path](job, begin, begin + take < height ? begin + take : height);
    });
    return 0;
}

#endif
