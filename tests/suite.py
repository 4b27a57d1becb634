"""Builds retable and runs its tests; started by tests/run, which explains what it promises.

    suite.py [--long]

Each step is a process group of its own with a time limit, and what it prints goes to a file, shown if it fails. All
temporary files are in one folder, kept only after a failure. Whatever a step leaves running becomes a child of this
process and is ended by its id.
"""

import argparse
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
BUILD_ASAN = os.path.join(ROOT, "build-asan")
BUILD_TSAN = os.path.join(ROOT, "build-tsan")
BUILD_FUZZ = os.path.join(ROOT, "build-fuzz")
SEED_COUNT = 1500
SEED_COUNT_LONG = 20000
SEED_COUNT_ASAN = 150
SEED_COUNT_ASAN_LONG = 2000
CRASH_COUNT_ASAN = 4
CRASH_COUNT_LONG = 200
QUERY_COUNT_LONG = 1000000
FUZZ_S = 5  # Of each target.
FUZZ_LONG_S = 1200
LIMIT_S = 900
LIMIT_LONG_S = 4 * 3600
TAIL_LINE_COUNT = 100
REPORT_LINE_COUNT = 25
PR_SET_CHILD_SUBREAPER = 36
# What scenarios run, and where a build has it.
PROGRAMS = {
    "RETABLE": "cli/retable",
    "RETABLE_COORDINATOR": "coordinator/retable-coordinator",
    "RETABLE_NODE": "replica_node/retable-node",
    "RETABLE_STEADY": "tests/scenario/steady",
    "RETABLE_WRITER": "tests/scenario/writer",
}


class Suite:
    def __init__(self, is_long):
        self.is_long = is_long
        self.folder = tempfile.mkdtemp(prefix="retable-tests-")
        self.limit_s = LIMIT_LONG_S if is_long else LIMIT_S
        self.passed = 0
        self.failed = 0
        self.current = None  # The process group that is running.
        self.log_path = None

    # ---------------------------------------------------------------- steps

    def run(self, name, command, environment=None):
        """Runs one command to its end; returns its exit code."""
        self.log_path = os.path.join(self.folder, re.sub(r"\W+", "-", name) + ".log")
        print("%-34s" % name, end="", flush=True)
        start = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.current = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": self.folder, **(environment or {})},
                start_new_session=True,
            )
        try:
            code = self.current.wait(timeout=self.limit_s)
        except subprocess.TimeoutExpired:
            code = -1
            with open(self.log_path, "a") as log:
                log.write("This took more than %d s\n" % self.limit_s)
        self.end_current()
        self.seconds = time.monotonic() - start
        return code

    def end_current(self):
        """Ends the step's processes, politely at first."""
        if self.current is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.current.pid, number)
            except ProcessLookupError:
                break
            try:
                self.current.wait(timeout=15)
            except subprocess.TimeoutExpired:
                continue
        self.current.wait()
        self.current = None

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def report(self, passed, failed, text=None):
        self.passed += passed
        self.failed += failed
        print("%6d passed %4d failed %7.1f s" % (passed, failed, self.seconds), flush=True)
        if failed:
            lines = (self.log() if text is None else text).rstrip().splitlines()
            print("\n".join("    " + line for line in lines[-TAIL_LINE_COUNT:]), flush=True)

    def command(self, name, command, environment=None):
        """A step that passes or fails as a whole."""
        code = self.run(name, command, environment)
        self.report(int(code == 0), int(code != 0))
        return code == 0

    def counted(self, name, command, environment=None):
        """A step whose last line is `N passed, M failed`, if it gets so far."""
        code = self.run(name, command, environment)
        found = re.findall(r"^(\d+) passed, (\d+) failed$", self.log(), re.MULTILINE)
        passed, failed = map(int, found[-1]) if found else (0, 0)
        if code != 0 and failed == 0:
            failed = 1
        self.report(passed, failed)

    def meson(self, name, build, suites, environment=None):
        """A step that counts the test cases of some of meson's suites."""
        log_base = "run-" + "-".join(suites)
        command = ["meson", "test", "-C", build, "--print-errorlogs", "--logbase", log_base]
        if self.is_long:
            command += ["--timeout-multiplier", "30"]
        report_path = os.path.join(build, "meson-logs", log_base + ".junit.xml")
        if os.path.exists(report_path):
            os.remove(report_path)
        code = self.run(name, command + [word for suite in suites for word in ("--suite", suite)], environment)
        passed = failed = 0
        skipped = []
        if os.path.exists(report_path):
            for case in xml.etree.ElementTree.parse(report_path).iter("testcase"):
                if case.find("failure") is not None or case.find("error") is not None:
                    failed += 1
                elif case.find("skipped") is None:
                    passed += 1
                else:
                    skipped.append(case.get("name"))
        if failed == 0 and (code != 0 or passed == 0):
            failed = 1
        self.report(passed, failed)
        self.report_skipped(skipped, os.path.join(build, "meson-logs", log_base + ".txt"))

    def report_skipped(self, names, log_path):
        """Says which tests were skipped and why; they count neither as passed nor as failed."""
        reasons = []
        if names and os.path.exists(log_path):
            with open(log_path, errors="replace") as log:
                reasons = re.findall(r"^(skipped: .*)$", log.read(), re.MULTILINE)
        for name in names:
            print("    %s was skipped" % name)
        for reason in sorted(set(reasons)):
            print("    " + reason, flush=True)

    # ---------------------------------------------------------------- all of it

    def build(self, name, build, arguments, targets):
        reconfigure = []
        if os.path.exists(os.path.join(build, "build.ninja")):
            if unit_targets(build):
                return self.command("build " + name, ["ninja", "-C", build] + targets)
            reconfigure = ["--reconfigure"]  # Criterion was not there when it was configured.
        if not self.command("configure " + name, ["meson", "setup", build] + reconfigure + arguments):
            return False
        return self.command("build " + name, ["ninja", "-C", build] + targets)

    def check_format(self):
        version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
        if " version 14." not in version:
            print("format                            skipped: .clang-format is written for version 14")
            return
        self.command("format", ["clang-format", "--dry-run", "-Werror"] + list(sources()))

    def sanitized(self):
        seed_count = SEED_COUNT_ASAN_LONG if self.is_long else SEED_COUNT_ASAN
        simulator = "tests/sim/retable-sim"
        targets = [] if self.is_long else unit_targets(BUILD_ASAN) + [simulator] + list(PROGRAMS.values())
        if not self.build("sanitized", BUILD_ASAN, ["-Db_sanitize=address,undefined"], targets):
            return
        # Criterion hides what its processes print, and a leak does not fail a test: a report in a file does.
        reports = os.path.join(self.folder, "reports")
        os.mkdir(reports)
        environment = {
            "ASAN_OPTIONS": "detect_leaks=1:handle_segv=0:log_path=" + os.path.join(reports, "asan"),
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:log_path=" + os.path.join(reports, "ubsan"),
        }
        self.meson("unit, sanitized", BUILD_ASAN, ["unit"], environment)
        program = os.path.join(BUILD_ASAN, simulator)
        self.counted("simulator, sanitized", [program, "--from", "1", "--count", str(seed_count)], environment)
        if self.is_long:
            self.meson("scenario, sanitized", BUILD_ASAN, ["scenario"], environment)
        else:
            environment["RETABLE_CRASH_COUNT"] = str(CRASH_COUNT_ASAN)
            self.scenarios("sanitized", BUILD_ASAN, ["session", "crash"], environment)
        self.check_reports("no reports of sanitizers", reports)

    def scenarios(self, what, build, names, environment):
        """Some scenarios, with the programs of another build, which are slower."""
        paths = {name: os.path.join(build, path) for name, path in PROGRAMS.items()}
        for name in names:
            test = os.path.join(ROOT, "tests/scenario", name + "_test.py")
            self.command(
                "%s, %s" % (name, what),
                [sys.executable, "-B", test],
                {**environment, **paths, "RETABLE_TEST_TIMEOUT_S": "120"},
            )

    def check_reports(self, name, reports):
        """Sanitizers write a file for each process that did something wrong."""
        files = sorted(os.listdir(reports))
        text = ""
        for file in files:
            with open(os.path.join(reports, file), errors="replace") as report:
                text += "".join([file + "\n"] + report.readlines()[:REPORT_LINE_COUNT] + ["\n"])
        print("%-34s" % name, end="")
        self.seconds = 0
        self.report(int(not files), len(files), text)

    def threads(self):
        """Daemons under ThreadSanitizer: commits, failover, queries on threads of their own."""
        if not self.build("for threads", BUILD_TSAN, ["-Db_sanitize=thread"], list(PROGRAMS.values())):
            return
        reports = os.path.join(self.folder, "thread-reports")
        os.mkdir(reports)
        environment = {
            "RETABLE_FAILOVER_COUNT": "1",
            "TSAN_OPTIONS": "suppressions=%s:log_path=%s"
            % (os.path.join(ROOT, "tests/tsan.supp"), os.path.join(reports, "tsan")),
        }
        self.scenarios("threads", BUILD_TSAN, ["failover", "query", "http"], environment)
        self.check_reports("no reports of threads", reports)

    def all(self):
        if not self.build("default", BUILD, [], []):
            return
        self.check_format()
        environment = {"RETABLE_QUERY_COUNT": str(QUERY_COUNT_LONG)} if self.is_long else None
        self.meson("unit, tidy", BUILD, ["unit", "tidy"], environment)
        seed_count = SEED_COUNT_LONG if self.is_long else SEED_COUNT
        program = os.path.join(BUILD, "tests/sim/retable-sim")
        self.counted("simulator", [program, "--from", "1", "--count", str(seed_count)])
        self.counted("mutants", [sys.executable, "-B", os.path.join(ROOT, "tests/sim/mutants.py"), BUILD])
        environment = {"RETABLE_CRASH_COUNT": str(CRASH_COUNT_LONG)} if self.is_long else None
        self.meson("scenario", BUILD, ["scenario"], environment)
        self.sanitized()
        if self.is_long:  # gcc 12's ThreadSanitizer can loop in its own report of what libraries do.
            self.threads()
        seconds = FUZZ_LONG_S if self.is_long else FUZZ_S
        fuzz = os.path.join(ROOT, "tests/fuzz/fuzz.py")
        seed = 0 if self.is_long else 1  # By default what has passed here passes there; --long looks for more.
        self.counted("fuzz", [sys.executable, "-B", fuzz, BUILD_FUZZ, str(seconds), "--seed", str(seed)])

    def close(self):
        self.end_current()
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.failed:
            print("Logs are kept in " + self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def sources():
    """Our C files; folders that begin with `build` or a dot are not ours."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not re.match(r"\.|build|__pycache__", name))
        for file in sorted(files):
            if file.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(folder, file), ROOT)


def unit_targets(build):
    """What ninja has to build for the unit tests."""
    names = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], capture_output=True, text=True).stdout
    return re.findall(r"^(tests/unit/\S+_test): ", names, re.MULTILINE)


def children():
    """The ids of this process's children."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name) as file:
                if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                    yield int(name)
        except OSError:
            pass  # It has ended meanwhile.


def stop(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description="Builds retable and runs its tests.")
    parser.add_argument("--long", action="store_true", help="%d seeds and long crash loops: hours" % SEED_COUNT_LONG)
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    suite = Suite(options.long)
    is_finished = False
    start = time.monotonic()
    try:
        suite.all()
        is_finished = True
    finally:
        if not is_finished:
            suite.failed += 1
        suite.close()
        print("took %.0f s" % (time.monotonic() - start))
        print("%d passed, %d failed" % (suite.passed, suite.failed), flush=True)
    return suite.failed > 0


if __name__ == "__main__":
    sys.exit(main())
