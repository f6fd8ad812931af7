//===- Graph.cpp - An ONNX graph after loading --------------------------------===//

#include "runtime/onnx/Graph.h"

#include <algorithm>

using namespace npucc;
using llvm::StringRef;

/// The attribute's value if it exists and has the kind T.
template <typename T> static const T *find(const Node &node, StringRef name) {
  auto it = node.attributes.find(std::string_view(name));
  return it == node.attributes.end() ? nullptr : std::get_if<T>(&it->second.value);
}

bool Node::has(StringRef name) const {
  return attributes.find(std::string_view(name)) != attributes.end();
}

int64_t Node::getInt(StringRef name, int64_t fallback) const {
  const auto *value = find<int64_t>(*this, name);
  return value ? *value : fallback;
}

float Node::getFloat(StringRef name, float fallback) const {
  const auto *value = find<float>(*this, name);
  return value ? *value : fallback;
}

std::string Node::getString(StringRef name, StringRef fallback) const {
  const auto *value = find<std::string>(*this, name);
  return value ? *value : fallback.str();
}

std::vector<int64_t> Node::getInts(StringRef name, llvm::ArrayRef<int64_t> fallback) const {
  const auto *value = find<std::vector<int64_t>>(*this, name);
  return value ? *value : fallback.vec();
}

std::vector<float> Node::getFloats(StringRef name, llvm::ArrayRef<float> fallback) const {
  const auto *value = find<std::vector<float>>(*this, name);
  return value ? *value : fallback.vec();
}

const Tensor *Node::getTensor(StringRef name) const { return find<Tensor>(*this, name); }

std::shared_ptr<Graph> Node::getGraph(StringRef name) const {
  const auto *value = find<std::shared_ptr<Graph>>(*this, name);
  return value ? *value : nullptr;
}

bool Value::isStatic() const {
  return dims && std::all_of(dims->begin(), dims->end(), [](const Dim &d) { return d.size >= 0; });
}

Shape Value::shape() const {
  assert(isStatic());
  Shape result;
  for (const Dim &dim : *dims)
    result.push_back(dim.size);
  return result;
}

const Tensor *Graph::constant(ValueId id) const {
  auto it = constants.find(id);
  return it == constants.end() ? nullptr : &it->second;
}
