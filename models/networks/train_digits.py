#!/usr/bin/python3
"""Trains the digits classifier that npucc brings along, and writes it in float and in int8.

    /usr/bin/python3 models/networks/train_digits.py [OUTPUT_FOLDER]

Data: the 8x8 digits of scikit-learn (1797 images of 43 people; E. Alpaydin, C. Kaynak, UCI
repository 1998). 360 images, a fixed stratified fifth, are kept for testing. Training is plain
numpy with a fixed seed. Needs Debian's python3-sklearn, python3-numpy and python3-onnx.

Written: digits.onnx       float32, input "image" [batch,1,8,8] in 0..1, output "logits"
         digits_int8.onnx  the same after quantization (QuantizeLinear/DequantizeLinear pairs)
         digits_test_images.npy, digits_test_labels.npy
"""
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one summation order, so the same weights
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

for alias in ("float", "int", "bool", "object"):  # onnx 1.12 still uses names that numpy dropped
    if alias not in np.__dict__:
        setattr(np, alias, __builtins__.__dict__[alias])

import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

# (out channels, stride) of the 3x3 convolutions, each followed by a ReLU
CONVOLUTIONS = [(16, 1), (32, 2), (32, 1)]
CLASSES = 10
EPOCHS, BATCH, RATE, WEIGHT_DECAY = 60, 64, 2e-3, 1e-4


# ---- the network in numpy -------------------------------------------------------------------

def im2col(x, stride):
    """[N,C,H,W] -> patches [N,OH,OW,C*9] of a 3x3 window with padding 1."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    n, c, oh, ow = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, oh, ow, c * 9)


def col2im(grad, shape, stride):
    """Adjoint of im2col."""
    n, c, h, w = shape
    oh, ow = grad.shape[1:3]
    grad = grad.reshape(n, oh, ow, c, 3, 3)
    out = np.zeros((n, c, h + 2, w + 2), grad.dtype)
    for ky in range(3):
        for kx in range(3):
            out[:, :, ky:ky + oh * stride:stride, kx:kx + ow * stride:stride] += \
                grad[..., ky, kx].transpose(0, 3, 1, 2)
    return out[:, :, 1:-1, 1:-1]


def conv(x, weight, bias, stride):
    columns = im2col(x, stride)
    y = columns @ weight.reshape(len(weight), -1).T + bias
    return y.transpose(0, 3, 1, 2), columns


def forward(parameters, x):
    """Logits, and what the backward pass needs."""
    saved = []
    for (weight, bias), (_, stride) in zip(parameters, CONVOLUTIONS):
        y, columns = conv(x, weight, bias, stride)
        saved.append((x.shape, columns, y > 0))
        x = np.maximum(y, 0)
    flat = x.reshape(len(x), -1)
    weight, bias = parameters[-1]
    return flat @ weight.T + bias, (saved, flat, x.shape)


def backward(parameters, cache, grad):
    saved, flat, shape = cache
    weight, _ = parameters[-1]
    grads = [(grad.T @ flat, grad.sum(0))]
    grad = (grad @ weight).reshape(shape)
    for i in range(len(CONVOLUTIONS) - 1, -1, -1):
        x_shape, columns, mask = saved[i]
        weight, _ = parameters[i]
        g = (grad * mask).transpose(0, 2, 3, 1)
        flat_g = g.reshape(-1, g.shape[-1])
        grads.append(((flat_g.T @ columns.reshape(len(flat_g), -1)).reshape(weight.shape),
                      flat_g.sum(0)))
        if i:
            grad = col2im(g @ weight.reshape(len(weight), -1), x_shape, CONVOLUTIONS[i][1])
    return grads[::-1]


def initial(rng):
    parameters, channels, size = [], 1, 8
    for out, stride in CONVOLUTIONS:
        scale = np.sqrt(2 / (channels * 9))
        parameters.append((rng.normal(0, scale, (out, channels, 3, 3)).astype(np.float32),
                           np.zeros(out, np.float32)))
        channels, size = out, size // stride
    features = channels * size * size
    parameters.append((rng.normal(0, np.sqrt(1 / features), (CLASSES, features))
                       .astype(np.float32), np.zeros(CLASSES, np.float32)))
    return parameters


def shifted(x, rng):
    """Each image moved by up to one pixel: 1437 images are few."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dy, dx = rng.integers(0, 3, (2, len(x)))
    return np.stack([p[:, b:b + 8, a:a + 8] for p, b, a in zip(padded, dy, dx)])


def train(x, labels, rng):
    parameters = initial(rng)
    moments = [[np.zeros_like(p), np.zeros_like(p)] for pair in parameters for p in pair]
    steps, total = 0, EPOCHS * -(-len(x) // BATCH)
    for epoch in range(EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            chosen = order[start:start + BATCH]
            logits, cache = forward(parameters, shifted(x[chosen], rng))
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            p[np.arange(len(p)), labels[chosen]] -= 1
            grads = backward(parameters, cache, p.astype(np.float32) / len(p))
            # Adam with decoupled weight decay and a cosine schedule
            rate = RATE * 0.5 * (1 + np.cos(np.pi * steps / total))
            steps += 1
            flat_p = [q for pair in parameters for q in pair]
            flat_g = [q for pair in grads for q in pair]
            for q, g, m in zip(flat_p, flat_g, moments):
                m[0] = 0.9 * m[0] + 0.1 * g
                m[1] = 0.999 * m[1] + 0.001 * g * g
                step = (m[0] / (1 - 0.9 ** steps)) / (np.sqrt(m[1] / (1 - 0.999 ** steps)) + 1e-8)
                q -= (rate * (step + WEIGHT_DECAY * q)).astype(np.float32)
    return parameters


# ---- quantization ---------------------------------------------------------------------------

def activation_grid(values):
    """Scale and zero point of uint8 that cover the values and represent 0 exactly."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = np.float32((high - low) / 255 or 1)
    return scale, np.uint8(np.clip(np.round(-low / scale), 0, 255))


def fake_quantize(x, grid):
    scale, zero = grid
    q = np.clip(np.round(x / scale) + np.float32(zero), 0, 255)
    return ((q - np.float32(zero)) * scale).astype(np.float32)


def quantize(parameters, images):
    """Integer weights and activation grids, calibrated with `images`."""
    grids, x = [activation_grid(images)], images
    for (weight, bias), (_, stride) in zip(parameters, CONVOLUTIONS):
        x = np.maximum(conv(x, weight, bias, stride)[0], 0)
        grids.append(activation_grid(x))
    weight, bias = parameters[-1]
    grids.append(activation_grid(x.reshape(len(x), -1) @ weight.T + bias))
    layers = []
    for (weight, bias), grid in zip(parameters, grids):
        flat = np.abs(weight.reshape(len(weight), -1)).max(1)
        scale = (np.maximum(flat, 1e-12) / 127).astype(np.float32)
        shape = (-1,) + (1,) * (weight.ndim - 1)
        q = np.clip(np.round(weight / scale.reshape(shape)), -127, 127).astype(np.int8)
        bias_scale = (scale * grid[0]).astype(np.float32)
        layers.append((q, scale, np.round(bias / bias_scale).astype(np.int32), bias_scale))
    return layers, grids


def forward_int8(layers, grids, x):
    """What the QDQ graph computes."""
    x = fake_quantize(x, grids[0])
    for (q, scale, bias, bias_scale), (_, stride), grid in zip(layers, CONVOLUTIONS, grids[1:]):
        weight = q.astype(np.float32) * scale.reshape(-1, 1, 1, 1)
        x = fake_quantize(np.maximum(conv(x, weight, bias * bias_scale, stride)[0], 0), grid)
    q, scale, bias, bias_scale = layers[-1]
    weight = q.astype(np.float32) * scale.reshape(-1, 1)
    return fake_quantize(x.reshape(len(x), -1) @ weight.T + bias * bias_scale, grids[-1])


# ---- ONNX files -----------------------------------------------------------------------------

class Writer:
    def __init__(self):
        self.nodes, self.initialisers = [], []

    def constant(self, name, value):
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def save(self, path):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "digits",
            [value("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
            [value("logits", TensorProto.FLOAT, ["batch", CLASSES])], self.initialisers)
        model = helper.make_model(graph, producer_name="train_digits.py",
                                  opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 7
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def write_float(parameters, path):
    w, x = Writer(), "image"
    for i, ((weight, bias), (_, stride)) in enumerate(zip(parameters, CONVOLUTIONS), 1):
        x = w.node("Conv", [x, w.constant(f"conv{i}.weight", weight),
                            w.constant(f"conv{i}.bias", bias)], f"conv{i}",
                   kernel_shape=[3, 3], strides=[stride, stride], pads=[1, 1, 1, 1])
        x = w.node("Relu", [x], f"relu{i}")
    x = w.node("Flatten", [x], "flatten", axis=1)
    weight, bias = parameters[-1]
    w.node("Gemm", [x, w.constant("fc.weight", weight), w.constant("fc.bias", bias)], "logits",
           transB=1)
    w.save(path)


def write_int8(layers, grids, path):
    w = Writer()

    def pair(x, name, grid, output=None):
        """QuantizeLinear and DequantizeLinear of activation x."""
        scale = w.constant(f"{name}.scale", np.float32(grid[0]))
        zero = w.constant(f"{name}.zero_point", np.uint8(grid[1]))
        q = w.node("QuantizeLinear", [x, scale, zero], f"{name}.quantized")
        return w.node("DequantizeLinear", [q, scale, zero], output or f"{name}.dequantized")

    def parameters(name, layer):
        q, scale, bias, bias_scale = layer
        scales = w.constant(f"{name}.weight.scale", scale)
        zeros = w.constant(f"{name}.weight.zero_point", np.zeros(len(q), np.int8))
        weight = w.node("DequantizeLinear",
                        [w.constant(f"{name}.weight.quantized", q), scales, zeros],
                        f"{name}.weight", axis=0)
        bias_scales = w.constant(f"{name}.bias.scale", bias_scale)
        bias_zeros = w.constant(f"{name}.bias.zero_point", np.zeros(len(q), np.int32))
        return weight, w.node("DequantizeLinear",
                              [w.constant(f"{name}.bias.quantized", bias), bias_scales,
                               bias_zeros], f"{name}.bias", axis=0)

    x = pair("image", "image", grids[0])
    for i, (layer, (_, stride)) in enumerate(zip(layers, CONVOLUTIONS), 1):
        x = w.node("Conv", [x, *parameters(f"conv{i}", layer)], f"conv{i}", kernel_shape=[3, 3],
                   strides=[stride, stride], pads=[1, 1, 1, 1])
        x = pair(w.node("Relu", [x], f"relu{i}"), f"relu{i}", grids[i])
    x = pair(w.node("Flatten", [x], "flatten", axis=1), "flatten", grids[-2])
    x = w.node("Gemm", [x, *parameters("fc", layers[-1])], "fc", transB=1)
    pair(x, "fc", grids[-1], "logits")
    w.save(path)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    x, x_test, y, y_test = train_test_split(images, digits.target.astype(np.int64),
                                            test_size=360, random_state=0,
                                            stratify=digits.target)
    parameters = train(x, y, np.random.default_rng(1))
    layers, grids = quantize(parameters, x)
    for name, logits in (("float32", forward(parameters, x_test)[0]),
                         ("int8", forward_int8(layers, grids, x_test))):
        right = int((logits.argmax(1) == y_test).sum())
        print(f"{name}: {right} of {len(y_test)} test images = {100 * right / len(y_test):.2f} %")
    write_float(parameters, os.path.join(folder, "digits.onnx"))
    write_int8(layers, grids, os.path.join(folder, "digits_int8.onnx"))
    np.save(os.path.join(folder, "digits_test_images.npy"), x_test)
    np.save(os.path.join(folder, "digits_test_labels.npy"), y_test)


if __name__ == "__main__":
    main()
