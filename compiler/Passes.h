//===- Passes.h - The passes of the compiler ----------------------*- C++ -*-===//
//
// Declarations and options of every pass in Passes.td. A pass's own file defines
// GEN_PASS_DEF_<NAME> and includes "compiler/Passes.h.inc" once more for its base class;
// compiler/driver/Registration.cpp registers them all.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Pass/Pass.h"

namespace npucc {

#define GEN_PASS_DECL
#include "compiler/Passes.h.inc"

} // namespace npucc
