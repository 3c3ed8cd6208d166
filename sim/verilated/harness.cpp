// Drives a verilated core through its streams, whole arrays at a time. The same code serves every core: the generated
// streams.h lists the core's streams in STREAMS, as INPUT(index, payload, valid, ready) and OUTPUT(...); the ports are
// members of `top`.

#include <chrono>
#include <cstdint>
#include <cstring>

#include "Vtop.h"
#include "verilated.h"

#include "streams.h"

#define NINEFOLD_EXPORT extern "C" __attribute__((visibility("default")))

// One stream during one run. Mirrored by _Channel in model.py.
struct Channel {
    uint8_t* data;    // the beats, one after the other
    uint64_t count;   // beats to send or to collect
    uint64_t done;    // beats transferred so far
    uint64_t gap;     // probability of an unused cycle, times 2^32
    uint64_t random;  // state of the random generator for `gap`, not 0
    uint64_t held;    // input: 1 while the next beat is offered, until it is taken
};

// One run. Mirrored by _Progress in model.py.
struct Progress {
    uint64_t cycles;    // cycles simulated so far
    uint64_t idle;      // cycles since a beat moved
    uint64_t patience;  // maximum of idle
    uint64_t slice_ns;  // approximate time after which to return to the caller
};

enum Status : int { DONE = 0, SLICE = 1, HUNG = 2 };

struct Harness {
    VerilatedContext context;
    Vtop top{&context, "top"};
};

// Reading the clock costs about as much as a cycle of a small core.
constexpr uint64_t CYCLES_PER_LOOK = 1024;

static inline bool gap(Channel& c) {
    if (c.gap == 0) return false;
    c.random ^= c.random << 13;  // Marsaglia's xorshift64
    c.random ^= c.random >> 7;
    c.random ^= c.random << 17;
    return (c.random >> 32) < c.gap;
}

template <class Payload>
static inline void offer(Channel& c, Payload& payload, CData& valid) {
    if (!c.held && c.done < c.count && !gap(c)) {
        std::memcpy(&payload, c.data + c.done * sizeof(Payload), sizeof(Payload));
        c.held = 1;
    }
    valid = static_cast<CData>(c.held);
}

static inline void accept(Channel& c, CData& ready) { ready = c.done < c.count && !gap(c); }

static inline bool sent(Channel& c, CData ready) {
    if (!(c.held && ready)) return false;
    c.held = 0;
    ++c.done;
    return true;
}

template <class Payload>
static inline bool received(Channel& c, const Payload& payload, CData valid, CData ready) {
    if (!(valid && ready)) return false;
    std::memcpy(c.data + c.done * sizeof(Payload), &payload, sizeof(Payload));
    ++c.done;
    return true;
}

NINEFOLD_EXPORT Harness* ninefold_open() { return new Harness; }

NINEFOLD_EXPORT void ninefold_close(Harness* h) { delete h; }

// Bytes of a beat of a stream as compiled, for comparison with the size that the caller expects.
NINEFOLD_EXPORT uint64_t ninefold_beat_bytes(Harness* h, uint64_t stream) {
    Vtop& top = h->top;
#define INPUT(i, payload, valid, ready) \
    if (stream == i) return sizeof(payload);
#define OUTPUT INPUT
    STREAMS
#undef INPUT
#undef OUTPUT
    return 0;
}

NINEFOLD_EXPORT void ninefold_reset(Harness* h) {
    Vtop& top = h->top;
#define INPUT(i, payload, valid, ready) valid = 0;
#define OUTPUT(i, payload, valid, ready) ready = 0;
    STREAMS
#undef INPUT
#undef OUTPUT
    for (int cycle = 0; cycle < 2; ++cycle) {
        top.rst = 1;
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
    }
    top.rst = 0;
}

// Simulates until every channel has moved its beats, the time slice has ended, or no beat has moved for too long.
NINEFOLD_EXPORT int ninefold_run(Harness* h, Channel* channels, Progress* progress) {
    Vtop& top = h->top;
    uint64_t left = 0;
#define INPUT(i, payload, valid, ready) left += channels[i].count - channels[i].done;
#define OUTPUT INPUT
    STREAMS
#undef INPUT
#undef OUTPUT
    const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(progress->slice_ns);
    uint64_t cycles = 0;
    uint64_t idle = progress->idle;
    int status = DONE;
    while (left != 0) {
        if (idle > progress->patience) {
            status = HUNG;
            break;
        }
        if (cycles % CYCLES_PER_LOOK == CYCLES_PER_LOOK - 1 && std::chrono::steady_clock::now() >= end) {
            status = SLICE;
            break;
        }
#define INPUT(i, payload, valid, ready) offer(channels[i], payload, valid);
#define OUTPUT(i, payload, valid, ready) accept(channels[i], ready);
        STREAMS
#undef INPUT
#undef OUTPUT
        top.clk = 0;
        top.eval();
        uint64_t moved = 0;
#define INPUT(i, payload, valid, ready) moved += sent(channels[i], ready);
#define OUTPUT(i, payload, valid, ready) moved += received(channels[i], payload, valid, ready);
        STREAMS
#undef INPUT
#undef OUTPUT
        top.clk = 1;
        top.eval();
        ++cycles;
        left -= moved;
        idle = moved ? 0 : idle + 1;
    }
    progress->cycles += cycles;
    progress->idle = idle;
    return status;
}
