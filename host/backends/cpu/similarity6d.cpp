// Similarities of context vectors. What a record contributes alone (the unit vector of its embedding, the softmax of its
// intents, the set of its causes) is formed once; a pair then costs one dot product of 768 numbers and a few operations.
#include "chains.h"
#include "kernel.h"

namespace ninefold {

constexpr int kEmbedding = 512, kIntents = 256, kWidth = kEmbedding + kIntents, kLinks = 8, kTile = 4;

// Columns of records (`_table` in Python). Floats are the bits of float16 numbers.
struct Columns {
    const std::uint16_t* embedding;
    const std::uint64_t* timestamp;
    const std::uint16_t* horizon;
    const std::uint8_t* modality;
    const std::uint16_t* intent;
    const std::uint16_t* confidence;
    const std::uint8_t* links;
    const std::uint8_t* hashes;
};

// What is needed of a record besides its vector: unit embedding and softmax, kWidth numbers.
struct Traits {
    std::uint64_t causes[4];  // bit h: a link has the hash h
    std::uint64_t timestamp;
    float horizon, confidence;
    int modality, linked;
};

// Weights of the parts, and the time constant in seconds.
struct Weights {
    double embedding, time, modality, intent, links, confidence, without_links, fade_s;
};

}  // namespace ninefold

#ifdef NINEFOLD_PATH

namespace {

using namespace ninefold;

// With the exponent's bias corrected by a power of two, subnormal numbers are right too. There are no infinities.
inline float widened_half(std::uint16_t half) {
    std::uint32_t bits = (half & 0x7fffu) << 13;
    float number;
    __builtin_memcpy(&number, &bits, 4);
    number *= 0x1p112f;
    __builtin_memcpy(&bits, &number, 4);
    bits |= (half & 0x8000u) << 16;
    __builtin_memcpy(&number, &bits, 4);
    return number;
}

// e^x for x <= 0, within 2e-7 of the value: 2^n times a series for the rest, which is at most ln(2) / 2.
inline float exponential(float x) {
    x = x < -86.0f ? -86.0f : x;
    const float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float y = 1.0f / 5040;
    y = y * r + 1.0f / 720;
    y = y * r + 1.0f / 120;
    y = y * r + 1.0f / 24;
    y = y * r + 1.0f / 6;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23;
    float power;
    __builtin_memcpy(&power, &bits, 4);
    return y * power;
}

// Write the vector of a record, its parts multiplied by factors.
void record_vector(const std::uint16_t* embedding, const std::uint16_t* intent, double of_embedding, double of_intent,
                   float* vector) {
    Vec squares[2] = {};
    for (int d = 0; d < kEmbedding; d++) vector[d] = widened_half(embedding[d]);
    for (int d = 0; d < kEmbedding; d += 2 * kLanes) {
        for (int i = 0; i < 2; i++) {
            const Vec part = load(vector + d + i * kLanes);
            squares[i] += part * part;
        }
    }
    const double square = total(both_halves(squares[0]) + both_halves(squares[1]));
    const float factor = static_cast<float>(square > 0 ? of_embedding / __builtin_sqrt(square) : 0);
    for (int d = 0; d < kEmbedding; d++) vector[d] *= factor;

    float* shares = vector + kEmbedding;
    for (int i = 0; i < kIntents; i++) shares[i] = widened_half(intent[i]);
    float most = shares[0];
    for (int i = 1; i < kIntents; i++) most = shares[i] > most ? shares[i] : most;
    for (int i = 0; i < kIntents; i++) shares[i] = exponential(shares[i] - most);
    Vec sums[2] = {};
    for (int i = 0; i < kIntents; i += 2 * kLanes) {
        sums[0] += load(shares + i);
        sums[1] += load(shares + i + kLanes);
    }
    const float share = static_cast<float>(of_intent / total(both_halves(sums[0]) + both_halves(sums[1])));
    for (int i = 0; i < kIntents; i++) shares[i] *= share;
}

// Number of one bits, without the instruction that not every processor has.
inline int ones(std::uint64_t x) {
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    return static_cast<int>(((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
}

// Weighted parts other than embedding and intent.
inline double other_parts(const Weights& w, const Traits& a, const Traits& b) {
    const std::uint64_t apart = a.timestamp > b.timestamp ? a.timestamp - b.timestamp : b.timestamp - a.timestamp;
    const float longest = a.horizon > b.horizon ? a.horizon : b.horizon;
    const double fade = longest > w.fade_s ? longest : w.fade_s;
    double sum = w.time * exponential(static_cast<float>(-1e-6 * static_cast<double>(apart) / fade));
    if (const int either = a.modality | b.modality) {
        sum += w.modality * ones(static_cast<std::uint64_t>(a.modality & b.modality)) / ones(static_cast<std::uint64_t>(either));
    }
    double causes = w.without_links;
    if (a.linked && b.linked) {
        int both = 0, either = 0;
        for (int i = 0; i < 4; i++) both += ones(a.causes[i] & b.causes[i]), either += ones(a.causes[i] | b.causes[i]);
        causes = static_cast<double>(both) / either;
    }
    const float difference = __builtin_fabsf(a.confidence - b.confidence);
    return sum + w.links * causes + w.confidence * (difference < 1 ? 1 - difference : 0);
}

}  // namespace

// Form the vectors (kWidth numbers each) and traits of the records from `begin` to `end` - 1.
NINEFOLD_ON_PATH(void, form_records, (const Columns& from, std::int64_t begin, std::int64_t end, double of_embedding,
                                      double of_intent, float* vectors, Traits* traits)) {
    for (std::int64_t row = begin; row < end; row++, vectors += kWidth, traits++) {
        record_vector(from.embedding + row * kEmbedding, from.intent + row * kIntents, of_embedding, of_intent, vectors);
        *traits = Traits{};
        traits->timestamp = from.timestamp[row];
        traits->horizon = widened_half(from.horizon[row]);
        traits->confidence = widened_half(from.confidence[row]);
        traits->modality = from.modality[row];
        traits->linked = from.links[row];
        for (int i = 0; i < from.links[row]; i++) {
            const int hash = from.hashes[row * kLinks + i];
            traits->causes[hash / 64] |= std::uint64_t{1} << hash % 64;
        }
    }
}

// Write to found[q * stride + row] the similarities of queries, whose vectors have the weights in them, and records.
NINEFOLD_ON_PATH(void, record_similarities, (const Weights& weights, const float* a, const Traits* of_a,
                                             std::int64_t queries, const float* b, const Traits* of_b,
                                             std::int64_t rows, std::int64_t stride, float* found)) {
    for (std::int64_t q = 0; q < queries; q += kTile) {
        const int some = queries - q < kTile ? static_cast<int>(queries - q) : kTile;
        for (std::int64_t row = 0; row < rows; row++) {
            double sums[kTile];
            if (some == kTile) {
                dot_products<kTile>(a + q * kWidth, kWidth, b + row * kWidth, kWidth, sums);
            } else {
                for (int i = 0; i < some; i++) dot_products<1>(a + (q + i) * kWidth, kWidth, b + row * kWidth, kWidth, sums + i);
            }
            for (int i = 0; i < some; i++) {
                const double sum = sums[i] + other_parts(weights, of_a[q + i], of_b[row]);
                found[(q + i) * stride + row] = static_cast<float>(sum < 0 ? 0 : sum < 1 ? sum : 1);
            }
        }
    }
}

#else

#include <algorithm>

NINEFOLD_PATHS(void, form_records, (const Columns& from, std::int64_t begin, std::int64_t end, double of_embedding,
                                    double of_intent, float* vectors, Traits* traits));
NINEFOLD_PATHS(void, record_similarities, (const Weights& weights, const float* a, const Traits* of_a,
                                           std::int64_t queries, const float* b, const Traits* of_b, std::int64_t rows,
                                           std::int64_t stride, float* found));

using namespace ninefold;

namespace {

constexpr std::int64_t kQueries = 128;  // formed at once
constexpr std::int64_t kRows = 32;      // of a thread, which stay in the second cache

// Vectors and traits of some records.
struct Formed {
    std::vector<float> vectors;
    std::vector<Traits> traits;

    explicit Formed(std::int64_t rows) : vectors(rows * kWidth), traits(rows) {}
};

}  // namespace

// Write the similarity of each of the records `a` and each of the records `b` to found[a * count_b + b]. With `own`, each
// record of `a` has `count_b` records `b` of its own, one after another.
NINEFOLD_INTERFACE(similarity6d)(std::int64_t path, std::int64_t threads, const Weights* weights, const Columns* a,
                                 std::int64_t count_a, const Columns* b, std::int64_t count_b, std::int64_t own,
                                 float* found) {
    constexpr std::int64_t kForming = 8 * kWidth;  // operations that form a record
    const std::int64_t forming = (own ? count_a : 1) * count_b * kForming;
    const std::int64_t workers = useful(threads, count_a * count_b * kWidth + forming);
    const std::int64_t together = own ? 1 : std::min(kQueries, count_a);
    try {
        std::vector<Formed> queries, rows;
        for (std::int64_t i = 0; i < (own ? workers : 1); i++) queries.emplace_back(together);
        for (std::int64_t i = 0; i < workers; i++) rows.emplace_back(kRows);
        const auto form_queries = [&](Formed& to, std::int64_t begin, std::int64_t end) {
            form_records_paths[path](*a, begin, end, weights->embedding, weights->intent, to.vectors.data(), to.traits.data());
        };
        const auto score = [&](const Formed& of, std::int64_t some, Formed& to, std::int64_t first, std::int64_t begin,
                               std::int64_t end, float* target) {
            form_records_paths[path](*b, first + begin, first + end, 1, 1, to.vectors.data(), to.traits.data());
            record_similarities_paths[path](*weights, of.vectors.data(), of.traits.data(), some, to.vectors.data(),
                                            to.traits.data(), end - begin, count_b, target + begin);
        };
        if (own) {
            share(count_a, 1, workers, [&](int thread, std::int64_t query, std::int64_t) {
                form_queries(queries[thread], query, query + 1);
                for (std::int64_t begin = 0; begin < count_b; begin += kRows) {
                    score(queries[thread], 1, rows[thread], query * count_b, begin, std::min(count_b, begin + kRows),
                          found + query * count_b);
                }
            });
            return 0;
        }
        for (std::int64_t first = 0; first < count_a; first += kQueries) {
            const std::int64_t some = std::min(kQueries, count_a - first);
            form_queries(queries[0], first, first + some);
            share(count_b, kRows, workers, [&](int thread, std::int64_t begin, std::int64_t end) {
                score(queries[0], some, rows[thread], 0, begin, end, found + first * count_b);
            });
        }
    } catch (const std::bad_alloc&) {
        return kOutOfMemory;
    }
    return 0;
}

#endif
