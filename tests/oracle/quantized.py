"""The int8 networks that npucc writes, in ONNX Runtime: --precision int8 --emit onnx.

    quantized.py BUILD_FOLDER NPUCC DIGITS_FOLDER MODELS_FOLDER [NAME...]

Every result of a QuantizeLinear is made an output of the file, and ONNX Runtime runs it. Then the
network is cut at those tensors: each piece gets ONNX Runtime's integers, and must give the next
ones when npucc simulates it on `edge`: within one step in 99.9 % of the elements, float outputs
within 1e-3 of the largest. Cut, because a long chain amplifies a rounding (docs/numerics.md); what
the uncut network agrees in is printed. Exit code 77: something this needs is not there.
"""
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

import run

np, onnx, helper = run.np, run.onnx, run.helper
SHARE = 0.999


def networks(digits, models):
    """(name, file, {input: array})"""
    images = np.load(os.path.join(digits, "digits_test_images.npy"))
    file = os.path.join(digits, "digits.onnx")
    graph = onnx.load(file).graph
    shape = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    yield "digits", file, {graph.input[0].name: images[:1].reshape([1, *shape[1:]]).astype(np.float32)}
    for name in ("resnet8_fp32", "squeezenet_fp32", "tinybert_cls", "yolox_nano"):
        file = os.path.join(models, name, "model.onnx")
        if not os.path.exists(file):
            print(f"{name}: skipped, there is no {file}")
            continue
        graph = onnx.load(file, load_external_data=False).graph
        constants = {x.name for x in graph.initializer}
        inputs = [x.name for x in graph.input if x.name not in constants]
        data = os.path.join(models, name, "test_data_0")
        yield name, file, {x: np.load(os.path.join(data, f"input_{i}.npy"))
                           for i, x in enumerate(inputs)}


def write_inputs(folder, arrays):
    os.makedirs(os.path.join(folder, "in"))
    options = []
    for name, array in arrays.items():
        file = os.path.join(folder, "in", name + ".npy")
        np.save(file, array)
        options += ["--input", f"{name}={file}"]
    return options


def simulate(npucc, folder, options):
    command = [npucc, os.path.join(folder, "model.onnx"), *options, "--npu", "edge", "--baseline",
               "none", "--quiet", "--output-dir", os.path.join(folder, "npucc")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"npucc exits with {done.returncode}: {done.stderr.strip()[-600:]}")


def results(folder, names):
    return {x: np.load(os.path.join(folder, x + ".npy")) for x in names}


def plain(model):
    """Names that can be those of files."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [x.replace("/", "_") for x in names]
    for list in (model.graph.input, model.graph.output, model.graph.initializer):
        for value in list:
            value.name = value.name.replace("/", "_")
    return model


def with_outputs(model, tensors, types):
    """Graph outputs: what the graph has, and these integer tensors."""
    for name in tensors:
        model.graph.output.append(helper.make_tensor_value_info(name, types[name], None))
    return model


def cut(model, tensors, arrays):
    """Readers of a quantised tensor read a graph input instead."""
    inputs = {x: x + "_given" for x in tensors}
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = inputs.get(name, name)
    for name, given in inputs.items():
        kind = onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[arrays[name].dtype]
        model.graph.input.append(helper.make_tensor_value_info(given, kind, arrays[name].shape))
    return model, {given: arrays[name] for name, given in inputs.items()}


def agreement(expected, got):
    """Elements within a step (integers) or 1e-3 of the largest (floats), and elements."""
    a, b = expected.astype(np.float64), got.astype(np.float64)
    bound = 1 if expected.dtype.kind in "iu" else 1e-3 * np.max(np.abs(a), initial=0)
    return np.count_nonzero(np.abs(a - b) <= bound), a.size


def check(name, file, arrays, build, modules, npucc):
    assert not any("/" in x for x in arrays)
    folder = os.path.join(build, "quantized", name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    options = write_inputs(folder, arrays)
    path = os.path.join(folder, "model.onnx")
    done = subprocess.run([npucc, file, *options, "--precision", "int8", "--emit", "onnx", "-o", path],
                          capture_output=True, text=True)
    if done.returncode:
        return f"npucc exits with {done.returncode}: {done.stderr.strip()[-600:]}"
    model = plain(onnx.load(path))
    names = [x.name for x in model.graph.output]
    constants = {x.name: x.data_type for x in model.graph.initializer}
    types = {x.output[0]: constants[x.input[2]] for x in model.graph.node if x.op_type == "QuantizeLinear"}
    if not types or onnx.TensorProto.INT8 not in constants.values():
        return "no activations, or no weights, are quantised"
    onnx.save(with_outputs(model, types, types), path)
    run.Oracle(modules, npucc).onnxruntime([folder])
    try:
        expected = results(os.path.join(folder, "ort"), [*names, *types])
    except OSError as error:
        return f"ONNX Runtime fails: {error}"
    simulate(npucc, folder, options)
    whole = results(os.path.join(folder, "npucc"), types)

    pieces = os.path.join(folder, "pieces")
    os.makedirs(pieces)
    model, given = cut(onnx.load(path), types, expected)
    onnx.save(model, os.path.join(pieces, "model.onnx"))
    simulate(npucc, pieces, write_inputs(pieces, {**arrays, **given}))
    got = results(os.path.join(pieces, "npucc"), [*names, *types])

    def share(values, tensors):
        pairs = [agreement(expected[x], values[x]) for x in tensors]
        return sum(p[0] for p in pairs) / sum(p[1] for p in pairs)

    integers, floats = share(got, types), share(got, names)
    exact = sum(np.count_nonzero(expected[x] == got[x]) for x in types)
    elements = sum(expected[x].size for x in types)
    print(f"{name}: {len(types)} quantised tensors, {elements} integers: {elements - exact} not equal, "
          f"{integers:.5%} within a step; outputs {floats:.3%}; uncut {share(whole, types):.3%}")
    if min(integers, floats) < SHARE:
        worst = min(types, key=lambda x: share(got, [x]))
        return f"less than {SHARE:.1%} agree, least in {worst}"
    return None


def main():
    build, npucc, digits, models = (os.path.abspath(a) for a in sys.argv[1:5])
    modules = run.install(build)
    failed = 0
    for name, file, arrays in networks(digits, models):
        if sys.argv[5:] and name not in sys.argv[5:]:
            continue
        try:
            wrong = check(name, file, arrays, build, modules, npucc)
        except (RuntimeError, OSError) as error:
            wrong = str(error)
        if wrong:
            failed += 1
            print(f"{name}: {wrong}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
