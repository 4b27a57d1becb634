"""What `run`, `postgresql` and `compare` share: processes in a folder of their own, the two systems, the workloads.

A system has the attributes `name`, `address` and `table` (where rows are written), `replica` and `replica_table` (of the
asynchronous replica), and the methods of class Retable. Everything listens on the loopback interface, on free ports,
keeps its files in one temporary folder, and is ended by process id.
"""

import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROW_COUNT = 1_000_000
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def wait_for(condition, what, seconds=60):
    """Waits until `condition()` is true; exceptions count as not yet."""
    end = time.monotonic() + seconds
    error = None
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (OSError, subprocess.CalledProcessError) as caught:
            error = caught
        time.sleep(0.02)
    raise TimeoutError(f"{what}: {getattr(error, 'output', error)}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def process_cpu_seconds(pid):
    """With that of its children that have ended."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / CLOCK_TICKS


def machine_cpu_seconds():
    """Busy time of all cores, and all time."""
    values = [int(value) for value in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(values) - values[3] - values[4]) / CLOCK_TICKS, sum(values) / CLOCK_TICKS


class Folder:
    """A temporary folder and the processes that work in it."""

    def __init__(self, owner=None):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="retable-bench-"))
        self.path.chmod(0o755)
        self.owner = owner
        if owner:
            shutil.chown(self.path, owner, owner)
        self.processes = {}

    def identity(self):
        return {"user": self.owner, "group": self.owner, "extra_groups": []} if self.owner else {}

    def start(self, name, command):
        with open(self.path / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.path,
                **self.identity(),
            )

    def stop(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(how)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def pids_inside(self, name):
        """Of all processes that work in this folder's folder `name`, as a server of PostgreSQL does with its children."""
        result = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and pathlib.Path(os.readlink(entry / "cwd")) == self.path / name:
                    result.append(int(entry.name))
            except OSError:
                pass  # It has ended.
        return result

    def close(self, keep):
        for name in list(reversed(self.processes)):
            self.stop(name)
        if keep:
            print(f"kept {self.path}", file=sys.stderr)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


class Retable:
    """A meta-cluster with a replicated table, a cluster with its sync replica, a cluster with its async replica."""

    name = "retable"
    table = "//tmp/bench"
    replica_table = "//tmp/bench_replica"
    schema = "[{name=k;type=int64;sort_order=ascending};{name=v;type=string}]"
    first_row = "{k=-1000000;v=x}"

    def __init__(self, build, flags=()):
        self.build = pathlib.Path(build).resolve()
        self.flags = list(flags)
        self.folder = Folder()
        self.addresses = {}
        self.http_addresses = {}
        self.is_wiped = False
        try:
            self._start_all()
        except BaseException:
            self.close(keep=True)
            raise

    def _start(self, name, port, peers=()):
        program = "coordinator/retable-coordinator" if name == "meta" else "replica_node/retable-node"
        port_file = self.folder.path / f"{name}.port"
        port_file.unlink(missing_ok=True)
        command = [self.build / program, "--cluster-name", name, "--data-dir", self.folder.path / name]
        command += ["--grpc-address", f"127.0.0.1:{port}", "--http-address", "127.0.0.1:0", "--port-file", port_file]
        for peer in peers:
            command += ["--peer", f"{peer}={self.addresses[peer]}"]
        self.folder.start(name, command + self.flags)
        wait_for(lambda: port_file.read_text().strip(), f"{name} does not start, see {self.folder.path}/{name}.log")
        grpc_port, http_port = port_file.read_text().split()
        self.addresses[name] = f"127.0.0.1:{int(grpc_port)}"
        self.http_addresses[name] = f"127.0.0.1:{int(http_port)}"

    def cli(self, cluster, *arguments):
        """Runs a command of the CLI and returns what it printed."""
        command = [str(self.build / "cli/retable"), "--proxy", self.addresses[cluster], *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
        return done.stdout.strip()

    def _start_all(self):
        self._start("sync", 0)
        self._start("async", 0)
        self._start("meta", 0, ["sync", "async"])
        self.cli("meta", "create", "replicated_table", self.table, "--attr", f"{{dynamic=%true;schema={self.schema}}}")
        self.cli("meta", "mount-table", self.table)
        for mode in ("sync", "async"):
            attributes = f'{{table_path="{self.table}";cluster_name="{mode}";replica_path="{self.replica_table}";mode={mode}}}'
            replica = self.cli("meta", "create", "table_replica", "--attr", attributes)
            attributes = f'{{dynamic=%true;upstream_replica_id="{replica}";schema={self.schema}}}'
            self.cli(mode, "create", "table", self.replica_table, "--attr", attributes)
            self.cli(mode, "mount-table", self.replica_table)
            self.cli("meta", "alter-table-replica", replica, "--enable")
        self.address, self.replica = self.addresses["meta"], self.addresses["async"]
        row = ["sh", "-c", f"echo '{self.first_row}' | {self.build}/cli/retable --proxy {self.address} "
               f"insert-rows {self.table} --format yson"]
        wait_for(lambda: subprocess.check_output(row, stderr=subprocess.STDOUT) is not None, "the table takes no rows")

    def stop_replica(self):
        self.folder.stop("async")

    def start_replica(self):
        self._start("async", self.addresses["async"].rpartition(":")[2])

    def process_ids(self):
        return {name: [process.pid] for name, process in self.folder.processes.items()}

    def memory_mb(self):
        """The most that each daemon has used so far."""
        result = {}
        for name, process in self.folder.processes.items():
            for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    result[name] = int(line.split()[1]) // 1024
        return result

    def close(self, keep=False):
        self.folder.close(keep)


class PostgreSQL:
    """A primary, a synchronous standby, and an asynchronous standby or (logical) subscriber."""

    name = "postgresql"
    table = "bench"
    replica_table = "bench"
    settings = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 1GB
max_wal_size = 16GB
checkpoint_timeout = 30min
max_wal_senders = 10
max_replication_slots = 10
wal_keep_size = 8GB
hot_standby = on
log_min_messages = warning
"""

    def __init__(self, programs=None, synchronous_commit="remote_apply", is_logical=False):
        self.programs = pathlib.Path(programs) if programs else find_postgresql()
        # PostgreSQL refuses to run as root.
        self.folder = Folder("postgres" if os.getuid() == 0 else None)
        self.is_logical = is_logical
        self.ports = {}
        try:
            self._start_all(synchronous_commit)
        except BaseException:
            self.close(keep=True)
            raise

    def _run(self, *command):
        command = [str(self.programs / command[0]), *(str(part) for part in command[1:])]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            cwd=self.folder.path,
            **self.folder.identity(),
        )
        return done.stdout.strip()

    def _connection(self, name, **settings):
        text = f"host=127.0.0.1 port={self.ports[name]} user=postgres dbname=postgres connect_timeout=5"
        if settings:
            text += " options='" + " ".join(f"-c {key}={value}" for key, value in settings.items()) + "'"
        return text

    def sql(self, name, query):
        return self._run("psql", "-XAtq", "-d", self._connection(name), "-c", query)

    def _start(self, name):
        self.folder.start(name, [self.programs / "postgres", "-D", self.folder.path / name, "-p", self.ports[name]])

    def _init(self, name):
        self.ports[name] = free_port()
        data = self.folder.path / name
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8")
        with open(data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(self.settings + ("wal_level = logical\n" if self.is_logical else ""))
        self._start(name)
        wait_for(lambda: self.sql(name, "select 1") == "1", f"{name} does not start")
        self.sql(name, "create table bench (k int8 primary key, v text not null)")

    def _clone(self, name):
        self.ports[name] = free_port()
        data = self.folder.path / name
        source = f"{self._connection('primary')} application_name={name}"
        self._run("pg_basebackup", "-D", data, "-R", "-X", "stream", "-c", "fast", "-d", source)
        with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write(f"\nprimary_conninfo = '{source}'\n")
        self._start(name)
        wait_for(lambda: self.sql(name, "select 1") == "1", f"{name} does not start")

    def _start_all(self, synchronous_commit):
        self._init("primary")
        self._clone("sync")
        if self.is_logical:
            self._init("async")
            self.sql("primary", "create publication bench for table bench")
            self.sql("async", f"create subscription bench connection '{self._connection('primary')}' publication bench")
        else:
            self._clone("async")
        self.sql("primary", "alter system set synchronous_standby_names = 'FIRST 1 (sync)'")
        self.sql("primary", "select pg_reload_conf()")
        states = "select count(*) from pg_stat_replication where sync_state = 'sync'"
        wait_for(lambda: self.sql("primary", states) == "1", "no synchronous standby")
        self.address = self._connection("primary", synchronous_commit=synchronous_commit)
        self.replica = self._connection("async")

    def stop_replica(self):
        self.folder.stop("async", signal.SIGINT)

    def start_replica(self):
        self._start("async")

    def process_ids(self):
        return {name: self.folder.pids_inside(name) for name in self.folder.processes}

    def memory_mb(self):
        return {}

    def close(self, keep=False):
        for name in list(self.folder.processes):
            self.folder.stop(name, signal.SIGINT)
        self.folder.close(keep)


def find_postgresql():
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in [*folders, pathlib.Path("/usr/local/bin"), pathlib.Path("/usr/bin")]:
        if (folder / "postgres").exists() and (folder / "pg_basebackup").exists():
            return folder
    return fail("PostgreSQL is not installed: apt-get install postgresql-15")


class Bench:
    """Runs workloads; each result is a dictionary."""

    def __init__(self, build, seconds=5.0, row_count=ROW_COUNT):
        self.program = str(pathlib.Path(build).resolve() / "bench/retable-bench")
        self.seconds = seconds
        self.row_count = row_count
        self.next_key = 0

    def execute(self, workload, *arguments):
        command = [self.program, workload, *(str(part) for part in arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}:\n{done.stderr}")
        return json.loads(done.stdout)

    def take_keys(self, count):
        """The first of `count` keys that have not been used; some before it are free, too."""
        first = self.next_key + 1000
        self.next_key = first + count
        return first

    def limits(self):
        with tempfile.TemporaryDirectory(prefix="retable-bench-") as folder:
            return self.execute("limits", "--data-dir", folder, "--seconds", min(1.0, self.seconds))

    def measured(self, system, workload, *arguments):
        """Runs a workload, and adds what the processes used meanwhile."""
        busy, total = machine_cpu_seconds()
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        before = {name: sum(map(process_cpu_seconds, ids)) for name, ids in system.process_ids().items()}
        result = self.execute(workload, "--system", system.name, "--address", system.address, *arguments)
        after = {name: sum(map(process_cpu_seconds, ids)) for name, ids in system.process_ids().items()}
        busy, total = (now - then for now, then in zip(machine_cpu_seconds(), (busy, total)))
        bench = resource.getrusage(resource.RUSAGE_CHILDREN)
        bench = bench.ru_utime + bench.ru_stime - ours.ru_utime - ours.ru_stime
        cpu = {name: round(after[name] - before[name], 2) for name in after if name in before}
        result["cpu_s"] = {"bench": round(bench, 2), **cpu}
        # What others made of the machine: a figure measured beside them is worth less.
        result["foreign_cpu_share"] = round(max(0.0, busy - bench - sum(cpu.values())) / total, 3)
        memory = system.memory_mb()
        if memory:
            result["memory_mb"] = memory
        return result

    def commit(self, system, clients, threads=1, rows=1):
        first = self.take_keys(100_000_000)
        return self.measured(
            system, "commit", "--table", system.table, "--first-key", first, "--clients", clients, "--threads", threads,
            "--rows", rows, "--seconds", self.seconds)

    def bulk(self, system, clients=1):
        first = self.take_keys(self.row_count)
        return self.measured(
            system, "bulk", "--table", system.table, "--first-key", first, "--clients", clients, "--rows", 1000, "--total",
            self.row_count, "--replica", system.replica, "--replica-table", system.replica_table)

    def steady(self, system, rate=2000, rows=10):
        first = self.take_keys(int(rate * self.seconds * 2) + rows)
        return self.measured(
            system, "steady", "--table", system.table, "--first-key", first, "--rate", rate, "--rows", rows, "--seconds",
            self.seconds, "--replica", system.replica, "--replica-table", system.replica_table)

    def lookup(self, system, clients=16, keys=1):
        """With warm caches: a server may have been started anew, and files nobody reads lose their place in memory."""
        options = [*self.prepare(system), "--first-key", system.lookup_key, "--total", self.row_count]
        options += ["--clients", clients, "--seconds", self.seconds]
        self.execute("lookup", *options, "--rows", 100)
        return self.measured(system, "lookup", *options, "--rows", keys)

    def prepare(self, system):
        if not hasattr(system, "lookup_key"):
            system.lookup_key = self.next_key + 1000
            self.bulk(system)
        return ["--system", system.name, "--address", system.replica, "--table", system.replica_table]

    def select(self, system, clients=1):
        """Point selects, and beside them lookups of the same kind."""
        options = [*self.prepare(system), "--first-key", system.lookup_key, "--total", self.row_count]
        options += ["--clients", clients, "--seconds", self.seconds]
        lookup = self.measured(system, "lookup", *options)
        result = self.measured(system, "select", *options)
        result["lookup"] = {key: lookup[key] for key in ("p50_ms", "p99_ms", "calls_per_s")}
        return result

    def http(self, system, clients=16):
        """Lookups over HTTP with a keep-alive connection each, and beside them gRPC with a connection each, and on one."""
        options = [*self.prepare(system), "--first-key", system.lookup_key, "--total", self.row_count]
        options += ["--clients", clients, "--seconds", self.seconds]
        self.execute("lookup", *options, "--rows", 100)
        keys = ("p50_ms", "p99_ms", "calls_per_s", "cpu_s")
        ways = {
            "grpc_each": [*options, "--threads", clients],
            "grpc_shared": options,
        }
        beside = {name: self.measured(system, "lookup", *way) for name, way in ways.items()}
        options += ["--system", "http", "--address", system.http_addresses["async"]]
        result = self.measured(system, "lookup", *options)
        result.update({name: {key: each[key] for key in keys} for name, each in beside.items()})
        return result

    def group(self, system):
        """A query that groups a million rows, and beside it a bare scan of as many."""
        with tempfile.TemporaryDirectory(prefix="retable-bench-") as folder:
            scan = self.execute("scan", "--data-dir", folder, "--total", self.row_count)
        options = self.prepare(system)
        end = system.lookup_key + self.row_count
        keys = f"k >= {system.lookup_key} and k < {end}"
        query = f"k % 100 as g, sum(k) as s, count(*) as c from [{system.replica_table}] where {keys} group by g"
        result = self.measured(system, "query", *options, "--query", query, "--seconds", max(3.0, self.seconds))
        result["scan_ms"] = scan["scan_ms"]
        return result

    def catchup(self, system, clients=1):
        """Rows a second from the replica's start until it has all that was written while it was down."""
        system.stop_replica()
        first = self.take_keys(self.row_count)
        rows = ["--first-key", first, "--rows", 1000, "--total", self.row_count, "--clients", clients]
        try:
            self.execute("bulk", "--system", system.name, "--address", system.address, "--table", system.table, *rows)
        finally:
            begin = time.monotonic()
            system.start_replica()
        options = ["--system", system.name, "--address", system.replica]
        result = self.measured(system, "wait", *options, "--table", system.replica_table, *rows)
        seconds = time.monotonic() - begin
        result.update({"workload": "catchup", "seconds": round(seconds, 3), "rows_per_s": round(self.row_count / seconds)})
        return result


# Name: how it is run, and the figure that says how much was done.
WORKLOADS = {
    "commit1": lambda bench, system: bench.commit(system, 1),
    "commit16": lambda bench, system: bench.commit(system, 16),
    "commit64": lambda bench, system: bench.commit(system, 64),
    "bulk": lambda bench, system: bench.bulk(system),
    "steady": lambda bench, system: bench.steady(system),
    "lookup": lambda bench, system: bench.lookup(system, keys=1),
    "lookup100": lambda bench, system: bench.lookup(system, keys=100),
    "select1": lambda bench, system: bench.select(system),
    "select16": lambda bench, system: bench.select(system, 16),
    "group": lambda bench, system: bench.group(system),
    "http16": lambda bench, system: bench.http(system),
    "catchup": lambda bench, system: bench.catchup(system),
}


def floor_ms(limits):
    """What a commit takes at least: the client's call, and at the same time the coordinator's own put, and a message to
    the replica with the replica's put."""
    return limits["unary_p50_ms"] + max(limits["store_put_p50_ms"], limits["stream_put_p50_ms"])


def add_ratios(name, result, limits):
    """Compares a result of retable with what the machine can do."""
    result["limits"] = {
        key: limits[key]
        for key in (
            "fdatasync_p50_ms", "tcp_p50_ms", "unary_p50_ms", "store_put_p50_ms", "stream_put_p50_ms", "unary_parallel_per_s")
    }
    ratios = {}
    if name == "commit1":
        result["limits"]["floor_ms"] = round(floor_ms(limits), 4)
        ratios["p50_to_floor"] = round(result["p50_ms"] / floor_ms(limits), 3)
        ratios["p50_to_fdatasync"] = round(result["p50_ms"] / limits["fdatasync_p50_ms"], 3)
    if "commits_per_s" in result:
        ratios["commits_per_fdatasync"] = round(result["commits_per_s"] * limits["fdatasync_p50_ms"] / 1000, 3)
    if "calls_per_s" in result:
        ratios["calls_to_grpc_calls"] = round(result["calls_per_s"] / limits["unary_parallel_per_s"], 3)
    if "visible_p50_ms" in result:
        ratios["visible_p50_to_grpc_call"] = round(result["visible_p50_ms"] / limits["unary_p50_ms"], 3)
    if "lookup" in result:
        ratios["p50_to_lookup"] = round(result["p50_ms"] / result["lookup"]["p50_ms"], 3)
        ratios["lookups_to_calls"] = round(result["lookup"]["calls_per_s"] / result["calls_per_s"], 3)
    for way in ("grpc_each", "grpc_shared"):
        if way in result:
            ratios[f"calls_to_{way}"] = round(result["calls_per_s"] / result[way]["calls_per_s"], 3)
    if "scan_ms" in result:
        ratios["p50_to_scan"] = round(result["p50_ms"] / result["scan_ms"], 3)
        ratios["p50_to_allowance"] = round(result["p50_ms"] / (1.5 * result["scan_ms"] + 50), 3)
    result["ratios"] = ratios


def median_of(results):
    """The medians of all numbers of several results of the same workload."""
    merged = dict(results[0])
    for key, value in results[0].items():
        if isinstance(value, dict):
            merged[key] = median_of([result.get(key, {}) for result in results])
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            merged[key] = statistics.median(result[key] for result in results if key in result)
    return merged


# Those that PostgreSQL has no like of.
OF_RETABLE = ("select1", "select16", "group", "http16")


def check_workloads(names, is_comparison=False):
    known = [name for name in WORKLOADS if not (is_comparison and name in OF_RETABLE)]
    for name in names:
        if name not in known:
            fail(f"unknown workload {name}: choose among {', '.join(known)}")
    return names or known


def take_priority(options):
    """Everything that is started from here runs before what else runs on this machine, if --real-time says so."""
    if not options.real_time:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    except PermissionError:
        fail("--real-time needs root")


def add_arguments(parser):
    parser.add_argument("workloads", nargs="*", help=f"{', '.join(WORKLOADS)} (all)")
    parser.add_argument("--build", default="build", help="the build folder (build)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure each (5)")
    parser.add_argument("--rows", type=int, default=ROW_COUNT, help="rows of bulk, lookup and catchup (1000000)")
    parser.add_argument("--real-time", action="store_true", help="run before all other processes: less noise; needs root")
    parser.add_argument("--keep", action="store_true", help="keep the folder with data and logs")
