// The rows of all workloads: a key's value is a run of text that depends on the key, hardly
// compressible, and costs nothing to make.
#pragma once

#include "base/slice.h"

#include <stdint.h>

#define DATA_VALUE_SIZE_MAX 65536

// Call once, before threads are started.
void data_init(void);

// `size` is at most DATA_VALUE_SIZE_MAX.
struct slice data_value(int64_t key, uint32_t size);
