//===- Count.cpp - Multiply-accumulates of a graph ----------------------------===//

#include "runtime/onnx/Prepare.h"
#include "runtime/ops/Registry.h"

#include <algorithm>

using namespace npucc;

int64_t npucc::iterations(const Graph &graph, const Node &node) {
  if (node.opType == "Loop") {
    const Tensor *count = node.inputs.empty() || node.inputs[0] == kNoValue
                              ? nullptr
                              : graph.constant(node.inputs[0]);
    return count && count->size() == 1 ? std::max<int64_t>(count->asInt(0), 0) : 1;
  }
  int64_t scanned = node.getInt("num_scan_inputs", 0);
  if (node.opType != "Scan" || scanned < 1 || scanned > static_cast<int64_t>(node.inputs.size()) ||
      node.inputs.back() == kNoValue)
    return 1;
  const Value &sequence = graph.values[node.inputs.back()];
  std::vector<int64_t> axes = node.getInts("scan_input_axes");
  int64_t axis = axes.empty() ? 0 : axes.back();
  if (!sequence.isStatic())
    return 1;
  Shape shape = sequence.shape();
  axis = axis < 0 ? axis + static_cast<int64_t>(shape.size()) : axis;
  return axis >= 0 && axis < static_cast<int64_t>(shape.size()) ? shape[axis] : 1;
}

int64_t npucc::nodeMacs(const Graph &graph, const Node &node) {
  const OpInfo *info = findOp(node.domain, node.opType);
  if (!info || !info->macs)
    return 0;
  bool known = true;
  auto collect = [&](const std::vector<ValueId> &ids) {
    std::vector<const Value *> values;
    for (ValueId id : ids) {
      values.push_back(id == kNoValue ? nullptr : &graph.values[id]);
      known &= id == kNoValue || values.back()->isStatic();
    }
    return values;
  };
  std::vector<const Value *> inputs = collect(node.inputs), outputs = collect(node.outputs);
  return known ? info->macs(node, inputs, outputs) : 0;
}

int64_t npucc::countMacs(const Graph &graph) {
  int64_t total = 0;
  for (const Node &node : graph.nodes) {
    // Of an If the costlier branch counts.
    int64_t inner = 0;
    for (const auto &[name, attribute] : node.attributes)
      if (auto *body = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
        inner = std::max(inner, countMacs(**body));
    int64_t sum;
    if (__builtin_mul_overflow(inner, inner ? iterations(graph, node) : 0, &inner) ||
        __builtin_add_overflow(total, inner, &sum))
      return INT64_MAX;
    total = sum;

    if (__builtin_add_overflow(total, nodeMacs(graph, node), &total))
      return INT64_MAX;
  }
  return total;
}
