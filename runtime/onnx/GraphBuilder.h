//===- GraphBuilder.h - From GraphProto to Graph ----------------*- C++ -*-===//
//
// Internal to the loader.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Functions.h"
#include "runtime/onnx/Graph.h"
#include "runtime/onnx/TensorReader.h"
#include "runtime/onnx/Upgrade.h"

namespace onnx {
class GraphProto;
class TypeProto;
class ValueInfoProto;
} // namespace onnx

namespace npucc {

class GraphBuilder {
public:
  GraphBuilder(TensorReader &tensors, FunctionInliner &functions)
      : tensors(tensors), functions(functions) {}

  /// Builds the main graph; `owner` keeps `proto` alive.
  llvm::Error build(const onnx::GraphProto &proto, std::shared_ptr<const void> owner,
                    const OpsetImports &opsets, Graph &graph) {
    return build(proto, std::move(owner), opsets, nullptr, 0, graph);
  }

private:
  /// The names that a graph knows, and where it stands.
  struct Scope {
    Graph &graph;
    Scope *parent;
    int depth;
    llvm::StringMap<ValueId> ids;
  };

  llvm::Error build(const onnx::GraphProto &proto, std::shared_ptr<const void> owner,
                    const OpsetImports &opsets, Scope *parent, int depth, Graph &graph);
  llvm::Error readInitializers(const onnx::GraphProto &proto, std::shared_ptr<const void> owner,
                               Scope &scope);
  llvm::Error readInputs(const onnx::GraphProto &proto, Scope &scope);
  llvm::Error readNode(const SourceNode &source, size_t index, Scope &scope,
                       std::vector<Node> &nodes);
  llvm::Error readConstant(const Node &node, Scope &scope);
  llvm::Error readAttributes(const SourceNode &source, Scope &scope, Node &node);
  llvm::Expected<Attribute> readAttribute(const onnx::AttributeProto &proto,
                                          const SourceNode &source, Scope &scope);
  llvm::Error readType(const onnx::TypeProto &type, bool required, Value &value);

  /// Makes a value of this name, which must be new in the graph.
  llvm::Expected<ValueId> define(const std::string &name, Scope &scope);
  /// The value of this name here or in an enclosing graph (then captured); kNoValue.
  ValueId lookUp(const std::string &name, Scope &scope);

  TensorReader &tensors;
  FunctionInliner &functions;
  NameSet nodeNames;
};

/// Puts nodes into an order in which each follows what it reads; the file's order
/// where that is one. An error when there is a cycle.
llvm::Error sortNodes(Graph &graph);

} // namespace npucc
