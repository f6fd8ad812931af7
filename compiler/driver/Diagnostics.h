//===- Diagnostics.h - Compiler messages in the words of the model -*- C++ -*-===//
//
// MLIR locations become ONNX nodes: "model.onnx: node 'act1' (Gelu): message".
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringMap.h"

#include <set>
#include <string>

namespace npucc {

class ModelDiagnostics {
public:
  /// Handles every diagnostic of `context` as long as it lives. Messages go to stderr.
  ModelDiagnostics(mlir::MLIRContext &context, const Model &model);

  /// An error about a node that did not come out of MLIR.
  void unsupported(const Node &node, llvm::StringRef reason);

  /// Errors at ONNX nodes and graph inputs: what the model asks for and the compiler cannot do.
  unsigned unsupportedCount() const { return unsupportedNodes; }
  /// Errors that are the compiler's own fault: no node, or MLIR's verifiers.
  unsigned internalCount() const { return internalErrors; }

private:
  mlir::LogicalResult handle(mlir::Diagnostic &diagnostic);
  std::string describe(mlir::Location loc) const;
  std::string prefixOf(llvm::StringRef node, llvm::StringRef op) const;

  std::string file;
  llvm::StringMap<std::string> opOfNode;
  std::set<std::string> printed; ///< the same message for the same node comes once
  unsigned unsupportedNodes = 0, internalErrors = 0;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace npucc
