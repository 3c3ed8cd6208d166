// Vector extension of GCC and Clang, compiled to the processor's base instruction set.
#pragma once

#include <cstdint>
#include <cstring>

namespace {

struct Portable {
    static constexpr int kBytes = 16, kRows = 4, kTileVectors = 2;
    using Vec __attribute__((vector_size(16))) = std::uint8_t;
    using Sums __attribute__((vector_size(16))) = std::int16_t;
    using Words __attribute__((vector_size(16))) = std::int32_t;
    using Longs __attribute__((vector_size(16))) = std::int64_t;

    static Vec load(const void* p) {
        Vec v;
        std::memcpy(&v, p, sizeof v);
        return v;
    }
    static void store(void* p, Vec v) { std::memcpy(p, &v, sizeof v); }
    static Vec low(Vec v) { return (v ^ 8) & 15; }
    static Vec high(Vec v) { return (v >> 4) ^ 8; }
    static Vec splat(const std::int8_t* p) {
        std::int32_t word;
        std::memcpy(&word, p, 4);
        return splat32(word);
    }
    static Sums zero() { return Sums{}; }
    // The unsigned factor is a nibble, so its bytes can be split as signed halves too.
    static Sums accumulate(Sums s, Vec u, Vec v) {
        const Sums a = (Sums)u, b = (Sums)v;
        return s + (a & 255) * ((b << 8) >> 8) + (a >> 8) * (b >> 8);
    }
    static Vec widen(Sums s) {
        const Words w = (Words)s;
        return (Vec)(((w << 16) >> 16) + (w >> 16));
    }
    static Vec splat32(std::int32_t i) { return (Vec)Words{i, i, i, i}; }
    static Vec add(Vec a, Vec b) { return (Vec)((Words)a + (Words)b); }
    static std::uint32_t above(Vec a, std::int32_t bar) {
        const Words w = (Words)a;
        std::uint32_t mask = 0;
        for (int i = 0; i < kRows; i++) mask |= static_cast<std::uint32_t>(w[i] > bar) << i;
        return mask;
    }
    static Vec lo32(Vec a, Vec b) { return (Vec)Words{((Words)a)[0], ((Words)b)[0], ((Words)a)[1], ((Words)b)[1]}; }
    static Vec hi32(Vec a, Vec b) { return (Vec)Words{((Words)a)[2], ((Words)b)[2], ((Words)a)[3], ((Words)b)[3]}; }
    static Vec lo64(Vec a, Vec b) { return (Vec)Longs{((Longs)a)[0], ((Longs)b)[0]}; }
    static Vec hi64(Vec a, Vec b) { return (Vec)Longs{((Longs)a)[1], ((Longs)b)[1]}; }
    static void join(const Vec (&in)[1], Vec (&out)[1]) { out[0] = in[0]; }
    using Halves __attribute__((vector_size(16))) = std::uint16_t;
    static Vec low4(Vec v) { return v & 15; }
    static Vec high4(Vec v) { return v >> 4; }
    static Vec look_up(const std::uint8_t* table, Vec v) {
        for (int i = 0; i < kBytes; i++) v[i] = table[v[i]];
        return v;
    }
    static Vec add8(Vec a, Vec b) { return a + b; }
    static Vec add16(Vec a, Vec b) { return (Vec)((Halves)a + (Halves)b); }
    static Vec even8(Vec v) { return (Vec)((Halves)v & 255); }
    static std::uint32_t above16(Vec a, std::int32_t bar) {
        const Sums w = (Sums)a;
        std::uint32_t mask = 0;
        for (int i = 0; i < kBytes / 2; i++) mask |= static_cast<std::uint32_t>(w[i] > bar) << i;
        return mask;
    }
    static Vec odd8(Vec v) { return (Vec)((Halves)v >> 8); }
};

using Isa = Portable;

}  // namespace
