#!/usr/bin/env python3
"""Writes the small networks of the driver's tests (needs python3-onnx)."""
import os

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

FOLDER = os.path.dirname(os.path.abspath(__file__))


def write(name, nodes, inputs, outputs, constants=(), opset=17):
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs],
        [numpy_helper.from_array(array, n) for n, array in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset),
                                                    helper.make_opsetid("com.example", 1)])
    model.ir_version = 8
    save(model, os.path.join(FOLDER, name + ".onnx"))


F, I = TensorProto.FLOAT, TensorProto.INT64
node = helper.make_node

write("relu", [node("Relu", ["x"], ["y"], name="relu1")],
      [("x", F, [2, 3])], [("y", F, [2, 3])])
write("dynamic", [node("Relu", ["x"], ["y"], name="relu1")],
      [("x", F, ["batch", "length"])], [("y", F, ["batch", "length"])])
write("unknown", [node("Mystery", ["x"], ["a"], name="first"),
                  node("Relu", ["a"], ["b"], name="fine"),
                  node("Fancy", ["b"], ["y"], name="second", domain="com.example")],
      [("x", F, [2, 3])], [("y", F, [2, 3])])
write("data_dependent", [node("NonZero", ["x"], ["i"], name="nonzero1"),
                         node("Transpose", ["i"], ["y"], name="transpose1")],
      [("x", F, [2, 3])], [("y", I, ["n", 2])])
write("unbounded", [node("Cast", ["x"], ["n"], name="cast1", to=I),
                    node("Range", ["zero", "n", "one"], ["r"], name="range1"),
                    node("Cast", ["r"], ["f"], name="cast2", to=F),
                    node("Cos", ["f"], ["y"], name="cos1")],
      [("x", F, [])], [("y", F, ["n"])],
      [("zero", np.array(0, dtype=np.int64)), ("one", np.array(1, dtype=np.int64))])
def branch(name, op):
    return helper.make_graph([node(op, ["x"], [name], name=name)], name, [],
                             [helper.make_tensor_value_info(name, F, [2, 3])])


write("branch", [node("Equal", ["mode", "two"], ["c"], name="equal1"),
                 node("If", ["c"], ["y"], name="if1", then_branch=branch("yes", "Exp"),
                      else_branch=branch("no", "Relu"))],
      [("x", F, [2, 3]), ("mode", I, [])], [("y", F, [2, 3])], [("two", np.array(2, dtype=np.int64))])
write("kinds", [node("Clip", ["x", "", "high"], ["a"], name="clip1"),
                node("Conv", ["a", "w"], ["b"], name="conv1", pads=[1, 1, 1, 1], auto_pad="NOTSET"),
                node("LeakyRelu", ["b"], ["c"], name="leaky1", alpha=0.25),
                node("Cast", ["c"], ["y"], name="cast1", to=TensorProto.UINT8)],
      [("x", F, [1, 1, 4, 4])], [("y", TensorProto.UINT8, [1, 8, 4, 4])],
      [("w", np.arange(72, dtype=np.float32).reshape(8, 1, 3, 3)),
       ("high", np.array(6, dtype=np.float32))])
write("strings", [node("Identity", ["x"], ["y"], name="identity1")],
      [("x", TensorProto.STRING, [2])], [("y", TensorProto.STRING, [2])])
write("empty", [node("Relu", ["x"], ["y"], name="relu1")],
      [("x", F, [0, 3])], [("y", F, [0, 3])])
write("host", [node("Relu", ["x"], ["a"], name="relu1"),
               node("TopK", ["a", "k"], ["y", "i"], name="topk1")],
      [("x", F, [2, 8])], [("y", F, [2, 3]), ("i", I, [2, 3])],
      [("k", np.array([3], dtype=np.int64))])
# One group whose product is split along K, with a producer that is not.
write("pooled_product", [
    node("GlobalAveragePool", ["x"], ["p"], name="pool1"),
    node("Flatten", ["p"], ["f"], name="flatten1"),
    node("ConstantOfShape", ["s"], ["w"], name="weights",
         value=helper.make_tensor("v", F, [1], [0.01])),
    node("MatMul", ["f", "w"], ["y"], name="product1")],
      [("x", F, [1, 2048, 7, 7])], [("y", F, [1, 1000])], [("s", np.array([2048, 1000]))])
# Values that could share memory, and must not where one is read after the other is written: parts
# of a cache that is replaced twice, or read before it is replaced, or replaced by its transposition;
# a Concat inside another; one value as several outputs.
indices = [(n, np.array(a, dtype=np.int64)) for n, a in (
    ("row0", [[0]]), ("row1", [[1]]), ("rows", [[0], [1], [2], [3]]),
    ("zero", [0]), ("one", [1]), ("two", [2]), ("five", [5]))]
write("aliases", [
    node("Relu", ["x"], ["a"], name="relu1"), node("Exp", ["x"], ["b"], name="exp1"),
    node("ScatterND", ["c", "row0", "a"], ["c1"], name="scatter1"),
    node("ScatterND", ["c1", "row0", "b"], ["twice"], name="scatter2"),
    node("Sin", ["a"], ["later"], name="sin1"),
    node("Slice", ["c1", "one", "two", "zero"], ["g"], name="slice1"),
    node("Exp", ["g"], ["h"], name="exp2"),
    node("ScatterND", ["c1", "row1", "h"], ["replaced"], name="scatter3"),
    node("Neg", ["g"], ["before"], name="neg1"),
    node("Relu", ["s"], ["r"], name="relu2"),
    node("Slice", ["r", "one", "five", "zero"], ["q"], name="slice2"),
    node("Transpose", ["q"], ["t"], name="transpose1", perm=[1, 0]),
    node("ScatterND", ["r", "rows", "t"], ["turned"], name="scatter4"),
    node("Concat", ["a", "x"], ["inner"], name="concat1", axis=0),
    node("Concat", ["inner", "a"], ["outer"], name="concat2", axis=0),
    node("Identity", ["inner"], ["again"], name="identity1")],
      [("c", F, [2, 1, 4]), ("x", F, [1, 1, 4]), ("s", F, [6, 4])],
      [("twice", F, [2, 1, 4]), ("later", F, [1, 1, 4]), ("replaced", F, [2, 1, 4]),
       ("before", F, [1, 1, 4]), ("turned", F, [6, 4]), ("inner", F, [2, 1, 4]),
       ("outer", F, [3, 1, 4]), ("again", F, [2, 1, 4])], indices)
with open(os.path.join(FOLDER, "relu.onnx"), "rb") as whole:
    data = whole.read()
with open(os.path.join(FOLDER, "truncated.onnx"), "wb") as part:
    part.write(data[:len(data) // 2])
np.save(os.path.join(FOLDER, "one_of_six.npy"), np.float32([[0, 0, 0], [0, 5, 0]]))
np.save(os.path.join(FOLDER, "two.npy"), np.int64(2))
np.save(os.path.join(FOLDER, "seven.npy"), np.float32(7))
np.save(os.path.join(FOLDER, "x34.npy"), np.zeros((3, 4), dtype=np.float32))
