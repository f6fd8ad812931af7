//===- UseModel.cpp - Everything that is done with a stranger's file ----------===//

#include "tests/fuzz/UseModel.h"

#include "runtime/onnx/Loader.h"
#include "runtime/reference/Reference.h"

#include "llvm/ADT/StringExtras.h"

#include <algorithm>

using namespace npucc;
using namespace npucc::test;

namespace {

/// Elements and multiply-accumulates up to which a graph is evaluated.
constexpr int64_t kMaxValues = 1 << 13, kMaxMacs = 1 << 19;
/// Positions of a pooling window up to which it is evaluated, whatever its padding.
constexpr int64_t kMaxKernelSize = 1 << 10;
/// How often a body may run, as far as that depends on data.
constexpr int64_t kMaxTrips = 3;

/// Makes every Loop end: its trip count becomes a small constant.
void boundLoops(Graph &graph) {
  for (Node &node : graph.nodes) {
    if (node.opType == "Loop" && node.domain.empty() && !node.inputs.empty()) {
      Value count;
      count.name = "trip count";
      count.type = ElementType::Int64;
      count.dims.emplace();
      auto id = static_cast<ValueId>(graph.values.size());
      graph.constants[id] = Tensor::of<int64_t>(ElementType::Int64, {}, {kMaxTrips});
      graph.values.push_back(std::move(count));
      node.inputs[0] = id;
    }
    for (auto &[name, attribute] : node.attributes)
      if (auto *body = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) {
        auto copy = std::make_shared<Graph>(**body);
        boundLoops(*copy);
        *body = std::move(copy);
      }
  }
}

/// Elements of all values, each as often as it is computed; kMaxValues + 1 for "too many".
int64_t workOf(const Graph &graph) {
  constexpr int64_t tooMany = kMaxValues + 1;
  int64_t total = 1;
  for (const Value &value : graph.values) {
    int64_t size = 16; // not known
    if (value.isStatic())
      size = checkedElementCount(value.shape()).value_or(tooMany);
    total = std::min(total + std::min(size, tooMany), tooMany);
  }
  for (const Node &node : graph.nodes) {
    if (checkedElementCount(node.getInts("kernel_shape")).value_or(tooMany) > kMaxKernelSize)
      return tooMany;
    for (const auto &[name, attribute] : node.attributes)
      if (auto *body = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) {
        int64_t trips = node.opType == "If" ? 1 : node.opType == "Loop" ? kMaxTrips : 8;
        if (node.opType == "Scan" && !node.inputs.empty() && node.inputs.back() != kNoValue &&
            graph.values[node.inputs.back()].isStatic())
          for (int64_t size : graph.values[node.inputs.back()].shape())
            trips = std::max(trips, size);
        trips = std::min(trips, tooMany);
        total = std::min(total + trips * workOf(**body), tooMany);
      }
  }
  return total;
}

std::string describe(const Value &value) {
  std::string text = "'" + value.name + "' " + std::string(name(value.type)) + " [";
  for (const Dim &dim : *value.dims)
    text += std::to_string(dim.size) + " ";
  return text + "]";
}

/// What an inferred value and the computed one disagree about.
std::string difference(const Value &value, const Tensor &tensor) {
  bool same = value.type == ElementType::Undefined || value.type == tensor.type();
  if (value.dims) {
    same &= value.dims->size() == tensor.shape().size();
    for (size_t i = 0; same && i < value.dims->size(); ++i)
      same = (*value.dims)[i].size < 0 || (*value.dims)[i].size == tensor.shape()[i];
  }
  if (same)
    return "";
  std::string text = "inferred ";
  text += value.dims ? describe(value) : "'" + value.name + "' " + std::string(name(value.type));
  text += ", computed " + std::string(name(tensor.type())) + " [";
  for (int64_t size : tensor.shape())
    text += std::to_string(size) + " ";
  return text + "]";
}

/// Sizes for the dimensions that the file leaves open.
Bindings bindingsFor(const Model &model, uint64_t seed) {
  Bindings bindings;
  if (seed % 8 < 2) // most files have no batch that could be 2, which is an early error
    bindings.batch = static_cast<int64_t>(1 + seed % 8);
  for (ValueId id : model.graph.inputs) {
    const Value &value = model.graph.values[id];
    if (!value.dims)
      continue;
    Shape shape = {};
    bool open = false;
    for (const Dim &dim : *value.dims) {
      if (dim.size < 0 && dim.symbol != "?" && seed % 7)
        bindings.dims.emplace(dim.symbol, 1 + static_cast<int64_t>(seed % 5));
      open |= dim.size < 0 && dim.symbol == "?";
      shape.push_back(dim.size < 0 ? 1 + static_cast<int64_t>(seed % 4) : dim.size);
    }
    if (open && seed % 5)
      bindings.inputShapes[value.name] = shape;
  }
  return bindings;
}

} // namespace

Use npucc::test::useModel(const std::string &path, uint64_t seed) {
  Use use;
  auto fail = [&](llvm::Error error) {
    use.error = llvm::toString(std::move(error));
    bool line = !use.error.empty() && use.error.size() < 1000 &&
                std::all_of(use.error.begin(), use.error.end(),
                            [](unsigned char c) { return c >= 32 && c != 127; });
    if (!line)
      use.defect = "not one line: " + use.error;
    return use;
  };
  auto loaded = loadModel(path);
  if (!loaded)
    return fail(loaded.takeError());
  Model &model = *loaded;
  if (llvm::Error error = prepare(model, bindingsFor(model, seed)))
    return fail(std::move(error));
  countParameters(model);
  int64_t macs = countMacs(model.graph);
  if (macs < 0)
    use.defect = "a negative number of multiply-accumulates";
  if (seed % 4 == 0)
    removeEmpty(model.graph);
  boundLoops(model.graph);
  if (macs > kMaxMacs || workOf(model.graph) > kMaxValues)
    return use;
  std::vector<Tensor> inputs;
  for (ValueId id : model.graph.inputs) {
    const Value &value = model.graph.values[id];
    if (!value.isStatic())
      return use;
    inputs.push_back(randomTensor(value.type, value.shape(), seed));
  }
  auto outputs = evaluate(model.graph, inputs, [&](ValueId id, const Tensor &tensor) {
    std::string text = difference(model.graph.values[id], tensor);
    if (std::getenv("NPUCC_FUZZ_SHAPES") && !text.empty() && use.defect.empty())
      use.defect = text;
  });
  if (!outputs)
    return fail(outputs.takeError());
  use.evaluated = true;
  return use;
}
