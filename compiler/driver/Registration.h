//===- Registration.h - Dialects and passes of the project --------*- C++ -*-===//
#pragma once

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace npucc {

/// The dialects that compilation goes through, and no others: start-up time counts.
void registerDialects(mlir::DialectRegistry &registry);

/// The passes of Passes.td, for command lines (--mlir-print-ir-after=npu-schedule, npu-opt).
void registerPasses();

} // namespace npucc
