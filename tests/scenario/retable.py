"""Clusters of real daemons for scenario tests.

    with retable.World() as world:
        primary = world.coordinator("primary")
        replica = world.node("replica")
        primary.run("create", "table", "//home/t", ...)

Every daemon runs in a folder of its own on a free port, and is stopped, by its pid, when the world ends, however it
ends. The folder is kept if the test failed. Tests wait for conditions (`until`), never for a time.
The binaries come from the environment: RETABLE_COORDINATOR, RETABLE_NODE and RETABLE (the command line).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TIMEOUT_S = float(os.environ.get("RETABLE_TEST_TIMEOUT_S", "30"))


class CommandError(Exception):
    """A command was refused; `code` is what the process returned."""

    def __init__(self, args, code, text):
        super().__init__("%s: exit code %d: %s" % (" ".join(args), code, text))
        self.code = code
        self.text = text


def until(condition, what, timeout_s=TIMEOUT_S):
    """Waits until `condition()` is true, and returns what it returned. A refused command counts as false."""
    end = time.monotonic() + timeout_s
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except CommandError as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError("waited %g s for: %s; last: %s" % (timeout_s, what, last))
        time.sleep(0.02)


class Daemon:
    """A cluster's process. `args` are added to its command line; it may live in a network of its own."""

    def __init__(self, world, binary, name, args, network=None):
        self.world = world
        self.binary = binary
        self.name = name
        self.args = list(args)
        self.network = network
        self.host = network.host if network else "127.0.0.1"
        self.folder = os.path.join(world.folder, name)
        self.log_path = self.folder + ".log"
        self.environment = None  # Of the process, from the next start on; ours if None.
        self.process = None
        self.address = None
        self.http_address = None

    def launch(self):
        """Starts the process and does not wait until it serves; returns the path that then appears."""
        port_path = self.folder + ".port"
        if os.path.exists(port_path):
            os.remove(port_path)
        # After the first start it keeps its port, since other clusters know it.
        address = self.address or self.host + ":0"
        http_address = self.http_address or self.host + ":0"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                (self.network.command if self.network else [])
                + [self.binary, "--cluster-name", self.name, "--data-dir", self.folder]
                + ["--grpc-address", address, "--http-address", http_address, "--port-file", port_path]
                + self.args,
                stderr=log,
                env=self.environment,
            )
        return port_path

    def start(self):
        port_path = self.launch()
        until(lambda: os.path.exists(port_path) or self.process.poll() is not None, self.name + " starts")
        if not os.path.exists(port_path):
            raise AssertionError("%s did not start:\n%s" % (self.name, self.log()))
        with open(port_path) as file:
            self.address, self.http_address = [self.host + ":" + line.strip() for line in file]
        return self

    def stop(self, number=signal.SIGTERM):
        """Stops it, cleanly or by another signal; returns its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        try:
            code = self.process.wait(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        return code

    def kill(self):
        return self.stop(signal.SIGKILL)

    def log(self):
        with open(self.log_path) as file:
            return file.read()

    def run(self, *args, stdin=""):
        """Runs a command of the command line here; returns what it printed, without the last newline."""
        env = dict(os.environ, YT_PROXY=self.address)
        done = subprocess.run(
            [os.environ["RETABLE"]] + list(args),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            timeout=TIMEOUT_S,
            text=True,
        )
        if done.returncode != 0:
            raise CommandError(args, done.returncode, done.stderr.strip())
        return done.stdout.rstrip("\n")

    def refused(self, *args, stdin=""):
        """Runs a command that must be refused; returns its error text."""
        try:
            output = self.run(*args, stdin=stdin)
        except CommandError as error:
            return error.text
        raise AssertionError("%s was not refused: %s" % (" ".join(args), output))

    def get(self, path):
        return json.loads(self.run("get", path, "--format", "json"))

    def create(self, kind, *args, attributes=None):
        """Creates an object and returns its id."""
        extra = ["--attributes", attributes] if attributes else []
        return self.run("create", kind, *args, *extra)

    def mount(self, path):
        self.run("mount-table", path)
        self.until_state(path, "mounted")

    def until_state(self, path, state):
        until(lambda: self.get(path + "/@tablet_state") == state, "%s is %s" % (path, state))

    def insert(self, path, rows, *args):
        self.run("insert-rows", path, "--format", "json", *args, stdin="".join(json.dumps(row) + "\n" for row in rows))

    def lookup(self, path, keys, *args):
        text = "".join(json.dumps(key) + "\n" for key in keys)
        return rows_of(self.run("lookup-rows", path, "--format", "json", *args, stdin=text))

    def select(self, query, *args):
        return rows_of(self.run("select-rows", query, "--format", "json", *args))


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


class World:
    """Some clusters, gone when the test is over."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="retable-")
        self.daemons = []
        return self

    def __exit__(self, kind, error, trace):
        codes = {daemon.name: daemon.stop() for daemon in reversed(self.daemons)}
        if kind is None:
            bad = {name: code for name, code in codes.items() if code not in (0, None)}
            if not bad:
                shutil.rmtree(self.folder)
                return
            print("exit codes: %s" % bad, file=sys.stderr)
        for daemon in self.daemons:
            print("--- log of %s\n%s" % (daemon.name, daemon.log()), file=sys.stderr)
        print("--- the folder is kept: %s" % self.folder, file=sys.stderr)
        if kind is None:
            raise AssertionError("a daemon did not stop cleanly")

    def _add(self, binary, name, args, network=None):
        daemon = Daemon(self, os.environ[binary], name, args, network)
        self.daemons.append(daemon)
        return daemon.start()

    def coordinator(self, name, *args):
        return self._add("RETABLE_COORDINATOR", name, args)

    def node(self, name, *args, network=None):
        return self._add("RETABLE_NODE", name, args, network)
