"""A replicated table with two replicas, from creation to reads through it."""

import retable
from retable import until

SCHEMA = "[{name=key;type=int64;sort_order=ascending};{name=value;type=string}]"


def make_replica(primary, node, table, mode):
    replica_id = primary.create(
        "table_replica",
        attributes='{table_path="%s";cluster_name=%s;replica_path="//tmp/replica";mode=%s}' % (table, node.name, mode),
    )
    node.create(
        "table",
        "//tmp/replica",
        attributes='{dynamic=%%true;schema=%s;upstream_replica_id="%s"}' % (SCHEMA, replica_id),
    )
    node.mount("//tmp/replica")
    primary.run("alter-table-replica", replica_id, "--enable")
    return replica_id


def test(world):
    first = world.node("first")
    second = world.node("second")
    primary = world.coordinator("primary", "--peer", "first=" + first.address, "--peer", "second=" + second.address)

    # Two asynchronous replicas: writes need to say that they can do without a synchronous one.
    table = "//tmp/table"
    primary.create("replicated_table", table, attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    first_id = make_replica(primary, first, table, "async")
    make_replica(primary, second, table, "async")
    primary.mount(table)
    row = {"key": 1, "value": "one"}
    primary.refused("insert-rows", table, "--format", "json", stdin='{"key":1}')
    primary.insert(table, [row], "--no-require-sync-replica")
    for node in first, second:
        until(lambda: node.lookup("//tmp/replica", [{"key": 1}]) == [row], "the row is in " + node.name)

    # A query may say that the freshest replica will do; without that it needs a synchronous one.
    query = "* from [%s]" % table
    hinted = query + ' with hint "{require_sync_replica=%false}"'
    assert "in-sync" in primary.refused("select-rows", query)
    assert primary.select(hinted) == [row]
    second.run("unmount-table", "//tmp/replica", "--sync")
    rows = [row, {"key": 100, "value": "fresh"}]
    primary.insert(table, rows[1:], "--no-require-sync-replica")
    until(lambda: primary.select(hinted) == rows, "the first cluster has it")
    assert all(primary.select(hinted) == rows for _ in range(5))
    # Clusters can be excluded from reads.
    banned = "//sys/@config/banned_in_sync_replica_clusters"
    primary.run("set", banned, "[first]")
    second.mount("//tmp/replica")
    until(lambda: second.select("* from [//tmp/replica]") == rows, "the second cluster has it")
    first.run("unmount-table", "//tmp/replica", "--sync")
    until(lambda: primary.select(hinted) == rows, "the second cluster answers")
    first.mount("//tmp/replica")
    primary.run("remove", banned)
    primary.run("delete-rows", table, "--no-require-sync-replica", "--format", "json", stdin='{"key":100}')

    # Rows cannot be written to a replica but through its table.
    first.refused("insert-rows", "//tmp/replica", "--format", "json", stdin='{"key":7}')

    # One becomes synchronous: what was acknowledged is read through the replicated table.
    primary.run("alter-table-replica", first_id, "--mode", "sync")
    until(lambda: primary.get("#%s/@mode" % first_id) == "sync", "the replica is sync")
    for i in range(2, 20):
        row = {"key": i, "value": str(i)}
        primary.insert(table, [row])
        assert primary.lookup(table, [{"key": i}]) == [row]
    assert len(primary.select("* from [%s]" % table)) == 19
    assert primary.select("sum(key) as s from [%s] group by 1" % table) == [{"s": 190}]
    until(lambda: len(second.select("* from [//tmp/replica]")) == 19, "the other replica follows")

    # The synchronous replica's cluster dies and comes back: nothing that was acknowledged is lost.
    first.kill()
    primary.refused("lookup-rows", table, "--format", "json", stdin='{"key":1}')
    first.start()
    until(lambda: primary.insert(table, [{"key": 20, "value": "20"}]) is None, "writes go on")
    assert len(first.select("* from [//tmp/replica]")) == 20

    # So does the coordinator.
    primary.kill()
    primary.start()
    until(lambda: len(primary.select("* from [%s]" % table)) == 20, "reads go on")
    primary.insert(table, [{"key": 21, "value": "21"}])
    until(lambda: len(second.select("* from [//tmp/replica]")) == 21, "the other replica follows")

    # A replica that starts in the middle, and the clones of a copied table, go on from there over the wire too.
    late_id = primary.create(
        "table_replica",
        attributes='{table_path="%s";cluster_name=second;replica_path="//tmp/late";preserve_timestamps=%%false;'
        "start_replication_row_indexes=[%d];enabled=%%true}" % (table, primary.get(table + "/@tablets/0/flushed_row_count") - 1),
    )
    second.create("table", "//tmp/late", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    second.mount("//tmp/late")
    until(lambda: second.select("key from [//tmp/late]") == [{"key": 21}], "it has what is new")
    until(lambda: caught_up(primary, late_id), "it has everything")
    primary.run("unmount-table", table, "--sync")
    primary.run("copy", table, "//tmp/copy")
    clones = primary.get("//tmp/copy/@replicas")
    clone_id = next(clone for clone, info in clones.items() if info["replica_path"] == "//tmp/late")
    assert clones[clone_id]["state"] == "disabled"
    primary.run("remove", "#" + late_id)
    primary.mount("//tmp/copy")
    for clone in clones:
        if clone != clone_id:
            primary.run("remove", "#" + clone)
    primary.run("alter-table-replica", clone_id, "--enable")
    primary.insert("//tmp/copy", [{"key": 22, "value": "22"}], "--no-require-sync-replica")
    until(lambda: len(second.select("* from [//tmp/late]")) == 2, "the clone goes on")
    assert primary.get("#%s/@error_count" % clone_id) == 0

    # A replica may be on the meta-cluster itself.
    primary.create("replicated_table", "//tmp/own", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    make_replica(primary, primary, "//tmp/own", "sync")
    primary.mount("//tmp/own")
    row = {"key": 1, "value": "one"}
    until(lambda: primary.insert("//tmp/own", [row]) is None, "its replica is in sync")
    assert primary.lookup("//tmp/own", [{"key": 1}]) == [row]
    assert primary.select("* from [//tmp/own]") == [row]
    assert primary.lookup("//tmp/replica", [{"key": 1}]) == [row]


def caught_up(primary, replica_id):
    tablet = primary.get("#%s/@tablets/0" % replica_id)
    return tablet["current_replication_row_index"] == tablet["flushed_row_count"]


if __name__ == "__main__":
    with retable.World() as world:
        test(world)
