// The positions of the k largest scores of each row, ties by position.
#include "kernel.h"

namespace ninefold {

constexpr int kChunk = 64;  // scores compared with the bar together

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

// Return the start of the first chunk from `at` on that has a key above the bar, with the chunk's keys in `keys`; `end`
// if there is none.
template <bool kFloats>
std::int64_t find(const std::int32_t* bits, std::int64_t at, std::int64_t end, std::int64_t bar, std::int32_t* keys) {
    using ninefold::kChunk;
    for (; at < end; at += kChunk) {
        const int count = end - at < kChunk ? static_cast<int>(end - at) : kChunk;
        std::int32_t largest = INT32_MIN;
        for (int i = 0; i < count; i++) {
            std::int32_t key = bits[at + i];
            // In a negative float all bits but the sign are flipped, and -0 counts as 0.
            if (kFloats) key = key == INT32_MIN ? 0 : key < 0 ? key ^ INT32_MAX : key;
            keys[i] = key;
            largest = key > largest ? key : largest;
        }
        if (largest > bar) return at;
    }
    return end;
}

}  // namespace

NINEFOLD_ON_PATH(std::int64_t, find_above, (const std::int32_t* bits, bool floats, std::int64_t at, std::int64_t end,
                                            std::int64_t bar, std::int32_t* keys)) {
    return floats ? find<true>(bits, at, end, bar, keys) : find<false>(bits, at, end, bar, keys);
}

#else

#include <algorithm>
#include <functional>

NINEFOLD_PATHS(std::int64_t, find_above, (const std::int32_t* bits, bool floats, std::int64_t at, std::int64_t end,
                                          std::int64_t bar, std::int32_t* keys));

namespace ninefold {
namespace {

struct Place {
    std::int32_t key;
    std::int64_t position;

    // Whether this place is better: by key, of equal keys the earlier position.
    bool operator>(const Place& other) const {
        return key != other.key ? key > other.key : position < other.position;
    }
};

// The best places so far, as a heap with the worst on top.
class Best {
   public:
    explicit Best(std::int64_t k) : places_(k) {}

    // A later key must exceed this; below every key while there is a free place.
    std::int64_t bar() const { return count_ < size() ? std::int64_t{INT32_MIN} - 1 : places_[0].key; }

    void offer(std::int32_t key, std::int64_t position) {
        if (key <= bar()) return;
        if (count_ < size()) {
            places_[count_++] = Place{key, position};
            std::push_heap(places_.begin(), places_.begin() + count_, std::greater<>());
            return;
        }
        const Place place{key, position};
        std::int64_t at = 0;
        for (std::int64_t child = 1; child < size(); child = 2 * at + 1) {
            if (child + 1 < size() && places_[child] > places_[child + 1]) child++;
            if (!(place > places_[child])) break;
            places_[at] = places_[child];
            at = child;
        }
        places_[at] = place;
    }

    // Write the positions, best first, and start again.
    void finish(std::int64_t* positions) {
        std::sort(places_.begin(), places_.begin() + count_, std::greater<>());
        for (std::int64_t i = 0; i < count_; i++) positions[i] = places_[i].position;
        count_ = 0;
    }

   private:
    std::int64_t size() const { return static_cast<std::int64_t>(places_.size()); }

    std::vector<Place> places_;
    std::int64_t count_ = 0;
};

}  // namespace
}  // namespace ninefold

using namespace ninefold;

// Write the positions (rows x k) of the k largest of each row of scores (rows x columns), int32 or the bits of float32;
// places without a score keep their content.
NINEFOLD_INTERFACE(topk)(std::int64_t path, std::int64_t threads, const std::int32_t* bits, std::int64_t rows,
                         std::int64_t columns, std::int64_t floats, std::int64_t k, std::int64_t* positions) {
    try {
        threads = useful(threads, rows * columns);
        std::vector<Best> best(threads, Best(k));
        share(rows, 1, threads, [&](int thread, std::int64_t row, std::int64_t) {
            const std::int32_t* scores = bits + row * columns;
            Best& list = best[thread];
            std::int32_t keys[kChunk];
            for (std::int64_t at = 0;; at += kChunk) {
                at = find_above_paths[path](scores, floats, at, columns, list.bar(), keys);
                if (at >= columns) break;
                for (int i = 0; i < kChunk && at + i < columns; i++) list.offer(keys[i], at + i);
            }
            list.finish(positions + row * k);
        });
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
