"""The official clients of YTsaurus, as they come from their registries.

They are installed once into the folder $RETABLE_CLIENTS, and found there by the next test. What a machine lacks for
them (Python's venv, Go, Node, a registry that answers) skips the test that wants them, with the reason.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys

CLIENT = "ytsaurus-client==0.13.55"
BINDINGS = "ytsaurus-yson==0.4.10"
GO_SDK = "go.ytsaurus.tech/yt/go@v0.0.30"
GO_VERSION = (1, 22)
JAVASCRIPT_WRAPPER = "@ytsaurus/javascript-wrapper@0.5.0"
NODE_VERSION = (18,)
INSTALL_TIMEOUT_S = 600
SKIP = 77  # What meson takes for a test that was skipped.


class Missing(Exception):
    """Why a client cannot be had here."""


def run_test(test):
    """Runs a test that needs these clients."""
    try:
        test()
    except Missing as reason:
        print("skipped: %s" % reason)
        sys.exit(SKIP)


@contextlib.contextmanager
def made_once(name):
    """A folder that the first user makes; yields its path, and whether it has to be made."""
    base = os.environ["RETABLE_CLIENTS"]
    os.makedirs(base, exist_ok=True)
    folder = os.path.join(base, name)
    mark = os.path.join(folder, "complete")
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(mark):
            yield folder, False
            return
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        yield folder, True
        open(mark, "w").close()


def install(what, command, **options):
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=INSTALL_TIMEOUT_S, **options
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing("%s cannot be installed: %s" % (what, error)) from None
    if done.returncode != 0:
        raise Missing("%s cannot be installed: %s" % (what, " ".join(done.stdout.split("\n")[-4:])))


def version_of(command, prefix):
    """The version of a program, as a tuple; None if it is not there."""
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except OSError:
        return None
    number = text[text.find(prefix) + len(prefix) :].split()[0]
    return tuple(int(part) for part in number.split(".")[:3] if part.isdigit())


def python(with_bindings=True):
    """The folder of programs (python, yt) of an environment with the Python client, and with its YSON bindings."""
    with made_once("python" if with_bindings else "python-alone") as (folder, is_new):
        if is_new:
            install("The Python client", [sys.executable, "-m", "venv", folder])
            packages = [CLIENT] + ([BINDINGS] if with_bindings else [])
            pip = os.path.join(folder, "bin", "pip")
            install("The Python client", [pip, "install", "-q", "--disable-pip-version-check"] + packages)
        return os.path.join(folder, "bin")


def go(source):
    """A program of Go with the SDK, built."""
    version = version_of(["go", "version"], "go version go")
    if version is None or version < GO_VERSION:
        raise Missing("Go %d.%d or newer is not there" % GO_VERSION)
    with made_once("go") as (folder, is_new):
        if is_new:
            install("The Go SDK", ["go", "mod", "init", "conformance"], cwd=folder)
            install("The Go SDK", ["go", "get", GO_SDK], cwd=folder)
    shutil.copy(source, os.path.join(folder, "main.go"))
    install("The Go SDK", ["go", "mod", "tidy"], cwd=folder)
    subprocess.run(["go", "build", "-o", "conformance", "."], cwd=folder, check=True, timeout=INSTALL_TIMEOUT_S)
    return os.path.join(folder, "conformance")


def javascript():
    """The folder to run programs of Node in, with the wrapper."""
    version = version_of(["node", "--version"], "v")
    if version is None or version < NODE_VERSION or shutil.which("npm") is None:
        raise Missing("Node %d or newer with npm is not there" % NODE_VERSION)
    with made_once("javascript") as (folder, is_new):
        if is_new:
            with open(os.path.join(folder, "package.json"), "w") as file:
                file.write('{"name":"conformance","private":true}\n')
            install("The JavaScript wrapper", ["npm", "install", "--no-audit", "--no-fund", JAVASCRIPT_WRAPPER], cwd=folder)
    return folder


def environment(daemons, programs=None):
    """An environment in which official clients find clusters by name, and do not repeat what is refused."""
    aliases = ";".join('"%s"="%s"' % (daemon.name, daemon.http_address) for daemon in daemons)
    patches = "{dynamic_table_retries={enable=%false};proxy={retries={enable=%false}}}"
    made = dict(os.environ, YT_PROXY_URL_ALIASING_CONFIG="{%s}" % aliases, YT_CONFIG_PATCHES=patches)
    made["YT_LOG_LEVEL"] = "ERROR"
    for name in "YT_TOKEN", "YT_PROXY", "YT_CONFIG_PATH":
        made.pop(name, None)
    if programs:
        made["PATH"] = programs + ":" + made["PATH"]
    return made
