//===- BiasCorrection.cpp - Means of layers as in floating point ----------===//
#include "runtime/quantize/BiasCorrection.h"

#include "runtime/onnx/Errors.h"
#include "runtime/quantize/GraphEdit.h"
#include "runtime/reference/Reference.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Parallel.h"

#include <algorithm>
#include <cmath>
#include <mutex>

using namespace npucc;
using llvm::ArrayRef;
using llvm::Expected;

static bool hasBias(const Node &node) {
  return node.domain.empty() && node.inputs.size() > 2 && node.inputs[2] != kNoValue &&
         (node.opType == "Conv" || node.opType == "ConvTranspose" || node.opType == "Gemm");
}

/// Mean of each channel (axis 1).
static std::vector<double> channelMeans(const Tensor &tensor) {
  int64_t channels = tensor.shape()[1], inner = 1;
  for (int64_t size : tensor.shape().drop_front(2))
    inner *= size;
  std::vector<double> means(channels, 0);
  auto values = tensor.values<float>();
  for (int64_t row = 0, rows = tensor.shape()[0] * channels; row < rows; ++row) {
    double sum = 0;
    for (float x : values.slice(row * inner, inner))
      sum += x;
    means[row % channels] += sum / static_cast<double>(tensor.shape()[0] * inner);
  }
  return means;
}

static bool isMeasured(const Graph &graph, const Node &node) {
  if (!hasBias(node))
    return false;
  const Value &value = graph.values[node.outputs[0]];
  return value.type == ElementType::Float32 && value.isStatic() && value.shape().size() >= 2 &&
         llvm::all_of(value.shape(), [](int64_t size) { return size > 0; });
}

Expected<FloatResults> npucc::evaluateFloat(const Graph &graph,
                                            ArrayRef<std::vector<Tensor>> samples) {
  FloatResults result;
  result.outputs.resize(samples.size());
  std::map<ValueId, const Node *> nodes;
  for (const Node &node : graph.nodes)
    if (isMeasured(graph, node))
      nodes[node.outputs[0]] = &node;
  // By sample first, so that sums do not depend on which thread is done when.
  std::vector<std::map<std::string, std::vector<double>>> means(samples.size());
  std::mutex mutex;
  llvm::Error failure = llvm::Error::success();
  llvm::parallelFor(0, samples.size(), [&](size_t k) {
    auto outputs = evaluate(graph, samples[k], [&](ValueId id, const Tensor &tensor) {
      if (auto it = nodes.find(id); it != nodes.end())
        means[k][it->second->name] = channelMeans(tensor);
    });
    if (outputs) {
      result.outputs[k] = std::move(*outputs);
      return;
    }
    std::lock_guard<std::mutex> lock(mutex);
    failure = llvm::joinErrors(std::move(failure), outputs.takeError());
  });
  if (failure)
    return std::move(failure);
  for (const auto &part : means)
    for (const auto &[name, values] : part) {
      std::vector<double> &sum = result.means[name];
      sum.resize(values.size());
      for (size_t i = 0; i < values.size(); ++i)
        sum[i] += values[i] / static_cast<double>(samples.size());
    }
  return result;
}

namespace {

/// Evaluates all samples node by node, so that each correction is known before what follows.
class Sweep {
public:
  Sweep(Graph &graph, const FloatResults &reference, ArrayRef<std::vector<Tensor>> samples)
      : graph(graph), reference(reference), samples(samples) {}
  Expected<std::vector<std::vector<Tensor>>> run();

private:
  llvm::Error evaluateAt(size_t index);
  void correct(size_t index);
  void release(size_t index);

  Graph &graph;
  const FloatResults &reference;
  ArrayRef<std::vector<Tensor>> samples;
  std::vector<std::vector<Tensor>> values; ///< by sample and value
  std::vector<size_t> lastUse;
  std::vector<bool> constant;
};

} // namespace

llvm::Error Sweep::evaluateAt(size_t index) {
  const Node &node = graph.nodes[index];
  auto reads = valuesRead(node); // inputs that are there, and what bodies of If and Loop capture
  bool isConstant = !reads.empty() && llvm::all_of(reads, [&](ValueId id) { return constant[id]; });
  size_t count = isConstant ? 1 : samples.size();
  std::mutex mutex;
  llvm::Error failure = llvm::Error::success();
  llvm::parallelFor(0, count, [&](size_t k) {
    std::vector<Tensor> operands;
    for (ValueId id : node.inputs)
      operands.push_back(id == kNoValue ? Tensor() : values[k][id]);
    size_t own = llvm::count_if(node.inputs, [](ValueId id) { return id != kNoValue; });
    for (ValueId id : llvm::ArrayRef(reads).drop_front(own))
      operands.push_back(values[k][id]);
    Expected<Tensors> results = evaluateNode(node, operands);
    if (!results) {
      std::lock_guard<std::mutex> lock(mutex);
      failure = llvm::joinErrors(std::move(failure),
                                 prefixed(results.takeError(), "node " + quoted(node.name) + ": "));
      return;
    }
    for (size_t i = 0; i < node.outputs.size() && i < results->size(); ++i)
      if (node.outputs[i] != kNoValue)
        values[k][node.outputs[i]] = (*results)[i];
  });
  if (isConstant)
    for (ValueId id : node.outputs)
      if (id != kNoValue) {
        constant[id] = true;
        for (size_t k = 1; k < samples.size(); ++k)
          values[k][id] = values[0][id];
      }
  return failure;
}

/// The bias becomes a new constant: others may share the old one.
void Sweep::correct(size_t index) {
  const Node &node = graph.nodes[index];
  auto means = reference.means.find(node.name);
  if (means == reference.means.end() || !isMeasured(graph, node) || constant[node.outputs[0]])
    return;
  ValueId bias = node.inputs[2];
  Node *dequantize = nullptr;
  for (Node &other : graph.nodes)
    if (llvm::is_contained(other.outputs, bias))
      dequantize = &other;
  ValueId stored =
      dequantize && dequantize->opType == "DequantizeLinear" ? dequantize->inputs[0] : bias;
  if (!graph.constant(stored) || (dequantize && stored == bias))
    return;
  const Tensor old = *graph.constant(stored);
  int64_t channels = graph.values[node.outputs[0]].shape()[1];
  if (old.size() != channels || old.shape().size() != 1 ||
      (old.type() != ElementType::Int32 && old.type() != ElementType::Float32) ||
      node.getFloat("beta", 1.0f) != 1.0f)
    return;
  const Tensor *scale = dequantize ? graph.constant(dequantize->inputs[1]) : nullptr;
  if (dequantize && (!scale || scale->size() != channels))
    return;

  std::vector<double> shift = means->second;
  for (size_t k = 0; k < samples.size(); ++k) {
    std::vector<double> actual = channelMeans(values[k][node.outputs[0]]);
    for (int64_t i = 0; i < channels; ++i)
      shift[i] -= actual[i] / static_cast<double>(samples.size());
  }
  Tensor changed = Tensor::zeros(old.type(), {channels});
  for (int64_t i = 0; i < channels; ++i) {
    if (!std::isfinite(shift[i]))
      shift[i] = 0;
    if (!dequantize) {
      changed.mutableValues<float>()[i] = static_cast<float>(old.asDouble(i) + shift[i]);
      continue;
    }
    // At most 2^30 steps, as in quantizeWeights().
    double step = scale->asDouble(i), limit = 1 << 30, before = old.asDouble(i);
    double after = std::clamp(before + std::nearbyint(shift[i] / step), -limit, limit);
    changed.mutableValues<int32_t>()[i] = static_cast<int32_t>(after);
    shift[i] = (after - before) * step;
  }
  Value value = graph.values[stored];
  value.name += "_corrected_" + node.name;
  ValueId id = static_cast<ValueId>(graph.values.size());
  graph.values.push_back(std::move(value));
  graph.constants[id] = changed;
  (dequantize ? dequantize->inputs[0] : graph.nodes[index].inputs[2]) = id;

  int64_t inner = 1;
  for (int64_t size : llvm::ArrayRef(graph.values[node.outputs[0]].shape()).drop_front(2))
    inner *= size;
  for (auto &sample : values) {
    Tensor &output = sample[node.outputs[0]];
    auto elements = output.mutableValues<float>();
    for (int64_t i = 0, e = output.size(); i < e; ++i)
      elements[i] += static_cast<float>(shift[i / inner % channels]);
  }
}

void Sweep::release(size_t index) {
  for (const auto &ids : {graph.nodes[index].inputs, graph.nodes[index].outputs})
    for (ValueId id : ids)
      if (id != kNoValue && id < static_cast<ValueId>(lastUse.size()) && lastUse[id] == index)
        for (auto &sample : values)
          sample[id] = Tensor();
}

Expected<std::vector<std::vector<Tensor>>> Sweep::run() {
  size_t count = graph.values.size();
  values.assign(samples.size(), std::vector<Tensor>(count));
  constant.assign(count, false);
  lastUse.assign(count, 0);
  for (const auto &[id, tensor] : graph.constants) {
    constant[id] = true;
    for (auto &sample : values)
      sample[id] = tensor;
  }
  for (size_t k = 0; k < samples.size(); ++k)
    for (size_t i = 0; i < graph.inputs.size(); ++i)
      values[k][graph.inputs[i]] = samples[k][i];
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId id : valuesRead(graph.nodes[n]))
      lastUse[id] = n;
    for (ValueId id : graph.nodes[n].outputs)
      if (id != kNoValue)
        lastUse[id] = n;
  }
  for (ValueId id : graph.outputs)
    lastUse[id] = graph.nodes.size();
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (llvm::Error error = evaluateAt(n))
      return std::move(error);
    correct(n);
    release(n);
  }
  std::vector<std::vector<Tensor>> outputs(samples.size());
  for (size_t k = 0; k < samples.size(); ++k)
    for (ValueId id : graph.outputs)
      outputs[k].push_back(values[k][id]);
  return outputs;
}

Expected<std::vector<std::vector<Tensor>>>
npucc::correctBiases(Graph &graph, const FloatResults &reference,
                     ArrayRef<std::vector<Tensor>> samples) {
  return Sweep(graph, reference, samples).run();
}
