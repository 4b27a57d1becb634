"""Nodes over the command line: copies, links, and locks held by a master transaction."""

import json

import retable

SCHEMA = "[{name=key;type=int64;sort_order=ascending};{name=value;type=string}]"


def test(world):
    cluster = world.coordinator("primary")
    cluster.create("table", "//tmp/t", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    cluster.mount("//tmp/t")
    cluster.insert("//tmp/t", [{"key": 1, "value": "a"}])
    assert "frozen or unmounted" in cluster.refused("copy", "//tmp/t", "//tmp/u")
    cluster.run("freeze-table", "//tmp/t", "--sync")
    copied = cluster.run("copy", "//tmp/t", "//tmp/u")
    assert cluster.get("//tmp/u/@id") == copied
    cluster.mount("//tmp/u")
    assert cluster.lookup("//tmp/u", [{"key": 1}]) == [{"key": 1, "value": "a"}]

    # A larger one takes many steps.
    large = [{"key": i, "value": str(i) * 3000000} for i in range(1, 5)]
    cluster.create("table", "//tmp/large", attributes="{dynamic=%%true;schema=%s}" % SCHEMA)
    cluster.mount("//tmp/large")
    for row in large:
        cluster.insert("//tmp/large", [row])
    cluster.run("freeze-table", "//tmp/large", "--sync")
    cluster.run("copy", "//tmp/large", "//tmp/copy")
    cluster.kill()
    cluster.start()
    cluster.mount("//tmp/copy")
    assert cluster.lookup("//tmp/copy", [{"key": row["key"]} for row in large]) == large
    cluster.run("remove", "//tmp/large")

    cluster.run("link", "//tmp/u", "//tmp/l")
    assert cluster.select("* from [//tmp/l]") == [{"key": 1, "value": "a"}]
    cluster.run("unmount-table", "//tmp/t", "--sync")
    cluster.run("move", "//tmp/t", "//tmp/a/t", "--recursive")
    assert cluster.get("//tmp/a/t/@path") == "//tmp/a/t"

    # A lock excludes others until its transaction ends; a restart ends it too.
    first = cluster.run("start-tx", "--type", "master", "--timeout", "60000")
    second = cluster.run("start-tx", "--type", "master", "--timeout", "60000")
    lock = json.loads(cluster.run("--tx", first, "lock", "//tmp/a", "--format", "json"))
    assert lock["node_id"] == cluster.get("//tmp/a/@id")
    assert "402" in cluster.refused("--tx", second, "lock", "//tmp/a")
    assert "402" in cluster.refused("remove", "//tmp/a")
    assert "not offered" in cluster.refused("--tx", first, "remove", "//tmp/a")
    cluster.run("--tx", first, "unlock", "//tmp/a")
    cluster.run("--tx", second, "lock", "//tmp/a")
    cluster.run("commit-tx", second)
    cluster.run("--tx", first, "lock", "//tmp/a")
    cluster.kill()
    cluster.start()
    assert "11000" in cluster.refused("commit-tx", first)
    cluster.run("remove", "//tmp/a")
    assert cluster.get("//tmp/l/@type") == "table"


if __name__ == "__main__":
    with retable.World() as world:
        test(world)
