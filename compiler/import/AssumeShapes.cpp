//===- AssumeShapes.cpp - Sizes for shapes that depend on data ----------------===//

#include "compiler/import/AssumeShapes.h"
#include "runtime/onnx/Loader.h"
#include "runtime/reference/Reference.h"
#include "simulator/cost/Cost.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <set>

using namespace npucc;

namespace {

/// Stands beside a known size: Dim::symbol of a dimension that is only bounded.
constexpr llvm::StringLiteral kAtMost = "at most";

using Bound = std::optional<Shape>;

Bound boundOf(const Value *value) {
  return value && value->isStatic() ? Bound(value->shape()) : std::nullopt;
}

int64_t count(const Shape &shape) { return checkedElementCount(shape).value_or(INT64_MAX); }

class Assumptions {
public:
  Assumptions(Graph &graph, const std::optional<std::vector<Tensor>> &inputs)
      : graph(graph), inputs(inputs) {}

  llvm::Error run();
  std::vector<std::string> texts() const;

private:
  const Value *valueOf(ValueId id) const { return id == kNoValue ? nullptr : &graph.values[id]; }
  const Tensor *constant(const Node &node, size_t i) const {
    return i < node.inputs.size() && node.inputs[i] != kNoValue ? graph.constant(node.inputs[i])
                                                                : nullptr;
  }
  std::vector<Bound> inferred(const Node &node) const;
  Bound special(const Node &node, size_t output) const;
  Bound bodyBound(const Node &node, const char *attribute, size_t output) const;
  llvm::Error measure();
  void assume(ValueId id, Shape shape);
  double bodyOps(const Graph &body) const;
  double bodyOps(const Graph &outer, const Node &node) const;

  Graph &graph;
  const std::optional<std::vector<Tensor>> &inputs;
  bool isEvaluated = false;
  std::map<ValueId, Shape> shapes;           ///< at these inputs
  std::map<std::string, double> opsOfBodies; ///< at these inputs, by top node
  std::set<ValueId> measured;                ///< sizes that hold for these inputs
  size_t bounded = 0, guessedBodies = 0;
};

/// What the shape rule says now that all inputs have a size.
std::vector<Bound> Assumptions::inferred(const Node &node) const {
  std::vector<Bound> result(node.outputs.size());
  const OpInfo *info = findOp(node.domain, node.opType);
  if (!info || !info->infer || isControl(node))
    return result;
  std::vector<const Value *> values;
  std::vector<const Tensor *> constants;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    values.push_back(valueOf(node.inputs[i]));
    constants.push_back(constant(node, i));
  }
  std::vector<Value> outputs(node.outputs.size());
  InferContext rule{node, values, constants, outputs};
  // Bounds need not fit together as the actual sizes do.
  if (llvm::Error error = info->infer(rule)) {
    llvm::consumeError(std::move(error));
    return result;
  }
  for (auto [value, bound] : llvm::zip(outputs, result))
    bound = boundOf(&value);
  return result;
}

/// Of an output of a body, by what is known inside.
Bound Assumptions::bodyBound(const Node &node, const char *attribute, size_t output) const {
  std::shared_ptr<Graph> body = node.getGraph(attribute);
  if (!body || output >= body->outputs.size())
    return std::nullopt;
  Graph copy = *body;
  std::optional<std::vector<Tensor>> nothing;
  if (llvm::Error error = Assumptions(copy, nothing).run()) {
    llvm::consumeError(std::move(error));
    return std::nullopt;
  }
  return boundOf(&copy.values[copy.outputs[output]]);
}

/// Operators whose results are smaller than something that is known.
Bound Assumptions::special(const Node &node, size_t output) const {
  auto input = [&](size_t i) {
    return i < node.inputs.size() ? boundOf(valueOf(node.inputs[i])) : std::nullopt;
  };
  Bound x = input(0);
  llvm::StringRef op = node.opType;
  if (!node.domain.empty())
    return std::nullopt;
  if (op == "If") {
    Bound yes = bodyBound(node, "then_branch", output), no = bodyBound(node, "else_branch", output);
    if (!yes || !no || yes->size() != no->size())
      return std::nullopt;
    for (auto [most, other] : llvm::zip(*yes, *no))
      most = std::max(most, other);
    return yes;
  }
  if (op == "Loop") {
    const Tensor *limit = constant(node, 0);
    size_t states = node.inputs.size() < 2 ? 0 : node.inputs.size() - 2;
    if (!limit || limit->size() != 1 || limit->asInt(0) < 0 || output < states)
      return std::nullopt;
    Bound each = bodyBound(node, "body", output + 1);
    if (each)
      each->insert(each->begin(), limit->asInt(0));
    return each && checkedElementCount(*each) ? each : std::nullopt;
  }
  if (!x)
    return std::nullopt;
  auto rank = static_cast<int64_t>(x->size());
  auto axis = [&](int64_t fallback) {
    int64_t a = node.getInt("axis", fallback);
    return std::clamp<int64_t>(a < 0 ? a + rank : a, 0, std::max<int64_t>(rank - 1, 0));
  };
  if (op == "NonZero")
    return Shape{std::max<int64_t>(rank, 1), count(*x)};
  if (op == "NonMaxSuppression") {
    Bound scores = input(1);
    if (rank != 3 || !scores || scores->size() != 3)
      return std::nullopt;
    const Tensor *limit = constant(node, 2);
    int64_t each = limit && limit->size() == 1 ? std::min(limit->asInt(0), (*x)[1]) : (*x)[1];
    return Shape{(*scores)[0] * (*scores)[1] * std::max<int64_t>(each, 0), 3};
  }
  if (op == "Compress") {
    Bound condition = input(1);
    if (!node.has("axis"))
      return Shape{std::min(count(*x), condition ? count(*condition) : count(*x))};
    if (condition && rank > 0)
      (*x)[axis(0)] = std::min((*x)[axis(0)], count(*condition));
    return x;
  }
  if (op == "Unique") {
    if (node.has("axis"))
      return output == 0 ? x : Shape{rank ? (*x)[axis(0)] : 1};
    return Shape{count(*x)};
  }
  if (op == "TopK" || op == "Slice")
    return x;
  return std::nullopt;
}

/// Runs the reference once: the sizes of all values, and the work in all bodies.
llvm::Error Assumptions::measure() {
  if (isEvaluated)
    return llvm::Error::success();
  isEvaluated = true;
  std::vector<const Node *> producers(graph.values.size());
  for (const Node &node : graph.nodes)
    for (ValueId id : node.outputs)
      if (id != kNoValue)
        producers[id] = &node;
  double ops = 0; // since the last value of the graph itself
  auto outer = [&](ValueId id, const Tensor &tensor) {
    shapes[id] = Shape(tensor.shape().begin(), tensor.shape().end());
    if (producers[id] && ops > 0)
      opsOfBodies[producers[id]->name] += ops;
    ops = 0;
  };
  auto inner = [&](const Node &node, llvm::ArrayRef<Tensor> in, llvm::ArrayRef<Tensor> out) {
    ops += isControl(node) ? 0 : hostOps(node, in, out);
  };
  auto outputs = evaluate(graph, *inputs, outer, inner);
  return outputs ? llvm::Error::success() : outputs.takeError();
}

void Assumptions::assume(ValueId id, Shape shape) {
  Value &value = graph.values[id];
  if (shape.empty())
    shape = {1};
  value.dims.emplace();
  for (int64_t size : shape)
    value.dims->push_back({std::max<int64_t>(size, 1), kAtMost.str()});
}

/// Where nothing can be measured: known sizes count, others are one.
double Assumptions::bodyOps(const Graph &body) const {
  double ops = 0;
  for (const Node &node : body.nodes) {
    auto values = [&](const std::vector<ValueId> &ids) {
      std::vector<Value> result;
      for (ValueId id : ids) {
        result.push_back(id == kNoValue ? Value() : body.values[id]);
        if (result.back().dims)
          for (Dim &dim : *result.back().dims)
            dim.size = std::max<int64_t>(dim.size, 1);
      }
      return result;
    };
    ops += isControl(node) ? bodyOps(body, node)
                           : hostOps(node, values(node.inputs), values(node.outputs));
  }
  return ops;
}

double Assumptions::bodyOps(const Graph &outer, const Node &node) const {
  double most = 0; // of an If the costlier branch
  for (const auto &[name, attribute] : node.attributes)
    if (auto *body = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
      most = std::max(most, bodyOps(**body));
  return most * static_cast<double>(iterations(outer, node));
}

llvm::Error Assumptions::run() {
  auto isEmpty = [&](ValueId id) {
    return !graph.constant(id) && graph.values[id].isStatic() &&
           llvm::is_contained(graph.values[id].shape(), 0);
  };
  for (ValueId id : graph.inputs)
    if (isEmpty(id))
      assume(id, graph.values[id].shape());
  for (Node &node : graph.nodes) {
    if (isControl(node)) {
      if (inputs)
        if (llvm::Error error = measure())
          return error;
      guessedBodies += !inputs;
      double ops = inputs ? opsOfBodies[node.name] : bodyOps(graph, node);
      node.attributes[kBodyOpsAttr.str()] = {static_cast<int64_t>(std::min(ops, 9e18))};
    }
    std::vector<Bound> rule;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      ValueId id = node.outputs[i];
      if (id == kNoValue || graph.constant(id))
        continue;
      if (graph.values[id].isStatic()) {
        if (isEmpty(id))
          assume(id, graph.values[id].shape());
        continue;
      }
      if (rule.empty())
        rule = inferred(node);
      Bound bound = rule[i] ? rule[i] : special(node, i);
      // A bound that no memory holds is none.
      if (bound && count(*bound) > (int64_t(1) << 40))
        bound.reset();
      if (!bound) {
        if (!inputs)
          continue; // the importer lists all of them
        if (llvm::Error error = measure())
          return error;
        bound = shapes[id];
      }
      bool isMeasured = !rule[i] && !special(node, i);
      for (ValueId input : node.inputs)
        isMeasured |= measured.count(input) > 0;
      if (isMeasured)
        measured.insert(id);
      else
        ++bounded;
      assume(id, *bound);
    }
  }
  return llvm::Error::success();
}

std::vector<std::string> Assumptions::texts() const {
  std::vector<std::string> result;
  if (bounded)
    result.push_back(
        llvm::formatv("{0} tensors whose size depends on data are taken to be as large "
                      "as they can be",
                      bounded));
  if (!measured.empty())
    result.push_back(llvm::formatv(
        "{0} tensors whose size depends on data have the size that it has for these inputs",
        measured.size()));
  if (guessedBodies)
    result.push_back(
        llvm::formatv("the work of {0} If, Loop and Scan nodes is that of the costlier "
                      "branch, of a known number of iterations or of one",
                      guessedBodies));
  return result;
}

} // namespace

bool npucc::isAssumed(const Value &value) {
  return value.dims &&
         llvm::any_of(*value.dims, [](const Dim &dim) { return dim.symbol == kAtMost; });
}

llvm::Expected<std::vector<std::string>>
npucc::assumeShapes(Graph &graph, const std::optional<std::vector<Tensor>> &inputs) {
  Assumptions assumptions(graph, inputs);
  if (llvm::Error error = assumptions.run())
    return std::move(error);
  return assumptions.texts();
}
