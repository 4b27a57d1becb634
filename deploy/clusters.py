"""The clusters of deploy/quickstart: clusters.py all|start|stop|status BUILD_FOLDER"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import session

META, FIRST, SECOND = "meta-cluster", "first-replica-cluster", "second-replica-cluster"
NAMES = [META, FIRST, SECOND]
PORTS = {META: 9101, FIRST: 9102, SECOND: 9103}
HTTP_PORTS = {META: 9181, FIRST: 9182, SECOND: 9183}
PROGRAMS = {META: "coordinator/retable-coordinator", FIRST: "replica_node/retable-node", SECOND: "replica_node/retable-node"}
MARK = "made-by-quickstart"  # A file: only a folder that has it is ever emptied.
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20


def fail(text):
    sys.exit("quickstart: " + text)


def find_port(usual):
    """The usual port, or if it is not free any that is."""
    for port in (usual, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return listener.getsockname()[1]
    fail("there is no free port")


class Cluster:
    def __init__(self, home, build, name):
        self.name = name
        self.program = os.path.join(build, PROGRAMS[name])
        self.data = os.path.join(home, name)
        self.config_path = os.path.join(home, name + ".yaml")
        self.log_path = os.path.join(home, name + ".log")
        self.pid_path = os.path.join(home, name + ".pid")
        self.port_path = os.path.join(home, name + ".port")
        self.port = PORTS[name]
        self.http_port = HTTP_PORTS[name]

    def pid(self):
        """Of the process, or None if it does not run. A pid file may be stale, and its number somebody else's."""
        try:
            with open(self.pid_path) as file:
                pid = int(file.read())
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                arguments = file.read().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if self.config_path.encode() in arguments else None

    def address(self):
        return "127.0.0.1:%d" % self.port

    def http_address(self):
        return "127.0.0.1:%d" % self.http_port

    def find_ports(self):
        self.port = find_port(self.port)
        self.http_port = find_port(self.http_port)

    def write_config(self, peers):
        with open(self.config_path, "w") as file:
            file.write("# Made by deploy/quickstart; read when the daemon starts.\n")
            file.write("cluster_name: %s\ndata_dir: %s\n" % (self.name, self.data))
            file.write("grpc_address: %s\nhttp_address: %s\n" % (self.address(), self.http_address()))
            file.write("port_file: %s\n" % self.port_path)
            if peers:
                file.write("peers:\n")
            for peer in peers:
                file.write('  %s: "%s"\n' % (peer.name, peer.address()))

    def read_port(self):
        with open(self.port_path) as file:
            self.port, self.http_port = [int(line) for line in file]

    def start(self):
        if os.path.exists(self.port_path):
            os.remove(self.port_path)
        with open(self.log_path, "ab") as log:
            process = subprocess.Popen(
                [self.program, "--config", self.config_path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        with open(self.pid_path, "w") as file:
            file.write("%d\n" % process.pid)
        end = time.monotonic() + START_TIMEOUT_S
        while not os.path.exists(self.port_path):
            if process.poll() is not None or time.monotonic() > end:
                with open(self.log_path, errors="replace") as log:
                    sys.stderr.write("".join(log.readlines()[-10:]))
                fail("%s does not start, see %s" % (self.name, self.log_path))
            time.sleep(0.01)

    def stop(self):
        """Returns whether it ran."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + STOP_TIMEOUT_S
            while self.pid() is not None:
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)  # It loses nothing by this.
                    end += STOP_TIMEOUT_S
                time.sleep(0.01)
        if os.path.exists(self.pid_path):
            os.remove(self.pid_path)
        return pid is not None


def clusters_file(environment):
    """Where the command line looks for names of clusters."""
    if environment.get("RETABLE_CLUSTERS"):
        return environment["RETABLE_CLUSTERS"]
    config = environment.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(config, "retable", "clusters")


def write_names(path, clusters):
    """Puts the clusters' addresses into the file; other names in it stay."""
    lines = []
    if os.path.exists(path):
        with open(path) as file:
            lines = [line.rstrip("\n") for line in file if line.split()[:1] not in [[name] for name in NAMES]]
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".new", "w") as file:
        file.write("".join(line + "\n" for line in lines))
        file.write("".join("%s %s\n" % (cluster.name, cluster.address()) for cluster in clusters))
    os.replace(path + ".new", path)


def link(target, path):
    if os.path.lexists(path):
        os.remove(path)
    os.symlink(target, path)


def make_home(home):
    """An empty folder, with a mark that it is ours to empty."""
    if os.path.exists(home) and os.listdir(home) and not os.path.exists(os.path.join(home, MARK)):
        fail("%s exists and is not from a quickstart; move it away, or set RETABLE_HOME" % home)
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home, mode=0o750)
    open(os.path.join(home, MARK), "w").close()


def start(clusters):
    """The replica clusters first: the other one is told where they are."""
    if not os.path.exists(clusters[0].config_path):
        fail("there is nothing to start yet: run deploy/quickstart")
    for cluster in reversed(clusters):
        if cluster.pid() is None:
            cluster.start()
        cluster.read_port()


def stop(clusters):
    for cluster in clusters:
        print("%s %s" % (cluster.name, "is stopped" if cluster.stop() else "did not run"))


def status(clusters):
    pids = [cluster.pid() for cluster in clusters]
    for cluster, pid in zip(clusters, pids):
        print("%s %s" % (cluster.name, "runs, pid %d" % pid if pid else "does not run"))
    return 0 if all(pids) else 1


def print_step(step, command):
    print()
    for line in step.remark:
        print(line)
    print("$ " + command.replace("\n", "\n  "), flush=True)


def print_answer(_step, text):
    sys.stdout.write(text)
    sys.stdout.flush()


def print_usage(home, names_path, is_default):
    bin_path = os.path.join(home, "bin")
    quickstart = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quickstart")
    prefix = "" if is_default else "RETABLE_CLUSTERS=%s " % names_path
    print(
        f"""
The clusters are running: {", ".join(NAMES)}.

Use them:      export {prefix}PATH={bin_path}:$PATH
               export YT_PROXY={META}
               yt unfreeze-table //tmp/replicated
               echo '{{k=3;v=300}}' | yt insert-rows //tmp/replicated --format yson
               YT_PROXY={FIRST} yt select-rows '* from [//tmp/replica]' --format json
               yt --help; `retable` is the same
Look at them:  {quickstart} status; logs, configs and data are in {home}
Stop them:     {quickstart} stop
Start them:    {quickstart} start (and without `start`: all anew, with empty clusters)"""
    )


def run_all(home, build, clusters):
    for cluster in clusters:
        cluster.stop()
    make_home(home)
    for cluster in clusters:
        cluster.find_ports()
    for cluster in clusters:
        cluster.write_config(clusters[1:] if cluster.name == META else [])
    print("Starting " + ", ".join("%s at %s" % (cluster.name, cluster.address()) for cluster in clusters), flush=True)
    try:
        start(clusters)
    except BaseException:
        for cluster in clusters:
            cluster.stop()
        raise

    os.mkdir(os.path.join(home, "bin"))
    for name in "retable", "yt":
        link(os.path.join(build, "cli/retable"), os.path.join(home, "bin", name))
    names_path = clusters_file(os.environ)
    write_names(names_path, clusters)
    environment = dict(os.environ, RETABLE_CLUSTERS=names_path)
    environment["PATH"] = os.path.join(home, "bin") + ":" + environment.get("PATH", "/usr/bin:/bin")
    session_path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "session.txt")
    try:
        session.play(session_path, {"meta": META}, environment, print_step, print_answer)
    except session.Mismatch as mismatch:
        fail("the session went wrong; the clusters are left running, their logs are in %s\n%s" % (home, mismatch))
    print_usage(home, names_path, "RETABLE_CLUSTERS" not in os.environ)


def main():
    command, build = sys.argv[1:3]
    home = os.path.join(os.environ.get("RETABLE_HOME") or os.path.expanduser("~/.retable"), "quickstart")
    home = os.path.abspath(home)
    clusters = [Cluster(home, os.path.abspath(build), name) for name in NAMES]
    if command == "all":
        run_all(home, build, clusters)
    elif command == "start":
        start(clusters)
        return status(clusters)
    elif command == "stop":
        stop(clusters)
    else:
        return status(clusters)
    return 0


if __name__ == "__main__":
    sys.exit(main())
