"""Our YSON parser against the official one of Python, on generated and broken texts; run with its bindings installed.

    yson_differential.py ECHO COUNT

Both must take a text for the same value, or both refuse it. Where they differ on purpose is listed in `is_known`.
"""

import random
import struct
import subprocess
import sys

from yt import yson

SEED = 1


def scalar(rng):
    kind = rng.randrange(14)
    number = rng.choice([0, 1, 127, 128, 2**31, 2**63 - 1, 2**63, 2**64 - 1, rng.randrange(2**64)])
    if kind == 0:
        return b"%d" % rng.choice([number - 2**63, -number, number])
    if kind == 1:
        return b"%du" % number
    if kind == 2:
        return rng.choice([b"1.", b"-0.5", b"1e10", b".5", b"1e", b"+1", b"-", b"1.5.2", b"1e400", b"0x10", b"%nan", b"%inf", b"%-inf", b"%+inf"])
    if kind == 3:
        return rng.choice([b"%true", b"%false", b"#", b"%tru", b"%"])
    if kind == 4:
        return rng.choice([b"word", b"_a.b-c", b"a%b", b"-a", b"\xd1\x8b"])
    if kind == 5:
        return b'"' + bytes(rng.choice(b'ab\\"nxt01f\xff ') for _ in range(rng.randrange(6))) + b'"'
    if kind == 6:
        return b"\x02" + varint(rng, zigzag(number - 2**63))
    if kind == 7:
        return b"\x06" + varint(rng, number)
    if kind == 8:
        return b"\x03" + struct.pack("<d", rng.choice([0.0, -1.5, 1e300, float("inf")]))
    if kind == 9:
        return rng.choice([b"\x04", b"\x05", b"\x07", b"\x00"])
    text = bytes(rng.randrange(256) for _ in range(rng.randrange(4)))
    return b"\x01" + varint(rng, zigzag(len(text) + rng.choice([0, 0, 0, 0, 0, 0, 1, -1]))) + text


def zigzag(number):
    return (number << 1 if number >= 0 else (-number << 1) - 1) & (2**64 - 1)


def varint(rng, number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    if rng.randrange(20) == 0:
        out[-1] |= 0x80
        out.append(0)  # Longer than need be.
    return bytes(out)


def value(rng, depth):
    kind = rng.randrange(6) if depth < 4 else 0
    blank = rng.choice([b"", b"", b"", b" ", b"\n\t"])
    if kind == 4:
        items = [value(rng, depth + 1) for _ in range(rng.randrange(4))]
        text = b"[" + b";".join(items) + rng.choice([b"", b";", b";;"] if items else [b"", b";"]) + b"]"
    elif kind == 5:
        items = [rng.choice([b"k%d" % i, b"\x01\x02k", b'"q%d"' % i]) + b"=" + value(rng, depth + 1) for i in range(rng.randrange(4))]
        text = b"{" + b";".join(items) + rng.choice([b"", b";"] if items else [b""]) + b"}"
    else:
        text = scalar(rng)
    if rng.randrange(8) == 0:
        text = b"<a=" + value(rng, depth + 2) + b">" + text
    return blank + text + blank


def broken(rng, text):
    text = bytearray(text)
    for _ in range(rng.randrange(3)):
        if not text:
            break
        place = rng.randrange(len(text))
        choice = rng.randrange(4)
        if choice == 0:
            del text[place]
        elif choice == 1:
            text[place] = rng.randrange(256)
        elif choice == 2:
            text.insert(place, rng.choice(b'[]{}<>;="#%\\0u.\x01\x02\x03'))
        else:
            del text[place:]
    return bytes(text)


def shape(node):
    """A value to be compared: types and attributes count, NaN is itself."""
    attributes = getattr(node, "attributes", None)
    shown = shape(attributes) if attributes else None
    if isinstance(node, dict):
        return "map", sorted((bytes(key), shape(item)) for key, item in node.items()), shown
    if isinstance(node, list):
        return "list", [shape(item) for item in node], shown
    if isinstance(node, yson.YsonBoolean) or isinstance(node, bool):
        return "boolean", bool(node), shown
    if isinstance(node, yson.YsonUint64):
        return "uint64", int(node), shown
    if isinstance(node, int):
        # The bindings give an int64 or a uint64 that fits both as what it was.
        return "int64", int(node), shown
    if isinstance(node, float):
        return "double", repr(float(node)), shown
    if isinstance(node, (bytes, str)):
        return "string", bytes(node), shown
    return "entity", None, shown


def parse(text):
    try:
        return shape(yson.loads(text, encoding=None))
    except Exception as error:  # Whatever it raises is a refusal.
        return "refused, %s" % type(error).__name__


def is_known(text, theirs, ours):
    """Differences that are meant: we refuse what nobody can have meant. A key twice, numbers that are too large (also
    with too many bits in their binary form), a plus before an unsigned number, and what stands behind a NUL."""
    if not isinstance(ours, str):
        return False
    is_number = "too large number" in ours and ("inf" in str(theirs) or b"1e400" in text or b"+" in text)
    return is_number or any(part in ours for part in ("byte 0x00", "duplicate key", "variable-width number"))


def main():
    echo, count = sys.argv[1], int(sys.argv[2])
    rng = random.Random(SEED)
    texts = []
    while len(texts) < count:
        text = value(rng, 0)
        texts.append(broken(rng, text) if rng.randrange(2) else text)
    lines = "".join(text.hex() + "\n" for text in texts)
    done = subprocess.run([echo], input=lines, capture_output=True, text=True, check=True)
    answers = done.stdout.split("\n")
    accepted = faults = 0
    for text, answer in zip(texts, answers):
        theirs = parse(text)
        ours = answer if answer.startswith("refused") else parse(bytes.fromhex(answer))
        accepted += not isinstance(theirs, str)
        is_equal = theirs == ours or (isinstance(theirs, str) and isinstance(ours, str))
        if not is_equal and not is_known(text, theirs, ours):
            faults += 1
            if faults <= 20:
                print("%r\n    theirs %r\n    ours   %r" % (text, theirs, ours))
    print("%d texts, %d of them YSON, %d differences" % (len(texts), accepted, faults))
    assert accepted > count // 4
    return faults > 0


if __name__ == "__main__":
    sys.exit(main())
