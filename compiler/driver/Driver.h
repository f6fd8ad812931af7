//===- Driver.h - npucc from the options to the exit status -------*- C++ -*-===//
#pragma once

#include "compiler/driver/Options.h"

namespace npucc {

/// Compiles, simulates and reports. Results go to stdout, everything else to stderr.
ExitStatus runNpucc(const Options &options);

/// --list-npus, --dump-npu, --list-baselines, --list-operators.
ExitStatus listMachinesTo(llvm::raw_ostream &out);
/// The networks of the zoo, a line each.
ExitStatus listZooTo(llvm::raw_ostream &out);
ExitStatus dumpMachineTo(llvm::raw_ostream &out, const std::string &npu);
ExitStatus listBaselinesTo(llvm::raw_ostream &out);
ExitStatus listOperatorsTo(llvm::raw_ostream &out);

} // namespace npucc
