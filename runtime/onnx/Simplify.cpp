//===- Simplify.cpp - Clears up a prepared graph ------------------------------===//

#include "runtime/onnx/Prepare.h"

#include <algorithm>

using namespace npucc;

namespace {

template <typename Body> void forEachUse(const Node &node, Body body) {
  for (ValueId id : node.inputs)
    if (id != kNoValue)
      body(id);
  for (const auto &[name, attribute] : node.attributes)
    if (auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
      for (auto [innerId, outerId] : (*inner)->captures)
        body(outerId);
}

/// Nodes that are wrong stay in branches, which need not be taken.
bool hasFirst(const Node &node) {
  return !node.inputs.empty() && node.inputs[0] != kNoValue && node.outputs[0] != kNoValue;
}

bool isSoftmax(const Node &node) {
  return node.domain.empty() && hasFirst(node) &&
         (node.opType == "Softmax" || node.opType == "LogSoftmax" || node.opType == "Hardmax");
}

/// The axis along which an operator on [outer, rest], rest being the dimensions
/// from `axis` on, does the same on the whole tensor; -1 if there is none.
int64_t equivalentAxis(const Value &value, int64_t axis) {
  if (!value.dims)
    return -1;
  auto rank = static_cast<int64_t>(value.dims->size());
  axis = axis < 0 ? axis + rank : axis;
  if (axis < 0 || axis >= rank)
    return -1;
  int64_t found = -1;
  for (int64_t d = axis; d < rank; ++d)
    if ((*value.dims)[d].size != 1) {
      if (found >= 0)
        return -1;
      found = d;
    }
  return found < 0 ? rank - 1 : found;
}

} // namespace

void npucc::simplifyCoercedSoftmax(Graph &graph) {
  std::vector<int64_t> producer(graph.values.size(), -1);
  std::vector<int> uses(graph.values.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId id : graph.nodes[i].outputs)
      if (id != kNoValue)
        producer[id] = static_cast<int64_t>(i);
    forEachUse(graph.nodes[i], [&](ValueId id) { ++uses[id]; });
  }
  for (ValueId id : graph.outputs)
    ++uses[id];

  std::vector<bool> dead(graph.nodes.size(), false);
  for (Node &reshape : graph.nodes) {
    if (reshape.opType != "Reshape" || !reshape.domain.empty() || reshape.inputs.size() < 2 ||
        !hasFirst(reshape) || reshape.inputs[1] == kNoValue)
      continue;
    int64_t at = producer[reshape.inputs[0]];
    if (at < 0 || !isSoftmax(graph.nodes[at]) || uses[reshape.inputs[0]] != 1)
      continue;
    Node &softmax = graph.nodes[at];
    int64_t before = producer[softmax.inputs[0]];
    int64_t onAxis = softmax.getInt("axis", -1);
    if (before < 0 || (onAxis != -1 && onAxis != 1))
      continue;
    const Node &flatten = graph.nodes[before];
    if (flatten.opType != "Flatten" || !flatten.domain.empty() || !hasFirst(flatten))
      continue;

    // Back to the shape that Flatten saw?
    const Value &source = graph.values[flatten.inputs[0]];
    const Value &result = graph.values[reshape.outputs[0]];
    int64_t shapeFrom = producer[reshape.inputs[1]];
    bool sameShape = source.isStatic() && result.isStatic() && source.shape() == result.shape();
    bool shapeOf = shapeFrom >= 0 && graph.nodes[shapeFrom].opType == "Shape" &&
                   hasFirst(graph.nodes[shapeFrom]) &&
                   graph.nodes[shapeFrom].inputs[0] == flatten.inputs[0] &&
                   graph.nodes[shapeFrom].attributes.empty();
    int64_t axis = equivalentAxis(source, flatten.getInt("axis", 1));
    if ((!sameShape && !shapeOf) || axis < 0)
      continue;
    softmax.inputs[0] = flatten.inputs[0];
    softmax.attributes["axis"] = {axis};
    softmax.outputs = reshape.outputs;
    graph.values[reshape.outputs[0]].type = source.type;
    if (!result.isStatic())
      graph.values[reshape.outputs[0]].dims = source.dims;
    // It stands before its users still: its place is before the Reshape's.
    dead[&reshape - graph.nodes.data()] = true;
  }
  size_t kept = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    if (!dead[i]) {
      if (kept != i)
        graph.nodes[kept] = std::move(graph.nodes[i]);
      ++kept;
    }
  graph.nodes.resize(kept);
}

void npucc::removeDead(Graph &graph) {
  std::vector<bool> live(graph.values.size(), false);
  for (ValueId id : graph.outputs)
    live[id] = true;
  std::vector<Node> kept;
  for (auto it = graph.nodes.rbegin(); it != graph.nodes.rend(); ++it) {
    bool needed = false;
    for (ValueId &id : it->outputs) {
      if (id == kNoValue)
        continue;
      needed |= live[id];
      if (!live[id])
        id = kNoValue; // nobody asks for it
    }
    if (!needed)
      continue;
    forEachUse(*it, [&](ValueId id) { live[id] = true; });
    kept.push_back(std::move(*it));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);

  for (ValueId id : graph.inputs)
    live[id] = true;
  std::vector<ValueId> renumbered(graph.values.size(), kNoValue);
  std::vector<Value> values;
  for (size_t i = 0; i < live.size(); ++i)
    if (live[i]) {
      renumbered[i] = static_cast<ValueId>(values.size());
      values.push_back(std::move(graph.values[i]));
    }
  graph.values = std::move(values);
  auto renumber = [&](ValueId &id) {
    if (id != kNoValue)
      id = renumbered[id];
  };
  for (Node &node : graph.nodes) {
    for (ValueId &id : node.inputs)
      renumber(id);
    for (ValueId &id : node.outputs)
      renumber(id);
    for (auto &[name, attribute] : node.attributes)
      if (auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
        for (auto &capture : (*inner)->captures)
          renumber(capture.second);
  }
  for (ValueId &id : graph.inputs)
    renumber(id);
  for (ValueId &id : graph.outputs)
    renumber(id);
  std::map<ValueId, Tensor> constants;
  for (auto &[id, tensor] : graph.constants)
    if (renumbered[id] != kNoValue)
      constants.emplace(renumbered[id], std::move(tensor));
  graph.constants = std::move(constants);
  std::vector<std::pair<ValueId, ValueId>> captures;
  for (auto [inner, outer] : graph.captures)
    if (renumbered[inner] != kNoValue)
      captures.emplace_back(renumbered[inner], outer);
  graph.captures = std::move(captures);
}
