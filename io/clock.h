// The only place that reads clocks.
#pragma once

#include <stdint.h>

// Monotonic, from an arbitrary start; what every `_us` means.
uint64_t clock_now_us(void);

// Since 1970; may jump.
uint64_t clock_wall_us(void);
