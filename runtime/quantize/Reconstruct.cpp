//===- Reconstruct.cpp - Layers that answer as in floating point ----------===//
#include "runtime/quantize/Reconstruct.h"

#include "runtime/quantize/FitWeights.h"
#include "runtime/quantize/GraphEdit.h"
#include "runtime/quantize/Stepper.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

#include <cmath>
#include <map>
#include <optional>
#include <set>

using namespace npucc;
using llvm::ArrayRef;
using llvm::Expected;

namespace {

bool isLayer(const Graph &graph, const Node &node) {
  static constexpr llvm::StringLiteral kinds[] = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
  if (!node.domain.empty() || !llvm::is_contained(kinds, node.opType))
    return false;
  const Value &result = graph.values[node.outputs[0]];
  return result.type == ElementType::Float32 && result.isStatic() && result.shape().size() >= 2 &&
         llvm::all_of(result.shape(), [](int64_t size) { return size > 0; });
}

/// The float graph, evaluated as far as it is needed.
class Original {
public:
  Original(const Graph &graph, ArrayRef<std::vector<Tensor>> samples)
      : graph(graph), stepper(this->graph, samples) {
    for (auto [index, node] : llvm::enumerate(this->graph.nodes))
      if (isLayer(this->graph, node))
        layers[node.name] = index;
  }

  /// Results of a layer, by sample; none where there is no layer of that name, or the second time.
  Expected<std::vector<Tensor>> take(llvm::StringRef name);

private:
  Graph graph;
  Stepper stepper;
  llvm::StringMap<size_t> layers;
  llvm::StringMap<std::vector<Tensor>> results; ///< of layers that have been passed
  size_t next = 0;
};

class Reconstruction {
public:
  Reconstruction(Graph &graph, const Graph &original, ArrayRef<std::vector<Tensor>> samples)
      : graph(graph), stepper(graph, samples), original(original, samples) {}
  Expected<std::vector<std::vector<Tensor>>> run();

private:
  /// A constant, stored or computed, and what rounds it up to a layer's operand.
  struct Parameter {
    ValueId constant = kNoValue;
    std::vector<size_t> nodes; ///< in order; they serve nothing but the layer
  };
  std::optional<Parameter> parameterOf(size_t layer, size_t operand) const;
  llvm::Error change(size_t layer, const Parameter &parameter, Tensor tensor);
  llvm::Error fit(size_t layer, ArrayRef<Tensor> results);
  std::optional<Parameter> biasOf(size_t layer) const;
  llvm::Error correctBias(size_t layer, ArrayRef<Tensor> results);
  void foldConstants();

  Graph &graph;
  Stepper stepper;
  Original original;
  std::map<ValueId, size_t> producers;
  std::map<ValueId, std::vector<size_t>> readers;
};

/// Mean of each channel (axis 1).
std::vector<double> channelMeans(const Tensor &tensor) {
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

} // namespace

Expected<std::vector<Tensor>> Original::take(llvm::StringRef name) {
  auto layer = layers.find(name);
  if (layer == layers.end())
    return std::vector<Tensor>();
  for (; next <= layer->second; ++next) {
    if (llvm::Error error = stepper.evaluate(next))
      return std::move(error);
    const Node &node = graph.nodes[next];
    if (layers.count(node.name)) {
      std::vector<Tensor> &tensors = results[node.name];
      for (size_t k = 0; k < stepper.samples(); ++k)
        tensors.push_back(stepper.value(k, node.outputs[0]));
    }
    stepper.release(next);
  }
  std::vector<Tensor> taken = std::move(results[name]);
  results[name].clear();
  return taken;
}

/// Weights and biases are the first operands of what rounds and scales them, element by element.
std::optional<Reconstruction::Parameter> Reconstruction::parameterOf(size_t layer,
                                                                     size_t operand) const {
  const Node &node = graph.nodes[layer];
  if (operand >= node.inputs.size() || !stepper.isConstant(node.inputs[operand]))
    return std::nullopt;
  Parameter result;
  result.constant = node.inputs[operand];
  auto stepOver = [&](llvm::StringRef opType) {
    auto it = producers.find(result.constant);
    if (it == producers.end() || graph.nodes[it->second].opType != opType)
      return false;
    result.constant = graph.nodes[it->second].inputs[0];
    return true;
  };
  // No further: a Div of the network itself is part of the weights.
  if (stepOver("DequantizeLinear") && !stepOver("QuantizeLinear"))
    (void)(stepOver("Cast") && stepOver("Round") && stepOver("Div"));
  if (graph.values[result.constant].type != ElementType::Float32)
    return std::nullopt;
  // Everything between the constant and this layer; nothing there may lead elsewhere.
  std::set<size_t> work, between;
  for (ValueId id : node.inputs)
    if (auto it = producers.find(id); it != producers.end() && stepper.isConstant(id))
      work.insert(it->second);
  while (!work.empty()) {
    size_t index = *work.begin();
    work.erase(work.begin());
    if (!between.insert(index).second)
      continue;
    for (ValueId id : graph.nodes[index].inputs)
      if (auto it = producers.find(id); it != producers.end())
        work.insert(it->second);
  }
  for (size_t index : between)
    for (ValueId id : graph.nodes[index].outputs)
      for (size_t reader : readers.count(id) ? readers.at(id) : std::vector<size_t>())
        if (reader != layer && !between.count(reader))
          return std::nullopt;
  result.nodes.assign(between.begin(), between.end());
  return result;
}

/// A new constant: others may share the old one.
llvm::Error Reconstruction::change(size_t layer, const Parameter &parameter, Tensor tensor) {
  ValueId id = stepper.addConstant(parameter.constant, "_fitted_" + graph.nodes[layer].name,
                                   std::move(tensor));
  for (size_t index : parameter.nodes) {
    llvm::replace(graph.nodes[index].inputs, parameter.constant, id);
    if (llvm::Error error = stepper.evaluate(index))
      return error;
  }
  llvm::replace(graph.nodes[layer].inputs, parameter.constant, id);
  return llvm::Error::success();
}

/// A bias with an element for each output channel, which is added as it is.
std::optional<Reconstruction::Parameter> Reconstruction::biasOf(size_t layer) const {
  const Node &node = graph.nodes[layer];
  std::optional<Parameter> bias = parameterOf(layer, 2);
  int64_t channels = graph.values[node.outputs[0]].shape()[1];
  if (!bias || stepper.value(0, bias->constant).shape() != ArrayRef<int64_t>(channels) ||
      node.getFloat("beta", 1) != 1)
    return std::nullopt;
  return bias;
}

llvm::Error Reconstruction::fit(size_t layer, ArrayRef<Tensor> results) {
  const Node &node = graph.nodes[layer];
  std::optional<Parameter> weights = parameterOf(layer, 1);
  bool hasBias = node.inputs.size() > 2 && node.inputs[2] != kNoValue;
  if (!weights || stepper.isConstant(node.inputs[0]) || (hasBias && !biasOf(layer)))
    return llvm::Error::success();
  std::vector<Tensor> inputs;
  for (size_t k = 0; k < stepper.samples(); ++k)
    inputs.push_back(stepper.value(k, node.inputs[0]));
  std::optional<Tensor> fitted =
      fitWeights(node, stepper.value(0, weights->constant), hasBias, inputs, results);
  return fitted ? change(layer, *weights, std::move(*fitted)) : llvm::Error::success();
}

llvm::Error Reconstruction::correctBias(size_t layer, ArrayRef<Tensor> results) {
  const Node &node = graph.nodes[layer];
  std::optional<Parameter> bias = biasOf(layer);
  if (!bias || stepper.isConstant(node.outputs[0]))
    return llvm::Error::success();
  std::vector<float> values = stepper.value(0, bias->constant).values<float>().vec();
  int64_t channels = static_cast<int64_t>(values.size());
  std::vector<double> shift(channels, 0);
  for (size_t k = 0; k < stepper.samples(); ++k) {
    std::vector<double> wanted = channelMeans(results[k]);
    std::vector<double> actual = channelMeans(stepper.value(k, node.outputs[0]));
    for (int64_t i = 0; i < channels; ++i)
      shift[i] += (wanted[i] - actual[i]) / static_cast<double>(stepper.samples());
  }
  for (int64_t i = 0; i < channels; ++i)
    if (std::isfinite(shift[i]))
      values[i] += static_cast<float>(shift[i]);
  if (llvm::Error error =
          change(layer, *bias, Tensor::of<float>(ElementType::Float32, {channels}, values)))
    return error;
  return stepper.evaluate(layer);
}

/// All but what makes floats of the integers.
void Reconstruction::foldConstants() {
  for (Node &node : graph.nodes) {
    if (node.opType == "DequantizeLinear" ||
        !llvm::all_of(node.outputs, [&](ValueId id) { return stepper.isConstant(id); }))
      continue;
    for (ValueId id : node.outputs)
      graph.constants[id] = stepper.value(0, id);
    node.opType.clear();
  }
  GraphEdit(graph, 0).finish();
}

Expected<std::vector<std::vector<Tensor>>> Reconstruction::run() {
  for (auto [index, node] : llvm::enumerate(graph.nodes)) {
    for (ValueId id : node.outputs)
      producers[id] = index;
    for (ValueId id : valuesRead(node))
      readers[id].push_back(index);
  }
  for (ValueId id : graph.outputs)
    readers[id].push_back(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    std::vector<Tensor> results;
    if (isLayer(graph, graph.nodes[n])) {
      auto taken = original.take(graph.nodes[n].name);
      if (!taken)
        return taken.takeError();
      results = std::move(*taken);
    }
    if (!results.empty())
      if (llvm::Error error = fit(n, results))
        return std::move(error);
    if (llvm::Error error = stepper.evaluate(n))
      return std::move(error);
    if (!results.empty())
      if (llvm::Error error = correctBias(n, results))
        return std::move(error);
    stepper.release(n);
  }
  std::vector<std::vector<Tensor>> outputs;
  for (size_t k = 0; k < stepper.samples(); ++k)
    outputs.push_back(stepper.outputs(k));
  foldConstants();
  return outputs;
}

Expected<std::vector<std::vector<Tensor>>>
npucc::reconstruct(Graph &quantized, const Graph &original, ArrayRef<std::vector<Tensor>> samples) {
  return Reconstruction(quantized, original, samples).run();
}
