"""The cluster of the synchronous replica dies, or its network, under load: another one takes over, no client notices.

    failover_test.py [namespaces]

Between the daemons are relays; with `namespaces`, real networks that lose packets in one direction (`namespaces.py`).

    RETABLE_FAILOVER_COUNT   how often it is killed, stopped (SIGSTOP) and cut off, 4 by default each (half of it with `namespaces`)
    RETABLE_FAILOVER_JSON    a file for the gaps

`steady` commits rows and measures how long nothing is acknowledged. After each strike: no commit has failed, the
tracker has switched once, and the daemon that comes back catches up. A link that flickers causes one switch. In the end
all replicas hold every row once.
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time

import namespaces
import relay
import retable
from retable import until

CUTS = (relay.TO_DAEMON, relay.FROM_DAEMON)
COUNT = int(os.environ.get("RETABLE_FAILOVER_COUNT", "4"))
CLIENT_COUNT = 8
SUSPICION_MS = 500
SWITCH_MS = 500  # What may pass from suspicion to the next acknowledgement, at the median: the machine may be busy.
TABLE = "//tmp/steady"
SCHEMA = "[{name=key;type=int64;sort_order=ascending};{name=value;type=int64}]"
TRACKER = "//sys/@config/tablet_manager/replicated_table_tracker"


class Steady:
    """The process that writes."""

    def __init__(self, address):
        self.process = subprocess.Popen(
            [os.environ["RETABLE_STEADY"], address, TABLE, str(CLIENT_COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def report(self):
        """What happened since the last report."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        report = json.loads(self.process.stdout.readline())
        assert self.process.wait(timeout=retable.TIMEOUT_S) == 0
        return report

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def make_tables(primary, nodes):
    options = "enable_replicated_table_tracker=%true;max_sync_replica_count=1;min_sync_replica_count=1"
    primary.create(
        "replicated_table",
        TABLE,
        attributes="{dynamic=%%true;schema=%s;replicated_table_options={%s}}" % (SCHEMA, options),
    )
    ids = {}
    for node, mode in zip(nodes, ("sync", "async")):
        ids[node.name] = primary.create(
            "table_replica",
            attributes='{table_path="%s";cluster_name=%s;replica_path="%s";mode=%s;enabled=%%true}'
            % (TABLE, node.name, TABLE, mode),
        )
        node.create(
            "table",
            TABLE,
            attributes='{dynamic=%%true;schema=%s;upstream_replica_id="%s"}' % (SCHEMA, ids[node.name]),
        )
        node.mount(TABLE)
    primary.mount(TABLE)
    return ids


def status(primary):
    return json.loads(primary.run("tracker", "status", TABLE, "--format", "json"))


def all_good(primary):
    """Both replicas are good and have everything but what is under way."""
    replicas = status(primary)["replicas"]
    return len(replicas) == 2 and all(one["good"] for one in replicas)


def sync_node(primary, nodes):
    names = [one["cluster_name"] for one in status(primary)["replicas"] if one["mode"] == "sync"]
    assert len(names) == 1, names
    return next(node for node in nodes if node.name == names[0])


def strike(primary, nodes, steady, how):
    """Takes the synchronous replica's daemon away; returns the longest gap between acknowledgements in ms."""
    until(lambda: all_good(primary), "both replicas are good")
    steady.report()
    victim = sync_node(primary, nodes)
    if how in CUTS:
        victim.wire.lose(how)
    else:
        victim.process.send_signal(how)
    # Reads go on as well, through whatever replica is synchronous by then.
    assert primary.lookup(TABLE, [{"key": 1}]) == [{"key": 1, "value": 1}]
    assert len(primary.select("key from [%s] where key < 3" % TABLE)) == 2
    until(lambda: sync_node(primary, nodes) is not victim, "the other replica is synchronous")
    seen = {"acknowledged": 0, "errors": 0, "longest_gap_ms": 0.0, "error": ""}

    def goes_on():
        report = steady.report()
        for key in ("acknowledged", "errors"):
            seen[key] += report[key]
        seen["longest_gap_ms"] = max(seen["longest_gap_ms"], report["longest_gap_ms"])
        seen["error"] = seen["error"] or report["error"]
        return seen["acknowledged"] > 20 * CLIENT_COUNT

    until(goes_on, "commits are acknowledged again")
    assert seen["errors"] == 0, seen
    if how == signal.SIGKILL:
        victim.stop(signal.SIGKILL)
        victim.start()
    elif how in CUTS:
        victim.wire.heal()
    else:
        victim.process.send_signal(signal.SIGCONT)
    return seen["longest_gap_ms"]


def flicker(primary, nodes, steady):
    """The synchronous replica's link breaks again and again, for longer than it takes to recover."""
    primary.run("set", TRACKER + "/recovery_period", "2000")
    until(lambda: all_good(primary), "both replicas are good")
    steady.report()
    victim = sync_node(primary, nodes)
    before = len(history(primary))
    for _ in range(8):
        # The pace of what goes wrong, not waits.
        if victim.network:
            victim.wire.lose(relay.TO_DAEMON)
            time.sleep(SUSPICION_MS / 1000 + 0.2)
            victim.wire.heal()
            time.sleep(0.3)
        else:
            victim.wire.break_connections()
            time.sleep(0.5)
    assert len(history(primary)) == before + 1
    report = steady.report()
    assert report["errors"] == 0 and report["acknowledged"] > 0, report
    primary.run("set", TRACKER + "/recovery_period", "200")


def history(primary):
    return json.loads(primary.run("tracker", "history", TABLE, "--limit", "10000", "--format", "json"))


def row_count(daemon):
    rows = daemon.run("select-rows", "sum(1) as count, sum(value) as total from [%s] group by 1" % TABLE, "--format", "json")
    return json.loads(rows) if rows else {"count": 0, "total": 0}


def add_nodes(world, stack, has_namespaces):
    """Makes the replicas' clusters; returns them, each with its `wire` and the address at which it is reached."""
    for number, name in enumerate(("first", "second")):
        if has_namespaces:
            wire = namespaces.Namespace(number)
            node = world.node(name, network=wire)
            address = node.address
        else:
            node = world.node(name)
            wire = relay.Relay(node.address)
            address = wire.address
        stack.callback(wire.close)
        node.wire = wire
        yield node, address


def main(has_namespaces):
    strikes = CUTS if has_namespaces else (signal.SIGKILL, signal.SIGSTOP, *CUTS)
    count = (COUNT + 1) // 2 if has_namespaces else COUNT
    with contextlib.ExitStack() as stack, retable.World() as world:
        nodes, addresses = zip(*add_nodes(world, stack, has_namespaces))
        peers = [word for node, address in zip(nodes, addresses) for word in ("--peer", "%s=%s" % (node.name, address))]
        primary = world.coordinator("primary", *peers)
        make_tables(primary, nodes)
        primary.run("set", TRACKER + "/recovery_period", "200")
        until(lambda: all_good(primary), "both replicas are good")
        steady = Steady(primary.address)
        gaps = {}
        try:
            until(lambda: steady.report()["acknowledged"] > 0, "commits are acknowledged")
            for how in strikes:
                name = how.name if isinstance(how, signal.Signals) else "cut " + how
                gaps[name] = [strike(primary, nodes, steady, how) for _ in range(count)]
            switch_count = len(history(primary))
            flicker(primary, nodes, steady)
            until(lambda: all_good(primary), "both replicas are good")
            last = steady.stop()
        finally:
            steady.close()
        assert last["errors"] == 0, last

        # Every commit was acknowledged, so every row is there, once, on both.
        count = last["last"]
        expected = {"count": count, "total": count * (count + 1) // 2}
        for node in nodes:
            until(lambda: row_count(node) == expected, "%s has all %d rows" % (node.name, count))

        strike_count = sum(len(values) for values in gaps.values())
        assert switch_count == strike_count, "%d switches for %d strikes" % (switch_count, strike_count)
        assert all(entry["actor"] == "tracker" and len(entry["changes"]) == 2 for entry in history(primary))

        summary = {
            name: {"median_ms": statistics.median(values), "worst_ms": max(values), "count": len(values)}
            for name, values in gaps.items()
        }
        print(json.dumps(summary))
        if has_namespaces:
            assert all(one["median_ms"] <= SUSPICION_MS + SWITCH_MS for one in summary.values()), summary
        if "RETABLE_FAILOVER_JSON" in os.environ:
            with open(os.environ["RETABLE_FAILOVER_JSON"], "w") as file:
                json.dump({"gaps_ms": gaps, "summary": summary}, file)


if __name__ == "__main__":
    is_apart = "namespaces" in sys.argv[1:]
    if is_apart:
        namespaces.live_apart()
    sys.exit(main(is_apart))
