//===- Compiler.h - The pipeline from the onnx dialect to a program -*- C++ -*-===//
#pragma once

#include "models/machine/Machine.h"
#include "runtime/program/Program.h"

#include "mlir/IR/BuiltinOps.h"

namespace mlir {
class DefaultTimingManager;
class TimingScope;
} // namespace mlir

namespace npucc {

struct CompileOptions {
  /// Element type that stands for fp32 in memory and in arithmetic: bf16, fp16 or an fp8
  /// format. Undefined: what the graph says.
  ElementType storage = ElementType::Undefined;
  /// Operators without a lowering run on the control core; if not, they are errors.
  bool allowHost = true;
  /// What the report calls the arithmetic ("int8", "bf16", ...); empty: derived from the graph.
  std::string precision;
  mlir::TimingScope *timing = nullptr; ///< of --mlir-timing
};

/// Each step works on the result of the one before. Errors are diagnostics at the locations of
/// the ONNX nodes, all nodes that cannot be compiled in one go.
mlir::LogicalResult lowerToLinalg(mlir::ModuleOp module, const CompileOptions &options);
mlir::LogicalResult lowerToNpu(mlir::ModuleOp module, const Machine &machine,
                               const CompileOptions &options);
mlir::FailureOr<Program> emit(mlir::ModuleOp module, const Machine &machine,
                              const CompileOptions &options);

/// All three.
mlir::FailureOr<Program> compile(mlir::ModuleOp module, const Machine &machine,
                                 const CompileOptions &options);

} // namespace npucc
