"""Disks that fail, lie and go back in time, under real daemons: nothing that was acknowledged is lost without a word.

    RETABLE_STORAGE_COUNT   how many calls of each kind fail under load, 2 by default
    RETABLE_DAMAGE_COUNT    how often each kind of file is damaged in each way, 2 by default
    RETABLE_STORAGE_SEED    of the random choices; printed, and drawn if it is not given

Calls fail by `faulty_disk.c`. In the end the replicas hold what the crash test's writer was told. A daemon whose files are
damaged refuses to start, or reports the damage when it is read, or has everything; so does one whose folder is put back to
what it was some time ago: the other side notices, or nothing is missing.
"""

import mmap
import os
import random
import shutil
import signal
import struct
import sys
import time
import urllib.request

import crash_test
import retable
from crash_test import SORTED, Writer, wait_for_writes
from retable import until

COUNT = int(os.environ.get("RETABLE_STORAGE_COUNT", "2"))
DAMAGE_COUNT = int(os.environ.get("RETABLE_DAMAGE_COUNT", "2"))
START_CALL_COUNT_MAX = 500
WRITE, SYNC = 1, 2  # As in faulty_disk.c.
EIO, ENOSPC, SHORT, TORN = range(4)
FAULTS = {
    "write EIO": (WRITE, EIO),
    "write ENOSPC": (WRITE, ENOSPC),
    "write torn": (WRITE, TORN),
    "write short": (WRITE, SHORT),
    "sync EIO": (SYNC, EIO),
    "sync ENOSPC": (SYNC, ENOSPC),
}


def say(text):
    print(text, flush=True)
# What the daemons say of data that were lost: at the replica, or at the meta-cluster, whose older starts replicas refuse.
NOTICES = ("is behind a position", "log is trimmed beyond", "lost data", "newer coordinator")


class Disk:
    """What goes wrong below a daemon, from its next start on."""

    def __init__(self, daemon):
        path = daemon.folder + ".faults"
        with open(path, "wb+") as file:
            file.write(bytes(40))
            file.flush()
            self.memory = mmap.mmap(file.fileno(), 40)
        # ASan's library, where there is one, does not mind that ours comes first.
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        library = os.environ["RETABLE_FAULTY_DISK"]
        daemon.environment = dict(os.environ, LD_PRELOAD=library, RETABLE_FAULTS=path, ASAN_OPTIONS=options)

    def arm(self, fault, n):
        """The n-th call from now on goes wrong."""
        call, kind = FAULTS[fault]
        self.memory[0:32] = struct.pack("4q", call, kind, n, 0)

    def disarm(self):
        self.memory[16:24] = bytes(8)

    def set_full(self, is_full):
        self.memory[32:40] = struct.pack("q", is_full)

    def hit_count(self):
        return struct.unpack("q", self.memory[24:32])[0]


def has_ended(daemon):
    return daemon.process.poll() is not None


def check_end(daemon, log_size, what, is_start=False):
    """It has stopped by itself and said why. While RocksDB opens its files, that may be an assertion of its own (7.8 as
    Debian builds it)."""
    code = daemon.stop()
    text = daemon.log()[log_size:]
    if is_start and code == -signal.SIGABRT and "rocksdb::" in text and "Assertion" in text:
        return
    assert code == 1, "%s: exit code %s:\n%s" % (what, code, text)
    assert "Store has failed, stopping" in text or "Cannot start" in text, "%s says nothing:\n%s" % (what, text)


# ---------------------------------------------------------------- calls that fail


def fail_under_load(daemon, disk, writer):
    """Of each kind some calls fail, one at a time. A failure stops the daemon; what was written in part goes on."""
    for fault in FAULTS:
        for n in range(1, COUNT + 1):
            what = "%s: %s %d under load" % (daemon.name, fault, n)
            log_size = len(daemon.log())
            disk.arm(fault, n)
            if fault == "write short":
                until(disk.hit_count, what)
                wait_for_writes(writer)
                assert not has_ended(daemon), what
            else:
                until(lambda: has_ended(daemon), what)
                disk.disarm()
                check_end(daemon, log_size, what)
                daemon.start()
                wait_for_writes(writer)


def fail_at_start(daemon, disk, fault):
    """The first call of a start fails, then the second of another one, and so on; returns how many there are."""
    for n in range(1, START_CALL_COUNT_MAX):
        what = "%s: %s %d at start" % (daemon.name, fault, n)
        daemon.kill()
        log_size = len(daemon.log())
        disk.arm(fault, n)
        port_path = daemon.launch()
        until(lambda: has_ended(daemon) or os.path.exists(port_path), what)
        is_hit = disk.hit_count() > 0
        disk.disarm()
        if has_ended(daemon):
            assert is_hit, "%s: it did not start by itself:\n%s" % (what, daemon.log()[log_size:])
            check_end(daemon, log_size, what, is_start=True)
            daemon.start()
        elif not is_hit:
            return n - 1
    raise AssertionError("%s: more than %d calls" % (daemon.name, START_CALL_COUNT_MAX))


# ---------------------------------------------------------------- damaged files


def is_drained(primary, ids):
    return all(crash_test.is_drained(primary, replica_id) for replica_id in ids)


def positions_of(primary, ids):
    keys = ("flushed_row_count", "current_replication_row_index")
    return [[tablet[key] for key in keys] for replica_id in ids for tablet in primary.get("#%s/@tablets" % replica_id)]


def errors_of(primary, ids):
    """What the replicas' tablets say, a missing connection among it."""
    tablets = [tablet for replica_id in ids for tablet in primary.get("#%s/@tablets" % replica_id)]
    return [tablet["replication_error"]["message"] for tablet in tablets if tablet["has_error"]]


def notice_of(primary, ids):
    """The first error that says that data were lost, in short; None if there is none."""
    return next((notice for notice in NOTICES for error in errors_of(primary, ids) if notice in error), None)


def files_of(folder, suffix):
    """Files of this kind that are not empty."""
    paths = [os.path.join(folder, "store", name) for name in sorted(os.listdir(os.path.join(folder, "store"))) if suffix in name]
    return [path for path in paths if os.path.getsize(path) > 0]


def flip(dice, path):
    """Returns what it did."""
    with open(path, "rb+") as file:
        place = dice.randrange(os.path.getsize(path))
        file.seek(place)
        byte = file.read(1)[0]
        bit = dice.randrange(8)
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))
    return "bit %d of byte %d of %d flipped in %s" % (bit, place, os.path.getsize(path), os.path.basename(path))


def cut(dice, path):
    """The end is missing, as after a crash of a disk that lied when it was told to sync."""
    size = os.path.getsize(path)
    os.truncate(path, dice.randrange(size))
    return "%s cut from %d to %d bytes" % (os.path.basename(path), size, os.path.getsize(path))


# First logs are cut: later ones hold little, since a start empties them.
DAMAGES = ((cut, ".log"), (flip, ".log"), (flip, ".sst"), (cut, ".sst"), (flip, "MANIFEST"), (cut, "MANIFEST"))


def start_damaged(daemon, what):
    """Starts it; returns whether it runs, and otherwise checks that it said why not."""
    log_size = len(daemon.log())
    port_path = daemon.launch()
    until(lambda: has_ended(daemon) or os.path.exists(port_path), what)
    if has_ended(daemon):
        check_end(daemon, log_size, what, is_start=True)
    return daemon.process is not None


def outcome_of(daemon, log_size, check, what):
    """What a daemon that started with damaged data comes to: `check` returns a word when it knows."""

    def look():
        if has_ended(daemon):
            return "stopped"
        try:
            return check()
        except retable.CommandError as error:
            # Damage that is read is an error; others (a session that is not open yet) pass.
            return "refused" if "orruption" in error.text else None

    outcome = until(look, what)
    if outcome == "stopped":
        check_end(daemon, log_size, what)
    return outcome


def damage(dice, daemon, check, is_well):
    """Damages each kind of file of a daemon; `check` compares what it then holds. Then the damage is undone."""
    backup = daemon.folder + ".backup"
    for hurt, suffix in DAMAGES:
        for _ in range(DAMAGE_COUNT):
            daemon.stop()
            shutil.copytree(daemon.folder, backup)
            paths = files_of(daemon.folder, suffix)
            path = dice.choices(paths, [os.path.getsize(path) for path in paths])[0]
            what = "%s: %s" % (daemon.name, hurt(dice, path))
            log_size = len(daemon.log())
            is_started = start_damaged(daemon, what)
            say("%s: %s" % (what, outcome_of(daemon, log_size, check, what) if is_started else "it did not start"))
            daemon.kill()
            shutil.rmtree(daemon.folder)
            shutil.move(backup, daemon.folder)
            if is_started:  # Others have heard of a start that this folder does not remember: get ahead of it.
                for _ in range(2):
                    daemon.start()
                    daemon.stop()
            daemon.start()
            until(is_well, "%s is well again" % daemon.name)


def error_or(primary, ids, is_complete):
    """A check: what a replica noticed, or that nothing is missing; None while neither is known."""

    def check():
        notice = notice_of(primary, ids)
        return notice or ("nothing is missing" if is_complete() else None)

    return check


def holds(node, contents):
    try:
        return crash_test.read_rows(node) == contents
    except AssertionError:
        return False  # Something is missing, as yet at least.


# ---------------------------------------------------------------- folders that go back in time


def put_back(daemon, change):
    """Stops a daemon, copies its folder, lets `change` happen, and puts the copy back."""
    daemon.stop()
    backup = daemon.folder + ".old"
    shutil.copytree(daemon.folder, backup)
    daemon.start()
    change()
    daemon.stop()
    shutil.rmtree(daemon.folder)
    shutil.move(backup, daemon.folder)
    daemon.start()


def go_back(primary, sync_node, async_node, replicas):
    """First a replica's cluster, then the meta-cluster: what they have forgotten is noticed."""
    sync_ids, async_ids = ([ids[i] for ids in replicas.values()] for i in range(2))
    for table in replicas:
        primary.run("unfreeze-table", table)
        primary.until_state(table, "mounted")

    def write(key, ids):
        def change():
            until(lambda: primary.insert(SORTED, [{"key": key, "value": key}]) is None, "the table takes rows")
            until(lambda: has_row(sync_node, key), "the synchronous replica shows the row")
            until(lambda: is_drained(primary, ids), "the replicas have everything")

        return change

    put_back(async_node, write(-1, sync_ids + async_ids))
    outcome = until(
        error_or(primary, async_ids, lambda: has_row(async_node, -1)), "the replica's cluster of yesterday is noticed or repaired"
    )
    say("async: an old image: %s" % outcome)
    assert primary.lookup(SORTED, [{"key": -1}]) == [{"key": -1, "value": -1}]
    write(-2, sync_ids)()  # The other replica goes on.

    put_back(primary, write(-3, sync_ids))
    # The replicas have heard of a later start than this one. Further starts get ahead of that, but not of what is missing.
    for reason in "follows a newer coordinator", "lost data", "lost data":
        until(lambda: notice_of(primary, sync_ids), "the meta-cluster of yesterday is noticed")
        text = primary.refused("insert-rows", SORTED, "--format", "json", stdin='{"key": -4, "value": -4}\n')
        assert reason in text, text
        primary.stop()
        primary.start()
    for key in -1, -2, -3:
        assert has_row(sync_node, key)
    assert not has_row(sync_node, -4)
    say("primary: an old image: writes are refused")


def has_row(node, key):
    return node.lookup(SORTED, [{"key": key}]) == [{"key": key, "value": key}]


# ---------------------------------------------------------------- a full disk


def fill_up(primary, sync_node, async_node, disk, ids):
    """A cluster whose disk is full takes no rows and says so, and the tracker chooses another one; when there is room it
    gets what it missed. Modes are in the end what they were."""
    options = SORTED + "/@replicated_table_options"
    before = {info["cluster_name"]: info["mode"] for info in primary.get(SORTED + "/@replicas").values()}
    assert before == {"sync": "sync", "async": "async"}, before

    def sync_clusters():
        return [info["cluster_name"] for info in primary.get(SORTED + "/@replicas").values() if info["mode"] == "sync"]

    primary.run("unfreeze-table", SORTED, "--sync")
    primary.run("set", options, "{enable_replicated_table_tracker=%true}")
    disk.set_full(True)
    until(lambda: sync_clusters() == ["async"], "the other cluster takes over")
    health = "Tablet cell bundle health check failed for"
    until(lambda: health in primary.run("tracker", "explain", SORTED), "the tracker knows why")
    primary.insert(SORTED, [{"key": -10, "value": -10}])
    assert not has_row(sync_node, -10)
    assert "almost full" in sync_node.refused("create", "map_node", "//tmp/more")
    metrics = urllib.request.urlopen("http://%s/metrics" % sync_node.http_address, timeout=retable.TIMEOUT_S)
    assert "\nretable_disk_full 1\n" in metrics.read().decode()
    disk.set_full(False)
    until(lambda: has_row(sync_node, -10), "it gets what it missed")

    primary.run("set", options, "{}")
    primary.run("delete-rows", SORTED, "--format", "json", stdin='{"key":-10}')
    for replica_id, info in primary.get(SORTED + "/@replicas").items():
        primary.run("alter-table-replica", replica_id, "--mode", before[info["cluster_name"]])
    until(lambda: not errors_of(primary, ids), "all is well")
    until(lambda: not has_row(sync_node, -10) and not has_row(async_node, -10), "the row is gone")
    primary.run("freeze-table", SORTED, "--sync")


# ---------------------------------------------------------------- all of it


def test(world, dice):
    sync_node, async_node = world.node("sync"), world.node("async")
    primary = world.coordinator("primary", "--peer", "sync=" + sync_node.address, "--peer", "async=" + async_node.address)
    daemons = [primary, sync_node, async_node]
    replicas = crash_test.make_tables(primary, sync_node, async_node)
    disks = {}
    for daemon in daemons:
        daemon.stop()
        disks[daemon] = Disk(daemon)
    for daemon in daemons:
        daemon.start()

    start = time.monotonic()
    writer = Writer(world, primary.address, dice.getrandbits(32))
    try:
        wait_for_writes(writer)
        for daemon in daemons:
            fail_under_load(daemon, disks[daemon], writer)
            say("%s: calls failed under load, %.0f s" % (daemon.name, time.monotonic() - start))
        for daemon, faults in (primary, ("write torn", "sync EIO")), (sync_node, ("write EIO", "sync EIO")):
            for fault in faults:
                count = fail_at_start(daemon, disks[daemon], fault)
                wait_for_writes(writer)
                say("%s: each of %d calls at start failed: %s, %.0f s" % (daemon.name, count, fault, time.monotonic() - start))
        writer.stop()
    finally:
        writer.close()
    crash_test.wait_until_drained(primary, replicas)
    contents = crash_test.read_rows(sync_node)
    wrong = crash_test.compare(writer.outcomes, *contents)
    assert not wrong, "%d findings:\n%s" % (len(wrong), "\n".join(wrong[:50]))
    assert holds(async_node, contents), "the replicas differ"
    say("nothing was lost, %.0f s" % (time.monotonic() - start))

    ids = [replica_id for pair in replicas.values() for replica_id in pair]
    fill_up(primary, sync_node, async_node, disks[sync_node], ids)
    say("a disk was full, %.0f s" % (time.monotonic() - start))

    for daemon in daemons:
        daemon.environment = None

    def is_well():
        return not errors_of(primary, ids)

    positions = positions_of(primary, ids)
    damage(dice, sync_node, error_or(primary, ids, lambda: holds(sync_node, contents)), is_well)
    damage(dice, primary, error_or(primary, ids, lambda: positions_of(primary, ids) == positions), is_well)
    assert holds(sync_node, contents) and holds(async_node, contents)
    say("files were damaged, %.0f s" % (time.monotonic() - start))

    go_back(primary, sync_node, async_node, replicas)
    say("folders went back in time, %.0f s" % (time.monotonic() - start))


if __name__ == "__main__":
    seed = os.environ.get("RETABLE_STORAGE_SEED") or str(random.SystemRandom().getrandbits(32))
    say("seed: " + seed)
    with retable.World() as world:
        test(world, random.Random(int(seed)))
