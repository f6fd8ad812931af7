//===- GpuKernel.cpp - Single operators on a GPU --------------------------===//
//
// gpu: a file in models/gpu. precision. op, and its sizes:
//   matmul, batched_matmul: m, n, k; groups (products of one call), repeat (calls)
//   softmax, layernorm: rows, length
//   gelu, copy: elements
//   conv: batch, in, out (channels), height, width (of the output), kernel, stride
// host: what a measurement from outside sees beyond the kernel, by op: `before_s` passes until
// the kernel starts, and the host is busy for `after_s` more beside it.
//
//===----------------------------------------------------------------------===//

#include "simulator/validate/Evaluators.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace llvm;

namespace npucc {

namespace {

/// Instructions of an elementwise function, transcendental in part.
constexpr double kGeluOps = 12;
constexpr double kLargestSize = 1e12;

GpuKernel matrixProduct(Fields &fields, double bytes) {
  Contraction c;
  fields.number("m", c.m, 1, kLargestSize);
  fields.number("n", c.n, 1, kLargestSize);
  fields.number("k", c.k, 1, kLargestSize);
  fields.number("groups", c.groups, 1, kLargestSize, DataMap::Optional);
  GpuKernel kernel;
  kernel.contractions.push_back(c);
  kernel.writtenBytes = c.groups * c.m * c.n * bytes;
  kernel.activationBytes = kernel.writtenBytes + c.groups * (c.m + c.n) * c.k * bytes;
  return kernel;
}

GpuKernel rowReduction(Fields &fields, bool softmax, double bytes) {
  double rows = 0, length = 0;
  fields.number("rows", rows, 1, kLargestSize);
  fields.number("length", length, 1, kLargestSize);
  GpuKernel kernel;
  kernel.reductions.push_back(softmax ? softmaxRows(rows, length) : normRows(rows, length));
  kernel.writtenBytes = rows * length * bytes;
  kernel.activationBytes = 2 * kernel.writtenBytes;
  return kernel;
}

GpuKernel convolution(Fields &fields, double bytes) {
  double batch = 1, in = 1, out = 1, height = 1, width = 1, window = 1, stride = 1;
  for (auto [key, value] : {std::pair<StringRef, double *>{"batch", &batch},
                            {"in", &in},
                            {"out", &out},
                            {"height", &height},
                            {"width", &width},
                            {"kernel", &window},
                            {"stride", &stride}})
    fields.number(key, *value, 1, kLargestSize);
  Contraction c;
  c.m = batch * height * width;
  c.n = out;
  c.k = in * window * window;
  GpuKernel kernel;
  kernel.contractions.push_back(c);
  kernel.writtenBytes = c.m * out * bytes;
  kernel.activationBytes = kernel.writtenBytes + c.m * stride * stride * in * bytes;
  kernel.weightBytes = c.n * c.k * bytes;
  return kernel;
}

GpuKernel elementwise(Fields &fields, double opsPerElement, double bytes) {
  double elements = 0;
  fields.number("elements", elements, 1, kLargestSize);
  GpuKernel kernel;
  kernel.vectorOps = opsPerElement * elements;
  kernel.writtenBytes = elements * bytes;
  kernel.activationBytes = 2 * kernel.writtenBytes;
  return kernel;
}

/// A kernel that is started alone, and what surrounds it.
struct Started {
  GpuRun run;
  double alone = 0; ///< without the gap between kernels of a queue
  double before = 0, after = 0, repeat = 1;
};

Expected<Started> start(Fields &fields) {
  static const StringRef kOps[] = {"matmul", "softmax", "layernorm", "gelu", "copy", "conv"};
  std::string name, precision;
  size_t op = 0;
  fields.text("gpu", name);
  fields.text("precision", precision);
  fields.choice("op", kOps, op);
  double bytes = bytesOf(precision);
  StringRef opName = kOps[op];
  GpuKernel kernel = opName == "matmul" ? matrixProduct(fields, bytes)
                     : opName == "conv" ? convolution(fields, bytes)
                     : opName == "gelu" ? elementwise(fields, kGeluOps, bytes)
                     : opName == "copy" ? elementwise(fields, 1, bytes)
                                        : rowReduction(fields, opName == "softmax", bytes);
  Started started;
  fields.number("repeat", started.repeat, 1, 1e6, DataMap::Optional);
  DataMap host = fields.map("host", DataMap::Optional);
  for (StringRef other : kOps) {
    DataMap times = host.map(other, DataMap::Optional);
    double before = 0, after = 0;
    if (times.present()) {
      times.number("before_s", before, 0, 1);
      times.number("after_s", after, 0, 1);
      times.finish();
    }
    if (other == opName) {
      started.before = before;
      started.after = after;
    }
  }
  host.finish();
  if (Error error = fields.done())
    return std::move(error);
  Expected<Gpu> gpu = gpuWith(name, precision);
  if (!gpu)
    return gpu.takeError();
  GpuWorkload workload;
  workload.kernels.push_back(kernel);
  started.run = runWorkload(*gpu, workload, 1, 1, precision, Launch::Framework);
  started.alone = started.run.latencyS - gpu->kernelOverheadS;
  return started;
}

std::string clockNote(const GpuRun &run) {
  if (run.clockRatio >= 1)
    return "";
  return "power limit: " + std::to_string(int(std::round(run.clockRatio * 100))) +
         " % of the clock";
}

} // namespace

Expected<Figure> gpuKernel(Fields &fields, Networks &) {
  Expected<Started> started = start(fields);
  if (!started)
    return started.takeError();
  return Figure{started->repeat * (started->before + std::max(started->alone, started->after)),
                clockNote(started->run)};
}

/// Board power while the kernel runs again and again.
Expected<Figure> gpuKernelPower(Fields &fields, Networks &) {
  Expected<Started> started = start(fields);
  if (!started)
    return started.takeError();
  return Figure{started->run.boardPowerW(), clockNote(started->run)};
}

} // namespace npucc
