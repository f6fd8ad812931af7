//===- Subgraphs.cpp - If, Loop and Scan in preparation -----------------------===//

#include "runtime/onnx/Errors.h"
#include "runtime/onnx/Prepare.h"

#include <algorithm>

using namespace npucc;

namespace {

/// Loop-carried shapes that still change after so many tries become unknown.
constexpr int kMaxTries = 4;
/// After so many in the whole model, those of further loops are unknown from the start.
constexpr int kMaxRetries = 1000;

/// Forgets what two shapes of one value do not have in common. Returns true when
/// `dims` changed.
bool widen(std::optional<std::vector<Dim>> &dims, const std::optional<std::vector<Dim>> &other) {
  if (!dims)
    return false;
  if (!other || other->size() != dims->size()) {
    dims.reset();
    return true;
  }
  bool changed = false;
  for (size_t i = 0; i < dims->size(); ++i)
    if ((*dims)[i].size >= 0 && (*dims)[i].size != (*other)[i].size) {
      (*dims)[i] = {-1, "?"};
      changed = true;
    }
  return changed;
}

Value scalarValue(ElementType type) {
  Value value;
  value.type = type;
  value.dims.emplace();
  return value;
}

} // namespace

/// A prepared copy of a body whose inputs have the given types.
llvm::Expected<std::shared_ptr<Graph>> GraphPreparer::prepareBody(const Node &node,
                                                                  const Graph &original,
                                                                  llvm::ArrayRef<Value> inputs,
                                                                  bool lenientBody) {
  auto body = std::make_shared<Graph>(original);
  if (body->inputs.size() != inputs.size())
    return makeError("{0}its graph has {1} inputs where {2} are needed", nodePrefix(node),
                     body->inputs.size(), inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    Value &value = body->values[body->inputs[i]];
    if (inputs[i].type != ElementType::Undefined)
      value.type = inputs[i].type;
    value.dims = inputs[i].dims;
  }
  // What is constant outside is constant inside.
  std::vector<std::pair<ValueId, ValueId>> captures;
  for (auto [inner, outer] : body->captures) {
    body->values[inner].type = graph.values[outer].type;
    body->values[inner].dims = graph.values[outer].dims;
    if (const Tensor *constant = graph.constant(outer))
      body->constants[inner] = *constant;
    else
      captures.emplace_back(inner, outer);
  }
  body->captures = std::move(captures);
  if (llvm::Error error = GraphPreparer(*body, context, lenient || lenientBody).run())
    return std::move(error);
  return body;
}

/// Loop and Scan: what one iteration hands to the next has a shape that every
/// iteration agrees on.
llvm::Error GraphPreparer::prepareLoop(Node &node) {
  bool scan = node.opType == "Scan";
  std::shared_ptr<Graph> original = node.getGraph("body");
  if (!original)
    return makeError("{0}attribute 'body' is missing", nodePrefix(node));

  std::vector<Value> inputs;
  size_t firstState = 0, states = 0, firstResult = 0;
  auto outer = [&](size_t i) {
    const Value *value = inputValue(node, i);
    return value ? *value : Value();
  };
  if (scan) {
    int64_t scanned = node.getInt("num_scan_inputs", 0);
    if (scanned < 0 || scanned > static_cast<int64_t>(node.inputs.size()))
      return makeError("{0}attribute 'num_scan_inputs' is {1} with {2} inputs", nodePrefix(node),
                       scanned, node.inputs.size());
    states = node.inputs.size() - static_cast<size_t>(scanned);
    std::vector<int64_t> axes = node.getInts("scan_input_axes");
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      Value value = outer(i);
      if (i >= states && value.dims) {
        auto rank = static_cast<int64_t>(value.dims->size());
        int64_t axis = i - states < axes.size() ? axes[i - states] : 0;
        axis = axis < 0 ? axis + rank : axis;
        if (axis < 0 || axis >= rank)
          return makeError("{0}attribute 'scan_input_axes' is out of range", nodePrefix(node));
        value.dims->erase(value.dims->begin() + axis);
      }
      inputs.push_back(std::move(value));
    }
  } else {
    inputs = {scalarValue(ElementType::Int64), scalarValue(ElementType::Bool)};
    firstState = 2;
    firstResult = 1; // after the condition
    for (size_t i = 2; i < node.inputs.size(); ++i)
      inputs.push_back(outer(i));
    states = inputs.size() - 2;
  }

  for (size_t i = 0; context.retries >= kMaxRetries && i < states; ++i)
    inputs[firstState + i].dims.reset();
  for (int attempt = 0;; ++attempt) {
    auto body = prepareBody(node, *original, inputs, false);
    if (!body)
      return body.takeError();
    const Graph &result = **body;
    if (result.outputs.size() < firstResult + states)
      return makeError("{0}its graph has too few outputs", nodePrefix(node));
    bool changed = false;
    for (size_t i = 0; i < states; ++i) {
      Value &state = inputs[firstState + i];
      const Value &next = result.values[result.outputs[firstResult + i]];
      if (attempt >= kMaxTries && state.dims && widen(state.dims, next.dims)) {
        state.dims.reset();
        changed = true;
      } else {
        changed |= widen(state.dims, next.dims);
      }
    }
    if (!changed) {
      node.attributes["body"] = {std::move(*body)};
      return llvm::Error::success();
    }
    ++context.retries;
  }
}

llvm::Error GraphPreparer::prepareSubgraphs(Node &node) {
  if (node.domain.empty() && (node.opType == "Loop" || node.opType == "Scan"))
    return prepareLoop(node);
  for (auto &[name, attribute] : node.attributes)
    if (auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) {
      std::vector<Value> inputs;
      for (ValueId id : (*inner)->inputs)
        inputs.push_back((*inner)->values[id]);
      auto body = prepareBody(node, **inner, inputs, true);
      if (!body)
        return body.takeError();
      *inner = std::move(*body);
    }
  return llvm::Error::success();
}

/// An If whose condition is known is replaced by the branch it takes.
llvm::Expected<bool> GraphPreparer::inlineIf(const Node &node) {
  const Tensor *condition = constantInput(node, 0);
  if (!condition || condition->size() != 1 || condition->type() != ElementType::Bool)
    return false;
  std::shared_ptr<Graph> branch =
      node.getGraph(condition->asInt(0) ? "then_branch" : "else_branch");
  if (!branch)
    return makeError("{0}a branch is missing", nodePrefix(node));
  if (!branch->inputs.empty() || branch->outputs.size() < node.outputs.size())
    return makeError("{0}its branch does not match its outputs", nodePrefix(node));

  std::vector<ValueId> here(branch->values.size(), kNoValue);
  for (auto [inner, outer] : branch->captures)
    here[inner] = outer;
  for (size_t i = 0; i < here.size(); ++i) {
    if (here[i] != kNoValue)
      continue;
    here[i] = static_cast<ValueId>(graph.values.size());
    graph.values.push_back(branch->values[i]);
    if (const Tensor *constant = branch->constant(static_cast<ValueId>(i)))
      graph.constants[here[i]] = *constant;
  }
  auto move = [&](ValueId &id) {
    if (id != kNoValue)
      id = here[id];
  };
  std::vector<Node> moved = branch->nodes;
  for (Node &inner : moved) {
    for (ValueId &id : inner.inputs)
      move(id);
    for (ValueId &id : inner.outputs) {
      move(id);
      if (id == kNoValue)
        continue;
      declared[id] = graph.values[id];
      graph.values[id].type = ElementType::Undefined;
      graph.values[id].dims.reset();
    }
    for (auto &[name, attribute] : inner.attributes)
      if (auto *nested = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) {
        auto copy = std::make_shared<Graph>(**nested);
        for (auto &capture : copy->captures)
          move(capture.second);
        *nested = std::move(copy);
      }
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue)
      continue;
    Node identity;
    identity.name = context.names.unique(node.name + "/output");
    identity.opType = "Identity";
    identity.inputs = {here[branch->outputs[i]]};
    identity.outputs = {node.outputs[i]};
    moved.push_back(std::move(identity));
  }
  work.insert(work.begin(), std::make_move_iterator(moved.begin()),
              std::make_move_iterator(moved.end()));
  return true;
}
