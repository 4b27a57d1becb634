"""The session of deploy/session.txt, word for word, on three daemons."""

import os
import sys

import retable

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy")
sys.path.insert(0, DEPLOY)
import session  # noqa: E402

META = "cluster-name"


def test(world):
    first = world.node("first-replica-cluster")
    second = world.node("second-replica-cluster")
    meta = world.coordinator(
        META, "--peer", "first-replica-cluster=" + first.address, "--peer", "second-replica-cluster=" + second.address
    )

    # As on a user's machine: `yt` is found in a folder, and clusters by their names.
    os.symlink(os.environ["RETABLE"], os.path.join(world.folder, "yt"))
    clusters = os.path.join(world.folder, "clusters")
    with open(clusters, "w") as file:
        for daemon in meta, first, second:
            file.write("%s %s\n" % (daemon.name, daemon.address))
    environment = dict(os.environ, PATH=world.folder + ":" + os.environ["PATH"], RETABLE_CLUSTERS=clusters)

    values = {"meta": META}
    session.play(os.path.join(DEPLOY, "session.txt"), values, environment, lambda step, command: print("$ " + command))

    # Two rows were inserted and one deleted; what was trimmed had been replicated.
    assert values["rows"] == "3", values
    assert int(values["trimmed"]) <= 3, values
    assert len({values[name] for name in ("table", "first", "second", "first_table", "second_table", "tablet")}) == 6


if __name__ == "__main__":
    with retable.World() as world:
        test(world)
