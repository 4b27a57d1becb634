// YSON: what is read and written again reads the same, in each form.
#include "model/yson.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *node = NULL;
    struct error *error = yson_parse(&arena, slice_from(data, size), &node);
    error_free(error);
    if (!error) {
        for (int form = YSON_TEXT; form <= YSON_BINARY; form++) {
            CLEANUP(buffer_releasep) struct buffer text = {0};
            struct node *again = NULL;
            yson_print(node, (enum yson_format)form, &text);
            error = yson_parse(&arena, buffer_slice(&text), &again);
            assert(!error);
            // Not node_equal: NaN is not equal to itself.
            CLEANUP(buffer_releasep) struct buffer text_again = {0};
            yson_print(again, (enum yson_format)form, &text_again);
            assert(slice_equal(buffer_slice(&text), buffer_slice(&text_again)));
        }
    }
    struct slice rest = slice_from(data, size);
    do {
        error = yson_parse_item(&arena, &rest, &node);
        error_free(error);
    } while (!error && node);
    return 0;
}
