//===- Layers.cpp - The rows of the layer table -------------------------------===//

#include "compiler/driver/Layers.h"
#include "compiler/onnx/OnnxDialect.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace npucc {

/// Names of the nodes all of whose inputs are constant.
static llvm::StringSet<> constantNodes(const Graph &graph) {
  llvm::StringSet<> result;
  std::vector<bool> constant(graph.values.size());
  for (const auto &[id, tensor] : graph.constants)
    constant[id] = true;
  for (const Node &node : graph.nodes) {
    if (node.inputs.empty() ||
        !llvm::all_of(node.inputs, [&](ValueId id) { return id == kNoValue || constant[id]; }))
      continue;
    result.insert(node.name);
    for (ValueId id : node.outputs)
      if (id != kNoValue)
        constant[id] = true;
  }
  return result;
}

void restoreLayers(ModuleOp module, const Graph &network, const Graph &compiled) {
  auto list = module->getAttrOfType<ArrayAttr>(onnx::kLayersAttr);
  if (!list)
    return;
  Builder b(module->getContext());
  llvm::StringMap<size_t> positions;
  for (auto [index, node] : llvm::enumerate(network.nodes))
    positions[node.name] = index;
  llvm::StringSet<> present;
  for (auto layer : list.getAsRange<DictionaryAttr>())
    present.insert(layer.getAs<StringAttr>("node").strref());

  llvm::StringSet<> constants = constantNodes(compiled);
  SmallVector<mlir::Attribute> rows;
  size_t next = 0; // of the network's nodes, the first not yet passed
  auto passUntil = [&](size_t end) {
    for (; next < end; ++next) {
      const Node &node = network.nodes[next];
      if (!present.contains(node.name))
        rows.push_back(b.getDictionaryAttr({b.getNamedAttr("node", b.getStringAttr(node.name)),
                                            b.getNamedAttr("op", b.getStringAttr(node.opType)),
                                            b.getNamedAttr("macs", b.getI64IntegerAttr(0))}));
    }
  };
  for (auto layer : list.getAsRange<DictionaryAttr>()) {
    StringRef name = layer.getAs<StringAttr>("node").strref();
    auto position = positions.find(name);
    if (position != positions.end())
      passUntil(position->second);
    else if (constants.contains(name))
      continue;
    rows.push_back(layer);
  }
  passUntil(network.nodes.size());
  module->setAttr(onnx::kLayersAttr, b.getArrayAttr(rows));
}

} // namespace npucc
