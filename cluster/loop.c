#include "cluster/loop.h"

#include "cluster/commands/commands.h"
#include "io/clock.h"
#include "io/token.h"

void loop_tick(struct loop *loop)
{
    if (loop->is_ticked) return;
    loop->is_ticked = true;
    loop->now_us = clock_now_us();
    machine_tick(loop->machine, loop->now_us, clock_wall_us());
}

// What takes room for good. Everything else goes on with a full disk, above all what frees it.
static bool takes_room(const struct request *request)
{
    switch (request->kind) {
    case REQUEST_COMMIT:
    case REQUEST_MODIFY: return true;
    case REQUEST_COMMAND: {
        const struct command *command = command_find(request->command);
        bool writes_rows = command && command->is_volatile && command->input == COMMAND_TABULAR;
        return writes_rows || slice_equal(request->command, SLICE_OF("commit_transaction")) ||
               slice_equal(request->command, SLICE_OF("create"));
    }
    case REQUEST_LOOKUP:
    case REQUEST_SELECT:
    case REQUEST_START_TRANSACTION:
    case REQUEST_PING_TRANSACTION:
    case REQUEST_ABORT_TRANSACTION: break;
    }
    return false;
}

static struct error *check_admission(const struct loop *loop, const struct request *request)
{
    if (loop->is_stopping) return error_new(ERROR_RPC_UNAVAILABLE, "The server is being shut down");
    const struct error *disk_error = loop->machine->cell.disk_error;
    if (disk_error && takes_room(request)) return error_copy(disk_error);
    if (loop->request_count > LOOP_REQUEST_COUNT_MAX) {
        struct error *error = error_new(ERROR_REQUEST_THROTTLED, "Too many requests are under way");
        return error_set_u64(error, "count_max", LOOP_REQUEST_COUNT_MAX);
    }
    if (loop->request_size > LOOP_REQUEST_SIZE_MAX) {
        struct error *error =
            error_new(ERROR_REQUEST_THROTTLED, "Requests under way take too much memory");
        return error_set_u64(error, "size_max", LOOP_REQUEST_SIZE_MAX);
    }
    return NULL;
}

// Randomness is not the machine's: a command that gives a token out brings a new one with it.
static void bring_token(struct request *request)
{
    char token[TOKEN_TEXT_MAX];
    char hash[TOKEN_HASH_SIZE];
    token_make(token);
    token_hash(slice_from_text(token), hash);
    request->new_token = arena_copy(&request->arena, slice_from_text(token));
    request->new_token_hash = arena_copy(&request->arena, slice_from(hash, sizeof hash));
}

void loop_submit(struct loop *loop, struct request *request, struct request_owner *owner)
{
    owner->request_size = request->arena.size;
    request->owner = owner;
    loop->request_count++;
    loop->request_size += owner->request_size;
    struct error *error = check_admission(loop, request);
    if (error) {
        request->error = error;
        loop_answer(loop, request);
    } else {
        if (slice_equal_text(request->command, "issue_token")) bring_token(request);
        machine_request(loop->machine, request);
    }
}

void loop_forget(struct loop *loop, const struct request *request)
{
    const struct request_owner *owner = request->owner;
    loop->request_count--;
    loop->request_size -= owner->request_size;
}

void loop_answer(struct loop *loop, struct request *request)
{
    struct request_owner *owner = request->owner;
    if (!request->source) loop_forget(loop, request);
    if (request->kind == REQUEST_COMMAND) loop->has_commanded = true;
    if (request->error) loop->machine->failed_request_count++;
    owner->on_answered(owner, request);
}
