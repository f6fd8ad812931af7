//===- Stepper.h - A graph on several samples, node by node ------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace npucc {

/// Evaluates one node after the other on all samples, so that what follows can still be changed.
/// A value is freed after its last reader; constants, and what is computed from them, stay.
class Stepper {
public:
  /// Samples in the order of graph.inputs. The graph may get new values and constants meanwhile
  /// (addConstant), but no nodes.
  Stepper(Graph &graph, llvm::ArrayRef<std::vector<Tensor>> samples);

  /// Computes the results of a node, on all cores; again, if its operands have changed.
  llvm::Error evaluate(size_t node);
  /// Frees what no node after this one reads.
  void release(size_t node);

  size_t samples() const { return values.size(); }
  const Tensor &value(size_t sample, ValueId id) const { return values[sample][id]; }
  bool isConstant(ValueId id) const { return id != kNoValue && constant[id]; }
  /// A new value like `like`, named after `suffix`.
  ValueId addConstant(ValueId like, llvm::StringRef suffix, Tensor tensor);
  /// The graph's outputs; of the sample, in order. After the last node.
  std::vector<Tensor> outputs(size_t sample) const;

private:
  Graph &graph;
  std::vector<std::vector<Tensor>> values; ///< by sample and value
  std::vector<size_t> lastReader;
  std::vector<bool> constant;
};

} // namespace npucc
