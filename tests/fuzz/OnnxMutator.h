//===- OnnxMutator.h - Random changes of ONNX files -------------*- C++ -*-===//
//
// Changes parsed models, not bytes: by protobuf's reflection, which reaches
// every field of the format, and by what is known of ONNX, so that many results
// get past the first check. The same seed makes the same changes on any machine.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <onnx/onnx_pb.h>

#include <random>
#include <string>
#include <vector>

namespace npucc::test {

class OnnxMutator {
public:
  explicit OnnxMutator(uint64_t seed = 0) : random(seed) {}

  /// One change of any kind.
  void mutate(onnx::ModelProto &model);
  /// Puts a part of `other` into a place of `model` that may hold it.
  void crossOver(onnx::ModelProto &model, const onnx::ModelProto &other);

  /// Changes one field somewhere in a message, also by adding or taking one away.
  void mutateField(google::protobuf::Message &message);
  /// Gives a node an attribute of any name, kind and value.
  void addAttribute(onnx::NodeProto &node);
  /// Gives a graph a node of any known operator.
  void addNode(onnx::GraphProto &graph);

  uint64_t below(uint64_t limit) { return random() % limit; }
  bool oneIn(uint64_t count) { return below(count) == 0; }
  template <typename List> auto pick(const List &list) { return list[below(std::size(list))]; }
  /// A number: small, or at a limit of something.
  int64_t number();
  std::vector<int64_t> numbers(size_t most);
  /// The value of an attribute that is a word, or another text.
  std::string text();

  std::mt19937_64 random;

private:
  void changeGraph(onnx::ModelProto &model, onnx::GraphProto &graph);
  void rewire(onnx::GraphProto &graph);
  void addConstant(onnx::GraphProto &graph);
  void reshapeConstant(onnx::GraphProto &graph);
  void changeInput(onnx::GraphProto &graph);
  void addControl(onnx::GraphProto &graph);
  void addFunction(onnx::ModelProto &model, onnx::GraphProto &graph);
  void changeVersions(onnx::ModelProto &model);
  void fill(onnx::TensorProto &tensor, int32_t type, const std::vector<int64_t> &dims);
  int32_t elementType();
  std::string valueName(const onnx::GraphProto &graph);
  std::string freshName(const onnx::GraphProto &graph);
};

} // namespace npucc::test
