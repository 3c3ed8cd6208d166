// The 512-bit primitives on arrays, so that the AVX-512 path's algorithm can be tested bit for bit on any processor.
#pragma once

#include <cstdint>
#include <cstring>

namespace {

struct Emulated {
    static constexpr int kBytes = 64, kRows = 16, kTileVectors = 4;
    struct Vec {
        std::uint8_t bytes[kBytes];
    };
    struct Sums {
        std::int32_t values[kRows];
    };

    static Vec load(const void* p) {
        Vec v;
        std::memcpy(v.bytes, p, kBytes);
        return v;
    }
    static void store(void* p, const Vec& v) { std::memcpy(p, v.bytes, kBytes); }
    static Vec low(Vec v) {
        for (auto& byte : v.bytes) byte = (byte ^ 8) & 15;
        return v;
    }
    static Vec high(Vec v) {
        for (auto& byte : v.bytes) byte = (byte >> 4) ^ 8;
        return v;
    }
    static Vec splat(const std::int8_t* p) {
        Vec v;
        for (int i = 0; i < kBytes; i += 4) std::memcpy(v.bytes + i, p, 4);
        return v;
    }
    static Sums zero() { return Sums{}; }
    static Sums accumulate(Sums s, const Vec& u, const Vec& v) {
        for (int i = 0; i < kBytes; i++) s.values[i / 4] += u.bytes[i] * static_cast<std::int8_t>(v.bytes[i]);
        return s;
    }
    static Vec widen(const Sums& s) {
        return load(s.values);
    }
    static Vec splat32(std::int32_t i) {
        std::int8_t bytes[4];
        std::memcpy(bytes, &i, 4);
        return splat(bytes);
    }
    static Vec add(const Vec& a, const Vec& b) {
        std::int32_t x[kRows], y[kRows];
        store(x, a);
        store(y, b);
        for (int i = 0; i < kRows; i++) x[i] += y[i];
        return load(x);
    }
    static std::uint32_t above(const Vec& a, std::int32_t bar) {
        std::int32_t lanes[kRows];
        store(lanes, a);
        std::uint32_t mask = 0;
        for (int i = 0; i < kRows; i++) mask |= static_cast<std::uint32_t>(lanes[i] > bar) << i;
        return mask;
    }
    // Interleave groups of Size bytes from byte From on of each 16-byte block.
    template <int Size, int From>
    static Vec interleave(const Vec& a, const Vec& b) {
        Vec v;
        for (int block = 0; block < kBytes; block += 16) {
            for (int i = 0; i < 8; i += Size) {
                std::memcpy(v.bytes + block + 2 * i, a.bytes + block + From + i, Size);
                std::memcpy(v.bytes + block + 2 * i + Size, b.bytes + block + From + i, Size);
            }
        }
        return v;
    }
    static Vec lo32(const Vec& a, const Vec& b) { return interleave<4, 0>(a, b); }
    static Vec hi32(const Vec& a, const Vec& b) { return interleave<4, 8>(a, b); }
    static Vec lo64(const Vec& a, const Vec& b) { return interleave<8, 0>(a, b); }
    static Vec hi64(const Vec& a, const Vec& b) { return interleave<8, 8>(a, b); }
    template <int Blocks>
    static Vec shuffle(const Vec& a, const Vec& b) {
        Vec v;
        for (int i = 0; i < 4; i++) {
            const auto& from = i < 2 ? a : b;
            std::memcpy(v.bytes + 16 * i, from.bytes + 16 * (Blocks >> (2 * i) & 3), 16);
        }
        return v;
    }
    static Vec low4(Vec v) {
        for (auto& byte : v.bytes) byte &= 15;
        return v;
    }
    static Vec high4(Vec v) {
        for (auto& byte : v.bytes) byte >>= 4;
        return v;
    }
    static Vec look_up(const std::uint8_t* table, Vec v) {
        for (auto& byte : v.bytes) byte = table[byte];
        return v;
    }
    static Vec add8(Vec a, const Vec& b) {
        for (int i = 0; i < kBytes; i++) a.bytes[i] += b.bytes[i];
        return a;
    }
    static Vec add16(const Vec& a, const Vec& b) {
        std::uint16_t x[kBytes / 2], y[kBytes / 2];
        store(x, a);
        store(y, b);
        for (int i = 0; i < kBytes / 2; i++) x[i] += y[i];
        return load(x);
    }
    static Vec even8(Vec v) {
        for (int i = 1; i < kBytes; i += 2) v.bytes[i] = 0;
        return v;
    }
    static std::uint32_t above16(const Vec& a, std::int32_t bar) {
        std::int16_t lanes[kBytes / 2];
        store(lanes, a);
        std::uint32_t mask = 0;
        for (int i = 0; i < kBytes / 2; i++) mask |= static_cast<std::uint32_t>(lanes[i] > bar) << i;
        return mask;
    }
    static Vec odd8(Vec v) {
        for (int i = 0; i < kBytes; i += 2) {
            v.bytes[i] = v.bytes[i + 1];
            v.bytes[i + 1] = 0;
        }
        return v;
    }
};

using Isa = Emulated;

}  // namespace
