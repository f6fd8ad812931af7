//===- Results.h - Outputs, verification and reports of a run -----*- C++ -*-===//
#pragma once

#include "compiler/driver/Prepare.h"
#include "simulator/report/Report.h"

namespace npucc {

/// Compares the simulated outputs with the reference's evaluation of the same graph. Errors are
/// relative to the largest magnitude of the output that they occur in; docs/numerics.md has the
/// tolerances.
llvm::Expected<VerifyResult> verifyOutputs(const PreparedModel &prepared,
                                           const NamedTensors &outputs);

/// DIR/NAME.npy for each output; makes the folder.
llvm::Error writeOutputs(const std::string &directory, const NamedTensors &outputs);

/// Compares with GPUs and writes every report that the options ask for.
llvm::Error report(const Options &options, const PreparedModel &prepared,
                   const ReportInputs &inputs);

} // namespace npucc
