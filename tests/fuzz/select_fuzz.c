// The language of select-rows: any bytes are a query or an error.
#include "cluster/query/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct query *query = NULL;
    error_free(query_parse(&arena, slice_from(data, size), NULL, &query));
    return 0;
}
