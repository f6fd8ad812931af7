//===- Reference.cpp - Evaluates ONNX graphs on the CPU -------------------===//

#include "runtime/reference/Reference.h"

#include "runtime/onnx/Errors.h"
#include "runtime/reference/Control.h"

#include "llvm/ADT/STLExtras.h"

#include <exception>

using namespace npucc;
using llvm::ArrayRef;
using llvm::Expected;

static std::string prefix(const Node &node) {
  return "node " + quoted(node.name) + " (" + llvm::StringRef(node.opType).take_front(64).str() +
         "): ";
}

bool npucc::isControl(const Node &node) {
  return node.domain.empty() &&
         (node.opType == "If" || node.opType == "Loop" || node.opType == "Scan");
}

/// Kernels return errors; what the standard library throws (bad_alloc) becomes one.
static Expected<Tensors> runKernel(const Node &node, ArrayRef<Tensor> inputs) {
  const OpInfo *info = findOp(node.domain, node.opType);
  if (!info || !info->kernel)
    return makeError("operator {0} of domain {1} is not supported", quoted(node.opType),
                     quoted(node.domain));
  try {
    return info->kernel(node, inputs);
  } catch (const std::exception &error) {
    return makeError("{0}", error.what());
  }
}

Expected<Tensors> npucc::evaluateNode(const Node &node, ArrayRef<Tensor> inputs) {
  if (!isControl(node))
    return runKernel(node, inputs);
  // A node on its own (a host operator) has what its bodies capture behind its own inputs: of each
  // graph attribute in turn, each capture in turn. One outer value may stand there several times.
  std::vector<ValueId> captured;
  for (const auto &[name, attribute] : node.attributes)
    if (auto *body = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
      for (auto [inner, outer] : (*body)->captures)
        captured.push_back(outer);
  if (captured.size() > inputs.size())
    return makeError("its graphs use {0} values from outside, which are not given",
                     captured.size());
  ArrayRef<Tensor> values = inputs.take_back(captured.size());
  return evaluateControl(
      node, inputs.drop_back(captured.size()),
      [&](ValueId id) -> Expected<Tensor> {
        return values[llvm::find(captured, id) - captured.begin()];
      },
      nullptr);
}

Expected<std::vector<Tensor>> npucc::evaluateGraph(const Graph &graph, ArrayRef<Tensor> inputs,
                                                   const Capture &capture, const Observer &observer,
                                                   const BodyObserver &bodies, bool isBody) {
  if (inputs.size() != graph.inputs.size())
    return makeError("graph {0} takes {1} inputs, not {2}", quoted(graph.name), graph.inputs.size(),
                     inputs.size());
  std::vector<Tensor> values(graph.values.size());
  for (const auto &[id, tensor] : graph.constants)
    values[id] = tensor;
  for (size_t i = 0; i < inputs.size(); ++i)
    values[graph.inputs[i]] = inputs[i];
  for (auto [inner, outer] : graph.captures) {
    auto tensor = capture(outer);
    if (!tensor)
      return tensor.takeError();
    values[inner] = std::move(*tensor);
  }

  // The node after which each value is needed no more.
  std::vector<size_t> lastUse(graph.values.size(), 0);
  auto use = [&](ValueId id, size_t at) {
    if (id != kNoValue)
      lastUse[id] = at;
  };
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId id : graph.nodes[n].inputs)
      use(id, n);
    for (ValueId id : graph.nodes[n].outputs)
      use(id, n);
    if (isControl(graph.nodes[n]))
      for (const auto &[name, attribute] : graph.nodes[n].attributes)
        if (auto *body = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
          for (auto [inner, outer] : (*body)->captures)
            use(outer, n);
  }
  for (ValueId id : graph.outputs)
    use(id, graph.nodes.size());

  Tensors operands;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node &node = graph.nodes[n];
    operands.clear();
    for (ValueId id : node.inputs)
      operands.push_back(id == kNoValue ? Tensor() : values[id]);
    for (size_t i = 0; i < operands.size(); ++i)
      if (node.inputs[i] != kNoValue && !operands[i].defined())
        return makeError("{0}its input {1} has no value", prefix(node),
                         quoted(graph.values[node.inputs[i]].name));
    auto results = isControl(node)
                       ? evaluateControl(
                             node, operands,
                             [&](ValueId id) -> Expected<Tensor> { return values[id]; }, bodies)
                       : runKernel(node, operands);
    if (!results)
      return prefixed(results.takeError(), prefix(node));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue)
        continue;
      if (i >= results->size() || !(*results)[i].defined())
        return makeError("{0}its output {1} is not supported", prefix(node), i);
      values[node.outputs[i]] = (*results)[i];
      if (observer)
        observer(node.outputs[i], (*results)[i]);
    }
    if (isBody && bodies)
      bodies(node, operands, *results);
    // Let go of what was used for the last time.
    auto release = [&](ValueId id) {
      if (id != kNoValue && lastUse[id] == n)
        values[id] = Tensor();
    };
    for (ValueId id : node.inputs)
      release(id);
    for (ValueId id : node.outputs)
      release(id);
    if (isControl(node))
      for (const auto &[name, attribute] : node.attributes)
        if (auto *body = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
          for (auto [inner, outer] : (*body)->captures)
            release(outer);
  }

  std::vector<Tensor> outputs;
  for (ValueId id : graph.outputs) {
    if (!values[id].defined())
      return makeError("output {0} has no value", quoted(graph.values[id].name));
    outputs.push_back(values[id]);
  }
  return outputs;
}

Expected<std::vector<Tensor>> npucc::evaluate(const Graph &graph, ArrayRef<Tensor> inputs,
                                              const Observer &observer,
                                              const BodyObserver &bodies) {
  return evaluateGraph(
      graph, inputs,
      [](ValueId) -> Expected<Tensor> { return makeError("a main graph has no outer values"); },
      observer, bodies, /*isBody=*/false);
}
