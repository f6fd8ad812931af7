//===- GraphEdit.cpp - Adding nodes to a prepared graph -------------------===//
#include "runtime/quantize/GraphEdit.h"

#include "runtime/onnx/Errors.h"
#include "runtime/onnx/Loader.h"
#include "runtime/reference/Reference.h"

#include "llvm/ADT/STLExtras.h"

#include <functional>

using namespace npucc;

llvm::SmallVector<ValueId, 4> npucc::valuesRead(const Node &node) {
  llvm::SmallVector<ValueId, 4> result;
  for (ValueId id : node.inputs)
    if (id != kNoValue)
      result.push_back(id);
  for (const auto &[name, attribute] : node.attributes)
    if (auto *graph = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
      for (auto [inner, outer] : (*graph)->captures)
        result.push_back(outer);
  return result;
}

/// Operators whose result is not a function of their inputs.
static bool isRandom(const Node &node) {
  if (isSeededRandom(node))
    return false;
  return llvm::StringRef(node.opType).starts_with("Random") || node.opType == "Multinomial" ||
         node.opType == "Bernoulli" || node.opType == "Dropout";
}

GraphEdit::GraphEdit(Graph &graph, int64_t foldLimit) : target(graph), foldLimit(foldLimit) {
  grow();
  for (const Value &value : graph.values)
    valueNames.insert(value.name);
  for (const Node &node : graph.nodes)
    nodeNames.insert(node.name);
  for (ValueId id : graph.outputs)
    outputs[id] = true;
  for (const auto &[id, tensor] : graph.constants)
    constants[id] = true;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    indexNode(static_cast<int>(i));
}

void GraphEdit::grow() {
  producers.resize(target.values.size(), -1);
  readers.resize(target.values.size());
  outputs.resize(target.values.size());
  constants.resize(target.values.size());
}

void GraphEdit::indexNode(int index) {
  const Node &node = target.nodes[index];
  bool constant = !isRandom(node) && (!node.inputs.empty() || isSeededRandom(node));
  for (ValueId id : valuesRead(node)) {
    if (readers[id].empty() || readers[id].back() != index)
      readers[id].push_back(index);
    constant &= constants[id];
  }
  for (ValueId id : node.outputs)
    if (id != kNoValue) {
      producers[id] = index;
      constants[id] = constant;
    }
}

/// `name`, or that with a number where it is taken.
static std::string unique(llvm::StringSet<> &names, const llvm::Twine &name) {
  std::string base = name.str(), result = base;
  for (int i = 1; !names.insert(result).second; ++i)
    result = base + "_" + std::to_string(i);
  return result;
}

ValueId GraphEdit::addValue(const llvm::Twine &name, ElementType type,
                            llvm::ArrayRef<int64_t> shape) {
  Value value;
  value.name = unique(valueNames, name);
  value.type = type;
  value.dims.emplace();
  for (int64_t size : shape)
    value.dims->push_back(Dim{size, ""});
  target.values.push_back(std::move(value));
  grow();
  return static_cast<ValueId>(target.values.size()) - 1;
}

ValueId GraphEdit::addConstant(const llvm::Twine &name, Tensor tensor) {
  ValueId id = addValue(name, tensor.type(), tensor.shape());
  target.constants[id] = std::move(tensor);
  constants[id] = true;
  return id;
}

ValueId GraphEdit::addFloats(const llvm::Twine &name, ElementType type,
                             llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<float> values) {
  Tensor tensor = Tensor::of<float>(ElementType::Float32, shape, values);
  return addConstant(name, type == ElementType::Float32 ? tensor : castTensor(tensor, type));
}

ValueId GraphEdit::addInts(const llvm::Twine &name, llvm::ArrayRef<int64_t> values) {
  return addConstant(name, Tensor::of<int64_t>(ElementType::Int64,
                                               {static_cast<int64_t>(values.size())}, values));
}

llvm::Expected<ValueId> GraphEdit::addNode(const llvm::Twine &name, llvm::StringRef opType,
                                           llvm::ArrayRef<ValueId> inputs, ElementType type,
                                           llvm::ArrayRef<int64_t> shape,
                                           Attributes attributes) {
  std::optional<int64_t> count = checkedElementCount(shape);
  bool fold = count && *count <= foldLimit;
  std::vector<Tensor> operands;
  for (ValueId id : inputs) {
    const Tensor *tensor = id == kNoValue ? nullptr : target.constant(id);
    fold &= id == kNoValue || (tensor && tensor->size() <= foldLimit);
    operands.push_back(tensor ? *tensor : Tensor());
  }
  if (fold) {
    Node node{name.str(), opType.str(), "", inputs.vec(), {kNoValue}, std::move(attributes)};
    llvm::Expected<Tensors> results = evaluateNode(node, operands);
    if (!results)
      return prefixed(results.takeError(), node.name + " (" + node.opType + "): ");
    return addConstant(name, (*results)[0]);
  }
  ValueId output = addValue(name, type, shape);
  addNodeInto(name, opType, inputs, output, std::move(attributes));
  return output;
}

void GraphEdit::addNodeInto(const llvm::Twine &name, llvm::StringRef opType,
                            llvm::ArrayRef<ValueId> inputs, ValueId output,
                            Attributes attributes) {
  target.nodes.push_back(
      Node{unique(nodeNames, name), opType.str(), "", inputs.vec(), {output}, std::move(attributes)});
  indexNode(static_cast<int>(target.nodes.size()) - 1);
}

void GraphEdit::finish() {
  // Depth first over what each node reads, starting in the old order. An index made
  // anew: callers have redirected inputs and outputs.
  size_t count = target.nodes.size();
  std::vector<int> producer(target.values.size(), -1);
  for (size_t i = 0; i < count; ++i)
    if (!target.nodes[i].opType.empty())
      for (ValueId id : target.nodes[i].outputs)
        if (id != kNoValue)
          producer[id] = static_cast<int>(i);

  // What the graph's outputs need.
  std::vector<bool> live(count, false);
  std::vector<int> work;
  auto need = [&](ValueId id) {
    if (int index = producer[id]; index >= 0 && !live[index]) {
      live[index] = true;
      work.push_back(index);
    }
  };
  for (ValueId id : target.outputs)
    need(id);
  while (!work.empty()) {
    int index = work.back();
    work.pop_back();
    for (ValueId id : valuesRead(target.nodes[index]))
      need(id);
  }

  std::vector<bool> placed(count, false);
  std::vector<int> order;
  std::function<void(int)> place = [&](int index) {
    if (placed[index])
      return;
    placed[index] = true;
    for (ValueId id : valuesRead(target.nodes[index]))
      if (producer[id] >= 0)
        place(producer[id]);
    order.push_back(index);
  };
  for (size_t i = 0; i < count; ++i)
    if (live[i])
      place(static_cast<int>(i));

  std::vector<Node> nodes;
  for (int index : order)
    nodes.push_back(std::move(target.nodes[index]));
  target.nodes = std::move(nodes);

  // Constants that nothing reads any more: originals of folded parameters.
  std::vector<bool> read(target.values.size(), false);
  for (const Node &node : target.nodes)
    for (ValueId id : valuesRead(node))
      read[id] = true;
  for (ValueId id : target.outputs)
    read[id] = true;
  for (auto it = target.constants.begin(); it != target.constants.end();)
    it = read[it->first] ? std::next(it) : target.constants.erase(it);
}
