//===- Ops.h - Single operators in tests ------------------------*- C++ -*-===//
#pragma once

#include "runtime/reference/Reference.h"
#include "tests/runtime/TestSupport.h"

namespace npucc::test {

/// A node under construction: Op("Conv").ints("strides", {2, 2}).run({x, w}).
struct Op {
  Node node;

  explicit Op(std::string type, std::string domain = "", size_t outputs = 1) {
    node.opType = std::move(type);
    node.domain = std::move(domain);
    node.name = "n";
    for (size_t i = 0; i < outputs; ++i)
      node.outputs.push_back(static_cast<ValueId>(i));
  }
  Op &i(const std::string &name, int64_t value) { return set(name, value); }
  Op &f(const std::string &name, float value) { return set(name, value); }
  Op &s(const std::string &name, std::string value) { return set(name, std::move(value)); }
  Op &ints(const std::string &name, std::vector<int64_t> value) {
    return set(name, std::move(value));
  }
  template <typename T> Op &set(const std::string &name, T value) {
    node.attributes[name].value = std::move(value);
    return *this;
  }

  llvm::Expected<Tensors> evaluate(llvm::ArrayRef<Tensor> inputs) const {
    return evaluateNode(node, inputs);
  }
  Tensors runAll(llvm::ArrayRef<Tensor> inputs) const { return check(evaluate(inputs)); }
  Tensor run(llvm::ArrayRef<Tensor> inputs) const { return runAll(inputs)[0]; }
  std::string error(llvm::ArrayRef<Tensor> inputs) const { return errorOf(evaluate(inputs)); }

  /// What the shape rule says for inputs of the given tensors' types and shapes;
  /// their contents are known to it when `constant`.
  llvm::Expected<std::vector<Value>> infer(llvm::ArrayRef<Tensor> inputs,
                                           bool constant = true) const {
    std::vector<Value> values(inputs.size()), outputs(node.outputs.size());
    std::vector<const Value *> pointers;
    std::vector<const Tensor *> constants;
    for (size_t k = 0; k < inputs.size(); ++k) {
      values[k].type = inputs[k].type();
      values[k].dims.emplace();
      for (int64_t d : inputs[k].shape())
        values[k].dims->push_back({d, ""});
      pointers.push_back(inputs[k].defined() ? &values[k] : nullptr);
      constants.push_back(inputs[k].defined() && constant ? &inputs[k] : nullptr);
    }
    InferContext context{node, pointers, constants, outputs};
    const OpInfo *info = findOp(node.domain, node.opType);
    REQUIRE(info);
    if (llvm::Error error = info->infer(context))
      return std::move(error);
    return outputs;
  }
};

inline Tensor f32(std::vector<int64_t> shape, std::vector<float> values) {
  return Tensor::of<float>(ElementType::Float32, shape, values);
}
inline Tensor i64(std::vector<int64_t> shape, std::vector<int64_t> values) {
  return Tensor::of<int64_t>(ElementType::Int64, shape, values);
}
inline Tensor i64(std::vector<int64_t> values) {
  return i64({static_cast<int64_t>(values.size())}, values);
}
inline Tensor i32(std::vector<int64_t> shape, std::vector<int32_t> values) {
  return Tensor::of<int32_t>(ElementType::Int32, shape, values);
}
inline Tensor i8(std::vector<int64_t> shape, std::vector<int8_t> values) {
  return Tensor::of<int8_t>(ElementType::Int8, shape, values);
}
inline Tensor u8(std::vector<int64_t> shape, std::vector<uint8_t> values) {
  return Tensor::of<uint8_t>(ElementType::Uint8, shape, values);
}
/// 1, 2, 3, ...
inline Tensor counting(std::vector<int64_t> shape) {
  int64_t count = 1;
  for (int64_t d : shape)
    count *= d;
  std::vector<float> values(count);
  for (int64_t k = 0; k < count; ++k)
    values[k] = static_cast<float>(k + 1);
  return f32(shape, values);
}

using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;

} // namespace npucc::test
