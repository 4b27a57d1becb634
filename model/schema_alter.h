// What alter_table may make of a schema.
// Source: YTsaurus yt/yt/library/heavy_schema_validation.
#pragma once

#include "model/schema.h"

// Whether a table of schema `old` may be altered to `new` (316 `Table schemas are incompatible`
// with the inner error of behaviour 3.5). `is_empty`: whether the table has no rows and is not
// replicated.
MUST_USE struct error *schema_check_alter(
    const struct schema *old, const struct schema *new_schema, bool is_empty);
