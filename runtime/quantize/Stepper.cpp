//===- Stepper.cpp - A graph on several samples, node by node -------------===//
#include "runtime/quantize/Stepper.h"

#include "runtime/onnx/Errors.h"
#include "runtime/quantize/GraphEdit.h"
#include "runtime/reference/Reference.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Parallel.h"

#include <mutex>

using namespace npucc;

Stepper::Stepper(Graph &graph, llvm::ArrayRef<std::vector<Tensor>> samples) : graph(graph) {
  size_t count = graph.values.size();
  values.assign(samples.size(), std::vector<Tensor>(count));
  constant.assign(count, false);
  lastReader.assign(count, 0);
  for (const auto &[id, tensor] : graph.constants) {
    constant[id] = true;
    for (auto &sample : values)
      sample[id] = tensor;
  }
  for (size_t k = 0; k < samples.size(); ++k)
    for (size_t i = 0; i < graph.inputs.size(); ++i)
      values[k][graph.inputs[i]] = samples[k][i];
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (ValueId id : valuesRead(graph.nodes[n]))
      lastReader[id] = n;
    for (ValueId id : graph.nodes[n].outputs)
      if (id != kNoValue)
        lastReader[id] = n;
  }
  for (ValueId id : graph.outputs)
    lastReader[id] = graph.nodes.size();
}

llvm::Error Stepper::evaluate(size_t index) {
  const Node &node = graph.nodes[index];
  auto reads = valuesRead(node); // inputs that are there, and what bodies of If and Loop capture
  size_t own = llvm::count_if(node.inputs, [](ValueId id) { return id != kNoValue; });
  bool isConstant = !reads.empty() && llvm::all_of(reads, [&](ValueId id) { return constant[id]; });
  std::mutex mutex;
  llvm::Error failure = llvm::Error::success();
  llvm::parallelFor(0, isConstant ? 1 : values.size(), [&](size_t k) {
    std::vector<Tensor> operands;
    for (ValueId id : node.inputs)
      operands.push_back(id == kNoValue ? Tensor() : values[k][id]);
    for (ValueId id : llvm::ArrayRef(reads).drop_front(own))
      operands.push_back(values[k][id]);
    llvm::Expected<Tensors> results = evaluateNode(node, operands);
    if (!results) {
      std::lock_guard<std::mutex> lock(mutex);
      failure = llvm::joinErrors(std::move(failure),
                                 prefixed(results.takeError(), "node " + quoted(node.name) + ": "));
      return;
    }
    for (size_t i = 0; i < node.outputs.size() && i < results->size(); ++i)
      if (node.outputs[i] != kNoValue)
        values[k][node.outputs[i]] = (*results)[i];
  });
  if (isConstant)
    for (ValueId id : node.outputs)
      if (id != kNoValue) {
        constant[id] = true;
        for (size_t k = 1; k < values.size(); ++k)
          values[k][id] = values[0][id];
      }
  return failure;
}

void Stepper::release(size_t index) {
  for (const auto &ids : {graph.nodes[index].inputs, graph.nodes[index].outputs})
    for (ValueId id : ids)
      if (id != kNoValue && !constant[id] && lastReader[id] == index)
        for (auto &sample : values)
          sample[id] = Tensor();
}

ValueId Stepper::addConstant(ValueId like, llvm::StringRef suffix, Tensor tensor) {
  ValueId id = static_cast<ValueId>(graph.values.size());
  Value value = graph.values[like];
  value.name += suffix;
  graph.values.push_back(std::move(value));
  for (auto &sample : values)
    sample.push_back(tensor);
  constant.push_back(true);
  lastReader.push_back(graph.nodes.size());
  graph.constants[id] = std::move(tensor);
  return id;
}

std::vector<Tensor> Stepper::outputs(size_t sample) const {
  std::vector<Tensor> result;
  for (ValueId id : graph.outputs)
    result.push_back(values[sample][id]);
  return result;
}
