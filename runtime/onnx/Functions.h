//===- Functions.h - Inlines model-local functions --------------*- C++ -*-===//
//
// Works on protobuf nodes, before a graph is built: a call becomes renamed
// copies of the function's nodes. Internal to the loader.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace onnx {
class AttributeProto;
class FunctionProto;
class GraphProto;
class ModelProto;
class NodeProto;
} // namespace onnx

namespace npucc {

/// Version of each imported domain; "ai.onnx" is written "".
using OpsetImports = std::map<std::string, int64_t>;

/// A node as it stands in the file, or a renamed copy of a function's node.
struct SourceNode {
  std::shared_ptr<const onnx::NodeProto> proto;
  const OpsetImports *opsets; ///< by which the node is to be read
};

class FunctionInliner {
public:
  /// `model` must outlive this object.
  llvm::Error addFunctions(const onnx::ModelProto &model);

  /// Appends the node to `out`, or what its function consists of.
  llvm::Error expand(const SourceNode &node, std::vector<SourceNode> &out, int depth = 0);

private:
  struct Function {
    const onnx::FunctionProto *proto;
    OpsetImports opsets;
    std::vector<std::shared_ptr<const onnx::AttributeProto>> defaults;
  };
  struct Call; ///< names and attributes of one call

  const Function *find(const onnx::NodeProto &node) const;
  llvm::Error instantiate(onnx::NodeProto &node, const Call &call, int depth) const;

  std::map<std::string, Function> functions; ///< by domain, name, overload
  int64_t calls = 0, copiedBytes = 0;
};

/// Reads a list of opset imports; `domain` "ai.onnx" becomes "".
template <typename List> OpsetImports readOpsets(const List &imports) {
  OpsetImports result;
  for (const auto &import : imports)
    result[import.domain() == "ai.onnx" ? "" : import.domain()] = import.version();
  return result;
}

} // namespace npucc
