"""The session of deploy/session.txt, word for word, on three daemons: with our command line, over gRPC, and with the
official one, over HTTP.

    session_test.py [official]
"""

import os
import sys

import clients
import retable

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy")
sys.path.insert(0, DEPLOY)
import session  # noqa: E402

META = "cluster-name"


def our_environment(world, daemons):
    """As on a user's machine: `yt` is found in a folder, and clusters by their names."""
    os.symlink(os.environ["RETABLE"], os.path.join(world.folder, "yt"))
    names = os.path.join(world.folder, "clusters")
    with open(names, "w") as file:
        for daemon in daemons:
            file.write("%s %s\n" % (daemon.name, daemon.address))
    return dict(os.environ, PATH=world.folder + ":" + os.environ["PATH"], RETABLE_CLUSTERS=names)


def test(is_official):
    programs = clients.python() if is_official else None
    with retable.World() as world:
        first = world.node("first-replica-cluster")
        second = world.node("second-replica-cluster")
        meta = world.coordinator(
            META, "--peer", "first-replica-cluster=" + first.address, "--peer", "second-replica-cluster=" + second.address
        )
        daemons = [meta, first, second]
        environment = clients.environment(daemons, programs) if is_official else our_environment(world, daemons)

        values = {"meta": META}
        session.play(os.path.join(DEPLOY, "session.txt"), values, environment, lambda step, command: print("$ " + command))

        # Two rows were inserted and one deleted; what was trimmed had been replicated.
        assert values["rows"] == "3", values
        assert int(values["trimmed"]) <= 3, values
        assert len({values[name] for name in ("table", "first", "second", "first_table", "second_table", "tablet")}) == 6


if __name__ == "__main__":
    clients.run_test(lambda: test("official" in sys.argv[1:]))
