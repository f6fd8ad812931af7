//===- Functions.cpp - Inlines model-local functions --------------------------===//

#include "runtime/onnx/Functions.h"

#include "runtime/onnx/Errors.h"

#include <onnx/onnx_pb.h>

using namespace npucc;
using llvm::StringRef;

namespace {

constexpr int kMaxDepth = 64;
/// Functions that call functions can grow without bound; no real model comes near.
constexpr int64_t kMaxCalls = 50000, kMaxCopiedBytes = int64_t(1) << 26;

// Fields newer than the protobuf definitions that Debian ships are still there,
// as unknown fields.
constexpr int kFunctionAttributeProto = 11, kFunctionOverload = 13, kNodeOverload = 8;

std::string unknownString(const google::protobuf::UnknownFieldSet &fields, int number) {
  for (int i = 0; i < fields.field_count(); ++i)
    if (fields.field(i).number() == number &&
        fields.field(i).type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      return fields.field(i).length_delimited();
  return {};
}

std::string key(StringRef domain, StringRef name, StringRef overload) {
  if (domain == "ai.onnx")
    domain = "";
  return (domain + llvm::Twine('\0') + name + llvm::Twine('\0') + overload).str();
}

} // namespace

struct FunctionInliner::Call {
  std::string prefix;                       ///< for names that the function defines
  std::map<std::string, std::string> names; ///< formal to actual values
  std::map<std::string, const onnx::AttributeProto *> attributes;

  std::string rename(const std::string &name) const {
    if (name.empty())
      return name;
    auto it = names.find(name);
    return it != names.end() ? it->second : prefix + name;
  }
};

llvm::Error FunctionInliner::addFunctions(const onnx::ModelProto &model) {
  OpsetImports modelOpsets = readOpsets(model.opset_import());
  for (const onnx::FunctionProto &proto : model.functions()) {
    Function function{&proto, readOpsets(proto.opset_import()), {}};
    function.opsets.insert(modelOpsets.begin(), modelOpsets.end());
    const auto &unknown = proto.unknown_fields();
    for (int i = 0; i < unknown.field_count(); ++i) {
      const auto &field = unknown.field(i);
      if (field.number() != kFunctionAttributeProto ||
          field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
        continue;
      auto attribute = std::make_shared<onnx::AttributeProto>();
      if (!attribute->ParseFromString(field.length_delimited()))
        return makeError("function {0}: a default attribute cannot be parsed",
                         quoted(proto.name()));
      function.defaults.push_back(std::move(attribute));
    }
    std::string id = key(proto.domain(), proto.name(), unknownString(unknown, kFunctionOverload));
    if (!functions.emplace(id, std::move(function)).second)
      return makeError("function {0} is defined twice", quoted(proto.name()));
  }
  return llvm::Error::success();
}

const FunctionInliner::Function *FunctionInliner::find(const onnx::NodeProto &node) const {
  if (functions.empty())
    return nullptr;
  auto it = functions.find(
      key(node.domain(), node.op_type(), unknownString(node.unknown_fields(), kNodeOverload)));
  return it == functions.end() ? nullptr : &it->second;
}

/// Renames the values of a node of the function, or of a graph in it, and puts the
/// call's attributes where the function refers to them.
llvm::Error FunctionInliner::instantiate(onnx::NodeProto &node, const Call &call, int depth) const {
  if (depth > kMaxDepth)
    return makeError("graphs are nested more than {0} deep", kMaxDepth);
  for (std::string &name : *node.mutable_input())
    name = call.rename(name);
  for (std::string &name : *node.mutable_output())
    name = call.rename(name);
  if (!node.name().empty())
    node.set_name(call.prefix + node.name());

  for (int i = 0; i < node.attribute_size();) {
    onnx::AttributeProto &attribute = *node.mutable_attribute(i);
    if (!attribute.ref_attr_name().empty()) {
      auto actual = call.attributes.find(attribute.ref_attr_name());
      if (actual == call.attributes.end()) {
        // Neither given nor defaulted: the operator's own default holds.
        node.mutable_attribute()->DeleteSubrange(i, 1);
        continue;
      }
      std::string name = attribute.name();
      attribute = *actual->second;
      attribute.set_name(name);
      ++i;
      continue; // the call's graphs are not the function's to rename
    }
    std::vector<onnx::GraphProto *> graphs;
    if (attribute.has_g())
      graphs.push_back(attribute.mutable_g());
    for (onnx::GraphProto &graph : *attribute.mutable_graphs())
      graphs.push_back(&graph);
    for (onnx::GraphProto *graph : graphs) {
      auto renameAll = [&](auto &list) {
        for (auto &entry : list)
          entry.set_name(call.rename(entry.name()));
      };
      renameAll(*graph->mutable_input());
      renameAll(*graph->mutable_output());
      renameAll(*graph->mutable_value_info());
      renameAll(*graph->mutable_initializer());
      for (auto &sparse : *graph->mutable_sparse_initializer())
        sparse.mutable_values()->set_name(call.rename(sparse.values().name()));
      for (onnx::NodeProto &inner : *graph->mutable_node())
        if (llvm::Error error = instantiate(inner, call, depth + 1))
          return error;
    }
    ++i;
  }
  return llvm::Error::success();
}

llvm::Error FunctionInliner::expand(const SourceNode &node, std::vector<SourceNode> &out,
                                    int depth) {
  const Function *function = find(*node.proto);
  if (!function) {
    out.push_back(node);
    return llvm::Error::success();
  }
  const onnx::FunctionProto &body = *function->proto;
  const onnx::NodeProto &caller = *node.proto;
  if (depth > kMaxDepth)
    return makeError("function {0} calls itself, or calls are nested more than {1} deep",
                     quoted(body.name()), kMaxDepth);
  if (++calls > kMaxCalls)
    return makeError("the model's functions expand to more than {0} calls", kMaxCalls);
  if (caller.input_size() > body.input_size() || caller.output_size() > body.output_size())
    return makeError("node {0}: function {1} takes {2} inputs and gives {3} outputs",
                     quoted(caller.name()), quoted(body.name()), body.input_size(),
                     body.output_size());

  Call call;
  // Two calls may bear one name, so the count makes the prefix unique.
  call.prefix =
      (caller.name().empty() ? body.name() : caller.name()) + "_" + std::to_string(calls) + "/";
  for (int i = 0; i < body.input_size(); ++i)
    call.names[body.input(i)] = i < caller.input_size() ? caller.input(i) : "";
  std::vector<onnx::NodeProto> passThrough;
  for (int i = 0; i < body.output_size(); ++i) {
    if (i >= caller.output_size() || caller.output(i).empty())
      continue;
    auto inserted = call.names.emplace(body.output(i), caller.output(i));
    if (inserted.second)
      continue;
    // An output that is an input, or the same as another output.
    onnx::NodeProto identity;
    identity.set_op_type("Identity");
    identity.add_input(inserted.first->second);
    identity.add_output(caller.output(i));
    passThrough.push_back(std::move(identity));
  }
  for (const auto &attribute : function->defaults)
    call.attributes[attribute->name()] = attribute.get();
  for (const onnx::AttributeProto &attribute : caller.attribute())
    call.attributes[attribute.name()] = &attribute;

  auto add = [&](std::shared_ptr<onnx::NodeProto> copy) {
    return expand({std::move(copy), &function->opsets}, out, depth + 1);
  };
  for (const onnx::NodeProto &inner : body.node()) {
    auto copy = std::make_shared<onnx::NodeProto>(inner);
    if (llvm::Error error = instantiate(*copy, call, 0))
      return error;
    copiedBytes += static_cast<int64_t>(copy->ByteSizeLong());
    if (copiedBytes > kMaxCopiedBytes)
      return makeError("the model's functions expand to too large a graph");
    if (llvm::Error error = add(std::move(copy)))
      return error;
  }
  for (onnx::NodeProto &identity : passThrough)
    if (llvm::Error error = add(std::make_shared<onnx::NodeProto>(std::move(identity))))
      return error;
  return llvm::Error::success();
}
