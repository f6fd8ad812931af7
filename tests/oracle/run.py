"""Random graphs through npucc and ONNX Runtime: two programs that share no code must agree.

    run.py BUILD_FOLDER NPUCC [--count N] [--seed S] [--keep DIR]

Installs onnxruntime-node below BUILD_FOLDER (once), writes N cases (generate.py), runs them
unoptimised on ONNX Runtime (run.js) and simulated on `edge`, where npucc also compares with its
own reference (--verify). A case that disagrees is reduced to one node, or the fewest that lead to
one output, and kept. Exit code 77: something this needs is not there.

Tolerance: floats 1e-4 of the output's largest magnitude; what a QuantizeLinear produced, one step
more; integers equal.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

PACKAGE = "onnxruntime-node@1.30.0"
RELATIVE = 1e-4
HERE = os.path.dirname(os.path.abspath(__file__))

try:
    import numpy as np
    import onnx
    from onnx import helper
    import generate
except ImportError as error:
    print(f"skipped: {error} (Debian: python3-onnx)")
    sys.exit(77)


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def install(build):
    """The folder node_modules, after an install unless there was one."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            skip(tool + " is not installed")
    folder = os.path.join(build, "npm")
    modules = os.path.join(folder, "node_modules")
    check = ["node", "-e", f"require({json.dumps(os.path.join(modules, 'onnxruntime-node'))})"]
    stamp = os.path.join(folder, PACKAGE)
    if not os.path.exists(stamp):
        os.makedirs(folder, exist_ok=True)
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix",
                   folder, PACKAGE]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        except subprocess.TimeoutExpired:
            skip("npm install takes longer than 90 s")
        if done.returncode:
            skip("npm install fails: " + done.stderr[-400:])
    if subprocess.run(check, capture_output=True).returncode:
        skip("onnxruntime-node does not load here")
    open(stamp, "w").close()
    return modules


class Oracle:
    def __init__(self, modules, npucc):
        self.modules, self.npucc = modules, npucc

    def onnxruntime(self, folders):
        # A crash must not look like agreement: compare() misses the files.
        subprocess.run(["node", os.path.join(HERE, "run.js"), self.modules, *folders],
                       stderr=subprocess.DEVNULL)

    def simulate(self, folder):
        """None, or what is wrong with npucc's answer."""
        inputs = []
        for file in sorted(glob.glob(os.path.join(glob.escape(folder), "in", "*.npy"))):
            inputs += ["--input", os.path.basename(file)[:-4] + "=" + file]
        command = [self.npucc, os.path.join(folder, "model.onnx"), *inputs, "--output-dir",
                   os.path.join(folder, "npucc"), "--npu", "edge", "--baseline", "none", "--quiet",
                   "--verify"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return "npucc takes longer than 120 s"
        wrong = []
        with open(os.path.join(folder, "tolerance.json")) as file:
            steps = json.load(file)
        # --verify knows no tolerance of one step: a tie may round the other way.
        differing = re.findall(r"output '([^']+)' differs", done.stderr)
        tie = done.returncode == 3 and differing and all(steps.get(n, 0) > 0 for n in differing)
        if done.returncode and not tie:
            wrong.append(f"npucc exits with {done.returncode}: {done.stderr.strip()[-600:]}")
        if done.returncode in (0, 3):  # 3: not as the reference says
            wrong += compare(folder)
        return "\n  ".join(wrong) or None


def compare(folder):
    with open(os.path.join(folder, "tolerance.json")) as file:
        steps = json.load(file)
    wrong = []
    for name, step in steps.items():
        try:
            expected = np.load(os.path.join(folder, "ort", name + ".npy"))
            got = np.load(os.path.join(folder, "npucc", name + ".npy"))
        except (OSError, ValueError) as error:
            wrong.append(f"{name}: {error}")
            continue
        if expected.shape != got.shape or expected.dtype != got.dtype:
            wrong.append(f"{name}: {got.dtype}{got.shape}, expected "
                         f"{expected.dtype}{expected.shape}")
            continue
        if expected.size == 0:
            continue
        a, b = expected.astype(np.float64), got.astype(np.float64)
        bound = step * 1.001
        if expected.dtype == np.float32:
            bound += RELATIVE * np.max(np.abs(a[np.isfinite(a)]), initial=0)
        with np.errstate(invalid="ignore"):
            same = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= bound)
        if not same.all():
            with np.errstate(invalid="ignore"):
                where = tuple(int(i) for i in np.argwhere(~same)[0])
                worst = np.nanmax(np.abs(a - b))
            wrong.append(f"{name}: {np.count_nonzero(~same)} of {a.size} differ by up to "
                         f"{worst:g}, allowed {bound:g}; at {where} got {b[where]:.9g}, "
                         f"expected {a[where]:.9g}")
    return wrong


def describe(node):
    attrs = ", ".join(f"{a.name}={helper.get_attribute_value(a)}" for a in node.attribute)
    return f"{node.op_type}({', '.join(node.input)}) {{{attrs}}}"


def reduce(oracle, folder, target):
    """Writes the smallest failing case to `target`; says which node it ends in."""
    model = onnx.load(os.path.join(folder, "model.onnx"))
    graph = model.graph
    with open(os.path.join(folder, "tolerance.json")) as file:
        steps = json.load(file)
    values = {v.name: v for v in [*graph.input, *graph.value_info, *graph.output]}
    constants = {c.name: c for c in graph.initializer}
    producer = {o: n for n in graph.node for o in n.output}
    arrays = {os.path.basename(f)[:-4]: np.load(f)
              for f in glob.glob(os.path.join(glob.escape(folder), "in", "*.npy"))}

    def attempt(nodes, outputs, known):
        made = {o for n in nodes for o in n.output}
        read = list(dict.fromkeys(i for n in nodes for i in n.input if i and i not in made))
        inputs = [i for i in read if i not in constants]
        part = helper.make_model(
            helper.make_graph(nodes, "reduced", [values[i] for i in inputs],
                              [values[o] for o in outputs],
                              [constants[i] for i in read if i in constants]),
            ir_version=model.ir_version, opset_imports=model.opset_import)
        shutil.rmtree(target, ignore_errors=True)
        quantised = any(n.op_type == "QuantizeLinear" for n in nodes)
        generate.write_case(target, part, {i: known[i] for i in inputs},
                            {o: steps.get(o, max(1.0, *steps.values()) if quantised else 0.0)
                             for o in outputs})
        oracle.onnxruntime([target])
        return oracle.simulate(target)

    # All intermediate values, then each node alone, then with all that lead to it.
    every = [o for n in graph.node for o in n.output]
    attempt(graph.node, every, arrays)
    known = dict(arrays)
    for name in every:
        file = os.path.join(target, "ort", name + ".npy")
        if os.path.exists(file):
            known[name] = np.load(file)
    for node in graph.node:
        if all(i in known or i in constants for i in node.input if i):
            wrong = attempt([node], list(node.output), known)
            if wrong:
                return describe(node) + "\n  " + wrong
    for last in graph.node:
        needed, work = set(), [last.output[0]]
        while work:
            node = producer.get(work.pop())
            if node and node.name not in needed:
                needed.add(node.name)
                work += node.input
        nodes = [n for n in graph.node if n.name in needed]
        wrong = attempt(nodes, list(last.output), arrays)
        if wrong:
            return "\n  ".join([describe(n) for n in nodes] + [wrong])
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return "only the whole graph"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("npucc")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="where failing cases go (default: BUILD_FOLDER/failed)")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    oracle = Oracle(install(build), os.path.abspath(args.npucc))

    cases = os.path.join(build, "cases")
    keep = os.path.abspath(args.keep or os.path.join(build, "failed"))
    for folder in (cases, keep):
        shutil.rmtree(folder, ignore_errors=True)
    folders = {}
    for seed in range(args.seed, args.seed + args.count):
        folders[seed] = os.path.join(cases, str(seed))
        generate.generate(folders[seed], seed)
    everything = list(folders.values())
    for start in range(0, len(everything), 100):
        oracle.onnxruntime(everything[start:start + 100])
    refused = 0
    for seed, folder in folders.items():
        error = os.path.join(folder, "ort", "error.txt")
        if os.path.exists(error):
            refused += 1
            with open(error) as file:
                print(f"seed {seed}: ONNX Runtime refuses: {file.read()[:400]}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = dict(zip(folders, pool.map(oracle.simulate, everything)))
    failed = {seed: text for seed, text in wrong.items() if text}
    for seed, text in failed.items():
        print(f"seed {seed}: {text}\n  reduced: "
              f"{reduce(oracle, folders[seed], os.path.join(keep, str(seed)))}", flush=True)
    print(f"{args.count} graphs, {args.count - len(failed)} agree, {len(failed)} do not, "
          f"{refused} refused by ONNX Runtime")
    return 1 if failed or refused else 0


if __name__ == "__main__":
    sys.exit(main())
