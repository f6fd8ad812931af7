//===- Prepare.h - The graph that is compiled ---------------------*- C++ -*-===//
#pragma once

#include "compiler/driver/Options.h"
#include "simulator/report/Report.h"

#include "llvm/ADT/StringSet.h"

namespace npucc {

/// A model that is ready to be imported, and what the later phases want to know about it.
struct PreparedModel {
  Model model;           ///< folded and quantised: compiled, and evaluated for --verify
  Graph network;         ///< before that: what a GPU would run
  std::string precision; ///< of the arithmetic, as the report calls it
  ElementType storage = ElementType::Undefined; ///< instead of fp32
  int64_t batch = 1, macs = 0, parameters = 0;
  std::vector<std::string> assumptions;
  std::optional<QuantizationReport> quantization; ///< where --precision int8 made the model int8
  NamedTensors inputs;       ///< functional mode: one for each input of the file
  NamedTensors emptyOutputs; ///< known to have no elements: not part of `model` any more
};

/// Binds, folds, quantises; draws the inputs that are not given. Errors are one line each.
llvm::Expected<PreparedModel> prepareModel(Model model, const Options &options,
                                           const NamedTensors &given);

/// Inputs that the outputs of the step before become (--feed).
llvm::StringSet<> statesOf(const Options &options);

/// Operators that nothing in the project knows; they can run nowhere.
std::vector<const Node *> unknownNodes(const Graph &graph);

} // namespace npucc
