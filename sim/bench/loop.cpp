// Bare loop around a verilated top-k core, the peer of the harness: a score a cycle, no back-pressure, no checks.
// streams.h names the ports, as INPUT(index, payload, valid, ready) and OUTPUT(...) in STREAMS.

#include <cstdint>
#include <cstring>

#include "Vtop.h"
#include "verilated.h"

#include "streams.h"

// Reset the core, send `count` beats and collect `wanted` beats; return the cycles that this took.
extern "C" __attribute__((visibility("default"))) uint64_t ninefold_loop(
    const uint8_t* beats, uint64_t count, uint8_t* results, uint64_t wanted) {
    // One instance for all calls, as the harness has: constructing it takes longer than thousands of cycles.
    static VerilatedContext context;
    static Vtop top{&context, "top"};
#define INPUT(i, payload, valid, ready) valid = 0;
#define OUTPUT(i, payload, valid, ready) ready = 1;
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
    uint64_t sent = 0, received = 0, cycles = 0;
    for (; received < wanted; ++cycles) {
#define INPUT(i, payload, valid, ready)                                               \
    valid = sent < count;                                                             \
    if (sent < count) std::memcpy(&payload, beats + sent * sizeof(payload), sizeof(payload));
#define OUTPUT(i, payload, valid, ready)
        STREAMS
#undef INPUT
#undef OUTPUT
        top.clk = 0;
        top.eval();
#define INPUT(i, payload, valid, ready) sent += valid && ready;
#define OUTPUT(i, payload, valid, ready)                                              \
    if (valid) std::memcpy(results + received++ * sizeof(payload), &payload, sizeof(payload));
        STREAMS
#undef INPUT
#undef OUTPUT
        top.clk = 1;
        top.eval();
    }
    return cycles;
}
