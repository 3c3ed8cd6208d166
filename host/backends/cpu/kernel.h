// Conventions of the kernel: one file an operator, compiled once for each path and once for its C interface.
//
// In OPERATOR.cpp the part inside `#ifdef NINEFOLD_PATH` is the code that depends on the instruction set. It is compiled
// after path_PATH.h, which selects the instructions. For code that includes products.h it also defines `Isa`, a set of
// vector primitives; plain loops are vectorised by the compiler.
//   NINEFOLD_ON_PATH(void, search, (const Job& job)) { ... }     // defines ninefold::search_avx2 and so on
// The part after `#else` is compiled for every processor. It has the C interface, and calls the code of a path:
//   NINEFOLD_PATHS(void, search, (const Job& job));              // declares them, and the array search_paths
//   NINEFOLD_INTERFACE(operator)(std::int64_t path, std::int64_t threads, ...) { search_paths[path](job); ... }
// Arguments are std::int64_t, double and pointers to arrays; kOutOfMemory tells that memory is exhausted.
//
// Code of a path uses no standard template: a linker keeps one copy of each, and the one that it keeps might be compiled
// for instructions that the processor does not have.
#pragma once

#include <cstdint>

#define NINEFOLD_JOINED(name, path) name##_##path
#define NINEFOLD_NAMED(name, path) NINEFOLD_JOINED(name, path)

#ifdef NINEFOLD_PATH

#define NINEFOLD_ON_PATH(result, name, parameters)            \
    namespace ninefold {                                      \
    result NINEFOLD_NAMED(name, NINEFOLD_PATH) parameters;    \
    }                                                         \
    result ninefold::NINEFOLD_NAMED(name, NINEFOLD_PATH) parameters

#else

// In the order of the paths' numbers in kernel.py.
#if defined(__x86_64__)
#define NINEFOLD_PATHS(result, name, parameters)                                                               \
    namespace ninefold {                                                                                       \
    result name##_portable parameters;                                                                         \
    result name##_emulated parameters;                                                                         \
    result name##_avx2 parameters;                                                                             \
    result name##_avx512 parameters;                                                                           \
    static result(*const name##_paths[]) parameters = {name##_portable, name##_emulated, name##_avx2, name##_avx512}; \
    }                                                                                                          \
    static_assert(true)
#else
#define NINEFOLD_PATHS(result, name, parameters)                                           \
    namespace ninefold {                                                                   \
    result name##_portable parameters;                                                     \
    result name##_emulated parameters;                                                     \
    static result(*const name##_paths[]) parameters = {name##_portable, name##_emulated};  \
    }                                                                                      \
    static_assert(true)
#endif

#define NINEFOLD_INTERFACE(name) extern "C" __attribute__((visibility("default"))) int ninefold_##name

#include <atomic>
#include <new>
#include <thread>
#include <vector>

namespace ninefold {

constexpr int kOutOfMemory = 1;

// Work on the units from begin to end - 1, on one of several threads.
using Work = void(void* context, int thread, std::int64_t begin, std::int64_t end);

// Do all takes of `take` units of `total`, on up to `threads` threads (threads.cpp).
void share(std::int64_t total, std::int64_t take, std::int64_t threads, Work* work, void* context);

// The same with work(thread, begin, end) for a lambda.
template <class Lambda>
void share(std::int64_t total, std::int64_t take, std::int64_t threads, Lambda work) {
    const auto call = [](void* context, int thread, std::int64_t begin, std::int64_t end) {
        (*static_cast<Lambda*>(context))(thread, begin, end);
    };
    share(total, take, threads, call, &work);
}

// Do `passes` passes of `items` items each, with work(thread, pass, item). An item begins when all of the passes before it
// are done. Starting threads takes as long as a million operations, so all passes have the same threads.
template <class Lambda>
void share_passes(std::int64_t passes, std::int64_t items, std::int64_t threads, Lambda work) {
    constexpr int kGlances = 1 << 10;  // before another program may have the processor
    std::atomic<std::int64_t> done{0};
    share(passes * items, 1, threads, [&](int thread, std::int64_t number, std::int64_t) {
        const std::int64_t pass = number / items;
        for (int glance = 0; done.load(std::memory_order_acquire) < pass * items; glance++) {
            if (glance >= kGlances) std::this_thread::yield();
        }
        work(thread, pass, number % items);
        done.fetch_add(1, std::memory_order_release);
    });
}

// Array whose rows are part of all rows (`JoinedRows.table` in Python).
struct RowPart {
    const void* rows;
    std::int64_t first, count;  // number of its first row among all rows, and of its rows
};

// Rows of several arrays, one after another.
class JoinedRows {
   public:
    JoinedRows(const RowPart* parts, std::int64_t number, std::int64_t row_bytes)
        : parts_(parts), number_(number), row_bytes_(row_bytes) {}

    const std::uint8_t* at(std::int64_t row) const {
        const RowPart* part = parts_ + number_ - 1;  // there are few
        while (part->first > row) part--;
        return static_cast<const std::uint8_t*>(part->rows) + (row - part->first) * row_bytes_;
    }

   private:
    const RowPart* parts_;
    std::int64_t number_, row_bytes_;
};

// Number of threads, at most `threads`, for work of some elementary operations.
inline std::int64_t useful(std::int64_t threads, std::int64_t operations) {
    constexpr std::int64_t kPerThread = 1 << 22;  // minimum for which another thread pays off
    const std::int64_t most = operations / kPerThread;
    return most < 1 ? 1 : most < threads ? most : threads;
}

}  // namespace ninefold

#endif
