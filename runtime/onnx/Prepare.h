//===- Prepare.h - Parts of the preparation ---------------------*- C++ -*-===//
//
// Internal to runtime/onnx; see prepare() in Loader.h.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Loader.h"
#include "runtime/onnx/Upgrade.h"

#include <deque>

namespace npucc {

/// Elements up to which a constant expression is evaluated.
constexpr int64_t kMaxFoldedElements = 4096;

/// Whether a tensor may have these dimensions, as far as they are known: at most kMaxElements.
bool isPlausible(llvm::ArrayRef<Dim> dims);

/// OpInfo::macs of a node; 0 where a shape is not known. INT64_MAX stands for more.
int64_t nodeMacs(const Graph &graph, const Node &node);

/// Gives every dimension of the graph's inputs a size. Returns whether a batch of
/// 1 that is fixed in the file was changed, so that the graph may need adapting.
llvm::Expected<bool> bindDimensions(Graph &graph, const Bindings &bindings);

/// What a Reshape or a Resize did at the batch size of the file.
struct FixedShape {
  Shape input, target, output;
};

/// What the preparation of a graph and its subgraphs share.
struct PrepareContext {
  NameSet names;
  /// Dimensions that the file declares for inner values hold (no batch was changed).
  bool trustDeclared = true;
  /// Filled while `record`; with `batch` > 1 used to adapt constant shapes.
  std::map<std::string, FixedShape> fixedShapes;
  bool record = false;
  int64_t batch = 1;
  /// Bodies prepared again because the shapes that one iteration hands to the next changed. Loops
  /// within loops multiply the tries, so there is an end to them.
  int retries = 0;
};

/// Infers, folds and simplifies one graph, whose inputs and captures have types.
class GraphPreparer {
public:
  /// `lenient`: a node that does not fit its inputs is no error; its results stay
  /// unknown. So it is in branches, which need not be meant for these inputs.
  GraphPreparer(Graph &graph, PrepareContext &context, bool lenient)
      : graph(graph), context(context), lenient(lenient) {}

  llvm::Error run();

private:
  llvm::Error process(Node node);
  void resolveInputs(Node &node);
  /// Each returns true when it dealt with the node.
  bool dropIdentity(const Node &node);
  bool dropDropout(const Node &node);
  bool foldShape(const Node &node);
  bool foldView(const Node &node);
  bool foldConstant(const Node &node);
  bool foldEmpty(const Node &node);
  bool resolveCastLike(Node &node);
  llvm::Expected<bool> alignOldBroadcast(Node &node);
  llvm::Expected<bool> inlineIf(const Node &node);
  llvm::Error prepareSubgraphs(Node &node);
  llvm::Error prepareLoop(Node &node);
  llvm::Expected<std::shared_ptr<Graph>> prepareBody(const Node &node, const Graph &original,
                                                     llvm::ArrayRef<Value> inputs, bool lenient);
  llvm::Error adaptToBatch(Node &node);
  llvm::Error infer(const Node &node);
  void useDeclared(const Node &node);

  const Tensor *constantInput(const Node &node, size_t i) const;
  const Value *inputValue(const Node &node, size_t i) const;
  void makeConstant(ValueId id, Tensor tensor);
  bool isOutput(ValueId id) const;
  NodeSink sinkToWork(std::vector<Node> &nodes) { return {graph, nodes, context.names}; }

  Graph &graph;
  PrepareContext &context;
  bool lenient;
  std::deque<Node> work;             ///< nodes still to process
  std::vector<Node> nodes;           ///< the new nodes
  std::vector<ValueId> replacement;  ///< by value: what stands for it now
  std::vector<bool> produced;        ///< by value: the result of a node in `nodes`
  std::map<ValueId, Value> declared; ///< types and shapes as the file declares them
};

/// Takes Flatten, Softmax, Reshape (the old operator on matrices) back to one
/// Softmax where that means the same; Hardmax and LogSoftmax likewise.
void simplifyCoercedSoftmax(Graph &graph);

/// Drops nodes and values that no output needs and renumbers the values. A main
/// graph keeps all its inputs, and so does a body; unused captures go.
void removeDead(Graph &graph);

/// "node 'conv1' (Conv): ".
std::string nodePrefix(const Node &node);

} // namespace npucc
