//===- Quantization.h - --precision int8 for float models ---------*- C++ -*-===//
#pragma once

#include "compiler/driver/Prepare.h"

namespace npucc {

/// Measures ranges on samples (--calibrate), on the inputs of the run, or on nothing, and
/// quantises `result.model`.
llvm::Error quantizeModel(PreparedModel &result, const Options &options, const NamedTensors &given);

/// Compares the quantised model with the float network on the inputs of the run, both evaluated by
/// the reference: the signal-to-noise ratios of `prepared.quantization`.
llvm::Error measureSnr(PreparedModel &prepared);

} // namespace npucc
