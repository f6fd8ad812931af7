//===- Snr.cpp - Signal-to-noise ratios of outputs -------------------------===//
#include "runtime/quantize/Snr.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>

using namespace npucc;

/// Walks from an output to the Concat along its last axis (or, of images, its channels), through
/// operators that keep that axis.
static OutputGroups groupOutput(const Graph &graph, ValueId output, int64_t axis) {
  auto producer = [&](ValueId id) -> const Node * {
    for (const Node &node : graph.nodes)
      if (llvm::is_contained(node.outputs, id))
        return &node;
    return nullptr;
  };
  auto shapeOf = [&](ValueId id) { return graph.values[id].shape(); };
  OutputGroups result;
  result.axis = axis;
  ValueId id = output;
  while (const Node *node = producer(id)) {
    if (node->inputs.empty() || node->inputs[0] == kNoValue ||
        !graph.values[node->inputs[0]].isStatic())
      return result;
    ValueId from = node->inputs[0];
    Shape to = shapeOf(id), source = shapeOf(from);
    if (node->opType == "Concat") {
      int64_t along = node->getInt("axis", 0);
      if (along < 0)
        along += static_cast<int64_t>(to.size());
      if (along == axis) {
        for (int64_t begin = 0, i = 0, e = static_cast<int64_t>(node->inputs.size()); i < e; ++i) {
          int64_t end = begin + shapeOf(node->inputs[i])[axis];
          result.groups.push_back({begin, end});
          begin = end;
        }
        if (result.groups.size() < 2 || result.groups.size() > 8)
          result.groups.clear();
        return result;
      }
    } else if (node->opType == "Transpose") {
      std::vector<int64_t> order = node->getInts("perm");
      axis = order.empty() ? static_cast<int64_t>(to.size()) - 1 - axis : order[axis];
    } else if (node->opType == "Reshape") {
      // The axis stays if what is before it has as many elements.
      auto before = [](const Shape &shape, int64_t count) {
        int64_t product = 1;
        for (int64_t i = 0; i < count; ++i)
          product *= shape[i];
        return product;
      };
      int64_t found = -1;
      for (int64_t i = 0, e = static_cast<int64_t>(source.size()); i < e; ++i)
        if (source[i] == to[axis] && before(source, i) == before(to, axis))
          found = i;
      if (found < 0)
        return result;
      axis = found;
    } else if (source != to) {
      return result;
    }
    id = from;
  }
  return result;
}

std::vector<OutputGroups> npucc::groupOutputs(const Graph &graph) {
  std::vector<OutputGroups> result;
  for (ValueId id : graph.outputs) {
    OutputGroups groups;
    if (graph.values[id].isStatic())
      if (int64_t rank = static_cast<int64_t>(graph.values[id].shape().size())) {
        groups = groupOutput(graph, id, rank - 1);
        if (groups.groups.empty() && rank == 4)
          groups = groupOutput(graph, id, 1);
      }
    result.push_back(std::move(groups));
  }
  return result;
}

double SignalNoise::decibels() const {
  double noisiness = ratio();
  return noisiness > 0 ? std::min(200.0, -10 * std::log10(noisiness)) : 200;
}

void npucc::addSnr(std::vector<OutputSnr> &sums, llvm::ArrayRef<OutputGroups> groups,
                   llvm::ArrayRef<Tensor> reference, llvm::ArrayRef<Tensor> actual) {
  sums.resize(reference.size());
  for (size_t k = 0; k < reference.size(); ++k) {
    const Tensor &a = reference[k], &b = actual[k];
    if (!isFloat(a.type()) || a.shape() != b.shape())
      continue;
    const OutputGroups &split = groups[k];
    sums[k].resize(1 + split.groups.size());
    int64_t channels = split.groups.empty() ? 1 : a.shape()[split.axis], inner = 1;
    for (size_t i = split.axis + 1; i < a.shape().size(); ++i)
      inner *= a.shape()[i];
    std::vector<size_t> groupOf(channels, 0);
    for (auto [g, group] : llvm::enumerate(split.groups))
      std::fill(groupOf.begin() + group.begin, groupOf.begin() + group.end, g + 1);
    for (int64_t i = 0, e = a.size(); i < e; ++i) {
      double x = a.asDouble(i), y = b.asDouble(i), signal = x * x, noise = (x - y) * (x - y);
      if (!std::isfinite(x) || x == y)
        noise = 0;
      if (!std::isfinite(x))
        signal = 0;
      size_t group = groupOf[i / inner % channels];
      for (size_t g : {size_t(0), group}) {
        sums[k][g].signal += signal;
        sums[k][g].noise += noise;
        if (group == 0)
          break;
      }
    }
  }
}
