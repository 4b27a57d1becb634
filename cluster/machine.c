#include "cluster/machine.h"

#include "cluster/commands/commands.h"
#include "cluster/core/access.h"
#include "cluster/core/layout.h"
#include "cluster/core/row_copies.h"
#include "cluster/core/subjects.h"
#include "coordinator/core/sessions.h"

struct error *machine_new(
    const struct cell_options *options,
    uint64_t now_us,
    uint64_t wall_us,
    struct machine **ret_machine)
{
    struct machine *machine = must_alloc(calloc(1, sizeof *machine));
    machine->transactions_expire_at_us = UINT64_MAX;
    machine->has_leaving_tablets = true;
    struct error *error = cell_init(&machine->cell, options, now_us, wall_us);
    retention_init(&machine->retention, now_us, options->retention_period_us);
    if (!error) error = row_copies_recover(&machine->cell);
    if (!error) error = sources_init(&machine->sources, &machine->cell);
    if (!error) error = coordinator_init(&machine->coordinator, &machine->cell);
    if (!error) {
        cell_apply_urgent(&machine->cell);
        error = TAKE(machine->cell.fatal);
    }
    if (!error) error = store_sync(options->store);
    if (error) {
        machine_free(machine);
        return error;
    }
    cell_synced(&machine->cell);
    *ret_machine = machine;
    return NULL;
}

void machine_free(struct machine *machine)
{
    if (!machine) return;
    machine_free_transactions(machine);
    copyings_release(machine);
    coordinator_release(&machine->coordinator);
    waiting_reads_release(&machine->waiting_reads);
    sources_release(&machine->sources);
    retention_release(&machine->retention);
    cell_release(&machine->cell);
    free(machine);
}

// -------------------------------------------------------------------------------------------------
// Requests

// Who it is by what it has shown: the name of a user that is there, or empty for root.
static struct error *authenticate(
    const struct machine *machine, struct request *request, struct slice *ret_user)
{
    const struct cell *cell = &machine->cell;
    *ret_user = (struct slice){0};
    if (!cell->options.requires_authentication || request->is_peer) return NULL;
    if (request->token_hash.size == 0)
        return error_new(ERROR_AUTHENTICATION_ERROR, "Client is missing credentials");
    if (slice_equal(request->token_hash, cell->options.root_token_hash)) return NULL;
    const struct object *token = object_child(cell->tree.tokens, request->token_hash);
    if (token) *ret_user = token_user(&request->arena, token);
    if (user_find(&cell->tree, *ret_user)) return NULL;
    return error_new(ERROR_INVALID_CREDENTIALS, "Invalid token");
}

struct error *machine_identify(struct machine *machine, struct request *request)
{
    struct tree *tree = &machine->cell.tree;
    struct slice user;
    struct object *wanted = NULL;
    TRY(authenticate(machine, request, &user));
    if (request->user.size == 0) request->user = user;
    if (request->user.size == 0) return NULL;
    if (!slice_equal(request->user, user) && !user_is_super(tree, user)) {
        return error_new(
            ERROR_AUTHENTICATION_ERROR,
            "User \"%.*s\" cannot act as \"%.*s\": only superusers can act as others",
            SLICE(user),
            SLICE(request->user));
    }
    TRY(user_get(tree, request->user, &wanted));
    if (slice_equal(request->user, USER_ROOT)) request->user = (struct slice){0};
    return NULL;
}

void machine_request(struct machine *machine, struct request *request)
{
    machine->request_count++;
    struct error *error = machine_identify(machine, request);
    if (error) {
        cell_fail(&machine->cell, request, error);
        return;
    }
    switch (request->kind) {
    case REQUEST_COMMAND: command_execute(machine, request); return;
    case REQUEST_COMMIT: machine_commit(machine, request); return;
    case REQUEST_LOOKUP: machine_lookup(machine, request); return;
    case REQUEST_SELECT: machine_select(machine, request); return;
    case REQUEST_START_TRANSACTION: machine_start_transaction(machine, request); return;
    case REQUEST_PING_TRANSACTION: machine_ping_transaction(machine, request); return;
    case REQUEST_ABORT_TRANSACTION: machine_abort_transaction(machine, request); return;
    case REQUEST_MODIFY: machine_modify(machine, request); return;
    }
}

// -------------------------------------------------------------------------------------------------
// Links and time

void machine_link_up(struct machine *machine, uint64_t link, struct slice cluster)
{
    coordinator_link_up(&machine->coordinator, link, cluster);
}

void machine_link_down(struct machine *machine, uint64_t link)
{
    coordinator_link_down(&machine->coordinator, link);
    receiver_link_down(&machine->sources, link);
}

void machine_receive(struct machine *machine, uint64_t link, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_OPEN:
    case MESSAGE_RESOLVE:
    case MESSAGE_ROWS:
    case MESSAGE_DECIDE:
    case MESSAGE_PING:
    case MESSAGE_BEAT: receiver_receive(&machine->sources, link, message); break;
    case MESSAGE_HELLO:
    case MESSAGE_ACK:
    case MESSAGE_PONG:
    case MESSAGE_NACK: coordinator_receive(&machine->coordinator, link, message); break;
    }
    message_free(message);
}

void machine_tick(struct machine *machine, uint64_t now_us, uint64_t wall_us)
{
    struct cell *cell = &machine->cell;
    assert(now_us >= cell->now_us);
    cell->now_us = now_us;
    cell->wall_us = wall_us;
    cell_extend_ceiling(cell);
    cell_apply(cell);
    machine_expire_transactions(machine);
    retention_tick(&machine->retention, cell, table_closed_timestamp);
    copyings_tick(machine);
}

// Tablets move on when nothing is undecided on them any more.
static void settle_tablets(struct machine *machine)
{
    struct cell *cell = &machine->cell;
    if (!machine->has_leaving_tablets) return;
    machine->has_leaving_tablets = false;
    for (struct tablet *tablet = cell->tree.tablets; tablet; tablet = tablet->hh.next) {
        bool is_leaving = tablet->state == TABLET_FREEZING || tablet->state == TABLET_UNMOUNTING;
        if (!is_leaving) continue;
        if (tablet->undecided_count > 0) {
            machine->has_leaving_tablets = true;
            continue;
        }
        tablet->state = tablet->state == TABLET_FREEZING ? TABLET_FROZEN : TABLET_UNMOUNTED;
        object_save(&cell->batch, tablet->table->object);
        for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {
            session_save_progress(cell, tablet->table->replicas[i]->session);
        }
        machine->coordinator.is_dirty = true;
    }
    cell_apply(cell);
}

static void retry(struct machine *machine, struct request *list)
{
    struct request *request = NULL;
    struct request *next = NULL;
    DL_FOREACH_SAFE (list, request, next) {
        request->next = NULL;
        request->prev = NULL;
        machine_request(machine, request);
    }
}

void machine_settle(struct machine *machine)
{
    if (machine->cell.fatal) return;
    coordinator_tick(&machine->coordinator);
    settle_tablets(machine);
    retry(machine, coordinator_take_ready(&machine->coordinator));
    retry(
        machine,
        waiting_reads_take(&machine->waiting_reads, &machine->sources, machine->cell.now_us));
    receiver_flush(&machine->sources);
    coordinator_flush(&machine->coordinator);
}

void machine_synced(struct machine *machine)
{
    cell_synced(&machine->cell);
}

uint64_t machine_wake_at_us(const struct machine *machine)
{
    const struct cell *cell = &machine->cell;
    uint64_t wake_at_us = coordinator_wake_at_us(&machine->coordinator);
    wake_at_us = MIN(wake_at_us, waiting_reads_wake_at_us(&machine->waiting_reads));
    wake_at_us = MIN(wake_at_us, machine->transactions_expire_at_us);
    wake_at_us = MIN(wake_at_us, machine->retention.step_at_us);
    if (machine->copyings) wake_at_us = MIN(wake_at_us, machine->copyings_step_at_us);
    wake_at_us = MIN(wake_at_us, cell->sync_at_us);
    return MIN(wake_at_us, cell->now_us + 1000000); // The ceiling of timestamps.
}

// -------------------------------------------------------------------------------------------------
// Peers

static struct object *clusters_node(const struct machine *machine)
{
    struct object *sys = object_child(machine->cell.tree.root, SLICE_OF("sys"));
    return sys ? object_child(sys, SLICE_OF("clusters")) : NULL;
}

// A node's value if it is a string; borrowed from the node, so short strings only: binary YSON has
// one byte of type and a varint length before the bytes.
static struct slice string_value(const struct object *object)
{
    struct reader reader = reader_from(buffer_slice(&object->value));
    if (get_u8(&reader) != 0x01) return slice_from("", 0);
    uint64_t size = get_varint(&reader);
    size = (size >> 1) ^ (~(size & 1) + 1); // Lengths are zigzag in binary YSON.
    struct slice bytes = get_raw(&reader, size);
    return reader.is_broken ? slice_from("", 0) : bytes;
}

struct slice machine_peer_address(const struct machine *machine, struct slice cluster)
{
    struct object *clusters = clusters_node(machine);
    struct object *node = clusters ? object_child(clusters, cluster) : NULL;
    if (!node) return slice_from("", 0);
    if (node->type == OBJECT_STRING_NODE) return string_value(node);
    struct object *address = object_child(node, SLICE_OF("address"));
    return address ? string_value(address) : slice_from("", 0);
}

struct peer_visit {
    const struct machine *machine;
    void (*visit)(void *context, struct slice cluster, struct slice address);
    void *context;
};

static void visit_cluster(void *context, struct slice cluster)
{
    const struct peer_visit *visit = context;
    visit->visit(visit->context, cluster, machine_peer_address(visit->machine, cluster));
}

void machine_each_peer(
    const struct machine *machine,
    void (*visit)(void *context, struct slice cluster, struct slice address),
    void *context)
{
    struct peer_visit all = {.machine = machine, .visit = visit, .context = context};
    coordinator_each_cluster(&machine->coordinator, visit_cluster, &all);
}

void machine_set_peer(struct machine *machine, struct slice cluster, struct slice address)
{
    struct cell *cell = &machine->cell;
    struct object *clusters = clusters_node(machine);
    if (!clusters || slice_equal(machine_peer_address(machine, cluster), address)) return;
    struct object *node = object_child(clusters, cluster);
    if (node) object_remove(&cell->tree, &cell->batch, node);
    node = object_new(&cell->tree, &cell->batch, OBJECT_MAP_NODE, clusters, cluster, cell->wall_us);
    struct object *leaf = object_new(
        &cell->tree, &cell->batch, OBJECT_STRING_NODE, node, SLICE_OF("address"), cell->wall_us);
    struct arena arena CLEANUP(arena_releasep) = {0};
    yson_print(node_string(&arena, address), YSON_BINARY, &leaf->value);
    object_save(&cell->batch, leaf);
    cell_apply_urgent(cell);
}
