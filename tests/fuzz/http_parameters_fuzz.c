// Parameters of HTTP requests. The input is cut at bytes 0xff into the parts of a head and a body.
#include "cluster/http_parameters.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice take_part(struct slice *rest)
{
    const char *end = memchr(rest->data, 0xff, rest->size);
    struct slice part = slice_from(rest->data, end ? (size_t)(end - rest->data) : rest->size);
    size_t taken = MIN(part.size + 1, rest->size);
    *rest = slice_from(rest->data + taken, rest->size - taken);
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_from(data, size);
    struct http_parameter query[3];
    for (int i = 0; i < 3; i++) {
        query[i].key = take_part(&rest);
        query[i].value = take_part(&rest);
    }
    struct slice parts[2] = {take_part(&rest), take_part(&rest)};
    struct http_head head = {
        .query = query,
        .query_count = size % 4,
        .header_format = take_part(&rest),
        .parameters = take_part(&rest),
        .parts = parts,
        .part_count = size % 3,
        .input_format = take_part(&rest),
        .output_format = take_part(&rest),
        .content_type = take_part(&rest),
        .accept = take_part(&rest),
    };
    CLEANUP(arena_releasep) struct arena arena = {0};
    struct node *parameters = NULL;
    struct format format = {0};
    struct error *error = http_parameters_read(&arena, &head, &parameters);
    if (!error) error = http_parameters_format(parameters, "output_format", &format);
    if (!error) error = http_parameters_add_body(&arena, parameters, rest);
    error_free(error);
    return 0;
}
