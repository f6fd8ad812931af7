//===- FoldBatchNorm.cpp - Per-channel factors into weights ---------------===//
//
// B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
// Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2 (equation 14).
//
//===----------------------------------------------------------------------===//
#include "runtime/quantize/FoldBatchNorm.h"

#include "runtime/onnx/Errors.h"
#include "runtime/quantize/GraphEdit.h"

#include "llvm/ADT/STLExtras.h"

using namespace npucc;

namespace {

/// y * factor + offset on each channel; kNoValue: 1 and 0. Both are one-dimensional.
struct Affine {
  ValueId factor = kNoValue, offset = kNoValue;
};

class Folder {
public:
  Folder(Graph &graph, int64_t foldLimit) : edit(graph, foldLimit), graph(graph) {}

  llvm::Expected<std::vector<std::string>> run();

private:
  bool isLinear(const Node &node) const;
  int64_t channelCount(const Node &node) const;
  bool canAbsorb(const Node &linear, const Node &next) const;
  /// A constant operand as one value per channel, or kNoValue when it is not.
  llvm::Expected<ValueId> perChannel(ValueId id, const Node &linear);
  llvm::Expected<std::optional<Affine>> affineOf(const Node &node, ValueId activation,
                                                 const Node &linear);
  llvm::Expected<Affine> batchNorm(const Node &node);
  llvm::Error apply(int linear, const Affine &affine);
  llvm::Expected<ValueId> scaledWeights(const Node &node, ValueId weights, ValueId factor);

  llvm::Expected<ValueId> binary(const llvm::Twine &name, llvm::StringRef op, ValueId a,
                                 ValueId b) {
    Shape shape = graph.values[graph.values[a].dims->empty() ? b : a].shape();
    return edit.addNode(name, op, {a, b}, graph.values[a].type, shape);
  }
  llvm::Expected<ValueId> reshape(const llvm::Twine &name, ValueId id, const Shape &shape) {
    if (graph.values[id].shape() == shape)
      return id;
    return edit.addNode(name, "Reshape", {id, edit.addInts(name + "_shape", shape)},
                        graph.values[id].type, shape);
  }

  GraphEdit edit;
  Graph &graph;
};

} // namespace

bool Folder::isLinear(const Node &node) const {
  if (!node.domain.empty() || node.inputs.size() < 2 || node.outputs.empty() ||
      node.outputs[0] == kNoValue || !edit.isConstant(node.inputs[1]) ||
      edit.isConstant(node.inputs[0]) || !graph.values[node.inputs[1]].isStatic() ||
      !graph.values[node.outputs[0]].isStatic())
    return false;
  if (node.opType == "MatMul")
    return graph.values[node.inputs[1]].dims->size() == 2;
  return node.opType == "Conv" || node.opType == "ConvTranspose" || node.opType == "Gemm";
}

int64_t Folder::channelCount(const Node &node) const {
  Shape output = graph.values[node.outputs[0]].shape();
  return node.opType == "MatMul" ? output.back() : output[1];
}

/// Only MatMul has no bias to take an offset; its factor goes into the weights.
bool Folder::canAbsorb(const Node &linear, const Node &next) const {
  if (!next.domain.empty() || next.opType.empty())
    return false;
  if (linear.opType == "MatMul")
    return next.opType == "Mul" || next.opType == "Div";
  return llvm::is_contained({"BatchNormalization", "Mul", "Div", "Add", "Sub"}, next.opType);
}

llvm::Expected<ValueId> Folder::perChannel(ValueId id, const Node &linear) {
  if (!edit.isConstant(id) || !graph.values[id].isStatic() ||
      graph.values[id].type != graph.values[linear.outputs[0]].type)
    return kNoValue;
  Shape shape = graph.values[id].shape();
  size_t rank = graph.values[linear.outputs[0]].dims->size();
  size_t channelAxis = linear.opType == "MatMul" ? rank - 1 : 1;
  int64_t channels = channelCount(linear);
  if (shape.size() > rank)
    return kNoValue;
  int64_t count = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    size_t axis = rank - shape.size() + i;
    if (shape[i] != 1 && (axis != channelAxis || shape[i] != channels))
      return kNoValue;
    count *= shape[i];
  }
  std::string name = graph.values[id].name + "_channels";
  llvm::Expected<ValueId> flat = reshape(name, id, {count});
  if (!flat || count == channels)
    return flat;
  return edit.addNode(name, "Expand", {*flat, edit.addInts(name + "_shape", {channels})},
                      graph.values[id].type, {channels});
}

/// f = scale / sqrt(variance + epsilon), a = bias - mean f.
llvm::Expected<Affine> Folder::batchNorm(const Node &node) {
  ElementType type = graph.values[node.inputs[1]].type;
  llvm::StringRef name = node.name;
  ValueId epsilon =
      edit.addFloats(name + "_epsilon", type, {}, {node.getFloat("epsilon", 1e-5f)});
  Affine result;
  llvm::Expected<ValueId> value = binary(name + "_stable", "Add", node.inputs[4], epsilon);
  if (value)
    value = edit.addNode(name + "_deviation", "Sqrt", {*value}, type,
                         graph.values[*value].shape());
  if (value)
    value = binary(name + "_factor", "Div", node.inputs[1], *value);
  if (!value)
    return value.takeError();
  result.factor = *value;
  value = binary(name + "_shift", "Mul", node.inputs[3], result.factor);
  if (value)
    value = binary(name + "_offset", "Sub", node.inputs[2], *value);
  if (!value)
    return value.takeError();
  result.offset = *value;
  return result;
}

llvm::Expected<std::optional<Affine>> Folder::affineOf(const Node &node, ValueId activation,
                                                       const Node &linear) {
  if (node.opType == "BatchNormalization") {
    ElementType type = graph.values[linear.inputs[1]].type;
    bool simple = node.getInt("training_mode", 0) == 0 && node.inputs.size() == 5 &&
                  llvm::count_if(node.outputs, [](ValueId id) { return id != kNoValue; }) == 1;
    for (size_t i = 1; simple && i < 5; ++i)
      simple = edit.isConstant(node.inputs[i]) && graph.values[node.inputs[i]].type == type &&
               graph.values[node.inputs[i]].isStatic();
    if (!simple || node.inputs[0] != activation)
      return std::nullopt;
    llvm::Expected<Affine> result = batchNorm(node);
    if (!result)
      return result.takeError();
    return *result;
  }

  bool first = node.inputs[0] == activation;
  if (!first && (node.opType == "Sub" || node.opType == "Div"))
    return std::nullopt;
  llvm::Expected<ValueId> value = perChannel(node.inputs[first ? 1 : 0], linear);
  if (!value)
    return value.takeError();
  if (*value == kNoValue)
    return std::nullopt;
  ElementType type = graph.values[*value].type;
  if (node.opType == "Sub")
    value = edit.addNode(node.name + "_offset", "Neg", {*value}, type,
                         graph.values[*value].shape());
  else if (node.opType == "Div")
    value = edit.addNode(node.name + "_factor", "Reciprocal", {*value}, type,
                         graph.values[*value].shape());
  if (!value)
    return value.takeError();
  bool isOffset = node.opType == "Add" || node.opType == "Sub";
  return isOffset ? Affine{kNoValue, *value} : Affine{*value, kNoValue};
}

llvm::Expected<ValueId> Folder::scaledWeights(const Node &node, ValueId weights, ValueId factor) {
  Shape shape = graph.values[weights].shape(), broadcast(shape.size(), 1);
  int64_t channels = graph.values[factor].shape()[0];
  std::string name = graph.values[weights].name + "_folded";
  int64_t groups = node.getInt("group", 1);
  if (node.opType == "ConvTranspose" && groups > 1) {
    // [C, M/g, k...]: channel m of group i stands in rows of that group only.
    Shape split = {groups, shape[0] / groups};
    split.append(shape.begin() + 1, shape.end());
    Shape factors(split.size(), 1);
    factors[0] = groups;
    factors[2] = shape[1];
    llvm::Expected<ValueId> a = reshape(name + "_split", weights, split);
    llvm::Expected<ValueId> b = reshape(name + "_factor", factor, factors);
    if (!a || !b)
      return llvm::joinErrors(a.takeError(), b.takeError());
    llvm::Expected<ValueId> product = binary(name + "_product", "Mul", *a, *b);
    if (!product)
      return product;
    return reshape(name, *product, shape);
  }
  size_t axis = 0;
  if (node.opType == "ConvTranspose" || node.opType == "MatMul")
    axis = 1;
  else if (node.opType == "Gemm")
    axis = node.getInt("transB", 0) ? 0 : 1;
  broadcast[axis] = channels;
  llvm::Expected<ValueId> factors = reshape(name + "_factor", factor, broadcast);
  if (!factors)
    return factors;
  return binary(name, "Mul", weights, *factors);
}

llvm::Error Folder::apply(int index, const Affine &affine) {
  // Copies: adding nodes moves graph.nodes.
  Node node = graph.nodes[index];
  bool isGemm = node.opType == "Gemm";
  ElementType type = graph.values[node.inputs[1]].type;
  if (affine.factor != kNoValue) {
    llvm::Expected<ValueId> weights = scaledWeights(node, node.inputs[1], affine.factor);
    if (!weights)
      return weights.takeError();
    node.inputs[1] = *weights;
  }
  if (node.opType != "MatMul") {
    node.inputs.resize(3, kNoValue);
    llvm::StringRef name = node.name;
    llvm::Expected<ValueId> bias = node.inputs[2];
    if (*bias != kNoValue && isGemm && node.getFloat("beta", 1.0f) != 1.0f)
      bias = binary(name + "_bias_scaled", "Mul", *bias,
                    edit.addFloats(name + "_beta", type, {}, {node.getFloat("beta", 1.0f)}));
    if (bias && *bias != kNoValue && affine.factor != kNoValue)
      bias = binary(name + "_bias_scaled", "Mul", *bias, affine.factor);
    if (bias && affine.offset != kNoValue)
      bias = *bias == kNoValue ? affine.offset
                               : binary(name + "_bias_folded", "Add", *bias, affine.offset);
    if (!bias)
      return bias.takeError();
    node.inputs[2] = *bias;
    if (isGemm)
      node.attributes.erase("beta");
  }
  if (node.inputs.back() == kNoValue)
    node.inputs.pop_back();
  graph.nodes[index] = std::move(node);
  return llvm::Error::success();
}

llvm::Expected<std::vector<std::string>> Folder::run() {
  std::vector<std::string> folded;
  size_t count = graph.nodes.size();
  for (size_t i = 0; i < count; ++i) {
    if (!isLinear(graph.nodes[i]))
      continue;
    // Several in a row: Conv, Mul, Add.
    while (true) {
      ValueId output = graph.nodes[i].outputs[0];
      if (edit.isGraphOutput(output) || edit.users(output).size() != 1)
        break;
      int next = edit.users(output)[0];
      Node node = graph.nodes[next]; // a copy: adding nodes moves graph.nodes
      if (node.outputs.empty() || node.outputs[0] == kNoValue) // GRU with the last state only
        break;
      Node linear = graph.nodes[i];
      if (!canAbsorb(linear, node) || llvm::count(node.inputs, output) != 1 ||
          !graph.values[node.outputs[0]].isStatic() ||
          graph.values[node.outputs[0]].shape() != graph.values[output].shape())
        break;
      if (linear.inputs.size() > 2 && linear.inputs[2] != kNoValue) {
        if (!edit.isConstant(linear.inputs[2]))
          break;
        // A Gemm's C may be any matrix; only a per-channel one can be folded.
        if (linear.opType == "Gemm") {
          llvm::Expected<ValueId> bias = perChannel(linear.inputs[2], linear);
          if (!bias)
            return bias.takeError();
          if (*bias == kNoValue)
            break;
          graph.nodes[i].inputs[2] = *bias;
        }
      }
      llvm::Expected<std::optional<Affine>> affine = affineOf(node, output, linear);
      if (!affine)
        return affine.takeError();
      if (!*affine)
        break;
      if (llvm::Error error = apply(static_cast<int>(i), **affine))
        return error;
      graph.nodes[i].outputs[0] = node.outputs[0];
      graph.nodes[next].opType.clear();
      folded.push_back(node.name);
    }
  }
  edit.finish();
  return folded;
}

llvm::Expected<std::vector<std::string>> npucc::foldBatchNorm(Model &model, int64_t foldLimit) {
  return Folder(model.graph, foldLimit).run();
}
