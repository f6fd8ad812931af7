//===- Loader.h - Reading ONNX files ------------------------------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include <map>
#include <string>

namespace npucc {

/// Reads an ONNX file: parses, checks, inlines model-local functions, brings
/// every operator to its newest form and sorts nodes. Weights share the mapped
/// or parsed bytes. An error is one line: file, node, attribute, what is wrong.
llvm::Expected<Model> loadModel(const std::string &path);

/// Reads a file that holds one serialised TensorProto (ONNX's own test data).
llvm::Expected<Tensor> readTensorProto(const std::string &path);

/// What the user says about dimensions (interface.md: --batch, --dim, --input-shape).
struct Bindings {
  std::optional<int64_t> batch;
  std::map<std::string, int64_t> dims;
  std::map<std::string, Shape> inputShapes;
  /// Inputs that become constants; they stay inputs, which nothing reads. Of the input's type.
  std::map<std::string, Tensor> inputValues;
  std::map<std::string, int64_t> defaults; ///< of symbolic dimensions that nothing else binds
};

/// Makes the graph static: binds symbolic and unnamed input dimensions (batch also
/// rewrites a fixed leading 1), infers every value's type and shape, and folds
/// what is constant and small (shape arithmetic, `Constant`, small tensors of up to
/// 4096 elements; large constant expressions stay nodes, so that weights made by
/// ConstantOfShape cost no memory). Identity and inference-time Dropout are removed,
/// dead nodes dropped. An unbound dimension is an error that lists every unbound one
/// and where it comes from. Values whose shape depends on data stay non-static.
/// Afterwards an output may be a constant, node outputs that nobody reads are
/// kNoValue, an If with a known condition is the branch it takes, and captured
/// constants are constants of the subgraph. QuantizeLinear and DequantizeLinear are
/// never folded. A changed batch adapts constant shapes of Reshape and Resize.
/// Operators that the registry does not know keep what the file declares.
llvm::Error prepare(Model &model, const Bindings &bindings);

/// Takes tensors without elements out of a prepared graph, as the empty cache of a decoder's
/// first step: operands of Concat, what is computed of them alone, and then graph inputs that
/// nothing uses. Those that other nodes or the graph's outputs need stay.
void removeEmpty(Graph &graph);

/// How often a Loop or Scan runs its body, as far as that can be told; else 1.
int64_t iterations(const Graph &graph, const Node &node);
/// Sum of OpInfo::macs over the graph.
int64_t countMacs(const Graph &graph);
/// Elements of all initialisers that are float or quantised weights of the file.
int64_t countParameters(const Model &model);

/// What Model::parameters is for a graph that was just made: the elements of its float and
/// quantised constants. Where the graph makes its weights itself (isSeededRandom), those are the
/// parameters, and its constants are not.
int64_t countWeights(const Graph &graph);
/// RandomNormal with a seed: the same numbers in each run, hence a constant without bytes.
bool isSeededRandom(const Node &node);

} // namespace npucc
