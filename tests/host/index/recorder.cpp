// Records what a process does to the files below one folder, loaded before the C library (LD_PRELOAD).
//
// Each operation is made and appended to the log under one lock, so that the log is in the order of the operations. A
// record is one `Header`, the path, a second path (of a rename) or nothing, and the data of a write. What is not
// intercepted here, such as a write to mapped memory, is noticed: the recorded operations do not make the folder again.

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

struct Header {
    char kind;        // C create, W write, D durable write, S sync, T truncate, R rename, U unlink, M mkdir, X rmdir
    char unused[3];
    uint32_t first;   // length of the path
    uint32_t second;  // length of the second path
    uint32_t size;    // bytes of data
    uint64_t offset;  // of the data, or the size after a truncation
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
int log_file = -1;
const char *below = nullptr;

struct Lock {
    Lock() { pthread_mutex_lock(&mutex); }
    ~Lock() { pthread_mutex_unlock(&mutex); }
};

template <typename Function> Function real(const char *name) { return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name)); }
#define REAL(name) (real<decltype(&name)>(#name))

bool put(const void *data, size_t size) {
    return syscall(SYS_write, log_file, data, size) == static_cast<ssize_t>(size);
}

void record(char kind, const char *path, const char *second = "", uint64_t offset = 0, const iovec *data = nullptr,
            int count = 0, size_t size = 0) {
    if (log_file < 0 && getenv("NINEFOLD_RECORD")) {
        below = getenv("NINEFOLD_RECORDED");
        log_file = syscall(SYS_openat, AT_FDCWD, getenv("NINEFOLD_RECORD"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    if (log_file < 0 || !below || strncmp(path, below, strlen(below)) != 0) return;
    Header header{kind, {}, static_cast<uint32_t>(strlen(path)), static_cast<uint32_t>(strlen(second)),
                  static_cast<uint32_t>(size), offset};
    bool good = put(&header, sizeof header) && put(path, header.first) && put(second, header.second);
    for (int i = 0; good && i < count && size > 0; i++) {
        size_t part = data[i].iov_len < size ? data[i].iov_len : size;
        good = put(data[i].iov_base, part);
        size -= part;
    }
    if (!good) abort();
}

// Path of an open file.
struct Named {
    char path[PATH_MAX] = "";
    explicit Named(int file) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
        path[length > 0 ? length : 0] = 0;
    }
};

// Absolute path of a name, whose folder exists.
struct Absolute {
    char path[PATH_MAX] = "";
    Absolute(int folder, const char *name) {
        if (name[0] == '/') {
            snprintf(path, sizeof path, "%s", name);
        } else if (folder == AT_FDCWD) {
            char here[PATH_MAX];
            if (getcwd(here, sizeof here)) join(here, name);
        } else {
            join(Named(folder).path, name);
        }
    }
    void join(const char *folder, const char *name) {
        size_t length = strlen(folder), rest = strlen(name);
        if (length + rest + 2 > sizeof path) return;
        memcpy(path, folder, length);
        path[length] = '/';
        memcpy(path + length + 1, name, rest + 1);
    }
};

int opened(int file, bool existed, int flags) {
    if (file >= 0 && (flags & O_CREAT) && !existed) record('C', Named(file).path);
    if (file >= 0 && (flags & O_TRUNC) && existed) record('T', Named(file).path);
    return file;
}

bool exists(int folder, const char *name) { return syscall(SYS_faccessat, folder, name, F_OK) == 0; }

mode_t mode_of(int flags, va_list rest) { return flags & O_CREAT ? va_arg(rest, mode_t) : 0; }

ssize_t written(int file, ssize_t done, const iovec *data, int count, off_t offset) {
    if (done > 0) {
        bool durable = (fcntl(file, F_GETFL) & O_DSYNC) != 0;
        record(durable ? 'D' : 'W', Named(file).path, "", offset, data, count, done);
    }
    return done;
}

off_t before(int file, ssize_t done) { return done > 0 ? lseek(file, 0, SEEK_CUR) - done : 0; }

}  // namespace

extern "C" {

#define OPEN(name)                                                         \
    int name(const char *path, int flags, ...) {                           \
        va_list rest;                                                      \
        va_start(rest, flags);                                             \
        mode_t mode = mode_of(flags, rest);                                \
        va_end(rest);                                                      \
        Lock lock;                                                         \
        bool existed = exists(AT_FDCWD, path);                             \
        return opened(REAL(name)(path, flags, mode), existed, flags);      \
    }
#define OPENAT(name)                                                       \
    int name(int folder, const char *path, int flags, ...) {               \
        va_list rest;                                                      \
        va_start(rest, flags);                                             \
        mode_t mode = mode_of(flags, rest);                                \
        va_end(rest);                                                      \
        Lock lock;                                                         \
        bool existed = exists(folder, path);                               \
        return opened(REAL(name)(folder, path, flags, mode), existed, flags); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *data, size_t size) {
    Lock lock;
    ssize_t done = REAL(write)(file, data, size);
    iovec one{const_cast<void *>(data), size};
    return written(file, done, &one, 1, before(file, done));
}

ssize_t writev(int file, const iovec *data, int count) {
    Lock lock;
    ssize_t done = REAL(writev)(file, data, count);
    return written(file, done, data, count, before(file, done));
}

#define PWRITE(name, type)                                                 \
    ssize_t name(int file, const void *data, size_t size, type offset) {   \
        Lock lock;                                                         \
        iovec one{const_cast<void *>(data), size};                         \
        return written(file, REAL(name)(file, data, size, offset), &one, 1, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, type)                                                \
    ssize_t name(int file, const iovec *data, int count, type offset) {    \
        Lock lock;                                                         \
        return written(file, REAL(name)(file, data, count, offset), data, count, offset); \
    }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define SYNC(name)                                                         \
    int name(int file) {                                                   \
        Lock lock;                                                         \
        int failed = REAL(name)(file);                                     \
        if (!failed) record('S', Named(file).path);                        \
        return failed;                                                     \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, type)                                               \
    int name(int file, type size) noexcept {                               \
        Lock lock;                                                         \
        int failed = REAL(name)(file, size);                               \
        if (!failed) record('T', Named(file).path, "", size);              \
        return failed;                                                     \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *from, const char *to) noexcept {
    Lock lock;
    int failed = REAL(rename)(from, to);
    if (!failed) record('R', Absolute(AT_FDCWD, from).path, Absolute(AT_FDCWD, to).path);
    return failed;
}

int renameat(int a, const char *from, int b, const char *to) noexcept {
    Lock lock;
    int failed = REAL(renameat)(a, from, b, to);
    if (!failed) record('R', Absolute(a, from).path, Absolute(b, to).path);
    return failed;
}

int unlink(const char *path) noexcept {
    Lock lock;
    int failed = REAL(unlink)(path);
    if (!failed) record('U', Absolute(AT_FDCWD, path).path);
    return failed;
}

int unlinkat(int folder, const char *path, int flags) noexcept {
    Lock lock;
    int failed = REAL(unlinkat)(folder, path, flags);
    if (!failed) record(flags & AT_REMOVEDIR ? 'X' : 'U', Absolute(folder, path).path);
    return failed;
}

int rmdir(const char *path) noexcept {
    Lock lock;
    int failed = REAL(rmdir)(path);
    if (!failed) record('X', Absolute(AT_FDCWD, path).path);
    return failed;
}

int mkdir(const char *path, mode_t mode) noexcept {
    Lock lock;
    int failed = REAL(mkdir)(path, mode);
    if (!failed) record('M', Absolute(AT_FDCWD, path).path);
    return failed;
}

int mkdirat(int folder, const char *path, mode_t mode) noexcept {
    Lock lock;
    int failed = REAL(mkdirat)(folder, path, mode);
    if (!failed) record('M', Absolute(folder, path).path);
    return failed;
}

}  // extern "C"
