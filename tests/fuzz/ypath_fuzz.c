// YPath: any bytes are a path or an error.
#include "model/ypath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct ypath path;
    error_free(ypath_parse(&arena, slice_from(data, size), &path));
    return 0;
}
