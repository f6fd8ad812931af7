"""Small networks of families that random graphs leave out, through npucc and ONNX Runtime.

    families.py BUILD_FOLDER NPUCC [NAME...]

Shapes that depend on data, If, Loop and Scan, recurrent layers with sequence lengths, dynamic
quantisation, the operators of old opsets. Each case is simulated with data and compared with the
reference, too (--verify). Exit code 77: something this needs is not there.
"""
import os
import shutil
import sys

sys.dont_write_bytecode = True

import run

np, onnx, helper = run.np, run.onnx, run.helper
from onnx import TensorProto, numpy_helper

F, I, B, U8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8
node = helper.make_node
rng = np.random.default_rng(7)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, dtype=np.int64)


def info(name, kind, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def graph(nodes, inputs, outputs, constants=None, name="g"):
    return helper.make_graph(nodes, name, inputs, outputs,
                             [numpy_helper.from_array(np.asarray(a), n)
                              for n, a in (constants or {}).items()])


def model(g, opset=16):
    return helper.make_model(g, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


CASES = {}


def case(function):
    """The function gives a model and its inputs, or several sets of inputs."""
    CASES[function.__name__] = function
    return function


@case
def detection_head():
    """Boxes and scores of two convolutions; NonMaxSuppression; the best few of what is left."""
    g = graph(
        [node("Conv", ["x", "wb"], ["b"], kernel_shape=[1, 1]),
         node("Reshape", ["b", "box_shape"], ["b1"]),
         node("Transpose", ["b1"], ["b2"], perm=[0, 2, 1]),
         node("Sigmoid", ["b2"], ["boxes"]),
         node("Conv", ["x", "ws"], ["s"], kernel_shape=[1, 1]),
         node("Reshape", ["s", "score_shape"], ["s1"]),
         node("Sigmoid", ["s1"], ["scores"]),
         node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "threshold"], ["kept"]),
         node("GatherND", ["scores", "kept"], ["kept_scores"]),
         node("Slice", ["kept", "two", "three", "one"], ["box_index"]),
         node("Squeeze", ["box_index", "one"], ["index"]),
         node("Squeeze", ["boxes", "zero"], ["flat_boxes"]),
         node("Gather", ["flat_boxes", "index"], ["kept_boxes"], axis=0),
         node("Shape", ["kept_scores"], ["count"]),
         node("Min", ["count", "five"], ["k"]),
         node("TopK", ["kept_scores", "k"], ["best", "where"]),
         node("Gather", ["kept_boxes", "where"], ["best_boxes"], axis=0)],
        [info("x", F, [1, 8, 6, 6])],
        [info("best", F, ["n"]), info("best_boxes", F, ["n", 4]), info("kept", I, ["m", 3])],
        {"wb": floats(4, 8, 1, 1), "ws": floats(3, 8, 1, 1), "box_shape": ints(1, 4, 36),
         "score_shape": ints(1, 3, 36), "most": ints(10), "iou": np.float32([0.4]),
         "threshold": np.float32([0.6]), "zero": ints(0), "one": ints(1), "two": ints(2),
         "three": ints(3), "five": ints(5)})
    return model(g), {"x": floats(1, 8, 6, 6)}, {"x": np.zeros((1, 8, 6, 6), np.float32)}


@case
def nonzero_gather():
    g = graph(
        [node("Relu", ["x"], ["r"]), node("NonZero", ["r"], ["i"]),
         node("Transpose", ["i"], ["t"], perm=[1, 0]), node("GatherND", ["r", "t"], ["v"]),
         node("CumSum", ["v", "zero"], ["c"]), node("ReduceSum", ["v"], ["sum"], keepdims=0),
         # Static again: back on the NPU.
         node("Add", ["x", "sum"], ["y"])],
        [info("x", F, [4, 5])], [info("c", F, ["n"]), info("t", I, ["n", 2]), info("y", F, [4, 5])],
        {"zero": np.int64(0)})
    return model(g), {"x": floats(4, 5)}, {"x": -np.ones((4, 5), np.float32)}


@case
def compress_unique():
    g = graph(
        [node("Abs", ["x"], ["a"]), node("Greater", ["a", "limit"], ["m"]),
         node("Compress", ["a", "m"], ["big"], axis=0),
         node("Floor", ["big"], ["whole"]),
         node("Unique", ["whole"], ["u", "", "inverse", "counts"], sorted=1),
         node("Shape", ["u"], ["n"])],
        [info("x", F, [20])],
        [info("big", F, ["b"]), info("u", F, ["u"]), info("inverse", I, ["b"]),
         info("counts", I, ["u"]), info("n", I, [1])], {"limit": np.float32(0.5)})
    return model(g), {"x": 3 * floats(20)}


@case
def nested_if():
    """Branches of different sizes, one If in another, values from two levels outside."""
    inner_yes = graph([node("Concat", ["x", "d"], ["r"], axis=0)], [], [info("r", F)])
    inner_no = graph([node("Neg", ["d"], ["r"])], [], [info("r", F)])
    yes = graph([node("Mul", ["x", "two"], ["d"]), node("ReduceMax", ["x"], ["top"], keepdims=0),
                 node("Greater", ["top", "two"], ["high"]),
                 node("If", ["high"], ["r1"], then_branch=inner_yes, else_branch=inner_no)],
                [], [info("r1", F)])
    no = graph([node("Slice", ["x", "zero", "one", "zero"], ["r2"])], [], [info("r2", F)])
    g = graph([node("ReduceSum", ["x"], ["sum"], keepdims=0),
               node("Greater", ["sum", "nothing"], ["c"]),
               node("If", ["c"], ["z"], then_branch=yes, else_branch=no), node("Exp", ["z"], ["y"])],
              [info("x", F, [3, 4])], [info("y", F, ["n", 4])],
              {"two": np.float32(2), "nothing": np.float32(0), "zero": ints(0), "one": ints(1)})
    x = np.abs(floats(3, 4))
    return model(g), {"x": x / x.max()}, {"x": 3 * x / x.max()}, {"x": -x}


@case
def loop_until():
    """As many rounds as the data needs; a row of a growing output each."""
    body = graph(
        [node("Add", ["s", "x"], ["s1"]), node("ReduceSumSquare", ["s1"], ["q"], keepdims=0),
         node("Less", ["q", "limit"], ["go1"]), node("Tanh", ["s1"], ["row"])],
        [info("i", I, []), info("go", B, []), info("s", F, [4])],
        [info("go1", B, []), info("s1", F, [4]), info("row", F, [4])])
    g = graph([node("Loop", ["most", "", "x"], ["last", "rows"], body=body),
               node("ReduceSum", ["rows", "zero"], ["sums"], keepdims=0)],
              [info("x", F, [4])], [info("last", F, [4]), info("rows", F, ["n", 4]),
                                    info("sums", F, [4])],
              {"limit": np.float32(50), "most": np.int64(100), "zero": ints(0)})
    return model(g), {"x": np.float32([1, 0.5, -1, 2])}, {"x": np.float32([9, 0, 0, 0])}


@case
def loop_of_data():
    """The trip count is data, and what is carried on grows."""
    body = graph(
        [node("Identity", ["go"], ["go1"]), node("Cast", ["i"], ["f"], to=F),
         node("Unsqueeze", ["f", "zero"], ["one"]), node("Concat", ["s", "one"], ["s1"], axis=0)],
        [info("i", I, []), info("go", B, []), info("s", F, ["k"])],
        [info("go1", B, []), info("s1", F, ["k1"])])
    g = graph([node("ReduceMax", ["x"], ["top"], keepdims=0), node("Cast", ["top"], ["n"], to=I),
               node("Loop", ["n", "", "x"], ["y"], body=body)],
              [info("x", F, [3])], [info("y", F, ["m"])], {"zero": ints(0)})
    return model(g), {"x": np.float32([1, 5.5, 2])}, {"x": np.float32([0, 0, 0])}


@case
def scan_cell():
    """A recurrent cell written with Scan, backwards over one of its inputs."""
    body = graph(
        [node("MatMul", ["h", "r"], ["a"]), node("Add", ["a", "x"], ["b"]),
         node("Add", ["b", "z"], ["c"]), node("Tanh", ["c"], ["h1"]), node("Neg", ["h1"], ["n"])],
        [info("h", F, [2, 5]), info("x", F, [2, 5]), info("z", F, [2, 5])],
        [info("h1", F, [2, 5]), info("n", F, [2, 5])])
    g = graph([node("MatMul", ["x", "w"], ["xw"]),
               node("Scan", ["h", "xw", "xw"], ["last", "all"], body=body, num_scan_inputs=2,
                    scan_input_axes=[1, 1], scan_input_directions=[0, 1], scan_output_axes=[1]),
               node("Relu", ["all"], ["y"])],
              [info("x", F, [2, 6, 3]), info("h", F, [2, 5])],
              [info("last", F, [2, 5]), info("y", F, [2, 6, 5])],
              {"w": floats(3, 5), "r": floats(5, 5) / 2})
    return model(g), {"x": floats(2, 6, 3), "h": floats(2, 5)}


def recurrent(op, gates, outputs, **attributes):
    hidden, width = 5, 3
    constants = {"w": floats(2, gates * hidden, width) / 2, "r": floats(2, gates * hidden, hidden) / 2,
                 "b": floats(2, 2 * gates * hidden) / 4}
    inputs = ["x", "w", "r", "b", "lengths", "h"] + (["c"] if op == "LSTM" else [])
    arrays = {"x": floats(6, 3, width), "lengths": np.int32([6, 2, 4]), "h": floats(2, 3, hidden)}
    given = [info("x", F, ["seq", "batch", width]), info("lengths", TensorProto.INT32, ["batch"]),
             info("h", F, [2, "batch", hidden])]
    if op == "LSTM":
        arrays["c"] = floats(2, 3, hidden)
        given.append(info("c", F, [2, "batch", hidden]))
    g = graph([node(op, inputs, outputs, hidden_size=hidden, direction="bidirectional", **attributes)],
              given, [info(o, F) for o in outputs], constants)
    return model(g, 14), arrays


@case
def lstm_bidirectional():
    return recurrent("LSTM", 4, ["y", "y_h", "y_c"])


@case
def gru_bidirectional():
    return recurrent("GRU", 3, ["y", "y_h"], linear_before_reset=1)


@case
def gru_before_reset():
    return recurrent("GRU", 3, ["y", "y_h"])


@case
def rnn_bidirectional():
    return recurrent("RNN", 1, ["y", "y_h"], activations=["Relu", "Tanh"])


@case
def dynamic_quantize_mlp():
    nodes, a = [], "x"
    constants = {}
    for k, (rows, cols) in enumerate(((16, 24), (24, 10))):
        # ONNX Runtime saturates pairs of products where the processor has no VNNI: 7 bits do not.
        w = rng.integers(-63, 64, (rows, cols)).astype(np.int8)
        constants.update({f"w{k}": w, f"z{k}": np.int8(0), f"s{k}": np.float32(0.01 + k / 100),
                          f"b{k}": floats(cols)})
        nodes += [node("DynamicQuantizeLinear", [a], [f"q{k}", f"qs{k}", f"qz{k}"]),
                  node("MatMulInteger", [f"q{k}", f"w{k}", f"qz{k}", f"z{k}"], [f"m{k}"]),
                  node("Cast", [f"m{k}"], [f"f{k}"], to=F),
                  node("Mul", [f"qs{k}", f"s{k}"], [f"scale{k}"]),
                  node("Mul", [f"f{k}", f"scale{k}"], [f"d{k}"]),
                  node("Add", [f"d{k}", f"b{k}"], [f"y{k}"])]
        a = f"y{k}"
        if k == 0:
            nodes.append(node("Relu", [a], ["r"]))
            a = "r"
    g = graph(nodes, [info("x", F, ["batch", 16])], [info("y0", F), info("y1", F), info("q0", U8)],
              constants)
    # One integer that rounds the other way moves a sum by its weight.
    return model(g, 11), {"x": floats(7, 16)}, {"tolerance": {"y1": 0.15}}


@case
def dynamic_quantize_conv():
    g = graph(
        [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
         node("ConvInteger", ["q", "w", "z", "wz"], ["m"], pads=[1, 1, 1, 1], strides=[2, 2]),
         node("Cast", ["m"], ["f"], to=F), node("Mul", ["s", "ws"], ["scale"]),
         node("Mul", ["f", "scale"], ["y"])],
        [info("x", F, [1, 4, 9, 9])], [info("y", F), info("s", F), info("z", U8)],
        {"w": rng.integers(0, 256, (6, 4, 3, 3)).astype(np.uint8), "wz": np.uint8(128),
         "ws": np.float32(0.02)})
    return model(g, 11), {"x": floats(1, 4, 9, 9)}


@case
def opset7():
    g = graph(
        [node("Pad", ["x"], ["p"], pads=[0, 0, 1, 1, 0, 0, 2, 2], value=0.5),
         node("Conv", ["p", "w"], ["c"]),
         node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], epsilon=1e-3),
         node("Clip", ["n"], ["k"], min=-1.0, max=1.5),
         node("Upsample", ["k"], ["u"], scales=[1.0, 1.0, 2.0, 2.0], mode="nearest"),
         node("Slice", ["u"], ["s"], axes=[2, 3], starts=[1, 0], ends=[9, 8]),
         node("Dropout", ["s"], ["d"], ratio=0.3),
         node("AveragePool", ["d"], ["a"], kernel_shape=[2, 2], strides=[2, 2]),
         node("Unsqueeze", ["bias"], ["bias2"], axes=[1, 2]), node("Add", ["a", "bias2"], ["e"]),
         node("Softmax", ["e"], ["y"]),
         node("Flatten", ["e"], ["f"]), node("Gemm", ["f", "fw", "fb"], ["t"], transB=1, alpha=0.5),
         node("ReduceSum", ["e"], ["r"], axes=[1], keepdims=0),
         node("Split", ["t"], ["t1", "t2"], axis=1, split=[2, 3])],
        [info("x", F, [1, 3, 6, 6])],
        [info("y", F), info("t1", F), info("t2", F), info("r", F)],
        {"w": floats(4, 3, 3, 3) / 3, "g": floats(4), "b": floats(4), "m": floats(4),
         "v": np.abs(floats(4)), "bias": floats(4), "fw": floats(5, 64) / 8, "fb": floats(5)})
    return model(g, 7), {"x": floats(1, 3, 6, 6)}


@case
def opset9():
    g = graph(
        [node("Shape", ["x"], ["shape"]), node("ConstantOfShape", ["shape"], ["half"],
              value=numpy_helper.from_array(np.float32([0.5]))),
         node("Add", ["x", "half"], ["a"]),
         node("Upsample", ["a", "scales"], ["u"], mode="linear"),
         node("TopK", ["u"], ["best", "where"], axis=3, k=3),
         node("ArgMax", ["u"], ["top"], axis=1, keepdims=0),
         node("OneHot", ["top", "depth", "values"], ["hot"], axis=-1),
         node("Where", ["mask", "best", "zero"], ["y"]),
         node("LogSoftmax", ["best"], ["l"], axis=2)],
        [info("x", F, ["batch", 2, 3, 4]), info("mask", B, [3])],
        [info("y", F), info("where", I), info("hot", F), info("l", F)],
        {"scales": np.float32([1, 1, 2, 2]), "depth": np.int64(2), "values": np.float32([-1, 3]),
         "zero": np.float32(0)})
    return model(g, 9), {"x": floats(2, 2, 3, 4), "mask": np.array([True, False, True])}


@case
def attention_dynamic():
    """Batch and length are open; masks and heads by shape arithmetic, as exporters write it."""
    g = graph(
        [node("Shape", ["ids"], ["s"]), node("Gather", ["s", "i0"], ["n"]),
         node("Gather", ["s", "i1"], ["t"]), node("Gather", ["table", "ids"], ["x"]),
         node("MatMul", ["x", "w"], ["qkv"]), node("Split", ["qkv", "parts"], ["q", "k", "v"], axis=2),
         node("Unsqueeze", ["n", "zero"], ["n1"]), node("Unsqueeze", ["t", "zero"], ["t1"]),
         node("Concat", ["n1", "t1", "two", "four"], ["heads"], axis=0),
         *[node("Reshape", [v, "heads"], [v + "r"]) for v in "qkv"],
         node("Transpose", ["qr"], ["qt"], perm=[0, 2, 1, 3]),
         node("Transpose", ["kr"], ["kt"], perm=[0, 2, 3, 1]),
         node("Transpose", ["vr"], ["vt"], perm=[0, 2, 1, 3]),
         node("MatMul", ["qt", "kt"], ["scores"]),
         node("Range", ["i0", "t", "i1"], ["r"]), node("Unsqueeze", ["r", "zero"], ["cols"]),
         node("Unsqueeze", ["r", "one"], ["rows"]), node("LessOrEqual", ["cols", "rows"], ["mask"]),
         node("Where", ["mask", "scores", "low"], ["m"]), node("Softmax", ["m"], ["p"], axis=-1),
         node("MatMul", ["p", "vt"], ["o"]), node("Transpose", ["o"], ["ot"], perm=[0, 2, 1, 3]),
         node("Reshape", ["ot", "flat"], ["y"])],
        [info("ids", I, ["batch", "seq"])], [info("y", F, ["batch", "seq", 8])],
        {"table": floats(11, 8), "w": floats(8, 24) / 2, "parts": ints(8, 8, 8), "zero": ints(0),
         "one": ints(1), "two": ints(2), "four": ints(4), "i0": np.int64(0), "i1": np.int64(1),
         "low": np.float32(-1e9), "flat": ints(0, 0, 8)})
    return (model(g), {"ids": rng.integers(0, 11, (2, 7)).astype(np.int64)},
            {"ids": rng.integers(0, 11, (1, 1)).astype(np.int64)})


@case
def shape_inputs():
    """Shapes, sizes and bounds that are inputs of the network."""
    g = graph(
        [node("Reshape", ["x", "shape"], ["a"]), node("Slice", ["a", "start", "end"], ["b"]),
         node("Expand", ["b", "wide"], ["c"]), node("Sigmoid", ["c"], ["d"]),
         node("Tile", ["d", "repeats"], ["y"])],
        [info("x", F, [4, 6]), info("shape", I, [3]), info("start", I, [3]), info("end", I, [3]),
         info("wide", I, [3]), info("repeats", I, [3])], [info("y", F, ["a", "b", "c"])])
    return model(g), {"x": floats(4, 6), "shape": ints(2, -1, 3), "start": ints(0, 1, 0),
                      "end": ints(1, 4, 3), "wide": ints(2, 1, 3), "repeats": ints(1, 2, 1)}


def main():
    build, npucc = (os.path.abspath(a) for a in sys.argv[1:3])
    oracle = run.Oracle(run.install(build), npucc)
    folder = os.path.join(build, "families")
    shutil.rmtree(folder, ignore_errors=True)
    folders = {}
    for name, function in CASES.items():
        if sys.argv[3:] and name not in sys.argv[3:]:
            continue
        network, *sets = function()
        steps = {o.name: 0.0 for o in network.graph.output}
        for s in [s for s in sets if "tolerance" in s]:
            steps.update(s["tolerance"])
            sets.remove(s)
        for k, arrays in enumerate(sets):
            folders[f"{name} {k}"] = os.path.join(folder, f"{name}_{k}")
            run.generate.write_case(folders[f"{name} {k}"], network, arrays, steps)
    oracle.onnxruntime(folders.values())
    failed = 0
    for name, path in folders.items():
        error = os.path.join(path, "ort", "error.txt")
        wrong = None
        if os.path.exists(error):
            with open(error) as file:
                wrong = "ONNX Runtime refuses: " + file.read()[:400]
        wrong = wrong or oracle.simulate(path)
        if wrong:
            failed += 1
            print(f"{name}: {wrong}", flush=True)
    print(f"{len(folders)} cases, {len(folders) - failed} agree, {failed} do not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
