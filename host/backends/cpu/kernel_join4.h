// Transposition of 16-byte blocks for 512-bit vectors, real and emulated.
#pragma once

namespace {

// Isa::shuffle<i>(a, b) takes blocks i & 3 and i >> 2 & 3 of a, then blocks i >> 4 & 3 and i >> 6 of b.
template <class Isa>
inline void join4(const typename Isa::Vec (&in)[4], typename Isa::Vec (&out)[4]) {
    const auto a = Isa::template shuffle<0x44>(in[0], in[1]), b = Isa::template shuffle<0x44>(in[2], in[3]);
    const auto c = Isa::template shuffle<0xee>(in[0], in[1]), d = Isa::template shuffle<0xee>(in[2], in[3]);
    out[0] = Isa::template shuffle<0x88>(a, b);
    out[1] = Isa::template shuffle<0xdd>(a, b);
    out[2] = Isa::template shuffle<0x88>(c, d);
    out[3] = Isa::template shuffle<0xdd>(c, d);
}

}  // namespace
