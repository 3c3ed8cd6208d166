// Division of work among threads.
#include <atomic>
#include <exception>
#include <thread>

#include "kernel.h"

namespace ninefold {

void share(std::int64_t total, std::int64_t take, std::int64_t threads, Work* work, void* context) {
    std::atomic<std::int64_t> next{0};
    const auto loop = [&](int thread) {
        for (std::int64_t begin; (begin = next.fetch_add(take)) < total;) {
            work(context, thread, begin, begin + take < total ? begin + take : total);
        }
    };
    std::vector<std::thread> others;
    others.reserve(threads);
    try {
        for (int i = 1; i < threads; i++) others.emplace_back(loop, i);
    } catch (const std::exception&) {
        // No more threads available: the existing ones do all the work.
    }
    loop(0);
    for (auto& other : others) other.join();
}

}  // namespace ninefold
