//===- Emit.h - From npu ops to a program ---------------------------*- C++ -*-===//
#pragma once

#include "models/machine/Machine.h"
#include "runtime/program/Program.h"

#include "mlir/IR/BuiltinOps.h"

namespace npucc {

/// Splits the loops of `main` into one stream per engine and resolves every access to bytes.
/// The module must be scheduled and synchronised.
mlir::FailureOr<Program> emitProgram(mlir::ModuleOp module, const Machine &machine);

} // namespace npucc
