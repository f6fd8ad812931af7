//===- Graph.h - An ONNX graph after loading --------------------*- C++ -*-===//
//
// What the loader makes of a file, free of protobuf: values by index, nodes in
// topological order, every operator in its newest form (see runtime/ops).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/tensor/Tensor.h"

#include "llvm/ADT/StringRef.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace npucc {

using ValueId = int32_t;
constexpr ValueId kNoValue = -1; ///< an absent optional input or output

struct Graph;

/// A node's attribute, one of ONNX's kinds.
struct Attribute {
  std::variant<int64_t, float, std::string, Tensor, std::shared_ptr<Graph>, std::vector<int64_t>,
               std::vector<float>, std::vector<std::string>>
      value;
};

struct Node {
  std::string name;   ///< the file's name, or "<OpType>_<index>" where it has none; unique
  std::string opType; ///< newest form: "Conv", "Resize", ...
  std::string domain; ///< "" for the default domain
  std::vector<ValueId> inputs, outputs;
  std::map<std::string, Attribute, std::less<>> attributes;

  bool has(llvm::StringRef name) const;
  int64_t getInt(llvm::StringRef name, int64_t fallback) const;
  float getFloat(llvm::StringRef name, float fallback) const;
  std::string getString(llvm::StringRef name, llvm::StringRef fallback) const;
  std::vector<int64_t> getInts(llvm::StringRef name, llvm::ArrayRef<int64_t> fallback = {}) const;
  std::vector<float> getFloats(llvm::StringRef name, llvm::ArrayRef<float> fallback = {}) const;
  const Tensor *getTensor(llvm::StringRef name) const;
  std::shared_ptr<Graph> getGraph(llvm::StringRef name) const;
};

/// A dimension: its size, or the symbol (or "?") that stands for it.
struct Dim {
  int64_t size = -1; ///< -1: not known
  std::string symbol;
};

struct Value {
  std::string name;
  ElementType type = ElementType::Undefined;
  std::optional<std::vector<Dim>> dims; ///< std::nullopt: rank unknown

  bool isStatic() const; ///< rank and every size known
  Shape shape() const;   ///< sizes; only when isStatic()
};

struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;              ///< topological order
  std::vector<ValueId> inputs, outputs; ///< inputs without initialisers
  std::map<ValueId, Tensor> constants;  ///< initialisers and folded values
  /// For subgraphs: outer values captured by name (outer id in the parent).
  std::vector<std::pair<ValueId, ValueId>> captures; ///< (inner id, outer id)

  const Tensor *constant(ValueId id) const; ///< nullptr when not constant
};

/// A whole file.
struct Model {
  std::string path, producer;
  int64_t irVersion = 0, opset = 0;
  std::string sha256; ///< of the .onnx file's bytes, hexadecimal
  int64_t fileBytes = 0;
  int64_t parameters = 0; ///< elements of the file's float and quantised constants
  Graph graph;
};

} // namespace npucc
