//===- Build.h - Small graphs for the quantization tests --------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"
#include "runtime/quantize/GraphEdit.h"
#include "runtime/reference/Reference.h"

#include <catch2/catch.hpp>

#include <cmath>

namespace npucc::test {

/// Unwraps or fails the test with the message.
template <typename T> T take(llvm::Expected<T> value) {
  if (!value)
    FAIL(llvm::toString(value.takeError()));
  return std::move(*value);
}

/// A float graph under construction; ids are those of the graph.
struct Builder {
  Model model;
  std::unique_ptr<GraphEdit> edit = std::make_unique<GraphEdit>(model.graph, 0);
  uint64_t seed = 1;

  ValueId input(Shape shape) {
    ValueId id = edit->addValue("x", ElementType::Float32, shape);
    model.graph.inputs.push_back(id);
    return id;
  }
  /// Normally distributed, scaled and shifted.
  ValueId constant(Shape shape, float scale = 1, float shift = 0) {
    Tensor source = randomTensor(ElementType::Float32, shape, seed++);
    std::vector<float> values = source.values<float>().vec();
    for (float &x : values)
      x = x * scale + shift;
    return edit->addFloats("c", ElementType::Float32, shape, values);
  }
  /// Positive values, for variances.
  ValueId positive(Shape shape) {
    ValueId id = constant(shape);
    for (float &x : model.graph.constants[id].mutableValues<float>())
      x = std::fabs(x) + 0.5f;
    return id;
  }
  ValueId node(llvm::StringRef op, std::vector<ValueId> inputs, Shape shape,
               GraphEdit::Attributes attributes = {}) {
    ValueId id = edit->addValue(op, ElementType::Float32, shape);
    edit->addNodeInto(op, op, inputs, id, std::move(attributes));
    return id;
  }
  ValueId ints(std::vector<int64_t> values) { return edit->addInts("i", values); }
  Model &finish(std::vector<ValueId> outputs) {
    model.graph.outputs = std::move(outputs);
    edit.reset();
    return model;
  }
};

inline Attribute integer(int64_t value) { return Attribute{value}; }
inline Attribute integers(std::vector<int64_t> values) { return Attribute{std::move(values)}; }

inline int count(const Graph &graph, llvm::StringRef op) {
  int n = 0;
  for (const Node &node : graph.nodes)
    n += node.opType == op;
  return n;
}
inline const Node *find(const Graph &graph, llvm::StringRef op) {
  for (const Node &node : graph.nodes)
    if (node.opType == op)
      return &node;
  return nullptr;
}
/// The operator that computes a value; "" for inputs and constants.
inline std::string writer(const Graph &graph, ValueId id) {
  for (const Node &node : graph.nodes)
    for (ValueId output : node.outputs)
      if (output == id)
        return node.opType;
  return "";
}

inline Tensor run(const Graph &graph, uint64_t seed = 7) {
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs)
    inputs.push_back(randomTensor(ElementType::Float32, graph.values[id].shape(), seed++));
  return take(evaluate(graph, inputs))[0];
}

inline double worstDifference(const Tensor &a, const Tensor &b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::fabs(a.asDouble(i) - b.asDouble(i)));
  return worst;
}
inline double largest(const Tensor &a) {
  double result = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    result = std::max(result, std::fabs(a.asDouble(i)));
  return result;
}
inline int64_t argmax(const Tensor &a, int64_t row, int64_t width) {
  int64_t best = 0;
  for (int64_t i = 1; i < width; ++i)
    if (a.asDouble(row * width + i) > a.asDouble(row * width + best))
      best = i;
  return best;
}

} // namespace npucc::test
