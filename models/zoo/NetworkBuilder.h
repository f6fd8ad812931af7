//===- NetworkBuilder.h - Graphs made by hand ---------------------*- C++ -*-===//
//
// Internal to the zoo. A node and its result have the same name. Names are made unique.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/Twine.h"

namespace npucc::zoo {

using Attributes = std::map<std::string, Attribute, std::less<>>;
using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

class NetworkBuilder {
public:
  NetworkBuilder(Graph &graph, ElementType type) : graph(graph), type(type) {}

  /// A dimension is a number or a symbol: {"batch", "3"}.
  ValueId input(const llvm::Twine &name, ElementType elements, llvm::ArrayRef<std::string> dims);
  ValueId input(const llvm::Twine &name, llvm::ArrayRef<std::string> dims) {
    return input(name, type, dims);
  }
  void output(const llvm::Twine &name, ValueId value);

  /// A parameter: normal numbers with this deviation around `mean`.
  ValueId weight(const llvm::Twine &name, Ints shape, double deviation, double mean = 0);
  ValueId ints(const llvm::Twine &name, Ints values);
  /// Of the network's type, and of fp32.
  ValueId floats(const llvm::Twine &name, Ints shape, Floats values);
  ValueId floats32(const llvm::Twine &name, Ints shape, Floats values);
  ValueId scalar(const llvm::Twine &name, double value);
  ValueId index(const llvm::Twine &name, int64_t value); ///< without dimensions

  ValueId node(llvm::StringRef op, const llvm::Twine &name, std::vector<ValueId> inputs,
               Attributes attributes = {});
  /// A node with several results.
  std::vector<ValueId> nodes(llvm::StringRef op, const llvm::Twine &name,
                             std::vector<ValueId> inputs, size_t results,
                             Attributes attributes = {});

  // What most networks need.
  ValueId add(const llvm::Twine &name, ValueId a, ValueId b) { return node("Add", name, {a, b}); }
  ValueId mul(const llvm::Twine &name, ValueId a, ValueId b) { return node("Mul", name, {a, b}); }
  /// Dimensions of 0 are copied, one of -1 takes what is left.
  ValueId reshape(const llvm::Twine &name, ValueId x, Ints shape);
  ValueId transpose(const llvm::Twine &name, ValueId x, Ints order);
  ValueId slice(const llvm::Twine &name, ValueId x, int64_t axis, int64_t from, int64_t to);
  std::vector<ValueId> split(const llvm::Twine &name, ValueId x, int64_t axis, Ints sizes);
  ValueId concat(const llvm::Twine &name, std::vector<ValueId> parts, int64_t axis);
  /// x W (+ b), on the last dimension.
  ValueId linear(const llvm::Twine &name, ValueId x, int64_t from, int64_t to, bool bias = true);
  ValueId layerNorm(const llvm::Twine &name, ValueId x, int64_t width, double epsilon,
                    bool affine = true);
  ValueId rmsNorm(const llvm::Twine &name, ValueId x, int64_t width, double epsilon);
  ValueId gelu(const llvm::Twine &name, ValueId x, bool tanhForm);
  ValueId silu(const llvm::Twine &name, ValueId x) {
    return mul(name, x, node("Sigmoid", name + ".sigmoid", {x}));
  }
  /// [batch, tokens, heads * width] to [batch, heads, tokens, width], and back.
  ValueId splitHeads(const llvm::Twine &name, ValueId x, int64_t heads, int64_t width);
  ValueId mergeHeads(const llvm::Twine &name, ValueId x, int64_t heads, int64_t width);
  /// softmax(q k' / sqrt(width) + mask) v on [batch, heads, tokens, width]. `mask` may be absent.
  ValueId attention(const llvm::Twine &name, ValueId q, ValueId k, ValueId v, int64_t width,
                    ValueId mask = kNoValue);
  ValueId conv(const llvm::Twine &name, ValueId x, int64_t from, int64_t to, int64_t kernel,
               int64_t stride = 1, bool bias = true, int64_t groups = 1);

  ElementType elementType() const { return type; }

private:
  ValueId value(const llvm::Twine &name);
  ValueId constant(const llvm::Twine &name, Tensor tensor);

  Graph &graph;
  ElementType type;
  llvm::StringMap<unsigned> names;
  std::map<int64_t, ValueId> unitScales; ///< vectors of ones, by size
  int64_t weightCount = 0;
};

} // namespace npucc::zoo
