//===- ModelBuilder.h - Small ONNX models for tests -------------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Loader.h"
#include "tests/runtime/TestSupport.h"

#include "llvm/Support/raw_ostream.h"

#include <onnx/onnx_pb.h>

namespace npucc::test {

inline void writeFile(const std::string &path, const std::string &bytes) {
  std::error_code code;
  llvm::raw_fd_ostream out(path, code);
  REQUIRE_FALSE(code);
  out << bytes;
}

/// A dimension: a size, or a symbol ("" for one that has neither).
struct TestDim {
  TestDim(int64_t size) : size(size) {}
  TestDim(const char *symbol) : symbol(symbol) {}
  int64_t size = -1;
  std::string symbol;
};

inline void setType(onnx::ValueInfoProto &info, ElementType type,
                    const std::vector<TestDim> &dims) {
  auto *tensor = info.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(static_cast<int32_t>(type));
  tensor->mutable_shape();
  for (const TestDim &dim : dims) {
    auto *proto = tensor->mutable_shape()->add_dim();
    if (dim.size >= 0)
      proto->set_dim_value(dim.size);
    else if (!dim.symbol.empty())
      proto->set_dim_param(dim.symbol);
  }
}

/// One node under construction.
struct NodeBuilder {
  onnx::NodeProto &proto;

  onnx::AttributeProto &add(const std::string &name, onnx::AttributeProto::AttributeType type) {
    auto *attribute = proto.add_attribute();
    attribute->set_name(name);
    attribute->set_type(type);
    return *attribute;
  }
  NodeBuilder &i(const std::string &name, int64_t value) {
    add(name, onnx::AttributeProto::INT).set_i(value);
    return *this;
  }
  NodeBuilder &f(const std::string &name, float value) {
    add(name, onnx::AttributeProto::FLOAT).set_f(value);
    return *this;
  }
  NodeBuilder &s(const std::string &name, const std::string &value) {
    add(name, onnx::AttributeProto::STRING).set_s(value);
    return *this;
  }
  NodeBuilder &ints(const std::string &name, const std::vector<int64_t> &values) {
    auto &attribute = add(name, onnx::AttributeProto::INTS);
    for (int64_t value : values)
      attribute.add_ints(value);
    return *this;
  }
  NodeBuilder &floats(const std::string &name, const std::vector<float> &values) {
    auto &attribute = add(name, onnx::AttributeProto::FLOATS);
    for (float value : values)
      attribute.add_floats(value);
    return *this;
  }
  onnx::GraphProto &graph(const std::string &name) {
    return *add(name, onnx::AttributeProto::GRAPH).mutable_g();
  }
  onnx::TensorProto &tensor(const std::string &name) {
    return *add(name, onnx::AttributeProto::TENSOR).mutable_t();
  }
};

/// Functions to fill a graph, the main one or a subgraph.
struct GraphFiller {
  onnx::GraphProto &proto;

  void input(const std::string &name, const std::vector<TestDim> &dims,
             ElementType type = ElementType::Float32) {
    auto *info = proto.add_input();
    info->set_name(name);
    setType(*info, type, dims);
  }
  void output(const std::string &name) { proto.add_output()->set_name(name); }
  NodeBuilder node(const std::string &opType, const std::vector<std::string> &inputs,
                   const std::vector<std::string> &outputs, const std::string &name = "") {
    auto *node = proto.add_node();
    node->set_op_type(opType);
    node->set_name(name);
    for (const std::string &input : inputs)
      node->add_input(input);
    for (const std::string &output : outputs)
      node->add_output(output);
    return {*node};
  }
  onnx::TensorProto &initializer(const std::string &name, ElementType type,
                                 const std::vector<int64_t> &dims) {
    auto *tensor = proto.add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(static_cast<int32_t>(type));
    for (int64_t dim : dims)
      tensor->add_dims(dim);
    return *tensor;
  }
  void ints(const std::string &name, const std::vector<int64_t> &values) {
    auto &tensor = initializer(name, ElementType::Int64, {static_cast<int64_t>(values.size())});
    for (int64_t value : values)
      tensor.add_int64_data(value);
  }
  void floats(const std::string &name, const std::vector<int64_t> &dims,
              const std::vector<float> &values) {
    auto &tensor = initializer(name, ElementType::Float32, dims);
    for (float value : values)
      tensor.add_float_data(value);
  }
};

struct ModelStorage {
  TemporaryFolder folder;
  onnx::ModelProto model;
};

/// A model with an empty main graph, and where it is written.
struct ModelBuilder : ModelStorage, GraphFiller {
  explicit ModelBuilder(int64_t opset = 21) : GraphFiller{*model.mutable_graph()} {
    model.set_ir_version(8);
    auto *import = model.add_opset_import();
    import->set_domain("");
    import->set_version(opset);
  }
  ModelBuilder(const ModelBuilder &) = delete;

  std::string path() const { return folder.file("model.onnx"); }
  llvm::Expected<Model> load() {
    writeFile(path(), model.SerializeAsString());
    return loadModel(path());
  }
  Model loaded() { return check(load()); }
  Model prepared(const Bindings &bindings = {}) {
    Model result = loaded();
    check(prepare(result, bindings));
    return result;
  }
  std::string error() { return errorOf(load()); }
  std::string prepareError(const Bindings &bindings = {}) {
    Model result = loaded();
    return errorOf(prepare(result, bindings));
  }
};

/// The operators of a graph, in order, separated by spaces.
inline std::string operators(const Graph &graph) {
  std::string result;
  for (const Node &node : graph.nodes)
    result += (result.empty() ? "" : " ") + node.opType;
  return result;
}

/// The contents of an integer constant that a node reads.
inline std::vector<int64_t> intsOf(const Graph &graph, const Node &node, size_t input) {
  REQUIRE(input < node.inputs.size());
  const Tensor *tensor = graph.constant(node.inputs[input]);
  REQUIRE(tensor);
  std::vector<int64_t> result;
  for (int64_t i = 0; i < tensor->size(); ++i)
    result.push_back(tensor->asInt(i));
  return result;
}

inline std::vector<int64_t> outputShape(const Graph &graph, size_t output = 0) {
  const Value &value = graph.values[graph.outputs[output]];
  REQUIRE(value.isStatic());
  Shape shape = value.shape();
  return {shape.begin(), shape.end()};
}

inline bool contains(const std::string &text, const std::string &part) {
  INFO("'" << part << "' in: " << text);
  CHECK(text.find('\n') == std::string::npos);
  bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

} // namespace npucc::test
