"""Plays deploy/session.txt, a session of shell commands and what they answer.

A line of it is one of

    # ...       a remark
    $ COMMAND   a command, which runs once and must answer as the lines below it say
    @ COMMAND   the same, but it is repeated until it does: what it waits for happens in the background
    > ...       goes on with the command
    ! TEXT      the command is refused, and what it says begins with the text
    otherwise   what it prints, line by line

In commands <name> stands for a value that is known. In what is printed <id:name> and <number:name> stand for an id or
a number, which is known from then on, or must be the same if it was known before; <number> is any, <number+> a
positive one.
"""

import re
import subprocess
import time

TIMEOUT_S = 30
PATTERNS = {"id": r"[0-9a-f]+(?:-[0-9a-f]+){3}", "number": r"\d+", "number+": r"[1-9]\d*"}


class Mismatch(Exception):
    pass


class Step:
    def __init__(self, remark, command, is_repeated):
        self.remark = remark  # Lines.
        self.command = command
        self.is_repeated = is_repeated
        self.output = []
        self.refusal = None


def parse(text):
    """The steps of a session."""
    steps = []
    remark = []
    for line in text.splitlines():
        if line.startswith("#"):
            remark.append(line)
        elif line.startswith(("$ ", "@ ")):
            steps.append(Step(remark, line[2:], line[0] == "@"))
            remark = []
        elif line.startswith("> "):
            steps[-1].command += "\n" + line[2:]
        elif line.startswith("! "):
            steps[-1].refusal = line[2:]
        elif line:
            steps[-1].output.append(line)
        else:
            remark = []  # Of the file, unless it stands right above a command.
    return steps


def substitute(text, values):
    return re.sub(r"<(\w+)>", lambda found: values[found.group(1)], text)


def match(pattern, line, values):
    """Whether a line is as expected; what it makes known goes into `values`."""
    expression = ""
    names = []
    for part in re.split(r"(<[a-z]+\+?(?::\w+)?>)", pattern):
        kind, _, name = part[1:-1].partition(":")
        if not part.startswith("<") or kind not in PATTERNS:
            expression += re.escape(part)
        elif name in values:
            expression += re.escape(values[name])
        elif name in names:
            expression += "(?P=%s)" % name
        elif name:
            expression += "(?P<%s>%s)" % (name, PATTERNS[kind])
            names.append(name)
        else:
            expression += PATTERNS[kind]
    found = re.fullmatch(expression, line)
    if not found:
        return False
    values.update(found.groupdict())
    return True


def check(step, code, output, error, values):
    """Raises Mismatch unless the step answered as expected; `values` changes only if it did."""
    if step.refusal is not None:
        if code == 1 and error.startswith(substitute(step.refusal, values)):
            return
        raise Mismatch("it must be refused with: %s" % step.refusal)
    if code != 0:
        raise Mismatch("exit code %d" % code)
    lines = output.splitlines()
    known = dict(values)
    if len(lines) != len(step.output) or not all(
        match(pattern, line, known) for pattern, line in zip(step.output, lines)
    ):
        raise Mismatch("expected:\n%s" % "\n".join(step.output))
    values.update(known)


def play(path, values, environment, on_command=None, on_answer=None):
    """Plays the session of a file. `values` are those known at first, and in the end all.

    Calls on_command(step, command) before, and on_answer(step, text) after each."""
    with open(path) as file:
        steps = parse(file.read())
    environment = dict(environment)
    for step in steps:
        command = substitute(step.command, values)
        if on_command:
            on_command(step, command)
        if command.startswith("export "):
            name, _, value = command[len("export ") :].partition("=")
            environment[name] = value
            continue
        end = time.monotonic() + TIMEOUT_S
        while True:
            done = subprocess.run(
                ["bash", "-c", command],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
            try:
                check(step, done.returncode, done.stdout, done.stderr, values)
                break
            except Mismatch as mismatch:
                if not step.is_repeated or time.monotonic() > end:
                    raise Mismatch(
                        "$ %s\n%s%s%s" % (command, done.stdout, done.stderr, mismatch)
                    ) from None
            time.sleep(0.02)
        if on_answer:
            on_answer(step, done.stdout + done.stderr)
