//===- Reference.h - Evaluates ONNX graphs on the CPU -------------*- C++ -*-===//
//
// Decides what is right: verifies the simulated NPU, folds constants, calibrates
// ranges, runs host operators. Independent of the compiler.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"
#include "runtime/ops/Registry.h"

#include <functional>

namespace npucc {

/// Runs one node. If, Loop and Scan take the values that their graphs capture behind their own
/// inputs: of each graph attribute in order of its name, Graph::captures in order.
llvm::Expected<Tensors> evaluateNode(const Node &node, llvm::ArrayRef<Tensor> inputs);

/// Called with every value as it is computed.
using Observer = std::function<void(ValueId, const Tensor &)>;

/// Called with every node that ran inside an If, Loop or Scan.
using BodyObserver = std::function<void(const Node &, llvm::ArrayRef<Tensor> inputs,
                                        llvm::ArrayRef<Tensor> outputs)>;

/// If, Loop and Scan.
bool isControl(const Node &node);

/// Runs a graph; `inputs` in the order of graph.inputs. Intermediate tensors are
/// freed after their last use. Errors name the node.
llvm::Expected<std::vector<Tensor>> evaluate(const Graph &graph, llvm::ArrayRef<Tensor> inputs,
                                             const Observer &observer = nullptr,
                                             const BodyObserver &bodies = nullptr);

/// Seeded random input for a value: floats standard normal, 8-bit integers over
/// their range, other integers 0..9, booleans both. Same seed, same bytes, on any machine.
Tensor randomTensor(ElementType type, llvm::ArrayRef<int64_t> shape, uint64_t seed);

} // namespace npucc
