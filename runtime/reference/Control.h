//===- Control.h - Evaluation of If, Loop and Scan --------------*- C++ -*-===//
//
// Internal to runtime/reference.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/reference/Reference.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace npucc {

/// The tensor of a value of the enclosing graph.
using Capture = llvm::function_ref<llvm::Expected<Tensor>(ValueId)>;

/// Runs If, Loop or Scan.
llvm::Expected<Tensors> evaluateControl(const Node &node, llvm::ArrayRef<Tensor> inputs,
                                        const Capture &capture, const BodyObserver &bodies);

/// Runs the main graph, or a body, whose captured values `capture` knows.
llvm::Expected<std::vector<Tensor>> evaluateGraph(const Graph &graph, llvm::ArrayRef<Tensor> inputs,
                                                  const Capture &capture, const Observer &observer,
                                                  const BodyObserver &bodies, bool isBody);

} // namespace npucc
