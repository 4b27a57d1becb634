#include "io/clock.h"

#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec time;
    clock_gettime(id, &time); // Cannot fail with these ids.
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

uint64_t clock_now_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}
