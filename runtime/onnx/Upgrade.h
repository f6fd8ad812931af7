//===- Upgrade.h - Brings operators to their newest form --------*- C++ -*-===//
//
// Internal to the loader and the preparation.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

namespace npucc {

/// The oldest and newest versions of the default domain that the loader reads.
constexpr int64_t kOldestOpset = 1, kNewestOpset = 23;

/// Hands out node names, each once.
class NameSet {
public:
  /// `name`, or `name`_N where it is taken.
  std::string unique(std::string name);

private:
  llvm::StringMap<unsigned> taken; ///< with the next suffix to try
};

/// Appends nodes to a graph under construction.
struct NodeSink {
  Graph &graph;
  std::vector<Node> &nodes;
  NameSet &names;

  ValueId addValue(std::string name);
  ValueId addConstant(const std::string &name, Tensor tensor);
  /// A node of the default domain with one output, which is returned.
  ValueId emit(const std::string &opType, const std::string &name, std::vector<ValueId> inputs,
               std::map<std::string, Attribute, std::less<>> attributes = {});
};

/// Appends `node`, read by version `opset` of the default domain, in its newest
/// form, with whatever further nodes and constants that takes.
llvm::Error upgradeNode(Node node, int64_t opset, NodeSink &sink);

} // namespace npucc
