"""A daemon in a network of its own, whose cable to ours loses packets in one direction.

Networks are the kernel's namespaces without names: they are gone when the last process in them is, however a test ends.
"""

import os
import subprocess
import sys

import retable
from relay import FROM_DAEMON, TO_DAEMON
from retable import until

SKIP = 77  # What meson takes for a test that was skipped.
IS_APART = "RETABLE_IS_APART"
NOBODY = "02:00:00:00:00:00"  # The card that nobody has.


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def live_apart():
    """Goes on in a network of this test's own, so that the machine's is left alone; where that cannot be, skips the test."""
    if IS_APART in os.environ:
        run("ip", "link", "set", "lo", "up")
        return
    command = ["unshare"] + ([] if os.getuid() == 0 else ["--user", "--map-root-user"]) + ["--net"]
    probe = ["ip", "link", "add", "probe", "type", "veth", "peer", "name", "other"]
    try:
        done = subprocess.run(command + probe, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        reason = done.stdout.strip() if done.returncode != 0 else None
    except OSError as error:
        reason = error
    if reason:
        print("skipped: networks of their own cannot be made here: %s: %s" % (" ".join(command + probe), reason))
        sys.exit(SKIP)
    os.environ[IS_APART] = "1"
    os.execvp(command[0], command + [sys.executable, "-B"] + sys.argv)


class Namespace:
    """A network with one daemon: its `host`, `command` to run something in it."""

    def __init__(self, number):
        self.cable = "cable%d" % number
        self.ours, self.host = ("10.0.%d.%d" % (number, end) for end in (1, 2))
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)  # Ends with us.
        path = "/proc/%d/ns/net" % self.holder.pid
        self.command = ["nsenter", "--net=" + path]
        until(lambda: os.readlink(path) != os.readlink("/proc/self/ns/net"), "there is another network")
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "cable", "netns", str(self.holder.pid))
        for command, cable, address in ([], self.cable, self.ours), (self.command, "cable", self.host):
            run(*command, "ip", "address", "add", address + "/24", "dev", cable)
            run(*command, "ip", "link", "set", cable, "up")

    def _neighbours(self, direction):
        """The end from which packets go in this direction: how to change whom it knows there."""
        if direction == TO_DAEMON:
            return ["ip", "neighbour"], [self.host, "dev", self.cable]
        return self.command + ["ip", "neighbour"], [self.ours, "dev", "cable"]

    def lose(self, direction):
        """From now on packets go to a card that nobody has, and nobody is told."""
        command, who = self._neighbours(direction)
        run(*command, "replace", *who, "lladdr", NOBODY, "nud", "permanent")

    def heal(self):
        for direction in TO_DAEMON, FROM_DAEMON:
            command, who = self._neighbours(direction)
            run(*command, "replace", *who, "lladdr", NOBODY, "nud", "permanent")
            run(*command, "delete", *who)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(timeout=retable.TIMEOUT_S)
