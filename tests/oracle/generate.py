"""Seeded random ONNX graphs with inputs, for the comparison with ONNX Runtime (run.py).

    generate.py DIR [--count N] [--seed S]

Case I is DIR/I/: model.onnx, in/NAME.npy, and tolerance.json, the absolute tolerance per output
that comes on top of the relative one. Every graph depends on its seed alone.

Two implementations of float arithmetic differ in the last bits, and a rounding or a comparison
turns that into a whole step. So each tensor is of a kind:
  exact   bits of an input, moved: may be rounded, compared, quantised
  approx  has been calculated with
  quant   comes out of a QuantizeLinear: may be off by one step, and is only moved afterwards
"""
import argparse
import json
import os
from collections import namedtuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Tensor = namedtuple("Tensor", "name shape dtype kind step")
ELEMENT = {"f": TensorProto.FLOAT, "i": TensorProto.INT32, "l": TensorProto.INT64,
           "b": TensorProto.BOOL, "u8": TensorProto.UINT8, "s8": TensorProto.INT8}
NUMPY = {"f": np.float32, "i": np.int32, "l": np.int64, "b": np.bool_, "u8": np.uint8,
         "s8": np.int8}
MAX_ELEMENTS = 6000


class Graph:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.opset = self.int(13, 17)
        self.nodes, self.constants, self.inputs, self.tensors = [], [], {}, []
        self.used, self.names = set(), 0
        for _ in range(self.int(1, 3)):
            self.add_input()

    # --- random choices ---
    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def chance(self, p):
        return self.rng.random() < p

    def one_of(self, values):
        return values[self.int(0, len(values) - 1)]

    def values(self, shape, dtype="f"):
        if dtype == "f":
            return self.rng.uniform(-2, 2, shape).astype(np.float32)
        if dtype == "b":
            return self.rng.random(shape) < 0.5
        low, high = (-128, 128) if dtype == "s8" else (0, 256) if dtype == "u8" else (-9, 10)
        return self.rng.integers(low, high, shape).astype(NUMPY[dtype])

    def shape(self, rank=None):
        rank = rank or self.one_of([1, 2, 2, 3, 4, 4, 4, 4])
        if rank == 4:
            channels = self.one_of([1, 2, 3, 4, 5, 6, 8, 12, 17])
            return (self.one_of([1, 1, 2]), channels, self.int(1, 15), self.int(1, 15))
        return tuple(self.one_of([1, 2, 3, 5, 7, 8, 11, 16, 19, 33]) for _ in range(rank))

    # --- building ---
    def name(self, stem):
        self.names += 1
        return f"{stem}{self.names}"

    def add_input(self, shape=None, dtype=None):
        dtype = dtype or self.one_of(["f"] * 9 + ["i"])
        shape = self.shape() if shape is None else tuple(shape)
        while np.prod(shape) > MAX_ELEMENTS:
            shape = tuple((d + 1) // 2 for d in shape)
        t = Tensor(self.name("x"), shape, dtype, "exact", 0.0)
        self.inputs[t.name] = (t, self.values(shape, dtype))
        self.tensors.append(t)
        return t

    def const(self, array):
        name = self.name("c")
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return Tensor(name, np.shape(array), None, "exact", 0.0)

    def ints(self, values):
        return self.const(np.array(values, np.int64))

    def emit(self, op, inputs, shapes, dtype=None, kind=None, step=None, **attrs):
        """One node; `shapes` is one output's shape, or a list of them."""
        first = inputs[0]
        kinds = [t.kind for t in inputs if t]
        if kind is None:
            kind = "quant" if "quant" in kinds else "approx"
        if step is None:
            step = max(t.step for t in inputs if t)
        many = shapes if isinstance(shapes, list) else [shapes]
        outs = [Tensor(self.name("t"), tuple(int(d) for d in s), dtype or first.dtype, kind, step)
                for s in many]
        node = helper.make_node(op, [t.name if t else "" for t in inputs],
                                [t.name for t in outs], name=self.name(op), **attrs)
        self.nodes.append(node)
        self.used.update(node.input)
        self.tensors += outs
        return outs if isinstance(shapes, list) else outs[0]

    def move(self, op, inputs, shapes, **attrs):
        return self.emit(op, inputs, shapes, kind=inputs[0].kind, **attrs)

    def pick(self, test=lambda t: True, make=None):
        """A tensor that passes; the later ones are likelier, so that graphs grow deep."""
        fit = [t for t in self.tensors if test(t)]
        if not fit:
            return self.add_input(**make) if make is not None else None
        if self.chance(0.6):
            fit = fit[-3:]
        return self.one_of(fit)

    def number(self, rank=None):
        """A float tensor to calculate with."""
        make = dict(dtype="f", shape=self.shape(rank))
        return self.pick(lambda t: t.dtype == "f" and t.kind != "quant" and
                         (rank is None or len(t.shape) == rank), make)

    def exact(self, rank=None):
        return self.pick(lambda t: t.dtype == "f" and t.kind == "exact" and
                         (rank is None or len(t.shape) == rank),
                         dict(dtype="f", shape=self.shape(rank)))

    def movable(self, least=1):
        return self.pick(lambda t: len(t.shape) >= least and t.dtype != "b", {})

    # --- windows ---
    def window(self, size, strides=True, pads=True):
        """kernel, stride, dilation, pads for one spatial dimension."""
        k = self.int(1, min(size + 2, 5))
        d = self.int(1, 3) if self.chance(0.3) else 1
        s = self.int(1, 3) if strides else 1
        reach = (k - 1) * d + 1
        before, after = (self.int(0, k - 1), self.int(0, k - 1)) if pads and self.chance(0.6) \
            else (0, 0)
        if reach > size + before + after:
            return 1, s, 1, 0, 0
        return k, s, d, before, after

    def conv_parts(self, x):
        ws = [self.window(d) for d in x.shape[2:]]
        k, s, d, b, a = (list(v) for v in zip(*ws))
        out = [(n + b[i] + a[i] - (k[i] - 1) * d[i] - 1) // s[i] + 1
               for i, n in enumerate(x.shape[2:])]
        return k, out, dict(kernel_shape=k, strides=s, dilations=d, pads=b + a)

    def groups(self, *channels):
        fit = [g for g in range(1, channels[0] + 1) if all(c % g == 0 for c in channels)]
        return self.one_of(fit + [fit[-1]])

    def op_conv(self):
        x = self.number(self.one_of([3, 4, 4, 4]))
        k, out, attrs = self.conv_parts(x)
        c = x.shape[1]
        g = self.groups(c) if self.chance(0.5) else 1
        m = g * self.int(1, max(1, 20 // g))
        if self.chance(0.15):
            del attrs["pads"]
            attrs["auto_pad"] = self.one_of(["SAME_UPPER", "SAME_LOWER"])
            attrs["dilations"] = [1] * len(k)
            out = [-(-n // s) for n, s in zip(x.shape[2:], attrs["strides"])]
        w = self.values((m, c // g, *k)) / np.float32(np.sqrt(c // g * np.prod(k)))
        ins = [x, self.const(w)] + ([self.const(self.values((m,)))] if self.chance(0.6) else [])
        self.emit("Conv", ins, (x.shape[0], m, *out), group=g, **attrs)

    def op_conv_transpose(self):
        x = self.number(4)
        c, g = x.shape[1], self.groups(x.shape[1]) if self.chance(0.4) else 1
        m = self.int(1, 4)
        k = [self.int(1, 4) for _ in range(2)]
        s = [self.int(1, 3) for _ in range(2)]
        d = [self.int(1, 2) if self.chance(0.3) else 1 for _ in range(2)]
        extra = [self.int(0, s[i] - 1) if self.chance(0.4) else 0 for i in range(2)]
        full = [(n - 1) * s[i] + (k[i] - 1) * d[i] + 1 + extra[i]
                for i, n in enumerate(x.shape[2:])]
        if np.prod(full) * m * g * x.shape[0] > 4 * MAX_ELEMENTS:
            return
        b, a = [0, 0], [0, 0]
        if self.chance(0.5):
            for i in range(2):
                b[i] = self.int(0, min(k[i] - 1, (full[i] - 1) // 2))
                a[i] = self.int(0, min(k[i] - 1, (full[i] - 1) // 2))
        w = self.values((c, m, *k)) / np.float32(np.sqrt(c // g * 2))
        ins = [x, self.const(w)] + ([self.const(self.values((m * g,)))] if self.chance(0.5) else [])
        self.emit("ConvTranspose", ins,
                  (x.shape[0], m * g, *(full[i] - b[i] - a[i] for i in range(2))), group=g,
                  kernel_shape=k, strides=s, dilations=d, pads=b + a, output_padding=extra)

    def op_pool(self):
        x = self.number(self.one_of([3, 4, 4, 4]))
        op = self.one_of(["MaxPool", "AveragePool"])
        k, out, attrs = self.conv_parts(x)
        if op == "AveragePool":
            del attrs["dilations"]
            out = [(n + attrs["pads"][i] + attrs["pads"][i + len(k)] - k[i])
                   // attrs["strides"][i] + 1 for i, n in enumerate(x.shape[2:])]
            attrs["count_include_pad"] = self.int(0, 1)
        self.emit(op, [x], (*x.shape[:2], *out), kind=x.kind if op == "MaxPool" else None, **attrs)

    def op_global_pool(self):
        x = self.number(4)
        self.emit("GlobalAveragePool", [x], (*x.shape[:2], 1, 1))

    def op_matmul(self):
        x = self.number(self.one_of([2, 3, 4]))
        k, n = x.shape[-1], self.int(1, 24)
        batch = x.shape[:-2]
        if self.chance(0.6) and batch:
            batch = tuple(1 if self.chance(0.3) else d for d in batch)[self.int(0, len(batch)):]
        shape = (*batch, k, n)
        if self.chance(0.7):
            y = self.const(self.values(shape) / np.float32(np.sqrt(k)))
        elif np.prod(shape) <= MAX_ELEMENTS:
            y = self.add_input(shape, "f")
        else:
            return
        self.emit("MatMul", [x, y], (*x.shape[:-1], n))

    def op_gemm(self):
        x = self.number(2)
        ta, tb = self.int(0, 1), self.int(0, 1)
        m, k = x.shape[::-1] if ta else x.shape
        n = self.int(1, 40)
        w = self.values((n, k) if tb else (k, n)) / np.float32(np.sqrt(k))
        ins = [x, self.const(w)]
        if self.chance(0.7):
            ins.append(self.const(self.values(self.one_of([(n,), (1, n), (m, 1), (m, n), (1,)]))))
        self.emit("Gemm", ins, (m, n), transA=ta, transB=tb,
                  alpha=self.one_of([1.0, 0.5, 1.25]), beta=self.one_of([1.0, 0.75]))

    # --- elementwise ---
    def op_unary(self):
        op = self.one_of(["Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Erf", "Softplus", "Softsign",
                          "HardSigmoid", "LeakyRelu", "Elu", "Selu", "Sin", "Cos", "Exp", "Log",
                          "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "HardSwish"])
        if op in ("Floor", "Ceil", "Round", "Sign"):
            x = self.exact()
            self.emit(op, [x], x.shape, kind="exact")
            return
        if op == "HardSwish" and self.opset < 14:
            op = "Relu"
        x = self.number()
        if op in ("Exp", "Sin", "Cos"):  # large arguments carry large errors
            x = self.bounded(x)
        if op in ("Log", "Sqrt", "Reciprocal"):
            x = self.emit("Add", [self.emit("Abs", [x], x.shape), self.const(np.float32(0.5))],
                          x.shape)
        attrs = {"alpha": 0.3} if op in ("LeakyRelu", "Elu", "HardSigmoid") else {}
        self.emit(op, [x], x.shape, **attrs)

    def bounded(self, x, bound=3.0):
        return self.emit("Clip", [x, self.const(np.float32(-bound)), self.const(np.float32(bound))],
                         x.shape, kind=x.kind)

    def operand(self, shape, dtype, bounded=False):
        """Something that broadcasts with `shape` to at most its size times a little."""
        def fits(t):
            if t.dtype != dtype or t.kind == "quant" or len(t.shape) > len(shape):
                return False
            return all(a == b or a == 1 for a, b in zip(t.shape[::-1], shape[::-1]))
        if self.chance(0.5):
            t = self.pick(fits)
            if t:
                return self.bounded(t) if bounded and dtype == "f" else t
        cut = tuple(1 if self.chance(0.3) else d for d in shape)[self.int(0, len(shape)):]
        if self.chance(0.5) and np.prod(cut) <= MAX_ELEMENTS:
            return self.add_input(cut, dtype)
        return self.const(self.values(cut, dtype))

    def op_binary(self):
        if self.chance(0.12):
            x = self.pick(lambda t: t.dtype == "i" and len(self.nodes) < 40, dict(dtype="i"))
            op = self.one_of(["Add", "Sub", "Max", "Min"])
        else:
            x = self.number()
            op = self.one_of(["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu", "Pow", "Mean",
                              "Sum"])
        y = self.operand(x.shape, x.dtype, op == "Mul")
        if op == "Div":
            y = self.const(np.abs(self.values(self.one_of([(), x.shape[-1:], x.shape]))) +
                           np.float32(0.5))
        if op == "Pow":
            x = self.bounded(x)
            x = self.emit("Add", [self.emit("Abs", [x], x.shape), self.const(np.float32(0.25))],
                          x.shape)
            y = self.const(np.float32(self.one_of([2.0, 3.0, 0.5, -1.0, 1.7])))
        ins = [x, y]
        if op not in ("PRelu", "Pow", "Div") and self.chance(0.3):
            if op in ("Add", "Max", "Min", "Sub", "Mul"):
                if x.dtype == "f" or y.dtype == x.dtype:
                    ins = [y, x]
        self.emit(op, ins, x.shape, dtype=x.dtype, kind="exact" if x.dtype == "i" else None)

    def op_clip(self):
        x = self.number()
        low, high = self.const(np.float32(-1.25)), self.const(np.float32(0.75))
        ins = self.one_of([[x, low, high], [x, None, high], [x, low]])
        self.emit("Clip", ins, x.shape, kind=x.kind)

    def op_compare_where(self):
        x = self.exact()
        y = self.const(self.values(self.one_of([(), x.shape[-1:]])))
        b = self.emit(self.one_of(["Greater", "Less", "Equal"]), [x, y], x.shape, dtype="b",
                      kind="exact")
        if self.chance(0.4):
            b = self.emit("Not", [b], b.shape, dtype="b", kind="exact")
        if self.chance(0.8):
            z = self.operand(x.shape, "f")
            self.emit("Where", self.one_of([[b, x, z], [b, z, x]]), x.shape, dtype="f",
                      kind="approx")

    def op_cast(self):
        if self.chance(0.3):
            x = self.pick(lambda t: t.dtype == "b")
            if x:
                self.emit("Cast", [x], x.shape, dtype="f", kind="exact", to=ELEMENT["f"])
                return
        x = self.exact()
        to = self.one_of(["i", "l", "b"])
        y = self.emit("Cast", [x], x.shape, dtype=to, kind="exact", to=ELEMENT[to])
        if self.chance(0.6):
            self.emit("Cast", [y], x.shape, dtype="f", kind="exact", to=ELEMENT["f"])

    # --- normalisation and reductions ---
    def op_softmax(self):
        x = self.number()
        if not x.shape:
            return
        self.emit(self.one_of(["Softmax", "Softmax", "LogSoftmax"]), [x], x.shape,
                  axis=self.int(-len(x.shape), len(x.shape) - 1))

    def op_layer_norm(self):
        if self.opset < 17:
            return
        x = self.number(self.one_of([2, 3, 4]))
        axis = self.one_of([-1, -1, -1, 1])
        tail = x.shape[axis:]
        if np.prod(tail) < 4:  # of few values, the variance may be near zero: ill-conditioned
            return
        ins = [x, self.const(self.values(tail))]
        if self.chance(0.6):
            ins.append(self.const(self.values(tail)))
        self.emit("LayerNormalization", ins, x.shape, axis=axis, epsilon=1e-2)

    def op_reduce(self):
        x = self.number()
        if not x.shape:
            return
        op = self.one_of(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1",
                          "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceProd"])
        if op in ("ReduceProd", "ReduceSumSquare", "ReduceLogSumExp"):
            x = self.bounded(x, 1.1)
        axes = [a for a in range(len(x.shape)) if self.chance(0.5)] or [len(x.shape) - 1]
        keep = self.int(0, 1)
        out = [1 if a in axes else d for a, d in enumerate(x.shape) if keep or a not in axes]
        shown = [a - len(x.shape) if self.chance(0.3) else a for a in axes]
        kind = x.kind if op in ("ReduceMax", "ReduceMin") else None
        if op == "ReduceSum":
            self.emit(op, [x, self.ints(shown)], tuple(out), keepdims=keep)
        else:
            self.emit(op, [x], tuple(out), kind=kind, keepdims=keep, axes=shown)

    # --- moves ---
    def op_transpose(self):
        x = self.movable(2)
        perm = [int(p) for p in self.rng.permutation(len(x.shape))]
        self.move("Transpose", [x], tuple(x.shape[p] for p in perm), perm=perm)

    def op_reshape(self):
        x = self.movable()
        dims = list(x.shape)
        for _ in range(self.int(1, 2)):
            if len(dims) > 1 and self.chance(0.6):
                i = self.int(0, len(dims) - 2)
                dims[i:i + 2] = [dims[i] * dims[i + 1]]
            elif len(dims) < 4:
                i = self.int(0, len(dims) - 1)
                f = self.one_of([f for f in range(1, dims[i] + 1) if dims[i] % f == 0])
                dims[i:i + 1] = [f, dims[i] // f]
        shown = list(dims)
        if self.chance(0.4):
            shown[self.int(0, len(shown) - 1)] = -1
        self.move("Reshape", [x, self.ints(shown)], tuple(dims))

    def op_slice(self):
        x = self.movable()
        axes = [a for a in range(len(x.shape)) if self.chance(0.5)] or [0]
        out, starts, ends, steps = list(x.shape), [], [], []
        for a in axes:
            n = x.shape[a]
            step = self.one_of([1, 1, 2, 3, -1, -2])
            low = self.int(0, n - 1)
            high = self.int(low + 1, n)
            if step > 0:
                start, end = low, high if self.chance(0.8) else 1 << 40
                size = len(range(n)[start:min(end, n):step])
                if self.chance(0.3):
                    start -= n
            else:
                start, end = high - 1, low - 1 - n if low == 0 else low - 1
                size = len(range(high - 1, low - 1, step))
            out[a] = size
            starts.append(start), ends.append(end), steps.append(step)
        self.move("Slice", [x, self.ints(starts), self.ints(ends), self.ints(axes),
                            self.ints(steps)], tuple(out))

    def op_concat(self):
        x = self.pick(lambda t: t.shape and t.dtype == "f" and t.kind != "quant", dict(dtype="f"))
        axis = self.int(0, len(x.shape) - 1)
        parts = [x]
        for _ in range(self.int(1, 2)):
            def fits(t):
                return t.dtype == "f" and t.kind != "quant" and len(t.shape) == len(x.shape) and \
                    all(a == b for i, (a, b) in enumerate(zip(t.shape, x.shape)) if i != axis)
            y = self.pick(fits) if self.chance(0.6) else None
            if not y:
                y = self.const(self.values([self.int(1, 4) if i == axis else d
                                            for i, d in enumerate(x.shape)]))
            parts.insert(self.int(0, len(parts)), y)
        total = sum(t.shape[axis] for t in parts)
        shape = tuple(total if i == axis else d for i, d in enumerate(x.shape))
        if np.prod(shape) > 4 * MAX_ELEMENTS:
            return
        exact = all(t.kind == "exact" for t in parts)
        self.emit("Concat", parts, shape, dtype="f", kind="exact" if exact else "approx",
                  axis=axis - len(shape) if self.chance(0.3) else axis)

    def op_split(self):
        x = self.movable()
        axis = self.int(0, len(x.shape) - 1)
        n = x.shape[axis]
        if n < 2:
            return
        cut = self.int(1, n - 1)
        sizes = [cut, n - cut]
        self.move("Split", [x, self.ints(sizes)],
                  [tuple(s if i == axis else d for i, d in enumerate(x.shape)) for s in sizes],
                  axis=axis)

    def op_pad(self):
        x = self.number()
        if not x.shape:  # ONNX Runtime refuses
            return
        mode = self.one_of(["constant", "constant", "reflect", "edge"])
        room = [2 if mode != "reflect" else min(2, d - 1) for d in x.shape]
        before, after = [self.int(0, r) for r in room], [self.int(0, r) for r in room]
        if mode == "constant" and self.chance(0.3):  # a negative pad cuts
            for a, d in enumerate(x.shape):
                if d > 2:
                    before[a] = -self.int(0, 1)
        ins = [x, self.ints(before + after)]
        if mode == "constant" and self.chance(0.6):
            ins.append(self.const(np.float32(self.one_of([0.5, -1.5]))))
        shape = tuple(d + b + a for d, b, a in zip(x.shape, before, after))
        if np.prod(shape) <= 4 * MAX_ELEMENTS:
            self.move("Pad", ins, shape, mode=mode)

    def op_gather(self):
        x = self.movable()
        axis = self.int(0, len(x.shape) - 1)
        shape = self.one_of([(), (3,), (5,), (2, 2)])
        n = x.shape[axis]
        out = (*x.shape[:axis], *shape, *x.shape[axis + 1:])
        if len(out) <= 4 and np.prod(out) <= 4 * MAX_ELEMENTS:
            indices = self.rng.integers(-n, n, shape)
            self.move("Gather", [x, self.const(np.array(indices, np.int64))], out, axis=axis)

    def op_resize(self):
        x = self.number(4)
        sizes = [self.int(1, 2 * d + 1) for d in x.shape[2:]]
        attrs = dict(mode="nearest",
                     coordinate_transformation_mode=self.one_of(
                         ["asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"]),
                     nearest_mode=self.one_of(["floor", "ceil", "round_prefer_floor",
                                               "round_prefer_ceil"]))
        if self.chance(0.5):
            scales = [1.0, 1.0] + [self.one_of([0.5, 1.0, 2.0, 3.0, 1.5]) for _ in range(2)]
            sizes = [int(np.floor(d * s)) for d, s in zip(x.shape[2:], scales[2:])]
            if min(sizes) < 1:
                return
            if any(d * s % 1 for d, s in zip(x.shape[2:], scales[2:])) and \
                    attrs["coordinate_transformation_mode"] == "align_corners":
                # ONNX's reference divides by the length before rounding, ONNX Runtime by the
                # rounded one.
                attrs["coordinate_transformation_mode"] = "half_pixel"
            extra = [None, self.const(np.array(scales, np.float32))]
        else:
            extra = [None, None, self.ints([*x.shape[:2], *sizes])]
        if np.prod(x.shape[:2]) * np.prod(sizes) <= 4 * MAX_ELEMENTS:
            self.move("Resize", [x, *extra], (*x.shape[:2], *sizes), **attrs)

    # --- quantisation ---
    def quantize(self, x, scale, zero, q):
        params = [self.const(np.float32(scale)), self.const(NUMPY[q](zero))]
        y = self.emit("QuantizeLinear", [x, *params], x.shape, dtype=q, kind="quant", step=1)
        return self.emit("DequantizeLinear", [y, *params], x.shape, dtype="f", kind="quant",
                         step=float(scale))

    def op_qdq(self):
        x = self.exact()
        q = self.one_of(["u8", "s8"])
        zero = self.int(100, 140) if q == "u8" else self.int(-9, 9)
        x = self.quantize(x, self.rng.uniform(0.01, 0.04), zero, q)
        if self.chance(0.4):
            return
        if len(x.shape) not in (2, 4):
            return
        # A quantised Conv or MatMul, as exporters write it.
        if len(x.shape) == 4:
            k, out, attrs = self.conv_parts(x)
            m, fan = self.int(1, 12), x.shape[1] * int(np.prod(k))
            shape, out = (m, x.shape[1], *k), (x.shape[0], m, *out)
        else:
            m, fan, attrs = self.int(1, 24), x.shape[1], {}
            shape, out = (x.shape[1], m), (x.shape[0], m)
        ws = float(self.rng.uniform(0.01, 0.02))
        w = self.const(self.rng.integers(-127, 128, shape).astype(np.int8))
        w = self.emit("DequantizeLinear",
                      [w, self.const(np.float32(ws)), self.const(np.int8(0))], shape, dtype="f",
                      kind="quant", step=0.0)
        y = self.emit("Conv" if len(x.shape) == 4 else "MatMul", [x, w], out, dtype="f",
                      kind="quant", **attrs)
        # Before the output is rounded, x may be off by one step wherever it lies on a tie.
        self.quantize(y, 0.03 * np.sqrt(fan), 128 if q == "u8" else 0, q)

    MENU = [("conv", 7), ("conv_transpose", 3), ("pool", 4), ("global_pool", 1), ("matmul", 4),
            ("gemm", 3), ("unary", 6), ("binary", 8), ("clip", 2), ("softmax", 3),
            ("layer_norm", 3), ("reduce", 4), ("transpose", 3), ("reshape", 3), ("slice", 3),
            ("concat", 3), ("split", 2), ("pad", 3), ("gather", 2), ("resize", 2), ("qdq", 2),
            ("compare_where", 2), ("cast", 2)]

    def fill(self):
        target = self.int(3, 18)
        weights = np.array([w for _, w in self.MENU], float)
        while len(self.nodes) < target:
            choice = self.rng.choice(len(self.MENU), p=weights / weights.sum())
            getattr(self, "op_" + self.MENU[choice][0])()

    def model(self):
        outputs = [t for t in self.tensors if t.name not in self.used and t.name not in self.inputs]
        inputs = [t for t, _ in self.inputs.values() if t.name in self.used]
        def info(t):
            return helper.make_tensor_value_info(t.name, ELEMENT[t.dtype], t.shape)
        graph = helper.make_graph(self.nodes, "random", [info(t) for t in inputs],
                                  [info(t) for t in outputs], self.constants,
                                  value_info=[info(t) for t in self.tensors
                                              if t not in outputs and t.name not in self.inputs])
        model = helper.make_model(graph, ir_version=8,
                                  opset_imports=[helper.make_opsetid("", self.opset)])
        onnx.checker.check_model(model, full_check=True)
        arrays = {t.name: self.inputs[t.name][1] for t in inputs}
        return model, arrays, {t.name: t.step for t in outputs}


def write_case(folder, model, arrays, tolerance):
    os.makedirs(os.path.join(folder, "in"), exist_ok=True)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for name, array in arrays.items():
        np.save(os.path.join(folder, "in", name + ".npy"), np.asarray(array, order="C"))
    with open(os.path.join(folder, "tolerance.json"), "w") as file:
        json.dump(tolerance, file)


def generate(folder, seed):
    graph = Graph(seed)
    graph.fill()
    write_case(folder, *graph.model())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dir")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for i in range(args.seed, args.seed + args.count):
        generate(os.path.join(args.dir, str(i)), i)


if __name__ == "__main__":
    main()
