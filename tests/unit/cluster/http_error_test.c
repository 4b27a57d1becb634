#include "cluster/http_error.h"

#include "tests/test.h"

TestSuite(http_error, .fini = abort_on_leaks);

Test(http_error, is_one_line_of_ascii)
{
    CLEANUP(buffer_releasep) struct buffer json = {0};
    CLEANUP(error_freep)
    struct error *error = error_new(ERROR_RESOLVE_ERROR, "No \"имя\" \xF0\x9F\x98\x80 \xff\n");
    error_set_str(error, "path", "//\xd1");
    error_set_u64(error, "line", 5);
    http_error_print(error, &json);
    buffer_append_byte(&json, 0);
    assert_text(
        json.data,
        "{\"code\":500,\"message\":\"No \\\"\\u0438\\u043c\\u044f\\\" \\ud83d\\ude00 \\ufffd\\n\","
        "\"attributes\":{\"path\":\"//\\ufffd\",\"line\":5},\"inner_errors\":[]}");
    CLEANUP(arena_releasep) struct arena arena = {0};
    assert_text(http_error_message(&arena, error), "No \"??????\" ???? ??");
}
