//===- Calibrate.cpp - Ranges of activations ------------------------------===//
#include "runtime/quantize/Quantize.h"
#include "runtime/reference/Reference.h"

#include <algorithm>
#include <cmath>

using namespace npucc;

static void widen(Ranges &ranges, ValueId id, const Tensor &tensor) {
  ElementType type = tensor.type();
  if (type != ElementType::Float32 && type != ElementType::Float16 &&
      type != ElementType::BFloat16)
    return;
  Tensor wide = type == ElementType::Float32 ? tensor : castTensor(tensor, ElementType::Float32);
  float low = INFINITY, high = -INFINITY;
  for (float x : wide.values<float>())
    if (std::isfinite(x)) {
      low = std::min(low, x);
      high = std::max(high, x);
    }
  if (low > high)
    return;
  auto [it, isNew] = ranges.try_emplace(id, Range{low, high});
  if (!isNew)
    it->second = {std::min(it->second.low, low), std::max(it->second.high, high)};
}

llvm::Expected<Ranges> npucc::calibrate(const Graph &graph,
                                        llvm::ArrayRef<std::vector<Tensor>> inputs) {
  Ranges ranges;
  for (const std::vector<Tensor> &tensors : inputs) {
    auto outputs = evaluate(graph, tensors, [&](ValueId id, const Tensor &tensor) {
      widen(ranges, id, tensor);
    });
    if (!outputs)
      return outputs.takeError();
    for (size_t i = 0; i < graph.inputs.size() && i < tensors.size(); ++i)
      widen(ranges, graph.inputs[i], tensors[i]);
  }
  return ranges;
}
