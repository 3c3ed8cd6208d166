// Copies the value changes of a simulator's VCD to a waveform under new names. It is not in Python because a run of a
// large core has a hundred million changes.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#define NINEFOLD_EXPORT extern "C" __attribute__((visibility("default")))

// A signal of the waveform. Mirrored by _Signal in changes.py.
struct Signal {
    const char* code;   // identifier code in the source
    const char* key;    // identifier code in a new VCD
    const char* names;  // names of an enumeration, as lines of binary digits, `=` and a name; otherwise null
    uint32_t handle;    // handle in an FST
    uint32_t width;
    uint32_t low;  // position of its least significant bit in the value of the code
    uint32_t of;   // width of the value of the code
};

// Writer of an FST, with functions of GTKWave's library. Mirrored by _Fst in changes.py.
struct Fst {
    void* context;
    void (*time)(void* context, uint64_t time);
    void (*change)(void* context, uint32_t handle, const void* digits);
    void (*name)(void* context, uint32_t handle, const void* name, uint32_t length);
};

struct Target {
    std::string key;
    uint32_t handle;
    uint32_t width;
    uint32_t low;
    uint32_t of;
    std::unordered_map<std::string, std::string> names;
    std::string last;  // last digits of a field, which may stay the same when its signal changes
};

struct Copy {
    FILE* source;
    FILE* vcd;  // null if an FST is written
    Fst fst;
    std::unordered_map<uint64_t, std::vector<Target>> targets;
    std::string whole, digits;  // value of a change, and digits of a field
    bool unread = false;         // reading the source failed
    char* line = nullptr;
    size_t capacity = 0;
};

// Codes are short: four characters distinguish 78 million signals.
static uint64_t packed(std::string_view code) {
    uint64_t word = 0;
    if (code.size() <= sizeof word) std::memcpy(&word, code.data(), code.size());
    return word;
}

static std::string named(const Target& target, const std::string& digits) {
    auto found = target.names.find(digits);
    if (found != target.names.end()) return found->second;
    if (digits.size() > 64 || digits.find_first_not_of("01") != std::string::npos) return digits;
    return std::to_string(std::strtoull(digits.c_str(), nullptr, 2));
}

static void change(Copy& copy, std::string_view value, std::string_view code) {
    auto found = copy.targets.find(packed(code));
    if (found == copy.targets.end()) return;
    std::vector<Target>& targets = found->second;
    // A VCD omits leading digits.
    char lead = value[0] == '1' ? '0' : value[0];
    uint32_t of = targets.front().of;
    copy.whole.assign(of > value.size() ? of - value.size() : 0, lead);
    copy.whole.append(value);
    for (Target& target : targets) {
        copy.digits.assign(copy.whole, of - target.low - target.width, target.width);
        if (target.width < of) {
            if (target.last == copy.digits) continue;
            target.last = copy.digits;
        }
        if (!target.names.empty()) {
            std::string name = named(target, copy.digits);
            if (copy.vcd == nullptr) {
                copy.fst.name(copy.fst.context, target.handle, name.data(), static_cast<uint32_t>(name.size()));
            } else {
                for (char& one : name)
                    if (one == ' ') one = '_';  // values in a VCD contain no spaces
                std::fprintf(copy.vcd, "s%s %s\n", name.c_str(), target.key.c_str());
            }
        } else if (copy.vcd == nullptr) {
            copy.fst.change(copy.fst.context, target.handle, copy.digits.data());
        } else if (target.width == 1) {
            std::fprintf(copy.vcd, "%s%s\n", copy.digits.c_str(), target.key.c_str());
        } else {
            std::fprintf(copy.vcd, "b%s %s\n", copy.digits.c_str(), target.key.c_str());
        }
    }
}

static void copy_line(Copy& copy, std::string_view line) {
    if (line.size() < 2) return;
    switch (line[0]) {
        case '#': {
            uint64_t time = std::strtoull(line.data() + 1, nullptr, 10);
            if (copy.vcd == nullptr) copy.fst.time(copy.fst.context, time);
            else std::fprintf(copy.vcd, "#%llu\n", static_cast<unsigned long long>(time));
            break;
        }
        case 'b': {
            size_t space = line.find(' ');
            if (space != std::string_view::npos && space > 1) change(copy, line.substr(1, space - 1), line.substr(space + 1));
            break;
        }
        case '0': case '1': case 'x': case 'z':
            change(copy, line.substr(0, 1), line.substr(1));
            break;
        default:
            break;  // keywords such as $dumpvars
    }
}

// Starts after the definitions of `source`. Changes are appended to `vcd`, or written to `fst` if `vcd` is null.
NINEFOLD_EXPORT Copy* ninefold_copy_open(
    const char* source, uint64_t offset, const char* vcd, const Fst* fst, const Signal* signals, uint64_t count) {
    FILE* opened = std::fopen(source, "rb");
    if (opened == nullptr) return nullptr;
    std::setvbuf(opened, nullptr, _IOFBF, 1 << 20);
    FILE* appended = vcd == nullptr ? nullptr : std::fopen(vcd, "ab");
    if (std::fseek(opened, static_cast<long>(offset), SEEK_SET) != 0 || (vcd != nullptr && appended == nullptr)) {
        std::fclose(opened);
        return nullptr;
    }
    Copy* copy = new Copy{opened, appended, fst == nullptr ? Fst{} : *fst};
    for (const Signal* one = signals; one != signals + count; ++one) {
        Target target{one->key, one->handle, one->width, one->low, one->of, {}, {}};
        for (const char* at = one->names; at != nullptr && *at != '\0';) {
            const char* sign = std::strchr(at, '=');
            const char* end = std::strchr(at, '\n');
            target.names.emplace(std::string(at, sign), std::string(sign + 1, end));
            at = end + 1;
        }
        copy->targets[packed(one->code)].push_back(std::move(target));
    }
    return copy;
}

// Copies about `bytes` bytes of the source; returns 0 at its end. An incomplete line is left for the next call: the
// simulator is still writing it, or crashed.
NINEFOLD_EXPORT int ninefold_copy_some(Copy* copy, uint64_t bytes) {
    for (uint64_t read = 0; read < bytes;) {
        ssize_t length = getline(&copy->line, &copy->capacity, copy->source);
        if (length <= 0 || copy->line[length - 1] != '\n') {
            copy->unread = copy->unread || std::ferror(copy->source);
            std::clearerr(copy->source);
            if (length > 0) std::fseek(copy->source, -static_cast<long>(length), SEEK_CUR);
            return 0;
        }
        read += static_cast<uint64_t>(length);
        copy_line(*copy, std::string_view(copy->line, static_cast<size_t>(length) - 1));
    }
    return 1;
}

// Returns 0 if an error occurred.
NINEFOLD_EXPORT int ninefold_copy_close(Copy* copy) {
    bool whole = !copy->unread;
    std::fclose(copy->source);
    if (copy->vcd != nullptr) {
        whole = !std::ferror(copy->vcd) && whole;
        whole = std::fclose(copy->vcd) == 0 && whole;
    }
    std::free(copy->line);
    delete copy;
    return whole;
}
