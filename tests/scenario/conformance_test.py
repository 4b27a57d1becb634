"""Programs that use official clients, unchanged, against real daemons.

    conformance_test.py python | python_alone | compatibility | go | javascript
"""

import os
import shutil
import subprocess
import sys

import clients
import retable

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conformance")


def python_command(with_bindings, program="commands.py"):
    programs = clients.python(with_bindings)
    return [os.path.join(programs, "python"), "-B", os.path.join(FOLDER, program)], FOLDER


def go_command():
    return [clients.go(os.path.join(FOLDER, "main.go"))], FOLDER


def javascript_command():
    """Node looks for modules beside the program."""
    folder = clients.javascript()
    shutil.copy(os.path.join(FOLDER, "commands.js"), folder)
    return ["node", "commands.js"], folder


COMMANDS = {
    "python": lambda: python_command(True),
    "python_alone": lambda: python_command(False),
    "compatibility": lambda: python_command(True, "compatibility.py"),
    "go": go_command,
    "javascript": javascript_command,
}


def test(name):
    command, folder = COMMANDS[name]()
    with retable.World() as world:
        replica = world.node("replica")
        meta = world.coordinator("meta", "--peer", "replica=" + replica.address)
        done = subprocess.run(
            command + [meta.http_address, replica.http_address, replica.name],
            cwd=folder,
            env=dict(clients.environment([meta, replica]), PYTHONDONTWRITEBYTECODE="1"),
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        assert done.returncode == 0, "%s failed" % name


if __name__ == "__main__":
    clients.run_test(lambda: test(sys.argv[1]))
