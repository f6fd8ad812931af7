//===- Quantize.cpp - Float graphs to int8 with Q/DQ pairs ----------------===//
#include "runtime/quantize/Quantize.h"

#include "runtime/onnx/Errors.h"
#include "runtime/onnx/Loader.h"
#include "runtime/ops/Registry.h"
#include "runtime/quantize/Plan.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>

using namespace npucc;

namespace {

/// Scale and zero point of a uint8 tensor.
struct Grid {
  ValueId scale = kNoValue, zeroPoint = kNoValue;
  float scaleValue = 1;
};

class Quantizer {
public:
  Quantizer(Model &model, const QuantizeOptions &options)
      : options(options), edit(model.graph, options.foldLimit), graph(model.graph),
        plan(planQuantization(edit, options)) {}

  llvm::Expected<QuantizeReport> run();

private:
  void report();
  Range rangeOf(ValueId id);
  const Grid &gridOf(ValueId id);
  void quantizeActivation(ValueId id);
  llvm::Error quantizeParameters(int index);
  struct Weights {
    ValueId value, scale;
  };
  llvm::Expected<Weights> quantizeWeights(ValueId id, int64_t axis, ValueId bias,
                                          float inputScale);
  llvm::Expected<ValueId> quantizeBias(ValueId id, ValueId weightScale, ValueId inputScale,
                                       llvm::StringRef name);
  bool isByteWeight(ValueId id) const;
  int64_t channelAxis(const Node &node, int input) const;
  bool isIntegerBias(const Node &node, bool perChannel) const;

  const QuantizeOptions &options;
  GraphEdit edit;
  Graph &graph;
  QuantPlan plan;
  std::map<ValueId, Range> hulls; ///< of the values that share a grid
  std::map<ValueId, Grid> grids;  ///< by representative
  std::map<std::pair<ValueId, int64_t>, Weights> sharedWeights;
  QuantizeReport result;
};

} // namespace

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

Range Quantizer::rangeOf(ValueId id) { return valueRange(edit, options, id); }

const Grid &Quantizer::gridOf(ValueId id) {
  ValueId key = plan.gridOf[id];
  auto [it, isNew] = grids.try_emplace(key);
  if (!isNew)
    return it->second;
  Range range = hulls[key];
  ElementType type = graph.values[id].type;
  float scale = range.high > range.low ? (range.high - range.low) / 255 : 1.0f;
  scale = std::max(scale, type == ElementType::Float16 ? 1e-6f : 1e-30f);
  // By value: adding values moves graph.values.
  std::string name = graph.values[key].name;
  it->second.scale = edit.addFloats(name + "_scale", type, {}, {scale});
  scale = static_cast<float>(graph.constants[it->second.scale].asDouble(0)); // as rounded
  double zero = std::clamp(std::nearbyint(-range.low / scale), 0.0f, 255.0f);
  it->second.zeroPoint =
      edit.addConstant(name + "_zero_point",
                       Tensor::of<uint8_t>(ElementType::Uint8, {}, {static_cast<uint8_t>(zero)}));
  it->second.scaleValue = scale;
  return it->second;
}

void Quantizer::quantizeActivation(ValueId id) {
  Grid grid = gridOf(id);
  std::string name = graph.values[id].name;
  ElementType type = graph.values[id].type;
  Shape shape = graph.values[id].shape();
  int producer = edit.producer(id);
  bool renames = producer >= 0 && plan.roles[producer] != QuantRole::None;

  // The dequantised value takes the place of the float one: for all readers where an
  // 8-bit operator wrote it, else only for the 8-bit readers.
  ValueId source = id, target = id;
  if (renames) {
    source = edit.addValue(name + "_float", type, shape);
    llvm::replace(graph.nodes[producer].outputs, id, source);
  } else {
    target = edit.addValue(name + "_dequantized", type, shape);
    for (int user : edit.users(id)) {
      if (user >= static_cast<int>(plan.roles.size()) || plan.roles[user] == QuantRole::None)
        continue;
      auto &inputs = graph.nodes[user].inputs;
      size_t count = plan.roles[user] == QuantRole::Matrix ? 2 : inputs.size();
      std::replace(inputs.begin(), inputs.begin() + count, id, target);
    }
  }
  ValueId bytes = edit.addValue(name + "_quantized", ElementType::Uint8, shape);
  edit.addNodeInto(name + "_QuantizeLinear", "QuantizeLinear",
                   {source, grid.scale, grid.zeroPoint}, bytes);
  edit.addNodeInto(name + "_DequantizeLinear", "DequantizeLinear",
                   {bytes, grid.scale, grid.zeroPoint}, target);
}

//===----------------------------------------------------------------------===//
// Weights and biases
//===----------------------------------------------------------------------===//

/// Weights that the file itself keeps in 8 bits stay as they are.
bool Quantizer::isByteWeight(ValueId id) const {
  int producer = edit.producer(id);
  if (producer < 0 || graph.nodes[producer].opType != "DequantizeLinear")
    return false;
  ElementType type = graph.values[graph.nodes[producer].inputs[0]].type;
  return type == ElementType::Int8 || type == ElementType::Uint8;
}

/// The axis of a constant operand along which the output channels lie; -1: one scale
/// for all of it.
int64_t Quantizer::channelAxis(const Node &node, int input) const {
  size_t rank = graph.values[node.inputs[input]].dims->size();
  if (input == 0)
    return -1;
  if (node.opType == "Conv")
    return 0;
  if (node.opType == "ConvTranspose") // in groups, a slice serves several channels
    return node.getInt("group", 1) == 1 ? 1 : -1;
  if (node.opType == "Gemm")
    return node.getInt("transB", 0) ? 0 : 1;
  return rank == 2 ? 1 : -1;
}

llvm::Expected<Quantizer::Weights> Quantizer::quantizeWeights(ValueId id, int64_t axis,
                                                              ValueId bias, float inputScale) {
  auto key = std::make_pair(id, axis);
  if (auto it = sharedWeights.find(key); bias == kNoValue && it != sharedWeights.end())
    return it->second;
  std::string name = graph.values[id].name;
  ElementType type = graph.values[id].type;
  Shape shape = graph.values[id].shape(), scales, axes;
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i)
    if (i != axis)
      axes.push_back(i);
  if (axis >= 0)
    scales.push_back(shape[axis]);

  // scale = max(|W|, what keeps the bias in int32, tiny) / 127
  llvm::Expected<ValueId> value = edit.addNode(name + "_abs", "Abs", {id}, type, shape);
  if (value && !axes.empty())
    value = edit.addNode(name + "_max", "ReduceMax", {*value, edit.addInts(name + "_axes", axes)},
                         type, scales, {{"keepdims", Attribute{int64_t(0)}}});
  if (!value)
    return value.takeError();
  ValueId tiny = edit.addFloats(name + "_tiny", type, {},
                                {type == ElementType::Float16 ? 1e-4f : 1e-12f});
  llvm::SmallVector<ValueId, 3> bounds = {*value, tiny};
  if (bias != kNoValue) {
    std::string biasName = graph.values[bias].name;
    value = edit.addNode(biasName + "_abs", "Abs", {bias}, type, scales);
    if (value)
      value = edit.addNode(
          biasName + "_bound", "Mul",
          {*value, edit.addFloats(biasName + "_factor", type, {}, {127 / inputScale / (1 << 30)})},
          type, scales);
    if (!value)
      return value.takeError();
    bounds.push_back(*value);
  }
  value = edit.addNode(name + "_bound", "Max", bounds, type, scales);
  if (value)
    value = edit.addNode(name + "_scale", "Div",
                         {*value, edit.addFloats(name + "_steps", type, {}, {127})}, type, scales);
  if (!value)
    return value.takeError();

  Weights weights{kNoValue, *value};
  ValueId zero = edit.addConstant(name + "_zero_point", Tensor::zeros(ElementType::Int8, scales));
  GraphEdit::Attributes attributes;
  if (axis >= 0)
    attributes["axis"] = Attribute{axis};
  value = edit.addNode(name + "_quantized", "QuantizeLinear", {id, weights.scale, zero},
                       ElementType::Int8, shape, attributes);
  if (!value)
    return value.takeError();
  weights.value = edit.addValue(name + "_dequantized", type, shape);
  edit.addNodeInto(name + "_DequantizeLinear", "DequantizeLinear", {*value, weights.scale, zero},
                   weights.value, attributes);
  if (bias == kNoValue)
    sharedWeights[key] = weights;
  return weights;
}

/// Whether a bias can be an int32 vector with one scale per output channel.
bool Quantizer::isIntegerBias(const Node &node, bool perChannel) const {
  if (node.opType == "MatMul" || node.inputs.size() < 3 || !edit.isConstant(node.inputs[2]))
    return false;
  const Value &bias = graph.values[node.inputs[2]];
  int64_t channels = graph.values[node.outputs[0]].shape()[1];
  return perChannel && bias.type == ElementType::Float32 && bias.isStatic() &&
         bias.shape() == Shape{channels} && node.getFloat("alpha", 1.0f) == 1.0f &&
         node.getFloat("beta", 1.0f) == 1.0f;
}

llvm::Expected<ValueId> Quantizer::quantizeBias(ValueId id, ValueId weightScale,
                                                ValueId inputScale, llvm::StringRef nodeName) {
  // The layer's own name: layers that share a bias have their own scales.
  std::string name = (nodeName + "_bias").str();
  Shape shape = graph.values[id].shape();
  ElementType type = graph.values[id].type;
  llvm::Expected<ValueId> scale =
      edit.addNode(name + "_scale", "Mul", {weightScale, inputScale}, type, shape);
  if (!scale)
    return scale;
  llvm::Expected<ValueId> value = edit.addNode(name + "_steps", "Div", {id, *scale}, type, shape);
  if (value)
    value = edit.addNode(name + "_round", "Round", {*value}, type, shape);
  if (value)
    value = edit.addNode(name + "_quantized", "Cast", {*value}, ElementType::Int32, shape,
                         {{"to", Attribute{static_cast<int64_t>(ElementType::Int32)}}});
  if (!value)
    return value;
  ValueId result = edit.addValue(name + "_dequantized", type, shape);
  edit.addNodeInto(name + "_DequantizeLinear", "DequantizeLinear", {*value, *scale}, result,
                   {{"axis", Attribute{int64_t(0)}}});
  return result;
}

llvm::Error Quantizer::quantizeParameters(int index) {
  Node node = graph.nodes[index]; // a copy: adding nodes moves graph.nodes
  for (int input = 0; input < 2; ++input) {
    ValueId id = node.inputs[input];
    if (!edit.isConstant(id) || isByteWeight(id))
      continue;
    int64_t axis = channelAxis(node, input);
    bool integerBias = input == 1 && isIntegerBias(node, axis >= 0);
    Grid grid;
    if (integerBias)
      grid = gridOf(node.inputs[0]);
    llvm::Expected<Weights> weights =
        quantizeWeights(id, axis, integerBias ? node.inputs[2] : kNoValue, grid.scaleValue);
    if (!weights)
      return weights.takeError();
    node.inputs[input] = weights->value;
    if (integerBias) {
      llvm::Expected<ValueId> bias =
          quantizeBias(node.inputs[2], weights->scale, grid.scale, node.name);
      if (!bias)
        return bias.takeError();
      node.inputs[2] = *bias;
    }
  }
  graph.nodes[index].inputs = node.inputs;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// The whole graph
//===----------------------------------------------------------------------===//

void Quantizer::report() {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node &node = graph.nodes[i];
    const OpInfo *info = findOp(node.domain, node.opType);
    if (!info || !info->macs)
      continue;
    auto types = [&](const std::vector<ValueId> &ids) {
      llvm::SmallVector<const Value *, 8> values;
      for (ValueId id : ids)
        values.push_back(id == kNoValue ? nullptr : &graph.values[id]);
      return values;
    };
    bool isStatic = llvm::all_of(node.inputs, [&](ValueId id) {
      return id == kNoValue || graph.values[id].isStatic();
    });
    int64_t macs = isStatic ? info->macs(node, types(node.inputs), types(node.outputs)) : 0;
    if (plan.roles[i] == QuantRole::Matrix) {
      result.quantizedMacs += macs;
      result.quantizedNodes.emplace_back(node.name, macs);
    } else if (macs)
      result.floatNodes.push_back(node.name);
  }
  result.macs = countMacs(graph);
}

llvm::Expected<QuantizeReport> Quantizer::run() {
  report();
  size_t nodeCount = graph.nodes.size(), valueCount = graph.values.size();
  for (size_t id = 0; id < valueCount; ++id)
    if (plan.quantized[id]) {
      Range range = rangeOf(static_cast<ValueId>(id));
      auto [it, isNew] = hulls.try_emplace(plan.gridOf[id], range);
      it->second = {std::min(it->second.low, range.low), std::max(it->second.high, range.high)};
    }
  // Weights first, while nodes still name the activations whose grids biases need.
  for (size_t i = 0; i < nodeCount; ++i)
    if (plan.roles[i] == QuantRole::Matrix)
      if (llvm::Error error = quantizeParameters(static_cast<int>(i)))
        return error;
  for (size_t id = 0; id < valueCount; ++id)
    if (plan.quantized[id])
      quantizeActivation(static_cast<ValueId>(id));
  edit.finish();
  return result;
}

llvm::Expected<QuantizeReport> npucc::quantizeGraph(Model &model,
                                                    const QuantizeOptions &options) {
  return Quantizer(model, options).run();
}
