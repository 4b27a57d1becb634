"""Builds the fuzz targets with clang and runs each for a while.

What a target is given at first comes from SEEDS; what it finds is kept below the build folder and used the next time.
An input that breaks a target is printed, and belongs into a unit test. The last line is `N passed, M failed`.
"""

import argparse
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = "-fsanitize=fuzzer-no-link"
QUERY = b"k, sum(v) as s from [//t] as a left join [//u] using k where (k, v) in ((1, 'a'), (2u, \"b\")) and not v like '%x_' "
SEEDS = {
    "compression": [b"\0\x10\x78\x9c\x4b\x04\x00\x00\x62\x00\x62", b"\2\x10\xcc\xd4\x03\0\0\0\0\0\0\0abc\xcc\xd4\0\0\0\0\0\0\0\0"],
    "formats": [
        b"\0\3{k=1;v=\"a;}\\n\"};{\1\2k=\2\4;w=<a=1>[2;#;%true]};",
        b'\2\5{"k":1,"v":"\\u00d1"}\n{"k":{"$value":1,"$attributes":{"a":[null,1.5e3]}}}\n',
        b"\5\2k=1\tv=a\\tb\n",
        b"\6\2a\tb\n",
    ],
    "http_parameters": [
        b"a[b][]\xff1\xffpath\xff//t\xfff[$value]\xffjson\xffeyJh\xffIjoxfQ==\xffjson\xff{\"a\":1}\xff\xff\"json\"\xff\xffapplication/json\xff{}",
        b"\xff\xff\xff\xff\xff\xff\xff\xff<format=text>yson\xff{path=\"//t\"}\xffyson\xff\xff\xff\xff{a=1}",
    ],
    "select": [
        QUERY + b"group by k with totals having s > 5 order by s desc offset 1 limit 10",
        b"if(is_null(a), 1, -a % 2) as x, cast(b as uint64), %true, #, 0x1f, 1.5e3, `q` from [//t] where k between 1 and 2 or k is not null",
    ],
    "ypath": [b"//home/a\\/b/@attr/0/-1", b"#1-2-3-4/@state", b"<append=%true>//t&", b"//t[#1:#2]{a,b}"],
    "yson": [b"<a=1>{k=[1;2u;-3;4.5;%nan;%true;#;\"\\x00\\377\"];}", b"{\1\2k=\2\4;\3\0\0\0\0\0\0\xf0\x3f}", b"[\5;\4;\6\x01]"],
}


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def build(folder, targets):
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        options = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=false", "-Dc_args=" + FLAGS]  # Warnings are for gcc.
        done = run(["meson", "setup", folder, ROOT] + options, env=dict(os.environ, CC="clang"))
        if done.returncode != 0:
            return done.stdout
    done = run(["ninja", "-C", folder] + ["tests/fuzz/%s_fuzz" % target for target in targets])
    return done.stdout if done.returncode != 0 else None


def fuzz(folder, target, seconds, seed):
    corpus = os.path.join(folder, "corpus", target)
    os.makedirs(corpus, exist_ok=True)
    for i, example in enumerate(SEEDS[target]):
        with open(os.path.join(corpus, "seed-%d" % i), "wb") as file:
            file.write(example)
    limits = ["-seed=%d" % seed, "-max_total_time=%d" % seconds, "-max_len=4096", "-timeout=60", "-rss_limit_mb=2048"]
    done = run([os.path.join(folder, "tests/fuzz", target + "_fuzz"), corpus] + limits + ["-artifact_prefix=%s/" % folder])
    if done.returncode != 0:
        print("%s failed:" % target)
        sys.stdout.write("\n".join(done.stdout.decode(errors="replace").splitlines()[-60:]) + "\n")
        return False
    print("%s: %s" % (target, done.stdout.decode(errors="replace").rstrip().splitlines()[-1]))
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("seconds", type=int, help="for each target")
    parser.add_argument("targets", nargs="*", default=sorted(SEEDS))
    parser.add_argument("--seed", type=int, default=0, help="another run takes the same way; 0: a way of its own (0)")
    options = parser.parse_args()
    folder, targets = os.path.abspath(options.folder), options.targets
    fault = build(folder, targets)
    if fault:
        sys.stdout.write(fault.decode(errors="replace")[-4000:])
        print("0 passed, 1 failed")
        return 1
    results = [fuzz(folder, target, options.seconds, options.seed) for target in targets]
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
