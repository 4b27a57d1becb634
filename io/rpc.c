#include "io/rpc.h"

#include "io/clock.h"
#include "io/rpc_internal.h"
#include "io/rpc_status.h"

#include <assert.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <inttypes.h>
#include <sched.h>

enum {
    POLL_EVENT_COUNT_MAX = 512, // So that what has been handled is answered before more comes.
    SCRATCH_SIZE_KEPT = 1 << 20,
    READY_US = 10, // What comes sooner had been there.
};

void rpc_start(grpc_call *call, const grpc_op *ops, size_t op_count, struct rpc_tag *tag)
{
    grpc_call_error result = grpc_call_start_batch(call, ops, op_count, tag, NULL);
    assert(result == GRPC_CALL_OK);
    (void)result;
}

gpr_timespec rpc_timespec(uint64_t deadline_us)
{
    if (deadline_us >= INT64_MAX) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_from_micros((int64_t)deadline_us, GPR_CLOCK_MONOTONIC);
}

// Most messages come as one slice, which is borrowed as it is.
struct slice rpc_message_bytes(struct rpc *rpc, grpc_byte_buffer *message, grpc_slice *slice)
{
    grpc_byte_buffer_reader reader;
    *slice = grpc_empty_slice();
    if (!grpc_byte_buffer_reader_init(&reader, message)) return (struct slice){0};

    struct slice bytes = {0};
    grpc_slice piece;
    if (grpc_byte_buffer_reader_next(&reader, slice)) bytes = rpc_slice_bytes(slice);
    if (bytes.size < grpc_byte_buffer_length(message)) {
        buffer_clear(&rpc->scratch);
        buffer_append_slice(&rpc->scratch, bytes);
        while (grpc_byte_buffer_reader_next(&reader, &piece)) {
            buffer_append_slice(&rpc->scratch, rpc_slice_bytes(&piece));
            grpc_slice_unref(piece);
        }
        bytes = buffer_slice(&rpc->scratch);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return bytes;
}

void rpc_trim_scratch(struct rpc *rpc)
{
    if (rpc->scratch.capacity > SCRATCH_SIZE_KEPT) buffer_release(&rpc->scratch);
}

grpc_byte_buffer *rpc_message_new(struct slice bytes)
{
    grpc_slice slice = rpc_slice_copy(bytes);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return message;
}

struct error *rpc_check_size(uint64_t size, uint64_t size_max)
{
    if (size <= size_max) return NULL;
    struct error *error = error_new(
        ERROR_REQUEST_THROTTLED,
        "Message of %" PRIu64 " bytes is larger than the limit of %" PRIu64 " bytes",
        size,
        size_max);
    return error_set_u64(error, "message_size_max", size_max);
}

struct error *rpc_status_error(
    grpc_status_code code,
    const grpc_slice *text,
    const grpc_metadata_array *trailing,
    const char *address)
{
    struct slice details = {0};
    for (size_t i = 0; i < trailing->count; i++) {
        const grpc_metadata *metadata = &trailing->metadata[i];
        if (slice_equal_text(rpc_slice_bytes(&metadata->key), RPC_STATUS_DETAILS_KEY))
            details = rpc_slice_bytes(&metadata->value);
    }
    return rpc_status_decode(code, rpc_slice_bytes(text), details, address);
}

void rpc_status_op(const struct error *error, struct rpc_outgoing_status *status, grpc_op *op)
{
    *status = (struct rpc_outgoing_status){
        .text = grpc_empty_slice(),
        .details = grpc_empty_slice(),
    };
    *op = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    op->data.send_status_from_server.status = GRPC_STATUS_OK;
    if (!error) return;

    CLEANUP(buffer_releasep) struct buffer details = {0};
    rpc_status_encode(error, &details);
    struct slice text = slice_from_text(error_message(error));
    text.size = MIN(text.size, (size_t)RPC_STATUS_TEXT_SIZE_MAX);
    status->text = rpc_slice_copy(text);
    status->details = rpc_slice_copy(buffer_slice(&details));
    status->metadata.key = grpc_slice_from_static_string(RPC_STATUS_DETAILS_KEY);
    status->metadata.value = status->details;
    op->data.send_status_from_server.status = rpc_status_code(error);
    op->data.send_status_from_server.status_details = &status->text;
    op->data.send_status_from_server.trailing_metadata = &status->metadata;
    op->data.send_status_from_server.trailing_metadata_count = 1;
}

void rpc_outgoing_status_release(struct rpc_outgoing_status *status)
{
    grpc_slice_unref(status->text);
    grpc_slice_unref(status->details);
}

static void on_woken(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc *rpc = tag->owner;
    atomic_store(&rpc->is_waking, false);
}

struct rpc *rpc_new(const struct rpc_options *options)
{
    grpc_init();
    struct rpc *rpc = must_alloc(calloc(1, sizeof *rpc));
    rpc->options = *options;
    if (rpc->options.message_size_max == 0)
        rpc->options.message_size_max = RPC_MESSAGE_SIZE_DEFAULT;
    if (rpc->options.stream_queue_size_max == 0)
        rpc->options.stream_queue_size_max = RPC_STREAM_QUEUE_SIZE_DEFAULT;
    assert(rpc->options.message_size_max <= INT32_MAX);
    rpc->queue = grpc_completion_queue_create_for_next(NULL);
    rpc->wake_channel =
        grpc_lame_client_channel_create("wake", GRPC_STATUS_UNAVAILABLE, "goes nowhere");
    rpc->wake_call = grpc_channel_create_call(
        rpc->wake_channel,
        NULL,
        0,
        rpc->queue,
        grpc_slice_from_static_string("/wake"),
        NULL,
        gpr_inf_future(GPR_CLOCK_MONOTONIC),
        NULL);
    rpc->wake_tag = (struct rpc_tag){.on_complete = on_woken, .owner = rpc};
    return rpc;
}

void rpc_wake(struct rpc *rpc)
{
    if (!atomic_exchange(&rpc->is_waking, true)) rpc_start(rpc->wake_call, NULL, 0, &rpc->wake_tag);
}

static void complete(struct rpc *rpc, const grpc_event *event)
{
    struct rpc_tag *tag = event->tag;
    if (!tag->is_quiet) rpc->has_news = true;
    tag->on_complete(tag, event->success != 0);
}

static grpc_event next_event(struct rpc *rpc, gpr_timespec until)
{
    return grpc_completion_queue_next(rpc->queue, until, NULL);
}

// Waits for the first event. Looks for it without sleeping as long as it may come soon: when polls
// waited less than `spin_us` of late, on the average.
static grpc_event wait_for_event(struct rpc *rpc, uint64_t now_us, uint64_t until_us)
{
    uint64_t spin_us = rpc->options.spin_us;
    if (spin_us == 0) return next_event(rpc, rpc_timespec(until_us));
    uint64_t start_us = now_us;
    uint64_t spin_end_us =
        rpc->usual_wait_us <= spin_us ? MIN(start_us + spin_us, until_us) : start_us;
    grpc_event event = next_event(rpc, gpr_inf_past(GPR_CLOCK_MONOTONIC));
    while (event.type == GRPC_QUEUE_TIMEOUT && now_us < spin_end_us) {
        sched_yield(); // Whom we wait for may want this core.
        event = next_event(rpc, gpr_inf_past(GPR_CLOCK_MONOTONIC));
        now_us = clock_now_us();
    }
    if (event.type == GRPC_QUEUE_TIMEOUT) event = next_event(rpc, rpc_timespec(until_us));

    // One long silence counts for no more than a few short waits, so that spinning resumes soon.
    uint64_t wait_us = MIN(clock_now_us() - start_us, 2 * spin_us);
    rpc->usual_wait_us = (3 * rpc->usual_wait_us + wait_us) / 4;
    return event;
}

void rpc_poll(struct rpc *rpc, uint64_t until_us)
{
    gpr_timespec over = gpr_inf_past(GPR_CLOCK_MONOTONIC);
    grpc_event event = {.type = GRPC_QUEUE_TIMEOUT};
    rpc->poll_count++;
    rpc->has_news = false;
    // What is ready comes first, before streams read on; without any, waiting finds it as well.
    if (rpc->due || until_us <= clock_now_us()) event = next_event(rpc, over);
    for (int i = 0;;) {
        while (event.type == GRPC_OP_COMPLETE) {
            complete(rpc, &event);
            if (++i >= POLL_EVENT_COUNT_MAX) return;
            event = next_event(rpc, over);
        }
        // Streams wait for one turn of the owner at most, and less if there is nothing to do.
        rpc_stream_receive_due(rpc, rpc->poll_count - (rpc->has_news ? 2 : 0));
        uint64_t now_us = clock_now_us();
        // gRPC rounds times up to a millisecond, so one that is over has to be said to be over.
        if (rpc->has_news || until_us <= now_us) return;
        event = wait_for_event(rpc, now_us, until_us);
        if (event.type != GRPC_OP_COMPLETE) return;
        if (clock_now_us() - now_us > READY_US) rpc->wait_count++;
    }
}

void rpc_free(struct rpc *rpc)
{
    if (!rpc) return;
    while (rpc->channels) rpc_channel_close(rpc->channels);
    rpc_stream_abandon_all(rpc, NULL);
    rpc_call_abandon_all(rpc); // Last, since the handlers may have answered some.
    if (rpc->server) {
        rpc_server_shut_down(rpc);
        grpc_server_cancel_all_calls(rpc->server);
        while (!rpc->is_shut_down) {
            rpc_poll(rpc, RPC_NEVER);
            // What came just before the shutdown.
            rpc_stream_abandon_all(rpc, NULL);
            rpc_call_abandon_all(rpc);
        }
        rpc_server_free(rpc);
    }
    grpc_call_unref(rpc->wake_call);
    grpc_channel_destroy(rpc->wake_channel);
    grpc_completion_queue_shutdown(rpc->queue);
    for (;;) {
        grpc_event event = next_event(rpc, gpr_inf_future(GPR_CLOCK_MONOTONIC));
        if (event.type == GRPC_QUEUE_SHUTDOWN) break;
        complete(rpc, &event);
    }
    grpc_completion_queue_destroy(rpc->queue);
    free(rpc->server_methods);
    assert(!rpc->calls && !rpc->streams && !rpc->channels);
    buffer_release(&rpc->scratch);
    free(rpc);
    grpc_shutdown();
}
