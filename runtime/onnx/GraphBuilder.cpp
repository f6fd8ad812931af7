//===- GraphBuilder.cpp - From GraphProto to Graph ----------------------------===//

#include "runtime/onnx/GraphBuilder.h"

#include "runtime/onnx/AttributeKinds.h"
#include "runtime/onnx/Errors.h"
#include "runtime/onnx/Prepare.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <functional>
#include <queue>

using namespace npucc;
using llvm::StringRef;

namespace {

constexpr int kMaxDepth = 64;

std::string describe(const Node &node) {
  return "node " + quoted(node.name) + " (" + quoted(node.opType).substr(1, node.opType.size()) +
         "): ";
}

void setType(Value &value, const Tensor &tensor) {
  value.type = tensor.type();
  value.dims.emplace();
  for (int64_t size : tensor.shape())
    value.dims->push_back({size, ""});
}

} // namespace

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

llvm::Expected<ValueId> GraphBuilder::define(const std::string &name, Scope &scope) {
  auto id = static_cast<ValueId>(scope.graph.values.size());
  if (!scope.ids.try_emplace(name, id).second)
    return makeError("value {0} is defined twice", quoted(name));
  Value value;
  value.name = name;
  scope.graph.values.push_back(std::move(value));
  return id;
}

ValueId GraphBuilder::lookUp(const std::string &name, Scope &scope) {
  auto it = scope.ids.find(name);
  if (it != scope.ids.end())
    return it->second;
  if (!scope.parent)
    return kNoValue;
  ValueId outer = lookUp(name, *scope.parent);
  if (outer == kNoValue)
    return kNoValue;
  auto inner = static_cast<ValueId>(scope.graph.values.size());
  scope.graph.values.push_back(scope.parent->graph.values[outer]);
  scope.graph.captures.emplace_back(inner, outer);
  scope.ids[name] = inner;
  return inner;
}

/// `required`: a type that is no tensor is an error, else it is left out.
llvm::Error GraphBuilder::readType(const onnx::TypeProto &type, bool required, Value &value) {
  if (!type.has_tensor_type()) {
    if (required)
      return makeError("{0} is not a tensor, which is not supported", quoted(value.name));
    return llvm::Error::success();
  }
  const auto &tensor = type.tensor_type();
  auto elementType = checkedElementType(tensor.elem_type());
  if (elementType)
    value.type = *elementType;
  else if (required)
    return prefixed(elementType.takeError(), quoted(value.name) + ": ");
  else
    llvm::consumeError(elementType.takeError());
  if (!tensor.has_shape())
    return llvm::Error::success();
  value.dims.emplace();
  for (const auto &dim : tensor.shape().dim()) {
    Dim result;
    if (dim.has_dim_value() && dim.dim_value() >= 0)
      result.size = dim.dim_value();
    else if (dim.has_dim_param() && !dim.dim_param().empty())
      result.symbol = dim.dim_param();
    else
      result.symbol = "?";
    value.dims->push_back(std::move(result));
  }
  if (isPlausible(*value.dims))
    return llvm::Error::success();
  if (required)
    return makeError("{0} is too large", quoted(value.name));
  value.dims.reset();
  return llvm::Error::success();
}

llvm::Error GraphBuilder::readInitializers(const onnx::GraphProto &proto,
                                           std::shared_ptr<const void> owner, Scope &scope) {
  auto add = [&](const std::string &name, const auto &initializer) -> llvm::Error {
    auto id = define(name, scope);
    if (!id)
      return id.takeError();
    auto tensor = tensors.read(initializer, owner);
    if (!tensor)
      return prefixed(tensor.takeError(), "initializer " + quoted(name) + ": ");
    setType(scope.graph.values[*id], *tensor);
    scope.graph.constants[*id] = std::move(*tensor);
    return llvm::Error::success();
  };
  for (const onnx::TensorProto &initializer : proto.initializer())
    if (llvm::Error error = add(initializer.name(), initializer))
      return error;
  for (const onnx::SparseTensorProto &initializer : proto.sparse_initializer())
    if (llvm::Error error = add(initializer.values().name(), initializer))
      return error;
  return llvm::Error::success();
}

llvm::Error GraphBuilder::readInputs(const onnx::GraphProto &proto, Scope &scope) {
  bool main = !scope.parent;
  llvm::StringMap<bool> seen;
  for (const onnx::ValueInfoProto &input : proto.input()) {
    if (input.name().empty())
      return makeError("an input has no name");
    if (!seen.try_emplace(input.name(), true).second)
      return makeError("input {0} is listed twice", quoted(input.name()));
    auto known = scope.ids.find(input.name());
    // Up to IR 3 every initializer is listed as an input too; later that makes it
    // a default, which stands unless someone feeds the input. Nobody does here.
    if (known != scope.ids.end() && scope.graph.constants.count(known->second))
      continue;
    auto id = define(input.name(), scope);
    if (!id)
      return id.takeError();
    if (llvm::Error error = readType(input.type(), main, scope.graph.values[*id]))
      return prefixed(std::move(error), "input ");
    scope.graph.inputs.push_back(*id);
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

llvm::Expected<Attribute> GraphBuilder::readAttribute(const onnx::AttributeProto &proto,
                                                      const SourceNode &source, Scope &scope) {
  using Proto = onnx::AttributeProto;
  Proto::AttributeType type = proto.type();
  if (type == Proto::UNDEFINED) { // very old files left it out
    type = proto.has_f()               ? Proto::FLOAT
           : proto.has_i()             ? Proto::INT
           : proto.has_s()             ? Proto::STRING
           : proto.has_t()             ? Proto::TENSOR
           : proto.has_g()             ? Proto::GRAPH
           : proto.floats_size()       ? Proto::FLOATS
           : proto.strings_size()      ? Proto::STRINGS
           : proto.has_sparse_tensor() ? Proto::SPARSE_TENSOR
                                       : Proto::INTS;
  }
  auto fromTensor = [](llvm::Expected<Tensor> tensor) -> llvm::Expected<Attribute> {
    if (!tensor)
      return tensor.takeError();
    return Attribute{std::move(*tensor)};
  };
  switch (type) {
  case Proto::INT:
    return Attribute{static_cast<int64_t>(proto.i())};
  case Proto::FLOAT:
    return Attribute{proto.f()};
  case Proto::STRING:
    return Attribute{proto.s()};
  case Proto::INTS:
    return Attribute{std::vector<int64_t>(proto.ints().begin(), proto.ints().end())};
  case Proto::FLOATS:
    return Attribute{std::vector<float>(proto.floats().begin(), proto.floats().end())};
  case Proto::STRINGS:
    return Attribute{std::vector<std::string>(proto.strings().begin(), proto.strings().end())};
  case Proto::TENSOR:
    return fromTensor(tensors.read(proto.t(), source.proto));
  case Proto::SPARSE_TENSOR:
    return fromTensor(tensors.read(proto.sparse_tensor(), source.proto));
  case Proto::GRAPH: {
    auto graph = std::make_shared<Graph>();
    if (llvm::Error error =
            build(proto.g(), source.proto, *source.opsets, &scope, scope.depth + 1, *graph))
      return std::move(error);
    return Attribute{std::move(graph)};
  }
  default:
    return makeError("its kind ({0}) is not supported", static_cast<int>(type));
  }
}

llvm::Error GraphBuilder::readAttributes(const SourceNode &source, Scope &scope, Node &node) {
  std::string where = describe(node);
  for (const onnx::AttributeProto &proto : source.proto->attribute()) {
    if (!proto.ref_attr_name().empty())
      return makeError("{0}attribute {1} refers to a function's attribute outside a function",
                       where, quoted(proto.name()));
    if (proto.type() == onnx::AttributeProto::TYPE_PROTO)
      continue; // of sequence and optional operators, which are not supported anyway
    auto attribute = readAttribute(proto, source, scope);
    if (!attribute) {
      // Of graphs deep within graphs the outermost and the innermost node say enough.
      if (scope.depth >= 2 && proto.has_g())
        return attribute.takeError();
      return prefixed(attribute.takeError(), where + "attribute " + quoted(proto.name()) + ": ");
    }
    bool known = node.domain.empty() || node.domain == "com.microsoft";
    if (known && proto.type() != onnx::AttributeProto::UNDEFINED)
      if (llvm::Error error = checkAttributeKind(proto.name(), *attribute))
        return prefixed(std::move(error), where + "attribute " + quoted(proto.name()) + ": ");
    node.attributes.insert_or_assign(proto.name(), std::move(*attribute));
  }
  return llvm::Error::success();
}

/// Constant nodes become constants of the graph.
llvm::Error GraphBuilder::readConstant(const Node &node, Scope &scope) {
  if (node.attributes.size() != 1 || node.outputs.size() != 1 || node.outputs[0] == kNoValue)
    return makeError("it must have one output and one attribute with the value");
  const auto &[key, attribute] = *node.attributes.begin();
  Tensor tensor;
  if (const Tensor *value = node.getTensor("value"))
    tensor = *value;
  else if (const Tensor *value = node.getTensor("sparse_value"))
    tensor = *value;
  else if (auto *value = std::get_if<int64_t>(&attribute.value))
    tensor = Tensor::of<int64_t>(ElementType::Int64, {}, *value);
  else if (auto *value = std::get_if<float>(&attribute.value))
    tensor = Tensor::of<float>(ElementType::Float32, {}, *value);
  else if (auto *value = std::get_if<std::string>(&attribute.value))
    tensor = Tensor::strings({}, {*value});
  else if (auto *value = std::get_if<std::vector<int64_t>>(&attribute.value))
    tensor = Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(value->size())}, *value);
  else if (auto *value = std::get_if<std::vector<float>>(&attribute.value))
    tensor = Tensor::of<float>(ElementType::Float32, {static_cast<int64_t>(value->size())}, *value);
  else if (auto *value = std::get_if<std::vector<std::string>>(&attribute.value))
    tensor = Tensor::strings({static_cast<int64_t>(value->size())}, *value);
  else
    return makeError("attribute {0} is not a value", quoted(key));
  setType(scope.graph.values[node.outputs[0]], tensor);
  scope.graph.constants[node.outputs[0]] = std::move(tensor);
  return llvm::Error::success();
}

llvm::Error GraphBuilder::readNode(const SourceNode &source, size_t index, Scope &scope,
                                   std::vector<Node> &nodes) {
  const onnx::NodeProto &proto = *source.proto;
  Node node;
  node.opType = proto.op_type();
  node.domain = proto.domain() == "ai.onnx" ? "" : proto.domain();
  node.name = nodeNames.unique(proto.name().empty() ? node.opType + "_" + std::to_string(index)
                                                    : proto.name());
  std::string where = describe(node);
  if (node.opType.empty())
    return makeError("node {0} has no operator", quoted(node.name));

  for (const std::string &name : proto.input()) {
    ValueId id = name.empty() ? kNoValue : lookUp(name, scope);
    if (id == kNoValue && !name.empty())
      return makeError("{0}input {1} is not defined anywhere", where, quoted(name));
    node.inputs.push_back(id);
  }
  for (const std::string &name : proto.output())
    node.outputs.push_back(name.empty() ? kNoValue : scope.ids.lookup(name));
  if (llvm::Error error = readAttributes(source, scope, node))
    return error;

  if (!node.domain.empty()) {
    nodes.push_back(std::move(node));
    return llvm::Error::success();
  }
  auto import = source.opsets->find("");
  if (import == source.opsets->end())
    return makeError("{0}the file does not say which opset it uses", where);
  if (node.opType == "Constant")
    return prefixed(readConstant(node, scope), where);
  NodeSink sink{scope.graph, nodes, nodeNames};
  return prefixed(upgradeNode(std::move(node), import->second, sink), where);
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

llvm::Error GraphBuilder::build(const onnx::GraphProto &proto, std::shared_ptr<const void> owner,
                                const OpsetImports &opsets, Scope *parent, int depth,
                                Graph &graph) {
  if (depth > kMaxDepth)
    return makeError("graphs are nested more than {0} deep", kMaxDepth);
  graph.name = proto.name();
  Scope scope{graph, parent, depth, {}};
  if (llvm::Error error = readInitializers(proto, owner, scope))
    return error;
  if (llvm::Error error = readInputs(proto, scope))
    return error;

  std::vector<SourceNode> sources;
  sources.reserve(proto.node_size());
  for (const onnx::NodeProto &node : proto.node())
    if (llvm::Error error = functions.expand(
            {std::shared_ptr<const onnx::NodeProto>(owner, &node), &opsets}, sources))
      return error;
  // All names first: a file's nodes need not be in order.
  for (const SourceNode &source : sources)
    for (const std::string &name : source.proto->output())
      if (!name.empty())
        if (auto id = define(name, scope); !id)
          return prefixed(id.takeError(), "node " + quoted(source.proto->name()) + ": ");
  for (const auto *list : {&proto.value_info(), &proto.output()})
    for (const onnx::ValueInfoProto &info : *list) {
      auto known = scope.ids.find(info.name());
      if (known == scope.ids.end() || graph.values[known->second].dims ||
          graph.values[known->second].type != ElementType::Undefined)
        continue;
      if (llvm::Error error = readType(info.type(), false, graph.values[known->second]))
        return error;
    }

  for (size_t i = 0; i < sources.size(); ++i)
    if (llvm::Error error = readNode(sources[i], i, scope, graph.nodes))
      return error;
  for (const onnx::ValueInfoProto &output : proto.output()) {
    ValueId id = lookUp(output.name(), scope);
    if (id == kNoValue)
      return makeError("output {0} is not defined anywhere", quoted(output.name()));
    graph.outputs.push_back(id);
  }
  return sortNodes(graph);
}

namespace {

/// Calls body(value) for everything that a node reads, also through its subgraphs.
template <typename Body> void forEachUse(const Node &node, Body body) {
  for (ValueId id : node.inputs)
    if (id != kNoValue)
      body(id);
  for (const auto &[name, attribute] : node.attributes)
    if (auto *graph = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
      for (auto [inner, outer] : (*graph)->captures)
        body(outer);
}

} // namespace

llvm::Error npucc::sortNodes(Graph &graph) {
  size_t count = graph.nodes.size();
  std::vector<int64_t> producer(graph.values.size(), -1);
  for (size_t i = 0; i < count; ++i)
    for (ValueId id : graph.nodes[i].outputs)
      if (id != kNoValue)
        producer[id] = static_cast<int64_t>(i);

  bool sorted = true;
  std::vector<std::vector<size_t>> users(count);
  std::vector<size_t> waitsFor(count, 0);
  for (size_t i = 0; i < count; ++i)
    forEachUse(graph.nodes[i], [&](ValueId id) {
      if (producer[id] < 0)
        return;
      sorted &= producer[id] < static_cast<int64_t>(i);
      users[producer[id]].push_back(i);
      ++waitsFor[i];
    });
  if (sorted)
    return llvm::Error::success();

  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < count; ++i)
    if (!waitsFor[i])
      ready.push(i);
  std::vector<Node> order;
  while (!ready.empty()) {
    size_t next = ready.top();
    ready.pop();
    for (size_t user : users[next])
      if (--waitsFor[user] == 0)
        ready.push(user);
    order.push_back(std::move(graph.nodes[next]));
  }
  if (order.size() < count)
    for (size_t i = 0; i < count; ++i)
      if (waitsFor[i])
        return makeError("{0}it needs its own output: the graph has a cycle",
                         describe(graph.nodes[i]));
  graph.nodes = std::move(order);
  return llvm::Error::success();
}
