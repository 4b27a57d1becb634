#include "io/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t count_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) return 0;
    uint64_t count = 0;
    while (readdir(folder)) count++;
    closedir(folder);
    return count > 3 ? count - 3 : 0; // Two are `.` and `..`, one is the folder.
}

// The number in a line of /proc/self/status like `VmRSS:   1234 kB`.
static uint64_t find_number(const char *status, const char *name)
{
    uint64_t number = 0;
    const char *line = strstr(status, name);
    if (line) (void)!sscanf(line + strlen(name), ": %" SCNu64, &number);
    return number;
}

struct process_usage process_usage(void)
{
    struct process_usage usage = {0};
    struct rusage times;
    struct rlimit limit;
    char status[8192] = "";
    if (getrusage(RUSAGE_SELF, &times) == 0) {
        usage.cpu_us = (uint64_t)(times.ru_utime.tv_sec + times.ru_stime.tv_sec) * 1000000 +
                       (uint64_t)(times.ru_utime.tv_usec + times.ru_stime.tv_usec);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.file_count_max = limit.rlim_cur;
    FILE *file = fopen("/proc/self/status", "re");
    if (file) {
        status[fread(status, 1, sizeof status - 1, file)] = '\0';
        fclose(file);
    }
    usage.resident_size = find_number(status, "VmRSS") * 1024;
    usage.virtual_size = find_number(status, "VmSize") * 1024;
    usage.thread_count = find_number(status, "Threads");
    usage.file_count = count_files();
    return usage;
}

void process_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); // Otherwise it stays as it is.
}
