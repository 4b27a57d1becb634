// A disk that fails, for a daemon that is started with LD_PRELOAD: the n-th write or sync from now
// on goes wrong in files below a folder; or it is full.
//
// Left out is sync_file_range: it promises nothing, and RocksDB asserts that a first one, a
// question whether the system has it, succeeds.
//
// RETABLE_FAULTS names a file FOLDER.faults, which the test and this library share as memory. It
// belongs to storage_test.py, which knows its layout too.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum call { CALL_WRITE = 1, CALL_SYNC = 2 };

enum fault {
    FAULT_EIO,    // Once, nothing is done.
    FAULT_ENOSPC, // From then on, nothing is done.
    FAULT_SHORT,  // Once, half is written, and the call says so.
    FAULT_TORN,   // Once, half is written, and the call fails.
};

struct faults {
    _Atomic int64_t call;
    _Atomic int64_t fault;
    _Atomic int64_t countdown; // The call that brings it to 0 goes wrong; 0 or less: none.
    _Atomic int64_t hit_count;
    _Atomic int64_t is_full; // Whether it says that it has no room.
};

static struct faults *faults;
static char folder[PATH_MAX]; // Ends with a slash.

__attribute__((constructor)) static void begin(void)
{
    static const char SUFFIX[] = ".faults";
    const char *path = getenv("RETABLE_FAULTS");
    if (!path) return;
    int size = snprintf(folder, sizeof folder, "%s", path) - (int)strlen(SUFFIX);
    if (size <= 0 || strcmp(folder + size, SUFFIX) != 0) abort();
    snprintf(folder + size, sizeof folder - (size_t)size, "/");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *memory = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) abort();
    close(fd);
    faults = memory;
}

static bool is_ours(int fd)
{
    char link[64];
    char path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path);
    return size > 0 && (size_t)size > strlen(folder) && memcmp(path, folder, strlen(folder)) == 0;
}

// Whether this call goes wrong.
static bool is_hit(enum call call, int fd)
{
    if (!faults || faults->call != call || faults->countdown <= 0 || !is_ours(fd)) return false;
    if (faults->countdown > 1) {
        faults->countdown--;
        return false;
    }
    if (faults->fault != FAULT_ENOSPC) faults->countdown = 0;
    faults->hit_count++;
    return true;
}

static int fail(void)
{
    errno = faults->fault == FAULT_ENOSPC ? ENOSPC : EIO;
    return -1;
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (!is_hit(CALL_WRITE, fd)) return syscall(SYS_write, fd, data, size);
    ssize_t done = 0;
    if (faults->fault == FAULT_SHORT || faults->fault == FAULT_TORN)
        done = syscall(SYS_write, fd, data, (size + 1) / 2);
    return faults->fault == FAULT_SHORT ? done : fail();
}

int fsync(int fd)
{
    return is_hit(CALL_SYNC, fd) ? fail() : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return is_hit(CALL_SYNC, fd) ? fail() : (int)syscall(SYS_fdatasync, fd);
}

int statvfs(const char *restrict path, struct statvfs *restrict disk)
{
    int (*real)(const char *, struct statvfs *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "statvfs64"); // The name that the header gives it.
    int result = real(path, disk);
    if (result == 0 && faults && faults->is_full) disk->f_bavail = 0;
    return result;
}
