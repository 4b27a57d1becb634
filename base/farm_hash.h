// Fingerprints of Google's FarmHash, which stay the same for ever.
#pragma once

#include "base/slice.h"

#include <stdint.h>

uint64_t farm_fingerprint_bytes(struct slice bytes);
uint64_t farm_fingerprint_number(uint64_t number);

// Of two numbers together; the order matters.
uint64_t farm_fingerprint_pair(uint64_t first, uint64_t second);
