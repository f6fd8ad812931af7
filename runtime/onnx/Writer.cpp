//===- Writer.cpp - Writing ONNX files ----------------------------------------===//

#include "runtime/onnx/Writer.h"

#include "runtime/onnx/Errors.h"
#include "runtime/onnx/Upgrade.h"
#include "runtime/ops/Registry.h"
#include "runtime/reference/Reference.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <climits>
#include <set>

using namespace npucc;
using llvm::StringRef;

namespace {

/// Nodes that stay nodes when all their inputs are constant: those that mark what is quantised,
/// those whose result differs from run to run, and those that make much out of little.
bool staysNode(const Node &node) {
  static const char *const list[] = {"DequantizeLinear",
                                     "RandomNormalLike",
                                     "RandomUniformLike",
                                     "Multinomial",
                                     "Bernoulli",
                                     "If",
                                     "Loop",
                                     "Scan",
                                     "Dropout",
                                     "Range",
                                     "ConstantOfShape",
                                     "Expand",
                                     "Tile"};
  return std::any_of(std::begin(list), std::end(list),
                     [&](const char *op) { return node.opType == op; });
}

/// Evaluates the expressions of constants.
llvm::Error foldConstants(Graph &graph) {
  std::vector<Node> kept;
  for (Node &node : graph.nodes) {
    bool constant = !node.inputs.empty() && node.domain.empty() && !staysNode(node);
    std::vector<Tensor> inputs;
    for (ValueId id : node.inputs) {
      const Tensor *tensor = id == kNoValue ? nullptr : graph.constant(id);
      constant &= id == kNoValue || tensor;
      inputs.push_back(tensor ? *tensor : Tensor());
    }
    const OpInfo *info = findOp(node.domain, node.opType);
    if (!constant || !info || !info->kernel) {
      kept.push_back(std::move(node));
      continue;
    }
    auto results = evaluateNode(node, inputs);
    if (!results)
      return results.takeError();
    for (size_t i = 0; i < node.outputs.size() && i < results->size(); ++i)
      if (node.outputs[i] != kNoValue)
        graph.constants[node.outputs[i]] = (*results)[i];
  }
  graph.nodes = std::move(kept);
  return llvm::Error::success();
}

void setTensor(const Tensor &tensor, onnx::TensorProto &proto) {
  proto.set_data_type(static_cast<int32_t>(tensor.type()));
  for (int64_t size : tensor.shape())
    proto.add_dims(size);
  if (tensor.type() == ElementType::String)
    for (const std::string &text : tensor.stringValues())
      proto.add_string_data(text);
  else
    proto.set_raw_data(tensor.data(), tensor.byteSize());
}

void setInfo(const Value &value, const std::string &name, onnx::ValueInfoProto &info) {
  info.set_name(name);
  if (value.type == ElementType::Undefined)
    return;
  onnx::TypeProto::Tensor &type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<int32_t>(value.type));
  if (!value.dims)
    return;
  onnx::TensorShapeProto &shape = *type.mutable_shape();
  for (const Dim &dim : *value.dims) {
    auto &size = *shape.add_dim();
    if (dim.size >= 0)
      size.set_dim_value(dim.size);
    else if (!dim.symbol.empty() && dim.symbol != "?")
      size.set_dim_param(dim.symbol);
  }
}

class GraphWriter {
public:
  void write(const Graph &graph, onnx::GraphProto &proto) { write(graph, {}, proto); }

  int64_t opset = 21;
  std::set<std::string> domains; ///< beside the default one

private:
  using Names = std::vector<std::string>;

  void write(const Graph &graph, const Names &outer, onnx::GraphProto &proto);
  void writeNode(const Node &node, const Names &names, onnx::NodeProto &proto);
  void writeAttribute(const Attribute &attribute, const Names &names, onnx::AttributeProto &proto);

  /// Of values, over all graphs: an inner graph must not hide an outer value.
  NameSet unique;
};

void GraphWriter::write(const Graph &graph, const Names &outer, onnx::GraphProto &proto) {
  Names names(graph.values.size());
  for (auto [inner, id] : graph.captures)
    names[inner] = outer[id];
  auto give = [&](ValueId id) {
    if (id != kNoValue && names[id].empty())
      names[id] = unique.unique(graph.values[id].name.empty() ? "value" : graph.values[id].name);
  };
  // Inputs and outputs come first: users know their names.
  std::for_each(graph.inputs.begin(), graph.inputs.end(), give);
  std::for_each(graph.outputs.begin(), graph.outputs.end(), give);

  std::vector<bool> used(graph.values.size(), false), produced(graph.values.size(), false);
  auto use = [&](ValueId id) {
    give(id);
    if (id != kNoValue)
      used[id] = true;
  };
  for (const Node &node : graph.nodes) {
    std::for_each(node.inputs.begin(), node.inputs.end(), use);
    std::for_each(node.outputs.begin(), node.outputs.end(), give);
    for (ValueId id : node.outputs)
      if (id != kNoValue)
        produced[id] = true;
    for (const auto &[name, attribute] : node.attributes)
      if (auto *inner = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
        for (auto [innerId, id] : (*inner)->captures)
          use(id);
  }
  std::for_each(graph.outputs.begin(), graph.outputs.end(), use);

  proto.set_name(graph.name.empty() ? "graph" : graph.name);
  for (ValueId id : graph.inputs)
    setInfo(graph.values[id], names[id], *proto.add_input());
  for (const auto &[id, tensor] : graph.constants)
    if (used[id] && !names[id].empty() && !produced[id]) {
      onnx::TensorProto &initializer = *proto.add_initializer();
      initializer.set_name(names[id]);
      setTensor(tensor, initializer);
    }
  std::vector<bool> isOutput(graph.values.size(), false);
  std::vector<std::pair<ValueId, std::string>> copies;
  for (ValueId id : graph.outputs) {
    // Each output is the result of a node of this graph, and has a name of its own.
    std::string name = names[id];
    if (isOutput[id] || !produced[id]) {
      name = unique.unique(name);
      copies.emplace_back(id, name);
    }
    isOutput[id] = true;
    setInfo(graph.values[id], name, *proto.add_output());
  }
  for (const Node &node : graph.nodes) {
    writeNode(node, names, *proto.add_node());
    for (ValueId id : node.outputs)
      if (id != kNoValue && !isOutput[id] && graph.values[id].type != ElementType::Undefined)
        setInfo(graph.values[id], names[id], *proto.add_value_info());
  }
  for (const auto &[id, name] : copies) {
    onnx::NodeProto &copy = *proto.add_node();
    copy.set_op_type("Identity");
    copy.add_input(names[id]);
    copy.add_output(name);
  }
}

void GraphWriter::writeNode(const Node &node, const Names &names, onnx::NodeProto &proto) {
  proto.set_name(node.name);
  proto.set_op_type(node.opType);
  proto.set_domain(node.domain);
  if (!node.domain.empty())
    domains.insert(node.domain);
  else if (const OpInfo *info = findOp(node.domain, node.opType))
    opset = std::max<int64_t>(opset, info->since);
  for (ValueId id : node.inputs)
    proto.add_input(id == kNoValue ? "" : names[id]);
  for (ValueId id : node.outputs)
    proto.add_output(id == kNoValue ? "" : names[id]);
  for (const auto &[name, attribute] : node.attributes) {
    onnx::AttributeProto &written = *proto.add_attribute();
    written.set_name(name);
    writeAttribute(attribute, names, written);
  }
}

void GraphWriter::writeAttribute(const Attribute &attribute, const Names &names,
                                 onnx::AttributeProto &proto) {
  using Proto = onnx::AttributeProto;
  if (auto *integer = std::get_if<int64_t>(&attribute.value)) {
    proto.set_type(Proto::INT);
    proto.set_i(*integer);
  } else if (auto *number = std::get_if<float>(&attribute.value)) {
    proto.set_type(Proto::FLOAT);
    proto.set_f(*number);
  } else if (auto *text = std::get_if<std::string>(&attribute.value)) {
    proto.set_type(Proto::STRING);
    proto.set_s(*text);
  } else if (auto *tensor = std::get_if<Tensor>(&attribute.value)) {
    proto.set_type(Proto::TENSOR);
    setTensor(*tensor, *proto.mutable_t());
  } else if (auto *graph = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) {
    proto.set_type(Proto::GRAPH);
    write(**graph, names, *proto.mutable_g());
  } else if (auto *integers = std::get_if<std::vector<int64_t>>(&attribute.value)) {
    proto.set_type(Proto::INTS);
    proto.mutable_ints()->Add(integers->begin(), integers->end());
  } else if (auto *numbers = std::get_if<std::vector<float>>(&attribute.value)) {
    proto.set_type(Proto::FLOATS);
    proto.mutable_floats()->Add(numbers->begin(), numbers->end());
  } else if (auto *texts = std::get_if<std::vector<std::string>>(&attribute.value)) {
    proto.set_type(Proto::STRINGS);
    for (const std::string &each : *texts)
      proto.add_strings(each);
  }
}

llvm::Error writeFile(const std::string &bytes, const std::string &path) {
  std::error_code code;
  llvm::ToolOutputFile file(path, code, llvm::sys::fs::OF_None);
  if (code)
    return makeError("cannot be written: {0}", code.message());
  file.os() << bytes;
  file.os().close();
  if (file.os().has_error()) {
    code = file.os().error();
    file.os().clear_error();
    return makeError("cannot be written: {0}", code.message());
  }
  file.keep();
  return llvm::Error::success();
}

llvm::Error write(const Model &model, const std::string &path) {
  Graph graph = model.graph; // tensors are shared: a cheap copy
  if (llvm::Error error = foldConstants(graph))
    return error;
  onnx::ModelProto proto;
  GraphWriter writer;
  writer.write(graph, *proto.mutable_graph());
  proto.set_producer_name("npucc");
  proto.set_ir_version(writer.opset > 22 ? 11 : 10);
  proto.add_opset_import()->set_version(writer.opset);
  for (const std::string &domain : writer.domains) {
    onnx::OperatorSetIdProto &import = *proto.add_opset_import();
    import.set_domain(domain);
    import.set_version(1);
  }
  std::string bytes;
  if (proto.ByteSizeLong() > INT_MAX || !proto.SerializeToString(&bytes))
    return makeError("an ONNX file cannot have more than 2 GiB");
  return writeFile(bytes, path);
}

} // namespace

llvm::Error npucc::writeModel(const Model &model, const std::string &path) {
  // Protobuf and the standard library report a lack of memory by throwing.
  try {
    return prefixed(write(model, path), path + ": ");
  } catch (const std::exception &exception) {
    return makeError("{0}: {1}", path, exception.what());
  }
}
