//===- Fold.cpp - Nodes that preparation removes or evaluates -----------------===//

#include "runtime/onnx/Prepare.h"

#include "runtime/ops/Registry.h"
#include "runtime/reference/Reference.h"

#include <algorithm>

using namespace npucc;
using llvm::StringRef;

namespace {

/// A constant expression over more input than this is left to run time.
constexpr int64_t kMaxFoldedInput = int64_t(1) << 24;

/// So is one that takes more steps than this.
constexpr int64_t kMaxFoldedSteps = int64_t(1) << 28;

/// Multiply-accumulates of a node, or elements of all its pooling windows, padding included.
int64_t steps(const Graph &graph, const Node &node) {
  Shape pooled;
  for (int64_t size : node.getInts("kernel_shape"))
    pooled.push_back(std::max<int64_t>(size, 1));
  const Value *output = node.outputs[0] == kNoValue ? nullptr : &graph.values[node.outputs[0]];
  if (!pooled.empty() && output && output->isStatic())
    pooled.append(output->shape());
  return std::max(nodeMacs(graph, node), checkedElementCount(pooled).value_or(INT64_MAX));
}

/// Nodes that are never evaluated ahead: random ones, those with graphs, those whose work depends
/// on more than sizes (RoiAlign), and those that carry a model's quantisation. If small quantised
/// weights became floats and large ones did not, the compiler could no longer see what is
/// quantised.
bool neverFolded(const Node &node) {
  static const char *const list[] = {"RandomNormal",
                                     "RandomNormalLike",
                                     "RandomUniform",
                                     "RandomUniformLike",
                                     "Multinomial",
                                     "Bernoulli",
                                     "If",
                                     "Loop",
                                     "Scan",
                                     "DequantizeLinear",
                                     "QuantizeLinear",
                                     "RoiAlign"};
  return std::any_of(std::begin(list), std::end(list),
                     [&](const char *op) { return node.opType == op; });
}

} // namespace

//===----------------------------------------------------------------------===//
// Nodes that go away
//===----------------------------------------------------------------------===//

bool GraphPreparer::dropIdentity(const Node &node) {
  if (node.opType != "Identity" || node.inputs.size() != 1 || node.inputs[0] == kNoValue ||
      node.outputs.size() != 1)
    return false;
  ValueId from = node.inputs[0], to = node.outputs[0];
  if (to == kNoValue)
    return true;
  if (isOutput(to)) {
    // An output keeps its name. The value that takes its place is renamed, unless
    // it is an input, a constant or an output under a name of its own.
    produced.resize(graph.values.size(), false);
    if (!produced[from] || isOutput(from))
      return false;
    graph.values[from].name = graph.values[to].name;
    auto known = declared.find(to);
    if (graph.values[from].type == ElementType::Undefined && known != declared.end()) {
      graph.values[from].type = known->second.type;
      if (context.trustDeclared)
        graph.values[from].dims = known->second.dims;
    }
    std::replace(graph.outputs.begin(), graph.outputs.end(), to, from);
  }
  replacement.resize(graph.values.size(), kNoValue);
  replacement[to] = from;
  return true;
}

/// At inference Dropout passes its input on; the mask is all true.
bool GraphPreparer::dropDropout(const Node &node) {
  if (node.opType != "Dropout" || node.inputs.empty() || node.inputs[0] == kNoValue)
    return false;
  if (inputValue(node, 2)) {
    const Tensor *training = constantInput(node, 2);
    if (!training || training->size() != 1 || training->asInt(0))
      return false;
  }
  std::vector<Node> made;
  NodeSink sink = sinkToWork(made);
  if (node.outputs.size() > 1 && node.outputs[1] != kNoValue) {
    ValueId shape = sink.emit("Shape", node.name + "/shape", {node.inputs[0]});
    Node mask;
    mask.name = context.names.unique(node.name + "/mask");
    mask.opType = "ConstantOfShape";
    mask.inputs = {shape};
    mask.outputs = {node.outputs[1]};
    bool yes = true;
    mask.attributes["value"] = {Tensor::of<bool>(ElementType::Bool, {1}, yes)};
    made.push_back(std::move(mask));
  }
  if (!node.outputs.empty() && node.outputs[0] != kNoValue) {
    Node identity;
    identity.name = node.name;
    identity.opType = "Identity";
    identity.inputs = {node.inputs[0]};
    identity.outputs = {node.outputs[0]};
    made.push_back(std::move(identity));
  }
  work.insert(work.begin(), std::make_move_iterator(made.begin()),
              std::make_move_iterator(made.end()));
  return true;
}

/// Shape and Size need the shape of their input only.
bool GraphPreparer::foldShape(const Node &node) {
  bool size = node.opType == "Size";
  const Value *input = inputValue(node, 0);
  if ((!size && node.opType != "Shape") || !input || !input->isStatic() ||
      node.outputs.size() != 1 || node.outputs[0] == kNoValue)
    return false;
  Shape shape = input->shape();
  if (size) {
    makeConstant(node.outputs[0], Tensor::of<int64_t>(ElementType::Int64, {},
                                                      checkedElementCount(shape).value_or(0)));
    return true;
  }
  auto rank = static_cast<int64_t>(shape.size());
  auto position = [&](StringRef name, int64_t fallback) {
    int64_t at = node.getInt(name, fallback);
    return std::clamp(at < 0 ? at + rank : at, int64_t(0), rank);
  };
  int64_t start = position("start", 0), end = std::max(position("end", rank), start);
  llvm::ArrayRef<int64_t> part = llvm::ArrayRef<int64_t>(shape).slice(start, end - start);
  makeConstant(node.outputs[0], Tensor::of<int64_t>(ElementType::Int64, {end - start}, part));
  return true;
}

/// A constant of any size under another shape costs nothing.
bool GraphPreparer::foldView(const Node &node) {
  static const char *const views[] = {"Reshape", "Squeeze", "Unsqueeze", "Flatten"};
  if (std::none_of(std::begin(views), std::end(views),
                   [&](const char *op) { return node.opType == op; }))
    return false;
  const Tensor *constant = constantInput(node, 0);
  const Value &output = graph.values[node.outputs[0]];
  if (!constant || !output.isStatic() || checkedElementCount(output.shape()) != constant->size())
    return false;
  makeConstant(node.outputs[0], constant->reshaped(output.shape()));
  return true;
}

/// Results without elements need no computing, and the compiler does not want to.
bool GraphPreparer::foldEmpty(const Node &node) {
  bool any = false;
  for (ValueId id : node.outputs) {
    if (id == kNoValue)
      continue;
    const Value &output = graph.values[id];
    if (!output.isStatic() || checkedElementCount(output.shape()) != 0 ||
        bitWidth(output.type) == 0)
      return false;
    any = true;
  }
  if (!any)
    return false;
  for (ValueId id : node.outputs)
    if (id != kNoValue)
      makeConstant(id, Tensor::zeros(graph.values[id].type, graph.values[id].shape()));
  return true;
}

bool GraphPreparer::foldConstant(const Node &node) {
  if (!node.domain.empty() || neverFolded(node))
    return false;
  const OpInfo *info = findOp(node.domain, node.opType);
  if (!info || !info->kernel)
    return false;
  std::vector<Tensor> inputs;
  int64_t elements = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Tensor *constant = constantInput(node, i);
    if (!constant && node.inputs[i] != kNoValue)
      return false;
    inputs.push_back(constant ? *constant : Tensor());
    elements += inputs.back().size();
  }
  bool known = true;
  for (ValueId id : node.outputs)
    if (id != kNoValue) {
      const Value &output = graph.values[id];
      if (!output.isStatic())
        known = false;
      else if (checkedElementCount(output.shape()).value_or(INT64_MAX) > kMaxFoldedElements)
        return false;
    }
  if (known && steps(graph, node) > kMaxFoldedSteps)
    return false;
  // Where the size of the result is not known beforehand, it must not be able to
  // get large.
  if (elements > (known ? kMaxFoldedInput : kMaxFoldedElements))
    return false;
  if (!known && (node.opType == "Range" || node.opType == "ConstantOfShape" ||
                 node.opType == "Expand" || node.opType == "Tile"))
    return false;

  // What cannot be evaluated now is reported, with its inputs, when it runs.
  auto results = evaluateNode(node, inputs);
  if (!results) {
    llvm::consumeError(results.takeError());
    return false;
  }
  if (results->size() < node.outputs.size())
    return false;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoValue && !(*results)[i].defined())
      return false;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoValue)
      makeConstant(node.outputs[i], std::move((*results)[i]));
  return true;
}

/// With the type known, CastLike is a Cast, or a constant.
bool GraphPreparer::resolveCastLike(Node &node) {
  const Value *like = inputValue(node, 1);
  if (node.opType != "CastLike" || !like || like->type == ElementType::Undefined ||
      node.outputs[0] == kNoValue)
    return false;
  const Tensor *constant = constantInput(node, 0);
  if (constant && constant->size() <= kMaxFoldedElements &&
      constant->type() != ElementType::String && like->type != ElementType::String &&
      !isOutput(node.outputs[0])) {
    makeConstant(node.outputs[0], castTensor(*constant, like->type));
    return true;
  }
  node.opType = "Cast";
  node.inputs.resize(1);
  node.attributes["to"] = {static_cast<int64_t>(like->type)};
  return false;
}
