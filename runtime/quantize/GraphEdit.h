//===- GraphEdit.h - Adding nodes to a prepared graph -----------*- C++ -*-===//
//
// Values never move or vanish while a graph is edited, so that ids that others
// hold (subgraph captures, measured ranges) stay valid. Expressions of constants
// are evaluated at once where they are small, and stay nodes where they are not:
// weights that nobody needs in timing mode are then never computed.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

namespace npucc {

class GraphEdit {
public:
  /// `foldLimit`: constant expressions of at most so many elements (of any operand
  /// or the result) are evaluated.
  GraphEdit(Graph &graph, int64_t foldLimit);

  Graph &graph() { return target; }

  /// Index of the node that computes a value, or -1.
  int producer(ValueId id) const { return producers[id]; }
  /// Indices of the nodes that read a value (each once), also through subgraphs.
  llvm::ArrayRef<int> users(ValueId id) const { return readers[id]; }
  bool isGraphOutput(ValueId id) const { return outputs[id]; }
  /// A constant, or computed from constants only.
  bool isConstant(ValueId id) const { return id != kNoValue && constants[id]; }

  /// A value of the wished name, changed where that is taken.
  ValueId addValue(const llvm::Twine &name, ElementType type, llvm::ArrayRef<int64_t> shape);
  ValueId addConstant(const llvm::Twine &name, Tensor tensor);
  ValueId addFloats(const llvm::Twine &name, ElementType type, llvm::ArrayRef<int64_t> shape,
                    llvm::ArrayRef<float> values);
  ValueId addInts(const llvm::Twine &name, llvm::ArrayRef<int64_t> values); ///< int64, 1-D

  using Attributes = std::map<std::string, Attribute, std::less<>>;
  /// A node with one result. Small constant expressions become constants.
  llvm::Expected<ValueId> addNode(const llvm::Twine &name, llvm::StringRef opType,
                                  llvm::ArrayRef<ValueId> inputs, ElementType type,
                                  llvm::ArrayRef<int64_t> shape, Attributes attributes = {});
  /// Same, writing an existing value; never folded.
  void addNodeInto(const llvm::Twine &name, llvm::StringRef opType,
                   llvm::ArrayRef<ValueId> inputs, ValueId output, Attributes attributes = {});

  /// Puts nodes into topological order, close to the order that they had, and drops
  /// those whose opType is empty and those that only fed them. Ends the editing.
  void finish();

private:
  void grow();
  void indexNode(int index);

  Graph &target;
  int64_t foldLimit;
  llvm::StringSet<> valueNames, nodeNames;
  std::vector<int> producers;
  std::vector<llvm::SmallVector<int, 2>> readers;
  std::vector<bool> outputs, constants;
};

/// Values of the enclosing graph that a node reads: its inputs and what its
/// subgraphs capture.
llvm::SmallVector<ValueId, 4> valuesRead(const Node &node);

} // namespace npucc
