//===- Plan.cpp - Which nodes compute on 8 bits ---------------------------===//
#include "runtime/quantize/Plan.h"

#include "runtime/quantize/Quantize.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace npucc;

namespace {

/// What an operator could be, were its surroundings 8-bit.
enum class Kind { Other, Matrix, Unary, Binary, Pool, Through, Concat };

Kind kindOf(const Node &node) {
  if (!node.domain.empty())
    return node.opType == "Gelu" || node.opType == "FastGelu" || node.opType == "QuickGelu"
               ? Kind::Unary
               : Kind::Other;
  return llvm::StringSwitch<Kind>(node.opType)
      .Cases({"Conv", "ConvTranspose", "Gemm", "MatMul"}, Kind::Matrix)
      .Cases({"Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish"},
             Kind::Unary)
      .Cases({"Tanh", "Gelu", "Mish", "Swish", "Elu", "Selu", "Celu", "Softplus", "Softsign"},
             Kind::Unary)
      .Cases({"ThresholdedRelu", "Erf", "Abs", "Neg"}, Kind::Unary)
      .Cases({"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sum"}, Kind::Binary)
      .Cases({"AveragePool", "GlobalAveragePool", "ReduceMean", "Resize"}, Kind::Pool)
      .Cases({"MaxPool", "GlobalMaxPool", "Reshape", "Transpose", "Flatten", "Squeeze"},
             Kind::Through)
      .Cases({"Unsqueeze", "Slice", "Split", "Expand", "Gather", "DepthToSpace"}, Kind::Through)
      .Cases({"SpaceToDepth", "Pad", "Tile"}, Kind::Through)
      .Case("Concat", Kind::Concat)
      .Default(Kind::Other);
}

class Planner {
public:
  Planner(GraphEdit &edit, const QuantizeOptions &options)
      : edit(edit), graph(edit.graph()), options(options) {}

  QuantPlan run() {
    classify();
    markEpilogues();
    removeLonely();
    markValues();
    shareGrids();
    return std::move(plan);
  }

private:
  bool isFloatValue(ValueId id) const {
    ElementType type = id == kNoValue ? ElementType::Undefined : graph.values[id].type;
    return (type == ElementType::Float32 || type == ElementType::Float16 ||
            type == ElementType::BFloat16) &&
           graph.values[id].isStatic();
  }
  /// Float inputs that are computed, not constant.
  llvm::SmallVector<ValueId, 4> activations(const Node &node) const {
    llvm::SmallVector<ValueId, 4> result;
    for (ValueId id : node.inputs)
      if (isFloatValue(id) && !edit.isConstant(id))
        result.push_back(id);
    return result;
  }
  bool isQuantized(int node) const { return plan.roles[node] != QuantRole::None; }
  bool isElementwise(int node) const {
    return kinds[node] == Kind::Unary || kinds[node] == Kind::Binary;
  }
  /// The node that alone reads a value, or -1.
  int onlyUser(ValueId id) const {
    return !edit.isGraphOutput(id) && edit.users(id).size() == 1 ? edit.users(id)[0] : -1;
  }
  bool sameShape(ValueId a, ValueId b) const {
    return graph.values[a].shape() == graph.values[b].shape();
  }

  void classify();
  bool addsMask(const Node &node) const;
  bool isDequantized(ValueId id) const;
  bool canMultiply(const Node &node) const;
  bool joins(int user, ValueId value, int matrix) const;
  llvm::SmallVector<int, 4> gateOn(ValueId value) const;
  void markEpilogues();
  void removeLonely();
  bool staysFloat(int index) const;
  void markValues();
  bool isInternal(ValueId id) const;
  void shareGrids();

  GraphEdit &edit;
  Graph &graph;
  const QuantizeOptions &options;
  QuantPlan plan;
  std::vector<Kind> kinds;
  std::vector<bool> epilogue; ///< by node: fused with the matrix operator before it
  std::vector<bool> fused;    ///< by value: passes from a matrix operator into its epilogue
};

} // namespace

/// Whether a value cannot be negative, whatever the data.
static bool neverNegative(GraphEdit &edit, ValueId id, int depth = 16) {
  int producer = edit.producer(id);
  if (producer < 0 || depth == 0)
    return false;
  const Node &node = edit.graph().nodes[producer];
  if (llvm::is_contained({"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Exp"}, node.opType))
    return true;
  Kind kind = kindOf(node);
  if (kind != Kind::Through && kind != Kind::Concat && kind != Kind::Pool)
    return false;
  size_t data = kind == Kind::Concat ? node.inputs.size() : 1;
  for (size_t i = 0; i < data; ++i)
    if (node.inputs[i] == kNoValue || !neverNegative(edit, node.inputs[i], depth - 1))
      return false;
  return true;
}

Range npucc::valueRange(GraphEdit &edit, const QuantizeOptions &options, ValueId id) {
  auto it = options.ranges.find(id);
  Range range = it == options.ranges.end() ? options.nominal : it->second;
  if (it == options.ranges.end() && neverNegative(edit, id))
    range.low = 0;
  return {std::min(range.low, 0.0f), std::max(range.high, 0.0f)};
}

/// Whether an operator adds an attention mask or alike: numbers that stand for minus
/// infinity leave no room on an 8-bit grid for the scores beside them.
bool Planner::addsMask(const Node &node) const {
  if (node.opType != "Add" && node.opType != "Sub")
    return false;
  auto users = edit.users(node.outputs[0]);
  if (!users.empty() && llvm::all_of(users, [&](int user) {
        return llvm::StringRef(graph.nodes[user].opType).ends_with("Softmax");
      }))
    return true;
  for (ValueId id : node.inputs)
    if (const Tensor *tensor = graph.constant(id); tensor && isFloat(tensor->type()))
      for (int64_t i = 0, e = tensor->size(); i < e; ++i)
        if (!(std::fabs(tensor->asDouble(i)) < 5e3))
          return true;
  return false;
}

/// Whether an activation is a dequantised tensor, perhaps moved since.
bool Planner::isDequantized(ValueId id) const {
  for (int producer = edit.producer(id); producer >= 0; producer = edit.producer(id)) {
    const Node &node = graph.nodes[producer];
    if (kindOf(node) != Kind::Through || node.inputs[0] == kNoValue)
      return node.opType == "DequantizeLinear";
    id = node.inputs[0];
  }
  return false;
}

/// A matrix operator whose tensors are float, and not yet dequantised ones.
bool Planner::canMultiply(const Node &node) const {
  if (node.inputs.size() < 2 || !isFloatValue(node.inputs[0]) || !isFloatValue(node.inputs[1]))
    return false;
  if (edit.isConstant(node.inputs[0]) && edit.isConstant(node.inputs[1]))
    return false;
  for (int i = 0; i < 2; ++i)
    if (!edit.isConstant(node.inputs[i]) && isDequantized(node.inputs[i]))
      return false;
  return true;
}

void Planner::classify() {
  size_t count = graph.nodes.size();
  plan.roles.assign(count, QuantRole::None);
  kinds.assign(count, Kind::Other);
  epilogue.assign(count, false);
  for (size_t i = 0; i < count; ++i) {
    const Node &node = graph.nodes[i];
    if (node.outputs.empty() || !isFloatValue(node.outputs[0]) ||
        edit.isConstant(node.outputs[0]) || options.exclude.count(node.name))
      continue;
    Kind kind = kindOf(node);
    auto active = activations(node);
    bool possible = !active.empty();
    if (kind == Kind::Matrix)
      possible = canMultiply(node);
    else if (kind == Kind::Unary)
      possible &= active.size() == 1 && active[0] == node.inputs[0];
    else if (node.opType == "Div" || node.opType == "Pow")
      possible &= active.size() == 1 && active[0] == node.inputs[0];
    else if (kind == Kind::Through) // the data may come from a constant table
      possible &= active.size() == 1 && active[0] == node.inputs[0];
    // MaxPool's indices cannot be had from dequantised ties.
    if (node.opType == "MaxPool")
      possible &= node.outputs.size() < 2 || node.outputs[1] == kNoValue;
    if (!possible || kind == Kind::Other || addsMask(node))
      continue;
    kinds[i] = kind;
    plan.roles[i] = kind == Kind::Matrix                            ? QuantRole::Matrix
                    : kind == Kind::Through || kind == Kind::Concat ? QuantRole::Through
                                                                    : QuantRole::Map;
  }
}

/// Whether `user` can take `value` from the accumulators of matrix operator `matrix`: it reads
/// nothing else, or adds a tensor that is there before (a residual connection).
bool Planner::joins(int user, ValueId value, int matrix) const {
  const Node &node = graph.nodes[user];
  auto active = activations(node);
  if (active.size() == 1)
    return true;
  if (active.size() != 2 || active[0] == active[1] ||
      (node.opType != "Add" && node.opType != "Sum"))
    return false;
  ValueId other = active[0] == value ? active[1] : active[0];
  return edit.producer(other) < matrix && sameShape(other, value);
}

/// The nodes of x * f(x), where only they read x, the product last: SiLU, Mish or HardSwish
/// as exporters write them. Empty where the readers are others.
llvm::SmallVector<int, 4> Planner::gateOn(ValueId value) const {
  if (edit.isGraphOutput(value) || edit.users(value).size() != 2)
    return {};
  for (int product : edit.users(value)) {
    const Node &node = graph.nodes[product];
    if (node.opType != "Mul" || node.inputs[0] == node.inputs[1])
      continue;
    llvm::SmallVector<int, 4> nodes;
    int next = edit.users(value)[edit.users(value)[0] == product ? 1 : 0];
    while (next >= 0 && next != product && isQuantized(next) && isElementwise(next) &&
           activations(graph.nodes[next]).size() == 1) {
      nodes.push_back(next);
      next = onlyUser(graph.nodes[next].outputs[0]);
    }
    if (next == product && !nodes.empty() && isQuantized(product) &&
        sameShape(value, node.outputs[0])) {
      nodes.push_back(product);
      return nodes;
    }
  }
  return {};
}

/// Elementwise operators that alone read a matrix operator's result, and read no other
/// activation, belong to it: bias, scale, activation function.
void Planner::markEpilogues() {
  fused.assign(graph.values.size(), false);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (plan.roles[i] != QuantRole::Matrix)
      continue;
    int last = static_cast<int>(i);
    while (true) {
      ValueId result = graph.nodes[last].outputs[0];
      if (auto gate = gateOn(result); !gate.empty()) {
        fused[result] = true;
        for (int node : gate) {
          epilogue[node] = true;
          if (node != gate.back())
            fused[graph.nodes[node].outputs[0]] = true;
        }
        last = gate.back();
        continue;
      }
      int next = onlyUser(result);
      if (next < 0 || !isQuantized(next) || !isElementwise(next) || epilogue[next] ||
          !joins(next, result, static_cast<int>(i)) ||
          !sameShape(result, graph.nodes[next].outputs[0]))
        break;
      epilogue[next] = true;
      fused[result] = true;
      last = next;
    }
  }
}

/// Whether a node that is not a matrix operator gains nothing from 8 bits: an input comes
/// from a float operator, or no result goes to an 8-bit one. The second keeps what leads
/// to Softmax, to a normalisation or out of the graph in float, where 8 bits would cost
/// accuracy (masks, variances, box coordinates).
bool Planner::staysFloat(int index) const {
  const Node &node = graph.nodes[index];
  for (ValueId id : activations(node)) {
    int producer = edit.producer(id);
    if (producer >= 0 && !isQuantized(producer))
      return true;
  }
  for (ValueId id : node.outputs)
    if (id != kNoValue)
      for (int user : edit.users(id))
        if (isQuantized(user))
          return false;
  return true;
}

void Planner::removeLonely() {
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < graph.nodes.size(); ++i)
      if (isQuantized(i) && plan.roles[i] != QuantRole::Matrix && !epilogue[i] &&
          staysFloat(static_cast<int>(i))) {
        plan.roles[i] = QuantRole::None;
        changed = true;
      }
  }
}

/// A result that goes straight into the next elementwise operators and nowhere else.
bool Planner::isInternal(ValueId id) const {
  if (fused[id])
    return true;
  int producer = edit.producer(id), user = onlyUser(id);
  if (producer < 0 || user < 0 || !isQuantized(user) || !isElementwise(user))
    return false;
  if (activations(graph.nodes[user]).size() == 1)
    return isElementwise(producer) || kinds[producer] == Kind::Pool;
  return isElementwise(producer) && !epilogue[producer] &&
         sameShape(id, graph.nodes[user].outputs[0]);
}

void Planner::markValues() {
  plan.quantized.assign(graph.values.size(), false);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!isQuantized(i))
      continue;
    const Node &node = graph.nodes[i];
    auto inputs = activations(node);
    if (plan.roles[i] == QuantRole::Matrix) // a computed bias joins the accumulators as float
      llvm::erase_if(inputs,
                     [&](ValueId id) { return node.inputs[0] != id && node.inputs[1] != id; });
    for (ValueId id : inputs)
      plan.quantized[id] = plan.quantized[id] || !isInternal(id);
    // A residual sum that no 8-bit operator reads leaves the accumulators as float.
    bool floatSum =
        epilogue[i] && activations(node).size() == 2 &&
        llvm::none_of(edit.users(node.outputs[0]), [&](int u) { return isQuantized(u); });
    for (ValueId id : node.outputs)
      if (id != kNoValue && isFloatValue(id) && !edit.users(id).empty() && !floatSum)
        plan.quantized[id] = plan.quantized[id] || !isInternal(id);
  }
}

/// Values that only differ in the place of their elements share a grid, so that moving
/// them is a copy of bytes. A Concat's inputs join its output unless that would make one
/// of them coarser than half its own resolution (scores beside box coordinates).
void Planner::shareGrids() {
  plan.gridOf.resize(graph.values.size());
  std::iota(plan.gridOf.begin(), plan.gridOf.end(), 0);
  auto find = [&](ValueId id) {
    while (plan.gridOf[id] != id)
      id = plan.gridOf[id] = plan.gridOf[plan.gridOf[id]];
    return id;
  };
  std::map<ValueId, Range> hulls; // by representative
  auto rangeOf = [&](ValueId id) {
    if (auto it = hulls.find(id); it != hulls.end())
      return it->second;
    return valueRange(edit, options, id);
  };
  auto join = [&](ValueId a, ValueId b, bool always) {
    a = find(a), b = find(b);
    if (a == b)
      return;
    Range x = rangeOf(a), y = rangeOf(b);
    Range hull = {std::min(x.low, y.low), std::max(x.high, y.high)};
    float narrow = std::min(x.high - x.low, y.high - y.low);
    if (!always && hull.high - hull.low > 2 * narrow)
      return;
    plan.gridOf[b] = a;
    hulls[a] = hull;
  };
  for (bool concat : {false, true})
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      if (plan.roles[i] != QuantRole::Through || (kinds[i] == Kind::Concat) != concat)
        continue;
      const Node &node = graph.nodes[i];
      for (ValueId input : activations(node))
        for (ValueId output : node.outputs)
          if (output != kNoValue && plan.quantized[input] && plan.quantized[output])
            join(output, input, !concat);
    }
  for (size_t id = 0; id < plan.gridOf.size(); ++id)
    plan.gridOf[id] = find(static_cast<ValueId>(id));
}

QuantPlan npucc::planQuantization(GraphEdit &edit, const QuantizeOptions &options) {
  return Planner(edit, options).run();
}
