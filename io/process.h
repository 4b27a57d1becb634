// What this process takes of the machine.
#pragma once

#include <stdint.h>

struct process_usage {
    uint64_t cpu_us; // Of all threads, user and system.
    uint64_t resident_size;
    uint64_t virtual_size;
    uint64_t file_count;
    uint64_t file_count_max;
    uint64_t thread_count;
};

// What cannot be found out is 0.
struct process_usage process_usage(void);

// Lets the process open as many files as its hard limit allows: connections are files, too.
void process_raise_file_limit(void);
