//===- Diagnostics.cpp - Compiler messages in the words of the model ----------===//

#include "compiler/driver/Diagnostics.h"
#include "compiler/onnx/OnnxDialect.h"
#include "runtime/onnx/Errors.h"

#include "mlir/IR/Location.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace npucc {

ModelDiagnostics::ModelDiagnostics(MLIRContext &context, const Model &model)
    : file(model.path),
      handler(&context, [this](Diagnostic &diagnostic) { return handle(diagnostic); }) {
  for (const Node &node : model.graph.nodes)
    opOfNode[node.name] = node.opType;
}

std::string ModelDiagnostics::prefixOf(StringRef node, StringRef op) const {
  std::string name = quoted(op);
  return file + ": node " + quoted(node) + " (" + name.substr(1, name.size() - 2) + "): ";
}

std::string ModelDiagnostics::describe(Location loc) const {
  StringRef node = onnx::nodeName(loc);
  if (node.empty())
    return file + ": ";
  auto op = opOfNode.find(node);
  // Graph inputs and constants have named locations, too.
  if (op == opOfNode.end())
    return file + ": value " + quoted(node) + ": ";
  return prefixOf(node, op->second);
}

void ModelDiagnostics::unsupported(const Node &node, StringRef reason) {
  ++unsupportedNodes;
  llvm::errs() << prefixOf(node.name, node.opType) << oneLine(reason.str()) << '\n';
}

LogicalResult ModelDiagnostics::handle(Diagnostic &diagnostic) {
  std::string text = diagnostic.str();
  // "'linalg.generic' op ..." is a verifier's message: about our IR, not about the model.
  bool internal = StringRef(text).starts_with("'") && StringRef(text).contains("' op ");
  std::string line = describe(diagnostic.getLocation());
  switch (diagnostic.getSeverity()) {
  case DiagnosticSeverity::Error:
    line += internal ? "internal error: " : "";
    break;
  case DiagnosticSeverity::Warning:
    line += "warning: ";
    break;
  case DiagnosticSeverity::Note:
    line += "note: ";
    break;
  case DiagnosticSeverity::Remark:
    line += "remark: ";
    break;
  }
  line += internal ? text : oneLine(text); // names out of the file may stand in it
  bool isNew = printed.insert(line).second;
  if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
    if (internal || onnx::nodeName(diagnostic.getLocation()).empty())
      ++internalErrors;
    else if (isNew)
      ++unsupportedNodes;
  }
  if (!isNew)
    return success();
  llvm::errs() << line << '\n';
  // Notes name an op in MLIR's words ("see current operation"): only for our own errors.
  if (internal)
    for (Diagnostic &note : diagnostic.getNotes())
      llvm::errs() << "  " << note.str() << '\n';
  return success();
}

} // namespace npucc
