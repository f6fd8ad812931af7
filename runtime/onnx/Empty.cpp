//===- Empty.cpp - Tensors without elements leave the graph -------------------===//

#include "runtime/onnx/Prepare.h"

#include "llvm/ADT/STLExtras.h"

using namespace npucc;

void npucc::removeEmpty(Graph &graph) {
  auto isEmpty = [&](ValueId id) {
    return id != kNoValue && graph.values[id].isStatic() &&
           llvm::is_contained(graph.values[id].shape(), 0);
  };
  std::map<ValueId, ValueId> sameAs;
  for (Node &node : graph.nodes) {
    for (ValueId &id : node.inputs)
      if (auto it = sameAs.find(id); it != sameAs.end())
        id = it->second;
    if (!node.domain.empty() || node.opType != "Concat" || llvm::all_of(node.inputs, isEmpty) ||
        llvm::none_of(node.inputs, isEmpty) || node.outputs[0] == kNoValue)
      continue;
    llvm::erase_if(node.inputs, isEmpty);
    if (node.inputs.size() > 1)
      continue;
    // Stays where a graph output or a subgraph asks for it by this name.
    node.opType = "Identity";
    node.attributes.clear();
    sameAs[node.outputs[0]] = node.inputs[0];
  }
  removeDead(graph);

  std::vector<bool> used(graph.values.size(), false);
  for (const Node &node : graph.nodes) {
    for (ValueId id : node.inputs)
      if (id != kNoValue)
        used[id] = true;
    for (const auto &[name, attribute] : node.attributes)
      if (auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
        for (auto [innerId, outerId] : (*inner)->captures)
          used[outerId] = true;
  }
  for (ValueId id : graph.outputs)
    used[id] = true;
  llvm::erase_if(graph.inputs, [&](ValueId id) { return !used[id] && isEmpty(id); });
  removeDead(graph);
}
