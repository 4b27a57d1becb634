#!/usr/bin/env python3
"""Checks the checker: breaks the code on purpose, one rule at a time, and demands that the simulator
notices.

    mutants.py BUILD_DIR [NAME...]

Each mutant is a change of one source file. It is compiled like the original, linked before the
libraries of BUILD_DIR, and run over seeds until a check that is named for it fails; `assert` is an
assertion in the code. A mutant that survives is a fault of the checks. Names of checks are those of
docs/invariants.md, the ones in capitals those of docs/commit.md and docs/replication.md.
"""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

SEED_COUNT = 6000

# name, what it breaks, file, text, replacement (and its file if it is another one)
MUTANTS = [
    ("own_sync", "ack-durable",
     "C4: a commit is acknowledged before it is durable here",
     "coordinator/core/commits.c",
     [("    if (commit->lsn > cell->durable_lsn) return;\n",
       "    if (commit->state == COMMIT_ABORTING && commit->lsn > cell->durable_lsn) return;\n"),
      ("if (commit->state == COMMIT_PREPARED && commit->lsn > coordinator->cell->durable_lsn)",
       "if (false)"),
      ("    cell_reply(cell, commit->lsn, request);\n    free_commit", "    cell_reply(cell, 0, request);\n    free_commit")]),
    ("asks_for_nobody", "access-checked",
     "C9: a replica's cluster takes rows from whoever writes them",
     "replica_node/core/receiver.c",
     [("    if (user.size == 0 || record->state != RECORD_UNDECIDED) return NULL;\n",
       "    if (user.size == 0 || record) return NULL;\n")]),
    ("early_ack", "ack-durable",
     "A2: a replica acknowledges what is not durable",
     "replica_node/core/receiver.c",
     [("cell_send(sources->cell, sources->cell->lsn, source->link, ack); // A2.",
       "cell_send(sources->cell, 0, source->link, ack);")]),
    ("abort_told_early", "error-is-final unknown-is-honest converge",
     "C6: an abort is told before it is durable",
     "coordinator/core/commits.c",
     [("    commit->state = COMMIT_ABORTING;\n    commit->lsn = cell->lsn;\n",
       "    commit->state = COMMIT_ABORTING;\n    commit->lsn = 0;\n")]),
    ("skip_unreachable", "ack-durable",
     "C4: a sync replica that is away is not waited for",
     "coordinator/core/commits.c",
     [("        if (session->state != SESSION_OPEN) return false;\n",
       "        if (session->state != SESSION_OPEN) continue;\n")]),
    ("no_required_sync", "ack-has-sync",
     "C4: a required sync replica may be missing",
     "coordinator/core/commits.c",
     [("return sync_count > 0 || !part->require_sync_replica || arr_count(table->replicas) == 0;",
       "return true;")]),
    ("index_only", "converge log-match amnesia assert",
     "S3: positions are compared by index alone",
     "coordinator/core/queue.c",
     [("        if (in_memory->timestamp != position.timestamp) return NULL;\n", ""),
      ("    if (!position_equal(record_end(&record), position)) return NULL;\n",
       "    if (record_end(&record).row_index != position.row_index) return NULL;\n")]),
    ("in_sync_by_mode", "sync-read-linearizable no-stale-answer mode-switch-safe",
     "RD1: a replica in mode sync counts as in sync",
     "coordinator/core/sessions.c",
     [("    return acked >= queue->committed_end.row_index;\n",
       "    (void)acked;\n    return queue != NULL;\n")]),
    ("no_wait", "sync-read-linearizable",
     "RD2: a read does not wait for undecided rows",
     "replica_node/core/waiting_reads.c",
     [("return meets_undecided(table->sink, request->wait_sequence - 1, hashes, hash_count);",
       "return meets_undecided(table->sink, 0, hashes, hash_count);")]),
    ("trim_by_tail", "trim-safe frozen-is-delivered assert",
     "Q4: the log is trimmed by what replicas hold, not by what they have decided",
     "coordinator/core/sessions.c",
     [("    session_set_progress(tablet, feeder->decided);\n", "    session_set_progress(tablet, feeder->tail);\n")]),
    ("closed_over_undecided", "snapshot-stable",
     "T2: a closed timestamp passes an undecided record",
     "coordinator/core/feeding.c",
     [("    if (undecided && (unsent == 0 || undecided->timestamp < unsent)) unsent = undecided->timestamp;\n",
       "    (void)undecided;\n")]),
    ("closed_over_unsent", "snapshot-stable",
     "T2: a closed timestamp passes records that are not sent yet",
     "coordinator/core/feeding.c",
     [("    TRY(queue_timestamp_after(queue, feeder->sent.row_index, &unsent));\n",
       "    TRY(queue_timestamp_after(queue, queue->end.row_index, &unsent));\n    (void)feeder;\n")]),
    ("no_ceiling", "timestamp-order assert",
     "C2: timestamps do not start above the ceiling",
     "cluster/core/timestamps.c",
     [("{.last = ceiling, .ceiling = ceiling,", "{.last = 1, .ceiling = ceiling,")]),
    ("no_session", "log-match amnesia ack-durable",
     "S2: messages of older sessions are read",
     "replica_node/core/receiver.c",
     [("    if (!source || source->link != link || source->session != message->session) return;\n",
       "    if (!source || source->link != link) return;\n")]),
    ("late_open", "drains",
     "S2: an OPEN of an older session is answered",
     "replica_node/core/receiver.c",
     [("    if (is_same_epoch && open->session <= source->session) return; // S2: it comes late.\n",
       "    (void)is_same_epoch;\n")]),
    ("no_conflicts", "no-lost-update assert",
     "no-lost-update: row locks are not looked at",
     "coordinator/core/commits.c",
     [("    TRY(check_conflicts(coordinator->cell, writes, start));\n",
       "    if (false) TRY(check_conflicts(coordinator->cell, writes, start));\n")]),
    ("forgets_writes", "no-lost-update",
     "no-lost-update: forgotten writes do not refuse old transactions",
     "cluster/core/row_locks.c",
     [("return start < locks->floor ? ROW_LOCK_FORGOTTEN : ROW_LOCK_OK;", "return ROW_LOCK_OK;")]),
    ("rows_without_position", "ack-durable exactly-once log-match",
     "A2: rows are applied without their position",
     "replica_node/core/receiver.c",
     [("    source_save_positions(sources, source, tablet); // one-position: with the rows.\n",
       "    if (sources->cell->lsn % 3 != 0) source_save_positions(sources, source, tablet);\n")]),
    ("applies_anywhere", "in-order exactly-once assert",
     "A1: rows are applied wherever they begin",
     "replica_node/core/receiver.c",
     [("    if (!position_equal(part->from, tablet->tail)) {\n        if (position_equal(part->to",
       "    if (part->to.row_index < tablet->tail.row_index) {\n        if (position_equal(part->to"),
      ("    if (record->row_count == 0 || record->row_index != tablet->tail.row_index ||\n"
       "        record->timestamp <= tablet->tail.timestamp) {\n",
       "    if (record->row_count == 0) {\n",
       "replica_node/core/source.c")]),
    ("decides_alone", "decide-once amnesia",
     "C8: a replica that restarts aborts what is undecided",
     "replica_node/core/source.c",
     [("    if (entry.state == RECORD_UNDECIDED) hold_undecided(source, tablet, &entry); // A5.\n",
       "    if (entry.state == RECORD_UNDECIDED) entry.state = RECORD_ABORTED;\n")]),
    ("forgets_mutations", "retry-once commit-atomic exactly-once",
     "C7: a repeated mutation is carried out again",
     "coordinator/core/commits.c",
     [("        mutations_save(coordinator, commit->mutation_id, commit);\n", "")]),
    ("recovers_as_aborted", "converge log-match amnesia error-is-final",
     "R1: an abort record is ignored at recovery",
     "coordinator/core/queue.c",
     [("    return store_get(queue->store, NULL, STORE_QUEUE, layout_slice(&key), &value, ret_found);\n",
       "    TRY(store_get(queue->store, NULL, STORE_QUEUE, layout_slice(&key), &value, ret_found));\n"
       "    *ret_found = false;\n    return NULL;\n")]),
    ("no_deadline", "undecided-bounded",
     "undecided-bounded: a transaction outlives its deadline",
     "coordinator/core/commits.c",
     [("if (commit->deadline_us <= now_us && !coordinator->amnesia) {",
       "if (commit->deadline_us + 60000000 <= now_us && !coordinator->amnesia) {")]),
    ("in_sync_by_sending", "in-sync-true",
     "in-sync-true: a replica is in sync with what was sent to it",
     "cluster/commands/inspect.c",
     [("uint64_t row_index = session->tablets[index].progress.row_index;",
       "uint64_t row_index = session->tablets[index].feeder.sent.row_index;")]),
    ("discards_committed", "never-discard-decided assert",
     "never-discard-decided: a committed record that a replica has undecided is discarded",
     "coordinator/core/handshake.c",
     [("    if (state == RECORD_COMMITTED) *ret_resolution = RESOLUTION_COMMIT;\n",
       "    if (state == RECORD_COMMITTED) *ret_resolution = RESOLUTION_ABORT;\n")]),
    ("any_epoch", "fenced-by-epoch",
     "fenced-by-epoch: a replica listens to an older life of the coordinator",
     "replica_node/core/receiver.c",
     [("    if (message->epoch.number != source->promised.number ||\n"
       "        message->epoch.incarnation != source->promised.incarnation) {\n",
       "    if (false) {\n"),
      ("    bool is_lower = message->epoch.number < source->promised.number;\n", "    bool is_lower = false;\n"),
      ("    bool is_same_epoch = source->promised.number == open->epoch.number;\n", "    bool is_same_epoch = false;\n")]),
    ("lags_for_ever", "lag-truthful",
     "lag-truthful: a replica that has everything is behind",
     "coordinator/core/sessions.c",
     [("    if (queue->end.timestamp == 0 || progress.row_index >= queue->committed_end.row_index) return 0;\n",
       "    if (queue->end.timestamp == 0) return 0;\n")]),
    ("keeps_errors", "drains",
     "drains: errors do not clear",
     "coordinator/core/handshake.c",
     [("    error_free(TAKE(session->error));\n    cell_send(cell, 0, session->link, answer);\n",
       "    cell_send(cell, 0, session->link, answer);\n")]),
    ("promotes_the_unfit", "elect-fit",
     "elect-fit: a bad replica is promoted",
     "coordinator/core/tracker_plan.c",
     [("if (!replica->is_good || replica->will_be_sync || replica->lag_ms > lag_ms_max) continue;",
       "if (replica->will_be_sync || replica->lag_ms > lag_ms_max) continue;")]),
    ("demotes_the_last", "sync-count",
     "sync-count: bad replicas are demoted below the minimum",
     "coordinator/core/tracker_plan.c",
     [("        if (kept > 0) {\n", "        if (false) {\n")]),
    ("tracks_everything", "hands-off",
     "hands-off: tables that are not tracked are",
     "coordinator/core/tracker.c",
     [("    return config_of(coordinator)->is_enabled && table->tracker_options.is_enabled;\n",
       "    (void)table;\n    return config_of(coordinator)->is_enabled;\n")]),
    ("moves_alone", "collocated",
     "collocated: each table of a collocation is decided by itself",
     "coordinator/core/tracker.c",
     [("        if (!collocation) {\n            if (is_tracked", "        if (true) {\n            if (is_tracked")]),
    ("does_not_rest", "no-flapping sync-count",
     "no-flapping: whatever is synchronous is bad",
     "coordinator/core/tracker.c",
     [("    if (health->lag_ms > threshold_ms) return HEALTH_LAGGING;\n",
       "    if (session->replica->mode == REPLICA_MODE_SYNC) return HEALTH_LAGGING;\n    (void)threshold_ms;\n")]),
    ("elects_full_disks", "elect-fit",
     "elect-fit: a cluster that has no room is as good as others",
     "coordinator/core/tracker.c",
     [("    if (peer->bundle_failure_count > failure_count_max) return HEALTH_BUNDLE_FAILED;\n",
       "    (void)failure_count_max;\n")]),
    ("forgets_the_waiting", "unknown-is-honest cancel-is-neutral",
     "C7: the repetition of a commit that waits for a replica is looked at by itself",
     "coordinator/core/mutations.c",
     [("    if (!mutation && is_after_waiting(coordinator, request)) {\n",
       "    (void)is_after_waiting;\n    if (false) {\n")]),
    ("says_aborted", "unknown-is-honest",
     "C7: an outcome that is not known is told as none",
     "coordinator/core/mutations.c",
     [('    cell_fail(coordinator->cell, request, error_set_str(error, "outcome", "unknown"));\n',
       "    cell_fail(coordinator->cell, request, error);\n")]),
    ("forgets_at_start", "retry-once exactly-once commit-atomic",
     "C7: outcomes of mutations are not known after a restart",
     "coordinator/core/mutations.c",
     [("        remember_mutation(coordinator, id, timestamp, is_command);\n    }\n",
       "        (void)is_command;\n    }\n")]),
    ("abort_undoes", "cancel-is-neutral",
     "cancel-is-neutral: an abort that comes after the commit takes its outcome along",
     "cluster/transactions.c",
     [("    if (transaction) free_transaction(machine, transaction);\n    reply_kept",
       "    if (transaction) free_transaction(machine, transaction);\n"
       "    else mutations_forget(&machine->coordinator, request->transaction_id);\n    reply_kept")]),
    ("writes_past_the_log", "fenced-by-upstream",
     "fenced-by-upstream: users write to replica tables",
     "cluster/core/writes.c",
     [("    if (!guid_is_null(table->upstream_replica_id)) {\n", "    if (false) {\n")]),
    ("unsynced_is_seen", "async-is-prefix",
     "A4: an asynchronous replica shows rows that are not durable",
     "replica_node/core/receiver.c",
     [("        cell_apply_urgent(sources->cell); // A4: durable before it is seen.\n",
       "        cell_apply(sources->cell);\n")]),
    ("forgets_what_it_dropped", "snapshot-stable",
     "snapshot-stable: the retained timestamp is not durable",
     "cluster/core/retention.c",
     [("    table->retained_timestamp = retained;\n    object_save(&cell->batch, table->object);\n",
       "    table->retained_timestamp = retained;\n")]),
    ("drops_one_too_many", "converge snapshot-stable",
     "snapshot-stable: of old versions, one more than may be is dropped",
     "cluster/core/retention.c",
     [("    if (timestamp > rule->retained_timestamp) return false;\n    if (index",
       "    if (timestamp > rule->retained_timestamp && index == 0) return false;\n    if (index")]),
    ("trims_volatile", "monotone",
     "monotone: how far the log is trimmed is not saved with it",
     "coordinator/core/queue.c",
     [("    store_batch_put(batch, STORE_QUEUE, layout_slice(&key), buffer_slice(&value));\n"
       "    queue->trimmed = trimmed;\n",
       "    if (trimmed.row_index % 2 == 0)\n"
       "        store_batch_put(batch, STORE_QUEUE, layout_slice(&key), buffer_slice(&value));\n"
       "    queue->trimmed = trimmed;\n")]),
    ("time_goes_back", "queue-order",
     "queue-order: the trimmed position has a greater timestamp than the records behind it",
     "coordinator/core/queue.c",
     [("    queue->trimmed = trimmed;\n    while",
       "    queue->trimmed = trimmed;\n    queue->trimmed.timestamp += UINT64_C(1) << 33;\n    while")]),
    ("never_trims", "drains",
     "trims: the log keeps its last records",
     "coordinator/core/queue.c",
     [("        if (end.row_index > row_index || end.timestamp > timestamp_max) break;\n",
       "        if (end.row_index >= row_index || end.timestamp > timestamp_max) break;\n")]),
    ("forgets_prepared", "commit-atomic",
     "commit-atomic: rows of ordinary tables that were not decided before a crash are left out",
     "coordinator/core/coordinator.c",
     [("    TRY(recover_prepared(cell));\n", "    (void)recover_prepared;\n")]),
    ("shows_undecided", "no-dirty-read",
     "no-dirty-read: a replica shows rows before they are decided",
     "replica_node/core/source.c",
     [("        keep_hashes(&entry, changes, change_count);\n",
       "        keep_hashes(&entry, changes, change_count);\n"
       "        if (table_is_sorted(table))\n"
       "            apply_rows(sources, source, tablet, changes, change_count, record->timestamp);\n")]),
    ("any_is_asked", "no-stale-answer",
     "no-stale-answer: reads go to a replica that answers, wherever it is",
     "coordinator/core/coordinator.c",
     [("            if (!session_is_in_sync(replica->session, j)) is_in_sync = false;\n",
       "            if (replica->session->state != SESSION_OPEN) is_in_sync = false;\n")]),
    ("in_sync_by_what_was_sent", "mode-switch-safe",
     "mode-switch-safe: a replica counts as in sync before it has all",
     "coordinator/core/sessions.c",
     [("    uint64_t acked = session->tablets[tablet_index].feeder.tail.row_index;\n",
       "    uint64_t acked = session->tablets[tablet_index].feeder.sent.row_index;\n")]),
    ("async_hears_nothing", "mode-switch-safe",
     "mode-switch-safe: a replica that is asynchronous now is not told what became of what it was sent before",
     "coordinator/core/feeding.c",
     [("    if (session->state != SESSION_OPEN) return; // The next handshake tells.\n",
       "    if (session->state != SESSION_OPEN) return;\n"
       "    if (session->replica->mode == REPLICA_MODE_ASYNC) return;\n")]),
    ("accepts_while_frozen", "frozen-is-delivered",
     "frozen-is-delivered: frozen tablets take rows",
     "cluster/core/writes.c",
     [("    if (tablet->state == TABLET_MOUNTED) return NULL;\n",
       "    if (tablet->state == TABLET_MOUNTED || tablet->state == TABLET_FROZEN) return NULL;\n")]),
    ("frozen_is_not_fed", "frozen-is-delivered",
     "frozen-is-delivered: the logs of frozen tablets stay where they are",
     "coordinator/core/feeding.c",
     [("    if (!tablet_is_active(tablet)) return NULL;\n",
       "    if (tablet->state != TABLET_MOUNTED) return NULL;\n")]),
    ("says_too_much", "frozen-is-delivered",
     "frozen-is-delivered: a replica is said to have what it has not decided",
     "coordinator/core/sessions.c",
     [("    session_set_progress(tablet, feeder->decided);\n",
       "    session_set_progress(tablet, feeder->decided);\n"
       "    if (feeder->sent.row_index > tablet->progress.row_index + 8) tablet->progress.row_index++;\n")]),
    ("any_replica", "fenced-by-upstream",
     "fenced-by-upstream: a table takes the rows of any replica, if it is bound to one",
     "replica_node/core/receiver.c",
     [("    if (guid_equal(table->upstream_replica_id, replica_id)) return NULL;\n",
       "    (void)replica_id;\n    if (!guid_is_null(table->upstream_replica_id)) return NULL;\n")]),
    ("goes_back", "went-back-detected",
     "S6: a replica goes on from a position that it had passed",
     "coordinator/core/handshake.c",
     [("    if (decided.row_index < tablet->progress.row_index) { // S6.\n", "    if (false) {\n")]),
    ("removed_unnoticed", "went-back-detected",
     "S6: nobody is told that a replica table was removed",
     "replica_node/core/receiver.c",
     [("        if (source->link == 0) continue;\n        struct message *nack", "        if (source) continue;\n        struct message *nack")]),
    ("gap", "no-silent-gap assert",
     "no-silent-gap: a new replica begins below what is trimmed",
     "coordinator/core/handshake.c",
     [("    if (decided.row_index < queue->trimmed.row_index) {\n", "    if (false) {\n")]),
    ("skips_what_is_trimmed", "no-silent-gap",
     "no-silent-gap: a new replica begins behind what is trimmed, whatever it needs",
     "coordinator/core/sessions.c",
     [("    if (tablet->queue->trimmed.timestamp <= replica->start_timestamp) {\n", "    if (true) {\n")]),
    ("waits_for_async", "isolation",
     "isolation: commits wait for replicas that are not synchronous",
     "coordinator/core/commits.c",
     [("        if (replica->mode != REPLICA_MODE_SYNC) continue;\n        sync_count++;\n        const struct session",
       "        sync_count++;\n        const struct session")]),
    ("goes_with_the_slowest", "isolation",
     "isolation: no replica gets far ahead of another",
     "coordinator/core/feeding.c",
     [("    if (!tablet_is_active(tablet)) return NULL;\n",
       "    if (!tablet_is_active(tablet)) return NULL;\n"
       "    for (size_t i = 0; i < arr_count(tablet->table->replicas); i++) {\n"
       "        const struct session *other = tablet->table->replicas[i]->session;\n"
       "        if (other->tablets[index].progress.row_index + 8 < feeder->sent.row_index) return NULL;\n"
       "    }\n")]),
    ("no_window", "isolation",
     "isolation: what is in flight to a replica has no limit",
     "replicator/core/feeder.c",
     [("    return feeder->batch_count < FEEDER_BATCH_COUNT_MAX && feeder->in_flight_size < window_size;\n",
       "    (void)window_size;\n    return feeder->batch_count < FEEDER_BATCH_COUNT_MAX;\n")]),
    ("paced_by_half", "throttle-bound",
     "throttle-bound: more is sent than the throttler is told",
     "replicator/core/feeder.c",
     [("throttler_acquire(&feeder->throttler, now_us, weight);",
       "throttler_acquire(&feeder->throttler, now_us, weight / 2);")]),
    ("paced_twice", "throttle-bound",
     "throttle-bound: less is sent than may be",
     "replicator/core/feeder.c",
     [("throttler_acquire(&feeder->throttler, now_us, weight);",
       "throttler_acquire(&feeder->throttler, now_us, weight + weight / 4);")]),
    ("same_revision", "switch-atomic",
     "switch-atomic: the tracker's decision has no revision of its own",
     "coordinator/core/tracker.c",
     [("    table->mode_revision++;\n", "")]),
    ("switch_in_parts", "switch-atomic",
     "switch-atomic: a decision is more than one batch",
     "coordinator/core/tracker.c",
     [("    if (changes->count > 0) finish_change(", "    cell_apply(coordinator->cell);\n    if (changes->count > 0) finish_change(")]),
    ("slow_to_suspect", "switch-fast",
     "switch-fast: a cluster may be silent for four times as long",
     "coordinator/core/tracker.c",
     [("    return config_of(coordinator)->suspicion_ms * 1000;\n",
       "    return config_of(coordinator)->suspicion_ms * 4000;\n")]),
]


def compile_command(build, source):
    with open(os.path.join(build, "compile_commands.json")) as file:
        for entry in json.load(file):
            path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
            if path.endswith(os.sep + source):
                return shlex.split(entry["command"]), entry["directory"]
    sys.exit(f"{source} is not compiled in {build}")


def link_command(build):
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", "tests/sim/retable-sim"],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    return shlex.split([line for line in lines if "-o tests/sim/retable-sim " in line][-1])


def mutate(root, name, source, changes):
    """The text of one source file with its changes."""
    with open(os.path.join(root, source)) as file:
        text = file.read()
    for old, new in changes:
        if text.count(old) != 1:
            sys.exit(f"mutant {name}: {source} does not have exactly once:\n{old}")
        text = text.replace(old, new)
    return text


def compile_mutated(build, folder, name, source, text):
    """Compiles the text like the source file; returns the object file."""
    mutated = os.path.join(folder, f"{name}-{os.path.basename(source)}")
    with open(mutated, "w") as file:
        file.write(text)
    command, directory = compile_command(build, source)
    object_file = mutated + ".o"
    command[command.index("-c") + 1] = mutated
    command[command.index("-o") + 1] = object_file
    for flag in ("-MD", "-MQ", "-MF"):
        if flag in command:
            at = command.index(flag)
            del command[at:at + (1 if flag == "-MD" else 2)]
    command += ["-Wno-error", "-w"]
    subprocess.run(command, cwd=directory, check=True)
    return object_file


def make(build, root, folder, name, source, changes):
    """Compiles and links one mutant; returns its program."""
    by_source = {}
    for old, new, *other in changes:
        by_source.setdefault(other[0] if other else source, []).append((old, new))
    objects = [compile_mutated(build, folder, name, path, mutate(root, name, path, part))
               for path, part in by_source.items()]
    link = link_command(build)
    program = os.path.join(folder, name)
    link[link.index("-o") + 1] = program
    first = next(i for i, word in enumerate(link) if word.endswith(".o"))
    link[first:first] = objects
    subprocess.run(link, cwd=build, check=True)
    return program


def name_of(line):
    """The check that a line of the simulator's output says has failed; None if it says nothing."""
    found = re.match(r"seed \d+ failed: ([a-z-]+):", line)
    return found.group(1) if found else "assert" if "Assertion" in line else None


def run(program, names):
    """Runs seeds in growing steps until one of the checks fails; returns what failed, or None."""
    seed = 1
    step = 50
    while seed <= SEED_COUNT:
        result = subprocess.run([program, "--from", str(seed), "--count", str(step), "--once"],
                                capture_output=True, text=True)
        for line in (result.stdout + result.stderr).splitlines():
            if name_of(line) in names:
                return line
        if result.returncode < 0 and "assert" not in names:
            seed -= step - 1  # It went no further: one by one.
            step = 1
        seed += step
        step = min(step * 2, 400)
    return None


def try_mutant(build, root, folder, mutant):
    """Returns whether a mutant is caught, and what is to be said."""
    name, names, what, source, changes = mutant
    caught = run(make(build, root, folder, name, source, changes), names.split())
    if caught:
        return True, f"ok - {name} ({what}) is caught: {caught[:150]}"
    return False, f"not ok - {name} ({what}) survives {SEED_COUNT} seeds, as far as {names} go"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build = os.path.abspath(sys.argv[1])
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    chosen = [m for m in MUTANTS if not sys.argv[2:] or m[0] in sys.argv[2:]]
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="retable-mutants-") as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for is_caught, text in pool.map(lambda mutant: try_mutant(build, root, folder, mutant), chosen):
            passed += is_caught
            failed += not is_caught
            print(text, flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
