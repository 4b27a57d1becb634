// Dropping what no replica needs from replication logs: rule Q4.
#pragma once

#include "coordinator/core/coordinator.h"

#define TRIM_PERIOD_US UINT64_C(1000000)

// Trims all logs, and forgets old mutations, if it is time.
void trimming_tick(struct coordinator *coordinator);
