//===- Prepare.cpp - Infers, folds and simplifies -----------------------------===//

#include "runtime/onnx/Prepare.h"

#include "runtime/onnx/Errors.h"
#include "runtime/ops/Registry.h"
#include "runtime/tensor/TensorLimit.h"

#include <algorithm>

using namespace npucc;

namespace {

void setShape(Value &value, llvm::ArrayRef<int64_t> shape) {
  value.dims.emplace();
  for (int64_t size : shape)
    value.dims->push_back({size, ""});
}

} // namespace

bool npucc::isPlausible(llvm::ArrayRef<Dim> dims) {
  Shape known;
  for (const Dim &dim : dims)
    known.push_back(dim.size < 0 ? 1 : dim.size);
  std::optional<int64_t> count = checkedElementCount(known);
  return count && *count <= kMaxElements;
}

std::string npucc::nodePrefix(const Node &node) {
  std::string op = quoted(node.opType);
  return "node " + quoted(node.name) + " (" + op.substr(1, op.size() - 2) + "): ";
}

//===----------------------------------------------------------------------===//
// Small helpers
//===----------------------------------------------------------------------===//

const Tensor *GraphPreparer::constantInput(const Node &node, size_t i) const {
  return i < node.inputs.size() && node.inputs[i] != kNoValue ? graph.constant(node.inputs[i])
                                                              : nullptr;
}

const Value *GraphPreparer::inputValue(const Node &node, size_t i) const {
  return i < node.inputs.size() && node.inputs[i] != kNoValue ? &graph.values[node.inputs[i]]
                                                              : nullptr;
}

void GraphPreparer::makeConstant(ValueId id, Tensor tensor) {
  graph.values[id].type = tensor.type();
  setShape(graph.values[id], tensor.shape());
  graph.constants[id] = std::move(tensor);
}

bool GraphPreparer::isOutput(ValueId id) const {
  return std::find(graph.outputs.begin(), graph.outputs.end(), id) != graph.outputs.end();
}

void GraphPreparer::resolveInputs(Node &node) {
  replacement.resize(graph.values.size(), kNoValue);
  auto resolve = [&](ValueId &id) {
    if (id != kNoValue && replacement[id] != kNoValue)
      id = replacement[id];
  };
  for (ValueId &id : node.inputs)
    resolve(id);
  for (auto &[name, attribute] : node.attributes)
    if (auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) {
      // Subgraphs are shared between copies of a model: never change one in place.
      auto copy = std::make_shared<Graph>(**inner);
      for (auto &capture : copy->captures)
        resolve(capture.second);
      *inner = std::move(copy);
    }
}

/// Binary operators of opset 6 with an `axis`: the second operand gets dimensions
/// of 1 at its end, then numpy's rule does the same.
llvm::Expected<bool> GraphPreparer::alignOldBroadcast(Node &node) {
  static const char *const list[] = {"Add", "Sub", "Mul",     "Div",  "Pow",   "And",
                                     "Or",  "Xor", "Greater", "Less", "Equal", "PRelu"};
  if (!node.has("axis") || std::none_of(std::begin(list), std::end(list),
                                        [&](const char *op) { return node.opType == op; }))
    return false;
  const Value *a = inputValue(node, 0), *b = inputValue(node, 1);
  if (!a || !b || !a->dims || !b->dims)
    return makeError("{0}broadcasting by 'axis' needs operands of known rank", nodePrefix(node));
  auto rankA = static_cast<int64_t>(a->dims->size()), rankB = static_cast<int64_t>(b->dims->size());
  int64_t axis = node.getInt("axis", 0);
  axis = axis < 0 ? axis + rankA : axis;
  node.attributes.erase("axis");
  if (axis < 0 || axis > rankA || axis + rankB >= rankA)
    return false; // nothing to add; whether the shapes fit shows later
  Shape axes;
  for (int64_t d = rankB; d < rankA - axis; ++d)
    axes.push_back(d);
  std::vector<Node> made;
  NodeSink sink = sinkToWork(made);
  ValueId where = sink.addConstant(
      node.name + "/axes",
      Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(axes.size())}, axes));
  node.inputs[1] = sink.emit("Unsqueeze", node.name + "/unsqueeze", {node.inputs[1], where});
  work.push_front(std::move(node));
  work.push_front(std::move(made[0]));
  return true;
}

//===----------------------------------------------------------------------===//
// Types and shapes
//===----------------------------------------------------------------------===//

void GraphPreparer::useDeclared(const Node &node) {
  for (ValueId id : node.outputs) {
    auto it = declared.find(id);
    if (id == kNoValue || it == declared.end())
      continue;
    graph.values[id].type = it->second.type;
    if (context.trustDeclared)
      graph.values[id].dims = it->second.dims;
  }
}

llvm::Error GraphPreparer::infer(const Node &node) {
  const OpInfo *info = findOp(node.domain, node.opType);
  bool typed = true;
  std::vector<const Value *> inputs;
  std::vector<const Tensor *> constants;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    inputs.push_back(inputValue(node, i));
    constants.push_back(constantInput(node, i));
    typed &= !inputs.back() || inputs.back()->type != ElementType::Undefined;
  }
  if (!info || !info->infer || !typed) {
    useDeclared(node); // an operator that nobody here knows, or one behind it
    return llvm::Error::success();
  }

  std::vector<Value> outputs(node.outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i)
    if (node.outputs[i] != kNoValue)
      outputs[i].name = graph.values[node.outputs[i]].name;
  InferContext rule{node, inputs, constants, outputs};
  if (llvm::Error error = info->infer(rule)) {
    if (!lenient)
      return prefixed(std::move(error), nodePrefix(node));
    llvm::consumeError(std::move(error));
    useDeclared(node);
    return llvm::Error::success();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue)
      continue;
    Value &value = graph.values[node.outputs[i]];
    value.type = outputs[i].type;
    value.dims = std::move(outputs[i].dims);
    if (!value.dims)
      continue;
    for (Dim &dim : *value.dims)
      dim.size = std::max<int64_t>(dim.size, -1);
    if (isPlausible(*value.dims))
      continue;
    if (!lenient)
      return makeError("{0}its output {1} is too large", nodePrefix(node), quoted(value.name));
    value.dims.reset();
  }
  return llvm::Error::success();
}

/// A constant shape of a file made for batch 1 may have to grow with the batch. In
/// the input the batch multiplies one dimension, as its outermost factor; in the
/// output it must multiply the dimension that begins at the same place.
llvm::Error GraphPreparer::adaptToBatch(Node &node) {
  bool reshape = node.opType == "Reshape", resize = node.opType == "Resize";
  size_t at = reshape ? 1 : 3;
  const Tensor *target = constantInput(node, at);
  const Value *input = inputValue(node, 0);
  if ((!reshape && !resize) || !target || !input || !input->isStatic() ||
      target->type() != ElementType::Int64)
    return llvm::Error::success();
  Shape wanted(target->values<int64_t>().begin(), target->values<int64_t>().end());
  if (context.record) {
    FixedShape &fixed = context.fixedShapes[node.name];
    fixed.input = input->shape();
    fixed.target = wanted;
    return llvm::Error::success();
  }
  auto it = context.fixedShapes.find(node.name);
  if (it == context.fixedShapes.end() || it->second.target != wanted || it->second.output.empty())
    return llvm::Error::success(); // computed from the input's shape: right already
  const FixedShape &fixed = it->second;
  if (resize && wanted.size() != fixed.output.size())
    return llvm::Error::success(); // sizes of some axes only
  Shape now = input->shape();
  if (now == fixed.input || now.size() != fixed.input.size())
    return llvm::Error::success();
  int64_t outer = 1;
  size_t place = 0;
  while (place < now.size() && now[place] == fixed.input[place])
    outer *= fixed.input[place++];
  Shape output = fixed.output;
  size_t grow = 0;
  for (int64_t before = 1; grow < output.size() && before != outer; ++grow)
    before *= output[grow];
  if (grow == output.size())
    return makeError("{0}its shape [{1:$[,]}] is made for a batch of 1", nodePrefix(node),
                     llvm::make_range(wanted.begin(), wanted.end()));
  if (__builtin_mul_overflow(output[grow], context.batch, &output[grow]))
    return makeError("{0}the batch is too large", nodePrefix(node));
  NodeSink sink = sinkToWork(nodes);
  node.inputs[at] = sink.addConstant(
      node.name + "/shape",
      Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(output.size())}, output));
  if (reshape)
    node.attributes["allowzero"] = {int64_t(1)};
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

llvm::Error GraphPreparer::process(Node node) {
  // Nobody can ask for results without a name.
  if (std::all_of(node.outputs.begin(), node.outputs.end(),
                  [](ValueId id) { return id == kNoValue; }))
    return llvm::Error::success();
  resolveInputs(node);
  bool standard = node.domain.empty();
  if (standard &&
      (dropIdentity(node) || dropDropout(node) || foldShape(node) || resolveCastLike(node)))
    return llvm::Error::success();
  if (standard && node.opType == "If") {
    auto inlined = inlineIf(node);
    if (!inlined)
      return inlined.takeError();
    if (*inlined)
      return llvm::Error::success();
  }
  if (standard) {
    auto aligned = alignOldBroadcast(node);
    if (!aligned)
      return aligned.takeError();
    if (*aligned)
      return llvm::Error::success();
  }
  if (llvm::Error error = prepareSubgraphs(node))
    return error;
  if (context.record || context.batch != 1)
    if (llvm::Error error = adaptToBatch(node))
      return error;
  if (llvm::Error error = infer(node))
    return error;
  if (context.record && context.fixedShapes.count(node.name) && node.outputs[0] != kNoValue) {
    const Value &output = graph.values[node.outputs[0]];
    if (output.isStatic())
      context.fixedShapes[node.name].output = output.shape();
  }
  if (standard && node.outputs[0] != kNoValue && foldView(node))
    return llvm::Error::success();
  if (foldEmpty(node) || foldConstant(node))
    return llvm::Error::success();
  produced.resize(graph.values.size(), false);
  for (ValueId id : node.outputs)
    if (id != kNoValue)
      produced[id] = true;
  nodes.push_back(std::move(node));
  return llvm::Error::success();
}

llvm::Error GraphPreparer::run() {
  for (const Node &node : graph.nodes)
    for (ValueId id : node.outputs)
      if (id != kNoValue) {
        declared[id] = graph.values[id];
        graph.values[id].type = ElementType::Undefined;
        graph.values[id].dims.reset();
      }
  work.assign(std::make_move_iterator(graph.nodes.begin()),
              std::make_move_iterator(graph.nodes.end()));
  graph.nodes.clear();
  while (!work.empty()) {
    Node node = std::move(work.front());
    work.pop_front();
    if (llvm::Error error = process(std::move(node)))
      return error;
  }
  replacement.resize(graph.values.size(), kNoValue);
  for (ValueId &id : graph.outputs)
    if (replacement[id] != kNoValue)
      id = replacement[id];
  graph.nodes = std::move(nodes);
  simplifyCoercedSoftmax(graph);
  removeDead(graph);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// A whole model
//===----------------------------------------------------------------------===//

static void collectNames(const Graph &graph, NameSet &names) {
  for (const Node &node : graph.nodes) {
    names.unique(node.name);
    for (const auto &[name, attribute] : node.attributes)
      if (auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
        collectNames(**inner, names);
  }
}

static void bindValues(Graph &graph, const Bindings &bindings) {
  for (ValueId id : graph.inputs)
    if (auto it = bindings.inputValues.find(graph.values[id].name);
        it != bindings.inputValues.end())
      graph.constants[id] = it->second;
}

static llvm::Error prepareModel(Model &model, const Bindings &bindings) {
  Graph original = model.graph; // tensors are shared: a cheap copy
  auto rewritten = bindDimensions(model.graph, bindings);
  if (!rewritten)
    return rewritten.takeError();
  bindValues(model.graph, bindings);
  PrepareContext context;
  if (*rewritten) {
    // First as the file has it, to learn what its constant shapes stand for.
    Bindings single = bindings;
    single.batch.reset();
    for (auto it = single.inputShapes.begin(); it != single.inputShapes.end();)
      it = bindings.batch && llvm::is_contained(it->second, *bindings.batch)
               ? single.inputShapes.erase(it)
               : std::next(it);
    PrepareContext recorder;
    recorder.record = true;
    collectNames(original, recorder.names);
    auto bound = bindDimensions(original, single);
    if (!bound)
      return bound.takeError();
    bindValues(original, single);
    if (llvm::Error error = GraphPreparer(original, recorder, false).run())
      return error;
    context.fixedShapes = std::move(recorder.fixedShapes);
    context.batch = *bindings.batch;
    context.trustDeclared = false;
  }
  collectNames(model.graph, context.names);
  llvm::Error error = GraphPreparer(model.graph, context, false).run();
  if (error && *rewritten)
    return prefixed(std::move(error), "a batch of " + std::to_string(*bindings.batch) +
                                          " does not fit this file, made for batch 1: ");
  return error;
}

llvm::Error npucc::prepare(Model &model, const Bindings &bindings) {
  // The standard library reports a lack of memory by throwing.
  try {
    return prefixed(prepareModel(model, bindings), model.path + ": ");
  } catch (const std::exception &exception) {
    return makeError("{0}: {1}", model.path, exception.what());
  }
}
