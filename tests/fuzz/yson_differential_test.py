"""Runs yson_differential.py where the official parser is: yson_differential_test.py ECHO COUNT"""

import os
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "scenario"))
import clients  # noqa: E402


def test():
    python = os.path.join(clients.python(), "python")
    subprocess.run([python, "-B", os.path.join(FOLDER, "yson_differential.py")] + sys.argv[1:], check=True)


if __name__ == "__main__":
    clients.run_test(test)
