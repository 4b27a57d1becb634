"""Users and their rights on real daemons, by each way of naming a user."""

import hashlib
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


def secret_file(world, name, text):
    path = os.path.join(world.folder, name)
    with open(path, "w") as file:
        file.write(text + "\n")
    return path


def with_token(token, kind="OAuth"):
    return {"Authorization": kind + " " + token}


class Token:
    """The token that the command line finds."""

    def __init__(self, token):
        self.token = token

    def __enter__(self):
        self.before = os.environ.pop("YT_TOKEN", None)
        os.environ["YT_TOKEN"] = self.token

    def __exit__(self, *_):
        del os.environ["YT_TOKEN"]
        if self.before is not None:
            os.environ["YT_TOKEN"] = self.before


OPEN = ["/api", "/api/v3", "/api/v4", "/hosts", "/hosts/all", "/version", "/service", "/ping", "/health/live", "/health/ready"]
CLOSED = ["/", "/metrics", "/auth/whoami", "/auth/login", "/api/v4/get?path=//tmp", "/api/v4/get_version"]


def test_open_and_closed(daemon, root):
    for path in OPEN:
        assert ask(daemon, path)[0] == 200, path
    for path in CLOSED:
        for headers, code, text in [
            ({}, 900, "Client is missing credentials"),
            (as_user("root"), 900, "Client is missing credentials"),
            (with_token("nonsense"), 111, "Invalid token"),
            (with_token(root, "Peer"), 111, "Invalid token"),
            (with_token(root, "Basic"), 111, "Invalid token"),
            ({"Authorization": root}, 111, "Invalid token"),
        ]:
            status, body = ask(daemon, path, headers)
            assert status == 401, (path, headers, status, body)
            error = json.loads(body)
            assert (status, error["code"], error["message"]) == (401, code, text), (path, headers, status, body)
        for kind in "OAuth", "Bearer", "oauth":
            assert ask(daemon, path, with_token(root, kind))[0] == 200, (path, kind)


def test_tokens(world, daemon, root):
    with Token(""):
        assert "Client is missing credentials" in daemon.refused("get", "//tmp")
        assert "Client is missing credentials" in daemon.refused("--user", "root", "get", "//tmp")
        assert "Client is missing credentials" in daemon.refused("insert-rows", "//tmp/t", "--format", "json", stdin="{}")
    with Token("nonsense"):
        assert "Invalid token" in daemon.refused("select-rows", "* from [//tmp/t]")
    with Token(root):
        daemon.create("user", attributes="{name=alice}")
        alice = daemon.run("issue-token", "alice")
        hashes = daemon.run("list-user-tokens", "alice", "--format", "json")
        assert json.loads(hashes) == [hashlib.sha256(alice.encode()).hexdigest()]
        assert daemon.run("--user", "alice", "whoami", "--format", "<format=text>yson") == '{"user"="alice";}'
    home = os.environ.get("HOME")
    os.environ["HOME"] = world.folder  # Where the token is found without YT_TOKEN.
    os.mkdir(os.path.join(world.folder, ".yt"))
    secret_file(world, ".yt/token", alice)
    try:
        assert daemon.run("whoami", "--format", "<format=text>yson") == '{"user"="alice";}'
        assert "cannot act as" in daemon.refused("--user", "root", "whoami")
    finally:
        os.environ["HOME"] = home
    assert json.loads(ask(daemon, "/auth/whoami", with_token(alice))[1])["login"] == "alice"
    return alice


def is_in_sync(meta, row):
    try:
        meta.insert("//tmp/t", [row])
    except retable.CommandError:
        return False
    return True


def test_peers(meta, replica, alice):
    schema = "{dynamic=%%true;schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]%s}"
    meta.create("replicated_table", "//tmp/t", attributes=schema % "")
    attributes = '{table_path="//tmp/t";cluster_name=replica;replica_path="//tmp/r";mode=sync;enabled=%true}'
    replica_id = meta.create("table_replica", attributes=attributes)
    replica.create("table", "//tmp/r", attributes=schema % (';upstream_replica_id="%s"' % replica_id))
    replica.mount("//tmp/r")
    meta.mount("//tmp/t")
    retable.until(lambda: is_in_sync(meta, {"k": 1, "v": "a"}), "a row is written")
    rows = [{"k": 1, "v": "a"}]
    assert meta.select("* from [//tmp/t]") == rows
    # A read is the user's who asks.
    with Token(alice):
        assert 'No such user "alice"' in meta.refused("select-rows", "* from [//tmp/t]")
    replica.create("user", attributes="{name=alice}")
    with Token(alice):
        assert meta.select("* from [//tmp/t]") == rows
        assert "Invalid token" in replica.refused("get", "//tmp")
        meta.insert("//tmp/t", [{"k": 2, "v": "b"}])
    # And so is a write, on the cluster of each synchronous replica.
    replica.run("set", "//tmp/r/@acl", "[{action=deny;subjects=[alice];permissions=[write]}]")
    with Token(alice):
        error = meta.refused("insert-rows", "//tmp/t", "--format", "json", stdin='{"k":3,"v":"c"}')
        assert 'Access denied for user "alice": "write" permission for node //tmp/r is denied' in error, error
    retable.until(lambda: is_in_sync(meta, {"k": 4, "v": "d"}), "others write")
    assert [row["k"] for row in meta.select("k from [//tmp/t] order by k limit 9")] == [1, 2, 4]
    assert [row["k"] for row in replica.select("k from [//tmp/r] order by k limit 9")] == [1, 2, 4]


def test_stranger(world, replica, root):
    """A coordinator without the secret, or with another, feeds nobody."""
    other = secret_file(world, "other", "another-secret")
    peer = ["--peer", "replica=" + replica.address]
    for name, args in ("bare", []), ("wrong", ["--authentication-peer-secret-file", other]):
        stranger = world.coordinator(name, *(peer + args))
        create = '{table_path="//tmp/t";cluster_name=replica;replica_path="//tmp/%s";mode=sync;enabled=%%true}' % name
        stranger.create("replicated_table", "//tmp/t", attributes="{dynamic=%true;schema=[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]}")
        stranger.create("table_replica", attributes=create)
        stranger.mount("//tmp/t")
        retable.until(lambda: "takes replication from clusters with its peer secret only" in stranger.log(), "it is refused")
        error = stranger.refused("insert-rows", "//tmp/t", "--format", "json", stdin='{"k":1}')
        assert "code: 1732" in error or "not in-sync" in error, error
        assert stranger.stop() == 0


def test_authentication():
    with retable.World() as world:
        root, secret = "root-token-of-this-test", "peer-secret-of-this-test"
        args = [
            "--authentication-require", "true", "--log-level", "debug",
            "--authentication-root-token-file", secret_file(world, "root", root),
            "--authentication-peer-secret-file", secret_file(world, "secret", secret),
        ]  # fmt: skip
        with Token(root):
            replica = world.node("replica", *args)
            meta = world.coordinator("meta", "--peer", "replica=" + replica.address, *args)
        test_open_and_closed(meta, root)
        alice = test_tokens(world, meta, root)
        with Token(root):
            test_peers(meta, replica, alice)
            test_stranger(world, replica, root)
            meta.run("revoke-token", "alice", hashlib.sha256(alice.encode()).hexdigest())
        with Token(alice):
            assert "Invalid token" in meta.refused("whoami")
        # secret-free: nothing that was shown is in a log.
        for daemon in world.daemons:
            log = daemon.log()
            assert "HTTP request" in log or daemon is not meta
            for hidden in root, secret, alice, "another-secret":
                assert hidden not in log, (daemon.name, hidden)


def test_bad_files():
    with retable.World() as world:
        empty = secret_file(world, "empty", "")
        for option in "root-token", "peer-secret":
            for path, text in (empty, "is empty"), ("/none/such", "Cannot read /none/such"):
                try:
                    world.node("refused", "--authentication-%s-file" % option, path)
                except AssertionError as error:
                    assert text in str(error), error
                else:
                    raise AssertionError("it started")
                world.daemons.pop().process.wait()


def test():
    test_bad_files()
    test_authentication()
    with retable.World() as world:
        replica = world.node("replica")
        meta = world.coordinator("meta", "--peer", "replica=" + replica.address)
        test_names(meta)
        test_reads(meta, replica)


if __name__ == "__main__":
    test()
