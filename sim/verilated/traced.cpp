// Harness of a model that writes waveforms: its top records a range of cycles to a file, and watches for a beat of a
// stream. Cycles are counted from 0, without cycles in reset.

#include "Vtop.h"
#include "verilated.h"
#include "verilated_vcd_c.h"

#include "streams.h"

class TracedTop final : public Vtop {
public:
    uint64_t watched = ~uint64_t{0};

    // No name, because a name would add a scope around the design's own top.
    TracedTop(VerilatedContext* context, const char*) : Vtop{context, ""} { context->traceEverOn(true); }
    ~TracedTop() override { m_vcd.close(); }

    // A cycle takes 10 ns.
    void record(const char* path, uint64_t first, uint64_t last) {
        trace(&m_vcd, 99);
        m_vcd.set_time_unit("1ns");
        m_vcd.set_time_resolution("1ns");
        m_vcd.open(path);
        m_first = first;
        m_last = last;
    }

    void watch(uint64_t stream, uint64_t beat) {
        m_stream = stream;
        m_beats = beat + 1;
    }

    void eval() {
        Vtop::eval();
        if (rst) return;
        if (!clk) look();
        if (m_vcd.isOpen() && m_cycle >= m_first && m_cycle <= m_last) m_vcd.dump(10 * m_cycle + (clk ? 5 : 0));
        if (clk) ++m_cycle;
    }

private:
    VerilatedVcdC m_vcd;
    uint64_t m_cycle = 0;
    uint64_t m_first = 0;
    uint64_t m_last = 0;
    uint64_t m_stream = 0;
    uint64_t m_beats = 0;

    void look() {
        Vtop& top = *this;
        bool moves = false;
#define INPUT(i, payload, valid, ready) \
    if (m_stream == i) moves = valid && ready;
#define OUTPUT INPUT
        STREAMS
#undef INPUT
#undef OUTPUT
        if (m_beats != 0 && moves && --m_beats == 0) watched = m_cycle;
    }
};

#define Vtop TracedTop
#include "harness.cpp"

NINEFOLD_EXPORT void ninefold_record(Harness* h, const char* path, uint64_t first, uint64_t last) {
    h->top.record(path, first, last);
}

NINEFOLD_EXPORT void ninefold_watch(Harness* h, uint64_t stream, uint64_t beat) { h->top.watch(stream, beat); }

NINEFOLD_EXPORT uint64_t ninefold_watched(Harness* h) { return h->top.watched; }
