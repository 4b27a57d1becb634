#include "io/wire.h"

#include "proto/retable/v1/client.pb-c.h"
#include "tests/test.h"

TestSuite(wire, .fini = abort_on_leaks);

Test(wire, carries_a_message)
{
    struct guid id = {.high = 0x0123456789abcdef, .low = 0xfedcba9876543210};
    uint8_t id_bytes[WIRE_GUID_SIZE];
    Retable__V1__Modification modification = RETABLE__V1__MODIFICATION__INIT;
    modification.path = (char *)(uintptr_t) "//home/t";
    modification.rowset = wire_bytes(slice_from("a\0b", 3));
    Retable__V1__Modification *modifications[] = {&modification};
    Retable__V1__CommitRequest sent = RETABLE__V1__COMMIT_REQUEST__INIT;
    sent.mutation_id = wire_guid(id, id_bytes);
    sent.modifications = modifications;
    sent.n_modifications = 1;
    CLEANUP(buffer_releasep) struct buffer buffer = {0};
    wire_encode(&sent.base, &buffer);

    CLEANUP(arena_releasep) struct arena arena = {0};
    Retable__V1__CommitRequest *received = NULL;
    assert_ok(WIRE_DECODE(&arena, retable__v1__commit_request, buffer_slice(&buffer), &received));
    struct guid received_id = GUID_NULL;
    assert_ok(wire_get_guid(received->mutation_id, "mutation_id", &received_id));
    cr_assert(guid_equal(received_id, id));
    assert_ok(wire_get_guid(received->transaction_id, "transaction_id", &received_id));
    cr_assert(guid_is_null(received_id));
    cr_assert(eq(sz, received->n_modifications, 1));
    assert_text(received->modifications[0]->path, "//home/t");
    cr_assert(slice_equal(wire_slice(received->modifications[0]->rowset), slice_from("a\0b", 3)));
}

Test(wire, refuses_what_is_malformed)
{
    CLEANUP(arena_releasep) struct arena arena = {0};
    Retable__V1__CommitRequest *request = NULL;
    CLEANUP(error_freep)
    struct error *error =
        WIRE_DECODE(&arena, retable__v1__commit_request, SLICE_OF("\xff\xff"), &request);
    assert_text(error_message(error), "Message of type retable.v1.CommitRequest is malformed");

    struct guid id = GUID_NULL;
    CLEANUP(error_freep)
    struct error *wrong = wire_get_guid(wire_bytes(SLICE_OF("123")), "transaction_id", &id);
    assert_text(error_message(wrong), "Field transaction_id is not an id of 16 bytes");
}
