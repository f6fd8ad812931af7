"""Runs the fuzzer from the seeds of the repository and of ONNX's own test cases.

usage: run.py short|long FUZZER FOLDER [libFuzzer options...] CASES

short: a few seconds, the same runs each time. long: an hour; FOLDER/corpus keeps what was found
worth keeping for the next time. Files that fail are left in FOLDER. CASES is where
tests/conformance/generate.py wrote ONNX's cases; that script runs this one with it. The files of
tests/fuzz/regressions are tried first, under the same sanitizers.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

LARGEST_SEED_BYTES = 8192  # what is larger runs too seldom
OPTIONS = ["-max_len=16384", "-timeout=20", "-rss_limit_mb=2048", "-malloc_limit_mb=300",
           "-print_final_stats=1", "-print_funcs=0"]
LENGTH = {"short": ["-runs=5000", "-seed=1"], "long": ["-max_total_time=3600"]}


def main():
    if len(sys.argv) < 5 or sys.argv[1] not in LENGTH:
        sys.exit(__doc__)
    length, fuzzer, folder, cases = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[-1]
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = pathlib.Path(folder).resolve()
    seeds, corpus = folder / "seeds", folder / "corpus"
    for old in [seeds] + [corpus] * (length == "short"):
        shutil.rmtree(old, ignore_errors=True)
    seeds.mkdir(parents=True)
    corpus.mkdir(exist_ok=True)
    regressions = sorted((root / "tests/fuzz/regressions").glob("*.onnx"))
    for path in [*pathlib.Path(cases).parent.rglob("model.onnx"),
                 *(root / "tests/lit/driver/Inputs").glob("*.onnx"), *regressions]:
        content = path.read_bytes()
        if len(content) <= LARGEST_SEED_BYTES:
            (seeds / hashlib.sha1(content).hexdigest()).write_bytes(content)
    print(f"{len(regressions)} regressions, {len(list(seeds.iterdir()))} seeds", flush=True)
    environment = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}
    command = [fuzzer, *OPTIONS, f"-artifact_prefix={folder}/"]
    if regressions:  # -runs would try each of them as often
        status = subprocess.run([*command, *map(str, regressions)], env=environment,
                                stderr=subprocess.STDOUT).returncode
        if status:
            return status
    return subprocess.run([*command, *LENGTH[length], *sys.argv[4:-1], str(corpus), str(seeds)],
                          env=environment, stderr=subprocess.STDOUT).returncode


if __name__ == "__main__":
    sys.exit(main())
