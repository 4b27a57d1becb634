"""Users and their rights on real daemons, by each way of naming a user."""

import http.client
import json
import os

import retable


def ask(daemon, path, headers=None):
    connection = http.client.HTTPConnection(daemon.http_address, timeout=retable.TIMEOUT_S)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def as_user(name):
    return {"X-YT-User-Name": name}


def test_names(daemon):
    daemon.create("user", attributes="{name=alice}")
    daemon.run("set", "//tmp/open", "1")
    daemon.run("set", "//tmp/closed", "2")
    daemon.run("set", "//tmp/closed/@acl", "[{action=deny;subjects=[alice];permissions=[read]}]")
    # The command line.
    assert daemon.run("--user", "alice", "whoami", "--format", "<format=text>yson") == '{"user"="alice";}'
    assert daemon.run("--user", "alice", "get", "//tmp/open") == "1"
    error = daemon.refused("--user", "alice", "get", "//tmp/closed")
    assert 'Access denied for user "alice": "read" permission for node //tmp/closed is denied' in error, error
    assert 'No such user "bob"' in daemon.refused("--user", "bob", "get", "//tmp/open")
    assert "printable ASCII" in daemon.refused("--user", "böb", "get", "//tmp/open")
    os.environ["YT_USER"] = "alice"
    assert "Access denied" in daemon.refused("get", "//tmp/closed")
    del os.environ["YT_USER"]
    # HTTP.
    assert json.loads(ask(daemon, "/auth/whoami")[1])["login"] == "root"
    assert json.loads(ask(daemon, "/auth/whoami", as_user("alice"))[1])["login"] == "alice"
    assert ask(daemon, "/api/v3/get?path=//tmp/open", as_user("alice")) == (200, "1")
    status, body = ask(daemon, "/api/v3/get?path=//tmp/closed", as_user("alice"))
    assert (status, json.loads(body)["code"]) == (400, 901), body
    for path in "/auth/whoami", "/metrics", "/", "/api/v3/get?path=//tmp/open":
        status, body = ask(daemon, path, as_user("bob"))
        assert (status, json.loads(body)["code"]) == (401, 900), (path, body)
    for path in "/metrics", "/":
        assert ask(daemon, path, as_user("alice"))[0] == 200
        status, body = ask(daemon, path, as_user("guest"))
        assert (status, json.loads(body)["code"]) == (403, 901), (path, body)
    daemon.kill()
    daemon.start()
    assert "Access denied" in daemon.refused("--user", "alice", "get", "//tmp/closed")


def test_reads(meta, replica):
    """A read through a replicated table is the user's on both clusters."""
    schema = "{dynamic=%%true;schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]%s}"
    meta.create("replicated_table", "//tmp/t", attributes=schema % "")
    attributes = '{table_path="//tmp/t";cluster_name=replica;replica_path="//tmp/r";mode=sync;enabled=%true}'
    replica_id = meta.create("table_replica", attributes=attributes)
    replica.create("table", "//tmp/r", attributes=schema % (';upstream_replica_id="%s"' % replica_id))
    replica.mount("//tmp/r")
    meta.mount("//tmp/t")
    retable.until(lambda: try_insert(meta), "a row is written")
    assert 'No such user "alice"' in meta.refused("--user", "alice", "select-rows", "* from [//tmp/t]")
    replica.create("user", attributes="{name=alice}")
    rows = [{"k": 1, "v": "a"}]
    assert meta.select("* from [//tmp/t]", "--user", "alice") == rows
    assert meta.lookup("//tmp/t", [{"k": 1}], "--user", "alice") == rows
    replica.run("set", "//tmp/r/@acl", "[{action=deny;subjects=[alice];permissions=[read]}]")
    for words in ["select-rows", "* from [//tmp/t]"], ["lookup-rows", "//tmp/t", "--format", "json"]:
        error = meta.refused("--user", "alice", *words, stdin='{"k":1}')
        assert '"read" permission for node //tmp/r is denied' in error, error
    assert meta.select("* from [//tmp/t]") == rows


def try_insert(meta):
    try:
        meta.insert("//tmp/t", [{"k": 1, "v": "a"}])
    except retable.CommandError:
        return False
    return True


def test():
    with retable.World() as world:
        replica = world.node("replica")
        meta = world.coordinator("meta", "--peer", "replica=" + replica.address)
        test_names(meta)
        test_reads(meta, replica)


if __name__ == "__main__":
    test()
